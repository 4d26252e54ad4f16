//! A connection that is lost and replaced.

use super::*;

fn grace(setup: Setup) -> Talk {
    let mut talk = Talk::with(Limits { grace: Duration::from_secs(3), ..Limits::default() });
    talk.open(setup);
    talk
}

fn hello() -> String {
    request("SEND", "Message-ID: b\r\nByte-Range: 1-0/0\r\n")
}

#[test]
fn the_active_side_connects_again_and_sends_again_what_was_not_answered() {
    let mut talk = grace(Setup::Active);
    talk.give(Input::Connected);
    talk.answer(0, 200);
    talk.send("one", "first");
    talk.send("two", "second");
    assert_eq!(talk.answer(1, 200), ["sent one"]);
    assert_eq!(talk.give(Input::Closed), ["interrupted", "connect 192.0.2.1 9000 plain"]);
    assert_eq!(talk.send("three", "third"), [""; 0], "it waits");
    assert_eq!(talk.give(Input::Connected), ["SEND - 1-0/0 $"]);
    assert_eq!(
        talk.answer(3, 200),
        ["bound", "SEND two 1-6/6 $ second", "SEND three 1-5/5 $ third"]
    );
    assert_eq!(talk.answer(4, 200), ["sent two"]);
    assert_eq!(talk.answer(5, 200), ["sent three"]);
    assert_eq!(talk.session.next_timeout(), None);
}

#[test]
fn the_passive_side_waits_for_its_peer() {
    let mut talk = grace(Setup::Passive);
    talk.receive(&hello());
    talk.send("one", "first");
    assert_eq!(talk.give(Input::Closed), ["interrupted"]);
    assert!(!talk.session.is_bound(), "another connection is welcome");
    assert_eq!(talk.give(Input::Connected), [""; 0]);
    assert_eq!(talk.receive(&hello()), ["bound", "200 tid1", "SEND one 1-5/5 $ first"]);
}

/// The peer has begun the session anew: its messages go on in another one.
#[test]
fn another_session_sends_again_what_was_not_answered() {
    let mut talk = grace(Setup::Active);
    talk.give(Input::Connected);
    talk.answer(0, 200);
    talk.send("one", "first");
    talk.send("two", "second");
    assert_eq!(talk.answer(1, 200), ["sent one"]);
    let mut next = Talk::with(Limits::default());
    next.session.inherit(talk.now, &mut talk.session);
    assert_eq!(talk.drain(), [""; 0], "it has nothing to say any more");
    assert_eq!(talk.session.next_timeout(), None);
    assert!(talk.try_send("late", "x").is_err());
    assert_eq!(next.open(Setup::Passive), [""; 0]);
    assert_eq!(next.receive(&hello()), ["bound", "200 tid1", "SEND two 1-6/6 $ second"]);
    assert_eq!(next.answer(1, 200), ["sent two"]);
}

#[test]
fn a_message_is_sent_again_once() {
    let mut talk = grace(Setup::Passive);
    talk.receive(&hello());
    talk.send("one", "first");
    talk.give(Input::Closed);
    talk.receive(&hello());
    talk.sleep(4);
    assert_eq!(talk.give(Input::Closed), ["interrupted", "failed one 408"]);
    talk.send("two", "second");
    assert_eq!(talk.receive(&hello()), ["bound", "200 tid1", "SEND two 1-6/6 $ second"]);
}

#[test]
fn without_another_connection_in_time_the_session_is_over() {
    for setup in [Setup::Active, Setup::Passive] {
        let mut talk = grace(setup);
        talk.give(Input::Connected);
        talk.receive(&hello());
        talk.send("one", "first");
        talk.give(Input::Closed);
        let told = talk.sleep(3);
        assert_eq!(told, ["failed one 408", "close", "broken: the connection is lost"]);
    }
}

#[test]
fn m16_a_peer_that_restarts_is_tried_again_until_the_grace_is_over() {
    let connect = ["connect 192.0.2.1 9000 plain"];
    for returns in [true, false] {
        let mut talk = grace(Setup::Active);
        talk.give(Input::Connected);
        talk.answer(0, 200);
        talk.send("one", "first");
        assert_eq!(talk.give(Input::Closed).len(), 2);
        for _ in 0..2 {
            assert_eq!(talk.give(Input::Closed), [""; 0], "nobody listens");
            assert_eq!(talk.sleep(1), connect);
        }
        if returns {
            talk.give(Input::Connected);
            assert_eq!(talk.receive(&hello()), ["bound", "200 tid1", "SEND one 1-5/5 $ first"]);
            assert_eq!(talk.answer(4, 200), ["sent one"]);
            assert_eq!(talk.session.next_timeout(), None);
        } else {
            assert_eq!(talk.give(Input::Closed), [""; 0]);
            let end = ["failed one 408", "close", "broken: the connection is lost"];
            assert_eq!(talk.sleep(1), end);
        }
    }
}

/// The peer may come by itself while the next attempt is waited for.
#[test]
fn m16_whoever_comes_back_is_not_called() {
    let mut talk = grace(Setup::Active);
    talk.give(Input::Connected);
    talk.answer(0, 200);
    talk.give(Input::Closed);
    assert_eq!(talk.give(Input::Closed), [""; 0]);
    assert_eq!(talk.give(Input::Connected), ["SEND - 1-0/0 $"]);
    assert_eq!(talk.receive(&hello()), ["bound", "200 tid1"]);
    assert_eq!(talk.sleep(1), [""; 0]);
}

/// A peer that takes every connection and closes it keeps nobody busy.
#[test]
fn a_connection_is_replaced_once_at_a_time() {
    let mut talk = grace(Setup::Active);
    talk.give(Input::Connected);
    talk.answer(0, 200);
    assert_eq!(talk.give(Input::Closed).len(), 2);
    talk.give(Input::Connected);
    assert_eq!(talk.give(Input::Closed), ["close", "broken: the connection is lost"]);
}
