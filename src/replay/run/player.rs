//! The run itself: cue by cue, what is ours is sent, and what is the bridge's is waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::super::book::{Book, Keep};
use super::super::brief::shortened;
use super::super::raw::Raw;
use super::super::rewrite::{Change, Names};
use super::actions::Call;
use super::api::{Api, Exchange, Told};
use super::expected::Expected;
use super::fence::Holds;
use super::script::{Cause, Cue, Said, Script, kind, understand};
use super::wires::{Event, Way, Wires};
use super::{Pace, courtesy, held, verdict};
use crate::net::HeldBack;
use crate::trace::{End, Moment, Protocol, Recorded, Transport};

/// A message of the bridge.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) said: Said,
    pub(super) bytes: Bytes,
    pub(super) way: Way,
    pub(super) source: SocketAddr,
    pub(super) kind: String,
    pub(super) state: State,
    pub(super) at: Moment,
    /// When it came in, before anything was made of it.
    pub(super) came: Instant,
}

/// What a message of the bridge has turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The script may still wait for it.
    Waiting,
    /// The script has it.
    Claimed,
    /// The trace has nothing of its kind, and says nothing against it.
    Aside,
    /// The trace has nothing of its kind.
    Extra,
}

/// Why a run does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Halt {
    /// The bridge said something else than it should have.
    Differs { cue: usize, heard: usize },
    /// The bridge said nothing.
    Silent { cue: usize },
    /// A call of the application failed.
    Refused { cue: usize, what: String },
    /// The bridge wanted to call somebody else; whether the command line has it do so.
    Held { what: String, is_asked_for: bool },
    /// There is no end to what is said.
    Endless(String),
    /// The bridge cannot be reached.
    Gone(String),
    /// The bridge cannot be reached any longer.
    Lost(String),
    /// Somebody interrupted the run.
    Interrupted,
}

/// A message of ours that is sent again until something answers it.
pub(super) struct Resend {
    pub(super) key: String,
    pub(super) bytes: Bytes,
    pub(super) way: Way,
    pub(super) next: Instant,
    pub(super) pause: Duration,
}

/// How a run is played.
pub(super) struct Manner {
    pub(super) pace: Pace,
    /// Whether nothing is said but what the trace has.
    pub(super) raw: bool,
    /// Whether each step is told.
    pub(super) explains: bool,
    /// How many messages there may be.
    pub(super) max_messages: usize,
    /// What became of the steps of the trace before it was played.
    pub(super) mapped: BTreeMap<usize, Vec<Change>>,
}

/// A run under way.
pub(super) struct Player<'a> {
    pub(super) recorded: &'a Book,
    pub(super) script: &'a Script,
    pub(super) names: Names,
    pub(super) wires: Wires,
    pub(super) api: Api,
    pub(super) manner: Manner,
    pub(super) events: Receiver<Event>,
    pub(super) sender: Sender<Event>,
    holds: Arc<Holds>,
    /// Whether the verdict is spoken: nothing is entered any more, only peace is kept.
    pub(super) is_over: bool,
    pub(super) heard: Vec<Heard>,
    pub(super) told: Vec<(Told, Moment)>,
    /// When each of these was told.
    pub(super) told_at: Vec<Instant>,
    pub(super) calls: Vec<Call>,
    /// What has to be deleted when all is over.
    pub(super) channels: Vec<String>,
    /// The URLs of the sessions, by recorded dialog.
    pub(super) sessions: BTreeMap<usize, String>,
    /// Where the script is.
    pub(super) cue: usize,
    /// The message that each cue of the bridge has claimed.
    pub(super) claims: BTreeMap<usize, usize>,
    /// When the first byte of each recorded message of ours was sent, at the earliest.
    pub(super) sent: BTreeMap<usize, Instant>,
    /// Everything that was said, and the accounts of it.
    pub(super) log: Vec<Recorded>,
    logged: usize,
    pub(super) live: Book,
    /// The recorded step that each message of the log stands for.
    pub(super) stands_for: BTreeMap<usize, usize>,
    /// The place in the accounts of what was heard.
    steps: BTreeMap<usize, usize>,
    pub(super) resends: Vec<Resend>,
    pub(super) answered: BTreeMap<String, Bytes>,
    /// Our ACKs, by the answer that they are for.
    pub(super) acknowledged: BTreeMap<String, Bytes>,
    seen: BTreeSet<String>,
    pub(super) connections: BTreeMap<String, usize>,
    pub(super) notes: Vec<String>,
    /// What the recording has and this run has not, and why, by packet.
    pub(super) left_out: Vec<String>,
    /// What was done, step by step, where that is wanted.
    pub(super) explained: Vec<String>,
    /// Whether an invitation that the trace does not have is to be accepted.
    pub(super) accepts: bool,
    last: Option<Moment>,
}

