//! One user's 1-1 chat: the rules of the chat, the SIP leg and the MSRP session kept in step.
//!
//! ```text
//!   Command ──▶ chat::Session ──Step──▶ sip::Leg ──▶ Output::Sip
//!      │             ▲                     │
//!      │             └──── sip_outcomes ◀──┘ LegEvent
//!      └──▶ msrp::Session ──▶ Output::MsrpWrite
//!                │
//!                └ Event ──▶ delivery ──▶ Output::Notice
//! ```
//! After every [`Conversation::handle`], drain [`Conversation::poll`] until it gives nothing, then
//! come back no later than [`Conversation::next_timeout`].

mod extending;
mod leg_events;
mod messages;
mod pager;
mod parting;
mod relayed;
mod renewed;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::access::Access;
use super::dealings::{Arrival, ConversationKit, Input, Output};
use super::legs::{Attempt, Legs};
use super::line::Line;
use super::media;
use super::renewal::{Renewable, Successor, caller_of};
use super::settings::Settings;
use super::sip_outcomes::{self, LegEnd};
use super::succession::SessionIds;
use super::{description, invite};
use crate::address::Address;
use crate::chat::{
    Answer, Command, ComposingWatch, Ending, EventType, Invitation, MessageBook, Notice,
    NoticeKind, OutgoingMessage, Refusal, Role, Session, SessionKind, State, Step,
};
use crate::clock::Anchor;
use crate::ids::{MessageId, Random, SessionId};
use crate::msrp;
use crate::payload::Letterhead;
use crate::sip::{Leg, LegInput, Status, UsageInput};

use pager::Pager;

/// One user's side of a 1-1 chat.
#[derive(Debug)]
pub struct Conversation {
    id: SessionId,
    user: Address,
    settings: Arc<Settings>,
    access: Arc<Access>,
    anchor: Anchor,
    random: Random,
    chat: Session,
    legs: Legs,
    line: Line,
    /// What is to take the place of both.
    successor: Successor,
    /// A first message that came with the INVITE, told once the user has accepted.
    first_message: Option<Bytes>,
    /// What all texts of the user begin with, once there was one.
    letterhead: Option<Letterhead>,
    /// Messages that wait for the answer: it tells how the peer wants them wrapped.
    waiting: VecDeque<OutgoingMessage>,
    /// Whether the user was told of the session, and so is to be told of its end.
    heard: bool,
    book: MessageBook,
    composing: ComposingWatch,
    timers: Timers,
    attempt: Attempt<invite::Draft>,
    /// Why we have sent CANCEL.
    cancel: Option<LegEnd>,
    /// The terminal event is about to be told; what is open fails first.
    ending: bool,
    /// The server stops: nothing is absorbed any more.
    stopping: bool,
    /// The peer has not answered our BYE or CANCEL.
    goodbye: bool,
    /// The MSRP connection is closed once our BYE is answered: closed earlier, it would look lost.
    msrp_closes: bool,
    /// How the peer has left, while its answers to the messages sent last may still be on their
    /// way.
    peer_left: Option<Ending>,
    /// The user leaves, while answers to the messages sent last may still be on their way.
    user_left: bool,
    /// The reports that go another way than the session, which is over.
    pager: Pager,
    /// How the network knows the session, where it does.
    ids: SessionIds,
    /// Whether an INVITE may name the session.
    is_named: bool,
    /// The group to which the session is extended.
    moved: Option<SessionId>,
    outputs: VecDeque<Output>,
}

/// The waits of a conversation; the machines below have their own.
#[derive(Debug, Default)]
struct Timers {
    /// Our relays must have let us in: until then nothing can be offered, and nothing answered.
    relay: Option<Instant>,
    /// The invitation must be answered.
    invitation: Option<Instant>,
    /// The MSRP connection must be bound.
    msrp: Option<Instant>,
    /// A BYE should explain why the MSRP connection is lost.
    media: Option<Instant>,
    /// Until when the one who begins the session anew may put that off.
    patience: Option<Instant>,
    /// The user who leaves, or whom the peer has left, has waited long enough for the last answers.
    leave: Option<Instant>,
    /// The INVITE is repeated (491).
    retry: Option<Instant>,
    /// The ended session's URL dies.
    forget: Option<Instant>,
}

