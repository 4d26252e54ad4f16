//! `…/sessions/{sessionId}/status` (TS Chat 6.5).

use reqwest::Method;

use super::document::{Format, write};
use super::world::{Pair, World};

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_accepted_once_and_by_the_invited_alone() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.invited("Hello").await;
    pair.alice.answer(&ends.alice, "Connected").await.fails(403, "POL0001", "terminating");
    pair.alice.answer(&ends.alice, "Disconnected").await.fails(403, "POL0001", "terminating");
    let answers = tokio::join!(
        pair.bob.answer(&ends.bob, "Connected"),
        pair.bob.answer(&ends.bob, "Connected"),
        pair.bob.answer(&ends.bob, "Connected")
    );
    let mut answers = [answers.0, answers.1, answers.2];
    answers.sort_by_key(|seen| seen.status);
    answers[0].shows(200);
    answers[1].fails(409, "POL3001", "Connected");
    answers[2].fails(409, "POL3001", "Connected");
    pair.bob.answer(&ends.bob, "Disconnected").await.fails(409, "POL3001", "Connected");
    pair.alice_hears.event("Accepted").await;
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_is_taken_in_every_format_and_by_put() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    for format in [Format::Xml, Format::Json] {
        for method in [Method::POST, Method::PUT] {
            let ends = pair.invited("Hello").await;
            pair.bob.format = format;
            let body = write(format, "participantSessionStatus", &[("status", "Disconnected")]);
            let request = pair.bob.request(method, &format!("{}/status/", ends.bob));
            let request = request.header("content-type", format.media_type()).body(body);
            let shown = pair.bob.send(request).await.shows(200).document();
            assert_eq!(shown.text("status"), "Disconnected");
            pair.alice_hears.event("Declined").await;
            pair.bob.format = Format::Json;
            pair.bob_hears.event("SessionEnded").await;
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_field_is_named() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.invited("Hello").await;
    for status in ["Invited", "connected", "", "Connected, Disconnected"] {
        pair.bob.answer(&ends.bob, status).await.fails(400, "SVC0003", "status");
    }
    let at = format!("{}/status", ends.bob);
    pair.bob.post(&at, "participantSessionStatus", &[]).await.fails(400, "SVC0002", "status");
    pair.bob.answer(&ends.bob, "Connected").await.shows(200);
    pair.alice_hears.event("Accepted").await;
    world.stop().await;
}
