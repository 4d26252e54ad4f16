//! Two legs back to back over a network that loses, delays and reorders: whatever happens, both
//! learn once how the call ended, and both tables end empty.

use std::collections::BTreeMap;

use super::super::State;
use super::*;
use crate::sip::{DialogKey, Refer, ReferId, Reference, Route, route, stray};

#[test]
fn calls_end_with_empty_tables_on_a_lossless_stream() {
    for seed in 0..200 {
        Network::new(seed, Transport::Tcp, 0).run();
    }
}

#[test]
fn calls_end_with_empty_tables_though_a_third_of_all_datagrams_is_lost() {
    for seed in 0..500 {
        Network::new(seed, Transport::Udp, 33).run();
    }
}

#[test]
fn calls_end_with_empty_tables_though_nearly_everything_is_lost() {
    for seed in 0..200 {
        Network::new(seed, Transport::Udp, 90).run();
    }
}

#[test]
fn nothing_lost_means_nothing_untold() {
    let ends: Vec<_> = (0..100)
        .map(|seed| Network::new(seed, Transport::Udp, 0).run())
        .filter(|ends| ends.iter().any(|end| end == "NoAck" || end == "NoAnswer Timeout"))
        .collect();
    assert_eq!(ends, [[""; 2]; 0]);
}

#[test]
fn the_stories_have_all_that_a_session_may_see() {
    let mut told = String::new();
    for seed in 0..100 {
        let mut network = Network::new(seed, Transport::Udp, 10);
        network.run();
        told.push_str(&network.story.join("\n"));
    }
    for needle in [
        " PRACK ",
        " UPDATE ",
        " INVITE 2 ",
        " 491 INVITE ",
        " Offer ",
        " Answer answer",
        " NOTIFY 2",
        " Referral Ended 200",
    ] {
        assert!(told.contains(needle), "{needle}");
    }
}

#[test]
fn the_same_seed_is_the_same_story() {
    let story = |seed| {
        let mut network = Network::new(seed, Transport::Udp, 33);
        network.run();
        network.story
    };
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
}

/// Where the legs live: two hosts, and what is on its way between them.
struct Network {
    now: Instant,
    start: Instant,
    chance: Random,
    transport: Transport,
    loss_percent: u64,
    /// Datagrams and decisions by time; the number keeps the order of equals.
    agenda: BTreeMap<(Instant, u64), Happening>,
    count: u64,
    hosts: [Host; 2],
    story: Vec<String>,
}

enum Happening {
    Arrival { at: usize, from: usize, bytes: Bytes },
    Decision { by: usize, decision: Decision },
}

#[derive(Debug, Clone, Copy)]
enum Decision {
    Ring,
    Accept,
    Reject,
    Cancel,
    Offer,
    Answer,
    Refer,
    AnswerRefer,
    ReportRefer,
    Bye,
}

/// One user agent, as the shell would drive it.
struct Host {
    hop: Hop,
    leg: Option<Leg>,
    key: Option<DialogKey>,
    /// What it was asked with its last REFER.
    referred: Option<ReferId>,
    ends: Vec<String>,
}

impl Network {
    fn new(seed: u64, transport: Transport, loss_percent: u64) -> Self {
        let start = Instant::now();
        let hosts = ["192.0.2.1", "192.0.2.2"].map(|host| Host {
            hop: Hop::new(transport, host, 5060),
            leg: None,
            key: None,
            referred: None,
            ends: Vec::new(),
        });
        Self {
            now: start,
            start,
            chance: Random::seeded(seed),
            transport,
            loss_percent,
            agenda: BTreeMap::new(),
            count: 0,
            hosts,
            story: Vec::new(),
        }
    }

    /// Plays one call to its end, and gives how it ended for the caller and for the callee.
    fn run(&mut self) -> [String; 2] {
        let mut call = call(Some(self.hosts[1].hop.clone()));
        call.target = Uri::parse("sip:bob@192.0.2.2").unwrap();
        if self.chance.below(2) == 0 {
            call.headers.push(("Require".to_owned(), "100rel".to_owned()));
        }
        let kit = self.kit(0);
        self.hosts[0].leg = Some(Leg::call(self.now, call, kit));
        self.script();
        self.drain(0);
        while let Some(next) = self.next_moment() {
            assert!(next < self.start + Duration::from_secs(600), "{:#?}", self.story);
            self.now = next;
            self.step();
        }
        let ended = |host: &Host| host.leg.as_ref().is_none_or(Leg::is_finished);
        assert!(self.hosts.iter().all(ended), "{:#?}", self.story);
        for host in &self.hosts {
            let expected = usize::from(host.leg.is_some());
            assert_eq!(host.ends.len(), expected, "{:?} {:#?}", host.ends, self.story);
        }
        [0, 1].map(|at| self.hosts[at].ends.first().cloned().unwrap_or_default())
    }

