//! Notification channels: where a client without a server of its own fetches its notifications.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::Notify;

use super::backlog::{Backlog, Queued};
use super::durable::{Change, ChannelRecord, StoreError};
use super::keeper::Keeper;
use super::subscriptions::Subscription;
use crate::address::Address;
use crate::ids::{ChannelId, NotificationId, Random};

/// What channels are like; a part of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelSettings {
    /// How many notifications wait in one channel.
    pub queue: usize,
    /// How many written notifications of a channel may be read again (`?since=`).
    pub reread: usize,
    /// The most notifications in one answer.
    pub max_notifications: u32,
    /// The longest life time, in seconds; also the one of a channel that asks for none.
    pub max_lifetime: u32,
    /// How long a poll is held while nothing arrives.
    pub poll: Duration,
    /// How long an event stream is silent before it shows that it is there.
    pub ping: Duration,
    /// The most channels of one user.
    pub per_user: usize,
    /// The most channels of all users together.
    pub total: usize,
}

impl Default for ChannelSettings {
    fn default() -> Self {
        Self {
            queue: 1000,
            reread: 250,
            max_notifications: 100,
            max_lifetime: 86_400,
            poll: Duration::from_secs(20),
            ping: Duration::from_secs(15),
            per_user: 16,
            total: 100_000,
        }
    }
}

/// What a client asks for when it opens a channel.
#[derive(Debug, Clone)]
pub struct NewChannel {
    /// The user that the channel is for.
    pub user: Address,
    /// `{serverRoot}/{apiVersion}/notificationchannel/{userId}` as the client spells it.
    pub base_url: String,
    /// The type of the channel as the client spells it.
    pub channel_type: String,
    /// The client's name for its application.
    pub application_tag: Option<String>,
    /// The client's own tag for the resource.
    pub client_correlator: Option<String>,
    /// The most notifications that the client wants in one answer.
    pub max_notifications: Option<u32>,
    /// The wanted life time in seconds; `None` and 0 stand for the longest.
    pub lifetime: Option<u32>,
}

/// Why there is no room for another channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChannelsFull {
    /// The user has as many as one user may have.
    #[error("the user has too many notification channels")]
    ForUser,
    /// The server has as many as it can hold.
    #[error("the server has too many notification channels")]
    ForAll,
}

/// All channels, found by id, by the URL that subscriptions notify, and by the secret of the poll.
#[derive(Debug)]
pub struct Channels {
    settings: ChannelSettings,
    random: Mutex<Random>,
    keeper: Keeper,
    directory: RwLock<Directory>,
}

/// The maps; a channel stands in all of them or in none.
#[derive(Debug, Default)]
struct Directory {
    by_id: BTreeMap<ChannelId, Arc<Channel>>,
    ids_by_user: BTreeMap<Address, Vec<ChannelId>>,
    ids_by_callback_url: BTreeMap<Box<str>, ChannelId>,
    ids_by_secret: BTreeMap<Box<str>, ChannelId>,
    is_closing: bool,
}

impl Channels {
    /// Opens an empty directory that draws ids and secrets from `random`; what its channels have
    /// let go of is told to `keeper`.
    #[must_use]
    pub fn new(settings: ChannelSettings, random: Random, keeper: Keeper) -> Self {
        Self { settings, random: Mutex::new(random), keeper, directory: RwLock::default() }
    }

    /// Takes a channel back in that was open before the restart.
    pub fn restore(&self, record: ChannelRecord) {
        let expires = self.keeper.instant(record.expires);
        let secret = record.channel_url.rsplit('/').next().unwrap_or_default().into();
        let channel = Arc::new(Channel {
            id: record.id,
            user: record.user,
            channel_type: record.channel_type,
            application_tag: record.application_tag,
            client_correlator: record.client_correlator,
            resource_url: record.resource_url,
            callback_url: record.callback_url,
            channel_url: record.channel_url,
            max_notifications: record.max_notifications,
            secret,
            state: self.fresh(expires),
            changed: Notify::new(),
            keeper: self.keeper.clone(),
        });
        self.directory.write().unwrap_or_else(PoisonError::into_inner).insert(&channel);
    }

