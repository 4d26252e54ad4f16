//! What `replay` tells of the recorded chats, and how it ends.

use std::fs;
use std::path::{Path, PathBuf};

use chatbridge::app::rehearse;
use chatbridge::replay::{self, Exit, Form, Level, Picture, Run};
use serde_json::Value;

use super::played::order;

const TRACES: [&str; 4] = ["cpm-1to1", "cpm-group", "cpm-pager-imdn", "simple-im-declines"];

#[test]
fn recorded_chats_are_told_and_drawn_as_before() {
    for name in TRACES {
        let trace = trace(&format!("{name}.pcap"));
        let drawn = |picture| replay::ladder(&trace, picture, Form::Text);
        for (told, kind) in [
            (replay::info(&trace, Form::Text), "info.txt"),
            (drawn(Picture::Txt), "ladder.txt"),
            (drawn(Picture::Mermaid), "ladder.mmd"),
        ] {
            assert_eq!((told.exit, &told.warnings[..]), (Exit::Good, &[][..]), "{name}");
            let file = trace.with_file_name("told").join(format!("{name}.{kind}"));
            if std::env::var_os("UPDATE").is_some() {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, &told.text).unwrap();
            }
            assert_eq!(told.text, fs::read_to_string(&file).unwrap(), "{}", file.display());
        }
    }
    let told = fs::read_dir("sip-fixtures/traces/told").unwrap().count();
    assert_eq!(told, 3 * TRACES.len(), "a file that no trace is told by");
}

#[test]
fn every_form_of_a_trace_says_the_same() {
    for form in ["null.pcap", "sll.pcap", "sll2.pcap", "rawip-nano-be.pcap", "pcapng"] {
        let (left, right) = (trace("cpm-1to1.pcap"), trace(&format!("cpm-1to1.{form}")));
        for level in [Level::Flow, Level::Headers, Level::Body, Level::Strict] {
            let outcome = replay::diff(&left, &right, level, Form::Text);
            assert_eq!(outcome.exit, Exit::Good, "{form}: {}", outcome.text);
        }
    }
}

#[test]
fn the_first_difference_is_told_with_packet_and_time() {
    let log = fs::read_to_string(trace("cpm-1to1.sngrep.txt")).unwrap();
    let other = |name: &str, text: String| {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let (left, again) = (trace("cpm-1to1.sngrep.txt"), other("again.txt", log.clone()));
    let drawn = log.replace("tag=ft1", "tag=xy").replace("a84b4c76", "b95c5d87");
    let drawn = other("drawn.txt", drawn);
    let refused = other("refused.txt", log.replace("SIP/2.0 180 Ringing", "SIP/2.0 183 Progress"));
    let supported =
        other("supported.txt", log.replace("Supported: timer, 100rel", "Supported: timer"));
    for (right, level, exit) in [
        (&again, Level::Strict, Exit::Good),
        (&drawn, Level::Strict, Exit::Good),
        (&refused, Level::Flow, Exit::Differs),
        (&supported, Level::Flow, Exit::Good),
        (&supported, Level::Headers, Exit::Differs),
    ] {
        let outcome = replay::diff(&left, right, level, Form::Text);
        assert_eq!(outcome.exit, exit, "{} {level:?}: {}", right.display(), outcome.text);
    }
    let outcome = replay::diff(&left, &refused, Level::Flow, Form::Json);
    let told: Value = serde_json::from_str(&outcome.text).unwrap();
    assert_eq!(told["differences"][0]["left"]["packet"], 3);
    assert_eq!(told["differences"][0]["left"]["at"], "2023-11-14T22:13:20.070042Z");
    assert_eq!(told["differences"][0]["right"]["message"], "<- SIP 183 (INVITE)");
    let outcome = replay::diff(&left, &supported, Level::Headers, Form::Text);
    assert!(outcome.text.contains("supported: timer, 100rel | -> SIP INVITE: supported: timer\n"));
}

#[test]
fn programs_are_told_as_much_as_people() {
    let told = replay::info(&trace("cpm-group.pcap"), Form::Json);
    let told: Value = serde_json::from_str(&told.text).unwrap();
    assert_eq!(told["dialogs"][0]["ended"]["reason"], "SIP;cause=480;text=\"Bearer unavailable\"");
    assert_eq!((&told["sessions"][0]["dialog"], &told["sip"]), (&1.into(), &28.into()));
    let drawn = replay::ladder(&trace("cpm-group.pcap"), Picture::Txt, Form::Json);
    let drawn: Value = serde_json::from_str(&drawn.text).unwrap();
    assert_eq!(drawn["steps"].as_array().unwrap().len(), 36);
    assert_eq!(drawn["steps"][0]["about"], "multipart/mixed");
}

#[test]
fn the_page_shows_messages_and_lets_none_out_of_its_place() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("<i>evil.txt");
    let evil = "2023/11/14 22:13:20 192.0.2.1:1 -> 192.0.2.2:2\nMESSAGE sip:a SIP/2.0\r\n\
                Call-ID: </pre><script>\r\nEvent: <script>\r\n\r\n";
    fs::write(&file, evil).unwrap();
    let page = replay::ladder(&file, Picture::Html, Form::Text).text;
    assert!(!page.contains("<script") && !page.contains("<i>"), "{page}");
    assert!(page.contains("&lt;/pre&gt;&lt;script&gt;"));
    for picture in [Picture::Mermaid, Picture::Md] {
        let drawn = replay::ladder(&file, picture, Form::Text).text;
        assert!(!drawn.contains("<script"), "{drawn}");
    }
    let document = replay::ladder(&trace("cpm-1to1.pcap"), Picture::Md, Form::Text).text;
    let diagram = replay::ladder(&trace("cpm-1to1.pcap"), Picture::Mermaid, Form::Text).text;
    assert!(document.contains(&format!("```mermaid\n{diagram}```\n")), "{document}");
}

