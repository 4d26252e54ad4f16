//! Incoming chunks become messages (RFC 4975 section 7.3.1).
//!
//! Chunks may come in any order, twice, overlapping, with gaps, or never to an end. What is held
//! grows with the octets that have really come, never with what a header field promises.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::event::Incoming;
use super::finished::Finished;
use super::frame::{Continuation, FailureReport, Frame, Header};
use super::limits::Limits;
use super::marks::Marks;
use super::text::Text;
use super::uri::Path;
use crate::ids::Random;

/// The messages of one session of which only a part has come.
#[derive(Debug)]
pub(super) struct Assembly {
    limits: Arc<Limits>,
    open: BTreeMap<String, Half>,
    /// Messages that were refused and whose further chunks are refused too, the oldest first.
    refused: VecDeque<String>,
    /// Messages that are complete.
    complete: Marks,
    /// Those of them that have come in chunks.
    finished: Finished,
}

/// What a chunk has led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is all of its message, as nearly every chunk is: [`Taken::whole`] makes one of it.
    Alone,
    /// Its message is complete.
    Whole(Box<Incoming>),
    /// Its message goes on, or was given up by its sender.
    Part,
    /// It has come again: its message of so many octets was complete before.
    Repeated(u64),
}

impl Taken {
    /// Gives the message if it is complete, named so; `last` is the frame that was taken.
    #[inline]
    pub(super) fn whole(self, last: &mut Frame, message_id: Text) -> Option<Incoming> {
        match self {
            Self::Alone => {
                let (content_type, headers) =
                    (last.content_type.take(), std::mem::take(&mut last.headers));
                Some(Incoming {
                    message_id,
                    // Fields that describe a body without a type mean nothing.
                    headers: if content_type.is_some() { headers } else { Vec::new() },
                    // Bodiless, as far as the receiver is concerned; nothing can be rendered.
                    content_type: content_type.unwrap_or_default(),
                    body: last.body.take().unwrap_or_default(),
                    success_report: last.success_report.unwrap_or(false),
                    failure_report: last.failure_report.unwrap_or_default(),
                })
            }
            Self::Whole(whole) => Some(*whole),
            Self::Part | Self::Repeated(_) => None,
        }
    }
}

/// A message of which no more has come for too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stalled {
    pub(super) message_id: String,
    pub(super) from_path: Path,
    pub(super) failure_report: FailureReport,
    /// How many octets have come without a gap.
    pub(super) received: u64,
    /// How many there should be, as far as that was said.
    pub(super) total: Option<u64>,
}

/// The code with which a chunk is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) u16);

impl Assembly {
    pub(super) fn new(limits: Arc<Limits>, random: &mut Random) -> Self {
        let complete = Marks::new(random);
        let finished = Finished::default();
        Self { limits, open: BTreeMap::new(), refused: VecDeque::new(), complete, finished }
    }

    /// Tells whether chunks of a message have come.
    pub(super) fn is_begun(&self, message_id: &str) -> bool {
        self.open.contains_key(message_id)
            || self.refused.iter().any(|id| id == message_id)
            || self.finished.knows(message_id)
    }

    /// Takes a SEND that has a body, or ends a message. `message_id` stands in where the frame has
    /// none.
    pub(super) fn take(
        &mut self,
        now: Instant,
        frame: &Frame,
        message_id: &Text,
    ) -> Result<Taken, Refused> {
        let last = frame.flag != Continuation::More;
        let named = |refused: &String| refused.as_bytes() == message_id.as_bytes();
        let refused = self.refused.iter().position(named);
        if last && let Some(place) = refused {
            self.refused.remove(place);
        }
        if frame.flag == Continuation::Abort {
            self.open.remove(message_id.as_str());
            return Ok(Taken::Part);
        }
        if refused.is_some() && !is_whole(frame) {
            return Err(Refused(413));
        }
        let outcome = self.add(now, frame, message_id);
        if outcome.is_err() {
            self.refuse(message_id.as_str(), last);
        }
        outcome
    }

    /// Forgets a message; unless that was its last chunk, further ones are refused.
    pub(super) fn refuse(&mut self, message_id: &str, last: bool) {
        self.open.remove(message_id);
        self.refused.retain(|refused| refused != message_id);
        if !last {
            self.refused.push_back(message_id.to_owned());
            while self.refused.len() > self.limits.max_open_messages {
                self.refused.pop_front();
            }
        }
    }

