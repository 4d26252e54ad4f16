//! The sections of the file: each key with its type, its default and its bounds.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::accounts::{Account, accounts, accounts_file};
use super::focus::Focus;
use super::reader::{Reader, Value};
use super::values::{
    CoreMode, CoreTransport, HostPort, LogFormat, Profile, Secret, TargetUri, header_text, host,
    relays, socket,
};
use crate::address::Address;
use crate::bridge::delivery::SuccessOn;
use crate::bridge::{Bearer, Contradiction};
use crate::msrp::{Matching, Path};
use crate::notify::{SigningKey, SigningKeyError};
use crate::sip::Algorithm;

/// `[sip]`: SIP as this process speaks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sip {
    /// Where SIP is listened for, on UDP and TCP.
    pub listen: SocketAddr,
    /// The host that peers are told to send to, where it is not that of `listen`.
    pub advertise: Option<String>,
    /// Where SIP under TLS is listened for.
    pub tls_listen: Option<SocketAddr>,
    /// Our certificate and those that vouch for it, a file of PEM.
    pub certificate: Option<PathBuf>,
    /// The key of the certificate, a file of PEM.
    pub private_key: Option<PathBuf>,
    /// Who vouches for those who connect under TLS; with it, each must show a certificate.
    pub client_ca: Option<PathBuf>,
    /// Who vouches for those whom we connect to under TLS; else the platform says.
    pub ca: Option<PathBuf>,
    /// How often the files of TLS are looked at.
    pub reload: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long a peer may take to read one message.
    pub write_timeout: Duration,
    /// How long a connection may be silent before it is closed.
    pub idle_timeout: Duration,
    /// The longest pause between two pings of ours (RFC 5626 section 4.4.1), if there are any.
    pub ping: Option<Duration>,
    /// Whether a TCP connection may be reused as its opener asks with `alias` (RFC 5923).
    pub tcp_alias: bool,
    /// How many bytes of datagrams the system keeps for us, where it permits.
    pub receive_buffer: usize,
    /// The family of cores that INVITEs are written for.
    pub profile: Profile,
    /// The User-Agent and Server header.
    pub user_agent: String,
    /// T1 of RFC 3261 section 17.1.1.1: the round trip.
    pub t1: Duration,
    /// T2 of RFC 3261 section 17.1.2.2: the longest pause between retransmissions.
    pub t2: Duration,
    /// T4 of RFC 3261 section 17.1.2.2: how long a message stays in the network.
    pub t4: Duration,
    /// The largest request that goes as a datagram, in bytes; `0` is any (RFC 3261 section 18.1.1).
    pub mtu_switch: usize,
}

impl Sip {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut keys = reader.section("sip");
        Self {
            listen: keys.socket("listen", ("127.0.0.1", 5080)),
            advertise: keys.optional("advertise", host),
            tls_listen: keys.optional("tls_listen", socket),
            certificate: keys.file("certificate"),
            private_key: keys.file("private_key"),
            client_ca: keys.file("client_ca"),
            ca: keys.file("ca"),
            reload: keys.seconds("reload_s", 10, 1..=86_400),
            handshake_timeout: keys.seconds("handshake_timeout_s", 5, 1..=60),
            connect_timeout: keys.seconds("connect_timeout_s", 5, 1..=60),
            write_timeout: keys.seconds("write_timeout_s", 10, 1..=600),
            idle_timeout: keys.seconds("idle_timeout_s", 900, 10..=86_400),
            ping: keys.parsed("ping_s", Some(Duration::from_secs(120)), pause),
            tcp_alias: keys.flag("tcp_alias", false),
            receive_buffer: keys.count("receive_buffer", 4_194_304, 4096..=268_435_456),
            profile: keys.choice("profile"),
            user_agent: keys.text("user_agent", "chatbridge", header_text),
            t1: keys.millis("t1_ms", 500, 10..=10_000),
            t2: keys.millis("t2_ms", 4000, 100..=60_000),
            t4: keys.millis("t4_ms", 5000, 100..=60_000),
            mtu_switch: keys.count("mtu_switch", 1300, 0..=65_535),
        }
    }
}

/// `[dns]`: how names are turned into addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// The servers that are asked; without any, those of the system.
    pub servers: Vec<SocketAddr>,
    /// How long finding one destination may take, all questions together.
    pub budget: Duration,
    /// How many answers are remembered.
    pub cache: usize,
    /// How many destinations are looked for at a time.
    pub lookups: usize,
    /// How long the addresses of the core serve on while DNS gives no answer at all.
    pub stale: Duration,
    /// Whether a name may stand for a private or loopback address.
    pub allow_private: bool,
}

