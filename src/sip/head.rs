//! The head of a message: its start line and header fields, read and judged
//! (RFC 3261 sections 7.1 to 7.3 and 8.1.1).
//!
//! Reading never stops at a flaw. It remembers the first one and goes on, for the framing needs
//! the `Content-Length` and the answer needs the `Via`s of a message however bad it is.

use std::borrow::Cow;

use bytes::Bytes;

use super::build::{copy_identity, stateless_tag};
use super::grammar::{TOKEN, is_token, split_at_byte};
use super::header_name::Known;
use super::headers::Place;
use super::views::parse_number;
use super::wire::head_end;
use super::{
    Decoded, Headers, Message, Method, Request, Response, Status, Uri, ViewError, WireError,
    WireLimits,
};

/// A head, read.
#[derive(Debug, Clone)]
pub(super) struct Head {
    start: Start,
    headers: Headers,
    length: Length,
    flaw: Option<WireError>,
    seen: Seen,
}

/// Which of the header fields that stand alone have been seen, and which of them again.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    once: u64,
    again: u64,
}

impl Seen {
    fn note(&mut self, known: Known) {
        self.again |= self.once & known.bit();
        self.once |= known.bit();
    }

    fn has(self, known: Known) -> bool {
        self.once & known.bit() != 0
    }

    fn has_twice(self, known: Known) -> bool {
        self.again & known.bit() != 0
    }
}

/// What the `Content-Length` fields say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Absent,
    Is(u64),
    /// No number, one too large for any, or two that differ.
    Bad,
}

#[derive(Debug, Clone)]
enum Start {
    Request {
        method: Method,
        uri: Uri,
    },
    Status {
        status: Status,
        reason: Cow<'static, str>,
    },
    /// A request line that is flawed; answerable unless it is an ACK.
    BadRequest {
        acknowledges: bool,
    },
    /// A status line that is flawed; responses are never answered.
    BadStatus,
}

impl Head {
    /// Reads the head at the front of a datagram, and tells where its body begins: behind the
    /// first empty line, if there is one.
    pub(super) fn find(bytes: &[u8], limits: &WireLimits) -> (Self, Option<usize>) {
        match Self::read_plain(bytes, limits) {
            Some((head, end)) => (head, Some(end)),
            None => {
                let end = head_end(bytes, 0);
                let head = end.and_then(|end| bytes.get(..end)).unwrap_or(bytes);
                (Self::read_any(head, limits), end)
            }
        }
    }

    /// Reads a head up to its empty line.
    pub(super) fn read(bytes: &[u8], limits: &WireLimits) -> Self {
        Self::read_plain(bytes, limits)
            .map_or_else(|| Self::read_any(bytes, limits), |(head, _)| head)
    }

    fn begun((start, flaw): (Start, Option<WireError>)) -> Self {
        let (headers, length, seen) = (Headers::awaited(), Length::Absent, Seen::default());
        Self { start, headers, length, flaw, seen }
    }

    /// Reads a head that is written as nearly all are, and tells where it ends: in UTF-8, every
    /// line a field, none folded, no control character. All others are left to `read_any`.
    fn read_plain(bytes: &[u8], limits: &WireLimits) -> Option<(Self, usize)> {
        let (line, line_break) = plain_line(bytes, 0)?;
        let mut head = Self::begun(read_start(line));
        let first = line.len() + line_break;
        let (mut at, mut breaks) = (first, 0);
        loop {
            let (line, line_break) = plain_line(bytes, at)?;
            breaks += line_break;
            if line.is_empty() {
                at += line_break;
                break;
            }
            let is_within = head.headers.len() < limits.headers && line.len() <= limits.line;
            let field = Field::cut(line, bytes.get(at..)?).filter(|_| is_within)?;
            head.note_length(&field);
            head.adopt(&field, at - first);
            at += line.len() + line_break;
        }
        // The line breaks are the only ones.
        let text = bytes.get(first..at).filter(|text| count_controls(text) == breaks)?;
        head.headers.found_in(std::str::from_utf8(text).ok()?.to_owned());
        Some((head, at))
    }

