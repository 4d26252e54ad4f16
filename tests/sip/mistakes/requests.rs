//! What a request must carry to be served, and where its answer goes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use chatbridge::address::Address;
use chatbridge::ids::Random;
use chatbridge::im_server::{self, ImServer};
use chatbridge::sip::Transport::{Tcp, Udp};
use chatbridge::sip::{
    Decoded, Hop, Leg, LegOutput, Message, StreamDecoder, Transport, Uri, WireLimits,
    reply_fallback, stamp_source, stray,
};

use crate::stage::{INVITE, NOTHING, Stage, kit, request};
use crate::wire::{Text, decode, message, read};

#[test]
fn m17_every_via_comes_back_in_its_order_and_only_the_top_one_is_touched() {
    let vias = "v: SIP/2.0/UDP p.example;branch=z9hG4bKtop;rport , SIP/2.0/TCP one.example\n\
                Via: SIP/2.0/SCTP two.example;received=192.0.2.99,SIP/2.0/UDP three.example:5062\n\
                V: SIP/2.0/TLS four.example ;branch=z9hG4bK4";
    let others = INVITE.lines().filter(|line| !line.starts_with("Via"));
    let invite = others.collect::<Vec<_>>().join("\n");
    let mut stage = Stage::invited(&message(&invite, &format!("{vias}\n\noffer")));
    stage.drain();
    assert_eq!(stage.wish(|leg, now| leg.ring(now)), ["180 INVITE 1"]);
    assert_eq!(stage.sent.len(), 2);
    for text in &stage.sent {
        let all = text.all("Via").join(",");
        let all: Vec<_> = all.split(',').map(str::trim).collect();
        let expected = [
            "SIP/2.0/UDP p.example;branch=z9hG4bKtop;rport=5060;received=192.0.2.2",
            "SIP/2.0/TCP one.example",
            "SIP/2.0/SCTP two.example;received=192.0.2.99",
            "SIP/2.0/UDP three.example:5062",
            "SIP/2.0/TLS four.example ;branch=z9hG4bK4",
        ];
        assert_eq!(all, expected, "{text}");
    }
}

#[test]
fn m18_an_answer_goes_back_where_its_request_came_from() {
    let source = |transport| Hop::new(transport, "192.0.2.7", 40_000);
    for (transport, via, hop) in [
        (Udp, "SIP/2.0/UDP a.example:5070;branch=z9hG4bKx;rport", "udp:192.0.2.7:40000"),
        (Udp, "SIP/2.0/UDP a.example:5070;branch=z9hG4bKx", "udp:192.0.2.7:5070"),
        (Udp, "SIP/2.0/UDP a.example;branch=z9hG4bKx", "udp:192.0.2.7:5060"),
        (Udp, "SIP/2.0/UDP a.example:5070;branch=z9hG4bKx;maddr=192.0.2.8", "udp:192.0.2.8:5070"),
        (Tcp, "SIP/2.0/TCP a.example:5070;branch=z9hG4bKx", "tcp:192.0.2.7:40000"),
        (Tcp, "SIP/2.0/TCP a.example;branch=z9hG4bKx;maddr=192.0.2.8", "tcp:192.0.2.7:40000"),
    ] {
        let invite = request(INVITE, &format!("Via: {via}\n\noffer"));
        let kit = kit(transport, 1);
        let mut leg = Leg::answering(Instant::now(), invite, source(transport), kit);
        let Some(LegOutput::Send { hop: found, bytes }) = leg.poll() else { panic!("nothing") };
        assert_eq!(found.to_string(), hop, "{via}");
        assert_eq!(Text::of(&bytes).code(), 100);
    }
    // When the connection is gone: a new one, to where the sender is reached (section 18.2.2).
    for (via, hop) in [
        ("SIP/2.0/TCP 192.0.2.7:5070;branch=z9hG4bKx", "tcp:192.0.2.7:5070"),
        ("SIP/2.0/TCP a.example:5070;branch=z9hG4bKx", "tcp:192.0.2.7:5070"),
        ("SIP/2.0/TLS a.example;branch=z9hG4bKx", "tls:192.0.2.7:5061"),
    ] {
        let transport = if via.contains("TLS") { Transport::Tls } else { Tcp };
        let mut invite = request(INVITE, &format!("Via: {via}\n\noffer"));
        stamp_source(&mut invite, &source(transport));
        let fallback = reply_fallback(&invite.via().unwrap(), &source(transport));
        assert_eq!(fallback.to_string(), hop, "{via}");
    }
}

