//! The caller's side until the call stands or falls.

use super::*;
use crate::sip::Transport::{Tcp, Udp};

const CONTACT: (&str, &str) = ("Contact", "<sip:bob@192.0.2.3>");

#[test]
fn an_invite_carries_what_rfc_3261_asks_for() {
    let stage = Stage::calling(Tcp);
    let invite = stage.last("INVITE");
    let headers: Vec<_> =
        invite.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let via = invite.via().unwrap();
    let tag = stage.leg.local_tag();
    let branch = via.branch().unwrap();
    assert!(branch.starts_with("z9hG4bK") && branch.len() > 20);
    assert_eq!(
        headers,
        [
            &format!("Via: SIP/2.0/TCP 192.0.2.1:5060;branch={branch};rport"),
            "Max-Forwards: 70",
            "Route: <sip:192.0.2.2:5060;lr;transport=tcp>",
            &format!("From: \"Alice\" <sip:alice@a.example>;tag={tag}"),
            "To: <sip:bob@b.example>",
            &format!("Call-ID: {}", stage.leg.call_id()),
            "CSeq: 1 INVITE",
            "Contact: <sip:alice@192.0.2.1:5060;transport=tcp>;+g.oma.sip-im",
            "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, NOTIFY",
            "Supported: 100rel, timer",
            "User-Agent: bridge/1",
            "Subject: hi  Evil: yes",
            "Content-Type: application/sdp",
            "Content-Length: 5",
        ]
    );
}

