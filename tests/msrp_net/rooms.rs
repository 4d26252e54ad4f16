//! A room over real sockets: SIP by datagram, MSRP by a connection for each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use chatbridge::ids::Random;
use chatbridge::im_server::{FocusSettings, ImServer, Settings};
use chatbridge::msrp::{Frame, Kind, Limits, Method, Parser};
use chatbridge::net::{
    MsrpListener, MsrpSettings, RoomSockets, SipSettings, bind_sip, run_im_server,
};
use chatbridge::payload::{Conference, Cpim};
use chatbridge::sip::{Hop, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

#[tokio::test]
async fn all_hear_all_and_one_who_stops_reading_is_sent_away() {
    let mut house = House::open().await;
    let mut guests = Vec::new();
    for at in 0..4 {
        guests.push(house.join(at).await);
    }
    // Every text is larger than what the window of one who does not read lets through.
    for number in 0..40 {
        let text = format!("{number}:{}", "x".repeat(3000));
        guests[0].say(&text).await;
        for guest in [1, 2] {
            assert_eq!(guests[guest].hear().await, text, "{guest}");
        }
    }
    // The fourth has read nothing; the others go on without it.
    let bye = house.request("BYE").await;
    assert!(bye.contains("Call-ID: call3\r\n"), "{bye}");
    assert!(bye.contains("Reason: SIP;cause=480"), "{bye}");
    guests[2].say("still here").await;
    assert_eq!(guests[1].hear().await, "still here");
    assert_eq!(guests[0].hear().await, "still here");
}

#[tokio::test]
async fn a_room_ends_for_all_when_it_is_left() {
    let mut house = House::open().await;
    let mut one = house.join(0).await;
    let mut two = house.join(1).await;
    one.say("hello").await;
    assert_eq!(two.hear().await, "hello");
    house.subscribe(0).await;
    let notify = house.request("NOTIFY").await;
    let body = notify.split("\r\n\r\n").nth(1).unwrap();
    let state = Conference::parse(body.as_bytes()).unwrap();
    assert_eq!(state.user_count, Some(2));
    drop(two);
    // Its connection is gone, and so is it.
    let bye = house.request("BYE").await;
    assert!(bye.contains("Call-ID: call1\r\n"), "{bye}");
    let notify = house.request("NOTIFY").await;
    // All is told anew where the answer to the notification before is still under way.
    let is_told = ["<disconnection-method>failed", "<user-count>1<"];
    assert!(is_told.iter().any(|told| notify.contains(told)), "{notify}");
    house.stop.take();
    let bye = house.request("BYE").await;
    assert!(bye.contains("Call-ID: call0\r\n"), "{bye}");
}

/// The server with its focus, and the socket of the bridge, at which its users live.
struct House {
    home: UdpSocket,
    server: SocketAddr,
    waiting: Vec<String>,
    stop: Option<DropGuard>,
}

/// A participant with its connection.
struct Guest {
    at: usize,
    stream: TcpStream,
    parser: Parser,
    incoming: BytesMut,
    path: String,
    said: usize,
}

impl House {
    async fn open() -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let sip = SipSettings::default();
        let sockets = bind_sip(anywhere, sip, stop.clone(), tasks.clone()).await.unwrap();
        let (server, settings) = (sockets.local, MsrpSettings::default());
        let listener = MsrpListener::bind(anywhere, 1, settings.clone()).await.unwrap();
        let home = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let limits = Limits { response_wait: Duration::from_secs(1), ..Limits::default() };
        let focus = FocusSettings {
            msrp_port: listener.local_addr().unwrap().port(),
            msrp: Arc::new(limits),
            ..FocusSettings::default()
        };
        let hop = |place: SocketAddr| Hop::new(Transport::Udp, "127.0.0.1", place.port());
        let machine = Settings {
            local: hop(server),
            home: Some(hop(home.local_addr().unwrap())),
            focus: Some(focus),
            datagram: 0,
            ..Settings::default()
        };
        let machine = ImServer::new(Instant::now(), machine, Random::seeded(1));
        let rooms = Some(RoomSockets { listener, settings });
        tokio::spawn(run_im_server(machine, sockets, rooms, (stop.clone(), tasks)));
        let stop = Some(stop.drop_guard());
        Self { home, server, waiting: Vec::new(), stop }
    }

    fn head(&self, method: &str, at: usize, (call, to): (&str, &str)) -> String {
        let port = self.home.local_addr().unwrap().port();
        format!(
            "{method} sip:room-x@example.com SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{method}{call}{at}\r\n\
             From: <sip:+1958555010{at}@example.com>;tag=t{at}\r\nTo: {to}\r\n\
             Call-ID: {call}{at}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
             Contact: <sip:u{at}@127.0.0.1:{port}>\r\n"
        )
    }

    async fn send(&self, text: &str) {
        self.home.send_to(text.as_bytes(), self.server).await.unwrap();
    }

    async fn join(&mut self, at: usize) -> Guest {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=message 9 TCP/MSRP *\r\na=accept-types:message/cpim\r\n\
             a=path:msrp://127.0.0.1:9/peer{at};tcp\r\na=setup:active\r\n"
        );
        let head = self.head("INVITE", at, ("call", "<sip:room-x@example.com>"));
        let length = sdp.len();
        self.send(&format!(
            "{head}Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{sdp}"
        ))
        .await;
        let answer = self.wait(|text| text.starts_with("SIP/2.0 200")).await;
        let line = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let ack = self.head("ACK", at, ("call", line("To: ")));
        self.send(&format!("{ack}Content-Length: 0\r\n\r\n")).await;
        Guest::connect(at, line("a=path:")).await
    }

    async fn subscribe(&mut self, at: usize) {
        let head = self.head("SUBSCRIBE", at, ("watch", "<sip:room-x@example.com>"));
        self.send(&format!("{head}Event: conference\r\nContent-Length: 0\r\n\r\n")).await;
        self.wait(|text| text.starts_with("SIP/2.0 200")).await;
    }

    /// Waits for a request of the focus, and answers it.
    async fn request(&mut self, method: &str) -> String {
        let request = self.wait(|text| text.starts_with(method)).await;
        let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
        let head = request.split("\r\n\r\n").next().unwrap().lines();
        let lines = head.filter(|line| copied.iter().any(|name| line.starts_with(name)));
        let lines: Vec<_> = lines.collect();
        let lines = lines.join("\r\n");
        self.send(&format!("SIP/2.0 200 OK\r\n{lines}\r\nContent-Length: 0\r\n\r\n")).await;
        request
    }

    /// Waits for a message; others are kept for later.
    async fn wait(&mut self, is_wanted: impl Fn(&str) -> bool) -> String {
        if let Some(at) = self.waiting.iter().position(|text| is_wanted(text)) {
            return self.waiting.remove(at);
        }
        let mut buffer = vec![0; 65_536];
        loop {
            let length = self.home.recv(&mut buffer).await.unwrap();
            let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if is_wanted(&text) {
                return text;
            }
            self.waiting.push(text);
        }
    }
}

