//! Registrations, and calls to those who are registered.

use super::*;

#[test]
fn a_contact_is_registered_refreshed_and_expires() {
    let mut world = World::new();
    assert_eq!(
        world.register("bob", "<sip:bob@192.0.2.30:5090>;expires=600", 1),
        ["udp:192.0.2.10:5060 200 REGISTER"]
    );
    assert_eq!(contacts(&world), ["<sip:bob@192.0.2.30:5090>;expires=600"]);
    world.wait(500_000);
    assert_eq!(query(&mut world, "2"), ["<sip:bob@192.0.2.30:5090>;expires=100"]);
    world.register("bob", "<sip:bob@192.0.2.30:5090>;expires=600", 3);
    world.wait(599_000);
    assert_eq!(query(&mut world, "4"), ["<sip:bob@192.0.2.30:5090>;expires=1"]);
    world.wait(1_000);
    assert_eq!(query(&mut world, "5"), [""; 0]);
    world.wait(40_000);
    assert_eq!(world.server.next_timeout(), None);
}

#[test]
fn a_repeated_register_is_answered_again_and_done_once() {
    let mut world = World::new();
    world.register("bob", "<sip:bob@192.0.2.30:5090>", 1);
    world.wait(1_000);
    assert_eq!(
        world.register("bob", "<sip:bob@192.0.2.30:5090>", 1),
        ["udp:192.0.2.10:5060 200 REGISTER"]
    );
    assert_eq!(contacts(&world), ["<sip:bob@192.0.2.30:5090>;expires=3600"]);
}

#[test]
fn a_register_that_was_overtaken_changes_nothing() {
    let mut world = World::new();
    world.register("bob", "<sip:bob@192.0.2.30:5090>", 5);
    let late = "<sip:new@192.0.2.31>, <sip:bob@192.0.2.30:5090>;expires=0";
    assert_eq!(world.register("bob", late, 4), ["udp:192.0.2.10:5060 500 REGISTER"]);
    assert_eq!(query(&mut world, "6"), ["<sip:bob@192.0.2.30:5090>;expires=3600"]);

    let to = "<sip:bob@example.com>";
    let contact = ("Contact", "<sip:bob@192.0.2.30:5090>;expires=60");
    let other_call = register(to, "1", &[contact, ("Call-ID", "two@192.0.2.10")]);
    world.give(other_call, ALICE);
    assert_eq!(contacts(&world), ["<sip:bob@192.0.2.30:5090>;expires=60"]);
}

#[test]
fn contacts_are_removed_one_by_one_or_all_at_once() {
    let mut world = World::new();
    let both = "<sip:bob@192.0.2.30:5090>, <sip:bob@192.0.2.31>;+sip.instance=\"<urn:uuid:1>\"";
    world.register("bob", both, 1);
    assert_eq!(contacts(&world).len(), 2);
    world.register("bob", "<sip:BOB@192.0.2.30:5090>;expires=0", 2);
    assert_eq!(contacts(&world).len(), 2, "user parts differ by case");
    world.register("bob", "<sip:%62ob@192.0.2.30:5090>;expires=0", 3);
    assert_eq!(
        contacts(&world),
        ["<sip:bob@192.0.2.31>;+sip.instance=\"<urn:uuid:1>\";expires=3600"]
    );
    let to = "<sip:bob@example.com>";
    let all = ("Contact", "*");
    assert_eq!(world.give(register(to, "4", &[all]), ALICE), ["udp:192.0.2.10:5060 400 REGISTER"]);
    world.give(register(to, "5", &[all, ("Expires", "0")]), ALICE);
    assert_eq!(contacts(&world), [""; 0]);
}

#[test]
fn too_brief_is_refused_and_too_long_is_cut() {
    let mut world = World::new();
    assert_eq!(
        world.register("bob", "<sip:bob@192.0.2.30>;expires=59", 1),
        ["udp:192.0.2.10:5060 423 REGISTER"]
    );
    assert_eq!(world.response().headers.get("Min-Expires"), Some("60"));
    world.register("bob", "<sip:bob@192.0.2.30>;expires=99999999999", 2);
    assert_eq!(contacts(&world), ["<sip:bob@192.0.2.30>;expires=86400"]);
    world.register("bob", "<sip:bob@192.0.2.30>;expires=soon", 3);
    assert_eq!(contacts(&world), ["<sip:bob@192.0.2.30>;expires=3600"]);
}

