//! The variables in a URL: whose resource it is, and which one.

use std::borrow::Cow;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::HOST;
use actix_web::{FromRequest, HttpRequest};
use percent_encoding::percent_decode_str;

use super::Face;
use super::fault::Fault;
use super::router;
use crate::address::Address;
use crate::chat::SessionKind;
use crate::ids::{MessageId, ParticipantId, SessionId, SubscriptionId};

/// The version of the API that its URLs name (TS Chat 5.1).
pub(super) const API_VERSION: &str = "1";

/// The user whose resources a URL leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UserPath {
    /// `{userId}`, in the spelling of the client.
    pub(super) user: Address,
    /// `{serverRoot}`: the URL in front of `/{apiVersion}`.
    pub(super) server_root: String,
}

impl UserPath {
    /// Gives `{serverRoot}/{apiVersion}/chat/{userId}`, the base of all URLs that are emitted.
    pub(super) fn base(&self) -> String {
        [&self.server_root, "/", API_VERSION, "/chat/", &self.user.path_segment()].concat()
    }
}

/// A subscription of a user.
#[derive(Debug)]
pub(super) struct SubscriptionPath {
    /// Whose.
    pub(super) of: UserPath,
    /// `{subscriptionId}`.
    pub(super) id: SubscriptionId,
}

/// A session of a user.
#[derive(Debug)]
pub(super) struct SessionPath {
    /// Whose.
    pub(super) of: UserPath,
    /// Which kind of session.
    pub(super) kind: SessionKind,
    /// `{sessionId}`.
    pub(super) id: SessionId,
}

impl SessionPath {
    /// Gives the URL of the session.
    pub(super) fn url(&self) -> String {
        [&self.of.base(), "/", self.collection(), "/", self.id.as_str()].concat()
    }

    /// Names the collection that the session stands in.
    pub(super) fn collection(&self) -> &'static str {
        match self.kind {
            SessionKind::Pair => "sessions",
            SessionKind::Group => "groupSessions",
        }
    }

    /// Names the session to the directory.
    pub(super) fn session(&self) -> (SessionKind, &SessionId) {
        (self.kind, &self.id)
    }
}

/// A participant of a group session.
#[derive(Debug)]
pub(super) struct ParticipantPath {
    /// In which session.
    pub(super) session: SessionPath,
    /// `{participantId}`.
    pub(super) id: ParticipantId,
}

/// A message of a session.
#[derive(Debug)]
pub(super) struct MessagePath {
    /// In which session.
    pub(super) session: SessionPath,
    /// `{messageId}`.
    pub(super) id: MessageId,
}

macro_rules! extract {
    ($name:ident, $request:ident => $from:expr) => {
        impl FromRequest for $name {
            type Error = Fault;
            type Future = Ready<Result<Self, Fault>>;

            fn from_request($request: &HttpRequest, _: &mut Payload) -> Self::Future {
                ready($from)
            }
        }
    };
}

extract!(UserPath, request => user_path(request));
extract!(SubscriptionPath, request => subscription_path(request));
extract!(SessionPath, request => session_path(request));
extract!(MessagePath, request => message_path(request));
extract!(ParticipantPath, request => participant_path(request));

fn user_path(request: &HttpRequest) -> Result<UserPath, Fault> {
    let named = parse_user(router::variable(request, "userId").unwrap_or_default())?;
    let user = Face::of(request)?.door.user(request, named)?;
    let server_root = server_root(request)?;
    Ok(UserPath { user, server_root })
}

fn subscription_path(request: &HttpRequest) -> Result<SubscriptionPath, Fault> {
    let id = SubscriptionId::new(variable(request, "subscriptionId")?);
    Ok(SubscriptionPath { of: user_path(request)?, id })
}

fn session_path(request: &HttpRequest) -> Result<SessionPath, Fault> {
    let id = SessionId::new(variable(request, "sessionId")?);
    // The path as it is routed, in which no user can stand for a collection.
    let template = router::template(request).unwrap_or_default();
    let kind = match template.contains("/groupSessions/") {
        true => SessionKind::Group,
        false => SessionKind::Pair,
    };
    Ok(SessionPath { of: user_path(request)?, kind, id })
}

fn participant_path(request: &HttpRequest) -> Result<ParticipantPath, Fault> {
    let id = ParticipantId::new(variable(request, "participantId")?);
    Ok(ParticipantPath { session: session_path(request)?, id })
}

fn message_path(request: &HttpRequest) -> Result<MessagePath, Fault> {
    let id = MessageId::new(variable(request, "messageId")?);
    Ok(MessagePath { session: session_path(request)?, id })
}

/// Reads the variable that holds an identifier of ours; what cannot be one names nothing.
fn variable(request: &HttpRequest, name: &str) -> Result<String, Fault> {
    decode(router::variable(request, name).unwrap_or_default())
        .filter(|id| id.len() <= MAX_ID)
        .map(Cow::into_owned)
        .ok_or(Fault::NotFound)
}

