//! How a server that stops takes leave.

use std::time::Duration;

use chatbridge::config::Config;

use super::document::Format;
use super::ears::{Ears, Way};
use super::peer::Peer;
use super::world::{ALICE, BOB, Pair, World, within};

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_are_told_before_the_end() {
    for way in [Way::Callback, Way::Poll] {
        let world = World::with(take_leave).await;
        let mut pair = Pair::open(&world, (Format::Xml, Format::Json), way).await;
        pair.connected("Hello").await;
        let told = async {
            tokio::join!(shut_down(&mut pair.alice_hears), shut_down(&mut pair.bob_hears))
        };
        tokio::join!(told, world.stop());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_that_waits_ends_on_both_sides() {
    let world = World::with(take_leave).await;
    let mut pair = Pair::open(&world, (Format::Json, Format::Xml), Way::Callback).await;
    pair.invited("Hello").await;
    let told =
        async { tokio::join!(pair.alice_hears.event("SessionEnded"), pair.bob_hears.next()) };
    let ((_, bob), ()) = tokio::join!(told, world.stop());
    assert_eq!(bob.name, "chatEventNotification", "{bob:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f07_the_far_end_gets_a_bye_and_new_requests_are_sent_away() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| {
        take_leave(config);
        peer.carry(config);
    })
    .await;
    let alice = world.user(ALICE, Format::Json);
    let mut hears = alice.listen(Way::Callback, "Alice").await;
    let session = alice.invite(BOB, "Hello").await;
    let call = peer.request("INVITE").await;
    let _stream = peer.accept(&call).await;
    hears.event("Accepted").await;
    let rest = async {
        let bye = peer.request("BYE").await;
        assert!(bye.lines("Reason")[0].contains("cause="), "{}", bye.text);
        // Until the BYE is answered, the server is there for those who ask.
        shut_down(&mut hears).await;
        let fields = [("subject", "x"), ("originatorAddress", ALICE), ("tParticipantAddress", BOB)];
        let seen = alice.post(&alice.url("/sessions"), "chatSessionInformation", &fields).await;
        seen.fails(503, "SVC2001", "");
        assert_ne!(seen.header("retry-after"), "");
        let ready = alice.get(&format!("{}/readyz", alice.root)).await;
        assert!(ready.shows(503).body.contains("\"code\":\"draining\""), "{}", ready.body);
        assert_ne!(ready.header("retry-after"), "");
        alice.get(&format!("{}/livez", alice.root)).await.shows(200);
        alice.get(&alice.url("/subscriptions")).await.shows(200);
        alice.say(&session, "too late", &[]).await.fails(409, "POL3001", "Ended");
        alice.get(&session).await.fails(404, "SVC0004", "Request-URI");
        peer.answer(&bye, "200 OK", "").await;
    };
    tokio::join!(rest, world.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_mute_does_not_hold_the_end_up() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| {
        take_leave(config);
        peer.carry(config);
    })
    .await;
    let alice = world.user(ALICE, Format::Json);
    alice.invite(BOB, "Hello").await;
    peer.request("INVITE").await;
    within("the end", world.stop_after(Duration::from_millis(100))).await;
}

/// Gives the clients the time that the server gives them by default.
fn take_leave(config: &mut Config) {
    config.notify.farewell = Config::default().notify.farewell;
}

async fn shut_down(ears: &mut Ears) {
    let ended = ears.event("SessionEnded").await;
    let description = ended.text("eventDescription");
    // Whose goodbye comes first is open: the own one, or the BYE of the other.
    let known = description == "bridge shutting down" || description.starts_with("SIP BYE");
    assert!(known, "{ended:?}");
}
