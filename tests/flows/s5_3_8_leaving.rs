//! TS Chat 5.3.8.2: leaving a 1-1 chat session; a re-join needs a new session.

use std::time::Duration;

use chatbridge::chat::{Answer, Command};
use chatbridge::sip::Method;

use crate::NOTHING;
use crate::world::{ALICE, BOB, World};

#[test]
fn s5_3_8_2_the_invited_user_leaves() {
    let mut world = World::new();
    let (_, bobs) = world.connect_users();
    assert_eq!(world.order(&bobs, Command::End), Ok(Answer::Done));
    assert_eq!(
        world.told(),
        [
            "bob: SessionEnded (SIP BYE)",
            r#"alice: SessionEnded (SIP BYE; Reason: SIP;cause=200;text="Call completed")"#,
        ]
    );
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);

    world.invite(ALICE, BOB, "Again");
    assert_eq!(world.told(), ["bob: invited by alice \"Again\""]);
}

#[test]
fn a_bye_that_nobody_answers_ends_the_session_all_the_same() {
    let mut world = World::facing_far_end();
    let (session, _) = world.talk_to_far_end();
    world.order(&session, Command::End).expect("taken");
    assert_eq!(world.told(), ["alice: SessionEnded (SIP BYE)"]);
    let bye = world.far_end_got(&Method::Bye);
    assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=200;text=\"Call completed\""));
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_user_who_leaves_waits_only_so_long_for_the_last_answer() {
    let mut world = World::facing_far_end();
    let (session, _) = world.talk_to_far_end();
    world.far_msrp_code = None;
    world.send(&session, "anybody?", chatbridge::chat::ReportRequest::default());
    world.order(&session, Command::End).expect("taken");
    assert_eq!(world.told(), ["alice: \"anybody?\" from alice (echo)"]);
    world.wait(Duration::from_secs(2));
    assert_eq!(
        world.told(),
        [
            "alice: msg001 Failed 408",
            "alice: MessageFailure msg001 (MSRP 408 the session was closed)",
            "alice: SessionEnded (SIP BYE)",
        ]
    );
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}
