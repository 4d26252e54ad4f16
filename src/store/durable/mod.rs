//! What outlives a restart, and how it is kept.
//!
//! ```text
//!   directories ──commit──────▶ ┌───────┐ ◀── load, once, at the start
//!               ◀──outcome───── │ Store │
//!               ──write_behind▶ └───────┘ ──▶ Health: what /readyz tells
//! ```
//! The directories that requests are served from stay in memory. They are filled from the store at
//! the start, and what changes in them is written through: as a commit, whose outcome somebody
//! waits for before he tells anybody, or behind, where a loss would only repeat what was done.
//!
//! [`Memory`] keeps nothing beyond the process; [`Sqlite`] keeps everything in one file. Both pass
//! the one suite of `conformance`, as any further store has to.

mod aside;
#[cfg(test)]
mod conformance;
mod content;
mod health;
mod memory;
mod rows;
mod sqlite;
#[cfg(test)]
mod sqlite_tests;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::oneshot;

use super::backlog::Content;
use super::correlators::Correlation;
use super::subscriptions::Subscription;
use crate::address::Address;
use crate::chat::SessionKind;
use crate::ids::{ChannelId, NotificationId, SessionId, SubscriptionId};
use crate::oma::Element;

pub use health::Health;
pub use memory::Memory;
pub use sqlite::{Sqlite, SqliteSettings};

/// What keeps the records of the bridge beyond its restart.
///
/// Batches take effect in the order in which they were handed over, those of
/// [`Store::write_behind`] perhaps a little early: what they undo was committed before.
pub trait Store: fmt::Debug + Send + Sync {
    /// Reads everything.
    fn load(&self) -> Outcome<Contents>;

    /// Hands a batch over, all of which is written or nothing; the outcome is good once it would
    /// survive a power cut. The batch is written also where nobody awaits the outcome.
    fn commit(&self, batch: Batch) -> Outcome<()>;

    /// Hands over what nobody waits for; it is written with the next batches, and again where that
    /// fails.
    fn write_behind(&self, batch: Batch);

    /// Tells whether records outlive the process, so that it is worth waiting for a commit.
    fn is_lasting(&self) -> bool;

    /// Shows the state of the store, now and later.
    fn health(&self) -> Health;

    /// Writes what waits and lets go of the file.
    fn close(&self) -> Outcome<()>;
}

/// Why a store does not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// It cannot be used at all.
    #[error("the store {}: {what}", path.display())]
    Unusable {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it, and what would be right.
        what: String,
    },
    /// A batch could not be written.
    #[error("the store cannot be written: {0}")]
    Unwritable(String),
    /// What is kept could not be read.
    #[error("the store cannot be read: {0}")]
    Unreadable(String),
    /// Too many batches wait.
    #[error("the store is too slow: its queue is full")]
    Full,
    /// A commit has not come to an end in time.
    #[error("the store is too slow: a commit has not ended in time")]
    Slow,
    /// It was closed.
    #[error("the store is closed")]
    Closed,
}

/// Changes that are made together.
#[derive(Debug, Clone)]
pub struct Batch(Arc<[Change]>);

impl Batch {
    /// Tells whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn changes(&self) -> &[Change] {
        &self.0
    }
}

impl From<Vec<Change>> for Batch {
    fn from(changes: Vec<Change>) -> Self {
        Self(changes.into())
    }
}

impl From<Change> for Batch {
    fn from(change: Change) -> Self {
        Self(Arc::new([change]))
    }
}

/// A change of one record. To put is to replace; to end what is not there is nothing.
#[derive(Debug, Clone)]
pub enum Change {
    /// A client instance subscribes.
    PutSubscription(SubscriptionRecord),
    /// A subscription ends, with all that waits for it.
    EndSubscription(SubscriptionId),
    /// A channel is opened.
    PutChannel(ChannelRecord),
    /// A channel holds until this time.
    RenewChannel(ChannelId, OffsetDateTime),
    /// A channel ends; its subscriptions are ended by changes of their own.
    EndChannel(ChannelId),
    /// A notification waits.
    PutNotification(NotificationRecord),
    /// The notification with this sequence number waits no more.
    EndNotification(u64),
    /// A request that may be repeated has its answer.
    PutAnswer(AnswerRecord),
    /// What an answer speaks of has been done.
    FinishAnswer(Correlation),
    /// An answer is forgotten.
    ForgetAnswer(Correlation),
    /// A session is up.
    PutSession(SessionRecord),
    /// A session has ended.
    EndSession(SessionId),
}

