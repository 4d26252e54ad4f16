//! Callbacks: one queue for each subscription, and one task while something waits in it.
//!
//! ```text
//!            push                   task ends
//!   idle ───────────▶ posting ◀──────────────── empty
//!                      │   ▲
//!               failed ▼   │ delay over
//!                     pausing ── subscription gone ──▶ ended
//! ```
//! A dead application holds up nobody but itself: its queue is its own, and overflows by itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::StatusCode;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::post::{Poster, Verdict};
use super::retry::Retry;
use super::{Count, Counters, document};
use crate::ids::Random;
use crate::store::durable::Change;
use crate::store::{Backlog, Keeper, Queued, Subscription, Subscriptions};

/// The callback of one subscription.
#[derive(Debug)]
pub(super) struct Callback {
    subscription: Arc<Subscription>,
    state: Mutex<State>,
    keeper: Keeper,
    ended: CancellationToken,
}

#[derive(Debug)]
struct State {
    backlog: Backlog,
    /// Whether a task is at work on the queue.
    is_posting: bool,
}

impl Callback {
    /// Opens an idle callback with a queue of `capacity` notifications; `ended` stops its task.
    pub(super) fn new(
        subscription: Arc<Subscription>,
        capacity: usize,
        keeper: Keeper,
        ended: CancellationToken,
    ) -> Self {
        let state = State { backlog: Backlog::new(capacity, 0), is_posting: false };
        Self { subscription, state: Mutex::new(state), keeper, ended }
    }

    /// Queues a notification.
    pub(super) fn push(&self, queued: Queued) -> Pushed {
        let mut state = self.state();
        let lost = state.backlog.push(queued);
        let needs_task = !state.is_posting;
        state.is_posting = true;
        self.write_behind(state);
        Pushed { lost, needs_task }
    }

    /// Tells the store what the backlog has let go of, in its order.
    fn write_behind(&self, mut state: MutexGuard<'_, State>) {
        self.keeper.write_behind(state.backlog.take_changes());
    }

    /// Tells whether nothing waits and nobody is at work.
    pub(super) fn is_idle(&self) -> bool {
        !self.state().is_posting
    }

    /// Gives the subscription.
    pub(super) fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// Stops the task: the subscription has ended, and what waits is for nobody.
    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    /// Gives the next notification; where there is none, the task is over.
    fn next(&self) -> Option<Queued> {
        let mut state = self.state();
        let next = state.backlog.hand_out(1).pop();
        state.is_posting = next.is_some();
        next
    }

    /// Locks the state; never held across an await, and every change leaves it whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of queueing a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pushed {
    /// How many others it cost.
    pub(super) lost: u64,
    /// Whether nobody is at work: a task must be started.
    pub(super) needs_task: bool,
}

/// What the task of a callback works with.
#[derive(Debug)]
pub(super) struct Courier {
    /// Whose task it is.
    pub(super) callback: Arc<Callback>,
    /// How notifications are posted.
    pub(super) poster: Poster,
    /// When failed ones are repeated.
    pub(super) retry: Retry,
    /// Where a subscription whose application is gone is ended.
    pub(super) subscriptions: Arc<Subscriptions>,
    /// Where that is written.
    pub(super) keeper: Keeper,
    /// What is counted.
    pub(super) counters: Arc<Counters>,
    /// The source of jitter.
    pub(super) random: Random,
}

impl Courier {
    /// Posts what waits, in order, until nothing does or the subscription ends.
    pub(super) async fn run(mut self) {
        let ended = self.callback.ended.clone();
        tokio::select! {
            () = ended.cancelled() => {}
            () = self.work() => {}
        }
    }

    async fn work(&mut self) {
        let (mut failures, mut refusals) = (0_u32, 0_u32);
        while let Some(queued) = self.next() {
            let verdict = self.post(&queued).await;
            let retry_after = match verdict {
                Verdict::Delivered => {
                    self.counters.add(Count::Delivered, 1);
                    self.settle(&queued);
                    (failures, refusals) = (0, 0);
                    continue;
                }
                Verdict::Gone(status) => {
                    self.cancel_subscription(status);
                    return;
                }
                Verdict::Refused(why) => {
                    refusals += 1;
                    if refusals >= self.retry.refusals {
                        self.give_in(&queued, &why);
                        (failures, refusals) = (0, 0);
                        continue;
                    }
                    self.log_failure(&queued, &why);
                    None
                }
                Verdict::Failed { why, retry_after } => {
                    self.log_failure(&queued, &why);
                    retry_after
                }
            };
            failures = failures.saturating_add(1);
            self.counters.add(Count::FailedAttempts, 1);
            sleep(self.retry.delay(failures, retry_after, &mut self.random)).await;
            self.give_up_old();
        }
    }

