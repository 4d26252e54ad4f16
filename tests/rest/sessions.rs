//! `…/sessions` and `…/sessions/{sessionId}` (TS Chat 6.3 and 6.4).

use chatbridge::config::CreateAnswer;

use super::document::Format;
use super::ears::Way;
use super::peer::{Peer, read_until};
use super::world::{ALICE, BOB, CAROL, Pair, User, World, escaped};

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_correlator_invites_once() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let (one, two) =
        tokio::join!(open(&pair.alice, "Hello", "c1"), open(&pair.alice, "Hello", "c1"));
    let three = open(&pair.alice, "Hello", "c1").await;
    for seen in [&one, &two, &three] {
        assert_eq!(seen.shows(201).document().text("clientCorrelator"), "c1");
        assert_eq!((seen.header("location"), &seen.body), (one.header("location"), &one.body));
    }
    open(&pair.alice, "Bye", "c1").await.fails(409, "SVC0005", "c1");
    assert_eq!(pair.bob_hears.next().await.text("subject"), "Hello");
    let shown = pair.alice.get(one.header("location")).await.shows(200).document();
    assert_eq!(shown.text("clientCorrelator"), "c1");
    // The correlator is the user's own: Carol may have the same.
    let carol = world.user(CAROL, Format::Json);
    open(&carol, "Carol", "c1").await.shows(201);
    assert_eq!(pair.bob_hears.next().await.text("subject"), "Carol");
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_correlator_is_not_made_up() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Xml);
    let session = alice.invite(BOB, "Hello").await;
    let shown = alice.get(&session).await;
    assert_eq!(shown.document().find("clientCorrelator"), None, "{}", shown.body);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_field_is_named() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    for user in [&pair.alice, &world.user(ALICE, Format::Json)] {
        let cases = [
            ("tParticipantAddress", "tel:0123", 400, "SVC0002"),
            ("tParticipantAddress", "bob", 400, "SVC0002"),
            ("tParticipantAddress", "", 400, "SVC0002"),
            ("tParticipantAddress", "sip:b@x?Subject=y", 400, "SVC0002"),
            ("tParticipantAddress", "sip:a@b\r\nRoute: x", 400, "SVC0002"),
            ("tParticipantAddress", "http://example.com/", 400, "SVC0002"),
            ("tParticipantAddress", ALICE, 400, "SVC0002"),
            ("tParticipantName", "Bob\r\nRoute: x", 400, "SVC0002"),
            ("originatorName", "Alice\nX: y", 400, "SVC0002"),
            ("originatorName", "Alice\r", 400, "SVC0002"),
            ("originatorAddress", "tel:+1\r\nX: y", 400, "SVC0002"),
            ("subject", "Hello\r\nX: y", 400, "SVC0002"),
            ("subject", "Hello\u{202e}", 400, "SVC0002"),
            ("clientCorrelator", "c\nd", 400, "SVC0002"),
        ];
        for (part, value, status, id) in cases {
            let mut fields = vec![
                ("subject", "Hello"),
                ("originatorAddress", ALICE),
                ("originatorName", "Alice"),
                ("tParticipantAddress", BOB),
                ("tParticipantName", "Bob"),
                ("clientCorrelator", "c"),
            ];
            fields.iter_mut().find(|field| field.0 == part).unwrap().1 = value;
            let seen = user.post(&user.url("/sessions"), "chatSessionInformation", &fields).await;
            seen.fails(status, id, part);
        }
        for missing in ["subject", "originatorAddress", "tParticipantAddress"] {
            let mut fields = vec![
                ("subject", "Hello"),
                ("originatorAddress", ALICE),
                ("tParticipantAddress", BOB),
            ];
            fields.retain(|field| field.0 != missing);
            let seen = user.post(&user.url("/sessions"), "chatSessionInformation", &fields).await;
            seen.fails(400, "SVC0002", missing);
        }
        let fields =
            [("subject", "Hello"), ("originatorAddress", CAROL), ("tParticipantAddress", BOB)];
        let seen = user.post(&user.url("/sessions"), "chatSessionInformation", &fields).await;
        seen.fails(403, "POL0001", "originatorAddress");
    }
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_sees_a_session_and_the_unknown_look_the_same() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    let foreign = ends.alice.replace("550100", "550101");
    let unknown = pair.bob.url("/sessions/sess001");
    let odd = pair.bob.url("/sessions/%00%0d%0a");
    for url in [&foreign, &unknown, &odd] {
        let user = &pair.bob;
        user.get(url).await.fails(404, "SVC0004", "Request-URI");
        user.delete(url).await.fails(404, "SVC0004", "Request-URI");
        user.answer(url, "Connected").await.fails(404, "SVC0004", "Request-URI");
        user.say(url, "Hi", &[]).await.fails(404, "SVC0004", "Request-URI");
        let status = format!("{url}/messages/m/status");
        user.report(&status, "Delivered").await.fails(404, "SVC0004", "Request-URI");
    }
    pair.alice.get(&ends.alice).await.shows(200);
    pair.hear_nothing_else(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_one_in_every_spelling() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.invited("Hello").await;
    let path = ends.alice.strip_prefix(&pair.alice.url("")).unwrap();
    let double = escaped(&escaped(ALICE));
    let sip = escaped("sip:+19585550100@example.com;user=phone");
    for spelling in ["tel:+19585550100", "%2B19585550100", "+19585550100", &double, &sip] {
        let url = format!("{}/1/chat/{spelling}{path}", world.root);
        for url in [format!("{url}/"), url] {
            let shown = pair.alice.get(&url).await.shows(200).document();
            assert_eq!(shown.text("subject"), "Hello");
        }
    }
    // What is told is told in the spelling of the subscription.
    let other = world.user("sip:+19585550100@example.com;user=phone", Format::Json);
    let mut hears = other.listen(Way::Poll, "in SIP").await;
    pair.bob.answer(&ends.bob, "Connected").await.shows(200);
    let told = hears.event("Accepted").await;
    assert_eq!(told.link("ChatSessionInformation"), other.url(path));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_takes_nothing_more() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    let sent = pair.alice.say(&ends.alice, "last words", &["Displayed"]).await;
    let sent = sent.shows(201).header("location").to_owned();
    let told = pair.bob_hears.message("last words").await;
    pair.alice_hears.message("last words").await;
    let status = told.link("MessageDeliveryStatus").to_owned();
    pair.alice.delete(&ends.alice).await.shows(204);
    pair.alice_hears.event("SessionEnded").await;
    pair.bob_hears.event("SessionEnded").await;
    for (user, url) in [(&pair.alice, &ends.alice), (&pair.bob, &ends.bob)] {
        user.say(url, "too late", &[]).await.fails(409, "POL3001", "Ended");
        let composing = [("state", "active")];
        let at = format!("{url}/messages");
        user.post(&at, "isComposing", &composing).await.fails(409, "POL3001", "Ended");
        user.get(url).await.fails(404, "SVC0004", "Request-URI");
        user.delete(url).await.fails(404, "SVC0004", "Request-URI");
    }
    pair.bob.answer(&ends.bob, "Connected").await.fails(409, "POL3001", "Ended");
    pair.bob.answer(&ends.bob, "Disconnected").await.fails(409, "POL3001", "Ended");
    // But what was read late is told late: as a SIP MESSAGE, for the session is over.
    pair.bob.report(&status, "Displayed").await.shows(204);
    pair.alice_hears.status("Displayed", &sent).await;
    pair.connected("And the next call works").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_client_cannot_be_invited() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Json);
    let mut hears = alice.listen(Way::Poll, "Alice").await;
    let session = alice.invite(CAROL, "Are you there?").await;
    let declined = hears.event("Declined").await;
    assert_eq!(declined.link("ChatSessionInformation"), session);
    assert!(declined.text("eventDescription").starts_with("SIP 480 "), "{declined:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_begin_as_configured_and_a_create_may_answer_with_a_reference() {
    let world = World::with(|config| {
        config.rest.base_path = "/exampleAPI".to_owned();
        config.rest.answer = CreateAnswer::Reference;
    })
    .await;
    for format in [Format::Xml, Format::Json] {
        let (alice, bob) = (world.user(ALICE, format), world.user(BOB, format));
        let notify_url = [("callbackReference/notifyURL", "http://127.0.0.1:9/")];
        let at = bob.url("/subscriptions");
        let subscribed = bob.post(&at, "chatNotificationSubscription", &notify_url).await;
        let opened = open(&alice, "Hello", format.name()).await;
        for (seen, base) in [(&subscribed, &at), (&opened, &alice.url("/sessions"))] {
            let shown = seen.shows(201).document();
            assert_eq!((&*shown.name, shown.children.len()), ("resourceReference", 1));
            assert_eq!(shown.text("resourceURL"), seen.header("location"));
            assert!(seen.header("location").starts_with(&format!("{base}/")), "{seen:?}");
        }
        assert!(opened.header("location").contains("/exampleAPI/1/chat/"), "{opened:?}");
        alice.delete(opened.header("location")).await.shows(204);
        bob.delete(subscribed.header("location")).await.shows(204);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_sessions_than_there_is_room_for_are_sent_away() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| {
        peer.carry(config);
        config.session.max_sessions = 1;
    })
    .await;
    let alice = world.user(ALICE, Format::Json);
    let session = open(&alice, "one", "c1").await;
    let call = peer.request("INVITE").await;
    let seen = open(&alice, "two", "c2").await;
    seen.fails(503, "SVC2001", "");
    assert_ne!(seen.header("retry-after"), "");
    alice.get(session.shows(201).header("location")).await.shows(200);
    peer.answer(&call, "486 Busy Here", "").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_gone_with_the_first_delete_though_a_message_is_under_way() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| peer.carry(config)).await;
    let alice = world.user(ALICE, Format::Json);
    let session = alice.invite(BOB, "Hello").await;
    let call = peer.request("INVITE").await;
    let mut stream = peer.accept(&call).await;
    alice.say(&session, "unanswered", &[]).await.shows(201);
    read_until(&mut stream, "unanswered").await;
    alice.delete(&session).await.shows(204);
    alice.delete(&session).await.fails(404, "SVC0004", "Request-URI");
    alice.get(&session).await.fails(404, "SVC0004", "Request-URI");
    alice.say(&session, "too late", &[]).await.fails(409, "POL3001", "Ended");
    let (at, idle) = (format!("{session}/messages"), [("state", "idle")]);
    alice.post(&at, "isComposing", &idle).await.fails(409, "POL3001", "Ended");
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "200 OK", "").await;
    world.stop().await;
}

async fn open(user: &User, subject: &str, correlator: &str) -> super::world::Seen {
    let fields = [
        ("subject", subject),
        ("originatorAddress", &*user.address),
        ("tParticipantAddress", BOB),
        ("clientCorrelator", correlator),
    ];
    user.post(&user.url("/sessions"), "chatSessionInformation", &fields).await
}
