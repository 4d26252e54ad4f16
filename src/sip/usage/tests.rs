//! A stage for the usages outside of an INVITE: the test plays the peer and the owner, on a virtual
//! clock, and reads a line for everything that comes out.
#![allow(clippy::unwrap_used)]

mod network;

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::ids::Random;
use crate::sip::{
    Body, Credentials, Decoded, Ended, Errand, Hop, Inquired, Inquiry, InquiryEvent, Kit, Local,
    Message, Method, NameAddr, NoEvent, Notifier, NotifierEvent, Password, Referral, ReferralEvent,
    Referred, Request, Response, Status, Subscriber, SubscriberEvent, Timers, Transport, Uri,
    UsageFailure, UsageInput, UsageOutput, WireLimits, decode_datagram, response_to,
};

/// What all of them can do.
pub(in crate::sip) trait Usage {
    type Event;
    fn handle(&mut self, now: Instant, input: UsageInput);
    fn poll(&mut self) -> Option<UsageOutput<Self::Event>>;
    fn next_timeout(&self) -> Option<Instant>;
    fn is_finished(&self) -> bool;
    fn tell(event: Self::Event) -> String;
}

macro_rules! usages {
    ($($usage:ident tells $event:ident with $tell:ident,)+) => {$(
        impl Usage for $usage {
            type Event = $event;
            fn handle(&mut self, now: Instant, input: UsageInput) {
                self.handle(now, input);
            }
            fn poll(&mut self) -> Option<UsageOutput<$event>> {
                self.poll()
            }
            fn next_timeout(&self) -> Option<Instant> {
                self.next_timeout()
            }
            fn is_finished(&self) -> bool {
                self.is_finished()
            }
            fn tell(event: $event) -> String {
                $tell(event)
            }
        }
    )+};
}

usages! {
    Subscriber tells SubscriberEvent with tell_subscriber,
    Notifier tells NotifierEvent with tell_notifier,
    Referral tells ReferralEvent with tell_referral,
    Referred tells NotifierEvent with tell_notifier,
    Inquiry tells InquiryEvent with tell_inquiry,
    Inquired tells NoEvent with tell_nothing,
}

/// A usage on a stage.
pub(in crate::sip) struct Stage<U> {
    pub(in crate::sip) usage: U,
    pub(in crate::sip) now: Instant,
    pub(in crate::sip) sent: Vec<Message>,
    start: Instant,
    /// The request of the peer that began it, or ours.
    first: Request,
}

impl<U: Usage> Stage<U> {
    /// Lets a usage of ours begin; the first lines must be those.
    pub(in crate::sip) fn begin(now: Instant, usage: U, lines: &[&str]) -> Self {
        let first = request_of_peer("NOTIFY", 1);
        let mut stage = Self { usage, now, sent: Vec::new(), start: now, first };
        assert_eq!(stage.drain(), lines);
        if let Some(Message::Request(request)) = stage.sent.first() {
            stage.first = request.clone();
        }
        stage
    }

    /// Lets a usage take a request of the peer; the first lines must be those.
    pub(in crate::sip) fn answer(
        first: Request,
        answering: impl FnOnce(Instant, Request, Hop) -> U,
        lines: &[&str],
    ) -> Self {
        let now = Instant::now();
        let usage = answering(now, first.clone(), peer());
        let mut stage = Self { usage, now, sent: Vec::new(), start: now, first };
        assert_eq!(stage.drain(), lines);
        stage
    }

    /// Lets the peer answer the last request of ours; a tag of the peer's own is in `n`.
    pub(in crate::sip) fn reply(&mut self, code: u16, headers: &[(&str, &str)]) -> Vec<String> {
        let mut response = response_to(self.last_request(), Status::new(code).unwrap(), Some("n"));
        headers.iter().for_each(|(name, value)| response.headers.push(name, value));
        self.give(response.into())
    }

    /// Builds a request of the peer in our dialog, from the tag `from`.
    pub(in crate::sip) fn within(
        &self,
        method: &str,
        (number, from): (u32, &str),
        headers: &[(&str, &str)],
    ) -> Request {
        let mut request = request_of_peer(method, number);
        let local_tag = self.local_tag();
        request.headers.set("From", &format!("<sip:peer@b.example>;tag={from}"));
        request.headers.set("To", &format!("<sip:alice@a.example>;tag={local_tag}"));
        request.headers.set("Call-ID", self.first.call_id().unwrap());
        let via = format!("SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{method}{number}{from}");
        request.headers.set("Via", &via);
        apply(&mut request, headers);
        request
    }

    /// Lets the peer send a request in our dialog.
    pub(in crate::sip) fn ask(
        &mut self,
        method: &str,
        whence: (u32, &str),
        headers: &[(&str, &str)],
    ) -> Vec<String> {
        let request = self.within(method, whence, headers);
        self.give(request.into())
    }

    pub(in crate::sip) fn give(&mut self, message: Message) -> Vec<String> {
        self.usage.handle(self.now, UsageInput::Message { message, source: peer() });
        self.drain()
    }

