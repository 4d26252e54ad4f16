//! What two user agents remember of each other: numbers, tags, routes, targets.

use chatbridge::sip::Transport::Udp;

use crate::stage::{INVITE, NOTHING, Stage, body, kit};
use crate::wire::{Text, message};

#[test]
fn m11_numbers_only_grow_and_neither_ack_nor_cancel_uses_one_up() {
    // Theirs: gaps are fine, what is not higher is refused.
    let mut stage = Stage::confirmed(Udp);
    assert_eq!(stage.ask("OPTIONS", 1, ""), ["500 OPTIONS 1"]);
    assert_eq!(stage.ask("OPTIONS", 5, ""), ["200 OPTIONS 5"]);
    assert_eq!(stage.ask("OPTIONS", 2_147_483_647, ""), ["200 OPTIONS 2147483647"]);
    assert_eq!(stage.ask("BYE", 4, ""), ["500 BYE 4"]);
    assert_eq!(stage.ask("BYE", 2_147_483_647, ""), ["500 BYE 2147483647"]);
    // Ours: INVITE 1, ACK 1, then 2; a re-INVITE has the number of its ACK.
    let mut stage = Stage::established(Udp);
    assert_eq!(stage.wish(|leg, now| leg.offer(now, body("x"))), ["INVITE 2 > udp:192.0.2.3:5060"]);
    let lines = stage.answer("INVITE", "200 OK", "", "Contact: <sip:bob@192.0.2.3>");
    assert_eq!(lines[0], "ACK 2 > udp:192.0.2.3:5060");
    assert_eq!(stage.wish(|leg, now| leg.bye(now, None)), ["BYE 3 > udp:192.0.2.3:5060"]);
    let mut stage = Stage::calling(Udp);
    stage.answer("INVITE", "180 Ringing", "bobs", "");
    assert_eq!(stage.wish(|leg, now| leg.cancel(now, None)), ["CANCEL 1 > udp:192.0.2.2:5060"]);
}

#[test]
fn m12_tags_name_the_dialog() {
    let mut stage = Stage::called(Udp, "");
    assert!(!stage.last_response().get("To").contains("tag="), "a 100 has none");
    stage.wish(|leg, now| leg.ring(now));
    let ours = stage.last_response().tag("To").to_owned();
    assert!(!ours.is_empty());
    // A repetition hears the same one.
    stage.hear(message(INVITE, "\n\noffer"));
    assert_eq!(stage.last_response().tag("To"), ours);
    stage.accept();
    assert_eq!(stage.last_response().tag("To"), ours);
    stage.ask("ACK", 1, "");
    for (name, tag) in [("To", "not-ours"), ("From", "not-theirs")] {
        for method in ["BYE", "INVITE", "OPTIONS", "UPDATE", "DANCE"] {
            let wrong = format!("{name}: <sip:x@x.example>;tag={tag}");
            let branch = format!("Via: SIP/2.0/UDP x;branch=z9hG4bK{method}{name}");
            let lines = stage.ask(method, 2, &format!("{wrong}\n{branch}"));
            assert_eq!(lines, [format!("481 {method} 2")]);
            assert!(!stage.last_response().tag("To").is_empty());
        }
        let wrong = format!("{name}: <sip:x@x.example>;tag={tag}");
        assert_eq!(stage.ask("ACK", 2, &wrong), NOTHING);
    }
    assert_eq!(stage.ask("BYE", 2, ""), ["200 BYE 2", "Ended"]);
    // Every answer that nobody else gives has one, too, and the same each time.
    let stray = |number| {
        let text =
            message(&INVITE.replace("INVITE", "OPTIONS"), &format!("CSeq: {number} OPTIONS"));
        let chatbridge::sip::Message::Request(request) = crate::wire::read(text) else { panic!() };
        let answer = chatbridge::sip::stray(&request, &kit(Udp, 1).local).expect("an answer");
        Text::of(&answer.encode()).tag("To").to_owned()
    };
    assert_eq!(stray(1), stray(1));
    assert!(!stray(1).is_empty() && stray(1) != stray(2));
}

