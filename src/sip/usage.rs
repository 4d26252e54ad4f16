//! What the usages beside INVITE and REGISTER have in common: where a request goes, what goes in
//! and comes out, and the desk that they write on.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::sip::dialog::Dialog;
use crate::sip::endpoint::{answer_options, unsupported};
use crate::sip::leg::preloaded_route;
use crate::sip::registration::retry_after;
use crate::sip::transaction::{
    ClientOutput, ClientTransaction, ServerOutput, ServerTransaction, TransactionKey,
};
use crate::sip::{
    Body, DigestClient, Headers, Hop, Kit, Message, Method, NameAddr, Request, Response, Status,
    Uri, reply_hop, response_to, stamp_source,
};

/// Where a request outside of any dialog goes, and in whose name.
#[derive(Debug, Clone)]
pub struct Errand {
    /// The Request-URI.
    pub target: Uri,
    /// Who sends; the usage adds the tag.
    pub from: NameAddr,
    /// Who is meant.
    pub to: NameAddr,
    /// Where the outbound proxy is reached, best first: each hop that fails gives way to the next
    /// (RFC 3263 section 4.3). Without any, the target names the hop.
    pub next_hops: Vec<Hop>,
    /// How the pre-loaded Route names the outbound proxy, where not by its first hop.
    pub proxy: Option<Hop>,
    /// The Route behind the outbound proxy (RFC 3608).
    pub route: Vec<NameAddr>,
    /// Further headers, as they stand.
    pub headers: Vec<(String, String)>,
    /// The user part of our Contact, where there is one.
    pub contact_user: Option<String>,
    /// The parameters of our Contact, each with its semicolon.
    pub contact_params: String,
}

impl Errand {
    /// Gives where the request goes; `None` where neither a proxy nor the target tells.
    pub(super) fn way(&self) -> Option<Way> {
        let mut hops = VecDeque::from(self.next_hops.clone());
        let hop = hops.pop_front().or_else(|| self.target.hop())?;
        Some(Way { hop, others: hops })
    }
}

/// Where a request outside of any dialog goes, and where else it may go.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// Where it goes now.
    pub(super) hop: Hop,
    /// The hops that are left to try.
    others: VecDeque<Hop>,
}

impl Way {
    /// The way to one place only.
    pub(super) fn to(hop: Hop) -> Self {
        Self { hop, others: VecDeque::new() }
    }
}

impl Body {
    /// Takes the body of a message, if it has one; its type is empty where nobody has told it.
    pub(super) fn of(headers: &Headers, bytes: &Bytes) -> Option<Self> {
        let content_type = headers.content_type().unwrap_or_default().to_owned();
        (!bytes.is_empty()).then(|| Self { content_type, bytes: bytes.clone() })
    }

    /// Puts the body into a request.
    pub(super) fn put(self, request: &mut Request) {
        request.headers.set("Content-Type", &self.content_type);
        request.body = self.bytes;
    }
}

/// What a usage is fed.
#[derive(Debug, Clone)]
pub enum UsageInput {
    /// A message whose route is this usage.
    Message {
        /// The message.
        message: Message,
        /// The other end of the path it came on.
        source: Hop,
    },
    /// The time of `next_timeout` has come.
    Timeout,
    /// A hop that we sent to cannot be reached.
    TransportFailed {
        /// That hop.
        hop: Hop,
    },
}

/// What a usage wishes, or reports as an event of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum UsageOutput<E> {
    /// Bytes to put on the wire.
    Send {
        /// The encoded message.
        bytes: Bytes,
        /// Where it goes.
        hop: Hop,
    },
    /// Something to know.
    Event(E),
    /// A hop is overloaded: nobody should send it anything new before that time has gone by (503
    /// with Retry-After, RFC 3261 section 21.5.4).
    Spare {
        /// That hop.
        hop: Hop,
        /// How long.
        wait: Duration,
    },
}

