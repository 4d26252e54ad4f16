//! The notifier: answers a SUBSCRIBE, and tells with NOTIFY what there is to tell (RFC 6665 section
//! 4.2).
//!
//! ```text
//!      answering()
//!          │
//!          ▼
//!     ┌──────────┐ 406, 420, 423, 489 of itself, reject(), nobody decides in 64*T1
//!     │ Deciding │────────────────────────────────────────────▶ Over
//!     └────┬─────┘
//!          │ accept(): 200, and then at once NOTIFY
//!          ▼
//!     ┌──────────┐ publish(): NOTIFY; SUBSCRIBE: 200, Refreshed, NOTIFY with the whole state
//!     │ Standing │──────────────────────────────────────────────────────────▶ Standing
//!     └────┬─┬───┘
//!          │ │ a refusal that RFC 6665 lists, or silence
//!          │ └──────────────────────────────────────────▶ Over
//!          │ terminate(), SUBSCRIBE that expires at once, the time is up: NOTIFY terminated
//!          ▼
//!     ┌──────────┐ any answer, or none
//!     │ Parting  │────────────────────▶ Over
//!     └──────────┘
//! ```
//!
//! One NOTIFY at a time: what is published while one is under way waits, and only the newest state
//! is told then. A fetch, which expires at once, goes from Deciding to Parting.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::{EndReason, Ending, EventType, SubscriptionState, accepts};
use super::wanted::{REFER_EVENT, SIPFRAG};
use crate::sip::dialog::Dialog;
use crate::sip::fate::Fate;
use crate::sip::refer::NOREFERSUB;
use crate::sip::timers::Deadlines;
use crate::sip::usage::{Desk, Inbound, Outcome};
use crate::sip::{
    Body, Hop, Kit, Message, Method, Request, Response, Status, UsageFailure, UsageInput,
    UsageOutput, stamp_source,
};

/// One subscription of a peer.
///
/// Sans-IO: after each call drain [`Notifier::poll`] until it gives `None`, and hand in
/// [`UsageInput::Timeout`] no later than at [`Notifier::next_timeout`].
#[derive(Debug)]
pub struct Notifier {
    desk: Desk<Aim, NotifierEvent>,
    terms: NotifierTerms,
    state: State,
    waits: Deadlines<Wait>,
}

/// What a notifier serves, and for how long.
#[derive(Debug, Clone)]
pub struct NotifierTerms {
    /// The event packages that are served here, for a 489; one of them is the peer's.
    pub packages: Vec<String>,
    /// The types of bodies that can be sent, of which the peer must accept one; nothing where the
    /// package has no bodies.
    pub content_types: Vec<String>,
    /// The shortest time that a peer may ask for, in seconds; of an hour and more there is no
    /// refusing (RFC 6665 section 4.2.1.1).
    pub shortest: u32,
    /// The time of those who ask for none.
    pub usual: u32,
    /// The longest time that is granted.
    pub longest: u32,
}

/// Whether a subscription is permitted already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Active,
    /// Somebody has yet to decide.
    Pending,
}

/// What has become of a subscription of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifierEvent {
    /// A SUBSCRIBE that can be served; answer it at once with [`Notifier::accept`] or
    /// [`Notifier::reject`].
    Asked,
    /// The SUBSCRIBE was refused of itself with this status; nothing follows.
    Refused(Status),
    /// The peer has refreshed its subscription, and is told the whole state.
    Refreshed,
    /// The subscription stands no more.
    Ended(Parting),
}

/// Why a subscription stands no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// The peer has taken its leave, or has fetched what it wanted.
    Unsubscribed,
    /// Its time passed without a refresh.
    Expired,
    /// The owner has terminated it.
    Terminated,
    /// The peer cannot be told any more.
    Failed(UsageFailure),
}

#[derive(Debug)]
enum State {
    /// The request that asks for a subscription is not answered.
    Deciding(Box<Deciding>),
    /// The subscription stands.
    Standing(Box<Watch>),
    /// The subscription has ended, but its last NOTIFY has no answer, or must still be sent.
    Parting(Box<Watch>, Box<Farewell>),
    /// There is nothing left to do.
    Over,
}

#[derive(Debug)]
struct Deciding {
    inbound: Inbound,
    watch: Watch,
    /// The time that is granted.
    seconds: u32,
}

