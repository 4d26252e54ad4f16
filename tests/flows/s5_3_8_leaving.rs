//! TS Chat 5.3.8.2: leaving a 1-1 chat session; a re-join needs a new session.

use std::time::Duration;

use chatbridge::chat::{Answer, Command, Refusal, ReportRequest};
use chatbridge::ids::SessionId;
use chatbridge::sip::Method;

use crate::NOTHING;
use crate::world::{ALICE, BOB, World, address};

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
    world.send(&session, "anybody?", ReportRequest::default());
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

#[test]
fn the_answer_to_a_message_may_come_after_the_bye() {
    let (mut world, _) = left_without_an_answer();
    let bye = world.far_end_heard(&Method::Bye);
    assert_eq!(bye.status.code(), 200, "the BYE is answered at once");
    let message = world.far_end_read();
    world.far_end_takes(&message);
    assert_eq!(world.told(), ["alice: SessionEnded (SIP BYE)"], "the message has not failed");
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_message_that_the_bye_has_overtaken_is_told_before_the_end() {
    let (mut world, _) = left_without_an_answer();
    world.far_end_says("text/plain", "Bye, Alice", false);
    assert_eq!(world.told(), ["alice: \"Bye, Alice\" from bob"]);
    let message = world.far_end_read();
    world.far_end_takes(&message);
    assert_eq!(world.told(), ["alice: SessionEnded (SIP BYE)"]);
    world.demand_rest();
}

#[test]
fn who_was_left_waits_only_so_long_for_the_last_answer() {
    let (mut world, _) = left_without_an_answer();
    world.wait(Duration::from_secs(2));
    assert_eq!(world.told(), failed_and_ended("the session was closed"));
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn who_was_left_waits_no_longer_than_the_connection_stands() {
    let (mut world, _) = left_without_an_answer();
    world.cut_msrp();
    assert_eq!(world.told(), failed_and_ended("the connection is lost"));
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn who_was_left_waits_no_longer_than_the_bridge_runs() {
    let (mut world, _) = left_without_an_answer();
    world.stop();
    assert_eq!(world.told(), failed_and_ended("the session was closed"));
    assert_eq!(world.sessions(), []);
}

/// Who leaves has left, whatever the server does meanwhile.
#[test]
fn who_leaves_while_the_bridge_stops_leaves_all_the_same() {
    for is_answered in [true, false] {
        let mut world = World::facing_far_end();
        world.change(|settings| settings.leave_wait = Duration::from_secs(20));
        let (session, _) = world.talk_to_far_end();
        world.far_msrp_code = None;
        world.send(&session, "bye then", ReportRequest::default());
        world.order(&session, Command::End).expect("taken");
        world.told();
        world.stop();
        assert_eq!(world.told(), NOTHING);
        match is_answered {
            true => {
                let frame = world.far_end_read();
                world.far_end_takes(&frame);
            }
            false => world.wait(Duration::from_secs(2)),
        }
        let told = world.told();
        assert_eq!(told.last().map(String::as_str), Some("alice: SessionEnded (SIP BYE)"));
        let bye = world.far_end_got(&Method::Bye);
        assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=200;text=\"Call completed\""));
        world.far_end_answers(&bye, 200, &[], None);
        assert_eq!(world.sessions(), []);
    }
}

/// A server that stops waits for the last answers: until then the session is there, and takes nothing
/// new; who leaves it has left.
#[test]
fn while_the_bridge_stops_a_user_may_leave_and_say_nothing_more() {
    let mut world = World::facing_far_end();
    world.change(|settings| settings.leave_wait = Duration::from_secs(20));
    let (session, _) = world.talk_to_far_end();
    world.far_msrp_code = None;
    world.send(&session, "bye then", ReportRequest::default());
    world.told();
    world.stop();
    assert!(matches!(world.order(&session, Command::Describe), Ok(Answer::Session(_))));
    let (_, late) = world.begin_sending(&session, "late", ReportRequest::default());
    assert!(matches!(late, Err(Refusal::Unavailable { .. })), "{late:?}");
    let group = SessionId::new("group".to_owned());
    let extend = world.order(&session, Command::Extend { to: group });
    assert!(matches!(extend, Err(Refusal::Unavailable { .. })), "{extend:?}");
    assert_eq!(world.order(&session, Command::End), Ok(Answer::Done));
    for command in [Command::End, Command::Describe] {
        assert_eq!(world.order(&session, command), Err(Refusal::NoSession));
    }
    assert_eq!(world.told(), NOTHING);
    world.wait(Duration::from_secs(2));
    let told = world.told();
    assert_eq!(told.last().map(String::as_str), Some("alice: SessionEnded (SIP BYE)"));
    let bye = world.far_end_got(&Method::Bye);
    assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=200;text=\"Call completed\""));
}

/// The peer has said goodbye: there is nobody to say it to.
#[test]
fn who_was_left_loses_no_core_any_more() {
    let (mut world, _) = left_without_an_answer();
    world.lose_core(&address(ALICE));
    world.run();
    assert_eq!(world.told(), failed_and_ended("the session was closed"));
    assert_eq!(world.far_end_heard(&Method::Bye).status.code(), 200);
    assert!(world.far_end.is_empty(), "no BYE of ours");
    world.stop();
    assert_eq!(world.told(), NOTHING);
    assert_eq!(world.sessions(), [], "nothing is waited for");
}

#[test]
fn a_session_that_the_peer_has_left_is_not_there_any_more() {
    let (mut world, session) = left_without_an_answer();
    for command in [Command::End, Command::Describe] {
        assert_eq!(world.order(&session, command), Err(Refusal::NoSession));
    }
    let (_, late) = world.begin_sending(&session, "late", ReportRequest::default());
    assert!(matches!(late, Err(Refusal::WrongState { .. })), "{late:?}");
    world.demand_rest();
}

/// The far end says BYE to Alice, whose message it has not answered.
fn left_without_an_answer() -> (World, SessionId) {
    let mut world = World::facing_far_end();
    let (session, invite) = world.talk_to_far_end();
    world.far_msrp_code = None;
    world.send(&session, "there?", ReportRequest::default());
    assert_eq!(world.told(), ["alice: \"there?\" from alice (echo)"]);
    world.far_end_asks(&invite, (Method::Bye, 1), &[], None);
    assert_eq!(world.told(), NOTHING, "the answer may be on its way");
    (world, session)
}

fn failed_and_ended(why: &str) -> [String; 3] {
    [
        "alice: msg001 Failed 408".to_owned(),
        format!("alice: MessageFailure msg001 (MSRP 408 {why})"),
        "alice: SessionEnded (SIP BYE)".to_owned(),
    ]
}
