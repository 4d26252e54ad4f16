//! The rules of a group session as one of its users sees it: who may do what, when, and how it ends.
//!
//! ```text
//!   originator                                    invited participant
//!
//!    Connecting ──End──▶ Cancelling                Invited ──Accept──▶ Connected
//!        │                   │                        │ └─Decline, no answer, cancelled─▶ Ended
//!        │ the focus takes it│
//!        ▼                   ▼
//!    Connected ──leaves, is left, loses the way──▶ Apart ──the window closes, End──▶ Ended
//!        ▲                                           │
//!        └────────── the focus takes it ◀── Rejoining ◀── joins again
//! ```
//! Who is apart may come back for a while (TS Chat 6.8); that is no [`GroupState::Ended`] yet. Which
//! of the partings end the session is for who drives it to say.

use super::command::Refusal;
use super::participants::{Newcomer, Participant, Participants};
use super::session::{Ending, ParticipantStatus, Party, Role};
use crate::address::Address;
use crate::ids::{ParticipantId, Random, SessionId};

/// The order that opens a group session: POST on `/groupSessions` (TS Chat 6.7.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInvitation {
    /// The id that the new session gets.
    pub session: SessionId,
    /// The API user in whose name the session is opened.
    pub user: Address,
    /// The initial message to the participants.
    pub subject: String,
    /// The originator as the application names it.
    pub originator: Newcomer,
    /// Whom to invite.
    pub others: Vec<Newcomer>,
    /// The tag that the client gives the session.
    pub client_correlator: Option<String>,
    /// The 1-1 session that is extended to the group (TS Chat 6.6.5).
    pub extends: Option<Extended>,
}

/// A 1-1 session that is extended to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extended {
    /// The user's side of it.
    pub session: SessionId,
    /// Its subject.
    pub subject: String,
    /// The user as the session names it.
    pub own: Party,
    /// The other side, who is invited to the group.
    pub partner: Party,
    /// How the network knows it (Contribution-ID), where it does.
    pub contribution: Option<String>,
}

/// What has become of a group to which a 1-1 session is extended (TS Chat 6.6.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extension {
    /// There is no such group: the 1-1 session goes on.
    Failed,
    /// The other side has joined the group, declined, or not reacted: the 1-1 session is over.
    Settled,
    /// The user has joined the group that the other side has made of the 1-1 session, which is over.
    Joined {
        /// The user's part in that group.
        group: SessionId,
    },
}

/// A group session as GET shows it (TS Chat 5.2.2.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInfo {
    /// The initial message.
    pub subject: String,
    /// Who is in or invited, the originator first.
    pub participants: Vec<Participant>,
    /// The tag that the client gave the session when it created it.
    pub client_correlator: Option<String>,
    /// Whether nobody says who takes part, so that somebody may be missing.
    pub is_degraded: bool,
}

/// The state of a group session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupState {
    /// The user was invited and has not answered.
    Invited,
    /// The focus was asked to open the session.
    Connecting,
    /// The user has withdrawn that; the wire has not confirmed it.
    Cancelling,
    /// The user is in.
    Connected,
    /// The user is not in, but may come back.
    Apart,
    /// The focus was asked to let the user in again.
    Rejoining,
    /// Over.
    Ended,
}

/// What must be done on the wire for an order that the rules allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupStep {
    /// Answer the invitation with 200.
    AcceptInvitation,
    /// Refuse the invitation.
    DeclineInvitation,
    /// Withdraw the request for a session.
    CancelCreation,
    /// Leave the running session, which goes on.
    Leave,
    /// Leave the running session for good.
    End,
    /// Nobody has to be told.
    Forget,
    /// Ask the focus to let the user in again.
    Rejoin,
    /// Ask the focus to invite those who are new among all who are named.
    Invite {
        /// Who is new.
        new: Vec<ParticipantId>,
        /// All who are named.
        named: Vec<ParticipantId>,
    },
    /// Ask the focus to part with this one.
    Remove(ParticipantId),
    /// There is nothing to do: these, or the user itself where there are none, are in or invited.
    Present(Vec<ParticipantId>),
}

