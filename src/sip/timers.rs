//! The timers of RFC 3261 section 17 and RFC 6026, by their letters, and a small table of deadlines.

use std::time::{Duration, Instant};

/// The three durations from which every timer of SIP derives (RFC 3261 table 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// The estimate of the round-trip time.
    pub t1: Duration,
    /// The longest interval between retransmissions of a non-INVITE request or an INVITE response.
    pub t2: Duration,
    /// The longest time that a message stays in the network.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        }
    }
}

impl Timers {
    /// Gives 64\*T1, after which a transaction without an answer has failed.
    #[must_use]
    pub fn give_up(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// Gives the interval before the first retransmission, T1.
    #[must_use]
    pub fn first_interval(&self) -> Duration {
        self.t1.max(SHORTEST_INTERVAL)
    }

    /// Gives the interval that follows `interval` where retransmissions double up to T2.
    #[must_use]
    pub fn next_interval(&self, interval: Duration) -> Duration {
        interval.saturating_mul(2).min(self.t2).max(SHORTEST_INTERVAL)
    }

    /// Gives how long a client remembers a refused INVITE (Timer D): at least 32 s where messages
    /// may be repeated, no time at all over a reliable transport.
    #[must_use]
    pub fn refused_wait(&self, reliable: bool) -> Duration {
        if reliable { Duration::ZERO } else { self.give_up().max(SHORTEST_D) }
    }

    /// Gives the age of a non-INVITE transaction at which the client's Timer E settles at T2, the
    /// earliest moment for a 100 over an unreliable transport (RFC 4320 section 4.1).
    #[must_use]
    pub fn patience(&self) -> Duration {
        let (mut age, mut interval) = (self.t1, self.t1.saturating_mul(2));
        while interval < self.t2 && !interval.is_zero() {
            age = age.saturating_add(interval);
            interval = interval.saturating_mul(2);
        }
        age
    }
}

/// Every timer of the four transactions; the letters are those of the RFCs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Repeats an INVITE over an unreliable transport: T1, doubled each time.
    A,
    /// Ends the wait for the first response to an INVITE: 64\*T1.
    B,
    /// Ends the wait for a final response to an INVITE at a proxy: more than 3 minutes.
    C,
    /// Ends the wait for repetitions of a refusal of our INVITE: 32 s or more, or none if reliable.
    D,
    /// Repeats a non-INVITE request over an unreliable transport: T1, doubled up to T2.
    E,
    /// Ends the wait for a final response to a non-INVITE request: 64\*T1.
    F,
    /// Repeats a refusal of an INVITE over an unreliable transport: T1, doubled up to T2.
    G,
    /// Ends the wait for the ACK of a refusal: 64\*T1.
    H,
    /// Ends the wait for repetitions of that ACK: T4, or none if reliable.
    I,
    /// Ends the wait for repetitions of an answered non-INVITE request: 64\*T1, or none if
    /// reliable. Before the answer it tells that the client's Timer F has fired, so that no answer
    /// may be sent any more (RFC 4320 section 4.2).
    J,
    /// Ends the wait for repetitions of the final response to our non-INVITE request: T4, or none
    /// if reliable.
    K,
    /// Ends the wait for repetitions of an accepted INVITE: 64\*T1 (RFC 6026 section 7.1).
    L,
    /// Ends the wait for repeated and forked 2xx to our INVITE: 64\*T1 (RFC 6026 section 7.2).
    M,
}

/// Deadlines by timer. A machine runs two or three at a time, hence the plain list.
#[derive(Debug, Clone)]
pub struct Deadlines<T>(Vec<(T, Instant)>);

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + Ord> Deadlines<T> {
    /// Starts `timer`, or moves its deadline to `at`.
    pub fn set(&mut self, timer: T, at: Instant) {
        self.stop(timer);
        self.0.push((timer, at));
    }

    /// Stops `timer` if it runs.
    pub fn stop(&mut self, timer: T) {
        self.0.retain(|(running, _)| *running != timer);
    }

    /// Stops all timers.
    pub fn stop_all(&mut self) {
        self.0 = Vec::new();
    }

    /// Takes out the earliest timer that is due at `now`; call until it gives `None`.
    pub fn expire(&mut self, now: Instant) -> Option<(T, Instant)> {
        let due = self.0.iter().copied().filter(|(_, at)| *at <= now);
        let (timer, at) = due.min_by_key(|(timer, at)| (*at, *timer))?;
        self.stop(timer);
        Some((timer, at))
    }

    /// Tells whether `timer` runs.
    #[must_use]
    pub fn is_running(&self, timer: T) -> bool {
        self.0.iter().any(|(running, _)| *running == timer)
    }

    /// Gives the deadline of `timer`, if it runs.
    #[must_use]
    pub fn at(&self, timer: T) -> Option<Instant> {
        self.0.iter().find(|(running, _)| *running == timer).map(|(_, at)| *at)
    }

    /// Gives the earliest deadline.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.0.iter().map(|(_, at)| *at).min()
    }
}

/// Timer D "of at least 32 seconds" (RFC 3261 section 17.1.1.2).
const SHORTEST_D: Duration = Duration::from_secs(32);

/// No setting of T1 and T2 may make a machine repeat itself without any time passing.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_order_and_once() {
        let start = Instant::now();
        let mut deadlines = Deadlines::default();
        deadlines.set(Timer::B, start + Duration::from_secs(32));
        deadlines.set(Timer::A, start + Duration::from_secs(9));
        deadlines.set(Timer::A, start + Duration::from_secs(1));
        assert_eq!(deadlines.next_timeout(), Some(start + Duration::from_secs(1)));
        assert_eq!(deadlines.expire(start), None);
        let late = start + Duration::from_secs(40);
        assert_eq!(deadlines.expire(late).map(|(timer, _)| timer), Some(Timer::A));
        assert_eq!(deadlines.expire(late).map(|(timer, _)| timer), Some(Timer::B));
        assert_eq!(deadlines.expire(late), None);
        assert_eq!(deadlines.next_timeout(), None);
    }

    #[test]
    fn the_defaults_are_those_of_table_4() {
        let timers = Timers::default();
        assert_eq!(timers.give_up(), Duration::from_secs(32));
        assert_eq!(timers.refused_wait(false), Duration::from_secs(32));
        assert_eq!(timers.refused_wait(true), Duration::ZERO);
        // Timer E fires at 0.5, 1.5 and 3.5 s; then its interval is T2.
        assert_eq!(timers.patience(), Duration::from_millis(3500));
        assert_eq!(timers.next_interval(Duration::from_secs(3)), Duration::from_secs(4));
    }
}
