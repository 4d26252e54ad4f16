//! Conversations whose caller leaves the offer to us (RFC 3261 section 13.2.1).
#![allow(clippy::unwrap_used)]

mod relayed;

use std::time::Duration;

use time::OffsetDateTime;

use super::super::settings::sample;
use super::*;
use crate::sip::{Decoded, Hop, Message, Transport, WireLimits, decode_datagram};

#[test]
fn the_stream_opens_when_the_ack_has_brought_the_answer() {
    let mut stage = Stage::accepted();
    let (from, to) = (stage.sent("200 INVITE").from().unwrap(), stage.sent("200 INVITE").to());
    let offer = String::from_utf8_lossy(stage.body("200 INVITE")).into_owned();
    assert!(offer.contains("a=setup:actpass"), "{offer}");
    let ack = format!(
        "ACK sip:x@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKack\n\
         From: {from}\nTo: {}\nCall-ID: one\nCSeq: 1 ACK\nContent-Type: application/sdp\n\n",
        to.unwrap()
    );
    let opened = stage.give(&ack, ANSWER);
    assert_eq!(opened, [connect("192.0.2.9")]);
}

#[test]
fn a_middlebox_is_connected_to_where_the_answer_names_one() {
    let anchored = ANSWER.replace("c=IN IP4 192.0.2.9", "c=IN IP4 198.51.100.7");
    for (answer, host) in
        [(anchored.clone(), "192.0.2.9"), (format!("{anchored}a=msrp-cema\n"), "198.51.100.7")]
    {
        let mut stage = Stage::accepted();
        let offer = String::from_utf8_lossy(stage.body("200 INVITE")).into_owned();
        assert!(offer.ends_with("a=msrp-cema\r\n"), "{offer}");
        let (from, to) = (stage.sent("200 INVITE").from().unwrap(), stage.sent("200 INVITE").to());
        let ack = format!(
            "ACK sip:x@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKack\n\
             From: {from}\nTo: {}\nCall-ID: one\nCSeq: 1 ACK\nContent-Type: application/sdp\n\n",
            to.unwrap()
        );
        let opened = stage.give(&ack, &answer);
        assert_eq!(opened, [connect(host)]);
    }
}

#[test]
fn without_an_answer_in_the_ack_the_session_ends() {
    let mut stage = Stage::accepted();
    let (from, to) = (stage.sent("200 INVITE").from().unwrap(), stage.sent("200 INVITE").to());
    let ack = format!(
        "ACK sip:x@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKack\n\
         From: {from}\nTo: {}\nCall-ID: one\nCSeq: 1 ACK\n\n",
        to.unwrap()
    );
    let outputs = stage.give(&ack, "");
    assert!(!outputs.iter().any(|output| matches!(output, Output::MsrpConnect { .. })));
    assert!(outputs.iter().any(|output| matches!(output, Output::Notice(_))), "{outputs:?}");
    assert!(stage.sent.iter().any(|message| line(message).starts_with("BYE")));
}

/// The user has left, and the INVITE that begins the session anew was on its way.
#[test]
fn what_has_ended_is_not_begun_anew() {
    let mut stage = Stage::accepted();
    stage.conversation.handle(stage.now, Input::Command(Command::End));
    stage.drain();
    stage.sent.clear();
    stage.begin_anew();
    assert_eq!(stage.lines(), ["100 INVITE", "480 INVITE"]);
}

/// The offer is ours to make, as it was before.
#[test]
fn a_session_is_begun_anew_without_an_offer() {
    let mut stage = Stage::accepted();
    stage.sent.clear();
    let outputs = stage.begin_anew();
    assert_eq!(stage.lines(), ["100 INVITE", "200 INVITE"], "BYE waits for the ACK");
    assert!(matches!(outputs[..], [Output::MsrpClose, Output::MsrpRoute(_)]), "{outputs:?}");
    let offer = String::from_utf8_lossy(stage.body("200 INVITE")).into_owned();
    let own = stage.conversation.msrp_session_id();
    assert!(offer.contains(own) && offer.contains("a=setup:actpass"), "{offer}");
}

/// `FreeSWITCH` takes no session-id of less than the 36 characters of a UUID, and takes `%` for a
/// format (quirk 5).
#[test]
fn the_session_id_of_an_offer_is_as_long_as_peers_want_it() {
    let stage = Stage::accepted();
    let offer = String::from_utf8_lossy(stage.body("200 INVITE")).into_owned();
    let path = offer.lines().find_map(|line| line.strip_prefix("a=path:")).unwrap();
    let session_id = msrp::Uri::parse(path).unwrap().session_id().unwrap().to_owned();
    assert!(session_id.len() >= 36 && !path.contains('%'), "{path}");
}

fn connect(host: &str) -> Output {
    let (host, port) = (host.to_owned(), 2855);
    Output::MsrpConnect { host, port, secure: false, fingerprints: Vec::new() }
}

