//! The flows of TS Chat 5.3 for 1-1 chats, through channels and through callbacks, with XML on one
//! side and JSON on the other.

use super::document::{Format, Node};
use super::ears::Way;
use super::world::{ALICE, BOB, Pair, World};

/// How Alice and Bob speak, and how they are told.
const STAGES: [((Format, Format), Way); 2] =
    [((Format::Xml, Format::Json), Way::Poll), ((Format::Json, Format::Xml), Way::Callback)];

#[tokio::test(flavor = "multi_thread")]
async fn f5_3_1_subscribing_and_unsubscribing() {
    let world = World::start().await;
    for ((format, other), way) in STAGES {
        let (alice, bob) = (world.user(ALICE, format), world.user(BOB, other));
        let mut ended = alice.listen(way, "ended").await;
        let mut kept = alice.listen(way, "kept").await;
        let shown = alice.get(&ended.subscription).await.shows(200).document();
        assert_eq!(shown.name, "chatNotificationSubscription");
        assert_eq!(shown.text("callbackReference/callbackData"), "ended");
        assert_eq!(shown.text("callbackReference/notificationFormat"), format.name());
        assert_eq!(shown.text("resourceURL"), ended.subscription);

        let session = bob.invite(ALICE, "one").await;
        for ears in [&mut ended, &mut kept] {
            assert_eq!(ears.next().await.text("subject"), "one");
        }
        assert_eq!(alice.delete(&ended.subscription).await.shows(204).body, "");
        alice.get(&ended.subscription).await.fails(404, "SVC0004", "Request-URI");
        bob.delete(&session).await.shows(204);
        kept.event("SessionCancelled").await;

        // Of what came to the one that stayed, nothing came to the one that has ended: the next
        // that its target gets is for a new subscription.
        ended.subscribe_again("new").await;
        bob.invite(ALICE, "two").await;
        for ears in [&mut ended, &mut kept] {
            assert_eq!(ears.next().await.text("subject"), "two");
            alice.delete(&ears.subscription).await.shows(204);
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_3_2_starting_a_chat_that_is_accepted() {
    let world = World::start().await;
    for (formats, way) in STAGES {
        let mut pair = Pair::open(&world, formats, way).await;
        let ends = pair.invited("Hello <friends> & \"you\"").await;
        let shown = pair.alice.get(&ends.alice).await.shows(200).document();
        assert_eq!(shown.name, "chatSessionInformation");
        assert_eq!((shown.text("status"), shown.text("resourceURL")), ("Invited", &*ends.alice));
        pair.bob.answer(&ends.bob, "Connected").await.shows(200);
        let accepted = pair.alice_hears.event("Accepted").await;
        assert_eq!(accepted.link("ChatSessionInformation"), ends.alice);
        assert_eq!(accepted.text("eventDescription"), "SIP 200 OK");
        for (user, url) in [(&pair.alice, &ends.alice), (&pair.bob, &ends.bob)] {
            let shown = user.get(url).await.shows(200).document();
            assert_eq!(shown.text("subject"), "Hello <friends> & \"you\"");
            assert_eq!(shown.text("originatorAddress"), ALICE);
            assert_eq!(shown.text("tParticipantAddress"), BOB);
            assert_eq!((shown.text("status"), shown.text("resourceURL")), ("Connected", &**url));
        }
        pair.hear_nothing_else(&world).await;
        forget(&pair).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_3_2_starting_a_chat_that_is_declined_gives_one_declined() {
    let world = World::start().await;
    for (formats, way) in STAGES {
        let mut pair = Pair::open(&world, formats, way).await;
        let ends = pair.invited("Hello").await;
        let answer = pair.bob.answer(&ends.bob, "Disconnected").await;
        assert_eq!(answer.shows(200).document().text("status"), "Disconnected");
        let declined = pair.alice_hears.event("Declined").await;
        assert!(declined.text("eventDescription").starts_with("SIP 480 "), "{declined:?}");
        assert_eq!(declined.link("ChatSessionInformation"), ends.alice);
        declined_is_told_to_the_other_clients(&pair.bob_hears.event("SessionEnded").await);
        pair.alice.get(&ends.alice).await.fails(404, "SVC0004", "Request-URI");
        pair.hear_nothing_else(&world).await;
        forget(&pair).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_3_3_ending_a_chat() {
    let world = World::start().await;
    for (formats, way) in STAGES {
        let mut pair = Pair::open(&world, formats, way).await;
        let ends = pair.connected("Hello").await;
        assert_eq!(pair.alice.delete(&ends.alice).await.shows(204).body, "");
        for (ears, url) in [(&mut pair.alice_hears, &ends.alice), (&mut pair.bob_hears, &ends.bob)]
        {
            let ended = ears.event("SessionEnded").await;
            assert!(ended.text("eventDescription").starts_with("SIP BYE"), "{ended:?}");
            assert_eq!(ended.link("ChatSessionInformation"), url);
        }
        for (user, url) in [(&pair.alice, &ends.alice), (&pair.bob, &ends.bob)] {
            user.get(url).await.fails(404, "SVC0004", "Request-URI");
            user.delete(url).await.fails(404, "SVC0004", "Request-URI");
        }
        pair.hear_nothing_else(&world).await;
        forget(&pair).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_3_6_cancelling_an_invitation_is_told_on_both_sides() {
    let world = World::start().await;
    for (formats, way) in STAGES {
        let mut pair = Pair::open(&world, formats, way).await;
        let ends = pair.invited("Hello").await;
        pair.alice.delete(&ends.alice).await.shows(204);
        for (ears, url) in [(&mut pair.alice_hears, &ends.alice), (&mut pair.bob_hears, &ends.bob)]
        {
            let cancelled = ears.event("SessionCancelled").await;
            assert_eq!(cancelled.link("ChatSessionInformation"), url);
        }
        pair.bob.answer(&ends.bob, "Connected").await.fails(409, "POL3001", "Ended");
        pair.hear_nothing_else(&world).await;
        forget(&pair).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_3_7_1_accepting_an_invitation() {
    let world = World::start().await;
    for (formats, way) in STAGES {
        let mut pair = Pair::open(&world, formats, way).await;
        pair.alice.invite(BOB, "Hello").await;
        let told = pair.bob_hears.next().await;
        assert_eq!(told.name, "sessionInvitationNotification");
        assert_eq!(told.text("originatorAddress"), ALICE);
        assert_eq!(told.text("tParticipantAddress"), BOB);
        let fields = [("status", "Connected")];
        let url = told.link("ParticipantSessionStatus");
        let answer = pair.bob.post(url, "participantSessionStatus", &fields).await;
        let shown = answer.shows(200).document();
        assert_eq!((&*shown.name, shown.text("status")), ("participantSessionStatus", "Connected"));
        pair.alice_hears.event("Accepted").await;
        pair.hear_nothing_else(&world).await;
        forget(&pair).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_3_7_2_declining_an_invitation_by_delete() {
    let world = World::start().await;
    for (formats, way) in STAGES {
        let mut pair = Pair::open(&world, formats, way).await;
        let ends = pair.invited("Hello").await;
        pair.bob.delete(&ends.bob).await.shows(204);
        let declined = pair.alice_hears.event("Declined").await;
        assert!(declined.text("eventDescription").starts_with("SIP 480 "), "{declined:?}");
        declined_is_told_to_the_other_clients(&pair.bob_hears.event("SessionEnded").await);
        pair.hear_nothing_else(&world).await;
        forget(&pair).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_3_8_2_leaving_a_chat() {
    let world = World::start().await;
    for (formats, way) in STAGES {
        let mut pair = Pair::open(&world, formats, way).await;
        let ends = pair.connected("Hello").await;
        pair.bob.delete(&ends.bob).await.shows(204);
        let ended = pair.alice_hears.event("SessionEnded").await;
        assert!(ended.text("eventDescription").starts_with("SIP BYE"), "{ended:?}");
        pair.bob_hears.event("SessionEnded").await;
        pair.hear_nothing_else(&world).await;
        forget(&pair).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_3_9_sending_a_message() {
    let world = World::start().await;
    for (formats, way) in STAGES {
        let mut pair = Pair::open(&world, formats, way).await;
        let ends = pair.connected("Hello").await;
        let text = "How are you?\r\n<b>& \u{1f600}</b>";
        let sent = pair.alice.say(&ends.alice, text, &["Delivered"]).await;
        let url = sent.shows(201).header("location").to_owned();
        assert!(url.starts_with(&format!("{}/messages/", ends.alice)), "{url}");
        let shown = sent.document();
        assert_eq!((&*shown.name, shown.text("resourceURL")), ("chatMessage", &*url));
        // The user's own clients are told too, before anything that comes of the message.
        let echo = pair.alice_hears.message(text).await;
        assert_eq!((echo.text("senderAdress"), echo.link("ChatMessage")), (ALICE, &*url));

        let told = pair.bob_hears.message(text).await;
        assert_eq!(told.text("senderAdress"), ALICE);
        assert!(told.link("ChatMessage").starts_with(&format!("{}/messages/", ends.bob)));
        pair.bob.report(told.link("MessageDeliveryStatus"), "Delivered").await.shows(204);
        pair.alice_hears.delivered(&url).await;
        pair.hear_nothing_else(&world).await;
        forget(&pair).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_3_10_receiving_a_message_and_confirming_it() {
    let world = World::start().await;
    for (formats, way) in STAGES {
        let mut pair = Pair::open(&world, formats, way).await;
        let ends = pair.connected("Hello").await;
        let sent = pair.alice.say(&ends.alice, "Read me", &["Delivered", "Displayed"]).await;
        let url = sent.shows(201).header("location").to_owned();
        pair.alice_hears.message("Read me").await;

        let told = pair.bob_hears.message("Read me").await;
        let wanted: Vec<_> = told
            .find("chatMessage")
            .map(|message| message.all("reportRequest").iter().map(|r| r.text.clone()).collect())
            .unwrap_or_default();
        assert_eq!(wanted, ["Delivered", "Displayed"]);
        let status = told.link("MessageDeliveryStatus").to_owned();
        assert_eq!(pair.bob.report(&status, "Displayed").await.shows(204).body, "");
        // What is displayed was delivered, too.
        pair.alice_hears.delivered(&url).await;
        pair.alice_hears.status("Displayed", &url).await;
        pair.hear_nothing_else(&world).await;
        forget(&pair).await;
    }
    world.stop().await;
}

/// No request tells which client has declined: all of the user's stop offering the invitation.
fn declined_is_told_to_the_other_clients(told: &Node) {
    assert_eq!(told.text("eventDescription"), "declined by the user");
}

/// Cancels the subscriptions, so that the next stage has the users for itself.
async fn forget(pair: &Pair) {
    pair.alice.delete(&pair.alice_hears.subscription).await.shows(204);
    pair.bob.delete(&pair.bob_hears.subscription).await.shows(204);
}
