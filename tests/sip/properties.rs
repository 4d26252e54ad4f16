//! What must hold for every message: what is not rewritten stays as it is, and no cut of a stream
//! changes what it says.

use bytes::BytesMut;
use chatbridge::sip::{
    Decoded, Hop, Message, NameAddr, StreamDecoder, Transport, Uri, Via, WireLimits,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::corpus;
use crate::wire::{decode, read};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A message in our own spelling is written as it was read, byte for byte.
    #[test]
    fn what_is_written_in_our_spelling_stays_byte_for_byte(text in message()) {
        let bytes = text.canonical();
        prop_assert_eq!(&read(bytes.clone()).encode()[..], &bytes[..]);
    }

    /// In any other spelling the values stay, their order, the start line and the body.
    #[test]
    fn no_value_no_order_and_no_body_is_touched(text in message(), spelling in spelling()) {
        let bytes = text.spelled(&spelling);
        let again = read(read(bytes).encode());
        prop_assert_eq!(&again.encode()[..], &text.canonical()[..]);
    }

    #[test]
    fn no_cut_changes_what_a_stream_says(
        texts in prop::collection::vec((message(), 0_usize..4), 1..6),
        cuts in prop::collection::vec(1_usize..300, 1..12),
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (text, pings) in &texts {
            bytes.extend(b"\r\n".repeat(*pings));
            bytes.extend_from_slice(&text.canonical());
            expected.push(read(text.canonical()));
        }
        let (mut decoder, mut buffer) = (StreamDecoder::new(WireLimits::default()), BytesMut::new());
        let (mut rest, mut found, mut cuts) = (bytes.as_slice(), Vec::new(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            rest = more;
            buffer.extend_from_slice(piece);
            while let Some(decoded) = decoder.next(&mut buffer) {
                match decoded {
                    Decoded::Message(message) => found.push(message),
                    Decoded::KeepAlive(_) => {}
                    other => return Err(TestCaseError::fail(format!("{other:?}"))),
                }
            }
        }
        prop_assert_eq!(found, expected);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn a_uri_is_written_as_it_was_read(text in uri(), other in uri()) {
        let (one, other) = (Uri::parse(&text).unwrap(), Uri::parse(&other).unwrap());
        prop_assert_eq!(one.to_string(), text);
        prop_assert!(one.equivalent(&one));
        prop_assert_eq!(one.equivalent(&other), other.equivalent(&one));
    }

    #[test]
    fn an_address_reads_the_same_again(text in address()) {
        let one = NameAddr::parse(&text).unwrap();
        let again = NameAddr::parse(&one.to_string()).unwrap();
        prop_assert_eq!(again.to_string(), one.to_string());
        prop_assert_eq!(again, one);
    }

    #[test]
    fn a_via_is_written_as_it_was_read(text in via(), port in any::<u16>()) {
        let one = Via::parse(&text).unwrap();
        prop_assert_eq!(one.to_string(), text);
        let mut stamped = one.clone();
        stamped.set_received("192.0.2.66", port);
        prop_assert_eq!(Via::parse(&stamped.to_string()), Ok(stamped.clone()));
        prop_assert_eq!(stamped.branch(), one.branch());
        if let (true, Some(rport)) = (one.param("rport").is_some(), stamped.rport()) {
            prop_assert_eq!(rport, port);
        }
        let hop = chatbridge::sip::reply_hop(&stamped, &Hop::new(Transport::Tcp, "h", 1));
        prop_assert_eq!(hop, Hop::new(Transport::Tcp, "h", 1));
    }
}

/// The same for what others have written: every value of a torture message, read by a reader that
/// knows nothing but lines.
#[test]
fn torture_messages_keep_every_value_and_their_bodies() {
    let mut kept = 0;
    for row in corpus::rows() {
        let bytes = corpus::read(&row.file);
        let Decoded::Message(message) = decode(bytes.clone()) else { continue };
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let text = text.replace("\r\n", "\n");
        let head = text.split("\n\n").next().unwrap();
        let mut lines: Vec<String> = Vec::new();
        for line in head.lines().skip(1) {
            match line.starts_with([' ', '\t']) {
                true => {
                    let last = lines.last_mut().unwrap();
                    *last = format!("{} {}", last.trim_end(), line.trim_start());
                }
                false => lines.push(line.to_owned()),
            }
        }
        let is_length = |line: &&String| {
            let name = line.split(':').next().unwrap().trim().to_ascii_lowercase();
            name != "content-length" && name != "l"
        };
        let expected: Vec<Vec<u8>> = lines
            .iter()
            .filter(is_length)
            .map(|line| line.split_once(':').unwrap().1.trim().chars().map(|it| it as u8).collect())
            .collect();
        for message in [read(message.encode()), message] {
            let values = message.headers().iter().filter(|(name, _)| *name != "Content-Length");
            let values: Vec<Vec<u8>> = values.map(|(_, value)| value.as_bytes().to_vec()).collect();
            assert_eq!(values, expected, "{}", row.file);
            assert!(
                bytes
                    .windows(message.body().len().max(1))
                    .any(|it| it == &message.body()[..] || message.body().is_empty())
            );
        }
        kept += 1;
    }
    assert!(kept > 30, "{kept}");
}

/// A message in parts.
#[derive(Debug, Clone)]
struct Parts {
    start: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Parts {
    /// As we write it.
    fn canonical(&self) -> Vec<u8> {
        let mut out = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        out.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        [out.as_bytes(), &self.body].concat()
    }

    /// As others may: other names, other white space, other line breaks, the length elsewhere.
    fn spelled(&self, spelling: &[u8]) -> Vec<u8> {
        let mut turns = spelling.iter().cycle().copied();
        let mut turn = |choices: u8| turns.next().unwrap() % choices;
        let mut out = format!("{}\r\n", self.start);
        let length = ("l".to_owned(), self.body.len().to_string());
        let at = usize::from(turn(8)).min(self.headers.len());
        let mut headers = self.headers.clone();
        headers.insert(at, length);
        for (name, value) in &headers {
            let name = match (turn(3), name.as_str()) {
                (0, "Via") => "v".to_owned(),
                (0, "From") => "f".to_owned(),
                (0, "To") => "T".to_owned(),
                (0, "Call-ID") => "i".to_owned(),
                (0, "Contact") => "m".to_owned(),
                (1, "Via" | "From" | "To" | "Call-ID" | "CSeq" | "Contact") => name.to_uppercase(),
                (_, _) => name.clone(),
            };
            let colon = [":", ": ", " : ", "\t:\t", ":\r\n ", ":  \r\n\t "][usize::from(turn(6))];
            let end = ["\r\n", "\n", " \r\n", "\t\n"][usize::from(turn(4))];
            out.push_str(&format!("{name}{colon}{value}{end}"));
        }
        out.push_str("\r\n");
        [out.as_bytes(), &self.body].concat()
    }
}

fn spelling() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 1..40)
}

prop_compose! {
    /// A message that keeps the rules, with headers that nobody knows and a body of any bytes.
    fn message()(
        start in prop_oneof![
            (select(&["OPTIONS", "MESSAGE", "INVITE"][..]), bare_uri())
                .prop_map(|(method, uri)| (format!("{method} {uri} SIP/2.0"), method)),
            (100_u16..700, "[ !-~\u{e4}-\u{fc}]{0,20}")
                .prop_map(|(code, phrase)| (format!("SIP/2.0 {code} {phrase}"), "OPTIONS")),
        ],
        vias in prop::collection::vec(via(), 1..4),
        (from, to, contact) in (address(), address(), address()),
        call_id in "[!-+\\--~]{1,30}",
        number in 0_u32..1 << 31,
        others in prop::collection::vec(("X-[A-Za-z0-9.!%*_+`'~-]{1,12}", value()), 0..8),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) -> Parts {
        let (start, method) = start;
        let mut headers: Vec<(String, String)> =
            vias.into_iter().map(|via| ("Via".to_owned(), via)).collect();
        let mut push = |name: &str, value: String| headers.push((name.to_owned(), value));
        push("From", from);
        push("To", to);
        push("Call-ID", call_id);
        push("CSeq", format!("{number} {method}"));
        push("Contact", contact);
        for (name, value) in others {
            push(&name, value);
        }
        Parts { start, headers, body }
    }
}

/// A value as nobody would write it, but might: no controls, no white space at its ends.
fn value() -> impl Strategy<Value = String> {
    "([!-~\u{a1}-\u{17f}]([ -~\t\u{a1}-\u{17f}]{0,40}[!-~\u{a1}-\u{17f}])?)?"
}

/// A URI, perhaps with headers.
fn uri() -> impl Strategy<Value = String> {
    let headers = "(\\?[a-z]{1,5}=[a-z0-9/:+$.-]{0,5}(&[a-z]{1,5}=[a-z]{0,5})?)?";
    (bare_uri(), headers).prop_map(|(uri, headers)| match uri.starts_with("sip") {
        true => format!("{uri}{headers}"),
        false => uri,
    })
}

/// A URI as it may stand in a request line.
fn bare_uri() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[a-z][a-z0-9-]{0,8}(\\.[a-z]{2,5}){0,2}",
        Just("192.0.2.1".to_owned()),
        Just("[2001:db8::1]".to_owned()),
    ];
    let user = "([a-zA-Z0-9.!~*'()&=+$,;?/_-]|%[0-9A-F]{2}){1,12}(:[a-z0-9&=+$,]{0,5})?@";
    let params = "(;[a-z]{1,8}(=[a-zA-Z0-9:/&+$.-]{1,8})?){0,3}";
    prop_oneof![
        4 => ("sips?", prop::option::of(user), host, "(:[1-9][0-9]{0,3})?", params).prop_map(
            |(scheme, user, host, port, params)| {
                format!("{scheme}:{}{host}{port}{params}", user.unwrap_or_default())
            }
        ),
        1 => "tel:\\+[0-9][0-9.()-]{0,12}(;ext=[0-9]{1,4})?",
        1 => "(urn|im|http):[a-z0-9:/.-]{1,20}",
    ]
}