/// A subscription with what its peer is to be told.
#[derive(Debug)]
struct Watch {
    dialog: Dialog,
    event: EventType,
    /// Where the first request came from, for want of a better hop.
    source: Hop,
    standing: Standing,
    /// The whole state, as it was published last.
    whole: Option<Body>,
    /// Whether the whole state is made when it is wanted, and not kept.
    on_demand: bool,
    /// Whether the whole state, or the farewell, must go out as soon as it may.
    is_owed: bool,
    /// Whether the peer has not taken a change, so that the next one alone would tell it nothing.
    has_missed: bool,
}

#[derive(Debug, Clone)]
struct Farewell {
    parting: Parting,
    ending: Ending,
    body: Option<Body>,
    /// The last state, for a peer that does not take the NOTIFY which is still under way.
    whole: Option<Body>,
}

/// What a request of ours aims at: there is one kind only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Aim;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    /// For the owner to decide: nobody waits for an answer any longer.
    Decision,
    /// Until the subscription expires.
    Expiry,
}

impl Notifier {
    /// Takes a SUBSCRIBE outside of any dialog: asks the owner, or refuses what cannot be served.
    #[must_use]
    pub fn answering(
        now: Instant,
        subscribe: Request,
        source: Hop,
        terms: NotifierTerms,
        kit: Kit,
    ) -> Self {
        let mut this = Self::new(subscribe.call_id(), terms, kit);
        let Some(inbound) = this.receive(now, subscribe, source) else { return this };
        match this.read(&inbound) {
            Ok((watch, seconds)) => this.decide(now, Deciding { inbound, watch, seconds }),
            Err(refusal) => this.refuse(now, &inbound, &refusal),
        }
        this
    }

    /// Takes a REFER outside of any dialog, which asks for a subscription by the way (RFC 3515
    /// section 2.4.4); the error is the refusal.
    pub(in crate::sip) fn referred(
        now: Instant,
        refer: Request,
        source: Hop,
        kit: Kit,
        objection: Result<(), Status>,
    ) -> Self {
        let terms = NotifierTerms {
            packages: vec![REFER_EVENT.to_owned()],
            content_types: vec![SIPFRAG.to_owned()],
            shortest: 1,
            usual: REFER_TIME,
            longest: REFER_TIME,
        };
        let mut this = Self::new(refer.call_id(), terms, kit);
        // Who accepts a REFER without a subscription may be required to (RFC 4488 section 4).
        if !this.desk.kit.local.supported.iter().any(|option| option == NOREFERSUB) {
            let local = Arc::make_mut(&mut this.desk.kit.local);
            local.supported.push(NOREFERSUB.to_owned());
        }
        let Some(inbound) = this.receive(now, refer, source) else { return this };
        let event = EventType::new(REFER_EVENT);
        let refused = |status| this.desk.response(&inbound.request, status);
        let read = match this.desk.objection(&inbound.request) {
            Some(refusal) => Err(refusal),
            None => objection.map_err(refused).and_then(|()| this.watch(&inbound, event)),
        };
        match read {
            Ok(watch) => this.decide(now, Deciding { inbound, watch, seconds: REFER_TIME }),
            Err(refusal) => this.refuse(now, &inbound, &refusal),
        }
        this
    }

    fn refuse(&mut self, now: Instant, inbound: &Inbound, refusal: &Response) {
        self.desk.respond(now, &inbound.key, refusal);
        self.desk.event(NotifierEvent::Refused(refusal.status));
    }

    fn new(call_id: Option<&str>, terms: NotifierTerms, kit: Kit) -> Self {
        let desk = Desk::new(kit, call_id);
        Self { desk, terms, state: State::Over, waits: Deadlines::default() }
    }

    /// Opens the transaction of the first request, and settles our Contact.
    fn receive(&mut self, now: Instant, mut request: Request, source: Hop) -> Option<Inbound> {
        stamp_source(&mut request, &source);
        let local = &self.desk.kit.local;
        let (user, params) = (request.uri.user_unescaped(), &local.contact_params);
        let security = (source.transport, request.uri.is_secure());
        self.desk.contact = local.write_contact(security, user.as_deref(), params);
        let inbound = self.desk.receive(now, request, source)?;
        self.desk.open(now, &inbound).then_some(inbound)
    }

    fn decide(&mut self, now: Instant, deciding: Deciding) {
        self.waits.set(Wait::Decision, now + self.desk.kit.timers.give_up());
        self.state = State::Deciding(Box::new(deciding));
        self.desk.event(NotifierEvent::Asked);
    }