    /// Reads a head of whatever form, and remembers its first flaw.
    fn read_any(bytes: &[u8], limits: &WireLimits) -> Self {
        let mut lines = Lines { rest: bytes };
        let mut head = Self::begun(read_start(&lines.next().unwrap_or_default()));
        let (mut text, mut count) = (String::with_capacity(lines.rest.len()), 0);
        for line in lines.take_while(|line| !line.is_empty()) {
            count += 1;
            let excess = match line.len() {
                length if length > limits.line => Some(WireError::LineTooLong),
                _ if count > limits.headers => Some(WireError::TooManyHeaders),
                _ => None,
            };
            let start = text.len();
            text.push_str(&text_of(&line));
            let line = text.as_bytes().get(start..).unwrap_or_default();
            if let Err(why) = head.read_field(line, start, excess) {
                head.flaw.get_or_insert(why);
            }
        }
        head.headers.found_in(text);
        head
    }

    fn read_field(
        &mut self,
        line: &[u8],
        start: usize,
        excess: Option<WireError>,
    ) -> Result<(), WireError> {
        let field = Field::cut(line, line).ok_or(WireError::BadHeaderName)?;
        // However bad it is, its length tells where the next message begins.
        self.note_length(&field);
        if let Some(why) = excess {
            return Err(why);
        }
        if has_wild_control(field.value) {
            return Err(WireError::Control);
        }
        self.adopt(&field, start);
        Ok(())
    }

    #[inline]
    /// Takes a field whose line begins at `start` of the text.
    fn adopt(&mut self, field: &Field<'_>, start: usize) {
        let name = match field.known {
            Some(known) => {
                self.seen.note(known);
                Place::Known(known)
            }
            None => Place::At(start..start + field.name.len()),
        };
        let value = start + field.value_at;
        self.headers.adopt_at(name, value..value + field.value.len());
    }

    #[inline]
    fn note_length(&mut self, field: &Field<'_>) {
        if field.known == Some(Known::ContentLength) {
            self.length = self.length.and(field.value);
        }
    }

    /// What the `Content-Length` fields say.
    pub(super) fn length(&self) -> Length {
        self.length
    }

    /// The message with this body, if the head keeps the rules.
    pub(super) fn into_decoded(self, body: Bytes) -> Decoded {
        let flaw = self.flaw.clone().map_or_else(|| self.judge(), Err);
        if let Err(why) = flaw {
            return Decoded::Reject { answer: self.answer(&why), why };
        }
        let headers = self.headers;
        match self.start {
            Start::Request { method, uri } => {
                Decoded::Message(Message::Request(Request { method, uri, headers, body }))
            }
            Start::Status { status, reason } => {
                Decoded::Message(Message::Response(Response { status, reason, headers, body }))
            }
            // Unreachable: a bad start line is a flaw.
            Start::BadRequest { .. } | Start::BadStatus => {
                Decoded::Reject { answer: None, why: WireError::BadStartLine }
            }
        }
    }

    /// The answer to a message that is refused: none to a response, none to an ACK (RFC 3261
    /// section 17.1.1.3), none where no `Via` says for whom.
    pub(super) fn answer(&self, why: &WireError) -> Option<Response> {
        match &self.start {
            Start::Request { method: Method::Ack, .. }
            | Start::BadRequest { acknowledges: true }
            | Start::Status { .. }
            | Start::BadStatus => return None,
            Start::Request { .. } | Start::BadRequest { .. } => {}
        }
        if !self.headers.has("Via") {
            return None;
        }
        let mut answer = Response::new(why.status());
        if answer.status == Status::BAD_REQUEST {
            // "The Reason-Phrase SHOULD identify the syntax problem" (RFC 3261 section 21.4.1).
            answer.reason = format!("Bad Request: {why}").into();
        }
        copy_identity(&self.headers, &mut answer.headers, Some(&stateless_tag(&self.headers)));
        Some(answer)
    }

    /// What every message must have, and what must be readable where it is (RFC 3261
    /// section 8.1.1). `Max-Forwards` and the tags came later than RFC 2543 and may be missing.
    fn judge(&self) -> Result<(), WireError> {
        if self.seen.again & ALONE_BITS != 0
            && let Some(name) = ALONE.into_iter().find(|name| self.seen.has_twice(*name))
        {
            return Err(ViewError::Repeated(name.as_str()).into());
        }
        self.headers.check_vias()?;
        self.headers.check_address(Known::From)?;
        self.headers.check_address(Known::To)?;
        let cseq = self.headers.cseq()?;
        let call_id = self.headers.call_id().ok_or(ViewError::Missing("Call-ID"))?;
        if call_id.is_empty() || call_id.bytes().any(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(ViewError::CallId.into());
        }
        let Start::Request { method, uri } = &self.start else { return Ok(()) };
        if cseq.method != *method {
            return Err(WireError::CSeqMethod);
        }
        if uri.has_headers() {
            return Err(WireError::RequestUriHeaders);
        }
        self.judge_request()
    }

