//! The subscriptions: which client instances of a user are told of events, and where.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use thiserror::Error;

use crate::address::Address;
use crate::chat::{Notice, NotificationFormat};
use crate::ids::SubscriptionId;

/// One client instance that wants notifications (TS Chat 5.2.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The `{subscriptionId}` of its URL.
    pub id: SubscriptionId,
    /// The user whose events it gets.
    pub user: Address,
    /// `{serverRoot}/{apiVersion}/chat/{userId}` as the client spells it: the base of all links.
    pub user_base: String,
    /// Its own URL.
    pub resource_url: String,
    /// Where its notifications go: a callback URL, or the callback URL of a channel.
    pub notify_url: String,
    /// What the application wants to read in each notification.
    pub callback_data: Option<String>,
    /// In which format the notifications are written.
    pub format: NotificationFormat,
    /// The client's own tag for the resource.
    pub client_correlator: Option<String>,
    /// The life time that was granted, in seconds; `None` stands for no end.
    pub duration: Option<u32>,
    /// When it ends by itself.
    pub expires: Option<Instant>,
    /// Whether it is told what the user did with another client.
    pub echo: bool,
}

/// How many subscriptions may exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionLimits {
    /// Of one user.
    pub per_user: usize,
    /// Of all users together.
    pub total: usize,
}

impl Default for SubscriptionLimits {
    fn default() -> Self {
        Self { per_user: 32, total: 100_000 }
    }
}

/// Why there is no room for another subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SubscriptionsFull {
    /// The user has as many as one user may have.
    #[error("the user has too many subscriptions")]
    ForUser,
    /// The server has as many as it can hold.
    #[error("the server has too many subscriptions")]
    ForAll,
}

/// All subscriptions, found by user and by the URL that they notify.
///
/// A subscription stands in both maps or in neither, up to the moments of a call; no call holds
/// locks of both maps at a time.
#[derive(Debug)]
pub struct Subscriptions {
    limits: SubscriptionLimits,
    count: AtomicUsize,
    by_user: DashMap<Address, Vec<Arc<Subscription>>>,
    users_by_notify_url: DashMap<Box<str>, Vec<Address>>,
}

impl Subscriptions {
    /// Opens an empty directory.
    #[must_use]
    pub fn new(limits: SubscriptionLimits) -> Self {
        Self {
            limits,
            count: AtomicUsize::new(0),
            by_user: DashMap::new(),
            users_by_notify_url: DashMap::new(),
        }
    }

    /// Takes a subscription in, in the order of arrival.
    ///
    /// # Errors
    /// One of the two limits is reached.
    pub fn insert(
        &self,
        subscription: Subscription,
    ) -> Result<Arc<Subscription>, SubscriptionsFull> {
        if self.count.fetch_add(1, Ordering::AcqRel) >= self.limits.total {
            self.count.fetch_sub(1, Ordering::AcqRel);
            return Err(SubscriptionsFull::ForAll);
        }
        let subscription = Arc::new(subscription);
        if !self.insert_for_user(&subscription, self.limits.per_user) {
            self.count.fetch_sub(1, Ordering::AcqRel);
            return Err(SubscriptionsFull::ForUser);
        }
        self.insert_for_url(&subscription);
        Ok(subscription)
    }

    /// Takes a subscription back in that was there before the restart, whatever the limits are now.
    pub fn restore(&self, subscription: Subscription) -> Arc<Subscription> {
        let subscription = Arc::new(subscription);
        self.count.fetch_add(1, Ordering::AcqRel);
        self.insert_for_user(&subscription, usize::MAX);
        self.insert_for_url(&subscription);
        subscription
    }

    /// Ends a subscription and gives it back.
    pub fn remove(&self, user: &Address, id: &SubscriptionId) -> Option<Arc<Subscription>> {
        self.remove_where(user, |subscription| subscription.id == *id).pop()
    }

    /// Ends all subscriptions that notify `notify_url`: its channel was closed.
    pub fn remove_url(&self, notify_url: &str) -> Vec<Arc<Subscription>> {
        self.users_of_url(notify_url)
            .iter()
            .flat_map(|user| self.remove_where(user, |s| s.notify_url == notify_url))
            .collect()
    }

