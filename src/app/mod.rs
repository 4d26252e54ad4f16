//! Wiring: sockets, directories, tasks and channels, and the order in which they stop.
//!
//! ```text
//! rest ──Command──▶ driver (one per conversation) ──Notice──▶ notify ──▶ callbacks, channels
//!   ├──Start──▶ switch ──spawns──▶ driver ◀──Receipt──┤          rest ◀── long polls ──┘
//!   └──Batch──▶ store (one thread) ◀──────Batch───────┘
//! sip sockets ──Inbound──▶ switch ──Letter──▶ driver ──▶ sip sockets
//!                            └──Letter──▶ keeper of the registrations ──▶ sip sockets
//! msrp listener ──Letter──▶ driver ◀──bytes──▶ its MSRP connection
//! ```
//! Every channel is bounded, and no task waits for another in a ring.

mod banner;
mod doors;
mod gatekeeper;
mod hosting;
mod http;
mod kept;
mod lobby;
mod registry;
mod rehearsal;
mod settings;

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_server::ServerHandle;
use actix_web::web;
use rand::Rng;
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

pub use crate::access::basic_credentials;
use crate::bridge;
use crate::clock::Anchor;
use crate::config::{Config, CoreMode, Log, LogFormat};
use crate::ids::Random;
use crate::im_server::ImServer;
use crate::net::{
    Core, DriverKit, HostDoor, SipOutbound, SipSettings, SipSockets, Switch, Tether, bind_sip,
    run_im_server, run_switch,
};
use crate::notify::{self, Outlets};
use crate::rest::{Door, Face, Readiness, Reason};
use crate::sip::Hop;
use crate::store::durable::{Contents, Health};
use crate::store::{
    Channels, Correlators, Directories, Keeper, Letter, Notices, Sessions, Subscriptions, restore,
};
pub use gatekeeper::hash_password;
use registry::Registry;
pub use rehearsal::{fresh_seed, rehearse, rehearsed};
use settings::{Callbacks, Places};

/// Runs everything until SIGINT or SIGTERM, then says goodbye to all sessions.
///
/// # Errors
/// A socket cannot be bound, or the runtime cannot be built.
pub fn serve(config: Config) -> io::Result<()> {
    init_log(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let running = Running::start(&config).await?;
        banner::show(&running, &config)?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        running.stop(config.limits.drain).await;
        Ok(())
    })
}

/// A server that runs.
pub struct Running {
    places: Places,
    rest: SocketAddr,
    http: ServerHandle,
    sessions: Arc<Sessions>,
    keeper: Keeper,
    registry: Registry,
    /// Stops the notifications.
    stop_notify: CancellationToken,
    /// Stops the sockets.
    stop_net: CancellationToken,
    conversations: TaskTracker,
    tasks: TaskTracker,
    notifier: TaskTracker,
    /// How long the last notifications may take.
    farewell: Duration,
}

/// What the bridge stands on when it starts.
struct Ground {
    sip: SipSockets,
    msrp: doors::Bound,
    places: Places,
    core: Core,
    registry: Registry,
    settings: Arc<bridge::Settings>,
    sessions: (Arc<Sessions>, mpsc::Receiver<crate::store::Start>),
    kept: (Keeper, Contents),
    host: Option<HostDoor>,
}

impl Running {
    /// Binds all sockets and starts all tasks; ports of `0` are chosen by the system.
    ///
    /// # Errors
    /// A socket cannot be bound; the error names it.
    pub async fn start(config: &Config) -> io::Result<Self> {
        Self::start_tethered(config, None).await
    }

