//! The roster: every user of the bridge is registered, one after another, and kept so.
//!
//! ```text
//!   new(): waiting ──one per pace──▶ a registration ──▶ Registered, Failed, Lost
//!                                       ▲      │ refused for good
//!                        doubt()        │      ▼
//!                   REGISTER at once    └── resting, for hours
//!   leave(): a registration ──one per moment──▶ taken back ──▶ Gone
//! ```
//! After every [`Roster::handle`], drain [`Roster::poll`] until it gives nothing, then come back no
//! later than [`Roster::next_timeout`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::access::{Access, Subscriber, Terms};
use super::settings::Settings;
use crate::address::Address;
use crate::chat::Refusal;
use crate::ids::Random;
use crate::sip::{
    DialogKey, Hop, Registration, RegistrationEvent, RegistrationFailure, RegistrationInput,
    RegistrationOutput, Response,
};

/// The registrations of all users of the bridge.
#[derive(Debug)]
pub struct Roster {
    settings: Arc<Settings>,
    terms: Terms,
    pace: Pace,
    /// Where the core is, best hop first; nobody is begun while that is not known.
    next_hops: Vec<Hop>,
    random: Random,
    members: BTreeMap<Address, Member>,
    /// By the Call-ID and our tag of a registration.
    by_dialog: BTreeMap<DialogKey, Address>,
    /// When which member wants to be woken.
    deadlines: BTreeSet<(Instant, Address)>,
    /// Who is not registered, or taken back, yet.
    queue: VecDeque<Address>,
    /// When the next one in the queue has its turn.
    turn: Option<Instant>,
    is_leaving: bool,
    outputs: VecDeque<RosterOutput>,
}

/// How fast the roster goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time between the beginnings of two registrations.
    pub start: Duration,
    /// When a registration that was refused for good is begun anew; zero is never.
    pub retry_refused: Duration,
}

/// What the roster is fed.
#[derive(Debug, Clone)]
pub enum RosterInput {
    /// A response to a REGISTER.
    Response(Response),
    /// What was to be sent there for a user could not be sent.
    SendFailed {
        /// The user.
        user: Address,
        /// Where it was to go.
        hop: Hop,
    },
    /// The core seems to have forgotten a user: a REGISTER shows, and mends it.
    Doubt(Address),
    /// Where the core is now, best hop first.
    Hops(Vec<Hop>),
    /// Take all registrations back, spread over about this time.
    Leave(Duration),
    /// The instant of [`Roster::next_timeout`] has come.
    Timeout,
}

/// What the roster wants done, or told.
#[derive(Debug, Clone, PartialEq)]
pub enum RosterOutput {
    /// Send a SIP message for a user.
    Send {
        /// The user.
        user: Address,
        /// Its bytes.
        bytes: Bytes,
        /// Where it goes.
        hop: Hop,
    },
    /// A hop of the core is overloaded, and asks for a pause.
    Spare {
        /// That hop.
        hop: Hop,
        /// How long.
        wait: Duration,
    },
    /// A user is registered, for the first time, again, or otherwise than before.
    Registered {
        /// How its requests reach the core from now on.
        access: Arc<Access>,
        /// Its addresses beside the one that it is known by.
        aliases: Vec<Address>,
    },
    /// An attempt to register a user has failed.
    Failed {
        /// The user.
        user: Address,
        /// Why.
        why: RegistrationFailure,
        /// When the next attempt is due.
        again_at: Option<Instant>,
    },
    /// A user is registered no more.
    Lost {
        /// The user.
        user: Address,
        /// The refusal that ended it; `None` where time did.
        why: Option<RegistrationFailure>,
        /// When the next attempt is due, where no failure has told it.
        again_at: Option<Instant>,
    },
    /// A user can never be registered, for want of a SIP URI.
    Unusable {
        /// The user.
        user: Address,
        /// What is wrong.
        why: Refusal,
    },
    /// The registration of a user is taken back.
    Gone(Address),
}

/// A user with its registration, as far as it has come.
#[derive(Debug)]
struct Member {
    access: Access,
    registration: Option<Registration>,
    /// When a registration that was refused is begun anew.
    revival: Option<Instant>,
    /// When the core was last asked because of a doubt.
    doubted: Option<Instant>,
    /// What stands of it in the deadlines.
    deadline: Option<Instant>,
}

