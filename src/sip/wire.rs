//! Bytes to messages: where one ends and the next begins, on datagrams and on streams
//! (RFC 3261 sections 7.5 and 18.3). What stands in a message is read by `head`.
//!
//! A bad message is answered and forgotten; a stream dies only when nobody can tell any more
//! where its next message begins.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::head::{Head, Length};
use super::{Message, Response, Status, UriError, ViewError};

/// What a peer may make us hold. Beyond it stands an answer, never memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireLimits {
    /// Bytes of a message, head and body.
    pub message: usize,
    /// Header fields of a message.
    pub headers: usize,
    /// Bytes of one header field, folds included.
    pub line: usize,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self { message: 64 * 1024, headers: 128, line: 16 * 1024 }
    }
}

/// What the decoder found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A message that keeps the rules.
    Message(Message),
    /// Line breaks between messages (RFC 5626 section 4.4.1).
    KeepAlive(KeepAlive),
    /// A message that breaks the rules; unless a `Fatal` follows, what comes behind it is intact.
    Reject {
        /// What to say to its sender: nothing to a response, to an ACK, or where no `Via` tells
        /// who asked. Its top `Via` wants [`stamp_answer`](super::stamp_answer).
        answer: Option<Response>,
        /// What is wrong.
        why: WireError,
    },
    /// Nobody knows where the next message begins: close the stream.
    Fatal(WireError),
}

/// Line breaks that keep a flow alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// Two line breaks: answer with one. When they come in pieces, a `Pong` is seen first.
    Ping,
    /// One line break: the answer to a ping, or white space that means nothing.
    Pong,
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// Neither a request line nor a status line.
    #[error("bad start line")]
    BadStartLine,
    /// Another version than SIP/2.0.
    #[error("version not supported")]
    Version,
    /// A status code that is not 100 to 699.
    #[error("bad status code")]
    BadStatus,
    /// A Request-URI that is none.
    #[error("bad Request-URI: {0}")]
    RequestUri(UriError),
    /// A Request-URI with headers behind a question mark (RFC 3261 section 19.1.1).
    #[error("bad Request-URI: it carries headers")]
    RequestUriHeaders,
    /// A line without a colon, or with a name that is no token.
    #[error("bad header field name")]
    BadHeaderName,
    /// A control character outside the escapes of a quoted string.
    #[error("control character in a header field")]
    Control,
    /// More header fields than [`WireLimits::headers`].
    #[error("too many header fields")]
    TooManyHeaders,
    /// A header field longer than [`WireLimits::line`].
    #[error("header field too long")]
    LineTooLong,
    /// More bytes than [`WireLimits::message`].
    #[error("message too large")]
    TooLarge,
    /// No empty line behind the header fields.
    #[error("no end of the header fields")]
    Unfinished,
    /// A datagram that ends before its body does.
    #[error("body shorter than Content-Length")]
    BodyCut,
    /// No `Content-Length` on a stream.
    #[error("missing Content-Length")]
    NoContentLength,
    /// A `Content-Length` that is no number, too large for any, or two that differ.
    #[error("bad Content-Length")]
    BadContentLength,
    /// A `CSeq` of another method than the request.
    #[error("CSeq method does not match")]
    CSeqMethod,
    /// A header field that must be there and readable, and is not.
    #[error("{0}")]
    View(#[from] ViewError),
}

impl WireError {
    /// The status that tells the sender.
    pub fn status(&self) -> Status {
        match self {
            Self::Version => Status::VERSION_NOT_SUPPORTED,
            Self::RequestUri(UriError::TooLong) => Status::REQUEST_URI_TOO_LONG,
            Self::TooLarge | Self::LineTooLong => Status::MESSAGE_TOO_LARGE,
            Self::BadStartLine
            | Self::BadStatus
            | Self::RequestUri(_)
            | Self::RequestUriHeaders
            | Self::BadHeaderName
            | Self::Control
            | Self::TooManyHeaders
            | Self::Unfinished
            | Self::BodyCut
            | Self::NoContentLength
            | Self::BadContentLength
            | Self::CSeqMethod
            | Self::View(_) => Status::BAD_REQUEST,
        }
    }
}

