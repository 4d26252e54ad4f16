//! REFER within an established session, both ways.

use super::*;
use crate::sip::{MethodForm, Refer, ReferId, Reference};

fn bob() -> Refer {
    Refer::to(Reference::invite(Uri::parse("sip:bob@b.example").unwrap()))
}

fn referring() -> (Stage, ReferId) {
    let mut stage = Stage::established(Transport::Udp);
    let id = stage.leg.refer(stage.now, bob()).unwrap();
    assert_eq!(stage.drain(), ["REFER 2 > udp:192.0.2.3:5060"]);
    (stage, id)
}

fn notify<'a>(event: &'a str, state: &'a str, line: &'a str) -> [(&'a str, &'a str); 3] {
    [("Event", event), ("Subscription-State", state), ("body", line)]
}

const TRYING: [(&str, &str); 3] = [
    ("Event", "refer"),
    ("Subscription-State", "active;expires=60"),
    ("body", "SIP/2.0 100 Trying"),
];

const DONE: [(&str, &str); 3] = [
    ("Event", "refer"),
    ("Subscription-State", "terminated;reason=noresource"),
    ("body", "SIP/2.0 200 OK"),
];

#[test]
fn the_peer_tells_how_far_it_is() {
    let (mut stage, _) = referring();
    let refer = stage.last("REFER");
    assert_eq!(refer.headers.get("Refer-To"), Some("<sip:bob@b.example>"));
    assert_eq!(refer.to_tag().as_deref(), Some("b"));
    assert!(refer.headers.has("Contact"));
    let lines = stage.reply("REFER", 202, "b", &[]);
    assert_eq!(lines, ["Referral Accepted { is_watched: true }"]);
    assert_eq!(stage.ask("NOTIFY", 1, &TRYING), ["200 NOTIFY 1", "Referral Progress 100"]);
    let lines = ["200 NOTIFY 2", "Referral Progress 200", "Referral Ended 200"];
    assert_eq!(stage.ask("NOTIFY", 2, &DONE), lines);
    assert_eq!(stage.ask("NOTIFY", 3, &DONE), ["481 NOTIFY 3"]);
    stage.leg.bye(stage.now, None);
    stage.drain();
    stage.reply("BYE", 200, "b", &[]);
    stage.assert_fades();
}

