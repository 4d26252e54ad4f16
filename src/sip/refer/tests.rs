//! Transcripts of REFERs outside of a dialog, from both sides.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use super::*;
use crate::sip::usage::tests::{CHALLENGE, Stage, apply, errand, head, kit, request_of_peer, text};
use crate::sip::{NameAddr, Uri};

const TRYING: &[(&str, &str)] = &[
    ("Event", "refer"),
    ("Subscription-State", "active;expires=60"),
    ("Content-Type", "message/sipfrag;version=2.0"),
    ("body", "SIP/2.0 100 Trying\r\n"),
];

const DONE: &[(&str, &str)] = &[
    ("Event", "refer"),
    ("Subscription-State", "terminated;reason=noresource"),
    ("Content-Type", "message/sipfrag"),
    ("body", "SIP/2.0 200 OK\r\n"),
];

fn bob() -> Reference {
    Reference::invite(Uri::parse("tel:+447700900002").unwrap())
}

fn referring(refer: Refer) -> Stage<Referral> {
    let now = Instant::now();
    let is_list = matches!(refer.to, References::Many { .. });
    let line = if is_list { "REFER 1: <list/>" } else { "REFER 1" };
    Stage::begin(now, Referral::refer(now, &errand(), refer, kit(1)), &[line])
}

#[test]
fn a_refer_carries_what_rfc_3515_asks_for() {
    let mut refer = Refer::to(bob());
    refer.by = Some(NameAddr::parse("<sip:alice@a.example>").unwrap());
    refer.is_watched = false;
    refer.headers.push(("Contribution-ID".to_owned(), "abc".to_owned()));
    let stage = referring(refer);
    assert_eq!(
        head(stage.last_request()),
        "REFER sip:room@b.example\n\
         Max-Forwards: 70\n\
         Route: <sip:192.0.2.2:5060;lr>\n\
         To: <sip:room@b.example>\n\
         CSeq: 1 REFER\n\
         Contact: <sip:alice@192.0.2.1:5060>;+g.oma.sip-im\n\
         Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, NOTIFY\n\
         Supported: 100rel, timer\n\
         User-Agent: bridge/1\n\
         Subject: hi  Evil: yes\n\
         Accept: message/sipfrag\n\
         Refer-Sub: false\n\
         Supported: norefersub\n\
         Referred-By: <sip:alice@a.example>\n\
         Contribution-ID: abc\n\
         Refer-To: <tel:+447700900002>"
    );
}

#[test]
fn the_recipient_tells_how_far_it_is() {
    let mut stage = referring(Refer::to(bob()));
    assert_eq!(stage.reply(202, &[]), ["Accepted"]);
    assert_eq!(stage.ask("NOTIFY", (1, "n"), TRYING), ["200 NOTIFY 1", "Progress 100"]);
    let lines = ["200 NOTIFY 2", "Progress 200", "Ended 200"];
    assert_eq!(stage.ask("NOTIFY", (2, "n"), DONE), lines);
    stage.assert_fades();
}

#[test]
fn a_recipient_may_be_quicker_than_its_202_and_name_the_refer_by_its_number() {
    let mut stage = referring(Refer::to(bob()));
    assert_eq!(stage.reply(401, &[CHALLENGE]), ["REFER 2"]);
    let of = |id: &'static str| [DONE, &[("Event", id)]].concat();
    assert_eq!(stage.ask("NOTIFY", (1, "n"), &of("refer;id=1")), ["481 NOTIFY 1"]);
    let lines = ["200 NOTIFY 2", "Progress 200", "Ended 200"];
    assert_eq!(stage.ask("NOTIFY", (2, "n"), &of("refer;id=2")), lines);
    assert_eq!(stage.reply(202, &[]), [""; 0]);
    stage.assert_fades();
}

#[test]
fn a_recipient_that_will_not_tell_says_so() {
    let mut refer = Refer::to(bob());
    refer.is_watched = false;
    let mut stage = referring(refer.clone());
    assert_eq!(stage.reply(200, &[("Refer-Sub", "false;x")]), ["Accepted unwatched"]);
    assert_eq!(stage.ask("NOTIFY", (1, "n"), TRYING), ["481 NOTIFY 1"]);
    stage.assert_fades();
    // Who does not say so tells after all (RFC 4488 section 4).
    let mut stage = referring(refer);
    assert_eq!(stage.reply(202, &[]), ["Accepted"]);
    assert_eq!(stage.ask("NOTIFY", (1, "n"), DONE).last().unwrap(), "Ended 200");
}

#[test]
fn many_are_referred_to_by_a_list_or_not_at_all() {
    let list = text("application/resource-lists+xml", "<list/>");
    let mut stage = referring(Refer::to_many(list, "one@a.example"));
    let request = stage.last_request();
    assert_eq!(request.headers.get("Require"), Some("multiple-refer, norefersub"));
    assert_eq!(stage.reply(420, &[("Unsupported", "multiple-refer")]), ["Refused 420"]);
    stage.assert_fades();
}

#[test]
fn a_recipient_that_falls_silent_has_ended() {
    let mut stage = referring(Refer::to(bob()));
    stage.reply(202, &[]);
    assert_eq!(stage.wait(32), ["32000 Ended"]);
    stage.assert_fades();
    let mut stage = referring(Refer::to(bob()));
    stage.reply(202, &[]);
    stage.ask("NOTIFY", (1, "n"), TRYING);
    assert_eq!(stage.wait(60), ["60000 Ended 100"]);
    stage.assert_fades();
    let mut stage = referring(Refer::to(bob()));
    assert_eq!(stage.wait(32).last().unwrap(), "32000 Refused Timeout");
    stage.assert_fades();
    let mut stage = referring(Refer::to(bob()));
    assert_eq!(stage.break_transport(), ["Refused Transport"]);
}

