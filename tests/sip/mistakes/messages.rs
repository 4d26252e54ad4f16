//! The wire itself: framing, names and folds, parts, bytes that do not belong.

use bytes::{Bytes, BytesMut};
use chatbridge::payload::multipart;
use chatbridge::sip::{
    Body, Contacts, Decoded, Headers, KeepAlive, Message, NameAddr, Reason, StreamDecoder,
    Transport::Udp, WireLimits,
};

use crate::stage::{INVITE, Stage, body};
use crate::wire::{Text, decode, message, read};

#[test]
fn m33_a_stream_is_framed_by_its_lengths_whatever_stands_between() {
    let options = INVITE.replace("INVITE", "OPTIONS");
    let one = message(&options, "Call-ID: one\n\nhello");
    let two = String::from_utf8(message(&options, "Call-ID: two\n\nhello")).unwrap();
    let two = two.replace("Content-Length: 5", "Content-Length \t:\t 5").into_bytes();
    let all = [b"\r\n\r\n".as_slice(), &one, b"\r\n", &two, &one, b"\r\n\r\n\r\n", &two].concat();
    // At once, byte by byte, and in pieces of every size between.
    for size in 1..=all.len() {
        let (mut decoder, mut buffer) =
            (StreamDecoder::new(WireLimits::default()), BytesMut::new());
        let mut ids = Vec::new();
        for piece in all.chunks(size) {
            buffer.extend_from_slice(piece);
            while let Some(decoded) = decoder.next(&mut buffer) {
                match decoded {
                    Decoded::Message(message) => {
                        assert_eq!(message.body(), "hello");
                        ids.push(message.call_id().unwrap().to_owned());
                    }
                    Decoded::KeepAlive(KeepAlive::Ping | KeepAlive::Pong) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(ids, ["one", "two", "one", "two"], "{size}");
        assert!(buffer.is_empty());
    }
}

#[test]
fn m33_a_length_that_says_nothing_ends_the_stream_and_holds_no_memory() {
    let options = INVITE.replace("INVITE", "OPTIONS");
    let good = message(&options, "\n\nhello");
    let with = |length: &str| {
        let text = String::from_utf8(good.clone()).unwrap();
        text.replace("Content-Length: 5\r\n", length).into_bytes()
    };
    for (length, status) in [
        ("", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: five\r\n", 400),
        ("Content-Length: 5\r\nl: 6\r\n", 400),
        ("Content-Length: 18446744073709551616\r\n", 400),
        ("Content-Length: 4294967296\r\n", 513),
        ("Content-Length: 9223372036854775808\r\n", 513),
    ] {
        let (mut decoder, mut buffer) =
            (StreamDecoder::new(WireLimits::default()), BytesMut::new());
        buffer.extend_from_slice(&with(length));
        let Some(Decoded::Reject { answer: Some(answer), .. }) = decoder.next(&mut buffer) else {
            panic!("{length}")
        };
        assert_eq!(answer.status.code(), status, "{length}");
        assert!(matches!(decoder.next(&mut buffer), Some(Decoded::Fatal(_))), "{length}");
        buffer.extend_from_slice(&good);
        assert_eq!(decoder.next(&mut buffer), None, "{length}");
        assert!(buffer.is_empty(), "{length}");
    }
    // Eight megabytes of nothing: cut off at the limit of one message.
    let (mut decoder, mut buffer) = (StreamDecoder::new(WireLimits::default()), BytesMut::new());
    let mut most = 0;
    let mut ended = false;
    for _ in 0..8192 {
        buffer.extend_from_slice(&[b'x'; 1024]);
        ended |= matches!(decoder.next(&mut buffer), Some(Decoded::Fatal(_)));
        most = most.max(buffer.len());
    }
    assert!(ended && most <= 65 * 1024, "{most}");
    // A body that is too large, but framed, is passed over without being kept.
    let (mut decoder, mut buffer) = (StreamDecoder::new(WireLimits::default()), BytesMut::new());
    buffer.extend_from_slice(&with("Content-Length: 8000005\r\n"));
    assert!(matches!(decoder.next(&mut buffer), Some(Decoded::Reject { answer: Some(_), .. })));
    for _ in 0..8000 {
        buffer.extend_from_slice(&[b'x'; 1000]);
        assert_eq!(decoder.next(&mut buffer), None);
        assert!(buffer.is_empty());
    }
    buffer.extend_from_slice(&good);
    assert!(matches!(decoder.next(&mut buffer), Some(Decoded::Message(_))));
}

#[test]
fn m36_short_names_folds_and_quotes_say_what_they_say() {
    let text = "INVITE sip:bob@b.example SIP/2.0\r\n\
        v: SIP/2.0/UDP a.example;branch=z9hG4bKx\r\n\
        f: \"Doe, \\\"A\\\" \\\\ <sip:no@no>\" <sip:alice@a.example>;tag=a\r\n\
        t  : B. Tokens <sip:bob@b.example>\r\n\
        i\t:short@a.example\r\n\
        CSeq:\r\n 7\r\n\t INVITE\r\n\
        m: <sip:one@a.example;x=y>;q=0.5 ,\r\n\"Two, too\" <sip:two@a.example>\r\n\
        k: timer,\r\n 100rel\r\n\
        s: \r\n\
        c: application/sdp\r\n\
        l: 0\r\n\r\n";
    let text = text.replace(" ,\r\n\"Two", " ,\r\n \"Two");
    let Message::Request(request) = read(text.into_bytes()) else { panic!("no request") };
    let from = request.from().unwrap();
    assert_eq!(from.display.as_deref(), Some("Doe, \"A\" \\ <sip:no@no>"));
    assert_eq!((from.uri.as_str(), from.tag()), ("sip:alice@a.example", Some("a")));
    assert_eq!(request.to().unwrap().display.as_deref(), Some("B. Tokens"));
    assert_eq!(request.call_id(), Some("short@a.example"));
    assert_eq!(request.cseq().unwrap().to_string(), "7 INVITE");
    let Ok(Contacts::List(contacts)) = request.contacts() else { panic!("contacts") };
    let contacts: Vec<_> = contacts.iter().map(|contact| contact.uri.as_str()).collect();
    assert_eq!(contacts, ["sip:one@a.example;x=y", "sip:two@a.example"]);
    assert!(request.headers.lists("Supported", "100rel"));
    assert_eq!(request.headers.get("Subject"), Some(""));
    assert_eq!(request.content_type(), Some("application/sdp"));
    let star = |contact: &str| {
        let register =
            message(&INVITE.replace("INVITE", "REGISTER"), &format!("Contact: {contact}"));
        match decode(register) {
            Decoded::Message(message) => message.contacts().map(|it| it == Contacts::Any).ok(),
            Decoded::Reject { .. } => None,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(star("*"), Some(true));
    assert_eq!(star("<sip:*@a.example>"), Some(false));
    assert_eq!(star("*, <sip:a@a.example>"), None);
}

#[test]
fn m37_parts_are_found_whatever_their_boundary_and_kept_byte_for_byte() {
    let binary: Vec<u8> = (0..=255).collect();
    for (boundary, parameter) in [
        ("simple", "simple"),
        ("with space;x", "\"with space;x\""),
        ("q'()+_,-./:=?", "\"q'()+_,-./:=?\""),
    ] {
        let mut body = format!(
            "preamble\r\n--{boundary}\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\
             --{boundary}\r\nContent-Type: application/octet-stream\r\n\
             Content-Disposition: render;handling=optional\r\n\
             Content-Transfer-Encoding: binary\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(&binary);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\nepilogue").as_bytes());
        // Through the wire first: it has no opinion on bodies.
        let mut invite = read(message(INVITE, ""));
        let Message::Request(request) = &mut invite else { panic!("no request") };
        request.body = Bytes::from(body);
        request.headers.set("Content-Type", &format!("multipart/mixed; boundary={parameter}"));
        let again = read(invite.encode());
        assert_eq!(again, read(again.encode()));
        let parts = multipart::parse(again.content_type().unwrap(), again.body().clone()).unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!(
            (parts[0].content_type.as_str(), &parts[0].body[..]),
            ("application/sdp", &b"v=0"[..])
        );
        assert_eq!(parts[1].body, binary);
        let disposition = parts[1].header("content-disposition");
        assert_eq!(disposition, Some("render;handling=optional"));
    }
    let nested = "--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n\
        --i\r\nContent-Type: text/plain\r\n\r\none\r\n--i\r\nContent-Type: application/sdp\r\n\r\n\
        v=0\r\n--i--\r\n--o--\r\n";
    let leaves = multipart::leaves("multipart/mixed;boundary=\"o\"", Bytes::from(nested)).unwrap();
    let types: Vec<_> = leaves.iter().map(|part| part.content_type.as_str()).collect();
    assert_eq!(types, ["text/plain", "application/sdp"]);
}

#[test]
fn m42_no_byte_breaks_out_of_its_header() {
    // From the wire: a NUL is refused, Latin-1 is read.
    let mut latin = message(INVITE, "Subject: caf?");
    let at = latin.iter().position(|byte| *byte == b'?').unwrap();
    latin[at] = 0xe9;
    assert_eq!(read(latin.clone()).headers().get("Subject"), Some("caf\u{e9}"));
    for bad in [b'\0', 0x01, 0x7f, b'\r'] {
        latin[at] = bad;
        let Decoded::Reject { answer: Some(answer), .. } = decode(latin.clone()) else {
            panic!("{bad}")
        };
        assert_eq!(answer.status.code(), 400);
    }
    // From the owner: names, subjects, reasons, bodies' types.
    let evil = "x\r\nEvil: y\r\n\r\nINVITE sip:z SIP/2.0\0";
    let mut stage = Stage::calling_with(Udp, |_, call| {
        call.from.display = Some(evil.to_owned());
        call.contact_user = Some(evil.to_owned());
        call.headers.push(("Subject".to_owned(), evil.to_owned()));
        call.headers.push((evil.to_owned(), "x".to_owned()));
        call.body.content_type = evil.to_owned();
    });
    stage.answer("INVITE", "200 OK", "bobs", "Contact: <sip:bob@192.0.2.3>");
    let reason = Reason::sip(200, evil);
    stage.wish(|leg, now| leg.bye(now, Some(reason)));
    let mut callee = Stage::invited(&message(INVITE, "\n\noffer"));
    let odd = Body { content_type: evil.to_owned(), ..body("answer") };
    callee.wish(|leg, now| leg.accept(now, odd));
    stage.sent.append(&mut callee.sent);
    assert!(stage.sent.len() > 4);
    for text in &stage.sent {
        let head = text.0.split("\r\n\r\n").next().unwrap();
        assert!(!head.split(['\r', '\n']).any(|line| line.starts_with("Evil")), "{text}");
        assert!(!text.0.contains('\0') && !text.0.contains("\r\n\r\nINVITE"), "{text}");
    }
    let mut headers = Headers::new();
    headers.push("Subject", evil);
    assert_eq!(headers.to_string().matches("\r\n").count(), 1);
    let mut name = NameAddr::parse("<sip:a@b>").unwrap();
    name.display = Some(evil.to_owned());
    assert!(!name.to_string().contains(['\r', '\n', '\0']));
    assert_eq!(Text::of(&message(INVITE, "")).body(), "");
}