    /// As [`Running::start`], for a bridge that calls only those whom a tether permits, and itself.
    ///
    /// # Errors
    /// A socket cannot be bound; the error names it.
    pub async fn start_tethered(config: &Config, tether: Option<Arc<Tether>>) -> io::Result<Self> {
        // A second server in the same process finds the provider there.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let kept = kept::open(config).await?;
        let mut random = Random::new(seed());
        let (stop_net, tasks) = (CancellationToken::new(), TaskTracker::new());
        let bind = |what: &'static str, listen, settings| {
            let (stop, tasks) = (stop_net.clone(), tasks.clone());
            async move { named(what, listen, bind_sip(listen, settings, stop, tasks).await) }
        };
        let sip_settings = SipSettings { tether, ..settings::sip(config) };
        let sip = bind("[sip] listen", config.sip.listen, sip_settings).await?;
        let im_server = match config.core.mode {
            CoreMode::Embedded => {
                let plain = settings::plain_sip(config);
                Some(bind("[im_server] listen", config.im_server.listen, plain).await?)
            }
            CoreMode::Peer | CoreMode::Ue | CoreMode::As => None,
        };
        let mut msrp = doors::bind(config).await?;
        hosting::tether(&sip.outbound, (&mut msrp.settings, msrp.tcp));
        let im_server_place = im_server.as_ref().map(|sockets| sockets.local);
        let ending = (stop_net.clone(), tasks.clone());
        let core = find_core(config, &sip.outbound, im_server_place, ending).await?;
        let places = Places {
            sip: sip.local,
            tls: sip.tls,
            msrp: msrp.tcp,
            doors: msrp.others,
            im_server: im_server_place,
        };
        let credentials = settings::credentials(config, &mut random);
        if let Some(sockets) = im_server {
            let home = (places.sip, credentials.clone());
            let rooms = doors::bind_rooms(config).await?;
            let msrp = rooms.as_ref().map(|rooms| rooms.listener.local_addr()).transpose()?;
            let settings = settings::im_server(config, sockets.local, home, msrp);
            let server = ImServer::new(Instant::now().into_std(), settings, random.fork());
            let ending = (stop_net.clone(), tasks.clone());
            tasks.spawn(run_im_server(server, sockets, rooms, ending));
        }
        let fingerprint = msrp.settings.tls.as_ref().map(|tls| tls.fingerprint().clone());
        let ending = (stop_net.clone(), tasks.clone());
        let way = (&sip.outbound, credentials.clone());
        let host = hosting::start(config, &places, way, random.fork(), ending).await?;
        let names = host.as_ref().map(|host| &host.names);
        let settings = settings::bridge(config, places, (credentials, fingerprint), names);
        let outside = (sip.outbound.clone(), core.clone(), stop_net.clone());
        let (sessions, starts) = Sessions::new(settings::sessions(config));
        let sessions = Arc::new(sessions);
        let carried = Arc::clone(&sessions);
        let registry =
            Registry::start(config, Arc::clone(&settings), outside, carried, &mut random);
        let sessions = (sessions, starts);
        let ground = Ground { sip, msrp, places, core, registry, settings, sessions, kept, host };
        Self::start_bridge(config, ground, random, (stop_net, tasks))
    }

    fn start_bridge(
        config: &Config,
        Ground { sip, msrp, places, core, registry, settings, sessions, kept, host }: Ground,
        mut random: Random,
        (stop_net, tasks): (CancellationToken, TaskTracker),
    ) -> io::Result<Self> {
        let (keeper, contents) = kept;
        let (sessions, starts) = sessions;
        let subscriptions = Arc::new(Subscriptions::new(settings::subscriptions(config)));
        let channels = settings::channels(config);
        let channels = Arc::new(Channels::new(channels, random.fork(), keeper.clone()));
        let correlators = Correlators::new(settings::correlators(config), keeper.clone());
        let directories = Directories {
            subscriptions: &subscriptions,
            channels: &channels,
            correlators: &correlators,
        };
        let remembered = restore(contents, &keeper, directories);
        let (sender, waiting) = mpsc::channel(config.limits.notices);
        let notices = Notices { sender, patience: keeper.patience() };
        let conversations = TaskTracker::new();
        let readiness = readiness((&sessions, keeper.health()), &core, &registry);
        let switch = Switch {
            neighbours: settings::neighbours(config, places, &core),
            host,
            kit: DriverKit {
                sessions: Arc::clone(&sessions),
                registrations: registry.directory(),
                outbound: sip.outbound,
                core,
                notices,
                audience: Arc::clone(&subscriptions),
                msrp: Arc::new(msrp.settings),
            },
            settings,
            subscriptions: Arc::clone(&subscriptions),
            store: keeper.health(),
            patience: Arc::new(Semaphore::new(config.limits.connections)),
            anchor: Anchor::new(Instant::now().into_std(), OffsetDateTime::now_utc()),
            random: random.fork(),
            tasks: conversations.clone(),
        };
        tasks.spawn(run_switch(switch, sip.inbound, starts, stop_net.clone()));
        for listener in msrp.listeners {
            tasks.spawn(listener.run(Arc::clone(&sessions), stop_net.clone(), tasks.clone()));
        }
        let notify_settings = settings::notify(config);
        let policy = notify_settings.target_policy();
        let (stop_notify, notifier) = (CancellationToken::new(), TaskTracker::new());
        let outlets = Outlets::new(
            Arc::clone(&subscriptions),
            Arc::clone(&channels),
            (notify_settings, settings::names_of_applications()),
            random.fork(),
        )
        .keeping(keeper.clone(), remembered);
        notifier.spawn(notify::run(waiting, outlets, stop_notify.clone()));
        let secret = seed();
        let listening = http::bind(&config.rest)?;
        let rest = listening.address;
        let face = web::Data::new(Face {
            sessions: Arc::clone(&sessions),
            subscriptions,
            channels,
            correlators: Arc::new(correlators),
            keeper: keeper.clone(),
            callback_policy: Arc::new(Callbacks(policy)),
            door: Door::new(gatekeeper::gate(config, &secret)?, settings::door(config)),
            readiness,
            polls: Semaphore::new(config.limits.polls),
            random: Mutex::new(random),
            settings: settings::rest(config, rest),
        });
        tasks.spawn(gatekeeper::keep(config.auth.clone(), secret, face.clone(), stop_net.clone()));
        let http = http::serve(config, listening, face, (&stop_net, &tasks))?;
        let (listen, core) = (config.rest.listen, config.core.mode);
        info!(%rest, sip = %places.sip, msrp = %places.msrp, ?core, %listen, "serving");
        Ok(Self {
            places,
            rest,
            http,
            sessions,
            keeper,
            registry,
            stop_notify,
            stop_net,
            conversations,
            tasks,
            notifier,
            farewell: config.notify.farewell,
        })
    }

    /// Gives the address of the REST face.
    #[must_use]
    pub fn rest(&self) -> SocketAddr {
        self.rest
    }

    /// Gives the address of the bridge's SIP sockets.
    #[must_use]
    pub fn sip(&self) -> SocketAddr {
        self.places.sip
    }

    /// Gives the address that takes SIP under TLS.
    #[must_use]
    pub fn tls(&self) -> Option<SocketAddr> {
        self.places.tls
    }

    /// Gives the address of the MSRP listener.
    #[must_use]
    pub fn msrp(&self) -> SocketAddr {
        self.places.msrp
    }

    /// Gives the address that takes MSRP under TLS.
    #[must_use]
    pub fn msrp_tls(&self) -> Option<SocketAddr> {
        self.places.doors.tls
    }

    /// Gives the address that takes MSRP over WebSocket.
    #[must_use]
    pub fn msrp_ws(&self) -> Option<SocketAddr> {
        self.places.doors.ws
    }

    /// Gives the address that takes MSRP over WebSocket under TLS.
    #[must_use]
    pub fn msrp_wss(&self) -> Option<SocketAddr> {
        self.places.doors.wss
    }

    /// Gives the address of the embedded IM server's SIP sockets.
    #[must_use]
    pub fn im_server(&self) -> Option<SocketAddr> {
        self.places.im_server
    }

    /// Tells how many sessions there are, those that have just ended included.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.count()
    }

    /// Shows the state of the store, now and later.
    #[must_use]
    pub fn store(&self) -> Health {
        self.keeper.health()
    }

    /// Tells how many users are registered at the core.
    #[must_use]
    pub fn registered(&self) -> usize {
        self.registry.count()
    }

    /// Stops: no new sessions, BYE to the running ones, no more registrations, the last
    /// notifications, then the sockets.
    pub async fn stop(self, drain: Duration) {
        let deadline = Instant::now() + drain;
        let running = self.sessions.drain();
        info!(sessions = running.len(), "stopping");
        self.conversations.close();
        let goodbye = async {
            for inbox in running {
                // A conversation that is gone needs no goodbye.
                let _gone = inbox.deliver(Letter::Stop).await;
            }
            self.conversations.wait().await;
        };
        if timeout(drain, goodbye).await.is_err() {
            warn!(sessions = self.sessions.count(), "not all sessions ended in time");
        }
        self.registry.leave(deadline).await;
        self.stop_notify.cancel();
        self.notifier.close();
        // The notifier keeps to its time itself.
        if timeout(self.farewell + Duration::from_secs(1), self.notifier.wait()).await.is_err() {
            warn!("not all notifications left in time");
        }
        self.http.stop(true).await;
        if let Err(error) = self.keeper.close().await {
            warn!(%error, "not everything was kept");
        }
        self.stop_net.cancel();
        self.tasks.close();
        if timeout(Duration::from_secs(2), self.tasks.wait()).await.is_err() {
            warn!("not all sockets closed in time");
        }
        info!("stopped");
    }
}

