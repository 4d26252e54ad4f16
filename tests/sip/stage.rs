//! A leg on a stage: the test plays its peer, in bytes, and its owner, on a clock of its own.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chatbridge::ids::Random;
use chatbridge::sip::{
    Body, Call, Hop, Kit, Leg, LegEvent, LegInput, LegOutput, Local, Message, NameAddr, NoAnswer,
    Reason, Request, Status, Timers, Transport, Uri,
};

use crate::wire::{Text, message, read};

/// Nothing was sent, nothing was told.
pub(crate) const NOTHING: [&str; 0] = [];

/// The invitation that a leg is called with: two proxies on the way, each of which stays on it.
pub(crate) const INVITE: &str = "\
INVITE sip:bob@b.example SIP/2.0
Via: SIP/2.0/UDP p.example:5060;branch=z9hG4bKtop;rport
Via: SIP/2.0/UDP a.example;branch=z9hG4bKa , SIP/2.0/TCP b.example;branch=z9hG4bKb
Max-Forwards: 68
From: Alice <sip:alice@a.example>;tag=alices
To: <sip:bob@b.example>
Call-ID: one@a.example
CSeq: 1 INVITE
Contact: <sip:alice@192.0.2.9>
Record-Route: <sip:p2.example;lr>, <sip:p1.example;lr>
Content-Type: application/sdp
";

/// A leg, its time, and all that it has sent.
pub(crate) struct Stage {
    pub(crate) leg: Leg,
    start: Instant,
    pub(crate) now: Instant,
    pub(crate) sent: Vec<Text>,
    /// Where the peer's messages come from.
    pub(crate) peer: Hop,
    /// The tag of the peer in the dialog.
    tag: &'static str,
}

impl Stage {
    /// A leg of ours that has sent its INVITE to the proxy at 192.0.2.2.
    pub(crate) fn calling(transport: Transport) -> Self {
        Self::calling_with(transport, |_, _| {})
    }

    /// As [`Self::calling`], with a kit and a call that are changed first.
    pub(crate) fn calling_with(
        transport: Transport,
        change: impl FnOnce(&mut Kit, &mut Call),
    ) -> Self {
        let peer = Hop::new(transport, "192.0.2.2", 5060);
        let (mut kit, mut call) = (kit(transport, 1), call(Some(peer.clone())));
        change(&mut kit, &mut call);
        let now = Instant::now();
        let mut stage = Self::new(Leg::call(now, call, kit), now, (peer, "bobs"));
        stage.drain();
        stage
    }

    /// A leg of ours whose call bob has accepted.
    pub(crate) fn established(transport: Transport) -> Self {
        let mut stage = Self::calling(transport);
        let lines = stage.answer("INVITE", "200 OK", "bobs", "Contact: <sip:bob@192.0.2.3>");
        assert_eq!(lines, ["ACK 1 > udp:192.0.2.3:5060", "Established 200"]);
        stage
    }

    /// A leg of ours that alice has called; `changes` are made to [`INVITE`].
    pub(crate) fn called(transport: Transport, changes: &str) -> Self {
        Self::called_with(transport, changes, |_| {})
    }

    /// As [`Self::called`], with a kit that is changed first.
    pub(crate) fn called_with(
        transport: Transport,
        changes: &str,
        change: impl FnOnce(&mut Kit),
    ) -> Self {
        let peer = Hop::new(transport, "192.0.2.2", 5060);
        let invite = INVITE.replacen("SIP/2.0/UDP", via_protocol(transport), 1);
        let changes = if changes.contains("\n\n") {
            changes.to_owned()
        } else {
            format!("{changes}\n\noffer")
        };
        let Message::Request(invite) = read(message(&invite, &changes)) else {
            panic!("no request")
        };
        let mut kit = kit(transport, 2);
        change(&mut kit);
        let now = Instant::now();
        let leg = Leg::answering(now, invite, peer.clone(), kit);
        let mut stage = Self::new(leg, now, (peer, "alices"));
        stage.told_and_sent(["100 INVITE 1"]);
        stage
    }

    /// A leg of ours that has accepted alice's call and has got the ACK.
    pub(crate) fn confirmed(transport: Transport) -> Self {
        let mut stage = Self::called(transport, "");
        stage.accept();
        assert_eq!(stage.ask("ACK", 1, ""), ["Confirmed"]);
        stage
    }

    /// What an invitation with these changes is refused with at once.
    pub(crate) fn refused(changes: &str) -> Text {
        let refusal = Self::refusal_of(&message(INVITE, &format!("{changes}\n\noffer")));
        refusal.expect("a refusal")
    }

    /// What an invitation is refused with at once, if it is.
    pub(crate) fn refusal_of(invite: &[u8]) -> Option<Text> {
        let mut stage = Self::invited(invite);
        let lines = stage.drain();
        lines.last()?.starts_with("Lost").then(|| stage.last_response().clone())
    }

