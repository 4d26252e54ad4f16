//! The session begun anew by its other side, on another dialog and another MSRP session.
//!
//! ```text
//!   INVITE, the same id ──▶ 200, MSRP: what was not answered is sent again ──▶ old dialog: BYE
//! ```
//! Through our relays, that waits until they have let the new MSRP session in. The user's applications
//! are told nothing: the session is the same, and so is what they know of its messages.

use std::time::Instant;

use super::{Conversation, Output, Timers};
use crate::bridge::dealings::ConversationKit;
use crate::bridge::line::Line;
use crate::bridge::renewal::{Held, Places, Renewable, Renewal, Successor};
use crate::bridge::succession::{Name, Names};
use crate::chat::{SessionKind, State};

impl Renewable for Conversation {
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

    /// Tells whether the session runs, with somebody who has a name, and nobody is about to leave.
    fn is_live(&self) -> bool {
        let is_quiet = self.timers.leave.is_none() && self.timers.relay.is_none();
        let is_running = self.chat.state() == State::Connected && is_quiet && !self.stopping;
        is_running && self.heard && !self.chat.other().address.is_anonymous()
    }

    fn postpone_explanation(&mut self) {
        let Some(at) = &mut self.timers.media else { return };
        self.successor.postpone(at, &mut self.timers.patience);
    }

    fn tell_held(&mut self, now: Instant, held: Held) {
        match held {
            Held::Leg(event) => self.leg_event(now, event),
            Held::Media(end) => self.media_failed(now, end),
            Held::Relay(code) => self.relay_failed(now, code),
        }
    }

    /// Goes on in the new dialog, and accepts it.
    fn take_over(&mut self, now: Instant, (renewal, next): (Renewal, Line)) {
        let places = (&mut self.legs, &mut self.line);
        let told = renewal.take_over(now, next, places, &mut self.outputs);
        // Whatever was waited for, it was for the connection before.
        self.timers = Timers::default();
        self.msrp_closes = false;
        self.is_named = false;
        self.ids.update(told.ids);
        self.first_message = told.first_message;
        self.answer_invitation(now);
    }
}

impl Conversation {
    /// Lets the names of the session be known as long as it runs.
    pub(super) fn tell_names(&mut self) {
        let is_named = self.is_live();
        if std::mem::replace(&mut self.is_named, is_named) != is_named {
            let names = is_named.then(|| Box::new(self.names()));
            self.outputs.push_back(Output::Names(names));
        }
    }

    fn names(&self) -> Names {
        let (dialog, remote_tag) = self.legs.dialog();
        let mut all: Vec<Name> = self.ids.names().collect();
        all.push(Name::Dialog(dialog));
        let party = self.chat.other().address.clone();
        Names { kind: SessionKind::Pair, party, remote_tag, all }
    }
}