    pub(in crate::sip) fn break_transport(&mut self) -> Vec<String> {
        self.usage.handle(self.now, UsageInput::TransportFailed { hop: peer() });
        self.drain()
    }

    /// Lets time pass; each line begins with the milliseconds since the start.
    pub(in crate::sip) fn wait(&mut self, seconds: u64) -> Vec<String> {
        let end = self.now + Duration::from_secs(seconds);
        let mut lines = Vec::new();
        while let Some(next) = self.usage.next_timeout().filter(|next| *next <= end) {
            assert!(next >= self.now, "a timer of the past");
            self.now = next;
            self.usage.handle(next, UsageInput::Timeout);
            let at = next.duration_since(self.start).as_millis();
            lines.extend(self.drain().into_iter().map(|line| format!("{at} {line}")));
        }
        self.now = end;
        lines
    }

    /// Lets the usage absorb what it must; nothing may come of it.
    pub(in crate::sip) fn assert_fades(&mut self) {
        assert_eq!(self.wait(70), [""; 0]);
        assert!(self.usage.is_finished());
        assert_eq!(self.usage.next_timeout(), None);
    }

    pub(in crate::sip) fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(output) = self.usage.poll() {
            lines.push(match output {
                UsageOutput::Send { bytes, hop } => {
                    let message = read(bytes);
                    let mut line = describe(&message);
                    if hop != peer() {
                        line = format!("{line} > {hop}");
                    }
                    self.sent.push(message);
                    line
                }
                UsageOutput::Spare { hop, wait } => format!("Spare {hop} {}", wait.as_secs()),
                UsageOutput::Event(event) => U::tell(event),
            });
        }
        lines
    }

    pub(in crate::sip) fn last_request(&self) -> &Request {
        let mut requests = self.sent.iter().rev().filter_map(|message| match message {
            Message::Request(request) => Some(request),
            Message::Response(_) => None,
        });
        requests.next().unwrap()
    }

    pub(in crate::sip) fn last_response(&self) -> &Response {
        let mut responses = self.sent.iter().rev().filter_map(|message| match message {
            Message::Response(response) => Some(response),
            Message::Request(_) => None,
        });
        responses.next().unwrap()
    }

    fn local_tag(&self) -> String {
        let answered = self.sent.iter().find_map(|message| match message {
            Message::Response(response) if self.first.to_tag().is_none() => response.to_tag(),
            Message::Request(request) => request.from_tag(),
            Message::Response(_) => None,
        });
        answered.unwrap()
    }
}

/// The headers of a message, one line each, without those that every message has.
pub(in crate::sip) fn head(request: &Request) -> String {
    let common = ["Via", "Call-ID", "From", "Content-Length"];
    let lines = request.headers.iter().filter(|(name, _)| !common.contains(name));
    let lines: Vec<_> = lines.map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{} {}\n{}", request.method, request.uri, lines.join("\n"))
}

pub(in crate::sip) fn peer() -> Hop {
    Hop::new(Transport::Udp, "192.0.2.2", 5060)
}

pub(in crate::sip) fn errand() -> Errand {
    Errand {
        target: Uri::parse("sip:room@b.example").unwrap(),
        from: NameAddr::parse("Alice <sip:alice@a.example>").unwrap(),
        to: NameAddr::parse("<sip:room@b.example>").unwrap(),
        next_hops: vec![peer()],
        proxy: None,
        route: Vec::new(),
        headers: vec![("Subject".to_owned(), "hi\r\nEvil: yes".to_owned())],
        contact_user: Some("alice".to_owned()),
        contact_params: ";+g.oma.sip-im".to_owned(),
    }
}

/// The hop that has its turn when [`peer`] fails.
pub(in crate::sip) fn second() -> Hop {
    Hop::new(Transport::Udp, "192.0.2.3", 5060)
}

/// An errand that has two hops to try.
pub(in crate::sip) fn errand_by_two() -> Errand {
    Errand { next_hops: vec![peer(), second()], ..errand() }
}

pub(in crate::sip) fn kit(seed: u64) -> Kit {
    let mut local = Local::new(Hop::new(Transport::Udp, "192.0.2.1", 5060), "bridge/1");
    local.credentials = Some(Credentials {
        username: "alice".to_owned(),
        password: Password::Text("secret".to_owned()),
        realms: vec!["b.example".to_owned()],
    });
    Kit { local: local.into(), timers: Timers::default(), random: Random::seeded(seed) }
}

/// A challenge that the kit's credentials answer.
pub(in crate::sip) const CHALLENGE: (&str, &str) =
    ("WWW-Authenticate", "Digest realm=\"b.example\", nonce=\"n1\", qop=\"auth\"");

