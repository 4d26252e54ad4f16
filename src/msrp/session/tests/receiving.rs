//! What the peer sends.

use super::*;

#[test]
fn quirk_02_answers_to_our_reports_are_ignored() {
    let mut talk = Talk::bound();
    let send =
        text("m", "1-5/5", "hello").replace("Message-ID", "Success-Report: yes\r\nMessage-ID");
    assert_eq!(
        talk.receive(&send),
        ["200 tid1", "message m text/plain hello", "REPORT m 1-5/5 000 200 $"]
    );
    assert_eq!(talk.answer(1, 200), [""; 0]);
    assert_eq!(talk.session.ignored(), 1);
}

#[test]
fn a_message_is_answered_before_it_is_told() {
    let mut talk = Talk::bound();
    let told = talk.receive(&text("m", "1-5/5", "hello"));
    assert_eq!(told, ["200 tid1", "message m text/plain hello"]);
    let nameless = text("m", "1-5/5", "hello").replace("Message-ID: m\r\n", "");
    assert_eq!(talk.receive(&nameless)[0], "200 tid1");
}

#[test]
fn a_session_at_rest_holds_no_room_and_goes_on() {
    let mut talk = Talk::bound();
    talk.session.handle(talk.now, Input::Closed);
    talk.session.rest();
    assert!(!talk.drain().is_empty(), "what is not carried out yet is kept");
    let mut talk = Talk::bound();
    for _ in 0..2 {
        talk.session.rest();
        assert_eq!((talk.session.outputs.capacity(), talk.session.room.capacity()), (0, 0));
        assert_eq!(talk.receive(&text("m", "1-5/5", "hello"))[0], "200 tid1");
    }
}

#[test]
fn m16_a_message_that_comes_again_is_reported_again_but_not_told_again() {
    let mut talk = Talk::lasting();
    let send =
        text("m", "1-5/5", "hello").replace("Message-ID", "Success-Report: yes\r\nMessage-ID");
    let [answer, told, report] =
        ["200 tid1", "message m text/plain hello", "REPORT m 1-5/5 000 200 $"];
    assert_eq!(talk.receive(&send), [answer, told, report]);
    // Its answer may be lost more than once.
    for _ in 0..2 {
        talk.reconnect();
        assert_eq!(talk.receive(&send), [answer, report]);
    }
    assert_eq!(talk.receive(&send), [answer, told, report], "once on a connection");
}

/// The connection that the peer has shown itself on may be lost before we know of the peer, and the
/// session may go on in another one.
#[test]
fn m16_whatever_is_lost_and_replaced_a_message_that_comes_again_is_known() {
    let send = text("m", "1-5/5", "hello");
    let mut talk = Talk::new();
    assert_eq!(talk.receive(&send), ["200 tid1", "message m text/plain hello"]);
    talk.give(Input::Closed);
    assert_eq!(talk.receive(&send), ["200 tid1"]);
    let mut next = Talk::new();
    talk.receive(&request("200 OK", ""));
    next.session.inherit(talk.now, &mut talk.session);
    assert_eq!(next.session.ignored(), 1, "it is one session to those who count");
    assert_eq!(next.receive(&send), ["200 tid1"]);
    assert_eq!(next.receive(&send), ["200 tid1", "message m text/plain hello"]);
}

#[test]
fn a_sender_gets_the_answers_it_asked_for() {
    for (wish, good, bad) in [
        ("yes", vec!["200 tid1", "message m text/plain hello"], vec!["415 tid1"]),
        ("partial", vec!["message m text/plain hello"], vec!["415 tid1"]),
        ("no", vec!["message m text/plain hello"], vec![]),
    ] {
        let mut talk = Talk::bound();
        let send = text("m", "1-5/5", "hello")
            .replace("Message-ID", &format!("Failure-Report: {wish}\r\nMessage-ID"));
        assert_eq!(talk.receive(&send), good);
        talk.session.set_accept_types(vec!["message/cpim".to_owned()]);
        assert_eq!(talk.receive(&send), bad);
    }
}

