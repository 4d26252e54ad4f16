//! Watching the conference: the subscription that tells who takes part (RFC 4575, RFC 6665).
//!
//! ```text
//!   SUBSCRIBE ──▶ NOTIFY full ──▶ NOTIFY partial, one after another ──▶ participants
//!                                     │ a number is missing
//!                                     └──▶ SUBSCRIBE: NOTIFY full
//! ```

use std::time::{Duration, Instant};

use super::Group;
use super::returning::Probed;
use crate::address::Address;
use crate::bridge::dealings::Output;
use crate::bridge::group_outcomes::GroupEnd;
use crate::bridge::invite::one_line;
use crate::bridge::roster_outcomes::{self, Seen, Then, WatchEnd};
use crate::chat::{
    Answer, Extended, Extension, GroupInfo, GroupState, Identity, NoticeKind, Participant,
    ParticipantStatus, Party, Refusal, Standing,
};
use crate::payload::Conference;
use crate::payload::conference::{self, Extent, Merged, User, View};
use crate::sip::{
    Again, Body, DialogKey, EventType, Forks, Message, Subscriber, SubscriberEvent, Subscription,
    Uri, UsageInput, UsageOutput,
};

/// How often all of the state is asked for before a document is taken in spite of a gap.
const FRUITLESS: usize = 2;

/// The subscription, and what is known from it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    current: Option<Subscriber>,
    /// Subscriptions that were left, kept until they need to absorb nothing.
    left: Vec<Subscriber>,
    view: View,
    /// Whether a NOTIFY has come in the current subscription.
    is_told: bool,
    /// The changes beyond a gap, not taken yet: all of the state was asked for, once for each.
    beyond: Vec<Conference>,
    /// When to subscribe again.
    again: Option<Instant>,
    /// When a subscription was last begun at once in place of one that the focus had ended, or had
    /// moved away from.
    hasty: Option<Instant>,
    /// Whether it was told that nobody says who takes part.
    is_missed: bool,
}

impl Watch {
    /// Tells whether somebody says who takes part.
    pub(super) fn stands(&self) -> bool {
        self.current.is_some()
    }

    /// Gives the subscription what is for it, and back what is not.
    pub(super) fn offer(&mut self, now: Instant, input: UsageInput) -> Option<UsageInput> {
        let tag = tag_of(&input);
        let all = self.left.iter_mut().chain(&mut self.current);
        for subscriber in all {
            if tag.as_deref() == Some(subscriber.local_tag()) {
                subscriber.handle(now, input);
                return None;
            }
        }
        Some(input)
    }

    /// Tells all subscriptions.
    pub(super) fn tell(&mut self, now: Instant, input: UsageInput) {
        for subscriber in self.left.iter_mut().chain(&mut self.current) {
            subscriber.handle(now, input.clone());
        }
    }

    /// Tells whether a subscription may be begun at once in place of one that the focus has ended.
    /// One that has told nothing would be ended again; and so would one after another.
    fn may_hasten(&mut self, now: Instant) -> bool {
        self.is_told && self.hastens(now)
    }

    /// Begins a subscription at once, if none was lately; tells whether it does.
    fn hastens(&mut self, now: Instant) -> bool {
        let lately = self.hasty.is_some_and(|last| now < last + LATER);
        if !lately {
            self.hasty = Some(now);
        }
        !lately
    }

    /// Takes leave of the conference; its last word is still answered.
    pub(super) fn leave(&mut self, now: Instant) {
        self.again = None;
        if let Some(mut subscriber) = self.current.take() {
            subscriber.unsubscribe(now);
            self.left.push(subscriber);
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let all = self.left.iter().chain(&self.current);
        all.filter_map(Subscriber::next_timeout).chain(self.again).min()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.current.is_none() && self.left.iter().all(Subscriber::is_finished)
    }
}

impl Group {
    /// Subscribes to the conference, in a dialog of its own.
    pub(super) fn subscribe(&mut self, now: Instant) {
        let Some(errand) = self.errand() else { return self.do_without_watch(now) };
        self.watch.leave(now);
        let seconds = self.settings.group.subscribe.as_secs();
        let subscription = Subscription {
            errand,
            event: EventType::new(conference::EVENT),
            accept: vec![conference::CONTENT_TYPE.to_owned()],
            expires: u32::try_from(seconds).unwrap_or(u32::MAX),
            forks: Forks::Refuse,
            body: None,
        };
        let subscriber = Subscriber::subscribe(now, subscription, self.leg_kit());
        self.outputs.push_back(Output::Route(key_of(&subscriber)));
        // Another subscription begins with all of the state, and counts anew.
        self.watch.view = View::default();
        self.watch.is_told = false;
        self.watch.beyond.clear();
        self.watch.current = Some(subscriber);
    }