impl Timers {
    fn next(&self) -> Option<Instant> {
        let media = [self.relay, self.msrp, self.media];
        let rest = [self.invitation, self.leave, self.retry, self.forget];
        media.into_iter().chain(rest).flatten().min()
    }
}

impl Conversation {
    /// Opens a session and sends its INVITE.
    ///
    /// # Errors
    /// The addresses make no SIP URI.
    pub fn originate(
        now: Instant,
        mut kit: ConversationKit,
        invitation: Invitation,
    ) -> Result<Self, Refusal> {
        let draft = {
            let date_time = kit.anchor.wall(now);
            invite::Draft::new(&kit.settings, invitation.clone(), date_time, &mut kit.random)
        };
        let Invitation { session, user, subject, originator, terminating, client_correlator } =
            invitation;
        let chat = Session::new(Role::Originator, subject, originator, terminating)
            .with_correlator(client_correlator);
        let bearer = kit.settings.offered_bearer();
        let mut line = Line::new(now, &mut kit, bearer);
        let offer = line.offer();
        let way = (None, kit.next_hops.clone());
        let call = draft.call((&kit.settings, &kit.access), way, offer)?;
        let leg_kit = kit.access.kit(&kit.settings, kit.random.fork());
        // Through a relay, the call is made again once it is known what can be offered.
        let leg = match kit.settings.msrp_relay {
            Some(_) => Leg::unplaced(leg_kit),
            None => Leg::call(now, call, leg_kit),
        };
        let redirects = kit.settings.redirects;
        let mut this = Self::new(kit, (session, user), chat, (leg, line));
        this.ids = draft.ids();
        this.attempt.draft = Some(draft);
        this.attempt.redirects = redirects;
        if !this.seek_way(now) {
            this.timers.invitation = Some(now + this.settings.invitation_timeout);
        }
        this.settle(now);
        Ok(this)
    }

    /// Takes an INVITE: refuses it, or rings and tells the invited user's applications.
    #[must_use]
    pub fn incoming(
        now: Instant,
        mut kit: ConversationKit,
        arrival: Arrival,
        has_client: &dyn Fn(&Address) -> bool,
    ) -> Self {
        let Arrival { session, invite, source, trusted, .. } = arrival;
        let read = invite::read((&kit.settings, &kit.access), (&invite, trusted), has_client);
        let is_offerless = invite.body.is_empty();
        let ids = SessionIds::of(&invite.headers);
        let caller = caller_of(&invite);
        let leg_kit = kit.access.kit(&kit.settings, kit.random.fork());
        let leg = Leg::answering(now, invite, source, leg_kit);
        let sdp = read.as_ref().and_then(|incoming| incoming.sdp.as_deref());
        let bearer = media::bearer_asked(&kit.settings, sdp);
        let bearer = bearer.unwrap_or(kit.settings.offered_bearer());
        let line = Line::new(now, &mut kit, bearer);
        let Some(incoming) = read else {
            let nobody = crate::chat::Party { address: Address::anonymous(), name: None };
            let chat = Session::new(Role::Terminating, String::new(), nobody.clone(), nobody);
            let mut this = Self::new(kit, (session, Address::anonymous()), chat, (leg, line));
            this.heard = false;
            this.refuse_unheard(now, Status::NOT_FOUND, Vec::new());
            return this;
        };
        let invite::Incoming { user, originator, terminating, subject, sdp, .. } = incoming;
        let chat = Session::new(Role::Terminating, subject, originator, terminating);
        let known = has_client(&user);
        let mut this = Self::new(kit, (session, user), chat, (leg, line));
        this.heard = false;
        this.first_message = incoming.first_message;
        this.ids = ids;
        this.legs.caller = Some(caller);
        // The leg itself refuses what no user needs to hear of, such as an unknown Require.
        this.settle(now);
        if this.chat.state() == State::Ended {
            return this;
        }
        let peer = match media::judge_offer(&this.settings, sdp.as_deref()) {
            Ok(peer) => Ok(Some(peer)),
            // The offer is ours to make, in the 200; the ACK brings the answer.
            Err(_) if is_offerless => Ok(None),
            Err(why) => Err(why),
        };
        match peer {
            Err(why) => this.refuse_unheard(now, Status::NOT_ACCEPTABLE_HERE, why.warning()),
            Ok(_) if !known => {
                let code = this.settings.no_client_code;
                this.refuse_unheard(now, code, Vec::new());
            }
            Ok(peer) => {
                this.line.peer = peer;
                if incoming.is_deferred {
                    this.take_delivery(now);
                } else {
                    this.timers.invitation = Some(now + this.settings.invitation_timeout);
                    this.legs.current.ring(now);
                    this.tell_invitation(now);
                }
                this.settle(now);
            }
        }
        this
    }