    /// Opens a channel.
    ///
    /// # Errors
    /// One of the two limits is reached.
    pub fn create(&self, now: Instant, wish: NewChannel) -> Result<Arc<Channel>, ChannelsFull> {
        let channel = Arc::new(self.build(now, wish));
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        if directory.by_id.len() >= self.settings.total {
            return Err(ChannelsFull::ForAll);
        }
        if directory.ids_by_user.get(&channel.user).map_or(0, Vec::len) >= self.settings.per_user {
            return Err(ChannelsFull::ForUser);
        }
        directory.insert(&channel);
        Ok(channel)
    }

    /// Ends a channel and gives it back; its poll is answered.
    pub fn remove(&self, user: &Address, id: &ChannelId) -> Option<Arc<Channel>> {
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        if directory.by_id.get(id)?.user != *user {
            return None;
        }
        directory.remove(id)
    }

    /// Ends the channels whose time is over and gives them back.
    pub fn expire(&self, now: Instant) -> Vec<Arc<Channel>> {
        let is_over = |channel: &Channel| channel.expires() <= now;
        let over: Vec<ChannelId> = {
            let directory = self.read();
            directory.by_id.values().filter(|c| is_over(c)).map(|c| c.id.clone()).collect()
        };
        if over.is_empty() {
            return Vec::new();
        }
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        // A channel may have been given more time between the two locks.
        let is_still_over = |id: &&ChannelId| directory.by_id.get(*id).is_some_and(|c| is_over(c));
        let over: Vec<ChannelId> = over.iter().filter(is_still_over).cloned().collect();
        over.iter().filter_map(|id| directory.remove(id)).collect()
    }

    /// Gives a channel another life time from `now` on, in seconds, once that is durable, and gives
    /// the granted one back.
    ///
    /// # Errors
    /// The store cannot be written; the life time is as before.
    pub async fn renew(
        &self,
        now: Instant,
        channel: &Channel,
        lifetime: Option<u32>,
    ) -> Result<u32, StoreError> {
        let granted = self.grant(lifetime);
        let expires = now + Duration::from_secs(granted.into());
        let renewal = Change::RenewChannel(channel.id.clone(), self.keeper.wall(expires));
        self.keeper.keep(vec![renewal]).await?;
        channel.state().expires = expires;
        Ok(granted)
    }

    /// Answers all polls, and all that follow, at once: the server is shutting down.
    pub fn close(&self) {
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        directory.is_closing = true;
        directory.by_id.values().for_each(|channel| channel.close());
    }

    /// Finds a channel of the user.
    #[must_use]
    pub fn get(&self, user: &Address, id: &ChannelId) -> Option<Arc<Channel>> {
        self.read().by_id.get(id).filter(|channel| channel.user == *user).cloned()
    }

