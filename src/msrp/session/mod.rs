//! One MSRP session over one connection (RFC 4975 sections 5.4 and 7).
//!
//! ```text
//!         open(Active)              Connected            answer, bind_wait
//!  Idle ───────────────▶ Connecting ─────────▶ Binding ───────────────────▶ Bound
//!   ││                        │                   │                          ▲
//!   ││                        └───────────────────┴──────────request─────────┤
//!   │└──open(Passive)──▶ Listening ──────────────────────────request─────────┤
//!   └──────request─────▶ Early ──────────────────────────────open────────────┘
//!
//!  Binding, Bound ──connection lost──▶ Connecting (again and again) or Listening, once within grace
//!  any ──close(), connection lost for good or not made, connect_wait, 481, 506, no MSRP──▶ Closed
//! ```
//! The active side sends a SEND without body first, because some peers choke on a first message
//! with one; messages wait until the session is bound. A request of the peer that names our session
//! shows that it is bound too; it may even come before the answer that tells the path to the peer.
//!
//! A session with relays connects to the first of them before anything else, whoever is active
//! (RFC 6135 section 4.5), and is opened once they have granted a way: being connected is then
//! having that way.

mod connection;
mod receive;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;

use super::assembly::{Assembly, Stalled};
use super::event::{Broken, Event, Input, Outgoing, Output, SendError, Setup};
use super::frame::{ByteRange, FailureReport, Frame, Method, Status, TransactionId, comment};
use super::limits::Limits;
use super::nickname::{NicknameError, NicknameRequest, Reservation};
use super::outbox::{Outbox, Outcome, Route, Settled};
use super::relay::{Chain, RelayError, RelayOutput, Relays};
use super::reports::Reports;
use super::text::Text;
use super::uri::{Matching, Path, Uri};
use crate::ids::Random;
use receive::Arrival;

pub use receive::Held;

/// Sends and receives messages over one connection.
///
/// Call [`poll`](Self::poll) until it gives nothing after every other call, and carry each output
/// out before the next `poll`: chunks are made as fast as they are written.
#[derive(Debug)]
pub struct Session {
    local: Path,
    limits: Arc<Limits>,
    random: Random,
    matching: Matching,
    /// The media types that are taken in, unless all are.
    accept_types: Option<Vec<String>>,
    /// Where to connect instead of where the path says.
    anchor: Option<Box<(String, u16)>>,
    /// Whether nicknames are granted here, and messages judged before they are answered.
    is_focus: bool,
    /// Whether bodies are written without a copy.
    shares_bodies: bool,
    state: State,
    /// Who connects, and connects again.
    setup: Option<Setup>,
    /// Until when the connection that was lost last may be replaced.
    lost: Option<Instant>,
    /// When to try again to replace it, after that has failed.
    again: Option<Instant>,
    /// The latest time handed in.
    now: Option<Instant>,
    relays: Option<Box<Chain>>,
    /// The path that the peer has told.
    far: Option<Path>,
    /// The way to the peer, through our relays.
    peer: Option<Path>,
    outbox: Outbox,
    assembly: Assembly,
    reports: Reports,
    reservation: Reservation,
    /// What is reported on at the next `poll`.
    arrival: Option<Arrival>,
    /// The way back to the sender of the message that came last. Most have come the same way, and to
    /// see that costs less than a copy for each.
    sender: Path,
    outputs: VecDeque<Output>,
    /// Where frames are written.
    room: BytesMut,
    /// Whether one was written since the last rest: then more are likely, and share the room.
    is_busy: bool,
    ignored: u64,
    /// How the first request of the peer has named us, once it is there.
    named: Option<Named>,
}

/// How closely a request has named the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Well,
    /// By its session-id, and a host, a port or a transport of its own.
    Loosely,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Idle,
    /// The peer is there before we know its path.
    Early,
    Connecting {
        until: Instant,
    },
    Listening {
        until: Instant,
    },
    Binding {
        tid: Box<TransactionId>,
        until: Instant,
    },
    Bound,
    Closed,
}