struct Stage {
    conversation: Conversation,
    now: Instant,
    sent: Vec<Message>,
}

impl Stage {
    /// A conversation that its user has accepted, though the INVITE offered nothing.
    fn accepted() -> Self {
        let now = Instant::now();
        let kit = ConversationKit {
            settings: Arc::new(sample()),
            access: Arc::default(),
            anchor: Anchor::new(now, OffsetDateTime::UNIX_EPOCH),
            random: Random::seeded(1),
            next_hops: Vec::new(),
        };
        let Message::Request(invite) = read(INVITE.replace('\n', "\r\n").into()) else { panic!() };
        let arrival = Arrival {
            session: SessionId::new("s1"),
            invite,
            source: Hop::new(Transport::Udp, "192.0.2.9", 5060),
            trusted: true,
            extends: None,
        };
        let conversation = Conversation::incoming(now, kit, arrival, &|_| true);
        let mut stage = Self { conversation, now, sent: Vec::new() };
        stage.drain();
        assert_eq!(stage.lines(), ["100 INVITE", "180 INVITE"]);
        stage.conversation.handle(now, Input::Command(Command::Accept));
        let outputs = stage.drain();
        assert!(!outputs.iter().any(|output| matches!(output, Output::MsrpConnect { .. })));
        assert_eq!(stage.lines(), ["100 INVITE", "180 INVITE", "200 INVITE"]);
        stage
    }

    /// The other side begins the session anew, and leaves the offer to us.
    fn begin_anew(&mut self) -> Vec<Output> {
        let invite = INVITE.replace("Call-ID: one", "Call-ID: two").replace("bKinv", "bKtwo");
        let Message::Request(invite) = read(invite.replace('\n', "\r\n").into()) else { panic!() };
        let source = Hop::new(Transport::Udp, "192.0.2.9", 5060);
        let session = SessionId::new("s1");
        let arrival = Arrival { session, invite, source, trusted: true, extends: None };
        self.conversation.handle(self.now, Input::Renewal(Box::new(arrival)));
        self.drain()
    }

    /// Gives a message of the caller; all but SIP and routes is given back.
    fn give(&mut self, head: &str, body: &str) -> Vec<Output> {
        let body = body.replace('\n', "\r\n");
        let text = head.replace('\n', "\r\n") + &body;
        let source = Hop::new(Transport::Udp, "192.0.2.9", 5060);
        let message = read(text.into());
        self.conversation.handle(self.now, Input::Sip { message, source });
        self.drain()
    }

    fn drain(&mut self) -> Vec<Output> {
        let mut others = Vec::new();
        while let Some(output) = self.conversation.poll() {
            match output {
                Output::Sip { bytes, .. } => self.sent.push(read(bytes)),
                Output::Route(_)
                | Output::Unroute(_)
                | Output::EndCaller(_)
                | Output::ForgetCaller(_)
                | Output::Names(_) => {}
                other @ (Output::Spare { .. }
                | Output::MsrpConnect { .. }
                | Output::MsrpWrite(_)
                | Output::MsrpClose
                | Output::Notice(_)
                | Output::Remark(_)
                | Output::Answer(_)
                | Output::LateAnswer(..)
                | Output::MsrpRoute(_)
                | Output::NextMsrp(_)
                | Output::Extension { .. }) => others.push(other),
            }
        }
        others
    }

    fn lines(&self) -> Vec<String> {
        self.sent.iter().map(line).collect()
    }

    fn sent(&self, wanted: &str) -> &Message {
        self.sent.iter().find(|message| line(message) == wanted).unwrap()
    }

    fn body(&self, wanted: &str) -> &[u8] {
        match self.sent(wanted) {
            Message::Request(request) => &request.body,
            Message::Response(response) => &response.body,
        }
    }
}

fn line(message: &Message) -> String {
    let method = message.cseq().unwrap().method;
    match message {
        Message::Request(_) => method.to_string(),
        Message::Response(response) => format!("{} {method}", response.status.code()),
    }
}

fn read(bytes: Bytes) -> Message {
    let decoded = decode_datagram(bytes, &WireLimits::default());
    let Decoded::Message(message) = decoded else { panic!("{decoded:?}") };
    message
}

const INVITE: &str = "INVITE sip:+19585550101@example.com SIP/2.0\n\
                      Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKinv\nMax-Forwards: 70\n\
                      From: <sip:+19585550100@example.com>;tag=a\n\
                      To: <sip:+19585550101@example.com>\nCall-ID: one\nCSeq: 1 INVITE\n\
                      Contact: <sip:a@192.0.2.9>\n\n";

const ANSWER: &str = "v=0\no=- 1 1 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\n\
                      m=message 2855 TCP/MSRP *\na=accept-types:message/cpim text/plain\n\
                      a=path:msrp://192.0.2.9:2855/abc;tcp\na=setup:passive\n";