/// A request of the peer outside of any dialog, which comes by way of two proxies.
pub(in crate::sip) fn request_of_peer(method: &str, number: u32) -> Request {
    let headers = [
        ("Via", format!("SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{method}{number}")),
        ("Max-Forwards", "70".to_owned()),
        ("From", "<sip:peer@b.example>;tag=n".to_owned()),
        ("To", "<sip:alice@a.example>".to_owned()),
        ("Call-ID", "one@b.example".to_owned()),
        ("CSeq", format!("{number} {method}")),
        ("Contact", "<sip:peer@192.0.2.2>".to_owned()),
    ];
    Request {
        method: Method::from(method),
        uri: Uri::parse("sip:alice@192.0.2.1").unwrap(),
        headers: headers.iter().map(|(name, value)| (name, value)).collect(),
        body: Bytes::new(),
    }
}

/// Sets headers, and the body under the name `body`.
pub(in crate::sip) fn apply(request: &mut Request, headers: &[(&str, &str)]) {
    for (name, value) in headers {
        match *name {
            "body" => request.body = Bytes::from((*value).to_owned()),
            "without" => request.headers.remove(value),
            name => request.headers.set(name, value),
        }
    }
}

pub(in crate::sip) fn text(content_type: &str, text: &str) -> Body {
    let bytes = Bytes::from(text.to_owned());
    Body { content_type: content_type.to_owned(), bytes }
}

fn read(bytes: Bytes) -> Message {
    let decoded = decode_datagram(bytes, &WireLimits::default());
    let Decoded::Message(message) = decoded else { panic!("{decoded:?}") };
    message
}

/// A request with what matters of it, a response with what it answers.
fn describe(message: &Message) -> String {
    let cseq = message.cseq().unwrap();
    let request = match message {
        Message::Response(response) => {
            return format!("{} {cseq}", response.status.code(), cseq = words(&cseq));
        }
        Message::Request(request) => request,
    };
    let mut line = words(&cseq);
    if let Some(state) = request.headers.get("Subscription-State") {
        line.push_str(&format!(" {state}"));
    }
    if let Some(expires) = request.expires() {
        line.push_str(&format!(" for {expires}"));
    }
    if !request.body.is_empty() {
        let body = String::from_utf8_lossy(&request.body);
        line.push_str(&format!(": {}", body.trim_end()));
    }
    line
}

fn words(cseq: &crate::sip::CSeq) -> String {
    format!("{} {}", cseq.method, cseq.number)
}

fn tell_subscriber(event: SubscriberEvent) -> String {
    match event {
        SubscriberEvent::Accepted { response } => format!("Accepted {}", response.status.code()),
        SubscriberEvent::Failed { why, retry_after } => match retry_after {
            Some(wait) => format!("Failed {} again in {}", cause(why), wait.as_secs()),
            None => format!("Failed {}", cause(why)),
        },
        SubscriberEvent::Notified { branch, state, body } => {
            let body = body.map(|body| String::from_utf8_lossy(&body.bytes).into_owned());
            let body = body.map(|body| format!(": {}", body.trim_end()));
            format!("Notified {branch} {state}{}", body.unwrap_or_default())
        }
        SubscriberEvent::Ended { branch, why } => {
            let again = why.again();
            let why = match why {
                Ended::ByNotifier(ending) => {
                    ending.reason.map(|it| it.as_str().to_owned()).unwrap_or_default()
                }
                Ended::Refused(status) => status.code().to_string(),
                Ended::Silence => "Silence".to_owned(),
                Ended::Expired => "Expired".to_owned(),
            };
            format!("Ended {branch} {why} {again:?}")
        }
    }
}

fn tell_notifier(event: NotifierEvent) -> String {
    match event {
        NotifierEvent::Refused(status) => format!("Refused {}", status.code()),
        NotifierEvent::Ended(crate::sip::Parting::Failed(why)) => format!("Ended {}", cause(why)),
        event @ (NotifierEvent::Asked | NotifierEvent::Refreshed | NotifierEvent::Ended(_)) => {
            format!("{event:?}").replace(['(', ')'], " ").trim_end().to_owned()
        }
    }
}

fn tell_referral(event: ReferralEvent) -> String {
    match event {
        ReferralEvent::Accepted { is_watched: true } => "Accepted".to_owned(),
        ReferralEvent::Accepted { is_watched: false } => "Accepted unwatched".to_owned(),
        ReferralEvent::Refused(why) => format!("Refused {}", cause(why)),
        ReferralEvent::Progress(status) => format!("Progress {}", status.code()),
        ReferralEvent::Ended { last } => {
            let last = last.map(|status| format!(" {}", status.code()));
            format!("Ended{}", last.unwrap_or_default())
        }
    }
}

fn tell_inquiry(event: InquiryEvent) -> String {
    match event {
        InquiryEvent::Answered { response } => format!("Answered {}", response.status.code()),
        InquiryEvent::Failed { why } => format!("Failed {}", cause(why)),
    }
}

fn tell_nothing(event: NoEvent) -> String {
    match event {}
}

fn cause(why: UsageFailure) -> String {
    match why {
        UsageFailure::Status(status) => status.code().to_string(),
        UsageFailure::Timeout | UsageFailure::Transport => format!("{why:?}"),
    }
}
