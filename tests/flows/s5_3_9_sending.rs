//! TS Chat 5.3.9: sending a chat message.

use std::time::Duration;

use chatbridge::bridge::delivery::SuccessOn;
use chatbridge::chat::{Command, ReceivedStatus, ReportRequest};

use crate::NOTHING;
use crate::world::{ALICE, BOB, World};

#[test]
fn no_report_is_requested() {
    let mut world = World::new();
    let (alices, bobs) = world.connect_users();
    world.send(&alices, "Hello", ReportRequest::default());
    assert_eq!(world.sent(), ["msrp alice > bob: SEND message/cpim", "msrp bob > alice: 200"]);
    let message = world.received(BOB);
    assert_eq!(world.told(), ["alice: \"Hello\" from alice (echo)", "bob: \"Hello\" from alice"]);
    // A report that nobody asked for goes nowhere.
    for status in [ReceivedStatus::Delivered, ReceivedStatus::Displayed] {
        let command = Command::Report { message: message.clone(), status };
        world.order(&bobs, command).expect("taken");
    }
    assert_eq!((world.told(), world.sent()), (vec![], vec![]));
}

#[test]
fn delivery_is_reported() {
    let mut world = World::new();
    let (alices, bobs) = world.connect_users();
    world.send(&alices, "Hello", DELIVERED);
    let message = world.received(BOB);
    assert_eq!(
        world.told(),
        ["alice: \"Hello\" from alice (echo)", "bob: \"Hello\" from alice, wants Delivered"]
    );
    world.sent();
    let report = Command::Report { message, status: ReceivedStatus::Delivered };
    for _ in 0..2 {
        world.order(&bobs, report.clone()).expect("taken");
    }
    assert_eq!(world.told(), ["alice: msg001 Delivered", "alice: MessageSuccess msg001"]);
    assert_eq!(
        world.sent(),
        ["msrp bob > alice: SEND message/cpim", "msrp alice > bob: 200"],
        "a report is told once"
    );
}

#[test]
fn delivery_and_display_are_reported_in_this_order() {
    let mut world = World::new();
    let (alices, bobs) = world.connect_users();
    for statuses in [
        &[ReceivedStatus::Delivered, ReceivedStatus::Displayed][..],
        &[ReceivedStatus::Displayed, ReceivedStatus::Delivered],
        &[ReceivedStatus::Displayed],
    ] {
        let id = world.send(&alices, "Hello", BOTH);
        let message = world.received(BOB);
        world.told();
        for &status in statuses {
            let report = Command::Report { message: message.clone(), status };
            world.order(&bobs, report).expect("taken");
        }
        assert_eq!(
            world.told(),
            [
                format!("alice: {id} Delivered"),
                format!("alice: MessageSuccess {id}"),
                format!("alice: {id} Displayed"),
            ],
            "{statuses:?}"
        );
    }
}

#[test]
fn display_alone_is_reported_as_such() {
    let mut world = World::new();
    let (alices, bobs) = world.connect_users();
    world.send(&alices, "Hello", ReportRequest { delivered: false, ..BOTH });
    let message = world.received(BOB);
    world.told();
    let report = Command::Report { message, status: ReceivedStatus::Displayed };
    world.order(&bobs, report).expect("taken");
    assert_eq!(world.told(), ["alice: MessageSuccess msg001", "alice: msg001 Displayed"]);
}

#[test]
fn the_next_hop_counts_where_the_configuration_says_so() {
    let mut world = World::with(|settings| settings.success_on = SuccessOn::Hop);
    let (alices, _) = world.connect_users();
    world.send(&alices, "Hello", DELIVERED);
    assert_eq!(
        world.told(),
        [
            "alice: \"Hello\" from alice (echo)",
            "bob: \"Hello\" from alice, wants Delivered",
            "alice: msg001 Delivered",
            "alice: MessageSuccess msg001",
        ]
    );
}

