//! The configuration handed out: to each folder the part that it knows.

mod rooms;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::doors::Doors;
use crate::access::{AttemptLimits, Rate};
use crate::address::Address;
use crate::bridge;
use crate::config::{
    AuthMode, Config, CoreMode, CoreTransport, CreateAnswer, HostPort, TargetUri, User,
};
use crate::digest::Fingerprint;
use crate::ids::Random;
use crate::im_server;
use crate::msrp;
use crate::net::{
    Core, CoreSettings, DnsSettings, MsrpSettings, MsrpTls, Names, Neighbours, SipSettings,
};
use crate::notify::{self, Retry, TargetPolicy};
use crate::rest::{
    self, CallbackDenied, CallbackPolicy, CreatedBody, DoorSettings, HeadLimits, NotifyUrl,
    Patience,
};
use crate::sip::{Credentials, Destination, Hop, Password, Status, Timers, Transport, WireLimits};
use crate::store::{Bounds, ChannelSettings, CorrelatorLimits, SubscriptionLimits};

pub(super) use rooms::{host, im_server, room_limits};

/// Where the bridge is reached, once its sockets are bound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub(super) sip: SocketAddr,
    /// Where SIP under TLS is listened for, if it is.
    pub(super) tls: Option<SocketAddr>,
    pub(super) msrp: SocketAddr,
    /// Where the other bearers of MSRP are listened for.
    pub(super) doors: Doors,
    pub(super) im_server: Option<SocketAddr>,
}

/// How conversations behave.
pub(super) fn bridge(
    config: &Config,
    places: Places,
    (credentials, fingerprint): (Option<Credentials>, Option<Fingerprint>),
    host: Option<&im_server::HostNames>,
) -> Arc<bridge::Settings> {
    let session = &config.session;
    let profile = profile(config);
    let user_agent = user_agent(profile.user_agent_prefix, &config.sip.user_agent);
    Arc::new(bridge::Settings {
        realm: bridge::Realm {
            domain: config.core.domain.clone(),
            target_uri: match config.core.target_uri {
                TargetUri::SipPhone => bridge::TargetUri::SipPhone,
                TargetUri::Tel => bridge::TargetUri::Tel,
            },
        },
        standing: standing(config),
        profile,
        local: local(config, places.sip),
        tls_port: places.tls.map(|tls| tls.port()),
        user_agent,
        core: core(config).map(|core| core.hop()),
        datagram: config.sip.mtu_switch,
        credentials,
        timers: timers(config),
        session_timer: session.timer,
        msrp_host: match &config.msrp.advertise {
            Some(host) => host.clone(),
            None => places.msrp.ip().to_string(),
        },
        msrp_port: places.msrp.port(),
        msrp_bearers: bridge::Bearers {
            offered: config.msrp.transport,
            tls: places.doors.tls.map(|tls| tls.port()),
            ws: places.doors.ws.map(|ws| ws.port()),
            wss: places.doors.wss.map(|wss| wss.port()),
            fingerprint,
        },
        msrp_relay: msrp_relay(config),
        msrp_limits: msrp_limits(config).into(),
        msrp_rules: bridge::MsrpRules {
            matching: config.msrp.matching,
            cema: config.msrp.cema,
            contradiction: config.msrp.connect,
        },
        invitation_timeout: session.invitation_timeout,
        msrp_connect_timeout: session.msrp_connect_timeout,
        msrp_grace: session.msrp_grace,
        leave_wait: session.leave_wait,
        // The rest of the time is for the goodbye.
        stop_wait: session.leave_wait.min(config.limits.drain / 2),
        linger: session.linger,
        no_client_code: status(session.no_client_code),
        decline_code: status(session.decline_code),
        no_answer_code: status(session.no_answer_code),
        success_on: session.success_on,
        echo: session.echo,
        tracked_messages: session.tracked_messages,
        redirects: session.redirects,
        group: group(config, rooms::own_host(config, places.sip, host)),
    })
}

