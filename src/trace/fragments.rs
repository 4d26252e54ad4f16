//! Datagrams put together from their fragments (RFC 791 section 3.2, RFC 8200 section 4.5).

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use bytes::Bytes;

use super::ip::{Packet, Part};
use super::network::Missing;
use super::{Fault, Warning};

/// The datagrams of which some fragments have been seen.
pub(super) struct Fragments {
    datagram_by_key: BTreeMap<Key, Datagram>,
    /// The keys in the order in which they were first seen; those that are done are passed over.
    order: VecDeque<(Key, u64)>,
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    id: u32,
}

struct Datagram {
    /// The packet that it began with.
    packet: u64,
    parts: usize,
    bytes: Vec<u8>,
    /// What of it the capture kept.
    filled: Ranges,
    /// What of it was seen, kept or not.
    seen: Ranges,
    /// The first packet of which the capture did not keep all.
    cut: Option<u64>,
    /// Where the last fragment says that it ends.
    end: Option<usize>,
}

/// A datagram put together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// What the capture kept of it, up to the first byte that it did not.
    pub(super) bytes: Bytes,
    /// What it did not keep.
    pub(super) missing: Missing,
}

/// Places in a datagram, in order, without touching neighbours.
#[derive(Default)]
struct Ranges(Vec<(usize, usize)>);

impl Fragments {
    pub(super) fn new(limit: usize) -> Self {
        Self { datagram_by_key: BTreeMap::new(), order: VecDeque::new(), limit: limit.max(1) }
    }

    /// Adds a fragment; gives the datagram that it completes. Datagrams given up are told.
    pub(super) fn add(
        &mut self,
        packet: &Packet<'_>,
        part: Part,
        number: u64,
        warn: &mut impl FnMut(Warning),
    ) -> Option<Whole> {
        let key = Key { from: packet.from, to: packet.to, protocol: packet.protocol, id: part.id };
        if !self.datagram_by_key.contains_key(&key) {
            self.make_room(warn);
            self.order.push_back((key, number));
        }
        let datagram = self.datagram_by_key.entry(key).or_insert_with(|| Datagram::new(number));
        if !datagram.fill(part, packet, number) {
            warn(Warning { packet: number, fault: Fault::Header("fragment") });
        }
        let end = datagram.end.filter(|end| datagram.seen.prefix() >= *end)?;
        let mut whole = self.datagram_by_key.remove(&key)?;
        let kept = whole.filled.prefix().min(end);
        whole.bytes.truncate(kept);
        let missing = Missing { bytes: end - kept, packet: whole.cut.unwrap_or(number) };
        Some(Whole { bytes: Bytes::from(whole.bytes), missing })
    }

    /// Gives up what has not come together.
    pub(super) fn end(&mut self, warn: &mut impl FnMut(Warning)) {
        while self.forget_oldest(warn) {}
    }

    fn make_room(&mut self, warn: &mut impl FnMut(Warning)) {
        // The order may also hold keys that are done; it stays within a small multiple.
        while self.datagram_by_key.len() >= self.limit || self.order.len() >= 4 * self.limit {
            if !self.forget_oldest(warn) {
                return;
            }
        }
    }

    fn forget_oldest(&mut self, warn: &mut impl FnMut(Warning)) -> bool {
        let Some((key, packet)) = self.order.pop_front() else { return false };
        if self.datagram_by_key.get(&key).is_some_and(|datagram| datagram.packet == packet)
            && let Some(datagram) = self.datagram_by_key.remove(&key)
        {
            warn(Warning { packet, fault: Fault::Fragments { parts: datagram.parts } });
        }
        true
    }
}

impl Datagram {
    fn new(packet: u64) -> Self {
        let (filled, seen) = (Ranges::default(), Ranges::default());
        Self { packet, parts: 0, bytes: Vec::new(), filled, seen, cut: None, end: None }
    }

    /// Fills in what is not there yet: where fragments overlap, the first one holds.
    /// `false` where the fragment reaches beyond any datagram, or brings more pieces than one has.
    fn fill(&mut self, part: Part, packet: &Packet<'_>, number: u64) -> bool {
        let (begin, payload) = (part.offset, packet.payload);
        let kept = begin + payload.len();
        let end = kept.saturating_add(packet.missing);
        if end > MAX_DATAGRAM || self.parts >= MAX_PARTS {
            return false;
        }
        self.parts += 1;
        if !part.more {
            self.end.get_or_insert(end);
        }
        if packet.missing > 0 {
            self.cut.get_or_insert(number);
        }
        if self.bytes.len() < kept {
            self.bytes.resize(kept, 0);
        }
        let mut at = begin;
        for (from, to) in self.filled.0.iter().copied().chain([(kept, kept)]) {
            let stop = from.clamp(at, kept);
            if let (Some(target), Some(source)) =
                (self.bytes.get_mut(at..stop), payload.get(at - begin..stop - begin))
            {
                target.copy_from_slice(source);
            }
            at = at.max(to.min(kept));
        }
        self.filled.add(begin, kept);
        self.seen.add(begin, end);
        true
    }
}

