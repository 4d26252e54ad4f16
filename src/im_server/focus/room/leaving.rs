//! Going: of one's own accord, by order, by accident; and the end of the room.

use std::time::Instant;

use super::{Item, Room};
use crate::address::Address;
use crate::im_server::focus::roster::Standing;
use crate::im_server::focus::seat::Seat;
use crate::payload::conference::Disconnection;
use crate::sip::{Reason, Response, Status};

impl Room {
    /// Takes the BYE of somebody. Only who says that all is done has left for good; all others have
    /// been cut off, and may come back (RFC 3326).
    pub(super) fn see_off(&mut self, now: Instant, number: u32, reasons: Vec<Reason>) {
        let cut_off = reasons.into_iter().find(|reason| {
            reason.protocol.eq_ignore_ascii_case("SIP") && reason.cause.is_some_and(|it| it != 200)
        });
        let how = match cut_off {
            Some(reason) => (Disconnection::Failed, Some(reason)),
            None => (Disconnection::Departed, None),
        };
        self.forget_call(now, number, how, Status::OK);
    }

    /// Takes the refusal of an invitation.
    pub(super) fn note_refusal(&mut self, now: Instant, number: u32, response: &Response) {
        let status = response.status;
        let reason = Reason::sip(status.code(), &response.reason);
        let how = match status {
            Status::BUSY_HERE | Status::BUSY_EVERYWHERE => Disconnection::Busy,
            _ => Disconnection::Failed,
        };
        self.forget_call(now, number, (how, Some(reason)), status);
    }

    /// Takes the news that an invitation has come to nobody.
    pub(super) fn note_silence(&mut self, now: Instant, number: u32) {
        let reason = Reason::sip(408, "Request Timeout");
        let status = Status::REQUEST_TIMEOUT;
        self.forget_call(now, number, (Disconnection::Failed, Some(reason)), status);
    }

    /// Takes the loss of a call, which ends itself.
    pub(super) fn note_loss(&mut self, now: Instant, number: u32) {
        let reason = Reason::sip(480, "Bearer unavailable");
        let status = Status::TEMPORARILY_UNAVAILABLE;
        self.forget_call(now, number, (Disconnection::Failed, Some(reason)), status);
    }

    /// Takes an invitation back that has rung long enough.
    pub(super) fn give_up_invitation(&mut self, now: Instant, number: u32) {
        let reason = Reason::sip(408, "Request Timeout");
        self.dismiss(now, number, (Disconnection::Failed, Some(reason)), None);
    }

    /// Sends somebody away, for good.
    pub(super) fn remove(&mut self, now: Instant, user: &Address) {
        self.roster.set_banned(user, true);
        let reason = Reason::sip(403, "Removed from the chat");
        match self.seat_of.get(user) {
            Some(number) => {
                let number = *number;
                self.dismiss(now, number, (Disconnection::Booted, None), Some(reason));
            }
            // It was still waiting for its invitation.
            None => self.lose(now, user, Disconnection::Booted, None),
        }
        self.dismiss_watcher(now, user);
        self.settle_askers(now, user, Status::REQUEST_TERMINATED);
    }

    /// Ends the call of somebody, and says why to it and to the others.
    pub(super) fn dismiss(
        &mut self,
        now: Instant,
        number: u32,
        how: (Disconnection, Option<Reason>),
        goodbye: Option<Reason>,
    ) {
        if let Some(seat) = self.seats.get_mut(&number).filter(|seat| !seat.is_parting()) {
            self.inviting -= usize::from(seat.is_inviting());
            let user = seat.user.clone();
            seat.hang_up(now, goodbye);
            self.serve_no_more(now, number);
            self.busy.push_back(Item::Seat(number));
            self.vacate(now, number, &user, how, Status::REQUEST_TIMEOUT);
        }
    }

    /// Takes note of a call that is over.
    fn forget_call(
        &mut self,
        now: Instant,
        number: u32,
        how: (Disconnection, Option<Reason>),
        status: Status,
    ) {
        if let Some(seat) = self.seats.get_mut(&number).filter(|seat| !seat.is_parting()) {
            self.inviting -= usize::from(seat.is_inviting());
            let user = seat.user.clone();
            seat.part(now);
            self.serve_no_more(now, number);
            self.busy.push_back(Item::Seat(number));
            self.vacate(now, number, &user, how, status);
        }
    }

    /// Gives the place of somebody free, unless it has another one already.
    fn vacate(
        &mut self,
        now: Instant,
        number: u32,
        user: &Address,
        (how, why): (Disconnection, Option<Reason>),
        status: Status,
    ) {
        if self.seat_of.get(user) == Some(&number) {
            self.seat_of.remove(user);
            self.lose(now, user, how, why);
            self.settle_askers(now, user, status);
        }
    }

    /// Ends the call that somebody has had before, without a word to the others.
    pub(super) fn leave_seat(&mut self, now: Instant, user: &Address, reason: Option<&Reason>) {
        let Some(number) = self.seat_of.remove(user) else { return };
        if let Some(seat) = self.seats.get_mut(&number).filter(|seat| !seat.is_parting()) {
            self.inviting -= usize::from(seat.is_inviting());
            seat.hang_up(now, reason.cloned());
            self.serve_no_more(now, number);
            self.busy.push_back(Item::Seat(number));
        }
    }

    /// Notes that somebody is not here any more, or will not come.
    pub(super) fn lose(
        &mut self,
        now: Instant,
        user: &Address,
        how: Disconnection,
        why: Option<Reason>,
    ) {
        let was_here = self.roster.is_connected(user);
        let entity = self.desk.entity(user);
        self.roster.set(user, || entity, Standing::Gone(how, why));
        self.has_shrunk = true;
        let ends = self.desk.settings.ends_with_originator();
        if ends && was_here && *user == self.originator {
            self.end(now, Some(gone()));
        }
    }

    /// Ends the room if too few are left.
    pub(super) fn look_over(&mut self, now: Instant) {
        if std::mem::take(&mut self.has_shrunk) && !self.is_over && self.policy().is_deserted() {
            self.end(now, Some(gone()));
        }
    }

    /// Ends the room: tells what is news, ends every call for `reason`, and tells all who watch
    /// that there is nothing to see any more.
    pub(in crate::im_server::focus) fn end(&mut self, now: Instant, reason: Option<Reason>) {
        if self.is_over {
            return;
        }
        // Who is gone is told before that all is over.
        self.tell_news(now);
        for number in self.watchers.keys().copied().collect::<Vec<_>>() {
            self.drain_watcher(now, number);
        }
        for user in self.askers.keys().cloned().collect::<Vec<_>>() {
            self.settle_askers(now, &user, Status::GONE);
        }
        self.is_over = true;
        self.idle_at = None;
        self.waiting.clear();
        let parting = self.seats.values_mut().filter(|seat| !seat.is_parting());
        parting.for_each(|seat: &mut Seat| seat.hang_up(now, reason.clone()));
        self.inviting = 0;
        self.seat_of.clear();
        self.unserved.clear();
        self.dismiss_watchers(now);
        self.wake_all();
    }
}

/// Says that too few are left, or that the room is no more: nobody is to come back (signalling of
/// deployed cores, RFC 3326).
fn gone() -> Reason {
    Reason::sip(410, "Gone")
}
