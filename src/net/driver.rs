//! One task per conversation: wait, feed one input, carry out its outputs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::Instant as Tick;
use tracing::{debug, info, warn};

use super::alarm::Alarm;
use super::core::Core;
use super::msrp::{MsrpLink, MsrpSettings, Reach};
use super::outbox::{Outbox, Released};
use super::sip_outbound::SipOutbound;
use crate::bridge::{Input, NextMsrp, Output, Talk, may_be_forgotten};
use crate::chat::{Answer, AnswerId, Command, Notice, NoticeKind, Refusal};
use crate::ids::MessageId;
use crate::msrp;
use crate::sip::{DialogKey, Message};
use crate::store::connections::OnFailure;
use crate::store::{
    Inbox, Letter, Letters, MsrpArrival, Notices, Registrations, Sessions, Subscriptions, Ticket,
};

/// What every driver works with.
#[derive(Clone)]
pub struct DriverKit {
    /// The directory in which conversations are found.
    pub sessions: Arc<Sessions>,
    /// The directory of the registered users, where the bridge registers them.
    pub registrations: Option<Arc<Registrations>>,
    /// The way out to SIP peers.
    pub outbound: SipOutbound,
    /// The way to the core.
    pub core: Core,
    /// The way to the applications.
    pub notices: Notices,
    /// Which applications there are.
    pub audience: Arc<Subscriptions>,
    /// The MSRP sockets.
    pub msrp: Arc<MsrpSettings>,
}

/// How many callers may be routed here: those of the dialogs that have not come to rest yet.
const CALLERS: usize = 16;

/// How many frames are taken before letters and timers have their turn.
const BATCH: usize = 256;

/// Reads the clock as the machines know it, paused in tests.
pub(super) fn now() -> Instant {
    Tick::now().into_std()
}

/// The reply that an order waits for.
type AnswerReply = oneshot::Sender<Ticket<Result<Answer, Refusal>>>;

/// The reply that a request waits for.
pub(super) type StartReply = oneshot::Sender<Ticket<Result<(), Refusal>>>;

/// A conversation with all that it needs to live.
pub(super) struct Driver {
    kit: DriverKit,
    conversation: Talk,
    /// The MSRP session-id that is routed here.
    msrp_id: String,
    inbox: Inbox,
    letters: Letters,
    link: MsrpLink,
    /// What is to take its place, while the one before is used.
    next_link: Option<Box<MsrpLink>>,
    dialogs: Vec<DialogKey>,
    /// Whose INVITEs have come here, the latest last.
    callers: Vec<DialogKey>,
    over: bool,
    told: ToldOnce,
    answer: Option<Result<Answer, Refusal>>,
    /// Who waits for an answer that comes later.
    late: BTreeMap<AnswerId, AnswerReply>,
    outbox: Outbox,
    alarm: Alarm,
    /// What the peer is to read of this turn, where notices become durable.
    turn: Option<Turn>,
}

/// What the log says once of a session, however often it happens.
#[derive(Default)]
struct ToldOnce {
    /// Somebody has connected to it beside its peer.
    intruder: bool,
    /// The peer has named another host than ours.
    misnamed: bool,
}

/// What follows from what came together: what is written leaves after what is told is durable.
#[derive(Default)]
struct Turn {
    wire: Vec<Output>,
    /// Whether the applications are told something.
    tells: bool,
    /// Whether it is the user who acts, so that nothing of it answers the peer.
    is_ours: bool,
}

impl Turn {
    fn closes(&self) -> bool {
        self.wire.iter().any(|output| matches!(output, Output::MsrpClose))
    }
}

/// What woke the driver.
enum Woken {
    Letter(Option<Letter>),
    Link(msrp::Input),
    NextLink(msrp::Input),
    Timeout,
    Released(Released),
}

impl Driver {
    /// Enters the conversation in the directories; a `caller` is routed already.
    ///
    /// In a box, because a task would have room twice for what it is given to keep.
    pub(super) fn new(
        kit: DriverKit,
        conversation: Talk,
        (inbox, letters): (Inbox, Letters),
        caller: Option<DialogKey>,
    ) -> Box<Self> {
        let id = conversation.id().clone();
        let owner = (conversation.kind(), conversation.user().clone());
        kit.sessions.enter(id, owner, inbox.clone());
        // Through a relay we connect, and nobody connects to us.
        if !conversation.is_relayed() {
            kit.sessions.route_msrp(conversation.msrp_session_id(), inbox.clone());
        }
        Box::new(Self {
            link: MsrpLink::new(
                Arc::clone(&kit.msrp),
                Arc::clone(&kit.sessions),
                conversation.msrp_session_id(),
            ),
            outbox: Outbox::new(kit.notices.clone()),
            turn: kit.notices.patience.map(|_patience| Turn::default()),
            kit,
            msrp_id: conversation.msrp_session_id().to_owned(),
            conversation,
            inbox,
            letters,
            next_link: None,
            dialogs: Vec::new(),
            callers: caller.into_iter().collect(),
            over: false,
            told: ToldOnce::default(),
            answer: None,
            late: BTreeMap::new(),
            alarm: Alarm::default(),
        })
    }

