//! One user's part in a group: the rules of the chat, the SIP leg to the focus, the MSRP session
//! with it, and the subscription that tells who else is there, kept in step.
//!
//! ```text
//!   Command ──▶ chat::GroupSession ──Step──▶ leg, referrals ──▶ Output::Sip
//!      │               ▲   ▲                     │
//!      │               │   └── group_outcomes ◀──┘
//!      │               └────── roster_outcomes ◀── watch (conference-info)
//!      └──▶ msrp::Session ──▶ Output::MsrpWrite
//! ```
//! A focus is somebody else's, or the embedded one: it is met on the wire only. After every
//! [`Group::handle`], drain [`Group::poll`] until it gives nothing, then come back no later than
//! [`Group::next_timeout`].

mod arriving;
mod calling;
mod invite;
mod leg_events;
mod messages;
mod parting;
mod referrals;
mod renewed;
mod returning;
mod watch;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::access::Access;
use super::dealings::{Arrival, ConversationKit, Input, Output};
use super::group_outcomes::{Asking, GroupEnd};
use super::group_settings::{ExtendMode, InviteMode};
use super::identity::Signature;
use super::invite as headers;
use super::legs::{Attempt, Legs};
use super::line::Line;
use super::renewal::{Renewable, Successor};
use super::settings::Settings;
use crate::address::Address;
use crate::chat::{
    Answer, AnswerId, Command, Extended, Extension, GroupInvitation, GroupSession, GroupState,
    GroupStep, Identity, MessageBook, Notice, NoticeKind, OutgoingMessage, Party, Receipts,
    Refusal, SessionKind,
};
use crate::clock::Anchor;
use crate::ids::{ParticipantId, Random, SessionId};
use crate::msrp;
use crate::payload::resource_list::{Entry, ResourceList};
use crate::sip::{Errand, Leg, LegInput, NameAddr, Reference, Status, Uri, UsageInput};

use invite::Draft;
pub(super) use invite::{founder, is_of_focus};
use messages::Typists;
use referrals::Referrals;
use watch::Watch;

/// One user's part in a group.
#[derive(Debug)]
pub struct Group {
    id: SessionId,
    user: Address,
    settings: Arc<Settings>,
    access: Arc<Access>,
    anchor: Anchor,
    random: Random,
    chat: GroupSession,
    legs: Legs,
    line: Line,
    /// What is to take the place of both.
    successor: Successor,
    attempt: Attempt<Draft>,
    /// What our INVITE asks for, or has asked for.
    asking: Asking,
    /// Whether the focus is told of the others with REFERs, because it takes no list.
    refers_all: bool,
    /// Whether the focus is asked for another conference of those whom it knows: with an empty list.
    revives: bool,
    /// The URI of the group, once it is known: its Contact, for which nobody vouches.
    focus: Option<Uri>,
    /// Who the focus is, as our trust domain asserts.
    party: Option<Address>,
    /// Whether the user hosts the group itself: the focus is beside us, and no core in between.
    is_hosted: bool,
    watch: Watch,
    referrals: Referrals,
    /// Messages that wait for the answer: it opens the MSRP session.
    waiting: VecDeque<OutgoingMessage>,
    book: MessageBook,
    receipts: Receipts,
    typists: Typists,
    timers: Timers,
    /// The answer to the user who joins again, as long as it is owed.
    rejoin: Option<AnswerId>,
    answers: u64,
    /// The 1-1 session that becomes this group, until its other side has answered.
    extends: Option<Extended>,
    /// The 1-1 session that its other side has extended to this group, until the user has answered.
    follows: Option<SessionId>,
    /// Whether an INVITE may name the session.
    is_named: bool,
    /// The subject of a re-INVITE that is not answered yet.
    new_subject: Option<String>,
    /// What the bridge does about it of itself that the user is out.
    way_back: returning::WayBack,
    /// How the user's participation will end, once what was said last is answered.
    leaving: Option<parting::Farewell>,
    /// Whether the user was told of the session, and so is to be told of its end.
    heard: bool,
    /// The end is being told; what is open fails first.
    ending: bool,
    stopping: bool,
    /// The focus has not answered our BYE or CANCEL.
    goodbye: bool,
    /// The MSRP connection is closed once our BYE is answered: closed earlier, it would look lost.
    msrp_closes: bool,
    outputs: VecDeque<Output>,
}

