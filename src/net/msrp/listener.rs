//! Accepted connections, until they have named their session.

use std::collections::HashMap;
use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::MsrpSettings;
use super::line::Line;
use super::web;
use super::wire::ByteWire;
use crate::bridge::Shown;
use crate::store::{Letter, MsrpArrival, MsrpWay, MsrpWire, Sessions};

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// MSRP over TCP.
    Tcp,
    /// MSRP over TLS.
    Tls,
    /// MSRP over WebSocket (RFC 7977).
    Ws,
    /// MSRP over WebSocket over TLS.
    Wss,
}

/// Accepts MSRP connections and hands each to the session that its first frame names.
#[derive(Debug)]
pub struct MsrpListener {
    listener: TcpListener,
    service: Service,
    settings: MsrpSettings,
}

impl MsrpListener {
    /// Binds the first free port of `ports` ports from `listen` upward.
    ///
    /// # Errors
    /// None of them is free, or the address is not ours.
    pub async fn bind(listen: SocketAddr, ports: u16, settings: MsrpSettings) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for step in 0..ports.max(1) {
            let Some(port) = listen.port().checked_add(step) else { break };
            match TcpListener::bind(SocketAddr::new(listen.ip(), port)).await {
                Ok(listener) => return Ok(Self { listener, service: Service::Tcp, settings }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Makes it speak something else than MSRP over TCP.
    #[must_use]
    pub fn serving(self, service: Service) -> Self {
        Self { service, ..self }
    }

    /// Gives the address that is listened on.
    ///
    /// # Errors
    /// The socket cannot say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts connections until the server stops.
    pub async fn run(self, sessions: Arc<Sessions>, stop: CancellationToken, tasks: TaskTracker) {
        let unbound = Unbound::new(&self.settings);
        let settings = Arc::new(self.settings);
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "accepting an MSRP connection failed");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let Some(place) = unbound.admit(peer.ip()) else {
                warn!(%peer, "too many MSRP connections without a session, closed");
                continue;
            };
            let (sessions, settings) = (Arc::clone(&sessions), Arc::clone(&settings));
            let (service, stop) = (self.service, stop.clone());
            tasks.spawn(async move {
                let _place = place;
                // In a box: tasks are aligned to the lines of the cache, and where many large ones
                // come and go between what stays, few allocators fill their places again.
                let welcome = Box::pin(welcome(stream, service, (&settings, &sessions)));
                let bound = tokio::select! {
                    () = stop.cancelled() => return,
                    bound = timeout(settings.bind_timeout, welcome) => bound,
                };
                match bound {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => debug!(%peer, %error, "MSRP connection closed"),
                    Err(_) => debug!(%peer, "MSRP connection named no session in time, closed"),
                }
            });
        }
    }
}

/// How long accepting rests when the system has nothing left to give.
const PAUSE: Duration = Duration::from_millis(100);

/// The places for connections that have named no session yet.
struct Unbound {
    all: Arc<Semaphore>,
    by_source: Arc<Mutex<HashMap<IpAddr, usize>>>,
    per_source: usize,
}

/// The place of one connection, given back when dropped.
struct Place {
    _of_all: OwnedSemaphorePermit,
    source: IpAddr,
    by_source: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Unbound {
    fn new(settings: &MsrpSettings) -> Self {
        Self {
            all: Arc::new(Semaphore::new(settings.unbound)),
            by_source: Arc::default(),
            per_source: settings.unbound_per_source,
        }
    }

    /// Gives a place, if there is one for this address.
    fn admit(&self, address: IpAddr) -> Option<Place> {
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let source = source(address);
        let mut taken = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(source).or_default();
        if *count >= self.per_source {
            return None;
        }
        *count += 1;
        Some(Place { _of_all: of_all, source, by_source: Arc::clone(&self.by_source) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.source);
            }
        }
    }
}

/// Gives what stands for one subscriber: an address, or the network that is handed to one in IPv6.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
    }
}

/// Takes the handshakes of a connection, then its first frame.
async fn welcome(
    stream: TcpStream,
    service: Service,
    (settings, sessions): (&MsrpSettings, &Sessions),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match service {
        Service::Tcp => {
            let wire = Box::new(ByteWire::new(stream));
            introduce(Line::new(wire, &settings.framing, Shown::default()), sessions).await
        }
        // Handshakes need much more room than all that comes after them.
        Service::Ws => {
            let line = Box::pin(line(stream, service, (settings, Shown::default()))).await?;
            introduce(line, sessions).await
        }
        Service::Tls | Service::Wss => {
            let line = Box::pin(line_under_tls(stream, service, settings)).await?;
            introduce(line, sessions).await
        }
    }
}

async fn line_under_tls(
    stream: TcpStream,
    service: Service,
    settings: &MsrpSettings,
) -> io::Result<Line> {
    let tls = settings.tls.as_ref();
    let tls = tls.ok_or_else(|| io::Error::other("there is no certificate"))?;
    let stream = tls.accept(stream).await?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = certificate.map(|it| Bytes::copy_from_slice(it));
    let shown = Shown { secure: true, certificate };
    line(stream, service, (settings, shown)).await
}

async fn line<S>(
    stream: S,
    service: Service,
    (settings, shown): (&MsrpSettings, Shown),
) -> io::Result<Line>
where
    S: AsyncRead + AsyncWrite + Debug + Send + Unpin + 'static,
{
    let wire: Box<dyn MsrpWire> = match service {
        Service::Ws | Service::Wss => Box::new(web::accept(stream, settings).await?),
        Service::Tcp | Service::Tls => Box::new(ByteWire::new(stream)),
    };
    Ok(Line::new(wire, &settings.framing, shown))
}

/// Reads the first frame and hands the connection to the session that its To-Path names.
async fn introduce(mut line: Line, sessions: &Sessions) -> io::Result<()> {
    let first = loop {
        match line.parsed() {
            Some(Ok(frame)) => break frame,
            Some(Err(why)) => {
                line.refuse(&why);
                line.flush().await?;
                return Err(io::Error::other(why));
            }
            None => {}
        }
        if line.unparsed() > UNBOUND_BYTES {
            return Err(io::Error::other("too much came before a session was named"));
        }
        line.transfer().await?;
    };
    let named = first.to_path.first().session_id();
    let Some(inbox) = named.and_then(|session_id| sessions.msrp_session(session_id)) else {
        line.answer(&first, 481);
        line.flush().await?;
        return Err(io::Error::other("it names a session that is not here"));
    };
    let shown = line.shown.clone();
    let way = MsrpWay::Own(Box::new(line.into_connection()));
    let letter = Letter::Msrp(Box::new(MsrpArrival { first, shown, way }));
    inbox.deliver(letter).await.map_err(|_| io::Error::other("its session is gone"))
}

/// How many bytes a connection may send before its first frame is whole.
const UNBOUND_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_does_not_take_the_places_of_all() {
        let settings =
            MsrpSettings { unbound: 3, unbound_per_source: 2, ..MsrpSettings::default() };
        let unbound = Unbound::new(&settings);
        let from = |text: &str| text.parse().ok().and_then(|address| unbound.admit(address));
        let (one, two) = (from("192.0.2.1"), from("::ffff:192.0.2.1"));
        assert!(one.is_some() && two.is_some() && from("192.0.2.1").is_none());
        let other = from("2001:db8::1");
        assert!(other.is_some() && from("198.51.100.1").is_none(), "three places in all");
        drop((one, two));
        let third = from("2001:db8::ffff:1");
        assert!(third.is_some() && from("2001:db8::2").is_none(), "one network");
        drop((other, third));
        let taken = unbound.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(taken.is_empty());
    }
}
