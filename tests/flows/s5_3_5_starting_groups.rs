//! TS Chat 5.3.5: starting a group chat, Figure 5; and 5.3.6: cancelling it.

use chatbridge::bridge::InviteMode;
use chatbridge::chat::{Answer, Command, ParticipantStatus, Refusal};
use chatbridge::sip::Method;

use crate::NOTHING;
use crate::focus::{CAROL, DAVE, ROOM, Room, user, world};
use crate::world::{ALICE, BOB, address};

#[test]
fn a_group_is_asked_for_with_a_list_and_watched_once_it_stands() {
    let mut world = world(|_| {});
    let session = world.open_group(&[BOB, CAROL]).expect("a good invitation");
    assert!(world.told().is_empty(), "nothing before the focus has answered");
    let invite = world.far_end_got(&Method::Invite);
    assert_eq!(invite.uri.to_string(), "sip:conference-factory@example.com");
    assert_eq!(invite.headers.get("Require"), Some("recipient-list-invite"));
    assert_eq!(invite.headers.get("Subject"), Some("Trip"));
    let body = String::from_utf8_lossy(&invite.body);
    for part in [
        "Content-Disposition: recipient-list\r\n",
        "<entry uri=\"sip:+19585550101@example.com;user=phone\" cp:copyControl=\"to\"/>",
        "<entry uri=\"sip:+447700900003@example.com;user=phone\" cp:copyControl=\"to\"/>",
        "m=message",
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
    let Ok(Answer::Group(info)) = world.ask(&session, Command::Describe) else { panic!() };
    let all: Vec<_> = info.participants.iter().map(|it| it.status).collect();
    assert_eq!(all, [ParticipantStatus::Invited; 3]);
    assert!(info.participants[0].is_originator && info.participants[0].your_own);
    world.focus_accepts(&invite);
    assert_eq!(
        world.told(),
        ["alice: alice Connected (own), bob Invited, tel:+447700900003 Invited"]
    );
    let subscribe = world.far_end_got(&Method::Subscribe);
    assert_eq!(subscribe.uri.to_string(), ROOM);
    assert_eq!(subscribe.headers.get("Event"), Some("conference"));
    assert_eq!(subscribe.headers.get("Accept"), Some("application/conference-info+xml"));
    assert_eq!(subscribe.expires(), Some(3600));
}

/// Figure 5, step 2.
#[test]
fn who_comes_and_who_does_not_is_told_as_the_focus_says() {
    let mut room = Room::open();
    let all = [user("sip:+19585550100@x", "connected"), user(BOB, "alerting")].concat();
    assert_eq!(room.notify("full", 1, &all), 200);
    assert_eq!(room.told(), NOTHING);
    room.notify("partial", 2, &user("sip:+19585550101@ims.example;user=phone;gr=x", "connected"));
    assert_eq!(room.told(), ["alice: bob Connected"]);
    room.notify("partial", 3, &crate::focus::gone(CAROL, "failed", "SIP;cause=603"));
    assert_eq!(room.told(), ["alice: tel:+447700900003 Disconnected"]);
    let shown: Vec<_> = room.participants().into_iter().map(|it| it.party.address).collect();
    assert_eq!(shown, [address(ALICE), address(BOB)]);
}

#[test]
fn a_group_is_cancelled_before_the_focus_has_taken_it() {
    let mut world = world(|_| {});
    let session = world.open_group(&[BOB]).expect("a good invitation");
    let invite = world.far_end_got(&Method::Invite);
    world.far_end_answers(&invite, 180, &[], None);
    assert_eq!(world.ask(&session, Command::End), Ok(Answer::Done));
    assert_eq!(world.ask(&session, Command::End), Err(Refusal::NoSession));
    world.far_end_got(&Method::Cancel);
    world.far_end_answers(&invite, 487, &[], None);
    assert_eq!(world.told(), ["alice: SessionCancelled (SIP CANCEL)"]);
    assert_eq!(world.ask(&session, Command::Describe), Err(Refusal::NoSession));
    world.demand_rest();
}

/// Signalling 2.2: nobody declines a group.
#[test]
fn a_focus_that_refuses_ends_the_session() {
    for (code, phrase) in [(403, "Forbidden"), (404, "Not Found"), (486, "Busy Here")] {
        let mut world = world(|_| {});
        world.open_group(&[BOB]).expect("a good invitation");
        let invite = world.far_end_got(&Method::Invite);
        world.far_end_answers(&invite, code, &[], None);
        assert_eq!(world.told(), [format!("alice: SessionEnded (SIP {code} {phrase})")]);
        world.demand_rest();
    }
    let mut world = world(|_| {});
    world.open_group(&[BOB]).expect("a good invitation");
    let invite = world.far_end_got(&Method::Invite);
    let refused = [("P-Refused-URI-List", "sip:x@y;members=<cid:1@y>")];
    world.far_end_answers(&invite, 403, &refused, None);
    let told =
        "alice: SessionEnded (SIP 403 Forbidden; P-Refused-URI-List: sip:x@y;members=<cid:1@y>)";
    assert_eq!(world.told(), [told]);
}

/// RFC 5366 section 4.2, RFC 4579 section 5.5.
#[test]
fn a_focus_without_lists_is_told_of_each_by_refer() {
    let mut world = world(|group| group.invite_mode = InviteMode::Auto);
    world.unsubscribe(BOB);
    let session = world.open_group(&[BOB, CAROL]).expect("a good invitation");
    let invite = world.far_end_got(&Method::Invite);
    world.far_end_answers(&invite, 420, &[("Unsupported", "recipient-list-invite")], None);
    let invite = world.far_end_got(&Method::Invite);
    assert_eq!(invite.content_type(), Some("application/sdp"));
    assert!(!invite.headers.has("Require"));
    world.focus_accepts(&invite);
    assert_eq!(world.told(), ["alice: alice Connected (own)"]);
    let mut room = Room::adopt(world, session, invite);
    room.take_subscription();
    let refers = room.got_all(&Method::Refer);
    let to: Vec<_> = refers.iter().filter_map(|refer| refer.headers.get("Refer-To")).collect();
    assert_eq!(
        to,
        ["<sip:+19585550101@example.com;user=phone>", "<sip:+447700900003@example.com;user=phone>"]
    );
    for refer in &refers {
        room.reply(refer, 202, &[("Refer-Sub", "false")]);
    }
    assert_eq!(room.told(), NOTHING, "the conference package tells it");
    room.notify("full", 1, &[user(BOB, "dialing-out"), user(CAROL, "dialing-out")].concat());
    assert_eq!(room.told(), ["alice: bob Invited, tel:+447700900003 Invited"]);
}

#[test]
fn a_list_only_bridge_does_not_fall_back() {
    let mut world = world(|group| group.invite_mode = InviteMode::List);
    world.open_group(&[BOB]).expect("a good invitation");
    let invite = world.far_end_got(&Method::Invite);
    world.far_end_answers(&invite, 420, &[("Unsupported", "recipient-list-invite")], None);
    assert_eq!(world.told(), ["alice: SessionEnded (SIP 420 Bad Extension)"]);
}

#[test]
fn a_silent_focus_is_a_timeout_and_the_invite_is_taken_back() {
    let mut world = world(|_| {});
    world.open_group(&[BOB]).expect("a good invitation");
    world.wait(std::time::Duration::from_secs(40));
    assert_eq!(world.told(), ["alice: SessionEnded (timeout invitation)"]);
    world.demand_rest();
}

#[test]
fn too_many_and_none_are_no_group() {
    let mut world = world(|group| group.participants = 2);
    let many = world.open_group(&[BOB, DAVE]);
    assert_eq!(many.err(), Some(Refusal::TooMany { limit: 2 }));
    assert!(matches!(world.open_group(&[ALICE]), Err(Refusal::BadAddress { .. })));
}
