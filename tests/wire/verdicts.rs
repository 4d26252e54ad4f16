//! Verdicts that must not be good: each of these recordings differs in one thing from what is said
//! to it, or from its like.

use std::fs;
use std::path::{Path, PathBuf};

use chatbridge::app::rehearse;
use chatbridge::replay::{self, Exit, Form, Level, Outcome, Pace, Rewriting, Run};
use serde_json::{Value, json};

use super::played::{FLOWS, PACE, order, scratch, shown};

const LEVELS: [Level; 4] = [Level::Flow, Level::Headers, Level::Body, Level::Strict];

#[test]
fn a_bridge_has_as_many_ports_as_it_likes() {
    let trace = flow("ports", "13-leaving", |text| {
        let at = text.find("BYE sip").unwrap();
        let at = text[..at].rfind("2026/").unwrap();
        let (head, tail) = text.split_at(at);
        format!(
            "{head}{}",
            tail.replace("192.0.2.10:5060 ->", "192.0.2.10:49200 ->")
                .replace("-> 192.0.2.10:5060", "-> 192.0.2.10:49200",)
        )
    });
    for play in [None, Some("198.51.100.5".to_owned())] {
        let outcome = rehearse(&Run { strict: true, play, ..quick(&trace) });
        assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
        assert!(outcome.text.contains("as expected: 8 of 8 messages"), "{}", outcome.text);
        assert!(!outcome.text.contains("not played"), "{}", outcome.text);
    }
}

#[test]
fn what_is_not_played_is_told() {
    // Somebody else takes up the end of the call.
    let trace = flow("third", "13-leaving", |text| {
        let at = text.find("BYE sip").unwrap();
        let at = text[..at].rfind("2026/").unwrap();
        let (head, tail) = text.split_at(at);
        format!("{head}{}", tail.replace("192.0.2.10:5060", "192.0.2.77:5060"))
    });
    let expected = trace.join("expected.json");
    fs::remove_file(&expected).unwrap();
    let told = "1 message of 192.0.2.77:5060 to 198.51.100.5:5060: neither is the bridge";
    let report = trace.join("verdict.xml");
    for (strict, exit) in [(false, Exit::Good), (true, Exit::Unexpected)] {
        let run = Run { strict, junit: Some(report.clone()), ..quick(&trace) };
        let outcome = rehearse(&run);
        assert_eq!(outcome.exit, exit, "{}", shown(&outcome));
        assert!(outcome.text.contains(&format!("  not played {told}\n")), "{}", outcome.text);
        let written = fs::read_to_string(&report).unwrap();
        assert!(written.contains(if strict { told } else { "<skipped/>" }), "{written}");
    }
    let outcome = rehearse(&Run { form: Form::Json, ..quick(&trace) });
    let outcome: Value = serde_json::from_str(&outcome.text).unwrap();
    assert!(outcome["notPlayed"].as_array().unwrap().contains(&json!(told)), "{outcome}");
}

#[test]
fn one_thing_that_a_bridge_says_otherwise_is_found_at_its_level() {
    let folder = scratch("otherwise");
    let said = folder.join("said.pcapng");
    let run = Run { capture: Some(said.clone()), ..quick(&Path::new(FLOWS).join("03-ending")) };
    assert_eq!(rehearse(&run).exit, Exit::Good);
    let said = fs::read(said).unwrap();
    let invite = "INVITE sip:+19585550101@example.com";
    for (level, old, new) in [
        (Level::Headers, invite, "INVITE sip:+19585550101@example.net"),
        (
            Level::Headers,
            "From: <sip:+19585550100@example.com",
            "From: <sip:+19585550109@example.com",
        ),
        (Level::Body, "a=setup:actpass", "a=setup:passive"),
        (Level::Body, "$$PORT", "0"),
        (Level::Strict, "Max-Forwards: 70", "Max-Forwards: 69"),
        (Level::Strict, "BYE sip:127.0.0.1", "BYE sip:u@7.0.0.1"),
    ] {
        let text = String::from_utf8_lossy(&said).into_owned();
        let (old, new) = match old {
            // Of the bridge's offer, which is the first.
            "$$PORT" => {
                let at = text.find("m=message ").unwrap();
                let line = text[at..].split(" TCP").next().unwrap().to_owned();
                let refused = format!("m=message {}", "0".repeat(line.len() - "m=message ".len()));
                (line, refused)
            }
            old => (old.to_owned(), new.to_owned()),
        };
        let (changed, count) = replaced(&said, old.as_bytes(), new.as_bytes());
        assert!(count > 0, "{old}");
        let trace = folder.join("changed.pcapng");
        fs::write(&trace, changed).unwrap();
        for at in LEVELS {
            let outcome = rehearse(&Run { level: at, ..quick(&trace) });
            let wanted = if at < level { Exit::Good } else { Exit::Differs };
            assert_eq!(outcome.exit, wanted, "{new} at {at:?}: {}", shown(&outcome));
        }
    }
}

