//! What happens in an established dialog: BYE with its reasons, re-INVITE, UPDATE.

use chatbridge::sip::{Method, Status};

use crate::NOTHING;
use crate::far_end::{answer_sdp, sdp};
use crate::world::World;

#[test]
fn the_far_end_leaves_with_its_reason() {
    for (reason, told) in [
        (None, "SIP BYE"),
        (Some(r#"SIP;cause=410;text="Gone""#), r#"SIP BYE; Reason: SIP;cause=410;text="Gone""#),
        (
            Some(r#"SIP;cause=480;text="Bearer unavailable""#),
            r#"SIP BYE; Reason: SIP;cause=480;text="Bearer unavailable""#,
        ),
        (
            Some(r#"Q.850;cause=16, RELEASE_CAUSE;cause=1;text="User ends call""#),
            r#"SIP BYE; Reason: Q.850;cause=16, RELEASE_CAUSE;cause=1;text="User ends call""#,
        ),
    ] {
        let mut world = World::facing_far_end();
        let (_, invite) = world.talk_to_far_end();
        let headers: Vec<_> = reason.iter().map(|reason| ("Reason", *reason)).collect();
        world.far_end_asks(&invite, (Method::Bye, 1), &headers, None);
        assert_eq!(world.told(), [format!("alice: SessionEnded ({told})")]);
        assert_eq!(world.far_end_heard(&Method::Bye).status, Status::OK);
        world.demand_rest();
        assert_eq!(world.told(), NOTHING);
    }
}

#[test]
fn a_reinvite_that_changes_nothing_is_no_news() {
    let mut world = World::facing_far_end();
    let (session, invite) = world.talk_to_far_end();
    for (cseq, method) in [(1, Method::Invite), (3, Method::Update)] {
        let body = answer_sdp();
        world.far_end_asks(&invite, (method.clone(), cseq), &[], Some(&body));
        let answer = world.far_end_heard(&method);
        assert_eq!(answer.status, Status::OK);
        let sdp = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(sdp.contains("m=message 2855 TCP/MSRP *"), "{sdp}");
        if method == Method::Invite {
            world.far_end_asks(&invite, (Method::Ack, cseq), &[], None);
        }
    }
    world.wait(std::time::Duration::from_secs(100));
    assert_eq!(world.told(), NOTHING);
    world.send(&session, "still here", chatbridge::chat::ReportRequest::default());
    assert_eq!(world.told(), ["alice: \"still here\" from alice (echo)"]);
    assert!(world.far_end_read().body.is_some());
}

#[test]
fn a_reinvite_without_an_offer_is_answered_with_ours() {
    let mut world = World::facing_far_end();
    let (_, invite) = world.talk_to_far_end();
    world.far_end_asks(&invite, (Method::Invite, 1), &[], None);
    let answer = world.far_end_heard(&Method::Invite);
    assert_eq!(answer.status, Status::OK);
    assert!(String::from_utf8_lossy(&answer.body).contains("m=message 2855"));
    world.far_end_asks(&invite, (Method::Ack, 1), &[], Some(&answer_sdp()));
    world.wait(std::time::Duration::from_secs(100));
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_reinvite_that_takes_the_stream_away_ends_the_session() {
    let mut world = World::facing_far_end();
    let (_, invite) = world.talk_to_far_end();
    let removed = sdp(0, "message/cpim", "passive");
    world.far_end_asks(&invite, (Method::Invite, 1), &[], Some(&removed));
    assert_eq!(world.told(), ["alice: SessionEnded (SIP 488 Not Acceptable Here; media removed)"]);
    assert_eq!(
        world.sent(),
        [
            "far_end > bridge: INVITE",
            "bridge > far_end: 100 INVITE",
            "bridge > far_end: 200 INVITE",
            "bridge > far_end: BYE (SIP;cause=200)",
        ]
    );
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_reinvite_that_moves_the_stream_is_refused_and_the_session_stays() {
    let mut world = World::facing_far_end();
    let (session, invite) = world.talk_to_far_end();
    for (cseq, body) in [
        (1, answer_sdp().replace("/far;tcp", "/elsewhere;tcp")),
        (2, answer_sdp().replace("m=message", "m=audio")),
        (3, "nonsense".to_owned()),
    ] {
        world.far_end_asks(&invite, (Method::Invite, cseq), &[], Some(&body));
        assert_eq!(world.far_end_heard(&Method::Invite).status, Status::NOT_ACCEPTABLE_HERE);
        world.far_end_asks(&invite, (Method::Ack, cseq), &[], None);
        assert_eq!(world.told(), NOTHING);
    }
    assert_eq!(world.sessions(), [session]);
}

#[test]
fn hold_is_a_pause_that_nobody_is_told_of() {
    let mut world = World::facing_far_end();
    let (session, invite) = world.talk_to_far_end();
    for (cseq, direction, answered) in
        [(1, "inactive", "inactive"), (2, "sendonly", "recvonly"), (3, "sendrecv", "")]
    {
        let body = format!("{}a={direction}\r\n", answer_sdp());
        world.far_end_asks(&invite, (Method::Invite, cseq), &[], Some(&body));
        let answer = world.far_end_heard(&Method::Invite);
        assert_eq!(answer.status, Status::OK);
        assert!(String::from_utf8_lossy(&answer.body).contains(answered), "{direction}");
        world.far_end_asks(&invite, (Method::Ack, cseq), &[], None);
    }
    assert_eq!(world.told(), NOTHING);
    assert_eq!(world.sessions(), [session]);
}

#[test]
fn a_refer_is_forbidden_and_an_unknown_method_is_not_implemented() {
    let mut world = World::facing_far_end();
    let (session, invite) = world.talk_to_far_end();
    for (cseq, method, code) in [
        (1, Method::Refer, 403),
        (2, Method::Other("GREET".into()), 501),
        (3, Method::Message, 405),
        (4, Method::Options, 200),
    ] {
        world.far_end_asks(&invite, (method.clone(), cseq), &[("Refer-To", "<sip:x@y>")], None);
        assert_eq!(world.far_end_heard(&method).status.code(), code, "{method}");
    }
    assert_eq!(world.told(), NOTHING);
    assert_eq!(world.sessions(), [session]);
}

#[test]
fn our_descriptions_are_of_one_session_and_numbered_by_change() {
    let mut world = World::facing_far_end();
    let (_, invite) = world.talk_to_far_end();
    let mut origins = vec![origin(&invite.body)];
    for (cseq, direction) in [(1, "sendrecv"), (2, "sendrecv"), (3, "inactive"), (4, "inactive")] {
        world.wait(std::time::Duration::from_secs(60));
        let body = format!("{}a={direction}\r\n", answer_sdp());
        world.far_end_asks(&invite, (Method::Invite, cseq), &[], Some(&body));
        origins.push(origin(&world.far_end_heard(&Method::Invite).body));
        world.far_end_asks(&invite, (Method::Ack, cseq), &[], None);
    }
    let (session, first) = origins[0];
    let versions: Vec<u64> = origins.iter().map(|(_, version)| version - first).collect();
    assert!(origins.iter().all(|(it, _)| *it == session), "{origins:?}");
    assert_eq!(
        versions,
        [0, 1, 1, 2, 2],
        "one more where anything has changed (RFC 3264 section 8)"
    );
}

/// Gives session id and version of a description.
fn origin(sdp: &[u8]) -> (u64, u64) {
    let text = String::from_utf8_lossy(sdp);
    let line = text.lines().find_map(|line| line.strip_prefix("o=")).expect("an origin");
    let mut fields = line.split(' ').skip(1).map(|field| field.parse().expect("a number"));
    (fields.next().expect("a session id"), fields.next().expect("a version"))
}
