//! How fast SENDs are answered over one connection of loopback, beside a raw echo in the same run:
//! `cargo bench --bench msrp_echo`.
//!
//! Ours is the receiving engine as the product has it: listener, link and session machine in one
//! thread. The echo finds end-lines with `memmem`, reads nothing else, and writes a 200 of like
//! size. One client serves both in turns, and the best round of each counts: what else runs on the
//! machine disturbs all alike. What is allocated is counted by the allocator itself, client included;
//! the time on a processor is that of the thread that serves, by the count of the kernel.
#![allow(clippy::print_stdout, missing_docs)]

use std::alloc::System;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use chatbridge::ids::Random;
use chatbridge::msrp::{Input, Limits, Output, Path, Session, Setup, Uri};
use chatbridge::net::{MsrpLink, MsrpListener, MsrpSettings};
use chatbridge::store::{Bounds, Inbox, Letter, Letters, Sessions};
use memchr::memmem::Finder;
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> io::Result<()> {
    idle()?;
    println!(
        "| window | body | ours | raw echo | ours / echo | CPU of ours | of the echo | allocations |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (window, body) in [(64, 200), (64, 2048), (1, 200)] {
        let (mut ours, mut echo) =
            (Peer::connect(&ours(1)?, body)?, Peer::connect(&echo()?, body)?);
        let mut best = [Round::WORST; 2];
        for _ in 0..ROUNDS {
            for (peer, best) in [&mut ours, &mut echo].into_iter().zip(&mut best) {
                *best = best.or(peer.round(window)?);
            }
        }
        let [ours, echo] = best;
        let (busy, allocations) = ([ours.busy, echo.busy].map(|it| it * 1e6), ours.allocations);
        let (figures, ratio) = if window == 1 {
            let [ours, echo] = [ours, echo].map(|round| round.p50 * 1e6);
            (format!("p50 {ours:.1} µs | {echo:.1} µs"), ours / echo)
        } else {
            let [ours, echo] = [ours, echo].map(|round| 1e-3 / round.seconds);
            (format!("{ours:.0} k/s | {echo:.0} k/s"), ours / echo)
        };
        println!(
            "| {window} | {body} | {figures} | {ratio:.2} | {:.2} µs | {:.2} µs | {allocations:.2} |",
            busy[0], busy[1]
        );
    }
    Ok(())
}

/// Tells what a session holds that has taken a message and waits for another: its connection, its
/// machine and their task, but neither a conversation nor the buffers of the kernel.
fn idle() -> io::Result<()> {
    // In a process that has not done anything else yet.
    let (before, heap) = (resident()?, HEAP.stats());
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
    let per_session = |all: usize| all as f64 / IDLE as f64;
    let grown = per_session(resident()?.saturating_sub(before));
    let Stats { allocations, deallocations, bytes_allocated, bytes_deallocated, .. } =
        HEAP.stats() - heap;
    let held = per_session(bytes_allocated.saturating_sub(bytes_deallocated));
    let pieces = per_session(allocations.saturating_sub(deallocations));
    println!(
        "an idle session holds {held:.0} bytes in {pieces:.1} pieces of memory, {grown:.0} resident\n"
    );
    Ok(())
}

/// The resident memory of this process, in bytes.
fn resident() -> io::Result<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.map(|pages| pages * 4096).ok_or_else(|| io::Error::other("statm is strange"))
}

/// How many sessions are idle at once.
const IDLE: usize = 4000;
/// Many and short: the kernel puts the threads now on one core and now on two, and each of the two is
/// to have had the better of it.
const ROUNDS: usize = 40;
const ROUND: Duration = Duration::from_millis(80);
const SESSION: &str = "session-";
/// How many different messages there are.
const MESSAGES: usize = 8192;

/// What is measured in one round.
#[derive(Clone, Copy)]
struct Round {
    /// How long a message took.
    seconds: f64,
    /// Half of the waits were shorter, in seconds.
    p50: f64,
    /// How long the serving thread was on a processor for a message, in seconds.
    busy: f64,
    /// How often memory was allocated for a message.
    allocations: f64,
}

impl Round {
    const WORST: Self = Self {
        seconds: f64::INFINITY,
        p50: f64::INFINITY,
        busy: f64::INFINITY,
        allocations: f64::INFINITY,
    };

    fn or(self, other: Self) -> Self {
        Self {
            seconds: self.seconds.min(other.seconds),
            p50: self.p50.min(other.p50),
            busy: self.busy.min(other.busy),
            allocations: self.allocations.min(other.allocations),
        }
    }
}

/// Who serves the client.
struct Served {
    place: SocketAddr,
    /// Where the kernel tells how long its thread was on a processor.
    schedstat: PathBuf,
}

impl Served {
    /// To be called by the thread that serves.
    fn here(place: SocketAddr) -> Self {
        let thread = std::fs::read_link("/proc/thread-self").unwrap_or_default();
        Self { place, schedstat: PathBuf::from("/proc").join(thread).join("schedstat") }
    }
}

/// Tells how long a thread has been on a processor, in seconds.
fn busy(schedstat: &PathBuf) -> io::Result<f64> {
    let stat = std::fs::read_to_string(schedstat)?;
    let nanoseconds = stat.split(' ').next().and_then(|it| it.parse::<f64>().ok());
    nanoseconds.map(|it| it * 1e-9).ok_or_else(|| io::Error::other("schedstat is strange"))
}

