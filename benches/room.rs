//! How fast a message gets to all in a room, beside as many plain sends of one to one in the same
//! run: `cargo bench --bench room`.
//!
//! Ours is the IM server as the product has it, focus, seats and all, in one thread; the plain
//! sends are sessions with links in tasks of their own, in one thread too, that know what to send
//! from the beginning. Both have a window of chunks under way to each participant: the one who speaks
//! in the room does not wait for its answers one by one, and is answered before others have what it
//! says, so that they lag behind and always have more to come, as the plain ones have. One client in
//! another thread is all participants of both. Rounds go in turns, and the best of each counts.
#![allow(clippy::print_stdout, missing_docs)]

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use chatbridge::ids::Random;
use chatbridge::im_server::{FocusSettings, ImServer, Settings};
use chatbridge::msrp::{
    FailureReport, Input, Kind, Limits, Outgoing, Output, Parser, Path, Session, Setup, Uri,
};
use chatbridge::net::{
    MsrpLink, MsrpListener, MsrpSettings, RoomSockets, SipSettings, bind_sip, run_im_server,
};
use chatbridge::payload::Cpim;
use chatbridge::sip::{Hop, Transport};
use chatbridge::store::{Bounds, Inbox, Letter, Letters, Sessions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

fn main() -> io::Result<()> {
    println!("| in the room | body | to all | one to one | ratio | µs per delivery |");
    println!("|---|---|---|---|---|---|");
    for (count, body) in [(10, 200), (100, 200), (500, 200), (100, 2000)] {
        let messages = DELIVERIES / count;
        let (mut room, mut plain) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..ROUNDS {
            room = room.min(round(Side::Room, count, messages, body)?);
            plain = plain.min(round(Side::Plain, count, messages, body)?);
        }
        let [all, one] = [room, plain].map(|seconds| 1e-3 / seconds);
        let micros = room * 1e6;
        println!(
            "| {count} | {body} | {all:.0} k/s | {one:.0} k/s | {:.2} | {micros:.2} |",
            all / one
        );
    }
    Ok(())
}

/// How many deliveries a round has, about.
const DELIVERIES: usize = 100_000;
const ROUNDS: usize = 3;
/// More than wait for anybody, so that nobody is sent away.
const QUEUE: usize = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Room,
    Plain,
}

/// Gives the seconds per delivery.
fn round(side: Side, count: usize, messages: usize, body: usize) -> io::Result<f64> {
    let (told, places) = std_mpsc::channel();
    let stop = CancellationToken::new();
    let (ending, body) = (stop.clone(), wrapped(body));
    let said = body.clone();
    // Whoever sends waits there, and the clock.
    let gate = Arc::new(Barrier::new(if side == Side::Room { 2 } else { count + 1 }));
    let begin = Arc::clone(&gate);
    let home = UdpSocket::bind("127.0.0.1:0")?;
    let at_home = home.local_addr()?;
    let server = thread::spawn(move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match side {
                Side::Room => serve_room(at_home, &told, ending).await,
                Side::Plain => serve_plain((count, messages), (said, gate), &told, ending).await,
            }
        })
    });
    let place = places.recv().map_err(io::Error::other)?;
    let paths = match side {
        Side::Room => (0..count).map(|at| join(&home, place, at)).collect::<io::Result<_>>()?,
        Side::Plain => (0..count).map(|at| format!("msrp://{place}/plain{at};tcp")).collect(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let receivers = if side == Side::Room { count - 1 } else { count };
    let seconds = runtime.block_on(take_part((side, paths), messages, body, begin))?;
    stop.cancel();
    drop(server.join());
    Ok(seconds / (receivers * messages) as f64)
}

fn wrapped(size: usize) -> Bytes {
    let user = "<sip:+19585551000@example.com;user=phone>";
    Cpim::text(user, "<sip:room-bench@example.com>", None, &"x".repeat(size)).write()
}

/// The IM server with its focus.
async fn serve_room(
    home: SocketAddr,
    told: &std_mpsc::Sender<SocketAddr>,
    stop: CancellationToken,
) -> io::Result<()> {
    let (tasks, anywhere) = (TaskTracker::new(), SocketAddr::from(([127, 0, 0, 1], 0)));
    let sockets = bind_sip(anywhere, SipSettings::default(), stop.clone(), tasks.clone()).await?;
    let limits = Limits { queue: QUEUE, ..Limits::default() };
    let unbound_per_source = 1000;
    let settings = MsrpSettings { unbound: 1000, unbound_per_source, ..Default::default() };
    let listener = MsrpListener::bind(anywhere, 1, settings.clone()).await?;
    let focus = FocusSettings {
        max_participants: 1000,
        msrp_port: listener.local_addr()?.port(),
        msrp: Arc::new(limits),
        ..FocusSettings::default()
    };
    let hop = |place: SocketAddr| Hop::new(Transport::Udp, "127.0.0.1", place.port());
    let server = Settings {
        local: hop(sockets.local),
        home: Some(hop(home)),
        focus: Some(focus),
        ..Settings::default()
    };
    told.send(sockets.local).map_err(io::Error::other)?;
    let server = ImServer::new(Instant::now(), server, Random::seeded(1));
    run_im_server(server, sockets, Some(RoomSockets { listener, settings }), (stop, tasks)).await;
    Ok(())
}

/// Calls the room as one of the users at home; gives the path to its seat.
fn join(home: &UdpSocket, server: SocketAddr, at: usize) -> io::Result<String> {
    let (port, user) = (home.local_addr()?.port(), 1000 + at);
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=message 9 TCP/MSRP *\r\na=accept-types:message/cpim\r\na=accept-wrapped-types:*\r\n\
         a=path:msrp://127.0.0.1:9/peer{at};tcp\r\na=setup:active\r\n"
    );
    let head = |method: &str, branch: &str, to: &str| {
        format!(
            "{method} sip:room-bench@example.com SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{branch}{at}\r\n\
             From: <sip:+1958555{user}@example.com>;tag=t{at}\r\nTo: {to}\r\nCall-ID: c{at}\r\n\
             CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContact: <sip:u{at}@127.0.0.1:{port}>\r\n"
        )
    };
    let invite = head("INVITE", "i", "<sip:room-bench@example.com>");
    let length = sdp.len();
    let invite =
        format!("{invite}Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{sdp}");
    home.send_to(invite.as_bytes(), server)?;
    let mut buffer = vec![0; 65536];
    loop {
        let length = home.recv(&mut buffer)?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        if text.starts_with("SIP/2.0 200") && line("Call-ID: ") == Some(&format!("c{at}")) {
            let to = line("To: ").unwrap_or_default();
            let ack = head("ACK", "a", to);
            home.send_to(format!("{ack}Content-Length: 0\r\n\r\n").as_bytes(), server)?;
            let path = line("a=path:").ok_or_else(|| io::Error::other("no path"))?;
            return Ok(path.to_owned());
        }
    }
}

