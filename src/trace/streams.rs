//! The directions of TCP connections, put together from recorded segments (RFC 9293).
//!
//! A recorder sees what a receiver sees, and sometimes less: segments come out of order, twice,
//! overlapping, or never, and the connection may be older than the recording. What is missing is
//! waited for within bounds; behind a gap the next message is looked for.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::framing::{Cut, Framer};
use super::reader::Found;
use super::{End, Fault, Limits, Moment, Recorded, Transport, Warning};

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
}

impl Way {
    fn back(self) -> Self {
        Self { from: self.to, to: self.from }
    }
}

/// A segment as it was recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) way: Way,
    pub(super) at: Moment,
    pub(super) packet: u64,
    pub(super) sequence: u32,
    pub(super) syn: bool,
    pub(super) rst: bool,
    pub(super) payload: &'a [u8],
    /// Bytes behind the payload that the capture did not keep.
    pub(super) missing: usize,
}

/// All directions that are followed.
pub(super) struct Streams {
    stream_by_way: BTreeMap<Way, Stream>,
    limits: Limits,
    /// Bytes that all of them hold.
    held: usize,
    encrypted: u64,
}

impl Streams {
    pub(super) fn new(limits: Limits) -> Self {
        Self { stream_by_way: BTreeMap::new(), limits, held: 0, encrypted: 0 }
    }

    /// How many connections were found to be encrypted.
    pub(super) fn encrypted(&self) -> u64 {
        self.encrypted
    }

    /// Takes a segment, and appends the messages that it completes.
    pub(super) fn add(&mut self, segment: Segment<'_>, found: &mut VecDeque<Found>) {
        if segment.syn || segment.rst {
            self.finish(segment.way, found);
        }
        let carries = !segment.payload.is_empty() || segment.missing > 0;
        if segment.rst || !(carries || segment.syn) {
            return;
        }
        self.make_room(segment.packet, found);
        let limits = self.limits;
        let stream = self.stream_by_way.entry(segment.way).or_insert_with(|| Stream::new(&limits));
        let (held, was_encrypted) = (stream.held(), stream.encrypted);
        stream.add(segment, &limits, found);
        self.held = (self.held + stream.held()).saturating_sub(held);
        if stream.encrypted && !was_encrypted {
            let back = self.stream_by_way.get(&segment.way.back());
            self.encrypted += u64::from(!back.is_some_and(|back| back.encrypted));
        }
    }

    /// Ends all streams: what is still missing will not come.
    pub(super) fn end(&mut self, found: &mut VecDeque<Found>) {
        for (way, mut stream) in std::mem::take(&mut self.stream_by_way) {
            stream.finish(way, found);
        }
        self.held = 0;
    }

    fn finish(&mut self, way: Way, found: &mut VecDeque<Found>) {
        if let Some(mut stream) = self.stream_by_way.remove(&way) {
            self.held = self.held.saturating_sub(stream.held());
            stream.finish(way, found);
        }
    }

    /// Forgets a quarter of the streams, those silent for longest, where there are too many: one
    /// at a time would mean to look for it each time.
    fn make_room(&mut self, packet: u64, found: &mut VecDeque<Found>) {
        if self.stream_by_way.len() < self.limits.streams && self.held < self.limits.held {
            return;
        }
        let mut ways: Vec<(u64, Way)> =
            self.stream_by_way.iter().map(|(way, stream)| (stream.seen, *way)).collect();
        ways.sort_unstable();
        ways.truncate(ways.len().div_ceil(4));
        let mut forgotten = 0;
        for (_, way) in ways {
            let ours = self.stream_by_way.get(&way).is_some_and(Stream::is_ours);
            forgotten += usize::from(ours);
            self.finish(way, found);
        }
        if forgotten > 0 {
            warn(found, packet, Fault::Forgotten { forgotten });
        }
    }
}