#[test]
fn one_thing_that_is_written_otherwise_is_found_at_its_level() {
    let left = Path::new(FLOWS).join("15-receiving").join("trace.txt");
    let text = fs::read_to_string(&left).unwrap();
    for (level, old, new) in [
        (
            Level::Headers,
            "INVITE sip:+19585550100@example.com",
            "INVITE sip:+19585550100@example.net",
        ),
        (Level::Body, "Hello Alice", "Hallo Alice"),
        (Level::Body, "m=message 2855", "m=message 0"),
        (Level::Body, "<message-id>msg-2<", "<message-id>zzz-9<"),
        (Level::Body, "\nDateTime: 2", "\nDateTime: x"),
        (Level::Strict, "CSeq: 1 ACK", "CSeq: 1 BYE"),
        (Level::Strict, "SIP/2.0 200 OK", "SIP/2.0 200 Fine"),
        (Level::Strict, "Contact: <sip:198.51.100.5", "Contact: <sip:203.0.113.66"),
        (Level::Strict, "To-Path: msrp://", "To-Path: msrp://203.0.113.1:1/r;tcp msrp://"),
    ] {
        assert!(text.contains(old), "{old}");
        let right = scratch("written").join("changed.txt");
        fs::write(&right, text.replacen(old, new, 1)).unwrap();
        for at in LEVELS {
            let outcome = replay::diff(&left, &right, at, Form::Text);
            let wanted = if at < level { Exit::Good } else { Exit::Differs };
            assert_eq!(outcome.exit, wanted, "{new} at {at:?}: {}", shown(&outcome));
        }
    }
}

