//! The subscriber against notifiers and proxies of every kind.

use std::time::Instant;

use super::super::*;
use crate::sip::usage::tests::{CHALLENGE, Stage, errand, errand_by_two, head, kit, peer};
use crate::sip::{Status, Uri};

const XML: &str = "application/conference-info+xml";

const ACTIVE: &[(&str, &str)] =
    &[("Event", "conference"), ("Subscription-State", "active;expires=3600")];

fn subscription() -> Subscription {
    Subscription {
        errand: errand(),
        event: EventType::new("conference"),
        accept: vec![XML.to_owned()],
        expires: 3600,
        forks: Forks::Refuse,
        body: None,
    }
}

fn asking(subscription: Subscription) -> Stage<Subscriber> {
    let now = Instant::now();
    let line = format!("SUBSCRIBE 1 for {}", subscription.expires);
    Stage::begin(now, Subscriber::subscribe(now, subscription, kit(1)), &[&line])
}

fn standing() -> Stage<Subscriber> {
    let mut stage = asking(subscription());
    assert_eq!(stage.reply(200, &[("Expires", "3600")]), ["Accepted 200"]);
    let lines = ["200 NOTIFY 1", "Notified n active;expires=3600"];
    assert_eq!(stage.ask("NOTIFY", (1, "n"), ACTIVE), lines);
    stage
}

#[test]
fn a_subscribe_carries_what_rfc_6665_asks_for() {
    let stage = asking(subscription());
    assert_eq!(
        head(stage.last_request()),
        "SUBSCRIBE sip:room@b.example\n\
         Max-Forwards: 70\n\
         Route: <sip:192.0.2.2:5060;lr>\n\
         To: <sip:room@b.example>\n\
         CSeq: 1 SUBSCRIBE\n\
         Contact: <sip:alice@192.0.2.1:5060>;+g.oma.sip-im\n\
         Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, NOTIFY\n\
         Supported: 100rel, timer\n\
         User-Agent: bridge/1\n\
         Subject: hi  Evil: yes\n\
         Event: conference\n\
         Expires: 3600\n\
         Accept: application/conference-info+xml"
    );
}

#[test]
fn a_subscription_is_granted_told_refreshed_and_taken_back() {
    let mut stage = standing();
    let told = [ACTIVE, &[("Content-Type", XML), ("body", "<x/>")]].concat();
    let lines = ["200 NOTIFY 2", "Notified n active;expires=3600: <x/>"];
    assert_eq!(stage.ask("NOTIFY", (2, "n"), &told), lines);
    assert_eq!(stage.wait(1799), [""; 0]);
    assert_eq!(stage.wait(1), ["1800000 SUBSCRIBE 2 for 3600"]);
    assert_eq!(stage.last_request().to_tag().as_deref(), Some("n"));
    assert_eq!(stage.last_request().uri.as_str(), "sip:peer@192.0.2.2");
    assert_eq!(stage.reply(200, &[("Expires", "600")]), [""; 0]);
    let short = [("Event", "conference"), ("Subscription-State", "active;expires=600")];
    stage.ask("NOTIFY", (3, "n"), &short);
    assert_eq!(stage.wait(300), ["2100000 SUBSCRIBE 3 for 3600"]);
    stage.reply(200, &[("Expires", "3600")]);
    stage.ask("NOTIFY", (4, "n"), ACTIVE);
    stage.usage.unsubscribe(stage.now);
    assert_eq!(stage.drain(), ["SUBSCRIBE 4 for 0"]);
    assert_eq!(stage.reply(200, &[("Expires", "0")]), [""; 0]);
    assert_eq!(
        stage.ask("NOTIFY", (5, "n"), &terminated("terminated;reason=timeout")),
        ["200 NOTIFY 5", "Notified n terminated;reason=timeout", "Ended n timeout AtOnce"]
    );
    stage.assert_fades();
}

