//! A room: who is in it, their calls and MSRP sessions, who watches it, and what is asked of it.
//!
//! ```text
//!   factory, or its name            last one goes, too few are left, idle, originator's policy
//!        │ join()                        │
//!        ▼                               ▼
//!   ┌────────┐ join, invite, refer  ┌────────┐ every call is ended, every watcher told:
//!   │  Open  │ leave, remove, talk  │  Over  │ terminated;reason=noresource
//!   └────────┴─────────────────────▶└────────┘
//! ```
//! `entering` lets people in and invites them, `leaving` sees them off, `talking` passes their
//! messages on, `referring` does what they ask by REFER, `watching` tells who is here. Whatever
//! happens, [`Room::settle`] follows: it carries on until nothing is left to do at that time.

mod entering;
mod leaving;
mod referring;
mod talking;
mod watching;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::guests::Guest;
use super::name::Names;
use super::policy::Policy;
use super::roster::Roster;
use super::schedule::Schedule;
use super::seat::{Seat, SeatOutput};
use super::{FocusSettings, Keys, MediaOutput};
use crate::address::Address;
use crate::ids::Random;
use crate::msrp;
use crate::sip::{Body, Hop, Kit, LegEvent, Local, Message, Request, Uri, UsageInput, UsageOutput};
use referring::{Asker, Referral};
use talking::Unserved;
use watching::Watcher;

pub(super) use entering::Entrance;

/// How a room has come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It was begun at the factory.
    AdHoc,
    /// Somebody has called its name.
    Named,
}

/// A part of a room that messages are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    Seat(u32),
    Watcher(u32),
    Referral(u32),
}

/// What a room wishes.
#[derive(Debug)]
pub(super) enum RoomOutput {
    /// Bytes to put on the wire.
    Sip { bytes: Bytes, hop: Hop },
    /// Something to do for the MSRP session of a seat.
    Media(u32, MediaOutput),
    /// Messages of these dialogs are for that part.
    Enter(Item, Keys),
    /// That part is no more.
    Leave(Keys),
}

/// What every part of a room writes with.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) settings: Arc<FocusSettings>,
    pub(super) names: Arc<Names>,
    pub(super) uri: Uri,
    /// The user part of the URI.
    pub(super) user: String,
    pub(super) local: Arc<Local>,
    pub(super) random: Random,
}

impl Desk {
    /// Makes what a call or a subscription writes with.
    fn kit(&mut self) -> Kit {
        let (local, timers) = (Arc::clone(&self.local), self.settings.timers);
        Kit { local, timers, random: self.random.fork() }
    }

    fn entity(&self, user: &Address) -> String {
        self.names.uri(user).map_or_else(|| user.key().to_owned(), |uri| uri.to_string())
    }
}

/// A room.
#[derive(Debug)]
pub(super) struct Room {
    desk: Desk,
    kind: Kind,
    is_over: bool,
    originator: Address,
    /// What every INVITE says of the session.
    topic: Vec<(String, String)>,
    roster: Roster,
    seats: BTreeMap<u32, Seat>,
    /// The seat of each who is here or being invited.
    seat_of: BTreeMap<Address, u32>,
    /// Who is to be invited when there is a place for another INVITE.
    waiting: VecDeque<Guest>,
    /// How many INVITEs are under way.
    inviting: usize,
    watchers: BTreeMap<u32, Watcher>,
    referrals: BTreeMap<u32, Referral>,
    /// Who wants to hear how somebody's invitation ends.
    askers: BTreeMap<Address, Vec<Asker>>,
    /// The number of the next part, and of the next message.
    next: u32,
    messages: u64,
    /// Messages whose senders wait for all others to have them, by number.
    unserved: BTreeMap<u64, Unserved>,
    /// Somebody has gone since the room was looked over.
    has_shrunk: bool,
    idle_at: Option<Instant>,
    schedule: Schedule<Item>,
    /// The parts that have something to say.
    busy: VecDeque<Item>,
    /// The seats of which only the MSRP session has.
    called: VecDeque<u32>,
    outputs: VecDeque<RoomOutput>,
}

