//! The subscriber: asks with SUBSCRIBE, listens to NOTIFY, refreshes, and takes its leave
//! (RFC 6665 section 4.1).
//!
//! ```text
//!      subscribe()
//!          │ SUBSCRIBE, Timer N
//!          ▼
//!     ┌─────────┐ 401, 407, 423: SUBSCRIBE again
//!     │ Asking  │──────────────────────────────▶ Asking
//!     └─┬─────┬─┘ 503, timeout, transport: SUBSCRIBE to the next hop, if one is left
//!       │     │ 2xx                NOTIFY from a tag not heard before (also while Asking):
//!       │     └──────▶ Granted ───────────────────────────────────────▶ a branch, see below
//!       │ any other refusal                     │ Timer N
//!       └───────────────▶ Closed ◀──────────────┘
//!
//!     a branch: one dialog, one subscription
//!     ┌─────────┐  half of the time: SUBSCRIBE, Timer N     unsubscribe(): SUBSCRIBE that expires
//!     │ Standing│──────────────────────────────────▶ Standing ────────────────────────┐ at once
//!     └────┬────┘ NOTIFY: 200, Notified                                               ▼
//!          │ NOTIFY terminated: 200; a refusal that RFC 6665 lists;                Leaving
//!          ▼ Timer N; the time is up                                                  │
//!        Ended ◀──────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The dialog is made by the NOTIFY, never by the 2xx. A proxy may have forked the SUBSCRIBE: then
//! several notifiers send NOTIFYs, each a subscription of its own, or all but the first are told
//! that there is none. A REFER begins a subscription just like a SUBSCRIBE (RFC 3515).

use std::mem;
use std::time::{Duration, Instant};

use super::branch::{Branch, BranchWait, Renewing};
use super::state::{Ended, EventType, SubscriptionState, accepts};
use super::wanted::{REFER_EVENT, SIPFRAG, Wanted, declines_subscription, describe, granted};
use crate::sip::dialog::Dialog;
use crate::sip::fate::Fate;
use crate::sip::registration::retry_after;
use crate::sip::timers::Deadlines;
use crate::sip::usage::{Desk, Inbound, Outcome, Way};
use crate::sip::{
    Body, Errand, Kit, Message, Method, Refer, Request, Response, Status, UsageFailure, UsageInput,
    UsageOutput,
};

/// A subscription of ours, with all that a proxy may have made of it.
///
/// Sans-IO: after each call drain [`Subscriber::poll`] until it gives `None`, and hand in
/// [`UsageInput::Timeout`] no later than at [`Subscriber::next_timeout`].
#[derive(Debug)]
pub struct Subscriber {
    desk: Desk<Aim, SubscriberEvent>,
    wanted: Wanted,
    opening: Opening,
    branches: Vec<Branch>,
    /// The tags of the notifiers whose subscriptions have ended.
    ended: Vec<String>,
    waits: Deadlines<Wait>,
    is_leaving: bool,
}

/// What is subscribed to.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Where, and in whose name.
    pub errand: Errand,
    /// The event package.
    pub event: EventType,
    /// The types of bodies that are understood; nothing for whatever comes.
    pub accept: Vec<String>,
    /// The time that is asked for, in seconds; 0 fetches the state once.
    pub expires: u32,
    /// What becomes of a second notifier.
    pub forks: Forks,
    /// A filter, as the package defines it.
    pub body: Option<Body>,
}

/// What becomes of a second notifier that answers one SUBSCRIBE (RFC 6665 section 5.4.9: each
/// event package decides).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forks {
    /// It is told that there is no such subscription (481).
    Refuse,
    /// It is another subscription.
    Follow,
}

/// What has become of a subscription. A branch is known by the tag of its notifier.
#[derive(Debug, Clone, PartialEq)]
pub enum SubscriberEvent {
    /// Our first request was accepted; nothing stands before a NOTIFY has come.
    Accepted {
        /// That response.
        response: Response,
    },
    /// Nothing was established, and nothing will be.
    Failed {
        /// Why; [`UsageFailure::Timeout`] also where no NOTIFY came in time.
        why: UsageFailure,
        /// When asking again may fare better, if the notifier told.
        retry_after: Option<Duration>,
    },
    /// A NOTIFY, already answered.
    Notified {
        /// Which branch.
        branch: String,
        /// The state of its subscription.
        state: SubscriptionState,
        /// What it says; nothing where it came without a body.
        body: Option<Body>,
    },
    /// A subscription stands no more.
    Ended {
        /// Which branch.
        branch: String,
        /// Why.
        why: Ended,
    },
}

