//! The door: to which usage a message belongs, and what is answered where it belongs to none.
//!
//! Whatever the usage, it is found by the Call-ID and one tag. A NOTIFY that comes before the 2xx to
//! its SUBSCRIBE has our tag already, and is found as if its dialog stood.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::sip::grammar::{split_outside, trimmed};
use crate::sip::header_name::Known;
use crate::sip::{Headers, Local, Message, Method, Request, Response, Scheme, Status, response_to};

/// The name by which a usage is found: the Call-ID and one tag, of the side that [`Route`] tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialogKey {
    /// The Call-ID.
    pub call_id: String,
    /// The tag.
    pub tag: String,
}

/// Where a message belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// A response: the tag is that of From, ours.
    Response(DialogKey),
    /// A request within a dialog: the tag is that of To, ours.
    InDialog(DialogKey),
    /// A request outside of a dialog: the tag is that of From, theirs. New, or a repetition, or a
    /// CANCEL.
    Initial(DialogKey),
    /// Call-ID or From are missing or cannot be read.
    Malformed,
}

/// Tells where `message` belongs.
#[must_use]
pub fn route(message: &Message) -> Route {
    match message {
        Message::Response(response) => match (response.call_id(), response.from_tag()) {
            (Some(call_id), Some(tag)) => Route::Response(key(call_id, tag)),
            (_, _) => Route::Malformed,
        },
        Message::Request(request) => {
            let from = request.headers.check_address(Known::From);
            match (request.call_id(), from, request.to_tag()) {
                (Some(call_id), Ok(()), Some(tag)) => Route::InDialog(key(call_id, tag)),
                // A peer from before RFC 3261 may have no tag (section 12.1.1).
                (Some(call_id), Ok(()), None) => {
                    Route::Initial(key(call_id, request.from_tag().unwrap_or_default()))
                }
                (_, _, _) => Route::Malformed,
            }
        }
    }
}

/// Gives the answer to a request that no usage wants, without keeping any state (RFC 3261 section
/// 8.2.7): whatever the repetition, it is the same. An ACK is never answered.
///
/// The order is that of section 8.2: the dialog, the method, the Request-URI, what is required, and
/// at last whoever is meant.
#[must_use]
pub fn stray(request: &Request, local: &Local) -> Option<Response> {
    if request.method == Method::Ack {
        return None;
    }
    let tag = stateless_tag(request);
    if request.to_tag().is_some() {
        return Some(response_to(request, Status::CALL_DOES_NOT_EXIST, Some(&tag)));
    }
    let status = match request.method {
        Method::Options => Status::OK,
        Method::Invite => Status::NOT_FOUND,
        Method::Subscribe => Status::BAD_EVENT,
        // Nothing but a usage of ours could have wanted these.
        Method::Cancel | Method::Bye | Method::Update | Method::Prack | Method::Notify => {
            Status::CALL_DOES_NOT_EXIST
        }
        Method::Ack
        | Method::Register
        | Method::Refer
        | Method::Message
        | Method::Info
        | Method::Publish => Status::METHOD_NOT_ALLOWED,
        Method::Other(_) => Status::NOT_IMPLEMENTED,
    };
    let mut answer = response_to(request, status, Some(&tag));
    match status {
        Status::METHOD_NOT_ALLOWED | Status::NOT_IMPLEMENTED => {
            answer.headers.push("Allow", &local.allow);
            return Some(answer);
        }
        Status::BAD_EVENT if !local.events.is_empty() => {
            answer.headers.push("Allow-Events", &local.events.join(", "));
        }
        _ => {}
    }
    if request.method != Method::Cancel
        && let Some(objection) = objection(request, &local.supported, &tag)
    {
        return Some(objection);
    }
    if status == Status::OK {
        let user = request.uri.user_unescaped();
        let came_over = request.via().ok().and_then(|via| via.transport.known());
        let security = (came_over.unwrap_or(local.hop.transport), request.uri.is_secure());
        let contact = local.write_contact(security, user.as_deref(), &local.contact_params);
        answer = answer_options(answer, local, &contact);
    }
    Some(answer)
}

/// Answers a request of which nothing is remembered: with a tag that is the same for every
/// repetition.
#[must_use]
pub fn answer_stateless(request: &Request, status: Status) -> Response {
    response_to(request, status, Some(&stateless_tag(request)))
}