#[test]
fn a_notify_that_overtakes_the_2xx_makes_the_dialog() {
    let mut stage = asking(subscription());
    let headers = [
        ACTIVE,
        &[
            ("Record-Route", "<sip:192.0.2.2;lr>, <sip:p2.example;lr>"),
            ("Contact", "<sip:focus@192.0.2.77>"),
        ],
    ]
    .concat();
    let lines = ["200 NOTIFY 9", "Notified n active;expires=3600"];
    assert_eq!(stage.ask("NOTIFY", (9, "n"), &headers), lines);
    // The route set of the 2xx counts for nothing (RFC 6665 section 4.4.1).
    let late = [("Expires", "3600"), ("Record-Route", "<sip:other.example;lr>")];
    assert_eq!(stage.reply(200, &late), ["Accepted 200"]);
    stage.usage.refresh(stage.now);
    assert_eq!(stage.drain(), ["SUBSCRIBE 2 for 3600"]);
    let request = stage.last_request();
    let routes: Vec<_> = request.headers.all("Route").collect();
    assert_eq!(routes, ["<sip:192.0.2.2;lr>", "<sip:p2.example;lr>"]);
    assert_eq!(request.uri, Uri::parse("sip:focus@192.0.2.77").unwrap());
}

#[test]
fn a_second_notifier_is_refused_or_another_subscription() {
    let mut stage = standing();
    assert_eq!(stage.ask("NOTIFY", (1, "m"), ACTIVE), ["481 NOTIFY 1"]);

    let mut stage = asking(Subscription { forks: Forks::Follow, ..subscription() });
    stage.ask("NOTIFY", (1, "n"), ACTIVE);
    assert_eq!(stage.reply(200, &[]), ["Accepted 200"]);
    let lines = ["200 NOTIFY 7", "Notified m pending;expires=60"];
    let pending = [("Event", "conference"), ("Subscription-State", "pending;expires=60")];
    assert_eq!(stage.ask("NOTIFY", (7, "m"), &pending), lines);
    assert_eq!(stage.wait(30), ["30000 SUBSCRIBE 2 for 3600"]);
    assert_eq!(stage.last_request().to_tag().as_deref(), Some("m"));
    assert_eq!(stage.reply(481, &[]), ["Ended m 481 AtOnce"]);
    // Once Timer N has fired nobody joins any more.
    assert_eq!(stage.wait(2), [""; 0]);
    assert_eq!(stage.ask("NOTIFY", (1, "o"), ACTIVE), ["481 NOTIFY 1"]);
    stage.usage.unsubscribe(stage.now);
    assert_eq!(stage.drain(), ["SUBSCRIBE 2 for 0"]);
    assert_eq!(stage.last_request().to_tag().as_deref(), Some("n"));
    assert_eq!(stage.reply(481, &[]), ["Ended n 481 AtOnce"]);
    stage.assert_fades();
}

#[test]
fn a_challenge_is_answered_outside_and_inside_of_the_dialog() {
    let mut stage = asking(subscription());
    assert_eq!(stage.reply(401, &[CHALLENGE]), ["SUBSCRIBE 2 for 3600"]);
    assert!(stage.last_request().headers.has("Authorization"));
    assert_eq!(stage.last_request().to_tag(), None);
    stage.reply(202, &[]);
    stage.ask("NOTIFY", (1, "n"), ACTIVE);
    stage.wait(1800);
    let stale = format!("{}, stale=true", CHALLENGE.1.replace("n1", "n2"));
    assert_eq!(stage.reply(401, &[(CHALLENGE.0, &stale)]), ["SUBSCRIBE 4 for 3600"]);
    assert_eq!(stage.reply(401, &[(CHALLENGE.0, &stale)]), [""; 0]);

    let mut stage = asking(subscription());
    stage.reply(401, &[CHALLENGE]);
    assert_eq!(stage.reply(401, &[CHALLENGE]), ["Failed 401"]);
    stage.assert_fades();
}

#[test]
fn a_time_too_brief_is_lengthened_but_not_for_ever() {
    let mut stage = asking(Subscription { expires: 60, ..subscription() });
    assert_eq!(stage.reply(423, &[("Min-Expires", "90")]), ["SUBSCRIBE 2 for 90"]);
    assert_eq!(stage.reply(423, &[("Min-Expires", "120")]), ["SUBSCRIBE 3 for 120"]);
    assert_eq!(stage.reply(423, &[("Min-Expires", "240")]), ["Failed 423"]);
    for headers in [vec![], vec![("Min-Expires", "60")], vec![("Min-Expires", "x")]] {
        let mut stage = asking(Subscription { expires: 60, ..subscription() });
        assert_eq!(stage.reply(423, &headers), ["Failed 423"]);
    }
    let mut stage = standing();
    stage.wait(1800);
    assert_eq!(stage.reply(423, &[("Min-Expires", "7200")]), ["SUBSCRIBE 3 for 7200"]);
}