#[test]
fn strangers_and_other_domains_cannot_register() {
    let mut world = World::with(|settings| {
        settings.create_users = false;
        settings.users = vec![Address::parse("tel:+19585550100").unwrap()];
    });
    let mut code = |to: &str, cseq: &str| {
        world.give(register(to, cseq, &[("Contact", "<sip:x@192.0.2.30>")]), ALICE);
        world.response().status.code()
    };
    assert_eq!(code("<sip:dave@example.com>", "1"), 401);
    assert_eq!(code("<sip:bob@example.org>", "2"), 403);
    assert_eq!(code("<sip:+19585550100@example.com;user=phone>", "3"), 200);
    let mut foreign = register("<sip:bob@example.com>", "4", &[]);
    foreign.uri = crate::sip::Uri::parse("sip:example.org").unwrap();
    assert_eq!(world.give(foreign, ALICE), ["udp:192.0.2.10:5060 403 REGISTER"]);
}

#[test]
fn contacts_that_lead_nowhere_or_back_here_are_refused() {
    let mut world = World::new();
    let mut code = |contact: &str, cseq| {
        world.register("bob", contact, cseq);
        world.response().status.code()
    };
    assert_eq!(code("<mailto:bob@192.0.2.30>", 1), 400);
    assert_eq!(code("<sip:bob@192.0.2.30;transport=sctp>", 2), 400);
    assert_eq!(code(&format!("<sip:bob@192.0.2.30>;x={}", "y".repeat(3000)), 3), 400);
    assert_eq!(code("<sip:carol@example.com>", 4), 403);
    assert_eq!(code("<sip:192.0.2.1:5060>", 5), 403);
}

#[test]
fn contacts_are_bounded() {
    let mut world = World::with(|settings| settings.max_contacts = 2);
    let three = "<sip:a@192.0.2.30>, <sip:b@192.0.2.30>, <sip:c@192.0.2.30>";
    assert_eq!(world.register("bob", three, 1), ["udp:192.0.2.10:5060 403 REGISTER"]);
    let two = "<sip:a@192.0.2.30>, <sip:b@192.0.2.30>";
    assert_eq!(world.register("bob", two, 2), ["udp:192.0.2.10:5060 200 REGISTER"]);
    let third = "<sip:c@192.0.2.30>";
    assert_eq!(world.register("bob", third, 3), ["udp:192.0.2.10:5060 403 REGISTER"]);
    let exchanged = "<sip:a@192.0.2.30>;expires=0, <sip:c@192.0.2.30>";
    assert_eq!(world.register("bob", exchanged, 4), ["udp:192.0.2.10:5060 200 REGISTER"]);
}

#[test]
fn a_path_is_kept_with_the_contact_and_told() {
    let mut world = World::new();
    let path = "<sip:edge@192.0.2.40:5070;lr>, <sip:192.0.2.41;lr;transport=tcp>";
    let more = [
        ("Contact", "<sip:bob@10.0.0.1>"),
        ("Path", path),
        ("Supported", "path"),
        ("Require", "path"),
    ];
    let to = "<sip:bob@example.com>";
    assert_eq!(world.give(register(to, "1", &more), ALICE), ["udp:192.0.2.10:5060 200 REGISTER"]);
    assert_eq!(world.response().headers.get("Path"), Some(path));
    assert_eq!(
        world.give(invite("sip:bob@example.com"), ALICE),
        ["udp:192.0.2.10:5060 100 INVITE", "udp:192.0.2.40:5070 INVITE sip:bob@10.0.0.1"]
    );
    let routes: Vec<_> = world.request().route().iter().map(ToString::to_string).collect();
    assert_eq!(routes.join(", "), path);
    world.register("bob", "<sip:bob@10.0.0.1>", 2);
    world.give(request("MESSAGE", "sip:bob@example.com", &[]), ALICE);
    assert!(!world.request().headers.has("Route"), "the next registration had no path");
}

#[test]
fn a_path_that_leads_back_or_nowhere_is_refused() {
    let mut world = World::new();
    let many = ["<sip:192.0.2.40;lr>"; 9].join(", ");
    for (cseq, (path, code)) in [
        ("<sip:192.0.2.1:5060;lr>", 403),
        ("<sip:192.0.2.40>", 400),
        ("<mailto:edge@192.0.2.40;lr>", 400),
        ("<sip:192.0.2.40;lr", 400),
        (&many, 400),
    ]
    .into_iter()
    .enumerate()
    {
        let more = [("Contact", "<sip:bob@10.0.0.1>"), ("Path", path)];
        world.give(register("<sip:bob@example.com>", &format!("{}", cseq + 1), &more), ALICE);
        assert_eq!(world.response().status.code(), code, "{path}");
    }
}

