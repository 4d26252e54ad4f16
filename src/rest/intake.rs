//! Where requests begin and end in what a connection sends (RFC 9112), and whether a request may be
//! taken at all: a pure machine in front of the HTTP library.
//!
//! The library takes requests that another server on the way might have read otherwise, and answers
//! those that it does not take with nothing but a status. So a head passes only when it is whole,
//! plain and within its limits. One that is not is replaced by a request for the fault that tells
//! why ([`Refused::substitute`]), which goes the way of all requests; nothing behind it is read.

use std::cmp::min;
use std::mem::MaybeUninit;

use actix_web::http::Uri;
use httparse::{Header, Request, Status};

use super::router::leads_to;
use super::routes::POLLS;

/// The path under which the fault of a refused request is found, with the status behind it.
pub(super) const REFUSED: &str = "/-/refused/";

/// How large the head of a request may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// The longest request-target, in bytes.
    pub uri: usize,
    /// The largest head, in bytes.
    pub bytes: usize,
    /// The most header fields.
    pub fields: usize,
}

/// Why a request is not even looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is not clearly one request.
    Malformed,
    /// Its head did not come in time.
    Slow,
    /// Its request-target is too long.
    LongUri,
    /// Its header fields are too large, or too many.
    LargeHead,
}

/// What is to be done with the bytes that have come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// So many of them may pass.
    Pass(usize),
    /// More are wanted.
    More,
    /// A head is refused: nothing else will pass.
    Refuse(Refused),
    /// A body has broken its framing after it had begun: nothing else will pass.
    Break,
}

/// What is being waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The first request of a connection.
    First,
    /// The next request; none of it has come.
    Next,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
}

/// The framing of one connection.
#[derive(Debug)]
pub(super) struct Intake {
    limits: HeadLimits,
    part: Part,
    /// How much of a head was looked through for its end.
    scanned: usize,
    /// How many heads have passed.
    heads: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    /// So many bytes of a body are still to come.
    Length(u64),
    Chunked(Chunk),
}

/// Where in a chunked body (RFC 9112 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Size { digits: u8, size: u64 },
    Extension { length: u16, size: u64 },
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    EndCr,
    EndLf,
}

impl Intake {
    pub(super) fn new(limits: HeadLimits) -> Self {
        Self { limits, part: Part::Head, scanned: 0, heads: 0 }
    }

