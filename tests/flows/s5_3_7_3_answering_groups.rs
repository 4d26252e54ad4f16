//! TS Chat 5.3.7.3 and 5.3.7.4: accepting and declining a group invitation, Figures 9 and 10.

use std::time::Duration;

use chatbridge::chat::{Answer, Command, NoticeKind, Participant, Refusal};
use chatbridge::ids::ParticipantId;
use chatbridge::sip::Method;

use crate::NOTHING;
use crate::focus::{CAROL, ROOM, world};
use crate::world::{BOB, World, address};

const NOBODY: &str = "sip:anonymous@anonymous.invalid";

const LIST: &str = "<entry uri=\"tel:+447700900003\"/><entry uri=\"tel:+447700900004\"/>\
                    <entry uri=\"sip:+19585550101@example.com;user=phone\"/>";

fn invitation(world: &mut World) -> Vec<Participant> {
    let notices = world.take_notices();
    let [notice] = &notices[..] else { panic!("one notice, not {notices:?}") };
    let NoticeKind::GroupInvited { participants, .. } = &notice.kind else {
        panic!("no invitation: {notice:?}")
    };
    participants.clone()
}

fn own(participants: &[Participant]) -> ParticipantId {
    participants.iter().find(|it| it.your_own).expect("an entry of Bob's").id.clone()
}

#[test]
fn figure_9_a_group_invitation_is_accepted() {
    let mut world = world(|_| {});
    world.focus_invites(&[("Referred-By", "\"Carol\" <tel:+447700900003>")], Some(LIST));
    let session = world.invited(BOB);
    assert_eq!(
        world.told_but_kept(),
        ["bob: invited to \"Hike\" with tel:+447700900003 Connected, tel:+447700900004 Invited, \
          bob Invited (own)"]
    );
    let participants = invitation(&mut world);
    assert!(participants[0].is_originator);
    assert_eq!(participants[0].party.name.as_deref(), Some("Carol"));
    let own = own(&participants);
    assert_eq!(world.ask(&session, Command::AcceptAs(own.clone())), Ok(Answer::Done));
    let accepted = world.far_end_heard(&Method::Invite);
    assert_eq!(accepted.status.code(), 200);
    assert_eq!(world.told(), ["bob: bob Connected (own)"]);
    // Who else is there is asked for.
    let subscribe = world.far_end_got(&Method::Subscribe);
    assert_eq!(subscribe.uri.to_string(), ROOM);
    let again = world.ask(&session, Command::AcceptAs(own));
    assert!(matches!(again, Err(Refusal::NotNow { .. })));
}

#[test]
fn figure_10_a_group_invitation_is_declined() {
    let mut world = world(|_| {});
    world.focus_invites(&[("Referred-By", "<tel:+447700900003>")], Some(LIST));
    let session = world.invited(BOB);
    let own = own(&invitation(&mut world));
    assert_eq!(world.ask(&session, Command::Part(own)), Ok(Answer::Done));
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 603);
    assert_eq!(world.told(), ["bob: SessionEnded (declined by the user)"]);
    assert_eq!(world.ask(&session, Command::Describe), Err(Refusal::NoSession));
    world.demand_rest();
}

#[test]
fn who_does_not_react_is_told_that_it_is_over() {
    let mut world = world(|_| {});
    world.focus_invites(&[], None);
    invitation(&mut world);
    world.wait(Duration::from_secs(200));
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 480);
    assert_eq!(world.told(), ["bob: SessionEnded (timeout invitation)"]);
    world.demand_rest();
}

#[test]
fn a_withdrawn_invitation_is_cancelled() {
    let mut world = world(|_| {});
    let invite = world.focus_invites(&[], None);
    invitation(&mut world);
    world.far_end_cancels(&invite, None);
    assert_eq!(world.told(), ["bob: SessionCancelled (SIP CANCEL)"]);
    world.demand_rest();
}

