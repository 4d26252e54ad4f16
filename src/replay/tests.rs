//! What the accounts of small traces say.

use super::book::{Book, Keep};
use super::brief::{MAX_TOLD, MAX_WORD};
use super::source::read_from;
use super::*;
use crate::trace::Protocol;

#[test]
fn a_call_id_that_is_used_again_is_another_dialog() {
    let book = book(&[
        (1, request("INVITE", "c1", "f1", "", "b1")),
        (2, answer("200 OK", "INVITE", "c1", "f1", "t1", "b1")),
        (1, request("INVITE", "c1", "f2", "", "b2")),
        (1, request("BYE", "c1", "f1", "t1", "b3")),
        (1, request("INVITE", "c1", "f1", "", "b4")),
        (2, answer("486 Busy Here", "INVITE", "c1", "f1", "t9", "b4")),
    ]);
    let answers: Vec<_> =
        book.dialogs.iter().map(|dialog| dialog.answer.as_ref().map(|(code, ..)| *code)).collect();
    assert_eq!(answers, [Some(200), None, Some(486)]);
    assert!(book.dialogs[0].ended.as_ref().is_some_and(|ended| ended.by_caller));
}

#[test]
fn forks_are_counted_and_retransmissions_folded() {
    let book = book(&[
        (1, request("INVITE", "c1", "f1", "", "b1")),
        (1, request("INVITE", "c1", "f1", "", "b1")),
        (2, answer("180 Ringing", "INVITE", "c1", "f1", "t1", "b1")),
        (2, answer("180 Ringing", "INVITE", "c1", "f1", "t2", "b1")),
        (2, answer("200 OK", "INVITE", "c1", "f1", "t2", "b1")),
        (2, answer("200 OK", "INVITE", "c1", "f1", "t2", "b1")),
        (2, answer("200 OK", "INVITE", "c1", "f1", "t2", "b1")),
        (2, request("BYE", "c1", "t2", "f1", "b2")),
    ]);
    let [dialog] = &book.dialogs[..] else { panic!("{:?}", book.dialogs) };
    assert_eq!((dialog.forks(), dialog.messages, dialog.retransmissions), (2, 8, 3));
    let repeats: Vec<u64> = book.steps.iter().map(|step| step.repeats).collect();
    assert_eq!(repeats, [1, 0, 0, 2, 0]);
    assert!(!book.steps[4].forward && book.steps[0].forward);
    assert!(dialog.ended.as_ref().is_some_and(|ended| !ended.by_caller));
}

#[test]
fn an_msrp_session_belongs_to_the_dialog_that_offered_its_path() {
    let offer = |id| {
        format!(
            "Content-Type: application/sdp\r\n\r\nm=message 9 TCP/MSRP *\r\na=path:msrp://a:1/{id};tcp\r\n"
        )
    };
    let with = |head: String, body: String| head.replace("\r\n\r\n", &format!("\r\n{body}"));
    let frame = |tid: &str, to: &str, from: &str| {
        format!(
            "MSRP {tid} SEND\r\nTo-Path: msrp://a:1/{to};tcp\r\nFrom-Path: msrp://a:1/{from};tcp\r\n\
             Content-Type: text/plain\r\n\r\nhi\r\n-------{tid}$\r\n"
        )
    };
    // Who answers may be faster by MSRP than by SIP.
    let early = book(&[
        (1, with(request("INVITE", "c1", "f1", "", "b1"), offer("s1"))),
        (4, frame("x1", "s1", "s2")),
        (1, frame("x2", "s2", "s1")),
    ]);
    let ways: Vec<bool> = early.steps.iter().map(|step| step.forward).collect();
    assert_eq!(ways, [true, false, true]);
    let book = book(&[
        (1, request("OPTIONS", "c0", "f0", "", "b0")),
        (1, with(request("INVITE", "c1", "f1", "", "b1"), offer("s1"))),
        (2, with(answer("200 OK", "INVITE", "c1", "f1", "t1", "b1"), offer("s2"))),
        (3, frame("x1", "s2", "s1")),
        (4, frame("x2", "s1", "s2")),
        (3, frame("x3", "s8", "s9")),
    ]);
    let of: Vec<_> = book.sessions.iter().map(|session| session.dialog).collect();
    assert_eq!(of, [Some(1), None]);
    assert_eq!((book.sessions[0].frames["SEND"], book.sessions[0].octets), (2, 4));
    let frames: Vec<_> = book.steps.iter().filter(|step| step.protocol == Protocol::Msrp).collect();
    assert!(frames[0].forward && !frames[1].forward);
    assert_eq!((&*frames[0].note, frames[0].parties.0), ("\"hi\"", Some(book.steps[0].from)));
}

