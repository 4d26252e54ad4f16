//! Notices on their way to applications: which subscriptions, and which way out.
//!
//! ```text
//!   driver ──Notice──▶ run ──▶ ledger ──┬──▶ queue of a callback ──▶ task ──▶ HTTP POST
//!          ◀─Receipt──────────────┘     └──▶ queue of a channel  ◀── long poll, event stream
//! ```
//! The loop of [`run`] only queues: it never awaits the network, so a slow application holds up
//! neither a chat nor another application. Each subscription has one queue, and so one order. What
//! is queued is durable before, and its queue tells the store when it has left.

mod callback;
mod document;
mod ledger;
mod long_poll;
mod post;
mod retry;
mod signature;
mod stream;
mod target;
#[cfg(test)]
mod world;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::chat::{EventType, MessageStatus, Notice, NoticeKind, ParticipantStatus};
use crate::ids::{MessageId, NotificationId, Random, SubscriptionId};
use crate::store::durable::{Change, SessionRecord};
use crate::store::{Channels, Content, Keeper, Queued, Remembered, Subscriptions, Told};

use callback::{Callback, Courier};
use ledger::{Ledger, Line, Page};
use post::Poster;

pub use long_poll::{Batch, poll};
pub use post::{Addresses, Names, read_authorities};
pub use retry::Retry;
pub use signature::{SigningKey, SigningKeyError};
pub use stream::Stream;
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
    /// What callbacks are signed with: each carries a signature for each key.
    pub keys: Vec<SigningKey>,
    /// Who vouches for applications that are called back over TLS, a file of PEM; else the platform
    /// says.
    pub authorities: Option<PathBuf>,
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
            keys: Vec::new(),
            authorities: None,
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
    /// Who knows where applications are.
    pub names: Names,
    /// The source of notification ids and of jitter.
    pub random: Random,
    /// What is counted on the way.
    pub counters: Arc<Counters>,
    /// Where notifications are kept until they are delivered.
    pub keeper: Keeper,
    /// What is left from before a restart.
    pub remembered: Remembered,
}

impl Outlets {
    /// Bundles the outlets with counters of their own.
    #[must_use]
    pub fn new(
        subscriptions: Arc<Subscriptions>,
        channels: Arc<Channels>,
        (settings, names): (Settings, Names),
        random: Random,
    ) -> Self {
        let (counters, remembered) = (Arc::default(), Remembered::default());
        let keeper = Keeper::in_memory(now());
        Self { subscriptions, channels, settings, names, random, counters, keeper, remembered }
    }

    /// Has the notifications kept by `keeper`, and those that it has kept delivered.
    #[must_use]
    pub fn keeping(self, keeper: Keeper, remembered: Remembered) -> Self {
        Self { keeper, remembered, ..self }
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
pub async fn run(mut inbox: mpsc::Receiver<Told>, outlets: Outlets, stop: CancellationToken) {
    let mut desk = match Desk::open(outlets) {
        Ok(desk) => desk,
        Err(error) => {
            tracing::error!(%error, "callbacks cannot be made: no notification is delivered");
            return;
        }
    };
    desk.remember();
    let mut sweep = interval(desk.outlets.settings.sweep);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Vec::new();
    loop {
        let room = desk.ledger.room();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = sweep.tick() => desk.sweep(now()),
            page = desk.ledger.settled() => desk.publish(page),
            count = inbox.recv_many(&mut told, room), if room > 0 => match count {
                0 => break,
                _ => desk.enter(now(), told.drain(..)),
            },
        }
    }
    inbox.close();
    while inbox.recv_many(&mut told, PAGE).await > 0 {
        desk.enter(now(), told.drain(..));
    }
    desk.close().await;
}

/// How many notices are written together, at most.
const PAGE: usize = 256;

/// The queues of all callbacks, and the tasks that work on them.
#[derive(Debug)]
struct Desk {
    outlets: Outlets,
    poster: Poster,
    callbacks: BTreeMap<SubscriptionId, Arc<Callback>>,
    ledger: Ledger,
    next_sequence: u64,
    tasks: TaskTracker,
    ended: CancellationToken,
}

impl Desk {
    fn open(outlets: Outlets) -> Result<Self, String> {
        let poster = Poster::new(&outlets.settings, &outlets.names)?;
        let (tasks, ended) = (TaskTracker::new(), CancellationToken::new());
        let ledger = Ledger::new(outlets.keeper.clone());
        let next_sequence = outlets.remembered.next_sequence;
        let callbacks = BTreeMap::new();
        Ok(Self { outlets, poster, callbacks, ledger, next_sequence, tasks, ended })
    }

