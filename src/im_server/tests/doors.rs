//! Who gets in, and by what.

use super::*;
use crate::sip::{Challenge, Uri, challenges};

const MALLORY: &str = "udp:198.51.100.66:5060";

#[test]
fn s13_nobody_gets_in_without_a_password() {
    let mut world = World::new();
    for (method, code) in [
        ("INVITE", 407),
        ("MESSAGE", 407),
        ("SUBSCRIBE", 407),
        ("REFER", 407),
        ("PUBLISH", 407),
        ("NOTIFY", 407),
        ("OPTIONS", 407),
        ("BYE", 407),
        ("FOO", 407),
    ] {
        for user in ["bob", "nobody"] {
            let call = request(method, &format!("sip:{user}@example.com"), &[]);
            let line = format!("{MALLORY} {code} {method}");
            assert_eq!(world.knock(call, MALLORY), [line]);
        }
    }
    for method in ["INVITE", "SUBSCRIBE", "PUBLISH", "FOO"] {
        let call = request(method, "sip:example.com", &[]);
        let line = format!("{MALLORY} 401 {method}");
        assert_eq!(world.knock(call, MALLORY), [line]);
    }
    for user in ["bob", "nobody"] {
        let to = format!("<sip:{user}@example.com>");
        let all = register(&to, "1", &[("Contact", "<sip:x@192.0.2.66>")]);
        assert_eq!(world.knock(all, MALLORY), ["udp:198.51.100.66:5060 401 REGISTER"]);
    }
    assert_eq!(world.server.table.len(), 0, "of strangers nothing is kept");
    let abroad = request("INVITE", "sip:bob@example.org", &[]);
    assert_eq!(world.knock(abroad, MALLORY), ["udp:198.51.100.66:5060 407 INVITE"]);
}

#[test]
fn a_challenge_prefers_the_better_hash_and_has_a_header_for_each() {
    let mut world = World::new();
    world.knock(invite("sip:bob@example.com"), MALLORY);
    let asked = world.response();
    let lines: Vec<_> = asked.headers.all("Proxy-Authenticate").collect();
    assert_eq!(lines.len(), 2);
    for (line, algorithm) in lines.iter().zip(["SHA-256", "MD5"]) {
        assert!(line.starts_with("Digest realm=\"example.com\", nonce=\""), "{line}");
        assert!(line.ends_with(&format!(", qop=\"auth\", algorithm={algorithm}")), "{line}");
    }
    assert!(!asked.headers.has("WWW-Authenticate"));
    let mut world = World::with(|it| it.algorithms = vec![crate::sip::Algorithm::Md5]);
    world.knock(invite("sip:bob@example.com"), MALLORY);
    assert_eq!(world.response().headers.all("Proxy-Authenticate").count(), 1);
}

#[test]
fn everybody_may_ping_and_nothing_is_kept_of_it() {
    let mut world = World::new();
    for at in 0..100 {
        let via = format!("SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{at}");
        let ping = request("OPTIONS", "sip:example.com", &[("Via", &via)]);
        assert_eq!(world.knock(ping, MALLORY), ["udp:198.51.100.66:5060 200 OPTIONS"]);
    }
    assert_eq!(world.server.table.len(), 0);
}

#[test]
fn whoever_answers_the_challenge_gets_in_by_either_hash() {
    for (at, name) in [(0, "alice"), (1, "alice@example.com"), (0, "sip:alice@example.com")] {
        let mut world = World::new();
        let to = "<sip:alice@example.com>";
        world.knock(register(to, "1", &[]), ALICE);
        let mut asked = world.response();
        let line = asked.headers.all("WWW-Authenticate").nth(at).unwrap().to_owned();
        asked.headers.set("WWW-Authenticate", &line);
        let mut again = register(to, "2", &[("Contact", "<sip:alice@192.0.2.10>")]);
        client(name, "alice!", &asked).authorize(&mut again);
        assert_eq!(
            world.knock(again, ALICE),
            ["udp:192.0.2.10:5060 200 REGISTER"],
            "{name} {line}"
        );
    }
}

