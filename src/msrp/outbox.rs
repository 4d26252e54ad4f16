//! Outgoing messages: the queue, the chunks, and what has become of them.
//!
//! A message is cut into chunks one at a time, when the connection has room for one; in between,
//! short messages overtake the rest of a long one (RFC 4975 section 7.1.1).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use memchr::{memchr, memmem};

use super::event::Outgoing;
use super::frame::{ByteRange, Continuation, FailureReport, Frame, Method, TransactionId};
use super::framing::END_LINE;
use super::limits::Limits;
use super::text::Text;
use super::uri::Path;
use crate::ids::Random;

/// The messages of one session that are not settled yet.
#[derive(Debug)]
pub(super) struct Outbox {
    limits: Arc<Limits>,
    /// By the order in which they were taken.
    jobs: BTreeMap<u64, Job>,
    next_job: u64,
    unsent: Unsent,
    transactions: BTreeMap<TransactionId, Transaction>,
    /// The ends of the response times, the earliest first; the first one is of an open transaction.
    expiries: VecDeque<(Instant, TransactionId)>,
    in_flight: usize,
    /// How many octets those are, by about.
    octets_in_flight: usize,
    /// When the peer last gave a sign that it takes what we send.
    heard: Option<Instant>,
    /// A long message has let a short one pass and is to go on now.
    long_next: bool,
}

/// The next thing to write.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) frame: Frame,
    /// The message that it is the first of, by Message-ID.
    pub(super) begins: Option<String>,
    /// The length of the whole message.
    pub(super) size: usize,
    /// The message that needs nothing more than this chunk.
    pub(super) settled: Option<Settled>,
}

/// What has become of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) message_id: String,
    pub(super) outcome: Outcome,
    /// The chunk that tells the peer that the rest will not come.
    pub(super) abort: Option<Rest>,
}

/// The final status of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Sent,
    Failed { code: u16, comment: Option<String> },
}

/// A message that ends before its time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rest {
    message: Outgoing,
    from: usize,
}

/// Where the chunks of a session go and come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route<'a> {
    pub(super) peer: &'a Path,
    pub(super) us: &'a Path,
}

