//! What a leg writes on: its names, its transactions, and the queue of its outputs.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::refer::ReferId;
use super::session::Closing;
use super::{Kit, LegEvent, LegOutput, Local, NoAnswer};
use crate::sip::transaction::{
    ClientOutput, ClientTransaction, ServerOutput, ServerTransaction, TransactionKey,
};
use crate::sip::{
    DigestClient, Headers, Hop, Method, Request, Response, Status, Transport, Uri, reply_hop,
    response_to,
};

/// Names, transactions and outputs of one leg.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) kit: Kit,
    pub(super) call_id: String,
    pub(super) local_tag: String,
    /// The value of our Contact.
    pub(super) contact: String,
    pub(super) outputs: VecDeque<LegOutput>,
    /// The head of our last INVITE within the dialog: its ACK has the same credentials.
    pub(super) reinvite: Headers,
    /// Answers those who ask who we are, if we have something to answer.
    digest: Option<Box<DigestClient>>,
    clients: Vec<(Purpose, ClientTransaction)>,
    servers: Vec<ServerTransaction>,
}

/// What a request of ours was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To begin.
    Invite,
    /// To take the INVITE back.
    Cancel,
    /// To end the dialog.
    Bye,
    /// To end a dialog beside ours that a fork of the INVITE made.
    ForkBye,
    /// What another one has taken the place of: with credentials, or with a longer interval.
    Superseded,
    /// To change or to refresh the session.
    Renew,
    /// To acknowledge a reliable provisional response.
    Prack,
    /// To refer the peer to others.
    Refer(ReferId),
    /// To tell what came of a REFER of the peer.
    Notify(ReferId),
}

/// What became of a request of ours.
#[derive(Debug)]
pub(super) enum Report {
    Response(Response),
    Failed(NoAnswer),
    Terminated,
}

/// A request of the peer that is no repetition.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) request: Request,
    pub(super) source: Hop,
    pub(super) key: TransactionKey,
}

impl Desk {
    pub(super) fn new(mut kit: Kit, call_id: Option<&str>) -> Self {
        let call_id = call_id.map_or_else(|| kit.random.token(), str::to_owned);
        let local_tag = kit.random.token();
        let digest = kit.local.credentials.clone().map(DigestClient::new).map(Box::new);
        Self {
            kit,
            call_id,
            local_tag,
            contact: String::new(),
            outputs: VecDeque::new(),
            reinvite: Headers::new(),
            digest,
            clients: Vec::new(),
            servers: Vec::new(),
        }
    }

    /// Gives the next output. An idle leg keeps no room for more.
    pub(super) fn poll(&mut self) -> Option<LegOutput> {
        let output = self.outputs.pop_front();
        if output.is_none() {
            self.outputs = VecDeque::new();
        }
        output
    }

    pub(super) fn event(&mut self, event: LegEvent) {
        self.outputs.push_back(LegOutput::Event(event));
    }

    pub(super) fn send(&mut self, bytes: Bytes, hop: Hop) {
        self.outputs.push_back(LegOutput::Send { bytes, hop });
    }

    /// Sends a request in a transaction of its own; what is too large for a datagram goes by TCP.
    pub(super) fn request(&mut self, now: Instant, request: &Request, hop: Hop, purpose: Purpose) {
        let sizes = (self.kit.timers, self.kit.local.datagram);
        let mut client = ClientTransaction::fitting(now, request, hop, sizes);
        if let Some(ClientOutput::Send { bytes, hop }) = client.poll() {
            self.send(bytes, hop);
        }
        // Few legs ever have more than one or two.
        self.clients.reserve_exact(1);
        self.clients.push((purpose, client));
    }

    /// Opens the server transaction of a request; not, if a hostile peer has opened too many.
    pub(super) fn open(&mut self, now: Instant, inbound: &Inbound) -> bool {
        if self.servers.len() >= MAX_SERVERS {
            let mut busy = self.response(&inbound.request, Status::SERVICE_UNAVAILABLE);
            busy.headers.push("Retry-After", "32");
            self.answer_stateless(inbound, &busy);
            return false;
        }
        let (request, source) = (&inbound.request, &inbound.source);
        self.servers.reserve_exact(1);
        self.servers.push(ServerTransaction::new(now, request, source, self.kit.timers));
        true
    }

