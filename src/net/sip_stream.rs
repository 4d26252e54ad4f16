//! One stream of SIP: framed by Content-Length, read and written until either end is gone.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant as Tick, sleep_until, timeout};
use tracing::debug;

use super::driver::now;
use super::heartbeat::{Beat, Heartbeat, JITTER};
use super::sip_outbound::{Inbound, Shared, stateless};
use super::tls_identity::PeerProof;
use super::unanswered::Unanswered;
use crate::sip::{Decoded, Hop, KeepAlive, Message, Request, StreamDecoder, Transport};
use crate::store::connections::{Failure, Line, LineId, OnFailure, Outgoing, Place};

/// A connection that stands, with its place in the directory.
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) place: Place,
    pub(super) id: LineId,
    pub(super) opener: Opener,
    /// One of the places that there are for connections.
    pub(super) _permit: OwnedSemaphorePermit,
}

/// Who has opened a connection.
pub(super) enum Opener {
    /// We: it is for us to ping.
    Us,
    /// The peer, who may want to be reached through it (RFC 5923).
    Peer {
        line: Line,
        /// What it has shown under TLS.
        proof: Option<Arc<PeerProof>>,
    },
}

/// What the two directions of one connection share.
struct Flow {
    connection: Connection,
    source: Hop,
    heartbeat: Option<Mutex<Heartbeat>>,
    unanswered: Mutex<Unanswered>,
    /// Where the peer is reached through this connection, beside where it comes from.
    alias: Mutex<Option<Place>>,
}

/// How much is read at once, in bytes.
const READ_SIZE: usize = 16 * 1024;

/// The least room that is worth a read, in bytes.
const LEAST_ROOM: usize = 2 * 1024;

/// How many messages are written at once.
const BATCH: usize = 64;

/// How many replies that the connection itself owes may wait.
const REPLIES: usize = 16;

/// How long saying goodbye may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Reads and writes until either end is gone; then whatever waits here fails at once, so that its
/// senders can go another way.
pub(super) async fn run(
    connection: Connection,
    (reader, mut writer): (impl AsyncRead, impl AsyncWrite + Unpin),
    mut waiting: mpsc::Receiver<Outgoing>,
) {
    let flow = Flow::new(connection);
    let (replies, mut owed) = mpsc::channel(REPLIES);
    let mut pen = Pen { is_down: false, writing: Vec::new() };
    let mut reader = pin!(reader);
    tokio::select! {
        () = flow.connection.shared.stop.cancelled() => {}
        () = flow.read(reader.as_mut(), replies) => {}
        () = flow.write(&mut writer, (&mut waiting, &mut owed), &mut pen) => {}
    }
    flow.leave();
    fail_all(&mut waiting);
    let is_whole = !pen.is_down;
    pen.writing.into_iter().for_each(OnFailure::call);
    let unanswered = lock(&flow.unanswered).take();
    unanswered.for_each(|it| it.tell(Failure::Unanswered));
    let last: BytesMut = std::iter::from_fn(|| owed.try_recv().ok()).flatten().collect();
    let last = if is_whole { last } else { BytesMut::new() };
    // Whether the peer hears it changes nothing.
    drop(timeout(FAREWELL, part(reader, &mut writer, &last)).await);
}

/// What is about to be written, and whether a part of it has been.
struct Pen {
    is_down: bool,
    writing: Vec<OnFailure>,
}

/// Ends a stream. To a peer who is still owed the refusal of what he has sent, that is said first;
/// and then he is heard out, for the system cuts off whom nobody listens to, and he would never
/// read it.
async fn part(
    mut reader: Pin<&mut impl AsyncRead>,
    writer: &mut (impl AsyncWrite + Unpin),
    last: &[u8],
) -> io::Result<()> {
    put(writer, last).await?;
    writer.shutdown().await?;
    let mut unheard = [0; 4096];
    while !last.is_empty() && reader.read(&mut unheard).await? > 0 {}
    Ok(())
}

/// Gives back what waits for a connection that is gone, so that its senders can try another.
pub(super) fn fail_all(waiting: &mut mpsc::Receiver<Outgoing>) {
    waiting.close();
    while let Ok(outgoing) = waiting.try_recv() {
        outgoing.on_failure.call();
    }
}

