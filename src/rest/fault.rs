//! Every error, its HTTP status and its `requestError`: the only place that picks an error status.

use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpResponse, ResponseError};
use thiserror::Error;

use super::body::{self, Negotiated};
use super::intake::Refused;
use crate::chat::Refusal;
use crate::oma::{DocumentError, Format, ReadError, RequestError};

/// Why a request is not served.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// The body cannot be read at all.
    #[error(transparent)]
    Body(#[from] ReadError),
    /// The body can be read, but it is not the document that it should be.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Another part of the request has a value that it cannot have.
    #[error("{part} is wrong: {right}")]
    Invalid {
        /// Which one.
        part: &'static str,
        /// What would be right.
        right: String,
    },
    /// Another part of the request has a value that is not among the allowed ones.
    #[error("{part} must be one of {}", allowed.join(", "))]
    NotAllowed {
        /// Which one.
        part: &'static str,
        /// The allowed values.
        allowed: &'static [&'static str],
    },
    /// The credentials are missing or wrong.
    #[error("credentials are missing or wrong")]
    Unauthorized {
        /// The challenge for `WWW-Authenticate` (RFC 9110 section 11.6.1).
        challenge: String,
    },
    /// The credentials are good, but not for this API.
    #[error("the credential is not for this API")]
    InsufficientScope {
        /// The challenge that names the scope (RFC 6750 section 3.1).
        challenge: String,
    },
    /// A rule forbids it.
    #[error("forbidden: {reason}")]
    Forbidden {
        /// Which one.
        reason: String,
    },
    /// There are more addresses than a rule permits.
    #[error("{part} holds more than {limit} addresses")]
    TooManyAddresses {
        /// The part that holds them.
        part: &'static str,
        /// How many are permitted.
        limit: usize,
    },
    /// The resource is unknown, has ended, or belongs to somebody else; no difference is shown.
    #[error("no such resource")]
    NotFound,
    /// The resource has no such method.
    #[error("the methods here are {allow}")]
    MethodNotAllowed {
        /// The methods that it has, for `Allow`.
        allow: String,
    },
    /// The client accepts none of our formats.
    #[error("responses are in application/xml or application/json")]
    NotAcceptable,
    /// The state does not permit the act.
    #[error("{state}")]
    Conflict {
        /// What is in the way.
        state: String,
    },
    /// The correlator was used before, for something else.
    #[error("the correlator {correlator} was used for another request")]
    CorrelatorReused {
        /// The correlator.
        correlator: String,
        /// Where in the request it stands.
        part: &'static str,
    },
    /// The body is too large.
    #[error("the body is too large")]
    TooLarge,
    /// The body is in none of our formats.
    #[error("requests are in application/xml, application/json or form encoding")]
    UnsupportedMediaType,
    /// The headers are too large.
    #[error("the headers are too large")]
    HeadersTooLarge,
    /// The request-target is too long.
    #[error("the request-target is too long")]
    UriTooLong,
    /// The request did not come in time.
    #[error("the request did not arrive in time")]
    TooSlow,
    /// The client has used up what it may use.
    #[error("too many requests: {what}")]
    TooManyRequests {
        /// Of what.
        what: &'static str,
        /// When to try again.
        retry_after: Duration,
    },
    /// The bridge cannot serve anybody at the moment.
    #[error("unavailable: {why}")]
    Unavailable {
        /// What is missing or full.
        why: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// Our own fault; see [`Fault::internal`].
    #[error("internal error {code}")]
    Internal {
        /// What the client and the log both show.
        code: String,
    },
}

impl Fault {
    /// Makes a fault of ours: the cause goes to the log, its code alone to the client.
    pub fn internal(cause: impl Display) -> Self {
        let code = format!("{:016x}", RandomState::new().hash_one(()));
        tracing::error!(%code, %cause, "a request met an internal error");
        Self::Internal { code }
    }

