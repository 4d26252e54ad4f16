//! What passes, what does not, and that it makes no difference how the bytes are cut.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { uri: 100, bytes: 1000, fields: 10 };

/// Gives how many bytes pass, and what comes then.
fn run(bytes: &[u8]) -> (usize, Step) {
    run_in(bytes, bytes.len())
}

/// Lets the bytes come in portions.
fn run_in(bytes: &[u8], portion: usize) -> (usize, Step) {
    let mut intake = Intake::new(LIMITS);
    let (mut passed, mut there) = (0, 0);
    loop {
        match intake.step(&bytes[passed..there]) {
            Step::Pass(count) => {
                assert!(count > 0 && passed + count <= there);
                passed += count;
            }
            Step::More if there == bytes.len() => return (passed, Step::More),
            Step::More => there = min(there + portion.max(1), bytes.len()),
            step @ (Step::Refuse(_) | Step::Break) => return (passed, step),
        }
    }
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /1/x HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

#[test]
fn whole_requests_pass_one_behind_the_other() {
    let all = [
        post("", ""),
        post("Content-Length: 5\r\n", "hello"),
        "\r\n\r\nGET / HTTP/1.0\r\n\r\n".to_owned(),
        post(
            "Transfer-Encoding: Chunked\r\n",
            "5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
        ),
        post("Content-Length: 0\r\nUpgrade: h2c\r\n", ""),
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nX: \u{e4}\r\n\r\n".to_owned(),
    ];
    for request in &all {
        assert_eq!(run(request.as_bytes()), (request.len(), Step::More), "{request:?}");
    }
    let all = all.concat();
    for portion in [1, 2, 3, 7, 64, 100_000] {
        assert_eq!(run_in(all.as_bytes(), portion), (all.len(), Step::More));
    }
}

#[test]
fn h01_what_could_be_read_in_two_ways_is_refused() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "Content-Length : 5\r\n",
        " Content-Length: 5\r\n",
        "X: a\r\n Content-Length: 5\r\n",
        "X: a\r\n\tb\r\n",
        "Content-Length: 5\n",
        "X: a\nContent-Length: 5\r\n",
        "X: a\rContent-Length: 5\r\n",
        "X: a\0b\r\n",
        "Host: b\r\n",
        ": x\r\n",
        "X\r\n",
        "Upgrade: websocket\r\n",
    ] {
        let request = post(fields, "hello");
        assert_eq!(run(request.as_bytes()), (0, Step::Refuse(Refused::Malformed)), "{fields:?}");
    }
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        assert_eq!(run(request.as_bytes()), (0, Step::Refuse(Refused::Malformed)), "{request:?}");
    }
}

#[test]
fn a_chunked_body_that_breaks_its_framing_passes_no_further() {
    for body in [
        "x",
        "\r\n",
        ";a\r\n",
        "5 \r\nhello\r\n",
        "5\nhello\r\n",
        "5\r\nhello!\r\n",
        "5\r\nhello\n",
        "-5\r\n",
        "0x5\r\n",
        "+5\r\n",
        "1000000000000000\r\n",
        "0\r\nX: y\r\n\r\n",
        "0\r\n\n",
        "5;\x01\r\n",
        "5;a\n",
    ] {
        let request = post("Transfer-Encoding: chunked\r\n", body);
        let (passed, step) = run(request.as_bytes());
        assert_eq!(step, Step::Break, "{body:?}");
        assert!(passed >= request.len() - body.len(), "{body:?}");
    }
    let long = format!("5;{}\r\n", "a".repeat(200));
    let request = post("Transfer-Encoding: chunked\r\n", &long);
    assert_eq!(run(request.as_bytes()).1, Step::Break);
}