impl<'a> Player<'a> {
    pub(super) fn new(
        (recorded, script): (&'a Book, &'a Script),
        names: Names,
        (wires, api, manner): (Wires, Api, Manner),
        (sender, events, holds): (Sender<Event>, Receiver<Event>, Arc<Holds>),
    ) -> Self {
        Self {
            recorded,
            script,
            names,
            wires,
            api,
            manner,
            events,
            sender,
            holds,
            is_over: false,
            heard: Vec::new(),
            told: Vec::new(),
            told_at: Vec::new(),
            calls: Vec::new(),
            channels: Vec::new(),
            sessions: BTreeMap::new(),
            cue: 0,
            claims: BTreeMap::new(),
            sent: BTreeMap::new(),
            log: Vec::new(),
            logged: 0,
            live: Book::new(Keep::Messages),
            stands_for: BTreeMap::new(),
            steps: BTreeMap::new(),
            resends: Vec::new(),
            answered: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            seen: BTreeSet::new(),
            connections: BTreeMap::new(),
            notes: Vec::new(),
            left_out: Vec::new(),
            explained: Vec::new(),
            accepts: false,
            last: None,
        }
    }

    /// Plays the script to its end, or to where it does not go on.
    pub(super) async fn play(&mut self, expected: &Expected) -> Result<(), Halt> {
        while let Some(cue) = self.script.cues.get(self.cue) {
            self.keep_pace(cue).await?;
            // Who has left is told nothing more.
            if matches!(cue.cause, Some(Cause::Leave)) {
                verdict::wait_for_before(self, expected, self.packet(cue)).await?;
            }
            if cue.ours {
                self.say(cue).await?;
            } else {
                self.expect(cue).await?;
            }
            self.cue += 1;
        }
        Ok(())
    }

    /// Waits as long as the recording did, as far as that is wanted.
    async fn keep_pace(&mut self, cue: &Cue) -> Result<(), Halt> {
        let gap = self.last.map_or(Duration::ZERO, |last| cue.at.since(last));
        self.last = Some(cue.at);
        let begins = cue.ours || cue.cause.is_some();
        let Some(speed) = self.manner.pace.speed.filter(|_| begins && gap > Duration::ZERO) else {
            return Ok(());
        };
        let pause = gap.div_f64(speed).min(self.manner.pace.max_gap);
        let until = Instant::now() + pause;
        while Instant::now() < until {
            self.step(until).await?;
        }
        Ok(())
    }

    /// Waits for a message of the bridge.
    async fn expect(&mut self, cue: &Cue) -> Result<(), Halt> {
        if let Some(cause) = &cue.cause {
            self.cause(cue, cause).await?;
        }
        if matches!(cue.cause, Some(Cause::Page { .. })) {
            // It is said in a session instead.
            return Ok(());
        }
        let deadline = Instant::now() + self.manner.pace.timeout;
        loop {
            if let Some(index) = self.find(cue) {
                self.explain(&format!("packet {}: {} has come", self.packet(cue), cue.kind));
                self.claim(cue, index);
                return Ok(());
            }
            if cue.optional {
                let packet = self.packet(cue);
                self.explain(&format!("packet {packet}: {} is not waited for", cue.kind));
                return Ok(());
            }
            if let Some(rival) = self.rival(cue) {
                return Err(Halt::Differs { cue: self.cue, heard: rival });
            }
            if let Some(what) = self.failure(self.cue) {
                return Err(Halt::Refused { cue: self.cue, what });
            }
            if Instant::now() >= deadline {
                return Err(self.silence(cue));
            }
            self.step(deadline).await?;
        }
    }

