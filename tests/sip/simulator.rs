//! A network on virtual time that loses, repeats, delays and reorders datagrams, by seed, and two
//! hosts on it with as many legs as are wanted.
//!
//! The hosts do what the sockets of the product do: a message goes to the leg that the tables
//! name, a new INVITE makes a leg, and what nobody wants is answered as a stray. What callers and
//! callees wish, and when, is drawn from the seed too ([`Plot`]); so one seed is one story, to the
//! byte.

mod plot;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chatbridge::ids::Random;
use chatbridge::sip::{
    DialogKey, Hop, Kit, Leg, LegEvent, LegInput, LegOutput, Local, Message, Method, Request,
    Route, Status, Transport, Uri, route, stray,
};

use crate::stage::{body, call, kit};
use crate::wire::read;
pub(crate) use plot::{Chapter, Plot, Wish};

/// What datagrams suffer on their way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// How many of a hundred copies of a datagram never arrive.
    pub(crate) loss: u64,
    /// How many of a hundred datagrams set out twice; each copy has a fate of its own.
    pub(crate) twins: u64,
    /// How long a copy takes at least, and how much longer at most: what is sent later may arrive
    /// earlier.
    pub(crate) delay: (Duration, Duration),
}

impl Weather {
    pub(crate) const CALM: Self =
        Self { loss: 0, twins: 0, delay: (Duration::from_millis(20), Duration::ZERO) };

    /// Nearly a third is lost, a tenth repeated, and nothing keeps its place.
    pub(crate) const STORM: Self =
        Self { loss: 30, twins: 10, delay: (Duration::from_millis(5), Duration::from_millis(300)) };
}

/// Two hosts, what is on its way between them, and what their users are about to do.
pub(crate) struct Network {
    start: Instant,
    now: Instant,
    weather: Weather,
    chance: Random,
    agenda: BTreeMap<(Instant, u64), Happening>,
    /// Given to happenings and legs, so that equals keep their order.
    numbers: u64,
    hosts: [Host; 2],
    plots: Vec<Plot>,
    /// Who answers what nobody wants.
    local: Arc<Local>,
    pub(crate) chapters: Vec<Chapter>,
    trace: DefaultHasher,
    /// Datagrams sent.
    pub(crate) sent: u64,
}

enum Happening {
    Call { number: usize },
    Arrival { at: usize, bytes: Bytes },
    Wish { at: usize, leg: u64, wish: Wish },
}

/// One side: its legs, and the tables by which messages find them.
struct Host {
    hop: Hop,
    legs: BTreeMap<u64, Seat>,
    /// By our tags.
    dialogs: BTreeMap<DialogKey, u64>,
    /// By the callers' tags.
    callers: BTreeMap<DialogKey, u64>,
    timers: BTreeSet<(Instant, u64)>,
}

/// A leg, the call that it belongs to, and the timer that it waits for.
struct Seat {
    leg: Leg,
    number: usize,
    timer: Option<Instant>,
    caller: Option<DialogKey>,
}

const CALLER: usize = 0;
const CALLEE: usize = 1;

impl Network {
    pub(crate) fn new(seed: u64, weather: Weather) -> Self {
        let start = Instant::now();
        let hosts = ["192.0.2.1", "192.0.2.2"].map(|host| Host {
            hop: Hop::new(Transport::Udp, host, 5060),
            legs: BTreeMap::new(),
            dialogs: BTreeMap::new(),
            callers: BTreeMap::new(),
            timers: BTreeSet::new(),
        });
        Self {
            start,
            now: start,
            weather,
            chance: Random::seeded(seed),
            agenda: BTreeMap::new(),
            numbers: 0,
            hosts,
            plots: Vec::new(),
            local: kit(Transport::Udp, 0).local,
            chapters: Vec::new(),
            trace: DefaultHasher::new(),
            sent: 0,
        }
    }

    /// Plans so many calls, spread over `span`.
    pub(crate) fn plan_calls(&mut self, count: usize, span: Duration) {
        for number in 0..count {
            let plot = Plot::draw(&mut self.chance);
            self.plots.push(plot);
            self.chapters.push(Chapter::default());
            let after = self.draw(span);
            self.plan(after, Happening::Call { number });
        }
    }

    /// Plays until nothing is under way and no timer runs.
    pub(crate) fn run(&mut self) {
        while let Some(next) = self.next_moment() {
            assert!(next >= self.now, "a timer of the past");
            self.now = next;
            self.step();
        }
    }

