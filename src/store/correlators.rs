//! What was answered to requests that a client may repeat: the same request, the same answer.
//!
//! A `clientCorrelator` in a body (TS Chat 5.2.2.13) or an `Idempotency-Key` in a header makes a
//! POST safe to repeat: the first one does the work, repeats get its answer, and those that come
//! while it works wait for it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::watch;

use super::durable::Change;
use super::keeper::Keeper;
use crate::address::Address;
use crate::digest::sha256;

/// What makes two requests the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Correlation {
    /// Who asks.
    pub user: Address,
    /// To which collection the request is posted, as its path below the user.
    pub collection: Box<str>,
    /// The `clientCorrelator` or `Idempotency-Key`.
    pub correlator: Box<str>,
}

/// How much is remembered, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CorrelatorLimits {
    /// The number of answers; the oldest of who has the most make room.
    pub capacity: usize,
    /// The number of answers of one user; the oldest make room.
    pub per_user: usize,
    /// What the answers weigh together, in bytes; the oldest of who has the most make room.
    pub weight: usize,
    /// What the answers of one user weigh together, in bytes; the oldest make room.
    pub weight_per_user: usize,
    /// The age at which an answer is forgotten.
    pub age: Duration,
}

impl Default for CorrelatorLimits {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            per_user: 1000,
            weight: 64 << 20,
            weight_per_user: 8 << 20,
            age: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// The correlator was used before, for a request that said something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the correlator was used for a request with another content")]
pub struct OtherContent;

/// What [`Correlators::claim`] finds.
#[derive(Debug)]
pub enum Claim<A> {
    /// Nobody asked before: do the work, then [`Pending::settle`].
    First(Pending<A>),
    /// The answer that the first request got.
    Repeat(A),
    /// A restart came while the first request was at work: nobody knows what became of it.
    Unknown,
}

/// The answers of requests that may be repeated; `A` is what the face makes of an answer.
#[derive(Debug)]
pub struct Correlators<A> {
    keeper: Keeper,
    book: Arc<Mutex<Book<A>>>,
}

impl<A: Clone> Correlators<A> {
    /// Opens an empty memory; what it forgets is told to `keeper`.
    #[must_use]
    pub fn new(limits: CorrelatorLimits, keeper: Keeper) -> Self {
        Self { keeper, book: Arc::new(Mutex::new(Book::new(limits))) }
    }

    /// Takes an answer back in that was given before the restart; the oldest comes first.
    pub fn restore(&self, at: Instant, same: (Correlation, String), (answer, weight): (A, usize)) {
        self.put_back(at, same, (Outcome::Known(answer), weight));
    }

    /// Takes a request back in that was at work when the restart came.
    pub fn restore_begun(&self, at: Instant, same: (Correlation, String)) {
        self.put_back(at, same, (Outcome::Unknown, 0));
    }

    fn put_back(
        &self,
        at: Instant,
        (correlation, content): (Correlation, String),
        (outcome, weight): (Outcome<A>, usize),
    ) {
        let (_settled, answer) = watch::channel(Some(outcome));
        let mut book = lock(&self.book);
        let number = book.enter(at, correlation.clone(), (content, answer));
        book.weigh(&correlation, number, weight);
    }

    /// Asks whether the request was seen before, and waits where its first copy is at work.
    ///
    /// An answer for which `still_stands` says no, because its resource is gone and may be created
    /// anew, counts as forgotten. Where the first copy fails or is abandoned, one of those that
    /// wait takes its place.
    ///
    /// # Errors
    /// The correlator stands for another content.
    pub async fn claim(
        &self,
        now: Instant,
        request: (&Correlation, &[u8]),
        still_stands: impl Fn(&A) -> bool,
    ) -> Result<Claim<A>, OtherContent> {
        let (correlation, content) = request;
        let content = sha256(content);
        loop {
            let mut answer = match self.enter(now, correlation, &content) {
                Place::First(pending) => return Ok(Claim::First(pending)),
                Place::Taken(record) => {
                    let settled = record.answer.borrow().clone();
                    match settled {
                        Some(Outcome::Known(answer)) if !still_stands(&answer) => {
                            lock(&self.book).forget(correlation, record.number);
                            continue;
                        }
                        _ if *record.content != *content => return Err(OtherContent),
                        Some(Outcome::Known(answer)) => return Ok(Claim::Repeat(answer)),
                        Some(Outcome::Unknown) => return Ok(Claim::Unknown),
                        None => record.answer,
                    }
                }
            };
            // An error says that the first copy is gone without an answer: the place is free again.
            let _ = answer.changed().await;
        }
    }

