//! Coming in: the factory, rooms with a name, invitations.

use super::stage::*;
use crate::im_server::OriginatorLeaves;
use crate::payload::{ResourceList, multipart};
use crate::sip::Refer;

#[test]
fn a_list_at_the_factory_makes_a_room_of_those_who_accept() {
    let mut stage = Stage::new(4);
    stage.phone(3).manner = Manner::Refuses(603);
    stage.phone(4).manner = Manner::AcceptsPassively;
    let ids = [("Subject", "Hawaii trip"), ("Conversation-ID", "c1"), ("Contribution-ID", "c2")];
    let list = ResourceList::of(["tel:+195855501002".to_owned(), user(3), user(4), user(1)]);
    stage.call_with(1, FACTORY, Some(&list.write()), &ids);
    assert_eq!(stage.told(1), ["in false"]);
    let room = format!("<{}>", stage.phone(1).room);
    assert_eq!(stage.phone(1).asserted, Some(room), "those who are called are told who it is");
    assert_eq!(stage.told(2), ["invited"]);
    let invite = stage.phone(2).invited.clone().unwrap();
    let room = stage.phone(1).room.clone();
    assert!(room.starts_with("sip:conf-"), "{room}");
    assert_eq!(stage.phone(2).room, room, "the Contact of the INVITE is the room");
    assert!(
        invite.contact().unwrap().unwrap().param("isfocus").is_some()
            || invite.headers.get("Contact").unwrap().ends_with(";isfocus")
    );
    for (name, value) in [
        ("Subject", "Hawaii trip"),
        ("Conversation-ID", "c1"),
        ("Contribution-ID", "c2"),
        ("Referred-By", &from(1)),
        ("P-Asserted-Identity", &format!("<{room}>")),
    ] {
        assert_eq!(invite.headers.get(name), Some(value), "{name}");
    }
    assert!(!invite.headers.has("Require"));
    let parts = multipart::leaves(invite.content_type().unwrap(), invite.body.clone()).unwrap();
    let disposition = parts[1].header("Content-Disposition");
    assert_eq!(disposition, Some("recipient-list-history; handling=optional"));
    let others = ResourceList::parse(&parts[1].body).unwrap();
    let others: Vec<_> = others.entries.iter().map(|entry| entry.uri.as_str()).collect();
    assert_eq!(others, [user(1), user(3), user(4)], "the originator first, and not oneself");
    stage.say(1, "hello");
    assert_eq!(stage.told(2), ["001: hello"]);
    assert_eq!(stage.told(4), ["invited", "001: hello"]);
    assert_eq!(stage.told(3), ["invited"]);
}

/// `FreeSWITCH` takes no session-id of less than the 36 characters of a UUID.
#[test]
fn the_session_ids_of_a_room_are_as_long_as_peers_want_them() {
    let mut stage = Stage::new(3);
    stage.call(1, FACTORY, &[&user(2), &user(3)]);
    for number in 1..=3 {
        let session_id = &stage.phone(number).peer;
        assert!(session_id.len() >= 36, "{session_id}");
    }
}

#[test]
fn a_room_without_a_list_grows_by_calls_to_its_name() {
    let mut stage = Stage::new(3);
    for number in 1..=3 {
        stage.call(number, "sip:ROOM-tea@example.com", &[]);
        assert_eq!(stage.told(number), ["in false"]);
    }
    assert_eq!(stage.phone(3).room, "sip:room-tea@192.0.2.1:5060");
    stage.say(2, "tea?");
    assert_eq!(stage.told(1), ["002: tea?"]);
    assert_eq!(stage.told(3), ["002: tea?"]);
    for number in 1..=3 {
        stage.leave(number, None);
    }
    stage.wait(60);
    stage.call(2, "sip:room-tea@example.com", &[]);
    assert_eq!(stage.phone(2).told.last().unwrap(), "in false", "it begins anew");
}

