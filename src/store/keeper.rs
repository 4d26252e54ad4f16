//! The store as the directories use it: with a clock between their time and its own, and a deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::time::timeout;

use super::durable::{
    Batch, Change, Contents, Health, Memory, Outcome, Store, StoreError, SubscriptionRecord,
};
use super::subscriptions::Subscription;
use crate::clock::Anchor;

/// Keeps what outlives a restart. Clones keep it in the same place.
#[derive(Debug, Clone)]
pub struct Keeper {
    store: Arc<dyn Store>,
    anchor: Anchor,
    patience: Duration,
}

impl Keeper {
    /// Keeps things in `store`, whose commits take no longer than `patience`; `anchor` tells its
    /// time, which must go on over a restart.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, anchor: Anchor, patience: Duration) -> Self {
        Self { store, anchor, patience }
    }

    /// Keeps things as long as the process lives.
    #[must_use]
    pub fn in_memory(now: Instant) -> Self {
        let anchor = Anchor::new(now, OffsetDateTime::UNIX_EPOCH);
        Self::new(Arc::new(Memory::new()), anchor, Duration::from_secs(5))
    }

    /// Reads everything that is kept.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn load(&self) -> Result<Contents, StoreError> {
        self.store.load().await
    }

    /// Waits until the changes are durable.
    ///
    /// # Errors
    /// They are not, or it is not known in time.
    pub async fn keep(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let outcome = self.store.commit(changes.into());
        timeout(self.patience, outcome).await.unwrap_or(Err(StoreError::Slow))
    }

    /// Hands a batch over, for who waits in a way of his own.
    pub fn commit(&self, batch: Batch) -> Outcome<()> {
        if batch.is_empty() {
            return Outcome::known(Ok(()));
        }
        self.store.commit(batch)
    }

    /// Has changes written that nobody waits for.
    pub fn write_behind(&self, changes: Vec<Change>) {
        if !changes.is_empty() {
            self.store.write_behind(changes.into());
        }
    }

    /// Tells how long a commit may take; `None` where waiting for one is worth nothing, because
    /// nothing outlives the process.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        self.store.is_lasting().then_some(self.patience)
    }

    /// Shows the state of the store, now and later.
    #[must_use]
    pub fn health(&self) -> Health {
        self.store.health()
    }

    /// Writes what waits and lets go of the file.
    ///
    /// # Errors
    /// Not all could be written in time.
    pub async fn close(&self) -> Result<(), StoreError> {
        timeout(self.patience, self.store.close()).await.unwrap_or(Err(StoreError::Slow))
    }

    /// Gives the time of the store at an instant.
    #[must_use]
    pub fn wall(&self, at: Instant) -> OffsetDateTime {
        self.anchor.wall(at)
    }

    /// Gives the instant of a time of the store.
    #[must_use]
    pub fn instant(&self, at: OffsetDateTime) -> Instant {
        self.anchor.instant(at)
    }

    /// Gives what is kept of a subscription.
    #[must_use]
    pub fn subscription(&self, subscription: &Arc<Subscription>) -> SubscriptionRecord {
        let expires = subscription.expires.map(|at| self.wall(at));
        SubscriptionRecord { subscription: Arc::clone(subscription), expires }
    }
}
