//! Adding and removing participants with REFER: signalling 1.8 and 2.6.

use std::time::Duration;

use chatbridge::bridge::ReferMode;
use chatbridge::chat::{Answer, Command, ParticipantStatus, Refusal};
use chatbridge::sip::Method;

use crate::NOTHING;
use crate::focus::{CAROL, DAVE, ROOM, Room, gone, newcomer, user};
use crate::world::{ALICE, BOB};

fn add(room: &mut Room, who: &[&str]) -> chatbridge::chat::AnswerId {
    room.begin(Command::Join(who.iter().map(|who| newcomer(who)).collect()))
}

#[test]
fn one_is_added_with_a_refer_in_the_dialog() {
    let mut room = Room::open();
    let answer = add(&mut room, &[DAVE]);
    let refer = room.got(&Method::Refer);
    assert_eq!(refer.call_id(), room.invite.call_id());
    for (name, value) in [
        ("Refer-To", "<sip:+447700900004@example.com;user=phone>"),
        ("Refer-Sub", "false"),
        ("Referred-By", "<sip:+19585550100@example.com;user=phone>"),
        ("Subject", "Trip"),
    ] {
        assert_eq!(refer.headers.get(name), Some(value));
    }
    room.reply(&refer, 202, &[("Refer-Sub", "false")]);
    let Some(Ok(Answer::Participant(dave))) = room.world.late(answer) else { panic!() };
    assert_eq!((dave.party.address.spelling(), dave.status), (DAVE, ParticipantStatus::Invited));
    assert_eq!(room.told(), NOTHING);
    room.notify("full", 1, &user("sip:+447700900004@x;user=phone", "pending"));
    assert_eq!(room.told(), ["alice: tel:+447700900004 Invited"]);
    assert_eq!(room.id_of(DAVE), dave.id);
    room.notify("partial", 2, &gone(DAVE, "busy", ""));
    assert_eq!(room.told(), ["alice: tel:+447700900004 Disconnected"]);
    let shown = room.ask(Command::ShowParticipant(dave.id));
    assert_eq!(shown, Err(Refusal::NoParticipant));
}

#[test]
fn many_are_added_with_one_refer_and_a_list() {
    let mut room = Room::open();
    let answer = add(&mut room, &[DAVE, "tel:+447700900005", BOB]);
    let refer = room.got(&Method::Refer);
    assert_eq!(refer.headers.get("Require"), Some("multiple-refer, norefersub"));
    assert_eq!(refer.headers.get("Content-Disposition"), Some("recipient-list"));
    let id = refer.headers.get("Content-ID").expect("a name").to_owned();
    let to = refer.headers.get("Refer-To").expect("a pointer").to_owned();
    assert_eq!(to, format!("<cid:{}>", id.trim_matches(['<', '>'])));
    let body = String::from_utf8_lossy(&refer.body);
    assert_eq!(body.matches("<entry").count(), 2, "Bob is invited already: {body}");
    room.reply(&refer, 202, &[]);
    assert_eq!(room.world.late(answer), Some(Ok(Answer::UnderWay)));
    // Nobody new: they are told as they stand.
    let known = room.ask(Command::Join(vec![newcomer(BOB), newcomer(CAROL)]));
    assert!(matches!(known, Ok(Answer::Participants(all)) if all.len() == 5));
}

#[test]
fn a_focus_that_does_not_know_lists_is_told_one_by_one_and_then_outside_of_the_dialog() {
    let mut room = Room::open();
    let answer = add(&mut room, &[DAVE, "tel:+447700900005"]);
    let refer = room.got(&Method::Refer);
    room.reply(&refer, 420, &[("Unsupported", "multiple-refer")]);
    let each = room.got_all(&Method::Refer);
    assert_eq!(each.len(), 2);
    assert!(each.iter().all(|refer| refer.call_id() == room.invite.call_id()));
    room.reply(&each[0], 202, &[("Refer-Sub", "false")]);
    room.reply(&each[1], 405, &[]);
    let outside = room.got(&Method::Refer);
    assert_ne!(outside.call_id(), room.invite.call_id());
    assert_eq!(outside.uri.to_string(), ROOM);
    room.reply(&outside, 405, &[]);
    // One is on the way, the other is not wanted, of which a notice tells.
    assert_eq!(room.world.late(answer), Some(Ok(Answer::UnderWay)));
    assert_eq!(room.told(), ["alice: tel:+447700900005 Disconnected"]);
}

#[test]
fn a_refer_may_stand_outside_of_the_dialog() {
    let mut room = Room::open_with(|group| group.refer_mode = ReferMode::OutOfDialog);
    let answer = add(&mut room, &[DAVE]);
    let refer = room.got(&Method::Refer);
    assert_ne!(refer.call_id(), room.invite.call_id());
    assert_eq!(refer.to_tag(), None);
    room.reply(&refer, 202, &[("Refer-Sub", "false")]);
    assert!(matches!(room.world.late(answer), Some(Ok(Answer::Participant(_)))));
}