#[test]
fn what_is_refused_or_not_answered_was_never_there() {
    for code in [403, 404, 405, 480, 489, 500, 603] {
        let mut stage = asking(subscription());
        assert_eq!(stage.reply(code, &[]), [format!("Failed {code}")]);
        assert_eq!(stage.ask("NOTIFY", (1, "n"), ACTIVE), ["481 NOTIFY 1"]);
        stage.assert_fades();
    }
    let mut stage = asking(subscription());
    assert_eq!(
        stage.reply(503, &[("Retry-After", "7 (soon)")]),
        ["Spare udp:192.0.2.2:5060 7", "Failed 503 again in 7"]
    );
    let mut stage = asking(subscription());
    assert_eq!(stage.wait(32).last().unwrap(), "32000 Failed Timeout");
    stage.assert_fades();
    let mut stage = asking(subscription());
    assert_eq!(stage.break_transport(), ["Failed Transport"]);
    let nowhere = Subscription {
        errand: crate::sip::Errand {
            next_hops: Vec::new(),
            target: Uri::parse("tel:+1202").unwrap(),
            ..errand()
        },
        ..subscription()
    };
    let now = Instant::now();
    let usage = Subscriber::subscribe(now, nowhere, kit(1));
    Stage::begin(now, usage, &["Failed Transport"]).assert_fades();
}

#[test]
fn a_hop_that_fails_gives_way_until_a_notifier_has_spoken() {
    let by_two = || Subscription { errand: errand_by_two(), ..subscription() };
    let mut stage = asking(by_two());
    let lines = stage.reply(503, &[("Retry-After", "7")]);
    let elsewhere = "SUBSCRIBE 1 for 3600 > udp:192.0.2.3:5060";
    assert_eq!(lines, ["Spare udp:192.0.2.2:5060 7", elsewhere]);
    // What is learnt there is told there.
    let lines = stage.reply(423, &[("Min-Expires", "7200")]);
    assert_eq!(lines, ["SUBSCRIBE 2 for 7200 > udp:192.0.2.3:5060"]);

    let mut stage = asking(by_two());
    assert_eq!(stage.wait(32).last().unwrap(), &format!("32000 {elsewhere}"));
    // Timer N has begun anew, too.
    assert_eq!(stage.wait(31).iter().filter(|line| line.contains("Failed")).count(), 0);
    assert_eq!(stage.reply(200, &[]), ["Accepted 200"]);

    let mut stage = asking(by_two());
    stage.ask("NOTIFY", (1, "n"), ACTIVE);
    assert_eq!(stage.break_transport(), [""; 0]);
    let mut stage = asking(by_two());
    stage.usage.unsubscribe(stage.now);
    assert_eq!(stage.drain(), [""; 0]);
    assert_eq!(stage.break_transport(), ["Failed Transport"]);
    stage.assert_fades();
}

#[test]
fn without_a_notify_nothing_was_established() {
    let mut stage = asking(subscription());
    stage.reply(200, &[]);
    stage.usage.unsubscribe(stage.now);
    assert_eq!(stage.drain(), [""; 0]);
    assert_eq!(stage.wait(32), ["32000 Failed Timeout"]);
    stage.assert_fades();
}

#[test]
fn who_leaves_before_the_first_notify_leaves_with_it() {
    let mut stage = asking(subscription());
    stage.usage.unsubscribe(stage.now);
    let lines = ["200 NOTIFY 1", "Notified n active;expires=3600", "SUBSCRIBE 2 for 0"];
    assert_eq!(stage.ask("NOTIFY", (1, "n"), ACTIVE), lines);
    // Whoever goes on telling does not keep us.
    assert_eq!(stage.ask("NOTIFY", (2, "n"), ACTIVE).len(), 2);
    stage.reply(200, &[]);
    assert_eq!(stage.wait(32).last().unwrap(), "32000 Ended n Silence After(60s)");
    stage.assert_fades();
}

#[test]
fn every_listed_refusal_of_a_refresh_ends_the_subscription() {
    for code in [404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604] {
        let mut stage = standing();
        stage.wait(1800);
        let again = if code == 481 { "AtOnce" } else { "After(60s)" };
        assert_eq!(stage.reply(code, &[]), [format!("Ended n {code} {again}")]);
        stage.assert_fades();
    }
}

