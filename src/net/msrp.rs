//! MSRP connections: accepted ones find their session, and one link moves the bytes of a session.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::msrp::{Frame, Limits, ParseError, Parser};
use crate::reach::{Reach, reach};
use crate::store::{Letter, MsrpArrival, Sessions};

/// Bounds and deadlines of the MSRP sockets.
#[derive(Debug, Clone)]
pub struct MsrpSettings {
    /// What a frame may be like.
    pub limits: Limits,
    /// How many accepted connections may wait for their first frame.
    pub unbound: usize,
    /// How long an accepted connection may take to name its session.
    pub bind_timeout: Duration,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// Whether peers at loopback, private and link-local addresses are dialled.
    pub allow_private_dial: bool,
}

impl Default for MsrpSettings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            unbound: 256,
            bind_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            allow_private_dial: true,
        }
    }
}

/// Accepts MSRP connections and hands each to the session that its first frame names.
pub struct MsrpListener {
    listener: TcpListener,
    settings: MsrpSettings,
}

impl MsrpListener {
    /// Binds the first free port of `ports` ports from `listen` upward.
    ///
    /// # Errors
    /// None of them is free, or the address is not ours.
    pub async fn bind(listen: SocketAddr, ports: u16, settings: MsrpSettings) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for step in 0..ports.max(1) {
            let Some(port) = listen.port().checked_add(step) else { break };
            match TcpListener::bind(SocketAddr::new(listen.ip(), port)).await {
                Ok(listener) => return Ok(Self { listener, settings }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Gives the address that is listened on.
    ///
    /// # Errors
    /// The socket cannot say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts connections until the server stops.
    pub async fn run(self, sessions: Arc<Sessions>, stop: CancellationToken, tasks: TaskTracker) {
        let unbound = Arc::new(Semaphore::new(self.settings.unbound));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "accepting an MSRP connection failed");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&unbound).try_acquire_owned() else {
                warn!(%peer, "too many MSRP connections without a session, closed");
                continue;
            };
            let (sessions, settings) = (Arc::clone(&sessions), self.settings.clone());
            tasks.spawn(async move {
                let _place = place;
                let bound = timeout(settings.bind_timeout, introduce(stream, &settings, &sessions));
                match bound.await {
                    Ok(Ok(())) => {}
                    Ok(Err(why)) => debug!(%peer, why, "MSRP connection closed"),
                    Err(_) => debug!(%peer, "MSRP connection named no session in time, closed"),
                }
            });
        }
    }
}

/// Reads the first frame and hands the connection to the session that its To-Path names.
async fn introduce(
    mut stream: TcpStream,
    settings: &MsrpSettings,
    sessions: &Sessions,
) -> Result<(), &'static str> {
    stream.set_nodelay(true).map_err(|_| "TCP_NODELAY refused")?;
    let mut parser = Parser::new(settings.limits);
    let mut buffer = BytesMut::new();
    let first = loop {
        match parser.next(&mut buffer) {
            Ok(Some(frame)) => break frame,
            Ok(None) => {}
            Err(_) => return Err("no MSRP"),
        }
        if buffer.len() > UNBOUND_BYTES {
            return Err("too much came before a session was named");
        }
        match stream.read_buf(&mut buffer).await {
            Ok(length) if length > 0 => {}
            Ok(_) | Err(_) => return Err("closed by the peer"),
        }
    };
    let named = first.to_path.first().session_id();
    let inbox = named.and_then(|session_id| sessions.msrp_session(session_id));
    let Some(inbox) = inbox else {
        refuse(&stream, &first, 481);
        return Err("it names a session that is not here");
    };
    let arrival = MsrpArrival { stream, parser, buffer, first };
    inbox.deliver(Letter::Msrp(Box::new(arrival))).await.map_err(|_| "its session is gone")
}

/// How many bytes a connection may send before its first frame is whole.
const UNBOUND_BYTES: usize = 64 * 1024;

/// Answers a request for a session that is not here (481), or is bound to another connection (506)
/// (RFC 4975 section 7.3.1).
fn refuse(stream: &TcpStream, frame: &Frame, code: u16) {
    if let Some(answer) = frame.answer(code) {
        let mut bytes = BytesMut::new();
        answer.write(&mut bytes);
        // The connection is closed next: what does not fit its empty send buffer is not worth waiting for.
        drop(stream.try_write(&bytes));
    }
}

/// What happens on the connection of one session.
#[expect(
    clippy::large_enum_variant,
    reason = "moved once, and a box would cost an allocation per message"
)]
#[derive(Debug)]
pub(super) enum LinkEvent {
    /// The connection that was asked for is open.
    Connected,
    /// A frame has arrived.
    Frame(Frame),
    /// The peer does not speak MSRP.
    Malformed(ParseError),
    /// The connection is closed, or could not be opened.
    Closed,
}

/// The connection of one session, in whatever state it is.
pub(super) struct MsrpLink {
    settings: MsrpSettings,
    state: LinkState,
    parser: Parser,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// The connection is closed once `outgoing` is empty.
    closing: bool,
    /// The peer does not speak MSRP: what it says is not listened to any more.
    deaf: bool,
}

enum LinkState {
    Absent,
    Connecting(JoinHandle<io::Result<TcpStream>>),
    Open(TcpStream),
}

