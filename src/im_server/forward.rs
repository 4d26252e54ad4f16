//! The copy of a request that leaves for one target (RFC 3261 section 16.6).

use super::desk::Desk;
use super::policy;
use crate::sip::{BRANCH_COOKIE, Hop, Method, Request, Uri};

/// One place to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The new Request-URI, if we are to change it.
    pub(super) uri: Option<Uri>,
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
}

impl Passage {
    /// Writes the copy for `target`, item by item of the section.
    pub(super) fn copy_for(&self, target: &Target, desk: &mut Desk) -> Request {
        let mut copy = self.request.clone();
        if let Some(uri) = &target.uri {
            copy.uri = uri.clone();
        }
        let left = copy.max_forwards().map_or(FIRST_MAX_FORWARDS, |left| left.saturating_sub(1));
        copy.headers.set("Max-Forwards", &left.to_string());
        if creates_dialog(&copy.method) {
            let (inwards, outwards) = (self.source.transport, target.hop.transport);
            copy.headers.push_front("Record-Route", &desk.domain.record_route(inwards));
            if inwards != outwards {
                copy.headers.push_front("Record-Route", &desk.domain.record_route(outwards));
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
