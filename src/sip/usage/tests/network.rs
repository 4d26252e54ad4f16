//! Two usages back to back over a network that loses, delays and reorders: whatever happens, each
//! comes to its end, and nothing is left behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::sip::{
    EndReason, Ending, EventType, Forks, MethodForm, NotifierTerms, Refer, Reference, Route,
    Standing, Subscription, route, stray,
};

#[test]
fn subscriptions_end_with_empty_tables_whatever_is_lost() {
    for (seeds, loss) in [(0..50, 0), (50..200, 33), (200..250, 90)] {
        for seed in seeds {
            Network::new(seed, loss).run(|net| net.subscribe());
        }
    }
}

#[test]
fn references_end_with_empty_tables_whatever_is_lost() {
    for (seeds, loss) in [(0..50, 0), (50..200, 33), (200..250, 90)] {
        for seed in seeds {
            Network::new(seed, loss).run(|net| net.refer());
        }
    }
}

#[test]
fn messages_arrive_once_or_fail_with_empty_tables_whatever_is_lost() {
    let mut failures = [0; 3];
    for (at, (seeds, loss)) in [(0..50, 0), (50..150, 33), (150..200, 90)].into_iter().enumerate() {
        for seed in seeds {
            let mut net = Network::new(seed, loss);
            net.run(|net| net.message());
            assert!(net.arrivals <= 1, "{:#?}", net.story);
            failures[at] += usize::from(net.story.iter().any(|line| line.contains("Failed")));
        }
    }
    assert!(failures[0] == 0 && failures[2] > 0, "{failures:?}");
}

#[test]
fn nothing_lost_means_that_everything_is_told() {
    for seed in 0..50 {
        let mut net = Network::new(seed, 0);
        net.run(|net| net.subscribe());
        let story = net.story.join("\n");
        for line in ["0 Accepted 200", "1 Ended", "0 Ended"] {
            assert!(story.contains(line), "{line} {story}");
        }
        assert!(!story.contains("Silence") && !story.contains("Timeout"), "{story}");
        let mut net = Network::new(seed, 0);
        net.run(|net| net.refer());
        assert!(net.story.iter().any(|line| line.ends_with("0 Ended 200")), "{:#?}", net.story);
    }
}

#[test]
fn the_same_seed_is_the_same_story() {
    let story = |seed| {
        let mut net = Network::new(seed, 33);
        net.run(|net| net.subscribe());
        net.story
    };
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
}

/// Whatever a host may run.
enum Any {
    Subscriber(Subscriber),
    Notifier(Notifier),
    Referral(Referral),
    Referred(Referred),
    Inquiry(Inquiry),
    Inquired(Inquired),
}

enum Wish {
    Send(Bytes, Hop),
    Told(String),
    Nothing,
}

macro_rules! each {
    ($any:expr, $usage:ident => $what:expr) => {
        match $any {
            Any::Subscriber($usage) => $what,
            Any::Notifier($usage) => $what,
            Any::Referral($usage) => $what,
            Any::Referred($usage) => $what,
            Any::Inquiry($usage) => $what,
            Any::Inquired($usage) => $what,
        }
    };
}

impl Any {
    fn handle(&mut self, now: Instant, input: UsageInput) {
        each!(self, usage => usage.handle(now, input));
    }

    fn next_timeout(&self) -> Option<Instant> {
        each!(self, usage => usage.next_timeout())
    }

    fn is_finished(&self) -> bool {
        each!(self, usage => usage.is_finished())
    }

    fn poll(&mut self) -> Wish {
        each!(self, usage => next_wish(usage))
    }

    fn local_tag(&self) -> Option<&str> {
        match self {
            Self::Subscriber(usage) => Some(usage.local_tag()),
            Self::Notifier(usage) => Some(usage.local_tag()),
            Self::Referral(usage) => Some(usage.local_tag()),
            Self::Referred(usage) => Some(usage.local_tag()),
            Self::Inquiry(usage) => Some(usage.local_tag()),
            Self::Inquired(_) => None,
        }
    }
}

fn next_wish<U: Usage>(usage: &mut U) -> Wish {
    match usage.poll() {
        Some(UsageOutput::Send { bytes, hop }) => Wish::Send(bytes, hop),
        Some(UsageOutput::Spare { .. }) => next_wish(usage),
        Some(UsageOutput::Event(event)) => Wish::Told(U::tell(event)),
        None => Wish::Nothing,
    }
}

enum Happening {
    Arrival {
        at: usize,
        bytes: Bytes,
    },
    /// Somebody says, refreshes, or ends something, whatever he runs.
    Act {
        by: usize,
        is_end: bool,
    },
}

