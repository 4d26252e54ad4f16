//! Chats whose MSRP is carried by something else than TCP.

use chatbridge::bridge::Bearer;
use chatbridge::config::Config;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;

use super::certificates::Authority;
use super::document::Format;
use super::ears::Way;
use super::peer::Peer;
use super::world::{ALICE, Pair, World, within};

/// A bridge that offers MSRP over TLS, under a certificate that nobody vouches for.
fn secure(config: &mut Config, authority: &Authority) {
    let (certificate, private_key) = authority.issue(&["127.0.0.1"]);
    config.sip.certificate = Some(certificate);
    config.sip.private_key = Some(private_key);
    config.msrp.tls_listen = Some("127.0.0.1:0".parse().unwrap());
    config.msrp.transport = Bearer::Tls;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_chat_over_tls_by_their_fingerprints() {
    let authority = Authority::new();
    let world = World::with(|config| secure(config, &authority)).await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("secret").await;
    pair.alice.say(&ends.alice, "hello", &[]).await.shows(201);
    pair.alice_hears.message("hello").await;
    pair.bob_hears.message("hello").await;
    pair.bob.say(&ends.bob, "yes?", &[]).await.shows(201);
    pair.alice_hears.message("yes?").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_the_far_end() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| {
        peer.carry(config);
        config.msrp.ws_listen = Some("127.0.0.1:0".parse().unwrap());
        config.msrp.transport = Bearer::Ws;
    })
    .await;
    let alice = world.user(ALICE, Format::Json);
    let mut hears = alice.listen(Way::Poll, "Alice").await;
    alice.invite("tel:+19585550101", "Hello").await;
    let invite = peer.request("INVITE").await;
    let path = invite.text.lines().find_map(|line| line.strip_prefix("a=path:")).unwrap();
    let place = world.running().msrp_ws().unwrap();
    assert!(path.starts_with(&format!("msrp://{place}/")) && path.ends_with(";ws"), "{path}");
    assert!(invite.text.contains(&format!("m=message {} TCP/MSRP *", place.port())));
    let browser_path = "msrp://df7jal23ls0d.invalid:2855/98cjs;ws";
    let answer = format!(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
         m=message 9 TCP/MSRP *\r\na=accept-types:text/plain\r\na=setup:active\r\n\
         a=path:{browser_path}\r\n"
    );
    peer.answer(&invite, "200 OK", &answer).await;
    hears.event("Accepted").await;
    let stream = TcpStream::connect(place).await.unwrap();
    let request = ClientRequestBuilder::new(format!("ws://{place}/").parse().unwrap());
    let request = request.with_sub_protocol("msrp");
    let (mut browser, _) = within("upgrade", client_async(request, stream)).await.unwrap();
    let send = format!(
        "MSRP tid1 SEND\r\nTo-Path: {path}\r\nFrom-Path: {browser_path}\r\nMessage-ID: one\r\n\
         Byte-Range: 1-5/5\r\nContent-Type: text/plain\r\n\r\nhello\r\n-------tid1$\r\n"
    );
    browser.send(Message::text(send)).await.unwrap();
    let answer = within("answer", browser.next()).await.unwrap().unwrap();
    assert!(answer.to_text().unwrap().starts_with("MSRP tid1 200"), "{answer:?}");
    hears.message("hello").await;
    world.stop_after(std::time::Duration::ZERO).await;
}
