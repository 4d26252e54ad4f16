//! What the far end answers to our INVITE, code by code (the bridge's table of outcomes).

use std::time::Duration;

use chatbridge::sip::Method;

use crate::NOTHING;
use crate::far_end::{answer_sdp, far_hop, sdp};
use crate::world::World;

/// Code, reason phrase, further headers, and what the originator is told.
type Refused = (u16, &'static [(&'static str, &'static str)], &'static str);

const REFUSALS: &[Refused] = &[
    (400, &[], "SessionEnded (SIP 400 Bad Request)"),
    (
        401,
        &[("WWW-Authenticate", "Digest realm=\"a\", nonce=\"b\"")],
        "SessionEnded (SIP 401 Unauthorized)",
    ),
    (402, &[], "SessionEnded (SIP 402 Payment Required)"),
    (403, &[], "SessionEnded (SIP 403 Forbidden)"),
    (
        403,
        &[("Warning", "399 as.example \"127 Service not authorised\"")],
        "SessionEnded (SIP 403 Forbidden; Warning: 127 Service not authorised)",
    ),
    (404, &[], "SessionEnded (SIP 404 Not Found)"),
    (405, &[], "SessionEnded (SIP 405 Method Not Allowed)"),
    (406, &[], "SessionEnded (SIP 406 Not Acceptable)"),
    (
        407,
        &[("Proxy-Authenticate", "Digest realm=\"a\", nonce=\"b\"")],
        "SessionEnded (SIP 407 Proxy Authentication Required)",
    ),
    (408, &[], "SessionEnded (timeout invitation; SIP 408 Request Timeout)"),
    (410, &[], "SessionEnded (SIP 410 Gone)"),
    (413, &[], "SessionEnded (SIP 413 Request Entity Too Large)"),
    (415, &[], "SessionEnded (SIP 415 Unsupported Media Type)"),
    (416, &[], "SessionEnded (SIP 416 Unsupported URI Scheme)"),
    (420, &[("Unsupported", "x")], "SessionEnded (SIP 420 Bad Extension)"),
    (421, &[("Require", "x")], "SessionEnded (SIP 421 Extension Required)"),
    (422, &[], "SessionEnded (SIP 422 Session Interval Too Small)"),
    (423, &[("Min-Expires", "90")], "SessionEnded (SIP 423 Interval Too Brief)"),
    (480, &[], "Declined (SIP 480 Temporarily Unavailable)"),
    (481, &[], "SessionEnded (SIP 481 Call/Transaction Does Not Exist)"),
    (482, &[], "SessionEnded (SIP 482 Loop Detected)"),
    (483, &[], "SessionEnded (SIP 483 Too Many Hops)"),
    (484, &[], "SessionEnded (SIP 484 Address Incomplete)"),
    (485, &[], "SessionEnded (SIP 485 Ambiguous)"),
    (486, &[], "Declined (SIP 486 Busy Here)"),
    (487, &[], "SessionEnded (SIP 487 Request Terminated)"),
    (488, &[], "SessionEnded (SIP 488 Not Acceptable Here)"),
    (493, &[], "SessionEnded (SIP 493 Undecipherable)"),
    (494, &[], "SessionEnded (SIP 494 Security Agreement Required)"),
    (499, &[], "SessionEnded (SIP 499 Bad Request)"),
    (500, &[], "SessionEnded (SIP 500 Server Internal Error)"),
    (
        503,
        &[("Retry-After", "120")],
        "SessionEnded (SIP 503 Service Unavailable; Retry-After: 120)",
    ),
    (504, &[], "SessionEnded (SIP 504 Server Time-out)"),
    (580, &[], "SessionEnded (SIP 580 Precondition Failure)"),
    (600, &[], "Declined (SIP 600 Busy Everywhere)"),
    (603, &[], "Declined (SIP 603 Decline)"),
    (604, &[], "SessionEnded (SIP 604 Does Not Exist Anywhere)"),
    (606, &[], "SessionEnded (SIP 606 Not Acceptable)"),
    (607, &[], "Declined (SIP 607 Unwanted)"),
    (608, &[], "Declined (SIP 608 Rejected)"),
    (300, &[], "SessionEnded (SIP 300 Multiple Choices)"),
    (302, &[], "SessionEnded (SIP 302 Moved Temporarily)"),
    (302, &[("Contact", "<mailto:bob@example.com>")], "SessionEnded (SIP 302 Moved Temporarily)"),
];

