//! The SIP sockets of one element: UDP and TCP on one address.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::sip_outbound::{Inbound, Shared, SipOutbound, SipSettings};
use super::{sip_tcp, sip_udp};
use crate::store::Connections;

/// Bound sockets: the way out, and what comes in.
pub struct SipSockets {
    /// The way out.
    pub outbound: SipOutbound,
    /// What comes in, from all sockets.
    pub inbound: mpsc::Receiver<Inbound>,
    /// The address; its port is the real one where `0` was asked for.
    pub local: SocketAddr,
}

/// Binds UDP and TCP on `listen` and starts to read.
///
/// # Errors
/// The address is in use or not ours.
pub async fn bind(
    listen: SocketAddr,
    settings: SipSettings,
    stop: CancellationToken,
    tasks: TaskTracker,
) -> io::Result<SipSockets> {
    let (udp, listener) = bind_pair(listen).await?;
    let local = udp.local_addr()?;
    let (inbound, received) = mpsc::channel(settings.inbound_queue.max(1));
    let connections = Connections::default();
    let shared =
        Arc::new(Shared { udp, connections, inbound, settings, stop, tasks: tasks.clone() });
    tasks.spawn(sip_udp::receive(Arc::clone(&shared)));
    tasks.spawn(sip_tcp::accept(Arc::clone(&shared), listener));
    Ok(SipSockets { outbound: SipOutbound { shared }, inbound: received, local })
}

/// Binds both transports to one port; with port `0`, looks for one that is free for both.
async fn bind_pair(listen: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
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