impl Outbox {
    pub(super) fn new(limits: Arc<Limits>) -> Self {
        Self {
            limits,
            jobs: BTreeMap::new(),
            next_job: 0,
            unsent: Unsent::default(),
            transactions: BTreeMap::new(),
            expiries: VecDeque::new(),
            in_flight: 0,
            octets_in_flight: 0,
            heard: None,
            long_next: false,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.jobs.len() >= self.limits.queue
    }

    /// Tells whether nothing waits to be sent or answered; reports may still come.
    pub(super) fn is_idle(&self) -> bool {
        self.jobs.values().all(|job| job.all_sent && job.unanswered == 0)
    }

    pub(super) fn push(&mut self, now: Instant, message: Outgoing) {
        let job =
            Job { message, next: 0, all_sent: false, unanswered: 0, since: now, again: false };
        self.unsent.push(self.next_job, self.is_long(&job));
        self.jobs.insert(self.next_job, job);
        self.next_job += 1;
        // Some may have been given up before their turn.
        self.unsent.tidy(&self.jobs);
    }

    /// Starts the clock for what has waited for the session to be bound.
    pub(super) fn bound(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// Makes the next chunk, if the peer may get one.
    pub(super) fn next_chunk(
        &mut self,
        now: Instant,
        route: Route<'_>,
        random: &mut Random,
    ) -> Option<Chunk> {
        if self.in_flight >= self.limits.window.max(1) {
            return None;
        }
        let (number, is_short) = self.turn()?;
        let job = self.jobs.get_mut(&number)?;
        let octets = job.next_octets(self.limits.chunk_bytes);
        // One is always let out, however long it is.
        if self.in_flight > 0 && self.octets_in_flight + octets > self.limits.window_bytes {
            return None;
        }
        self.long_next = is_short;
        let begins = (job.next == 0).then(|| job.message.message_id.clone());
        let size = job.message.body.len();
        let frame = job.next_chunk(route, random, self.limits.chunk_bytes.max(1));
        let wish = job.message.failure_report;
        if wish != FailureReport::No {
            job.unanswered += 1;
            let counted = wish == FailureReport::Yes;
            if counted {
                self.in_flight += 1;
                self.octets_in_flight += octets;
            }
            let transaction = Transaction { job: number, counted: counted.then_some(octets) };
            self.transactions.insert(frame.tid.clone(), transaction);
            // One that stays open must not keep all that were answered behind it.
            if self.expiries.len() >= 2 * self.transactions.len() + SPARE {
                self.expiries.retain(|(_, tid)| self.transactions.contains_key(tid));
            }
            self.expiries.push_back((now + self.limits.response_wait, frame.tid.clone()));
        }
        Some(Chunk { frame, begins, size, settled: self.settle_if_sent(number) })
    }

    /// Takes a response.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        tid: &TransactionId,
        outcome: Outcome,
    ) -> Answered {
        let Some(transaction) = self.transactions.remove(tid) else { return Answered::Unknown };
        while let Some((_, tid)) = self.expiries.front()
            && !self.transactions.contains_key(tid)
        {
            self.expiries.pop_front();
        }
        self.heard = Some(now);
        Answered::Known(self.close(transaction, outcome))
    }

    /// Takes a failure report on a message that is not settled yet.
    pub(super) fn reported(&mut self, message_id: &str, outcome: Outcome) -> Option<Settled> {
        let named = |job: &&u64| {
            self.jobs
                .get(job)
                .is_some_and(|job| job.next > 0 && job.message.message_id == message_id)
        };
        let number = *self.jobs.keys().find(named)?;
        self.settle(number, outcome)
    }

    /// Ends the transactions that have waited long enough, and the messages that cannot hope.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Settled> {
        let mut settled = Vec::new();
        let mut silent = false;
        while let Some((expiry, tid)) = self.expiries.front()
            && (*expiry <= now || !self.transactions.contains_key(tid))
        {
            let Some((_, tid)) = self.expiries.pop_front() else { break };
            if let Some(transaction) = self.transactions.remove(&tid) {
                // Silence is failure only where an answer was due (RFC 4975 section 7.1.1).
                let counted = transaction.counted.is_some();
                let outcome = if counted { timeout() } else { Outcome::Sent };
                silent |= counted;
                settled.extend(self.close(transaction, outcome));
            }
        }
        if silent {
            settled.extend(self.give_up_waiting(now));
        }
        settled
    }

    /// Begins anew what was begun on a connection that is lost, once for each message.
    pub(super) fn interrupt(&mut self) -> Vec<Settled> {
        self.transactions.clear();
        self.expiries.clear();
        (self.in_flight, self.octets_in_flight) = (0, 0);
        let mut hopeless = Vec::new();
        for (number, job) in &mut self.jobs {
            let is_begun = job.next > 0 || job.all_sent;
            match (is_begun, job.again) {
                (false, _) => {}
                (true, false) => {
                    (job.next, job.all_sent, job.unanswered) = (0, false, 0);
                    job.again = true;
                }
                (true, true) => hopeless.push(*number),
            }
        }
        let comment = Some("the connection was lost twice".to_owned());
        let lost = Outcome::Failed { code: 408, comment };
        self.unsent = Unsent::default();
        for (number, job) in &self.jobs {
            self.unsent.push(*number, job.message.body.len() > self.limits.chunk_bytes);
        }
        let settled = hopeless.into_iter().filter_map(|number| self.settle(number, lost.clone()));
        settled.map(|settled| Settled { abort: None, ..settled }).collect()
    }

    /// Settles everything that is left in one way.
    pub(super) fn drain(&mut self, outcome: &Outcome) -> Vec<Settled> {
        self.transactions.clear();
        self.expiries.clear();
        (self.in_flight, self.octets_in_flight) = (0, 0);
        self.unsent = Unsent::default();
        let jobs = std::mem::take(&mut self.jobs);
        let settled = |job: Job| Settled {
            message_id: job.message.message_id,
            outcome: outcome.clone(),
            abort: None,
        };
        jobs.into_values().map(settled).collect()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.expiries.front().map(|(expiry, _)| *expiry)
    }

