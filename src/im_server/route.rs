//! Where a request wants to go (RFC 3261 sections 16.4 and 16.5).

use super::domain::{Domain, Whose};
use super::forward::Target;
use super::refusal::Refusal;
use crate::address::Address;
use crate::sip::{Headers, Hop, NameAddr, Request, Status};

/// Where a request wants to go.
#[derive(Debug)]
pub(super) enum Destination {
    /// To the server itself.
    Server,
    /// To a user of the domain.
    User(Address),
    /// On along the path of its dialog.
    Onward(Target),
}

/// Takes our own names off the route of `request` and tells where it leads.
///
/// Only a request within a dialog that we put ourselves on the path of goes to another domain:
/// the server is no open relay.
pub(super) fn follow(request: &mut Request, domain: &Domain) -> Result<Destination, Refusal> {
    let was_named = take_own_routes(request, domain);
    let belongs = was_named && request.to_tag().is_some();
    if request.headers.has("Route") {
        return if belongs { onward(request) } else { Err(Status::FORBIDDEN.into()) };
    }
    match domain.whose(&request.uri) {
        Whose::Server => Ok(Destination::Server),
        Whose::User(user) => Ok(Destination::User(user)),
        Whose::Foreign if belongs => onward(request),
        Whose::Foreign => Err(Status::NOT_FOUND.into()),
    }
}

/// Removes every leading Route that names us, two where we stand between two transports, and
/// tells whether there was one. What a strict router did to the request is undone first.
fn take_own_routes(request: &mut Request, domain: &Domain) -> bool {
    let mut was_named = false;
    if is_own_record_route(request, domain)
        && let Some(last) = take_last_route(&mut request.headers)
    {
        request.uri = last.uri;
        was_named = true;
    }
    let routes: Vec<_> = request.headers.list("Route").map(str::to_owned).collect();
    let is_own =
        |route: &&String| NameAddr::parse(route).is_ok_and(|address| domain.is_ours(&address.uri));
    let own = routes.iter().take_while(is_own).count();
    if own > 0 {
        was_named = true;
        set_routes(&mut request.headers, routes.iter().skip(own));
    }
    was_named
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
    Ok(Destination::Onward(Target { uri: None, hop }))
}
