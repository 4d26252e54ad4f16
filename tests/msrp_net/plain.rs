//! One session on one connection of TCP.

use std::time::Duration;

use chatbridge::msrp::{Broken, Event, Limits, SendError};
use chatbridge::net::{MsrpSettings, Service};

use crate::stage::{House, PEER, Raw, field, hello, ok, send, start};

#[tokio::test]
async fn two_of_ours_talk() {
    let house = House::start().await;
    let (mut alice, mut bob) = (house.seat("alice"), house.seat("bob"));
    bob.listen(&house.uri("alice"));
    alice.connect(&house.uri("bob"));
    alice.is_bound().await;
    bob.is_bound().await;
    let long = "0123456789".repeat(100_000);
    for (at, text) in ["hello", "", &long, "bye"].into_iter().enumerate() {
        alice.send(&format!("message-{at}"), text).await.unwrap();
        bob.send(&format!("message-{at}"), text).await.unwrap();
    }
    for seat in [&mut alice, &mut bob] {
        let (mut sent, mut heard) = (0, Vec::new());
        while sent < 4 || heard.len() < 4 {
            match seat.hears().await {
                Event::Sent { .. } => sent += 1,
                Event::Message(message) => heard.push(message.body.len()),
                other => panic!("{other:?}"),
            }
        }
        heard.sort_unstable();
        assert_eq!(heard, [0, 3, 5, long.len()]);
    }
    alice.close();
    assert_eq!(bob.hears().await, Event::Broken(Broken::Lost));
}

#[tokio::test]
async fn answers_of_one_read_keep_their_order() {
    let house = House::start().await;
    let mut seat = house.seat("s");
    seat.listen(PEER);
    let mut peer = Raw::connect(house.place).await;
    let many = (0..200).map(|at| send(&house.uri("s"), &format!("tid{at:03}"), "text"));
    peer.say(&many.collect::<String>()).await;
    for at in 0..200 {
        assert_eq!(peer.answer().await, format!("tid{at:03} 200"));
    }
    seat.is_bound().await;
    for _ in 0..200 {
        assert_eq!(seat.message().await, "text");
    }
}

#[tokio::test]
async fn m01_a_message_byte_by_byte() {
    let house = House::start().await;
    let mut seat = house.seat("s");
    seat.listen(PEER);
    let mut peer = Raw::connect(house.place).await;
    let text = send(&house.uri("s"), "tid1", "text").replace("1-4/4", "1-*/*");
    for at in 0..text.len() {
        peer.say(&text[at..=at]).await;
    }
    assert_eq!(peer.answer().await, "tid1 200");
    seat.is_bound().await;
    assert_eq!(seat.message().await, "text");
}

#[tokio::test]
async fn m02_hyphens_in_a_body() {
    let house = House::start().await;
    let mut seat = house.seat("s");
    seat.listen(PEER);
    let mut peer = Raw::connect(house.place).await;
    let body = "a\r\n-------other$\r\nb\r\n-------tid\r\nc-------tid1$";
    peer.say(&send(&house.uri("s"), "tid1", body)).await;
    assert_eq!(peer.answer().await, "tid1 200");
    seat.is_bound().await;
    assert_eq!(seat.message().await, body);
}

#[tokio::test]
async fn m03_m04_m08_m09_bad_requests_are_refused_and_the_connection_stays() {
    let house = House::start().await;
    let mut seat = house.seat("s");
    seat.listen(PEER);
    let mut peer = Raw::connect(house.place).await;
    let uri = house.uri("s");
    peer.say(&hello(&uri, "bind")).await;
    assert_eq!(peer.answer().await, "bind 200");
    let text = |tid: &str| send(&uri, tid, "text");
    for (request, answer) in [
        (text("range").replace("1-4/4", "5-4/10"), "range 400"),
        (text("huge").replace("1-4/4", "1-4/99999999999"), "huge 413"),
        (text("half").replace("1-4/4", "1-4/9").replace("half$", "half+"), "half 200"),
        (text("then").replace("1-4/4", "5-8/8").replace("id-then", "id-half"), "then 400"),
        (text("path").replace(PEER, "nonsense"), "path 400"),
        (text("other").replace("/s;tcp", "/t;tcp"), "other 481"),
        (text("what").replace("SEND", "WHAT"), "what 501"),
        (format!("{}{}", ok(&text("never")).replace("200", "999"), text("good")), "good 200"),
    ] {
        peer.say(&request).await;
        // A frame without a way back is answered on the way of the session.
        assert_eq!(peer.answer().await, answer, "{request}");
    }
    seat.is_bound().await;
    assert_eq!(seat.message().await, "text");
}