impl Flow {
    fn new(connection: Connection) -> Self {
        let settings = &connection.shared.settings;
        let heartbeat = settings.ping.filter(|_| matches!(connection.opener, Opener::Us));
        let heartbeat =
            heartbeat.map(|every| Heartbeat::new(now(), every, settings.pong_wait, jitter()));
        let Place { transport, peer } = connection.place;
        Self {
            source: Hop::new(transport, &peer.ip().to_string(), peer.port()),
            heartbeat: heartbeat.map(Mutex::new),
            unanswered: Mutex::new(Unanswered::new(now())),
            alias: Mutex::new(None),
            connection,
        }
    }

    fn leave(&self) {
        let Connection { shared, place, id, .. } = &self.connection;
        shared.connections.leave(*place, *id, *lock(&self.alias));
    }

    async fn read(&self, mut reader: Pin<&mut impl AsyncRead>, replies: mpsc::Sender<Bytes>) {
        let settings = &self.connection.shared.settings;
        let mut decoder = StreamDecoder::new(settings.wire);
        let mut buffer = BytesMut::new();
        loop {
            while let Some(decoded) = decoder.next(&mut buffer) {
                if !self.take(decoded, &replies).await {
                    return;
                }
            }
            if buffer.capacity() - buffer.len() < LEAST_ROOM {
                buffer.reserve(READ_SIZE);
            }
            match timeout(settings.idle_timeout, reader.read_buf(&mut buffer)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0)) => return debug!(source = %self.source, "SIP connection closed"),
                Ok(Err(error)) => return debug!(source = %self.source, %error, "SIP stream broken"),
                // Who has asked something may wait for long (RFC 5923 section 8.3).
                Err(_) if !lock(&self.unanswered).is_empty() => {}
                Err(_) => return debug!(source = %self.source, "SIP connection silent, closed"),
            }
        }
    }

    /// Takes one thing off the stream; tells whether there is more to come.
    async fn take(&self, decoded: Decoded, replies: &mpsc::Sender<Bytes>) -> bool {
        if let Some(heartbeat) = &self.heartbeat {
            lock(heartbeat).hear(decoded == Decoded::KeepAlive(KeepAlive::Pong));
        }
        match decoded {
            Decoded::Message(mut message) => {
                detach(&mut message);
                match &message {
                    Message::Request(request) => self.note_alias(request),
                    Message::Response(response) => lock(&self.unanswered).forget(response),
                }
                let inbound = Inbound { message, source: self.source.clone() };
                // Waiting here is the back-pressure that TCP has; whoever takes it off the queue
                // waits for nobody.
                self.connection.shared.inbound.send(inbound).await.is_ok()
            }
            Decoded::KeepAlive(KeepAlive::Ping) => {
                answer(replies, Bytes::from_static(PONG));
                true
            }
            Decoded::KeepAlive(KeepAlive::Pong) => true,
            Decoded::Reject { answer: reply, why } => {
                debug!(source = %self.source, %why, "SIP message refused");
                if let Some(reply) = reply {
                    answer(replies, stateless(reply, &self.source).0);
                }
                true
            }
            Decoded::Fatal(why) => {
                debug!(source = %self.source, %why, "SIP stream closed");
                false
            }
        }
    }

    /// Enters the connection at the address where its opener says that it is reached: under TLS
    /// only where it has shown who it is (RFC 5923 section 9.2), under TCP, which shows nothing,
    /// only where that is wanted.
    fn note_alias(&self, request: &Request) {
        let Connection { shared, place, id, opener, .. } = &self.connection;
        let Opener::Peer { line, proof } = opener else { return };
        let is_permitted = match place.transport {
            Transport::Udp => false,
            Transport::Tcp => shared.settings.tcp_alias,
            Transport::Tls => proof.as_ref().is_some_and(|proof| proof.is_there()),
        };
        if !is_permitted || !request.headers.get("Via").is_some_and(|via| via.contains("alias")) {
            return;
        }
        let Ok(via) = request.via() else { return };
        let mut alias = lock(&self.alias);
        if alias.is_none() && via.param("alias").is_some() && via.transport == place.transport {
            let port = via.port.unwrap_or(place.transport.default_port());
            let claimed = Place::new(place.transport, SocketAddr::new(place.peer.ip(), port));
            shared.connections.alias(claimed, *id, line.clone());
            *alias = Some(claimed);
        }
    }

    async fn write(
        &self,
        writer: &mut (impl AsyncWrite + Unpin),
        (waiting, owed): (&mut mpsc::Receiver<Outgoing>, &mut mpsc::Receiver<Bytes>),
        pen: &mut Pen,
    ) {
        let deadline = self.connection.shared.settings.write_timeout;
        let mut batch = Vec::new();
        let mut bytes = BytesMut::new();
        loop {
            let due = self.heartbeat.as_ref().map(|it| Tick::from_std(lock(it).next_timeout()));
            tokio::select! {
                count = waiting.recv_many(&mut batch, BATCH) => if count == 0 { return },
                Some(reply) = owed.recv() => bytes.extend_from_slice(&reply),
                () = sleep_until(due.unwrap_or_else(Tick::now)), if due.is_some() => {
                    match self.beat() {
                        Beat::Rest => continue,
                        Beat::Ping => bytes.extend_from_slice(PING),
                        Beat::Dead => {
                            return debug!(source = %self.source, "no pong: SIP connection dead");
                        }
                    }
                }
            }
            self.gather(&mut batch, &mut bytes, &mut pen.writing);
            pen.is_down = true;
            if !matches!(timeout(deadline, put(writer, &bytes)).await, Ok(Ok(()))) {
                return debug!(source = %self.source, "SIP connection cannot be written");
            }
            bytes.clear();
            pen.writing.clear();
            pen.is_down = false;
            // What one large batch has needed is not kept for ever.
            if bytes.capacity() > LARGE {
                bytes = BytesMut::new();
            }
        }
    }

    fn beat(&self) -> Beat {
        let Some(heartbeat) = &self.heartbeat else { return Beat::Rest };
        lock(heartbeat).handle_timeout(now(), jitter())
    }

    /// Puts a batch together. Requests are remembered before they leave, for the answer may come
    /// before the writing is over; what nobody answers is done with once it is written.
    fn gather(
        &self,
        batch: &mut Vec<Outgoing>,
        bytes: &mut BytesMut,
        writing: &mut Vec<OnFailure>,
    ) {
        if batch.is_empty() {
            return;
        }
        let (now, mut unanswered) = (now(), lock(&self.unanswered));
        for outgoing in batch.drain(..) {
            bytes.extend_from_slice(&outgoing.bytes);
            writing.extend(unanswered.remember(now, &outgoing.bytes, outgoing.on_failure));
        }
    }
}

/// A buffer above this, in bytes, is given back.
const LARGE: usize = 64 * 1024;

/// Two line breaks (RFC 5626 section 4.4.1) …
const PING: &[u8] = b"\r\n\r\n";

/// … and the one that answers them.
const PONG: &[u8] = b"\r\n";

async fn put(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}

/// Queues a reply that the connection itself owes; a peer that does not read goes without.
fn answer(replies: &mpsc::Sender<Bytes>, bytes: Bytes) {
    if replies.try_send(bytes).is_err() {
        debug!("a SIP peer does not read its replies");
    }
}

/// Copies a body out of the buffer that it was read into: a message that is kept for long must not
/// keep all that came with it.
fn detach(message: &mut Message) {
    let body = match message {
        Message::Request(request) => &mut request.body,
        Message::Response(response) => &mut response.body,
    };
    if body.len() < READ_SIZE {
        *body = Bytes::copy_from_slice(body);
    }
}

/// Draws by how many percent a pause is shorter, so that not all connections ping at once.
fn jitter() -> u32 {
    let drawn = RandomState::new().hash_one(0) % u64::from(JITTER + 1);
    u32::try_from(drawn).unwrap_or(0)
}

/// What a panic left behind is whole: every change is one step.
fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
