//! From the URL to its resource, and to what a method means there: one walk over the table of
//! [`routes`](super::routes), segment by segment. What happens to every request happens here, too:
//! its outcome is traced, a fault is told as its client understands it.
//!
//! The library's own router asks one regular expression after the other whether it likes the path,
//! scope by scope; with so many resources that took more time than all that a message needs here.

use std::cell::LazyCell;
use std::rc::Rc;

use actix_web::dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, Route};
use futures_util::future::LocalBoxFuture;

use super::door;
use super::fault::{Fault, speak};
use super::observe::Observed;
use super::resource::{Resource, Verb};

/// The most variables in a path.
const MOST_VARIABLES: usize = 3;

/// The most segments in a path.
const MOST_SEGMENTS: usize = 12;

/// Makes the service for every connection thread.
pub(super) struct Router {
    /// What stands in front of all resources that are not apart: empty, or with a leading slash.
    base: String,
    resources: Vec<Entry<Route>>,
}

/// The service.
pub(super) struct Routed(Rc<Table>);

struct Table {
    base: String,
    resources: Vec<Entry<RouteService>>,
}

type RouteService = <Route as ServiceFactory<ServiceRequest>>::Service;

/// A resource; `S` is what serves a method.
struct Entry<S> {
    path: Path,
    /// Its segments; nothing for a variable.
    pattern: Vec<Option<&'static str>>,
    names: [&'static str; MOST_VARIABLES],
    guarded: bool,
    apart: bool,
    allow: String,
    operations: Vec<(Verb, S)>,
}

/// A path below the base, with variables in braces.
#[derive(Clone, Copy)]
struct Path(&'static str);

/// Where in the tree a request has arrived.
#[derive(Debug, Clone, Copy)]
struct Place {
    path: &'static str,
    /// The names of the variables; empty behind the last one.
    names: [&'static str; MOST_VARIABLES],
    /// From where to where each variable stands in the path of the request, in bytes.
    variables: [(usize, usize); MOST_VARIABLES],
}

/// Gives the path that a request has matched, with its variables in braces.
pub(super) fn template(request: &HttpRequest) -> Option<&'static str> {
    request.extensions().get::<Place>().map(|place| place.path)
}

/// Gives what stands in the place of a variable.
pub(super) fn variable<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let place = *request.extensions().get::<Place>()?;
    let known = place.names.iter().zip(place.variables);
    let (_, (from, to)) = known.into_iter().find(|(known, _)| **known == name)?;
    request.match_info().as_str().get(from..to)
}

/// Tells whether a path is one of those below `base` that a template, with its variables in braces,
/// stands for.
pub(super) fn leads_to(path: &str, base: &str, template: &'static str) -> bool {
    let cut = path.starts_with(base).then(|| Cut::new(path, base.len())).flatten();
    cut.is_some_and(|cut| cut.variables(&Path(template).pattern()).is_some())
}

impl Router {
    pub(super) fn new(base: String, resources: Vec<Resource>) -> Self {
        let resources = resources.into_iter().map(|resource| {
            let allow = resource.allow();
            let Resource { path, operations, guarded, apart, .. } = resource;
            let operations = operations.into_iter().map(|it| (it.verb, it.route)).collect();
            let path = Path(path);
            let (pattern, names) = (path.pattern(), path.names());
            Entry { path, pattern, names, guarded, apart, allow, operations }
        });
        Self { base, resources: resources.collect() }
    }
}

impl ServiceFactory<ServiceRequest> for Router {
    type Response = ServiceResponse;
    type Error = Error;
    type Config = ();
    type Service = Routed;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Routed, ()>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let base = self.base.clone();
        let made: Vec<_> = (self.resources.iter())
            .map(|Entry { path, pattern, names, guarded, apart, allow, operations }| {
                let (path, names, guarded, apart) = (*path, *names, *guarded, *apart);
                let (pattern, allow) = (pattern.clone(), allow.clone());
                let coming: Vec<_> =
                    operations.iter().map(|(verb, route)| (*verb, route.new_service(()))).collect();
                async move {
                    let mut operations = Vec::with_capacity(coming.len());
                    for (verb, route) in coming {
                        operations.push((verb, route.await?));
                    }
                    Ok(Entry { path, pattern, names, guarded, apart, allow, operations })
                }
            })
            .collect();
        Box::pin(async move {
            let mut resources = Vec::with_capacity(made.len());
            for entry in made {
                resources.push(entry.await?);
            }
            Ok(Routed(Rc::new(Table { base, resources })))
        })
    }
}

impl Service<ServiceRequest> for Routed {
    type Response = ServiceResponse;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<ServiceResponse, Error>>;

    actix_web::dev::always_ready!();

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let table = Rc::clone(&self.0);
        Box::pin(async move {
            let observed = Observed::of(&request);
            let mut response = speak(table.serve(request).await)?;
            observed.end(&mut response);
            Ok(response)
        })
    }
}

impl Table {
    /// Finds the resource that a path leads to, with or without a slash behind it.
    fn find(&self, path: &str) -> Option<(&Entry<RouteService>, Place)> {
        let whole = LazyCell::new(|| Cut::new(path, 0));
        let is_below = path.starts_with(&self.base);
        let below = is_below.then(|| Cut::new(path, self.base.len())).flatten();
        self.resources.iter().find_map(|entry| {
            let cut = if entry.apart { &*whole } else { &below }.as_ref()?;
            let variables = cut.variables(&entry.pattern)?;
            Some((entry, Place { path: entry.path.0, names: entry.names, variables }))
        })
    }

