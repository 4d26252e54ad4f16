//! Our own offers within the session: re-INVITE, glare, what a refusal leaves standing; and the
//! answers that come in an ACK.

use super::*;
use crate::sip::Transport::{Tcp, Udp};

const CONTACT: (&str, &str) = ("Contact", "<sip:bob@192.0.2.3>");
const SDP: (&str, &str) = ("Content-Type", "application/sdp");

#[test]
fn the_answer_to_an_offerless_invite_comes_in_the_ack() {
    let mut stage = Stage::invited_without_offer();
    stage.leg.accept(stage.now, body("our offer"));
    assert_eq!(stage.drain(), ["200 INVITE 1"]);
    let lines = stage.ask("ACK", 1, &[("body", "answer")]);
    assert_eq!(lines, ["Confirmed", "Answer answer"]);
    assert_eq!(stage.ask("ACK", 1, &[("body", "answer")]), [""; 0]);

    let mut stage = Stage::invited_without_offer();
    stage.leg.accept(stage.now, body("our offer"));
    stage.drain();
    assert_eq!(stage.ask("ACK", 1, &[]), ["Confirmed", "Answer"]);
}

#[test]
fn a_body_in_an_ack_that_owes_no_answer_is_nobodys() {
    let mut stage = Stage::called(Udp, &[]);
    stage.leg.accept(stage.now, body("answer"));
    stage.drain();
    assert_eq!(stage.ask("ACK", 1, &[("body", "stray")]), ["Confirmed"]);
}

#[test]
fn the_answer_to_an_offerless_re_invite_comes_in_the_ack() {
    let mut stage = Stage::confirmed(Udp);
    assert_eq!(stage.ask("INVITE", 2, &[]), ["100 INVITE 2", "Offer"]);
    stage.leg.answer_offer(stage.now, Ok(body("our offer")));
    assert_eq!(stage.drain(), ["200 INVITE 2"]);
    assert_eq!(stage.ask("ACK", 2, &[("body", "answer")]), ["Answer answer"]);
}

#[test]
fn an_offer_goes_out_in_a_re_invite_and_its_answer_is_told() {
    let mut stage = Stage::established(Udp);
    stage.leg.offer(stage.now, body("more"));
    assert_eq!(stage.drain(), ["INVITE 2 > udp:192.0.2.3:5060"]);
    let invite = stage.last("INVITE").clone();
    assert_eq!(invite.body, "more");
    assert_eq!(invite.to_tag().as_deref(), Some("b"));
    assert_eq!(invite.headers.get("Contact"), Some("<sip:alice@192.0.2.1:5060>;+g.oma.sip-im"));
    assert_eq!(invite.headers.get("Supported"), Some("100rel, timer"));
    let moved = ("Contact", "<sip:bob@192.0.2.8>");
    let lines = stage.answer("INVITE", 200, &[moved, SDP], "answer");
    assert_eq!(lines, ["ACK 2 > udp:192.0.2.8:5060", "Answer answer"]);
    // The ACK was lost.
    let again = stage.answer("INVITE", 200, &[moved, SDP], "answer");
    assert_eq!(again, ["ACK 2 > udp:192.0.2.8:5060"]);
    stage.leg.bye(stage.now, None);
    assert_eq!(stage.drain(), ["BYE 3 > udp:192.0.2.8:5060"]);
    assert_eq!(stage.reply("BYE", 200, "b", &[]), ["ByeDone"]);
    stage.assert_fades();
}

#[test]
fn a_refused_offer_of_ours_leaves_the_session_and_its_target_as_they_were() {
    let mut stage = Stage::established(Udp);
    stage.leg.offer(stage.now, body("more"));
    stage.drain();
    let lines = stage.reply("INVITE", 488, "b", &[("Contact", "<sip:bob@192.0.2.8>")]);
    assert_eq!(lines, ["ACK 2 > udp:192.0.2.3:5060", "OfferRefused 488"]);
    assert_eq!(stage.ask("OPTIONS", 1, &[]), ["200 OPTIONS 1"]);
    stage.leg.offer(stage.now, body("less"));
    assert_eq!(stage.drain(), ["INVITE 3 > udp:192.0.2.3:5060"]);
}