/// Accepts a request outside of any dialog, without keeping any state: for what may be done twice
/// as well as once. What no method escapes, it is refused with, too.
#[must_use]
pub fn accept_stateless(request: &Request, local: &Local) -> Response {
    let tag = stateless_tag(request);
    let refusal = objection(request, &local.supported, &tag);
    refusal.unwrap_or_else(|| response_to(request, Status::OK, Some(&tag)))
}

/// Says in the answer to an OPTIONS what we can do (RFC 3261 section 11.2).
pub(super) fn answer_options(mut answer: Response, local: &Local, contact: &str) -> Response {
    answer.headers.push("Contact", contact);
    local.push_abilities(&mut answer.headers);
    answer.headers.push("Accept", ACCEPT);
    answer
}

/// Gives the refusal of a request outside of any dialog, whatever its method: 416 for an address
/// that cannot be ours, 420 for an option outside of `supported`, 415 for a body in a coding that
/// we cannot undo (section 8.2).
pub(super) fn objection(request: &Request, supported: &[String], to_tag: &str) -> Option<Response> {
    if request.uri.scheme() == Scheme::Other {
        return Some(response_to(request, Status::UNSUPPORTED_URI_SCHEME, Some(to_tag)));
    }
    if let Some(refusal) = unsupported(request, supported, to_tag) {
        return Some(refusal);
    }
    let mut codings = request.headers.list("Content-Encoding");
    if !request.body.is_empty() && codings.any(|coding| !coding.eq_ignore_ascii_case(IDENTITY)) {
        let status = Status::UNSUPPORTED_MEDIA_TYPE;
        let mut refusal = response_to(request, status, Some(to_tag));
        refusal.headers.push("Accept", ACCEPT);
        refusal.headers.push("Accept-Encoding", IDENTITY);
        return Some(refusal);
    }
    None
}

/// Gives the 420 for a request that requires an option outside of `supported` (section 8.2.2.3).
pub(super) fn unsupported(
    request: &Request,
    supported: &[String],
    to_tag: &str,
) -> Option<Response> {
    let known = |option: &str| supported.iter().any(|known| known.eq_ignore_ascii_case(option));
    let unknown: Vec<_> = request.headers.list("Require").filter(|option| !known(option)).collect();
    if unknown.is_empty() {
        return None;
    }
    let mut answer = response_to(request, Status::BAD_EXTENSION, Some(to_tag));
    answer.headers.push("Unsupported", &unknown.join(", "));
    Some(answer)
}

/// Gives the 415 for an offer in a type that a leg does not understand but must (section 8.2.3).
pub(super) fn unreadable(request: &Request, to_tag: &str) -> Option<Response> {
    let content_type = request.content_type().unwrap_or("application/sdp").to_ascii_lowercase();
    let media_type = trimmed(content_type.split(';').next().unwrap_or_default());
    let is_read = media_type == "application/sdp" || media_type.starts_with("multipart/");
    if request.body.is_empty() || is_read || is_optional(&request.headers) {
        return None;
    }
    let mut refusal = response_to(request, Status::UNSUPPORTED_MEDIA_TYPE, Some(to_tag));
    refusal.headers.push("Accept", ACCEPT);
    Some(refusal)
}

/// Whether a body may be passed over (section 20.11).
fn is_optional(headers: &Headers) -> bool {
    let disposition = headers.get("Content-Disposition").unwrap_or_default();
    split_outside(disposition, b';').any(|param| {
        param.split_once('=').is_some_and(|(name, value)| {
            trimmed(name).eq_ignore_ascii_case("handling")
                && trimmed(value).eq_ignore_ascii_case("optional")
        })
    })
}

/// The methods that a leg understands of itself; whoever understands more adds it in
/// [`Local::allow`].
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, NOTIFY";

/// The bodies that a leg understands.
pub(super) const ACCEPT: &str = "application/sdp, multipart/mixed";

/// The coding of what is not coded (section 20.2).
const IDENTITY: &str = "identity";

fn key(call_id: &str, tag: String) -> DialogKey {
    DialogKey { call_id: call_id.to_owned(), tag }
}