/// Reads `{userId}`; a client that escapes twice is understood as well.
fn parse_user(segment: &str) -> Result<Address, Fault> {
    let bad = |right: String| Fault::Invalid { part: "userId", right };
    let once = decode(segment).ok_or_else(|| bad("it must be UTF-8".into()))?;
    let text = if once.contains('%') && is_still_escaped(&once) {
        decode(&once).ok_or_else(|| bad("it must be UTF-8".into()))?
    } else {
        Cow::Borrowed(once.as_ref())
    };
    Address::parse(&text).map_err(|error| bad(error.to_string()))
}

/// Undoes what is left of the escapes of a segment.
///
/// The router has undone all but `%25`, `%2B` and `%2F` and put U+FFFD for what is not UTF-8; what
/// stands there now is undone to the same text as if all escapes were undone at once.
fn decode(segment: &str) -> Option<Cow<'_, str>> {
    if segment.bytes().all(|byte| byte.is_ascii() && byte != b'%') {
        return Some(Cow::Borrowed(segment));
    }
    percent_decode_str(segment)
        .decode_utf8()
        .ok()
        .filter(|text| !text.contains(char::REPLACEMENT_CHARACTER))
}

/// Tells whether `+`, `:` or `@` are escaped in a text that was unescaped once.
fn is_still_escaped(text: &str) -> bool {
    text.as_bytes()
        .windows(3)
        .any(|w| [b"%2B", b"%3A", b"%40"].iter().any(|escape| w.eq_ignore_ascii_case(*escape)))
}

/// Finds `{serverRoot}`: as configured, else as the client has addressed the server.
pub(super) fn server_root(request: &HttpRequest) -> Result<String, Fault> {
    let settings = &Face::of(request)?.settings;
    if let Some(root) = &settings.server_root {
        return Ok(root.trim_end_matches('/').to_owned());
    }
    let scheme = if settings.secure { "https://" } else { "http://" };
    Ok([scheme, host(request, &settings.host)?, &settings.base()].concat())
}

/// Reads the host and port that the request is meant for (RFC 9112 section 3.2); `own` is meant by
/// clients that need not say so.
fn host<'a>(request: &'a HttpRequest, own: &'a str) -> Result<&'a str, Fault> {
    let bad = || Fault::Invalid { part: "Host", right: "it must be a host and a port".into() };
    let authority = match (request.uri().authority(), request.headers().get(HOST)) {
        (Some(authority), _) => authority.as_str(),
        (None, Some(header)) => header.to_str().map_err(|_| bad())?,
        (None, None) => own,
    };
    let is_host =
        |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    let plausible = !authority.is_empty() && authority.len() <= MAX_HOST;
    if plausible && authority.bytes().all(is_host) { Ok(authority) } else { Err(bad()) }
}

/// The longest identifier that is looked up, in bytes.
const MAX_ID: usize = 256;

/// The longest host with its port: a domain name has at most 255 bytes.
const MAX_HOST: usize = 262;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_user_is_known_in_every_escaping() {
        for segment in [
            "tel:+19585550100",
            "tel:%2B19585550100",
            "tel%3A%2B19585550100",
            "tel%253A%252B19585550100",
            "%2B19585550100",
            "sip:%2b19585550100%40example.com",
        ] {
            assert_eq!(parse_user(segment).unwrap().key(), "tel:+19585550100", "{segment}");
        }
    }

    #[test]
    fn what_is_no_user_is_refused() {
        for segment in [
            "",
            "alice",
            "tel:0123",
            "tel:%00",
            "..%2f",
            "%ff",
            "sip:a\u{fffd}@b",
            "sip:a@b?Subject=x",
        ] {
            assert!(parse_user(segment).is_err(), "{segment}");
        }
    }

    #[test]
    fn the_base_keeps_the_spelling_of_the_client() {
        let user = parse_user("sip:%2B1@example.com;user=phone").unwrap();
        let path = UserPath { user, server_root: "http://h/exampleAPI".into() };
        assert_eq!(
            path.base(),
            "http://h/exampleAPI/1/chat/sip%3A%2B1%40example.com%3Buser%3Dphone"
        );
    }

    #[test]
    fn the_host_is_where_the_client_has_sent_the_request_unless_it_lies() {
        let host = |name: &str| {
            let request = TestRequest::default().insert_header((HOST, name)).to_http_request();
            host(&request, "own").map(str::to_owned).ok()
        };
        assert_eq!(host("example.com:8080").as_deref(), Some("example.com:8080"));
        assert_eq!(host("[2001:db8::1]").as_deref(), Some("[2001:db8::1]"));
        for name in ["", "a b", "user@host", "host/path", "host\"><x"] {
            assert_eq!(host(name), None, "{name}");
        }
        let absolute = TestRequest::with_uri("http://example.com/1").insert_header((HOST, "other"));
        assert_eq!(super::host(&absolute.to_http_request(), "own").ok(), Some("example.com"));
        let silent = TestRequest::default().to_http_request();
        assert_eq!(super::host(&silent, "own").ok(), Some("own"));
    }
}
