//! Messages of a session: what was asked of them, what became of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::address::Address;
use crate::ids::MessageId;

/// The delivery status of TS Chat 5.2.3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageStatus {
    /// The message was delivered to the user.
    Delivered,
    /// The message was displayed to the user.
    Displayed,
    /// The message was not delivered.
    Failed,
}

impl MessageStatus {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Displayed, Self::Failed];

    /// Gives the name as it stands in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "Delivered",
            Self::Displayed => "Displayed",
            Self::Failed => "Failed",
        }
    }
}

/// What a recipient may report: `Failed` is the server's to say (TS Chat 5.2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceivedStatus {
    /// The message reached the user's client.
    Delivered,
    /// The message was shown to the user.
    Displayed,
}

impl ReceivedStatus {
    /// Gives the name as it stands in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        MessageStatus::from(self).as_str()
    }
}

impl From<ReceivedStatus> for MessageStatus {
    fn from(status: ReceivedStatus) -> Self {
        match status {
            ReceivedStatus::Delivered => Self::Delivered,
            ReceivedStatus::Displayed => Self::Displayed,
        }
    }
}

/// Which reports a sender asks for: the `reportRequest` elements of a `ChatMessage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportRequest {
    /// A report on delivery.
    pub delivered: bool,
    /// A report on display.
    pub displayed: bool,
    /// A report on failure.
    pub failed: bool,
}

/// News of a message that was sent, as the wire tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryReport {
    /// It reached the recipient.
    Delivered,
    /// It was shown to the recipient.
    Displayed,
    /// It will not reach the recipient.
    Failed {
        /// The code of the error.
        code: String,
        /// The error in words.
        description: Option<String>,
    },
}

/// A message that was received, kept so that it can be reported on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingMessage {
    /// The id that the sender gave it (`imdn.Message-ID`), where it gave one.
    pub wire_id: Option<String>,
    /// When the sender sent it, as it wrote it (`DateTime`).
    pub date_time: Option<String>,
    /// Which reports the sender asked for.
    pub reports: ReportRequest,
    /// Who sent it, where that is not the other side of a pair.
    pub sender: Option<Address>,
    /// The highest status reported so far.
    reported: Option<ReceivedStatus>,
    text_hash: u64,
}

impl IncomingMessage {
    /// Describes a message on which nothing was reported yet.
    #[must_use]
    pub fn new(wire_id: Option<String>, date_time: Option<String>, reports: ReportRequest) -> Self {
        Self { wire_id, date_time, reports, sender: None, reported: None, text_hash: 0 }
    }

    /// Names the sender.
    #[must_use]
    pub fn from(mut self, sender: &Address) -> Self {
        self.sender = Some(sender.clone());
        self
    }
}

/// The messages of one session whose fate can still change; the oldest make room when it is full.
#[derive(Debug)]
pub struct MessageBook {
    capacity: usize,
    /// The latest last: news mostly come of one that was sent a moment ago.
    sent: VecDeque<Sent>,
    /// How many were sent before the first in `sent`.
    forgotten: u64,
    /// Those in `sent` that are not among the latest, for news that come late, or of nothing: the
    /// hash of each id, and how many messages were sent before it.
    older: BTreeSet<(u64, u64)>,
    received: BTreeMap<MessageId, IncomingMessage>,
    /// The senders' ids of the messages in `received`, with a hash of the text: some senders use
    /// an id twice.
    wire_ids: BTreeSet<(String, u64)>,
    received_in_order: VecDeque<MessageId>,
}

/// A message that was sent.
#[derive(Debug)]
struct Sent {
    id: MessageId,
    /// The hash of the id: to go through many, hardly any text has to be looked at.
    hash: u64,
    asked: ReportRequest,
    /// Whether the next hop has it.
    taken: bool,
    status: Option<MessageStatus>,
}

