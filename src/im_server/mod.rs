//! The embedded IM server: registrar, proxy and conference focus of one domain (RFC 3261 sections
//! 10 and 16, RFC 4579).
//!
//! Users of the domain who registered a contact are reached there; all others live at `home`, the
//! bridge, which learns from the unchanged Request-URI whom a request is for. The server meets
//! the bridge on the wire only, as an IMS core would.
//!
//! A request is read in this order: `mod` finds its transaction; `route` tells where it wants to
//! go; `door` finds out who has sent it; `registrar` knows the users; `policy` says what must not
//! pass, and in whose name; `forward` writes the copy that leaves; `context` with its `branch`es
//! brings the answers back. Who has proved nothing leaves no trace (`refusal`), and what is kept is
//! bounded (`table`, `registrar`, `door`).
//!
//! The focus is an element of its own (`focus`): what is for a room, or for the factory, is handed
//! to it once the door has let it in, and what it sends to users takes the way of all requests,
//! through the proxy beside it.
//!
//! There is no way in without a proof: the password of the bridge or of a user, or the seal of a
//! dialog that began with one, or the tag that a room has drawn for it. Only a ping (OPTIONS) is answered to everybody.

mod branch;
mod context;
mod desk;
mod domain;
mod door;
mod focus;
mod forward;
mod host;
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
use self::door::{Door, Sender};
use self::forward::{Passage, Target};
use self::refusal::{Clerk, Refusal};
use self::registrar::Registrar;
use self::route::Destination;
use self::table::Table;
use crate::address::Address;
use crate::ids::Random;
use crate::msrp;
use crate::sip::{
    Asker, Decoded, Hop, Message, Method, Request, Response, Seal, Status, TransactionKey,
    Transport, Uri, WireLimits, decode_datagram, reply_hop, stamp_source,
};

pub use self::focus::{
    Denial, Focus, FocusOutput, FocusSettings, MediaOutput, OriginatorLeaves, Owner, SeatId,
};
pub use self::host::{Host, HostNames, Trust};
pub use self::settings::{Account, Settings};

/// The IM server: hand in what happens, then carry out what [`ImServer::poll`] gives until it
/// gives nothing more.
#[derive(Debug)]
pub struct ImServer {
    desk: Desk,
    door: Door,
    registrar: Registrar,
    table: Table,
    focus: Option<Focus>,
}

/// What happens to the server.
#[derive(Debug)]
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
    /// Something has happened on the MSRP session of a seat in a room.
    Media {
        /// The seat.
        seat: SeatId,
        /// What, in order.
        inputs: Vec<msrp::Input>,
    },
    /// The time that [`ImServer::next_timeout`] told has come.
    Timeout,
    /// The server stops: the rooms say goodbye.
    Stop,
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
    /// Something to do for the MSRP session of a seat in a room.
    Media {
        /// The seat.
        seat: SeatId,
        /// What.
        output: MediaOutput,
    },
}

/// A pure machine with sockets of SIP and MSRP: hand in what happens, then carry out what
/// [`Element::poll`] gives until it gives nothing more.
pub trait Element {
    /// Takes in what happened.
    fn handle(&mut self, now: Instant, input: Input);

    /// Gives the next wish.
    fn poll(&mut self) -> Option<Output>;

    /// Tells when to hand in [`Input::Timeout`].
    fn next_timeout(&self) -> Option<Instant>;
}

impl Element for ImServer {
    fn handle(&mut self, now: Instant, input: Input) {
        self.handle(now, input);
    }

    fn poll(&mut self) -> Option<Output> {
        self.poll()
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.next_timeout()
    }
}

/// What is to be done with a request.
#[derive(Debug)]
enum Plan {
    Answer(Response),
    /// To targets that are tried at a time, and then to the next.
    Forward(Vec<Vec<Target>>),
    /// To hand it to the focus.
    Meet,
}

