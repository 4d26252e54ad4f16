//! Pings that keep a connection alive, and the pong that shows that it is (RFC 5626 section 4.4.1).

use std::time::{Duration, Instant};

/// The pings on one connection that we opened.
///
/// Not every peer answers: only where one pong has come is its want a sign of death.
#[derive(Debug)]
pub(super) struct Heartbeat {
    /// The longest pause between two pings.
    every: Duration,
    /// How long a pong may take.
    wait: Duration,
    /// When the next ping is due.
    next: Instant,
    /// When the ping that waits for its pong was sent.
    asked: Option<Instant>,
    /// Whether anything came since.
    heard: bool,
    /// Whether the peer has answered a ping.
    answers: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing.
    Rest,
    /// Send a ping.
    Ping,
    /// Give up: nobody is there any more.
    Dead,
}

/// By how many percent a pause may be shorter than the longest one.
pub(super) const JITTER: u32 = 20;

impl Heartbeat {
    /// Begins; `jitter` is the percentage, up to [`JITTER`], by which the first pause is shorter.
    pub(super) fn new(now: Instant, every: Duration, wait: Duration, jitter: u32) -> Self {
        let next = now + shortened(every, jitter);
        Self { every, wait, next, asked: None, heard: false, answers: false }
    }

    /// Takes note that something came, perhaps a pong.
    pub(super) fn hear(&mut self, is_pong: bool) {
        self.heard = true;
        if is_pong && self.asked.take().is_some() {
            self.answers = true;
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, jitter: u32) -> Beat {
        if let Some(asked) = self.asked {
            if now < asked + self.wait {
                return Beat::Rest;
            }
            self.asked = None;
            // What came meanwhile was no pong, but it came from somebody.
            if self.answers && !self.heard {
                return Beat::Dead;
            }
        }
        if now < self.next {
            return Beat::Rest;
        }
        self.asked = Some(now);
        self.heard = false;
        self.next = now + shortened(self.every, jitter);
        Beat::Ping
    }

    pub(super) fn next_timeout(&self) -> Instant {
        self.asked.map_or(self.next, |asked| asked + self.wait)
    }
}

fn shortened(pause: Duration, percent: u32) -> Duration {
    pause * (100 - percent.min(JITTER)) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(120);
    const WAIT: Duration = Duration::from_secs(10);

    /// Runs the beats until `end`, in seconds; the peer answers those pings that `answers` says.
    fn run(end: u64, mut answers: impl FnMut(u32) -> bool) -> Vec<String> {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, EVERY, WAIT, 0);
        let (mut lines, mut pings) = (Vec::new(), 0);
        loop {
            let now = heartbeat.next_timeout();
            let seconds = (now - start).as_secs();
            if seconds > end {
                return lines;
            }
            match heartbeat.handle_timeout(now, 0) {
                Beat::Rest => {}
                Beat::Ping => {
                    pings += 1;
                    lines.push(format!("{seconds} ping"));
                    if answers(pings) {
                        heartbeat.hear(true);
                    }
                }
                Beat::Dead => {
                    lines.push(format!("{seconds} dead"));
                    return lines;
                }
            }
        }
    }

    #[test]
    fn a_peer_that_answers_and_then_does_not_is_dead() {
        assert_eq!(run(900, |ping| ping < 3), ["120 ping", "240 ping", "360 ping", "370 dead"]);
    }

    #[test]
    fn a_peer_that_never_answers_is_let_live() {
        assert_eq!(run(370, |_| false), ["120 ping", "240 ping", "360 ping"]);
    }

    #[test]
    fn a_peer_that_speaks_is_not_dead() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, EVERY, WAIT, 0);
        for round in 1..=3 {
            let now = start + EVERY * round;
            assert_eq!(heartbeat.handle_timeout(now, 0), Beat::Ping);
            heartbeat.hear(round == 1);
            assert_eq!(heartbeat.handle_timeout(now + WAIT, 0), Beat::Rest);
        }
    }

    #[test]
    fn a_line_break_that_nobody_asked_for_is_no_pong() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, EVERY, WAIT, 0);
        heartbeat.hear(true);
        assert_eq!(heartbeat.handle_timeout(start + EVERY, 0), Beat::Ping);
        assert_eq!(heartbeat.handle_timeout(start + EVERY + WAIT, 0), Beat::Rest);
    }

    /// RFC 5626: a random number between the upper bound and 20 % less.
    #[test]
    fn pauses_are_shortened_by_a_fifth_at_most() {
        for (percent, seconds) in [(0, 120), (10, 108), (20, 96), (99, 96)] {
            assert_eq!(shortened(EVERY, percent), Duration::from_secs(seconds));
        }
    }
}