#[test]
fn any_other_refusal_is_tried_again_as_long_as_the_time_lasts() {
    let mut stage = standing();
    assert_eq!(stage.wait(1800), ["1800000 SUBSCRIBE 2 for 3600"]);
    assert_eq!(stage.reply(500, &[]), [""; 0]);
    assert_eq!(stage.wait(900), ["2700000 SUBSCRIBE 3 for 3600"]);
    assert_eq!(stage.reply(503, &[("Retry-After", "800")]), [""; 0]);
    assert_eq!(stage.wait(800), ["3500000 SUBSCRIBE 4 for 3600"]);
    assert_eq!(stage.reply(500, &[]), [""; 0]);
    assert_eq!(stage.wait(50), ["3550000 SUBSCRIBE 5 for 3600"]);
    assert_eq!(stage.break_transport(), [""; 0]);
    assert_eq!(stage.wait(25), ["3575000 SUBSCRIBE 6 for 3600"]);
    assert_eq!(stage.reply(500, &[]), [""; 0]);
    assert_eq!(stage.wait(25), ["3600000 Ended n Expired AtOnce"]);
    stage.assert_fades();
}

#[test]
fn a_refresh_without_a_notify_ends_the_subscription() {
    let mut stage = standing();
    stage.wait(1800);
    stage.reply(200, &[("Expires", "3600")]);
    assert_eq!(stage.wait(32), ["1832000 Ended n Silence After(60s)"]);
    // 204 says that none will come (RFC 5839).
    let mut stage = standing();
    stage.wait(1800);
    stage.reply(204, &[("Expires", "3600")]);
    assert_eq!(stage.wait(1800), ["3600000 SUBSCRIBE 3 for 3600"]);
    // Nor does anybody answer at all.
    assert_eq!(stage.wait(32).last().unwrap(), "3632000 Ended n Silence After(60s)");
}

#[test]
fn a_notifier_that_talks_all_the_time_does_not_put_off_the_refresh() {
    let mut stage = standing();
    for second in 1..=1799_u32 {
        stage.wait(1);
        let state = format!("active;expires={}", 3600 - second);
        let headers = [("Event", "conference"), ("Subscription-State", state.as_str())];
        if second % 20 == 0 {
            stage.ask("NOTIFY", (1 + second, "n"), &headers);
        }
    }
    assert_eq!(stage.wait(1), ["1800000 SUBSCRIBE 2 for 3600"]);
}

#[test]
fn the_2xx_or_the_notify_says_how_long_it_lasts() {
    for (granted, told, seconds) in [
        ("600", "active", 300),
        ("9999", "active", 1800),
        ("600", "active;expires=200", 100),
        ("x", "active", 1800),
    ] {
        for early in [false, true] {
            let mut stage = asking(subscription());
            let told = [("Event", "conference"), ("Subscription-State", told)];
            if early {
                stage.ask("NOTIFY", (1, "n"), &told);
            }
            stage.reply(200, &[("Expires", granted)]);
            if !early {
                stage.ask("NOTIFY", (1, "n"), &told);
            }
            let line = format!("{seconds}000 SUBSCRIBE 2 for 3600");
            assert_eq!(stage.wait(seconds), [line], "{granted} {told:?} {early}");
        }
    }
}

#[test]
fn a_fetch_is_over_with_its_answer() {
    let mut stage = asking(Subscription { expires: 0, ..subscription() });
    stage.reply(200, &[("Expires", "0")]);
    let state = [
        terminated("terminated;reason=timeout").as_slice(),
        &[("Content-Type", XML), ("body", "<x/>")],
    ]
    .concat();
    assert_eq!(
        stage.ask("NOTIFY", (1, "n"), &state),
        ["200 NOTIFY 1", "Notified n terminated;reason=timeout: <x/>", "Ended n timeout AtOnce"]
    );
    stage.assert_fades();
}

#[test]
fn a_farewell_is_taken_even_after_the_end_and_news_are_not() {
    let mut stage = standing();
    let farewell = terminated("terminated;reason=noresource");
    assert_eq!(
        stage.ask("NOTIFY", (2, "n"), &farewell).last().unwrap(),
        "Ended n noresource Never"
    );
    assert_eq!(stage.ask("NOTIFY", (3, "n"), &farewell), ["200 NOTIFY 3"]);
    assert_eq!(stage.ask("NOTIFY", (4, "n"), ACTIVE), ["481 NOTIFY 4"]);
    assert_eq!(stage.ask("NOTIFY", (1, "x"), &farewell), ["481 NOTIFY 1"]);
    stage.assert_fades();
}

