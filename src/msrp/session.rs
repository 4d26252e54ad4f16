//! One MSRP session over one connection (RFC 4975 sections 5.4 and 7).
//!
//! ```text
//!            open(Active)              Connected             answer, request or bind_wait
//!    Idle ───────────────▶ Connecting ───────────▶ Binding ──────────────┐
//!      │                       │ Closed, connect_wait │ Closed           ▼
//!      │ open(Passive)         │                      │         ┌────▶ Bound
//!      └───────────────▶ Listening ──────first request┼─────────┘        │ Closed,
//!                              │ connect_wait         │                  │ 481, 506,
//!                              ▼                      ▼                  ▼ no MSRP
//!                            Closed ◀──────────close()─────────────────────
//! ```
//! The active side sends a SEND without body first, because some peers choke on a first message
//! with one; messages wait until the session is bound. A request of the peer that names our session
//! shows that it is bound too.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::assembly::{Assembly, Refused, Taken};
use super::event::{Broken, Event, Incoming, Input, Outgoing, Output, SendError, Setup};
use super::frame::{ByteRange, Continuation, Frame, Kind, Method, Status, TransactionId, comment};
use super::limits::Limits;
use super::outbox::{Answered, Outbox, Outcome, Route, Settled};
use super::parse::{ParseError, StreamFault};
use super::reports::Reports;
use super::text::Text;
use super::uri::{Matching, Path, Uri};
use crate::ids::Random;

/// Sends and receives messages over one connection.
///
/// Call [`poll`](Self::poll) until it gives nothing after every other call, and carry each output
/// out before the next `poll`: chunks are made as fast as they are written.
#[derive(Debug)]
pub struct Session {
    local: Path,
    limits: Limits,
    random: Random,
    matching: Matching,
    accept_types: Vec<String>,
    state: State,
    /// The latest time handed in.
    now: Option<Instant>,
    peer: Option<Path>,
    outbox: Outbox,
    assembly: Assembly,
    reports: Reports,
    outputs: VecDeque<Output>,
    ignored: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Idle,
    Connecting { until: Instant },
    Listening { until: Instant },
    Binding { tid: TransactionId, until: Instant },
    Bound,
    Closed,
}

impl Session {
    /// Prepares a session that is reached under `local`.
    #[must_use]
    pub fn new(local: Uri, limits: Limits, random: Random) -> Self {
        Self {
            local: Path::from(local),
            limits,
            random,
            matching: Matching::default(),
            accept_types: vec!["*".to_owned()],
            state: State::Idle,
            now: None,
            peer: None,
            outbox: Outbox::new(limits),
            assembly: Assembly::new(limits),
            reports: Reports::default(),
            outputs: VecDeque::new(),
            ignored: 0,
        }
    }

    /// Says which media types are taken in, as in the SDP: `*`, `type/*` or `type/subtype`
    /// (RFC 4975 section 8.6). All are until this is called.
    pub fn set_accept_types(&mut self, accept_types: Vec<String>) {
        self.accept_types = accept_types;
    }

    /// Says how closely the To-Path of requests has to name us.
    pub fn set_matching(&mut self, matching: Matching) {
        self.matching = matching;
    }

    /// Starts the session once offer and answer have told the path to the peer and who connects.
    pub fn open(&mut self, now: Instant, peer: Path, setup: Setup) {
        self.now = Some(now);
        if self.state != State::Idle {
            return;
        }
        let until = now + self.limits.connect_wait;
        self.state = match setup {
            Setup::Active => State::Connecting { until },
            Setup::Passive => State::Listening { until },
        };
        if setup == Setup::Active {
            let next = peer.first();
            self.outputs.push_back(Output::Connect {
                host: next.host().to_owned(),
                port: next.port().unwrap_or(MSRP_PORT),
                secure: next.secure(),
            });
        }
        self.peer = Some(peer);
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

    /// Takes what has happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.now = Some(now);
        match input {
            Input::Connected => self.handle_connected(now),
            Input::Frame(frame) => self.handle_frame(now, &frame),
            Input::Malformed(error) => self.handle_malformed(error),
            Input::Closed => self.handle_closed(),
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
        self.outputs.pop_front().or_else(|| {
            self.pump();
            self.outputs.pop_front()
        })
    }

    /// Tells when to hand in [`Input::Timeout`].
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let own = match &self.state {
            State::Connecting { until }
            | State::Listening { until }
            | State::Binding { until, .. } => Some(*until),
            State::Bound => None,
            State::Idle | State::Closed => return None,
        };
        [own, self.outbox.next_timeout(), self.assembly.next_timeout()].into_iter().flatten().min()
    }

    /// Gives the URI under which the peer reaches this session.
    #[must_use]
    pub fn local(&self) -> &Uri {
        self.local.first()
    }

