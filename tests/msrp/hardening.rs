//! The hostile cases that begin with bytes: `m01_…` is case M1.
//!
//! The others stand beside the session (`src/msrp/session/tests`, with an index of all), and those
//! that are about sockets (M12, M15, the connections of M11 and M13) beside `net`.

use std::time::Duration;

use chatbridge::msrp::{FailureReport, Limits, Outgoing};

use crate::stage::{End, OURS, THEIRS, outgoing, parsed, read, request, send};

/// The message that comes in one read comes in any others, too.
#[test]
fn m01_a_message_of_unknown_length_comes_in_pieces_of_any_size() {
    let body = "a\r\n-------tid\r\n-------tid1\r\n-------tid2$\r\nb-------tid1$\r\r\n-------tid1x";
    let bytes = send("m", "1-*/*", body);
    for size in 1..bytes.len() {
        let mut end = End::bound();
        for piece in bytes.as_bytes().chunks(size) {
            end.receive(piece);
        }
        assert_eq!(end.story(), ["200".to_owned(), format!("message m {body}")], "{size}");
        assert_eq!(end.held(), 0, "{size}");
    }
    for cut in 1..bytes.len() {
        let mut end = End::bound();
        let (one, two) = bytes.as_bytes().split_at(cut);
        end.receive(one);
        assert_eq!(end.story(), [""; 0], "{cut}");
        end.receive(two);
        assert_eq!(end.story().len(), 2, "{cut}");
    }
}

/// What we say cannot be taken for two, whatever a user has typed.
#[test]
fn m02_no_text_of_a_user_ends_a_frame_of_ours() {
    let mut end = End::bound_with(Limits {
        chunk_bytes: 64,
        window: 99,
        window_bytes: usize::MAX,
        ..Limits::default()
    });
    let forged = format!(
        "\r\n-------0$\r\nMSRP x SEND\r\nTo-Path: {THEIRS}\r\nFrom-Path: {OURS}\r\n-------x$\r\n"
    );
    end.send(outgoing("mine", forged.clone()));
    let stream = end.written.concat();
    let bodies: Vec<u8> =
        parsed(&stream).iter().flat_map(|frame| frame.body.clone().unwrap()).collect();
    assert_eq!(bodies, forged.as_bytes());
    assert!(
        parsed(&stream).iter().all(|frame| frame.message_id.as_ref().unwrap().as_str() == "mine")
    );
}

/// A range is refused for what it says, and nothing is made ready for it.
#[test]
fn m03_a_range_that_lies_is_refused_and_the_next_message_comes() {
    let max = Limits::default().max_message;
    for (range, code) in [
        ("5-4/10", 400),
        ("0-0/0", 400),
        ("1-10/5", 400),
        ("-1-5/5", 400),
        ("1-5", 400),
        ("1-5/5x", 400),
        ("*-*/*", 400),
        ("99999999999999999999-*/*", 400),
        ("1-99999999999999999999/*", 400),
        ("1-5/18446744073709551615", 413),
        ("18446744073709551611-18446744073709551615/*", 413),
        (&format!("1-*/{}", max + 1), 413),
    ] {
        let mut end = End::bound();
        end.receive(&send("m", range, "hello").replace("tid1$", "tid1+"));
        assert_eq!(end.story(), [code.to_string()], "{range}");
        end.receive(&send("n", "1-5/5", "hello"));
        assert_eq!(end.story(), ["200", "message n hello"], "{range}");
    }
}

#[test]
fn m04_two_messages_are_taken_apart_and_a_changed_total_hurts_its_own_only() {
    let mut end = End::bound();
    let part = |id: &str, range: &str, body: &str, flag: &str| {
        send(id, range, body).replace("tid1$", &format!("tid1{flag}"))
    };
    end.receive(&part("a", "1-2/6", "ab", "+"));
    end.receive(&part("b", "4-6/6", "456", "$"));
    end.receive(&part("c", "1-2/4", "xx", "+"));
    end.receive(&part("c", "3-4/6", "xx", "+"));
    end.receive(&part("a", "5-6/6", "ef", "$"));
    end.receive(&part("b", "1-4/6", "123x", "+"));
    end.receive(&part("a", "1-4/6", "abcd", "+"));
    assert_eq!(
        end.story(),
        ["200", "200", "200", "400", "200", "200", "200", "message b 123x56", "message a abcdef"]
    );
}

