//! Hostile input and faults, as far as they concern SIP: `s03_…` is case S3.
//!
//! | case | where |
//! |---|---|
//! | S1 torture messages | `tests/wire/torture.rs`, and through sockets `tests/transports/torture.rs` |
//! | S2 lengths, S3 numbers, S4 names and controls, S5 untrusted headers, S6 sizes, S16 strangers, S17 downgrades, S18 references | here |
//! | S7 multipart invitations | `tests/flows/hardening.rs`; the reader of parts in `payload::multipart` |
//! | S8 resource lists | rooms in `im_server`; the reader in `payload::resource_list` |
//! | S9 XML bodies | `tests/flows/hardening.rs`; `payload::xml`, `payload::conference`, `payload::imdn`, `payload::composing` |
//! | S10 descriptions | `sdp` |
//! | S11 paths that lead inside | `tests/rest/hardening.rs` |
//! | S12 subscriptions | `mistakes::usages`, `m29` |
//! | S13 passwords at the IM server | `im_server`: doors and rooms |
//! | S14 floods | `mistakes::requests`, `m40`; storms in `im_server`; `tests/rest/hardening.rs` |
//! | S15 merged, crossing, forked | `mistakes`: `m01`, `m02`, `m04`, `m19`, `m26` |
//! | S19 name servers | `net::dns` |

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use chatbridge::ids::Random;
use chatbridge::im_server::{self, ImServer};
use chatbridge::sip::Transport::{Tcp, Udp};
use chatbridge::sip::{
    Credentials, Decoded, Hop, Message, NotifierEvent, Password, Referred, StreamDecoder,
    UsageOutput, WireLimits,
};

use crate::stage::{INVITE, NOTHING, Stage, kit};
use crate::wire::{Text, decode, message, read};

#[test]
fn s02_a_length_that_lies_costs_its_sender_more_than_us() {
    let good = String::from_utf8(message(&options(), "\n\nhello")).unwrap();
    for (length, datagram, stream) in [
        ("9", 400, None),
        ("-5", 400, Some(400)),
        ("+5", 400, Some(400)),
        ("0x5", 400, Some(400)),
        ("4294967296", 400, Some(513)),
        ("9223372036854775808", 400, Some(513)),
        ("18446744073709551616", 400, Some(400)),
        ("5\r\nContent-Length: 6", 400, Some(400)),
        ("5, 5", 400, Some(400)),
        ("", 400, Some(400)),
    ] {
        let text = good.replace("Content-Length: 5", &format!("Content-Length: {length}"));
        assert_eq!(refusal(decode(text.clone().into_bytes())), Some(datagram), "{length}");
        let (mut decoder, mut buffer) = (decoder(), BytesMut::from(text.as_str()));
        // A body that is merely late is waited for.
        assert_eq!(decoder.next(&mut buffer).and_then(refusal), stream, "{length}");
        assert!(buffer.capacity() < 4096, "{length}: nothing is made ready for what is claimed");
    }
    let text = good.replace("Content-Length: 5\r\n", "");
    assert!(matches!(decode(text.clone().into_bytes()), Decoded::Message(_)));
    let (mut decoder, mut buffer) = (decoder(), BytesMut::from(text.as_str()));
    assert_eq!(decoder.next(&mut buffer).and_then(refusal), Some(400), "a stream needs a length");
    assert!(matches!(decoder.next(&mut buffer), Some(Decoded::Fatal(_))));
}

#[test]
fn s03_a_number_is_below_two_to_the_31_and_of_its_method() {
    for (cseq, status) in [
        ("0 OPTIONS", None),
        ("000000000000009 OPTIONS", None),
        ("2147483647 OPTIONS", None),
        ("2147483648 OPTIONS", Some(400)),
        ("4294967296 OPTIONS", Some(400)),
        ("4294967297 OPTIONS", Some(400)),
        ("99999999999999999999 OPTIONS", Some(400)),
        ("-1 OPTIONS", Some(400)),
        ("+1 OPTIONS", Some(400)),
        ("1e1 OPTIONS", Some(400)),
        ("1 INVITE", Some(400)),
        ("1 options", Some(400)),
        ("1", Some(400)),
        ("OPTIONS", Some(400)),
        ("1 OPTIONS OPTIONS", Some(400)),
    ] {
        let decoded = decode(message(&options(), &format!("CSeq: {cseq}")));
        assert_eq!(refusal(decoded), status, "{cseq}");
    }
}