/// As many sessions as there are peers, each with its messages.
async fn serve_plain(
    (count, messages): (usize, usize),
    (body, gate): (Bytes, Arc<Barrier>),
    told: &std_mpsc::Sender<SocketAddr>,
    stop: CancellationToken,
) -> io::Result<()> {
    let unbound_per_source = 1000;
    let settings = MsrpSettings { unbound: 1000, unbound_per_source, ..Default::default() };
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = MsrpListener::bind(anywhere, 1, settings.clone()).await?;
    let place = listener.local_addr()?;
    let sessions = Arc::new(Sessions::new(Bounds::default()).0);
    let limits = Arc::new(Limits { queue: QUEUE, ..Limits::default() });
    let settings = Arc::new(settings);
    for at in 0..count {
        let (id, (inbox, letters)) = (format!("plain{at}"), Inbox::new(2));
        sessions.route_msrp(&id, inbox);
        let link = MsrpLink::new(Arc::clone(&settings), Arc::clone(&sessions), &id);
        let local = Uri::parse(&format!("msrp://{place}/{id};tcp")).map_err(io::Error::other)?;
        let mut session = Session::new(local, Arc::clone(&limits), Random::seeded(1));
        session.share_bodies();
        let sender = Sender { session, link, letters, gate: Arc::clone(&gate) };
        tokio::spawn(sender.run(at, messages, body.clone()));
    }
    told.send(place).map_err(io::Error::other)?;
    listener.run(sessions, stop, TaskTracker::new()).await;
    Ok(())
}

/// One plain session.
struct Sender {
    session: Session,
    link: MsrpLink,
    letters: Letters,
    gate: Arc<Barrier>,
}

