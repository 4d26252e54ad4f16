//! What reaches the wire, seen by a SIP peer.

use super::document::{Format, Node, write};
use super::ears::Way;
use super::peer::{Peer, read_until};
use super::world::{ALICE, BOB, User, World};

#[tokio::test(flavor = "multi_thread")]
async fn h04_line_breaks_reach_no_header() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| peer.carry(config)).await;
    let alice = world.user(ALICE, Format::Json);
    let breaks =
        ["\r\n", "\n", "\r", "\u{0}", "\u{b}", "\u{85}", "\u{2028}", "\u{2029}", "\u{202e}"];
    for part in ["subject", "originatorName", "tParticipantName", "tParticipantAddress"] {
        for line_break in breaks {
            let evil = match part {
                "tParticipantAddress" => format!("{BOB}{line_break}Evil: x"),
                _ => format!("a{line_break}Evil: x"),
            };
            for format in [Format::Json, Format::Xml] {
                if format == Format::Xml && line_break == "\u{0}" {
                    continue;
                }
                let user = world.user(ALICE, format);
                let seen = invite(&user, part, &evil).await;
                assert_eq!(seen.status, 400, "{part} {line_break:?} {format:?}: {}", seen.body);
                seen.fails(400, "SVC0002", "");
            }
        }
    }
    for evil in [
        "sip:b@h?Route=x",
        "sip:b@h;method=BYE\r\n",
        "sip:b@h>\r\nEvil: x",
        "<sip:b@h>",
        "sip:b@h, sip:c@h",
    ] {
        invite(&alice, "tParticipantAddress", evil).await.fails(
            400,
            "SVC0002",
            "tParticipantAddress",
        );
    }
    // The first that the peer gets is what came after all of them.
    let name = "A \"quoted\" <name>; tag=x, \\ and %0d%0a \u{e9}\u{1f600}";
    invite(&alice, "originatorName", name).await.shows(201);
    let first = peer.request("INVITE").await;
    assert!(!first.text.contains("Evil"), "{}", first.text);
    for line in ["From", "To", "Subject", "Contact", "Call-ID", "CSeq"] {
        assert!(first.lines(line).len() <= 1, "{}", first.text);
    }
    let from = first.lines("From")[0];
    assert_eq!(from.matches(";tag=").count(), 1, "{from}");
    assert!(from.contains("\\\"quoted\\\" <name>; tag=x, \\\\ and %0d%0a"), "{from}");
    peer.answer(&first, "480 Temporarily Unavailable", "").await;
    world.stop().await;
}

/// Puts together what comes in two chunks, because it has what looks like an end-line: takes out what
/// stands between their bodies.
fn join_chunks(wire: &str) -> String {
    let (first, rest) = wire.split_once("+\r\n").expect("the end of a first chunk");
    let (body, _end_line) = first.rsplit_once("\r\n-------").expect("an end-line");
    let (_head, last) = rest.split_once("\r\n\r\n").expect("the head of another chunk");
    [body, last].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn h04_a_text_stays_within_its_message() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| peer.carry(config)).await;
    let alice = world.user(ALICE, Format::Json);
    let mut hears = alice.listen(Way::Poll, "Alice").await;
    let name = "A \"quoted\" <sip:evil@h> name";
    let seen = invite(&alice, "originatorName", name).await;
    let session = seen.shows(201).header("location").to_owned();
    let call = peer.request("INVITE").await;
    let mut stream = peer.accept(&call).await;
    hears.event("Accepted").await;
    let text = "first\r\n\r\n-------fake$\r\nMSRP fake SEND\r\nTo-Path: msrp://evil\r\n\r\nthe end";
    alice.say(&session, text, &["Delivered"]).await.shows(201);
    let wire = join_chunks(&read_until(&mut stream, "the end").await);
    let start = wire.find("Content-Type: message/cpim").expect("a CPIM message");
    let mut blocks = wire[start..].splitn(4, "\r\n\r\n");
    let (_, cpim, mime) = (blocks.next(), blocks.next().unwrap(), blocks.next().unwrap());
    let body = blocks.next().unwrap();
    for header in ["From: ", "To: ", "DateTime: "] {
        let lines = cpim.split("\r\n").filter(|line| line.starts_with(header));
        assert_eq!(lines.count(), 1, "{cpim}");
    }
    let from = cpim.split("\r\n").find(|line| line.starts_with("From: ")).unwrap();
    assert_eq!((from.matches('<').count(), from.matches("19585550100").count()), (1, 1), "{from}");
    assert!(mime.contains("text/plain"), "{mime}");
    // The end-line of the frame is the one that its first line announced.
    let (said, end_line) = body.rsplit_once("\r\n-------").unwrap();
    let transaction = end_line.strip_suffix("$\r\n").unwrap();
    assert!(!text.contains(transaction));
    assert_eq!(said, text);
    // The peer is gone: the session ends, and its user is told.
    hears.message(text).await;
    drop(stream);
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "200 OK", "").await;
    loop {
        let told: Node = hears.next().await;
        if told.name == "chatEventNotification" && told.text("eventType") == "SessionEnded" {
            break;
        }
    }
    world.stop().await;
}