impl MsrpLink {
    /// Makes a link that has no connection yet.
    pub(super) fn new(settings: MsrpSettings) -> Self {
        let parser = Parser::new(settings.limits);
        Self {
            settings,
            state: LinkState::Absent,
            parser,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            closing: false,
            deaf: false,
        }
    }

    /// Starts to open a connection.
    pub(super) fn connect(&mut self, host: String, port: u16) {
        let settings = self.settings.clone();
        self.close();
        self.state = LinkState::Connecting(tokio::spawn(dial(host, port, settings)));
    }

    /// Takes over an accepted connection, unless the session has one already.
    pub(super) fn adopt(&mut self, arrival: MsrpArrival) -> Option<Frame> {
        match self.state {
            LinkState::Open(_) => {
                refuse(&arrival.stream, &arrival.first, 506);
                None
            }
            LinkState::Absent | LinkState::Connecting(_) => {
                self.close();
                self.state = LinkState::Open(arrival.stream);
                self.parser = arrival.parser;
                self.incoming = arrival.buffer;
                Some(arrival.first)
            }
        }
    }

    /// Queues bytes; they leave while [`MsrpLink::next`] is awaited.
    pub(super) fn write(&mut self, bytes: &Bytes) {
        self.outgoing.extend_from_slice(bytes);
    }

    /// Closes the connection once what waits has left.
    pub(super) fn close_when_flushed(&mut self) {
        let flushed = match &self.state {
            LinkState::Open(stream) => flush(stream, &mut self.outgoing),
            LinkState::Absent | LinkState::Connecting(_) => Ok(()),
        };
        match (flushed, &self.state) {
            (Ok(()), LinkState::Open(_)) if !self.outgoing.is_empty() => self.closing = true,
            (Ok(()) | Err(_), _) => self.close(),
        }
    }

    /// Drops the connection and all that waits on it.
    pub(super) fn close(&mut self) {
        if let LinkState::Connecting(dialling) = &self.state {
            dialling.abort();
        }
        self.state = LinkState::Absent;
        self.parser = Parser::new(self.settings.limits);
        self.incoming.clear();
        self.outgoing.clear();
        self.closing = false;
        self.deaf = false;
    }

    /// Moves bytes until something happens. Cancel safe: nothing is lost when it is dropped.
    pub(super) async fn next(&mut self) -> LinkEvent {
        if let LinkState::Connecting(dialling) = &mut self.state {
            return match dialling.await {
                Ok(Ok(stream)) => {
                    self.state = LinkState::Open(stream);
                    LinkEvent::Connected
                }
                Ok(Err(error)) => {
                    debug!(%error, "no MSRP connection");
                    self.close();
                    LinkEvent::Closed
                }
                Err(_) => {
                    self.close();
                    LinkEvent::Closed
                }
            };
        }
        loop {
            if self.deaf {
                self.incoming.clear();
            } else {
                match self.parser.next(&mut self.incoming) {
                    Ok(Some(frame)) => return LinkEvent::Frame(frame),
                    Ok(None) => {}
                    // A bad frame is refused; a stream that is none has no next frame.
                    Err(why) => {
                        self.deaf = matches!(why, ParseError::Stream(_));
                        return LinkEvent::Malformed(why);
                    }
                }
            }
            if self.transfer().await.is_err() {
                self.close();
                return LinkEvent::Closed;
            }
        }
    }

    /// Waits for the socket and moves what can be moved, both ways.
    async fn transfer(&mut self) -> io::Result<()> {
        let LinkState::Open(stream) = &self.state else {
            return std::future::pending().await;
        };
        // A peer that does not read its answers is not read either: TCP slows it down.
        let interest = match self.outgoing.len() {
            0 => Interest::READABLE,
            1..=HIGH_WATER => Interest::READABLE | Interest::WRITABLE,
            _ => Interest::WRITABLE,
        };
        let ready = stream.ready(interest).await?;
        if ready.is_writable() && !self.outgoing.is_empty() {
            flush(stream, &mut self.outgoing)?;
            if self.closing && self.outgoing.is_empty() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        if interest.is_readable() && (ready.is_readable() || ready.is_read_closed()) {
            self.incoming.reserve(READ_SIZE);
            match stream.try_read_buf(&mut self.incoming) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// How many bytes may wait to leave before reading stops.
const HIGH_WATER: usize = 256 * 1024;

/// How much is read at once, in bytes.
const READ_SIZE: usize = 16 * 1024;

fn flush(stream: &TcpStream, outgoing: &mut BytesMut) -> io::Result<()> {
    while !outgoing.is_empty() {
        match stream.try_write(outgoing) {
            Ok(length) => outgoing.advance(length),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn dial(host: String, port: u16, settings: MsrpSettings) -> io::Result<TcpStream> {
    let opening = async {
        let host = host.trim_matches(['[', ']']).to_owned();
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in lookup_host((host.as_str(), port)).await? {
            let why = match reach(address.ip()) {
                Reach::Private(why) if !settings.allow_private_dial => Some(why),
                // A lab may well sit on link-local addresses.
                Reach::Never(why) if !settings.allow_private_dial || why != "link-local" => {
                    Some(why)
                }
                Reach::Global | Reach::Private(_) | Reach::Never(_) => None,
            };
            if let Some(why) = why {
                last =
                    io::Error::new(io::ErrorKind::PermissionDenied, format!("{address} is {why}"));
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    timeout(settings.connect_timeout, opening).await?
}