/// One direction.
struct Stream {
    /// The number of the next byte; unknown before the first segment.
    next: Option<u32>,
    /// Bytes in order that are not a whole message yet.
    pending: BytesMut,
    framer: Framer,
    /// What came early, in the order of the stream.
    ahead: VecDeque<Ahead>,
    ahead_bytes: usize,
    /// Whether a message was ever found here: of other streams nobody wants to hear.
    spoke: bool,
    fresh: bool,
    encrypted: bool,
    /// The packet that it was joined at, where it is older than the recording and nothing is missing
    /// since, and bytes before the first message.
    joined: Option<u64>,
    missed: usize,
    /// The packet of the last segment.
    seen: u64,
}

/// A segment that came early.
struct Ahead {
    sequence: u32,
    bytes: Bytes,
    missing: usize,
    at: Moment,
    packet: u64,
}

impl Stream {
    fn new(limits: &Limits) -> Self {
        Self {
            next: None,
            pending: BytesMut::new(),
            framer: Framer::new(limits.message),
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            spoke: false,
            fresh: true,
            encrypted: false,
            joined: None,
            missed: 0,
            seen: 0,
        }
    }

    fn add(&mut self, segment: Segment<'_>, limits: &Limits, found: &mut VecDeque<Found>) {
        self.seen = segment.packet;
        let mut sequence = segment.sequence;
        if segment.syn {
            sequence = sequence.wrapping_add(1);
            self.next = Some(sequence);
        } else if self.next.is_none() {
            self.joined = Some(segment.packet);
        }
        let next = *self.next.get_or_insert(sequence);
        let early = sequence.wrapping_sub(next);
        if early == 0 {
            self.take(segment.way, segment.payload, segment.missing, segment, found);
        } else if early < FAR {
            self.keep(Ahead {
                sequence,
                bytes: Bytes::copy_from_slice(segment.payload),
                missing: segment.missing,
                at: segment.at,
                packet: segment.packet,
            });
        } else if early.wrapping_neg() < FAR {
            let known = usize::try_from(early.wrapping_neg()).unwrap_or(usize::MAX);
            if let Some(news) = segment.payload.get(known..).filter(|news| !news.is_empty()) {
                self.take(segment.way, news, segment.missing, segment, found);
            }
        } else {
            // The ends of another connection than the one that is known.
            self.finish(segment.way, found);
            *self = Self::new(limits);
            return self.add(segment, limits, found);
        }
        self.catch_up(segment.way, found);
        while self.is_gap_final(segment.at, limits) {
            self.jump(segment.way, found);
        }
    }

    /// Keeps an early segment in the order of the stream; the first of two equals holds.
    fn keep(&mut self, early: Ahead) {
        let Some(next) = self.next else { return };
        let distance = |sequence: u32| sequence.wrapping_sub(next);
        let place =
            self.ahead.partition_point(|other| distance(other.sequence) < distance(early.sequence));
        let is_known = self.ahead.get(place).is_some_and(|other| {
            other.sequence == early.sequence && other.bytes.len() >= early.bytes.len()
        });
        if !is_known {
            self.ahead_bytes += early.bytes.len();
            self.ahead.insert(place, early);
        }
    }

    /// Takes what came early and has its turn now.
    fn catch_up(&mut self, way: Way, found: &mut VecDeque<Found>) {
        while let (Some(next), Some(first)) = (self.next, self.ahead.front()) {
            let early = first.sequence.wrapping_sub(next);
            if early != 0 && early < FAR {
                return;
            }
            let Some(first) = self.ahead.pop_front() else { return };
            self.ahead_bytes -= first.bytes.len();
            let known = usize::try_from(early.wrapping_neg()).unwrap_or(usize::MAX);
            let news = first.bytes.get(known..).unwrap_or_default();
            if !news.is_empty() || (known == 0 && first.missing > 0) {
                let segment = first.segment(way);
                self.take(way, news, first.missing, segment, found);
            }
        }
    }

    fn is_gap_final(&self, now: Moment, limits: &Limits) -> bool {
        let Some(first) = self.ahead.front() else { return false };
        self.ahead_bytes > limits.ahead
            || self.ahead.len() > MAX_AHEAD
            || now.since(first.at) > PATIENCE
    }

