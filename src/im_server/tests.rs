//! The server in conversations, as transcripts on a virtual clock.
#![allow(clippy::unwrap_used)]

mod calls;
mod contacts;
mod doors;
mod forks;
mod legs;
mod names;
mod refusals;
mod rooms;
mod storms;

use std::time::{Duration, Instant};

use bytes::Bytes;

use std::collections::BTreeMap;

use super::{Account, ImServer, Input, Output, Settings};
use crate::address::Address;
use crate::ids::Random;
use crate::sip::{
    Asker, Credentials, Decoded, DigestClient, Hop, Message, Method, Password, Request, Response,
    Status, WireLimits, decode_datagram, response_to,
};

const ALICE: &str = "udp:192.0.2.10:5060";
const HOME: &str = "udp:127.0.0.1:5070";

/// The users that have a password: their name with `!` behind it.
const ACCOUNTS: [&str; 5] = ["alice", "bob", "carol", "+19585550100", "+19585550101"];

/// The server, a clock, and all that the server has sent.
struct World {
    server: ImServer,
    /// The users as they prove themselves, each with a nonce of its own.
    clients: BTreeMap<&'static str, DigestClient>,
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
            accounts: ACCOUNTS.map(account).into(),
            nonce_lifetime: Duration::from_secs(10_000_000),
            server_name: String::new(),
            ..Settings::default()
        };
        change(&mut settings);
        let start = Instant::now();
        let server = ImServer::new(start, settings, Random::seeded(1));
        let (clients, sent) = (BTreeMap::new(), Vec::new());
        let mut world = Self { server, clients, start, now: start, sent };
        for (at, name) in ACCOUNTS.into_iter().enumerate() {
            world.knock(register("<sip:x@example.com>", &format!("{}", 9000 + at), &[]), ALICE);
            let client = client(name, &format!("{name}!"), &world.response());
            world.clients.insert(name, client);
        }
        world.sent.clear();
        world
    }

    /// Hands in a message and gives what the server sends then. Requests from outside prove that
    /// they are from the user in From.
    fn give(&mut self, message: impl Into<Message>, source: &str) -> Vec<String> {
        let mut message = message.into();
        if let Message::Request(request) = &mut message
            && source != HOME
        {
            self.sign(request);
        }
        self.knock(message, source)
    }

    /// Puts the answer to the challenge that the user in From has got into a request.
    fn sign(&mut self, request: &mut Request) {
        let user = request.from().unwrap().uri.user_unescaped().unwrap_or_default();
        if !matches!(request.method, Method::Ack | Method::Cancel)
            && let Some(client) = self.clients.get_mut(&*user)
        {
            client.authorize(request);
        }
    }

    /// Hands in a message as it is.
    fn knock(&mut self, message: impl Into<Message>, source: &str) -> Vec<String> {
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
        while let Some(output) = self.server.poll() {
            // What goes by MSRP is for the tests of rooms.
            let Output::Send { bytes, hop } = output else { continue };
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

fn account(name: &str) -> Account {
    let address = if name.starts_with('+') { format!("tel:{name}") } else { address_of(name) };
    let password = Password::Text(format!("{name}!"));
    Account { address: Address::parse(&address).unwrap(), password }
}

fn address_of(name: &str) -> String {
    format!("sip:{name}@example.com")
}

/// A user that has read the challenges of a 401, and would answer a 407 just so.
fn client(name: &str, password: &str, asked: &Response) -> DigestClient {
    let (username, password) = (name.to_owned(), Password::Text(password.to_owned()));
    let mut client = DigestClient::new(Credentials { username, password, realms: Vec::new() });
    let mut challenge = Response::new(Status::UNAUTHORIZED);
    for line in Asker::ALL.iter().flat_map(|asker| asked.headers.all(asker.challenge_header())) {
        Asker::ALL.iter().for_each(|it| challenge.headers.push(it.challenge_header(), line));
    }
    client.learn(&mut Random::seeded(9), &challenge).unwrap();
    client
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

/// The Record-Route by which the requests of a dialog are known again.
fn sealed(forwarded: &Request) -> String {
    forwarded.headers.list("Record-Route").next().unwrap().to_owned()
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
