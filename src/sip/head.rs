//! The head of a message: its start line and header fields, read and judged
//! (RFC 3261 sections 7.1 to 7.3 and 8.1.1).
//!
//! Reading never stops at a flaw. It remembers the first one and goes on, for the framing needs
//! the `Content-Length` and the answer needs the `Via`s of a message however bad it is.

use std::borrow::Cow;

use bytes::Bytes;

use super::build::{copy_identity, stateless_tag};
use super::grammar::{is_token, trimmed};
use super::headers::long_name;
use super::views::parse_number;
use super::{
    Decoded, Headers, Message, Method, NameAddr, Request, Response, Status, Uri, ViewError,
    WireError, WireLimits,
};

/// A head, read.
#[derive(Debug, Clone)]
pub(super) struct Head {
    start: Start,
    headers: Headers,
    length: Length,
    flaw: Option<WireError>,
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
        reason: String,
    },
    /// A request line that is flawed; answerable unless it is an ACK.
    BadRequest {
        acknowledges: bool,
    },
    /// A status line that is flawed; responses are never answered.
    BadStatus,
}

impl Head {
    /// Reads a head up to its empty line.
    pub(super) fn read(bytes: &[u8], limits: &WireLimits) -> Self {
        let mut lines = Lines { rest: bytes };
        let (start, flaw) = read_start(&lines.next().unwrap_or_default());
        let mut head = Self { start, headers: Headers::new(), length: Length::Absent, flaw };
        let mut count = 0;
        for line in lines.take_while(|line| !line.is_empty()) {
            count += 1;
            if let Err(why) = head.read_field(&line, count, limits) {
                head.flaw.get_or_insert(why);
            }
        }
        head
    }

    fn read_field(
        &mut self,
        line: &[u8],
        count: usize,
        limits: &WireLimits,
    ) -> Result<(), WireError> {
        let colon = memchr::memchr(b':', line).ok_or(WireError::BadHeaderName)?;
        let name = std::str::from_utf8(&line[..colon]).map_err(|_| WireError::BadHeaderName)?;
        // White space before the colon, but not before the name (RFC 3261 section 7.3.1).
        let name = name.trim_end_matches([' ', '\t']);
        if !is_token(name) {
            return Err(WireError::BadHeaderName);
        }
        let value = text_of(&line[colon + 1..]);
        let value = trimmed(&value);
        if long_name(name).eq_ignore_ascii_case("Content-Length") {
            self.length = self.length.and(value);
        }
        if line.len() > limits.line {
            return Err(WireError::LineTooLong);
        }
        if count > limits.headers {
            return Err(WireError::TooManyHeaders);
        }
        if has_wild_control(value) {
            return Err(WireError::Control);
        }
        self.headers.adopt(name, value.to_owned());
        Ok(())
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
            answer.reason = format!("Bad Request: {why}");
        }
        copy_identity(&self.headers, &mut answer.headers, Some(&stateless_tag(&self.headers)));
        Some(answer)
    }

    /// What every message must have, and what must be readable where it is (RFC 3261
    /// section 8.1.1). `Max-Forwards` and the tags came later than RFC 2543 and may be missing.
    fn judge(&self) -> Result<(), WireError> {
        for name in ["From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Type"] {
            if self.headers.all(name).nth(1).is_some() {
                return Err(ViewError::Repeated(name).into());
            }
        }
        self.headers.via()?;
        self.headers.vias()?;
        self.headers.from()?;
        self.headers.to()?;
        let cseq = self.headers.cseq()?;
        let call_id = self.headers.call_id().ok_or(ViewError::Missing("Call-ID"))?;
        if call_id.is_empty() || call_id.contains([' ', '\t']) {
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
        if self.headers.has("Max-Forwards") && self.headers.max_forwards().is_none() {
            return Err(ViewError::Number("Max-Forwards").into());
        }
        self.headers.contacts()?;
        for name in ["Route", "Record-Route"] {
            for text in self.headers.list(name) {
                NameAddr::parse(text).map_err(|error| ViewError::Address { name, error })?;
            }
        }
        Ok(())
    }
}

impl Length {
    /// What this and one more `Content-Length` say together.
    fn and(self, value: &str) -> Self {
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let read = value.parse().ok().filter(|_| digits).map_or(Self::Bad, Self::Is);
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
    let mut parts = line.split(' ').filter(|part| !part.is_empty());
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

fn read_status_line(line: &[u8]) -> Result<Start, WireError> {
    let line = text_of(line);
    let (version, rest) = line.split_once(' ').ok_or(WireError::BadStartLine)?;
    check_version(version)?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let status = (code.len() == 3)
        .then(|| parse_number(code))
        .flatten()
        .and_then(|code| Status::new(u16::try_from(code).ok()?))
        .ok_or(WireError::BadStatus)?;
    if has_wild_control(reason) {
        return Err(WireError::Control);
    }
    Ok(Start::Status { status, reason: reason.to_owned() })
}

/// `SIP/2.0` in any case; another number is another version, anything else is not SIP.
fn check_version(version: &str) -> Result<(), WireError> {
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
fn has_wild_control(value: &str) -> bool {
    let is_control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    if !value.bytes().any(is_control) {
        return false;
    }
    let (mut quoted, mut escaped) = (false, false);
    for byte in value.bytes() {
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