impl Session {
    /// Prepares a session that is reached under `local`.
    #[must_use]
    pub fn new(local: Uri, limits: impl Into<Arc<Limits>>, mut random: Random) -> Self {
        let limits = limits.into();
        let assembly = Assembly::new(Arc::clone(&limits), &mut random);
        let outbox = Outbox::new(Arc::clone(&limits));
        let local = Path::from(local);
        Self {
            sender: local.clone(),
            local,
            limits,
            random,
            matching: Matching::default(),
            accept_types: None,
            anchor: None,
            is_focus: false,
            shares_bodies: false,
            state: State::Idle,
            setup: None,
            lost: None,
            again: None,
            now: None,
            relays: None,
            far: None,
            peer: None,
            outbox,
            assembly,
            reports: Reports::default(),
            reservation: Reservation::default(),
            arrival: None,
            outputs: VecDeque::new(),
            room: BytesMut::new(),
            is_busy: false,
            ignored: 0,
            named: None,
        }
    }

    /// Says which media types are taken in, as in the SDP: `*`, `type/*` or `type/subtype`
    /// (RFC 4975 section 8.6). All are until this is called.
    pub fn set_accept_types(&mut self, accept_types: Vec<String>) {
        self.accept_types = Some(accept_types);
    }

    /// Says how closely the To-Path of requests has to name us.
    pub fn set_matching(&mut self, matching: Matching) {
        self.matching = matching;
    }

    /// Says where to connect instead of where the path of the peer says: to the `c=` and `m=` lines
    /// of its description, behind which a middlebox may stand (RFC 6714). Frames go on to name the
    /// path.
    pub fn set_anchor(&mut self, host: &str, port: u16) {
        self.anchor = Some(Box::new((host.to_owned(), port)));
    }

    /// Says that this end is a chat room (RFC 7701): it grants nicknames, which are not known until
    /// then, and a message is answered only when its owner has seen it, so that [`Self::refuse`]
    /// makes its answer a bad one (section 6.3).
    pub fn set_focus(&mut self) {
        self.is_focus = true;
    }

    /// Says that the body of a message that goes to many is to be written as it is, without a copy
    /// for this one ([`Output::WriteParts`]). Short ones are still copied: that costs less than to
    /// keep three parts together.
    pub fn share_bodies(&mut self) {
        self.shares_bodies = true;
    }

    /// Asks relays to act for this session, before it is opened; [`Event::Path`] tells when they do
    /// (RFC 4976 section 5.1).
    ///
    /// # Errors
    /// Refuses relays that cannot or must not be asked.
    pub fn use_relays(&mut self, now: Instant, relays: Relays) -> Result<(), RelayError> {
        self.now = Some(now);
        if self.state != State::Idle || self.relays.is_some() {
            return Err(RelayError::TooLate);
        }
        let chain = Chain::new(now, relays, self.local().clone(), &self.limits)?;
        self.connect_to(&chain.first().clone());
        self.relays = Some(Box::new(chain));
        Ok(())
    }

    /// Starts the session once offer and answer have told the path to the peer and who connects.
    pub fn open(&mut self, now: Instant, peer: Path, setup: Setup) {
        self.now = Some(now);
        self.setup.get_or_insert(setup);
        match self.state {
            State::Idle => {}
            State::Early => {
                self.far = Some(peer);
                self.find_way();
                self.bind(now);
                return;
            }
            State::Connecting { .. }
            | State::Listening { .. }
            | State::Binding { .. }
            | State::Bound
            | State::Closed => return,
        }
        let until = now + self.limits.connect_wait;
        self.state = match setup {
            Setup::Active => State::Connecting { until },
            Setup::Passive => State::Listening { until },
        };
        let next = peer.first().clone();
        self.far = Some(peer);
        self.find_way();
        match (&self.relays, setup) {
            (Some(relays), Setup::Active) if relays.way().is_some() => self.ask_binding(now),
            (None, Setup::Active) => self.connect_to(&next),
            (Some(_), Setup::Active) | (_, Setup::Passive) => {}
        }
    }