/// A subscription, and when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRecord {
    /// The subscription; its own `expires` says nothing here.
    pub subscription: Arc<Subscription>,
    /// When it ends by itself.
    pub expires: Option<OffsetDateTime>,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRecord {
    /// The `{channelId}` of its URL.
    pub id: ChannelId,
    /// The user that it is for.
    pub user: Address,
    /// The type as the client spelled it.
    pub channel_type: String,
    /// The client's name for its application.
    pub application_tag: Option<String>,
    /// The client's own tag for the resource.
    pub client_correlator: Option<String>,
    /// Its own URL.
    pub resource_url: String,
    /// The notifyURL of the subscriptions that use it.
    pub callback_url: String,
    /// The URL that the client polls, with the secret as its last segment.
    pub channel_url: String,
    /// The most notifications in one answer.
    pub max_notifications: u32,
    /// When it ends by itself.
    pub expires: OffsetDateTime,
}

/// A notification that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct NotificationRecord {
    /// Its place among all notifications, and its key.
    pub sequence: u64,
    /// Its id, the same on every attempt.
    pub id: NotificationId,
    /// Whom it is for.
    pub subscription: SubscriptionId,
    /// What it says.
    pub content: Content,
}

/// What was answered to a request that may be repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerRecord {
    /// The request.
    pub correlation: Correlation,
    /// The hash of what it asked for.
    pub content: String,
    /// When it was asked.
    pub at: OffsetDateTime,
    /// The answer.
    pub created: Created,
    /// Whether nothing else that is kept says that it has been done.
    pub is_begun: bool,
}

/// A resource as the answer to its creation shows it, also to those who repeat the request.
#[derive(Debug, Clone, PartialEq)]
pub struct Created {
    /// The URL of the resource.
    pub location: String,
    /// The copy of the resource.
    pub document: Element,
}

impl Created {
    /// Estimates how much memory it takes, in bytes: a tree is a few times as large as its text.
    #[must_use]
    pub fn weight(&self) -> usize {
        512 + self.location.len() + 2 * self.document.weight()
    }
}

/// A session that is up: whose subscriptions are to be told when it has ended unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session.
    pub id: SessionId,
    /// Whose it is.
    pub user: Address,
    /// Which kind of session it is.
    pub kind: SessionKind,
}

/// Everything that a store holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Contents {
    /// Subscriptions, oldest first.
    pub subscriptions: Vec<SubscriptionRecord>,
    /// Channels, oldest first.
    pub channels: Vec<ChannelRecord>,
    /// Notifications in the order of their sequence numbers.
    pub notifications: Vec<NotificationRecord>,
    /// Answers, oldest first.
    pub answers: Vec<AnswerRecord>,
    /// Sessions, oldest first.
    pub sessions: Vec<SessionRecord>,
}

/// What will have come of an order to a store.
#[derive(Debug)]
#[must_use = "an outcome that nobody awaits may have been a failure"]
pub struct Outcome<T>(State<T>);

#[derive(Debug)]
enum State<T> {
    Known(Option<Result<T, StoreError>>),
    Coming(oneshot::Receiver<Result<T, StoreError>>),
}

impl<T> Outcome<T> {
    /// Makes an outcome that is known already.
    pub fn known(result: Result<T, StoreError>) -> Self {
        Self(State::Known(Some(result)))
    }

    /// Makes an outcome that somebody else will tell.
    pub fn coming(told: oneshot::Receiver<Result<T, StoreError>>) -> Self {
        Self(State::Coming(told))
    }
}

impl<T: Unpin> Future for Outcome<T> {
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match &mut self.get_mut().0 {
            State::Known(result) => result.take().unwrap_or(Err(StoreError::Closed)),
            State::Coming(told) => {
                ready!(Pin::new(told).poll(cx)).unwrap_or(Err(StoreError::Closed))
            }
        })
    }
}