/// Decodes one datagram, which holds one message: bytes behind its body are discarded
/// (RFC 3261 section 18.3). Never [`Decoded::Fatal`].
pub fn decode_datagram(bytes: Bytes, limits: &WireLimits) -> Decoded {
    // Some clients keep their NAT binding open with zeros.
    let blank = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
    if bytes.iter().all(blank) {
        let breaks = bytes.iter().filter(|byte| **byte == b'\n').count();
        let kind = if breaks > 1 { KeepAlive::Ping } else { KeepAlive::Pong };
        return Decoded::KeepAlive(kind);
    }
    let mut rest = bytes;
    while let Some(length) = line_break(&rest) {
        rest.advance(length);
    }
    let size = rest.len();
    let (head, end) = Head::find(&rest, limits);
    let mut body = rest.split_off(end.unwrap_or(size));
    let flaw = match head.length() {
        _ if size > limits.message => Some(WireError::TooLarge),
        // Nothing is missing but the empty line, and no body that it would part off.
        Length::Is(0) if rest.ends_with(b"\n") => None,
        _ if end.is_none() => Some(WireError::Unfinished),
        Length::Bad => Some(WireError::BadContentLength),
        Length::Absent => None,
        Length::Is(length) if length > body.len() as u64 => Some(WireError::BodyCut),
        Length::Is(_) => None,
    };
    if let Length::Is(length) = head.length() {
        body.truncate(usize::try_from(length).unwrap_or(usize::MAX));
    }
    match flaw {
        Some(why) => reject(&head, why),
        None => head.into_decoded(body),
    }
}

/// Finds the messages of one stream by their `Content-Length`.
///
/// Feed it the same buffer again and again, and take what comes until it is `None`. It remembers
/// how far it has looked, so that a message in many pieces costs no more than one in one.
#[derive(Debug, Clone)]
pub struct StreamDecoder {
    limits: WireLimits,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// Between messages or within a head, whose end is not in the first `searched` bytes.
    Head { searched: usize, after_break: bool },
    /// The head is complete, the body is not.
    Body { head: Head, length: usize },
    /// The rest of a message that has been rejected for its size.
    Skip { left: u64 },
    /// The framing is lost, and that is still to be said.
    Lost(WireError),
    /// It has been said.
    Dead,
}

/// The state behind a message.
const FRESH: State = State::Head { searched: 0, after_break: false };

/// How large a message may claim to be to be passed over; a larger one ends the stream.
const MAX_SKIPPED: u64 = 16 * 1024 * 1024;

impl StreamDecoder {
    /// A decoder at the beginning of a stream.
    pub fn new(limits: WireLimits) -> Self {
        Self { limits, state: FRESH }
    }

    /// Takes what comes next out of the buffer; `None` until more bytes are there. Nothing comes
    /// behind a [`Decoded::Fatal`].
    pub fn next(&mut self, buffer: &mut BytesMut) -> Option<Decoded> {
        loop {
            match std::mem::replace(&mut self.state, State::Dead) {
                State::Head { searched, after_break } => {
                    if let Some(length) = line_break(buffer) {
                        return Some(self.take_break(buffer, length, after_break));
                    }
                    // A head beyond the limit is none, whether its end is here already or not.
                    let end = head_end(buffer, searched).filter(|end| *end <= self.limits.message);
                    let Some(end) = end else {
                        return self.wait_for_head(buffer.len(), after_break);
                    };
                    let head = buffer.split_to(end).freeze();
                    if let Some(refusal) = self.take_head(&head) {
                        return Some(refusal);
                    }
                }
                State::Body { head, length } => {
                    if buffer.len() < length {
                        self.state = State::Body { head, length };
                        return None;
                    }
                    self.state = FRESH;
                    return Some(head.into_decoded(buffer.split_to(length).freeze()));
                }
                State::Skip { left } => {
                    let there = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                    buffer.advance(there);
                    let left = left.saturating_sub(there as u64);
                    if left > 0 {
                        self.state = State::Skip { left };
                        return None;
                    }
                    self.state = FRESH;
                }
                State::Lost(why) => {
                    buffer.clear();
                    return Some(Decoded::Fatal(why));
                }
                State::Dead => {
                    buffer.clear();
                    return None;
                }
            }
        }
    }

