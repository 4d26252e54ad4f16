//! Calls through the server: the way out, the way back, and the end of it.

use super::*;
use crate::sip::Method;

#[test]
fn an_invite_goes_home_and_its_dialog_follows_the_record_route() {
    let mut world = World::new();
    assert_eq!(
        world.give(invite("sip:bob@example.com"), ALICE),
        ["udp:192.0.2.10:5060 100 INVITE", "udp:127.0.0.1:5070 INVITE sip:bob@example.com"]
    );
    let forwarded = world.request();
    assert_eq!(forwarded.headers.get("Max-Forwards"), Some("69"));
    let route = sealed(&forwarded);
    assert!(route.starts_with("<sip:192.0.2.1:5060;seal=") && route.ends_with(";lr>"), "{route}");
    assert_eq!(forwarded.vias().unwrap().len(), 2);

    assert_eq!(world.answer(&forwarded, 180), ["udp:192.0.2.10:5060 180 INVITE"]);
    assert_eq!(world.answer(&forwarded, 200), ["udp:192.0.2.10:5060 200 INVITE"]);
    assert_eq!(world.response().vias().unwrap().len(), 1);

    let dialog = [
        ("To", "<sip:bob@example.com>;tag=b"),
        ("Route", &*route),
        ("Via", "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKother"),
    ];
    let contact = "sip:bob@127.0.0.1:5070";
    assert_eq!(
        world.give(request("ACK", contact, &dialog), ALICE),
        ["udp:127.0.0.1:5070 ACK sip:bob@127.0.0.1:5070"]
    );
    assert!(!world.request().headers.has("Route"));
    assert_eq!(
        world.give(request("BYE", contact, &dialog), ALICE),
        ["udp:127.0.0.1:5070 BYE sip:bob@127.0.0.1:5070"]
    );
    let bye = world.request();
    assert_eq!(world.answer(&bye, 200), ["udp:192.0.2.10:5060 200 BYE"]);
    assert_eq!(world.wait(40_000), [""; 0]);
    assert_eq!(world.server.table.len(), 0);
    assert_eq!(world.server.next_timeout(), None);
}

#[test]
fn what_is_too_large_for_a_datagram_goes_by_tcp_and_where_that_fails_by_udp() {
    const BY_TCP: &str = "tcp:127.0.0.1:5070";
    for falls_back in [false, true] {
        let mut world = World::new();
        let mut call = invite("sip:bob@example.com");
        call.headers.push("Subject", &"long ".repeat(250));
        let lines = world.give(call, ALICE);
        assert_eq!(lines[1], format!("{BY_TCP} INVITE sip:bob@example.com"));
        let mut way = BY_TCP;
        if falls_back {
            assert_eq!(world.fail(BY_TCP), [format!("{HOME} INVITE sip:bob@example.com")]);
            way = HOME;
        }
        let forwarded = world.request();
        let token = if falls_back { "SIP/2.0/UDP" } else { "SIP/2.0/TCP" };
        assert!(forwarded.headers.get("Via").unwrap().starts_with(token));
        assert_eq!(forwarded.vias().unwrap().len(), 2);
        world.answer(&forwarded, 180);
        let lines = world.give(request("CANCEL", "sip:bob@example.com", &[]), ALICE);
        assert!(lines.contains(&format!("{way} CANCEL sip:bob@example.com")), "{lines:?}");
        let cancel = world.request();
        let top = |request: &Request| request.vias().unwrap()[0].clone();
        assert_eq!(top(&cancel), top(&forwarded));
        world.answer(&cancel, 200);
        world.answer(&forwarded, 487);
        let refusal = world.response();
        world.give(ack_of(&invite("sip:bob@example.com"), &refusal), ALICE);
        world.wait(100_000);
        assert_eq!(world.server.table.len(), 0);
    }
}

