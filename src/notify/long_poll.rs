//! Long polling: a client waits at its channel for notifications.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{document, now};
use crate::ids::NotificationId;
use crate::oma::Element;
use crate::store::{Channel, Hand, Queued, Reader};

/// Waits at most `wait` for notifications; `since` is the last one that the client has.
///
/// A poll that comes later releases this one with an empty batch, as does the end of the channel.
/// A poll that is dropped takes nothing with it.
pub async fn poll(channel: &Arc<Channel>, since: Option<&NotificationId>, wait: Duration) -> Batch {
    let deadline = Instant::now() + wait;
    let turn = channel.begin_poll(since);
    let mut batch = Batch { channel: Arc::clone(channel), turn, notifications: Vec::new() };
    loop {
        let changed = channel.changed().notified();
        tokio::pin!(changed);
        // Registered before looking, so that nothing arrives unnoticed in between.
        changed.as_mut().enable();
        let until = match channel.hand_out(now(), turn) {
            Hand::Notifications(notifications) => {
                batch.notifications = notifications;
                return batch;
            }
            Hand::Released => return batch,
            Hand::Nothing => deadline,
            Hand::Undecided(until) => deadline.min(Instant::from_std(until)),
        };
        if timeout_at(until, changed).await.is_err() && Instant::now() >= deadline {
            return batch;
        }
    }
}

/// What a poll has fetched; it stays queued, and is handed out again, unless [`Batch::written`].
#[derive(Debug)]
pub struct Batch {
    channel: Arc<Channel>,
    turn: u64,
    notifications: Vec<Queued>,
}

impl Batch {
    /// Writes the notifications as documents, in their order.
    #[must_use]
    pub fn documents(&self) -> Vec<Element> {
        self.notifications.iter().map(document::write).collect()
    }

    /// Tells whether the poll was in vain.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.notifications.is_empty()
    }

    /// Takes the notifications off the queue: they were written to the client.
    pub fn written(mut self) {
        if let Some(last) = self.notifications.pop() {
            self.channel.written(now(), self.turn, &last.id);
        }
        self.notifications.clear();
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.channel.end_poll(now(), self.turn);
    }
}

