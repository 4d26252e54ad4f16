//! Going, and the end of rooms.

use std::time::Duration;

use super::super::Input;
use super::stage::*;
use crate::sip::Reason;

fn three(change: impl FnOnce(&mut crate::im_server::FocusSettings)) -> Stage {
    let mut stage = Stage::with(3, change);
    stage.call(1, FACTORY, &[&user(2), &user(3)]);
    stage.watch(1);
    (1..=3).for_each(|number| drop(stage.told(number)));
    stage
}

#[test]
fn a_room_lasts_while_two_are_in_it() {
    let mut stage = three(|_| {});
    stage.leave(2, Some(Reason::sip(200, "Call completed")));
    assert_eq!(stage.told(1), ["partial 2: 002 disconnected departed"]);
    stage.say(1, "we two");
    assert_eq!(stage.told(3), ["001: we two"]);
    stage.told(1);
    stage.leave(3, None);
    let end = [
        "partial 3: 003 disconnected departed",
        "bye SIP;cause=410;text=\"Gone\"",
        "over ByNotifier(Ending { reason: Some(NoResource), retry_after: None })",
    ];
    assert_eq!(stage.told(1), end);
    stage.wait(100);
    assert_eq!(stage.server.focus.as_ref().unwrap().dialogs(), 0, "nothing is left");
    assert_eq!(stage.server.focus.as_ref().unwrap().rooms(), 0);
}

#[test]
fn who_is_cut_off_may_come_back() {
    let mut stage = three(|_| {});
    let room = stage.phone(2).room.clone();
    stage.leave(2, Some(Reason::sip(480, "Bearer unavailable")));
    let lost = "002 disconnected failed SIP;cause=480;text=\"Bearer unavailable\"";
    assert_eq!(stage.told(1), [format!("partial 2: {lost}")]);
    stage.call(2, &room, &[]);
    assert_eq!(stage.told(2), ["in false"]);
    stage.cut(2);
    assert_eq!(stage.told(2), ["bye SIP;cause=480;text=\"Bearer unavailable\""]);
    let lines = ["partial 3: 002 connected".to_owned(), format!("partial 4: {lost}")];
    assert_eq!(stage.told(1), lines);
}

#[test]
fn a_room_in_which_nothing_is_said_ends_without_a_reason() {
    let mut stage = three(|focus| focus.idle = Duration::from_secs(100));
    stage.wait(90);
    stage.say(2, "awake");
    stage.wait(90);
    assert_eq!(stage.told(3), ["002: awake"]);
    stage.wait(20);
    assert_eq!(stage.told(3), ["bye"]);
    assert_eq!(stage.told(2), ["id1 sent", "bye"]);
}

#[test]
fn who_never_connects_is_not_waited_for() {
    let mut stage = Stage::new(3);
    stage.call(1, "sip:room-x@example.com", &[]);
    stage.call(2, "sip:room-x@example.com", &[]);
    // Its connection never comes about.
    let mut request = stage.request(3, "INVITE", "sip:room-x@example.com");
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=message 9 TCP/MSRP *\r\na=accept-types:message/cpim\r\n\
               a=path:msrp://127.0.0.1:9/x;tcp\r\na=setup:active\r\n";
    request.body = sdp.into();
    request.headers.set("Content-Type", "application/sdp");
    assert_eq!(stage.knock("udp:127.0.0.1:5070", request), 200);
    stage.watch(1);
    stage.told(1);
    stage.wait(29);
    assert_eq!(stage.told(1), [""; 0]);
    stage.wait(2);
    let lost = "partial 2: 003 disconnected failed SIP;cause=480;text=\"Bearer unavailable\"";
    assert_eq!(stage.told(1), [lost]);
}

#[test]
fn a_server_that_stops_says_goodbye() {
    let mut stage = three(|_| {});
    stage.server.handle(stage.now, Input::Stop);
    stage.run();
    assert_eq!(stage.told(2), ["bye"]);
    assert_eq!(stage.told(1).first().unwrap(), "bye");
}
