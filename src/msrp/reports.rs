//! Which messages can still be reported on, and how much of them has been (RFC 4975 section 7.3.2).

use std::collections::{BTreeMap, VecDeque};

use super::frame::ByteRange;

/// The messages sent on a session, as far back as it remembers.
///
/// Nearly all messages are remembered and never spoken of: what counts is that remembering is
/// cheap, so that they stand in a row and a report has to look for its message.
#[derive(Debug, Default)]
pub(super) struct Reports(VecDeque<Sent>);

/// A message that a REPORT may speak of.
#[derive(Debug)]
struct Sent {
    message_id: String,
    size: u64,
    /// The octets reported as received: places and ends of stretches that do not touch.
    received: BTreeMap<u64, u64>,
}

impl Reports {
    /// Remembers a message of `size` octets; one that is sent again is new.
    pub(super) fn expect(&mut self, message_id: String, size: usize) {
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(Sent { message_id, size: size as u64, received: BTreeMap::new() });
    }

    /// Forgets a message, however often it was sent, and tells whether it was known.
    pub(super) fn forget(&mut self, message_id: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|sent| sent.message_id != message_id);
        self.0.len() < before
    }

    /// Takes a success report, and tells whether the far end now has the whole message.
    ///
    /// A receiver may report on the whole or part by part (RFC 4975 section 7.1.3).
    pub(super) fn succeed(&mut self, message_id: &str, range: Option<ByteRange>) -> bool {
        let mut latest_first = self.0.iter_mut().rev();
        let sent = latest_first.find(|sent| sent.message_id == message_id);
        let Some(sent) = sent else { return false };
        sent.add(range);
        sent.is_received() && self.forget(message_id)
    }
}

impl Sent {
    /// Takes a range in any of the shapes seen: without end or total, with a total of zero, or
    /// `1-0/0`, which says as little.
    fn add(&mut self, range: Option<ByteRange>) {
        let (mut start, mut end) = match range {
            Some(ByteRange { end: Some(0), .. }) => (0, self.size),
            Some(ByteRange { start, end, .. }) => {
                (start.saturating_sub(1), end.unwrap_or(self.size).min(self.size))
            }
            None => (0, self.size),
        };
        if start >= end || self.received.len() >= MAX_STRETCHES {
            return;
        }
        while let Some((&at, &until)) = self.received.range(..=end).next_back()
            && until >= start
        {
            self.received.remove(&at);
            (start, end) = (start.min(at), end.max(until));
        }
        self.received.insert(start, end);
    }

    fn is_received(&self) -> bool {
        self.size == 0 || self.received.get(&0) == Some(&self.size)
    }
}

/// Messages that are remembered.
const REMEMBERED: usize = 512;
/// Stretches reported with gaps between them.
const MAX_STRETCHES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_received_once_all_of_it_is_reported() {
        let mut reports = Reports::default();
        reports.expect("m".to_owned(), 10);
        assert!(!reports.succeed("m", range(1, Some(4))));
        assert!(!reports.succeed("m", range(7, Some(10))));
        assert!(!reports.succeed("other", None));
        assert!(reports.succeed("m", range(4, Some(8))));
        assert!(!reports.succeed("m", range(1, Some(10))), "told once");
    }

    #[test]
    fn every_shape_of_a_whole_is_understood() {
        for whole in
            [None, range(1, Some(10)), range(1, None), range(0, Some(99)), range(1, Some(0))]
        {
            let mut reports = Reports::default();
            reports.expect("m".to_owned(), 10);
            assert!(reports.succeed("m", whole), "{whole:?}");
        }
        let mut reports = Reports::default();
        reports.expect("empty".to_owned(), 0);
        assert!(reports.succeed("empty", range(1, Some(0))));
    }

    #[test]
    fn a_message_that_is_sent_again_is_received_anew_and_told_once() {
        let mut reports = Reports::default();
        reports.expect("m".to_owned(), 10);
        assert!(!reports.succeed("m", range(1, Some(4))));
        reports.expect("m".to_owned(), 10);
        assert!(!reports.succeed("m", range(5, Some(10))), "of the second time there is a half");
        assert!(reports.succeed("m", None));
        assert!(!reports.succeed("m", None) && !reports.forget("m"), "told once");
    }

    #[test]
    fn only_so_many_messages_are_remembered() {
        let mut reports = Reports::default();
        for number in 0..=REMEMBERED {
            reports.expect(number.to_string(), 1);
        }
        assert!(!reports.succeed("0", None));
        assert!(reports.succeed("1", None));
        assert_eq!(reports.0.len(), REMEMBERED - 1);
    }

    fn range(start: u64, end: Option<u64>) -> Option<ByteRange> {
        Some(ByteRange { start, end, total: None })
    }
}