#[test]
fn who_wants_to_hear_no_more_says_so() {
    let mut stage = referring(Refer::to(bob()));
    stage.reply(202, &[]);
    stage.ask("NOTIFY", (1, "n"), TRYING);
    stage.usage.unsubscribe(stage.now);
    assert_eq!(stage.drain(), ["SUBSCRIBE 2 for 0"]);
    assert_eq!(stage.last_request().headers.get("Event"), Some("refer"));
    stage.reply(200, &[]);
    assert_eq!(stage.ask("NOTIFY", (2, "n"), DONE).last().unwrap(), "Ended 200");
}

#[test]
fn what_is_no_sipfrag_tells_nothing() {
    let mut stage = referring(Refer::to(bob()));
    stage.reply(202, &[]);
    let strange = [TRYING, &[("body", "hello")]].concat();
    assert_eq!(stage.ask("NOTIFY", (1, "n"), &strange), ["200 NOTIFY 1"]);
    let strange = [TRYING, &[("Content-Type", "text/plain")]].concat();
    assert_eq!(stage.ask("NOTIFY", (2, "n"), &strange), ["415 NOTIFY 2"]);
}

fn referred(headers: &[(&str, &str)], lines: &[&str]) -> Stage<Referred> {
    let mut refer = request_of_peer("REFER", 1);
    refer.headers.push("Refer-To", "<sip:bob@b.example;method=BYE>");
    apply(&mut refer, headers);
    let answering = |now, request, source| Referred::answering(now, request, source, kit(2));
    Stage::answer(refer, answering, lines)
}

#[test]
fn a_refer_is_accepted_told_of_and_done() {
    let by = ("Referred-By", "\"Al\" <sip:alice@a.example>;cid=x");
    let mut stage = referred(&[by], &["Asked"]);
    let refer = stage.usage.refer().unwrap().clone();
    let bob = Uri::parse("sip:bob@b.example").unwrap();
    assert_eq!(refer.to, References::One(Reference::bye(bob, MethodForm::Parameter)));
    assert_eq!(refer.by.unwrap().uri.as_str(), "sip:alice@a.example");
    stage.usage.accept(stage.now);
    assert_eq!(stage.drain(), ["202 REFER 1", "NOTIFY 1 active;expires=300: SIP/2.0 100 Trying"]);
    assert_eq!(stage.last_request().headers.get("Event"), Some("refer"));
    assert_eq!(stage.last_request().content_type(), Some("message/sipfrag;version=2.0"));
    stage.usage.report(stage.now, Status::RINGING);
    stage.usage.report(stage.now, Status::OK);
    assert_eq!(stage.drain(), [""; 0]);
    assert_eq!(stage.reply(200, &[]), ["NOTIFY 2 terminated;reason=noresource: SIP/2.0 200 OK"]);
    assert_eq!(stage.reply(200, &[]), ["Ended Terminated"]);
    stage.assert_fades();
}

#[test]
fn who_wants_to_hear_nothing_is_told_nothing() {
    let mut stage = referred(&[("Refer-Sub", "False"), ("Require", "norefersub")], &["Asked"]);
    stage.usage.accept(stage.now);
    assert_eq!(stage.drain(), ["202 REFER 1"]);
    assert_eq!(stage.last_response().headers.get("Refer-Sub"), Some("false"));
    stage.usage.report(stage.now, Status::OK);
    stage.assert_fades();
}

#[test]
fn nobody_is_made_a_tool_against_others() {
    for (headers, code) in [
        (vec![("Refer-To", "<sip:a@b?Route=%3Csip:x%3E>")], 403),
        (vec![("Refer-To", "<sip:a@b>, <sip:c@d>")], 400),
        (vec![("Refer-To", "<sip:a@b?Replaces=%0d%0aRoute:%20x>")], 400),
        (vec![("Refer-To", "<http://b.example/>")], 403),
        (vec![("Refer-To", "<sip:a@b;method=REGISTER>")], 403),
        (vec![("without", "Refer-To")], 400),
        (vec![("Require", "multiple-refer")], 420),
        (vec![("without", "Contact")], 400),
    ] {
        let line = format!("{code} REFER 1");
        let mut stage = referred(&headers, &[&line, &format!("Refused {code}")]);
        stage.usage.accept(stage.now);
        stage.assert_fades();
    }
    let mut stage = referred(&[("Refer-To", "<tel:+1202>")], &["Asked"]);
    stage.usage.reject(stage.now, Status::DECLINE);
    assert_eq!(stage.drain(), ["603 REFER 1"]);
    stage.assert_fades();
}

#[test]
fn whoever_is_told_may_go_on_or_stop() {
    let mut stage = referred(&[], &["Asked"]);
    stage.usage.accept(stage.now);
    stage.drain();
    stage.reply(200, &[]);
    let more = [("Event", "refer"), ("Expires", "200")];
    assert_eq!(
        stage.ask("SUBSCRIBE", (2, "n"), &more),
        ["200 SUBSCRIBE 2", "NOTIFY 2 active;expires=200: SIP/2.0 100 Trying", "Refreshed"]
    );
    stage.reply(200, &[]);
    let stop = [("Event", "refer"), ("Expires", "0")];
    assert_eq!(
        stage.ask("SUBSCRIBE", (3, "n"), &stop),
        ["200 SUBSCRIBE 3", "NOTIFY 3 terminated;reason=timeout: SIP/2.0 100 Trying"]
    );
    assert_eq!(stage.reply(200, &[]), ["Ended Unsubscribed"]);
    stage.usage.report(stage.now, Status::OK);
    stage.assert_fades();
}
