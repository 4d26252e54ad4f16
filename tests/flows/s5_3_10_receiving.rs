//! TS Chat 5.3.10: receiving a chat message and confirming message delivery success.

use chatbridge::chat::{Command, ReceivedStatus, Refusal, ReportRequest};
use chatbridge::ids::MessageId;

use crate::NOTHING;
use crate::world::{ALICE, BOB, World};

#[test]
fn a_message_is_confirmed_with_its_senders_id() {
    let mut world = World::facing_far_end();
    let (session, _) = world.talk_to_far_end();
    world.far_end_says("message/cpim", CPIM, false);
    let message = world.received(ALICE);
    assert_eq!(world.told(), ["alice: \"Hello\" from bob, wants Delivered and Displayed"]);
    assert_eq!(
        world.sent(),
        ["msrp far_end > alice: SEND message/cpim", "msrp alice > far_end: 200"]
    );
    world.far_frames.clear();

    let report = Command::Report { message, status: ReceivedStatus::Delivered };
    world.order(&session, report).expect("taken");
    let notification = world.far_end_read();
    let body = String::from_utf8_lossy(notification.body.as_ref().expect("a body")).into_owned();
    for expected in [
        "message/imdn+xml",
        "Content-Disposition: notification",
        "<message-id>wire1</message-id>",
        "<delivered/>",
        "2026-01-02T03:04:05Z",
    ] {
        assert!(body.contains(expected), "no {expected} in {body}");
    }
    assert!(!body.contains("positive-delivery"), "a report asks for no report: {body}");
}

#[test]
fn a_message_that_asks_for_nothing_is_not_confirmed() {
    let mut world = World::facing_far_end();
    let (session, _) = world.talk_to_far_end();
    world.far_end_says("text/plain", "bare", false);
    let message = world.received(ALICE);
    assert_eq!(world.told(), ["alice: \"bare\" from bob"]);
    world.sent();
    let report = Command::Report { message, status: ReceivedStatus::Displayed };
    world.order(&session, report).expect("taken");
    assert_eq!(world.sent(), NOTHING);
}

#[test]
fn a_success_report_is_written_by_msrp() {
    let mut world = World::facing_far_end();
    world.talk_to_far_end();
    world.far_end_says("text/plain", "bare", true);
    assert_eq!(world.told(), ["alice: \"bare\" from bob, wants Delivered"]);
    assert_eq!(
        world.sent(),
        [
            "msrp far_end > alice: SEND text/plain",
            "msrp alice > far_end: 200",
            "msrp alice > far_end: REPORT 200",
        ]
    );
}

#[test]
fn a_message_sent_twice_is_told_once() {
    let mut world = World::facing_far_end();
    world.talk_to_far_end();
    world.far_end_says("message/cpim", CPIM, false);
    world.far_end_says("message/cpim", CPIM, false);
    assert_eq!(world.told(), ["alice: \"Hello\" from bob, wants Delivered and Displayed"]);
}

#[test]
fn nobody_confirms_what_is_not_there() {
    let mut world = World::new();
    let (alices, bobs) = world.connect_users();
    let sent = world.send(&alices, "Hello", ReportRequest::default());
    let received = world.received(BOB);
    let status = ReceivedStatus::Delivered;
    for (session, message) in
        [(&bobs, MessageId::new("no such")), (&alices, sent), (&alices, received.clone())]
    {
        let refused = world.order(session, Command::Report { message, status });
        assert_eq!(refused, Err(Refusal::NoMessage));
    }
    world.order(&alices, Command::End).expect("taken");
    world.demand_rest();
    let late = world.order(&bobs, Command::Report { message: received, status });
    assert_eq!(late, Err(Refusal::NoSession));
}

#[test]
fn what_is_no_message_is_not_told() {
    let mut world = World::facing_far_end();
    world.talk_to_far_end();
    for (content_type, body, answers) in [
        ("image/png", "x", &["415"][..]),
        ("message/cpim", "no headers at all", &["200", "REPORT 400"]),
        (
            "message/cpim",
            "From: <sip:a@b>\r\n\r\nContent-Type: image/png\r\n\r\nx",
            &["200", "REPORT 415"],
        ),
        ("application/im-iscomposing+xml", "<isComposing>", &["200"]),
        ("text/plain", "", &["200"]),
    ] {
        world.far_end_says(content_type, body, false);
        assert_eq!(world.told(), NOTHING, "{content_type}");
        let mut expected = vec![format!("msrp far_end > alice: SEND {content_type}")];
        expected.extend(answers.iter().map(|answer| format!("msrp alice > far_end: {answer}")));
        assert_eq!(world.sent(), expected);
    }
}

const CPIM: &str = "From: <sip:bob@example.com>\r\nTo: <sip:alice@example.com>\r\n\
    NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: wire1\r\n\
    DateTime: 2026-01-02T03:04:05Z\r\n\
    imdn.Disposition-Notification: positive-delivery, display\r\n\r\n\
    Content-Type: text/plain\r\n\r\nHello";