    /// Tells whether a connection belongs to the session already: a request for it on another one
    /// is refused with 506 (RFC 4975 section 5.4).
    #[must_use]
    pub fn is_bound(&self) -> bool {
        matches!(self.state, State::Binding { .. } | State::Bound)
    }

    /// Counts what came and was of no use: strange, late or garbled frames, and stalled messages.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    fn handle_connected(&mut self, now: Instant) {
        let (State::Connecting { .. }, Some(peer)) = (&self.state, &self.peer) else { return };
        let tid = TransactionId::draw(&mut self.random, b"");
        let mut first = Frame::request(Method::Send, tid.clone(), peer.clone(), self.local.clone());
        first.message_id = Some(Text::new(&self.random.token()));
        first.byte_range = Some(ByteRange { start: 1, end: Some(0), total: Some(0) });
        self.state = State::Binding { tid, until: now + self.limits.bind_wait };
        self.write(&first);
    }

    fn handle_frame(&mut self, now: Instant, frame: &Frame) {
        match &frame.kind {
            _ if self.state == State::Closed => self.ignored += 1,
            Kind::Response { code, comment } => {
                let outcome = outcome(*code, comment.as_ref());
                self.handle_response(now, &frame.tid, *code, outcome);
            }
            Kind::Request(method) => {
                // Exactly one URI is left of the path when a request arrives
                // (RFC 4975 section 7.3).
                let ours = frame.to_path.first().names(self.local(), self.matching);
                if !ours || frame.to_path.hops() != 1 || self.peer.is_none() {
                    self.ignored += 1;
                    self.answer(frame, 481);
                    return;
                }
                self.bind(now);
                match method {
                    Method::Send => self.handle_send(now, frame),
                    Method::Report => self.handle_report(frame),
                    Method::Auth | Method::Nickname | Method::Other(_) => {
                        self.answer(frame, 501);
                    }
                }
            }
        }
    }

    fn handle_response(&mut self, now: Instant, tid: &TransactionId, code: u16, outcome: Outcome) {
        let binding = matches!(&self.state, State::Binding { tid: ours, .. } if ours == tid);
        let known = if binding {
            None
        } else {
            match self.outbox.answered(now, tid, outcome) {
                Answered::Unknown => {
                    self.ignored += 1;
                    return;
                }
                Answered::Known(settled) => settled,
            }
        };
        self.settle(known);
        match code {
            481 | 506 => self.give_up(Broken::Refused { code }),
            _ if binding => self.bind(now),
            _ => {}
        }
    }

    fn handle_send(&mut self, now: Instant, frame: &Frame) {
        let drawn = frame.message_id.is_none().then(|| self.random.token());
        let message_id = match (&frame.message_id, &drawn) {
            (Some(given), _) => given.as_str(),
            (None, Some(drawn)) => drawn,
            (None, None) => "",
        };
        if is_bodiless(frame) && frame.flag != Continuation::Abort {
            self.answer(frame, 200);
            return;
        }
        let unwanted = frame.content_type.as_ref().is_some_and(|given| !self.accepts(given));
        if unwanted {
            self.assembly.refuse(message_id, frame.flag != Continuation::More);
            self.answer(frame, 415);
            return;
        }
        match self.assembly.take(now, frame, message_id) {
            Ok(taken) => {
                self.answer(frame, 200);
                match taken {
                    Taken::Whole(message) => {
                        self.report_success(frame, &message);
                        self.outputs.push_back(Output::Event(Event::Message(message)));
                    }
                    Taken::Repeated(message) => self.report_success(frame, &message),
                    Taken::Nothing => {}
                }
            }
            Err(Refused(code)) => self.answer(frame, code),
        }
    }

    /// Takes a REPORT. It is found by Message-ID, for some peers give it the transaction
    /// identifier of the SEND, and it is never answered (RFC 4975 section 7.3.2).
    fn handle_report(&mut self, frame: &Frame) {
        let (Some(message_id), Some(status)) = (&frame.message_id, &frame.status) else {
            self.ignored += 1;
            return;
        };
        let message_id = message_id.as_str();
        if status.namespace != 0 {
            self.ignored += 1;
            return;
        }
        let comment = status.comment.as_ref().map(ToString::to_string);
        if status.code == 200 {
            if self.reports.succeed(message_id, frame.byte_range) {
                self.tell_report(message_id, 200, comment);
            }
            return;
        }
        let failed = outcome(status.code, status.comment.as_ref());
        if let Some(settled) = self.outbox.reported(message_id, failed) {
            self.settle(Some(settled));
        } else if self.reports.forget(message_id) {
            self.tell_report(message_id, status.code, comment);
        } else {
            self.ignored += 1;
        }
    }

    fn handle_malformed(&mut self, error: ParseError) {
        self.ignored += 1;
        match error {
            ParseError::Frame(bad) => {
                let session = self.peer.as_ref().map(|peer| (self.local.first(), peer));
                if self.state != State::Closed
                    && let Some(refusal) = bad.answer(session)
                {
                    self.write(&refusal);
                }
            }
            ParseError::Stream(StreamFault::NoStart | StreamFault::NoEnd) => {
                self.give_up(Broken::PeerMisbehaved);
            }
        }
    }

    fn handle_closed(&mut self) {
        match self.state {
            State::Connecting { .. } => self.give_up(Broken::ConnectFailed),
            State::Binding { .. } | State::Bound => self.give_up(Broken::Lost),
            // Whoever connected was not our peer, or will try again.
            State::Listening { .. } | State::Idle | State::Closed => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Connecting { until } if until <= now => self.give_up(Broken::ConnectFailed),
            State::Listening { until } if until <= now => self.give_up(Broken::BindTimeout),
            // Some peers never answer a SEND without body.
            State::Binding { until, .. } if until <= now => self.bind(now),
            State::Idle
            | State::Connecting { .. }
            | State::Listening { .. }
            | State::Binding { .. }
            | State::Bound
            | State::Closed => {}
        }
        let settled = self.outbox.expire(now);
        self.settle(settled);
        self.ignored += self.assembly.expire(now) as u64;
    }

    fn bind(&mut self, now: Instant) {
        match self.state {
            State::Connecting { .. } | State::Listening { .. } | State::Binding { .. } => {
                self.state = State::Bound;
                self.outbox.bound(now);
                self.outputs.push_back(Output::Event(Event::Bound));
            }
            State::Idle | State::Bound | State::Closed => {}
        }
    }

    fn give_up(&mut self, why: Broken) {
        if self.state != State::Closed {
            self.end(&why.to_string());
            self.outputs.push_back(Output::Event(Event::Broken(why)));
        }
    }

    fn end(&mut self, why: &str) {
        self.state = State::Closed;
        let settled =
            self.outbox.drain(&Outcome::Failed { code: 408, comment: Some(why.to_owned()) });
        self.settle(settled);
        self.outputs.push_back(Output::Close);
    }

    /// Makes one more chunk if the peer can take one.
    fn pump(&mut self) {
        let (State::Bound, Some(now), Some(peer)) = (&self.state, self.now, &self.peer) else {
            return;
        };
        let route = Route { peer, us: &self.local };
        if let Some(chunk) = self.outbox.next_chunk(now, route, &mut self.random) {
            if let Some(id) = chunk.begins {
                self.reports.expect(&id, chunk.size);
            }
            self.write(&chunk.frame);
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

    fn tell_report(&mut self, message_id: &str, code: u16, comment: Option<String>) {
        let message_id = message_id.to_owned();
        self.outputs.push_back(Output::Event(Event::Report { message_id, code, comment }));
    }

    /// Reports the whole message at once (RFC 4975 section 7.1.3).
    fn report_success(&mut self, last: &Frame, message: &Incoming) {
        let (true, Some(message_id)) = (message.success_report, &last.message_id) else { return };
        let tid = TransactionId::draw(&mut self.random, b"");
        let mut report =
            Frame::request(Method::Report, tid, last.from_path.clone(), self.local.clone());
        let size = message.body.len() as u64;
        report.message_id = Some(message_id.clone());
        report.byte_range = Some(ByteRange { start: 1, end: Some(size), total: Some(size) });
        let comment = comment(200).map(Text::new);
        report.status = Some(Status { namespace: 0, code: 200, comment });
        self.write(&report);
    }

    fn answer(&mut self, frame: &Frame, code: u16) {
        if let Some(response) = frame.answer(code) {
            self.write(&response);
        }
    }

    fn write(&mut self, frame: &Frame) {
        let mut bytes = BytesMut::new();
        frame.write(&mut bytes);
        self.outputs.push_back(Output::Write(bytes.freeze()));
    }

    fn accepts(&self, content_type: &Text) -> bool {
        let given = media_type(content_type.as_str());
        self.accept_types.iter().any(|accepted| {
            let accepted = media_type(accepted);
            match accepted.strip_suffix('*') {
                Some(prefix) => {
                    given.get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix))
                }
                None => given.eq_ignore_ascii_case(accepted),
            }
        })
    }
}

/// Tells whether a SEND only shows that its sender is there (RFC 4975 section 7.1). A type without
/// meaning is how one peer puts it.
fn is_bodiless(frame: &Frame) -> bool {
    let nothing = frame.body.as_ref().is_none_or(Bytes::is_empty);
    let typed = frame.body.is_some()
        && frame
            .content_type
            .as_ref()
            .is_some_and(|given| media_type(given.as_str()) != "empty/empty");
    nothing && !typed
}

/// Cuts the parameters off.
fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn outcome(code: u16, comment: Option<&Text>) -> Outcome {
    match code {
        200..=299 => Outcome::Sent,
        _ => Outcome::Failed { code, comment: comment.map(ToString::to_string) },
    }
}

/// The port registered for MSRP (RFC 4975 section 15.4).
const MSRP_PORT: u16 = 2855;
