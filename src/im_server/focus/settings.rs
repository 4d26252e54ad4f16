//! What the focus is told when it is made.

use std::sync::Arc;
use std::time::Duration;

use crate::msrp;
use crate::sip::{Credentials, DATAGRAM, Hop, Timers, Transport};

/// Where the focus is, what it is called, and how much it takes on.
#[derive(Debug, Clone)]
pub struct FocusSettings {
    /// The domain whose users meet here, as it stands in their addresses.
    pub domain: String,
    /// The address in the URIs of rooms, and in Via.
    pub local: Hop,
    /// Where requests to users go first, best first: the proxy that finds them.
    pub next_hops: Vec<Hop>,
    /// The user part of the conference factory; an empty one leaves the focus without.
    pub factory: String,
    /// How the user parts of rooms begin that are begun at the factory.
    pub ad_hoc: String,
    /// How the user parts of rooms begin that have a name of their own, and come to be by being
    /// called; empty, there are none.
    pub rooms: String,
    /// How many rooms there may be at a time.
    pub max_rooms: usize,
    /// How many of them may be begun by one user.
    pub max_rooms_per_user: usize,
    /// How many may be in a room, or invited to it.
    pub max_participants: usize,
    /// With fewer than these, a room that was begun at the factory ends as soon as one goes.
    pub min_participants: usize,
    /// How many invitations of a room may be under way at a time; the others wait.
    pub max_invitations: usize,
    /// What becomes of a room that its originator leaves.
    pub originator_leaves: OriginatorLeaves,
    /// After how long without a message a room ends; zero is never.
    pub idle: Duration,
    /// How long an invitation may ring.
    pub invitation_wait: Duration,
    /// Whether messages to a single participant are passed on (RFC 7701 section 6.2).
    pub private_messages: bool,
    /// Whether participants may have nicknames (RFC 7701 section 7).
    pub nicknames: bool,
    /// The shortest subscription that is granted, in seconds.
    pub min_expires: u32,
    /// The longest subscription that is granted, in seconds; also that of who asks for none.
    pub max_expires: u32,
    /// How many rooms that have ended are still known to have been.
    pub remembered: usize,
    /// The host that participants connect to.
    pub msrp_host: String,
    /// The port that they connect to.
    pub msrp_port: u16,
    /// The bounds of each session. A participant that has more messages waiting than its queue
    /// holds, or answers to none of them in its response time, is sent away.
    pub msrp: Arc<msrp::Limits>,
    /// The timers of every SIP transaction.
    pub timers: Timers,
    /// The largest request that goes as a datagram, in bytes; `0` is any.
    pub datagram: usize,
    /// The product name for User-Agent and Server.
    pub user_agent: String,
    /// What the Contact of a room says beside `isfocus`: parameters, each with its semicolon.
    pub contact_params: String,
    /// In whose name the rooms are.
    pub owner: Owner,
    /// What the focus proves itself by towards the proxy.
    pub credentials: Option<Credentials>,
}

/// In whose name a room is, and so who ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The network's: who is invited is invited by the room.
    Network,
    /// Its originator's, who is the host. It invites in its own name, acknowledges a message when
    /// all others have it, and ends the room when it leaves.
    Originator {
        /// The header that names the host to the proxy, if one does (RFC 3325 section 9).
        identity: Option<&'static str>,
    },
}

impl FocusSettings {
    /// Tells whether a room ends for all when its originator leaves.
    pub(super) fn ends_with_originator(&self) -> bool {
        let is_hosted = matches!(self.owner, Owner::Originator { .. });
        is_hosted || self.originator_leaves == OriginatorLeaves::End
    }
}

/// What becomes of a room that its originator leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginatorLeaves {
    /// It goes on without.
    GoOn,
    /// It ends for all.
    End,
}

impl Default for FocusSettings {
    fn default() -> Self {
        Self {
            domain: "example.com".to_owned(),
            local: Hop::new(Transport::Udp, "127.0.0.1", 5060),
            next_hops: Vec::new(),
            factory: "conference-factory".to_owned(),
            ad_hoc: "conf-".to_owned(),
            rooms: "room-".to_owned(),
            max_rooms: 1000,
            max_rooms_per_user: 100,
            max_participants: 100,
            min_participants: 2,
            max_invitations: 50,
            originator_leaves: OriginatorLeaves::GoOn,
            idle: Duration::from_secs(24 * 3600),
            invitation_wait: Duration::from_secs(180),
            private_messages: true,
            nicknames: true,
            min_expires: 60,
            max_expires: 3600,
            remembered: 1000,
            msrp_host: "127.0.0.1".to_owned(),
            msrp_port: 2875,
            msrp: Arc::default(),
            timers: Timers::default(),
            datagram: DATAGRAM,
            user_agent: "chatbridge".to_owned(),
            contact_params: String::new(),
            owner: Owner::Network,
            credentials: None,
        }
    }
}
