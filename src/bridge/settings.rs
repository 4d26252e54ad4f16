//! How conversations behave: all that configuration decides about them.

use std::sync::Arc;
use std::time::Duration;

use super::bearer::{Bearer, Bearers};
use super::delivery::SuccessOn;
use super::group_settings::GroupSettings;
use super::identity::{Realm, Standing};
use super::profile::Profile;
use crate::chat::Refusal;
use crate::msrp::{Limits, Matching, Relays};
use crate::sip::{Credentials, Hop, Local, REPLACES, Status, Timers};

/// How conversations behave.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How users are named in SIP.
    pub realm: Realm,
    /// What the core is told of who the users are.
    pub standing: Standing,
    /// What the core expects of an INVITE.
    pub profile: &'static Profile,
    /// Where the core reaches us.
    pub local: Hop,
    /// The port at which the core reaches us under TLS.
    pub tls_port: Option<u16>,
    /// The User-Agent and Server header.
    pub user_agent: String,
    /// How the Route of our INVITEs names the core, where not by its address.
    pub core: Option<Hop>,
    /// The largest request that goes as a datagram, in bytes; `0` is any (RFC 3261 section 18.1.1).
    pub datagram: usize,
    /// What the core is told when it challenges our requests.
    pub credentials: Option<Credentials>,
    /// The timers of RFC 3261 section 17.
    pub timers: Timers,
    /// The session interval that is asked for (RFC 4028); without one it is left to the peers.
    pub session_timer: Option<Duration>,
    /// The host that peers are told to connect their MSRP to.
    pub msrp_host: String,
    /// The port that peers are told to connect their MSRP to.
    pub msrp_port: u16,
    /// What carries MSRP beside TCP, and what is offered.
    pub msrp_bearers: Bearers,
    /// The relays through which all of our MSRP goes, where there are any.
    pub msrp_relay: Option<MsrpRelay>,
    /// Bounds of the MSRP engine.
    pub msrp_limits: Arc<Limits>,
    /// How peers and their descriptions are taken.
    pub msrp_rules: MsrpRules,
    /// How long an invitation may stay unanswered.
    pub invitation_timeout: Duration,
    /// How long the MSRP connection may take after the session was accepted.
    pub msrp_connect_timeout: Duration,
    /// How long a lost MSRP connection waits for the BYE that explains it.
    pub msrp_grace: Duration,
    /// How long a user who leaves, or is left, waits for the answers to the messages sent last.
    pub leave_wait: Duration,
    /// How long those answers are waited for when the server stops.
    pub stop_wait: Duration,
    /// How long an ended session still answers its URL.
    pub linger: Duration,
    /// How an invitation is refused when its user has no client.
    pub no_client_code: Status,
    /// How an invitation is refused when its user declines.
    pub decline_code: Status,
    /// How an invitation is refused when its user does not react.
    pub no_answer_code: Status,
    /// When a sent message counts as delivered.
    pub success_on: SuccessOn,
    /// Whether the user's applications are told what the user says with any of them.
    pub echo: bool,
    /// How many messages per direction are remembered for their reports.
    pub tracked_messages: usize,
    /// How many redirections (RFC 3261 section 8.1.3.4) are followed.
    pub redirects: u8,
    /// How groups behave.
    pub group: GroupSettings,
}

/// The relays through which all of our MSRP goes (RFC 4976).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MsrpRelay {
    /// Which they are, and how they know us.
    pub relays: Relays,
    /// How long they may take to let a session in.
    pub timeout: Duration,
}

/// How MSRP peers and their descriptions are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MsrpRules {
    /// How closely a request has to name its session.
    pub matching: Matching,
    /// Whether we take part in anchoring the media at middleboxes (RFC 6714).
    pub cema: bool,
    /// What becomes of peers that do not, but stand behind a middlebox by their descriptions.
    pub contradiction: Contradiction,
}

/// What to do where the `c=` and `m=` lines of a peer without CEMA contradict its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Contradiction {
    /// Connect to where the path says (RFC 4975 section 8).
    #[default]
    Path,
    /// Connect to where the lines say.
    Lines,
    /// Refuse the session where RFC 6714 does.
    Refuse,
}

impl Default for MsrpRules {
    fn default() -> Self {
        let (matching, contradiction) = (Matching::default(), Contradiction::default());
        Self { matching, cema: true, contradiction }
    }
}

impl Settings {
    /// Tells what carries MSRP where the choice is ours: what carries it to our relays, if there are
    /// any, for they and we stand in one path.
    pub(super) fn offered_bearer(&self) -> Bearer {
        let relay = self.msrp_relay.as_ref().and_then(|relay| relay.relays.uris.first());
        relay.map_or(self.msrp_bearers.offered, Bearer::of_ours)
    }

    /// Tells whether a peer may have MSRP carried by `bearer`.
    pub(super) fn serves(&self, bearer: Bearer) -> bool {
        match self.msrp_relay {
            Some(_) => bearer == self.offered_bearer(),
            None => self.msrp_bearers.port(bearer, self.msrp_port).is_some(),
        }
    }

    /// Refuses what a session does not begin any more that only waits for the last answers before the
    /// server stops.
    pub(super) fn stopping(&self) -> Refusal {
        Refusal::Unavailable { why: "the server is stopping", retry_after: self.stop_wait }
    }

    /// Describes who we are on the wire.
    #[must_use]
    pub fn on_the_wire(&self) -> Local {
        let mut local = Local::new(self.local.clone(), self.user_agent.clone());
        local.tls_port = self.tls_port;
        local.credentials = self.credentials.clone();
        local.session_expires = self.session_timer;
        local.datagram = self.datagram;
        local.contact_params = self.profile.contact_params.to_owned();
        local.supported.push(REPLACES.to_owned());
        local
    }
}

/// Settings for tests, which change what they are about.
#[cfg(test)]
pub(crate) fn sample() -> Settings {
    let minute = Duration::from_secs(60);
    Settings {
        realm: Realm {
            domain: "example.com".to_owned(),
            target_uri: super::identity::TargetUri::SipPhone,
        },
        standing: Standing::default(),
        profile: Profile::plain(),
        local: Hop::new(crate::sip::Transport::Udp, "192.0.2.1", 5060),
        tls_port: None,
        user_agent: "bridge/1".to_owned(),
        core: None,
        datagram: crate::sip::DATAGRAM,
        credentials: None,
        timers: Timers::default(),
        session_timer: None,
        msrp_host: "192.0.2.1".to_owned(),
        msrp_port: 2855,
        msrp_bearers: Bearers::default(),
        msrp_relay: None,
        msrp_rules: MsrpRules::default(),
        msrp_limits: Arc::default(),
        invitation_timeout: minute,
        msrp_connect_timeout: minute,
        msrp_grace: minute,
        leave_wait: minute,
        stop_wait: minute,
        linger: minute,
        no_client_code: Status::TEMPORARILY_UNAVAILABLE,
        decline_code: Status::DECLINE,
        no_answer_code: Status::TEMPORARILY_UNAVAILABLE,
        success_on: SuccessOn::Hop,
        echo: false,
        tracked_messages: 8,
        redirects: 0,
        group: GroupSettings::default(),
    }
}
