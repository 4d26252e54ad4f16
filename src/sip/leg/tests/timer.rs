//! Session timers: asked for, agreed, refreshed, missed (RFC 4028).

use super::*;
use crate::sip::Transport::{Tcp, Udp};

const CONTACT: (&str, &str) = ("Contact", "<sip:bob@192.0.2.3>");
const UPDATES: (&str, &str) = ("Allow", "INVITE, ACK, BYE, UPDATE");
const SUPPORTS: (&str, &str) = ("Supported", "timer");

#[test]
fn the_caller_asks_and_refreshes_with_updates() {
    let mut stage = Stage::timed(1800);
    assert_eq!(stage.last("INVITE").headers.get("Session-Expires"), Some("1800"));
    assert!(!stage.last("INVITE").headers.has("Min-SE"));
    stage.accept(&[UPDATES, ("Session-Expires", "600;refresher=uac"), ("Require", "timer")]);
    for (number, at) in [(2, 300_000), (3, 600_000)] {
        let lines = stage.wait(Duration::from_secs(300));
        assert_eq!(lines, [format!("{at} UPDATE {number} > udp:192.0.2.3:5060")]);
        let update = stage.last("UPDATE");
        assert_eq!(update.headers.get("Session-Expires"), Some("600;refresher=uac"));
        assert_eq!(update.headers.get("Supported"), Some("100rel, timer"));
        assert!(update.headers.has("Contact") && update.body.is_empty());
        let agreed = [CONTACT, ("Session-Expires", "600;refresher=uac"), ("Require", "timer")];
        assert_eq!(stage.reply("UPDATE", 200, "b", &agreed), [""; 0]);
    }
}

#[test]
fn a_peer_without_update_is_refreshed_with_the_last_description() {
    let mut stage = Stage::timed(1800);
    stage.accept(&[("Session-Expires", "600;refresher=uac")]);
    assert_eq!(stage.wait(Duration::from_secs(300)), ["300000 INVITE 2 > udp:192.0.2.3:5060"]);
    assert_eq!(stage.last("INVITE").body, "offer");
    let agreed = [CONTACT, ("Session-Expires", "600;refresher=uac")];
    let lines = stage.answer("INVITE", 200, &agreed, "as before");
    assert_eq!(lines, ["ACK 2 > udp:192.0.2.3:5060", "Answer as before"]);
    assert_eq!(stage.wait(Duration::from_secs(299)), [""; 0]);
}

#[test]
fn what_travelled_with_the_first_offer_is_not_repeated() {
    let mut kit = kit("192.0.2.1", Udp, 1);
    Arc::make_mut(&mut kit.local).session_expires = Some(Duration::from_secs(1800));
    let (content_type, bytes) = ("multipart/mixed;boundary=x".to_owned(), "offer, Hello".into());
    let letter = Some(Body { content_type, bytes });
    let call = Call { letter, ..call(Some(Hop::new(Udp, "192.0.2.2", 5060))) };
    let mut stage = Stage::of(Leg::call(Instant::now(), call, kit));
    stage.drain();
    let sent = |stage: &Stage| {
        let invite = stage.last("INVITE");
        (invite.content_type().unwrap().to_owned(), invite.body.clone())
    };
    let first = sent(&stage);
    assert_eq!(first, ("multipart/mixed;boundary=x".to_owned(), "offer, Hello".into()));
    // A longer interval is asked for with the same letter, a refresh with the offer alone.
    stage.reply("INVITE", 422, "b", &[("Min-SE", "2000")]);
    assert_eq!(sent(&stage), first);
    let agreed = [CONTACT, ("Session-Expires", "2000;refresher=uac")];
    stage.reply("INVITE", 200, "b", &agreed);
    stage.wait(Duration::from_secs(1000));
    assert_eq!(sent(&stage), ("application/sdp".to_owned(), "offer".into()));
}

#[test]
fn an_update_that_the_peer_promised_but_refuses_becomes_a_re_invite() {
    let mut stage = Stage::timed(1800);
    stage.accept(&[UPDATES, ("Session-Expires", "600;refresher=uac")]);
    stage.wait(Duration::from_secs(300));
    assert_eq!(stage.reply("UPDATE", 405, "b", &[]), ["INVITE 3 > udp:192.0.2.3:5060"]);
}

#[test]
fn a_peer_without_timers_leaves_the_refreshes_to_us() {
    let mut stage = Stage::timed(1800);
    stage.accept(&[UPDATES]);
    let lines = stage.wait(Duration::from_secs(900));
    assert_eq!(lines, ["900000 UPDATE 2 > udp:192.0.2.3:5060"]);
}

