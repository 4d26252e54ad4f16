//! Logs of other tools: sngrep, HOMER, Kamailio's sipdump, SIPp, and messages one behind the other.
//!
//! Where a message ends, its `Content-Length` says, not the separator of the log, for bodies may
//! look like one. Only where that leads nowhere (line breaks that were changed on the way, a wrong
//! length) does the next separator hold.

use std::net::{IpAddr, SocketAddr};

use memchr::memchr;

use super::framing::{begins, in_log};
use super::{End, Fault, Format, Moment, Protocol, Transport};

/// A log under way.
#[derive(Debug)]
pub(super) struct Text {
    format: Format,
    limit: usize,
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
    /// An entry: where its message begins and ends, and where the next entry may begin.
    Entry { entry: Entry, protocol: Protocol, begin: usize, end: usize },
}

/// What a log says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: Moment,
    pub(super) from: End,
    pub(super) to: End,
    pub(super) transport: Transport,
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

/// A line, or some, that an entry begins with.
enum Separator {
    /// The entry, and the bytes that tell it.
    Here(Entry, usize),
    None,
    /// It may be one, if more follows.
    Unknown,
}

/// Tells which log it is by the first line that is one's separator; `None` where there is none, or
/// none yet.
pub(super) fn recognise(bytes: &[u8], ended: bool) -> Option<Format> {
    let logs = [Format::Sngrep, Format::Homer, Format::Sipdump, Format::SippLog, Format::Plain];
    let mut at = 0;
    while at < bytes.len().min(MAX_PREAMBLE) {
        for format in logs {
            match separator(format, &bytes[at..], ended) {
                Separator::Here(..) => return Some(format),
                // It must not be mistaken for another one for being cut.
                Separator::Unknown => return None,
                Separator::None => {}
            }
        }
        at += memchr(b'\n', &bytes[at..])? + 1;
    }
    None
}

impl Text {
    pub(super) fn new(format: Format, limit: usize) -> Self {
        Self { format, limit }
    }

    /// Looks at the bytes that were not taken yet, and never further than the limit: what it says
    /// does not depend on how much more is there.
    pub(super) fn next(&self, bytes: &[u8], ended: bool) -> Step {
        let is_full = bytes.len() >= self.limit;
        let window = &bytes[..bytes.len().min(self.limit)];
        let more = match (is_full, ended) {
            (true, _) => More::TooMuch,
            (false, true) => More::None,
            (false, false) => More::ToCome,
        };
        self.look(window, more)
    }

    fn look(&self, bytes: &[u8], more: More) -> Step {
        let ended = more == More::None;
        let (entry, head) = match separator(self.format, bytes, ended) {
            Separator::Here(entry, length) => (entry, length),
            Separator::Unknown if more == More::ToCome => return Step::Need,
            Separator::Unknown | Separator::None => return skip_line(bytes, more),
        };
        let begin = head + blank_lines(&bytes[head..]);
        let next = self.next_end(bytes, begin, ended);
        // A head does not reach into the next entry, nor is it looked for there; a body may look as
        // if it did.
        let Some((protocol, told)) = in_log(&bytes[begin..next.unwrap_or(bytes.len())]) else {
            return match next {
                Some(next) => Step::Skip(next.max(1)),
                None => self.unfinished(bytes, more),
            };
        };
        if let Some(end) = told.and_then(|told| begin.checked_add(told.length)) {
            let fits = if end <= bytes.len() { self.ends_at(bytes, end, ended) } else { None };
            match fits {
                Some(true) => return Step::Entry { entry, protocol, begin, end },
                None if more == More::ToCome => return Step::Need,
                Some(false) | None => {}
            }
        }
        match next {
            Some(next) => {
                let end = begin + without_blank_end(&bytes[begin..next]);
                Step::Entry { entry, protocol, begin, end }
            }
            None => self.unfinished(bytes, more),
        }
    }

    fn unfinished(&self, bytes: &[u8], more: More) -> Step {
        match more {
            More::ToCome => Step::Need,
            More::TooMuch => Step::Bad(Fault::TooLong { limit: self.limit }, bytes.len()),
            More::None => Step::Bad(Fault::FileEnds, bytes.len().max(1)),
        }
    }

    /// Tells whether a message may end here; `None` where what follows is not there yet.
    fn ends_at(&self, bytes: &[u8], end: usize, ended: bool) -> Option<bool> {
        if self.format == Format::Sipdump {
            return match bytes[end..].get(..BARS.len()) {
                Some(next) => Some(next == BARS),
                None => ended.then_some(false),
            };
        }
        let rest = &bytes[end + blank_lines(&bytes[end..])..];
        if rest.is_empty() {
            return ended.then_some(true);
        }
        match separator(self.format, rest, ended) {
            Separator::Here(..) => Some(true),
            Separator::None => Some(false),
            Separator::Unknown => None,
        }
    }

