//! What the conference package tells, and what becomes of the subscription to it (RFC 4575, RFC
//! 6665): signalling 1.9 and 2.5.

use std::time::Duration;

use chatbridge::chat::{Answer, Command};
use chatbridge::sip::Method;

use crate::NOTHING;
use crate::far_end::answer_sdp;
use crate::focus::{CAROL, DAVE, ROOM, Room, gone, newcomer, user, user_with};
use crate::world::{ALICE, BOB};

/// RFC 6665 section 4.4.1: the NOTIFY makes the dialog, whatever comes first.
#[test]
fn a_notify_may_come_before_the_200() {
    let mut world = crate::focus::world(|_| {});
    world.unsubscribe(BOB);
    let session = world.open_group(&[BOB]).expect("a good invitation");
    let invite = world.far_end_got(&Method::Invite);
    world.focus_accepts(&invite);
    let mut room = Room::adopt(world, session, invite);
    let subscribe = room.got(&Method::Subscribe);
    room.subscribe = Some(subscribe.clone());
    room.told();
    assert_eq!(room.notify("full", 1, &user(BOB, "connected")), 200);
    assert_eq!(room.told(), ["alice: bob Connected"]);
    room.reply(&subscribe, 200, &[("Expires", "3600")]);
    room.notify("partial", 2, &user(BOB, "on-hold"));
    assert_eq!(room.told(), NOTHING, "on-hold is connected");
}

#[test]
fn a_gap_asks_for_all_and_twice_in_vain_it_is_taken_all_the_same() {
    let mut room = Room::open();
    room.notify("full", 1, &user(BOB, "connected"));
    room.told();
    for version in [3, 4] {
        room.notify("partial", version, &user(CAROL, "connected"));
        assert_eq!(room.told(), NOTHING);
        let refresh = room.got(&Method::Subscribe);
        assert!(refresh.to_tag().is_some(), "a refresh, in the same dialog");
        room.reply(&refresh, 200, &[("Expires", "3600")]);
    }
    room.notify("partial", 5, &user(CAROL, "connected"));
    assert_eq!(room.told(), ["alice: tel:+447700900003 Connected"]);
    // What is old is old.
    room.notify("partial", 5, &gone(CAROL, "departed", ""));
    room.notify("full", 4, "");
    assert_eq!(room.told(), NOTHING);
}

#[test]
fn all_of_the_state_mends_a_gap() {
    let mut room = Room::open();
    room.notify("full", 1, &user(BOB, "connected"));
    room.told();
    room.notify("partial", 7, &user(CAROL, "connected"));
    let refresh = room.got(&Method::Subscribe);
    room.reply(&refresh, 200, &[("Expires", "3600")]);
    room.notify("full", 8, &[user(BOB, "connected"), user(CAROL, "connected")].concat());
    assert_eq!(room.told(), ["alice: tel:+447700900003 Connected"]);
}

#[test]
fn users_vanish_without_a_word_and_have_several_devices() {
    let mut room = Room::open();
    let devices = format!(
        "<user entity=\"{BOB}\"><endpoint entity=\"a\"><status>disconnected</status></endpoint>\
         <endpoint entity=\"b\"><status>connected</status></endpoint></user>"
    );
    room.notify("full", 1, &[devices, user(DAVE, "connected")].concat());
    assert_eq!(room.told(), ["alice: bob Connected, tel:+447700900004 Connected"]);
    room.notify("full", 2, &user(BOB, "connected"));
    assert_eq!(room.told(), ["alice: tel:+447700900004 Disconnected"]);
    let deleted = format!("<user entity=\"{BOB}\" state=\"deleted\"/>");
    room.notify("partial", 3, &deleted);
    assert_eq!(room.told(), ["alice: bob Disconnected"]);
}

#[test]
fn who_never_reacted_is_not_mentioned_unless_wanted() {
    for (report, told) in [(false, None), (true, Some("alice: bob Disconnected"))] {
        let mut room = Room::open_with(|group| group.report_failed_invitees = report);
        room.notify("full", 1, &user(BOB, "alerting"));
        room.notify("partial", 2, &gone(BOB, "failed", "SIP;cause=408;text=\"x\""));
        assert_eq!(room.told(), Vec::from_iter(told));
    }
}

