//! One try: the request on its way to one target, and perhaps the CANCEL behind it.

use std::iter;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::desk::Desk;
use crate::sip::{
    ClientOutput, ClientTransaction, Deadlines, Headers, Hop, Method, Request, Response, Status,
    TransactionKey, readdress,
};

/// A client transaction of a response context.
///
/// ```text
///   ┌─────────┐ cancel: held        final, no answer, transport error
///   │ Calling │────────────────────────────────────────┐
///   └────┬────┘                                        │
///    1xx │ a held CANCEL is sent                       ▼
///        ▼        cancel, C: send CANCEL          ┌──────────┐
///   ┌────────────┐ final                          │ Finished │
///   │ Proceeding │───────────────────────────────▶└──────────┘
///   └────────────┘ no final 64*T1 behind the CANCEL
/// ```
#[derive(Debug)]
pub(super) struct Branch {
    /// The copy that was sent, without its body: what a CANCEL is made of.
    request: Request,
    hop: Hop,
    /// The same by TCP, where the request is too large for a datagram.
    streamed: Option<Hop>,
    /// By which responses to the request and to its CANCEL are matched.
    keys: [TransactionKey; 2],
    client: Option<ClientTransaction>,
    cancel: Option<ClientTransaction>,
    state: State,
    wish: Wish,
    deadlines: Deadlines<Guard>,
    /// Timer C has fired.
    rang_out: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    Finished,
}

/// How far a CANCEL has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    None,
    /// No provisional response came yet (RFC 3261 section 9.1).
    Held(Vec<String>),
    Sent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Guard {
    /// Timer C: somebody rings for too long (RFC 3261 section 16.6 item 11).
    Ringing,
    /// A cancelled target says nothing more (RFC 3261 section 9.1).
    Cancelling,
}

/// What a branch tells its context.
#[derive(Debug)]
pub(super) enum News {
    /// A response, our Via taken off.
    Response(Response),
    /// Nobody answered in time.
    TimedOut,
    /// The target cannot be reached.
    Unreachable,
}

impl Branch {
    /// Sends `request` to `hop`, by TCP where it is too large for a datagram.
    pub(super) fn start(now: Instant, mut request: Request, hop: Hop, desk: &Desk) -> Self {
        let sizes = (desk.timers, desk.datagram);
        let client = ClientTransaction::fitting(now, &request, hop.clone(), sizes);
        request.body = Bytes::new();
        let mut deadlines = Deadlines::default();
        if request.method == Method::Invite {
            deadlines.set(Guard::Ringing, now + TIMER_C);
        }
        let keys =
            [TransactionKey::client(&request), TransactionKey::client(&cancel_of(&request, &[]))];
        Self {
            request,
            streamed: (*client.hop() != hop).then(|| client.hop().clone()),
            hop,
            keys,
            client: Some(client),
            cancel: None,
            state: State::Calling,
            wish: Wish::None,
            deadlines,
            rang_out: false,
        }
    }

    pub(super) fn handle_response(&mut self, now: Instant, response: Response) {
        let key = TransactionKey::of_response(&response);
        let transactions = [&mut self.client, &mut self.cancel];
        for transaction in transactions.into_iter().flatten() {
            if *transaction.key() == key {
                transaction.handle_response(now, response);
                return;
            }
        }
    }

    /// Takes back the request, at once or when a provisional response comes.
    pub(super) fn cancel(&mut self, now: Instant, reasons: Vec<String>, desk: &Desk) {
        match (self.state, &self.wish) {
            (State::Calling, Wish::None) => self.wish = Wish::Held(reasons),
            (State::Proceeding, Wish::None) => self.send_cancel(now, &reasons, desk),
            (State::Calling | State::Proceeding, Wish::Held(_) | Wish::Sent)
            | (State::Finished, _) => {}
        }
    }

    pub(super) fn handle_transport_error(&mut self, now: Instant, hop: &Hop) {
        let transactions = [&mut self.client, &mut self.cancel].into_iter().flatten();
        let concerned = transactions.filter(|transaction| transaction.hop() == hop);
        concerned.for_each(|transaction| transaction.handle_transport_error(now));
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, desk: &Desk) -> Option<News> {
        for transaction in [&mut self.client, &mut self.cancel].into_iter().flatten() {
            transaction.handle_timeout(now);
        }
        match self.deadlines.expire(now)?.0 {
            Guard::Ringing if self.state == State::Proceeding => {
                self.rang_out = true;
                self.send_cancel(now, &[], desk);
                None
            }
            // A client transaction whose peer rings has no timer of its own: it ends here.
            Guard::Ringing | Guard::Cancelling => {
                self.client = None;
                (!self.is_finished()).then_some(News::TimedOut)
            }
        }
    }