#[test]
fn m19_hops_are_counted_and_circles_found() {
    let mut server = Server::new();
    let invite = INVITE.replace("bob@b.example", "bob@example.com");
    // One hop less, and none left is one too many.
    let sent = server.hear(&message(&invite, "Max-Forwards: 1\n\noffer"));
    let forwarded = sent.iter().find(|it| !it.is_response()).expect("a copy");
    assert_eq!(forwarded.get("Max-Forwards"), "0");
    let spent = "Max-Forwards: 0\nVia: SIP/2.0/UDP x;branch=z9hG4bKspent\n\noffer";
    assert_eq!(codes(&server.hear(&message(&invite, spent))), [483]);
    // A request that comes back as it left goes round in a circle.
    let Message::Request(mut lap) = read(forwarded.0.clone()) else { panic!("no request") };
    lap.headers.set("Max-Forwards", "60");
    lap.headers.push_front("Via", "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKlap");
    assert_eq!(codes(&server.hear(&lap.encode())), [482]);
    // One that comes back changed is a spiral, and lawful.
    lap.uri = Uri::parse("sip:carol@example.com").unwrap();
    lap.headers.take_first("Via");
    lap.headers.push_front("Via", "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKspiral");
    let sent = server.hear(&lap.encode());
    assert!(sent.iter().any(|it| it.target() == "sip:carol@example.com"), "{sent:?}");
    // The same request by another way has been merged (section 8.2.2.2).
    for decided in [false, true] {
        let mut stage = Stage::called(Udp, "");
        if decided {
            stage.accept();
        }
        let twin = "Via: SIP/2.0/UDP other.example;branch=z9hG4bKother\n\noffer";
        assert_eq!(stage.hear(message(INVITE, twin)), ["482 INVITE 1"]);
    }
}

#[test]
fn m20_what_is_required_and_unknown_is_named() {
    let refusal = Stage::refused("Require: magic, 100rel\nRequire: timer, tricks");
    assert_eq!((refusal.code(), refusal.get("Unsupported")), (420, "magic, tricks"));
    let mut stage = Stage::confirmed(Udp);
    for (method, number) in [("OPTIONS", 2), ("UPDATE", 3), ("INFO", 4)] {
        assert_eq!(stage.ask(method, number, "Require: magic"), [format!("420 {method} {number}")]);
        assert_eq!(stage.last_response().get("Unsupported"), "magic");
    }
    let options = request(&INVITE.replace("INVITE", "OPTIONS"), "Require: magic");
    let answer = Text::of(&stray(&options, &kit(Udp, 1).local).unwrap().encode());
    assert_eq!((answer.code(), answer.get("Unsupported")), (420, "magic"));
    // ACK and CANCEL cannot be refused: for them it means nothing.
    let mut stage = Stage::called(Udp, "");
    let cancel = INVITE.replace("INVITE", "CANCEL");
    let lines = stage.hear(message(&cancel, "Require: magic"));
    assert_eq!(lines, ["200 CANCEL 1", "487 INVITE 1", "CancelledByPeer"]);
    let mut stage = Stage::called(Udp, "");
    stage.accept();
    assert_eq!(stage.ask("ACK", 1, "Require: magic"), ["Confirmed"]);
}