    fn claim(&mut self, cue: &Cue, index: usize) {
        let heard = &mut self.heard[index];
        heard.state = State::Claimed;
        self.claims.insert(cue.step, index);
        if let Some(step) = self.steps.get(&index) {
            self.stands_for.insert(*step, cue.step);
        }
        let recorded = &self.recorded.steps[cue.step].bytes;
        match heard.said {
            Said::Sip(_) => self.names.learn_sip(recorded, &heard.bytes),
            Said::Msrp(_) => self.names.learn_msrp(recorded, &heard.bytes),
        }
    }

    /// Sends, and enters it into the log.
    pub(super) async fn send(
        &mut self,
        bytes: Bytes,
        way: Way,
        stands_for: Option<usize>,
        protocol: Protocol,
    ) -> Result<(), Halt> {
        // What it causes comes later than this.
        if let Some(recorded) = stands_for {
            self.sent.entry(recorded).or_insert_with(Instant::now);
        }
        // Whoever does not read holds up a stream.
        let sent = timeout(self.manner.pace.timeout, self.wires.send(way, bytes.clone())).await;
        let sent =
            sent.map_err(|_| Halt::Lost("the bridge does not read what is sent".to_owned()))?;
        let (ends, transport) = sent.map_err(|error| Halt::Gone(error.to_string()))?;
        let step = self.enter(protocol, transport, bytes, ends);
        if let (Some(step), Some(recorded)) = (step, stands_for) {
            self.stands_for.insert(step, recorded);
        }
        Ok(())
    }

    /// Enters a message into the log; gives its place in the accounts.
    fn enter(
        &mut self,
        protocol: Protocol,
        transport: Transport,
        bytes: Bytes,
        ends: (SocketAddr, SocketAddr),
    ) -> Option<usize> {
        self.enter_at(now(), (protocol, transport), bytes, ends)
    }

    /// Enters a call and its answer, the call at the time when it was made.
    fn enter_exchange(&mut self, exchange: &Exchange) {
        let ((own, rest), http) = (exchange.ends, (Protocol::Http, Transport::Tcp));
        self.enter_at(exchange.at, http, exchange.request.clone(), (own, rest));
        self.enter_at(now(), http, exchange.answer.clone(), (rest, own));
    }

    fn enter_at(
        &mut self,
        at: Moment,
        (protocol, transport): (Protocol, Transport),
        bytes: Bytes,
        (from, to): (SocketAddr, SocketAddr),
    ) -> Option<usize> {
        if self.is_over {
            return None;
        }
        let packet = self.log.len() as u64 + 1;
        let (from, to) = (End::At(from), End::At(to));
        let recorded = Recorded { at, from, to, transport, protocol, packet, bytes };
        let before = self.live.steps.len();
        self.logged += recorded.bytes.len();
        self.live.add(&recorded);
        self.log.push(recorded);
        (self.live.steps.len() > before).then_some(before)
    }

    /// Lets one thing happen, at the latest until then.
    pub(super) async fn step(&mut self, until: Instant) -> Result<(), Halt> {
        let next = self.resends.iter().map(|resend| resend.next).min();
        let wake = next.map_or(until, |next| next.min(until));
        tokio::select! {
            event = self.holds.next(&mut self.events) => match event {
                Some(event) => self.take(event).await,
                None => Err(Halt::Gone("all sockets are closed".to_owned())),
            },
            () = sleep_until(wake) => self.send_again().await,
        }
    }

    async fn send_again(&mut self) -> Result<(), Halt> {
        let now = Instant::now();
        let mut due = Vec::new();
        for resend in self.resends.iter_mut().filter(|resend| resend.next <= now) {
            resend.pause = (resend.pause * 2).min(T2);
            resend.next = now + resend.pause;
            due.push((resend.bytes.clone(), resend.way));
        }
        for (bytes, way) in due {
            self.send(bytes, way, None, Protocol::Sip).await?;
        }
        Ok(())
    }

