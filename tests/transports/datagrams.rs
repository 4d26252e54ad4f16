//! UDP: bursts, both families, and sources as everybody knows them.

use std::collections::BTreeSet;

use chatbridge::net::SipSettings;
use chatbridge::sip::{Hop, Transport};
use tokio::net::UdpSocket;

use crate::element::{Element, call_id, hop, ok, options, soon};

#[tokio::test]
async fn a_burst_is_taken_whole_and_answered() {
    let mut element = Element::new(SipSettings::default()).await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ours = hop(Transport::Udp, peer.local_addr().unwrap());
    // More than one batch, while nobody reads.
    for number in 0..100 {
        peer.send_to(options(&ours, number, "").as_bytes(), element.sockets.local).await.unwrap();
    }
    for number in 0..100 {
        let (request, source) = element.request().await;
        assert_eq!((call_id(&request), &source), (format!("call-{number}").as_str(), &ours));
        let _told = element.send(ok(&request), &source);
    }
    let mut answered = BTreeSet::new();
    let mut buffer = [0; 2048];
    while answered.len() < 100 {
        let length = soon(peer.recv(&mut buffer)).await.unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(text.starts_with("SIP/2.0 200 OK\r\n"), "{text}");
        let call_id = text.lines().find(|line| line.starts_with("Call-ID: ")).unwrap();
        answered.insert(call_id.to_owned());
    }
}

#[tokio::test]
async fn a_ping_in_a_datagram_is_answered_and_a_bad_message_refused() {
    let element = Element::new(SipSettings::default()).await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ours = hop(Transport::Udp, peer.local_addr().unwrap());
    let mut buffer = [0; 2048];
    peer.send_to(b"\r\n\r\n", element.sockets.local).await.unwrap();
    let length = soon(peer.recv(&mut buffer)).await.unwrap();
    assert_eq!(&buffer[..length], b"\r\n");
    let bad = options(&ours, 1, "").replace("CSeq: 1 OPTIONS", "CSeq: 1 BYE");
    peer.send_to(bad.as_bytes(), element.sockets.local).await.unwrap();
    let length = soon(peer.recv(&mut buffer)).await.unwrap();
    assert!(buffer[..length].starts_with(b"SIP/2.0 400 "));
}

#[tokio::test]
async fn ipv6_is_spoken_over_udp_and_tcp() {
    let mut alice = Element::on("[::1]:0", SipSettings::default()).await;
    let mut bob = Element::on("[::1]:0", SipSettings::default()).await;
    for (number, transport) in [(1, Transport::Udp), (2, Transport::Tcp)] {
        let ours = alice.hop(transport);
        let _told = alice.send(options(&ours, number, ""), &bob.hop(transport));
        let (request, source) = bob.request().await;
        let via = request.headers.get("Via").unwrap();
        assert!(via.contains(&format!("[::1]:{}", ours.port)), "{via}");
        assert!(via.contains("received=::1"), "{via}");
        assert_eq!((source.transport, source.host.as_str()), (transport, "::1"));
        let _told = bob.send(ok(&request), &source);
        let (response, source) = alice.response().await;
        assert_eq!((response.status.code(), source), (200, bob.hop(transport)));
    }
}

/// A socket for both families sees IPv4 peers as mapped addresses, which nobody is shown.
#[tokio::test]
async fn a_socket_for_both_families_speaks_to_ipv4() {
    let mut both = Element::on("[::]:0", SipSettings::default()).await;
    let mut four = Element::new(SipSettings::default()).await;
    for (number, transport) in [(1, Transport::Udp), (2, Transport::Tcp)] {
        let place = Hop::new(transport, "127.0.0.1", both.sockets.local.port());
        let _told = four.send(options(&four.hop(transport), number, ""), &place);
        let (request, source) = both.request().await;
        assert_eq!(source.host, "127.0.0.1");
        let _told = both.send(ok(&request), &source);
        let (response, from) = four.response().await;
        assert_eq!((response.status.code(), from), (200, place.clone()));
        let mapped = Hop { host: "::ffff:127.0.0.1".to_owned(), ..four.hop(transport) };
        let _told = both.send(options(&place, number + 10, ""), &mapped);
        assert_eq!(call_id(&four.request().await.0), format!("call-{}", number + 10));
    }
}