impl Dns {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut keys = reader.section("dns");
        Self {
            servers: keys.parsed("servers", Vec::new(), name_servers),
            budget: keys.seconds("budget_s", 5, 1..=60),
            cache: keys.count("cache", 1024, 0..=1_000_000),
            lookups: keys.count("lookups", 256, 1..=65_536),
            stale: keys.seconds("stale_s", 3600, 0..=604_800),
            allow_private: keys.flag("allow_private", true),
        }
    }
}

/// `[core]`: who carries the sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Core {
    /// What the core is, and how the bridge stands to it.
    pub mode: CoreMode,
    /// Where it is, if it is not embedded.
    pub next_hop: Option<HostPort>,
    /// How SIP travels there.
    pub transport: CoreTransport,
    /// The longest pause that the core may ask for with a 503; none is kept if this is zero.
    pub retry_after_max: Duration,
    /// The domain of the users.
    pub domain: String,
    /// How a user's number is written in a Request-URI.
    pub target_uri: TargetUri,
    /// The name under which the core knows us when it challenges (RFC 3261 section 22).
    pub username: Option<String>,
    /// The password that goes with it.
    pub password: Option<Secret>,
    /// The realms that may challenge us; an empty list is any.
    pub realms: Vec<String>,
    /// Further hosts whose invitations are taken and whose asserted identities are believed.
    pub trusted_peers: Vec<IpAddr>,
    /// Whether the peer, in mode `peer`, belongs to our trust domain (RFC 3325).
    pub trusted: bool,
    /// Whether the core, in mode `as`, is to serve the caller (`orig`, 3GPP TS 24.229 section
    /// 5.7.3).
    pub orig: bool,
    /// Whether a user known by an anonymous reference stays anonymous to those it calls.
    pub hide_acr: bool,
}

impl Core {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut keys = reader.section("core");
        Self {
            mode: keys.choice("mode"),
            next_hop: keys.optional("next_hop", HostPort::parse),
            transport: keys.choice("transport"),
            retry_after_max: keys.seconds("retry_after_max_s", 300, 0..=86_400),
            domain: keys.text("domain", "example.com", host),
            target_uri: keys.choice("target_uri"),
            username: keys.optional("username", header_text),
            password: keys.secret("password"),
            realms: keys.parsed("realms", Vec::new(), |value| {
                value.texts()?.into_iter().map(header_text).collect()
            }),
            trusted_peers: keys.parsed("trusted_peers", Vec::new(), hosts),
            trusted: keys.flag("trusted", false),
            orig: keys.flag("orig", false),
            hide_acr: keys.flag("hide_acr", false),
        }
    }
}

/// `[im_server]`: the embedded IM server, in mode `embedded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImServer {
    /// Where the IM server listens for SIP, on UDP and TCP.
    pub listen: SocketAddr,
    /// The users that exist from the start.
    pub users: Vec<Address>,
    /// Whether a user comes to be by being named.
    pub create_users: bool,
    /// The users that may come from outside: those of `accounts`, then those of `accounts_file`.
    pub accounts: Vec<Account>,
    /// The digest algorithms that are offered, the preferred one first (RFC 8760 section 2.4).
    pub algorithms: Vec<Algorithm>,
    /// How long a nonce is good.
    pub nonce_lifetime: Duration,
    /// How many nonces are remembered.
    pub nonces: usize,
    /// How many contacts a user may register.
    pub contacts: usize,
    /// How long a registration holds that asks for no time.
    pub expires: Duration,
    /// The shortest registration that is granted.
    pub min_expires: Duration,
    /// The longest registration that is granted.
    pub max_expires: Duration,
    /// How many requests may be under way or lately answered at a time.
    pub transactions: usize,
    /// The conference focus.
    pub focus: Focus,
}

