//! The core as an application meets it: under a name, overloaded, or not to be found.

use std::time::Duration;

use chatbridge::config::{CoreMode, HostPort};

use super::document::Format;
use super::ears::Way;
use super::peer::Peer;
use super::world::{ALICE, BOB, Seen, User, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_core_may_have_a_name() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| {
        peer.carry(config);
        if let Some(core) = &mut config.core.next_hop {
            core.host = "localhost".to_owned();
        }
    })
    .await;
    let alice = world.user(ALICE, Format::Json);
    let mut hears = alice.listen(Way::Callback, "Alice").await;
    alice.invite(BOB, "Hello").await;
    let call = peer.request("INVITE").await;
    let route = call.lines("Route").concat();
    assert!(route.starts_with("Route: <sip:localhost:") && route.ends_with(";lr>"), "{route}");
    let _stream = peer.accept(&call).await;
    hears.event("Accepted").await;
    world.stop_after(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_asks_for_a_pause_gets_it() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| peer.carry(config)).await;
    let alice = world.user(ALICE, Format::Json);
    let mut hears = alice.listen(Way::Callback, "Alice").await;
    alice.invite(BOB, "Hello").await;
    let call = peer.request("INVITE").await;
    let head = "503 Service Unavailable\r\nRetry-After: 120 (busy)";
    peer.answer(&call, head, "").await;
    let told = hears.event("SessionEnded").await;
    assert!(told.text("eventDescription").contains("503"), "{told:?}");
    let seen = begin(&alice).await;
    seen.fails(503, "SVC2001", "overloaded");
    let wait: u64 = seen.header("retry-after").parse().unwrap();
    assert!((60..=120).contains(&wait), "{wait}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_the_configuration_forbids_is_not_kept() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| {
        peer.carry(config);
        config.core.retry_after_max = Duration::ZERO;
    })
    .await;
    let alice = world.user(ALICE, Format::Json);
    let mut hears = alice.listen(Way::Callback, "Alice").await;
    alice.invite(BOB, "Hello").await;
    let call = peer.request("INVITE").await;
    peer.answer(&call, "503 Service Unavailable\r\nRetry-After: 120", "").await;
    hears.event("SessionEnded").await;
    begin(&alice).await.shows(201);
    world.stop_after(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s19_without_a_core_no_session_begins() {
    let world = World::with(|config| {
        config.core.mode = CoreMode::Peer;
        // Names that end so exist nowhere (RFC 6761 section 6.4): no server need be asked.
        let host = "core.invalid".to_owned();
        config.core.next_hop = Some(HostPort { host, port: None });
    })
    .await;
    let alice = world.user(ALICE, Format::Json);
    let seen = begin(&alice).await;
    seen.fails(503, "SVC2001", "the core");
    assert_ne!(seen.header("retry-after"), "");
    world.stop().await;
}

async fn begin(user: &User) -> Seen {
    let fields = [("subject", "x"), ("originatorAddress", ALICE), ("tParticipantAddress", BOB)];
    user.post(&user.url("/sessions"), "chatSessionInformation", &fields).await
}
