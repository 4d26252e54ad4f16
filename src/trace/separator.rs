//! The lines that entries of the logs of other tools begin with, and those that end them.

use std::net::{IpAddr, SocketAddr};

use memchr::memchr;

use super::extent::note;
use super::framing::begins;
use super::{End, Format, Moment, Transport};

/// What a log says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: Moment,
    pub(super) from: End,
    pub(super) to: End,
    pub(super) transport: Transport,
    /// Whether the log tells the time of some day only.
    pub(super) is_undated: bool,
}

/// A line, or some, that an entry begins with.
pub(super) enum Separator {
    /// The entry, and the bytes that tell it.
    Here(Entry, usize),
    None,
    /// It may be one, if more follows.
    Unknown,
}

/// Looks whether an entry begins here.
pub(super) fn separator(format: Format, bytes: &[u8], ended: bool) -> Separator {
    let mut lines = Lines { bytes, at: 0, ended };
    match format {
        Format::Sngrep => one_line(lines, sngrep),
        Format::Homer => one_line(lines, homer),
        Format::Sipdump => sipdump(lines),
        Format::SippLog => sipp(lines),
        Format::Sofia => sofia(lines),
        Format::Pjsip => match lines.next() {
            Ok(line) => {
                pjsip(line).map_or(Separator::None, |entry| Separator::Here(entry, lines.at))
            }
            Err(unfinished) => unfinished,
        },
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
    let entry = Entry { at, from, to, transport, is_undated: false };
    (arrow == "->" && words.next().is_none()).then_some(entry)
}

/// `proto:UDP 2023-11-14T22:13:20.020021+00:00  192.0.2.10:5060 ---> 198.51.100.5:5060`
fn homer(line: &str) -> Option<Entry> {
    let mut words = line.strip_prefix("proto:")?.split_ascii_whitespace();
    let transport = transport(words.next()?);
    let at = Moment::parse_rfc3339(words.next()?)?;
    let (from, arrow, to) = (words.next()?, words.next()?, words.next()?);
    let (from, to) = (End::At(address(from)?), End::At(address(to)?));
    let entry = Entry { at, from, to, transport, is_undated: false };
    (arrow == "--->").then_some(entry)
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
    Separator::Here(Entry { at, from, to, transport, is_undated: false }, lines.at)
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

/// `recv 903 bytes from udp/[192.0.2.1]:5060 at 22:13:20.020021:`, and a line of dashes behind it
/// but in a dump. Consoles colour it.
fn sofia(mut lines: Lines<'_>) -> Separator {
    if !lines.bytes.first().is_some_and(|byte| b"rs \x1b".contains(byte)) {
        return Separator::None;
    }
    let entry = match lines.next() {
        Ok(line) => match stamp(line) {
            Some(entry) => entry,
            None => return Separator::None,
        },
        Err(unfinished) => return unfinished,
    };
    let behind = lines.at;
    match lines.next() {
        Ok(line) if is_dashes(line) => Separator::Here(entry, lines.at),
        Err(Separator::Unknown) => Separator::Unknown,
        Ok(_) | Err(Separator::None | Separator::Here(..)) => Separator::Here(entry, behind),
    }
}

fn stamp(line: &str) -> Option<Entry> {
    let mut words = uncoloured(line).strip_suffix(':')?.split_ascii_whitespace();
    let verb = words.next()?;
    let _: u64 = words.next()?.parse().ok()?;
    let (bytes, way, place) = (words.next()?, words.next()?, words.next()?);
    let (carrier, place) = place.split_once('/')?;
    let transport = transport(carrier);
    let peer = sofia_address(place, transport).map_or(End::Peer, End::At);
    let (from, to) = match (verb, bytes, way) {
        ("recv", "bytes", "from") => (peer, End::Writer),
        ("send" | "sent", "bytes", "to") => (End::Writer, peer),
        _ => return None,
    };
    let (word, time) = (words.next()?, words.next()?);
    let at = Moment::parse_time_of_day(time)?;
    let is_stamp = word == "at" && words.next().is_none();
    is_stamp.then_some(Entry { at, from, to, transport, is_undated: true })
}

/// Reads `[192.0.2.1]:5060`, also without its brackets or its port, and with a flow label of IPv6
/// and the compression behind it.
fn sofia_address(place: &str, transport: Transport) -> Option<SocketAddr> {
    let place = place.split(['/', ';']).next()?;
    let usual = if transport == Transport::Tls { 5061 } else { 5060 };
    let alone = || Some(SocketAddr::new(bare(place).parse().ok()?, usual));
    alone().or_else(|| address(place))
}

/// Leaves out the spaces before a line, and what sets the colour of a terminal (ECMA-48 SGR).
fn uncoloured(mut line: &str) -> &str {
    loop {
        line = line.trim_start_matches(' ');
        let Some(rest) = line.strip_prefix("\u{1b}[") else { return line };
        line = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        line = line.strip_prefix('m').unwrap_or(line);
    }
}

fn is_dashes(line: &str) -> bool {
    let line = line.trim();
    line.len() >= MIN_DASHES && line.bytes().all(|byte| byte == b'-')
}

/// `22:13:20.123   pjsua_core.c  .TX 99 bytes Request msg INVITE/cseq=1 (tdta0x1) to UDP
/// 192.0.2.1:5060:`, with a day before the time where that is wanted, and whatever the program that
/// wrote it put before that; examples leave the transport out.
fn pjsip(line: &str) -> Option<Entry> {
    let words: Vec<&str> = line.strip_suffix(':')?.split_ascii_whitespace().collect();
    // The depth of the call is drawn in dots, and `!` tells that the thread is another one.
    let verb = |word: &str| match word.trim_start_matches(['.', '!']) {
        "RX" => Some(false),
        "TX" => Some(true),
        _ => None,
    };
    let (place, sends) =
        words.iter().enumerate().find_map(|(place, word)| Some((place, verb(word)?)))?;
    let (before, told) = words.split_at(place);
    let [_, count, "bytes", .., way, last] = told else { return None };
    let _: u64 = count.parse().ok()?;
    let wanted = if sends { "to" } else { "from" };
    let carrier = match told {
        [.., before, _, _] if *before == wanted => *way,
        _ if *way == wanted => "UDP",
        _ => return None,
    };
    let peer = End::At(address(last)?);
    let (from, to) = if sends { (End::Writer, peer) } else { (peer, End::Writer) };
    let transport = transport(carrier);
    let time = before.iter().rposition(|word| Moment::parse_time_of_day(word).is_some());
    let day = time.and_then(|time| before.get(time.checked_sub(1)?).copied());
    let dated = time.and_then(|time| Moment::parse_day_and_time(day?, before[time]));
    let of_day = time.and_then(|time| Moment::parse_time_of_day(before[time]));
    let is_undated = dated.is_none() && of_day.is_some();
    let at = dated.or(of_day).unwrap_or_default();
    Some(Entry { at, from, to, transport, is_undated })
}

/// Looks whether what an entry says is over before this line; the next entry tells that as well.
pub(super) fn terminator(format: Format, bytes: &[u8], ended: bool) -> Separator {
    let entry = || Separator::Here(Entry::default(), 0);
    let mut lines = Lines { bytes, at: 0, ended };
    match format {
        Format::Sipdump if bytes.starts_with(BARS) => entry(),
        Format::Pjsip if bytes.starts_with(END) => entry(),
        Format::Sofia if bytes.starts_with(TAB) => entry(),
        Format::Sofia if bytes.trim_ascii_start().first() == Some(&b'-') => match lines.next() {
            Ok(line) if is_dashes(line) => entry(),
            Ok(_) => Separator::None,
            Err(unfinished) => unfinished,
        },
        Format::Pcap
        | Format::PcapNg
        | Format::Sngrep
        | Format::Homer
        | Format::Sipdump
        | Format::SippLog
        | Format::Sofia
        | Format::Pjsip
        | Format::Plain => separator(format, bytes, ended),
    }
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            at: Moment::default(),
            from: End::Writer,
            to: End::Peer,
            transport: Transport::Udp,
            is_undated: false,
        }
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
        note(window.len());
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
    if word.starts_with("tcp") || word == "ws" {
        Transport::Tcp
    } else if word.starts_with("tls") || word.starts_with("ssl") || word == "wss" {
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

/// What ends an entry of sipdump, of pjsip, and of a dump of SOFIA.
pub(super) const BARS: &[u8] = b"||||||||||||||||||||";
pub(super) const END: &[u8] = b"--end msg--";
pub(super) const TAB: &[u8] = b"\x0b";
const MAX_SEPARATOR: usize = 1024;
const MAX_FIELDS: usize = 32;
/// SOFIA writes 72; a boundary of MIME has 70 characters at most (RFC 2046 section 5.1.1), and few
/// of them are dashes.
const MIN_DASHES: usize = 71;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        let line = "2023/11/14 22:13:20.000007 192.0.2.1:5060 -> [2001:db8::1]:5061";
        let entry = sngrep(line);
        assert_eq!(entry.map(|entry| entry.to), address("2001:db8::1:5061").map(End::At));
        assert_eq!(entry.map(|entry| entry.at), Some(Moment::new(1_700_000_000, 7000)));
        assert_eq!(sngrep("2023/11/14 22:13:20 192.0.2.1:5060 -> nowhere"), None);
        for (place, transport, wanted) in [
            ("[192.0.2.1]:5062", Transport::Udp, "192.0.2.1:5062"),
            ("192.0.2.1:5062", Transport::Udp, "192.0.2.1:5062"),
            ("[192.0.2.1]", Transport::Udp, "192.0.2.1:5060"),
            ("[2001:db8::1]", Transport::Tls, "[2001:db8::1]:5061"),
            ("[2001:db8::1]:5062/7;comp=sigcomp", Transport::Tcp, "[2001:db8::1]:5062"),
        ] {
            assert_eq!(sofia_address(place, transport), wanted.parse().ok(), "{place}");
        }
    }

    #[test]
    fn what_only_looks_like_a_separator_is_none() {
        for line in [
            "recv 9 bytes to udp/[192.0.2.1]:5060 at 22:13:20.000007:",
            "recv 9 bytes from udp/[192.0.2.1]:5060 at 22:13:20.000007",
            "recv x bytes from udp/[192.0.2.1]:5060 at 22:13:20.000007:",
            "recv 9 bytes from udp/[192.0.2.1]:5060 at noon:",
            "\u{1b}[31",
        ] {
            assert_eq!(stamp(line), None, "{line}");
        }
        for line in [
            "22:13:20.1 x.c .TX 9 bytes Request msg X/cseq=1 (t) from UDP 192.0.2.1:5060:",
            "22:13:20.1 x.c .TX 9 bytes Request msg X/cseq=1 (t) to UDP nobody:",
            "22:13:20.1 x.c .TX 9 octets Request msg X/cseq=1 (t) to UDP 192.0.2.1:5060:",
            "22:13:20.1 x.c .TX 9 bytes to 192.0.2.1:5060",
            "TX bytes:",
            "TX 9 bytes:",
        ] {
            assert_eq!(pjsip(line), None, "{line}");
        }
    }
}
