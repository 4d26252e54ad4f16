//! Logs of other tools: sngrep, HOMER, Kamailio's sipdump, SIPp, SOFIA and with it FreeSWITCH, pjsip,
//! and messages one behind the other.
//!
//! Where a message ends, its `Content-Length` says, not the separator of the log, for bodies may
//! look like one. Only where that leads nowhere (line breaks that were changed on the way, a wrong
//! length) does the next separator hold. SOFIA and pjsip are known to change line breaks: there they
//! are counted, and given, as they were (`relined`).
//!
//! What is known of an entry is kept until it is whole: the work is as the bytes, however few of
//! them come at a time.

use super::extent::{Extent, line_end, note};
use super::framing::{Start, start};
use super::relined::Relined;
use super::separator::{BARS, END, Entry, Separator, TAB, separator, terminator};
use super::{Fault, Format, Moment, Protocol};

/// A log under way.
#[derive(Debug)]
pub(super) struct Text {
    format: Format,
    limit: usize,
    known: Known,
    /// Days that have passed in a log that tells none, and its last time of a day.
    days: u64,
    last: Moment,
}

/// What is known of the bytes that were not taken yet.
#[derive(Debug, Default)]
enum Known {
    #[default]
    Nothing,
    /// No entry begins here; in so many bytes the line does not end.
    Line(usize),
    Entry(UnderWay),
}

/// An entry that is not whole yet.
#[derive(Debug)]
struct UnderWay {
    entry: Entry,
    /// Where its message begins.
    begin: usize,
    /// Whether that is known: line breaks before it are none of its own.
    has_begun: bool,
    search: Search,
    /// Where something else begins, at the latest.
    next: Option<usize>,
    said: Said,
    /// So far there are only line breaks behind its end.
    behind: usize,
    /// Whether its end, as it tells it itself, is one.
    fits: Option<bool>,
}

/// What the message is.
#[derive(Debug)]
enum Said {
    /// Its first line does not end in so many bytes.
    Unknown(usize),
    Nothing,
    /// As it was on the wire.
    Whole(Extent),
    Relined(Relined),
}

/// The way through lines to one that is looked for.
#[derive(Debug, Default)]
struct Search {
    /// Where a line begins that was not judged yet.
    line: Option<usize>,
    /// Bytes in which the line before that does not end.
    searched: usize,
}

/// What stands at the beginning of a log's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Not enough to tell.
    Need,
    /// So many bytes without a message.
    Skip(usize),
    /// An entry without a message that can be read.
    Bad(Fault, usize),
    /// An entry with its message, and where the next one may begin.
    Entry(Entry, Message),
}

/// Where the message of an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) protocol: Protocol,
    pub(super) begin: usize,
    pub(super) end: usize,
    /// The spaces before each line, where lines are not as they were on the wire.
    pub(super) relined: Option<usize>,
}

/// What there is behind the bytes that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    /// Nothing yet.
    ToCome,
    /// Nothing, and never will be.
    None,
    /// More than may be held.
    TooMuch,
}

/// The beginning of what may be a log.
#[derive(Debug)]
pub(super) struct Preamble(Search);

impl Preamble {
    pub(super) fn new() -> Self {
        Self(Search { line: Some(0), searched: 0 })
    }

    /// Tells which log it is by the first line that is one's separator; `None` where there is none,
    /// or none yet.
    pub(super) fn recognise(&mut self, bytes: &[u8], ended: bool) -> Option<Format> {
        let mut found = None;
        self.0.next(bytes, ended, |rest| {
            for format in LOGS.into_iter().filter(|_| bytes.len() - rest.len() < MAX_PREAMBLE) {
                match separator(format, rest, ended) {
                    Separator::Here(entry, length) => {
                        found = Some(format);
                        return Separator::Here(entry, length);
                    }
                    // It must not be mistaken for another one for being cut.
                    Separator::Unknown => return Separator::Unknown,
                    Separator::None => {}
                }
            }
            Separator::None
        });
        found
    }
}

