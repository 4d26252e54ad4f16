//! An INVITE whose hop fails: the next one has its turn (RFC 3263 section 4.3).

use super::*;

const SECOND: &str = "192.0.2.4";
const THIRD: &str = "192.0.2.5";

#[test]
fn a_hop_that_cannot_be_reached_gives_way_to_the_next() {
    let mut stage = calling_three(Transport::Udp);
    let first = stage.last("INVITE").clone();
    let peer = stage.peer.clone();
    assert_eq!(stage.break_transport(&peer), ["INVITE 1 > udp:192.0.2.4:5060"]);
    let second = stage.last("INVITE").clone();
    assert_eq!(unlike(&first, &second), ["Via"]);
    assert_ne!(first.via().unwrap().branch(), second.via().unwrap().branch());
    // The news of the first hop may come more than once.
    assert_eq!(stage.break_transport(&peer), [""; 0]);
    let lines = stage.reply("INVITE", 200, "b", &[("Contact", "<sip:bob@192.0.2.3>")]);
    assert_eq!(lines, ["ACK 1 > udp:192.0.2.3:5060", "Established 200"]);
}

#[test]
fn a_hop_that_never_answers_gives_way_to_the_next() {
    let mut stage = calling_three(Transport::Tcp);
    assert_eq!(stage.wait(Duration::from_secs(31)), [""; 0]);
    assert_eq!(stage.wait(Duration::from_secs(1)), ["32000 INVITE 1 > tcp:192.0.2.4:5060"]);
    assert_eq!(stage.wait(Duration::from_secs(32)), ["64000 INVITE 1 > tcp:192.0.2.5:5060"]);
    assert_eq!(stage.wait(Duration::from_secs(32)), ["96000 NoAnswer Timeout"]);
    stage.assert_fades();
}

#[test]
fn a_503_gives_way_and_tells_how_long_its_hop_is_to_be_spared() {
    let mut stage = calling_three(Transport::Udp);
    let lines = stage.reply("INVITE", 503, "x", &[("Retry-After", "120 (restarting);duration=5")]);
    assert_eq!(
        lines,
        [
            "ACK 1 > udp:192.0.2.2:5060",
            "Spare udp:192.0.2.2:5060 120",
            "INVITE 1 > udp:192.0.2.4:5060"
        ]
    );
    let lines = stage.reply("INVITE", 503, "y", &[]);
    assert_eq!(lines, ["ACK 1 > udp:192.0.2.4:5060", "INVITE 1 > udp:192.0.2.5:5060"]);
    // With nothing else left, the 503 is the answer.
    let lines = stage.reply("INVITE", 503, "z", &[("Retry-After", "7")]);
    assert_eq!(lines, ["ACK 1 > udp:192.0.2.5:5060", "Spare udp:192.0.2.5:5060 7", "Refused 503"]);
    stage.assert_fades();
}

#[test]
fn what_a_hop_decides_is_final() {
    for code in [302, 404, 480, 486, 500, 504, 600] {
        let mut stage = calling_three(Transport::Udp);
        let lines = stage.reply("INVITE", code, "x", &[("Retry-After", "9")]);
        assert_eq!(lines, ["ACK 1 > udp:192.0.2.2:5060".to_owned(), format!("Refused {code}")]);
    }
}

#[test]
fn where_somebody_rings_a_dead_connection_is_the_end() {
    let mut stage = calling_three(Transport::Tcp);
    assert_eq!(stage.reply("INVITE", 180, "b", &[]), ["Progress 180"]);
    let peer = stage.peer.clone();
    assert_eq!(stage.break_transport(&peer), ["NoAnswer Transport"]);
}

#[test]
fn where_nobody_has_heard_yet_a_dead_connection_gives_way() {
    let mut stage = calling_three(Transport::Tcp);
    let mut trying = response_to(stage.last("INVITE"), Status::TRYING, None);
    trying.headers.remove("Contact");
    assert_eq!(stage.give(Message::Response(trying)), ["Progress 100"]);
    let peer = stage.peer.clone();
    assert_eq!(stage.break_transport(&peer), ["INVITE 1 > tcp:192.0.2.4:5060"]);
}

#[test]
fn a_call_that_was_taken_back_goes_nowhere_else() {
    let mut stage = calling_three(Transport::Udp);
    stage.leg.cancel(stage.now, None);
    let peer = stage.peer.clone();
    assert_eq!(stage.break_transport(&peer), ["Cancelled"]);

    let mut stage = calling_three(Transport::Udp);
    assert_eq!(stage.reply("INVITE", 180, "b", &[]), ["Progress 180"]);
    stage.leg.cancel(stage.now, None);
    assert_eq!(stage.drain(), ["CANCEL 1 > udp:192.0.2.2:5060"]);
    assert_eq!(stage.reply("INVITE", 503, "b", &[]), ["ACK 1 > udp:192.0.2.2:5060", "Refused 503"]);
}

#[test]
fn the_cancel_goes_to_the_hop_that_rings() {
    let mut stage = calling_three(Transport::Udp);
    stage.reply("INVITE", 503, "x", &[]);
    let invite = stage.last("INVITE").clone();
    assert_eq!(stage.reply("INVITE", 180, "b", &[]), ["Progress 180"]);
    stage.leg.cancel(stage.now, None);
    assert_eq!(stage.drain(), ["CANCEL 1 > udp:192.0.2.4:5060"]);
    assert_eq!(stage.last("CANCEL").headers.get("Via"), invite.headers.get("Via"));
}

