//! Conversations whose MSRP goes through a relay (RFC 4976 section 5.1).

use bytes::BytesMut;

use super::*;
use crate::bridge::MsrpRelay;
use crate::chat::Party;
use crate::digest::{Credentials, Password};
use crate::msrp::{self, Frame, Limits, Parser, Relays};

#[test]
fn no_invite_leaves_before_the_relay_has_let_the_session_in() {
    let mut stage = Stage::inviting();
    assert_eq!(stage.told(), ["connect relay.example.com:2855 plain"]);
    assert_eq!(stage.give(Input::Msrp(msrp::Input::Connected)), ["AUTH"]);
    assert_eq!(stage.answer("401 Unauthorized", CHALLENGE), ["AUTH"]);
    assert!(stage.written.contains("Authorization: Digest username=\"bridge\""));
    assert_eq!(stage.answer("200 OK", GRANT), ["INVITE"]);
    let offer = stage.description();
    let own = stage.own();
    assert!(
        offer.contains(&format!("a=path:msrp://r.example.com:9000/one;tcp {own}\r\n")),
        "{offer}"
    );
    assert!(offer.contains("c=IN IP4 r.example.com\r\n"), "{offer}");
    assert!(offer.contains("m=message 9000 TCP/MSRP *\r\n"), "{offer}");
    assert!(offer.contains("a=setup:actpass\r\n"), "{offer}");
}

#[test]
fn what_the_peer_says_and_hears_goes_through_the_relay() {
    let mut stage = Stage::inviting();
    stage.let_in();
    let told = stage.accepted();
    assert_eq!(told[..], ["ACK", "event Accepted: SIP 200 OK", "SEND"]);
    let way = "To-Path: msrp://r.example.com:9000/one;tcp msrp://192.0.2.9:2855/abc;tcp\r\n";
    assert!(stage.written.contains(way), "{}", stage.written);
    assert!(stage.written.contains(&format!("From-Path: {}\r\n", stage.own())));
}

#[test]
fn a_relay_that_refuses_or_is_silent_ends_the_session_without_a_word_of_sip() {
    let mut stage = Stage::inviting();
    stage.told();
    stage.give(Input::Msrp(msrp::Input::Connected));
    let refused = ["close", "event SessionEnded: MSRP relay failed; MSRP 403"];
    assert_eq!(stage.answer("403 Forbidden", ""), refused);
    for silence in [None, Some(Input::Msrp(msrp::Input::Connected))] {
        let mut stage = Stage::inviting();
        stage.told();
        silence.map(|input| stage.give(input));
        stage.now += Duration::from_secs(9);
        assert_eq!(stage.give(Input::Timeout), [""; 0], "its time is not over");
        stage.now += Duration::from_secs(1);
        let silent = ["close", "event SessionEnded: MSRP relay failed; MSRP 408"];
        assert_eq!(stage.give(Input::Timeout), silent);
        stage.now += Duration::from_secs(3600);
        assert_eq!(stage.give(Input::Timeout), [""; 0]);
        assert!(stage.conversation.is_finished());
    }
    let mut stage = Stage::inviting();
    stage.told();
    let gone = ["close", "event SessionEnded: MSRP relay failed; MSRP 408"];
    assert_eq!(stage.give(Input::Msrp(msrp::Input::Closed)), gone);
}

#[test]
fn an_invitation_withdrawn_before_it_has_left_is_cancelled() {
    let mut stage = Stage::inviting();
    stage.told();
    let told = stage.give(Input::Command(Command::End));
    assert_eq!(told, ["close", "event SessionCancelled: SIP CANCEL"]);
    let mut stage = Stage::inviting();
    stage.told();
    let told = stage.give(Input::Stop);
    assert_eq!(told, ["close", "event SessionEnded: bridge shutting down"]);
    assert!(stage.conversation.is_finished(), "nobody is left to say goodbye to");
}

#[test]
fn an_invitation_whose_relay_goes_away_is_cancelled_on_the_wire() {
    let mut stage = Stage::inviting();
    stage.let_in();
    stage.reply("180 Ringing", "");
    let told = stage.give(Input::Msrp(msrp::Input::Closed));
    assert_eq!(told, ["close", "event SessionEnded: MSRP relay failed; MSRP 408", "CANCEL"]);
}