/// What the rules go by beside the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRules {
    /// How many participants a session has at most, those who have gone included.
    pub participants: usize,
    /// Whether the session ends for its originator who leaves it.
    pub ends_with_originator: bool,
}

/// A group session as one of its users sees it.
#[derive(Debug)]
pub struct GroupSession {
    subject: String,
    role: Role,
    state: GroupState,
    rules: GroupRules,
    participants: Participants,
    client_correlator: Option<String>,
}

impl GroupSession {
    /// Opens the session of an originator.
    ///
    /// # Errors
    /// More participants than the rules permit, or nobody to invite.
    pub fn originate(
        invitation: &GroupInvitation,
        rules: GroupRules,
        random: Random,
    ) -> Result<Self, Refusal> {
        let GroupInvitation { subject, originator, others, client_correlator, .. } = invitation;
        let mut participants = Participants::new(rules.participants, random);
        let own = participants.enter(originator.clone());
        let partner =
            invitation.extends.iter().map(|extended| Newcomer::of(extended.partner.clone()));
        for newcomer in partner.chain(others.iter().cloned()) {
            let entered = participants.enter(newcomer);
            entered.ok_or(Refusal::TooMany { limit: rules.participants })?;
        }
        if let Some(own) = &own {
            participants.mark_originator(own);
            participants.mark_own(own);
        }
        if participants.present().len() < 2 {
            let address = originator.party.address.spelling().to_owned();
            return Err(Refusal::BadAddress { address, why: "somebody beside the originator" });
        }
        Ok(Self {
            subject: subject.clone(),
            role: Role::Originator,
            state: GroupState::Connecting,
            rules,
            participants,
            client_correlator: client_correlator.clone(),
        })
    }

    /// Opens the session of somebody who was invited: by the first of `others`, who is in. Of the
    /// others as many are shown as the rules permit beside these two.
    #[must_use]
    pub fn invited(
        subject: String,
        own: Party,
        others: Vec<Party>,
        (rules, random): (GroupRules, Random),
    ) -> Self {
        let mut participants = Participants::new(rules.participants, random);
        let mut originator = None;
        for party in others {
            // The last place is the user's own: who stands behind it on the list is not shown.
            if participants.room() > 1 {
                let id = participants.enter(Newcomer::of(party));
                originator = originator.or(id);
            }
        }
        let own = participants.enter(Newcomer::of(own));
        if let Some(originator) = &originator {
            participants.mark_originator(originator);
        }
        if let Some(own) = &own {
            participants.mark_own(own);
        }
        Self {
            subject,
            role: Role::Terminating,
            state: GroupState::Invited,
            rules,
            participants,
            client_correlator: None,
        }
    }

    /// Takes the user's acceptance in the name of a participant (TS Chat 5.3.7.3).
    ///
    /// # Errors
    /// Only the invited user accepts, only in its own name, and only once.
    pub fn accept(&mut self, id: &ParticipantId) -> Result<GroupStep, Refusal> {
        const ACT: &str = "accepting";
        self.demand_own(id, ACT)?;
        match self.state {
            GroupState::Invited => {
                self.state = GroupState::Connected;
                Ok(GroupStep::AcceptInvitation)
            }
            GroupState::Connecting
            | GroupState::Cancelling
            | GroupState::Connected
            | GroupState::Apart
            | GroupState::Rejoining
            | GroupState::Ended => Err(self.not_now(ACT)),
        }
    }

    /// Takes the user's refusal in the name of a participant.
    ///
    /// # Errors
    /// Only the invited user declines, only in its own name, and only before accepting.
    pub fn decline(&mut self, id: &ParticipantId) -> Result<GroupStep, Refusal> {
        const ACT: &str = "declining";
        self.demand_own(id, ACT)?;
        match self.state {
            GroupState::Invited => Ok(GroupStep::DeclineInvitation),
            GroupState::Connecting
            | GroupState::Cancelling
            | GroupState::Connected
            | GroupState::Apart
            | GroupState::Rejoining
            | GroupState::Ended => Err(self.not_now(ACT)),
        }
    }

