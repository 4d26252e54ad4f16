//! Connections that break, and those that replace them.

use std::time::Duration;

use chatbridge::msrp::{Broken, Event, Limits};
use chatbridge::net::{MsrpSettings, Service};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::stage::{House, PEER, Raw, field, hello, ok, send, soon};

async fn house() -> House {
    let limits = Limits { grace: Duration::from_secs(10), ..Limits::default() };
    House::serving(Service::Tcp, MsrpSettings { framing: limits.into(), ..MsrpSettings::default() })
        .await
}

/// Breaks the connection with a reset.
fn reset(peer: Raw) {
    SockRef::from(&peer.stream).set_linger(Some(Duration::ZERO)).unwrap();
}

#[tokio::test]
async fn m16_what_a_reset_leaves_unanswered_is_sent_once_more() {
    let house = house().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut seat = house.seat("s");
    seat.connect(&format!("msrp://{}/peer;tcp", listener.local_addr().unwrap()));
    let mut ids = Vec::new();
    for round in 0..2 {
        let mut peer = Raw::over(soon(listener.accept()).await.unwrap().0);
        let binding = peer.frame().await;
        assert_eq!(field(&binding, "Byte-Range"), "1-0/0");
        peer.say(&ok(&binding)).await;
        seat.is_bound().await;
        if round == 0 {
            seat.send("m", "text").await.unwrap();
        }
        let frame = peer.frame().await;
        ids.push(field(&frame, "Message-ID").to_owned());
        if round == 0 {
            reset(peer);
            assert_eq!(seat.hears().await, Event::Interrupted);
        } else {
            peer.say(&ok(&frame)).await;
            assert_eq!(seat.hears().await, Event::Sent { message_id: "m".to_owned() });
            seat.send("last", "nobody knows").await.unwrap();
            peer.frame().await;
            reset(peer);
            // The second loss in a short time is the end.
            assert!(matches!(seat.hears().await, Event::Failed { code: 408, .. }));
            assert_eq!(seat.hears().await, Event::Broken(Broken::Lost));
        }
    }
    assert_eq!(ids, ["m", "m"]);
}

/// Nobody listens for a while: the peer restarts.
#[tokio::test]
async fn m16_a_peer_that_restarts_is_found_again() {
    let house = house().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    let mut seat = house.seat("s");
    seat.connect(&format!("msrp://{place}/peer;tcp"));
    let mut peer = Raw::over(soon(listener.accept()).await.unwrap().0);
    let binding = peer.frame().await;
    peer.say(&ok(&binding)).await;
    seat.is_bound().await;
    drop(listener);
    reset(peer);
    assert_eq!(seat.hears().await, Event::Interrupted);
    seat.send("m", "text").await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(place).unwrap();
    // Bound, but not listening: whoever calls now is refused.
    assert!(TcpStream::connect(place).await.is_err());
    let listener = socket.listen(1).unwrap();
    let mut peer = Raw::over(soon(listener.accept()).await.unwrap().0);
    let binding = peer.frame().await;
    peer.say(&ok(&binding)).await;
    seat.is_bound().await;
    let frame = peer.frame().await;
    assert_eq!(field(&frame, "Message-ID"), "m");
    peer.say(&ok(&frame)).await;
    assert_eq!(seat.hears().await, Event::Sent { message_id: "m".to_owned() });
}

#[tokio::test]
async fn m16_who_comes_back_is_heard_once() {
    let house = house().await;
    let mut seat = house.seat("s");
    seat.listen(PEER);
    let uri = house.uri("s");
    let mut peer = Raw::connect(house.place).await;
    peer.say(&send(&uri, "one", "text")).await;
    assert_eq!(peer.answer().await, "one 200");
    seat.is_bound().await;
    assert_eq!(seat.message().await, "text");
    reset(peer);
    assert_eq!(seat.hears().await, Event::Interrupted);
    let mut peer = Raw::connect(house.place).await;
    peer.say(&hello(&uri, "back")).await;
    assert_eq!(peer.answer().await, "back 200");
    seat.is_bound().await;
    for (tid, text) in [("one", "text"), ("two", "another")] {
        peer.say(&send(&uri, tid, text)).await;
        assert_eq!(peer.answer().await, format!("{tid} 200"));
    }
    assert_eq!(seat.message().await, "another");
}
