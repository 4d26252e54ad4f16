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
//!  any ──close(), connection lost or not made, connect_wait, 481, 506, no MSRP──▶ Closed
//! ```
//! The active side sends a SEND without body first, because some peers choke on a first message
//! with one; messages wait until the session is bound. A request of the peer that names our session
//! shows that it is bound too; it may even come before the answer that tells the path to the peer.

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
    /// The peer is there before we know its path.
    Early,
    Connecting {
        until: Instant,
    },
    Listening {
        until: Instant,
    },
    Binding {
        tid: TransactionId,
        until: Instant,
    },
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
        if self.state == State::Early {
            self.peer = Some(peer);
            self.bind(now);
            return;
        }
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
        matches!(self.state, State::Early | State::Binding { .. } | State::Bound)
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
                if !ours || frame.to_path.hops() != 1 {
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
            State::Early => self.state = State::Idle,
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
            | State::Early
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
            State::Idle => self.state = State::Early,
            State::Early if self.peer.is_none() => {}
            State::Early
            | State::Connecting { .. }
            | State::Listening { .. }
            | State::Binding { .. } => {
                self.state = State::Bound;
                self.outbox.bound(now);
                self.outputs.push_back(Output::Event(Event::Bound));
            }
            State::Bound | State::Closed => {}
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::super::frame::FailureReport;
    use super::super::parse::Parser;
    use super::*;

    #[test]
    fn the_active_side_binds_with_a_send_without_body() {
        let mut talk = Talk::new();
        talk.send("early", "hello");
        assert_eq!(talk.open(Setup::Active), ["connect 192.0.2.1 9000 plain"]);
        assert_eq!(talk.give(Input::Connected), ["SEND - 1-0/0 $"]);
        assert_eq!(talk.answer(0, 200), ["bound", "SEND early 1-5/5 $ hello"]);
        assert_eq!(talk.answer(1, 200), ["sent early"]);
        assert_eq!(talk.session.next_timeout(), None);
    }

    #[test]
    fn an_unanswered_binding_does_not_hold_the_session_up() {
        let mut talk = Talk::new();
        talk.send("m", "hello");
        talk.open(Setup::Active);
        talk.give(Input::Connected);
        assert_eq!(talk.sleep(4), [""; 0]);
        assert_eq!(talk.sleep(1), ["bound", "SEND m 1-5/5 $ hello"]);
        assert_eq!(talk.answer(0, 200), [""; 0], "late");
        assert_eq!(talk.answer(1, 200), ["sent m"]);
        assert_eq!(talk.session.ignored(), 1);
    }

    #[test]
    fn a_binding_that_is_answered_with_an_error_binds_unless_the_session_is_refused() {
        for (code, outcome) in [
            (400, vec!["bound"]),
            (501, vec!["bound"]),
            (481, vec!["close", "broken: the peer refuses the session with 481"]),
            (506, vec!["close", "broken: the peer refuses the session with 506"]),
        ] {
            let mut talk = Talk::new();
            talk.open(Setup::Active);
            talk.give(Input::Connected);
            assert_eq!(talk.answer(0, code), outcome);
        }
    }

    #[test]
    fn the_passive_side_is_bound_by_the_first_request_for_it() {
        let mut talk = Talk::new();
        assert_eq!(talk.open(Setup::Passive), [""; 0]);
        talk.send("m", "hello");
        assert_eq!(talk.give(Input::Connected), [""; 0]);
        assert!(!talk.session.is_bound());
        let stranger = request("SEND", "Message-ID: b\r\n").replace("/ours", "/other");
        assert_eq!(talk.receive(&stranger), ["481 tid1"]);
        assert_eq!(
            talk.receive(&request("SEND", "Message-ID: b\r\nByte-Range: 1-0/0\r\n")),
            ["bound", "200 tid1", "SEND m 1-5/5 $ hello"]
        );
        assert!(talk.session.is_bound());
    }

    #[test]
    fn the_peer_may_be_faster_than_its_answer() {
        let mut talk = Talk::new();
        talk.send("m", "hello");
        let early = text("p", "1-2/2", "hi");
        assert_eq!(talk.receive(&early), ["200 tid1", "message p text/plain hi"]);
        assert!(talk.session.is_bound());
        assert_eq!(talk.receive(&request("SEND", "no colon\r\n")), ["400 tid1"]);
        assert_eq!(talk.open(Setup::Passive), ["bound", "SEND m 1-5/5 $ hello"]);
        let mut talk = Talk::new();
        talk.receive(&early);
        assert_eq!(talk.give(Input::Closed), [""; 0]);
        assert_eq!(talk.open(Setup::Passive), [""; 0]);
        assert_eq!(talk.receive(&request("SEND", "")), ["bound", "200 tid1"]);
    }

    #[test]
    fn quirk_opensips_binding_send_that_wants_no_answer() {
        let mut talk = Talk::new();
        talk.open(Setup::Passive);
        assert_eq!(talk.receive(&request("SEND", "Failure-Report: no\r\n")), ["bound"]);
    }

    #[test]
    fn quirk_nio_binding_send_with_an_empty_type_is_no_message() {
        let mut talk = Talk::bound();
        let empty = request("SEND", "Content-Type: empty/empty\r\n\r\n\r\n");
        assert_eq!(talk.receive(&empty), ["200 tid1"]);
    }

    #[test]
    fn a_session_that_does_not_come_about_fails_its_messages() {
        let mut talk = Talk::new();
        talk.send("m", "hello");
        talk.open(Setup::Active);
        let failed = ["failed m 408", "close", "broken: the connection could not be made"];
        assert_eq!(talk.give(Input::Closed), failed);
        let mut talk = Talk::new();
        talk.send("m", "hello");
        talk.open(Setup::Active);
        assert_eq!(talk.sleep(30), failed);
        let mut talk = Talk::new();
        talk.open(Setup::Passive);
        talk.give(Input::Connected);
        assert_eq!(talk.give(Input::Closed), [""; 0], "someone else may come");
        assert_eq!(talk.sleep(30), ["close", "broken: the peer did not bind the session"]);
        assert_eq!(talk.session.next_timeout(), None);
    }

    #[test]
    fn m16_a_lost_connection_fails_what_is_unanswered_once() {
        let mut talk = Talk::bound();
        talk.send("one", "1");
        talk.send("two", "2");
        assert_eq!(talk.answer(1, 200), ["sent one"]);
        assert_eq!(
            talk.give(Input::Closed),
            ["failed two 408", "close", "broken: the connection is lost"]
        );
        assert_eq!(talk.give(Input::Closed), [""; 0]);
        assert_eq!(talk.answer(2, 200), [""; 0]);
        assert_eq!(talk.try_send("three", "3"), Err(SendError::Closed));
    }

    #[test]
    fn closing_fails_what_is_unanswered_and_is_not_told_as_broken() {
        let mut talk = Talk::bound();
        talk.send("m", "hello");
        talk.session.close(talk.now);
        assert_eq!(talk.drain(), ["failed m 408", "close"]);
        talk.session.close(talk.now);
        assert_eq!(talk.drain(), [""; 0]);
    }

    #[test]
    fn m13_the_queue_has_an_end() {
        let mut talk = Talk::with(Limits { queue: 3, window: 1, ..Limits::default() });
        for id in ["1", "2", "3"] {
            assert_eq!(talk.try_send(id, "x"), Ok(()));
        }
        assert_eq!(talk.try_send("4", "x"), Err(SendError::Full));
        talk.bind();
        assert_eq!(talk.answer(1, 200), ["sent 1", "SEND 2 1-1/1 $ x"]);
        assert_eq!(talk.try_send("4", "x"), Ok(()));
    }

    #[test]
    fn only_so_many_chunks_are_unanswered() {
        let mut talk = Talk::with(Limits { window: 2, ..Limits::default() });
        talk.bind();
        assert_eq!(talk.send("1", "a"), ["SEND 1 1-1/1 $ a"]);
        assert_eq!(talk.send("2", "b"), ["SEND 2 1-1/1 $ b"]);
        assert_eq!(talk.send("3", "c"), [""; 0]);
        assert_eq!(talk.answer(2, 200), ["sent 2", "SEND 3 1-1/1 $ c"]);
    }

    #[test]
    fn a_long_message_goes_in_chunks_and_is_sent_when_all_are_answered() {
        let mut talk = Talk::with(Limits { chunk_bytes: 4, ..Limits::default() });
        talk.bind();
        assert_eq!(
            talk.send("m", "abcdefghij"),
            ["SEND m 1-4/10 + abcd", "SEND m 5-8/10 + efgh", "SEND m 9-10/10 $ ij"]
        );
        assert_eq!(talk.answer(2, 200), [""; 0]);
        assert_eq!(talk.answer(3, 200), [""; 0]);
        assert_eq!(talk.answer(1, 200), ["sent m"]);
    }

    #[test]
    fn short_messages_overtake_long_ones_in_turns() {
        let mut talk = Talk::with(Limits { chunk_bytes: 2, window: 1, ..Limits::default() });
        talk.bind();
        assert_eq!(talk.send("long", "abcdef"), ["SEND long 1-2/6 + ab"]);
        for id in ["s1", "s2"] {
            assert_eq!(talk.send(id, "x"), [""; 0]);
        }
        assert_eq!(talk.answer(1, 200), ["SEND s1 1-1/1 $ x"]);
        assert_eq!(talk.answer(2, 200), ["sent s1", "SEND long 3-4/6 + cd"]);
        assert_eq!(talk.answer(3, 200), ["SEND s2 1-1/1 $ x"]);
        assert_eq!(talk.answer(4, 200), ["sent s2", "SEND long 5-6/6 $ ef"]);
        assert_eq!(talk.answer(5, 200), ["sent long"]);
    }

    #[test]
    fn a_chunk_over_2048_octets_is_announced_as_interruptible() {
        let mut talk = Talk::with(Limits { chunk_bytes: 4096, ..Limits::default() });
        talk.bind();
        talk.send("m", &"x".repeat(5000));
        let ranges = talk.written[1..].iter().map(|frame| frame.byte_range.unwrap().to_string());
        assert_eq!(ranges.collect::<Vec<_>>(), ["1-*/5000", "4097-5000/5000"]);
    }

    #[test]
    fn m2_our_transaction_identifiers_are_not_in_the_body() {
        let mut talk = Talk::bound();
        talk.send("m", "x\r\n-------\r\n-------a$\r\n");
        let frame = &talk.written[1];
        assert!((8..=32).contains(&frame.tid.as_str().len()));
        assert!(frame.tid.as_str().bytes().all(|octet| octet.is_ascii_alphanumeric()));
    }

    #[test]
    fn m14_every_answer_gives_exactly_one_final_status() {
        for (code, failed) in [
            (400, vec!["failed m 400"]),
            (403, vec!["failed m 403"]),
            (413, vec!["failed m 413"]),
            (415, vec!["failed m 415"]),
            (423, vec!["failed m 423"]),
            (501, vec!["failed m 501"]),
            (999, vec!["failed m 999"]),
            (481, vec!["failed m 481", "close", "broken: the peer refuses the session with 481"]),
            (506, vec!["failed m 506", "close", "broken: the peer refuses the session with 506"]),
        ] {
            let mut talk = Talk::bound();
            talk.send("m", "hello");
            assert_eq!(talk.answer(1, code), failed);
            // As msrp-java does after 481.
            assert_eq!(talk.answer(1, 200), [""; 0]);
            assert_eq!(talk.sleep(60), [""; 0]);
        }
    }

    #[test]
    fn m14_after_413_nothing_more_of_the_message_is_sent() {
        let mut talk = Talk::with(Limits { chunk_bytes: 2, window: 2, ..Limits::default() });
        talk.bind();
        assert_eq!(talk.send("m", "abcdef"), ["SEND m 1-2/6 + ab", "SEND m 3-4/6 + cd"]);
        assert_eq!(talk.answer(1, 413), ["failed m 413"]);
        assert_eq!(talk.answer(2, 413), [""; 0]);
        assert_eq!(talk.send("n", "x"), ["SEND n 1-1/1 $ x"]);
    }

    #[test]
    fn m14_a_message_that_fails_halfway_is_aborted() {
        let mut talk = Talk::with(Limits { chunk_bytes: 2, window: 1, ..Limits::default() });
        talk.bind();
        assert_eq!(talk.send("m", "abcdef"), ["SEND m 1-2/6 + ab"]);
        assert_eq!(talk.answer(1, 403), ["SEND m 3-*/6 # ", "failed m 403"]);
        assert_eq!(talk.answer(2, 200), [""; 0]);
    }

    #[test]
    fn m14_silence_fails_a_message_after_the_response_time() {
        let mut talk = Talk::with(Limits { window: 1, ..Limits::default() });
        talk.bind();
        talk.send("one", "1");
        talk.sleep(10);
        talk.send("two", "2");
        assert_eq!(talk.sleep(19), [""; 0]);
        assert_eq!(talk.sleep(1), ["failed one 408", "SEND two 1-1/1 $ 2"]);
        assert_eq!(talk.answer(1, 200), [""; 0], "late");
        assert_eq!(talk.sleep(30), ["failed two 408"]);
        assert_eq!(talk.session.ignored(), 1);
    }

    #[test]
    fn m13_a_peer_that_stops_reading_fails_what_waits_behind() {
        let mut talk = Talk::with(Limits { window: 1, ..Limits::default() });
        talk.bind();
        for id in ["1", "2", "3"] {
            talk.send(id, "x");
        }
        assert_eq!(talk.sleep(30), ["failed 1 408", "failed 2 408", "failed 3 408"]);
        assert_eq!(talk.session.next_timeout(), None);
    }

    #[test]
    fn m14_with_partial_reports_silence_is_success_and_refusal_is_told() {
        let mut talk = Talk::with(Limits { window: 1, ..Limits::default() });
        talk.bind();
        assert_eq!(talk.send_with("one", FailureReport::Partial), ["SEND one 1-1/1 partial $ x"]);
        assert_eq!(talk.send_with("two", FailureReport::Partial), ["SEND two 1-1/1 partial $ x"]);
        assert_eq!(talk.answer(2, 413), ["failed two 413"]);
        assert_eq!(talk.sleep(30), ["sent one"]);
    }

    #[test]
    fn m14_without_failure_reports_writing_is_success() {
        let mut talk = Talk::bound();
        let sent = talk.send_with("m", FailureReport::No);
        assert_eq!(sent, ["SEND m 1-1/1 no $ x", "sent m"]);
        assert_eq!(talk.answer(1, 413), [""; 0]);
        assert_eq!(talk.session.next_timeout(), None);
    }

    #[test]
    fn m14_a_failure_report_before_the_answer_is_the_final_status() {
        for wish in [FailureReport::Yes, FailureReport::Partial] {
            let mut talk = Talk::bound();
            talk.send_with("m", wish);
            let report = "Message-ID: m\r\nByte-Range: 1-1/1\r\nStatus: 000 408 gone\r\n";
            assert_eq!(talk.receive(&request("REPORT", report)), ["failed m 408"]);
            assert_eq!(talk.receive(&request("REPORT", report)), [""; 0]);
            assert_eq!(talk.answer(1, 200), [""; 0]);
            assert_eq!(talk.sleep(60), [""; 0]);
        }
    }

    #[test]
    fn a_report_after_the_answer_is_told_as_report() {
        let mut talk = Talk::bound();
        talk.send("m", "x");
        talk.answer(1, 200);
        let report = request("REPORT", "Message-ID: m\r\nStatus: 000 413 413\r\n");
        assert_eq!(talk.receive(&report), ["report m 413"]);
        assert_eq!(talk.receive(&report), [""; 0]);
    }

    #[test]
    fn success_reports_are_told_when_they_cover_the_message() {
        let mut talk = Talk::bound();
        talk.send("m", "0123456789");
        talk.answer(1, 200);
        let report = |range: &str| {
            request(
                "REPORT",
                &format!("Status: 000 200\r\nByte-Range: {range}\r\nMessage-ID: m\r\n"),
            )
        };
        assert_eq!(talk.receive(&report("1-5/10")), [""; 0]);
        assert_eq!(talk.receive(&report("6-10/10")), ["report m 200"]);
        assert_eq!(talk.receive(&report("1-10/10")), [""; 0]);
    }

    #[test]
    fn reports_that_say_nothing_are_ignored() {
        let mut talk = Talk::bound();
        talk.send("m", "x");
        for fields in [
            "Message-ID: unknown\r\nStatus: 000 413\r\n",
            "Message-ID: m\r\n",
            "Message-ID: m\r\nStatus: nonsense\r\n",
            "Message-ID: m\r\nStatus: 001 413\r\n",
            "Status: 000 413\r\n",
        ] {
            assert_eq!(talk.receive(&request("REPORT", fields)), [""; 0]);
        }
        assert_eq!(talk.session.ignored(), 5);
    }

    #[test]
    fn quirk_freeswitch_report_with_the_tid_of_the_send() {
        let mut talk = Talk::bound();
        talk.send("m", "x");
        let report = request("REPORT", "Message-ID: m\r\nStatus: 000 200 OK\r\n");
        let report = report.replace("tid1", talk.written[1].tid.as_str());
        assert_eq!(talk.receive(&report), ["report m 200"]);
        assert_eq!(talk.answer(1, 200), ["sent m"]);
    }

    #[test]
    fn quirk_rcsjta_and_tinymsrp_answers_to_our_reports_are_ignored() {
        let mut talk = Talk::bound();
        let send =
            text("m", "1-5/5", "hello").replace("Message-ID", "Success-Report: yes\r\nMessage-ID");
        assert_eq!(
            talk.receive(&send),
            ["200 tid1", "REPORT m 1-5/5 000 200 $", "message m text/plain hello"]
        );
        assert_eq!(talk.answer(1, 200), [""; 0]);
        assert_eq!(talk.session.ignored(), 1);
    }

    #[test]
    fn a_message_is_answered_before_it_is_told() {
        let mut talk = Talk::bound();
        let told = talk.receive(&text("m", "1-5/5", "hello"));
        assert_eq!(told, ["200 tid1", "message m text/plain hello"]);
        let nameless = text("m", "1-5/5", "hello").replace("Message-ID: m\r\n", "");
        assert_eq!(talk.receive(&nameless)[0], "200 tid1");
    }

    #[test]
    fn m16_a_message_that_comes_again_is_reported_again_but_not_told_again() {
        let mut talk = Talk::bound();
        let send =
            text("m", "1-5/5", "hello").replace("Message-ID", "Success-Report: yes\r\nMessage-ID");
        talk.receive(&send);
        assert_eq!(talk.receive(&send), ["200 tid1", "REPORT m 1-5/5 000 200 $"]);
    }

    #[test]
    fn a_sender_gets_the_answers_it_asked_for() {
        for (wish, good, bad) in [
            ("yes", vec!["200 tid1", "message m text/plain hello"], vec!["415 tid1"]),
            ("partial", vec!["message m text/plain hello"], vec!["415 tid1"]),
            ("no", vec!["message m text/plain hello"], vec![]),
        ] {
            let mut talk = Talk::bound();
            let send = text("m", "1-5/5", "hello")
                .replace("Message-ID", &format!("Failure-Report: {wish}\r\nMessage-ID"));
            assert_eq!(talk.receive(&send), good);
            talk.session.set_accept_types(vec!["message/cpim".to_owned()]);
            assert_eq!(talk.receive(&send), bad);
        }
    }

    #[test]
    fn only_accepted_types_are_taken() {
        let mut talk = Talk::bound();
        talk.session.set_accept_types(vec!["message/cpim".to_owned(), "image/*".to_owned()]);
        for (content_type, code) in [
            ("text/plain", "415 tid1"),
            ("Message/CPIM", "200 tid1"),
            ("message/cpim; charset=utf-8", "200 tid1"),
            ("image/png", "200 tid1"),
            ("imagex/png", "415 tid1"),
            ("im\u{e9}", "415 tid1"),
        ] {
            let send = text("m", "1-5/5", "hello").replace("text/plain", content_type);
            assert_eq!(talk.receive(&send)[0], code, "{content_type}");
        }
        let first = text("c", "1-5/9", "hello").replace('$', "+");
        assert_eq!(talk.receive(&first), ["415 tid1"]);
        let second = text("c", "6-9/9", "tail").replace("Content-Type: text/plain\r\n", "");
        assert_eq!(talk.receive(&second), ["413 tid1"]);
    }

    #[test]
    fn m5_a_stalled_message_is_dropped_and_counted() {
        let mut talk = Talk::bound();
        assert_eq!(talk.receive(&text("m", "1-2/4", "ab").replace('$', "+")), ["200 tid1"]);
        assert_eq!(talk.sleep(30), [""; 0]);
        assert_eq!(talk.session.ignored(), 1);
        assert_eq!(talk.receive(&text("m", "3-4/4", "cd")), ["413 tid1"]);
    }

    #[test]
    fn m8_the_to_path_has_to_name_this_session() {
        for (to_path, loose, strict) in [
            ("msrp://192.0.2.9:2855/ours;tcp", 200, 200),
            ("msrp://bob@192.0.2.9:2855/ours;tcp;x=y", 200, 200),
            ("msrp://198.51.100.1:9/ours;tcp", 200, 481),
            ("msrp://192.0.2.9:2855/ours", 200, 481),
            ("msrp://[2001:db8::1]:2855/ours;tcp", 200, 481),
            ("msrp://192.0.2.9:2855/theirs;tcp", 481, 481),
            ("msrp://192.0.2.9:2855;tcp", 481, 481),
            ("msrp://192.0.2.9:2855/ours;tcp msrp://h:1/next;tcp", 481, 481),
        ] {
            let send = request("SEND", "").replace("msrp://192.0.2.9:2855/ours;tcp", to_path);
            for (matching, code) in [(Matching::SessionId, loose), (Matching::Strict, strict)] {
                let mut talk = Talk::bound();
                talk.session.set_matching(matching);
                assert_eq!(talk.receive(&send), [format!("{code} tid1")], "{to_path}");
            }
        }
    }

    #[test]
    fn m9_strange_methods_are_refused_and_strange_responses_ignored() {
        let mut talk = Talk::bound();
        for method in ["AUTH", "NICKNAME", "PING", "send"] {
            assert_eq!(talk.receive(&request(method, "")), ["501 tid1"]);
        }
        for start in ["200 OK", "999", "481 gone"] {
            assert_eq!(talk.receive(&request(start, "")), [""; 0]);
        }
        assert_eq!(talk.send("m", "x"), ["SEND m 1-1/1 $ x"]);
    }

    #[test]
    fn m10_an_answer_may_come_before_the_write_returns() {
        let mut talk = Talk::bound();
        talk.try_send("m", "x").unwrap();
        let Some(Output::Write(bytes)) = talk.session.poll() else { panic!("nothing to write") };
        let frame = parsed(&bytes);
        talk.session.handle(talk.now, Input::Frame(frame.answer(200).unwrap()));
        assert_eq!(talk.drain(), ["sent m"]);
    }

    #[test]
    fn m11_a_second_connection_is_refused_and_the_first_is_kept() {
        let mut talk = Talk::bound();
        let intruder = parsed(request("SEND", "").as_bytes());
        assert!(talk.session.is_bound());
        let refusal = intruder.answer(506).unwrap();
        assert_eq!(refusal.from_path.to_string(), "msrp://192.0.2.9:2855/ours;tcp");
        assert_eq!(talk.give(Input::Connected), [""; 0]);
        assert_eq!(talk.send("m", "x"), ["SEND m 1-1/1 $ x"]);
    }

    #[test]
    fn a_malformed_frame_is_refused_and_the_session_lives() {
        let mut talk = Talk::bound();
        assert_eq!(talk.receive(&request("SEND", "no colon\r\n")), ["400 tid1"]);
        let no_paths = "MSRP tid1 SEND\r\nMessage-ID: x\r\n-------tid1$\r\n";
        assert_eq!(talk.receive(no_paths), ["400 tid1"]);
        assert_eq!(talk.written[2].to_path.to_string(), "msrp://192.0.2.1:9000/peer;tcp");
        assert_eq!(talk.receive(&text("m", "9-1/1", "x")), ["400 tid1"]);
        assert_eq!(talk.send("m", "x"), ["SEND m 1-1/1 $ x"]);
        assert_eq!(
            talk.receive("HTTP/1.1 200 OK\r\n\r\n"),
            ["failed m 408", "close", "broken: the peer does not speak MSRP"]
        );
    }

    #[test]
    fn two_sessions_bring_every_message_through() {
        let limits = Limits { chunk_bytes: 7, window: 3, ..Limits::default() };
        let (mut one, mut two) = (Talk::with(limits), Talk::with(limits));
        one.session.local = path("msrp://192.0.2.1:9000/peer;tcp");
        one.session.open(one.now, path("msrp://192.0.2.9:2855/ours;tcp"), Setup::Active);
        two.session.open(two.now, path("msrp://192.0.2.1:9000/peer;tcp"), Setup::Passive);
        one.session.handle(one.now, Input::Connected);
        two.session.handle(two.now, Input::Connected);
        for number in 0..50_usize {
            let body = format!("{number}:{}", "\r\n-------é".repeat(number % 9));
            let id = format!("id{number}");
            one.try_send(&id, &body).unwrap();
            two.try_send(&id, &body).unwrap();
        }
        let mut told = Vec::new();
        let mut moved = true;
        while moved {
            moved = false;
            for forth in [true, false] {
                let (from, to) = if forth { (&mut one, &mut two) } else { (&mut two, &mut one) };
                while let Some(output) = from.session.poll() {
                    moved = true;
                    match output {
                        Output::Write(bytes) => {
                            to.session.handle(to.now, Input::Frame(parsed(&bytes)));
                        }
                        Output::Connect { .. } | Output::Close | Output::Event(_) => {
                            told.push(shown(&output));
                        }
                    }
                }
            }
        }
        for number in 0..50_usize {
            let body = format!("{number}:{}", "\r\n-------é".repeat(number % 9));
            let lines =
                [format!("sent id{number}"), format!("message id{number} text/plain {body}")];
            for line in lines {
                assert_eq!(told.iter().filter(|it| **it == line).count(), 2, "{line}");
            }
        }
        assert_eq!((one.session.ignored(), two.session.ignored()), (0, 0));
    }

    /// A session, its clock and what it has written.
    struct Talk {
        session: Session,
        now: Instant,
        written: Vec<Frame>,
    }

    impl Talk {
        fn new() -> Self {
            Self::with(Limits::default())
        }

        fn with(limits: Limits) -> Self {
            let local = Uri::parse("msrp://192.0.2.9:2855/ours;tcp").unwrap();
            let session = Session::new(local, limits, Random::seeded(1));
            Self { session, now: Instant::now(), written: Vec::new() }
        }

        /// The first frame written is the one that binds; on the passive side it would be missing.
        fn bound() -> Self {
            let mut talk = Self::new();
            talk.bind();
            talk.session.ignored = 0;
            talk
        }

        fn bind(&mut self) {
            self.open(Setup::Active);
            self.give(Input::Connected);
            self.answer(0, 200);
        }

        fn open(&mut self, setup: Setup) -> Vec<String> {
            self.session.open(self.now, path("msrp://192.0.2.1:9000/peer;tcp"), setup);
            self.drain()
        }

        fn give(&mut self, input: Input) -> Vec<String> {
            self.session.handle(self.now, input);
            self.drain()
        }

        fn receive(&mut self, bytes: &str) -> Vec<String> {
            let mut buffer = BytesMut::from(bytes);
            match Parser::new(Limits::default()).next(&mut buffer) {
                Ok(Some(frame)) => self.give(Input::Frame(frame)),
                Ok(None) => panic!("unfinished"),
                Err(error) => self.give(Input::Malformed(error)),
            }
        }

        /// Answers the frame that was written as number `place`.
        fn answer(&mut self, place: usize, code: u16) -> Vec<String> {
            let Frame { tid, to_path, from_path, .. } = self.written[place].clone();
            self.give(Input::Frame(Frame::response(code, tid, from_path, to_path)))
        }

        fn send(&mut self, id: &str, body: &str) -> Vec<String> {
            self.try_send(id, body).unwrap();
            self.drain()
        }

        fn send_with(&mut self, id: &str, failure_report: FailureReport) -> Vec<String> {
            let message = Outgoing { failure_report, ..outgoing(id, "x") };
            self.session.send(self.now, message).unwrap();
            self.drain()
        }

        fn try_send(&mut self, id: &str, body: &str) -> Result<(), SendError> {
            self.session.send(self.now, outgoing(id, body))
        }

        fn sleep(&mut self, seconds: u64) -> Vec<String> {
            self.now += Duration::from_secs(seconds);
            self.give(Input::Timeout)
        }

        fn drain(&mut self) -> Vec<String> {
            let mut shown_outputs = Vec::new();
            while let Some(output) = self.session.poll() {
                shown_outputs.push(shown(&output));
                if let Output::Write(bytes) = output {
                    self.written.push(parsed(&bytes));
                }
            }
            shown_outputs
        }
    }

    fn shown(output: &Output) -> String {
        match output {
            Output::Connect { host, port, secure } => {
                format!("connect {host} {port} {}", if *secure { "tls" } else { "plain" })
            }
            Output::Write(bytes) => shown_frame(&parsed(bytes)),
            Output::Close => "close".to_owned(),
            Output::Event(Event::Bound) => "bound".to_owned(),
            Output::Event(Event::Message(Incoming { message_id, content_type, body, .. })) => {
                format!("message {message_id} {content_type} {}", String::from_utf8_lossy(body))
            }
            Output::Event(Event::Sent { message_id }) => format!("sent {message_id}"),
            Output::Event(Event::Failed { message_id, code, .. }) => {
                format!("failed {message_id} {code}")
            }
            Output::Event(Event::Report { message_id, code, .. }) => {
                format!("report {message_id} {code}")
            }
            Output::Event(Event::Broken(why)) => format!("broken: {why}"),
        }
    }

    fn shown_frame(frame: &Frame) -> String {
        let method = match &frame.kind {
            Kind::Response { code, .. } => return format!("{code} {}", frame.tid),
            Kind::Request(method) => method.as_str(),
        };
        let id = frame.message_id.as_ref().filter(|_| frame.body.is_some() || method != "SEND");
        let mut line = format!("{method} {}", id.map_or("-", |id| id.as_str()));
        line += &frame.byte_range.map(|range| format!(" {range}")).unwrap_or_default();
        line += &frame.failure_report.map(|it| format!(" {}", it.as_str())).unwrap_or_default();
        if let Some(status) = &frame.status {
            line += &format!(" {:03} {}", status.namespace, status.code);
        }
        line += &format!(" {}", char::from(frame.flag.octet()));
        if let Some(body) = &frame.body {
            line += &format!(" {}", String::from_utf8_lossy(body));
        }
        line
    }

    fn request(start: &str, fields: &str) -> String {
        format!(
            "MSRP tid1 {start}\r\nTo-Path: msrp://192.0.2.9:2855/ours;tcp\r\n\
             From-Path: msrp://192.0.2.1:9000/peer;tcp\r\n{fields}-------tid1$\r\n"
        )
    }

    fn text(id: &str, range: &str, body: &str) -> String {
        request(
            "SEND",
            &format!(
                "Message-ID: {id}\r\nByte-Range: {range}\r\nContent-Type: text/plain\r\n\r\n{body}\r\n"
            ),
        )
    }

    fn outgoing(id: &str, body: &str) -> Outgoing {
        Outgoing {
            message_id: id.to_owned(),
            content_type: "text/plain".to_owned(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            success_report: false,
            failure_report: FailureReport::Yes,
        }
    }

    fn parsed(bytes: &[u8]) -> Frame {
        Parser::new(Limits::default()).next(&mut BytesMut::from(bytes)).unwrap().unwrap()
    }

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }
}
