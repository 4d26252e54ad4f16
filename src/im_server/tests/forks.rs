//! Users with several devices: all of them ring, one of them answers.

use super::*;

const BOTH: &str = "<sip:a@192.0.2.31>, <sip:b@192.0.2.32>";

#[test]
fn contacts_of_one_rank_ring_together_and_the_first_answer_wins() {
    let mut world = World::new();
    let (one, other) = ring_both(&mut world);
    assert_eq!(world.answer(&one, 180), ["udp:192.0.2.10:5060 180 INVITE"]);
    assert_eq!(world.answer(&other, 180), ["udp:192.0.2.10:5060 180 INVITE"]);
    assert_eq!(
        world.answer(&other, 200),
        ["udp:192.0.2.10:5060 200 INVITE", "udp:192.0.2.31:5060 CANCEL sip:a@192.0.2.31"]
    );
    let cancel = world.request();
    assert_eq!(world.answer(&cancel, 200), [""; 0]);
    assert_eq!(world.answer(&one, 487), ["udp:192.0.2.31:5060 ACK sip:a@192.0.2.31"]);
    assert_eq!(world.wait(40_000), [""; 0]);
    assert_eq!(world.server.table.len(), 0);
}

#[test]
fn a_loser_that_has_not_rung_is_cancelled_when_it_does() {
    let mut world = World::new();
    let (one, other) = ring_both(&mut world);
    assert_eq!(world.answer(&other, 200), ["udp:192.0.2.10:5060 200 INVITE"]);
    assert_eq!(
        world.answer(&one, 100),
        ["udp:192.0.2.31:5060 CANCEL sip:a@192.0.2.31"],
        "no CANCEL before the first provisional response (RFC 3261 section 9.1)"
    );
}

#[test]
fn two_who_answer_at_once_are_both_told_to_the_caller() {
    let mut world = World::new();
    let (one, other) = ring_both(&mut world);
    assert_eq!(world.answer(&one, 200), ["udp:192.0.2.10:5060 200 INVITE"]);
    assert_eq!(world.answer(&other, 200), ["udp:192.0.2.10:5060 200 INVITE"]);
}

#[test]
fn the_best_refusal_waits_for_the_last() {
    let mut world = World::new();
    let (one, other) = ring_both(&mut world);
    assert_eq!(world.answer(&one, 404), ["udp:192.0.2.31:5060 ACK sip:a@192.0.2.31"]);
    assert_eq!(world.answer(&other, 180), ["udp:192.0.2.10:5060 180 INVITE"]);
    assert_eq!(
        world.answer(&other, 302),
        ["udp:192.0.2.32:5060 ACK sip:b@192.0.2.32", "udp:192.0.2.10:5060 302 INVITE"]
    );
}

#[test]
fn a_6xx_ends_the_ringing_of_the_others() {
    let mut world = World::new();
    let (one, other) = ring_both(&mut world);
    world.answer(&one, 180);
    assert_eq!(
        world.answer(&other, 603),
        ["udp:192.0.2.32:5060 ACK sip:b@192.0.2.32", "udp:192.0.2.31:5060 CANCEL sip:a@192.0.2.31"]
    );
    assert_eq!(
        world.answer(&one, 487),
        ["udp:192.0.2.31:5060 ACK sip:a@192.0.2.31", "udp:192.0.2.10:5060 603 INVITE"]
    );
}

#[test]
fn a_cancel_reaches_every_device() {
    let mut world = World::new();
    let (one, other) = ring_both(&mut world);
    world.answer(&one, 180);
    world.answer(&other, 180);
    assert_eq!(
        world.give(request("CANCEL", "sip:bob@example.com", &[]), ALICE),
        [
            "udp:192.0.2.10:5060 200 CANCEL",
            "udp:192.0.2.31:5060 CANCEL sip:a@192.0.2.31",
            "udp:192.0.2.32:5060 CANCEL sip:b@192.0.2.32"
        ]
    );
    assert_eq!(world.answer(&one, 487), ["udp:192.0.2.31:5060 ACK sip:a@192.0.2.31"]);
    assert_eq!(
        world.answer(&other, 487),
        ["udp:192.0.2.32:5060 ACK sip:b@192.0.2.32", "udp:192.0.2.10:5060 487 INVITE"]
    );
}