#[test]
fn m13_the_route_set_is_turned_by_the_caller_frozen_and_the_target_moves() {
    let routes = "Record-Route: <sip:p3.example;lr>, <sip:p2.example;lr>\n\
                  Record-Route: \"P, one\" <sip:p1.example:5070;lr>";
    let turned = ["<sip:p1.example:5070;lr>", "<sip:p2.example;lr>", "<sip:p3.example;lr>"];
    let mut stage = Stage::calling(Udp);
    let contact = "Contact: <sip:bob@192.0.2.3>";
    let lines = stage.answer("INVITE", "200 OK", "bobs", &format!("{routes}\n{contact}"));
    assert_eq!(lines[0], "ACK 1 > udp:p1.example:5070");
    let route = |text: &Text| {
        let all = text.all("Route").join(",").replace("\"P, one\" ", "");
        all.split(',').map(|it| it.trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(route(stage.last("ACK")), turned);
    // A re-INVITE's 2xx may name other proxies and another target: only the target counts.
    stage.wish(|leg, now| leg.offer(now, body("x")));
    assert_eq!(route(stage.last("INVITE")), turned);
    let moved = "Record-Route: <sip:evil.example;lr>\nContact: <sip:bob@192.0.2.33>";
    let lines = stage.answer("INVITE", "200 OK", "", moved);
    assert_eq!(lines[0], "ACK 2 > udp:p1.example:5070");
    assert_eq!(stage.last("ACK").target(), "sip:bob@192.0.2.33");
    // So may theirs, and their UPDATE.
    stage.ask("UPDATE", 1, "Record-Route: <sip:evil.example;lr>\nContact: <sip:bob@192.0.2.34>");
    stage.ask("INVITE", 2, "Contact: <sip:bob@192.0.2.35>\n\noffer");
    stage.wish(|leg, now| leg.answer_offer(now, Ok(body("answer"))));
    stage.ask("ACK", 2, "");
    stage.wish(|leg, now| leg.bye(now, None));
    assert_eq!(stage.last("BYE").target(), "sip:bob@192.0.2.35");
    assert_eq!(route(stage.last("BYE")), turned);

    // The callee keeps the order that it was told.
    let mut stage = Stage::confirmed(Udp);
    let lines = stage.wish(|leg, now| leg.bye(now, None));
    assert_eq!(lines, ["BYE 1 > udp:p2.example:5060"]);
    assert_eq!(route(stage.last("BYE")), ["<sip:p2.example;lr>", "<sip:p1.example;lr>"]);
}

#[test]
fn m14_an_early_dialog_has_routes_and_a_target_of_its_own() {
    let mut stage = Stage::calling(Udp);
    let progress = "Require: 100rel\nRSeq: 1\nContact: <sip:bob@192.0.2.3>\n\
                    Record-Route: <sip:p2.example;lr>, <sip:p1.example;lr>";
    let lines = stage.answer("INVITE", "183 Session Progress", "bobs", progress);
    assert_eq!(lines, ["PRACK 2 > udp:p1.example:5060", "Progress 183"]);
    let prack = stage.last("PRACK");
    assert_eq!((prack.target(), prack.tag("To")), ("sip:bob@192.0.2.3", "bobs"));
    assert_eq!(prack.all("Route"), ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]);
    // An UPDATE of the peer moves the early target.
    let moved = "Contact: <sip:bob@192.0.2.4>";
    assert_eq!(stage.ask("UPDATE", 1, moved), ["200 UPDATE 1"]);
    let more = progress.replace("RSeq: 1", "RSeq: 2").replace("Contact: <sip:bob@192.0.2.3>\n", "");
    stage.answer("INVITE", "183 Session Progress", "bobs", &more);
    assert_eq!(stage.last("PRACK").target(), "sip:bob@192.0.2.4");
    // The other side: what comes early is of the dialog already.
    let mut stage = Stage::called(Udp, "");
    stage.wish(|leg, now| leg.ring(now));
    assert_eq!(stage.ask("UPDATE", 2, "Contact: <sip:alice@192.0.2.10>"), ["200 UPDATE 2"]);
    stage.accept();
    stage.ask("ACK", 1, "");
    stage.wish(|leg, now| leg.bye(now, None));
    let bye = stage.last("BYE");
    assert_eq!(bye.target(), "sip:alice@192.0.2.10");
    assert_eq!(bye.all("Route"), ["<sip:p2.example;lr>", "<sip:p1.example;lr>"]);
}

#[test]
fn m15_a_strict_router_finds_itself_in_the_request_uri() {
    let strict = "Record-Route: <sip:p2.example;lr>\n\
                  Record-Route: <sip:p1.example:5070;method=INVITE?Subject=x>";
    let mut stage = Stage::calling(Udp);
    let contact = "Contact: <sip:bob@192.0.2.3>";
    let lines = stage.answer("INVITE", "200 OK", "bobs", &format!("{strict}\n{contact}"));
    assert_eq!(lines[0], "ACK 1 > udp:p1.example:5070");
    stage.wish(|leg, now| leg.bye(now, None));
    for method in ["ACK", "BYE"] {
        let request = stage.last(method);
        // Without what no Request-URI may hold.
        assert_eq!(request.target(), "sip:p1.example:5070", "{method}");
        assert_eq!(request.all("Route"), ["<sip:p2.example;lr>", "<sip:bob@192.0.2.3>"]);
    }
}

#[test]
fn m16_record_routes_are_told_as_they_came() {
    let routes = "Record-Route: <sip:p3.example;lr;x=\"a,b\"> , \"P, two\" <sip:p2.example;lr>\n\
                  record-route: <sip:p1.example;lr>;hidden";
    let expected = [
        "<sip:p3.example;lr;x=\"a,b\"> , \"P, two\" <sip:p2.example;lr>",
        "<sip:p1.example;lr>;hidden",
    ];
    let routes = routes.replace("x=\"a,b\"", "x=a%2Cb");
    let expected = expected.map(|it| it.replace("x=\"a,b\"", "x=a%2Cb"));
    let mut stage = Stage::called(Udp, &format!("Supported: 100rel\n{routes}"));
    assert!(!stage.last_response().has("Record-Route"), "a 100 makes no dialog");
    stage.wish(|leg, now| leg.ring(now));
    assert_eq!(stage.last_response().all("Record-Route"), expected);
    stage.wish(|leg, now| leg.progress(now, body("answer")));
    assert_eq!(stage.last_response().all("Record-Route"), expected);
    let rack = format!("RAck: {} 1 INVITE", stage.last_response().get("RSeq"));
    stage.ask("PRACK", 2, &rack);
    stage.accept();
    assert_eq!(stage.last_response().code(), 200);
    assert_eq!(stage.last_response().all("Record-Route"), expected);
}
