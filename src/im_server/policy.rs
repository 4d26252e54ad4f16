//! What a request must be before it is forwarded (RFC 3261 section 16.3), and whom we believe.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::domain::{Domain, same_host};
use super::refusal::Refusal;
use crate::sip::{Headers, Hop, Request, Scheme, Status};

/// Validates a request that is to be forwarded. `mark` is its [`loop_mark`] as it came in.
pub(super) fn validate(request: &Request, mark: &str, domain: &Domain) -> Result<(), Refusal> {
    if request.max_forwards() == Some(0) {
        return Err(Status::TOO_MANY_HOPS.into());
    }
    if has_looped(request, mark, domain) {
        return Err(Status::LOOP_DETECTED.into());
    }
    let unknown: Vec<_> = request.headers.list("Proxy-Require").collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal::with(Status::BAD_EXTENSION, "Unsupported", unknown.join(", ")))
}

/// Refuses a Request-URI of a kind that leads nowhere (RFC 3261 section 16.3 item 2).
pub(super) fn validate_scheme(request: &Request) -> Result<(), Refusal> {
    match request.uri.scheme() {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => Ok(()),
        Scheme::Other => Err(Status::UNSUPPORTED_URI_SCHEME.into()),
    }
}

/// Sums up all that decides the way of a request: the second part of our branches. The same mark
/// on the way in as in a Via of ours is a loop, another one a spiral (RFC 5393 section 4.2).
pub(super) fn loop_mark(request: &Request) -> String {
    let mut hasher = DefaultHasher::new();
    request.uri.as_str().hash(&mut hasher);
    request.call_id().hash(&mut hasher);
    (request.from_tag(), request.to_tag()).hash(&mut hasher);
    request.cseq().map(|cseq| cseq.number).ok().hash(&mut hasher);
    for name in ["Route", "Proxy-Require", "Proxy-Authorization"] {
        request.headers.list(name).for_each(|value| value.hash(&mut hasher));
    }
    format!("{:016x}", hasher.finish())
}

fn has_looped(request: &Request, mark: &str, domain: &Domain) -> bool {
    let vias = request.vias().unwrap_or_default();
    vias.iter()
        .filter(|via| domain.wrote(via))
        .filter_map(|via| via.branch())
        .any(|branch| branch.rsplit_once('-').is_some_and(|(_, second)| second == mark))
}

/// Tells whether a message came from the bridge. Datagrams leave it from the port that it listens
/// on, streams from any.
pub(super) fn comes_from_home(source: &Hop, home: Option<&Hop>) -> bool {
    home.is_some_and(|home| {
        same_host(&source.host, &home.host)
            && (source.transport.is_reliable() || source.port == home.port)
    })
}

/// Tells whether a message that goes to `hop` arrives at the bridge.
pub(super) fn leads_home(hop: &Hop, home: Option<&Hop>) -> bool {
    home.is_some_and(|home| same_host(&hop.host, &home.host) && hop.port == home.port)
}

/// Takes off what only a trusted neighbour may say (RFC 3325 section 5).
pub(super) fn distrust(headers: &mut Headers) {
    for name in [ASSERTED_IDENTITY, "P-Called-Party-ID", "P-Asserted-Service"] {
        headers.remove(name);
    }
}

/// Takes off what is not for the eyes of one outside of the trust domain, where the sender wished
/// so (RFC 3325 section 7).
pub(super) fn withhold(headers: &mut Headers) {
    let private = headers
        .all("Privacy")
        .flat_map(|line| line.split([';', ',']))
        .any(|value| value.trim().eq_ignore_ascii_case("id"));
    if private {
        headers.remove(ASSERTED_IDENTITY);
    }
}

const ASSERTED_IDENTITY: &str = "P-Asserted-Identity";
