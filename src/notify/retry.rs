//! When a callback that failed is tried again.

use std::time::Duration;

use crate::ids::Random;

/// How often and how long failed callbacks are repeated; a part of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// The delay after the first failure.
    pub first: Duration,
    /// The longest delay; up to it, each is twice the one before.
    pub last: Duration,
    /// How long a notification is worth trying, from the moment of its event.
    pub window: Duration,
    /// How many times a notification is offered to an application that refuses the document itself
    /// (400, 406, 409, 411 to 418, 422, 431) before it is given up, and told to be lost.
    pub refusals: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            last: Duration::from_secs(5 * 60),
            window: Duration::from_secs(24 * 60 * 60),
            refusals: 3,
        }
    }
}

impl Retry {
    /// Gives the delay after so many failures in a row: up to a quarter longer than the plain one,
    /// so that applications that failed together do not come back together.
    ///
    /// What the application `asked` for (Retry-After, RFC 9110 section 10.2.3) takes the place of
    /// the growing delay, but is never shorter than the first one.
    pub(super) fn delay(
        &self,
        failures: u32,
        asked: Option<Duration>,
        random: &mut Random,
    ) -> Duration {
        let plain = match asked {
            Some(asked) => asked.clamp(self.first, self.window.max(self.first)),
            None => {
                let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
                self.first.saturating_mul(factor).min(self.last)
            }
        };
        let quarter = u64::try_from(plain.as_millis() / 4).unwrap_or(u64::MAX);
        plain + Duration::from_millis(random.below(quarter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_last_and_jitter_by_a_quarter() {
        let (retry, mut random) = (Retry::default(), Random::seeded(1));
        let plain = [(1, 1), (2, 2), (3, 4), (8, 128), (9, 256), (10, 300), (u32::MAX, 300)];
        for (failures, seconds) in plain {
            let delay = retry.delay(failures, None, &mut random);
            let least = Duration::from_secs(seconds);
            assert!(delay >= least && delay < least + least / 4, "{failures}: {delay:?}");
        }
    }

    #[test]
    fn what_the_application_asks_for_is_honoured_within_reason() {
        let (retry, mut random) = (Retry::default(), Random::seeded(1));
        let mut asked =
            |seconds| retry.delay(9, Some(Duration::from_secs(seconds)), &mut random).as_secs();
        assert!((40..50).contains(&asked(40)));
        assert_eq!(asked(0), 1);
        assert!(asked(u64::MAX) < 31 * 60 * 60);
    }
}
