//! The callee's side until it has decided, and until the ACK.

use super::*;
use crate::sip::Transport::{Tcp, Udp};

#[test]
fn an_invitation_rings_is_accepted_and_confirmed() {
    let mut stage = Stage::called(Udp, &[]);
    assert_eq!(stage.last_response().to_tag(), None);
    stage.leg.ring(stage.now);
    assert_eq!(stage.drain(), ["180 INVITE 1"]);
    let ringing = stage.last_response().clone();
    stage.leg.accept(stage.now, body("answer"));
    assert_eq!(stage.drain(), ["200 INVITE 1"]);
    let accepted = stage.last_response().clone();
    for response in [&ringing, &accepted] {
        assert_eq!(response.to_tag().as_deref(), Some(stage.leg.local_tag()));
        assert_eq!(response.headers.get("Contact"), Some("<sip:bob@192.0.2.1:5060>"));
        let recorded = response.headers.get("Record-Route");
        assert_eq!(recorded, Some("<sip:p2.example;lr>, <sip:p1.example;lr>"));
        let vias: Vec<_> = response.headers.all("Via").collect();
        assert_eq!(
            vias,
            [
                "SIP/2.0/UDP p.example:5060;branch=z9hG4bKinv;received=192.0.2.2",
                "SIP/2.0/UDP a.example;branch=z9hG4bKa , SIP/2.0/TCP b.example;branch=z9hG4bKb",
            ]
        );
        assert_eq!(response.headers.get("Server"), Some("bridge/1"));
    }
    assert_eq!(accepted.body, "answer");
    assert_eq!(stage.ask("ACK", 1, &[]), ["Confirmed"]);
    assert_eq!(stage.ask("ACK", 1, &[]), [""; 0]);
    assert_eq!(stage.wait(Duration::from_secs(70)), [""; 0]);
    stage.leg.bye(stage.now, None);
    assert_eq!(stage.drain(), ["BYE 1 > udp:p2.example:5060"]);
    assert_eq!(stage.last("BYE").uri.to_string(), "sip:alice@192.0.2.9");
    assert_eq!(stage.reply("BYE", 200, "a", &[]), ["ByeDone"]);
    stage.assert_fades();
}

#[test]
fn a_registered_contact_answers_under_its_own_name() {
    let mut kit = kit("192.0.2.1", Udp, 2);
    Arc::make_mut(&mut kit.local).contact_user = Some("c0ffee".to_owned());
    let peer = Hop::new(Udp, "192.0.2.2", 5060);
    let mut stage = Stage::of(Leg::answering(Instant::now(), invitation(Udp, &[]), peer, kit));
    stage.leg.ring(stage.now);
    stage.drain();
    let contact = stage.last_response().headers.get("Contact");
    assert_eq!(contact, Some("<sip:c0ffee@192.0.2.1:5060>"));
}

#[test]
fn a_2xx_is_repeated_until_nobody_acks_also_over_tcp() {
    for transport in [Udp, Tcp] {
        let mut stage = Stage::called(transport, &[]);
        stage.leg.accept(stage.now, body("answer"));
        stage.drain();
        let lines = stage.wait(Duration::from_secs(32));
        let mut expected: Vec<_> =
            [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]
                .map(|at| format!("{at} 200 INVITE 1"))
                .into();
        expected.push("32000 NoAck".to_owned());
        expected.push("32000 BYE 1 > udp:p2.example:5060".to_owned());
        assert_eq!(lines, expected);
        assert_eq!(stage.reply("BYE", 200, "a", &[]), [""; 0]);
        stage.assert_fades();
    }
}

#[test]
fn a_repeated_invite_is_absorbed_while_the_transaction_lives() {
    let mut stage = Stage::called(Udp, &[]);
    let again = || Message::Request(invitation(Udp, &[]));
    assert_eq!(stage.give(again()), ["100 INVITE 1"]);
    stage.leg.ring(stage.now);
    assert_eq!(stage.drain(), ["180 INVITE 1"]);
    assert_eq!(stage.give(again()), ["180 INVITE 1"]);
    stage.leg.accept(stage.now, body("answer"));
    stage.drain();
    assert_eq!(stage.give(again()), [""; 0]);
    assert_eq!(stage.ask("ACK", 1, &[]), ["Confirmed"]);
    assert_eq!(stage.give(again()), [""; 0]);
    // Later than any honest repetition it is at least no second call.
    stage.wait(Duration::from_secs(40));
    assert_eq!(stage.give(again()), ["482 INVITE 1"]);
    assert_eq!(stage.leg.remote_tag(), Some("a"));
}

