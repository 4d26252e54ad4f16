//! The copy of a request that leaves for one target (RFC 3261 section 16.6).

use super::desk::Desk;
use super::registrar::Place;
use super::{policy, route};
use crate::sip::{BRANCH_COOKIE, Hop, Method, NameAddr, Request, Uri};

/// One place to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The new Request-URI, if we are to change it.
    pub(super) uri: Option<Uri>,
    /// Through whom the copy goes there: the Path of a registration (RFC 3327).
    pub(super) path: Vec<NameAddr>,
    /// Where the copy goes.
    pub(super) hop: Hop,
}

/// A request as it came in, on its way through.
#[derive(Debug)]
pub(super) struct Passage {
    /// The request, our own Route taken off.
    pub(super) request: Request,
    /// Where it came from.
    pub(super) source: Hop,
    /// Its [`policy::loop_mark`] as it came in.
    pub(super) mark: String,
    /// Whether it comes from the focus beside us.
    pub(super) is_from_focus: bool,
    /// Whether somebody has sent it whom answers may trust: the bridge, or the focus.
    pub(super) is_from_home: bool,
}

impl Target {
    /// The place that somebody registered, if a request can be sent there.
    pub(super) fn of(place: Place) -> Option<Self> {
        let first = place.path.first().map_or(&place.uri, |proxy| &proxy.uri);
        Some(Self { hop: first.hop()?, uri: Some(place.uri), path: place.path })
    }
}

impl Passage {
    pub(super) fn new(request: Request, source: Hop) -> Self {
        let mark = policy::loop_mark(&request);
        Self { request, source, mark, is_from_focus: false, is_from_home: false }
    }

    /// Writes the copy for `target`, item by item of the section; `breadth` is its share.
    pub(super) fn copy_for(&self, target: &Target, breadth: usize, desk: &mut Desk) -> Request {
        let mut copy = self.request.clone();
        if let Some(uri) = &target.uri {
            copy.uri = uri.clone();
        }
        let left = copy.max_forwards().map_or(FIRST_MAX_FORWARDS, |left| left.saturating_sub(1));
        copy.headers.set("Max-Forwards", &left.to_string());
        if copy.method != Method::Ack {
            copy.headers.set("Max-Breadth", &breadth.to_string());
        }
        for proxy in &target.path {
            copy.headers.push("Route", &proxy.to_string());
        }
        if creates_dialog(&copy.method) {
            let (inwards, outwards) = (self.source.transport, target.hop.transport);
            let seal = route::seal_of(&copy, &desk.seal);
            copy.headers.push_front("Record-Route", &desk.domain.record_route(inwards, &seal));
            if inwards != outwards {
                let outer = desk.domain.record_route(outwards, &seal);
                copy.headers.push_front("Record-Route", &outer);
            }
        }
        if !policy::leads_home(&target.hop, desk.home.as_ref()) {
            policy::withhold(&mut copy.headers);
        }
        let branch = format!("{}{}-{}", BRANCH_COOKIE, desk.random.token(), self.mark);
        let via = desk.domain.via(target.hop.transport, &branch);
        copy.headers.push_front("Via", &via.to_string());
        copy
    }
}

/// Tells the methods whose dialogs we stay on the path of.
fn creates_dialog(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Subscribe | Method::Refer)
}

/// What a request without Max-Forwards gets (item 3).
const FIRST_MAX_FORWARDS: u8 = 70;
