//! The receiving engine as the product has it: listener, link and session machine in one thread.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use chatbridge::ids::Random;
use chatbridge::msrp::{Input, Limits, Output, Path, Session, Setup, Uri};
use chatbridge::net::{MsrpLink, MsrpListener, MsrpSettings};
use chatbridge::store::{Bounds, Inbox, Letter, Letters, Sessions};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Who serves the client.
pub(crate) struct Served {
    pub(crate) place: SocketAddr,
    /// Where the kernel tells how long its thread was on a processor.
    pub(crate) schedstat: PathBuf,
}

impl Served {
    /// To be called by the thread that serves.
    pub(crate) fn here(place: SocketAddr) -> Self {
        let thread = std::fs::read_link("/proc/thread-self").unwrap_or_default();
        Self { place, schedstat: PathBuf::from("/proc").join(thread).join("schedstat") }
    }
}

/// Writes a message to one of the sessions.
pub(crate) fn send(place: SocketAddr, session: usize, at: usize, body: usize) -> Vec<u8> {
    let text = "x".repeat(body);
    format!(
        "MSRP tid{at:08} SEND\r\nTo-Path: msrp://{place}/{SESSION}{session};tcp\r\n\
         From-Path: msrp://127.0.0.1:9/peer-of-the-session;tcp\r\nMessage-ID: message-{at:08}\r\n\
         Byte-Range: 1-{body}/{body}\r\nFailure-Report: yes\r\nSuccess-Report: no\r\n\
         Content-Type: text/plain;charset=UTF-8\r\n\r\n{text}\r\n-------tid{at:08}$\r\n"
    )
    .into_bytes()
}

/// Starts the engine, with so many sessions.
pub(crate) fn ours(count: usize) -> io::Result<Served> {
    let (told, served) = mpsc::channel();
    thread::spawn(move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
            let settings = MsrpSettings::default();
            let listener = MsrpListener::bind(anywhere, 1, settings.clone()).await?;
            let place = listener.local_addr()?;
            let sessions = Arc::new(Sessions::new(Bounds::default()).0);
            let (settings, limits) = (Arc::new(settings), Arc::new(Limits::default()));
            for at in 0..count {
                let (id, (inbox, letters)) = (format!("{SESSION}{at}"), Inbox::new(8));
                sessions.route_msrp(&id, inbox);
                let link = MsrpLink::new(Arc::clone(&settings), Arc::clone(&sessions), &id);
                let local = Uri::parse(&format!("msrp://{place}/{id};tcp")).expect("a URI");
                let session = Session::new(local, Arc::clone(&limits), Random::seeded(1));
                tokio::spawn(Box::new(Driver { session, link, letters, over: false }).run());
            }
            let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
            told.send(Served::here(place)).map_err(io::Error::other)?;
            listener.run(sessions, stop, tasks).await;
            Ok(())
        })
    });
    served.recv().map_err(io::Error::other)
}

/// Drives a session as the driver of a conversation does it.
struct Driver {
    session: Session,
    link: MsrpLink,
    letters: Letters,
    over: bool,
}

impl Driver {
    async fn run(mut self: Box<Self>) {
        let peer = Path::parse("msrp://127.0.0.1:9/peer-of-the-session;tcp").expect("a path");
        self.session.open(Instant::now(), peer, Setup::Passive);
        while !self.over {
            self.carry_out();
            self.session.rest();
            tokio::select! {
                letter = self.letters.recv() => self.read(letter),
                event = self.link.next() => self.feed_all(event),
            }
        }
    }

    fn read(&mut self, letter: Option<Letter>) {
        match letter {
            Some(Letter::Msrp(arrival)) => {
                if let Some(frame) = self.link.adopt(*arrival) {
                    self.feed_all(Input::Frame(frame));
                }
            }
            Some(_) => {}
            None => self.over = true,
        }
    }

    fn feed_all(&mut self, event: Input) {
        let now = Instant::now();
        self.feed(now, event);
        while let Some(event) = self.link.buffered() {
            self.carry_out();
            self.feed(now, event);
        }
    }

    fn feed(&mut self, now: Instant, event: Input) {
        self.over |= matches!(event, Input::Closed);
        self.session.handle(now, event);
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.session.poll() {
            if let Output::Write(bytes) = output {
                self.link.write(bytes);
            }
        }
    }
}

/// Starts the engine, and lets each session take one message and go to rest. They last as long as their
/// connections.
pub(crate) fn idle() -> io::Result<Vec<TcpStream>> {
    let (Served { place, .. }, mut streams) = (ours(IDLE)?, Vec::with_capacity(IDLE));
    for at in 0..IDLE {
        let mut stream = TcpStream::connect(place)?;
        stream.write_all(&send(place, at, at, 200))?;
        let mut answer = [0; 512];
        let read = stream.read(&mut answer)?;
        if !answer[..read].windows(6).any(|part| part == b"200 OK") {
            return Err(io::Error::other(String::from_utf8_lossy(&answer[..read]).into_owned()));
        }
        streams.push(stream);
    }
    // The last one goes to rest.
    thread::sleep(Duration::from_millis(100));
    Ok(streams)
}

/// How many sessions are idle at once.
const IDLE: usize = 4000;

const SESSION: &str = "session-";