/// The waits of a group; the machines below have their own.
#[derive(Debug, Default)]
struct Timers {
    /// Our relays must have let us in.
    relay: Option<Instant>,
    /// The invitation, or our request, must be answered.
    invitation: Option<Instant>,
    /// The MSRP connection must be bound.
    msrp: Option<Instant>,
    /// A BYE should explain why the MSRP connection is lost, or that the conference is over.
    explanation: Option<(Instant, GroupEnd)>,
    /// Until when the focus that begins the participation anew may put that off.
    patience: Option<Instant>,
    /// Who leaves, or was left, has waited long enough for the last answers.
    leave: Option<Instant>,
    /// The INVITE is repeated (491).
    retry: Option<Instant>,
    /// The application waits no longer for the focus to let the user in again.
    rejoin: Option<Instant>,
    /// The focus has had time enough to say whether there is a conference.
    probe: Option<Instant>,
    /// The user may come back no longer.
    window: Option<Instant>,
    /// The partner of the 1-1 session has had time enough to answer.
    extension: Option<Instant>,
    /// The ended session's URL dies.
    forget: Option<Instant>,
}

impl Timers {
    fn next(&self) -> Option<Instant> {
        let explanation = self.explanation.map(|(at, _)| at);
        let one = [self.relay, self.invitation, self.msrp, explanation, self.leave];
        let two = [self.retry, self.rejoin, self.window, self.extension, self.forget, self.probe];
        one.into_iter().chain(two).flatten().min()
    }
}

impl Group {
    /// Opens a session: asks the conference factory for it.
    ///
    /// # Errors
    /// There is nobody to invite, too many are, or the addresses make no SIP URI.
    pub fn originate(
        now: Instant,
        mut kit: ConversationKit,
        invitation: GroupInvitation,
    ) -> Result<Self, Refusal> {
        let rules = kit.settings.group_rules();
        let chat = GroupSession::originate(&invitation, rules, kit.random.fork())?;
        let GroupInvitation { session, user, subject, originator, extends, .. } = invitation;
        let ids = headers::session_ids(kit.settings.profile.conversation_ids, &mut kit.random);
        let draft = Draft {
            own: Party { address: user.clone(), name: originator.party.name },
            subject,
            session_ids: ids,
            boundary: kit.random.token(),
        };
        // What makes no URI is the caller's to hear of.
        Signature::of(&kit.settings, &kit.access, &draft.own)?;
        for party in chat.participants().to_invite_again() {
            kit.settings.realm.target(&party.address)?;
        }
        let bearer = kit.settings.offered_bearer();
        let line = Line::new(now, &mut kit, bearer);
        let leg = Leg::unplaced(kit.access.kit(&kit.settings, kit.random.fork()));
        let redirects = kit.settings.redirects;
        let mut this = Self::new(kit, (session, user), chat, (leg, line));
        this.attempt.draft = Some(draft);
        this.attempt.redirects = redirects;
        this.refers_all = this.settings.group.invite_mode == InviteMode::Refer;
        this.take_host();
        this.extends = extends;
        this.seek_way_or_call(now);
        this.settle(now);
        Ok(this)
    }

    /// Takes the INVITE of a focus: refuses it, or rings and tells the invited user's applications.
    #[must_use]
    pub fn incoming(
        now: Instant,
        kit: ConversationKit,
        arrival: Arrival,
        has_client: &dyn Fn(&Address) -> bool,
    ) -> Self {
        arriving::incoming(now, kit, arrival, has_client)
    }

