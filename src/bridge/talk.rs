//! A talk: whatever a user takes part in, a pair or a group, under one handle.

use std::time::Instant;

use super::conversation::Conversation;
use super::dealings::{Arrival, ConversationKit, Input, Output};
use super::group::{self, Group};
use crate::address::Address;
use crate::chat::{GroupInvitation, Invitation, Refusal, SessionKind};
use crate::ids::SessionId;
use crate::msrp;

/// One user's side of a session.
#[derive(Debug)]
pub enum Talk {
    /// A 1-1 chat.
    Pair(Box<Conversation>),
    /// A group.
    Group(Box<Group>),
}

macro_rules! of_either {
    ($self:ident, $talk:ident => $does:expr) => {
        match $self {
            Talk::Pair($talk) => $does,
            Talk::Group($talk) => $does,
        }
    };
}

impl Talk {
    /// Opens a 1-1 session and sends its INVITE.
    ///
    /// # Errors
    /// As [`Conversation::originate`].
    pub fn originate(
        now: Instant,
        kit: ConversationKit,
        invitation: Invitation,
    ) -> Result<Self, Refusal> {
        Conversation::originate(now, kit, invitation).map(|talk| Self::Pair(Box::new(talk)))
    }

    /// Opens a group session and asks the focus for it.
    ///
    /// # Errors
    /// As [`Group::originate`].
    pub fn originate_group(
        now: Instant,
        kit: ConversationKit,
        invitation: GroupInvitation,
    ) -> Result<Self, Refusal> {
        Group::originate(now, kit, invitation).map(|talk| Self::Group(Box::new(talk)))
    }

    /// Takes an INVITE: that of a focus opens a group, any other a 1-1 session.
    #[must_use]
    pub fn incoming(
        now: Instant,
        kit: ConversationKit,
        arrival: Arrival,
        has_client: &dyn Fn(&Address) -> bool,
    ) -> Self {
        if group::is_of_focus(&arrival.invite) {
            Self::Group(Box::new(Group::incoming(now, kit, arrival, has_client)))
        } else {
            Self::Pair(Box::new(Conversation::incoming(now, kit, arrival, has_client)))
        }
    }

    /// Takes what has happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        of_either!(self, talk => talk.handle(now, input));
    }

    /// Gives the next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        of_either!(self, talk => talk.poll())
    }

    /// Gives back the room that is not needed until something happens.
    pub fn rest(&mut self) {
        of_either!(self, talk => talk.rest());
    }

    /// Gives the instant by which [`Input::Timeout`] is due.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        of_either!(self, talk => talk.next_timeout())
    }

    /// Tells whether nothing can happen any more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        of_either!(self, talk => talk.is_finished())
    }

    /// Tells whether the session is over, though it may still absorb what arrives late.
    #[must_use]
    pub fn is_over(&self) -> bool {
        of_either!(self, talk => talk.is_over())
    }

    /// Gives the id of the session.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        of_either!(self, talk => talk.id())
    }

    /// Gives the user whose side this is.
    #[must_use]
    pub fn user(&self) -> &Address {
        of_either!(self, talk => talk.user())
    }

    /// Gives the MSRP session-id by which the peer's connection is recognised.
    #[must_use]
    pub fn msrp_session_id(&self) -> &str {
        of_either!(self, talk => talk.msrp_session_id())
    }

    /// Gives the MSRP session, to see how it goes.
    #[must_use]
    pub fn msrp(&self) -> &msrp::Session {
        of_either!(self, talk => talk.msrp())
    }

    /// Tells whether all MSRP of the session goes through relays of ours.
    #[must_use]
    pub fn is_relayed(&self) -> bool {
        of_either!(self, talk => talk.is_relayed())
    }

    /// Tells which kind of session it is.
    #[must_use]
    pub fn kind(&self) -> SessionKind {
        match self {
            Self::Pair(_) => SessionKind::Pair,
            Self::Group(_) => SessionKind::Group,
        }
    }
}
