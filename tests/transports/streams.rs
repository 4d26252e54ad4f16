//! TCP: one connection for both ways, what its death means, and peers that do not play by the rules.

use std::time::Duration;

use bytes::Bytes;
use chatbridge::net::SipSettings;
use chatbridge::sip::Transport;
use chatbridge::store::connections::Failure;

use crate::element::{Element, Listener, Peer, call_id, ok, options, soon};

const MOMENT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn one_connection_serves_both_ways() {
    let mut alice = Element::new(SipSettings::default()).await;
    let mut bob = Element::new(SipSettings::default()).await;
    let (ours, theirs) = (alice.hop(Transport::Tcp), bob.hop(Transport::Tcp));
    let _told = alice.send(options(&ours, 1, ""), &theirs);
    let (request, source) = bob.request().await;
    assert_ne!(source, ours, "from a port of its own");
    let _told = bob.send(ok(&request), &source);
    assert_eq!(alice.response().await.1, theirs);
    let _told = alice.send(options(&ours, 2, ""), &theirs);
    assert_eq!(bob.request().await.1, source, "the same connection");
    let _told = bob.send(options(&theirs, 3, ""), &source);
    assert_eq!(alice.request().await.1, theirs, "the same connection, the other way");
}

#[tokio::test]
async fn what_comes_in_one_piece_is_taken_in_order_and_pings_between_are_answered() {
    let mut element = Element::new(SipSettings::default()).await;
    let mut peer = Peer::connect(element.sockets.local).await;
    let ours = peer.hop();
    let all: String = (0..200).map(|number| options(&ours, number, "")).collect();
    peer.say(&format!("{all}\r\n\r\n")).await;
    for number in 0..200 {
        assert_eq!(call_id(&element.request().await.0), format!("call-{number}"));
    }
    assert_eq!(peer.hear("\r\n").await, "\r\n");
}

/// Row 31: who waits for an answer from a dead peer is told at once, and what comes next goes on
/// a new connection.
#[tokio::test]
async fn requests_without_an_answer_fail_with_their_connection_and_the_next_opens_another() {
    let mut element = Element::new(SipSettings::default()).await;
    let listener = Listener::new().await;
    let (ours, theirs) = (element.hop(Transport::Tcp), listener.hop());
    let answered = element.send(options(&ours, 1, ""), &theirs);
    let mut peer = listener.accept().await;
    let heard = peer.hear("\r\n\r\n").await;
    peer.say(&heard.replace("OPTIONS sip:b@b.example SIP/2.0", "SIP/2.0 200 OK")).await;
    assert_eq!(element.response().await.0.status.code(), 200);
    let pending = element.send(options(&ours, 2, ""), &theirs);
    peer.hear("\r\n\r\n").await;
    peer.die();
    assert_eq!(soon(pending).await, Ok(Failure::Unanswered), "told at once");
    assert!(soon(answered).await.is_err(), "what was answered is none of its business");
    let _told = element.send(options(&ours, 3, ""), &theirs);
    let heard = listener.accept().await.hear("\r\n\r\n").await;
    assert!(heard.contains("Call-ID: call-3\r\n"), "{heard}");
}

#[tokio::test]
async fn nobody_there_is_told_at_once() {
    let element = Element::new(SipSettings::default()).await;
    let listener = Listener::new().await;
    let gone = listener.hop();
    drop(listener);
    let told = element.send(options(&element.hop(Transport::Tcp), 1, ""), &gone);
    assert_eq!(soon(told).await, Ok(Failure::Unsent));
}

/// RFC 3261 section 18.2.2: a new connection to the sent-by of the request, and only to that.
#[tokio::test]
async fn an_answer_whose_connection_is_gone_goes_to_the_sent_by() {
    let mut element = Element::new(SipSettings::default()).await;
    let listener = Listener::new().await;
    let mut peer = Peer::connect(element.sockets.local).await;
    peer.say(&options(&listener.hop(), 1, "")).await;
    let (request, source) = element.request().await;
    peer.die();
    let _told = element.send(ok(&request), &source);
    let heard = listener.accept().await.hear("\r\n\r\n").await;
    assert!(heard.starts_with("SIP/2.0 200 OK\r\n") && heard.contains("Call-ID: call-1\r\n"));
}

