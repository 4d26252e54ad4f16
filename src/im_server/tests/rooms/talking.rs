//! Talking: messages to all, to one, and those that are refused.

use bytes::Bytes;

use super::stage::*;
use crate::im_server::Owner;
use crate::payload::imdn::{DeliveryStatus, Imdn, Report};
use crate::payload::{Composing, Cpim, composing};

/// A room of three; what has been told until then is forgotten.
fn three(change: impl FnOnce(&mut crate::im_server::FocusSettings)) -> Stage {
    let mut stage = Stage::with(3, change);
    stage.call(1, FACTORY, &[&user(2), &user(3)]);
    (1..=3).for_each(|number| drop(stage.told(number)));
    stage
}

#[test]
fn all_hear_all_once_and_each_in_its_order() {
    let mut stage = three(|_| {});
    for text in ["a", "b", "c"] {
        stage.say(1, text);
    }
    stage.say(2, "d");
    stage.say(1, "e");
    assert_eq!(stage.told(3), ["001: a", "001: b", "001: c", "002: d", "001: e"]);
    assert_eq!(stage.told(2), ["001: a", "001: b", "001: c", "id4 sent", "001: e"]);
    assert_eq!(stage.told(1), ["id1 sent", "id2 sent", "id3 sent", "002: d", "id5 sent"]);
}

#[test]
fn a_message_that_may_not_be_is_answered_with_why() {
    let mut stage = three(|_| {});
    let room = format!("<{}>", stage.phone(1).room);
    stage.send_raw(1, "text/plain", "hello".into());
    stage.send(1, &Cpim::text(&from(2), &room, None, "forged"));
    let mut two = Cpim::text(&from(1), &from(2), None, "two");
    two.to.push(from(3));
    stage.send(1, &two);
    stage.send(1, &Cpim::text(&from(1), &from(9), None, "nobody"));
    stage.send_raw(1, "message/cpim", Bytes::from_static(b"\x01"));
    let failed = [415, 403, 403, 404, 400];
    let lines: Vec<_> =
        failed.iter().zip(1..).map(|(code, at)| format!("id{at} failed {code}")).collect();
    assert_eq!(stage.told(1), lines);
    assert_eq!((stage.told(2), stage.told(3)), (vec![], vec![]));
    stage.say(1, "and yet");
    assert_eq!(stage.told(2), ["001: and yet"]);
}

#[test]
fn a_private_message_is_for_one_if_the_room_and_that_one_know_of_it() {
    let mut stage = three(|_| {});
    let private = Cpim::text(&from(1), &from(2), None, "psst");
    stage.send(1, &private);
    assert_eq!((stage.told(1), stage.told(2)), (vec!["id1 sent".into()], vec!["001: psst".into()]));
    assert_eq!(stage.told(3), [""; 0]);
    let mut stage = three(|focus| focus.private_messages = false);
    stage.send(1, &private);
    assert_eq!(stage.told(1), ["id1 failed 428"]);
    let mut stage = Stage::new(2);
    stage.phone(2).knows_private = false;
    stage.call(1, FACTORY, &[&user(2)]);
    stage.send(1, &private);
    assert_eq!(stage.told(1).last().unwrap(), "id1 failed 428");
}

#[test]
fn reports_go_to_whoever_asked_and_composing_to_all() {
    let mut stage = three(|focus| focus.private_messages = false);
    let report = Imdn::new("m", None, Report::Delivery(DeliveryStatus::Delivered));
    stage.send(2, &Cpim::notification(&from(2), &from(1), "n", &report));
    assert_eq!(stage.told(1), ["002: message/imdn+xml"]);
    let typing = Composing {
        state: composing::State::Active,
        last_active: None,
        content_type: None,
        refresh: Some(60),
    };
    let anonymous = "<sip:anonymous@anonymous.invalid>";
    stage.send(3, &Cpim::wrap(&from(3), anonymous, composing::CONTENT_TYPE, typing.write()));
    let line = "003: application/im-iscomposing+xml";
    assert_eq!(stage.told(1), [line]);
    assert_eq!(stage.told(2), ["id1 sent", line]);
    // Who has not said that it takes it does not get it, and the sender hears nothing of that.
    stage.send(3, &Cpim::wrap(&from(3), anonymous, "image/png", "x".into()));
    assert_eq!((stage.told(1), stage.told(2)), (vec![], vec![]));
    assert_eq!(stage.told(3), ["id2 sent", "id3 sent"]);
}

#[test]
fn a_body_is_not_copied_for_anybody() {
    let mut stage = three(|_| {});
    stage.say(1, &"x".repeat(1000));
    assert_eq!(stage.told(2).len() + stage.told(3).len(), 2);
    assert_eq!(stage.bodies.len(), 1, "all were written from one place");
    stage.say(1, &"y".repeat(5000));
    assert_eq!(stage.bodies.len(), 4, "and so was each chunk of a long one");
}

