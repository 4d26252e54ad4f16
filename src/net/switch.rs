//! The switch: every SIP message to the conversation it belongs to, every new one to a new driver.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::core::Core;
use super::driver::{Driver, DriverKit, StartReply, now};
use super::hosting::HostDoor;
use super::sip_outbound::{Inbound, stateless};
use crate::address::Address;
use crate::bridge::{Access, ConversationKit, Reports, Settings, Talk, reports_in};
use crate::chat::Refusal;
use crate::clock::Anchor;
use crate::ids::Random;
use crate::sip::{
    DialogKey, Hop, Message, Method, Request, Response, Route, Status, accept_stateless,
    answer_stateless, route, stray,
};
use crate::store::connections::OnFailure;
use crate::store::durable::Health;
use crate::store::{
    Inbox, Letter, Letters, NotTaken, Opening, Receipt, Receipted, RegistrationLetter, Returned,
    Start, Subscriptions, Ticket,
};

/// How long a message from a stream waits for room in a full inbox.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens conversations and finds the running ones.
pub struct Switch {
    /// What every driver works with.
    pub kit: DriverKit,
    /// How conversations behave.
    pub settings: Arc<Settings>,
    /// Tells which users have a client.
    pub subscriptions: Arc<Subscriptions>,
    /// Tells whether what an invitation brings could be kept.
    pub store: Health,
    /// From whom invitations are taken.
    pub neighbours: Neighbours,
    /// The host of our users' groups, if they host them themselves.
    pub host: Option<HostDoor>,
    /// How many messages may wait for room in a full inbox, each behind its own connection.
    pub patience: Arc<Semaphore>,
    /// Wall time.
    pub anchor: Anchor,
    /// Randomness.
    pub random: Random,
    /// The tasks of the server.
    pub tasks: TaskTracker,
}

/// From whom invitations are taken, and whose word for who their users are is believed (RFC 3325).
#[derive(Debug, Clone, Default)]
pub struct Neighbours {
    /// Hosts of our trust domain, whatever port they send from.
    pub hosts: BTreeSet<IpAddr>,
    /// An element of our trust domain that shares its host with others: over UDP, its port counts.
    pub element: Option<SocketAddr>,
    /// The core, whose addresses may change while we run.
    pub core: Option<Core>,
    /// Whether the core belongs to our trust domain.
    pub trusts_core: bool,
}

impl Neighbours {
    /// Tells whether a message from `source` comes from a neighbour, believed or not.
    #[must_use]
    pub fn include(&self, source: &Hop) -> bool {
        self.trust(source) || self.is_core(source)
    }

    /// Tells whether a message from `source` comes from within our trust domain.
    #[must_use]
    pub fn trust(&self, source: &Hop) -> bool {
        let Some(ip) = address_of(source) else { return false };
        let element = self.element.is_some_and(|element| {
            element.ip() == ip && (source.transport.is_reliable() || element.port() == source.port)
        });
        element || self.hosts.contains(&ip) || (self.trusts_core && self.is_core(source))
    }

    fn is_core(&self, source: &Hop) -> bool {
        let lives_at = |ip| self.core.as_ref().is_some_and(|core| core.lives_at(ip));
        address_of(source).is_some_and(lives_at)
    }
}

fn address_of(source: &Hop) -> Option<IpAddr> {
    source.host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// Routes until the server stops or both sources have dried up.
pub async fn run(
    mut switch: Switch,
    mut inbound: mpsc::Receiver<Inbound>,
    mut starts: mpsc::Receiver<Start>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(Inbound { message, source }) = inbound.recv() => switch.route(message, source),
            Some(Start { opening, reply }) = starts.recv() => switch.start(opening, reply),
            else => return,
        }
    }
}

