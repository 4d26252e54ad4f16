//! What nine implementations have sent, taken in by a session of ours: every message arrives once,
//! as it was sent, and is answered.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use chatbridge::msrp::{Event, FailureReport, Frame, Kind, Limits, Method, Setup};

use crate::stage::{End, parsed};

#[test]
fn what_was_sent_is_what_arrives_however_it_is_cut() {
    let mut found = String::new();
    for (name, stream, sizes) in recordings() {
        let sent = sent_in(&stream);
        for size in [1, 7, 64, 1448, usize::MAX] {
            let segments: Vec<&[u8]> = stream.chunks(size).collect();
            assert!(taken(&segments) == sent, "{name} in segments of {size}");
        }
        assert!(taken(&segments(&stream, &sizes)) == sent, "{name} in its own segments");
        for (id, (content_type, body)) in sent {
            let text = String::from_utf8_lossy(&body);
            let start: String = text.chars().take(40).flat_map(char::escape_default).collect();
            writeln!(found, "{name}\t{id}\t{content_type}\t{}\t{start}", body.len()).unwrap();
        }
    }
    let list = folder().join("messages.tsv");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&list, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&list).unwrap());
}

#[test]
fn every_request_is_answered_as_its_sender_has_asked() {
    for (name, stream, _) in recordings() {
        let mut end = end_of(&stream);
        let requests: Vec<_> = parsed(&stream).into_iter().filter(is_request).collect();
        end.receive(&stream);
        let answers: Vec<(String, u16)> = end
            .frames()
            .into_iter()
            .filter_map(|frame| match frame.kind {
                Kind::Response { code, .. } => Some((frame.tid.to_string(), code)),
                Kind::Request(_) => None,
            })
            .collect();
        let expected: Vec<(String, u16)> = requests
            .iter()
            .filter_map(|frame| match &frame.kind {
                Kind::Request(Method::Send) => {
                    let asked = frame.failure_report.unwrap_or_default() == FailureReport::Yes;
                    asked.then(|| (frame.tid.to_string(), 200))
                }
                Kind::Request(Method::Report) | Kind::Response { .. } => None,
                Kind::Request(_) => Some((frame.tid.to_string(), 501)),
            })
            .collect();
        assert_eq!(answers, expected, "{name}");
    }
}

#[test]
fn the_wishes_for_reports_are_fulfilled() {
    for (name, stream, _) in recordings() {
        let mut end = end_of(&stream);
        end.receive(&stream);
        let mut reported: Vec<String> = end
            .frames()
            .into_iter()
            .filter(|frame| frame.kind == Kind::Request(Method::Report))
            .map(|frame| {
                assert_eq!(frame.status.map(|status| status.code), Some(200), "{name}");
                frame.message_id.unwrap().to_string()
            })
            .collect();
        let mut asked: Vec<String> = parsed(&stream)
            .into_iter()
            .filter(|frame| frame.success_report == Some(true))
            .filter(|frame| frame.body.as_ref().is_some_and(|body| !body.is_empty()))
            .map(|frame| frame.message_id.unwrap().to_string())
            .collect();
        for list in [&mut reported, &mut asked] {
            list.sort();
        }
        asked.dedup();
        assert_eq!(reported, asked, "{name}");
    }
}

type Messages = BTreeMap<String, (String, Vec<u8>)>;

/// What a stream brings, cut out of it without any code of ours: the chunks that have a Message-ID
/// in common, one behind the other.
fn sent_in(stream: &[u8]) -> Messages {
    let mut messages = Messages::new();
    let text: String = stream.iter().map(|octet| char::from(*octet)).collect();
    for frame in text.split("MSRP ").skip(1) {
        let (head, rest) = frame.split_once("\r\n\r\n").unwrap_or((frame, ""));
        let start = head.lines().next().unwrap_or_default();
        let (tid, method) = start.split_once(' ').unwrap_or_default();
        if method != "SEND" || rest.is_empty() {
            continue;
        }
        let field = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(known, _)| *known == name).map(|(_, value)| value.trim().to_owned())
        };
        // One peer writes the end-line right behind the empty line.
        let (body, _) = rest.split_once(&format!("-------{tid}")).unwrap();
        let body = body.strip_suffix("\r\n").unwrap_or(body);
        let content_type = field("Content-Type").unwrap();
        if content_type != "empty/empty" {
            let entry = messages.entry(field("Message-ID").unwrap()).or_default();
            entry.0 = content_type;
            // One peer sends more octets than it says, the surplus of which is overwritten.
            let start = field("Byte-Range").and_then(|range| range.split('-').next()?.parse().ok());
            entry.1.truncate(start.map_or(0, |start: usize| start - 1));
            entry.1.extend(body.chars().map(|c| u8::try_from(c).unwrap()));
        }
    }
    messages
}

/// What our session makes of it.
fn taken(segments: &[&[u8]]) -> Messages {
    let mut end = end_of(&segments.concat());
    for segment in segments {
        end.receive(*segment);
    }
    let mut messages = Messages::new();
    for event in std::mem::take(&mut end.told) {
        if let Event::Message(message) = event {
            let body = message.body.to_vec();
            let before = messages
                .insert(message.message_id.to_string(), (message.content_type.to_string(), body));
            assert_eq!(before, None, "{} came twice", message.message_id);
        }
    }
    messages
}

/// The session that a stream is for.
fn end_of(stream: &[u8]) -> End {
    let first = parsed(stream).into_iter().find(is_request).unwrap();
    let mut end = End::new(first.to_path.first().as_str(), Limits::default(), 1);
    end.open(&first.from_path.to_string(), Setup::Passive);
    end.connect();
    end
}

fn is_request(frame: &Frame) -> bool {
    matches!(frame.kind, Kind::Request(_))
}

fn segments<'a>(stream: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = stream;
    let mut segments = Vec::new();
    for size in sizes {
        let (segment, after) = rest.split_at(*size);
        segments.push(segment);
        rest = after;
    }
    segments.push(rest);
    segments
}

/// The streams that carry messages, with the sizes of their segments as far as those are known.
fn recordings() -> Vec<(String, Vec<u8>, Vec<usize>)> {
    let mut recordings = Vec::new();
    for peer in fs::read_dir(folder()).unwrap().map(|peer| peer.unwrap().path()) {
        if !peer.is_dir() {
            continue;
        }
        for path in fs::read_dir(&peer).unwrap().map(|file| file.unwrap().path()) {
            let file = path.file_name().unwrap().to_str().unwrap();
            let Some(flow) = file.strip_suffix("-stream.bin") else { continue };
            let stream = fs::read(&path).unwrap();
            // What is on its way to a relay has more than one stop before it.
            let is_last_stop = |frame: &Frame| frame.to_path.hops() == 1;
            if sent_in(&stream).is_empty() || !parsed(&stream).iter().all(is_last_stop) {
                continue;
            }
            let sizes = fs::read_to_string(peer.join(format!("{flow}-segments.txt")));
            let sizes = sizes.unwrap_or_default();
            let sizes = sizes.split_whitespace().map(|size| size.parse().unwrap()).collect();
            let peer = peer.file_name().unwrap().to_str().unwrap();
            recordings.push((format!("{peer}/{flow}"), stream, sizes));
        }
    }
    recordings.sort();
    assert_eq!(recordings.len(), 9);
    recordings
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sip-fixtures/msrp-wire")
}
