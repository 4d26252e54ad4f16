//! Calls over streams: up, down, and across the death of what carried them.

use chatbridge::net::SipSettings;
use chatbridge::sip::{LegEvent, NoAnswer, Transport};

use crate::certificates::Authority;
use crate::element::{Listener, Peer, options, soon};
use crate::phone::Phone;

async fn secure(authority: &Authority) -> Phone {
    let settings = SipSettings { tls: authority.mutual(&["127.0.0.1"]), ..SipSettings::default() };
    Phone::new(settings, Transport::Tls).await
}

/// Under mutual TLS the callee hangs up on the connection that the caller has opened.
#[tokio::test]
async fn a_call_under_tls_stands_and_is_ended_by_either_side() {
    let authority = Authority::new();
    for callee_ends in [true, false] {
        let (mut alice, mut bob) = (secure(&authority).await, secure(&authority).await);
        alice.call(bob.hop());
        bob.accept().await;
        let event = alice.event().await;
        assert!(matches!(event, LegEvent::Established { .. }), "{event:?}");
        assert_eq!(bob.event().await, LegEvent::Confirmed);
        let (one, other) =
            if callee_ends { (&mut bob, &mut alice) } else { (&mut alice, &mut bob) };
        one.hang_up();
        assert!(matches!(other.event().await, LegEvent::Ended { .. }));
        // The 200 leaves with what follows the event.
        tokio::select! {
            event = one.event() => assert_eq!(event, LegEvent::ByeDone),
            event = other.event() => panic!("{event:?}"),
        }
        if callee_ends {
            assert_eq!(alice.sources, [bob.hop()], "on the connection that alice opened");
        } else {
            assert!(bob.sources.windows(2).all(|pair| pair[0] == pair[1]), "{:?}", bob.sources);
        }
    }
}

/// Takes an INVITE off a connection and accepts it.
async fn accept(peer: &mut Peer, listener: &Listener) -> String {
    let invite = peer.hear("v=0\r\n").await;
    assert!(invite.starts_with("INVITE "), "{invite}");
    let kept = ["Via:", "From:", "Call-ID:", "CSeq:"];
    let head: String = invite
        .lines()
        .filter(|line| kept.iter().any(|name| line.starts_with(name)))
        .map(|line| format!("{line}\r\n"))
        .collect();
    let ok = format!(
        "SIP/2.0 200 OK\r\n{head}To: <sip:bob@b.example>;tag=b\r\n\
         Contact: <sip:bob@{};transport=tcp>\r\nContent-Length: 0\r\n\r\n",
        listener.hop().authority()
    );
    peer.say(&ok).await;
    ok
}

/// Row 31: the dialog is not the connection's.
#[tokio::test]
async fn a_dialog_survives_its_connection() {
    let mut alice = Phone::new(SipSettings::default(), Transport::Tcp).await;
    let listener = Listener::new().await;
    alice.call(listener.hop());
    let mut peer = listener.accept().await;
    accept(&mut peer, &listener).await;
    assert!(matches!(alice.event().await, LegEvent::Established { .. }));
    assert!(peer.hear("\r\n\r\n").await.starts_with("ACK "));
    // Who waits for an answer shows when the death is known.
    let pending = alice.element.send(options(&alice.hop(), 9, ""), &listener.hop());
    peer.hear("\r\n\r\n").await;
    peer.die();
    assert!(soon(pending).await.is_ok());
    alice.hang_up();
    let mut again = listener.accept().await;
    let bye = again.hear("\r\n\r\n").await;
    assert!(bye.starts_with("BYE "), "{bye}");
    again.say(&bye.replacen(bye.lines().next().unwrap(), "SIP/2.0 200 OK", 1)).await;
    assert_eq!(alice.event().await, LegEvent::ByeDone);
}

/// Row 31: an INVITE that waits for its answer does not wait for 32 s more.
#[tokio::test]
async fn a_call_that_waits_for_an_answer_ends_with_its_connection() {
    let mut alice = Phone::new(SipSettings::default(), Transport::Tcp).await;
    let listener = Listener::new().await;
    alice.call(listener.hop());
    let mut peer = listener.accept().await;
    peer.hear("v=0\r\n").await;
    peer.die();
    assert_eq!(alice.event().await, LegEvent::NoAnswer(NoAnswer::Transport));
}
