//! `…/messages/{messageId}/status` (TS Chat 6.14).

use reqwest::Method;

use super::document::write;
use super::world::{ALICE, Pair, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_status_only_moves_forward() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    let sent = pair.alice.say(&ends.alice, "Hi", &["Delivered", "Displayed"]).await;
    let message = sent.shows(201).header("location").to_owned();
    pair.alice_hears.message("Hi").await;
    let told = pair.bob_hears.message("Hi").await;
    let status = told.link("MessageDeliveryStatus");
    let body = write(
        pair.bob.format,
        "messageDeliveryStatus",
        &[("status", "Delivered"), ("userId", &pair.bob.address)],
    );
    let request = pair.bob.request(Method::PUT, status);
    let request = request.header("content-type", pair.bob.format.media_type()).body(body);
    pair.bob.send(request).await.shows(204);
    for say in ["Delivered", "Displayed", "Displayed", "Delivered"] {
        pair.bob.report(status, say).await.shows(204);
    }
    pair.alice_hears.delivered(&message).await;
    pair.alice_hears.status("Displayed", &message).await;
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}

/// Whoever was shown a message has it, and who asked for no more is told that once.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_displayed_was_delivered() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    let sent = pair.alice.say(&ends.alice, "Hi", &["Delivered"]).await;
    let message = sent.shows(201).header("location").to_owned();
    pair.alice_hears.message("Hi").await;
    let told = pair.bob_hears.message("Hi").await;
    for say in ["Displayed", "Delivered", "Displayed"] {
        pair.bob.report(told.link("MessageDeliveryStatus"), say).await.shows(204);
    }
    pair.alice_hears.delivered(&message).await;
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_field_is_named() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    pair.alice.say(&ends.alice, "Hi", &["Displayed"]).await.shows(201);
    pair.alice_hears.message("Hi").await;
    let told = pair.bob_hears.message("Hi").await;
    let status = told.link("MessageDeliveryStatus");
    pair.bob.report(status, "Failed").await.fails(400, "SVC0003", "status");
    let unknown = format!("{}/messages/msg001/status", ends.bob);
    pair.bob.report(&unknown, "Displayed").await.fails(404, "SVC0004", "Request-URI");
    for (fields, part) in [
        (vec![("status", "Displayed"), ("userId", ALICE)], "userId"),
        (vec![("status", "Displayed"), ("userId", "bob")], "userId"),
        (vec![("status", "Displayed")], "userId"),
        (vec![("userId", &*pair.bob.address)], "status"),
    ] {
        let seen = pair.bob.post(status, "messageDeliveryStatus", &fields).await;
        seen.fails(400, "SVC0002", part);
    }
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_nothing_is_told_nothing() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    pair.alice.say(&ends.alice, "Hi", &[]).await.shows(201);
    pair.alice_hears.message("Hi").await;
    let told = pair.bob_hears.message("Hi").await;
    assert!(told.all("link").iter().all(|link| link.text("rel") != "MessageDeliveryStatus"));
    let status = format!("{}/status", told.link("ChatMessage"));
    pair.bob.report(&status, "Displayed").await.shows(204);
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}