    /// Takes what has happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Command(command) => {
                // The answer goes out before all that follows from it.
                let earlier = std::mem::take(&mut self.outputs);
                let answer = self.command(now, command);
                self.outputs.push_front(Output::Answer(answer));
                // Mostly there is nothing: whoever gives an order has seen to what was before.
                for output in earlier.into_iter().rev() {
                    self.outputs.push_front(output);
                }
            }
            Input::Sip { message, source } if self.pager.owns(&message) => {
                self.pager.handle(now, UsageInput::Message { message, source });
            }
            Input::Sip { message, source } if self.successor.owns(&message) => {
                self.successor.receive(now, message, source);
            }
            Input::Sip { message, source } => self.legs.receive(now, message, source),
            Input::Renewal(arrival) => self.renewed(now, *arrival),
            Input::SipFailed { hop } => {
                self.pager.handle(now, UsageInput::TransportFailed { hop: hop.clone() });
                self.legs.current.handle(now, LegInput::TransportFailed { hop });
            }
            Input::Reports(reports) => self.take_reports(now, &reports),
            Input::Extension(news) => self.extended(now, news),
            Input::CoreLost => self.core_lost(now),
            Input::Msrp(input) => self.feed_msrp(now, input),
            Input::NextMsrp(input) => self.successor.feed(now, input),
            Input::MsrpAccepted(shown) => self.msrp_accepted(now, shown),
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
            self.composing.next_timeout(),
            self.timers.next(),
            self.pager.next_timeout(),
            self.successor.next_timeout(),
        ];
        own.into_iter().flatten().min()
    }

    /// Tells whether nothing can happen any more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        if self.stopping {
            return self.chat.state() == State::Ended && !self.goodbye;
        }
        let over = self.chat.state() == State::Ended && self.timers.forget.is_none();
        over && self.pager.is_idle() && self.legs.is_finished()
    }

    /// Tells whether the chat is over, though its legs may still absorb what arrives late.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.chat.state() == State::Ended
    }

    /// Gives the id of the session.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Gives the user whose side this is.
    #[must_use]
    pub fn user(&self) -> &Address {
        &self.user
    }

    /// Gives the MSRP session-id by which the peer's connection is recognised.
    #[must_use]
    pub fn msrp_session_id(&self) -> &str {
        self.line.session_id()
    }

    /// Gives the MSRP session.
    #[must_use]
    pub fn msrp(&self) -> &msrp::Session {
        &self.line.msrp
    }

    fn new(
        kit: ConversationKit,
        (id, user): (SessionId, Address),
        chat: Session,
        (leg, line): (Leg, Line),
    ) -> Self {
        let ConversationKit { settings, access, anchor, random, next_hops } = kit;
        let mut this = Self {
            id,
            user,
            book: MessageBook::new(settings.tracked_messages),
            settings,
            access,
            anchor,
            random,
            chat,
            legs: Legs::new(leg),
            line,
            successor: Successor::default(),
            first_message: None,
            letterhead: None,
            waiting: VecDeque::new(),
            heard: true,
            composing: ComposingWatch::default(),
            timers: Timers::default(),
            attempt: Attempt::new(next_hops),
            cancel: None,
            ending: false,
            stopping: false,
            goodbye: false,
            msrp_closes: false,
            peer_left: None,
            user_left: false,
            pager: Pager::default(),
            ids: SessionIds::default(),
            is_named: false,
            moved: None,
            outputs: VecDeque::new(),
        };
        this.outputs.push_back(this.legs.route());
        this
    }

    fn command(&mut self, now: Instant, command: Command) -> Result<Answer, Refusal> {
        match command {
            Command::Accept => self.chat.accept().map(|step| self.take(now, step)),
            Command::Decline => self.chat.decline().map(|step| self.take(now, step)),
            // For the application, a session is over from the first DELETE on.
            Command::End | Command::Describe
                if self.timers.leave.is_some() && !self.waits_to_stop() =>
            {
                Err(Refusal::NoSession)
            }
            Command::End => self.chat.end().map(|step| self.take(now, step)),
            Command::Describe => self.describe(),
            Command::Extend { to } => self.extend(to),
            Command::Send(message) => self.send(now, message),
            Command::Compose(composing) => self.compose(now, &composing),
            Command::Report { message, status } => self.report(now, &message, status),
            // A chat between two has no participants to name.
            Command::Join(_)
            | Command::Part(_)
            | Command::AcceptAs(_)
            | Command::DeclineAs(_)
            | Command::ShowParticipant(_) => Err(Refusal::NoSession),
        }
    }

    /// Does on the wire what the rules of the chat have allowed.
    fn take(&mut self, now: Instant, step: Step) -> Answer {
        match step {
            Step::AcceptInvitation => self.accept(now),
            Step::DeclineInvitation => {
                let code = self.settings.decline_code;
                self.refuse(now, code, LegEnd::DeclinedByUser);
            }
            Step::CancelInvitation => {
                self.timers.invitation = None;
                self.cancel = None;
                self.attempt.targets.clear();
                if self.is_between_invites() {
                    self.timers.retry = None;
                    self.end_withdrawn(now);
                } else {
                    self.legs.current.cancel(now, None);
                }
            }
            Step::Leave => self.begin_leaving(now),
        }
        Answer::Done
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
            self.call_again(now, None);
        }
        if due(&mut self.timers.msrp) {
            self.media_failed(now, LegEnd::MsrpConnectFailed);
        }
        if self.timers.media.is_some_and(|at| at <= now) {
            // What was kept may be the explanation.
            self.release_successor(now, Status::TEMPORARILY_UNAVAILABLE);
        }
        if due(&mut self.timers.media) {
            self.give_up_media(now, LegEnd::MsrpLost);
        }
        // What is left after this is for the legs to absorb.
        due(&mut self.timers.forget);
        if due(&mut self.timers.leave) {
            self.part(now);
        }
        if self.composing.expired(now) {
            self.tell_idle(now);
        }
        self.legs.timeout(now);
        self.line.msrp.handle(now, msrp::Input::Timeout);
        self.pager.handle(now, UsageInput::Timeout);
    }

    /// Runs the machines below until they are quiet, then parts where somebody is leaving.
    fn settle(&mut self, now: Instant) {
        loop {
            let quiet = !self.settle_legs(now) & !self.settle_msrp(now) & !self.settle_pager(now);
            if !quiet || self.settle_successor(now) {
                continue;
            }
            if self.timers.leave.is_some() && self.line.msrp.is_idle() {
                self.part(now);
                continue;
            }
            return;
        }
    }

    /// Ends the session as the table says of `end`.
    fn end_by(&mut self, now: Instant, end: LegEnd, reasons: &[description::Reason<'_>]) {
        let row = sip_outcomes::on(end);
        if let Some(event) = row.outcome.event() {
            self.end(now, event, row.describe_end(reasons));
        }
    }

    /// Ends the session: what is open fails first, the one terminal event comes last.
    fn end(&mut self, now: Instant, event: EventType, description: String) {
        if self.chat.state() == State::Ended || self.ending {
            return;
        }
        self.ending = true;
        self.drop_successor(now, Status::TEMPORARILY_UNAVAILABLE);
        self.line.msrp.close(now);
        while self.settle_msrp(now) {}
        self.fail_untaken(now);
        let told = self.chat.finish(Ending { event, description }).filter(|_| self.heard);
        if let Some(Ending { event, description }) = told {
            self.tell_event(now, event, Some(description), None);
        }
        self.timers = Timers::default();
        if self.heard && !self.stopping {
            self.timers.forget = Some(now + self.settings.linger);
        }
        self.composing = ComposingWatch::default();
    }

    fn tell_event(
        &mut self,
        now: Instant,
        event: EventType,
        description: Option<String>,
        message: Option<MessageId>,
    ) {
        self.tell(now, NoticeKind::Event { event, description, message });
    }

    fn tell(&mut self, now: Instant, kind: NoticeKind) {
        let at = self.anchor.wall(now);
        let (user, session) = (self.user.clone(), self.id.clone());
        self.outputs.push_back(Output::Notice(Notice {
            user,
            session,
            of: SessionKind::Pair,
            at,
            kind,
        }));
    }
}

#[cfg(test)]
mod tests;