    /// Takes DELETE on a participant: decline, leave or remove, by whom it is about (TS Chat
    /// 6.10.6).
    ///
    /// # Errors
    /// There is no such participant, or only the originator may remove it.
    pub fn part(&mut self, id: &ParticipantId) -> Result<GroupStep, Refusal> {
        let participant = self.participant(id)?;
        if !participant.your_own {
            if self.role != Role::Originator {
                let act = "removing a participant";
                return Err(Refusal::WrongRole { act, wanted: "originator" });
            }
            self.demand_connected("removing a participant")?;
            return Ok(GroupStep::Remove(id.clone()));
        }
        self.leave()
    }

    /// Takes DELETE on the session: cancel, decline, end or leave, by role and state (TS Chat
    /// 6.8.6).
    ///
    /// # Errors
    /// A session that has ended, or is being cancelled, is no longer there.
    pub fn end(&mut self) -> Result<GroupStep, Refusal> {
        match (self.state, self.role) {
            (GroupState::Connected, Role::Originator) => Ok(GroupStep::End),
            (GroupState::Apart, _) => Ok(GroupStep::Forget),
            (
                GroupState::Invited
                | GroupState::Connecting
                | GroupState::Cancelling
                | GroupState::Connected
                | GroupState::Rejoining
                | GroupState::Ended,
                _,
            ) => self.leave(),
        }
    }

    fn leave(&mut self) -> Result<GroupStep, Refusal> {
        match (self.state, self.role) {
            (GroupState::Invited, _) => Ok(GroupStep::DeclineInvitation),
            (GroupState::Connecting, _) => {
                self.state = GroupState::Cancelling;
                Ok(GroupStep::CancelCreation)
            }
            (GroupState::Connected, Role::Originator) if self.rules.ends_with_originator => {
                Ok(GroupStep::End)
            }
            (GroupState::Connected, _) => Ok(GroupStep::Leave),
            (GroupState::Rejoining, _) => {
                self.state = GroupState::Cancelling;
                Ok(GroupStep::CancelCreation)
            }
            (GroupState::Cancelling | GroupState::Apart | GroupState::Ended, _) => {
                Err(Refusal::NoSession)
            }
        }
    }

    /// Takes POST on the participants: others are added by the originator, oneself joins again (TS
    /// Chat 6.9.5). `is_own` tells the user's addresses.
    ///
    /// # Errors
    /// The role or the state does not permit it, or there is no room.
    pub fn join(
        &mut self,
        newcomers: Vec<Newcomer>,
        is_own: &dyn Fn(&Address) -> bool,
    ) -> Result<GroupStep, Refusal> {
        let (own, others): (Vec<_>, Vec<_>) =
            newcomers.into_iter().partition(|newcomer| is_own(&newcomer.party.address));
        if others.is_empty() && !own.is_empty() {
            return self.join_self();
        }
        const ACT: &str = "adding participants";
        if self.role != Role::Originator {
            return Err(Refusal::WrongRole { act: ACT, wanted: "originator" });
        }
        self.demand_connected(ACT)?;
        self.enter_all(others)
    }

    fn join_self(&mut self) -> Result<GroupStep, Refusal> {
        match self.state {
            GroupState::Invited => {
                self.state = GroupState::Connected;
                Ok(GroupStep::AcceptInvitation)
            }
            GroupState::Apart => {
                self.state = GroupState::Rejoining;
                Ok(GroupStep::Rejoin)
            }
            GroupState::Connected => Ok(GroupStep::Present(Vec::new())),
            GroupState::Connecting | GroupState::Rejoining => {
                Err(self.not_now("joining a second time"))
            }
            GroupState::Cancelling | GroupState::Ended => Err(Refusal::NoSession),
        }
    }

    fn enter_all(&mut self, newcomers: Vec<Newcomer>) -> Result<GroupStep, Refusal> {
        let present: Vec<_> = self.participants.present().into_iter().map(|it| it.id).collect();
        let (mut all, mut new) = (Vec::new(), Vec::new());
        for newcomer in newcomers {
            let Some(id) = self.participants.enter(newcomer) else {
                new.iter().for_each(|id| self.participants.withdraw(id));
                return Err(Refusal::TooMany { limit: self.rules.participants });
            };
            if !present.contains(&id) && !new.contains(&id) {
                new.push(id.clone());
            }
            if !all.contains(&id) {
                all.push(id);
            }
        }
        Ok(match new.is_empty() {
            true => GroupStep::Present(all),
            false => GroupStep::Invite { new, named: all },
        })
    }