/// Ten thousand beginnings find sixteen places, and a minute later none of them is left.
#[test]
fn m05_half_messages_are_bounded_in_number_octets_and_time() {
    let mut end = End::bound();
    for number in 0..10_000 {
        end.receive(&send(&format!("m{number}"), "1-5/*", "hello").replace("tid1$", "tid1+"));
    }
    let story = end.story();
    assert_eq!(story.iter().filter(|answer| *answer == "200").count(), 16);
    assert_eq!(story.iter().filter(|answer| *answer == "413").count(), 9_984);
    end.sleep(Duration::from_secs(30));
    let reports = end.story();
    assert_eq!(reports.len(), 16);
    assert!(reports.iter().all(|report| report.ends_with(" 413")), "{reports:?}");
    assert_eq!(end.session.next_timeout(), None);
    end.receive(&send("fresh", "1-5/5", "hello"));
    assert_eq!(end.story(), ["200", "message fresh hello"]);
}

/// However many messages are begun, together they hold no more than two of the largest.
#[test]
fn m05_half_messages_share_one_room() {
    let limits = Limits { max_message: 1000, ..Limits::default() };
    let mut end = End::bound_with(limits);
    let body = "x".repeat(900);
    for number in 0..16 {
        end.receive(&send(&format!("m{number}"), "1-900/1000", &body).replace("tid1$", "tid1+"));
    }
    let story = end.story();
    assert_eq!(story.iter().filter(|answer| *answer == "200").count(), 2, "{story:?}");
    end.receive(&send("m0", "901-1000/1000", &"x".repeat(100)));
    assert_eq!(end.story().len(), 2, "what is there may go on to its end");
}

#[test]
fn m06_a_head_without_end_is_held_up_to_its_limit_only() {
    let endless = format!("MSRP tid1 SEND\r\nTo-Path: {OURS}\r\nX: {}", "x".repeat(1 << 20));
    for size in [1000, 4096, 65_536] {
        let mut end = End::bound();
        let mut most = 0;
        for piece in endless.as_bytes().chunks(size) {
            end.receive(piece);
            most = most.max(end.held());
        }
        assert!(most <= 16 * 1024 + size, "{most} octets are held");
    }
    let mut end = End::bound();
    end.receive(&vec![b'x'; 1 << 20]);
    assert_eq!(end.story(), ["broken: the peer does not speak MSRP"]);
    assert!(!end.is_open);
    for (what, fields) in [
        ("a line over the limit", format!("X: {}\r\n", "x".repeat(20_000))),
        ("fields over the limit", "X: y\r\n".repeat(100)),
    ] {
        let mut end = End::bound();
        end.receive(&request("SEND", &fields));
        assert_eq!(end.story(), ["400"], "{what}");
        end.receive(&send("m", "1-5/5", "hello"));
        assert_eq!(end.story(), ["200", "message m hello"], "{what}");
    }
}

#[test]
fn m08_paths_of_any_number_and_kind_are_answered_or_refused() {
    let many = vec![THEIRS; 1000].join(" ");
    for (to, from, story) in [
        (OURS, THEIRS, "200"),
        ("msrp://[2001:db8::9]:2855/ours;tcp", THEIRS, "200"),
        ("msrp://192.0.2.9:2855/ours", THEIRS, "200"),
        ("msrp://bob@192.0.2.9/ours;tcp", THEIRS, "200"),
        ("msrp://192.0.2.9:2855/other;tcp", THEIRS, "481"),
        (OURS, "nonsense", "400"),
        ("sip:bob@example.com", THEIRS, "400"),
        (OURS, &many, "400"),
    ] {
        let mut end = End::bound();
        let bytes =
            format!("MSRP tid1 SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n-------tid1$\r\n");
        end.receive(&bytes);
        assert_eq!(end.story(), [story], "{to:.60} {from:.60}");
    }
    for missing in ["To-Path", "From-Path"] {
        let mut end = End::bound();
        end.receive(&request("SEND", "").replace(missing, "X-Path"));
        assert_eq!(end.story(), ["400"], "{missing}");
    }
}

