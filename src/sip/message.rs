//! Requests and responses as values, and how they go on the wire.

use std::borrow::Cow;
use std::io::Write as _;

use bytes::Bytes;

use super::grammar::is_token_byte;
use super::{Headers, Method, Status, Uri};

/// A request (RFC 3261 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The Request-URI.
    pub uri: Uri,
    /// The header fields.
    pub headers: Headers,
    /// The body, opaque here.
    pub body: Bytes,
}

/// A response (RFC 3261 section 7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: Status,
    /// The reason phrase, as received.
    pub reason: Cow<'static, str>,
    /// The header fields.
    pub headers: Headers,
    /// The body, opaque here.
    pub body: Bytes,
}

/// Either of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Request {
    /// The bytes for the wire; `Content-Length` is computed, all else written as it stands.
    pub fn encode(&self) -> Bytes {
        let start = self.method.as_str().len() + self.uri.as_str().len();
        let mut out = buffer(start, &self.headers, &self.body);
        out.extend(self.method.as_str().bytes().filter(|byte| is_token_byte(*byte)));
        out.push(b' ');
        out.extend_from_slice(self.uri.as_str().as_bytes());
        out.extend_from_slice(b" SIP/2.0\r\n");
        finish(out, &self.headers, &self.body)
    }
}

impl Response {
    /// A response without headers, with the RFC's reason phrase.
    pub fn new(status: Status) -> Self {
        Self { status, reason: status.reason().into(), headers: Headers::new(), body: Bytes::new() }
    }

    /// The bytes for the wire; `Content-Length` is computed, all else written as it stands.
    pub fn encode(&self) -> Bytes {
        let mut out = buffer(self.reason.len(), &self.headers, &self.body);
        // Writing into a Vec cannot fail.
        let _ = write!(out, "SIP/2.0 {} ", self.status.code());
        let is_wild = |byte: u8| matches!(byte, b'\r' | b'\n' | b'\0');
        out.extend(self.reason.bytes().map(|byte| if is_wild(byte) { b' ' } else { byte }));
        out.extend_from_slice(b"\r\n");
        finish(out, &self.headers, &self.body)
    }
}

impl Message {
    /// The bytes for the wire; `Content-Length` is computed, all else written as it stands.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Request(request) => request.encode(),
            Self::Response(response) => response.encode(),
        }
    }

    /// The header fields.
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// The header fields, to be changed.
    pub fn headers_mut(&mut self) -> &mut Headers {
        match self {
            Self::Request(request) => &mut request.headers,
            Self::Response(response) => &mut response.headers,
        }
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        match self {
            Self::Request(request) => &request.body,
            Self::Response(response) => &response.body,
        }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

/// A buffer that the whole message fits in, and hardly more: it may be kept for long. `start` is
/// the length of what differs in start lines.
fn buffer(start: usize, headers: &Headers, body: &Bytes) -> Vec<u8> {
    let lines: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    Vec::with_capacity(start + lines + body.len() + FRAME)
}

/// The bytes of the rest of a start line, of the `Content-Length` and of the empty line.
const FRAME: usize = "SIP/2.0 200 \r\nContent-Length: 65536\r\n\r\n".len();

/// Writes headers, the one true `Content-Length`, and the body.
fn finish(mut out: Vec<u8>, headers: &Headers, body: &Bytes) -> Bytes {
    for (name, value) in headers.iter().filter(|(name, _)| *name != "Content-Length") {
        for part in [name, ": ", value, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    // Writing into a Vec cannot fail.
    let _ = write!(out, "Content-Length: {}\r\n\r\n", body.len());
    out.extend_from_slice(body);
    out.into()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::sip::{Headers, Method, Request, Response, Status, Uri};

    #[test]
    fn the_length_is_that_of_the_body_and_stands_once() {
        let headers = Headers::from_iter([("l", "99"), ("X-a", "b"), ("Content-Length", "7")]);
        let uri = Uri::parse("sip:a@b").unwrap_or_else(|error| panic!("{error}"));
        let body = Bytes::from_static(b"\0\xff");
        let request = Request { method: Method::Info, uri, headers, body };
        let expected = b"INFO sip:a@b SIP/2.0\r\nX-a: b\r\nContent-Length: 2\r\n\r\n\0\xff";
        assert_eq!(request.encode(), expected.as_slice());
    }

    #[test]
    fn phrases_and_methods_cannot_break_out() {
        let mut response = Response::new(Status::OK);
        response.reason = "Fine\r\nVia: x".into();
        assert!(response.encode().starts_with(b"SIP/2.0 200 Fine  Via: x\r\nContent-Length"));
        let request = Request {
            method: Method::from("A B\r\nC"),
            uri: Uri::parse("sip:a@b").unwrap_or_else(|error| panic!("{error}")),
            headers: Headers::new(),
            body: Bytes::new(),
        };
        assert!(request.encode().starts_with(b"ABC sip:a@b SIP/2.0\r\n"));
    }
}
