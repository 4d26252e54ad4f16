//! Nicknames in chat rooms, from both sides (RFC 7701 section 7).

use super::*;

#[test]
fn a_nickname_is_asked_for_once_the_session_is_bound() {
    let mut talk = Talk::new();
    assert_eq!(talk.session.nickname(talk.now, Some("Alice \"the great\"")), Ok(()));
    let second = talk.session.nickname(talk.now, Some("Bob"));
    assert_eq!(second, Err(NicknameError::Pending));
    talk.open(Setup::Active);
    talk.give(Input::Connected);
    assert_eq!(talk.answer(0, 200), ["bound", "NICKNAME - $"]);
    let asked = talk.last();
    assert_eq!(asked.header("Use-Nickname"), Some(r#""Alice \"the great\"""#));
    assert_eq!((asked.failure_report, asked.success_report), (None, None));
    assert_eq!(talk.answer(1, 200), ["nickname Alice \"the great\" 200"]);
    assert_eq!(talk.answer(1, 200), [""; 0], "answered");
    assert_eq!(talk.session.nickname(talk.now, None), Ok(()));
    assert_eq!(talk.drain(), ["NICKNAME - $"]);
    assert_eq!(talk.last().header("Use-Nickname"), Some("\"\""));
    assert_eq!(talk.answer(2, 200), ["nickname - 200"]);
}

#[test]
fn every_answer_to_a_nickname_is_told_once() {
    for code in [200, 400, 403, 404, 423, 424, 425, 428, 501] {
        let mut talk = Talk::bound();
        talk.session.nickname(talk.now, Some("Alice")).unwrap();
        talk.drain();
        assert_eq!(talk.answer(1, code), [format!("nickname Alice {code}")]);
        assert_eq!(talk.sleep(60), [""; 0]);
        assert_eq!(talk.session.nickname(talk.now, Some("Alice")), Ok(()), "again");
    }
    let mut talk = Talk::bound();
    talk.session.nickname(talk.now, Some("Alice")).unwrap();
    talk.drain();
    let gone = ["nickname Alice 481", "close", "broken: the peer refuses the session with 481"];
    assert_eq!(talk.answer(1, 481), gone);
    assert_eq!(talk.session.nickname(talk.now, Some("Alice")), Err(NicknameError::Closed));
}

#[test]
fn silence_and_the_end_of_the_session_answer_a_nickname() {
    let mut talk = Talk::bound();
    talk.session.nickname(talk.now, Some("Alice")).unwrap();
    talk.drain();
    assert_eq!(talk.sleep(29), [""; 0]);
    assert_eq!(talk.sleep(1), ["nickname Alice 408"]);
    assert_eq!(talk.answer(1, 200), [""; 0], "late");
    talk.session.nickname(talk.now, Some("Alice")).unwrap();
    talk.drain();
    let lost = ["nickname Alice 408", "close", "broken: the connection is lost"];
    assert_eq!(talk.give(Input::Closed), lost);
}

#[test]
fn a_focus_answers_when_its_owner_has_decided() {
    let mut talk = Talk::bound();
    talk.session.set_focus();
    assert_eq!(talk.receive(&nickname("Use-Nickname: \"Alice\"")), ["asked for Alice"]);
    assert_eq!(talk.receive(&nickname("use-nickname: \"\"")), ["asked for -"]);
    for code in [200, 403, 425] {
        let frame = parsed(nickname("Use-Nickname: \"Alice\"").as_bytes());
        let asked = NicknameRequest::read(&frame).unwrap();
        talk.session.answer_nickname(talk.now, &asked, code);
        assert_eq!(talk.drain(), [format!("{code} tid1")]);
        assert_eq!(talk.last().to_path.to_string(), "msrp://192.0.2.1:9000/peer;tcp");
    }
    talk.session.close(talk.now);
    talk.drain();
    let frame = parsed(nickname("Use-Nickname: \"Alice\"").as_bytes());
    talk.session.answer_nickname(talk.now, &NicknameRequest::read(&frame).unwrap(), 200);
    assert_eq!(talk.drain(), [""; 0]);
}

#[test]
fn a_focus_refuses_what_is_no_nickname_itself() {
    let long = format!("Use-Nickname: \"{}\"", "x".repeat(1024));
    for (field, code) in [
        ("Use-Nickname: Alice", 424),
        ("Use-Nickname: \"Alice", 424),
        ("Use-Nickname: \"a\\b\"", 424),
        ("Use-Nickname: \"a\u{85}b\"", 424),
        (&long, 424),
        ("X: \"Alice\"", 400),
    ] {
        let mut talk = Talk::bound();
        talk.session.set_focus();
        assert_eq!(talk.receive(&nickname(field)), [format!("{code} tid1")], "{field}");
    }
    let mut talk = Talk::bound();
    let asked = talk.receive(&nickname("Use-Nickname: \"Alice\""));
    assert_eq!(asked, ["501 tid1"], "this is no focus");
}

#[test]
fn an_answer_goes_back_through_all_relays() {
    let mut talk = Talk::bound();
    let relayed = nickname("Use-Nickname: \"Alice\"")
        .replace("From-Path: ", "From-Path: msrp://relay:9000/r;tcp ");
    talk.receive(&relayed);
    assert_eq!(
        talk.last().to_path.to_string(),
        "msrp://relay:9000/r;tcp msrp://192.0.2.1:9000/peer;tcp"
    );
}

fn nickname(field: &str) -> String {
    request("NICKNAME", &format!("{field}\r\n"))
}

#[test]
fn a_focus_judges_a_message_before_it_is_answered() {
    let mut talk = Talk::bound();
    talk.session.set_focus();
    let sends = [text("a", "1-5/5", "hello"), text("b", "1-5/5", "hello")];
    let reporting = |send: &String| send.replace("Message-ID", "Success-Report: yes\r\nMessage-ID");
    let [good, bad] = sends.each_ref().map(reporting);
    let told = ["message a text/plain hello", "200 tid1", "REPORT a 1-5/5 000 200 $"];
    assert_eq!(talk.receive(&good), told);
    for code in [403, 404, 428] {
        talk.session.handle(talk.now, Input::Frame(parsed(bad.as_bytes())));
        assert!(matches!(talk.session.poll(), Some(Output::Event(Event::Message(_)))));
        talk.session.refuse(talk.now, code);
        assert_eq!(talk.drain(), [format!("{code} tid1")], "the answer says it all");
    }
    // Who wants to hear nothing of failure hears nothing.
    let quiet = bad.replace("Message-ID", "Failure-Report: no\r\nMessage-ID");
    talk.session.handle(talk.now, Input::Frame(parsed(quiet.as_bytes())));
    talk.session.poll();
    talk.session.refuse(talk.now, 403);
    assert_eq!(talk.drain(), [""; 0]);
}

#[test]
fn the_parts_of_a_message_are_answered_as_they_come() {
    let mut talk = Talk::bound();
    talk.session.set_focus();
    let first = text("a", "1-3/5", "hel").replace("tid1$", "tid1+");
    assert_eq!(talk.receive(&first), ["200 tid1"]);
    assert_eq!(talk.receive(&text("a", "4-5/5", "lo")), ["message a text/plain hello", "200 tid1"]);
}

#[test]
fn a_large_body_is_written_as_it_is() {
    let mut talk = Talk::bound();
    talk.session.share_bodies();
    let large = outgoing("large", &"x".repeat(513));
    let place = large.body.as_ptr();
    talk.session.send(talk.now, large).unwrap();
    let Some(Output::WriteParts(parts)) = talk.session.poll() else { panic!("one frame") };
    assert_eq!(parts[1].as_ptr(), place, "no copy was made");
    assert_eq!(parsed(&parts.concat()).body.unwrap().len(), 513);
    talk.session.send(talk.now, outgoing("small", "x")).unwrap();
    assert_eq!(talk.drain(), ["SEND small 1-1/1 $ x"]);
}
