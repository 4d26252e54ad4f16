//! SIP on its way out: one UDP socket, and TCP connections opened as they are needed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::sip_tcp;
use crate::sip::{Hop, Message, Response, Transport, WireLimits, reply_hop, stamp_answer};
use crate::store::Connections;
use crate::store::connections::{OnFailure, Outgoing};

/// Bounds and deadlines of the SIP sockets.
#[derive(Debug, Clone)]
pub struct SipSettings {
    /// What a message may be like.
    pub wire: WireLimits,
    /// How many messages wait for the switch behind the sockets.
    pub inbound_queue: usize,
    /// How many messages wait for one connection's writer.
    pub writer_queue: usize,
    /// How many TCP connections may be open at once.
    pub connections: usize,
    /// How long opening a connection, or finding an address, may take.
    pub connect_timeout: Duration,
    /// How long a peer may take to read one message.
    pub write_timeout: Duration,
    /// How long a connection may be silent before it is closed.
    pub idle_timeout: Duration,
}

impl Default for SipSettings {
    fn default() -> Self {
        Self {
            wire: WireLimits::default(),
            inbound_queue: 4096,
            writer_queue: 256,
            connections: 1024,
            connect_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(900),
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
    pub(super) connections: Connections,
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
    /// Sends `bytes` to `hop`; what cannot be sent is told through `on_failure`, now or later.
    pub fn send(&self, bytes: Bytes, hop: &Hop, on_failure: OnFailure) {
        let outgoing = Outgoing { bytes, on_failure };
        match hop.host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => self.dispatch(outgoing, hop.transport, SocketAddr::new(ip, hop.port)),
            Err(_) => self.resolve_and_send(outgoing, hop.clone()),
        }
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
            Transport::Tcp => sip_tcp::send(&self.shared, outgoing, peer),
            Transport::Tls => {
                debug!(%peer, "no TLS towards SIP peers in this version");
                outgoing.on_failure.call();
            }
        }
    }

    fn send_datagram(&self, outgoing: Outgoing, peer: SocketAddr) {
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
