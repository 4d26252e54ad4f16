//! Text as a header field may carry it, kept as a slice of the bytes it was read from.

use std::fmt;

use bytes::Bytes;

/// The `utf8text` of RFC 4975 section 9: UTF-8 without control characters other than the tab.
///
/// A line break cannot be held, so nothing that is written from here can forge a header field.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(Bytes);

impl Text {
    /// Copies `text`; a character that a header field cannot carry becomes a space.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if let Some(whole) = Self::read(Bytes::copy_from_slice(text.as_bytes())) {
            return whole;
        }
        let clean: String =
            text.chars().map(|c| if c.is_ascii_control() && c != '\t' { ' ' } else { c }).collect();
        Self(Bytes::from(clean))
    }

    /// Takes over bytes of the network if they are text.
    pub(super) fn read(bytes: Bytes) -> Option<Self> {
        let controls = bytes.iter().fold(false, |seen, &byte| seen | is_control(byte));
        (!controls && std::str::from_utf8(&bytes).is_ok()).then_some(Self(bytes))
    }

    /// Takes over a part of lines that [`is_plain`] has found to be so.
    pub(super) fn plain(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Gives the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a Text is UTF-8 from its construction on")
    }

    /// Cuts a part out without copying; `None` where the cut would split a character.
    pub(super) fn part(&self, from: usize, to: usize) -> Option<Self> {
        self.as_str().get(from..to).map(|part| Self(self.0.slice_ref(part.as_bytes())))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
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

/// Tells whether `lines` are ASCII, and have no controls but tabs and the line breaks between them.
///
/// One pass over a whole header section costs less than a look at each of its fields.
pub(super) fn is_plain(lines: &[u8]) -> bool {
    let Some(rest) = lines.get(1..) else { return true };
    let pairs = lines.iter().zip(rest);
    let odd = pairs.fold(false, |seen, (&byte, &next)| {
        let line_break = (byte == b'\r') | (byte == b'\n');
        let control = is_control(byte) & !line_break;
        seen | control | (byte > 0x7f) | ((byte == b'\r') != (next == b'\n'))
    });
    !odd && lines.first() != Some(&b'\n') && lines.last() == Some(&b'\n')
}

/// Counts the tab as text.
fn is_control(byte: u8) -> bool {
    ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_text_can_break_a_line() {
        assert_eq!(Text::new("a\r\nTo-Path: b\0").as_str(), "a  To-Path: b ");
        assert_eq!(Text::new("\tdéjà vu").as_str(), "\tdéjà vu");
        assert_eq!(Text::read(Bytes::from_static(b"a\rb")), None);
        assert_eq!(Text::read(Bytes::from_static(b"\xff")), None);
    }

    #[test]
    fn only_whole_lines_of_ascii_are_plain() {
        for plain in ["", "a: b\r\n", "a:\tb\r\nc: d\r\n", "\r\n"] {
            assert!(is_plain(plain.as_bytes()), "{plain:?}");
        }
        for odd in ["\n", "a", "a\r", "a\n", "a\nb\r\n", "a\rb\r\n", "a\0\r\n", "\x7f\r\n", "é\r\n"]
        {
            assert!(!is_plain(odd.as_bytes()), "{odd:?}");
        }
    }

    proptest! {
        /// The one pass finds what a look at each line would find.
        #[test]
        fn plain_is_what_every_line_alone_would_be(
            pieces in prop::collection::vec(
                prop_oneof![
                    Just("\r\n"), Just("\r"), Just("\n"), Just("\t"), Just("\0"), Just("\x7f"),
                    Just("a"), Just("long: enough for a wide register"), Just("é"), Just("\x1f"),
                ],
                0..12,
            ),
        ) {
            let lines = pieces.concat();
            let whole = lines.is_empty() || lines.ends_with("\r\n");
            let text = |line: &str| line.chars().all(|c| c == '\t' || (' '..='~').contains(&c));
            prop_assert_eq!(is_plain(lines.as_bytes()), whole && lines.split("\r\n").all(text));
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
