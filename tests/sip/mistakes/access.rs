//! Who asks for a password, and what he is told.

use std::sync::Arc;

use chatbridge::ids::Random;
use chatbridge::sip::Transport::{self, Udp};
use chatbridge::sip::{
    Asker, Credentials, DigestClient, DigestServer, DigestSettings, GiveUp, Message, Password,
    Verdict,
};

use crate::stage::{INVITE, Stage, request};
use crate::wire::{Text, message, read};

const UNAUTHORIZED: &str = "401 Unauthorized";
const PROXY: &str = "407 Proxy Authentication Required";

/// A leg that knows a password, and has called.
pub(super) fn calling_with_password(transport: Transport) -> Stage {
    Stage::calling_with(transport, |kit, _| {
        Arc::make_mut(&mut kit.local).credentials = Some(credentials())
    })
}

/// A challenge.
pub(super) fn asks(header: &str, nonce: &str) -> String {
    format!("{header}: Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth,auth-int\", algorithm=MD5")
}

#[test]
fn m23_a_challenge_is_answered_in_another_transaction_of_the_same_call() {
    for (status, ask, answer) in [
        (UNAUTHORIZED, "WWW-Authenticate", "Authorization"),
        (PROXY, "Proxy-Authenticate", "Proxy-Authorization"),
    ] {
        let mut stage = calling_with_password(Udp);
        let first = stage.last("INVITE").clone();
        let lines = stage.answer("INVITE", status, "p", &asks(ask, "n1"));
        assert_eq!(lines, ["ACK 1 > udp:192.0.2.2:5060", "INVITE 2 > udp:192.0.2.2:5060"]);
        let again = stage.last("INVITE");
        assert_ne!(again.branch(), first.branch());
        for name in ["Call-ID", "From", "To", "Contact", "Route"] {
            assert_eq!(again.all(name), first.all(name), "{name}");
        }
        assert_eq!((again.target(), again.body()), (first.target(), first.body()));
        let answer = again.get(answer);
        for part in
            ["nonce=\"n1\"", "realm=\"r\"", "qop=auth,", "nc=00000001", "uri=\"sip:bob@b.example\""]
        {
            assert!(answer.contains(part), "{part}: {answer}");
        }
    }
}

#[test]
fn m23_both_askers_are_answered_and_a_stale_nonce_is_no_refusal() {
    let mut stage = calling_with_password(Udp);
    stage.answer("INVITE", PROXY, "p", &asks("Proxy-Authenticate", "p1"));
    stage.answer("INVITE", UNAUTHORIZED, "bobs", &asks("WWW-Authenticate", "s1"));
    let third = stage.last("INVITE").clone();
    assert_eq!(third.number(), "3");
    assert!(third.get("Proxy-Authorization").contains("nonce=\"p1\""));
    assert!(third.get("Proxy-Authorization").contains("nc=00000002"));
    assert!(third.get("Authorization").contains("nonce=\"s1\""));
    let stale = format!("{}, stale=true", asks("WWW-Authenticate", "s2"));
    let lines = stage.answer("INVITE", UNAUTHORIZED, "bobs", &stale);
    assert_eq!(lines[1..], ["INVITE 4 > udp:192.0.2.2:5060"]);
    assert!(stage.last("INVITE").get("Authorization").contains("nonce=\"s2\""));
    // Asked again with nothing new: the password is wrong, and no loop begins.
    let lines = stage.answer("INVITE", UNAUTHORIZED, "bobs", &asks("WWW-Authenticate", "s3"));
    assert_eq!(lines, ["ACK 4 > udp:192.0.2.2:5060", "Refused 401"]);
    // Nor one of stale nonces.
    let mut stage = calling_with_password(Udp);
    let mut rounds = 0;
    for number in 0..20 {
        let stale = format!("{}, stale=true", asks("WWW-Authenticate", &format!("n{number}")));
        if stage.answer("INVITE", UNAUTHORIZED, "bobs", &stale).contains(&"Refused 401".to_owned())
        {
            break;
        }
        rounds += 1;
    }
    assert!((2..=4).contains(&rounds), "{rounds}");
}