#[test]
fn what_was_overheard_opens_nothing() {
    let mut world = World::with(|settings| settings.nonce_lifetime = Duration::from_secs(60));
    let mut call = invite("sip:bob@example.com");
    world.sign(&mut call);
    world.knock(call.clone(), ALICE);
    call.headers.set("Via", "SIP/2.0/UDP 192.0.2.66:5060;branch=z9hG4bKreplayed");
    assert_eq!(world.knock(call, MALLORY), ["udp:198.51.100.66:5060 407 INVITE"]);
    assert!(challenge(&world).stale);

    world.wait(61_000);
    let mut late = request("MESSAGE", "sip:bob@example.com", &[]);
    world.sign(&mut late);
    assert_eq!(world.knock(late, ALICE), ["udp:192.0.2.10:5060 407 MESSAGE"]);
    assert!(challenge(&world).stale);

    world.knock(request("MESSAGE", "sip:bob@example.com", &[]), ALICE);
    assert!(!challenge(&world).stale);
}

#[test]
fn a_wrong_password_and_a_wrong_name_are_told_the_same() {
    let mut world = World::new();
    world.knock(register("<sip:alice@example.com>", "1", &[]), ALICE);
    let asked = world.response();
    for (name, password) in [("alice", "wrong"), ("dave", "alice!"), ("bob", "alice!"), ("", "")] {
        let mut again = register("<sip:alice@example.com>", "2", &[]);
        client(name, password, &asked).authorize(&mut again);
        assert_eq!(world.knock(again, ALICE), ["udp:192.0.2.10:5060 403 REGISTER"], "{name}");
    }
    assert_eq!(world.server.table.len(), 0);
}

#[test]
fn nobody_talks_the_server_down() {
    let mut world = World::new();
    world.knock(register("<sip:alice@example.com>", "1", &[]), ALICE);
    let asked = world.response();
    for (offered, weaker) in [
        ("algorithm=SHA-256", "algorithm=MD5-sess"),
        ("algorithm=SHA-256", "algorithm=SHA-256-sess"),
        ("algorithm=SHA-256", "algorithm=SHA-512-256"),
        ("qop=\"auth\"", "qop=\"auth-int\""),
        ("qop=\"auth\"", "x=y"),
    ] {
        let mut other = asked.clone();
        let line = asked.headers.get("WWW-Authenticate").unwrap().replace(offered, weaker);
        other.headers.set("WWW-Authenticate", &line);
        let mut again = register("<sip:alice@example.com>", "2", &[]);
        client("alice", "alice!", &other).authorize(&mut again);
        assert_eq!(world.knock(again, ALICE), ["udp:192.0.2.10:5060 403 REGISTER"], "{weaker}");
    }
}

#[test]
fn a_user_without_a_password_is_called_but_stays_inside() {
    let mut world = World::new();
    assert_eq!(
        world.give(invite("sip:dave@example.com"), ALICE),
        ["udp:192.0.2.10:5060 100 INVITE", "udp:127.0.0.1:5070 INVITE sip:dave@example.com"]
    );
    let from_home = register("<sip:dave@example.com>", "1", &[("Contact", "<sip:x@192.0.2.66>")]);
    assert_eq!(world.knock(from_home, HOME), ["udp:127.0.0.1:5060 403 REGISTER"]);
}

#[test]
fn the_bridge_is_known_by_its_own_port_and_else_by_its_password() {
    let mut world = World::with(|settings| settings.home_credentials = Some(bridge()));
    for source in ["udp:127.0.0.1:5071", "tcp:127.0.0.1:5070", "udp:127.0.0.2:5070"] {
        let call = from_bridge(source);
        world.knock(call.clone(), source);
        assert_eq!(world.response().status.code(), 407, "{source}");
        let mut again = call;
        client("bridge", "drawn", &world.response()).authorize(&mut again);
        again.headers.set("CSeq", "2 INVITE");
        world.knock(again, source);
        assert_eq!(world.request().headers.get("P-Asserted-Identity"), Some("<tel:+1>"));
    }
}

#[test]
fn an_address_that_others_may_use_proves_nothing() {
    let home = "udp:192.0.2.20:5070";
    let mut world = World::with(|settings| settings.home = Some(hop(home)));
    world.knock(from_bridge(home), home);
    assert_eq!(world.response().status.code(), 407);
}

