//! The directory of running sessions: whose each one is, and where its inbox hangs.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::names::SessionNames;
use super::notices::Receipt;
use super::wires::MsrpArrival;
use crate::address::Address;
use crate::bridge::{Arrival, Reports};
use crate::chat::{Answer, Command, Extension, GroupInvitation, Invitation, Refusal, SessionKind};
use crate::ids::SessionId;
use crate::sip::{DialogKey, Hop, Message};

/// Bounds of the directory.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// How many sessions may exist at once, lingering ones included.
    pub sessions: usize,
    /// How many letters wait for one conversation before senders are told that it is full.
    pub inbox: usize,
    /// How long a request waits for a conversation's answer.
    pub answer_wait: Duration,
    /// When a client that met a full queue should try again.
    pub retry_after: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            sessions: 20_000,
            inbox: 64,
            answer_wait: Duration::from_secs(5),
            retry_after: Duration::from_secs(2),
        }
    }
}

/// What a conversation finds in its inbox.
#[derive(Debug)]
pub enum Letter {
    /// An order of the application.
    Command {
        /// The order.
        command: Command,
        /// Where its answer goes.
        reply: oneshot::Sender<Ticket<Result<Answer, Refusal>>>,
    },
    /// A SIP message of the conversation's dialog.
    Sip {
        /// The message.
        message: Message,
        /// Where it came from.
        source: Hop,
    },
    /// An INVITE that begins the session anew, and the caller who is to be routed here until then.
    Renewal(Box<Arrival>, DialogKey),
    /// A SIP message could not be sent.
    SipFailed {
        /// Where it was to go.
        hop: Hop,
    },
    /// Reports on messages of the user that came outside of any session, and whom to tell when what
    /// they say is safe.
    Reports(Reports, Receipt),
    /// The peer has opened the MSRP connection.
    Msrp(Box<MsrpArrival>),
    /// What has become of the group to which the session is extended.
    Extension(Extension),
    /// The user is registered at the core no more.
    CoreLost,
    /// The server stops: say goodbye.
    Stop,
}

/// The order to open a session, for the switch of `net`.
#[derive(Debug)]
pub struct Start {
    /// What opens it.
    pub opening: Opening,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Ticket<Result<(), Refusal>>>,
}

/// What opens a session.
#[derive(Debug)]
pub enum Opening {
    /// An invitation to a 1-1 session.
    Pair(Box<Invitation>),
    /// An invitation to a group.
    Group(Box<GroupInvitation>),
}

impl Opening {
    /// Gives the user in whose name the session is opened.
    #[must_use]
    pub fn user(&self) -> &Address {
        match self {
            Self::Pair(invitation) => &invitation.user,
            Self::Group(invitation) => &invitation.user,
        }
    }

    fn session(&self) -> &SessionId {
        match self {
            Self::Pair(invitation) => &invitation.session,
            Self::Group(invitation) => &invitation.session,
        }
    }
}

impl From<Invitation> for Opening {
    fn from(invitation: Invitation) -> Self {
        Self::Pair(Box::new(invitation))
    }
}

impl From<GroupInvitation> for Opening {
    fn from(invitation: GroupInvitation) -> Self {
        Self::Group(Box::new(invitation))
    }
}

/// A value together with the hold that it has on the notices that follow from it.
#[derive(Debug)]
pub struct Ticket<T> {
    /// The value.
    pub value: T,
    /// The hold.
    pub flushed: Flushed,
}

impl<T> Ticket<T> {
    /// Draws a ticket and the end that tells when it was given back.
    #[must_use]
    pub fn new(value: T) -> (Self, oneshot::Receiver<()>) {
        let (hold, released) = oneshot::channel();
        (Self { value, flushed: Flushed { hold } }, released)
    }

    fn map<U>(self, value: impl FnOnce(T) -> U) -> Ticket<U> {
        Ticket { value: value(self.value), flushed: self.flushed }
    }
}

/// Holds a session's notices back until it is dropped: keep it until the response was written, so
/// that no notification names a resource before the `201` that creates it has left.
#[derive(Debug)]
pub struct Flushed {
    hold: oneshot::Sender<()>,
}

impl Flushed {
    /// Tells whether anything is held back.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.hold.is_closed()
    }
}

/// The way into a conversation.
///
/// Letters wait in boxes: a queue has room for many of them from the beginning, and that of a
/// conversation is empty nearly always.
#[derive(Debug, Clone)]
pub struct Inbox(mpsc::Sender<Box<Letter>>);

