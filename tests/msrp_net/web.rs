//! MSRP over WebSocket (RFC 7977), as browsers speak it.

use std::sync::Arc;
use std::time::Duration;

use chatbridge::msrp::Event;
use chatbridge::net::{MsrpSettings, MsrpTls, Service};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::certificates::Authority;
use crate::stage::{House, PEER, Raw, hello, ok, send, soon, start};

type Browser = WebSocketStream<TcpStream>;

async fn open(house: &House, protocol: &str, origin: Option<&str>) -> Result<Browser, Error> {
    let uri = format!("ws://{}/", house.place).parse().unwrap();
    let mut request = ClientRequestBuilder::new(uri);
    if !protocol.is_empty() {
        request = request.with_sub_protocol(protocol);
    }
    if let Some(origin) = origin {
        request = request.with_header("Origin", origin);
    }
    let stream = TcpStream::connect(house.place).await.unwrap();
    soon(client_async(request, stream)).await.map(|(browser, _)| browser)
}

async fn house(settings: MsrpSettings) -> House {
    House::serving(Service::Ws, settings).await
}

/// Waits for a message that carries a frame.
async fn next(browser: &mut Browser) -> Message {
    loop {
        match soon(browser.next()).await.unwrap().unwrap() {
            frame @ (Message::Text(_) | Message::Binary(_)) => return frame,
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_browser_talks_and_is_talked_to_frame_by_frame() {
    let house = house(MsrpSettings::default()).await;
    let mut seat = house.seat("s");
    seat.listen("msrp://x.invalid:2855/browser;ws");
    let mut browser = open(&house, "msrp", None).await.unwrap();
    let uri = house.uri("s");
    let texts = |text: String| Message::text(text);
    let bytes = |text: String| Message::binary(text);
    browser.send(bytes(hello(&uri, "bind"))).await.unwrap();
    let answer = next(&mut browser).await;
    assert!(answer.is_binary() && start(answer.to_text().unwrap()) == "bind 200");
    seat.is_bound().await;
    browser.send(texts(send(&uri, "text", "\u{4f60}"))).await.unwrap();
    let answer = next(&mut browser).await;
    assert!(answer.is_text() && start(answer.to_text().unwrap()) == "text 200");
    assert_eq!(seat.message().await, "\u{4f60}");
    for at in 0..20 {
        seat.send(&format!("out-{at}"), "several at once").await.unwrap();
    }
    for _ in 0..20 {
        let message = next(&mut browser).await;
        let frame = message.to_text().unwrap();
        assert_eq!(frame.matches("MSRP ").count(), 1, "one frame in a message");
        browser.send(texts(ok(frame))).await.unwrap();
        assert!(matches!(seat.hears().await, Event::Sent { .. }));
    }
    seat.close();
    while !matches!(soon(browser.next()).await, None | Some(Err(_))) {}
}

#[tokio::test]
async fn a_browser_talks_under_tls() {
    let authority = Authority::new();
    let tls = Arc::new(MsrpTls::read(&authority.settings(&["127.0.0.1"])).unwrap());
    let settings = MsrpSettings { tls: Some(tls), ..MsrpSettings::default() };
    let house = House::serving(Service::Wss, settings).await;
    let mut seat = house.seat("s");
    seat.listen(PEER);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.file()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(house.place).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let request = ClientRequestBuilder::new(format!("wss://{}/", house.place).parse().unwrap());
    let request = request.with_sub_protocol("msrp");
    let (mut browser, _) = soon(client_async(request, stream)).await.unwrap();
    browser.send(Message::text(send(&house.uri("s"), "one", "secret"))).await.unwrap();
    let answer = soon(browser.next()).await.unwrap().unwrap();
    assert_eq!(start(answer.to_text().unwrap()), "one 200");
    seat.is_bound().await;
    assert_eq!(seat.message().await, "secret");
}

#[tokio::test]
async fn who_wants_something_else_or_comes_from_elsewhere_is_refused() {
    let origins = vec!["https://chat.example".to_owned()];
    let house = house(MsrpSettings { origins, ..MsrpSettings::default() }).await;
    for (protocol, origin, status) in [
        ("", None, 400),
        ("sip", None, 400),
        ("msrp", Some("https://evil.example"), 403),
        ("msrp", Some("null"), 403),
        ("msrp", Some("https://chat.example.evil.example"), 403),
        ("msrp", Some("https://chat.example"), 101),
        ("msrp", None, 101),
    ] {
        let met = open(&house, protocol, origin).await;
        let code = match met {
            Ok(_) => 101,
            Err(Error::Http(response)) => response.status().as_u16(),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(code, status, "{protocol:?} {origin:?}");
    }
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_not_held() {
    let house = house(MsrpSettings::default()).await;
    let seat = house.seat("s");
    seat.listen(PEER);
    let mut browser = open(&house, "msrp", None).await.unwrap();
    let long = send(&house.uri("s"), "long", &"x".repeat(300_000));
    // It may be closed before all is written.
    drop(browser.send(Message::binary(long)).await);
    while let Some(Ok(message)) = soon(browser.next()).await {
        assert!(message.is_close(), "{message:?}");
    }
}

#[tokio::test]
async fn m12_an_upgrade_that_does_not_come_is_not_waited_for() {
    let bind_timeout = Duration::from_millis(100);
    let house = house(MsrpSettings { bind_timeout, ..MsrpSettings::default() }).await;
    for text in ["", "GET / HTTP/1.1\r\nHost: a\r\n", "MSRP x SEND\r\n\r\n"] {
        let mut peer = Raw::connect(house.place).await;
        peer.say(text).await;
        peer.is_closed().await;
    }
    let mut browser = open(&house, "msrp", None).await.unwrap();
    assert!(!matches!(soon(browser.next()).await, Some(Ok(Message::Binary(_)))));
}

#[tokio::test]
async fn a_browser_that_gives_no_sign_of_life_is_closed() {
    let ping = Duration::from_millis(50);
    let house = house(MsrpSettings { ping, ..MsrpSettings::default() }).await;
    let mut seat = house.seat("s");
    seat.listen(PEER);
    let mut browser = open(&house, "msrp", None).await.unwrap();
    browser.send(Message::binary(hello(&house.uri("s"), "bind"))).await.unwrap();
    seat.is_bound().await;
    // Who reads answers pings by itself; nobody reads here.
    assert!(matches!(seat.hears().await, Event::Broken(_)));
}
