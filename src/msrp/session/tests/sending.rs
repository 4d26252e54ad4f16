//! Messages on their way out.

use super::*;

#[test]
fn m13_the_queue_has_an_end() {
    let mut talk = Talk::with(Limits { queue: 3, window: 1, ..Limits::default() });
    for id in ["1", "2", "3"] {
        assert_eq!(talk.try_send(id, "x"), Ok(()));
    }
    assert_eq!(talk.try_send("4", "x"), Err(SendError::Full));
    talk.bind();
    assert_eq!(talk.answer(1, 200), ["sent 1", "SEND 2 1-1/1 $ x"]);
    assert_eq!(talk.try_send("4", "x"), Ok(()));
}

#[test]
fn only_so_many_chunks_are_unanswered() {
    let mut talk = Talk::with(Limits { window: 2, ..Limits::default() });
    talk.bind();
    assert_eq!(talk.send("1", "a"), ["SEND 1 1-1/1 $ a"]);
    assert_eq!(talk.send("2", "b"), ["SEND 2 1-1/1 $ b"]);
    assert_eq!(talk.send("3", "c"), [""; 0]);
    assert_eq!(talk.answer(2, 200), ["sent 2", "SEND 3 1-1/1 $ c"]);
}

#[test]
fn no_more_octets_are_in_flight_than_a_peer_has_room_for() {
    let mut talk = Talk::with(Limits { window: 9, window_bytes: 16_000, ..Limits::default() });
    talk.bind();
    let sent = |lines: Vec<String>| lines.iter().filter(|line| line.starts_with("SEND")).count();
    assert_eq!(sent(talk.send("m", &"x".repeat(60_000))), 6);
    let on_the_wire: usize = talk.raw[1..].iter().map(|frame| frame.len()).sum();
    assert!((12_000..16_000).contains(&on_the_wire), "{on_the_wire}");
    assert_eq!(sent(talk.send("short", "y")), 1, "there is room for a short one");
    assert_eq!(sent(talk.send("other", &"z".repeat(200))), 0, "but not for one that is longer");
    assert!(sent(talk.answer(1, 200)) > 0);
    // What is longer than the window goes alone.
    let limits = Limits { chunk_bytes: 32_000, ..Limits::default() };
    let mut talk = Talk::with(limits);
    talk.bind();
    assert_eq!(sent(talk.send("m", &"x".repeat(60_000))), 1);
    assert_eq!(sent(talk.answer(1, 200)), 1);
    assert_eq!(talk.answer(2, 200), ["sent m"]);
}

#[test]
fn a_long_message_goes_in_chunks_and_is_sent_when_all_are_answered() {
    let mut talk = Talk::with(Limits { chunk_bytes: 4, ..Limits::default() });
    talk.bind();
    assert_eq!(
        talk.send("m", "abcdefghij"),
        ["SEND m 1-4/10 + abcd", "SEND m 5-8/10 + efgh", "SEND m 9-10/10 $ ij"]
    );
    assert_eq!(talk.answer(2, 200), [""; 0]);
    assert_eq!(talk.answer(3, 200), [""; 0]);
    assert_eq!(talk.answer(1, 200), ["sent m"]);
}

#[test]
fn short_messages_overtake_long_ones_in_turns() {
    let mut talk = Talk::with(Limits { chunk_bytes: 2, window: 1, ..Limits::default() });
    talk.bind();
    assert_eq!(talk.send("long", "abcdef"), ["SEND long 1-2/6 + ab"]);
    for id in ["s1", "s2"] {
        assert_eq!(talk.send(id, "x"), [""; 0]);
    }
    assert_eq!(talk.answer(1, 200), ["SEND s1 1-1/1 $ x"]);
    assert_eq!(talk.answer(2, 200), ["sent s1", "SEND long 3-4/6 + cd"]);
    assert_eq!(talk.answer(3, 200), ["SEND s2 1-1/1 $ x"]);
    assert_eq!(talk.answer(4, 200), ["sent s2", "SEND long 5-6/6 $ ef"]);
    assert_eq!(talk.answer(5, 200), ["sent long"]);
}

#[test]
fn a_chunk_over_2048_octets_is_announced_as_interruptible() {
    let mut talk = Talk::with(Limits { chunk_bytes: 4096, ..Limits::default() });
    talk.bind();
    talk.send("m", &"x".repeat(5000));
    let ranges = talk.written[1..].iter().map(|frame| frame.byte_range.unwrap().to_string());
    assert_eq!(ranges.collect::<Vec<_>>(), ["1-*/5000", "4097-5000/5000"]);
}