#[test]
fn the_callee_ends_the_call_against_the_stream() {
    let mut world = World::new();
    world.give(invite("sip:bob@example.com"), ALICE);
    let forwarded = world.request();
    world.answer(&forwarded, 200);
    let bye = request(
        "BYE",
        "sip:alice@192.0.2.10:5060",
        &[
            ("To", "<sip:alice@example.com>;tag=a"),
            ("From", "<sip:bob@example.com>;tag=b"),
            ("Route", &sealed(&forwarded)),
            ("Via", "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKbye"),
        ],
    );
    assert_eq!(world.give(bye, HOME), ["udp:192.0.2.10:5060 BYE sip:alice@192.0.2.10:5060"]);
    let bye = world.request();
    assert_eq!(world.answer(&bye, 200), ["udp:127.0.0.1:5070 200 BYE"]);
}

#[test]
fn both_ends_may_be_the_bridge() {
    let mut world = World::new();
    let mut call = invite("sip:bob@example.com");
    call.headers.set("Via", "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKhome");
    assert_eq!(
        world.give(call, HOME),
        ["udp:127.0.0.1:5070 100 INVITE", "udp:127.0.0.1:5070 INVITE sip:bob@example.com"]
    );
    let forwarded = world.request();
    assert_eq!(world.answer(&forwarded, 200), ["udp:127.0.0.1:5070 200 INVITE"]);
}

#[test]
fn repetitions_are_absorbed_and_a_repeated_2xx_is_passed_on() {
    let mut world = World::new();
    world.give(invite("sip:bob@example.com"), ALICE);
    let forwarded = world.request();
    assert_eq!(
        world.give(invite("sip:bob@example.com"), ALICE),
        ["udp:192.0.2.10:5060 100 INVITE"]
    );
    assert_eq!(
        world.wait(1_000),
        ["500 udp:127.0.0.1:5070 INVITE sip:bob@example.com"],
        "the copy is repeated until somebody answers"
    );
    world.answer(&forwarded, 100);
    assert_eq!(world.wait(10_000), [""; 0]);
    world.answer(&forwarded, 200);
    assert_eq!(world.give(invite("sip:bob@example.com"), ALICE), [""; 0]);
    assert_eq!(world.answer(&forwarded, 200), ["udp:192.0.2.10:5060 200 INVITE"]);
    world.wait(32_000);
    assert_eq!(world.answer(&forwarded, 200), [""; 0], "a stray response goes nowhere");
}

#[test]
fn a_cancel_is_held_until_the_callee_is_heard_of() {
    let mut world = World::new();
    world.give(invite("sip:bob@example.com"), ALICE);
    let forwarded = world.request();
    let cancel = request(
        "CANCEL",
        "sip:bob@example.com",
        &[("Reason", "SIP;cause=200;text=\"Call completed elsewhere\"")],
    );
    assert_eq!(world.give(cancel.clone(), ALICE), ["udp:192.0.2.10:5060 200 CANCEL"]);
    assert_eq!(
        world.answer(&forwarded, 180),
        ["udp:192.0.2.10:5060 180 INVITE", "udp:127.0.0.1:5070 CANCEL sip:bob@example.com"]
    );
    let sent = world.request();
    assert_eq!(sent.headers.list("Via").collect::<Vec<_>>(), {
        forwarded.headers.list("Via").take(1).collect::<Vec<_>>()
    });
    assert_eq!(sent.headers.get("CSeq"), Some("1 CANCEL"));
    assert_eq!(sent.headers.get("Reason"), Some("SIP;cause=200;text=\"Call completed elsewhere\""));
    assert_eq!(world.answer(&sent, 200), [""; 0]);
    assert_eq!(
        world.answer(&forwarded, 487),
        ["udp:127.0.0.1:5070 ACK sip:bob@example.com", "udp:192.0.2.10:5060 487 INVITE"]
    );
    assert_eq!(world.give(cancel, ALICE), ["udp:192.0.2.10:5060 200 CANCEL"]);
}

