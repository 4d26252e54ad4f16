//! Several sessions on one connection (RFC 4975 sections 5.4 and 7.3).

use chatbridge::msrp::{Broken, Event};

use crate::stage::{House, PEER, Raw, hello, ok, send, start};

#[tokio::test]
async fn a_connection_carries_all_sessions_that_are_named_on_it() {
    let house = House::start().await;
    let mut seats: Vec<_> = ["a", "b", "c"].into_iter().map(|id| house.seat(id)).collect();
    let mut peer = Raw::connect(house.place).await;
    for (seat, id) in seats.iter_mut().zip(["a", "b", "c"]) {
        seat.listen(PEER);
        peer.say(&hello(&house.uri(id), id)).await;
        assert_eq!(peer.answer().await, format!("{id} 200"));
        seat.is_bound().await;
    }
    let mut all = String::new();
    for round in 0..50 {
        for id in ["a", "b", "c"] {
            all += &send(&house.uri(id), &format!("{id}-{round:02}"), &format!("{id} {round}"));
        }
    }
    peer.say(&all).await;
    let mut answers = Vec::new();
    for _ in 0..150 {
        answers.push(peer.answer().await);
    }
    for (seat, id) in seats.iter_mut().zip(["a", "b", "c"]) {
        let own: Vec<_> = answers.iter().filter(|answer| answer.starts_with(id)).collect();
        assert_eq!(own.len(), 50);
        assert!(own.is_sorted() && own.iter().all(|answer| answer.ends_with(" 200")));
        for round in 0..50 {
            assert_eq!(seat.message().await, format!("{id} {round}"));
        }
    }
    // Both ways.
    for (seat, id) in seats.iter_mut().zip(["a", "b", "c"]) {
        seat.send("out", id).await.unwrap();
        let frame = peer.frame().await;
        assert!(frame.contains(&format!("\r\n\r\n{id}\r\n")), "{frame}");
        peer.say(&ok(&frame)).await;
        assert_eq!(seat.hears().await, Event::Sent { message_id: "out".to_owned() });
    }
}

#[tokio::test]
async fn it_is_closed_when_the_last_session_leaves_it() {
    let house = House::start().await;
    let (mut a, mut b) = (house.seat("a"), house.seat("b"));
    a.listen(PEER);
    b.listen(PEER);
    let mut peer = Raw::connect(house.place).await;
    for id in ["a", "b"] {
        peer.say(&hello(&house.uri(id), id)).await;
        assert_eq!(peer.answer().await, format!("{id} 200"));
    }
    a.is_bound().await;
    b.is_bound().await;
    a.close();
    peer.say(&send(&house.uri("b"), "b2", "still here")).await;
    assert_eq!(peer.answer().await, "b2 200");
    assert_eq!(b.message().await, "still here");
    // A session that is over is no session.
    peer.say(&hello(&house.uri("nobody"), "n")).await;
    assert_eq!(peer.answer().await, "n 481");
    b.close();
    peer.is_closed().await;
}

#[tokio::test]
async fn it_is_lost_for_all_at_once() {
    let house = House::start().await;
    let (mut a, mut b) = (house.seat("a"), house.seat("b"));
    a.listen(PEER);
    b.listen(PEER);
    let mut peer = Raw::connect(house.place).await;
    for id in ["a", "b"] {
        peer.say(&hello(&house.uri(id), id)).await;
        assert_eq!(peer.answer().await, format!("{id} 200"));
    }
    drop(peer);
    for seat in [&mut a, &mut b] {
        seat.is_bound().await;
        assert_eq!(seat.hears().await, Event::Broken(Broken::Lost));
    }
}

#[tokio::test]
async fn m11_a_session_that_is_bound_elsewhere_stays_there() {
    let house = House::start().await;
    let (mut a, mut b) = (house.seat("a"), house.seat("b"));
    a.listen(PEER);
    b.listen(PEER);
    let (mut first, mut second) =
        (Raw::connect(house.place).await, Raw::connect(house.place).await);
    first.say(&hello(&house.uri("a"), "a1")).await;
    assert_eq!(first.answer().await, "a1 200");
    second.say(&hello(&house.uri("b"), "b1")).await;
    assert_eq!(second.answer().await, "b1 200");
    for tid in ["a2", "a3"] {
        second.say(&hello(&house.uri("a"), tid)).await;
        assert_eq!(second.answer().await, format!("{tid} 506"));
    }
    for (peer, seat, id) in [(&mut first, &mut a, "a"), (&mut second, &mut b, "b")] {
        seat.is_bound().await;
        peer.say(&send(&house.uri(id), "last", id)).await;
        assert_eq!(start(&peer.frame().await), "last 200");
        assert_eq!(seat.message().await, id);
    }
}