/// The address of the bridge, as it is told to others.
pub(super) fn local(config: &Config, sip: SocketAddr) -> Hop {
    match &config.sip.advertise {
        Some(host) => Hop::new(transport(config), host, sip.port()),
        None => hop(transport(config), sip),
    }
}

fn group(config: &Config, host: Option<bridge::OwnHost>) -> bridge::GroupSettings {
    let group = &config.group;
    bridge::GroupSettings {
        factory: group.factory.clone(),
        host,
        invite_mode: group.invite_mode,
        refer_mode: group.refer_mode,
        refer_many: group.refer_many,
        bye_form: group.bye_form,
        extend_mode: group.extend_mode,
        reports: group.reports,
        report_failed_invitees: group.report_failed_invitees,
        ends_with_originator: group.originator_ends,
        participants: group.max_participants,
        refer_wait: group.refer_wait,
        rejoin_window: group.rejoin_window,
        auto_rejoin: group.auto_rejoin,
        rejoin_probe: group.rejoin_probe,
        bye_wait: group.bye_wait,
        subscribe: group.subscribe,
        decline_code: status(group.decline_code),
    }
}

/// What the bridge proves itself by to its core: to the embedded one by a password that is drawn at
/// every start, and that nobody else ever learns.
pub(super) fn credentials(config: &Config, random: &mut Random) -> Option<Credentials> {
    let core = &config.core;
    Some(match core.mode {
        CoreMode::Embedded => Credentials {
            username: random.token(),
            password: Password::Text(random.token()),
            realms: vec![core.domain.clone()],
        },
        CoreMode::Peer | CoreMode::Ue | CoreMode::As => Credentials {
            username: core.username.clone()?,
            password: Password::Text(core.password.as_ref()?.reveal().to_owned()),
            realms: core.realms.clone(),
        },
    })
}

/// Puts what a core looks for before the name of the product, unless it says the like itself.
fn user_agent(prefix: Option<&str>, product: &str) -> String {
    let says_it = |prefix: &str| {
        let family = prefix.split_inclusive('/').next().unwrap_or(prefix);
        product.starts_with(family)
    };
    match prefix.filter(|prefix| !says_it(prefix)) {
        Some(prefix) => format!("{prefix} {product}"),
        None => product.to_owned(),
    }
}

/// What the core is told of who the users are (RFC 3325).
fn standing(config: &Config) -> bridge::Standing {
    let core = &config.core;
    bridge::Standing {
        naming: match core.mode {
            CoreMode::Embedded | CoreMode::Ue => bridge::Naming::Preferred,
            CoreMode::Peer if core.trusted => bridge::Naming::Asserted,
            CoreMode::Peer => bridge::Naming::FromOnly,
            CoreMode::As => bridge::Naming::Asserted,
        },
        orig: core.orig,
        hides_references: core.hide_acr,
    }
}

/// From whom invitations are taken: the embedded IM server shares its host with others, a core may
/// send from any of its addresses. A peer is believed only where the configuration says so.
pub(super) fn neighbours(config: &Config, places: Places, core: &Core) -> Neighbours {
    let hosts = config.core.trusted_peers.iter().map(IpAddr::to_canonical).collect();
    let core = places.im_server.is_none().then(|| core.clone());
    let trusts_core = config.core.mode != CoreMode::Peer || config.core.trusted;
    Neighbours { hosts, element: places.im_server, core, trusts_core }
}

/// Where the core is, if it is not embedded.
pub(super) fn core(config: &Config) -> Option<Destination> {
    let HostPort { host, port } = match config.core.mode {
        CoreMode::Peer | CoreMode::Ue | CoreMode::As => config.core.next_hop.clone()?,
        CoreMode::Embedded => return None,
    };
    let transport = match config.core.transport {
        CoreTransport::Udp => Some(Transport::Udp),
        CoreTransport::Tcp => Some(Transport::Tcp),
        CoreTransport::Tls => Some(Transport::Tls),
        CoreTransport::Dns => None,
    };
    Some(Destination { host, port, transport, secure: false })
}

