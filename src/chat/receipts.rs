//! What the participants of a group have reported of messages that the user has sent them.

use std::collections::{BTreeMap, VecDeque};

use super::message::{DeliveryReport, MessageStatus};
use crate::address::Address;
use crate::ids::MessageId;

/// The last status of each message at each participant; the oldest make room when it is full.
#[derive(Debug)]
pub struct Receipts {
    capacity: usize,
    last: BTreeMap<(MessageId, Address), MessageStatus>,
    in_order: VecDeque<(MessageId, Address)>,
}

impl Receipts {
    /// Makes room for `capacity` reports.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), last: BTreeMap::new(), in_order: VecDeque::new() }
    }

    /// Takes a report, and gives the statuses to tell, in order: a status only moves forward, and
    /// `Delivered` is told before `Displayed` (TS Chat 5.2.3.3).
    pub fn report(
        &mut self,
        message: &MessageId,
        from: &Address,
        report: &DeliveryReport,
    ) -> Vec<MessageStatus> {
        let key = (message.clone(), from.clone());
        let news = match (self.last.get(&key), report) {
            (None, DeliveryReport::Delivered) => vec![MessageStatus::Delivered],
            (None, DeliveryReport::Displayed) => {
                vec![MessageStatus::Delivered, MessageStatus::Displayed]
            }
            (Some(MessageStatus::Delivered), DeliveryReport::Displayed) => {
                vec![MessageStatus::Displayed]
            }
            (None, DeliveryReport::Failed { .. }) => vec![MessageStatus::Failed],
            (Some(_), DeliveryReport::Delivered | DeliveryReport::Failed { .. })
            | (Some(MessageStatus::Displayed | MessageStatus::Failed), DeliveryReport::Displayed) => {
                Vec::new()
            }
        };
        let Some(status) = news.last() else { return news };
        if self.last.insert(key.clone(), *status).is_none() {
            self.in_order.push_back(key);
        }
        if self.in_order.len() > self.capacity
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.last.remove(&oldest);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_participant_has_a_status_of_its_own_that_moves_forward() {
        let mut receipts = Receipts::new(2);
        let (message, ann) = (MessageId::new("m"), Address::anonymous());
        let ben = Address::parse("tel:+2").expect("a good address");
        let both = [MessageStatus::Delivered, MessageStatus::Displayed];
        assert_eq!(receipts.report(&message, &ann, &DeliveryReport::Displayed), both);
        assert_eq!(receipts.report(&message, &ann, &DeliveryReport::Delivered), []);
        assert_eq!(receipts.report(&message, &ben, &DeliveryReport::Delivered), both[..1]);
        assert_eq!(receipts.report(&message, &ben, &DeliveryReport::Displayed), both[1..]);
        // The oldest makes room.
        let other = MessageId::new("n");
        assert_eq!(receipts.report(&other, &ben, &DeliveryReport::Delivered), both[..1]);
        assert_eq!(receipts.report(&message, &ann, &DeliveryReport::Displayed), both);
    }
}
