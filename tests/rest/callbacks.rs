//! Callbacks over real connections: applications that are gone, and TLS.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::certificates::Authority;
use super::document::Format;
use super::ears::subscribe;
use super::restart::Place;
use super::world::{ALICE, BOB, World, within};

#[tokio::test(flavor = "multi_thread")]
async fn h06_404_and_410_end_a_subscription_for_good() {
    let place = Place::new();
    let world = place.world(|_| {}).await;
    let port = world.running().rest().port();
    let (alice, bob) = (world.user(ALICE, Format::Json), world.user(BOB, Format::Json));
    let mut ended = Vec::new();
    for status in ["404 Not Found", "410 Gone"] {
        let url = answering(status).await;
        ended.push(subscribe(&alice, &url, status, "").await);
    }
    bob.invite(ALICE, "Hello").await;
    within("the end of the subscriptions", async {
        for url in &ended {
            while alice.get(url).await.status != 404 {}
        }
    })
    .await;
    world.stop().await;

    let world = place.world(|config| config.rest.listen.set_port(port)).await;
    let alice = world.user(ALICE, Format::Json);
    for url in &ended {
        alice.get(url).await.fails(404, "SVC0004", "Request-URI");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h06_an_expired_certificate_is_believed_no_more() {
    let authority = Authority::new();
    let world = World::with(|config| config.notify.ca = Some(authority.file())).await;
    let (alice, bob) = (world.user(ALICE, Format::Json), world.user(BOB, Format::Json));
    let expired = authority.expired(&["127.0.0.1"]);
    let files = (expired.certificate.unwrap(), expired.private_key.unwrap());
    let (url, mut expired) = over_tls(files).await;
    subscribe(&alice, &url, "expired", "").await;
    let (url, mut good) = over_tls(authority.issue(&["127.0.0.1"])).await;
    subscribe(&alice, &url, "good", "").await;
    bob.invite(ALICE, "Hello").await;
    let post = within("a callback", good.recv()).await.unwrap().unwrap();
    assert!(post.contains("sessionInvitationNotification") && post.contains("good"), "{post}");
    let error = within("a handshake", expired.recv()).await.unwrap().unwrap_err();
    assert!(error.contains("CertificateExpired"), "{error}");
    world.stop().await;
}

/// Starts an application that answers everything with that status, and gives its URL.
async fn answering(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, status));
        }
    });
    url
}

/// Starts an application that is called over TLS, and tells what it got or why it got nothing.
async fn over_tls(
    (certificate, key): (PathBuf, PathBuf),
) -> (String, mpsc::Receiver<Result<String, String>>) {
    let pem = fs::read(certificate).unwrap();
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(&fs::read(key).unwrap()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let (sender, heard) = mpsc::channel(100);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let heard = match acceptor.accept(stream).await {
                Ok(stream) => Ok(answer(stream, "204 No Content").await),
                Err(error) => Err(format!("{error:?}")),
            };
            if sender.send(heard).await.is_err() {
                return;
            }
        }
    });
    (url, heard)
}

/// Answers one request and gives its text.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, status: &str) -> String {
    let mut text = String::new();
    // The body is JSON, and its end the first time that the braces come out even.
    while !text.split_once("\r\n\r\n").is_some_and(|(_, body)| is_whole(body)) {
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return text,
            Ok(count) => text.push_str(std::str::from_utf8(&piece[..count]).unwrap()),
        }
    }
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _hung_up = stream.write_all(answer.as_bytes()).await;
    let _hung_up = stream.shutdown().await;
    text
}

fn is_whole(json: &str) -> bool {
    !json.is_empty() && json.matches('{').count() == json.matches('}').count()
}