    /// Judges the bytes behind those that were passed.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Step {
        if bytes.is_empty() {
            return Step::More;
        }
        match self.part {
            Part::Head => self.head(bytes),
            Part::Length(left) => {
                let passed = min(left, bytes.len() as u64);
                self.part = match left - passed {
                    0 => Part::Head,
                    left => Part::Length(left),
                };
                // It is no more than there are bytes.
                Step::Pass(usize::try_from(passed).unwrap_or(bytes.len()))
            }
            Part::Chunked(chunk) => self.chunked(chunk, bytes),
        }
    }

    /// Tells what is awaited where `held` bytes wait that could not pass yet, and which request it
    /// is for.
    pub(super) fn awaited(&self, held: usize) -> (Awaited, u64) {
        let awaited = match self.part {
            Part::Head if held > 0 => Awaited::Head,
            Part::Head if self.heads == 0 => Awaited::First,
            Part::Head => Awaited::Next,
            Part::Length(_) | Part::Chunked(_) => Awaited::Body,
        };
        (awaited, self.heads)
    }

    fn head(&mut self, bytes: &[u8]) -> Step {
        // An empty line before a request is passed over by all (RFC 9112 section 2.2).
        if bytes.starts_with(b"\r\n") {
            self.scanned = 0;
            return Step::Pass(2);
        }
        match self.end_of_head(bytes) {
            Ok(Some(end)) => {
                self.scanned = 0;
                match self.judge(&bytes[..end]) {
                    Ok(part) => {
                        self.part = part;
                        self.heads += 1;
                        Step::Pass(end)
                    }
                    Err(refused) => Step::Refuse(refused),
                }
            }
            Ok(None) => Step::More,
            Err(refused) => Step::Refuse(refused),
        }
    }

    /// Finds the end of a head, whose lines all end in CR LF. It is refused as soon as it shows
    /// that it will be.
    fn end_of_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refused> {
        let from = self.scanned;
        for at in memchr::memchr_iter(b'\n', bytes.get(from..).unwrap_or_default()) {
            let at = from + at;
            let Some(line) = bytes[..at].strip_suffix(b"\r") else {
                return Err(Refused::Malformed);
            };
            if line.ends_with(b"\r\n") {
                let end = at + 1;
                return if end > self.limits.bytes {
                    Err(self.too_large(bytes))
                } else {
                    Ok(Some(end))
                };
            }
        }
        self.scanned = bytes.len();
        if bytes.len() > self.limits.bytes { Err(self.too_large(bytes)) } else { Ok(None) }
    }

    /// Tells which part of a head is too large: the line that it begins with, or the rest.
    fn too_large(&self, bytes: &[u8]) -> Refused {
        let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        // Beside the request-target stand a method and a version.
        if line > self.limits.uri + 32 { Refused::LongUri } else { Refused::LargeHead }
    }

    /// Judges a whole head; gives what follows it.
    fn judge(&self, head: &[u8]) -> Result<Part, Refused> {
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut request = Request::new(&mut []);
        match request.parse_with_uninit_headers(head, &mut fields) {
            Ok(Status::Complete(length)) if length == head.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Refused::LargeHead),
            Ok(Status::Complete(_) | Status::Partial) | Err(_) => return Err(Refused::Malformed),
        }
        let target = request.path.ok_or(Refused::Malformed)?;
        if target.len() > self.limits.uri {
            return Err(Refused::LongUri);
        }
        if request.headers.len() > self.limits.fields {
            return Err(Refused::LargeHead);
        }
        // A tunnel has no end, and nobody here is one.
        if request.method == Some("CONNECT") || !is_target(target) {
            return Err(Refused::Malformed);
        }
        framing(request.headers, request.version == Some(1))
    }

    fn chunked(&mut self, mut chunk: Chunk, bytes: &[u8]) -> Step {
        let mut at = 0;
        while at < bytes.len() {
            if let Chunk::Data(left) = chunk {
                let there = min(left, (bytes.len() - at) as u64);
                at += usize::try_from(there).unwrap_or(bytes.len() - at);
                chunk = if there == left { Chunk::DataCr } else { Chunk::Data(left - there) };
                continue;
            }
            let byte = bytes[at];
            match chunk.next(byte) {
                Some(Some(next)) => chunk = next,
                Some(None) => {
                    self.part = Part::Head;
                    return Step::Pass(at + 1);
                }
                None if at == 0 => return Step::Break,
                None => break,
            }
            at += 1;
        }
        self.part = Part::Chunked(chunk);
        Step::Pass(at)
    }
}

impl Chunk {
    const START: Self = Self::Size { digits: 0, size: 0 };

    /// Gives what comes behind a byte: another part, or the end of the body. Nothing, where the
    /// byte has no place there; trailers have none either (RFC 9112 section 7.1.2 lets us).
    fn next(self, byte: u8) -> Option<Option<Self>> {
        let next = match (self, byte) {
            (Self::Size { digits, size }, byte) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16)?;
                let size = size * 16 + u64::from(digit);
                (digits < MOST_DIGITS).then_some(Self::Size { digits: digits + 1, size })?
            }
            (Self::Size { digits: 1.., size }, b'\r') => Self::SizeLf(size),
            (Self::Size { digits: 1.., size }, b';') => Self::Extension { length: 0, size },
            (Self::Extension { size, .. }, b'\r') => Self::SizeLf(size),
            (Self::Extension { length, size }, byte)
                if byte == b'\t' || !byte.is_ascii_control() =>
            {
                let length = length + 1;
                (length <= LONGEST_EXTENSION).then_some(Self::Extension { length, size })?
            }
            (Self::SizeLf(0), b'\n') => Self::EndCr,
            (Self::SizeLf(size), b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::START,
            (Self::EndCr, b'\r') => Self::EndLf,
            (Self::EndLf, b'\n') => return Some(None),
            _ => return None,
        };
        Some(Some(next))
    }
}

/// Tells whether the library will read a request-target. Nearly all are paths of which that is
/// seen without taking them apart.
fn is_target(target: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%+:@?&=".contains(&byte);
    let is_path = target.starts_with('/') && target.len() <= LONGEST_PLAIN;
    is_path && target.bytes().all(is_plain) || Uri::try_from(target).is_ok()
}

/// The longest path that is taken as it looks: far less than what the library takes, in bytes.
const LONGEST_PLAIN: usize = 1024;