#[test]
fn the_same_invite_by_another_way_is_merged() {
    let mut stage = Stage::called(Udp, &[]);
    let mut merged = invitation(Udp, &[]);
    merged.headers.set("Via", "SIP/2.0/UDP p9.example:5060;branch=z9hG4bKother");
    assert_eq!(stage.give(Message::Request(merged.clone())), ["482 INVITE 1"]);
    merged.headers.set("CSeq", "2 INVITE");
    assert_eq!(stage.give(Message::Request(merged)), ["500 INVITE 2"]);
    assert!(stage.last_response().headers.has("Retry-After"));
    stage.leg.ring(stage.now);
    assert_eq!(stage.drain(), ["180 INVITE 1"]);
}

#[test]
fn a_ringing_callee_says_so_every_minute() {
    let mut stage = Stage::called(Udp, &[]);
    stage.leg.ring(stage.now);
    stage.drain();
    let lines = stage.wait(Duration::from_secs(130));
    assert_eq!(lines, ["60000 180 INVITE 1", "120000 180 INVITE 1"]);
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let mut stage = Stage::called(Udp, &[]);
    let warning = ("Warning".to_owned(), "399 x \"no\"".to_owned());
    stage.leg.reject(stage.now, Status::BUSY_HERE, vec![warning]);
    assert_eq!(stage.drain(), ["486 INVITE 1"]);
    assert_eq!(stage.last_response().headers.get("Warning"), Some("399 x \"no\""));
    assert_eq!(stage.wait(Duration::from_millis(600)), ["500 486 INVITE 1"]);
    let tag = stage.leg.local_tag().to_owned();
    let mut ack = invitation(Udp, &[]);
    ack.method = Method::Ack;
    ack.headers.set("CSeq", "1 ACK");
    ack.headers.set("To", &format!("<sip:bob@b.example>;tag={tag}"));
    assert_eq!(stage.give(Message::Request(ack)), [""; 0]);
    stage.assert_fades();
}

#[test]
fn a_refusal_that_refuses_nothing_is_an_error() {
    let mut stage = Stage::called(Udp, &[]);
    stage.leg.reject(stage.now, Status::OK, Vec::new());
    assert_eq!(stage.drain(), ["500 INVITE 1"]);
}

#[test]
fn a_cancel_is_answered_and_ends_the_invitation() {
    let mut stage = Stage::called(Udp, &[]);
    let elsewhere = "SIP;cause=200;text=\"Call completed elsewhere\", Q.850;cause=16";
    let lines = cancel(&mut stage, &[("Reason", elsewhere)]);
    assert_eq!(
        lines,
        [
            "200 CANCEL 1",
            "487 INVITE 1",
            "CancelledByPeer SIP;cause=200;text=\"Call completed elsewhere\" & Q.850;cause=16",
        ]
    );
    assert_eq!(stage.sent[1].to_tag().as_deref(), Some(stage.leg.local_tag()));
    assert_eq!(cancel(&mut stage, &[]), ["200 CANCEL 1"]);
    stage.leg.accept(stage.now, body("answer"));
    stage.leg.reject(stage.now, Status::DECLINE, Vec::new());
    assert_eq!(stage.drain(), [""; 0]);
    stage.wait(Duration::from_secs(33));
    assert!(stage.leg.is_finished());
}

#[test]
fn a_cancel_after_the_decision_changes_nothing() {
    let mut stage = Stage::called(Udp, &[]);
    stage.leg.accept(stage.now, body("answer"));
    stage.drain();
    assert_eq!(cancel(&mut stage, &[]), ["200 CANCEL 1"]);
    assert_eq!(stage.ask("ACK", 1, &[]), ["Confirmed"]);
    assert_eq!(stage.leg.remote_tag(), Some("a"));
}

#[test]
fn a_cancel_of_something_else_is_unknown() {
    let mut stage = Stage::called(Udp, &[]);
    let other = ("Via", "SIP/2.0/UDP p.example:5060;branch=z9hG4bKelse");
    assert_eq!(cancel(&mut stage, &[other]), ["481 CANCEL 1"]);
}

#[test]
fn a_bye_before_the_decision_ends_the_invitation() {
    let mut stage = Stage::called(Udp, &[]);
    stage.leg.ring(stage.now);
    stage.drain();
    assert_eq!(stage.ask("BYE", 2, &[]), ["200 BYE 2", "487 INVITE 1", "CancelledByPeer"]);
}

#[test]
fn an_invitation_expires() {
    let mut stage = Stage::called(Tcp, &[("Expires", "10")]);
    assert_eq!(stage.wait(Duration::from_secs(20)), ["10000 487 INVITE 1", "10000 Expired"]);
}

