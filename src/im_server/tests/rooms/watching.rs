//! Watching: who is told what of a room, and how long.

use super::stage::*;
use crate::payload::Conference;

#[test]
fn each_is_told_the_whole_and_then_what_changes() {
    let mut stage = Stage::new(4);
    stage.phone(3).manner = Manner::Rings;
    stage.call(1, FACTORY, &[&user(2), &user(3)]);
    stage.told(1);
    stage.told(2);
    stage.watch(1);
    stage.watch(2);
    assert_eq!(stage.told(1), ["full 1: 001* connected, 002 connected, 003 dialing-out"]);
    assert_eq!(stage.told(2), ["full 1: 001 connected, 002* connected, 003 dialing-out"]);
    let document = stage.phone(1).documents.last().unwrap().clone();
    let counts = (document.user_count, document.maximum_user_count);
    assert_eq!((counts, document.entity), ((Some(3), Some(100)), stage.phone(1).room.clone()));
    let now = stage.now;
    stage.phone(3).leg.as_mut().unwrap().reject(now, crate::sip::Status::BUSY_HERE, Vec::new());
    stage.run();
    let busy = "partial 2: 003 disconnected busy SIP;cause=486;text=\"Busy Here\"";
    assert_eq!((stage.told(1), stage.told(2)), (vec![busy.into()], vec![busy.into()]));
    stage.unwatch(2);
    assert_eq!(stage.told(2).len(), 1, "one last word");
    stage.leave(2, None);
    assert_eq!(stage.told(2), [""; 0]);
}

#[test]
fn who_is_slow_is_told_the_whole_with_the_next_number() {
    let mut stage = Stage::new(4);
    stage.call(1, "sip:room-x@example.com", &[]);
    let mut subscribe = stage.request(4, "SUBSCRIBE", "sip:room-x@example.com");
    for (name, value) in [("Event", "conference"), ("Expires", "600")] {
        subscribe.headers.set(name, value);
    }
    assert_eq!(stage.knock("udp:127.0.0.1:5070", subscribe), 200);
    let first = stage.unclaimed.pop().unwrap();
    let state = first.headers.get("Subscription-State").unwrap();
    assert!(state.starts_with("active;expires=600"), "{state}");
    for number in [2, 3] {
        stage.call(number, "sip:room-x@example.com", &[]);
    }
    assert!(stage.unclaimed.is_empty(), "one at a time");
    stage.answer_unclaimed(&first, 200);
    let second = stage.unclaimed.pop().unwrap();
    let document = Conference::parse(&second.body).unwrap();
    assert_eq!((document.version, document.users.len()), (Some(2), 3));
    stage.answer_unclaimed(&second, 200);
    stage.leave(2, None);
    let third = Conference::parse(&stage.unclaimed.pop().unwrap().body).unwrap();
    assert_eq!((third.version, third.users.len()), (Some(3), 1));
}

#[test]
fn a_subscription_is_bounded_and_for_those_whom_it_concerns() {
    let mut stage = Stage::new(3);
    stage.call(1, FACTORY, &[&user(2)]);
    let room = stage.phone(1).room.clone();
    let ask = |stage: &mut Stage, number, headers: &[(&str, &str)]| {
        let mut request = stage.request(number, "SUBSCRIBE", &room);
        request.headers.set("Event", "conference");
        headers.iter().for_each(|(name, value)| request.headers.set(name, value));
        stage.knock("udp:127.0.0.1:5070", request)
    };
    assert_eq!(ask(&mut stage, 3, &[]), 403, "a stranger");
    assert_eq!(ask(&mut stage, 2, &[("Event", "presence")]), 489);
    assert_eq!(ask(&mut stage, 2, &[("Accept", "text/plain")]), 406);
    assert_eq!(ask(&mut stage, 2, &[("Expires", "10")]), 423);
    assert_eq!(stage.answers.last().unwrap().headers.get("Min-Expires"), Some("60"));
    assert_eq!(ask(&mut stage, 2, &[("Expires", "100000")]), 200);
    assert_eq!(stage.answers.last().unwrap().headers.get("Expires"), Some("3600"));
    for _ in 0..7 {
        assert_eq!(ask(&mut stage, 2, &[]), 200);
    }
    assert_eq!(ask(&mut stage, 2, &[]), 503, "so many devices nobody has");
}

#[test]
fn a_room_that_is_over_says_so() {
    let mut stage = Stage::new(2);
    stage.call(1, FACTORY, &[&user(2)]);
    stage.leave(2, None);
    stage.wait(120);
    stage.told(1);
    stage.watch(1);
    let over = "over ByNotifier(Ending { reason: Some(NoResource), retry_after: None })";
    assert_eq!(stage.told(1), [over]);
    stage.watch_at(1, "sip:conf-unknown@example.com", 600);
    assert_eq!(stage.told(1), ["unwatched Status(Status(404))"]);
}

#[test]
fn a_subscription_runs_out() {
    let mut stage = Stage::new(2);
    stage.call(1, FACTORY, &[&user(2)]);
    let mut subscribe = stage.request(2, "SUBSCRIBE", &stage.phones[&1].room.clone());
    subscribe.headers.set("Event", "conference");
    subscribe.headers.set("Expires", "100");
    stage.knock("udp:127.0.0.1:5070", subscribe);
    let first = stage.unclaimed.pop().unwrap();
    stage.answer_unclaimed(&first, 200);
    stage.wait(101);
    let last = stage.unclaimed.pop().unwrap();
    assert_eq!(last.headers.get("Subscription-State"), Some("terminated;reason=timeout"));
}