#[test]
fn who_comes_again_takes_its_own_place() {
    let mut stage = Stage::new(3);
    stage.call(1, FACTORY, &[&user(2), &user(3)]);
    let room = stage.phone(1).room.clone();
    stage.watch(1);
    stage.told(1);
    // The phone has lost everything, and says nothing of it.
    stage.phone(2).leg = None;
    stage.phone(2).media = None;
    stage.told(2);
    stage.call(2, &room, &[]);
    assert_eq!(stage.told(2), ["in false"]);
    assert_eq!(stage.told(1), ["partial 2: 002 connected"], "only how it came in is other");
    stage.say(1, "back?");
    assert_eq!(stage.told(2), ["001: back?"]);
    // Its old call was ended: when nobody answers that is no news.
    stage.wait(40);
    assert_eq!(stage.told(1), ["id1 sent"]);
}

#[test]
fn strangers_stay_outside_and_a_room_that_is_gone_is_not_found() {
    let mut stage = Stage::new(3);
    stage.call(1, FACTORY, &[&user(2)]);
    let room = stage.phone(1).room.clone();
    stage.call(3, &room, &[]);
    let banned = "refused 403 399 chatbridge \"127 Service not authorised\"";
    assert_eq!(stage.told(3), [banned]);
    stage.call(3, "sip:conf-nothing@example.com", &[]);
    assert_eq!(stage.told(3), ["refused 404"]);
    stage.leave(2, None);
    assert_eq!(stage.told(1), ["in false", "bye SIP;cause=410;text=\"Gone\""]);
    stage.call(2, &room, &[]);
    assert_eq!(stage.told(2).last().unwrap(), "refused 404");
}

#[test]
fn invitations_end_in_every_way() {
    let mut stage =
        Stage::with(8, |focus| focus.invitation_wait = std::time::Duration::from_secs(60));
    for (number, manner) in [
        (3, Manner::Refuses(486)),
        (4, Manner::Refuses(600)),
        (5, Manner::Refuses(480)),
        (6, Manner::Rings),
        (7, Manner::Refuses(488)),
    ] {
        stage.phone(number).manner = manner;
    }
    let others: Vec<_> = (2..=7).map(user).collect();
    stage.call(1, FACTORY, &others.iter().map(String::as_str).collect::<Vec<_>>());
    stage.watch(1);
    let whole = "full 1: 001* connected, 002 connected, 006 dialing-out";
    assert_eq!(stage.told(1), ["in false", whole]);
    stage.wait(70);
    let late = "partial 2: 006 disconnected failed SIP;cause=408;text=\"Request Timeout\"";
    assert_eq!(stage.told(1), [late]);
    assert_eq!(stage.told(6), ["invited", "cancelled"]);
    // Nobody is there to be asked: the domain has no such user.
    stage.call(1, "sip:conference-factory@example.com", &["sip:nobody@example.org", &user(2)]);
    stage.watch(1);
    let lines = stage.told(1);
    assert!(
        lines.last().unwrap().starts_with("full 1: 001* connected, 002 connected"),
        "{lines:?}"
    );
}

#[test]
fn only_so_many_are_invited_at_a_time() {
    let mut stage = Stage::with(5, |focus| focus.max_invitations = 2);
    for number in 2..=5 {
        stage.phone(number).manner = Manner::Rings;
    }
    let others: Vec<_> = (2..=5).map(user).collect();
    stage.call(1, FACTORY, &others.iter().map(String::as_str).collect::<Vec<_>>());
    stage.watch(1);
    let whole =
        "full 1: 001* connected, 002 dialing-out, 003 dialing-out, 004 pending, 005 pending";
    assert_eq!(stage.told(1), ["in false", whole]);
    stage.decline(2, 603);
    let news = "partial 2: 002 disconnected failed SIP;cause=603;text=\"Decline\", 004 dialing-out";
    assert_eq!(stage.told(1), [news]);
}