#[tokio::test]
async fn an_answer_for_nobody_fails() {
    let mut element = Element::new(SipSettings::default()).await;
    let listener = Listener::new().await;
    let mut peer = Peer::connect(element.sockets.local).await;
    peer.say(&options(&listener.hop(), 1, "")).await;
    let (request, source) = element.request().await;
    drop(listener);
    peer.die();
    assert!(soon(element.send(ok(&request), &source)).await.is_ok());
}

/// RFC 5626 section 4.4.1, with short pauses.
#[tokio::test]
async fn a_peer_that_has_answered_pings_and_then_does_not_is_given_up() {
    let settings = SipSettings {
        ping: Some(MOMENT),
        pong_wait: Duration::from_secs(1),
        ..SipSettings::default()
    };
    let element = Element::new(settings).await;
    let listener = Listener::new().await;
    let pending = element.send(options(&element.hop(Transport::Tcp), 1, ""), &listener.hop());
    let mut peer = listener.accept().await;
    peer.hear("\r\n\r\n").await;
    assert_eq!(peer.hear("\r\n\r\n").await, "\r\n\r\n");
    peer.say("\r\n").await;
    assert_eq!(peer.hear("\r\n\r\n").await, "\r\n\r\n");
    peer.is_closed().await;
    assert!(soon(pending).await.is_ok(), "and who waits for it is told");
}

#[tokio::test]
async fn who_has_opened_a_connection_is_not_pinged() {
    let settings = SipSettings {
        ping: Some(Duration::from_millis(1)),
        idle_timeout: MOMENT,
        ..SipSettings::default()
    };
    let element = Element::new(settings).await;
    let mut peer = Peer::connect(element.sockets.local).await;
    let mut heard = Vec::new();
    peer.read_all(&mut heard).await;
    assert_eq!(heard, b"", "closed for its silence, without a ping");
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_cut_off() {
    let settings = SipSettings { write_timeout: MOMENT, ..SipSettings::default() };
    let element = Element::new(settings).await;
    let listener = Listener::new().await;
    let hop = listener.hop();
    let large = format!(
        "{}Content-Length: 60000\r\n\r\n{}",
        options(&element.hop(Transport::Tcp), 1, "").replace("Content-Length: 0\r\n\r\n", ""),
        "x".repeat(60_000)
    );
    let large = Bytes::from(large.replace("OPTIONS", "ACK"));
    // The system takes some megabytes for a peer that does not read, and then no more.
    let told: Vec<_> = (0..250).map(|_| element.send(large.clone(), &hop)).collect();
    let _silent = listener.accept().await;
    assert!(soon(told.into_iter().last().unwrap()).await.is_ok());
}

#[tokio::test]
async fn there_are_so_many_connections_and_no_more() {
    let mut element = Element::new(SipSettings { connections: 1, ..SipSettings::default() }).await;
    let mut first = Peer::connect(element.sockets.local).await;
    first.say(&options(&first.hop(), 1, "")).await;
    element.request().await;
    Peer::connect(element.sockets.local).await.is_closed().await;
    first.say(&options(&first.hop(), 2, "")).await;
    assert_eq!(call_id(&element.request().await.0), "call-2", "the first goes on");
    let listener = Listener::new().await;
    let ours = element.hop(Transport::Tcp);
    let _told = element.send(options(&ours, 3, ""), &listener.hop());
    let _open = listener.accept().await;
    let other = Listener::new().await;
    assert!(soon(element.send(options(&ours, 4, ""), &other.hop())).await.is_ok());
}

/// Under TCP nobody shows whose address it is: reuse has to be asked for.
#[tokio::test]
async fn an_alias_under_tcp_is_a_matter_of_configuration() {
    for tcp_alias in [false, true] {
        let mut element = Element::new(SipSettings { tcp_alias, ..SipSettings::default() }).await;
        let listener = Listener::new().await;
        let mut peer = Peer::connect(element.sockets.local).await;
        peer.say(&options(&listener.hop(), 1, ";alias")).await;
        element.request().await;
        let _told = element.send(options(&element.hop(Transport::Tcp), 2, ""), &listener.hop());
        let heard = match tcp_alias {
            true => peer.hear("\r\n\r\n").await,
            false => listener.accept().await.hear("\r\n\r\n").await,
        };
        assert!(heard.contains("Call-ID: call-2\r\n"), "{heard}");
    }
}
