//! `…/notificationchannel/{userId}/channels` and the URL that is polled.

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::document::{Format, Node, write};
use super::ears::{Way, open_channel, subscribe};
use super::world::{ALICE, BOB, LIMIT, Pair, World, within};

#[tokio::test(flavor = "multi_thread")]
async fn h11_the_newest_poll_is_served_and_the_older_released() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let url = pair.bob_hears.channel().to_owned();
    let older = tokio::spawn({
        let (bob, url) = (pair.bob.clone(), url.clone());
        async move { bob.get(&url).await }
    });
    // Whichever of the two comes later releases the other; the invitation is told once.
    let newer = tokio::spawn({
        let (bob, url) = (pair.bob.clone(), url.clone());
        async move { bob.send(bob.request(Method::POST, &url)).await }
    });
    let (mut older, mut newer) = (older, newer);
    let (released, kept) = within("one is released", async {
        tokio::select! {
            seen = &mut older => (seen.unwrap(), newer),
            seen = &mut newer => (seen.unwrap(), older),
        }
    })
    .await;
    assert_eq!(released.shows(200).body, "{\"notificationList\":null}");
    let session = pair.alice.invite(BOB, "Hello").await;
    let told = kept.await.unwrap().shows(200).document();
    assert_eq!(told.children.len(), 1, "{told:?}");
    assert_eq!(told.text("sessionInvitationNotification/subject"), "Hello");
    pair.alice.delete(&session).await.shows(204);
    pair.bob_hears.event("SessionCancelled").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h11_what_a_client_has_lost_comes_again_with_the_same_id() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let channel = pair.bob_hears.channel().to_owned();
    // A client that hangs up while it waits takes nothing with it.
    let (authority, path) = local(&channel);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    let poll = async || {
        let mut stream = TcpStream::connect(authority).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    // Of two polls the later one releases the other: the one without an answer is held.
    let (one, other) = (poll().await, poll().await);
    let held = within("an answer", async {
        tokio::select! {
            _ = one.readable() => other,
            _ = other.readable() => one,
        }
    });
    drop(held.await);
    pair.alice.invite(BOB, "one").await;
    let first = pair.bob_hears.next().await;
    assert_eq!(first.text("subject"), "one");
    pair.alice.invite(BOB, "two").await;
    let second = pair.bob_hears.next().await;
    assert_ne!(first.text("id"), second.text("id"));
    // A response that was written but never read is asked for again.
    let again = pair.bob.get(&format!("{channel}?since={}", first.text("id"))).await;
    let list = again.shows(200).document();
    assert_eq!(list.children, [second]);
    assert_eq!(again.header("cache-control"), "no-store");
    world.stop().await;
}

