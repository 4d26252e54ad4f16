//! A bounded queue of notifications: in order, kept until written, loud about what it had to drop.
//!
//! ```text
//!   history (written, may be read again) │ handed out │ waiting
//!   ◀── rewind ──────────────────────────┤            │        ◀── push
//!                     ── written ───────▶│            │
//! ```
//! When the queue is full the oldest waiting notice is given up: a [`Loss`] takes its place and
//! counts for its subscription what follows. Losses take no room: there is at most one waiting for
//! each subscription. What is handed out is not given up until it is released.
//!
//! What that means for the store is noted as changes, for the owner to take and write behind: what
//! has left the queue ends, and a [`Loss`] is put in the place of the first that it stands for.
//! Written notifications end once the reader has acknowledged them; a restart hands out the others
//! again, and tells of those that had no room.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::durable::{Change, NotificationRecord};
use super::subscriptions::Subscription;
use crate::chat::Notice;
use crate::ids::NotificationId;

/// A notification for one subscription, written as a document only when it is handed out.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Its id, the same on every attempt.
    pub id: NotificationId,
    /// Its number in the store, where it is kept there.
    pub sequence: Option<u64>,
    /// Whom it is for.
    pub subscription: Arc<Subscription>,
    /// When it was queued.
    pub since: Instant,
    /// What it says.
    pub content: Content,
}

/// What a notification says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Something happened.
    Notice(Arc<Notice>),
    /// Notifications had to be given up.
    Lost(Loss),
}

/// What had to be given up.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// How many notices.
    pub count: u64,
    /// The first of them.
    pub oldest: Arc<Notice>,
}

impl Queued {
    fn is_notice(&self) -> bool {
        match self.content {
            Content::Notice(_) => true,
            Content::Lost(_) => false,
        }
    }

    /// Gives the change that keeps it in the store, where it is kept there.
    #[must_use]
    pub fn put(&self) -> Option<Change> {
        Some(Change::PutNotification(NotificationRecord {
            sequence: self.sequence?,
            id: self.id.clone(),
            subscription: self.subscription.id.clone(),
            content: self.content.clone(),
        }))
    }

    fn end(&self) -> Option<Change> {
        self.sequence.map(Change::EndNotification)
    }

    fn is_loss_of(&self, subscription: &Subscription) -> bool {
        !self.is_notice() && self.subscription.id == subscription.id
    }

    /// Gives the loss where this is one for `subscription`.
    fn loss_of(&mut self, subscription: &Subscription) -> Option<&mut Loss> {
        match &mut self.content {
            Content::Lost(loss) if self.subscription.id == subscription.id => Some(loss),
            Content::Lost(_) | Content::Notice(_) => None,
        }
    }
}

/// The queue.
#[derive(Debug)]
pub struct Backlog {
    capacity: usize,
    reread: usize,
    history: VecDeque<Queued>,
    pending: VecDeque<Queued>,
    handed: usize,
    /// How many of the history, the last ones, the reader has not acknowledged.
    unacknowledged: usize,
    /// What has left the history unacknowledged, counted for each subscription.
    slipped: Vec<Queued>,
    changes: Vec<Change>,
}

