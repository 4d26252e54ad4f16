//! Messages that we write ourselves: responses to a request, and requests from their parts.

use bytes::Bytes;

use super::header_name::{Known, Name};
use super::{Headers, Hop, Method, NameAddr, Request, Response, Status, Uri, Via};

/// The response to a request, without a body: every `Via`, `From`, `To`, `Call-ID` and `CSeq`
/// verbatim, and the tag put on a `To` that has none (RFC 3261 section 8.2.6.2). A 100 carries the
/// `Timestamp` of the request, and needs no tag.
pub fn response_to(request: &Request, status: Status, to_tag: Option<&str>) -> Response {
    let mut response = Response::new(status);
    response.headers = Headers::with_room(16, 640);
    copy_identity(&request.headers, &mut response.headers, to_tag);
    if status == Status::TRYING {
        response.headers.copy("Timestamp", &request.headers);
    }
    response
}

/// Copies what ties a response to its request.
pub(super) fn copy_identity(request: &Headers, response: &mut Headers, to_tag: Option<&str>) {
    response.copy("Via", request);
    response.copy("From", request);
    let is_untagged = request.check_address(Known::To).is_ok() && request.tag(Known::To).is_none();
    let untagged = request.get("To").filter(|_| is_untagged);
    match to_tag.zip(untagged) {
        // An address without brackets takes a header parameter just as well.
        Some((tag, to)) => response.adopt(Name::Known(Known::To), &format!("{to};tag={tag}")),
        None => response.copy("To", request),
    }
    response.copy("Call-ID", request);
    response.copy("CSeq", request);
}

