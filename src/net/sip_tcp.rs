//! Connections of SIP over TCP and TLS: accepted, or opened as they are needed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tracing::{debug, warn};

use super::sip_outbound::Shared;
use super::sip_stream::{self, Connection, Opener, fail_all};
use super::tls_identity::PeerProof;
use crate::sip::Transport;
use crate::store::connections::{Line, Outgoing, Place, Proof, Way};

/// Accepts connections until the server stops.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener, transport: Transport) {
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // Out of file descriptors: let some be given back before the next try.
            Err(error) => {
                warn!(%error, "accepting a SIP connection failed");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&shared.accepted).try_acquire_owned() else {
            warn!(%peer, "too many SIP connections, closed");
            continue;
        };
        let (shared, place) = (Arc::clone(&shared), Place::new(transport, peer));
        let tasks = shared.tasks.clone();
        tasks.spawn(async move { welcome(shared, stream, place, permit).await });
    }
}

/// How long accepting rests when the system has nothing left to give.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes an accepted connection, and its handshake where there is one.
async fn welcome(
    shared: Arc<Shared>,
    stream: TcpStream,
    place: Place,
    permit: OwnedSemaphorePermit,
) {
    if let Err(error) = stream.set_nodelay(true) {
        return debug!(peer = %place.peer, %error, "TCP_NODELAY refused");
    }
    match place.transport {
        Transport::Udp | Transport::Tcp => {
            take(shared, stream.into_split(), (place, None), permit).await;
        }
        Transport::Tls => {
            let handshake = timeout(shared.tls.settings().handshake_timeout, meet(&shared, stream));
            let met = tokio::select! {
                () = shared.stop.cancelled() => return,
                met = handshake => met,
            };
            match met {
                Ok(Ok(stream)) => {
                    let proof = PeerProof::default();
                    proof.take(stream.get_ref().1.peer_certificates());
                    take(shared, split(stream), (place, Some(Arc::new(proof))), permit).await;
                }
                Ok(Err(error)) => debug!(peer = %place.peer, %error, "TLS handshake failed"),
                Err(_) => debug!(peer = %place.peer, "TLS handshake too slow, closed"),
            }
        }
    }
}

async fn meet(shared: &Shared, stream: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
    let config = shared.tls.server();
    let config = config.ok_or_else(|| io::Error::other("there is no certificate"))?;
    TlsAcceptor::from(config).accept(stream).await
}

/// Enters an accepted connection in the directory and runs it.
async fn take(
    shared: Arc<Shared>,
    ends: (impl AsyncRead, impl AsyncWrite + Unpin),
    (place, proof): (Place, Option<Arc<PeerProof>>),
    permit: OwnedSemaphorePermit,
) {
    let (queue, waiting) = mpsc::channel(shared.settings.writer_queue.max(1));
    let line = Line { queue, proof: proof.clone().map(|proof| proof as Arc<dyn Proof>) };
    let id = shared.connections.accept(place, line.clone());
    let opener = Opener::Peer { line, proof };
    let connection = Connection { shared, place, id, opener, _permit: permit };
    sip_stream::run(connection, ends, waiting).await;
}

/// Queues a message for `place`, on a new connection where there is none and one may be opened.
pub(super) fn send(shared: &Arc<Shared>, outgoing: Outgoing, place: Place) {
    let Err(outgoing) = shared.connections.queue(place, outgoing) else { return };
    let Way::To(host) = outgoing.way.clone() else { return outgoing.on_failure.call() };
    if !shared.may_call(place.peer, &outgoing.bytes) {
        return outgoing.on_failure.call();
    }
    let Ok(permit) = Arc::clone(&shared.opened).try_acquire_owned() else {
        warn!(peer = %place.peer, "too many SIP connections, none opened");
        return outgoing.on_failure.call();
    };
    let proof = matches!(place.transport, Transport::Tls).then(|| PeerProof::of(&host));
    let (queue, mut waiting) = mpsc::channel(shared.settings.writer_queue.max(1));
    let line =
        Line { queue: queue.clone(), proof: proof.clone().map(|proof| proof as Arc<dyn Proof>) };
    let Some(id) = shared.connections.enter(place, line, &outgoing.way) else {
        // Somebody else has just opened one: use theirs.
        if let Err(outgoing) = shared.connections.queue(place, outgoing) {
            outgoing.on_failure.call();
        }
        return;
    };
    let first = queue.try_send(outgoing);
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        // The queue has at least one place; where others were faster, the first has to try again.
        if let Err(mpsc::error::TrySendError::Full(outgoing)) = first {
            outgoing.on_failure.call();
        }
        let opened = tokio::select! {
            () = shared.stop.cancelled() => Err(io::ErrorKind::Interrupted.into()),
            opened = open(&shared, place, (&host, proof.as_deref())) => opened,
        };
        let connection = Connection { shared, place, id, opener: Opener::Us, _permit: permit };
        match opened {
            Ok(Opened::Plain(stream)) => {
                sip_stream::run(connection, stream.into_split(), waiting).await;
            }
            Ok(Opened::Secure(stream)) => {
                sip_stream::run(connection, split(*stream), waiting).await;
            }
            Err(error) => {
                debug!(peer = %place.peer, transport = %place.transport, %error, "no SIP connection");
                connection.shared.connections.leave(place, id, None);
                fail_all(&mut waiting);
            }
        }
    });
}

/// A connection that we have opened.
enum Opened {
    Plain(TcpStream),
    Secure(Box<client::TlsStream<TcpStream>>),
}

async fn open(
    shared: &Arc<Shared>,
    place: Place,
    (host, proof): (&str, Option<&PeerProof>),
) -> io::Result<Opened> {
    let stream = timeout(shared.settings.connect_timeout, TcpStream::connect(place.peer)).await??;
    stream.set_nodelay(true)?;
    let Some(proof) = proof else { return Ok(Opened::Plain(stream)) };
    let handshake = timeout(shared.tls.settings().handshake_timeout, secure(shared, host, stream));
    match handshake.await.map_err(io::Error::from).flatten() {
        Ok(stream) => {
            proof.take(stream.get_ref().1.peer_certificates());
            Ok(Opened::Secure(Box::new(stream)))
        }
        Err(error) => {
            warn!(peer = %place.peer, host, %error, "a SIP peer is not reached under TLS");
            Err(error)
        }
    }
}

async fn secure(
    shared: &Arc<Shared>,
    host: &str,
    stream: TcpStream,
) -> io::Result<client::TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let ours = Arc::clone(shared);
    // The first time it reads files.
    let config = spawn_blocking(move || ours.tls.client()).await.map_err(io::Error::other)?;
    let config = config.map_err(|faults| {
        io::Error::other(faults.first().map_or_else(String::new, ToString::to_string))
    })?;
    TlsConnector::from(config).connect(name, stream).await
}