fn address() -> impl Strategy<Value = String> {
    let display = prop_oneof![
        Just(String::new()),
        "[A-Za-z.!%*_+`'~-]{1,8}( [A-Za-z]{1,8})? ",
        "\"([^\"\\\\\\p{C}]|\\\\[ -~]){0,12}\" ",
    ];
    let params = "(;[a-z]{1,6}(=[A-Za-z0-9.!~*_-]{1,8}|=\"[ -!#-\\[\\]-~]{0,8}\")?){0,3}";
    (display, uri(), params).prop_map(|(display, uri, params)| format!("{display}<{uri}>{params}"))
}

fn via() -> impl Strategy<Value = String> {
    let host = select(&["a.example", "192.0.2.1", "[2001:db8::1]"][..]);
    let transport = select(&["UDP", "TCP", "TLS", "SCTP", "WS"][..]);
    let params =
        select(&["", ";rport", ";rport;alias", ";ttl=1", ";received=192.0.2.9", ";x=\"a;b\""][..]);
    (transport, host, "(:[1-9][0-9]{0,3})?", "[A-Za-z0-9.!~*_-]{1,12}", params).prop_map(
        |(transport, host, port, branch, params)| {
            format!("SIP/2.0/{transport} {host}{port};branch=z9hG4bK{branch}{params}")
        },
    )
}

/// A message that we know to be one.
#[test]
fn the_generators_make_messages() {
    let simple = Parts {
        start: "OPTIONS sip:a@b SIP/2.0".to_owned(),
        headers: [
            ("Via", "SIP/2.0/UDP a"),
            ("From", "<sip:a@a>"),
            ("To", "<sip:b@b>"),
            ("Call-ID", "1"),
            ("CSeq", "1 OPTIONS"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        body: b"\0\r\n\r\n".to_vec(),
    };
    assert!(matches!(read(simple.canonical()), Message::Request(_)));
}
