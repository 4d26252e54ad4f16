//! Lookups against a name server of the test, S19 of the hostile cases among them.
#![allow(clippy::unwrap_used)]

use super::name_server::{Entry, NameServer};
use super::*;
use crate::ids::Random;
use crate::sip::{Hop, MAX_HOPS};

use Entry::{A, Address, Cname, Naptr, Srv};

/// Locates by name alone; gives the hops, or why there are none.
async fn locate(server: &NameServer, host: &str) -> Result<Vec<String>, NotFound> {
    locate_with(server.settings(), destination(host, None)).await
}

async fn locate_with(
    settings: DnsSettings,
    destination: Destination,
) -> Result<Vec<String>, NotFound> {
    let found = dns(settings).locate(destination).await?;
    let hops = found.located.draw(&mut Random::seeded(1));
    Ok(hops.iter().map(ToString::to_string).collect())
}

fn dns(settings: DnsSettings) -> Dns {
    Dns::new(settings, "127.0.0.1:0".parse().unwrap())
}

fn destination(host: &str, transport: Option<Transport>) -> Destination {
    Destination { host: host.to_owned(), port: None, transport, secure: false }
}

fn srv(priority: u16, port: u16, target: &str) -> Entry {
    Srv(priority, 0, port, target.to_owned())
}

#[tokio::test]
async fn naptr_chooses_the_transport_and_srv_the_order_of_the_servers() {
    let server = NameServer::start(
        60,
        &[
            ("core.test.", Naptr(20, "SIP+D2U", "_sip._udp.core.test.")),
            ("core.test.", Naptr(10, "SIP+D2T", "_sip._tcp.core.test.")),
            ("core.test.", Naptr(5, "SIPS+D2T", "_sips._tcp.core.test.")),
            ("_sip._tcp.core.test.", srv(2, 5062, "b.core.test.")),
            ("_sip._tcp.core.test.", srv(1, 5061, "a.core.test.")),
            ("a.core.test.", A(1)),
            ("a.core.test.", A(3)),
            ("b.core.test.", A(2)),
        ],
    )
    .await;
    let plain = vec![Transport::Udp, Transport::Tcp];
    let settings = DnsSettings { transports: plain, ..server.settings() };
    let found = locate_with(settings, destination("core.test", None)).await;
    assert_eq!(found.unwrap(), ["tcp:127.0.0.1:5061", "tcp:127.0.0.3:5061", "tcp:127.0.0.2:5062"]);
    assert_eq!(
        server.asked(),
        ["NAPTR core.test.", "SRV _sip._tcp.core.test.", "A a.core.test.", "A b.core.test."]
    );
}

#[tokio::test]
async fn without_records_of_sip_the_host_itself_is_called() {
    let server = NameServer::start(60, &[("core.test.", A(7))]).await;
    assert_eq!(locate(&server, "core.test").await.unwrap(), ["udp:127.0.0.7:5060"]);
    assert_eq!(
        server.asked(),
        [
            "NAPTR core.test.",
            "SRV _sip._udp.core.test.",
            "SRV _sip._tcp.core.test.",
            "SRV _sips._tcp.core.test.",
            "A core.test."
        ]
    );
}

#[tokio::test]
async fn weights_share_the_calls() {
    let entry = |weight, target: &str| Srv(1, weight, 5060, target.to_owned());
    let server = NameServer::start(
        60,
        &[
            ("_sip._udp.core.test.", entry(1, "a.core.test.")),
            ("_sip._udp.core.test.", entry(99, "b.core.test.")),
            ("a.core.test.", A(1)),
            ("b.core.test.", A(2)),
        ],
    )
    .await;
    let udp = destination("core.test", Some(Transport::Udp));
    let found = dns(server.settings()).locate(udp).await.unwrap();
    let mut random = Random::seeded(1);
    let heavy = (0..1000).filter(|_| found.located.draw(&mut random)[0].host == "127.0.0.2");
    assert!((960..1000).contains(&heavy.count()));
}

#[tokio::test]
async fn an_answer_is_asked_for_once_as_long_as_it_holds() {
    let server = NameServer::start(60, &[("core.test.", A(7))]).await;
    let dns = dns(server.settings());
    let wanted = Destination { port: Some(5060), ..destination("core.test", None) };
    let first = dns.locate(wanted.clone()).await.unwrap();
    assert_eq!(server.asked(), ["A core.test."]);
    let holds = first.valid_until.saturating_duration_since(now());
    assert!(holds <= Duration::from_secs(60) && holds > Duration::from_secs(30), "{holds:?}");
    assert_eq!(dns.locate(wanted).await.unwrap().located, first.located);
    assert_eq!(server.asked(), [""; 0]);
}

#[tokio::test]
async fn a_literal_asks_nobody() {
    let server = NameServer::start(60, &[]).await;
    assert_eq!(locate(&server, "192.0.2.1").await.unwrap(), ["udp:192.0.2.1:5060"]);
    assert_eq!(server.asked(), [""; 0]);
}