    /// Gives the next notification while the subscription lives.
    fn next(&self) -> Option<Queued> {
        let subscription = &self.callback.subscription;
        if self.subscriptions.get(&subscription.user, &subscription.id).is_none() {
            self.callback.state().backlog.clear();
        }
        self.callback.next()
    }

    async fn post(&self, queued: &Queued) -> Verdict {
        let subscription = &self.callback.subscription;
        let format = subscription.format;
        let document = document::write(queued).render(format.into());
        self.poster.post(&subscription.notify_url, (&queued.id, format), document.into()).await
    }

    fn settle(&self, queued: &Queued) {
        let mut state = self.callback.state();
        state.backlog.written(&queued.id);
        self.callback.write_behind(state);
    }

    /// Lets a notification go that the application refuses, and has it told that there was one.
    fn give_in(&self, queued: &Queued, why: &str) {
        let subscription = &self.callback.subscription.id;
        tracing::warn!(%subscription, notification = %queued.id, why, "a notification was refused");
        self.counters.add(Count::Refused, 1);
        let mut state = self.callback.state();
        state.backlog.give_up_first(tokio::time::Instant::now().into_std());
        self.callback.write_behind(state);
    }

    /// Gives up what has waited longer than the window.
    fn give_up_old(&self) {
        let now = tokio::time::Instant::now().into_std();
        let Some(limit) = now.checked_sub(self.retry.window) else {
            return;
        };
        let mut state = self.callback.state();
        let lost = state.backlog.give_up_older(now, limit);
        self.callback.write_behind(state);
        if lost > 0 {
            let subscription = &self.callback.subscription.id;
            tracing::warn!(%subscription, lost, "notifications could not be delivered in time");
            self.counters.add(Count::Lost, lost);
        }
    }

    fn cancel_subscription(&self, status: StatusCode) {
        let subscription = &self.callback.subscription;
        tracing::info!(subscription = %subscription.id, %status, "the application is gone");
        self.subscriptions.remove(&subscription.user, &subscription.id);
        self.keeper.write_behind(vec![Change::EndSubscription(subscription.id.clone())]);
        let mut state = self.callback.state();
        state.backlog.clear();
        state.is_posting = false;
    }