impl Switch {
    fn start(&mut self, opening: Opening, reply: StartReply) {
        // Who has stopped waiting was told of a failure: no INVITE may follow it.
        if reply.is_closed() {
            return;
        }
        let access = self.access_of(opening.user());
        let way = access.and_then(|access| {
            let hops = self.kit.core.hops(now(), &mut self.random)?;
            Ok((Arc::clone(&access), access.order(hops)))
        });
        let way = match way.and_then(|way| self.kit.sessions.admit().map(|()| way)) {
            Ok(way) => way,
            Err(refusal) => {
                drop(reply.send(Ticket::new(Err(refusal)).0));
                return;
            }
        };
        let kit = self.conversation_kit(way);
        let talk = match opening {
            Opening::Pair(invitation) => Talk::originate(now(), kit, *invitation),
            Opening::Group(invitation) => Talk::originate_group(now(), kit, *invitation),
        };
        match talk {
            Ok(talk) => {
                info!(session = %talk.id(), user = %talk.user(), "session opened");
                self.spawn(talk, Inbox::new(self.kit.sessions.inbox_size()), None, Some(reply));
            }
            Err(refusal) => {
                self.kit.sessions.dismiss();
                drop(reply.send(Ticket::new(Err(refusal)).0));
            }
        }
    }

    /// Finds how requests of a user reach the core: by its registration, where the bridge registers
    /// its users, else as those of everybody.
    fn access_of(&self, user: &Address) -> Result<Arc<Access>, Refusal> {
        match &self.kit.registrations {
            Some(registrations) => registrations.originating(now(), user),
            None => Ok(Arc::default()),
        }
    }

    fn route(&mut self, message: Message, source: Hop) {
        let Some(message) = self.to_registrations(message) else { return };
        let Some(message) = self.to_host(message, &source) else { return };
        match route(&message) {
            Route::Response(key) | Route::InDialog(key) => match self.kit.sessions.dialog(&key) {
                Some(inbox) => self.offer(&inbox, message, source),
                None => self.answer_stray(&message, &source),
            },
            Route::Initial(key) => match (self.caller(&key, &message), message) {
                (Some(inbox), message) => self.offer(&inbox, message, source),
                (None, Message::Request(request)) if request.method == Method::Invite => {
                    self.admit(request, source, key);
                }
                (None, Message::Request(request)) if request.method == Method::Message => {
                    self.take_message(request, &source);
                }
                (None, message) => self.answer_stray(&message, &source),
            },
            Route::Malformed => debug!(%source, "SIP message without identity, dropped"),
        }
    }

    /// Hands a response to a REGISTER to the keeper of the registrations; gives back all else.
    fn to_registrations(&self, message: Message) -> Option<Message> {
        let Some(registrations) = &self.kit.registrations else { return Some(message) };
        match message {
            Message::Response(response)
                if response.cseq().is_ok_and(|cseq| cseq.method == Method::Register) =>
            {
                if !registrations.offer(RegistrationLetter::Response(response)) {
                    warn!("too many responses to REGISTER wait, dropped");
                }
                None
            }
            message @ (Message::Response(_) | Message::Request(_)) => Some(message),
        }
    }

    /// Hands the host what is for it: its requests by their URI, and the responses that no
    /// conversation waits for; gives back all else.
    fn to_host(&self, message: Message, source: &Hop) -> Option<Message> {
        let Some(host) = &self.host else { return Some(message) };
        match message {
            Message::Request(request) if host.is_for(&request) => {
                if let Some(request) = host.take(request, source, &self.neighbours)
                    && request.method != Method::Ack
                {
                    self.send(answer_stateless(&request, Status::FORBIDDEN), source);
                }
                None
            }
            Message::Request(request) => Some(Message::Request(request)),
            Message::Response(response) => {
                let message = Message::Response(response);
                let is_known = match route(&message) {
                    Route::Response(key) => self.kit.sessions.dialog(&key).is_some(),
                    Route::InDialog(_) | Route::Initial(_) | Route::Malformed => true,
                };
                match message {
                    Message::Response(response) if !is_known => {
                        host.take_response(response, source);
                        None
                    }
                    message @ (Message::Request(_) | Message::Response(_)) => Some(message),
                }
            }
        }
    }

