//! The notifier against subscribers of every kind.

use super::super::*;
use crate::sip::usage::tests::{CHALLENGE, Stage, apply, head, kit, request_of_peer, text};
use crate::sip::{Body, Message, Status};
use std::time::Duration;

const XML: &str = "application/conference-info+xml";

fn terms() -> NotifierTerms {
    NotifierTerms {
        packages: vec!["conference".to_owned()],
        content_types: vec![XML.to_owned()],
        shortest: 60,
        usual: 3600,
        longest: 7200,
    }
}

fn state(name: &str) -> Option<Body> {
    Some(text(XML, name))
}

fn asked(headers: &[(&str, &str)], lines: &[&str]) -> Stage<Notifier> {
    let mut subscribe = request_of_peer("SUBSCRIBE", 1);
    subscribe.headers.push("Event", "conference");
    subscribe.headers.push("Expires", "600");
    apply(&mut subscribe, headers);
    let answering =
        |now, request, source| Notifier::answering(now, request, source, terms(), kit(2));
    Stage::answer(subscribe, answering, lines)
}

/// Granted, and told the first state, which is acknowledged.
fn standing() -> Stage<Notifier> {
    let mut stage = asked(&[], &["Asked"]);
    stage.usage.accept(stage.now, Standing::Active, state("one"));
    assert_eq!(stage.drain(), ["200 SUBSCRIBE 1", "NOTIFY 1 active;expires=600: one"]);
    assert_eq!(stage.reply(200, &[]), [""; 0]);
    stage
}

#[test]
fn the_200_goes_before_the_first_notify_and_both_carry_what_they_must() {
    let stage = standing();
    let response = stage.last_response();
    assert_eq!(response.expires(), Some(600));
    assert_eq!(response.headers.get("Contact"), Some("<sip:alice@192.0.2.1:5060>"));
    assert_eq!(
        head(stage.last_request()),
        "NOTIFY sip:peer@192.0.2.2\n\
         Max-Forwards: 70\n\
         To: <sip:peer@b.example>;tag=n\n\
         CSeq: 1 NOTIFY\n\
         Contact: <sip:alice@192.0.2.1:5060>\n\
         Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, NOTIFY\n\
         Supported: 100rel, timer\n\
         User-Agent: bridge/1\n\
         Event: conference\n\
         Subscription-State: active;expires=600\n\
         Content-Type: application/conference-info+xml"
    );
}

#[test]
fn changes_are_told_refreshes_granted_and_the_end_is_told_once() {
    let mut stage = standing();
    stage.wait(100);
    stage.usage.publish(stage.now, state("two"), state("+2"));
    assert_eq!(stage.drain(), ["NOTIFY 2 active;expires=500: +2"]);
    stage.reply(200, &[]);
    let refresh = [("Event", "conference"), ("Expires", "300")];
    assert_eq!(
        stage.ask("SUBSCRIBE", (2, "n"), &refresh),
        ["200 SUBSCRIBE 2", "NOTIFY 3 active;expires=300: two", "Refreshed"]
    );
    stage.reply(200, &[]);
    assert_eq!(stage.wait(300), ["400000 NOTIFY 4 terminated;reason=timeout"]);
    // What comes while the last word has no answer comes too late (S12).
    assert_eq!(stage.ask("SUBSCRIBE", (3, "n"), &refresh), ["481 SUBSCRIBE 3"]);
    stage.usage.publish(stage.now, state("three"), None);
    stage.usage.terminate(stage.now, Ending::because(EndReason::NoResource), None);
    assert_eq!(stage.drain(), [""; 0]);
    assert_eq!(stage.reply(200, &[]), ["Ended Expired"]);
    assert_eq!(stage.ask("SUBSCRIBE", (4, "n"), &refresh), ["481 SUBSCRIBE 4"]);
    stage.assert_fades();
}

#[test]
fn one_notify_at_a_time_and_the_newest_state_wins() {
    let mut stage = asked(&[], &["Asked"]);
    stage.usage.accept(stage.now, Standing::Active, state("one"));
    stage.drain();
    for name in ["two", "three", "four"] {
        stage.usage.publish(stage.now, state(name), state("+"));
    }
    assert_eq!(stage.drain(), [""; 0]);
    // What was left out cannot be told as a change.
    assert_eq!(stage.reply(200, &[]), ["NOTIFY 2 active;expires=600: four"]);
    stage.usage.publish(stage.now, state("five"), state("+5"));
    stage.usage.terminate(stage.now, Ending::because(EndReason::NoResource), state("end"));
    assert_eq!(stage.drain(), [""; 0]);
    assert_eq!(stage.reply(200, &[]), ["NOTIFY 3 terminated;reason=noresource: end"]);
    assert_eq!(stage.reply(200, &[]), ["Ended Terminated"]);
    stage.assert_fades();
}