#[test]
fn every_refusal_is_exactly_one_event() {
    for &(code, headers, told) in REFUSALS {
        for provisional in [None, Some(100), Some(180), Some(183)] {
            let mut world = World::facing_far_end();
            let (_, invite) = world.invite_far_end();
            if let Some(provisional) = provisional {
                world.far_end_answers(&invite, provisional, &[], None);
                assert_eq!(world.told(), NOTHING, "{provisional}");
            }
            world.far_end_answers(&invite, code, headers, None);
            assert_eq!(world.told(), [format!("alice: {told}")], "{code}");
            let ack = world.far_end_got(&Method::Ack);
            assert_eq!(ack.via(), invite.via(), "RFC 3261 17.1.1.3");
            world.demand_rest();
            assert_eq!(world.told(), NOTHING, "{code}");
        }
    }
}

#[test]
fn every_code_from_300_to_699_is_exactly_one_terminal_event() {
    for code in 300..=699 {
        let mut world = World::facing_far_end();
        let (_, invite) = world.invite_far_end();
        world.far_end_answers(&invite, code, &[], None);
        if code == 491 {
            world.wait(Duration::from_secs(4));
            let again = world.far_end_got(&Method::Invite);
            world.far_end_answers(&again, code, &[], None);
        }
        let told = world.told();
        assert_eq!(told.len(), 1, "{code}: {told:?}");
        world.demand_rest();
        assert_eq!(world.told(), NOTHING, "{code}");
    }
}

#[test]
fn a_422_is_answered_once_with_the_interval_that_it_names() {
    let mut world = World::with(|settings| {
        settings.core = Some(far_hop());
        settings.session_timer = Some(Duration::from_secs(600));
    });
    let (_, invite) = world.invite_far_end();
    assert_eq!(invite.headers.get("Session-Expires"), Some("600"));
    world.far_end_answers(&invite, 422, &[("Min-SE", "1800")], None);
    let second = world.far_end_got(&Method::Invite);
    assert_eq!(second.headers.get("Session-Expires"), Some("1800"));
    assert_eq!(second.headers.get("Min-SE"), Some("1800"));
    assert_eq!(second.call_id(), invite.call_id());
    assert_eq!(world.told(), NOTHING);
    world.far_end_answers(&second, 422, &[("Min-SE", "3600")], None);
    assert_eq!(world.told(), ["alice: SessionEnded (SIP 422 Session Interval Too Small)"]);
    world.demand_rest();
}

#[test]
fn no_session_timer_is_asked_for_unless_configured() {
    let mut world = World::facing_far_end();
    let (_, invite) = world.invite_far_end();
    assert!(!invite.headers.has("Session-Expires"));
    assert!(invite.headers.list("Supported").any(|option| option == "timer"));
}

#[test]
fn a_redirection_is_followed_contact_by_contact() {
    let mut world = World::facing_far_end();
    let (_, invite) = world.invite_far_end();
    let contacts = "<sip:one@127.0.0.1:5090>, <sip:two@127.0.0.1:5090>";
    world.far_end_answers(&invite, 302, &[("Contact", contacts)], None);
    let first = world.far_end_got(&Method::Invite);
    assert_eq!(first.uri.to_string(), "sip:one@127.0.0.1:5090");
    assert_eq!(first.to().expect("a To").uri, invite.to().expect("a To").uri);
    assert_ne!(first.call_id(), invite.call_id());
    world.far_end_answers(&first, 404, &[], None);
    assert_eq!(world.told(), NOTHING);
    let second = world.far_end_got(&Method::Invite);
    assert_eq!(second.uri.to_string(), "sip:two@127.0.0.1:5090");
    world.far_end_accepts(&second);
    assert_eq!(world.told(), ["alice: Accepted (SIP 200 OK)"]);
}