#[test]
fn only_accepted_types_are_taken() {
    let mut talk = Talk::bound();
    talk.session.set_accept_types(vec!["message/cpim".to_owned(), "image/*".to_owned()]);
    for (content_type, code) in [
        ("text/plain", "415 tid1"),
        ("Message/CPIM", "200 tid1"),
        ("message/cpim; charset=utf-8", "200 tid1"),
        ("image/png", "200 tid1"),
        ("imagex/png", "415 tid1"),
        ("im\u{e9}", "415 tid1"),
    ] {
        let send = text("m", "1-5/5", "hello").replace("text/plain", content_type);
        assert_eq!(talk.receive(&send)[0], code, "{content_type}");
    }
    let first = text("c", "1-5/9", "hello").replace('$', "+");
    assert_eq!(talk.receive(&first), ["415 tid1"]);
    let second = text("c", "6-9/9", "tail").replace("Content-Type: text/plain\r\n", "");
    assert_eq!(talk.receive(&second), ["413 tid1"]);
}

#[test]
fn m04_a_changed_total_is_refused_and_the_session_lives() {
    let mut talk = Talk::bound();
    let part = |id: &str, range: &str, body: &str| text(id, range, body).replace('$', "+");
    assert_eq!(talk.receive(&part("m", "1-4/10", "abcd")), ["200 tid1"]);
    assert_eq!(talk.receive(&part("n", "1-2/4", "ab")), ["200 tid1"]);
    assert_eq!(talk.receive(&part("m", "5-8/12", "efgh")), ["400 tid1"]);
    assert_eq!(talk.receive(&text("n", "3-4/4", "cd")), ["200 tid1", "message n text/plain abcd"]);
}

/// Only its last chunk tells how long a message is, and may tell nothing else (RFC 4975
/// section 7.3.1).
#[test]
fn a_last_chunk_without_body_ends_its_message() {
    let bodiless = |range: &str| request("SEND", &format!("Message-ID: m\r\n{range}"));
    for last in [
        bodiless("Byte-Range: 6-*/*\r\n"),
        bodiless("Byte-Range: 6-5/5\r\n"),
        bodiless("Byte-Range: 6-5/*\r\n"),
        text("m", "6-*/*", ""),
        text("m", "6-5/5", ""),
        text("m", "6-5/5", "").replace("text/plain", "empty/empty"),
    ] {
        let mut talk = Talk::bound();
        talk.session.set_accept_types(vec!["text/plain".to_owned()]);
        let first = text("m", "1-*/*", "hello").replace("tid1$", "tid1+");
        assert_eq!(talk.receive(&first), ["200 tid1"]);
        // Whoever shows that it is there ends nothing by it.
        assert_eq!(talk.receive(&bodiless("")), ["200 tid1"]);
        assert_eq!(talk.receive(&bodiless("Byte-Range: 1-0/0\r\n")), ["200 tid1"]);
        let told = talk.receive(&last);
        assert_eq!(told, ["200 tid1", "message m text/plain hello"], "{last}");
        assert_eq!(talk.sleep(60), [""; 0]);
    }
    let mut talk = Talk::bound();
    assert_eq!(talk.receive(&bodiless("Byte-Range: 6-5/5\r\n")), ["200 tid1"], "of no message");
    assert_eq!(talk.sleep(60), [""; 0]);
    // What was refused is refused to its end, and forgotten with it.
    talk.receive(&text("m", "1-*/9999999", "hello").replace("tid1$", "tid1+"));
    assert_eq!(talk.receive(&bodiless("Byte-Range: 6-*/*\r\n")), ["413 tid1"]);
    assert_eq!(talk.receive(&text("m", "1-*/*", "a").replace("tid1$", "tid1+")), ["200 tid1"]);
}

/// A message of eight octets in two chunks that want a report.
fn halves(id: &str) -> [String; 2] {
    let asking = |text: String| text.replace("Message-ID", "Success-Report: yes\r\nMessage-ID");
    let first = text(id, "1-4/8", "abcd").replace("tid1$", "tid1+");
    [asking(first), asking(text(id, "5-8/8", "efgh"))]
}