    /// Finds the record of the correlation or enters a new one.
    fn enter(&self, now: Instant, correlation: &Correlation, content: &str) -> Place<A> {
        let mut book = lock(&self.book);
        book.make_room(now, &correlation.user);
        self.keeper.write_behind(book.forgotten.drain(..).map(Change::ForgetAnswer).collect());
        if let Some(record) = book.records.get(correlation) {
            return Place::Taken(record.clone());
        }
        let (settle, answer) = watch::channel(None);
        let number = book.enter(now, correlation.clone(), (content.to_owned(), answer));
        let same = (correlation.clone(), content.to_owned());
        let (book, keeper) = (Arc::clone(&self.book), self.keeper.clone());
        Place::First(Pending { settle, settled: false, kept: false, number, same, book, keeper })
    }
}

/// The right, and the duty, to do the work of a request; dropping it unsettled forgets the request.
#[derive(Debug)]
pub struct Pending<A> {
    settle: watch::Sender<Option<Outcome<A>>>,
    settled: bool,
    /// Whether the store may have the answer.
    kept: bool,
    number: u64,
    same: (Correlation, String),
    book: Arc<Mutex<Book<A>>>,
    keeper: Keeper,
}

impl<A> Pending<A> {
    /// Gives the answer, of `weight` bytes, to all who wait, and to repeats to come.
    pub fn settle(mut self, answer: A, weight: usize) {
        self.settled = true;
        self.settle.send_replace(Some(Outcome::Known(answer)));
        let is_known = lock(&self.book).weigh(&self.same.0, self.number, weight);
        // So many requests came in the meantime that this one was forgotten.
        self.kept &= !is_known;
        self.forget_kept();
    }

    fn forget_kept(&self) {
        if self.kept {
            self.keeper.write_behind(vec![Change::ForgetAnswer(self.same.0.clone())]);
        }
    }

    /// Gives the request and the hash of its content, for the store to keep with the answer; where
    /// the answer is not settled after all, the store forgets it again.
    pub fn keep(&mut self) -> (Correlation, String) {
        self.kept = true;
        self.same.clone()
    }
}

impl<A> Drop for Pending<A> {
    fn drop(&mut self) {
        if !self.settled {
            lock(&self.book).forget(&self.same.0, self.number);
            self.forget_kept();
        }
    }
}

/// What is known of a request that is not at work.
#[derive(Debug, Clone)]
enum Outcome<A> {
    /// Its answer.
    Known(A),
    /// Nothing: see [`Claim::Unknown`].
    Unknown,
}

/// Where a request stands in the book.
enum Place<A> {
    First(Pending<A>),
    Taken(Record<A>),
}

/// A request that was seen; `answer` is empty while it is at work.
#[derive(Debug)]
struct Record<A> {
    /// Tells it from a later record of the same correlation.
    number: u64,
    /// The hash of what was asked for.
    content: Arc<str>,
    weight: usize,
    answer: watch::Receiver<Option<Outcome<A>>>,
}

impl<A> Clone for Record<A> {
    fn clone(&self) -> Self {
        Self {
            number: self.number,
            content: Arc::clone(&self.content),
            weight: self.weight,
            answer: self.answer.clone(),
        }
    }
}

/// The records, the order in which they came, and whose they are.
#[derive(Debug)]
struct Book<A> {
    limits: CorrelatorLimits,
    next: u64,
    weight: usize,
    records: HashMap<Correlation, Record<A>>,
    /// By their numbers.
    in_order: BTreeMap<u64, (Instant, Correlation)>,
    users: HashMap<Address, Owner>,
    /// The users by what they take; the last one makes room for others.
    by_share: BTreeMap<Share, Address>,
    /// The settled ones that had to make room, until the store is told.
    forgotten: Vec<Correlation>,
}

/// What a user has in the book: one record at least.
#[derive(Debug, Default)]
struct Owner {
    weight: usize,
    numbers: BTreeSet<u64>,
}

/// What a user takes of the book, in millionths, and of those who take as much the one whose oldest
/// record is the oldest.
type Share = (usize, Reverse<u64>);

impl Owner {
    /// Gives the share; none where nothing is left.
    fn share(&self, limits: &CorrelatorLimits) -> Option<Share> {
        let part = |of: usize, all: usize| of.saturating_mul(1_000_000) / all.max(1);
        let most = part(self.numbers.len(), limits.capacity).max(part(self.weight, limits.weight));
        self.numbers.first().map(|oldest| (most, Reverse(*oldest)))
    }
}

impl<A> Book<A> {
    fn new(limits: CorrelatorLimits) -> Self {
        Self {
            limits,
            next: 0,
            weight: 0,
            records: HashMap::new(),
            in_order: BTreeMap::new(),
            users: HashMap::new(),
            by_share: BTreeMap::new(),
            forgotten: Vec::new(),
        }
    }