    /// A leg of ours that was called by UDP with this very invitation, and has said nothing yet.
    pub(crate) fn invited(invite: &[u8]) -> Self {
        let Message::Request(invite) = read(invite.to_vec()) else { panic!("no request") };
        let (now, peer) = (Instant::now(), Hop::new(Transport::Udp, "192.0.2.2", 5060));
        let leg = Leg::answering(now, invite, peer.clone(), kit(Transport::Udp, 2));
        Self::new(leg, now, (peer, "alices"))
    }

    fn new(leg: Leg, now: Instant, (peer, tag): (Hop, &'static str)) -> Self {
        Self { leg, start: now, now, sent: Vec::new(), peer, tag }
    }

    pub(crate) fn accept(&mut self) {
        self.leg.accept(self.now, body("answer"));
        assert!(self.drain().contains(&"200 INVITE 1".to_owned()));
    }

    /// What comes of a wish of the owner.
    pub(crate) fn wish(&mut self, wish: impl FnOnce(&mut Leg, Instant)) -> Vec<String> {
        wish(&mut self.leg, self.now);
        self.drain()
    }

    /// Lets the peer answer the last request of this method; a 100 gets no tag.
    pub(crate) fn answer(
        &mut self,
        method: &str,
        status: &str,
        tag: &str,
        changes: &str,
    ) -> Vec<String> {
        let request = self.last(method).clone();
        self.answer_to(&request, status, tag, changes)
    }

    /// Lets the peer answer a request of ours.
    pub(crate) fn answer_to(
        &mut self,
        request: &Text,
        status: &str,
        tag: &str,
        changes: &str,
    ) -> Vec<String> {
        let bytes = answer_text(request, status, tag, changes);
        self.hear(bytes)
    }

    /// Lets the peer send a request within the dialog.
    pub(crate) fn ask(&mut self, method: &str, number: u32, changes: &str) -> Vec<String> {
        let bytes = self.within(method, number, changes);
        self.hear(bytes)
    }

    /// Writes a request of the peer within the dialog.
    pub(crate) fn within(&self, method: &str, number: u32, changes: &str) -> Vec<u8> {
        let (ours, theirs) = (self.leg.local_tag(), self.tag);
        let head = format!(
            "{method} sip:us@192.0.2.1 SIP/2.0\n\
             Via: {} 192.0.2.2:5060;branch=z9hG4bK{method}{number}{theirs}\n\
             Max-Forwards: 68\n\
             From: <sip:peer@x.example>;tag={theirs}\n\
             To: <sip:us@x.example>;tag={ours}\n\
             Call-ID: {}\n\
             CSeq: {number} {method}\n\
             Contact: <sip:alice@192.0.2.9>\n",
            via_protocol(self.peer.transport),
            self.leg.call_id()
        );
        match changes.split_once("\n\n") {
            Some((lines, body)) if !lines.contains("Content-Type") => {
                message(&head, &format!("{lines}\nContent-Type: application/sdp\n\n{body}"))
            }
            Some(_) | None => message(&head, changes),
        }
    }

    /// Lets the bytes of one message arrive.
    pub(crate) fn hear(&mut self, bytes: impl Into<Bytes>) -> Vec<String> {
        let (message, source) = (read(bytes), self.peer.clone());
        self.leg.handle(self.now, LegInput::Message { message, source });
        self.drain()
    }

    pub(crate) fn break_transport(&mut self, hop: &Hop) -> Vec<String> {
        self.leg.handle(self.now, LegInput::TransportFailed { hop: hop.clone() });
        self.drain()
    }

    /// Lets time pass; each line begins with the milliseconds since the start.
    pub(crate) fn wait(&mut self, duration: Duration) -> Vec<String> {
        let end = self.now + duration;
        let mut lines = Vec::new();
        while let Some(next) = self.leg.next_timeout().filter(|next| *next <= end) {
            assert!(next >= self.now, "a timer of the past");
            self.now = next;
            self.leg.handle(next, LegInput::Timeout);
            let at = next.duration_since(self.start).as_millis();
            lines.extend(self.drain().into_iter().map(|line| format!("{at} {line}")));
        }
        self.now = end;
        lines
    }

    /// Lets the leg absorb what it must; nothing may come of it, and nothing is left of it.
    pub(crate) fn fade(&mut self) {
        assert_eq!(self.wait(Duration::from_secs(70)), NOTHING);
        assert!(self.leg.is_finished(), "{:?}", self.leg);
        assert_eq!(self.leg.next_timeout(), None);
    }

    /// What has been sent and told since, which must be this.
    pub(crate) fn told_and_sent<const N: usize>(&mut self, lines: [&str; N]) {
        assert_eq!(self.drain(), lines);
    }

    pub(crate) fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(output) = self.leg.poll() {
            lines.push(match output {
                LegOutput::Send { bytes, hop } => {
                    let text = Text::of(&bytes);
                    // Whatever we write, others can read.
                    let _ = read(bytes);
                    let line = describe(&text, &hop);
                    self.sent.push(text);
                    line
                }
                LegOutput::Spare { hop, wait } => format!("Spare {hop} {}", wait.as_secs()),
                LegOutput::Event(event) => name(event),
            });
        }
        lines
    }

