//! Changes to an established session: glare, refusals and their consequences, session timers,
//! reliable provisional responses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chatbridge::ids::Random;
use chatbridge::sip::Status;
use chatbridge::sip::Transport::Udp;

use crate::stage::{NOTHING, Stage, body};

#[test]
fn m07_reinvite_glare_is_refused_by_whoever_is_asked() {
    // Ours is out: 491.
    let mut stage = Stage::established(Udp);
    stage.wish(|leg, now| leg.offer(now, body("ours")));
    assert_eq!(stage.ask("INVITE", 1, "\n\ntheirs"), ["491 INVITE 1"]);
    assert_eq!(stage.ask("UPDATE", 2, "\n\ntheirs"), ["491 UPDATE 2"]);
    // One of theirs is out: 500, and when to come again.
    let mut stage = Stage::confirmed(Udp);
    assert_eq!(stage.ask("INVITE", 2, "\n\nfirst"), ["100 INVITE 2", "Offer first"]);
    assert_eq!(stage.ask("INVITE", 3, "\n\nsecond"), ["500 INVITE 3"]);
    let seconds: u32 = stage.last_response().get("Retry-After").parse().unwrap();
    assert!(seconds <= 10, "{seconds}");
    stage.wish(|leg, now| leg.answer_offer(now, Ok(body("answer"))));
    assert_eq!(stage.last_response().body(), "answer");
}

#[test]
fn m07_reinvite_glare_backs_off_by_role() {
    for (owns_call_id, least, most) in [(true, 2100, 4000), (false, 0, 2000)] {
        let mut waits = BTreeSet::new();
        for seed in 0..60 {
            let random = Random::seeded(seed);
            let mut stage = match owns_call_id {
                true => {
                    let mut stage = Stage::calling_with(Udp, |kit, _| kit.random = random);
                    stage.answer("INVITE", "200 OK", "bobs", "Contact: <sip:bob@192.0.2.3>");
                    stage
                }
                false => {
                    let mut stage = Stage::called_with(Udp, "", |kit| kit.random = random);
                    stage.accept();
                    stage.ask("ACK", 1, "");
                    stage
                }
            };
            stage.wish(|leg, now| leg.offer(now, body("ours")));
            let number: u32 = stage.last("INVITE").number().parse().unwrap();
            let lines = stage.answer("INVITE", "491 Request Pending", "", "");
            assert_eq!(lines.len(), 1, "{lines:?}");
            let lines = stage.wait(Duration::from_secs(5));
            let (at, line) = lines[0].split_once(' ').unwrap();
            assert!(line.starts_with(&format!("INVITE {} ", number + 1)), "{line}");
            waits.insert(at.parse::<u64>().unwrap());
        }
        let (first, last) = (*waits.first().unwrap(), *waits.last().unwrap());
        assert!(least <= first && last <= most, "{first} {last}");
        assert!(waits.iter().all(|wait| wait % 10 == 0), "{waits:?}");
        assert!(waits.len() > 30, "a random wait: {waits:?}");
    }
}

#[test]
fn m08_an_offerless_invite_gets_an_offer_and_its_ack_brings_the_answer() {
    let mut stage = Stage::called(Udp, "Content-Type:\n\n");
    stage.wish(|leg, now| leg.accept(now, body("our offer")));
    assert_eq!(stage.last_response().body(), "our offer");
    assert_eq!(stage.last_response().get("Content-Type"), "application/sdp");
    assert_eq!(stage.ask("ACK", 1, "\n\ntheir answer"), ["Confirmed", "Answer their answer"]);
    // The same within the session.
    assert_eq!(stage.ask("INVITE", 2, ""), ["100 INVITE 2", "Offer"]);
    stage.wish(|leg, now| leg.answer_offer(now, Ok(body("again"))));
    assert_eq!(stage.last_response().body(), "again");
    assert_eq!(stage.ask("ACK", 2, "\n\nand again"), ["Answer and again"]);
    // An ACK that brings none is told as such.
    let mut stage = Stage::called(Udp, "Content-Type:\n\n");
    stage.wish(|leg, now| leg.accept(now, body("our offer")));
    assert_eq!(stage.ask("ACK", 1, ""), ["Confirmed", "Answer"]);
}

