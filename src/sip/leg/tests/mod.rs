//! Transcripts of legs on a virtual clock: what goes in, and all that comes out.
#![allow(clippy::unwrap_used)]

mod callee;
mod caller;
mod challenged;
mod established;
mod failover;
mod network;
mod refer;
mod reliable;
mod renewal;
mod secure;
mod timer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Body, Call, Kit, Leg, LegEvent, LegInput, LegOutput, Local, NoAnswer};
use crate::ids::Random;
use crate::sip::{
    Decoded, Hop, Message, Method, NameAddr, Reason, ReferralEvent, Request, Response, Status,
    Timers, Transport, Uri, WireLimits, decode_datagram, response_to,
};

/// A leg on a stage: the test plays its peer and its owner.
struct Stage {
    leg: Leg,
    start: Instant,
    now: Instant,
    /// Everything that the leg has sent.
    sent: Vec<Message>,
    peer: Hop,
}

impl Stage {
    /// A leg of ours that has sent its INVITE to the proxy at 192.0.2.2.
    fn calling(transport: Transport) -> Self {
        let peer = Hop::new(transport, "192.0.2.2", 5060);
        let start = Instant::now();
        let leg = Leg::call(start, call(Some(peer.clone())), kit("192.0.2.1", transport, 1));
        let mut stage = Self { leg, start, now: start, sent: Vec::new(), peer };
        assert_eq!(stage.drain(), [format!("INVITE 1 > {}", stage.peer)]);
        stage
    }

    /// A leg that has just been made.
    fn of(leg: Leg) -> Self {
        let (peer, now) = (Hop::new(Transport::Udp, "192.0.2.2", 5060), Instant::now());
        Self { leg, start: now, now, sent: Vec::new(), peer }
    }

    /// A leg of ours whose call bob has accepted.
    fn established(transport: Transport) -> Self {
        let mut stage = Self::calling(transport);
        let lines = stage.reply("INVITE", 200, "b", &[("Contact", "<sip:bob@192.0.2.3>")]);
        assert_eq!(lines, ["ACK 1 > udp:192.0.2.3:5060", "Established 200"]);
        stage
    }

    /// A leg of ours that alice has called.
    fn called(transport: Transport, headers: &[(&str, &str)]) -> Self {
        let peer = Hop::new(transport, "192.0.2.2", 5060);
        let start = Instant::now();
        let invite = invitation(transport, headers);
        let kit = kit("192.0.2.1", transport, 2);
        let leg = Leg::answering(start, invite, peer.clone(), kit);
        let mut stage = Self { leg, start, now: start, sent: Vec::new(), peer };
        assert_eq!(stage.drain().first(), Some(&"100 INVITE 1".to_owned()));
        stage
    }

    /// A leg of ours that has accepted alice's call and has got the ACK.
    fn confirmed(transport: Transport) -> Self {
        let mut stage = Self::called(transport, &[]);
        stage.leg.accept(stage.now, body("answer"));
        assert_eq!(stage.drain(), ["200 INVITE 1"]);
        assert_eq!(stage.ask("ACK", 1, &[]), ["Confirmed"]);
        stage
    }

    /// Lets the peer answer the last request of this method.
    fn reply(
        &mut self,
        method: &str,
        code: u16,
        tag: &str,
        headers: &[(&str, &str)],
    ) -> Vec<String> {
        let mut response = response_to(self.last(method), Status::new(code).unwrap(), Some(tag));
        headers.iter().for_each(|(name, value)| response.headers.push(name, value));
        self.give(Message::Response(response))
    }

    /// Lets the peer send a request within the dialog; headers given replace what is usual.
    fn ask(&mut self, method: &str, number: u32, headers: &[(&str, &str)]) -> Vec<String> {
        let request = self.within(method, number, headers);
        self.give(Message::Request(request))
    }

    fn within(&self, method: &str, number: u32, headers: &[(&str, &str)]) -> Request {
        let remote_tag = self.leg.remote_tag().unwrap_or("b").to_owned();
        let mut request = invitation(self.peer.transport, &[]);
        request.method = Method::from(method);
        request.body = Bytes::new();
        let branch = format!("z9hG4bK{method}{number}");
        let token = self.peer.transport.via_token();
        let via = format!("SIP/2.0/{token} 192.0.2.2:5060;branch={branch}");
        request.headers.set("Via", &via);
        request.headers.set("From", &format!("<sip:peer@x.example>;tag={remote_tag}"));
        request.headers.set("To", &format!("<sip:us@x.example>;tag={}", self.leg.local_tag()));
        request.headers.set("Call-ID", self.leg.call_id());
        request.headers.set("CSeq", &format!("{number} {method}"));
        request.headers.remove("Content-Type");
        for (name, value) in headers {
            if *name == "body" {
                request.headers.set("Content-Type", "application/sdp");
                request.body = Bytes::from(value.to_string());
            } else {
                request.headers.set(name, value);
            }
        }
        request
    }

    fn give(&mut self, message: Message) -> Vec<String> {
        let source = self.peer.clone();
        self.leg.handle(self.now, LegInput::Message { message, source });
        self.drain()
    }