    /// What a request may have; in a response it only matters to those who use it.
    fn judge_request(&self) -> Result<(), WireError> {
        if self.seen.has(Known::MaxForwards) && self.headers.max_forwards().is_none() {
            return Err(ViewError::Number("Max-Forwards").into());
        }
        if self.seen.has(Known::Contact) {
            self.headers.check_contacts()?;
        }
        for name in [Known::Route, Known::RecordRoute] {
            if self.seen.has(name) {
                self.headers.check_addresses(name)?;
            }
        }
        Ok(())
    }
}

/// The header fields of which there is one at most.
const ALONE: [Known; 6] =
    [Known::From, Known::To, Known::CallId, Known::CSeq, Known::MaxForwards, Known::ContentType];

/// The places of these in a set of bits.
const ALONE_BITS: u64 = {
    let (mut bits, mut at) = (0, 0);
    while at < ALONE.len() {
        bits |= ALONE[at].bit();
        at += 1;
    }
    bits
};

/// A line cut up where it stands.
struct Field<'a> {
    name: &'a [u8],
    known: Option<Known>,
    value: &'a [u8],
    /// Where the value stands in the line.
    value_at: usize,
}

impl<'a> Field<'a> {
    /// Cuts up the line that `text` begins with. `None` without a colon, and where the name is no
    /// token.
    #[inline(always)] // What it gives is never to be put together in memory.
    fn cut(line: &'a [u8], text: &[u8]) -> Option<Self> {
        if let Some((known, length)) = Known::in_front(text) {
            let (name, behind) = line.split_at_checked(length)?;
            return Some(Self::of_parts(line, name, Some(known), behind.get(1..)?));
        }
        let (name, behind) = line.split_at_checked(TOKEN.first_outside(line)?)?;
        // White space before the colon, but not before the name (RFC 3261 section 7.3.1).
        let behind = trimmed_start(behind).strip_prefix(b":").filter(|_| !name.is_empty())?;
        Some(Self::of_parts(line, name, Known::of(name), behind))
    }

    #[inline(always)]
    fn of_parts(line: &[u8], name: &'a [u8], known: Option<Known>, behind: &'a [u8]) -> Self {
        let value = trimmed_start(behind);
        Self { name, known, value: trimmed_end(value), value_at: line.len() - value.len() }
    }
}

/// Gives the line at this place, and how long the line break behind it is; `None` without one, and
/// for a line that goes on in the next (RFC 3261 section 7.3.1).
#[inline]
fn plain_line(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(at..)?;
    let length = memchr::memchr(b'\n', rest)?;
    let (line, behind) = rest.split_at_checked(length)?;
    let is_folded = matches!(behind, [_, b' ' | b'\t', ..]);
    match line.strip_suffix(b"\r").unwrap_or(line) {
        // What stands behind the empty line is the body.
        line if line.is_empty() || !is_folded => Some((line, length + 1 - line.len())),
        _ => None,
    }
}

fn trimmed_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn trimmed_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Counts the control characters. All bytes are looked at without a decision, many at a time.
fn count_controls(bytes: &[u8]) -> usize {
    let is_control = |byte: &u8| u8::from(*byte < b' ') + u8::from(*byte == 0x7f);
    // So few that a byte holds their number.
    let count = |some: &[u8]| usize::from(some.iter().map(is_control).sum::<u8>());
    bytes.chunks(128).map(count).sum()
}

impl Length {
    /// What this and one more `Content-Length` say together.
    fn and(self, value: &[u8]) -> Self {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(value).ok().filter(|_| digits);
        let read = text.and_then(|text| text.parse().ok()).map_or(Self::Bad, Self::Is);
        if self == Self::Absent || self == read { read } else { Self::Bad }
    }
}