    /// Gives up what is missing before the first early segment.
    fn jump(&mut self, way: Way, found: &mut VecDeque<Found>) {
        let (Some(next), Some(first)) = (self.next, self.ahead.front()) else { return };
        if self.is_ours() {
            let missing = usize::try_from(first.sequence.wrapping_sub(next)).unwrap_or(usize::MAX);
            warn(found, first.packet, Fault::Gap { missing });
        }
        self.next = Some(first.sequence);
        self.lose();
        self.catch_up(way, found);
    }

    /// Takes the bytes that are next, and cuts messages off.
    fn take(
        &mut self,
        way: Way,
        bytes: &[u8],
        missing: usize,
        by: Segment<'_>,
        found: &mut VecDeque<Found>,
    ) {
        let length = u32::try_from(bytes.len() + missing).unwrap_or(u32::MAX);
        self.next = self.next.map(|next| next.wrapping_add(length));
        if std::mem::take(&mut self.fresh) {
            // The five bytes before each record of TLS (RFC 8446 section 5.1).
            self.encrypted = matches!(bytes, [0x14..=0x17, 3, 0..=4, ..]);
        }
        if self.encrypted {
            return;
        }
        self.pending.extend_from_slice(bytes);
        loop {
            match self.framer.next(&self.pending) {
                Cut::Need => break,
                Cut::Noise(length) => {
                    // Line breaks keep a flow alive, and are no part of a message.
                    let is_blank = self.pending[..length].trim_ascii().is_empty();
                    if self.missed > 0 || !is_blank {
                        self.missed += length;
                    }
                    self.pending.advance(length);
                }
                Cut::TooLong(length) => {
                    let limit = self.framer.limit();
                    warn(found, by.packet, Fault::TooLong { limit });
                    self.pending.advance(length);
                }
                Cut::Message(protocol, length) => {
                    if let Some(packet) = self.joined.take().filter(|_| self.missed > 0) {
                        warn(found, packet, Fault::Begun { missed: self.missed });
                    }
                    self.spoke = true;
                    found.push_back(Found::Message(Recorded {
                        at: by.at,
                        from: End::At(way.from),
                        to: End::At(way.to),
                        transport: Transport::Tcp,
                        protocol,
                        packet: by.packet,
                        bytes: Bytes::copy_from_slice(&self.pending[..length]),
                    }));
                    self.pending.advance(length);
                }
            }
        }
        if self.pending.is_empty() {
            // Most streams are silent most of the time: they keep no memory.
            self.pending = BytesMut::new();
        }
        if missing > 0 {
            if self.is_ours() {
                warn(found, by.packet, Fault::CutOff { missing });
            }
            self.lose();
        }
    }

    fn finish(&mut self, way: Way, found: &mut VecDeque<Found>) {
        while !self.ahead.is_empty() {
            self.jump(way, found);
        }
        if !self.pending.is_empty() && self.framer.is_within() && self.is_ours() {
            warn(found, self.seen, Fault::Unfinished { held: self.pending.len() });
        }
        self.lose();
    }

    fn lose(&mut self) {
        self.pending = BytesMut::new();
        self.joined = None;
        self.framer.lose();
    }

    /// Tells whether messages of ours were found, or one is under way.
    fn is_ours(&self) -> bool {
        self.spoke || (!self.pending.is_empty() && self.framer.is_within())
    }

    fn held(&self) -> usize {
        self.pending.len() + self.ahead_bytes
    }
}

impl Ahead {
    /// The segment again, whose bytes are taken apart from it.
    fn segment(&self, way: Way) -> Segment<'static> {
        Segment {
            way,
            at: self.at,
            packet: self.packet,
            sequence: self.sequence,
            syn: false,
            rst: false,
            payload: &[],
            missing: self.missing,
        }
    }
}

fn warn(found: &mut VecDeque<Found>, packet: u64, fault: Fault) {
    found.push_back(Found::Warning(Warning { packet, fault }));
}

/// Sequence numbers further apart than any window (RFC 7323 section 2.3) are of two connections.
const FAR: u32 = 1 << 30;
/// Early segments of one direction that are held.
const MAX_AHEAD: usize = 1024;
/// How long a retransmission may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
