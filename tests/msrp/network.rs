//! Two ends and a connection between them on virtual time: bytes take their time and come in
//! pieces, an end may fall silent, and the connection may break. One seed is one story.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chatbridge::ids::Random;
use chatbridge::msrp::{Event, FailureReport, Limits, Outgoing, SendError, Setup};

use crate::stage::{End, OURS, THEIRS, outgoing, told};

#[test]
fn on_a_calm_network_everything_arrives_once_and_is_known_to() {
    for seed in 0..20 {
        let mut network = Network::new(seed);
        network.play(Weather { silence: 0, breaks: false });
        for side in [0, 1] {
            let sent = network.sent[side].len();
            assert!(sent > 0);
            assert_eq!(network.outcomes(side, "sent").len(), sent, "seed {seed}");
            assert_eq!(network.arrived(1 - side).len(), sent, "seed {seed}");
            let reports = network.sent[side].values().filter(|it| it.success_report).count();
            assert_eq!(network.outcomes(side, "report").len(), reports, "seed {seed}");
            assert_eq!(network.ends[side].session.ignored(), 0, "seed {seed}");
        }
    }
}

/// A message that is told as sent has arrived where an answer was due; one that has failed may have
/// arrived, but not twice; and there is no third thing.
#[test]
fn in_a_storm_nothing_arrives_twice_and_nothing_is_left_open() {
    let (mut failed, mut sent) = (0, 0);
    for seed in 0..60 {
        let mut network = Network::new(seed);
        network.play(Weather { silence: 20, breaks: true });
        for side in [0, 1] {
            let arrived = network.arrived(1 - side);
            for id in network.outcomes(side, "sent") {
                let certain = network.sent[side][&id].failure_report == FailureReport::Yes;
                assert!(!certain || arrived.contains(&id), "seed {seed}: {id} is lost");
                sent += 1;
            }
            let reports = network.events[side].iter().filter_map(|event| {
                event.strip_prefix("report ").and_then(|rest| rest.strip_suffix(" 200"))
            });
            for id in reports {
                let is_there = arrived.iter().any(|arrived| arrived == id);
                assert!(is_there, "seed {seed}: {id} is reported and not there");
            }
            failed += network.outcomes(side, "failed").len();
        }
    }
    assert!(failed > 50 && sent > 50, "{failed} failed and {sent} sent");
}

#[test]
fn one_seed_is_one_story() {
    let story = |seed| {
        let mut network = Network::new(seed);
        network.play(Weather { silence: 20, breaks: true });
        network.story
    };
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
}

#[derive(Clone, Copy)]
struct Weather {
    /// How often in a hundred turns an end reads nothing for a long while.
    silence: u64,
    /// Whether the connection breaks at some time.
    breaks: bool,
}

struct Network {
    ends: [End; 2],
    /// What is on its way to each end, with the time of its arrival.
    pipes: [VecDeque<(Instant, Bytes)>; 2],
    /// Until when an end does not read.
    deaf: [Instant; 2],
    chance: Random,
    now: Instant,
    start: Instant,
    sent: [BTreeMap<String, Outgoing>; 2],
    events: [Vec<String>; 2],
    bodies: [BTreeMap<String, Bytes>; 2],
    story: Vec<String>,
}

impl Network {
    fn new(seed: u64) -> Self {
        let mut chance = Random::seeded(seed);
        let mut limits = || Limits {
            chunk_bytes: [3, 50, 2048][at(chance.below(3))],
            window: [1, 2, 8][at(chance.below(3))],
            queue: 100,
            ..Limits::default()
        };
        let mut ends = [End::new(OURS, limits(), seed), End::new(THEIRS, limits(), seed + 1)];
        let now = ends[0].now;
        ends[1].now = now;
        ends[0].open(THEIRS, Setup::Active);
        ends[1].open(OURS, Setup::Passive);
        ends.iter_mut().for_each(End::connect);
        Self {
            ends,
            pipes: Default::default(),
            deaf: [now; 2],
            chance,
            now,
            start: now,
            sent: Default::default(),
            events: Default::default(),
            bodies: Default::default(),
            story: Vec::new(),
        }
    }

