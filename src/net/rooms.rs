//! The MSRP of the focus: a task for each seat moves its bytes, and none waits for another.
//!
//! ```text
//! listener ──first frame──▶ directory ──Letter──▶ seat: MsrpLink ── connection ──▶ participant
//!                                                  ▲  │
//!                                          Order   │  │ News, a batch at a time
//!                                                  │  ▼
//!                                             the IM server's loop
//! ```
//! The loop never waits for a seat. A session has no more on its way than its window, and a seat tells
//! no more before it has its orders about what it has told, so that these have room whatever its
//! participant does; where they have none all the same, the seat is cut off.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::msrp::{MsrpLink, MsrpListener, MsrpSettings, Reach};
use crate::im_server::{MediaOutput, SeatId};
use crate::msrp;
use crate::store::{Bounds, Inbox, Letter, Letters, Sessions};

/// The listener of the focus, with what its seats go by.
#[derive(Debug)]
pub struct RoomSockets {
    /// Where participants connect.
    pub listener: MsrpListener,
    /// Bounds and deadlines.
    pub settings: MsrpSettings,
}

/// All seats of the focus.
pub(super) struct Seats {
    settings: MsrpSettings,
    sessions: Arc<Sessions>,
    seats: HashMap<SeatId, Seat>,
    news: mpsc::Sender<News>,
    tasks: TaskTracker,
}

/// What has happened at a seat, in order.
pub(super) struct News {
    pub(super) seat: SeatId,
    pub(super) inputs: Vec<msrp::Input>,
    /// To be dropped once the seat has its orders about them.
    pub(super) permit: OwnedSemaphorePermit,
}

/// The way to the task of a seat.
struct Seat {
    orders: mpsc::Sender<Order>,
    session_id: String,
}

enum Order {
    Connect { host: String, port: u16 },
    Write(Bytes),
    WriteParts([Bytes; 3]),
    Close,
}

impl Seats {
    /// Starts to listen; gives the seats, of which there are none yet, and what they will tell.
    pub(super) fn open(
        sockets: RoomSockets,
        (stop, tasks): (CancellationToken, TaskTracker),
    ) -> (Self, mpsc::Receiver<News>) {
        let RoomSockets { listener, settings } = sockets;
        let (sessions, _) = Sessions::new(Bounds { inbox: LETTERS, ..Bounds::default() });
        let sessions = Arc::new(sessions);
        tasks.spawn(listener.run(Arc::clone(&sessions), stop, tasks.clone()));
        let (news, told) = mpsc::channel(NEWS);
        (Self { settings, sessions, seats: HashMap::new(), news, tasks }, told)
    }

    /// Carries out a wish; tells whether the seat could take it.
    pub(super) fn carry_out(&mut self, seat: SeatId, output: MediaOutput) -> bool {
        let order = match output {
            MediaOutput::Open { session_id } => {
                self.enter(seat, session_id);
                return true;
            }
            MediaOutput::Connect { host, port } => Order::Connect { host, port },
            MediaOutput::Write(bytes) => Order::Write(bytes),
            MediaOutput::WriteParts(parts) => Order::WriteParts(parts),
            MediaOutput::Close => {
                self.leave(seat, true);
                return true;
            }
        };
        let Some(taken) = self.seats.get(&seat).map(|it| it.orders.try_send(order).is_ok()) else {
            return true;
        };
        if !taken {
            debug!("a seat takes no more orders, cut off");
            self.leave(seat, false);
        }
        taken
    }

    fn enter(&mut self, seat: SeatId, session_id: String) {
        let (inbox, letters) = Inbox::new(LETTERS);
        self.sessions.route_msrp(&session_id, inbox);
        let (orders, waiting) = mpsc::channel(ORDERS);
        let link = MsrpLink::new(self.settings.clone(), Arc::clone(&self.sessions), &session_id);
        let permits = Arc::new(Semaphore::new(UNANSWERED));
        let sitter = Sitter { seat, link, news: self.news.clone(), permits };
        self.tasks.spawn(sitter.run(waiting, letters));
        self.seats.insert(seat, Seat { orders, session_id });
    }

    fn leave(&mut self, seat: SeatId, politely: bool) {
        let Some(Seat { orders, session_id }) = self.seats.remove(&seat) else { return };
        self.sessions.forget_msrp(&session_id);
        if politely {
            // A seat that has no room for it hears that there is nobody any more.
            drop(orders.try_send(Order::Close));
        }
    }
}

/// The task of a seat.
struct Sitter {
    seat: SeatId,
    link: MsrpLink,
    news: mpsc::Sender<News>,
    permits: Arc<Semaphore>,
}