/// How far our first request is.
#[derive(Debug)]
enum Opening {
    Asking {
        request: Box<Request>,
        /// How often the notifier has asked for a longer time.
        too_brief: u8,
    },
    /// Accepted for so many seconds.
    Granted { request: Box<Request>, seconds: u32 },
    /// No notifier may join any more.
    Closed,
}

/// What a request of ours aims at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    Open,
    /// The branch with this number.
    Renew(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    /// For the first NOTIFY, and for those of other notifiers: Timer N.
    Opening,
    /// For what may still be on its way to a subscription that has ended.
    Linger,
}

impl Subscriber {
    /// Subscribes: sends the SUBSCRIBE.
    #[must_use]
    pub fn subscribe(now: Instant, subscription: Subscription, kit: Kit) -> Self {
        let Subscription { errand, event, accept, expires, forks, body } = subscription;
        let mut desk = Desk::new(kit, None);
        let mut request = desk.begin(Method::Subscribe, &errand);
        describe(&mut request.headers, &event, &accept, expires);
        if let Some(body) = body {
            body.put(&mut request);
        }
        let (way, is_reachable) = way_of(&errand, &desk);
        let wanted = Wanted { event, accept, expires, forks, is_implicit: false, way };
        Self::open(now, (desk, request, is_reachable), wanted)
    }

    /// Sends the REFER, and listens to what becomes of it (RFC 3515 section 2.4.4).
    pub(in crate::sip) fn refer(now: Instant, errand: &Errand, refer: Refer, kit: Kit) -> Self {
        let mut desk = Desk::new(kit, None);
        let mut request = desk.begin(Method::Refer, errand);
        request.headers.push("Accept", SIPFRAG);
        refer.put(&mut request);
        let (way, is_reachable) = way_of(errand, &desk);
        let wanted = Wanted {
            event: EventType::new(REFER_EVENT),
            accept: vec![SIPFRAG.to_owned()],
            expires: 0,
            forks: Forks::Refuse,
            is_implicit: true,
            way,
        };
        Self::open(now, (desk, request, is_reachable), wanted)
    }

    fn open(
        now: Instant,
        (mut desk, mut request, is_reachable): (Desk<Aim, SubscriberEvent>, Request, bool),
        wanted: Wanted,
    ) -> Self {
        let mut waits = Deadlines::default();
        let opening = if is_reachable {
            desk.post(now, &mut request, wanted.way.hop.clone(), Aim::Open);
            waits.set(Wait::Opening, now + desk.kit.timers.give_up());
            Opening::Asking { request: Box::new(request), too_brief: 0 }
        } else {
            let why = UsageFailure::Transport;
            desk.event(SubscriberEvent::Failed { why, retry_after: None });
            Opening::Closed
        };
        let (branches, ended) = (Vec::new(), Vec::new());
        Self { desk, wanted, opening, branches, ended, waits, is_leaving: false }
    }

    /// Feeds one input.
    pub fn handle(&mut self, now: Instant, input: UsageInput) {
        match input {
            UsageInput::Message { message: Message::Response(response), .. } => {
                self.desk.handle_response(now, response);
            }
            UsageInput::Message { message: Message::Request(request), source } => {
                if let Some(inbound) = self.desk.receive(now, request, source) {
                    self.handle_request(now, &inbound);
                }
            }
            UsageInput::Timeout => self.handle_timeout(now),
            UsageInput::TransportFailed { hop } => self.desk.handle_transport_failure(now, &hop),
        }
        self.settle(now);
    }

    /// Asks for the whole state now, wherever no SUBSCRIBE is under way. A fetch is over with its
    /// first answer, and is not asked again.
    pub fn refresh(&mut self, now: Instant) {
        if !self.wanted.is_renewed() || self.is_leaving {
            return;
        }
        let standing: Vec<_> = self.branches.iter().map(|branch| branch.number).collect();
        for number in standing {
            self.renew(now, number, self.wanted.expires, 0);
        }
        self.settle(now);
    }