impl Sender {
    async fn run(mut self, at: usize, messages: usize, body: Bytes) {
        let peer = Path::parse(&format!("msrp://127.0.0.1:9/peer{at};tcp")).expect("a path");
        self.session.open(Instant::now(), peer, Setup::Passive);
        loop {
            let mut is_bound = false;
            while let Some(output) = self.session.poll() {
                match output {
                    Output::Write(bytes) => self.link.write(bytes),
                    Output::WriteParts(parts) => self.link.write_parts(parts),
                    Output::Event(chatbridge::msrp::Event::Bound) => is_bound = true,
                    Output::Connect { .. } | Output::Close | Output::Event(_) => {}
                }
            }
            if is_bound {
                // All begin at the same time, with the clock.
                self.gate.wait().await;
                for number in 0..messages {
                    let message = Outgoing {
                        message_id: format!("m{number}"),
                        content_type: "message/cpim".to_owned(),
                        body: body.clone(),
                        success_report: false,
                        failure_report: FailureReport::Yes,
                    };
                    self.session.send(Instant::now(), message).expect("there is room");
                }
                continue;
            }
            let mut next = tokio::select! {
                letter = self.letters.recv() => match letter {
                    Some(Letter::Msrp(arrival)) => self.link.adopt(*arrival).map(Input::Frame),
                    Some(_) | None => None,
                },
                event = self.link.next() => Some(event),
            };
            while let Some(event) = next {
                if matches!(event, Input::Closed) {
                    return;
                }
                self.session.handle(Instant::now(), event);
                next = self.link.buffered();
            }
        }
    }
}

/// Is all participants; gives the seconds from the first message to the last.
async fn take_part(
    (side, paths): (Side, Vec<String>),
    messages: usize,
    body: Bytes,
    gate: Arc<Barrier>,
) -> io::Result<f64> {
    let mut readers = Vec::new();
    for (at, path) in paths.into_iter().enumerate() {
        let place = path.trim_start_matches("msrp://").split('/').next().unwrap_or_default();
        let mut stream = TcpStream::connect(place).await?;
        stream.set_nodelay(true)?;
        let own = format!("msrp://127.0.0.1:9/peer{at};tcp");
        let hello = format!(
            "MSRP hello SEND\r\nTo-Path: {path}\r\nFrom-Path: {own}\r\nMessage-ID: hello\r\n\
             Byte-Range: 1-0/0\r\n-------hello$\r\n"
        );
        stream.write_all(hello.as_bytes()).await?;
        if side == Side::Room && at == 0 {
            let send = speak(stream, (path, own), messages, body.clone(), Arc::clone(&gate));
            readers.push(tokio::spawn(send));
        } else {
            readers.push(tokio::spawn(hear(stream, messages)));
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    gate.wait().await;
    for reader in readers {
        reader.await.map_err(io::Error::other)??;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Says all messages, no more than a window of them unanswered.
async fn speak(
    mut stream: TcpStream,
    (path, own): (String, String),
    messages: usize,
    body: Bytes,
    gate: Arc<Barrier>,
) -> io::Result<()> {
    gate.wait().await;
    let (mut parser, mut incoming) = (Parser::new(Limits::default()), BytesMut::new());
    let (mut sent, mut answered, mut out) = (0, 0, Vec::new());
    while answered < messages {
        out.clear();
        while sent < messages && sent - answered < WINDOW {
            let (length, tid) = (body.len(), format!("tid{sent}x"));
            out.extend_from_slice(
                format!(
                    "MSRP {tid} SEND\r\nTo-Path: {path}\r\nFrom-Path: {own}\r\n\
                     Message-ID: said{sent}\r\nByte-Range: 1-{length}/{length}\r\n\
                     Content-Type: message/cpim\r\n\r\n"
                )
                .as_bytes(),
            );
            out.extend_from_slice(&body);
            out.extend_from_slice(format!("\r\n-------{tid}$\r\n").as_bytes());
            sent += 1;
        }
        stream.write_all(&out).await?;
        if stream.read_buf(&mut incoming).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Some(frame) = parser.next(&mut incoming).map_err(io::Error::other)? {
            let is_hello = &*frame.tid.to_string() == "hello";
            match frame.kind {
                Kind::Response { code: 200, .. } => answered += usize::from(!is_hello),
                kind @ (Kind::Request(_) | Kind::Response { .. }) => {
                    return Err(io::Error::other(format!("{kind:?}")));
                }
            }
        }
    }
    Ok(())
}

/// How many messages the speaker has unanswered.
const WINDOW: usize = 16;

/// Hears all messages and answers each.
async fn hear(mut stream: TcpStream, messages: usize) -> io::Result<()> {
    let (mut parser, mut incoming) = (Parser::new(Limits::default()), BytesMut::new());
    let (mut heard, mut out) = (0, BytesMut::new());
    while heard < messages {
        if stream.read_buf(&mut incoming).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Some(frame) = parser.next(&mut incoming).map_err(io::Error::other)? {
            if let Kind::Request(_) = &frame.kind {
                heard += usize::from(frame.body.as_ref().is_some_and(|body| !body.is_empty()));
                frame.write_answer(200, &mut out);
            }
        }
        stream.write_all(&out).await?;
        out.clear();
    }
    Ok(())
}
