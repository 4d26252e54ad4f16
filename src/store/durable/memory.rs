//! A store that keeps nothing beyond the process: for tests, and for those who ask for it.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    AnswerRecord, Batch, Change, ChannelRecord, Contents, Health, NotificationRecord, Outcome,
    SessionRecord, Store, SubscriptionRecord,
};
use crate::ids::{ChannelId, SessionId, SubscriptionId};
use crate::store::correlators::Correlation;

/// The store; clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    tables: Arc<Mutex<Tables>>,
    health: Health,
}

#[derive(Debug, Default)]
struct Tables {
    subscriptions: Table<SubscriptionId, SubscriptionRecord>,
    channels: Table<ChannelId, ChannelRecord>,
    notifications: BTreeMap<u64, NotificationRecord>,
    answers: Table<Correlation, AnswerRecord>,
    sessions: Table<SessionId, SessionRecord>,
}

/// Records by key, and in the order in which they came.
#[derive(Debug)]
struct Table<K, R> {
    places: HashMap<K, u64>,
    records: BTreeMap<u64, R>,
    next: u64,
}

impl<K, R> Default for Table<K, R> {
    fn default() -> Self {
        Self { places: HashMap::new(), records: BTreeMap::new(), next: 0 }
    }
}

impl<K: Hash + Eq, R: Clone> Table<K, R> {
    fn put(&mut self, key: K, record: R) {
        let place = *self.places.entry(key).or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.records.insert(place, record);
    }

    fn change(&mut self, key: &K, change: impl FnOnce(&mut R)) {
        if let Some(record) = self.places.get(key).and_then(|place| self.records.get_mut(place)) {
            change(record);
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some(place) = self.places.remove(key) {
            self.records.remove(&place);
        }
    }

    fn all(&self) -> Vec<R> {
        self.records.values().cloned().collect()
    }
}

impl Tables {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::PutSubscription(record) => {
                self.subscriptions.put(record.subscription.id.clone(), record.clone());
            }
            Change::EndSubscription(id) => {
                self.subscriptions.remove(id);
                self.notifications.retain(|_, record| record.subscription != *id);
            }
            Change::PutChannel(record) => self.channels.put(record.id.clone(), record.clone()),
            Change::RenewChannel(id, expires) => {
                self.channels.change(id, |record| record.expires = *expires);
            }
            Change::EndChannel(id) => self.channels.remove(id),
            Change::PutNotification(record) => {
                self.notifications.insert(record.sequence, record.clone());
            }
            Change::EndNotification(sequence) => {
                self.notifications.remove(sequence);
            }
            Change::PutAnswer(record) => {
                self.answers.put(record.correlation.clone(), record.clone());
            }
            Change::FinishAnswer(correlation) => {
                self.answers.change(correlation, |record| record.is_begun = false);
            }
            Change::ForgetAnswer(correlation) => self.answers.remove(correlation),
            Change::PutSession(record) => self.sessions.put(record.id.clone(), record.clone()),
            Change::EndSession(id) => self.sessions.remove(id),
        }
    }
}

impl Memory {
    /// Opens an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn load(&self) -> Outcome<Contents> {
        let tables = self.tables();
        Outcome::known(Ok(Contents {
            subscriptions: tables.subscriptions.all(),
            channels: tables.channels.all(),
            notifications: tables.notifications.values().cloned().collect(),
            answers: tables.answers.all(),
            sessions: tables.sessions.all(),
        }))
    }

    fn commit(&self, batch: Batch) -> Outcome<()> {
        let mut tables = self.tables();
        batch.changes().iter().for_each(|change| tables.apply(change));
        Outcome::known(Ok(()))
    }

    fn write_behind(&self, batch: Batch) {
        let mut tables = self.tables();
        batch.changes().iter().for_each(|change| tables.apply(change));
    }

    fn is_lasting(&self) -> bool {
        false
    }

    fn health(&self) -> Health {
        self.health.clone()
    }

    fn close(&self) -> Outcome<()> {
        Outcome::known(Ok(()))
    }
}
