//! The accepted call: offers of the peer, BYE both ways, and what does not belong there.

use super::*;
use crate::sip::Transport::{Tcp, Udp};

#[test]
fn a_bye_is_answered_again_when_it_is_repeated() {
    let mut stage = Stage::established(Udp);
    let reason = [("Reason", "SIP;cause=410;text=\"Gone\"")];
    let lines = stage.ask("BYE", 1, &reason);
    assert_eq!(lines, ["200 BYE 1", "Ended SIP;cause=410;text=\"Gone\""]);
    assert_eq!(stage.ask("BYE", 1, &reason), ["200 BYE 1"]);
    assert_eq!(stage.leg.remote_tag(), None);
    let (tag, from) = (stage.leg.local_tag().to_owned(), ("From", "<sip:x@x>;tag=b"));
    assert_eq!(stage.ask("BYE", 2, &[from]), ["481 BYE 2"]);
    assert_eq!(stage.last_response().to_tag(), Some(tag));
    stage.assert_fades();
}

#[test]
fn byes_that_cross_are_both_answered() {
    let mut stage = Stage::established(Udp);
    stage.leg.bye(stage.now, None);
    assert_eq!(stage.drain(), ["BYE 2 > udp:192.0.2.3:5060"]);
    assert_eq!(stage.ask("BYE", 1, &[]), ["200 BYE 1"]);
    assert_eq!(stage.ask("INFO", 2, &[]), ["481 INFO 2"]);
    assert_eq!(stage.ask("INVITE", 3, &[("body", "x")]), ["481 INVITE 3"]);
    assert_eq!(stage.reply("BYE", 481, "b", &[]), ["ByeDone"]);
    stage.wait(Duration::from_secs(32));
    assert!(stage.leg.is_finished());
}

#[test]
fn a_bye_without_answer_is_done_all_the_same() {
    let mut stage = Stage::established(Tcp);
    stage.leg.bye(stage.now, None);
    assert_eq!(stage.drain(), ["BYE 2 > udp:192.0.2.3:5060"]);
    let lines = stage.wait(Duration::from_secs(32));
    assert_eq!(lines.last().unwrap(), "32000 ByeDone");
    stage.assert_fades();

    let mut stage = Stage::established(Udp);
    stage.leg.bye(stage.now, None);
    stage.drain();
    assert_eq!(stage.break_transport(&Hop::new(Udp, "192.0.2.3", 5060)), ["ByeDone"]);
    stage.assert_fades();
}

#[test]
fn a_dead_transport_leaves_the_dialog_alone() {
    let mut stage = Stage::confirmed(Tcp);
    let peer = stage.peer.clone();
    assert_eq!(stage.break_transport(&peer), [""; 0]);
    assert_eq!(stage.ask("OPTIONS", 2, &[]), ["200 OPTIONS 2"]);
}

#[test]
fn wrong_tags_and_old_numbers_do_not_touch_the_session() {
    let mut stage = Stage::confirmed(Udp);
    let stranger = [("From", "<sip:alice@a.example>;tag=stranger")];
    assert_eq!(stage.ask("BYE", 2, &stranger), ["481 BYE 2"]);
    assert_eq!(stage.ask("INVITE", 3, &stranger), ["481 INVITE 3"]);
    assert_eq!(stage.ask("ACK", 3, &stranger), [""; 0]);
    assert_eq!(stage.ask("BYE", 1, &[]), ["500 BYE 1"]);
    assert_eq!(stage.ask("OPTIONS", 9, &[]), ["200 OPTIONS 9"]);
    assert_eq!(stage.ask("BYE", 8, &[]), ["500 BYE 8"]);
    assert_eq!(stage.ask("BYE", 10, &[]), ["200 BYE 10", "Ended"]);
}

