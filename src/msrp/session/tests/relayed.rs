//! Sessions behind relays (RFC 4976 section 5, RFC 6135 section 4.5).

use super::*;
use crate::digest::{Credentials, Password};

#[test]
fn the_active_side_binds_through_its_relay() {
    let mut talk = Talk::new();
    assert_eq!(talk.enroll(), ["connect relay.example.com 2855 plain"]);
    assert_eq!(talk.give(Input::Connected), ["AUTH - $"]);
    let challenge = ("WWW-Authenticate", r#"Digest realm="r", nonce="1", qop="auth""#);
    assert_eq!(talk.answer_with(0, 401, &[challenge]), ["AUTH - $"]);
    assert!(talk.last().header("Authorization").is_some());
    assert_eq!(
        talk.grant(1, "r"),
        ["path msrp://relay.example.com:9000/r;tcp msrp://192.0.2.9:2855/ours;tcp"]
    );
    talk.send("m", "hello");
    assert_eq!(talk.open(Setup::Active), ["SEND - 1-0/0 $"], "on the connection that is there");
    let way = "msrp://relay.example.com:9000/r;tcp msrp://192.0.2.1:9000/peer;tcp";
    assert_eq!(talk.last().to_path.to_string(), way);
    assert_eq!(talk.last().from_path.to_string(), "msrp://192.0.2.9:2855/ours;tcp");
    assert_eq!(talk.answer(2, 200), ["bound", "SEND m 1-5/5 $ hello"]);
    assert_eq!(talk.last().to_path.to_string(), way);
    assert_eq!(talk.answer(3, 200), ["sent m"]);
}

#[test]
fn the_passive_side_connects_to_its_relay_and_listens_behind_it() {
    let mut talk = Talk::behind_a_relay();
    assert_eq!(talk.open(Setup::Passive), [""; 0]);
    let send = text("m", "1-5/5", "hello")
        .replace("From-Path: ", "From-Path: msrp://relay.example.com:9000/r;tcp ")
        .replace("Message-ID", "Success-Report: yes\r\nMessage-ID");
    assert_eq!(
        talk.receive(&send),
        ["bound", "200 tid1", "message m text/plain hello", "REPORT m 1-5/5 000 200 $"]
    );
    let [.., answer, report] = talk.written.as_slice() else { panic!("two frames") };
    assert_eq!(answer.to_path.to_string(), "msrp://relay.example.com:9000/r;tcp");
    assert_eq!(
        report.to_path.to_string(),
        "msrp://relay.example.com:9000/r;tcp msrp://192.0.2.1:9000/peer;tcp"
    );
}

#[test]
fn the_relays_of_the_peer_are_on_the_way_too() {
    let mut talk = Talk::behind_a_relay();
    let far = path("msrp://theirs.example.org:9/d;tcp msrp://192.0.2.1:9000/peer;tcp");
    talk.session.open(talk.now, far, Setup::Active);
    assert_eq!(talk.drain(), ["SEND - 1-0/0 $"]);
    assert_eq!(
        talk.last().to_path.to_string(),
        "msrp://relay.example.com:9000/r;tcp msrp://theirs.example.org:9/d;tcp \
         msrp://192.0.2.1:9000/peer;tcp"
    );
}

#[test]
fn a_session_opened_too_early_waits_for_its_relay() {
    let mut talk = Talk::new();
    talk.enroll();
    talk.give(Input::Connected);
    assert_eq!(talk.open(Setup::Active), [""; 0]);
    let told = talk.grant(0, "r");
    assert_eq!(told.len(), 2);
    assert_eq!(told[1], "SEND - 1-0/0 $");
}

#[test]
fn another_way_is_told_and_taken_from_then_on() {
    let mut talk = Talk::behind_a_relay();
    talk.open(Setup::Active);
    talk.answer(1, 200);
    assert_eq!(talk.sleep(450), ["AUTH - $"]);
    assert_eq!(talk.grant(2, "r"), [""; 0], "the same");
    assert_eq!(talk.sleep(450), ["AUTH - $"]);
    assert_eq!(
        talk.grant(3, "other"),
        ["path msrp://relay.example.com:9000/other;tcp msrp://192.0.2.9:2855/ours;tcp"]
    );
    talk.send("m", "hello");
    assert_eq!(talk.last().to_path.first().session_id(), Some("other"));
}

#[test]
fn a_relay_that_does_not_let_us_in_ends_the_session() {
    let mut talk = Talk::new();
    talk.send("m", "hello");
    talk.enroll();
    talk.give(Input::Connected);
    let refused = ["failed m 408", "close", "broken: the relays refuse us with 403"];
    assert_eq!(talk.answer(0, 403), refused);
    let mut talk = Talk::new();
    talk.enroll();
    assert_eq!(talk.give(Input::Closed), ["close", "broken: the connection could not be made"]);
    let mut talk = Talk::new();
    talk.enroll();
    assert_eq!(talk.sleep(30), ["close", "broken: the relays refuse us with 408"]);
    let mut talk = Talk::behind_a_relay();
    talk.open(Setup::Passive);
    assert_eq!(talk.give(Input::Closed), ["close", "broken: the connection is lost"]);
    assert_eq!(talk.session.next_timeout(), None);
}

#[test]
fn relays_are_named_before_the_session_begins() {
    let mut talk = Talk::bound();
    let late = talk.session.use_relays(talk.now, relays());
    assert_eq!(late, Err(RelayError::TooLate));
    let mut talk = Talk::behind_a_relay();
    let twice = talk.session.use_relays(talk.now, relays());
    assert_eq!(twice, Err(RelayError::TooLate));
}

#[test]
fn an_anchor_is_connected_to_and_not_named() {
    let mut talk = Talk::new();
    talk.session.set_anchor("198.51.100.7", 4000);
    assert_eq!(talk.open(Setup::Active), ["connect 198.51.100.7 4000 plain"]);
    talk.give(Input::Connected);
    assert_eq!(talk.last().to_path.to_string(), "msrp://192.0.2.1:9000/peer;tcp");
    let mut talk = Talk::new();
    talk.session.set_anchor("198.51.100.7", 4000);
    assert_eq!(talk.enroll(), ["connect relay.example.com 2855 plain"], "the relay is no peer");
}

impl Talk {
    fn enroll(&mut self) -> Vec<String> {
        self.session.use_relays(self.now, relays()).unwrap();
        self.drain()
    }

    /// Lets the session through, in answer to the frame written as number `place`.
    fn grant(&mut self, place: usize, id: &str) -> Vec<String> {
        let way = format!("msrp://relay.example.com:9000/{id};tcp");
        self.answer_with(place, 200, &[("Use-Path", &way), ("Expires", "900")])
    }

    fn behind_a_relay() -> Self {
        let mut talk = Self::new();
        talk.enroll();
        talk.give(Input::Connected);
        talk.grant(0, "r");
        talk
    }
}

fn relays() -> Relays {
    Relays {
        uris: vec![Uri::parse("msrp://relay.example.com;tcp").unwrap()],
        credentials: Credentials {
            username: "alice".to_owned(),
            password: Password::Text("secret".to_owned()),
            realms: Vec::new(),
        },
        expires: None,
        allow_plain: true,
    }
}
