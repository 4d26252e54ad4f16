//! MSRP over TLS (RFC 4975 section 14): who is believed, and what is no handshake.

use std::sync::Arc;
use std::time::Duration;

use chatbridge::digest::Fingerprint;
use chatbridge::msrp::{Broken, Event};
use chatbridge::net::{MsrpSettings, MsrpTls, Service, TlsSettings};

use crate::certificates::Authority;
use crate::stage::{House, PEER, Raw, hello};

async fn house(settings: TlsSettings) -> (House, Fingerprint) {
    let tls = Arc::new(MsrpTls::read(&settings).unwrap());
    let fingerprint = tls.fingerprint().clone();
    let settings = MsrpSettings { tls: Some(tls), ..MsrpSettings::default() };
    (House::serving(Service::Tls, settings).await, fingerprint)
}

#[tokio::test]
async fn two_of_ours_talk_whoever_vouches_for_them() {
    let authority = Authority::new();
    let (alices, _) = house(authority.settings(&["127.0.0.1"])).await;
    let (bobs, _) = house(authority.settings(&["127.0.0.1"])).await;
    let (mut alice, mut bob) = (alices.seat("alice"), bobs.seat("bob"));
    bob.listen(&alices.uri("alice"));
    alice.connect(&bobs.uri("bob"));
    alice.is_bound().await;
    bob.is_bound().await;
    let long = "0123456789".repeat(20_000);
    alice.send("m", &long).await.unwrap();
    assert_eq!(bob.message().await, long);
    assert_eq!(alice.hears().await, Event::Sent { message_id: "m".to_owned() });
}

#[tokio::test]
async fn m15_who_nobody_vouches_for_needs_its_fingerprint() {
    let (alices, ours) = house(Authority::new().settings(&["127.0.0.1"])).await;
    let (bobs, theirs) = house(Authority::new().settings(&["127.0.0.1"])).await;
    let bob = bobs.seat("bob");
    bob.listen(&alices.uri("alice"));
    for (at, (fingerprints, is_believed)) in [
        (vec![], false),
        (vec![ours.clone()], false),
        (vec![Fingerprint::parse("sha-1 00:11").unwrap()], false),
        (vec![ours, theirs], true),
    ]
    .into_iter()
    .enumerate()
    {
        let mut alice = alices.seat(&format!("alice{at}"));
        alice.connect_to(&bobs.uri("bob"), fingerprints);
        match is_believed {
            true => alice.is_bound().await,
            false => assert_eq!(alice.hears().await, Event::Broken(Broken::ConnectFailed)),
        }
    }
}

/// A name that the certificate does not show is not believed, though its authority is.
#[tokio::test]
async fn m15_another_name_is_not_believed() {
    let authority = Authority::new();
    let (alices, _) = house(authority.settings(&["127.0.0.1"])).await;
    let (bobs, _) = house(authority.settings(&["bob.example"])).await;
    let mut alice = alices.seat("alice");
    bobs.seat("bob").listen(&alices.uri("alice"));
    alice.connect(&bobs.uri("bob"));
    assert_eq!(alice.hears().await, Event::Broken(Broken::ConnectFailed));
}

/// A certificate that is over proves no name; with its fingerprint nothing else is asked of it.
#[tokio::test]
async fn m15_an_expired_certificate_is_believed_by_its_fingerprint_only() {
    let authority = Authority::new();
    let (alices, _) = house(authority.settings(&["127.0.0.1"])).await;
    let (bobs, theirs) = house(authority.expired(&["127.0.0.1"])).await;
    let bob = bobs.seat("bob");
    bob.listen(&alices.uri("alice"));
    let mut alice = alices.seat("alice");
    alice.connect(&bobs.uri("bob"));
    assert_eq!(alice.hears().await, Event::Broken(Broken::ConnectFailed));
    let mut alice = alices.seat("alice2");
    alice.connect_to(&bobs.uri("bob"), vec![theirs]);
    alice.is_bound().await;
}

#[tokio::test]
async fn m15_what_is_no_handshake_is_closed() {
    let authority = Authority::new();
    let mut settings = authority.settings(&["127.0.0.1"]);
    settings.handshake_timeout = Duration::from_millis(100);
    let (bobs, _) = house(settings).await;
    let bob = bobs.seat("bob");
    bob.listen(PEER);
    let plaintext = hello(&bobs.uri("bob"), "plain");
    // The beginning of a ClientHello, and a close_notify in its middle.
    let cut = "\u{16}\u{3}\u{1}\u{0}\u{5}\u{1}\u{0}\u{0}\u{20}\u{3}";
    let farewell = format!("{cut}\u{15}\u{3}\u{1}\u{0}\u{2}\u{1}\u{0}");
    for bytes in [&plaintext, cut, &farewell, ""] {
        let mut peer = Raw::connect(bobs.place).await;
        peer.say(bytes).await;
        peer.is_closed().await;
    }
    // The other way round: a peer that speaks no TLS is not waited for either.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    let mut alice = bobs.seat("alice");
    alice.connect(&format!("msrps://{place}/x;tcp"));
    let (_silent, _) = listener.accept().await.unwrap();
    assert_eq!(alice.hears().await, Event::Broken(Broken::ConnectFailed));
}
