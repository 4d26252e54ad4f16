//! How many connections there are, in all and of each source.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::source_of;

/// Counts connections; it holds no more sources than there may be connections.
#[derive(Debug)]
pub struct Crowd {
    total: usize,
    per_source: usize,
    count: usize,
    sources: BTreeMap<IpAddr, usize>,
}

impl Crowd {
    /// Has room for `total` connections, and for `per_source` of one source.
    #[must_use]
    pub fn new(total: usize, per_source: usize) -> Self {
        Self { total, per_source, count: 0, sources: BTreeMap::new() }
    }

    /// Takes a place, to be given back by [`Self::leave`]; tells whether there was one.
    #[must_use]
    pub fn enter(&mut self, source: IpAddr) -> bool {
        let source = source_of(source);
        let here = self.sources.get(&source).copied().unwrap_or(0);
        if self.count >= self.total || here >= self.per_source {
            return false;
        }
        self.count += 1;
        self.sources.insert(source, here + 1);
        true
    }

    /// Gives a place back.
    pub fn leave(&mut self, source: IpAddr) {
        let source = source_of(source);
        if let Some(here) = self.sources.get_mut(&source) {
            self.count -= 1;
            *here -= 1;
            if *here == 0 {
                self.sources.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn there_is_room_for_some_of_each_and_for_so_many_in_all() {
        let mut crowd = Crowd::new(5, 3);
        let [a, b, c] = ["192.0.2.1", "::ffff:192.0.2.2", "2001:db8::1"]
            .map(|source| source.parse::<IpAddr>().unwrap());
        assert_eq!(
            [crowd.enter(a), crowd.enter(a), crowd.enter(a), crowd.enter(a)].map(u8::from),
            [1, 1, 1, 0]
        );
        assert!(crowd.enter(b) && crowd.enter(c));
        assert!(!crowd.enter(c), "full");
        crowd.leave(a);
        assert!(crowd.enter(c) && !crowd.enter(b));
        for source in [a, a, b, c, c] {
            crowd.leave(source);
        }
        crowd.leave(a);
        assert_eq!((crowd.count, crowd.sources.len()), (0, 0));
    }
}
