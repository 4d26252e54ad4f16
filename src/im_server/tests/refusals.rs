//! What the server does not let pass, and what it says then.

use super::*;

#[test]
fn refusals_of_the_callee_are_passed_through() {
    for code in [302, 404, 480, 486, 488, 603] {
        let mut world = World::new();
        world.give(invite("sip:bob@example.com"), ALICE);
        let forwarded = world.request();
        assert_eq!(
            world.answer(&forwarded, code),
            [
                "udp:127.0.0.1:5070 ACK sip:bob@example.com".to_owned(),
                format!("udp:192.0.2.10:5060 {code} INVITE")
            ]
        );
        assert_eq!(world.response().to_tag().as_deref(), Some("b"));
        let ack = ack_of(&invite("sip:bob@example.com"), &world.response());
        assert_eq!(world.give(ack, ALICE), [""; 0]);
        world.wait(32_000);
        assert_eq!(world.server.table.len(), 0);
    }
}

#[test]
fn what_leads_nowhere_is_refused() {
    let mut strict = World::with(|settings| settings.create_users = false);
    assert_eq!(refused(&mut strict, invite("sip:dave@example.com")), 404);
    let mut homeless = World::with(|settings| settings.home = None);
    assert_eq!(refused(&mut homeless, invite("sip:bob@example.com")), 480);
    let mut world = World::new();
    assert_eq!(refused(&mut world, invite("sip:bob@example.org")), 404);
    assert_eq!(refused(&mut world, invite("sips:bob@example.com")), 480);
    assert_eq!(refused(&mut world, invite("mailto:bob@example.com")), 416);
    let relay = [("Route", "<sip:192.0.2.99;lr>")];
    assert_eq!(refused(&mut world, request("INVITE", "sip:bob@example.com", &relay)), 403);
    let relay = [("Route", "<sip:192.0.2.1;lr>, <sip:192.0.2.99;lr>")];
    assert_eq!(refused(&mut world, request("INVITE", "sip:bob@example.com", &relay)), 403);
    let unrouted = [("To", "<sip:bob@example.org>;tag=b")];
    assert_eq!(refused(&mut world, request("BYE", "sip:bob@192.0.2.99", &unrouted)), 404);
}

#[test]
fn the_rules_for_forwarding_are_kept() {
    let mut world = World::new();
    let last_hop = [("Max-Forwards", "0")];
    assert_eq!(refused(&mut world, request("INVITE", "sip:bob@example.com", &last_hop)), 483);
    let option = [("Proxy-Require", "foo, bar")];
    assert_eq!(refused(&mut world, request("INVITE", "sip:bob@example.com", &option)), 420);
    assert_eq!(world.response().headers.get("Unsupported"), Some("foo, bar"));
}

#[test]
fn a_loop_is_seen_and_a_spiral_is_let_pass() {
    let mut world = World::new();
    world.give(invite("sip:bob@example.com"), ALICE);
    let looped = world.request();
    assert_eq!(refused(&mut world, looped.clone()), 482);
    let mut spiral = looped;
    spiral.uri = crate::sip::Uri::parse("sip:carol@example.com").unwrap();
    assert_eq!(
        world.give(spiral, HOME),
        ["udp:127.0.0.1:5070 100 INVITE", "udp:127.0.0.1:5070 INVITE sip:carol@example.com"]
    );
}

#[test]
fn the_ack_of_a_refusal_that_left_no_trace_goes_no_further() {
    let mut world = World::new();
    world.register("bob", "<sip:bob@192.0.2.30:5090>", 1);
    let call = request("INVITE", "sip:bob@example.com", &[("Max-Forwards", "0")]);
    assert_eq!(world.give(call.clone(), ALICE), ["udp:192.0.2.10:5060 483 INVITE"]);
    let first_tag = world.response().to_tag();
    assert_eq!(world.give(call.clone(), ALICE), ["udp:192.0.2.10:5060 483 INVITE"]);
    assert_eq!(world.response().to_tag(), first_tag);
    let ack = ack_of(&call, &world.response());
    assert_eq!(world.give(ack, ALICE), [""; 0]);
}