    /// Lists the channels of the user, oldest first.
    #[must_use]
    pub fn list(&self, user: &Address) -> Vec<Arc<Channel>> {
        let directory = self.read();
        let ids = directory.ids_by_user.get(user).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| directory.by_id.get(id).cloned()).collect()
    }

    /// Finds the channel that takes the notifications for `url`.
    #[must_use]
    pub fn by_callback_url(&self, url: &str) -> Option<Arc<Channel>> {
        let directory = self.read();
        directory.by_id.get(directory.ids_by_callback_url.get(url)?).cloned()
    }

    /// Finds the channel that is polled with `secret`.
    #[must_use]
    pub fn by_secret(&self, secret: &str) -> Option<Arc<Channel>> {
        let directory = self.read();
        directory.by_id.get(directory.ids_by_secret.get(secret)?).cloned()
    }

    /// Lists the channels of all users in which something waits.
    #[must_use]
    pub fn unread(&self) -> Vec<Arc<Channel>> {
        let directory = self.read();
        directory.by_id.values().filter(|channel| channel.waiting() > 0).cloned().collect()
    }

    /// Counts the channels of all users.
    #[must_use]
    pub fn count(&self) -> usize {
        self.read().by_id.len()
    }

    /// Gives the settings.
    #[must_use]
    pub fn settings(&self) -> &ChannelSettings {
        &self.settings
    }

    fn build(&self, now: Instant, wish: NewChannel) -> Channel {
        let (id, callback, secret) = {
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            (random.token(), random.token(), random.token())
        };
        let most = self.settings.max_notifications.max(1);
        let wanted = wish.max_notifications.filter(|wanted| *wanted > 0).unwrap_or(most);
        let lifetime = self.grant(wish.lifetime);
        Channel {
            resource_url: format!("{}/channels/{id}", wish.base_url),
            callback_url: format!("{}/callbacks/{callback}", wish.base_url),
            channel_url: format!("{}/polls/{secret}", wish.base_url),
            id: ChannelId::new(id),
            secret: secret.into(),
            user: wish.user,
            channel_type: wish.channel_type,
            application_tag: wish.application_tag,
            client_correlator: wish.client_correlator,
            max_notifications: wanted.min(most),
            state: self.fresh(now + Duration::from_secs(lifetime.into())),
            changed: Notify::new(),
            keeper: self.keeper.clone(),
        }
    }

    fn fresh(&self, expires: Instant) -> Mutex<State> {
        Mutex::new(State {
            backlog: Backlog::new(self.settings.queue, self.settings.reread),
            expires,
            turn: 0,
            polls: 0,
            writing: None,
            last_poll: None,
            is_streamed: false,
            is_closed: false,
        })
    }

    fn grant(&self, lifetime: Option<u32>) -> u32 {
        let most = self.settings.max_lifetime;
        lifetime.filter(|wanted| *wanted > 0).map_or(most, |wanted| wanted.min(most))
    }

    fn read(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Directory {
    fn insert(&mut self, channel: &Arc<Channel>) {
        let id = &channel.id;
        self.by_id.insert(id.clone(), Arc::clone(channel));
        self.ids_by_user.entry(channel.user.clone()).or_default().push(id.clone());
        self.ids_by_callback_url.insert(channel.callback_url.as_str().into(), id.clone());
        self.ids_by_secret.insert(channel.secret.clone(), id.clone());
        if self.is_closing {
            channel.close();
        }
    }

    fn remove(&mut self, id: &ChannelId) -> Option<Arc<Channel>> {
        let channel = self.by_id.remove(id)?;
        if let Some(own) = self.ids_by_user.get_mut(&channel.user) {
            own.retain(|other| other != id);
            if own.is_empty() {
                self.ids_by_user.remove(&channel.user);
            }
        }
        self.ids_by_callback_url.remove(channel.callback_url.as_str());
        self.ids_by_secret.remove(&channel.secret);
        channel.close();
        Some(channel)
    }
}

/// One channel with the notifications that wait in it.
#[derive(Debug)]
pub struct Channel {
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
    /// The URL that the client polls; whoever knows it may poll.
    pub channel_url: String,
    /// The most notifications in one answer.
    pub max_notifications: u32,
    secret: Box<str>,
    state: Mutex<State>,
    changed: Notify,
    keeper: Keeper,
}

#[derive(Debug)]
struct State {
    backlog: Backlog,
    expires: Instant,
    /// Counts the polls; only the latest one is served.
    turn: u64,
    /// How many polls are under way, the writing of their answers included.
    polls: usize,
    /// The answer that is being written.
    writing: Option<Writing>,
    /// When the last poll was over.
    last_poll: Option<Instant>,
    /// Whether what was written last went to a stream.
    is_streamed: bool,
    is_closed: bool,
}

/// An answer on its way.
#[derive(Debug, Clone, Copy)]
struct Writing {
    turn: u64,
    /// Until when it still counts as written, once a later poll has come.
    until: Option<Instant>,
}

/// Whether somebody is about to fetch what waits in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Nothing waits, or nobody has polled for long.
    Gone,
    /// A poll is under way.
    Polling,
    /// The next poll is expected before this instant.
    Between(Instant),
}

