//! What waits to become durable before it is queued: in order, many commits at a time under way.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::PAGE;
use crate::store::durable::{Batch, Change, Outcome, StoreError};
use crate::store::{Keeper, Queued, Receipt};

/// A line of the ledger.
#[derive(Debug)]
pub(super) enum Line {
    /// A record that changes.
    Change(Change),
    /// A notification to be queued.
    Notification(Queued),
    /// To be given once the lines before are durable.
    Receipt(Receipt),
}

impl Line {
    /// Gives what the store writes for it.
    fn change(&self) -> Option<Change> {
        match self {
            Self::Change(change) => Some(change.clone()),
            Self::Notification(queued) => queued.put(),
            Self::Receipt(_) => None,
        }
    }
}

/// Lines that become durable together.
pub(super) type Page = Vec<Line>;

/// The pages that are being written, and the order in which they are read.
///
/// A page that the store refuses is handed over again until it is taken, in halves: there may be
/// room for a part. Those behind it wait, so that the order stays. Meanwhile the ledger fills up, its owner takes nothing more in, and those
/// who tell notices wait for their receipts.
#[derive(Debug)]
pub(super) struct Ledger {
    keeper: Keeper,
    pages: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    page: Page,
    batch: Batch,
    outcome: Outcome<()>,
    /// When the page is handed over again.
    again: Option<Instant>,
}

/// How many pages are under way, at most.
const PAGES: usize = 64;

/// How long a page that was refused waits.
const PAUSE: Duration = Duration::from_millis(100);

impl Ledger {
    pub(super) fn new(keeper: Keeper) -> Self {
        Self { keeper, pages: VecDeque::new() }
    }