    /// Takes leave. What is under way is waited for, also the first NOTIFY: without it there is no
    /// dialog to leave.
    pub fn unsubscribe(&mut self, now: Instant) {
        self.is_leaving = true;
        let standing: Vec<_> = self.branches.iter().map(|branch| branch.number).collect();
        for number in standing {
            self.renew(now, number, 0, 0);
        }
        self.settle(now);
    }

    /// Gives the next wish or report.
    pub fn poll(&mut self) -> Option<UsageOutput<SubscriberEvent>> {
        self.desk.poll()
    }

    /// Gives the time of the next timer.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let branches = self.branches.iter().map(|branch| branch.waits.next_timeout());
        let own = [self.desk.next_timeout(), self.waits.next_timeout()];
        branches.chain(own).flatten().min()
    }

    /// Tells whether nothing is left to listen to, to absorb or to poll.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.is_over() && !self.waits.is_running(Wait::Linger) && self.desk.is_idle()
    }

    /// Tells whether no subscription stands, and none can come any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.opening, Opening::Closed) && self.branches.is_empty()
    }

    /// Gives the Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.desk.call_id
    }

    /// Gives our tag, by which responses and NOTIFYs are found.
    #[must_use]
    pub fn local_tag(&self) -> &str {
        &self.desk.local_tag
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.desk.handle_timeout(now);
        // What the transactions have to say comes first: Timer F ends with Timer N.
        self.settle(now);
        while let Some((wait, _)) = self.waits.expire(now) {
            match wait {
                Wait::Opening => self.close(now, UsageFailure::Timeout, None),
                Wait::Linger => {}
            }
        }
        let due: Vec<_> = self.branches.iter().map(|branch| branch.number).collect();
        for number in due {
            while let Some((wait, _)) =
                self.branch(number).and_then(|branch| branch.waits.expire(now))
            {
                match wait {
                    BranchWait::Refresh => self.renew(now, number, self.wanted.expires, 0),
                    BranchWait::Notify => self.end(now, number, Ended::Silence),
                    BranchWait::Expiry => self.end(now, number, Ended::Expired),
                }
            }
        }
    }

    /// Serves what became of our requests until nothing is left.
    fn settle(&mut self, now: Instant) {
        while let Some((aim, outcome)) = self.desk.poll_client() {
            match aim {
                Aim::Open => self.handle_opening(now, outcome),
                Aim::Renew(number) => self.handle_renewal(now, number, outcome),
            }
        }
    }

    /// Takes what became of our first request.
    fn handle_opening(&mut self, now: Instant, outcome: Outcome) {
        let opening = mem::replace(&mut self.opening, Opening::Closed);
        let Opening::Asking { mut request, mut too_brief } = opening else {
            return self.opening = opening;
        };
        let letter = (&mut *request, &mut self.wanted.way);
        let may_go_on = self.branches.is_empty() && self.ended.is_empty() && !self.is_leaving;
        if may_go_on && self.desk.post_elsewhere(now, letter, (&outcome, Aim::Open)) {
            self.waits.set(Wait::Opening, now + self.desk.kit.timers.give_up());
            return self.opening = Opening::Asking { request, too_brief };
        }
        let response = match outcome {
            Outcome::Answer(response) => response,
            Outcome::None(why) => return self.close(now, why, None),
        };
        let is_asked_again = self.desk.accepts_challenge(&response)
            || self.wanted.lengthens(&response, &mut too_brief);
        if is_asked_again && !self.has_joined() {
            if !self.wanted.is_implicit {
                request.headers.set("Expires", &self.wanted.expires.to_string());
            }
            self.desk.post_again(now, &mut request, self.wanted.way.hop.clone(), Aim::Open);
            self.waits.set(Wait::Opening, now + self.desk.kit.timers.give_up());
            return self.opening = Opening::Asking { request, too_brief };
        }
        if !response.status.is_success() {
            let retry_after = retry_after(&response.headers);
            return self.close(now, UsageFailure::Status(response.status), retry_after);
        }
        let seconds = granted(&response, self.wanted.expires);
        self.opening = Opening::Granted { request, seconds };
        self.take_grant(now, &response);
        // The recipient of a REFER may do without a subscription (RFC 4488 section 4).
        let is_all = self.wanted.is_implicit && declines_subscription(&response.headers);
        if is_all || (self.has_joined() && self.wanted.forks == Forks::Refuse) {
            self.opening = Opening::Closed;
            self.waits.stop(Wait::Opening);
            self.linger(now);
        }
    }

    /// Takes the 2xx to our first request: it says how long the subscription of its notifier is,
    /// unless a NOTIFY has said so already.
    fn take_grant(&mut self, now: Instant, response: &Response) {
        if !response.status.is_success() {
            return;
        }
        let seconds = granted(response, self.wanted.expires);
        let tag = response.to_tag().unwrap_or_default();
        let is_renewed = self.wanted.is_renewed();
        if let Some(branch) = self.branches.iter_mut().find(|branch| branch.tag == tag)
            && !branch.is_told
        {
            branch.stand(now, seconds, is_renewed && !branch.is_left);
        }
        self.desk.event(SubscriberEvent::Accepted { response: response.clone() });
    }

    /// Lets no notifier join any more. Where none has, that is a failure.
    fn close(&mut self, now: Instant, why: UsageFailure, retry_after: Option<Duration>) {
        self.opening = Opening::Closed;
        self.waits.stop(Wait::Opening);
        if !self.has_joined() {
            self.desk.event(SubscriberEvent::Failed { why, retry_after });
        }
        self.linger(now);
    }

    /// Tells whether a notifier has sent a NOTIFY.
    fn has_joined(&self) -> bool {
        !(self.branches.is_empty() && self.ended.is_empty())
    }

    fn handle_request(&mut self, now: Instant, inbound: &Inbound) {
        if let Some(refusal) = self.desk.objection(&inbound.request) {
            self.desk.answer(now, inbound, &refusal);
        } else if inbound.request.method == Method::Notify {
            self.handle_notify(now, inbound);
        } else {
            self.desk.answer_plainly(now, inbound);
        }
    }

    fn handle_notify(&mut self, now: Instant, inbound: &Inbound) {
        let judged = self.judge(&inbound.request);
        let (state, at) = match judged {
            Ok(judged) => judged,
            Err(status) => return self.desk.refuse(now, inbound, status),
        };
        let request = &inbound.request;
        let number = match at {
            Place::Standing(number) => number,
            Place::Gone => return self.desk.refuse(now, inbound, Status::OK),
            Place::New(branch) => self.join(now, *branch),
        };
        let (response, body) = self.read_body(request);
        if !self.desk.answer(now, inbound, &response) {
            return;
        }
        let (is_renewed, is_leaving) = (self.wanted.is_renewed(), self.is_leaving);
        let Some(branch) = self.branch(number) else { return };
        // Whom we have left must say that it is the end.
        if !branch.is_left {
            branch.waits.stop(BranchWait::Notify);
        }
        branch.dialog.refresh_target(&request.headers);
        if let Some(seconds) = state.expires() {
            branch.adjust(now, seconds, is_renewed);
        }
        let is_leaving = is_leaving && !branch.is_left;
        let tag = branch.tag.clone();
        let event = SubscriberEvent::Notified { branch: tag, state: state.clone(), body };
        self.desk.event(event);
        match state {
            SubscriptionState::Terminated(ending) => {
                self.end(now, number, Ended::ByNotifier(ending));
            }
            SubscriptionState::Active { .. } | SubscriptionState::Pending { .. } if is_leaving => {
                self.renew(now, number, 0, 0);
            }
            SubscriptionState::Active { .. } | SubscriptionState::Pending { .. } => {}
        }
    }

    /// Tells to which subscription a NOTIFY belongs, or why to none (RFC 6665 section 4.1.3).
    fn judge(&mut self, notify: &Request) -> Result<(SubscriptionState, Place), Status> {
        if notify.to_tag().as_deref() != Some(&self.desk.local_tag) {
            return Err(Status::CALL_DOES_NOT_EXIST);
        }
        let event = EventType::of(&notify.headers).ok_or(Status::BAD_EVENT)?;
        if event.package != self.wanted.event.package {
            return Err(Status::BAD_EVENT);
        }
        let state = SubscriptionState::of(&notify.headers).ok_or(Status::BAD_REQUEST)?;
        let tag = notify.from_tag().unwrap_or_default();
        if let Some(branch) = self.branches.iter_mut().find(|branch| branch.tag == tag) {
            if branch.event != event {
                return Err(Status::CALL_DOES_NOT_EXIST);
            }
            branch.dialog.admit(notify).map_err(|error| error.status())?;
            return Ok((state, Place::Standing(branch.number)));
        }
        if self.ended.contains(&tag) {
            // A late word of farewell is taken; who goes on telling is told that nobody listens.
            let is_farewell = state.is_terminated();
            return if is_farewell { Ok((state, Place::Gone)) } else { Err(GONE) };
        }
        let request = match &self.opening {
            Opening::Asking { request, .. } | Opening::Granted { request, .. } => request,
            Opening::Closed => return Err(GONE),
        };
        if !self.wanted.names(&event, request) {
            return Err(GONE);
        }
        let count = self.branches.len() + self.ended.len();
        if count >= MAX_BRANCHES || (count > 0 && self.wanted.forks == Forks::Refuse) {
            return Err(GONE);
        }
        let dialog = Dialog::of_subscriber(request, notify).map_err(|error| error.status())?;
        let waits = Deadlines::default();
        let number = count;
        let (renewing, is_told, is_left) = (None, false, false);
        let branch = Branch { number, tag, dialog, event, renewing, is_told, is_left, waits };
        Ok((state, Place::New(Box::new(branch))))
    }

    /// Lets a notifier join.
    fn join(&mut self, now: Instant, mut branch: Branch) -> usize {
        let number = branch.number;
        let seconds = match self.opening {
            Opening::Granted { seconds, .. } => seconds,
            Opening::Asking { .. } | Opening::Closed => self.wanted.seconds(),
        };
        branch.stand(now, seconds, self.wanted.is_renewed());
        self.branches.push(branch);
        if self.wanted.forks == Forks::Refuse {
            self.waits.stop(Wait::Opening);
            if matches!(self.opening, Opening::Granted { .. }) {
                self.opening = Opening::Closed;
            }
        }
        number
    }

    /// Gives the answer to a NOTIFY, and its body, unless that is of a type that nobody understands
    /// here (415 then; the state counts all the same).
    fn read_body(&self, notify: &Request) -> (Response, Option<Body>) {
        let body = Body::of(&notify.headers, &notify.body);
        let wanted = &self.wanted.accept;
        let is_understood = |body: &Body| {
            wanted.is_empty() || accepts(wanted.iter().map(String::as_str), &body.content_type)
        };
        if body.as_ref().is_none_or(is_understood) {
            return (self.desk.response(notify, Status::OK), body);
        }
        let mut refusal = self.desk.response(notify, Status::UNSUPPORTED_MEDIA_TYPE);
        refusal.headers.push("Accept", &wanted.join(", "));
        (refusal, None)
    }

    /// Sends a SUBSCRIBE in a branch, if none is under way; 0 seconds take leave.
    fn renew(&mut self, now: Instant, number: usize, expires: u32, too_brief: u8) {
        let Self { desk, wanted, branches, .. } = self;
        let Some(branch) = branches.iter_mut().find(|branch| branch.number == number) else {
            return;
        };
        if branch.renewing.is_some() {
            return;
        }
        let hop = branch.dialog.next_hop().unwrap_or_else(|| wanted.way.hop.clone());
        let mut request = desk.within(&mut branch.dialog, Method::Subscribe);
        describe(&mut request.headers, &branch.event, &wanted.accept, expires);
        desk.post(now, &mut request, hop, Aim::Renew(number));
        branch.renewing = Some(Renewing { expires, too_brief });
        branch.is_left |= expires == 0;
        branch.waits.stop(BranchWait::Refresh);
        branch.waits.set(BranchWait::Notify, now + desk.kit.timers.give_up());
    }

    /// Takes what became of a SUBSCRIBE in a branch (RFC 6665 section 4.1.2.2).
    fn handle_renewal(&mut self, now: Instant, number: usize, outcome: Outcome) {
        let (is_renewed, is_leaving) = (self.wanted.is_renewed(), self.is_leaving);
        let Some(branch) = self.branches.iter_mut().find(|branch| branch.number == number) else {
            return;
        };
        let Some(mut renewing) = branch.renewing.take() else { return };
        let response = match outcome {
            Outcome::Answer(response) => response,
            // Timer N has the same length as Timer F, and ends the subscription.
            Outcome::None(UsageFailure::Timeout) => return self.end(now, number, Ended::Silence),
            Outcome::None(_) => return self.postpone(now, number, renewing, None),
        };
        let is_asked_again = self.desk.accepts_challenge(&response);
        if is_asked_again
            || (renewing.expires > 0 && self.wanted.lengthens(&response, &mut renewing.too_brief))
        {
            let expires = if renewing.expires == 0 { 0 } else { self.wanted.expires };
            return self.renew(now, number, expires, renewing.too_brief);
        }
        if Fate::of_subscription(response.status).is_final() {
            return self.end(now, number, Ended::Refused(response.status));
        }
        if !response.status.is_success() {
            let wait = retry_after(&response.headers);
            return self.postpone(now, number, renewing, wait);
        }
        let Some(branch) = self.branch(number) else { return };
        branch.dialog.refresh_target(&response.headers);
        // 204 says that no NOTIFY follows (RFC 5839).
        if response.status == Status::NO_NOTIFICATION {
            branch.waits.stop(BranchWait::Notify);
        }
        if renewing.expires > 0 {
            branch.stand(now, granted(&response, renewing.expires), is_renewed);
            if is_leaving {
                self.renew(now, number, 0, 0);
            }
        }
    }

    /// Takes a failure that leaves the subscription as it was: it is refreshed once more after
    /// half of the time that is left, as long as that is worth it. A leave-taking is not repeated.
    fn postpone(
        &mut self,
        now: Instant,
        number: usize,
        renewing: Renewing,
        retry_after: Option<Duration>,
    ) {
        if renewing.expires == 0 {
            return self.end(now, number, Ended::Silence);
        }
        if self.is_leaving {
            return self.renew(now, number, 0, 0);
        }
        let Some(branch) = self.branch(number) else { return };
        branch.waits.stop(BranchWait::Notify);
        let rest = branch.rest(now);
        let wait = retry_after.unwrap_or_default().max(rest / 2);
        if rest > MIN_REST && wait < rest {
            branch.waits.set(BranchWait::Refresh, now + wait);
        }
    }

    /// Ends a branch.
    fn end(&mut self, now: Instant, number: usize, why: Ended) {
        let Some(at) = self.branches.iter().position(|branch| branch.number == number) else {
            return;
        };
        let Branch { tag, .. } = self.branches.remove(at);
        self.ended.push(tag.clone());
        self.desk.event(SubscriberEvent::Ended { branch: tag, why });
        self.linger(now);
    }

    /// Begins the time in which late NOTIFYs are still answered with 200.
    fn linger(&mut self, now: Instant) {
        if self.is_over() && !self.ended.is_empty() {
            self.waits.set(Wait::Linger, now + self.desk.kit.timers.give_up());
        }
    }

    fn branch(&mut self, number: usize) -> Option<&mut Branch> {
        self.branches.iter_mut().find(|branch| branch.number == number)
    }
}

/// Gives the way of our first request, and whether there is one at all.
fn way_of(errand: &Errand, desk: &Desk<Aim, SubscriberEvent>) -> (Way, bool) {
    let way = errand.way();
    let is_reachable = way.is_some();
    (way.unwrap_or_else(|| Way::to(desk.kit.local.hop.clone())), is_reachable)
}

/// Where a NOTIFY belongs.
#[derive(Debug)]
enum Place {
    Standing(usize),
    New(Box<Branch>),
    /// To a subscription that has ended.
    Gone,
}

/// What a NOTIFY is told that belongs to no subscription.
const GONE: Status = Status::CALL_DOES_NOT_EXIST;

/// More notifiers than any honest proxy forks a SUBSCRIBE to.
const MAX_BRANCHES: usize = 16;

/// A rest of the subscription too short for another refresh: 64\*T1 that it may need to fail.
const MIN_REST: Duration = Duration::from_secs(32);
