//! Sessions with their sockets, and peers that speak bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chatbridge::digest::Fingerprint;
use chatbridge::ids::Random;
use chatbridge::msrp::{
    Event, FailureReport, Input, Limits, Outgoing, Output, Path, SendError, Session, Setup, Uri,
};
use chatbridge::net::{MsrpLink, MsrpListener, MsrpSettings, Reach, Service};
use chatbridge::store::{Bounds, Inbox, Letter, Letters, Sessions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// The longest that a test waits for anything.
const LIMIT: Duration = Duration::from_secs(20);

/// Waits, but not for ever.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(LIMIT, work).await.expect("no end in sight")
}

/// A directory of sessions with a listener.
pub(crate) struct House {
    sessions: Arc<Sessions>,
    settings: MsrpSettings,
    pub(crate) place: SocketAddr,
    service: Service,
    _stop: DropGuard,
}

impl House {
    pub(crate) async fn start() -> Self {
        Self::serving(Service::Tcp, MsrpSettings::default()).await
    }

    pub(crate) async fn serving(service: Service, settings: MsrpSettings) -> Self {
        let anywhere = "127.0.0.1:0".parse().unwrap();
        let listener = MsrpListener::bind(anywhere, 1, settings.clone()).await.unwrap();
        let listener = listener.serving(service);
        let place = listener.local_addr().unwrap();
        let sessions = Arc::new(Sessions::new(Bounds::default()).0);
        let stop = CancellationToken::new();
        tokio::spawn(listener.run(Arc::clone(&sessions), stop.clone(), TaskTracker::new()));
        Self { sessions, settings, place, service, _stop: stop.drop_guard() }
    }

    /// The URI of a session here.
    pub(crate) fn uri(&self, id: &str) -> String {
        let (scheme, transport) = match self.service {
            Service::Tcp => ("msrp", "tcp"),
            Service::Tls => ("msrps", "tcp"),
            Service::Ws => ("msrp", "ws"),
            Service::Wss => ("msrps", "ws"),
        };
        format!("{scheme}://{}/{id};{transport}", self.place)
    }

    /// Lets a session live here.
    pub(crate) fn seat(&self, id: &str) -> Seat {
        self.seat_with(id, *self.settings.framing.limits())
    }