    fn break_transport(&mut self, hop: &Hop) -> Vec<String> {
        self.leg.handle(self.now, LegInput::TransportFailed { hop: hop.clone() });
        self.drain()
    }

    /// Lets time pass; each line begins with the milliseconds since the start.
    fn wait(&mut self, duration: Duration) -> Vec<String> {
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

    /// Lets the leg absorb what it must; nothing may come of it.
    fn assert_fades(&mut self) {
        assert_eq!(self.wait(Duration::from_secs(70)), [""; 0]);
        assert!(self.leg.is_finished(), "{:?}", self.leg);
        assert_eq!(self.leg.next_timeout(), None);
    }

    fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(output) = self.leg.poll() {
            lines.push(match output {
                LegOutput::Send { bytes, hop } => {
                    let message = read(bytes);
                    let line = describe(&message, &hop);
                    self.sent.push(message);
                    line
                }
                LegOutput::Event(event) => name(event),
                LegOutput::Spare { hop, wait } => format!("Spare {hop} {}", wait.as_secs()),
            });
        }
        lines
    }

    fn last(&self, method: &str) -> &Request {
        let requests = self.sent.iter().rev().filter_map(|message| match message {
            Message::Request(request) => Some(request),
            Message::Response(_) => None,
        });
        requests.into_iter().find(|request| request.method.as_str() == method).unwrap()
    }

    fn last_response(&self) -> &Response {
        let responses = self.sent.iter().rev().filter_map(|message| match message {
            Message::Response(response) => Some(response),
            Message::Request(_) => None,
        });
        responses.into_iter().next().unwrap()
    }
}

fn kit(host: &str, transport: Transport, seed: u64) -> Kit {
    Kit {
        local: Local::new(Hop::new(transport, host, 5060), "bridge/1").into(),
        timers: Timers::default(),
        random: Random::seeded(seed),
    }
}

fn call(next_hop: Option<Hop>) -> Call {
    Call {
        target: Uri::parse("sip:bob@b.example").unwrap(),
        from: NameAddr::parse("Alice <sip:alice@a.example>").unwrap(),
        to: NameAddr::parse("<sip:bob@b.example>").unwrap(),
        next_hops: next_hop.into_iter().collect(),
        proxy: None,
        route: Vec::new(),
        orig: false,
        letter: None,
        headers: vec![("Subject".to_owned(), "hi\r\nEvil: yes".to_owned())],
        contact_user: Some("alice".to_owned()),
        contact_params: ";+g.oma.sip-im".to_owned(),
        body: body("offer"),
    }
}

fn body(text: &str) -> Body {
    let bytes = Bytes::from(text.to_owned());
    Body { content_type: "application/sdp".to_owned(), bytes }
}

fn invitation(transport: Transport, headers: &[(&str, &str)]) -> Request {
    let mut headers_of_all: Vec<(&str, &str)> = vec![
        ("Via", "SIP/2.0/UDP p.example:5060;branch=z9hG4bKinv"),
        ("Via", "SIP/2.0/UDP a.example;branch=z9hG4bKa , SIP/2.0/TCP b.example;branch=z9hG4bKb"),
        ("Max-Forwards", "70"),
        ("From", "Alice <sip:alice@a.example>;tag=a"),
        ("To", "<sip:bob@b.example>"),
        ("Call-ID", "one@a.example"),
        ("CSeq", "1 INVITE"),
        ("Contact", "<sip:alice@192.0.2.9>"),
        ("Record-Route", "<sip:p2.example;lr>, <sip:p1.example;lr>"),
        ("Content-Type", "application/sdp"),
    ];
    headers_of_all.extend_from_slice(headers);
    let mut request = Request {
        method: Method::Invite,
        uri: Uri::parse("sip:bob@b.example").unwrap(),
        headers: headers_of_all.into_iter().collect(),
        body: Bytes::from_static(b"offer"),
    };
    if transport != Transport::Udp {
        let token = transport.via_token();
        let top = format!("SIP/2.0/{token} p.example:5060;branch=z9hG4bKinv");
        request.headers.set("Via", &top);
    }
    request
}

fn read(bytes: Bytes) -> Message {
    let decoded = decode_datagram(bytes, &WireLimits::default());
    let Decoded::Message(message) = decoded else { panic!("{decoded:?}") };
    message
}

/// A request with its number and hop, a response with what it answers.
fn describe(message: &Message, hop: &Hop) -> String {
    let cseq = message.cseq().unwrap();
    match message {
        Message::Request(request) => format!("{} {} > {hop}", request.method, cseq.number),
        Message::Response(response) => {
            format!("{} {} {}", response.status.code(), cseq.method, cseq.number)
        }
    }
}

fn name(event: LegEvent) -> String {
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
        LegEvent::Referral { news, .. } => match news {
            ReferralEvent::Progress(status) => format!("Referral Progress {}", status.code()),
            ReferralEvent::Ended { last } => format!("Referral Ended {}", code(last)),
            news @ (ReferralEvent::Accepted { .. } | ReferralEvent::Refused(_)) => {
                format!("Referral {news:?}")
            }
        },
        LegEvent::Referred { .. } => "Referred".to_owned(),
        LegEvent::ByeDone => "ByeDone".to_owned(),
    };
    line.trim_end().to_owned()
}
