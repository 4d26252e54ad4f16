//! Which messages have come already: each is known by 64 bits.
//!
//! A message that is sent again after its connection was lost keeps its Message-ID (RFC 4975
//! section 5.4), but there are peers that use one for all they send, and say the same more than
//! once. So it is compared with what came on connections before, for nothing else can be a
//! repetition, and each of those messages is repeated once.

use std::collections::VecDeque;

use crate::ids::Random;

/// The messages of one session that were complete last.
#[derive(Debug)]
pub(super) struct Marks {
    key: Key,
    /// Those of this connection, the oldest first.
    latest: VecDeque<u64>,
    /// Those of connections before that have not come again, the oldest first.
    before: VecDeque<u64>,
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
        Self { key, latest: VecDeque::new(), before: VecDeque::new() }
    }

    /// Remembers the message that is made of these parts, and tells whether it is one of before.
    pub(super) fn is_repeated(&mut self, parts: [&[u8]; 3]) -> bool {
        let mark = self.key.mark(parts);
        if self.latest.len() >= REMEMBERED {
            self.latest.pop_front();
        }
        self.latest.push_back(mark);
        // It may come once more if this connection is lost, too.
        !self.before.is_empty() && self.take_out(mark)
    }

    /// Forgets the message that was remembered last.
    pub(super) fn forget_last(&mut self) {
        self.latest.pop_back();
    }

    /// Takes notice that the connection is lost: what has come may come again.
    pub(super) fn interrupt(&mut self) {
        self.before.append(&mut self.latest);
        let surplus = self.before.len().saturating_sub(REMEMBERED);
        self.before.drain(..surplus);
    }

    fn take_out(&mut self, mark: u64) -> bool {
        let place = self.before.iter().position(|before| *before == mark);
        place.and_then(|place| self.before.remove(place)).is_some()
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
            marks.interrupt();
            assert!(marks.is_repeated(parts), "{parts:?}");
        }
    }

    #[test]
    fn a_message_of_before_is_repeated_as_often_as_it_came() {
        let mut marks = marks();
        let mut comes = || marks.is_repeated([b"m", b"", b"ok"]);
        assert_eq!([comes(), comes(), comes()], [false; 3], "on one connection");
        marks.interrupt();
        let mut comes = || marks.is_repeated([b"m", b"", b"ok"]);
        assert_eq!([comes(), comes(), comes(), comes()], [true, true, true, false]);
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
        assert_eq!(marks.latest.len(), REMEMBERED);
        marks.is_repeated([b"refused", b"", b""]);
        marks.forget_last();
        for _ in 0..2 {
            marks.interrupt();
            assert_eq!((marks.latest.len(), marks.before.len()), (0, REMEMBERED - 1));
        }
        assert!(!marks.is_repeated([b"1", b"", b""]), "forgotten");
        assert!(!marks.is_repeated([b"refused", b"", b""]), "not taken in");
        assert!(marks.is_repeated([b"2", b"", b""]));
        assert_eq!((marks.latest.len(), marks.before.len()), (3, REMEMBERED - 2));
    }

    fn marks() -> Marks {
        Marks::new(&mut Random::seeded(1))
    }
}
