//! The vocabulary of the table: circumstances, codes and outcomes.

use std::fmt;

use crate::bridge::description::Reason;
use crate::chat::EventType;

/// The circumstance in which a row applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Circumstance {
    /// Our INVITE is on its way: a response decides.
    Inviting,
    /// As [`Self::Inviting`], but the user has withdrawn the invitation meanwhile.
    InvitingAfterCancel,
    /// Something other than a response happens, and the session goes on.
    During(LegNews),
    /// Something other than a response ends the session.
    Ends(LegEnd),
}

/// What ends a leg without a final response to our INVITE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LegEnd {
    /// Nobody answered our INVITE: Timer B, or the invitation timer, whereupon we CANCEL.
    InvitationTimeout,
    /// Our INVITE could not be brought to the next hop.
    Unreachable,
    /// The 2xx brought no session description that we can use.
    UnusableAnswer,
    /// The 2xx came, but the MSRP connection did not.
    MsrpConnectFailed,
    /// The relays through which our MSRP goes do not, or no longer, act for us.
    RelayFailed,
    /// Our user declined the invitation.
    DeclinedByUser,
    /// The caller withdrew the invitation: CANCEL.
    CancelledByPeer,
    /// CANCEL with `Reason: SIP;cause=200`: another device of the user took the call.
    AnsweredElsewhere,
    /// Our user did not react to the invitation in time.
    NoReaction,
    /// The invited user has no client that could be told.
    NoClient,
    /// No ACK came for our 200: Timer H, 64*T1.
    NoAck,
    /// The other side has left: BYE.
    LeftByPeer,
    /// Our user has left.
    LeftByUser,
    /// A request of ours in the dialog was answered 481 or 408, or not at all: Timer F.
    DialogLost,
    /// The session timer of RFC 4028 ran out.
    SessionTimeout,
    /// The MSRP connection was lost and did not come back.
    MsrpLost,
    /// A re-INVITE took the message stream away: port 0.
    MediaRemoved,
    /// The session has become a group, which its other side has joined or declined.
    Extended,
    /// The core that carries the session is gone.
    CoreLost,
    /// The bridge is shutting down.
    ShuttingDown,
}

impl LegEnd {
    /// Every end.
    pub const ALL: [Self; 20] = [
        Self::InvitationTimeout,
        Self::Unreachable,
        Self::UnusableAnswer,
        Self::MsrpConnectFailed,
        Self::RelayFailed,
        Self::DeclinedByUser,
        Self::CancelledByPeer,
        Self::AnsweredElsewhere,
        Self::NoReaction,
        Self::NoClient,
        Self::NoAck,
        Self::LeftByPeer,
        Self::LeftByUser,
        Self::DialogLost,
        Self::SessionTimeout,
        Self::MsrpLost,
        Self::MediaRemoved,
        Self::Extended,
        Self::CoreLost,
        Self::ShuttingDown,
    ];

    /// Tells whether a CANCEL with these reasons says that another device took the call
    /// (RFC 3326 section 2); clients that withdraw their invitation give a cause of 200 as well,
    /// with another text.
    #[must_use]
    pub fn of_cancel(reasons: &[Reason<'_>]) -> Self {
        let elsewhere = |reason: &Reason<'_>| {
            let text = reason.text.map(str::to_ascii_lowercase);
            reason.protocol.eq_ignore_ascii_case("SIP")
                && reason.cause == Some(200)
                && text.is_none_or(|text| text.contains("elsewhere"))
        };
        if reasons.iter().any(elsewhere) { Self::AnsweredElsewhere } else { Self::CancelledByPeer }
    }

    pub(super) fn what(self) -> &'static str {
        match self {
            Self::InvitationTimeout => "nobody answers the INVITE",
            Self::Unreachable => "the INVITE cannot be sent",
            Self::UnusableAnswer => "2xx with unusable SDP",
            Self::MsrpConnectFailed => "2xx, but no MSRP connection",
            Self::RelayFailed => "our MSRP relay refuses, is silent or gone",
            Self::DeclinedByUser => "the invited user declines",
            Self::CancelledByPeer => "CANCEL received",
            Self::AnsweredElsewhere => "CANCEL, Reason \"… elsewhere\"",
            Self::NoReaction => "the invited user does not react",
            Self::NoClient => "the invited user has no client",
            Self::NoAck => "no ACK to the 200",
            Self::LeftByPeer => "BYE received",
            Self::LeftByUser => "the user leaves",
            Self::DialogLost => "481, 408 or silence in the dialog",
            Self::SessionTimeout => "the session timer runs out",
            Self::MsrpLost => "the MSRP connection is lost",
            Self::MediaRemoved => "re-INVITE with port 0",
            Self::Extended => "the session has become a group",
            Self::CoreLost => "the core is lost",
            Self::ShuttingDown => "the bridge shuts down",
        }
    }
}

/// What happens to a leg without ending it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LegNews {
    /// An INVITE for one of our users.
    Invitation,
    /// A first message inside that INVITE.
    FirstMessage,
    /// The user accepts.
    AcceptedByUser,
    /// Another client of the user accepts after the first one.
    AcceptedAgain,
    /// A re-INVITE or UPDATE that changes nothing for the chat.
    Refreshed,
    /// The message stream is put on hold.
    Held,
    /// The other side, or the focus, sends a new INVITE with an id of the running session.
    Replaced,
    /// Somebody else does, or nobody has accepted the session yet.
    Namesake,
    /// The INVITE of a group that the other side has made of the running 1-1 session.
    GroupOffered,
    /// An INVITE whose `Replaces` cannot be followed.
    ReplacesInVain,
    /// A REFER inside the dialog.
    Referred,
}

