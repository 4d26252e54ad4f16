//! The server in conversations, as transcripts on a virtual clock.
#![allow(clippy::unwrap_used)]

mod calls;
mod contacts;
mod legs;
mod refusals;
mod storms;

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{ImServer, Input, Output, Settings};
use crate::ids::Random;
use crate::sip::{
    Decoded, Hop, Message, Request, Response, Status, WireLimits, decode_datagram, response_to,
};

const ALICE: &str = "udp:192.0.2.10:5060";
const HOME: &str = "udp:192.0.2.20:5070";

/// The server, a clock, and all that the server has sent.
struct World {
    server: ImServer,
    start: Instant,
    now: Instant,
    sent: Vec<(Hop, Message)>,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            local: hop("udp:192.0.2.1:5060"),
            home: Some(hop(HOME)),
            server_name: String::new(),
            ..Settings::default()
        };
        change(&mut settings);
        let start = Instant::now();
        let server = ImServer::new(settings, Random::seeded(1));
        Self { server, start, now: start, sent: Vec::new() }
    }

    /// Hands in a message and gives what the server sends then.
    fn give(&mut self, message: impl Into<Message>, source: &str) -> Vec<String> {
        let input = Input::Message { message: message.into(), source: hop(source) };
        self.server.handle(self.now, input);
        self.drain()
    }

    /// Lets the receiver of a request answer it.
    fn answer(&mut self, request: &Request, code: u16) -> Vec<String> {
        self.give_response(response_to(request, status(code), Some("b")))
    }

    fn give_response(&mut self, response: Response) -> Vec<String> {
        self.give(response, HOME)
    }

    fn fail(&mut self, to: &str) -> Vec<String> {
        self.server.handle(self.now, Input::SendFailed { hop: hop(to) });
        self.drain()
    }

    /// Lets time pass, timer by timer; each line begins with the milliseconds since the start.
    fn wait(&mut self, millis: u64) -> Vec<String> {
        let (end, mut lines) = (self.now + Duration::from_millis(millis), Vec::new());
        while let Some(next) = self.server.next_timeout().filter(|at| *at <= end) {
            self.now = next.max(self.now);
            self.server.handle(self.now, Input::Timeout);
            let at = self.now.duration_since(self.start).as_millis();
            lines.extend(self.drain().into_iter().map(|line| format!("{at} {line}")));
        }
        self.now = end;
        lines
    }

    /// Gives the latest request that the server sent.
    fn request(&self) -> Request {
        let requests = self.sent.iter().rev().filter_map(|(_, message)| match message {
            Message::Request(request) => Some(request.clone()),
            Message::Response(_) => None,
        });
        requests.into_iter().next().unwrap()
    }

    /// Gives the latest response that the server sent.
    fn response(&self) -> Response {
        let responses = self.sent.iter().rev().filter_map(|(_, message)| match message {
            Message::Request(_) => None,
            Message::Response(response) => Some(response.clone()),
        });
        responses.into_iter().next().unwrap()
    }

    fn register(&mut self, user: &str, contact: &str, cseq: u32) -> Vec<String> {
        let to = format!("<sip:{user}@example.com>");
        self.give(register(&to, &format!("{cseq}"), &[("Contact", contact)]), ALICE)
    }

    fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(Output::Send { bytes, hop }) = self.server.poll() {
            let message = decode(bytes);
            let line = match &message {
                Message::Request(request) => format!("{} {}", request.method, request.uri),
                Message::Response(response) => {
                    format!("{} {}", response.status.code(), response.cseq().unwrap().method)
                }
            };
            lines.push(format!("{hop} {line}"));
            self.sent.push((hop, message));
        }
        lines
    }
}

/// A request of alice, outside of any dialog; the branch follows from the method.
fn request(method: &str, uri: &str, more: &[(&str, &str)]) -> Request {
    let mut text = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{}\r\n\
         From: <sip:alice@example.com>;tag=a\r\nTo: <{uri}>\r\nCall-ID: one@192.0.2.10\r\n\
         CSeq: 1 {method}\r\nContact: <sip:alice@192.0.2.10:5060>\r\n",
        if matches!(method, "ACK" | "CANCEL") { "INVITE" } else { method }
    );
    for (name, value) in more.iter().filter(|(name, _)| !REPLACED.contains(name)) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let Message::Request(mut request) = decode(Bytes::from(text)) else { panic!("{uri}") };
    for (name, value) in more.iter().filter(|(name, _)| REPLACED.contains(name)) {
        request.headers.set(name, value);
    }
    if !request.headers.has("Max-Forwards") {
        request.headers.push("Max-Forwards", "70");
    }
    request
}

/// Headers that stand in every request already.
const REPLACED: [&str; 6] = ["Via", "From", "To", "Call-ID", "CSeq", "Contact"];

fn invite(uri: &str) -> Request {
    request("INVITE", uri, &[])
}

fn register(to: &str, cseq: &str, more: &[(&str, &str)]) -> Request {
    let via = format!("SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKr{cseq}");
    let cseq = format!("{cseq} REGISTER");
    let mut all = vec![("To", to), ("From", to), ("CSeq", &*cseq), ("Via", &*via)];
    all.extend(more);
    let mut request = request("REGISTER", "sip:example.com", &all);
    if !more.iter().any(|(name, _)| *name == "Contact") {
        request.headers.remove("Contact");
    }
    request
}

/// The ACK of a refusal, in the same transaction as the INVITE.
fn ack_of(invite: &Request, response: &Response) -> Request {
    let mut ack = request("ACK", invite.uri.as_str(), &[]);
    ack.headers.set("Via", invite.headers.get("Via").unwrap());
    ack.headers.set("To", response.headers.get("To").unwrap());
    ack
}

fn hop(text: &str) -> Hop {
    let mut parts = text.splitn(3, ':');
    let mut next = || parts.next().unwrap();
    Hop::new(next().parse().unwrap(), next(), next().parse().unwrap())
}

fn status(code: u16) -> Status {
    Status::new(code).unwrap()
}

fn decode(bytes: Bytes) -> Message {
    let decoded = decode_datagram(bytes, &WireLimits::default());
    let Decoded::Message(message) = decoded else { panic!("{decoded:?}") };
    message
}