#[test]
fn a_re_invite_is_an_offer_and_its_2xx_is_repeated() {
    let mut stage = Stage::confirmed(Udp);
    let fresh = [("body", "again"), ("Contact", "<sip:alice@192.0.2.77>")];
    assert_eq!(stage.ask("INVITE", 2, &fresh), ["100 INVITE 2", "Offer again"]);
    assert_eq!(stage.ask("INVITE", 2, &fresh), ["100 INVITE 2"]);
    stage.leg.answer_offer(stage.now, Ok(body("answer")));
    assert_eq!(stage.drain(), ["200 INVITE 2"]);
    assert_eq!(stage.last_response().body, "answer");
    assert_eq!(stage.wait(Duration::from_millis(600)), ["500 200 INVITE 2"]);
    assert_eq!(stage.ask("ACK", 1, &[]), [""; 0]);
    assert_eq!(stage.ask("ACK", 2, &[]), [""; 0]);
    assert_eq!(stage.wait(Duration::from_secs(60)), [""; 0]);
    stage.leg.bye(stage.now, None);
    stage.drain();
    // The target has moved, the route set has not.
    let bye = stage.last("BYE");
    assert_eq!(bye.uri.to_string(), "sip:alice@192.0.2.77");
    let routes: Vec<_> = bye.headers.all("Route").collect();
    assert_eq!(routes, ["<sip:p2.example;lr>", "<sip:p1.example;lr>"]);
}

#[test]
fn a_re_invite_whose_2xx_is_never_acked_ends_the_call() {
    let mut stage = Stage::confirmed(Tcp);
    stage.ask("INVITE", 2, &[("body", "again")]);
    stage.leg.answer_offer(stage.now, Ok(body("answer")));
    stage.drain();
    let lines = stage.wait(Duration::from_secs(32));
    assert_eq!(lines[lines.len() - 2..], ["32000 NoAck", "32000 BYE 1 > udp:p2.example:5060"]);
}

#[test]
fn a_refused_offer_leaves_the_session_as_it_was() {
    let mut stage = Stage::confirmed(Udp);
    let fresh = [("body", "again"), ("Contact", "<sip:alice@192.0.2.77>")];
    stage.ask("INVITE", 2, &fresh);
    stage.leg.answer_offer(stage.now, Err(Status::NOT_ACCEPTABLE_HERE));
    assert_eq!(stage.drain(), ["488 INVITE 2"]);
    assert_eq!(stage.ask("ACK", 2, &[]), [""; 0]);
    assert_eq!(stage.ask("UPDATE", 3, &fresh), ["Offer again"]);
    stage.leg.answer_offer(stage.now, Err(Status::OK));
    assert_eq!(stage.drain(), ["488 UPDATE 3"]);
    stage.leg.answer_offer(stage.now, Ok(body("late")));
    assert_eq!(stage.drain(), [""; 0]);
    stage.leg.bye(stage.now, None);
    stage.drain();
    assert_eq!(stage.last("BYE").uri.to_string(), "sip:alice@192.0.2.9");
}

#[test]
fn one_offer_at_a_time() {
    let mut stage = Stage::confirmed(Udp);
    let offer = [("body", "offer")];
    assert_eq!(stage.ask("INVITE", 2, &offer), ["100 INVITE 2", "Offer offer"]);
    assert_eq!(stage.ask("INVITE", 3, &offer), ["500 INVITE 3"]);
    let after = stage.last_response().headers.get("Retry-After").unwrap();
    assert!(after.parse::<u32>().unwrap() <= 10);
    assert_eq!(stage.ask("UPDATE", 4, &offer), ["500 UPDATE 4"]);
    assert_eq!(stage.ask("UPDATE", 5, &[]), ["200 UPDATE 5"]);
    stage.leg.answer_offer(stage.now, Ok(body("answer")));
    assert_eq!(stage.drain(), ["200 INVITE 2"]);
}

#[test]
fn our_own_offer_comes_first() {
    let mut stage = Stage::confirmed(Udp);
    assert_eq!(stage.ask("INVITE", 2, &[]), ["100 INVITE 2", "Offer"]);
    stage.leg.answer_offer(stage.now, Ok(body("our offer")));
    assert_eq!(stage.drain(), ["200 INVITE 2"]);
    assert_eq!(stage.ask("UPDATE", 3, &[("body", "glare")]), ["491 UPDATE 3"]);
    assert_eq!(stage.ask("INVITE", 4, &[("body", "glare")]), ["491 INVITE 4"]);
    assert_eq!(stage.ask("ACK", 2, &[("body", "answer")]), ["Answer answer"]);
    assert_eq!(stage.ask("UPDATE", 5, &[("body", "now")]), ["Offer now"]);
}

