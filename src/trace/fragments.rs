//! Datagrams put together from their fragments (RFC 791 section 3.2, RFC 8200 section 4.5).

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use bytes::Bytes;

use super::ip::{Packet, Part};
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
    /// What of it has been filled, in order, without touching neighbours.
    filled: Vec<(usize, usize)>,
    /// Where the last fragment says that it ends.
    end: Option<usize>,
}

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
    ) -> Option<Bytes> {
        let key = Key { from: packet.from, to: packet.to, protocol: packet.protocol, id: part.id };
        if !self.datagram_by_key.contains_key(&key) {
            self.make_room(warn);
            self.order.push_back((key, number));
        }
        let datagram = self.datagram_by_key.entry(key).or_insert_with(|| Datagram::new(number));
        if !datagram.fill(part, packet.payload) {
            warn(Warning { packet: number, fault: Fault::Header("fragment") });
        }
        if !datagram.is_whole() {
            return None;
        }
        let mut whole = self.datagram_by_key.remove(&key)?;
        whole.bytes.truncate(whole.end.unwrap_or_default());
        Some(Bytes::from(whole.bytes))
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
        Self { packet, parts: 0, bytes: Vec::new(), filled: Vec::new(), end: None }
    }

    /// Fills in what is not there yet: where fragments overlap, the first one holds.
    /// `false` where the fragment reaches beyond any datagram, or brings more pieces than one has.
    fn fill(&mut self, part: Part, payload: &[u8]) -> bool {
        let end = part.offset + payload.len();
        if end > MAX_DATAGRAM || self.parts >= MAX_PARTS {
            return false;
        }
        self.parts += 1;
        if !part.more {
            self.end.get_or_insert(end);
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let mut at = part.offset;
        for (from, to) in self.filled.iter().copied().chain([(end, end)]) {
            let stop = from.clamp(at, end);
            if let (Some(target), Some(source)) =
                (self.bytes.get_mut(at..stop), payload.get(at - part.offset..stop - part.offset))
            {
                target.copy_from_slice(source);
            }
            at = at.max(to.min(end));
        }
        self.remember(part.offset, end);
        true
    }

    fn remember(&mut self, from: usize, to: usize) {
        let (mut from, mut to) = (from, to);
        self.filled.retain(|&(start, end)| {
            let apart = end < from || start > to;
            if !apart {
                (from, to) = (from.min(start), to.max(end));
            }
            apart
        });
        let place = self.filled.partition_point(|&(start, _)| start < from);
        self.filled.insert(place, (from, to));
    }

    fn is_whole(&self) -> bool {
        let Some(end) = self.end else { return false };
        matches!(self.filled.first(), Some(&(0, filled)) if filled >= end)
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
            assert_eq!(given.len(), 1);
            assert!(given[0].ends_with(b"bbbbcc") && given[0].len() == 14, "{given:?}");
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

    fn add(
        fragments: &mut Fragments,
        id: u32,
        offset: usize,
        more: bool,
        payload: &[u8],
    ) -> (Option<Bytes>, Vec<Warning>) {
        let address = IpAddr::from([192, 0, 2, 1]);
        let part = Part { id, offset, more };
        let packet = Packet {
            from: address,
            to: address,
            protocol: 17,
            part: Some(part),
            payload,
            missing: 0,
        };
        let mut warnings = Vec::new();
        let whole = fragments
            .add(&packet, part, 100 + u64::from(id), &mut |warning| warnings.push(warning));
        (whole, warnings)
    }
}