/// Signalling 1.4, item 8: Referred-By, the asserted identity, the first of the list.
#[test]
fn the_originator_is_who_has_referred_or_asserts_or_stands_first() {
    let first_of = |trusted, room: &str, headers: &[(&str, &str)], list: Option<&str>| {
        let mut world = world(|_| {});
        world.trusts_far_end = trusted;
        world.focus_invites_from((room, room), headers, list);
        let all = invitation(&mut world);
        assert!(all.len() >= 2 && all[0].is_originator);
        all[0].party.address.spelling().to_owned()
    };
    let first = |headers: &[(&str, &str)], list| first_of(true, ROOM, headers, list);
    let carol = ("Referred-By", "<tel:+447700900003>");
    let dave = ("P-Asserted-Identity", "<tel:+447700900004>");
    let room = ("P-Asserted-Identity", "<sip:room1@127.0.0.1:5090>");
    assert_eq!(first(&[carol, dave], Some(LIST)), CAROL);
    assert_eq!(first(&[dave], Some(LIST)), "tel:+447700900004");
    assert_eq!(first(&[room], Some(LIST)), CAROL);
    assert_eq!(first(&[room], None), "sip:room1@127.0.0.1");
    // Whom a stranger names has not invited anybody.
    assert_eq!(first_of(false, ROOM, &[carol, dave], None), "sip:room1@127.0.0.1");
    // A number is nobody's focus, and speaks for itself.
    let daves = "sip:+447700900004@192.0.2.7;user=phone";
    assert_eq!(first_of(true, daves, &[dave], Some(LIST)), "tel:+447700900004");
}

/// Whoever calls itself what it is not speaks for itself: on one machine a user and a focus may be
/// told apart by their ports alone, and who does not want to be known is no focus.
#[test]
fn who_is_not_the_focus_itself_speaks_for_itself() {
    let of_mallory = "<sip:mallory@127.0.0.1>";
    for (contact, headers, originator) in [
        ("sip:anonymous@anonymous.invalid", &[("Privacy", "id")][..], NOBODY),
        ("sip:mallory@127.0.0.1", &[], CAROL),
        ("sip:mallory@127.0.0.1;transport=tcp", &[], CAROL),
        ("sip:mallory@127.0.0.1:5060", &[], CAROL),
        ("sips:mallory@127.0.0.1", &[], "sip:mallory@127.0.0.1"),
        ("sip:mallory@127.0.0.1:9999", &[], "sip:mallory@127.0.0.1"),
    ] {
        let mut world = world(|_| {});
        let mut all = vec![("P-Asserted-Identity", of_mallory)];
        all.extend(headers);
        world.focus_invites_from(("sip:mallory@127.0.0.1", contact), &all, Some(LIST));
        let all = invitation(&mut world);
        assert_eq!(all[0].party.address.spelling(), originator, "{contact}");
    }
}

#[test]
fn an_invitation_without_a_usable_stream_is_refused_unheard() {
    let mut world = world(|_| {});
    world.unsubscribe(BOB);
    world.focus_invites(&[], None);
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 480);
    assert_eq!(world.told(), NOTHING);
    world.demand_rest();
    assert_eq!(address(BOB), address("+19585550101"));
}

/// The user has a place of its own in a table that the list would fill.
#[test]
fn an_invitation_that_names_more_than_there_is_room_for_is_answered_all_the_same() {
    let entry = |last: u32| format!("<entry uri=\"tel:+4477009000{last:02}\"/>");
    let list: String = (3..9).map(entry).collect();
    let mut world = world(|group| group.participants = 3);
    world.focus_invites(&[("Referred-By", "<tel:+447700900003>")], Some(&list));
    let session = world.invited(BOB);
    let participants = invitation(&mut world);
    assert_eq!(participants.len(), 3);
    assert!(participants[0].is_originator);
    let own = own(&participants);
    assert_eq!(world.ask(&session, Command::AcceptAs(own)), Ok(Answer::Done));
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 200);
    assert_eq!(world.told(), ["bob: bob Connected (own)"]);
}
