//! The MSRP side: peers without CPIM, error codes, lost connections.

use std::time::Duration;

use chatbridge::chat::{Command, ReceivedStatus, Refusal, ReportRequest};
use chatbridge::sip::Method;

use crate::NOTHING;
use crate::far_end::sdp;
use crate::world::{ALICE, World};

#[test]
fn a_peer_that_takes_only_plain_text_gets_plain_text() {
    let mut world = World::facing_far_end();
    let (session, invite) = world.invite_far_end();
    world.send(&session, "early", DELIVERED);
    let plain = sdp(2900, "text/plain", "passive");
    world.far_end_answers(&invite, 200, &[], Some(("application/sdp", &plain)));
    assert_eq!(
        world.told(),
        ["alice: \"early\" from alice (echo)", "alice: Accepted (SIP 200 OK)"]
    );
    let early = world.far_end_read();
    assert_eq!(early.body.as_deref(), Some(&b"early"[..]));
    assert_eq!(early.success_report, Some(true));
    assert!(early.content_type.as_ref().is_some_and(|it| it.as_str().starts_with("text/plain")));

    world.far_end_reports(&early, 200);
    assert_eq!(world.told(), ["alice: msg001 Delivered", "alice: MessageSuccess msg001"]);
    world.far_end_reports(&early, 200);
    assert_eq!(world.told(), NOTHING, "told once");

    world.send(&session, "Grüße", ReportRequest::default());
    let unasked = world.far_end_read();
    assert_eq!(unasked.body.as_deref(), Some("Grüße".as_bytes()));
    assert_ne!(unasked.success_report, Some(true));
    world.told();

    world.far_end_says("text/plain", "back", false);
    let message = world.received(ALICE);
    assert_eq!(world.told(), ["alice: \"back\" from bob"]);
    world
        .order(&session, Command::Report { message, status: ReceivedStatus::Displayed })
        .expect("taken");
}

#[test]
fn an_msrp_error_is_one_final_status() {
    for (code, told) in [
        (400, "MSRP 400 Bad Request"),
        (403, "MSRP 403 Forbidden"),
        (408, "MSRP 408 Timeout"),
        (413, "MSRP 413 Stop Sending Message"),
        (415, "MSRP 415 Unsupported Media Type"),
        (423, "MSRP 423 Parameter Out Of Bounds"),
        (501, "MSRP 501 Unknown Method"),
        (599, "MSRP 599"),
    ] {
        let mut world = World::facing_far_end();
        let (session, _) = world.talk_to_far_end();
        world.far_msrp_code = Some(code);
        world.send(&session, &"long ".repeat(2000), BOTH);
        let told_of = world.told();
        assert_eq!(
            told_of[1..],
            [
                format!("alice: msg001 Failed {code}"),
                format!("alice: MessageFailure msg001 ({told})"),
            ],
            "{code}"
        );
        world.far_msrp_code = Some(200);
        world.send(&session, "next", ReportRequest::default());
        assert_eq!(world.told(), ["alice: \"next\" from alice (echo)"], "the session goes on");
        assert_eq!(world.sessions(), [session]);
    }
}

#[test]
fn a_type_that_was_refused_is_not_sent_again() {
    let mut world = World::facing_far_end();
    let (session, _) = world.talk_to_far_end();
    world.far_msrp_code = Some(415);
    world.send(&session, "wrapped", DELIVERED);
    world.far_msrp_code = Some(200);
    world.send(&session, "bare", DELIVERED);
    assert_eq!(
        world.sent(),
        [
            "msrp alice > far_end: SEND message/cpim",
            "msrp far_end > alice: 415",
            "msrp alice > far_end: SEND text/plain;charset=UTF-8",
            "msrp far_end > alice: 200",
        ],
        "RFC 4975 section 10.6"
    );
}

#[test]
fn an_msrp_481_ends_the_session_after_the_final_status() {
    for (code, phrase) in [(481, "No Such Session"), (506, "Session In Use")] {
        let mut world = World::facing_far_end();
        let (session, _) = world.talk_to_far_end();
        world.far_msrp_code = Some(code);
        world.send(&session, "Hello", DELIVERED);
        // A BYE that explains it has its time.
        world.wait(Duration::from_secs(6));
        assert_eq!(
            world.told(),
            [
                "alice: \"Hello\" from alice (echo)".to_owned(),
                format!("alice: msg001 Failed {code}"),
                format!("alice: MessageFailure msg001 (MSRP {code} {phrase})"),
                "alice: SessionEnded (MSRP connection lost)".to_owned(),
            ]
        );
        let bye = world.far_end_got(&Method::Bye);
        assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=480;text=\"Bearer unavailable\""));
        world.demand_rest();
        assert_eq!(world.told(), NOTHING);
    }
}