impl Backlog {
    /// Opens a queue of `capacity` notifications (at least 2) that keeps the last `reread` written
    /// ones for [`Backlog::rewind`].
    #[must_use]
    pub fn new(capacity: usize, reread: usize) -> Self {
        let capacity = capacity.max(2);
        Self {
            capacity,
            reread,
            history: VecDeque::new(),
            pending: VecDeque::new(),
            handed: 0,
            unacknowledged: 0,
            slipped: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Queues a notification and tells how many others it cost.
    pub fn push(&mut self, queued: Queued) -> u64 {
        let mut lost = 0;
        while self.is_full() && self.give_up_oldest(queued.since) {
            lost += 1;
        }
        self.pending.push_back(queued);
        lost
    }

    /// Hands out the next notifications, at most `max`; they stay queued until written.
    pub fn hand_out(&mut self, max: usize) -> Vec<Queued> {
        // One notice at least is not handed out, so that a full queue has one to give up.
        let count = self.pending.len().min(max).min(self.capacity - 1);
        self.handed = self.handed.max(count);
        self.pending.iter().take(count).cloned().collect()
    }

    /// Takes everything up to and including `last` as written.
    pub fn written(&mut self, last: &NotificationId) {
        let Some(place) = self.pending.iter().position(|queued| queued.id == *last) else {
            return;
        };
        self.handed = self.handed.saturating_sub(place + 1);
        self.history.extend(self.pending.drain(..=place));
        self.unacknowledged += place + 1;
        let acknowledged = self.history.len().saturating_sub(self.unacknowledged);
        let surplus = self.history.len().saturating_sub(self.reread);
        let mut grown = BTreeSet::new();
        for (place, queued) in self.history.drain(..surplus).enumerate() {
            if self.reread > 0 && place >= acknowledged {
                grown.insert(slip((&mut self.slipped, &mut self.changes), queued));
            } else {
                self.changes.extend(queued.end());
            }
        }
        let grown = grown.into_iter().filter_map(|place| self.slipped.get(place));
        self.changes.extend(grown.filter_map(Queued::put));
        self.unacknowledged = self.unacknowledged.min(self.history.len());
    }

    /// Takes what was written as read.
    pub fn acknowledge(&mut self) {
        self.changes.extend(self.slipped.drain(..).filter_map(|loss| loss.end()));
        for queued in self.history.iter_mut().rev().take(self.unacknowledged) {
            self.changes.extend(queued.end());
            queued.sequence = None;
        }
        self.unacknowledged = 0;
    }

    /// Takes what has changed for the store since the last call.
    #[must_use]
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Takes back what was handed out and could not be written.
    pub fn release(&mut self) {
        self.handed = 0;
        self.unite_losses();
    }

    /// Goes back to what follows `since`, the last notification that the reader has.
    ///
    /// An id that is no longer known has left the history, so all of the history follows it, and
    /// before that a [`Loss`] of what has left it unacknowledged.
    pub fn rewind(&mut self, since: &NotificationId) {
        if self.pending.iter().any(|queued| queued.id == *since) {
            self.written(since);
            return;
        }
        let known = self.history.iter().position(|queued| queued.id == *since);
        self.rewind_to(known.map_or(0, |place| place + 1));
        if known.is_none() {
            self.tell_slipped();
        }
    }

    /// Goes back to what was written and not acknowledged, and before that to a [`Loss`] of what of
    /// it has left the history.
    pub fn take_back(&mut self) {
        self.rewind_to(self.history.len().saturating_sub(self.unacknowledged));
        self.tell_slipped();
    }

    fn tell_slipped(&mut self) {
        for loss in std::mem::take(&mut self.slipped).into_iter().rev() {
            self.pending.push_front(loss);
        }
        self.release();
    }

    /// Has all written ones from that place on wait again.
    fn rewind_to(&mut self, place: usize) {
        let again = self.history.split_off(place);
        self.unacknowledged = self.unacknowledged.saturating_sub(again.len());
        for queued in again.into_iter().rev() {
            self.pending.push_front(queued);
        }
        self.release();
    }

    /// Gives up what waits since `limit` or longer and tells how many notices that were.
    pub fn give_up_older(&mut self, now: Instant, limit: Instant) -> u64 {
        self.release();
        let mut lost = 0;
        while let Some(place) = self.pending.iter().position(|queued| queued.since <= limit) {
            lost += u64::from(self.give_up(place, now));
        }
        lost
    }

    /// Gives up the first of what was handed out, for it is wanted no more; a notice is told to be
    /// lost with the next that is handed out, a loss itself is not.
    pub fn give_up_first(&mut self, now: Instant) -> bool {
        self.release();
        self.give_up(0, now)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.history.clear();
        self.pending.clear();
        self.slipped.clear();
        (self.handed, self.unacknowledged) = (0, 0);
    }

    /// Forgets what is for a subscription that has ended.
    pub fn forget(&mut self, subscription: &Subscription) {
        let is_kept = |queued: &Queued| queued.subscription.id != subscription.id;
        let gone = self.pending.iter().take(self.handed).filter(|q| !is_kept(q)).count();
        self.handed -= gone;
        self.pending.retain(is_kept);
        let unacknowledged = self.history.iter().rev().take(self.unacknowledged);
        self.unacknowledged = unacknowledged.filter(|queued| is_kept(queued)).count();
        self.history.retain(is_kept);
        self.slipped.retain(is_kept);
    }

    /// Tells whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Counts what waits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    fn is_full(&self) -> bool {
        self.pending.len() >= self.capacity
            && self.pending.iter().filter(|queued| queued.is_notice()).count() >= self.capacity
    }

    /// Gives up the oldest notice that is not handed out and tells whether there was one.
    fn give_up_oldest(&mut self, now: Instant) -> bool {
        match self.pending.iter().skip(self.handed).position(Queued::is_notice) {
            Some(place) => self.give_up(self.handed + place, now),
            None => false,
        }
    }

    /// Takes the notification at `place` out, and a [`Loss`] in for it where it is a notice; tells
    /// whether it was one.
    fn give_up(&mut self, place: usize, now: Instant) -> bool {
        let Some(gone) = self.pending.remove(place) else {
            return false;
        };
        self.changes.extend(gone.end());
        let Queued { id, sequence, subscription, content, .. } = gone;
        let Content::Notice(notice) = content else {
            return false;
        };
        // What a loss says changes as it grows, and its id with it: readers skip ids they know.
        let id = NotificationId::new(format!("{id}-lost"));
        let mut waiting = self.pending.iter_mut().enumerate().skip(self.handed);
        let earlier = waiting.find_map(|(i, q)| {
            let number = q.sequence;
            q.loss_of(&subscription).map(|loss| (i, number, loss.clone()))
        });
        let (place, sequence, loss) = match earlier {
            Some((place, number, Loss { count, oldest })) => {
                self.pending.remove(place);
                (place, number.or(sequence), Loss { count: count + 1, oldest })
            }
            None => (place, sequence, Loss { count: 1, oldest: notice }),
        };
        let content = Content::Lost(loss);
        let lost = Queued { id, sequence, subscription, since: now, content };
        self.changes.extend(lost.put());
        self.pending.insert(place, lost);
        true
    }

    /// Makes one of the losses of each subscription, in place of the last; a loss that was handed
    /// out could not grow, so another may have begun behind it.
    fn unite_losses(&mut self) {
        let mut place = self.pending.len();
        while place > 0 {
            place -= 1;
            let Some(Queued { subscription, content: Content::Lost(loss), .. }) =
                self.pending.get(place)
            else {
                continue;
            };
            let (subscription, loss) = (Arc::clone(subscription), loss.clone());
            let mut later = self.pending.iter_mut().skip(place + 1);
            let Some(other) = later.find(|queued| queued.is_loss_of(&subscription)) else {
                continue;
            };
            if let Some(united) = other.loss_of(&subscription) {
                *united = Loss { count: loss.count + united.count, oldest: loss.oldest };
            }
            self.changes.extend(other.put());
            if let Some(gone) = self.pending.remove(place) {
                self.changes.extend(gone.end());
            }
        }
    }
}

/// What the id of a loss of what has slipped has behind that of the first.
const SLIPPED: &str = "-slipped";

/// Counts one more that has left the history unacknowledged, and tells the place of its loss, which
/// has the number of the first that it stands for.
fn slip((slipped, changes): (&mut Vec<Queued>, &mut Vec<Change>), gone: Queued) -> usize {
    let Loss { count, oldest } = match &gone.content {
        Content::Notice(oldest) => Loss { count: 1, oldest: Arc::clone(oldest) },
        Content::Lost(loss) => loss.clone(),
    };
    let earlier = slipped.iter_mut().enumerate().find_map(|(place, queued)| {
        let number = queued.sequence;
        queued.loss_of(&gone.subscription).map(|loss| (place, number, loss))
    });
    if let Some((place, number, earlier)) = earlier {
        earlier.count += count;
        if number.is_some() {
            changes.extend(gone.end());
        } else if let Some(loss) = slipped.get_mut(place) {
            loss.sequence = gone.sequence;
        }
        return place;
    }
    // Readers skip ids they know: a loss that was read has another when it grows, as often as that is.
    let id = match (&gone.content, gone.id.as_str().split_once(SLIPPED)) {
        (Content::Lost(_), Some((first, times))) => {
            let times: u64 = times.trim_start_matches('-').parse().unwrap_or(1);
            format!("{first}{SLIPPED}-{}", times.saturating_add(1))
        }
        (Content::Lost(_) | Content::Notice(_), _) => format!("{}{SLIPPED}", gone.id),
    };
    let id = NotificationId::new(id);
    slipped.push(Queued { id, content: Content::Lost(Loss { count, oldest }), ..gone });
    slipped.len() - 1
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::wildcard_enum_match_arm)]

    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;
    use time::OffsetDateTime;

    use super::*;
    use crate::address::Address;
    use crate::chat::{EventType, NoticeKind, NotificationFormat};
    use crate::ids::{SessionId, SubscriptionId};

    #[test]
    fn what_is_handed_out_stays_until_written() {
        let mut backlog = backlog(10, ["1", "2", "3"]);
        assert_eq!(hand(&mut backlog, 2), ["1", "2"]);
        assert_eq!(hand(&mut backlog, 2), ["1", "2"]);
        backlog.written(&NotificationId::new("2"));
        assert_eq!(hand(&mut backlog, 2), ["3"]);
        backlog.written(&NotificationId::new("2"));
        backlog.written(&NotificationId::new("3"));
        assert!(backlog.is_empty());
    }

    #[test]
    fn a_full_queue_gives_up_the_oldest_and_says_so() {
        let mut backlog = backlog(3, ["1", "2", "3"]);
        assert_eq!(backlog.push(notice("4", "s")), 1);
        assert_eq!(backlog.push(notice("5", "s")), 1);
        assert_eq!(show(&backlog), ["2-lost: 2", "3", "4", "5"]);
    }

    #[test]
    fn what_is_handed_out_is_not_given_up() {
        let mut backlog = backlog(3, ["1", "2", "3"]);
        assert_eq!(hand(&mut backlog, 9), ["1", "2"]);
        backlog.push(notice("4", "s"));
        assert_eq!(show(&backlog), ["1", "2", "3-lost: 1", "4"]);
        backlog.written(&NotificationId::new("2"));
        backlog.push(notice("5", "s"));
        assert_eq!(show(&backlog), ["3-lost: 1", "4", "5"]);
    }

    #[test]
    fn a_loss_that_was_handed_out_does_not_change_and_losses_unite_when_released() {
        let mut backlog = backlog(3, ["1", "2", "3", "4"]);
        assert_eq!(hand(&mut backlog, 1), ["1-lost"]);
        backlog.push(notice("5", "s"));
        assert_eq!(show(&backlog), ["1-lost: 1", "2-lost: 1", "3", "4", "5"]);
        backlog.release();
        assert_eq!(show(&backlog), ["2-lost: 2", "3", "4", "5"]);
    }

    #[test]
    fn each_subscription_has_its_own_loss() {
        let mut backlog = Backlog::new(2, 0);
        for (id, subscription) in [("1", "a"), ("2", "b"), ("3", "a"), ("4", "b"), ("5", "a")] {
            backlog.push(notice(id, subscription));
        }
        assert_eq!(show(&backlog), ["3-lost: 2", "2-lost: 1", "4", "5"]);
        backlog.forget(&subscription("a"));
        assert_eq!(show(&backlog), ["2-lost: 1", "4"]);
    }

    #[test]
    fn a_reader_goes_back_to_the_last_notification_it_has() {
        let mut backlog = backlog(10, ["1", "2", "3", "4"]);
        backlog.written(&NotificationId::new("3"));
        backlog.rewind(&NotificationId::new("1"));
        assert_eq!(hand(&mut backlog, 9), ["2", "3", "4"]);
        // What still waits and is named was read all the same.
        backlog.rewind(&NotificationId::new("3"));
        assert_eq!(hand(&mut backlog, 9), ["4"]);
        backlog.written(&NotificationId::new("4"));
        backlog.rewind(&NotificationId::new("long gone"));
        assert_eq!(hand(&mut backlog, 9), ["1", "2", "3", "4"]);
    }

    #[test]
    fn what_was_written_and_not_acknowledged_is_taken_back() {
        let mut backlog = backlog(10, ["1", "2", "3", "4"]);
        backlog.written(&NotificationId::new("1"));
        backlog.acknowledge();
        backlog.written(&NotificationId::new("3"));
        backlog.take_back();
        assert_eq!(hand(&mut backlog, 9), ["2", "3", "4"]);
        backlog.take_back();
        assert_eq!(hand(&mut backlog, 9), ["2", "3", "4"]);
    }

    #[test]
    fn what_has_left_the_history_unacknowledged_is_told_to_who_asks_for_it() {
        let full = || {
            let mut backlog = Backlog::new(10, 2);
            for (id, to) in [("1", "a"), ("2", "a"), ("3", "b"), ("4", "a"), ("5", "a"), ("6", "a")]
            {
                backlog.push(notice(id, to));
            }
            backlog.written(&NotificationId::new("1"));
            backlog.acknowledge();
            backlog.written(&NotificationId::new("6"));
            backlog
        };
        let mut backlog = full();
        backlog.rewind(&NotificationId::new("1"));
        assert_eq!(show(&backlog), ["2-slipped: 2", "3-slipped: 1", "5", "6"]);
        let mut backlog = full();
        backlog.rewind(&NotificationId::new("5"));
        assert_eq!(show(&backlog), ["6"]);
        backlog.acknowledge();
        backlog.rewind(&NotificationId::new("1"));
        assert_eq!(show(&backlog), ["5", "6"], "who had the fifth had what was before it");
    }

    #[test]
    fn the_history_is_bounded() {
        let mut backlog = Backlog::new(10, 1);
        backlog.push(notice("1", "s"));
        backlog.push(notice("2", "s"));
        backlog.written(&NotificationId::new("2"));
        backlog.acknowledge();
        backlog.rewind(&NotificationId::new("0"));
        assert_eq!(show(&backlog), ["2"]);
    }

    #[test]
    fn what_waits_too_long_is_given_up_and_the_loss_itself_in_its_time() {
        let mut backlog = backlog(10, ["1", "2"]);
        let since = backlog.pending[1].since;
        let later = since + Duration::from_secs(9);
        assert_eq!(backlog.give_up_older(later, since), 2);
        assert_eq!(show(&backlog), ["2-lost: 2"]);
        assert_eq!(backlog.give_up_older(later, since), 0);
        assert_eq!(backlog.give_up_older(later, later), 0);
        assert!(backlog.is_empty());
    }

    /// What happens to a queue.
    #[derive(Debug, Clone)]
    enum Act {
        Push,
        Write(usize),
        Fail(usize),
        Overflow(usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => Just(Act::Push),
            1 => (1..6_usize).prop_map(Act::Write),
            1 => (1..6_usize).prop_map(Act::Fail),
            1 => (1..6_usize).prop_map(Act::Overflow),
        ]
    }

    proptest! {
        /// Every notice is read once, in order, or counted in one loss that is read before any
        /// later notice. The store holds what waits, in the same order.
        #[test]
        fn nothing_is_lost_in_silence(capacity in 2..6_usize, acts in prop::collection::vec(act(), 0..60)) {
            let mut backlog = Backlog::new(capacity, 0);
            let kept = RefCell::new(Kept::default());
            let (mut pushed, mut accounted) = (0_u64, 0_u64);
            let mut push = |backlog: &mut Backlog| {
                let queued = notice(&pushed.to_string(), "s");
                kept.borrow_mut().apply(queued.put());
                backlog.push(queued);
                kept.borrow_mut().apply(backlog.take_changes());
                pushed += 1;
                assert!(backlog.len() <= 2 * capacity);
            };
            for act in acts.into_iter().chain(std::iter::repeat_n(Act::Write(6), 60)) {
                match act {
                    Act::Push => push(&mut backlog),
                    Act::Fail(max) => {
                        backlog.hand_out(max);
                        backlog.release();
                    }
                    Act::Write(max) => accounted = write(&mut backlog, max, accounted, |_| ()),
                    Act::Overflow(max) => {
                        let overflow = |backlog: &mut Backlog| (0..6).for_each(|_| push(backlog));
                        accounted = write(&mut backlog, max, accounted, overflow);
                    }
                }
                kept.borrow_mut().apply(backlog.take_changes());
                assert_eq!(kept.borrow().ids(), ids(&backlog.pending));
            }
            prop_assert!(backlog.is_empty());
            prop_assert_eq!(accounted, pushed);
        }
    }

    #[test]
    fn what_was_written_is_kept_until_it_is_acknowledged() {
        let mut backlog = Backlog::new(10, 2);
        let mut kept = Kept::default();
        for id in ["1", "2", "3", "4"] {
            let queued = notice(id, "s");
            kept.apply(queued.put());
            backlog.push(queued);
        }
        backlog.written(&NotificationId::new("3"));
        kept.apply(backlog.take_changes());
        assert_eq!(
            kept.ids(),
            ["1-slipped", "2", "3", "4"],
            "what cannot be read again is counted"
        );
        backlog.rewind(&NotificationId::new("2"));
        backlog.acknowledge();
        kept.apply(backlog.take_changes());
        assert_eq!(kept.ids(), ["3", "4"]);
        backlog.written(&NotificationId::new("4"));
        backlog.acknowledge();
        kept.apply(backlog.take_changes());
        assert_eq!(kept.ids(), [""; 0]);
        backlog.acknowledge();
        assert!(backlog.take_changes().is_empty());
    }

    #[test]
    fn a_loss_that_slips_again_has_another_id_and_no_longer_one() {
        let (mut gone, mut seen) = (notice("1", "a"), BTreeSet::new());
        for _ in 0..1000 {
            let mut slipped = Vec::new();
            slip((&mut slipped, &mut Vec::new()), gone);
            gone = slipped.pop().expect("it is counted");
            assert!(seen.insert(gone.id.clone()), "{}", gone.id);
        }
        assert_eq!(gone.id.as_str(), "1-slipped-1000");
    }

    #[test]
    fn what_has_slipped_is_counted_in_the_store_until_it_is_acknowledged() {
        let mut backlog = Backlog::new(10, 1);
        let mut kept = Kept::default();
        for (id, to) in [("1", "a"), ("2", "b"), ("3", "a"), ("4", "a"), ("5", "a"), ("6", "a")] {
            let queued = notice(id, to);
            kept.apply(queued.put());
            backlog.push(queued);
        }
        for (last, ids) in [
            ("4", &["1-slipped", "2-slipped", "4", "5", "6"][..]),
            ("5", &["1-slipped", "2-slipped", "5", "6"]),
        ] {
            backlog.written(&NotificationId::new(last));
            kept.apply(backlog.take_changes());
            assert_eq!(kept.ids(), ids);
        }
        backlog.take_back();
        assert_eq!(show(&backlog), ["1-slipped: 3", "2-slipped: 1", "5", "6"]);
        assert!(backlog.take_changes().is_empty());
        backlog.written(&NotificationId::new("6"));
        kept.apply(backlog.take_changes());
        assert_eq!(kept.ids(), ["1-slipped-2", "2-slipped-2", "6"]);
        backlog.acknowledge();
        kept.apply(backlog.take_changes());
        assert_eq!(kept.ids(), [""; 0]);
    }

    #[test]
    fn what_is_not_kept_leaves_no_trace() {
        let mut backlog = Backlog::new(2, 1);
        for id in ["a", "b", "c", "d"] {
            backlog.push(notice(id, "s"));
        }
        backlog.written(&NotificationId::new("d"));
        backlog.acknowledge();
        assert!(backlog.take_changes().is_empty());
    }

    /// What a store makes of the changes.
    #[derive(Default)]
    struct Kept(BTreeMap<u64, NotificationId>);

    impl Kept {
        fn apply(&mut self, changes: impl IntoIterator<Item = Change>) {
            for change in changes {
                match change {
                    Change::PutNotification(record) => self.0.insert(record.sequence, record.id),
                    Change::EndNotification(sequence) => self.0.remove(&sequence),
                    other => panic!("{other:?}"),
                };
            }
        }

        fn ids(&self) -> Vec<&str> {
            self.0.values().map(NotificationId::as_str).collect()
        }
    }

    fn ids(queue: &VecDeque<Queued>) -> Vec<&str> {
        queue.iter().map(|queued| queued.id.as_str()).collect()
    }

    /// Writes what is handed out, with something happening `meanwhile`; gives the number of the
    /// notice that must be read next.
    fn write(
        backlog: &mut Backlog,
        max: usize,
        next: u64,
        meanwhile: impl FnOnce(&mut Backlog),
    ) -> u64 {
        let batch = backlog.hand_out(max);
        meanwhile(backlog);
        if let Some(last) = batch.last() {
            backlog.written(&last.id);
        }
        batch.iter().fold(next, |next, queued| match &queued.content {
            Content::Lost(loss) => next + loss.count,
            Content::Notice(_) => {
                assert_eq!(queued.id.to_string(), next.to_string());
                next + 1
            }
        })
    }

    fn backlog<const N: usize>(capacity: usize, ids: [&str; N]) -> Backlog {
        let mut backlog = Backlog::new(capacity, 10);
        for id in ids {
            backlog.push(notice(id, "s"));
        }
        backlog
    }

    pub(in crate::store) fn notice(id: &str, to: &str) -> Queued {
        let event = EventType::Accepted;
        let kind = NoticeKind::Event { event, description: None, message: None };
        let user = subscription(to).user;
        let session = SessionId::new(format!("session of {id}"));
        let notice = Notice {
            user,
            session,
            of: crate::chat::SessionKind::Pair,
            at: OffsetDateTime::UNIX_EPOCH,
            kind,
        };
        Queued {
            id: NotificationId::new(id),
            sequence: id.parse().ok(),
            subscription: Arc::new(subscription(to)),
            since: Instant::now(),
            content: Content::Notice(Arc::new(notice)),
        }
    }

    fn subscription(id: &str) -> Subscription {
        Subscription {
            id: SubscriptionId::new(id),
            user: Address::anonymous(),
            user_base: String::new(),
            resource_url: String::new(),
            notify_url: String::new(),
            callback_data: None,
            format: NotificationFormat::Json,
            client_correlator: None,
            duration: None,
            expires: None,
            echo: true,
        }
    }

    fn hand(backlog: &mut Backlog, max: usize) -> Vec<String> {
        backlog.hand_out(max).iter().map(|queued| queued.id.to_string()).collect()
    }

    fn show(backlog: &Backlog) -> Vec<String> {
        let show = |queued: &Queued| match &queued.content {
            Content::Notice(_) => queued.id.to_string(),
            Content::Lost(loss) => format!("{}: {}", queued.id, loss.count),
        };
        backlog.pending.iter().map(show).collect()
    }
}