#[test]
fn who_asks_for_nothing_sensible_is_told_what_would_be() {
    for (headers, code, told) in [
        (vec![("Event", "presence")], 489, ("Allow-Events", "conference")),
        (vec![("without", "Event")], 489, ("Allow-Events", "conference")),
        (vec![("Expires", "59")], 423, ("Min-Expires", "60")),
        (vec![("Accept", "text/html, application/sdp")], 406, ("CSeq", "1 SUBSCRIBE")),
        (vec![("Require", "eventlist")], 420, ("Unsupported", "eventlist")),
        (vec![("without", "Contact")], 400, ("CSeq", "1 SUBSCRIBE")),
    ] {
        let line = format!("{code} SUBSCRIBE 1");
        let mut stage = asked(&headers, &[&line, &format!("Refused {code}")]);
        assert_eq!(stage.last_response().headers.get(told.0), Some(told.1));
        stage.usage.accept(stage.now, Standing::Active, None);
        stage.assert_fades();
    }
}

#[test]
fn the_time_is_chosen_within_bounds() {
    for (asked_for, granted) in
        [("60", 60), ("7200", 7200), ("9000", 7200), ("4294967296", 7200), ("x", 3600)]
    {
        let mut stage = asked(&[("Expires", asked_for)], &["Asked"]);
        stage.usage.accept(stage.now, Standing::Active, None);
        assert_eq!(
            stage.drain(),
            ["200 SUBSCRIBE 1".to_owned(), format!("NOTIFY 1 active;expires={granted}")]
        );
    }
    let mut stage = asked(&[("without", "Expires"), ("Accept", "*/*")], &["Asked"]);
    stage.usage.accept(stage.now, Standing::Pending, None);
    assert_eq!(stage.drain()[1], "NOTIFY 1 pending;expires=3600");
}

#[test]
fn an_hour_is_never_too_brief() {
    let demanding = NotifierTerms { shortest: 4000, ..terms() };
    for (seconds, line) in [("3599", "423 SUBSCRIBE 1"), ("3600", "Asked")] {
        let mut subscribe = request_of_peer("SUBSCRIBE", 1);
        apply(&mut subscribe, &[("Event", "conference"), ("Expires", seconds)]);
        let terms = demanding.clone();
        let mut stage = Stage::answer(
            subscribe,
            |now, request, source| Notifier::answering(now, request, source, terms, kit(2)),
            if line == "Asked" { &["Asked"] } else { &["423 SUBSCRIBE 1", "Refused 423"] },
        );
        stage.drain();
    }
}

#[test]
fn a_fetch_is_told_the_state_and_that_it_is_over() {
    let mut stage = asked(&[("Expires", "0")], &["Asked"]);
    stage.usage.accept(stage.now, Standing::Active, state("one"));
    assert_eq!(stage.drain(), ["200 SUBSCRIBE 1", "NOTIFY 1 terminated;reason=timeout: one"]);
    assert_eq!(stage.last_response().expires(), Some(0));
    assert_eq!(stage.reply(200, &[]), ["Ended Unsubscribed"]);
    stage.assert_fades();
}

#[test]
fn a_leave_that_crosses_a_notify_waits_for_its_answer() {
    let mut stage = standing();
    stage.usage.publish(stage.now, state("two"), None);
    stage.drain();
    let leave = [("Event", "conference"), ("Expires", "0")];
    assert_eq!(stage.ask("SUBSCRIBE", (2, "n"), &leave), ["200 SUBSCRIBE 2"]);
    assert_eq!(stage.reply(200, &[]), ["NOTIFY 3 terminated;reason=timeout: two"]);
    assert_eq!(stage.reply(481, &[]), ["Ended Unsubscribed"]);
    stage.assert_fades();
}

#[test]
fn who_has_yet_to_be_permitted_is_told_when_he_is() {
    let mut stage = asked(&[], &["Asked"]);
    stage.usage.accept(stage.now, Standing::Pending, None);
    assert_eq!(stage.drain(), ["200 SUBSCRIBE 1", "NOTIFY 1 pending;expires=600"]);
    stage.reply(200, &[]);
    stage.usage.permit(stage.now);
    assert_eq!(stage.drain(), ["NOTIFY 2 active;expires=600"]);
    stage.reply(200, &[]);
    stage.usage.permit(stage.now);
    assert_eq!(stage.drain(), [""; 0]);
    let rejected =
        Ending { reason: Some(EndReason::Probation), retry_after: Some(Duration::from_secs(30)) };
    stage.usage.terminate(stage.now, rejected, None);
    assert_eq!(stage.drain(), ["NOTIFY 3 terminated;reason=probation;retry-after=30"]);
}

#[test]
fn a_notify_that_is_refused_for_good_ends_the_subscription() {
    for code in [404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604] {
        let mut stage = standing();
        stage.usage.publish(stage.now, state("two"), None);
        stage.drain();
        assert_eq!(stage.reply(code, &[]), [format!("Ended {code}")]);
        stage.usage.publish(stage.now, state("three"), None);
        stage.assert_fades();
    }
    let mut stage = standing();
    stage.usage.publish(stage.now, state("two"), None);
    stage.drain();
    assert_eq!(stage.wait(32).last().unwrap(), "32000 Ended Timeout");
    stage.assert_fades();
}

