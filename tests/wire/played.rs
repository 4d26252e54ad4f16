//! Recorded flows, played against a bridge: each ends as its expectation says, and what is wrong is
//! found.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use chatbridge::app::{Running, rehearse};
use chatbridge::config::{Config, CoreMode, HostPort, StoreKind};
use chatbridge::replay::{
    self, Exit, Expect, Form, Kept, Level, Outcome, Pace, Run, Side, Stand, Target,
};
use serde_json::{Value, json};

pub(super) const FLOWS: &str = "sip-fixtures/flows";

#[test]
fn every_flow_of_the_specification_goes_as_expected_and_says_nothing_else() {
    let (mut played, mut others) = (Vec::new(), Vec::new());
    for folder in entries(FLOWS).into_iter().filter(|entry| entry.is_dir()) {
        let outcome = rehearse(&Run { strict: true, ..order(&folder) });
        assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
        let file = folder.join("expected.json").display().to_string();
        assert!(outcome.text.contains(&format!("  expected   {file}\n")), "{}", outcome.text);
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        match name.split('-').next().unwrap().parse::<u8>() {
            Ok(figure) => played.push(figure),
            Err(_) => others.push(name),
        }
    }
    played.dedup();
    assert_eq!(played, (1..=15).collect::<Vec<u8>>(), "a figure without a flow");
    // Of the two documents of flows.
    let wanted = ["hosted-by-a-participant", "long-lived-other-focus", "long-lived-same-focus"];
    assert_eq!(others, wanted);
}

/// The recorded chats in all their forms, with the MSRP frames in each: of the logs none has any.
pub(super) const TRACES: [(&str, usize); 23] = [
    ("cpm-1to1.homer.txt", 0),
    ("cpm-1to1.null.pcap", 16),
    ("cpm-1to1.pcap", 16),
    ("cpm-1to1.pcapng", 16),
    ("cpm-1to1.pjsip.log", 0),
    ("cpm-1to1.rawip-nano-be.pcap", 16),
    ("cpm-1to1.sipdump.txt", 0),
    ("cpm-1to1.sipp_messages.log", 0),
    ("cpm-1to1.sll.pcap", 16),
    ("cpm-1to1.sll2.pcap", 16),
    ("cpm-1to1.sngrep.txt", 0),
    ("cpm-1to1.sofia.log", 0),
    ("cpm-group.homer.txt", 0),
    ("cpm-group.pcap", 8),
    ("cpm-group.sipdump.txt", 0),
    ("cpm-group.sipp_messages.log", 0),
    ("cpm-group.sngrep.txt", 0),
    ("cpm-pager-imdn.pcap", 0),
    ("simple-im-declines.homer.txt", 0),
    ("simple-im-declines.pcap", 0),
    ("simple-im-declines.sipdump.txt", 0),
    ("simple-im-declines.sipp_messages.log", 0),
    ("simple-im-declines.sngrep.txt", 0),
];

#[test]
fn every_form_of_every_recorded_chat_goes_as_expected() {
    let files = entries("sip-fixtures/traces").into_iter().filter(|entry| entry.is_file());
    let names = files.map(|file| file.file_name().unwrap().to_string_lossy().into_owned());
    let there: Vec<String> =
        names.filter(|name| name != "expected.json" && name != "SOURCES.md").collect();
    assert_eq!(there, TRACES.map(|(name, _)| name), "what is there is played, and nothing else");
    for (name, frames) in TRACES {
        let outcome = rehearse(&order(&Path::new("sip-fixtures/traces").join(name)));
        assert_eq!(outcome.exit, Exit::Good, "{name}: {}", shown(&outcome));
        assert!(outcome.text.contains("\nas expected: "), "{name}: {}", outcome.text);
        // The legend has an arrow of MSRP as well, and the bridge may say more than the trace has.
        let is_frame = |line: &&str| {
            (line.contains("|===") || line.contains("|<===")) && line.contains(" = #")
        };
        let drawn = outcome.text.lines().filter(is_frame).count();
        assert_eq!(drawn, frames, "{name}: {}", outcome.text);
    }
}

