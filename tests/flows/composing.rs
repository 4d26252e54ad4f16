//! isComposing both ways (TS Chat 5.2.2.17, RFC 3994).

use std::num::NonZeroU32;
use std::time::Duration;

use chatbridge::chat::{Command, Composing, ComposingState, ReportRequest};

use crate::NOTHING;
use crate::world::World;

#[test]
fn typing_is_told_both_ways() {
    let mut world = World::new();
    let (alices, bobs) = world.connect_users();
    world.order(&alices, Command::Compose(active(60))).expect("taken");
    world.order(&bobs, Command::Compose(active(60))).expect("taken");
    world.order(&alices, Command::Compose(Composing::idle())).expect("taken");
    assert_eq!(
        world.told(),
        [
            "alice: alice is active (echo)",
            "bob: alice is active",
            "bob: bob is active (echo)",
            "alice: bob is active",
            "alice: alice is idle (echo)",
            "bob: alice is idle",
        ]
    );
}

#[test]
fn idle_is_told_when_no_refresh_comes() {
    let mut world = World::new();
    let (alices, _) = world.connect_users();
    world.order(&alices, Command::Compose(active(60))).expect("taken");
    world.wait(Duration::from_secs(40));
    world.order(&alices, Command::Compose(active(60))).expect("taken");
    world.told();
    world.wait(Duration::from_secs(59));
    assert_eq!(world.told(), NOTHING);
    world.wait(Duration::from_secs(1));
    assert_eq!(world.told(), ["bob: alice is idle"]);
    world.wait(Duration::from_secs(600));
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_message_ends_the_typing_without_a_word() {
    let mut world = World::new();
    let (alices, _) = world.connect_users();
    world.order(&alices, Command::Compose(active(60))).expect("taken");
    world.send(&alices, "done", ReportRequest::default());
    world.order(&alices, Command::Compose(Composing::idle())).expect("taken");
    world.wait(Duration::from_secs(600));
    assert_eq!(
        world.told(),
        [
            "alice: alice is active (echo)",
            "bob: alice is active",
            "alice: \"done\" from alice (echo)",
            "bob: \"done\" from alice",
            "alice: alice is idle (echo)",
        ]
    );
}

#[test]
fn the_end_of_the_session_ends_the_typing() {
    let mut world = World::new();
    let (alices, _) = world.connect_users();
    world.order(&alices, Command::Compose(active(60))).expect("taken");
    world.order(&alices, Command::End).expect("taken");
    world.told();
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn typing_needs_a_running_session() {
    let mut world = World::new();
    let alices = world.invite(crate::world::ALICE, crate::world::BOB, "Hi");
    assert!(world.order(&alices, Command::Compose(active(60))).is_err());
}

fn active(refresh: u32) -> Composing {
    let refresh = NonZeroU32::new(refresh);
    Composing { state: ComposingState::Active, refresh, ..Composing::idle() }
}
