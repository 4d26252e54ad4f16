//! What a request must be before it is forwarded (RFC 3261 section 16.3), and whom we believe.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::domain::{Domain, Whose, same_host};
use super::door::Sender;
use super::refusal::Refusal;
use crate::address::Address;
use crate::sip::{Headers, Hop, Method, NameAddr, Request, Scheme, Status, Uri};

/// Validates a request that is to be forwarded. `mark` is its [`loop_mark`] as it came in.
pub(super) fn validate(request: &Request, mark: &str, domain: &Domain) -> Result<(), Refusal> {
    if request.max_forwards() == Some(0) {
        return Err(Status::TOO_MANY_HOPS.into());
    }
    if has_looped(request, mark, domain) {
        return Err(Status::LOOP_DETECTED.into());
    }
    if breadth(request) == 0 {
        return Err(Status::MAX_BREADTH_EXCEEDED.into());
    }
    let unknown: Vec<_> = request.headers.list("Proxy-Require").collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal::with(Status::BAD_EXTENSION, "Unsupported", unknown.join(", ")))
}

/// Tells in how many branches a request may be under way at a time (RFC 5393 section 5.3). What is
/// no number bounds nothing, and what is more than ours neither.
pub(super) fn breadth(request: &Request) -> usize {
    let asked = request.headers.get("Max-Breadth").and_then(|text| text.parse().ok());
    asked.map_or(MAX_BREADTH, |breadth: usize| breadth.min(MAX_BREADTH))
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
/// Credentials are left out: ours leave the request on its way, and with others it has another
/// number.
pub(super) fn loop_mark(request: &Request) -> String {
    let mut hasher = DefaultHasher::new();
    request.uri.as_str().hash(&mut hasher);
    request.call_id().hash(&mut hasher);
    (request.from_tag(), request.to_tag()).hash(&mut hasher);
    request.cseq().map(|cseq| cseq.number).ok().hash(&mut hasher);
    for name in ["Route", "Proxy-Require"] {
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

/// Tells whether a message that goes to `hop` arrives at the bridge.
pub(super) fn leads_home(hop: &Hop, home: Option<&Hop>) -> bool {
    home.is_some_and(|home| same_host(&hop.host, &home.host) && hop.port == home.port)
}

/// Sends away a user who speaks in another's name. In From it may hide its own behind that of
/// nobody (RFC 3323 section 4.1.1.3), but not where it registers.
pub(super) fn check_name(
    sender: &Sender,
    request: &Request,
    domain: &Domain,
    is_room: impl Fn(&Uri) -> bool,
) -> Result<(), Refusal> {
    let user = match sender {
        Sender::User(user) => user,
        Sender::Party if names_focus_here(request, domain, is_room) => {
            return Err(Status::FORBIDDEN.into());
        }
        Sender::Party | Sender::Home | Sender::Focus | Sender::Anybody => return Ok(()),
    };
    let is_own = |address: &NameAddr| domain.whose(&address.uri) == Whose::User(user.clone());
    let from = request.from().map_err(|_| Status::BAD_REQUEST)?;
    let to = request.to().map_err(|_| Status::BAD_REQUEST)?;
    let is_honest = if request.method == Method::Register {
        is_own(&from) && is_own(&to)
    } else {
        is_own(&from) || from.uri.as_str().eq_ignore_ascii_case(ANONYMOUS)
    };
    if is_honest && !poses_as_focus(user, request, domain) {
        Ok(())
    } else {
        Err(Status::FORBIDDEN.into())
    }
}

/// Tells whether a user calls as a focus (RFC 4579 section 5.1) under the name of a user, of a room
/// or of nobody: who is called would take the first of its list for the one who invites. It compares
/// addresses by who they mean, and so do we. A user that hosts a conference has a URI of its own for
/// that, be it its own name at the machine where it is.
fn poses_as_focus(user: &Address, request: &Request, domain: &Domain) -> bool {
    let Some(contact) = focus_in(request) else { return false };
    match domain.whose_at_any_port(&contact.uri) {
        Whose::User(named) => named != *user || domain.is_name_of_user(&contact.uri),
        Whose::Server => domain.is_ours(&contact.uri),
        Whose::Foreign => false,
    }
}

/// Tells whether one of whom nothing is known but its dialog gives itself there the name of a room, of
/// a user or of nobody as a focus, or that of a room as whatever else: nobody is reached there who is
/// none. Those who have such a name do not come in by the door.
fn names_focus_here(request: &Request, domain: &Domain, is_room: impl Fn(&Uri) -> bool) -> bool {
    if target_in(request).is_some_and(|contact| is_room(&contact.uri)) {
        return true;
    }
    focus_in(request).is_some_and(|contact| match domain.whose_at_any_port(&contact.uri) {
        Whose::User(named) => named.is_anonymous() || domain.is_name_of_user(&contact.uri),
        Whose::Server => domain.is_ours(&contact.uri),
        Whose::Foreign => false,
    })
}

/// Gives the Contact of a request that makes a focus of it, or tells where a focus is now.
fn focus_in(request: &Request) -> Option<NameAddr> {
    target_in(request).filter(|contact| contact.param("isfocus").is_some())
}

/// Gives the Contact of a request that begins a dialog, or tells where its sender is now.
fn target_in(request: &Request) -> Option<NameAddr> {
    let is_target = matches!(request.method, Method::Invite | Method::Update);
    request.contact().ok().flatten().filter(|_| is_target)
}

/// Says who has sent the request to those who believe us: what an untrusted sender asserts comes
/// off, what it prefers has no effect, and what it has proved comes in (RFC 3325 section 5). The
/// bridge asserts for itself, or prefers, which we then assert (RFC 3325 section 6).
pub(super) fn introduce(headers: &mut Headers, sender: &Sender) {
    if matches!(sender, Sender::Home | Sender::Focus) {
        for (preferred, asserted) in PREFERENCES {
            if !headers.has(asserted)
                && let Some(value) = headers.get(preferred).map(str::to_owned)
            {
                headers.push(asserted, &value);
            }
        }
    } else {
        distrust(headers);
    }
    PREFERENCES.iter().for_each(|(preferred, _)| headers.remove(preferred));
    if let Sender::User(user) = sender
        && let Some(uri) = Domain::identity(user)
    {
        headers.push(ASSERTED_IDENTITY, &format!("<{uri}>"));
    }
}

/// Takes off who is said to have referred the sender, unless that is the sender itself: whoever is
/// called believes us, and would take it for the one who invites (RFC 3892 section 3). The bridge
/// and the focus may name others; within a dialog nobody has proved who it is.
pub(super) fn withdraw_referrer(headers: &mut Headers, sender: &Sender, domain: &Domain) {
    let is_proved = match sender {
        Sender::Home | Sender::Focus => true,
        Sender::User(user) => headers.list(REFERRED_BY).all(|by| {
            NameAddr::parse(by).is_ok_and(|by| domain.whose(&by.uri) == Whose::User(user.clone()))
        }),
        Sender::Party | Sender::Anybody => false,
    };
    if !is_proved {
        headers.remove(REFERRED_BY);
    }
}

/// Takes off what only a trusted neighbour may say (RFC 3325 section 5, RFC 6050 section 4.1, RFC
/// 7315 section 6).
pub(super) fn distrust(headers: &mut Headers) {
    TRUSTED_ONLY.iter().for_each(|name| headers.remove(name));
}

/// Takes off what is not for the eyes of one outside of the trust domain, where the sender wished
/// so (RFC 3325 section 7).
pub(super) fn withhold(headers: &mut Headers) {
    if is_private(headers) {
        headers.remove(ASSERTED_IDENTITY);
    }
}

/// Tells whether a sender does not want its identity to be known outside of the trust domain (RFC
/// 3325 section 9.3).
pub(super) fn is_private(headers: &Headers) -> bool {
    let values = headers.all("Privacy").flat_map(|line| line.split([';', ',']));
    values.map(str::trim).any(|value| value.eq_ignore_ascii_case("id"))
}

/// The breadth of a request that names none (RFC 5393 section 5.3.3).
const MAX_BREADTH: usize = 60;

const ASSERTED_IDENTITY: &str = "P-Asserted-Identity";

const REFERRED_BY: &str = "Referred-By";

const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

/// What a user agent prefers, and what its network makes of it.
const PREFERENCES: [(&str, &str); 2] =
    [("P-Preferred-Identity", ASSERTED_IDENTITY), ("P-Preferred-Service", "P-Asserted-Service")];

/// Headers that speak for the network.
const TRUSTED_ONLY: [&str; 9] = [
    ASSERTED_IDENTITY,
    "P-Asserted-Service",
    "P-Called-Party-ID",
    "P-Served-User",
    "P-Profile-Key",
    "P-Associated-URI",
    "P-Charging-Vector",
    "P-Charging-Function-Addresses",
    "P-Private-Network-Indication",
];