    /// Subscribes to a conference that is elsewhere now: at once, or after a pause where it moves again
    /// and again.
    pub(super) fn subscribe_in_time(&mut self, now: Instant) {
        if self.watch.hastens(now) {
            self.subscribe(now);
        } else {
            self.watch.again = Some(now + LATER);
        }
    }

    /// Takes what the subscriptions have for us; tells whether there was anything.
    pub(super) fn settle_watch(&mut self, now: Instant) -> bool {
        let (mut busy, mut events) = (false, Vec::new());
        let over = self.watch.left.extract_if(.., |subscriber| subscriber.is_finished());
        self.outputs.extend(over.map(|subscriber| Output::Unroute(key_of(&subscriber))));
        let left = self.watch.left.iter_mut().map(|subscriber| (subscriber, false));
        let current = self.watch.current.iter_mut().map(|subscriber| (subscriber, true));
        for (subscriber, counts) in left.chain(current) {
            while let Some(output) = subscriber.poll() {
                busy = true;
                match output {
                    UsageOutput::Send { bytes, hop } => {
                        self.outputs.push_back(Output::Sip { bytes, hop });
                    }
                    UsageOutput::Spare { hop, wait } => {
                        self.outputs.push_back(Output::Spare { hop, wait });
                    }
                    UsageOutput::Event(event) if counts => events.push(event),
                    // Who was left has nothing to say any more.
                    UsageOutput::Event(_) => {}
                }
            }
        }
        let is_told = events.iter().any(|it| matches!(it, SubscriberEvent::Notified { .. }));
        for event in events {
            self.watch_event(now, event);
        }
        if is_told && self.timers.probe.is_some() {
            self.probed(now, Probed::Unknown);
        }
        busy
    }

    /// Subscribes again where it is time.
    pub(super) fn watch_again(&mut self, now: Instant) {
        let is_due = self.watch.again.take_if(|at| *at <= now).is_some();
        if is_due && self.chat.state() == GroupState::Connected && self.leaving.is_none() {
            self.subscribe(now);
        }
    }

    fn watch_event(&mut self, now: Instant, event: SubscriberEvent) {
        match event {
            SubscriberEvent::Accepted { .. } => {}
            SubscriberEvent::Failed { retry_after: Some(wait), .. } => {
                self.watch_ended(now, WatchEnd::AskLater, Some(Again::After(wait)));
            }
            SubscriberEvent::Failed { .. } => self.watch_ended(now, WatchEnd::Refused, None),
            SubscriberEvent::Notified { body, .. } => self.notified(now, body),
            SubscriberEvent::Ended { why, .. } => {
                let end = WatchEnd::of(&why);
                self.watch_ended(now, end, Some(why.again()));
            }
        }
    }

    fn watch_ended(&mut self, now: Instant, end: WatchEnd, again: Option<Again>) {
        if let Some(subscriber) = self.watch.current.take() {
            self.watch.left.push(subscriber);
        }
        if self.timers.probe.is_some() {
            let is_gone = end == WatchEnd::NoConference;
            return self.probed(now, if is_gone { Probed::Gone } else { Probed::Unknown });
        }
        if self.chat.state() != GroupState::Connected {
            return;
        }
        self.take_beyond(now);
        // Who leaves, or was left, needs no other subscription.
        if self.leaving.is_some() {
            return;
        }
        match roster_outcomes::on(end).then {
            Then::Subscribe if self.watch.may_hasten(now) => self.subscribe(now),
            Then::Subscribe | Then::SubscribeLater => {
                let wait = match again {
                    Some(Again::After(wait)) => wait.clamp(SOONEST, self.settings.group.subscribe),
                    Some(Again::AtOnce | Again::Never) | None => LATER,
                };
                self.watch.again = Some(now + wait);
                if !self.watch.is_told {
                    self.do_without_watch(now);
                }
            }
            Then::DoWithout => self.do_without_watch(now),
            Then::AwaitBye => self.await_explanation(now, GroupEnd::Inactive),
        }
    }

    /// Takes a NOTIFY, which is answered already. What cannot be read changes nothing.
    fn notified(&mut self, now: Instant, body: Option<Body>) {
        let Some(body) = body else { return };
        let Ok(document) = Conference::parse(&body.bytes) else {
            return self.outputs.push_back(Output::Remark(UNREADABLE));
        };
        (self.watch.is_told, self.watch.is_missed) = (true, false);
        let mut merged = self.watch.view.merge(&document);
        if merged == Merged::Gap {
            if self.watch.beyond.len() < FRUITLESS {
                self.watch.beyond.push(document);
                if let Some(subscriber) = &mut self.watch.current {
                    subscriber.refresh(now);
                }
                return;
            }
            self.take_beyond(now);
            merged = self.watch.view.take(&document);
        }
        self.take_merged(now, &document, merged);
        self.take_what_waits(now);
    }