#[test]
fn a_room_has_room_for_so_many_and_a_user_begins_so_many() {
    let mut stage = Stage::with(6, |focus| {
        focus.max_participants = 3;
        focus.max_rooms_per_user = 1;
        focus.max_rooms = 2;
    });
    let crowded = "refused 403 399 chatbridge \"Too many participants\"";
    stage.call(1, FACTORY, &[&user(2), &user(3), &user(4)]);
    assert_eq!(stage.told(1), [crowded]);
    stage.call(1, "sip:room-a@example.com", &[]);
    assert_eq!(stage.told(1), ["in false"]);
    stage.call(2, "sip:room-a@example.com", &[&user(3), &user(4)]);
    assert_eq!(stage.told(2), [crowded]);
    stage.call(1, FACTORY, &[&user(2)]);
    assert_eq!(stage.told(1), ["refused 403 399 chatbridge \"Too many chats\""]);
    stage.call(5, "sip:room-b@example.com", &[]);
    stage.call(6, "sip:room-c@example.com", &[]);
    assert_eq!(stage.told(6), ["refused 503"]);
}

#[test]
fn an_invite_without_an_offer_is_answered_with_one() {
    let mut stage = Stage::new(2);
    let mut invite = stage.request(1, "INVITE", "sip:room-x@example.com");
    assert_eq!(stage.knock("udp:127.0.0.1:5070", invite.clone()), 200);
    let offer = String::from_utf8_lossy(&stage.answers.last().unwrap().body).into_owned();
    assert!(
        offer.contains("a=setup:actpass") && offer.contains("a=chatroom:nickname private-messages")
    );
    // The same again is answered the same, and a second one by another way is none.
    assert_eq!(stage.knock("udp:127.0.0.1:5070", invite.clone()), 0, "absorbed");
    stage.wait(1);
    assert_eq!(stage.answers.last().unwrap().status.code(), 200, "until the ACK comes");
    invite.headers.set("Via", "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKother");
    assert_eq!(stage.knock("udp:127.0.0.1:5070", invite), 482);
}

#[test]
fn the_originator_may_matter() {
    for (policy, lines) in [
        (OriginatorLeaves::GoOn, vec!["invited"]),
        (OriginatorLeaves::End, vec!["invited", "bye SIP;cause=410;text=\"Gone\""]),
    ] {
        let mut stage = Stage::with(3, |focus| focus.originator_leaves = policy);
        stage.call(1, FACTORY, &[&user(2), &user(3)]);
        stage.leave(1, None);
        assert_eq!(stage.told(2), lines, "{policy:?}");
    }
}

/// Whom the originator has sent away nobody else brings back, by REFER or by INVITE.
#[test]
fn who_was_sent_away_is_not_brought_back_by_a_call() {
    let mut stage = Stage::new(4);
    stage.call(1, FACTORY, &[&user(2), &user(3)]);
    let room = stage.phone(1).room.clone();
    stage.refer_quietly(1, sent_away(3));
    (1..=3).for_each(|number| drop(stage.told(number)));
    stage.call(2, &room, &[&user(3), &user(4)]);
    assert_eq!(stage.told(2), ["refused 403"]);
    assert_eq!((stage.told(3), stage.told(4)), (vec![], vec![]));
    stage.call(1, &room, &[&user(3)]);
    assert_eq!(stage.told(3), ["invited"], "the originator may");
}

/// An answer of no use leaves no place behind: who is asked in again and sent away before its turn
/// is not invited.
#[test]
fn a_useless_answer_is_an_end() {
    let mut stage = Stage::with(4, |focus| focus.max_invitations = 1);
    stage.phone(3).manner = Manner::AcceptsUselessly;
    stage.phone(4).manner = Manner::Rings;
    stage.call(1, FACTORY, &[&user(2)]);
    stage.watch(2);
    stage.told(2);
    stage.refer(1, Refer::to(asked_in(3)));
    let unusable = "SIP;cause=488;text=\"Not Acceptable Here\"";
    assert_eq!(stage.told(3), ["invited".to_owned(), format!("bye {unusable}")]);
    let failed = format!("partial 3: 003 disconnected failed {unusable}");
    assert_eq!(stage.told(2), ["partial 2: 003 dialing-out".to_owned(), failed]);
    assert_eq!(stage.told(1).last().unwrap(), "Ended { last: Some(Status(488)) }");
    stage.refer_quietly(1, asked_in(4));
    stage.refer_quietly(1, asked_in(3));
    stage.refer_quietly(1, sent_away(3));
    stage.decline(4, 486);
    assert_eq!(stage.told(3), [""; 0]);
}