    async fn take(&mut self, event: Event) -> Result<(), Halt> {
        let is_full = self.log.len() >= self.manner.max_messages || self.logged >= MAX_LOGGED;
        if is_full && !self.is_over {
            let why = format!("there are more than {} messages", self.log.len());
            return Err(Halt::Endless(why));
        }
        match event {
            Event::Told { .. } | Event::Called { .. } | Event::Deaf { .. } if self.is_over => {}
            Event::Opened { stream, outbox, ends } => self.wires.enter(stream, outbox, ends),
            Event::Called { call, result } => {
                if let Ok(exchange) = &result {
                    self.enter_exchange(exchange);
                }
                self.called(call, result);
            }
            Event::Told { told, exchange, came } => {
                self.told_at.resize(self.told.len() + told.len(), came);
                self.enter_exchange(&exchange);
                let at = now();
                self.told.extend(told.into_iter().map(|told| (told, at)));
            }
            Event::Deaf { user, why } => {
                return Err(Halt::Lost(format!("{user} is told nothing any more: {why}")));
            }
            Event::Held(held) if self.is_over => self.note_behind(&held),
            Event::Held(held) => return Err(held::halt(self, &held)),
            Event::Heard { protocol: Protocol::Http, .. } => {}
            Event::Heard { protocol, bytes, way, ends, came } => {
                return self.hear((protocol, bytes), way, ends, came).await;
            }
        }
        Ok(())
    }

    async fn hear(
        &mut self,
        (protocol, bytes): (Protocol, Bytes),
        way: Way,
        ends: (SocketAddr, SocketAddr),
        came: Instant,
    ) -> Result<(), Halt> {
        if !self.api.pass.fence.permits(ends.0.ip()) {
            let note = format!("{} is not listened to: it is another host", ends.0.ip());
            if !self.notes.contains(&note) && self.notes.len() < MAX_NOTES {
                self.notes.push(note);
            }
            return Ok(());
        }
        let said = understand(protocol, &bytes);
        let transport = if matches!(way, Way::Stream(_)) { Transport::Tcp } else { Transport::Udp };
        let step = self.enter(protocol, transport, bytes.clone(), ends);
        match &said {
            Said::Sip(sip) => {
                self.settle(sip);
                let key = if sip.line_is_answer() {
                    format!("{} {} {}", kind(&said, &bytes), sip.branch, sip.to.tag)
                } else {
                    transaction(sip)
                };
                if !self.seen.insert(key) {
                    let again = match sip.line_is_answer() {
                        false => self.answered.get(&transaction(sip)),
                        // An answer that comes again has not seen its ACK (RFC 3261 section 13.2.2.4).
                        true if sip.method() == "INVITE" => {
                            self.acknowledged.get(&acknowledgement(sip))
                        }
                        true => None,
                    };
                    let again = again.filter(|_| !self.manner.raw).cloned();
                    return match again {
                        Some(again) => self.send(again, way, None, Protocol::Sip).await,
                        None => Ok(()),
                    };
                }
                if self.names.bridge.is_none() {
                    self.names.bridge = Some(ends.0);
                }
            }
            Said::Msrp(msrp) => {
                if let Way::Stream(stream) = way {
                    self.connections.insert(msrp.from.clone(), stream);
                }
            }
        }
        let kind = kind(&said, &bytes);
        let mut heard = Heard {
            said,
            bytes,
            way,
            source: ends.0,
            kind,
            state: State::Waiting,
            at: now(),
            came,
        };
        let is_for_aside = self.accepts && heard.kind == "SIP INVITE";
        if !is_for_aside && !self.is_wanted(&heard) {
            heard.state = courtesy::state(&heard, self.script.has_msrp);
            let answer = if self.manner.raw { None } else { courtesy::answer(self, &heard) };
            if let Some(bytes) = answer {
                let protocol = match &heard.said {
                    Said::Sip(sip) => {
                        self.answered.insert(transaction(sip), bytes.clone());
                        Protocol::Sip
                    }
                    Said::Msrp(_) => Protocol::Msrp,
                };
                self.send(bytes, way, None, protocol).await?;
            }
        }
        if let Some(step) = step {
            self.steps.insert(self.heard.len(), step);
        }
        self.heard.push(heard);
        Ok(())
    }

    /// Stops sending again what is answered.
    fn settle(&mut self, sip: &super::super::said::Sip) {
        let key = match (sip.line_is_answer(), sip.method()) {
            (true, _) => format!("branch {}", sip.branch),
            (false, "ACK") => format!("ack {}", sip.call_id),
            (false, _) => return,
        };
        self.resends.retain(|resend| resend.key != key);
    }