#[test]
fn what_a_report_or_a_piece_is_of_and_what_is_called_for_counts() {
    let offer = "INVITE sip:b@h SIP/2.0\nVia: SIP/2.0/UDP h;branch=z\nFrom: <sip:a@h>;tag=1\n\
                 To: <sip:b@h>\nCall-ID: c\nCSeq: 1 INVITE\nContent-Type: application/sdp\n\n\
                 v=0\nm=message 9 TCP/MSRP *\na=path:msrp://192.0.2.1:9/a;tcp\n";
    let frame = |tid: &str, method: &str, fields: &str, flag: char| {
        format!(
            "MSRP {tid} {method}\nTo-Path: msrp://192.0.2.2:9/b;tcp\n\
             From-Path: msrp://192.0.2.1:9/a;tcp\n{fields}\n-------{tid}{flag}\n"
        )
    };
    let send = "Message-ID: m1\nByte-Range: 1-2/4\nContent-Type: text/plain\n\nhi";
    let [first, second, report] = [
        frame("t1aa", "SEND", send, '+'),
        frame("t2aa", "SEND", &send.replace("1-2", "3-4"), '$'),
        frame("t3aa", "REPORT", "Message-ID: m1\nByte-Range: 1-4/4\nStatus: 000 200 OK", '$'),
    ];
    let call = "POST /e/1/chat/tel%3A%2B1/sessions/s1/messages HTTP/1.1\nContent-Length: 0\n\n";
    let all = [offer, &first, &second, &report, call].map(|text| {
        format!(
            "2026/01/15 10:00:00.000000 192.0.2.1:9 -> 192.0.2.2:9\n{}\n\n",
            text.replace('\n', "\r\n")
        )
    });
    let folder = scratch("about");
    let (left, right) = (folder.join("left.txt"), folder.join("right.txt"));
    fs::write(&left, all.concat()).unwrap();
    for (level, message, old, new) in [
        (None, 4, "/s1/", "/s2/"),
        (Some(Level::Body), 0, "msrp://192.0.2.1", "msrp://192.0.2.9"),
        (Some(Level::Body), 2, "Message-ID: m1", "Message-ID: m2"),
        (Some(Level::Body), 3, "Message-ID: m1", "Message-ID: m2"),
        (Some(Level::Strict), 4, "/sessions/", "/groupSessions/"),
        (Some(Level::Strict), 4, "%2B1/", "%2B2/"),
    ] {
        let mut other = all.clone();
        other[message] = other[message].replace(old, new);
        assert_ne!(other[message], all[message], "{old}");
        fs::write(&right, other.concat()).unwrap();
        for at in LEVELS {
            let outcome = replay::diff(&left, &right, at, Form::Text);
            let is_found = level.is_some_and(|level| at >= level);
            let wanted = if is_found { Exit::Differs } else { Exit::Good };
            assert_eq!(outcome.exit, wanted, "{new} at {at:?}: {}", shown(&outcome));
        }
    }
    // Throughout, one id stands for another.
    fs::write(&right, all.concat().replace("m1", "m2").replace("/a;tcp", "/xyz;tcp")).unwrap();
    let outcome = replay::diff(&left, &right, Level::Strict, Form::Text);
    assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
}

#[test]
fn what_stands_for_each_other_throughout_is_the_same() {
    let left = Path::new(FLOWS).join("15-receiving").join("trace.txt");
    let text = fs::read_to_string(&left).unwrap();
    let right = scratch("throughout").join("changed.txt");
    let other = text.replace("192.0.2.10", "192.0.2.20").replace("msg-2", "m-xy2");
    assert_ne!(other, text);
    fs::write(&right, other).unwrap();
    let outcome = replay::diff(&left, &right, Level::Strict, Form::Text);
    assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
}

#[test]
fn a_stream_that_a_peer_refuses_stays_refused() {
    let trace = flow("refused", "03-ending", |text| {
        let at = text.find("SIP/2.0 200").unwrap();
        let (head, tail) = text.split_at(at);
        format!("{head}{}", tail.replacen("m=message 2855", "m=message 0000", 1))
    });
    let outcome = rehearse(&Run { explain: true, ..quick(&trace) });
    assert_eq!(outcome.exit, Exit::Silent, "{}", shown(&outcome));
    assert!(outcome.text.contains("SIP;cause=488;"), "{}", outcome.text);
    assert!(!outcome.text.contains("\"m=message 0000 TCP/MSRP *\" becomes"), "{}", outcome.text);
}

#[test]
fn what_is_too_long_to_be_compared_is_not_called_the_same() {
    let file = scratch("long").join("long.txt");
    let mut text = String::new();
    for number in 0..20_001 {
        text.push_str(&format!(
            "2026/01/15 10:00:00.000000 192.0.2.1:1 -> 192.0.2.2:2\nOPTIONS sip:a SIP/2.0\r\n\
             Call-ID: {number}\r\nCSeq: 1 OPTIONS\r\n\r\n\n"
        ));
    }
    fs::write(&file, &text).unwrap();
    let outcome = replay::diff(&file, &file, Level::Flow, Form::Text);
    assert_eq!(outcome.exit, Exit::NoTrace, "{}", shown(&outcome));
    assert!(outcome.warnings[0].ends_with(": it is too long to be compared"), "{outcome:?}");
    // Nor is it where only the last message is of no dialog that is told.
    let last = text.rfind("2026/").unwrap();
    let (most, stray) = text.split_at(last);
    fs::write(&file, most.to_owned() + &stray.replace("OPTIONS", "BYE")).unwrap();
    let outcome = replay::diff(&file, &file, Level::Flow, Form::Text);
    assert_eq!(outcome.exit, Exit::NoTrace, "{}", shown(&outcome));
}

