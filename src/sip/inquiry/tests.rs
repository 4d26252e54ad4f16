//! Transcripts of requests that are answered once, from both sides.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use super::*;
use crate::sip::usage::tests::{
    CHALLENGE, Stage, apply, errand, errand_by_two, head, kit, request_of_peer, text,
};

fn saying() -> Stage<Inquiry> {
    let now = Instant::now();
    let hello = text("text/plain", "hello");
    let usage = Inquiry::message(now, &errand(), hello, kit(1));
    Stage::begin(now, usage, &["MESSAGE 1: hello"])
}

#[test]
fn a_message_has_no_contact_and_is_answered_once() {
    for code in [200, 202, 302, 404, 480, 503, 603] {
        let mut stage = saying();
        assert_eq!(stage.reply(100, &[]), [""; 0]);
        assert_eq!(stage.reply(code, &[]), [format!("Answered {code}")]);
        assert_eq!(stage.reply(200, &[]), [""; 0]);
        stage.assert_fades();
    }
    assert_eq!(
        head(saying().last_request()),
        "MESSAGE sip:room@b.example\n\
         Max-Forwards: 70\n\
         Route: <sip:192.0.2.2:5060;lr>\n\
         To: <sip:room@b.example>\n\
         CSeq: 1 MESSAGE\n\
         Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, NOTIFY\n\
         Supported: 100rel, timer\n\
         User-Agent: bridge/1\n\
         Subject: hi  Evil: yes\n\
         Content-Type: text/plain"
    );
}

#[test]
fn a_challenge_is_answered_with_the_same_body_under_the_next_number() {
    let mut stage = saying();
    assert_eq!(stage.reply(407, &[("Proxy-Authenticate", CHALLENGE.1)]), ["MESSAGE 2: hello"]);
    assert!(stage.last_request().headers.has("Proxy-Authorization"));
    assert_eq!(stage.sent[0].call_id(), stage.sent[1].call_id());
    assert_ne!(stage.sent[0].via().unwrap(), stage.sent[1].via().unwrap());
    assert_eq!(stage.reply(407, &[("Proxy-Authenticate", CHALLENGE.1)]), ["Answered 407"]);
}

#[test]
fn a_hop_that_fails_gives_way_to_the_next_one() {
    let mut stage = saying_by_two();
    assert_eq!(stage.break_transport(), ["MESSAGE 1: hello > udp:192.0.2.3:5060"]);
    let [Message::Request(first), Message::Request(other)] = stage.sent.as_slice() else {
        panic!("two requests: {:?}", stage.sent)
    };
    assert_eq!(head(first), head(other));
    assert_ne!(first.via().unwrap().branch(), other.via().unwrap().branch());
    // The news of the first hop may come more than once.
    assert_eq!(stage.break_transport(), [""; 0]);
    assert_eq!(stage.reply(200, &[]), ["Answered 200"]);
    stage.assert_fades();

    let mut stage = saying_by_two();
    let lines = stage.wait(32);
    assert_eq!(lines.last().unwrap(), "32000 MESSAGE 1: hello > udp:192.0.2.3:5060");
    assert_eq!(stage.wait(32).last().unwrap(), "64000 Failed Timeout");
    stage.assert_fades();
}

#[test]
fn an_overloaded_hop_is_spared_and_what_a_hop_decides_is_final() {
    let mut stage = saying_by_two();
    let lines = stage.reply(503, &[("Retry-After", "9")]);
    assert_eq!(lines, ["Spare udp:192.0.2.2:5060 9", "MESSAGE 1: hello > udp:192.0.2.3:5060"]);
    let lines = stage.reply(503, &[("Retry-After", "8")]);
    assert_eq!(lines, ["Spare udp:192.0.2.3:5060 8", "Answered 503"]);
    stage.assert_fades();
    for code in [302, 404, 408, 480, 500, 504, 603] {
        assert_eq!(saying_by_two().reply(code, &[]), [format!("Answered {code}")]);
    }
}

#[test]
fn whoever_works_on_it_and_falls_silent_has_heard_it() {
    let mut stage = saying_by_two();
    assert_eq!(stage.reply(100, &[]), [""; 0]);
    assert_eq!(stage.wait(32).last().unwrap(), "32000 Failed Timeout");
    stage.assert_fades();
}

fn saying_by_two() -> Stage<Inquiry> {
    let now = Instant::now();
    let hello = text("text/plain", "hello");
    let usage = Inquiry::message(now, &errand_by_two(), hello, kit(1));
    Stage::begin(now, usage, &["MESSAGE 1: hello"])
}

#[test]
fn silence_and_a_dead_hop_are_failures() {
    let mut stage = saying();
    assert_eq!(stage.wait(32).last().unwrap(), "32000 Failed Timeout");
    stage.assert_fades();
    let mut stage = saying();
    assert_eq!(stage.break_transport(), ["Failed Transport"]);
    stage.assert_fades();
}

#[test]
fn options_asks_with_contact_and_accept() {
    let now = Instant::now();
    let usage = Inquiry::options(now, &errand(), kit(1));
    let mut stage = Stage::begin(now, usage, &["OPTIONS 1"]);
    assert!(stage.last_request().headers.has("Contact"));
    assert!(stage.last_request().headers.has("Accept"));
    assert_eq!(stage.reply(200, &[]), ["Answered 200"]);
    stage.assert_fades();
}

#[test]
fn a_message_of_a_peer_is_answered_by_the_owner_and_its_repetition_alike() {
    let mut message = request_of_peer("MESSAGE", 1);
    apply(&mut message, &[("Content-Type", "text/plain"), ("body", "hello")]);
    let answering = |now, request, source| Inquired::answering(now, request, source, kit(2));
    let mut stage = Stage::answer(message.clone(), answering, &[]);
    assert_eq!(stage.usage.request().unwrap().body, "hello");
    assert_eq!(stage.give(message.clone().into()), [""; 0]);
    stage.usage.answer(stage.now, Status::OK, &[]);
    assert_eq!(stage.drain(), ["200 MESSAGE 1"]);
    assert!(!stage.last_response().headers.has("Contact"));
    assert!(stage.usage.request().is_none());
    assert_eq!(stage.give(message.clone().into()), ["200 MESSAGE 1"]);
    message.headers.set("Via", "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKother");
    assert_eq!(stage.give(message.into()), ["482 MESSAGE 1"]);
    stage.usage.answer(stage.now, Status::FORBIDDEN, &[]);
    stage.assert_fades();
}

#[test]
fn what_is_required_and_unknown_is_refused_of_itself() {
    let mut message = request_of_peer("MESSAGE", 1);
    message.headers.push("Require", "magic");
    let answering = |now, request, source| Inquired::answering(now, request, source, kit(2));
    let mut stage = Stage::answer(message, answering, &["420 MESSAGE 1"]);
    assert!(stage.usage.request().is_none());
    stage.assert_fades();
    let message = request_of_peer("MESSAGE", 1);
    let answering = |now, request, source| Inquired::answering(now, request, source, kit(2));
    Stage::answer(message, answering, &[]).assert_fades();
}