/// The other end of an [`Inbox`].
#[derive(Debug)]
pub struct Letters(mpsc::Receiver<Box<Letter>>);

impl Letters {
    /// Waits for the next letter; `None` when nobody can send one any more. Cancel safe: no letter
    /// is lost when it is dropped.
    pub async fn recv(&mut self) -> Option<Letter> {
        self.0.recv().await.map(|letter| *letter)
    }

    /// Takes the next letter if it is there.
    #[must_use]
    pub fn try_recv(&mut self) -> Option<Letter> {
        self.0.try_recv().ok().map(|letter| *letter)
    }

    /// Takes no more letters, and gives those that nobody has read.
    pub fn close(&mut self) -> Vec<Letter> {
        self.0.close();
        std::iter::from_fn(|| self.try_recv()).collect()
    }
}

/// Why a letter was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// The inbox is full.
    Full,
    /// The conversation is gone.
    Gone,
}

/// A letter that was not taken.
#[derive(Debug)]
pub struct Returned {
    /// Why.
    pub why: NotTaken,
    /// The letter.
    pub letter: Box<Letter>,
}

impl Inbox {
    /// Hangs up an inbox of `size` letters.
    #[must_use]
    pub fn new(size: usize) -> (Self, Letters) {
        let (sender, receiver) = mpsc::channel(size.max(1));
        (Self(sender), Letters(receiver))
    }

    /// Puts a letter in, without waiting.
    ///
    /// # Errors
    /// The inbox is full, or the conversation is gone; the letter comes back.
    pub fn offer(&self, letter: Letter) -> Result<(), Returned> {
        self.0.try_send(Box::new(letter)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(letter) => Returned { why: NotTaken::Full, letter },
            mpsc::error::TrySendError::Closed(letter) => Returned { why: NotTaken::Gone, letter },
        })
    }

    /// Puts a letter in, waiting for room: for senders that can be slowed down.
    ///
    /// # Errors
    /// The conversation is gone.
    pub async fn deliver(&self, letter: Letter) -> Result<(), NotTaken> {
        self.0.send(Box::new(letter)).await.map_err(|_| NotTaken::Gone)
    }
}

#[derive(Debug)]
struct Caller {
    inbox: Inbox,
    cseq: u32,
    over: bool,
}

#[derive(Debug)]
struct Entry {
    kind: SessionKind,
    owner: Address,
    inbox: Inbox,
}

/// The directory: ids, dialogs and MSRP session-ids, each to the inbox of its conversation.
#[derive(Debug)]
pub struct Sessions {
    by_id: DashMap<SessionId, Entry>,
    /// By whose it is.
    by_owner: DashMap<Address, Vec<Inbox>>,
    /// By our tag: responses, and requests within a dialog.
    by_dialog: DashMap<DialogKey, Inbox>,
    /// By the caller's tag: an INVITE sent again, and its CANCEL. A map of its own, because both
    /// ends of a dialog may be ours.
    by_caller: DashMap<DialogKey, Caller>,
    by_msrp_session: DashMap<String, Inbox>,
    names: SessionNames,
    starts: mpsc::Sender<Start>,
    bounds: Bounds,
    admitted: AtomicUsize,
    draining: AtomicBool,
}

impl Sessions {
    /// Opens the directory; the receiver is for the switch of `net`.
    #[must_use]
    pub fn new(bounds: Bounds) -> (Self, mpsc::Receiver<Start>) {
        let (starts, orders) = mpsc::channel(bounds.inbox.max(1));
        let directory = Self {
            by_id: DashMap::new(),
            by_owner: DashMap::new(),
            by_dialog: DashMap::new(),
            by_caller: DashMap::new(),
            by_msrp_session: DashMap::new(),
            names: SessionNames::default(),
            starts,
            bounds,
            admitted: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
        };
        (directory, orders)
    }

    /// Gives an order to a session of `user` and waits for its answer.
    ///
    /// # Errors
    /// The session does not exist, is another user's, refuses, or has no room.
    pub async fn command(
        &self,
        user: &Address,
        session: (SessionKind, &SessionId),
        command: Command,
    ) -> Result<Ticket<Answer>, Refusal> {
        let inbox = self.inbox_of(user, session).ok_or(Refusal::NoSession)?;
        let (reply, answer) = oneshot::channel();
        match inbox.offer(Letter::Command { command, reply }) {
            Ok(()) => {}
            Err(Returned { why: NotTaken::Full, .. }) => {
                return Err(self.full("the session's inbox"));
            }
            Err(Returned { why: NotTaken::Gone, .. }) => return Err(Refusal::NoSession),
        }
        self.await_ticket(answer).await
    }