impl Roster {
    /// Makes a roster that begins with the first of its users as soon as it knows where the core is.
    #[must_use]
    pub fn new(
        now: Instant,
        (settings, terms, pace): (Arc<Settings>, Terms, Pace),
        subscribers: &[Subscriber],
        random: Random,
    ) -> Self {
        let mut this = Self {
            pace,
            terms,
            next_hops: Vec::new(),
            random,
            members: BTreeMap::new(),
            by_dialog: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            queue: VecDeque::new(),
            turn: Some(now),
            is_leaving: false,
            outputs: VecDeque::new(),
            settings,
        };
        for subscriber in subscribers {
            let access = Access::of(subscriber, &this.settings);
            let member = Member::new(access);
            if this.members.insert(subscriber.address.clone(), member).is_none() {
                this.queue.push_back(subscriber.address.clone());
            }
        }
        this
    }

    /// Feeds one input.
    pub fn handle(&mut self, now: Instant, input: RosterInput) {
        match input {
            RosterInput::Response(response) => self.handle_response(now, response),
            RosterInput::SendFailed { user, hop } => {
                self.feed(now, &user, RegistrationInput::TransportFailed { hop });
            }
            RosterInput::Hops(next_hops) => {
                self.next_hops = next_hops;
                self.take_turns(now);
            }
            RosterInput::Doubt(user) => self.doubt(now, &user),
            RosterInput::Leave(within) => self.leave(now, within),
            RosterInput::Timeout => self.handle_timeout(now),
        }
    }

    /// Gives the next thing to do, or to tell.
    pub fn poll(&mut self) -> Option<RosterOutput> {
        self.outputs.pop_front()
    }

    /// Gives the instant by which [`RosterInput::Timeout`] is due.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let first = self.deadlines.first().map(|(at, _)| *at);
        first.into_iter().chain(self.turn).min()
    }

    /// Tells whether all registrations are taken back, or never were.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let at_rest = |member: &Member| member.registration.is_none();
        self.is_leaving && self.queue.is_empty() && self.members.values().all(at_rest)
    }

    /// Gives the access of every user, as long as no registration has said more.
    pub fn accesses(&self) -> impl Iterator<Item = &Access> {
        self.members.values().map(|member| &member.access)
    }

    fn handle_response(&mut self, now: Instant, response: Response) {
        let (Some(call_id), Some(tag)) = (response.call_id(), response.from_tag()) else { return };
        let key = DialogKey { call_id: call_id.to_owned(), tag };
        if let Some(user) = self.by_dialog.get(&key).cloned() {
            self.feed(now, &user, RegistrationInput::Response(response));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, user)) = self.deadlines.first().filter(|(at, _)| *at <= now).cloned() {
            let revives = self.members.get_mut(&user).is_some_and(|member| {
                member.revival.take_if(|at| *at <= now).is_some() && member.registration.is_none()
            });
            if revives {
                self.begin(now, &user);
            } else {
                self.follow(&user);
                self.feed(now, &user, RegistrationInput::Timeout);
            }
        }
        self.take_turns(now);
    }

    /// Gives those in the queue their turns, as far as their time has come.
    fn take_turns(&mut self, now: Instant) {
        while let Some(turn) = self.turn.filter(|turn| *turn <= now) {
            if self.next_hops.is_empty() && !self.is_leaving {
                self.turn = Some(now + LOOK_AGAIN);
                return;
            }
            let Some(user) = self.queue.pop_front() else {
                self.turn = None;
                return;
            };
            if self.is_leaving {
                self.take_back(now, &user);
            } else {
                self.begin(now, &user);
            }
            // A loop that comes late goes on at its pace: what it has missed is no reason to storm.
            let next = (turn + self.pace.start).max(now + self.pace.start / 2);
            self.turn = (!self.queue.is_empty()).then_some(next);
        }
    }

    fn begin(&mut self, now: Instant, user: &Address) {
        let Some(member) = self.members.get_mut(user) else { return };
        if self.next_hops.is_empty() {
            member.revival = Some(now + LOOK_AGAIN);
            return self.settle(now, user);
        }
        let kit = member.access.kit(&self.settings, self.random.fork());
        let way = (&*kit.local, self.next_hops.clone());
        let enrolment = match member.access.enrolment(&self.settings, &self.terms, way) {
            Ok(enrolment) => enrolment,
            Err(why) => {
                let user = user.clone();
                return self.outputs.push_back(RosterOutput::Unusable { user, why });
            }
        };
        let registration = Registration::register(now, enrolment, kit);
        self.by_dialog.insert(key_of(&registration), user.clone());
        member.registration = Some(registration);
        self.settle(now, user);
    }

    /// Asks the core whether it still knows a user: not more often than [`DOUBT_PAUSE`], or who
    /// makes his calls fail could make us storm it.
    fn doubt(&mut self, now: Instant, user: &Address) {
        let Some(member) = self.members.get_mut(user) else { return };
        let lately = member.doubted.is_some_and(|at| now < at + DOUBT_PAUSE);
        let Some(registration) = member.registration.as_mut().filter(|_| !lately) else { return };
        if registration.is_registered() && !self.is_leaving {
            member.doubted = Some(now);
            registration.follow(self.next_hops.clone());
            registration.refresh(now);
            self.settle(now, user);
        }
    }

    /// Begins to take all registrations back; those that were not begun are not.
    fn leave(&mut self, now: Instant, within: Duration) {
        if std::mem::replace(&mut self.is_leaving, true) {
            return;
        }
        self.members.values_mut().for_each(|member| member.revival = None);
        let begun = self.members.iter().filter(|(_, member)| member.registration.is_some());
        self.queue = begun.map(|(user, _)| user.clone()).collect();
        self.pace.start = within / u32::try_from(self.queue.len().max(1)).unwrap_or(u32::MAX);
        self.turn = Some(now);
        self.take_turns(now);
    }

    /// Tells a registration where the core is now.
    fn follow(&mut self, user: &Address) {
        let registration = self.members.get_mut(user).and_then(|it| it.registration.as_mut());
        if let Some(registration) = registration {
            registration.follow(self.next_hops.clone());
        }
    }

    fn take_back(&mut self, now: Instant, user: &Address) {
        let registration = self.members.get_mut(user).and_then(|it| it.registration.as_mut());
        if let Some(registration) = registration {
            registration.deregister(now);
            self.settle(now, user);
        }
    }

    fn feed(&mut self, now: Instant, user: &Address, input: RegistrationInput) {
        let registration = self.members.get_mut(user).and_then(|it| it.registration.as_mut());
        if let Some(registration) = registration {
            registration.handle(now, input);
        }
        self.settle(now, user);
    }

    /// Takes what a registration has to say, and notes when it wants to be woken.
    fn settle(&mut self, now: Instant, user: &Address) {
        let Some(member) = self.members.get_mut(user) else { return };
        while let Some(output) = member.registration.as_mut().and_then(Registration::poll) {
            let output = match output {
                RegistrationOutput::Send { bytes, hop } => {
                    RosterOutput::Send { user: user.clone(), bytes, hop }
                }
                RegistrationOutput::Spare { hop, wait } => RosterOutput::Spare { hop, wait },
                RegistrationOutput::Event(event) => {
                    let revival = now + self.pace.retry_refused;
                    let revival = (!self.pace.retry_refused.is_zero()).then_some(revival);
                    member.take_event(user, event, &self.settings, revival)
                }
            };
            self.outputs.push_back(output);
        }
        if let Some(done) = member.registration.take_if(|it| it.is_finished()) {
            self.by_dialog.remove(&key_of(&done));
            let never = self.is_leaving || self.pace.retry_refused.is_zero();
            member.revival = (!never).then(|| now + self.pace.retry_refused);
        }
        let next = member.registration.as_ref().and_then(Registration::next_timeout);
        let next = next.or(member.revival);
        if let Some(old) = std::mem::replace(&mut member.deadline, next) {
            self.deadlines.remove(&(old, user.clone()));
        }
        self.deadlines.extend(next.map(|at| (at, user.clone())));
    }
}

