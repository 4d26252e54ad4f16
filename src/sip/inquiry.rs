//! Requests outside of any dialog that are answered once: MESSAGE (RFC 3428) and OPTIONS (RFC 3261
//! section 11), from both sides.
//!
//! ```text
//!    Inquiry                                    Inquired
//!       │ MESSAGE, OPTIONS                         │ the owner reads it
//!       ├─────────────────────────────────────────▶│
//!       │ 401, 407: the same again                 │
//!       │ 503, nobody: to the next hop             │
//!       │ any other final response: Answered       │ answer()
//!       │◀─────────────────────────────────────────┤
//!       │ nobody, in 64*T1: Failed                 │ absorbs repetitions
//! ```

use std::time::Instant;

use crate::sip::usage::{Desk, Inbound, Outcome, Way};
use crate::sip::{
    Body, Errand, Hop, Kit, Message, Method, Request, Response, Status, UsageFailure, UsageInput,
    UsageOutput,
};

/// A request of ours that is answered once.
///
/// Sans-IO, as every usage: drain [`Inquiry::poll`], mind [`Inquiry::next_timeout`].
#[derive(Debug)]
pub struct Inquiry {
    desk: Desk<Aim, InquiryEvent>,
    request: Request,
    way: Way,
}

/// What has become of an inquiry; there is one event only.
#[derive(Debug, Clone, PartialEq)]
pub enum InquiryEvent {
    /// It has its final response. To a MESSAGE, 200 says that the recipient's user agent has it,
    /// and 202 that somebody will try to bring it there (RFC 3428 section 4).
    Answered {
        /// That response.
        response: Response,
    },
    /// It has none.
    Failed {
        /// Why.
        why: UsageFailure,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Aim;

impl Inquiry {
    /// Sends a MESSAGE. One at a time to the same target, says RFC 3428 section 8: the owner waits
    /// for the event before the next one.
    #[must_use]
    pub fn message(now: Instant, errand: &Errand, body: Body, kit: Kit) -> Self {
        Self::send(now, Method::Message, errand, Some(body), kit)
    }

    /// Asks what somebody can do, or whether anybody is there.
    #[must_use]
    pub fn options(now: Instant, errand: &Errand, kit: Kit) -> Self {
        Self::send(now, Method::Options, errand, None, kit)
    }

    fn send(now: Instant, method: Method, errand: &Errand, body: Option<Body>, kit: Kit) -> Self {
        let mut desk = Desk::new(kit, None);
        let mut request = desk.begin(method, errand);
        match body {
            Some(body) => body.put(&mut request),
            None => request.headers.push("Accept", crate::sip::endpoint::ACCEPT),
        }
        let way = errand.way();
        match &way {
            Some(way) => desk.post(now, &mut request, way.hop.clone(), Aim),
            None => desk.event(InquiryEvent::Failed { why: UsageFailure::Transport }),
        }
        let way = way.unwrap_or_else(|| Way::to(desk.kit.local.hop.clone()));
        Self { desk, request, way }
    }

    /// Feeds one input.
    pub fn handle(&mut self, now: Instant, input: UsageInput) {
        match input {
            UsageInput::Message { message: Message::Response(response), .. } => {
                self.desk.handle_response(now, response);
            }
            // There is no dialog in which anybody could ask us anything.
            UsageInput::Message { message: Message::Request(request), source } => {
                if let Some(inbound) = self.desk.receive(now, request, source) {
                    self.desk.refuse(now, &inbound, Status::CALL_DOES_NOT_EXIST);
                }
            }
            UsageInput::Timeout => self.desk.handle_timeout(now),
            UsageInput::TransportFailed { hop } => self.desk.handle_transport_failure(now, &hop),
        }
        while let Some((Aim, outcome)) = self.desk.poll_client() {
            self.handle_outcome(now, outcome);
        }
    }

    fn handle_outcome(&mut self, now: Instant, outcome: Outcome) {
        let letter = (&mut self.request, &mut self.way);
        if self.desk.post_elsewhere(now, letter, (&outcome, Aim)) {
            return;
        }
        let response = match outcome {
            Outcome::Answer(response) => response,
            Outcome::None(why) => return self.desk.event(InquiryEvent::Failed { why }),
        };
        if self.desk.accepts_challenge(&response) {
            return self.desk.post_again(now, &mut self.request, self.way.hop.clone(), Aim);
        }
        self.desk.event(InquiryEvent::Answered { response });
    }

    /// Gives the next wish or report.
    pub fn poll(&mut self) -> Option<UsageOutput<InquiryEvent>> {
        self.desk.poll()
    }

    /// Gives the time of the next timer.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.desk.next_timeout()
    }

    /// Tells whether it is answered, and nothing is left to poll.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.desk.is_idle()
    }