impl LegNews {
    /// All news.
    pub const ALL: [Self; 11] = [
        Self::Invitation,
        Self::FirstMessage,
        Self::AcceptedByUser,
        Self::AcceptedAgain,
        Self::Refreshed,
        Self::Held,
        Self::Replaced,
        Self::Namesake,
        Self::GroupOffered,
        Self::ReplacesInVain,
        Self::Referred,
    ];

    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Invitation => "INVITE received",
            Self::FirstMessage => "first message in the INVITE",
            Self::AcceptedByUser => "the invited user accepts",
            Self::AcceptedAgain => "a second client accepts",
            Self::Refreshed => "re-INVITE or UPDATE",
            Self::Held => "re-INVITE puts on hold",
            Self::Replaced => "the other side calls again: INVITE with the same id, or Replaces",
            Self::Namesake => {
                "INVITE with the same id by somebody else, or while the first one rings"
            }
            Self::GroupOffered => "INVITE of a group with Session-Replaces or Replaces",
            Self::ReplacesInVain => "INVITE with Replaces that cannot be followed",
            Self::Referred => "REFER received",
        }
    }
}

/// The response codes of a row: some by name, or a whole class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codes {
    /// These codes.
    Each(&'static [u16]),
    /// Every code of the class that no other row names: `4` is 400–499.
    Class(u16),
    /// Every code that no other row names.
    Other,
}

impl Codes {
    /// No code at all.
    pub const NONE: Self = Self::Each(&[]);

    pub(in crate::bridge) fn names(self, code: u16) -> bool {
        match self {
            Self::Each(codes) => codes.contains(&code),
            Self::Class(_) | Self::Other => false,
        }
    }

    pub(in crate::bridge) fn covers(self, code: u16) -> bool {
        match self {
            Self::Each(codes) => codes.contains(&code),
            Self::Class(class) => code / 100 == class,
            Self::Other => true,
        }
    }
}

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Each([]) => f.write_str("–"),
            Self::Each(codes) => {
                let codes: Vec<String> = codes.iter().map(u16::to_string).collect();
                f.write_str(&codes.join(" "))
            }
            Self::Class(class) => write!(f, "{class}xx"),
            Self::Other => f.write_str("others"),
        }
    }
}

/// What becomes of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It stays as it is.
    Progress,
    /// It is connected.
    Accepted,
    /// The participant does not want it: over.
    Declined,
    /// Over for another reason.
    Ended,
    /// Withdrawn by the originator: over.
    Cancelled,
    /// Ask the Contacts of the response, five at most; over when none is left.
    Redirect,
    /// Repeat the request with credentials; over when they are refused or missing.
    Authenticate,
    /// Repeat the request once, changed; over when that does not help or cannot be done.
    RetryOnce(Retry),
}

/// What to change before a request is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Leave out the extensions that `Unsupported` names (420).
    WithoutOption,
    /// Support the extensions that `Require` names (421).
    WithOption,
    /// Take the session interval of `Min-SE` (422).
    LongerTimer,
    /// Take the expiry of `Min-Expires` (423).
    LongerExpiry,
    /// Wait the random while of RFC 3261 section 14.1 (491).
    Later,
    /// Agree on a security mechanism (494).
    WithSecurity,
}

impl Outcome {
    /// Gives the event that the application is told at once.
    #[must_use]
    pub fn event(self) -> Option<EventType> {
        match self {
            Self::Accepted => Some(EventType::Accepted),
            Self::Declined => Some(EventType::Declined),
            Self::Ended => Some(EventType::SessionEnded),
            Self::Cancelled => Some(EventType::SessionCancelled),
            Self::Progress | Self::Redirect | Self::Authenticate | Self::RetryOnce(_) => None,
        }
    }

    /// Gives the event that the application is told when no further attempt is possible.
    #[must_use]
    pub fn event_when_spent(self) -> Option<EventType> {
        match self {
            Self::Redirect | Self::Authenticate | Self::RetryOnce(_) => {
                Some(EventType::SessionEnded)
            }
            Self::Progress | Self::Accepted | Self::Declined | Self::Ended | Self::Cancelled => {
                self.event()
            }
        }
    }

    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Progress => "goes on",
            Self::Accepted => "connected",
            Self::Declined => "declined",
            Self::Ended => "ended",
            Self::Cancelled => "cancelled",
            Self::Redirect => "redirected",
            Self::Authenticate => "authenticate",
            Self::RetryOnce(Retry::WithoutOption) => "retry without the option",
            Self::RetryOnce(Retry::WithOption) => "retry with the option",
            Self::RetryOnce(Retry::LongerTimer) => "retry with Min-SE",
            Self::RetryOnce(Retry::LongerExpiry) => "retry with Min-Expires",
            Self::RetryOnce(Retry::Later) => "retry later",
            Self::RetryOnce(Retry::WithSecurity) => "retry with security",
        }
    }
}

/// How an `eventDescription` begins; see [`super::description`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// With the response: `SIP 486 Busy Here`.
    Response,
    /// With the BYE and its reasons: `SIP BYE; Reason: …`.
    Bye,
    /// With these words, and the response behind them where there is one.
    Words(&'static str),
    /// With these words and nothing else.
    Only(&'static str),
    /// There is none, because no event is told.
    Nothing,
}