    /// Takes the changes that have waited for the one before them.
    fn take_what_waits(&mut self, now: Instant) {
        let mut waiting = std::mem::take(&mut self.watch.beyond);
        waiting.sort_by_key(|document| document.version);
        for document in waiting {
            match self.watch.view.merge(&document) {
                Merged::Gap => self.watch.beyond.push(document),
                merged @ (Merged::Stale | Merged::Over | Merged::Taken { .. }) => {
                    self.take_merged(now, &document, merged);
                }
            }
        }
    }

    /// Takes the changes beyond a gap that nobody has closed: nobody tells the whole.
    fn take_beyond(&mut self, now: Instant) {
        for document in std::mem::take(&mut self.watch.beyond) {
            let merged = self.watch.view.take(&document);
            self.take_merged(now, &document, merged);
        }
    }

    fn take_merged(&mut self, now: Instant, document: &Conference, merged: Merged) {
        match merged {
            Merged::Stale | Merged::Gap => {}
            Merged::Over => self.watch_ended(now, WatchEnd::NoConference, None),
            Merged::Taken { changed, gone } => {
                let is_whole = document.state == Extent::Full;
                if let Some(subject) = self.watch.view.subject.clone() {
                    self.rename(&subject);
                }
                self.take_state(now, (changed, gone), is_whole);
            }
        }
    }

    /// Takes who has come, changed and gone into the table of participants.
    fn take_state(
        &mut self,
        now: Instant,
        (changed, gone): (Vec<String>, Vec<User>),
        is_whole: bool,
    ) {
        for user in gone {
            self.note_seen(&user, Seen::NO_MORE);
        }
        for key in changed {
            let Some(user) = self.watch.view.user(&key) else { continue };
            if let Some(seen) = Seen::of(&user) {
                self.note_seen(&user, seen);
            }
        }
        if is_whole {
            self.drop_unlisted();
        }
        self.tell_participants(now);
    }

    /// Takes the subject that the focus gives the session; an empty one is none.
    pub(super) fn rename(&mut self, subject: &str) {
        let subject: String = one_line(subject.trim()).chars().take(MAX_SUBJECT).collect();
        if subject.is_empty() || subject == self.chat.subject() {
            return;
        }
        if let Some(draft) = &mut self.attempt.draft {
            draft.subject.clone_from(&subject);
        }
        self.chat.rename(subject);
    }

    fn note_seen(&mut self, user: &User, seen: Seen) {
        let identity = self.identity_in(user);
        let participants = self.chat.participants();
        let known = participants.of(&identity);
        let before = known.map(|known| known.status);
        // Our own dialog knows better whether we are in.
        if known.is_some_and(|known| known.your_own) && seen.status.is_some() && self.is_in() {
            let name = user.display_text.as_deref();
            let standing = Standing::Connected;
            return self.chat.participants_mut().note(&identity, standing, name);
        }
        if known.is_some_and(|known| known.your_own) {
            return;
        }
        let reports_all = self.settings.group.report_failed_invitees;
        let standing = match roster_outcomes::row_of(&seen, before).standing {
            None => return,
            Some(Standing::NeverCame) if reports_all => {
                Standing::Gone(crate::chat::Parting::Unexplained)
            }
            Some(standing) => standing,
        };
        let name = user.display_text.as_deref();
        self.chat.participants_mut().note(&identity, standing, name);
    }

    /// Whoever was there and is not in a document that names all is there no more.
    fn drop_unlisted(&mut self) {
        let listed: Vec<Identity> =
            self.watch.view.users().map(|user| self.identity_in(&user)).collect();
        let participants = self.chat.participants();
        let unlisted: Vec<Identity> = participants
            .identities()
            .filter(|identity| !listed.contains(identity))
            .filter(|identity| {
                participants
                    .of(identity)
                    .is_some_and(|it| it.status == ParticipantStatus::Connected && !it.your_own)
            })
            .cloned()
            .collect();
        for identity in unlisted {
            if let Some(standing) = roster_outcomes::row_of(&Seen::NO_MORE, None).standing {
                self.chat.participants_mut().note(&identity, standing, None);
            }
        }
    }