    /// Gives the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Body(ReadError::TooLarge) | Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(
                ReadError::Empty
                | ReadError::TooMany
                | ReadError::TooDeep
                | ReadError::NotUtf8
                | ReadError::DocumentType
                | ReadError::UnknownEntity(_)
                | ReadError::ForeignNamespace(_)
                | ReadError::ControlCharacter { .. }
                | ReadError::Repeated { .. }
                | ReadError::Syntax(_),
            )
            | Self::Document(_)
            | Self::Invalid { .. }
            | Self::NotAllowed { .. } => StatusCode::BAD_REQUEST,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. }
            | Self::InsufficientScope { .. }
            | Self::TooManyAddresses { .. } => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::Conflict { .. } | Self::CorrelatorReused { .. } => StatusCode::CONFLICT,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Gives the document.
    #[must_use]
    pub fn request_error(&self) -> RequestError {
        match self {
            Self::Body(error) => invalid(part_of(error), error),
            Self::Document(DocumentError::NotAllowed { part, allowed })
            | Self::NotAllowed { part, allowed } => not_allowed(part, allowed),
            Self::Document(error) => invalid(error.part(), error),
            Self::Invalid { part, .. } => invalid(part, self),
            Self::MethodNotAllowed { .. } => invalid("Request-Method", self),
            Self::NotAcceptable => invalid("Accept", self),
            Self::TooLarge => invalid("body", self),
            Self::UnsupportedMediaType => invalid("Content-Type", self),
            Self::HeadersTooLarge => invalid("headers", self),
            Self::UriTooLong => invalid("Request-URI", self),
            Self::TooSlow => invalid("request", self),
            Self::Unauthorized { .. } => service(SVC2003, &[]),
            Self::InsufficientScope { .. } => policy(POL0001, &[&self.to_string()]),
            Self::Forbidden { reason } => policy(POL0001, &[reason]),
            Self::TooManyAddresses { part, limit } => policy(POL0003, &[part, &limit.to_string()]),
            Self::NotFound => service(SVC0004, &["Request-URI"]),
            Self::Conflict { state } => policy(POL3001, &[state]),
            Self::CorrelatorReused { correlator, part } => service(SVC0005, &[correlator, part]),
            Self::TooManyRequests { what, .. } => policy(POL3002, &[what]),
            Self::Unavailable { why, .. } => service(SVC2001, &[why]),
            Self::Internal { code } => service(SVC0001, &[code]),
        }
    }

    /// Gives the response in the voice that the client understands.
    #[must_use]
    pub fn response(&self, voice: Voice) -> HttpResponse {
        let (status, error) = (self.status(), self.request_error());
        let mut response = HttpResponse::build(status);
        if let Some((name, value)) = self.header() {
            response.insert_header((name, value));
        }
        match voice {
            Voice::Document(format) => {
                response.content_type(format.media_type()).body(error.write().render(format))
            }
            Voice::Problem => {
                let title = status.canonical_reason().unwrap_or_default();
                response.content_type(body::PROBLEM).body(error.problem(status.as_u16(), title))
            }
        }
    }

    /// Gives the header that belongs to the status.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = match self {
            Self::MethodNotAllowed { allow } => (header::ALLOW, allow.clone()),
            Self::Unauthorized { challenge } | Self::InsufficientScope { challenge } => {
                (header::WWW_AUTHENTICATE, challenge.clone())
            }
            // RFC 9110 section 15.5.16.
            Self::UnsupportedMediaType => (header::ACCEPT, body::READABLE.to_owned()),
            Self::TooManyRequests { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                (header::RETRY_AFTER, whole_seconds(*retry_after).to_string())
            }
            Self::Body(_)
            | Self::Document(_)
            | Self::Invalid { .. }
            | Self::NotAllowed { .. }
            | Self::Forbidden { .. }
            | Self::TooManyAddresses { .. }
            | Self::NotFound
            | Self::NotAcceptable
            | Self::Conflict { .. }
            | Self::CorrelatorReused { .. }
            | Self::TooLarge
            | Self::HeadersTooLarge
            | Self::UriTooLong
            | Self::TooSlow
            | Self::Internal { .. } => return None,
        };
        Some((name, HeaderValue::from_str(&value).ok()?))
    }

    /// Takes an error of the HTTP library for the fault that it is.
    fn of(error: &actix_web::Error) -> Self {
        if let Some(fault) = error.as_error::<Self>() {
            return fault.clone();
        }
        if let Some(voiced) = error.as_error::<Voiced>() {
            return voiced.fault.clone();
        }
        let status = error.as_response_error().status_code();
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Self::HeadersTooLarge,
            status if status.is_client_error() => {
                Self::Invalid { part: "request", right: error.to_string() }
            }
            _ => Self::internal(error),
        }
    }
}

