//! "Is composing" (RFC 3994): what it says, and when the other side is taken to have stopped.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

/// What a user is doing at the keyboard (TS Chat 5.2.2.17, RFC 3994 section 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composing {
    /// Typing or not.
    pub state: ComposingState,
    /// When the user was last active (UTC).
    pub last_active: Option<OffsetDateTime>,
    /// The type of the message being composed.
    pub content_type: Option<String>,
    /// After how many seconds an update follows, at the latest.
    pub refresh: Option<NonZeroU32>,
}

impl Composing {
    /// Says that the user has stopped.
    #[must_use]
    pub fn idle() -> Self {
        Self { state: ComposingState::Idle, last_active: None, content_type: None, refresh: None }
    }
}

/// The two states of RFC 3994 section 3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComposingState {
    /// Typing.
    Active,
    /// Not typing.
    Idle,
}

impl ComposingState {
    /// Gives the name as it stands in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Idle => "idle",
        }
    }
}

/// Watches the other side's state; without a refresh an active one goes idle after 120 s
/// (RFC 3994 section 3.2).
#[derive(Debug, Default)]
pub struct ComposingWatch {
    active_until: Option<Instant>,
}

/// How long an active state without a `refresh` holds (RFC 3994 section 3.2).
const DEFAULT_REFRESH: Duration = Duration::from_secs(120);

impl ComposingWatch {
    /// Takes what the other side said, and tells whether it is news.
    pub fn heard(&mut self, now: Instant, composing: &Composing) -> bool {
        match composing.state {
            ComposingState::Active => {
                let refresh = composing
                    .refresh
                    .map_or(DEFAULT_REFRESH, |seconds| Duration::from_secs(seconds.get().into()));
                self.active_until = now.checked_add(refresh);
                true
            }
            ComposingState::Idle => self.active_until.take().is_some(),
        }
    }

    /// Forgets the state: a content message means idle (RFC 3994 section 3.3).
    pub fn message_arrived(&mut self) {
        self.active_until = None;
    }

    /// Tells whether the state has just run out at `now`.
    pub fn expired(&mut self, now: Instant) -> bool {
        self.active_until.take_if(|until| *until <= now).is_some()
    }

    /// Gives the instant at which the state runs out.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.active_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(refresh: Option<u32>) -> Composing {
        let refresh = refresh.and_then(NonZeroU32::new);
        Composing { state: ComposingState::Active, refresh, ..Composing::idle() }
    }

    #[test]
    fn an_active_state_runs_out_at_its_refresh() {
        let (now, mut watch) = (Instant::now(), ComposingWatch::default());
        assert!(watch.heard(now, &active(Some(60))));
        assert_eq!(watch.next_timeout(), Some(now + Duration::from_secs(60)));
        assert!(!watch.expired(now + Duration::from_secs(59)));
        assert!(watch.expired(now + Duration::from_secs(60)));
        assert!(!watch.expired(now + Duration::from_secs(61)));
        assert!(watch.heard(now, &active(None)));
        assert_eq!(watch.next_timeout(), Some(now + Duration::from_secs(120)));
    }

    #[test]
    fn idle_is_news_only_after_active() {
        let (now, mut watch) = (Instant::now(), ComposingWatch::default());
        assert!(!watch.heard(now, &Composing::idle()));
        assert!(watch.heard(now, &active(None)));
        assert!(watch.heard(now, &Composing::idle()));
        assert!(watch.heard(now, &active(None)));
        watch.message_arrived();
        assert_eq!(watch.next_timeout(), None);
    }
}