/// What a channel has in hand for a poll.
#[derive(Debug)]
pub enum Hand {
    /// These notifications, one at least.
    Notifications(Vec<Queued>),
    /// Nothing yet.
    Nothing,
    /// Nothing until the answer to the poll before is written, or this instant has come.
    Undecided(Instant),
    /// Nothing any more: another poll has come, or the channel has ended.
    Released,
}

/// How long a poll waits to learn what became of the answer before. A client that has read all of it
/// is told apart so from one that has given it up, whose bytes may be read by something on the way.
const WRITING: Duration = Duration::from_millis(100);

impl Channel {
    /// Queues a notification and tells how many others it cost.
    pub fn push(&self, queued: Queued) -> u64 {
        let mut state = self.state();
        let lost = state.backlog.push(queued);
        self.write_behind(state);
        lost
    }

    /// Begins a poll, which releases the one before; `since` is the last notification that the
    /// reader has, where it says so. Every poll that was begun is ended by [`Channel::end_poll`]; a
    /// stream is a poll, too.
    pub fn begin_poll(&self, since: Option<&NotificationId>) -> u64 {
        let mut state = self.state();
        state.turn += 1;
        state.polls += 1;
        match since {
            // Where the reader is does not change with what becomes of an answer before.
            Some(since) => {
                state.writing = None;
                state.backlog.rewind(since);
            }
            // Nobody has said what arrived of the stream before.
            None if state.is_streamed => state.backlog.take_back(),
            None => {}
        }
        state.is_streamed = false;
        // Who polls again has read what was written before.
        state.backlog.acknowledge();
        let turn = state.turn;
        self.write_behind(state);
        turn
    }

    /// Gives what waits to the poll of this `turn`; it stays queued until written.
    ///
    /// A client that has read an answer may poll again before its writer knows that it was written:
    /// what that answer holds is not handed out twice until this is known, a moment at most.
    pub fn hand_out(&self, now: Instant, turn: u64) -> Hand {
        let mut state = self.state();
        if state.turn != turn {
            return Hand::Released;
        }
        if let Some(before) = state.writing.as_mut().filter(|before| before.turn != turn) {
            let until = *before.until.get_or_insert(now + WRITING);
            if now < until {
                return Hand::Undecided(until);
            }
        }
        let max = usize::try_from(self.max_notifications).unwrap_or(usize::MAX);
        let notifications = state.backlog.hand_out(max);
        match (notifications.is_empty(), state.is_closed) {
            (false, _) => {
                state.writing = Some(Writing { turn, until: None });
                Hand::Notifications(notifications)
            }
            (true, false) => Hand::Nothing,
            (true, true) => Hand::Released,
        }
    }

    /// Takes everything up to and including `last` as written by the poll of this `turn`; not where
    /// a later one has said what its reader has, or has been handed the same.
    pub fn written(&self, now: Instant, turn: u64, last: &NotificationId) {
        let mut state = self.state();
        let Some(writing) = state.writing.filter(|writing| writing.turn == turn) else { return };
        if writing.until.is_some_and(|until| until <= now) {
            return;
        }
        state.backlog.written(last);
        self.write_behind(state);
    }

    /// Takes everything up to and including `last` as written to the stream of this `turn`, and tells
    /// whether that is still the one that is served.
    ///
    /// What a stream has written may have been lost on the way, and no answer of the reader says
    /// which: it is kept, as far as there is room for it, until a reader says what it has.
    pub fn streamed(&self, turn: u64, last: &NotificationId) -> bool {
        let mut state = self.state();
        if state.turn != turn {
            return false;
        }
        state.backlog.written(last);
        (state.is_streamed, state.writing) = (true, None);
        self.write_behind(state);
        true
    }

    /// Tells whether the poll of this `turn` is the latest one.
    #[must_use]
    pub fn is_latest(&self, turn: u64) -> bool {
        self.state().turn == turn
    }

