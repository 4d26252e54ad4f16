//! Notices on their way to applications: which subscriptions, and which way out.
//!
//! ```text
//!   driver ──Notice──▶ run ──┬──▶ queue of a callback ──▶ task ──▶ HTTP POST
//!                            └──▶ queue of a channel  ◀── long poll
//! ```
//! The loop of [`run`] only queues: it never awaits the network, so a slow application holds up
//! neither a chat nor another application. Each subscription has one queue, and so one order.

mod callback;
mod document;
mod long_poll;
mod post;
mod retry;
mod target;
#[cfg(test)]
mod world;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::chat::Notice;
use crate::ids::{NotificationId, Random, SubscriptionId};
use crate::store::{Channels, Content, Queued, Subscriptions};

use callback::{Callback, Courier};
use post::Poster;

pub use long_poll::{Batch, poll};
pub use retry::Retry;
pub use target::{TargetError, TargetPolicy};

/// How notifications are delivered; a part of the configuration. Channels have a part of their
/// own, [`crate::store::ChannelSettings`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many notifications wait for one callback.
    pub queue: usize,
    /// How long an application may take to answer a callback, connecting included.
    pub deadline: Duration,
    /// The most that is read of an answer to a callback, in bytes.
    pub max_response: usize,
    /// When failed callbacks are repeated.
    pub retry: Retry,
    /// Whether callbacks may go to private and loopback addresses; link-local ones never.
    pub allow_private: bool,
    /// How often subscriptions and channels are looked through for those whose time is over.
    pub sweep: Duration,
    /// How long callbacks that are under way, and the next polls of clients that have just polled,
    /// may take at the end of the process.
    pub farewell: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue: 1000,
            deadline: Duration::from_secs(10),
            max_response: 64 * 1024,
            retry: Retry::default(),
            allow_private: true,
            sweep: Duration::from_secs(1),
            farewell: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// Gives the rule for the URLs of applications.
    #[must_use]
    pub fn target_policy(&self) -> TargetPolicy {
        TargetPolicy { allow_private: self.allow_private }
    }
}

/// What [`run`] works with.
#[derive(Debug)]
pub struct Outlets {
    /// Who is told.
    pub subscriptions: Arc<Subscriptions>,
    /// Where those are told that fetch their notifications.
    pub channels: Arc<Channels>,
    /// How.
    pub settings: Settings,
    /// The source of notification ids and of jitter.
    pub random: Random,
    /// What is counted on the way.
    pub counters: Arc<Counters>,
}

impl Outlets {
    /// Bundles the outlets with counters of their own.
    #[must_use]
    pub fn new(
        subscriptions: Arc<Subscriptions>,
        channels: Arc<Channels>,
        settings: Settings,
        random: Random,
    ) -> Self {
        Self { subscriptions, channels, settings, random, counters: Arc::default() }
    }
}

/// How many notifications took which way.
#[derive(Debug, Default)]
pub struct Counters {
    delivered: AtomicU64,
    failed_attempts: AtomicU64,
    lost: AtomicU64,
    refused: AtomicU64,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Notifications that an application has taken by callback.
    Delivered,
    /// Callbacks that have failed or were refused, and were to be repeated.
    FailedAttempts,
    /// Notifications that were given up, because a queue was full or the retry window over.
    Lost,
    /// Notifications that an application did not want.
    Refused,
}

impl Counters {
    /// Reads a counter.
    #[must_use]
    pub fn read(&self, count: Count) -> u64 {
        self.cell(count).load(Ordering::Relaxed)
    }

    fn add(&self, count: Count, number: u64) {
        self.cell(count).fetch_add(number, Ordering::Relaxed);
    }

    fn cell(&self, count: Count) -> &AtomicU64 {
        match count {
            Count::Delivered => &self.delivered,
            Count::FailedAttempts => &self.failed_attempts,
            Count::Lost => &self.lost,
            Count::Refused => &self.refused,
        }
    }
}

/// Delivers the notices of `inbox` until `stop`, or until nobody can send any more.
///
/// What is in the inbox then is still delivered, or fetched, within [`Settings::farewell`]; then
/// polls that wait are answered.
pub async fn run(mut inbox: mpsc::Receiver<Notice>, outlets: Outlets, stop: CancellationToken) {
    let mut desk = match Desk::open(outlets) {
        Ok(desk) => desk,
        Err(error) => {
            tracing::error!(%error, "callbacks cannot be made: no notification is delivered");
            return;
        }
    };
    let mut sweep = interval(desk.outlets.settings.sweep);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = sweep.tick() => desk.sweep(now()),
            notice = inbox.recv() => match notice {
                Some(notice) => desk.deliver(now(), notice),
                None => break,
            },
        }
    }
    inbox.close();
    while let Ok(notice) = inbox.try_recv() {
        desk.deliver(now(), notice);
    }
    desk.close().await;
}

