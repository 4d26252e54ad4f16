//! Datagrams in: read, decode, hand on; what cannot be a message is answered at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::sip_outbound::{Inbound, Shared, stateless};
use crate::sip::{Decoded, Hop, KeepAlive, Message, Transport, decode_datagram};

/// The largest datagram that UDP carries.
const MAX_DATAGRAM: usize = 65_535;

/// How many datagrams are taken before others have their turn.
const BATCH: usize = 64;

/// How long reading rests after a failure, lest one that stays keep a core busy.
const PAUSE: Duration = Duration::from_millis(10);

/// Reads datagrams until the server stops.
pub(super) async fn receive(shared: Arc<Shared>) {
    let mut buffer = vec![0_u8; MAX_DATAGRAM];
    loop {
        let ready = tokio::select! {
            () = shared.stop.cancelled() => return,
            ready = shared.udp.readable() => ready,
        };
        match ready.and_then(|()| drain(&shared, &mut buffer)) {
            Ok(Drained::Dry) => {}
            Ok(Drained::More) => yield_now().await,
            // An ICMP error of an earlier datagram surfaces here: transactions time out by themselves.
            Err(error) => {
                debug!(%error, "UDP receive failed");
                sleep(PAUSE).await;
            }
        }
    }
}

/// What a batch has left.
enum Drained {
    /// Nothing.
    Dry,
    /// Perhaps more.
    More,
}

/// Takes a batch of datagrams. Each is copied out of the one large buffer in its own size, for a
/// message that is kept must not keep 64 KiB with it.
fn drain(shared: &Shared, buffer: &mut [u8]) -> io::Result<Drained> {
    for _ in 0..BATCH {
        match shared.udp.try_recv_from(buffer) {
            Ok((length, peer)) => {
                let bytes = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
                take(shared, bytes, peer);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Drained::Dry),
            Err(error) => return Err(error),
        }
    }
    Ok(Drained::More)
}

fn take(shared: &Shared, bytes: Bytes, peer: SocketAddr) {
    // A socket for both families shows IPv4 peers as mapped addresses, which nobody else knows.
    let host = peer.ip().to_canonical().to_string();
    let source = Hop { transport: Transport::Udp, host, port: peer.port() };
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
    if !shared.may_call(peer, bytes) {
        return;
    }
    if let Err(error) = shared.udp.try_send_to(bytes, peer) {
        debug!(%peer, %error, "UDP send failed");
    }
}