    /// Takes up what is left from before a restart: what waits goes on waiting, and what was up has
    /// ended.
    fn remember(&mut self) {
        let Remembered { waiting, unsettled, ended, .. } =
            std::mem::take(&mut self.outlets.remembered);
        if !(waiting.is_empty() && ended.is_empty()) {
            let (waiting, sessions) = (waiting.len(), ended.len());
            tracing::info!(waiting, sessions, "notifications and sessions from before the restart");
        }
        waiting.into_iter().for_each(|queued| self.queue(queued));
        let at = self.outlets.keeper.wall(now());
        let failed = unsettled.into_iter().flat_map(|message| failure_of(message, at));
        let told = failed.chain(ended.into_iter().map(|session| end_of(session, at)));
        self.enter(now(), told.map(|notice| Told { notice, receipt: None }));
    }

    /// Enters notices in the ledger, for every subscription of their users.
    fn enter(&mut self, now: Instant, told: impl IntoIterator<Item = Told>) {
        let mut page = Page::default();
        for Told { notice, receipt } in told {
            let session = session_change(&notice);
            let is_end = notice.kind.is_terminal();
            page.extend(session.clone().filter(|_| !is_end).map(Line::Change));
            let notice = Arc::new(notice);
            for subscription in self.outlets.subscriptions.of(&notice.user) {
                if notice.kind.is_echo() && !subscription.echo {
                    continue;
                }
                let id = NotificationId::new(self.outlets.random.token());
                let sequence = is_kept(&notice.kind).then_some(self.next_sequence);
                self.next_sequence += 1;
                let content = Content::Notice(Arc::clone(&notice));
                let queued = Queued { id, sequence, subscription, since: now, content };
                page.push(Line::Notification(queued));
            }
            // The end of a session is told before it is taken as told.
            page.extend(session.filter(|_| is_end).map(Line::Change));
            page.extend(receipt.map(Line::Receipt));
        }
        self.ledger.enter(page);
        while let Some(page) = self.ledger.settled_now() {
            self.publish(page);
        }
    }

    /// Queues what is durable, and tells who waits for that.
    fn publish(&mut self, page: Page) {
        for line in page {
            match line {
                Line::Change(_) => {}
                Line::Notification(queued) => self.queue(queued),
                Line::Receipt(receipt) => receipt.give(),
            }
        }
    }

    fn queue(&mut self, queued: Queued) {
        let subscription = Arc::clone(&queued.subscription);
        if self.outlets.subscriptions.get(&subscription.user, &subscription.id).is_none() {
            // It has ended while the notification was being written.
            let end = queued.sequence.map(Change::EndNotification);
            return self.outlets.keeper.write_behind(end.into_iter().collect());
        }
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
                let keeper = self.outlets.keeper.clone();
                let subscription = Arc::clone(&queued.subscription);
                let callback = Callback::new(subscription, capacity, keeper, ended);
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
                keeper: self.outlets.keeper.clone(),
                counters: Arc::clone(&self.outlets.counters),
                random: self.outlets.random.fork(),
            };
            self.tasks.spawn(courier.run());
        }
        pushed.lost
    }

    /// Ends what has run out, and lets go of callbacks that have nothing to do.
    fn sweep(&mut self, now: Instant) {
        let Outlets { subscriptions, channels, keeper, .. } = &self.outlets;
        for channel in channels.expire(now) {
            let ended = subscriptions.remove_url(&channel.callback_url);
            tracing::debug!(channel = %channel.id, ended = ended.len(), "a channel has run out");
            let ends = ended.iter().map(|ended| Change::EndSubscription(ended.id.clone()));
            keeper.write_behind(ends.chain([Change::EndChannel(channel.id.clone())]).collect());
        }
        for subscription in subscriptions.sweep(now) {
            keeper.write_behind(vec![Change::EndSubscription(subscription.id.clone())]);
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
        let farewell = self.outlets.settings.farewell;
        let settled = async {
            while !self.ledger.is_empty() {
                let page = self.ledger.settled().await;
                self.publish(page);
            }
        };
        // What the store does not take goes out all the same, but nobody is told that it was kept.
        if timeout(farewell, settled).await.is_err() {
            for line in self.ledger.give_up() {
                match line {
                    Line::Notification(queued) => self.queue(queued),
                    Line::Change(_) | Line::Receipt(_) => {}
                }
            }
        }
        // Nobody waits for callbacks whose subscription has ended since the last sweep.
        self.sweep(now());
        self.tasks.close();
        let channels = &self.outlets.channels;
        let fetched = async {
            for channel in channels.unread() {
                long_poll::fetched(&channel, farewell).await;
            }
        };
        let last = async { tokio::join!(self.tasks.wait(), fetched) };
        if timeout(farewell, last).await.is_err() {
            let (callbacks, channels) = (self.tasks.len(), channels.unread().len());
            tracing::warn!(callbacks, channels, "notifications were left undone");
            self.ended.cancel();
        }
        channels.close();
    }
}