    /// Line breaks before a start line are no part of a message (RFC 3261 section 7.5).
    fn take_break(&mut self, buffer: &mut BytesMut, length: usize, after: bool) -> Decoded {
        buffer.advance(length);
        let second = if after { Some(0) } else { line_break(buffer) };
        buffer.advance(second.unwrap_or(0));
        self.state = State::Head { searched: 0, after_break: second.is_none() };
        Decoded::KeepAlive(if second.is_some() { KeepAlive::Ping } else { KeepAlive::Pong })
    }

    fn wait_for_head(&mut self, there: usize, after_break: bool) -> Option<Decoded> {
        if there > self.limits.message {
            return Some(Decoded::Fatal(WireError::TooLarge));
        }
        // The end may lie across the border: up to three bytes of it are here already.
        let searched = there.saturating_sub(3);
        self.state = State::Head { searched, after_break: after_break && there == 0 };
        None
    }

    /// Judges the framing of a message; its body comes next, unless it is refused here.
    fn take_head(&mut self, bytes: &Bytes) -> Option<Decoded> {
        let head = Head::read(bytes, &self.limits);
        let why = match head.length() {
            Length::Absent => WireError::NoContentLength,
            Length::Bad => WireError::BadContentLength,
            Length::Is(length) => {
                let room = self.limits.message.saturating_sub(bytes.len());
                match usize::try_from(length) {
                    Ok(length) if length <= room => {
                        self.state = State::Body { head, length };
                        return None;
                    }
                    _ if length <= MAX_SKIPPED => {
                        self.state = State::Skip { left: length };
                        return Some(reject(&head, WireError::TooLarge));
                    }
                    _ => WireError::TooLarge,
                }
            }
        };
        self.state = State::Lost(why.clone());
        Some(reject(&head, why))
    }
}

fn reject(head: &Head, why: WireError) -> Decoded {
    Decoded::Reject { answer: head.answer(&why), why }
}

/// The length of a line break at the front; a bare LF is one too.
fn line_break(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\r', b'\n', ..] => Some(2),
        [b'\n', ..] => Some(1),
        _ => None,
    }
}