    /// Takes what has happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Command(command) => {
                // The answer goes out before all that follows from it.
                let earlier = std::mem::take(&mut self.outputs);
                let answer = self.command(now, command);
                let later = std::mem::replace(&mut self.outputs, earlier);
                self.outputs.push_back(Output::Answer(answer));
                self.outputs.extend(later);
            }
            Input::Sip { message, source } if self.successor.owns(&message) => {
                self.successor.receive(now, message, source);
            }
            Input::Sip { message, source } => {
                let focus_was = self.names_anew(&message);
                let input = UsageInput::Message { message, source };
                let Some(input) = self.watch.offer(now, input) else { return self.settle(now) };
                let Some(input) = self.referrals.offer(now, input) else { return self.settle(now) };
                if let UsageInput::Message { message, source } = input {
                    self.legs.receive(now, message, source);
                    self.settle(now);
                    self.follow_focus(now, focus_was);
                }
            }
            Input::Renewal(arrival) => self.renewed(now, *arrival),
            Input::SipFailed { hop } => {
                let failed = || UsageInput::TransportFailed { hop: hop.clone() };
                self.watch.tell(now, failed());
                self.referrals.tell(now, &failed());
                self.legs.current.handle(now, LegInput::TransportFailed { hop });
            }
            Input::Reports(reports) => self.take_reports(now, &reports),
            Input::CoreLost => self.core_lost(now),
            // A group is extended to nothing.
            Input::Extension(_) => {}
            Input::Msrp(input) => self.feed_msrp(now, input),
            Input::NextMsrp(input) => self.successor.feed(now, input),
            Input::MsrpAccepted(shown) => {
                let wish = self.line.accepted(now, shown);
                self.outputs.extend(wish);
            }
            Input::Timeout => self.timeout(now),
            Input::Stop => self.stop(now),
        }
        self.settle(now);
        self.tell_names();
    }

    /// Gives the next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Gives back the room that is not needed until something happens: for an owner that is going
    /// to wait, after [`poll`](Self::poll) has given nothing.
    pub fn rest(&mut self) {
        if self.outputs.is_empty() {
            self.outputs = VecDeque::new();
        }
        self.line.msrp.rest();
    }

    /// Gives the instant by which [`Input::Timeout`] is due.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let own = [
            self.legs.next_timeout(),
            self.line.msrp.next_timeout(),
            self.typists.next_timeout(),
            self.timers.next(),
            self.watch.next_timeout(),
            self.referrals.next_timeout(),
            self.successor.next_timeout(),
        ];
        own.into_iter().flatten().min()
    }

    /// Tells whether nothing can happen any more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        if self.stopping {
            return self.is_over() && !self.goodbye;
        }
        let over = self.is_over() && self.timers.forget.is_none();
        over && self.legs.is_finished() && self.watch.is_finished() && self.referrals.is_finished()
    }

    /// Tells whether the session is over, though its legs may still absorb what arrives late.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.chat.state() == GroupState::Ended
    }

    /// Gives the id of the session.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Gives the user whose part this is.
    #[must_use]
    pub fn user(&self) -> &Address {
        &self.user
    }

    /// Gives the MSRP session-id by which the focus's connection is recognised.
    #[must_use]
    pub fn msrp_session_id(&self) -> &str {
        self.line.session_id()
    }

    /// Gives the MSRP session.
    #[must_use]
    pub fn msrp(&self) -> &msrp::Session {
        &self.line.msrp
    }

    /// Tells whether all MSRP of the session goes through relays of ours.
    #[must_use]
    pub fn is_relayed(&self) -> bool {
        self.line.is_relayed()
    }

    /// Lets the user host the group itself, where that is how groups are begun here.
    fn take_host(&mut self) {
        if let Some(host) = &self.settings.group.host {
            self.is_hosted = true;
            self.attempt.next_hops = vec![host.hop.clone()];
        }
    }

    /// Gives the URI of the group, once the focus has told it.
    #[must_use]
    pub fn focus(&self) -> Option<&Uri> {
        self.focus.as_ref()
    }

    fn new(
        kit: ConversationKit,
        (id, user): (SessionId, Address),
        chat: GroupSession,
        (leg, line): (Leg, Line),
    ) -> Self {
        let ConversationKit { settings, access, anchor, random, next_hops } = kit;
        let mut this = Self {
            id,
            user,
            book: MessageBook::new(settings.tracked_messages),
            receipts: Receipts::new(settings.tracked_messages),
            settings,
            access,
            anchor,
            random,
            chat,
            legs: Legs::new(leg),
            line,
            successor: Successor::default(),
            attempt: Attempt::new(next_hops),
            asking: Asking::Opening,
            refers_all: false,
            revives: false,
            focus: None,
            party: None,
            is_hosted: false,
            watch: Watch::default(),
            referrals: Referrals::default(),
            waiting: VecDeque::new(),
            typists: Typists::default(),
            timers: Timers::default(),
            rejoin: None,
            answers: 0,
            extends: None,
            follows: None,
            is_named: false,
            new_subject: None,
            way_back: returning::WayBack::default(),
            leaving: None,
            heard: true,
            ending: false,
            stopping: false,
            goodbye: false,
            msrp_closes: false,
            outputs: VecDeque::new(),
        };
        this.outputs.push_back(this.legs.route());
        this
    }

    fn command(&mut self, now: Instant, command: Command) -> Result<Answer, Refusal> {
        let is_going = self.leaving.is_some() && !self.waits_to_stop();
        match command {
            // For the application, who has left is out from the first DELETE on.
            Command::End | Command::Part(_) if is_going => Err(Refusal::NoSession),
            Command::End => self.chat.end().map(|step| self.take(now, step)),
            Command::Part(id) => {
                let step = self.chat.part(&id)?;
                if matches!(step, GroupStep::Remove(_)) {
                    self.demand_staying("removing a participant")?;
                }
                Ok(self.take(now, step))
            }
            Command::AcceptAs(id) => self.chat.accept(&id).map(|step| self.take(now, step)),
            Command::DeclineAs(id) => self.chat.decline(&id).map(|step| self.take(now, step)),
            Command::Join(newcomers) => {
                self.demand_staying("joining")?;
                for newcomer in &newcomers {
                    self.settings.realm.target(&newcomer.party.address)?;
                }
                let step = {
                    let own = own_test(&self.user, &self.access, &self.settings);
                    self.chat.join(newcomers, &own)?
                };
                let accepts = step == GroupStep::AcceptInvitation;
                let answer = self.take(now, step);
                // Who joins by accepting its invitation is shown whom it meets.
                Ok(if accepts { self.show_present(&[]) } else { answer })
            }
            Command::Describe => self.describe(),
            Command::ShowParticipant(id) => {
                self.chat.participant(&id).cloned().map(Answer::Participant)
            }
            Command::Send(message) => self.send(now, message),
            Command::Compose(composing) => self.compose(now, &composing),
            Command::Report { message, status } => self.report(now, &message, status),
            // A participant accepts and declines in its own name, and a group is no 1-1 session.
            Command::Accept | Command::Decline | Command::Extend { .. } => Err(Refusal::NoSession),
        }
    }

    /// Does on the wire what the rules of the chat have allowed.
    fn take(&mut self, now: Instant, step: GroupStep) -> Answer {
        match step {
            GroupStep::AcceptInvitation => self.accept(now),
            GroupStep::DeclineInvitation => self.decline(now),
            GroupStep::CancelCreation => self.cancel_creation(now),
            GroupStep::Leave => self.begin_leaving(now, GroupEnd::LeftForNow),
            GroupStep::End => self.begin_leaving(now, GroupEnd::EndedByOriginator),
            GroupStep::Forget => self.forget(),
            GroupStep::Rejoin => return self.join_again(now),
            GroupStep::Invite { new, named } => return self.invite_more(now, new, named),
            GroupStep::Remove(id) => return self.remove(now, id),
            GroupStep::Present(named) => return self.show_present(&named),
        }
        Answer::Done
    }

    /// Shows who is in or invited: the one who is named, or all.
    fn show_present(&self, named: &[ParticipantId]) -> Answer {
        let participants = self.chat.participants();
        match named {
            [one] => participants.get(one).cloned().map_or(Answer::UnderWay, Answer::Participant),
            [] | [_, ..] => Answer::Participants(participants.present()),
        }
    }

    fn timeout(&mut self, now: Instant) {
        let due = |timer: &mut Option<Instant>| timer.take_if(|at| *at <= now).is_some();
        self.successor.timeout(now);
        self.settle_successor(now);
        if due(&mut self.timers.relay) {
            self.way_missed(now, 408);
        }
        if due(&mut self.timers.invitation) {
            self.invitation_timed_out(now);
        }
        if due(&mut self.timers.retry) {
            self.call(now, None);
        }
        if due(&mut self.timers.msrp) {
            self.not_connected(now);
        }
        if self.timers.explanation.is_some_and(|(at, _)| at <= now) {
            // What was kept may be the explanation.
            self.release_successor(now, Status::TEMPORARILY_UNAVAILABLE);
        }
        if let Some((_, end)) = self.timers.explanation.take_if(|(at, _)| *at <= now) {
            self.unexplained(now, end);
        }
        if due(&mut self.timers.probe) {
            self.probed(now, returning::Probed::Unknown);
        }
        if due(&mut self.timers.rejoin)
            && let Some(answer) = self.rejoin.take()
        {
            self.answer_later(answer, Ok(Answer::UnderWay));
        }
        if due(&mut self.timers.extension) {
            self.settle_extension(Extension::Settled);
        }
        if due(&mut self.timers.window) {
            self.close_window();
        }
        // What is left after this is for the legs to absorb.
        due(&mut self.timers.forget);
        if due(&mut self.timers.leave) {
            self.part(now);
        }
        self.tell_idle(now);
        self.watch_again(now);
        self.expire_referrals(now);
        self.legs.timeout(now);
        self.line.msrp.handle(now, msrp::Input::Timeout);
        self.watch.tell(now, UsageInput::Timeout);
        self.referrals.tell(now, &UsageInput::Timeout);
    }

    /// Runs the machines below until they are quiet, then parts where somebody is leaving.
    fn settle(&mut self, now: Instant) {
        loop {
            let busy = self.settle_legs(now)
                | self.settle_msrp(now)
                | self.settle_watch(now)
                | self.settle_referrals(now);
            if busy || self.settle_successor(now) {
                continue;
            }
            if self.timers.leave.is_some() && self.may_part() {
                self.part(now);
                continue;
            }
            return;
        }
    }

    /// Tells whether an address is the user's own.
    fn is_own(&self, address: &Address) -> bool {
        own_test(&self.user, &self.access, &self.settings)(address)
    }

    /// Gives the user's own entry as it is named to the others.
    fn own(&self) -> Party {
        let name = self.chat.participants().own().and_then(|own| own.party.name.clone());
        Party { address: self.user.clone(), name }
    }

    /// Gives the identity of an address in the table of participants.
    fn identity_of(&self, address: &Address) -> Identity {
        let own = self.chat.participants().own().map(|own| own.id.clone());
        let own = own.and_then(|id| self.chat.participants().identity(&id).cloned());
        match own {
            Some(own) if self.is_own(address) => own,
            Some(_) | None => Identity::from(address),
        }
    }

    /// Makes the list of those who are to be invited (RFC 5366 section 4.1).
    fn recipients(&self) -> ResourceList {
        let realm = &self.settings.realm;
        let others = self.chat.participants().to_invite_again();
        let uris = others.iter().filter_map(|party| {
            let uri = realm.target(&party.address).ok()?;
            Some(match self.replaced(party) {
                Some(id) => {
                    let mut reference = Reference::invite(uri);
                    reference.headers.push(("Session-Replaces".to_owned(), id));
                    reference.to_string()
                }
                None => uri.to_string(),
            })
        });
        ResourceList { entries: uris.map(Entry::to).collect() }
    }

    /// Gives the id of the 1-1 session that the group takes the place of, for its other side.
    fn replaced(&self, party: &Party) -> Option<String> {
        let extends = self.extends.as_ref()?;
        let is_partner = extends.partner.address == party.address;
        let says = self.settings.group.extend_mode == ExtendMode::SessionReplaces;
        extends.contribution.clone().filter(|_| is_partner && says)
    }

    /// Writes where requests to the focus outside of the session go, and in whose name.
    fn errand(&self) -> Option<Errand> {
        let focus = self.focus.clone()?;
        let own = self.own();
        let Signature { from, headers } = Signature::of(&self.settings, &self.access, &own).ok()?;
        Some(Errand {
            target: focus.clone(),
            from,
            to: NameAddr::new(focus),
            next_hops: self.attempt.next_hops.clone(),
            proxy: self.settings.core.clone(),
            route: self.access.service_route.clone(),
            headers,
            contact_user: self.access.contact.as_ref().map(|contact| contact.user.clone()),
            contact_params: self.access.contact_params(&self.settings),
        })
    }

    fn leg_kit(&mut self) -> crate::sip::Kit {
        self.access.kit(&self.settings, self.random.fork())
    }

    fn draw_answer(&mut self) -> AnswerId {
        self.answers += 1;
        AnswerId(self.answers)
    }

    fn answer_later(&mut self, id: AnswerId, answer: Result<Answer, Refusal>) {
        self.outputs.push_back(Output::LateAnswer(id, answer));
    }

    fn tell(&mut self, now: Instant, kind: NoticeKind) {
        let at = self.anchor.wall(now);
        let (user, session) = (self.user.clone(), self.id.clone());
        let of = SessionKind::Group;
        self.outputs.push_back(Output::Notice(Notice { user, session, of, at, kind }));
    }
}

/// Makes the test whether an address is the user's own.
fn own_test<'a>(
    user: &'a Address,
    access: &'a Access,
    settings: &'a Settings,
) -> impl Fn(&Address) -> bool + 'a {
    move |address| address == user || access.is_for(&settings.realm, address)
}
