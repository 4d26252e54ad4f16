//! Incoming chunks become messages (RFC 4975 section 7.3.1).
//!
//! Chunks may come in any order, twice, overlapping, with gaps, or never to an end. What is held
//! grows with the octets that have really come, never with what a header field promises.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use bytes::Bytes;

use super::event::Incoming;
use super::frame::{Continuation, FailureReport, Frame};
use super::limits::Limits;

/// The messages of one session of which only a part has come.
#[derive(Debug)]
pub(super) struct Assembly {
    limits: Limits,
    open: BTreeMap<String, Half>,
    /// Messages that were refused and whose further chunks are refused too, the oldest first.
    refused: VecDeque<String>,
    /// Message-ID and content of messages that are complete, the oldest first.
    complete: VecDeque<(String, u64)>,
}

/// What a chunk has led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Its message is complete.
    Whole(Incoming),
    /// Its message was complete before; whoever sent it twice still gets the report.
    Repeated(Incoming),
    /// Its message goes on, or was given up by its sender.
    Nothing,
}

/// The code with which a chunk is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) u16);

impl Assembly {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, open: BTreeMap::new(), refused: VecDeque::new(), complete: VecDeque::new() }
    }

    /// Takes a SEND with a body. `message_id` stands in where the frame has none.
    pub(super) fn take(
        &mut self,
        now: Instant,
        frame: &Frame,
        message_id: &str,
    ) -> Result<Taken, Refused> {
        let last = frame.flag != Continuation::More;
        let refused = self.refused.iter().position(|refused| refused == message_id);
        if last && let Some(place) = refused {
            self.refused.remove(place);
        }
        if frame.flag == Continuation::Abort {
            self.open.remove(message_id);
            return Ok(Taken::Nothing);
        }
        if refused.is_some() {
            return Err(Refused(413));
        }
        let outcome = self.add(now, frame, message_id);
        if outcome.is_err() {
            self.refuse(message_id, last);
        }
        let Some(whole) = outcome? else { return Ok(Taken::Nothing) };
        if self.is_repeated(&whole) { Ok(Taken::Repeated(whole)) } else { Ok(Taken::Whole(whole)) }
    }

    /// Forgets a message; unless that was its last chunk, further ones are refused.
    pub(super) fn refuse(&mut self, message_id: &str, last: bool) {
        self.open.remove(message_id);
        if !last {
            self.refused.push_back(message_id.to_owned());
            while self.refused.len() > self.limits.max_open_messages {
                self.refused.pop_front();
            }
        }
    }

    /// Refuses what has stood still for too long, and tells how many messages that were.
    pub(super) fn expire(&mut self, now: Instant) -> usize {
        let stall = self.limits.stall;
        let stale = |half: &Half| now.saturating_duration_since(half.touched) >= stall;
        let ids: Vec<String> =
            self.open.iter().filter(|(_, half)| stale(half)).map(|(id, _)| id.clone()).collect();
        for id in &ids {
            self.refuse(id, false);
        }
        ids.len()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.open.values().map(|half| half.touched + self.limits.stall).min()
    }

    fn add(
        &mut self,
        now: Instant,
        frame: &Frame,
        message_id: &str,
    ) -> Result<Option<Incoming>, Refused> {
        let range = frame.byte_range;
        if range.is_some_and(|range| !range.is_sound()) {
            return Err(Refused(400));
        }
        // A chunk without range is the first one (RFC 4975 section 7.1.1).
        let start = range.map_or(0, |range| range.start - 1);
        let total = range.and_then(|range| range.total);
        let body = frame.body.clone().unwrap_or_default();
        let end = start.saturating_add(body.len() as u64);
        if end.max(total.unwrap_or(0)) > self.limits.max_message as u64 {
            return Err(Refused(413));
        }
        let complete = frame.flag == Continuation::Complete;
        if complete && start == 0 && !self.open.contains_key(message_id) {
            return Half::new(now, frame).finish(message_id, body).map(Some);
        }
        // Without a name of its own a chunk cannot find its message.
        if frame.message_id.is_none() {
            return Err(Refused(400));
        }
        if !self.open.contains_key(message_id) && self.open.len() >= self.limits.max_open_messages {
            return Err(Refused(413));
        }
        let half = self.open.entry(message_id.to_owned()).or_insert_with(|| Half::new(now, frame));
        half.add(now, frame, Place { start, total, end: complete.then_some(end) }, &body)?;
        match half.whole() {
            Some(body) => match self.open.remove(message_id) {
                Some(half) => half.finish(message_id, body).map(Some),
                None => Ok(None),
            },
            None => Ok(None),
        }
    }

    /// Compares with the messages before: a message sent again after a failure keeps its
    /// Message-ID (RFC 4975 section 5.4), but there are peers that use one for all they send.
    fn is_repeated(&mut self, whole: &Incoming) -> bool {
        let mut hasher = DefaultHasher::new();
        (&whole.content_type, &whole.body).hash(&mut hasher);
        let mark = (whole.message_id.clone(), hasher.finish());
        if self.complete.contains(&mark) {
            return true;
        }
        self.complete.push_back(mark);
        if self.complete.len() > REMEMBERED {
            self.complete.pop_front();
        }
        false
    }
}

