//! What deployed peers need of us, and what they may do.

use proptest::prelude::*;

use super::super::super::frame::Continuation;
use super::*;

/// Whatever we say in a long talk is said in the form that all known receivers take.
#[test]
fn quirk_05_to_11_every_frame_keeps_to_the_profile_that_all_peers_read() {
    let mut talk = Talk::with(Limits { window: 4, window_bytes: usize::MAX, ..Limits::default() });
    talk.bind();
    talk.session.nickname(talk.now, Some("Alice")).unwrap();
    for (number, body) in
        ["", "hello", "\u{4f60}\u{1f600}", "\r\n-------a$\r\n", &"x\r\n".repeat(4000)]
            .iter()
            .enumerate()
    {
        for wish in [FailureReport::Yes, FailureReport::Partial, FailureReport::No] {
            let id = format!("id-{number}.{}", wish.as_str());
            let success_report = wish == FailureReport::Yes;
            let message = Outgoing { failure_report: wish, success_report, ..outgoing(&id, body) };
            talk.session.send(talk.now, message).unwrap();
        }
    }
    let mut answered = 1;
    talk.drain();
    while answered < talk.written.len() {
        let code = if answered % 6 == 0 { 403 } else { 200 };
        talk.answer(answered, code);
        answered += 1;
    }
    let ask = |text: String| text.replace("Message-ID", "Success-Report: yes\r\nMessage-ID");
    talk.receive(&ask(text("incoming-1", "1-5/5", "hello")));
    talk.receive(&text("incoming-2", "1-2/9", "he").replace('$', "+"));
    talk.receive(&request("PING", ""));
    talk.receive(&request("SEND", "no colon\r\n"));
    talk.sleep(30);
    assert!(talk.raw.len() > 30, "{}", talk.raw.len());
    let kinds = |flag: Continuation| talk.written.iter().filter(|frame| frame.flag == flag).count();
    assert!(kinds(Continuation::More) > 5 && kinds(Continuation::Abort) > 0);
    for (raw, frame) in talk.raw.iter().zip(&talk.written) {
        keeps_to_the_profile(raw, frame);
    }
}