/// Behind so much, nobody would see a client hang up: its poll waits no longer.
#[tokio::test(flavor = "multi_thread")]
async fn h11_who_says_much_behind_a_poll_is_told_that_there_is_nothing() {
    const MORE: usize = 300;
    let world = World::with(|config| config.notify.poll = LIMIT * 2).await;
    let mut pair = Pair::polling(&world).await;
    let (authority, path) = local(pair.bob_hears.channel());
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    let mut stream = TcpStream::connect(authority).await.unwrap();
    let all = get(path) + &get("/livez").repeat(MORE);
    stream.write_all(all.as_bytes()).await.unwrap();
    let told = answer(&mut stream).await;
    assert!(told.starts_with("HTTP/1.1 200 ") && told.contains("notificationList"), "{told}");
    for _ in 0..MORE {
        assert!(answer(&mut stream).await.contains("\"status\""));
    }
    drop(stream);
    pair.alice.invite(BOB, "one").await;
    assert_eq!(pair.bob_hears.next().await.text("subject"), "one");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h11_who_hangs_up_half_is_told_what_is_there() {
    let world = World::start().await;
    let pair = Pair::polling(&world).await;
    let (authority, path) = local(pair.bob_hears.channel());
    let ask = async |path: &str| {
        let mut stream = TcpStream::connect(authority).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut told = String::new();
        within("an answer", stream.read_to_string(&mut told)).await.unwrap();
        told
    };
    let unknown = ask(&format!("{path}x")).await;
    assert!(unknown.starts_with("HTTP/1.1 404 "), "{unknown}");
    pair.alice.invite(BOB, "one").await;
    // Nobody waits with it until the invitation has arrived.
    let mut told = String::new();
    while told.is_empty() {
        told = ask(path).await;
    }
    assert!(told.starts_with("HTTP/1.1 200 ") && told.contains("one"), "{told}");
    world.stop().await;
}

/// Polls are served before the HTTP library has the connection: nobody may see that.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_polls_and_asks_for_other_things_as_it_likes() {
    let world = World::start().await;
    let bob = world.user(BOB, Format::Json);
    let opened = open_channel(&bob).await;
    subscribe(&bob, &opened.callback, "bob", "").await;
    let alice = world.user(ALICE, Format::Json);
    let (authority, channel) = local(&opened.poll);
    let get_as = |accept: &str, url: &str| {
        format!(
            "GET {url} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: test\r\nAccept: {accept}\r\n\
             X-Correlator: c\r\n\r\n"
        )
    };
    let get = |url: &str| get_as("*/*", url);
    let mut stream = TcpStream::connect(authority).await.unwrap();
    for (round, accept, subject) in
        [("one", "*/*", "<subject>"), ("two", "application/json", "\"subject\":")]
    {
        // The poll comes in pieces, and waits.
        let request = get_as(accept, channel);
        let (front, back) = request.split_at(20);
        stream.write_all(front.as_bytes()).await.unwrap();
        stream.write_all(back.as_bytes()).await.unwrap();
        alice.invite(BOB, round).await;
        let told = answer(&mut stream).await;
        assert!(told.contains(subject) && told.contains(round), "{told}");
        let head = told.to_ascii_lowercase();
        for field in ["http/1.1 200 ok", "date: ", "x-correlator: c", "cache-control: no-store"] {
            assert!(head.contains(field), "no {field} in {told}");
        }
    }
    // Two at once: the second is no poll, and comes out of the same bytes.
    alice.invite(BOB, "three").await;
    let both = get(channel) + &get(&bob.channels());
    stream.write_all(both.as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.contains("three"));
    assert!(answer(&mut stream).await.contains("notificationChannelList"));
    // And a poll again, which the library now serves.
    alice.invite(BOB, "four").await;
    stream.write_all(get(channel).as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.contains("four"));
    world.stop().await;
}

/// Cuts a URL into its authority and its path.
fn local(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap();
    rest.split_at(rest.find('/').unwrap())
}

