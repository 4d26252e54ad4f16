//! Hostile input that needs a whole server: `s11_…` is case S11. The other cases of SIP are listed
//! in `tests/sip/hardening.rs`.

use std::collections::HashSet;

use tokio::net::UdpSocket;

use super::document::Format;
use super::ears::Way;
use super::peer::Peer;
use super::world::{ALICE, BOB, World, within};

/// Who is no neighbour is refused, however often he asks, and a full bridge says when to come again;
/// both in answers that have a tag, as every final one must.
#[tokio::test(flavor = "multi_thread")]
async fn s14_who_is_not_let_in_is_told_so_in_due_form() {
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for (is_neighbour, status) in
        [(false, "SIP/2.0 403 Forbidden\r\n"), (true, "SIP/2.0 503 Service Unavailable\r\n")]
    {
        let peer = Peer::start().await;
        let world = World::with(|config| {
            if is_neighbour {
                peer.carry(config);
                config.session.max_sessions = 0;
            }
        })
        .await;
        let mut tags = HashSet::new();
        for _ in 0..3 {
            stranger.send_to(INVITE.as_bytes(), world.running().sip()).await.unwrap();
            let mut answer = vec![0; 2048];
            let length = within(status, stranger.recv(&mut answer)).await.unwrap();
            let answer = String::from_utf8(answer[..length].to_vec()).unwrap();
            assert!(answer.starts_with(status), "{answer}");
            assert_eq!(answer.contains("\r\nRetry-After: "), is_neighbour, "{answer}");
            let to = answer.split("\r\n").find(|line| line.starts_with("To: ")).unwrap();
            tags.insert(to.split_once(";tag=").expect("a tag").1.to_owned());
        }
        assert_eq!(tags.len(), 1, "the same each time: {tags:?}");
        world.stop().await;
    }
}

const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP a.example;branch=z9hG4bKstranger;rport\r\n\
    From: <sip:a@a.example>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: stranger\r\n\
    CSeq: 1 INVITE\r\nContact: <sip:a@a.example>\r\nContent-Length: 0\r\n\r\n";

/// The answer names a port of this host: whoever could choose it could knock at any door behind us.
#[tokio::test(flavor = "multi_thread")]
async fn s11_a_path_that_leads_inside_is_not_dialled() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| {
        peer.carry(config);
        config.msrp.allow_private_dial = false;
    })
    .await;
    let alice = world.user(ALICE, Format::Json);
    let mut hears = alice.listen(Way::Poll, "Alice").await;
    for host in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]", "224.0.0.1", "0.0.0.0"] {
        let session = alice.invite(BOB, "Hello").await;
        let call = peer.request("INVITE").await;
        peer.answer(&call, "200 OK", &peer.sdp_at(host)).await;
        let bye = peer.request("BYE").await;
        peer.answer(&bye, "200 OK", "").await;
        hears.event("Accepted").await;
        let told = hears.event("SessionEnded").await;
        assert_eq!(told.link("ChatSessionInformation"), session, "{host}");
        assert!(told.text("eventDescription").contains("MSRP connect failed"), "{host}: {told:?}");
    }
    assert!(!peer.was_called(), "nobody has knocked");
    world.stop().await;
}