#[test]
fn a_refusal_of_one_contact_is_the_refusal_of_all() {
    for (code, told) in [(486, "Declined (SIP 486 Busy Here)"), (603, "Declined (SIP 603 Decline)")]
    {
        let mut world = World::facing_far_end();
        let (_, invite) = world.invite_far_end();
        let contacts = "<sip:one@127.0.0.1:5090>, <sip:two@127.0.0.1:5090>";
        world.far_end_answers(&invite, 302, &[("Contact", contacts)], None);
        let first = world.far_end_got(&Method::Invite);
        world.far_end_answers(&first, code, &[], None);
        assert_eq!(world.told(), [format!("alice: {told}")]);
        world.demand_rest();
        assert_eq!(world.told(), NOTHING);
    }
}

#[test]
fn a_redirection_in_a_circle_ends() {
    let mut world = World::facing_far_end();
    let (_, mut invite) = world.invite_far_end();
    let mut invites = 1;
    while world.told_but_kept().is_empty() {
        world.far_end_answers(&invite, 302, &[("Contact", "<sip:bob@127.0.0.1:5090>")], None);
        if world.told_but_kept().is_empty() {
            invite = world.far_end_got(&Method::Invite);
            invites += 1;
        }
        assert!(invites < 10, "a circle");
    }
    assert_eq!(invites, 6, "the first and five redirections");
    assert_eq!(world.told(), ["alice: SessionEnded (SIP 302 Moved Temporarily)"]);
    world.demand_rest();
}

#[test]
fn a_491_is_retried_once() {
    let mut world = World::facing_far_end();
    let (_, invite) = world.invite_far_end();
    world.far_end_answers(&invite, 491, &[], None);
    world.wait(Duration::from_millis(2099));
    assert_eq!(
        world.sent(),
        ["bridge > far_end: INVITE", "far_end > bridge: 491 INVITE", "bridge > far_end: ACK",]
    );
    world.wait(Duration::from_millis(1901));
    let again = world.far_end_got(&Method::Invite);
    assert_ne!(again.call_id(), invite.call_id());
    assert_eq!(world.told(), NOTHING);
    world.far_end_answers(&again, 491, &[], None);
    assert_eq!(world.told(), ["alice: SessionEnded (SIP 491 Request Pending)"]);
    world.demand_rest();
}

#[test]
fn a_491_may_help() {
    let mut world = World::facing_far_end();
    let (_, invite) = world.invite_far_end();
    world.far_end_answers(&invite, 491, &[], None);
    world.wait(Duration::from_secs(4));
    let again = world.far_end_got(&Method::Invite);
    world.far_end_accepts(&again);
    assert_eq!(world.told(), ["alice: Accepted (SIP 200 OK)"]);
}

#[test]
fn an_answer_without_a_usable_stream_is_hung_up() {
    for (content_type, body) in [
        ("application/sdp", sdp(0, "message/cpim", "passive")),
        ("application/sdp", sdp(2900, "image/png", "passive")),
        ("application/sdp", "v=0\r\nnonsense".to_owned()),
        ("application/sdp", String::new()),
        ("application/sdp", answer_sdp().replace("TCP/MSRP", "TCP/TLS/MSRP")),
        ("application/sdp", answer_sdp().replace("m=message", "m=audio")),
        ("application/sdp", answer_sdp().replace("a=path", "a=pith")),
        ("text/plain", answer_sdp()),
    ] {
        let mut world = World::facing_far_end();
        let (_, invite) = world.invite_far_end();
        world.far_end_answers(&invite, 200, &[], Some((content_type, &body)));
        assert_eq!(world.told(), ["alice: SessionEnded (SIP 488 Not Acceptable Here)"], "{body}");
        assert_eq!(
            world.sent(),
            [
                "bridge > far_end: INVITE",
                "far_end > bridge: 200 INVITE",
                "bridge > far_end: ACK",
                "bridge > far_end: BYE (SIP;cause=488)",
            ]
        );
        world.demand_rest();
        assert_eq!(world.told(), NOTHING);
    }
}

