//! How the two sides of a running conversation part.
//!
//! SIP and MSRP go different ways, and a BYE may overtake what was said before it. So nobody parts
//! before the messages sent last are answered, or have waited for [`Settings::leave_wait`]:
//!
//! ```text
//!   our user leaves ──▶ answers ──▶ BYE, SessionEnded
//!   the peer's BYE ───▶ answers ──▶ SessionEnded
//!   the server stops ─▶ answers ──▶ BYE, SessionEnded
//! ```
//!
//! [`Settings::leave_wait`]: crate::bridge::Settings::leave_wait

use std::time::Instant;

use super::Conversation;
use crate::bridge::description;
use crate::bridge::renewal::{Held, Renewable};
use crate::bridge::sip_outcomes::{self, LegEnd};
use crate::chat::{Ending, Refusal, Role, State};
use crate::sip::{LegEvent, Reason, Status};

impl Conversation {
    /// Leaves once the messages sent last are answered: a BYE would overtake them.
    pub(super) fn begin_leaving(&mut self, now: Instant) {
        if self.waits_to_stop() {
            // The last answers are awaited already.
            self.user_left = true;
            return;
        }
        let unavailable = Status::TEMPORARILY_UNAVAILABLE;
        if self.chat.state() != State::Connected || self.timers.leave.is_some() {
            return self.release_successor(now, unavailable);
        }
        let (successor, places) = self.successor();
        let held = successor.give_up(now, unavailable, places);
        if let Some(held @ Held::Leg(LegEvent::Ended { .. })) = held {
            return self.tell_held(now, held);
        }
        self.user_left = true;
        // What has ended it otherwise was not told, and the user has left before it was.
        if held.is_some() || self.line.msrp.is_idle() {
            self.leave(now);
        } else {
            self.timers.leave = Some(now + self.settings.leave_wait);
        }
    }

    /// Takes the peer's BYE, which may have overtaken the answers to the messages sent last: they
    /// get their time, lest a message that has arrived be told as failed.
    pub(super) fn begin_being_left(&mut self, now: Instant, reasons: &[description::Reason<'_>]) {
        let row = sip_outcomes::on(LegEnd::LeftByPeer);
        let Some(event) = row.outcome.event() else { return };
        let description = row.describe_end(reasons);
        if self.chat.state() == State::Connected && self.awaits_answers() {
            self.peer_left = Some(Ending { event, description });
            self.timers.leave.get_or_insert(now + self.settings.leave_wait);
        } else {
            self.end(now, event, description);
        }
    }

    /// Tells whether answers to messages may still come. Where there is no connection, none do.
    fn awaits_answers(&self) -> bool {
        let is_bound = self.timers.msrp.is_none() && self.timers.media.is_none();
        is_bound && !self.line.msrp.is_idle()
    }

    /// Parts: the last answers are there or given up. Either the peer has said goodbye, or we do.
    pub(super) fn part(&mut self, now: Instant) {
        self.timers.leave = None;
        match self.peer_left.take() {
            Some(Ending { event, description }) => self.end(now, event, description),
            None => self.leave(now),
        }
    }

    fn leave(&mut self, now: Instant) {
        if self.timers.relay.is_some() {
            // The peer has heard of no acceptance.
            let code = self.settings.decline_code;
            return self.refuse(now, code, LegEnd::DeclinedByUser);
        }
        if self.stopping && !self.user_left {
            self.hang_up(now, Reason::sip(480, "Temporarily Unavailable"));
            return self.end_by(now, LegEnd::ShuttingDown, &[]);
        }
        self.hang_up(now, Reason::sip(200, "Call completed"));
        self.end_by(now, LegEnd::LeftByUser, &[]);
    }

    /// The core that carries the session is lost: what is said of its end is for when it comes back.
    pub(super) fn core_lost(&mut self, now: Instant) {
        let end = LegEnd::CoreLost;
        self.release_successor(now, Status::SERVICE_UNAVAILABLE);
        match (self.chat.state(), self.chat.role()) {
            (State::Invited, Role::Originator) => {
                self.cancel = Some(end);
                if !self.is_between_invites() {
                    self.legs.current.cancel(now, None);
                }
                self.end_by(now, end, &[]);
            }
            (State::Invited, Role::Terminating) => {
                self.refuse(now, Status::SERVICE_UNAVAILABLE, end);
            }
            (State::Connected, _) if self.timers.relay.is_some() => {
                self.refuse(now, Status::SERVICE_UNAVAILABLE, end);
            }
            // Its end is known, and there is nobody to say it to.
            (State::Connected, _) if self.peer_left.is_some() => self.part(now),
            (State::Connected, _) => {
                self.hang_up(now, Reason::sip(480, "Bearer unavailable"));
                self.end_by(now, end, &[]);
            }
            (State::Cancelling | State::Ended, _) => {}
        }
    }

    /// The server stops: what was said last is given a while, all else is over.
    pub(super) fn stop(&mut self, now: Instant) {
        self.stopping = true;
        let end = LegEnd::ShuttingDown;
        self.release_successor(now, Status::SERVICE_UNAVAILABLE);
        match (self.chat.state(), self.chat.role()) {
            (State::Invited, Role::Originator) => {
                self.cancel = Some(end);
                if !self.is_between_invites() {
                    self.goodbye = true;
                    self.legs.current.cancel(now, None);
                }
                self.end_by(now, end, &[]);
            }
            (State::Cancelling, _) => {
                self.goodbye = true;
                self.end_by(now, end, &[]);
            }
            (State::Invited, Role::Terminating) => {
                // A 480 would tell the originator of a decline.
                self.refuse(now, Status::SERVICE_UNAVAILABLE, end);
            }
            (State::Connected, _) if self.timers.relay.is_some() && !self.user_left => {
                self.refuse(now, Status::SERVICE_UNAVAILABLE, end);
            }
            (State::Connected, _) if self.peer_left.is_some() => self.part(now),
            // Who is leaving leaves as it wanted to, only sooner.
            (State::Connected, _) if self.awaits_answers() => {
                let latest = now + self.settings.stop_wait;
                self.timers.leave = Some(self.timers.leave.map_or(latest, |at| at.min(latest)));
            }
            (State::Connected, _) => self.leave(now),
            (State::Ended, _) => {}
        }
        self.timers.forget = None;
    }

    /// Tells whether the session waits for the last answers because the server stops, and for nothing
    /// else: neither side has left it.
    pub(super) fn waits_to_stop(&self) -> bool {
        let has_left = self.user_left || self.peer_left.is_some();
        self.stopping && self.timers.leave.is_some() && !has_left
    }

    /// Says BYE, where there is somebody to say it to, and remembers that its answer is awaited.
    pub(super) fn hang_up(&mut self, now: Instant, reason: Reason) {
        self.goodbye = !self.legs.current.is_over();
        self.legs.current.bye(now, Some(reason));
    }

    /// A user who is leaving, or was left, says no more.
    pub(super) fn demand_staying(&self, act: &'static str) -> Result<(), Refusal> {
        match self.timers.leave {
            Some(_) if self.waits_to_stop() => Err(self.settings.stopping()),
            Some(_) => Err(Refusal::WrongState { act, state: State::Ended }),
            None => Ok(()),
        }
    }
}