#[test]
fn a_notify_that_fails_otherwise_is_made_up_for_by_the_next_one() {
    for code in [415, 500, 503] {
        let mut stage = standing();
        stage.usage.publish(stage.now, state("two"), state("+2"));
        stage.drain();
        assert_eq!(stage.reply(code, &[]), [""; 0]);
        stage.usage.publish(stage.now, state("three"), state("+3"));
        assert_eq!(stage.drain(), ["NOTIFY 3 active;expires=600: three"]);
    }
    let mut stage = standing();
    stage.usage.publish(stage.now, state("two"), None);
    stage.drain();
    assert_eq!(stage.break_transport(), [""; 0]);
    stage.usage.publish(stage.now, state("three"), state("+3"));
    assert_eq!(stage.drain(), ["NOTIFY 3 active;expires=600: three"]);
}

#[test]
fn a_challenge_to_a_notify_is_answered() {
    let mut stage = standing();
    stage.usage.publish(stage.now, state("two"), state("+2"));
    stage.drain();
    assert_eq!(stage.reply(401, &[CHALLENGE]), ["NOTIFY 3 active;expires=600: two"]);
    assert!(stage.last_request().headers.has("Authorization"));
    stage.usage.terminate(stage.now, Ending::because(EndReason::NoResource), None);
    assert_eq!(stage.reply(200, &[]), ["NOTIFY 4 terminated;reason=noresource"]);
    assert_eq!(stage.reply(401, &[CHALLENGE]), ["Ended Terminated"]);
}

#[test]
fn requests_in_the_dialog_are_held_to_it() {
    let mut stage = standing();
    let refresh = [("Event", "conference"), ("Expires", "300")];
    assert_eq!(stage.ask("SUBSCRIBE", (5, "x"), &refresh), ["481 SUBSCRIBE 5"]);
    stage.ask("SUBSCRIBE", (5, "n"), &refresh);
    assert_eq!(stage.ask("SUBSCRIBE", (4, "n"), &refresh), ["500 SUBSCRIBE 4"]);
    for (number, headers, code) in [
        (6, vec![("Event", "conference;id=1")], 403),
        (7, vec![("Event", "presence")], 489),
        (8, vec![("Event", "conference"), ("Expires", "5")], 423),
        (9, vec![("Event", "conference"), ("Accept", "a/b")], 406),
        (10, vec![("Event", "conference"), ("Require", "x")], 420),
    ] {
        let lines = stage.ask("SUBSCRIBE", (number, "n"), &headers);
        assert_eq!(lines, [format!("{code} SUBSCRIBE {number}")]);
    }
    assert_eq!(stage.ask("OPTIONS", (11, "n"), &[]), ["200 OPTIONS 11"]);
    assert_eq!(stage.ask("NOTIFY", (12, "n"), &[]), ["481 NOTIFY 12"]);
    assert_eq!(stage.ask("PUBLISH", (13, "n"), &[]), ["405 PUBLISH 13"]);
}

#[test]
fn a_repetition_is_answered_alike_and_the_same_by_another_way_is_a_loop() {
    let mut stage = standing();
    let mut subscribe = request_of_peer("SUBSCRIBE", 1);
    apply(&mut subscribe, &[("Event", "conference"), ("Expires", "600")]);
    assert_eq!(stage.give(subscribe.clone().into()), ["200 SUBSCRIBE 1"]);
    subscribe.headers.set("Via", "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKother");
    assert_eq!(stage.give(subscribe.into()), ["482 SUBSCRIBE 1"]);
}

#[test]
fn a_refresh_moves_the_target() {
    let mut stage = standing();
    let moved = [("Event", "conference"), ("Expires", "600"), ("Contact", "<sip:moved@192.0.2.2>")];
    stage.ask("SUBSCRIBE", (2, "n"), &moved);
    assert_eq!(stage.last_request().uri.as_str(), "sip:moved@192.0.2.2");
}

#[test]
fn what_nobody_decides_on_is_forgotten() {
    let mut stage = asked(&[], &["Asked"]);
    assert!(stage.usage.request().is_some());
    assert_eq!(stage.wait(32), ["32000 Ended Timeout"]);
    stage.usage.accept(stage.now, Standing::Active, None);
    stage.assert_fades();
    let mut stage = asked(&[], &["Asked"]);
    stage.usage.reject(stage.now, Status::FORBIDDEN, &[("X-Why".to_owned(), "no".to_owned())]);
    assert_eq!(stage.drain(), ["403 SUBSCRIBE 1"]);
    assert_eq!(stage.last_response().headers.get("X-Why"), Some("no"));
    stage.assert_fades();
}

#[test]
fn nobody_subscribes_to_a_refer_that_was_never_made() {
    let terms = NotifierTerms { packages: vec!["refer".to_owned()], ..terms() };
    let mut subscribe = request_of_peer("SUBSCRIBE", 1);
    subscribe.headers.push("Event", "refer");
    let answering = |now, request, source| Notifier::answering(now, request, source, terms, kit(2));
    let stage = Stage::answer(subscribe, answering, &["403 SUBSCRIBE 1", "Refused 403"]);
    assert!(matches!(stage.sent.first(), Some(Message::Response(_))));
}
