//! Event streams: a client stays at its channel and is told as things happen (WHATWG HTML section
//! 9.2, "Server-sent events").
//!
//! ```text
//!   client                         channel
//!     │ GET, Last-Event-ID: 7        │
//!     ├─────────────────────────────▶│ all up to 7 is confirmed, what follows is sent (again)
//!     │◀──────── id: 8, data: … ─────┤
//!     │◀──────── : ping ─────────────┤ nothing has happened for a while
//!     ✂                              │ 8 stays: nobody has said that it arrived
//! ```
//! Delivery is at least once. That a write succeeds says only that the bytes are on their way, so
//! nothing is let go for it: what a stream has written is confirmed by the id with which its reader
//! comes back, and a reader that names none gets again what nobody has confirmed, with the same
//! ids. Only so much is kept ([`crate::store::ChannelSettings::reread`]); a reader that comes back
//! with an id from before that is told how many it has missed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::{document, now};
use crate::ids::NotificationId;
use crate::oma::Format;
use crate::store::{Channel, Hand, Queued};

/// A stream that is open.
#[derive(Debug)]
pub struct Stream {
    channel: Arc<Channel>,
    turn: u64,
    format: Format,
    ping: Duration,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Opening,
    Open,
    Over,
}

impl Stream {
    /// Opens a stream, which releases who has read the channel before; `has` is the last
    /// notification that the client has. After each `ping` of silence it shows that it is there.
    #[must_use]
    pub fn open(
        channel: &Arc<Channel>,
        has: Option<&NotificationId>,
        (format, ping): (Format, Duration),
    ) -> Self {
        let turn = channel.begin_poll(has);
        Self { channel: Arc::clone(channel), turn, format, ping, stage: Stage::Opening }
    }

    /// Gives what is to be written next; nothing where another reader has come or the channel has
    /// ended.
    ///
    /// It must be asked for more only when what it gave before is on its way: then a client that
    /// does not read leaves everything in its channel, whose queue is bounded.
    pub async fn next(&mut self) -> Option<Bytes> {
        match self.stage {
            Stage::Opening => {
                self.stage = Stage::Open;
                Some(Bytes::from_static(OPENING))
            }
            Stage::Open => match self.piece().await {
                Some(piece) => Some(piece),
                None => {
                    self.stage = Stage::Over;
                    // Two clients that both come back at once would release each other for ever.
                    let is_replaced = !self.channel.is_latest(self.turn);
                    is_replaced.then_some(Bytes::from_static(REPLACED))
                }
            },
            Stage::Over => None,
        }
    }

    async fn piece(&self) -> Option<Bytes> {
        let ping = Instant::now() + self.ping;
        loop {
            let changed = self.channel.changed().notified();
            tokio::pin!(changed);
            // Registered before looking, so that nothing arrives unnoticed in between.
            changed.as_mut().enable();
            let until = match self.channel.hand_out(now(), self.turn) {
                Hand::Notifications(notifications) => {
                    let (events, last) = self.write(&notifications)?;
                    return self.channel.streamed(self.turn, last).then_some(events);
                }
                Hand::Released => return None,
                Hand::Nothing => ping,
                Hand::Undecided(until) => ping.min(Instant::from_std(until)),
            };
            if timeout_at(until, changed).await.is_err() && Instant::now() >= ping {
                return Some(Bytes::from_static(PING));
            }
        }
    }

    /// Writes as many notifications as make a piece of a fair size, and names the last of them.
    fn write<'a>(&self, notifications: &'a [Queued]) -> Option<(Bytes, &'a NotificationId)> {
        let (mut events, mut last) = (String::new(), None);
        for queued in notifications {
            let document = document::write(queued).render(self.format);
            event(&mut events, &queued.id, &String::from_utf8_lossy(&document));
            last = Some(&queued.id);
            if events.len() >= PIECE {
                break;
            }
        }
        last.map(|last| (events.into(), last))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.channel.end_poll(now(), self.turn);
    }
}

/// Writes an event. Data may have several lines, each with a field of its own.
fn event(out: &mut String, id: &NotificationId, data: &str) {
    out.push_str("id: ");
    out.push_str(id.as_str());
    for line in data.split(['\r', '\n']) {
        out.push_str("\ndata: ");
        out.push_str(line);
    }
    out.push_str("\n\n");
}

