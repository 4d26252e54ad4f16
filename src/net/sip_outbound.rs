//! SIP on its way out: one UDP socket, and connections opened as they are needed.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::dns::{Dns, DnsSettings};
use super::sip_tcp;
use super::tether::{Held, Tether};
use super::tls::{Tls, TlsSettings};
use crate::ids::Random;
use crate::sip::{
    BRANCH_COOKIE, Decoded, Destination, Hop, Message, Response, Transport, WireLimits,
    decode_datagram, reply_fallback, reply_hop, stamp_answer,
};
use crate::store::Connections;
use crate::store::connections::{Failure, OnFailure, Outgoing, Place, Way};

/// Bounds and deadlines of the SIP sockets.
#[derive(Debug, Clone)]
pub struct SipSettings {
    /// What a message may be like.
    pub wire: WireLimits,
    /// How many messages wait for the switch behind the sockets.
    pub inbound_queue: usize,
    /// How many messages wait for one connection's writer.
    pub writer_queue: usize,
    /// How many connections may be accepted at once, and how many opened.
    pub connections: usize,
    /// How many bytes of datagrams the system shall keep for us.
    pub receive_buffer: usize,
    /// How names are turned into addresses.
    pub dns: DnsSettings,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long a peer may take to read one message.
    pub write_timeout: Duration,
    /// How long a connection may be silent before it is closed.
    pub idle_timeout: Duration,
    /// The longest pause between two pings on a connection that we opened, if there are any.
    pub ping: Option<Duration>,
    /// How long a pong may take (RFC 5626 section 4.4.1).
    pub pong_wait: Duration,
    /// Whether a TCP connection is reused as its opener asks with `alias`.
    pub tcp_alias: bool,
    /// Certificates, and where they are shown.
    pub tls: TlsSettings,
    /// Who may be called, if not everybody.
    pub tether: Option<Arc<Tether>>,
}

impl Default for SipSettings {
    fn default() -> Self {
        Self {
            wire: WireLimits::default(),
            inbound_queue: 4096,
            writer_queue: 256,
            connections: 1024,
            receive_buffer: 4 * 1024 * 1024,
            dns: DnsSettings::default(),
            connect_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(900),
            ping: Some(Duration::from_secs(120)),
            pong_wait: Duration::from_secs(10),
            tcp_alias: false,
            tls: TlsSettings::default(),
            tether: None,
        }
    }
}

/// A SIP message that came in, with where it came from.
#[derive(Debug)]
pub struct Inbound {
    /// The message.
    pub message: Message,
    /// The hop that sent it.
    pub source: Hop,
}

/// The way out to SIP peers, and the shared state of its sockets.
#[derive(Clone)]
pub struct SipOutbound {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) udp: UdpSocket,
    /// The address of that socket.
    pub(super) local: SocketAddr,
    pub(super) connections: Connections,
    /// The places for connections that others open.
    pub(super) accepted: Arc<Semaphore>,
    /// The places for connections that we open.
    pub(super) opened: Arc<Semaphore>,
    pub(super) tls: Tls,
    pub(super) inbound: mpsc::Sender<Inbound>,
    pub(super) settings: SipSettings,
    pub(super) dns: Dns,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Shared {
    /// Tells whether something may be sent to an address; where it may not, that is told.
    pub(super) fn may_call(&self, peer: SocketAddr, bytes: &[u8]) -> bool {
        let tether = self.settings.tether.as_ref();
        tether.is_none_or(|tether| tether.reaches(peer, &Held::sip(bytes)))
    }
}

/// Encodes an answer that no transaction owns, and finds where it goes (RFC 3261 section 18.2.2).
pub(super) fn stateless(mut answer: Response, source: &Hop) -> (Bytes, Hop) {
    stamp_answer(&mut answer, source);
    let hop = answer.via().map_or_else(|_| source.clone(), |via| reply_hop(&via, source));
    (Message::Response(answer).encode(), hop)
}

impl SipOutbound {
    /// Sends `bytes` to `hop`; what cannot be sent is told through `on_failure`, now or later. A
    /// request on a connection that dies before its final response counts as not sent.
    ///
    /// An answer goes back on the connection that its request came on. Where that is gone, it goes
    /// on a new one to the address that the request names (RFC 3261 section 18.2.2).
    pub fn send(&self, bytes: Bytes, hop: &Hop, on_failure: OnFailure) {
        let host = hop.host.trim_matches(['[', ']']);
        let outgoing = if hop.transport.is_reliable() && bytes.starts_with(ANSWER) {
            let (this, again, source) = (self.clone(), bytes.clone(), hop.clone());
            let otherwise = move || this.answer_anew(again, &source, on_failure);
            Outgoing { bytes, on_failure: OnFailure::new(otherwise), way: Way::Back }
        } else {
            Outgoing { bytes, on_failure, way: Way::To(host.into()) }
        };
        self.direct(outgoing, hop);
    }