#[tokio::test]
async fn s19_who_gets_no_answer_gives_up_within_the_budget() {
    let server = NameServer::start(60, &[]).await;
    server.fall_silent();
    let settings = DnsSettings { budget: Duration::from_millis(300), ..server.settings() };
    let asking = locate_with(settings, destination("core.test", None));
    // The outer wait is there for a test that would hang; it is no measurement.
    let told = timeout(Duration::from_secs(20), asking).await.unwrap();
    assert_eq!(told, Err(NotFound::Silence));
}

#[tokio::test]
async fn s19_what_is_known_when_the_time_is_up_counts() {
    // The second server's name is one that the test's server never speaks of.
    let server = NameServer::start(
        60,
        &[
            ("_sip._udp.core.test.", srv(1, 5060, "a.core.test.")),
            ("_sip._udp.core.test.", srv(2, 5060, "silent.core.test.")),
            ("a.core.test.", A(1)),
        ],
    )
    .await;
    server.never_speak_of("silent.core.test.");
    let settings = DnsSettings { budget: Duration::from_millis(600), ..server.settings() };
    let found = locate_with(settings, destination("core.test", Some(Transport::Udp))).await;
    assert_eq!(found.unwrap(), ["udp:127.0.0.1:5060"]);
}

#[tokio::test]
async fn s19_a_name_that_is_not_there_is_no_silence() {
    let server = NameServer::start(60, &[]).await;
    assert_eq!(locate(&server, "core.test").await, Err(NotFound::Nothing));
    assert_eq!(locate(&server, "no name at all").await, Err(NotFound::Nothing));
    assert_eq!(locate(&server, &"x".repeat(300)).await, Err(NotFound::Nothing));
}

#[tokio::test]
async fn s19_a_hundred_servers_are_cut_to_the_best() {
    let names: Vec<String> = (0..100).map(|n| format!("s{n}.t.")).collect();
    let mut zone: Vec<(&str, Entry)> = Vec::new();
    for (n, name) in (0..).zip(&names) {
        zone.push(("_sip._udp.t.", srv(n, 5060 + n, name)));
        zone.push((name, A(u8::try_from(n + 1).unwrap())));
    }
    let server = NameServer::start(60, &zone).await;
    let found = locate_with(server.settings(), destination("t", Some(Transport::Udp))).await;
    let found = found.unwrap();
    assert_eq!(found.len(), MAX_HOPS);
    assert_eq!(found[15], "udp:127.0.0.16:5075");
    // So many do not fit into a datagram: the question is repeated over TCP.
    assert_eq!(server.asked().len(), 2 + MAX_HOPS);
}

#[tokio::test]
async fn s19_aliases_in_a_ring_lead_nowhere_and_others_lead_on() {
    let server = NameServer::start(
        60,
        &[
            ("ring.test.", Cname("gnir.test.")),
            ("gnir.test.", Cname("ring.test.")),
            ("alias.test.", Cname("core.test.")),
            ("core.test.", A(7)),
        ],
    )
    .await;
    let by_port = |host| Destination { port: Some(5060), ..destination(host, None) };
    assert!(locate_with(server.settings(), by_port("ring.test")).await.is_err());
    assert!(server.asked().len() < 64);
    let found = locate_with(server.settings(), by_port("alias.test")).await;
    assert_eq!(found.unwrap(), ["udp:127.0.0.7:5060"]);
}

#[tokio::test]
async fn s19_names_lead_to_private_places_only_where_that_is_allowed() {
    let server = NameServer::start(
        60,
        &[
            ("core.test.", A(1)),
            ("core.test.", Address([192, 168, 1, 1].into())),
            ("core.test.", Address([169, 254, 169, 254].into())),
            ("core.test.", Address([224, 0, 0, 1].into())),
            ("core.test.", Address([8, 8, 8, 8].into())),
        ],
    )
    .await;
    let core = || Destination { port: Some(5060), ..destination("core.test", None) };
    let settings = DnsSettings { allow_private: false, ..server.settings() };
    assert_eq!(locate_with(settings, core()).await.unwrap(), ["udp:8.8.8.8:5060"]);
    let mut found = locate_with(server.settings(), core()).await.unwrap();
    found.sort();
    assert_eq!(found, ["udp:127.0.0.1:5060", "udp:192.168.1.1:5060", "udp:8.8.8.8:5060"]);
}

#[tokio::test]
async fn only_so_many_are_looked_for_at_a_time() {
    let server = NameServer::start(60, &[]).await;
    let settings = DnsSettings { lookups: 1, ..server.settings() };
    let dns = dns(settings);
    let _other = dns.lookups.acquire().await.unwrap();
    let told = dns.locate(destination("core.test", None)).await;
    assert_eq!(told, Err(NotFound::Busy));
}

#[test]
fn a_socket_is_given_addresses_of_its_kind() {
    let of = |local: &str| Dns::new(DnsSettings::default(), local.parse().unwrap()).addresses;
    assert_eq!(of("0.0.0.0:5060"), [RecordType::A]);
    assert_eq!(of("[2001:db8::1]:5060"), [RecordType::AAAA]);
    assert_eq!(of("[::]:5060"), [RecordType::AAAA, RecordType::A]);
    assert_eq!(Destination::of_hop(&Hop::new(Transport::Tls, "h", 0)).port, None);
}
