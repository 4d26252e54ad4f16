//! The participation begun anew by the focus, on another dialog and another MSRP session.
//!
//! The user was in and stays in: no application is told, and what the focus has not answered, be it
//! a message or a REFER, is said again.

use std::time::Instant;

use super::{Group, Timers};
use crate::bridge::dealings::{Arrival, ConversationKit, Output};
use crate::bridge::group_outcomes::Asking;
use crate::bridge::line::Line;
use crate::bridge::renewal::{Renewal, Verdict};
use crate::bridge::succession::{Name, Names, SessionIds};
use crate::chat::{GroupState, SessionKind};
use crate::sip::{Message, Method, Status, Uri};

impl Group {
    /// Takes the INVITE that begins the participation anew.
    pub(super) fn renewed(&mut self, now: Instant, arrival: Arrival) {
        let leg_kit = self.leg_kit();
        let given = (arrival, self.may_be_named());
        let places = (&mut self.legs, &mut self.outputs);
        let judged = Renewal::judge(now, (&self.settings, leg_kit), given, places);
        let Some(renewal) = judged else { return };
        let mut kit = self.kit();
        let places = (&mut self.legs, &mut self.outputs);
        match self.successor.begin(now, renewal, &mut kit, places) {
            Some(ready) => self.take_over(now, ready),
            None => self.postpone_explanation(),
        }
    }

    /// Takes what has become of the INVITE that begins the participation anew; tells whether anything
    /// has.
    pub(super) fn settle_successor(&mut self, now: Instant) -> bool {
        let is_live = self.may_be_named();
        let places = (&mut self.legs, &mut self.outputs);
        match self.successor.settle(now, is_live, places) {
            Verdict::Waits => return false,
            Verdict::Ready(ready) => self.take_over(now, *ready),
            Verdict::Gone(held) => {
                if let Some(held) = held {
                    self.leg_event(now, held);
                }
            }
        }
        true
    }

    /// Refuses the INVITE that begins anew what is over.
    pub(super) fn drop_successor(&mut self, now: Instant, status: Status) {
        let places = (&mut self.legs, &mut self.outputs);
        drop(self.successor.give_up(now, status, places));
    }

    /// One who begins the participation anew explains why the one before has come to nothing.
    pub(super) fn postpone_explanation(&mut self) {
        if let (Some((at, _)), Some(until)) = (&mut self.timers.explanation, self.successor.until())
        {
            *at = until.max(*at);
        }
    }

    /// Goes on in the new dialog, and accepts it.
    fn take_over(&mut self, now: Instant, (renewal, next): (Renewal, Line)) {
        let places = (&mut self.legs, &mut self.line);
        let told = renewal.take_over(now, next, places, &mut self.outputs);
        // Whatever was waited for, it was for the connection before; the partner of a 1-1 session has
        // its time all the same.
        self.timers = Timers { extension: self.timers.extension, ..Timers::default() };
        self.msrp_closes = false;
        self.is_named = false;
        self.asking = Asking::Rejoining;
        for (name, value) in self.attempt.draft.iter_mut().flat_map(|it| &mut it.session_ids) {
            if let Some(id) = told.ids.get(name) {
                id.clone_into(value);
            }
        }
        self.find_focus(now, told.contact.map(|contact| contact.uri.without_headers()));
        self.answer_invitation(now);
        self.refer_again(now);
    }

    /// Follows the focus: the subscription to another URI is another one.
    pub(super) fn find_focus(&mut self, now: Instant, told: Option<Uri>) {
        if let Some(told) = told.filter(|told| self.focus.as_ref() != Some(told)) {
            self.focus = Some(told);
            self.watch.leave(now);
        }
    }

    /// Notes what a re-INVITE or an UPDATE of the focus may change: the target of the dialog, which is
    /// given, and the subject.
    pub(super) fn names_anew(&mut self, message: &Message) -> Option<Uri> {
        let Message::Request(request) = message else { return None };
        let is_of_dialog = request.to_tag().as_deref() == Some(self.legs.current.local_tag());
        let is_offer = matches!(request.method, Method::Invite | Method::Update);
        if !is_offer || !is_of_dialog || self.chat.state() != GroupState::Connected {
            return None;
        }
        self.new_subject = request.headers.get("Subject").map(str::to_owned);
        self.legs.current.remote_target().cloned()
    }

    /// Follows a focus that is elsewhere now, once its request is answered; `before` is where it was
    /// (RFC 3261 section 12.2.2). Who it is remains: what it says of that itself counts for nothing.
    pub(super) fn follow_focus(&mut self, now: Instant, before: Option<Uri>) {
        self.new_subject = None;
        let target = self.legs.current.remote_target().cloned();
        if before.is_none() || before == target || self.chat.state() != GroupState::Connected {
            return;
        }
        let known = self.focus.clone();
        self.find_focus(now, target.map(|target| target.without_headers()));
        if self.focus != known && self.leaving.is_none() {
            self.subscribe_in_time(now);
        }
    }

    /// Lets the names of the session be known as long as the user is in.
    pub(super) fn tell_names(&mut self) {
        let is_named = self.may_be_named();
        if std::mem::replace(&mut self.is_named, is_named) != is_named {
            let names = self.names().filter(|_| is_named).map(Box::new);
            self.outputs.push_back(Output::Names(names));
        }
    }

    /// Tells whether the user is in and nobody is about to leave.
    fn may_be_named(&self) -> bool {
        let is_quiet = self.leaving.is_none() && self.timers.relay.is_none();
        let is_in = self.chat.state() == GroupState::Connected && self.is_in();
        is_in && is_quiet && self.heard && !self.stopping
    }

    fn names(&self) -> Option<Names> {
        let party = self.party.clone()?;
        let ids = self.attempt.draft.as_ref().map(|draft| &draft.session_ids[..]);
        let (dialog, remote_tag) = self.legs.dialog();
        let mut all: Vec<Name> = SessionIds::among(ids.unwrap_or_default()).names().collect();
        all.push(Name::Dialog(dialog));
        Some(Names { kind: SessionKind::Group, party, remote_tag, all })
    }

    pub(super) fn kit(&mut self) -> ConversationKit {
        ConversationKit {
            settings: self.settings.clone(),
            access: self.access.clone(),
            anchor: self.anchor,
            random: self.random.fork(),
            next_hops: Vec::new(),
        }
    }
}