impl ResponseError for Fault {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.response(Voice::default())
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Malformed => {
                let right = "it must be one well-formed request of HTTP/1.1".to_owned();
                Self::Invalid { part: "request", right }
            }
            Refused::Slow => Self::TooSlow,
            Refused::LongUri => Self::UriTooLong,
            Refused::LargeHead => Self::HeadersTooLarge,
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::NoSession | Refusal::NoUser | Refusal::NoMessage | Refusal::NoParticipant => {
                Self::NotFound
            }
            Refusal::WrongState { .. } | Refusal::NotNow { .. } => Self::Conflict { state: text },
            Refusal::WrongRole { .. } | Refusal::Denied { .. } => Self::Forbidden { reason: text },
            Refusal::TooMany { limit } => Self::TooManyAddresses { part: "participant", limit },
            Refusal::Full { retry_after, .. } | Refusal::Unavailable { retry_after, .. } => {
                Self::Unavailable { why: text, retry_after }
            }
            Refusal::BadAddress { why, .. } => {
                Self::Invalid { part: "tParticipantAddress", right: why.to_owned() }
            }
        }
    }
}

/// How a fault is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// As `requestError`.
    Document(Format),
    /// As `application/problem+json` (RFC 9457).
    Problem,
}

impl Default for Voice {
    fn default() -> Self {
        Self::Document(Format::default())
    }
}

/// Tells every fault in the format that the client understands, those of the HTTP library included.
///
/// # Errors
/// Those of the service that was asked, in that format.
pub fn speak(
    outcome: Result<ServiceResponse, actix_web::Error>,
) -> Result<ServiceResponse, actix_web::Error> {
    match outcome {
        Ok(response) => {
            let Some(fault) = response.response().error().map(Fault::of) else {
                return Ok(response);
            };
            let voice = body::voice(response.request());
            let negotiated = response.request().extensions().get::<Negotiated>().copied();
            let voice = match (voice, negotiated) {
                (Voice::Document(_), Some(negotiated)) => Voice::Document(negotiated.response),
                (voice, _) => voice,
            };
            Ok(response.into_response(fault.response(voice)))
        }
        // Where even the request is gone, so is what its client understands.
        Err(error) => {
            let voice = Voice::Document(Format::default());
            Err(Voiced { fault: Fault::of(&error), voice }.into())
        }
    }
}

/// A fault with the way to tell it, for those that never became a response.
#[derive(Debug, Error)]
#[error("{fault}")]
struct Voiced {
    fault: Fault,
    voice: Voice,
}

impl ResponseError for Voiced {
    fn status_code(&self) -> StatusCode {
        self.fault.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.fault.response(self.voice)
    }
}

/// A code of the requestError document, and its text.
struct Message(&'static str, &'static str);

const SVC0001: Message = Message("SVC0001", "A service error occurred. Error code is %1");
const SVC0003: Message =
    Message("SVC0003", "Invalid input value for message part %1, valid values are %2");
const SVC0004: Message = Message("SVC0004", "No valid addresses provided in message part %1");
const SVC0005: Message =
    Message("SVC0005", "Correlator %1 specified in message part %2 is a duplicate");
const SVC2001: Message =
    Message("SVC2001", "No server resources available to process the request: %1");
const SVC2003: Message = Message("SVC2003", "Credentials are missing or wrong");
const POL0001: Message = Message("POL0001", "A policy error occurred: %1");
const POL0003: Message =
    Message("POL0003", "Too many addresses specified in message part %1, at most %2 are allowed");
const POL3001: Message = Message("POL3001", "The state does not permit the request: %1");
const POL3002: Message = Message("POL3002", "Too many requests: %1");

fn service(Message(id, text): Message, variables: &[&str]) -> RequestError {
    RequestError::service(id, text, owned(variables))
}

fn policy(Message(id, text): Message, variables: &[&str]) -> RequestError {
    RequestError::policy(id, text, owned(variables))
}

/// Complains about a part (SVC0002). What would be right stands in the text, so that the part is
/// the only variable; a percent sign in it must not look like another.
fn invalid(part: &str, why: &impl Display) -> RequestError {
    let why = why.to_string().replace('%', "percent ");
    let text = format!("Invalid input value for message part %1: {why}");
    RequestError::service("SVC0002", text, owned(&[part]))
}

/// Complains about a part that has only a few values.
fn not_allowed(part: &str, allowed: &[&str]) -> RequestError {
    service(SVC0003, &[part, &allowed.join(", ")])
}

fn owned(variables: &[&str]) -> Vec<String> {
    variables.iter().map(|variable| (*variable).to_owned()).collect()
}

