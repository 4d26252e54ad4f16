//! The SIP sockets of one element: UDP and TCP on one address, TLS on another.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::SockRef;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::dns::Dns;
use super::sip_outbound::{Inbound, Shared, SipOutbound, SipSettings};
use super::tls::{Tls, TlsFault};
use super::{sip_tcp, sip_udp};
use crate::sip::Transport;
use crate::store::Connections;

/// Bound sockets: the way out, and what comes in.
pub struct SipSockets {
    /// The way out.
    pub outbound: SipOutbound,
    /// What comes in, from all sockets.
    pub inbound: mpsc::Receiver<Inbound>,
    /// The address; its port is the real one where `0` was asked for.
    pub local: SocketAddr,
    /// The address that takes TLS, if there is one.
    pub tls: Option<SocketAddr>,
}

/// Binds UDP and TCP on `listen`, and TLS where the settings say, and starts to read.
///
/// # Errors
/// An address is in use or not ours, or the files of TLS have faults.
pub async fn bind(
    listen: SocketAddr,
    settings: SipSettings,
    stop: CancellationToken,
    tasks: TaskTracker,
) -> io::Result<SipSockets> {
    let (udp, listener) = bind_pair(listen).await?;
    if let Err(error) = SockRef::from(&udp).set_recv_buffer_size(settings.receive_buffer) {
        debug!(%error, "the receive buffer stays as it is");
    }
    // Until it is asked once, the socket does not know that it can be written, and would lose the
    // first datagram.
    udp.writable().await?;
    let local = udp.local_addr()?;
    if let Some(tether) = &settings.tether {
        tether.permit(local);
    }
    let secure = match settings.tls.listen {
        Some(listen) => Some(TcpListener::bind(listen).await.map_err(|error| {
            io::Error::new(error.kind(), format!("tls_listen = \"{listen}\": {error}"))
        })?),
        None => None,
    };
    let tls_place = secure.as_ref().map(TcpListener::local_addr).transpose()?;
    let tls = Tls::new(settings.tls.clone()).map_err(|faults| unfit(&faults))?;
    let (inbound, received) = mpsc::channel(settings.inbound_queue.max(1));
    let shared = Arc::new(Shared {
        udp,
        local,
        connections: Connections::default(),
        accepted: Arc::new(Semaphore::new(settings.connections)),
        opened: Arc::new(Semaphore::new(settings.connections)),
        tls,
        inbound,
        dns: Dns::new(settings.dns.clone(), local),
        settings,
        stop,
        tasks: tasks.clone(),
    });
    tasks.spawn(sip_udp::receive(Arc::clone(&shared)));
    tasks.spawn(sip_tcp::accept(Arc::clone(&shared), listener, Transport::Tcp));
    if let Some(listener) = secure {
        tasks.spawn(sip_tcp::accept(Arc::clone(&shared), listener, Transport::Tls));
    }
    if shared.tls.is_worth_watching() {
        tasks.spawn(watch(Arc::clone(&shared)));
    }
    Ok(SipSockets { outbound: SipOutbound { shared }, inbound: received, local, tls: tls_place })
}

/// Looks at the files of TLS again and again until the server stops.
async fn watch(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = sleep(shared.tls.settings().reload) => {}
        }
        let looking = Arc::clone(&shared);
        if let Err(error) = spawn_blocking(move || looking.tls.refresh()).await {
            debug!(%error, "the files of TLS could not be looked at");
        }
    }
}

fn unfit(faults: &[TlsFault]) -> io::Error {
    let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
    io::Error::new(io::ErrorKind::InvalidInput, all.join("; "))
}

/// Binds both transports to one port; with port `0`, looks for one that is free for both.
pub(super) async fn bind_pair(listen: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    const TRIES: usize = 16;
    let mut last = None;
    for _ in 0..TRIES {
        let udp = UdpSocket::bind(listen).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if listen.port() == 0 => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrInUse)))
}
