//! Those who wait: idle long polls, and applications that never answer.

use std::net::TcpListener;
use std::time::Duration;

use super::chat::{ALICE, open_channel, subscribe};
use super::client::{Connection, request};
use super::process::Server;

/// Subscribes for so many users whose applications never answer, and gives each of them something
/// to be told; gives the socket of the applications.
pub(crate) async fn subscribe_dead(server: &Server, count: usize) -> TcpListener {
    let hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", hole.local_addr().unwrap());
    let mut connection = Connection::open(server.address).await;
    for number in 0..count {
        let user = format!("+1958556{number:04}");
        subscribe(&mut connection, (&format!("tel%3A%2B{}", &user[1..]), ""), &url).await;
        let body = format!(
            "{{\"chatSessionInformation\":{{\"subject\":\"Hello\",\
             \"originatorAddress\":\"tel:+19585550102\",\"tParticipantAddress\":\"tel:{user}\"}}}}"
        );
        let at = "/1/chat/tel%3A%2B19585550102/sessions";
        let invited = connection.exchange(&request("POST", at, &body)).await;
        assert_eq!(invited.status, 201, "{}", invited.body);
    }
    hole
}

/// Opens channels, then polls them all; gives the bytes that the server holds before, between and
/// after.
pub(crate) async fn poll_idly(server: &Server, count: usize) -> [f64; 3] {
    let mut connection = Connection::open(server.address).await;
    let (first, _) = open_channel(&mut connection, ALICE).await;
    let before = server.resident();
    let mut urls = vec![first];
    while urls.len() < count {
        urls.push(open_channel(&mut connection, ALICE).await.0);
    }
    let opened = server.resident();
    let mut polls = Vec::new();
    for url in &urls {
        let mut poll = Connection::open(server.address).await;
        poll.send(&request("GET", url, "")).await;
        polls.push(poll);
    }
    // The last of them have arrived when an answer to a later request has.
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        ask(&mut connection).await;
    }
    [before, opened, server.resident()]
}

async fn ask(connection: &mut Connection) {
    let url = format!("/1/chat/{ALICE}/subscriptions");
    assert_eq!(connection.exchange(&request("GET", &url, "")).await.status, 200);
}