    /// Gives the request that asks for the subscription, until it is answered.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        match &self.state {
            State::Deciding(deciding) => Some(&deciding.inbound.request),
            State::Standing(_) | State::Parting(..) | State::Over => None,
        }
    }

    /// Grants the subscription: 200, and at once a NOTIFY with the whole state, which may be none.
    pub fn accept(&mut self, now: Instant, standing: Standing, whole: Option<Body>) {
        let state = mem::replace(&mut self.state, State::Over);
        let State::Deciding(deciding) = state else { return self.state = state };
        let Deciding { inbound, mut watch, seconds } = *deciding;
        self.waits.stop(Wait::Decision);
        // A REFER is not done with when its 2xx is sent, and has no time of its own.
        let is_refer = inbound.request.method == Method::Refer;
        let status = if is_refer { Status::ACCEPTED } else { Status::OK };
        let mut response = self.desk.dialog_response(&inbound.request, status);
        if !is_refer {
            response.headers.push("Expires", &seconds.to_string());
        }
        self.desk.respond(now, &inbound.key, &response);
        watch.standing = standing;
        watch.whole = whole;
        self.state = State::Standing(Box::new(watch));
        self.grant(now, seconds);
        self.settle(now);
    }

    /// Accepts a REFER without the subscription that it asks for by the way (RFC 4488 section 4).
    pub(in crate::sip) fn accept_unwatched(&mut self, now: Instant) {
        let state = mem::replace(&mut self.state, State::Over);
        let State::Deciding(deciding) = state else { return self.state = state };
        self.waits.stop_all();
        let Deciding { inbound, .. } = *deciding;
        let mut response = self.desk.dialog_response(&inbound.request, Status::ACCEPTED);
        response.headers.push("Refer-Sub", "false");
        self.desk.respond(now, &inbound.key, &response);
    }

    /// Refuses the subscription. A status that refuses nothing becomes 500.
    pub fn reject(&mut self, now: Instant, status: Status, headers: &[(String, String)]) {
        let state = mem::replace(&mut self.state, State::Over);
        let State::Deciding(deciding) = state else { return self.state = state };
        self.waits.stop_all();
        let status = if status.class() > 2 { status } else { Status::SERVER_INTERNAL_ERROR };
        let mut refusal = self.desk.response(&deciding.inbound.request, status);
        headers.iter().for_each(|(name, value)| refusal.headers.push(name, value));
        self.desk.respond(now, &deciding.inbound.key, &refusal);
    }

    /// Tells the peer of a change, as soon as it has answered what it was told before. `whole` is
    /// the state after the change: a peer that has missed something, or refreshes, is told that.
    pub fn publish(&mut self, now: Instant, whole: Option<Body>, change: Option<Body>) {
        let State::Standing(watch) = &mut self.state else { return };
        watch.whole = whole;
        let body = change.or_else(|| watch.whole.clone());
        if watch.has_missed || watch.is_owed || self.desk.is_asking(Aim) {
            watch.is_owed = true;
        } else {
            self.notify(now, body);
        }
        self.settle(now);
    }

    /// Keeps no whole state from now on: the owner makes one whenever [`Notifier::wants_whole`]
    /// says so. For states that are large, and seldom wanted whole.
    pub fn keep_nothing(&mut self) {
        if let State::Standing(watch) = &mut self.state {
            watch.whole = None;
            watch.on_demand = true;
        }
    }

    /// Tells the peer of a change, if it can be told now, and says so; else the whole state will be
    /// wanted.
    pub fn tell_change(&mut self, now: Instant, change: impl FnOnce() -> Body) -> bool {
        let State::Standing(watch) = &mut self.state else { return false };
        if watch.has_missed || watch.is_owed || self.desk.is_asking(Aim) {
            watch.is_owed = true;
            return false;
        }
        self.notify(now, Some(change()));
        true
    }

    /// Tells whether the peer is to be told the whole state now.
    #[must_use]
    pub fn wants_whole(&self) -> bool {
        let State::Standing(watch) = &self.state else { return false };
        watch.on_demand && watch.is_owed && !self.desk.is_asking(Aim)
    }

    /// Tells the whole state that is wanted.
    pub fn tell_whole(&mut self, now: Instant, whole: Body) {
        if self.wants_whole() {
            self.notify(now, Some(whole));
        }
    }

    /// Permits the subscription that was pending, and tells the peer.
    pub fn permit(&mut self, now: Instant) {
        if let State::Standing(watch) = &mut self.state
            && watch.standing == Standing::Pending
        {
            watch.standing = Standing::Active;
            watch.is_owed = true;
        }
        self.settle(now);
    }

    /// Ends the subscription, and tells the peer why, with a last state or none.
    pub fn terminate(&mut self, now: Instant, ending: Ending, body: Option<Body>) {
        self.part(Farewell { parting: Parting::Terminated, ending, body, whole: None });
        self.settle(now);
    }

    /// As [`Notifier::terminate`], with the last state for a peer that does not know it: because it
    /// was not told, or does not take what it is being told.
    pub fn terminate_informed(&mut self, now: Instant, ending: Ending, whole: Body) {
        let State::Standing(watch) = &self.state else { return };
        let is_behind = watch.is_owed || watch.has_missed;
        let (body, whole) = if is_behind { (Some(whole), None) } else { (None, Some(whole)) };
        self.part(Farewell { parting: Parting::Terminated, ending, body, whole });
        self.settle(now);
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

    /// Gives the next wish or report.
    pub fn poll(&mut self) -> Option<UsageOutput<NotifierEvent>> {
        self.desk.poll()
    }

    /// Gives the time of the next timer.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        [self.desk.next_timeout(), self.waits.next_timeout()].into_iter().flatten().min()
    }

    /// Tells whether nothing is left to tell, to absorb or to poll.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Over) && self.desk.is_idle()
    }

    /// Gives the Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.desk.call_id
    }

    /// Gives our tag, by which responses and refreshes are found.
    #[must_use]
    pub fn local_tag(&self) -> &str {
        &self.desk.local_tag
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.desk.handle_timeout(now);
        while let Some((wait, _)) = self.waits.expire(now) {
            match wait {
                Wait::Decision => {
                    self.state = State::Over;
                    let parting = Parting::Failed(UsageFailure::Timeout);
                    self.desk.event(NotifierEvent::Ended(parting));
                }
                Wait::Expiry => {
                    let ending = Ending::because(EndReason::Timeout);
                    let parting = Parting::Expired;
                    self.part(Farewell { parting, ending, body: None, whole: None });
                }
            }
        }
    }

    /// Serves what became of our NOTIFYs, and sends the next one that is due.
    fn settle(&mut self, now: Instant) {
        while let Some((Aim, outcome)) = self.desk.poll_client() {
            self.handle_outcome(outcome);
        }
        if self.desk.is_asking(Aim) {
            return;
        }
        if let State::Standing(watch) = &mut self.state
            && watch.is_owed
        {
            if watch.on_demand {
                return;
            }
            let whole = watch.whole.clone();
            self.notify(now, whole);
        } else if let State::Parting(watch, farewell) = &mut self.state
            && watch.is_owed
        {
            let body = farewell.body.clone();
            self.notify(now, body);
        }
    }

    /// Takes what became of a NOTIFY (RFC 6665 section 4.2.2).
    fn handle_outcome(&mut self, outcome: Outcome) {
        let (failure, is_asked_again) = match &outcome {
            Outcome::Answer(response) => {
                let is_asked_again = self.desk.accepts_challenge(response);
                let failed = !response.status.is_success();
                (failed.then_some(UsageFailure::Status(response.status)), is_asked_again)
            }
            Outcome::None(why) => (Some(*why), false),
        };
        match &mut self.state {
            State::Standing(watch) | State::Parting(watch, _) if is_asked_again => {
                watch.is_owed = true;
            }
            State::Standing(_) if failure.is_some_and(ends_subscription) => {
                self.state = State::Over;
                self.waits.stop_all();
                if let Some(why) = failure {
                    self.desk.event(NotifierEvent::Ended(Parting::Failed(why)));
                }
            }
            State::Standing(watch) => match &outcome {
                Outcome::Answer(response) if failure.is_none() => {
                    watch.dialog.refresh_target(&response.headers);
                }
                Outcome::Answer(_) | Outcome::None(_) => watch.has_missed = true,
            },
            // A NOTIFY that was under way when the end came; the last one has yet to go.
            State::Parting(watch, farewell)
                if watch.is_owed && !failure.is_some_and(ends_subscription) =>
            {
                if failure.is_some()
                    && let Some(whole) = farewell.whole.take()
                {
                    farewell.body = Some(whole);
                }
            }
            State::Parting(_, farewell) => {
                let parting = farewell.parting;
                self.state = State::Over;
                self.desk.event(NotifierEvent::Ended(parting));
            }
            State::Deciding(_) | State::Over => {}
        }
    }

    fn handle_request(&mut self, now: Instant, inbound: &Inbound) {
        let request = &inbound.request;
        if request.to_tag().is_none() {
            // Our own request by another way (RFC 3261 section 8.2.2.2); nobody else has this name.
            return self.desk.refuse(now, inbound, Status::LOOP_DETECTED);
        }
        let dialog = match &mut self.state {
            State::Standing(watch) | State::Parting(watch, _) => &mut watch.dialog,
            State::Deciding(deciding) => &mut deciding.watch.dialog,
            State::Over => {
                return self.desk.refuse(now, inbound, Status::CALL_DOES_NOT_EXIST);
            }
        };
        if let Err(error) = dialog.admit(request) {
            return self.desk.refuse(now, inbound, error.status());
        }
        if let Some(refusal) = self.desk.objection(request) {
            self.desk.answer(now, inbound, &refusal);
        } else if request.method == Method::Subscribe {
            self.handle_refresh(now, inbound);
        } else {
            self.desk.answer_plainly(now, inbound);
        }
    }

    /// Answers a SUBSCRIBE within the dialog (RFC 6665 section 4.2.1.4).
    fn handle_refresh(&mut self, now: Instant, inbound: &Inbound) {
        let request = &inbound.request;
        let State::Standing(watch) = &mut self.state else {
            return self.desk.refuse(now, inbound, Status::CALL_DOES_NOT_EXIST);
        };
        if EventType::of(&request.headers).as_ref() != Some(&watch.event) {
            // Another subscription in this dialog is not served (RFC 6665 section 4.5.2).
            let refusal = match self.package(request) {
                Ok(_) => self.desk.response(request, Status::FORBIDDEN),
                Err(refusal) => refusal,
            };
            self.desk.answer(now, inbound, &refusal);
            return;
        }
        let seconds = match self.accepted(request).and_then(|()| self.duration(request)) {
            Ok(seconds) => seconds,
            Err(refusal) => {
                self.desk.answer(now, inbound, &refusal);
                return;
            }
        };
        let mut response = self.desk.dialog_response(request, Status::OK);
        response.headers.push("Expires", &seconds.to_string());
        if !self.desk.answer(now, inbound, &response) {
            return;
        }
        if let State::Standing(watch) = &mut self.state {
            watch.dialog.refresh_target(&request.headers);
        }
        self.grant(now, seconds);
        if seconds > 0 {
            self.settle(now);
            self.desk.event(NotifierEvent::Refreshed);
        }
    }

    /// Starts the clock of a subscription, and owes its peer the whole state; 0 seconds end it.
    fn grant(&mut self, now: Instant, seconds: u32) {
        let State::Standing(watch) = &mut self.state else { return };
        if seconds > 0 {
            watch.is_owed = true;
            self.waits.set(Wait::Expiry, now + Duration::from_secs(seconds.into()));
        } else {
            let body = watch.whole.clone();
            let ending = Ending::because(EndReason::Timeout);
            let parting = Parting::Unsubscribed;
            self.part(Farewell { parting, ending, body, whole: None });
        }
    }

    /// Leaves Standing; the last NOTIFY goes out with `settle`.
    fn part(&mut self, farewell: Farewell) {
        match mem::replace(&mut self.state, State::Over) {
            State::Standing(mut watch) => {
                self.waits.stop_all();
                watch.is_owed = true;
                self.state = State::Parting(watch, Box::new(farewell));
            }
            state @ (State::Deciding(_) | State::Parting(..) | State::Over) => self.state = state,
        }
    }

    /// Sends a NOTIFY.
    fn notify(&mut self, now: Instant, body: Option<Body>) {
        let ends_at = self.waits.at(Wait::Expiry);
        let rest = ends_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let expires = u32::try_from(rest.as_secs()).ok();
        let (watch, state) = match &mut self.state {
            State::Standing(watch) => {
                let state = match watch.standing {
                    Standing::Active => SubscriptionState::Active { expires },
                    Standing::Pending => SubscriptionState::Pending { expires },
                };
                (watch, state)
            }
            State::Parting(watch, farewell) => {
                (watch, SubscriptionState::Terminated(farewell.ending.clone()))
            }
            State::Deciding(_) | State::Over => return,
        };
        watch.is_owed = false;
        watch.has_missed = false;
        let hop = watch.dialog.next_hop().unwrap_or_else(|| watch.source.clone());
        let mut request = self.desk.within(&mut watch.dialog, Method::Notify);
        request.headers.push("Event", &watch.event.to_string());
        request.headers.push("Subscription-State", &state.to_string());
        if let Some(body) = body {
            body.put(&mut request);
        }
        self.desk.post(now, &mut request, hop, Aim);
    }

    /// Reads a first SUBSCRIBE; the error is the refusal.
    fn read(&self, inbound: &Inbound) -> Result<(Watch, u32), Response> {
        let request = &inbound.request;
        if let Some(refusal) = self.desk.objection(request) {
            return Err(refusal);
        }
        let event = self.package(request)?;
        if event.package == REFER_EVENT {
            // Only a REFER makes such a subscription (RFC 3515 section 2.4.4).
            return Err(self.desk.response(request, Status::FORBIDDEN));
        }
        self.accepted(request)?;
        let seconds = self.duration(request)?;
        Ok((self.watch(inbound, event)?, seconds))
    }

    fn watch(&self, inbound: &Inbound, event: EventType) -> Result<Watch, Response> {
        let dialog = Dialog::of_callee(&inbound.request, &self.desk.local_tag)
            .map_err(|error| self.desk.response(&inbound.request, error.status()))?;
        Ok(Watch {
            dialog,
            event,
            source: inbound.source.clone(),
            standing: Standing::Pending,
            whole: None,
            on_demand: false,
            is_owed: false,
            has_missed: false,
        })
    }

    /// Gives the event that is asked for, or a 489 that names those that are served (RFC 6665
    /// section 4.2.1.1).
    fn package(&self, request: &Request) -> Result<EventType, Response> {
        let packages = &self.terms.packages;
        let event = EventType::of(&request.headers);
        event.filter(|event| packages.contains(&event.package)).ok_or_else(|| {
            let mut refusal = self.desk.response(request, Status::BAD_EVENT);
            refusal.headers.push("Allow-Events", &packages.join(", "));
            refusal
        })
    }

    /// Holds our types of bodies against those that the peer accepts: 406 where there is none in
    /// common (RFC 6665 section 4.1.2.1). Who says nothing takes what the package has.
    fn accepted(&self, request: &Request) -> Result<(), Response> {
        let ours = &self.terms.content_types;
        let is_fine = |ours: &String| accepts(request.headers.list("Accept"), ours);
        if ours.is_empty() || !request.headers.has("Accept") || ours.iter().any(is_fine) {
            return Ok(());
        }
        Err(self.desk.response(request, Status::NOT_ACCEPTABLE))
    }

    /// Gives the seconds that are granted, or a 423 (RFC 6665 section 4.2.1.1).
    fn duration(&self, request: &Request) -> Result<u32, Response> {
        let asked = request.expires().unwrap_or(self.terms.usual);
        if asked > 0 && asked < self.terms.shortest.min(HOUR) {
            let mut refusal = self.desk.response(request, Status::INTERVAL_TOO_BRIEF);
            refusal.headers.push("Min-Expires", &self.terms.shortest.to_string());
            return Err(refusal);
        }
        Ok(asked.min(self.terms.longest))
    }
}

/// Tells whether a NOTIFY that has failed so was the last: by a status that RFC 6665 section 4.2.2
/// lists, or in silence, as which a 408 counts, too (RFC 3261 section 8.1.3.1). A connection that
/// breaks is no peer that is gone: the next NOTIFY opens another.
fn ends_subscription(failure: UsageFailure) -> bool {
    match failure {
        UsageFailure::Status(Status::REQUEST_TIMEOUT) | UsageFailure::Timeout => true,
        UsageFailure::Status(status) => Fate::of_subscription(status).is_final(),
        UsageFailure::Transport => false,
    }
}

/// From an hour on no time is too brief, in seconds (RFC 6665 section 4.2.1.1).
const HOUR: u32 = 3600;

/// How long a peer is told of what its REFER has led to, in seconds: longer than Timer C lets any
/// INVITE ring (RFC 3261 section 16.6).
const REFER_TIME: u32 = 300;
