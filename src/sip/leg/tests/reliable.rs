//! Reliable provisional responses, both ways (RFC 3262).

use super::*;
use crate::sip::Transport::{Tcp, Udp};

const REQUIRE: (&str, &str) = ("Require", "100rel");
const SDP: (&str, &str) = ("Content-Type", "application/sdp");

#[test]
fn a_reliable_ringing_is_acknowledged_in_its_early_dialog() {
    let mut stage = Stage::calling(Udp);
    let path = [
        REQUIRE,
        ("RSeq", "988789"),
        ("Contact", "<sip:bob@192.0.2.3>"),
        ("Record-Route", "<sip:far.example;lr>, <sip:near.example;lr>"),
    ];
    let lines = stage.reply("INVITE", 180, "b", &path);
    assert_eq!(lines, ["PRACK 2 > udp:near.example:5060", "Progress 180"]);
    let prack = stage.last("PRACK");
    assert_eq!(prack.headers.get("RAck"), Some("988789 1 INVITE"));
    assert_eq!(prack.uri.to_string(), "sip:bob@192.0.2.3");
    assert_eq!(prack.to_tag().as_deref(), Some("b"));
    let routes: Vec<_> = prack.headers.all("Route").collect();
    assert_eq!(routes, ["<sip:near.example;lr>", "<sip:far.example;lr>"]);
    assert_eq!(stage.reply("PRACK", 200, "b", &[]), [""; 0]);
    // The ACK bears the number of the INVITE, the BYE goes on where the PRACK was.
    let lines = stage.reply("INVITE", 200, "b", &path[2..]);
    assert_eq!(lines, ["ACK 1 > udp:near.example:5060", "Established 200"]);
    stage.leg.bye(stage.now, None);
    assert_eq!(stage.drain(), ["BYE 3 > udp:near.example:5060"]);
    stage.reply("BYE", 200, "b", &[]);
    stage.assert_fades();
}

#[test]
fn repetitions_and_what_comes_before_its_turn_are_not_acknowledged() {
    let mut stage = Stage::calling(Udp);
    let mut progress = |code: u16, rseq: &str| {
        let headers = [REQUIRE, ("RSeq", rseq), ("Contact", "<sip:bob@192.0.2.3>")];
        stage.reply("INVITE", code, "b", &headers)
    };
    assert_eq!(progress(183, "7"), ["PRACK 2 > udp:192.0.2.3:5060", "Progress 183"]);
    assert_eq!(progress(183, "7"), [""; 0]);
    assert_eq!(progress(180, "9"), [""; 0]);
    assert_eq!(progress(180, "8"), ["PRACK 3 > udp:192.0.2.3:5060", "Progress 180"]);
    assert_eq!(progress(183, "7"), [""; 0]);
    assert_eq!(progress(180, "9"), ["PRACK 4 > udp:192.0.2.3:5060", "Progress 180"]);
}

#[test]
fn a_flood_of_reliable_responses_does_not_make_the_leg_grow() {
    let mut stage = Stage::calling(Udp);
    let pracks = (1..1000_u32).flat_map(|rseq| {
        let rseq = rseq.to_string();
        let headers = [REQUIRE, ("RSeq", &rseq), ("Contact", "<sip:bob@192.0.2.3>")];
        stage.reply("INVITE", 180, "b", &headers)
    });
    assert_eq!(pracks.filter(|line| line.starts_with("PRACK")).count(), 16);
}

#[test]
fn every_fork_counts_for_itself() {
    let mut stage = Stage::calling(Udp);
    let ringing = |contact| [REQUIRE, ("RSeq", "1"), ("Contact", contact)];
    let lines = stage.reply("INVITE", 180, "b", &ringing("<sip:bob@192.0.2.3>"));
    assert_eq!(lines, ["PRACK 2 > udp:192.0.2.3:5060", "Progress 180"]);
    let lines = stage.reply("INVITE", 180, "c", &ringing("<sip:bob@192.0.2.4>"));
    assert_eq!(lines, ["PRACK 2 > udp:192.0.2.4:5060", "Progress 180"]);
    assert_eq!(stage.last("PRACK").to_tag().as_deref(), Some("c"));
}

#[test]
fn what_is_not_reliable_is_not_acknowledged() {
    let mut stage = Stage::calling(Udp);
    assert_eq!(stage.reply("INVITE", 100, "", &[REQUIRE, ("RSeq", "1")]), ["Progress 100"]);
    assert_eq!(stage.reply("INVITE", 180, "b", &[("RSeq", "1")]), ["Progress 180"]);
    assert_eq!(stage.reply("INVITE", 180, "b", &[REQUIRE]), ["Progress 180"]);
    for nonsense in ["0", "-1", "4294967296", "many"] {
        let lines = stage.reply("INVITE", 180, "b", &[REQUIRE, ("RSeq", nonsense)]);
        assert_eq!(lines, ["Progress 180"], "{nonsense}");
    }
}

