//! `…/sessions/{sessionId}/messages` and what is behind it (TS Chat 6.12 and 6.13).

use reqwest::Method;

use super::document::{Format, write};
use super::world::{BOB, Pair, World};

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_both_ways_in_order_and_in_every_format() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    let long = "many chunks \u{1f600} ".repeat(3000);
    let texts = ["one", "two\r\nlines", "-------x$\r\n", "<&>\"'", "\u{feff}\u{4e2d}", &long];
    for text in texts {
        pair.alice.say(&ends.alice, text, &[]).await.shows(201);
        pair.bob.say(&ends.bob, text, &[]).await.shows(201);
    }
    let form = "text=a+form%21";
    let at = format!("{}/messages", ends.alice);
    let media_type = "application/x-www-form-urlencoded";
    let seen = pair.alice.post_raw(&at, media_type, form).await;
    assert_eq!(seen.shows(201).format(), Format::Xml);
    for ears in [&mut pair.alice_hears, &mut pair.bob_hears] {
        let (mut from_alice, mut from_bob) = (Vec::new(), Vec::new());
        for _ in 0..2 * texts.len() + 1 {
            let told = ears.next().await;
            let text = told.text("chatMessage/text").to_owned();
            if told.text("senderAdress") == BOB { &mut from_bob } else { &mut from_alice }
                .push(text);
        }
        assert_eq!(from_bob, texts);
        assert_eq!(from_alice[..texts.len()], texts);
        assert_eq!(from_alice[texts.len()], "a form!");
    }
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_too_early_waits_for_the_acceptance() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.invited("Hello").await;
    pair.bob.say(&ends.bob, "too early", &[]).await.fails(409, "POL3001", "Invited");
    pair.alice.say(&ends.alice, "early", &[]).await.shows(201);
    pair.alice_hears.message("early").await;
    pair.bob.answer(&ends.bob, "Connected").await.shows(200);
    pair.alice_hears.event("Accepted").await;
    pair.bob_hears.message("early").await;
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sends_a_message_once() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    let (alice, at) = (pair.alice.clone(), format!("{}/messages", ends.alice));
    let say = |key: &'static str, text: &'static str| {
        let body = write(alice.format, "chatMessage", &[("text", text)]);
        let request = alice.request(Method::POST, &at).header("idempotency-key", key);
        let request = request.header("content-type", alice.format.media_type()).body(body);
        let alice = alice.clone();
        async move { alice.send(request).await }
    };
    let (one, two) = tokio::join!(say("k1", "Hi"), say("k1", "Hi"));
    assert_eq!(one.shows(201).header("location"), two.shows(201).header("location"));
    assert_eq!(one.body, two.body);
    let reused = say("k1", "Ho").await;
    reused.fails(409, "SVC0005", "k1");
    reused.fails(409, "SVC0005", "Idempotency-Key");
    let other = say("k2", "Hi").await;
    assert_ne!(other.shows(201).header("location"), one.header("location"));
    for ears in [&mut pair.alice_hears, &mut pair.bob_hears] {
        ears.message("Hi").await;
        ears.message("Hi").await;
    }
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_of_a_message_is_there_for_nobody() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    let sent = pair.alice.say(&ends.alice, "Hi", &[]).await;
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        let request = pair.alice.request(method, sent.header("location"));
        pair.alice.send(request).await.fails(404, "SVC0004", "Request-URI");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn composing_is_told_and_its_faults_are_named() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    let at = format!("{}/messages", ends.alice);
    for part in [("state", "busy"), ("state", "")] {
        let seen = pair.alice.post(&at, "isComposing", &[part]).await;
        seen.fails(400, "SVC0003", "state");
    }
    for (part, value) in [
        ("refresh", "0"),
        ("refresh", "-1"),
        ("lastactive", "noon"),
        ("contenttype", "a b\r\nX: y"),
    ] {
        let fields = [("state", "active"), (part, value)];
        pair.alice.post(&at, "isComposing", &fields).await.fails(400, "SVC0002", part);
    }
    let fields = [
        ("state", "active"),
        ("lastactive", "2011-07-28T17:51:59Z"),
        ("contenttype", "text/plain"),
        ("refresh", "90"),
    ];
    let seen = pair.alice.post(&at, "isComposing", &fields).await;
    assert_eq!((seen.shows(204).body.as_str(), seen.header("location")), ("", ""));
    for ears in [&mut pair.alice_hears, &mut pair.bob_hears] {
        let told = ears.next().await;
        assert_eq!(told.name, "messageNotification");
        assert_eq!(told.text("isComposing/state"), "active");
    }
    pair.alice.post(&at, "isComposing", &[("state", "idle")]).await.shows(204);
    for ears in [&mut pair.alice_hears, &mut pair.bob_hears] {
        assert_eq!(ears.next().await.text("isComposing/state"), "idle");
    }
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_field_of_a_message_is_named() {
    let world = World::with(|config| config.rest.max_text = 160).await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    for user_ends in [(&pair.alice, &ends.alice), (&pair.bob, &ends.bob)] {
        let (user, session) = user_ends;
        let at = format!("{session}/messages");
        user.post(&at, "chatMessage", &[]).await.fails(400, "SVC0002", "text");
        user.say(session, "Hi", &["Perhaps"]).await.fails(400, "SVC0003", "reportRequest");
        let seen = user.post(&at, "chatLetter", &[("text", "Hi")]).await;
        seen.fails(400, "SVC0002", "");
        user.say(session, &"x".repeat(161), &[]).await.fails(413, "SVC0002", "body");
    }
    pair.alice.say(&ends.alice, &"x".repeat(160), &[]).await.shows(201);
    pair.bob_hears.message(&"x".repeat(160)).await;
    world.stop().await;
}
