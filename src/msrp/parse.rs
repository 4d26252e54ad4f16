//! The framing of a stream: where a frame ends, however the bytes arrive (RFC 4975 section 5.1).
//!
//! ```text
//!            "MSRP tid "             end-line of tid
//!    Between ──────────▶ Inside ───────────────────────▶ Between, one frame out
//!       ▲                  │ head or body over its limit: the fault goes out at once
//!       │   end-line       ▼
//!       └──────────────── Skipping ─────────────────────▶ Lost, when no end-line comes
//! ```
//! What is said of a stream depends on its octets alone, and not on the reads in which they come:
//! the limits are counted from where a frame begins, also where its end is in the same read.
//!
//! The end-line is searched with one searcher for `\r\n-------`, and only from where the last
//! search has ended: the cost of a chunk does not depend on the size of the reads.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr_iter;

use super::frame::{Continuation, FailureReport, Frame, Kind, TransactionId};
use super::framing::{END_LINE, Framing};
use super::head::{Head, transaction};
use super::limits::Limits;
use super::repeated::LastLines;
use super::uri::{Path, PathError, Uri};

/// Cuts frames out of a stream of bytes.
#[derive(Debug)]
pub struct Parser {
    framing: Framing,
    last_lines: LastLines,
    stage: Stage,
}

/// What is wrong with the bytes of a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The stream cannot be read any further and has to be closed.
    #[error("the stream is unreadable: {0}")]
    Stream(StreamFault),
    /// One frame is wrong. It is skipped, and the stream goes on behind it.
    #[error("frame {} is wrong: {}", .0.tid, .0.fault)]
    Frame(Box<BadFrame>),
}

/// Why a stream cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamFault {
    /// It does not go on with `MSRP` and a transaction identifier.
    #[error("no frame begins here")]
    NoStart,
    /// A frame over its limits does not end either.
    #[error("no end-line comes")]
    NoEnd,
}

/// A frame that could not be read, as far as an answer needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFrame {
    /// What is wrong.
    pub fault: FrameFault,
    /// Its transaction.
    pub tid: TransactionId,
    /// Its To-Path, if that was readable.
    pub to_path: Option<Path>,
    /// Its From-Path, if that was readable.
    pub from_path: Option<Path>,
    pub(super) kind: Option<Kind>,
    pub(super) failure_report: FailureReport,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// The start line has neither a method nor a code.
    #[error("the start line has neither a method nor a code")]
    StartLine,
    /// The start line and the header section are over the limit.
    #[error("the header section is too long")]
    HeadTooLong,
    /// More header fields than the limit.
    #[error("there are too many header fields")]
    TooManyHeaders,
    /// A line has no name or no colon.
    #[error("a line is no header field")]
    HeaderSyntax,
    /// A line has control characters or is not UTF-8.
    #[error("a line has control characters or is not UTF-8")]
    HeaderText,
    /// A part that every frame has is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A header field is there twice.
    #[error("{0} is repeated")]
    Repeated(&'static str),
    /// To-Path or From-Path is wrong.
    #[error("{0}")]
    Path(#[from] PathError),
    /// The Byte-Range of a SEND is no range.
    #[error("Byte-Range is no range of octets")]
    ByteRange,
    /// The body is over the limit.
    #[error("the body is too large")]
    BodyTooLarge,
}

impl ParseError {
    /// Tells whether the stream has to be closed.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Stream(_) => true,
            Self::Frame(_) => false,
        }
    }
}

impl BadFrame {
    /// Builds the refusal of the frame, unless it must not get one or nobody knows where to send
    /// it.
    ///
    /// `session` is our URI and the path to the peer, which stand in for paths that were
    /// unreadable.
    #[must_use]
    pub fn answer(&self, session: Option<(&Uri, &Path)>) -> Option<Frame> {
        let Some(Kind::Request(method)) = &self.kind else { return None };
        let (us, peer) = session.unzip();
        let to_path = self.to_path.clone().or_else(|| us.cloned().map(Path::from))?;
        let from_path = self.from_path.as_ref().or(peer)?.clone();
        let mut request = Frame::request(method.clone(), self.tid.clone(), to_path, from_path);
        request.failure_report = Some(self.failure_report);
        request.answer(match self.fault {
            FrameFault::BodyTooLarge => 413,
            FrameFault::StartLine
            | FrameFault::HeadTooLong
            | FrameFault::TooManyHeaders
            | FrameFault::HeaderSyntax
            | FrameFault::HeaderText
            | FrameFault::Missing(_)
            | FrameFault::Repeated(_)
            | FrameFault::Path(_)
            | FrameFault::ByteRange => 400,
        })
    }
}

