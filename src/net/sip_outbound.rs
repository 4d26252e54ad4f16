//! SIP on its way out: one UDP socket, and connections opened as they are needed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::sip_tcp;
use super::tls::{Tls, TlsSettings};
use crate::sip::{
    Decoded, Hop, Message, Response, Transport, WireLimits, decode_datagram, reply_fallback,
    reply_hop, stamp_answer,
};
use crate::store::Connections;
use crate::store::connections::{OnFailure, Outgoing, Place, Way};

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
    /// How long opening a connection, or finding an address, may take.
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
}

impl Default for SipSettings {
    fn default() -> Self {
        Self {
            wire: WireLimits::default(),
            inbound_queue: 4096,
            writer_queue: 256,
            connections: 1024,
            receive_buffer: 4 * 1024 * 1024,
            connect_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(900),
            ping: Some(Duration::from_secs(120)),
            pong_wait: Duration::from_secs(10),
            tcp_alias: false,
            tls: TlsSettings::default(),
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
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
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

    fn resolve_and_send(&self, outgoing: Outgoing, hop: Hop) {
        let this = self.clone();
        self.shared.tasks.spawn(async move {
            let wait = this.shared.settings.connect_timeout;
            let found = timeout(wait, lookup_host((hop.host.as_str(), hop.port))).await;
            let ours = this.local_addr().map(|local| local.is_ipv4());
            let reachable =
                |address: &SocketAddr| ours.as_ref().is_ok_and(|v4| *v4 == address.is_ipv4());
            let address = found.ok().and_then(Result::ok).and_then(|mut all| all.find(reachable));
            match address {
                Some(peer) => this.dispatch(outgoing, hop.transport, peer),
                None => {
                    debug!(%hop, "no address found");
                    outgoing.on_failure.call();
                }
            }
        });
    }
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