    /// Finds out who a user of a document is: ourselves, a user of the API, or somebody hidden.
    fn identity_in(&self, user: &User) -> Identity {
        if user.is_own {
            return self.identity_of(&self.user);
        }
        let bare = user.entity.split('?').next().unwrap_or_default();
        let address = Uri::parse(bare).ok().and_then(|uri| self.settings.realm.address(&uri));
        match address {
            Some(address) if address != Address::anonymous() => self.identity_of(&address),
            Some(_) | None => Identity::Hidden(user.entity.clone()),
        }
    }

    /// Tells whether nobody says who takes part, but the answers to REFERs and the messages.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.chat.state() == GroupState::Connected && !self.watch.stands()
    }

    /// Tells whether nobody has said who takes part, or nobody says so any more.
    pub(super) fn is_untold(&self) -> bool {
        !self.watch.is_told || self.is_degraded()
    }

    /// Shows the session.
    pub(super) fn describe(&self) -> Result<Answer, Refusal> {
        let is_degraded = self.is_degraded();
        let shown = self.chat.describe()?.map(|info| GroupInfo { is_degraded, ..info });
        Ok(shown.map_or(Answer::Apart, Answer::Group))
    }

    /// Whoever is heard is in, where nobody says who takes part: signalling by CPIM alone.
    pub(super) fn hear_from(&mut self, now: Instant, sender: &Party) {
        let focus = self.focus.as_ref().and_then(|focus| self.settings.realm.address(focus));
        let is_nobody =
            sender.address == Address::anonymous() || focus.as_ref() == Some(&sender.address);
        if is_nobody || self.is_own(&sender.address) || !self.is_degraded() {
            return;
        }
        let (identity, name) = (Identity::from(&sender.address), sender.name.as_deref());
        self.chat.participants_mut().note(&identity, Standing::Connected, name);
        self.tell_participants(now);
    }

    /// Tells of the participants who have come or gone.
    pub(super) fn tell_participants(&mut self, now: Instant) {
        if self.chat.state() == GroupState::Rejoining {
            // Who is not in hears of it once it is.
            return;
        }
        let participants: Vec<Participant> = self.chat.participants_mut().take_news();
        for gone in participants.iter().filter(|it| it.status == ParticipantStatus::Disconnected) {
            self.typists.gone(&gone.party.address);
        }
        self.watch_partner(now);
        if !participants.is_empty() && self.heard {
            self.tell(now, NoticeKind::ParticipantStatus { participants });
        }
    }

    /// Tells the 1-1 session that is extended to this one, once its other side has joined, declined
    /// or been lost (TS Chat 6.6.5).
    fn watch_partner(&mut self, _now: Instant) {
        let Some(extends) = &self.extends else { return };
        let partner = self.chat.participants().of(&Identity::from(&extends.partner.address));
        let status = partner.map_or(ParticipantStatus::Disconnected, |partner| partner.status);
        if self.chat.state() == GroupState::Connected && status != ParticipantStatus::Invited {
            self.settle_extension(Extension::Settled);
        }
    }

    pub(super) fn settle_extension(&mut self, news: Extension) {
        self.timers.extension = None;
        if let Some(Extended { session, .. }) = self.extends.take() {
            self.outputs.push_back(Output::Extension { of: session, news });
        }
    }

    /// Nobody says who takes part: all who were named to the focus count as invited.
    fn do_without_watch(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.watch.is_missed, true) {
            self.outputs.push_back(Output::Remark(DEGRADED));
        }
        if !self.refers_all {
            self.chat.participants_mut().confirm_all();
        }
        self.tell_participants(now);
    }
}

fn key_of(subscriber: &Subscriber) -> DialogKey {
    let (call_id, tag) = (subscriber.call_id().to_owned(), subscriber.local_tag().to_owned());
    DialogKey { call_id, tag }
}

/// Gives our tag in a message.
pub(super) fn tag_of(input: &UsageInput) -> Option<String> {
    match input {
        UsageInput::Message { message: Message::Request(request), .. } => request.to_tag(),
        UsageInput::Message { message: Message::Response(response), .. } => response.from_tag(),
        UsageInput::Timeout | UsageInput::TransportFailed { .. } => None,
    }
}

/// When a subscription is asked for again where nobody says when; and how often one is at once.
const LATER: Duration = Duration::from_secs(60);

/// When a subscription is asked for again at the earliest, whatever a focus says.
const SOONEST: Duration = Duration::from_secs(5);

/// How long a subject may be that is shown, in characters.
const MAX_SUBJECT: usize = 1024;

/// What an operator is told where the focus says what cannot be read.
const UNREADABLE: &str = "the state of the conference cannot be read, it is left as it was";

/// What an operator is told where nobody tells who takes part.
const DEGRADED: &str = "participants=degraded: known from answers to REFER and from messages only";