#[test]
fn two_refers_are_told_apart_by_their_numbers() {
    let (mut stage, first) = referring();
    let second = stage.leg.refer(stage.now, bob()).unwrap();
    assert_ne!(first, second);
    stage.drain();
    stage.reply("REFER", 202, "b", &[]);
    let gone = "terminated;reason=noresource";
    let lines = ["200 NOTIFY 1", "Referral Progress 486", "Referral Ended 486"];
    let late = notify("refer;id=3", gone, "SIP/2.0 486 Busy Here");
    assert_eq!(stage.ask("NOTIFY", 1, &late), lines);
    let lines = ["200 NOTIFY 2", "Referral Progress 200", "Referral Ended 200"];
    assert_eq!(stage.ask("NOTIFY", 2, &notify("refer;id=2", gone, "SIP/2.0 200 OK")), lines);
    assert_eq!(stage.ask("NOTIFY", 3, &notify("refer;id=3", gone, "x")), ["481 NOTIFY 3"]);
    assert_eq!(stage.ask("NOTIFY", 4, &notify("conference", gone, "x")), ["489 NOTIFY 4"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (mut stage, _) = referring();
    assert_eq!(stage.ask("NOTIFY", 1, &[("Event", "refer")]), ["400 NOTIFY 1"]);
    assert_eq!(stage.ask("NOTIFY", 2, &[]), ["489 NOTIFY 2"]);
    assert_eq!(stage.ask("SUBSCRIBE", 3, &[("Event", "refer")]), ["403 SUBSCRIBE 3"]);
    assert_eq!(stage.ask("SUBSCRIBE", 4, &[("Event", "presence")]), ["489 SUBSCRIBE 4"]);
    assert_eq!(stage.ask("REFER", 5, &[("Refer-To", "<sip:x@y>")]), ["403 REFER 5"]);
    assert_eq!(stage.ask("OPTIONS", 6, &[]), ["200 OPTIONS 6"]);
    assert_eq!(
        stage.last_response().headers.get("Contact"),
        Some("<sip:alice@192.0.2.1:5060>;+g.oma.sip-im")
    );
}

#[test]
fn a_refusal_leaves_the_session_unless_it_is_gone() {
    for code in [403, 404, 405, 420, 480, 486, 488, 500, 603] {
        let (mut stage, _) = referring();
        let status = Status::new(code).unwrap();
        let line = format!("Referral Refused(Status({status:?}))");
        assert_eq!(stage.reply("REFER", code, "b", &[]), [line]);
    }
    let (mut stage, _) = referring();
    let lines = stage.reply("REFER", 481, "b", &[]);
    assert_eq!(lines[1..], ["Lost 481", "BYE 3 > udp:192.0.2.3:5060"]);
    let (mut stage, _) = referring();
    let lines = stage.wait(Duration::from_secs(32));
    let end = ["32000 Referral Refused(Timeout)", "32000 Lost", "32000 BYE 3 > udp:192.0.2.3:5060"];
    assert_eq!(lines[lines.len() - 3..], end);
    let (mut stage, _) = referring();
    let hop = Hop::new(Transport::Udp, "192.0.2.3", 5060);
    assert_eq!(stage.break_transport(&hop), ["Referral Refused(Transport)"]);
}

#[test]
fn who_falls_silent_has_ended_and_who_will_not_tell_says_so() {
    let (mut stage, _) = referring();
    stage.reply("REFER", 202, "b", &[]);
    assert_eq!(stage.wait(Duration::from_secs(32)), ["32000 Referral Ended"]);
    let (mut stage, _) = referring();
    stage.reply("REFER", 202, "b", &[]);
    stage.ask("NOTIFY", 1, &TRYING);
    assert_eq!(stage.wait(Duration::from_secs(60)), ["60000 Referral Ended 100"]);
    let (mut stage, _) = referring();
    let lines = stage.reply("REFER", 200, "b", &[("Refer-Sub", "false")]);
    assert_eq!(lines, ["Referral Accepted { is_watched: false }"]);
    assert_eq!(stage.wait(Duration::from_secs(90)), [""; 0]);
}

#[test]
fn the_last_word_is_taken_though_the_session_is_over() {
    let (mut stage, _) = referring();
    stage.reply("REFER", 202, "b", &[]);
    stage.leg.bye(stage.now, None);
    stage.drain();
    // While our BYE is under way, and when it is answered.
    assert_eq!(stage.ask("NOTIFY", 1, &TRYING), ["200 NOTIFY 1", "Referral Progress 100"]);
    assert_eq!(stage.reply("BYE", 200, "b", &[]), ["ByeDone"]);
    assert_eq!(stage.ask("NOTIFY", 2, &TRYING), ["481 NOTIFY 2"]);
    assert_eq!(stage.ask("NOTIFY", 3, &DONE), ["200 NOTIFY 3"]);
    stage.wait(Duration::from_secs(70));
    assert!(stage.leg.is_finished());
}

#[test]
fn without_a_session_nobody_is_referred() {
    let mut stage = Stage::calling(Transport::Udp);
    assert_eq!(stage.leg.refer(stage.now, bob()), None);
    let mut stage = Stage::established(Transport::Udp);
    for _ in 0..16 {
        assert!(stage.leg.refer(stage.now, bob()).is_some());
    }
    assert_eq!(stage.leg.refer(stage.now, bob()), None);
}

/// A leg that takes REFERs, has accepted alice's call, and has got the ACK.
fn willing() -> Stage {
    let peer = Hop::new(Transport::Udp, "192.0.2.2", 5060);
    let start = Instant::now();
    let mut kit = kit("192.0.2.1", Transport::Udp, 2);
    Arc::make_mut(&mut kit.local).allow.push_str(", REFER");
    Arc::make_mut(&mut kit.local).supported.push("norefersub".to_owned());
    let invite = invitation(Transport::Udp, &[]);
    let leg = Leg::answering(start, invite, peer.clone(), kit);
    let mut stage = Stage { leg, start, now: start, sent: Vec::new(), peer };
    stage.leg.accept(stage.now, body("answer"));
    stage.drain();
    assert_eq!(stage.ask("ACK", 1, &[]), ["Confirmed"]);
    stage
}

/// Lets the peer refer; gives what the owner is asked.
fn refer_us(stage: &mut Stage, number: u32, headers: &[(&str, &str)]) -> (ReferId, Refer) {
    let request = stage.within("REFER", number, headers);
    let (message, source) = (Message::Request(request), stage.peer.clone());
    stage.leg.handle(stage.now, LegInput::Message { message, source });
    let Some(LegOutput::Event(LegEvent::Referred { id, refer })) = stage.leg.poll() else {
        panic!("not referred")
    };
    (id, *refer)
}

fn states(stage: &Stage) -> Vec<String> {
    let requests = stage.sent.iter().filter_map(|message| match message {
        Message::Request(request) if request.method == Method::Notify => Some(request),
        Message::Request(_) | Message::Response(_) => None,
    });
    let line = |request: &Request| {
        let headers = &request.headers;
        let body = String::from_utf8_lossy(&request.body).trim_end().to_owned();
        let (event, state) = (headers.get("Event"), headers.get("Subscription-State"));
        format!("{} {} {body}", event.unwrap(), state.unwrap())
    };
    requests.map(line).collect()
}

#[test]
fn a_peer_is_told_how_far_we_are() {
    let mut stage = willing();
    let leave = [("Refer-To", "<sip:carol@c.example;method=BYE>")];
    let (id, refer) = refer_us(&mut stage, 2, &leave);
    let carol = Uri::parse("sip:carol@c.example").unwrap();
    assert_eq!(refer, Refer::to(Reference::bye(carol, MethodForm::Parameter)));
    stage.leg.answer_refer(stage.now, id, Ok(()));
    assert_eq!(stage.drain(), ["202 REFER 2", "NOTIFY 1 > udp:p2.example:5060"]);
    stage.leg.report_refer(stage.now, id, Status::RINGING);
    stage.leg.report_refer(stage.now, id, Status::OK);
    stage.leg.report_refer(stage.now, id, Status::BUSY_HERE);
    assert_eq!(stage.drain(), [""; 0]);
    assert_eq!(stage.reply("NOTIFY", 200, "a", &[]), ["NOTIFY 2 > udp:p2.example:5060"]);
    assert_eq!(stage.reply("NOTIFY", 200, "a", &[]), [""; 0]);
    let told = [
        "refer active;expires=300 SIP/2.0 100 Trying",
        "refer terminated;reason=noresource SIP/2.0 200 OK",
    ];
    assert_eq!(states(&stage), told);
    // The second one is named by its number.
    let (id, _) = refer_us(&mut stage, 9, &leave);
    stage.leg.answer_refer(stage.now, id, Ok(()));
    stage.drain();
    assert_eq!(states(&stage)[2], "refer;id=9 active;expires=300 SIP/2.0 100 Trying");
    assert_eq!(stage.reply("NOTIFY", 481, "a", &[]), [""; 0]);
    stage.leg.report_refer(stage.now, id, Status::OK);
    assert_eq!(stage.drain(), [""; 0]);
}

#[test]
fn a_refer_may_be_refused_forgotten_or_go_unwatched() {
    let mut stage = willing();
    let carol = ("Refer-To", "<sip:carol@c.example>");
    for (number, headers, code) in [
        (2, vec![("Refer-To", "<http://c.example>")], 403),
        (3, vec![], 400),
        (4, vec![carol, ("Require", "multiple-refer")], 420),
    ] {
        assert_eq!(stage.ask("REFER", number, &headers), [format!("{code} REFER {number}")]);
    }
    let (id, _) = refer_us(&mut stage, 5, &[carol]);
    stage.leg.answer_refer(stage.now, id, Err(Status::FORBIDDEN));
    assert_eq!(stage.drain(), ["403 REFER 5"]);
    let quiet = [carol, ("Refer-Sub", "false"), ("Require", "norefersub")];
    let (id, _) = refer_us(&mut stage, 6, &quiet);
    stage.leg.answer_refer(stage.now, id, Ok(()));
    assert_eq!(stage.drain(), ["202 REFER 6"]);
    assert_eq!(stage.last_response().headers.get("Refer-Sub"), Some("false"));
    let (id, _) = refer_us(&mut stage, 7, &[carol]);
    stage.wait(Duration::from_secs(32));
    stage.leg.answer_refer(stage.now, id, Ok(()));
    assert_eq!(stage.drain(), [""; 0]);
}

#[test]
fn whoever_is_told_may_go_on_or_stop_and_nobody_is_told_for_ever() {
    let mut stage = willing();
    let (id, _) = refer_us(&mut stage, 2, &[("Refer-To", "<sip:carol@c.example>")]);
    stage.leg.answer_refer(stage.now, id, Ok(()));
    stage.drain();
    stage.reply("NOTIFY", 200, "a", &[]);
    let more = [("Event", "refer"), ("Expires", "100")];
    let lines = ["200 SUBSCRIBE 3", "NOTIFY 2 > udp:p2.example:5060"];
    assert_eq!(stage.ask("SUBSCRIBE", 3, &more), lines);
    stage.reply("NOTIFY", 200, "a", &[]);
    assert_eq!(stage.wait(Duration::from_secs(100)), ["100000 NOTIFY 3 > udp:p2.example:5060"]);
    assert_eq!(states(&stage)[2], "refer terminated;reason=timeout SIP/2.0 100 Trying");
    stage.reply("NOTIFY", 200, "a", &[]);
    assert_eq!(stage.ask("SUBSCRIBE", 4, &more), ["403 SUBSCRIBE 4"]);
    let (id, _) = refer_us(&mut stage, 5, &[("Refer-To", "<sip:carol@c.example>")]);
    stage.leg.answer_refer(stage.now, id, Ok(()));
    stage.drain();
    stage.reply("NOTIFY", 200, "a", &[]);
    let stop = [("Event", "refer;id=5"), ("Expires", "0")];
    assert_eq!(stage.ask("SUBSCRIBE", 6, &stop).len(), 2);
    assert_eq!(states(&stage)[4], "refer;id=5 terminated;reason=timeout SIP/2.0 100 Trying");
}

#[test]
fn whoever_waits_to_hear_more_hears_the_end_when_the_session_ends() {
    let carol = [("Refer-To", "<sip:carol@c.example>")];
    // We hang up.
    let mut stage = willing();
    let (id, _) = refer_us(&mut stage, 2, &carol);
    stage.leg.answer_refer(stage.now, id, Ok(()));
    stage.drain();
    stage.reply("NOTIFY", 200, "a", &[]);
    stage.leg.bye(stage.now, None);
    let lines = ["NOTIFY 2 > udp:p2.example:5060", "BYE 3 > udp:p2.example:5060"];
    assert_eq!(stage.drain(), lines);
    assert_eq!(states(&stage)[1], "refer terminated;reason=noresource SIP/2.0 100 Trying");
    stage.reply("NOTIFY", 200, "a", &[]);
    assert_eq!(stage.reply("BYE", 200, "a", &[]), ["ByeDone"]);
    stage.assert_fades();
    // The peer hangs up, while the first NOTIFY is under way; who was told the end is not told it
    // again.
    let mut stage = willing();
    let (id, _) = refer_us(&mut stage, 2, &carol);
    stage.leg.answer_refer(stage.now, id, Ok(()));
    stage.drain();
    let (done, _) = refer_us(&mut stage, 3, &carol);
    stage.leg.answer_refer(stage.now, done, Ok(()));
    stage.leg.report_refer(stage.now, done, Status::OK);
    stage.drain();
    stage.reply("NOTIFY", 200, "a", &[]);
    stage.drain();
    let lines = stage.ask("BYE", 4, &[]);
    assert_eq!(lines.iter().filter(|line| line.starts_with("NOTIFY")).count(), 1, "{lines:?}");
    assert_eq!(
        states(&stage).last().unwrap(),
        "refer terminated;reason=noresource SIP/2.0 100 Trying"
    );
    stage.leg.report_refer(stage.now, id, Status::OK);
    assert_eq!(stage.drain(), [""; 0]);
}