    pub(crate) fn seat_with(&self, id: &str, limits: Limits) -> Seat {
        let local = Uri::parse(&self.uri(id)).unwrap();
        let session = Session::new(local, limits, Random::seeded(id.len() as u64));
        let link = MsrpLink::new(self.settings.clone(), Arc::clone(&self.sessions), id);
        let (inbox, letters) = Inbox::new(8);
        self.sessions.route_msrp(id, inbox);
        let ((orders, taken), (told, events)) =
            (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let sitter = Sitter { session, link, told, fingerprints: Vec::new() };
        tokio::spawn(sitter.run(letters, taken));
        Seat { orders, events }
    }
}

/// What a test wants of a session.
enum Order {
    Open(String, Setup, Vec<Fingerprint>),
    Send(Outgoing, oneshot::Sender<Result<(), SendError>>),
    Close,
}

/// A session as a test sees it.
pub(crate) struct Seat {
    orders: mpsc::UnboundedSender<Order>,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Seat {
    pub(crate) fn listen(&self, peer: &str) {
        self.order(Order::Open(peer.to_owned(), Setup::Passive, Vec::new()));
    }

    pub(crate) fn connect(&self, peer: &str) {
        self.connect_to(peer, Vec::new());
    }

    pub(crate) fn connect_to(&self, peer: &str, fingerprints: Vec<Fingerprint>) {
        self.order(Order::Open(peer.to_owned(), Setup::Active, fingerprints));
    }

    pub(crate) async fn send(&self, id: &str, body: &str) -> Result<(), SendError> {
        let message = Outgoing {
            message_id: id.to_owned(),
            content_type: "text/plain".to_owned(),
            body: body.to_owned().into(),
            success_report: false,
            failure_report: FailureReport::Yes,
        };
        let (reply, taken) = oneshot::channel();
        self.order(Order::Send(message, reply));
        soon(taken).await.unwrap()
    }

    pub(crate) fn close(&self) {
        self.order(Order::Close);
    }

    /// Waits for what the session tells next.
    pub(crate) async fn hears(&mut self) -> Event {
        soon(self.events.recv()).await.expect("the session is gone")
    }

    pub(crate) async fn is_bound(&mut self) {
        assert_eq!(self.hears().await, Event::Bound);
    }

    /// Waits for a message and gives its body.
    pub(crate) async fn message(&mut self) -> String {
        match self.hears().await {
            Event::Message(message) => String::from_utf8(message.body.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn order(&self, order: Order) {
        assert!(self.orders.send(order).is_ok(), "the session is gone");
    }
}

/// A session with its connection, driven as the driver of a conversation does it.
struct Sitter {
    session: Session,
    link: MsrpLink,
    told: mpsc::UnboundedSender<Event>,
    fingerprints: Vec<Fingerprint>,
}

impl Sitter {
    async fn run(mut self, mut letters: Letters, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            self.carry_out();
            let deadline = self.session.next_timeout().unwrap_or_else(|| Instant::now() + LIMIT);
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                letter = letters.recv() => {
                    let Some(Letter::Msrp(arrival)) = letter else { continue };
                    if let Some(first) = self.link.adopt(*arrival) {
                        self.feed(Input::Connected);
                        self.feed_all(Input::Frame(first));
                    }
                }
                event = self.link.next() => self.feed_all(event),
                () = tokio::time::sleep_until(deadline.into()) => self.feed(Input::Timeout),
            }
        }
    }

    fn obey(&mut self, order: Order) {
        let now = Instant::now();
        match order {
            Order::Open(peer, setup, fingerprints) => {
                self.fingerprints = fingerprints;
                self.session.open(now, Path::parse(&peer).unwrap(), setup);
            }
            Order::Send(message, reply) => {
                let _gone = reply.send(self.session.send(now, message));
            }
            Order::Close => self.session.close(now),
        }
    }

    fn feed_all(&mut self, event: Input) {
        let mut next = Some(event);
        while let Some(event) = next {
            self.feed(event);
            next = self.link.buffered();
        }
    }

    fn feed(&mut self, input: Input) {
        self.session.handle(Instant::now(), input);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Connect { host, port, secure } => {
                    let fingerprints = self.fingerprints.clone();
                    self.link.connect(Reach { host, port, secure, fingerprints });
                }
                Output::Write(bytes) => self.link.write(bytes),
                Output::WriteParts(parts) => self.link.write(parts.concat().into()),
                Output::Close => self.link.close_when_flushed(),
                Output::Event(event) => {
                    let _gone = self.told.send(event);
                }
            }
        }
    }
}

/// A peer that speaks bytes.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    seen: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(place: SocketAddr) -> Self {
        Self::over(soon(TcpStream::connect(place)).await.unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, seen: Vec::new() }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        soon(self.stream.write_all(text.as_bytes())).await.unwrap();
    }

    /// Reads one frame.
    pub(crate) async fn frame(&mut self) -> String {
        loop {
            if let Some(length) = frame_length(&self.seen) {
                let rest = self.seen.split_off(length);
                return String::from_utf8(std::mem::replace(&mut self.seen, rest)).unwrap();
            }
            let read = soon(self.stream.read_buf(&mut self.seen)).await.unwrap();
            assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&self.seen));
        }
    }

    /// Reads the answer to a request: `tid code`.
    pub(crate) async fn answer(&mut self) -> String {
        start(&self.frame().await)
    }

    /// Waits until the connection is closed, whatever comes before.
    pub(crate) async fn is_closed(&mut self) {
        let mut rest = [0; 4096];
        while !matches!(soon(self.stream.read(&mut rest)).await, Ok(0) | Err(_)) {}
    }
}

/// The start line without `MSRP` and without a comment.
pub(crate) fn start(frame: &str) -> String {
    let words: Vec<&str> = frame.lines().next().unwrap().split(' ').collect();
    words[1..3].join(" ")
}

/// Finds a header field.
pub(crate) fn field<'a>(frame: &'a str, name: &str) -> &'a str {
    frame.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

/// The answer to a request that we have sent.
pub(crate) fn ok(frame: &str) -> String {
    let tid = frame.split(' ').nth(1).unwrap();
    let (to, from) = (field(frame, "From-Path"), field(frame, "To-Path"));
    format!("MSRP {tid} 200 OK\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n-------{tid}$\r\n")
}

fn frame_length(seen: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(seen);
    let tid = text.split(' ').nth(1).filter(|_| text.contains("\r\n"))?;
    ["$", "+", "#"].iter().find_map(|flag| {
        let end = format!("-------{tid}{flag}\r\n");
        text.find(&end).map(|at| at + end.len())
    })
}

/// The path of a peer that does not listen.
pub(crate) const PEER: &str = "msrp://127.0.0.1:9/peer;tcp";

/// A SEND of a whole text.
pub(crate) fn send(to: &str, tid: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "MSRP {tid} SEND\r\nTo-Path: {to}\r\nFrom-Path: {PEER}\r\nMessage-ID: id-{tid}\r\n\
         Byte-Range: 1-{length}/{length}\r\nContent-Type: text/plain\r\n\r\n{body}\r\n\
         -------{tid}$\r\n"
    )
}

/// A SEND that only shows that its sender is there.
pub(crate) fn hello(to: &str, tid: &str) -> String {
    format!(
        "MSRP {tid} SEND\r\nTo-Path: {to}\r\nFrom-Path: {PEER}\r\nMessage-ID: id-{tid}\r\n\
         Byte-Range: 1-0/0\r\n-------{tid}$\r\n"
    )
}