    async fn serve(&self, request: ServiceRequest) -> Result<ServiceResponse, Error> {
        let Some((entry, place)) = self.find(request.match_info().as_str()) else {
            return Ok(request.error_response(Fault::NotFound));
        };
        request.extensions_mut().insert(place);
        // Who may not come in is told nothing else, not even what is allowed.
        let _place = match entry.guarded {
            true => match door::enter(&request).await {
                Ok(place) => Some(place),
                Err(fault) => return Ok(request.error_response(fault)),
            },
            false => None,
        };
        let method = &request.head().method;
        match entry.operations.iter().find(|(verb, _)| verb.takes(method)) {
            Some((_, route)) => route.call(request).await,
            None => Ok(entry.other_method(request)),
        }
    }
}

impl<S> Entry<S> {
    /// Answers a method that the resource does not have; OPTIONS asks for just that.
    fn other_method(&self, request: ServiceRequest) -> ServiceResponse {
        let allow = self.allow.clone();
        if self.operations.is_empty() {
            request.error_response(Fault::NotFound)
        } else if request.method() == Method::OPTIONS {
            let response = HttpResponse::NoContent().insert_header((ALLOW, allow)).finish();
            request.into_response(response)
        } else {
            request.error_response(Fault::MethodNotAllowed { allow })
        }
    }
}

impl Path {
    fn variables(self) -> impl Iterator<Item = &'static str> {
        self.0.split('/').filter_map(variable_of)
    }

    fn names(self) -> [&'static str; MOST_VARIABLES] {
        let mut names = [""; MOST_VARIABLES];
        for (place, name) in names.iter_mut().zip(self.variables()) {
            *place = name;
        }
        names
    }

    fn pattern(self) -> Vec<Option<&'static str>> {
        let segments = self.0.split('/').skip(1);
        segments.map(|segment| variable_of(segment).is_none().then_some(segment)).collect()
    }
}

/// Reads a segment as a variable in braces.
fn variable_of(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// The path of a request in segments, with or without a slash behind the last one.
struct Cut<'a> {
    path: &'a str,
    /// From where to where each segment stands.
    segments: [(usize, usize); MOST_SEGMENTS],
    count: usize,
}

impl<'a> Cut<'a> {
    /// Cuts what stands behind so many bytes; nothing where it is deeper than any resource.
    fn new(path: &'a str, skipped: usize) -> Option<Self> {
        let rest = path.get(skipped..)?.strip_prefix('/')?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let begin = skipped + 1;
        let slashes = memchr::memchr_iter(b'/', rest.as_bytes());
        let ends = slashes.map(|at| begin + at).chain([begin + rest.len()]);
        let (mut segments, mut count, mut from) = ([(0, 0); MOST_SEGMENTS], 0, begin);
        for to in ends {
            *segments.get_mut(count)? = (from, to);
            (count, from) = (count + 1, to + 1);
        }
        Some(Self { path, segments, count })
    }

    /// Compares with a pattern; where it fits, gives where the variables stand. None of them is
    /// empty.
    fn variables(&self, pattern: &[Option<&str>]) -> Option<[(usize, usize); MOST_VARIABLES]> {
        let segments = self.segments.get(..self.count).filter(|it| it.len() == pattern.len())?;
        // Paths differ mostly in their last segments.
        let fits = segments.iter().zip(pattern).rev().all(|(&(from, to), wanted)| match wanted {
            Some(wanted) => self.path.get(from..to) == Some(wanted),
            None => from < to,
        });
        fits.then_some(())?;
        let mut found = [(0, 0); MOST_VARIABLES];
        let variables = segments.iter().zip(pattern).filter(|(_, wanted)| wanted.is_none());
        for (place, (segment, _)) in found.iter_mut().zip(variables) {
            *place = *segment;
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_path_is_compared_segment_by_segment() {
        let at = |path: &str| {
            let pattern = Path("/1/{user}/sessions/{id}").pattern();
            let found = Cut::new(path, 0)?.variables(&pattern)?;
            Some(found[..2].iter().map(|(from, to)| path[*from..*to].to_owned()).collect())
        };
        let both = |user: &str, id: &str| Some(vec![user.to_owned(), id.to_owned()]);
        assert_eq!(at("/1/tel:%2B1/sessions/s1"), both("tel:%2B1", "s1"));
        assert_eq!(at("/1/sessions/sessions/sessions/"), both("sessions", "sessions"));
        for other in [
            "",
            "/",
            "1/a/sessions/b",
            "/1/a/sessions",
            "/1/a/sessions/",
            "/1/a/sessions//",
            "/1//sessions/b",
            "/1/a/sessions/b//",
            "/1/a/sessions/b/c",
            "/1/a/sessions/b/c/d/e/f/g/h/i/j/k/l/m",
            "/1/a/Sessions/b",
            "/11/a/sessions/b",
        ] {
            assert_eq!(at(other), None, "{other}");
        }
    }

    #[test]
    fn no_path_has_more_variables_or_segments_than_there_is_room_for() {
        for Resource { path, .. } in super::super::routes::tree() {
            assert!(Path(path).variables().count() <= MOST_VARIABLES, "{path}");
            let pattern = Path(path).pattern();
            for (base, end) in [("", ""), ("", "/"), ("/base", ""), ("/base", "/")] {
                let whole = format!("{base}{path}{end}");
                let cut = Cut::new(&whole, base.len()).unwrap();
                assert!(cut.variables(&pattern).is_some(), "{whole}");
            }
        }
    }
}