impl Parser {
    /// Starts at the beginning of a stream.
    #[must_use]
    pub fn new(framing: impl Into<Framing>) -> Self {
        let framing = framing.into();
        Self { framing, last_lines: LastLines::default(), stage: Stage::Between }
    }

    /// Takes the next frame out of `buffer`; `None` asks for more bytes.
    ///
    /// Between two calls the caller only appends to `buffer`. Call again until nothing comes out.
    ///
    /// # Errors
    /// Tells of a frame that is skipped, or of a stream that cannot be read any further.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, ParseError> {
        loop {
            match &mut self.stage {
                Stage::Between => match start(buffer) {
                    Start::Found(inside) => self.stage = Stage::Inside(inside),
                    Start::NeedMore => return Ok(None),
                    Start::None => return Err(ParseError::Stream(StreamFault::NoStart)),
                },
                Stage::Inside(inside) => {
                    match search(&self.framing, buffer, inside.tid(buffer), inside.searched) {
                        Search::Found(end) => {
                            let inside = *inside;
                            self.stage = Stage::Between;
                            return self.frame(buffer, inside, end);
                        }
                        Search::NotUpTo(searched) => {
                            inside.searched = searched;
                            if inside.fits(self.framing.limits()) {
                                return Ok(None);
                            }
                            let inside = *inside;
                            return self.wait(buffer, inside);
                        }
                    }
                }
                Stage::Skipping { tid, left } => {
                    match search(&self.framing, buffer, tid.as_bytes(), 0) {
                        Search::Found(end) if end.at <= *left => {
                            buffer.advance(end.after);
                            self.stage = Stage::Between;
                        }
                        Search::Found(_) => self.stage = Stage::Lost,
                        Search::NotUpTo(searched) => match left.checked_sub(searched) {
                            Some(left) => {
                                buffer.advance(searched);
                                self.stage = Stage::Skipping { tid: tid.clone(), left };
                                return Ok(None);
                            }
                            None => self.stage = Stage::Lost,
                        },
                    }
                }
                Stage::Lost => return Err(ParseError::Stream(StreamFault::NoEnd)),
            }
        }
    }

    /// Gives back what is not needed while nothing comes.
    pub fn rest(&mut self) {
        self.last_lines.rest();
    }

    /// Builds the frame that `end` has completed.
    #[inline]
    fn frame(
        &mut self,
        buffer: &mut BytesMut,
        inside: Inside,
        end: EndLine,
    ) -> Result<Option<Frame>, ParseError> {
        let mut frame = buffer.split_to(end.after).freeze();
        let tid = inside.read_tid(&frame);
        // The line break before the hyphens ends the last header field if there is no body.
        let head_end = end.at + LINE_BREAK;
        let section = (inside.tid_end + 1, head_end);
        let mut head = Head::default();
        head.read(&frame, section, self.framing.limits(), &mut self.last_lines);
        let body = head.body_at.map(|body_at| {
            // After an empty line the hyphens may follow at once, without a break of their own.
            frame.truncate(end.at);
            frame.advance(body_at.min(end.at));
            frame
        });
        let limits = self.framing.limits();
        let over = match &body {
            None => (head_end > limits.max_header_bytes).then_some(Over::Head),
            Some(body) => (body.len() > limits.max_chunk_in)
                .then_some(Over::Body { at: head.body_at.unwrap_or_default() }),
        };
        if let Some(over) = over {
            head.fault.get_or_insert(over.fault());
            if end.at > self.last_end(over) {
                self.stage = Stage::Lost;
            }
        }
        head.complete(tid, body, end.flag)
    }

    /// Goes on waiting for the end-line, unless the frame has outgrown its limits.
    fn wait(&mut self, buffer: &mut BytesMut, inside: Inside) -> Result<Option<Frame>, ParseError> {
        let limits = self.framing.limits();
        let body_at = inside.body_at.or_else(|| self.body_at(buffer));
        let known = Inside { body_at, ..inside };
        if known.fits(limits) {
            self.stage = Stage::Inside(known);
            return Ok(None);
        }
        let over = body_at.map_or(Over::Head, |at| Over::Body { at });
        let seen = buffer.get(..limits.max_header_bytes).unwrap_or(buffer);
        let seen = Bytes::copy_from_slice(seen);
        let section = (inside.tid_end + 1, seen.len());
        let mut head = Head::default();
        head.read(&seen, section, self.framing.limits(), &mut self.last_lines);
        let tid = inside.read_tid(&seen);
        self.stage = match self.last_end(over).checked_sub(inside.searched) {
            Some(left) => Stage::Skipping { tid: tid.clone(), left },
            None => Stage::Lost,
        };
        buffer.advance(inside.searched);
        let fault = head.fault.unwrap_or(over.fault());
        Err(head.refuse(tid, fault))
    }

    /// Tells where the end-line of a frame over its limits has to begin at the latest.
    fn last_end(&self, over: Over) -> usize {
        let limits = self.framing.limits();
        let limit = match over {
            Over::Head => limits.max_header_bytes,
            Over::Body { at } => at.saturating_add(limits.max_chunk_in),
        };
        limit.saturating_add(limits.max_message)
    }

    /// Finds the end of the header section, as far as that may be.
    fn body_at(&self, frame: &[u8]) -> Option<usize> {
        let section = frame.get(..frame.len().min(self.framing.limits().max_header_bytes))?;
        let ends = |at: &usize| section.get(..=*at).is_some_and(|head| head.ends_with(EMPTY_LINE));
        memchr_iter(b'\n', section).find(ends).map(|at| at + 1)
    }
}