    /// Tells whether a complete message was complete before, on a connection that was lost; whoever
    /// has sent it twice still gets the report. On one connection nothing comes again: two messages
    /// that are alike are two.
    pub(super) fn is_repeated(&mut self, whole: &Incoming) -> bool {
        let Incoming { message_id, content_type, body, .. } = whole;
        self.complete.is_repeated([message_id.as_bytes(), content_type.as_bytes(), body])
    }

    /// Takes notice that the connection is lost: what has come may come again.
    pub(super) fn interrupt(&mut self) {
        self.complete.interrupt();
    }

    /// Knows what has come in another session, before anything comes in this one.
    pub(super) fn inherit(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.complete, &mut other.complete);
        self.finished = std::mem::take(&mut other.finished);
        self.complete.interrupt();
    }

    /// Forgets the message that was complete last: should it come again, it is one anew.
    pub(super) fn forget_last(&mut self, message_id: Option<&Text>) {
        self.complete.forget_last();
        if let Some(message_id) = message_id {
            self.finished.forget(message_id.as_str());
        }
    }

    /// Refuses what has stood still for too long, but what has come again and was complete before.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Stalled> {
        let stall = self.limits.stall;
        let stale = |half: &Half| now.saturating_duration_since(half.touched) >= stall;
        let stalled: Vec<Stalled> = self
            .open
            .iter()
            .filter(|(_, half)| stale(half))
            .map(|(id, half)| half.stalled(id))
            .collect();
        for Stalled { message_id, .. } in &stalled {
            match self.open.get(message_id) {
                Some(half) if half.repeats.is_some() => drop(self.open.remove(message_id)),
                Some(_) | None => self.refuse(message_id, false),
            }
        }
        stalled
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.open.values().map(|half| half.touched + self.limits.stall).min()
    }

    #[inline]
    fn add(&mut self, now: Instant, frame: &Frame, message_id: &Text) -> Result<Taken, Refused> {
        let range = frame.byte_range;
        if range.is_some_and(|range| !range.is_sound()) {
            return Err(Refused(400));
        }
        // A chunk without range is the first one (RFC 4975 section 7.1.1).
        let start = range.map_or(0, |range| range.start - 1);
        let total = range.and_then(|range| range.total);
        let body = frame.body.as_deref().unwrap_or_default();
        let end = start.saturating_add(body.len() as u64);
        if end.max(total.unwrap_or(0)) > self.limits.max_message as u64 {
            return Err(Refused(413));
        }
        let complete = frame.flag == Continuation::Complete;
        // Nearly every message is one chunk, and none is under way beside it.
        let is_open = !self.open.is_empty() && self.open.contains_key(message_id.as_str());
        if complete && start == 0 {
            let is_typed = frame.content_type.is_some() || body.is_empty();
            if is_typed && is_open {
                // Of what has come under its name no more is waited for ([`is_whole`]).
                self.open.remove(message_id.as_str());
                self.finished.enter(message_id.as_str(), body);
            }
            if is_typed {
                return Ok(Taken::Alone);
            }
            // But for its type, which may stand in what has come.
            if !is_open {
                return Err(Refused(400));
            }
        }
        // Without a name of its own a chunk cannot find its message.
        if frame.message_id.is_none() {
            return Err(Refused(400));
        }
        if !is_open
            && let Some(size) = self.finished.part(message_id.as_str(), start..end, total, complete)
        {
            return Ok(Taken::Repeated(size));
        }
        if !is_open && self.open.len() >= self.limits.max_open_messages {
            return Err(Refused(413));
        }
        let held: usize = self.open.values().map(Half::held).sum();
        if held.saturating_add(body.len()) > self.limits.max_message.saturating_mul(ROOM) {
            return Err(Refused(413));
        }
        let place = Place { start, total, end: complete.then_some(end) };
        let half = self.open.entry(message_id.to_string()).or_insert_with(|| {
            let begins = start == 0;
            let repeats = begins.then(|| self.finished.begun(message_id.as_str(), body)).flatten();
            Half { repeats, ..Half::new(now, frame) }
        });
        half.add(now, frame, place, body)?;
        let Some(body) = half.whole() else { return Ok(Taken::Part) };
        let Some(half) = self.open.remove(message_id.as_str()) else { return Ok(Taken::Part) };
        let whole = half.label.finish(message_id, body)?;
        self.finished.enter(message_id.as_str(), &whole.body);
        Ok(Taken::Whole(Box::new(whole)))
    }
}