/// Where the embedded IM server is, to which everything goes in mode `embedded`.
pub(super) fn im_server_hop(config: &Config, address: SocketAddr) -> Hop {
    hop(transport(config), address)
}

/// How the core is found, and how long it may be avoided.
pub(super) fn finding_core(config: &Config) -> CoreSettings {
    CoreSettings { stale: config.dns.stale, retry_after_max: config.core.retry_after_max }
}

/// The users that are to be registered, in mode `ue`.
pub(super) fn subscribers(config: &Config) -> Vec<bridge::Subscriber> {
    if config.core.mode != CoreMode::Ue {
        return Vec::new();
    }
    config.ue.users.iter().map(|user| subscriber(config, user)).collect()
}

fn subscriber(config: &Config, user: &User) -> bridge::Subscriber {
    let password = match (&user.sim, &user.password) {
        (Some(sim), _) => Some(Password::Sim(sim.clone())),
        (None, password) => {
            password.as_ref().map(|password| Password::Text(password.reveal().to_owned()))
        }
    };
    let credentials = password.map(|password| Credentials {
        username: user.private_identity.clone().unwrap_or_else(|| derived(config, &user.address)),
        password,
        realms: config.core.realms.clone(),
    });
    bridge::Subscriber { address: user.address.clone(), credentials }
}

/// Makes a private identity of a public one: an IMS wants a name and a domain, a registrar of
/// RFC 3261 the name alone.
fn derived(config: &Config, address: &Address) -> String {
    let key = address.key().split_once(':').map_or("", |(_, rest)| rest);
    let (name, domain) = key.split_once('@').unwrap_or((key, &config.core.domain));
    match profile(config).ims {
        true => format!("{name}@{domain}"),
        false => name.to_owned(),
    }
}

/// What all registrations have in common, and how fast they are begun.
pub(super) fn registrations(config: &Config) -> (bridge::Terms, bridge::Pace) {
    let ue = &config.ue;
    let terms = bridge::Terms {
        registrar: ue.registrar.clone().unwrap_or_else(|| config.core.domain.clone()),
        expires: u32::try_from(ue.expires.as_secs()).unwrap_or(u32::MAX),
        gruu: ue.gruu,
    };
    let start = Duration::from_secs(1) / ue.rate.max(1);
    (terms, bridge::Pace { start, retry_refused: ue.retry_refused })
}

/// The SIP sockets of the bridge.
pub(super) fn sip(config: &Config) -> SipSettings {
    SipSettings { tls: config.tls(), ..plain_sip(config) }
}

/// The SIP sockets of the embedded IM server, which takes no TLS.
pub(super) fn plain_sip(config: &Config) -> SipSettings {
    SipSettings {
        wire: WireLimits {
            message: config.limits.sip_message,
            headers: config.limits.sip_headers,
            ..WireLimits::default()
        },
        receive_buffer: config.sip.receive_buffer,
        inbound_queue: config.limits.sip_inbound,
        writer_queue: config.limits.sip_outbound,
        connections: config.limits.connections,
        connect_timeout: config.sip.connect_timeout,
        write_timeout: config.sip.write_timeout,
        idle_timeout: config.sip.idle_timeout,
        ping: config.sip.ping,
        tcp_alias: config.sip.tcp_alias,
        dns: DnsSettings {
            servers: config.dns.servers.clone(),
            budget: config.dns.budget,
            cache: config.dns.cache,
            lookups: config.dns.lookups,
            allow_private: config.dns.allow_private,
            ..DnsSettings::default()
        },
        ..SipSettings::default()
    }
}