#[test]
fn a_refusal_that_proves_the_session_gone_ends_it() {
    for code in 300..=699 {
        let mut stage = Stage::established(Tcp);
        stage.leg.offer(stage.now, body("more"));
        stage.drain();
        let lines = stage.reply("INVITE", code, "b", &[]);
        let last = lines.last().unwrap();
        match code {
            404 | 408 | 410 | 416 | 480..=485 | 502 | 604 => {
                assert_eq!(lines[1], format!("Lost {code}"));
                assert_eq!(last, "BYE 3 > udp:192.0.2.3:5060");
            }
            491 => assert!(last.starts_with("ACK"), "{lines:?}"),
            _ => assert_eq!(*last, format!("OfferRefused {code}")),
        }
    }
}

#[test]
fn an_offer_without_answer_ends_the_session() {
    let mut stage = Stage::established(Tcp);
    stage.leg.offer(stage.now, body("more"));
    stage.drain();
    let lines = stage.wait(Duration::from_secs(32));
    let [.., lost, bye] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&lost[..], &bye[..]), ("32000 Lost", "32000 BYE 3 > udp:192.0.2.3:5060"));
    stage.reply("BYE", 481, "b", &[]);
    stage.assert_fades();
}

#[test]
fn an_offer_that_rings_for_ever_ends_the_session() {
    let mut stage = Stage::established(Tcp);
    stage.leg.offer(stage.now, body("more"));
    stage.drain();
    assert_eq!(stage.reply("INVITE", 180, "b", &[]), [""; 0]);
    let lines = stage.wait(Duration::from_secs(200));
    assert_eq!(lines[..2], ["185000 Lost", "185000 BYE 3 > udp:192.0.2.3:5060"]);
}

#[test]
fn a_dead_connection_is_no_dead_session() {
    let mut stage = Stage::established(Udp);
    stage.leg.offer(stage.now, body("more"));
    stage.drain();
    let hop = Hop::new(Udp, "192.0.2.3", 5060);
    assert_eq!(stage.break_transport(&hop), ["OfferRefused"]);
    assert_eq!(stage.ask("OPTIONS", 1, &[]), ["200 OPTIONS 1"]);
}

#[test]
fn the_owner_of_the_call_id_waits_longer_after_a_glare() {
    let mut stage = Stage::established(Udp);
    stage.leg.offer(stage.now, body("more"));
    stage.drain();
    assert_eq!(stage.reply("INVITE", 491, "b", &[]), ["ACK 2 > udp:192.0.2.3:5060"]);
    assert_eq!(stage.wait(Duration::from_millis(2099)), [""; 0]);
    let lines = stage.wait(Duration::from_millis(1901));
    assert!(lines[0].ends_with(" INVITE 3 > udp:192.0.2.3:5060"), "{lines:?}");
    assert_eq!(stage.last("INVITE").body, "more");

    for seed in 0..20 {
        let mut stage = Stage::confirmed(Udp);
        stage.leg.desk.kit.random = Random::seeded(seed);
        stage.leg.offer(stage.now, body("more"));
        assert_eq!(stage.drain(), ["INVITE 1 > udp:p2.example:5060"]);
        stage.reply("INVITE", 491, "a", &[]);
        let lines = stage.wait(Duration::from_secs(2));
        assert!(lines[0].ends_with(" INVITE 2 > udp:p2.example:5060"), "{lines:?}");
    }
}

#[test]
fn glares_without_end_are_no_coincidence() {
    let mut stage = Stage::established(Tcp);
    stage.leg.offer(stage.now, body("more"));
    stage.drain();
    for _ in 0..8 {
        assert_eq!(stage.reply("INVITE", 491, "b", &[]).len(), 1);
        assert_ne!(stage.wait(Duration::from_secs(4)), [""; 0]);
    }
    assert_eq!(stage.reply("INVITE", 491, "b", &[])[1..], ["OfferRefused 491"]);
}