#[test]
fn a_nickname_is_asked_for_and_shown() {
    let mut stage = three(|_| {});
    stage.watch(3);
    stage.told(3);
    for (number, nickname) in [(1, "Alice"), (2, " alice "), (2, "Bob")] {
        let now = stage.now;
        let media = stage.phone(number).media.as_mut().unwrap();
        media.nickname(now, Some(nickname)).unwrap();
        stage.run();
    }
    assert_eq!(stage.told(1), ["Alice 200"]);
    assert_eq!(stage.told(2), [" alice  425", "Bob 200"]);
    let named: Vec<_> = stage.phone(3).documents.iter().skip(1).collect();
    let names = named.iter().map(|one| one.users[0].display_text.as_deref().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["Alice", "Bob"]);
    let mut stage = three(|focus| focus.nicknames = false);
    let now = stage.now;
    stage.phone(1).media.as_mut().unwrap().nickname(now, Some("Alice")).unwrap();
    stage.run();
    assert_eq!(stage.told(1), ["Alice 403"]);
}

#[test]
fn two_hundred_hear_each_other_and_one_that_stops_reading_delays_nobody() {
    const ALL: u32 = 200;
    let mut stage = Stage::with(ALL, |focus| {
        focus.max_participants = 200;
        focus.max_invitations = 200;
    });
    let others: Vec<_> = (2..=ALL).map(user).collect();
    stage.call(1, FACTORY, &others.iter().map(String::as_str).collect::<Vec<_>>());
    (1..=ALL).for_each(|number| drop(stage.told(number)));
    stage.say(1, "one");
    for number in 2..=ALL {
        assert_eq!(stage.told(number), ["001: one"], "{number}");
    }
    assert_eq!(stage.told(1), ["id1 sent"]);
    stage.phone(7).reads = false;
    for at in 0..20 {
        stage.say(2, &format!("text {at}"));
    }
    for number in (3..=ALL).filter(|number| *number != 7) {
        assert_eq!(stage.told(number).len(), 20, "{number}");
    }
    assert_eq!(stage.told(2).last().unwrap(), "id21 sent");
    stage.watch(1);
    stage.told(1);
    stage.wait(29);
    assert_eq!(stage.told(7), [""; 0]);
    stage.wait(2);
    let bye = "bye SIP;cause=480;text=\"Bearer unavailable\"";
    assert!(stage.told(7).contains(&bye.to_owned()));
    let gone = "partial 2: 007 disconnected failed SIP;cause=480;text=\"Bearer unavailable\"";
    assert_eq!(stage.told(1).last().unwrap(), gone);
    stage.say(1, "still here");
    assert_eq!(stage.told(8), ["001: still here"]);
}

#[test]
fn a_queue_that_is_full_ends_the_session_before_its_time() {
    let mut stage = three(|focus| std::sync::Arc::make_mut(&mut focus.msrp).queue = 10);
    stage.phone(3).reads = false;
    for at in 0..11 {
        stage.say(1, &format!("{at}"));
    }
    assert!(stage.told(3).iter().any(|line| line.starts_with("bye")));
    assert_eq!(stage.told(2).len(), 11);
}

/// A chat hosted by the first of three.
fn hosted() -> Stage {
    three(|focus| {
        let response_wait = std::time::Duration::from_secs(20);
        focus.msrp =
            std::sync::Arc::new(crate::msrp::Limits { response_wait, ..Default::default() });
        focus.owner = Owner::Originator { identity: Some("P-Asserted-Identity") };
    })
}

/// Its host acknowledges a message when all others have it, or have gone.
#[test]
fn a_host_acknowledges_what_all_have() {
    let mut stage = hosted();
    let invite = stage.phone(2).invited.clone().unwrap();
    assert_eq!(invite.from().unwrap().uri.to_string(), user(1), "the host invites");
    assert!(invite.contact().unwrap().unwrap().uri.to_string().contains("conf-"));
    stage.say(2, "all here?");
    assert_eq!(stage.told(2), ["id1 sent"]);
    stage.phone(3).reads = false;
    stage.say(2, "and now?");
    assert_eq!(stage.told(1), ["002: all here?", "002: and now?"]);
    assert_eq!(stage.told(2), [""; 0], "somebody does not have it yet");
    stage.wait(21);
    assert_eq!(stage.told(2), ["id2 sent"], "who takes nothing is there no more");
    stage.leave(1, None);
    assert_eq!(stage.told(2), ["bye SIP;cause=410;text=\"Gone\""], "the host ends it");
}

/// Who reads, but too slowly, keeps a sender waiting no longer than who does not read: its clock is
/// that of the message, which waits behind others.
#[test]
fn nobody_waits_longer_for_the_slow_than_a_sender_may() {
    let mut stage = hosted();
    stage.phone(3).unread = Some(Vec::new());
    // As many as may be under way to one, and as many again.
    for speaker in [1, 2] {
        (0..8).for_each(|at| stage.say(speaker, &format!("{at}")));
    }
    stage.told(2);
    stage.wait(18);
    assert_eq!((stage.told(1).len(), stage.told(2).len()), (8, 0), "nothing is acknowledged yet");
    stage.catch_up(3);
    let sent = |first: usize| (first..first + 8).map(|at| format!("id{at} sent"));
    assert_eq!(stage.told(1), sent(1).collect::<Vec<_>>());
    let heard: Vec<_> = (0..8).map(|at| format!("001: {at}")).collect();
    assert_eq!((stage.told(3), stage.told(2)), (heard, vec![]));
    stage.wait(1);
    assert_eq!(stage.told(2), [""; 0]);
    stage.wait(1);
    assert_eq!(stage.told(2), sent(9).collect::<Vec<_>>(), "and none has failed");
    assert_eq!(stage.told(3), ["bye SIP;cause=480;text=\"Bearer unavailable\""]);
}
