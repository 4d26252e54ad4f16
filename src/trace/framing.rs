//! Where a message begins and ends in recorded bytes.
//!
//! This is framing and no more: a recording holds what peers really said, and what breaks the
//! rules of a language is what its reader wants to see. SIP and HTTP end by `Content-Length`
//! (RFC 3261 section 18.3), MSRP by its end-line (RFC 4975 section 7.1).

use super::Protocol;
use super::extent::{Extent, body_length, head_length, line_end};

/// What stands at the beginning of a stream's bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Cut {
    /// Not enough to tell.
    Need,
    /// So many bytes that are no message: keep-alives, or what is left of a lost one.
    Noise(usize),
    /// A message of so many bytes.
    Message(Protocol, usize),
    /// The beginning of a message beyond the limit; so many bytes of it are there.
    TooLong(usize),
}

/// Finds messages on one direction of a stream.
#[derive(Debug)]
pub struct Framer {
    limit: usize,
    /// Bytes at the beginning in which the first line is known not to end.
    searched: usize,
    /// The message under way, once its first line is there.
    under_way: Option<Extent>,
    /// Whether the next message must be looked for at the beginnings of lines.
    lost: bool,
}

impl Framer {
    /// Makes one for messages of so many bytes at most.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, searched: 0, under_way: None, lost: false }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Tells that bytes are missing: what comes next begins anywhere.
    pub(super) fn lose(&mut self) {
        *self = Self { lost: true, ..Self::new(self.limit) };
    }

    /// Tells whether it waits for the rest of a message.
    pub(super) fn is_within(&self) -> bool {
        !self.lost
    }

    /// Looks at the bytes that were not cut off yet, from where the last look ended: the work is
    /// as the bytes, however few of them come at a time.
    pub fn next(&mut self, bytes: &[u8]) -> Cut {
        let cut = self.look(bytes);
        match &cut {
            Cut::Need => {}
            Cut::Noise(_) | Cut::Message(..) => (self.searched, self.under_way) = (0, None),
            Cut::TooLong(_) => self.lose(),
        }
        cut
    }

    fn look(&mut self, bytes: &[u8]) -> Cut {
        if let Some(extent) = &mut self.under_way {
            return match extent.length(bytes) {
                Some(length) if length > self.limit => Cut::TooLong(bytes.len().min(length)),
                Some(length) if length <= bytes.len() => Cut::Message(extent.protocol(), length),
                None if bytes.len() > self.limit => Cut::TooLong(bytes.len()),
                Some(_) | None => Cut::Need,
            };
        }
        if self.lost {
            return self.find(bytes);
        }
        match blank(bytes) {
            0 => {}
            length => return Cut::Noise(length),
        }
        match start(bytes, self.searched) {
            Start::Unknown => {
                self.searched = bytes.len();
                Cut::Need
            }
            Start::None => {
                self.lose();
                self.find(bytes)
            }
            Start::Of(extent) => self.go_on_with(extent, bytes),
        }
    }

    fn go_on_with(&mut self, extent: Extent, bytes: &[u8]) -> Cut {
        (self.under_way, self.lost) = (Some(extent), false);
        self.look(bytes)
    }

    /// Looks for a message at the beginning of a line.
    fn find(&mut self, bytes: &[u8]) -> Cut {
        let mut at = 0;
        while at < bytes.len() {
            match start(&bytes[at..], if at == 0 { self.searched } else { 0 }) {
                Start::Of(extent) if at == 0 => return self.go_on_with(extent, bytes),
                Start::Of(_) => {
                    self.lost = false;
                    return Cut::Noise(at);
                }
                Start::Unknown => break,
                Start::None => {}
            }
            at = line_end(bytes, at).map_or(bytes.len(), |end| end + 1);
        }
        if at > 0 {
            return Cut::Noise(at);
        }
        self.searched = bytes.len();
        Cut::Need
    }
}

/// The message in a datagram: where it begins, how long it is, and how long it says to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InDatagram {
    pub(super) protocol: Protocol,
    pub(super) begin: usize,
    pub(super) length: usize,
    /// Whether it is shorter than it says.
    pub(super) short: bool,
}