#[derive(Debug)]
enum Stage {
    /// Between two frames.
    Between,
    /// Behind the beginning of a start line.
    Inside(Inside),
    /// In a frame that is refused, with so many octets of patience.
    Skipping { tid: TransactionId, left: usize },
    /// Nobody knows where the next frame begins.
    Lost,
}

/// What of a frame is over its limit.
#[derive(Debug, Clone, Copy)]
enum Over {
    Head,
    /// The body, which begins there.
    Body {
        at: usize,
    },
}

impl Over {
    fn fault(self) -> FrameFault {
        match self {
            Self::Head => FrameFault::HeadTooLong,
            Self::Body { .. } => FrameFault::BodyTooLarge,
        }
    }
}

/// A frame of which the transaction identifier is known, but not the end.
#[derive(Debug, Clone, Copy)]
struct Inside {
    tid_end: usize,
    /// Before this place no end-line begins.
    searched: usize,
    /// Looked up only once the frame is longer than a header section may be.
    body_at: Option<usize>,
}

impl Inside {
    /// Tells whether what has come keeps the limits, as far as is known where the body begins.
    fn fits(&self, limits: &Limits) -> bool {
        let fits = |at| self.searched.saturating_sub(at) <= limits.max_chunk_in;
        // The end-line may still begin where the header section may still end.
        let short = self.searched + LINE_BREAK <= limits.max_header_bytes;
        short || self.body_at.is_some_and(fits)
    }

    fn tid<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        buffer.get(TID_AT..self.tid_end).unwrap_or_default()
    }

    #[inline]
    fn read_tid(self, frame: &Bytes) -> TransactionId {
        TransactionId::checked(self.tid(frame), frame)
    }
}

enum Start {
    Found(Inside),
    NeedMore,
    None,
}

/// Drops line breaks and looks whether a frame begins.
#[inline]
fn start(buffer: &mut BytesMut) -> Start {
    let breaks = buffer.chunks(LINE_BREAK).take_while(|chunk| *chunk == b"\r\n").count();
    buffer.advance(breaks * LINE_BREAK);
    let seen = buffer.get(..LONGEST_START).unwrap_or(buffer);
    match transaction(seen) {
        Ok((_, tid)) => {
            let tid_end = TID_AT + tid.len();
            Start::Found(Inside { tid_end, searched: tid_end, body_at: None })
        }
        Err(_) => {
            let tid = seen.strip_prefix(b"MSRP ").unwrap_or_default();
            let early = b"MSRP ".starts_with(seen) || seen == b"\r";
            let half = !tid.is_empty() && tid.iter().all(u8::is_ascii_graphic);
            if early || (half && seen.len() < LONGEST_START) {
                Start::NeedMore
            } else {
                Start::None
            }
        }
    }
}

enum Search {
    Found(EndLine),
    NotUpTo(usize),
}

struct EndLine {
    /// Where the line break before the hyphens begins.
    at: usize,
    flag: Continuation,
    /// Where the next frame begins.
    after: usize,
}

