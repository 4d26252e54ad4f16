//! What is a date: something that merely begins like one is none.

use std::ops::RangeInclusive;

/// Tells whether a text is a date and a time, as RFC 3339 section 5.6 writes them (in a document also
/// without an offset, XML Schema part 2 section 3.2.7), or as SIP does (RFC 3261 section 20.17).
pub(super) fn is_date(text: &str) -> bool {
    let mut timestamp = Reader(text);
    let mut date = Reader(text);
    timestamp.timestamp().is_some_and(|()| timestamp.0.is_empty())
        || date.date().is_some_and(|()| date.0.is_empty())
}

/// What is still to be read.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn timestamp(&mut self) -> Option<()> {
        self.number(4, 0..=9999)?;
        self.word("-")?;
        self.number(2, 1..=12)?;
        self.word("-")?;
        self.number(2, 1..=31)?;
        self.word("T").or_else(|| self.word("t"))?;
        self.time()?;
        if self.word(".").is_some() {
            let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
            self.0 = self.0.get(digits..).filter(|_| digits > 0)?;
        }
        if self.word("Z").or_else(|| self.word("z")).is_some() || self.0.is_empty() {
            return Some(());
        }
        self.word("+").or_else(|| self.word("-"))?;
        self.number(2, 0..=23)?;
        self.word(":")?;
        self.number(2, 0..=59)
    }

    fn date(&mut self) -> Option<()> {
        self.one_of(&WEEKDAYS)?;
        self.word(", ")?;
        self.number(2, 1..=31)?;
        self.word(" ")?;
        self.one_of(&MONTHS)?;
        self.word(" ")?;
        self.number(4, 0..=9999)?;
        self.word(" ")?;
        self.time()?;
        self.word(" GMT")
    }

    fn time(&mut self) -> Option<()> {
        self.number(2, 0..=23)?;
        self.word(":")?;
        self.number(2, 0..=59)?;
        self.word(":")?;
        // A leap second counts 60.
        self.number(2, 0..=60)
    }

    fn number(&mut self, digits: usize, range: RangeInclusive<u16>) -> Option<()> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        self.0 = rest;
        (is_number && range.contains(&number.parse().ok()?)).then_some(())
    }

    fn one_of(&mut self, words: &[&str]) -> Option<()> {
        words.iter().find_map(|word| self.word(word))
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }
}

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_one_from_its_beginning_to_its_end() {
        for (text, is_one) in [
            ("2026-01-15T10:00:00Z", true),
            ("2026-01-15t10:00:00z", true),
            ("2026-01-15T10:00:00.123456+01:00", true),
            ("2026-01-15T23:59:60-00:00", true),
            ("2026-01-15T10:00:00", true),
            ("Thu, 15 Jan 2026 10:00:00 GMT", true),
            ("", false),
            ("2026-01-15", false),
            ("2026-01-15T10:00:00Z and more", false),
            ("2026-01-15T10:00:00.Z", false),
            ("2026-01-15T10:00:00+1:00", false),
            ("9999-99-99T99:99:99 hello world", false),
            ("2026-13-15T10:00:00Z", false),
            ("2026-01-00T10:00:00Z", false),
            ("2026-01-15T24:00:00Z", false),
            ("202\u{e9}-01-15T10:00:00Z", false),
            ("+026-01-15T10:00:00Z", false),
            ("Xxx, 99 Zzz 0000 99:99:99 GMT", false),
            ("Thu, 15 Jan 2026 10:00:00 GMT and more garbage", false),
            ("Thu, 15 Jan 2026 10:00:00 CET", false),
        ] {
            assert_eq!(is_date(text), is_one, "{text}");
        }
    }
}