    /// Tells whether nobody is left: no leg, no entry in a table, no timer.
    pub(crate) fn is_empty(&self) -> bool {
        self.agenda.is_empty()
            && self.hosts.iter().all(|host| {
                host.legs.is_empty()
                    && host.dialogs.is_empty()
                    && host.callers.is_empty()
                    && host.timers.is_empty()
            })
    }

    /// How many calls are of this kind.
    pub(crate) fn count(&self, kind: impl Fn(&Chapter) -> bool) -> usize {
        self.chapters.iter().filter(|chapter| kind(chapter)).count()
    }

    /// A hash over every byte sent, by whom and when.
    pub(crate) fn trace(&self) -> u64 {
        self.trace.finish()
    }

    /// How long the story took on its own clock.
    pub(crate) fn lasted(&self) -> Duration {
        self.now.duration_since(self.start)
    }

    fn next_moment(&self) -> Option<Instant> {
        let timers = self.hosts.iter().filter_map(|host| host.timers.first()).map(|(at, _)| *at);
        timers.chain(self.agenda.keys().next().map(|(at, _)| *at)).min()
    }

    fn step(&mut self) {
        while let Some(entry) = self.agenda.first_entry().filter(|it| it.key().0 <= self.now) {
            match entry.remove() {
                Happening::Call { number } => self.call(number),
                Happening::Arrival { at, bytes } => self.arrive(at, bytes),
                Happening::Wish { at, leg, wish } => self.grant(at, leg, wish),
            }
        }
        for at in [CALLER, CALLEE] {
            while let Some(&(_, leg)) =
                self.hosts[at].timers.first().filter(|(due, _)| *due <= self.now)
            {
                let now = self.now;
                self.with(at, leg, |leg| leg.handle(now, LegInput::Timeout));
            }
        }
    }

    fn call(&mut self, number: usize) {
        let plot = &self.plots[number];
        let mut call = call(Some(self.hosts[CALLEE].hop.clone()));
        call.target = Uri::parse("sip:bob@192.0.2.2").unwrap();
        call.headers.push(("Subject".to_owned(), number.to_string()));
        if plot.requires_100rel {
            call.headers.push(("Require".to_owned(), "100rel".to_owned()));
        }
        let (cancel_after, refreshes) = (plot.cancel_after, plot.refreshes);
        let kit = self.kit(CALLER, refreshes);
        let leg = self.seat(CALLER, number, Leg::call(self.now, call, kit), None);
        for (after, wish) in
            cancel_after.map(|it| (it, Wish::Cancel)).into_iter().chain([plot::PATIENCE])
        {
            self.plan(after, Happening::Wish { at: CALLER, leg, wish });
        }
    }

    fn arrive(&mut self, at: usize, bytes: Bytes) {
        let (message, source) = (read(bytes), self.hosts[1 - at].hop.clone());
        let host = &self.hosts[at];
        let (known, caller) = match route(&message) {
            Route::Response(key) | Route::InDialog(key) => (host.dialogs.get(&key).copied(), None),
            Route::Initial(key) => (host.callers.get(&key).copied(), Some(key)),
            Route::Malformed => panic!("{message:?}"),
        };
        match (known, caller, message) {
            (Some(leg), _, message) => {
                let now = self.now;
                self.with(at, leg, |leg| leg.handle(now, LegInput::Message { message, source }));
            }
            (None, Some(key), Message::Request(invite)) if invite.method == Method::Invite => {
                self.invited(at, invite, key);
            }
            (None, _, Message::Request(request)) => {
                if let Some(answer) = stray(&request, &self.local) {
                    self.send(at, answer.encode());
                }
            }
            (None, _, Message::Response(_)) => {}
        }
    }

    fn invited(&mut self, at: usize, invite: Request, key: DialogKey) {
        let subject = invite.headers.get("Subject").and_then(|number| number.parse().ok());
        let number: usize = subject.expect("the number of the call");
        let plot = self.plots[number].clone();
        let (source, kit) = (self.hosts[1 - at].hop.clone(), self.kit(at, false));
        let leg = Leg::answering(self.now, invite, source, kit);
        let leg = self.seat(at, number, leg, Some(key));
        for (after, wish) in plot.callee() {
            self.plan(after, Happening::Wish { at, leg, wish });
        }
    }

