//! The session begun anew by its other side, on another dialog and another MSRP session.
//!
//! ```text
//!   INVITE, the same id ──▶ 200, MSRP: what was not answered is sent again ──▶ old dialog: BYE
//! ```
//! The user's applications are told nothing: the session is the same, and so is what they know of its
//! messages.

use std::time::Instant;

use super::{Conversation, Output, Timers};
use crate::address::Address;
use crate::bridge::dealings::{Arrival, ConversationKit};
use crate::bridge::renewal::Renewal;
use crate::bridge::succession::{Name, Names};
use crate::chat::{SessionKind, State};

impl Conversation {
    /// Takes the INVITE that begins the session anew.
    pub(super) fn renewed(&mut self, now: Instant, arrival: Arrival) {
        let kit = self.access.kit(&self.settings, self.random.fork());
        let given = (arrival, self.may_be_named());
        let places = (&mut self.legs, &mut self.outputs);
        let judged = Renewal::judge(now, (&self.settings, kit), given, places);
        let Some(Renewal { leg, peer, bearer, ids, first_message, .. }) = judged else { return };
        self.legs.renew(now, leg);
        self.outputs.push_back(self.legs.route());
        let mut kit = self.kit();
        self.line.renew(now, &mut kit, bearer);
        self.line.peer = peer;
        self.outputs.push_back(Output::MsrpClose);
        self.outputs.push_back(Output::MsrpRoute(self.line.session_id().to_owned()));
        // Whatever was waited for, it was for the connection before.
        self.timers = Timers::default();
        self.msrp_closes = false;
        self.is_called = true;
        self.is_named = false;
        self.ids.update(ids);
        self.first_message = first_message;
        self.accept(now);
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