    /// Takes a message to send; it waits until the session is bound.
    ///
    /// # Errors
    /// Refuses when too many messages wait or the session is over.
    pub fn send(&mut self, now: Instant, message: Outgoing) -> Result<(), SendError> {
        self.now = Some(now);
        if self.state == State::Closed {
            return Err(SendError::Closed);
        }
        if self.outbox.is_full() {
            return Err(SendError::Full);
        }
        self.outbox.push(now, message);
        Ok(())
    }

    /// Takes over what another session has not got answered, before this one is opened in its place:
    /// it is sent anew under its Message-ID, by which the peer knows what it has had, as we know
    /// what has come there. The other session is of no use afterwards.
    pub fn inherit(&mut self, now: Instant, other: &mut Self) {
        self.now = Some(now);
        let lost = other.outbox.interrupt();
        let emptied = Outbox::new(Arc::clone(&other.limits));
        self.outbox = std::mem::replace(&mut other.outbox, emptied);
        self.reports = std::mem::take(&mut other.reports);
        self.assembly.inherit(&mut other.assembly);
        self.ignored += other.ignored;
        self.named = self.named.or(other.named);
        self.settle(lost);
        other.state = State::Closed;
    }

    /// Asks the chat room for a nickname, or with `None` to forget the one that we have; it waits
    /// until the session is bound, and [`Event::Nickname`] tells the outcome.
    ///
    /// # Errors
    /// Refuses what is no nickname, and one while another is asked for.
    pub fn nickname(&mut self, now: Instant, nickname: Option<&str>) -> Result<(), NicknameError> {
        self.now = Some(now);
        if self.state == State::Closed {
            return Err(NicknameError::Closed);
        }
        self.reservation.want(nickname)
    }

    /// Answers a participant: 200, 403 where no nicknames are granted, 425 where this one is taken
    /// or reserved (RFC 7701 section 7.1).
    pub fn answer_nickname(&mut self, now: Instant, asked: &NicknameRequest, code: u16) {
        self.now = Some(now);
        if self.state != State::Closed {
            self.answer(&asked.request, code);
        }
    }

    /// Tells the sender of the message that [`Event::Message`] has told last that there is no use
    /// for it: 400 where it cannot be understood, 415 where its content is not taken. Before the
    /// next [`Self::poll`]; afterwards its arrival is reported.
    pub fn refuse(&mut self, now: Instant, code: u16) {
        self.now = Some(now);
        self.report_arrival(Some(code));
    }

    /// Takes what has happened.
    pub fn handle(&mut self, now: Instant, mut input: Input) {
        self.now = Some(now);
        // Frames are large, and nearly all there is: they stay where they are.
        match &mut input {
            Input::Connected => self.handle_connected(now),
            Input::Frame(frame) => self.handle_frame(now, frame),
            Input::Malformed(error) => self.handle_malformed(error),
            Input::Closed => self.handle_closed(now),
            Input::Timeout => self.handle_timeout(now),
        }
    }

    /// Ends the session; messages without an answer have failed.
    pub fn close(&mut self, now: Instant) {
        self.now = Some(now);
        if self.state != State::Closed {
            self.end("the session was closed");
        }
    }