/// What has come on a connection that is lost may come again, and as little of it as was not
/// answered.
#[test]
fn m04_a_chunk_of_a_message_that_is_whole_opens_nothing() {
    for is_lost in [false, true] {
        let mut talk = Talk::lasting();
        let [first, last] = halves("m");
        let report = "REPORT m 1-8/8 000 200 $";
        assert_eq!(talk.receive(&first), ["200 tid1"]);
        assert_eq!(talk.receive(&last), ["200 tid1", "message m text/plain abcdefgh", report]);
        if is_lost {
            talk.reconnect();
        }
        assert_eq!(talk.receive(&last), ["200 tid1", report]);
        let ended = request("SEND", "Message-ID: m\r\nByte-Range: 9-8/8\r\n");
        assert_eq!(talk.receive(&ended), ["200 tid1"]);
        let within = text("m", "3-4/8", "cd").replace("tid1$", "tid1+");
        assert_eq!(talk.receive(&within), ["200 tid1"]);
        assert_eq!(talk.session.next_timeout(), None, "nothing is waited for");
        // This may be the first chunk of another message, and is waited for in silence.
        assert_eq!(talk.receive(&first), ["200 tid1"]);
        assert_eq!(talk.sleep(60), [""; 0]);
        assert_eq!(talk.receive(&last), ["200 tid1", report]);
        assert_eq!(talk.receive(&first), ["200 tid1"], "and is not refused");
        assert_eq!(talk.receive(&text("n", "1-2/2", "ok")).len(), 2);
    }
}

/// There are peers that use one Message-ID for all they send.
#[test]
fn m04_a_message_in_chunks_may_have_the_name_of_one_before() {
    let mut talk = Talk::bound();
    for (body, total) in [("abcdefgh", 8), ("ijklmnop", 8), ("qrstuv", 6)] {
        let (one, two) = body.split_at(4);
        let first = text("messId", &format!("1-4/{total}"), one).replace("tid1$", "tid1+");
        assert_eq!(talk.receive(&first), ["200 tid1"]);
        let told = talk.receive(&text("messId", &format!("5-{total}/{total}"), two));
        assert_eq!(told, ["200 tid1".to_owned(), format!("message messId text/plain {body}")]);
    }
    // Another one that stands still is told from one that has come again.
    let first = text("messId", "1-4/6", "rest").replace("tid1$", "tid1+");
    assert_eq!(talk.receive(&first), ["200 tid1"]);
    assert_eq!(talk.sleep(30), ["REPORT messId 1-4/6 000 413 $"]);
}

/// What begins with the first octet and ends the message is all of it (RFC 4975 section 7.3.1).
#[test]
fn m04_a_whole_message_is_taken_whatever_half_has_its_name() {
    let first = |range: &str| text("messId", range, "abcd").replace("tid1$", "tid1+");
    let told = ["200 tid1", "message messId text/plain ok"];
    for half in ["1-10/*", "1-4/10", "5-8/10", "1-*/*"] {
        for whole in [text("messId", "1-2/2", "ok"), text("messId", "1-*/*", "ok")] {
            let mut talk = Talk::bound();
            assert_eq!(talk.receive(&first(half)), ["200 tid1"]);
            assert_eq!(talk.receive(&whole), told, "{half}");
            assert_eq!(talk.sleep(60), [""; 0], "nothing is waited for");
            assert_eq!(talk.receive(&first(half)), ["200 tid1"]);
            assert_eq!(talk.sleep(30).len(), 1, "it is reported");
            assert_eq!(talk.receive(&whole.replace("ok", "yes"))[0], "200 tid1", "{half}");
            assert_eq!(talk.receive(&first(half)), ["200 tid1"], "nothing is refused any more");
        }
    }
    // All of it once more, after a part that has come; and described by that only.
    for (field, body) in [("Content-Type: text/plain\r\n", "abcdefgh"), ("", "ABCDEFGH")] {
        let mut talk = Talk::bound();
        let [first, last] = halves("m");
        assert_eq!(talk.receive(&first), ["200 tid1"]);
        let whole = text("m", "1-8/8", body).replace("Content-Type: text/plain\r\n", field);
        assert_eq!(talk.receive(&whole)[1], format!("message m text/plain {body}"));
        assert_eq!(talk.receive(&last), ["200 tid1", "REPORT m 1-8/8 000 200 $"]);
        assert_eq!(talk.sleep(60), [""; 0]);
    }
}

