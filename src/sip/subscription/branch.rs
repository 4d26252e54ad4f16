//! One dialog of a subscriber, with the clocks of its subscription.

use std::time::{Duration, Instant};

use super::state::EventType;
use crate::sip::dialog::Dialog;
use crate::sip::timers::Deadlines;

/// One dialog with one subscription.
#[derive(Debug)]
pub(super) struct Branch {
    /// How many branches there were before it.
    pub(super) number: usize,
    /// The tag of the notifier.
    pub(super) tag: String,
    pub(super) dialog: Dialog,
    /// The event as the notifier names it.
    pub(super) event: EventType,
    /// The SUBSCRIBE that has no final response.
    pub(super) renewing: Option<Renewing>,
    /// Whether a NOTIFY has said how long the subscription is.
    pub(super) is_told: bool,
    /// Whether our leave is taken.
    pub(super) is_left: bool,
    pub(super) waits: Deadlines<BranchWait>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Renewing {
    pub(super) expires: u32,
    pub(super) too_brief: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BranchWait {
    /// Until it is to be refreshed.
    Refresh,
    /// For the NOTIFY that a SUBSCRIBE calls for: Timer N.
    Notify,
    /// Until the notifier forgets us.
    Expiry,
}

impl Branch {
    /// Starts the clocks of a subscription of so many seconds.
    pub(super) fn stand(&mut self, now: Instant, seconds: u32, is_renewed: bool) {
        let time = Duration::from_secs(seconds.min(LONGEST).into());
        self.waits.set(BranchWait::Expiry, now + time);
        self.waits.stop(BranchWait::Refresh);
        if is_renewed {
            self.waits.set(BranchWait::Refresh, now + time / 2);
        }
    }

    /// Takes the time that is left from a NOTIFY. It moves the refresh forward only: notifiers that
    /// tell of changes all the time must not put it off for ever.
    pub(super) fn adjust(&mut self, now: Instant, seconds: u32, is_renewed: bool) {
        self.is_told = true;
        let planned = self.waits.at(BranchWait::Refresh);
        self.stand(now, seconds, is_renewed && self.renewing.is_none() && !self.is_left);
        if let (Some(planned), Some(fresh)) = (planned, self.waits.at(BranchWait::Refresh)) {
            self.waits.set(BranchWait::Refresh, planned.min(fresh));
        }
    }

    pub(super) fn rest(&self, now: Instant) -> Duration {
        let ends_at = self.waits.at(BranchWait::Expiry);
        ends_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }
}

/// Longer than any notifier tells, in seconds: a year.
const LONGEST: u32 = 365 * 24 * 3600;