    /// Picks who sends next: the first short message, or in turns with it the first long one.
    /// Tells whether it is that short one.
    fn turn(&mut self) -> Option<(u64, bool)> {
        let (short, long) = self.unsent.first(&self.jobs);
        let begun = long.and_then(|long| self.jobs.get(&long)).is_some_and(|job| job.next > 0);
        let number = match (short, long) {
            (Some(short), Some(long)) if begun => {
                if self.long_next {
                    long
                } else {
                    short
                }
            }
            (Some(short), Some(long)) => short.min(long),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => return None,
        };
        Some((number, Some(number) == short))
    }

    fn is_long(&self, job: &Job) -> bool {
        job.message.body.len() > self.limits.chunk_bytes
    }

    fn close(&mut self, transaction: Transaction, outcome: Outcome) -> Option<Settled> {
        if let Some(octets) = transaction.counted {
            self.in_flight = self.in_flight.saturating_sub(1);
            self.octets_in_flight = self.octets_in_flight.saturating_sub(octets);
        }
        let job = self.jobs.get_mut(&transaction.job)?;
        match outcome {
            Outcome::Sent => {
                job.unanswered -= 1_usize.min(job.unanswered);
                self.settle_if_sent(transaction.job)
            }
            failed @ Outcome::Failed { .. } => self.settle(transaction.job, failed),
        }
    }

    fn settle_if_sent(&mut self, number: u64) -> Option<Settled> {
        let job = self.jobs.get(&number)?;
        let done = job.all_sent && job.unanswered == 0;
        if done { self.settle(number, Outcome::Sent) } else { None }
    }

    fn settle(&mut self, number: u64, outcome: Outcome) -> Option<Settled> {
        let job = self.jobs.remove(&number)?;
        let message_id = job.message.message_id.clone();
        let abort = match &outcome {
            // After 413 not even that chunk may follow (RFC 4975 section 10.5), and a peer
            // without the session has nothing to give up.
            Outcome::Sent | Outcome::Failed { code: 413 | 481 | 506, .. } => None,
            Outcome::Failed { .. } => (job.next > 0 && !job.all_sent)
                .then_some(Rest { message: job.message, from: job.next }),
        };
        Some(Settled { message_id, outcome, abort })
    }

    /// Fails what has waited for its turn while the peer was silent all the time.
    fn give_up_waiting(&mut self, now: Instant) -> Vec<Settled> {
        let heard = self.heard;
        let wait = self.limits.response_wait;
        let hopeless = |job: &Job| {
            let since = heard.map_or(job.since, |heard| heard.max(job.since));
            job.next == 0 && !job.all_sent && now.saturating_duration_since(since) >= wait
        };
        let numbers: Vec<u64> =
            self.jobs.iter().filter(|(_, job)| hopeless(job)).map(|(number, _)| *number).collect();
        numbers.into_iter().filter_map(|number| self.settle(number, timeout())).collect()
    }
}

/// Whether a response belongs to anything.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// To no open transaction.
    Unknown,
    /// To one; with it a message may be settled.
    Known(Option<Settled>),
}

impl Rest {
    /// Makes the empty chunk with which the message ends (RFC 4975 section 7.1).
    pub(super) fn chunk(self, route: Route<'_>, random: &mut Random) -> Frame {
        let mut frame = self.message.frame(route, TransactionId::draw(random, b""));
        let total = Some(self.message.body.len() as u64);
        frame.byte_range = Some(ByteRange { start: self.from as u64 + 1, end: None, total });
        frame.body = Some(Bytes::new());
        frame.flag = Continuation::Abort;
        frame
    }
}

/// The messages that are not sent to their end, in their order; others among them are passed over.
#[derive(Debug, Default)]
struct Unsent {
    /// Those of one chunk.
    short: VecDeque<u64>,
    /// Those of more than one.
    long: VecDeque<u64>,
}

impl Unsent {
    fn push(&mut self, number: u64, is_long: bool) {
        if is_long { self.long.push_back(number) } else { self.short.push_back(number) }
    }

    /// Gives the first short one and the first long one.
    fn first(&mut self, jobs: &BTreeMap<u64, Job>) -> (Option<u64>, Option<u64>) {
        let first = |row: &mut VecDeque<u64>| {
            while let Some(number) = row.front() {
                if is_unsent(jobs, *number) {
                    return Some(*number);
                }
                row.pop_front();
            }
            None
        };
        (first(&mut self.short), first(&mut self.long))
    }