/// Why a request came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageFailure {
    /// It was refused with this status.
    Status(Status),
    /// Nobody has answered in 64\*T1.
    Timeout,
    /// The next hop cannot be reached, or there is none.
    Transport,
}

/// What became of a request of ours.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Its final response.
    Answer(Response),
    /// There is none: [`UsageFailure::Timeout`] or [`UsageFailure::Transport`].
    None(UsageFailure),
}

/// A request of ours on its way.
#[derive(Debug)]
struct Asking<A> {
    aim: A,
    client: ClientTransaction,
    /// Whether a provisional response has come.
    is_heard: bool,
}

/// A request of the peer that is no repetition.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) request: Request,
    pub(super) source: Hop,
    pub(super) key: TransactionKey,
}

/// Names, transactions and outputs of one usage; `A` tells what a request of ours aims at, `E` is
/// what the owner is told.
#[derive(Debug)]
pub(super) struct Desk<A, E> {
    pub(super) kit: Kit,
    pub(super) call_id: String,
    pub(super) local_tag: String,
    /// The value of our Contact.
    pub(super) contact: String,
    outputs: VecDeque<UsageOutput<E>>,
    digest: Option<DigestClient>,
    asking: Vec<Asking<A>>,
    /// Whether the last request that got no answer was heard all the same.
    was_heard: bool,
    servers: Vec<ServerTransaction>,
}

impl<A: Copy + PartialEq, E> Desk<A, E> {
    /// For a usage that we begin, or that a request with this Call-ID begins.
    pub(super) fn new(mut kit: Kit, call_id: Option<&str>) -> Self {
        let call_id = call_id.map_or_else(|| kit.random.token(), str::to_owned);
        Self {
            local_tag: kit.random.token(),
            digest: kit.local.credentials.clone().map(DigestClient::new),
            kit,
            call_id,
            contact: String::new(),
            outputs: VecDeque::new(),
            asking: Vec::new(),
            was_heard: false,
            servers: Vec::new(),
        }
    }

    pub(super) fn poll(&mut self) -> Option<UsageOutput<E>> {
        self.outputs.pop_front()
    }

    pub(super) fn event(&mut self, event: E) {
        self.outputs.push_back(UsageOutput::Event(event));
    }

    fn send(&mut self, bytes: Bytes, hop: Hop) {
        self.outputs.push_back(UsageOutput::Send { bytes, hop });
    }

    /// Builds the first request of a usage, all but its Via (RFC 3261 section 8.1.1).
    pub(super) fn begin(&mut self, method: Method, errand: &Errand) -> Request {
        let local = &self.kit.local;
        let user = errand.contact_user.as_deref();
        let transport = errand.way().map_or(local.hop.transport, |way| way.hop.transport);
        let security = (transport, errand.target.is_secure());
        self.contact = local.write_contact(security, user, &errand.contact_params);
        let mut headers = Headers::new();
        headers.push("Max-Forwards", "70");
        if let Some(proxy) = errand.proxy.as_ref().or(errand.next_hops.first()) {
            headers.push("Route", &preloaded_route(proxy, ""));
        }
        for proxy in &errand.route {
            headers.push("Route", &proxy.to_string());
        }
        headers.push("From", &errand.from.clone().with_tag(&self.local_tag).to_string());
        headers.push("To", &errand.to.clone().without_tag().to_string());
        headers.push("Call-ID", &self.call_id);
        headers.push("CSeq", &format!("{FIRST_CSEQ} {method}"));
        // A MESSAGE makes no dialog, and so has no Contact (RFC 3428 section 4).
        if method != Method::Message {
            headers.push("Contact", &self.contact);
        }
        self.push_abilities(&mut headers);
        headers.push("User-Agent", &self.kit.local.user_agent);
        for (name, value) in &errand.headers {
            headers.push(name, value);
        }
        let uri = errand.target.without_headers();
        Request { method, uri, headers, body: Bytes::new() }
    }