impl Room {
    pub(super) fn new(
        now: Instant,
        desk: Desk,
        (kind, originator): (Kind, Address),
        topic: Vec<(String, String)>,
    ) -> Self {
        let mut room = Self {
            desk,
            kind,
            is_over: false,
            originator,
            topic,
            roster: Roster::default(),
            seats: BTreeMap::new(),
            seat_of: BTreeMap::new(),
            waiting: VecDeque::new(),
            inviting: 0,
            watchers: BTreeMap::new(),
            referrals: BTreeMap::new(),
            askers: BTreeMap::new(),
            next: 0,
            messages: 0,
            unserved: BTreeMap::new(),
            has_shrunk: false,
            idle_at: None,
            schedule: Schedule::default(),
            busy: VecDeque::new(),
            called: VecDeque::new(),
            outputs: VecDeque::new(),
        };
        room.be_lively(now);
        room
    }

    /// Takes a message of a dialog of one part.
    pub(super) fn handle_sip(&mut self, now: Instant, item: Item, message: Message, source: Hop) {
        match item {
            Item::Seat(number) => {
                if let Some(seat) = self.seats.get_mut(&number) {
                    seat.handle(now, message, source);
                }
            }
            Item::Watcher(number) => {
                if let Some(watcher) = self.watchers.get_mut(&number) {
                    watcher.notifier.handle(now, UsageInput::Message { message, source });
                }
            }
            Item::Referral(number) => {
                if let Some(referral) = self.referrals.get_mut(&number) {
                    referral.referred.handle(now, UsageInput::Message { message, source });
                }
            }
        }
        self.busy.push_back(item);
        self.settle(now);
    }

    /// Takes the news that a hop cannot be reached.
    pub(super) fn handle_failure(&mut self, now: Instant, hop: &Hop) {
        self.seats.values_mut().for_each(|seat| seat.handle_failure(now, hop));
        let failed = || UsageInput::TransportFailed { hop: hop.clone() };
        self.watchers.values_mut().for_each(|one| one.notifier.handle(now, failed()));
        self.referrals.values_mut().for_each(|one| one.referred.handle(now, failed()));
        self.wake_all();
        self.settle(now);
    }

    /// Takes what has happened on the MSRP session of a seat, in order.
    pub(super) fn handle_media(&mut self, now: Instant, number: u32, inputs: Vec<msrp::Input>) {
        for input in inputs {
            let Some(seat) = self.seats.get_mut(&number) else { break };
            seat.media.handle(now, input);
            // A message is judged before the next one is read; those who are sent it wait until all
            // are, so that what goes to one of them goes together.
            self.serve_media(now, number);
        }
        self.settle(now);
    }