#[test]
fn a_message_reaches_every_device_and_is_answered_once() {
    let mut world = World::new();
    world.register("bob", BOTH, 1);
    assert_eq!(
        world.give(request("MESSAGE", "sip:bob@example.com", &[]), ALICE),
        [
            "udp:192.0.2.31:5060 MESSAGE sip:a@192.0.2.31",
            "udp:192.0.2.32:5060 MESSAGE sip:b@192.0.2.32"
        ]
    );
    let [one, other] = last_two(&world);
    assert_eq!(world.answer(&one, 200), ["udp:192.0.2.10:5060 200 MESSAGE"]);
    assert_eq!(world.answer(&other, 200), [""; 0]);
    world.wait(40_000);
    assert_eq!(world.server.table.len(), 0);
}

#[test]
fn a_408_is_never_passed_on_to_another_request_than_invite() {
    let mut world = World::new();
    world.register("bob", BOTH, 1);
    world.give(request("MESSAGE", "sip:bob@example.com", &[]), ALICE);
    let [one, other] = last_two(&world);
    assert_eq!(world.answer(&one, 408), [""; 0]);
    assert_eq!(world.answer(&other, 408), [""; 0]);
    let mut lines = world.wait(40_000);
    lines.retain(|line| !line.contains(" 100 "));
    assert_eq!(lines, [""; 0]);
    assert_eq!(world.server.table.len(), 0);
}

#[test]
fn a_request_is_no_broader_than_its_sender_allows() {
    let mut world = World::new();
    let (one, other) = ring_both(&mut world);
    assert_eq!(one.headers.get("Max-Breadth"), Some("30"));
    assert_eq!(other.headers.get("Max-Breadth"), Some("30"));

    let mut world = World::new();
    world.register("bob", BOTH, 1);
    let narrow = request("INVITE", "sip:bob@example.com", &[("Max-Breadth", "1")]);
    assert_eq!(
        world.give(narrow, ALICE),
        ["udp:192.0.2.10:5060 100 INVITE", "udp:192.0.2.31:5060 INVITE sip:a@192.0.2.31"]
    );
    let first = world.request();
    assert_eq!(first.headers.get("Max-Breadth"), Some("1"));
    assert_eq!(
        world.answer(&first, 486),
        ["udp:192.0.2.31:5060 ACK sip:a@192.0.2.31", "udp:192.0.2.32:5060 INVITE sip:b@192.0.2.32"]
    );

    let via = ("Via", "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKnone");
    let none = request("INVITE", "sip:bob@example.com", &[("Max-Breadth", "0"), via]);
    assert_eq!(world.give(none, ALICE), ["udp:192.0.2.10:5060 440 INVITE"]);
}

/// Lets alice call bob, who has two devices.
fn ring_both(world: &mut World) -> (Request, Request) {
    world.register("bob", BOTH, 1);
    assert_eq!(
        world.give(invite("sip:bob@example.com"), ALICE),
        [
            "udp:192.0.2.10:5060 100 INVITE",
            "udp:192.0.2.31:5060 INVITE sip:a@192.0.2.31",
            "udp:192.0.2.32:5060 INVITE sip:b@192.0.2.32"
        ]
    );
    let [one, other] = last_two(world);
    (one, other)
}

fn last_two(world: &World) -> [Request; 2] {
    let requests = world.sent.iter().rev().filter_map(|(_, message)| match message {
        Message::Request(request) => Some(request.clone()),
        Message::Response(_) => None,
    });
    let mut two: Vec<_> = requests.take(2).collect();
    two.reverse();
    two.try_into().unwrap()
}