    /// The last request of this method that the leg has sent.
    pub(crate) fn last(&self, method: &str) -> &Text {
        let mut requests = self.sent.iter().rev().filter(|text| !text.is_response());
        requests.find(|text| text.method() == method).expect("such a request")
    }

    /// The last response that the leg has sent.
    pub(crate) fn last_response(&self) -> &Text {
        self.sent.iter().rev().find(|text| text.is_response()).expect("a response")
    }

    pub(crate) fn is_over(&self) -> bool {
        self.leg.is_finished()
    }
}

/// Writes the answer to a request; without a tag, the To stays as it is.
pub(crate) fn answer_text(request: &Text, status: &str, tag: &str, changes: &str) -> Vec<u8> {
    let mut head = format!("SIP/2.0 {status}\n");
    for via in request.all("Via") {
        head.push_str(&format!("Via: {via}\n"));
    }
    let tag = match tag.is_empty() || request.get("To").contains(";tag=") {
        true => String::new(),
        false => format!(";tag={tag}"),
    };
    head.push_str(&format!("From: {}\nTo: {}{tag}\n", request.get("From"), request.get("To")));
    head.push_str(&format!("Call-ID: {}\n", request.get("Call-ID")));
    head.push_str(&format!("CSeq: {}\n", request.get("CSeq")));
    message(&head, changes)
}

pub(crate) fn kit(transport: Transport, seed: u64) -> Kit {
    Kit {
        local: Local::new(Hop::new(transport, "192.0.2.1", 5060), "bridge/1").into(),
        timers: Timers::default(),
        random: Random::seeded(seed),
    }
}

pub(crate) fn call(next_hop: Option<Hop>) -> Call {
    Call {
        target: Uri::parse("sip:bob@b.example").unwrap(),
        from: NameAddr::parse("Alice <sip:alice@a.example>").unwrap(),
        to: NameAddr::parse("<sip:bob@b.example>").unwrap(),
        next_hops: next_hop.into_iter().collect(),
        proxy: None,
        route: Vec::new(),
        orig: false,
        headers: Vec::new(),
        contact_user: Some("alice".to_owned()),
        contact_params: String::new(),
        body: body("offer"),
        letter: None,
    }
}

pub(crate) fn body(text: &str) -> Body {
    Body { content_type: "application/sdp".to_owned(), bytes: Bytes::from(text.to_owned()) }
}

/// Reads a request that keeps the rules.
pub(crate) fn request(head: &str, changes: &str) -> Request {
    match read(message(head, changes)) {
        Message::Request(request) => request,
        Message::Response(response) => panic!("{response:?}"),
    }
}

fn via_protocol(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "SIP/2.0/UDP",
        Transport::Tcp => "SIP/2.0/TCP",
        Transport::Tls => "SIP/2.0/TLS",
    }
}

/// A request with its number and hop, a response with what it answers.
fn describe(text: &Text, hop: &Hop) -> String {
    match text.is_response() {
        true => format!("{} {} {}", text.target(), text.method(), text.number()),
        false => format!("{} {} > {hop}", text.method(), text.number()),
    }
}

/// An event in a word or two.
pub(crate) fn name(event: LegEvent) -> String {
    let joined = |reasons: Vec<Reason>| {
        let texts: Vec<_> = reasons.iter().map(ToString::to_string).collect();
        texts.join(" & ")
    };
    let text = |body: Option<Body>| {
        let text = body.map(|body| String::from_utf8_lossy(&body.bytes).into_owned());
        text.unwrap_or_default()
    };
    let code =
        |status: Option<Status>| status.map(|status| status.code().to_string()).unwrap_or_default();
    let line = match event {
        LegEvent::Progress(status) => format!("Progress {}", status.code()),
        LegEvent::Established { response } => format!("Established {}", response.status.code()),
        LegEvent::Refused { response } => format!("Refused {}", response.status.code()),
        LegEvent::NoAnswer(NoAnswer::Timeout) => "NoAnswer Timeout".to_owned(),
        LegEvent::NoAnswer(NoAnswer::Transport) => "NoAnswer Transport".to_owned(),
        LegEvent::Cancelled => "Cancelled".to_owned(),
        LegEvent::Expired => "Expired".to_owned(),
        LegEvent::CancelledByPeer { reasons } => format!("CancelledByPeer {}", joined(reasons)),
        LegEvent::Confirmed => "Confirmed".to_owned(),
        LegEvent::NoAck => "NoAck".to_owned(),
        LegEvent::SessionExpired => "SessionExpired".to_owned(),
        LegEvent::Answer { body } => format!("Answer {}", text(body)),
        LegEvent::OfferRefused { status } => format!("OfferRefused {}", code(status)),
        LegEvent::Offer { body } => format!("Offer {}", text(body)),
        LegEvent::Ended { reasons } => format!("Ended {}", joined(reasons)),
        LegEvent::Lost { status } => format!("Lost {}", code(status)),
        LegEvent::Referral { news, .. } => format!("Referral {news:?}"),
        LegEvent::Referred { .. } => "Referred".to_owned(),
        LegEvent::ByeDone => "ByeDone".to_owned(),
    };
    line.trim_end().to_owned()
}