/// Gives what a notice changes in the records of the sessions that are up.
fn session_change(notice: &Notice) -> Option<Change> {
    let Notice { user, session, of, kind, .. } = notice;
    if kind.is_terminal() {
        return Some(Change::EndSession(session.clone()));
    }
    let put = || {
        let (id, user) = (session.clone(), user.clone());
        Change::PutSession(SessionRecord { id, user, kind: *of })
    };
    match kind {
        NoticeKind::Invited { .. } | NoticeKind::GroupInvited { .. } => Some(put()),
        // Who has left a group of itself has no end to be told, until it joins again.
        NoticeKind::ParticipantStatus { participants } => {
            let own = participants.iter().find(|participant| participant.your_own)?;
            Some(match own.status {
                ParticipantStatus::Invited | ParticipantStatus::Connected => put(),
                ParticipantStatus::Disconnected => Change::EndSession(session.clone()),
            })
        }
        NoticeKind::Event { .. }
        | NoticeKind::Message { .. }
        | NoticeKind::Composing { .. }
        | NoticeKind::Delivery { .. } => None,
    }
}

/// Tells whether a notice is worth keeping: that somebody was typing before a restart is not.
fn is_kept(kind: &NoticeKind) -> bool {
    match kind {
        NoticeKind::Composing { .. } => false,
        NoticeKind::Invited { .. }
        | NoticeKind::Event { .. }
        | NoticeKind::Message { .. }
        | NoticeKind::Delivery { .. }
        | NoticeKind::GroupInvited { .. }
        | NoticeKind::ParticipantStatus { .. } => true,
    }
}

/// Tells the failure of a message that a restart has met on its way into its session.
fn failure_of((session, id): (SessionRecord, MessageId), at: OffsetDateTime) -> [Notice; 2] {
    let SessionRecord { id: session, user, kind: of } = session;
    let description = Some(RESTARTED.to_owned());
    let status = NoticeKind::Delivery {
        message: id.clone(),
        status: MessageStatus::Failed,
        error_code: Some("481".to_owned()),
        description: description.clone(),
        participant: None,
    };
    let event = EventType::MessageFailure;
    let event = NoticeKind::Event { event, description, message: Some(id) };
    [status, event].map(|kind| {
        let (user, session) = (user.clone(), session.clone());
        Notice { user, session, of, at, kind }
    })
}

/// Tells the end of a session that a restart has ended.
fn end_of(record: SessionRecord, at: OffsetDateTime) -> Notice {
    let SessionRecord { id, user, kind: of } = record;
    let kind = NoticeKind::Event {
        event: EventType::SessionEnded,
        description: Some(RESTARTED.to_owned()),
        message: None,
    };
    Notice { user, session: id, of, at, kind }
}

/// What is said of all that a restart has ended.
const RESTARTED: &str = "bridge restarted";

/// Reads the clock that tests can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