    /// Draws who does what and when; whatever happens, everybody hangs up in the end.
    fn script(&mut self) {
        let [early, late] = [2_000, 60_000].map(|bound| self.chance.below(bound));
        if self.chance.below(3) == 0 {
            self.decide(0, Decision::Cancel, early);
        }
        let first = self.chance.below(40_000);
        let second = first + self.chance.below(400);
        self.decide(0, Decision::Offer, first);
        self.decide(1, Decision::Offer, second);
        for by in [0, 1] {
            let when = self.chance.below(60_000);
            self.decide(by, Decision::Refer, when);
        }
        let first = 10_000 + self.chance.below(20_000) + late;
        self.decide(0, Decision::Bye, first);
        let second = first + self.chance.below(500);
        self.decide(1, Decision::Bye, second);
    }

    fn decide(&mut self, by: usize, decision: Decision, millis: u64) {
        self.plan(millis, Happening::Decision { by, decision });
    }

    fn plan(&mut self, millis: u64, happening: Happening) {
        self.count += 1;
        self.agenda.insert((self.now + Duration::from_millis(millis), self.count), happening);
    }

    fn next_moment(&self) -> Option<Instant> {
        let timers = self.hosts.iter().filter_map(|host| host.leg.as_ref()?.next_timeout());
        timers.chain(self.agenda.keys().next().map(|(at, _)| *at)).min()
    }

    fn step(&mut self) {
        while let Some(entry) = self.agenda.first_entry().filter(|it| it.key().0 <= self.now) {
            match entry.remove() {
                Happening::Arrival { at, from, bytes } => self.arrive(at, from, bytes),
                Happening::Decision { by, decision } => self.act(by, decision),
            }
        }
        for at in [0, 1] {
            if let Some(leg) = &mut self.hosts[at].leg
                && leg.next_timeout().is_some_and(|next| next <= self.now)
            {
                leg.handle(self.now, LegInput::Timeout);
                self.drain(at);
            }
        }
    }

    fn act(&mut self, by: usize, decision: Decision) {
        let now = self.now;
        let ended = !self.hosts[by].ends.is_empty();
        let Some(leg) = &mut self.hosts[by].leg else { return };
        let was_deciding = matches!(leg.state, State::Deciding(_));
        match decision {
            Decision::Ring => leg.ring(now),
            Decision::Accept => leg.accept(now, body("answer")),
            Decision::Reject => leg.reject(now, Status::BUSY_HERE, Vec::new()),
            Decision::Cancel => leg.cancel(now, None),
            Decision::Offer => leg.offer(now, body("offer")),
            Decision::Answer => leg.answer_offer(now, Ok(body("answer"))),
            Decision::Refer => drop(leg.refer(now, refer())),
            Decision::AnswerRefer => {
                if let Some(id) = self.hosts[by].referred {
                    leg.answer_refer(now, id, Ok(()));
                }
            }
            Decision::ReportRefer => {
                if let Some(id) = self.hosts[by].referred {
                    leg.report_refer(now, id, Status::OK);
                }
            }
            Decision::Bye if ended => {}
            Decision::Bye => leg.bye(now, None),
        }
        // A refusal is the one end that its author is not told of.
        let refused = was_deciding && matches!(leg.state, State::Over);
        if refused {
            self.hosts[by].ends.push("refused".to_owned());
        }
        self.drain(by);
    }