/// Finds how long the body is (RFC 9112 section 6.3). What two readers might understand in two ways
/// is refused.
fn framing(fields: &[Header<'_>], is_1_1: bool) -> Result<Part, Refused> {
    let mut length = None;
    let (mut is_chunked, mut hosts) = (false, 0);
    for Header { name, value } in fields {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("host") {
            hosts += 1;
        } else if is("content-length") {
            let digits = str::from_utf8(value).ok().filter(|text| is_number(text));
            let parsed = digits.and_then(|text| text.parse::<u64>().ok());
            let is_first = length.replace(parsed.ok_or(Refused::Malformed)?).is_none();
            is_first.then_some(()).ok_or(Refused::Malformed)?;
        } else if is("transfer-encoding") {
            let is_plain = value.eq_ignore_ascii_case(b"chunked") && !is_chunked && is_1_1;
            is_chunked = is_plain.then_some(true).ok_or(Refused::Malformed)?;
        } else if is("upgrade") && value.eq_ignore_ascii_case(b"websocket") {
            // The library would take all that follows for a body without end.
            return Err(Refused::Malformed);
        }
    }
    match (is_chunked, length) {
        _ if hosts > 1 || (hosts == 0 && is_1_1) => Err(Refused::Malformed),
        (true, Some(_)) => Err(Refused::Malformed),
        (true, None) => Ok(Part::Chunked(Chunk::START)),
        (false, None | Some(0)) => Ok(Part::Head),
        (false, Some(length)) => Ok(Part::Length(length)),
    }
}

/// Tells how long the first head in `bytes` is, where it is that of a long poll below `base` and of
/// nothing else: a plain GET of a channel, without a body and without wishes for the connection.
#[must_use]
pub fn poll_length(bytes: &[u8], base: &str) -> Option<usize> {
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut request = Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(bytes, &mut fields);
    let Ok(Status::Complete(length)) = parsed else { return None };
    let path = request.path?.split('?').next()?;
    let is_get = request.method == Some("GET") && request.version == Some(1);
    if !is_get || !leads_to(path, base, POLLS) {
        return None;
    }
    let is_plain = |Header { name, value }: &Header<'_>| {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let says = |what: &[u8]| memchr::memmem::find(&value.to_ascii_lowercase(), what).is_some();
        // A stream of events is no poll, and never at its end.
        let is_stream = is("accept") && says(b"event-stream");
        let has_body = is("content-length") && *value != b"0";
        let frames = ["transfer-encoding", "expect", "upgrade", "connection"];
        !is_stream && !has_body && !frames.into_iter().any(is)
    };
    request.headers.iter().all(is_plain).then_some(length)
}

/// Tells whether the answer to a long poll depends on a header field. Whoever waits need not keep
/// the others.
#[must_use]
pub fn is_read_by_polls(name: &str) -> bool {
    ["accept", "content-type", "last-event-id", "x-correlator"].contains(&name)
}

fn is_number(text: &str) -> bool {
    (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Refused {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Malformed, Self::Slow, Self::LongUri, Self::LargeHead];

    /// Gives the status (RFC 9110 section 15.5, RFC 6585 section 5).
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Slow => 408,
            Self::LongUri => 414,
            Self::LargeHead => 431,
        }
    }

    /// Finds what was refused with a status.
    pub(super) fn of(status: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refused| refused.status().to_string() == status)
    }

    /// Writes the request that stands in for a refused one. What the refused one has said clearly
    /// about its answer is kept: the format, and the correlator.
    pub(super) fn substitute(self, head: &[u8]) -> Vec<u8> {
        let mut request =
            format!("GET {REFUSED}{} HTTP/1.1\r\nHost: -\r\nConnection: close\r\n", self.status());
        let mut wanted = vec!["accept", "content-type", "x-correlator"];
        let lines = head.split(|byte| *byte == b'\n').skip(1);
        // Behind the empty line stands what is no head: a body, or what would be the next request.
        for line in lines.take_while(|line| !matches!(*line, b"" | b"\r")) {
            let line = line.strip_suffix(b"\r").and_then(|line| str::from_utf8(line).ok());
            let Some((name, value)) = line.and_then(|line| line.split_once(':')) else { continue };
            let is_plain = value.len() <= 256 && value.bytes().all(|b| (b' '..=b'~').contains(&b));
            let place = wanted.iter().position(|known| name.eq_ignore_ascii_case(known));
            if let (Some(place), true) = (place, is_plain) {
                let name = wanted.swap_remove(place);
                request.push_str(&format!("{name}: {}\r\n", value.trim()));
            }
        }
        request.push_str("\r\n");
        request.into_bytes()
    }
}

/// The most header fields that the HTTP library takes.
const MOST_FIELDS: usize = 96;

/// The most digits of the size of a chunk: more than 2^60 bytes never come.
const MOST_DIGITS: u8 = 15;

/// The longest extension of a chunk, in bytes; none is known to anybody.
const LONGEST_EXTENSION: u16 = 128;

#[cfg(test)]
mod tests;
