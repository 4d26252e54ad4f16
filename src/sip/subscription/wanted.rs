//! What a subscriber wants, and how far it is taken down.

use crate::sip::usage::Way;
use crate::sip::views::parse_number;
use crate::sip::{Headers, Request, Response, Status};

use super::state::EventType;
use super::subscriber::Forks;

/// What is subscribed to, beside whom.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) event: EventType,
    pub(super) accept: Vec<String>,
    pub(super) expires: u32,
    pub(super) forks: Forks,
    /// Whether a REFER asked for it: then nothing is refreshed.
    pub(super) is_implicit: bool,
    /// Where our first request went, for want of a better hop.
    pub(super) way: Way,
}

impl Wanted {
    /// Tells whether the subscription is kept up: neither a fetch is, nor what a REFER began.
    pub(super) fn is_renewed(&self) -> bool {
        self.expires > 0
    }

    /// Gives the seconds for which we listen where nobody has told.
    pub(super) fn seconds(&self) -> u32 {
        if self.is_renewed() { self.expires } else { UNTOLD }
    }

    /// Tells whether a NOTIFY that begins a branch names the event that we asked for. That of a
    /// REFER may bear its number (RFC 3515 section 2.4.6).
    pub(super) fn names(&self, event: &EventType, request: &Request) -> bool {
        let number = request.cseq().map_or(0, |cseq| cseq.number).to_string();
        let is_ours = |id: &String| self.is_implicit && *id == number;
        event.package == self.event.package
            && (event.id == self.event.id || event.id.as_ref().is_some_and(is_ours))
    }

    /// Takes the time that a notifier wants at least; tells whether to ask for it. It must be more
    /// than we asked for, and that not for ever.
    pub(super) fn lengthens(&mut self, response: &Response, too_brief: &mut u8) -> bool {
        let least = response.headers.get("Min-Expires").and_then(parse_number);
        let is_too_brief = response.status == Status::INTERVAL_TOO_BRIEF
            && *too_brief < MAX_TOO_BRIEF
            && self.is_renewed();
        let Some(least) = least.filter(|least| is_too_brief && *least > self.expires) else {
            return false;
        };
        *too_brief += 1;
        self.expires = least;
        true
    }
}

/// Writes what makes a request a SUBSCRIBE.
pub(super) fn describe(headers: &mut Headers, event: &EventType, accept: &[String], expires: u32) {
    headers.push("Event", &event.to_string());
    headers.push("Expires", &expires.to_string());
    if !accept.is_empty() {
        headers.push("Accept", &accept.join(", "));
    }
}

/// Gives the seconds of a 2xx: it may shorten what we asked for, never lengthen it (RFC 6665
/// section 4.2.1.1). That to a fetch or a REFER says nothing: the NOTIFY does.
pub(super) fn granted(response: &Response, asked: u32) -> u32 {
    if asked == 0 { UNTOLD } else { response.expires().unwrap_or(asked).min(asked) }
}

/// Tells whether a 2xx to a REFER says that there is no subscription (RFC 4488 section 4).
pub(in crate::sip) fn declines_subscription(headers: &Headers) -> bool {
    let value = headers.get("Refer-Sub").unwrap_or_default();
    let value = value.split(';').next().unwrap_or_default();
    value.trim().eq_ignore_ascii_case("false")
}

/// The package of REFER (RFC 3515 section 2.4.4).
pub(in crate::sip) const REFER_EVENT: &str = "refer";

/// What the NOTIFYs of that package hold (RFC 3420).
pub(in crate::sip) const SIPFRAG: &str = "message/sipfrag";

/// How often a notifier may say that our time is too brief.
const MAX_TOO_BRIEF: u8 = 2;

/// How long we listen where neither side has said a time, in seconds: longer than Timer C lets any
/// INVITE ring (RFC 3261 section 16.6).
const UNTOLD: u32 = 300;
