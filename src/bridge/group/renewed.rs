//! The participation begun anew by the focus, on another dialog and another MSRP session.
//!
//! The user was in and stays in: no application is told, and what the focus has not answered, be it
//! a message or a REFER, is said again.

use std::time::Instant;

use super::invite::is_focus;
use super::{Group, Timers};
use crate::bridge::dealings::{ConversationKit, Output};
use crate::bridge::group_outcomes::Asking;
use crate::bridge::line::Line;
use crate::bridge::renewal::{Held, Places, Renewable, Renewal, Successor};
use crate::bridge::succession::{Name, Names, SessionIds};
use crate::chat::{GroupState, SessionKind};
use crate::sip::{Message, Method, Uri};

impl Renewable for Group {
    fn successor(&mut self) -> (&mut Successor, Places<'_>) {
        (&mut self.successor, (&mut self.legs, &mut self.outputs))
    }

    fn kit(&mut self) -> ConversationKit {
        ConversationKit {
            settings: self.settings.clone(),
            access: self.access.clone(),
            anchor: self.anchor,
            random: self.random.fork(),
            next_hops: Vec::new(),
        }
    }

    /// Tells whether the user is in and nobody is about to leave.
    fn is_live(&self) -> bool {
        let is_quiet = self.leaving.is_none() && self.timers.relay.is_none();
        let is_in = self.chat.state() == GroupState::Connected && self.is_in();
        is_in && is_quiet && self.heard && !self.stopping
    }

    fn postpone_explanation(&mut self) {
        let Some((at, _)) = &mut self.timers.explanation else { return };
        self.successor.postpone(at, &mut self.timers.patience);
    }

    fn tell_held(&mut self, now: Instant, held: Held) {
        match held {
            Held::Leg(event) => self.leg_event(now, event),
            Held::Media(end) => self.media_failed(now, end),
            Held::Relay(code) => self.way_missed(now, code),
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
        let contact = told.contact.map(|contact| contact.uri.without_headers());
        self.find_focus(now, contact.filter(|contact| self.is_of_group(contact)));
        self.answer_invitation(now);
        self.refer_again(now);
    }
}

impl Group {
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
        // All others may call themselves whatever they like where they are reached.
        let is_focus = request.contact().ok().flatten().as_ref().is_some_and(is_focus);
        self.legs.current.remote_target().filter(|_| is_focus).cloned()
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
        let target = target.map(|target| target.without_headers());
        self.find_focus(now, target.filter(|target| self.is_of_group(target)));
        if self.focus != known && self.leaving.is_none() {
            self.subscribe_in_time(now);
        }
    }

    /// Tells whether a URI is that of the group: by the name that our trust domain asserts of its focus,
    /// or by that under which it is known already, wherever that is now. The way back, and all that
    /// goes outside of the dialog, follows no other one than that with which the participation has
    /// begun: it goes in the user's name to where the user has never been asked to.
    pub(super) fn is_of_group(&self, uri: &Uri) -> bool {
        let address_of = |uri: &Uri| self.settings.realm.address(uri);
        let address = address_of(uri);
        let focus = self.focus.as_ref().and_then(address_of);
        address.is_some() && (address == self.party || address == focus)
    }

    /// Lets the names of the session be known as long as the user is in.
    pub(super) fn tell_names(&mut self) {
        let is_named = self.is_live();
        if std::mem::replace(&mut self.is_named, is_named) != is_named {
            let names = self.names().filter(|_| is_named).map(Box::new);
            self.outputs.push_back(Output::Names(names));
        }
    }

    fn names(&self) -> Option<Names> {
        let party = self.party.clone()?;
        let ids = self.attempt.draft.as_ref().map(|draft| &draft.session_ids[..]);
        let (dialog, remote_tag) = self.legs.dialog();
        let mut all: Vec<Name> = SessionIds::among(ids.unwrap_or_default()).names().collect();
        all.push(Name::Dialog(dialog));
        Some(Names { kind: SessionKind::Group, party, remote_tag, all })
    }
}
