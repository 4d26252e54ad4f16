//! Answers of which nothing is kept (RFC 3261 section 8.2.7).
//!
//! A refusal costs the server no memory. Its To tag is drawn from the request, so that every
//! repetition is answered alike, and so that the ACK, which carries the same identity, shows that
//! it belongs to a refusal of ours and not to a call.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::focus::Denial;
use crate::ids::Random;
use crate::sip::{Request, Response, Status, response_to};

/// Why a request goes no further, and what its sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: Status,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn with(status: Status, name: &'static str, value: impl Into<String>) -> Self {
        Self { status, headers: vec![(name, value.into())] }
    }

    /// There is no room; the sender may come back.
    pub(super) fn overload() -> Self {
        Self::with(Status::SERVICE_UNAVAILABLE, "Retry-After", RETRY_AFTER)
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self { status: denial.status, headers: denial.headers }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self { status, headers: Vec::new() }
    }
}

/// Writes answers in the name of the server.
#[derive(Debug)]
pub(super) struct Clerk {
    secret: String,
    server_name: String,
}

impl Clerk {
    pub(super) fn new(server_name: &str, random: &mut Random) -> Self {
        Self { secret: random.token(), server_name: server_name.to_owned() }
    }

    pub(super) fn refuse(&self, request: &Request, refusal: &Refusal) -> Response {
        let mut response = self.answer(request, refusal.status);
        for (name, value) in &refusal.headers {
            response.headers.push(name, value);
        }
        response
    }

    pub(super) fn answer(&self, request: &Request, status: Status) -> Response {
        let mut response = response_to(request, status, Some(&self.tag(request)));
        if !self.server_name.is_empty() {
            response.headers.push("Server", &self.server_name);
        }
        response
    }

    /// Writes the 100, which is from hop to hop and needs no tag (RFC 3261 section 8.2.6.1).
    pub(super) fn trying(&self, request: &Request) -> Response {
        response_to(request, Status::TRYING, None)
    }

    /// Tells whether `ack` confirms an answer of ours. Branch, Call-ID, From and CSeq number of
    /// such an ACK are those of the request (section 17.1.1.3).
    pub(super) fn is_confirmed_by(&self, ack: &Request) -> bool {
        ack.to_tag().is_some_and(|tag| tag == self.tag(ack))
    }

    fn tag(&self, request: &Request) -> String {
        let mut hasher = DefaultHasher::new();
        self.secret.hash(&mut hasher);
        if let Ok(via) = request.via() {
            (via.branch(), &via.host, via.port).hash(&mut hasher);
        }
        request.call_id().hash(&mut hasher);
        request.from_tag().hash(&mut hasher);
        request.cseq().map(|cseq| cseq.number).ok().hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

/// Seconds after which a refused sender may come back: by then half of what fills the table, which
/// stays for 32 s, has left.
const RETRY_AFTER: &str = "16";
