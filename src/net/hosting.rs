//! The door of the host that shares the address of the bridge: which SIP messages are for it.

use std::net::{IpAddr, SocketAddr};

use tokio::sync::mpsc;
use tracing::{info, warn};

use super::sip_outbound::Inbound;
use super::switch::Neighbours;
use crate::im_server::{HostNames, Trust};
use crate::sip::{Hop, Message, Request, Response};

/// The way to the host of our users' groups.
#[derive(Debug, Clone)]
pub struct HostDoor {
    /// By which requests for it are known.
    pub names: HostNames,
    /// Where the bridge itself sends from.
    pub own: SocketAddr,
    /// What waits for the host.
    pub inbox: mpsc::Sender<Inbound>,
}

impl HostDoor {
    /// Tells whether a request is for the host.
    pub(super) fn is_for(&self, request: &Request) -> bool {
        self.names.mean(&request.uri)
    }

    /// Hands a request to the host; one from a stranger is given back, to be refused.
    pub(super) fn take(
        &self,
        mut request: Request,
        source: &Hop,
        neighbours: &Neighbours,
    ) -> Option<Request> {
        let trust = if self.is_own(source) {
            Some(Trust::Own)
        } else if neighbours.trust(source) {
            Some(Trust::Trusted)
        } else {
            neighbours.include(source).then_some(Trust::Known)
        };
        if !self.names.admit(&mut request, trust) {
            info!(%source, "a stranger is not let into a hosted group");
            return Some(request);
        }
        self.offer(Message::Request(request), source);
        None
    }

    /// Hands on a response that no conversation waits for.
    pub(super) fn take_response(&self, response: Response, source: &Hop) {
        self.offer(Message::Response(response), source);
    }

    /// Where there is no room, a message is lost as a datagram may be; the sender's timers tell.
    fn offer(&self, message: Message, source: &Hop) {
        if self.inbox.try_send(Inbound { message, source: source.clone() }).is_err() {
            warn!(%source, "too many messages wait for the host, dropped");
        }
    }

    /// Tells whether the bridge itself has sent it: a datagram with its own port, or a stream from
    /// its own host, which it shares with nobody whom it does not trust.
    fn is_own(&self, source: &Hop) -> bool {
        let Ok(ip) = source.host.parse::<IpAddr>() else { return false };
        let ip = ip.to_canonical();
        let is_here = match self.own.ip() {
            own if own.is_unspecified() => ip.is_loopback(),
            own => own.to_canonical() == ip,
        };
        is_here && (source.transport.is_reliable() || source.port == self.own.port())
    }
}
