//! Datagrams in: read, decode, hand on; what cannot be a message is answered at once.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::sip_outbound::{Inbound, Shared, stateless};
use crate::sip::{Decoded, Hop, KeepAlive, Message, Transport, decode_datagram};

/// The largest datagram that UDP carries.
const MAX_DATAGRAM: usize = 65_535;

/// Reads datagrams until the server stops.
pub(super) async fn receive(shared: Arc<Shared>) {
    let mut buffer = vec![0_u8; MAX_DATAGRAM];
    loop {
        let received = tokio::select! {
            () = shared.stop.cancelled() => return,
            received = shared.udp.recv_from(&mut buffer) => received,
        };
        match received {
            Ok((length, peer)) => {
                let bytes = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
                take(&shared, bytes, peer);
            }
            // An ICMP error of an earlier datagram surfaces here: transactions time out by themselves.
            Err(error) => debug!(%error, "UDP receive failed"),
        }
    }
}

fn take(shared: &Shared, bytes: Bytes, peer: SocketAddr) {
    let source = Hop::new(Transport::Udp, &peer.ip().to_string(), peer.port());
    match decode_datagram(bytes, &shared.settings.wire) {
        Decoded::Message(message) => hand_on(shared, message, source),
        Decoded::KeepAlive(KeepAlive::Ping) => send(shared, b"\r\n", peer),
        Decoded::KeepAlive(KeepAlive::Pong) => {}
        Decoded::Reject { answer, why } => {
            debug!(%source, %why, "SIP message refused");
            if let Some(answer) = answer {
                let (bytes, hop) = stateless(answer, &source);
                send(shared, &bytes, SocketAddr::new(peer.ip(), hop.port));
            }
        }
        Decoded::Fatal(why) => debug!(%source, %why, "no SIP message"),
    }
}

fn hand_on(shared: &Shared, message: Message, source: Hop) {
    match shared.inbound.try_send(Inbound { message, source }) {
        Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
        // The peer sends it again: that is the back-pressure that UDP has.
        Err(mpsc::error::TrySendError::Full(inbound)) => {
            warn!(source = %inbound.source, "SIP queue full, datagram dropped");
        }
    }
}

fn send(shared: &Shared, bytes: &[u8], peer: SocketAddr) {
    if let Err(error) = shared.udp.try_send_to(bytes, peer) {
        debug!(%peer, %error, "UDP send failed");
    }
}