    fn tidy(&mut self, jobs: &BTreeMap<u64, Job>) {
        if self.short.len() + self.long.len() > 2 * jobs.len() + SPARE {
            self.short.retain(|number| is_unsent(jobs, *number));
            self.long.retain(|number| is_unsent(jobs, *number));
        }
    }
}

fn is_unsent(jobs: &BTreeMap<u64, Job>, number: u64) -> bool {
    jobs.get(&number).is_some_and(|job| !job.all_sent)
}

#[derive(Debug)]
struct Transaction {
    job: u64,
    /// How many octets of the window it takes until it is answered, if it has a place there.
    counted: Option<usize>,
}

#[derive(Debug)]
struct Job {
    message: Outgoing,
    /// Where the next chunk begins.
    next: usize,
    all_sent: bool,
    unanswered: usize,
    since: Instant,
    /// It was begun before on a connection that is lost.
    again: bool,
}

impl Job {
    /// Tells how long the next chunk will be on the wire, by about.
    fn next_octets(&self, size: usize) -> usize {
        HEAD + self.message.body.len().saturating_sub(self.next).min(size)
    }

    fn next_chunk(&mut self, route: Route<'_>, random: &mut Random, size: usize) -> Frame {
        let whole = &self.message.body;
        let end = chunk_end(whole, self.next, size);
        let body = whole.slice(self.next..end);
        let mut frame = self.message.frame(route, TransactionId::draw(random, &body));
        // Larger chunks have to be interruptible, and look so (RFC 4975 section 7.1.1).
        let known_end = (body.len() <= UNINTERRUPTED).then_some(end as u64);
        let (start, total) = (self.next as u64 + 1, Some(whole.len() as u64));
        frame.byte_range = Some(ByteRange { start, end: known_end, total });
        self.all_sent = end == whole.len();
        if !self.all_sent {
            frame.flag = Continuation::More;
        }
        self.next = end;
        frame.body = Some(body);
        frame
    }
}

impl Outgoing {
    fn frame(&self, route: Route<'_>, tid: TransactionId) -> Frame {
        let mut frame = Frame::request(Method::Send, tid, route.peer.clone(), route.us.clone());
        frame.message_id = Some(Text::new(&self.message_id));
        // Some peers report only where both wishes are spelled out.
        if self.success_report {
            frame.success_report = Some(true);
        }
        if self.success_report || self.failure_report != FailureReport::Yes {
            frame.failure_report = Some(self.failure_report);
        }
        frame.content_type = Some(Text::new(&self.content_type));
        frame
    }
}

/// Ends a chunk before what some peers take for an end-line, whatever stands behind the hyphens, and
/// before a character of UTF-8 rather than within: some peers read chunk by chunk.
fn chunk_end(whole: &[u8], start: usize, size: usize) -> usize {
    let end = start.saturating_add(size).min(whole.len());
    if let Some(length) = whole.get(start..end).and_then(before_end_line) {
        return start + length;
    }
    if end == whole.len() {
        return end;
    }
    let within = |place: usize| whole.get(place).is_some_and(|octet| octet & 0xc0 == 0x80);
    let back = (0..LONGEST_CHARACTER.min(size)).find(|back| !within(end - back)).unwrap_or(0);
    end - back
}

/// Tells how much of a chunk can stand alone, if what looks like an end-line begins in it.
fn before_end_line(chunk: &[u8]) -> Option<usize> {
    // Nearly every text is one line: to get ready for a search would cost more than this.
    let first = memchr(b'\r', chunk)?;
    let at = memmem::find(chunk.get(first..)?, END_LINE)?;
    // The line break itself is cut, for the next chunk must not begin with the hyphens.
    Some(first + at + 1)
}

fn timeout() -> Outcome {
    Outcome::Failed { code: 408, comment: Some("no answer in time".to_owned()) }
}