    /// Finds the next separator at the beginning of a line, or the end of the log.
    fn next_end(&self, bytes: &[u8], begin: usize, ended: bool) -> Option<usize> {
        let mut at = begin;
        loop {
            match memchr(b'\n', &bytes[at..]) {
                Some(length) => at += length + 1,
                None => return ended.then_some(bytes.len()),
            }
            let rest = &bytes[at..];
            if self.format == Format::Sipdump && rest.starts_with(BARS) {
                return Some(at);
            }
            match separator(self.format, rest, ended) {
                Separator::Here(..) => return Some(at),
                Separator::None => {}
                Separator::Unknown => return None,
            }
        }
    }
}

fn skip_line(bytes: &[u8], more: More) -> Step {
    match memchr(b'\n', bytes) {
        Some(end) => Step::Skip(end + 1),
        None if more == More::ToCome => Step::Need,
        None => Step::Skip(bytes.len().max(1)),
    }
}

fn separator(format: Format, bytes: &[u8], ended: bool) -> Separator {
    let lines = Lines { bytes, at: 0, ended };
    match format {
        Format::Sngrep => one_line(lines, sngrep),
        Format::Homer => one_line(lines, homer),
        Format::Sipdump => sipdump(lines),
        Format::SippLog => sipp(lines),
        Format::Plain => match begins(bytes) {
            Some(true) => Separator::Here(Entry::default(), 0),
            None if !ended => Separator::Unknown,
            Some(false) | None => Separator::None,
        },
        Format::Pcap | Format::PcapNg => Separator::None,
    }
}

fn one_line(mut lines: Lines<'_>, read: impl FnOnce(&str) -> Option<Entry>) -> Separator {
    // Of every log the separators begin with one of these; most lines do not.
    if !lines.bytes.first().is_some_and(|byte| byte.is_ascii_digit() || b"UTp".contains(byte)) {
        return Separator::None;
    }
    match lines.next() {
        Ok(line) => match read(line) {
            Some(entry) => Separator::Here(entry, lines.at),
            None => Separator::None,
        },
        Err(unfinished) => unfinished,
    }
}

/// `2023/11/14 22:13:20.000000 192.0.2.10:5060 -> 198.51.100.5:5060`, with a letter for the
/// transport before it in the form of ngrep.
fn sngrep(line: &str) -> Option<Entry> {
    let mut words = line.split_ascii_whitespace().peekable();
    let transport = match words.next_if(|word| matches!(*word, "U" | "T")) {
        Some("T") => Transport::Tcp,
        Some(_) | None => Transport::Udp,
    };
    let at = Moment::parse_day_and_time(words.next()?, words.next()?)?;
    let (from, arrow, to) = (words.next()?, words.next()?, words.next()?);
    let (from, to) = (End::At(address(from)?), End::At(address(to)?));
    (arrow == "->" && words.next().is_none()).then_some(Entry { at, from, to, transport })
}

/// `proto:UDP 2023-11-14T22:13:20.020021+00:00  192.0.2.10:5060 ---> 198.51.100.5:5060`
fn homer(line: &str) -> Option<Entry> {
    let mut words = line.strip_prefix("proto:")?.split_ascii_whitespace();
    let transport = transport(words.next()?);
    let at = Moment::parse_rfc3339(words.next()?)?;
    let (from, arrow, to) = (words.next()?, words.next()?, words.next()?);
    let (from, to) = (End::At(address(from)?), End::At(address(to)?));
    (arrow == "--->").then_some(Entry { at, from, to, transport })
}