#[test]
fn nobody_answers_at_all() {
    let mut world = World::facing_far_end();
    world.invite_far_end();
    world.wait(Duration::from_millis(31_999));
    assert_eq!(world.told(), NOTHING);
    world.wait(Duration::from_millis(1));
    assert_eq!(world.told(), ["alice: SessionEnded (timeout invitation)"], "Timer B");
    assert_eq!(world.sent(), ["bridge > far_end: INVITE"; 7]);
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn somebody_rings_but_never_answers() {
    let mut world = World::facing_far_end();
    let (_, invite) = world.invite_far_end();
    world.wait(Duration::from_secs(10));
    world.far_end_answers(&invite, 180, &[], None);
    world.wait(Duration::from_secs(60));
    world.far_end_answers(&invite, 180, &[], None);
    world.sent();
    world.wait(Duration::from_secs(119));
    assert_eq!(world.told(), NOTHING, "the first 18x starts the invitation's time anew");
    world.wait(Duration::from_secs(1));
    assert_eq!(world.told(), ["alice: SessionEnded (timeout invitation)"]);
    assert_eq!(world.sent(), ["bridge > far_end: CANCEL"]);
    world.far_end_answers(&invite, 487, &[], None);
    assert_eq!(world.told(), NOTHING);
    world.demand_rest();
}

#[test]
fn a_200_after_the_timeout_is_hung_up() {
    for provisional in [None, Some(180)] {
        let mut world = World::facing_far_end();
        let (_, invite) = world.invite_far_end();
        if let Some(code) = provisional {
            world.far_end_answers(&invite, code, &[], None);
        }
        world.wait(Duration::from_secs(181));
        assert_eq!(world.told(), ["alice: SessionEnded (timeout invitation)"]);
        world.sent();
        if provisional.is_some() {
            world.far_end_accepts(&invite);
            assert_eq!(
                world.sent(),
                ["far_end > bridge: 200 INVITE", "bridge > far_end: ACK", "bridge > far_end: BYE"]
            );
        }
        world.demand_rest();
        assert_eq!(world.told(), NOTHING);
    }
}

#[test]
fn the_next_hop_cannot_be_reached() {
    let mut world = World::facing_far_end();
    let session = world.begin_inviting(
        crate::world::party(crate::world::ALICE),
        crate::world::party(crate::world::BOB),
        "Hi",
    );
    world.fail_sip(&session.expect("a session"));
    assert_eq!(world.told(), ["alice: SessionEnded (timeout invitation; transport error)"]);
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_fork_that_accepts_later_is_hung_up() {
    let mut world = World::facing_far_end();
    let (_, invite) = world.invite_far_end();
    world.far_end_accepts(&invite);
    world.sent();
    let mut fork =
        chatbridge::sip::response_to(&invite, chatbridge::sip::Status::OK, Some("anotherfork"));
    fork.headers.push("Contact", "<sip:fork@127.0.0.1:5090>");
    world.far_end_sends(&fork.into());
    assert_eq!(
        world.sent(),
        ["far_end > bridge: 200 INVITE", "bridge > far_end: ACK", "bridge > far_end: BYE"]
    );
    assert_eq!(world.told(), ["alice: Accepted (SIP 200 OK)"]);
}

#[test]
fn an_answer_without_a_contact_makes_no_session() {
    let mut world = World::facing_far_end();
    let (_, invite) = world.invite_far_end();
    let mut response =
        chatbridge::sip::response_to(&invite, chatbridge::sip::Status::OK, Some("far"));
    response.headers.push("Content-Type", "application/sdp");
    response.body = answer_sdp().into();
    world.far_end_sends(&response.into());
    let told = world.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("alice: SessionEnded"), "{told:?}");
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}