#[test]
fn each_limit_has_its_status() {
    let get = |uri: usize, fields: &str| {
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n{fields}\r\n", "u".repeat(uri - 1))
    };
    let field = |size: usize| format!("X: {}\r\n", "x".repeat(size));
    for (request, refused) in [
        (get(100, ""), None),
        (get(101, ""), Some(Refused::LongUri)),
        (get(5000, ""), Some(Refused::LongUri)),
        (get(1, &"X: y\r\n".repeat(9)), None),
        (get(1, &"X: y\r\n".repeat(10)), Some(Refused::LargeHead)),
        (get(1, &"X: y\r\n".repeat(97)), Some(Refused::LargeHead)),
        (get(1, &field(900)), None),
        (get(1, &field(2000)), Some(Refused::LargeHead)),
    ] {
        let step = refused.map_or(Step::More, Step::Refuse);
        let start: String = request.chars().take(40).collect();
        assert_eq!(run(request.as_bytes()).1, step, "{start}");
        assert_eq!(run_in(request.as_bytes(), 1).1, step, "{start}");
    }
    // Without an end it is refused as soon as it is too long, and no more is held.
    let (endless, target) = ("GET / HTTP/1.1\r\nHost: a\r\nX: ", "GET /");
    for (start, refused) in [(endless, Refused::LargeHead), (target, Refused::LongUri)] {
        let mut intake = Intake::new(LIMITS);
        let bytes = format!("{start}{}", "x".repeat(1_000_000));
        let refusal = (0..bytes.len()).find(|n| intake.step(&bytes.as_bytes()[..*n]) != Step::More);
        assert_eq!(refusal, Some(1001));
        assert_eq!(intake.step(&bytes.as_bytes()[..1001]), Step::Refuse(refused));
    }
}

#[test]
fn what_is_awaited_is_known() {
    let mut intake = Intake::new(LIMITS);
    assert_eq!(intake.awaited(0), (Awaited::First, 0));
    assert_eq!(intake.step(b"GET"), Step::More);
    assert_eq!(intake.awaited(3), (Awaited::Head, 0));
    let request = post("Content-Length: 2\r\n", "");
    assert_eq!(intake.step(request.as_bytes()), Step::Pass(request.len()));
    assert_eq!(intake.awaited(0), (Awaited::Body, 1));
    assert_eq!(intake.step(b"xy"), Step::Pass(2));
    assert_eq!(intake.awaited(0), (Awaited::Next, 1));
}

#[test]
fn a_refused_request_is_replaced_by_one_for_its_fault() {
    let head = b"GET / HTTP/1.1\r\nhost: a\r\nACCEPT:  application/json \r\nX-Correlator: abc\r\n\
                 accept: text/html\r\nX-Correlator\r\nContent-Type: a\tb\r\n y: \nz";
    let substitute = Refused::LargeHead.substitute(head);
    assert_eq!(
        String::from_utf8(substitute.clone()).unwrap(),
        "GET /-/refused/431 HTTP/1.1\r\nHost: -\r\nConnection: close\r\n\
         accept: application/json\r\nx-correlator: abc\r\n\r\n"
    );
    assert_eq!(run(&substitute), (substitute.len(), Step::More), "it is taken itself");
    for refused in Refused::ALL {
        assert_eq!(Refused::of(&refused.status().to_string()), Some(refused));
    }
    assert_eq!(Refused::of("200"), None);
}