/// What the header fields of a message say of it.
#[derive(Debug)]
struct Label {
    content_type: Option<Text>,
    headers: Vec<Header>,
    success_report: bool,
    failure_report: FailureReport,
}

/// A message of which only a part has come.
#[derive(Debug)]
struct Half {
    label: Label,
    /// The way back to the sender.
    from_path: Path,
    /// The octets that have come, by place; islands may touch, but do not overlap.
    islands: BTreeMap<u64, Vec<u8>>,
    /// The length as every chunk has to claim it that claims one.
    total: Option<u64>,
    /// The length as the last chunk has shown it.
    end: Option<u64>,
    /// The size of the finished message that this one may be once more.
    repeats: Option<u64>,
    touched: Instant,
}

/// Where a chunk stands in its message.
struct Place {
    start: u64,
    total: Option<u64>,
    /// The end of the message, if this is the last chunk.
    end: Option<u64>,
}

impl Label {
    fn of(first: &Frame) -> Self {
        let mut label = Self {
            content_type: None,
            headers: Vec::new(),
            success_report: first.success_report.unwrap_or(false),
            failure_report: first.failure_report.unwrap_or_default(),
        };
        label.describe(first);
        label
    }

    /// Keeps what the first chunk that says so says of the content.
    fn describe(&mut self, frame: &Frame) {
        if self.content_type.is_none()
            && let Some(content_type) = &frame.content_type
        {
            // What is kept while the rest is waited for does not keep what was read with it.
            let copied = |text: &Text| Text::copied(text.as_bytes());
            let header = |header: &Header| Header {
                name: copied(&header.name),
                value: copied(&header.value),
            };
            self.content_type = Some(copied(content_type));
            self.headers = frame.headers.iter().map(header).collect();
        }
    }

    fn finish(self, message_id: &Text, body: Bytes) -> Result<Incoming, Refused> {
        let content_type = match self.content_type {
            Some(content_type) => content_type,
            None if body.is_empty() => Text::default(),
            None => return Err(Refused(400)),
        };
        Ok(Incoming {
            message_id: message_id.clone(),
            content_type,
            headers: self.headers,
            body,
            success_report: self.success_report,
            failure_report: self.failure_report,
        })
    }
}

impl Half {
    fn new(now: Instant, first: &Frame) -> Self {
        Self {
            label: Label::of(first),
            from_path: first.from_path.detached(),
            islands: BTreeMap::new(),
            total: None,
            end: None,
            repeats: None,
            touched: now,
        }
    }

    fn add(
        &mut self,
        now: Instant,
        frame: &Frame,
        place: Place,
        body: &[u8],
    ) -> Result<(), Refused> {
        self.label.describe(frame);
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
        if self.islands.len() > MOST_PIECES && self.join() > MAX_ISLANDS {
            return Err(Refused(413));
        }
        let (reach, total) = (self.reach(), self.total);
        self.repeats.take_if(|size| reach > *size || total.is_some_and(|total| total != *size));
        self.touched = now;
        Ok(())
    }

