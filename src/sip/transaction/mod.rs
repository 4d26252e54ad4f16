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

use crate::sip::{BRANCH_COOKIE, Method, Request, Response};

/// What tells to which transaction a message belongs (RFC 3261 sections 17.1.3 and 17.2.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionKey(String);

impl TransactionKey {
    /// Names the client transaction of a request that we send.
    #[must_use]
    pub fn client(request: &Request) -> Self {
        Self::of_branch(
            request.via().ok().and_then(|via| via.branch().map(str::to_owned)),
            &request.method,
        )
    }

    /// Names the client transaction that a response answers.
    #[must_use]
    pub fn of_response(response: &Response) -> Self {
        let branch = response.via().ok().and_then(|via| via.branch().map(str::to_owned));
        match response.cseq() {
            Ok(cseq) => Self::of_branch(branch, &cseq.method),
            Err(_) => Self(String::new()),
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

    fn of_branch(branch: Option<String>, method: &Method) -> Self {
        Self(format!("{} {}", branch.unwrap_or_default(), method.as_str()))
    }

    fn server(request: &Request, method: &Method) -> Self {
        let (branch, sent_by) = match request.via() {
            Ok(via) => {
                let sent_by = (via.host.to_ascii_lowercase(), via.port);
                (via.branch().map(str::to_owned), Some(sent_by))
            }
            Err(_) => (None, None),
        };
        let (host, port) = sent_by.unwrap_or_default();
        let port = port.map(|port| port.to_string()).unwrap_or_default();
        match branch.filter(|branch| branch.starts_with(BRANCH_COOKIE)) {
            Some(branch) => Self(format!("{branch} {host}:{port} {}", method.as_str())),
            None => Self::of_rfc_2543(request, &format!("{host}:{port}"), method),
        }
    }

    /// Peers from before RFC 3261 choose no unique branch; there the whole request is the name.
    fn of_rfc_2543(request: &Request, sent_by: &str, method: &Method) -> Self {
        let call_id = request.call_id().unwrap_or_default();
        let from_tag = request.from_tag().unwrap_or_default();
        let number = request.cseq().map_or(0, |cseq| cseq.number);
        let uri = &request.uri;
        Self(format!("{call_id} {from_tag} {number} {uri} {sent_by} {}", method.as_str()))
    }
}