#[test]
fn no_invitation_is_answered_before_the_relay_has_let_the_session_in() {
    let mut stage = Stage::invited(&offer());
    assert_eq!(stage.told(), ["100 INVITE", "event invited", "180 INVITE"]);
    let told = stage.give(Input::Command(Command::Accept));
    assert_eq!(told, ["connect relay.example.com:2855 plain"]);
    assert_eq!(stage.give(Input::Msrp(msrp::Input::Connected)), ["AUTH"]);
    assert_eq!(stage.answer("200 OK", GRANT), ["200 INVITE"]);
    let (answer, own) = (stage.description(), stage.own());
    assert!(answer.contains(&format!("a=path:msrp://r.example.com:9000/one;tcp {own}\r\n")));
    assert!(answer.contains("a=setup:passive\r\n"), "the relay is connected to: {answer}");
}

#[test]
fn where_only_we_can_be_active_the_answer_comes_before_the_first_frame() {
    let mut stage = Stage::invited(ANSWER);
    stage.told();
    stage.give(Input::Command(Command::Accept));
    stage.give(Input::Msrp(msrp::Input::Connected));
    assert_eq!(stage.answer("200 OK", GRANT), ["200 INVITE", "SEND"]);
    assert!(stage.description().contains("a=setup:active\r\n"));
}

#[test]
fn an_invitation_that_the_relay_keeps_from_being_answered_is_refused() {
    let mut stage = Stage::accepting();
    stage.give(Input::Msrp(msrp::Input::Connected));
    let told = stage.answer("403 Forbidden", "");
    assert_eq!(told, ["close", "event SessionEnded: MSRP relay failed; MSRP 403", "500 INVITE"]);
    let mut stage = Stage::accepting();
    stage.now += Duration::from_secs(10);
    let told = stage.give(Input::Timeout);
    assert_eq!(told, ["close", "event SessionEnded: MSRP relay failed; MSRP 408", "500 INVITE"]);
}

#[test]
fn who_leaves_before_the_relay_has_let_the_session_in_has_declined() {
    let mut stage = Stage::accepting();
    let told = stage.give(Input::Command(Command::End));
    assert_eq!(told, ["close", "event SessionEnded: declined by the user", "603 INVITE"]);
    let mut stage = Stage::accepting();
    let told = stage.give(Input::Stop);
    assert_eq!(told, ["close", "event SessionEnded: bridge shutting down", "503 INVITE"]);
    assert!(stage.conversation.is_finished());
}

#[test]
fn an_offer_over_what_the_relay_does_not_speak_is_refused() {
    let secure = offer().replace("TCP/MSRP", "TCP/TLS/MSRP").replace("msrp://", "msrps://");
    let mut stage = Stage::invited(&secure);
    assert_eq!(stage.told(), ["100 INVITE", "close", "488 INVITE"]);
}

#[test]
fn a_peer_that_speaks_before_its_answer_is_heard_after_it() {
    let mut stage = Stage::inviting();
    stage.let_in();
    assert_eq!(stage.hears_early(), [""; 0]);
    let told = stage.accepted();
    assert!(told.contains(&"message hi".to_owned()), "{told:?}");
}

#[test]
fn a_peer_that_says_too_much_before_its_answer_is_not_waited_for() {
    let mut stage = Stage::inviting();
    stage.let_in();
    for _ in 0..16 {
        assert_eq!(stage.hears_early(), [""; 0]);
    }
    let told = stage.hears_early();
    assert!(
        told.contains(&"event SessionEnded: MSRP relay failed; MSRP 408".to_owned()),
        "{told:?}"
    );
}

#[test]
fn another_way_is_offered_to_the_peer() {
    let mut stage = Stage::inviting();
    stage.let_in();
    stage.accepted();
    stage.answer("200 OK", "");
    stage.now += Duration::from_secs(300);
    assert!(stage.give(Input::Timeout).contains(&"AUTH".to_owned()));
    assert_eq!(stage.answer("200 OK", GRANT), [""; 0], "the same way");
    stage.now += Duration::from_secs(300);
    assert!(stage.give(Input::Timeout).contains(&"AUTH".to_owned()));
    let other = GRANT.replace("/one", "/two");
    assert_eq!(stage.answer("200 OK", &other), ["INVITE"]);
    assert!(stage.description().contains("a=path:msrp://r.example.com:9000/two;tcp "));
}