impl Sitter {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, mut letters: Letters) {
        let permits = Arc::clone(&self.permits);
        let (mut permit, mut burst) = (None, 1);
        'sitting: loop {
            if permit.is_none() {
                permit = Arc::clone(&permits).try_acquire_owned().ok();
            }
            let may_tell = permit.is_some();
            let mut inputs = Vec::new();
            tokio::select! {
                // Orders first: what is written together leaves together.
                biased;
                order = orders.recv() => {
                    let mut next = order.unwrap_or(Order::Close);
                    while self.obey(next) {
                        match orders.try_recv() {
                            Ok(order) => next = order,
                            Err(TryRecvError::Empty) => continue 'sitting,
                            Err(TryRecvError::Disconnected) => break,
                        }
                    }
                    return self.close().await;
                }
                granted = async { Arc::clone(&permits).acquire_owned().await }, if !may_tell => {
                    permit = granted.ok();
                }
                Some(letter) = letters.recv(), if may_tell => if let Letter::Msrp(arrival) = letter {
                    inputs.extend(self.link.adopt(*arrival).map(msrp::Input::Frame));
                },
                event = self.link.next(), if may_tell => {
                    // There will be about as many as the last time.
                    inputs.reserve(burst);
                    inputs.push(event);
                }
            }
            while may_tell
                && inputs.len() < BATCH
                && let Some(event) = self.link.buffered()
            {
                inputs.push(event);
            }
            if !inputs.is_empty()
                && let Some(permit) = permit.take()
            {
                burst = inputs.len();
                let news = News { seat: self.seat, inputs, permit };
                if self.news.send(news).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Carries out an order; tells whether there may be others.
    fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Connect { host, port } => {
                let fingerprints = Vec::new();
                self.link.connect(Reach { host, port, secure: false, fingerprints });
            }
            Order::Write(bytes) => self.link.write(bytes),
            Order::WriteParts(parts) => self.link.write_parts(parts),
            Order::Close => return false,
        }
        true
    }

    /// Writes what is left, if the participant takes it in time, and closes the connection.
    async fn close(mut self) {
        self.link.close_when_flushed();
        let gone = async { while self.link.is_open() && !is_end(&self.link.next().await) {} };
        if timeout(FAREWELL, gone).await.is_err() {
            debug!("a participant does not take its last bytes");
        }
    }
}

fn is_end(event: &msrp::Input) -> bool {
    matches!(event, msrp::Input::Closed)
}

/// How many arrivals wait for a seat; more than one is a mistake already.
const LETTERS: usize = 2;
/// How many batches of news of a seat wait for its orders.
const UNANSWERED: usize = 4;
/// How many orders wait for the task of a seat: far more than its window, and an answer and a report
/// for each frame of its unanswered news.
const ORDERS: usize = 1024;
/// How many batches of news wait for the loop.
const NEWS: usize = 1024;
/// How many frames a seat tells at a time.
const BATCH: usize = 64;
/// How long a participant may take to read its last bytes.
const FAREWELL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::BytesMut;
    use memchr::memmem;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn who_says_very_much_at_once_keeps_its_seat() {
        const SAID: usize = 3 * ORDERS;
        let (settings, anywhere) = (MsrpSettings::default(), "127.0.0.1:0".parse().unwrap());
        let listener = MsrpListener::bind(anywhere, 1, settings.clone()).await.unwrap();
        let place = listener.local_addr().unwrap();
        let ending = (CancellationToken::new(), TaskTracker::new());
        let (mut seats, mut told) = Seats::open(RoomSockets { listener, settings }, ending);
        let seat = SeatId::made_up();
        assert!(seats.carry_out(seat, MediaOutput::Open { session_id: "seat".into() }));
        let participant = tokio::spawn(async move {
            let mut stream = TcpStream::connect(place).await.unwrap();
            let said: String = (0..SAID)
                .map(|at| {
                    format!(
                        "MSRP tid{at} SEND\r\nTo-Path: msrp://{place}/seat;tcp\r\n\
                         From-Path: msrp://127.0.0.1:9/me;tcp\r\nMessage-ID: {at}\r\n\
                         Content-Type: text/plain\r\n\r\nhi\r\n-------tid{at}$\r\n"
                    )
                })
                .collect();
            stream.write_all(said.as_bytes()).await.unwrap();
            let (mut seen, mut answered) = (Vec::new(), 0);
            while answered < SAID {
                assert!(stream.read_buf(&mut seen).await.unwrap() > 0, "cut off at {answered}");
                answered = memmem::find_iter(&seen, b" 200 OK\r\n").count();
            }
        });
        // The loop is busy elsewhere, until the seat has told all that it may.
        let mut quiet = 0;
        while quiet < 5000 {
            let before = told.len();
            yield_now().await;
            quiet = if before > 0 && told.len() == before { quiet + 1 } else { 0 };
        }
        let (mut news, mut answered) = (Vec::new(), 0);
        while answered < SAID {
            told.recv_many(&mut news, 64).await;
            let mut heard = Vec::new();
            for News { inputs, permit, .. } in news.drain(..) {
                heard.push(permit);
                for input in inputs {
                    let msrp::Input::Frame(frame) = input else { panic!("{input:?}") };
                    let mut answer = BytesMut::new();
                    assert!(frame.write_answer(200, &mut answer));
                    let order = MediaOutput::Write(answer.freeze());
                    assert!(seats.carry_out(seat, order), "cut off at {answered}");
                    answered += 1;
                }
            }
        }
        participant.await.unwrap();
    }
}