/// Finds the message in a datagram; bytes behind its body are no part of it (RFC 3261 section
/// 18.3), and without `Content-Length` the body is all there is.
pub(super) fn in_datagram(bytes: &[u8]) -> Option<InDatagram> {
    let begin = blank(bytes);
    let bytes = bytes.get(begin..)?;
    let protocol = match start(bytes, 0) {
        Start::Of(extent) if extent.protocol() == Protocol::Sip => Protocol::Sip,
        Start::Of(_) | Start::None | Start::Unknown => return None,
    };
    let Some(head) = head_length(bytes, 0) else {
        return Some(InDatagram { protocol, begin, length: bytes.len(), short: true });
    };
    let claimed = match body_length(&bytes[..head]) {
        Some(body) => head.saturating_add(body),
        None => bytes.len(),
    };
    let length = claimed.min(bytes.len());
    Some(InDatagram { protocol, begin, length, short: claimed > bytes.len() })
}

/// Tells whether a message begins here; `None` where the line that would tell is not whole yet.
pub(super) fn begins(bytes: &[u8]) -> Option<bool> {
    match start(bytes, 0) {
        Start::Of(_) => Some(true),
        Start::None => Some(false),
        Start::Unknown => None,
    }
}

/// Counts the line breaks, spaces and zeros that keep a flow alive between messages.
fn blank(bytes: &[u8]) -> usize {
    let is_blank = |byte: &&u8| matches!(byte, b'\r' | b'\n' | b' ' | b'\t' | 0);
    bytes.iter().take_while(is_blank).count()
}

/// What a first line begins.
pub(super) enum Start {
    Of(Extent),
    None,
    /// The line is not whole yet.
    Unknown,
}

/// Tells by the first line whether a message begins here; of a line under way so many bytes were
/// looked at before.
pub(super) fn start(bytes: &[u8], searched: usize) -> Start {
    let window = &bytes[..bytes.len().min(MAX_START_LINE)];
    if !window.first().is_some_and(|byte| is_token(*byte)) {
        return if window.is_empty() { Start::Unknown } else { Start::None };
    }
    // The first word counts as one look: it is short.
    let word = match window.iter().take(MAX_METHOD + 1).position(|byte| !is_token(*byte)) {
        Some(end) => end,
        None if window.len() <= MAX_METHOD => return Start::Unknown,
        None => return Start::None,
    };
    // A status line begins with its version, which has a slash in it.
    let begins_well =
        matches!((window[word], &window[..word]), (b' ', _) | (b'/', b"SIP" | b"HTTP"));
    if !begins_well {
        return Start::None;
    }
    match line_end(window, searched) {
        Some(end) => whole_line(window[..end].trim_ascii_end()),
        None if window.len() == MAX_START_LINE => Start::None,
        // Random bytes are no line that is under way.
        None if has_controls(window, searched) => Start::None,
        None => Start::Unknown,
    }
}

fn has_controls(bytes: &[u8], from: usize) -> bool {
    let news = bytes.get(from..).unwrap_or_default();
    news.iter().any(|byte| *byte < b' ' && *byte != b'\r')
}

fn whole_line(line: &[u8]) -> Start {
    let ends_with_version = |name: &[u8]| {
        line.len() > name.len() + 4
            && line[..line.len() - 3].ends_with(name)
            && matches!(line[line.len() - 3..], [b'0'..=b'9', b'.', b'0'..=b'9'])
    };
    let status = |name: &[u8]| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| matches!(rest, [_, b'.', _, b' ', b'0'..=b'9', ..]))
    };
    if line.starts_with(b"MSRP ") {
        return Extent::of_frame(line).map_or(Start::None, Start::Of);
    }
    if status(b"SIP/") || ends_with_version(b" SIP/") {
        return Start::Of(Extent::of_head(Protocol::Sip));
    }
    if status(b"HTTP/") || ends_with_version(b" HTTP/") {
        return Start::Of(Extent::of_head(Protocol::Http));
    }
    Start::None
}

/// RFC 3261 section 25.1 and RFC 9110 section 5.6.2 agree.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

