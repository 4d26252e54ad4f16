//! The answer to a request and the notices of what comes of it, unread side by side.
//!
//! That the notices wait until the answer has left is shown on a paused clock by the driver and by
//! the body of the response. A client cannot see when a server writes, only when the kernel hands it
//! over; here it sees that the two belong together.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::document::{Format, write};
use super::world::{BOB, Pair, User, World};

#[tokio::test(flavor = "multi_thread")]
async fn the_201_of_a_message_names_what_its_echo_names() {
    let world = World::start().await;
    let mut pair = Pair::open(&world, (Format::Json, Format::Json), super::ears::Way::Poll).await;
    let ends = pair.connected("Hello").await;
    for turn in 0..TURNS {
        let text = format!("message {turn}");
        let body = write(Format::Json, "chatMessage", &[("text", &text)]);
        let unread = post(&pair.alice, &format!("{}/messages", ends.alice), body).await;
        let echo = pair.alice_hears.message(&text).await;
        let answer = answer(unread);
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        assert!(answer.contains(echo.link("ChatMessage")), "{answer}");
        pair.bob_hears.message(&text).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_201_of_a_session_names_the_one_whose_end_is_told() {
    let world = World::start().await;
    let mut pair = Pair::open(&world, (Format::Json, Format::Json), super::ears::Way::Poll).await;
    // Nobody is there to accept: the core declines at once.
    pair.bob.delete(&pair.bob_hears.subscription).await.shows(204);
    for turn in 0..TURNS {
        let subject = format!("session {turn}");
        let fields = [
            ("subject", &*subject),
            ("originatorAddress", &*pair.alice.address),
            ("tParticipantAddress", BOB),
        ];
        let body = write(Format::Json, "chatSessionInformation", &fields);
        let unread = post(&pair.alice, &pair.alice.url("/sessions"), body).await;
        let declined = pair.alice_hears.event("Declined").await;
        let answer = answer(unread);
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        assert!(answer.contains(declined.link("ChatSessionInformation")), "{answer}");
    }
    world.stop().await;
}

/// Sends a POST and leaves its answer unread.
async fn post(user: &User, url: &str, body: String) -> TcpStream {
    let authority = user.root.strip_prefix("http://").unwrap().to_owned();
    let request = format!(
        "POST {} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        url.strip_prefix(&user.root).unwrap(),
        body.len()
    );
    spawn_blocking(move || {
        let mut stream = TcpStream::connect(authority).unwrap();
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        stream
    })
    .await
    .unwrap()
}

/// How often it is tried.
const TURNS: u32 = 50;

/// Reads the answer.
fn answer(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = vec![0; 65_536];
    let length = stream.read(&mut answer).expect("the answer comes");
    answer.truncate(length);
    String::from_utf8(answer).unwrap()
}
