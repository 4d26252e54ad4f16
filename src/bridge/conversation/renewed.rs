//! The session begun anew by its other side, on another dialog and another MSRP session.
//!
//! ```text
//!   INVITE, the same id ──▶ 200, MSRP: what was not answered is sent again ──▶ old dialog: BYE
//! ```
//! Through our relays, that waits until they have let the new MSRP session in. The user's applications are told nothing: the session is the same, and so is what they know of its
//! messages.

use std::time::Instant;

use super::{Conversation, Output, Timers};
use crate::address::Address;
use crate::bridge::dealings::{Arrival, ConversationKit};
use crate::bridge::line::Line;
use crate::bridge::renewal::{Renewal, Verdict};
use crate::bridge::succession::{Name, Names};
use crate::chat::{SessionKind, State};
use crate::sip::Status;

impl Conversation {
    /// Takes the INVITE that begins the session anew.
    pub(super) fn renewed(&mut self, now: Instant, arrival: Arrival) {
        let leg_kit = self.access.kit(&self.settings, self.random.fork());
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

    /// Takes what has become of the INVITE that begins the session anew; tells whether anything has.
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

    /// One who begins the session anew explains why the connection is lost.
    pub(super) fn postpone_explanation(&mut self) {
        if let (Some(at), Some(until)) = (&mut self.timers.media, self.successor.until()) {
            *at = until.max(*at);
        }
    }

    /// Goes on in the new dialog, and accepts it.
    fn take_over(&mut self, now: Instant, (renewal, next): (Renewal, Line)) {
        let places = (&mut self.legs, &mut self.line);
        let told = renewal.take_over(now, next, places, &mut self.outputs);
        // Whatever was waited for, it was for the connection before.
        self.timers = Timers::default();
        self.msrp_closes = false;
        self.is_called = true;
        self.is_named = false;
        self.ids.update(told.ids);
        self.first_message = told.first_message;
        self.answer_invitation(now);
    }

    /// Lets the names of the session be known as long as it runs.
    pub(super) fn tell_names(&mut self) {
        let is_named = self.may_be_named();
        if std::mem::replace(&mut self.is_named, is_named) != is_named {
            let names = is_named.then(|| Box::new(self.names()));
            self.outputs.push_back(Output::Names(names));
        }
    }

    /// Tells whether the session runs, with somebody who has a name, and nobody is about to leave.
    fn may_be_named(&self) -> bool {
        let is_quiet = self.timers.leave.is_none() && self.timers.relay.is_none();
        let is_running = self.chat.state() == State::Connected && is_quiet && !self.stopping;
        is_running && self.heard && self.chat.other().address != Address::anonymous()
    }

    fn names(&self) -> Names {
        let (dialog, remote_tag) = self.legs.dialog();
        let mut all: Vec<Name> = self.ids.names().collect();
        all.push(Name::Dialog(dialog));
        let party = self.chat.other().address.clone();
        Names { kind: SessionKind::Pair, party, remote_tag, all }
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
}