const MAX_START_LINE: usize = 8 * 1024;
const MAX_METHOD: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEND: &str = "MSRP tx1 SEND\r\nTo-Path: msrp://a:1/b;tcp\r\nFrom-Path: msrp://c:1/d;tcp\r\n\
                        Content-Type: text/plain\r\n\r\n-------tx2$\r\n-------tx1 x\r\n-------tx1$\r\n";
    const INVITE: &str = "INVITE sip:b@c SIP/2.0\r\nl : 4\r\n\r\nv=0\n";
    const OK: &str = "SIP/2.0 200 OK\nContent-Length: 0\n\n";
    const POST: &str = "POST /chat HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                        3;x=y\r\nabc\r\n0\r\nt: u\r\n\r\n";

    #[test]
    fn messages_of_three_languages_are_cut_out_of_one_stream() {
        let stream = [SEND, "\r\n\r\n", INVITE, OK, INVITE, INVITE, POST, SEND].concat();
        assert_eq!(
            cuts(stream.as_bytes(), stream.len()),
            [SEND, INVITE, OK, INVITE, INVITE, POST, SEND]
        );
    }

    #[test]
    fn behind_a_gap_the_next_beginning_of_a_line_is_taken() {
        let stream =
            ["est of something\r\nINVITE but no more\r\n", SEND, "garbage\r\n", OK].concat();
        let mut framer = Framer::new(4096);
        framer.lose();
        assert_eq!(drain(&mut framer, stream.as_bytes(), 7), [SEND, OK]);
    }

    #[test]
    fn what_is_too_long_is_told_and_passed_over() {
        let long = SEND.replace(" x\r", &"x".repeat(5000));
        let stream = [&long, OK].concat();
        let mut framer = Framer::new(1000);
        assert!(matches!(framer.next(stream.as_bytes()), Cut::TooLong(_)));
        let claims = INVITE.replace(": 4", ": 99999999999999999999");
        assert_eq!(
            Framer::new(1000).next(claims.as_bytes()),
            Cut::Message(Protocol::Sip, claims.len() - 4)
        );
        let claims = INVITE.replace(": 4", ": 18446744073709551615");
        assert!(matches!(Framer::new(1000).next(claims.as_bytes()), Cut::TooLong(_)));
    }

    #[test]
    fn a_first_line_is_no_end_line() {
        let odd = SEND.replacen("SEND", "-------tx1$", 1);
        assert_eq!(cuts(odd.as_bytes(), 3), [odd]);
    }

    #[test]
    fn a_datagram_ends_with_its_body() {
        let more = format!("\r\n{INVITE}more");
        let found =
            InDatagram { protocol: Protocol::Sip, begin: 2, length: INVITE.len(), short: false };
        assert_eq!(in_datagram(more.as_bytes()), Some(found));
        let cut = in_datagram(&INVITE.as_bytes()[..INVITE.len() - 1]);
        assert!(cut.is_some_and(|found| found.short));
        assert_eq!(in_datagram(b"\x80\x00 media SIP/2.0\r\n"), None);
        assert_eq!(in_datagram(b"\r\n\r\n\0\0"), None);
    }

    proptest! {
        #[test]
        fn a_stream_says_the_same_however_it_is_cut(
            stream in proptest::collection::vec(
                proptest::sample::select(vec![SEND, INVITE, OK, POST, "\r\n", "x y\r\n", "MSRP "]), 0..9),
            step in 1_usize..40,
        ) {
            let stream = stream.concat();
            prop_assert_eq!(cuts(stream.as_bytes(), step), cuts(stream.as_bytes(), stream.len().max(1)));
        }

        #[test]
        fn no_bytes_make_it_stand_still(bytes: Vec<u8>, text in "(MSRP |a |-------a|\\$|\r\n|SIP/2.0|\n|:|l|[0-9]){0,40}") {
            for stream in [&bytes[..], text.as_bytes()] {
                let _ = cuts(stream, 3);
                let _ = in_datagram(stream);
            }
        }
    }

    fn cuts(stream: &[u8], step: usize) -> Vec<String> {
        drain(&mut Framer::new(4096), stream, step)
    }

    fn drain(framer: &mut Framer, stream: &[u8], step: usize) -> Vec<String> {
        let (mut buffer, mut found) = (Vec::new(), Vec::new());
        for piece in stream.chunks(step) {
            buffer.extend_from_slice(piece);
            loop {
                match framer.next(&buffer) {
                    Cut::Need => break,
                    Cut::Noise(length) | Cut::TooLong(length) => {
                        assert!(length > 0);
                        drop(buffer.drain(..length));
                    }
                    Cut::Message(_, length) => {
                        found.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
                        drop(buffer.drain(..length));
                    }
                }
            }
        }
        found
    }
}
