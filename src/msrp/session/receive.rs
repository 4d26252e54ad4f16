//! What the peer has sent: requests, responses to ours, and what is neither (RFC 4975 section 7.3).

use std::time::Instant;

use super::{Named, Session, State};
use crate::msrp::assembly::{Refused, Taken};
use crate::msrp::event::{Broken, Event, Output};
use crate::msrp::frame::{
    ByteRange, Continuation, FailureReport, Frame, Kind, Method, TransactionId,
};
use crate::msrp::nickname::NicknameRequest;
use crate::msrp::outbox::{Answered, Outcome};
use crate::msrp::parse::{ParseError, StreamFault};
use crate::msrp::text::Text;

/// A whole message that was told, and can still be refused.
#[derive(Debug)]
pub(super) struct Arrival {
    /// As the peer has named it, if it has.
    message_id: Option<Text>,
    size: u64,
    success_report: bool,
    failure_report: FailureReport,
    /// The last chunk, where it is not answered yet.
    unanswered: Option<Box<Frame>>,
}

/// A message whose answer is kept ([`Session::hold`]).
#[derive(Debug)]
pub struct Held(Box<Arrival>);

impl Arrival {
    /// Tells whether nobody waits to hear that the message has come, as is so of nearly all.
    fn is_settled(&self) -> bool {
        !self.success_report && self.unanswered.is_none()
    }
}

impl Session {
    pub(super) fn handle_frame(&mut self, now: Instant, frame: &mut Frame) {
        match &frame.kind {
            _ if self.state == State::Closed => self.ignored += 1,
            Kind::Response { .. } => self.handle_response(now, frame),
            Kind::Request(method) => {
                // Exactly one URI is left of the path when a request arrives
                // (RFC 4975 section 7.3).
                let ours = frame.to_path.first().names(self.local(), self.matching);
                if !ours || frame.to_path.hops() != 1 {
                    self.ignored += 1;
                    self.answer(frame, 481);
                    return;
                }
                if self.named.is_none() {
                    let is_ours = frame.to_path.first().equivalent(self.local());
                    self.named = Some(if is_ours { Named::Well } else { Named::Loosely });
                }
                self.bind(now);
                match method {
                    Method::Send => self.handle_send(now, frame),
                    Method::Report => self.handle_report(frame),
                    Method::Nickname if self.is_focus => self.handle_nickname(frame),
                    Method::Auth | Method::Nickname | Method::Other(_) => self.answer(frame, 501),
                }
            }
        }
    }