#[test]
fn what_is_said_closely_is_compared_closely() {
    // The bridge is no copy of the device that was recorded, and each level sees more of that.
    let trace = Path::new("sip-fixtures/traces/cpm-1to1.pcap");
    let outcome = rehearse(&Run { level: Level::Headers, ..order(trace) });
    assert_eq!(outcome.exit, Exit::Differs, "{}", shown(&outcome));
    assert!(outcome.text.contains("packet 1, 2023-11-14T22:13:20.000000Z"), "{}", outcome.text);
    assert!(outcome.text.contains("-> SIP INVITE: "), "{}", outcome.text);
    // Of the first pair all is shown.
    let shown: Vec<&str> = outcome.text.lines().filter(|line| line.contains(" ! ")).collect();
    assert!(shown.iter().any(|line| line.contains("    Call-ID: ")), "{}", outcome.text);
}

#[test]
fn either_side_can_be_played() {
    for (flow, side, play) in [
        ("02-starting", Side::Ue, None),
        ("14-sending", Side::Ue, None),
        ("03-ending", Side::Network, Some("192.0.2.10")),
        ("07-accepting", Side::Network, Some("198.51.100.5:5060")),
    ] {
        let run = order(&Path::new(FLOWS).join(flow));
        let outcome = rehearse(&Run { side, play: play.map(str::to_owned), ..run });
        assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
    }
    let nobody = Some("203.0.113.9".to_owned());
    let run = order(&Path::new(FLOWS).join("02-starting"));
    let outcome = rehearse(&Run { play: nobody, ..run });
    assert_eq!(outcome.exit, Exit::Usage, "{}", shown(&outcome));
}

#[test]
fn a_wrong_expectation_ends_with_one_and_shows_the_difference_side_by_side() {
    let folder = copy("wrong", "02-starting", |text| text.replace("\"Accepted\"", "\"Declined\""));
    let report = folder.join("verdict.xml");
    let outcome = rehearse(&Run { junit: Some(report.clone()), ..order(&folder) });
    assert_eq!((outcome.exit, outcome.exit.code()), (Exit::Differs, 1), "{}", shown(&outcome));
    let told = "chatEventNotification: eventType: Declined | \
                chatEventNotification: eventType: Accepted\n";
    // How wide the columns are depends on where the trace lies.
    let lines = outcome
        .text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n");
    let text: String = lines.collect();
    for part in ["dialog 1 (INVITE one@192.0.2.10):", "packet 4, 2026-01-15T10:00:00.200000Z", told]
    {
        assert!(text.contains(part), "{part} is not in {}", outcome.text);
    }
    let report = fs::read_to_string(report).unwrap();
    assert!(report.contains("tests=\"1\" failures=\"1\" skipped=\"0\""), "{report}");
    assert!(report.contains("<failure message=\"packet 4, 2026-01-15T10:00:00.200000Z: "));
}

#[test]
fn a_call_that_is_answered_otherwise_is_a_difference() {
    let folder = copy("status", "03-ending", |text| text.replace("\"http\": 204", "\"http\": 404"));
    let outcome = rehearse(&order(&folder));
    assert_eq!(outcome.exit, Exit::Differs, "{}", shown(&outcome));
    assert!(outcome.text.contains(" gives 404 | DELETE "), "{}", outcome.text);
}

#[test]
fn what_is_expected_of_something_that_is_not_there_is_not_met() {
    for (name, flow, old, new, told) in [
        ("no-dialog", "02-starting", "\"one@", "\"none@", "dialog none@192.0.2.10 "),
        ("no-message", "03-ending", "\"BYE", "\"CANCEL", "sip_out CANCEL "),
        (
            "no-call",
            "03-ending",
            "\"sip_in\": \"200\"",
            "\"rest\": \"POST x\", \"http\": 201",
            "POST x ",
        ),
        (
            "no-notice",
            "13-leaving",
            "tel:+19585550101",
            "tel:+19585550109",
            "originatorAddress: tel:+19585550109",
        ),
        ("no-text", "14-sending", "MessageSuccess", "MessageFailure", "eventType: MessageFailure"),
    ] {
        let folder = copy(name, flow, |text| text.replacen(old, new, 1));
        let report = folder.join("verdict.xml");
        let pace = Pace { timeout: Duration::from_secs(2), ..PACE };
        let run = Run { junit: Some(report.clone()), pace, ..order(&folder) };
        let outcome = rehearse(&run);
        assert_eq!(outcome.exit, Exit::Differs, "{name}: {}", shown(&outcome));
        assert!(outcome.text.contains(told), "{name}: {told} is not in {}", outcome.text);
        let report = fs::read_to_string(report).unwrap();
        assert!(report.contains("<failure message=\""), "{name}: {report}");
    }
}