#[test]
fn m09_a_refused_change_keeps_the_session_and_a_lost_dialog_ends_it() {
    for (status, is_lost) in [
        ("403 Forbidden", false),
        ("488 Not Acceptable Here", false),
        ("500 Server Internal Error", false),
        ("503 Service Unavailable", false),
        ("603 Decline", false),
        ("408 Request Timeout", true),
        ("481 Call/Transaction Does Not Exist", true),
    ] {
        let code = &status[..3];
        let mut stage = Stage::established(Udp);
        stage.wish(|leg, now| leg.offer(now, body("ours")));
        let lines = stage.answer("INVITE", status, "", "");
        assert_eq!(lines[0], "ACK 2 > udp:192.0.2.3:5060", "{status}");
        if is_lost {
            let bye = "BYE 3 > udp:192.0.2.3:5060".to_owned();
            assert_eq!(lines[1..], [format!("Lost {code}"), bye], "{status}");
        } else {
            assert_eq!(lines[1..], [format!("OfferRefused {code}")], "{status}");
            assert_eq!(stage.ask("OPTIONS", 1, ""), ["200 OPTIONS 1"], "{status}");
        }
    }
    // An UPDATE, here one that refreshes, fares no better.
    for (status, is_lost) in [("500 Oops", false), ("481 Gone", true)] {
        let mut stage = updating();
        let lines = stage.answer("UPDATE", status, "", "");
        assert_eq!(lines.contains(&"Lost 481".to_owned()), is_lost, "{lines:?}");
        assert_eq!(stage.ask("OPTIONS", 1, "") == ["200 OPTIONS 1"], !is_lost);
    }
    // And none at all is a 408.
    let mut stage = Stage::established(Udp);
    stage.wish(|leg, now| leg.offer(now, body("ours")));
    let lines = stage.wait(Duration::from_secs(32));
    let end = ["32000 Lost", "32000 BYE 3 > udp:192.0.2.3:5060"];
    assert_eq!(lines[lines.len() - 2..], end);
    // Theirs that we refuse changes nothing either: neither session nor target.
    let mut stage = Stage::confirmed(Udp);
    stage.ask("INVITE", 2, "Contact: <sip:alice@192.0.2.77>\n\ntheirs");
    let refused = stage.wish(|leg, now| leg.answer_offer(now, Err(Status::NOT_ACCEPTABLE_HERE)));
    assert_eq!(refused, ["488 INVITE 2"]);
    stage.wish(|leg, now| leg.bye(now, None));
    assert_eq!(stage.last("BYE").target(), "sip:alice@192.0.2.9");
}

/// RFC 5057 section 5.1, code by code.
#[test]
fn m10_every_refusal_ends_what_rfc_5057_says() {
    let usage = [408, 480, 481];
    let dialog = [404, 410, 416, 482, 483, 484, 485, 502, 604];
    // What else asks for more than to be told: credentials, glare, another interval.
    for code in (300..=699).filter(|code| ![401, 407, 422, 491].contains(code)) {
        let mut stage = Stage::established(Udp);
        stage.wish(|leg, now| leg.offer(now, body("ours")));
        let lines = stage.answer("INVITE", &format!("{code} Whatever"), "", "");
        let is_lost = lines.contains(&format!("Lost {code}"));
        assert_eq!(is_lost, usage.contains(&code) || dialog.contains(&code), "{code}: {lines:?}");
        assert_eq!(!is_lost, lines.contains(&format!("OfferRefused {code}")), "{code}: {lines:?}");
    }
}

