//! Who comes in, and what those are told who do not.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use actix_web::http::Method;
use actix_web::test::TestRequest;

use super::super::stage::{ALICE, Seen, Stage};
use super::*;
use crate::access::{Passwords, Tokens, hash_password};

const ALICES: &str = "Bearer alices-secret-token";
const BOTH: &str = "Bearer token-for-alice-and-bob";
const ANYBODY: &str = "Bearer token-for-everybody";

#[tokio::test]
async fn who_shows_nothing_is_told_nothing_but_what_is_wanted() {
    let stage = stage();
    stage.invite_alice("s1");
    let paths = [
        "/subscriptions",
        "/subscriptions/x",
        "/sessions",
        "/sessions/s1",
        "/sessions/nowhere",
        "/sessions/s1/status",
        "/sessions/s1/messages",
        "/sessions/s1/messages/m",
        "/sessions/s1/messages/m/status",
    ];
    let mut told = Vec::new();
    for path in paths {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let seen = stage.ask(method, &format!("{ALICE}{path}")).await;
            seen.shows(401, &["SVC2003"]);
            assert_eq!(seen.header("www-authenticate"), "Bearer realm=\"chat\"");
            told.push((seen.status, seen.body));
        }
    }
    for path in ["channels", "channels/c1", "channels/c1/channelLifetime"] {
        let seen = stage.get(&format!("/1/notificationchannel/tel%3A%2B19585550100/{path}")).await;
        told.push((seen.status, seen.body));
    }
    told.dedup();
    assert_eq!(told.len(), 1, "there is no difference: {told:?}");
    assert_eq!(stage.heard(), [""; 0], "nobody was asked anything");
    // What asks nobody: the state, the description, a URL that is its own credential.
    for path in ["/livez", "/readyz", "/openapi.json", "/docs"] {
        assert_eq!(stage.get(path).await.status, 200, "{path}");
    }
    stage.get("/1/notificationchannel/tel%3A%2B1/polls/unknown").await.shows(404, &["SVC0004"]);
}

#[tokio::test]
async fn h09_a_user_who_is_not_covered_is_no_business_of_the_caller() {
    let stage = stage();
    stage.invite_alice("s1");
    let bobs = "/1/chat/tel%3A%2B19585550101";
    let mut told = Vec::new();
    for user in ["tel%3A%2B19585550100", "sip%3Aalice%40other.example", "acr%3Ax", "acr%3Aauth"] {
        for path in ["sessions/s1", "sessions/nowhere", "subscriptions"] {
            let seen =
                send(&stage, "Bearer token-of-bob-alone", &format!("/1/chat/{user}/{path}")).await;
            if user == "acr%3Aauth" {
                assert_ne!(seen.status, 403, "{path}");
                continue;
            }
            seen.shows(403, &["POL0001"]);
            told.push((seen.status, seen.body));
        }
    }
    told.dedup();
    assert_eq!(told.len(), 1, "there is no difference: {told:?}");
    assert_eq!(stage.heard(), ["Describe"; 0]);
    // Who is covered is so in every spelling, and in no other.
    for user in [
        "tel%3A%2B19585550100",
        "TEL%3A%2B1-958-555-0100",
        "%2B19585550100",
        "tel%253A%252B19585550100",
        "sip%3A%2B19585550100%40example.com%3Buser%3Dphone",
        "acr%3Aauth",
        "acr:auth",
    ] {
        let path = format!("/1/chat/{user}/sessions/s1");
        send(&stage, ALICES, &path).await.shows(200, &["Invited"]);
    }
    for user in ["tel%3A%2B195855501000", "tel%3A%2B1958555010", "sip%3A19585550100%40example.com"]
    {
        send(&stage, ALICES, &format!("/1/chat/{user}/sessions/s1")).await.shows(403, &["POL0001"]);
    }
    send(&stage, ANYBODY, &format!("{bobs}/subscriptions")).await.shows(200, &[]);
    send(&stage, BOTH, &format!("{bobs}/subscriptions")).await.shows(200, &[]);
}

