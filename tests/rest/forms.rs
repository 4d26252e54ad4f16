//! The form bodies of TS Chat Appendix C, as they are printed, and the answer that each gets.

use std::collections::BTreeSet;

use chatbridge::oma::{
    BodyKind, Element, Extension, GroupChatSessionInformation, NewParticipants,
    ParticipantInformation, read,
};

use super::document::{Format, Node};
use super::ears::{Application, Ears, Way};
use super::world::{User, World};

const FORM: &str = "application/x-www-form-urlencoded";

/// The forms, all of which are posted.
const POSTED: [&str; 9] = [
    "50-form-subscription",
    "51-form-1to1-create",
    "52-form-accept",
    "53-form-extend",
    "54-form-group-create",
    "55-form-add-one",
    "56-form-add-many",
    "57-form-message",
    "58-form-status-report",
];

/// Gives the body of that name, as the appendix prints it.
fn form(name: &str) -> &'static str {
    let lines = include_str!("forms.tsv").lines().map(|line| line.split('\t'));
    let mut found = lines.filter_map(|mut line| (line.next() == Some(name)).then_some(line));
    let mut line = found.next().unwrap_or_else(|| panic!("no form {name}"));
    line.nth(1).unwrap()
}

#[test]
fn every_form_of_the_appendix_is_tried() {
    let lines = include_str!("forms.tsv").lines().filter(|line| !line.starts_with('#'));
    let names: BTreeSet<&str> = lines.map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(names, POSTED.into());
}

