//! The event stream at the URL that is polled (`Accept: text/event-stream`).

use std::time::Duration;

use reqwest::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::document::{Format, Node};
use super::ears::{Channel, Way, open_channel, subscribe};
use super::world::{ALICE, BOB, CAROL, User, World, within};

#[tokio::test(flavor = "multi_thread")]
async fn h11_who_comes_back_gets_what_was_lost_with_the_same_ids() {
    let world = World::start().await;
    let (alice, bob) = (world.user(ALICE, Format::Json), world.user(BOB, Format::Json));
    let channel = listen(&bob).await;
    let mut stream = Stream::open(&bob, &channel, None).await;
    let mut told = Vec::new();
    for subject in ["one", "two", "three"] {
        // Only within a session there is an order.
        alice.invite(BOB, subject).await;
        told.extend(stream.events(1).await);
    }
    assert_eq!(subjects(&told), ["one", "two", "three"]);
    for (id, document) in &told {
        assert_eq!(document.text("id"), *id);
        assert_eq!(document.text("callbackData"), "streamed");
    }
    // The connection is lost behind the first one, as far as the client knows.
    drop(stream);
    let mut stream = Stream::open(&bob, &channel, Some(&told[0].0)).await;
    assert_eq!(stream.events(2).await, told[1..]);
    drop(stream);
    // Nothing was said: what nobody has confirmed comes again, to a poll, too.
    let polled = bob.get(&channel.poll).await.shows(200).document();
    let shown: Vec<_> = told[1..].iter().map(|(_, document)| document).collect();
    assert_eq!(polled.children.iter().collect::<Vec<_>>(), shown);
    let mut stream = Stream::open(&bob, &channel, Some(&told[2].0)).await;
    alice.invite(BOB, "four").await;
    assert_eq!(subjects(&stream.events(1).await), ["four"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h11_the_newest_reader_is_served_and_the_end_of_the_channel_ends_it() {
    let world = World::with(|config| config.notify.ping = Duration::from_secs(1)).await;
    let (bob, carol) = (world.user(BOB, Format::Json), world.user(CAROL, Format::Json));
    let channel = listen(&bob).await;
    let mut older = Stream::open(&bob, &channel, None).await;
    older.until(": ping\n\n").await;
    let mut newer = Stream::open(&bob, &channel, None).await;
    assert!(older.rest().await.ends_with("retry: 60000\n\n"));
    carol.invite(BOB, "Hello").await;
    let told = newer.events(1).await;
    assert_eq!(subjects(&told), ["Hello"]);
    let since = format!("{}?since={}", channel.poll, told[0].0);
    let (polled, rest) = tokio::join!(bob.get(&since), newer.rest());
    assert!(rest.contains(": another reader has come"), "{rest}");
    assert_eq!(polled.shows(200).document().children, [] as [Node; 0]);
    let mut last = Stream::open(&bob, &channel, None).await;
    bob.delete(&channel.url).await.shows(204);
    let rest = last.rest().await;
    assert!(!rest.contains("another"), "{rest}");
    let request = bob.request(reqwest::Method::GET, &channel.poll);
    let gone = bob.send(request.header("accept", "text/event-stream")).await;
    assert_eq!(gone.status, 404);
    world.stop().await;
}

/// What a client does not read goes no further than the buffers on the way: the connection is cut,
/// and nothing is lost for it.
#[tokio::test(flavor = "multi_thread")]
async fn h02_a_reader_that_does_not_read_is_cut_and_loses_nothing() {
    const MESSAGES: usize = 150;
    let world = World::with(|config| config.rest.write_timeout = Duration::from_secs(1)).await;
    let (alice, bob) = (world.user(ALICE, Format::Json), world.user(BOB, Format::Json));
    let channel = listen(&bob).await;
    let mut ears = alice.listen(Way::Callback, "Alice").await;
    let session = alice.invite(BOB, "Hello").await;
    let told = bob.get(&channel.poll).await.shows(200).document();
    bob.answer(told.children[0].link("ChatSessionInformation"), "Connected").await.shows(200);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut slow = socket.connect(world.running().rest()).await.unwrap();
    let path = channel.poll.strip_prefix(&world.root).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
    slow.write_all(head.as_bytes()).await.unwrap();
    ears.event("Accepted").await;
    for number in 0..MESSAGES {
        let text = format!("{number}:{}", "x".repeat(65_000));
        alice.say(&session, &text, &[]).await.shows(201);
        ears.message(&text).await;
    }
    // Nothing is read until it is cut: then what is said gets no hearing.
    let cut = async {
        while slow.write_all(b"\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("the connection is cut", cut).await;
    // What was on its way can be read, if anything; no more than that.
    let mut read = Vec::new();
    let _cut = within("the end of what is there", slow.read_to_end(&mut read)).await;
    let shown = String::from_utf8_lossy(&read).matches("\nid: ").count();
    assert!(shown < MESSAGES, "all {shown} were read");
    let mut stream = Stream::open(&bob, &channel, None).await;
    let told = stream.events(MESSAGES).await;
    for (number, (_, document)) in told.iter().enumerate() {
        let text = document.text("chatMessage/text");
        assert!(text.starts_with(&format!("{number}:")), "{number}: {text:.20}");
    }
    world.stop().await;
}

/// Opens a channel that everything is told to.
async fn listen(user: &User) -> Channel {
    let channel = open_channel(user).await;
    subscribe(user, &channel.callback, "streamed", "").await;
    channel
}

fn subjects(events: &[(String, Node)]) -> Vec<&str> {
    events.iter().map(|(_, document)| document.text("subject")).collect()
}

/// A stream as its client reads it.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(user: &User, channel: &Channel, has: Option<&str>) -> Self {
        let request = user.event_stream(&channel.poll);
        let request = match has {
            Some(id) => request.header("last-event-id", id),
            None => request,
        };
        let response = within("a stream", request.send()).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Self { response, text: String::new() };
        stream.until("retry: 1000\n\n").await;
        stream
    }

    /// Reads that many events: their ids and their documents.
    async fn events(&mut self, count: usize) -> Vec<(String, Node)> {
        let mut events = Vec::new();
        while events.len() < count {
            let block = self.until("\n\n").await;
            let Some((id, data)) = block.split_once("\ndata: ") else { continue };
            let id = id.strip_prefix("id: ").unwrap_or_else(|| panic!("{block}"));
            events.push((id.to_owned(), Node::read(Format::Json, data.trim_end())));
        }
        events
    }

    /// Reads up to the end of `what`.
    async fn until(&mut self, what: &str) -> String {
        loop {
            if let Some((block, rest)) = self.text.split_once(what) {
                let (block, rest) = (format!("{block}{what}"), rest.to_owned());
                self.text = rest;
                return block;
            }
            let chunk = within(what, self.response.chunk()).await.unwrap();
            let chunk = chunk.unwrap_or_else(|| panic!("no {what}: {}", self.text));
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Reads to the end.
    async fn rest(&mut self) -> String {
        while let Some(chunk) = within("the end", self.response.chunk()).await.unwrap() {
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        std::mem::take(&mut self.text)
    }
}