/// Looks for the end-line of `tid` from `from` on.
#[inline]
fn search(framing: &Framing, buffer: &[u8], tid: &[u8], mut from: usize) -> Search {
    while let Some(found) = buffer.get(from..).and_then(|rest| framing.end_lines().find(rest)) {
        let at = from + found;
        let tail = buffer.get(at + END_LINE.len()..).unwrap_or_default();
        match flag_after(tail, tid) {
            Flag::Is(flag) => {
                let after = at + END_LINE.len() + tid.len() + FLAG_AND_BREAK;
                return Search::Found(EndLine { at, flag, after });
            }
            Flag::NotYet => return Search::NotUpTo(at),
            // The hyphens belong to the content; a next end-line begins behind them.
            Flag::None => from = at + END_LINE.len(),
        }
    }
    Search::NotUpTo(from.max(buffer.len().saturating_sub(END_LINE.len() - 1)))
}

enum Flag {
    Is(Continuation),
    NotYet,
    None,
}

/// Compares what stands behind seven hyphens with the identifier, a flag and a line break.
///
/// The break counts: `tid+more` begins like an end-line where an identifier may contain a plus.
#[inline]
fn flag_after(tail: &[u8], tid: &[u8]) -> Flag {
    let Some(rest) = tail.strip_prefix(tid) else {
        return if tid.starts_with(tail) { Flag::NotYet } else { Flag::None };
    };
    let flag = rest.first().map(|octet| Continuation::from_octet(*octet));
    match (flag, rest.get(1), rest.get(2)) {
        (Some(Some(flag)), Some(b'\r'), Some(b'\n')) => Flag::Is(flag),
        (None, _, _) | (Some(Some(_)), None, _) | (Some(Some(_)), Some(b'\r'), None) => {
            Flag::NotYet
        }
        (Some(_), _, _) => Flag::None,
    }
}

