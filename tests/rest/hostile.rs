//! Hostile HTTP clients: `h02_…` is case H2. What is refused for what it says stands in `faults.rs`.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::document::Format;
use super::world::{ALICE, BOB, Pair, World, escaped, within};

#[tokio::test(flavor = "multi_thread")]
async fn h02_who_never_comes_to_the_point_is_cut_off() {
    let world = World::with(|config| config.rest.header_timeout = Duration::from_secs(1)).await;
    let silent = connect(&world).await;
    assert_eq!(all(silent, "silence").await, "", "who says nothing is told nothing");
    let mut slow = connect(&world).await;
    slow.write_all(b"GET / HTTP/1.1\r\nAccept: application/json\r\nHost:").await.unwrap();
    let answer = all(slow, "half a head").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("{\"requestError\":"), "{answer}");
    // The second head of a connection has to come as fast as the first one.
    let mut second = connect(&world).await;
    second.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET").await.unwrap();
    let answer = all(second, "half a second head").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("}HTTP/1.1 408 "), "{answer}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h02_idle_connections_hold_nobody_up_and_one_source_has_its_share() {
    const SHARE: usize = 200;
    let world = World::with(|config| config.limits.rest_per_source = SHARE).await;
    let (mut idle, mut refused) = (Vec::new(), 0);
    while refused < 50 {
        let mut stream = connect(&world).await;
        match try_to_ask(&mut stream, "/livez").await {
            Some(_) => idle.push(stream),
            None => refused += 1,
        }
        assert!(idle.len() <= SHARE, "one too many");
    }
    // The client that has read the description may hold a place or two.
    assert!(idle.len() + 5 >= SHARE, "{}", idle.len());
    for stream in &mut idle {
        ask(stream, "/readyz").await;
    }
    drop(idle);
    // That they are gone is seen when the server has seen it.
    within("a place", async {
        loop {
            let mut stream = connect(&world).await;
            let _reset = stream
                .write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .await;
            if all(stream, "a place").await.starts_with("HTTP/1.1 200 ") {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h02_who_hangs_up_half_is_let_go() {
    let world = World::start().await;
    for start in [
        "",
        "GET /livez HTTP/1.1\r\nHo",
        "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
    ] {
        let mut stream = connect(&world).await;
        stream.write_all(start.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = all(stream, start).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let mut stream = connect(&world).await;
    ask(&mut stream, "/livez").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h02_an_idle_connection_is_closed() {
    let world = World::with(|config| config.rest.idle_timeout = Duration::from_secs(1)).await;
    let mut stream = connect(&world).await;
    ask(&mut stream, "/livez").await;
    assert_eq!(all(stream, "the end of an idle connection").await, "");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h03_a_head_over_the_limits_is_told_so_as_a_document() {
    let world = World::start().await;
    let long = "x".repeat(10_000);
    let many = "X: y\r\n".repeat(70);
    let huge = format!("X: {}\r\n", "x".repeat(200_000));
    for (target, fields, status, part) in [
        (long.as_str(), "", 414, "Request-URI"),
        ("", &many, 431, "headers"),
        ("", &huge, 431, "headers"),
    ] {
        for (accept, wanted) in [("application/json", "{\"requestError\""), ("text/xml", "<?xml")] {
            let request = format!(
                "GET /{target} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\
                 X-Correlator: c\r\n{fields}\r\n"
            );
            let mut stream = connect(&world).await;
            let (mut reading, mut writing) = stream.split();
            // The server may have answered and gone before all was sent.
            let sent = async { drop(writing.write_all(request.as_bytes()).await) };
            let mut answer = Vec::new();
            let read = within("an answer", reading.read_to_end(&mut answer));
            let (_, _reset) = tokio::join!(sent, read);
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            let body = answer.split_once("\r\n\r\n").unwrap().1;
            // What comes behind the end of the room for heads is not heard.
            let is_whole = target.is_empty();
            assert!(!is_whole || body.starts_with(wanted), "{answer}");
            assert!(body.contains("SVC0002") && body.contains(part), "{answer}");
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h03_more_requests_than_there_is_room_for_are_sent_away() {
    let world = World::with(|config| config.limits.rest_in_flight = 1).await;
    let alice = world.user(ALICE, Format::Json);
    // One that never ends holds the only place.
    let mut slow = connect(&world).await;
    let head = format!(
        "POST /1/chat/{}/sessions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
         Content-Length: 100\r\n\r\n",
        escaped(ALICE)
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 12];
    within("that the body may come", slow.read_exact(&mut begun)).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100");
    let busy = within("no room", async {
        loop {
            let seen = alice.get(&alice.url("/subscriptions")).await;
            if seen.status == 503 {
                return seen;
            }
        }
    })
    .await;
    busy.fails(503, "SVC2001", "too many requests");
    assert_ne!(busy.header("retry-after"), "");
    alice.get(&format!("{}/livez", world.root)).await.shows(200);
    drop(slow);
    within("room again", async {
        while alice.get(&alice.url("/subscriptions")).await.status != 200 {}
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h03_a_user_has_so_many_sessions_and_no_more() {
    let world = World::with(|config| config.limits.sessions_per_user = 2).await;
    let alice = world.user(ALICE, Format::Json);
    let fields = [("subject", "x"), ("originatorAddress", ALICE), ("tParticipantAddress", BOB)];
    let _hears = world.user(BOB, Format::Json).listen(super::ears::Way::Poll, "Bob").await;
    for _ in 0..2 {
        alice.invite(BOB, "Hello").await;
    }
    let seen = alice.post(&alice.url("/sessions"), "chatSessionInformation", &fields).await;
    seen.fails(429, "POL3002", "sessions of the user");
    assert_ne!(seen.header("retry-after"), "");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h08_of_acts_that_race_exactly_one_wins() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    for _ in 0..5 {
        // Accepted twice, at once.
        let ends = pair.invited("Hello").await;
        let (one, two) = tokio::join!(
            pair.bob.answer(&ends.bob, "Connected"),
            pair.bob.answer(&ends.bob, "Connected")
        );
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{one:?} {two:?}");
        pair.alice_hears.event("Accepted").await;
        // Ended twice, at once; then it is gone, and nothing can be said in it.
        let (one, two) =
            tokio::join!(pair.alice.delete(&ends.alice), pair.alice.delete(&ends.alice));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 404], "{one:?} {two:?}");
        pair.alice.delete(&ends.alice).await.fails(404, "SVC0004", "");
        pair.alice.say(&ends.alice, "late", &[]).await.fails(409, "POL3001", "");
        pair.bob_hears.event("SessionEnded").await;
        pair.alice_hears.event("SessionEnded").await;

        // Cancelled, and then accepted.
        let ends = pair.invited("Hello").await;
        pair.alice.delete(&ends.alice).await.shows(204);
        pair.bob_hears.event("SessionCancelled").await;
        pair.bob.answer(&ends.bob, "Connected").await.fails(409, "POL3001", "");
        pair.alice_hears.event("SessionCancelled").await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h12_thought_up_names_leave_nothing_behind() {
    let world = World::with(|config| config.limits.rest_rate = 1_000_000).await;
    let mut stream = connect(&world).await;
    for number in 0..2000 {
        let request = format!(
            "GET /1/chat/tel%3A%2B{number}/sessions/{number} HTTP/1.1\r\nHost: h{number}\r\n\
             User-Agent: a{number}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = one(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
    assert_eq!(world.running().sessions(), 0);
    world.stop().await;
}

async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.running().rest()).await.unwrap()
}

/// Reads to the end; a reset is one.
async fn all(mut stream: TcpStream, what: &str) -> String {
    let mut answer = Vec::new();
    let _reset = within(what, stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

/// Asks for something on a connection that stays open.
async fn ask(stream: &mut TcpStream, path: &str) {
    let answer = try_to_ask(stream, path).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// Asks for something that may be refused by hanging up.
async fn try_to_ask(stream: &mut TcpStream, path: &str) -> Option<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    read_one(stream).await
}

/// Reads one answer.
async fn one(stream: &mut TcpStream) -> String {
    read_one(stream).await.expect("an answer")
}

/// Reads one answer, which says how long it is; none where the server hangs up.
async fn read_one(stream: &mut TcpStream) -> Option<String> {
    let mut answer = Vec::new();
    within("an answer", async {
        loop {
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if length.is_some_and(|length| length.parse() == Ok(body.len())) {
                    return Some(text.into_owned());
                }
            }
            if stream.read_buf(&mut answer).await.is_ok_and(|count| count > 0) {
                continue;
            }
            return None;
        }
    })
    .await
}