/// Has the head of the answer sent, and clients come back a second after they were cut off.
const OPENING: &[u8] = b"retry: 1000\n\n";

const PING: &[u8] = b": ping\n\n";

/// Has a client come back late that has had to make way for another.
const REPLACED: &[u8] = b": another reader has come\nretry: 60000\n\n";

/// From which size on, in bytes, the next notification goes into a piece of its own.
const PIECE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::super::world::{World, member, plain};
    use super::super::{Count, poll};
    use super::*;
    use crate::store::ChannelSettings;

    const PAUSE: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn a_stream_tells_what_waits_and_what_comes() {
        let (world, channel) = open();
        world.tell(["1", "2"]).await;
        let mut stream = stream(&channel, None);
        assert_eq!(next(&mut stream).await, "retry: 1000\n\n");
        assert_eq!(texts(&next(&mut stream).await), ["1", "2"]);
        let begin = Instant::now();
        let comes = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            world.tell(["3"]).await;
        };
        let (told, ()) = tokio::join!(next(&mut stream), comes);
        assert_eq!((texts(&told), begin.elapsed()), (vec!["3".into()], Duration::from_secs(3)));
        assert_eq!(channel.waiting(), 0);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_shows_that_it_is_there() {
        let (world, channel) = open();
        let mut stream = stream(&channel, None);
        next(&mut stream).await;
        for _ in 0..3 {
            let begin = Instant::now();
            assert_eq!(next(&mut stream).await, ": ping\n\n");
            assert_eq!(begin.elapsed(), PAUSE);
        }
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h11_what_nobody_has_confirmed_comes_again_with_the_same_ids() {
        let (world, channel) = open();
        world.tell(["1", "2", "3"]).await;
        let told = all(&channel, None).await;
        assert_eq!(texts(&told), ["1", "2", "3"]);
        // Nothing has arrived, for all that the next reader says.
        assert_eq!(all(&channel, None).await, told);
        let batch = poll(&channel, None, PAUSE).await;
        assert_eq!(batch.documents().len(), 3);
        drop(batch);
        // The first has arrived; then all of them have.
        assert_eq!(ids(&all(&channel, Some(&ids(&told)[0])).await), ids(&told)[1..]);
        world.tell(["4"]).await;
        let rest = all(&channel, Some(&ids(&told)[2])).await;
        assert_eq!(texts(&rest), ["4"]);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h11_who_was_away_too_long_is_told_how_many_are_gone() {
        let settings = ChannelSettings { reread: 2, ..ChannelSettings::default() };
        let (world, channel) = open_with(settings);
        world.tell(["1"]).await;
        let first = all(&channel, None).await;
        world.tell(["2", "3", "4", "5"]).await;
        all(&channel, Some(&ids(&first)[0])).await;
        let told = all(&channel, Some(&ids(&first)[0])).await;
        let [lost, four, five] = &texts(&told)[..] else { panic!("{told}") };
        assert!(lost.starts_with("2 notifications were lost"), "{lost}");
        assert_eq!([four, five], ["4", "5"]);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn h11_who_comes_back_without_an_id_is_told_how_many_are_gone() {
        for is_stream in [true, false] {
            let settings = ChannelSettings { reread: 2, ..ChannelSettings::default() };
            let (world, channel) = open_with(settings);
            world.tell(["1", "2", "3", "4", "5"]).await;
            all(&channel, None).await;
            let told = if is_stream {
                texts(&all(&channel, None).await)
            } else {
                let batch = poll(&channel, None, PAUSE).await;
                let documents = batch.documents();
                batch.written();
                let documents = documents.iter().map(|document| document.render(Format::Json));
                let documents = documents.map(|json| String::from_utf8(json).expect("text"));
                documents.map(|json| member(&json, "eventDescription").to_owned()).collect()
            };
            let [lost, four, five] = &told[..] else { panic!("{told:?}") };
            assert!(lost.starts_with("3 notifications were lost"), "{lost}");
            assert_eq!([four, five], ["4", "5"]);
            if !is_stream {
                // Who polls again has read it.
                world.tell(["6"]).await;
                assert_eq!(texts(&all(&channel, None).await), ["6"]);
            }
            world.close().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn h11_a_newer_reader_releases_the_stream_and_a_stream_the_poll() {
        let (world, channel) = open();
        let mut older = stream(&channel, None);
        next(&mut older).await;
        let mut newer = stream(&channel, None);
        assert_eq!(next(&mut older).await, ": another reader has come\nretry: 60000\n\n");
        assert_eq!(older.next().await, None);
        drop(older);
        next(&mut newer).await;
        world.tell(["1"]).await;
        let told = next(&mut newer).await;
        assert_eq!(texts(&told), ["1"]);

        let has = ids(&told).pop();
        let (polled, released) =
            tokio::join!(poll(&channel, has.as_ref(), PAUSE), next(&mut newer));
        assert!(polled.is_empty() && released.contains("another reader"), "{released}");
        drop(polled);
        let begin = Instant::now();
        let polled = poll(&channel, None, PAUSE);
        let (polled, _stream) = tokio::join!(polled, async { stream(&channel, None) });
        assert!(polled.is_empty());
        assert_eq!(begin.elapsed(), Duration::ZERO);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_with_its_channel() {
        let settings = ChannelSettings { max_lifetime: 10, ..ChannelSettings::default() };
        let (world, channel) = open_with(settings);
        let mut stream = stream(&channel, None);
        next(&mut stream).await;
        let begin = Instant::now();
        assert_eq!(stream.next().await, None);
        assert!(begin.elapsed() <= Duration::from_secs(11), "{:?}", begin.elapsed());
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_leaves_all_in_its_channel() {
        let settings = ChannelSettings { queue: 3, ..ChannelSettings::default() };
        let (world, channel) = open_with(settings);
        let mut stream = stream(&channel, None);
        next(&mut stream).await;
        world.tell(["1", "2", "3", "4", "5"]).await;
        assert_eq!((channel.waiting(), world.counters.read(Count::Lost)), (4, 2));
        let told = texts(&next(&mut stream).await);
        assert!(told[0].starts_with("2 notifications were lost"), "{told:?}");
        assert_eq!(told[1..], ["3"]);
        assert_eq!(texts(&next(&mut stream).await), ["4", "5"]);
        world.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_piece_has_a_fair_size() {
        let (world, channel) = open();
        let long = "x".repeat(PIECE / 2);
        world.tell([&long, &long, &long]).await;
        let mut stream = stream(&channel, None);
        next(&mut stream).await;
        assert_eq!(ids(&next(&mut stream).await).len(), 2);
        assert_eq!(ids(&next(&mut stream).await).len(), 1);
        world.close().await;
    }

    #[test]
    fn every_line_of_an_event_is_a_field() {
        let mut out = String::new();
        event(&mut out, &NotificationId::new("n1"), "<a>\nid: 7\n\n\rdata: x</a>");
        assert_eq!(out, "id: n1\ndata: <a>\ndata: id: 7\ndata: \ndata: \ndata: data: x</a>\n\n");
    }

    fn open() -> (World, Arc<Channel>) {
        open_with(ChannelSettings::default())
    }

    fn open_with(settings: ChannelSettings) -> (World, Arc<Channel>) {
        let world = World::with(plain(), settings);
        let channel = world.channel();
        world.subscribe("a", &channel.callback_url);
        (world, channel)
    }

    fn stream(channel: &Arc<Channel>, has: Option<&NotificationId>) -> Stream {
        Stream::open(channel, has, (Format::Json, PAUSE))
    }

    async fn next(stream: &mut Stream) -> String {
        let piece = timeout(2 * PAUSE, stream.next()).await.expect("in time").expect("a piece");
        String::from_utf8(piece.to_vec()).expect("text")
    }

    /// Gives what a client hears that hangs up at the first silence.
    async fn all(channel: &Arc<Channel>, has: Option<&NotificationId>) -> String {
        let (mut stream, mut all) = (stream(channel, has), String::new());
        loop {
            match next(&mut stream).await.as_str() {
                ": ping\n\n" => return all,
                "retry: 1000\n\n" => {}
                piece => all.push_str(piece),
            }
        }
    }

    fn ids(events: &str) -> Vec<NotificationId> {
        events.lines().filter_map(|it| it.strip_prefix("id: ")).map(NotificationId::new).collect()
    }

    fn texts(events: &str) -> Vec<String> {
        let data = events.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|json| member(json, "eventDescription").to_owned()).collect()
    }
}
