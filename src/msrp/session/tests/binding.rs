//! How a session comes about, and how it ends.

use super::*;

#[test]
fn the_active_side_binds_with_a_send_without_body() {
    let mut talk = Talk::new();
    talk.send("early", "hello");
    assert_eq!(talk.open(Setup::Active), ["connect 192.0.2.1 9000 plain"]);
    assert_eq!(talk.give(Input::Connected), ["SEND - 1-0/0 $"]);
    assert_eq!(talk.answer(0, 200), ["bound", "SEND early 1-5/5 $ hello"]);
    assert_eq!(talk.answer(1, 200), ["sent early"]);
    assert_eq!(talk.session.next_timeout(), None);
}

#[test]
fn an_unanswered_binding_does_not_hold_the_session_up() {
    let mut talk = Talk::new();
    talk.send("m", "hello");
    talk.open(Setup::Active);
    talk.give(Input::Connected);
    assert_eq!(talk.sleep(4), [""; 0]);
    assert_eq!(talk.sleep(1), ["bound", "SEND m 1-5/5 $ hello"]);
    assert_eq!(talk.answer(0, 200), [""; 0], "late");
    assert_eq!(talk.answer(1, 200), ["sent m"]);
    assert_eq!(talk.session.ignored(), 1);
}

#[test]
fn a_binding_that_is_answered_with_an_error_binds_unless_the_session_is_refused() {
    for (code, outcome) in [
        (400, vec!["bound"]),
        (501, vec!["bound"]),
        (481, vec!["close", "broken: the peer refuses the session with 481"]),
        (506, vec!["close", "broken: the peer refuses the session with 506"]),
    ] {
        let mut talk = Talk::new();
        talk.open(Setup::Active);
        talk.give(Input::Connected);
        assert_eq!(talk.answer(0, code), outcome);
    }
}

#[test]
fn the_passive_side_is_bound_by_the_first_request_for_it() {
    let mut talk = Talk::new();
    assert_eq!(talk.open(Setup::Passive), [""; 0]);
    talk.send("m", "hello");
    assert_eq!(talk.give(Input::Connected), [""; 0]);
    assert!(!talk.session.is_bound());
    let stranger = request("SEND", "Message-ID: b\r\n").replace("/ours", "/other");
    assert_eq!(talk.receive(&stranger), ["481 tid1"]);
    assert_eq!(
        talk.receive(&request("SEND", "Message-ID: b\r\nByte-Range: 1-0/0\r\n")),
        ["bound", "200 tid1", "SEND m 1-5/5 $ hello"]
    );
    assert!(talk.session.is_bound());
}

#[test]
fn the_peer_may_be_faster_than_its_answer() {
    let mut talk = Talk::new();
    talk.send("m", "hello");
    let early = text("p", "1-2/2", "hi");
    assert_eq!(talk.receive(&early), ["200 tid1", "message p text/plain hi"]);
    assert!(talk.session.is_bound());
    assert_eq!(talk.receive(&request("SEND", "no colon\r\n")), ["400 tid1"]);
    assert_eq!(talk.open(Setup::Passive), ["bound", "SEND m 1-5/5 $ hello"]);
    let mut talk = Talk::new();
    talk.receive(&early);
    assert_eq!(talk.give(Input::Closed), [""; 0]);
    assert_eq!(talk.open(Setup::Passive), [""; 0]);
    assert_eq!(talk.receive(&request("SEND", "")), ["bound", "200 tid1"]);
}

#[test]
fn quirk_06_opensips_binding_send_that_wants_no_answer() {
    let mut talk = Talk::new();
    talk.open(Setup::Passive);
    assert_eq!(talk.receive(&request("SEND", "Failure-Report: no\r\n")), ["bound"]);
}

#[test]
fn quirk_01_nio_binding_send_with_an_empty_type_is_no_message() {
    let mut talk = Talk::bound();
    talk.session.set_accept_types(vec!["text/plain".to_owned()]);
    for empty in ["empty/empty", "Empty/Empty", "EMPTY/empty; x=y"] {
        let empty = request("SEND", &format!("Content-Type: {empty}\r\n\r\n\r\n"));
        assert_eq!(talk.receive(&empty), ["200 tid1"]);
    }
}

#[test]
fn a_session_that_does_not_come_about_fails_its_messages() {
    let mut talk = Talk::new();
    talk.send("m", "hello");
    talk.open(Setup::Active);
    let failed = ["failed m 408", "close", "broken: the connection could not be made"];
    assert_eq!(talk.give(Input::Closed), failed);
    let mut talk = Talk::new();
    talk.send("m", "hello");
    talk.open(Setup::Active);
    assert_eq!(talk.sleep(30), failed);
    let mut talk = Talk::new();
    talk.open(Setup::Passive);
    talk.give(Input::Connected);
    assert_eq!(talk.give(Input::Closed), [""; 0], "someone else may come");
    assert_eq!(talk.sleep(30), ["close", "broken: the peer did not bind the session"]);
    assert_eq!(talk.session.next_timeout(), None);
}

#[test]
fn m16_a_lost_connection_fails_what_is_unanswered_once() {
    let mut talk = Talk::bound();
    talk.send("one", "1");
    talk.send("two", "2");
    assert_eq!(talk.answer(1, 200), ["sent one"]);
    assert_eq!(
        talk.give(Input::Closed),
        ["failed two 408", "close", "broken: the connection is lost"]
    );
    assert_eq!(talk.give(Input::Closed), [""; 0]);
    assert_eq!(talk.answer(2, 200), [""; 0]);
    assert_eq!(talk.try_send("three", "3"), Err(SendError::Closed));
}

#[test]
fn closing_fails_what_is_unanswered_and_is_not_told_as_broken() {
    let mut talk = Talk::bound();
    talk.send("m", "hello");
    talk.session.close(talk.now);
    assert_eq!(talk.drain(), ["failed m 408", "close"]);
    talk.session.close(talk.now);
    assert_eq!(talk.drain(), [""; 0]);
}

#[test]
fn m10_an_answer_may_come_before_the_write_returns() {
    let mut talk = Talk::bound();
    talk.try_send("m", "x").unwrap();
    let Some(Output::Write(bytes)) = talk.session.poll() else { panic!("nothing to write") };
    let frame = parsed(&bytes);
    talk.session.handle(talk.now, Input::Frame(frame.answer(200).unwrap()));
    assert_eq!(talk.drain(), ["sent m"]);
}

#[test]
fn m11_a_second_connection_is_refused_and_the_first_is_kept() {
    let mut talk = Talk::bound();
    let intruder = parsed(request("SEND", "").as_bytes());
    assert!(talk.session.is_bound());
    let refusal = intruder.answer(506).unwrap();
    assert_eq!(refusal.from_path.to_string(), "msrp://192.0.2.9:2855/ours;tcp");
    assert_eq!(talk.give(Input::Connected), [""; 0]);
    assert_eq!(talk.send("m", "x"), ["SEND m 1-1/1 $ x"]);
}