#[test]
fn the_forms_of_a_chat_of_many_are_read() {
    let tree = |name: &str| -> Element { read(BodyKind::Form, form(name).as_bytes()).unwrap() };
    let told = |all: &[ParticipantInformation]| -> Vec<String> {
        let one = |one: &ParticipantInformation| {
            let (name, tag) = (one.name.as_deref(), one.client_correlator.as_deref());
            format!("{} {} {}", one.address, name.unwrap(), tag.unwrap_or("-"))
        };
        all.iter().map(one).collect()
    };
    let all = ["tel:+19585550151 Alice -", "tel:+19585550152 Bob -", "tel:+19585550153 Ted -"];
    let extension = Extension::read(&tree("53-form-extend")).unwrap();
    assert_eq!(told(&extension.0), all);
    let session = GroupChatSessionInformation::read(&tree("54-form-group-create")).unwrap();
    assert_eq!(told(&session.participants), all);
    assert_eq!(session.subject, "Hello friends");
    assert_eq!(session.client_correlator.as_deref(), Some("12345"));
    let one = NewParticipants::read(&tree("55-form-add-one")).unwrap();
    assert_eq!(told(&one.0), ["tel:+19585550154 John 12345"]);
    let many = NewParticipants::read(&tree("56-form-add-many")).unwrap();
    assert_eq!(told(&many.0), ["tel:+19585550154 John 12345", "tel:+19585550155 Peter 67890"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_in_forms() {
    let world = World::start().await;
    for format in [Format::Xml, Format::Json] {
        let alice = world.user("tel:+19585550151", format);
        let bob = world.user("tel:+19585550152", format);
        let mut alice_hears = alice.listen(Way::Poll, "Alice").await;
        let mut bob_hears = bob.listen(Way::Poll, "Bob").await;

        // C.2
        let body = form("51-form-1to1-create").replace("12345", format.name());
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
        let seen = bob.post_raw(status, FORM, form("52-form-accept")).await;
        assert_eq!(seen.shows(200).document().text("status"), "Connected");
        alice_hears.event("Accepted").await;

        // C.7
        let messages = format!("{session}/messages");
        let seen = alice.post_raw(&messages, FORM, form("57-form-message")).await;
        let message = seen.shows(201).header("location").to_owned();
        let shown = seen.document();
        assert_eq!((&*shown.name, shown.text("text")), ("chatMessage", "How are you?"));
        assert_eq!(shown.text("reportRequest"), "Displayed");
        assert_eq!(shown.text("resourceURL"), message);
        alice_hears.message("How are you?").await;
        let told = bob_hears.message("How are you?").await;

        // C.8
        let body = form("58-form-status-report");
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
async fn groups_in_forms() {
    for format in [Format::Xml, Format::Json] {
        let world = World::start().await;
        let alice = world.user("tel:+19585550151", format);
        let bob = world.user("tel:+19585550152", format);
        let mut alice_hears = alice.listen(Way::Poll, "Alice").await;
        let mut bob_hears = bob.listen(Way::Poll, "Bob").await;
        let (john, peter) =
            (world.user("tel:+19585550154", format), world.user("tel:+19585550155", format));
        let ted = world.user("tel:+19585550153", format);
        let mut ted_hears = ted.listen(Way::Poll, "Ted").await;
        let mut john_hears = john.listen(Way::Poll, "John").await;
        let mut peter_hears = peter.listen(Way::Poll, "Peter").await;

        // C.4
        let body = form("51-form-1to1-create");
        let seen = alice.post_raw(&alice.url("/sessions"), FORM, body).await;
        let session = seen.shows(201).header("location").to_owned();
        let told = bob_hears.next().await;
        bob.answer(told.link("ChatSessionInformation"), "Connected").await.shows(200);
        alice_hears.event("Accepted").await;
        let seen = alice.post_raw(&format!("{session}/extend"), FORM, form("53-form-extend")).await;
        let shown = seen.shows(303).document();
        assert_eq!((&*shown.name, seen.format()), ("resourceReference", format));
        let group = seen.header("location").to_owned();
        assert!(group.contains("/groupSessions/"), "{group}");
        assert_eq!(shown.text("resourceURL"), group);
        assert_eq!(ted_hears.next().await.name, "groupSessionInvitationNotification");

        // C.5
        let group = begun(&alice, &mut alice_hears, "one").await;
        // C.6
        let participants = format!("{group}/participants");
        let seen = alice.post_raw(&participants, FORM, form("55-form-add-one")).await;
        let shown = seen.shows(201).document();
        let url = seen.header("location");
        assert!(url.starts_with(&participants), "{url}");
        for (part, value) in [
            ("address", "tel:+19585550154"),
            ("name", "John"),
            ("clientCorrelator", "12345"),
            ("resourceURL", url),
        ] {
            assert_eq!(shown.text(part), value);
        }
        assert_eq!(john_hears.next().await.name, "groupSessionInvitationNotification");
        let group = begun(&alice, &mut alice_hears, "two").await;
        let participants = format!("{group}/participants");
        let seen = alice.post_raw(&participants, FORM, form("56-form-add-many")).await;
        // Several are under way.
        assert_eq!(seen.shows(202).body, "");
        for hears in [&mut john_hears, &mut peter_hears] {
            assert_eq!(hears.next().await.name, "groupSessionInvitationNotification");
        }
        world.stop().await;
    }
}

/// Begins a group as the appendix does.
async fn begun(alice: &User, hears: &mut Ears, correlator: &str) -> String {
    let body = form("54-form-group-create").replace("12345", correlator);
    let seen = alice.post_raw(&alice.url("/groupSessions"), FORM, &body).await;
    let shown = seen.shows(201).document();
    assert_eq!(shown.name, "groupChatSessionInformation");
    assert_eq!(shown.text("subject"), "Hello friends");
    assert_eq!(shown.text("clientCorrelator"), correlator);
    let all: Vec<_> = shown.all("participant").iter().map(|it| it.text("address")).collect();
    assert_eq!(all, ["tel:+19585550151", "tel:+19585550152", "tel:+19585550153"]);
    let group = seen.header("location").to_owned();
    assert_eq!(shown.text("resourceURL"), group);
    // It can be added to as soon as it stands.
    let is_in = |told: &Node| {
        let is_of = told.all("link").iter().any(|link| link.text("href") == group);
        let mut own = told.all("participant").into_iter();
        is_of
            && own
                .any(|it| (it.text("address"), it.text("status")) == (&alice.address, "Connected"))
    };
    while !is_in(&hears.next().await) {}
    group
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_in_a_form() {
    let world = World::start().await;
    let alice = world.user("tel:+19585550151", Format::Xml);
    let mut application = Application::start().await;
    // C.1, with a target that is there.
    let printed = "http%3A%2F%2Fapplication.example.com%2Fchat%2Fnotifications%2F77777";
    let body = form("50-form-subscription");
    assert!(body.contains(printed), "{body}");
    let body = body.replace(printed, &super::world::escaped(&application.url));
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
