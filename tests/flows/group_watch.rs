//! What the conference package tells, and what becomes of the subscription to it (RFC 4575, RFC
//! 6665): signalling 1.9 and 2.5.

use std::time::Duration;

use chatbridge::chat::{Answer, Command};
use chatbridge::sip::Method;

use crate::NOTHING;
use crate::focus::{CAROL, DAVE, ROOM, Room, gone, user, user_with};
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