#[test]
fn the_user_itself_is_known_by_its_mark_and_by_its_number() {
    let mut room = Room::open();
    let marked = user_with(
        "sip:anonymous-7@as.ims.example",
        "yourown=\"true\"",
        "<status>connected</status>",
    );
    room.notify("full", 1, &[marked, user(BOB, "connected")].concat());
    assert_eq!(room.told(), ["alice: bob Connected"]);
    // Removed: the BYE that follows is the end, not the document.
    room.notify("partial", 2, &gone("sip:+19585550100@x;user=phone", "booted", ""));
    assert_eq!(room.told(), NOTHING);
}

#[test]
fn what_cannot_be_read_changes_nothing() {
    let mut room = Room::open();
    let state = "active;expires=3600";
    assert_eq!(room.notify_with(state, Some(("application/conference-info+xml", "<oops"))), 200);
    assert_eq!(room.notify_with(state, Some(("application/pidf+xml", "<presence/>"))), 415);
    assert_eq!(room.notify_with(state, None), 200);
    assert_eq!(room.told(), NOTHING);
    room.notify("full", 1, &user(BOB, "connected"));
    assert_eq!(room.told(), ["alice: bob Connected"]);
}

#[test]
fn a_conference_that_is_over_waits_for_its_bye() {
    let mut room = Room::open();
    room.notify("full", 1, "");
    room.notify_with("terminated;reason=noresource", None);
    assert_eq!(room.told(), NOTHING);
    room.world.wait(Duration::from_millis(5_100));
    assert_eq!(
        room.told(),
        ["alice: alice Disconnected (own)", "alice: SessionEnded (conference inactive)"]
    );
    assert_eq!(room.got_all(&Method::Bye).len(), 1);
    assert_eq!(room.ask(Command::Describe), Ok(Answer::Apart));
    let mut room = Room::open();
    let over = format!(
        "<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" entity=\"{ROOM}\" \
         state=\"deleted\" version=\"1\"/>"
    );
    room.notify_with("active", Some(("application/conference-info+xml", &over)));
    room.bye(None);
    assert_eq!(room.told(), ["alice: alice Disconnected (own)", "alice: SessionEnded (SIP BYE)"]);
}

#[test]
fn an_ended_subscription_is_begun_again_as_its_reason_says() {
    let mut room = Room::open();
    room.notify("full", 1, &user(BOB, "connected"));
    room.told();
    room.notify_with("terminated;reason=deactivated", None);
    let again = room.got(&Method::Subscribe);
    assert!(again.to_tag().is_none(), "a dialog of its own");
    room.reply(&again, 200, &[("Expires", "3600")]);
    room.subscribe = Some(again);
    // It counts anew.
    room.notify("full", 1, &[user(BOB, "connected"), user(CAROL, "connected")].concat());
    assert_eq!(room.told(), ["alice: tel:+447700900003 Connected"]);
    room.notify_with("terminated;reason=giveup;retry-after=30", None);
    assert!(room.got_all(&Method::Subscribe).is_empty());
    room.world.wait(Duration::from_secs(31));
    let again = room.got(&Method::Subscribe);
    room.reply(&again, 200, &[("Expires", "3600")]);
    room.subscribe = Some(again);
    room.notify_with("terminated;reason=rejected", None);
    room.world.wait(Duration::from_secs(600));
    assert!(room.got_all(&Method::Subscribe).is_empty());
    room.send("Still here").expect("a session needs no subscription");
}

#[test]
fn a_focus_without_the_package_has_a_session_all_the_same() {
    let mut world = crate::focus::world(|_| {});
    world.unsubscribe(BOB);
    let session = world.open_group(&[BOB]).expect("a good invitation");
    let invite = world.far_end_got(&Method::Invite);
    world.focus_accepts(&invite);
    let mut room = Room::adopt(world, session, invite);
    let subscribe = room.got(&Method::Subscribe);
    room.reply(&subscribe, 489, &[]);
    assert_eq!(room.told(), ["alice: alice Connected (own), bob Invited"]);
    room.world.wait(Duration::from_secs(600));
    assert_eq!(room.participants().len(), 2);
    assert!(room.participants().iter().any(|it| it.party.address.spelling() == ALICE));
}

#[test]
fn a_subscription_is_refreshed_at_half_its_time_and_takes_a_longer_one() {
    let mut world = crate::focus::world(|_| {});
    world.unsubscribe(BOB);
    let session = world.open_group(&[BOB]).expect("a good invitation");
    let invite = world.far_end_got(&Method::Invite);
    world.focus_accepts(&invite);
    let mut room = Room::adopt(world, session, invite);
    let subscribe = room.got(&Method::Subscribe);
    room.reply(&subscribe, 423, &[("Min-Expires", "7200")]);
    let longer = room.got(&Method::Subscribe);
    assert_eq!(longer.expires(), Some(7200));
    room.reply(&longer, 200, &[("Expires", "7200")]);
    room.subscribe = Some(longer);
    room.notify_with("active;expires=7200", None);
    room.world.wait(Duration::from_secs(3600));
    assert_eq!(room.got_all(&Method::Subscribe).len(), 1);
}