    /// Opens a session and waits until its invitation is on its way.
    ///
    /// # Errors
    /// There is no room, no core, or no route to the address.
    pub async fn start(&self, opening: impl Into<Opening>) -> Result<Ticket<SessionId>, Refusal> {
        self.demand_serving()?;
        let opening = opening.into();
        let id = opening.session().clone();
        let (reply, answer) = oneshot::channel();
        match self.starts.try_send(Start { opening, reply }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(self.full("the queue")),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(self.unavailable()),
        }
        self.await_ticket(answer).await.map(|ticket| ticket.map(|()| id))
    }

    /// Takes a place for one more conversation, to be given back by [`Sessions::dismiss`].
    ///
    /// # Errors
    /// All places are taken, or the server is stopping.
    pub fn admit(&self) -> Result<(), Refusal> {
        self.demand_serving()?;
        let room = |taken: usize| (taken < self.bounds.sessions).then_some(taken + 1);
        match self.admitted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.full("the table of sessions")),
        }
    }

    /// Gives a conversation's place back.
    pub fn dismiss(&self) {
        self.admitted.fetch_sub(1, Ordering::Relaxed);
    }

    /// Enters a conversation under its session id.
    pub fn enter(&self, id: SessionId, (kind, owner): (SessionKind, Address), inbox: Inbox) {
        self.by_owner.entry(owner.clone()).or_default().push(inbox.clone());
        self.by_id.insert(id, Entry { kind, owner, inbox });
    }

    /// Tells a 1-1 session what has become of the group to which it is extended.
    pub fn tell_extension(&self, of: &SessionId, news: Extension) {
        if let Some(entry) = self.by_id.get(of) {
            // Where it is full, the session lives on until somebody ends it.
            let _lost = entry.inbox.offer(Letter::Extension(news));
        }
    }

    /// Tells the sessions of a user that the core does not carry them any more.
    pub fn tell_core_lost(&self, user: &Address) {
        for inbox in self.of_user(user) {
            // One that is full finds out by itself, at its next refresh.
            let _lost = inbox.offer(Letter::CoreLost);
        }
    }

    /// Gives the names of the running sessions.
    #[must_use]
    pub fn names(&self) -> &SessionNames {
        &self.names
    }

    /// Finds a session, lingering or not.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<Inbox> {
        self.by_id.get(id).map(|entry| entry.inbox.clone())
    }

    /// Strikes out a session id.
    pub fn leave(&self, id: &SessionId) {
        self.names.strike(id);
        let Some((_, Entry { owner, inbox, .. })) = self.by_id.remove(id) else { return };
        if let Some(mut inboxes) = self.by_owner.get_mut(&owner) {
            inboxes.retain(|other| !other.0.same_channel(&inbox.0));
        }
        self.by_owner.remove_if(&owner, |_, inboxes| inboxes.is_empty());
    }

    /// Finds the sessions of a user, lingering ones included.
    #[must_use]
    pub fn of_user(&self, user: &Address) -> Vec<Inbox> {
        self.by_owner.get(user).map(|inboxes| inboxes.clone()).unwrap_or_default()
    }

    /// Routes the messages that name our tag to `inbox`.
    pub fn route_dialog(&self, key: DialogKey, inbox: Inbox) {
        self.by_dialog.insert(key, inbox);
    }

    /// Strikes out a dialog.
    pub fn forget_dialog(&self, key: &DialogKey) {
        self.by_dialog.remove(key);
    }

    /// Finds the conversation that drew the tag.
    #[must_use]
    pub fn dialog(&self, key: &DialogKey) -> Option<Inbox> {
        self.by_dialog.get(key).map(|inbox| inbox.clone())
    }

    /// Routes what the caller of the INVITE with this CSeq number sends again to `inbox`.
    pub fn route_caller(&self, key: DialogKey, cseq: u32, inbox: Inbox) {
        self.by_caller.insert(key, Caller { inbox, cseq, over: false });
    }

    /// Notes that a caller's call to `inbox` is over: a newer INVITE of that caller is another call
    /// (RFC 3261 section 8.1.3.5).
    pub fn end_caller(&self, key: &DialogKey, inbox: &Inbox) {
        if let Some(mut caller) = self.by_caller.get_mut(key)
            && caller.inbox.0.same_channel(&inbox.0)
        {
            caller.over = true;
        }
    }

    /// Strikes out a caller, unless a newer call has taken the place of that of `inbox`.
    pub fn forget_caller(&self, key: &DialogKey, inbox: &Inbox) {
        self.by_caller.remove_if(key, |_, caller| caller.inbox.0.same_channel(&inbox.0));
    }

    /// Finds the conversation that a caller has opened with an INVITE of this CSeq number.
    #[must_use]
    pub fn caller(&self, key: &DialogKey, cseq: Option<u32>) -> Option<Inbox> {
        let caller = self.by_caller.get(key)?;
        let newer = cseq.is_some_and(|cseq| cseq > caller.cseq);
        (!(caller.over && newer)).then(|| caller.inbox.clone())
    }

    /// Routes connections that name the MSRP session-id to `inbox`.
    pub fn route_msrp(&self, session_id: &str, inbox: Inbox) {
        self.by_msrp_session.insert(session_id.to_owned(), inbox);
    }

    /// Strikes out an MSRP session-id.
    pub fn forget_msrp(&self, session_id: &str) {
        self.by_msrp_session.remove(session_id);
    }

    /// Finds the conversation of an MSRP session-id.
    #[must_use]
    pub fn msrp_session(&self, session_id: &str) -> Option<Inbox> {
        self.by_msrp_session.get(session_id).map(|inbox| inbox.clone())
    }

    /// Refuses new sessions from now on, and gives the inboxes of those that run.
    pub fn drain(&self) -> Vec<Inbox> {
        self.draining.store(true, Ordering::Relaxed);
        self.by_id.iter().map(|entry| entry.inbox.clone()).collect()
    }

    /// Tells whether the server is stopping.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Tells how many conversations there are, lingering ones included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.admitted.load(Ordering::Relaxed)
    }

    /// Tells how many conversations a user has.
    #[must_use]
    pub fn count_of(&self, user: &Address) -> usize {
        self.by_owner.get(user).map_or(0, |inboxes| inboxes.len())
    }

    /// Gives the size for a new inbox.
    #[must_use]
    pub fn inbox_size(&self) -> usize {
        self.bounds.inbox
    }

    fn inbox_of(&self, user: &Address, (kind, id): (SessionKind, &SessionId)) -> Option<Inbox> {
        let entry = self.by_id.get(id)?;
        (entry.owner == *user && entry.kind == kind).then(|| entry.inbox.clone())
    }

    async fn await_ticket<T>(
        &self,
        answer: oneshot::Receiver<Ticket<Result<T, Refusal>>>,
    ) -> Result<Ticket<T>, Refusal> {
        match timeout(self.bounds.answer_wait, answer).await {
            Ok(Ok(Ticket { value: Ok(value), flushed })) => Ok(Ticket { value, flushed }),
            Ok(Ok(Ticket { value: Err(refusal), .. })) => Err(refusal),
            Ok(Err(_)) => Err(Refusal::NoSession),
            Err(_) => Err(self.full("the session's inbox")),
        }
    }

    fn demand_serving(&self) -> Result<(), Refusal> {
        if self.is_draining() { Err(self.unavailable()) } else { Ok(()) }
    }

    fn full(&self, what: &'static str) -> Refusal {
        Refusal::Full { what, retry_after: self.bounds.retry_after }
    }

    fn unavailable(&self) -> Refusal {
        Refusal::Unavailable { why: "the server is stopping", retry_after: self.bounds.retry_after }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_lost_core_is_told_to_all_sessions_of_its_user_and_to_no_other() {
        let (sessions, _starts) = Sessions::new(Bounds::default());
        let (alice, bob) = ("tel:+19585550100", "tel:+19585550101");
        let enter = |name: &str, user: &str| {
            let (inbox, letters) = Inbox::new(8);
            let owner = (SessionKind::Pair, Address::parse(user).unwrap());
            sessions.enter(SessionId::new(name), owner, inbox);
            letters
        };
        let of_alice = [enter("one", alice), enter("two", alice)];
        let mut of_bob = enter("three", bob);
        sessions.tell_core_lost(&Address::parse(alice).unwrap());
        for mut letters in of_alice {
            assert!(matches!(letters.try_recv(), Some(Letter::CoreLost)));
            assert!(letters.try_recv().is_none());
        }
        assert!(of_bob.try_recv().is_none());
    }
}