    /// Gives the number of notices for which there is room.
    pub(super) fn room(&self) -> usize {
        if self.pages.len() < PAGES { PAGE } else { 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Hands a page to the store.
    pub(super) fn enter(&mut self, page: Page) {
        let batch = batch_of(&page);
        let outcome = self.keeper.commit(batch.clone());
        self.pages.push_back(Entry { page, batch, outcome, again: None });
    }

    /// Gives the first page once it is durable; cancel safe.
    pub(super) async fn settled(&mut self) -> Page {
        loop {
            let Some(first) = self.pages.front_mut() else { return pending().await };
            if let Some(again) = first.again {
                sleep_until(again).await;
                let outcome = self.keeper.commit(first.batch.clone());
                (first.outcome, first.again) = (outcome, None);
            }
            let result = (&mut first.outcome).await;
            if let Some(page) = self.turn(result) {
                return page;
            }
        }
    }

    /// Gives the first page where it is durable already.
    pub(super) fn settled_now(&mut self) -> Option<Page> {
        let first = self.pages.front_mut().filter(|first| first.again.is_none())?;
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(&mut first.outcome).poll(&mut cx) {
            Poll::Ready(result) => self.turn(result),
            Poll::Pending => None,
        }
    }

    /// Gives all lines, durable or not.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = Line> + use<> {
        std::mem::take(&mut self.pages).into_iter().flat_map(|entry| entry.page)
    }

    fn turn(&mut self, result: Result<(), StoreError>) -> Option<Page> {
        match result {
            Ok(()) => self.pages.pop_front().map(|entry| entry.page),
            Err(error) => {
                tracing::debug!(%error, "notifications wait until they can be written");
                if let Some(Entry { mut page, .. }) = self.pages.pop_front() {
                    let rest = page.split_off(page.len().div_ceil(2));
                    if !rest.is_empty() {
                        self.put_back(rest);
                    }
                    self.put_back(page);
                }
                None
            }
        }
    }

    /// Has a page handed over again, before all others.
    fn put_back(&mut self, page: Page) {
        let (batch, again) = (batch_of(&page), Some(Instant::now() + PAUSE));
        let outcome = Outcome::known(Err(StoreError::Full));
        self.pages.push_front(Entry { page, batch, outcome, again });
    }
}

fn batch_of(page: &Page) -> Batch {
    page.iter().filter_map(Line::change).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    #![allow(clippy::wildcard_enum_match_arm)]

    use std::sync::{Arc, Mutex};

    use futures_util::FutureExt;
    use time::OffsetDateTime;
    use tokio::sync::oneshot;

    use super::*;
    use crate::address::Address;
    use crate::clock::Anchor;
    use crate::ids::SessionId;
    use crate::store::durable::{Contents, Health, SessionRecord, Store};

    #[tokio::test(start_paused = true)]
    async fn pages_are_read_in_their_order_whatever_order_they_are_written_in() {
        let (store, mut ledger) = ledger();
        let first = enter(&mut ledger, "1");
        let second = enter(&mut ledger, "2");
        store.tell(1, Ok(()));
        assert!(ledger.settled().now_or_never().is_none());
        store.tell(0, Ok(()));
        for mut receipted in [first, second] {
            give(ledger.settled().await);
            assert!(receipted.wait().await);
        }
        assert!(ledger.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_is_refused_is_handed_over_again() {
        let (store, mut ledger) = ledger();
        let mut receipted = enter(&mut ledger, "1");
        // The change, and then the receipt, which needs no store.
        for refusal in [StoreError::Full, StoreError::Unwritable("full".into())] {
            store.tell(0, Err(refusal));
            let began = Instant::now();
            while store.waiting() == 0 {
                assert!(tokio::time::timeout(PAUSE, ledger.settled()).await.is_err());
            }
            assert!(began.elapsed() <= 2 * PAUSE);
            assert!(receipted.wait().now_or_never().is_none());
        }
        store.tell(0, Ok(()));
        give(ledger.settled().await);
        assert!(receipted.wait().now_or_never().is_none());
        give(ledger.settled().await);
        assert!(receipted.wait().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_for_which_there_is_no_room_is_written_in_parts() {
        let (store, mut ledger) = ledger();
        ledger.enter((0..5).map(|number| Line::Change(put(&number.to_string()))).collect());
        let (mut parts, mut page) = (Vec::new(), Vec::new());
        while !ledger.is_empty() {
            while store.waiting() == 0 {
                assert!(tokio::time::timeout(PAUSE, ledger.settled()).await.is_err());
            }
            let size = ledger.pages[0].page.len();
            let result = if size > 2 { Err(StoreError::Full) } else { Ok(()) };
            let is_taken = result.is_ok();
            store.tell(0, result);
            if is_taken {
                parts.push(size);
                page.extend(ledger.settled().await);
            }
        }
        assert_eq!(parts, [2, 1, 2]);
        let ids = page.iter().map(|line| match line {
            Line::Change(Change::PutSession(record)) => record.id.as_str(),
            other => panic!("{other:?}"),
        });
        assert_eq!(ids.collect::<String>(), "01234");
    }

    #[test]
    fn only_so_many_are_under_way() {
        let (_store, mut ledger) = ledger();
        let entered = std::iter::from_fn(|| (ledger.room() > 0).then(|| enter(&mut ledger, "x")));
        assert_eq!(entered.count(), PAGES);
        assert_eq!(ledger.give_up().count(), 2 * PAGES);
        assert!(ledger.room() > 0);
    }

    /// A store whose commits end when the test says so.
    #[derive(Debug, Clone, Default)]
    struct Slow(Arc<Mutex<Vec<Reply>>>);

    type Reply = oneshot::Sender<Result<(), StoreError>>;

    impl Slow {
        fn tell(&self, number: usize, result: Result<(), StoreError>) {
            self.0.lock().unwrap().remove(number).send(result).unwrap();
        }

        fn waiting(&self) -> usize {
            self.0.lock().unwrap().len()
        }
    }

    impl Store for Slow {
        fn load(&self) -> Outcome<Contents> {
            Outcome::known(Ok(Contents::default()))
        }

        fn commit(&self, _: Batch) -> Outcome<()> {
            let (reply, told) = oneshot::channel();
            self.0.lock().unwrap().push(reply);
            Outcome::coming(told)
        }

        fn write_behind(&self, _: Batch) {}

        fn is_lasting(&self) -> bool {
            true
        }

        fn health(&self) -> Health {
            Health::good()
        }

        fn close(&self) -> Outcome<()> {
            Outcome::known(Ok(()))
        }
    }

    fn ledger() -> (Slow, Ledger) {
        let store = Slow::default();
        let anchor = Anchor::new(std::time::Instant::now(), OffsetDateTime::UNIX_EPOCH);
        let keeper = Keeper::new(Arc::new(store.clone()), anchor, Duration::from_secs(5));
        (store, Ledger::new(keeper))
    }

    fn enter(ledger: &mut Ledger, session: &str) -> crate::store::Receipted {
        let (receipt, receipted) = Receipt::new();
        ledger.enter(vec![Line::Change(put(session)), Line::Receipt(receipt)]);
        receipted
    }

    fn put(session: &str) -> Change {
        let (id, user) = (SessionId::new(session), Address::parse("tel:+1").unwrap());
        Change::PutSession(SessionRecord { id, user, kind: crate::chat::SessionKind::Pair })
    }

    fn give(page: Page) {
        for line in page {
            if let Line::Receipt(receipt) = line {
                receipt.give();
            }
        }
    }
}
