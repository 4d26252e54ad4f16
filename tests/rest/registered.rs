//! Mode `ue`: the users of the bridge are registered at a core that asks for their passwords.

use std::collections::BTreeSet;
use std::time::Duration;

use chatbridge::sip::{Method, Request};

use super::document::Format;
use super::ears::Way;
use super::registrar::Core;
use super::world::{ALICE, BOB, CAROL, Pair, World, within};

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_registered_opens_no_session_but_may_subscribe() {
    let core = Core::start().await;
    let world = World::with(|config| core.carry(config)).await;
    let alice = world.user(ALICE, Format::Json);
    let mut hears = alice.listen(Way::Poll, "Alice").await;
    let open = async |from: &str| {
        let fields = [("subject", "x"), ("originatorAddress", from), ("tParticipantAddress", BOB)];
        let user = world.user(from, Format::Json);
        user.post(&user.url("/sessions"), "chatSessionInformation", &fields).await
    };
    let early = open(ALICE).await;
    early.fails(503, "SVC2001", "not registered");
    assert!(early.header("retry-after").parse::<u32>().unwrap() > 0);
    open(CAROL).await.fails(404, "SVC0004", "Request-URI");
    core.open();
    all_registered(&world, 2).await;
    open(ALICE).await.shows(201);
    // Bob has no client: the core brings his refusal.
    hears.event("Declined").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registered_users_chat_by_way_of_the_core_and_are_taken_back_at_the_end() {
    let mut core = Core::start().await;
    core.open();
    let world = World::with(|config| core.carry(config)).await;
    all_registered(&world, 2).await;
    let mut register = core.passed(&Method::Register).await;
    if register.to().unwrap().uri.user() != Some("+19585550100") {
        register = core.passed(&Method::Register).await;
    }
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    let invite = core.passed(&Method::Invite).await;
    assert_eq!(contact(&invite).split(';').next(), contact(&register).split(';').next());
    assert!(contact(&invite).contains("+sip.instance="), "{}", contact(&invite));
    assert!(invite.headers.has("P-Preferred-Identity"));
    let proof = invite.headers.get("Proxy-Authorization").unwrap();
    assert!(proof.contains("username=\"+19585550100\""), "{proof}");
    pair.alice.say(&ends.alice, "Hi Bob", &[]).await.shows(201);
    pair.alice_hears.message("Hi Bob").await;
    pair.bob_hears.message("Hi Bob").await;
    pair.bob.delete(&ends.bob).await.shows(204);
    pair.alice_hears.event("SessionEnded").await;
    world.stop().await;
    let mut left = BTreeSet::new();
    while left.len() < 2 {
        let register = core.passed(&Method::Register).await;
        if register.expires() == Some(0) {
            left.insert(register.to().unwrap().uri.user().unwrap().to_owned());
        }
    }
    assert_eq!(left.iter().collect::<Vec<_>>(), ["+19585550100", "+19585550101"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_has_forgotten_its_users_is_reminded() {
    let mut core = Core::start().await;
    core.open();
    let world = World::with(|config| core.carry(config)).await;
    all_registered(&world, 2).await;
    for _ in 0..2 {
        core.passed(&Method::Register).await;
    }
    let alice = world.user(ALICE, Format::Json);
    let mut hears = alice.listen(Way::Poll, "Alice").await;
    core.forget();
    alice.invite(BOB, "Hello").await;
    let ended = hears.event("SessionEnded").await;
    assert!(ended.text("eventDescription").starts_with("SIP 403"), "{ended:?}");
    let again = core.passed(&Method::Register).await;
    assert_eq!(again.to().unwrap().uri.user(), Some("+19585550100"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_is_silent_does_not_hold_the_end_up() {
    let core = Core::start().await;
    let world = World::with(|config| core.carry(config)).await;
    world.stop_after(Duration::from_millis(100)).await;
}

async fn all_registered(world: &World, count: usize) {
    within("the registrations", async {
        while world.running().registered() < count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn contact(request: &Request) -> &str {
    request.headers.get("Contact").unwrap()
}
