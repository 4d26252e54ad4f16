//! How often somebody may ask: a bucket of tokens for each.

use std::time::{Duration, Instant};

use super::generations::Generations;

/// A rate that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many requests a second, in the long run; `0` is any.
    pub per_second: u32,
    /// How many at once.
    pub burst: u32,
    /// How many users are remembered.
    pub users: usize,
}

/// The buckets, by user.
#[derive(Debug)]
pub struct Rates {
    rate: Rate,
    buckets: Generations<Box<str>, Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rates {
    /// Makes the buckets; each is full at first.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        // A bucket that was full again for a while may be forgotten.
        let full = f64::from(rate.burst) / f64::from(rate.per_second.max(1));
        let age = Duration::from_secs_f64(full.clamp(1.0, 86_400.0));
        Self { rate, buckets: Generations::new(age, rate.users) }
    }

    /// Takes a token of a user.
    ///
    /// # Errors
    /// There is none; gives the time until there is.
    pub fn take(&mut self, now: Instant, user: &str) -> Result<(), Duration> {
        let Rate { per_second, burst, .. } = self.rate;
        if per_second == 0 {
            return Ok(());
        }
        let (speed, most) = (f64::from(per_second), f64::from(burst.max(1)));
        let full = || Bucket { tokens: most, at: now };
        let bucket = self.buckets.touch(now, user.into(), full);
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        let tokens = (bucket.tokens + since * speed).min(most);
        let (left, answer) = if tokens >= 1.0 {
            (tokens - 1.0, Ok(()))
        } else {
            (tokens, Err(Duration::from_secs_f64((1.0 - tokens) / speed)))
        };
        *bucket = Bucket { tokens: left, at: now.max(bucket.at) };
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_the_rate_holds() {
        let mut rates = Rates::new(Rate { per_second: 2, burst: 3, users: 10 });
        let now = Instant::now();
        let half = Duration::from_millis(500);
        let mut take = |now, user: &str| rates.take(now, user);
        assert_eq!([take(now, "a"), take(now, "a"), take(now, "a")], [Ok(()); 3]);
        assert_eq!(take(now, "a"), Err(half));
        assert_eq!(take(now, "b"), Ok(()));
        assert_eq!(take(now + half, "a"), Ok(()));
        assert_eq!(take(now + half, "a"), Err(half));
        let later = now + Duration::from_secs(3600);
        assert_eq!([take(later, "a"), take(later, "a"), take(later, "a")], [Ok(()); 3]);
        assert!(take(later, "a").is_err());
    }

    #[test]
    fn without_a_rate_nobody_waits_and_nothing_is_kept() {
        let mut rates = Rates::new(Rate { per_second: 0, burst: 1, users: 10 });
        let now = Instant::now();
        assert!((0..1000).all(|_| rates.take(now, "a").is_ok()));
        assert_eq!(rates.buckets.len(), 0);
    }
}
