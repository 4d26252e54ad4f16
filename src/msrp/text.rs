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
        let controls = bytes
            .iter()
            .fold(false, |seen, &byte| seen | ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7f));
        (!controls && std::str::from_utf8(&bytes).is_ok()).then_some(Self(bytes))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_break_a_line() {
        assert_eq!(Text::new("a\r\nTo-Path: b\0").as_str(), "a  To-Path: b ");
        assert_eq!(Text::new("\tdéjà vu").as_str(), "\tdéjà vu");
        assert_eq!(Text::read(Bytes::from_static(b"a\rb")), None);
        assert_eq!(Text::read(Bytes::from_static(b"\xff")), None);
    }

    #[test]
    fn a_part_does_not_split_a_character() {
        let text = Text::new("aé");
        assert_eq!(text.part(0, 1), Some(Text::new("a")));
        assert_eq!(text.part(0, 2), None);
        assert_eq!(text.part(0, 9), None);
    }
}