    /// Permits what needs a running session.
    ///
    /// # Errors
    /// The user is not in.
    pub fn demand_connected(&self, act: &'static str) -> Result<(), Refusal> {
        match self.state {
            GroupState::Connected => Ok(()),
            GroupState::Ended => Err(Refusal::NoSession),
            GroupState::Invited
            | GroupState::Connecting
            | GroupState::Cancelling
            | GroupState::Apart
            | GroupState::Rejoining => Err(self.not_now(act)),
        }
    }

    /// Permits messages: they wait while the focus is asked.
    ///
    /// # Errors
    /// The user is not in, and not about to be.
    pub fn demand_open_for_messages(&self, act: &'static str) -> Result<(), Refusal> {
        match self.state {
            GroupState::Connected | GroupState::Connecting | GroupState::Rejoining => Ok(()),
            GroupState::Ended => Err(Refusal::NoSession),
            GroupState::Invited | GroupState::Cancelling | GroupState::Apart => {
                Err(self.not_now(act))
            }
        }
    }

    /// Takes it that the focus has let the user in; tells whether it counts.
    pub fn focus_accepted(&mut self) -> bool {
        match self.state {
            GroupState::Connecting | GroupState::Rejoining => {
                self.state = GroupState::Connected;
                true
            }
            GroupState::Invited
            | GroupState::Cancelling
            | GroupState::Connected
            | GroupState::Apart
            | GroupState::Ended => false,
        }
    }

    /// Takes it that the focus is asked to let the user in again, by nobody's order; tells whether
    /// the user is one who may come back.
    pub fn return_unasked(&mut self) -> bool {
        let may = self.state == GroupState::Apart;
        if may {
            self.state = GroupState::Rejoining;
        }
        may
    }

    /// Takes it that the focus has given the session another subject.
    pub fn rename(&mut self, subject: String) {
        self.subject = subject;
    }

    /// Takes it that the user is no longer, or not again, in, but may come back; tells whether that
    /// is another state.
    pub fn part_for_now(&mut self) -> bool {
        match self.state {
            GroupState::Connected | GroupState::Rejoining | GroupState::Cancelling => {
                self.state = GroupState::Apart;
                true
            }
            GroupState::Invited
            | GroupState::Connecting
            | GroupState::Apart
            | GroupState::Ended => false,
        }
    }

    /// Ends the session; gives the ending back where it is the first one.
    pub fn finish(&mut self, ending: Ending) -> Option<Ending> {
        if self.state == GroupState::Ended {
            return None;
        }
        self.state = GroupState::Ended;
        Some(ending)
    }

    /// Shows the session (TS Chat 6.8.3); `None` to a user who may come back but is not in.
    ///
    /// # Errors
    /// A session that has ended is no longer there.
    pub fn describe(&self) -> Result<Option<GroupInfo>, Refusal> {
        match self.state {
            GroupState::Ended => Err(Refusal::NoSession),
            GroupState::Apart | GroupState::Rejoining => Ok(None),
            GroupState::Invited
            | GroupState::Connecting
            | GroupState::Cancelling
            | GroupState::Connected => Ok(Some(GroupInfo {
                subject: self.subject.clone(),
                participants: self.participants.present(),
                client_correlator: self.client_correlator.clone(),
                is_degraded: false,
            })),
        }
    }

    /// Shows a participant (TS Chat 6.10.3).
    ///
    /// # Errors
    /// There is none, or no more.
    pub fn participant(&self, id: &ParticipantId) -> Result<&Participant, Refusal> {
        if self.state == GroupState::Ended {
            return Err(Refusal::NoSession);
        }
        self.participants.get(id).ok_or(Refusal::NoParticipant)
    }

    /// Gives the participants.
    #[must_use]
    pub fn participants(&self) -> &Participants {
        &self.participants
    }

    /// Gives the participants, to be told what the network says of them.
    pub fn participants_mut(&mut self) -> &mut Participants {
        &mut self.participants
    }