/// A message of which only a part has come.
#[derive(Debug)]
struct Half {
    content_type: Option<String>,
    headers: Vec<(String, String)>,
    success_report: bool,
    failure_report: FailureReport,
    /// The octets that have come, by place; no two islands touch.
    islands: BTreeMap<u64, Vec<u8>>,
    /// The length as every chunk has to claim it that claims one.
    total: Option<u64>,
    /// The length as the last chunk has shown it.
    end: Option<u64>,
    touched: Instant,
}

/// Where a chunk stands in its message.
struct Place {
    start: u64,
    total: Option<u64>,
    /// The end of the message, if this is the last chunk.
    end: Option<u64>,
}

impl Half {
    fn new(now: Instant, first: &Frame) -> Self {
        let mut half = Self {
            content_type: None,
            headers: Vec::new(),
            success_report: first.success_report.unwrap_or(false),
            failure_report: first.failure_report.unwrap_or_default(),
            islands: BTreeMap::new(),
            total: None,
            end: None,
            touched: now,
        };
        half.describe(first);
        half
    }

    /// Keeps what the first chunk that says so says of the content.
    fn describe(&mut self, frame: &Frame) {
        if self.content_type.is_none()
            && let Some(content_type) = &frame.content_type
        {
            self.content_type = Some(content_type.to_string());
            let named =
                |header: &super::Header| (header.name.to_string(), header.value.to_string());
            self.headers = frame.headers.iter().map(named).collect();
        }
    }

    fn add(
        &mut self,
        now: Instant,
        frame: &Frame,
        place: Place,
        body: &Bytes,
    ) -> Result<(), Refused> {
        self.describe(frame);
        let known = self.total.or(place.total);
        if place.total.is_some() && place.total != known {
            return Err(Refused(400));
        }
        self.total = known;
        if let Some(end) = place.end {
            // Two last chunks that end at different places contradict each other.
            if self.end.is_some_and(|known| known != end) {
                return Err(Refused(400));
            }
            self.end = Some(end);
        }
        self.lay(place.start, body);
        let beyond = self.end.is_some_and(|end| self.reach() > end);
        if beyond {
            return Err(Refused(400));
        }
        if self.islands.len() > MAX_ISLANDS {
            return Err(Refused(413));
        }
        self.touched = now;
        Ok(())
    }

    /// Lays octets over those that are there: the latest take precedence
    /// (RFC 4975 section 7.3.1).
    fn lay(&mut self, start: u64, body: &[u8]) {
        if body.is_empty() {
            return;
        }
        let end = start + body.len() as u64;
        let before = self.islands.range(..=start).next_back();
        let home = match before {
            Some((&at, island)) if at + island.len() as u64 >= start => at,
            Some(_) | None => start,
        };
        let mut island = self.islands.remove(&home).unwrap_or_default();
        let tail = split_behind(&mut island, end - home);
        island.truncate(offset(start - home));
        island.extend_from_slice(body);
        island.extend(tail);
        let mut end = home + island.len() as u64;
        while let Some((&at, _)) = self.islands.range(home..=end).next() {
            let mut next = self.islands.remove(&at).unwrap_or_default();
            island.extend(split_behind(&mut next, end - at));
            end = home + island.len() as u64;
        }
        self.islands.insert(home, island);
    }

    /// Gives all octets once none is missing.
    fn whole(&mut self) -> Option<Bytes> {
        let end = self.end?;
        match self.islands.first_entry() {
            Some(first) if *first.key() == 0 && first.get().len() as u64 == end => {
                Some(Bytes::from(first.remove()))
            }
            Some(_) => None,
            None => (end == 0).then(Bytes::new),
        }
    }

    fn reach(&self) -> u64 {
        self.islands.last_key_value().map_or(0, |(at, island)| at + island.len() as u64)
    }

    fn finish(self, message_id: &str, body: Bytes) -> Result<Incoming, Refused> {
        let content_type = match self.content_type {
            Some(content_type) => content_type,
            // Bodiless, as far as the receiver is concerned; nothing can be rendered.
            None if body.is_empty() => String::new(),
            None => return Err(Refused(400)),
        };
        Ok(Incoming {
            message_id: message_id.to_owned(),
            content_type,
            headers: self.headers,
            body,
            success_report: self.success_report,
            failure_report: self.failure_report,
        })
    }
}

/// Cuts off what an island has from `place` on.
fn split_behind(island: &mut Vec<u8>, place: u64) -> Vec<u8> {
    let place = offset(place).min(island.len());
    island.split_off(place)
}

/// Narrows a place in what is held, which fits into the memory.
fn offset(place: u64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// Pieces with gaps between them that one message may have.
const MAX_ISLANDS: usize = 64;
/// Complete messages that are remembered.
const REMEMBERED: usize = 64;
