//! Hostile input that only a whole bridge can be shown: `s07_…` is case S7. The other cases of SIP
//! are listed in `tests/sip/hardening.rs`.

use chatbridge::chat::{Command, ReportRequest};
use chatbridge::sip::{Method, Status};

use crate::NOTHING;
use crate::far_end::offer_sdp;
use crate::focus::{Room, user};
use crate::world::{BOB, World};

#[test]
fn s07_an_invitation_in_bad_parts_is_refused_and_nobody_hears_of_it() {
    let mixed = "multipart/mixed;boundary=b";
    let sdp = format!("Content-Type: application/sdp\r\n\r\n{}\r\n", offer_sdp());
    let nested = (0..50).fold(sdp.clone(), |inner, depth| {
        let outer = format!("n{depth}");
        format!(
            "Content-Type: multipart/mixed;boundary={outer}\r\n\r\n--{outer}\r\n{inner}\r\n\
             --{outer}--\r\n"
        )
    });
    for (content_type, body) in [
        ("multipart/mixed", format!("--\r\n{sdp}----")),
        ("multipart/mixed;boundary=\"\"", format!("--\r\n{sdp}----")),
        (mixed, "--b--\r\n".to_owned()),
        (mixed, format!("--b\r\n{sdp}")),
        (mixed, "--b\r\nContent-Type: application/sdp\r\nv=0\r\n--b--".to_owned()),
        (mixed, "--b\r\n\r\nx\r\n".repeat(1000) + "--b--"),
        (mixed, format!("--b\r\n{nested}\r\n--b--")),
        (mixed, "--b\r\nContent-Type: text/plain\r\n\r\nno description\r\n--b--".to_owned()),
    ] {
        let mut world = World::new();
        world.far_end_invites(content_type, &body);
        let refusal = world.far_end_heard(&Method::Invite).status;
        assert!(
            [Status::BAD_REQUEST, Status::NOT_ACCEPTABLE_HERE].contains(&refusal),
            "{body:.60}"
        );
        world.demand_rest();
        assert_eq!(world.told(), NOTHING, "{body:.60}");
    }
    // A part that nobody understands does no harm beside one that is understood.
    let mut world = World::new();
    let body = format!(
        "--b\r\nContent-Type: application/x-odd\r\nContent-Disposition: x;handling=optional\r\n\
         Content-Transfer-Encoding: binary\r\n\r\n\0\u{1}\r\n--b\r\n{sdp}\r\n--b--"
    );
    world.far_end_invites(mixed, &body);
    let bobs = world.invited(BOB);
    world.order(&bobs, Command::Accept).expect("accepted");
    assert_eq!(world.far_end_heard(&Method::Invite).status, Status::OK);
}

/// Documents that are traps, with `root` as the element that is expected there; none is so large that
/// it would be refused before it is read.
fn traps(root: &str) -> Vec<Vec<u8>> {
    let attributes: String = (0..4_000).map(|number| format!(" a{number}=\"\"")).collect();
    let laughs = "<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">";
    let utf16 = format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?><{root}/>");
    let strange = [
        format!("<{root}>{}", "<a>".repeat(10_000)),
        format!("<{root}>{}{}</{root}>", "<a>".repeat(65), "</a>".repeat(65)),
        format!("<{root}{attributes}/>"),
        format!("<!DOCTYPE {root} [{laughs}]><{root}>&b;</{root}>"),
        format!("<{root}>&b;</{root}>"),
        format!("<{root}><users>"),
        format!("<{root} xmlns=\"urn:example:other\"/>"),
        String::new(),
    ];
    let mut traps: Vec<_> = strange.into_iter().map(String::into_bytes).collect();
    traps.push(utf16.encode_utf16().flat_map(u16::to_be_bytes).collect());
    traps.push(format!("<{root}>\u{fe}</{root}>").chars().map(|octet| octet as u8).collect());
    traps
}

#[test]
fn s09_a_state_that_is_a_trap_is_answered_and_changes_nothing() {
    let state = "active;expires=3600";
    for trap in traps("conference-info") {
        let mut room = Room::open();
        let code = room.notify_raw(state, Some(("application/conference-info+xml", &trap)));
        let shown = String::from_utf8_lossy(&trap[..trap.len().min(60)]).into_owned();
        assert!([200, 400].contains(&code), "{code} {shown}");
        assert_eq!(room.told(), NOTHING, "{shown}");
        // The operator is told, where it has come so far.
        let remark = "the state of the conference cannot be read, it is left as it was";
        let is_remarked = room.world.remarks.contains(&remark);
        assert_eq!(is_remarked, code == 200 && !trap.is_empty(), "{code} {shown}");
        // What can be read after it is.
        room.notify("full", 1, &user(BOB, "connected"));
        assert_eq!(room.told(), ["alice: bob Connected"], "{shown}");
    }
}

#[test]
fn s09_a_message_that_is_a_trap_is_passed_over_and_the_session_goes_on() {
    for (kind, root) in [
        ("application/im-iscomposing+xml", "isComposing"),
        ("message/imdn+xml", "imdn"),
        ("application/conference-info+xml", "conference-info"),
        ("application/pidf+xml", "presence"),
    ] {
        for trap in traps(root) {
            let Ok(trap) = String::from_utf8(trap) else { continue };
            let shown: String = trap.chars().take(60).collect();
            let mut world = World::facing_far_end();
            let (session, _) = world.talk_to_far_end();
            world.send(&session, "Hello", BOTH);
            world.told();
            let wrapped = format!(
                "From: <sip:bob@example.com>\r\nTo: <sip:alice@example.com>\r\n\r\n\
                 Content-Type: {kind}\r\nContent-Disposition: notification\r\n\r\n{trap}"
            );
            world.far_end_says(kind, &trap, false);
            world.far_end_says("message/cpim", &wrapped, false);
            assert_eq!(world.told(), NOTHING, "{kind} {shown}");
            world.far_end_says("text/plain", "Hi", false);
            assert_eq!(world.told(), ["alice: \"Hi\" from bob"], "{kind} {shown}");
        }
    }
}

const BOTH: ReportRequest = ReportRequest { delivered: true, displayed: true, failed: false };