#[test]
fn an_option_that_nobody_knows_is_refused_by_name() {
    let mut stage = Stage::called(Udp, &[("Require", "100rel, recipient-list-invite")]);
    assert_eq!(stage.sent.len(), 2);
    let refusal = stage.last_response();
    assert_eq!(refusal.status, Status::BAD_EXTENSION);
    assert_eq!(refusal.headers.get("Unsupported"), Some("recipient-list-invite"));
    assert!(refusal.to_tag().is_some());
    stage.leg.accept(stage.now, body("answer"));
    assert_eq!(stage.drain(), [""; 0]);
}

#[test]
fn an_invite_that_the_leg_refuses_of_itself_is_lost() {
    let mut invite = invitation(Udp, &[]);
    invite.headers.remove("Contact");
    let peer = Hop::new(Udp, "192.0.2.2", 5060);
    let start = Instant::now();
    let leg = Leg::answering(start, invite, peer.clone(), kit("192.0.2.1", Udp, 2));
    let mut stage = Stage { leg, start, now: start, sent: Vec::new(), peer };
    assert_eq!(stage.drain(), ["100 INVITE 1", "400 INVITE 1", "Lost 400"]);
}

#[test]
fn a_bye_that_overtakes_the_ack_stops_the_2xx() {
    let mut stage = Stage::called(Udp, &[]);
    stage.leg.accept(stage.now, body("answer"));
    stage.drain();
    assert_eq!(stage.ask("BYE", 2, &[]), ["200 BYE 2", "Ended"]);
    assert_eq!(stage.ask("ACK", 1, &[]), [""; 0]);
    stage.assert_fades();
}

#[test]
fn a_callee_hangs_up_after_the_ack() {
    let mut stage = Stage::called(Udp, &[]);
    stage.leg.accept(stage.now, body("answer"));
    stage.drain();
    stage.leg.bye(stage.now, Some(Reason::sip(480, "Bearer unavailable")));
    stage.leg.bye(stage.now, None);
    assert_eq!(stage.drain(), [""; 0]);
    assert_eq!(stage.ask("ACK", 1, &[]), ["BYE 1 > udp:p2.example:5060"]);
    let reason = stage.last("BYE").headers.get("Reason");
    assert_eq!(reason, Some("SIP;cause=480;text=\"Bearer unavailable\""));
    assert_eq!(stage.reply("BYE", 200, "a", &[]), ["ByeDone"]);
    stage.assert_fades();
}

#[test]
fn a_callee_hangs_up_when_no_ack_comes() {
    let mut stage = Stage::called(Tcp, &[]);
    stage.leg.accept(stage.now, body("answer"));
    stage.leg.bye(stage.now, None);
    let lines = stage.wait(Duration::from_secs(32));
    assert_eq!(lines.last().unwrap(), "32000 BYE 1 > udp:p2.example:5060");
    assert_eq!(stage.reply("BYE", 481, "a", &[]), ["ByeDone"]);
    stage.assert_fades();
}

#[test]
fn both_sides_hang_up_before_the_ack() {
    let mut stage = Stage::called(Udp, &[]);
    stage.leg.accept(stage.now, body("answer"));
    stage.leg.bye(stage.now, None);
    stage.drain();
    assert_eq!(stage.ask("BYE", 2, &[]), ["200 BYE 2", "ByeDone"]);
    stage.assert_fades();
}

#[test]
fn offers_before_the_decision_must_come_back_later() {
    let mut stage = Stage::called(Udp, &[]);
    stage.leg.ring(stage.now);
    stage.drain();
    assert_eq!(stage.ask("UPDATE", 2, &[]), ["200 UPDATE 2"]);
    assert_eq!(stage.ask("UPDATE", 3, &[("body", "offer")]), ["500 UPDATE 3"]);
    assert!(stage.last_response().headers.has("Retry-After"));
    assert_eq!(stage.ask("INVITE", 4, &[("body", "offer")]), ["500 INVITE 4"]);
    stage.leg.accept(stage.now, body("answer"));
    assert_eq!(stage.drain(), ["200 INVITE 1"]);
}

fn cancel(stage: &mut Stage, headers: &[(&str, &str)]) -> Vec<String> {
    let mut cancel = invitation(Udp, &[]);
    cancel.method = Method::Cancel;
    cancel.headers.set("CSeq", "1 CANCEL");
    headers.iter().for_each(|(name, value)| cancel.headers.set(name, value));
    stage.give(Message::Request(cancel))
}