#[test]
fn an_answer_that_came_early_is_that_of_the_2xx() {
    let mut stage = Stage::calling(Udp);
    let headers = [REQUIRE, ("RSeq", "1"), ("Contact", "<sip:bob@192.0.2.3>"), SDP];
    stage.answer("INVITE", 183, &headers, "early answer");
    let mut accepted = response_to(stage.last("INVITE"), Status::OK, Some("b"));
    accepted.headers.push("Contact", "<sip:bob@192.0.2.3>");
    let source = stage.peer.clone();
    let message = Message::Response(accepted);
    stage.leg.handle(stage.now, LegInput::Message { message, source });
    let outputs: Vec<_> = std::iter::from_fn(|| stage.leg.poll()).collect();
    let answer = outputs.iter().find_map(|output| match output {
        LegOutput::Event(LegEvent::Established { response }) => Some(response.body.clone()),
        LegOutput::Event(_) | LegOutput::Send { .. } | LegOutput::Spare { .. } => None,
    });
    assert_eq!(answer.unwrap(), "early answer");
}

#[test]
fn a_caller_that_requires_it_is_rung_reliably() {
    let mut stage = Stage::called(Udp, &[REQUIRE]);
    stage.leg.ring(stage.now);
    stage.leg.ring(stage.now);
    assert_eq!(stage.drain(), ["180 INVITE 1"]);
    let headers = &stage.last_response().headers;
    assert_eq!(headers.get("Require"), Some("100rel"));
    let rseq: u32 = headers.get("RSeq").unwrap().parse().unwrap();
    assert!((1..1 << 31).contains(&rseq));
    // T1, and then doubled, without the bound of T2.
    let again = [500, 1500, 3500, 7500, 15500].map(|at| format!("{at} 180 INVITE 1"));
    assert_eq!(stage.wait(Duration::from_secs(20)), again);
    let wrong = format!("{} 1 INVITE", rseq + 1);
    assert_eq!(stage.ask("PRACK", 2, &[("RAck", &wrong)]), ["481 PRACK 2"]);
    let right = format!("{rseq} 1 INVITE");
    assert_eq!(stage.ask("PRACK", 3, &[("RAck", &right)]), ["200 PRACK 3"]);
    assert_eq!(stage.ask("PRACK", 4, &[("RAck", &right)]), ["481 PRACK 4"]);
    // The next one a minute after the first, with the next number.
    assert_eq!(stage.wait(Duration::from_secs(40)), ["60000 180 INVITE 1"]);
    let next = stage.last_response().headers.get("RSeq").unwrap().to_owned();
    assert_eq!(next, (rseq + 1).to_string());
    let rack = format!("{next} 1 INVITE");
    assert_eq!(stage.ask("PRACK", 5, &[("RAck", &rack)]), ["200 PRACK 5"]);
    stage.leg.accept(stage.now, body("answer"));
    assert_eq!(stage.drain(), ["200 INVITE 1"]);
    assert_eq!(stage.ask("ACK", 1, &[]), ["Confirmed"]);
}

#[test]
fn who_requires_it_and_offers_nothing_hears_nothing_before_our_offer() {
    let mut invite = invitation(Udp, &[REQUIRE]);
    invite.body = Bytes::new();
    let peer = Hop::new(Udp, "192.0.2.2", 5060);
    let start = Instant::now();
    let leg = Leg::answering(start, invite, peer.clone(), kit("192.0.2.1", Udp, 2));
    let mut stage = Stage { leg, start, now: start, sent: Vec::new(), peer };
    assert_eq!(stage.drain(), ["100 INVITE 1"]);
    // A 180 would have to be reliable, and then to bear an offer (RFC 3261 section 13.2.1).
    stage.leg.ring(stage.now);
    assert_eq!(stage.drain(), [""; 0]);
    assert_eq!(stage.wait(Duration::from_secs(130)), [""; 0]);
    stage.leg.accept(stage.now, body("offer"));
    assert_eq!(stage.drain(), ["200 INVITE 1"]);
    assert_eq!(stage.last_response().body, "offer");
}

#[test]
fn without_prack_the_invitation_fails() {
    let mut stage = Stage::called(Tcp, &[REQUIRE]);
    stage.leg.ring(stage.now);
    stage.drain();
    let lines = stage.wait(Duration::from_secs(40));
    assert_eq!(lines[6..], ["32000 500 INVITE 1", "32000 Lost 500"]);
    assert_eq!(lines[5], "31500 180 INVITE 1");
}