    /// Gives a leg its place and its names.
    fn seat(&mut self, at: usize, number: usize, leg: Leg, caller: Option<DialogKey>) -> u64 {
        self.numbers += 1;
        let id = self.numbers;
        let ours = DialogKey { call_id: leg.call_id().into(), tag: leg.local_tag().into() };
        let host = &mut self.hosts[at];
        host.dialogs.insert(ours, id);
        if let Some(caller) = &caller {
            host.callers.insert(caller.clone(), id);
        }
        host.legs.insert(id, Seat { leg, number, timer: None, caller });
        self.with(at, id, |_| {});
        id
    }

    fn grant(&mut self, at: usize, leg: u64, wish: Wish) {
        let now = self.now;
        let Some(number) = self.hosts[at].legs.get(&leg).map(|seat| seat.number) else { return };
        let chapter = &mut self.chapters[number];
        // A refusal is the one end that its author is not told of.
        if wish == Wish::Reject && chapter.ends[at].is_empty() {
            chapter.end(at, "refused");
        }
        if !chapter.permits(at, wish) {
            return;
        }
        self.with(at, leg, |leg| match wish {
            Wish::Ring => leg.ring(now),
            Wish::Progress => leg.progress(now, body("answer")),
            Wish::Accept => leg.accept(now, body("answer")),
            Wish::Reject => leg.reject(now, Status::BUSY_HERE, Vec::new()),
            Wish::Cancel | Wish::GiveUp => leg.cancel(now, None),
            Wish::Offer => leg.offer(now, body("offer")),
            Wish::Answer => leg.answer_offer(now, Ok(body("answer"))),
            Wish::Bye => leg.bye(now, None),
        });
    }

    /// Lets a leg do something, carries out what comes of it, and lets go of it at its end.
    fn with(&mut self, at: usize, id: u64, act: impl FnOnce(&mut Leg)) {
        let Some(mut seat) = self.hosts[at].legs.remove(&id) else { return };
        act(&mut seat.leg);
        while let Some(output) = seat.leg.poll() {
            match output {
                LegOutput::Send { bytes, hop } => {
                    assert_eq!(hop, self.hosts[1 - at].hop);
                    self.send(at, bytes);
                }
                LegOutput::Spare { hop, .. } => panic!("nobody says 503: {hop}"),
                LegOutput::Event(event) => self.tell(at, id, seat.number, &event),
            }
        }
        let host = &mut self.hosts[at];
        let next = seat.leg.next_timeout();
        if next != seat.timer {
            seat.timer.map(|old| host.timers.remove(&(old, id)));
            host.timers.extend(next.map(|next| (next, id)));
            seat.timer = next;
        }
        if seat.leg.is_finished() {
            seat.timer.map(|old| host.timers.remove(&(old, id)));
            let (call_id, tag) = (seat.leg.call_id().into(), seat.leg.local_tag().into());
            host.dialogs.remove(&DialogKey { call_id, tag });
            seat.caller.map(|caller| host.callers.remove(&caller));
        } else {
            host.legs.insert(id, seat);
        }
    }

    fn tell(&mut self, at: usize, leg: u64, number: usize, event: &LegEvent) {
        self.chapters[number].tell(at, event);
        let wishes = self.plots[number].upon(at, event);
        for (after, wish) in wishes {
            self.plan(after, Happening::Wish { at, leg, wish });
        }
    }

    fn send(&mut self, from: usize, bytes: Bytes) {
        self.sent += 1;
        (self.lasted(), from, &bytes).hash(&mut self.trace);
        let copies = if self.chance.below(100) < self.weather.twins { 2 } else { 1 };
        for _ in 0..copies {
            if self.chance.below(100) < self.weather.loss {
                continue;
            }
            let (least, more) = self.weather.delay;
            let delay = least + self.draw(more);
            self.plan(delay, Happening::Arrival { at: 1 - from, bytes: bytes.clone() });
        }
    }

    fn plan(&mut self, after: Duration, happening: Happening) {
        self.numbers += 1;
        self.agenda.insert((self.now + after, self.numbers), happening);
    }

    /// Draws a duration below this one, in whole milliseconds.
    fn draw(&mut self, most: Duration) -> Duration {
        plot::draw(&mut self.chance, most)
    }

    fn kit(&mut self, at: usize, refreshes: bool) -> Kit {
        let mut kit = kit(Transport::Udp, 0);
        Arc::make_mut(&mut kit.local).hop = self.hosts[at].hop.clone();
        kit.random = self.chance.fork();
        Arc::make_mut(&mut kit.local).session_expires =
            refreshes.then_some(Duration::from_secs(300));
        kit
    }
}
