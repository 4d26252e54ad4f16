//! Hostile bytes: the torture messages, mutated, and texts that want to break out of their place.

use bytes::{Bytes, BytesMut};
use chatbridge::sip::{
    Decoded, Headers, Hop, Message, NameAddr, StreamDecoder, Transport, Uri, WireLimits,
    decode_datagram, stamp_source,
};
use proptest::prelude::*;

use crate::corpus::{read, rows};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever arrives is a message, an answer, or nothing; and what we pass on is what we read.
    #[test]
    fn no_datagram_is_too_bad(bytes in mutant()) {
        let Decoded::Message(message) = datagram(&bytes) else { return Ok(()) };
        visit(&message);
        let Decoded::Message(again) = datagram(&message.encode()) else {
            return Err(TestCaseError::fail(format!("written badly: {message:?}")));
        };
        prop_assert_eq!(again.body(), message.body());
        prop_assert_eq!(without_length(again), without_length(message));
    }

    /// A refusal is a message itself, one that its receiver can read.
    #[test]
    fn an_answer_tells_no_more_than_it_should(bytes in mutant()) {
        let Decoded::Reject { answer: Some(answer), .. } = datagram(&bytes) else { return Ok(()) };
        let wire = answer.encode();
        let ends = wire.windows(4).filter(|window| window == b"\r\n\r\n").count();
        prop_assert_eq!(ends, 1);
        prop_assert!(wire.ends_with(b"\r\n\r\n"));
    }

    /// Neither do pieces matter to a stream, nor does it panic.
    #[test]
    fn no_stream_is_too_bad(
        messages in prop::collection::vec(mutant(), 1..4),
        sizes in prop::collection::vec(1_usize..700, 1..20),
    ) {
        let bytes = messages.concat();
        prop_assert_eq!(stream(&bytes, &sizes), stream(&bytes, &[usize::MAX]));
    }

    #[test]
    fn no_value_breaks_out_of_its_header(name in any::<String>(), value in any::<String>()) {
        let mut headers = Headers::new();
        headers.push("Subject", &value);
        headers.set("Subject", &value);
        headers.push_front("Subject", &value);
        headers.push(&name, "x");
        let text = headers.to_string();
        let breaks = text.bytes().filter(|byte| matches!(byte, b'\r' | b'\n' | 0)).count();
        prop_assert_eq!(breaks, 2 * headers.len());
    }

    #[test]
    fn a_display_name_says_what_was_put_in(name in "\\PC*") {
        let mut address = NameAddr::new(Uri::parse("sip:a@b;lr").unwrap());
        address.display = Some(name);
        prop_assert_eq!(NameAddr::parse(&address.to_string()), Ok(address));
    }

    #[test]
    fn a_user_says_what_was_put_in(user in ".+") {
        let uri = Uri::sip(Some(&user), "example.com:5060").unwrap();
        prop_assert_eq!(uri.user_unescaped(), Some(user));
        prop_assert_eq!(uri.host(), Some("example.com"));
    }

    #[test]
    fn a_parameter_says_what_was_put_in(name in "[a-z]{1,8}", value in "[ -~]{1,20}") {
        let uri = Uri::parse("sip:a@b;lr?x=y").unwrap().with_param(&name, Some(&value));
        prop_assert_eq!(uri.params().count(), if name == "lr" { 1 } else { 2 });
        prop_assert!(uri.param(&name).is_some());
        let without = uri.without_param(&name);
        prop_assert_eq!(without.param(&name), None);
    }

    #[test]
    fn any_text_is_an_address_or_not(text in "[\\PC\\x00-\\x7f]*") {
        let _ = NameAddr::parse(&text).map(|address| address.to_string());
        let _ = Uri::parse(&text).map(|uri| (uri.hop(), uri.without_headers(), uri.equivalent(&uri)));
    }
}