impl Text {
    pub(super) fn new(format: Format, limit: usize) -> Self {
        Self { format, limit, known: Known::Nothing, days: 0, last: Moment::default() }
    }

    /// Looks at the bytes that were not taken yet, of which there are never less than the last time,
    /// and never further than the limit: what it says does not depend on how much more is there.
    pub(super) fn next(&mut self, bytes: &[u8], ended: bool) -> Step {
        let is_full = bytes.len() >= self.limit;
        let window = &bytes[..bytes.len().min(self.limit)];
        let more = match (is_full, ended) {
            (true, _) => More::TooMuch,
            (false, true) => More::None,
            (false, false) => More::ToCome,
        };
        match self.look(window, more) {
            Step::Bad(Fault::TooLong { .. }, length) => {
                Step::Bad(Fault::TooLong { limit: self.limit }, length)
            }
            Step::Entry(entry, message) => Step::Entry(self.dated(entry), message),
            step @ (Step::Need | Step::Skip(_) | Step::Bad(..)) => step,
        }
    }

    fn look(&mut self, bytes: &[u8], more: More) -> Step {
        let mut under_way = match std::mem::take(&mut self.known) {
            Known::Nothing => match separator(self.format, bytes, more == More::None) {
                Separator::Here(entry, length) => UnderWay::new(self.format, entry, length),
                Separator::Unknown if more == More::ToCome => return Step::Need,
                Separator::Unknown | Separator::None => return self.skip_line(bytes, more, 0),
            },
            Known::Line(searched) => return self.skip_line(bytes, more, searched),
            Known::Entry(under_way) => under_way,
        };
        let step = under_way.look(self.format, bytes, more);
        if step == Step::Need {
            self.known = Known::Entry(under_way);
        }
        step
    }

    fn skip_line(&mut self, bytes: &[u8], more: More, searched: usize) -> Step {
        match line_end(bytes, searched) {
            Some(end) => Step::Skip(end + 1),
            None if more == More::ToCome => {
                self.known = Known::Line(bytes.len());
                Step::Need
            }
            None => Step::Skip(bytes.len().max(1)),
        }
    }

    /// Gives each entry a day where the log tells none: behind midnight it is the next one. Small
    /// steps back are those of threads.
    fn dated(&mut self, mut entry: Entry) -> Entry {
        if entry.is_undated {
            if self.last.since(entry.at) > HALF_DAY {
                self.days += 1;
            }
            self.last = entry.at;
            entry.at = entry.at.days_later(self.days);
        }
        entry
    }
}

impl UnderWay {
    fn new(format: Format, entry: Entry, begin: usize) -> Self {
        // Without separators the first line is the message's own.
        let line = (format != Format::Plain).then_some(begin);
        Self {
            entry,
            begin,
            has_begun: format == Format::Plain,
            search: Search { line, searched: begin },
            next: None,
            said: Said::Unknown(0),
            behind: 0,
            fits: None,
        }
    }

    fn look(&mut self, format: Format, bytes: &[u8], more: More) -> Step {
        let ended = more == More::None;
        if !self.has_begun {
            self.begin += blank_lines(&bytes[self.begin..]);
            if self.begin == bytes.len() {
                return if ended { Step::Skip(self.begin.max(1)) } else { unfinished(bytes, more) };
            }
            self.has_begun = true;
            self.search = Search { line: Some(self.begin), searched: self.begin };
        }
        if self.next.is_none() {
            self.next = self.search.next(bytes, ended, |rest| terminator(format, rest, ended));
        }
        // A head does not reach into the next entry, nor is it looked for there; a body may look as
        // if it did.
        let sure = self.next.or(self.search.line).unwrap_or(bytes.len()).max(self.begin);
        let own = &bytes[self.begin..sure];
        self.recognise(format, own);
        let (protocol, told, relined) = match &mut self.said {
            Said::Whole(extent) => (extent.protocol(), extent.length(own), None),
            Said::Relined(relined) => (Protocol::Sip, relined.end(own), Some(relined.indent)),
            Said::Unknown(_) | Said::Nothing => {
                return match self.next {
                    Some(next) => Step::Skip(next.max(1)),
                    None => unfinished(bytes, more),
                };
            }
        };
        let message = |end| Message { protocol, begin: self.begin, end, relined };
        let step = |end| Step::Entry(self.entry, message(end));
        if let Some(end) = told.and_then(|told| self.begin.checked_add(told)) {
            if end <= bytes.len() && self.fits.is_none() {
                let place = (end, relined.is_some());
                self.fits = ends_at(format, bytes, (place, &mut self.behind), ended);
            }
            match self.fits {
                Some(true) => return step(end),
                None if more == More::ToCome => return Step::Need,
                Some(false) | None => {}
            }
        }
        match self.next {
            Some(next) => step(self.begin + without_blank_end(&bytes[self.begin..next])),
            None => unfinished(bytes, more),
        }
    }

