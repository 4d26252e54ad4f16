//! A schedule: who is to be woken next, among many.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Wakes its members no later than they wish, and seldom earlier: a wish that moves away costs
/// nothing, for timers that are put off with every message are the rule.
#[derive(Debug)]
pub(super) struct Schedule<M> {
    due: BTreeSet<(Instant, M)>,
    at: BTreeMap<M, Instant>,
}

impl<M: Ord + Copy> Default for Schedule<M> {
    fn default() -> Self {
        Self { due: BTreeSet::new(), at: BTreeMap::new() }
    }
}

impl<M: Ord + Copy> Schedule<M> {
    /// Notes when somebody wishes to be woken. One that wishes for nothing, or for later, may be
    /// woken once at the time that it wished for before.
    pub(super) fn note(&mut self, member: M, wish: Option<Instant>) {
        let Some(wish) = wish else { return };
        match self.at.get_mut(&member) {
            Some(at) if *at <= wish => {}
            Some(at) => {
                self.due.remove(&(*at, member));
                *at = wish;
                self.due.insert((wish, member));
            }
            None => {
                self.at.insert(member, wish);
                self.due.insert((wish, member));
            }
        }
    }

    /// Forgets somebody.
    pub(super) fn cancel(&mut self, member: &M) {
        if let Some(at) = self.at.remove(member) {
            self.due.remove(&(at, *member));
        }
    }

    /// Takes the next one whose time has come; it notes its next wish itself.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<M> {
        let (at, member) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        self.at.remove(&member);
        Some(member)
    }

    /// Gives the time of the next one.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_wishes_for_later_is_woken_once_for_nothing() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut schedule = Schedule::default();
        schedule.note('a', Some(at(5)));
        schedule.note('b', Some(at(3)));
        schedule.note('a', Some(at(9)));
        schedule.note('b', Some(at(1)));
        schedule.note('b', None);
        assert_eq!(schedule.next(), Some(at(1)));
        assert_eq!(schedule.pop_due(at(0)), None);
        assert_eq!(schedule.pop_due(at(5)), Some('b'));
        assert_eq!(schedule.pop_due(at(5)), Some('a'));
        schedule.note('a', Some(at(9)));
        assert_eq!((schedule.pop_due(at(5)), schedule.next()), (None, Some(at(9))));
        schedule.cancel(&'a');
        assert_eq!(schedule.next(), None);
    }
}
