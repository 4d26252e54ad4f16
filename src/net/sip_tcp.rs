//! Streams of SIP: accepted or opened, framed by Content-Length, one reader and one writer each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::sip_outbound::{Inbound, Shared, stateless};
use crate::sip::{Decoded, Hop, KeepAlive, StreamDecoder, Transport};
use crate::store::connections::{OnFailure, Outgoing};

/// Accepts connections until the server stops.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) if shared.connections.count() < shared.settings.connections => {
                let (queue, waiting) = mpsc::channel(shared.settings.writer_queue.max(1));
                shared.connections.replace(peer, queue);
                run(Arc::clone(&shared), stream, peer, waiting);
            }
            Ok((_, peer)) => warn!(%peer, "too many SIP connections, closed"),
            // Out of file descriptors: let some be given back before the next try.
            Err(error) => {
                warn!(%error, "accepting a SIP connection failed");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Queues a message for `peer`, on a new connection where there is none.
pub(super) fn send(shared: &Arc<Shared>, outgoing: Outgoing, peer: SocketAddr) {
    let Err(outgoing) = shared.connections.queue(peer, outgoing) else { return };
    let (queue, mut waiting) = mpsc::channel(shared.settings.writer_queue.max(1));
    if queue.try_send(outgoing).is_err() {
        // The queue has at least one place, and nobody else holds it yet.
        return;
    }
    if !shared.connections.enter(peer, queue) {
        // Somebody else has just opened one: use theirs.
        if let Ok(outgoing) = waiting.try_recv()
            && let Err(outgoing) = shared.connections.queue(peer, outgoing)
        {
            outgoing.on_failure.call();
        }
        return;
    }
    let shared = Arc::clone(shared);
    shared.tasks.clone().spawn(async move { connect(shared, peer, waiting).await });
}

async fn connect(shared: Arc<Shared>, peer: SocketAddr, mut waiting: mpsc::Receiver<Outgoing>) {
    match timeout(shared.settings.connect_timeout, TcpStream::connect(peer)).await {
        Ok(Ok(stream)) => run(shared, stream, peer, waiting),
        failed => {
            debug!(%peer, ?failed, "no SIP connection");
            fail_all(&mut waiting);
            shared.connections.leave(peer);
        }
    }
}

fn run(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    waiting: mpsc::Receiver<Outgoing>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, %error, "TCP_NODELAY refused");
    }
    let (reader, writer) = stream.into_split();
    let (pongs, pong_orders) = mpsc::channel(4);
    let tasks = shared.tasks.clone();
    let reading = Arc::clone(&shared);
    let closed = shared.stop.child_token();
    let end_other = closed.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = end_other.cancelled() => {}
            () = read(&reading, reader, peer, pongs) => end_other.cancel(),
        }
    });
    tasks.spawn(async move {
        let mut waiting = waiting;
        let deadline = shared.settings.write_timeout;
        tokio::select! {
            () = closed.cancelled() => {}
            () = write(writer, deadline, &mut waiting, pong_orders) => closed.cancel(),
        }
        fail_all(&mut waiting);
        shared.connections.leave(peer);
    });
}

/// Gives back what waits for a connection that is gone, so that its senders can try another.
fn fail_all(waiting: &mut mpsc::Receiver<Outgoing>) {
    waiting.close();
    while let Ok(outgoing) = waiting.try_recv() {
        outgoing.on_failure.call();
    }
}

async fn write(
    mut writer: OwnedWriteHalf,
    deadline: Duration,
    waiting: &mut mpsc::Receiver<Outgoing>,
    mut pongs: mpsc::Receiver<Bytes>,
) {
    loop {
        let outgoing = tokio::select! {
            outgoing = waiting.recv() => outgoing,
            Some(bytes) = pongs.recv() => Some(Outgoing { bytes, on_failure: OnFailure::ignore() }),
        };
        let Some(outgoing) = outgoing else { return };
        if !matches!(timeout(deadline, writer.write_all(&outgoing.bytes)).await, Ok(Ok(()))) {
            outgoing.on_failure.call();
            return;
        }
    }
}

async fn read(
    shared: &Shared,
    mut reader: OwnedReadHalf,
    peer: SocketAddr,
    pongs: mpsc::Sender<Bytes>,
) {
    let source = Hop::new(Transport::Tcp, &peer.ip().to_string(), peer.port());
    let mut decoder = StreamDecoder::new(shared.settings.wire);
    let mut buffer = BytesMut::new();
    loop {
        while let Some(decoded) = decoder.next(&mut buffer) {
            match decoded {
                Decoded::Message(message) => {
                    let inbound = Inbound { message, source: source.clone() };
                    // Waiting here is the back-pressure that TCP has.
                    if shared.inbound.send(inbound).await.is_err() {
                        return;
                    }
                }
                Decoded::KeepAlive(KeepAlive::Ping) => answer(&pongs, Bytes::from_static(b"\r\n")),
                Decoded::KeepAlive(KeepAlive::Pong) => {}
                Decoded::Reject { answer: reply, why } => {
                    debug!(%source, %why, "SIP message refused");
                    if let Some(reply) = reply {
                        answer(&pongs, stateless(reply, &source).0);
                    }
                }
                Decoded::Fatal(why) => {
                    debug!(%source, %why, "SIP stream closed");
                    return;
                }
            }
        }
        let read = timeout(shared.settings.idle_timeout, reader.read_buf(&mut buffer)).await;
        if !matches!(read, Ok(Ok(length)) if length > 0) {
            return;
        }
    }
}

/// Queues a reply that the connection itself owes; a peer that does not read goes without.
fn answer(replies: &mpsc::Sender<Bytes>, bytes: Bytes) {
    if replies.try_send(bytes).is_err() {
        debug!("a SIP peer does not read its replies");
    }
}