/// A tag for an answer of which nothing is remembered: drawn from the request, it is the same for
/// every repetition (RFC 3261 section 8.2.7). FNV-1a over 64 bits.
pub(super) fn stateless_tag(request: &Headers) -> String {
    let identity = ["Via", "Call-ID", "CSeq", "From", "To"];
    let values = identity.iter().filter_map(|name| request.get(name));
    let hash = values.flat_map(str::bytes).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Notes in the top `Via` of a request where it came from (RFC 3261 section 18.2.1, RFC 3581).
/// The other `Via`s stay untouched.
pub fn stamp_source(request: &mut Request, source: &Hop) {
    stamp_via(&mut request.headers, source);
}

/// The same for an answer that the decoder wrote before anyone knew the source.
pub fn stamp_answer(answer: &mut Response, source: &Hop) {
    stamp_via(&mut answer.headers, source);
}

fn stamp_via(headers: &mut Headers, source: &Hop) {
    let stamped = headers.list("Via").next().map(|top| Via::stamp(top, source));
    let Some(Ok(stamped)) = stamped else { return };
    headers.take_first("Via");
    headers.push_front("Via", &stamped);
}

/// A request in the making. What is not named is not there; `Max-Forwards` is 70 until another is
/// (RFC 3261 section 8.1.1.6).
#[derive(Debug, Clone)]
#[must_use]
pub struct RequestBuilder {
    request: Request,
}

impl RequestBuilder {
    /// Begins a request.
    pub fn new(method: Method, uri: Uri) -> Self {
        let headers = Headers::from_iter([("Max-Forwards", "70")]);
        Self { request: Request { method, uri, headers, body: Bytes::new() } }
    }

    /// Puts a `Via` on top.
    pub fn via(mut self, via: &Via) -> Self {
        self.request.headers.push_front("Via", &via.to_string());
        self
    }

    /// Sets the `From`.
    pub fn from(self, from: &NameAddr) -> Self {
        self.set("From", &from.to_string())
    }

    /// Sets the `To`.
    pub fn to(self, to: &NameAddr) -> Self {
        self.set("To", &to.to_string())
    }

    /// Sets the `Call-ID`.
    pub fn call_id(self, call_id: &str) -> Self {
        self.set("Call-ID", call_id)
    }

    /// Sets the `CSeq`, with the method of the request.
    pub fn cseq(self, number: u32) -> Self {
        let value = format!("{number} {}", self.request.method);
        self.set("CSeq", &value)
    }

    /// Sets the `Contact`.
    pub fn contact(self, contact: &NameAddr) -> Self {
        self.set("Contact", &contact.to_string())
    }

    /// Adds the `Route` list, one header each.
    pub fn route<'a>(mut self, route: impl IntoIterator<Item = &'a NameAddr>) -> Self {
        for hop in route {
            self.request.headers.push("Route", &hop.to_string());
        }
        self
    }

    /// Adds any header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request.headers.push(name, value);
        self
    }

    /// Sets the body and its type.
    pub fn body(mut self, content_type: &str, body: Bytes) -> Self {
        self.request.headers.set("Content-Type", content_type);
        self.request.body = body;
        self
    }

    /// The request.
    pub fn build(self) -> Request {
        self.request
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.request.headers.set(name, value);
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;

    use super::{RequestBuilder, response_to, stamp_source};
    use crate::sip::{Hop, Method, NameAddr, Request, Status, Transport, Uri, Via};

    #[test]
    fn a_response_repeats_what_ties_it_to_its_request() {
        let response = response_to(&request(), Status::BUSY_HERE, Some("mine"));
        assert_eq!(
            text(&response.encode()),
            "SIP/2.0 486 Busy Here\r\n\
             Via: SIP/2.0/UDP a;branch=z9,  SIP/2.0/TCP b\r\n\
             Via: SIP/2.0/TLS c\r\n\
             From: \"A\"  <sip:a@a>;tag=theirs\r\n\
             To: sip:b@b;tag=mine\r\n\
             Call-ID: 1@a\r\n\
             CSeq: 7 INVITE\r\n\
             Content-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn a_tag_that_is_there_stays() {
        let mut request = request();
        request.headers.set("To", "<sip:b@b>;tag=old");
        let response = response_to(&request, Status::OK, Some("mine"));
        assert_eq!(response.to_tag().as_deref(), Some("old"));
    }

    #[test]
    fn a_trying_echoes_the_timestamp() {
        let mut request = request();
        request.headers.push("Timestamp", "54");
        let trying = response_to(&request, Status::TRYING, None);
        assert_eq!((trying.headers.get("Timestamp"), trying.to_tag()), (Some("54"), None));
        assert_eq!(response_to(&request, Status::OK, None).headers.get("Timestamp"), None);
    }

    #[test]
    fn only_the_top_via_is_stamped() {
        let mut request = request();
        stamp_source(&mut request, &Hop::new(Transport::Udp, "192.0.2.9", 5099));
        let vias: Vec<_> = request.headers.list("Via").collect();
        assert_eq!(
            vias,
            ["SIP/2.0/UDP a;branch=z9;received=192.0.2.9", "SIP/2.0/TCP b", "SIP/2.0/TLS c"]
        );
    }

    #[test]
    fn a_request_is_built_from_its_parts() {
        let address = |text: &str| NameAddr::parse(text).unwrap();
        let request = RequestBuilder::new(Method::Message, Uri::parse("sip:b@b").unwrap())
            .via(&Via::new(&Hop::new(Transport::Tcp, "::1", 5060), "z9hG4bKx"))
            .from(&address("<sip:a@a>;tag=1"))
            .to(&address("<sip:b@b>"))
            .call_id("7")
            .cseq(3)
            .route(&[address("<sip:p;lr>"), address("<sip:q;lr>")])
            .header("Subject", "a\r\nVia: evil")
            .body("text/plain", Bytes::from_static(b"hello"))
            .build();
        assert_eq!(
            text(&request.encode()),
            "MESSAGE sip:b@b SIP/2.0\r\n\
             Via: SIP/2.0/TCP [::1]:5060;branch=z9hG4bKx;rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:a@a>;tag=1\r\n\
             To: <sip:b@b>\r\n\
             Call-ID: 7\r\n\
             CSeq: 3 MESSAGE\r\n\
             Route: <sip:p;lr>\r\n\
             Route: <sip:q;lr>\r\n\
             Subject: a  Via: evil\r\n\
             Content-Type: text/plain\r\n\
             Content-Length: 5\r\n\r\nhello"
        );
    }

    fn request() -> Request {
        let mut request =
            RequestBuilder::new(Method::Invite, Uri::parse("sip:b@b").unwrap()).cseq(7).build();
        for (name, value) in [
            ("Via", "SIP/2.0/UDP a;branch=z9,  SIP/2.0/TCP b"),
            ("v", "SIP/2.0/TLS c"),
            ("From", "\"A\"  <sip:a@a>;tag=theirs"),
            ("To", "sip:b@b"),
            ("Call-ID", "1@a"),
        ] {
            request.headers.push(name, value);
        }
        request
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }
}
