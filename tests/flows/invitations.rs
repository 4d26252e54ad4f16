//! What invites our users from outside: the far end as Carol, with all the forms of its INVITE.

use std::time::Duration;

use chatbridge::chat::{Command, ReportRequest};
use chatbridge::sip::{Method, Status};

use crate::NOTHING;
use crate::far_end::{offer_sdp, sdp};
use crate::world::{BOB, World};

#[test]
fn carol_invites_bob_and_leaves() {
    let mut world = World::new();
    world.far_end_invites("application/sdp", &offer_sdp());
    let bobs = world.invited(BOB);
    assert_eq!(world.told(), ["bob: invited by sip:carol@far.example \"Hello\""]);
    world.order(&bobs, Command::Accept).expect("accepted");
    let accepted = world.far_end_heard(&Method::Invite);
    world.far_end_goes_on(&accepted, (Method::Ack, 1), &[]);
    world.send(&bobs, "Hi Carol", ReportRequest::default());
    assert_eq!(world.told(), ["bob: \"Hi Carol\" from bob (echo)"]);
    world.far_end_goes_on(&accepted, (Method::Bye, 2), &[]);
    assert_eq!(world.told(), ["bob: SessionEnded (SIP BYE)"]);
    assert_eq!(
        world.sent(),
        [
            "far_end > bridge: INVITE",
            "bridge > far_end: 100 INVITE",
            "bridge > far_end: 180 INVITE",
            "msrp bob > far_end: SEND",
            "msrp far_end > bob: 200",
            "bridge > far_end: 200 INVITE",
            "far_end > bridge: ACK",
            "msrp bob > far_end: SEND message/cpim",
            "msrp far_end > bob: 200",
            "far_end > bridge: BYE",
            "bridge > far_end: 200 BYE",
        ]
    );
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn carol_withdraws() {
    for (reason, told) in [
        (None, "SessionCancelled (SIP CANCEL)"),
        (
            Some("SIP;cause=200;text=\"Call completed elsewhere\""),
            "SessionEnded (answered elsewhere)",
        ),
        (Some("Q.850;cause=16"), "SessionCancelled (SIP CANCEL)"),
    ] {
        let mut world = World::new();
        let invite = world.far_end_invites("application/sdp", &offer_sdp());
        let bobs = world.invited(BOB);
        world.told();
        world.far_end_cancels(&invite, reason);
        assert_eq!(world.told(), [format!("bob: {told}")]);
        assert_eq!(world.far_end_heard(&Method::Cancel).status, Status::OK);
        assert!(world.order(&bobs, Command::Accept).is_err());
        world.demand_rest();
        assert_eq!(world.told(), NOTHING);
    }
}

#[test]
fn a_cancel_after_the_acceptance_changes_nothing() {
    let mut world = World::new();
    let invite = world.far_end_invites("application/sdp", &offer_sdp());
    let bobs = world.invited(BOB);
    world.order(&bobs, Command::Accept).expect("accepted");
    world.told();
    world.far_end_cancels(&invite, None);
    assert_eq!(world.told(), NOTHING);
    let accepted = world.far_end_heard(&Method::Invite);
    world.far_end_goes_on(&accepted, (Method::Ack, 1), &[]);
    world.wait(Duration::from_secs(100));
    assert_eq!(world.told(), NOTHING);
    assert_eq!(world.sessions(), [bobs]);
}

#[test]
fn carol_never_acks() {
    let mut world = World::new();
    world.far_end_invites("application/sdp", &offer_sdp());
    let bobs = world.invited(BOB);
    world.order(&bobs, Command::Accept).expect("accepted");
    world.told();
    world.wait(Duration::from_millis(31_999));
    assert_eq!(world.told(), NOTHING);
    world.wait(Duration::from_millis(1));
    assert_eq!(world.told(), ["bob: SessionEnded (timeout ACK)"]);
    world.far_end_got(&Method::Bye);
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn bob_leaves_before_carols_ack() {
    let mut world = World::new();
    world.far_end_invites("application/sdp", &offer_sdp());
    let bobs = world.invited(BOB);
    world.order(&bobs, Command::Accept).expect("accepted");
    world.order(&bobs, Command::End).expect("taken");
    assert_eq!(
        world.told(),
        ["bob: invited by sip:carol@far.example \"Hello\"", "bob: SessionEnded (SIP BYE)"]
    );
    assert!(!world.sent().contains(&"bridge > far_end: BYE (SIP;cause=200)".to_owned()));
    let accepted = world.far_end_heard(&Method::Invite);
    world.far_end_goes_on(&accepted, (Method::Ack, 1), &[]);
    assert_eq!(
        world.sent(),
        ["far_end > bridge: ACK", "bridge > far_end: BYE (SIP;cause=200)"],
        "RFC 3261 section 15"
    );
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn the_first_message_travels_with_the_invite() {
    let mut world = World::new();
    let body = format!(
        "--b1\r\nContent-Type: application/sdp\r\n\r\n{}\r\n\
         --b1\r\nContent-Type: message/cpim\r\n\r\n{CPIM}\r\n--b1--\r\n",
        offer_sdp()
    );
    world.far_end_invites("multipart/mixed;boundary=b1", &body);
    let bobs = world.invited(BOB);
    assert_eq!(world.told(), ["bob: invited by sip:carol@far.example \"Hello\""]);
    world.order(&bobs, Command::Accept).expect("accepted");
    assert_eq!(
        world.told(),
        ["bob: \"First\" from sip:carol@far.example, wants Delivered"],
        "told once accepted"
    );
    let accepted = world.far_end_heard(&Method::Invite);
    world.far_end_goes_on(&accepted, (Method::Ack, 1), &[]);
    world.far_end_says("message/cpim", CPIM, false);
    assert_eq!(world.told(), NOTHING, "the same message again");
}

/// Signalling 1.4: a store delivers what came while nobody was there, in the name of its author.
#[test]
fn what_a_store_delivers_is_told_without_an_invitation() {
    let store = "<sip:rcse-standfw@far.example>";
    for (headers, from) in [
        (&[("Referred-By", "<tel:+447700900009>")][..], "tel:+447700900009"),
        (&[("P-Asserted-Identity", store)], "sip:rcse-standfw@far.example"),
    ] {
        let mut world = World::new();
        world.far_end_invites_with(headers, "application/sdp", &offer_sdp());
        let accepted = world.far_end_heard(&Method::Invite);
        assert_eq!(accepted.status.code(), 200, "nobody is asked");
        world.far_end_goes_on(&accepted, (Method::Ack, 1), &[]);
        world.far_end_says("message/cpim", CPIM, false);
        assert_eq!(world.told(), [format!("bob: \"First\" from {from}, wants Delivered")]);
        world.far_end_goes_on(&accepted, (Method::Bye, 2), &[]);
        assert_eq!(world.told(), NOTHING, "nobody was there who could leave");
        world.demand_rest();
    }
    // Whoever is not believed is a caller as all others.
    let mut world = World::new();
    world.trusts_far_end = false;
    let headers = [("Referred-By", "<tel:+447700900009>"), ("Subject", "Hello")];
    world.far_end_invites_with(&headers, "application/sdp", &offer_sdp());
    assert_eq!(world.told(), ["bob: invited by sip:carol@far.example \"Hello\""]);
}

#[test]
fn a_declined_first_message_is_never_told() {
    let mut world = World::new();
    let body = format!(
        "--b1\r\nContent-Type: application/sdp\r\n\r\n{}\r\n\
         --b1\r\nContent-Type: message/cpim\r\n\r\n{CPIM}\r\n--b1--\r\n",
        offer_sdp()
    );
    world.far_end_invites("multipart/mixed;boundary=b1", &body);
    let bobs = world.invited(BOB);
    world.told();
    world.order(&bobs, Command::Decline).expect("declined");
    world.demand_rest();
    assert_eq!(world.told(), ["bob: SessionEnded (declined by the user)"]);
}

#[test]
fn an_invite_that_is_no_chat_is_refused_and_nobody_hears_of_it() {
    for (content_type, body) in [
        ("application/sdp", sdp(0, "message/cpim", "actpass")),
        ("application/sdp", offer_sdp().replace("m=message", "m=audio")),
        ("application/sdp", offer_sdp().replace("TCP/MSRP", "TCP/TLS/MSRP")),
        ("application/sdp", "nonsense".to_owned()),
        ("multipart/mixed", "no boundary".to_owned()),
    ] {
        let mut world = World::new();
        world.far_end_invites(content_type, &body);
        assert_eq!(world.told(), NOTHING, "{body}");
        let refusal = world.far_end_heard(&Method::Invite);
        assert_eq!(refusal.status, Status::NOT_ACCEPTABLE_HERE, "{body}");
        assert!(refusal.headers.has("Warning"));
        world.demand_rest();
        assert_eq!(world.told(), NOTHING);
    }
}

#[test]
fn an_invite_in_a_format_that_nobody_reads_learns_which_are_read() {
    let mut world = World::new();
    world.far_end_invites("text/plain", "Hello");
    assert_eq!(world.told(), NOTHING);
    let refusal = world.far_end_heard(&Method::Invite);
    assert_eq!(refusal.status, Status::UNSUPPORTED_MEDIA_TYPE);
    assert!(refusal.headers.get("Accept").expect("an Accept").contains("application/sdp"));
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn an_invite_that_requires_what_we_lack_is_refused_and_nobody_hears_of_it() {
    let mut world = World::new();
    world.far_end_invites_with(
        &[("Require", "recipient-list-invite")],
        "application/sdp",
        &offer_sdp(),
    );
    let refusal = world.far_end_heard(&Method::Invite);
    assert_eq!(
        (refusal.status, refusal.headers.get("Unsupported")),
        (Status::BAD_EXTENSION, Some("recipient-list-invite"))
    );
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn an_invite_for_nobody_with_a_client_is_refused() {
    let mut world = World::with(|settings| {
        settings.no_client_code = Status::new(404).expect("a status");
    });
    world.unsubscribe(BOB);
    world.far_end_invites("application/sdp", &offer_sdp());
    assert_eq!(world.far_end_heard(&Method::Invite).status, Status::NOT_FOUND);
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn a_trusted_core_names_the_caller() {
    let mut world = World::new();
    let asserted = "<sip:+19585550177@far.example;user=phone>, <tel:+19585550177>";
    world.far_end_invites_with(
        &[("P-Asserted-Identity", asserted)],
        "application/sdp",
        &offer_sdp(),
    );
    assert_eq!(world.told(), ["bob: invited by tel:+19585550177 \"\""]);
}

#[test]
fn an_invite_that_expires_has_met_no_reaction() {
    let mut world = World::new();
    world.far_end_invites_with(&[("Expires", "20")], "application/sdp", &offer_sdp());
    world.told();
    world.wait(Duration::from_secs(20));
    assert_eq!(world.told(), ["bob: SessionEnded (timeout invitation)"]);
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn the_same_invite_again_is_told_once() {
    let mut world = World::new();
    let invite = world.far_end_invites("application/sdp", &offer_sdp());
    world.far_end_sends(&invite.into());
    assert_eq!(world.told(), ["bob: invited by sip:carol@far.example \"Hello\""]);
    assert_eq!(world.sessions().len(), 1);
}

const CPIM: &str = "From: <sip:carol@far.example>\r\nTo: <sip:bob@example.com>\r\n\
    NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: first1\r\n\
    imdn.Disposition-Notification: positive-delivery\r\n\r\n\
    Content-Type: text/plain\r\n\r\nFirst";