const EMPTY_LINE: &[u8] = b"\r\n\r\n";
const LINE_BREAK: usize = 2;
const FLAG_AND_BREAK: usize = 3;
const TID_AT: usize = 5;
/// `MSRP`, the longest identifier and the spaces.
const LONGEST_START: usize = TID_AT + 64 + 1;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::frame::{ByteRange, Method};
    use super::super::text::Text;
    use super::super::uri::UriError;
    use super::*;

    #[test]
    fn m01_a_message_byte_by_byte_is_the_message_in_one_read() {
        let stream =
            send("tid1", "Byte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\nhello", '$');
        let whole = read(&stream).remove(0).unwrap();
        assert_eq!(whole.body.as_deref(), Some(b"hello".as_slice()));
        assert_eq!(whole.byte_range, Some(ByteRange { start: 1, end: None, total: None }));
        let mut parser = parser();
        let mut buffer = BytesMut::new();
        for (place, octet) in stream.bytes().enumerate() {
            buffer.extend_from_slice(&[octet]);
            let frame = parser.next(&mut buffer).unwrap();
            assert_eq!(frame.is_some(), place + 1 == stream.len(), "at {place}");
            assert!(frame.is_none_or(|frame| frame == whole));
        }
    }

    #[test]
    fn m02_hyphens_that_are_not_the_end_line_belong_to_the_body() {
        for body in [
            "a\r\n-------other$\r\nb",
            "a\r\n-------tid$\r\nb",
            "a\r\n-------tid12$\r\nb",
            "a-------tid1$\r\nb",
            "a\r\n-------tid1+937$\r\nb",
            "a\r\n-------tid1$b",
            "a\r\n-------tid1\r\nb",
            "a\r\n-------\r\n-------",
            "\r\n\r\n",
        ] {
            let stream = send("tid1", &format!("Content-Type: text/plain\r\n\r\n{body}"), '+');
            for size in [1, 3, 1000] {
                let frame = read_in(&stream, size).remove(0).unwrap();
                assert_eq!(frame.body.as_deref(), Some(body.as_bytes()), "{body:?} by {size}");
                assert_eq!(frame.flag, Continuation::More);
            }
        }
    }

    #[test]
    fn m07_headers_come_in_any_order_and_case_with_any_number_of_spaces() {
        let stream = "MSRP 1469695661 SEND\r\ncontent-type:text/plain\r\nX-New:  1 \r\n\
            FROM-PATH:   msrp://a:1/x;tcp\r\nbyte-range:\t1-*/5\r\nfailure-report: PARTIAL\r\n\
            to-path:msrp://b:2/y;tcp\r\nsuccess-report: YES\r\n\r\nhello\r\n-------1469695661$\r\n";
        let frame = read(stream).remove(0).unwrap();
        assert_eq!(frame.to_path.first().session_id(), Some("y"));
        assert_eq!(frame.content_type, Some(Text::new("text/plain")));
        assert_eq!(frame.header("x-new"), Some("1"));
        assert_eq!(frame.success_report, Some(true));
        assert_eq!(frame.failure_report, Some(FailureReport::Partial));
        assert_eq!(frame.message_id, None);
    }

    #[test]
    fn line_breaks_between_messages_are_skipped() {
        let one = send("tid1", "", '$');
        let frames = read(&format!("\r\n\r\n{one}\r\n{one}\r\n\r\n"));
        assert_eq!(frames.len(), 2);
        let mut buffer = BytesMut::from("\r\n\r\n\r");
        assert_eq!(parser().next(&mut buffer), Ok(None));
        assert_eq!(&buffer[..], b"\r");
    }

    #[test]
    fn quirk_01_nio_end_line_after_blank_line() {
        let stream = "MSRP g06SVy6 SEND\r\nTo-Path: msrp://b:2/y;tcp\r\n\
            From-Path: msrp://a:1/x;tcp\r\nContent-Type: empty/empty\r\n\r\n-------g06SVy6$\r\n";
        for size in [1, 1000] {
            let frame = read_in(stream, size).remove(0).unwrap();
            assert_eq!(frame.body, Some(Bytes::new()));
        }
    }

    #[test]
    fn quirk_16_msrprelay_sends_head_and_body_apart() {
        let stream = send("tid1", "Content-Type: text/plain\r\n\r\nhello", '$');
        let (head, body) = stream.split_at(stream.find("hello").unwrap());
        let (mut parser, mut buffer) = (parser(), BytesMut::from(head));
        assert_eq!(parser.next(&mut buffer), Ok(None));
        buffer.extend_from_slice(body.as_bytes());
        let frame = parser.next(&mut buffer).unwrap().unwrap();
        assert_eq!(frame.body.as_deref(), Some(b"hello".as_slice()));
    }

    #[test]
    fn quirk_08_msrp_java_status_lines_without_comment() {
        for (start, comment) in
            [("200", None), ("200 ", None), ("200 Well  done", Some("Well  done"))]
        {
            let stream = format!(
                "MSRP 1OqE1421 {start}\r\nTo-Path: msrp://b:2/y;tcp\r\n\
                 From-Path: msrp://a:1/x;tcp\r\n-------1OqE1421$\r\n"
            );
            let frame = read(&stream).remove(0).unwrap();
            assert_eq!(frame.kind, Kind::Response { code: 200, comment: comment.map(Text::new) });
        }
    }

    #[test]
    fn quirk_13_rcsjta_report_with_a_plus_in_its_tid_and_a_repeated_code() {
        let frame = read(&report("Status: 000 413 413\r\nMessage-ID: abcd\r\n")).remove(0).unwrap();
        let status = frame.status.unwrap();
        assert_eq!((status.namespace, status.code), (0, 413));
        assert_eq!(status.comment, Some(Text::new("413")));
    }

    #[test]
    fn quirk_13_report_ranges_come_in_every_shape() {
        for shape in ["1-11/11", "1-11/*", "1-*/11", "1-*/*", "1-11/0", "1-0/0"] {
            let frame = read(&report(&format!("Byte-Range: {shape}\r\n"))).remove(0).unwrap();
            assert_eq!(frame.byte_range.unwrap().to_string(), shape);
        }
        for garbled in ["", "*", "-1-5/5", "1-5"] {
            let frame = read(&report(&format!("Byte-Range: {garbled}\r\n"))).remove(0).unwrap();
            assert_eq!(frame.byte_range, None);
        }
    }

    #[test]
    fn m07_unknown_methods_and_headers_are_kept() {
        let frame = read(&send("tid1", "", '$').replace("SEND", "PING")).remove(0).unwrap();
        assert_eq!(frame.kind, Kind::Request(Method::Other(Text::new("PING"))));
        let fields = "Content-Disposition: attachment; filename=\"a b\"\r\nContent-ID: <1@x>\r\n\
            CONTENT-DESCRIPTION: é\r\n";
        let frame = read(&send("tid1", fields, '$')).remove(0).unwrap();
        assert_eq!(frame.header("Content-Disposition"), Some("attachment; filename=\"a b\""));
        assert_eq!(frame.headers.len(), 3);
        assert_eq!(frame.headers[2].name.as_str(), "CONTENT-DESCRIPTION");
    }

    #[test]
    fn m03_a_range_that_is_none_is_refused() {
        for range in ["-1-5/5", "*-*/*", "1-5", "1-2/3/4", "99999999999999999999-1/1", "a-b/c"] {
            let error = only_error(&send("tid1", &format!("Byte-Range: {range}\r\n"), '$'));
            assert_eq!(refusal(&error), (FrameFault::ByteRange, Some(400)), "{range}");
        }
    }

    #[test]
    fn m06_a_head_over_its_limits_is_refused_and_skipped() {
        let long_line = send("tid1", &format!("X: {}\r\n", "x".repeat(20_000)), '$');
        let long_body = send("tid1", &format!("X: {}\r\n\r\nhello", "x".repeat(20_000)), '$');
        let fields = send("tid1", &"X: y\r\n".repeat(70), '$');
        for (stream, fault) in [
            (long_line, FrameFault::HeadTooLong),
            (long_body, FrameFault::HeadTooLong),
            (fields, FrameFault::TooManyHeaders),
        ] {
            let two = stream + &send("tid2", "", '$');
            for size in [100, 1448, 100_000] {
                let mut outcomes = read_in(&two, size);
                assert_eq!(outcomes.len(), 2, "{fault} by {size}");
                assert_eq!(outcomes.remove(1).unwrap().tid.as_str(), "tid2");
                assert_eq!(refusal(&outcomes.remove(0).unwrap_err()), (fault, Some(400)));
            }
        }
    }

    #[test]
    fn m06_what_is_no_msrp_ends_the_stream_at_once() {
        let long_tid = format!("MSRP {} SEND\r\n", "x".repeat(65));
        for stream in
            ["GET / HTTP/1.1\r\n", "\x16\x03\x01", "msrp a SEND", &long_tid, "MSRP  x", "\rM"]
        {
            let mut buffer = BytesMut::from(stream);
            let error = parser().next(&mut buffer).unwrap_err();
            assert_eq!(error, ParseError::Stream(StreamFault::NoStart), "{stream}");
            assert!(error.is_fatal());
        }
    }

    #[test]
    fn m06_a_megabyte_without_newline_is_not_held() {
        let limits = Limits { max_message: 100_000, ..Limits::default() };
        let mut parser = Parser::new(limits);
        let mut buffer = BytesMut::from("MSRP tid1 ");
        let mut errors = Vec::new();
        while !errors.last().is_some_and(ParseError::is_fatal) {
            buffer.extend_from_slice(&[b'x'; 1000]);
            errors.extend(parser.next(&mut buffer).err());
            assert!(buffer.len() <= 17 * 1024);
        }
        assert_eq!(refusal(&errors[0]), (FrameFault::HeadTooLong, None));
        assert_eq!(errors.pop(), Some(ParseError::Stream(StreamFault::NoEnd)));
    }

    #[test]
    fn a_chunk_over_its_limit_is_refused_before_it_ends() {
        let limits = Limits { max_chunk_in: 1000, max_header_bytes: 500, ..Limits::default() };
        let body = "x".repeat(5000);
        let stream = send("tid1", &format!("Content-Type: text/plain\r\n\r\n{body}"), '$');
        for size in [1, 700, 10_000] {
            let mut parser = Parser::new(limits);
            let mut buffer = BytesMut::new();
            let mut errors = Vec::new();
            for segment in stream.as_bytes().chunks(size) {
                buffer.extend_from_slice(segment);
                errors.extend(parser.next(&mut buffer).err());
                assert!(buffer.len() <= 1500 + size);
            }
            assert_eq!(errors.len(), 1);
            assert_eq!(refusal(&errors[0]), (FrameFault::BodyTooLarge, Some(413)));
            buffer.extend_from_slice(send("tid2", "", '$').as_bytes());
            assert_eq!(parser.next(&mut buffer).unwrap().unwrap().tid.as_str(), "tid2");
        }
    }

    /// Whatever is over a limit, and by how much: the fault, its place and the end of the stream.
    #[test]
    fn m06_the_verdict_does_not_depend_on_the_cut() {
        let limits = Limits {
            max_chunk_in: 30,
            max_header_bytes: 120,
            max_message: 60,
            ..Limits::default()
        };
        let read = |stream: &str, size: usize| {
            let (mut parser, mut buffer) = (Parser::new(limits), BytesMut::new());
            let mut outcomes = Vec::new();
            for segment in stream.as_bytes().chunks(size) {
                buffer.extend_from_slice(segment);
                while let Some(outcome) = parser.next(&mut buffer).transpose() {
                    let fatal = outcome.as_ref().is_err_and(ParseError::is_fatal);
                    outcomes.push(outcome);
                    if fatal {
                        return outcomes;
                    }
                }
            }
            outcomes
        };
        let (mut sound, mut bad, mut lost) = (0, 0, 0);
        for length in 0..200 {
            let filler = "x".repeat(length);
            for rest in [
                format!("X: {filler}\r\n"),
                format!("no colon\r\nX: {filler}\r\n"),
                format!("X: {filler}\r\n\r\nhello"),
                format!("\r\n{filler}"),
                format!("no colon\r\n\r\n{filler}"),
                format!("\r\n{filler}\r\n-------tid"),
                format!("X: {filler}"),
            ] {
                let stream = send("tid1", &rest, '$') + &send("tid2", "", '$');
                let whole = read(&stream, stream.len());
                for size in [1, 2, 3, 7, 8, 9, 10, 50, 128] {
                    assert_eq!(read(&stream, size), whole, "{rest:?} by {size}");
                }
                match (whole.len(), whole.last()) {
                    (2, Some(Ok(_))) if whole[0].is_ok() => sound += 1,
                    (2, Some(Ok(_))) => bad += 1,
                    (_, Some(Err(ParseError::Stream(StreamFault::NoEnd)))) => lost += 1,
                    _ => panic!("{rest:?}: {whole:?}"),
                }
            }
        }
        assert!(sound > 50 && bad > 50 && lost > 50, "{sound} {bad} {lost}");
    }

    #[test]
    fn m08_paths_that_are_missing_repeated_or_endless_are_refused() {
        let good = send("tid1", "", '$');
        let to_path = "To-Path: msrp://b:2/y;tcp\r\n";
        let from_path = "From-Path: msrp://a:1/x;tcp\r\n";
        let endless = format!("To-Path:{}\r\n", " msrp://b:2/y;tcp".repeat(17));
        let scheme = FrameFault::Path(PathError::Uri(UriError::Scheme));
        for (stream, fault) in [
            (good.replace(to_path, ""), FrameFault::Missing("To-Path")),
            (good.replace(from_path, ""), FrameFault::Missing("From-Path")),
            (good.replace(to_path, &to_path.repeat(2)), FrameFault::Repeated("To-Path")),
            (good.replace(to_path, &endless), FrameFault::Path(PathError::TooLong)),
            (good.replace(to_path, "To-Path: sip:b\r\n"), scheme),
        ] {
            let error = only_error(&stream);
            assert_eq!(refusal(&error), (fault, Some(400)));
        }
    }

    #[test]
    fn paths_are_those_of_the_frame_whatever_came_before() {
        let one = send("tid1", "", '$');
        let far = format!("msrp://b:2/{};tcp", "y".repeat(600));
        let spelled = one.replace("To-Path: ", "to-path:  ");
        let frames = [
            one.clone(),
            one.replace("msrp://b:2/y;tcp", "msrp://b:2/z;tcp"),
            one.replace("msrp://b:2/y;tcp", "msrp://b:2/y;tcp msrp://c:3/z;tcp"),
            one.replace("msrp://b:2/y;tcp", &far),
            one.replace("To-Path: ", "X-Path: x\r\nTo-Path: "),
            spelled.clone(),
            spelled,
            one.replace("msrp://a:1", "msrps://a:1"),
        ];
        let together = read(&frames.concat());
        let alone: Vec<_> = frames.iter().flat_map(|frame| read(frame)).collect();
        assert_eq!(together, alone);
        let (to_path, from_path) =
            ("To-Path: msrp://b:2/y;tcp\r\n", "From-Path: msrp://a:1/x;tcp\r\n");
        let paths = [to_path, from_path].concat();
        let turned = one.replace(&paths, &[from_path, to_path].concat());
        assert_ne!(turned, one);
        assert_eq!(read(&turned.repeat(3)), read(&one.repeat(3)));
        let twice = one.replace("To-Path", "To-Path: msrp://b:2/y;tcp\r\nTo-Path");
        let outcomes = read(&[one.clone(), twice, one.clone()].concat());
        let fault = refusal(outcomes[1].as_ref().unwrap_err()).0;
        assert_eq!(fault, FrameFault::Repeated("To-Path"));
        assert_eq!(outcomes[2], outcomes[0]);
    }

    #[test]
    fn lines_say_what_they_say_whatever_came_before() {
        let lines = [
            "Success-Report: yes\r\n",
            "success-report: no\r\n",
            "Failure-Report: partial\r\n",
            "Failure-Report: no\r\n",
            "Content-Type: text/plain\r\n",
            "Content-Type: message/cpim; and=a-parameter-that-makes-it-long\r\n",
            "Message-ID: m\r\n",
            "no colon\r\n",
            "",
        ];
        let mut frames = Vec::new();
        for one in lines {
            for two in lines {
                for three in lines {
                    let frame = send("tid1", &format!("{one}{two}{three}\r\nhello"), '$');
                    // At the end they are known, if they ever are.
                    frames.extend(std::iter::repeat_n(frame, 9));
                }
            }
        }
        for max_headers in [4, 5, 32] {
            let limits = Limits { max_headers, ..Limits::default() };
            let read = |parser: &mut Parser, frame: &String| {
                parser.next(&mut BytesMut::from(frame.as_bytes()))
            };
            let mut knowing = Parser::new(limits);
            for frame in &frames {
                let alone = read(&mut Parser::new(limits), frame);
                assert_eq!(read(&mut knowing, frame), alone, "{frame}");
            }
        }
    }

    #[test]
    fn lines_that_could_be_misread_are_refused() {
        for (line, fault) in [
            ("no colon", FrameFault::HeaderSyntax),
            ("Message-ID : x", FrameFault::HeaderSyntax),
            (" folded: x", FrameFault::HeaderSyntax),
            (": x", FrameFault::HeaderSyntax),
            ("X: a\0b", FrameFault::HeaderText),
            ("X: a\nTo-Path: b", FrameFault::HeaderText),
            ("X: a\rb", FrameFault::HeaderText),
        ] {
            let error = only_error(&send("tid1", &format!("{line}\r\n"), '$'));
            assert_eq!(refusal(&error), (fault, Some(400)), "{line:?}");
        }
    }

    #[test]
    fn a_wrong_frame_is_only_refused_if_that_is_wanted() {
        let quiet = "Failure-Report: no\r\n";
        let error = only_error(&send("tid1", &format!("no colon\r\n{quiet}"), '$'));
        assert_eq!(refusal(&error).1, None);
        let error = only_error(&report("no colon\r\n"));
        assert_eq!(refusal(&error).1, None);
        let error = only_error(&send("tid1", "", '$').replace("SEND", "200 OK\r\nno colon"));
        assert_eq!(refusal(&error).1, None);
    }

    fn parser() -> Parser {
        Parser::new(Limits::default())
    }

    /// A SEND with what stands between From-Path and the end-line.
    fn send(tid: &str, rest: &str, flag: char) -> String {
        let line_break =
            if rest.is_empty() || (rest.ends_with("\r\n") && !rest.contains("\r\n\r\n")) {
                ""
            } else {
                "\r\n"
            };
        format!(
            "MSRP {tid} SEND\r\nTo-Path: msrp://b:2/y;tcp\r\nFrom-Path: msrp://a:1/x;tcp\r\n\
             {rest}{line_break}-------{tid}{flag}\r\n"
        )
    }

    fn report(fields: &str) -> String {
        send("n02s00i2t0+1937", fields, '$').replace("SEND", "REPORT")
    }

    fn read(stream: &str) -> Vec<Result<Frame, ParseError>> {
        read_in(stream, usize::MAX)
    }

    fn read_in(stream: &str, size: usize) -> Vec<Result<Frame, ParseError>> {
        let mut parser = parser();
        let mut buffer = BytesMut::new();
        let mut outcomes = Vec::new();
        for segment in stream.as_bytes().chunks(size) {
            buffer.extend_from_slice(segment);
            while let Some(outcome) = parser.next(&mut buffer).transpose() {
                outcomes.push(outcome);
            }
        }
        outcomes
    }

    fn only_error(stream: &str) -> ParseError {
        let mut outcomes = read(stream);
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0).unwrap_err()
    }

    /// The fault and the code of the refusal in a session.
    fn refusal(error: &ParseError) -> (FrameFault, Option<u16>) {
        let ParseError::Frame(bad) = error else { panic!("the stream has ended: {error}") };
        let session =
            (Uri::parse("msrp://b:2/y;tcp").unwrap(), Path::parse("msrp://a:1/x;tcp").unwrap());
        let answer = bad.answer(Some((&session.0, &session.1)));
        let code = answer.and_then(|answer| match answer.kind {
            Kind::Response { code, .. } => Some(code),
            Kind::Request(_) => None,
        });
        (bad.fault, code)
    }
}
