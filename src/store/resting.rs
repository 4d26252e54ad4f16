//! The SIP hops that have asked for a pause: 503 with Retry-After (RFC 3261 section 21.5.4).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::sip::Hop;

/// The hops that get nothing new for a while.
#[derive(Debug)]
pub struct Resting {
    longest: Duration,
    until: Mutex<BTreeMap<Hop, Instant>>,
}

impl Resting {
    /// Begins with none; no pause is longer than `longest`, however long a hop wishes it.
    #[must_use]
    pub fn new(longest: Duration) -> Self {
        Self { longest, until: Mutex::default() }
    }

    /// Spares a hop from now on.
    pub fn spare(&self, now: Instant, hop: Hop, wait: Duration) {
        if self.longest.is_zero() {
            return;
        }
        let mut until = self.lock();
        until.retain(|_, end| *end > now);
        if until.len() >= CAPACITY && !until.contains_key(&hop) {
            let first = until.iter().min_by_key(|(_, end)| **end).map(|(hop, _)| hop.clone());
            first.map(|first| until.remove(&first));
        }
        until.insert(hop, now + wait.min(self.longest));
    }

    /// Leaves out the hops that rest.
    ///
    /// # Errors
    /// All of them rest; the error is the time until the first one does not.
    pub fn awake(&self, now: Instant, hops: Vec<Hop>) -> Result<Vec<Hop>, Duration> {
        let until = self.lock();
        let rest = |hop: &Hop| until.get(hop).map(|end| end.saturating_duration_since(now));
        let shortest = hops.iter().filter_map(rest).min();
        let is_awake = |hop: &Hop| rest(hop).is_none_or(|rest| rest.is_zero());
        let awake: Vec<Hop> = hops.into_iter().filter(is_awake).collect();
        match shortest {
            Some(rest) if awake.is_empty() => Err(rest),
            Some(_) | None => Ok(awake),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Hop, Instant>> {
        // Nothing in here can be half done.
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// More hops than any core has.
const CAPACITY: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Transport;

    fn hop(port: u16) -> Hop {
        Hop::new(Transport::Udp, "192.0.2.1", port)
    }

    #[test]
    fn a_hop_rests_as_long_as_it_asked_and_the_others_serve() {
        let (resting, now) = (Resting::new(Duration::from_secs(60)), Instant::now());
        let both = || vec![hop(1), hop(2)];
        assert_eq!(resting.awake(now, both()), Ok(both()));
        resting.spare(now, hop(1), Duration::from_secs(10));
        assert_eq!(resting.awake(now, both()), Ok(vec![hop(2)]));
        resting.spare(now, hop(2), Duration::from_secs(30));
        assert_eq!(resting.awake(now, both()), Err(Duration::from_secs(10)));
        let later = now + Duration::from_secs(10);
        assert_eq!(resting.awake(later, both()), Ok(vec![hop(1)]));
        assert_eq!(resting.awake(later, vec![]), Ok(vec![]));
    }

    #[test]
    fn nobody_rests_longer_than_is_good_for_us() {
        let now = Instant::now();
        let resting = Resting::new(Duration::from_secs(60));
        resting.spare(now, hop(1), Duration::from_secs(86_400));
        assert_eq!(resting.awake(now, vec![hop(1)]), Err(Duration::from_secs(60)));
        let never = Resting::new(Duration::ZERO);
        never.spare(now, hop(1), Duration::from_secs(5));
        assert_eq!(never.awake(now, vec![hop(1)]), Ok(vec![hop(1)]));
    }

    #[test]
    fn the_table_is_bounded_and_keeps_who_rests_longest() {
        let (resting, now) = (Resting::new(Duration::from_secs(60_000)), Instant::now());
        for port in 1..=1000 {
            resting.spare(now, hop(port), Duration::from_secs(port.into()));
        }
        assert_eq!(resting.lock().len(), CAPACITY);
        assert_eq!(resting.awake(now, vec![hop(1)]), Ok(vec![hop(1)]));
        assert!(resting.awake(now, vec![hop(1000)]).is_err());
        // What is over makes room.
        resting.spare(now + Duration::from_secs(2000), hop(1), Duration::from_secs(1));
        assert_eq!(resting.lock().len(), 1);
    }
}