#[test]
fn an_offer_of_the_peer_that_meets_ours_is_pending() {
    let mut stage = Stage::established(Udp);
    stage.leg.offer(stage.now, body("more"));
    stage.drain();
    assert_eq!(stage.ask("INVITE", 1, &[("body", "glare")]), ["491 INVITE 1"]);
    assert_eq!(stage.ask("UPDATE", 2, &[("body", "glare")]), ["491 UPDATE 2"]);
    assert_eq!(stage.ask("UPDATE", 3, &[]), ["200 UPDATE 3"]);
    stage.answer("INVITE", 200, &[CONTACT, SDP], "answer");
    assert_eq!(stage.ask("UPDATE", 4, &[("body", "now")]), ["Offer now"]);
}

#[test]
fn an_offer_waits_until_nothing_else_is_under_way() {
    let mut stage = Stage::called(Udp, &[]);
    stage.leg.offer(stage.now, body("too early"));
    stage.leg.accept(stage.now, body("answer"));
    assert_eq!(stage.drain(), ["200 INVITE 1"]);
    stage.leg.offer(stage.now, body("first"));
    stage.leg.offer(stage.now, body("second"));
    assert_eq!(stage.drain(), [""; 0]);
    let lines = stage.ask("ACK", 1, &[]);
    assert_eq!(lines, ["Confirmed", "INVITE 1 > udp:p2.example:5060"]);
    assert_eq!(stage.last("INVITE").body, "second");
    stage.answer("INVITE", 200, &[SDP], "answer");

    assert_eq!(stage.ask("UPDATE", 2, &[("body", "theirs")]), ["Offer theirs"]);
    stage.leg.offer(stage.now, body("third"));
    assert_eq!(stage.drain(), [""; 0]);
    stage.leg.answer_offer(stage.now, Ok(body("fine")));
    assert_eq!(stage.drain(), ["200 UPDATE 2", "INVITE 2 > udp:p2.example:5060"]);
}

#[test]
fn an_end_does_not_wait_for_our_offer() {
    let mut stage = Stage::established(Udp);
    stage.leg.offer(stage.now, body("more"));
    stage.drain();
    assert_eq!(stage.reply("INVITE", 180, "b", &[]), [""; 0]);
    stage.leg.bye(stage.now, None);
    assert_eq!(stage.drain(), ["BYE 3 > udp:192.0.2.3:5060"]);
    // It crossed our BYE.
    let lines = stage.answer("INVITE", 200, &[CONTACT, SDP], "answer");
    assert_eq!(lines, ["ACK 2 > udp:192.0.2.3:5060"]);
    assert_eq!(stage.reply("BYE", 200, "b", &[]), ["ByeDone"]);
    stage.assert_fades();

    // The peer rings, ends, and never says what became of the offer.
    let mut stage = Stage::established(Udp);
    stage.leg.offer(stage.now, body("more"));
    stage.drain();
    stage.reply("INVITE", 180, "b", &[]);
    assert_eq!(stage.ask("BYE", 1, &[]), ["200 BYE 1", "Ended"]);
    stage.assert_fades();
}

impl Stage {
    /// A leg of ours that alice has called without an offer.
    fn invited_without_offer() -> Self {
        let mut invite = invitation(Udp, &[]);
        invite.body = Bytes::new();
        invite.headers.remove("Content-Type");
        let peer = Hop::new(Udp, "192.0.2.2", 5060);
        let start = Instant::now();
        let leg = Leg::answering(start, invite, peer.clone(), kit("192.0.2.1", Udp, 2));
        let mut stage = Self { leg, start, now: start, sent: Vec::new(), peer };
        assert_eq!(stage.drain(), ["100 INVITE 1"]);
        stage
    }

    /// Lets the peer answer with a body.
    pub(super) fn answer(
        &mut self,
        method: &str,
        code: u16,
        headers: &[(&str, &str)],
        text: &str,
    ) -> Vec<String> {
        let tag = self.leg.remote_tag().unwrap_or("b").to_owned();
        let status = Status::new(code).unwrap();
        let mut response = response_to(self.last(method), status, Some(&tag));
        headers.iter().for_each(|(name, value)| response.headers.push(name, value));
        response.body = Bytes::from(text.to_owned());
        self.give(Message::Response(response))
    }
}
