//! A table that forgets what was not touched lately, and never grows beyond its bound.

use std::collections::BTreeMap;
use std::mem;
use std::time::{Duration, Instant};

/// Keeps what was touched in the last `age`, and at most twice that long; where more than `capacity`
/// are touched meanwhile, the older ones go. Forgetting costs nothing per entry.
#[derive(Debug)]
pub(super) struct Generations<K, V> {
    young: BTreeMap<K, V>,
    old: BTreeMap<K, V>,
    age: Duration,
    capacity: usize,
    turned: Option<Instant>,
}

impl<K: Ord, V> Generations<K, V> {
    pub(super) fn new(age: Duration, capacity: usize) -> Self {
        let (young, old) = (BTreeMap::new(), BTreeMap::new());
        Self { young, old, age, capacity: capacity.max(1), turned: None }
    }

    /// Gives what is known of `key`, if anything, and touches nothing.
    pub(super) fn peek(&mut self, now: Instant, key: &K) -> Option<&V> {
        self.turn(now);
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Gives what is known of `key`, to be changed; begun with `first` where nothing is.
    pub(super) fn touch(&mut self, now: Instant, key: K, first: impl FnOnce() -> V) -> &mut V {
        self.turn(now);
        let known = self.old.remove(&key);
        if self.young.len() >= self.capacity && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
            self.turned = Some(now);
        }
        self.young.entry(key).or_insert_with(|| known.unwrap_or_else(first))
    }

    fn turn(&mut self, now: Instant) {
        let turned = *self.turned.get_or_insert(now);
        let since = now.saturating_duration_since(turned);
        if since >= self.age {
            self.old = mem::take(&mut self.young);
            if since >= 2 * self.age {
                self.old.clear();
            }
            self.turned = Some(now);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_stays_and_the_rest_goes() {
        let (start, age) = (Instant::now(), Duration::from_secs(10));
        let mut table = Generations::new(age, 100);
        *table.touch(start, 'a', || 0) += 1;
        *table.touch(start, 'b', || 0) += 1;
        *table.touch(start + age, 'a', || 0) += 1;
        let later = start + 2 * age;
        assert_eq!(table.peek(later, &'a'), Some(&2));
        assert_eq!(table.peek(later, &'b'), None);
        assert_eq!(table.peek(later + 5 * age, &'a'), None);
    }

    #[test]
    fn it_never_grows_beyond_its_bound() {
        let start = Instant::now();
        let mut table = Generations::new(Duration::from_secs(3600), 10);
        for key in 0..1_000_000 {
            *table.touch(start, key, || 0) += 1;
        }
        assert!(table.len() <= 20, "{}", table.len());
        assert_eq!(table.peek(start, &999_999), Some(&1));
    }
}