/// The MSRP sockets.
pub(super) fn msrp(config: &Config, tls: Option<Arc<MsrpTls>>) -> MsrpSettings {
    MsrpSettings {
        framing: msrp_limits(config).into(),
        unbound: config.limits.connections,
        unbound_per_source: config.msrp.unbound_per_source,
        bind_timeout: config.msrp.bind_timeout,
        connect_timeout: config.msrp.connect_timeout,
        allow_private_dial: config.msrp.allow_private_dial,
        tls,
        origins: config.msrp.ws_origins.clone(),
        ping: config.msrp.ws_ping,
        names: Names::default(),
        tether: None,
    }
}

/// The directory of sessions.
pub(super) fn sessions(config: &Config) -> Bounds {
    Bounds {
        sessions: config.session.max_sessions,
        inbox: config.limits.inbox,
        ..Bounds::default()
    }
}

/// The directory of subscriptions.
pub(super) fn subscriptions(config: &Config) -> SubscriptionLimits {
    SubscriptionLimits {
        per_user: config.notify.max_subscriptions,
        total: config.limits.subscriptions,
    }
}

/// The directory of channels.
pub(super) fn channels(config: &Config) -> ChannelSettings {
    let lifetime = config.notify.channel_lifetime.as_secs();
    ChannelSettings {
        queue: config.notify.queue,
        max_notifications: config.notify.max_notifications,
        max_lifetime: u32::try_from(lifetime).unwrap_or(u32::MAX),
        poll: config.notify.poll,
        ping: config.notify.ping,
        reread: config.notify.reread,
        per_user: config.notify.max_channels,
        total: config.limits.channels,
    }
}

/// What is remembered of requests that may be repeated.
pub(super) fn correlators(config: &Config) -> CorrelatorLimits {
    CorrelatorLimits {
        capacity: config.rest.correlators,
        per_user: config.rest.correlators_per_user,
        age: config.rest.correlator_age,
        ..CorrelatorLimits::default()
    }
}

/// The way of notifications.
pub(super) fn notify(config: &Config) -> notify::Settings {
    notify::Settings {
        queue: config.notify.queue,
        deadline: config.notify.timeout,
        retry: Retry {
            first: config.notify.retry_first,
            last: config.notify.retry_max,
            window: config.notify.retry_window,
            refusals: config.notify.refusals,
        },
        keys: [&config.notify.secret, &config.notify.previous_secret]
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        authorities: config.notify.ca.clone(),
        allow_private: config.notify.allow_private,
        farewell: config.notify.farewell,
        ..notify::Settings::default()
    }
}

/// Who knows where applications are: the servers of the system, whoever knows the core.
pub(super) fn names_of_applications() -> notify::Names {
    let names = Names::default();
    notify::Names::new(move |name| {
        let names = names.clone();
        Box::pin(async move { names.addresses(&name).await })
    })
}

/// The face.
pub(super) fn rest(config: &Config, place: SocketAddr) -> rest::Settings {
    rest::Settings {
        server_root: config.rest.server_root.clone(),
        secure: config.rest.certificate.is_some(),
        host: place.to_string(),
        scheme: match config.auth.mode {
            AuthMode::None => None,
            AuthMode::Basic => Some("basic"),
            AuthMode::Bearer | AuthMode::Jwt => Some("bearer"),
        },
        base_path: config.rest.base_path.clone(),
        max_body: config.rest.max_body,
        body_wait: config.rest.body_timeout,
        max_text: config.rest.max_text,
        sessions_per_user: config.limits.sessions_per_user,
        created: match config.rest.answer {
            CreateAnswer::Copy => CreatedBody::Copy,
            CreateAnswer::Reference => CreatedBody::Reference,
        },
        ..rest::Settings::default()
    }
}

/// Who comes in, and how often.
pub(super) fn door(config: &Config) -> DoorSettings {
    let (auth, limits) = (&config.auth, &config.limits);
    DoorSettings {
        realm: auth.realm.clone(),
        attempts: AttemptLimits {
            failures: auth.failures,
            window: auth.failures_window,
            sources: auth.remembered,
        },
        rate: Rate {
            per_second: limits.rest_rate,
            burst: limits.rest_burst,
            users: auth.remembered,
        },
        in_flight: limits.rest_in_flight,
    }
}

