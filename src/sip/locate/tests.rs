//! Transcripts of questions and answers, and the draw among servers.
#![allow(clippy::unwrap_used)]

use super::*;

const ALL: [Transport; 3] = [Transport::Tls, Transport::Udp, Transport::Tcp];
const PLAIN: [Transport; 2] = [Transport::Udp, Transport::Tcp];

/// A zone: the name, then what stands there.
type Zone<'a> = &'a [(&'a str, Records)];

/// Locates `uri` in a zone; gives the questions and the hops.
fn locate(uri: &str, transports: &[Transport], zone: Zone<'_>) -> (Vec<String>, Vec<String>) {
    let destination = Destination::of_uri(&Uri::parse(uri).unwrap()).unwrap();
    let mut locator = Locator::new(destination, transports);
    let asked = answer_all(&mut locator, zone);
    (asked, shown(&locator.into_located().draw(&mut Random::seeded(1))))
}

fn answer_all(locator: &mut Locator, zone: Zone<'_>) -> Vec<String> {
    let mut asked = Vec::new();
    while let Some(question) = locator.next_question() {
        assert!(asked.len() < 64, "{asked:?}");
        let (line, name, nothing) = match question {
            Question::Naptr(name) => (format!("NAPTR {name}"), name, Records::Naptr(vec![])),
            Question::Srv(name) => (format!("SRV {name}"), name, Records::Srv(vec![])),
            Question::Addresses(name) => (format!("A {name}"), name, Records::Addresses(vec![])),
        };
        asked.push(line);
        let kind = std::mem::discriminant(&nothing);
        let known = zone
            .iter()
            .find(|(owner, records)| *owner == name && std::mem::discriminant(records) == kind);
        locator.handle(known.map_or(nothing, |(_, records)| records.clone()));
    }
    asked
}

fn shown(hops: &[Hop]) -> Vec<String> {
    hops.iter().map(ToString::to_string).collect()
}

fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Naptr {
    let [flags, service, replacement] = ["s", service, replacement].map(str::to_owned);
    Naptr { order, preference, flags, service, regexp: String::new(), replacement }
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
    Srv { priority, weight, port, target: target.to_owned() }
}

fn a(last: u8) -> Records {
    Records::Addresses(vec![IpAddr::from([192, 0, 2, last])])
}

#[test]
fn a_literal_needs_no_question() {
    for (uri, hop) in [
        ("sip:bob@192.0.2.1", "udp:192.0.2.1:5060"),
        ("sip:192.0.2.1:5080;transport=tcp", "tcp:192.0.2.1:5080"),
        ("sips:bob@[2001:db8::1]", "tls:[2001:db8::1]:5061"),
        ("sip:bob@b.example;maddr=192.0.2.7", "udp:192.0.2.7:5060"),
    ] {
        let (asked, hops) = locate(uri, &ALL, &[]);
        assert_eq!((asked.len(), hops.as_slice()), (0, [hop.to_owned()].as_slice()), "{uri}");
    }
}

#[test]
fn the_example_of_rfc_3263_takes_tcp() {
    let records = vec![
        naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com."),
        naptr(90, 50, "SIP+D2T", "_sip._tcp.example.com."),
        naptr(100, 50, "SIP+D2U", "_sip._udp.example.com."),
    ];
    let servers =
        vec![srv(0, 1, 5060, "server1.example.com."), srv(1, 2, 5070, "server2.example.com.")];
    let zone = [
        ("example.com.", Records::Naptr(records)),
        ("_sip._tcp.example.com.", Records::Srv(servers)),
        ("server1.example.com.", a(1)),
        ("server2.example.com.", a(2)),
    ];
    let (asked, hops) = locate("sip:user@example.com", &PLAIN, &zone);
    assert_eq!(
        asked,
        [
            "NAPTR example.com.",
            "SRV _sip._tcp.example.com.",
            "A server1.example.com.",
            "A server2.example.com."
        ]
    );
    assert_eq!(hops, ["tcp:192.0.2.1:5060", "tcp:192.0.2.2:5070"]);
    // Who speaks TLS retains what leads there.
    let (asked, hops) = locate("sip:user@example.com", &ALL, &zone);
    assert_eq!(asked[..2], ["NAPTR example.com.", "SRV _sips._tcp.example.com."]);
    assert_eq!(asked.len(), 5);
    assert_eq!(hops.len(), 2);
}

#[test]
fn sips_discards_what_is_not_sips() {
    let records = vec![
        naptr(1, 1, "SIP+D2T", "_sip._tcp.example.com."),
        naptr(2, 1, "SIPS+D2T", "_sips._tcp.elsewhere.example."),
    ];
    let zone = [
        ("example.com.", Records::Naptr(records)),
        ("_sips._tcp.elsewhere.example.", Records::Srv(vec![srv(0, 0, 5061, "s.example.")])),
        ("s.example.", a(3)),
    ];
    let (asked, hops) = locate("sips:user@example.com", &ALL, &zone);
    assert_eq!(asked[1], "SRV _sips._tcp.elsewhere.example.");
    assert_eq!(hops, ["tls:192.0.2.3:5061"]);
}

#[test]
fn the_order_comes_before_the_preference_and_what_is_not_ours_is_discarded() {
    let mut rewritten = naptr(1, 1, "SIP+D2U", "_sip._udp.wrong.example.");
    rewritten.regexp = "!^.*$!sip:x@y!".to_owned();
    let mut direct = naptr(1, 2, "SIP+D2U", "_sip._udp.wrong.example.");
    direct.flags = "u".to_owned();
    let records = vec![
        naptr(2, 1, "SIP+D2U", "_sip._udp.late.example."),
        naptr(1, 9, "sip+d2t", "_SIP._tcp.Early.example"),
        naptr(1, 3, "SIP+D2S", "_sip._sctp.example.com."),
        rewritten,
        direct,
    ];
    let (asked, _) =
        locate("sip:example.com", &PLAIN, &[("example.com.", Records::Naptr(records))]);
    assert_eq!(asked[1..3], ["SRV _sip._tcp.early.example.", "SRV _sip._udp.late.example."]);
}

#[test]
fn without_naptr_every_service_is_asked_for_and_without_srv_the_host_itself() {
    let zone = [
        ("_sip._tcp.example.com.", Records::Srv(vec![srv(0, 0, 5066, "t.example.com.")])),
        ("t.example.com.", a(4)),
    ];
    let (asked, hops) = locate("sip:example.com", &PLAIN, &zone);
    assert_eq!(
        asked,
        [
            "NAPTR example.com.",
            "SRV _sip._udp.example.com.",
            "SRV _sip._tcp.example.com.",
            "A t.example.com."
        ]
    );
    assert_eq!(hops, ["tcp:192.0.2.4:5066"]);
    let (asked, hops) = locate("sip:example.com", &PLAIN, &[("example.com", a(5))]);
    assert_eq!(asked.last().unwrap(), "A example.com");
    assert_eq!(hops, ["udp:192.0.2.5:5060"]);
    let (_, hops) = locate("sips:example.com", &ALL, &[("example.com", a(5))]);
    assert_eq!(hops, ["tls:192.0.2.5:5061"]);
}

#[test]
fn a_transport_spares_naptr_and_a_port_spares_srv() {
    let (asked, hops) = locate("sip:example.com;transport=tcp", &PLAIN, &[("example.com", a(6))]);
    assert_eq!(asked, ["SRV _sip._tcp.example.com.", "A example.com"]);
    assert_eq!(hops, ["tcp:192.0.2.6:5060"]);
    let (asked, hops) = locate("sip:example.com:5060", &PLAIN, &[("example.com", a(6))]);
    assert_eq!((asked, hops), (vec!["A example.com".into()], vec!["udp:192.0.2.6:5060".into()]));
    let (asked, _) = locate("sip:example.com;transport=tls", &PLAIN, &[]);
    assert_eq!(asked[0], "SRV _sips._tcp.example.com.");
}

#[test]
fn the_naptr_of_a_service_without_servers_still_names_the_transport() {
    let records = vec![naptr(1, 1, "SIP+D2T", "_sip._tcp.other.example.")];
    let zone = [("example.com.", Records::Naptr(records)), ("example.com", a(7))];
    assert_eq!(locate("sip:example.com", &PLAIN, &zone).1, ["tcp:192.0.2.7:5060"]);
}

#[test]
fn a_service_that_is_denied_is_not_looked_for_at_the_host() {
    let zone =
        [("_sip._udp.example.com.", Records::Srv(vec![srv(0, 0, 0, ".")])), ("example.com", a(8))];
    let (asked, hops) = locate("sip:example.com;transport=udp", &PLAIN, &zone);
    assert_eq!((asked.len(), hops.len()), (1, 0));
}

#[test]
fn a_target_is_asked_for_once_and_its_ports_and_addresses_are_all_taken() {
    let servers = vec![srv(0, 0, 5060, "s.example."), srv(1, 0, 5062, "S.example")];
    let both = vec![IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
    let zone = [
        ("_sip._udp.example.com.", Records::Srv(servers)),
        ("s.example.", Records::Addresses(both)),
    ];
    let (asked, hops) = locate("sip:example.com;transport=udp", &PLAIN, &zone);
    assert_eq!(asked.len(), 2);
    assert_eq!(
        hops,
        ["udp:192.0.2.1:5060", "udp:192.0.2.2:5060", "udp:192.0.2.1:5062", "udp:192.0.2.2:5062"]
    );
}

#[test]
fn a_hundred_records_and_more_are_cut_to_the_best() {
    let server = |n: u16| srv(500 - n, 0, 5000 + n, &format!("s{n}.example."));
    let servers = (0..500).map(server).collect();
    let many: Vec<_> = (0..=255).map(|last| IpAddr::from([192, 0, 2, last])).collect();
    let mut zone = vec![("_sip._udp.example.com.", Records::Srv(servers))];
    let names: Vec<String> = (0..500).map(|n| format!("s{n}.example.")).collect();
    zone.extend(names.iter().map(|name| (name.as_str(), Records::Addresses(many.clone()))));
    let (asked, hops) = locate("sip:example.com;transport=udp", &PLAIN, &zone);
    assert_eq!(asked.len(), 1 + MAX_TARGETS);
    assert_eq!(asked[1], "A s99.example.", "the best of the first hundred");
    assert_eq!(hops.len(), MAX_HOPS);
    let records = (0..500).map(|n| naptr(n, 0, "SIP+D2U", &format!("_sip._udp.x{n}.example.")));
    let zone = [("example.com.", Records::Naptr(records.collect()))];
    assert_eq!(locate("sip:example.com", &PLAIN, &zone).0.len(), 1 + MAX_SERVICES + 1);
}

#[test]
fn an_answer_to_another_question_changes_nothing() {
    let destination = Destination::of_uri(&Uri::parse("sip:example.com").unwrap()).unwrap();
    let mut locator = Locator::new(destination, &PLAIN);
    locator.handle(a(1));
    locator.handle(Records::Srv(vec![srv(0, 0, 1, "x.")]));
    assert_eq!(locator.next_question(), Some(Question::Naptr("example.com.".to_owned())));
    assert!(locator.into_located().is_empty());
}

#[test]
fn what_was_found_before_the_time_is_up_counts() {
    let servers = vec![srv(0, 0, 5060, "s1.example."), srv(1, 0, 5060, "s2.example.")];
    let hop = Hop::new(Transport::Udp, "example.com", 0);
    let mut locator = Locator::new(Destination::of_hop(&hop), &PLAIN);
    locator.handle(Records::Srv(servers));
    locator.handle(a(1));
    assert_eq!(locator.next_question(), Some(Question::Addresses("s2.example.".to_owned())));
    let located = locator.into_located();
    assert_eq!(shown(&located.draw(&mut Random::seeded(1))), ["udp:192.0.2.1:5060"]);
    assert!(located.addresses().contains(&IpAddr::from([192, 0, 2, 1])));
}

#[test]
fn weights_are_shares_and_priorities_are_laws() {
    let server = |priority, weight, last: u8| Server {
        priority,
        weight,
        hops: vec![Hop::new(Transport::Udp, &format!("192.0.2.{last}"), 5060)],
    };
    let servers = vec![server(2, 65_535, 9), server(1, 10, 1), server(1, 30, 3), server(1, 0, 7)];
    let located = Located { servers };
    let mut random = Random::seeded(7);
    let mut first = [0; 10];
    for _ in 0..4100 {
        let drawn = located.draw(&mut random);
        assert_eq!(drawn.len(), 4);
        assert_eq!(drawn[3].host, "192.0.2.9");
        let last: usize = drawn[0].host.rsplit('.').next().unwrap().parse().unwrap();
        first[last] += 1;
    }
    // Of 41 draws, the one without weight gets one, the others ten and thirty.
    assert!((900..1100).contains(&first[1]), "{first:?}");
    assert!((2900..3100).contains(&first[3]), "{first:?}");
    assert!((50..150).contains(&first[7]), "{first:?}");
}