#[test]
fn a_call_goes_to_the_contact_whatever_the_number_is_written_like() {
    let mut world = World::new();
    let contact = "<sip:+19585550101@192.0.2.30:5090;transport=tcp;method=INVITE>";
    world.register("+19585550101", contact, 1);
    assert_eq!(
        world.give(invite("tel:+1-958-555-0101"), ALICE),
        [
            "udp:192.0.2.10:5060 100 INVITE",
            "tcp:192.0.2.30:5090 INVITE sip:+19585550101@192.0.2.30:5090;transport=tcp"
        ]
    );
    assert_eq!(world.request().vias().unwrap()[0].transport, crate::sip::Transport::Tcp);
}

#[test]
fn contacts_are_tried_in_order_until_one_accepts() {
    let mut world = World::new();
    let ranked = "<sip:low@192.0.2.31>;q=0.3, <sip:first@192.0.2.32>;q=1.0";
    world.register("bob", ranked, 1);
    world.register("bob", "<sip:second@192.0.2.33>;q=0.5", 2);
    world.give(invite("sip:bob@example.com"), ALICE);
    let first = world.request();
    assert_eq!(first.uri.as_str(), "sip:first@192.0.2.32");
    assert_eq!(
        world.answer(&first, 486),
        [
            "udp:192.0.2.32:5060 ACK sip:first@192.0.2.32",
            "udp:192.0.2.33:5060 INVITE sip:second@192.0.2.33"
        ]
    );
    assert_eq!(
        world.fail("udp:192.0.2.33:5060"),
        ["udp:192.0.2.31:5060 INVITE sip:low@192.0.2.31"]
    );
    let third = world.request();
    assert_eq!(world.answer(&third, 200), ["udp:192.0.2.10:5060 200 INVITE"]);
}

#[test]
fn the_best_refusal_is_told_when_all_have_refused() {
    for (codes, best) in [
        ([486, 480], 486),
        ([503, 503], 500),
        ([503, 480], 480),
        ([500, 302], 302),
        ([404, 415], 415),
    ] {
        let mut world = World::new();
        world.register("bob", "<sip:a@192.0.2.31>;q=0.9, <sip:b@192.0.2.32>;q=0.1", 1);
        world.give(invite("sip:bob@example.com"), ALICE);
        for code in codes {
            let tried = world.sent.iter().rev().find_map(|(_, message)| match message {
                Message::Request(it) if it.method == Method::Invite => Some(it.clone()),
                Message::Request(_) | Message::Response(_) => None,
            });
            world.answer(&tried.unwrap(), code);
        }
        assert_eq!(world.response().status.code(), best, "{codes:?}");
    }
}

#[test]
fn a_6xx_speaks_for_every_contact() {
    let mut world = World::new();
    world.register("bob", "<sip:a@192.0.2.31>;q=0.9, <sip:b@192.0.2.32>;q=0.1", 1);
    world.give(invite("sip:bob@example.com"), ALICE);
    let first = world.request();
    assert_eq!(
        world.answer(&first, 603),
        ["udp:192.0.2.31:5060 ACK sip:a@192.0.2.31", "udp:192.0.2.10:5060 603 INVITE"]
    );
}

#[test]
fn challenges_of_all_contacts_are_told_together() {
    let mut world = World::new();
    world.register("bob", "<sip:a@192.0.2.31>;q=0.9, <sip:b@192.0.2.32>;q=0.1", 1);
    world.give(request("MESSAGE", "sip:bob@example.com", &[]), ALICE);
    for realm in ["one", "two"] {
        let mut challenge = response_to(&world.request(), status(401), Some("b"));
        let text = format!("Digest realm=\"{realm}\", nonce=\"n\"");
        challenge.headers.push("WWW-Authenticate", &text);
        world.give_response(challenge);
    }
    let told = world.response();
    assert_eq!(told.status.code(), 401);
    assert_eq!(told.headers.all("WWW-Authenticate").count(), 2);
}

#[test]
fn a_cancel_stops_the_search() {
    let mut world = World::new();
    world.register("bob", "<sip:a@192.0.2.31>;q=0.9, <sip:b@192.0.2.32>;q=0.1", 1);
    world.give(invite("sip:bob@example.com"), ALICE);
    let first = world.request();
    world.answer(&first, 180);
    world.give(request("CANCEL", "sip:bob@example.com", &[]), ALICE);
    assert_eq!(
        world.answer(&first, 487),
        ["udp:192.0.2.31:5060 ACK sip:a@192.0.2.31", "udp:192.0.2.10:5060 487 INVITE"]
    );
}

fn query(world: &mut World, cseq: &str) -> Vec<String> {
    world.give(register("<sip:bob@example.com>", cseq, &[]), ALICE);
    contacts(world)
}

fn contacts(world: &World) -> Vec<String> {
    world.response().headers.list("Contact").map(str::to_owned).collect()
}