/// Where the usages live: host 0 begins, host 1 answers.
struct Network {
    now: Instant,
    start: Instant,
    chance: Random,
    loss_percent: u64,
    agenda: BTreeMap<(Instant, u64), Happening>,
    count: u64,
    usages: [Option<Any>; 2],
    /// The name by which repetitions of the first request are found.
    caller: Option<crate::sip::DialogKey>,
    arrivals: usize,
    story: Vec<String>,
}

impl Network {
    fn new(seed: u64, loss_percent: u64) -> Self {
        let start = Instant::now();
        Self {
            now: start,
            start,
            chance: Random::seeded(seed),
            loss_percent,
            agenda: BTreeMap::new(),
            count: 0,
            usages: [None, None],
            caller: None,
            arrivals: 0,
            story: Vec::new(),
        }
    }

    fn subscribe(&mut self) {
        let subscription = Subscription {
            errand: self.errand(),
            event: EventType::new("conference"),
            accept: Vec::new(),
            expires: 60 + u32::try_from(self.chance.below(200)).unwrap(),
            forks: if self.chance.below(2) == 0 { Forks::Refuse } else { Forks::Follow },
            body: None,
        };
        let kit = self.kit(0);
        self.usages[0] = Some(Any::Subscriber(Subscriber::subscribe(self.now, subscription, kit)));
        for _ in 0..10 {
            let (by, at) = (self.chance.below(2), self.chance.below(200_000));
            self.plan(at, Happening::Act { by: usize::from(by == 1), is_end: false });
        }
        let (by, at) = (self.chance.below(2), self.chance.below(200_000));
        self.plan(at, Happening::Act { by: usize::from(by == 1), is_end: true });
        self.plan(200_000, Happening::Act { by: 0, is_end: true });
    }

    fn refer(&mut self) {
        let bob = Uri::parse("sip:bob@b.example").unwrap();
        let mut refer = Refer::to(Reference::bye(bob, MethodForm::Header));
        refer.is_watched = self.chance.below(4) > 0 || self.loss_percent == 0;
        let (errand, kit) = (self.errand(), self.kit(0));
        self.usages[0] = Some(Any::Referral(Referral::refer(self.now, &errand, refer, kit)));
        let first = self.chance.below(30_000);
        self.plan(first, Happening::Act { by: 1, is_end: false });
        self.plan(first + 30_000, Happening::Act { by: 1, is_end: true });
    }

    fn message(&mut self) {
        let (errand, kit) = (self.errand(), self.kit(0));
        let body = text("text/plain", "hello");
        self.usages[0] = Some(Any::Inquiry(Inquiry::message(self.now, &errand, body, kit)));
    }

    /// Plays a story to its end; nothing may be left of it.
    fn run(&mut self, begin: impl FnOnce(&mut Self)) {
        begin(self);
        self.drain(0);
        while let Some(next) = self.next_moment() {
            assert!(next < self.start + Duration::from_secs(1200), "{:#?}", self.story);
            self.now = next;
            self.step();
        }
        for usage in self.usages.iter().flatten() {
            assert!(usage.is_finished(), "{:#?}", self.story);
        }
    }

    fn next_moment(&self) -> Option<Instant> {
        let timers = self.usages.iter().flatten().filter_map(Any::next_timeout);
        timers.chain(self.agenda.keys().next().map(|(at, _)| *at)).min()
    }

    fn step(&mut self) {
        while let Some(entry) = self.agenda.first_entry().filter(|it| it.key().0 <= self.now) {
            match entry.remove() {
                Happening::Arrival { at, bytes } => self.arrive(at, bytes),
                Happening::Act { by, is_end } => self.act(by, is_end),
            }
        }
        for at in [0, 1] {
            if let Some(usage) = &mut self.usages[at]
                && usage.next_timeout().is_some_and(|next| next <= self.now)
            {
                usage.handle(self.now, UsageInput::Timeout);
                self.drain(at);
            }
        }
    }

    fn act(&mut self, by: usize, is_end: bool) {
        let now = self.now;
        match &mut self.usages[by] {
            Some(Any::Subscriber(usage)) if is_end => usage.unsubscribe(now),
            Some(Any::Subscriber(usage)) => usage.refresh(now),
            Some(Any::Notifier(usage)) if is_end => {
                usage.terminate(now, Ending::because(EndReason::NoResource), None);
            }
            Some(Any::Notifier(usage)) => {
                usage.publish(now, Some(text("a/b", "whole")), Some(text("a/b", "change")));
            }
            Some(Any::Referred(usage)) => {
                usage.report(now, if is_end { Status::OK } else { Status::RINGING });
            }
            Some(Any::Referral(_) | Any::Inquiry(_) | Any::Inquired(_)) | None => {}
        }
        self.drain(by);
    }