#[test]
fn m21_a_bad_request_is_answered_by_its_fault_and_kills_no_stream() {
    let options = INVITE.replace("INVITE", "OPTIONS");
    let good = message(&options, "");
    let cases = [
        (message(&options, "CSeq: 1 INVITE"), 400),
        (message(&options, "Max-Forwards: many"), 400),
        (message(&options, "From: <sip:alice"), 400),
        (message(&options, "Call-ID:"), 400),
        (message(&options.replacen("SIP/2.0", "SIP/3.0", 1), ""), 505),
        (message(&options.replacen("sip:bob@b.example", "sip:bob@[b", 1), ""), 400),
        (message(&options.replacen("sip:bob@b.example", &long_uri(), 1), ""), 414),
    ];
    for (bytes, status) in &cases {
        let Decoded::Reject { answer: Some(answer), .. } = decode(bytes.clone()) else {
            panic!("{}", String::from_utf8_lossy(bytes))
        };
        let answer = Text::of(&answer.encode());
        assert_eq!(answer.code(), *status, "{answer}");
        assert!(answer.all("Via").len() == 2, "{answer}");
    }
    // What the grammar lets pass is told from what is served: 501 and 405, both with Allow.
    for (method, status) in [("DANCE", 501), ("options", 501), ("MESSAGE", 405), ("REGISTER", 405)]
    {
        let stranger = request(&INVITE.replace("INVITE", method), "");
        let answer = Text::of(&stray(&stranger, &kit(Udp, 1).local).unwrap().encode());
        assert_eq!(answer.code(), status, "{method}");
        assert!(answer.get("Allow").contains("INVITE"), "{method}");
        let mut stage = Stage::confirmed(Udp);
        assert_eq!(stage.ask(method, 2, ""), [format!("{status} {method} 2")]);
        assert!(stage.last_response().get("Allow").contains("INVITE"), "{method}");
    }
    // All of them on one stream, a good one behind each.
    let mut stream = BytesMut::new();
    for (bytes, _) in &cases {
        stream.extend_from_slice(bytes);
        stream.extend_from_slice(&good);
    }
    let mut decoder = StreamDecoder::new(WireLimits::default());
    for (_, status) in &cases {
        let Some(Decoded::Reject { answer: Some(answer), .. }) = decoder.next(&mut stream) else {
            panic!("a refusal")
        };
        assert_eq!(answer.status.code(), *status);
        assert!(matches!(decoder.next(&mut stream), Some(Decoded::Message(_))));
    }
    assert_eq!(decoder.next(&mut stream), None);
}

#[test]
fn m22_a_scheme_that_nobody_serves_is_a_416_and_a_number_is_a_number() {
    for (uri, served) in [
        ("urn:service:sos", false),
        ("http://example.com/", false),
        ("soap.beep://192.0.2.103:3002", false),
        ("tel:+12025550123", true),
        ("sips:bob@b.example", true),
    ] {
        let invite = INVITE.replacen("sip:bob@b.example", uri, 1);
        let options = request(&invite.replace("INVITE", "OPTIONS"), "");
        let expected = if served { 200 } else { 416 };
        assert_eq!(
            Text::of(&stray(&options, &kit(Udp, 1).local).unwrap().encode()).code(),
            expected,
            "{uri}"
        );
        let code = Stage::refusal_of(&message(&invite, "\n\noffer")).map(|refusal| refusal.code());
        assert_eq!(code, (!served).then_some(416), "{uri}");
    }
    let same = [
        "tel:+12025550123",
        "tel:+1-202-555-0123",
        "sip:+12025550123@example.com;user=phone",
        "sip:+1(202)555.0123@other.example;user=phone",
    ];
    let numbers = same.map(|text| Address::parse(text).unwrap());
    assert!(numbers.iter().all(|number| *number == numbers[0]), "{numbers:?}");
    let user = Address::parse("sip:12025550123@example.com").unwrap();
    assert_ne!(user, numbers[0], "a name that looks like a number is none");
}

