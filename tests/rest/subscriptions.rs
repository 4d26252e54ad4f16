//! `…/subscriptions` and `…/subscriptions/{subscriptionId}` (TS Chat 6.1 and 6.2).

use tokio::net::TcpListener;

use super::document::Format;
use super::ears::{Ears, Way, open_channel, subscribe};
use super::world::{ALICE, BOB, Pair, World};

#[tokio::test(flavor = "multi_thread")]
async fn two_subscriptions_of_a_user_both_get_everything_and_one_without_echo() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let other = world.user(ALICE, Format::Json);
    let mut also = other.listen(Way::Callback, "another client").await;
    let mut quiet = Ears::open(&other, Way::Poll, "no echo", "?echo=false").await;
    let ends = pair.connected("Hello").await;
    also.event("Accepted").await;
    quiet.event("Accepted").await;
    pair.alice.say(&ends.alice, "mine", &[]).await.shows(201);
    pair.alice_hears.message("mine").await;
    also.message("mine").await;
    pair.bob_hears.message("mine").await;
    pair.bob.say(&ends.bob, "yours", &[]).await.shows(201);
    for ears in [&mut pair.alice_hears, &mut also, &mut quiet] {
        let told = ears.message("yours").await;
        assert_eq!(told.text("senderAdress"), BOB);
    }
    let echo = pair.bob_hears.message("yours").await;
    assert_eq!(echo.text("senderAdress"), BOB);
    pair.bob.delete(&ends.bob).await.shows(204);
    for ears in [&mut pair.alice_hears, &mut also, &mut quiet, &mut pair.bob_hears] {
        ears.event("SessionEnded").await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_application_delays_nobody() {
    let world = World::start().await;
    let mut pair = Pair::open(&world, (Format::Json, Format::Xml), Way::Callback).await;
    // It takes connections and never answers; nobody is at home at the other one.
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut dead_ones = Vec::new();
    for place in [dead.local_addr().unwrap(), gone] {
        for user in [&pair.alice, &pair.bob] {
            let url = subscribe(user, &format!("http://{place}/"), "dead", "").await;
            dead_ones.push((user.clone(), url));
        }
    }
    let ends = pair.connected("Hello").await;
    for text in ["1", "2", "3"] {
        pair.alice.say(&ends.alice, text, &[]).await.shows(201);
        pair.alice_hears.message(text).await;
        pair.bob_hears.message(text).await;
    }
    // Nor does it delay the end, once nobody subscribes for it any more.
    for (user, url) in dead_ones {
        user.delete(&url).await.shows(204);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_listed_and_is_nobody_elses() {
    let world = World::start().await;
    for (format, other) in [(Format::Xml, Format::Json), (Format::Json, Format::Xml)] {
        let (alice, bob) = (world.user(ALICE, format), world.user(BOB, other));
        let channel = open_channel(&alice).await;
        let url = subscribe(&alice, &channel.callback, "a & <b>", "").await;
        let list = alice.get(&alice.url("/subscriptions")).await.shows(200).document();
        assert_eq!(list.name, "chatSubscriptionList");
        assert_eq!(list.text("resourceURL"), alice.url("/subscriptions"));
        let listed = list.all("chatNotificationSubscription");
        let [one] = &listed[..] else { panic!("{list:?}") };
        assert_eq!(one.text("resourceURL"), url);
        assert_eq!(one.text("callbackReference/callbackData"), "a & <b>");

        let foreign = url.replace("550100", "550101");
        bob.get(&foreign).await.fails(404, "SVC0004", "Request-URI");
        bob.delete(&foreign).await.fails(404, "SVC0004", "Request-URI");
        // A channel is for its own user alone.
        let fields = [("callbackReference/notifyURL", &*channel.callback)];
        let at = bob.url("/subscriptions");
        let seen = bob.post(&at, "chatNotificationSubscription", &fields).await;
        seen.fails(400, "SVC0002", "notifyURL");

        alice.delete(&url).await.shows(204);
        alice.delete(&url).await.fails(404, "SVC0004", "Request-URI");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_field_is_named() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Json);
    let at = alice.url("/subscriptions");
    for url in [
        "",
        "/x",
        "ftp://h/",
        "http://user:pw@h/",
        "http://169.254.169.254/",
        "http://[::ffff:a9fe:a9fe]/",
        "file:///etc/passwd",
        "http://h/\r\nX: y",
    ] {
        let fields = [("callbackReference/notifyURL", url)];
        let seen = alice.post(&at, "chatNotificationSubscription", &fields).await;
        seen.fails(400, "SVC0002", "notifyURL");
    }
    let seen = alice.post(&at, "chatNotificationSubscription", &[("duration", "1")]).await;
    seen.fails(400, "SVC0002", "callbackReference");
    let fields = [
        ("callbackReference/notifyURL", "http://127.0.0.1:9/"),
        ("callbackReference/notificationFormat", "YAML"),
    ];
    let seen = alice.post(&at, "chatNotificationSubscription", &fields).await;
    seen.fails(400, "SVC0003", "notificationFormat");
    let at = alice.url("/subscriptions?echo=perhaps");
    let seen = alice.post(&at, "chatNotificationSubscription", &fields[..1]).await;
    seen.fails(400, "SVC0003", "echo");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_correlator_subscribes_once() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Xml);
    let at = alice.url("/subscriptions");
    let post = |url: &'static str| {
        let (alice, at) = (alice.clone(), at.clone());
        async move {
            let fields = [("callbackReference/notifyURL", url), ("clientCorrelator", "c/1")];
            alice.post(&at, "chatNotificationSubscription", &fields).await
        }
    };
    let one = post("http://127.0.0.1:9/").await;
    assert_eq!(one.shows(201).document().text("clientCorrelator"), "c/1");
    let two = post("http://127.0.0.1:9/").await;
    assert_eq!((two.shows(201).header("location"), &two.body), (one.header("location"), &one.body));
    post("http://127.0.0.1:10/").await.fails(409, "SVC0005", "c/1");
    alice.delete(one.header("location")).await.shows(204);
    let three = post("http://127.0.0.1:10/").await;
    assert_ne!(three.shows(201).header("location"), one.header("location"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_subscribes_too_often_is_told_to_wait() {
    let world = World::with(|config| config.notify.max_subscriptions = 2).await;
    let (alice, bob) = (world.user(ALICE, Format::Json), world.user(BOB, Format::Xml));
    let one = subscribe(&alice, "http://127.0.0.1:9/", "one", "").await;
    subscribe(&alice, "http://127.0.0.1:9/", "two", "").await;
    let fields = [("callbackReference/notifyURL", "http://127.0.0.1:9/")];
    let at = alice.url("/subscriptions");
    let seen = alice.post(&at, "chatNotificationSubscription", &fields).await;
    seen.fails(429, "POL3002", "subscriptions");
    assert_ne!(seen.header("retry-after"), "");
    subscribe(&bob, "http://127.0.0.1:9/", "mine", "").await;
    alice.delete(&one).await.shows(204);
    subscribe(&alice, "http://127.0.0.1:9/", "three", "").await;
    world.stop().await;
}
