//! Rooms, and the servers that have them: the embedded IM server with its focus, and the host of our
//! users' own groups.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::{hop, msrp_limits, profile, standing, timers, transport, user_agent};
use crate::config::{self, Config};
use crate::sip::{Credentials, Hop, Password, Transport};
use crate::{bridge, im_server, msrp};

/// How the embedded IM server behaves; `home` is where the bridge is, and what it proves itself by.
pub(in crate::app) fn im_server(
    config: &Config,
    local: SocketAddr,
    (home, home_credentials): (SocketAddr, Option<Credentials>),
    rooms: Option<SocketAddr>,
) -> im_server::Settings {
    let server = &config.im_server;
    let account = |account: &config::Account| im_server::Account {
        address: account.address.clone(),
        password: Password::Text(account.password.reveal().to_owned()),
    };
    im_server::Settings {
        domain: config.core.domain.clone(),
        local: hop(Transport::Udp, local),
        users: server.users.clone(),
        create_users: server.create_users,
        accounts: server.accounts.iter().map(account).collect(),
        home: Some(hop(transport(config), home)),
        home_credentials,
        algorithms: server.algorithms.clone(),
        nonce_lifetime: server.nonce_lifetime,
        max_nonces: server.nonces,
        timers: timers(config),
        datagram: config.sip.mtu_switch,
        max_contacts: server.contacts,
        max_transactions: server.transactions,
        min_expires: server.min_expires,
        max_expires: server.max_expires,
        default_expires: server.expires,
        focus: rooms.map(|msrp| focus(config, msrp)),
        server_name: im_server::Settings::default().server_name,
    }
}

/// The rooms of our users, whose MSRP is listened for at `msrp`; `next_hop` is the core.
pub(in crate::app) fn host(
    config: &Config,
    msrp: SocketAddr,
    (next_hop, credentials): (Hop, Option<Credentials>),
) -> im_server::FocusSettings {
    let profile = profile(config);
    let identity = match standing(config).naming {
        bridge::Naming::FromOnly => None,
        bridge::Naming::Preferred => Some("P-Preferred-Identity"),
        bridge::Naming::Asserted => Some("P-Asserted-Identity"),
    };
    let advertised = config.group.host_advertise.clone();
    im_server::FocusSettings {
        next_hops: vec![next_hop],
        msrp_host: advertised.unwrap_or_else(|| msrp.ip().to_string()),
        owner: im_server::Owner::Originator { identity },
        contact_params: profile.contact_params.to_owned(),
        user_agent: user_agent(profile.user_agent_prefix, &config.sip.user_agent),
        credentials,
        ..focus(config, msrp)
    }
}

/// The way to the host beside us: our own socket.
pub(super) fn own_host(
    config: &Config,
    sip: SocketAddr,
    names: Option<&im_server::HostNames>,
) -> Option<bridge::OwnHost> {
    let ip = match (sip.ip().is_unspecified(), sip.ip()) {
        (true, IpAddr::V4(_)) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        (true, IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        (false, ip) => ip,
    };
    let hop = hop(transport(config), SocketAddr::new(ip, sip.port()));
    Some(bridge::OwnHost { factory: names?.factory()?, hop })
}

/// The conference focus, whose MSRP is listened for at `msrp`.
fn focus(config: &Config, msrp: SocketAddr) -> im_server::FocusSettings {
    let focus = &config.im_server.focus;
    im_server::FocusSettings {
        domain: config.core.domain.clone(),
        factory: focus.factory.clone(),
        rooms: focus.rooms.clone(),
        max_rooms: focus.max_rooms,
        max_rooms_per_user: focus.max_rooms_per_user,
        max_participants: focus.max_participants,
        min_participants: focus.min_participants,
        max_invitations: focus.max_invitations,
        originator_leaves: focus.originator_leaves,
        idle: focus.idle,
        invitation_wait: focus.invitation_wait,
        private_messages: focus.private_messages,
        nicknames: focus.nicknames,
        min_expires: focus.watch_min,
        max_expires: focus.watch_max,
        remembered: focus.remembered,
        msrp_host: focus.msrp_advertise.clone().unwrap_or_else(|| msrp.ip().to_string()),
        msrp_port: msrp.port(),
        msrp: Arc::new(room_limits(config)),
        timers: timers(config),
        datagram: config.sip.mtu_switch,
        ..im_server::FocusSettings::default()
    }
}

/// The bounds of the sessions in rooms.
pub(in crate::app) fn room_limits(config: &Config) -> msrp::Limits {
    let focus = &config.im_server.focus;
    msrp::Limits {
        max_message: focus.max_message,
        max_chunk_in: focus.max_message,
        queue: focus.queue,
        response_wait: focus.stall,
        ..msrp_limits(config)
    }
}