    /// Serves all that is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(item) = self.schedule.pop_due(now) {
            match item {
                Item::Seat(number) => {
                    let seat = self.seats.get_mut(&number);
                    if seat.is_some_and(|seat| seat.handle_timeout(now)) {
                        self.give_up_invitation(now, number);
                    }
                }
                Item::Watcher(number) => {
                    if let Some(watcher) = self.watchers.get_mut(&number) {
                        watcher.notifier.handle(now, UsageInput::Timeout);
                    }
                }
                Item::Referral(number) => {
                    if let Some(referral) = self.referrals.get_mut(&number) {
                        referral.referred.handle(now, UsageInput::Timeout);
                    }
                }
            }
            self.busy.push_back(item);
        }
        self.end_service(now);
        if self.idle_at.is_some_and(|at| at <= now) {
            self.end(now, None);
        }
        self.settle(now);
    }

    pub(super) fn poll(&mut self) -> Option<RoomOutput> {
        self.outputs.pop_front()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let others = self.idle_at.into_iter().chain(self.end_of_service());
        self.schedule.next().into_iter().chain(others).min()
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Tells whether nothing is left of it but that it has been.
    pub(super) fn is_finished(&self) -> bool {
        self.is_over
            && self.seats.is_empty()
            && self.watchers.is_empty()
            && self.referrals.is_empty()
    }

    /// Gives the user part of its URI.
    pub(super) fn user(&self) -> &str {
        &self.desk.user
    }

    /// Gives who has begun it.
    pub(super) fn originator(&self) -> &Address {
        &self.originator
    }

    /// Does all there is to do now: what the parts say, what is news, who is next.
    fn settle(&mut self, now: Instant) {
        loop {
            while let Some(item) = self.busy.pop_front() {
                match item {
                    Item::Seat(number) => self.drain_seat(now, number),
                    Item::Watcher(number) => self.drain_watcher(now, number),
                    Item::Referral(number) => self.drain_referral(now, number),
                }
            }
            while let Some(number) = self.called.pop_front() {
                self.serve_media(now, number);
            }
            self.look_over(now);
            self.invite_next(now);
            self.tell_news(now);
            if self.busy.is_empty() && self.called.is_empty() {
                return;
            }
        }
    }

    fn drain_seat(&mut self, now: Instant, number: u32) {
        while let Some(output) = self.seats.get_mut(&number).and_then(Seat::poll) {
            match output {
                SeatOutput::Send { bytes, hop } => {
                    self.outputs.push_back(RoomOutput::Sip { bytes, hop });
                }
                SeatOutput::Leg(event) => self.handle_call(now, number, event),
            }
        }
        self.serve_media(now, number);
        let Some(seat) = self.seats.get_mut(&number) else { return };
        if seat.is_finished() {
            self.schedule.cancel(&Item::Seat(number));
            let keys = self.seats.remove(&number).map(|seat| seat.keys);
            self.outputs.extend(keys.map(RoomOutput::Leave));
        } else {
            self.schedule.note(Item::Seat(number), seat.set_alarm());
        }
    }

    /// Takes what has become of a call.
    fn handle_call(&mut self, now: Instant, number: u32, event: LegEvent) {
        match event {
            LegEvent::Established { response } => {
                let body = (response.content_type().map(str::to_owned), response.body.clone());
                self.welcome_invited(now, number, &response, body);
            }
            LegEvent::Refused { response } => self.note_refusal(now, number, &response),
            LegEvent::NoAnswer(_) => self.note_silence(now, number),
            LegEvent::Answer { body } => self.take_late_answer(now, number, body.as_ref()),
            LegEvent::Offer { body } => self.answer_offer(now, number, body.as_ref()),
            LegEvent::Ended { reasons } => self.see_off(now, number, reasons),
            LegEvent::CancelledByPeer { reasons } => self.see_off(now, number, reasons),
            LegEvent::Expired
            | LegEvent::SessionExpired
            | LegEvent::NoAck
            | LegEvent::Lost { .. } => self.note_loss(now, number),
            LegEvent::Referred { id, refer } => self.handle_refer(now, number, id, &refer),
            LegEvent::Progress(_)
            | LegEvent::Cancelled
            | LegEvent::Confirmed
            | LegEvent::OfferRefused { .. }
            | LegEvent::Referral { .. }
            | LegEvent::ByeDone => {}
        }
    }

    /// Answers an offer within a session.
    fn answer_offer(&mut self, now: Instant, number: u32, offer: Option<&Body>) {
        let settings = Arc::clone(&self.desk.settings);
        if let Some(seat) = self.seats.get_mut(&number) {
            let answer = seat.take_offer(&settings, offer);
            let refused = crate::sip::Status::NOT_ACCEPTABLE_HERE;
            seat.leg.answer_offer(now, answer.ok_or(refused));
        }
    }

    fn wake_all(&mut self) {
        self.busy.extend(self.seats.keys().map(|number| Item::Seat(*number)));
        self.busy.extend(self.watchers.keys().map(|number| Item::Watcher(*number)));
        self.busy.extend(self.referrals.keys().map(|number| Item::Referral(*number)));
    }

    fn policy(&self) -> Policy<'_> {
        Policy {
            settings: &self.desk.settings,
            kind: self.kind,
            roster: &self.roster,
            originator: &self.originator,
        }
    }

    fn draw(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    /// Notes that somebody has come, or has said something.
    fn be_lively(&mut self, now: Instant) {
        let idle = self.desk.settings.idle;
        self.idle_at = (idle > Duration::ZERO && !self.is_over).then(|| now + idle);
    }

    fn send<E>(&mut self, output: UsageOutput<E>) -> Option<E> {
        match output {
            UsageOutput::Send { bytes, hop } => {
                self.outputs.push_back(RoomOutput::Sip { bytes, hop });
                None
            }
            UsageOutput::Event(event) => Some(event),
            UsageOutput::Spare { .. } => None,
        }
    }
}

/// A request with where it came from.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) request: Request,
    pub(super) source: Hop,
}
