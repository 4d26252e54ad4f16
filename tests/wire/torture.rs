//! The torture tests of RFC 4475 and RFC 5118, held to `sip-fixtures/torture/expectations.tsv`.

use std::collections::BTreeSet;
use std::fs;

use bytes::{Bytes, BytesMut};
use chatbridge::sip::{
    Decoded, Message, Method, Request, StreamDecoder, Uri, WireError, WireLimits, decode_datagram,
};

use crate::corpus::{Row, home, read, rows};

#[test]
fn every_message_gets_its_verdict() {
    let mut sinners = Vec::new();
    for row in rows() {
        if let Err(why) = judge(&row, decode(&row.file)) {
            sinners.push(format!("{} ({}): {why}", row.file, row.section));
        }
    }
    assert!(sinners.is_empty(), "{}", sinners.join("\n"));
}

#[test]
fn every_file_has_a_row() {
    let expected: BTreeSet<_> = rows().into_iter().map(|row| row.file).collect();
    let mut found = BTreeSet::new();
    for folder in ["rfc4475", "rfc5118"] {
        for file in fs::read_dir(home().join(folder)).unwrap() {
            let name = file.unwrap().file_name();
            found.insert(format!("{folder}/{}", name.to_str().unwrap()));
        }
    }
    assert_eq!(found, expected);
    assert_eq!(found.len(), 62);
}

#[test]
fn what_is_written_reads_the_same_again() {
    for row in rows() {
        let Decoded::Message(message) = decode(&row.file) else { continue };
        let again = decode_datagram(message.encode(), &WireLimits::default());
        let Decoded::Message(again) = again else { panic!("{}: {again:?}", row.file) };
        assert_eq!(again.body(), message.body(), "{}", row.file);
        let lines = |message: &Message| {
            let all = message.headers().iter().filter(|(name, _)| *name != "Content-Length");
            all.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
        };
        assert_eq!(lines(&again), lines(&message), "{}", row.file);
    }
}

