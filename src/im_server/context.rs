//! One request and all that came of it: the response context of RFC 3261 section 16.7.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::branch::{Branch, News};
use super::desk::Desk;
use super::forward::{Passage, Target};
use super::policy;
use crate::sip::{
    Headers, Hop, Method, Request, Response, ServerOutput, ServerTransaction, Status,
    TransactionKey,
};

/// A server transaction, the targets that are tried, and their answers. Targets of one rank are
/// tried at a time, rank after rank (section 16.6).
#[derive(Debug)]
pub(super) struct Context {
    passage: Passage,
    server: Option<ServerTransaction>,
    rounds: VecDeque<Vec<Target>>,
    branches: Vec<Branch>,
    refusals: Vec<Response>,
    outcome: Outcome,
    /// When a request other than INVITE gets a 100 (RFC 4320 section 4.1).
    trying_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Open,
    /// The sender took the request back; its final answer is still to come.
    Cancelled,
    Answered,
}

impl Context {
    /// Begins to forward a request to the first of its targets. What would be broader than its
    /// sender allows is tried one part after the other (RFC 5393 section 5.3.3.1).
    pub(super) fn forward(
        now: Instant,
        passage: Passage,
        rounds: Vec<Vec<Target>>,
        desk: &mut Desk,
    ) -> Self {
        let breadth = policy::breadth(&passage.request).max(1);
        let mut context = Self::begin(now, passage, desk);
        let parts = rounds.iter().flat_map(|round| round.chunks(breadth)).map(<[_]>::to_vec);
        context.rounds = parts.collect();
        let trying = desk.clerk.trying(&context.passage.request);
        if context.passage.request.method == Method::Invite {
            context.respond(now, &trying);
        } else {
            context.trying_at = Some(now + desk.timers.patience());
        }
        context.try_next(now, desk);
        context.drain(now, desk);
        context
    }

    /// Answers a request that was for the server itself.
    pub(super) fn answer(
        now: Instant,
        passage: Passage,
        response: &Response,
        desk: &mut Desk,
    ) -> Self {
        let mut context = Self::begin(now, passage, desk);
        context.conclude(now, response);
        context.drain_server(desk);
        context
    }