    fn arrive(&mut self, at: usize, bytes: Bytes) {
        let message = read(bytes);
        let is_known = match (route(&message), &self.usages[at]) {
            (Route::Response(key) | Route::InDialog(key), Some(usage)) => {
                usage.local_tag() == Some(key.tag.as_str()) && !usage.is_finished()
            }
            (Route::Initial(key), Some(usage)) => {
                self.caller.as_ref() == Some(&key) && !usage.is_finished()
            }
            (Route::Initial(key), None) if at == 1 => {
                self.caller = Some(key);
                return self.begin_answering(message);
            }
            (_, _) => false,
        };
        match (message, &mut self.usages[at]) {
            (message, Some(usage)) if is_known => {
                usage.handle(self.now, UsageInput::Message { message, source: hop(1 - at) });
            }
            (Message::Request(request), _) => {
                let local = self.kit(at).local;
                if let Some(answer) = stray(&request, &local) {
                    self.send(at, answer.encode());
                }
            }
            (Message::Response(_), _) => {}
        }
        self.drain(at);
    }

    fn begin_answering(&mut self, message: Message) {
        let Message::Request(request) = message else { return };
        let (now, kit) = (self.now, self.kit(1));
        self.usages[1] = Some(if request.method == Method::Subscribe {
            let terms = NotifierTerms {
                packages: vec!["conference".to_owned()],
                content_types: vec!["a/b".to_owned()],
                shortest: 100,
                usual: 100,
                longest: 150,
            };
            let mut usage = Notifier::answering(now, request, hop(0), terms, kit);
            usage.accept(now, Standing::Active, Some(text("a/b", "first")));
            Any::Notifier(usage)
        } else if request.method == Method::Message {
            let mut usage = Inquired::answering(now, request, hop(0), kit);
            usage.answer(now, Status::OK, &[]);
            self.arrivals += 1;
            Any::Inquired(usage)
        } else {
            let mut usage = Referred::answering(now, request, hop(0), kit);
            usage.accept(now);
            Any::Referred(usage)
        });
        self.drain(1);
    }

    fn drain(&mut self, at: usize) {
        while let Some(usage) = &mut self.usages[at] {
            match usage.poll() {
                Wish::Send(bytes, to) => {
                    assert_eq!(to, hop(1 - at));
                    self.send(at, bytes);
                }
                Wish::Told(line) => self.tell(at, &line),
                Wish::Nothing => break,
            }
        }
        // A call that was refused may be made again; here that is another usage at host 1.
        if at == 1 && self.usages[1].as_ref().is_some_and(|usage| self.is_retried(usage)) {
            self.usages[1] = None;
        }
    }

    /// A 423 makes the subscriber ask anew, under the same name.
    fn is_retried(&self, usage: &Any) -> bool {
        matches!(usage, Any::Notifier(usage) if usage.request().is_none())
            && self.story.last().is_some_and(|line| line.ends_with("1 Refused 423"))
    }

    fn send(&mut self, from: usize, bytes: Bytes) {
        let lost = self.chance.below(100) < self.loss_percent;
        let line = describe(&read(bytes.clone()));
        self.tell(from, &format!("{line}{}", if lost { " (lost)" } else { "" }));
        if !lost {
            let delay = self.chance.below(300);
            self.plan(delay, Happening::Arrival { at: 1 - from, bytes });
        }
    }

    fn plan(&mut self, millis: u64, happening: Happening) {
        self.count += 1;
        self.agenda.insert((self.now + Duration::from_millis(millis), self.count), happening);
    }

    fn tell(&mut self, at: usize, line: &str) {
        let millis = self.now.duration_since(self.start).as_millis();
        self.story.push(format!("{millis} {at} {line}"));
    }

    fn errand(&self) -> Errand {
        let target = Uri::parse("sip:room@192.0.2.2").unwrap();
        Errand { target, next_hops: vec![hop(1)], headers: Vec::new(), ..errand() }
    }

    fn kit(&mut self, at: usize) -> Kit {
        let mut kit = kit(0);
        Arc::make_mut(&mut kit.local).hop = hop(at);
        kit.random = self.chance.fork();
        kit
    }
}

fn hop(at: usize) -> Hop {
    Hop::new(Transport::Udp, ["192.0.2.1", "192.0.2.2"][at], 5060)
}
