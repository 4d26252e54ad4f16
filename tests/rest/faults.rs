//! Bad requests: each is answered in its own way, nothing breaks, and the next one works.

use std::time::Duration;

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::document::{Format, Node};
use super::ears::open_channel;
use super::world::{ALICE, BOB, Ends, Pair, User, World, within};

#[tokio::test(flavor = "multi_thread")]
async fn h03_what_is_no_document_is_refused_everywhere() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.invited("Hello").await;
    let deep_json = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_xml = format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000));
    let entity = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>";
    let laughs = "<!DOCTYPE a [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]><a>&b;</a>";
    let many_keys = "a=b&".repeat(50_000);
    let cases = [
        ("application/json", "{"),
        ("application/json", "{\"a\":1,}"),
        ("application/json", "[1]"),
        ("application/json", "\"text\""),
        ("application/json", "{\"a\":\"\u{1}\"}"),
        ("application/json", "{\"status\":\"x\",\"status\":\"y\"}"),
        ("application/json", &deep_json),
        ("application/json", ""),
        ("application/xml", "<a"),
        ("application/xml", "<a></b>"),
        ("application/xml", "<a/><b/>"),
        ("application/xml", "<a>&unknown;</a>"),
        ("application/xml", "<a>&#0;</a>"),
        ("application/xml", "<x:a xmlns:x=\"urn:other\"/>"),
        ("application/xml", entity),
        ("application/xml", laughs),
        ("application/xml", &deep_xml),
        ("application/xml", ""),
        ("application/x-www-form-urlencoded", "%zz=%ff"),
        ("application/x-www-form-urlencoded", &many_keys),
    ];
    for (user, url) in posts(&pair, &ends) {
        for (media_type, body) in &cases {
            let seen = user.post_raw(&url, media_type, body).await;
            let start: String = body.chars().take(60).collect();
            assert_eq!(seen.status, 400, "{url} {media_type} {start}: {}", seen.body);
            seen.fails(400, "SVC0002", "");
        }
    }
    pair.bob.answer(&ends.bob, "Connected").await.shows(200);
    pair.alice_hears.event("Accepted").await;
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h03_what_is_in_no_format_of_ours_or_too_large_is_refused_everywhere() {
    let world = World::with(|config| config.rest.max_body = 1024).await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.invited("Hello").await;
    for (user, url) in posts(&pair, &ends) {
        for (media_type, encoding) in [
            ("image/png", "identity"),
            ("text/html", "identity"),
            ("application/json", "gzip"),
            ("application/json;charset=utf-16", "identity"),
        ] {
            let request = user.request(Method::POST, &url).header("content-type", media_type);
            let seen = user.send(request.header("content-encoding", encoding).body("{}")).await;
            seen.fails(415, "SVC0002", "Content-Type");
            assert!(seen.header("accept").contains("application/json"), "{seen:?}");
        }
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(2000));
        user.post_raw(&url, "application/json", &large).await.fails(413, "SVC0002", "body");
    }
    pair.alice.delete(&ends.alice).await.shows(204);
    pair.bob_hears.event("SessionCancelled").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_resource_tells_its_methods() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.invited("Hello").await;
    let channel = open_channel(&pair.alice).await;
    let (alice, subscription) = (&pair.alice, &pair.alice_hears.subscription);
    for (url, allow) in [
        (alice.url("/subscriptions"), "GET, POST"),
        (subscription.clone(), "GET, DELETE"),
        (alice.url("/sessions"), "POST"),
        (ends.alice.clone(), "GET, DELETE"),
        (format!("{}/status", ends.alice), "POST"),
        (format!("{}/messages", ends.alice), "POST"),
        (format!("{}/messages/m/status", ends.alice), "POST"),
        (alice.channels(), "GET, POST"),
        (channel.url.clone(), "GET, DELETE"),
        (format!("{}/channelLifetime", channel.url), "GET, PUT"),
        (channel.poll.clone(), "GET, POST"),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "FROBNICATE"] {
            let put_for_post = method == "PUT" && url.ends_with("/status");
            if allow.contains(method) || put_for_post {
                continue;
            }
            for slash in ["", "/"] {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let seen = alice.send(alice.request(method, &format!("{url}{slash}"))).await;
                seen.fails(405, "SVC0002", "Request-Method");
                assert_eq!(seen.header("allow"), allow, "{url}");
            }
        }
    }
    alice.get(subscription).await.shows(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h09_what_is_not_there_or_is_nobodys_is_refused() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Json);
    for path in ["/", "/1", "/2/chat/x/sessions", "/1/chat/x/rooms", "/1/chat//sessions", "/%00"] {
        alice.get(&format!("{}{path}", world.root)).await.fails(404, "SVC0004", "Request-URI");
    }
    for user in
        ["alice", "tel:0123", "tel:%00", "%0d%0aX:%20y", "..%2f..%2f", "%ff", "sip:a@b%3Fx=y"]
    {
        let url = format!("{}/1/chat/{user}/subscriptions", world.root);
        alice.get(&url).await.fails(400, "SVC0002", "userId");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_told_in_the_format_that_is_asked_for() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Xml);
    let url = alice.url("/sessions/sess001");
    let xml = alice.get(&url).await;
    assert_eq!(xml.fails(404, "SVC0004", "Request-URI").format(), Format::Xml);
    assert!(xml.body.contains("urn:oma:xml:rest:netapi:common:1"), "{}", xml.body);
    let json = alice.get(&format!("{url}?resFormat=JSON")).await;
    assert_eq!(json.fails(404, "SVC0004", "Request-URI").format(), Format::Json);
    alice.get(&format!("{url}?resFormat=YAML")).await.fails(400, "SVC0003", "resFormat");

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |accept: &'static str| {
        let request = client.get(&url).header("accept", accept).header("x-correlator", "abc/1");
        async { within("an answer", request.send()).await.unwrap() }
    };
    let problem = ask("application/problem+json").await;
    assert_eq!(problem.status().as_u16(), 404);
    assert_eq!(problem.headers()["content-type"], "application/problem+json");
    assert_eq!(problem.headers()["x-correlator"], "abc/1");
    let body = Node::read(Format::Json, &format!("{{\"p\":{}}}", problem.text().await.unwrap()));
    assert_eq!((body.text("code"), body.text("status")), ("SVC0004", "404"));
    assert!(body.text("detail").contains("Request-URI"), "{body:?}");
    let refused = ask("image/png").await;
    assert_eq!(refused.status().as_u16(), 406);
    for (accept, wanted) in [
        ("application/json;q=0.1, application/xml;q=0.9", "application/xml"),
        ("application/json, application/xml;q=0.9", "application/json"),
        ("text/xml", "application/xml"),
        ("*/*", "application/xml"),
    ] {
        let answer = ask(accept).await;
        assert_eq!(answer.headers()["content-type"], wanted, "{accept}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correlator_is_echoed_on_good_answers_too() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Json);
    for (method, path) in
        [(Method::GET, "/subscriptions"), (Method::POST, "/sessions"), (Method::PUT, "/sessions")]
    {
        let request = alice.request(method, &alice.url(path)).header("x-correlator", "a-1");
        assert_eq!(alice.send(request).await.header("x-correlator"), "a-1");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h01_what_is_not_clearly_one_request_is_refused_and_nothing_behind_it_is_served() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Json);
    let mut bob_hears = world.user(BOB, Format::Json).listen(super::ears::Way::Poll, "Bob").await;
    let path = alice.url("/sessions").strip_prefix(&world.root).unwrap().to_owned();
    let invitation = format!(
        "{{\"chatSessionInformation\":{{\"subject\":\"smuggled\",\"originatorAddress\":\"{ALICE}\",\
         \"tParticipantAddress\":\"{BOB}\"}}}}"
    );
    let hidden = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{invitation}",
        invitation.len()
    );
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: -1",
        "Content-Length: 99999999999999999999999",
        "Transfer-Encoding: chunked, identity",
        "Content-Length : 5",
        "X: y\n",
        "X: y\r\n Content-Length: 5",
        "Host: y",
        "Upgrade: websocket",
    ] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             X-Correlator: c-1\r\n{fields}\r\n\r\n0\r\n\r\n{hidden}"
        );
        let mut stream = TcpStream::connect(world.running().rest()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // The server may reset the connection over what it does not read.
        let _reset = within(fields, stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{fields}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{fields}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("connection: close"), "{fields}: {head}");
        assert!(head.contains("x-correlator: c-1"), "{fields}: {head}");
        assert!(head.contains("content-type: application/json"), "{fields}: {head}");
        assert!(body.contains("\"messageId\":\"SVC0002\""), "{fields}: {body}");
    }
    alice.invite(BOB, "after all that").await;
    assert_eq!(bob_hears.next().await.text("subject"), "after all that");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h03_a_body_without_end_is_cut_off() {
    let world = World::with(|config| {
        config.rest.max_body = 1024;
        config.rest.body_timeout = Duration::from_secs(1);
    })
    .await;
    let alice = world.user(ALICE, Format::Json);
    let path = alice.url("/sessions").strip_prefix(&world.root).unwrap().to_owned();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n");
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    for (body, status) in [
        (format!("Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}"), "413 "),
        ("Content-Length: 5000\r\n\r\n".to_owned(), "413 "),
        ("Content-Length: 100\r\n\r\n{".to_owned(), "400 "),
    ] {
        let mut stream = TcpStream::connect(world.running().rest()).await.unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        within("an answer", async {
            while !answer.ends_with(b"}}") {
                if stream.read_buf(&mut answer).await.unwrap() == 0 {
                    break;
                }
            }
        })
        .await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains("SVC0002"), "{answer}");
    }
    alice.invite(BOB, "Hello").await;
    world.stop().await;
}

/// Everything that takes a POST with a document, with the user whose it is.
fn posts<'a>(pair: &'a Pair, ends: &Ends) -> Vec<(&'a User, String)> {
    let (alice, bob) = (&pair.alice, &pair.bob);
    vec![
        (alice, alice.url("/subscriptions")),
        (alice, alice.url("/sessions")),
        (bob, format!("{}/status", ends.bob)),
        (alice, format!("{}/messages", ends.alice)),
        (bob, format!("{}/messages/m/status", ends.bob)),
        (alice, alice.channels()),
    ]
}