#[test]
fn what_is_no_trace_ends_with_three() {
    for file in ["sip-fixtures/traces/expected.json", "sip-fixtures/no-such-file", "sip-fixtures"] {
        for outcome in [
            replay::info(Path::new(file), Form::Text),
            replay::ladder(Path::new(file), Picture::Txt, Form::Text),
            replay::diff(&trace("cpm-1to1.pcap"), Path::new(file), Level::Flow, Form::Text),
        ] {
            assert_eq!((outcome.exit, outcome.exit.code()), (Exit::NoTrace, 3));
            assert!(outcome.warnings.iter().any(|line| line.starts_with(file)), "{outcome:?}");
        }
    }
}

#[test]
fn programs_are_told_of_failures_as_well() {
    let nowhere = Path::new("sip-fixtures/no-such-file");
    for outcome in [
        replay::info(nowhere, Form::Json),
        replay::ladder(nowhere, Picture::Txt, Form::Json),
        replay::diff(nowhere, nowhere, Level::Flow, Form::Json),
        rehearse(&Run { form: Form::Json, ..order(nowhere) }),
        rehearse(&Run {
            form: Form::Json,
            play: Some("192.0.2.99".to_owned()),
            ..order(&trace("cpm-1to1.pcap"))
        }),
    ] {
        let told: Value = serde_json::from_str(&outcome.text).unwrap();
        assert_eq!(told["exit"], outcome.exit.code());
        assert_eq!(told["warnings"][0], outcome.warnings[0]);
    }
}

#[test]
fn what_is_encrypted_is_told_wherever_a_trace_is_read() {
    let (plain, hidden) = (trace("cpm-1to1.pcap"), "1 encrypted connections passed over");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("encrypted.pcap");
    fs::write(&file, with_tls(&fs::read(&plain).unwrap())).unwrap();
    let told = format!("{}: {hidden}", file.display());
    let run = |form| rehearse(&Run { form, ..order(&file) });
    for form in [Form::Text, Form::Json] {
        for outcome in [
            replay::ladder(&file, Picture::Txt, form),
            replay::ladder(&file, Picture::Html, form),
            replay::diff(&plain, &file, Level::Flow, form),
            replay::diff(&file, &plain, Level::Flow, form),
        ] {
            assert_eq!(outcome.warnings, [&*told]);
            if form == Form::Json {
                let outcome: Value = serde_json::from_str(&outcome.text).unwrap();
                assert_eq!(outcome["hidden"][0], told);
            }
        }
    }
    assert!(replay::info(&file, Form::Text).text.contains(&format!("\n{hidden}\n")));
    let text = run(Form::Text).text;
    assert!(text.contains(&format!("  hidden     {hidden}\n")), "{text}");
    let outcome: Value = serde_json::from_str(&run(Form::Json).text).unwrap();
    assert_eq!(outcome["hidden"][0], told);
    // Where there is nothing else, that is why.
    let all = fs::read(&file).unwrap();
    let alone = [&all[..24], &all[fs::metadata(&plain).unwrap().len() as usize..]].concat();
    fs::write(&file, alone).unwrap();
    for outcome in [replay::info(&file, Form::Text), run(Form::Text)] {
        assert_eq!(outcome.exit, Exit::NoTrace);
        assert_eq!(outcome.warnings[0], told);
    }
}

/// Adds a packet to a capture on Ethernet: of another connection, with a record of TLS.
fn with_tls(capture: &[u8]) -> Vec<u8> {
    let mut at = 24;
    loop {
        let length = u32::from_le_bytes(capture[at + 8..at + 12].try_into().unwrap()) as usize;
        let mut packet = capture[at..at + 16 + length].to_vec();
        let is_tcp = packet[16 + 14 + 9] == 6;
        let head = 16 + 14 + 20 + usize::from(packet[16 + 14 + 20 + 12] >> 4) * 4;
        if is_tcp && packet.len() > head + 5 {
            // Its source port, and its first bytes.
            packet[16 + 14 + 20] ^= 0x55;
            packet[head..head + 5].copy_from_slice(&[0x16, 3, 1, 0, 200]);
            return [capture, &packet].concat();
        }
        at += 16 + length;
    }
}

#[test]
fn standard_input_is_one_trace_and_not_two() {
    let outcome = replay::diff(Path::new("-"), Path::new("-"), Level::Flow, Form::Text);
    assert_eq!(outcome.exit, Exit::Usage, "{outcome:?}");
}

fn trace(file: &str) -> PathBuf {
    Path::new("sip-fixtures/traces").join(file)
}