impl ImServer {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut keys = reader.section("im_server");
        let lab = ["tel:+19585550100", "tel:+19585550101"].map(Address::parse);
        let lab = lab.into_iter().collect::<Result<Vec<_>, _>>().expect("the lab users are good");
        let listen = keys.socket("listen", ("127.0.0.1", 5060));
        let users = keys.parsed("users", lab, addresses);
        let create_users = keys.flag("create_users", true);
        let mut known = keys.parsed("accounts", Vec::new(), accounts);
        let home = keys.home().to_owned();
        let listed = |value: &Value| accounts_file(value, &home);
        known.extend(keys.parsed("accounts_file", Vec::new(), listed));
        Self {
            listen,
            users,
            create_users,
            accounts: known,
            algorithms: keys.parsed("algorithms", OFFERED.to_vec(), algorithms),
            nonce_lifetime: keys.seconds("nonce_lifetime_s", 300, 1..=86_400),
            nonces: keys.count("nonces", 10_000, 1..=10_000_000),
            contacts: keys.count("contacts", 10, 1..=100),
            expires: keys.seconds("expires_s", 3600, 60..=604_800),
            min_expires: keys.seconds("min_expires_s", 60, 1..=3600),
            max_expires: keys.seconds("max_expires_s", 86_400, 60..=2_592_000),
            transactions: keys.count("transactions", 10_000, 16..=10_000_000),
            focus: Focus::read(&mut keys),
        }
    }
}

/// `[msrp]`: MSRP as this process speaks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Msrp {
    /// Where MSRP is listened for.
    pub listen: SocketAddr,
    /// How many ports are tried, from that of `listen` upwards.
    pub ports: u16,
    /// The host that peers are told to connect to, where it is not that of `listen`.
    pub advertise: Option<String>,
    /// Where MSRP over TLS is listened for, if it is.
    pub tls_listen: Option<SocketAddr>,
    /// Where MSRP over WebSocket is listened for, if it is.
    pub ws_listen: Option<SocketAddr>,
    /// Where MSRP over WebSocket over TLS is listened for, if it is.
    pub wss_listen: Option<SocketAddr>,
    /// The origins whose pages may connect by WebSocket; none is any.
    pub ws_origins: Vec<String>,
    /// How often a WebSocket is asked for a sign of life.
    pub ws_ping: Duration,
    /// What is offered to peers.
    pub transport: Bearer,
    /// The relays through which all MSRP goes (RFC 4976), the nearest first, if there are any.
    pub relay: Option<Path>,
    /// The name under which the relays know us.
    pub relay_username: Option<String>,
    /// The password that goes with it.
    pub relay_password: Option<Secret>,
    /// How long the relays may take to let a session in.
    pub relay_timeout: Duration,
    /// How long an accepted connection may take to name its session.
    pub bind_timeout: Duration,
    /// How many accepted connections of one address may have named no session yet.
    pub unbound_per_source: usize,
    /// Whether to connect to private and loopback addresses.
    pub allow_private_dial: bool,
    /// How closely a request has to name its session.
    pub matching: Matching,
    /// Whether middleboxes may anchor the media (RFC 6714).
    pub cema: bool,
    /// Where to connect to a peer behind a middlebox that does not know how.
    pub connect: Contradiction,
    /// The largest message, in bytes.
    pub max_message: usize,
    /// The largest chunk sent, in bytes.
    pub chunk: usize,
    /// How many chunks of a session may be without an answer.
    pub window: usize,
    /// How many bytes those may be together.
    pub window_bytes: usize,
    /// How many messages wait in a session for their turn.
    pub queue: usize,
    /// How long a chunk waits for its response (RFC 4975 section 7.1.1).
    pub response_wait: Duration,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
}

impl Msrp {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut keys = reader.section("msrp");
        Self {
            listen: keys.socket("listen", ("127.0.0.1", 2855)),
            ports: u16::try_from(keys.number("ports", 16, 1..=1024)).unwrap_or(1),
            advertise: keys.optional("advertise", host),
            tls_listen: keys.optional("tls_listen", socket),
            ws_listen: keys.optional("ws_listen", socket),
            wss_listen: keys.optional("wss_listen", socket),
            ws_origins: keys.parsed("ws_origins", Vec::new(), |value| {
                value.texts()?.into_iter().map(origin).collect()
            }),
            ws_ping: keys.seconds("ws_ping_s", 30, 1..=3600),
            transport: keys.choice("transport"),
            relay: keys.optional("relay", relays),
            relay_username: keys.optional("relay_username", header_text),
            relay_password: keys.secret("relay_password"),
            relay_timeout: keys.seconds("relay_timeout_s", 10, 1..=300),
            bind_timeout: keys.seconds("bind_timeout_s", 10, 1..=300),
            unbound_per_source: keys.count("unbound_per_source", 64, 1..=65_536),
            allow_private_dial: keys.flag("allow_private_dial", true),
            matching: keys.choice("match"),
            cema: keys.flag("cema", true),
            connect: keys.choice("connect"),
            max_message: keys.count("max_message", 4_194_304, 1024..=268_435_456),
            chunk: keys.count("chunk", 2048, 128..=1_048_576),
            window: keys.count("window", 8, 1..=256),
            window_bytes: keys.count("window_bytes", 16_000, 1024..=16_777_216),
            queue: keys.count("queue", 32, 1..=65_536),
            response_wait: keys.seconds("response_wait_s", 30, 1..=300),
            connect_timeout: keys.seconds("connect_timeout_s", 10, 1..=300),
        }
    }
}