    /// Runs the conversation to its end; `started` is told once its first outputs are out.
    pub(super) async fn run(mut self: Box<Self>, started: Option<StartReply>) {
        if let Some(reply) = started {
            let (ticket, released) = Ticket::new(Ok(()));
            self.outbox.hold(released);
            self.carry_out();
            // A client that has gone away gets no answer, but its session stands.
            drop(reply.send(ticket));
        }
        // A session that was let in while the server began to stop has missed the news.
        if self.kit.sessions.is_draining() {
            self.conversation.handle(now(), Input::Stop);
        }
        loop {
            self.carry_out();
            while let Some(released) = self.outbox.next().now_or_never() {
                self.release(released);
            }
            self.unroute_when_over();
            self.note_misnaming();
            if self.outbox.is_empty() && self.conversation.is_finished() {
                break;
            }
            match self.wait().await {
                Woken::Letter(Some(letter)) => self.read(letter),
                Woken::Letter(None) => {}
                Woken::Released(released) => self.release(released),
                Woken::Link(event) => self.feed_link_all(event),
                Woken::NextLink(event) => {
                    self.conversation.handle(now(), Input::NextMsrp(event));
                }
                Woken::Timeout => self.conversation.handle(now(), Input::Timeout),
            }
        }
    }

    /// Waits for the first of: a letter, the MSRP connection, a timer, an answer that has left.
    async fn wait(&mut self) -> Woken {
        self.conversation.rest();
        let deadline = self.conversation.next_timeout().map(Tick::from_std);
        let timer = self.alarm.ring(deadline);
        // Who cannot get rid of what he has decided takes nothing more in.
        let (is_full, is_closing) = (self.outbox.is_full(), self.outbox.holds_close());
        tokio::select! {
            letter = self.letters.recv(), if !is_full => Woken::Letter(letter),
            event = self.link.next(), if !is_full && !is_closing => Woken::Link(event),
            event = next_of(&mut self.next_link), if !is_full => Woken::NextLink(event),
            () = timer => Woken::Timeout,
            released = self.outbox.next() => Woken::Released(released),
        }
    }

    fn read(&mut self, letter: Letter) {
        match letter {
            // Who has stopped waiting must not find the order carried out behind a 503.
            Letter::Command { reply, .. } if reply.is_closed() => {}
            Letter::Command { command, reply } => {
                if let Some(turn) = &mut self.turn {
                    // Who has been accepted is answered what it has said already.
                    turn.is_ours = !matches!(command, Command::Accept);
                }
                self.conversation.handle(now(), Input::Command(command));
                self.carry_out_until_answer();
                match self.answer.take().unwrap_or(Err(Refusal::NoSession)) {
                    Ok(Answer::Later(id)) => drop(self.late.insert(id, reply)),
                    answer => self.answer(answer, reply),
                }
            }
            Letter::Sip { message, source } => {
                if matches!(&message, Message::Response(response) if may_be_forgotten(response)) {
                    self.doubt();
                }
                self.conversation.handle(now(), Input::Sip { message, source });
            }
            Letter::Renewal(arrival, caller) => {
                self.keep_caller(caller);
                self.conversation.handle(now(), Input::Renewal(arrival));
            }
            Letter::SipFailed { hop } => {
                self.doubt();
                self.conversation.handle(now(), Input::SipFailed { hop });
            }
            Letter::Reports(reports, receipt) => {
                self.conversation.handle(now(), Input::Reports(reports));
                self.carry_out();
                self.outbox.receipt(receipt);
            }
            Letter::Msrp(arrival) => self.adopt(*arrival),
            Letter::Extension(news) => self.conversation.handle(now(), Input::Extension(news)),
            Letter::CoreLost => self.conversation.handle(now(), Input::CoreLost),
            Letter::Stop => self.conversation.handle(now(), Input::Stop),
        }
    }

    /// Gives an answer, and lets what follows wait until it has left, where anybody is told of that.
    fn answer(&mut self, answer: Result<Answer, Refusal>, reply: AnswerReply) {
        let (ticket, released) = Ticket::new(answer);
        if self.kit.audience.has_any(self.conversation.user()) {
            self.outbox.hold(released);
        } else {
            drop(released);
        }
        drop(reply.send(ticket));
    }

    fn forget_wire(&mut self) {
        if let Some(turn) = &mut self.turn {
            turn.wire.clear();
        }
        self.outbox.forget_wire();
    }

    /// Remembers another caller, who is routed here already; the one that has called first may be
    /// forgotten over it.
    fn keep_caller(&mut self, caller: DialogKey) {
        self.callers.retain(|known| *known != caller);
        if self.callers.len() >= CALLERS {
            let first = self.callers.remove(0);
            self.kit.sessions.forget_caller(&first, &self.inbox);
        }
        self.callers.push(caller);
    }

    /// Has another MSRP session-id routed here, on a connection of its own.
    fn reroute_msrp(&mut self, session_id: String) {
        let sessions = &self.kit.sessions;
        sessions.forget_msrp(&self.msrp_id);
        if !self.conversation.is_relayed() {
            sessions.route_msrp(&session_id, self.inbox.clone());
        }
        let sessions = Arc::clone(sessions);
        self.forget_wire();
        self.link.close();
        self.link = match self.next_link.take() {
            Some(next) => *next,
            None => MsrpLink::new(self.kit.msrp.clone(), sessions, &session_id),
        };
        self.msrp_id = session_id;
    }