#[test]
fn m02_our_transaction_identifiers_are_not_in_the_body() {
    let mut talk = Talk::bound();
    talk.send("m", "x\r\n-------\r\n-------a$\r\n");
    let frame = &talk.written[1];
    assert!((8..=32).contains(&frame.tid.as_str().len()));
    assert!(frame.tid.as_str().bytes().all(|octet| octet.is_ascii_alphanumeric()));
}

#[test]
fn m14_every_answer_gives_exactly_one_final_status() {
    for (code, failed) in [
        (400, vec!["failed m 400"]),
        (403, vec!["failed m 403"]),
        (413, vec!["failed m 413"]),
        (415, vec!["failed m 415"]),
        (423, vec!["failed m 423"]),
        (501, vec!["failed m 501"]),
        (999, vec!["failed m 999"]),
        (481, vec!["failed m 481", "close", "broken: the peer refuses the session with 481"]),
        (506, vec!["failed m 506", "close", "broken: the peer refuses the session with 506"]),
    ] {
        let mut talk = Talk::bound();
        talk.send("m", "hello");
        assert_eq!(talk.answer(1, code), failed);
        // As msrp-java does after 481.
        assert_eq!(talk.answer(1, 200), [""; 0]);
        assert_eq!(talk.sleep(60), [""; 0]);
    }
}

#[test]
fn m14_after_413_nothing_more_of_the_message_is_sent() {
    let mut talk = Talk::with(Limits { chunk_bytes: 2, window: 2, ..Limits::default() });
    talk.bind();
    assert_eq!(talk.send("m", "abcdef"), ["SEND m 1-2/6 + ab", "SEND m 3-4/6 + cd"]);
    assert_eq!(talk.answer(1, 413), ["failed m 413"]);
    assert_eq!(talk.answer(2, 413), [""; 0]);
    assert_eq!(talk.send("n", "x"), ["SEND n 1-1/1 $ x"]);
}

#[test]
fn m14_a_message_that_fails_halfway_is_aborted() {
    let mut talk = Talk::with(Limits { chunk_bytes: 2, window: 1, ..Limits::default() });
    talk.bind();
    assert_eq!(talk.send("m", "abcdef"), ["SEND m 1-2/6 + ab"]);
    assert_eq!(talk.answer(1, 403), ["SEND m 3-*/6 # ", "failed m 403"]);
    assert_eq!(talk.answer(2, 200), [""; 0]);
}

#[test]
fn m14_silence_fails_a_message_after_the_response_time() {
    let mut talk = Talk::with(Limits { window: 1, ..Limits::default() });
    talk.bind();
    talk.send("one", "1");
    talk.sleep(10);
    talk.send("two", "2");
    assert_eq!(talk.sleep(19), [""; 0]);
    assert_eq!(talk.sleep(1), ["failed one 408", "SEND two 1-1/1 $ 2"]);
    assert_eq!(talk.answer(1, 200), [""; 0], "late");
    assert_eq!(talk.sleep(30), ["failed two 408"]);
    assert_eq!(talk.session.ignored(), 1);
}

#[test]
fn m13_a_peer_that_stops_reading_fails_what_waits_behind() {
    let mut talk = Talk::with(Limits { window: 1, ..Limits::default() });
    talk.bind();
    for id in ["1", "2", "3"] {
        talk.send(id, "x");
    }
    assert_eq!(talk.sleep(30), ["failed 1 408", "failed 2 408", "failed 3 408"]);
    assert_eq!(talk.session.next_timeout(), None);
}

#[test]
fn m14_with_partial_reports_silence_is_success_and_refusal_is_told() {
    let mut talk = Talk::with(Limits { window: 1, ..Limits::default() });
    talk.bind();
    assert_eq!(talk.send_with("one", FailureReport::Partial), ["SEND one 1-1/1 partial $ x"]);
    assert_eq!(talk.send_with("two", FailureReport::Partial), ["SEND two 1-1/1 partial $ x"]);
    assert_eq!(talk.answer(2, 413), ["failed two 413"]);
    assert_eq!(talk.sleep(30), ["sent one"]);
}

#[test]
fn m14_without_failure_reports_writing_is_success() {
    let mut talk = Talk::bound();
    let sent = talk.send_with("m", FailureReport::No);
    assert_eq!(sent, ["SEND m 1-1/1 no $ x", "sent m"]);
    assert_eq!(talk.answer(1, 413), [""; 0]);
    assert_eq!(talk.session.next_timeout(), None);
}