#[test]
fn what_follows_the_head_of_a_refused_request_says_nothing_about_its_answer() {
    let head = "POST /x HTTP/1.1\r\nHost: h\r\nHost: h\r\nContent-Length: 30\r\n";
    let body = "X-Correlator: from-the-body\r\nAccept: application/json\r\n\r\n";
    for empty in ["\r\n", "\n"] {
        let substitute = Refused::Malformed.substitute((head.to_owned() + empty + body).as_bytes());
        assert_eq!(
            String::from_utf8(substitute).unwrap(),
            "GET /-/refused/400 HTTP/1.1\r\nHost: -\r\nConnection: close\r\n\r\n"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_come_to_the_same_however_they_are_cut(
        bytes in proptest::collection::vec(
            prop_oneof![
                Just(b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec()),
                Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
                Just(b"Content-Length: 3\r\n".to_vec()),
                Just(b"\r\n".to_vec()),
                Just(b"3\r\nabc\r\n".to_vec()),
                Just(b"0\r\n\r\n".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..4),
            ],
            0..12,
        ),
        portion in 1_usize..40,
    ) {
        let bytes = bytes.concat();
        let (passed, step) = run(&bytes);
        let (passed_in, step_in) = run_in(&bytes, portion);
        prop_assert_eq!(step, step_in);
        prop_assert_eq!(passed, passed_in);
    }

    /// What is not taken apart would have been read.
    #[test]
    fn a_path_that_looks_plain_is_a_target(path in "/[-A-Za-z0-9/._~%+:@?&=]{0,60}") {
        prop_assert!(Uri::try_from(&*path).is_ok());
        prop_assert!(is_target(&path));
    }

    /// Whatever passes as heads, the HTTP library reads as the same heads.
    #[test]
    fn no_head_passes_that_is_not_well_formed(
        start in "[A-Z]{1,8} /[ -~]{0,20} HTTP/1.[01]",
        fields in proptest::collection::vec("[ -~]{0,20}(: |:|)[ -~\t]{0,10}(\r|\n|\r\n)", 0..6),
    ) {
        let head = format!("{start}\r\nHost: a\r\n{}\r\n", fields.concat());
        if let (passed @ 1.., Step::More) = run(head.as_bytes()) {
            let mut fields = [httparse::EMPTY_HEADER; 20];
            let mut request = Request::new(&mut fields);
            prop_assert!(request.parse(&head.as_bytes()[..passed]).is_ok_and(|s| s.is_complete()));
            prop_assert!(!head[..passed].replace("\r\n", "").contains(['\r', '\n']));
        }
    }
}

#[test]
fn a_long_poll_is_known_by_its_head() {
    let url = "/base/1/notificationchannel/u/polls/s";
    let get = |url: &str, fields: &str| format!("GET {url} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    for fields in ["", "Accept: application/json\r\n", "Content-Length: 0\r\n"] {
        for url in [url, &format!("{url}?since=n1"), &format!("{url}/")] {
            let head = get(url, fields);
            // What lies behind it is another's.
            let both = head.clone() + "GET /more";
            assert_eq!(poll_length(both.as_bytes(), "/base"), Some(head.len()), "{head}");
        }
    }
    for other in [
        get("/base/1/notificationchannel/u/channels/c", ""),
        get("/base/1/notificationchannel/u/channels/polls/channelLifetime", ""),
        get("/base/1/notificationchannel/polls/", ""),
        get("/base/1/notificationchannel/u/polls/s//", ""),
        get("/base/1/chat/notificationchannel/polls/s", ""),
        get("/base/polls/1/notificationchannel/u/channels", ""),
        get("/1/notificationchannel/u/polls/s", ""),
        get("/polls/1/notificationchannel/u/polls/s", ""),
        get("/1/chat/u/sessions?x=/notificationchannel/u/polls/s", ""),
        get(url, "").replace("GET", "POST"),
        get(url, "").replace("GET", "HEAD"),
        get(url, "").replace("1.1", "1.0"),
        get(url, "Accept: application/json, text/Event-Stream\r\n"),
        get(url, "Connection: close\r\n"),
        get(url, "Content-Length: 1\r\n"),
        get(url, "Transfer-Encoding: chunked\r\n"),
        get(url, "Expect: 100-continue\r\n"),
        get(url, "Upgrade: h2c\r\n"),
        get(url, "")[..40].to_owned(),
    ] {
        assert_eq!(poll_length(other.as_bytes(), "/base"), None, "{other}");
    }
}

/// Where the base looks like a part of a poll, too.
#[test]
fn a_long_poll_is_known_by_its_place_below_the_base() {
    let head = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    for base in ["", "/polls", "/notificationchannel/polls"] {
        let poll = head(&format!("{base}/1/notificationchannel/u/polls/s"));
        assert_eq!(poll_length(poll.as_bytes(), base), Some(poll.len()), "{base}");
        for rest in ["channels", "channels/polls", "channels/polls/channelLifetime", "polls"] {
            let other = head(&format!("{base}/1/notificationchannel/u/{rest}"));
            assert_eq!(poll_length(other.as_bytes(), base), None, "{base} {rest}");
        }
    }
}