    /// Leaves a message of the recording out.
    pub(super) fn leave_out(&mut self, cue: &Cue, why: &str) {
        let left_out = format!("packet {}: {} {why}", self.packet(cue), cue.kind);
        self.explain(&left_out);
        self.left_out.push(left_out);
    }

    fn packet(&self, cue: &Cue) -> u64 {
        self.recorded.steps[cue.step].packet
    }

    /// Tells what was sent for a cue, and what was rewritten in it.
    pub(super) fn explain_sent(&mut self, cue: &Cue, changes: &[Change]) {
        if !self.manner.explains {
            return;
        }
        let packet = self.recorded.steps[cue.step].packet;
        self.explain(&format!("packet {packet}: {} is sent", cue.kind));
        let mapped = self.manner.mapped.get(&cue.step);
        let changes = mapped.into_iter().flatten().chain(changes);
        let lines: Vec<String> = changes.map(|change| format!("  {}", change.line())).collect();
        lines.iter().for_each(|line| self.explain(line));
    }

    /// Tells a step of the run, where that is wanted.
    pub(super) fn explain(&mut self, line: &str) {
        if self.manner.explains && self.explained.len() < MAX_EXPLAINED {
            self.explained.push(line.to_owned());
        }
    }

    /// Waits until something holds, or the deadline has come.
    pub(super) async fn until(
        &mut self,
        deadline: Instant,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Result<bool, Halt> {
        loop {
            if holds(self) {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.step(deadline).await?;
        }
    }

    /// Tells what was held back of the tidying: it is none of the recording, and ends nothing.
    fn note_behind(&mut self, held: &HeldBack) {
        if let Halt::Held { what, .. } = held::halt(self, held) {
            let note = format!("behind the end: {what}");
            if !self.notes.contains(&note) && self.notes.len() < MAX_NOTES {
                self.notes.push(note);
            }
        }
    }

    /// Takes what still comes, without waiting for the script.
    pub(super) async fn drain(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while let Ok(Some(event)) = timeout_at(deadline, self.holds.next(&mut self.events)).await {
            if self.take(event).await.is_err() {
                return;
            }
        }
    }

    /// Finds the recorded dialog that a message of the bridge is of, where it has one.
    pub(super) fn dialog_of_heard(&self, heard: usize) -> Option<usize> {
        let step = &self.live.steps[*self.steps.get(&heard)?];
        let call = &self.live.dialogs[step.dialog?].call_id;
        let is_of = |cue: &&Cue| match &cue.said {
            Said::Sip(sip) => {
                let known = self.names.known_call(&sip.call_id);
                known.is_some_and(|known| shortened(known) == *call)
            }
            Said::Msrp(_) => false,
        };
        self.script.cues.iter().find(is_of)?.dialog
    }

    pub(super) fn has_claimed(&self, step: usize) -> bool {
        self.claims.contains_key(&step)
    }
}

/// What the requests of one transaction share.
pub(super) fn transaction(sip: &super::super::said::Sip) -> String {
    format!("{} {} {}", sip.method(), sip.branch, sip.cseq)
}

/// What an answer to an INVITE and its ACK share.
pub(super) fn acknowledgement(sip: &super::super::said::Sip) -> String {
    let number = sip.cseq.split(' ').next().unwrap_or_default();
    format!("{} {number} {}", sip.call_id, sip.to.tag)
}

pub(super) fn now() -> Moment {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment::new(now.as_secs(), u64::from(now.subsec_nanos()))
}

/// Gives a field of a message.
pub(super) fn field(bytes: &[u8], name: (&str, &str)) -> Option<String> {
    Raw::read(bytes).text(name).map(std::borrow::Cow::into_owned)
}

/// The longest pause between two of a kind (RFC 3261 section 17.1.2.1).
const T2: Duration = Duration::from_secs(4);
/// Lines of explanation, and bytes of messages, that are kept of a run.
const MAX_EXPLAINED: usize = 500_000;
const MAX_LOGGED: usize = 256 * 1024 * 1024;
const MAX_NOTES: usize = 1000;
