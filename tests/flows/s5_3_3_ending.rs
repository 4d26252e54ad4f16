//! TS Chat 5.3.3: ending a 1-1 chat session.

use std::time::Duration;

use chatbridge::chat::{Answer, Command, Composing, ReceivedStatus, Refusal, ReportRequest};
use chatbridge::sip::Method;

use crate::NOTHING;
use crate::world::{ALICE, BOB, World};

#[test]
fn the_originator_ends_the_session() {
    let mut world = World::new();
    let (alices, bobs) = world.connect_users();
    assert_eq!(world.order(&alices, Command::End), Ok(Answer::Done));
    assert_eq!(
        world.told(),
        [
            "alice: SessionEnded (SIP BYE)",
            r#"bob: SessionEnded (SIP BYE; Reason: SIP;cause=200;text="Call completed")"#,
        ]
    );
    assert_eq!(
        world.sent(),
        [
            "bridge > im_server: BYE (SIP;cause=200)",
            "im_server > bridge: BYE (SIP;cause=200)",
            "bridge > im_server: 200 BYE",
            "im_server > bridge: 200 BYE",
        ]
    );
    for session in [&alices, &bobs] {
        assert_eq!(world.order(session, Command::Describe), Err(Refusal::NoSession));
        assert_eq!(world.order(session, Command::End), Err(Refusal::NoSession));
    }
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_message_right_before_the_end_is_not_lost() {
    let mut world = World::new();
    let (alices, _) = world.connect_users();
    let (message, taken) =
        world.begin_sending(&alices, "Bye, Bob", ReportRequest { failed: true, ..ASKED });
    assert_eq!(taken, Ok(Answer::Done));
    assert_eq!(world.begin_order(&alices, Command::End), Ok(Answer::Done));
    let late = world.begin_sending(&alices, "and", ReportRequest::default()).1;
    assert!(matches!(late, Err(Refusal::WrongState { .. })), "{late:?}");
    world.run();
    assert_eq!(message.as_str(), "msg001");
    assert_eq!(
        world.told(),
        [
            "alice: \"Bye, Bob\" from alice (echo)",
            "bob: \"Bye, Bob\" from alice, wants Delivered",
            "alice: SessionEnded (SIP BYE)",
            r#"bob: SessionEnded (SIP BYE; Reason: SIP;cause=200;text="Call completed")"#,
        ]
    );
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn both_sides_end_the_session_at_the_same_time() {
    let mut world = World::new();
    let (alices, bobs) = world.connect_users();
    for session in [&alices, &bobs] {
        assert_eq!(world.begin_order(session, Command::End), Ok(Answer::Done));
    }
    world.run();
    assert_eq!(world.told(), ["alice: SessionEnded (SIP BYE)", "bob: SessionEnded (SIP BYE)"]);
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn the_bridge_stops() {
    let mut world = World::new();
    world.connect_users();
    world.stop();
    assert_eq!(
        world.told(),
        ["alice: SessionEnded (bridge shutting down)", "bob: SessionEnded (bridge shutting down)"]
    );
    assert_eq!(
        world.sent(),
        [
            "bridge > im_server: BYE (SIP;cause=480)",
            "bridge > im_server: BYE (SIP;cause=480)",
            "im_server > bridge: BYE (SIP;cause=480)",
            "im_server > bridge: BYE (SIP;cause=480)",
            "bridge > im_server: 200 BYE",
            "bridge > im_server: 200 BYE",
            "im_server > bridge: 200 BYE",
            "im_server > bridge: 200 BYE",
        ]
    );
    assert_eq!(world.sessions(), [], "nobody is waited for any longer than for the answer");
}

/// What has perhaps arrived is not told as failed before its answer has had time to come.
#[test]
fn a_bridge_that_stops_hears_the_last_answers() {
    const END: &str = "alice: SessionEnded (bridge shutting down)";
    const FAILED: [&str; 2] = [
        "alice: msg001 Failed 408",
        "alice: MessageFailure msg001 (MSRP 408 the session was closed)",
    ];
    for is_answered in [true, false] {
        let mut world = World::facing_far_end();
        let (session, _) = world.talk_to_far_end();
        world.far_msrp_code = None;
        world.send(&session, "last", ReportRequest::default());
        world.told();
        world.stop();
        assert_eq!(world.told(), NOTHING);
        let is_bye = |cseq: chatbridge::sip::CSeq| cseq.method == Method::Bye;
        assert!(!world.far_end.iter().any(|message| message.cseq().is_ok_and(is_bye)));
        let late = world.begin_sending(&session, "later", ReportRequest::default()).1;
        assert!(matches!(late, Err(Refusal::Unavailable { .. })), "{late:?}");
        match is_answered {
            true => {
                let last = world.far_end_read();
                world.far_end_takes(&last);
                assert_eq!(world.told(), [END]);
            }
            false => {
                world.wait(Duration::from_secs(2));
                assert_eq!(world.told(), [FAILED[0], FAILED[1], END]);
            }
        }
        let bye = world.far_end_got(&Method::Bye);
        assert!(bye.headers.get("Reason").is_some_and(|reason| reason.contains("cause=480")));
        world.far_end_answers(&bye, 200, &[], None);
        assert_eq!(world.sessions(), []);
    }
}

#[test]
fn a_bridge_that_stops_declines_nothing_in_the_name_of_its_users() {
    let mut world = World::new();
    let alices = world.invite(ALICE, BOB, "Hi");
    let bobs = world.invited(BOB);
    assert_eq!(world.told(), ["bob: invited by alice \"Hi\""]);
    // Bob's side hears of the stop first, and its answer overtakes the news for Alice's side.
    world.begin_stopping(&bobs);
    world.run();
    world.begin_stopping(&alices);
    world.run();
    assert_eq!(
        world.told(),
        [
            "bob: SessionEnded (bridge shutting down)",
            "alice: SessionEnded (SIP 500 Server Internal Error)",
        ]
    );
    assert_eq!(world.sessions(), []);
}

#[test]
fn the_bridge_stops_while_nobody_is_to_be_waited_for() {
    let mut world = World::facing_far_end();
    let (_, invite) = world.invite_far_end();
    world.far_end_answers(&invite, 491, &[], None);
    world.stop();
    assert_eq!(world.told(), ["alice: SessionEnded (bridge shutting down)"]);
    assert_eq!(world.sessions(), [], "between two INVITEs there is nothing to cancel");
}

#[test]
fn a_session_that_is_being_left_is_not_there_any_more() {
    let mut world = World::facing_far_end();
    let (session, _) = world.talk_to_far_end();
    world.far_end_says("text/plain", "Hello", true);
    let message = world.received(ALICE);
    world.far_msrp_code = None;
    world.send(&session, "unanswered", ASKED);
    assert_eq!(world.order(&session, Command::End), Ok(Answer::Done));
    for command in [Command::End, Command::Describe] {
        assert_eq!(world.order(&session, command), Err(Refusal::NoSession));
    }
    let status = ReceivedStatus::Delivered;
    for command in [Command::Compose(Composing::idle()), Command::Report { message, status }] {
        let refused = world.order(&session, command);
        assert!(matches!(refused, Err(Refusal::WrongState { .. })), "{refused:?}");
    }
    world.demand_rest();
}

const ASKED: ReportRequest = ReportRequest { delivered: true, displayed: false, failed: false };