#[test]
fn an_expectation_that_cannot_be_looked_at_is_refused() {
    for (step, told) in [
        (json!({"sip_out": 500}), "sip_out is no text"),
        (json!({"rest": 404, "http": 500}), "rest is no text"),
        (json!({"rest": "DELETE sessions/{id}", "http": "404"}), "http is no status"),
        (json!({"msrp_out": "imdn processing"}), "which is no message"),
        (
            json!({"sip_in": "200", "expect": [
                {"notification": "chatEventNotification", "eventTyp": "Accepted", "absent": true}
            ]}),
            "a chatEventNotification with \"eventTyp\", which means nothing",
        ),
    ] {
        let outcome = with_step(&step, "cannot");
        assert_eq!(outcome.exit, Exit::Usage, "{step}: {}", shown(&outcome));
        assert!(outcome.warnings[0].contains(told), "{step}: {}", shown(&outcome));
    }
    let folder =
        expecting("stepz", "03-ending", |all| all["trace.txt"]["dialogs"][0]["stepz"] = json!([]));
    let outcome = rehearse(&quick(&folder));
    assert!(outcome.warnings[0].contains("a dialog with \"stepz\""), "{}", shown(&outcome));
}

#[test]
fn an_expectation_of_another_message_or_call_is_not_met() {
    for (step, told) in [
        (
            json!({"rest": "DELETE sessions/nonsense"}),
            "DELETE sessions/nonsense was not called for",
        ),
        (json!({"rest": "PUT sessions/{id}"}), "PUT sessions/{id} was not called for"),
        (json!({"msrp_out": "REPORT 413"}), "msrp_out REPORT 413 the trace has no such thing"),
        (json!({"msrp_out": "imdn delivered"}), "msrp_out imdn delivered the trace has no"),
        (json!({"sip_in": "200 (CANCEL)"}), "sip_in 200 (CANCEL) the trace has no such thing"),
    ] {
        let outcome = with_step(&step, "other");
        assert_eq!(outcome.exit, Exit::Differs, "{step}: {}", shown(&outcome));
        let words: Vec<&str> =
            outcome.text.split_whitespace().filter(|word| *word != "|").collect();
        assert!(words.join(" ").contains(told), "{step}: {}", outcome.text);
    }
}

#[test]
fn an_expectation_of_one_call_is_not_met_by_another() {
    let twice = flow("twice", "03-ending", |text| {
        let mut other = text.replace("10:00:00", "10:00:05");
        for (old, new) in [
            ("one@", "two@"),
            ("kone", "ktwo"),
            ("u-one", "u-two"),
            ("n-one", "n-two"),
            ("/a1", "/a2"),
            ("/b1", "/b2"),
            ("9585550101", "9585550102"),
        ] {
            other = other.replace(old, new);
        }
        format!("{text}{other}")
    });
    assert_eq!(rehearse(&quick(&twice)).exit, Exit::Good);
    let file = twice.join("expected.json");
    let expected: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    for (step, told) in [
        (json!({"sip_out": "BYE"}), "sip_out BYE"),
        (json!({"sip_in": "200 INVITE"}), "sip_in 200 INVITE"),
        (json!({"msrp_out": "SEND"}), "msrp_out SEND"),
    ] {
        let mut expected = expected.clone();
        let steps = expected["trace.txt"]["dialogs"][0]["steps"].as_array_mut().unwrap();
        steps.push(step);
        fs::write(&file, expected.to_string()).unwrap();
        let outcome = rehearse(&quick(&twice));
        assert_eq!(outcome.exit, Exit::Differs, "{told}: {}", shown(&outcome));
        assert!(outcome.text.contains(told), "{told}: {}", outcome.text);
    }
}

