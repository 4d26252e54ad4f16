//! The embedded IM server: registrar and proxy of one domain (RFC 3261 sections 10 and 16).
//!
//! Users of the domain who registered a contact are reached there; all others live at `home`, the
//! bridge, which learns from the unchanged Request-URI whom a request is for. The server meets
//! the bridge on the wire only, as an IMS core would.
//!
//! A request is read in this order: `mod` finds its transaction; `route` tells where it wants to
//! go; `registrar` knows the users; `policy` says what must not pass; `forward` writes the copy
//! that leaves; `context` with its `branch`es brings the answers back. What is refused leaves no
//! trace (`refusal`), and what is kept is bounded (`table`, `registrar`).
//!
//! Nobody is asked for a password yet: whoever reaches the server may register as anybody. Until
//! authentication exists it belongs on a private network.

mod branch;
mod context;
mod desk;
mod domain;
mod forward;
mod policy;
mod refusal;
mod registrar;
mod route;
mod settings;
mod table;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use self::context::Context;
use self::desk::Desk;
use self::domain::{Domain, Whose};
use self::forward::{Passage, Target};
use self::refusal::{Clerk, Refusal};
use self::registrar::Registrar;
use self::route::Destination;
use self::table::Table;
use crate::address::Address;
use crate::ids::Random;
use crate::sip::{
    Hop, Message, Method, Request, Response, Status, TransactionKey, Transport, reply_hop,
    stamp_source,
};

pub use self::settings::Settings;

/// The IM server: hand in what happens, then carry out what [`ImServer::poll`] gives until it
/// gives nothing more.
#[derive(Debug)]
pub struct ImServer {
    desk: Desk,
    registrar: Registrar,
    table: Table,
}

/// What happens to the server.
#[expect(clippy::large_enum_variant, reason = "an input is handed over and never stored")]
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A message came in.
    Message {
        /// The message.
        message: Message,
        /// Where it came from.
        source: Hop,
    },
    /// What was to be sent there could not be sent.
    SendFailed {
        /// Where it was to go.
        hop: Hop,
    },
    /// The time that [`ImServer::next_timeout`] told has come.
    Timeout,
}

/// What the server wishes.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Bytes to put on the wire.
    Send {
        /// The encoded message.
        bytes: Bytes,
        /// Where it goes.
        hop: Hop,
    },
}

/// What is to be done with a request.
#[derive(Debug)]
enum Plan {
    Answer(Response),
    Forward(Vec<Target>),
}

