//! A timer that is set anew far more often than it rings.

use std::future::pending;
use std::pin::Pin;

use tokio::time::{Instant, Sleep, sleep_until};

/// The timer. The deadlines of a conversation mostly move further away with each message, so it is
/// let ring at the earlier time, and set again only then: else each message would cost an entry in
/// the timers of all.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Waits until `deadline`, for ever without one; cancel safe.
    pub(super) async fn ring(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return pending().await };
        loop {
            let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if deadline < sleep.deadline() {
                sleep.as_mut().reset(deadline);
            }
            let rings = sleep.deadline();
            sleep.await;
            self.0 = None;
            if deadline <= rings {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_last_deadline_that_it_was_given() {
        let began = Instant::now();
        let at = |seconds| Some(began + Duration::from_secs(seconds));
        for (deadlines, rings) in
            [(&[10, 30][..], 30), (&[30, 10], 10), (&[5, 30, 20], 20), (&[7], 7)]
        {
            let mut alarm = Alarm::default();
            let (last, first) = deadlines.split_last().expect("deadlines");
            let now = Instant::now() - began;
            for seconds in first {
                let deadline = at(*seconds).map(|at| at + now);
                assert!(timeout(Duration::ZERO, alarm.ring(deadline)).await.is_err());
            }
            assert!(timeout(Duration::from_secs(1), alarm.ring(None)).await.is_err());
            alarm.ring(at(*last).map(|at| at + now)).await;
            assert_eq!(Instant::now() - began - now, Duration::from_secs(rings));
        }
    }
}