#[tokio::test]
async fn acr_auth_stands_for_the_one_user_of_the_credential() {
    let stage = stage();
    let path = "/1/chat/acr%3Aauth/subscriptions";
    // It is told by the name that holds without the credential.
    send(&stage, ALICES, path).await.shows(200, &["/1/chat/tel%3A%2B19585550100/subscriptions"]);
    for credential in [BOTH, ANYBODY] {
        send(&stage, credential, path).await.shows(403, &["POL0001", "acr:auth"]);
    }
    Stage::new().get(path).await.shows(403, &["POL0001", "acr:auth"]);
}

#[tokio::test]
async fn a_wrong_credential_is_told_in_the_format_that_was_asked_for() {
    let stage = stage();
    for (accept, start) in [
        ("application/json", "{\"requestError\":{\"serviceException\":{\"messageId\":\"SVC2003\""),
        ("application/xml", "<?xml"),
        ("application/problem+json", "{\"type\":\"about:blank\",\"title\":\"Unauthorized\""),
    ] {
        let request = TestRequest::get()
            .uri(concat!("/1/chat/tel%3A%2B19585550100", "/subscriptions"))
            .insert_header(("accept", accept))
            .insert_header(("x-correlator", "c-1"))
            .insert_header(("authorization", "Bearer wrong-wrong-wrong-wrong"));
        let seen = stage.send(request).await;
        seen.shows(401, &["SVC2003"]);
        assert!(seen.body.starts_with(start), "{}", seen.body);
        let challenge = "Bearer realm=\"chat\", error=\"invalid_token\"";
        assert_eq!(seen.header("www-authenticate"), challenge);
        assert_eq!((seen.header("content-type"), seen.header("x-correlator")), (accept, "c-1"));
    }
    let twice = TestRequest::get()
        .uri(concat!("/1/chat/tel%3A%2B19585550100", "/subscriptions"))
        .append_header(("authorization", ALICES))
        .append_header(("authorization", BOTH));
    stage.send(twice).await.shows(401, &["SVC2003"]);
}

#[tokio::test(start_paused = true)]
async fn h10_who_guesses_passwords_has_to_wait_even_when_right() {
    let stage = basic("alice open tel:+19585550100\n", 3);
    let ask = |source: &str, pair: &str| {
        let request = from(source, &format!("Basic {}", base64(pair)));
        stage.send(request)
    };
    ask("192.0.2.1:1", "alice:open").await.shows(200, &[]);
    for port in 1..4 {
        ask(&format!("192.0.2.1:{port}"), "alice:wrong").await.shows(401, &["SVC2003"]);
    }
    for pair in ["alice:wrong", "alice:open", "bob:x"] {
        let seen = ask("192.0.2.1:9", pair).await;
        seen.shows(429, &["POL3002"]);
        assert_eq!(seen.header("retry-after"), "60");
    }
    ask("192.0.2.2:1", "alice:open").await.shows(200, &[]);
    tokio::time::advance(Duration::from_secs(60)).await;
    let seen = ask("192.0.2.1:1", "alice:open").await;
    seen.shows(200, &[]);
    assert_eq!(
        ask("192.0.2.1:1", "").await.header("www-authenticate"),
        "Basic realm=\"chat\", charset=\"UTF-8\""
    );
}

#[tokio::test(start_paused = true)]
async fn a_good_token_is_let_in_whoever_fails_nearby() {
    let stage = stage();
    for _ in 0..20 {
        stage.send(from("192.0.2.1:1", "Bearer wrong-wrong-wrong-wrong")).await.shows(401, &[]);
    }
    let seen = stage.send(from("192.0.2.1:1", "Bearer wrong-wrong-wrong-wrong")).await;
    seen.shows(429, &["POL3002"]);
    stage.send(from("192.0.2.1:1", ALICES)).await.shows(200, &[]);
}