proptest! {
    /// No body whatever can make a frame end before its end, or hold the start of an end-line.
    #[test]
    fn no_frame_has_its_own_identifier_in_its_body(
        bodies in prop::collection::vec(body(), 1..6),
        chunk_bytes in 1_usize..40,
    ) {
        let mut talk = Talk::with(Limits { chunk_bytes, window: 99, window_bytes: usize::MAX, ..Limits::default() });
        talk.bind();
        for (number, body) in bodies.iter().enumerate() {
            let message = Outgoing { body: body.clone(), ..outgoing(&format!("id{number}"), "") };
            talk.session.send(talk.now, message).unwrap();
        }
        talk.drain();
        for frame in &talk.written {
            let tid = frame.tid.as_str().as_bytes();
            let body = frame.body.as_deref().unwrap_or_default();
            prop_assert!(!body.windows(tid.len()).any(|window| window == tid));
        }
    }

    /// The messages do not depend on where the network cuts the stream, nor on how long the chunks
    /// are.
    #[test]
    fn any_segmentation_gives_the_same_messages(
        bodies in prop::collection::vec(body(), 1..6),
        chunk_bytes in 1_usize..40,
        sizes in prop::collection::vec(1_usize..50, 1..20),
    ) {
        let mut sender = Talk::with(Limits { chunk_bytes, window: 999, window_bytes: usize::MAX, ..Limits::default() });
        sender.bind();
        let mut expected = Vec::new();
        for (number, body) in bodies.iter().enumerate() {
            let id = format!("id{number}");
            sender.session.send(sender.now, Outgoing { body: body.clone(), ..outgoing(&id, "") }).unwrap();
            expected.push((id, body.clone()));
        }
        sender.drain();
        let stream: Vec<u8> = sender.raw.concat();
        let mut receiver = Session::new(
            Uri::parse("msrp://192.0.2.1:9000/peer;tcp").unwrap(),
            Limits::default(),
            Random::seeded(2),
        );
        let (mut parser, mut buffer) = (Parser::new(Limits::default()), BytesMut::new());
        let (mut rest, mut messages) = (stream.as_slice(), Vec::new());
        for size in sizes.iter().cycle().take_while(|_| !stream.is_empty()) {
            let (segment, after) = rest.split_at(rest.len().min(*size));
            rest = after;
            buffer.extend_from_slice(segment);
            while let Some(frame) = parser.next(&mut buffer).unwrap() {
                receiver.handle(sender.now, Input::Frame(frame));
            }
            while let Some(output) = receiver.poll() {
                if let Output::Event(Event::Message(message)) = output {
                    messages.push((message.message_id.to_string(), message.body));
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        messages.sort();
        prop_assert_eq!(messages, expected);
        prop_assert_eq!(receiver.ignored(), 0);
    }
}

/// Every form in which some peer writes a message is taken.
#[test]
fn every_form_that_a_sender_is_known_to_use_is_taken() {
    let plain = text("m", "1-5/5", "hello");
    for send in [
        plain.replace("Message-ID: ", "MESSAGE-ID:").replace("Byte-Range: ", "byte-range:    "),
        plain.replace("To-Path", "to-path").replace("From-Path", "FROM-PATH"),
        plain.replace("Byte-Range: 1-5/5\r\n", ""),
        plain.replace("1-5/5", "1-*/*"),
        plain.replace("1-5/5", "1-*/5"),
        plain.replace("1-5/5", "1-5/*"),
        plain.replace("Message-ID: m\r\n", "X-New: 1\r\nMessage-ID: m\r\nContent-ID: <a@b>\r\n"),
        plain.replace("Message-ID: m\r\n", "").replace("To-Path:", "Message-ID: m\r\nTo-Path:"),
        plain.replace("/ours;tcp", "/ours;tcp;foo=bar"),
        plain.replace("msrp://192.0.2.9:2855", "msrp://user@198.51.100.1:1"),
        plain.replace("msrp:", "MSRP:").replace(";tcp", ";TCP"),
        plain.replace("tid1", "empty"),
        plain.replace("tid1", "146969566132900000Z"),
        format!("\r\n\r\n{plain}"),
    ] {
        let mut talk = Talk::bound();
        let told = talk.receive(&send);
        assert_eq!(told.last().map(String::as_str), Some("message m text/plain hello"), "{send}");
        assert!(told[0].starts_with("200 "), "{send}");
    }
}

#[test]
fn a_session_id_may_be_base64() {
    let local = Uri::parse("msrp://192.0.2.9:2855/aGVsbG8+/w==;tcp").unwrap();
    let mut talk = Talk::new();
    talk.session = Session::new(local, Limits::default(), Random::seeded(1));
    talk.open(Setup::Passive);
    let send = request("SEND", "").replace("/ours", "/aGVsbG8+/w==");
    assert_eq!(talk.receive(&send), ["bound", "200 tid1"]);
}

#[test]
fn responses_with_more_or_less_than_usual_are_taken() {
    for start in ["200 OK", "200", "200 fine by me"] {
        for fields in ["", "Message-ID: m\r\nByte-Range: 1-1/1\r\n", "X: y\r\n"] {
            let mut talk = Talk::bound();
            talk.send("m", "x");
            let tid = talk.last().tid.to_string();
            let response = request(start, fields).replace("tid1", &tid);
            assert_eq!(talk.receive(&response), ["sent m"], "{start} {fields}");
        }
    }
}

#[test]
fn quirk_03_a_request_may_have_the_tid_of_one_of_ours() {
    let mut talk = Talk::bound();
    talk.send("m", "x");
    let tid = talk.last().tid.to_string();
    let send = text("p", "1-5/5", "hello").replace("tid1", &tid);
    let told = talk.receive(&send);
    assert_eq!(told, [format!("200 {tid}"), "message p text/plain hello".to_owned()]);
    assert_eq!(talk.answer(1, 200), ["sent m"]);
}

#[test]
fn quirk_04_success_is_reported_to_those_only_who_ask() {
    for (field, reports) in [
        ("Success-Report: yes", 1),
        ("Success-Report: no", 0),
        ("X: y", 0),
        ("Success-Report: ", 0),
    ] {
        let mut talk = Talk::bound();
        let send =
            text("m", "1-5/5", "hello").replace("Message-ID", &format!("{field}\r\nMessage-ID"));
        let told = talk.receive(&send);
        assert_eq!(told.iter().filter(|it| it.starts_with("REPORT")).count(), reports, "{field}");
    }
}

#[test]
fn quirk_08_msrp_java_success_after_481_is_too_late() {
    let mut talk = Talk::bound();
    talk.send("m", "x");
    assert_eq!(talk.answer(1, 481)[0], "failed m 481");
    assert_eq!(talk.answer(1, 200), [""; 0]);
}

#[test]
fn quirk_11_nio_bodies_without_range_are_whole() {
    let mut talk = Talk::bound();
    for id in ["m", "n"] {
        let send = text(id, "1-5/5", "hello").replace("Byte-Range: 1-5/5\r\n", "");
        assert_eq!(talk.receive(&send)[1], format!("message {id} text/plain hello"));
    }
}

#[test]
fn quirk_12_tinymsrp_tids_may_be_those_of_ours() {
    let (mut one, mut two) = (Talk::bound(), Talk::bound());
    one.send("m", "x");
    let tid = one.last().tid.clone();
    let send = text("p", "1-5/5", "hello").replace("tid1", tid.as_str());
    one.receive(&send);
    two.receive(&send);
    assert_eq!(one.answer(1, 200), ["sent m"], "the identifier of the peer is another one");
    assert_eq!(two.session.ignored(), 0);
}

#[test]
fn quirk_12_media_types_in_any_case() {
    let mut talk = Talk::bound();
    talk.session.set_accept_types(vec!["message/cpim".to_owned()]);
    for media_type in
        ["message/CPIM", "MESSAGE/cpim", "Message/Cpim; charset=UTF-8", "message/cpim;"]
    {
        let send = text("m", "1-5/5", "hello").replace("text/plain", media_type);
        assert_eq!(talk.receive(&send)[0], "200 tid1", "{media_type}");
    }
}

#[test]
fn quirk_15_mavenir_names_that_are_used_again() {
    let mut talk = Talk::new();
    talk.open(Setup::Passive);
    let fields = "Message-ID: empty\r\nSuccess-Report: no\r\nFailure-Report: yes\r\n";
    let binding = request("SEND", fields).replace("tid1", "empty");
    assert_eq!(talk.receive(&binding), ["bound", "200 empty"]);
    for body in ["hello", "again", "again", "again"] {
        let told = talk.receive(&text("messId", "1-5/5", body));
        assert_eq!(told, ["200 tid1".to_owned(), format!("message messId text/plain {body}")]);
    }
}

/// Section 5.1 of what was measured: the form of which no known receiver chokes.
fn keeps_to_the_profile(raw: &[u8], frame: &Frame) {
    let head = raw.len() - frame.body.as_ref().map_or(0, |body| body.len());
    assert!(head < 3000);
    let body_at = frame.body.as_ref().map(|_| find(raw, b"\r\n\r\n") + 4);
    let head = &raw[..body_at.map_or(find(raw, b"-------"), |at| at - 2)];
    assert_eq!(raw.windows(9).filter(|part| *part == b"\r\n-------").count(), 1);
    let text = std::str::from_utf8(head).unwrap();
    assert!(text.is_ascii() && !text.contains('%'), "{text}");
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert!(lines.len() < 64);
    let names: Vec<&str> = lines[1..]
        .iter()
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            assert!(!value.is_empty() && value.trim() == value, "{line}");
            name
        })
        .collect();
    let place = |name: &&str| ORDER.iter().position(|known| known == name).unwrap();
    assert!(names.iter().map(place).is_sorted(), "{names:?}");
    assert_eq!(names[..2], ["To-Path", "From-Path"]);
    assert_eq!(frame.to_path.to_string(), "msrp://192.0.2.1:9000/peer;tcp");
    assert_eq!(frame.from_path.to_string(), "msrp://192.0.2.9:2855/ours;tcp");
    let Kind::Request(method) = &frame.kind else {
        assert_eq!(frame.body, None);
        return;
    };
    let token = |text: &str, from: usize| {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        assert!((from..=32).contains(&text.len()) && text.bytes().all(sound), "{text}");
    };
    token(frame.tid.as_str(), 8);
    if *method == Method::Nickname {
        return;
    }
    token(frame.message_id.as_ref().unwrap().as_str(), 4);
    let range = frame.byte_range.unwrap();
    assert!(range.start >= 1);
    match &frame.body {
        Some(body) => {
            assert!(body.len() <= 2048);
            let more = frame.flag != Continuation::Abort;
            assert_eq!(range.end, more.then_some(range.start - 1 + body.len() as u64));
            assert_eq!(names.last(), Some(&"Content-Type"));
        }
        None => assert!(*method == Method::Report || range.to_string() == "1-0/0"),
    }
}

/// Where every header field of ours has its place.
const ORDER: [&str; 9] = [
    "To-Path",
    "From-Path",
    "Message-ID",
    "Byte-Range",
    "Success-Report",
    "Failure-Report",
    "Status",
    "Use-Nickname",
    "Content-Type",
];

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|window| window == what).unwrap()
}

fn body() -> impl Strategy<Value = Bytes> {
    let piece = prop_oneof![
        Just(b"\r\n-------".to_vec()),
        Just(b"$\r\n".to_vec()),
        Just(b"MSRP x SEND\r\n\r\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
        "[a-zA-Z0-9]{0,24}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| Bytes::from(pieces.concat()))
}