#[tokio::test]
async fn m05_half_messages_are_bounded_and_given_up() {
    let limits = Limits { stall: Duration::from_millis(200), ..Limits::default() };
    let house = House::serving(
        Service::Tcp,
        MsrpSettings { framing: limits.into(), ..MsrpSettings::default() },
    )
    .await;
    let mut seat = house.seat("s");
    seat.listen(PEER);
    let mut peer = Raw::connect(house.place).await;
    let half = |at: usize| {
        let tid = format!("tid{at}");
        let whole = send(&house.uri("s"), &tid, "text").replace("1-4/4", "1-4/*");
        whole.replace(&format!("{tid}$"), &format!("{tid}+"))
    };
    peer.say(&(0..20).map(half).collect::<String>()).await;
    let mut refused = 0;
    for _ in 0..20 {
        refused += usize::from(peer.answer().await.ends_with(" 413"));
    }
    assert_eq!(refused, 4);
    seat.is_bound().await;
    for _ in 0..16 {
        let report = peer.frame().await;
        assert!(start(&report).ends_with(" REPORT"), "{report}");
        assert_eq!(field(&report, "Status"), "000 413 Stop Sending Message");
    }
    peer.say(&send(&house.uri("s"), "whole", "text")).await;
    assert_eq!(peer.answer().await, "whole 200");
    assert_eq!(seat.message().await, "text");
}

#[tokio::test]
async fn m07_header_fields_of_any_name_and_case_are_taken() {
    let house = House::start().await;
    let mut seat = house.seat("s");
    seat.listen(PEER);
    let mut peer = Raw::connect(house.place).await;
    let fields = "content-disposition:inline\r\nContent-ID: <1@x>\r\nX-New: 1\r\nCONTENT-TYPE";
    let text = send(&house.uri("s"), "tid1", "text").replace("Content-Type", fields);
    let text = text.replace("To-Path", "TO-PATH").replace("From-Path", "from-path");
    peer.say(&text).await;
    assert_eq!(peer.answer().await, "tid1 200");
    seat.is_bound().await;
    let Event::Message(message) = seat.hears().await else { panic!("no message") };
    let kept: Vec<&str> = message.headers.iter().map(|header| header.name.as_str()).collect();
    assert_eq!(kept, ["content-disposition", "Content-ID", "X-New"]);
}

/// Whatever the peer says to it, and whatever it says of it afterwards.
#[tokio::test]
async fn m14_each_refusal_is_one_final_status() {
    let house = House::start().await;
    for code in [413, 415, 501, 481] {
        let id = format!("s{code}");
        let mut seat = house.seat(&id);
        seat.listen(PEER);
        let mut peer = Raw::connect(house.place).await;
        peer.say(&hello(&house.uri(&id), "bind")).await;
        assert_eq!(peer.answer().await, "bind 200");
        seat.is_bound().await;
        seat.send("m", &"x".repeat(100_000)).await.unwrap();
        let frame = peer.frame().await;
        let refusal = ok(&frame).replace("200 OK", &code.to_string());
        let report = hello(&house.uri(&id), "report")
            .replace(" SEND", " REPORT")
            .replace("id-report", "m\r\nStatus: 000 408");
        peer.say(&format!("{refusal}{refusal}{report}")).await;
        let end = seat.hears().await;
        assert!(matches!(&end, Event::Failed { code: told, .. } if *told == code), "{end:?}");
        if code == 481 {
            assert_eq!(seat.hears().await, Event::Broken(Broken::Refused { code }));
            peer.is_closed().await;
            continue;
        }
        peer.say(&send(&house.uri(&id), "last", "text")).await;
        assert_eq!(seat.message().await, "text");
        // What was under way, the end of it, and no more than that.
        let mut rest = Vec::new();
        while start(rest.last().map_or("MSRP - -", String::as_str)) != "last 200" {
            rest.push(peer.frame().await);
        }
        assert!(rest.len() < 12, "{} frames", rest.len());
    }
}

