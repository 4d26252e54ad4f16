//! How the bridge and the IM server of the world behave.

use std::sync::Arc;
use std::time::Duration;

use chatbridge::bridge::delivery::SuccessOn;
use chatbridge::bridge::{Bearers, MsrpRules, PROFILES, Realm, Settings, Standing, TargetUri};
use chatbridge::im_server;
use chatbridge::sip::{Credentials, DATAGRAM, Password, Status, Timers};

use super::{ALICE, BOB, BRIDGE, IM_SERVER, address, hop};

/// How the bridge behaves: the defaults of its configuration.
pub(super) fn of_bridge() -> Settings {
    Settings {
        realm: Realm { domain: "example.com".into(), target_uri: TargetUri::SipPhone },
        standing: Standing::default(),
        profile: &PROFILES[0],
        local: hop(BRIDGE),
        tls_port: None,
        user_agent: "chatbridge".into(),
        core: Some(hop(IM_SERVER)),
        datagram: DATAGRAM,
        credentials: Some(proof()),
        timers: Timers::default(),
        session_timer: None,
        msrp_host: "127.0.0.1".into(),
        msrp_port: 2855,
        msrp_bearers: Bearers::default(),
        msrp_relay: None,
        msrp_rules: MsrpRules::default(),
        msrp_limits: Arc::default(),
        invitation_timeout: Duration::from_secs(180),
        msrp_connect_timeout: Duration::from_secs(10),
        msrp_grace: Duration::from_secs(5),
        leave_wait: Duration::from_secs(2),
        stop_wait: Duration::from_secs(2),
        linger: Duration::from_secs(60),
        no_client_code: Status::TEMPORARILY_UNAVAILABLE,
        decline_code: Status::TEMPORARILY_UNAVAILABLE,
        no_answer_code: Status::TEMPORARILY_UNAVAILABLE,
        success_on: SuccessOn::Report,
        echo: true,
        tracked_messages: 100,
        redirects: 5,
        group: chatbridge::bridge::GroupSettings::default(),
    }
}

/// What the bridge proves itself by to its IM server, where its address does not suffice.
fn proof() -> Credentials {
    Credentials {
        username: "bridge".into(),
        password: Password::Text("drawn at the start".into()),
        realms: vec!["example.com".into()],
    }
}

/// Who lives where: everybody at the bridge.
pub(super) fn of_im_server() -> im_server::Settings {
    im_server::Settings {
        domain: "example.com".into(),
        local: hop(IM_SERVER),
        users: vec![address(ALICE), address(BOB)],
        create_users: true,
        home: Some(hop(BRIDGE)),
        home_credentials: Some(proof()),
        ..im_server::Settings::default()
    }
}