/// The lines of a head, folds undone (RFC 3261 section 7.3.1), CRLF or bare LF behind each.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = Cow<'a, [u8]>;

    fn next(&mut self) -> Option<Cow<'a, [u8]>> {
        if self.rest.is_empty() {
            return None;
        }
        let mut line = Cow::Borrowed(self.take_line());
        // The start line folds no more than the empty line does.
        while !line.is_empty() && matches!(self.rest.first(), Some(b' ' | b'\t')) {
            let more = self.take_line();
            let whole = line.to_mut();
            whole.truncate(whole.trim_ascii_end().len());
            whole.push(b' ');
            whole.extend_from_slice(more.trim_ascii_start());
        }
        Some(line)
    }
}

impl<'a> Lines<'a> {
    fn take_line(&mut self) -> &'a [u8] {
        let end = memchr::memchr(b'\n', self.rest);
        let (line, rest) = match end {
            Some(at) => (&self.rest[..at], &self.rest[at + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}

/// Reads a start line; of a flawed one, what it was meant to be, and the flaw.
fn read_start(line: &[u8]) -> (Start, Option<WireError>) {
    let is_status = line.get(..4).is_some_and(|front| front.eq_ignore_ascii_case(b"SIP/"));
    let (start, bad) = if is_status {
        (read_status_line(line), Start::BadStatus)
    } else {
        let acknowledges = line.starts_with(b"ACK ");
        (read_request_line(line), Start::BadRequest { acknowledges })
    };
    match start {
        Ok(start) => (start, None),
        Err(why) => (bad, Some(why)),
    }
}

/// More than one space between the parts, and spaces behind them, are let pass (RFC 4475
/// sections 3.1.2.9 and 3.1.2.10); a space inside the URI makes a fourth part.
fn read_request_line(line: &[u8]) -> Result<Start, WireError> {
    let line = std::str::from_utf8(line).map_err(|_| WireError::BadStartLine)?;
    let mut parts = Parts { rest: line };
    let (Some(method), Some(uri), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(WireError::BadStartLine);
    };
    if !is_token(method) || line.starts_with(' ') {
        return Err(WireError::BadStartLine);
    }
    check_version(version)?;
    let uri = Uri::parse(uri).map_err(WireError::RequestUri)?;
    Ok(Start::Request { method: method.into(), uri })
}

/// What stands between spaces.
struct Parts<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_start_matches(' ');
        let (part, rest) = split_at_byte(text, b' ').unwrap_or((text, ""));
        self.rest = rest;
        (!part.is_empty()).then_some(part)
    }
}

fn read_status_line(line: &[u8]) -> Result<Start, WireError> {
    let line = text_of(line);
    let (version, rest) = split_at_byte(&line, b' ').ok_or(WireError::BadStartLine)?;
    check_version(version)?;
    let (code, reason) = split_at_byte(rest, b' ').unwrap_or((rest, ""));
    let status = match *code.as_bytes() {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            let digit = |byte: u8| u16::from(byte - b'0');
            Status::new(digit(a) * 100 + digit(b) * 10 + digit(c)).ok_or(WireError::BadStatus)?
        }
        _ => return Err(WireError::BadStatus),
    };
    // A phrase knows no quoted strings, in which a control might be escaped.
    if reason.bytes().any(is_control) {
        return Err(WireError::Control);
    }
    let usual = status.reason();
    let reason = if reason == usual { usual.into() } else { reason.to_owned().into() };
    Ok(Start::Status { status, reason })
}

/// `SIP/2.0` in any case; another number is another version, anything else is not SIP.
fn check_version(version: &str) -> Result<(), WireError> {
    if version == "SIP/2.0" {
        return Ok(());
    }
    let number = match version.split_at_checked(4) {
        Some((name, number)) if name.eq_ignore_ascii_case("SIP/") => number,
        _ => return Err(WireError::BadStartLine),
    };
    match number.split_once('.').map(|(major, minor)| (parse_number(major), parse_number(minor))) {
        Some((Some(2), Some(0))) => Ok(()),
        Some((Some(_), Some(_))) => Err(WireError::Version),
        _ => Err(WireError::BadStartLine),
    }
}

/// Header text is UTF-8; what is not is taken for Latin-1, as old clients write names.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// Whether a control character stands where none may: all but HTAB, and but those which a
/// backslash in a quoted string leads in (RFC 3261 section 25.1, `quoted-pair`).
fn has_wild_control(value: &[u8]) -> bool {
    if !value.iter().copied().any(is_control) {
        return false;
    }
    let (mut quoted, mut escaped) = (false, false);
    for &byte in value {
        match byte {
            b'\r' | b'\n' => return true,
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if is_control(byte) => return true,
            _ => {}
        }
    }
    false
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}
