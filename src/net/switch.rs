//! The switch: every SIP message to the conversation it belongs to, every new one to a new driver.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::driver::{Driver, DriverKit, StartReply, now};
use super::sip_outbound::{Inbound, stateless};
use crate::bridge::{Arrival, Conversation, ConversationKit, Settings};
use crate::chat::{Invitation, Refusal};
use crate::clock::Anchor;
use crate::ids::{Random, SessionId};
use crate::sip::{
    DialogKey, Hop, Message, Method, Request, Response, Route, Status, response_to, route, stray,
};
use crate::store::connections::OnFailure;
use crate::store::{Inbox, Letter, NotTaken, Start, Subscriptions, Ticket};

/// Opens conversations and finds the running ones.
pub struct Switch {
    /// What every driver works with.
    pub kit: DriverKit,
    /// How conversations behave.
    pub settings: Arc<Settings>,
    /// Tells which users have a client.
    pub subscriptions: Arc<Subscriptions>,
    /// The core's address: what it asserts of its users is believed.
    pub core: Option<Hop>,
    /// Wall time.
    pub anchor: Anchor,
    /// Randomness.
    pub random: Random,
    /// The tasks of the server.
    pub tasks: TaskTracker,
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
        if let Err(refusal) = self.kit.sessions.admit() {
            drop(reply.send(Ticket::new(Err(refusal)).0));
            return;
        }
        match Conversation::originate(now(), self.conversation_kit(), invitation) {
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
            Route::Initial(key) => match (self.kit.sessions.caller(&key), message) {
                (Some(inbox), message) => self.offer(&inbox, message, source),
                (None, Message::Request(request)) if request.method == Method::Invite => {
                    self.admit(request, source, key);
                }
                (None, message) => self.answer_stray(&message, &source),
            },
            Route::Malformed => debug!(%source, "SIP message without identity, dropped"),
        }
    }

    fn offer(&self, inbox: &Inbox, message: Message, source: Hop) {
        let busy = match &message {
            Message::Request(request) if request.method != Method::Ack => {
                Some(response_to(request, Status::SERVICE_UNAVAILABLE, None))
            }
            Message::Request(_) | Message::Response(_) => None,
        };
        match inbox.offer(Letter::Sip { message, source: source.clone() }) {
            Ok(()) => {}
            Err(NotTaken::Full) => {
                warn!(%source, "a conversation's inbox is full");
                if let Some(mut busy) = busy {
                    busy.headers.push("Retry-After", "5");
                    self.send(busy, &source);
                }
            }
            Err(NotTaken::Gone) => debug!(%source, "a SIP message came after its conversation"),
        }
    }

    fn admit(&mut self, invite: Request, source: Hop, key: DialogKey) {
        if let Err(refusal) = self.kit.sessions.admit() {
            warn!(%source, %refusal, "invitation refused");
            self.send(self.too_busy(&invite, &refusal), &source);
            return;
        }
        let session = SessionId::new(self.random.token());
        let trusted = self.core.as_ref().is_none_or(|core| core.host == source.host);
        let arrival = Arrival { session, invite, source, trusted };
        let subscriptions = Arc::clone(&self.subscriptions);
        let has_client = |user: &_| !subscriptions.of(user).is_empty();
        let kit = self.conversation_kit();
        let conversation = Conversation::incoming(now(), kit, arrival, &has_client);
        let (inbox, letters) = Inbox::new(self.kit.sessions.inbox_size());
        self.kit.sessions.route_caller(key.clone(), inbox.clone());
        self.spawn(conversation, (inbox, letters), Some(key), None);
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
                if let Some(answer) = stray(request) {
                    self.send(answer, source);
                }
            }
            Message::Response(_) => debug!(%source, "a response that nobody waits for"),
        }
    }

    fn too_busy(&self, invite: &Request, refusal: &Refusal) -> Response {
        let mut answer = response_to(invite, Status::SERVICE_UNAVAILABLE, None);
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

    fn conversation_kit(&mut self) -> ConversationKit {
        ConversationKit {
            settings: Arc::clone(&self.settings),
            anchor: self.anchor,
            random: self.random.fork(),
        }
    }
}