#[test]
fn an_answer_is_expected_with_its_phrase() {
    let outcome = with_step(&json!({"sip_in": "200 OK"}), "phrase");
    assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
}

#[test]
fn a_message_in_more_pieces_than_there_are_is_not_there() {
    for (pieces, exit) in [(1, Exit::Good), (2, Exit::Differs)] {
        let folder = expecting(&format!("pieces-{pieces}"), "15-receiving", |all| {
            let steps = all["trace.txt"]["dialogs"][0]["steps"].as_array_mut().unwrap();
            let heard = steps.iter_mut().find(|step| step["msrp_in"] == "SEND msg-2").unwrap();
            heard["msrp_in"] = json!(format!("{pieces} chunks msg-2"));
        });
        let outcome = rehearse(&quick(&folder));
        assert_eq!(outcome.exit, exit, "{pieces}: {}", shown(&outcome));
    }
}

#[test]
fn what_could_not_be_said_is_not_played() {
    // No description offers its session.
    let stray = "2026/01/15 10:00:00.360000 198.51.100.5:2855 -> 192.0.2.10:49152\r\n\
                 MSRP zz1 SEND\r\nTo-Path: msrp://192.0.2.10:2855/nobody;tcp\r\n\
                 From-Path: msrp://198.51.100.5:2855/nothere;tcp\r\nMessage-ID: q\r\n\
                 Byte-Range: 1-2/2\r\nContent-Type: text/plain\r\n\r\nhi\r\n-------zz1$\r\n\r\n";
    let trace = flow("stray", "03-ending", |text| {
        let at = text.find("BYE sip").unwrap();
        let at = text[..at].rfind("2026/").unwrap();
        let (head, tail) = text.split_at(at);
        format!("{head}{stray}{tail}")
    });
    let told = "MSRP SEND is left out, for its session did not come to be";
    for (strict, exit) in [(false, Exit::Good), (true, Exit::Unexpected)] {
        let outcome = rehearse(&Run { strict, ..quick(&trace) });
        assert_eq!(outcome.exit, exit, "{}", shown(&outcome));
        assert!(outcome.text.contains("  not played packet 8: "), "{}", outcome.text);
        assert!(outcome.text.contains(told), "{}", outcome.text);
        assert!(outcome.text.contains(": 9 of 10 messages"), "{}", outcome.text);
    }
}

#[test]
fn expectations_of_msrp_are_left_out_aloud_where_there_is_none() {
    let trace = Path::new("sip-fixtures/traces/cpm-1to1.sngrep.txt");
    let outcome = rehearse(&quick(trace));
    assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
    let told = " expectations of MSRP: the trace has none of it\n";
    assert!(outcome.text.contains(told), "{}", outcome.text);
}

#[test]
fn what_is_held_back_behind_the_last_message_is_told() {
    // It ends before the ACK that is held back.
    let contact = "Contact: <sip:203.0.113.9:5060>";
    let trace = flow("behind", "03-ending", |text| {
        let at = text.find("ACK sip").unwrap();
        let at = text[..at].rfind("2026/").unwrap();
        text[..at].replace("Contact: <sip:198.51.100.5:5060>", contact)
    });
    fs::remove_file(trace.join("expected.json")).unwrap();
    let report = trace.join("verdict.xml");
    let kept = [Rewriting::Contact].into_iter().collect();
    let run = Run { kept, junit: Some(report.clone()), form: Form::Json, ..quick(&trace) };
    let outcome = rehearse(&run);
    assert_eq!(outcome.exit, Exit::Usage, "{}", shown(&outcome));
    let told: Value = serde_json::from_str(&outcome.text).unwrap();
    assert!(told["verdict"].as_str().unwrap().starts_with("the bridge was held back"), "{told}");
    let held = "SIP ACK for 203.0.113.9:5060 was held back: --keep contact";
    let all = told["differences"].as_array().unwrap();
    assert!(all.iter().any(|it| it["found"].as_str().unwrap().contains(held)), "{told}");
    assert!(fs::read_to_string(report).unwrap().contains(held));
}