    /// Does what is wanted of the connection that is to take the place of the one that there is.
    fn prepare_link(&mut self, wish: NextMsrp) {
        match (wish, &mut self.next_link) {
            (NextMsrp::Connect { session_id, host, port, secure }, next) => {
                let (msrp, sessions) = (self.kit.msrp.clone(), Arc::clone(&self.kit.sessions));
                let link = next.insert(Box::new(MsrpLink::new(msrp, sessions, &session_id)));
                link.connect(Reach { host, port, secure, fingerprints: Vec::new() });
            }
            (NextMsrp::Write(bytes), Some(link)) => link.write(bytes),
            (NextMsrp::Write(_), None) => {}
            (NextMsrp::Close, next) => *next = None,
        }
    }

    /// Has it checked whether the core still knows the user, and can still be reached.
    fn doubt(&self) {
        if let Some(registrations) = &self.kit.registrations {
            registrations.doubt(self.conversation.user());
        }
    }

    fn adopt(&mut self, arrival: MsrpArrival) {
        let shown = arrival.shown.clone();
        match self.link.adopt(arrival) {
            Some(first) => {
                // What was for the connection before is for nobody.
                self.forget_wire();
                self.conversation.handle(now(), Input::MsrpAccepted(shown));
                self.carry_out();
                // Who is not the peer has been closed.
                if self.link.is_open() {
                    self.feed_link_all(msrp::Input::Frame(first));
                }
            }
            None => {
                // Who knows the session-id may know it from somebody; who connects again and again
                // fills no log with it.
                let session = self.conversation.id();
                if std::mem::replace(&mut self.told.intruder, true) {
                    debug!(%session, "a second MSRP connection, closed");
                } else {
                    warn!(%session, "a second MSRP connection, closed");
                }
            }
        }
    }

    /// Takes an event and what has come with it: the answers leave together.
    fn feed_link_all(&mut self, event: msrp::Input) {
        // What has come together has come at one time.
        let now = now();
        self.feed_link(now, event);
        for _ in 0..BATCH {
            self.drain();
            // Who says goodbye listens no more.
            if self.turn.as_ref().is_some_and(Turn::closes) {
                break;
            }
            let Some(event) = self.link.buffered() else { break };
            self.feed_link(now, event);
        }
        self.carry_out();
    }

    fn feed_link(&mut self, now: Instant, event: msrp::Input) {
        if matches!(event, msrp::Input::Closed) {
            self.forget_wire();
        }
        self.conversation.handle(now, Input::Msrp(event));
    }