    /// Finds the subscriptions that notify `notify_url`.
    #[must_use]
    pub fn of_url(&self, notify_url: &str) -> Vec<Arc<Subscription>> {
        let users = self.users_of_url(notify_url);
        let own = users.iter().flat_map(|user| self.list(user));
        own.filter(|subscription| subscription.notify_url == notify_url).collect()
    }

    /// Ends the subscriptions whose time is over and gives them back.
    pub fn sweep(&self, now: Instant) -> Vec<Arc<Subscription>> {
        let is_over = |s: &Subscription| s.expires.is_some_and(|at| at <= now);
        let users: Vec<Address> = self
            .by_user
            .iter()
            .filter(|entry| entry.value().iter().any(|s| is_over(s)))
            .map(|entry| entry.key().clone())
            .collect();
        users.iter().flat_map(|user| self.remove_where(user, is_over)).collect()
    }

    /// Finds a subscription of the user.
    #[must_use]
    pub fn get(&self, user: &Address, id: &SubscriptionId) -> Option<Arc<Subscription>> {
        self.by_user.get(user)?.iter().find(|subscription| subscription.id == *id).cloned()
    }

    /// Lists the subscriptions of the user, oldest first.
    #[must_use]
    pub fn list(&self, user: &Address) -> Vec<Arc<Subscription>> {
        self.by_user.get(user).map(|own| own.clone()).unwrap_or_default()
    }

    /// Gives the subscriptions that hear of the user's events, oldest first.
    #[must_use]
    pub fn of(&self, user: &Address) -> Vec<Arc<Subscription>> {
        self.list(user)
    }

    /// Tells whether anybody hears of the user's events.
    #[must_use]
    pub fn has_any(&self, user: &Address) -> bool {
        self.by_user.get(user).is_some_and(|own| !own.is_empty())
    }

    /// Tells whether anybody is told of a notice.
    #[must_use]
    pub fn hears(&self, notice: &Notice) -> bool {
        let is_echo = notice.kind.is_echo();
        let own = self.by_user.get(&notice.user);
        own.is_some_and(|own| own.iter().any(|subscription| subscription.echo || !is_echo))
    }

    /// Counts the subscriptions of all users.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Enters the subscription under its user, unless that user has no room.
    fn insert_for_user(&self, subscription: &Arc<Subscription>, limit: usize) -> bool {
        let mut own = self.by_user.entry(subscription.user.clone()).or_default();
        let has_room = own.len() < limit;
        if has_room {
            own.push(Arc::clone(subscription));
        }
        let is_empty = own.is_empty();
        drop(own);
        if is_empty {
            self.by_user.remove_if(&subscription.user, |_, own| own.is_empty());
        }
        has_room
    }

    fn insert_for_url(&self, subscription: &Subscription) {
        let mut users =
            self.users_by_notify_url.entry(subscription.notify_url.as_str().into()).or_default();
        users.push(subscription.user.clone());
    }

    /// Takes those of a user's subscriptions out that `is_meant` names, from both maps.
    fn remove_where(
        &self,
        user: &Address,
        is_meant: impl Fn(&Subscription) -> bool,
    ) -> Vec<Arc<Subscription>> {
        let removed = match self.by_user.entry(user.clone()) {
            Entry::Vacant(_) => Vec::new(),
            Entry::Occupied(mut own) => {
                let (removed, kept) = own
                    .insert(Vec::new())
                    .into_iter()
                    .partition(|s: &Arc<Subscription>| is_meant(s));
                own.insert(kept);
                if own.get().is_empty() {
                    own.remove();
                }
                removed
            }
        };
        self.count.fetch_sub(removed.len(), Ordering::AcqRel);
        for subscription in &removed {
            self.forget_url(&subscription.notify_url, user);
        }
        removed
    }

    fn users_of_url(&self, notify_url: &str) -> Vec<Address> {
        let users = self.users_by_notify_url.get(notify_url).map(|users| users.clone());
        let mut users = users.unwrap_or_default();
        users.sort();
        users.dedup();
        users
    }