#[test]
fn m23_of_several_challenges_the_strongest_of_each_realm_is_answered() {
    // A forking proxy brings those of two servers in one response (RFC 3261 section 22.3).
    let several = "WWW-Authenticate: Digest realm=\"r\", nonce=\"a\", qop=\"auth\", algorithm=MD5\n\
        WWW-Authenticate: Digest realm=\"r\", nonce=\"b\", qop=\"auth\", algorithm=SHA-256\n\
        WWW-Authenticate: Digest realm=\"other\", nonce=\"c\", algorithm=FUTURE-1\n\
        WWW-Authenticate: Basic realm=\"r\"\n\
        Proxy-Authenticate: Digest realm=\"r\" , nonce=\"d\" , qop=\"auth\"";
    let mut stage = calling_with_password(Udp);
    let lines = stage.answer("INVITE", UNAUTHORIZED, "p", several);
    assert_eq!(lines[1..], ["INVITE 2 > udp:192.0.2.2:5060"]);
    let again = stage.last("INVITE");
    assert_eq!((again.all("Authorization").len(), again.all("Proxy-Authorization").len()), (1, 1));
    assert!(again.get("Authorization").contains("nonce=\"b\""));
    assert!(again.get("Authorization").contains("algorithm=SHA-256"));
    assert!(again.get("Proxy-Authorization").contains("nonce=\"d\""));
    assert!(!again.get("Proxy-Authorization").contains("algorithm"));
    // Who has no password, and who is asked in a way that he does not know, does not guess.
    let mut stage = Stage::calling(Udp);
    let lines = stage.answer("INVITE", UNAUTHORIZED, "p", several);
    assert_eq!(lines[1..], ["Refused 401"]);
}

#[test]
fn m23_the_count_is_hexadecimal() {
    let mut client = DigestClient::new(credentials());
    let head = "SIP/2.0 401 Unauthorized\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\n\
                From: <sip:a@a>;tag=1\nTo: <sip:b@b>;tag=2\nCall-ID: 1\nCSeq: 1 OPTIONS\n";
    let Message::Response(challenge) = read(message(head, &asks("WWW-Authenticate", "n"))) else {
        panic!("no response")
    };
    client.learn(&mut Random::seeded(1), &challenge).unwrap();
    let mut counts = Vec::new();
    for _ in 0..17 {
        let mut options = request(&INVITE.replace("INVITE", "OPTIONS"), "");
        client.authorize(&mut options);
        let text = Text::of(&options.encode());
        let answer = text.get("Authorization").to_owned();
        counts.push(answer.split("nc=").nth(1).unwrap()[..8].to_owned());
    }
    let ends = (counts[8].as_str(), counts[9].as_str(), counts[16].as_str());
    assert_eq!(ends, ("00000009", "0000000a", "00000011"));
    assert_eq!(client.learn(&mut Random::seeded(1), &challenge), Err(GiveUp::Rejected));
}

#[test]
fn m23_as_a_server_the_answer_is_believed_once_and_staleness_is_told() {
    let now = std::time::Instant::now();
    let mut server = DigestServer::new(now, DigestSettings::new("r"), Random::seeded(1));
    let mut client = DigestClient::new(credentials());
    let plain = request(&INVITE.replace("INVITE", "OPTIONS"), "");
    let judge = |server: &mut DigestServer, now, request: &_| {
        server.verify(now, request, Asker::Server, |name, _| {
            (name == "alice").then(|| Password::Text("secret".to_owned()))
        })
    };
    assert_eq!(judge(&mut server, now, &plain), Verdict::Missing);
    let mut answer =
        chatbridge::sip::response_to(&plain, chatbridge::sip::Status::UNAUTHORIZED, Some("t"));
    server.challenge(now, &mut answer, Asker::Server, false);
    let Message::Response(answer) = read(answer.encode()) else { panic!("no response") };
    client.learn(&mut Random::seeded(2), &answer).unwrap();
    let mut authorized = plain.clone();
    client.authorize(&mut authorized);
    let Message::Request(authorized) = read(authorized.encode()) else { panic!("no request") };
    assert_eq!(judge(&mut server, now, &authorized), Verdict::Granted { username: "alice".into() });
    assert_eq!(judge(&mut server, now, &authorized), Verdict::Stale, "a count is good for once");
    let late = now + std::time::Duration::from_secs(301);
    let mut again = plain.clone();
    client.authorize(&mut again);
    assert_eq!(judge(&mut server, late, &again), Verdict::Stale);
    let mut forged = plain;
    forged.headers.push(
        "Authorization",
        &authorized.headers.get("Authorization").unwrap().replace("response=\"", "response=\"0"),
    );
    assert_eq!(judge(&mut server, now, &forged), Verdict::Denied);
}

fn credentials() -> Credentials {
    Credentials {
        username: "alice".to_owned(),
        password: Password::Text("secret".to_owned()),
        realms: vec!["r".to_owned()],
    }
}