#[test]
fn a_repeated_notify_is_answered_again_but_told_once() {
    let mut stage = standing();
    let notify = stage.within("NOTIFY", (2, "n"), ACTIVE);
    assert_eq!(stage.give(notify.clone().into()).len(), 2);
    assert_eq!(stage.give(notify.into()), ["200 NOTIFY 2"]);
}

#[test]
fn what_makes_no_sense_is_refused_and_the_subscription_stands() {
    let mut stage = standing();
    let of = |pairs: &[(&'static str, &'static str)]| [ACTIVE, pairs].concat();
    for (number, headers, code) in [
        (2, of(&[("Event", "presence")]), 489),
        (3, of(&[("without", "Event")]), 489),
        (4, of(&[("Event", "conference;id=4")]), 481),
        (5, of(&[("without", "Subscription-State")]), 400),
        (6, of(&[("Subscription-State", "a b")]), 400),
        (7, of(&[("To", "<sip:a@b>;tag=wrong")]), 481),
        (8, of(&[("Require", "magic")]), 420),
    ] {
        assert_eq!(
            stage.ask("NOTIFY", (number, "n"), &headers),
            [format!("{code} NOTIFY {number}")]
        );
    }
    assert_eq!(stage.ask("NOTIFY", (20, "n"), ACTIVE).len(), 2);
    assert_eq!(stage.ask("NOTIFY", (19, "n"), ACTIVE), ["500 NOTIFY 19"]);
    let strange = of(&[("Content-Type", "text/html"), ("body", "<p>")]);
    let lines = ["415 NOTIFY 21", "Notified n active;expires=3600"];
    assert_eq!(stage.ask("NOTIFY", (21, "n"), &strange), lines);
    assert_eq!(stage.last_response().headers.get("Accept"), Some(XML));
    for (number, method, code) in [
        (30, "OPTIONS", 200),
        (31, "BYE", 481),
        (32, "SUBSCRIBE", 481),
        (33, "MESSAGE", 405),
        (34, "DANCE", 501),
        (35, "INVITE", 405),
    ] {
        assert_eq!(stage.ask(method, (number, "n"), &[]), [format!("{code} {method} {number}")]);
    }
    assert_eq!(stage.ask("ACK", (35, "n"), &[]), [""; 0]);
    assert_eq!(stage.ask("CANCEL", (99, "n"), &[]), ["481 CANCEL 99"]);
    stage.usage.refresh(stage.now);
    assert_eq!(stage.drain(), ["SUBSCRIBE 2 for 3600"]);
}

#[test]
fn nobody_can_make_it_grow() {
    let mut stage = asking(Subscription { forks: Forks::Follow, ..subscription() });
    let mut codes = Vec::new();
    for fork in 0..40 {
        codes.extend(stage.ask("NOTIFY", (1, &format!("f{fork}")), ACTIVE).first().cloned());
    }
    assert_eq!(codes.iter().filter(|line| line.starts_with("200")).count(), 16);
    let mut busy = false;
    for number in 2..300 {
        let lines = stage.ask("NOTIFY", (number, "f1"), ACTIVE);
        busy |= lines == [format!("503 NOTIFY {number}")];
    }
    assert!(busy, "there is an end to how much is kept");
}

#[test]
fn a_refresh_moves_the_target_and_never_the_route_set() {
    let mut stage = standing();
    let moved = [ACTIVE, &[("Contact", "<sip:there@192.0.2.2>"), ("Record-Route", "<sip:x;lr>")]];
    stage.ask("NOTIFY", (2, "n"), &moved.concat());
    stage.usage.refresh(stage.now);
    stage.drain();
    assert_eq!(stage.last_request().uri.as_str(), "sip:there@192.0.2.2");
    assert!(!stage.last_request().headers.has("Route"));
    stage.reply(200, &[("Contact", "<sip:again@192.0.2.2>")]);
    stage.usage.unsubscribe(stage.now);
    stage.drain();
    assert_eq!(stage.last_request().uri.as_str(), "sip:again@192.0.2.2");
    assert_eq!(stage.last_request().uri.hop(), Some(peer()));
    assert_eq!(stage.reply(Status::CALL_DOES_NOT_EXIST.code(), &[]).len(), 1);
}

fn terminated(state: &'static str) -> [(&'static str, &'static str); 2] {
    [("Event", "conference"), ("Subscription-State", state)]
}