#[test]
fn a_relay_that_does_not_renew_its_word_ends_the_session() {
    let mut stage = Stage::inviting();
    stage.let_in();
    stage.accepted();
    stage.answer("200 OK", "");
    let mut told = Vec::new();
    for _ in 0..200 {
        stage.now += Duration::from_secs(5);
        told = stage.give(Input::Timeout);
        if told.contains(&"AUTH".to_owned()) {
            told = stage.answer("403 Forbidden", "");
        }
        if stage.conversation.is_over() {
            break;
        }
    }
    assert_eq!(told, ["close", "event SessionEnded: MSRP relay failed; MSRP 403", "BYE"]);
}

struct Stage {
    conversation: Conversation,
    now: Instant,
    /// The SIP message sent last.
    sip: Option<Message>,
    /// The MSRP frame written last.
    written: String,
}

impl Stage {
    /// Our user invites.
    fn inviting() -> Self {
        let (now, party) = (Instant::now(), |number: &str| Party {
            address: Address::parse(number).unwrap(),
            name: None,
        });
        let invitation = Invitation {
            session: SessionId::new("s1"),
            user: Address::parse("tel:+19585550100").unwrap(),
            subject: String::new(),
            originator: party("tel:+19585550100"),
            terminating: party("tel:+19585550101"),
            client_correlator: None,
        };
        let conversation = Conversation::originate(now, kit(now), invitation).unwrap();
        Self { conversation, now, sip: None, written: String::new() }
    }

    /// Our user is invited.
    fn invited(offer: &str) -> Self {
        let now = Instant::now();
        let head = "INVITE sip:+19585550101@example.com SIP/2.0\n\
                    Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKinv\nMax-Forwards: 70\n\
                    From: <sip:+19585550100@example.com>;tag=a\n\
                    To: <sip:+19585550101@example.com>\nCall-ID: one\nCSeq: 1 INVITE\n\
                    Contact: <sip:a@192.0.2.9>\nContent-Type: application/sdp\n\n";
        let text = format!("{head}{offer}").replace('\n', "\r\n");
        let Message::Request(invite) = read(text.into()) else { panic!() };
        let source = Hop::new(Transport::Udp, "192.0.2.9", 5060);
        let session = SessionId::new("s1");
        let arrival = Arrival { session, invite, source, trusted: true, extends: None };
        let conversation = Conversation::incoming(now, kit(now), arrival, &|_| true);
        Self { conversation, now, sip: None, written: String::new() }
    }

    /// Our user has accepted, and the relay is still to be reached.
    fn accepting() -> Self {
        let mut stage = Self::invited(&offer());
        stage.told();
        stage.give(Input::Command(Command::Accept));
        stage
    }

    fn let_in(&mut self) {
        self.told();
        self.give(Input::Msrp(msrp::Input::Connected));
        assert_eq!(self.answer("200 OK", GRANT), ["INVITE"]);
    }

    /// The peer accepts.
    fn accepted(&mut self) -> Vec<String> {
        self.reply("200 OK", ANSWER)
    }