    /// Carries out what the transactions wish and gives what there is to tell.
    pub(super) fn poll(&mut self, now: Instant, desk: &mut Desk) -> Option<News> {
        while let Some(output) = self.cancel.as_mut().and_then(ClientTransaction::poll) {
            match output {
                ClientOutput::Send { bytes, hop } => desk.send(bytes, hop),
                ClientOutput::Terminated => self.cancel = None,
                // The final response of the request itself tells what became of it.
                ClientOutput::Response(_)
                | ClientOutput::TimedOut
                | ClientOutput::TransportError => {}
            }
        }
        while let Some(output) = self.client.as_mut().and_then(ClientTransaction::poll) {
            match output {
                ClientOutput::Send { bytes, hop } => desk.send(bytes, hop),
                ClientOutput::Terminated => self.client = None,
                ClientOutput::TimedOut => return Some(News::TimedOut),
                ClientOutput::TransportError => return Some(News::Unreachable),
                ClientOutput::Response(mut response) => {
                    self.note(now, &response, desk);
                    if self.rang_out && response.status == Status::REQUEST_TERMINATED {
                        return Some(News::TimedOut);
                    }
                    response.headers.take_first("Via");
                    if response.headers.has("Via") {
                        return Some(News::Response(response));
                    }
                }
            }
        }
        None
    }

    /// Notes that the outcome is known; tells whether that is new.
    pub(super) fn finish(&mut self) -> bool {
        let is_new = !self.is_finished();
        self.state = State::Finished;
        self.deadlines.stop_all();
        // No CANCEL will be made of it any more.
        self.request.headers = Headers::new();
        is_new
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let transactions = [&self.client, &self.cancel].into_iter().flatten();
        let timers = transactions.filter_map(ClientTransaction::next_timeout);
        timers.chain(self.deadlines.next_timeout()).min()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// Tells whether nothing is left to repeat or to absorb.
    pub(super) fn is_over(&self) -> bool {
        self.is_finished() && self.client.is_none() && self.cancel.is_none()
    }

    pub(super) fn hop(&self) -> &Hop {
        &self.hop
    }

    /// Gives every hop whose failure concerns this branch.
    pub(super) fn ways(&self) -> impl Iterator<Item = &Hop> {
        iter::once(&self.hop).chain(&self.streamed)
    }

    pub(super) fn keys(&self) -> &[TransactionKey; 2] {
        &self.keys
    }

    fn note(&mut self, now: Instant, response: &Response, desk: &Desk) {
        if !response.status.is_provisional() || self.is_finished() {
            return;
        }
        self.state = State::Proceeding;
        if self.deadlines.is_running(Guard::Ringing) && response.status.code() > 100 {
            self.deadlines.set(Guard::Ringing, now + TIMER_C);
        }
        if let Wish::Held(reasons) = &self.wish {
            let reasons = reasons.clone();
            self.send_cancel(now, &reasons, desk);
        }
    }

    fn send_cancel(&mut self, now: Instant, reasons: &[String], desk: &Desk) {
        if self.wish == Wish::Sent {
            return;
        }
        let mut cancel = cancel_of(&self.request, reasons);
        let way = self.client.as_ref().map_or(&self.hop, ClientTransaction::hop).clone();
        readdress(&mut cancel.headers, way.transport);
        self.cancel = Some(ClientTransaction::new(now, &cancel, way, desk.timers));
        self.wish = Wish::Sent;
        self.deadlines.stop(Guard::Ringing);
        self.deadlines.set(Guard::Cancelling, now + desk.timers.give_up());
    }
}

/// The CANCEL of `request`: Request-URI, Via, Route, From, To, Call-ID and CSeq number are those
/// of the request (RFC 3261 section 9.1), the reasons those of the CANCEL that came in (RFC 3326
/// section 2).
fn cancel_of(request: &Request, reasons: &[String]) -> Request {
    let mut headers = Headers::new();
    if let Some(via) = request.headers.list("Via").next() {
        headers.push("Via", via);
    }
    headers.push("Max-Forwards", "70");
    for name in ["Route", "From", "To", "Call-ID"] {
        headers.copy(name, &request.headers);
    }
    let number = request.cseq().map_or(0, |cseq| cseq.number);
    headers.push("CSeq", &format!("{number} CANCEL"));
    reasons.iter().for_each(|reason| headers.push("Reason", reason));
    let uri = request.uri.clone();
    Request { method: Method::Cancel, uri, headers, body: Bytes::new() }
}

/// "MUST be larger than 3 minutes" (RFC 3261 section 16.6 item 11).
const TIMER_C: Duration = Duration::from_secs(181);