/// One edit of a message.
#[derive(Debug, Clone)]
enum Edit {
    Set(usize, u8),
    Insert(usize, &'static [u8]),
    Remove(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
}

/// What parsers trip over.
const THORNS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\"",
    b"\\",
    b"<",
    b">",
    b";",
    b",",
    b":",
    b" ",
    b"\t",
    b"%",
    b"[",
    b"]",
    b"@",
    b"=",
    b"*",
    b"\xff",
    "é".as_bytes(),
    b"\r\n ",
    b"\r\n\r\n",
    b"\x7f",
    b"4294967296",
    b"Via: ",
    b"l: 1\r\n",
    b"SIP/2.0 ",
];

fn mutant() -> impl Strategy<Value = Vec<u8>> {
    let originals: Vec<Vec<u8>> = rows().into_iter().map(|row| read(&row.file)).collect();
    let place = || 0..usize::MAX;
    let edit = prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (place(), prop::sample::select(THORNS)).prop_map(|(at, thorn)| Edit::Insert(at, thorn)),
        (place(), 1_usize..40).prop_map(|(at, length)| Edit::Remove(at, length)),
        (place(), 1_usize..200).prop_map(|(at, length)| Edit::Repeat(at, length)),
        place().prop_map(Edit::Cut),
    ];
    (prop::sample::select(originals), prop::collection::vec(edit, 0..6))
        .prop_map(|(bytes, edits)| edits.into_iter().fold(bytes, apply))
}

fn apply(mut bytes: Vec<u8>, edit: Edit) -> Vec<u8> {
    let span = |bytes: &[u8], at: usize, length: usize| {
        let start = at % (bytes.len() + 1);
        start..(start + length).min(bytes.len())
    };
    match edit {
        Edit::Set(at, byte) => span(&bytes, at, 1).for_each(|at| bytes[at] = byte),
        Edit::Insert(at, thorn) => {
            let at = span(&bytes, at, 0).start;
            bytes.splice(at..at, thorn.iter().copied());
        }
        Edit::Remove(at, length) => drop(bytes.drain(span(&bytes, at, length))),
        Edit::Repeat(at, length) => {
            let piece = bytes[span(&bytes, at, length)].to_vec();
            let at = span(&bytes, at, 0).start;
            bytes.splice(at..at, piece);
        }
        Edit::Cut(at) => bytes.truncate(span(&bytes, at, 0).start),
    }
    bytes
}

fn datagram(bytes: &[u8]) -> Decoded {
    decode_datagram(Bytes::copy_from_slice(bytes), &WireLimits::default())
}

/// Looks at everything that can be looked at.
fn visit(message: &Message) {
    let _ = (message.via(), message.vias(), message.cseq(), message.from(), message.to());
    let _ = (message.contacts(), message.record_route(), message.route(), message.reasons());
    let _ = (message.call_id(), message.content_type(), message.max_forwards(), message.expires());
    if let Message::Request(request) = message {
        let mut request = request.clone();
        stamp_source(&mut request, &Hop::new(Transport::Udp, "192.0.2.1", 5060));
        assert_eq!(request.vias().unwrap().len(), message.vias().unwrap().len());
        assert_eq!(request.uri.to_string(), request.uri.as_str());
    }
}

fn without_length(mut message: Message) -> Message {
    message.headers_mut().remove("Content-Length");
    message
}

fn stream(bytes: &[u8], sizes: &[usize]) -> Vec<Decoded> {
    let mut decoder = StreamDecoder::new(WireLimits::default());
    let (mut buffer, mut decoded, mut rest) = (BytesMut::new(), Vec::new(), bytes);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, more) = rest.split_at((*size).min(rest.len()));
        rest = more;
        buffer.extend_from_slice(piece);
        decoded.extend(std::iter::from_fn(|| decoder.next(&mut buffer)));
    }
    decoded.retain(|it| !matches!(it, Decoded::KeepAlive(_)));
    decoded
}