#[test]
fn a_prack_that_our_2xx_overtook_is_still_welcome() {
    let mut stage = Stage::called(Udp, &[REQUIRE]);
    stage.leg.ring(stage.now);
    stage.drain();
    let rseq = stage.last_response().headers.get("RSeq").unwrap().to_owned();
    stage.leg.accept(stage.now, body("answer"));
    assert_eq!(stage.drain(), ["200 INVITE 1"]);
    let rack = format!("{rseq} 1 INVITE");
    assert_eq!(stage.ask("PRACK", 2, &[("RAck", &rack)]), ["200 PRACK 2"]);
    assert_eq!(stage.ask("ACK", 1, &[]), ["Confirmed"]);
    assert_eq!(stage.ask("PRACK", 3, &[("RAck", &rack)]), ["481 PRACK 3"]);
    let nonsense = ["", "1", "1 1", "1 1 BYE", "1 1 INVITE x", "-1 1 INVITE"];
    for (number, rack) in (4..).zip(nonsense) {
        let lines = stage.ask("PRACK", number, &[("RAck", rack)]);
        assert_eq!(lines, [format!("400 PRACK {number}")], "{rack}");
    }
}

#[test]
fn who_only_supports_it_is_rung_as_everybody() {
    let mut stage = Stage::called(Udp, &[("Supported", "100rel")]);
    stage.leg.ring(stage.now);
    assert_eq!(stage.drain(), ["180 INVITE 1"]);
    assert!(!stage.last_response().headers.has("RSeq"));
    assert_eq!(stage.wait(Duration::from_secs(50)), [""; 0]);
}

#[test]
fn a_2xx_waits_until_the_reliable_answer_is_acknowledged() {
    let mut stage = Stage::called(Udp, &[("Supported", "100rel")]);
    stage.leg.progress(stage.now, body("answer"));
    assert_eq!(stage.drain(), ["183 INVITE 1"]);
    assert_eq!(stage.last_response().body, "answer");
    let rseq = stage.last_response().headers.get("RSeq").unwrap().to_owned();
    stage.leg.accept(stage.now, body("another answer"));
    assert_eq!(stage.drain(), [""; 0]);
    assert_eq!(stage.wait(Duration::from_secs(1)), ["500 183 INVITE 1"]);
    let rack = format!("{rseq} 1 INVITE");
    let lines = stage.ask("PRACK", 2, &[("RAck", &rack)]);
    assert_eq!(lines, ["200 PRACK 2", "200 INVITE 1"]);
    assert!(stage.last_response().body.is_empty());
    assert!(!stage.last_response().headers.has("Content-Type"));
    assert_eq!(stage.ask("ACK", 1, &[]), ["Confirmed"]);
}

#[test]
fn a_2xx_that_waits_in_vain_is_none() {
    let mut stage = Stage::called(Udp, &[REQUIRE]);
    stage.leg.progress(stage.now, body("answer"));
    stage.leg.accept(stage.now, body("answer"));
    let lines = stage.wait(Duration::from_secs(32));
    assert_eq!(lines[lines.len() - 2..], ["32000 500 INVITE 1", "32000 Lost 500"]);

    let mut stage = Stage::called(Udp, &[REQUIRE]);
    stage.leg.progress(stage.now, body("answer"));
    stage.leg.accept(stage.now, body("answer"));
    stage.leg.bye(stage.now, None);
    assert_eq!(stage.drain()[1..], ["480 INVITE 1", "ByeDone"]);
}

#[test]
fn an_answer_that_was_not_reliable_is_repeated_in_the_2xx() {
    let mut stage = Stage::called(Udp, &[]);
    stage.leg.progress(stage.now, body("answer"));
    assert_eq!(stage.drain(), ["183 INVITE 1"]);
    assert!(!stage.last_response().headers.has("RSeq"));
    stage.leg.accept(stage.now, body("answer"));
    assert_eq!(stage.drain(), ["200 INVITE 1"]);
    assert_eq!(stage.last_response().body, "answer");
}

#[test]
fn a_re_invite_that_rings_reliably_is_acknowledged_too() {
    let mut stage = Stage::established(Udp);
    stage.leg.offer(stage.now, body("more"));
    stage.drain();
    let ringing = [REQUIRE, ("RSeq", "5")];
    let lines = stage.reply("INVITE", 180, "b", &ringing);
    assert_eq!(lines, ["PRACK 3 > udp:192.0.2.3:5060"]);
    assert_eq!(stage.last("PRACK").headers.get("RAck"), Some("5 2 INVITE"));
    assert_eq!(stage.reply("INVITE", 180, "b", &ringing), [""; 0]);
    let accepted = [("Contact", "<sip:bob@192.0.2.3>"), SDP];
    let lines = stage.answer("INVITE", 200, &accepted, "answer");
    assert_eq!(lines, ["ACK 2 > udp:192.0.2.3:5060", "Answer answer"]);
}