/// `[session]`: chat sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// How long an invitation may stay unanswered.
    pub invitation_timeout: Duration,
    /// The session interval that is asked for (RFC 4028), if any.
    pub timer: Option<Duration>,
    /// How long the MSRP session may take to stand after the acceptance.
    pub msrp_connect_timeout: Duration,
    /// How an invitation is refused whose user has no client.
    pub no_client_code: u16,
    /// How an invitation is refused that its user declines.
    pub decline_code: u16,
    /// How an invitation is refused that its user does not react to.
    pub no_answer_code: u16,
    /// How many sessions there may be at once.
    pub max_sessions: usize,
    /// When a sent message counts as delivered.
    pub success_on: SuccessOn,
    /// Whether the user's other clients are told what the user sends.
    pub echo: bool,
    /// How many messages per direction are remembered for their reports.
    pub tracked_messages: usize,
    /// How many redirections of an INVITE are followed (RFC 3261 section 8.1.3.4).
    pub redirects: u8,
    /// How long a lost MSRP connection waits for the BYE that explains it.
    pub msrp_grace: Duration,
    /// How long a user who leaves, or is left, waits for the answers to the messages sent last.
    pub leave_wait: Duration,
    /// How long an ended session is remembered for what still arrives.
    pub linger: Duration,
}

impl Session {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut keys = reader.section("session");
        Self {
            invitation_timeout: keys.seconds("invitation_timeout_s", 180, 1..=3600),
            timer: keys.parsed("timer_s", None, session_interval),
            msrp_connect_timeout: keys.seconds("msrp_connect_timeout_s", 10, 1..=300),
            no_client_code: keys.parsed("no_client_code", 480, refusal),
            decline_code: keys.parsed("decline_code", 480, decline),
            no_answer_code: keys.parsed("no_answer_code", 408, refusal),
            max_sessions: keys.count("max_sessions", 10_000, 1..=10_000_000),
            success_on: keys.choice("success_on"),
            echo: keys.flag("echo", true),
            tracked_messages: keys.count("tracked_messages", 1000, 1..=1_000_000),
            redirects: u8::try_from(keys.number("redirects", 5, 0..=20)).unwrap_or(0),
            msrp_grace: keys.seconds("msrp_grace_s", 3, 0..=60),
            leave_wait: keys.seconds("leave_wait_s", 2, 0..=60),
            linger: keys.seconds("linger_s", 32, 0..=3600),
        }
    }
}

/// `[notify]`: notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// How many notifications wait per subscription or channel.
    pub queue: usize,
    /// How long an application may take to answer a notification.
    pub timeout: Duration,
    /// The pause before the first retry.
    pub retry_first: Duration,
    /// The longest pause between retries.
    pub retry_max: Duration,
    /// How long a notification is retried at all.
    pub retry_window: Duration,
    /// How many times one is offered to an application that refuses the document itself.
    pub refusals: u32,
    /// What callbacks are signed with (Standard Webhooks), if they are.
    pub secret: Option<SigningKey>,
    /// Another secret, with which they are signed, too, while applications change to the new one.
    pub previous_secret: Option<SigningKey>,
    /// Who vouches for applications that are called back over TLS; else the platform says.
    pub ca: Option<PathBuf>,
    /// Whether to notify private and loopback addresses.
    pub allow_private: bool,
    /// How long the last notifications may take when the process is stopped.
    pub farewell: Duration,
    /// How many subscriptions a user may have.
    pub max_subscriptions: usize,
    /// How long a long poll is held.
    pub poll: Duration,
    /// How long an event stream is silent before it shows that it is there.
    pub ping: Duration,
    /// How many delivered notifications of a channel can be read again.
    pub reread: usize,
    /// How many notifications one poll takes, at most.
    pub max_notifications: u32,
    /// The longest lifetime of a channel.
    pub channel_lifetime: Duration,
    /// How many channels a user may have.
    pub max_channels: usize,
}