/// REPORTs are never answered, not even those that are of no use or cannot be read.
#[test]
fn m09_nothing_is_said_to_reports_and_responses() {
    for bytes in [
        request("REPORT", ""),
        request("REPORT", "Status: 000 413\r\nMessage-ID: unknown\r\n"),
        request("REPORT", "no colon\r\n"),
        request("REPORT", "").replace("/ours", "/other"),
        request("REPORT", "").replace("To-Path", "X-Path"),
        request("REPORT", "Byte-Range: 9-1/1\r\n"),
        request("200 OK", ""),
        request("481 gone", ""),
        request("999", ""),
        request("200 OK", "no colon\r\n"),
    ] {
        let mut end = End::bound();
        end.receive(&bytes);
        assert_eq!(end.story(), [""; 0], "{bytes}");
        assert!(end.is_open);
        assert!(end.session.ignored() > 0, "{bytes}");
    }
}

/// One status each, whatever a peer says to which message, and however late.
#[test]
fn m14_each_wish_and_each_answer_give_one_final_status() {
    for wish in [FailureReport::Yes, FailureReport::Partial, FailureReport::No] {
        for first in ["200", "400", "403", "408", "413", "415", "423", "481", "501", "506", "-"] {
            for second in ["200 R", "408 R", "413 R", "200", "413", "-"] {
                let mut end = End::bound();
                end.send(Outgoing { failure_report: wish, ..outgoing("mine", "x") });
                let tid = end.frames()[0].tid.to_string();
                for word in [first, second] {
                    match word.split_once(' ') {
                        Some((code, _)) => end.receive(&request(
                            "REPORT",
                            &format!("Message-ID: mine\r\nStatus: 000 {code}\r\n"),
                        )),
                        None if word == "-" => {}
                        None => end.receive(&request(word, "").replace("tid1", &tid)),
                    }
                }
                end.sleep(Duration::from_secs(60));
                let story = end.story();
                let is_final =
                    |line: &&String| line.starts_with("sent") || line.starts_with("failed");
                let finals: Vec<&String> = story.iter().filter(is_final).collect();
                assert_eq!(finals.len(), 1, "{} {first} {second}: {story:?}", wish.as_str());
                let reports = story.iter().filter(|line| line.starts_with("report")).count();
                assert!(reports <= 1, "{story:?}");
            }
        }
    }
}

/// What a peer repeats after it has lost the answer with the connection is the same message; what
/// comes twice on one connection is another one that says the same.
#[test]
fn m16_a_message_that_is_sent_again_arrives_once() {
    let mut end = End::bound_with(Limits { grace: Duration::from_secs(3), ..Limits::default() });
    let whole = send("m", "1-5/5", "hello");
    end.receive(&[whole.clone(), send("n", "1-2/2", "ok")].concat());
    assert_eq!(end.story(), ["200", "200", "message m hello", "message n ok"]);
    end.lose();
    end.connect();
    end.receive(&request("SEND", "Message-ID: bind\r\nByte-Range: 1-0/0\r\n"));
    end.forget();
    // In chunks the second time.
    end.receive(&send("m", "1-2/5", "he").replace("tid1$", "tid1+"));
    end.receive(&send("m", "3-5/5", "llo"));
    assert_eq!(end.story(), ["200", "200"]);
    end.receive(&send("n", "1-2/2", "ok"));
    assert_eq!(end.story(), ["200"]);
    end.receive(&whole);
    assert_eq!(end.story(), ["200", "message m hello"]);
}

/// Lines of RFC 4975 that nobody may take for a frame.
#[test]
fn what_looks_like_a_frame_and_is_none_is_refused() {
    for bytes in
        ["MSRP\r\n", "MSRP  SEND\r\n", "MSRP tid1\r\n", "msrp tid1 SEND\r\n", "\0\0\0\0\0\0"]
    {
        assert!(matches!(read(bytes.as_bytes()), Err(_) | Ok(None)), "{bytes}");
    }
}