#[test]
fn an_update_is_answered_with_our_description() {
    let mut stage = Stage::established(Udp);
    assert_eq!(stage.ask("UPDATE", 1, &[("body", "again")]), ["Offer again"]);
    stage.leg.answer_offer(stage.now, Ok(body("answer")));
    assert_eq!(stage.drain(), ["200 UPDATE 1"]);
    assert_eq!(stage.last_response().body, "answer");
    assert!(stage.last_response().headers.has("Contact"));
    assert_eq!(stage.ask("UPDATE", 2, &[("Contact", "<sip:bob@192.0.2.5>")]), ["200 UPDATE 2"]);
    stage.leg.bye(stage.now, None);
    assert_eq!(stage.drain(), ["BYE 2 > udp:192.0.2.5:5060"]);
}

#[test]
fn a_cancelled_re_invite_is_no_offer_any_more() {
    let mut stage = Stage::confirmed(Udp);
    stage.ask("INVITE", 2, &[("body", "again")]);
    let mut cancel = stage.within("INVITE", 2, &[("CSeq", "2 CANCEL")]);
    cancel.method = Method::Cancel;
    let lines = stage.give(Message::Request(cancel));
    assert_eq!(lines, ["200 CANCEL 2", "487 INVITE 2"]);
    stage.leg.answer_offer(stage.now, Ok(body("answer")));
    assert_eq!(stage.drain(), [""; 0]);
    assert_eq!(stage.ask("OPTIONS", 3, &[]), ["200 OPTIONS 3"]);
}

#[test]
fn an_end_answers_the_offer_that_waits() {
    let mut stage = Stage::confirmed(Tcp);
    stage.ask("INVITE", 2, &[("body", "again")]);
    assert_eq!(stage.ask("BYE", 3, &[]), ["200 BYE 3", "487 INVITE 2", "Ended"]);

    let mut stage = Stage::confirmed(Udp);
    stage.ask("INVITE", 2, &[("body", "again")]);
    stage.leg.bye(stage.now, None);
    assert_eq!(stage.drain(), ["487 INVITE 2", "BYE 1 > udp:p2.example:5060"]);
}

#[test]
fn what_else_comes_is_answered_by_its_method() {
    let mut stage = Stage::confirmed(Tcp);
    for (number, (method, code)) in [
        ("OPTIONS", 200),
        ("PRACK", 400),
        ("INFO", 405),
        ("MESSAGE", 405),
        ("REGISTER", 405),
        ("PUBLISH", 405),
        ("REFER", 403),
        ("SUBSCRIBE", 489),
        ("NOTIFY", 489),
        ("DANCE", 501),
    ]
    .into_iter()
    .enumerate()
    {
        let number = u32::try_from(number).unwrap() + 2;
        assert_eq!(stage.ask(method, number, &[]), [format!("{code} {method} {number}")]);
        let allow = stage.last_response().headers.has("Allow");
        assert_eq!(allow, matches!(code, 405 | 501) || method == "OPTIONS", "{method}");
    }
    let lines = stage.ask("OPTIONS", 20, &[("Require", "magic")]);
    assert_eq!(lines, ["420 OPTIONS 20"]);
    assert_eq!(stage.last_response().headers.get("Unsupported"), Some("magic"));
}

#[test]
fn a_flood_of_requests_does_not_make_the_leg_grow() {
    let mut stage = Stage::confirmed(Udp);
    let codes: Vec<_> = (2..500).flat_map(|number| stage.ask("OPTIONS", number, &[])).collect();
    assert_eq!(codes.iter().filter(|line| line.starts_with("200")).count(), 15);
    assert_eq!(codes.iter().filter(|line| line.starts_with("503")).count(), 483);
    stage.wait(Duration::from_secs(33));
    assert_eq!(stage.ask("BYE", 500, &[]), ["200 BYE 500", "Ended"]);
}

#[test]
fn requests_outside_of_the_dialog_are_strays() {
    let mut stage = Stage::confirmed(Udp);
    let mut options = stage.within("OPTIONS", 7, &[("To", "<sip:bob@b.example>")]);
    assert_eq!(stage.give(Message::Request(options.clone())), ["200 OPTIONS 7"]);
    options.method = Method::Ack;
    assert_eq!(stage.give(Message::Request(options)), [""; 0]);
}

#[test]
fn cancelling_an_answered_call_hangs_it_up() {
    let mut stage = Stage::established(Udp);
    stage.leg.cancel(stage.now, None);
    assert_eq!(stage.drain(), ["BYE 2 > udp:192.0.2.3:5060"]);
    stage.leg.bye(stage.now, None);
    assert_eq!(stage.reply("BYE", 200, "b", &[]), ["ByeDone"]);
    stage.leg.bye(stage.now, None);
    assert_eq!(stage.drain(), [""; 0]);
}
