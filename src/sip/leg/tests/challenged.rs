//! Who asks for credentials gets them: once, with the next number and another branch.

use super::*;
use crate::sip::Transport::{Tcp, Udp};
use crate::sip::{Asker, Credentials, Password};

const CONTACT: (&str, &str) = ("Contact", "<sip:bob@192.0.2.3>");
const SERVER: (&str, &str) = (
    "WWW-Authenticate",
    r#"Digest realm="b.example", nonce="s1", qop="auth,auth-int", algorithm=SHA-256"#,
);
const PROXY: (&str, &str) =
    ("Proxy-Authenticate", r#"Digest realm="p.example", nonce="p1", qop="auth""#);

/// All but CSeq, branch and credentials stays as it was (RFC 3261 section 22.2).
#[test]
fn a_challenged_invite_is_sent_again_with_credentials() {
    for transport in [Udp, Tcp] {
        let mut stage = armed(transport);
        let first = stage.last("INVITE").clone();
        let lines = stage.reply("INVITE", 407, "p", &[PROXY]);
        let hop = stage.peer.clone();
        assert_eq!(lines, [format!("ACK 1 > {hop}"), format!("INVITE 2 > {hop}")]);
        let second = stage.last("INVITE").clone();
        assert_eq!(stage.last("ACK").via().unwrap().branch(), first.via().unwrap().branch());
        assert_ne!(second.via().unwrap().branch(), first.via().unwrap().branch());
        assert_eq!(
            (second.body.as_ref(), second.uri.as_str()),
            (&b"offer"[..], first.uri.as_str())
        );
        let rest = |request: &Request| {
            let mut headers = request.headers.clone();
            for name in ["Via", "CSeq", "Proxy-Authorization"] {
                headers.remove(name);
            }
            headers.to_string()
        };
        assert_eq!(rest(&second), rest(&first));
        assert!(said(&second, Asker::Proxy).contains(r#"realm="p.example", nonce="p1""#));
        assert_eq!(stage.reply("INVITE", 180, "b", &[]), ["Progress 180"]);
        let lines = stage.reply("INVITE", 200, "b", &[CONTACT]);
        assert_eq!(lines, ["ACK 2 > udp:192.0.2.3:5060", "Established 200"]);
    }
}

/// RFC 3261 section 13.2.2.4; and a proxy and the callee may both ask.
#[test]
fn the_ack_carries_the_credentials_of_the_invite() {
    let mut stage = armed(Udp);
    stage.reply("INVITE", 407, "p", &[PROXY]);
    let lines = stage.reply("INVITE", 401, "b", &[SERVER]);
    assert_eq!(lines[1..], ["INVITE 3 > udp:192.0.2.2:5060"]);
    let third = stage.last("INVITE").clone();
    let (server, proxy) = (said(&third, Asker::Server), said(&third, Asker::Proxy));
    assert!(server.contains("SHA-256") && server.contains("nc=00000001"), "{server}");
    assert!(proxy.contains("nc=00000002"), "{proxy}");
    assert_eq!(
        stage.reply("INVITE", 200, "b", &[CONTACT]),
        ["ACK 3 > udp:192.0.2.3:5060", "Established 200"]
    );
    let ack = stage.last("ACK");
    assert_eq!((said(ack, Asker::Server), said(ack, Asker::Proxy)), (server, proxy));
    assert_eq!(ack.cseq().unwrap().number, 3);
}

#[test]
fn a_bye_has_credentials_from_the_start_and_answers_a_stale_nonce() {
    let mut stage = armed(Udp);
    stage.reply("INVITE", 407, "p", &[PROXY]);
    stage.reply("INVITE", 200, "b", &[CONTACT]);
    stage.leg.bye(stage.now, Some(Reason::sip(200, "Call completed")));
    assert_eq!(stage.drain(), ["BYE 3 > udp:192.0.2.3:5060"]);
    assert!(said(stage.last("BYE"), Asker::Proxy).contains("nc=00000002"));
    let stale =
        [("Proxy-Authenticate", r#"Digest realm="p.example", nonce="p2", qop="auth", stale=true"#)];
    assert_eq!(stage.reply("BYE", 407, "p", &stale), ["BYE 4 > udp:192.0.2.3:5060"]);
    let bye = stage.last("BYE");
    assert!(said(bye, Asker::Proxy).contains(r#"nonce="p2""#));
    assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=200;text=\"Call completed\""));
    assert_eq!(stage.reply("BYE", 200, "b", &[]), ["ByeDone"]);
    stage.assert_fades();
}

#[test]
fn a_callee_answers_the_challenge_to_his_bye() {
    let peer = Hop::new(Udp, "192.0.2.2", 5060);
    let start = Instant::now();
    let leg = Leg::answering(start, invitation(Udp, &[]), peer.clone(), armed_kit(Udp));
    let mut stage = Stage { leg, start, now: start, sent: Vec::new(), peer };
    stage.leg.accept(start, body("answer"));
    stage.drain();
    stage.ask("ACK", 1, &[]);
    stage.leg.bye(start, None);
    assert_eq!(stage.drain(), ["BYE 1 > udp:p2.example:5060"]);
    assert_eq!(stage.reply("BYE", 401, "a", &[SERVER]), ["BYE 2 > udp:p2.example:5060"]);
    assert_eq!(stage.reply("BYE", 401, "a", &[SERVER]), ["ByeDone"]);
    stage.assert_fades();
}

#[test]
fn rejected_credentials_end_the_call() {
    let mut stage = armed(Udp);
    stage.reply("INVITE", 401, "b", &[SERVER]);
    let again = [("WWW-Authenticate", r#"Digest realm="b.example", nonce="s2", qop="auth""#)];
    let lines = stage.reply("INVITE", 401, "b", &again);
    assert_eq!(lines, ["ACK 2 > udp:192.0.2.2:5060", "Refused 401"]);
    stage.assert_fades();
}

#[test]
fn a_stale_nonce_is_replaced_but_not_for_ever() {
    let mut stage = armed(Udp);
    for nonce in 0..4 {
        let line = format!(r#"Digest realm="b.example", nonce="{nonce}", stale=TRUE"#);
        let lines = stage.reply("INVITE", 401, "b", &[("WWW-Authenticate", &line)]);
        assert_eq!(lines[1], format!("INVITE {} > udp:192.0.2.2:5060", nonce + 2));
    }
    let last = [("WWW-Authenticate", r#"Digest realm="b.example", nonce="x", stale=true"#)];
    assert_eq!(stage.reply("INVITE", 401, "b", &last)[1], "Refused 401");
    stage.assert_fades();
}

#[test]
fn a_foreign_realm_and_a_stranger_get_nothing() {
    let foreign = [("WWW-Authenticate", r#"Digest realm="evil.example", nonce="1""#)];
    let mut stage = armed(Udp);
    assert_eq!(stage.reply("INVITE", 401, "b", &foreign)[1], "Refused 401");
    let mut stage = Stage::calling(Udp);
    assert_eq!(stage.reply("INVITE", 401, "b", &[SERVER])[1], "Refused 401");
    let mut stage = armed(Udp);
    assert_eq!(stage.reply("INVITE", 403, "b", &[SERVER])[1], "Refused 403");
}

#[test]
fn the_end_of_the_challenged_transaction_is_not_that_of_the_call() {
    let mut stage = armed(Udp);
    stage.reply("INVITE", 407, "p", &[PROXY]);
    stage.reply("INVITE", 180, "b", &[]);
    assert_eq!(stage.wait(Duration::from_secs(60)), [""; 0]);
    assert_eq!(
        stage.reply("INVITE", 200, "b", &[CONTACT]),
        ["ACK 2 > udp:192.0.2.3:5060", "Established 200"]
    );
}

#[test]
fn a_call_taken_back_is_not_placed_again_and_its_cancel_has_the_right_number() {
    let mut stage = armed(Udp);
    stage.leg.cancel(stage.now, None);
    assert_eq!(stage.reply("INVITE", 407, "p", &[PROXY])[1], "Refused 407");
    let mut stage = armed(Udp);
    stage.reply("INVITE", 407, "p", &[PROXY]);
    stage.leg.cancel(stage.now, None);
    assert_eq!(stage.reply("INVITE", 100, "", &[]), ["CANCEL 2 > udp:192.0.2.2:5060"]);
    let (cancel, invite) = (stage.last("CANCEL").clone(), stage.last("INVITE"));
    assert_eq!(cancel.headers.get("Via"), invite.headers.get("Via"));
    stage.reply("CANCEL", 200, "b", &[]);
    assert_eq!(stage.reply("INVITE", 487, "b", &[])[1], "Cancelled");
    stage.assert_fades();
}

/// Both ask for another INVITE, and neither undoes what the other has asked for.
#[test]
fn a_422_and_a_challenge_share_one_way_of_calling_again() {
    let mut stage = armed(Udp);
    stage.reply("INVITE", 407, "p", &[PROXY]);
    let lines = stage.reply("INVITE", 422, "b", &[("Min-SE", "1800")]);
    assert_eq!(lines[1..], ["INVITE 3 > udp:192.0.2.2:5060"]);
    assert!(said(stage.last("INVITE"), Asker::Proxy).contains("nc=00000002"));
    // What got through once may be asked for anew.
    let anew = [("Proxy-Authenticate", r#"Digest realm="p.example", nonce="p2", qop="auth""#)];
    let lines = stage.reply("INVITE", 407, "p", &anew);
    assert_eq!(lines[1..], ["INVITE 4 > udp:192.0.2.2:5060"]);
    let invite = stage.last("INVITE").clone();
    assert_eq!(invite.headers.get("Min-SE"), Some("1800"));
    assert_eq!(invite.body, "offer");
    stage.leg.cancel(stage.now, None);
    assert_eq!(stage.reply("INVITE", 100, "", &[]), ["CANCEL 4 > udp:192.0.2.2:5060"]);
    let lines = stage.reply("INVITE", 200, "b", &[CONTACT]);
    assert_eq!(lines[0], "ACK 4 > udp:192.0.2.3:5060");
    assert_eq!(said(stage.last("ACK"), Asker::Proxy), said(&invite, Asker::Proxy));
}

#[test]
fn a_change_of_the_session_answers_its_challenge_and_its_ack_repeats_the_answer() {
    let mut stage = armed(Udp);
    stage.reply("INVITE", 200, "b", &[CONTACT]);
    stage.leg.offer(stage.now, body("other"));
    assert_eq!(stage.drain(), ["INVITE 2 > udp:192.0.2.3:5060"]);
    let lines = stage.reply("INVITE", 407, "b", &[PROXY]);
    assert_eq!(lines[1..], ["INVITE 3 > udp:192.0.2.3:5060"]);
    let invite = stage.last("INVITE").clone();
    assert_eq!(invite.body, "other");
    let lines = stage.reply("INVITE", 200, "b", &[CONTACT]);
    assert_eq!(lines, ["ACK 3 > udp:192.0.2.3:5060", "Answer"]);
    assert_eq!(said(stage.last("ACK"), Asker::Proxy), said(&invite, Asker::Proxy));
    // Whoever has asked is answered from the start from then on.
    stage.leg.offer(stage.now, body("third"));
    stage.drain();
    assert!(said(stage.last("INVITE"), Asker::Proxy).contains("nc=00000002"));
    let again = [("Proxy-Authenticate", r#"Digest realm="p.example", nonce="p1", qop="auth""#)];
    assert_eq!(stage.reply("INVITE", 407, "b", &again)[1..], ["OfferRefused 407"]);
}

#[test]
fn a_prack_has_credentials_from_the_start() {
    let mut stage = armed(Udp);
    stage.reply("INVITE", 407, "p", &[PROXY]);
    let reliable = [CONTACT, ("Require", "100rel"), ("RSeq", "1")];
    stage.reply("INVITE", 180, "b", &reliable);
    assert!(said(stage.last("PRACK"), Asker::Proxy).contains("nc=00000002"));
}

#[test]
fn a_prack_answers_its_challenge_under_the_next_number() {
    let mut stage = armed(Udp);
    stage.reply("INVITE", 407, "p", &[PROXY]);
    let reliable = [CONTACT, ("Require", "100rel"), ("RSeq", "7")];
    let lines = stage.reply("INVITE", 180, "b", &reliable);
    assert_eq!(lines, ["PRACK 3 > udp:192.0.2.3:5060", "Progress 180"]);
    // A nonce that is good for one request only: the proxy asks anew, and without stale.
    let anew = [("Proxy-Authenticate", r#"Digest realm="p.example", nonce="p2", qop="auth""#)];
    assert_eq!(stage.reply("PRACK", 407, "b", &anew), ["PRACK 4 > udp:192.0.2.3:5060"]);
    let prack = stage.last("PRACK");
    assert_eq!(prack.headers.get("RAck"), Some("7 2 INVITE"));
    assert!(said(prack, Asker::Proxy).contains(r#"nonce="p2""#));
    // The same nonce again says that the password is wrong; the 200 may come all the same.
    assert_eq!(stage.reply("PRACK", 407, "b", &anew), [""; 0]);
    let lines = stage.reply("INVITE", 200, "b", &[CONTACT]);
    assert_eq!(lines, ["ACK 2 > udp:192.0.2.3:5060", "Established 200"]);
}

#[test]
fn a_prack_of_a_re_invite_answers_its_challenge_too() {
    let mut stage = armed(Udp);
    stage.reply("INVITE", 200, "b", &[CONTACT]);
    stage.leg.offer(stage.now, body("changed"));
    assert_eq!(stage.drain(), ["INVITE 2 > udp:192.0.2.3:5060"]);
    let reliable = [CONTACT, ("Require", "100rel"), ("RSeq", "9")];
    assert_eq!(stage.reply("INVITE", 183, "b", &reliable), ["PRACK 3 > udp:192.0.2.3:5060"]);
    assert_eq!(stage.reply("PRACK", 407, "b", &[PROXY]), ["PRACK 4 > udp:192.0.2.3:5060"]);
    let prack = stage.last("PRACK");
    assert_eq!(prack.headers.get("RAck"), Some("9 2 INVITE"));
    assert!(said(prack, Asker::Proxy).contains(r#"nonce="p1""#));
}

fn armed(transport: Transport) -> Stage {
    let peer = Hop::new(transport, "192.0.2.2", 5060);
    let start = Instant::now();
    let leg = Leg::call(start, call(Some(peer.clone())), armed_kit(transport));
    let mut stage = Stage { leg, start, now: start, sent: Vec::new(), peer };
    assert_eq!(stage.drain(), [format!("INVITE 1 > {}", stage.peer)]);
    stage
}

fn armed_kit(transport: Transport) -> Kit {
    let mut kit = kit("192.0.2.1", transport, 1);
    Arc::make_mut(&mut kit.local).credentials = Some(Credentials {
        username: "alice".to_owned(),
        password: Password::Text("secret".to_owned()),
        realms: vec!["p.example".to_owned(), "b.example".to_owned()],
    });
    kit
}

fn said(request: &Request, asker: Asker) -> String {
    request.headers.get(asker.answer_header()).unwrap().to_owned()
}