    /// Reads the first line, once it is whole.
    fn recognise(&mut self, format: Format, own: &[u8]) {
        let Said::Unknown(searched) = self.said else { return };
        let may_be_relined = matches!(format, Format::Sofia | Format::Pjsip);
        if may_be_relined && let Some(end) = line_end(own, searched) {
            let line = &own[..=end];
            if let Some(relined) = Relined::of(line) {
                let is_sip = |extent: &Extent| extent.protocol() == Protocol::Sip;
                self.said = match start(&line[relined.indent..], 0) {
                    Start::Of(extent) if is_sip(&extent) => Said::Relined(relined),
                    Start::Of(_) | Start::None | Start::Unknown => Said::Nothing,
                };
                return;
            }
        } else if may_be_relined {
            self.said = Said::Unknown(own.len());
            return;
        }
        self.said = match start(own, if may_be_relined { 0 } else { searched }) {
            Start::Of(extent) => Said::Whole(extent),
            Start::None => Said::Nothing,
            Start::Unknown => Said::Unknown(own.len()),
        };
    }
}

impl Search {
    /// Goes on to the beginning of a line that is looked for, or to the end of the log; `None` where
    /// that takes more bytes.
    fn next(
        &mut self,
        bytes: &[u8],
        ended: bool,
        mut is_it: impl FnMut(&[u8]) -> Separator,
    ) -> Option<usize> {
        loop {
            if let Some(line) = self.line {
                if line == bytes.len() && !ended {
                    return None;
                }
                match is_it(&bytes[line..]) {
                    Separator::Here(..) => return Some(line),
                    Separator::Unknown => return None,
                    Separator::None => (self.line, self.searched) = (None, line),
                }
            }
            match line_end(bytes, self.searched) {
                Some(end) => self.line = Some(end + 1),
                None => {
                    self.searched = bytes.len();
                    return ended.then_some(bytes.len());
                }
            }
        }
    }
}

fn unfinished(bytes: &[u8], more: More) -> Step {
    match more {
        More::ToCome => Step::Need,
        More::TooMuch => Step::Bad(Fault::TooLong { limit: bytes.len() }, bytes.len()),
        More::None => Step::Bad(Fault::FileEnds, bytes.len().max(1)),
    }
}

/// Tells whether a message may end here; `None` where what follows is not there yet. `behind` counts
/// the line breaks that follow.
fn ends_at(
    format: Format,
    bytes: &[u8],
    ((end, is_relined), behind): ((usize, bool), &mut usize),
    ended: bool,
) -> Option<bool> {
    if format == Format::Sipdump {
        return match bytes[end..].get(..BARS.len()) {
            Some(next) => Some(next == BARS),
            None => ended.then_some(false),
        };
    }
    // FreeSWITCH goes on with words of its own.
    let is_line_over = bytes[..end].ends_with(b"\n") || bytes[end..].starts_with(b"\n");
    if format == Format::Sofia && (is_relined && is_line_over || bytes[end..].starts_with(TAB)) {
        return Some(true);
    }
    *behind += blank_lines(&bytes[end + *behind..]);
    let rest = &bytes[end + *behind..];
    if rest.is_empty() {
        return ended.then_some(true);
    }
    if format == Format::Pjsip && END.starts_with(&rest[..rest.len().min(END.len())]) {
        let is_whole = rest.len() >= END.len();
        return (is_whole || ended).then_some(is_whole);
    }
    match separator(format, rest, ended) {
        Separator::Here(..) => Some(true),
        Separator::None => Some(false),
        Separator::Unknown => None,
    }
}

