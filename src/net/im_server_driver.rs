//! The loop of an element of the network beside the conversations: the embedded IM server with its
//! own sockets, or the host of our users' groups, which shares those of the bridge.

use std::future::pending;

use tokio::sync::mpsc;
use tokio::time::{Instant as Tick, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::driver::now;
use super::rooms::{News, RoomSockets, Seats};
use super::sip::SipSockets;
use super::sip_outbound::{Inbound, SipOutbound};
use crate::im_server::{Element, ImServer, Input, Output};
use crate::msrp;
use crate::sip::Hop;
use crate::store::connections::OnFailure;

/// How many failed sends wait to be told to the machine.
const FAILURES: usize = 256;

/// How many batches of news are taken before timers and SIP have their turn.
const BATCHES: usize = 64;

/// Drives the IM server on its own sockets until the server stops; `rooms` are the sockets of its
/// focus, if it has one.
pub async fn run(
    server: ImServer,
    SipSockets { outbound, inbound, .. }: SipSockets,
    rooms: Option<RoomSockets>,
    ending: (CancellationToken, TaskTracker),
) {
    run_element(server, (outbound, inbound), rooms, ending).await;
}

/// Drives an element until the server stops; `rooms` are the sockets of its focus, if it has one.
pub async fn run_element<E: Element>(
    server: E,
    (outbound, mut inbound): (SipOutbound, mpsc::Receiver<Inbound>),
    rooms: Option<RoomSockets>,
    (stop, tasks): (CancellationToken, TaskTracker),
) {
    let (failed, mut failures) = mpsc::channel::<Hop>(FAILURES);
    let (seats, mut told) = match rooms {
        Some(rooms) => {
            let (seats, told) = Seats::open(rooms, (stop.clone(), tasks));
            (Some(seats), Some(told))
        }
        None => (None, None),
    };
    let mut driver = Driver { server, outbound, failed, seats };
    let (mut news, mut heard) = (Vec::with_capacity(BATCHES), Vec::new());
    loop {
        driver.carry_out();
        // What a seat is to do about its news is ordered: it may tell more.
        heard.clear();
        let deadline = driver.server.next_timeout().map(Tick::from_std);
        let timer = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        let at_seats = async {
            match &mut told {
                Some(told) => told.recv_many(&mut news, BATCHES).await,
                None => pending().await,
            }
        };
        let input = tokio::select! {
            () = stop.cancelled() => {
                driver.server.handle(now(), Input::Stop);
                return driver.carry_out();
            }
            Some(Inbound { message, source }) = inbound.recv() => {
                Some(Input::Message { message, source })
            }
            Some(hop) = failures.recv() => Some(Input::SendFailed { hop }),
            _ = at_seats => None,
            () = timer => Some(Input::Timeout),
        };
        let now = now();
        if let Some(input) = input {
            driver.server.handle(now, input);
        }
        for News { seat, inputs, permit } in news.drain(..) {
            heard.push(permit);
            driver.server.handle(now, Input::Media { seat, inputs });
        }
    }
}

/// The machine with the hands that carry out its wishes.
struct Driver<E> {
    server: E,
    outbound: SipOutbound,
    failed: mpsc::Sender<Hop>,
    seats: Option<Seats>,
}

impl<E: Element> Driver<E> {
    fn carry_out(&mut self) {
        while let Some(output) = self.server.poll() {
            match output {
                Output::Send { bytes, hop } => {
                    let (failed, to) = (self.failed.clone(), hop.clone());
                    let tell = OnFailure::new(move || {
                        if failed.try_send(to).is_err() {
                            warn!("too many failed sends at an element, its timers will tell");
                        }
                    });
                    self.outbound.send(bytes, &hop, tell);
                }
                Output::Media { seat, output } => {
                    let taken =
                        self.seats.as_mut().is_none_or(|seats| seats.carry_out(seat, output));
                    if !taken {
                        let inputs = vec![msrp::Input::Closed];
                        self.server.handle(now(), Input::Media { seat, inputs });
                    }
                }
            }
        }
    }
}