    /// Finds the conversation that the sender of an initial request has opened before.
    fn caller(&self, key: &DialogKey, message: &Message) -> Option<Inbox> {
        let cseq = match message {
            Message::Request(request) if request.method == Method::Invite => {
                request.cseq().ok().map(|cseq| cseq.number)
            }
            Message::Request(_) | Message::Response(_) => None,
        };
        self.kit.sessions.caller(key, cseq)
    }

    /// Puts a message in its conversation's inbox. Where that is full, a datagram is dropped, for
    /// it will be sent again; what came on a stream waits for room.
    fn offer(&self, inbox: &Inbox, message: Message, source: Hop) {
        let reliable = source.transport.is_reliable();
        match inbox.offer(Letter::Sip { message, source: source.clone() }) {
            Ok(()) => {}
            Err(Returned { why: NotTaken::Gone, .. }) => {
                debug!(%source, "a message came after its conversation");
            }
            Err(Returned { why: NotTaken::Full, letter }) if reliable => {
                self.insist(inbox.clone(), *letter);
            }
            Err(Returned { why: NotTaken::Full, .. }) => {
                warn!(%source, "a conversation's inbox is full");
            }
        }
    }

    fn insist(&self, inbox: Inbox, letter: Letter) {
        let Ok(place) = Arc::clone(&self.patience).try_acquire_owned() else {
            warn!("too many messages wait for full inboxes, dropped");
            return;
        };
        self.tasks.spawn(async move {
            let _place = place;
            if timeout(PATIENCE, inbox.deliver(letter)).await.is_err() {
                warn!("a conversation's inbox stays full, message dropped");
            }
        });
    }

    /// Refuses what would have to be told while nothing can be kept.
    pub(super) fn demand_store(&self) -> Result<(), Refusal> {
        let why = "the store cannot be written";
        let retry_after = Duration::from_secs(1);
        if self.store.is_good() { Ok(()) } else { Err(Refusal::Unavailable { why, retry_after }) }
    }

    /// Finds the access of the user that a request of the core is for; in mode `ue`, nothing where
    /// its Request-URI is none of our contacts.
    pub(super) fn terminating(&self, request: &Request) -> Option<Arc<Access>> {
        match &self.kit.registrations {
            None => Some(Arc::default()),
            Some(known) => known.terminating(&self.settings.realm, &request.uri),
        }
    }

    /// Takes a MESSAGE: reports on messages may come outside of their session, above all when that
    /// is over. Texts do not, and from strangers nothing does. What a report does is the same when
    /// it comes again, so nothing needs to be remembered.
    fn take_message(&self, message: Request, source: &Hop) {
        let access = self.terminating(&message).filter(|_| self.neighbours.include(source));
        let reports = access.and_then(|access| {
            let trusted = self.neighbours.trust(source);
            reports_in((&self.settings, &access), (&message, trusted))
        });
        let Some(reports) = reports else {
            return self.answer_stray(&Message::Request(message), source);
        };
        let answer = accept_stateless(&message, &self.settings.on_the_wire());
        if !answer.status.is_success() {
            return self.send(answer, source);
        }
        match self.hand_out(&reports) {
            Some(receipts) if receipts.is_empty() => self.send(answer, source),
            Some(receipts) => self.answer_when_safe((message, answer), receipts, source.clone()),
            None => {
                warn!(%source, user = %reports.user, "reports find a full inbox");
                self.send(later(&message), source);
            }
        }
    }

    /// Gives reports to every session of the user, of which one may know the messages, and the
    /// receipts to wait for; nothing where there was no room.
    fn hand_out(&self, reports: &Reports) -> Option<Vec<Receipted>> {
        let inboxes = self.kit.sessions.of_user(&reports.user);
        if inboxes.is_empty() {
            debug!(user = %reports.user, "reports on no message of ours, dropped");
        }
        let (mut receipts, mut is_full) = (Vec::new(), false);
        for inbox in inboxes {
            let (receipt, receipted) = Receipt::new();
            match inbox.offer(Letter::Reports(reports.clone(), receipt)) {
                Ok(()) => receipts.push(receipted),
                Err(Returned { why: NotTaken::Full, .. }) => is_full = true,
                Err(Returned { why: NotTaken::Gone, .. }) => {}
            }
        }
        (!is_full).then_some(receipts)
    }