#[test]
fn an_expectation_that_is_not_understood_is_refused() {
    for (name, old, new, told) in [
        ("field", "\"expect\"", "\"expext\"", "a step with \"expext\""),
        ("steps", "\"steps\"", "\"stops\"", "dialog call@198.51.100.5: steps is no list"),
        ("list", "\"dialogs\"", "\"dialog\"", "dialogs is no list"),
        ("id", "\"call_id\"", "\"callid\"", "a dialog without its call_id"),
        ("notice", "\"notification\"", "\"note\"", "something expected that is no notification"),
    ] {
        let folder = copy(name, "13-leaving", |text| text.replacen(old, new, 1));
        let report = folder.join("verdict.xml");
        let outcome = rehearse(&Run { junit: Some(report.clone()), ..order(&folder) });
        assert_eq!(outcome.exit, Exit::Usage, "{name}: {}", shown(&outcome));
        assert!(outcome.warnings[0].contains(told), "{name}: {}", shown(&outcome));
        assert!(fs::read_to_string(report).unwrap().contains("failures=\"1\""));
    }
    // Where it speaks of another trace, that is said.
    let folder = copy("other", "13-leaving", |text| text.replace("\"trace.txt\"", "\"race.txt\""));
    let outcome = rehearse(&order(&folder));
    assert!(outcome.text.contains("derived from the trace: "), "{}", outcome.text);
}

#[test]
fn a_trace_in_which_something_else_is_said_ends_with_one() {
    for (name, flow, old, new) in [
        ("declined", "02-starting", "SIP/2.0 200 OK", "SIP/2.0 486 Busy Here"),
        ("refused", "14-sending", "200 OK\r\nTo-Path", "413 Too Big\r\nTo-Path"),
        ("said", "15-receiving", "Hello Alice", "Hallo Alice"),
        ("accepted", "08-declining", " 480 ", " 486 "),
        ("left", "13-leaving", "BYE sip", "INFO sip"),
    ] {
        let from = Path::new(FLOWS).join(flow);
        let folder = scratch("damaged").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::copy(from.join("expected.json"), folder.join("expected.json")).unwrap();
        let trace = fs::read_to_string(from.join("trace.txt")).unwrap();
        let damaged = trace.replace(old, new);
        assert_ne!(damaged, trace, "{name}");
        fs::write(folder.join("trace.txt"), damaged).unwrap();
        let pace = Pace { timeout: Duration::from_secs(2), ..PACE };
        let outcome = rehearse(&Run { pace, ..order(&folder) });
        assert_eq!((outcome.exit, outcome.exit.code()), (Exit::Differs, 1), "{}", shown(&outcome));
        assert!(outcome.text.contains(" | "), "{name}: {}", shown(&outcome));
    }
}

#[test]
fn what_is_told_before_its_cause_is_out_of_order() {
    // The text is expected of the answer to its report, which there cannot be before.
    let folder = scratch("early");
    let from = Path::new(FLOWS).join("15-receiving");
    fs::copy(from.join("trace.txt"), folder.join("trace.txt")).unwrap();
    let expected = fs::read_to_string(from.join("expected.json")).unwrap();
    let mut expected: Value = serde_json::from_str(&expected).unwrap();
    let steps = expected["trace.txt"]["dialogs"][0]["steps"].as_array_mut().unwrap();
    let heard = steps.iter().position(|step| step["msrp_in"] == "SEND msg-2").unwrap();
    let told = steps[heard]["expect"].take();
    steps.push(json!({"msrp_in": "200", "expect": told}));
    fs::write(folder.join("expected.json"), expected.to_string()).unwrap();
    let outcome = rehearse(&order(&folder));
    assert_eq!(outcome.exit, Exit::Differs, "{}", shown(&outcome));
    assert!(outcome.text.contains("| was told before MSRP 200 was sent"), "{}", outcome.text);
}

