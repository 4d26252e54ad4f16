//! TS Chat 5.3.6: cancelling a 1-1 chat invitation.

use std::time::Duration;

use chatbridge::chat::{Answer, Command, Refusal};
use chatbridge::sip::Method;

use crate::NOTHING;
use crate::far_end::answer_sdp;
use crate::world::{ALICE, BOB, World};

#[test]
fn after_180_both_sides_are_told() {
    let mut world = World::new();
    let alices = world.invite(ALICE, BOB, "Hi");
    world.sent();
    assert_eq!(world.order(&alices, Command::End), Ok(Answer::Done));
    assert_eq!(
        world.told(),
        [
            "bob: invited by alice \"Hi\"",
            "bob: SessionCancelled (SIP CANCEL)",
            "alice: SessionCancelled (SIP CANCEL)",
        ]
    );
    assert_eq!(
        world.sent(),
        [
            "bridge > im_server: CANCEL",
            "im_server > bridge: 200 CANCEL",
            "im_server > bridge: CANCEL",
            "bridge > im_server: 200 CANCEL",
            "bridge > im_server: 487 INVITE",
            "im_server > bridge: ACK",
            "im_server > bridge: 487 INVITE",
            "bridge > im_server: ACK",
        ]
    );
    assert_eq!(world.order(&alices, Command::End), Err(Refusal::NoSession));
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn before_180_the_cancel_waits_for_a_sign_of_life() {
    let mut world = World::facing_far_end();
    let (alices, invite) = world.invite_far_end();
    assert_eq!(world.order(&alices, Command::End), Ok(Answer::Done));
    assert_eq!(world.order(&alices, Command::End), Err(Refusal::NoSession), "it is on its way");
    assert_eq!(world.sent(), ["bridge > far_end: INVITE"]);
    assert_eq!(world.told(), NOTHING);

    world.far_end_answers(&invite, 100, &[], None);
    let cancel = world.far_end_got(&Method::Cancel);
    world.far_end_answers(&cancel, 200, &[], None);
    world.far_end_answers(&invite, 487, &[], None);
    assert_eq!(world.told(), ["alice: SessionCancelled (SIP CANCEL)"]);
    assert_eq!(
        world.sent(),
        [
            "far_end > bridge: 100 INVITE",
            "bridge > far_end: CANCEL",
            "far_end > bridge: 200 CANCEL",
            "far_end > bridge: 487 INVITE",
            "bridge > far_end: ACK",
        ]
    );
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_200_that_crosses_the_cancel_is_hung_up() {
    // Whether a chat could have run on it does not matter any more.
    for sdp in [answer_sdp(), "v=0\r\n".to_owned()] {
        let mut world = World::facing_far_end();
        let (alices, invite) = world.invite_far_end();
        world.far_end_answers(&invite, 180, &[], None);
        world.order(&alices, Command::End).expect("taken");
        world.sent();
        world.far_end_answers(&invite, 200, &[], Some(("application/sdp", &sdp)));
        assert_eq!(world.told(), ["alice: SessionCancelled (SIP CANCEL)"]);
        assert_eq!(
            world.sent(),
            ["far_end > bridge: 200 INVITE", "bridge > far_end: ACK", "bridge > far_end: BYE"]
        );
        world.demand_rest();
        assert_eq!(world.told(), NOTHING);
    }
}

#[test]
fn an_acceptance_that_crosses_the_cancel_ends_both_sides_once() {
    let mut world = World::new();
    let alices = world.invite(ALICE, BOB, "Hi");
    let bobs = world.invited(BOB);
    assert_eq!(world.begin_order(&bobs, Command::Accept), Ok(Answer::Done));
    assert_eq!(world.begin_order(&alices, Command::End), Ok(Answer::Done));
    world.run();
    assert_eq!(
        world.told(),
        [
            "bob: invited by alice \"Hi\"",
            "alice: SessionCancelled (SIP CANCEL)",
            "bob: SessionEnded (SIP BYE)",
        ]
    );
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_refusal_that_crosses_the_cancel_is_the_cancelled_session() {
    for code in [404, 480, 486, 491, 500, 302, 603] {
        let mut world = World::facing_far_end();
        let (alices, invite) = world.invite_far_end();
        world.far_end_answers(&invite, 180, &[], None);
        world.order(&alices, Command::End).expect("taken");
        world.far_end_answers(&invite, code, &[("Contact", "<sip:other@127.0.0.1:5090>")], None);
        let told = world.told();
        assert_eq!(told.len(), 1, "{code}: {told:?}");
        assert!(told[0].starts_with("alice: SessionCancelled"), "{code}: {told:?}");
        world.demand_rest();
        assert_eq!(world.told(), NOTHING);
    }
}

#[test]
fn a_cancel_that_nobody_answers_ends_the_session_all_the_same() {
    for provisional in [None, Some(180)] {
        let mut world = World::facing_far_end();
        let (alices, invite) = world.invite_far_end();
        if let Some(code) = provisional {
            world.far_end_answers(&invite, code, &[], None);
        }
        world.order(&alices, Command::End).expect("taken");
        world.wait(Duration::from_secs(33));
        assert_eq!(world.told(), ["alice: SessionCancelled (SIP CANCEL)"], "{provisional:?}");
        world.demand_rest();
        assert_eq!(world.told(), NOTHING);
    }
}

#[test]
fn between_a_491_and_the_next_invite_there_is_nothing_to_cancel() {
    let mut world = World::facing_far_end();
    let (alices, invite) = world.invite_far_end();
    world.far_end_answers(&invite, 491, &[], None);
    world.order(&alices, Command::End).expect("taken");
    assert_eq!(world.told(), ["alice: SessionCancelled (SIP CANCEL)"]);
    world.sent();
    world.demand_rest();
    assert_eq!((world.told(), world.sent()), (vec![], vec![]));
}

#[test]
fn after_a_cancel_no_further_target_is_tried() {
    let mut world = World::facing_far_end();
    let (alices, invite) = world.invite_far_end();
    let contacts = "<sip:one@127.0.0.1:5090>, <sip:two@127.0.0.1:5090>";
    world.far_end_answers(&invite, 302, &[("Contact", contacts)], None);
    let first = world.far_end_got(&Method::Invite);
    world.far_end_answers(&first, 180, &[], None);
    world.order(&alices, Command::End).expect("taken");
    world.sent();
    world.far_end_answers(&first, 486, &[], None);
    assert_eq!(world.told(), ["alice: SessionCancelled (SIP 486 Busy Here)"]);
    assert_eq!(world.sent(), ["far_end > bridge: 486 INVITE", "bridge > far_end: ACK"]);
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}