/// The largest body that need not be interruptible (RFC 4975 section 7.1.1).
const UNINTERRUPTED: usize = 2048;
const LONGEST_CHARACTER: usize = 4;
/// How many octets of a chunk are not its body, by about.
const HEAD: usize = 512;
/// How many ends of response times may be left over from transactions that are none any more, and
/// how many places in the row of messages.
const SPARE: usize = 64;

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn m13_a_chunk_without_answer_keeps_nothing_of_those_with_one() {
        let (mut outbox, mut random) = (Outbox::new(Arc::default()), Random::seeded(1));
        let now = Instant::now();
        let peer = Path::parse("msrp://b:2/y;tcp").ok();
        let Some(path) = &peer else { panic!("this is a path") };
        let route = Route { peer: path, us: path };
        for number in 0..10_000 {
            outbox.push(now, outgoing(&number.to_string(), "x"));
            let Some(chunk) = outbox.next_chunk(now, route, &mut random) else {
                panic!("there is room")
            };
            if number > 0 {
                let answered = outbox.answered(now, &chunk.frame.tid, Outcome::Sent);
                assert!(matches!(answered, Answered::Known(Some(_))));
            }
        }
        assert!(outbox.expiries.len() <= SPARE + 4, "{} are left", outbox.expiries.len());
        assert_eq!(outbox.transactions.len(), 1);
    }

    /// Those at the front have failed before their turn came, and hold up nobody.
    #[test]
    fn who_was_given_up_at_the_front_of_a_row_holds_up_nobody() {
        let mut stage = Stage::new(Limits { window: 1, chunk_bytes: 4, ..Limits::default() });
        stage.outbox.bound(stage.now);
        for (id, body) in [("silent", "x"), ("a", "x"), ("b", "long long"), ("c", "x")] {
            stage.push(id, body);
        }
        let silent = stage.next().map(|(said, _)| said);
        assert_eq!(silent.as_deref(), Some("silent 1-1/1"));
        stage.now += Duration::from_secs(20);
        for (id, body) in [("d", "x"), ("e", "long long"), ("f", "x"), ("g", "x")] {
            stage.push(id, body);
        }
        assert_eq!(stage.next(), None, "the window is full");
        stage.now += Duration::from_secs(10);
        let failed: Vec<String> =
            stage.outbox.expire(stage.now).into_iter().map(|settled| settled.message_id).collect();
        assert_eq!(failed, ["silent", "a", "b", "c"]);
        let said = ["d 1-1/1", "e 1-4/9", "f 1-1/1", "e 5-8/9", "g 1-1/1", "e 9-9/9"];
        assert_eq!(stage.say_all(), said);
        assert!(stage.outbox.is_idle() && stage.outbox.jobs.is_empty());
    }

    /// What was begun begins anew in its place, but for what was begun anew before.
    #[test]
    fn after_an_interruption_all_is_sent_in_the_order_of_before() {
        let mut stage = Stage::new(Limits { chunk_bytes: 4, ..Limits::default() });
        stage.push("twice", "x");
        stage.push("twice too", "long long");
        assert_eq!([stage.next().is_some(), stage.next().is_some()], [true; 2]);
        assert_eq!(stage.outbox.interrupt(), [], "once is no reason");
        assert_eq!([stage.next().is_some(), stage.next().is_some()], [true; 2]);
        for (id, body) in [("a", "x"), ("b", "long long"), ("c", "x"), ("d", "x"), ("e", "x")] {
            stage.push(id, body);
        }
        let begun: Vec<String> = (0..5).filter_map(|_| Some(stage.next()?.0)).collect();
        let said = ["a 1-1/1", "twice too 5-8/9", "c 1-1/1", "twice too 9-9/9", "b 1-4/9"];
        assert_eq!(begun, said);
        let lost = stage.outbox.interrupt();
        assert!(lost.iter().all(|settled| settled.abort.is_none()));
        let lost: Vec<&str> = lost.iter().map(|settled| settled.message_id.as_str()).collect();
        assert_eq!(lost, ["twice", "twice too"]);
        let said = ["a 1-1/1", "b 1-4/9", "c 1-1/1", "b 5-8/9", "d 1-1/1", "b 9-9/9", "e 1-1/1"];
        assert_eq!(stage.say_all(), said);
        assert!(stage.outbox.jobs.is_empty());
    }

    /// A message that is never at an end keeps its place, and those behind it that are given up
    /// keep none.
    #[test]
    fn m13_the_rows_are_no_longer_than_what_waits() {
        let limits = Limits { window: 1, chunk_bytes: 1, ..Limits::default() };
        let mut stage = Stage::new(limits);
        stage.outbox.bound(stage.now);
        let endless = Outgoing {
            failure_report: FailureReport::No,
            ..outgoing("endless", &"x".repeat(100_000))
        };
        stage.outbox.push(stage.now, endless);
        assert!(stage.next().is_some(), "it is begun");
        let mut longest = 0;
        for number in 0..10_000 {
            stage.push(&number.to_string(), if number % 3 == 0 { "x" } else { "long" });
            let row = stage.outbox.unsent.short.len() + stage.outbox.unsent.long.len();
            assert!(row <= 2 * stage.outbox.jobs.len() + SPARE, "{row} after {number}");
            longest = longest.max(row);
            if number % 10 == 9 {
                while stage.outbox.in_flight == 0 && stage.next().is_some() {}
                stage.now += Duration::from_secs(31);
                assert!(stage.outbox.expire(stage.now).len() > 1);
                assert_eq!(stage.outbox.jobs.len(), 1, "but for the endless one");
            }
        }
        assert!(longest > SPARE, "some were given up behind it");
    }

    struct Stage {
        outbox: Outbox,
        now: Instant,
        random: Random,
    }

    impl Stage {
        fn new(limits: Limits) -> Self {
            let outbox = Outbox::new(limits.into());
            Self { outbox, now: Instant::now(), random: Random::seeded(1) }
        }

        fn push(&mut self, id: &str, body: &str) {
            self.outbox.push(self.now, outgoing(id, body));
        }

        /// Gives the next chunk by its message and range.
        fn next(&mut self) -> Option<(String, TransactionId)> {
            let path = Path::parse("msrp://b:2/y;tcp").ok()?;
            let route = Route { peer: &path, us: &path };
            let Frame { message_id, byte_range, tid, .. } =
                self.outbox.next_chunk(self.now, route, &mut self.random)?.frame;
            Some((format!("{} {}", message_id?, byte_range?), tid))
        }

        /// Sends what there is, each chunk answered before the next.
        fn say_all(&mut self) -> Vec<String> {
            std::iter::from_fn(|| {
                let (said, tid) = self.next()?;
                let answered = self.outbox.answered(self.now, &tid, Outcome::Sent);
                assert!(matches!(answered, Answered::Known(_)));
                Some(said)
            })
            .collect()
        }
    }

    pub(in crate::msrp) fn outgoing(id: &str, body: &str) -> Outgoing {
        Outgoing {
            message_id: id.to_owned(),
            content_type: "text/plain".to_owned(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            success_report: false,
            failure_report: FailureReport::Yes,
        }
    }

    #[test]
    fn quirk_10_a_chunk_ends_before_a_character() {
        let text = "ab\u{4f60}cd".as_bytes();
        assert_eq!(chunk_end(text, 0, 2), 2);
        assert_eq!(chunk_end(text, 0, 3), 2);
        assert_eq!(chunk_end(text, 0, 4), 2);
        assert_eq!(chunk_end(text, 0, 5), 5);
        assert_eq!(chunk_end(text, 2, 1), 3, "a chunk has to get on");
        assert_eq!(chunk_end(text, 5, 99), 7);
        assert_eq!(chunk_end(&[0x80; 10], 0, 6), 6, "this is no text");
        assert_eq!(chunk_end(&[0x80; 10], 0, 1), 1, "nor has it a place before the first");
    }

    #[test]
    fn quirk_06_no_chunk_has_what_looks_like_an_end_line() {
        for (body, chunks) in [
            ("a\r\n------b", vec!["a\r\n------b"]),
            ("a\r\n-------b", vec!["a\r", "\n-------b"]),
            ("a\n-------b", vec!["a\n-------b"]),
            ("--------\r\nb", vec!["--------\r\nb"]),
            ("\r\n-------\r\n-------", vec!["\r", "\n-------\r", "\n-------"]),
            ("ab\r\n\r\n-------tid$\r\n", vec!["ab\r\n\r", "\n-------tid$\r\n"]),
        ] {
            let (mut start, mut seen) = (0, Vec::new());
            while start < body.len() {
                let end = chunk_end(body.as_bytes(), start, 100);
                seen.push(&body[start..end]);
                start = end;
            }
            assert_eq!(seen, chunks);
        }
    }
}
