//! Watching: who is told what of a room, and how long.

use super::stage::*;
use crate::payload::{Conference, ResourceList, conference};
use crate::sip::{MethodForm, Refer, Reference, Uri};

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
    stage.decline(3, 486);
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

/// What is told last may be lost on the way: then the last word tells it.
#[test]
fn what_is_not_taken_before_the_end_is_told_with_it() {
    for (code, is_told_again) in [(200, false), (500, true)] {
        let mut stage = Stage::new(4);
        stage.call(1, FACTORY, &[&user(2)]);
        let mut subscribe = stage.request(1, "SUBSCRIBE", &stage.phones[&1].room.clone());
        subscribe.headers.set("Event", "conference");
        assert_eq!(stage.knock("udp:127.0.0.1:5070", subscribe), 200);
        let first = stage.unclaimed.pop().unwrap();
        stage.answer_unclaimed(&first, 200);
        stage.leave(2, None);
        let change = stage.unclaimed.pop().unwrap();
        assert_eq!(Conference::parse(&change.body).unwrap().version, Some(2));
        assert!(stage.unclaimed.is_empty(), "one at a time");
        stage.answer_unclaimed(&change, code);
        let last = stage.unclaimed.pop().unwrap();
        let state = last.headers.get("Subscription-State");
        assert_eq!(state, Some("terminated;reason=noresource"));
        assert_eq!(!last.body.is_empty(), is_told_again, "{code}");
        if is_told_again {
            let document = Conference::parse(&last.body).unwrap();
            let method = document.users[1].endpoints[0].disconnection;
            assert_eq!((document.version, document.users.len()), (Some(3), 2));
            assert_eq!(method, Some(conference::Disconnection::Departed), "and how it has gone");
        }
    }
}