/// Reads one answer with its body.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    within("an answer", async {
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let lower = head.to_ascii_lowercase();
                let length = lower.split("content-length: ").nth(1).unwrap().lines().next();
                if body.len() >= length.unwrap().parse::<usize>().unwrap() {
                    return text;
                }
            }
            // Byte by byte, so that nothing of the next answer is taken.
            bytes.push(stream.read_u8().await.unwrap());
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_no_larger_than_was_wished() {
    let world = World::start().await;
    let (alice, bob) = (world.user(ALICE, Format::Json), world.user(BOB, Format::Xml));
    let fields = [("channelType", "longpolling"), ("channelData/maxNotifications", "2")];
    let seen = bob.post(&bob.channels(), "notificationChannel", &fields).await;
    let channel = seen.shows(201).document();
    assert_eq!(channel.text("channelType"), "longpolling");
    assert_eq!(channel.text("channelData/maxNotifications"), "2");
    assert_eq!(channel.text("channelData/type"), "nc:LongPollingData");
    // The second subscription is told last: then all waits in the channel.
    subscribe(&bob, channel.text("callbackURL"), "one", "").await;
    let mut last = bob.listen(Way::Callback, "last").await;
    for subject in ["a", "b", "c"] {
        alice.invite(BOB, subject).await;
        last.next().await;
    }
    let mut subjects = Vec::new();
    for wanted in [2, 1] {
        let list = bob.get(channel.text("channelData/channelURL")).await.shows(200).document();
        assert_eq!(list.children.len(), wanted);
        subjects.extend(list.children.iter().map(|told| told.text("subject").to_owned()));
    }
    assert_eq!(subjects, ["a", "b", "c"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_channel_ends_its_poll_and_its_subscriptions() {
    let world = World::start().await;
    for format in [Format::Xml, Format::Json] {
        let (alice, bob) = (world.user(ALICE, format), world.user(BOB, format));
        let channel = open_channel(&alice).await;
        let subscription = subscribe(&alice, &channel.callback, "x", "").await;
        let list = alice.get(&alice.channels()).await.shows(200).document();
        assert_eq!(list.name, "notificationChannelList");
        assert_eq!(list.all("notificationChannel").len(), 1);
        bob.get(&channel.url.replace("550100", "550101")).await.fails(404, "SVC0004", "Request");

        let lifetime = format!("{}/channelLifetime", channel.url);
        let body = write(format, "notificationChannelLifetime", &[("channelLifetime", "600")]);
        let request = alice.request(Method::PUT, &lifetime).body(body);
        let request = request.header("content-type", format.media_type());
        let renewed = alice.send(request).await.shows(200).document();
        assert_eq!(renewed.text("channelLifetime"), "600");
        assert_eq!(renewed.text("resourceURL"), lifetime);

        let poll = tokio::spawn({
            let (alice, url) = (alice.clone(), channel.poll.clone());
            async move { alice.get(&url).await }
        });
        alice.delete(&channel.url).await.shows(204);
        let seen = poll.await.unwrap();
        // The poll was released, or came when the channel was gone.
        match seen.status {
            200 => assert_eq!(seen.document().children, [] as [Node; 0]),
            _ => drop(seen.fails(404, "SVC0004", "Request-URI")),
        }
        for url in [&channel.url, &channel.poll, &subscription, &lifetime] {
            alice.get(url).await.fails(404, "SVC0004", "Request-URI");
        }
        alice.delete(&channel.url).await.fails(404, "SVC0004", "Request-URI");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_field_is_named() {
    let world = World::start().await;
    for format in [Format::Xml, Format::Json] {
        let alice = world.user(ALICE, format);
        let at = alice.channels();
        let post = |fields: Vec<(&'static str, &'static str)>| {
            let (alice, at) = (alice.clone(), at.clone());
            async move { alice.post(&at, "notificationChannel", &fields).await }
        };
        post(vec![("channelType", "SMS")]).await.fails(400, "SVC0003", "channelType");
        post(vec![]).await.fails(400, "SVC0002", "channelType");
        post(vec![("channelType", "LongPolling"), ("channelLifetime", "-1")]).await.fails(
            400,
            "SVC0002",
            "channelLifetime",
        );
        let one = post(vec![("channelType", "LongPolling"), ("clientCorrelator", "c")]).await;
        let two = post(vec![("channelType", "LongPolling"), ("clientCorrelator", "c")]).await;
        assert_eq!(one.shows(201).header("location"), two.shows(201).header("location"));
        alice.delete(one.header("location")).await.shows(204);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_shows_itself_in_either_format() {
    let world = World::with(|config| config.notify.poll = std::time::Duration::from_secs(1)).await;
    let alice = world.user(ALICE, Format::Xml);
    let url = open_channel(&alice).await.poll;
    let json = alice.get(&format!("{url}?resFormat=JSON")).await;
    assert_eq!(json.shows(200).body, "{\"notificationList\":null}");
    let xml = alice.get(&url).await.shows(200).document();
    assert_eq!((&*xml.name, xml.children.len()), ("notificationList", 0));
    let mut stream = TcpStream::connect(world.running().rest()).await.unwrap();
    let path = url.strip_prefix(&world.root).unwrap();
    let head = format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("HEAD", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    world.stop().await;
}