/// Signalling 1.4, item 9: the other side has lost its bearer, and calls again on another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_where_its_other_side_calls_again() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| {
        peer.carry(config);
        config.core.trusted = true;
        config.sip.profile = chatbridge::config::Profile::RcsE;
    })
    .await;
    let alice = world.user(ALICE, Format::Json);
    let mut hears = alice.listen(Way::Poll, "Alice").await;
    let session = alice.invite(BOB, "Hello").await;
    let call = peer.request("INVITE").await;
    let mut lost = peer.accept(&call).await;
    answer_send(&mut lost).await;
    hears.event("Accepted").await;
    alice.say(&session, "are you there?", &[]).await.shows(201);
    let unanswered = read_until(&mut lost, "are you there?").await;

    peer.call_back(&call).await;
    let accepted = peer.response("INVITE").await;
    assert!(accepted.starts_with("SIP/2.0 200"), "{accepted}");
    let mut stream = peer.acknowledge(&accepted, &call).await;
    let bye = peer.request("BYE").await;
    assert_eq!(bye.lines("Call-ID"), call.lines("Call-ID"), "the old dialog");
    peer.answer(&bye, "200 OK", "").await;
    answer_send(&mut stream).await;
    let again = read_until(&mut stream, "are you there?").await;
    let id = |text: &str| {
        let of = |line: &&str| line.starts_with("Message-ID:");
        text.split("\r\n").filter(of).last().map(str::to_owned)
    };
    assert_eq!(id(&again), id(&unanswered));
    alice.get(&session).await.shows(200);
    // Nothing was told of it: the next thing is what is said next.
    alice.say(&session, "good", &[]).await.shows(201);
    hears.message("are you there?").await;
    hears.message("good").await;
    world.stop().await;
}

/// Answers the SEND that shows that the bridge is there.
async fn answer_send(stream: &mut tokio::net::TcpStream) {
    use tokio::io::AsyncWriteExt;
    let send = read_until(stream, "SEND").await;
    let line = |name: &str| {
        let named = send.split("\r\n").find(|it| it.starts_with(&format!("{name}: ")));
        named.unwrap().split_once(": ").unwrap().1.to_owned()
    };
    let transaction = send.split(' ').nth(1).unwrap();
    let (to, from) = (line("From-Path"), line("To-Path"));
    let answer = format!(
        "MSRP {transaction} 200 OK\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n\
         -------{transaction}$\r\n"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn h07_a_repeated_request_makes_one_invite() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| peer.carry(config)).await;
    let alice = world.user(ALICE, Format::Xml);
    let (one, two) = tokio::join!(
        invite(&alice, "clientCorrelator", "c1"),
        invite(&alice, "clientCorrelator", "c1")
    );
    assert_eq!(one.shows(201).header("location"), two.shows(201).header("location"));
    invite(&alice, "clientCorrelator", "c1").await.shows(201);
    invite(&alice, "clientCorrelator", "c2").await.shows(201);
    let (first, second) = (peer.request("INVITE").await, peer.request("INVITE").await);
    assert_ne!(first.lines("Call-ID"), second.lines("Call-ID"));
    for call in [first, second] {
        peer.answer(&call, "486 Busy Here", "").await;
    }
    invite(&alice, "clientCorrelator", "c3").await.shows(201);
    // A third call would be the first one of all again, were c1 invited twice.
    let third = peer.request("INVITE").await;
    peer.answer(&third, "480 Temporarily Unavailable", "").await;
    assert_eq!(world.running().sessions(), 3);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_core_answers_is_told_once() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| peer.carry(config)).await;
    let alice = world.user(ALICE, Format::Json);
    let mut hears = alice.listen(Way::Callback, "Alice").await;
    for (status, event) in [
        ("480 Temporarily Unavailable", "Declined"),
        ("486 Busy Here", "Declined"),
        ("603 Decline", "Declined"),
        ("404 Not Found", "SessionEnded"),
        ("503 Service Unavailable", "SessionEnded"),
    ] {
        let session = alice.invite(BOB, "Hello").await;
        let call = peer.request("INVITE").await;
        peer.answer(&call, "180 Ringing", "").await;
        peer.answer(&call, status, "").await;
        peer.answer(&call, status, "").await;
        let told = hears.event(event).await;
        assert_eq!(told.link("ChatSessionInformation"), session);
        assert!(told.text("eventDescription").starts_with(&format!("SIP {status}")), "{told:?}");
    }
    world.stop().await;
}

/// Opens a session in which one part has another value.
async fn invite(user: &User, part: &str, value: &str) -> super::world::Seen {
    let mut fields = vec![
        ("subject", "Hello"),
        ("originatorAddress", ALICE),
        ("tParticipantAddress", BOB),
        (part, value),
    ];
    let at = fields.iter().position(|field| field.0 == part).unwrap();
    if at < 3 {
        fields.swap_remove(at);
    }
    let body = write(user.format, "chatSessionInformation", &fields);
    user.post_raw(&user.url("/sessions"), user.format.media_type(), &body).await
}