impl Notify {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut keys = reader.section("notify");
        Self {
            queue: keys.count("queue", 1000, 1..=1_000_000),
            timeout: keys.seconds("timeout_s", 10, 1..=300),
            retry_first: keys.seconds("retry_first_s", 1, 1..=3600),
            retry_max: keys.seconds("retry_max_s", 300, 1..=86_400),
            retry_window: keys.seconds("retry_window_s", 86_400, 0..=604_800),
            refusals: keys.number("refusals", 3, 1..=1000),
            secret: keys.parsed("secret", None, signing_key),
            previous_secret: keys.parsed("previous_secret", None, signing_key),
            ca: keys.file("ca"),
            allow_private: keys.flag("allow_private", true),
            farewell: keys.seconds("farewell_s", 5, 0..=600),
            max_subscriptions: keys.count("max_subscriptions", 32, 1..=10_000),
            poll: keys.seconds("poll_s", 20, 1..=600),
            ping: keys.seconds("ping_s", 15, 1..=600),
            reread: keys.count("reread", 250, 1..=100_000),
            max_notifications: keys.number("max_notifications", 100, 1..=10_000),
            channel_lifetime: keys.seconds("channel_lifetime_s", 86_400, 60..=31_536_000),
            max_channels: keys.count("max_channels", 16, 1..=10_000),
        }
    }
}

/// `[limits]`: bounds against hostile input and overload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How many inputs wait for one conversation.
    pub inbox: usize,
    /// How many notices wait to be turned into notifications.
    pub notices: usize,
    /// The largest SIP message, in bytes.
    pub sip_message: usize,
    /// How many header fields a SIP message may have.
    pub sip_headers: usize,
    /// How many SIP messages wait behind the sockets to be handed on.
    pub sip_inbound: usize,
    /// How many SIP messages wait for one connection to be written.
    pub sip_outbound: usize,
    /// How many connections are accepted, SIP and MSRP each; as many SIP connections are opened.
    pub connections: usize,
    /// How many subscriptions there may be in total.
    pub subscriptions: usize,
    /// How many channels there may be in total.
    pub channels: usize,
    /// How many HTTP connections there may be.
    pub rest_connections: usize,
    /// How many of them may come from one address, or network of 64 bits in IPv6.
    pub rest_per_source: usize,
    /// How many requests may be worked on at once; long polls are not among them.
    pub rest_in_flight: usize,
    /// How many long polls may be held at once.
    pub polls: usize,
    /// How many requests a second one user's resources take; 0 is any.
    pub rest_rate: u32,
    /// How many of them at once.
    pub rest_burst: u32,
    /// How many sessions a user may have.
    pub sessions_per_user: usize,
    /// How long running sessions may take to end when the process is stopped.
    pub drain: Duration,
}

impl Limits {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut keys = reader.section("limits");
        Self {
            inbox: keys.count("inbox", 256, 1..=65_536),
            notices: keys.count("notices", 4096, 1..=1_000_000),
            sip_message: keys.count("sip_message", 65_536, 2048..=1_048_576),
            sip_headers: keys.count("sip_headers", 128, 16..=4096),
            sip_inbound: keys.count("sip_inbound", 4096, 1..=1_000_000),
            sip_outbound: keys.count("sip_outbound", 256, 1..=65_536),
            connections: keys.count("connections", 1024, 1..=1_000_000),
            subscriptions: keys.count("subscriptions", 100_000, 1..=10_000_000),
            channels: keys.count("channels", 100_000, 1..=10_000_000),
            rest_connections: keys.count("rest_connections", 20_000, 1..=1_000_000),
            rest_per_source: keys.count("rest_per_source", 4096, 1..=1_000_000),
            rest_in_flight: keys.count("rest_in_flight", 1024, 1..=1_000_000),
            polls: keys.count("polls", 20_000, 1..=1_000_000),
            rest_rate: keys.number("rest_rate", 0, 0..=1_000_000),
            rest_burst: keys.number("rest_burst", 100, 1..=1_000_000),
            sessions_per_user: keys.count("sessions_per_user", 1000, 1..=1_000_000),
            drain: keys.seconds("drain_s", 5, 0..=600),
        }
    }
}

/// `[log]`: the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// What is logged, in the words of `tracing_subscriber::EnvFilter`.
    pub filter: String,
    /// How it is written.
    pub format: LogFormat,
}