impl MessageBook {
    /// Opens a book that remembers `capacity` messages in each direction.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            sent: VecDeque::new(),
            forgotten: 0,
            older: BTreeSet::new(),
            received: BTreeMap::new(),
            wire_ids: BTreeSet::new(),
            received_in_order: VecDeque::new(),
        }
    }

    /// Enters a message that was sent.
    pub fn note_sent(&mut self, id: MessageId, asked: ReportRequest) {
        if self.sent.len() >= self.capacity
            && let Some(Sent { hash, .. }) = self.sent.pop_front()
        {
            self.older.remove(&(hash, self.forgotten));
            self.forgotten += 1;
        }
        let hash = hash(id.as_str());
        self.sent.push_back(Sent { id, hash, asked, taken: false, status: None });
        if let Some(place) = self.sent.len().checked_sub(LATEST + 1) {
            self.older.insert((self.sent[place].hash, self.forgotten + place as u64));
        }
    }

    /// Enters a message that was received with `text`.
    pub fn note_received(&mut self, id: MessageId, mut message: IncomingMessage, text: &str) {
        message.text_hash = hash(text);
        if self.received_in_order.len() >= self.capacity
            && let Some(oldest) = self.received_in_order.pop_front()
            && let Some(IncomingMessage { wire_id: Some(wire_id), text_hash, .. }) =
                self.received.remove(&oldest)
        {
            self.wire_ids.remove(&(wire_id, text_hash));
        }
        self.wire_ids.extend(message.wire_id.clone().map(|wire_id| (wire_id, message.text_hash)));
        self.received_in_order.push_back(id.clone());
        self.received.insert(id, message);
    }

    /// Tells whether `text` with the sender's id `wire_id` was received before.
    #[must_use]
    pub fn has_received(&self, wire_id: &str, text: &str) -> bool {
        self.wire_ids.contains(&(wire_id.to_owned(), hash(text)))
    }

    /// Takes news of a sent message and gives the statuses to tell the sender, in order.
    ///
    /// A status only moves forward, and `Delivered` is told before `Displayed` (TS Chat 5.2.3.3);
    /// a duplicate, and news of a message that is unknown or has failed, give nothing.
    pub fn report(&mut self, id: &MessageId, report: &DeliveryReport) -> Vec<MessageStatus> {
        let Some(Sent { status, .. }) = self.sent_mut(id) else { return Vec::new() };
        let news: &[MessageStatus] = match (*status, report) {
            (None, DeliveryReport::Delivered) => &[MessageStatus::Delivered],
            (None, DeliveryReport::Displayed) => {
                &[MessageStatus::Delivered, MessageStatus::Displayed]
            }
            (Some(MessageStatus::Delivered), DeliveryReport::Displayed) => {
                &[MessageStatus::Displayed]
            }
            (None, DeliveryReport::Failed { .. }) => &[MessageStatus::Failed],
            (Some(_), DeliveryReport::Delivered | DeliveryReport::Failed { .. })
            | (Some(MessageStatus::Displayed | MessageStatus::Failed), DeliveryReport::Displayed) => {
                &[]
            }
        };
        if let Some(last) = news.last() {
            *status = Some(*last);
        }
        news.to_vec()
    }

    /// Takes the news that the next hop has a sent message, which is no news for its sender.
    pub fn taken(&mut self, id: &MessageId) {
        if let Some(sent) = self.sent_mut(id) {
            sent.taken = true;
        }
    }

    /// Tells which reports the sender of a sent message has asked for.
    #[must_use]
    pub fn asked(&self, id: &MessageId) -> ReportRequest {
        self.sent(id).map(|sent| sent.asked).unwrap_or_default()
    }

    /// Gives the sent messages that nobody has taken, oldest first: at the end of a session they
    /// have failed.
    #[must_use]
    pub fn untaken(&self) -> Vec<MessageId> {
        let open = |sent: &Sent| !sent.taken && sent.status.is_none();
        self.sent.iter().filter(|sent| open(sent)).map(|sent| sent.id.clone()).collect()
    }

    /// Tells whether a sent message is remembered.
    #[must_use]
    pub fn knows(&self, id: &MessageId) -> bool {
        self.sent(id).is_some()
    }

    fn sent(&self, id: &MessageId) -> Option<&Sent> {
        self.sent.get(self.place_of(id)?)
    }

    fn sent_mut(&mut self, id: &MessageId) -> Option<&mut Sent> {
        let place = self.place_of(id)?;
        self.sent.get_mut(place)
    }

    /// Finds where in `sent` a message stands: the last of those that are called so.
    fn place_of(&self, id: &MessageId) -> Option<usize> {
        let hash = hash(id.as_str());
        let is_it = |place: &usize| {
            self.sent.get(*place).is_some_and(|sent| sent.hash == hash && sent.id == *id)
        };
        let latest = self.sent.len().saturating_sub(LATEST)..self.sent.len();
        latest.rev().find(is_it).or_else(|| {
            let alike = self.older.range((hash, 0)..=(hash, u64::MAX)).rev();
            let mut places = alike
                .filter_map(|(_, sent)| usize::try_from(sent.checked_sub(self.forgotten)?).ok());
            places.find(is_it)
        })
    }

    /// Takes the recipient's report on a received message, and gives the message and what must travel
    /// to its sender: a message that was displayed was delivered, and a sender who has asked for no
    /// more than that is told so. Nothing, where the sender did not ask, or has been told already.
    /// Once the report is on its way, [`MessageBook::reported`] takes note.
    ///
    /// # Errors
    /// The message is unknown.
    pub fn wanted(
        &self,
        id: &MessageId,
        status: ReceivedStatus,
    ) -> Result<Option<(&IncomingMessage, ReceivedStatus)>, UnknownMessage> {
        let message = self.received.get(id).ok_or(UnknownMessage)?;
        let asked = message.reports;
        let told = match status {
            ReceivedStatus::Displayed if asked.displayed => ReceivedStatus::Displayed,
            ReceivedStatus::Displayed | ReceivedStatus::Delivered if asked.delivered => {
                ReceivedStatus::Delivered
            }
            ReceivedStatus::Displayed | ReceivedStatus::Delivered => return Ok(None),
        };
        Ok((message.reported < Some(told)).then_some((message, told)))
    }

    /// Notes that the recipient's report on a received message is on its way, or not wanted.
    pub fn reported(&mut self, id: &MessageId, status: ReceivedStatus) {
        if let Some(message) = self.received.get_mut(id) {
            message.reported = message.reported.max(Some(status));
        }
    }
}