/// Draws the tag from the request itself, so that a repetition is answered with the same tag
/// (section 8.2.7). Nothing is ever found by it, hence it needs not be hard to guess.
fn stateless_tag(request: &Request) -> String {
    let mut hasher = DefaultHasher::new();
    for name in ["Via", "From", "Call-ID", "CSeq"] {
        request.headers.get(name).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;

    use super::*;
    use crate::sip::transaction::sample::{request, response};

    #[test]
    fn an_offer_that_nobody_understands_is_refused_unless_it_may_be_passed_over() {
        let judged = |headers: &[(&str, &str)]| {
            let mut invite = request("INVITE");
            invite.body = Bytes::from_static(b"x");
            headers.iter().for_each(|(name, value)| invite.headers.set(name, value));
            let refusal = unreadable(&invite, "b");
            refusal.map(|refusal| (refusal.status.code(), refusal.headers.has("Accept")))
        };
        for lawful in ["application/sdp", "Application/SDP ;x=y", "multipart/mixed;boundary=b"] {
            assert_eq!(judged(&[("Content-Type", lawful)]), None, "{lawful}");
        }
        let odd = ("Content-Type", "application/unknownformat");
        assert_eq!(judged(&[odd]), Some((415, true)));
        assert_eq!(judged(&[odd, ("Content-Disposition", "x;Handling = optional")]), None);
        let mut empty = request("INVITE");
        empty.headers.set("Content-Type", "text/plain");
        assert_eq!(unreadable(&empty, "b"), None);
    }

    #[test]
    fn messages_are_found_by_our_tag_and_new_ones_by_theirs() {
        let named = |tag: &str| key("one@a.example", tag.to_owned());
        let ours = Message::Response(response(200, "INVITE"));
        assert_eq!(route(&ours), Route::Response(named("a")));
        for method in ["INVITE", "CANCEL", "ACK"] {
            let initial = Message::Request(request(method));
            assert_eq!(route(&initial), Route::Initial(named("a")));
        }
        assert_eq!(route(&Message::Request(within("BYE"))), Route::InDialog(named("b")));
    }

    #[test]
    fn messages_without_a_name_are_malformed() {
        let mut nameless = request("INVITE");
        nameless.headers.remove("Call-ID");
        assert_eq!(route(&Message::Request(nameless)), Route::Malformed);
        let mut nobody = request("INVITE");
        nobody.headers.remove("From");
        assert_eq!(route(&Message::Request(nobody)), Route::Malformed);
        let mut untagged = response(200, "INVITE");
        untagged.headers.set("From", "<sip:alice@a.example>");
        assert_eq!(route(&Message::Response(untagged)), Route::Malformed);
    }

    #[test]
    fn what_nobody_wants_is_answered_by_its_method() {
        for (method, expected) in [
            ("ACK", None),
            ("OPTIONS", Some(200)),
            ("MESSAGE", Some(405)),
            ("REGISTER", Some(405)),
            ("REFER", Some(405)),
            ("INFO", Some(405)),
            ("PUBLISH", Some(405)),
            ("SUBSCRIBE", Some(489)),
            ("NOTIFY", Some(481)),
            ("BYE", Some(481)),
            ("CANCEL", Some(481)),
            ("INVITE", Some(404)),
            ("DANCE", Some(501)),
        ] {
            assert_eq!(code(&request(method)), expected, "{method}");
        }
        assert_eq!(code(&within("ACK")), None);
        for method in ["BYE", "OPTIONS", "INVITE", "NOTIFY", "MESSAGE", "DANCE"] {
            assert_eq!(code(&within(method)), Some(481), "{method}");
        }
    }

    #[test]
    fn a_refused_method_learns_the_allowed_ones_and_a_refused_event_the_served_ones() {
        for method in ["MESSAGE", "DANCE", "OPTIONS"] {
            let answer = answer(&request(method)).unwrap();
            assert_eq!(answer.headers.get("Allow"), Some(ALLOW), "{method}");
        }
        let mut local = local();
        local.events = vec!["conference".to_owned(), "refer".to_owned()];
        let refused = stray(&request("SUBSCRIBE"), &local).unwrap();
        assert_eq!(refused.headers.get("Allow-Events"), Some("conference, refer"));
        assert!(!answer(&request("SUBSCRIBE")).unwrap().headers.has("Allow-Events"));
    }

    #[test]
    fn who_asks_is_told_all_that_we_can_do() {
        let mut local = local();
        local.contact_params = ";+g.oma.sip-im".to_owned();
        let answer = stray(&request("OPTIONS"), &local).unwrap();
        for (name, value) in [
            ("Contact", "<sip:bob@192.0.2.1:5060>;+g.oma.sip-im"),
            ("Allow", ALLOW),
            ("Supported", "100rel, timer"),
            ("Accept", "application/sdp, multipart/mixed"),
        ] {
            assert_eq!(answer.headers.get(name), Some(value));
        }
    }

    #[test]
    fn an_address_that_cannot_be_ours_is_no_address() {
        for (uri, expected) in
            [("urn:service:sos", 416), ("nobodyKnowsThisScheme:x", 416), ("tel:+1202", 200)]
        {
            let mut options = request("OPTIONS");
            options.uri = crate::sip::Uri::parse(uri).unwrap();
            assert_eq!(code(&options), Some(expected), "{uri}");
        }
        let mut unknown = request("DANCE");
        unknown.uri = crate::sip::Uri::parse("urn:x:y").unwrap();
        assert_eq!(code(&unknown), Some(501), "the method comes first");
    }

    #[test]
    fn a_coding_that_nobody_can_undo_is_refused() {
        let mut invite = request("INVITE");
        invite.headers.push("Content-Encoding", "gzip");
        assert_eq!(code(&invite), Some(404), "there is nothing to undo");
        invite.body = Bytes::from_static(b"x");
        let refusal = answer(&invite).unwrap();
        assert_eq!(refusal.status, Status::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(refusal.headers.get("Accept-Encoding"), Some("identity"));
        invite.headers.set("e", "Identity");
        assert_eq!(code(&invite), Some(404));
    }

    #[test]
    fn a_required_option_that_nobody_knows_is_named() {
        let mut options = request("OPTIONS");
        options.headers.push("Require", "a, b");
        options.headers.push("Require", "c");
        let refusal = answer(&options).unwrap();
        assert_eq!(refusal.status, Status::BAD_EXTENSION);
        assert_eq!(refusal.headers.get("Unsupported"), Some("a, b, c"));
        options.headers.set("Require", "timer");
        assert_eq!(code(&options), Some(200));
        let mut cancel = request("CANCEL");
        cancel.headers.push("Require", "a");
        assert_eq!(code(&cancel), Some(481));
    }

    #[test]
    fn what_may_be_done_twice_is_accepted_without_state() {
        let mut message = request("MESSAGE");
        let accepted = accept_stateless(&message, &local());
        assert_eq!((accepted.status, accepted.to_tag().is_some()), (Status::OK, true));
        assert!(!accepted.headers.has("Contact"), "RFC 3428 section 7");
        assert_eq!(accepted.encode(), accept_stateless(&message, &local()).encode());
        message.headers.push("Require", "magic");
        assert_eq!(accept_stateless(&message, &local()).status, Status::BAD_EXTENSION);
    }

    #[test]
    fn a_repetition_gets_the_same_answer_and_another_request_another_tag() {
        for method in ["OPTIONS", "MESSAGE", "SUBSCRIBE", "INVITE"] {
            let options = request(method);
            assert_eq!(answer(&options).unwrap().encode(), answer(&options).unwrap().encode());
        }
        let tag = |request: &Request| answer(request).and_then(|answer| answer.to_tag());
        assert_ne!(tag(&request("OPTIONS")), tag(&request("MESSAGE")));
        assert_eq!(tag(&within("BYE")), Some("b".to_owned()));
    }

    fn local() -> Local {
        Local::new(crate::sip::Hop::new(crate::sip::Transport::Udp, "192.0.2.1", 5060), "bridge/1")
    }

    fn answer(request: &Request) -> Option<Response> {
        stray(request, &local())
    }

    fn code(request: &Request) -> Option<u16> {
        answer(request).map(|answer| answer.status.code())
    }

    fn within(method: &str) -> Request {
        let mut request = request(method);
        request.headers.set("To", "<sip:bob@b.example>;tag=b");
        request
    }
}