impl Member {
    fn new(access: Access) -> Self {
        Self { access, registration: None, revival: None, doubted: None, deadline: None }
    }

    /// Puts an event into the words of the roster; `revival` is when one that is given up is begun
    /// anew.
    fn take_event(
        &self,
        user: &Address,
        event: RegistrationEvent,
        settings: &Settings,
        revival: Option<Instant>,
    ) -> RosterOutput {
        let user = user.clone();
        match event {
            RegistrationEvent::Registered(grant) => {
                let access = self.access.granted(&grant);
                let uris = access.identities.iter().map(|identity| &identity.uri);
                let addresses = uris.filter_map(|uri| settings.realm.address(uri));
                let aliases = addresses.filter(|alias| *alias != user).collect();
                RosterOutput::Registered { access: Arc::new(access), aliases }
            }
            RegistrationEvent::Failed { why, again_at } => {
                RosterOutput::Failed { user, why, again_at: again_at.or(revival) }
            }
            RegistrationEvent::Lost { why } => {
                // Whoever is refused goes away for long; whom time has ended is asking still.
                let is_refused = matches!(why, Some(RegistrationFailure::Status(_)));
                RosterOutput::Lost { user, why, again_at: revival.filter(|_| is_refused) }
            }
            RegistrationEvent::Gone => RosterOutput::Gone(user),
        }
    }
}

fn key_of(registration: &Registration) -> DialogKey {
    let (call_id, tag) = (registration.call_id(), registration.local_tag());
    DialogKey { call_id: call_id.to_owned(), tag: tag.to_owned() }
}

/// The pause before the core is looked for again, where it is not known where it is.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long a doubt is laid to rest by a REGISTER.
const DOUBT_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