#[test]
fn an_expectation_may_have_conditions() {
    let flow = Path::new(FLOWS).join("02-starting");
    let expected = fs::read_to_string(flow.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let event = |name: &str| json!({"notification": "chatEventNotification", "eventType": name});
    let with = |mut notice: Value, more: Value| {
        notice.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        notice
    };
    let (accepted, declined) = (event("Accepted"), event("Declined"));
    for (number, (expect, exit, told)) in [
        (json!([{"anyOf": [declined, accepted]}]), Exit::Good, "as expected"),
        (json!([with(accepted.clone(), json!({"within": 30_000}))]), Exit::Good, "as expected"),
        (json!([with(declined.clone(), json!({"absent": true}))]), Exit::Good, "as expected"),
        (
            json!([accepted, with(accepted.clone(), json!({"absent": true}))]),
            Exit::Differs,
            "no chatEvent",
        ),
        (json!([with(accepted.clone(), json!({"repeat": 2}))]), Exit::Differs, "was not told"),
        (
            json!([{"anyOf": [declined, event("SessionEnded")]}]),
            Exit::Differs,
            "eventType: Declined",
        ),
        (json!([with(accepted, json!({"within": "soon"}))]), Exit::Usage, "within is no number"),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = scratch(&format!("conditions-{number}"));
        fs::copy(flow.join("trace.txt"), folder.join("trace.txt")).unwrap();
        let mut changed = expected.clone();
        let steps = changed["trace.txt"]["dialogs"][0]["steps"].as_array_mut().unwrap();
        let step = steps.iter_mut().find(|step| !step["expect"].is_null()).unwrap();
        step["expect"] = expect;
        fs::write(folder.join("expected.json"), changed.to_string()).unwrap();
        let pace = Pace { timeout: Duration::from_secs(2), ..PACE };
        let outcome = rehearse(&Run { pace, ..order(&folder) });
        assert_eq!(outcome.exit, exit, "{number}: {}", shown(&outcome));
        assert!(shown(&outcome).contains(told), "{number}: {}", shown(&outcome));
    }
}

#[test]
fn what_is_expected_unordered_may_be_told_in_any_order() {
    let flow = Path::new(FLOWS).join("14-sending");
    let expected = fs::read_to_string(flow.join("expected.json")).unwrap();
    for (unordered, exit) in [(false, Exit::Differs), (true, Exit::Good)] {
        let folder = scratch(&format!("unordered-{unordered}"));
        fs::copy(flow.join("trace.txt"), folder.join("trace.txt")).unwrap();
        let mut changed: Value = serde_json::from_str(&expected).unwrap();
        let steps = changed["trace.txt"]["dialogs"][0]["steps"].as_array_mut().unwrap();
        let mut notices = Vec::new();
        for step in steps.iter_mut().filter(|step| !step["expect"].is_null()) {
            notices.append(step["expect"].take().as_array_mut().unwrap());
        }
        assert!(notices.len() > 1, "{expected}");
        // The last comes first, and all of them from where the first one came.
        notices.reverse();
        for notice in &mut notices {
            notice["unordered"] = unordered.into();
        }
        let first = steps.iter_mut().find(|step| step["sip_in"] == "200").unwrap();
        first["expect"] = notices.into();
        fs::write(folder.join("expected.json"), changed.to_string()).unwrap();
        let pace = Pace { timeout: Duration::from_secs(2), ..PACE };
        let outcome = rehearse(&Run { pace, ..order(&folder) });
        assert_eq!(outcome.exit, exit, "{unordered}: {}", shown(&outcome));
    }
}

#[test]
fn conversations_have_ids_of_their_own_where_that_is_wanted() {
    let (flow, folder) = (Path::new(FLOWS).join("15-receiving"), scratch("fresh-ids"));
    let id = "Conversation-ID: f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    let trace = fs::read_to_string(flow.join("trace.txt")).unwrap();
    let trace = trace.replacen("Call-ID: ", &format!("{id}\r\nCall-ID: "), 1);
    fs::write(folder.join("trace.txt"), trace).unwrap();
    fs::copy(flow.join("expected.json"), folder.join("expected.json")).unwrap();
    for fresh_ids in [false, true] {
        let file = scratch("fresh").join("run.pcapng");
        let outcome = rehearse(&Run { fresh_ids, capture: Some(file.clone()), ..order(&folder) });
        assert_eq!(outcome.exit, Exit::Good, "{fresh_ids}: {}", shown(&outcome));
        let written = fs::read(file).unwrap();
        assert!(count(&written, b"\r\nConversation-ID: ") > 0, "{fresh_ids}");
        assert_eq!(count(&written, id.as_bytes()) > 0, !fresh_ids);
    }
}

#[test]
fn what_cannot_be_written_counts_where_all_else_is_good() {
    let nowhere = scratch("nowhere").join("no-folder").join("verdict.xml");
    let flow = Path::new(FLOWS).join("02-starting");
    let outcome = rehearse(&Run { junit: Some(nowhere.clone()), ..order(&flow) });
    assert_eq!(outcome.exit, Exit::Usage, "{}", shown(&outcome));
    assert!(outcome.text.contains("as expected, and not written: "), "{}", outcome.text);
    let wrong =
        copy("unwritten", "02-starting", |text| text.replace("\"Accepted\"", "\"Declined\""));
    let outcome = rehearse(&Run { capture: Some(nowhere), ..order(&wrong) });
    assert_eq!(outcome.exit, Exit::Differs, "{}", shown(&outcome));
    assert!(outcome.warnings[0].contains("no-folder"), "{}", shown(&outcome));
}

#[test]
fn a_flow_is_played_for_other_numbers_and_another_domain() {
    for flow in ["02-starting", "05-starting-a-group", "09-accepting-a-group", "14-sending"] {
        let map = ["+19585550100=+4915155501777", "+19585550101=+33", "example.com=lab.test"];
        let map = map.iter().map(|it| it.parse().unwrap()).collect();
        let file = scratch("mapped").join("run.pcapng");
        let capture = Some(file.clone());
        let run = Run { map, capture, strict: true, ..order(&Path::new(FLOWS).join(flow)) };
        let outcome = rehearse(&run);
        assert_eq!(outcome.exit, Exit::Good, "{flow}: {}", shown(&outcome));
        assert!(outcome.text.contains("tel%3A%2B4915155501777/"), "{}", outcome.text);
        let told = replay::info(&file, Form::Text).text;
        assert!(told.contains("+4915155501777@lab.test"), "{told}");
        assert!(!told.contains("+19585550100") && !told.contains("@example.com"), "{told}");
    }
}

#[test]
fn each_step_is_explained_where_that_is_wanted() {
    let flow = Path::new(FLOWS).join("03-ending");
    let map = vec!["example.com=lab.test".parse().unwrap()];
    let explained = rehearse(&Run { explain: true, map, ..order(&flow) });
    assert_eq!(explained.exit, Exit::Good, "{}", shown(&explained));
    for told in [
        "the application calls POST /1/chat/tel%3A%2B19585550100/sessions\n",
        "packet 1: SIP INVITE has come\n",
        "packet 4: SIP 200 (INVITE) is sent\n",
        "  From: \"example.com\" becomes \"lab.test\": --map\n",
        ": each side of a dialog draws its own tag\n",
        "  body: \"a=path:msrp://198.51.100.5:2855/b1;tcp\" becomes ",
        ": MSRP of this run is spoken here\n",
    ] {
        assert!(explained.text.contains(told), "{told} is not in {}", explained.text);
    }
    assert!(explained.text.contains("= #4\n"), "{}", explained.text);
    let told = rehearse(&Run { explain: true, form: Form::Json, ..order(&flow) });
    let told: Value = serde_json::from_str(&told.text).unwrap();
    assert!(told["explained"].as_array().unwrap().len() > 20);
    let silent = rehearse(&order(&flow));
    assert!(!silent.text.contains("has come"), "{}", silent.text);
}

#[test]
fn raw_is_said_what_the_trace_has_and_as_often() {
    let flow = Path::new(FLOWS).join("02-starting-declined");
    let outcome = rehearse(&Run { raw: true, strict: true, ..order(&flow) });
    assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
    // The answer was recorded twice.
    let folder = scratch("raw");
    let trace = fs::read_to_string(flow.join("trace.txt")).unwrap();
    let begin = trace.find("SIP/2.0 603").unwrap();
    let begin = trace[..begin].rfind("2026/").unwrap();
    let end = begin + 5 + trace[begin + 5..].find("2026/").unwrap();
    let twice = format!("{}{}{}", &trace[..end], &trace[begin..end], &trace[end..]);
    fs::write(folder.join("trace.txt"), twice).unwrap();
    for (raw, often) in [(false, 1), (true, 2)] {
        let capture = Some(folder.join("run.pcapng"));
        let run = Run { raw, capture, expect: Expect::Derive, ..order(&folder.join("trace.txt")) };
        let outcome = rehearse(&run);
        assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
        let written = fs::read(folder.join("run.pcapng")).unwrap();
        // Each message has its first line once more in a comment.
        assert_eq!(count(&written, b"SIP/2.0 603 "), 2 * often, "{raw}");
    }
}

fn count(bytes: &[u8], words: &[u8]) -> usize {
    bytes.windows(words.len()).filter(|window| *window == words).count()
}

#[test]
fn what_keeps_a_device_known_is_left_out_and_told() {
    let folder = copy("known", "02-starting", |text| format!("{text}\n"));
    let message = |at: &str, ends: &str, first: &str, cseq: &str| {
        format!(
            "2026/01/15 09:59:{at} {ends}\n{first}\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKr1\r\n\
             From: <sip:+19585550100@example.com>;tag=r\r\nTo: <sip:+19585550100@example.com>\r\n\
             Call-ID: reg@192.0.2.10\r\nCSeq: {cseq}\r\nContent-Length: 0\r\n\r\n\n"
        )
    };
    let (there, back) =
        ("192.0.2.10:5060 -> 198.51.100.5:5060", "198.51.100.5:5060 -> 192.0.2.10:5060");
    let mut trace = message("58.000000", there, "REGISTER sip:example.com SIP/2.0", "1 REGISTER");
    trace.push_str(&message("58.100000", back, "SIP/2.0 200 OK", "1 REGISTER"));
    fs::write(folder.join("only.txt"), &trace).unwrap();
    let outcome = rehearse(&order(&folder.join("only.txt")));
    assert_eq!(outcome.exit, Exit::NoTrace, "{}", shown(&outcome));
    fs::remove_file(folder.join("only.txt")).unwrap();
    trace.push_str(&fs::read_to_string(folder.join("trace.txt")).unwrap());
    fs::write(folder.join("trace.txt"), trace).unwrap();
    let outcome = rehearse(&Run { strict: true, ..order(&folder) });
    assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
    assert!(outcome.text.contains("left out   2 messages"), "{}", outcome.text);
}

#[test]
fn more_than_the_trace_has_matters_where_it_is_to() {
    let folder = copy("more", "13-leaving", |text| text.replace("SessionEnded", "SessionEnded*"));
    let text = fs::read_to_string(folder.join("expected.json")).unwrap();
    let mut expected: Value = serde_json::from_str(&text).unwrap();
    expected["trace.txt"]["dialogs"][0]["steps"][2]["expect"] = Value::Null;
    fs::write(folder.join("expected.json"), expected.to_string()).unwrap();
    let outcome = rehearse(&order(&folder));
    assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
    let extra = "also said  chatEventNotification eventType SessionEnded";
    assert!(outcome.text.contains(extra), "{}", outcome.text);
    let outcome = rehearse(&Run { strict: true, ..order(&folder) });
    assert_eq!((outcome.exit, outcome.exit.code()), (Exit::Unexpected, 6), "{}", shown(&outcome));
}

#[test]
fn what_was_really_said_is_written_as_a_capture_that_says_the_same() {
    let file = scratch("run").join("run.pcapng");
    let flow = Path::new(FLOWS).join("15-receiving");
    let outcome = rehearse(&Run { capture: Some(file.clone()), ..order(&flow) });
    assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
    let told = replay::info(&file, Form::Json);
    assert_eq!((told.exit, told.warnings.as_slice()), (Exit::Good, &[][..]));
    let told: Value = serde_json::from_str(&told.text).unwrap();
    assert_eq!(told["sessions"][0]["dialog"], 1);
    assert_eq!(told["sessions"][0]["frames"]["SEND"], 3);
    let same = replay::diff(&flow.join("trace.txt"), &file, Level::Flow, Form::Json);
    let same: Value = serde_json::from_str(&same.text).unwrap();
    let of_dialogs = same["differences"].as_array().unwrap().iter();
    assert_eq!(of_dialogs.filter(|apart| apart["dialog"] != 0).count(), 0, "{same}");
}

#[test]
fn what_is_ours_to_draw_follows_from_the_seed() {
    let flow = Path::new(FLOWS).join("13-leaving");
    let call_id = |seed| {
        let outcome = rehearse(&Run { seed, form: Form::Json, ..order(&flow) });
        assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
        let written = scratch("seed").join("run.pcapng");
        let run = Run { seed, capture: Some(written.clone()), ..order(&flow) };
        assert_eq!(rehearse(&run).exit, Exit::Good);
        let told: Value = serde_json::from_str(&replay::info(&written, Form::Json).text).unwrap();
        told["dialogs"][0]["callId"].as_str().unwrap().to_owned()
    };
    let (first, again, other) = (call_id(7), call_id(7), call_id(8));
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[test]
fn nobody_reads_in_a_report_where_a_channel_is() {
    let file = scratch("secret").join("run.pcapng");
    let flow = Path::new(FLOWS).join("15-receiving");
    let capture = Some(file.clone());
    let outcome = rehearse(&Run { capture, form: Form::Json, explain: true, ..order(&flow) });
    assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
    let written = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
    assert!(written.contains("/polls/*"), "{written}");
    for told in [outcome.text, written] {
        let polls: Vec<&str> =
            told.match_indices("/polls/").map(|(at, _)| &told[at + 7..]).collect();
        for poll in polls {
            let id = poll.split(|c: char| !c.is_alphanumeric() && c != '*').next().unwrap();
            assert!(!id.is_empty() && id.chars().all(|c| c == '*'), "{id}");
        }
    }
}

#[test]
fn what_was_written_is_played_again_to_the_letter() {
    for flow in entries(FLOWS).into_iter().filter(|entry| entry.is_dir()) {
        let file = scratch("again").join(flow.file_name().unwrap()).with_extension("pcapng");
        let outcome = rehearse(&Run { capture: Some(file.clone()), ..order(&flow) });
        assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
        let outcome = rehearse(&Run { level: Level::Strict, ..order(&file) });
        assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
        // In the first flow no application calls.
        let told = outcome.text.contains("an application calls for its user");
        assert!(told || flow.ends_with("01-subscribing"), "{}", outcome.text);
    }
}

#[test]
fn programs_are_told_the_verdict_as_well() {
    let flow = Path::new(FLOWS).join("14-sending");
    let outcome = rehearse(&Run { form: Form::Json, ..order(&flow) });
    let told: Value = serde_json::from_str(&outcome.text).unwrap();
    assert_eq!((&told["exit"], &told["differences"]), (&0.into(), &Value::Array(vec![])));
    assert_eq!(told["inPlaceOf"], "192.0.2.10:5060");
    assert_eq!(told["calls"][1]["status"], 201);
    assert_eq!(told["notifications"].as_array().unwrap().len(), 3);
}

#[test]
fn without_a_bridge_at_the_target_it_ends_with_four() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = target(format!("http://{nobody}"));
    let outcome = rehearse(&Run { target: Some(target), ..order(Path::new(FLOWS)) });
    assert_eq!(outcome.exit, Exit::NoTrace, "a folder of folders");
    let flow = Path::new(FLOWS).join("02-starting");
    let target = self::target(format!("http://{nobody}"));
    let outcome = rehearse(&Run { target: Some(target), ..order(&flow) });
    assert_eq!((outcome.exit, outcome.exit.code()), (Exit::Unreachable, 4), "{}", shown(&outcome));
}

#[test]
fn other_hosts_are_played_to_only_where_they_are_named() {
    let flow = Path::new(FLOWS).join("02-starting");
    let target = target("http://192.0.2.1:8080".to_owned());
    let outcome = rehearse(&Run { target: Some(target), ..order(&flow) });
    assert_eq!((outcome.exit, outcome.exit.code()), (Exit::Usage, 2), "{}", shown(&outcome));
    assert!(outcome.warnings[0].contains("--allow-target 192.0.2.1"), "{}", shown(&outcome));
}

#[test]
fn a_trace_without_sip_ends_with_three() {
    let folder = scratch("msrp");
    let frame = "2026/01/15 10:00:00.000000 192.0.2.10:1 -> 198.51.100.5:2\n\
                 MSRP t1 SEND\r\nTo-Path: msrp://b:1/s2;tcp\r\nFrom-Path: msrp://a:1/s1;tcp\r\n\
                 Message-ID: m1\r\nByte-Range: 1-0/0\r\n-------t1$\r\n";
    fs::write(folder.join("trace.txt"), frame).unwrap();
    let known = replay::info(&folder.join("trace.txt"), Form::Text);
    assert_eq!(known.exit, Exit::Good, "{}", shown(&known));
    for trace in [folder, PathBuf::from("no-such-file"), PathBuf::from("Cargo.toml")] {
        let outcome = rehearse(&order(&trace));
        assert_eq!((outcome.exit, outcome.exit.code()), (Exit::NoTrace, 3), "{}", shown(&outcome));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_with_five() {
    // The bridge calls somebody else.
    let elsewhere = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    let mut config = quiet();
    config.core.mode = CoreMode::Peer;
    config.core.next_hop = Some(HostPort { host: "127.0.0.1".into(), port: Some(port) });
    let running = Running::start(&config).await.unwrap();
    // A paged message is said in a session that the trace does not have.
    let paged = PathBuf::from("sip-fixtures/traces/cpm-pager-imdn.pcap");
    for trace in [Path::new(FLOWS).join("02-starting"), paged] {
        let stand = Stand { rest: format!("http://{}", running.rest()), sip: Some(running.sip()) };
        let order = Run { pace: Pace { timeout: Duration::from_secs(1), ..PACE }, ..order(&trace) };
        let outcome = replay::run(&order, async |_| Ok(stand)).await;
        assert_eq!((outcome.exit, outcome.exit.code()), (Exit::Silent, 5), "{}", shown(&outcome));
        assert!(outcome.text.contains("nothing within 1 s"), "{}", shown(&outcome));
    }
    running.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_an_answer_is_sent_again_from_t1_on() {
    let running = Running::start(&quiet()).await.unwrap();
    let flow = Path::new(FLOWS).join("15-receiving");
    // The first would be sent again long behind the end of the run.
    for (t1, is_sent_again) in [(60_000, false), (10, true)] {
        let mute = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let sip = Some(mute.local_addr().unwrap());
        let stand = Stand { rest: format!("http://{}", running.rest()), sip };
        let (t1, timeout) = (Duration::from_millis(t1), Duration::from_secs(1));
        let order = Run { pace: Pace { t1, timeout, ..PACE }, ..order(&flow) };
        let outcome = replay::run(&order, async |_| Ok(stand)).await;
        assert_eq!(outcome.exit, Exit::Differs, "{}", shown(&outcome));
        mute.set_nonblocking(true).unwrap();
        let (mut invites, mut datagram) = (0, [0; 4096]);
        while let Ok(length) = mute.recv(&mut datagram) {
            assert!(datagram[..length].starts_with(b"INVITE "));
            invites += 1;
        }
        assert!(invites > 0 && (invites > 1) == is_sent_again, "{t1:?}: {invites}");
    }
    running.stop(Duration::ZERO).await;
}

#[test]
fn an_interrupted_run_ends_with_130() {
    // It takes calls, and answers none.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", mute.local_addr().unwrap());
    let run = Command::new(env!("CARGO_BIN_EXE_chatbridge"))
        .args(["replay", "run", "--timeout", "600", "--listen", "127.0.0.1:0", "--target", &url])
        .arg(Path::new(FLOWS).join("02-starting"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first only asks whether anybody is there.
    let _reached = mute.accept().unwrap();
    let _asked = mute.accept().unwrap();
    let sent = Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
}

/// A bridge for itself.
fn quiet() -> Config {
    let mut config = Config::default();
    for listen in [&mut config.rest.listen, &mut config.sip.listen, &mut config.msrp.listen] {
        *listen = "127.0.0.1:0".parse().unwrap();
    }
    config.msrp.ports = 1;
    config.store.kind = StoreKind::Memory;
    config.notify.farewell = Duration::ZERO;
    config
}

pub(super) const PACE: Pace = Pace {
    speed: None,
    max_gap: Duration::from_secs(10),
    timeout: Duration::from_secs(30),
    t1: Duration::from_millis(500),
};

pub(super) fn order(trace: &Path) -> Run {
    Run {
        trace: trace.to_owned(),
        form: Form::Text,
        level: Level::Flow,
        strict: false,
        side: Side::Network,
        play: None,
        expect: Expect::File,
        pace: PACE,
        seed: 7,
        target: None,
        allowed: Vec::new(),
        credentials: None,
        kept: Kept::default(),
        map: Vec::new(),
        fresh_ids: false,
        raw: false,
        explain: false,
        max_messages: 100_000,
        junit: None,
        capture: None,
    }
}

pub(super) fn target(rest: String) -> Target {
    let listen = "127.0.0.1:0".parse().unwrap();
    Target { rest, sip: None, listen, authorization: None, ca: None }
}

/// Copies a flow with another expectation.
fn copy(name: &str, flow: &str, change: impl FnOnce(String) -> String) -> PathBuf {
    let (folder, from) = (scratch(name), Path::new(FLOWS).join(flow));
    fs::copy(from.join("trace.txt"), folder.join("trace.txt")).unwrap();
    let expected = fs::read_to_string(from.join("expected.json")).unwrap();
    let changed = change(expected.clone());
    assert_ne!(changed, expected);
    fs::write(folder.join("expected.json"), changed).unwrap();
    folder
}

pub(super) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("played").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn entries(folder: &str) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

pub(super) fn shown(outcome: &Outcome) -> String {
    format!("{}\n{}", outcome.text, outcome.warnings.join("\n"))
}
