//! Whether a store can be written at the moment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The state of a store, for whoever asks: clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<Option<String>>>);

impl Health {
    /// Begins in good health.
    #[must_use]
    pub fn good() -> Self {
        Self::default()
    }

    /// Tells whether the last attempt to write has not failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.lock().is_none()
    }

    /// Says what is wrong, where something is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.lock().clone()
    }

    /// Notes that an attempt has failed; the first one after a success is logged.
    pub(super) fn fail(&self, why: &str) {
        if self.lock().replace(why.to_owned()).is_none() {
            tracing::error!(why, "the store cannot be written: nothing new is accepted");
        }
    }

    /// Notes that an attempt has succeeded.
    pub(super) fn recover(&self) {
        if self.lock().take().is_some() {
            tracing::info!("the store can be written again");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