/// The client on one connection.
struct Peer {
    stream: TcpStream,
    schedstat: PathBuf,
    messages: Vec<Vec<u8>>,
    next: usize,
    end_lines: Finder<'static>,
}

impl Peer {
    fn connect(served: &Served, body: usize) -> io::Result<Self> {
        let (place, schedstat) = (served.place, served.schedstat.clone());
        let stream = TcpStream::connect(place)?;
        stream.set_nodelay(true)?;
        let messages = (0..MESSAGES).map(|at| send(place, 0, at, body)).collect();
        Ok(Self { stream, schedstat, messages, next: 0, end_lines: Finder::new(b"\r\n-------") })
    }

    /// Keeps `window` messages in flight for a while.
    fn round(&mut self, window: usize) -> io::Result<Round> {
        let (begun, mut answered, mut waits) = (Instant::now(), 0_usize, Vec::new());
        let (heap, busy_before) = (HEAP.stats(), busy(&self.schedstat)?);
        let (mut seen, mut out) = (vec![0; 64 * 1024], Vec::new());
        let (mut kept, mut free) = (0, window);
        loop {
            out.clear();
            if begun.elapsed() < ROUND {
                for _ in 0..std::mem::take(&mut free) {
                    out.extend_from_slice(&self.messages[self.next % MESSAGES]);
                    self.next += 1;
                }
            } else if free == window {
                break;
            }
            let asked = Instant::now();
            self.stream.write_all(&out)?;
            let read = self.stream.read(&mut seen[kept..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            waits.push(asked.elapsed());
            let (count, rest) = count(&self.end_lines, &seen[..kept + read]);
            seen.copy_within(rest..kept + read, 0);
            kept = kept + read - rest;
            answered += count;
            free += count;
        }
        waits.sort_unstable();
        let seconds = begun.elapsed().as_secs_f64() / answered as f64;
        let Stats { allocations, reallocations, .. } = HEAP.stats() - heap;
        let allocations = (allocations + reallocations) as f64 / answered as f64;
        let busy = (busy(&self.schedstat)? - busy_before) / answered as f64;
        Ok(Round { seconds, p50: waits[waits.len() / 2].as_secs_f64(), busy, allocations })
    }
}

/// Counts frames, and tells where the last whole one ends.
fn count(end_lines: &Finder<'_>, bytes: &[u8]) -> (usize, usize) {
    let (mut count, mut rest) = (0, 0);
    for at in end_lines.find_iter(bytes) {
        let Some(length) = bytes[at + 9..].iter().position(|byte| *byte == b'\n') else { break };
        count += 1;
        rest = at + 9 + length + 1;
    }
    (count, rest)
}

fn send(place: SocketAddr, session: usize, at: usize, body: usize) -> Vec<u8> {
    let text = "x".repeat(body);
    format!(
        "MSRP tid{at:08} SEND\r\nTo-Path: msrp://{place}/{SESSION}{session};tcp\r\n\
         From-Path: msrp://127.0.0.1:9/peer-of-the-session;tcp\r\nMessage-ID: message-{at:08}\r\n\
         Byte-Range: 1-{body}/{body}\r\nFailure-Report: yes\r\nSuccess-Report: no\r\n\
         Content-Type: text/plain;charset=UTF-8\r\n\r\n{text}\r\n-------tid{at:08}$\r\n"
    )
    .into_bytes()
}

/// Starts the echo.
fn echo() -> io::Result<Served> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let place = listener.local_addr()?;
    let (told, served) = mpsc::channel();
    thread::spawn(move || -> io::Result<()> {
        told.send(Served::here(place)).map_err(io::Error::other)?;
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let end_lines = Finder::new(b"\r\n-------");
        let (mut seen, mut out, mut kept) = (vec![0; 64 * 1024], Vec::new(), 0);
        loop {
            let read = stream.read(&mut seen[kept..])?;
            if read == 0 {
                return Ok(());
            }
            let bytes = &seen[..kept + read];
            let mut rest = 0;
            out.clear();
            for at in end_lines.find_iter(bytes) {
                let Some(length) = bytes[at + 9..].iter().position(|byte| *byte == b'\n') else {
                    break;
                };
                let tid = &bytes[at + 9..at + 9 + length - 2];
                out.extend_from_slice(b"MSRP ");
                out.extend_from_slice(tid);
                out.extend_from_slice(LIKE_A_RESPONSE);
                out.extend_from_slice(tid);
                out.extend_from_slice(b"$\r\n");
                rest = at + 9 + length + 1;
            }
            let end = kept + read;
            seen.copy_within(rest..end, 0);
            kept = end - rest;
            stream.write_all(&out)?;
        }
    });
    served.recv().map_err(io::Error::other)
}

const LIKE_A_RESPONSE: &[u8] =
    b" 200 OK\r\nTo-Path: msrp://127.0.0.1:9/peer-of-the-session;tcp\r\n\
    From-Path: msrp://127.0.0.1:34567/session;tcp\r\n-------";

/// Starts the engine, with so many sessions.
fn ours(count: usize) -> io::Result<Served> {
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