#[test]
fn a_cancel_after_ringing_goes_on_at_once() {
    let mut world = World::new();
    world.give(invite("sip:bob@example.com"), ALICE);
    let forwarded = world.request();
    world.answer(&forwarded, 180);
    assert_eq!(
        world.give(request("CANCEL", "sip:bob@example.com", &[]), ALICE),
        ["udp:192.0.2.10:5060 200 CANCEL", "udp:127.0.0.1:5070 CANCEL sip:bob@example.com"]
    );
    assert_eq!(
        world.answer(&forwarded, 200),
        ["udp:192.0.2.10:5060 200 INVITE"],
        "a 2xx that crosses the CANCEL counts"
    );
}

#[test]
fn a_cancelled_callee_who_falls_silent_is_given_up() {
    let mut world = World::new();
    world.give(invite("sip:bob@example.com"), ALICE);
    let forwarded = world.request();
    world.answer(&forwarded, 180);
    world.give(request("CANCEL", "sip:bob@example.com", &[]), ALICE);
    let cancel = world.request();
    world.answer(&cancel, 200);
    assert_eq!(world.wait(32_000), ["32000 udp:192.0.2.10:5060 487 INVITE"]);
    world.wait(40_000);
    assert_eq!(world.server.table.len(), 0);
}

#[test]
fn a_cancel_of_nothing_is_told_so() {
    let mut world = World::new();
    let cancel = request("CANCEL", "sip:bob@example.com", &[]);
    assert_eq!(world.give(cancel, ALICE), ["udp:192.0.2.10:5060 481 CANCEL"]);
    assert_eq!(world.server.table.len(), 0);
}

#[test]
fn nobody_rings_for_more_than_three_minutes() {
    let mut world = World::new();
    world.give(invite("sip:bob@example.com"), ALICE);
    let forwarded = world.request();
    world.answer(&forwarded, 180);
    assert_eq!(world.wait(170_000), [""; 0]);
    world.answer(&forwarded, 180);
    let lines = world.wait(181_000);
    assert_eq!(lines, ["351000 udp:127.0.0.1:5070 CANCEL sip:bob@example.com"]);
    assert_eq!(
        world.answer(&forwarded, 487),
        ["udp:127.0.0.1:5070 ACK sip:bob@example.com", "udp:192.0.2.10:5060 408 INVITE"]
    );
}

#[test]
fn silence_is_a_408_and_its_ack_ends_here() {
    let mut world = World::new();
    world.give(invite("sip:bob@example.com"), ALICE);
    let lines = world.wait(32_000);
    assert_eq!(lines.last().unwrap(), "32000 udp:192.0.2.10:5060 408 INVITE");
    let ack = ack_of(&invite("sip:bob@example.com"), &world.response());
    assert_eq!(world.give(ack, ALICE), [""; 0]);
    assert_eq!(world.wait(6_000), [""; 0]);
    assert_eq!(world.server.table.len(), 0);
}

#[test]
fn silence_to_another_request_is_silence_behind_a_late_100() {
    let mut world = World::new();
    world.give(request("MESSAGE", "sip:bob@example.com", &[]), ALICE);
    let mut lines = world.wait(40_000);
    lines.retain(|line| line.contains("192.0.2.10"));
    assert_eq!(lines, ["3500 udp:192.0.2.10:5060 100 MESSAGE"]);
    assert_eq!(world.server.table.len(), 0);
}

#[test]
fn a_bridge_that_cannot_be_reached_is_a_500() {
    let mut world = World::new();
    world.give(invite("sip:bob@example.com"), ALICE);
    assert_eq!(world.fail("udp:192.0.2.99:5070"), [""; 0]);
    assert_eq!(world.fail(HOME), ["udp:192.0.2.10:5060 500 INVITE"]);
}

#[test]
fn a_response_that_cannot_be_delivered_changes_nothing() {
    let mut world = World::new();
    world.give(invite("sip:bob@example.com"), ALICE);
    let forwarded = world.request();
    assert_eq!(world.fail(ALICE), [""; 0]);
    assert_eq!(world.answer(&forwarded, 200), ["udp:192.0.2.10:5060 200 INVITE"]);
}