fn blank_lines(bytes: &[u8]) -> usize {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    note(blank);
    blank
}

/// Gives the length without the line breaks that the log put behind the message: a head keeps its
/// empty line, a body one line break.
fn without_blank_end(bytes: &[u8]) -> usize {
    note(bytes.len());
    let text = bytes.trim_ascii_end().len();
    let Some((first, second)) = line_break(&bytes[text..]) else { return bytes.len() };
    let has_body = [&b"\r\n\r\n"[..], b"\n\n"]
        .iter()
        .any(|empty| memchr::memmem::find(&bytes[..text], empty).is_some());
    text + if has_body { first } else { first + second }
}

/// Gives the lengths of the first line break and of a second one behind it.
fn line_break(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = memchr::memchr(b'\n', bytes)? + 1;
    let second = memchr::memchr(b'\n', &bytes[first..]).map_or(0, |end| end + 1);
    Some((first, second))
}

/// The logs that are known, the most particular ones first.
const LOGS: [Format; 7] = [
    Format::Sngrep,
    Format::Homer,
    Format::Sipdump,
    Format::SippLog,
    Format::Sofia,
    Format::Pjsip,
    Format::Plain,
];
const HALF_DAY: std::time::Duration = std::time::Duration::from_secs(12 * 3600);
/// Bytes before the first entry of a log that may be something else.
pub(super) const MAX_PREAMBLE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n";
    const SNGREP: &str = "2023/11/14 22:13:20.000007 192.0.2.1:5060 -> [2001:db8::1]:5061\n";

    #[test]
    fn a_body_that_looks_like_a_separator_is_a_body() {
        let body = format!("{SNGREP}{OPTIONS}");
        let length = body.len();
        let message = format!("MESSAGE sip:a SIP/2.0\r\nContent-Length: {length}\r\n\r\n{body}");
        let log = format!("{SNGREP}{message}\n\n{SNGREP}{OPTIONS}\n");
        assert_eq!(messages(&log), [message.as_str(), OPTIONS]);
    }

    #[test]
    fn line_breaks_that_were_changed_do_no_harm() {
        let message = "MESSAGE sip:a SIP/2.0\nContent-Length: 12\n\none\ntwo\n";
        let log = format!("banner\n{SNGREP}{message}\n\n{SNGREP}{OPTIONS}");
        assert_eq!(messages(&log), [message, OPTIONS]);
        let alone = OPTIONS.replace('\r', "").replace(": 0", ": 99");
        assert_eq!(messages(&format!("{SNGREP}{alone}\n\n{SNGREP}{OPTIONS}")), [&*alone, OPTIONS]);
    }

    #[test]
    fn messages_without_separators_are_a_log_too() {
        assert_eq!(messages(&format!("{OPTIONS}\r\n{OPTIONS}")), [OPTIONS, OPTIONS]);
    }

    fn messages(log: &str) -> Vec<&str> {
        let Some(format) = Preamble::new().recognise(log.as_bytes(), true) else { panic!("a log") };
        let (mut text, mut at, mut found) = (Text::new(format, 4096), 0, Vec::new());
        while at < log.len() {
            match text.next(&log.as_bytes()[at..], true) {
                Step::Need => panic!("it has ended"),
                Step::Skip(length) | Step::Bad(_, length) => at += length,
                Step::Entry(_, Message { begin, end, .. }) => {
                    found.push(&log[at + begin..at + end]);
                    at += end;
                }
            }
        }
        found
    }
}
