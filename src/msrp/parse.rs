//! The framing of a stream: where a frame ends, however the bytes arrive (RFC 4975 section 5.1).
//!
//! ```text
//!            "MSRP tid "             end-line of tid
//!    Between ──────────▶ Inside ───────────────────────▶ Between, one frame out
//!       ▲                  │ head or body over its limit: the fault goes out at once
//!       │   end-line       ▼
//!       └──────────────── Skipping ──▶ the stream is given up when no end-line comes
//! ```
//! The end-line is searched with one searcher for `\r\n-------`, and only from where the last
//! search has ended: the cost of a chunk does not depend on the size of the reads.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem::Finder;

use super::frame::{Continuation, FailureReport, Frame, Kind, TransactionId};
use super::head::{Head, transaction};
use super::limits::Limits;
use super::uri::{Path, PathError, Uri};

/// Cuts frames out of a stream of bytes.
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    end_lines: Finder<'static>,
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
    pub fn new(limits: Limits) -> Self {
        Self { limits, end_lines: Finder::new(END_LINE), stage: Stage::Between }
    }

    /// Takes the next frame out of `buffer`; `None` asks for more bytes.
    ///
    /// Between two calls the caller only appends to `buffer`. Call again until nothing comes out.
    ///
    /// # Errors
    /// Tells of a frame that is skipped, or of a stream that cannot be read any further.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, ParseError> {
        loop {
            match &self.stage {
                Stage::Between => match start(buffer) {
                    Start::Found(inside) => self.stage = Stage::Inside(inside),
                    Start::NeedMore => return Ok(None),
                    Start::None => return Err(ParseError::Stream(StreamFault::NoStart)),
                },
                Stage::Inside(inside) => {
                    let inside = *inside;
                    match self.search(buffer, inside.tid(buffer), inside.searched) {
                        Search::Found(end) => {
                            self.stage = Stage::Between;
                            return self.frame(buffer, inside, end).map(Some);
                        }
                        Search::NotUpTo(searched) => {
                            return self.wait(buffer, Inside { searched, ..inside });
                        }
                    }
                }
                Stage::Skipping { tid, left } => {
                    match self.search(buffer, tid.as_str().as_bytes(), 0) {
                        Search::Found(end) => {
                            buffer.advance(end.after);
                            self.stage = Stage::Between;
                        }
                        Search::NotUpTo(searched) => {
                            let Some(left) = left.checked_sub(searched) else {
                                return Err(ParseError::Stream(StreamFault::NoEnd));
                            };
                            buffer.advance(searched);
                            self.stage = Stage::Skipping { tid: tid.clone(), left };
                            return Ok(None);
                        }
                    }
                }
            }
        }
    }

    /// Looks for the end-line of `tid` from `from` on.
    fn search(&self, buffer: &[u8], tid: &[u8], from: usize) -> Search {
        let mut from = from;
        while let Some(found) = buffer.get(from..).and_then(|rest| self.end_lines.find(rest)) {
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

    /// Builds the frame that `end` has completed.
    fn frame(
        &self,
        buffer: &mut BytesMut,
        inside: Inside,
        end: EndLine,
    ) -> Result<Frame, ParseError> {
        let frame = buffer.split_to(end.after).freeze();
        let tid = inside.read_tid(&frame)?;
        // The line break before the hyphens ends the last header field if there is no body.
        let head_end = end.at + LINE_BREAK;
        let mut head = self.head(&frame, head_end);
        let body = match head.body_at {
            // After an empty line the hyphens may follow at once, without a break of their own.
            Some(body_at) => Some(frame.slice(body_at.min(end.at)..end.at)),
            None if head_end > self.limits.max_header_bytes => {
                head.fault.get_or_insert(FrameFault::HeadTooLong);
                None
            }
            None => None,
        };
        if body.as_ref().is_some_and(|body| body.len() > self.limits.max_chunk_in) {
            head.fault.get_or_insert(FrameFault::BodyTooLarge);
        }
        head.complete(tid, body, end.flag)
    }

    /// Goes on waiting for the end-line, unless the frame has outgrown its limits.
    fn wait(&mut self, buffer: &mut BytesMut, inside: Inside) -> Result<Option<Frame>, ParseError> {
        let fits = |body_at| inside.searched.saturating_sub(body_at) <= self.limits.max_chunk_in;
        let short = buffer.len() <= self.limits.max_header_bytes;
        if short || inside.body_at.is_some_and(fits) {
            self.stage = Stage::Inside(inside);
            return Ok(None);
        }
        let seen = buffer.get(..self.limits.max_header_bytes).unwrap_or(buffer);
        let seen = Bytes::copy_from_slice(seen);
        let head = self.head(&seen, seen.len());
        let fault = match head.body_at {
            Some(body_at) if fits(body_at) => {
                self.stage = Stage::Inside(Inside { body_at: Some(body_at), ..inside });
                return Ok(None);
            }
            Some(_) => FrameFault::BodyTooLarge,
            None => FrameFault::HeadTooLong,
        };
        let tid = inside.read_tid(&seen)?;
        buffer.advance(inside.searched);
        self.stage = Stage::Skipping { tid: tid.clone(), left: self.limits.max_message };
        Err(head.refuse(tid, fault))
    }

    fn head(&self, frame: &Bytes, end: usize) -> Head {
        Head::read(frame, end.min(self.limits.max_header_bytes), self.limits.max_headers)
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
    fn tid(self, buffer: &[u8]) -> &[u8] {
        buffer.get(TID_AT..self.tid_end).unwrap_or_default()
    }

    fn read_tid(self, frame: &Bytes) -> Result<TransactionId, ParseError> {
        let tid = frame.slice_ref(self.tid(frame));
        TransactionId::read(tid).ok_or(ParseError::Stream(StreamFault::NoStart))
    }
}

enum Start {
    Found(Inside),
    NeedMore,
    None,
}

/// Drops line breaks and looks whether a frame begins.
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

enum Flag {
    Is(Continuation),
    NotYet,
    None,
}

/// Compares what stands behind seven hyphens with the identifier, a flag and a line break.
///
/// The break counts: `tid+more` begins like an end-line where an identifier may contain a plus.
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

const END_LINE: &[u8] = b"\r\n-------";
const LINE_BREAK: usize = 2;
const FLAG_AND_BREAK: usize = 3;
const TID_AT: usize = 5;
/// `MSRP`, the longest identifier and the spaces.
const LONGEST_START: usize = TID_AT + 64 + 1;