    fn enter(
        &mut self,
        now: Instant,
        correlation: Correlation,
        (content, answer): (String, watch::Receiver<Option<Outcome<A>>>),
    ) -> u64 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.change(&correlation.user, |owner| _ = owner.numbers.insert(number));
        self.in_order.insert(number, (now, correlation.clone()));
        let content = content.into();
        self.records.insert(correlation, Record { number, content, weight: 0, answer });
        number
    }

    /// Changes what a user has, and finds the new place among the others.
    fn change(&mut self, user: &Address, change: impl FnOnce(&mut Owner)) {
        let owner = self.users.entry(user.clone()).or_default();
        if let Some(share) = owner.share(&self.limits) {
            self.by_share.remove(&share);
        }
        change(owner);
        match owner.share(&self.limits) {
            Some(share) => _ = self.by_share.insert(share, user.clone()),
            None => _ = self.users.remove(user),
        }
    }

    /// Notes what a settled answer weighs; it may push others out, or even itself.
    /// Tells whether the request is still known.
    fn weigh(&mut self, correlation: &Correlation, number: u64, weight: usize) -> bool {
        let record = self.records.get_mut(correlation).filter(|record| record.number == number);
        let is_known = record.is_some();
        if let Some(record) = record {
            record.weight = weight;
            self.weight = self.weight.saturating_add(weight);
            let user = &correlation.user;
            self.change(user, |owner| owner.weight = owner.weight.saturating_add(weight));
            let most = self.limits.weight_per_user;
            while self.users.get(user).is_some_and(|owner| owner.weight > most)
                && self.drop_oldest_of(user)
            {}
        }
        while self.weight > self.limits.weight && self.drop_of_the_largest() {}
        is_known
    }

    /// Forgets a request; tells whether it was there.
    fn forget(&mut self, correlation: &Correlation, number: u64) -> bool {
        if self.records.get(correlation).is_some_and(|record| record.number == number)
            && let Some(record) = self.records.remove(correlation)
        {
            self.weight = self.weight.saturating_sub(record.weight);
            self.in_order.remove(&number);
            self.change(&correlation.user, |owner| {
                owner.weight = owner.weight.saturating_sub(record.weight);
                owner.numbers.remove(&number);
            });
            return true;
        }
        false
    }

    /// Lets go of what is too old, and where there is no room for one more of the user, or of
    /// anybody, of the oldest of who has too much.
    fn make_room(&mut self, now: Instant, user: &Address) {
        let CorrelatorLimits { capacity, per_user, age, .. } = self.limits;
        while let Some((number, (at, _))) = self.in_order.first_key_value() {
            let number = *number;
            if now.saturating_duration_since(*at) < age || !self.drop(number) {
                break;
            }
        }
        let count = |book: &Self| book.users.get(user).map_or(0, |owner| owner.numbers.len());
        while count(self) >= per_user.max(1) && self.drop_oldest_of(user) {}
        while self.in_order.len() >= capacity.max(1) && self.drop_of_the_largest() {}
    }