#[test]
fn s04_white_space_and_controls_make_no_header() {
    let with = |line: &str| {
        let text = String::from_utf8(message(&options(), "")).unwrap();
        decode(text.replace("Content-Length", &format!("{line}\r\nContent-Length")).into_bytes())
    };
    for line in ["X-A : b", "X-A\t: b", "X-A \t :b", "X-A:\r\n b", "X-A: b\r\n\t c", "X-A: b\n c"] {
        let Decoded::Message(message) = with(line) else { panic!("{line:?}") };
        assert!(message.headers().get("X-A").unwrap().starts_with('b'), "{line:?}");
    }
    for line in [
        "P-Asserted-Identity\u{1}: <sip:boss@b.example>",
        "P-Asserted-Identity\0: <sip:boss@b.example>",
        "\u{7f}P-Asserted-Identity: <sip:boss@b.example>",
        "P-Asserted\u{b}Identity: <sip:boss@b.example>",
        "X-A: b\0P-Asserted-Identity: <sip:boss@b.example>",
        "X-A: b\rP-Asserted-Identity: <sip:boss@b.example>",
        "X-A: \"b\u{1b}\"",
        "(P-Asserted-Identity): <sip:boss@b.example>",
        "P-Asserted-Identity",
        ": <sip:boss@b.example>",
    ] {
        assert_eq!(refusal(with(line)), Some(400), "{line:?}");
    }
    let name = "P".repeat(64 * 1024);
    assert_eq!(refusal(with(&format!("{name}: b"))), Some(513));
    // Behind a line break that is none of the wire a header is a header: nobody reads it otherwise.
    let Decoded::Message(message) = with("X-A: b\nX-B: c") else { panic!("a message") };
    assert_eq!(
        (message.headers().get("X-A"), message.headers().get("X-B")),
        (Some("b"), Some("c"))
    );
}

#[test]
fn s05_what_only_the_network_may_say_is_not_taken_from_strangers() {
    let (home, stranger) = (Hop::new(Udp, "127.0.0.1", 5080), Hop::new(Udp, "192.0.2.2", 5060));
    let now = Instant::now();
    let claims = ["P-Asserted-Identity", "P-Called-Party-ID", "P-Asserted-Service"];
    for (source, is_believed) in [(home.clone(), true), (stranger, false)] {
        let settings = im_server::Settings {
            local: Hop::new(Udp, "192.0.2.60", 5060),
            home: Some(home.clone()),
            ..im_server::Settings::default()
        };
        let mut server = ImServer::new(now, settings, Random::seeded(1));
        let lines: Vec<_> = claims.iter().map(|it| format!("{it}: <sip:boss@b.example>")).collect();
        let invite = INVITE.replace("bob@b.example", "bob@example.com");
        let invite = message(&invite, &format!("{}\nX-Other: kept\n\noffer", lines.join("\n")));
        let message = read(invite);
        server.handle(Instant::now(), im_server::Input::Message { message, source });
        let sent = std::iter::from_fn(|| server.poll());
        let mut sent = sent.filter_map(|output| match output {
            im_server::Output::Send { bytes, .. } => Some(Text::of(&bytes)),
            im_server::Output::Media { .. } => None,
        });
        if !is_believed {
            // Who has proved nothing is asked for a proof, and nothing of his goes on.
            assert!(sent.all(|text| text.is_response()));
            continue;
        }
        let copy = sent.into_iter().find(|text| !text.is_response()).expect("a copy");
        assert_eq!(copy.get("X-Other"), "kept");
        for claim in claims {
            assert_eq!(copy.has(claim), is_believed, "{claim}");
        }
    }
}

