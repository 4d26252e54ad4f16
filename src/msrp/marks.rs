//! Which messages have come already: each is known by 64 bits.

use crate::ids::Random;

/// The messages of one session that were complete last.
#[derive(Debug)]
pub(super) struct Marks {
    key: Key,
    /// In halves: nearly every message is none of them by its lower half alone, and more halves
    /// than wholes are compared at a time.
    lower: Vec<u32>,
    upper: Vec<u32>,
    /// The place of the oldest, once all places are taken.
    next: usize,
}

/// Drawn for each session, so that nobody can choose messages that look the same.
#[derive(Debug, Clone, Copy)]
struct Key {
    lanes: [u64; 2],
    factor: u64,
}

impl Marks {
    pub(super) fn new(random: &mut Random) -> Self {
        let mut random = random.fork();
        let mut draw = || random.below(u64::MAX);
        let key = Key { lanes: [draw(), draw()], factor: draw() };
        Self { key, lower: Vec::new(), upper: Vec::new(), next: 0 }
    }

    /// Remembers the message that is made of these parts, and tells whether it was known.
    pub(super) fn is_repeated(&mut self, parts: [&[u8]; 3]) -> bool {
        let (lower, upper) = halves(self.key.mark(parts));
        if self.is_known(lower, upper) {
            return true;
        }
        self.put(lower, upper);
        self.next = (self.next + 1) % REMEMBERED;
        false
    }

    /// Forgets the message that was remembered last.
    pub(super) fn forget_last(&mut self) {
        self.next = (self.next + REMEMBERED - 1) % REMEMBERED;
        if let Some((lower, upper)) = self.lower.get(self.next).zip(self.upper.get(self.next)) {
            // What it is not stands there until another comes.
            self.put(!*lower, !*upper);
        }
    }

    fn is_known(&self, lower: u32, upper: u32) -> bool {
        // To stop at the first that is the same would cost more than there is to gain.
        let is_likely = self.lower.iter().fold(false, |found, seen| found | (*seen == lower));
        is_likely && self.lower.iter().zip(&self.upper).any(|seen| seen == (&lower, &upper))
    }

    fn put(&mut self, lower: u32, upper: u32) {
        for (halves, half) in [(&mut self.lower, lower), (&mut self.upper, upper)] {
            match halves.get_mut(self.next) {
                Some(place) => *place = half,
                None => halves.push(half),
            }
        }
    }
}

impl Key {
    /// Folds the parts into a number, each with its length: what moves from the end of one to the
    /// beginning of the next makes a difference.
    ///
    /// Two lanes of products, for a body may be large; all that is asked of them is that those who
    /// do not know the key cannot make two messages meet.
    fn mark(self, parts: [&[u8]; 3]) -> u64 {
        let mut lanes = self.lanes;
        for part in parts {
            lanes[0] = fold(lanes[0] ^ part.len() as u64, self.factor);
            let (blocks, rest) = part.as_chunks::<BLOCK>();
            for block in blocks {
                self.absorb(&mut lanes, pair(block));
            }
            if !rest.is_empty() {
                // Octets that have been taken already do no harm.
                let last = part.last_chunk::<BLOCK>().map_or(rest, |block| block);
                self.absorb(&mut lanes, pair(last));
            }
        }
        fold(lanes[0] ^ self.factor, lanes[1] ^ self.lanes[0])
    }

    fn absorb(self, lanes: &mut [u64; 2], pair: [u128; 2]) {
        let [one, two] = pair;
        lanes[0] = fold(one as u64 ^ lanes[0], (one >> 64) as u64 ^ self.factor);
        lanes[1] = fold(two as u64 ^ lanes[1], (two >> 64) as u64 ^ self.factor);
    }
}

/// Makes two numbers of up to so many octets as a block has: of less, some are in both. No others of
/// the same count make the same.
#[inline]
fn pair(octets: &[u8]) -> [u128; 2] {
    if let (Some(first), Some(last)) = (octets.first_chunk(), octets.last_chunk()) {
        return [u128::from_le_bytes(*first), u128::from_le_bytes(*last)];
    }
    match (octets.first_chunk(), octets.last_chunk()) {
        (Some(first), Some(last)) => {
            [u64::from_le_bytes(*first).into(), u64::from_le_bytes(*last).into()]
        }
        _ => [octets.iter().fold(0, |sum, octet| (sum << 8) | u128::from(*octet)), 0],
    }
}

fn halves(mark: u64) -> (u32, u32) {
    (mark as u32, (mark >> 32) as u32)
}

/// Multiplies, and lays the upper half of the product over the lower one.
fn fold(one: u64, two: u64) -> u64 {
    let product = u128::from(one) * u128::from(two);
    (product as u64) ^ ((product >> 64) as u64)
}

/// How many octets are taken at once: two words for each lane.
const BLOCK: usize = 32;
/// How many messages are remembered.
const REMEMBERED: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_message_is_known_by_each_of_its_parts() {
        let mut marks = marks();
        let long = [7; 100];
        let mut other = long;
        other[99] = 8;
        for parts in [
            [b"m".as_slice(), b"text/plain", b"hello"],
            [b"n", b"text/plain", b"hello"],
            [b"m", b"text/html", b"hello"],
            [b"m", b"text/plain", b"hello\0"],
            [b"mt", b"ext/plain", b"hello"],
            [b"m", b"text/plainh", b"ello"],
            [b"", b"", b""],
            [b"", b"", &long],
            [b"", b"", &long[1..]],
            [b"", b"", &other],
            [b"", &long, b""],
        ] {
            assert!(!marks.is_repeated(parts), "{parts:?}");
            assert!(marks.is_repeated(parts), "{parts:?}");
        }
    }

    #[test]
    fn every_bit_of_a_message_counts() {
        let key = marks().key;
        for length in [1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100] {
            let mut body = vec![0_u8; length];
            let mut all = BTreeSet::from([key.mark([b"m", b"t", &body])]);
            for bit in 0..8 * length {
                body[bit / 8] ^= 1 << (bit % 8);
                assert!(all.insert(key.mark([b"m", b"t", &body])), "bit {bit} of {length}");
                body[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn each_session_marks_in_its_own_way() {
        let [one, two] = [1, 2].map(|seed| Marks::new(&mut Random::seeded(seed)).key);
        assert_ne!(one.mark([b"m", b"t", b"b"]), two.mark([b"m", b"t", b"b"]));
    }

    #[test]
    fn only_the_last_messages_are_remembered() {
        let mut marks = marks();
        for number in 0..=REMEMBERED {
            assert!(!marks.is_repeated([number.to_string().as_bytes(), b"", b""]));
        }
        assert_eq!([marks.lower.len(), marks.upper.len()], [REMEMBERED; 2]);
        assert!(marks.is_repeated([b"1", b"", b""]));
        assert!(!marks.is_repeated([b"0", b"", b""]), "forgotten");
        marks.forget_last();
        assert!(!marks.is_repeated([b"0", b"", b""]), "forgotten again");
    }

    fn marks() -> Marks {
        Marks::new(&mut Random::seeded(1))
    }
}
