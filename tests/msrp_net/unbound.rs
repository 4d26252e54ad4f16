//! Connections that name no session.

use std::time::Duration;

use chatbridge::net::{MsrpSettings, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::interval;

use crate::stage::{House, PEER, Raw, hello, soon};

#[tokio::test]
async fn m12_who_names_no_session_is_closed_whatever_it_says() {
    let bind_timeout = Duration::from_millis(100);
    let settings = MsrpSettings { bind_timeout, ..MsrpSettings::default() };
    let house = House::serving(Service::Tcp, settings).await;
    let slow = hello(&house.uri("s"), "slow");
    for trickle in [&b""[..], b"\r\n", slow.as_bytes()] {
        let mut peer = Raw::connect(house.place).await;
        let mut pace = interval(Duration::from_millis(5));
        let bytes = trickle.iter().cycle();
        let (mut read, mut write) = peer.stream.split();
        let speak = async {
            for byte in bytes {
                pace.tick().await;
                if write.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let mut seen = [0; 16];
        tokio::select! {
            () = speak => {}
            end = soon(read.read(&mut seen)) => assert!(matches!(end, Ok(0) | Err(_))),
        }
    }
}

#[tokio::test]
async fn m12_one_source_gets_so_many_places() {
    let settings = MsrpSettings { unbound_per_source: 2, ..MsrpSettings::default() };
    let house = House::serving(Service::Tcp, settings).await;
    let mut seat = house.seat("s");
    seat.listen(PEER);
    let mut first = Raw::connect(house.place).await;
    let second = Raw::connect(house.place).await;
    Raw::connect(house.place).await.is_closed().await;
    first.say(&hello(&house.uri("s"), "one")).await;
    assert_eq!(first.answer().await, "one 200");
    seat.is_bound().await;
    // Who has named a session has given its place back.
    let mut third = Raw::connect(house.place).await;
    third.say(&hello(&house.uri("nowhere"), "two")).await;
    assert_eq!(third.answer().await, "two 481");
    drop(second);
}

#[tokio::test]
async fn m06_a_first_frame_that_is_wrong_is_refused() {
    let house = House::start().await;
    let seat = house.seat("s");
    seat.listen(PEER);
    let uri = house.uri("s");
    for wrong in ["no colon\r\n".to_owned(), "X: y\r\n".repeat(100)] {
        let mut peer = Raw::connect(house.place).await;
        let range = "Byte-Range: 1-0/0\r\n";
        peer.say(&hello(&uri, "one").replace(range, &wrong)).await;
        assert_eq!(peer.answer().await, "one 400");
        peer.is_closed().await;
    }
}
