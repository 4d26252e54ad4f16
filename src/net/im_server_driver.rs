//! The loop of the embedded IM server: its own sockets, one machine.

use std::future::pending;

use tokio::sync::mpsc;
use tokio::time::{Instant as Tick, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::driver::now;
use super::sip::SipSockets;
use super::sip_outbound::Inbound;
use crate::im_server::{ImServer, Input, Output};
use crate::sip::Hop;
use crate::store::connections::OnFailure;

/// How many failed sends wait to be told to the machine.
const FAILURES: usize = 256;

/// Drives the IM server until the server stops.
pub async fn run(mut server: ImServer, mut sockets: SipSockets, stop: CancellationToken) {
    let (failed, mut failures) = mpsc::channel::<Hop>(FAILURES);
    loop {
        while let Some(Output::Send { bytes, hop }) = server.poll() {
            let (failed, to) = (failed.clone(), hop.clone());
            let tell = OnFailure::new(move || {
                if failed.try_send(to).is_err() {
                    warn!("too many failed sends at the IM server, its timers will tell");
                }
            });
            sockets.outbound.send(bytes, &hop, tell);
        }
        let deadline = server.next_timeout().map(Tick::from_std);
        let timer = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        let input = tokio::select! {
            () = stop.cancelled() => return,
            Some(Inbound { message, source }) = sockets.inbound.recv() => {
                Input::Message { message, source }
            }
            Some(hop) = failures.recv() => Input::SendFailed { hop },
            () = timer => Input::Timeout,
        };
        server.handle(now(), input);
    }
}