/// So many of the messages that were sent last are looked through one by one.
const LATEST: usize = 64;

/// Hashes a text the same way in every run.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The book holds no message of that id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownMessage;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> MessageId {
        MessageId::new(text)
    }

    fn failed() -> DeliveryReport {
        DeliveryReport::Failed { code: "408".into(), description: None }
    }

    #[test]
    fn a_status_only_moves_forward() {
        let mut book = MessageBook::new(4);
        book.note_sent(id("m"), ReportRequest::default());
        assert_eq!(book.untaken(), [id("m")]);
        assert_eq!(book.report(&id("m"), &DeliveryReport::Delivered), [MessageStatus::Delivered]);
        assert_eq!(book.report(&id("m"), &DeliveryReport::Delivered), []);
        assert_eq!(book.report(&id("m"), &failed()), []);
        assert_eq!(book.report(&id("m"), &DeliveryReport::Displayed), [MessageStatus::Displayed]);
        assert_eq!(book.report(&id("m"), &DeliveryReport::Displayed), []);
        assert_eq!(book.report(&id("other"), &DeliveryReport::Delivered), []);
        book.taken(&id("other"));
        assert_eq!(book.untaken(), []);
    }

    #[test]
    fn displayed_implies_delivered_and_a_failure_is_final() {
        let mut book = MessageBook::new(4);
        book.note_sent(id("a"), ReportRequest::default());
        book.note_sent(id("b"), ReportRequest::default());
        assert_eq!(
            book.report(&id("a"), &DeliveryReport::Displayed),
            [MessageStatus::Delivered, MessageStatus::Displayed]
        );
        assert_eq!(book.report(&id("b"), &failed()), [MessageStatus::Failed]);
        assert_eq!(book.report(&id("b"), &DeliveryReport::Displayed), []);
    }

    #[test]
    fn a_recipient_reports_what_was_asked_for_once() {
        let mut book = MessageBook::new(4);
        let reports = ReportRequest { displayed: true, ..ReportRequest::default() };
        let message = IncomingMessage::new(Some("w".into()), None, reports);
        book.note_received(id("in"), message, "Hello");
        assert!(book.has_received("w", "Hello"));
        assert!(!book.has_received("w", "another text under the same id"));
        assert_eq!(book.wanted(&id("in"), ReceivedStatus::Delivered), Ok(None));
        let displayed = ReceivedStatus::Displayed;
        for _ in 0..2 {
            // Nothing is noted until the report is on its way.
            let told = book.wanted(&id("in"), displayed);
            let told = told.map(|told| told.map(|(m, status)| (m.wire_id.as_deref(), status)));
            assert_eq!(told, Ok(Some((Some("w"), displayed))));
        }
        book.reported(&id("in"), displayed);
        assert_eq!(book.wanted(&id("in"), displayed), Ok(None));
        assert_eq!(book.wanted(&id("x"), displayed), Err(UnknownMessage));
    }

    #[test]
    fn all_that_a_book_remembers_is_found_and_nothing_else() {
        for (capacity, sent) in [(10, 10), (10, 100), (LATEST, 1000), (300, 300), (300, 1000)] {
            let mut book = MessageBook::new(capacity);
            for number in 0..sent {
                book.note_sent(id(&number.to_string()), ReportRequest::default());
            }
            for number in 0..sent {
                let id = id(&number.to_string());
                assert_eq!(book.knows(&id), number + capacity >= sent, "{number} of {sent}");
                book.taken(&id);
            }
            assert_eq!(book.untaken(), []);
            assert_eq!(book.older.len(), capacity.saturating_sub(LATEST), "{capacity}");
        }
        // Of two that are called alike the later one is meant, wherever they stand.
        let mut book = MessageBook::new(3 * LATEST);
        let all = ReportRequest { delivered: true, displayed: true, failed: true };
        for asked in [ReportRequest::default(), all] {
            book.note_sent(id("twice"), asked);
        }
        for number in 0..2 * LATEST {
            assert_eq!(book.asked(&id("twice")), all, "{number}");
            book.note_sent(id(&number.to_string()), ReportRequest::default());
        }
    }

    /// Whoever looks through the whole book for each of them takes minutes.
    #[test]
    fn news_of_unknown_messages_cost_little_however_many_are_remembered() {
        const MANY: usize = 100_000;
        let mut book = MessageBook::new(MANY);
        for number in 0..MANY {
            book.note_sent(id(&number.to_string()), ReportRequest::default());
        }
        for number in MANY..2 * MANY {
            let news = book.report(&id(&number.to_string()), &DeliveryReport::Delivered);
            assert_eq!(news, [], "{number}");
        }
    }

    #[test]
    fn the_book_is_bounded() {
        let mut book = MessageBook::new(2);
        for name in ["a", "b", "c"] {
            book.note_sent(id(name), ReportRequest::default());
            let message = IncomingMessage::new(Some(name.into()), None, ReportRequest::default());
            book.note_received(id(name), message, "hi");
        }
        assert_eq!(book.untaken(), [id("b"), id("c")]);
        assert_eq!(book.wanted(&id("a"), ReceivedStatus::Delivered), Err(UnknownMessage));
        assert!(!book.has_received("a", "hi") && book.has_received("c", "hi"));
    }
}