#[test]
fn an_invite_goes_by_the_route_that_it_is_given() {
    let service_route = ["<sip:orig@core.example;lr;x=%61>", "Last <sip:last.example>"];
    let route = service_route.map(|text| NameAddr::parse(text).unwrap()).to_vec();
    let edge = Hop::new(Udp, "192.0.2.2", 5060);
    for (next_hop, orig, hop, routes) in [
        (Some(edge.clone()), false, "udp:192.0.2.2:5060", vec!["<sip:192.0.2.2:5060;lr>"]),
        (Some(edge), true, "udp:192.0.2.2:5060", vec!["<sip:192.0.2.2:5060;lr;orig>"]),
        (None, false, "udp:core.example:5060", vec![]),
    ] {
        let call = Call { route: route.clone(), orig, ..call(next_hop) };
        let leg = Leg::call(Instant::now(), call, kit("192.0.2.1", Udp, 1));
        let mut stage = Stage::of(leg);
        assert_eq!(stage.drain(), [format!("INVITE 1 > {hop}")]);
        let last = "\"Last\" <sip:last.example>";
        let expected: Vec<_> = routes.into_iter().chain([service_route[0], last]).collect();
        assert_eq!(stage.last("INVITE").headers.all("Route").collect::<Vec<_>>(), expected);
        // The CANCEL goes the same way (section 9.1).
        stage.reply("INVITE", 180, "b", &[]);
        stage.leg.cancel(stage.now, None);
        stage.drain();
        assert_eq!(stage.last("CANCEL").headers.all("Route").collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_gruu_stands_in_for_our_address() {
    let gruu = Uri::parse("sip:alice@a.example;gr=urn:uuid:1").unwrap();
    for (target, contact) in [
        ("sip:bob@b.example", "<sip:alice@a.example;gr=urn:uuid:1>;+g.oma.sip-im"),
        ("sips:bob@b.example", "<sips:alice@192.0.2.1:5060>;+g.oma.sip-im"),
    ] {
        let mut kit = kit("192.0.2.1", Udp, 1);
        Arc::make_mut(&mut kit.local).gruu = Some(gruu.clone());
        let target = Uri::parse(target).unwrap();
        let peer = Hop::new(Udp, "192.0.2.2", 5060);
        let call = Call { target, ..call(Some(peer)) };
        let mut stage = Stage::of(Leg::call(Instant::now(), call, kit));
        stage.drain();
        assert_eq!(stage.last("INVITE").headers.get("Contact"), Some(contact));
    }
}

#[test]
fn a_call_is_answered_hung_up_and_forgotten() {
    let mut stage = Stage::calling(Udp);
    assert_eq!(stage.reply("INVITE", 100, "", &[]), ["Progress 100"]);
    assert_eq!(stage.reply("INVITE", 180, "b", &[]), ["Progress 180"]);
    let accepted = [
        CONTACT,
        ("Record-Route", "<sip:far.example;lr>"),
        ("Record-Route", "<sip:near.example;lr>"),
    ];
    assert_eq!(
        stage.reply("INVITE", 200, "b", &accepted),
        ["ACK 1 > udp:near.example:5060", "Established 200"]
    );
    assert_eq!(stage.leg.remote_tag(), Some("b"));
    let routes: Vec<_> = stage.last("ACK").headers.all("Route").collect();
    assert_eq!(routes, ["<sip:near.example;lr>", "<sip:far.example;lr>"]);
    stage.leg.bye(stage.now, Some(Reason::sip(200, "Call completed")));
    assert_eq!(stage.drain(), ["BYE 2 > udp:near.example:5060"]);
    let reason = stage.last("BYE").headers.get("Reason");
    assert_eq!(reason, Some("SIP;cause=200;text=\"Call completed\""));
    assert_eq!(stage.reply("BYE", 200, "b", &[]), ["ByeDone"]);
    assert!(!stage.leg.is_finished());
    stage.assert_fades();
}

#[test]
fn a_refusal_is_acked_and_reported() {
    let mut stage = Stage::calling(Udp);
    let lines = stage.reply("INVITE", 486, "b", &[]);
    assert_eq!(lines, ["ACK 1 > udp:192.0.2.2:5060", "Refused 486"]);
    let (ack, invite) = (stage.last("ACK").clone(), stage.last("INVITE"));
    assert_eq!(ack.headers.get("Via"), invite.headers.get("Via"));
    assert_eq!(stage.reply("INVITE", 486, "b", &[]), ["ACK 1 > udp:192.0.2.2:5060"]);
    stage.assert_fades();
}

#[test]
fn silence_is_no_answer_and_a_late_2xx_is_hung_up_on() {
    let mut stage = Stage::calling(Udp);
    let lines = stage.wait(Duration::from_secs(32));
    assert_eq!(lines.len(), 7);
    assert_eq!(lines[6], "32000 NoAnswer Timeout");
    let late = stage.reply("INVITE", 200, "b", &[CONTACT]);
    assert_eq!(late, ["ACK 1 > udp:192.0.2.3:5060", "BYE 2 > udp:192.0.2.3:5060"]);
    assert_eq!(stage.reply("INVITE", 200, "b", &[CONTACT]), ["ACK 1 > udp:192.0.2.3:5060"]);
    assert_eq!(stage.reply("BYE", 200, "b", &[]), [""; 0]);
    stage.assert_fades();
}

#[test]
fn an_unreachable_proxy_is_no_answer() {
    let mut stage = Stage::calling(Tcp);
    assert_eq!(stage.break_transport(&Hop::new(Tcp, "192.0.2.77", 5060)), [""; 0]);
    let peer = stage.peer.clone();
    assert_eq!(stage.break_transport(&peer), ["NoAnswer Transport"]);
    stage.assert_fades();
}

#[test]
fn a_number_without_a_proxy_cannot_be_called() {
    let mut call = call(None);
    call.target = Uri::parse("tel:+12025550123").unwrap();
    let mut leg = Leg::call(Instant::now(), call, kit("192.0.2.1", Udp, 1));
    let unreachable = LegOutput::Event(LegEvent::NoAnswer(NoAnswer::Transport));
    assert_eq!(leg.poll(), Some(unreachable));
    assert!(leg.is_finished());
}

#[test]
fn every_repetition_of_the_2xx_is_acked_with_the_same_ack() {
    let mut stage = Stage::established(Udp);
    let first = stage.last("ACK").clone();
    let (ack, invite) = (first.via().unwrap(), stage.last("INVITE").via().unwrap());
    assert_ne!(ack.branch(), invite.branch());
    stage.wait(Duration::from_secs(20));
    assert_eq!(stage.reply("INVITE", 200, "b", &[CONTACT]), ["ACK 1 > udp:192.0.2.3:5060"]);
    assert_eq!(*stage.last("ACK"), first);
    stage.wait(Duration::from_secs(20));
    // 64*T1 later the INVITE is forgotten, not the dialog.
    assert_eq!(stage.reply("INVITE", 200, "b", &[CONTACT]), [""; 0]);
    assert_eq!(stage.leg.remote_tag(), Some("b"));
}

#[test]
fn the_ack_carries_the_credentials_of_the_invite() {
    let mut call = call(None);
    call.headers = vec![("Authorization".to_owned(), "Digest username=\"a\"".to_owned())];
    let start = Instant::now();
    let leg = Leg::call(start, call, kit("192.0.2.1", Udp, 1));
    let peer = Hop::new(Udp, "b.example", 5060);
    let mut stage = Stage { leg, start, now: start, sent: Vec::new(), peer };
    assert_eq!(stage.drain(), ["INVITE 1 > udp:b.example:5060"]);
    assert!(!stage.last("INVITE").headers.has("Route"));
    stage.reply("INVITE", 200, "b", &[CONTACT]);
    assert_eq!(stage.last("ACK").headers.get("Authorization"), Some("Digest username=\"a\""));
}

#[test]
fn of_two_forks_that_accept_the_second_is_hung_up_on() {
    let mut stage = Stage::calling(Udp);
    assert_eq!(stage.reply("INVITE", 180, "b", &[]), ["Progress 180"]);
    assert_eq!(stage.reply("INVITE", 180, "c", &[]), ["Progress 180"]);
    let lines = stage.reply("INVITE", 200, "c", &[CONTACT]);
    assert_eq!(lines, ["ACK 1 > udp:192.0.2.3:5060", "Established 200"]);
    let other = ("Contact", "<sip:bob@192.0.2.4>");
    let lines = stage.reply("INVITE", 200, "b", &[other]);
    assert_eq!(lines, ["ACK 1 > udp:192.0.2.4:5060", "BYE 2 > udp:192.0.2.4:5060"]);
    assert_eq!(stage.last("BYE").to_tag().as_deref(), Some("b"));
    assert_eq!(stage.reply("INVITE", 200, "b", &[other]), ["ACK 1 > udp:192.0.2.4:5060"]);
    assert_eq!(stage.reply("BYE", 200, "b", &[]), [""; 0]);
    assert_eq!(stage.leg.remote_tag(), Some("c"));
    stage.leg.bye(stage.now, None);
    assert_eq!(stage.drain(), ["BYE 2 > udp:192.0.2.3:5060"]);
    assert_eq!(stage.reply("BYE", 200, "c", &[]), ["ByeDone"]);
    stage.assert_fades();
}

#[test]
fn a_swarm_of_forks_does_not_make_the_leg_grow() {
    let mut stage = Stage::established(Udp);
    let sent: usize = (0..1000)
        .map(|fork| stage.reply("INVITE", 200, &format!("fork{fork}"), &[CONTACT]).len())
        .sum();
    assert_eq!(sent, 2 * 15);
}

#[test]
fn a_2xx_without_contact_is_acked_and_hung_up_on() {
    let mut stage = Stage::calling(Udp);
    assert_eq!(
        stage.reply("INVITE", 200, "b", &[]),
        ["ACK 1 > udp:b.example:5060", "Lost", "BYE 2 > udp:b.example:5060"]
    );
    assert_eq!(stage.last("BYE").uri.to_string(), "sip:bob@b.example");
    assert_eq!(stage.reply("BYE", 200, "b", &[]), [""; 0]);
    stage.assert_fades();
}

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    let mut stage = Stage::calling(Udp);
    stage.leg.cancel(stage.now, Some(Reason::sip(200, "Call completed elsewhere")));
    assert_eq!(stage.drain(), [""; 0]);
    assert_eq!(stage.wait(Duration::from_secs(1)), ["500 INVITE 1 > udp:192.0.2.2:5060"]);
    assert_eq!(stage.reply("INVITE", 100, "", &[]), ["CANCEL 1 > udp:192.0.2.2:5060"]);
    let (cancel, invite) = (stage.last("CANCEL"), stage.last("INVITE"));
    for name in ["Via", "Route", "From", "To", "Call-ID"] {
        assert_eq!(cancel.headers.get(name), invite.headers.get(name), "{name}");
    }
    assert_eq!(cancel.uri, invite.uri);
    assert!(!cancel.headers.has("Require"));
    let reason = cancel.headers.get("Reason");
    assert_eq!(reason, Some("SIP;cause=200;text=\"Call completed elsewhere\""));
    assert_eq!(stage.reply("INVITE", 180, "b", &[]), [""; 0]);
    assert_eq!(stage.reply("CANCEL", 200, "b", &[]), [""; 0]);
    let lines = stage.reply("INVITE", 487, "b", &[]);
    assert_eq!(lines, ["ACK 1 > udp:192.0.2.2:5060", "Cancelled"]);
    stage.assert_fades();
}

#[test]
fn a_2xx_that_crosses_the_cancel_is_acked_and_hung_up_on() {
    let mut stage = Stage::calling(Udp);
    stage.reply("INVITE", 180, "b", &[]);
    stage.leg.cancel(stage.now, None);
    stage.leg.cancel(stage.now, None);
    assert_eq!(stage.drain(), ["CANCEL 1 > udp:192.0.2.2:5060"]);
    assert_eq!(
        stage.reply("INVITE", 200, "b", &[CONTACT]),
        ["ACK 1 > udp:192.0.2.3:5060", "Cancelled", "BYE 2 > udp:192.0.2.3:5060"]
    );
    assert_eq!(stage.reply("CANCEL", 200, "b", &[]), [""; 0]);
    assert_eq!(stage.reply("INVITE", 200, "b", &[CONTACT]), ["ACK 1 > udp:192.0.2.3:5060"]);
    assert_eq!(stage.reply("BYE", 481, "b", &[]), [""; 0]);
    stage.assert_fades();
}

#[test]
fn a_refusal_that_crosses_the_cancel_is_a_refusal() {
    let mut stage = Stage::calling(Udp);
    stage.leg.cancel(stage.now, None);
    let lines = stage.reply("INVITE", 603, "b", &[]);
    assert_eq!(lines, ["ACK 1 > udp:192.0.2.2:5060", "Refused 603"]);
    stage.assert_fades();
}

#[test]
fn a_cancelled_invite_that_nobody_ends_ends_after_64_t1() {
    let mut stage = Stage::calling(Tcp);
    stage.reply("INVITE", 180, "b", &[]);
    stage.leg.cancel(stage.now, None);
    assert_eq!(stage.drain(), ["CANCEL 1 > tcp:192.0.2.2:5060"]);
    assert_eq!(stage.reply("CANCEL", 200, "b", &[]), [""; 0]);
    assert_eq!(stage.wait(Duration::from_secs(32)), ["32000 Cancelled"]);
    let late = stage.reply("INVITE", 200, "b", &[CONTACT]);
    assert_eq!(late, ["ACK 1 > udp:192.0.2.3:5060", "BYE 2 > udp:192.0.2.3:5060"]);
    stage.reply("BYE", 200, "b", &[]);
    stage.assert_fades();
}

#[test]
fn a_cancel_that_was_never_sent_takes_effect_when_nobody_answers() {
    let mut stage = Stage::calling(Tcp);
    stage.leg.cancel(stage.now, None);
    assert_eq!(stage.wait(Duration::from_secs(32)), ["32000 Cancelled"]);
    stage.assert_fades();
}

#[test]
fn responses_that_are_not_for_us_are_dropped() {
    let mut stage = Stage::calling(Udp);
    let two_vias = [("Via", "SIP/2.0/UDP other.example;branch=z9hG4bKx")];
    assert_eq!(stage.reply("INVITE", 200, "b", &two_vias), [""; 0]);
    let mut foreign = response_to(stage.last("INVITE"), Status::OK, Some("b"));
    foreign.headers.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKforeign");
    assert_eq!(stage.give(Message::Response(foreign)), [""; 0]);
    assert_eq!(stage.reply("INVITE", 180, "b", &[]), ["Progress 180"]);
}

#[test]
fn an_early_dialog_answers_for_itself() {
    let mut stage = Stage::calling(Udp);
    assert_eq!(stage.ask("UPDATE", 1, &[]), ["481 UPDATE 1"]);
    stage.reply("INVITE", 183, "b", &[]);
    assert_eq!(stage.ask("UPDATE", 5, &[]), ["200 UPDATE 5"]);
    assert_eq!(stage.ask("UPDATE", 6, &[("body", "offer")]), ["491 UPDATE 6"]);
    assert_eq!(stage.ask("OPTIONS", 4, &[]), ["500 OPTIONS 4"]);
    // A callee may not say BYE before it has accepted.
    assert_eq!(stage.ask("BYE", 7, &[]), ["481 BYE 7"]);
    stage.reply("INVITE", 200, "b", &[CONTACT]);
    assert_eq!(
        stage.ask("OPTIONS", 7, &[("Via", "SIP/2.0/UDP x;branch=z9hG4bKo")]),
        ["500 OPTIONS 7"]
    );
    assert_eq!(stage.ask("OPTIONS", 8, &[]), ["200 OPTIONS 8"]);
}