/// How large the head of a request may be.
pub(super) fn head(config: &Config) -> HeadLimits {
    let rest = &config.rest;
    HeadLimits { uri: rest.max_uri, bytes: rest.max_head, fields: rest.max_headers }
}

/// How long an HTTP client may take.
pub(super) fn patience(config: &Config) -> Patience {
    let rest = &config.rest;
    Patience {
        head: rest.header_timeout,
        // Who reads the body gives up first, and says so.
        body: rest.body_timeout + Duration::from_secs(5),
        write: rest.write_timeout,
    }
}

/// Judges the URLs of applications when a subscription names them, as they are judged again when
/// they are called.
#[derive(Debug)]
pub(super) struct Callbacks(pub(super) TargetPolicy);

impl CallbackPolicy for Callbacks {
    fn permits(&self, url: &NotifyUrl) -> Result<(), CallbackDenied> {
        let scheme = if url.secure { "https" } else { "http" };
        let host =
            if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
        let text = format!("{scheme}://{host}:{}/", url.port);
        self.0.parse(&text).map(drop).map_err(|why| CallbackDenied(why.to_string()))
    }
}

fn profile(config: &Config) -> &'static bridge::Profile {
    let profile = bridge::Profile::named(config.sip.profile.as_str());
    profile.unwrap_or_else(bridge::Profile::plain)
}

fn hop(transport: Transport, address: SocketAddr) -> Hop {
    Hop::new(transport, &address.ip().to_string(), address.port())
}

fn transport(config: &Config) -> Transport {
    match config.core.transport {
        // What is named in a Contact must do for all that may call us.
        CoreTransport::Udp | CoreTransport::Dns => Transport::Udp,
        CoreTransport::Tcp => Transport::Tcp,
        CoreTransport::Tls => Transport::Tls,
    }
}

fn timers(config: &Config) -> Timers {
    Timers { t1: config.sip.t1, t2: config.sip.t2, t4: config.sip.t4 }
}

/// The relays of MSRP. Whoever writes that the first is asked without TLS means it.
fn msrp_relay(config: &Config) -> Option<bridge::MsrpRelay> {
    let msrp = &config.msrp;
    let (path, password) = (msrp.relay.as_ref()?, msrp.relay_password.as_ref()?);
    let credentials = Credentials {
        username: msrp.relay_username.clone()?,
        password: Password::Text(password.reveal().to_owned()),
        realms: Vec::new(),
    };
    let (uris, allow_plain) = (path.iter().cloned().collect(), !path.first().secure());
    let relays = msrp::Relays { uris, credentials, expires: None, allow_plain };
    Some(bridge::MsrpRelay { relays, timeout: msrp.relay_timeout })
}

fn msrp_limits(config: &Config) -> msrp::Limits {
    msrp::Limits {
        max_message: config.msrp.max_message,
        max_chunk_in: config.msrp.max_message,
        chunk_bytes: config.msrp.chunk,
        window: config.msrp.window,
        window_bytes: config.msrp.window_bytes,
        queue: config.msrp.queue,
        response_wait: config.msrp.response_wait,
        connect_wait: config.session.msrp_connect_timeout,
        grace: config.session.msrp_grace,
        ..msrp::Limits::default()
    }
}