#[test]
fn m14_a_failure_report_before_the_answer_is_the_final_status() {
    for wish in [FailureReport::Yes, FailureReport::Partial] {
        let mut talk = Talk::bound();
        talk.send_with("m", wish);
        let report = "Message-ID: m\r\nByte-Range: 1-1/1\r\nStatus: 000 408 gone\r\n";
        assert_eq!(talk.receive(&request("REPORT", report)), ["failed m 408"]);
        assert_eq!(talk.receive(&request("REPORT", report)), [""; 0]);
        assert_eq!(talk.answer(1, 200), [""; 0]);
        assert_eq!(talk.sleep(60), [""; 0]);
    }
}

#[test]
fn a_report_after_the_answer_is_told_as_report() {
    let mut talk = Talk::bound();
    talk.send("m", "x");
    talk.answer(1, 200);
    let report = request("REPORT", "Message-ID: m\r\nStatus: 000 413 413\r\n");
    assert_eq!(talk.receive(&report), ["report m 413"]);
    assert_eq!(talk.receive(&report), [""; 0]);
}

#[test]
fn success_reports_are_told_when_they_cover_the_message() {
    let mut talk = Talk::bound();
    talk.send("m", "0123456789");
    talk.answer(1, 200);
    let report = |range: &str| {
        request("REPORT", &format!("Status: 000 200\r\nByte-Range: {range}\r\nMessage-ID: m\r\n"))
    };
    assert_eq!(talk.receive(&report("1-5/10")), [""; 0]);
    assert_eq!(talk.receive(&report("6-10/10")), ["report m 200"]);
    assert_eq!(talk.receive(&report("1-10/10")), [""; 0]);
}

#[test]
fn reports_that_say_nothing_are_ignored() {
    let mut talk = Talk::bound();
    talk.send("m", "x");
    for fields in [
        "Message-ID: unknown\r\nStatus: 000 413\r\n",
        "Message-ID: m\r\n",
        "Message-ID: m\r\nStatus: nonsense\r\n",
        "Message-ID: m\r\nStatus: 001 413\r\n",
        "Status: 000 413\r\n",
    ] {
        assert_eq!(talk.receive(&request("REPORT", fields)), [""; 0]);
    }
    assert_eq!(talk.session.ignored(), 5);
}

#[test]
fn quirk_03_a_report_may_have_the_tid_of_its_send() {
    let mut talk = Talk::bound();
    talk.send("m", "x");
    let report = request("REPORT", "Message-ID: m\r\nStatus: 000 200 OK\r\n");
    let report = report.replace("tid1", talk.written[1].tid.as_str());
    assert_eq!(talk.receive(&report), ["report m 200"]);
    assert_eq!(talk.answer(1, 200), ["sent m"]);
}

#[test]
fn two_sessions_bring_every_message_through() {
    let limits = Limits { chunk_bytes: 7, window: 3, ..Limits::default() };
    let (mut one, mut two) = (Talk::with(limits), Talk::with(limits));
    one.session.local = path("msrp://192.0.2.1:9000/peer;tcp");
    one.session.open(one.now, path("msrp://192.0.2.9:2855/ours;tcp"), Setup::Active);
    two.session.open(two.now, path("msrp://192.0.2.1:9000/peer;tcp"), Setup::Passive);
    one.session.handle(one.now, Input::Connected);
    two.session.handle(two.now, Input::Connected);
    for number in 0..50_usize {
        let body = format!("{number}:{}", "\r\n-------é".repeat(number % 9));
        let id = format!("id{number}");
        one.try_send(&id, &body).unwrap();
        two.try_send(&id, &body).unwrap();
    }
    let mut told = Vec::new();
    let mut moved = true;
    while moved {
        moved = false;
        for forth in [true, false] {
            let (from, to) = if forth { (&mut one, &mut two) } else { (&mut two, &mut one) };
            while let Some(output) = from.session.poll() {
                moved = true;
                match output {
                    Output::Write(bytes) => {
                        to.session.handle(to.now, Input::Frame(parsed(&bytes)));
                    }
                    Output::WriteParts(_)
                    | Output::Connect { .. }
                    | Output::Close
                    | Output::Event(_) => {
                        told.push(shown(&output));
                    }
                }
            }
        }
    }
    for number in 0..50_usize {
        let body = format!("{number}:{}", "\r\n-------é".repeat(number % 9));
        let lines = [format!("sent id{number}"), format!("message id{number} text/plain {body}")];
        for line in lines {
            assert_eq!(told.iter().filter(|it| **it == line).count(), 2, "{line}");
        }
    }
    assert_eq!((one.session.ignored(), two.session.ignored()), (0, 0));
}