    /// Carries out what comes before the answer, and leaves the rest behind the answer's hold.
    fn carry_out_until_answer(&mut self) {
        while self.answer.is_none() {
            let Some(output) = self.conversation.poll() else { return };
            self.carry_out_one(output);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.conversation.poll() {
            self.carry_out_one(output);
        }
    }

    /// Carries out all outputs, and ends the turn.
    fn carry_out(&mut self) {
        self.drain();
        let Some(turn) = self.turn.as_mut().map(std::mem::take) else { return };
        if turn.wire.is_empty() {
            return;
        }
        // What the peer reads as delivered must be so even if we die at once.
        if (turn.tells && !turn.is_ours) || self.outbox.holds_wire() {
            self.outbox.wire(turn.wire);
        } else {
            self.write(turn.wire);
        }
    }

    fn carry_out_one(&mut self, output: Output) {
        match output {
            Output::Sip { bytes, hop } => {
                let (inbox, failed) = (self.inbox.clone(), hop.clone());
                let tell = OnFailure::new(move || {
                    // A full inbox loses the news; the transaction's timer brings it again.
                    let _lost = inbox.offer(Letter::SipFailed { hop: failed });
                });
                self.kit.outbound.send(bytes, &hop, tell);
            }
            Output::Spare { hop, wait } => self.kit.core.spare(now(), hop, wait),
            Output::Route(key) => {
                self.kit.sessions.route_dialog(key.clone(), self.inbox.clone());
                self.dialogs.push(key);
            }
            Output::Unroute(key) => {
                self.kit.sessions.forget_dialog(&key);
                self.dialogs.retain(|known| *known != key);
            }
            Output::EndCaller(key) => self.kit.sessions.end_caller(&key, &self.inbox),
            Output::ForgetCaller(key) => {
                self.kit.sessions.forget_caller(&key, &self.inbox);
                self.callers.retain(|known| *known != key);
            }
            Output::Names(Some(names)) => {
                let (id, user) = (self.conversation.id(), self.conversation.user());
                self.kit.sessions.names().enter(id, user, *names);
            }
            Output::Names(None) => self.kit.sessions.names().end(self.conversation.id()),
            Output::MsrpConnect { host, port, secure, fingerprints } => {
                // What was for the connection before is for nobody.
                self.forget_wire();
                self.link.connect(Reach { host, port, secure, fingerprints });
            }
            output @ (Output::MsrpWrite(_) | Output::MsrpClose) => match &mut self.turn {
                Some(turn) => turn.wire.push(output),
                None => self.write([output]),
            },
            Output::Notice(notice) => {
                log(&notice);
                if notice.kind.is_passing() && !self.kit.audience.hears(&notice) {
                    return;
                }
                if let Some(turn) = &mut self.turn {
                    turn.tells = true;
                }
                self.outbox.notice(notice);
            }
            Output::Remark(remark) => {
                let (session, user) = (self.conversation.id(), self.conversation.user());
                warn!(%session, %user, "{remark}");
            }
            Output::Answer(answer) => self.answer = Some(answer),
            Output::LateAnswer(id, answer) => {
                if let Some(reply) = self.late.remove(&id) {
                    self.answer(answer, reply);
                }
            }
            Output::NextMsrp(wish) => self.prepare_link(wish),
            Output::MsrpRoute(session_id) => self.reroute_msrp(session_id),
            Output::Extension { of, news } => self.kit.sessions.tell_extension(&of, news),
        }
    }

    /// Does what has waited until the notices before it were durable.
    fn release(&mut self, released: Released) {
        match released {
            Released::Wire(outputs) => self.write(outputs),
            Released::Late => {
                warn!(session = %self.conversation.id(), "the store is too slow for the peer");
                // A peer that gets no answer knows that it has to send again.
                self.link.close();
                self.conversation.handle(now(), Input::Msrp(msrp::Input::Closed));
            }
            Released::Drained => {}
        }
    }

    /// Writes to the MSRP connection, and closes it.
    fn write(&mut self, outputs: impl IntoIterator<Item = Output>) {
        for output in outputs {
            match output {
                Output::MsrpWrite(bytes) => self.link.write(bytes),
                Output::MsrpClose => self.link.close_when_flushed(),
                Output::Sip { .. }
                | Output::Spare { .. }
                | Output::Route(_)
                | Output::Unroute(_)
                | Output::EndCaller(_)
                | Output::ForgetCaller(_)
                | Output::Names(_)
                | Output::MsrpConnect { .. }
                | Output::Notice(_)
                | Output::Remark(_)
                | Output::Answer(_)
                | Output::LateAnswer(..)
                | Output::MsrpRoute(_)
                | Output::NextMsrp(_)
                | Output::Extension { .. } => {}
            }
        }
    }

    /// Logs that the peer has another host of ours in its paths, as some middleboxes would have it.
    fn note_misnaming(&mut self) {
        if !self.told.misnamed && self.conversation.msrp().is_misnamed() {
            self.told.misnamed = true;
            info!(session = %self.conversation.id(), "the MSRP peer names us by another host");
        }
    }

    /// An ended session is no address for new connections, and its caller may call anew.
    fn unroute_when_over(&mut self) {
        if self.conversation.is_over() && !std::mem::replace(&mut self.over, true) {
            self.kit.sessions.forget_msrp(&self.msrp_id);
            for key in &self.callers {
                self.kit.sessions.end_caller(key, &self.inbox);
            }
        }
    }
}

impl Drop for Driver {
    /// Leaves the directories, however the task has ended.
    fn drop(&mut self) {
        let sessions = &self.kit.sessions;
        sessions.leave(self.conversation.id());
        sessions.forget_msrp(&self.msrp_id);
        for key in self.dialogs.drain(..) {
            sessions.forget_dialog(&key);
        }
        let unread = self.letters.close().into_iter().filter_map(|letter| match letter {
            Letter::Renewal(_, caller) => Some(caller),
            Letter::Command { .. }
            | Letter::Sip { .. }
            | Letter::SipFailed { .. }
            | Letter::Reports(..)
            | Letter::Msrp(_)
            | Letter::Extension(_)
            | Letter::CoreLost
            | Letter::Stop => None,
        });
        for key in self.callers.drain(..).chain(unread) {
            sessions.forget_caller(&key, &self.inbox);
        }
        sessions.dismiss();
        let count = self.conversation.msrp().ignored();
        if count > 0 {
            info!(session = %self.conversation.id(), count, "MSRP frames were of no use");
        }
        debug!(session = %self.conversation.id(), "session forgotten");
    }
}

/// Waits for what happens on a connection that there need not be.
async fn next_of(link: &mut Option<Box<MsrpLink>>) -> msrp::Input {
    match link {
        // In a box, because hardly any conversation has to have room for it.
        Some(link) => Box::pin(link.next()).await,
        None => std::future::pending().await,
    }
}

/// Writes the one line per event that an operator cares about; never a message's text.
fn log(notice: &Notice) {
    let (session, user) = (&notice.session, &notice.user);
    match &notice.kind {
        NoticeKind::Invited { originator, .. } => {
            info!(%session, %user, from = %originator.address, "invitation");
        }
        NoticeKind::Event { event, description, message } => {
            let description = description.as_deref();
            let about = message.as_ref().map(MessageId::as_str);
            info!(%session, %user, event = event.as_str(), about, description, "event");
        }
        NoticeKind::Delivery { message, status, error_code, .. } => {
            let code = error_code.as_deref();
            debug!(%session, %user, %message, status = status.as_str(), code, "delivery");
        }
        NoticeKind::Message { id, echo, .. } => debug!(%session, %user, %id, echo, "message"),
        NoticeKind::Composing { echo, .. } => debug!(%session, %user, echo, "composing"),
        NoticeKind::GroupInvited { participants, .. } => {
            info!(%session, %user, participants = participants.len(), "group invitation");
        }
        NoticeKind::ParticipantStatus { participants } => {
            for participant in participants {
                let (who, status) = (&participant.party.address, participant.status.as_str());
                info!(%session, %user, participant = %who, status, "participant");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io;
    use std::sync::Mutex;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use bytes::{Bytes, BytesMut};
    use time::OffsetDateTime;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream, UdpSocket};
    use tokio::sync::mpsc;
    use tokio::time::timeout;
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    use super::super::outbox::FLUSH_WAIT;
    use super::*;
    use crate::address::Address;
    use crate::bridge::delivery::SuccessOn;
    use crate::bridge::{
        Arrival, ConversationKit, MsrpRules, Profile, Realm, Settings, Shown, Standing, TargetUri,
    };
    use crate::chat::{
        Command, Invitation, NotificationFormat, OutgoingMessage, Party, ReportRequest,
    };
    use crate::clock::Anchor;
    use crate::ids::{Random, SessionId, SubscriptionId};
    use crate::msrp::{Limits, Parser};
    use crate::net::{CoreSettings, SipSettings, bind_sip};
    use crate::sip::{
        DATAGRAM, Decoded, Hop, Message, Status, Timers, Transport, WireLimits, decode_datagram,
    };
    use crate::store::{
        Bounds, MsrpConnection, MsrpWay, MsrpWire, Subscription, SubscriptionLimits, Told,
    };

    /// To answer each message of a read by itself would cost a system call for each.
    #[tokio::test]
    async fn the_answers_to_what_was_read_together_leave_together() {
        let core = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let hop = Hop::new(Transport::Udp, "127.0.0.1", core.local_addr().unwrap().port());
        let (inbox, _told) = start_at(hop.clone(), None).await;
        let invite = receive(&core).await;
        let path = field(&invite, "a=path:").trim_start_matches("a=path:");
        let send = |number: usize| {
            format!(
                "MSRP tid{number} SEND\r\nTo-Path: {path}\r\nFrom-Path: {FAR_PATH}\r\n\
                 Message-ID: m{number}\r\nContent-Type: text/plain\r\n\r\nhi\r\n-------tid{number}$\r\n"
            )
        };
        // The first one shows who it is, and what is behind it waits for nothing.
        assert!(inbox.offer(answer(&invite, &hop)).is_ok());
        let frames: Vec<String> = (100..200).map(send).collect();
        let (arrival, wire) = arrival(&frames.concat());
        assert!(inbox.offer(arrival).is_ok());
        while !wire.has_written("MSRP tid199 200") {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        let counted = wire.0.lock().unwrap();
        assert!(counted.writes <= 2, "{} writes", counted.writes);
        let answers = memchr::memmem::find_iter(&counted.bytes, " 200 OK").count();
        assert_eq!(answers, 100);
    }

    /// What an operator has to hear of a session: who else connects to it, under which name the peer
    /// knows us, and how much came that was of no use.
    #[tokio::test]
    async fn m11_what_is_strange_about_a_session_is_logged_once() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        tracing::callsite::rebuild_interest_cache();
        let core = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let hop = Hop::new(Transport::Udp, "127.0.0.1", core.local_addr().unwrap().port());
        let own = ConversationKit { next_hops: vec![hop.clone()], ..conversation_kit() };
        let talk = Talk::originate(now(), own, invitation()).unwrap();
        let (driver, inbox, _sessions, _told) = engage(hop.clone(), None, talk).await;
        let running = tokio::spawn(driver.run(None));

        let invite = receive(&core).await;
        let path = field(&invite, "a=path:").trim_start_matches("a=path:");
        let path = path.replace("127.0.0.1", "192.0.2.1");
        let paths = format!("To-Path: {path}\r\nFrom-Path: {FAR_PATH}\r\n");
        let send = format!("MSRP one SEND\r\n{paths}-------one$\r\n");
        let stray = format!("MSRP two 200 OK\r\n{paths}-------two$\r\n");
        let (arrival, wire) = arrival(&[send.clone(), stray.clone(), stray].concat());
        assert!(inbox.offer(arrival).is_ok());
        assert!(inbox.offer(answer(&invite, &hop)).is_ok());
        while !wire.has_written("MSRP one 200") {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            let (second, wire) = self::arrival(&send);
            assert!(inbox.offer(second).is_ok());
            while !wire.has_written("MSRP one 506") {
                tokio::task::yield_now().await;
            }
        }
        running.abort();
        drop(running.await);
        drop(guard);

        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        for part in [
            "WARN chatbridge::net::driver: a second MSRP connection, closed session=sess001",
            "INFO chatbridge::net::driver: the MSRP peer names us by another host session=sess001",
            "INFO chatbridge::net::driver: MSRP frames were of no use session=sess001 count=2",
        ] {
            assert_eq!(log.matches(part).count(), 1, "{part}: {log}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn notices_wait_until_the_answer_before_them_has_left() {
        let (inbox, mut notices) = start().await;
        let Ticket { value, flushed } = say(&inbox, "one").await;
        assert_eq!(value, Ok(Answer::Done));
        let almost = FLUSH_WAIT - Duration::from_millis(1);
        assert!(timeout(almost, notices.recv()).await.is_err(), "the answer has not left");
        let released = Tick::now();
        drop(flushed);
        assert!(matches!(notices.recv().await.unwrap().notice.kind, NoticeKind::Message { .. }));
        assert_eq!(Tick::now(), released);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_never_leaves_holds_nothing_up_for_long() {
        let (inbox, mut notices) = start().await;
        let asked = Tick::now();
        let _unread = say(&inbox, "one").await;
        assert!(notices.recv().await.unwrap().notice.kind.is_echo());
        assert!(Tick::now() - asked >= FLUSH_WAIT);
    }

    /// What has come before the answer to our INVITE is read with it: its 200 waits all the same.
    #[tokio::test]
    async fn what_came_early_is_answered_once_its_notice_is_durable() {
        let core = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let hop = Hop::new(Transport::Udp, "127.0.0.1", core.local_addr().unwrap().port());
        let (inbox, mut told) = start_at(hop.clone(), Some(Duration::from_secs(60))).await;
        let invite = receive(&core).await;
        let path = field(&invite, "a=path:").trim_start_matches("a=path:");
        let frame = format!(
            "MSRP early SEND\r\nTo-Path: {path}\r\nFrom-Path: {FAR_PATH}\r\nMessage-ID: m\r\n\
             Byte-Range: 1-2/2\r\nContent-Type: text/plain\r\n\r\nhi\r\n-------early$\r\n"
        );
        let (arrival, wire) = arrival(&frame);
        assert!(inbox.offer(arrival).is_ok());
        assert!(inbox.offer(answer(&invite, &hop)).is_ok());

        let receipt = loop {
            let Told { notice, receipt } = told.recv().await.unwrap();
            if matches!(notice.kind, NoticeKind::Message { .. }) {
                break receipt.expect("somebody waits for it");
            }
        };
        assert!(!wire.has_written("MSRP early 200"), "the notice is not durable yet");
        receipt.give();
        while !wire.has_written("MSRP early 200") {
            tokio::task::yield_now().await;
        }
    }

    async fn receive(core: &UdpSocket) -> String {
        let mut bytes = vec![0; 4096];
        let length = core.recv(&mut bytes).await.unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    fn field<'a>(message: &'a str, name: &str) -> &'a str {
        message.lines().find(|line| line.starts_with(name)).unwrap()
    }

    /// A connection on which these frames have come.
    fn arrival(frames: &str) -> (Letter, Recorder) {
        let wire = Recorder::default();
        let (mut parser, mut incoming) = (Parser::new(Limits::default()), BytesMut::from(frames));
        let first = parser.next(&mut incoming).unwrap().unwrap();
        let connection = MsrpConnection { wire: Box::new(wire.clone()), parser, incoming };
        let way = MsrpWay::Own(Box::new(connection));
        let arrival = MsrpArrival { first, shown: Shown::default(), way };
        (Letter::Msrp(Box::new(arrival)), wire)
    }

    /// The 200 to our INVITE, of one who connects.
    fn answer(invite: &str, hop: &Hop) -> Letter {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=message 7 TCP/MSRP *\r\na=accept-types:*\r\na=setup:active\r\na=path:{FAR_PATH}\r\n"
        );
        let fields = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].map(|name| field(invite, name));
        let [via, from, to, call_id, cseq] = fields;
        let answer = format!(
            "SIP/2.0 200 OK\r\n{via}\r\n{from}\r\n{to};tag=far\r\n{call_id}\r\n{cseq}\r\n\
             Contact: <sip:127.0.0.1:9>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        let decoded = decode_datagram(Bytes::from(answer), &WireLimits::default());
        let Decoded::Message(message) = decoded else { panic!("{decoded:?}") };
        Letter::Sip { message, source: hop.clone() }
    }

    /// The connection before is there until the relay has let the session in on the next one. Who was
    /// refused before may call again.
    #[tokio::test]
    async fn the_next_connection_takes_the_place_of_the_one_before() {
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let hop = Hop::new(Transport::Udp, "127.0.0.1", peer.local_addr().unwrap().port());
        let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = ConversationKit {
            settings: Arc::new(relayed(relay.local_addr().unwrap().port())),
            ..conversation_kit()
        };
        let talk = Talk::incoming(now(), own, called(1, &hop), &|_| true);
        let (inbox, sessions, _told) = drive(hop.clone(), None, talk).await;
        let renewal = |number| {
            let caller = DialogKey { call_id: format!("call{number}"), tag: "far".to_owned() };
            sessions.route_caller(caller.clone(), 1, inbox.clone());
            let letter = Letter::Renewal(Box::new(called(number, &hop)), caller.clone());
            assert!(inbox.offer(letter).is_ok());
            caller
        };
        let refused = renewal(2);
        assert!(answer_to(&peer, 2).await.starts_with("SIP/2.0 480"), "it still rings");
        assert!(sessions.caller(&refused, Some(1)).is_some(), "the same call");
        assert!(sessions.caller(&refused, Some(2)).is_none(), "another call");

        let (reply, _accepted) = oneshot::channel();
        assert!(inbox.offer(Letter::Command { command: Command::Accept, reply }).is_ok());
        let mut first = relay.accept().await.unwrap().0;
        let_in(&mut first).await;
        let accepted = answer_to(&peer, 1).await;
        assert!(accepted.starts_with("SIP/2.0 200"), "{accepted}");
        assert!(read_frame(&mut first).await.contains(" SEND"), "it shows that it is there");
        let known = renewal(3);
        let mut second = relay.accept().await.unwrap().0;
        assert!(first.try_read(&mut [0]).is_err(), "still open");
        let_in(&mut second).await;
        assert!(answer_to(&peer, 3).await.starts_with("SIP/2.0 200"));
        assert!(read_frame(&mut second).await.contains(" SEND"));
        assert_eq!(first.read(&mut [0; 1024]).await.unwrap(), 0, "closed");
        assert!(sessions.caller(&known, Some(2)).is_some(), "it is in no other call");
    }

    /// Waits for the final answer to the INVITE of that number.
    async fn answer_to(peer: &UdpSocket, number: u8) -> String {
        loop {
            let mut answer = vec![0; 4096];
            let length = peer.recv(&mut answer).await.unwrap();
            let answer = String::from_utf8(answer[..length].to_vec()).unwrap();
            let is_it = answer.contains(&format!("Call-ID: call{number}\r\n"));
            if is_it && answer.starts_with("SIP/2.0 ") && !answer.starts_with("SIP/2.0 1") {
                return answer;
            }
        }
    }

    async fn read_frame(stream: &mut TcpStream) -> String {
        let mut bytes = vec![0; 4096];
        let length = stream.read(&mut bytes).await.unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// Answers AUTH.
    async fn let_in(stream: &mut TcpStream) {
        let auth = read_frame(stream).await;
        let tid = auth.split(' ').nth(1).unwrap();
        let from = auth.lines().find(|line| line.starts_with("From-Path:")).unwrap();
        let to = from.replace("From-Path", "To-Path");
        let granted = format!(
            "MSRP {tid} 200 OK\r\n{to}\r\nFrom-Path: msrp://127.0.0.1;tcp\r\n\
             Use-Path: msrp://127.0.0.1:9/way;tcp\r\n-------{tid}$\r\n"
        );
        stream.write_all(granted.as_bytes()).await.unwrap();
    }

    /// An INVITE to our user.
    fn called(number: u8, source: &Hop) -> Arrival {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=message 7 TCP/MSRP *\r\na=accept-types:*\r\na=setup:passive\r\na=path:{FAR_PATH}\r\n"
        );
        let port = source.port;
        let invite = format!(
            "INVITE sip:+19585550100@example.com;user=phone SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:+19585550101@example.com>;tag=far\r\nTo: <sip:+19585550100@example.com>\r\n\
             Call-ID: call{number}\r\nCSeq: 1 INVITE\r\nContact: <sip:127.0.0.1:{port}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        let decoded = decode_datagram(Bytes::from(invite), &WireLimits::default());
        let Decoded::Message(Message::Request(invite)) = decoded else { panic!("{decoded:?}") };
        let session = SessionId::new("sess001");
        Arrival { session, invite, source: source.clone(), trusted: true, extends: None }
    }

    fn relayed(port: u16) -> Settings {
        let password = crate::digest::Password::Text("secret".to_owned());
        let credentials =
            crate::digest::Credentials { username: "us".to_owned(), password, realms: Vec::new() };
        let uri = msrp::Uri::parse(&format!("msrp://127.0.0.1:{port};tcp")).unwrap();
        let relays =
            msrp::Relays { uris: vec![uri], credentials, expires: None, allow_plain: true };
        let timeout = Duration::from_secs(10);
        let settings = Arc::into_inner(conversation_kit().settings).unwrap();
        Settings { msrp_relay: Some(crate::bridge::MsrpRelay { relays, timeout }), ..settings }
    }

    const FAR_PATH: &str = "msrp://127.0.0.1:7/far;tcp";

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A connection that keeps what is written.
    #[derive(Debug, Clone, Default)]
    struct Recorder(Arc<Mutex<Recorded>>);

    #[derive(Debug, Default)]
    struct Recorded {
        bytes: Vec<u8>,
        flushed: usize,
        /// How often something has left.
        writes: usize,
    }

    impl Recorder {
        fn has_written(&self, text: &str) -> bool {
            memchr::memmem::find(&self.0.lock().unwrap().bytes, text.as_bytes()).is_some()
        }
    }

    impl MsrpWire for Recorder {
        fn poll_read(&mut self, _: &mut Context<'_>, _: &mut BytesMut) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn push(&mut self, frame: Bytes) {
            self.0.lock().unwrap().bytes.extend_from_slice(&frame);
        }

        fn waiting(&self) -> usize {
            0
        }

        fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let mut recorded = self.0.lock().unwrap();
            let all = recorded.bytes.len();
            if std::mem::replace(&mut recorded.flushed, all) < all {
                recorded.writes += 1;
            }
            Poll::Ready(Ok(()))
        }
    }

    async fn say(inbox: &Inbox, text: &str) -> Ticket<Result<Answer, Refusal>> {
        let (id, text) = (MessageId::new(text), text.to_owned());
        let message = OutgoingMessage { id, text, reports: ReportRequest::default() };
        let (reply, answer) = oneshot::channel();
        let letter = Letter::Command { command: Command::Send(message), reply };
        assert!(inbox.offer(letter).is_ok());
        answer.await.unwrap()
    }

    /// Starts a conversation that invites somebody behind a port where nobody listens.
    async fn start() -> (Inbox, mpsc::Receiver<Told>) {
        start_at(hop(), None).await
    }

    /// Starts a conversation that invites somebody behind `hop`.
    async fn start_at(hop: Hop, patience: Option<Duration>) -> (Inbox, mpsc::Receiver<Told>) {
        let own = ConversationKit { next_hops: vec![hop.clone()], ..conversation_kit() };
        let talk = Talk::originate(now(), own, invitation()).unwrap();
        let (inbox, _sessions, told) = drive(hop, patience, talk).await;
        (inbox, told)
    }

    async fn drive(
        hop: Hop,
        patience: Option<Duration>,
        talk: Talk,
    ) -> (Inbox, Arc<Sessions>, mpsc::Receiver<Told>) {
        let (driver, inbox, sessions, told) = engage(hop, patience, talk).await;
        tokio::spawn(driver.run(None));
        (inbox, sessions, told)
    }

    async fn engage(
        hop: Hop,
        patience: Option<Duration>,
        talk: Talk,
    ) -> (Box<Driver>, Inbox, Arc<Sessions>, mpsc::Receiver<Told>) {
        let listen = "127.0.0.1:0".parse().unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let sockets = bind_sip(listen, SipSettings::default(), stop, tasks).await.unwrap();
        let (sessions, _) = Sessions::new(Bounds::default());
        sessions.admit().unwrap();
        let sessions = Arc::new(sessions);
        let (sender, told) = mpsc::channel(8);
        let notices = Notices { sender, patience };
        let audience = Subscriptions::new(SubscriptionLimits::default());
        audience.restore(subscription());
        let audience = Arc::new(audience);
        let kit = DriverKit {
            sessions: Arc::clone(&sessions),
            registrations: None,
            outbound: sockets.outbound,
            core: Core::fixed(hop, &CoreSettings::default()),
            notices,
            audience,
            msrp: Arc::default(),
        };
        let (inbox, letters) = Inbox::new(8);
        let driver = Driver::new(kit, talk, (inbox.clone(), letters), None);
        (driver, inbox, sessions, told)
    }

    fn subscription() -> Subscription {
        Subscription {
            id: SubscriptionId::new("sub001"),
            user: invitation().user,
            user_base: String::new(),
            resource_url: String::new(),
            notify_url: "http://example.com/".into(),
            callback_data: None,
            format: NotificationFormat::default(),
            client_correlator: None,
            duration: None,
            expires: None,
            echo: true,
        }
    }

    fn invitation() -> Invitation {
        let party = |text| Party { address: Address::parse(text).unwrap(), name: None };
        Invitation {
            session: SessionId::new("sess001"),
            user: party("tel:+19585550100").address,
            subject: "Hello".into(),
            originator: party("tel:+19585550100"),
            terminating: party("tel:+19585550101"),
            client_correlator: None,
        }
    }

    fn hop() -> Hop {
        Hop::new(Transport::Udp, "127.0.0.1", 9)
    }

    fn conversation_kit() -> ConversationKit {
        let settings = Settings {
            realm: Realm { domain: "example.com".into(), target_uri: TargetUri::SipPhone },
            standing: Standing::default(),
            profile: Profile::plain(),
            tls_port: None,
            local: hop(),
            user_agent: "chatbridge".into(),
            core: None,
            datagram: DATAGRAM,
            credentials: None,
            session_timer: None,
            timers: Timers::default(),
            msrp_host: "127.0.0.1".into(),
            msrp_port: 2855,
            msrp_bearers: crate::bridge::Bearers::default(),
            msrp_relay: None,
            msrp_rules: MsrpRules::default(),
            msrp_limits: Arc::default(),
            invitation_timeout: Duration::from_secs(180),
            msrp_connect_timeout: Duration::from_secs(10),
            msrp_grace: Duration::from_secs(3),
            leave_wait: Duration::from_secs(2),
            stop_wait: Duration::from_secs(2),
            linger: Duration::from_secs(32),
            no_client_code: Status::TEMPORARILY_UNAVAILABLE,
            decline_code: Status::TEMPORARILY_UNAVAILABLE,
            no_answer_code: Status::TEMPORARILY_UNAVAILABLE,
            success_on: SuccessOn::Report,
            echo: true,
            tracked_messages: 8,
            redirects: 0,
            group: crate::bridge::GroupSettings::default(),
        };
        let anchor = Anchor::new(now(), OffsetDateTime::UNIX_EPOCH);
        let (settings, access) = (Arc::new(settings), Arc::default());
        let random = Random::seeded(1);
        ConversationKit { settings, access, anchor, random, next_hops: vec![hop()] }
    }
}
