//! The door: to which leg a message belongs, and what is answered where it belongs to none.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::sip::{Message, Method, Request, Response, Status, response_to};

/// The name by which a leg is found: the Call-ID and one tag, of the side that [`Route`] tells.
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
        Message::Request(request) => match (request.call_id(), request.from(), request.to_tag()) {
            (Some(call_id), Ok(_), Some(tag)) => Route::InDialog(key(call_id, tag)),
            // A peer from before RFC 3261 may have no tag (section 12.1.1).
            (Some(call_id), Ok(from), None) => {
                Route::Initial(key(call_id, from.tag().unwrap_or_default().to_owned()))
            }
            (_, _, _) => Route::Malformed,
        },
    }
}

/// Gives the answer to a request that no leg wants, without keeping any state (RFC 3261 section
/// 8.2.7). An ACK is never answered.
#[must_use]
pub fn stray(request: &Request) -> Option<Response> {
    if request.method == Method::Ack {
        return None;
    }
    if request.to_tag().is_some() {
        return Some(stateless(request, Status::CALL_DOES_NOT_EXIST));
    }
    if request.method != Method::Cancel
        && let Some(answer) = unsupported(request, &[], &stateless_tag(request))
    {
        return Some(answer);
    }
    let status = match request.method {
        Method::Options => Status::OK,
        Method::Invite => Status::NOT_FOUND,
        Method::Ack
        | Method::Cancel
        | Method::Bye
        | Method::Update
        | Method::Prack
        | Method::Notify => Status::CALL_DOES_NOT_EXIST,
        Method::Subscribe | Method::Publish => Status::BAD_EVENT,
        Method::Register | Method::Refer | Method::Message | Method::Info => {
            Status::METHOD_NOT_ALLOWED
        }
        Method::Other(_) => Status::NOT_IMPLEMENTED,
    };
    let mut answer = stateless(request, status);
    if matches!(status, Status::OK | Status::METHOD_NOT_ALLOWED | Status::NOT_IMPLEMENTED) {
        answer.headers.push("Allow", ALLOW);
    }
    if status == Status::OK {
        answer.headers.push("Accept", ACCEPT);
    }
    Some(answer)
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

/// The methods that a leg understands.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK";

/// The bodies that a leg understands.
pub(super) const ACCEPT: &str = "application/sdp, multipart/mixed";

fn key(call_id: &str, tag: String) -> DialogKey {
    DialogKey { call_id: call_id.to_owned(), tag }
}

fn stateless(request: &Request, status: Status) -> Response {
    response_to(request, status, Some(&stateless_tag(request)))
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
    use super::*;
    use crate::sip::transaction::sample::{request, response};

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
        let code = |request: &Request| stray(request).map(|answer| answer.status.code());
        for (method, expected) in [
            ("ACK", None),
            ("OPTIONS", Some(200)),
            ("MESSAGE", Some(405)),
            ("REGISTER", Some(405)),
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
        for method in ["BYE", "OPTIONS", "INVITE", "DANCE"] {
            assert_eq!(code(&within(method)), Some(481), "{method}");
        }
    }

    #[test]
    fn a_refused_method_learns_the_allowed_ones() {
        for method in ["MESSAGE", "DANCE", "OPTIONS"] {
            let answer = stray(&request(method));
            let allow = answer.as_ref().and_then(|answer| answer.headers.get("Allow"));
            assert_eq!(allow, Some(ALLOW), "{method}");
        }
    }

    #[test]
    fn a_required_option_that_nobody_knows_is_named() {
        let mut options = request("OPTIONS");
        options.headers.push("Require", "a, b");
        options.headers.push("Require", "c");
        let answer = stray(&options);
        assert_eq!(answer.as_ref().map(|answer| answer.status), Some(Status::BAD_EXTENSION));
        assert_eq!(answer.as_ref().and_then(|it| it.headers.get("Unsupported")), Some("a, b, c"));
        let mut cancel = request("CANCEL");
        cancel.headers.push("Require", "a");
        let answer = stray(&cancel).map(|answer| answer.status);
        assert_eq!(answer, Some(Status::CALL_DOES_NOT_EXIST));
    }

    #[test]
    fn a_repetition_gets_the_same_tag_and_another_request_another() {
        let tag = |request: &Request| stray(request).and_then(|answer| answer.to_tag());
        let options = request("OPTIONS");
        assert!(tag(&options).is_some());
        assert_eq!(tag(&options), tag(&options));
        assert_ne!(tag(&options), tag(&request("MESSAGE")));
        assert_eq!(tag(&within("BYE")), Some("b".to_owned()));
    }

    fn within(method: &str) -> Request {
        let mut request = request(method);
        request.headers.set("To", "<sip:bob@b.example>;tag=b");
        request
    }
}