    fn direct(&self, outgoing: Outgoing, hop: &Hop) {
        match hop.host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => self.dispatch(outgoing, hop.transport, SocketAddr::new(ip, hop.port)),
            Err(_) => self.resolve_and_send(outgoing, hop.clone()),
        }
    }

    /// Sends an answer whose request came from `source` on a connection that is gone.
    fn answer_anew(&self, bytes: Bytes, source: &Hop, on_failure: OnFailure) {
        let limits = WireLimits { message: bytes.len(), ..self.shared.settings.wire };
        let via = match decode_datagram(bytes.clone(), &limits) {
            Decoded::Message(Message::Response(response)) => response.via().ok(),
            Decoded::Message(Message::Request(_))
            | Decoded::KeepAlive(_)
            | Decoded::Reject { .. }
            | Decoded::Fatal(_) => None,
        };
        let Some(via) = via.filter(|_| !self.shared.stop.is_cancelled()) else {
            return on_failure.call();
        };
        let hop = reply_fallback(&via, source);
        debug!(%source, %hop, "the connection of a request is gone: its answer goes on another");
        let way = Way::To(via.host.as_str().into());
        self.direct(Outgoing { bytes, on_failure, way }, &hop);
    }

    /// Gives who may be called, if not everybody.
    #[must_use]
    pub fn tether(&self) -> Option<Arc<Tether>> {
        self.shared.settings.tether.clone()
    }

    /// Gives the address that the UDP socket is bound to.
    ///
    /// # Errors
    /// The socket cannot say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.shared.udp.local_addr()
    }

    fn dispatch(&self, outgoing: Outgoing, transport: Transport, peer: SocketAddr) {
        match transport {
            Transport::Udp => self.send_datagram(outgoing, peer),
            Transport::Tcp | Transport::Tls => {
                sip_tcp::send(&self.shared, outgoing, Place::new(transport, peer));
            }
        }
    }

    fn send_datagram(&self, outgoing: Outgoing, peer: SocketAddr) {
        if !self.shared.may_call(peer, &outgoing.bytes) {
            return outgoing.on_failure.call();
        }
        let peer = as_seen_by(self.shared.local, peer);
        match self.shared.udp.try_send_to(&outgoing.bytes, peer) {
            Ok(_) => {}
            // A full socket buffer is a lost datagram: the transaction sends it again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                debug!(%peer, "UDP send buffer full, datagram dropped");
            }
            Err(error) => {
                debug!(%peer, %error, "UDP send failed");
                outgoing.on_failure.call();
            }
        }
    }

    /// Sends to a name: its hops are tried one after the other, in an order that is the same for
    /// all that belongs to one transaction (RFC 3263 section 4).
    fn resolve_and_send(&self, outgoing: Outgoing, hop: Hop) {
        let may_ask =
            |tether: &Arc<Tether>| tether.knows(&hop.host, (&Held::sip(&outgoing.bytes), hop.port));
        if !self.shared.settings.tether.as_ref().is_none_or(may_ask) {
            return outgoing.on_failure.call();
        }
        let this = self.clone();
        self.shared.tasks.spawn(async move {
            match this.shared.dns.locate(Destination::of_hop(&hop)).await {
                Ok(found) => {
                    let mut random = Random::seeded(lot(&outgoing.bytes));
                    this.send_to_first(outgoing, found.located.draw(&mut random).into());
                }
                Err(why) => {
                    debug!(%hop, %why, "a name that nothing can be sent to");
                    outgoing.on_failure.call();
                }
            }
        });
    }

    /// Sends to the first of these hops; to the next one where nothing has left, and so on.
    fn send_to_first(&self, outgoing: Outgoing, mut hops: VecDeque<Hop>) {
        let Some(hop) = hops.pop_front() else { return outgoing.on_failure.call() };
        let Some(ip) = hop.address() else { return self.send_to_first(outgoing, hops) };
        let Outgoing { bytes, on_failure, way } = outgoing;
        let (this, again, next_way) = (self.clone(), bytes.clone(), way.clone());
        let on_failure = OnFailure::told(move |failure| match failure {
            Failure::Unsent if !hops.is_empty() => {
                this.send_to_first(Outgoing { bytes: again, on_failure, way: next_way }, hops);
            }
            Failure::Unsent | Failure::Unanswered => on_failure.tell(failure),
        });
        let outgoing = Outgoing { bytes, on_failure, way };
        self.dispatch(outgoing, hop.transport, SocketAddr::new(ip, hop.port));
    }
}