    /// Ends the poll of this `turn`, and takes back what it could not write.
    pub fn end_poll(&self, now: Instant, turn: u64) {
        let mut state = self.state();
        state.polls = state.polls.saturating_sub(1);
        state.last_poll = Some(now);
        state.writing = state.writing.filter(|writing| writing.turn != turn);
        if state.turn == turn {
            state.backlog.release();
        }
        self.write_behind(state);
    }

    /// Tells whether somebody is about to fetch what waits; `absence` is how long a reader is away
    /// between two polls, at most.
    #[must_use]
    pub fn reader(&self, absence: Duration) -> Reader {
        let state = self.state();
        if state.backlog.is_empty() || state.is_closed {
            return Reader::Gone;
        }
        match (state.polls, state.last_poll) {
            (0, None) => Reader::Gone,
            (0, Some(last)) => Reader::Between(last + absence),
            (_, _) => Reader::Polling,
        }
    }

    /// Forgets what waits for a subscription that has ended.
    pub fn forget(&self, subscription: &Subscription) {
        self.state().backlog.forget(subscription);
    }

    /// Wakes when something arrives, another poll begins or the channel ends.
    #[must_use]
    pub fn changed(&self) -> &Notify {
        &self.changed
    }

    /// Gives the instant at which the channel ends by itself.
    #[must_use]
    pub fn expires(&self) -> Instant {
        self.state().expires
    }