    fn log_failure(&self, queued: &Queued, why: &str) {
        let subscription = &self.callback.subscription.id;
        tracing::debug!(%subscription, notification = %queued.id, why, "a callback has failed");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::super::signature::signatures;
    use super::super::world::{Application, World, alice, notice, plain, subscription};
    use super::super::{Count, Retry, Settings, SigningKey};
    use crate::address::Address;
    use crate::chat::NotificationFormat;

    #[tokio::test(start_paused = true)]
    async fn a_notification_is_posted_in_the_format_of_its_subscription() {
        let world = World::open(plain());
        let mut json = Application::start(["204 No Content"]).await;
        let mut xml = Application::start(["200 OK"]).await;
        world.subscribe("json", &json.url);
        let format = NotificationFormat::Xml;
        world.subscribe_as(crate::store::Subscription { format, ..subscription("xml", &xml.url) });
        world.tell(["Hello"]).await;
        let post = json.post().await;
        assert!(post.head.starts_with("POST /notify HTTP/1.1\r\n"), "{}", post.head);
        assert!(post.head.contains("content-type: application/json\r\n"), "{}", post.head);
        assert_eq!(post.member("eventDescription"), "Hello");
        let post = xml.post().await;
        assert!(post.head.contains("content-type: application/xml\r\n"), "{}", post.head);
        assert!(post.body.contains("<eventDescription>Hello</eventDescription>"), "{}", post.body);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h06_a_failed_notification_is_repeated_before_the_next_with_the_same_id() {
        let world = World::open(plain());
        let answers =
            ["503 Service Unavailable", "500 Oh", "429 Slow\r\nRetry-After: 40", "200 OK"];
        let mut app = Application::start(answers).await;
        world.subscribe("a", &app.url);
        world.tell(["1", "2", "3"]).await;
        let mut posts = Vec::new();
        for text in ["1", "1", "1", "1", "2", "3"] {
            let post = app.post().await;
            assert_eq!(post.member("eventDescription"), text);
            posts.push(post);
        }
        for (pause, seconds) in [1, 2, 40].into_iter().enumerate() {
            assert_eq!(posts[pause].member("id"), posts[pause + 1].member("id"));
            let took = posts[pause + 1].at - posts[pause].at;
            let least = Duration::from_secs(seconds);
            assert!(took >= least && took <= least + least / 4, "{pause}: {took:?}");
        }
        assert_ne!(posts[3].member("id"), posts[4].member("id"));
        assert_eq!(world.counters.read(Count::FailedAttempts), 3);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h06_an_application_that_is_gone_ends_its_subscription() {
        let world = World::open(plain());
        for status in ["410 Gone", "404 Not Found"] {
            let mut app = Application::start([status]).await;
            let subscription = world.subscribe("a", &app.url);
            world.tell(["1", "2"]).await;
            assert_eq!(app.texts(1).await, ["1"]);
            while world.subscriptions.get(&alice(), &subscription.id).is_some() {
                sleep(Duration::from_millis(1)).await;
            }
            sleep(Duration::from_secs(600)).await;
            assert_eq!(app.unread(), 0, "{status}");
        }
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h06_a_dead_application_delays_nobody_else() {
        let world = World::open(plain());
        let dead = Application::start(["hang"]).await;
        let mut live = Application::start(["200 OK"]).await;
        world.subscribe("dead", &dead.url);
        world.subscribe("nobody", "http://127.0.0.1:1/");
        world.subscribe("live", &live.url);
        let begin = Instant::now();
        world.tell(["1", "2", "3"]).await;
        assert_eq!(live.texts(3).await, ["1", "2", "3"]);
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h06_no_answer_in_time_is_a_failure() {
        let world = World::open(plain());
        let mut app = Application::start(["hang", "200 OK"]).await;
        world.subscribe("a", &app.url);
        world.tell(["1"]).await;
        let (first, second) = (app.post().await, app.post().await);
        let took = second.at - first.at;
        assert!(took > Duration::from_secs(9) && took < Duration::from_secs(13), "{took:?}");
        assert_eq!(first.member("id"), second.member("id"));
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h05_redirects_are_not_followed_and_wait_for_who_mends_them() {
        let world = World::open(plain());
        let mut elsewhere = Application::start(["200 OK"]).await;
        let redirect = "302 Found\r\nLocation: http://169.254.169.254/";
        let mut answers = [redirect; 12];
        (answers[8], answers[9], answers[10]) = ("401 Unauthorized", "403 Forbidden", "200 OK");
        answers[11] = "200 OK";
        let mut app = Application::start(answers).await;
        world.subscribe("a", &app.url);
        world.tell(["1", "2"]).await;
        let texts = app.texts(12).await;
        assert_eq!(texts[..11], ["1"; 11]);
        assert_eq!(texts[11], "2");
        assert_eq!(elsewhere.unread(), 0);
        assert_eq!(world.counters.read(Count::Refused), 0);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_is_let_go_and_told_to_be_lost() {
        let world = World::open(plain());
        let mut app = Application::start([
            "400 Bad Request",
            "415 Unsupported Media Type",
            "422 Unprocessable Content",
            "200 OK",
            "200 OK",
        ])
        .await;
        world.subscribe("a", &app.url);
        world.tell(["1", "2"]).await;
        let texts = app.texts(5).await;
        assert_eq!(texts[..3], ["1"; 3]);
        assert!(texts[3].starts_with("1 notification was lost"), "{}", texts[3]);
        assert_eq!(texts[4], "2");
        assert_eq!(world.counters.read(Count::Refused), 1);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_news_of_a_loss_is_let_go_for_good() {
        let world = World::open(plain());
        let mut app = Application::start(["400 Bad Request"; 6]).await;
        world.subscribe("a", &app.url);
        world.tell(["1"]).await;
        app.texts(6).await;
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(app.unread(), 0);
        assert_eq!(world.counters.read(Count::Refused), 2);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h06_an_answer_without_end_is_not_read_to_its_end() {
        let world = World::open(plain());
        let mut app = Application::start(["endless", "200 OK"]).await;
        world.subscribe("a", &app.url);
        world.tell(["1", "2"]).await;
        assert_eq!(app.texts(2).await, ["1", "2"]);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h06_who_hangs_up_without_an_answer_is_asked_again() {
        let world = World::open(plain());
        let mut app = Application::start(["close", "close", "200 OK"]).await;
        world.subscribe("a", &app.url);
        world.tell(["1", "2"]).await;
        assert_eq!(app.texts(4).await, ["1", "1", "1", "2"]);
        assert_eq!(world.counters.read(Count::FailedAttempts), 2);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h06_an_hour_of_500_costs_few_attempts_and_no_notification() {
        let world = World::open(plain());
        let mut answers = ["500 Internal Server Error"; 20];
        answers[19] = "200 OK";
        let mut app = Application::start(answers).await;
        world.subscribe("a", &app.url);
        let begin = Instant::now();
        world.tell(["1", "2"]).await;
        let texts = app.texts(21).await;
        assert!(texts[..20].iter().all(|text| text == "1") && texts[20] == "2", "{texts:?}");
        assert!(begin.elapsed() > Duration::from_secs(50 * 60), "{:?}", begin.elapsed());
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn every_attempt_is_signed_with_the_id_of_the_notification() {
        let keys = ["A", "B"].map(|digit| format!("whsec_{}", digit.repeat(32)));
        let keys = keys.iter().map(|key| SigningKey::parse(key).expect("a good secret")).collect();
        let world = World::open(Settings { keys, ..plain() });
        let mut app = Application::start(["503 Not Now", "200 OK"]).await;
        world.subscribe("a", &app.url);
        world.tell(["1"]).await;
        for post in [app.post().await, app.post().await] {
            let (id, at) = (post.header("webhook-id"), post.header("webhook-timestamp"));
            assert_eq!(id, post.member("id"));
            let at = at.parse().expect("seconds");
            let keys = &world.keys;
            let signatures = signatures(keys, (id, at), post.body.as_bytes());
            assert_eq!(Some(post.header("webhook-signature").to_owned()), signatures);
            assert_eq!(post.header("webhook-signature").split(' ').count(), 2);
        }
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_gives_up_the_oldest_and_says_so() {
        let world = World::open(Settings { queue: 3, ..plain() });
        let mut app = Application::start(["503 Not Now", "200 OK"]).await;
        world.subscribe("a", &app.url);
        world.tell(["1"]).await;
        assert_eq!(app.texts(1).await, ["1"]);
        world.tell(["2", "3", "4", "5"]).await;
        assert_eq!(app.texts(1).await, ["1"]);
        let post = app.post().await;
        assert!(post.body.contains("chatEventNotification"), "{}", post.body);
        assert!(post.member("eventDescription").starts_with("2 notifications"), "{}", post.body);
        assert_eq!(app.texts(2).await, ["4", "5"]);
        assert_eq!(world.counters.read(Count::Lost), 2);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h06_what_outlives_the_window_is_given_up() {
        let retry = Retry { window: Duration::from_secs(5), ..Retry::default() };
        let world = World::open(Settings { retry, ..plain() });
        let mut app = Application::start(["503 A", "503 B", "503 C", "200 OK"]).await;
        world.subscribe("a", &app.url);
        world.tell(["1", "2"]).await;
        assert_eq!(app.texts(3).await, ["1", "1", "1"]);
        assert!(app.texts(1).await[0].starts_with("2 notifications"));
        assert_eq!(world.counters.read(Count::Lost), 2);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_ended_subscription_is_posted_to_no_more() {
        let world = World::open(plain());
        let mut app = Application::start(["503 Not Now"]).await;
        let subscription = world.subscribe("a", &app.url);
        world.tell(["1"]).await;
        app.post().await;
        world.subscriptions.remove(&alice(), &subscription.id);
        sleep(Duration::from_secs(600)).await;
        assert_eq!(app.unread(), 0);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h05_private_targets_are_not_posted_to_in_production() {
        let world = World::open(Settings { allow_private: false, ..plain() });
        let mut app = Application::start(["200 OK"]).await;
        let named = app.url.replace("127.0.0.1", "localhost");
        world.subscribe("literal", &app.url);
        world.subscribe("named", &named);
        world.tell(["1"]).await;
        sleep(Duration::from_secs(60)).await;
        assert_eq!(app.unread(), 0);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_user_hears_and_echoes_only_where_they_are_wanted() {
        let world = World::open(plain());
        let mut app = Application::start(["200 OK"]).await;
        let quiet = crate::store::Subscription { echo: false, ..subscription("quiet", &app.url) };
        world.subscribe_as(quiet);
        let bob = Address::parse("sip:bob@example.com").expect("a good address");
        world.send(notice(bob, "for Bob")).await;
        world.send(super::super::world::echo("typed by Alice")).await;
        world.tell(["for Alice"]).await;
        assert_eq!(app.texts(1).await, ["for Alice"]);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(app.unread(), 0);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscription_ends_when_its_time_is_over() {
        let world = World::open(plain());
        let mut app = Application::start(["200 OK"]).await;
        let expires = Some(Instant::now().into_std() + Duration::from_secs(30));
        world.subscribe_as(crate::store::Subscription { expires, ..subscription("a", &app.url) });
        world.tell(["1"]).await;
        assert_eq!(app.texts(1).await, ["1"]);
        sleep(Duration::from_secs(31)).await;
        assert_eq!(world.subscriptions.count(), 0);
        world.tell(["2"]).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(app.unread(), 0);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_at_the_end_is_still_delivered() {
        let world = World::open(plain());
        let mut app = Application::start(["503 Not Now", "200 OK"]).await;
        let dead = Application::start(["hang"]).await;
        world.subscribe("a", &app.url);
        world.subscribe("dead", &dead.url);
        world.send(notice(alice(), "1")).await;
        let begin = Instant::now();
        world.close().await;
        assert_eq!(app.texts(2).await, ["1", "1"]);
        assert!(begin.elapsed() <= Duration::from_secs(6), "{:?}", begin.elapsed());
    }
}