    /// Gives the state.
    #[must_use]
    pub fn state(&self) -> GroupState {
        self.state
    }

    /// Gives the user's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Gives the subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Gives how the user stands.
    #[must_use]
    pub fn own_status(&self) -> ParticipantStatus {
        self.participants.own().map_or(ParticipantStatus::Disconnected, |own| own.status)
    }

    fn demand_own(&self, id: &ParticipantId, act: &'static str) -> Result<(), Refusal> {
        if self.participant(id)?.your_own {
            return Ok(());
        }
        Err(Refusal::WrongRole { act, wanted: "participant itself" })
    }

    fn not_now(&self, act: &'static str) -> Refusal {
        let why = match self.state {
            GroupState::Invited => "the user has not accepted the invitation",
            GroupState::Connecting => "the session is being opened",
            GroupState::Cancelling => "the session is being cancelled",
            GroupState::Connected => "the user is in the session",
            GroupState::Apart => "the user is not in the session",
            GroupState::Rejoining => "the user is about to join again",
            GroupState::Ended => "the session has ended",
        };
        Refusal::NotNow { act, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{EventType, Identity, Parting, Standing};

    const RULES: GroupRules = GroupRules { participants: 4, ends_with_originator: false };

    fn address(text: &str) -> Address {
        Address::parse(text).expect("a good address")
    }

    fn newcomer(text: &str) -> Newcomer {
        Newcomer::of(Party { address: address(text), name: None })
    }

    fn invitation(others: &[&str]) -> GroupInvitation {
        GroupInvitation {
            session: SessionId::new("s"),
            user: address("tel:+1"),
            subject: "Trip".into(),
            originator: newcomer("tel:+1"),
            others: others.iter().map(|other| newcomer(other)).collect(),
            client_correlator: None,
            extends: None,
        }
    }

    fn originated(rules: GroupRules) -> GroupSession {
        let invitation = invitation(&["tel:+2", "tel:+3"]);
        GroupSession::originate(&invitation, rules, Random::seeded(1)).expect("a good session")
    }

    fn connected(rules: GroupRules) -> GroupSession {
        let mut session = originated(rules);
        assert!(session.focus_accepted());
        session
    }

    fn invited() -> GroupSession {
        let party = |text| newcomer(text).party;
        let others = vec![party("tel:+1"), party("tel:+3")];
        let rest = (RULES, Random::seeded(1));
        GroupSession::invited("Trip".into(), party("tel:+2"), others, rest)
    }

    fn id_of(session: &GroupSession, text: &str) -> ParticipantId {
        let of = session.participants().of(&Identity::from(&address(text)));
        of.expect("a participant").id.clone()
    }

    fn is_one(address: &Address) -> bool {
        *address == Address::parse("tel:+1").expect("a good address")
    }

    #[test]
    fn a_session_needs_somebody_to_invite_and_has_a_limit() {
        let open = |others: &[&str]| {
            GroupSession::originate(&invitation(others), RULES, Random::seeded(1)).map(|_| ())
        };
        assert!(matches!(open(&[]), Err(Refusal::BadAddress { .. })));
        assert!(matches!(open(&["sip:+1@x.example"]), Err(Refusal::BadAddress { .. })));
        let many = ["tel:+2", "tel:+3", "tel:+4", "tel:+5"];
        assert_eq!(open(&many), Err(Refusal::TooMany { limit: 4 }));
        assert_eq!(open(&many[..3]), Ok(()));
    }

    #[test]
    fn the_originator_cancels_before_and_ends_after_the_focus_has_taken_it() {
        let mut session = originated(RULES);
        assert_eq!(session.end(), Ok(GroupStep::CancelCreation));
        assert_eq!(session.end(), Err(Refusal::NoSession));
        assert!(!session.focus_accepted());
        let mut session = connected(RULES);
        assert_eq!(session.end(), Ok(GroupStep::End));
        let own = id_of(&session, "tel:+1");
        assert_eq!(session.part(&own), Ok(GroupStep::Leave));
        let mut session = connected(GroupRules { ends_with_originator: true, ..RULES });
        let own = id_of(&session, "tel:+1");
        assert_eq!(session.part(&own), Ok(GroupStep::End));
    }

    #[test]
    fn the_invited_user_accepts_once_and_only_for_itself() {
        let mut session = invited();
        let (own, other) = (id_of(&session, "+2"), id_of(&session, "+3"));
        assert!(matches!(session.accept(&other), Err(Refusal::WrongRole { .. })));
        assert_eq!(session.accept(&ParticipantId::new("x")), Err(Refusal::NoParticipant));
        assert_eq!(session.accept(&own), Ok(GroupStep::AcceptInvitation));
        assert!(matches!(session.accept(&own), Err(Refusal::NotNow { .. })));
        assert!(matches!(session.decline(&own), Err(Refusal::NotNow { .. })));
        assert!(matches!(session.part(&other), Err(Refusal::WrongRole { .. })));
        assert_eq!(session.end(), Ok(GroupStep::Leave));
        let mut session = invited();
        assert_eq!(session.part(&own), Ok(GroupStep::DeclineInvitation));
        let first = session.describe().ok().flatten().map(|info| info.participants[0].clone());
        assert!(first.is_some_and(|first| first.is_originator));
    }

    #[test]
    fn a_list_that_fills_the_table_leaves_the_user_its_place() {
        let party = |text: &str| newcomer(text).party;
        for (listed, shown) in [(2, 3), (3, 4), (4, 4), (9, 4)] {
            let others = (1..=listed).map(|number| party(&format!("tel:+{number}0"))).collect();
            let rest = (RULES, Random::seeded(1));
            let session = GroupSession::invited("Trip".into(), party("tel:+2"), others, rest);
            let all = session.participants().present();
            assert_eq!(all.len(), shown);
            assert!(all[0].is_originator && all[0].party.address == address("tel:+10"));
            assert!(session.participants().own().is_some(), "{listed}");
        }
    }

    #[test]
    fn the_originator_adds_and_removes_and_nobody_else() {
        let mut session = connected(RULES);
        let step = session.join(vec![newcomer("+4"), newcomer("+2")], &is_one);
        let (four, two) = (id_of(&session, "+4"), id_of(&session, "+2"));
        let named = vec![four.clone(), two.clone()];
        assert_eq!(step, Ok(GroupStep::Invite { new: vec![four], named }));
        let full = session.join(vec![newcomer("+5")], &is_one);
        assert_eq!(full, Err(Refusal::TooMany { limit: 4 }));
        assert_eq!(session.part(&two), Ok(GroupStep::Remove(two)));
        let mut session = invited();
        let own = id_of(&session, "+2");
        assert_eq!(session.accept(&own), Ok(GroupStep::AcceptInvitation));
        let refused = session.join(vec![newcomer("+4")], &|_| false);
        assert!(matches!(refused, Err(Refusal::WrongRole { .. })));
    }

    #[test]
    fn who_is_apart_is_shown_nothing_and_may_come_back() {
        let mut session = connected(RULES);
        assert!(session.part_for_now() && !session.part_for_now());
        assert_eq!(session.describe(), Ok(None));
        let own = Identity::from(&address("+1"));
        session.participants_mut().note(&own, Standing::Gone(Parting::ForGood), None);
        let again = session.join(vec![newcomer("sip:+1@h;user=phone")], &is_one);
        assert_eq!(again, Ok(GroupStep::Rejoin));
        assert!(session.demand_connected("removing").is_err());
        assert!(session.focus_accepted());
        assert_eq!(session.demand_connected("removing"), Ok(()));
        let twice = session.join(vec![newcomer("+1")], &is_one);
        assert_eq!(twice, Ok(GroupStep::Present(Vec::new())));
    }

    #[test]
    fn only_the_first_ending_is_told() {
        let over = Ending { event: EventType::SessionEnded, description: "SIP BYE".into() };
        let mut session = connected(RULES);
        assert_eq!(session.finish(over.clone()), Some(over.clone()));
        assert_eq!(session.finish(over), None);
        assert_eq!(session.describe(), Err(Refusal::NoSession));
        assert_eq!(session.end(), Err(Refusal::NoSession));
        assert_eq!(session.demand_open_for_messages("sending"), Err(Refusal::NoSession));
    }
}