    /// Gives what is left of the life time, in seconds, a begun one counted in full.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> u32 {
        let left = self.expires().saturating_duration_since(now);
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    /// Counts the notifications that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state().backlog.len()
    }

    /// Gives what the store keeps of the channel.
    #[must_use]
    pub fn record(&self) -> ChannelRecord {
        ChannelRecord {
            id: self.id.clone(),
            user: self.user.clone(),
            channel_type: self.channel_type.clone(),
            application_tag: self.application_tag.clone(),
            client_correlator: self.client_correlator.clone(),
            resource_url: self.resource_url.clone(),
            callback_url: self.callback_url.clone(),
            channel_url: self.channel_url.clone(),
            max_notifications: self.max_notifications,
            expires: self.keeper.wall(self.expires()),
        }
    }

    /// Tells the store what the backlog has let go of, in its order, and wakes who waits.
    fn write_behind(&self, mut state: MutexGuard<'_, State>) {
        self.keeper.write_behind(state.backlog.take_changes());
        drop(state);
        self.changed.notify_waiters();
    }

    fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_waiters();
    }

    /// Locks the state; never held across an await, and every change leaves it whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::backlog::tests::notice;
    use super::*;

    #[test]
    fn a_channel_is_found_by_its_owner_its_callback_url_and_its_secret() {
        let channels = open(ChannelSettings::default());
        let channel = channels.create(Instant::now(), wish("sip:a@b")).unwrap();
        let (owner, other) = (address("sip:a@b"), address("sip:c@d"));
        assert!(channels.get(&owner, &channel.id).is_some());
        assert!(channels.get(&other, &channel.id).is_none());
        assert!(channels.remove(&other, &channel.id).is_none());
        assert!(channels.by_callback_url(&channel.callback_url).is_some());
        let (_, secret) = channel.channel_url.rsplit_once('/').unwrap();
        assert!(channels.by_secret(secret).is_some());
        assert!(channels.by_secret(channel.id.as_str()).is_none());
        assert_eq!(channels.list(&owner).len(), 1);
        assert!(channels.list(&other).is_empty());
    }

    #[test]
    fn a_removed_channel_leaves_no_trace() {
        let channels = open(ChannelSettings::default());
        let channel = channels.create(Instant::now(), wish("sip:a@b")).unwrap();
        let turn = channel.begin_poll(None);
        assert!(matches!(channel.hand_out(Instant::now(), turn), Hand::Nothing));
        assert!(channels.remove(&channel.user, &channel.id).is_some());
        assert!(matches!(channel.hand_out(Instant::now(), turn), Hand::Released));
        assert!(channels.by_callback_url(&channel.callback_url).is_none());
        assert_eq!(channels.count(), 0);
        let directory = channels.read();
        assert!(directory.ids_by_user.is_empty());
        assert!(directory.ids_by_callback_url.is_empty());
        assert!(directory.ids_by_secret.is_empty());
    }

    #[test]
    fn both_limits_hold() {
        let channels =
            open(ChannelSettings { per_user: 1, total: 2, ..ChannelSettings::default() });
        let create = |user| channels.create(Instant::now(), wish(user)).map(|_| ());
        assert_eq!(create("sip:a@b"), Ok(()));
        assert_eq!(create("sip:a@b"), Err(ChannelsFull::ForUser));
        assert_eq!(create("sip:c@d"), Ok(()));
        assert_eq!(create("sip:e@f"), Err(ChannelsFull::ForAll));
    }

    #[tokio::test]
    async fn the_life_time_is_granted_up_to_the_longest_and_renewed() {
        let channels = open(ChannelSettings { max_lifetime: 100, ..ChannelSettings::default() });
        let now = Instant::now();
        for (wanted, granted) in [(None, 100), (Some(0), 100), (Some(7), 7), (Some(1000), 100)] {
            let wish = NewChannel { lifetime: wanted, ..wish("sip:a@b") };
            let channel = channels.create(now, wish).unwrap();
            assert_eq!(channel.remaining(now), granted);
        }
        let at = |seconds| now + Duration::from_secs(seconds);
        let [short] = &channels.expire(at(7))[..] else { panic!("one has run out") };
        assert_eq!(short.expires(), at(7));
        let [kept, ..] = &channels.list(&short.user)[..] else { panic!("others have not") };
        assert_eq!(channels.renew(at(50), kept, Some(80)).await, Ok(80));
        assert_eq!(channels.expire(at(129)).len(), 2);
        assert_eq!(channels.expire(at(130)).len(), 1);
    }

    #[tokio::test]
    async fn what_an_overtaken_answer_holds_stays_in_the_store() {
        for since in [Some("1"), Some("unknown"), None] {
            let now = Instant::now();
            let keeper = Keeper::in_memory(now);
            let settings = ChannelSettings { reread: 1, ..ChannelSettings::default() };
            let channels = Channels::new(settings, Random::seeded(1), keeper.clone());
            let channel = channels.create(now, wish("sip:a@b")).unwrap();
            for number in 1..=4 {
                let queued = notice(&number.to_string(), "sub");
                keeper.keep(queued.put().into_iter().collect()).await.unwrap();
                channel.push(queued);
            }
            let first = channel.begin_poll(None);
            let Hand::Notifications(handed) = channel.hand_out(now, first) else { panic!() };
            channel.written(now, first, &handed[0].id);
            channel.end_poll(now, first);

            let slow = channel.begin_poll(since.map(NotificationId::new).as_ref());
            let Hand::Notifications(handed) = channel.hand_out(now, slow) else { panic!() };
            let last = &handed.last().unwrap().id;
            let later = now + WRITING;
            let newer = channel.begin_poll(since.map(NotificationId::new).as_ref());
            let _ = channel.hand_out(now, newer);
            channel.written(later, slow, last);
            let kept = keeper.load().await.unwrap().notifications;
            let kept: Vec<u64> = kept.iter().map(|record| record.sequence).collect();
            let unread = if since == Some("unknown") { 1..=4 } else { 2..=4 };
            assert_eq!(kept, unread.collect::<Vec<_>>(), "{since:?}");
        }
    }

    fn open(settings: ChannelSettings) -> Channels {
        Channels::new(settings, Random::seeded(1), Keeper::in_memory(Instant::now()))
    }

    fn wish(user: &str) -> NewChannel {
        NewChannel {
            user: address(user),
            base_url: "http://here/1/notificationchannel/a".into(),
            channel_type: "longpolling".into(),
            application_tag: None,
            client_correlator: None,
            max_notifications: None,
            lifetime: None,
        }
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }
}
