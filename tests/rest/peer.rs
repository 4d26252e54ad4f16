//! A SIP peer in place of the IM server, which shows what the bridge puts on the wire.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::task::{Context, Waker};

use chatbridge::config::{Config, CoreMode, HostPort};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::world::within;

/// The peer: SIP over UDP, MSRP over TCP.
pub(crate) struct Peer {
    sip: UdpSocket,
    msrp: TcpListener,
    seen: HashSet<String>,
}

/// A SIP request as it was on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) text: String,
    from: SocketAddr,
}

impl Request {
    pub(crate) fn method(&self) -> &str {
        self.text.split(' ').next().unwrap()
    }

    /// Gives the lines of the head that have that name.
    pub(crate) fn lines(&self, name: &str) -> Vec<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap();
        head.split("\r\n").filter(|line| line.starts_with(&format!("{name}:"))).collect()
    }
}

impl Peer {
    pub(crate) async fn start() -> Self {
        let sip = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let msrp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { sip, msrp, seen: HashSet::new() }
    }

    /// Makes the peer the core of a bridge.
    pub(crate) fn carry(&self, config: &mut Config) {
        let port = self.sip.local_addr().unwrap().port();
        config.core.mode = CoreMode::Peer;
        config.core.next_hop = Some(HostPort { host: "127.0.0.1".into(), port: Some(port) });
    }

    /// Waits for a request with that method that is no retransmission.
    pub(crate) async fn request(&mut self, method: &str) -> Request {
        within(method, async {
            let mut datagram = vec![0; 65_536];
            loop {
                let (length, from) = self.sip.recv_from(&mut datagram).await.unwrap();
                let text = String::from_utf8(datagram[..length].to_vec()).unwrap();
                let request = Request { text, from };
                if request.method() != method {
                    continue;
                }
                let key = format!("{method} {:?}", request.lines("Via"));
                if self.seen.insert(key) {
                    return request;
                }
            }
        })
        .await
    }

    /// Waits for a final response to a request of ours with that method, and gives its text.
    pub(crate) async fn response(&mut self, method: &str) -> String {
        within(method, async {
            let mut datagram = vec![0; 65_536];
            loop {
                let (length, _) = self.sip.recv_from(&mut datagram).await.unwrap();
                let text = String::from_utf8(datagram[..length].to_vec()).unwrap();
                let is_final = text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1");
                let of = |line: &str| line.starts_with("CSeq:") && line.ends_with(method);
                if is_final && text.split("\r\n").any(of) {
                    return text;
                }
            }
        })
        .await
    }

    /// Calls the one who has sent `invite`, in another dialog under the same ids.
    pub(crate) async fn call_back(&mut self, invite: &Request) {
        let line = |name: &str| invite.lines(name)[0];
        let address = |name: &str| {
            let value = line(name).split_once(':').unwrap().1.trim();
            value.split(";tag=").next().unwrap().to_owned()
        };
        let contact = line("Contact").split(['<', '>']).nth(1).unwrap();
        let (own, body) = (self.sip.local_addr().unwrap(), self.sdp_at("127.0.0.1"));
        let text = format!(
            "INVITE {contact} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKback;rport\r\n\
             Max-Forwards: 70\r\nFrom: {};tag=back\r\nTo: {}\r\nCall-ID: back@peer\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:{own}>\r\n{}\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            address("To"),
            address("From"),
            line("Contribution-ID"),
            body.len()
        );
        self.sip.send_to(text.as_bytes(), invite.from).await.unwrap();
    }

    /// Acknowledges the acceptance of our call, and gives the MSRP connection that follows.
    pub(crate) async fn acknowledge(&mut self, accepted: &str, to: &Request) -> TcpStream {
        let line = |name: &str| {
            let named = accepted.split("\r\n").find(|it| it.starts_with(&format!("{name}:")));
            named.unwrap().to_owned()
        };
        let contact = line("Contact").split(['<', '>']).nth(1).unwrap().to_owned();
        let own = self.sip.local_addr().unwrap();
        let text = format!(
            "ACK {contact} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKbackack\r\n\
             Max-Forwards: 70\r\n{}\r\n{}\r\n{}\r\nCSeq: 1 ACK\r\n\
             Content-Length: 0\r\n\r\n",
            line("From"),
            line("To"),
            line("Call-ID"),
        );
        self.sip.send_to(text.as_bytes(), to.from).await.unwrap();
        within("the MSRP connection", self.msrp.accept()).await.unwrap().0
    }

    pub(crate) async fn answer(&self, request: &Request, status: &str, body: &str) {
        let mut answer = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for line in request.lines(name) {
                let tag = if name == "To" && !line.contains(";tag=") { ";tag=peer" } else { "" };
                answer.push_str(&format!("{line}{tag}\r\n"));
            }
        }
        let contact = self.sip.local_addr().unwrap();
        answer.push_str(&format!("Contact: <sip:{contact}>\r\n"));
        if !body.is_empty() {
            answer.push_str("Content-Type: application/sdp\r\n");
        }
        answer.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        self.sip.send_to(answer.as_bytes(), request.from).await.unwrap();
    }

    /// Describes a chat at the peer's MSRP port of some host.
    pub(crate) fn sdp_at(&self, host: &str) -> String {
        let port = self.msrp.local_addr().unwrap().port();
        let version = if host.starts_with('[') { 6 } else { 4 };
        let bare = host.trim_matches(['[', ']']);
        format!(
            "v=0\r\no=- 1 1 IN IP{version} {bare}\r\ns=-\r\nc=IN IP{version} {bare}\r\nt=0 0\r\n\
             m=message {port} TCP/MSRP *\r\na=accept-types:message/cpim\r\n\
             a=accept-wrapped-types:*\r\na=setup:passive\r\n\
             a=path:msrp://{host}:{port}/peer-session;tcp\r\n"
        )
    }

    /// Tells whether somebody has connected to the MSRP port and was not let in yet.
    pub(crate) fn was_called(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.msrp.poll_accept(&mut context).is_ready()
    }

    /// Accepts an invitation and gives the MSRP connection that follows.
    pub(crate) async fn accept(&mut self, invite: &Request) -> TcpStream {
        self.answer(invite, "200 OK", &self.sdp_at("127.0.0.1")).await;
        self.request("ACK").await;
        within("the MSRP connection", self.msrp.accept()).await.unwrap().0
    }
}

/// Reads MSRP until a text has come by, and gives all of it.
pub(crate) async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    within(end, async {
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if text.contains(end) && text.ends_with("$\r\n") {
                return text;
            }
            let read = stream.read_buf(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "the end of {text}");
        }
    })
    .await
}