/// RFC 4475 section 3.1.1.1: folds, odd white space, escapes.
#[test]
fn wsinv_says_what_it_says() {
    let request = request("rfc4475/wsinv.dat");
    assert_eq!(request.from().unwrap().display.as_deref(), Some(r#"J Rosenberg \""#));
    assert_eq!(request.from_tag().as_deref(), Some("98asjd8"));
    assert_eq!(request.to_tag().as_deref(), Some("1918181833n"));
    assert_eq!(request.max_forwards(), Some(68));
    assert_eq!(request.cseq().unwrap().number, 9);
    assert_eq!(request.headers.get("Subject"), Some(""));
    let vias: Vec<_> = request.vias().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        vias,
        [
            "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw",
            "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
            "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239",
        ]
    );
    let contact = request.contact().unwrap().unwrap();
    assert_eq!(contact.display.as_deref(), Some(r#"Quoted string """#));
    assert_eq!(contact.param("newparam"), Some("newvalue"));
    assert_eq!(contact.param("secondparam"), Some(""));
    assert_eq!(contact.param("q"), Some("0.33"));
    assert_eq!(request.route()[0].uri.param("unknown-no-value"), Some(""));
    assert_eq!(
        request.headers.get("newfangledheader"),
        Some("newfangled value continued newfangled value")
    );
}

/// RFC 4475 section 3.1.1.2: every character of a token, and then some.
#[test]
fn intmeth_is_a_method_nobody_knows() {
    let request = request("rfc4475/intmeth.dat");
    assert_eq!(request.method, Method::Other("!interesting-Method0123456789_*+`.%indeed'~".into()));
    assert_eq!(request.uri.password(), Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!(request.uri.host(), Some("example.com"));
    assert_eq!(request.to().unwrap().display.as_deref(), Some("BEL:\u{7} NUL:\0 DEL:\u{7f}"));
    assert_eq!(request.from_tag().as_deref(), Some("_token~1'+`*%!-."));
}

/// RFC 4475 sections 3.1.1.3, 3.1.1.5 and 3.1.1.9: what is escaped is not what it escapes.
#[test]
fn escapes_name_users_not_schemes_nor_methods() {
    assert_eq!(request("rfc4475/esc01.dat").uri.user(), Some("sips%3Auser%40example.com"));
    assert_eq!(request("rfc4475/esc02.dat").method, Method::Other("RE%47IST%45R".into()));
    assert_eq!(request("rfc4475/semiuri.dat").uri.user(), Some("user;par=u%40example.net"));
    assert_eq!(
        request("rfc4475/semiuri.dat").uri.user_unescaped().as_deref(),
        Some("user;par=u@example.net")
    );
}

/// RFC 4475 sections 3.3.12 to 3.3.14: to whom a parameter belongs.
#[test]
fn parameters_belong_to_the_contact_or_to_the_uri() {
    let contact = |file| request(file).contact().unwrap().unwrap();
    let outside = contact("rfc4475/cparam01.dat");
    assert_eq!(
        (outside.param("unknownparam"), outside.uri.param("unknownparam")),
        (Some(""), None)
    );
    let inside = contact("rfc4475/cparam02.dat");
    assert_eq!((inside.param("unknownparam"), inside.uri.param("unknownparam")), (None, Some("")));
    let escaped = contact("rfc4475/regescrt.dat").uri;
    let headers: Vec<_> = escaped.headers().collect();
    assert_eq!(headers, [("Route", "%3Csip:sip.example.com%3E")]);
}

/// RFC 4475 section 3.1.1.11: a body is its bytes.
#[test]
fn a_binary_body_survives() {
    let file = read("rfc4475/mpart01.dat");
    let message = request("rfc4475/mpart01.dat");
    assert!(file.ends_with(&message.body));
    assert!(message.body.contains(&0));
}

/// RFC 5118 sections 4.3 and 4.4: the colon before a port stands behind the bracket.
#[test]
fn the_port_stands_behind_the_bracket() {
    let ambiguous = request("rfc5118/port-ambiguous").uri;
    assert_eq!((ambiguous.host(), ambiguous.port()), (Some("2001:db8::10:5070"), None));
    let plain = request("rfc5118/port-unambiguous").uri;
    assert_eq!((plain.host(), plain.port()), (Some("2001:db8::10"), Some(5070)));
}

/// RFC 5118 section 4.5: brackets around `received` or not.
#[test]
fn received_is_read_with_and_without_brackets() {
    for file in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        let via = request(&format!("rfc5118/{file}")).via().unwrap();
        assert_eq!(via.received(), Some("2001:db8::9:255"), "{file}");
    }
}

/// RFC 4475 section 3.1.1.8: on UDP the second request is noise, on TCP it is the next message.
#[test]
fn dblreq_is_one_datagram_and_two_messages_of_a_stream() {
    let first = request("rfc4475/dblreq.dat");
    assert_eq!((first.method, first.body.len()), (Method::Register, 0));
    let messages = messages_of(&stream(&read("rfc4475/dblreq.dat"), usize::MAX));
    let methods: Vec<_> = messages.iter().map(|request| request.method.as_str()).collect();
    assert_eq!(methods, ["REGISTER", "INVITE"]);
}

/// A stream gives the same messages wherever it is cut.
#[test]
fn no_cut_changes_what_a_stream_says() {
    let mut bytes = Vec::new();
    for file in ["wsinv", "mismatch01", "mpart01", "badaspec", "intmeth", "noreason", "dblreq"] {
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(&read(&format!("rfc4475/{file}.dat")));
    }
    let whole = stream(&bytes, usize::MAX);
    let messages = whole.iter().filter(|it| matches!(it, Decoded::Message(_)));
    assert_eq!(messages.count(), 6);
    let refusals = whole.iter().filter(|it| matches!(it, Decoded::Reject { answer: Some(_), .. }));
    assert_eq!(refusals.count(), 2);
    for cut in 0..=bytes.len() {
        assert_eq!(stream(&bytes, cut), whole, "cut at {cut}");
    }
    assert_eq!(stream_in_pieces(&bytes, 1), whole, "byte by byte");
}

/// Every message on a stream, too: framing that is sound is never lost, framing that is not ends
/// the stream.
#[test]
fn on_a_stream_only_broken_framing_is_fatal() {
    for row in rows() {
        let decoded = stream(&read(&row.file), usize::MAX);
        // No, a negative and a twofold Content-Length; bytes behind the second of two messages.
        let unframed = ["inv2543", "ncl", "mcl01", "dblreq"].iter();
        let unframed = unframed.map(|name| format!("rfc4475/{name}.dat")).any(|it| it == row.file);
        let fatal = decoded.iter().any(|it| matches!(it, Decoded::Fatal(_)));
        assert_eq!(fatal, unframed, "{}: {decoded:?}", row.file);
    }
}

/// Holds what the decoder says against the verdict, as far as a decoder can tell.
fn judge(row: &Row, decoded: Decoded) -> Result<(), String> {
    // Whether a Via is ours only the transport knows (RFC 4475 section 3.3.10).
    let to_be_dropped_above = row.file == "rfc4475/bcast.dat";
    match (row.verdict.as_str(), decoded) {
        ("accept" | "app" | "either", Decoded::Message(_)) => Ok(()),
        ("reject" | "either", Decoded::Reject { answer, why }) => judge_answer(row, answer, &why),
        ("drop", Decoded::Reject { answer: None, .. }) => Ok(()),
        ("drop", Decoded::Message(_)) if to_be_dropped_above => Ok(()),
        (verdict, decoded) => Err(format!("{verdict} wanted, got {decoded:?}")),
    }
}

fn judge_answer(
    row: &Row,
    answer: Option<chatbridge::sip::Response>,
    why: &WireError,
) -> Result<(), String> {
    match answer.map(|answer| answer.status.code()) {
        Some(code) if row.statuses.contains(&code) => Ok(()),
        // Without a Via nobody knows whom to answer.
        None if row.file == "rfc4475/test.dat" => Ok(()),
        other => Err(format!("answered {other:?} for {why}")),
    }
}

fn decode(file: &str) -> Decoded {
    decode_datagram(Bytes::from(read(file)), &WireLimits::default())
}

fn request(file: &str) -> Request {
    match decode(file) {
        Decoded::Message(Message::Request(request)) => request,
        other => panic!("{file}: {other:?}"),
    }
}

/// Feeds a stream in two pieces; keep-alives are left out, for they may come in halves.
fn stream(bytes: &[u8], cut: usize) -> Vec<Decoded> {
    let (first, second) = bytes.split_at(cut.min(bytes.len()));
    feed([first, second])
}

fn stream_in_pieces(bytes: &[u8], size: usize) -> Vec<Decoded> {
    feed(bytes.chunks(size))
}

fn feed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Decoded> {
    let mut decoder = StreamDecoder::new(WireLimits::default());
    let mut buffer = BytesMut::new();
    let mut decoded = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        decoded.extend(std::iter::from_fn(|| decoder.next(&mut buffer)));
    }
    decoded.retain(|it| !matches!(it, Decoded::KeepAlive(_)));
    decoded
}

fn messages_of(decoded: &[Decoded]) -> Vec<Request> {
    let requests = decoded.iter().filter_map(|it| match it {
        Decoded::Message(Message::Request(request)) => Some(request.clone()),
        _ => None,
    });
    requests.collect()
}

#[test]
fn hosts_with_three_colons_are_refused_where_they_would_be_dialled() {
    assert!(Uri::parse("sip:user@[2001:db8:::192.0.2.1]").is_err());
}