#[test]
fn between_two_transports_the_server_stands_twice_in_the_route() {
    let mut world = World::new();
    let mut call = invite("sip:bob@example.com");
    call.headers.set("Via", "SIP/2.0/TCP 192.0.2.10:5060;branch=z9hG4bKINVITE");
    assert_eq!(
        world.give(call, "tcp:192.0.2.10:40000"),
        ["tcp:192.0.2.10:40000 100 INVITE", "udp:127.0.0.1:5070 INVITE sip:bob@example.com"]
    );
    let forwarded = world.request();
    let routes: Vec<_> = forwarded.headers.list("Record-Route").collect();
    assert_eq!(routes.len(), 2);
    assert!(routes[0].starts_with("<sip:192.0.2.1:5060;seal="), "{routes:?}");
    assert!(routes[1].starts_with("<sip:192.0.2.1:5060;transport=tcp;seal="), "{routes:?}");
    assert_eq!(world.answer(&forwarded, 200), ["tcp:192.0.2.10:40000 200 INVITE"]);

    let mut bye = request("BYE", "sip:bob@127.0.0.1:5070", &[]);
    bye.headers.set("To", "<sip:bob@example.com>;tag=b");
    for route in routes.iter().rev() {
        bye.headers.push("Route", route);
    }
    assert_eq!(
        world.give(bye, "tcp:192.0.2.10:40000"),
        ["udp:127.0.0.1:5070 BYE sip:bob@127.0.0.1:5070"]
    );
    assert!(!world.request().headers.has("Route"));
}

#[test]
fn routers_behind_us_are_loose_or_strict() {
    let mut world = World::new();
    world.give(invite("sip:bob@example.com"), ALICE);
    let own = sealed(&world.request());
    let dialog = |route| [("To", "<sip:bob@example.com>;tag=b"), ("Route", route)];
    let loose = format!("{own}, <sip:192.0.2.30:5090;lr>");
    assert_eq!(
        world.give(request("BYE", "sip:bob@127.0.0.1:5070", &dialog(&*loose)), ALICE),
        ["udp:192.0.2.30:5090 BYE sip:bob@127.0.0.1:5070"]
    );
    assert_eq!(world.request().headers.get("Route"), Some("<sip:192.0.2.30:5090;lr>"));

    let strict = format!("{own}, <sip:192.0.2.31:5090>");
    assert_eq!(
        world.give(request("INFO", "sip:bob@127.0.0.1:5070", &dialog(&*strict)), ALICE),
        ["udp:192.0.2.31:5090 INFO sip:192.0.2.31:5090"]
    );
    assert_eq!(world.request().headers.get("Route"), Some("<sip:bob@127.0.0.1:5070>"));

    let undone = "<sip:bob@127.0.0.1:5070>";
    let own = own.trim_matches(['<', '>']);
    assert_eq!(
        world.give(request("UPDATE", own, &dialog(undone)), ALICE),
        ["udp:127.0.0.1:5070 UPDATE sip:bob@127.0.0.1:5070"]
    );
}

#[test]
fn what_was_rewritten_on_the_way_is_stamped_and_answered_there() {
    let mut world = World::new();
    let mut call = invite("tel:+19585550100");
    call.headers.set("Via", "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKnat;rport");
    assert_eq!(
        world.give(call, "udp:192.0.2.10:41000"),
        ["udp:192.0.2.10:41000 100 INVITE", "udp:127.0.0.1:5070 INVITE tel:+19585550100"]
    );
    let lower = world.request().vias().unwrap().remove(1);
    assert_eq!((lower.received(), lower.rport()), (Some("192.0.2.10"), Some(41_000)));
}

#[test]
fn methods_without_a_dialog_are_not_recorded() {
    let mut world = World::new();
    world.give(request("MESSAGE", "sip:bob@example.com", &[]), ALICE);
    let forwarded = world.request();
    assert_eq!(forwarded.method, Method::Message);
    assert!(!forwarded.headers.has("Record-Route"));
}