impl Guest {
    async fn connect(at: usize, path: &str) -> Self {
        let place = path.trim_start_matches("msrp://").split('/').next().unwrap();
        let stream = TcpStream::connect(place).await.unwrap();
        let (parser, incoming) = (Parser::new(Limits::default()), BytesMut::new());
        let mut guest = Self { at, stream, parser, incoming, path: path.to_owned(), said: 0 };
        guest.write("SEND", "Message-ID: hello\r\nByte-Range: 1-0/0\r\n").await;
        assert!(matches!(guest.read().await.kind, Kind::Response { code: 200, .. }));
        guest
    }

    async fn write(&mut self, method: &str, rest: &str) {
        self.said += 1;
        let (tid, path, at) = (format!("tid{}", self.said), &self.path, self.at);
        let frame = format!(
            "MSRP {tid} {method}\r\nTo-Path: {path}\r\nFrom-Path: msrp://127.0.0.1:9/peer{at};tcp\r\n\
             {rest}-------{tid}$\r\n"
        );
        self.stream.write_all(frame.as_bytes()).await.unwrap();
    }

    /// Says something to all, and waits until the focus has taken it.
    async fn say(&mut self, text: &str) {
        let own = format!("<sip:+1958555010{}@example.com>", self.at);
        let body = Cpim::text(&own, "<sip:room-x@example.com>", None, text).write();
        let (length, body) = (body.len(), String::from_utf8_lossy(&body).into_owned());
        let rest = format!(
            "Message-ID: m{}\r\nByte-Range: 1-{length}/{length}\r\n\
             Content-Type: message/cpim\r\n\r\n{body}\r\n",
            self.said
        );
        self.write("SEND", &rest).await;
        assert!(matches!(self.read().await.kind, Kind::Response { code: 200, .. }));
    }

    /// Hears a whole message, and answers its chunks.
    async fn hear(&mut self) -> String {
        let mut whole = Vec::new();
        loop {
            let frame = self.read().await;
            assert!(matches!(frame.kind, Kind::Request(Method::Send)), "{:?}", frame.kind);
            let mut answer = BytesMut::new();
            frame.write_answer(200, &mut answer);
            self.stream.write_all(&answer).await.unwrap();
            whole.extend_from_slice(frame.body.as_ref().unwrap());
            if frame.flag == chatbridge::msrp::Continuation::Complete {
                return Cpim::parse(whole.into()).unwrap().text_content().unwrap();
            }
        }
    }

    async fn read(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.parser.next(&mut self.incoming).unwrap() {
                return frame;
            }
            assert!(self.stream.read_buf(&mut self.incoming).await.unwrap() > 0, "closed");
        }
    }
}
