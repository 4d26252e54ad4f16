//! The requests that are under way or were answered lately, found by transaction, by hop, by time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::context::Context;
use crate::sip::{Hop, TransactionKey};

/// All response contexts, no more than a bound.
#[derive(Debug)]
pub(super) struct Table {
    capacity: usize,
    contexts: BTreeMap<Number, Entry>,
    by_server_key: BTreeMap<TransactionKey, Number>,
    by_client_key: BTreeMap<TransactionKey, Number>,
    /// What the server answers itself, by what a second copy would have in common with it.
    by_identity: BTreeMap<String, Number>,
    by_hop: BTreeSet<(Hop, Number)>,
    deadlines: BTreeSet<(Instant, Number)>,
    next: Number,
}

/// Names a context for as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(u64);

/// A context with what it is found by.
#[derive(Debug)]
struct Entry {
    context: Context,
    server_key: TransactionKey,
    identity: Option<String>,
    /// How many of its branches are in the indices.
    indexed: usize,
    deadline: Option<Instant>,
}

impl Table {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            contexts: BTreeMap::new(),
            by_server_key: BTreeMap::new(),
            by_client_key: BTreeMap::new(),
            by_identity: BTreeMap::new(),
            by_hop: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            next: Number(0),
        }
    }

    pub(super) fn insert(
        &mut self,
        server_key: TransactionKey,
        identity: Option<String>,
        context: Context,
    ) {
        let number = self.next;
        self.next = Number(number.0 + 1);
        self.by_server_key.insert(server_key.clone(), number);
        if let Some(identity) = &identity {
            // The first of them stays the one that later ones are copies of.
            self.by_identity.entry(identity.clone()).or_insert(number);
        }
        let entry = Entry { context, server_key, identity, indexed: 0, deadline: None };
        self.contexts.insert(number, entry);
        self.settle(number);
    }

    /// Lets `work` be done on a context, then notes what has become of it.
    pub(super) fn with<T>(
        &mut self,
        number: Number,
        work: impl FnOnce(&mut Context) -> T,
    ) -> Option<T> {
        let entry = self.contexts.get_mut(&number)?;
        let result = work(&mut entry.context);
        self.settle(number);
        Some(result)
    }

    /// Tells whether there is room for one more. Calls that are up may use an eighth more than
    /// what begins anew, so that they can be ended under any load.
    pub(super) fn has_room(&self, is_in_dialog: bool) -> bool {
        let reserve = if is_in_dialog { 0 } else { self.capacity / 8 };
        self.contexts.len() < self.capacity - reserve
    }

    pub(super) fn of_request(&self, key: &TransactionKey) -> Option<Number> {
        self.by_server_key.get(key).copied()
    }

    /// Tells whether a request was already answered when it came on another way.
    pub(super) fn has_merged(&self, identity: &str) -> bool {
        self.by_identity.contains_key(identity)
    }

    /// Tells whether the request of a context came from the host of `source`.
    pub(super) fn is_from(&self, number: Number, source: &Hop) -> bool {
        self.contexts.get(&number).is_some_and(|entry| entry.context.is_from(source))
    }

    pub(super) fn of_response(&self, key: &TransactionKey) -> Option<Number> {
        self.by_client_key.get(key).copied()
    }

    pub(super) fn of_hop(&self, hop: &Hop) -> Vec<Number> {
        let bounds = (hop.clone(), Number(0))..=(hop.clone(), Number(u64::MAX));
        self.by_hop.range(bounds).map(|(_, number)| *number).collect()
    }

    pub(super) fn due(&self, now: Instant) -> Vec<Number> {
        self.deadlines.range(..=(now, Number(u64::MAX))).map(|(_, number)| *number).collect()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.contexts.len()
    }

    fn settle(&mut self, number: Number) {
        let Some(entry) = self.contexts.get_mut(&number) else { return };
        if entry.context.is_over() {
            self.remove(number);
            return;
        }
        for branch in entry.context.branches().iter().skip(entry.indexed) {
            for key in branch.keys() {
                self.by_client_key.insert(key.clone(), number);
            }
            self.by_hop.extend(branch.ways().map(|way| (way.clone(), number)));
        }
        entry.indexed = entry.context.branches().len();
        let deadline = entry.context.next_timeout();
        if deadline != entry.deadline {
            if let Some(at) = entry.deadline {
                self.deadlines.remove(&(at, number));
            }
            if let Some(at) = deadline {
                self.deadlines.insert((at, number));
            }
            entry.deadline = deadline;
        }
    }

    fn remove(&mut self, number: Number) {
        let Some(entry) = self.contexts.remove(&number) else { return };
        self.by_server_key.remove(&entry.server_key);
        if let Some(identity) = &entry.identity
            && self.by_identity.get(identity) == Some(&number)
        {
            self.by_identity.remove(identity);
        }
        for branch in entry.context.branches() {
            for key in branch.keys() {
                self.by_client_key.remove(key);
            }
            for way in branch.ways() {
                self.by_hop.remove(&(way.clone(), number));
            }
        }
        if let Some(at) = entry.deadline {
            self.deadlines.remove(&(at, number));
        }
    }
}