#[test]
fn m40_a_flood_finds_its_bounds() {
    // A server: what it has no room for it sends away, and says for how long.
    let mut server = Server::bounded(100);
    let mut answers = BTreeMap::<u16, usize>::new();
    for number in 0..20_000 {
        let changes = format!(
            "Via: SIP/2.0/UDP flood.example;branch=z9hG4bK{number}\nCall-ID: {number}\n\
             From: <sip:f@f.example>;tag={number}\n\noffer"
        );
        let invite = INVITE.replace("bob@b.example", "bob@example.com");
        for text in server.hear(&message(&invite, &changes)).iter().filter(|it| it.is_response()) {
            *answers.entry(text.code()).or_default() += 1;
            if text.code() == 503 {
                assert!(text.get("Retry-After").parse::<u32>().is_ok_and(|seconds| seconds > 0));
            }
        }
    }
    let (taken, refused) = (answers[&100], answers[&503]);
    assert_eq!(taken + refused, 20_000);
    assert!(taken <= 100, "{answers:?}");
    // Nothing of it stays: when all has timed out, there is no timer left to wait for.
    server.wait(Duration::from_secs(300));
    assert_eq!(server.machine.next_timeout(), None);

    // A leg: a peer in the dialog cannot open transactions without end.
    let mut stage = Stage::confirmed(Udp);
    let mut codes = Vec::new();
    for number in 2..2000 {
        codes.extend(stage.ask("OPTIONS", number, ""));
    }
    let refused = codes.iter().filter(|line| line.starts_with("503 ")).count();
    assert!(codes.len() == 1998 && refused > 1900, "{refused}");
    assert!(stage.last_response().get("Retry-After").parse::<u32>().is_ok());
    assert_eq!(stage.ask("UPDATE", 2001, "").len(), 1);
    // Nor forks and reliable responses: each makes us remember something.
    let mut stage = Stage::calling(Udp);
    let mut pracks = 0;
    for fork in 0..1000 {
        let reliable = "Require: 100rel\nRSeq: 1\nContact: <sip:bob@192.0.2.3>";
        let lines = stage.answer("INVITE", "183 Session Progress", &format!("f{fork}"), reliable);
        pracks += lines.iter().filter(|line| line.starts_with("PRACK")).count();
    }
    assert!(pracks <= 16, "{pracks}");
    let invite = stage.last("INVITE").clone();
    let mut acks = 0;
    for fork in 0..1000 {
        let contact = "Contact: <sip:bob@192.0.2.3>";
        let lines = stage.answer_to(&invite, "200 OK", &format!("f{fork}"), contact);
        acks += lines.iter().filter(|line| line.starts_with("ACK")).count();
    }
    assert!(acks <= 16, "{acks}");
    assert_eq!(stage.wait(Duration::ZERO), NOTHING);
}

/// The embedded IM server, with the test as its bridge.
struct Server {
    machine: ImServer,
    now: Instant,
}

impl Server {
    fn new() -> Self {
        Self::bounded(10_000)
    }

    fn bounded(max_transactions: usize) -> Self {
        let settings = im_server::Settings {
            local: Hop::new(Udp, "192.0.2.60", 5060),
            // Of its bridge, at the loopback, it asks no password.
            home: Some(Hop::new(Udp, "127.0.0.1", 5080)),
            max_transactions,
            ..im_server::Settings::default()
        };
        let now = Instant::now();
        Self { machine: ImServer::new(now, settings, Random::seeded(1)), now }
    }

    /// Lets a message arrive and gives what is sent upon it.
    fn hear(&mut self, bytes: &[u8]) -> Vec<Text> {
        let (message, source) = (read(bytes.to_vec()), Hop::new(Udp, "127.0.0.1", 5080));
        self.machine.handle(self.now, im_server::Input::Message { message, source });
        self.drain()
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(next) = self.machine.next_timeout().filter(|next| *next <= end) {
            self.now = next;
            self.machine.handle(next, im_server::Input::Timeout);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) -> Vec<Text> {
        let outputs = std::iter::from_fn(|| self.machine.poll());
        outputs
            .filter_map(|output| match output {
                im_server::Output::Send { bytes, .. } => Some(Text::of(&bytes)),
                im_server::Output::Media { .. } => None,
            })
            .collect()
    }
}

/// The status codes of final responses.
fn codes(sent: &[Text]) -> Vec<u16> {
    let responses = sent.iter().filter(|text| text.is_response());
    responses.map(Text::code).filter(|code| *code >= 200).collect()
}

fn long_uri() -> String {
    format!("sip:{}@b.example", "b".repeat(17_000))
}