/// Twenty `=`, lines of a name and a value, and twenty `~`.
fn sipdump(mut lines: Lines<'_>) -> Separator {
    match lines.next() {
        Ok("====================") => {}
        Ok(_) => return Separator::None,
        // Only what may still become that line is waited for.
        Err(unfinished) if lines.bytes.iter().all(|byte| *byte == b'=') => return unfinished,
        Err(_) => return Separator::None,
    }
    let (mut entry, mut from, mut to) = (Entry::default(), (None, 0), (None, 0));
    for _ in 0..MAX_FIELDS {
        let line = match lines.next() {
            Ok(line) => line,
            Err(unfinished) => return unfinished,
        };
        if line == "~~~~~~~~~~~~~~~~~~~~" {
            let end = |(address, port): (Option<IpAddr>, u16)| {
                address.map(|address| End::At(SocketAddr::new(address, port)))
            };
            entry.from = end(from).unwrap_or(entry.from);
            entry.to = end(to).unwrap_or(entry.to);
            return Separator::Here(entry, lines.at);
        }
        let Some((name, value)) = line.split_once(':') else { return Separator::None };
        let value = value.trim();
        match name {
            "time" => entry.at = Moment::parse_unix(value).unwrap_or_default(),
            "proto" => entry.transport = transport(value),
            "srcip" => from.0 = bare(value).parse().ok(),
            "srcport" => from.1 = value.parse().unwrap_or_default(),
            "dstip" => to.0 = bare(value).parse().ok(),
            "dstport" => to.1 = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    Separator::None
}

/// Dashes with a time, and then `UDP message sent (1373 bytes):` or
/// `UDP message received [254] bytes:`.
fn sipp(mut lines: Lines<'_>) -> Separator {
    if !lines.bytes.starts_with(b"-") {
        return Separator::None;
    }
    let at = match lines.next() {
        Ok(line) => match sipp_time(line) {
            Some(at) => at,
            None => return Separator::None,
        },
        Err(unfinished) => return unfinished,
    };
    let what = match lines.next() {
        Ok(line) => line,
        Err(unfinished) => return unfinished,
    };
    let words: Vec<&str> = what.split_ascii_whitespace().take(3).collect();
    let (from, to) = match words.as_slice() {
        [_, "message", "sent"] => (End::Writer, End::Peer),
        [_, "message", "received"] => (End::Peer, End::Writer),
        // An entry that holds no message is an entry all the same.
        _ => return Separator::Here(Entry { at, ..Entry::default() }, lines.at),
    };
    let transport = transport(words[0]);
    Separator::Here(Entry { at, from, to, transport }, lines.at)
}

fn sipp_time(line: &str) -> Option<Moment> {
    let rest = line.trim_start_matches('-');
    if line.len() - rest.len() < 20 {
        return None;
    }
    let mut words = rest.split_ascii_whitespace();
    let (day, time) = (words.next()?, words.next()?);
    let unix = words.next().and_then(Moment::parse_unix);
    unix.or_else(|| Moment::parse_day_and_time(day, time))
}

impl Default for Entry {
    fn default() -> Self {
        Self { at: Moment::default(), from: End::Writer, to: End::Peer, transport: Transport::Udp }
    }
}

/// The lines of a separator, each of a bounded length.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    ended: bool,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a str, Separator> {
        let rest = &self.bytes[self.at..];
        let window = &rest[..rest.len().min(MAX_SEPARATOR)];
        let (line, length) = match memchr(b'\n', window) {
            Some(end) => (&window[..end], end + 1),
            None if window.len() == MAX_SEPARATOR => return Err(Separator::None),
            None if self.ended && !window.is_empty() => (window, window.len()),
            None if self.ended => return Err(Separator::None),
            None => return Err(Separator::Unknown),
        };
        self.at += length;
        std::str::from_utf8(line).map(str::trim_end).map_err(|_| Separator::None)
    }
}

fn transport(word: &str) -> Transport {
    let word = word.to_ascii_lowercase();
    if word.starts_with("tcp") {
        Transport::Tcp
    } else if word.starts_with("tls") || word.starts_with("ssl") {
        Transport::Tls
    } else {
        Transport::Udp
    }
}

/// Reads `192.0.2.1:5060`, `[2001:db8::1]:5060`, and the latter without its brackets.
fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| {
        let (address, port) = text.rsplit_once(':')?;
        Some(SocketAddr::new(bare(address).parse().ok()?, port.parse().ok()?))
    })
}

fn bare(address: &str) -> &str {
    address.trim_start_matches('[').trim_end_matches(']')
}

fn blank_lines(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// Gives the length without the line breaks that the log put behind the message: a head keeps its
/// empty line, a body one line break.
fn without_blank_end(bytes: &[u8]) -> usize {
    let text = bytes.trim_ascii_end().len();
    let Some((first, second)) = line_break(&bytes[text..]) else { return bytes.len() };
    let has_body = [&b"\r\n\r\n"[..], b"\n\n"]
        .iter()
        .any(|empty| memchr::memmem::find(&bytes[..text], empty).is_some());
    text + if has_body { first } else { first + second }
}

/// Gives the lengths of the first line break and of a second one behind it.
fn line_break(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = memchr(b'\n', bytes)? + 1;
    let second = memchr(b'\n', &bytes[first..]).map_or(0, |end| end + 1);
    Some((first, second))
}

const BARS: &[u8] = b"||||||||||||||||||||";
/// Bytes before the first entry of a log that may be something else.
pub(super) const MAX_PREAMBLE: usize = 64 * 1024;
const MAX_SEPARATOR: usize = 1024;
const MAX_FIELDS: usize = 32;

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
    fn addresses_are_read_in_all_their_forms() {
        let entry = sngrep(SNGREP);
        assert_eq!(entry.map(|entry| entry.to), address("2001:db8::1:5061").map(End::At));
        assert_eq!(entry.map(|entry| entry.at), Some(Moment::new(1_700_000_000, 7000)));
        assert_eq!(sngrep("2023/11/14 22:13:20 192.0.2.1:5060 -> nowhere"), None);
    }

    #[test]
    fn messages_without_separators_are_a_log_too() {
        assert_eq!(messages(&format!("{OPTIONS}\r\n{OPTIONS}")), [OPTIONS, OPTIONS]);
    }

    fn messages(log: &str) -> Vec<&str> {
        let Some(format) = recognise(log.as_bytes(), true) else { panic!("a log") };
        let (text, mut at, mut found) = (Text::new(format, 4096), 0, Vec::new());
        while at < log.len() {
            match text.next(&log.as_bytes()[at..], true) {
                Step::Need => panic!("it has ended"),
                Step::Skip(length) | Step::Bad(_, length) => at += length,
                Step::Entry { begin, end, .. } => {
                    found.push(&log[at + begin..at + end]);
                    at += end;
                }
            }
        }
        found
    }
}
