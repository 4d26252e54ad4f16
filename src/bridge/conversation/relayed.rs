//! The way through our relays (RFC 4976 section 5.1). What a description of ours says is not known
//! before they have let the session in, so that SIP waits for them:
//!
//! ```text
//!   our user invites ──▶ AUTH … Use-Path ──▶ INVITE
//!   our user accepts ──▶ AUTH … Use-Path ──▶ 200
//! ```
//! The wait has a deadline, [`MsrpRelay::timeout`]; without a way the session ends, and its user is
//! told why. The way is renewed by the MSRP session; where it becomes another one, the peer is
//! offered it.
//!
//! [`MsrpRelay::timeout`]: crate::bridge::MsrpRelay::timeout

use std::time::Instant;

use super::Conversation;
use crate::bridge::description;
use crate::bridge::renewal::Held;
use crate::bridge::sip_outcomes::{self, LegEnd};
use crate::chat::{Role, State};
use crate::msrp::Broken;
use crate::sip::{Reason, Status};

impl Conversation {
    /// Tells whether all MSRP of the session goes through relays of ours: we connect, and nobody
    /// connects to us.
    #[must_use]
    pub fn is_relayed(&self) -> bool {
        self.line.is_relayed()
    }

    /// Asks our relays to let the session in; tells whether there are any to wait for.
    pub(super) fn seek_way(&mut self, now: Instant) -> bool {
        let Some(wait) = self.line.seek_way(now) else { return false };
        self.timers.relay = Some(now + wait);
        true
    }

    /// Goes on with what has waited for the way, or tells the peer of another one.
    pub(super) fn way_found(&mut self, now: Instant) {
        let is_awaited = self.timers.relay.take().is_some();
        match (self.chat.state(), self.chat.role()) {
            (State::Invited, Role::Originator) if is_awaited => {
                self.timers.invitation = Some(now + self.settings.invitation_timeout);
                self.call_again(now, None);
            }
            (State::Connected, _) if is_awaited => self.answer_invitation(now),
            (State::Connected, _) => {
                let offer = self.line.offer();
                self.legs.current.offer(now, offer);
            }
            (State::Invited | State::Cancelling | State::Ended, _) => {}
        }
    }

    /// Ends a session that our relays do not let in.
    pub(super) fn way_missed(&mut self, now: Instant, code: u16) {
        self.timers.relay = None;
        if self.legs.is_called() {
            self.legs.current.reject(now, Status::SERVER_INTERNAL_ERROR, Vec::new());
        }
        self.end_without_relay(now, code);
    }

    /// Takes it that the relays are gone or refuse us, as far as that is another matter than the end
    /// of any MSRP session; tells whether it is.
    pub(super) fn relay_broken(&mut self, now: Instant, broken: &Broken) -> bool {
        let code = match broken {
            Broken::Relay { code } | Broken::Refused { code } => *code,
            Broken::ConnectFailed | Broken::Lost | Broken::BindTimeout | Broken::PeerMisbehaved => {
                408
            }
        };
        if self.timers.relay.is_some() {
            self.way_missed(now, code);
            return true;
        }
        match (self.chat.state(), broken) {
            // The way that is offered leads nowhere.
            (State::Invited, _) => {
                self.cancel = Some(LegEnd::RelayFailed);
                if !self.is_between_invites() {
                    self.legs.current.cancel(now, None);
                }
                self.end_without_relay(now, code);
                true
            }
            (State::Connected, Broken::Relay { .. }) if self.timers.leave.is_none() => {
                self.relay_failed(now, code);
                true
            }
            (State::Connected | State::Cancelling | State::Ended, _) => false,
        }
    }

    /// Ends a running session that our relays carry no more.
    pub(super) fn relay_failed(&mut self, now: Instant, code: u16) {
        if !self.successor.keep(Held::Relay(code)) {
            self.hang_up(now, Reason::sip(480, "Bearer unavailable"));
            self.end_without_relay(now, code);
        }
    }

    /// Tells whether no INVITE of ours is on the wire, so that nobody has to be told of its end.
    pub(super) fn is_between_invites(&self) -> bool {
        self.timers.retry.is_some() || self.timers.relay.is_some()
    }

    fn end_without_relay(&mut self, now: Instant, code: u16) {
        let row = sip_outcomes::on(LegEnd::RelayFailed);
        if let Some(event) = row.outcome.event() {
            let words = row.describe_end(&[]);
            self.end(now, event, format!("{words}; {}", description::msrp(code, None)));
        }
    }
}