#[test]
fn an_ack_that_leads_nowhere_is_dropped() {
    let mut world = World::new();
    let tagged = ("To", "<sip:bob@example.org>;tag=b");
    assert_eq!(world.give(request("ACK", "sip:bob@example.com", &[]), ALICE), [""; 0]);
    assert_eq!(world.give(request("ACK", "sip:bob@example.org", &[tagged]), ALICE), [""; 0]);
    assert_eq!(world.give(request("ACK", "sip:192.0.2.1", &[tagged]), ALICE), [""; 0]);
    let spent = [tagged, ("Max-Forwards", "0"), ("Route", "<sip:192.0.2.1;lr>")];
    assert_eq!(world.give(request("ACK", "sip:bob@127.0.0.1", &spent), ALICE), [""; 0]);
}

#[test]
fn the_server_itself_answers_options_and_little_else() {
    let mut world = World::new();
    assert_eq!(
        world.give(request("OPTIONS", "sip:example.com", &[]), ALICE),
        ["udp:192.0.2.10:5060 200 OPTIONS"]
    );
    assert_eq!(world.response().headers.get("Allow"), Some("OPTIONS, REGISTER"));
    for (method, code) in [("INVITE", 405), ("MESSAGE", 405), ("PUBLISH", 405), ("FOO", 501)] {
        let call = request(method, "sip:192.0.2.1:5060", &[]);
        assert_eq!(refused(&mut world, call), code, "{method}");
        assert!(world.response().headers.has("Allow"), "{method}");
    }
    let lost = [("To", "<sip:example.com>;tag=b")];
    assert_eq!(refused(&mut world, request("BYE", "sip:example.com", &lost)), 481);
    let option = [("Require", "foo")];
    world.give(request("INFO", "sip:example.com", &option), ALICE);
    assert_eq!(world.response().status.code(), 420);
}

#[test]
fn a_full_table_refuses_what_is_new_and_lets_calls_end() {
    let mut world = World::with(|settings| settings.max_transactions = 8);
    let mut knock = |at: usize, to_tag: &str| {
        let via = format!("SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{at}");
        let to = format!("<sip:bob@example.com>{to_tag}");
        world.give(request("MESSAGE", "sip:bob@example.com", &[("Via", &via), ("To", &to)]), ALICE)
    };
    for at in 0..7 {
        assert_eq!(knock(at, ""), ["udp:127.0.0.1:5070 MESSAGE sip:bob@example.com"]);
    }
    assert_eq!(knock(7, ""), ["udp:192.0.2.10:5060 503 MESSAGE"]);
    assert_eq!(knock(8, ";tag=b"), ["udp:127.0.0.1:5070 MESSAGE sip:bob@example.com"]);
    assert_eq!(knock(9, ";tag=b"), ["udp:192.0.2.10:5060 503 MESSAGE"]);
    assert_eq!(world.response().headers.get("Retry-After"), Some("16"));
    world.wait(40_000);
    assert_eq!(world.server.table.len(), 0);
}

#[test]
fn responses_that_answer_nothing_are_dropped() {
    let mut world = World::new();
    let stranger = response_to(&invite("sip:bob@example.com"), status(200), Some("b"));
    assert_eq!(world.give_response(stranger), [""; 0]);
    world.give(invite("sip:bob@example.com"), ALICE);
    let mut forwarded = world.request();
    let elsewhere = forwarded.headers.get("Via").unwrap().replace("192.0.2.1:", "192.0.2.2:");
    forwarded.headers.take_first("Via");
    forwarded.headers.push_front("Via", &elsewhere);
    assert_eq!(world.answer(&forwarded, 200), [""; 0]);
}

/// Gives the code of the refusal of a request that is not like another one before it.
fn refused(world: &mut World, mut request: Request) -> u16 {
    let branch = world.sent.len();
    let via = request.via().unwrap();
    let own = format!("SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKown{branch}");
    if via.host == "192.0.2.10" {
        request.headers.set("Via", &own);
    }
    assert_eq!(world.give(request, ALICE).len(), 1);
    world.response().status.code()
}
