//! What comes in and what goes out: formats, spellings and the leniency of the readers.

use reqwest::Method;

use super::document::Format;
use super::ears::Way;
use super::world::{ALICE, BOB, Pair, Seen, User, World, escaped};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_one_in_every_spelling_and_urls_keep_the_clients() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Json);
    alice.listen(Way::Poll, "Alice").await;
    for spelling in [
        "tel:+19585550100",
        "+19585550100",
        "tel%3A%2B19585550100",
        "tel%3a%2b1-958-555-0100",
        "sip%3A%2B19585550100%40example.com%3Buser%3Dphone",
        // Real clients escape twice.
        "tel%253A%252B19585550100",
        "sip%253A%252B19585550100%2540example.com",
    ] {
        for slash in ["", "/"] {
            let url = format!("{}/1/chat/{spelling}/subscriptions{slash}", world.root);
            let seen = alice.get(&url).await;
            let list = seen.shows(200).document();
            assert_eq!(list.all("chatNotificationSubscription").len(), 1, "{url}");
        }
    }
    for (segment, emitted) in [
        // A bare number is no URI: it becomes one.
        ("+19585550100", "tel%3A%2B19585550100"),
        ("tel:+1-958-555-0100", "tel%3A%2B1-958-555-0100"),
        (
            "sip:+19585550100@h.example;user=phone",
            "sip%3A%2B19585550100%40h.example%3Buser%3Dphone",
        ),
    ] {
        let url = format!("{}/1/chat/{}/subscriptions", world.root, escaped(segment));
        let shown = alice.get(&url).await.shows(200).document();
        let wanted = format!("{}/1/chat/{emitted}/subscriptions", world.root);
        assert_eq!(shown.text("resourceURL"), wanted);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_query_then_accept_then_the_request_choose_the_format_of_the_answer() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Json);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = alice.url("/subscriptions");
    for (query, accept, kind, body, wanted) in [
        ("?resFormat=XML", "application/json", JSON, SUBSCRIPTION, XML),
        ("?resFormat=json", "application/xml", JSON, SUBSCRIPTION, JSON),
        ("?x=y&resFormat=JSON&z", "text/html", JSON, SUBSCRIPTION, JSON),
        ("", "application/xml;q=0.2, application/json;q=0.1", JSON, SUBSCRIPTION, XML),
        ("", "application/xml;q=0, */*", FORM, "notifyURL=http://x/", JSON),
        ("", "*/*", JSON, SUBSCRIPTION, JSON),
        ("", "*/*", FORM, "notifyURL=http://x/", XML),
        ("", "application/*", JSON, SUBSCRIPTION, JSON),
        // The first character tells the format where the type does not.
        ("", "*/*", "text/plain", SUBSCRIPTION, JSON),
        (
            "",
            "*/*",
            "application/octet-stream",
            " \r\n\t<chatNotificationSubscription>\
          <callbackReference><notifyURL>http://x/</notifyURL></callbackReference>\
          </chatNotificationSubscription>",
            XML,
        ),
    ] {
        let request = client.post(format!("{url}{query}")).header("accept", accept);
        let answer = request.header("content-type", kind).body(body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 201, "{query} {accept} {kind}");
        assert_eq!(answer.headers()["content-type"], wanted, "{query} {accept} {kind}");
        alice.delete(answer.headers()["location"].to_str().unwrap()).await.shows(204);
    }
    for (accept, kind, status) in [("text/html", JSON, 406), ("*/*", "text/html", 415)] {
        let request = client.post(&url).header("accept", accept).header("content-type", kind);
        let answer = request.body(SUBSCRIPTION).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{accept} {kind}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_read_leniently_and_written_in_one_way() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Json);
    for body in [
        // Without a root, with texts for numbers and what is not known.
        r#"{"callbackReference":{"notifyURL":"http://x/","more":{}},"duration":"60","z":[1]}"#,
        // A list where one is expected, null for nothing, and a resourceURL that names nothing.
        r#"{"chatNotificationSubscription":{"callbackReference":[{"notifyURL":"http://x/",
            "callbackData":null}],"duration":60,"resourceURL":"http://x/y"}}"#,
    ] {
        let seen = alice.post_raw(&alice.url("/subscriptions"), JSON, body).await;
        assert!(seen.shows(201).body.contains("\"duration\":60,"), "{}", seen.body);
        assert!(!seen.body.contains("http://x/y"), "{}", seen.body);
        alice.delete(seen.header("location")).await.shows(204);
    }
    let list = alice.get(&alice.url("/subscriptions")).await;
    assert!(list.body.contains(r#""chatNotificationSubscription":[]"#), "{}", list.body);
    let channel = r#"{"notificationChannel":{"channelType":"LongPolling",
        "channelData":{"type":"nc:LongPollingData","maxNotifications":"5"}}}"#;
    let seen = alice.post_raw(&alice.channels(), JSON, channel).await;
    let shown = r#""channelData":{"type":"nc:LongPollingData","channelURL":"#;
    assert!(seen.shows(201).body.contains(shown), "{}", seen.body);
    assert!(seen.body.contains("\"maxNotifications\":5"), "{}", seen.body);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_told_in_both_spellings_of_the_sender_and_lists_are_arrays() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    // A scalar for a list.
    let body = r#"{"chatMessage":{"text":"Hi","reportRequest":"Displayed"}}"#;
    let seen = pair.alice.post_raw(&format!("{}/messages", ends.alice), JSON, body).await;
    assert_eq!(seen.shows(201).document().text("reportRequest"), "Displayed");
    let told = pair.bob_hears.message("Hi").await;
    assert_eq!((told.text("senderAdress"), told.text("senderAddress")), (ALICE, ALICE));
    let told = pair.alice_hears.message("Hi").await;
    assert_eq!(told.text("senderAdress"), ALICE);
    assert!(told.find("senderAddress").is_none(), "not in the XML schema: {told:?}");
    let body = r#"{"text":"Ho","reportRequest":["Displayed","Delivered"]}"#;
    let seen = pair.bob.post_raw(&format!("{}/messages", ends.bob), JSON, body).await;
    let shown = r#""reportRequest":["Delivered","Displayed"]"#;
    assert!(seen.shows(201).body.contains(shown), "{}", seen.body);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn composing_is_taken_in_every_spelling_and_told_in_one() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    let messages = format!("{}/messages", ends.alice);
    let moment = "2011-07-28T17:51:59Z";
    for (place, body) in [
        r#"{"isComposing":{"state":"active","lastactive":"2011-07-28T19:51:59.25+02:00",
            "contenttype":"text/plain","refresh":60}}"#,
        r#"{"isComposing":{"state":"active","lastActive":1311875519250,
            "contentType":"text/plain","refresh":"60"}}"#,
        r#"{"state":"active","lastactive":"1311875519999","contenttype":"text/plain","refresh":60}"#,
    ]
    .iter()
    .enumerate()
    {
        pair.alice.post_raw(&messages, JSON, body).await.shows(204);
        let told = pair.bob_hears.next().await;
        let composing = told.find("isComposing").unwrap_or_else(|| panic!("{told:?}"));
        assert_eq!(composing.text("state"), "active");
        assert_eq!(composing.text("lastactive"), moment, "{body}");
        assert_eq!((composing.text("contenttype"), composing.text("refresh")), ("text/plain", "60"));
        // What is told next is another state.
        let idle = r#"{"isComposing":{"state":"idle"}}"#;
        pair.alice.post_raw(&messages, JSON, idle).await.shows(204);
        let told = pair.bob_hears.next().await;
        assert_eq!(told.text("isComposing/state"), "idle", "{place}");
    }
    for (wrong, id, part) in [
        (r#"{"isComposing":{"state":"busy"}}"#, "SVC0003", "state"),
        (r#"{"isComposing":{"state":"idle","refresh":0}}"#, "SVC0002", "refresh"),
        (r#"{"isComposing":{"state":"idle","lastactive":"now"}}"#, "SVC0002", "lastactive"),
    ] {
        pair.alice.post_raw(&messages, JSON, wrong).await.fails(400, id, part);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_put_as_well_as_posted_but_not_as_a_form() {
    let world = World::start().await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("Hello").await;
    pair.alice.say(&ends.alice, "Hi", &["Displayed"]).await.shows(201);
    let told = pair.bob_hears.message("Hi").await;
    let url = told.link("MessageDeliveryStatus");
    let put = |kind: &'static str, body: String| put(&pair.bob, url, kind, body);
    let form = format!("status=Displayed&userId={}", escaped(BOB));
    put(FORM, form).await.fails(415, "SVC0002", "Content-Type");
    let json =
        format!("{{\"messageDeliveryStatus\":{{\"status\":\"Displayed\",\"userId\":\"{BOB}\"}}}}");
    put(JSON, json).await.shows(204);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn xml_is_known_by_its_root_whatever_its_prefix() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Xml);
    let body = |namespace: &str, prefix: &str| {
        let colon = if prefix.is_empty() { "" } else { ":" };
        format!(
            "<?xml version=\"1.0\"?>\n<!-- hello -->\n<{prefix}{colon}chatNotificationSubscription \
             xmlns{colon}{prefix}=\"{namespace}\" more=\"1\"><callbackReference>\
             <notifyURL>http://x/?a=1&amp;b=2</notifyURL><callbackData><![CDATA[<&>]]></callbackData>\
             </callbackReference><o:other xmlns:o=\"urn:other\"><duration>1</duration></o:other>\
             <unknown/></{prefix}{colon}chatNotificationSubscription>"
        )
    };
    let chat = "urn:oma:xml:rest:netapi:chat:1";
    for body in [body(chat, "chat"), body(chat, "x"), body(chat, "")] {
        let seen = alice.post_raw(&alice.url("/subscriptions"), XML, &body).await;
        let shown = seen.shows(201).document();
        assert_eq!(shown.text("callbackReference/notifyURL"), "http://x/?a=1&b=2");
        assert_eq!(shown.text("callbackReference/callbackData"), "<&>");
        assert!(shown.find("duration").is_none(), "{}", seen.body);
        alice.delete(seen.header("location")).await.shows(204);
    }
    let foreign = body("urn:other", "x");
    let seen = alice.post_raw(&alice.url("/subscriptions"), XML, &foreign).await;
    seen.fails(400, "SVC0002", "");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_are_told_as_problems_to_who_wants_them() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Json);
    for (accept, is_problem) in [
        ("application/problem+json", true),
        ("application/json, application/problem+json;q=0.5", true),
        ("application/problem+json;q=0", false),
        ("application/json", false),
    ] {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(alice.url("/subscriptions/none")).header("accept", accept);
        let answer = request.send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(kind == "application/problem+json", is_problem, "{accept}");
    }
    world.stop().await;
}

async fn put(user: &User, url: &str, media_type: &str, body: String) -> Seen {
    let request = user.request(Method::PUT, url).header("content-type", media_type);
    user.send(request.body(body)).await
}

const XML: &str = "application/xml";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const SUBSCRIPTION: &str =
    r#"{"chatNotificationSubscription":{"callbackReference":{"notifyURL":"http://x/"}}}"#;