/// Draws a lot from the branch of a message: the same for a request, its repetitions, its CANCEL and
/// the ACK of its refusal.
fn lot(bytes: &[u8]) -> u64 {
    let cookie = BRANCH_COOKIE.as_bytes();
    let start = bytes.windows(cookie.len()).position(|window| window == cookie);
    let tail = bytes.get(start.unwrap_or_default()..).unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    tail.split(|byte| matches!(byte, b';' | b',' | b'\r' | b'\n' | b' ')).next().hash(&mut hasher);
    hasher.finish()
}

/// How every answer begins, and no request.
const ANSWER: &[u8] = b"SIP/2.0 ";

/// Writes an address as a socket bound to `local` wants it: one for both families knows IPv4 as
/// mapped addresses only (RFC 4291 section 2.5.5.2), one for IPv4 does not know these.
fn as_seen_by(local: SocketAddr, peer: SocketAddr) -> SocketAddr {
    let ip = match (local.ip(), peer.ip().to_canonical()) {
        (IpAddr::V6(_), IpAddr::V4(ip)) => ip.to_ipv6_mapped().into(),
        (_, ip) => ip,
    };
    SocketAddr::new(ip, peer.port())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::net::bind_sip;
    use crate::net::dns::name_server::{Entry, NameServer};

    #[tokio::test]
    async fn a_name_is_tried_address_by_address() {
        let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = there.local_addr().unwrap().port();
        // Nobody listens on the other address.
        let zone = [("b.test.", Entry::A(9)), ("b.test.", Entry::A(1))];
        let (outbound, _server) = outbound(&zone).await;
        let hop = Hop::new(Transport::Tcp, "b.test", port);
        outbound.send("BYE".into(), &hop, OnFailure::new(|| panic!("there is another address")));
        assert_eq!(first_three(&there).await, *b"BYE");
    }

    #[tokio::test]
    async fn a_name_without_a_port_is_one_of_a_service() {
        let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = there.local_addr().unwrap().port();
        let srv = Entry::Srv(1, 1, port, "host.test.".to_owned());
        let (outbound, server) =
            outbound(&[("_sip._tcp.b.test.", srv), ("host.test.", Entry::A(1))]).await;
        let hop = Hop::new(Transport::Tcp, "b.test", 0);
        outbound.send("BYE".into(), &hop, OnFailure::new(|| panic!("there is a server")));
        assert_eq!(first_three(&there).await, *b"BYE");
        assert_eq!(server.asked(), ["SRV _sip._tcp.b.test.", "A host.test."]);
    }

    #[tokio::test]
    async fn s19_a_name_that_nobody_knows_is_told_as_a_failure() {
        let (outbound, server) = outbound(&[]).await;
        for is_silent in [false, true] {
            if is_silent {
                server.fall_silent();
            }
            let (tell, told) = tokio::sync::oneshot::channel();
            let hop = Hop::new(Transport::Udp, &format!("{is_silent}.test"), 0);
            outbound.send("BYE".into(), &hop, OnFailure::told(|why| tell.send(why).unwrap()));
            assert_eq!(told.await, Ok(Failure::Unsent));
        }
    }

    async fn outbound(zone: &[(&str, Entry)]) -> (SipOutbound, NameServer) {
        let server = NameServer::start(60, zone).await;
        let dns = DnsSettings { budget: Duration::from_millis(500), ..server.settings() };
        let settings = SipSettings { dns, ..SipSettings::default() };
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let listen = "127.0.0.1:0".parse().unwrap();
        (bind_sip(listen, settings, stop, tasks).await.unwrap().outbound, server)
    }

    async fn first_three(listener: &TcpListener) -> [u8; 3] {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 3];
        stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    #[test]
    fn one_transaction_draws_one_lot() {
        let via = "Via: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKone";
        let invite = format!("INVITE sip:bob@b.example SIP/2.0\r\n{via}\r\nMax-Forwards: 70\r\n");
        let ack =
            format!("ACK sip:bob@b.example SIP/2.0\r\n{via};x=y, SIP/2.0/UDP a;branch=z9hG4bKb");
        let other = invite.replace("bKone", "bKtwo");
        assert_eq!(lot(invite.as_bytes()), lot(ack.as_bytes()));
        assert_ne!(lot(invite.as_bytes()), lot(other.as_bytes()));
        assert_eq!(lot(b""), lot(b""));
    }
}