#[test]
fn rest_calls_are_known_from_other_http() {
    let book = book(&[
        (1, "GET /index.html HTTP/1.1\r\n\r\n".to_owned()),
        (1, "POST /chat/v1/tel%3A%2B1/oneToOne HTTP/1.1\r\n\r\n".to_owned()),
        (2, "HTTP/1.1 200 OK\r\n\r\n".to_owned()),
        (2, "HTTP/1.1 100 Continue\r\n\r\n".to_owned()),
        (2, "HTTP/1.1 201 Created\r\n\r\n".to_owned()),
        (2, "HTTP/1.1 204 No Content\r\n\r\n".to_owned()),
        (1, request("OPTIONS", "c0", "f0", "", "b0")),
    ]);
    let rest: Vec<&str> = book.steps.iter().take(3).map(|step| &*step.label).collect();
    assert_eq!((rest, book.totals.rest), (vec!["POST", "100 Continue", "201 Created"], 3));
}

#[test]
fn what_peers_sent_moves_no_cursor() {
    assert_eq!(printable("a\x1b[2Jb\r\n\u{9b}c"), "a\u{fffd}[2Jb\u{fffd}\n\u{fffd}c");
}

#[test]
fn accounts_are_bounded() {
    let text = |n: usize| log(&[(1, request("OPTIONS", &format!("c{n}"), "f", "", "b"))]);
    let long: String = (0..20_100).map(text).collect();
    let book = read(&long, Keep::Accounts);
    assert_eq!((book.dialogs.len(), book.totals.dialogs_untold), (20_000, 100));
    assert_eq!((book.totals.sip, book.steps.len()), (20_100, 0));
}

#[test]
fn whatever_gives_no_step_is_counted_where_steps_are() {
    let text = |n: usize| log(&[(1, request("OPTIONS", &format!("c{n}"), "f", "", "b"))]);
    let many: String = (0..20_000).map(text).collect();
    let offer = "Content-Type: application/sdp\r\n\r\na=path:msrp://a:1/s20000;tcp\r\n";
    for (stray, keep, untold) in [
        (request("BYE", "stray", "f", "t", "b"), Keep::Lines, 1),
        (answer("200 OK", "INVITE", "stray", "f", "t", "b"), Keep::Lines, 1),
        (request("BYE", "c7", "f", "t", "b9"), Keep::Lines, 0),
        (request("BYE", "stray", "f", "t", "b"), Keep::Accounts, 0),
    ] {
        let book = read(&(many.clone() + &log(&[(1, stray.clone())])), keep);
        assert_eq!((book.totals.steps_untold, book.totals.dialogs_untold), (untold, 0), "{stray}");
    }
    // Offers have a bound as well.
    let paths = |n: usize| {
        let path = |m| format!("a=path:msrp://a:1/s{n}x{m};tcp\r\n");
        let body: String = (0..8).map(path).collect();
        let head = request("OPTIONS", &format!("o{n}"), "f", "", "b");
        log(&[(
            1,
            head.replace(
                "\r\n\r\n",
                &format!("\r\n{}", offer.replace("a=path:msrp://a:1/s20000;tcp\r\n", &body)),
            ),
        )])
    };
    let most: String = (0..2_500).map(paths).collect();
    let last =
        request("OPTIONS", "last", "f", "", "b").replace("\r\n\r\n", &format!("\r\n{offer}"));
    let all = read(&most, Keep::Lines).totals;
    let more = read(&(most + &log(&[(1, last)])), Keep::Lines).totals;
    assert_eq!((all.sessions_untold, more.sessions_untold), (0, 1));
}

#[test]
fn a_call_id_that_is_used_without_end_costs_no_more_than_others() {
    let text = |n: usize| log(&[(1, request("OPTIONS", "c", &format!("f{n}"), "", "b"))]);
    let long: String = (0..20_100).map(text).collect();
    let book = read(&long, Keep::Accounts);
    assert_eq!((book.dialogs.len(), book.totals.dialogs_untold), (20_000, 100));
}

