//! Text as a header field may carry it: short text in place, long text as a slice of the bytes it
//! was read from.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

/// The `utf8text` of RFC 4975 section 9: UTF-8 without control characters other than the tab.
///
/// A line break cannot be held, so nothing that is written from here can forge a header field.
#[derive(Clone)]
pub struct Text(Octets);

/// Identifiers and media types are short: to copy them costs less than to count who shares them,
/// and a copy that is kept does not keep what was read with it.
#[derive(Clone)]
enum Octets {
    /// What stands behind `length` means nothing.
    Short {
        length: u8,
        octets: [u8; SHORT],
    },
    Shared(Bytes),
}

impl Text {
    /// Copies `text`; a character that a header field cannot carry becomes a space.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if is_text(text.as_bytes()) {
            return Self::copied(text.as_bytes());
        }
        let clean: String =
            text.chars().map(|c| if c.is_ascii_control() && c != '\t' { ' ' } else { c }).collect();
        Self::copied(clean.as_bytes())
    }

    /// Takes over a part of what came from the network if it is text.
    pub(super) fn read(part: &[u8], whole: &Bytes) -> Option<Self> {
        is_text(part).then(|| Self::plain(part, whole))
    }

    /// Takes over a part of what came from the network that is known to be text.
    #[inline]
    pub(super) fn plain(part: &[u8], whole: &Bytes) -> Self {
        // To copy as much as there is room for costs less than to copy as much as there is.
        let at = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
        match (u8::try_from(part.len()), whole.get(at..).and_then(|rest| rest.first_chunk())) {
            (Ok(length), Some(octets)) if part.len() <= SHORT => {
                Self(Octets::Short { length, octets: *octets })
            }
            _ => Self::short(part).unwrap_or_else(|| Self(Octets::Shared(whole.slice_ref(part)))),
        }
    }

    /// Copies what is known to be text.
    pub(super) fn copied(text: &[u8]) -> Self {
        Self::short(text).unwrap_or_else(|| Self(Octets::Shared(Bytes::copy_from_slice(text))))
    }

    /// Gives the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("a Text is UTF-8 from its construction on")
    }

    /// Cuts a part out without copying more than a short text; `None` where the cut would split a
    /// character.
    pub(super) fn part(&self, from: usize, to: usize) -> Option<Self> {
        let part = self.as_str().get(from..to)?.as_bytes();
        match &self.0 {
            Octets::Short { .. } => Self::short(part),
            Octets::Shared(whole) => Some(Self::plain(part, whole)),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Octets::Short { length, octets } => {
                octets.get(..usize::from(*length)).unwrap_or_default()
            }
            Octets::Shared(bytes) => bytes,
        }
    }

    fn short(text: &[u8]) -> Option<Self> {
        let mut octets = [0; SHORT];
        octets.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self(Octets::Short { length: u8::try_from(text.len()).ok()?, octets }))
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Octets::Short { length: 0, octets: [0; SHORT] })
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let control = |byte: u8| ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7f);
    !bytes.iter().fold(false, |seen, &byte| seen | control(byte))
        && std::str::from_utf8(bytes).is_ok()
}

/// Finds the first octet that is no printable ASCII: every line break, and all that text may not
/// have, but tabs and letters of other alphabets as well.
///
/// Eight octets at a time: nothing else looks at every octet of every head.
pub(super) fn unprintable(bytes: &[u8]) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // Of each octet the high bit: it is below a space, or it is 0x7f or above. A borrow or a
        // carry out of an octet spoils later ones only.
        let below = word.wrapping_sub(EACH * 0x20) & !word;
        let above = word.wrapping_add(EACH) | word;
        let found = (below | above) & (EACH * 0x80);
        if found != 0 {
            return Some(8 * place + found.trailing_zeros() as usize / 8);
        }
    }
    let odd = |byte: &u8| !(0x20..0x7f).contains(byte);
    Some(8 * words.len() + tail.iter().position(odd)?)
}

const EACH: u64 = 0x0101_0101_0101_0101;
/// What leaves a [`Text`] five words long, and has room for a UUID.
const SHORT: usize = 38;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_text_can_break_a_line() {
        assert_eq!(Text::new("a\r\nTo-Path: b\0").as_str(), "a  To-Path: b ");
        assert_eq!(Text::new("\tdéjà vu").as_str(), "\tdéjà vu");
        for bad in [b"a\rb".as_slice(), b"\xff"] {
            let bad = Bytes::copy_from_slice(bad);
            assert_eq!(Text::read(&bad, &bad), None);
        }
    }

    #[test]
    fn text_is_the_same_whether_it_is_held_in_place_or_shared() {
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 200] {
            let letters = "x".repeat(length);
            let whole = Bytes::from(format!("{letters} and more"));
            let read = Text::read(&whole[..length], &whole).unwrap();
            assert_eq!(read, Text::new(&letters));
            assert_eq!(read.as_str(), letters);
            assert_eq!(read.part(0, length), Some(read.clone()));
            assert!(length == 0 || Text::default() < read);
        }
    }

    proptest! {
        #[test]
        fn the_first_unprintable_octet_is_found(bytes: Vec<u8>, letters in "[ -~]{0,40}") {
            let whole = [letters.as_bytes(), &bytes].concat();
            let odd = whole.iter().position(|byte| !(b' '..=b'~').contains(byte));
            prop_assert_eq!(unprintable(&whole), odd);
        }
    }

    #[test]
    fn a_part_does_not_split_a_character() {
        let text = Text::new("aé");
        assert_eq!(text.part(0, 1), Some(Text::new("a")));
        assert_eq!(text.part(0, 2), None);
        assert_eq!(text.part(0, 9), None);
    }
}