    /// Gives a response to the INVITE that was sent last.
    fn reply(&mut self, status: &str, body: &str) -> Vec<String> {
        let Some(Message::Request(invite)) = &self.sip else { panic!("no request was sent last") };
        let of = |name: &str| invite.headers.get(name).unwrap();
        let text = format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=b\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:b@192.0.2.9>\r\nContent-Type: application/sdp\r\n\r\n{}",
            of("Via"),
            of("From"),
            of("To"),
            of("Call-ID"),
            of("CSeq"),
            body.replace('\n', "\r\n")
        );
        let source = Hop::new(Transport::Udp, "192.0.2.9", 5060);
        self.give(Input::Sip { message: read(text.into()), source })
    }

    /// Gives an answer to the frame that was written last.
    fn answer(&mut self, status: &str, fields: &str) -> Vec<String> {
        let tid = self.written.split(' ').nth(1).unwrap().to_owned();
        let (own, fields) = (self.own(), fields.replace('\n', "\r\n"));
        let text = format!(
            "MSRP {tid} {status}\r\nTo-Path: {own}\r\nFrom-Path: msrp://relay.example.com;tcp\r\n\
             {fields}-------{tid}$\r\n"
        );
        self.give(Input::Msrp(msrp::Input::Frame(frame(&text))))
    }

    /// Gives a message of the peer.
    fn hears_early(&mut self) -> Vec<String> {
        let text = format!(
            "MSRP early SEND\r\nTo-Path: {}\r\nFrom-Path: msrp://r.example.com:9000/one;tcp \
             msrp://192.0.2.9:2855/abc;tcp\r\nMessage-ID: e\r\nByte-Range: 1-2/2\r\n\
             Content-Type: text/plain\r\n\r\nhi\r\n-------early$\r\n",
            self.own()
        );
        self.give(Input::Msrp(msrp::Input::Frame(frame(&text))))
    }

    fn give(&mut self, input: Input) -> Vec<String> {
        self.conversation.handle(self.now, input);
        self.told()
    }

    fn own(&self) -> String {
        self.conversation.line.msrp.local().to_string()
    }

    fn description(&self) -> String {
        let body = match self.sip.as_ref().unwrap() {
            Message::Request(request) => &request.body,
            Message::Response(response) => &response.body,
        };
        String::from_utf8_lossy(body).into_owned()
    }

    /// Tells what the conversation wants, a line each.
    fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(output) = self.conversation.poll() {
            match output {
                Output::Sip { bytes, .. } => {
                    let message = read(bytes);
                    told.push(line(&message));
                    self.sip = Some(message);
                }
                Output::MsrpConnect { host, port, secure, fingerprints } => {
                    assert_eq!(fingerprints, []);
                    let how = if secure { "secure" } else { "plain" };
                    told.push(format!("connect {host}:{port} {how}"));
                }
                Output::MsrpWrite(bytes) => {
                    self.written = String::from_utf8_lossy(&bytes).into_owned();
                    let what = self.written.lines().next().unwrap();
                    told.push(what.splitn(3, ' ').last().unwrap().to_owned());
                }
                Output::MsrpClose => told.push("close".to_owned()),
                Output::Notice(notice) => told.push(match notice.kind {
                    NoticeKind::Event { event, description, .. } => {
                        format!("event {}: {}", event.as_str(), description.unwrap_or_default())
                    }
                    NoticeKind::Invited { .. } => "event invited".to_owned(),
                    NoticeKind::Message { text, .. } => format!("message {text}"),
                    other @ (NoticeKind::Composing { .. }
                    | NoticeKind::Delivery { .. }
                    | NoticeKind::GroupInvited { .. }
                    | NoticeKind::ParticipantStatus { .. }) => {
                        format!("{other:?}")
                    }
                }),
                Output::Route(_)
                | Output::Unroute(_)
                | Output::EndCaller(_)
                | Output::ForgetCaller(_)
                | Output::Names(_)
                | Output::Spare { .. }
                | Output::Remark(_)
                | Output::Answer(_)
                | Output::LateAnswer(..)
                | Output::MsrpRoute(_)
                | Output::NextMsrp(_)
                | Output::Extension { .. } => {}
            }
        }
        told
    }
}

fn kit(now: Instant) -> ConversationKit {
    let password = Password::Text("secret".to_owned());
    let credentials = Credentials { username: "bridge".to_owned(), password, realms: Vec::new() };
    let relays = Relays {
        uris: vec![msrp::Uri::parse("msrp://relay.example.com;tcp").unwrap()],
        credentials,
        expires: None,
        allow_plain: true,
    };
    let timeout = Duration::from_secs(10);
    let settings = Settings { msrp_relay: Some(MsrpRelay { relays, timeout }), ..sample() };
    ConversationKit {
        settings: Arc::new(settings),
        access: Arc::default(),
        anchor: Anchor::new(now, OffsetDateTime::UNIX_EPOCH),
        random: Random::seeded(1),
        next_hops: vec![Hop::new(Transport::Udp, "192.0.2.9", 5060)],
    }
}

fn offer() -> String {
    ANSWER.replace("a=setup:passive", "a=setup:actpass")
}

fn frame(text: &str) -> Frame {
    let mut buffer = BytesMut::from(text);
    Parser::new(Limits::default()).next(&mut buffer).unwrap().unwrap()
}

const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\", qop=\"auth\"\n";
const GRANT: &str = "Use-Path: msrp://r.example.com:9000/one;tcp\nExpires: 600\n";
