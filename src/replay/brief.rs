//! What is kept of words that peers said, which may be as long as their messages.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::said::{Line, Msrp, Sip};

/// A word of which only matters whether it is the same as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Mark {
    pub(super) fn of(word: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        word.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// Counts the bytes of words that are kept.
#[derive(Debug, Default)]
pub(super) struct Told(usize);

impl Told {
    pub(super) fn has_room(&self) -> bool {
        self.0 < MAX_TOLD
    }

    pub(super) fn take<const N: usize>(&mut self, words: [&String; N]) {
        self.0 += words.iter().map(|word| word.len()).sum::<usize>();
    }
}

/// Cuts off the end of a long text. What stands behind the ellipsis keeps texts apart that are not
/// the same.
pub(super) fn shorten(text: &mut String) {
    if text.len() <= MAX_WORD {
        return;
    }
    let Mark(whole) = Mark::of(text);
    text.truncate(text.floor_char_boundary(MAX_WORD - TAIL));
    // Writing to a `String` cannot fail.
    let _ = write!(text, "…{whole:016x}");
    text.shrink_to_fit();
}

/// Gives a word as accounts keep it.
pub(super) fn shortened(word: &str) -> String {
    let mut word = word.to_owned();
    shorten(&mut word);
    word
}

/// Shortens all that accounts keep of a message.
pub(super) fn shorten_sip(sip: &mut Sip) {
    let Sip { line, call_id, from, to, cseq, reason, event, leg, paths, .. } = sip;
    line.iter_mut().for_each(shorten_line);
    let words = [call_id, &mut from.address, &mut from.tag, &mut to.address, &mut to.tag, cseq];
    words.into_iter().for_each(shorten);
    reason.iter_mut().chain(event).chain(paths).for_each(shorten);
    leg.iter_mut().for_each(|(_, value)| shorten(value));
}

/// Shortens all that accounts keep of a frame.
pub(super) fn shorten_msrp(msrp: &mut Msrp) {
    shorten_line(&mut msrp.line);
    [&mut msrp.to, &mut msrp.from, &mut msrp.byte_range].into_iter().for_each(shorten);
}

fn shorten_line(line: &mut Line) {
    match line {
        Line::Request(word, _) | Line::Answer(_, word) => shorten(word),
    }
}

/// Bytes of a word; no identifier of a well-meaning peer is as long.
pub(super) const MAX_WORD: usize = 256;
/// The ellipsis and sixteen digits.
const TAIL: usize = 3 + 16;
/// Bytes of all words: a hundred thousand messages that say what they usually say need a third.
pub(super) const MAX_TOLD: usize = 24 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_cut_and_stay_apart() {
        let usual = "x".repeat(MAX_WORD);
        assert_eq!(shortened(&usual), usual);
        let long = "\u{20ac}".repeat(MAX_WORD);
        let (one, other) = (shortened(&format!("{long}1")), shortened(&format!("{long}2")));
        assert!(
            one != other && one.len() <= MAX_WORD && one.contains("\u{20ac}…"),
            "{one} {other}"
        );
        assert_eq!(shortened(&one), one);
    }
}