#[test]
fn messages_that_come_before_the_answer_follow_it_in_order() {
    let mut world = World::new();
    let alices = world.invite(ALICE, BOB, "Hi");
    for text in ["one", "two", "three"] {
        world.send(&alices, text, ReportRequest::default());
    }
    let bobs = world.invited(BOB);
    assert_eq!(
        world.told(),
        [
            "bob: invited by alice \"Hi\"",
            "alice: \"one\" from alice (echo)",
            "alice: \"two\" from alice (echo)",
            "alice: \"three\" from alice (echo)",
        ]
    );
    world.order(&bobs, Command::Accept).expect("accepted");
    assert_eq!(
        world.told(),
        [
            "alice: Accepted (SIP 200 OK)",
            "bob: \"one\" from alice",
            "bob: \"two\" from alice",
            "bob: \"three\" from alice",
        ]
    );
}

#[test]
fn a_message_that_overtakes_the_answer_is_told_behind_it() {
    let mut world = World::new();
    world.invite(ALICE, BOB, "Hi");
    let bobs = world.invited(BOB);
    world.lose_all_sip();
    world.order(&bobs, Command::Accept).expect("accepted");
    world.send(&bobs, "quick", ReportRequest::default());
    // Bob's side does not wait for ever for the answer to its first SEND.
    world.wait(Duration::from_secs(6));
    assert!(world.sent().contains(&"msrp bob > alice: SEND message/cpim".to_owned()));
    assert_eq!(world.told(), ["bob: invited by alice \"Hi\"", "bob: \"quick\" from bob (echo)"]);
    world.weather = None;
    world.wait(Duration::from_secs(2));
    assert_eq!(world.told(), ["alice: Accepted (SIP 200 OK)", "alice: \"quick\" from bob"]);
}

#[test]
fn messages_that_come_before_a_refusal_have_failed() {
    let mut world = World::new();
    let alices = world.invite(ALICE, BOB, "Hi");
    world.send(&alices, "one", ReportRequest::default());
    let bobs = world.invited(BOB);
    world.told();
    world.order(&bobs, Command::Decline).expect("declined");
    assert_eq!(
        world.told(),
        [
            "bob: SessionEnded (declined by the user)",
            "alice: msg001 Failed 481",
            "alice: MessageFailure msg001 (MSRP 481 the session has ended)",
            "alice: Declined (SIP 480 Temporarily Unavailable)",
        ]
    );
}

#[test]
fn the_echo_is_off_where_the_configuration_says_so() {
    let mut world = World::with(|settings| settings.echo = false);
    let (alices, bobs) = world.connect_users();
    world.send(&alices, "Hello", ReportRequest::default());
    world.send(&bobs, "Hi", ReportRequest::default());
    assert_eq!(world.told(), ["bob: \"Hello\" from alice", "alice: \"Hi\" from bob"]);
}

#[test]
fn a_long_message_arrives_in_one_piece() {
    let mut world = World::new();
    let (alices, _) = world.connect_users();
    let text = "Grüße, ".repeat(10_000);
    world.send(&alices, &text, ReportRequest::default());
    let told = world.told();
    assert_eq!(told.len(), 2);
    assert_eq!(told[1], format!("bob: \"{text}\" from alice"));
}

#[test]
fn a_message_without_an_answer_has_failed_after_30_s() {
    let mut world = World::facing_far_end();
    let (session, _) = world.talk_to_far_end();
    world.far_msrp_code = None;
    world.send(&session, "anybody?", DELIVERED);
    world.told();
    world.wait(Duration::from_secs(29));
    assert_eq!(world.told(), NOTHING);
    world.wait(Duration::from_secs(1));
    let failed = "alice: MessageFailure msg001";
    let told = world.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], "alice: msg001 Failed 408");
    assert!(told[1].starts_with(failed), "{told:?}");
}

const DELIVERED: ReportRequest = ReportRequest { delivered: true, displayed: false, failed: false };
const BOTH: ReportRequest = ReportRequest { delivered: true, displayed: true, failed: false };