/// Where the body begins: behind the first empty line.
pub(super) fn head_end(bytes: &[u8], searched: usize) -> Option<usize> {
    let tail = bytes.get(searched..)?;
    memchr::memchr_iter(b'\n', tail).find_map(|at| {
        let next = searched + at + 1;
        bytes.get(next..).and_then(line_break).map(|length| next + length)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

    use super::*;
    use crate::sip::Request;

    #[test]
    fn a_datagram_ends_with_its_body() {
        for (length, body) in [("", "hello"), ("Content-Length: 5\r\n", "hello"), ("l : 2\n", "he")]
        {
            let decoded = datagram(&format!("{OPTIONS}{length}\r\nhello"));
            let Decoded::Message(message) = decoded else { panic!("{length}: {decoded:?}") };
            assert_eq!(message.body(), body.as_bytes(), "{length}");
        }
        assert_eq!(
            refusal(datagram(&format!("{OPTIONS}l: 6\r\n\r\nhello"))),
            (400, WireError::BodyCut)
        );
    }

    #[test]
    fn a_length_that_is_no_number_is_refused() {
        for length in ["-1", "+5", "0x5", "5 5", "5, 5", "", "18446744073709551616", "4\r\nl: 5"] {
            let decoded = datagram(&format!("{OPTIONS}Content-Length: {length}\r\n\r\nhello"));
            assert_eq!(refusal(decoded), (400, WireError::BadContentLength), "{length}");
        }
        for length in ["4294967296", "9223372036854775808"] {
            let decoded = datagram(&format!("{OPTIONS}Content-Length: {length}\r\n\r\nhello"));
            assert_eq!(refusal(decoded), (400, WireError::BodyCut), "{length}");
        }
        let twice = datagram(&format!("{OPTIONS}Content-Length: 5\r\nl: 05\r\n\r\nhello"));
        assert!(matches!(twice, Decoded::Message(_)), "{twice:?}");
    }

    #[test]
    fn only_blanks_keep_a_flow_alive() {
        for (bytes, kind) in [
            ("\r\n\r\n", KeepAlive::Ping),
            ("\r\n", KeepAlive::Pong),
            ("\0\0\0\0", KeepAlive::Pong),
            ("", KeepAlive::Pong),
        ] {
            assert_eq!(datagram(bytes), Decoded::KeepAlive(kind), "{bytes:?}");
        }
        assert!(matches!(datagram(&format!("\r\n\n{OPTIONS}\r\n")), Decoded::Message(_)));
    }

    #[test]
    fn a_bad_line_is_answered_with_what_is_wrong() {
        for (line, status, why) in [
            ("To\u{1}: x", 400, WireError::BadHeaderName),
            ("no colon", 400, WireError::BadHeaderName),
            (": x", 400, WireError::BadHeaderName),
            ("X: a\0b", 400, WireError::Control),
            ("X: a\rb", 400, WireError::Control),
            ("X: \"a\u{7}\"", 400, WireError::Control),
            ("CSeq: 1 OPTIONS", 400, ViewError::Repeated("CSeq").into()),
            ("Max-Forwards: 256", 400, ViewError::Number("Max-Forwards").into()),
        ] {
            assert_eq!(
                refusal(datagram(&format!("{OPTIONS}{line}\r\n\r\n"))),
                (status, why),
                "{line:?}"
            );
        }
        let long = format!("{OPTIONS}X: {}\r\n\r\n", "a".repeat(17_000));
        assert_eq!(refusal(datagram(&long)), (513, WireError::LineTooLong));
        let name = format!("{OPTIONS}{}: a\r\n\r\n", "a".repeat(60_000));
        assert_eq!(refusal(datagram(&name)), (513, WireError::LineTooLong));
        let many = format!("{OPTIONS}{}\r\n", "Route: <sip:a;lr>\r\n".repeat(200));
        assert_eq!(refusal(datagram(&many)), (400, WireError::TooManyHeaders));
    }

    #[test]
    fn white_space_may_stand_before_the_colon_and_escapes_in_quotes() {
        for line in ["X :a", "X\t: a", "X:\r\n a\r\n\tb", "X: \"\\\u{7}\"", "X: caf\u{e9}", "X:"] {
            let decoded = datagram(&format!("{OPTIONS}{line}\r\n\r\n"));
            assert!(matches!(decoded, Decoded::Message(_)), "{line:?}: {decoded:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_read_as_latin1() {
        let mut bytes = format!("{OPTIONS}Subject: ").into_bytes();
        bytes.extend_from_slice(b"caf\xe9\r\n\r\n");
        let Decoded::Message(message) = decode_datagram(bytes.into(), &WireLimits::default())
        else {
            panic!("a message")
        };
        assert_eq!(message.headers().get("Subject"), Some("caf\u{e9}"));
    }

    #[test]
    fn a_start_line_has_three_parts_and_our_version() {
        for (line, outcome) in [
            ("OPTIONS  sip:a@b   SIP/2.0  ", None),
            ("OPTIONS sip:a@b sip/2.0", None),
            ("OPTIONS sip:a@b SIP/7.0", Some((505, WireError::Version))),
            ("OPTIONS sip:a@b SIP/2.00000000001", Some((505, WireError::Version))),
            ("OPTIONS sip:a@b HTTP/1.1", Some((400, WireError::BadStartLine))),
            ("OPTIONS sip:a@b; lr SIP/2.0", Some((400, WireError::BadStartLine))),
            ("OPTIONS sip:a@b", Some((400, WireError::BadStartLine))),
            ("OPT(ONS sip:a@b SIP/2.0", Some((400, WireError::BadStartLine))),
            (" OPTIONS sip:a@b SIP/2.0", Some((400, WireError::BadStartLine))),
            ("OPTIONS sip:a@b?x=y SIP/2.0", Some((400, WireError::RequestUriHeaders))),
            ("options sip:a@b SIP/2.0", Some((400, WireError::CSeqMethod))),
        ] {
            let decoded = datagram(&format!("{line}\r\n{FIELDS}\r\n"));
            match outcome {
                None => assert!(matches!(decoded, Decoded::Message(_)), "{line}: {decoded:?}"),
                Some(outcome) => assert_eq!(refusal(decoded), outcome, "{line}"),
            }
        }
    }

    #[test]
    fn an_ack_and_a_response_are_never_answered() {
        for start in [
            "ACK sip:a@b SIP/2.0",
            "ACK sip:a b SIP/2.0",
            "SIP/2.0 200 OK",
            "SIP/2.0 99 x",
            "SIP/3.0 200 x",
        ] {
            let decoded = datagram(&format!("{start}\r\n{FIELDS}Content-Length: 9\r\n\r\n"));
            assert!(
                matches!(decoded, Decoded::Reject { answer: None, .. }),
                "{start}: {decoded:?}"
            );
        }
    }

    #[test]
    fn a_refusal_goes_back_the_way_it_came_with_the_same_tag_each_time() {
        let bytes = format!("{OPTIONS}Max-Forwards: x\r\n\r\n");
        let (first, second) = (datagram(&bytes), datagram(&bytes));
        assert_eq!(first, second);
        let Decoded::Reject { answer: Some(answer), .. } = first else { panic!("an answer") };
        assert_eq!(answer.reason, "Bad Request: bad Max-Forwards: not a number in range");
        assert_eq!(answer.via().unwrap().branch(), Some("z9hG4bK1"));
        assert_eq!((answer.call_id(), answer.to_tag().is_some()), (Some("1@a"), true));
    }

    #[test]
    fn a_status_line_may_lack_its_phrase() {
        for line in ["SIP/2.0 180 ", "SIP/2.0 180"] {
            let Decoded::Message(Message::Response(response)) =
                datagram(&format!("{line}\r\n{FIELDS}\r\n"))
            else {
                panic!("{line}")
            };
            assert_eq!((response.status, response.reason.as_ref()), (Status::RINGING, ""));
        }
    }

    #[test]
    fn a_phrase_has_no_controls_not_even_escaped_ones() {
        let decoded = datagram(&format!("SIP/2.0 503 A \"quoted \\\0\"\r\n{FIELDS}\r\n"));
        let Decoded::Reject { answer: None, why } = decoded else { panic!("{decoded:?}") };
        assert_eq!(why, WireError::Control);
    }

    #[test]
    fn a_stream_is_cut_by_lengths_and_line_breaks_between_are_told() {
        let message = format!("{OPTIONS}Content-Length: 2\r\n\r\nhi");
        let mut decoder = StreamDecoder::new(WireLimits::default());
        let mut buffer =
            BytesMut::from(format!("\r\n{message}\r\n\r\n{message}{message}\r").as_str());
        assert_eq!(
            kinds(&mut decoder, &mut buffer),
            ["pong", "OPTIONS hi", "ping", "OPTIONS hi", "OPTIONS hi"]
        );
        buffer.extend_from_slice(b"\n");
        assert_eq!(kinds(&mut decoder, &mut buffer), ["pong"]);
        buffer.extend_from_slice(b"\r\n");
        assert_eq!(kinds(&mut decoder, &mut buffer), ["ping"]);
    }

    #[test]
    fn a_bad_message_does_not_end_its_stream() {
        let good = format!("{OPTIONS}Content-Length: 2\r\n\r\nhi");
        let bad = format!("{OPTIONS}CSeq: x\r\nno colon\r\nContent-Length: 3\r\n\r\nbad");
        let huge = format!("{OPTIONS}Content-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
        let garbage = "what is this\r\nl: 2\r\n\r\nxx";
        let mut decoder = StreamDecoder::new(WireLimits::default());
        let mut buffer = BytesMut::from(format!("{bad}{good}{huge}{garbage}{good}").as_str());
        assert_eq!(
            kinds(&mut decoder, &mut buffer),
            ["answer 400", "OPTIONS hi", "answer 513", "reject", "OPTIONS hi"]
        );
    }

    #[test]
    fn broken_framing_is_answered_and_ends_the_stream() {
        for length in
            ["", "Content-Length: -1\r\n", "l: 1\r\nl: 2\r\n", "l: 9223372036854775807\r\n"]
        {
            let mut decoder = StreamDecoder::new(WireLimits::default());
            let mut buffer = BytesMut::from(format!("{OPTIONS}{length}\r\n{OPTIONS}").as_str());
            let status = if length.contains("92") { "answer 513" } else { "answer 400" };
            assert_eq!(kinds(&mut decoder, &mut buffer), [status, "fatal"], "{length}");
            buffer.extend_from_slice(b"more");
            assert_eq!(kinds(&mut decoder, &mut buffer), [""; 0]);
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_head_without_end_is_not_hoarded() {
        let mut decoder = StreamDecoder::new(WireLimits::default());
        let mut buffer = BytesMut::new();
        for _ in 0..64 {
            buffer.extend_from_slice(&[b'x'; 1024]);
            assert_eq!(decoder.next(&mut buffer), None);
        }
        buffer.extend_from_slice(b"x");
        assert_eq!(decoder.next(&mut buffer), Some(Decoded::Fatal(WireError::TooLarge)));
    }

    #[test]
    fn a_head_beyond_the_limit_is_too_large_in_one_piece_and_in_many() {
        let limits = WireLimits { message: 300, ..WireLimits::default() };
        let bytes = format!("{OPTIONS}{}l: 0\r\n\r\n", "X: 1\r\n".repeat(100));
        for size in [1, 7, 299, 300, 301, bytes.len()] {
            let (mut decoder, mut buffer) = (StreamDecoder::new(limits), BytesMut::new());
            let mut all = Vec::new();
            for piece in bytes.as_bytes().chunks(size) {
                buffer.extend_from_slice(piece);
                all.extend(kinds(&mut decoder, &mut buffer));
            }
            assert_eq!(all, ["fatal"], "{size}");
        }
    }

    const FIELDS: &str = "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=1\r\n\
        t: <sip:b@b>\r\ni: 1@a\r\nCSeq: 1 OPTIONS\r\n";

    const OPTIONS: &str = "OPTIONS sip:b@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
        From: <sip:a@a>;tag=1\r\nt: <sip:b@b>\r\ni: 1@a\r\nCSeq: 1 OPTIONS\r\n";

    fn datagram(text: &str) -> Decoded {
        decode_datagram(Bytes::from(text.to_owned()), &WireLimits::default())
    }

    fn refusal(decoded: Decoded) -> (u16, WireError) {
        match decoded {
            Decoded::Reject { answer: Some(answer), why } => (answer.status.code(), why),
            other => panic!("{other:?}"),
        }
    }

    /// What a stream gives, in a word or two each.
    fn kinds(decoder: &mut StreamDecoder, buffer: &mut BytesMut) -> Vec<String> {
        let all = std::iter::from_fn(|| decoder.next(buffer));
        all.map(|decoded| match decoded {
            Decoded::Message(Message::Request(Request { method, body, .. })) => {
                format!("{method} {}", String::from_utf8_lossy(&body))
            }
            Decoded::Message(Message::Response(response)) => response.status.to_string(),
            Decoded::KeepAlive(KeepAlive::Ping) => "ping".to_owned(),
            Decoded::KeepAlive(KeepAlive::Pong) => "pong".to_owned(),
            Decoded::Reject { answer: Some(answer), .. } => {
                format!("answer {}", answer.status.code())
            }
            Decoded::Reject { answer: None, .. } => "reject".to_owned(),
            Decoded::Fatal(_) => "fatal".to_owned(),
        })
        .collect()
    }
}
