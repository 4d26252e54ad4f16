//! REFER: who is here has others invited, or sent away, one or many, within its call or outside of
//! it (RFC 4579 sections 5.5 and 5.11, RFC 5368).

use std::time::Instant;

use super::{Inbound, Item, Room, RoomOutput};
use crate::address::Address;
use crate::im_server::focus::Keys;
use crate::im_server::focus::guests::{self, Deed, Guest};
use crate::im_server::focus::policy::Denial;
use crate::sip::{NotifierEvent, Refer, ReferId, Referred, Status};

/// A REFER outside of any call, until its last word is told.
#[derive(Debug)]
pub(super) struct Referral {
    pub(super) referred: Referred,
    user: Address,
    keys: Keys,
}

/// Who wants to hear how an invitation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// By a REFER within the call of a seat.
    Within(u32, ReferId),
    /// By a REFER outside of any call.
    Outside(u32),
}

impl Room {
    /// Tells whether somebody may refer outside of any call, and there is a place for that: of those
    /// who may not, nothing is kept.
    pub(in crate::im_server::focus) fn check_referrer(&self, user: &Address) -> Result<(), Denial> {
        if self.is_over {
            return Err(Status::NOT_FOUND.into());
        }
        if !self.roster.is_connected(user) {
            return Err(Status::FORBIDDEN.into());
        }
        let own = self.referrals.values().filter(|referral| referral.user == *user).count();
        if own >= MAX_OWN_REFERRALS || self.referrals.len() >= MAX_REFERRALS {
            return Err(Denial::overload());
        }
        Ok(())
    }

    /// Takes a REFER outside of any call.
    pub(in crate::im_server::focus) fn refer(
        &mut self,
        now: Instant,
        inbound: Inbound,
        user: Address,
    ) {
        let kit = self.desk.kit();
        let caller = Keys::caller(&inbound.request, &inbound.source);
        let referred = Referred::answering(now, inbound.request, inbound.source, kit);
        let keys = Keys { caller, ..Keys::of_ours(referred.call_id(), referred.local_tag()) };
        let number = self.draw();
        let item = Item::Referral(number);
        self.outputs.push_back(RoomOutput::Enter(item, keys.clone()));
        self.referrals.insert(number, Referral { referred, user, keys });
        self.busy.push_back(item);
        self.settle(now);
    }

    pub(super) fn drain_referral(&mut self, now: Instant, number: u32) {
        while let Some(output) = self.referrals.get_mut(&number).and_then(|it| it.referred.poll()) {
            match self.send(output) {
                Some(NotifierEvent::Asked) => self.decide_referral(now, number),
                Some(
                    NotifierEvent::Refused(_) | NotifierEvent::Refreshed | NotifierEvent::Ended(_),
                )
                | None => {}
            }
        }
        let Some(referral) = self.referrals.get(&number) else { return };
        let item = Item::Referral(number);
        if referral.referred.is_finished() {
            self.schedule.cancel(&item);
            let keys = self.referrals.remove(&number).map(|referral| referral.keys);
            self.outputs.extend(keys.map(RoomOutput::Leave));
        } else {
            self.schedule.note(item, referral.referred.next_timeout());
        }
    }

    fn decide_referral(&mut self, now: Instant, number: u32) {
        let Some(referral) = self.referrals.get(&number) else { return };
        let Some(refer) = referral.referred.refer().cloned() else { return };
        let plan = self.plan(&referral.user, &refer);
        let Some(referral) = self.referrals.get_mut(&number) else { return };
        match plan {
            Ok(guests) => {
                referral.referred.accept(now);
                let asker = refer.is_watched.then_some(Asker::Outside(number));
                self.follow(now, guests, asker);
            }
            Err(status) => referral.referred.reject(now, status),
        }
    }

    /// Takes a REFER within the call of a seat.
    pub(super) fn handle_refer(&mut self, now: Instant, number: u32, id: ReferId, refer: &Refer) {
        let Some(seat) = self.seats.get(&number) else { return };
        let plan = self.plan(&seat.user, refer);
        let Some(seat) = self.seats.get_mut(&number) else { return };
        match plan {
            Ok(guests) => {
                seat.leg.answer_refer(now, id, Ok(()));
                let asker = refer.is_watched.then_some(Asker::Within(number, id));
                self.follow(now, guests, asker);
            }
            Err(status) => seat.leg.answer_refer(now, id, Err(status)),
        }
    }

    /// Reads whom a REFER of `asker` means, if it may mean them.
    fn plan(&self, asker: &Address, refer: &Refer) -> Result<Vec<Guest>, Status> {
        if self.is_over {
            return Err(Status::NOT_FOUND);
        }
        let policy = self.policy();
        let guests =
            guests::of_refer(&self.desk.names, refer, self.desk.settings.max_participants)?;
        for guest in &guests {
            policy.may_refer(asker, guest.deed, &guest.user)?;
        }
        let joining =
            |guest: &&Guest| guest.deed == Deed::Invite && !self.roster.is_present(&guest.user);
        let more = guests.iter().filter(joining).count();
        policy.has_room_for(more).map_err(|denial| denial.status)?;
        if let [only] = &guests[..]
            && only.deed == Deed::Remove
            && !self.roster.is_present(&only.user)
        {
            return Err(Status::NOT_FOUND);
        }
        Ok(guests)
    }

    /// Does what a REFER asks; `asker` hears how it goes.
    fn follow(&mut self, now: Instant, guests: Vec<Guest>, asker: Option<Asker>) {
        for guest in guests {
            let user = guest.user.clone();
            let is_here = self.roster.is_connected(&user);
            match guest.deed {
                Deed::Remove => {
                    if self.roster.is_present(&user) {
                        self.remove(now, &user);
                    }
                    self.report(now, asker, Status::OK);
                }
                Deed::Invite if is_here => self.report(now, asker, Status::OK),
                Deed::Invite => {
                    self.askers.entry(user).or_default().extend(asker);
                    self.ask_in(guest);
                }
            }
        }
    }

    /// Tells those who wanted somebody invited how that has ended.
    pub(super) fn settle_askers(&mut self, now: Instant, user: &Address, status: Status) {
        for asker in self.askers.remove(user).unwrap_or_default() {
            self.report(now, Some(asker), status);
        }
    }

    fn report(&mut self, now: Instant, asker: Option<Asker>, status: Status) {
        match asker {
            Some(Asker::Within(number, id)) => {
                if let Some(seat) = self.seats.get_mut(&number) {
                    seat.leg.report_refer(now, id, status);
                    self.busy.push_back(Item::Seat(number));
                }
            }
            Some(Asker::Outside(number)) => {
                if let Some(referral) = self.referrals.get_mut(&number) {
                    referral.referred.report(now, status);
                    self.busy.push_back(Item::Referral(number));
                }
            }
            None => {}
        }
    }
}

/// More REFERs at a time, each until its last word is told, than any honest room sees …
const MAX_REFERRALS: usize = 1024;

/// … and than any honest participant sends, be it one for each of all that may come.
const MAX_OWN_REFERRALS: usize = 256;
