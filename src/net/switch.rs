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
use super::sip_outbound::{Inbound, stateless};
use crate::bridge::{Arrival, Conversation, ConversationKit, Reports, Settings, reports_in};
use crate::chat::{Invitation, Refusal};
use crate::clock::Anchor;
use crate::ids::{Random, SessionId};
use crate::sip::{
    DialogKey, Hop, Message, Method, Request, Response, Route, Status, accept_stateless,
    answer_stateless, route, stray,
};
use crate::store::connections::OnFailure;
use crate::store::{Inbox, Letter, NotTaken, Returned, Start, Subscriptions, Ticket};

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
    /// From whom invitations are taken.
    pub neighbours: Neighbours,
    /// How many messages may wait for room in a full inbox, each behind its own connection.
    pub patience: Arc<Semaphore>,
    /// Wall time.
    pub anchor: Anchor,
    /// Randomness.
    pub random: Random,
    /// The tasks of the server.
    pub tasks: TaskTracker,
}

/// From whom invitations are taken, and what they assert of their users is believed (RFC 3325).
#[derive(Debug, Clone, Default)]
pub struct Neighbours {
    /// Hosts, whatever port they send from.
    pub hosts: BTreeSet<IpAddr>,
    /// An element that shares its host with others: over UDP, its port counts.
    pub element: Option<SocketAddr>,
    /// The core, whose addresses may change while we run.
    pub core: Option<Core>,
}

impl Neighbours {
    /// Tells whether a message from `source` comes from a neighbour.
    #[must_use]
    pub fn include(&self, source: &Hop) -> bool {
        let Ok(ip) = source.host.parse::<IpAddr>() else { return false };
        let ip = ip.to_canonical();
        let element = self.element.is_some_and(|element| {
            element.ip() == ip && (source.transport.is_reliable() || element.port() == source.port)
        });
        let lives_in_core = self.core.as_ref().is_some_and(|core| core.lives_at(ip));
        element || lives_in_core || self.hosts.contains(&ip)
    }
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
            Some(Start { invitation, reply }) = starts.recv() => switch.start(invitation, reply),
            else => return,
        }
    }
}

impl Switch {
    fn start(&mut self, invitation: Invitation, reply: StartReply) {
        // Who has stopped waiting was told of a failure: no INVITE may follow it.
        if reply.is_closed() {
            return;
        }
        let hops = self.kit.core.hops(now(), &mut self.random);
        let hops = match hops.and_then(|hops| self.kit.sessions.admit().map(|()| hops)) {
            Ok(hops) => hops,
            Err(refusal) => {
                drop(reply.send(Ticket::new(Err(refusal)).0));
                return;
            }
        };
        match Conversation::originate(now(), self.conversation_kit(hops), invitation) {
            Ok(conversation) => {
                info!(session = %conversation.id(), user = %conversation.user(), "session opened");
                self.spawn(
                    conversation,
                    Inbox::new(self.kit.sessions.inbox_size()),
                    None,
                    Some(reply),
                );
            }
            Err(refusal) => {
                self.kit.sessions.dismiss();
                drop(reply.send(Ticket::new(Err(refusal)).0));
            }
        }
    }

    fn route(&mut self, message: Message, source: Hop) {
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

    fn admit(&mut self, invite: Request, source: Hop, key: DialogKey) {
        if !self.neighbours.include(&source) {
            info!(%source, "invitation from a stranger refused: not in [core] trusted_peers");
            self.send(answer_stateless(&invite, Status::FORBIDDEN), &source);
            return;
        }
        if let Err(refusal) = self.kit.sessions.admit() {
            warn!(%source, %refusal, "invitation refused");
            self.send(self.too_busy(&invite, &refusal), &source);
            return;
        }
        let session = SessionId::new(self.random.token());
        let cseq = invite.cseq().map_or(0, |cseq| cseq.number);
        let arrival = Arrival { session, invite, source, trusted: true };
        let subscriptions = Arc::clone(&self.subscriptions);
        let has_client = |user: &_| !subscriptions.of(user).is_empty();
        // Whoever is invited may report on what he read when the session is over.
        let hops = self.kit.core.hops(now(), &mut self.random).unwrap_or_default();
        let kit = self.conversation_kit(hops);
        let conversation = Conversation::incoming(now(), kit, arrival, &has_client);
        let (inbox, letters) = Inbox::new(self.kit.sessions.inbox_size());
        self.kit.sessions.route_caller(key.clone(), cseq, inbox.clone());
        self.spawn(conversation, (inbox, letters), Some(key), None);
    }

    /// Takes a MESSAGE: reports on messages may come outside of their session, above all when that
    /// is over. Texts do not, and from strangers nothing does. What a report does is the same when
    /// it comes again, so nothing needs to be remembered.
    fn take_message(&self, message: Request, source: &Hop) {
        let reports = match self.neighbours.include(source) {
            true => reports_in(&self.settings, &message),
            false => None,
        };
        let Some(reports) = reports else {
            return self.answer_stray(&Message::Request(message), source);
        };
        let mut answer = accept_stateless(&message, &self.settings.on_the_wire());
        if answer.status.is_success() && !self.hand_out(&reports) {
            warn!(%source, user = %reports.user, "reports find a full inbox");
            answer = answer_stateless(&message, Status::SERVICE_UNAVAILABLE);
            answer.headers.push("Retry-After", "1");
        }
        self.send(answer, source);
    }

    /// Gives reports to every session of the user, of which one may know the messages; tells
    /// whether there was room.
    fn hand_out(&self, reports: &Reports) -> bool {
        let inboxes = self.kit.sessions.of_user(&reports.user);
        if inboxes.is_empty() {
            debug!(user = %reports.user, "reports on no message of ours, dropped");
        }
        let offers = inboxes.iter().map(|inbox| inbox.offer(Letter::Reports(reports.clone())));
        let is_full = |offer: &Result<(), Returned>| {
            offer.as_ref().is_err_and(|returned| returned.why == NotTaken::Full)
        };
        offers.filter(is_full).count() == 0
    }

    fn spawn(
        &self,
        conversation: Conversation,
        inbox: (Inbox, mpsc::Receiver<Letter>),
        caller: Option<DialogKey>,
        started: Option<StartReply>,
    ) {
        let driver = Driver::new(self.kit.clone(), conversation, inbox, caller);
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

    fn too_busy(&self, invite: &Request, refusal: &Refusal) -> Response {
        let mut answer = answer_stateless(invite, Status::SERVICE_UNAVAILABLE);
        let retry_after = match refusal {
            Refusal::Full { retry_after, .. } | Refusal::Unavailable { retry_after, .. } => {
                retry_after.as_secs().max(1)
            }
            Refusal::NoSession
            | Refusal::NoMessage
            | Refusal::WrongState { .. }
            | Refusal::WrongRole { .. }
            | Refusal::BadAddress { .. } => 1,
        };
        answer.headers.push("Retry-After", &retry_after.to_string());
        answer
    }

    /// Answers on behalf of no conversation.
    fn send(&self, answer: Response, source: &Hop) {
        let (bytes, hop) = stateless(answer, source);
        self.kit.outbound.send(bytes, &hop, OnFailure::ignore());
    }

    fn conversation_kit(&mut self, next_hops: Vec<Hop>) -> ConversationKit {
        ConversationKit {
            settings: Arc::clone(&self.settings),
            anchor: self.anchor,
            random: self.random.fork(),
            next_hops,
        }
    }
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
