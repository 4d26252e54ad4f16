//! Much, and in any order: the server stays within its bounds and forgets everything in the end.

use super::*;

const BOUND: usize = 40;

#[test]
fn whatever_comes_in_whatever_order_is_forgotten_in_the_end() {
    for seed in 0..20 {
        let mut world = World::with(|settings| settings.max_transactions = BOUND);
        let mut random = Random::seeded(seed);
        world.register("bob", "<sip:a@192.0.2.31>;q=0.9, <sip:b@192.0.2.32;transport=tcp>", 1);
        for _ in 0..500 {
            step(&mut world, &mut random);
            assert!(world.server.table.len() <= BOUND);
        }
        world.wait(4_000_000);
        assert_eq!(world.server.table.len(), 0, "seed {seed}");
        assert_eq!(world.server.next_timeout(), None, "seed {seed}");
    }
}

#[test]
fn a_flood_of_branches_takes_no_more_than_the_table_holds() {
    let mut world = World::with(|settings| settings.max_transactions = BOUND);
    let mut passed = 0;
    for at in 0..10_000 {
        let via = format!("SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{at}");
        let lines = world.give(request("INVITE", "sip:bob@example.com", &[("Via", &via)]), HOME);
        passed += usize::from(lines.len() > 1);
        world.sent.clear();
    }
    assert_eq!(passed, BOUND - BOUND / 8);
    world.wait(80_000);
    assert_eq!(world.server.table.len(), 0);
}

#[test]
fn a_flood_of_strangers_leaves_no_trace() {
    let mut world = World::with(|settings| settings.max_transactions = BOUND);
    for at in 0..2_000 {
        let method = ["INVITE", "MESSAGE", "BYE", "PUBLISH"][at % 4];
        let via = format!("SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{at}");
        let source = format!("udp:198.51.100.{}:5060", at % 250);
        let lines = world.knock(request(method, "sip:bob@example.com", &[("Via", &via)]), &source);
        assert_eq!(lines, [format!("udp:198.51.100.{}:5060 407 {method}", at % 250)]);
        world.sent.clear();
    }
    assert_eq!(world.server.table.len(), 0);
    assert_eq!(world.server.next_timeout(), None);
    let lines = world.give(invite("sip:bob@example.com"), ALICE);
    assert_eq!(lines.len(), 2, "who has a password is served as ever");
}

/// Does one thing of many: a request, an answer to any request that was ever sent, a failure of a
/// hop, or nothing for a while.
fn step(world: &mut World, random: &mut Random) {
    match random.below(8) {
        0..=2 => {
            let method = pick(random, &["INVITE", "CANCEL", "ACK", "MESSAGE", "BYE", "OPTIONS"]);
            let uri = pick(random, &["sip:bob@example.com", "sip:carol@example.com"]);
            let via = format!(
                "SIP/2.0/{} 192.0.2.10:5060;branch=z9hG4bK{}",
                pick(random, &["UDP", "TCP"]),
                random.below(60)
            );
            let to = format!("<{uri}>{}", pick(random, &["", ";tag=b"]));
            let source = if via.contains("TCP") { "tcp:192.0.2.10:40000" } else { ALICE };
            world.give(request(method, uri, &[("Via", &via), ("To", &to)]), source);
        }
        3..=5 => {
            let sent: Vec<_> = world.sent.iter().filter_map(|(_, it)| request_of(it)).collect();
            let codes = [100, 180, 183, 200, 302, 401, 404, 408, 480, 486, 487, 500, 503, 603];
            let code = codes[usize::try_from(random.below(14)).unwrap()];
            let at = random.below(u64::try_from(sent.len()).unwrap());
            if let Some(request) = sent.get(usize::try_from(at).unwrap()) {
                let request = (*request).clone();
                world.answer(&request, code);
            }
        }
        6 => {
            world.fail(pick(random, &[HOME, "udp:192.0.2.31:5060", "tcp:192.0.2.32:5060"]));
        }
        _ => {
            let millis = random.below(20_000);
            world.wait(millis);
        }
    }
}

fn request_of(message: &Message) -> Option<&Request> {
    match message {
        Message::Request(request) => Some(request),
        Message::Response(_) => None,
    }
}

fn pick<'a>(random: &mut Random, list: &[&'a str]) -> &'a str {
    let at = random.below(u64::try_from(list.len()).unwrap());
    list[usize::try_from(at).unwrap()]
}
