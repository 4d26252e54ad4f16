//! What a bridge says by the tables though the recorded device has not said it.

use crate::bridge::group_outcomes::Answered;
use crate::bridge::sip_outcomes::Outcome;

/// Messages of the bridge that the trace does not have, and that are no fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Beside {
    /// What they are.
    pub(in super::super) kind: &'static str,
    /// How many there may be.
    pub(in super::super) most: usize,
    /// Why.
    pub(in super::super) why: &'static str,
}

/// Gives what follows an answer to the INVITE of a chat between two.
pub(super) fn after(outcome: Outcome) -> Option<Beside> {
    match outcome {
        Outcome::Redirect => Some(ELSEWHERE),
        Outcome::Authenticate | Outcome::RetryOnce(_) => Some(CHANGED),
        Outcome::Progress
        | Outcome::Accepted
        | Outcome::Declined
        | Outcome::Ended
        | Outcome::Cancelled => None,
    }
}

/// Gives what follows an answer to the INVITE of a group.
pub(super) fn after_group(then: Answered) -> Option<Beside> {
    match then {
        Answered::Redirect => Some(ELSEWHERE),
        Answered::Authenticate
        | Answered::RetryOnce(_)
        | Answered::WithoutList
        | Answered::Restart => Some(CHANGED),
        Answered::Progress | Answered::In | Answered::StaysOut | Answered::Ended => None,
    }
}

/// RFC 3261 section 8.1.3.4: each Contact is tried, and the trace answers each as it did the first.
const ELSEWHERE: Beside =
    Beside { kind: "SIP INVITE", most: 5, why: "the bridge follows a redirection" };
const CHANGED: Beside =
    Beside { kind: "SIP INVITE", most: 1, why: "the bridge asks once more, otherwise" };
/// RFC 4575 section 4.6.
pub(super) const WHOLE: Beside = Beside {
    kind: "SIP SUBSCRIBE",
    most: 1,
    why: "a state is missing, and the whole is asked for",
};
/// RFC 6665 section 4.1.2.3.
pub(super) const LEAVE: Beside =
    Beside { kind: "SIP SUBSCRIBE", most: 1, why: "who is out takes its subscription back" };
/// RFC 6665 section 4.1.3.
pub(super) const AGAIN: Beside =
    Beside { kind: "SIP SUBSCRIBE", most: 1, why: "a subscription that has ended is begun again" };