    /// Answers in the transaction `key`; gives the hop, or `None` if that transaction is gone.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        key: &TransactionKey,
        response: &Response,
    ) -> Option<Hop> {
        let server = self.servers.iter_mut().find(|server| server.key() == key)?;
        let hop = server.hop().clone();
        server.respond(now, response);
        if let Some(ServerOutput::Send { bytes, hop }) = server.poll() {
            self.send(bytes, hop);
        }
        Some(hop)
    }

    /// Answers without keeping any state, so that nobody can make the leg grow or live on.
    pub(super) fn answer_stateless(&mut self, inbound: &Inbound, response: &Response) {
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

    /// Adds what tells the peer what we can do.
    pub(super) fn push_abilities(&self, headers: &mut Headers) {
        self.kit.local.push_abilities(headers);
    }

    /// Takes a refusal; tells whether the request is to be sent anew, with credentials. What is
    /// neither 401 nor 407 has got through with those that it had.
    pub(super) fn accepts_challenge(&mut self, response: &Response) -> bool {
        let asks = [Status::UNAUTHORIZED, Status::PROXY_AUTHENTICATION_REQUIRED];
        let Some(digest) = &mut self.digest else { return false };
        if !asks.contains(&response.status) {
            digest.settle();
            return false;
        }
        digest.learn(&mut self.kit.random, response).is_ok()
    }

    /// Gives a request that is sent anew the place of what was sent before for this purpose.
    pub(super) fn supersede(&mut self, purpose: Purpose) {
        let clients = self.clients.iter_mut().filter(|(known, _)| *known == purpose);
        clients.for_each(|(known, _)| *known = Purpose::Superseded);
    }

    /// Takes note that a request got through with the credentials that it had.
    pub(super) fn settle_credentials(&mut self, response: &Response) {
        if let Some(digest) = &mut self.digest {
            digest.settle();
            digest.take_next_nonce(response);
        }
    }

    /// Puts the credentials into a request that those who have asked before would ask for again.
    pub(super) fn authorize(&mut self, request: &mut Request) {
        if let Some(digest) = &mut self.digest {
            digest.authorize(request);
        }
    }

    /// Says BYE in a dialog.
    pub(super) fn bye(&mut self, now: Instant, closing: &mut Closing, purpose: Purpose) {
        let hop = closing.dialog.next_hop().unwrap_or_else(|| closing.fallback.clone());
        let mut bye = closing.dialog.request(Method::Bye);
        bye.headers.push_front("Via", &self.via(hop.transport));
        bye.headers.push("User-Agent", &self.kit.local.user_agent);
        if let Some(reason) = &closing.reason {
            bye.headers.push("Reason", &reason.to_string());
        }
        self.authorize(&mut bye);
        self.request(now, &bye, hop, purpose);
    }

    /// Writes a Via with a fresh branch.
    pub(super) fn via(&mut self, transport: Transport) -> String {
        self.kit.via(transport)
    }

    /// Settles our Contact in what travels over `transport`: our GRUU, or else our address there,
    /// with the user part that the peer knows or shall know.
    pub(super) fn set_contact(
        &mut self,
        security: (Transport, bool),
        user: Option<&str>,
        params: &str,
    ) {
        self.contact = self.kit.local.write_contact(security, user, params);
    }

    /// Hands a response to its transaction; gives it back where there is none.
    pub(super) fn handle_response(&mut self, now: Instant, response: Response) -> Option<Response> {
        let key = TransactionKey::of_response(&response);
        match self.clients.iter_mut().find(|(_, client)| *client.key() == key) {
            Some((_, client)) => client.handle_response(now, response),
            None => return Some(response),
        }
        None
    }

    /// Lets the transaction of a request that is already known deal with it.
    pub(super) fn is_repetition(
        &mut self,
        now: Instant,
        key: &TransactionKey,
        request: &Request,
    ) -> bool {
        let Some(server) = self.servers.iter_mut().find(|server| server.key() == key) else {
            return false;
        };
        server.handle_request(now, request);
        true
    }

    pub(super) fn knows(&self, key: &TransactionKey) -> bool {
        self.servers.iter().any(|server| server.key() == key)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.clients.iter_mut().for_each(|(_, client)| client.handle_timeout(now));
        self.servers.iter_mut().for_each(|server| server.handle_timeout(now));
    }

    pub(super) fn handle_transport_failure(&mut self, now: Instant, hop: &Hop) {
        let clients = self.clients.iter_mut().map(|(_, client)| client);
        clients.filter(|client| client.hop() == hop).for_each(|it| it.handle_transport_error(now));
    }

    /// Gives where the last request for this purpose went, by the transport that it went by.
    pub(super) fn way_of(&self, purpose: Purpose) -> Option<Hop> {
        let mut clients = self.clients.iter().rev();
        clients.find(|(known, _)| *known == purpose).map(|(_, client)| client.hop().clone())
    }

    /// Drops the transaction of our INVITE: what comes now comes too late (section 9.1).
    pub(super) fn drop_invite(&mut self) {
        self.clients.retain(|(purpose, _)| *purpose != Purpose::Invite);
    }

    /// Drops the transactions of our re-INVITEs and UPDATEs.
    pub(super) fn drop_renewals(&mut self) {
        self.clients.retain(|(purpose, _)| *purpose != Purpose::Renew);
    }

    /// Tells whether a request for this purpose may still be answered.
    pub(super) fn has(&self, purpose: Purpose) -> bool {
        self.count(purpose) > 0
    }

    /// Counts the requests for this purpose that may still be answered.
    pub(super) fn count(&self, purpose: Purpose) -> usize {
        self.clients.iter().filter(|(known, _)| *known == purpose).count()
    }

    /// Gives the next report of a request of ours; sendings go to the outputs.
    pub(super) fn poll_client(&mut self) -> Option<(Purpose, Report)> {
        let mut at = 0;
        while let Some((purpose, client)) = self.clients.get_mut(at) {
            let purpose = *purpose;
            match client.poll() {
                Some(ClientOutput::Send { bytes, hop }) => self.send(bytes, hop),
                Some(ClientOutput::Response(response)) => {
                    return Some((purpose, Report::Response(response)));
                }
                Some(ClientOutput::TimedOut) => {
                    return Some((purpose, Report::Failed(NoAnswer::Timeout)));
                }
                Some(ClientOutput::TransportError) => {
                    return Some((purpose, Report::Failed(NoAnswer::Transport)));
                }
                Some(ClientOutput::Terminated) => {
                    self.clients.remove(at);
                    return Some((purpose, Report::Terminated));
                }
                None => at += 1,
            }
        }
        None
    }

    /// Gives the next ACK that a transaction leaves to us; sendings go to the outputs.
    pub(super) fn poll_server(&mut self) -> Option<Request> {
        let mut at = 0;
        while let Some(server) = self.servers.get_mut(at) {
            match server.poll() {
                Some(ServerOutput::Send { bytes, hop }) => self.send(bytes, hop),
                Some(ServerOutput::Ack(ack)) => return Some(ack),
                // Whoever does not ACK our refusal was not told, but nothing can be done for him.
                Some(ServerOutput::TimedOut) => {}
                Some(ServerOutput::Terminated) => {
                    self.servers.remove(at);
                }
                None => at += 1,
            }
        }
        None
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let clients = self.clients.iter().filter_map(|(_, client)| client.next_timeout());
        let servers = self.servers.iter().filter_map(ServerTransaction::next_timeout);
        clients.chain(servers).min()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.clients.is_empty() && self.servers.is_empty() && self.outputs.is_empty()
    }
}