/// Signalling 2.5: a user without any device is not there.
#[test]
fn a_user_whose_last_device_goes_has_gone() {
    let of_bob = |state: &str, status: &str| {
        format!(
            "<user entity=\"{BOB}\" state=\"partial\"><endpoint entity=\"a\" state=\"{state}\">\
             <status>{status}</status></endpoint></user>"
        )
    };
    let mut room = Room::open();
    room.notify("full", 1, &of_bob("full", "connected"));
    assert_eq!(room.told(), ["alice: bob Connected"]);
    room.notify("partial", 2, &of_bob("deleted", "connected"));
    assert_eq!(room.told(), ["alice: bob Disconnected"]);
    room.notify("partial", 3, &of_bob("full", "connected"));
    assert_eq!(room.told(), ["alice: bob Connected"]);
    room.notify("full", 4, &format!("<user entity=\"{BOB}\" state=\"full\"/>"));
    assert_eq!(room.told(), ["alice: bob Disconnected"]);
}

/// Some foci name their users and say no more of them: that says nothing new of anybody.
#[test]
fn a_user_who_is_named_without_any_device_has_not_gone() {
    let bare = format!("<user entity=\"{BOB}\"/>");
    let mut room = Room::open();
    room.notify("full", 1, &user(BOB, "connected"));
    assert_eq!(room.told(), ["alice: bob Connected"]);
    room.notify_with("terminated;reason=deactivated", None);
    let again = room.got(&Method::Subscribe);
    room.reply(&again, 200, &[("Expires", "3600")]);
    room.subscribe = Some(again);
    for version in 1..4 {
        room.notify("full", version, &bare);
        assert_eq!(room.told(), NOTHING, "document {version}");
    }
    room.notify("full", 4, &user(CAROL, "connected"));
    assert_eq!(room.told(), ["alice: bob Disconnected, tel:+447700900003 Connected"]);
}

#[test]
fn who_is_named_twice_is_there_if_one_of_the_two_is() {
    let other = "sip:+19585550101@ims.example;user=phone;gr=2";
    let mut room = Room::open();
    room.notify("full", 1, &[user(BOB, "connected"), user(other, "disconnected")].concat());
    assert_eq!(room.told(), ["alice: bob Connected"]);
    room.notify("partial", 2, &user(other, "alerting"));
    assert_eq!(room.told(), NOTHING);
    room.notify("partial", 3, &[user(other, "connected"), user(BOB, "disconnected")].concat());
    assert_eq!(room.told(), NOTHING);
    room.notify("partial", 4, &user(other, "disconnected"));
    assert_eq!(room.told(), ["alice: bob Disconnected"]);
}

#[test]
fn what_has_waited_for_the_one_before_it_is_taken_after_it() {
    let mut room = Room::open();
    room.notify("full", 1, &user(BOB, "connected"));
    room.told();
    room.notify("partial", 3, &user(CAROL, "connected"));
    assert_eq!(room.told(), NOTHING);
    room.notify("partial", 2, &user(DAVE, "connected"));
    assert_eq!(
        room.told(),
        ["alice: tel:+447700900004 Connected", "alice: tel:+447700900003 Connected"]
    );
}

/// A focus that takes its subscriptions away again and again is asked no more often than it can bear.
#[test]
fn a_subscription_is_begun_at_once_no_more_than_once_a_minute() {
    let mut room = Room::open();
    for is_first in [true, false] {
        room.notify("full", 1, &user(BOB, "connected"));
        room.notify_with("terminated;reason=deactivated", None);
        let again = room.got_all(&Method::Subscribe);
        assert_eq!(again.len(), usize::from(is_first));
        if let Some(again) = again.into_iter().next() {
            room.reply(&again, 200, &[("Expires", "3600")]);
            room.subscribe = Some(again);
        }
    }
    room.world.wait(Duration::from_secs(61));
    room.got(&Method::Subscribe);
}