    /// Builds the next request within a dialog, all but its Via.
    pub(super) fn within(&self, dialog: &mut Dialog, method: Method) -> Request {
        let mut request = dialog.request(method);
        request.headers.push("Contact", &self.contact);
        self.push_abilities(&mut request.headers);
        request.headers.push("User-Agent", &self.kit.local.user_agent);
        request
    }

    /// Sends a request in a transaction of its own, with a fresh branch and with what credentials
    /// those on its way have asked for. What is too large for a datagram goes by TCP.
    pub(super) fn post(&mut self, now: Instant, request: &mut Request, hop: Hop, aim: A) {
        request.headers.remove("Via");
        request.headers.push_front("Via", &self.kit.via(hop.transport));
        if let Some(digest) = &mut self.digest {
            digest.authorize(request);
        }
        let sizes = (self.kit.timers, self.kit.local.datagram);
        let mut client = ClientTransaction::fitting(now, request, hop, sizes);
        if let Some(ClientOutput::Send { bytes, hop }) = client.poll() {
            self.send(bytes, hop);
        }
        self.asking.push(Asking { aim, client, is_heard: false });
    }

    /// Sends a request outside of a dialog anew, under the next number (section 8.1.3.5).
    pub(super) fn post_again(&mut self, now: Instant, request: &mut Request, hop: Hop, aim: A) {
        let number = request.cseq().map_or(FIRST_CSEQ, |cseq| cseq.number).saturating_add(1);
        request.headers.set("CSeq", &format!("{number} {}", request.method));
        self.post(now, request, hop, aim);
    }

    /// Sends a request outside of a dialog to the next hop, if its outcome says that this one fails
    /// and another is left; tells whether it did. It is the same but for its branch, and for the
    /// count of its credentials (RFC 3263 section 4.3). Who has said that he works on it, and then
    /// says no more, is no hop that fails: another would only do it twice.
    pub(super) fn post_elsewhere(
        &mut self,
        now: Instant,
        (request, way): (&mut Request, &mut Way),
        (outcome, aim): (&Outcome, A),
    ) -> bool {
        match outcome {
            Outcome::Answer(response) if response.status == Status::SERVICE_UNAVAILABLE => {
                if let Some(wait) = retry_after(&response.headers) {
                    let hop = way.hop.clone();
                    self.outputs.push_back(UsageOutput::Spare { hop, wait });
                }
            }
            Outcome::None(UsageFailure::Timeout) if self.was_heard => return false,
            Outcome::Answer(_) => return false,
            Outcome::None(_) => {}
        }
        let Some(hop) = way.others.pop_front() else { return false };
        way.hop = hop.clone();
        self.post(now, request, hop, aim);
        true
    }

    /// Takes a final response; tells whether its request is to be sent anew, with credentials.
    pub(super) fn accepts_challenge(&mut self, response: &Response) -> bool {
        let asks = [Status::UNAUTHORIZED, Status::PROXY_AUTHENTICATION_REQUIRED];
        let Some(digest) = &mut self.digest else { return false };
        if asks.contains(&response.status) {
            return digest.learn(&mut self.kit.random, response).is_ok();
        }
        digest.settle();
        if response.status.is_success() {
            digest.take_next_nonce(response);
        }
        false
    }

    /// Tells whether a request with this aim has no final response.
    pub(super) fn is_asking(&self, aim: A) -> bool {
        self.asking.iter().any(|asking| asking.aim == aim)
    }

    /// Hands a response to its transaction; one that belongs to none is done with.
    pub(super) fn handle_response(&mut self, now: Instant, response: Response) {
        // More than one Via: the response was never meant for us (section 8.1.3.3).
        if response.headers.list("Via").count() != 1 {
            return;
        }
        let key = TransactionKey::of_response(&response);
        if let Some(asking) = self.asking.iter_mut().find(|it| *it.client.key() == key) {
            asking.is_heard = true;
            asking.client.handle_response(now, response);
        }
    }

