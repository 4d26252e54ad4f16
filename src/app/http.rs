//! The HTTP server: who may connect, over TLS or not, and what stands between a connection and the
//! resources.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::{Server, ServerBuilder, ServerHandle};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::{App, web};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::lobby::Lobby;
use super::{named, settings};
use crate::access::Crowd;
use crate::config::{Config, Rest};
use crate::net::WebTls;
use crate::rest::{self, Doorway, Face, HeadLimits, Patience};

/// A socket that listens, before anybody is served on it.
pub(super) struct Listening {
    socket: std::net::TcpListener,
    pub(super) address: SocketAddr,
    tls: Option<Arc<WebTls>>,
}

/// Binds the socket, and reads the certificate where there is one.
///
/// # Errors
/// The socket cannot be bound, or the files of TLS are no use; the error names it.
pub(super) fn bind(rest: &Rest) -> io::Result<Listening> {
    let listen = || {
        let socket = match rest.listen {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(rest.listen)?;
        socket.listen(BACKLOG)?.into_std()
    };
    let socket = named("[rest] listen", rest.listen, listen())?;
    let tls = match rest.certificate {
        Some(_) => Some(Arc::new(WebTls::read(rest.tls()).map_err(|faults| {
            let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
            io::Error::new(io::ErrorKind::InvalidInput, format!("[rest] {}", all.join("; ")))
        })?)),
        None => None,
    };
    Ok(Listening { address: socket.local_addr()?, socket, tls })
}

/// Serves the API, and gives the handle to stop that.
pub(super) fn serve(
    config: &Config,
    Listening { socket, address, tls }: Listening,
    face: web::Data<Face>,
    (stop, tasks): (&CancellationToken, &TaskTracker),
) -> io::Result<ServerHandle> {
    if let Some(tls) = &tls {
        tasks.spawn(Arc::clone(tls).watch(stop.clone()));
    }
    let limits = &config.limits;
    let entrance = Entrance {
        crowd: Arc::new(Mutex::new(Crowd::new(limits.rest_connections, limits.rest_per_source))),
        tls,
        head: settings::head(config),
        patience: settings::patience(config),
    };
    let idle = config.rest.idle_timeout;
    let base = face.settings.base();
    let builder = Server::build()
        // The entrance counts; the server need not.
        .max_concurrent_connections(limits.rest_connections.saturating_add(1))
        .shutdown_timeout(2)
        .disable_signals();
    let ending = builder.graceful_shutdown_signal();
    let serve_one = move || {
        let (ending, entrance) = (ending.clone(), entrance.clone());
        let app = || {
            let app = App::new().configure(rest::configure(face.clone())).into_factory();
            map_config(app, |()| AppConfig::default())
        };
        let until = ending.clone();
        let http = HttpService::build()
            .keep_alive(idle)
            // The doorway keeps an eye on every head, not on the first one only.
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(Duration::from_secs(1))
            // A client that has hung up while it polled must not be taken for one that has read.
            .h1_allow_half_closed(false)
            .local_addr(address)
            .graceful_shutdown_signal(move || {
                let ending = until.clone();
                async move { ending.notified().await }
            });
        let http = http.h1(app().map_err(|error: actix_web::Error| error.error_response()));
        let lobby = Lobby { polls: app(), http, base: base.as_str().into(), ending, idle };
        fn_service(move |stream| entrance.clone().admit(stream)).and_then(lobby)
    };
    run(builder.listen("rest", socket, serve_one)?, tasks)
}

fn run(server: ServerBuilder, tasks: &TaskTracker) -> io::Result<ServerHandle> {
    let server = server.run();
    let handle = server.handle();
    tasks.spawn(async move {
        if let Err(error) = server.await {
            warn!(%error, "the HTTP server has failed");
        }
    });
    Ok(handle)
}

/// What every connection has to pass.
#[derive(Clone)]
struct Entrance {
    crowd: Arc<Mutex<Crowd>>,
    tls: Option<Arc<WebTls>>,
    head: HeadLimits,
    patience: Patience,
}

impl Entrance {
    /// Lets a connection in that there is room for, and shakes hands with it.
    async fn admit(
        self,
        stream: TcpStream,
    ) -> Result<
        (Doorway<impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + use<>>, SocketAddr),
        DispatchError,
    > {
        let peer = stream.peer_addr()?;
        let Some(place) = Place::take(&self.crowd, peer.ip()) else {
            info!(source = %peer.ip(), "no room for another connection");
            return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
        };
        // What is small is sent at once.
        stream.set_nodelay(true)?;
        let stream = match &self.tls {
            // In boxes: a plain connection would have room for all that TLS keeps, too.
            Some(tls) => {
                let accepted = Box::pin(tls.accept(stream)).await.inspect_err(|error| {
                    debug!(source = %peer.ip(), %error, "a TLS handshake has failed");
                })?;
                Either::Right(Box::new(accepted))
            }
            None => Either::Left(stream),
        };
        Ok((Doorway::new(stream, self.head, self.patience).keeping(place), peer))
    }
}

/// A place in the crowd, given back when its connection is gone.
struct Place {
    crowd: Arc<Mutex<Crowd>>,
    source: IpAddr,
}

impl Place {
    fn take(crowd: &Arc<Mutex<Crowd>>, source: IpAddr) -> Option<Self> {
        let is_in = crowd.lock().unwrap_or_else(PoisonError::into_inner).enter(source);
        is_in.then(|| Self { crowd: Arc::clone(crowd), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner).leave(self.source);
    }
}

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;
