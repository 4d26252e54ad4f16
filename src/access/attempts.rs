//! Failed attempts per source: who has failed too often has to wait.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::generations::Generations;

/// How many attempts may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptLimits {
    /// How many of one source before it has to wait; `0` is any.
    pub failures: u32,
    /// How long failures count, and how long the wait is.
    pub window: Duration,
    /// How many sources are remembered.
    pub sources: usize,
}

/// The failed attempts of each source.
#[derive(Debug)]
pub struct Attempts {
    limits: AttemptLimits,
    sources: Generations<IpAddr, Failures>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    since: Instant,
}

impl Attempts {
    /// Knows nobody yet.
    #[must_use]
    pub fn new(limits: AttemptLimits) -> Self {
        Self { limits, sources: Generations::new(limits.window, limits.sources) }
    }

    /// Tells how long a source still has to wait, if it has.
    #[must_use]
    pub fn wait(&mut self, now: Instant, source: IpAddr) -> Option<Duration> {
        let limits = self.limits;
        let failures = self.sources.peek(now, &source_of(source))?;
        let over = limits.failures > 0 && failures.count >= limits.failures;
        let rest = (failures.since + limits.window).checked_duration_since(now)?;
        (over && !rest.is_zero()).then_some(rest)
    }

    /// Notes a failure.
    pub fn failed(&mut self, now: Instant, source: IpAddr) {
        let window = self.limits.window;
        let first = || Failures { count: 0, since: now };
        let failures = self.sources.touch(now, source_of(source), first);
        if now.saturating_duration_since(failures.since) >= window {
            *failures = first();
        }
        failures.count = failures.count.saturating_add(1);
    }
}

/// Gives what counts as one source: an address of IPv4, a network of 64 bits of IPv6, which one
/// host may fill as it likes.
#[must_use]
pub fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    #[test]
    fn who_fails_too_often_waits_until_the_window_is_over() {
        let (mut attempts, now) = (attempts(3), Instant::now());
        let (one, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        for at in 0..3 {
            assert_eq!(attempts.wait(now, one), None, "{at}");
            attempts.failed(now, one);
        }
        assert_eq!(attempts.wait(now, one), Some(WINDOW));
        assert_eq!(attempts.wait(now, ip("::ffff:192.0.2.1")), Some(WINDOW));
        assert_eq!(attempts.wait(now, other), None);
        let rest = attempts.wait(now + WINDOW / 3, one).unwrap();
        assert_eq!(rest, WINDOW / 3 * 2);
        assert_eq!(attempts.wait(now + WINDOW, one), None);
        attempts.failed(now + WINDOW, one);
        assert_eq!(attempts.wait(now + WINDOW, one), None, "a new window");
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_zero_is_no_limit() {
        let now = Instant::now();
        let (mut strict, mut lax) = (attempts(1), attempts(0));
        let host = ip("2001:db8::1");
        for attempts in [&mut strict, &mut lax] {
            attempts.failed(now, host);
        }
        assert_eq!(strict.wait(now, ip("2001:db8::ffff:2")), Some(WINDOW), "the same network");
        assert_eq!((lax.wait(now, host), strict.wait(now, ip("2001:db8:0:1::1"))), (None, None));
    }

    fn attempts(failures: u32) -> Attempts {
        Attempts::new(AttemptLimits { failures, window: WINDOW, sources: 10 })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
