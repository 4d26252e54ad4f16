//! What a refusal within a dialog leaves standing (RFC 5057 section 5.1, RFC 3261 section
//! 12.2.1.2).

use crate::sip::Status;

/// What a refused request takes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Only itself: the session is as it was.
    Transaction,
    /// The usage that it belonged to, here the session.
    Usage,
    /// The dialog with all of its usages.
    Dialog,
}

impl Fate {
    /// Tells what becomes of the session after a refusal with this status.
    pub(super) fn of(status: Status) -> Self {
        match FATES.binary_search_by_key(&status.code(), |(code, ..)| *code) {
            Ok(row) => FATES[row].1,
            Err(_) => Self::Transaction,
        }
    }

    /// Tells whether the session is over.
    pub(super) fn is_final(self) -> bool {
        self != Self::Transaction
    }
}

/// The refusals that end more than the request, ascending, with the reason for each.
const FATES: [(u16, Fate, &str); 12] = [
    (404, Fate::Dialog, "nobody is known at the remote target any more"),
    (408, Fate::Usage, "the peer does not answer, for this session at least"),
    (410, Fate::Dialog, "the remote target is gone for good"),
    (416, Fate::Dialog, "the scheme of the remote target cannot be served, nor will it be later"),
    (480, Fate::Usage, "whoever took part in the session is not there any more"),
    (481, Fate::Usage, "the peer has lost the session"),
    (482, Fate::Dialog, "the route set leads in a circle, and it never changes"),
    (483, Fate::Dialog, "the route set is longer than any request may travel"),
    (484, Fate::Dialog, "the remote target is no complete address"),
    (485, Fate::Dialog, "the remote target means several people"),
    (502, Fate::Dialog, "a gateway on the way cannot reach the remote target"),
    (604, Fate::Dialog, "the remote target exists nowhere"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_ends_what_rfc_5057_says() {
        let codes = |fate| {
            let all = (300..=699).filter_map(Status::new);
            all.filter(|status| Fate::of(*status) == fate).map(Status::code).collect::<Vec<_>>()
        };
        assert_eq!(codes(Fate::Usage), [408, 480, 481]);
        assert_eq!(codes(Fate::Dialog), [404, 410, 416, 482, 483, 484, 485, 502, 604]);
        assert_eq!(codes(Fate::Transaction).len(), 400 - 12);
    }

    #[test]
    fn the_table_is_sorted_and_gives_its_reasons() {
        assert!(FATES.is_sorted_by_key(|(code, ..)| *code));
        for (code, fate, why) in FATES {
            assert!(fate.is_final() && !why.is_empty(), "{code}");
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