/// What a request wants, and who has sent it.
#[derive(Debug)]
struct Errand {
    sender: Sender,
    /// As what the server was asked.
    asker: Asker,
    destination: Result<Destination, Refusal>,
}

impl Errand {
    fn is_for_us(&self) -> bool {
        self.asker == Asker::Server
    }
}

impl ImServer {
    /// Makes a server that knows nobody but the users of its settings.
    #[must_use]
    pub fn new(now: Instant, settings: Settings, mut random: Random) -> Self {
        let door = Door::new(now, &settings, random.fork());
        let clerk = Clerk::new(&settings.server_name, &mut random);
        let registrar = Registrar::new(&settings);
        let desk_local = settings.local.clone();
        let mut desk = Desk {
            domain: Domain::new(&settings.domain, settings.local),
            clerk,
            seal: Seal::new(&mut random),
            home: settings.home,
            timers: settings.timers,
            datagram: settings.datagram,
            random,
            outputs: VecDeque::new(),
            inner: VecDeque::new(),
            // A way on which nothing gets lost, so that nothing is sent twice.
            beside: Hop { transport: Transport::Tcp, ..desk_local.clone() },
        };
        let table = Table::new(settings.max_transactions);
        let focus = settings.focus.map(|focus| {
            let next_hops = vec![desk.beside.clone()];
            Focus::new(FocusSettings { local: desk_local, next_hops, ..focus }, desk.random.fork())
        });
        Self { desk, door, registrar, table, focus }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Message { message, source } if self.is_for_focus(&message, &source) => {
                if let Some(focus) = &mut self.focus {
                    focus.handle_sip(now, message, source);
                }
            }
            Input::Message { message: Message::Request(request), source } => {
                self.handle_request(now, request, source);
            }
            Input::Message { message: Message::Response(response), source: _ } => {
                self.handle_response(now, &response);
            }
            Input::Media { seat, inputs } => {
                if let Some(focus) = &mut self.focus {
                    focus.handle_media(now, seat, inputs);
                }
            }
            Input::Stop => {
                if let Some(focus) = &mut self.focus {
                    focus.stop(now);
                }
            }
            Input::SendFailed { hop } => {
                if let Some(focus) = &mut self.focus {
                    focus.handle_failure(now, &hop);
                }
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
                if let Some(focus) = &mut self.focus {
                    focus.handle_timeout(now);
                }
            }
        }
        self.serve_focus(now);
    }

    /// Gives the next wish.
    pub fn poll(&mut self) -> Option<Output> {
        self.desk.outputs.pop_front()
    }

    /// Tells when to hand in [`Input::Timeout`].
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let focus = self.focus.as_ref().and_then(Focus::next_timeout);
        [self.table.next_timeout(), self.registrar.next_timeout(), focus]
            .into_iter()
            .flatten()
            .min()
    }

    /// Tells whether a message belongs to a room: what answers the proxy comes to the proxy first.
    fn is_for_focus(&self, message: &Message, source: &Hop) -> bool {
        let is_ours = self.focus.as_ref().is_some_and(|focus| focus.owns(message, source));
        is_ours
            && match message {
                Message::Request(_) => true,
                Message::Response(response) => {
                    self.table.of_response(&TransactionKey::of_response(response)).is_none()
                }
            }
    }

    /// Carries between the focus and the proxy beside it, until both have nothing more to say.
    fn serve_focus(&mut self, now: Instant) {
        while let Some(focus) = &mut self.focus {
            match focus.poll() {
                Some(FocusOutput::Sip { bytes, hop }) if hop == self.desk.beside => {
                    let limits = WireLimits { message: usize::MAX, ..WireLimits::default() };
                    if let Decoded::Message(Message::Request(request)) =
                        decode_datagram(bytes, &limits)
                    {
                        self.handle_inner(now, request);
                    }
                }
                Some(FocusOutput::Sip { bytes, hop }) => self.desk.send(bytes, hop),
                Some(FocusOutput::Media { seat, output }) => {
                    self.desk.outputs.push_back(Output::Media { seat, output });
                }
                None => {
                    let Some(bytes) = self.desk.inner.pop_front() else { return };
                    if let Decoded::Message(message) =
                        decode_datagram(bytes, &WireLimits::default())
                    {
                        focus.handle_sip(now, message, self.desk.beside.clone());
                    }
                }
            }
        }
    }

    /// Takes a request of the focus, which has to prove nothing.
    fn handle_inner(&mut self, now: Instant, request: Request) {
        let mut passage = Passage::new(request, self.desk.beside.clone());
        passage.is_from_focus = true;
        self.handle_passage(now, passage);
    }

    fn handle_request(&mut self, now: Instant, mut request: Request, source: Hop) {
        stamp_source(&mut request, &source);
        self.handle_passage(now, Passage::new(request, source));
    }

    fn handle_passage(&mut self, now: Instant, passage: Passage) {
        let Passage { request, source, .. } = &passage;
        let key = TransactionKey::of_request(request);
        if request.method == Method::Ack {
            self.handle_ack(now, passage);
        } else if let Some(number) = self.table.of_request(&key) {
            let desk = &mut self.desk;
            self.table.with(number, |context| context.handle_request(now, request, desk));
        } else if request.method == Method::Cancel {
            self.handle_cancel(now, request, source);
        } else if !self.table.has_room(request.to_tag().is_some()) {
            self.refuse(request, source, &Refusal::overload());
        } else {
            self.handle_new(now, key, passage);
        }
    }

    /// Finds out who wants what, and does it. Of those who have proved nothing nothing is kept.
    fn handle_new(&mut self, now: Instant, key: TransactionKey, mut passage: Passage) {
        let errand = match self.admit(now, &mut passage) {
            Ok(errand) => errand,
            Err(refusal) => return self.refuse(&passage.request, &passage.source, &refusal),
        };
        let identity = errand.is_for_us().then(|| identity_of(&passage.request)).flatten();
        let plan = if identity.as_ref().is_some_and(|it| self.table.has_merged(it)) {
            Err(Status::LOOP_DETECTED.into())
        } else {
            self.plan(now, &passage, &errand)
        };
        let context = match plan.and_then(|plan| self.meet(now, plan, &passage)) {
            Ok(Plan::Meet) => return,
            Ok(Plan::Forward(rounds)) => Context::forward(now, passage, rounds, &mut self.desk),
            Ok(Plan::Answer(response)) if errand.sender == Sender::Anybody => {
                return self.reply(&passage.request, &passage.source, &response);
            }
            Ok(Plan::Answer(response)) => Context::answer(now, passage, &response, &mut self.desk),
            Err(refusal) if errand.sender == Sender::Anybody => {
                return self.refuse(&passage.request, &passage.source, &refusal);
            }
            Err(refusal) => {
                let response = self.desk.clerk.refuse(&passage.request, &refusal);
                Context::answer(now, passage, &response, &mut self.desk)
            }
        };
        self.table.insert(key, identity, context);
    }

    /// An ACK is never answered, and nobody can be asked for it. That of a refusal ends with us;
    /// that of a 2xx goes the way of the dialog, without any state (RFC 3261 section 16.11).
    fn handle_ack(&mut self, now: Instant, mut passage: Passage) {
        let request = &passage.request;
        if let Some(number) = self.table.of_request(&TransactionKey::of_request(request)) {
            let desk = &mut self.desk;
            let rest = self.table.with(number, |it| it.handle_request(now, request, desk));
            let Some(Some(ack)) = rest else { return };
            passage.request = ack;
        }
        let request = &passage.request;
        if self.desk.clerk.is_confirmed_by(request) || request.to_tag().is_none() {
            return;
        }
        if let Ok(errand) = self.admit(now, &mut passage)
            && let Ok(Plan::Forward(rounds)) = self.plan(now, &passage, &errand)
            && let Some(target) = rounds.into_iter().flatten().next()
        {
            let copy = passage.copy_for(&target, 0, &mut self.desk);
            self.desk.send(copy.encode(), target.hop);
        }
    }

    /// A CANCEL is answered at every hop (RFC 3261 section 16.10). As every INVITE that passed is
    /// remembered, one that is not found does not exist.
    fn handle_cancel(&mut self, now: Instant, cancel: &Request, source: &Hop) {
        let number = self.table.of_request(&TransactionKey::cancelled_by(cancel));
        // It cannot be asked for a password: it has to come from where its INVITE did (section
        // 22.1).
        let number = number.filter(|number| self.table.is_from(*number, source));
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

    /// Tells who has sent a request and where it wants to go, or why it goes no further.
    fn admit(&mut self, now: Instant, passage: &mut Passage) -> Result<Errand, Refusal> {
        let Passage { request, source, mark, is_from_focus, .. } = passage;
        policy::validate_scheme(request)?;
        let route::Way { mut destination, is_known } =
            route::follow(request, &self.desk.domain, (&self.desk.seal, self.desk.home.as_ref()));
        if self.focus.as_ref().is_some_and(|focus| focus.serves(&request.uri)) {
            destination = destination.map(|_| Destination::Focus);
        }
        let asker = asker_for(request, &destination);
        if asker == Asker::Proxy {
            policy::validate(request, mark, &self.desk.domain)?;
        }
        let sender = if *is_from_focus {
            Sender::Focus
        } else if self.door.is_home(source) {
            Sender::Home
        } else if is_known {
            Sender::Party
        } else if asker == Asker::Server && request.method == Method::Options {
            Sender::Anybody
        } else if request.method == Method::Ack {
            return Err(Status::FORBIDDEN.into());
        } else {
            self.door.identify(now, request, asker, &self.desk.domain)?
        };
        self.door.take_answers(&mut request.headers);
        policy::introduce(&mut request.headers, &sender);
        policy::withdraw_referrer(&mut request.headers, &sender, &self.desk.domain);
        passage.is_from_home = matches!(sender, Sender::Home | Sender::Focus);
        Ok(Errand { sender, asker, destination })
    }

    /// Tells whether a URI is that of a chat that the bridge hosts: at its address, and that of no user
    /// who has a name.
    fn is_hosted(&self, uri: &Uri) -> bool {
        let is_user = match self.desk.domain.whose_at_any_port(uri) {
            Whose::User(user) => self.registrar.is_named(&user),
            Whose::Server | Whose::Foreign => false,
        };
        let is_at_home =
            uri.hop().is_some_and(|hop| policy::leads_home(&hop, self.desk.home.as_ref()));
        is_at_home && !is_user && host::may_be_hosted(uri)
    }

    /// Decides what is to be done with a request.
    fn plan(&mut self, now: Instant, passage: &Passage, errand: &Errand) -> Result<Plan, Refusal> {
        let request = &passage.request;
        let is_room = |uri: &Uri| self.focus.as_ref().is_some_and(|focus| focus.serves(uri));
        let is_hosted = |uri: &Uri| self.is_hosted(uri);
        policy::check_name(&errand.sender, request, &self.desk.domain, (is_room, is_hosted))?;
        if errand.is_for_us() && request.method == Method::Register {
            return self.register(now, request).map(Plan::Answer);
        }
        match errand.destination.clone()? {
            Destination::Server => self.answer_as_server(request).map(Plan::Answer),
            Destination::Focus => Ok(self.ping_focus(request).map_or(Plan::Meet, Plan::Answer)),
            Destination::User(user) => self.targets(now, &user, request).map(Plan::Forward),
            Destination::Onward(target) => Ok(Plan::Forward(vec![vec![target]])),
        }
    }

    /// Hands what is for the focus to it; all other plans are carried out elsewhere.
    fn meet(&mut self, now: Instant, plan: Plan, passage: &Passage) -> Result<Plan, Refusal> {
        if let (Plan::Meet, Some(focus)) = (&plan, &mut self.focus) {
            focus.take(now, passage.request.clone(), passage.source.clone())?;
        }
        Ok(plan)
    }

    /// Answers those who ask what a room can do (RFC 3261 section 11.2).
    fn ping_focus(&self, request: &Request) -> Option<Response> {
        let is_ping = request.method == Method::Options && request.to_tag().is_none();
        let focus = self.focus.as_ref().filter(|_| is_ping)?;
        let mut response = self.desk.clerk.answer(request, Status::OK);
        response.headers.push("Allow", &focus.allow());
        response.headers.push("Allow-Events", crate::payload::conference::EVENT);
        response.headers.push("Supported", focus::OPTIONS.join(", ").as_str());
        Some(response)
    }

    /// Finds where a user is: at the registered contacts, else at home.
    fn targets(
        &self,
        now: Instant,
        user: &Address,
        request: &Request,
    ) -> Result<Vec<Vec<Target>>, Refusal> {
        if !self.registrar.exists(user) {
            return Err(Status::NOT_FOUND.into());
        }
        let mut rounds: Vec<Vec<Target>> = Vec::new();
        for rank in self.registrar.places(now, user) {
            rounds.push(rank.into_iter().filter_map(Target::of).collect());
        }
        if rounds.is_empty() {
            let home = self.desk.home.clone();
            rounds.extend(home.map(|hop| vec![Target { uri: None, path: Vec::new(), hop }]));
        }
        if request.uri.is_secure() {
            // Nothing below TLS is good enough for sips (RFC 3261 section 26.2.2).
            let is_secure = |target: &Target| target.hop.transport == Transport::Tls;
            rounds.iter_mut().for_each(|round| round.retain(is_secure));
        }
        rounds.retain(|round| !round.is_empty());
        if rounds.is_empty() { Err(Status::TEMPORARILY_UNAVAILABLE.into()) } else { Ok(rounds) }
    }

    fn register(&mut self, now: Instant, request: &Request) -> Result<Response, Refusal> {
        // Nobody takes the place of a room.
        let is_taken = |to: &crate::sip::NameAddr| {
            self.focus.as_ref().is_some_and(|focus| focus.serves(&to.uri))
        };
        let is_foreign = self.desk.domain.whose(&request.uri) == Whose::Foreign;
        if is_foreign || request.to().is_ok_and(|to| is_taken(&to)) {
            return Err(Status::FORBIDDEN.into());
        }
        let contacts = self.registrar.register(now, request, &self.desk.domain)?;
        let mut response = self.desk.clerk.answer(request, Status::OK);
        contacts.iter().for_each(|contact| response.headers.push("Contact", contact));
        // Whoever put itself in the way learns that it stays there (RFC 3327 section 5.3).
        response.headers.copy("Path", &request.headers);
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

/// Tells as what a request asks the server: as the registrar and the end of the way, or as a proxy.
fn asker_for(request: &Request, destination: &Result<Destination, Refusal>) -> Asker {
    let is_registration = request.method == Method::Register;
    match destination {
        Ok(Destination::Server | Destination::Focus) => Asker::Server,
        Ok(Destination::User(_)) | Err(_) if is_registration => Asker::Server,
        Ok(Destination::User(_) | Destination::Onward(_)) | Err(_) => Asker::Proxy,
    }
}

/// Sums up by what a request is known that has come twice, on two ways (RFC 3261 section 8.2.2.2).
fn identity_of(request: &Request) -> Option<String> {
    let cseq = request.cseq().ok()?;
    let (call_id, tag) = (request.call_id()?, request.from_tag()?);
    request.to_tag().is_none().then(|| format!("{call_id}\n{tag}\n{cseq}"))
}

/// What the server itself understands.
const ALLOW: &str = "OPTIONS, REGISTER";

#[cfg(test)]
mod tests;
