//! The one thread that writes: it takes what waits and commits it all in one transaction.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::aside::Unreadable;
use super::rows;
use super::{Batch, Contents, Health, StoreError};

/// What the thread is asked for.
#[derive(Debug)]
pub(super) enum Order {
    /// Write this and tell.
    Commit(Batch, oneshot::Sender<Result<(), StoreError>>),
    /// There is something to be written behind.
    Behind,
    /// Read everything.
    Load(oneshot::Sender<Result<Contents, StoreError>>),
    /// Write what waits and end.
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// What is to be written although nobody waits for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Behind(Arc<Mutex<VecDeque<Batch>>>);

impl Behind {
    /// Adds a batch. While nothing can be written, only so many are kept: what is forgotten of them
    /// is done once more after the next start.
    /// Tells whether it is the only one.
    pub(super) fn push(&self, batch: Batch) -> bool {
        let mut waiting = self.lock();
        if waiting.len() >= MOST_BEHIND {
            waiting.pop_front();
        }
        waiting.push_back(batch);
        waiting.len() == 1
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn take(&self) -> VecDeque<Batch> {
        std::mem::take(&mut *self.lock())
    }

    fn put_back(&self, batches: VecDeque<Batch>) {
        let mut waiting = self.lock();
        for batch in batches.into_iter().rev() {
            if waiting.len() < MOST_BEHIND {
                waiting.push_front(batch);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Batch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many batches wait to be written behind.
const MOST_BEHIND: usize = 100_000;

/// How many commits share a transaction, at most: a bound for what one failure makes anew.
const GROUP: usize = 1024;

/// How long what is written behind waits for a commit that takes it along.
const LAZINESS: Duration = Duration::from_millis(100);

/// How often a store that has failed is tried.
const PROBE: Duration = Duration::from_millis(500);

/// The thread's belongings.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) orders: Receiver<Order>,
    pub(super) behind: Behind,
    pub(super) health: Health,
    /// How a failure of the connection is told.
    pub(super) describe: fn(&rusqlite::Error) -> String,
}

/// A commit that waits, and who waits for it.
type Waiting = (Batch, oneshot::Sender<Result<(), StoreError>>);

impl Writer {
    /// Writes until it is told to close, or nobody can tell it anything any more.
    pub(super) fn run(mut self) {
        let closing = loop {
            match self.next() {
                Some(Order::Commit(batch, reply)) => {
                    let (group, then) = self.gather((batch, reply));
                    self.write(group);
                    match then {
                        Some(Order::Load(reply)) => self.load(reply),
                        Some(Order::Close(reply)) => break Some(reply),
                        Some(Order::Commit(..) | Order::Behind) | None => {}
                    }
                }
                Some(Order::Behind) => {}
                Some(Order::Load(reply)) => self.load(reply),
                Some(Order::Close(reply)) => break Some(reply),
                None => break None,
            }
        };
        self.write(Vec::new());
        // The next start reads the log where it cannot be folded in now.
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        drop(self.connection);
        if let Some(reply) = closing {
            drop(reply.send(Ok(())));
        }
    }

    /// Waits for an order. Meanwhile what nobody waits for is written, and a store that has failed
    /// is tried.
    fn next(&mut self) -> Option<Order> {
        loop {
            let patience = match (self.health.is_good(), self.behind.is_empty()) {
                (true, true) => return self.orders.recv().ok(),
                (true, false) => LAZINESS,
                (false, _) => PROBE,
            };
            match self.orders.recv_timeout(patience) {
                Ok(order) => return Some(order),
                Err(RecvTimeoutError::Timeout) => self.write(Vec::new()),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Takes the commits that wait with the first one, up to an order of another kind.
    fn gather(&self, first: Waiting) -> (Vec<Waiting>, Option<Order>) {
        let mut group = vec![first];
        while group.len() < GROUP {
            match self.orders.try_recv() {
                Ok(Order::Commit(batch, reply)) => group.push((batch, reply)),
                Ok(Order::Behind) => {}
                Ok(order @ (Order::Load(_) | Order::Close(_))) => return (group, Some(order)),
                Err(_) => break,
            }
        }
        (group, None)
    }

    /// Writes a group of commits, and before them what is to be written behind: it undoes what was
    /// committed earlier. A group that fails is tried one by one, so that a large commit for which
    /// there is no room takes no small one with it.
    fn write(&mut self, group: Vec<Waiting>) {
        let behind = self.behind.take();
        let all = behind.iter().chain(group.iter().map(|(batch, _)| batch));
        let result = self.transaction(all);
        self.note(&result);
        let Err(error) = result else {
            for (_, reply) in group {
                drop(reply.send(Ok(())));
            }
            return;
        };
        if !behind.is_empty() && self.transaction(behind.iter()).is_err() {
            self.behind.put_back(behind);
        }
        let alone = group.len() == 1;
        for (batch, reply) in group {
            let result = if alone { Err((self.describe)(&error)) } else { self.again(&batch) };
            drop(reply.send(result.map_err(StoreError::Unwritable)));
        }
    }

    fn again(&mut self, batch: &Batch) -> Result<(), String> {
        let result = self.transaction([batch]);
        self.note(&result);
        result.map_err(|error| (self.describe)(&error))
    }

    fn transaction<'a>(
        &mut self,
        batches: impl IntoIterator<Item = &'a Batch>,
    ) -> rusqlite::Result<()> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut is_empty = true;
        for change in batches.into_iter().flat_map(Batch::changes) {
            rows::apply(&transaction, change)?;
            is_empty = false;
        }
        if is_empty && !self.health.is_good() {
            rows::probe(&transaction)?;
        }
        transaction.commit()
    }

    fn note(&self, result: &rusqlite::Result<()>) {
        match result {
            Ok(()) => self.health.recover(),
            Err(error) => self.health.fail(&(self.describe)(error)),
        }
    }

    fn load(&mut self, reply: oneshot::Sender<Result<Contents, StoreError>>) {
        let contents = rows::load(&self.connection).map_err(|rows::Fault { error, unreadable }| {
            let why = (self.describe)(&error);
            StoreError::Unreadable(match unreadable {
                None => why,
                Some(Unreadable { table, rowid, why: bad }) => format!(
                    "{bad} in row {rowid} of its table {table}, which cannot be set aside: {why}"
                ),
            })
        });
        drop(reply.send(contents));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc::{SyncSender, sync_channel};

    use super::super::{Change, SessionRecord};
    use super::*;
    use crate::address::Address;
    use crate::ids::SessionId;

    #[test]
    fn what_waits_shares_one_transaction() {
        let (mut writer, orders) = writer();
        let told: Vec<_> = (0..GROUP + 10).map(|number| order(&orders, number)).collect();
        let Some(Order::Commit(batch, reply)) = writer.next() else { panic!("a commit waits") };
        let (group, then) = writer.gather((batch, reply));
        assert_eq!((group.len(), then.is_none()), (GROUP, true));
        writer.write(group);
        let is_told = told.into_iter().map(|mut told| told.try_recv());
        assert_eq!(is_told.filter(|told| *told == Ok(Ok(()))).count(), GROUP);
    }

    #[test]
    fn a_commit_for_which_there_is_no_room_takes_no_other_with_it() {
        let (writer, orders) = writer();
        writer.connection.pragma_update(None, "max_page_count", 32).unwrap();
        let mut small = order(&orders, 1);
        let huge = "x".repeat(200_000);
        let mut large = commit(&orders, huge.as_str());
        let mut other = order(&orders, 2);
        drop(orders);
        writer.behind.push(Change::EndSession(SessionId::new("s0")).into());
        let (behind, health) = (writer.behind.clone(), writer.health.clone());
        writer.run();
        assert_eq!(small.try_recv(), Ok(Ok(())));
        assert!(matches!(large.try_recv(), Ok(Err(StoreError::Unwritable(_)))));
        assert_eq!(other.try_recv(), Ok(Ok(())));
        assert!(behind.is_empty() && health.is_good());
    }

    #[test]
    fn what_is_written_behind_is_kept_until_it_is_written() {
        let (mut writer, orders) = writer();
        order(&orders, 1);
        let Some(Order::Commit(batch, reply)) = writer.next() else { panic!("a commit waits") };
        writer.write(vec![(batch, reply)]);
        writer.behind.push(Change::EndSession(SessionId::new("s1")).into());
        writer.connection.execute_batch("PRAGMA query_only = 1").unwrap();
        writer.write(Vec::new());
        assert!(!writer.health.is_good() && !writer.behind.is_empty());
        writer.connection.execute_batch("PRAGMA query_only = 0").unwrap();
        writer.write(Vec::new());
        assert!(writer.health.is_good() && writer.behind.is_empty());
        assert!(rows::load(&writer.connection).unwrap().sessions.is_empty());
    }

    #[test]
    fn what_is_written_behind_does_not_grow_without_bound() {
        let behind = Behind::default();
        let end = Batch::from(Change::EndSession(SessionId::new("s")));
        for number in 0..=MOST_BEHIND {
            assert_eq!(behind.push(end.clone()), number == 0);
        }
        let taken = behind.take();
        assert_eq!(taken.len(), MOST_BEHIND);
        behind.push(end);
        behind.put_back(taken);
        assert_eq!(behind.take().len(), MOST_BEHIND);
    }

    fn writer() -> (Writer, SyncSender<Order>) {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(rows::SCHEMA).unwrap();
        connection.execute_batch(rows::BEGUN).unwrap();
        let (sender, orders) = sync_channel(2 * GROUP);
        let (behind, health) = (Behind::default(), Health::good());
        let describe = |error: &rusqlite::Error| error.to_string();
        (Writer { connection, orders, behind, health, describe }, sender)
    }

    fn order(
        orders: &SyncSender<Order>,
        number: usize,
    ) -> oneshot::Receiver<Result<(), StoreError>> {
        commit(orders, &format!("s{number}"))
    }

    fn commit(
        orders: &SyncSender<Order>,
        session: &str,
    ) -> oneshot::Receiver<Result<(), StoreError>> {
        let (id, user) = (SessionId::new(session), Address::parse("tel:+1").unwrap());
        let (reply, told) = oneshot::channel();
        let put =
            Change::PutSession(SessionRecord { id, user, kind: crate::chat::SessionKind::Pair });
        orders.send(Order::Commit(put.into(), reply)).unwrap();
        told
    }
}