    /// Takes a request: `None` where it is a repetition, or nothing that the usage must hear of.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        mut request: Request,
        source: Hop,
    ) -> Option<Inbound> {
        stamp_source(&mut request, &source);
        let key = TransactionKey::of_request(&request);
        if request.method == Method::Ack {
            return None;
        }
        if let Some(server) = self.servers.iter_mut().find(|server| *server.key() == key) {
            server.handle_request(now, &request);
            self.settle_servers();
            return None;
        }
        let inbound = Inbound { request, source, key };
        if inbound.request.method == Method::Cancel {
            self.answer_cancel(&inbound);
            return None;
        }
        Some(inbound)
    }

    /// A CANCEL is answered, and changes nothing here (RFC 6665 section 4.6).
    fn answer_cancel(&mut self, cancel: &Inbound) {
        let target = TransactionKey::cancelled_by(&cancel.request);
        let is_known = self.servers.iter().any(|server| *server.key() == target);
        let status = if is_known { Status::OK } else { Status::CALL_DOES_NOT_EXIST };
        let response = self.response(&cancel.request, status);
        self.answer_stateless(cancel, &response);
    }

    /// Opens the transaction of a request; not, if a hostile peer has opened too many.
    pub(super) fn open(&mut self, now: Instant, inbound: &Inbound) -> bool {
        if self.servers.len() >= MAX_SERVERS {
            let mut busy = self.response(&inbound.request, Status::SERVICE_UNAVAILABLE);
            busy.headers.push("Retry-After", "32");
            self.answer_stateless(inbound, &busy);
            return false;
        }
        let timers = self.kit.timers;
        let server = ServerTransaction::new(now, &inbound.request, &inbound.source, timers);
        self.servers.push(server);
        true
    }

    /// Answers in the transaction `key`, if it is still there.
    pub(super) fn respond(&mut self, now: Instant, key: &TransactionKey, response: &Response) {
        if let Some(server) = self.servers.iter_mut().find(|server| server.key() == key) {
            server.respond(now, response);
        }
        self.settle_servers();
    }

    /// Answers at once; tells whether there was room for the transaction.
    pub(super) fn answer(&mut self, now: Instant, inbound: &Inbound, response: &Response) -> bool {
        let is_open = self.open(now, inbound);
        self.respond(now, &inbound.key, response);
        is_open
    }

    pub(super) fn refuse(&mut self, now: Instant, inbound: &Inbound, status: Status) {
        let refusal = self.response(&inbound.request, status);
        self.answer(now, inbound, &refusal);
    }

    fn answer_stateless(&mut self, inbound: &Inbound, response: &Response) {
        let hop = match inbound.request.via() {
            Ok(via) => reply_hop(&via, &inbound.source),
            Err(_) => inbound.source.clone(),
        };
        self.send(response.encode(), hop);
    }

    /// Builds a response with our tag.
    pub(super) fn response(&self, request: &Request, status: Status) -> Response {
        let mut response = response_to(request, status, Some(&self.local_tag));
        response.headers.push("Server", &self.kit.local.user_agent);
        response
    }

    /// Builds a response that belongs to the dialog: with Record-Route and Contact (RFC 3261
    /// section 12.1.1).
    pub(super) fn dialog_response(&self, request: &Request, status: Status) -> Response {
        let mut response = self.response(request, status);
        response.headers.copy("Record-Route", &request.headers);
        response.headers.push("Contact", &self.contact);
        self.push_abilities(&mut response.headers);
        response
    }

    /// Gives the 420 for a request that requires what we cannot do.
    pub(super) fn objection(&self, request: &Request) -> Option<Response> {
        unsupported(request, &self.kit.local.supported, &self.local_tag)
    }

    /// Answers a request in a dialog whose usage has no use for its method.
    pub(super) fn answer_plainly(&mut self, now: Instant, inbound: &Inbound) {
        let request = &inbound.request;
        let response = match request.method {
            Method::Options => {
                answer_options(self.response(request, Status::OK), &self.kit.local, &self.contact)
            }
            // These belong to a usage that this dialog does not have.
            Method::Bye | Method::Notify | Method::Subscribe | Method::Update | Method::Prack => {
                self.response(request, Status::CALL_DOES_NOT_EXIST)
            }
            Method::Invite
            | Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Refer
            | Method::Message
            | Method::Info
            | Method::Publish => self.with_allow(request, Status::METHOD_NOT_ALLOWED),
            Method::Other(_) => self.with_allow(request, Status::NOT_IMPLEMENTED),
        };
        self.answer(now, inbound, &response);
    }

    fn with_allow(&self, request: &Request, status: Status) -> Response {
        let mut response = self.response(request, status);
        response.headers.push("Allow", &self.kit.local.allow);
        response
    }

    /// Adds what tells the peer what we can do.
    fn push_abilities(&self, headers: &mut Headers) {
        self.kit.local.push_abilities(headers);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.asking.iter_mut().for_each(|asking| asking.client.handle_timeout(now));
        self.servers.iter_mut().for_each(|server| server.handle_timeout(now));
        self.settle_servers();
    }

    pub(super) fn handle_transport_failure(&mut self, now: Instant, hop: &Hop) {
        let clients = self.asking.iter_mut().map(|asking| &mut asking.client);
        clients.filter(|client| client.hop() == hop).for_each(|it| it.handle_transport_error(now));
    }

    /// Gives what became of the next request of ours that is decided; its transaction is dropped
    /// with it, as nobody wants to know of a repetition.
    pub(super) fn poll_client(&mut self) -> Option<(A, Outcome)> {
        let mut at = 0;
        while let Some(Asking { aim, client, is_heard }) = self.asking.get_mut(at) {
            let (aim, is_heard) = (*aim, *is_heard);
            let outcome = match client.poll() {
                Some(ClientOutput::Send { bytes, hop }) => {
                    self.send(bytes, hop);
                    continue;
                }
                Some(ClientOutput::Response(response)) if !response.status.is_final() => continue,
                Some(ClientOutput::Response(response)) => Outcome::Answer(response),
                Some(ClientOutput::TimedOut) => Outcome::None(UsageFailure::Timeout),
                Some(ClientOutput::TransportError) => Outcome::None(UsageFailure::Transport),
                Some(ClientOutput::Terminated) => {
                    self.asking.remove(at);
                    continue;
                }
                None => {
                    at += 1;
                    continue;
                }
            };
            self.asking.remove(at);
            self.was_heard = is_heard;
            return Some((aim, outcome));
        }
        None
    }

    fn settle_servers(&mut self) {
        let mut at = 0;
        while let Some(server) = self.servers.get_mut(at) {
            match server.poll() {
                Some(ServerOutput::Send { bytes, hop }) => self.send(bytes, hop),
                // Of an INVITE only, which no usage here answers with more than a refusal.
                Some(ServerOutput::Ack(_) | ServerOutput::TimedOut) => {}
                Some(ServerOutput::Terminated) => {
                    self.servers.remove(at);
                }
                None => at += 1,
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let clients = self.asking.iter().filter_map(|asking| asking.client.next_timeout());
        let servers = self.servers.iter().filter_map(ServerTransaction::next_timeout);
        clients.chain(servers).min()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.asking.is_empty() && self.servers.is_empty() && self.outputs.is_empty()
    }
}

/// The first number of a dialog; any below 2^31 will do (RFC 3261 section 8.1.1.5).
const FIRST_CSEQ: u32 = 1;

/// More requests at a time than any honest peer has open: a busy conference may send some dozens
/// of NOTIFYs within the 32 s for which a datagram's answer is kept.
const MAX_SERVERS: usize = 128;

#[cfg(test)]
pub(super) mod tests;
