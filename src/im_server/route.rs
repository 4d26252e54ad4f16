//! Where a request wants to go (RFC 3261 sections 16.4 and 16.5).

use super::domain::{Domain, SEAL, Whose};
use super::forward::Target;
use super::policy;
use super::refusal::Refusal;
use crate::address::Address;
use crate::sip::{Headers, Hop, NameAddr, Request, Seal, Status, Uri};

/// Where a request wants to go.
#[derive(Debug, Clone)]
pub(super) enum Destination {
    /// To the server itself.
    Server,
    /// To the conference focus.
    Focus,
    /// To a user of the domain.
    User(Address),
    /// On along the path of its dialog.
    Onward(Target),
}

/// What the route of a request says.
#[derive(Debug)]
pub(super) struct Way {
    /// Where it leads, or why it leads nowhere.
    pub(super) destination: Result<Destination, Refusal>,
    /// Whether the request belongs to a dialog that went through here from its beginning.
    pub(super) is_known: bool,
}

/// Takes our own names off the route of `request` and tells where it leads.
///
/// Only a request within a dialog that we put ourselves on the path of goes to another domain:
/// the server is no open relay. Such a request brings back what we sealed when the dialog began;
/// a tag alone, which anybody can write, says nothing. The bridge is one of us: what is for its own
/// address, a room that one of its users hosts, goes there.
pub(super) fn follow(
    request: &mut Request,
    domain: &Domain,
    (seal, home): (&Seal, Option<&Hop>),
) -> Way {
    let is_sealed = take_own_routes(request, domain, seal);
    let is_known = is_sealed && request.to_tag().is_some();
    let destination = if request.headers.has("Route") {
        if is_known { onward(request) } else { Err(Status::FORBIDDEN.into()) }
    } else {
        match domain.whose(&request.uri) {
            Whose::Server => Ok(Destination::Server),
            Whose::User(user) => Ok(Destination::User(user)),
            Whose::Foreign if is_known || is_at(&request.uri, home) => onward(request),
            Whose::Foreign => Err(Status::NOT_FOUND.into()),
        }
    };
    Way { destination, is_known }
}

/// Tells whether a URI names an address of the bridge.
fn is_at(uri: &Uri, home: Option<&Hop>) -> bool {
    uri.is_sip() && uri.hop().is_some_and(|hop| policy::leads_home(&hop, home))
}

/// Seals the dialog that `request` may begin: its Call-ID and the tag of its sender, of which every
/// later request of the dialog, in either direction, has one in From or To.
pub(super) fn seal_of(request: &Request, seal: &Seal) -> String {
    let call_id = request.call_id().unwrap_or_default();
    let mut text = seal.of(&sealed_text(call_id, &request.from_tag().unwrap_or_default()));
    text.truncate(SEAL_LENGTH);
    text
}

fn sealed_text(call_id: &str, tag: &str) -> String {
    // No header holds a line break, so that the two cannot be confused.
    format!("{call_id}\n{tag}")
}

/// Removes every leading Route that names us, two where we stand between two transports, and
/// tells whether one has the seal of the dialog. What a strict router did to the request is undone
/// first.
fn take_own_routes(request: &mut Request, domain: &Domain, seal: &Seal) -> bool {
    let mut own = Vec::new();
    if is_own_record_route(request, domain)
        && let Some(last) = take_last_route(&mut request.headers)
    {
        own.push(std::mem::replace(&mut request.uri, last.uri));
    }
    let routes: Vec<_> = request.headers.list("Route").map(str::to_owned).collect();
    let uris = routes.iter().map_while(|route| NameAddr::parse(route).ok().map(|it| it.uri));
    let leading: Vec<_> = uris.take_while(|uri| domain.is_ours(uri)).collect();
    if !leading.is_empty() {
        set_routes(&mut request.headers, routes.iter().skip(leading.len()));
    }
    own.extend(leading);
    let call_id = request.call_id().unwrap_or_default();
    let tags = [request.from_tag(), request.to_tag()];
    own.iter().filter_map(|uri| uri.param(SEAL)).any(|given| {
        let fits = |tag: &String| seal.fits(&sealed_text(call_id, tag), given);
        tags.iter().flatten().any(fits)
    })
}

fn is_own_record_route(request: &Request, domain: &Domain) -> bool {
    request.uri.param("lr").is_some() && domain.whose(&request.uri) == Whose::Server
}

fn take_last_route(headers: &mut Headers) -> Option<NameAddr> {
    let mut routes: Vec<_> = headers.list("Route").map(str::to_owned).collect();
    let last = NameAddr::parse(&routes.pop()?).ok()?;
    set_routes(headers, routes.iter());
    Some(last)
}

fn set_routes<'a>(headers: &mut Headers, routes: impl Iterator<Item = &'a String>) {
    headers.remove("Route");
    routes.for_each(|route| headers.push("Route", route));
}

/// Goes to the first Route, or to the Request-URI where there is none. A strict router gets its
/// own URI as the Request-URI, and ours behind the others (RFC 3261 section 16.6 item 6).
fn onward(request: &mut Request) -> Result<Destination, Refusal> {
    if let Some(first) = request.route().into_iter().next() {
        if first.uri.param("lr").is_none() {
            let target = format!("<{}>", request.uri);
            request.headers.push("Route", &target);
            request.headers.take_first("Route");
            request.uri = first.uri.without_headers().without_param("method");
            return to(request.uri.hop());
        }
        return to(first.uri.hop());
    }
    to(request.uri.hop())
}

fn to(hop: Option<Hop>) -> Result<Destination, Refusal> {
    let hop = hop.ok_or(Status::NOT_FOUND)?;
    Ok(Destination::Onward(Target { uri: None, path: Vec::new(), hop }))
}

/// How much of a seal stands in a Record-Route, in hexadecimal digits: 128 bits.
const SEAL_LENGTH: usize = 32;
