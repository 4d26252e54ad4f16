//! The form bodies of TS Chat Appendix C, as they are printed.

use super::document::Format;
use super::ears::{Application, Way};
use super::world::{User, World};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_in_forms() {
    let world = World::start().await;
    for format in [Format::Xml, Format::Json] {
        let alice = world.user("tel:+19585550151", format);
        let bob = world.user("tel:+19585550152", format);
        let mut alice_hears = alice.listen(Way::Poll, "Alice").await;
        let mut bob_hears = bob.listen(Way::Poll, "Bob").await;

        // C.2
        let body = "subject=Hello%20friends&originatorAddress=tel%3A%2B19585550151&\
                    originatorName=Alice&tParticipantAddress=tel%3A%2B19585550152&\
                    tParticipantName=Bob&clientCorrelator=12345";
        let body = body.replace("12345", format.name());
        let seen = alice.post_raw(&alice.url("/sessions"), FORM, &body).await;
        let shown = seen.shows(201).document();
        let session = seen.header("location").to_owned();
        assert_eq!(seen.format(), format);
        assert_eq!(shown.name, "chatSessionInformation");
        for (part, value) in [
            ("subject", "Hello friends"),
            ("originatorAddress", "tel:+19585550151"),
            ("originatorName", "Alice"),
            ("tParticipantAddress", "tel:+19585550152"),
            ("tParticipantName", "Bob"),
            ("status", "Invited"),
            ("clientCorrelator", format.name()),
            ("resourceURL", &*session),
        ] {
            assert_eq!(shown.text(part), value);
        }
        let told = bob_hears.next().await;
        assert_eq!(told.text("originatorName"), "Alice");

        // C.3
        let status = told.link("ParticipantSessionStatus");
        let seen = bob.post_raw(status, FORM, "status=Connected").await;
        assert_eq!(seen.shows(200).document().text("status"), "Connected");
        alice_hears.event("Accepted").await;

        // C.7
        let body = "text=How%20are%20you%3F&reportRequest=Displayed";
        let seen = alice.post_raw(&format!("{session}/messages"), FORM, body).await;
        let message = seen.shows(201).header("location").to_owned();
        let shown = seen.document();
        assert_eq!((&*shown.name, shown.text("text")), ("chatMessage", "How are you?"));
        assert_eq!(shown.text("reportRequest"), "Displayed");
        assert_eq!(shown.text("resourceURL"), message);
        alice_hears.message("How are you?").await;
        let told = bob_hears.message("How are you?").await;

        // C.8
        let body = "status=Displayed&userId=tel%3A%2B19585550152";
        let seen = bob.post_raw(told.link("MessageDeliveryStatus"), FORM, body).await;
        let shown = seen.shows(200).document();
        assert_eq!((&*shown.name, shown.text("status")), ("messageDeliveryStatus", "Displayed"));
        assert_eq!(shown.text("userId"), "tel:+19585550152");
        alice_hears.event("MessageSuccess").await;
        alice_hears.status("Displayed", &message).await;
        alice.delete(&session).await.shows(204);
        alice_hears.event("SessionEnded").await;
        bob_hears.event("SessionEnded").await;
        for (user, ears) in [(&alice, &alice_hears), (&bob, &bob_hears)] {
            user.delete(&ears.subscription).await.shows(204);
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_in_a_form() {
    let world = World::start().await;
    let alice = world.user("tel:+19585550151", Format::Xml);
    let mut application = Application::start().await;
    // C.1, with a target that is there.
    let body = format!(
        "notifyURL={}&callbackData=abcd&notificationFormat=XML&clientCorrelator=12345",
        super::world::escaped(&application.url)
    );
    let shown = subscribe(&alice, &body).await.document();
    assert_eq!(shown.name, "chatNotificationSubscription");
    assert_eq!(shown.text("callbackReference/notifyURL"), application.url);
    assert_eq!(shown.text("callbackReference/callbackData"), "abcd");
    assert_eq!(shown.text("callbackReference/notificationFormat"), "XML");
    assert_eq!(shown.text("clientCorrelator"), "12345");
    assert_eq!(subscribe(&alice, &body).await.document(), shown);
    let carol = world.user("tel:+19585550102", Format::Json);
    carol.invite(&alice.address, "Hello").await;
    let post = application.next().await;
    assert_eq!(post.header("content-type"), "application/xml");
    assert!(post.body.contains("<callbackData>abcd</callbackData>"), "{}", post.body);
    let namespace =
        "<chat:sessionInvitationNotification xmlns:chat=\"urn:oma:xml:rest:netapi:chat:1\">";
    assert!(post.body.contains(namespace), "{}", post.body);
    world.stop().await;
}

async fn subscribe(user: &User, body: &str) -> super::world::Seen {
    let seen = user.post_raw(&user.url("/subscriptions"), FORM, body).await;
    seen.shows(201);
    seen
}