#[test]
fn words_as_long_as_their_messages_are_cut_and_stay_apart() {
    let long = "x".repeat(5000);
    let id = |n: u8| format!("{long}{n}");
    let phrase = format!("200 {long}");
    let answer = |n| answer(&phrase, "OPTIONS", &id(n), &id(7), &id(8), &id(n));
    let with_more = |text: String| text.replace("CSeq", &format!("Reason: {long}\r\nCSeq"));
    let asked = |n| with_more(request("OPTIONS", &id(n), &id(7), "", &id(n)));
    let bye = with_more(request("BYE", &id(1), &id(7), &id(8), &id(9)));
    let frame = format!(
        "MSRP x1 {long}\r\nTo-Path: msrp://a:1/{};tcp\r\nFrom-Path: msrp://a:1/{};tcp\r\n\
         Status: {long}\r\n-------x1$\r\n",
        id(1),
        id(2)
    );
    let [call, answer] = [format!("POST /chat/{long} HTTP/1.1\r\n\r\n"), answer(2)];
    let book = book(&[(1, asked(1)), (1, asked(2)), (2, answer), (1, bye), (3, frame), (5, call)]);
    let answers: Vec<_> = book.dialogs.iter().map(|dialog| dialog.answer.is_some()).collect();
    let forks: Vec<_> = book.dialogs.iter().map(book::Dialog::forks).collect();
    assert_eq!((answers, forks), (vec![false, true], vec![1, 1]));
    assert_eq!((book.steps.len(), book.sessions.len()), (6, 1));
    let longest = |told: String| told.split('"').map(str::len).max();
    for mut step in book.steps {
        step.bytes.clear();
        assert!(longest(format!("{step:?}")) <= Some(MAX_WORD), "{step:?}");
    }
    assert!(longest(format!("{:?}{:?}", book.dialogs, book.sessions)) <= Some(MAX_WORD));
}

#[test]
fn all_words_together_are_bounded() {
    let word = "x".repeat(MAX_WORD);
    let text = |n: usize| {
        let text = request("OPTIONS", &format!("{n:05}{}", &word[5..]), "f", "", "b");
        let text = text.replace("sip:a>", &word).replace("sip:b>", &word);
        log(&[(1, text.replace("CSeq", &format!("Reason: {word}\r\nCSeq")))])
    };
    let long: String = (0..20_000).map(text).collect();
    let book = read(&long, Keep::Lines);
    let of_steps = book.steps.iter().map(|step| step.label.len() + step.note.len());
    let of_dialogs = book
        .dialogs
        .iter()
        .map(|dialog| 2 * dialog.call_id.len() + dialog.caller.len() + dialog.callee.len());
    let sum = of_steps.sum::<usize>() + of_dialogs.sum::<usize>();
    assert!((MAX_TOLD..MAX_TOLD + 6 * MAX_WORD).contains(&sum), "{sum}");
    let untold = usize::try_from(book.totals.dialogs_untold).unwrap_or_default();
    assert_eq!((book.dialogs.len() + untold, book.totals.sip), (20_000, 20_000));
}

#[test]
fn what_comes_again_is_a_step_where_that_is_wanted() {
    let invite = (1, request("INVITE", "c1", "f1", "", "b1"));
    let text = log(&[invite.clone(), invite.clone(), invite]);
    let again =
        |keep| -> Vec<bool> { read(&text, keep).steps.iter().map(|step| step.again).collect() };
    assert_eq!(again(Keep::Messages), [false]);
    assert_eq!(again(Keep::Repeats), [false, true, true]);
}

/// Reads messages, each with the number of the host that sends it to its neighbour.
fn book(messages: &[(u8, String)]) -> Book {
    read(&log(messages), Keep::Messages)
}

fn read(log: &str, keep: Keep) -> Book {
    match read_from("test".to_owned(), &mut log.as_bytes(), keep) {
        Ok(trace) => {
            assert_eq!(trace.warnings, Vec::<String>::new());
            trace.book
        }
        Err(error) => panic!("{error}"),
    }
}

fn log(messages: &[(u8, String)]) -> String {
    messages
        .iter()
        .enumerate()
        .map(|(second, (from, text))| {
            let to = if from % 2 == 1 { from + 1 } else { from - 1 };
            let second = second % 60;
            format!(
                "2023/11/14 22:13:{second:02} 192.0.2.{from}:5060 -> 192.0.2.{to}:5060\n{text}\n\n"
            )
        })
        .collect()
}

fn request(method: &str, call_id: &str, from: &str, to: &str, branch: &str) -> String {
    message(&format!("{method} sip:a SIP/2.0"), method, call_id, (from, to), branch)
}

fn answer(line: &str, method: &str, call_id: &str, from: &str, to: &str, branch: &str) -> String {
    message(&format!("SIP/2.0 {line}"), method, call_id, (from, to), branch)
}

fn message(line: &str, method: &str, call_id: &str, tags: (&str, &str), branch: &str) -> String {
    let to = if tags.1.is_empty() { String::new() } else { format!(";tag={}", tags.1) };
    format!(
        "{line}\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK{branch}\r\nFrom: <sip:a>;tag={}\r\n\
         To: <sip:b>{to}\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n\r\n",
        tags.0
    )
}