#[tokio::test]
async fn m06_what_is_no_msrp_is_closed() {
    let house = House::start().await;
    let mut seat = house.seat("s");
    seat.listen(PEER);
    let head = format!("MSRP tid1 SEND\r\nTo-Path: {}\r\n", house.uri("s"));
    for text in ["GET / HTTP/1.1\r\n\r\n".to_owned(), format!("{head}X: {}", "x".repeat(200_000))] {
        let mut peer = Raw::connect(house.place).await;
        use tokio::io::AsyncWriteExt;
        // It may be closed before all is written.
        drop(peer.stream.write_all(text.as_bytes()).await);
        peer.is_closed().await;
    }
    let mut peer = Raw::connect(house.place).await;
    peer.say(&hello(&house.uri("s"), "bind")).await;
    assert_eq!(peer.answer().await, "bind 200");
    seat.is_bound().await;
    peer.say("GET / HTTP/1.1\r\n\r\n").await;
    peer.is_closed().await;
    assert_eq!(seat.hears().await, Event::Broken(Broken::PeerMisbehaved));
}

#[tokio::test]
async fn m11_a_bound_session_keeps_its_connection() {
    let house = House::start().await;
    let mut seat = house.seat("s");
    seat.listen(PEER);
    let uri = house.uri("s");
    let mut first = Raw::connect(house.place).await;
    first.say(&hello(&uri, "one")).await;
    assert_eq!(first.answer().await, "one 200");
    let mut second = Raw::connect(house.place).await;
    second.say(&hello(&uri, "two")).await;
    assert_eq!(second.answer().await, "two 506");
    second.is_closed().await;
    let mut guess = Raw::connect(house.place).await;
    guess.say(&hello(&house.uri("guess"), "three")).await;
    assert_eq!(guess.answer().await, "three 481");
    guess.is_closed().await;
    first.say(&send(&uri, "four", "still here")).await;
    assert_eq!(first.answer().await, "four 200");
    seat.is_bound().await;
    assert_eq!(seat.message().await, "still here");
}

#[tokio::test]
async fn m13_a_peer_that_stops_reading_stops_nobody_else() {
    let house = House::start().await;
    let limits = Limits { queue: 8, ..Limits::default() };
    let (mut deaf, mut other) = (house.seat_with("deaf", limits), house.seat("other"));
    deaf.listen(PEER);
    other.listen(PEER);
    let mut peer = Raw::connect(house.place).await;
    peer.say(&hello(&house.uri("deaf"), "bind")).await;
    deaf.is_bound().await;
    let long = "x".repeat(1_000_000);
    for at in 0..8 {
        deaf.send(&format!("long-{at}"), &long).await.unwrap();
    }
    for at in 0..10_000 {
        assert_eq!(deaf.send(&format!("more-{at}"), "x").await, Err(SendError::Full));
    }
    let mut reader = Raw::connect(house.place).await;
    reader.say(&hello(&house.uri("other"), "bind")).await;
    assert_eq!(reader.answer().await, "bind 200");
    other.is_bound().await;
    other.send("m", "to one who reads").await.unwrap();
    let frame = reader.frame().await;
    assert!(frame.contains("to one who reads") && field(&frame, "Message-ID") == "m");
    assert!(start(&frame).ends_with(" SEND"));
    reader.say(&ok(&frame)).await;
    assert_eq!(other.hears().await, Event::Sent { message_id: "m".to_owned() });
}