#[test]
fn s06_what_is_too_much_is_refused_and_what_is_kept_is_bounded() {
    let limits = WireLimits::default();
    let list = |line: &str, count: usize| vec![line; count].join(", ");
    for (name, element) in [
        ("Via", "SIP/2.0/UDP a.example;branch=z9hG4bKx"),
        ("Route", "<sip:a.example;lr>"),
        ("Contact", "<sip:a@a.example>"),
    ] {
        let lines = format!("{name}: {element}\n").repeat(10_000);
        let many = refusal(decode(message(&options(), &lines)));
        assert!(matches!(many, Some(400 | 513)), "{name}: {many:?}");
        let one =
            refusal(decode(message(&options(), &format!("{name}: {}", list(element, 10_000)))));
        assert_eq!(one, Some(513), "{name}");
    }
    let large = message(&options(), &format!("\n\n{}", "x".repeat(200 * 1024)));
    assert_eq!(refusal(decode(large.clone())), Some(513));
    let (mut decoder, mut buffer) = (decoder(), BytesMut::new());
    let mut refused = None;
    for piece in large.chunks(1000) {
        buffer.extend_from_slice(piece);
        refused = refused.or(decoder.next(&mut buffer).and_then(refusal));
        assert!(buffer.len() <= limits.message);
    }
    assert_eq!(refused, Some(513));
    buffer.extend_from_slice(&message(&options(), ""));
    assert!(matches!(decoder.next(&mut buffer), Some(Decoded::Message(_))), "the stream goes on");
    for length in [512, 17_000] {
        let long = "a".repeat(length);
        for line in
            [format!("From: <sip:{long}@a.example>;tag=a"), format!("From: {long} <sip:a@a>;tag=a")]
        {
            match decode(message(&options(), &line)) {
                Decoded::Message(message) => {
                    assert!(message.headers().get("From").unwrap().len() <= limits.line)
                }
                other => assert!(matches!(refusal(other), Some(400 | 513))),
            }
        }
    }
}

#[test]
fn s16_a_stranger_who_knows_the_call_id_cannot_touch_the_session() {
    let mut stage = Stage::confirmed(Udp);
    for (number, method) in [(2, "BYE"), (3, "REFER"), (4, "INVITE"), (5, "UPDATE"), (6, "PRACK")] {
        let wrong = "From: <sip:alice@a.example>;tag=guessed\nRefer-To: <sip:evil@e.example>";
        assert_eq!(stage.ask(method, number, wrong), [format!("481 {method} {number}")]);
    }
    // Where it comes from does not matter, and changes nothing: answers go there, requests do not.
    let honest = stage.peer.clone();
    stage.peer = Hop::new(Udp, "203.0.113.66", 6666);
    assert_eq!(stage.ask("OPTIONS", 2, ""), ["200 OPTIONS 2"]);
    stage.peer = honest;
    // Old numbers: 500, and the session lives.
    for method in ["BYE", "INVITE", "UPDATE"] {
        assert_eq!(
            stage.ask(method, 1, "Via: SIP/2.0/UDP x;branch=z9hG4bKold"),
            [format!("500 {method} 1")]
        );
        assert_eq!(stage.ask(method, 2, ""), [format!("500 {method} 2")]);
    }
    assert_eq!(stage.ask("ACK", 1, "From: <sip:alice@a.example>;tag=guessed"), NOTHING);
    assert_eq!(stage.wish(|leg, now| leg.bye(now, None)), ["BYE 1 > udp:p2.example:5060"]);
    assert_eq!(stage.last("BYE").target(), "sip:alice@192.0.2.9");
}