#[test]
fn who_accepts_by_a_way_that_was_given_up_is_hung_up_on_after_a_refusal_too() {
    let mut stage = calling_three(Transport::Tcp);
    let late = stage.last("INVITE").clone();
    let peer = stage.peer.clone();
    stage.break_transport(&peer);
    let lines = stage.reply("INVITE", 486, "b", &[]);
    assert_eq!(lines, ["ACK 1 > tcp:192.0.2.4:5060", "Refused 486"]);
    let mut accepted = response_to(&late, Status::OK, Some("late"));
    accepted.headers.push("Contact", "<sip:bob@192.0.2.9>");
    let lines = stage.give(Message::Response(accepted));
    assert_eq!(lines, ["ACK 1 > udp:192.0.2.9:5060", "BYE 2 > udp:192.0.2.9:5060"]);
    assert_eq!(stage.reply("BYE", 200, "late", &[]), [""; 0]);
    stage.assert_fades();
}

#[test]
fn who_accepts_by_a_way_that_was_given_up_is_hung_up_on_and_the_other_goes_on() {
    let mut stage = calling_three(Transport::Tcp);
    let late = stage.last("INVITE").clone();
    let peer = stage.peer.clone();
    stage.break_transport(&peer);
    let mut accepted = response_to(&late, Status::OK, Some("late"));
    accepted.headers.push("Contact", "<sip:bob@192.0.2.9>");
    let accepted = Message::Response(accepted);
    assert_eq!(
        stage.give(accepted.clone()),
        ["ACK 1 > udp:192.0.2.9:5060", "BYE 2 > udp:192.0.2.9:5060"]
    );
    assert_eq!(stage.give(accepted), ["ACK 1 > udp:192.0.2.9:5060"]);
    let lines = stage.reply("INVITE", 200, "b", &[("Contact", "<sip:bob@192.0.2.3>")]);
    assert_eq!(lines, ["ACK 1 > udp:192.0.2.3:5060", "Established 200"]);
}

#[test]
fn the_route_names_the_proxy_as_it_is_configured_whatever_its_addresses() {
    let hop = Hop::new(Transport::Udp, "192.0.2.2", 5060);
    let mut call = call(Some(hop));
    call.proxy = Some(Hop::new(Transport::Tcp, "core.example", 0));
    let leg = Leg::call(Instant::now(), call, kit("192.0.2.1", Transport::Udp, 1));
    let mut stage = Stage::of(leg);
    assert_eq!(stage.drain(), ["INVITE 1 > udp:192.0.2.2:5060"]);
    let route = stage.last("INVITE").headers.get("Route");
    assert_eq!(route, Some("<sip:core.example;lr;transport=tcp>"));
}

#[test]
fn an_invite_too_large_for_a_datagram_is_cancelled_where_it_went() {
    let mut stage = calling_large();
    assert_eq!(stage.drain(), ["INVITE 1 > tcp:192.0.2.2:5060"]);
    let via = stage.last("INVITE").headers.get("Via").unwrap().to_owned();
    assert!(via.starts_with("SIP/2.0/TCP 192.0.2.1:5060;"), "{via}");
    stage.reply("INVITE", 180, "b", &[]);
    stage.leg.cancel(stage.now, None);
    assert_eq!(stage.drain(), ["CANCEL 1 > tcp:192.0.2.2:5060"]);
    assert_eq!(stage.last("CANCEL").headers.get("Via"), Some(via.as_str()));
}

#[test]
fn where_tcp_fails_the_large_invite_is_a_datagram_and_then_goes_elsewhere() {
    let mut stage = calling_large();
    stage.drain();
    let by_tcp = Hop::new(Transport::Tcp, "192.0.2.2", 5060);
    assert_eq!(stage.break_transport(&by_tcp), ["INVITE 1 > udp:192.0.2.2:5060"]);
    let invite = stage.last("INVITE");
    assert!(invite.headers.get("Via").unwrap().starts_with("SIP/2.0/UDP"));
    assert!(invite.encode().len() > 1300);
    stage.reply("INVITE", 180, "b", &[]);
    stage.leg.cancel(stage.now, None);
    assert_eq!(stage.drain(), ["CANCEL 1 > udp:192.0.2.2:5060"]);

    let mut stage = calling_large();
    stage.drain();
    stage.break_transport(&by_tcp);
    let peer = stage.peer.clone();
    assert_eq!(stage.break_transport(&peer), ["INVITE 1 > tcp:192.0.2.4:5060"]);
}

/// A leg that has sent its INVITE to the first of three hops.
fn calling_three(transport: Transport) -> Stage {
    let (start, peer) = (Instant::now(), Hop::new(transport, "192.0.2.2", 5060));
    let leg = Leg::call(start, call_to_three(transport), kit("192.0.2.1", transport, 1));
    let mut stage = Stage { leg, start, now: start, sent: Vec::new(), peer };
    assert_eq!(stage.drain(), [format!("INVITE 1 > {}", stage.peer)]);
    stage
}

/// A leg whose INVITE is larger than a datagram should be.
fn calling_large() -> Stage {
    let mut call = call_to_three(Transport::Udp);
    call.body = body(&"offer ".repeat(300));
    Stage::of(Leg::call(Instant::now(), call, kit("192.0.2.1", Transport::Udp, 1)))
}

fn call_to_three(transport: Transport) -> Call {
    let mut call = call(None);
    let hops = ["192.0.2.2", SECOND, THIRD];
    call.next_hops = hops.map(|host| Hop::new(transport, host, 5060)).to_vec();
    call
}

/// The names of the headers in which two requests differ.
fn unlike(a: &Request, b: &Request) -> Vec<String> {
    assert_eq!((&a.uri, &a.body, a.headers.len()), (&b.uri, &b.body, b.headers.len()));
    let pairs = a.headers.iter().zip(b.headers.iter());
    pairs.filter(|(a, b)| a != b).map(|((name, _), _)| name.to_owned()).collect()
}