    /// Takes a repetition of the request, or its ACK; gives back an ACK that is to go further.
    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        request: &Request,
        desk: &mut Desk,
    ) -> Option<Request> {
        self.server.as_mut()?.handle_request(now, request);
        self.drain_server(desk)
    }

    /// Takes a response to one of the copies, or to a CANCEL of one.
    pub(super) fn handle_response(&mut self, now: Instant, response: &Response, desk: &mut Desk) {
        let key = TransactionKey::of_response(response);
        let branch = self.branches.iter_mut().find(|branch| branch.keys().contains(&key));
        if let Some(branch) = branch {
            branch.handle_response(now, response.clone());
        }
        self.drain(now, desk);
    }

    /// Takes back the request, hop by hop: what is under way is cancelled, and its 487 will be
    /// the answer. After the answer a CANCEL has no effect (RFC 3261 section 9.2).
    pub(super) fn handle_cancel(&mut self, now: Instant, cancel: &Request, desk: &mut Desk) {
        if self.outcome != Outcome::Open || self.passage.request.method != Method::Invite {
            return;
        }
        self.outcome = Outcome::Cancelled;
        let reasons: Vec<_> = cancel.headers.all("Reason").map(str::to_owned).collect();
        self.cancel_all(now, &reasons, desk);
        self.drain(now, desk);
    }

    /// Takes the news that `hop` cannot be reached. Where a response got lost nothing is done, or
    /// a client could make calls fail through its Via (RFC 3261 section 16.9).
    pub(super) fn handle_transport_error(&mut self, now: Instant, hop: &Hop, desk: &mut Desk) {
        self.branches.iter_mut().for_each(|branch| branch.handle_transport_error(now, hop));
        self.drain(now, desk);
    }

    /// Fires every timer that is due.
    pub(super) fn handle_timeout(&mut self, now: Instant, desk: &mut Desk) {
        if self.trying_at.is_some_and(|at| at <= now) {
            self.trying_at = None;
            let trying = desk.clerk.trying(&self.passage.request);
            self.respond(now, &trying);
        }
        for at in 0..self.branches.len() {
            let news = self.branches.get_mut(at).and_then(|it| it.handle_timeout(now, desk));
            if let Some(news) = news {
                self.handle_news(now, at, news, desk);
            }
        }
        self.drain(now, desk);
        if let Some(server) = &mut self.server {
            server.handle_timeout(now);
        }
        self.drain_server(desk);
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let branches = self.branches.iter().filter_map(Branch::next_timeout);
        let server = self.server.as_ref().and_then(ServerTransaction::next_timeout);
        branches.chain(server).chain(self.trying_at).min()
    }

    /// Tells whether no repetition of anything can come any more.
    pub(super) fn is_over(&self) -> bool {
        self.server.is_none() && self.branches.iter().all(Branch::is_over)
    }

    /// Tells whether the request came from the host of `source`; a stream may be another one now.
    pub(super) fn is_from(&self, source: &Hop) -> bool {
        self.passage.source.host == source.host
    }

    pub(super) fn branches(&self) -> &[Branch] {
        &self.branches
    }

    fn begin(now: Instant, passage: Passage, desk: &Desk) -> Self {
        let server = ServerTransaction::new(now, &passage.request, &passage.source, desk.timers);
        Self {
            passage,
            server: Some(server),
            rounds: VecDeque::new(),
            branches: Vec::new(),
            refusals: Vec::new(),
            outcome: Outcome::Open,
            trying_at: None,
        }
    }

    /// Goes on to the next targets, if there are any. They share the breadth of the request; what
    /// does not divide goes to the first of them.
    fn try_next(&mut self, now: Instant, desk: &mut Desk) -> bool {
        let Some(round) = self.rounds.pop_front() else { return false };
        let (breadth, count) = (policy::breadth(&self.passage.request), round.len().max(1));
        for (at, target) in round.into_iter().enumerate() {
            let share = breadth / count + usize::from(at < breadth % count);
            let copy = self.passage.copy_for(&target, share, desk);
            self.branches.push(Branch::start(now, copy, target.hop, desk));
        }
        if self.rounds.is_empty() {
            self.passage.request.body = Bytes::new();
        }
        true
    }

    /// Carries out all wishes, and those that they raise.
    fn drain(&mut self, now: Instant, desk: &mut Desk) {
        self.drain_server(desk);
        let mut at = 0;
        while let Some(branch) = self.branches.get_mut(at) {
            let Some(news) = branch.poll(now, desk) else {
                at += 1;
                continue;
            };
            self.handle_news(now, at, news, desk);
            self.drain_server(desk);
            // What happened may have cancelled an earlier branch.
            at = 0;
        }
    }

    fn drain_server(&mut self, desk: &mut Desk) -> Option<Request> {
        let mut passed_on = None;
        while let Some(output) = self.server.as_mut().and_then(ServerTransaction::poll) {
            match output {
                ServerOutput::Send { bytes, hop } => desk.send(bytes, hop),
                ServerOutput::Ack(ack) => passed_on = Some(ack),
                ServerOutput::TimedOut => {}
                ServerOutput::Terminated => self.server = None,
            }
        }
        passed_on
    }

    /// Takes what a branch tells (section 16.7).
    fn handle_news(&mut self, now: Instant, at: usize, news: News, desk: &mut Desk) {
        let Some(branch) = self.branches.get_mut(at) else { return };
        let was_ours = self.outcome == Outcome::Cancelled;
        let response = match news {
            News::Response(mut response) => {
                if !policy::leads_home(branch.hop(), desk.home.as_ref()) {
                    policy::distrust(&mut response.headers);
                }
                if !self.passage.is_from_home {
                    policy::withhold(&mut response.headers);
                }
                response
            }
            News::TimedOut | News::Unreachable if was_ours => {
                desk.clerk.answer(&self.passage.request, Status::REQUEST_TERMINATED)
            }
            News::TimedOut => desk.clerk.answer(&self.passage.request, Status::REQUEST_TIMEOUT),
            News::Unreachable => {
                desk.clerk.answer(&self.passage.request, Status::SERVICE_UNAVAILABLE)
            }
        };
        match response.status.class() {
            1 if response.status == Status::TRYING => {}
            1 => self.respond(now, &response),
            2 => {
                branch.finish();
                self.conclude(now, &response);
                self.cancel_all(now, &[], desk);
            }
            _ if branch.finish() => self.handle_refusal(now, response, desk),
            _ => {}
        }
    }

    /// Keeps a refusal, and answers with the best of all when no target is left (items 4 to 6).
    fn handle_refusal(&mut self, now: Instant, response: Response, desk: &mut Desk) {
        if self.outcome == Outcome::Answered {
            return;
        }
        if response.status.class() == 6 {
            self.cancel_all(now, &[], desk);
        }
        self.refusals.push(response);
        let is_pending = self.branches.iter().any(|branch| !branch.is_finished());
        if is_pending || self.try_next(now, desk) {
            return;
        }
        if let Some(best) = best_of(std::mem::take(&mut self.refusals)) {
            self.conclude(now, &best);
        }
    }

    fn cancel_all(&mut self, now: Instant, reasons: &[String], desk: &Desk) {
        self.rounds.clear();
        for branch in self.branches.iter_mut().filter(|branch| !branch.is_finished()) {
            if self.passage.request.method == Method::Invite {
                branch.cancel(now, reasons.to_vec(), desk);
            }
        }
    }

    fn conclude(&mut self, now: Instant, response: &Response) {
        self.outcome = Outcome::Answered;
        self.trying_at = None;
        self.respond(now, response);
        // What stays for the repetitions needs none of the request.
        self.passage.request.headers = Headers::new();
        self.passage.request.body = Bytes::new();
    }

    /// A response for which the server transaction is gone is dropped (RFC 6026 section 8.3).
    fn respond(&mut self, now: Instant, response: &Response) {
        if let Some(server) = &mut self.server {
            server.respond(now, response);
        }
    }
}

/// Chooses among the refusals of all targets (items 6 and 7): any 6xx, else the lowest class, and
/// in it what helps the sender to try again before what we had to make up ourselves. A 503 is said
/// of one target, not of this server, and goes on as a 500.
fn best_of(refusals: Vec<Response>) -> Option<Response> {
    let mut best = refusals.iter().min_by_key(|refusal| rank(refusal.status))?.clone();
    if matches!(best.status, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED) {
        let challenges = ["WWW-Authenticate", "Proxy-Authenticate"];
        challenges.iter().for_each(|name| best.headers.remove(name));
        for refusal in &refusals {
            challenges.iter().for_each(|name| best.headers.copy(name, &refusal.headers));
        }
    }
    if best.status == Status::SERVICE_UNAVAILABLE {
        best.status = Status::SERVER_INTERNAL_ERROR;
        best.reason = best.status.reason().into();
    }
    Some(best)
}

fn rank(status: Status) -> (u16, u16) {
    let class = if status.class() == 6 { 0 } else { status.class() };
    let within = match status.code() {
        401 | 407 | 415 | 420 | 484 => 0,
        408 | 503 => 2,
        _ => 1,
    };
    (class, within)
}
