//! TLS: who is let in, who is gone to, and which connection carries what.

use std::time::Duration;

use chatbridge::net::{CoreNames, SipSettings, TlsSettings};
use chatbridge::sip::Transport;

use crate::certificates::Authority;
use crate::element::{Element, Peer, call_id, ok, options, soon};

const HOME: &str = "127.0.0.1";

#[tokio::test]
async fn requests_and_answers_travel_both_ways() {
    let authority = Authority::new();
    let mut alice = Element::secure(authority.settings(&[HOME])).await;
    let mut bob = Element::secure(authority.settings(&[HOME, "localhost"])).await;
    let (ours, theirs) = (alice.hop(Transport::Tls), bob.hop(Transport::Tls));
    let _told = alice.send(options(&ours, 1, ""), &theirs);
    let (request, source) = bob.request().await;
    assert_eq!(source.transport, Transport::Tls);
    let _told = bob.send(ok(&request), &source);
    let (response, from) = alice.response().await;
    assert_eq!((response.status.code(), from), (200, theirs));
    let _told = bob.send(options(&bob.hop(Transport::Tls), 2, ""), &ours);
    let (request, source) = alice.request().await;
    assert_eq!(call_id(&request), "call-2");
    assert_ne!(source, bob.hop(Transport::Tls), "nobody has shown who may reuse a connection");
}

#[tokio::test]
async fn a_certificate_is_wanted_of_those_who_connect_where_it_is_asked_for() {
    let authority = Authority::new();
    let mut strict = Element::secure(authority.mutual(&[HOME])).await;
    let theirs = strict.hop(Transport::Tls);
    let nobody = TlsSettings { ca: Some(authority.file()), ..TlsSettings::default() };
    let nobody = Element::secure(nobody).await;
    assert!(soon(nobody.send(options(&theirs, 1, ""), &theirs)).await.is_ok(), "no certificate");
    let (stranger, ours) = (Authority::new(), authority.file());
    let stranger = TlsSettings { ca: Some(ours), ..stranger.settings(&[HOME]) };
    let stranger = Element::secure(stranger).await;
    assert!(soon(stranger.send(options(&theirs, 2, ""), &theirs)).await.is_ok(), "of a stranger");
    let friend = Element::secure(authority.settings(&[HOME])).await;
    let _told = friend.send(options(&theirs, 3, ""), &theirs);
    assert_eq!(call_id(&strict.request().await.0), "call-3");
}

/// RFC 5922: neither another name nor another authority will do.
#[tokio::test]
async fn who_is_not_who_was_looked_for_gets_nothing() {
    let authority = Authority::new();
    let mut bob = Element::secure(authority.settings(&["bob.example"])).await;
    let alice = Element::secure(authority.settings(&[HOME])).await;
    let ours = alice.hop(Transport::Tls);
    for host in ["localhost", HOME] {
        assert!(soon(alice.send(options(&ours, 1, ""), &bob.named(host))).await.is_ok(), "{host}");
    }
    let doubter = Element::secure(Authority::new().settings(&[HOME])).await;
    let mut named = Element::secure(authority.settings(&["localhost"])).await;
    let place = named.named("localhost");
    assert!(soon(doubter.send(options(&ours, 2, ""), &place)).await.is_ok(), "not trusted");
    let _told = alice.send(options(&ours, 3, ""), &place);
    assert_eq!(call_id(&named.request().await.0), "call-3");
    assert!(bob.sockets.inbound.try_recv().is_err());
}

/// Elements of a core name one another by address; its certificate names its domain.
#[tokio::test]
async fn the_core_may_show_its_domain() {
    let authority = Authority::new();
    let mut core = Element::secure(authority.settings(&["core.example"])).await;
    for (host, domain, reached) in [
        ("localhost", "core.example", true),
        ("core.example", "b.example", true),
        ("a", "b", false),
    ] {
        let names = CoreNames { host: host.to_owned(), domain: domain.to_owned() };
        let settings = TlsSettings { core: Some(names), ..authority.settings(&[HOME]) };
        let alice = Element::secure(settings).await;
        let told =
            alice.send(options(&alice.hop(Transport::Tls), 1, ""), &core.hop(Transport::Tls));
        if reached {
            core.request().await;
        } else {
            assert!(soon(told).await.is_ok());
        }
    }
}

#[tokio::test]
async fn who_does_not_speak_tls_is_closed() {
    let authority = Authority::new();
    let mut tls = authority.settings(&[HOME]);
    tls.handshake_timeout = Duration::from_millis(50);
    let mut bob = Element::secure(tls).await;
    let place = bob.sockets.tls.unwrap();
    let mut plain = Peer::connect(place).await;
    plain.say(&options(&plain.hop(), 1, "")).await;
    plain.is_closed().await;
    Peer::connect(place).await.is_closed().await;
    assert!(bob.sockets.inbound.try_recv().is_err());
}

/// RFC 5923: who has shown its certificate and says `alias` gets requests on its own connection.
#[tokio::test]
async fn a_connection_is_reused_by_those_who_have_shown_who_they_are() {
    let authority = Authority::new();
    for (is_mutual, params, is_reused) in
        [(true, ";alias", true), (true, "", false), (false, ";alias", false)]
    {
        let mut alice = Element::secure(authority.settings(&[HOME])).await;
        let bob = match is_mutual {
            true => authority.mutual(&[HOME]),
            false => authority.settings(&[HOME]),
        };
        let mut bob = Element::secure(bob).await;
        let (ours, theirs) = (alice.hop(Transport::Tls), bob.hop(Transport::Tls));
        let _told = alice.send(options(&ours, 1, params), &theirs);
        bob.request().await;
        let _told = bob.send(options(&theirs, 2, ""), &ours);
        let (_, source) = alice.request().await;
        assert_eq!(source == theirs, is_reused, "mutual: {is_mutual}, params: {params:?}");
    }
}

/// RFC 5923 section 9.3: an alias stands for those names only that its certificate shows.
#[tokio::test]
async fn a_connection_is_not_reused_for_another_name() {
    let authority = Authority::new();
    let mut alice = Element::secure(authority.settings(&["alice.example", "localhost"])).await;
    let mut bob = Element::secure(authority.mutual(&[HOME])).await;
    let (ours, theirs) = (alice.hop(Transport::Tls), bob.hop(Transport::Tls));
    let _told = alice.send(options(&ours, 1, ";alias"), &theirs);
    bob.request().await;
    let _told = bob.send(options(&theirs, 2, ""), &alice.named("localhost"));
    assert_eq!(alice.request().await.1, theirs, "it is a name of hers");
    let other = Element::secure(authority.settings(&["alice.example"])).await;
    let _told = other.send(options(&other.hop(Transport::Tls), 3, ";alias"), &theirs);
    bob.request().await;
    let refused = bob.send(options(&theirs, 4, ""), &other.named("localhost"));
    assert!(soon(refused).await.is_ok(), "not a name of hers, wherever it leads");
}

#[tokio::test]
async fn faults_of_the_files_are_told_at_the_start() {
    let authority = Authority::new();
    let mut tls = authority.settings(&[HOME]);
    tls.private_key = Some(authority.issue(&["other.example"]).1);
    let settings = SipSettings { tls, ..SipSettings::default() };
    let (stop, tasks) = Default::default();
    let bound = chatbridge::net::bind_sip("127.0.0.1:0".parse().unwrap(), settings, stop, tasks);
    let error = bound.await.err().expect("the key is another's").to_string();
    assert!(error.contains("does not go with private_key"), "{error}");
}