/// Whoever is told the whole late is told how they have gone who are not in it: who never came is
/// not as who has left.
#[test]
fn who_is_slow_is_told_how_others_have_gone() {
    let mut stage = Stage::new(4);
    stage.phone(3).manner = Manner::Rings;
    stage.call(1, FACTORY, &[&user(2), &user(3)]);
    let mut subscribe = stage.request(1, "SUBSCRIBE", &stage.phones[&1].room.clone());
    subscribe.headers.set("Event", "conference");
    assert_eq!(stage.knock("udp:127.0.0.1:5070", subscribe), 200);
    let first = stage.unclaimed.pop().unwrap();
    stage.decline(3, 480);
    stage.answer_unclaimed(&first, 200);
    let second = stage.unclaimed.pop().unwrap();
    let document = Conference::parse(&second.body).unwrap();
    assert_eq!((document.state, document.users.len()), (conference::Extent::Full, 3));
    let reason = document.users[2].endpoints[0].reason.clone();
    assert!(reason.is_some_and(|reason| reason.contains("cause=480")));
    // What was taken is not told again.
    stage.answer_unclaimed(&second, 200);
    stage.say(2, "nothing new");
    assert!(stage.unclaimed.is_empty());
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

/// The dialogs of a recorded group chat, from the side of its focus: each NOTIFY as it came there.
#[test]
fn a_recorded_chat_is_told_as_it_was() {
    let mut stage = Stage::new(4);
    (2..=4).for_each(|number| stage.phone(number).manner = Manner::Rings);
    let list = ResourceList::of(["tel:+195855501002".to_owned(), user(3)]).write();
    stage.call_with(1, FACTORY, Some(&list), &[("Subject", "Hawaii trip")]);
    stage.watch(1);
    stage.accept(2);
    stage.decline(3, 603);
    let quietly = |reference| Refer { is_watched: false, ..Refer::to(reference) };
    let uri = |number| Uri::parse(&user(number)).unwrap();
    stage.refer(1, quietly(Reference::invite(uri(4))));
    stage.decline(4, 486);
    stage.refer(1, quietly(Reference::bye(uri(2), MethodForm::Parameter)));
    let over = "over ByNotifier(Ending { reason: Some(NoResource), retry_after: None })";
    let told = [
        "in false",
        "full 1: 001* connected, 002 dialing-out, 003 dialing-out",
        "partial 2: 002 connected",
        "partial 3: 003 disconnected failed SIP;cause=603;text=\"Decline\"",
        "Accepted { is_watched: false }",
        "partial 4: 004 dialing-out",
        "partial 5: 004 disconnected busy SIP;cause=486;text=\"Busy Here\"",
        "Accepted { is_watched: false }",
        "partial 6: 002 disconnected booted",
        // One alone is no chat any more.
        "bye SIP;cause=410;text=\"Gone\"",
        over,
    ];
    assert_eq!(stage.told(1), told);
    let subjects: Vec<_> = stage.phone(1).documents.iter().map(|it| it.subject.clone()).collect();
    assert!(subjects.iter().all(|subject| subject.as_deref() == Some("Hawaii trip")));
}

#[test]
fn who_is_sent_away_watches_no_more() {
    let mut stage = Stage::new(4);
    stage.call(1, FACTORY, &[&user(2), &user(3)]);
    stage.watch(3);
    stage.told(3);
    stage.refer_quietly(1, sent_away(3));
    let end = [
        "bye SIP;cause=403;text=\"Removed from the chat\"",
        "over ByNotifier(Ending { reason: Some(Rejected), retry_after: None })",
    ];
    assert_eq!(stage.told(3), end);
    stage.refer_quietly(1, asked_in(4));
    assert_eq!((stage.told(3), stage.told(4)), (vec![], vec!["invited".to_owned()]));
    let room = stage.phone(1).room.clone();
    assert_eq!(stage.ask_to_watch(3, &room, 600), 403);
}

/// Who has left may watch on, for as long as the room knows that it was there.
#[test]
fn who_is_forgotten_watches_until_it_asks_again() {
    let mut stage = Stage::with(6, |focus| focus.max_participants = 3);
    stage.call(1, FACTORY, &[&user(2), &user(3)]);
    stage.watch(3);
    stage.leave(3, None);
    for number in 4..=6 {
        stage.refer_quietly(1, asked_in(number));
        stage.leave(number, None);
    }
    let told = stage.told(3);
    assert_eq!(told.last().unwrap(), "partial 11: 006 disconnected departed", "{told:?}");
    stage.wait(3600);
    let rejected = "over ByNotifier(Ending { reason: Some(Rejected), retry_after: None })";
    assert_eq!(stage.told(3), [rejected]);
}

/// A room does not grow with those who are asked in and never come; but who was sent away stays so.
#[test]
fn who_never_came_is_forgotten_before_who_was_sent_away() {
    let mut stage = Stage::with(4, |focus| focus.max_participants = 4);
    stage.phone(3).manner = Manner::Refuses(486);
    stage.call(1, FACTORY, &[&user(2), &user(3), &user(4)]);
    stage.watch(2);
    stage.refer_quietly(1, sent_away(4));
    let room = stage.phone(1).room.clone();
    assert_eq!(stage.ask_to_watch(3, &room, 600), 200, "it was asked in");
    for at in 0..20 {
        if at == 10 {
            // A call takes only so many requests at a time.
            stage.wait(40);
        }
        let nobody = Uri::parse(&format!("sip:nobody{at}@example.org")).unwrap();
        stage.refer_quietly(1, Reference::invite(nobody));
    }
    let told = stage.told(2);
    let last = "full 42: sip:nobody19@example.org disconnected failed \
                SIP;cause=404;text=\"Not Found\", 001 connected, 002* connected";
    assert_eq!(told.last().unwrap(), last);
    assert_eq!(stage.ask_to_watch(3, &room, 600), 403, "nobody knows it any more");
    stage.refer_quietly(2, asked_in(4));
    assert_eq!(stage.told(2), ["Refused(Status(Status(403)))"]);
}