    pub(super) fn handle_malformed(&mut self, error: &ParseError) {
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

    fn handle_response(&mut self, now: Instant, frame: &Frame) {
        let Kind::Response { code, comment } = &frame.kind else { return };
        if let Some(relays) = &mut self.relays
            && let Some(output) = relays.answered(now, frame, &mut self.random)
        {
            self.carry_out(now, output);
            return;
        }
        let binding = self.is_binding(&frame.tid);
        if !binding {
            let outcome = outcome(*code, comment.as_ref());
            if let Some(event) = self.reservation.answered(&frame.tid, *code, comment.as_ref()) {
                self.outputs.push_back(Output::Event(event));
            } else if let Answered::Known(settled) = self.outbox.answered(now, &frame.tid, outcome)
            {
                self.settle(settled);
            } else {
                self.ignored += 1;
                return;
            }
        }
        match code {
            481 | 506 => self.give_up(Broken::Refused { code: *code }),
            _ if binding => self.bind(now),
            _ => {}
        }
    }

    fn is_binding(&self, tid: &TransactionId) -> bool {
        matches!(&self.state, State::Binding { tid: ours, .. } if **ours == *tid)
    }

    fn handle_send(&mut self, now: Instant, frame: &mut Frame) {
        let message_id =
            frame.message_id.clone().unwrap_or_else(|| Text::new(&self.random.token()));
        let is_bodiless = is_bodiless(frame);
        if is_bodiless && frame.flag != Continuation::Abort && !self.ends(frame, &message_id) {
            self.answer(frame, 200);
            return;
        }
        let unwanted = |given: &Text| !is_bodiless && !self.accepts(given);
        if frame.content_type.as_ref().is_some_and(unwanted) {
            self.assembly.refuse(message_id.as_str(), frame.flag != Continuation::More);
            self.answer(frame, 415);
            return;
        }
        match self.assembly.take(now, frame, &message_id) {
            Ok(Taken::Repeated(size)) => self.receive_again(frame, size),
            Ok(taken) => self.receive(taken, frame, message_id),
            Err(Refused(code)) => self.answer(frame, code),
        }
    }

    /// Tells whether a SEND without body is the last chunk of a message, and tells its length by
    /// that (RFC 4975 section 7.3.1).
    fn ends(&self, frame: &Frame, message_id: &Text) -> bool {
        let is_behind = frame.byte_range.is_some_and(|range| range.start > 1);
        is_behind
            && frame.flag == Continuation::Complete
            && self.assembly.is_begun(message_id.as_str())
    }

    #[inline]
    fn receive(&mut self, taken: Taken, last: &mut Frame, message_id: Text) {
        let Some(message) = taken.whole(last, message_id) else {
            self.answer(last, 200);
            self.report_arrival(None);
            return;
        };
        let is_repeated = self.assembly.is_repeated(&message);
        let is_judged = self.is_focus && !is_repeated;
        if !is_judged {
            self.answer(last, 200);
        }
        self.report_arrival(None);
        let unanswered = is_judged.then(|| {
            last.body = None;
            Box::new(last.clone())
        });
        self.sender.clone_from(&last.from_path);
        self.arrival = Some(Arrival {
            message_id: last.message_id.take(),
            size: message.body.len() as u64,
            success_report: message.success_report,
            failure_report: message.failure_report,
            unanswered,
        });
        if is_repeated {
            self.report_arrival(None);
        } else {
            self.outputs.push_back(Output::Event(Event::Message(message)));
        }
    }

    /// Answers a chunk of a message that has come before, as it was answered then.
    fn receive_again(&mut self, chunk: &mut Frame, size: u64) {
        self.answer(chunk, 200);
        self.report_arrival(None);
        self.sender.clone_from(&chunk.from_path);
        self.arrival = Some(Arrival {
            message_id: chunk.message_id.take(),
            size,
            success_report: chunk.success_report.unwrap_or(false)
                && chunk.flag == Continuation::Complete,
            failure_report: FailureReport::No,
            unanswered: None,
        });
        self.report_arrival(None);
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

    fn handle_nickname(&mut self, frame: &Frame) {
        match NicknameRequest::read(frame) {
            Ok(asked) => self.outputs.push_back(Output::Event(Event::NicknameAsked(asked))),
            Err(code) => self.answer(frame, code),
        }
    }

    fn tell_report(&mut self, message_id: &str, code: u16, comment: Option<String>) {
        let message_id = message_id.to_owned();
        self.outputs.push_back(Output::Event(Event::Report { message_id, code, comment }));
    }

    /// Reports the whole message that came last, at once (RFC 4975 section 7.1.3), unless its owner
    /// has no use for it. A chat room answers it first: whoever is told so by the answer needs no
    /// report.
    pub(super) fn report_arrival(&mut self, refusal: Option<u16>) {
        if refusal.is_none() && self.arrival.as_ref().is_none_or(Arrival::is_settled) {
            self.arrival = None;
            return;
        }
        let Some(arrival) = self.arrival.take() else { return };
        self.settle_arrival(arrival, refusal);
    }

    /// Gives the answer to the message that [`Event::Message`] has told last into the owner's hands,
    /// until [`Self::release`]: for a chat room that answers when those whom it is for have it.
    /// Before the next [`Self::poll`]; gives nothing where there is none to keep.
    pub fn hold(&mut self) -> Option<Held> {
        let arrival = self.arrival.take_if(|arrival| arrival.unanswered.is_some())?;
        Some(Held(Box::new(arrival)))
    }

    /// Answers a message of this session whose answer was kept.
    pub fn release(&mut self, now: Instant, held: Held) {
        self.now = Some(now);
        if self.state != State::Closed {
            self.settle_arrival(*held.0, None);
        }
    }

    fn settle_arrival(&mut self, arrival: Arrival, refusal: Option<u16>) {
        let Arrival { message_id, size, success_report, failure_report, unanswered } = arrival;
        if let Some(frame) = &unanswered {
            self.answer(frame, refusal.unwrap_or(200));
        }
        let (wanted, code) = match refusal {
            None => (success_report, 200),
            Some(code) => {
                self.assembly.forget_last(message_id.as_ref());
                (unanswered.is_none() && failure_report != FailureReport::No, code)
            }
        };
        if let (true, Some(message_id)) = (wanted, message_id) {
            let range = ByteRange { start: 1, end: Some(size), total: Some(size) };
            // What was kept is not the last that has come.
            let sender = unanswered.map_or_else(|| self.sender.clone(), |it| it.from_path);
            self.report(code, message_id, range, sender);
        }
    }

    fn accepts(&self, content_type: &Text) -> bool {
        let Some(accept_types) = &self.accept_types else { return true };
        if accept_types.iter().any(|accepted| accepted == "*") {
            return true;
        }
        let given = media_type(content_type.as_str());
        accept_types.iter().any(|accepted| {
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
    if frame.body.as_ref().is_some_and(|body| !body.is_empty()) {
        return false;
    }
    let typed = frame.body.is_some()
        && frame
            .content_type
            .as_ref()
            .is_some_and(|given| !media_type(given.as_str()).eq_ignore_ascii_case("empty/empty"));
    !typed
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