/// The queues of all callbacks, and the tasks that work on them.
#[derive(Debug)]
struct Desk {
    outlets: Outlets,
    poster: Poster,
    callbacks: BTreeMap<SubscriptionId, Arc<Callback>>,
    tasks: TaskTracker,
    ended: CancellationToken,
}

impl Desk {
    fn open(outlets: Outlets) -> Result<Self, reqwest::Error> {
        let poster = Poster::new(&outlets.settings)?;
        let (tasks, ended) = (TaskTracker::new(), CancellationToken::new());
        Ok(Self { outlets, poster, callbacks: BTreeMap::new(), tasks, ended })
    }

    /// Queues a notice for every subscription of its user.
    fn deliver(&mut self, now: Instant, notice: Notice) {
        let notice = Arc::new(notice);
        for subscription in self.outlets.subscriptions.of(&notice.user) {
            if notice.kind.is_echo() && !subscription.echo {
                continue;
            }
            let id = NotificationId::new(self.outlets.random.token());
            let content = Content::Notice(Arc::clone(&notice));
            self.queue(Queued { id, subscription, since: now, content });
        }
    }

    fn queue(&mut self, queued: Queued) {
        let subscription = Arc::clone(&queued.subscription);
        let lost = match self.outlets.channels.by_callback_url(&subscription.notify_url) {
            Some(channel) => channel.push(queued),
            None => self.queue_callback(queued),
        };
        if lost > 0 {
            tracing::warn!(subscription = %subscription.id, lost, "the queue is full");
            self.outlets.counters.add(Count::Lost, lost);
        }
    }

    fn queue_callback(&mut self, queued: Queued) -> u64 {
        let callback = match self.callbacks.entry(queued.subscription.id.clone()) {
            Entry::Occupied(entry) => Arc::clone(entry.get()),
            Entry::Vacant(entry) => {
                let capacity = self.outlets.settings.queue;
                let ended = self.ended.child_token();
                let callback = Callback::new(Arc::clone(&queued.subscription), capacity, ended);
                Arc::clone(entry.insert(Arc::new(callback)))
            }
        };
        let pushed = callback.push(queued);
        if pushed.needs_task {
            let courier = Courier {
                callback,
                poster: self.poster.clone(),
                retry: self.outlets.settings.retry.clone(),
                subscriptions: Arc::clone(&self.outlets.subscriptions),
                counters: Arc::clone(&self.outlets.counters),
                random: self.outlets.random.fork(),
            };
            self.tasks.spawn(courier.run());
        }
        pushed.lost
    }

    /// Ends what has run out, and lets go of callbacks that have nothing to do.
    fn sweep(&mut self, now: Instant) {
        let Outlets { subscriptions, channels, .. } = &self.outlets;
        for channel in channels.expire(now) {
            let ended = subscriptions.remove_url(&channel.callback_url).len();
            tracing::debug!(channel = %channel.id, ended, "a channel has run out");
        }
        for subscription in subscriptions.sweep(now) {
            // The queue of a callback goes with its task, below.
            if let Some(channel) = channels.by_callback_url(&subscription.notify_url) {
                channel.forget(&subscription);
            }
        }
        self.callbacks.retain(|id, callback| {
            if subscriptions.get(&callback.subscription().user, id).is_none() {
                callback.end();
                return false;
            }
            !callback.is_idle()
        });
    }

    /// Gives callbacks that are under way, and clients that poll, a little time; then answers the
    /// polls that have nothing to wait for any more.
    async fn close(mut self) {
        // Nobody waits for callbacks whose subscription has ended since the last sweep.
        self.sweep(now());
        self.tasks.close();
        let Outlets { channels, settings: Settings { farewell, .. }, .. } = &self.outlets;
        let fetched = async {
            for channel in channels.unread() {
                long_poll::fetched(&channel, *farewell).await;
            }
        };
        let last = async { tokio::join!(self.tasks.wait(), fetched) };
        if timeout(*farewell, last).await.is_err() {
            let (callbacks, channels) = (self.tasks.len(), channels.unread().len());
            tracing::warn!(callbacks, channels, "notifications were left undone");
            self.ended.cancel();
        }
        channels.close();
    }
}

/// Reads the clock that tests can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