/// A group may last for months: what is over is forgotten, however it has ended.
#[test]
fn the_dialogs_of_refers_that_are_over_are_forgotten() {
    let mut room = Room::open_with(|group| group.refer_mode = ReferMode::OutOfDialog);
    room.notify("full", 1, &user(BOB, "connected"));
    let before = room.world.routes();
    for number in 10..20 {
        let answer = add(&mut room, &[&format!("tel:+4477009000{number}")]);
        let refer = room.got(&Method::Refer);
        let (code, headers) = match number % 2 {
            0 => (202, &[("Refer-Sub", "false")][..]),
            _ => (403, &[][..]),
        };
        room.reply(&refer, code, headers);
        assert!(room.world.late(answer).is_some());
    }
    room.world.wait(Duration::from_secs(64));
    assert_eq!(room.world.routes(), before);
}

#[test]
fn what_the_focus_refuses_is_told_with_the_answer() {
    for code in [403, 404, 484, 500, 603] {
        let mut room = Room::open();
        let answer = add(&mut room, &[DAVE]);
        let refer = room.got(&Method::Refer);
        room.reply(&refer, code, &[]);
        let refusal = room.world.late(answer).expect("an answer").expect_err("a refusal");
        match code {
            404 | 484 => assert!(matches!(refusal, Refusal::BadAddress { .. }), "{refusal:?}"),
            500 => assert!(matches!(refusal, Refusal::Unavailable { .. }), "{refusal:?}"),
            _ => {
                assert!(matches!(&refusal, Refusal::Denied { why } if why.contains("SIP")));
            }
        }
        assert_eq!(room.participants().len(), 3, "who is not wanted was never there");
        assert_eq!(room.told(), NOTHING);
    }
}

#[test]
fn the_application_waits_three_seconds_and_hears_the_rest_as_a_notice() {
    let mut room = Room::open();
    let answer = add(&mut room, &[DAVE]);
    let refer = room.got(&Method::Refer);
    room.world.wait(Duration::from_secs(3));
    assert_eq!(room.world.late(answer), Some(Ok(Answer::UnderWay)));
    room.reply(&refer, 404, &[]);
    assert_eq!(room.told(), ["alice: tel:+447700900004 Disconnected"]);
}

#[test]
fn one_is_removed_with_a_refer_that_says_bye() {
    let mut room = Room::open();
    room.notify("full", 1, &user(BOB, "connected"));
    room.told();
    let bob = room.id_of(BOB);
    let answer = room.begin(Command::Part(bob.clone()));
    let refer = room.got(&Method::Refer);
    let to = "<sip:+19585550101@example.com;user=phone;method=BYE>";
    assert_eq!(refer.headers.get("Refer-To"), Some(to));
    room.reply(&refer, 202, &[("Refer-Sub", "false")]);
    assert_eq!(room.world.late(answer), Some(Ok(Answer::Done)));
    room.notify("partial", 2, &gone(BOB, "booted", ""));
    assert_eq!(room.told(), ["alice: bob Disconnected"]);
    assert_eq!(room.ask(Command::Part(bob)), Err(Refusal::NoParticipant));
}

/// RFC 3515 section 2.4.4: a focus that does not know norefersub tells how it goes, and is answered.
#[test]
fn without_the_package_the_refer_itself_tells() {
    let mut world = crate::focus::world(|_| {});
    world.unsubscribe(BOB);
    let session = world.open_group(&[BOB]).expect("a good invitation");
    let invite = world.far_end_got(&Method::Invite);
    world.focus_accepts(&invite);
    let mut room = Room::adopt(world, session, invite.clone());
    let subscribe = room.got(&Method::Subscribe);
    room.reply(&subscribe, 489, &[]);
    room.told();
    let answer = add(&mut room, &[CAROL]);
    let refer = room.got(&Method::Refer);
    room.reply(&refer, 202, &[]);
    assert!(matches!(room.world.late(answer), Some(Ok(Answer::Participant(_)))));
    assert_eq!(room.told(), ["alice: tel:+447700900003 Invited"]);
}

#[test]
fn who_leaves_waits_for_no_refer() {
    let mut room = Room::open();
    let answer = add(&mut room, &[DAVE]);
    let own = room.id_of(ALICE);
    assert_eq!(room.ask(Command::Part(own)), Ok(Answer::Done));
    assert!(matches!(room.world.late(answer), Some(Err(Refusal::NotNow { .. }))));
}

/// A REFER that has waited for its turn names those who are still to come.
#[test]
fn who_has_gone_while_a_list_waits_is_left_out_of_it() {
    let mut room = Room::open();
    let number = |last: u32| format!("tel:+4477009001{last:02}");
    for last in 0..8 {
        add(&mut room, &[&number(last)]);
    }
    let answer = add(&mut room, &[DAVE, "tel:+447700900005"]);
    let waiting = room.got_all(&Method::Refer);
    assert_eq!(waiting.len(), 8, "no more at a time");
    room.notify("full", 1, &user(DAVE, "alerting"));
    room.notify("partial", 2, &gone(DAVE, "busy", ""));
    room.told();
    room.reply(&waiting[0], 202, &[("Refer-Sub", "false")]);
    let refer = room.got(&Method::Refer);
    let to = refer.headers.get("Refer-To");
    assert_eq!(to, Some("<sip:+447700900005@example.com;user=phone>"));
    room.reply(&refer, 202, &[("Refer-Sub", "false")]);
    assert_eq!(room.world.late(answer), Some(Ok(Answer::UnderWay)));
}