const NO_CORE: &str = "[core] next_hop is wanted in every mode but \"embedded\"";

/// Finds the way to the core: the embedded IM server, or one that may move while we run.
async fn find_core(
    config: &Config,
    outbound: &SipOutbound,
    im_server: Option<SocketAddr>,
    ending: (CancellationToken, TaskTracker),
) -> io::Result<Core> {
    let finding = settings::finding_core(config);
    match (im_server, settings::core(config)) {
        (Some(address), _) => Ok(Core::fixed(settings::im_server_hop(config, address), &finding)),
        (None, Some(peer)) => Ok(Core::find(peer, outbound, finding, ending).await),
        (None, None) => Err(io::Error::new(io::ErrorKind::InvalidInput, NO_CORE)),
    }
}

/// Gives where requests to the core go that no conversation sends.
fn find_hop(config: &Config, im_server: Option<SocketAddr>) -> io::Result<Hop> {
    let embedded = im_server.map(|address| settings::im_server_hop(config, address));
    let hop = embedded.or_else(|| settings::core(config).map(|core| core.hop()));
    hop.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, NO_CORE))
}

/// Makes the list of what has to hold for the bridge to be of use.
fn readiness(
    (sessions, store): (&Arc<Sessions>, Health),
    core: &Core,
    registry: &Registry,
) -> Readiness {
    let mut readiness = Readiness::default();
    readiness.add(move || {
        let text = store.fault().map(|_| "the store cannot be written: see the log".to_owned())?;
        Some(Reason { code: "store", text })
    });
    let sessions = Arc::clone(sessions);
    readiness.add(move || {
        let text = "the process is being stopped".to_owned();
        sessions.is_draining().then_some(Reason { code: "draining", text })
    });
    let core = core.clone();
    readiness.add(move || {
        let refusal = core.refusal(Instant::now().into_std())?;
        Some(Reason { code: "core", text: refusal.to_string() })
    });
    if let Some(directory) = registry.directory() {
        readiness.add(move || {
            let text = "no user is registered at the core".to_owned();
            (directory.count() == 0).then_some(Reason { code: "registrations", text })
        });
    }
    readiness
}

/// Says in an error which socket it is about, and how to choose another.
fn named<T>(key: &str, listen: SocketAddr, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("{key} = \"{listen}\": {error}")))
}

fn seed() -> [u8; 32] {
    let mut seed = [0_u8; 32];
    rand::rng().fill_bytes(&mut seed);
    seed
}

fn init_log(log: &Log) {
    let filter = EnvFilter::builder().parse_lossy(&log.filter);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    let installed = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if let Err(error) = installed {
        warn!(%error, "the log was set up before");
    }
}