#[test]
fn m28_a_422_is_answered_with_its_interval_once() {
    let mut stage = Stage::calling_with(Udp, |kit, _| {
        Arc::make_mut(&mut kit.local).session_expires = Some(Duration::from_secs(100));
    });
    assert_eq!(stage.last("INVITE").get("Session-Expires"), "100");
    let first = stage.last("INVITE").clone();
    let small = "422 Session Interval Too Small";
    let lines = stage.answer("INVITE", small, "p", "Min-SE: 1800");
    assert_eq!(lines, ["ACK 1 > udp:192.0.2.2:5060", "INVITE 2 > udp:192.0.2.2:5060"]);
    let again = stage.last("INVITE").clone();
    assert_eq!((again.get("Session-Expires"), again.get("Min-SE")), ("1800", "1800"));
    assert_eq!(
        (again.get("Call-ID"), again.get("From")),
        (first.get("Call-ID"), first.get("From"))
    );
    assert_ne!(again.branch(), first.branch());
    let lines = stage.answer("INVITE", small, "p", "Min-SE: 3600");
    assert_eq!(lines, ["ACK 2 > udp:192.0.2.2:5060", "Refused 422"]);
    // And we say so ourselves.
    let small = Stage::refused("Supported: timer\nSession-Expires: 60");
    assert_eq!((small.code(), small.get("Min-SE")), (422, "90"));
}

#[test]
fn m28_the_refresher_is_elected_as_the_table_says() {
    // What alice asks for, what we answer: RFC 4028 table 2.
    for (asked, answered, requires) in [
        ("Supported: timer\nSession-Expires: 300", Some("300;refresher=uac"), true),
        ("Supported: timer\nSession-Expires: 300;refresher=uac", Some("300;refresher=uac"), true),
        ("Supported: timer\nSession-Expires: 300;refresher=uas", Some("300;refresher=uas"), true),
        ("Session-Expires: 300", Some("300;refresher=uas"), false),
        ("Supported: timer", None, false),
        ("", None, false),
    ] {
        let mut stage = Stage::called(Udp, asked);
        stage.accept();
        let accepted = stage.last_response();
        assert_eq!(accepted.all("Session-Expires"), Vec::from_iter(answered), "{asked}");
        assert_eq!(accepted.all("Require").contains(&"timer"), requires, "{asked}");
    }
}

#[test]
fn m28_a_refresh_is_sent_at_the_half_and_missed_short_of_the_end() {
    // Ours to send.
    let mut stage = Stage::called(Udp, "Supported: timer\nSession-Expires: 300;refresher=uas");
    stage.accept();
    stage.ask("ACK", 1, "");
    assert_eq!(stage.wait(Duration::from_secs(149)), NOTHING);
    let lines = stage.wait(Duration::from_secs(1));
    assert_eq!(lines, ["150000 INVITE 1 > udp:p2.example:5060"]);
    assert_eq!(stage.last("INVITE").get("Session-Expires"), "300;refresher=uac");
    // Theirs to send: a third before the end, but at most 32 s.
    for (seconds, end) in [(300, 268_000), (90, 60_000)] {
        let asked = format!("Supported: timer\nSession-Expires: {seconds};refresher=uac");
        let mut stage = Stage::called(Udp, &asked);
        stage.accept();
        stage.ask("ACK", 1, "");
        let lines = stage.wait(Duration::from_millis(end));
        let bye = format!("{end} BYE 1 > udp:p2.example:5060");
        assert_eq!(lines, [format!("{end} SessionExpired"), bye]);
    }
    // In time, by re-INVITE or by UPDATE: it begins anew.
    let mut stage = Stage::called(Udp, "Supported: timer\nSession-Expires: 90;refresher=uac");
    stage.accept();
    stage.ask("ACK", 1, "");
    stage.wait(Duration::from_secs(45));
    let refresh = "Supported: timer\nSession-Expires: 90;refresher=uac";
    assert_eq!(stage.ask("UPDATE", 2, refresh), ["200 UPDATE 2"]);
    assert_eq!(stage.last_response().get("Session-Expires"), "90;refresher=uac");
    assert_eq!(stage.wait(Duration::from_secs(59)), NOTHING);
    assert_eq!(stage.wait(Duration::from_secs(1))[0], "105000 SessionExpired");
}