#[test]
fn a_report_of_failure_is_a_final_status_also_after_the_200() {
    let mut world = World::facing_far_end();
    let (session, _) = world.talk_to_far_end();
    world.send(&session, "Hello", DELIVERED);
    let sent = world.far_end_read();
    world.told();
    world.far_end_reports(&sent, 408);
    let told = world.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], "alice: msg001 Failed 408");
    world.far_end_reports(&sent, 200);
    assert_eq!(world.told(), NOTHING, "failed is final");
}

#[test]
fn a_disposition_notification_of_failure_is_a_final_status() {
    for status in ["failed", "forbidden", "error"] {
        let mut world = World::facing_far_end();
        let (session, _) = world.talk_to_far_end();
        world.send(&session, "Hello", DELIVERED);
        world.told();
        for _ in 0..2 {
            world.far_end_says("message/cpim", &imdn("msg001", status), false);
        }
        assert_eq!(
            world.told(),
            [
                format!("alice: msg001 Failed IMDN-{status}"),
                format!("alice: MessageFailure msg001 (IMDN delivery {status})"),
            ]
        );
        world.far_end_says("message/cpim", &imdn("msg001", "delivered"), false);
        world.far_end_says("message/cpim", &imdn("unknown", "delivered"), false);
        assert_eq!(world.told(), NOTHING);
    }
}

#[test]
fn a_lost_connection_is_explained_by_the_bye_that_follows() {
    let mut world = World::facing_far_end();
    let (_, invite) = world.talk_to_far_end();
    world.cut_msrp();
    world.wait(Duration::from_secs(4));
    assert_eq!(world.told(), NOTHING);
    world.far_end_asks(&invite, (Method::Bye, 1), &[], None);
    assert_eq!(world.told(), ["alice: SessionEnded (SIP BYE)"]);
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_lost_connection_ends_the_session_after_the_grace() {
    let mut world = World::facing_far_end();
    let (session, _) = world.talk_to_far_end();
    world.far_msrp_code = None;
    world.send(&session, "lost?", DELIVERED);
    world.told();
    world.cut_msrp();
    world.run();
    assert_eq!(
        world.told(),
        [
            "alice: msg001 Failed 408",
            "alice: MessageFailure msg001 (MSRP 408 the connection is lost)",
        ]
    );
    let late = world.begin_sending(&session, "late", DELIVERED).1;
    assert!(matches!(late, Err(Refusal::Unavailable { .. })), "{late:?}");
    world.wait(Duration::from_secs(5));
    assert_eq!(world.told(), ["alice: SessionEnded (MSRP connection lost)"]);
    let bye = world.far_end_got(&Method::Bye);
    assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=480;text=\"Bearer unavailable\""));
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_user_may_leave_while_the_connection_is_lost() {
    let mut world = World::facing_far_end();
    let (session, _) = world.talk_to_far_end();
    world.cut_msrp();
    world.order(&session, Command::End).expect("taken");
    assert_eq!(world.told(), ["alice: SessionEnded (SIP BYE)"]);
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_connection_that_cannot_be_made_ends_the_session() {
    let mut world = World::facing_far_end();
    world.far_msrp_closed = true;
    let (session, invite) = world.invite_far_end();
    world.send(&session, "never", ReportRequest::default());
    world.far_end_accepts(&invite);
    assert_eq!(
        world.told(),
        [
            "alice: \"never\" from alice (echo)",
            "alice: Accepted (SIP 200 OK)",
            "alice: msg001 Failed 408",
            "alice: MessageFailure msg001 (MSRP 408 the connection could not be made)",
            "alice: SessionEnded (MSRP connect failed)",
        ]
    );
    let bye = world.far_end_got(&Method::Bye);
    assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=488;text=\"Not Acceptable Here\""));
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_connection_that_nobody_makes_ends_the_session() {
    let mut world = World::facing_far_end();
    let (_, invite) = world.invite_far_end();
    let active = sdp(2900, "message/cpim", "active");
    world.far_end_answers(&invite, 200, &[], Some(("application/sdp", &active)));
    assert_eq!(world.told(), ["alice: Accepted (SIP 200 OK)"]);
    world.wait(Duration::from_secs(10));
    assert_eq!(world.told(), ["alice: SessionEnded (MSRP connect failed)"]);
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

fn imdn(message_id: &str, status: &str) -> String {
    format!(
        "From: <sip:bob@example.com>\r\nTo: <sip:alice@example.com>\r\n\
         NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: n1\r\n\r\n\
         Content-Type: message/imdn+xml\r\nContent-Disposition: notification\r\n\r\n\
         <imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>{message_id}</message-id>\
         <datetime>2026-01-02T03:04:05Z</datetime>\
         <delivery-notification><status><{status}/></status></delivery-notification></imdn>"
    )
}

const DELIVERED: ReportRequest = ReportRequest { delivered: true, displayed: false, failed: false };
const BOTH: ReportRequest = ReportRequest { delivered: true, displayed: true, failed: false };