/// Its sender may say it again.
#[test]
fn chunks_of_a_message_that_its_owner_has_refused_are_taken_again() {
    let mut talk = Talk::bound();
    for _ in 0..2 {
        let [first, last] = halves("m");
        assert_eq!(talk.receive(&last), ["200 tid1"]);
        talk.session.handle(talk.now, Input::Frame(parsed(first.as_bytes())));
        while !shown(&talk.session.poll().unwrap()).starts_with("message") {}
        talk.session.refuse(talk.now, 415);
        assert_eq!(talk.drain(), ["REPORT m 1-8/8 000 415 $"]);
    }
}

#[test]
fn m05_a_stalled_message_is_dropped_counted_and_reported() {
    for (wish, answer, report) in [
        ("yes", vec!["200 tid1"], vec!["REPORT m 1-2/4 000 413 $"]),
        ("partial", vec![], vec!["REPORT m 1-2/4 000 413 $"]),
        ("no", vec![], vec![]),
    ] {
        let mut talk = Talk::bound();
        let first = text("m", "1-2/4", "ab").replace('$', "+");
        let first = first.replace("Message-ID", &format!("Failure-Report: {wish}\r\nMessage-ID"));
        assert_eq!(talk.receive(&first), answer);
        assert_eq!(talk.sleep(29), [""; 0]);
        assert_eq!(talk.sleep(1), report, "{wish}");
        assert_eq!(talk.session.ignored(), 1);
        assert_eq!(talk.receive(&text("m", "3-4/4", "cd")), ["413 tid1"]);
        assert_eq!(talk.sleep(60), [""; 0]);
    }
}

#[test]
fn m07_header_fields_of_others_reach_the_owner() {
    let mut talk = Talk::bound();
    let fields = "content-disposition: render\r\nContent-ID: <1@x>\r\nX-Y: z\r\nMessage-ID";
    let send = text("m", "1-5/5", "hello").replace("Message-ID", fields);
    talk.session.handle(talk.now, Input::Frame(parsed(send.as_bytes())));
    let message = std::iter::from_fn(|| talk.session.poll()).find_map(|output| match output {
        Output::Event(Event::Message(message)) => Some(message),
        Output::Connect { .. }
        | Output::Write(_)
        | Output::WriteParts(_)
        | Output::Close
        | Output::Event(_) => None,
    });
    let expected = [("content-disposition", "render"), ("Content-ID", "<1@x>"), ("X-Y", "z")];
    let headers = message.unwrap().headers;
    let shown = headers.iter().map(|header| (header.name.as_str(), header.value.as_str()));
    assert!(shown.eq(expected), "{headers:?}");
}

#[test]
fn m08_the_to_path_has_to_name_this_session() {
    for (to_path, loose, strict) in [
        ("msrp://192.0.2.9:2855/ours;tcp", 200, 200),
        ("msrp://bob@192.0.2.9:2855/ours;tcp;x=y", 200, 200),
        ("msrp://198.51.100.1:9/ours;tcp", 200, 481),
        ("msrp://192.0.2.9:2855/ours", 200, 481),
        ("msrp://[2001:db8::1]:2855/ours;tcp", 200, 481),
        ("msrp://192.0.2.9:2855/theirs;tcp", 481, 481),
        ("msrp://192.0.2.9:2855;tcp", 481, 481),
        ("msrp://192.0.2.9:2855/ours;tcp msrp://h:1/next;tcp", 481, 481),
    ] {
        let send = request("SEND", "").replace("msrp://192.0.2.9:2855/ours;tcp", to_path);
        for (matching, code) in [(Matching::SessionId, loose), (Matching::Strict, strict)] {
            let mut talk = Talk::bound();
            talk.session.set_matching(matching);
            assert_eq!(talk.receive(&send), [format!("{code} tid1")], "{to_path}");
            // Only what is let in is told from what was meant.
            let is_misnamed = (code, strict) == (200, 481);
            assert_eq!(talk.session.is_misnamed(), is_misnamed, "{to_path}");
        }
    }
}