#[tokio::test]
async fn a_slow_hash_is_checked_elsewhere_and_remembered() {
    let phc = hash_password("hunter2", *b"0123456789abcdef").replace("i=600000", "i=1000");
    // With other iterations the hash is another's: nobody is let in by it.
    let stage = basic(&format!("alice {phc} tel:+19585550100\n"), 3);
    let ask = |pair: &str| stage.send(from("192.0.2.1:1", &format!("Basic {}", base64(pair))));
    ask("alice:hunter2").await.shows(401, &["SVC2003"]);
    let phc = "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$\
               pj4T35D2v4tYmC1sTJ1y5tcMADOdtnQGvuHmyYDQh2g";
    let stage = basic(&format!("alice {phc} tel:+19585550100\n"), 3);
    let ask = |pair: &str| stage.send(from("192.0.2.1:1", &format!("Basic {}", base64(pair))));
    for _ in 0..2 {
        ask("alice:hunter2").await.shows(200, &[]);
    }
    ask("alice:hunter3").await.shows(401, &["SVC2003"]);
    ask("bob:hunter2").await.shows(401, &["SVC2003"]);
    // Whoever was found right is not any more once the list is another.
    let other = Passwords::read("alice other tel:+19585550100\n", &[7; 32]).unwrap();
    stage.face.door.change(Gate::Basic(other));
    ask("alice:hunter2").await.shows(401, &["SVC2003"]);
}

#[tokio::test(start_paused = true)]
async fn a_user_who_asks_too_often_is_told_when_to_come_again() {
    let rate = Rate { per_second: 1, burst: 2, users: 10 };
    let stage = Stage::behind(Gate::Open, DoorSettings { rate, ..DoorSettings::default() });
    let list = format!("{ALICE}/subscriptions");
    for _ in 0..2 {
        stage.get(&list).await.shows(200, &[]);
    }
    let seen = stage.get("/1/chat/%2B19585550100/subscriptions").await;
    seen.shows(429, &["POL3002", "requests"]);
    assert_eq!(seen.header("retry-after"), "1");
    stage.get("/1/chat/tel%3A%2B19585550101/subscriptions").await.shows(200, &[]);
    tokio::time::advance(Duration::from_secs(1)).await;
    stage.get(&list).await.shows(200, &[]);
}

#[tokio::test]
async fn h12_no_table_grows_with_the_names_that_are_thought_up() {
    let rate = Rate { per_second: 1000, burst: 1000, users: 10 };
    let attempts = AttemptLimits { failures: 1000, window: Duration::from_secs(60), sources: 10 };
    let settings = DoorSettings { rate, attempts, ..DoorSettings::default() };
    let door = Door::new(Gate::Open, settings);
    let now = Instant::now().into_std();
    for number in 0..1_000_000_u32 {
        let _ = locked(&door.rates).take(now, &format!("tel:+{number}"));
        locked(&door.attempts).failed(now, std::net::Ipv4Addr::from(number).into());
    }
    let held = format!("{:?}{:?}", door.rates, door.attempts);
    assert!(held.len() < 10_000, "{}", held.len());
}

fn stage() -> Stage {
    let list = "alices-secret-token tel:+19585550100\n\
                token-of-bob-alone tel:+19585550101\n\
                token-for-alice-and-bob tel:+19585550100 tel:+19585550101\n\
                token-for-everybody *\n";
    let gate = Gate::Bearer(Tokens::read(list, &[7; 32]).unwrap());
    Stage::behind(gate, DoorSettings::default())
}

fn basic(list: &str, failures: u32) -> Stage {
    let gate = Gate::Basic(Passwords::read(list, &[7; 32]).unwrap());
    let attempts = AttemptLimits { failures, window: Duration::from_secs(60), sources: 10 };
    Stage::behind(gate, DoorSettings { attempts, ..DoorSettings::default() })
}

fn from(source: &str, credential: &str) -> TestRequest {
    TestRequest::get()
        .uri(concat!("/1/chat/tel%3A%2B19585550100", "/subscriptions"))
        .peer_addr(source.parse().unwrap())
        .insert_header(("authorization", credential))
}

async fn send(stage: &Stage, credential: &str, path: &str) -> Seen {
    stage.send(TestRequest::get().uri(path).insert_header(("authorization", credential))).await
}

/// Base64 as Basic wants it (RFC 4648 section 4).
fn base64(text: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = text.as_bytes().chunks(3).flat_map(|chunk| {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        (0..4).map(move |at| match at <= chunk.len() {
            true => char::from(LETTERS[(bits >> (18 - 6 * at)) as usize & 63]),
            false => '=',
        })
    });
    letters.collect()
}