    /// Lets both users write for a while, and goes on until nothing is under way.
    fn play(&mut self, weather: Weather) {
        let breaks_at = weather.breaks.then(|| self.chance.below(200));
        for turn in 0_u64.. {
            assert!(turn < 100_000, "this does not come to an end");
            if turn < 40 {
                let side = at(self.chance.below(2));
                self.write(side, turn);
            }
            if self.chance.below(100) < weather.silence && turn < 60 {
                let side = at(self.chance.below(2));
                self.deaf[side] = self.now + Duration::from_secs(self.chance.below(70));
            }
            if Some(turn) == breaks_at {
                self.ends.iter_mut().for_each(End::lose);
            }
            self.carry();
            if turn >= 60 && self.is_quiet() && breaks_at.is_none_or(|at| at < turn) {
                break;
            }
            self.pass();
        }
        let now = self.now;
        for end in &mut self.ends {
            end.now = now;
            end.session.close(now);
            end.drain();
        }
        self.carry();
        for side in [0, 1] {
            assert_eq!(self.ends[side].session.next_timeout(), None);
            let finals = self.outcomes(side, "sent").len() + self.outcomes(side, "failed").len();
            assert_eq!(finals, self.sent[side].len(), "{:?}", self.events[side]);
        }
    }

    fn write(&mut self, side: usize, turn: u64) {
        let size = [0, 5, 60, 300][at(self.chance.below(4))];
        let body: String =
            (0..size).map(|_| ["a", "\r\n-------", "é"][at(self.chance.below(3))]).collect();
        let wishes =
            [FailureReport::Yes, FailureReport::Yes, FailureReport::Partial, FailureReport::No];
        let message = Outgoing {
            success_report: self.chance.below(3) == 0,
            failure_report: wishes[at(self.chance.below(4))],
            ..outgoing(&format!("id-{side}.{turn}"), body)
        };
        let end = &mut self.ends[side];
        end.now = self.now;
        match end.session.send(self.now, message.clone()) {
            Ok(()) => {
                self.sent[side].insert(message.message_id.clone(), message);
            }
            Err(SendError::Full | SendError::Closed) => {}
        }
        end.drain();
    }

    /// Puts what was written on its way, and notes what was told.
    fn carry(&mut self) {
        for side in [0, 1] {
            for bytes in std::mem::take(&mut self.ends[side].written) {
                let last = self.pipes[1 - side].back().map_or(self.now, |(at, _)| *at);
                let arrival = last.max(self.now + Duration::from_millis(self.chance.below(50)));
                let (one, two) = bytes.split_at(at(self.chance.below(bytes.len() as u64 + 1)));
                for piece in [one, two] {
                    self.pipes[1 - side].push_back((arrival, Bytes::copy_from_slice(piece)));
                }
            }
            for event in std::mem::take(&mut self.ends[side].told) {
                let time = self.now.duration_since(self.start).as_millis();
                self.story.push(format!("{time} {side} {}", told(&event)));
                self.events[side].push(told(&event));
                if let Event::Message(message) = event {
                    let sent = &self.sent[1 - side][message.message_id.as_str()];
                    assert_eq!(message.body, sent.body);
                    let before =
                        self.bodies[side].insert(message.message_id.to_string(), message.body);
                    assert_eq!(before, None, "it came twice");
                }
            }
        }
    }

    /// Goes on to the next thing that happens, and lets it happen.
    fn pass(&mut self) {
        let mut times = vec![self.now + Duration::from_millis(1 + self.chance.below(500))];
        for side in [0, 1] {
            times.extend(self.ends[side].session.next_timeout());
            times.extend(self.pipes[side].front().map(|(at, _)| (*at).max(self.deaf[side])));
        }
        self.now = times.into_iter().min().unwrap_or(self.now).max(self.now);
        for side in [0, 1] {
            let end = &mut self.ends[side];
            end.now = self.now;
            if end.session.next_timeout().is_some_and(|at| at <= self.now) {
                end.sleep(Duration::ZERO);
            }
            while let Some((at, _)) = self.pipes[side].front()
                && *at <= self.now
                && self.deaf[side] <= self.now
                && let Some((_, bytes)) = self.pipes[side].pop_front()
            {
                if end.is_open {
                    end.receive(&bytes);
                }
            }
        }
    }

    fn is_quiet(&self) -> bool {
        self.pipes.iter().all(VecDeque::is_empty)
            && self.ends.iter().all(|end| end.session.is_idle())
    }

    /// The messages of which an end was told something.
    fn outcomes(&self, side: usize, what: &str) -> Vec<String> {
        let words = self.events[side].iter().map(|event| event.split(' ').collect::<Vec<_>>());
        let told = words.filter(|words| words[0] == what);
        told.map(|words| words[1].to_owned()).collect()
    }

    fn arrived(&self, side: usize) -> Vec<String> {
        self.bodies[side].keys().cloned().collect()
    }
}

fn at(number: u64) -> usize {
    usize::try_from(number).unwrap()
}
