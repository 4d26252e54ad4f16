//! Which messages can still be reported on, and how much of them has been (RFC 4975 section 7.3.2).

use std::collections::{BTreeMap, VecDeque};

use super::frame::ByteRange;

/// The messages sent on a session, as far back as it remembers.
#[derive(Debug, Default)]
pub(super) struct Reports {
    sent_by_id: BTreeMap<String, Sent>,
    order: VecDeque<String>,
}

/// A message that a REPORT may speak of.
#[derive(Debug)]
struct Sent {
    size: u64,
    /// The octets reported as received: places and ends of stretches that do not touch.
    received: BTreeMap<u64, u64>,
}

impl Reports {
    /// Remembers a message of `size` octets.
    pub(super) fn expect(&mut self, message_id: &str, size: usize) {
        let sent = Sent { size: size as u64, received: BTreeMap::new() };
        if self.sent_by_id.insert(message_id.to_owned(), sent).is_none() {
            self.order.push_back(message_id.to_owned());
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.sent_by_id.remove(&oldest);
        }
    }

    /// Forgets a message and tells whether it was known.
    pub(super) fn forget(&mut self, message_id: &str) -> bool {
        self.order.retain(|known| known != message_id);
        self.sent_by_id.remove(message_id).is_some()
    }

    /// Takes a success report, and tells whether the far end now has the whole message.
    ///
    /// A receiver may report on the whole or part by part (RFC 4975 section 7.1.3).
    pub(super) fn succeed(&mut self, message_id: &str, range: Option<ByteRange>) -> bool {
        let Some(sent) = self.sent_by_id.get_mut(message_id) else { return false };
        sent.add(range);
        sent.is_received() && self.forget(message_id)
    }
}

impl Sent {
    /// Takes a range in any of the shapes seen: without end or total, or with a total of zero.
    fn add(&mut self, range: Option<ByteRange>) {
        let (mut start, mut end) = match range {
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