    fn drop_oldest_of(&mut self, user: &Address) -> bool {
        let oldest = self.users.get(user).and_then(|owner| owner.numbers.first().copied());
        oldest.is_some_and(|number| self.drop(number))
    }

    fn drop_of_the_largest(&mut self) -> bool {
        let largest = self.by_share.last_key_value();
        let oldest = largest.map(|((_, Reverse(oldest)), _)| *oldest);
        oldest.is_some_and(|number| self.drop(number))
    }

    /// Lets go of a record that has to make room; `false` where it is not there.
    fn drop(&mut self, number: u64) -> bool {
        let Some((_, correlation)) = self.in_order.get(&number) else { return false };
        let correlation = correlation.clone();
        let is_dropped = self.forget(&correlation, number);
        if is_dropped {
            self.forgotten.push(correlation);
        }
        is_dropped
    }
}

/// Locks the book; a panic elsewhere leaves it whole, as no call unwinds half-way.
fn lock<A>(book: &Mutex<Book<A>>) -> MutexGuard<'_, Book<A>> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_repeat_gets_the_first_answer_and_another_content_is_refused() {
        let (memory, now) = (memory(8), Instant::now());
        first(claim(&memory, now, "c", "body").await).settle("made", 4);
        assert!(matches!(claim(&memory, now, "c", "body").await, Ok(Claim::Repeat("made"))));
        assert_eq!(claim(&memory, now, "c", "other").await.unwrap_err(), OtherContent);
        assert!(matches!(claim(&memory, now, "d", "body").await, Ok(Claim::First(_))));
    }

    #[tokio::test]
    async fn repeats_wait_for_the_first_and_one_takes_its_place_when_it_fails() {
        let (memory, now) = (memory(8), Instant::now());
        let pending = first(claim(&memory, now, "c", "body").await);
        let fail_then_work = async {
            tokio::task::yield_now().await;
            drop(pending);
        };
        let repeat = async |name| match claim(&memory, now, "c", "body").await.unwrap() {
            Claim::First(pending) => {
                tokio::task::yield_now().await;
                pending.settle(name, 0);
                name
            }
            Claim::Repeat(answer) => answer,
            Claim::Unknown => panic!("there was no restart"),
        };
        let ((), one, two) = tokio::join!(fail_then_work, repeat("second"), repeat("third"));
        assert_eq!(one, two);
    }

    #[tokio::test]
    async fn an_answer_whose_resource_is_gone_is_forgotten() {
        let (memory, now) = (memory(8), Instant::now());
        first(claim(&memory, now, "c", "body").await).settle("gone", 4);
        let correlation = correlation("c");
        let again = memory.claim(now, (&correlation, b"other"), |answer| *answer != "gone").await;
        first(again).settle("new", 3);
        assert!(matches!(claim(&memory, now, "c", "other").await, Ok(Claim::Repeat("new"))));
    }

    #[tokio::test]
    async fn age_number_and_weight_are_bounded() {
        let (memory, now) = (memory(2), Instant::now());
        for name in ["a", "b", "c"] {
            first(claim(&memory, now, name, "body").await).settle("made", 4);
        }
        assert_eq!(lock(&memory.book).records.len(), 2);
        assert!(matches!(claim(&memory, now, "c", "body").await, Ok(Claim::Repeat(_))));
        let later = now + Duration::from_secs(60);
        assert!(matches!(claim(&memory, later, "c", "body").await, Ok(Claim::First(_))));
        assert_eq!(lock(&memory.book).records.len(), 0);
        first(claim(&memory, later, "light", "body").await).settle("made", 60);
        first(claim(&memory, later, "heavy", "body").await).settle("made", 60);
        assert!(matches!(claim(&memory, later, "heavy", "body").await, Ok(Claim::Repeat(_))));
        first(claim(&memory, later, "light", "body").await).settle("made", 500);
        let book = lock(&memory.book);
        assert_eq!((book.records.len(), book.in_order.len(), book.weight), (0, 0, 0));
    }

    #[tokio::test]
    async fn who_floods_the_memory_makes_room_of_his_own() {
        let settled = async |memory: &Correlators<&'static str>, user: &str, name: &str, weight| {
            let correlation = correlation_of(user, name);
            let claim = memory.claim(Instant::now(), (&correlation, b"body"), |_| true).await;
            first(claim).settle("made", weight);
        };
        let remembers = |memory: &Correlators<&'static str>| -> Vec<String> {
            let book = lock(&memory.book);
            let shown = |it: &Correlation| format!("{} {}", it.user.spelling(), it.correlator);
            let mut names: Vec<_> = book.records.keys().map(shown).collect();
            names.sort();
            names
        };
        let limits = CorrelatorLimits {
            capacity: 5,
            per_user: 3,
            weight: 100,
            weight_per_user: 60,
            age: Duration::from_secs(60),
        };
        let memory = Correlators::new(limits, Keeper::in_memory(Instant::now()));
        for name in ["a", "b", "c", "d"] {
            settled(&memory, "tel:+1", name, 1).await;
        }
        assert_eq!(remembers(&memory), ["tel:+1 b", "tel:+1 c", "tel:+1 d"], "one user has three");
        for user in ["tel:+2", "tel:+3", "tel:+4"] {
            settled(&memory, user, "x", 1).await;
        }
        let left = ["tel:+1 c", "tel:+1 d", "tel:+2 x", "tel:+3 x", "tel:+4 x"];
        assert_eq!(remembers(&memory), left, "who has the most makes room");
        for user in ["tel:+5", "tel:+6"] {
            settled(&memory, user, "x", 1).await;
        }
        let left = ["tel:+2 x", "tel:+3 x", "tel:+4 x", "tel:+5 x", "tel:+6 x"];
        assert_eq!(remembers(&memory), left, "of those who have as many, the oldest");

        let memory = Correlators::new(limits, Keeper::in_memory(Instant::now()));
        for (user, name, weight) in
            [("tel:+2", "x", 20), ("tel:+1", "a", 40), ("tel:+1", "b", 30), ("tel:+3", "x", 50)]
        {
            settled(&memory, user, name, weight).await;
        }
        assert_eq!(remembers(&memory), ["tel:+1 b", "tel:+2 x", "tel:+3 x"], "weights count, too");
        settled(&memory, "tel:+1", "c", 30).await;
        assert_eq!(remembers(&memory), ["tel:+1 c", "tel:+2 x", "tel:+3 x"]);
    }

    async fn claim(
        memory: &Correlators<&'static str>,
        now: Instant,
        correlator: &str,
        content: &str,
    ) -> Result<Claim<&'static str>, OtherContent> {
        memory.claim(now, (&correlation(correlator), content.as_bytes()), |_| true).await
    }

    fn first(claim: Result<Claim<&'static str>, OtherContent>) -> Pending<&'static str> {
        match claim.unwrap() {
            Claim::First(pending) => pending,
            Claim::Repeat(answer) => panic!("already answered: {answer}"),
            Claim::Unknown => panic!("there was no restart"),
        }
    }

    fn correlation(correlator: &str) -> Correlation {
        correlation_of("tel:+1", correlator)
    }

    fn correlation_of(user: &str, correlator: &str) -> Correlation {
        let user = Address::parse(user).unwrap();
        Correlation { user, collection: "sessions".into(), correlator: correlator.into() }
    }

    fn memory(capacity: usize) -> Correlators<&'static str> {
        let (per_user, weight, age) = (capacity, 100, Duration::from_secs(60));
        let limits = CorrelatorLimits { capacity, per_user, weight, weight_per_user: weight, age };
        Correlators::new(limits, Keeper::in_memory(Instant::now()))
    }
}
