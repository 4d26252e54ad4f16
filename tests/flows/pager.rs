//! Reports beside the session: SIP MESSAGE with disposition notifications, both ways, and no texts.

use std::time::Duration;

use chatbridge::chat::{Answer, Command, ReceivedStatus, Refusal, ReportRequest};
use chatbridge::ids::MessageId;
use chatbridge::sip::{Method, Status};

use crate::NOTHING;
use crate::world::{ALICE, BOB, World};

const ALICE_URI: &str = "sip:+19585550100@example.com;user=phone";
const BOB_URI: &str = "sip:+19585550101@example.com;user=phone";

const BOTH: ReportRequest = ReportRequest { delivered: true, displayed: true, failed: false };

#[test]
fn a_report_finds_its_message_while_the_session_runs_and_when_it_is_over() {
    let mut world = World::facing_far_end();
    let (session, invite) = world.talk_to_far_end();
    world.send(&session, "Hello", BOTH);
    world.told();
    world.far_end_pages(
        (BOB_URI, ALICE_URI),
        "message/cpim",
        &imdn("msg001", "delivery", "delivered"),
    );
    assert_eq!(world.far_end_heard(&Method::Message).status, Status::OK);
    assert_eq!(world.told(), ["alice: msg001 Delivered", "alice: MessageSuccess msg001"]);

    world.far_end_asks(&invite, (Method::Bye, 1), &[], None);
    assert_eq!(world.told(), ["alice: SessionEnded (SIP BYE)"]);
    for _ in 0..2 {
        let report = imdn("msg001", "display", "displayed");
        world.far_end_pages((BOB_URI, ALICE_URI), "message/cpim", &report);
        assert_eq!(world.far_end_heard(&Method::Message).status, Status::OK);
    }
    assert_eq!(world.told(), ["alice: msg001 Displayed"], "and once only");
    world.demand_rest();
    let report = imdn("msg001", "display", "displayed");
    world.far_end_pages((BOB_URI, ALICE_URI), "message/cpim", &report);
    assert_eq!(world.far_end_heard(&Method::Message).status, Status::OK);
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn only_the_other_side_reports_and_only_on_what_is_known() {
    let mut world = World::facing_far_end();
    let (session, _) = world.talk_to_far_end();
    world.send(&session, "Hello", BOTH);
    world.told();
    for (from, to, id) in [
        ("sip:mallory@far.example", ALICE_URI, "msg001"),
        (BOB_URI, ALICE_URI, "msg999"),
        (ALICE_URI, BOB_URI, "msg001"),
        (BOB_URI, "sip:nobody@example.com", "msg001"),
    ] {
        world.far_end_pages((from, to), "message/cpim", &imdn(id, "delivery", "delivered"));
        assert_eq!(world.far_end_heard(&Method::Message).status, Status::OK);
        assert_eq!(world.told(), NOTHING, "{from} {to} {id}");
    }
    // Whom the core does not name may be the one.
    let report = imdn("msg001", "delivery", "delivered");
    world.far_end_pages(("sip:anonymous@anonymous.invalid", ALICE_URI), "message/cpim", &report);
    assert_eq!(world.told(), ["alice: msg001 Delivered", "alice: MessageSuccess msg001"]);
}

#[test]
fn texts_do_not_come_beside_a_session() {
    let mut world = World::facing_far_end();
    world.talk_to_far_end();
    for (content_type, body) in [
        ("text/plain", "Hello"),
        ("message/cpim", "From: <sip:a@b>\r\n\r\nContent-Type: text/plain\r\n\r\nHello"),
        ("message/cpim", "nonsense"),
        ("application/octet-stream", "x"),
    ] {
        world.far_end_pages((BOB_URI, ALICE_URI), content_type, body);
        let answer = world.far_end_heard(&Method::Message);
        assert_eq!(answer.status, Status::METHOD_NOT_ALLOWED, "{content_type}");
        let allow = answer.headers.get("Allow").expect("an Allow");
        assert!(!allow.contains("MESSAGE"), "{allow}");
    }
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_user_who_reads_when_the_session_is_over_still_reports() {
    let mut world = World::facing_far_end();
    let (session, invite) = world.talk_to_far_end();
    world.far_end_says("message/cpim", WITH_REPORTS, false);
    let message = world.received(ALICE);
    world.told();
    world.far_end_asks(&invite, (Method::Bye, 1), &[], None);
    world.told();

    let displayed = |message: &MessageId| Command::Report {
        message: message.clone(),
        status: ReceivedStatus::Displayed,
    };
    let delivered = Command::Report { message: message.clone(), status: ReceivedStatus::Delivered };
    assert_eq!(world.order(&session, delivered), Ok(Answer::Done));
    assert_eq!(world.order(&session, displayed(&message)), Ok(Answer::Done));
    assert_eq!(world.order(&session, displayed(&message)), Ok(Answer::Done));
    let unknown = MessageId::new("unknown");
    assert_eq!(world.order(&session, displayed(&unknown)), Err(Refusal::NoMessage));

    let first = world.far_end_got(&Method::Message);
    assert_eq!(first.uri.as_str(), BOB_URI);
    assert_eq!(first.content_type(), Some("message/cpim"));
    let body = String::from_utf8_lossy(&first.body).into_owned();
    assert!(
        body.contains("<message-id>wire1</message-id>") && body.contains("<delivered/>"),
        "{body}"
    );
    assert!(world.far_end.is_empty(), "one at a time: RFC 3428 section 8");
    world.far_end_answers(&first, 200, &[], None);
    let second = world.far_end_got(&Method::Message);
    assert!(String::from_utf8_lossy(&second.body).contains("<displayed/>"));
    world.far_end_answers(&second, 404, &[], None);
    assert!(world.far_end.is_empty());
    assert_eq!(world.told(), NOTHING);
    world.demand_rest();
    assert_eq!(world.order(&session, displayed(&message)), Err(Refusal::NoSession));
}

#[test]
fn a_report_goes_beside_a_session_that_the_other_side_has_left() {
    let mut world = World::facing_far_end();
    let (session, invite) = world.talk_to_far_end();
    world.far_end_says("message/cpim", WITH_REPORTS, false);
    let message = world.received(ALICE);
    world.far_msrp_code = None;
    world.send(&session, "unanswered", ReportRequest::default());
    world.far_end_asks(&invite, (Method::Bye, 1), &[], None);
    let report = Command::Report { message, status: ReceivedStatus::Displayed };
    assert_eq!(world.order(&session, report), Ok(Answer::Done));
    let page = world.far_end_got(&Method::Message);
    assert!(String::from_utf8_lossy(&page.body).contains("<displayed/>"));
    world.far_end_answers(&page, 200, &[], None);
    world.demand_rest();
}

#[test]
fn a_report_that_nobody_answers_keeps_nobody() {
    let mut world = World::facing_far_end();
    let (session, invite) = world.talk_to_far_end();
    world.far_end_says("message/cpim", WITH_REPORTS, false);
    let message = world.received(ALICE);
    world.far_end_asks(&invite, (Method::Bye, 1), &[], None);
    world.wait(Duration::from_secs(50));
    let report = Command::Report { message, status: ReceivedStatus::Displayed };
    assert_eq!(world.order(&session, report), Ok(Answer::Done));
    world.demand_rest();
}

#[test]
fn users_of_one_server_report_through_it_or_not_at_all() {
    let mut world = World::new();
    let (alices, bobs) = world.connect_users();
    world.send(&alices, "Hello", BOTH);
    let message = world.received(BOB);
    world.order(&alices, Command::End).expect("ended");
    world.told();
    let report = Command::Report { message, status: ReceivedStatus::Displayed };
    assert_eq!(world.order(&bobs, report), Ok(Answer::Done));
    world.demand_rest();
}

fn imdn(message_id: &str, kind: &str, status: &str) -> String {
    format!(
        "From: <sip:bob@example.com>\r\nTo: <sip:alice@example.com>\r\n\
         NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: n1\r\n\r\n\
         Content-Type: message/imdn+xml\r\nContent-Disposition: notification\r\n\r\n\
         <imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>{message_id}</message-id>\
         <datetime>2026-01-02T03:04:05Z</datetime>\
         <{kind}-notification><status><{status}/></status></{kind}-notification></imdn>"
    )
}

const WITH_REPORTS: &str = "From: <sip:bob@example.com>\r\nTo: <sip:alice@example.com>\r\n\
    NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: wire1\r\n\
    DateTime: 2026-01-02T03:04:05Z\r\n\
    imdn.Disposition-Notification: positive-delivery, display\r\n\r\n\
    Content-Type: text/plain\r\n\r\nHello";
