//! The classic mistakes of SIP stacks that only a bridge can make; `tests/sip/mistakes` has the
//! others, and counts these.

use chatbridge::chat::Command;
use chatbridge::sip::{Method, Request};

use crate::NOTHING;
use crate::far_end::offer_sdp;
use crate::world::{ALICE, BOB, World};

#[test]
fn m27_a_redirection_is_followed_denied_or_comes_to_an_end() {
    // Followed, in a call of its own.
    let mut world = World::facing_far_end();
    let (_, invite) = world.invite_far_end();
    world.far_end_answers(&invite, 302, &moved("<sip:else@127.0.0.1:5090;x=y>"), None);
    let again = world.far_end_got(&Method::Invite);
    assert_eq!(again.uri.to_string(), "sip:else@127.0.0.1:5090;x=y");
    assert_ne!(again.call_id(), invite.call_id());
    world.far_end_accepts(&again);
    assert_eq!(world.told(), ["alice: Accepted (SIP 200 OK)"]);
    // Denied: where redirections are not wanted, and where they lead nowhere that we could go.
    for (redirects, contact) in
        [(0, "<sip:else@127.0.0.1:5090>"), (5, "<mailto:bob@example.com>"), (5, "*")]
    {
        let mut world = World::with(|settings| {
            settings.core = Some(crate::far_end::far_hop());
            settings.redirects = redirects;
        });
        let (_, invite) = world.invite_far_end();
        world.far_end_answers(&invite, 301, &moved(contact), None);
        assert_eq!(world.told(), ["alice: SessionEnded (SIP 301 Moved Permanently)"], "{contact}");
        world.demand_rest();
    }
    // Limited.
    let mut world = World::facing_far_end();
    let (_, mut invite) = world.invite_far_end();
    for number in 0..5 {
        let next = format!("<sip:bob{number}@127.0.0.1:5090>");
        world.far_end_answers(&invite, 302, &moved(&next), None);
        invite = world.far_end_got(&Method::Invite);
    }
    world.far_end_answers(&invite, 302, &moved("<sip:bob9@127.0.0.1:5090>"), None);
    assert_eq!(world.told(), ["alice: SessionEnded (SIP 302 Moved Temporarily)"]);
    world.demand_rest();
}

fn moved(contact: &str) -> [(&'static str, &str); 1] {
    [("Contact", contact)]
}

#[test]
fn m39_nothing_of_one_leg_is_found_in_another() {
    let mut world = World::facing_far_end();
    let theirs = [
        ("Route", "<sip:leak.example;lr>"),
        ("Record-Route", "<sip:127.0.0.1:5090;lr;leak>"),
        ("Require", "100rel"),
        ("Authorization", "Digest username=\"leak\""),
        ("Proxy-Authorization", "Digest username=\"leak\""),
        ("P-Charging-Vector", "icid-value=leak"),
        ("X-Leak", "leak"),
    ];
    let incoming = world.far_end_invites_with(&theirs, "application/sdp", &offer_sdp());
    let bobs = world.invited(BOB);
    world.order(&bobs, Command::Accept).expect("accepted");
    let accepted = world.far_end_heard(&Method::Invite);
    world.far_end_goes_on(&accepted, (Method::Ack, 1), &[]);
    let outgoing_session = world.invite(ALICE, BOB, "Another");
    let outgoing = world.far_end_got(&Method::Invite);
    assert_ne!(outgoing.call_id(), incoming.call_id());
    let tags = [&outgoing.from_tag(), &incoming.from_tag(), &accepted.to_tag()];
    assert!(tags[0] != tags[1] && tags[0] != tags[2], "{tags:?}");
    let branch =
        |request: &Request| request.via().ok().and_then(|via| via.branch().map(str::to_owned));
    assert_ne!(branch(&outgoing), branch(&incoming));
    assert_eq!(outgoing.headers.get("CSeq"), Some("1 INVITE"));
    for name in ["Record-Route", "Require", "RSeq", "Authorization", "Proxy-Authorization"] {
        assert!(!outgoing.headers.has(name), "{name}");
    }
    assert!(!String::from_utf8_lossy(&outgoing.encode()).contains("leak"));
    // Only what is meant to be told back is.
    let told = String::from_utf8_lossy(&accepted.encode()).replace("5090;lr;leak>", "");
    assert!(!told.contains("leak"), "{told}");
    // Each leg is hung up in its own words.
    world.order(&outgoing_session, Command::End).expect("ended");
    world.far_end_answers(&outgoing, 180, &[], None);
    let cancel = world.far_end_got(&Method::Cancel);
    assert_eq!(cancel.call_id(), outgoing.call_id());
    world.order(&bobs, Command::End).expect("ended");
    let bye = world.far_end_got(&Method::Bye);
    assert_eq!((bye.call_id(), bye.from_tag()), (incoming.call_id(), accepted.to_tag()));
}

#[test]
fn m39_when_both_sides_hang_up_at_once_both_legs_end() {
    let mut world = World::new();
    let (alices, bobs) = world.connect_users();
    world.begin_order(&alices, Command::End).expect("ended");
    world.begin_order(&bobs, Command::End).expect("ended");
    world.run();
    let sent = world.sent();
    let byes = |line: &&String| line.starts_with("bridge > im_server: BYE");
    let answers = |line: &&String| line.starts_with("bridge > im_server: 200 BYE");
    assert_eq!((sent.iter().filter(byes).count(), sent.iter().filter(answers).count()), (2, 2));
    assert_eq!(world.told(), ["alice: SessionEnded (SIP BYE)", "bob: SessionEnded (SIP BYE)"]);
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}
