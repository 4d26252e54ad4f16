//! One task owns all dialogs: it finds them by their names, drives them, and keeps their timers.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::future::pending;
use std::time::Instant;

use chatbridge::ids::Random;
use chatbridge::net::Inbound;
use chatbridge::sip::{
    DialogKey, Hop, Kit, Leg, LegEvent, LegInput, LegOutput, Message, Method, Route, route,
};
use chatbridge::store::connections::OnFailure;
use tokio::sync::mpsc;
use tokio::time::{Instant as Tick, sleep_until};

use super::ours::Ground;

/// How many messages are taken at once.
const BATCH: usize = 64;

struct Shard {
    ground: Ground,
    random: Random,
    legs: Vec<Option<Entry>>,
    free: Vec<usize>,
    by_dialog: HashMap<DialogKey, usize>,
    by_caller: HashMap<DialogKey, usize>,
    /// When to look at a leg; a look too early does no harm.
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    failures: mpsc::Sender<(usize, Hop)>,
}

struct Entry {
    leg: Leg,
    /// The earliest look that is planned.
    look_at: Option<Instant>,
    caller: Option<DialogKey>,
}

pub(crate) async fn run(ground: Ground, mut inbound: mpsc::Receiver<Inbound>) {
    let (failures, mut failed) = mpsc::channel(64);
    let mut shard = Shard {
        ground,
        random: Random::seeded(u64::from(std::process::id())),
        legs: Vec::new(),
        free: Vec::new(),
        by_dialog: HashMap::new(),
        by_caller: HashMap::new(),
        timers: BinaryHeap::new(),
        failures,
    };
    let first = shard.ground.calls.as_ref().map_or(0, |calls| calls.concurrency);
    (0..first).for_each(|_| shard.call());
    let mut batch = Vec::new();
    loop {
        let next = shard.timers.peek().map(|Reverse((at, _))| Tick::from_std(*at));
        let timer = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            count = inbound.recv_many(&mut batch, BATCH) => if count == 0 { return },
            Some((index, hop)) = failed.recv() => {
                shard.feed(index, LegInput::TransportFailed { hop });
            }
            () = timer => {}
        }
        batch.drain(..).for_each(|inbound| shard.take(inbound));
        shard.look();
    }
}

impl Shard {
    fn kit(&mut self) -> Kit {
        Kit {
            local: self.ground.local.clone(),
            timers: self.ground.timers,
            random: self.random.fork(),
        }
    }

    fn call(&mut self) {
        let Some(call) = self.ground.calls.as_mut().and_then(|calls| calls.next()) else { return };
        let leg = Leg::call(Instant::now(), call, self.kit());
        let index = self.enter(leg, None);
        self.drain(index);
    }

    fn enter(&mut self, leg: Leg, caller: Option<DialogKey>) -> usize {
        let key = own_key(&leg);
        let entry = Some(Entry { leg, look_at: None, caller: caller.clone() });
        let index = match self.free.pop() {
            Some(index) => {
                self.legs[index] = entry;
                index
            }
            None => {
                self.legs.push(entry);
                self.legs.len() - 1
            }
        };
        self.by_dialog.insert(key, index);
        if let Some(caller) = caller {
            self.by_caller.insert(caller, index);
        }
        index
    }

    fn take(&mut self, Inbound { message, source }: Inbound) {
        let (found, caller) = match route(&message) {
            Route::Response(key) | Route::InDialog(key) => (self.by_dialog.get(&key), None),
            Route::Initial(key) => (self.by_caller.get(&key), Some(key)),
            Route::Malformed => return,
        };
        match (found.copied(), message) {
            (Some(index), message) => self.feed(index, LegInput::Message { message, source }),
            (None, Message::Request(invite)) if invite.method == Method::Invite => {
                let now = Instant::now();
                let mut leg = Leg::answering(now, invite, source, self.kit());
                leg.accept(now, self.ground.answer.clone());
                let index = self.enter(leg, caller);
                self.drain(index);
            }
            (None, Message::Request(_) | Message::Response(_)) => {}
        }
    }

    fn feed(&mut self, index: usize, input: LegInput) {
        if let Some(Some(entry)) = self.legs.get_mut(index) {
            entry.leg.handle(Instant::now(), input);
            self.drain(index);
        }
    }

    /// Carries out what a leg wishes, and plans the next look at it.
    fn drain(&mut self, index: usize) {
        let mut ended = 0;
        let Some(Some(entry)) = self.legs.get_mut(index) else { return };
        while let Some(output) = entry.leg.poll() {
            match output {
                LegOutput::Send { bytes, hop } => {
                    let (failures, failed) = (self.failures.clone(), hop.clone());
                    let tell = move || drop(failures.try_send((index, failed)));
                    self.ground.outbound.send(bytes, &hop, OnFailure::new(tell));
                }
                LegOutput::Event(event) => {
                    let Some(calls) = &mut self.ground.calls else { continue };
                    match event {
                        LegEvent::Established { .. } if !calls.hold => {
                            entry.leg.bye(Instant::now(), None);
                        }
                        event => {
                            if let Some(is_well) = end_of_call(&event) {
                                calls.end(is_well);
                                ended += 1;
                            }
                        }
                    }
                }
                LegOutput::Spare { .. } => {}
            }
        }
        if entry.leg.is_finished() {
            self.leave(index);
        } else if let Some(next) = entry.leg.next_timeout()
            && entry.look_at.is_none_or(|planned| next < planned)
        {
            entry.look_at = Some(next);
            self.timers.push(Reverse((next, index)));
        }
        (0..ended).for_each(|_| self.call());
    }

    fn leave(&mut self, index: usize) {
        if let Some(entry) = self.legs.get_mut(index).and_then(Option::take) {
            self.by_dialog.remove(&own_key(&entry.leg));
            if let Some(caller) = entry.caller {
                self.by_caller.remove(&caller);
            }
            self.free.push(index);
        }
    }

    /// Looks at every leg that wanted to be looked at by now.
    fn look(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, index))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            let Some(Some(entry)) = self.legs.get_mut(index) else { continue };
            if entry.look_at != Some(at) {
                continue;
            }
            entry.look_at = None;
            if entry.leg.next_timeout().is_some_and(|next| next <= now) {
                entry.leg.handle(now, LegInput::Timeout);
            }
            self.drain(index);
        }
    }
}

fn own_key(leg: &Leg) -> DialogKey {
    DialogKey { call_id: leg.call_id().to_owned(), tag: leg.local_tag().to_owned() }
}

/// Tells whether this ends a call, or brings it as far as it shall come, and whether all is well.
pub(crate) fn end_of_call(event: &LegEvent) -> Option<bool> {
    match event {
        LegEvent::ByeDone | LegEvent::Established { .. } => Some(true),
        LegEvent::Refused { .. }
        | LegEvent::NoAnswer(_)
        | LegEvent::Cancelled
        | LegEvent::SessionExpired
        | LegEvent::Ended { .. }
        | LegEvent::Lost { .. } => Some(false),
        _ => None,
    }
}
