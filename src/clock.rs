//! Wall time for machines that are only handed instants.

use std::time::{Duration, Instant};

use time::OffsetDateTime;

/// A pair of readings of the monotonic and the wall clock, taken once by the shell.
#[derive(Debug, Clone, Copy)]
pub struct Anchor {
    at: Instant,
    wall: OffsetDateTime,
}

impl Anchor {
    /// Ties `wall` to `at`; both were read at the same moment.
    #[must_use]
    pub fn new(at: Instant, wall: OffsetDateTime) -> Self {
        Self { at, wall }
    }

    /// Gives the wall time (UTC) at the instant `now`.
    #[must_use]
    pub fn wall(&self, now: Instant) -> OffsetDateTime {
        match now.checked_duration_since(self.at) {
            Some(since) => self.wall + since,
            None => self.wall - self.at.duration_since(now),
        }
    }

    /// Gives the instant at which the wall clock shows `wall`, for deadlines that peers name.
    #[must_use]
    pub fn instant(&self, wall: OffsetDateTime) -> Instant {
        let ahead = wall - self.wall;
        let distance = Duration::try_from(ahead.abs()).unwrap_or_default();
        if ahead.is_negative() {
            self.at.checked_sub(distance).unwrap_or(self.at)
        } else {
            self.at + distance
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_follows_the_instant_both_ways() {
        let at = Instant::now() + Duration::from_secs(10);
        let anchor = Anchor::new(at, OffsetDateTime::UNIX_EPOCH);
        let later = at + Duration::from_secs(5);
        assert_eq!(anchor.wall(later), OffsetDateTime::UNIX_EPOCH + Duration::from_secs(5));
        assert_eq!(anchor.instant(anchor.wall(later)), later);
        let earlier = at - Duration::from_secs(5);
        assert_eq!(anchor.instant(anchor.wall(earlier)), earlier);
    }
}