#[test]
fn m34_a_repeated_reliable_response_is_acknowledged_once_and_a_gap_not_at_all() {
    let mut stage = Stage::calling(Udp);
    let progress =
        |rseq: u32| format!("Require: 100rel\nRSeq: {rseq}\nContact: <sip:bob@192.0.2.3>");
    let lines = stage.answer("INVITE", "183 Session Progress", "bobs", &progress(7));
    assert_eq!(lines, ["PRACK 2 > udp:192.0.2.3:5060", "Progress 183"]);
    assert_eq!(stage.last("PRACK").get("RAck"), "7 1 INVITE");
    let prack = stage.last("PRACK").clone();
    assert_eq!(stage.answer("PRACK", "200 OK", "", ""), NOTHING);
    assert_eq!(stage.answer("INVITE", "183 Session Progress", "bobs", &progress(7)), NOTHING);
    assert_eq!(stage.answer("INVITE", "183 Session Progress", "bobs", &progress(9)), NOTHING);
    assert_eq!(stage.last("PRACK"), &prack);
    let lines = stage.answer("INVITE", "183 Session Progress", "bobs", &progress(8));
    assert_eq!(lines, ["PRACK 3 > udp:192.0.2.3:5060", "Progress 183"]);
    assert_eq!(stage.last("PRACK").get("RAck"), "8 1 INVITE");
    // Beside it, another fork counts for itself.
    let lines = stage.answer("INVITE", "183 Session Progress", "carols", &progress(1));
    assert_eq!(lines, ["PRACK 2 > udp:192.0.2.3:5060", "Progress 183"]);
}

#[test]
fn m34_the_200_waits_for_the_prack_of_the_answer() {
    let mut stage = Stage::called(Udp, "Supported: 100rel");
    assert_eq!(stage.wish(|leg, now| leg.progress(now, body("answer"))), ["183 INVITE 1"]);
    let progress = stage.last_response().clone();
    assert_eq!((progress.get("Require"), progress.body()), ("100rel", "answer"));
    assert_eq!(stage.wish(|leg, now| leg.accept(now, body("answer"))), NOTHING);
    assert_eq!(stage.wait(Duration::from_millis(500)), ["500 183 INVITE 1"]);
    let rack = format!("RAck: {} 1 INVITE", progress.get("RSeq"));
    let wrong = format!("RAck: {} 2 INVITE", progress.get("RSeq"));
    assert_eq!(stage.ask("PRACK", 2, &wrong), ["481 PRACK 2"]);
    assert_eq!(stage.ask("PRACK", 3, &rack), ["200 PRACK 3", "200 INVITE 1"]);
    assert_eq!(stage.last_response().body(), "");
    assert_eq!(stage.ask("ACK", 1, ""), ["Confirmed"]);
    // Without an answer in it, nothing waits.
    let mut stage = Stage::called(Udp, "Require: 100rel");
    assert_eq!(stage.wish(|leg, now| leg.ring(now)), ["180 INVITE 1"]);
    assert_eq!(stage.wish(|leg, now| leg.accept(now, body("answer"))), ["200 INVITE 1"]);
}

/// A caller's session, refreshed with an UPDATE, which has no answer yet.
fn updating() -> Stage {
    let mut stage = Stage::calling_with(Udp, |kit, _| {
        Arc::make_mut(&mut kit.local).session_expires = Some(Duration::from_secs(600));
    });
    let accepted = "Contact: <sip:bob@192.0.2.3>\nAllow: INVITE, UPDATE\nRequire: timer\n\
                    Session-Expires: 600;refresher=uac";
    stage.answer("INVITE", "200 OK", "bobs", accepted);
    let lines = stage.wait(Duration::from_secs(300));
    assert_eq!(lines, ["300000 UPDATE 2 > udp:192.0.2.3:5060"]);
    stage
}