    /// Answers a request once what it has told is durable; where it is not in time, the sender is
    /// to try again.
    fn answer_when_safe(
        &self,
        (request, accepted): (Request, Response),
        receipts: Vec<Receipted>,
        source: Hop,
    ) {
        let Ok(place) = Arc::clone(&self.patience).try_acquire_owned() else {
            warn!(%source, "too many messages wait for the store");
            return self.send(later(&request), &source);
        };
        let outbound = self.kit.outbound.clone();
        self.tasks.spawn(async move {
            let _place = place;
            let all = async {
                for mut receipted in receipts {
                    if !receipted.wait().await {
                        return false;
                    }
                }
                true
            };
            let is_safe = timeout(PATIENCE, all).await.unwrap_or(false);
            let answer = if is_safe { accepted } else { later(&request) };
            let (bytes, hop) = stateless(answer, &source);
            outbound.send(bytes, &hop, OnFailure::ignore());
        });
    }

    pub(super) fn spawn(
        &self,
        talk: Talk,
        inbox: (Inbox, Letters),
        caller: Option<DialogKey>,
        started: Option<StartReply>,
    ) {
        let driver = Driver::new(self.kit.clone(), talk, inbox, caller);
        self.tasks.spawn(driver.run(started));
    }

    fn answer_stray(&self, message: &Message, source: &Hop) {
        match message {
            Message::Request(request) => {
                if let Some(answer) = stray(request, &self.settings.on_the_wire()) {
                    self.send(answer, source);
                }
            }
            Message::Response(_) => debug!(%source, "a response that nobody waits for"),
        }
    }

    /// Answers on behalf of no conversation.
    pub(super) fn send(&self, answer: Response, source: &Hop) {
        let (bytes, hop) = stateless(answer, source);
        self.kit.outbound.send(bytes, &hop, OnFailure::ignore());
    }

    pub(super) fn conversation_kit(
        &mut self,
        (access, next_hops): (Arc<Access>, Vec<Hop>),
    ) -> ConversationKit {
        ConversationKit {
            settings: Arc::clone(&self.settings),
            access,
            anchor: self.anchor,
            random: self.random.fork(),
            next_hops,
        }
    }
}

/// Asks the sender of a request to come back.
pub(super) fn later(request: &Request) -> Response {
    let mut answer = answer_stateless(request, Status::SERVICE_UNAVAILABLE);
    answer.headers.push("Retry-After", "1");
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Transport;

    #[test]
    fn an_element_is_known_by_its_port_and_a_host_by_its_address() {
        let neighbours = Neighbours {
            hosts: [IpAddr::from([192, 0, 2, 1])].into(),
            element: Some(SocketAddr::from(([127, 0, 0, 1], 5060))),
            core: None,
            trusts_core: true,
        };
        let from =
            |transport, host: &str, port| neighbours.include(&Hop::new(transport, host, port));
        assert!(from(Transport::Udp, "127.0.0.1", 5060));
        assert!(!from(Transport::Udp, "127.0.0.1", 5061));
        assert!(from(Transport::Tcp, "127.0.0.1", 40_000));
        assert!(from(Transport::Udp, "192.0.2.1", 1));
        assert!(from(Transport::Udp, "::ffff:192.0.2.1", 1));
        assert!(!from(Transport::Udp, "192.0.2.2", 5060));
        assert!(!from(Transport::Udp, "core.example.com", 5060));
        assert!(!Neighbours::default().include(&Hop::new(Transport::Udp, "127.0.0.1", 5060)));
    }
}
