//! TS Chat 5.3.2: starting a 1-1 chat.

use std::time::Duration;

use chatbridge::chat::{Answer, Command, ParticipantStatus};
use chatbridge::ids::SessionId;

use crate::NOTHING;
use crate::world::{ALICE, BOB, World};

#[test]
fn the_participant_accepts() {
    let mut world = World::new();
    let alices = world.invite(ALICE, BOB, "Hi");
    assert_eq!(world.told_but_kept(), ["bob: invited by alice \"Hi\""]);
    assert_eq!(
        world.sent(),
        [
            "bridge > im_server: INVITE",
            "im_server > bridge: 100 INVITE",
            "im_server > bridge: INVITE",
            "bridge > im_server: 100 INVITE",
            "bridge > im_server: 180 INVITE",
            "im_server > bridge: 180 INVITE",
        ]
    );
    assert_eq!(status(&mut world, &alices), ParticipantStatus::Invited);

    let bobs = world.invited(BOB);
    assert_eq!(world.order(&bobs, Command::Accept), Ok(Answer::Done));
    assert_eq!(world.told(), ["bob: invited by alice \"Hi\"", "alice: Accepted (SIP 200 OK)"]);
    assert_eq!(
        world.sent(),
        [
            "msrp bob > alice: SEND",
            "bridge > im_server: 200 INVITE",
            "im_server > bridge: 200 INVITE",
            "msrp alice > bob: 200",
            "bridge > im_server: ACK",
            "im_server > bridge: ACK",
        ]
    );
    assert_eq!(status(&mut world, &alices), ParticipantStatus::Connected);
    assert_eq!(status(&mut world, &bobs), ParticipantStatus::Connected);

    world.wait(Duration::from_secs(24 * 3600));
    assert_eq!((world.told(), world.sent()), (vec![], vec![]), "a chat lasts as long as it lasts");
    assert_eq!(world.sessions(), [alices, bobs]);
}

#[test]
fn the_participant_declines() {
    let mut world = World::new();
    let alices = world.invite(ALICE, BOB, "Hi");
    let bobs = world.invited(BOB);
    world.sent();
    assert_eq!(world.order(&bobs, Command::Decline), Ok(Answer::Done));
    assert_eq!(
        world.told(),
        [
            "bob: invited by alice \"Hi\"",
            "bob: SessionEnded (declined by the user)",
            "alice: Declined (SIP 480 Temporarily Unavailable)",
        ]
    );
    assert_eq!(
        world.sent(),
        [
            "bridge > im_server: 480 INVITE",
            "im_server > bridge: ACK",
            "im_server > bridge: 480 INVITE",
            "bridge > im_server: ACK",
        ]
    );
    assert!(world.order(&alices, Command::Describe).is_err(), "the session is torn down");
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn the_participant_has_no_client() {
    let mut world = World::new();
    world.unsubscribe(BOB);
    world.invite(ALICE, BOB, "Hi");
    assert_eq!(world.told(), ["alice: Declined (SIP 480 Temporarily Unavailable)"]);
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn the_participant_does_not_react() {
    let mut world = World::new();
    world.invite(ALICE, BOB, "Hi");
    assert_eq!(world.told(), ["bob: invited by alice \"Hi\""]);
    world.wait(Duration::from_millis(179_999));
    assert_eq!(world.told(), NOTHING);
    world.wait(Duration::from_millis(1));
    assert_eq!(
        world.told(),
        ["alice: SessionEnded (timeout invitation)", "bob: SessionEnded (timeout invitation)"]
    );
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn neither_the_participant_nor_the_other_server_react() {
    let mut world = World::new();
    world.invite(ALICE, BOB, "Hi");
    world.lose_all_sip();
    world.told();
    world.wait(Duration::from_secs(180));
    let mut told = world.told();
    told.sort();
    assert_eq!(
        told,
        ["alice: SessionEnded (timeout invitation)", "bob: SessionEnded (timeout invitation)"]
    );
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn the_participant_is_unknown_or_not_registered() {
    let mut world = World::with_im_server(|settings| settings.create_users = false);
    world.invite(ALICE, "tel:+19585550199", "Hi");
    assert_eq!(world.told(), ["alice: SessionEnded (SIP 404 Not Found)"]);
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);

    let mut world = World::with_im_server(|settings| settings.home = None);
    world.invite(ALICE, BOB, "Hi");
    assert_eq!(world.told(), ["alice: Declined (SIP 480 Temporarily Unavailable)"]);
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_user_may_chat_with_oneself() {
    let mut world = World::new();
    world.invite(ALICE, ALICE, "Note");
    let invited = world.invited(ALICE);
    world.order(&invited, Command::Accept).expect("accepted");
    assert_eq!(world.told(), ["alice: invited by alice \"Note\"", "alice: Accepted (SIP 200 OK)"]);
}

#[test]
fn two_users_may_invite_each_other_at_the_same_time() {
    let mut world = World::new();
    world.invite(ALICE, BOB, "Hi");
    world.invite(BOB, ALICE, "Ho");
    let (bobs, alices) = (world.invited(BOB), world.invited(ALICE));
    for session in [&bobs, &alices] {
        world.order(session, Command::Accept).expect("accepted");
    }
    assert_eq!(
        world.told(),
        [
            "bob: invited by alice \"Hi\"",
            "alice: invited by bob \"Ho\"",
            "alice: Accepted (SIP 200 OK)",
            "bob: Accepted (SIP 200 OK)",
        ]
    );
    assert_eq!(world.sessions().len(), 4);
}

fn status(world: &mut World, session: &SessionId) -> ParticipantStatus {
    match world.order(session, Command::Describe) {
        Ok(Answer::Session(info)) => info.status,
        other => panic!("{other:?}"),
    }
}