impl Local {
    /// Writes a Contact for what travels over `transport`: our GRUU, or else our address there with
    /// a user part; and parameters, each with its semicolon.
    pub(in crate::sip) fn write_contact(
        &self,
        (transport, secure): (Transport, bool),
        user: Option<&str>,
        params: &str,
    ) -> String {
        if let Some(gruu) = self.gruu.as_ref().filter(|gruu| gruu.is_secure() || !secure) {
            return format!("<{gruu}>{params}");
        }
        let hop = self.contact(transport);
        let authority = hop.authority();
        let uri = Uri::sip(user, &authority).map_or_else(|_| authority, |uri| uri.to_string());
        let uri = uri.strip_prefix("sip:").unwrap_or(&uri);
        // The scheme `sips` says TLS by itself (RFC 3261 section 26.2.2).
        let (scheme, param) = match (secure, hop.transport) {
            (true, Transport::Tls) => ("sips", String::new()),
            (true, Transport::Udp | Transport::Tcp) => ("sips", transport_param(hop.transport)),
            (false, transport) => ("sip", transport_param(transport)),
        };
        format!("<{scheme}:{uri}{param}>{params}")
    }

    /// Adds what tells a peer what we can do (RFC 6665 section 4.4.4 for the last of it).
    pub(in crate::sip) fn push_abilities(&self, headers: &mut Headers) {
        headers.push("Allow", &self.allow);
        if !self.supported.is_empty() {
            headers.push("Supported", &self.supported.join(", "));
        }
        if !self.events.is_empty() {
            headers.push("Allow-Events", &self.events.join(", "));
        }
    }

    /// Tells whether a request with this method finds somebody who understands it.
    pub(in crate::sip) fn allows(&self, method: &Method) -> bool {
        self.allow.split(',').any(|allowed| allowed.trim() == method.as_str())
    }
}

/// Writes the Route through an outbound proxy; `params`, each with its semicolon, are for it alone.
pub(in crate::sip) fn preloaded_route(proxy: &Hop, params: &str) -> String {
    format!("<sip:{};lr{}{params}>", proxy.authority(), transport_param(proxy.transport))
}

/// Names the transport in a URI; UDP is what everybody expects without.
fn transport_param(transport: Transport) -> String {
    match transport {
        Transport::Udp => String::new(),
        Transport::Tcp | Transport::Tls => format!(";transport={}", transport.param()),
    }
}

/// More requests at a time than any honest peer has open in one dialog.
const MAX_SERVERS: usize = 16;
