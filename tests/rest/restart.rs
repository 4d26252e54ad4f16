//! What a restart leaves behind, in order and after a kill, and what a store that is full does.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chatbridge::bridge::delivery::SuccessOn;
use chatbridge::chat::SessionKind;
use chatbridge::config::{Config, StoreKind};
use chatbridge::ids::SessionId;
use chatbridge::store::durable::{Change, SessionRecord, Sqlite, SqliteSettings, Store};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::document::{Format, write};
use super::ears::{Way, subscribe};
use super::peer::{Peer, read_until};
use super::world::{ALICE, BOB, Pair, Seen, User, World, within};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_queued_is_fetched_after_a_restart_and_running_sessions_have_ended() {
    let place = Place::new();
    let world = place.world(|config| config.session.success_on = SuccessOn::Hop).await;
    let port = world.running().rest().port();
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    pair.alice.say(&ends.alice, "one", &[]).await.shows(201);
    let heard = pair.bob_hears.message("one").await;
    // What has no answer yet when the server stops has failed: this one is told to have arrived.
    let two = pair.alice.say(&ends.alice, "two", &["Delivered"]).await;
    for text in ["one", "two"] {
        pair.alice_hears.message(text).await;
    }
    pair.alice_hears.delivered(two.shows(201).header("location")).await;
    world.stop().await;

    // The same place, the same URLs.
    let world = place.world(|config| config.rest.listen.set_port(port)).await;
    // What was answered and not acknowledged by another poll comes again, as it was.
    let again = pair.bob_hears.message("one").await;
    assert_eq!(again.text("id"), heard.text("id"));
    pair.bob_hears.message("two").await;
    // The end of the sessions was decided before the restart, and is told once.
    pair.bob_hears.event("SessionEnded").await;
    let mut told = pair.alice_hears.next().await;
    while told.name != "chatEventNotification" || told.text("eventType") == "MessageSuccess" {
        let status = told.find("status").map(|status| &*status.text);
        assert_ne!(status, Some("Failed"), "{told:?}");
        told = pair.alice_hears.next().await;
    }
    assert_eq!(told.text("eventType"), "SessionEnded", "{told:?}");
    pair.bob.get(&ends.bob).await.fails(404, "SVC0004", "Request-URI");
    pair.connected("Hello again").await;
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h11_what_was_answered_and_not_polled_again_comes_again_after_a_restart() {
    let place = Place::new();
    let world = place.world(|_| {}).await;
    let port = world.running().rest().port();
    let mut pair = Pair::polling(&world).await;
    let session = pair.alice.invite(BOB, "Hello").await;
    let first = pair.bob.get(pair.bob_hears.channel()).await;
    assert!(first.shows(200).body.contains("sessionInvitationNotification"), "{}", first.body);
    world.stop_after(Duration::ZERO).await;

    let world = place.world(|config| config.rest.listen.set_port(port)).await;
    let again = pair.bob.get(pair.bob_hears.channel()).await.shows(200).body.clone();
    let shown = first.body.trim_end_matches("]}");
    assert!(again.starts_with(shown), "{again} does not repeat {shown}");
    // Whether the first server still came to say goodbye is open; the end is told in any case.
    let is_over =
        |body: &str| ["SessionEnded", "SessionCancelled"].iter().any(|e| body.contains(e));
    let mut ended = is_over(&again);
    while !ended {
        let next = within("the end", pair.bob.get(pair.bob_hears.channel())).await;
        ended = is_over(&next.shows(200).body);
    }
    let told = pair.alice_hears.next().await;
    assert!(is_over(told.text("eventType")), "{told:?}");
    assert_eq!(told.link("ChatSessionInformation"), session);
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h07_a_repeated_request_is_answered_as_before_the_restart() {
    let place = Place::new();
    let peer = Peer::start().await;
    let world = place.world(|config| peer.carry(config)).await;
    let port = world.running().rest().port();
    let alice = world.user(ALICE, Format::Json);
    let fields = [
        ("subject", "Hello"),
        ("originatorAddress", ALICE),
        ("tParticipantAddress", BOB),
        ("clientCorrelator", "c1"),
    ];
    let invite = async || {
        let seen = alice.post(&alice.url("/sessions"), "chatSessionInformation", &fields).await;
        (seen.shows(201).header("location").to_owned(), seen.body)
    };
    let keyed = async |path: &str| {
        let fields = [("callbackReference/notifyURL", &*format!("http://127.0.0.1:9/{path}"))];
        let body = write(Format::Json, "chatNotificationSubscription", &fields);
        let request = alice.request(Method::POST, &alice.url("/subscriptions"));
        let request = request.header("content-type", "application/json");
        alice.send(request.header("idempotency-key", "k1").body(body)).await
    };
    let (first, subscribed) = (invite().await, keyed("a").await);
    world.stop_after(Duration::from_millis(10)).await;

    let world = place.world(|config| config.rest.listen.set_port(port)).await;
    assert_eq!(invite().await, first);
    let again = keyed("a").await;
    assert_eq!(again.shows(201).header("location"), subscribed.header("location"));
    keyed("b").await.fails(409, "SVC0005", "k1");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h07_what_a_kill_left_half_done_is_not_answered_as_done() {
    let place = Place::new();
    let world = place.world(|_| {}).await;
    let port = world.running().rest().port();
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    let keyed = async |user: &User, text: &str| {
        let body = write(Format::Json, "chatMessage", &[("text", text)]);
        let request = user.request(Method::POST, &format!("{}/messages", ends.alice));
        let request = request.header("content-type", "application/json");
        user.send(request.header("idempotency-key", "k1").body(body)).await
    };
    let sent = keyed(&pair.alice, "one").await;
    let message = sent.shows(201).header("location").to_owned();
    pair.alice_hears.message("one").await;
    pair.bob_hears.message("one").await;
    world.stop().await;

    // The same, had it been killed between the two.
    let settings = SqliteSettings { path: place.file(), queue: 16, max_size: 1 << 30 };
    let store = Sqlite::open(&settings).unwrap();
    let contents = store.load().await.unwrap();
    let mut answer = contents.answers[0].clone();
    answer.is_begun = true;
    let id = SessionId::new(ends.alice.rsplit('/').next().unwrap());
    let user = answer.correlation.user.clone();
    let session = SessionRecord { id, user, kind: SessionKind::Pair };
    store
        .commit(vec![Change::PutAnswer(answer), Change::PutSession(session)].into())
        .await
        .unwrap();
    drop(store);

    let world = place.world(|config| config.rest.listen.set_port(port)).await;
    keyed(&pair.alice, "one").await.fails(409, "POL3001", "restarted");
    keyed(&pair.alice, "two").await.fails(409, "SVC0005", "k1");
    // What was told before comes again first.
    let mut told = pair.alice_hears.next().await;
    while told.name != "messageDeliveryStatusNotification" {
        told = pair.alice_hears.next().await;
    }
    assert_eq!((told.text("status"), told.link("ChatMessage")), ("Failed", &*message));
    pair.alice_hears.event("MessageFailure").await;
    pair.alice_hears.event("SessionEnded").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f2_a_full_store_is_told_with_503_and_recovers() {
    let place = Place::new();
    let world = place
        .world(|config| {
            (config.store.max_size, config.notify.max_subscriptions) = (0, 10_000);
        })
        .await;
    let alice = world.user(ALICE, Format::Json);
    let mut kept = Vec::new();
    let refused = loop {
        let seen = try_to_subscribe(&alice).await;
        match seen.status {
            201 => kept.push(seen.header("location").to_owned()),
            _ => break seen,
        }
    };
    refused.fails(503, "SVC2001", "store");
    assert_ne!(refused.header("retry-after"), "");
    assert!(!world.running().store().is_good());
    let readyz = format!("{}/readyz", world.root);
    assert!(alice.get(&readyz).await.shows(503).body.contains("\"store\""));
    let fields = [("subject", "x"), ("originatorAddress", ALICE), ("tParticipantAddress", BOB)];
    let seen = alice.post(&alice.url("/sessions"), "chatSessionInformation", &fields).await;
    seen.fails(503, "SVC2001", "store");
    let listed = alice.get(&alice.url("/subscriptions")).await.body;
    assert_eq!(listed.matches("\"resourceURL\"").count(), kept.len() + 1, "{listed}");

    for url in &kept[..4] {
        alice.delete(url).await.shows(204);
    }
    subscribe(&alice, "http://127.0.0.1:9/", "there is room", "").await;
    assert!(world.running().store().is_good());
    alice.get(&readyz).await.shows(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f2_a_peer_reads_no_200_for_what_could_not_be_kept() {
    let (place, mut peer) = (Place::new(), Peer::start().await);
    let world = place
        .world(|config| {
            peer.carry(config);
            (config.store.max_size, config.notify.max_subscriptions) = (0, 10_000);
            config.store.commit_timeout = Duration::from_secs(3);
        })
        .await;
    let alice = world.user(ALICE, Format::Json);
    let mut hears = alice.listen(Way::Poll, "Alice").await;
    alice.invite(BOB, "Hello").await;
    let call = peer.request("INVITE").await;
    let mut stream = peer.accept(&call).await;
    hears.event("Accepted").await;
    let (path, own) = (after(&call.text, "a=path:"), peer.sdp_at("127.0.0.1"));
    let own = after(&own, "a=path:");
    let send = |id: &str, text: &str| {
        let length = text.len();
        format!(
            "MSRP {id} SEND\r\nTo-Path: {path}\r\nFrom-Path: {own}\r\nMessage-ID: {id}\r\n\
             Byte-Range: 1-{length}/{length}\r\nContent-Type: text/plain\r\n\r\n\
             {text}\r\n-------{id}$\r\n"
        )
    };
    stream.write_all(send("kept", "there is room").as_bytes()).await.unwrap();
    read_until(&mut stream, "MSRP kept 200").await;
    hears.message("there is room").await;

    let mut filled = Vec::new();
    loop {
        let seen = try_to_subscribe(&alice).await;
        match seen.status {
            201 => filled.push(seen.header("location").to_owned()),
            _ => break,
        }
    }
    let large = "x".repeat(40_000);
    stream.write_all(send("full", &large).as_bytes()).await.unwrap();
    let mut rest = String::new();
    within("the end of the connection", stream.read_to_string(&mut rest)).await.unwrap();
    assert!(!rest.contains("MSRP full 200"), "{rest}");

    // It is told all the same once there is room: only nobody may rely on that.
    for url in &filled {
        alice.delete(url).await.shows(204);
    }
    hears.message(&large).await;
    world.stop_after(Duration::ZERO).await;
}

/// Gives the rest of the first line that begins so.
fn after<'a>(text: &'a str, prefix: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(prefix)).unwrap()
}

async fn try_to_subscribe(user: &User) -> Seen {
    let fields = [
        ("callbackReference/notifyURL", "http://127.0.0.1:9/"),
        ("callbackReference/callbackData", &*"x".repeat(4000)),
    ];
    user.post(&user.url("/subscriptions"), "chatNotificationSubscription", &fields).await
}

/// A folder for one store, which goes with the test.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("chatbridge-rest-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("chatbridge.db")
    }

    pub(crate) async fn world(&self, set: impl FnOnce(&mut Config)) -> World {
        World::with(|config| {
            (config.store.kind, config.store.path) = (StoreKind::Sqlite, self.file());
            set(config);
        })
        .await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