#[test]
fn s17_nobody_gets_a_hash_who_has_no_right_to_it() {
    let calling = || {
        Stage::calling_with(Tcp, |kit, _| {
            Arc::make_mut(&mut kit.local).credentials = Some(Credentials {
                username: "alice".to_owned(),
                password: Password::Text("secret".to_owned()),
                realms: vec!["ours.example".to_owned()],
            });
        })
    };
    let ask = |realm: &str, rest: &str| {
        format!("WWW-Authenticate: Digest realm=\"{realm}\", nonce=\"n\"{rest}")
    };
    for odd in [
        ask("theirs.example", ", qop=\"auth\""),
        ask("ours.example", ", qop=\"auth\", algorithm=NONE"),
        ask("ours.example", ", algorithm=MD5-sess"),
        ask("ours.example", ", qop=\"magic\""),
        "WWW-Authenticate: Basic realm=\"ours.example\"".to_owned(),
        "WWW-Authenticate: Digest realm=\"ours.example\"".to_owned(),
    ] {
        let mut stage = calling();
        let lines = stage.answer("INVITE", "401 Unauthorized", "bobs", &odd);
        assert_eq!(lines.last().unwrap(), "Refused 401", "{odd}");
        assert!(stage.sent.iter().all(|text| !text.has("Authorization")), "{odd}");
    }
    // Once it has been SHA-256, nobody is satisfied with MD5 any more.
    let mut stage = calling();
    let strong = ask("ours.example", ", qop=\"auth\", algorithm=SHA-256");
    stage.answer("INVITE", "401 Unauthorized", "bobs", &strong);
    assert!(stage.last("INVITE").get("Authorization").contains("algorithm=SHA-256"));
    let weak = ask("ours.example", "2, qop=\"auth\", algorithm=MD5, stale=true")
        .replace("\"n\"2", "\"n2\"");
    let lines = stage.answer("INVITE", "401 Unauthorized", "bobs", &weak);
    assert_eq!(lines.last().unwrap(), "Refused 401");
}

#[test]
fn s18_a_reference_leads_only_where_a_call_may_go() {
    let head = "REFER sip:bob@b.example SIP/2.0\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\n\
                From: <sip:a@a.example>;tag=a\nTo: <sip:bob@b.example>\nCall-ID: one\n\
                CSeq: 1 REFER\nContact: <sip:a@192.0.2.9>\n";
    for (refer_to, code) in [
        ("Refer-To: <sip:carol@c.example>", None),
        ("Refer-To: <tel:+12025550123>", None),
        ("Refer-To: <sips:carol@c.example;method=BYE>", None),
        ("Refer-To: <sip:carol@c.example?Replaces=1%40a%3Bto-tag%3Db%3Bfrom-tag%3Dc>", None),
        ("", Some(400)),
        ("Refer-To: <sip:carol@c.example>, <sip:dave@d.example>", Some(400)),
        ("Refer-To: <sip:carol@c.example>\nRefer-To: <sip:dave@d.example>", Some(400)),
        ("Refer-To: <sip:carol@c.example?Route=%3Csip:evil.example%3Blr%3E>", Some(403)),
        ("Refer-To: <sip:carol@c.example?Replaces=x%0D%0ARoute%3A%20%3Csip%3Aevil%3E>", Some(400)),
        ("Refer-To: <sip:carol@c.example?Authorization=Digest>", Some(403)),
        ("Refer-To: <sip:carol@c.example;method=REGISTER>", Some(403)),
        ("Refer-To: <sip:carol@c.example;method=REFER>", Some(403)),
        ("Refer-To: <sip:carol@c.example;method=INVITE?method=BYE>", Some(400)),
        ("Refer-To: <http://169.254.169.254/latest>", Some(403)),
        ("Refer-To: <file:///etc/passwd>", Some(403)),
        ("Refer-To: <cid:nothing@a.example>", Some(400)),
        ("Refer-To: carol", Some(400)),
    ] {
        let Message::Request(refer) = read(message(head, refer_to)) else { panic!("no request") };
        let (source, kit) = (Hop::new(Udp, "192.0.2.2", 5060), kit(Udp, 1));
        let mut referred = Referred::answering(Instant::now(), refer, source, kit);
        let found = match referred.poll() {
            Some(UsageOutput::Send { bytes, .. }) => Some(Text::of(&bytes).code()),
            Some(UsageOutput::Event(NotifierEvent::Asked)) => None,
            other => panic!("{refer_to}: {other:?}"),
        };
        assert_eq!(found, code, "{refer_to}");
    }
}

fn options() -> String {
    INVITE.replace("INVITE", "OPTIONS")
}

fn decoder() -> StreamDecoder {
    StreamDecoder::new(WireLimits::default())
}

/// The status of a refusal; none for a message.
fn refusal(decoded: Decoded) -> Option<u16> {
    match decoded {
        // Where too much has been left out to know for whom, there is no answer.
        Decoded::Reject { answer, why } => {
            assert!(answer.is_none_or(|answer| answer.status == why.status()));
            Some(why.status().code())
        }
        Decoded::Message(Message::Request(_) | Message::Response(_)) => None,
        other => panic!("{other:?}"),
    }
}