#[test]
fn what_is_held_back_of_the_tidying_is_told() {
    // It ends while the chat goes on: the bridge ends it towards whoever was recorded.
    let contact = "Contact: <sip:203.0.113.9:5060>";
    let trace = flow("tidied", "13-leaving", |text| {
        let at = text.find("BYE sip").unwrap();
        let at = text[..at].rfind("2026/").unwrap();
        text[..at].replace("Contact: <sip:198.51.100.5:5060>", contact)
    });
    fs::remove_file(trace.join("expected.json")).unwrap();
    let told = "behind the end: SIP BYE for 203.0.113.9:5060 was held back: --keep contact";
    let kept =
        |form| Run { kept: [Rewriting::Contact].into_iter().collect(), form, ..quick(&trace) };
    let outcome = rehearse(&kept(Form::Text));
    assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
    assert!(outcome.text.contains(&format!("  note       {told}")), "{}", outcome.text);
    assert!(outcome.text.contains("as expected: 6 of 6 messages, 5 SIP, "), "{}", outcome.text);
    let outcome: Value = serde_json::from_str(&rehearse(&kept(Form::Json)).text).unwrap();
    let notes = outcome["notes"].as_array().unwrap();
    assert!(notes.iter().any(|note| note.as_str().unwrap().starts_with(told)), "{outcome}");
    // Where it may be called nothing is to be told.
    assert!(!rehearse(&quick(&trace)).text.contains("behind the end"));
}

#[test]
fn a_long_call_id_is_found_by_its_whole_name() {
    let (old, new) = ("call@198.51.100.5", format!("{}@198.51.100.5", "c".repeat(300)));
    let trace = flow("long", "13-leaving", |text| text.replace(old, &new));
    let file = trace.join("expected.json");
    let expected = fs::read_to_string(&file).unwrap().replace(old, &new);
    fs::write(&file, expected).unwrap();
    let outcome = rehearse(&quick(&trace));
    assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
}

/// Plays a flow that ends, with one more step at the end of what is expected of it.
fn with_step(step: &Value, name: &str) -> Outcome {
    rehearse(&quick(&expecting(name, "03-ending", |all| {
        let steps = all["trace.txt"]["dialogs"][0]["steps"].as_array_mut().unwrap();
        steps.push(step.clone());
    })))
}

/// Copies a flow of which something else is expected.
fn expecting(name: &str, of: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
    let folder = flow(name, of, |text| format!("{text}\n"));
    let file = folder.join("expected.json");
    let mut all: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    change(&mut all);
    fs::write(file, all.to_string()).unwrap();
    folder
}

/// Copies a flow in which something else was recorded.
fn flow(name: &str, of: &str, change: impl FnOnce(&str) -> String) -> PathBuf {
    let (folder, from) = (scratch(&format!("verdicts-{name}")), Path::new(FLOWS).join(of));
    fs::copy(from.join("expected.json"), folder.join("expected.json")).unwrap();
    let text = fs::read_to_string(from.join("trace.txt")).unwrap();
    let changed = change(&text);
    assert_ne!(changed, text);
    fs::write(folder.join("trace.txt"), changed).unwrap();
    folder
}

fn quick(trace: &Path) -> Run {
    Run { pace: Pace { timeout: std::time::Duration::from_secs(2), ..PACE }, ..order(trace) }
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> (Vec<u8>, usize) {
    assert_eq!(old.len(), new.len());
    let (mut changed, mut count) = (bytes.to_vec(), 0);
    for at in 0..=bytes.len() - old.len() {
        if bytes[at..].starts_with(old) {
            changed[at..at + new.len()].copy_from_slice(new);
            count += 1;
        }
    }
    (changed, count)
}