#[test]
fn a_forged_tag_and_our_route_are_no_dialog() {
    let mut world = World::new();
    world.give(invite("sip:bob@example.com"), ALICE);
    let route = sealed(&world.request());
    let forged = |call_id: &str, from: &str, route: &str, method: &str| {
        let via = format!("SIP/2.0/UDP 198.51.100.66:5060;branch=z9hG4bK{call_id}{method}");
        request(
            method,
            "sip:victim@203.0.113.1",
            &[
                ("Via", &via),
                ("From", &format!("<sip:mallory@example.org>;tag={from}")),
                ("To", "<sip:victim@203.0.113.1>;tag=forged"),
                ("Call-ID", call_id),
                ("Route", route),
            ],
        )
    };
    let plain = "<sip:192.0.2.1:5060;lr>";
    let guessed = "<sip:192.0.2.1:5060;seal=00000000000000000000000000000000;lr>";
    let short = format!("{}>", &route[..route.find("seal=").unwrap() + 6]);
    let at_once = world.server.table.len();
    for (at, (from, route)) in
        [("m", plain), ("m", guessed), ("m", &*route), ("a", &*short)].into_iter().enumerate()
    {
        let call_id = if at == 2 { "one@192.0.2.10" } else { "other" };
        for method in ["BYE", "INVITE", "MESSAGE"] {
            let line = format!("udp:198.51.100.66:5060 407 {method}");
            assert_eq!(world.knock(forged(call_id, from, route, method), MALLORY), [line]);
        }
        assert_eq!(world.knock(forged(call_id, from, route, "ACK"), MALLORY), [""; 0], "{route}");
    }
    assert_eq!(world.server.table.len(), at_once);
}

#[test]
fn who_has_a_password_relays_no_further_than_the_domain() {
    let mut world = World::new();
    let lost = [("To", "<sip:bob@example.org>;tag=b"), ("Route", "<sip:192.0.2.1:5060;lr>")];
    let bye = request("BYE", "sip:bob@203.0.113.1", &lost);
    assert_eq!(world.give(bye, ALICE), ["udp:192.0.2.10:5060 404 BYE"]);
}

#[test]
fn a_call_is_only_taken_back_from_where_it_came() {
    let mut world = World::new();
    world.give(invite("sip:bob@example.com"), ALICE);
    let cancel = request("CANCEL", "sip:bob@example.com", &[]);
    assert_eq!(world.knock(cancel.clone(), MALLORY), ["udp:198.51.100.66:5060 481 CANCEL"]);
    assert_eq!(world.knock(cancel, ALICE), ["udp:192.0.2.10:5060 200 CANCEL"]);
}

#[test]
fn what_comes_twice_on_two_ways_is_done_once() {
    let mut world = World::new();
    let to = "<sip:bob@example.com>";
    let more = [("Contact", "<sip:bob@192.0.2.30>"), ("From", "<sip:bob@example.com>;tag=b")];
    world.give(register(to, "1", &more), ALICE);
    let mut copy = register(to, "1", &more);
    copy.headers.set("Via", "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKdetour");
    assert_eq!(world.give(copy, ALICE), ["udp:192.0.2.10:5060 482 REGISTER"]);
    world.wait(80_000);
    assert_eq!(world.server.table.len(), 0);
    let next = register(to, "2", &more);
    assert_eq!(world.give(next, ALICE), ["udp:192.0.2.10:5060 200 REGISTER"]);
}

#[test]
fn our_credentials_go_no_further_and_those_of_others_do() {
    let mut world = World::new();
    let mut call = invite("sip:bob@example.com");
    world.sign(&mut call);
    let other = r#"Digest username="a", realm="elsewhere", nonce="n", uri="sip:b", response="0""#;
    call.headers.push("Proxy-Authorization", other);
    world.knock(call, ALICE);
    let sent = world.request();
    assert_eq!(sent.headers.all("Proxy-Authorization").collect::<Vec<_>>(), [other]);
    assert!(!sent.headers.has("Authorization"));
}

fn challenge(world: &World) -> Challenge {
    let asked = world.response();
    let found = Asker::ALL.iter().flat_map(|asker| challenges(&asked.headers, *asker)).next();
    found.unwrap()
}

fn bridge() -> Credentials {
    let password = Password::Text("drawn".to_owned());
    Credentials { username: "bridge".to_owned(), password, realms: Vec::new() }
}

/// An INVITE in the name of a user of the bridge.
fn from_bridge(source: &str) -> Request {
    let mut call = invite("sip:bob@example.com");
    let source = hop(source);
    let token = source.transport.via_token();
    let via = format!("SIP/2.0/{token} {};branch=z9hG4bK{}", source.authority(), source.port);
    call.headers.set("Via", &via);
    call.headers.push("P-Asserted-Identity", "<tel:+1>");
    call.uri = Uri::parse("sip:bob@example.com").unwrap();
    call
}
