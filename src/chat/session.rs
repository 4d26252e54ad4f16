//! The rules of a 1-1 session: who may do what, when, and how it ends.
//!
//! ```text
//!   originator                                   terminating participant
//!
//!    Invited ──peer accepts──▶ Connected          Invited ──Accept──▶ Connected
//!      │  │                     │   │               │  │               │   │
//!      │  └─End─▶ Cancelling    │   │               │  └─End,Decline─┐ │   │
//!      │             │          │   │               │                │ │   │
//!      └──peer──┐    └──────┐  End  └─peer ends     └─peer cancels   │ End └─peer ends
//!               ▼           ▼   ▼       ▼               ▼            ▼ ▼       ▼
//!                            Ended                               Ended
//! ```
//! Exactly one [`Ending`] is told per session: the first one.

use std::fmt;

use super::command::Refusal;
use super::notice::EventType;
use crate::address::Address;

/// A party of a session, as it is named to applications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// The address.
    pub address: Address,
    /// The human readable name.
    pub name: Option<String>,
}

/// Which side of the session the user is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The user has opened the session.
    Originator,
    /// The user was invited.
    Terminating,
}

/// The status of TS Chat 5.2.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParticipantStatus {
    /// Was invited, has not answered.
    Invited,
    /// Is connected.
    Connected,
    /// Is no longer, or never was, connected.
    Disconnected,
}

impl ParticipantStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Invited, Self::Connected, Self::Disconnected];

    /// Gives the name as it stands in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "Invited",
            Self::Connected => "Connected",
            Self::Disconnected => "Disconnected",
        }
    }
}

/// A session as GET shows it (TS Chat 5.2.2.13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The initial message.
    pub subject: String,
    /// Who opened the session.
    pub originator: Party,
    /// Who was invited.
    pub terminating: Party,
    /// The connection status of the terminating participant.
    pub status: ParticipantStatus,
    /// The tag that the client gave the session when it created it.
    pub client_correlator: Option<String>,
}

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The invitation is on its way or waits for an answer.
    Invited,
    /// The originator has withdrawn the invitation; the wire has not confirmed it.
    Cancelling,
    /// Both sides are in.
    Connected,
    /// Over.
    Ended,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invited => "Invited",
            Self::Cancelling => "Cancelling",
            Self::Connected => "Connected",
            Self::Ended => "Ended",
        })
    }
}

/// What the bridge must do on the wire for an order that the rules allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Answer the invitation with 200.
    AcceptInvitation,
    /// Refuse the invitation.
    DeclineInvitation,
    /// Withdraw the invitation.
    CancelInvitation,
    /// Leave the running session.
    Leave,
}

/// How a session ends, as its user is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The one terminal event.
    pub event: EventType,
    /// Its cause.
    pub description: String,
}

/// A 1-1 session as one of its two users sees it.
#[derive(Debug)]
pub struct Session {
    info: SessionInfo,
    role: Role,
    state: State,
}

impl Session {
    /// Opens a session in state [`State::Invited`].
    #[must_use]
    pub fn new(role: Role, subject: String, originator: Party, terminating: Party) -> Self {
        let status = ParticipantStatus::Invited;
        let client_correlator = None;
        let info = SessionInfo { subject, originator, terminating, status, client_correlator };
        Self { info, role, state: State::Invited }
    }

    /// Keeps the client's tag of the session, never altered (TS Chat 5.2.2.13).
    #[must_use]
    pub fn with_correlator(mut self, client_correlator: Option<String>) -> Self {
        self.info.client_correlator = client_correlator;
        self
    }

    /// Takes the user's acceptance (TS Chat 6.5.5).
    ///
    /// # Errors
    /// Only the terminating participant accepts, and only once.
    pub fn accept(&mut self) -> Result<Step, Refusal> {
        const ACT: &str = "accepting";
        self.demand_role(Role::Terminating, ACT)?;
        match self.state {
            State::Invited => {
                self.become_connected();
                Ok(Step::AcceptInvitation)
            }
            State::Cancelling | State::Connected | State::Ended => Err(self.wrong_state(ACT)),
        }
    }

    /// Takes the user's refusal (TS Chat C.3).
    ///
    /// # Errors
    /// Only the terminating participant declines, and only before accepting.
    pub fn decline(&mut self) -> Result<Step, Refusal> {
        const ACT: &str = "declining";
        self.demand_role(Role::Terminating, ACT)?;
        match self.state {
            State::Invited => Ok(Step::DeclineInvitation),
            State::Cancelling | State::Connected | State::Ended => Err(self.wrong_state(ACT)),
        }
    }

    /// Takes DELETE, whose meaning goes by role and state (TS Chat 6.4.6).
    ///
    /// # Errors
    /// A session that has ended, or is being cancelled, is no longer there.
    pub fn end(&mut self) -> Result<Step, Refusal> {
        match (self.state, self.role) {
            (State::Invited, Role::Originator) => {
                self.state = State::Cancelling;
                Ok(Step::CancelInvitation)
            }
            (State::Invited, Role::Terminating) => Ok(Step::DeclineInvitation),
            (State::Connected, _) => Ok(Step::Leave),
            (State::Cancelling | State::Ended, _) => Err(Refusal::NoSession),
        }
    }