#[test]
fn m09_late_responses_are_counted_only() {
    let mut talk = Talk::bound();
    talk.send("m", "x");
    assert_eq!(talk.sleep(30), ["failed m 408"]);
    for code in [200, 413, 481, 506] {
        assert_eq!(talk.answer(1, code), [""; 0]);
    }
    assert_eq!(talk.session.ignored(), 4);
    assert_eq!(talk.send("n", "x"), ["SEND n 1-1/1 $ x"]);
}

#[test]
fn m09_strange_methods_are_refused_and_strange_responses_ignored() {
    let mut talk = Talk::bound();
    for method in ["AUTH", "NICKNAME", "PING", "send"] {
        assert_eq!(talk.receive(&request(method, "")), ["501 tid1"]);
    }
    for start in ["200 OK", "999", "481 gone"] {
        assert_eq!(talk.receive(&request(start, "")), [""; 0]);
    }
    assert_eq!(talk.send("m", "x"), ["SEND m 1-1/1 $ x"]);
}

#[test]
fn a_malformed_frame_is_refused_and_the_session_lives() {
    let mut talk = Talk::bound();
    assert_eq!(talk.receive(&request("SEND", "no colon\r\n")), ["400 tid1"]);
    let no_paths = "MSRP tid1 SEND\r\nMessage-ID: x\r\n-------tid1$\r\n";
    assert_eq!(talk.receive(no_paths), ["400 tid1"]);
    assert_eq!(talk.written[2].to_path.to_string(), "msrp://192.0.2.1:9000/peer;tcp");
    assert_eq!(talk.receive(&text("m", "9-1/1", "x")), ["400 tid1"]);
    assert_eq!(talk.send("m", "x"), ["SEND m 1-1/1 $ x"]);
    assert_eq!(
        talk.receive("HTTP/1.1 200 OK\r\n\r\n"),
        ["failed m 408", "close", "broken: the peer does not speak MSRP"]
    );
}

#[test]
fn a_message_that_its_owner_has_no_use_for_is_reported_as_such() {
    for (wishes, answers, report) in [
        ("Success-Report: yes", vec!["200 tid1"], vec!["REPORT m 1-5/5 000 415 $"]),
        ("Success-Report: no", vec!["200 tid1"], vec!["REPORT m 1-5/5 000 415 $"]),
        ("Failure-Report: partial", vec![], vec!["REPORT m 1-5/5 000 415 $"]),
        ("Failure-Report: no", vec![], vec![]),
    ] {
        let mut talk = Talk::bound();
        let send =
            text("m", "1-5/5", "hello").replace("Message-ID", &format!("{wishes}\r\nMessage-ID"));
        // Twice: what was refused is not known when it comes again.
        for _ in 0..2 {
            talk.session.handle(talk.now, Input::Frame(parsed(send.as_bytes())));
            let mut told = Vec::new();
            while told.last().is_none_or(|last: &String| !last.starts_with("message")) {
                told.push(shown(&talk.session.poll().unwrap()));
            }
            talk.session.refuse(talk.now, 415);
            assert_eq!(told[..told.len() - 1], answers, "{wishes}");
            assert_eq!(talk.drain(), report, "{wishes}");
        }
        talk.session.refuse(talk.now, 400);
        assert_eq!(talk.drain(), [""; 0], "there is nothing to refuse");
    }
}