    fn forget_url(&self, notify_url: &str, user: &Address) {
        if let Entry::Occupied(mut users) = self.users_by_notify_url.entry(notify_url.into()) {
            if let Some(place) = users.get().iter().position(|other| other == user) {
                users.get_mut().swap_remove(place);
            }
            if users.get().is_empty() {
                users.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    #[test]
    fn a_user_sees_only_their_own_subscriptions_in_order() {
        let all = Subscriptions::new(SubscriptionLimits::default());
        all.insert(subscription("a", "tel:+1", "http://one/")).unwrap();
        all.insert(subscription("b", "sip:+1@example.com", "http://two/")).unwrap();
        all.insert(subscription("c", "tel:+2", "http://one/")).unwrap();
        assert_eq!(names(&all.list(&user("tel:+1"))), ["a", "b"]);
        assert!(all.get(&user("tel:+2"), &SubscriptionId::new("a")).is_none());
        assert!(all.remove(&user("tel:+2"), &SubscriptionId::new("a")).is_none());
        assert_eq!(all.count(), 3);
        assert!(all.remove(&user("+1"), &SubscriptionId::new("a")).is_some());
        assert!(all.remove(&user("+1"), &SubscriptionId::new("a")).is_none());
        assert_eq!(names(&all.of(&user("tel:+1"))), ["b"]);
    }

    #[test]
    fn a_closed_channel_ends_what_it_fed_and_leaves_no_trace() {
        let all = Subscriptions::new(SubscriptionLimits::default());
        for (id, url) in [("a", "http://x/"), ("b", "http://y/"), ("c", "http://x/")] {
            all.insert(subscription(id, "tel:+1", url)).unwrap();
        }
        assert_eq!(names(&all.remove_url("http://x/")), ["a", "c"]);
        assert!(all.remove_url("http://x/").is_empty());
        assert_eq!(names(&all.remove_url("http://y/")), ["b"]);
        assert_eq!((all.count(), all.by_user.len(), all.users_by_notify_url.len()), (0, 0, 0));
    }

    #[test]
    fn what_has_run_out_is_swept() {
        let (all, now) = (Subscriptions::new(SubscriptionLimits::default()), Instant::now());
        let soon = Some(now + Duration::from_secs(1));
        all.insert(Subscription { expires: soon, ..subscription("a", "tel:+1", "u") }).unwrap();
        all.insert(subscription("b", "tel:+1", "u")).unwrap();
        assert!(all.sweep(now).is_empty());
        assert_eq!(names(&all.sweep(now + Duration::from_secs(1))), ["a"]);
        assert_eq!(names(&all.list(&user("tel:+1"))), ["b"]);
    }

    #[test]
    fn both_limits_hold_and_a_refusal_takes_no_room() {
        let all = Subscriptions::new(SubscriptionLimits { per_user: 1, total: 2 });
        let try_in = |id, who| all.insert(subscription(id, who, "u")).err();
        assert_eq!(try_in("a", "tel:+1"), None);
        assert_eq!(try_in("b", "tel:+1"), Some(SubscriptionsFull::ForUser));
        assert_eq!(try_in("c", "tel:+2"), None);
        assert_eq!(try_in("d", "tel:+3"), Some(SubscriptionsFull::ForAll));
        assert_eq!(all.count(), 2);
        assert!(all.remove(&user("tel:+1"), &SubscriptionId::new("a")).is_some());
        assert_eq!(try_in("d", "tel:+3"), None);
    }

    fn user(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn names(list: &[Arc<Subscription>]) -> Vec<&str> {
        list.iter().map(|subscription| subscription.id.as_str()).collect()
    }

    fn subscription(id: &str, who: &str, notify_url: &str) -> Subscription {
        Subscription {
            id: SubscriptionId::new(id),
            user: user(who),
            user_base: format!("http://example.com/1/chat/{}", user(who).path_segment()),
            resource_url: format!("http://example.com/1/chat/x/subscriptions/{id}"),
            notify_url: notify_url.into(),
            callback_data: None,
            format: NotificationFormat::default(),
            client_correlator: None,
            duration: None,
            expires: None,
            echo: true,
        }
    }
}