/// Waits until a client that polls has fetched what waits in its channel; one that has not polled
/// for `absence` is not waited for.
pub(super) async fn fetched(channel: &Channel, absence: Duration) {
    loop {
        let changed = channel.changed().notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        match channel.reader(absence) {
            Reader::Gone => return,
            Reader::Polling => changed.await,
            Reader::Between(until) => {
                if timeout_at(Instant::from_std(until), changed).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::super::world::{World, alice, member, plain};
    use super::super::{Count, Settings};
    use super::*;
    use crate::oma::Format;
    use crate::store::ChannelSettings;

    const WAIT: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_answered_at_once_and_taken_when_written() {
        let (world, channel) = open();
        world.tell(["1", "2"]).await;
        let begin = Instant::now();
        let batch = poll(&channel, None, WAIT).await;
        assert_eq!(texts(&batch), ["1", "2"]);
        batch.written();
        assert_eq!(begin.elapsed(), Duration::ZERO);
        assert_eq!(channel.waiting(), 0);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_is_held_until_something_arrives_or_its_time_is_over() {
        let (world, channel) = open();
        let begin = Instant::now();
        assert!(poll(&channel, None, WAIT).await.is_empty());
        assert_eq!(begin.elapsed(), WAIT);
        let waiting = tokio::spawn(held(&channel));
        sleep(Duration::from_secs(7)).await;
        world.tell(["1"]).await;
        assert_eq!(texts(&waiting.await.expect("no panic")), ["1"]);
        assert_eq!(begin.elapsed(), WAIT + Duration::from_secs(7));
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h11_a_second_poll_releases_the_first() {
        let (world, channel) = open();
        let begin = Instant::now();
        let first = tokio::spawn(held(&channel));
        sleep(Duration::from_secs(3)).await;
        let second = tokio::spawn(held(&channel));
        assert!(first.await.expect("no panic").is_empty());
        assert_eq!(begin.elapsed(), Duration::from_secs(3));
        world.tell(["1"]).await;
        assert_eq!(texts(&second.await.expect("no panic")), ["1"]);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h11_what_was_not_written_comes_again_with_the_same_ids() {
        let (world, channel) = open();
        world.tell(["1", "2"]).await;
        let lost = poll(&channel, None, WAIT).await;
        let before = ids(&lost);
        drop(lost);
        world.tell(["3"]).await;
        let again = poll(&channel, None, WAIT).await;
        assert_eq!(texts(&again), ["1", "2", "3"]);
        assert_eq!(ids(&again)[..2], before);
        again.written();
        world.tell(["4"]).await;
        assert_eq!(texts(&poll(&channel, None, WAIT).await), ["4"]);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_comes_twice_to_a_client_that_polls_before_the_writer_is_done() {
        let (world, channel) = open();
        world.tell(["1"]).await;
        let read = poll(&channel, None, WAIT).await;
        let next = tokio::spawn(held(&channel));
        sleep(Duration::from_millis(10)).await;
        world.tell(["2"]).await;
        read.written();
        assert_eq!(texts(&next.await.expect("no panic")), ["2"]);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_never_done_keeps_the_next_poll_for_a_moment_only() {
        let (world, channel) = open();
        world.tell(["1"]).await;
        let stuck = poll(&channel, None, WAIT).await;
        let begin = Instant::now();
        let next = poll(&channel, None, WAIT).await;
        assert_eq!((texts(&next), begin.elapsed()), (texts(&stuck), Duration::from_millis(100)));
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h11_a_poll_that_is_dropped_takes_nothing_with_it() {
        let (world, channel) = open();
        let abandoned = tokio::spawn(held(&channel));
        sleep(Duration::from_secs(1)).await;
        abandoned.abort();
        world.tell(["1"]).await;
        assert_eq!(texts(&poll(&channel, None, WAIT).await), ["1"]);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h11_a_client_goes_back_to_the_last_one_it_has() {
        let (world, channel) = open();
        world.tell(["1", "2", "3"]).await;
        let batch = poll(&channel, None, WAIT).await;
        let has = NotificationId::new(ids(&batch)[0].as_str());
        batch.written();
        let again = poll(&channel, Some(&has), WAIT).await;
        assert_eq!(texts(&again), ["2", "3"]);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h11_what_is_asked_for_again_is_not_taken_by_the_answer_before() {
        for (since, expected) in [(true, &["1", "2"][..]), (false, &["0", "1", "2"])] {
            let (world, channel) = open();
            world.tell(["0"]).await;
            let batch = poll(&channel, None, WAIT).await;
            let has = NotificationId::new(ids(&batch)[0].as_str());
            batch.written();
            world.tell(["1", "2"]).await;
            let slow = poll(&channel, Some(&has), WAIT).await;
            assert_eq!(texts(&slow), ["1", "2"]);
            let since = if since { has } else { NotificationId::new("unknown") };
            let again = tokio::spawn({
                let channel = Arc::clone(&channel);
                async move { poll(&channel, Some(&since), WAIT).await }
            });
            sleep(Duration::from_millis(10)).await;
            // Something on the way has read the answer for a client that is gone.
            slow.written();
            world.tell(["3"]).await;
            assert_eq!(texts(&again.await.expect("no panic")), expected);
            world.close().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn h11_an_answer_that_is_written_too_late_takes_nothing_from_the_next_poll() {
        let (world, channel) = open();
        world.tell(["1", "2"]).await;
        let slow = poll(&channel, None, WAIT).await;
        let next = tokio::spawn(held(&channel));
        sleep(Duration::from_millis(200)).await;
        slow.written();
        world.tell(["3"]).await;
        let next = next.await.expect("no panic");
        assert_eq!(texts(&next), ["1", "2"]);
        // Nor after that one has failed.
        drop(next);
        assert_eq!(texts(&poll(&channel, None, WAIT).await), ["1", "2", "3"]);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h11_an_answer_is_not_taken_as_read_long_after_a_poll_that_has_gone_too() {
        let (world, channel) = open();
        world.tell(["1"]).await;
        let slow = poll(&channel, None, WAIT).await;
        let next = tokio::spawn(held(&channel));
        sleep(Duration::from_millis(10)).await;
        next.abort();
        sleep(Duration::from_millis(500)).await;
        slow.written();
        assert_eq!(texts(&poll(&channel, None, WAIT).await), ["1"]);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_has_at_most_as_many_as_the_channel_grants() {
        let settings = ChannelSettings { max_notifications: 2, ..ChannelSettings::default() };
        let (world, channel) = open_with(settings);
        world.tell(["1", "2", "3"]).await;
        for wanted in [&["1", "2"][..], &["3"]] {
            let batch = poll(&channel, None, WAIT).await;
            assert_eq!(texts(&batch), wanted);
            batch.written();
        }
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h11_the_end_of_a_channel_releases_its_poll_and_ends_its_subscriptions() {
        let settings = ChannelSettings { max_lifetime: 10, ..ChannelSettings::default() };
        let (world, channel) = open_with(settings);
        let begin = Instant::now();
        assert!(poll(&channel, None, WAIT).await.is_empty());
        assert!(begin.elapsed() <= Duration::from_secs(11), "{:?}", begin.elapsed());
        assert_eq!(world.subscriptions.count(), 0);
        assert_eq!(world.channels.count(), 0);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_process_releases_all_polls() {
        let (world, channel) = open();
        let waiting = tokio::spawn(held(&channel));
        sleep(Duration::from_secs(1)).await;
        let begin = Instant::now();
        world.close().await;
        assert!(waiting.await.expect("no panic").is_empty());
        assert!(poll(&channel, None, WAIT).await.is_empty());
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_process_waits_for_a_client_between_two_polls() {
        let (world, channel) = open();
        world.tell(["1"]).await;
        poll(&channel, None, WAIT).await.written();
        world.tell(["2"]).await;
        let begin = Instant::now();
        let client = async {
            sleep(Duration::from_secs(1)).await;
            let batch = poll(&channel, None, WAIT).await;
            assert_eq!(texts(&batch), ["2"]);
            sleep(Duration::from_secs(1)).await;
            batch.written();
            // There is nothing more to fetch.
            assert!(poll(&channel, None, WAIT).await.is_empty());
        };
        tokio::join!(world.close(), client);
        assert_eq!(begin.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_process_waits_for_no_client_that_has_gone() {
        for (away, waited) in [(0, 5), (3, 2), (5, 0), (600, 0)] {
            let (world, channel) = open();
            world.tell(["1"]).await;
            poll(&channel, None, WAIT).await.written();
            sleep(Duration::from_secs(away)).await;
            world.tell(["2"]).await;
            let begin = Instant::now();
            world.close().await;
            assert_eq!(begin.elapsed().as_secs(), waited, "{away} s after its last poll");
        }
        let (world, _never_polled) = open();
        world.tell(["1"]).await;
        let begin = Instant::now();
        world.close().await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_channel_gives_up_the_oldest_and_says_so() {
        let settings = ChannelSettings { queue: 2, ..ChannelSettings::default() };
        let (world, channel) = open_with(settings);
        world.tell(["1", "2", "3", "4", "5"]).await;
        let batch = poll(&channel, None, WAIT).await;
        assert!(texts(&batch)[0].starts_with("3 notifications"), "{:?}", texts(&batch));
        batch.written();
        assert_eq!(world.counters.read(Count::Lost), 3);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn f5_3_1_who_subscribes_is_told_until_the_subscription_is_cancelled() {
        let world = World::with(plain(), ChannelSettings::default());
        let channel = world.channel();
        world.tell(["before"]).await;
        assert_eq!(channel.waiting(), 0, "nobody has subscribed");

        let subscription = world.subscribe("sub001", &channel.callback_url);
        world.tell(["during"]).await;
        let batch = poll(&channel, None, WAIT).await;
        assert_eq!(texts(&batch), ["during"]);
        batch.written();

        world.subscriptions.remove(&alice(), &subscription.id).expect("the subscription");
        world.tell(["after"]).await;
        assert_eq!(channel.waiting(), 0, "the subscription is cancelled");
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_ended_subscription_leaves_nothing_behind() {
        let (world, channel) = open();
        world.tell(["1"]).await;
        let [subscription] = &world.subscriptions.list(&alice())[..] else {
            panic!("one subscription");
        };
        world.subscriptions.remove(&alice(), &subscription.id);
        channel.forget(subscription);
        assert_eq!(channel.waiting(), 0);
        world.close().await;
    }

    fn open() -> (World, Arc<Channel>) {
        open_with(ChannelSettings::default())
    }

    fn open_with(settings: ChannelSettings) -> (World, Arc<Channel>) {
        let world = World::with(Settings { queue: 2, ..plain() }, settings);
        let channel = world.channel();
        world.subscribe("a", &channel.callback_url);
        (world, channel)
    }

    fn held(channel: &Arc<Channel>) -> impl Future<Output = Batch> + use<> {
        let channel = Arc::clone(channel);
        async move { poll(&channel, None, WAIT).await }
    }

    fn texts(batch: &Batch) -> Vec<String> {
        members(batch, "eventDescription")
    }

    fn ids(batch: &Batch) -> Vec<String> {
        members(batch, "id")
    }

    fn members(batch: &Batch, name: &str) -> Vec<String> {
        let render = |document: &Element| {
            String::from_utf8(document.render(Format::Json)).expect("JSON is UTF-8")
        };
        batch.documents().iter().map(|d| member(&render(d), name).to_owned()).collect()
    }
}
