//! The extension of a 1-1 session to a group (TS Chat 6.6.5).
//!
//! The group is a session of its own. The 1-1 session points to it from the order on, and goes on
//! until its other side has joined the group, has declined, or has not reacted:
//!
//! ```text
//!   Extend ──▶ points to the group ──Settled──▶ BYE, SessionEnded; the URL still points there
//!                       └─Failed──▶ as before
//! ```
//! Where the other side extends the session, the group is an invitation to its user, and
//! [`Extension::Joined`] tells that it was accepted: the session points there, and is over.

use std::time::Instant;

use super::Conversation;
use crate::bridge::sip_outcomes::{self, LegEnd};
use crate::chat::{Answer, Extended, Extension, Refusal, State};
use crate::ids::SessionId;
use crate::sip::Reason;

impl Conversation {
    /// Points to a group from now on, and tells what the group needs to know.
    pub(super) fn extend(&mut self, to: SessionId) -> Result<Answer, Refusal> {
        const ACT: &str = "extending to a group";
        self.chat.demand_connected(ACT)?;
        self.demand_staying(ACT)?;
        if self.moved.is_some() {
            let why = "the session is extended already";
            return Err(Refusal::NotNow { act: ACT, why });
        }
        self.moved = Some(to);
        Ok(Answer::Extending(Extended {
            session: self.id.clone(),
            subject: self.chat.info().subject.clone(),
            own: self.chat.own().clone(),
            partner: self.chat.other().clone(),
            contribution: self.ids.contribution.clone(),
        }))
    }

    /// Shows the session, or where it has gone.
    pub(super) fn describe(&self) -> Result<Answer, Refusal> {
        match &self.moved {
            Some(to) => Ok(Answer::MovedTo(to.clone())),
            None => self.chat.describe().map(Answer::Session),
        }
    }

    /// Takes what has become of the group.
    pub(super) fn extended(&mut self, now: Instant, news: Extension) {
        let is_here = self.chat.state() == State::Connected;
        match news {
            Extension::Failed => self.moved = None,
            Extension::Settled if is_here => self.end_extended(now),
            Extension::Joined { group } if is_here => {
                self.moved = Some(group);
                self.end_extended(now);
            }
            Extension::Settled | Extension::Joined { .. } => {}
        }
    }

    /// Says goodbye to the other side, which is in the group or does not want to be.
    fn end_extended(&mut self, now: Instant) {
        let Some(to) = &self.moved else { return };
        let row = sip_outcomes::on(LegEnd::Extended);
        let description = format!("{} {to}", row.describe_end(&[]));
        // Who is about to go anyway, or was left, is told where to.
        if self.peer_left.take().is_none() {
            self.hang_up(now, Reason::sip(200, "Call completed"));
        }
        if let Some(event) = row.outcome.event() {
            self.end(now, event, description);
        }
    }
}