#[test]
fn a_missed_refresh_of_the_peer_ends_the_session_before_its_time() {
    let mut stage = Stage::timed(1800);
    stage.accept(&[("Session-Expires", "600;refresher=uas"), ("Require", "timer")]);
    let lines = stage.wait(Duration::from_secs(568));
    assert_eq!(lines, ["568000 SessionExpired", "568000 BYE 2 > udp:192.0.2.3:5060"]);
    let reason = stage.last("BYE").headers.get("Reason");
    assert_eq!(reason, Some("SIP;cause=408;text=\"Session timer expired\""));
    assert_eq!(stage.reply("BYE", 481, "b", &[]), [""; 0]);
    stage.assert_fades();
}

#[test]
fn a_refresh_of_the_peer_starts_the_clock_anew() {
    let mut stage = Stage::timed(1800);
    stage.accept(&[("Session-Expires", "600;refresher=uas")]);
    stage.wait(Duration::from_secs(300));
    let refresh = [SUPPORTS, ("Session-Expires", "600;refresher=uac")];
    assert_eq!(stage.ask("UPDATE", 1, &refresh), ["200 UPDATE 1"]);
    let headers = &stage.last_response().headers;
    assert_eq!(headers.get("Session-Expires"), Some("600;refresher=uac"));
    assert!(headers.lists("Require", "timer"));
    assert_eq!(stage.wait(Duration::from_secs(567)), [""; 0]);
    let lines = stage.wait(Duration::from_secs(1));
    assert_eq!(lines[0], "868000 SessionExpired");
}

#[test]
fn the_callee_settles_the_timer_in_its_2xx() {
    let headers = [SUPPORTS, UPDATES, ("Session-Expires", "1800;refresher=uas")];
    let mut stage = Stage::called(Tcp, &headers);
    stage.leg.accept(stage.now, body("answer"));
    stage.drain();
    let answer = &stage.last_response().headers;
    assert_eq!(answer.get("Session-Expires"), Some("1800;refresher=uas"));
    assert_eq!(answer.get("Require"), Some("timer"));
    stage.ask("ACK", 1, &[]);
    let lines = stage.wait(Duration::from_secs(900));
    assert_eq!(lines, ["900000 UPDATE 1 > udp:p2.example:5060"]);
    let update = stage.last("UPDATE");
    assert_eq!(update.headers.get("Session-Expires"), Some("1800;refresher=uac"));
    let agreed = [("Session-Expires", "1800;refresher=uac")];
    assert_eq!(stage.reply("UPDATE", 200, "a", &agreed), [""; 0]);

    let mut stage = Stage::called(Tcp, &[SUPPORTS, ("Session-Expires", "1800")]);
    stage.leg.accept(stage.now, body("answer"));
    stage.drain();
    let answer = &stage.last_response().headers;
    assert_eq!(answer.get("Session-Expires"), Some("1800;refresher=uac"));
}

#[test]
fn an_interval_that_is_too_short_is_refused_with_the_least() {
    let mut stage = Stage::called(Udp, &[SUPPORTS, ("Session-Expires", "60")]);
    assert_eq!(stage.last_response().status, Status::SESSION_INTERVAL_TOO_SMALL);
    assert_eq!(stage.last_response().headers.get("Min-SE"), Some("90"));
    stage.leg.accept(stage.now, body("answer"));
    assert_eq!(stage.drain(), [""; 0]);

    let mut stage = Stage::confirmed(Udp);
    let short = [SUPPORTS, ("Session-Expires", "89")];
    assert_eq!(stage.ask("UPDATE", 2, &short), ["422 UPDATE 2"]);
    assert_eq!(stage.last_response().headers.get("Min-SE"), Some("90"));
}

#[test]
fn a_422_makes_the_call_anew_once_with_the_longer_interval() {
    let mut stage = Stage::timed(1800);
    let first = stage.last("INVITE").clone();
    let lines = stage.reply("INVITE", 422, "x", &[("Min-SE", "3600")]);
    let [ack, invite] = ["ACK 1", "INVITE 2"].map(|it| format!("{it} > udp:192.0.2.2:5060"));
    assert_eq!(lines, [ack.clone(), invite]);
    let second = stage.last("INVITE").clone();
    assert_eq!(second.headers.get("Session-Expires"), Some("3600"));
    assert_eq!(second.headers.get("Min-SE"), Some("3600"));
    assert_eq!(second.body, "offer");
    for name in ["Call-ID", "From", "To"] {
        assert_eq!(second.headers.get(name), first.headers.get(name));
    }
    assert_ne!(second.via().unwrap().branch(), first.via().unwrap().branch());
    // The first transaction ends while the second still rings.
    assert_eq!(stage.reply("INVITE", 180, "b", &[]), ["Progress 180"]);
    assert_eq!(stage.wait(Duration::from_secs(40)), [""; 0]);
    stage.leg.cancel(stage.now, None);
    assert_eq!(stage.drain(), ["CANCEL 2 > udp:192.0.2.2:5060"]);
    let lines = stage.reply("INVITE", 200, "b", &[CONTACT]);
    assert_eq!(lines[0], "ACK 2 > udp:192.0.2.3:5060");

    let mut stage = Stage::timed(1800);
    stage.reply("INVITE", 422, "x", &[("Min-SE", "3600")]);
    let lines = stage.reply("INVITE", 422, "x", &[("Min-SE", "7200")]);
    assert_eq!(lines[1..], ["Refused 422"]);
    stage.assert_fades();
}