fn status(code: u16) -> Status {
    Status::new(code).unwrap_or(Status::TEMPORARILY_UNAVAILABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_believed_by_its_mode_and_a_peer_only_where_it_is_trusted() {
        for (mode, more, naming, trusts) in [
            ("peer", "", bridge::Naming::FromOnly, false),
            ("peer", "trusted = true", bridge::Naming::Asserted, true),
            ("as", "orig = true", bridge::Naming::Asserted, true),
            ("ue", "", bridge::Naming::Preferred, true),
        ] {
            let config = config(mode, more, "");
            let from = |host: &str| Hop::new(Transport::Udp, host, 9);
            let core = Core::fixed(from("192.0.2.1"), &finding_core(&config));
            let neighbours = neighbours(&config, places(), &core);
            assert!(neighbours.include(&from("192.0.2.1")), "{mode}");
            assert_eq!(neighbours.trust(&from("192.0.2.1")), trusts, "{mode} {more}");
            assert!(neighbours.trust(&from("192.0.2.7")), "{mode}");
            assert!(!neighbours.include(&from("192.0.2.2")), "{mode}");
            let standing = standing(&config);
            assert_eq!((standing.naming, standing.orig), (naming, mode == "as"), "{mode} {more}");
        }
    }

    #[test]
    fn a_private_identity_is_made_of_the_address_where_none_is_given() {
        let users = "[ue]\nusers = [\"tel:+1-958\", \"sip:bob@x.example\", \"tel:+2 two@y\", \
                     \"tel:+3\"]\npasswords = [\"a\", \"b\", \"c\", \"d\"]\n";
        for (profile, names) in [
            ("plain", ["+1958", "bob", "two@y", "+3"]),
            ("cpm", ["+1958@example.com", "bob@x.example", "two@y", "+3@example.com"]),
        ] {
            let sip = format!("{users}[sip]\nprofile = \"{profile}\"\n");
            let subscribers = subscribers(&config("ue", "realms = [\"r\"]", &sip));
            let credentials = subscribers.iter().filter_map(|it| it.credentials.as_ref());
            let found: Vec<_> = credentials.map(|it| it.username.as_str()).collect();
            assert_eq!(found, names);
            let realms = subscribers.first().and_then(|it| it.credentials.as_ref());
            assert_eq!(realms.map(|it| it.realms.concat()).as_deref(), Some("r"));
        }
        let open = "[ue]\nusers = [\"tel:+1\"]\n";
        assert_eq!(
            subscribers(&config("ue", "", open)).first().map(|it| it.credentials.is_none()),
            Some(true)
        );
        assert_eq!(subscribers(&config("peer", "", users)), []);
    }

    #[test]
    fn registrations_are_at_the_domain_unless_told_otherwise() {
        let (terms, pace) = registrations(&config("ue", "", ""));
        assert_eq!((terms.registrar.as_str(), terms.expires), ("example.com", 3600));
        assert_eq!(pace.start, Duration::from_millis(50));
        let other = "[ue]\nusers=[\"tel:+1\"]\nregistrar = \"r.example\"\nrate = 1\n";
        let (terms, pace) = registrations(&config("ue", "", other));
        assert_eq!((terms.registrar.as_str(), pace.start.as_secs()), ("r.example", 1));
    }

    #[test]
    fn a_prefix_stands_before_a_product_that_has_none_of_its_kind() {
        let prefix = Some("IM-client/OMA1.0");
        assert_eq!(user_agent(prefix, "x"), "IM-client/OMA1.0 x");
        assert_eq!(user_agent(prefix, "IM-client/OMA2.0 x"), "IM-client/OMA2.0 x");
        assert_eq!(user_agent(None, "x"), "x");
    }

    fn config(mode: &str, more: &str, sections: &str) -> Config {
        let default = if sections.contains("[ue]") { "" } else { "[ue]\nusers = [\"tel:+1\"]\n" };
        let text = format!(
            "[core]\nmode = \"{mode}\"\nnext_hop = \"192.0.2.1:5060\"\n\
             trusted_peers = [\"192.0.2.7\"]\n{more}\n{sections}{default}"
        );
        Config::read(&text, []).unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    fn places() -> Places {
        let sip = SocketAddr::from(([192, 0, 2, 9], 5080));
        Places { sip, tls: None, msrp: sip, doors: Doors::default(), im_server: None }
    }
}