    /// Gives the next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        if self.outputs.is_empty() {
            self.pump();
        }
        self.outputs.pop_front()
    }

    /// Gives back the room that is not needed until something happens: for an owner that is going
    /// to wait, after [`poll`](Self::poll) has given nothing.
    pub fn rest(&mut self) {
        if self.outputs.is_empty() {
            self.outputs = VecDeque::new();
        }
        self.room = BytesMut::new();
        self.is_busy = false;
        // A long one may be a part of what was read with it.
        self.sender.clone_from(&self.local);
    }

    /// Tells whether every message that was given to the session is sent and answered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state == State::Closed || self.outbox.is_idle()
    }

    /// Tells when to hand in [`Input::Timeout`].
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let own = match &self.state {
            State::Connecting { until }
            | State::Listening { until }
            | State::Binding { until, .. } => Some(*until),
            State::Idle | State::Early | State::Bound => None,
            State::Closed => return None,
        };
        let others = [
            own,
            self.again,
            self.outbox.next_timeout(),
            self.assembly.next_timeout(),
            self.reservation.next_timeout(),
            self.relays.as_deref().and_then(Chain::next_timeout),
        ];
        others.into_iter().flatten().min()
    }

    /// Gives the URI of this end.
    #[must_use]
    pub fn local(&self) -> &Uri {
        self.local.first()
    }

    /// Gives the path under which the peer reaches this session, for `a=path`: through our relays,
    /// the outermost first (RFC 4976 section 5.1).
    #[must_use]
    pub fn path(&self) -> Path {
        let way = self.relays.as_deref().and_then(Chain::way);
        way.map_or_else(|| self.local.clone(), |way| way.reversed().then(&self.local))
    }

    /// Tells whether a connection belongs to the session already: a request for it on another one
    /// is refused with 506 (RFC 4975 section 5.4).
    #[must_use]
    pub fn is_bound(&self) -> bool {
        matches!(self.state, State::Early | State::Binding { .. } | State::Bound)
    }

    /// Counts what came and was of no use: strange, late or garbled frames, and stalled messages.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Tells whether the peer has named another host, port or transport than ours, and was let in by
    /// [`Matching::SessionId`]: as the first of its requests has it, and those behind it will.
    #[must_use]
    pub fn is_misnamed(&self) -> bool {
        self.named == Some(Named::Loosely)
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Connecting { until } if until <= now => self.stay_away(Broken::ConnectFailed),
            State::Listening { until } if until <= now => self.stay_away(Broken::BindTimeout),
            // Some peers never answer a SEND without body.
            State::Binding { until, .. } if until <= now => self.bind(now),
            State::Idle
            | State::Early
            | State::Connecting { .. }
            | State::Listening { .. }
            | State::Binding { .. }
            | State::Bound
            | State::Closed => {}
        }
        if self.again.is_some_and(|again| again <= now) {
            self.connect_again();
        }
        let settled = self.outbox.expire(now);
        self.settle(settled);
        for stalled in self.assembly.expire(now) {
            self.ignored += 1;
            self.report_stall(&stalled);
        }
        self.outputs.extend(self.reservation.expire(now).map(Output::Event));
        if let Some(relays) = &mut self.relays {
            let output = relays.timeout(now, &mut self.random);
            self.carry_out(now, output);
        }
    }

    fn bind(&mut self, now: Instant) {
        match self.state {
            State::Idle => self.state = State::Early,
            State::Early if self.peer.is_none() => {}
            State::Early
            | State::Connecting { .. }
            | State::Listening { .. }
            | State::Binding { .. } => {
                self.state = State::Bound;
                self.again = None;
                self.outbox.bound(now);
                self.outputs.push_back(Output::Event(Event::Bound));
            }
            State::Bound | State::Closed => {}
        }
    }

    /// Does what the relays need, or tells what they have said.
    fn carry_out(&mut self, now: Instant, output: Option<RelayOutput>) {
        match output {
            _ if self.state == State::Closed => {}
            Some(RelayOutput::Write(frame)) => self.write(&frame),
            Some(RelayOutput::Granted) => {
                self.find_way();
                self.outputs.push_back(Output::Event(Event::Path(self.path())));
                if matches!(self.state, State::Connecting { .. }) {
                    self.ask_binding(now);
                }
            }
            Some(RelayOutput::Failed { code }) => self.give_up(Broken::Relay { code }),
            None => {}
        }
    }

    /// The way to the peer leads through our relays first (RFC 4976 section 5.1).
    fn find_way(&mut self) {
        self.peer = match (&self.relays, &self.far) {
            (None, far) => far.clone(),
            (Some(relays), Some(far)) => relays.way().map(|way| way.then(far)),
            (Some(_), None) => None,
        };
    }

    fn give_up(&mut self, why: Broken) {
        if self.state != State::Closed {
            self.end(&why.to_string());
            self.outputs.push_back(Output::Event(Event::Broken(why)));
        }
    }

    fn end(&mut self, why: &str) {
        self.state = State::Closed;
        self.again = None;
        self.arrival = None;
        let settled =
            self.outbox.drain(&Outcome::Failed { code: 408, comment: Some(why.to_owned()) });
        self.settle(settled);
        self.outputs.extend(self.reservation.drain(why).map(Output::Event));
        self.outputs.push_back(Output::Close);
    }

    /// Makes one more frame if the peer can take one.
    fn pump(&mut self) {
        self.report_arrival(None);
        let (State::Bound, Some(now), Some(peer)) = (&self.state, self.now, &self.peer) else {
            return;
        };
        let route = Route { peer, us: &self.local };
        let until = now + self.limits.response_wait;
        if let Some(request) = self.reservation.request(until, route, &mut self.random) {
            self.write(&request);
        } else if let Some(chunk) = self.outbox.next_chunk(now, route, &mut self.random) {
            if let Some(id) = chunk.begins {
                self.reports.expect(id, chunk.size);
            }
            self.write_chunk(&chunk.frame);
            self.settle(chunk.settled);
        }
    }

    fn settle(&mut self, settled: impl IntoIterator<Item = Settled>) {
        for Settled { message_id, outcome, abort } in settled {
            if let (Some(rest), Some(peer)) = (abort, &self.peer)
                && self.state == State::Bound
            {
                let route = Route { peer, us: &self.local };
                let chunk = rest.chunk(route, &mut self.random);
                self.write(&chunk);
            }
            self.outputs.push_back(Output::Event(match outcome {
                Outcome::Sent => Event::Sent { message_id },
                Outcome::Failed { code, comment } => {
                    self.reports.forget(&message_id);
                    Event::Failed { message_id, code, comment }
                }
            }));
        }
    }

    /// Tells the sender that no more of its message is waited for (RFC 4975 section 7.1.4).
    fn report_stall(&mut self, stalled: &Stalled) {
        if self.state == State::Closed || stalled.failure_report == FailureReport::No {
            return;
        }
        let range = ByteRange { start: 1, end: Some(stalled.received), total: stalled.total };
        let message_id = Text::new(&stalled.message_id);
        self.report(413, message_id, range, stalled.from_path.clone());
    }

    fn report(&mut self, code: u16, message_id: Text, range: ByteRange, to_path: Path) {
        let tid = TransactionId::draw(&mut self.random, b"");
        let mut report = Frame::request(Method::Report, tid, to_path, self.local.clone());
        report.message_id = Some(message_id);
        report.byte_range = Some(range);
        let comment = comment(code).map(Text::new);
        report.status = Some(Status { namespace: 0, code, comment });
        self.write(&report);
    }

    fn answer(&mut self, frame: &Frame, code: u16) {
        if self.is_busy && self.room.capacity() < LONGEST_USUAL {
            self.room.reserve(ROOM);
        }
        if frame.write_answer(code, &mut self.room) {
            self.leave();
        }
    }

    /// Writes a chunk of a message, the body of a large one as it is where that is wanted.
    fn write_chunk(&mut self, frame: &Frame) {
        match &frame.body {
            Some(body) if self.shares_bodies && body.len() > SHARED => {
                let parts = frame.write_parts(body, &mut self.room);
                self.outputs.push_back(Output::WriteParts(parts));
            }
            Some(_) | None => self.write(frame),
        }
    }

    fn write(&mut self, frame: &Frame) {
        frame.write(&mut self.room);
        self.leave();
    }

    /// Sends what was written.
    fn leave(&mut self) {
        // Room is used again once what was written there has left; that of a large chunk is not
        // kept, and to share what takes one frame only costs more than it is worth.
        let is_shared = self.is_busy && self.room.len() <= ROOM;
        let bytes = if is_shared { self.room.split() } else { std::mem::take(&mut self.room) };
        self.is_busy = true;
        self.outputs.push_back(Output::Write(bytes.freeze()));
    }
}

/// How many bytes of room are made for several frames, and may be used again.
const ROOM: usize = 1024;

/// How many bytes answers have at most, but for a few.
const LONGEST_USUAL: usize = 256;

/// From how many bytes on a body is worth two more parts.
const SHARED: usize = 512;

#[cfg(test)]
mod tests;