    fn arrive(&mut self, at: usize, from: usize, bytes: Bytes) {
        let (message, source) = (read(bytes), self.hosts[from].hop.clone());
        let host = &mut self.hosts[at];
        let (known, is_new) = match (route(&message), &mut host.leg) {
            (Route::Malformed, _) => panic!("{message:?}"),
            (Route::Response(key) | Route::InDialog(key), Some(leg)) => {
                (key.tag == leg.local_tag() && !leg.is_finished(), false)
            }
            (Route::Initial(key), Some(_)) => (host.key.as_ref() == Some(&key), false),
            (Route::Initial(key), None) => {
                host.key = Some(key);
                (false, true)
            }
            (Route::Response(_) | Route::InDialog(_), None) => (false, false),
        };
        match message {
            Message::Request(invite) if is_new && invite.method == Method::Invite => {
                let kit = self.kit(at);
                self.hosts[at].leg = Some(Leg::answering(self.now, invite, source, kit));
                self.invited(at);
            }
            message if known => {
                if let Some(leg) = &mut self.hosts[at].leg {
                    leg.handle(self.now, LegInput::Message { message, source });
                }
            }
            Message::Request(request) => {
                if let Some(answer) = stray(&request, &self.kit(at).local) {
                    self.send(at, answer.encode());
                }
            }
            Message::Response(_) => {}
        }
        self.drain(at);
    }

    fn invited(&mut self, at: usize) {
        let ringing = self.chance.below(1_000);
        self.decide(at, Decision::Ring, ringing);
        let (decision, wait) = (self.chance.below(4), self.chance.below(3_000));
        let decision = if decision == 0 { Decision::Reject } else { Decision::Accept };
        self.decide(at, decision, ringing + wait);
    }

    fn drain(&mut self, at: usize) {
        while let Some(output) = self.hosts[at].leg.as_mut().and_then(Leg::poll) {
            match output {
                LegOutput::Send { bytes, hop } => {
                    assert_eq!(hop, self.hosts[1 - at].hop);
                    self.send(at, bytes);
                }
                LegOutput::Spare { .. } => panic!("nobody is overloaded"),
                LegOutput::Event(event) => {
                    let is_end = is_end(&event);
                    if matches!(event, LegEvent::Offer { .. }) {
                        let wait = self.chance.below(2_000);
                        self.decide(at, Decision::Answer, wait);
                    }
                    if let LegEvent::Referred { id, .. } = event {
                        self.hosts[at].referred = Some(id);
                        let wait = self.chance.below(5_000);
                        self.decide(at, Decision::AnswerRefer, wait);
                        self.decide(at, Decision::ReportRefer, wait + 3_000);
                    }
                    let line = name(event);
                    self.tell(at, &line);
                    if is_end {
                        self.hosts[at].ends.push(line);
                    }
                }
            }
        }
    }

    fn send(&mut self, from: usize, bytes: Bytes) {
        let line = describe(&read(bytes.clone()), &self.hosts[1 - from].hop);
        let lost = self.chance.below(100) < self.loss_percent;
        self.tell(from, &format!("{line}{}", if lost { " (lost)" } else { "" }));
        if lost {
            return;
        }
        // A stream keeps the order, datagrams overtake each other.
        let delay = if self.transport.is_reliable() { 20 } else { self.chance.below(300) };
        self.plan(delay, Happening::Arrival { at: 1 - from, from, bytes });
    }

    fn tell(&mut self, at: usize, line: &str) {
        let millis = self.now.duration_since(self.start).as_millis();
        self.story.push(format!("{millis} {at} {line}"));
    }

    fn kit(&mut self, at: usize) -> Kit {
        let mut kit = kit(&self.hosts[at].hop.host.clone(), self.transport, 0);
        kit.random = self.chance.fork();
        // Short enough to be refreshed once or twice before somebody hangs up.
        Arc::make_mut(&mut kit.local).session_expires = Some(Duration::from_secs(90));
        Arc::make_mut(&mut kit.local).allow.push_str(", REFER");
        kit
    }
}

fn refer() -> Refer {
    Refer::to(Reference::invite(Uri::parse("sip:carol@c.example").unwrap()))
}

/// Tells whether nothing more is to come after this event.
fn is_end(event: &LegEvent) -> bool {
    match event {
        LegEvent::Progress(_)
        | LegEvent::Established { .. }
        | LegEvent::Confirmed
        | LegEvent::Offer { .. }
        | LegEvent::Answer { .. }
        | LegEvent::OfferRefused { .. }
        | LegEvent::Referral { .. }
        | LegEvent::Referred { .. } => false,
        LegEvent::Refused { .. }
        | LegEvent::NoAnswer(_)
        | LegEvent::Cancelled
        | LegEvent::CancelledByPeer { .. }
        | LegEvent::Expired
        | LegEvent::NoAck
        | LegEvent::SessionExpired
        | LegEvent::Ended { .. }
        | LegEvent::Lost { .. }
        | LegEvent::ByeDone => true,
    }
}