impl Ranges {
    fn add(&mut self, from: usize, to: usize) {
        let (mut from, mut to) = (from, to);
        self.0.retain(|&(start, end)| {
            let apart = end < from || start > to;
            if !apart {
                (from, to) = (from.min(start), to.max(end));
            }
            apart
        });
        let place = self.0.partition_point(|&(start, _)| start < from);
        self.0.insert(place, (from, to));
    }

    /// Gives how far it reaches from the beginning without a gap.
    fn prefix(&self) -> usize {
        match self.0.first() {
            Some(&(0, end)) => end,
            Some(_) | None => 0,
        }
    }
}

/// The most that an IP datagram holds.
const MAX_DATAGRAM: usize = 65_535;
/// As many as a datagram has in pieces of 64 bytes.
const MAX_PARTS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_come_together_in_any_order_and_overlapping() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            let parts = [(0, true, "aaaaaaaa"), (4, true, "xxxxbbbb"), (12, false, "cc")];
            let mut fragments = Fragments::new(4);
            let given: Vec<_> = order
                .iter()
                .filter_map(|&index| {
                    let (offset, more, text) = parts[index];
                    add(&mut fragments, 1, offset, more, text.as_bytes()).0
                })
                .collect();
            assert!(matches!(&given[..], [whole] if whole.missing.bytes == 0), "{given:?}");
            let bytes = &given[0].bytes;
            assert!(bytes.ends_with(b"bbbbcc") && bytes.len() == 14, "{given:?}");
        }
    }

    #[test]
    fn what_never_comes_together_is_told_with_its_packet() {
        let mut fragments = Fragments::new(2);
        for id in 0..2 {
            assert_eq!(add(&mut fragments, id, 0, true, b"aaaaaaaa"), (None, vec![]));
        }
        let (_, warnings) = add(&mut fragments, 2, 0, true, b"aaaaaaaa");
        assert_eq!(warnings, [Warning { packet: 100, fault: Fault::Fragments { parts: 1 } }]);
        let mut warnings = Vec::new();
        fragments.end(&mut |warning| warnings.push(warning.packet));
        assert_eq!(warnings, [101, 102]);
    }

    #[test]
    fn a_fragment_beyond_the_end_of_all_datagrams_is_refused() {
        let mut fragments = Fragments::new(2);
        let (none, warnings) = add(&mut fragments, 1, 65_528, false, &[0; 100]);
        assert_eq!((none, warnings.len()), (None, 1));
    }

    #[test]
    fn what_the_capture_cut_off_is_missing_from_there_on_in_any_order() {
        for (cut, kept) in [([0, 0, 4], 20), ([0, 0, 8], 16), ([0, 3, 0], 13), ([2, 0, 1], 6)] {
            for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
                let mut fragments = Fragments::new(4);
                let mut given = Vec::new();
                for index in order {
                    let (offset, missing) = (8 * index, cut[index]);
                    let part = Part { id: 1, offset, more: index < 2 };
                    let packet = Packet { missing, ..packet(part, &b"aaaaaaaa"[missing..]) };
                    let number = 10 + index as u64;
                    let warn = &mut |warning| panic!("{warning}");
                    given.extend(fragments.add(&packet, part, number, warn));
                }
                let cut: Vec<_> = order.into_iter().filter(|index| cut[*index] > 0).collect();
                let missing = Missing { bytes: 24 - kept, packet: 10 + cut[0] as u64 };
                let bytes = Bytes::from(vec![b'a'; kept]);
                assert_eq!(given, [Whole { bytes, missing }], "{order:?}");
            }
        }
    }

    fn packet(part: Part, payload: &[u8]) -> Packet<'_> {
        let address = IpAddr::from([192, 0, 2, 1]);
        let (from, to, part) = (address, address, Some(part));
        Packet { from, to, protocol: 17, part, payload, missing: 0 }
    }

    fn add(
        fragments: &mut Fragments,
        id: u32,
        offset: usize,
        more: bool,
        payload: &[u8],
    ) -> (Option<Whole>, Vec<Warning>) {
        let part = Part { id, offset, more };
        let packet = packet(part, payload);
        let mut warnings = Vec::new();
        let whole = fragments
            .add(&packet, part, 100 + u64::from(id), &mut |warning| warnings.push(warning));
        (whole, warnings)
    }
}