impl ImServer {
    /// Makes a server that knows nobody but the users of its settings.
    #[must_use]
    pub fn new(settings: Settings, mut random: Random) -> Self {
        let clerk = Clerk::new(&settings.server_name, &mut random);
        let registrar = Registrar::new(&settings);
        let desk = Desk {
            domain: Domain::new(&settings.domain, settings.local),
            clerk,
            home: settings.home,
            timers: settings.timers,
            datagram: settings.datagram,
            random,
            outputs: VecDeque::new(),
        };
        Self { desk, registrar, table: Table::new(settings.max_transactions) }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Message { message: Message::Request(request), source } => {
                self.handle_request(now, request, source);
            }
            Input::Message { message: Message::Response(response), source: _ } => {
                self.handle_response(now, &response);
            }
            Input::SendFailed { hop } => {
                for number in self.table.of_hop(&hop) {
                    let desk = &mut self.desk;
                    self.table.with(number, |it| it.handle_transport_error(now, &hop, desk));
                }
            }
            Input::Timeout => {
                self.registrar.expire(now);
                for number in self.table.due(now) {
                    let desk = &mut self.desk;
                    self.table.with(number, |context| context.handle_timeout(now, desk));
                }
            }
        }
    }

    /// Gives the next wish.
    pub fn poll(&mut self) -> Option<Output> {
        self.desk.outputs.pop_front()
    }

    /// Tells when to hand in [`Input::Timeout`].
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.table.next_timeout().into_iter().chain(self.registrar.next_timeout()).min()
    }

    fn handle_request(&mut self, now: Instant, mut request: Request, source: Hop) {
        stamp_source(&mut request, &source);
        if !policy::comes_from_home(&source, self.desk.home.as_ref()) {
            policy::distrust(&mut request.headers);
        }
        let key = TransactionKey::of_request(&request);
        if request.method == Method::Ack {
            self.handle_ack(now, request, source);
        } else if let Some(number) = self.table.of_request(&key) {
            let desk = &mut self.desk;
            self.table.with(number, |context| context.handle_request(now, &request, desk));
        } else if request.method == Method::Cancel {
            self.handle_cancel(now, &request, &source);
        } else if !self.table.has_room(request.to_tag().is_some()) {
            self.refuse(&request, &source, &Refusal::overload());
        } else {
            self.handle_new(now, request, source);
        }
    }

    fn handle_new(&mut self, now: Instant, request: Request, source: Hop) {
        let key = TransactionKey::of_request(&request);
        let mark = policy::loop_mark(&request);
        let mut passage = Passage { request, source, mark };
        let context = match self.plan(now, &mut passage) {
            Ok(Plan::Forward(targets)) => Context::forward(now, passage, targets, &mut self.desk),
            Ok(Plan::Answer(response)) => Context::answer(now, passage, &response, &mut self.desk),
            Err(refusal) => return self.refuse(&passage.request, &passage.source, &refusal),
        };
        self.table.insert(key, context);
    }

    /// An ACK is never answered. That of a refusal ends with us; that of a 2xx goes the way of the
    /// dialog, without any state (RFC 3261 section 16.11).
    fn handle_ack(&mut self, now: Instant, request: Request, source: Hop) {
        let mut request = request;
        if let Some(number) = self.table.of_request(&TransactionKey::of_request(&request)) {
            let desk = &mut self.desk;
            let rest = self.table.with(number, |it| it.handle_request(now, &request, desk));
            let Some(Some(ack)) = rest else { return };
            request = ack;
        }
        if self.desk.clerk.is_confirmed_by(&request) || request.to_tag().is_none() {
            return;
        }
        let mark = policy::loop_mark(&request);
        let mut passage = Passage { request, source, mark };
        if let Ok(Plan::Forward(targets)) = self.plan(now, &mut passage)
            && let Some(target) = targets.into_iter().next()
        {
            let copy = passage.copy_for(&target, &mut self.desk);
            self.desk.send(copy.encode(), target.hop);
        }
    }

    /// A CANCEL is answered at every hop (RFC 3261 section 16.10). As every INVITE that passed is
    /// remembered, one that is not found does not exist.
    fn handle_cancel(&mut self, now: Instant, cancel: &Request, source: &Hop) {
        let number = self.table.of_request(&TransactionKey::cancelled_by(cancel));
        let Some(number) = number else {
            return self.refuse(cancel, source, &Status::CALL_DOES_NOT_EXIST.into());
        };
        self.reply(cancel, source, &self.desk.clerk.answer(cancel, Status::OK));
        let desk = &mut self.desk;
        self.table.with(number, |context| context.handle_cancel(now, cancel, desk));
    }

    /// A response that answers nothing of ours is dropped (RFC 6026 section 7.3).
    fn handle_response(&mut self, now: Instant, response: &Response) {
        if !response.via().is_ok_and(|via| self.desk.domain.wrote(&via)) {
            return;
        }
        if let Some(number) = self.table.of_response(&TransactionKey::of_response(response)) {
            let desk = &mut self.desk;
            self.table.with(number, |context| context.handle_response(now, response, desk));
        }
    }

    /// Decides what is to be done with a request.
    fn plan(&mut self, now: Instant, passage: &mut Passage) -> Result<Plan, Refusal> {
        policy::validate_scheme(&passage.request)?;
        let destination = route::follow(&mut passage.request, &self.desk.domain);
        let request = &passage.request;
        if request.method == Method::Register && !matches!(destination, Ok(Destination::Onward(_)))
        {
            return self.register(now, request).map(Plan::Answer);
        }
        match destination? {
            Destination::Server => self.answer_as_server(request).map(Plan::Answer),
            Destination::User(user) => {
                policy::validate(request, &passage.mark, &self.desk.domain)?;
                self.targets(now, &user, request).map(Plan::Forward)
            }
            Destination::Onward(target) => {
                policy::validate(request, &passage.mark, &self.desk.domain)?;
                Ok(Plan::Forward(vec![target]))
            }
        }
    }

    /// Finds where a user is: at the registered contacts, else at home.
    fn targets(
        &self,
        now: Instant,
        user: &Address,
        request: &Request,
    ) -> Result<Vec<Target>, Refusal> {
        if !self.registrar.exists(user) {
            return Err(Status::NOT_FOUND.into());
        }
        let contacts = self.registrar.contacts(now, user).into_iter();
        let mut targets: Vec<_> =
            contacts.filter_map(|uri| Some(Target { hop: uri.hop()?, uri: Some(uri) })).collect();
        if targets.is_empty() {
            targets.extend(self.desk.home.clone().map(|hop| Target { uri: None, hop }));
        }
        if request.uri.is_secure() {
            // Nothing below TLS is good enough for sips (RFC 3261 section 26.2.2).
            targets.retain(|target| target.hop.transport == Transport::Tls);
        }
        if targets.is_empty() { Err(Status::TEMPORARILY_UNAVAILABLE.into()) } else { Ok(targets) }
    }

    fn register(&mut self, now: Instant, request: &Request) -> Result<Response, Refusal> {
        if self.desk.domain.whose(&request.uri) == Whose::Foreign {
            return Err(Status::FORBIDDEN.into());
        }
        let contacts = self.registrar.register(now, request, &self.desk.domain)?;
        let mut response = self.desk.clerk.answer(request, Status::OK);
        contacts.iter().for_each(|contact| response.headers.push("Contact", contact));
        Ok(response)
    }

    /// Answers what was meant for nobody but the server (RFC 3261 section 11.2).
    fn answer_as_server(&self, request: &Request) -> Result<Response, Refusal> {
        if request.to_tag().is_some() {
            return Err(Status::CALL_DOES_NOT_EXIST.into());
        }
        let asked: Vec<_> = request.headers.list("Require").collect();
        if !asked.is_empty() {
            return Err(Refusal::with(Status::BAD_EXTENSION, "Unsupported", asked.join(", ")));
        }
        match &request.method {
            Method::Options => {
                let mut response = self.desk.clerk.answer(request, Status::OK);
                response.headers.push("Allow", ALLOW);
                Ok(response)
            }
            Method::Other(_) => Err(Refusal::with(Status::NOT_IMPLEMENTED, "Allow", ALLOW)),
            Method::Invite
            | Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Register
            | Method::Subscribe
            | Method::Notify
            | Method::Refer
            | Method::Message
            | Method::Info
            | Method::Update
            | Method::Prack
            | Method::Publish => Err(Refusal::with(Status::METHOD_NOT_ALLOWED, "Allow", ALLOW)),
        }
    }

    fn refuse(&mut self, request: &Request, source: &Hop, refusal: &Refusal) {
        self.reply(request, source, &self.desk.clerk.refuse(request, refusal));
    }

    /// Answers without keeping anything.
    fn reply(&mut self, request: &Request, source: &Hop, response: &Response) {
        if let Ok(via) = request.via() {
            self.desk.send(response.encode(), reply_hop(&via, source));
        }
    }
}

/// What the server itself understands.
const ALLOW: &str = "OPTIONS, REGISTER";

#[cfg(test)]
mod tests;