/// Names the part of the body that could not be read.
fn part_of(error: &ReadError) -> &str {
    match error {
        ReadError::ControlCharacter { part } | ReadError::Repeated { part } => part,
        ReadError::Empty
        | ReadError::TooLarge
        | ReadError::TooMany
        | ReadError::TooDeep
        | ReadError::NotUtf8
        | ReadError::DocumentType
        | ReadError::UnknownEntity(_)
        | ReadError::ForeignNamespace(_)
        | ReadError::Syntax(_) => "body",
    }
}

/// Rounds up to whole seconds, at least one (RFC 9110 section 10.2.3).
fn whole_seconds(duration: Duration) -> u64 {
    let rest = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(rest).max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use actix_web::body::to_bytes;
    use actix_web::dev::Service as _;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, web};
    use futures_util::FutureExt as _;

    use super::*;
    use crate::chat::State;

    #[test]
    fn every_fault_has_its_row() {
        let soon = Duration::from_millis(1500);
        let rows = [
            (Fault::Body(ReadError::Empty), 400, "SVC0002", vec!["body"], None),
            (repeated("status"), 400, "SVC0002", vec!["status"], None),
            (Fault::Body(ReadError::TooLarge), 413, "SVC0002", vec!["body"], None),
            (missing("subject"), 400, "SVC0002", vec!["subject"], None),
            (not_allowed_status(), 400, "SVC0003", vec!["status", "a, b"], None),
            (unauthorized(), 401, "SVC2003", vec![], Some(("www-authenticate", "Basic"))),
            (Fault::Forbidden { reason: "no".into() }, 403, "POL0001", vec!["no"], None),
            (too_many_addresses(), 403, "POL0003", vec!["participant", "9"], None),
            (Fault::NotFound, 404, "SVC0004", vec!["Request-URI"], None),
            (method(), 405, "SVC0002", vec!["Request-Method"], Some(("allow", "GET, POST"))),
            (Fault::NotAcceptable, 406, "SVC0002", vec!["Accept"], None),
            (Fault::Conflict { state: "x".into() }, 409, "POL3001", vec!["x"], None),
            (reused("c"), 409, "SVC0005", vec!["c", "clientCorrelator"], None),
            (Fault::TooLarge, 413, "SVC0002", vec!["body"], None),
            (
                Fault::UnsupportedMediaType,
                415,
                "SVC0002",
                vec!["Content-Type"],
                Some(("accept", body::READABLE)),
            ),
            (busy(soon), 429, "POL3002", vec!["polls"], Some(("retry-after", "2"))),
            (Fault::HeadersTooLarge, 431, "SVC0002", vec!["headers"], None),
            (Fault::UriTooLong, 414, "SVC0002", vec!["Request-URI"], None),
            (Fault::TooSlow, 408, "SVC0002", vec!["request"], None),
            (
                Fault::InsufficientScope { challenge: "Bearer".into() },
                403,
                "POL0001",
                vec!["the credential is not for this API"],
                Some(("www-authenticate", "Bearer")),
            ),
            (Fault::Internal { code: "7".into() }, 500, "SVC0001", vec!["7"], None),
            (draining(), 503, "SVC2001", vec!["draining"], Some(("retry-after", "1"))),
        ];
        for (fault, status, id, variables, header) in rows {
            let (error, response) = (fault.request_error(), fault.error_response());
            assert_eq!(response.status().as_u16(), status, "{fault:?}");
            assert_eq!((error.message_id, &error.variables), (id, &owned(&variables)));
            if let Some((name, value)) = header {
                assert_eq!(response.headers().get(name).unwrap(), value, "{fault:?}");
            }
        }
    }

    #[test]
    fn refusals_become_faults() {
        let (act, state) = ("accepting", State::Connected);
        let state = Fault::from(Refusal::WrongState { act, state });
        let text = "the session is Connected: accepting is not possible";
        assert_eq!(state, Fault::Conflict { state: text.into() });
        assert_eq!(Fault::from(Refusal::NoMessage), Fault::NotFound);
        let role = Refusal::WrongRole { act, wanted: "terminating participant" };
        assert_eq!(Fault::from(role).status(), StatusCode::FORBIDDEN);
        let retry_after = Duration::from_secs(3);
        let full = Fault::from(Refusal::Full { what: "the queue", retry_after });
        assert_eq!(full, Fault::Unavailable { why: "the queue is full".into(), retry_after });
        let bad = Refusal::BadAddress { address: "acr:x".into(), why: "no route" };
        assert_eq!(Fault::from(bad).request_error().variables, ["tParticipantAddress"]);
    }

    #[tokio::test]
    async fn a_fault_speaks_the_format_of_its_client() {
        assert_eq!(
            told("/fault", &[]).await,
            (
                404,
                "application/xml".to_owned(),
                concat!(
                    r#"<?xml version="1.0" encoding="UTF-8"?>"#,
                    r#"<common:requestError xmlns:common="urn:oma:xml:rest:netapi:common:1">"#,
                    "<serviceException><messageId>SVC0004</messageId>",
                    "<text>No valid addresses provided in message part %1</text>",
                    "<variables>Request-URI</variables></serviceException></common:requestError>"
                )
                .to_owned()
            )
        );
        let json = concat!(
            r#"{"requestError":{"serviceException":{"messageId":"SVC0004","#,
            r#""text":"No valid addresses provided in message part %1","#,
            r#""variables":["Request-URI"]}}}"#
        );
        let in_json = (404, "application/json".to_owned(), json.to_owned());
        assert_eq!(told("/fault", &[("accept", "application/json")]).await, in_json);
        assert_eq!(told("/fault?resFormat=JSON", &[]).await, in_json);
        assert_eq!(told("/fault", &[("content-type", "application/json")]).await, in_json);
        let problem = concat!(
            r#"{"type":"about:blank","title":"Not Found","status":404,"#,
            r#""detail":"No valid addresses provided in message part Request-URI","#,
            r#""code":"SVC0004"}"#
        );
        let accept = ("accept", "application/json, application/problem+json");
        assert_eq!(
            told("/fault", &[accept]).await,
            (404, "application/problem+json".to_owned(), problem.to_owned())
        );
    }

    #[tokio::test]
    async fn errors_of_the_library_are_told_too() {
        let (status, media_type, body) = told("/payload", &[("accept", "application/json")]).await;
        assert_eq!((status, media_type.as_str()), (413, "application/json"));
        assert!(body.contains(r#""variables":["body"]"#), "{body}");
        let (status, _, body) = told("/broken", &[]).await;
        assert_eq!(status, 500);
        assert!(body.contains("SVC0001") && !body.contains("secret"), "{body}");
    }

    async fn told(path: &str, headers: &[(&'static str, &'static str)]) -> (u16, String, String) {
        let app = App::new()
            .wrap_fn(|request, service| service.call(request).map(speak))
            .route("/fault", web::get().to(async || Err::<HttpResponse, _>(Fault::NotFound)))
            .route(
                "/payload",
                web::get()
                    .to(async || Err::<HttpResponse, _>(actix_web::error::PayloadError::Overflow)),
            )
            .route(
                "/broken",
                web::get().to(async || {
                    Err::<HttpResponse, _>(actix_web::error::ErrorInternalServerError("secret"))
                }),
            );
        let app = init_service(app).await;
        let mut request = TestRequest::get().uri(path);
        for header in headers {
            request = request.insert_header(*header);
        }
        let response = call_service(&app, request.to_request()).await;
        let media_type = response.headers().get("content-type").unwrap().to_str().unwrap();
        let (status, media_type) = (response.status().as_u16(), media_type.to_owned());
        let body = to_bytes(response.into_body()).await.unwrap();
        (status, media_type, String::from_utf8(body.to_vec()).unwrap())
    }

    fn repeated(part: &str) -> Fault {
        Fault::Body(ReadError::Repeated { part: part.into() })
    }

    fn missing(part: &'static str) -> Fault {
        Fault::Document(DocumentError::Missing { part })
    }

    fn not_allowed_status() -> Fault {
        Fault::Document(DocumentError::NotAllowed { part: "status", allowed: &["a", "b"] })
    }

    fn unauthorized() -> Fault {
        Fault::Unauthorized { challenge: "Basic".into() }
    }

    fn too_many_addresses() -> Fault {
        Fault::TooManyAddresses { part: "participant", limit: 9 }
    }

    fn method() -> Fault {
        Fault::MethodNotAllowed { allow: "GET, POST".into() }
    }

    fn reused(correlator: &str) -> Fault {
        Fault::CorrelatorReused { correlator: correlator.into(), part: "clientCorrelator" }
    }

    fn busy(retry_after: Duration) -> Fault {
        Fault::TooManyRequests { what: "polls", retry_after }
    }

    fn draining() -> Fault {
        Fault::Unavailable { why: "draining".into(), retry_after: Duration::ZERO }
    }
}