impl Log {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut keys = reader.section("log");
        Self {
            filter: keys.text("filter", "info,actix_server=warn", filter),
            format: keys.choice("format"),
        }
    }
}

/// Reads a secret of Standard Webhooks; no fault repeats it, and the empty text stands for nothing.
fn signing_key(value: &Value) -> Result<Option<SigningKey>, String> {
    match value.text() {
        Ok("") => Ok(None),
        Ok(text) => SigningKey::parse(text).map(Some).map_err(|error| error.to_string()),
        Err(_) => Err(SigningKeyError.to_string()),
    }
}

fn addresses(value: &Value) -> Result<Vec<Address>, String> {
    let mut addresses: Vec<Address> = Vec::new();
    for text in value.texts()? {
        let address = Address::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
        if addresses.contains(&address) {
            return Err(format!("{text:?} stands here twice"));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

/// What is offered to those who prove who they are: SHA-256, and MD5 for those who know nothing
/// better (RFC 8760 section 2.4).
const OFFERED: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Md5];

fn algorithms(value: &Value) -> Result<Vec<Algorithm>, String> {
    let known = [Algorithm::Sha256, Algorithm::Sha512Of256, Algorithm::Md5];
    let tokens = known.map(Algorithm::token).join(", ");
    let mut algorithms = Vec::new();
    for text in value.texts()? {
        let found = Algorithm::parse(text).filter(|found| known.contains(found));
        let found = found.ok_or_else(|| format!("{text:?} is none of {tokens}"))?;
        if !algorithms.contains(&found) {
            algorithms.push(found);
        }
    }
    if algorithms.is_empty() {
        Err(format!("wants one of {tokens} at least"))
    } else {
        Ok(algorithms)
    }
}

/// Reads an origin as browsers write it (RFC 6454 section 6.2): a scheme and a host, no path.
fn origin(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_host = |rest: &str| {
        !rest.is_empty()
            && !rest.contains('/')
            && rest.bytes().all(|octet| octet.is_ascii_graphic())
    };
    match rest {
        Some(rest) if is_host(rest) => Ok(text.to_owned()),
        Some(_) | None => Err(format!("{text:?} is no origin, such as https://chat.example.com")),
    }
}

fn hosts(value: &Value) -> Result<Vec<IpAddr>, String> {
    let parse = |text: &str| {
        text.parse().map_err(|_| format!("{text:?} is no IP address, such as 192.0.2.1"))
    };
    value.texts()?.into_iter().map(parse).collect()
}

fn name_servers(value: &Value) -> Result<Vec<SocketAddr>, String> {
    let parse = |text: &str| {
        let with_port = text.parse::<SocketAddr>();
        let found = with_port.or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)));
        found.map_err(|_| format!("{text:?} is no IP address, such as 192.0.2.1 or 192.0.2.1:53"))
    };
    value.texts()?.into_iter().map(parse).collect()
}

pub(super) fn decline(value: &Value) -> Result<u16, String> {
    let code = value.integer()?;
    let found = [480, 486, 603].into_iter().find(|known| i64::from(*known) == code);
    found.ok_or_else(|| format!("{code} is none of 480, 486, 603"))
}

fn refusal(value: &Value) -> Result<u16, String> {
    let code = value.integer()?;
    let fits = u16::try_from(code).ok().filter(|code| (400..=699).contains(code));
    fits.ok_or_else(|| format!("{code} is no SIP code that refuses: 400 to 699"))
}

/// The longest pause between pings; 0 is none at all.
fn pause(value: &Value) -> Result<Option<Duration>, String> {
    let seconds = value.integer()?;
    match u64::try_from(seconds) {
        Ok(0) => Ok(None),
        Ok(pause @ 1..=86_400) => Ok(Some(Duration::from_secs(pause))),
        Ok(_) | Err(_) => Err(format!("{seconds} is out of range: 0 to 86400")),
    }
}

/// No interval is shorter than 90 s (RFC 4028 section 4).
fn session_interval(value: &Value) -> Result<Option<Duration>, String> {
    let seconds = value.integer()?;
    match u64::try_from(seconds) {
        Ok(0) => Ok(None),
        Ok(interval @ 90..=86_400) => Ok(Some(Duration::from_secs(interval))),
        Ok(_) | Err(_) => Err(format!("{seconds} is neither 0 nor 90 to 86400")),
    }
}

fn filter(text: &str) -> Result<String, String> {
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{text:?}: {error}")),
    }
}