    /// Permits what needs a running session: messages and reports.
    ///
    /// # Errors
    /// The session is not, or no longer, connected.
    pub fn demand_connected(&self, act: &'static str) -> Result<(), Refusal> {
        match self.state {
            State::Connected => Ok(()),
            State::Invited | State::Cancelling | State::Ended => Err(self.wrong_state(act)),
        }
    }

    /// Permits messages: they wait for the other side's acceptance where the user has invited it.
    ///
    /// # Errors
    /// The session is not, or no longer, open for messages.
    pub fn demand_open_for_messages(&self, act: &'static str) -> Result<(), Refusal> {
        match (self.state, self.role) {
            (State::Connected, _) | (State::Invited, Role::Originator) => Ok(()),
            (State::Invited | State::Cancelling | State::Ended, _) => Err(self.wrong_state(act)),
        }
    }

    /// Takes the other side's acceptance; tells whether it counts.
    pub fn peer_accepted(&mut self) -> bool {
        match self.state {
            State::Invited => {
                self.become_connected();
                true
            }
            State::Cancelling | State::Connected | State::Ended => false,
        }
    }

    /// Ends the session; gives the ending back where it is the first one.
    pub fn finish(&mut self, ending: Ending) -> Option<Ending> {
        if self.state == State::Ended {
            return None;
        }
        self.state = State::Ended;
        self.info.status = ParticipantStatus::Disconnected;
        Some(ending)
    }

    /// Shows the session (TS Chat 6.4.3).
    ///
    /// # Errors
    /// A session that has ended is no longer there.
    pub fn describe(&self) -> Result<SessionInfo, Refusal> {
        match self.state {
            State::Invited | State::Cancelling | State::Connected => Ok(self.info.clone()),
            State::Ended => Err(Refusal::NoSession),
        }
    }

    /// Gives the state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Gives the user's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Gives the user's own entry.
    #[must_use]
    pub fn own(&self) -> &Party {
        match self.role {
            Role::Originator => &self.info.originator,
            Role::Terminating => &self.info.terminating,
        }
    }

    /// Gives the other side's entry.
    #[must_use]
    pub fn other(&self) -> &Party {
        match self.role {
            Role::Originator => &self.info.terminating,
            Role::Terminating => &self.info.originator,
        }
    }

    /// Gives what GET shows, whatever the state.
    #[must_use]
    pub fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn become_connected(&mut self) {
        self.state = State::Connected;
        self.info.status = ParticipantStatus::Connected;
    }

    fn demand_role(&self, role: Role, act: &'static str) -> Result<(), Refusal> {
        if self.role == role {
            return Ok(());
        }
        let wanted = match role {
            Role::Originator => "originator",
            Role::Terminating => "terminating participant",
        };
        Err(Refusal::WrongRole { act, wanted })
    }

    fn wrong_state(&self, act: &'static str) -> Refusal {
        Refusal::WrongState { act, state: self.state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(role: Role) -> Session {
        let party =
            |text| Party { address: Address::parse(text).expect("a good address"), name: None };
        Session::new(role, "Hello".into(), party("tel:+1"), party("tel:+2"))
    }

    fn over() -> Ending {
        Ending { event: EventType::SessionEnded, description: "SIP BYE".into() }
    }

    #[test]
    fn the_terminating_participant_accepts_once() {
        let mut session = session(Role::Terminating);
        assert_eq!(session.accept(), Ok(Step::AcceptInvitation));
        let again = Refusal::WrongState { act: "accepting", state: State::Connected };
        assert_eq!(session.accept(), Err(again));
        assert_eq!(session.describe().map(|i| i.status), Ok(ParticipantStatus::Connected));
        assert_eq!(session.end(), Ok(Step::Leave));
    }

    #[test]
    fn the_originator_cannot_accept_and_delete_means_cancel() {
        let mut session = session(Role::Originator);
        assert!(matches!(session.accept(), Err(Refusal::WrongRole { .. })));
        assert!(matches!(session.decline(), Err(Refusal::WrongRole { .. })));
        assert_eq!(session.end(), Ok(Step::CancelInvitation));
        assert_eq!(session.end(), Err(Refusal::NoSession));
        assert!(!session.peer_accepted());
    }

    #[test]
    fn only_the_first_ending_is_told() {
        let mut session = session(Role::Terminating);
        assert_eq!(session.decline(), Ok(Step::DeclineInvitation));
        assert_eq!(session.finish(over()), Some(over()));
        assert_eq!(session.finish(over()), None);
        assert_eq!(session.describe(), Err(Refusal::NoSession));
        assert!(session.demand_connected("sending").is_err());
    }

    #[test]
    fn messages_need_a_running_session() {
        let mut session = session(Role::Originator);
        let early = Refusal::WrongState { act: "sending", state: State::Invited };
        assert_eq!(session.demand_connected("sending"), Err(early));
        assert!(session.peer_accepted());
        assert_eq!(session.demand_connected("sending"), Ok(()));
    }
}