/// Nor is one that moves again and again: where it is last is what counts.
#[test]
fn a_focus_that_moves_is_followed_at_once_no_more_than_once_a_minute() {
    let mut room = Room::open();
    room.notify("full", 1, &user(BOB, "connected"));
    room.told();
    for hop in 0..10 {
        let to = format!("{ROOM};gr={hop}");
        assert_eq!(room.moves(700 + hop, &to), 200, "{to}");
    }
    let first = |room: &mut Room| {
        let all = room.got_all(&Method::Subscribe);
        let opening = all.iter().filter(|it| it.to_tag().is_none());
        opening.map(|it| it.uri.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(first(&mut room), [format!("{ROOM};gr=0")]);
    assert!(room.world.routes() <= 4, "{} dialogs", room.world.routes());
    room.world.wait(Duration::from_secs(61));
    let mut asked = first(&mut room);
    asked.dedup();
    // The first one, which nobody has answered, is repeated.
    assert_eq!(asked, [format!("{ROOM};gr=0"), format!("{ROOM};gr=9")]);
}

/// A group may last for months: what is over is forgotten.
#[test]
fn the_dialogs_of_ended_subscriptions_are_forgotten() {
    let mut room = Room::open();
    let before = room.world.routes();
    for _ in 0..10 {
        room.notify("full", 1, &user(BOB, "connected"));
        room.notify_with("terminated;reason=deactivated", None);
        let at_once = room.got_all(&Method::Subscribe).pop();
        let again = at_once.unwrap_or_else(|| {
            room.world.wait(Duration::from_secs(61));
            room.got(&Method::Subscribe)
        });
        room.reply(&again, 200, &[("Expires", "3600")]);
        room.subscribe = Some(again);
    }
    room.notify("full", 1, &user(BOB, "connected"));
    room.world.wait(Duration::from_secs(64));
    assert_eq!(room.world.routes(), before);
}

/// RFC 3261 section 20.33: a refusal with a time is none for good.
#[test]
fn a_focus_that_is_busy_is_asked_again_when_it_says() {
    let mut room = unwatched(503, &[("Retry-After", "30")]);
    assert_eq!(room.told(), ["alice: alice Connected (own), bob Invited"]);
    room.world.wait(Duration::from_secs(29));
    assert!(room.got_all(&Method::Subscribe).is_empty());
    room.world.wait(Duration::from_secs(2));
    room.take_subscription();
    room.notify("full", 1, &user(BOB, "connected"));
    assert_eq!(room.told(), ["alice: bob Connected"]);
    // Nobody is asked without end, whatever it says.
    let mut room = unwatched(503, &[("Retry-After", "0")]);
    assert!(room.got_all(&Method::Subscribe).is_empty());
    room.world.wait(Duration::from_secs(5));
    assert_eq!(room.got_all(&Method::Subscribe).len(), 1);
}

/// Signalling 2.5: participants from REFER answers and CPIM From only, and so it is said.
#[test]
fn without_the_package_who_is_heard_is_in() {
    let is_degraded = |room: &mut Room| match room.ask(Command::Describe) {
        Ok(Answer::Group(info)) => info.is_degraded,
        other => panic!("no group is shown: {other:?}"),
    };
    let mut room = unwatched(489, &[]);
    room.told();
    assert!(is_degraded(&mut room));
    assert!(
        room.world.remarks[..].starts_with(&["participants=degraded: known from answers to \
        REFER and from messages only"]),
        "{:?}",
        room.world.remarks
    );
    assert_eq!(room.world.remarks.len(), 1);
    room.says("\"Carol\" <tel:+447700900003>", "c1", ("text/plain", "hello"));
    let says = "alice: \"hello\" from tel:+447700900003, wants Delivered";
    assert_eq!(room.told(), ["alice: tel:+447700900003 Connected", says]);
    assert_eq!(room.participants()[2].party.name.as_deref(), Some("Carol"));
    room.says(&format!("<{BOB}>"), "b1", ("text/plain", "hi"));
    assert_eq!(room.told(), ["alice: bob Connected", "alice: \"hi\" from bob, wants Delivered"]);
    // Neither the nameless, nor the focus, nor the user itself is somebody new.
    for from in ["sip:anonymous@anonymous.invalid", ROOM, ALICE] {
        room.says(&format!("<{from}>"), from, ("text/plain", "hm"));
        assert_eq!(room.told().len(), 1, "{from}");
    }
    assert_eq!(room.participants().len(), 3);

    // Where the package tells, it alone does.
    let mut room = Room::open();
    assert!(!is_degraded(&mut room));
    room.notify("full", 1, &user(BOB, "connected"));
    room.told();
    room.says(&format!("<{DAVE}>"), "d1", ("text/plain", "hi"));
    assert_eq!(room.told(), ["alice: \"hi\" from tel:+447700900004, wants Delivered"]);
    assert!(room.world.remarks.is_empty());
}

/// A session of Alice's with Bob whose SUBSCRIBE the focus answers so.
fn unwatched(code: u16, headers: &[(&str, &str)]) -> Room {
    let mut world = crate::focus::world(|_| {});
    world.unsubscribe(BOB);
    let session = world.open_group(&[BOB]).expect("a good invitation");
    let invite = world.far_end_got(&Method::Invite);
    world.focus_accepts(&invite);
    let mut room = Room::adopt(world, session, invite);
    let subscribe = room.got(&Method::Subscribe);
    room.reply(&subscribe, code, headers);
    room
}

fn subject(room: &mut Room) -> String {
    match room.ask(Command::Describe) {
        Ok(Answer::Group(info)) => info.subject,
        other => panic!("no group is shown: {other:?}"),
    }
}

#[test]
fn the_subject_of_the_conference_is_that_of_the_session() {
    let mut room = Room::open();
    assert_eq!(subject(&mut room), "Trip");
    let mut version = 0;
    let mut told = |room: &mut Room, text: &str| {
        version += 1;
        let body = format!(
            "<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" \
             entity=\"{ROOM}\" state=\"full\" version=\"{version}\"><conference-description>\
             <subject>{text}</subject></conference-description></conference-info>"
        );
        let content = ("application/conference-info+xml", body.as_str());
        room.notify_with("active;expires=3600", Some(content));
        subject(room)
    };
    assert_eq!(told(&mut room, " Long trip "), "Long trip");
    assert_eq!(told(&mut room, ""), "Long trip", "an empty one is none");
    assert_eq!(told(&mut room, "two\nlines"), "two lines");
    assert_eq!(told(&mut room, &"x".repeat(9000)).len(), 1024);
    assert_eq!(room.told(), NOTHING, "nobody is told of it");
}

/// Signalling 2.4: a re-INVITE may bring another Contact and another subject.
#[test]
fn a_focus_that_moves_is_followed() {
    let mut room = Room::open();
    room.notify("full", 1, &user(BOB, "connected"));
    room.told();
    let invite = room.invite.clone();
    let sdp = answer_sdp();
    let moved = format!("{ROOM};gr=b");
    let contact = format!("<{moved}>;isfocus");
    let headers = [("Subject", "Tour"), ("Contact", &contact)];
    room.world.far_end_asks(&invite, (Method::Invite, 700), &headers, Some(&sdp));
    assert_eq!(room.world.far_end_heard(&Method::Invite).status.code(), 200);
    assert_eq!(subject(&mut room), "Tour");
    let subscribes = room.got_all(&Method::Subscribe);
    let to: Vec<_> = subscribes.iter().map(|it| (it.uri.to_string(), it.expires())).collect();
    assert_eq!(to, [(ROOM.to_owned(), Some(0)), (moved, Some(3600))]);
    assert_eq!(room.told(), NOTHING);
    // What is refused changes nothing.
    room.world.far_end_asks(&invite, (Method::Invite, 701), &[("Subject", "Ruse")], Some("v=0"));
    assert_eq!(room.world.far_end_heard(&Method::Invite).status.code(), 488);
    assert_eq!(subject(&mut room), "Tour");
}

/// Signalling 2.2: an acceptance without isfocus.
#[test]
fn an_acceptance_without_isfocus_is_remarked() {
    let accept = |contact: &str| {
        let mut world = crate::focus::world(|_| {});
        world.unsubscribe(BOB);
        let session = world.open_group(&[BOB]).expect("a good invitation");
        let invite = world.far_end_got(&Method::Invite);
        world.focus_accepts_as(&invite, contact, &answer_sdp());
        Room::adopt(world, session, invite)
    };
    let mut room = accept(&format!("<{ROOM}>"));
    assert_eq!(
        room.world.remarks,
        ["the focus has accepted without isfocus: its Contact is taken for one"]
    );
    assert_eq!(room.got(&Method::Subscribe).uri.to_string(), ROOM);

    let factory = "sip:conference-factory@example.com";
    let mut room = accept(&format!("<{factory}>"));
    let first = room.world.remarks.first().copied();
    assert_eq!(first, Some("the factory has accepted itself, and names no focus"));
    assert!(room.got_all(&Method::Subscribe).is_empty(), "the factory is no conference");
    assert_eq!(room.told(), ["alice: alice Connected (own), bob Invited"]);
    room.bye(None);
    room.told();
    room.begin(Command::Join(vec![newcomer(ALICE)]));
    assert_eq!(room.got(&Method::Invite).uri.to_string(), factory, "there is no other way back");
}