    /// Lays octets over those that are there: the latest take precedence
    /// (RFC 4975 section 7.3.1).
    ///
    /// What is there stays where it is, so that a small chunk costs little however much has come.
    fn lay(&mut self, start: u64, body: &[u8]) {
        let (mut place, mut rest) = (start, body);
        while !rest.is_empty() {
            let next = self.islands.range(place..).next().map(|(&at, _)| at);
            let home = self.islands.range_mut(..=place).next_back();
            let home = home.map(|(&at, island)| (offset(place - at), island));
            let length = match home {
                Some((within, island)) if within < island.len() => {
                    let length = rest.len().min(island.len() - within);
                    let (laid, _) = rest.split_at(length);
                    if let Some(under) = island.get_mut(within..within + length) {
                        under.copy_from_slice(laid);
                    }
                    length
                }
                home => {
                    let gap = next.map_or(usize::MAX, |next| offset(next - place));
                    let length = rest.len().min(gap);
                    let (laid, _) = rest.split_at(length);
                    match home {
                        Some((within, island)) if within == island.len() => {
                            island.extend_from_slice(laid);
                        }
                        Some(_) | None => {
                            self.islands.insert(place, laid.to_vec());
                        }
                    }
                    length
                }
            };
            place += length as u64;
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    /// Makes one island of those that touch, and counts what is left.
    fn join(&mut self) -> usize {
        let mut joined: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for (at, island) in std::mem::take(&mut self.islands) {
            match joined.last_entry() {
                Some(mut last) if *last.key() + last.get().len() as u64 == at => {
                    last.get_mut().extend_from_slice(&island);
                }
                Some(_) | None => {
                    joined.insert(at, island);
                }
            }
        }
        self.islands = joined;
        self.islands.len()
    }

    /// Gives all octets once none is missing.
    fn whole(&mut self) -> Option<Bytes> {
        let end = self.end?;
        // None lies beyond the end and none twice: then it is enough to count them.
        if self.held() as u64 != end {
            return None;
        }
        self.join();
        Some(self.islands.pop_first().map_or_else(Bytes::new, |(_, island)| Bytes::from(island)))
    }

    /// Counts the octets that have come without a gap.
    fn received(&self) -> u64 {
        self.islands.iter().fold(
            0,
            |reach, (&at, island)| {
                if at == reach { reach + island.len() as u64 } else { reach }
            },
        )
    }

    fn stalled(&self, message_id: &str) -> Stalled {
        Stalled {
            message_id: message_id.to_owned(),
            from_path: self.from_path.clone(),
            failure_report: match self.repeats {
                Some(_) => FailureReport::No,
                None => self.label.failure_report,
            },
            received: self.received(),
            total: self.total,
        }
    }

    fn held(&self) -> usize {
        self.islands.values().map(Vec::len).sum()
    }

    fn reach(&self) -> u64 {
        self.islands.last_key_value().map_or(0, |(at, island)| at + island.len() as u64)
    }
}

/// Tells whether a chunk is all of its message, whatever else has come of its name
/// (RFC 4975 section 7.3.1).
fn is_whole(frame: &Frame) -> bool {
    let is_first = frame.byte_range.is_none_or(|range| range.start == 1);
    is_first && frame.flag == Continuation::Complete
}

/// Narrows a place in what is held, which fits into the memory.
fn offset(place: u64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// The largest messages that all unfinished ones together may fill: one may overtake another.
const ROOM: usize = 2;
/// Pieces with gaps between them that one message may have.
const MAX_ISLANDS: usize = 64;
/// Pieces at which those that touch are joined: seldom, for that copies all of them.
const MOST_PIECES: usize = 2 * MAX_ISLANDS;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::frame::{ByteRange, Method, TransactionId};
    use super::*;

    #[test]
    fn a_whole_message_passes_without_a_copy() {
        let mut assembly = assembly();
        let mut frame = chunk("m", "1-5/5", "hello", '$');
        frame.byte_range = None;
        let (body, headers) = (frame.body.clone().unwrap(), frame.headers.clone());
        assert_eq!(assembly.take(Instant::now(), &frame, &"m".into()), Ok(Taken::Alone));
        let whole = Taken::Alone.whole(&mut frame, "m".into()).unwrap();
        assert_eq!(whole.body.as_ptr(), body.as_ptr());
        assert_eq!(whole.content_type.as_str(), "text/plain");
        assert_eq!(whole.headers, headers);
    }

    #[test]
    fn m04_chunks_come_in_any_order_twice_and_overlapping() {
        let parts = [("1-4/10", "abcd", '+'), ("3-7/10", "cdefg", '+'), ("8-10/10", "hij", '$')];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut assembly = assembly();
            let mut outcomes = Vec::new();
            for place in order {
                let (range, body, flag) = parts[place];
                for _ in 0..=usize::from(place < 2 && outcomes.len() < 2) {
                    outcomes.push(text(give(&mut assembly, "m", range, body, flag)));
                }
            }
            let last = outcomes.pop().unwrap();
            assert_eq!(last, Ok(Some("abcdefghij".to_owned())), "{order:?}");
            assert!(outcomes.into_iter().all(|earlier| earlier == Ok(None)), "{order:?}");
        }
    }

    #[test]
    fn the_latest_octets_take_precedence() {
        let mut assembly = assembly();
        for (range, body) in
            [("1-6/*", "aaaaaa"), ("9-10/*", "bb"), ("3-4/*", "CC"), ("6-9/*", "DDDD")]
        {
            assert_eq!(text(give(&mut assembly, "m", range, body, '+')), Ok(None));
        }
        assert_eq!(
            text(give(&mut assembly, "m", "11-*/*", "", '$')),
            Ok(Some("aaCCaDDDDb".into()))
        );
    }

    #[test]
    fn m04_a_changed_total_drops_the_message_only() {
        let mut assembly = assembly();
        assert_eq!(text(give(&mut assembly, "m", "1-4/10", "abcd", '+')), Ok(None));
        assert_eq!(text(give(&mut assembly, "n", "1-2/4", "ab", '+')), Ok(None));
        assert_eq!(give(&mut assembly, "m", "5-8/12", "efgh", '+'), Err(Refused(400)));
        assert_eq!(give(&mut assembly, "m", "9-12/12", "ijkl", '$'), Err(Refused(413)));
        assert_eq!(text(give(&mut assembly, "n", "3-4/4", "cd", '$')), Ok(Some("abcd".into())));
        assert_eq!(text(give(&mut assembly, "m", "1-4/4", "anew", '$')), Ok(Some("anew".into())));
    }

    #[test]
    fn two_ends_contradict_each_other() {
        let mut assembly = assembly();
        assert_eq!(text(give(&mut assembly, "m", "5-8/*", "efgh", '$')), Ok(None));
        assert_eq!(give(&mut assembly, "m", "9-10/*", "ij", '$'), Err(Refused(400)));
        assert_eq!(text(give(&mut assembly, "n", "5-8/*", "efgh", '+')), Ok(None));
        assert_eq!(give(&mut assembly, "n", "2-3/*", "bc", '$'), Err(Refused(400)));
    }

    #[test]
    fn m03_impossible_ranges_are_refused_and_nothing_is_reserved() {
        for (range, code) in [
            ("5-4/10", 400),
            ("0-0/0", 400),
            ("1-10/5", 400),
            ("1-4/999999999999", 413),
            ("999999999999-999999999999/*", 413),
            ("18446744073709551615-*/*", 413),
        ] {
            let mut assembly = assembly();
            let refused = give(&mut assembly, "m", range, "abcd", '+');
            assert_eq!(refused, Err(Refused(code)), "{range}");
            assert!(assembly.open.is_empty());
        }
        let mut assembly = assembly();
        assert_eq!(text(give(&mut assembly, "m", "1-4/1000", "abcd", '+')), Ok(None));
        assert!(assembly.open["m"].islands[&0].capacity() < 100);
    }

    #[test]
    fn the_body_itself_tells_its_length() {
        let mut assembly = assembly();
        assert_eq!(
            text(give(&mut assembly, "m", "1-100/100", "short", '$')),
            Ok(Some("short".into()))
        );
        assert_eq!(text(give(&mut assembly, "n", "1-9/*", "abcd", '+')), Ok(None));
        assert_eq!(text(give(&mut assembly, "n", "5-*/*", "ef", '$')), Ok(Some("abcdef".into())));
    }

    #[test]
    fn m05_endless_chunks_are_cut_off_at_the_limit() {
        let mut assembly = assembly();
        for place in 0..10 {
            let range = format!("{}-*/*", place * 100 + 1);
            let taken = give(&mut assembly, "m", &range, &"x".repeat(100), '+');
            assert_eq!(taken, Ok(None));
        }
        assert_eq!(give(&mut assembly, "m", "1001-*/*", "x", '+'), Err(Refused(413)));
        assert!(assembly.open.is_empty());
        assert_eq!(give(&mut assembly, "m", "1-*/*", "x", '+'), Err(Refused(413)), "still");
    }

    #[test]
    fn m05_only_so_many_messages_are_open() {
        let mut assembly = assembly();
        for number in 0..10_000 {
            let taken = give(&mut assembly, &number.to_string(), "1-1/*", "x", '+');
            assert_eq!(taken.is_ok(), number < 16);
        }
        assert_eq!((assembly.open.len(), assembly.refused.len()), (16, 16));
        assert_eq!(text(give(&mut assembly, "short", "1-1/1", "x", '$')), Ok(Some("x".into())));
    }

    #[test]
    fn m05_only_so_many_gaps_are_open() {
        let mut assembly = assembly();
        let codes = (0..500).map(|number| {
            give(&mut assembly, "m", &format!("{}-*/*", number * 2 + 1), "x", '+').err()
        });
        assert_eq!(codes.flatten().next(), Some(Refused(413)));
    }

    /// Octet by octet over, before and behind a large piece: that stays where it is.
    #[test]
    fn m05_small_chunks_do_not_move_large_pieces() {
        let mut half = Half::new(Instant::now(), &chunk("m", "1-1/1", "x", '+'));
        half.lay(100, &[b'x'; 10_000]);
        let large = |half: &Half| half.islands[&100].as_ptr();
        let before = large(&half);
        for place in (0..100).rev().chain(100..200) {
            half.lay(place, b"y");
        }
        assert_eq!(large(&half), before);
        assert_eq!((half.islands.len(), half.join()), (101, 1));
        assert_eq!((half.received(), &half.islands[&0][199..201]), (10_100, &b"yx"[..]));
    }

    #[test]
    fn m04_chunks_may_come_from_the_last_to_the_first() {
        let mut assembly = assembly();
        let mut outcome = text(give(&mut assembly, "m", "500-500/500", "e", '$'));
        for place in (1..500).rev() {
            assert_eq!(outcome, Ok(None), "{place}");
            outcome = text(give(&mut assembly, "m", &format!("{place}-{place}/500"), "x", '+'));
        }
        assert_eq!(outcome, Ok(Some("x".repeat(499) + "e")));
    }

    /// What is refused chunk by chunk is forgotten with the last one: there are peers that use one
    /// Message-ID for all they send.
    #[test]
    fn m04_a_message_that_was_refused_often_does_not_hurt_the_next() {
        let mut assembly = assembly();
        for _ in 0..3 {
            assembly.refuse("m", false);
        }
        assembly.refuse("m", true);
        assert_eq!(text(give(&mut assembly, "m", "1-2/2", "ok", '$')), Ok(Some("ok".to_owned())));
    }

    /// A half message must not hold the read in which its first chunk has come.
    #[test]
    fn m05_a_half_message_keeps_nothing_of_what_was_read() {
        let long = "s".repeat(200);
        let text = Bytes::from(format!("msrp://b:2/{long};tcp"));
        let mut first = chunk("m", "1-1/2", "x", '+');
        first.from_path = Path::read(Text::read(&text, &text).unwrap()).unwrap();
        let half = Half::new(Instant::now(), &first);
        assert_eq!(half.from_path, first.from_path);
        drop(first);
        assert!(text.is_unique());
    }

    #[test]
    fn m05_what_stands_still_is_dropped() {
        let mut assembly = assembly();
        let start = Instant::now();
        assert_eq!(assembly.next_timeout(), None);
        let first = chunk("m", "1-2/4", "ab", '+');
        assert_eq!(assembly.take(start, &first, &"m".into()), Ok(Taken::Part));
        let end = start + Duration::from_secs(30);
        assert_eq!(assembly.next_timeout(), Some(end));
        assert_eq!(assembly.expire(end - Duration::from_secs(1)), []);
        let [stalled] = <[Stalled; 1]>::try_from(assembly.expire(end)).unwrap();
        assert_eq!((stalled.received, stalled.total), (2, Some(4)));
        let second = chunk("m", "3-4/4", "cd", '$');
        assert_eq!(assembly.take(end, &second, &"m".into()), Err(Refused(413)));
    }

    #[test]
    fn an_abort_drops_what_has_come() {
        let mut assembly = assembly();
        assert_eq!(text(give(&mut assembly, "m", "1-2/4", "ab", '+')), Ok(None));
        assert_eq!(text(give(&mut assembly, "m", "3-*/4", "", '#')), Ok(None));
        assert!(assembly.open.is_empty());
        assert_eq!(text(give(&mut assembly, "unknown", "1-*/4", "x", '#')), Ok(None));
    }

    #[test]
    fn m16_a_message_sent_again_is_told_from_a_message_id_used_again() {
        let mut assembly = assembly();
        for (body, is_repeated) in
            [("ab", false), ("ab", false), ("-", false), ("ab", true), ("xy", false)]
        {
            if body == "-" {
                assembly.interrupt();
                continue;
            }
            let whole = give(&mut assembly, "m", "1-2/2", body, '$').unwrap().unwrap();
            assert_eq!(whole.body, body);
            assert_eq!(assembly.is_repeated(&whole), is_repeated);
        }
    }

    #[test]
    fn a_body_without_type_or_a_chunk_without_name_is_refused() {
        let mut assembly = assembly();
        let mut untyped = chunk("m", "1-2/2", "ab", '$');
        untyped.content_type = None;
        let now = Instant::now();
        assert_eq!(assembly.take(now, &untyped, &"m".into()), Err(Refused(400)));
        let mut nameless = chunk("m", "1-2/2", "ab", '$');
        nameless.message_id = None;
        let taken = assembly.take(now, &nameless, &"drawn".into());
        assert_eq!(taken, Ok(Taken::Alone));
        nameless.flag = Continuation::More;
        assert_eq!(assembly.take(now, &nameless, &"drawn2".into()), Err(Refused(400)));
    }

    proptest! {
        #[test]
        fn octets_lie_where_they_were_laid(
            pieces in prop::collection::vec((0_usize..60, 1_usize..20, any::<u8>()), 0..20),
        ) {
            let mut half = Half::new(Instant::now(), &chunk("m", "1-1/1", "x", '+'));
            let mut model = [None; 100];
            for (start, length, octet) in pieces {
                half.lay(start as u64, &vec![octet; length]);
                model[start..start + length].fill(Some(octet));
            }
            let mut laid = [None; 100];
            let mut last_end = None;
            for (&at, island) in &half.islands {
                prop_assert!(last_end.is_none_or(|end| end <= at), "islands overlap");
                last_end = Some(at + island.len() as u64);
                for (place, octet) in island.iter().enumerate() {
                    laid[offset(at) + place] = Some(*octet);
                }
            }
            prop_assert_eq!(laid, model);
            half.join();
            let ends: Vec<u64> =
                half.islands.iter().map(|(at, island)| at + island.len() as u64).collect();
            let starts: Vec<u64> = half.islands.keys().copied().collect();
            prop_assert!(ends.iter().zip(starts.iter().skip(1)).all(|(end, at)| end < at));
            prop_assert_eq!(half.held(), model.iter().flatten().count());
        }
    }

    fn assembly() -> Assembly {
        let limits = Limits { max_message: 1000, ..Limits::default() };
        Assembly::new(limits.into(), &mut Random::seeded(1))
    }

    fn give(
        assembly: &mut Assembly,
        id: &str,
        range: &str,
        body: &str,
        flag: char,
    ) -> Result<Option<Incoming>, Refused> {
        let mut frame = chunk(id, range, body, flag);
        let taken = assembly.take(Instant::now(), &frame, &id.into())?;
        Ok(taken.whole(&mut frame, id.into()))
    }

    fn text(taken: Result<Option<Incoming>, Refused>) -> Result<Option<String>, Refused> {
        taken.map(|whole| whole.map(|whole| String::from_utf8(whole.body.to_vec()).unwrap()))
    }

    fn chunk(id: &str, range: &str, body: &str, flag: char) -> Frame {
        let path = |text| Path::parse(text).unwrap();
        let tid = TransactionId::new("tid1").unwrap();
        let mut frame =
            Frame::request(Method::Send, tid, path("msrp://b:2/y;tcp"), path("msrp://a:1/x;tcp"));
        let (start, rest) = range.split_once('-').unwrap();
        let (end, total) = rest.split_once('/').unwrap();
        let (start, end, total) = (start.parse().unwrap(), end.parse().ok(), total.parse().ok());
        frame.message_id = Some(Text::new(id));
        frame.byte_range = Some(ByteRange { start, end, total });
        frame.headers = vec![Header { name: "Content-Disposition".into(), value: "inline".into() }];
        frame.content_type = Some(Text::new("text/plain"));
        frame.body = Some(Bytes::copy_from_slice(body.as_bytes()));
        frame.flag = Continuation::from_octet(u8::try_from(flag).unwrap()).unwrap();
        frame
    }
}
