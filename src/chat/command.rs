//! Every order that an application can give to a chat, and every answer it can get.

use std::time::Duration;

use thiserror::Error;

use super::composing::Composing;
use super::group::{Extended, GroupInfo};
use super::message::{ReceivedStatus, ReportRequest};
use super::participants::{Newcomer, Participant};
use super::session::{Party, SessionInfo, State};
use crate::address::Address;
use crate::ids::{MessageId, ParticipantId, SessionId};

/// The order that opens a 1-1 session: POST on `/sessions` (TS Chat 6.3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The id that the new session gets.
    pub session: SessionId,
    /// The API user in whose name the session is opened.
    pub user: Address,
    /// The initial message to the participant.
    pub subject: String,
    /// The originator as the application names it.
    pub originator: Party,
    /// Whom to invite.
    pub terminating: Party,
    /// The tag that the client gives the session.
    pub client_correlator: Option<String>,
}

/// An order for a session that exists.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Accept the invitation: status `Connected` (TS Chat 6.5.5).
    Accept,
    /// Decline the invitation: status `Disconnected` (TS Chat C.3).
    Decline,
    /// DELETE on the session: cancel, decline or end, by role and state (TS Chat 6.4.6).
    End,
    /// GET on the session (TS Chat 6.4.3).
    Describe,
    /// Send a chat message (TS Chat 6.12.5).
    Send(OutgoingMessage),
    /// Tell the other side that the user is, or is no longer, typing (TS Chat 5.2.2.17).
    Compose(Composing),
    /// Report that a received message was delivered or displayed (TS Chat 6.14.5).
    Report {
        /// The message, as its notification named it.
        message: MessageId,
        /// What happened to it.
        status: ReceivedStatus,
    },
    /// Extend a 1-1 session to a group: from now on it points to that one (TS Chat 6.6.5).
    Extend {
        /// The id that the group session gets.
        to: SessionId,
    },
    /// Add participants to a group session, or join it again oneself (TS Chat 6.9.5).
    Join(Vec<Newcomer>),
    /// DELETE on a participant: remove, decline or leave, by whom it is about (TS Chat 6.10.6).
    Part(ParticipantId),
    /// Accept the invitation in the name of a participant: status `Connected` (TS Chat 5.3.7.3).
    AcceptAs(ParticipantId),
    /// Decline the invitation in the name of a participant: status `Disconnected`.
    DeclineAs(ParticipantId),
    /// GET on a participant, or on its status (TS Chat 6.10.3).
    ShowParticipant(ParticipantId),
}

/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The id that the message gets, also its `imdn.Message-ID`.
    pub id: MessageId,
    /// The text.
    pub text: String,
    /// Which reports the sender asks for.
    pub reports: ReportRequest,
}

/// What a command that was taken gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The command was taken; what follows from it comes as notices.
    Done,
    /// The session as it stands now.
    Session(SessionInfo),
    /// The group session as it stands now.
    Group(GroupInfo),
    /// The user may join the group session again, but is not in (TS Chat 6.8.3.2).
    Apart,
    /// The participants as they stand now.
    Participants(Vec<Participant>),
    /// The participant as it stands now.
    Participant(Participant),
    /// What was asked is on its way; notices tell how it ends.
    UnderWay,
    /// The answer follows, later than what else follows from the command.
    Later(AnswerId),
    /// What a group session needs to know of the 1-1 session that it extends.
    Extending(Extended),
    /// The 1-1 session was extended to this group session.
    MovedTo(SessionId),
}

/// The name of an answer that follows later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnswerId(pub u64);

/// Why a command was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No such session, or it has ended, or it belongs to somebody else.
    #[error("no such session")]
    NoSession,
    /// The bridge does not act for this user.
    #[error("no such user")]
    NoUser,
    /// No such message in the session.
    #[error("no such message")]
    NoMessage,
    /// No such participant in the group session, or no more.
    #[error("no such participant")]
    NoParticipant,
    /// The user's part in the group session does not permit the act.
    #[error("{why}: {act} is not possible")]
    NotNow {
        /// What was asked for.
        act: &'static str,
        /// What stands against it.
        why: &'static str,
    },
    /// The network does not permit it.
    #[error("{why}")]
    Denied {
        /// Its words.
        why: String,
    },
    /// More participants than a group session may have.
    #[error("a group session has at most {limit} participants")]
    TooMany {
        /// How many it may have.
        limit: usize,
    },
    /// The session is in a state that does not permit the act.
    #[error("the session is {state}: {act} is not possible")]
    WrongState {
        /// What was asked for.
        act: &'static str,
        /// The state that the session is in.
        state: State,
    },
    /// The role of the user in the session does not permit the act.
    #[error("{act} is for the {wanted} of the session")]
    WrongRole {
        /// What was asked for.
        act: &'static str,
        /// Who may do it.
        wanted: &'static str,
    },
    /// A queue or a table is full; the same request may succeed later.
    #[error("{what} is full")]
    Full {
        /// Which one.
        what: &'static str,
        /// When to try again.
        retry_after: Duration,
    },
    /// The bridge is shutting down, or has no core to talk to.
    #[error("{why}")]
    Unavailable {
        /// What is missing.
        why: &'static str,
        /// When to try again.
        retry_after: Duration,
    },
    /// The address cannot be reached from here by any route.
    #[error("{address}: {why}")]
    BadAddress {
        /// The address.
        address: String,
        /// What would be right.
        why: &'static str,
    },
}
