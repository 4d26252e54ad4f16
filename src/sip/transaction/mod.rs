//! Transactions: one request, its repetitions and its responses (RFC 3261 section 17, RFC 6026,
//! RFC 4320).
//!
//! Four machines, two for each side. Each is an enum of its states with the diagram above it, one
//! method per event, and one last arm for whatever the state does not expect. They are sans-IO:
//! after each call, drain `poll()` until it gives `None`, and call `handle_timeout` no later than
//! at `next_timeout()`.

mod client;
mod server;

pub use client::{ClientOutput, ClientTransaction};
pub use server::{ServerOutput, ServerTransaction};

use crate::sip::header_name::Known;
use crate::sip::{BRANCH_COOKIE, Method, Request, Response};

/// What tells to which transaction a message belongs (RFC 3261 sections 17.1.3 and 17.2.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionKey(Box<str>);

impl TransactionKey {
    /// Names the client transaction of a request that we send.
    #[must_use]
    pub fn client(request: &Request) -> Self {
        Self::of_branch(request.headers.branch(), &request.method)
    }

    /// Names the client transaction that a response answers.
    #[must_use]
    pub fn of_response(response: &Response) -> Self {
        match response.cseq() {
            Ok(cseq) => Self::of_branch(response.headers.branch(), &cseq.method),
            Err(_) => Self(Box::default()),
        }
    }

    /// Names the server transaction of a request that we received; an ACK belongs to its INVITE.
    #[must_use]
    pub fn of_request(request: &Request) -> Self {
        let method = if request.method == Method::Ack { &Method::Invite } else { &request.method };
        Self::server(request, method)
    }

    /// Names the server transaction that a CANCEL is meant for (RFC 3261 section 9.2).
    #[must_use]
    pub fn cancelled_by(cancel: &Request) -> Self {
        Self::server(cancel, &Method::Invite)
    }

    fn of_branch(branch: Option<&str>, method: &Method) -> Self {
        let (branch, method) = (branch.unwrap_or_default(), method.as_str());
        Self([branch, " ", method].concat().into())
    }

    fn server(request: &Request, method: &Method) -> Self {
        let top = request.headers.sent_by().unwrap_or_default();
        let mut key = String::with_capacity(USUAL_LENGTH);
        match top.branch.filter(|branch| branch.starts_with(BRANCH_COOKIE)) {
            Some(branch) => key.push_str(branch),
            None => push_rfc_2543(&mut key, request),
        }
        key.push(' ');
        key.extend(top.host.chars().map(|letter| letter.to_ascii_lowercase()));
        key.push(':');
        if let Some(port) = top.port {
            key.push_str(&port.to_string());
        }
        key.push(' ');
        key.push_str(method.as_str());
        Self(key.into())
    }
}

/// Peers from before RFC 3261 choose no unique branch; there the whole request is the name.
fn push_rfc_2543(key: &mut String, request: &Request) {
    let call_id = request.call_id().unwrap_or_default();
    let from_tag = request.headers.tag(Known::From).unwrap_or_default();
    let number = request.cseq().map_or(0, |cseq| cseq.number);
    key.push_str(&format!("{call_id} {from_tag} {number} {}", request.uri));
}

/// A little more than most keys have.
const USUAL_LENGTH: usize = 80;

#[cfg(test)]
mod tests {
    use super::sample::{request, response};
    use super::*;

    #[test]
    fn an_ack_and_a_cancel_find_the_invite() {
        let invite = TransactionKey::of_request(&request("INVITE"));
        assert_eq!(TransactionKey::of_request(&request("ACK")), invite);
        assert_eq!(TransactionKey::cancelled_by(&request("CANCEL")), invite);
        assert_ne!(TransactionKey::of_request(&request("CANCEL")), invite);
    }

    #[test]
    fn a_response_is_matched_by_branch_and_method() {
        let invite = TransactionKey::client(&request("INVITE"));
        assert_eq!(TransactionKey::of_response(&response(200, "INVITE")), invite);
        assert_ne!(TransactionKey::of_response(&response(200, "CANCEL")), invite);
    }

    #[test]
    fn the_same_branch_of_another_client_is_another_transaction() {
        let ours = request("INVITE");
        let mut theirs = ours.clone();
        theirs.headers.set("Via", "SIP/2.0/UDP evil.example:5060;branch=z9hG4bK1");
        assert_ne!(TransactionKey::of_request(&ours), TransactionKey::of_request(&theirs));
    }

    #[test]
    fn without_the_cookie_the_whole_request_is_the_name() {
        let mut old = request("INVITE");
        old.headers.set("Via", "SIP/2.0/UDP a.example:5060;branch=1");
        let mut ack = request("ACK");
        ack.headers.set("Via", "SIP/2.0/UDP a.example:5060;branch=1");
        let mut next = old.clone();
        next.headers.set("CSeq", "2 INVITE");
        assert_eq!(TransactionKey::of_request(&old), TransactionKey::of_request(&ack));
        assert_ne!(TransactionKey::of_request(&old), TransactionKey::of_request(&next));
    }
}

#[cfg(test)]
pub(super) mod sample {
    //! Messages for the tests of this folder.
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;

    use crate::sip::{
        Decoded, Hop, Message, Request, Response, Status, Transport, WireLimits, decode_datagram,
        response_to,
    };

    /// Reads a message written without `\r`, indented at will.
    pub(crate) fn message(text: &str) -> Message {
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        let bytes = Bytes::from(lines.join("\r\n"));
        let decoded = decode_datagram(bytes, &WireLimits::default());
        let Decoded::Message(message) = decoded else {
            panic!(
                "{decoded:?}
{text}"
            )
        };
        message
    }

    /// A request from alice at `a.example` to bob at `b.example`.
    pub(crate) fn request(method: &str) -> Request {
        let text = format!(
            "{method} sip:bob@b.example SIP/2.0
            Via: SIP/2.0/UDP a.example:5060;branch=z9hG4bK1
            Max-Forwards: 70
            Route: <sip:p1.example;lr>, <sip:p2.example;lr>
            From: Alice <sip:alice@a.example>;tag=a
            To: <sip:bob@b.example>
            Call-ID: one@a.example
            CSeq: 1 {method}
            Contact: <sip:alice@a.example:5060>
            Content-Length: 0

            "
        );
        match message(&text) {
            Message::Request(request) => request,
            Message::Response(_) => panic!("{text}"),
        }
    }

    /// Bob's response to that request.
    pub(crate) fn response(code: u16, method: &str) -> Response {
        response_to(&request(method), Status::new(code).unwrap(), Some("b"))
    }

    pub(crate) fn hop(transport: Transport) -> Hop {
        Hop::new(transport, "192.0.2.2", 5060)
    }

    /// The first line of what is sent, without the version.
    pub(crate) fn first_line(bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        let line = text.lines().next().unwrap();
        line.replace(" SIP/2.0", "").replace("SIP/2.0 ", "")
    }
}
