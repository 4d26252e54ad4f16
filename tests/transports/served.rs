//! The whole bridge beside a core that speaks TLS.

use std::time::Duration;

use chatbridge::app::Running;
use chatbridge::config::Config;
use chatbridge::sip::{Method, Transport};

use crate::certificates::Authority;
use crate::element::{Element, hop, options, soon};

#[tokio::test]
async fn the_bridge_and_a_core_meet_under_tls_both_ways() {
    let authority = Authority::new();
    let mut core = Element::secure(authority.mutual(&["localhost"])).await;
    let (certificate, private_key) = authority.issue(&["127.0.0.1"]);
    let text = format!(
        "[store]\nkind = \"memory\"\n[rest]\nlisten = \"127.0.0.1:0\"\n[msrp]\nlisten = \"127.0.0.1:0\"\n\
         [sip]\nlisten = \"127.0.0.1:0\"\ntls_listen = \"127.0.0.1:0\"\n\
         certificate = {certificate:?}\nprivate_key = {private_key:?}\n\
         client_ca = {ca:?}\nca = {ca:?}\n\
         [core]\nmode = \"peer\"\ntransport = \"tls\"\nnext_hop = \"localhost:{port}\"\n",
        ca = authority.file(),
        port = core.sockets.tls.unwrap().port(),
    );
    let running = Running::start(&Config::read(&text, []).unwrap()).await.unwrap();
    let place = running.tls().unwrap();
    invite(&running).await;
    let (invite, source) = core.request().await;
    assert_eq!(invite.method, Method::Invite);
    let via = invite.headers.get("Via").unwrap();
    assert!(via.starts_with(&format!("SIP/2.0/TLS {place};")), "{via}");
    let contact = invite.headers.get("Contact").unwrap();
    assert!(contact.starts_with(&format!("<sip:{place};transport=tls>")), "{contact}");
    // The core sends its own requests on the connection of the bridge, which has shown itself.
    let hop = hop(Transport::Tls, place);
    let _told = core.send(options(&core.hop(Transport::Tls), 1, ""), &hop);
    let (response, from) = core.response().await;
    assert_eq!((response.status.code(), from), (200, source));
    // Another element of the core opens one.
    let mut other = Element::secure(authority.settings(&["127.0.0.1"])).await;
    let _told = other.send(options(&other.hop(Transport::Tls), 2, ""), &hop);
    let (response, from) = other.response().await;
    assert_eq!((response.status.code(), from), (200, hop));
    running.stop(Duration::ZERO).await;
}

/// Lets an application invite somebody.
async fn invite(running: &Running) {
    let url = format!("http://{}/1/chat/tel%3A%2B19585550100/sessions", running.rest());
    let document = r#"{"chatSessionInformation":{"subject":"Hello",
        "originatorAddress":"tel:+19585550100","tParticipantAddress":"tel:+19585550101"}}"#;
    let request = reqwest::Client::new().post(url).header("Content-Type", "application/json");
    let answer = soon(request.body(document).send()).await.unwrap();
    assert_eq!(answer.status(), 201);
}