    /// Gives the Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.desk.call_id
    }

    /// Gives our tag, by which responses are found.
    #[must_use]
    pub fn local_tag(&self) -> &str {
        &self.desk.local_tag
    }
}

/// A MESSAGE of a peer, until its last repetition has been absorbed.
///
/// Sans-IO, as every usage: drain [`Inquired::poll`], mind [`Inquired::next_timeout`].
#[derive(Debug)]
pub struct Inquired {
    desk: Desk<Aim, NoEvent>,
    waiting: Option<Inbound>,
}

/// A usage that has nothing to report: what there is to know is there from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoEvent {}

impl Inquired {
    /// Takes a request outside of any dialog, to be answered at once (RFC 3428 section 7): what is
    /// refused of itself has no [`Self::request`] any more.
    #[must_use]
    pub fn answering(now: Instant, request: Request, source: Hop, kit: Kit) -> Self {
        let mut desk = Desk::new(kit, request.call_id());
        let mut waiting = None;
        if let Some(inbound) = desk.receive(now, request, source)
            && desk.open(now, &inbound)
        {
            match desk.objection(&inbound.request) {
                Some(refusal) => desk.respond(now, &inbound.key, &refusal),
                None => waiting = Some(inbound),
            }
        }
        Self { desk, waiting }
    }

    /// Gives the request, until it is answered.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        self.waiting.as_ref().map(|inbound| &inbound.request)
    }

    /// Answers. A 2xx to a MESSAGE has neither body nor Contact (RFC 3428 section 7), and a status
    /// that ends nothing becomes 500.
    pub fn answer(&mut self, now: Instant, status: Status, headers: &[(String, String)]) {
        let Some(inbound) = self.waiting.take() else { return };
        let status = if status.is_final() { status } else { Status::SERVER_INTERNAL_ERROR };
        let mut response = self.desk.response(&inbound.request, status);
        headers.iter().for_each(|(name, value)| response.headers.push(name, value));
        self.desk.respond(now, &inbound.key, &response);
    }

    /// Feeds one input.
    pub fn handle(&mut self, now: Instant, input: UsageInput) {
        match input {
            UsageInput::Message { message: Message::Request(request), source } => {
                if let Some(inbound) = self.desk.receive(now, request, source) {
                    // By another way the same again (RFC 3261 section 8.2.2.2).
                    self.desk.refuse(now, &inbound, Status::LOOP_DETECTED);
                }
            }
            UsageInput::Message { message: Message::Response(_), .. } => {}
            UsageInput::Timeout => self.desk.handle_timeout(now),
            UsageInput::TransportFailed { .. } => {}
        }
    }

    /// Gives the next wish.
    pub fn poll(&mut self) -> Option<UsageOutput<NoEvent>> {
        self.desk.poll()
    }

    /// Gives the time of the next timer.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.desk.next_timeout()
    }

    /// Tells whether it is answered, and nothing is left to absorb or to poll. What nobody answers
    /// in 64\*T1 nobody waits for any more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.desk.is_idle()
    }
}

#[cfg(test)]
mod tests;
