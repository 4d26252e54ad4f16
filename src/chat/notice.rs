//! Every event that an application can be told of.

use time::OffsetDateTime;

use super::composing::Composing;
use super::message::{MessageStatus, ReportRequest};
use super::participants::Participant;
use super::session::Party;
use crate::address::Address;
use crate::ids::{MessageId, ParticipantId, SessionId};

/// An event of one user's session, for all subscriptions of that user.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// The user whose subscriptions get it.
    pub user: Address,
    /// The session that it is about.
    pub session: SessionId,
    /// Which kind of session that is: it tells where its resources are (TS Chat Tables 1 and 2).
    pub of: SessionKind,
    /// When it happened (UTC).
    pub at: OffsetDateTime,
    /// What happened.
    pub kind: NoticeKind,
}

/// The kinds of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum SessionKind {
    /// Between two: `/sessions`.
    #[default]
    Pair,
    /// Among several: `/groupSessions`.
    Group,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum NoticeKind {
    /// Somebody invites the user to a 1-1 chat (TS Chat 5.2.2.4).
    Invited {
        /// The subject of the session.
        subject: String,
        /// Who invites.
        originator: Party,
        /// Who is invited: the user.
        terminating: Party,
    },
    /// An event that needs no more than its name (TS Chat 5.2.2.3).
    Event {
        /// The event.
        event: EventType,
        /// The cause, in the grammar of the README (`SIP 486 Busy Here`, `SIP BYE`, …).
        description: Option<String>,
        /// The message that the event is about: `MessageSuccess` and `MessageFailure` only.
        message: Option<MessageId>,
    },
    /// A message of the other side, or one that the user sent with another client (TS Chat 5.2.2.6).
    Message {
        /// The message.
        id: MessageId,
        /// Who sent it.
        sender: Party,
        /// Its text.
        text: String,
        /// Which reports the sender wants; none on an echo.
        reports: ReportRequest,
        /// Whether the user sent it.
        echo: bool,
    },
    /// Somebody is, or is no longer, typing (TS Chat 5.2.2.17).
    Composing {
        /// Who types.
        sender: Party,
        /// What they do.
        composing: Composing,
        /// Whether the user said it.
        echo: bool,
    },
    /// The delivery status of a message that the user sent (TS Chat 5.2.2.9).
    Delivery {
        /// The message.
        message: MessageId,
        /// Its status.
        status: MessageStatus,
        /// The code of the error, on [`MessageStatus::Failed`].
        error_code: Option<String>,
        /// The error in words.
        description: Option<String>,
        /// Which participant of a group it is about.
        participant: Option<ParticipantId>,
    },
    /// Somebody invites the user to a group (TS Chat 5.2.2.5).
    GroupInvited {
        /// The subject of the session.
        subject: String,
        /// Who is in or invited, at least two, the originator first.
        participants: Vec<Participant>,
    },
    /// Participants of a group have come or gone (TS Chat 5.2.2.7).
    ParticipantStatus {
        /// Those who have.
        participants: Vec<Participant>,
    },
}

impl NoticeKind {
    /// Tells whether the notice repeats to the user what the user did.
    #[must_use]
    pub fn is_echo(&self) -> bool {
        match self {
            Self::Message { echo, .. } | Self::Composing { echo, .. } => *echo,
            Self::Invited { .. }
            | Self::Event { .. }
            | Self::Delivery { .. }
            | Self::GroupInvited { .. }
            | Self::ParticipantStatus { .. } => false,
        }
    }

    /// Tells whether the notice is of use to none but those who are told: it says nothing of
    /// whether its session is up, or who is in it.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Message { .. } | Self::Composing { .. } | Self::Delivery { .. } => true,
            Self::Event { event, .. } => !event.is_terminal(),
            Self::Invited { .. } | Self::GroupInvited { .. } | Self::ParticipantStatus { .. } => {
                false
            }
        }
    }

    /// Tells whether nothing follows the notice in its session, unless the user joins it again.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Event { event, .. } => event.is_terminal(),
            Self::Invited { .. }
            | Self::Message { .. }
            | Self::Composing { .. }
            | Self::Delivery { .. }
            | Self::GroupInvited { .. }
            | Self::ParticipantStatus { .. } => false,
        }
    }
}

/// The events of TS Chat 5.2.3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventType {
    /// The originator has cancelled the session during the invite phase.
    SessionCancelled,
    /// The session has ended.
    SessionEnded,
    /// The participant has declined the invitation.
    Declined,
    /// The participant has accepted the invitation.
    Accepted,
    /// The message was delivered.
    MessageSuccess,
    /// The message could not be delivered.
    MessageFailure,
}

impl EventType {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::SessionCancelled,
        Self::SessionEnded,
        Self::Declined,
        Self::Accepted,
        Self::MessageSuccess,
        Self::MessageFailure,
    ];

    /// Gives the name as it stands in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SessionCancelled => "SessionCancelled",
            Self::SessionEnded => "SessionEnded",
            Self::Declined => "Declined",
            Self::Accepted => "Accepted",
            Self::MessageSuccess => "MessageSuccess",
            Self::MessageFailure => "MessageFailure",
        }
    }

    /// Tells whether the event ends its session.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::SessionCancelled | Self::SessionEnded | Self::Declined => true,
            Self::Accepted | Self::MessageSuccess | Self::MessageFailure => false,
        }
    }
}

/// The format in which a subscription wants its notifications (`notificationFormat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NotificationFormat {
    /// XML, the default.
    #[default]
    Xml,
    /// JSON.
    Json,
}
