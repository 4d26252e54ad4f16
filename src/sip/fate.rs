//! What a refusal within a dialog leaves standing (RFC 5057 section 5.1, RFC 3261 section
//! 12.2.1.2, RFC 6665 sections 4.1.2.2 and 4.2.2).

use crate::sip::Status;

/// What a refused request takes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Only itself: the usage is as it was.
    Transaction,
    /// The usage that it belonged to: the session, or the subscription.
    Usage,
    /// The dialog with all of its usages.
    Dialog,
}

impl Fate {
    /// Tells what becomes of a session after the refusal of one of its requests.
    pub(super) fn of(status: Status) -> Self {
        row(status).map_or(Self::Transaction, |(_, session, ..)| *session)
    }

    /// Tells what becomes of a subscription after the refusal of a SUBSCRIBE or a NOTIFY.
    pub(super) fn of_subscription(status: Status) -> Self {
        row(status).map_or(Self::Transaction, |(_, _, subscription, _)| *subscription)
    }

    /// Tells whether the usage is over.
    pub(super) fn is_final(self) -> bool {
        self != Self::Transaction
    }
}

fn row(status: Status) -> Option<&'static (u16, Fate, Fate, &'static str)> {
    let row = FATES.binary_search_by_key(&status.code(), |(code, ..)| *code);
    row.ok().and_then(|row| FATES.get(row))
}

/// The refusals that end more than the request, ascending: the code, what it leaves of a session
/// and of a subscription, and the reason.
///
/// RFC 6665 came after RFC 5057, and decides where they differ about subscriptions.
static FATES: [(u16, Fate, Fate, &str); 15] = {
    use Fate::{Dialog, Transaction, Usage};
    [
        (404, Dialog, Dialog, "nobody is known at the remote target any more"),
        (405, Transaction, Usage, "what the usage lives by is not understood any more"),
        (408, Usage, Transaction, "the peer does not answer; a subscription has Timer N for that"),
        (410, Dialog, Dialog, "the remote target is gone for good"),
        (416, Dialog, Dialog, "the scheme of the remote target cannot be served, nor ever will be"),
        (480, Usage, Usage, "whoever took part in the usage is not there any more"),
        (481, Usage, Usage, "the peer has lost the usage"),
        (482, Dialog, Dialog, "the route set leads in a circle, and it never changes"),
        (483, Dialog, Dialog, "the route set is longer than any request may travel"),
        (484, Dialog, Dialog, "the remote target is no complete address"),
        (485, Dialog, Dialog, "the remote target means several people"),
        (489, Transaction, Usage, "the event package is not served any more"),
        (501, Transaction, Usage, "what the usage lives by is not implemented any more"),
        (502, Dialog, Transaction, "a gateway on the way cannot reach the remote target"),
        (604, Dialog, Dialog, "the remote target exists nowhere"),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(of: fn(Status) -> Fate, fate: Fate) -> Vec<u16> {
        let all = (300..=699).filter_map(Status::new);
        all.filter(|status| of(*status) == fate).map(Status::code).collect()
    }

    #[test]
    fn every_code_ends_what_rfc_5057_says() {
        assert_eq!(codes(Fate::of, Fate::Usage), [408, 480, 481]);
        let dialog = [404, 410, 416, 482, 483, 484, 485, 502, 604];
        assert_eq!(codes(Fate::of, Fate::Dialog), dialog);
        assert_eq!(codes(Fate::of, Fate::Transaction).len(), 400 - 12);
    }

    #[test]
    fn every_code_ends_a_subscription_that_rfc_6665_lists() {
        let listed = [404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604];
        let all = (300..=699).filter_map(Status::new);
        let ended = all.filter(|status| Fate::of_subscription(*status).is_final());
        assert_eq!(ended.map(Status::code).collect::<Vec<_>>(), listed);
    }

    #[test]
    fn the_table_is_sorted_and_gives_its_reasons() {
        assert!(FATES.is_sorted_by_key(|(code, ..)| *code));
        for (code, session, subscription, why) in FATES {
            assert!((session.is_final() || subscription.is_final()) && !why.is_empty(), "{code}");
        }
    }

    #[test]
    fn glare_intervals_credentials_and_overload_leave_the_session_alone() {
        for code in [401, 403, 405, 407, 415, 420, 422, 487, 488, 491, 500, 501, 503, 504, 603, 606]
        {
            assert_eq!(Status::new(code).map(Fate::of), Some(Fate::Transaction), "{code}");
        }
    }
}