#[test]
fn a_422_that_asks_for_nothing_longer_is_a_refusal() {
    for headers in [&[("Min-SE", "1800")][..], &[("Min-SE", "soon")], &[]] {
        let mut stage = Stage::timed(1800);
        assert_eq!(stage.reply("INVITE", 422, "x", headers)[1..], ["Refused 422"]);
        stage.assert_fades();
    }
}

#[test]
fn a_cancelled_call_is_not_made_anew() {
    let mut stage = Stage::timed(1800);
    stage.leg.cancel(stage.now, None);
    let lines = stage.reply("INVITE", 422, "x", &[("Min-SE", "3600")]);
    assert_eq!(lines[1..], ["Refused 422"]);
    stage.assert_fades();
}

#[test]
fn a_422_to_a_refresh_is_tried_once_more() {
    let mut stage = Stage::timed(1800);
    stage.accept(&[UPDATES, ("Session-Expires", "600;refresher=uac")]);
    stage.wait(Duration::from_secs(300));
    let lines = stage.reply("UPDATE", 422, "b", &[("Min-SE", "900")]);
    assert_eq!(lines, ["UPDATE 3 > udp:192.0.2.3:5060"]);
    let headers = &stage.last("UPDATE").headers;
    assert_eq!(headers.get("Session-Expires"), Some("900;refresher=uac"));
    assert_eq!(headers.get("Min-SE"), Some("900"));
    assert_eq!(stage.reply("UPDATE", 422, "b", &[("Min-SE", "1200")]), [""; 0]);
}

#[test]
fn a_refused_refresh_is_tried_again_until_the_time_is_up() {
    let mut stage = Stage::timed(1800);
    stage.accept(&[UPDATES, ("Session-Expires", "600;refresher=uac")]);
    stage.wait(Duration::from_secs(300));
    assert_eq!(stage.reply("UPDATE", 503, "b", &[]), [""; 0]);
    let lines = stage.wait(Duration::from_secs(134));
    assert_eq!(lines, ["434000 UPDATE 3 > udp:192.0.2.3:5060"]);
    assert_eq!(stage.reply("UPDATE", 503, "b", &[]), [""; 0]);
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.contains("SessionExpired")) {
        lines = stage.wait(Duration::from_secs(1));
        if lines.iter().any(|line| line.contains("UPDATE")) {
            stage.reply("UPDATE", 503, "b", &[]);
        }
    }
    assert_eq!(lines[0], "568000 SessionExpired");
}

#[test]
fn a_refresh_that_finds_nobody_ends_the_session() {
    let mut stage = Stage::timed(1800);
    stage.accept(&[UPDATES, ("Session-Expires", "600;refresher=uac")]);
    stage.wait(Duration::from_secs(300));
    let lines = stage.reply("UPDATE", 481, "b", &[]);
    assert_eq!(lines, ["Lost 481", "BYE 3 > udp:192.0.2.3:5060"]);

    let mut stage = Stage::timed(1800);
    stage.accept(&[UPDATES, ("Session-Expires", "600;refresher=uac")]);
    let lines = stage.wait(Duration::from_secs(332));
    assert_eq!(lines[lines.len() - 2], "332000 Lost");
}

#[test]
fn a_2xx_without_timer_turns_the_timer_off() {
    let mut stage = Stage::calling(Udp);
    stage.accept(&[UPDATES, ("Session-Expires", "600;refresher=uac")]);
    stage.wait(Duration::from_secs(300));
    assert_eq!(stage.reply("UPDATE", 200, "b", &[CONTACT]), [""; 0]);
    assert_eq!(stage.wait(Duration::from_secs(10_000)), [""; 0]);
}

impl Stage {
    /// A leg of ours that asks for a session timer.
    fn timed(seconds: u64) -> Self {
        let peer = Hop::new(Udp, "192.0.2.2", 5060);
        let start = Instant::now();
        let mut kit = kit("192.0.2.1", Udp, 1);
        Arc::make_mut(&mut kit.local).session_expires = Some(Duration::from_secs(seconds));
        let leg = Leg::call(start, call(Some(peer.clone())), kit);
        let mut stage = Self { leg, start, now: start, sent: Vec::new(), peer };
        assert_eq!(stage.drain(), [format!("INVITE 1 > {}", stage.peer)]);
        stage
    }

    fn accept(&mut self, headers: &[(&str, &str)]) {
        let headers: Vec<_> = headers.iter().copied().chain([CONTACT]).collect();
        let lines = self.reply("INVITE", 200, "b", &headers);
        assert_eq!(lines, ["ACK 1 > udp:192.0.2.3:5060", "Established 200"]);
    }
}
