//! REFER within the dialog of a session, both ways, and the subscriptions that it begins there
//! (RFC 3515, RFC 6665 section 4.5.2).
//!
//! Each subscription is known by the number of its REFER, for all share the dialog. It lives no
//! longer than the session: whatever ends that, the peer is told a last word, and only a last word
//! is still taken.

use std::time::{Duration, Instant};

use super::desk::{Desk, Inbound, Purpose, Report};
use super::session::Session;
use super::{Leg, LegEvent, NoAnswer, State};
use crate::sip::fate::Fate;
use crate::sip::refer::{Report as Told, status_body};
use crate::sip::subscription::{REFER_EVENT, SIPFRAG};
use crate::sip::{
    Body, EndReason, Ending, EventType, Method, Refer, ReferralEvent, Request, Status,
    SubscriptionState, UsageFailure,
};

/// The name of a REFER within its leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReferId(u32);

/// Whom a leg has referred to others, and to whom it was referred.
#[derive(Debug, Default)]
pub(super) struct Refers {
    sent: Vec<Sent>,
    taken: Vec<Taken>,
    /// How many there have been, of either kind.
    count: u32,
    /// Whether the peer has referred us before: its NOTIFYs must be told apart then.
    has_taken: bool,
}

/// A REFER of ours.
#[derive(Debug)]
struct Sent {
    id: ReferId,
    /// Its number in the dialog.
    number: u32,
    refer: Refer,
    told: Told,
    /// When there is no hope to hear more; absent until it is accepted.
    until: Option<Instant>,
}

/// A REFER of the peer.
#[derive(Debug)]
struct Taken {
    id: ReferId,
    event: EventType,
    refer: Refer,
    /// Until it is answered.
    inbound: Option<Inbound>,
    /// How far we are.
    status: Status,
    /// Whether that must be told.
    is_owed: bool,
    /// Why there will be no more to tell.
    ending: Option<EndReason>,
    until: Option<Instant>,
}

impl Refers {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let sent = self.sent.iter().filter_map(|sent| sent.until);
        let taken = self.taken.iter().filter(|taken| taken.ending.is_none());
        sent.chain(taken.filter_map(|taken| taken.until)).min()
    }

    fn draw(&mut self) -> ReferId {
        self.count = self.count.wrapping_add(1);
        ReferId(self.count)
    }

    fn taken(&mut self, id: ReferId) -> Option<&mut Taken> {
        self.taken.iter_mut().find(|taken| taken.id == id)
    }

    /// Finds the REFER of ours that a NOTIFY tells of. One that names no number means the first
    /// (RFC 3515 section 2.4.6).
    fn meant(&self, event: &EventType) -> Option<usize> {
        self.sent.iter().position(|sent| match &event.id {
            Some(id) => *id == sent.number.to_string(),
            None => true,
        })
    }
}

impl Taken {
    /// Sends the NOTIFY with the status as it is.
    fn tell(&mut self, now: Instant, session: &mut Session, desk: &mut Desk) {
        self.is_owed = false;
        let rest = self.until.map_or(0, |at| at.saturating_duration_since(now).as_secs());
        let state = match &self.ending {
            Some(reason) => SubscriptionState::Terminated(Ending::because(reason.clone())),
            None => SubscriptionState::Active { expires: u32::try_from(rest).ok() },
        };
        let hop = session.dialog.next_hop().unwrap_or_else(|| session.fallback.clone());
        let mut request = session.dialog.request(Method::Notify);
        request.headers.push_front("Via", &desk.via(hop.transport));
        request.headers.push("Contact", &desk.contact);
        desk.push_abilities(&mut request.headers);
        request.headers.push("User-Agent", &desk.kit.local.user_agent);
        request.headers.push("Event", &self.event.to_string());
        request.headers.push("Subscription-State", &state.to_string());
        status_body(self.status).put(&mut request);
        desk.authorize(&mut request);
        desk.request(now, &request, hop, Purpose::Notify(self.id));
    }
}

impl Leg {
    /// Refers the peer to others. [`LegEvent::Referral`] tells what becomes of it; `None` where
    /// there is no session, or too much under way.
    pub fn refer(&mut self, now: Instant, refer: Refer) -> Option<ReferId> {
        let State::Talking(session) = &self.state else { return None };
        if session.is_hanging_up() || self.refers.sent.len() >= MAX_REFERS {
            return None;
        }
        let id = self.refers.draw();
        let told = Told::default();
        self.refers.sent.push(Sent { id, number: 0, refer, told, until: None });
        self.send_refer(now, id);
        self.settle(now);
        Some(id)
    }

    /// Answers the last [`LegEvent::Referred`]: with 202, after which [`Self::report_refer`] tells
    /// how it goes, or with a refusal.
    pub fn answer_refer(&mut self, now: Instant, id: ReferId, answer: Result<(), Status>) {
        let give_up = now + REFER_TIME;
        let Some(taken) = self.refers.taken(id) else { return };
        let Some(inbound) = taken.inbound.take() else { return };
        if let Err(status) = answer {
            self.refers.taken.retain(|taken| taken.id != id);
            let status = if status.class() > 2 { status } else { Status::SERVER_INTERNAL_ERROR };
            return self.refuse(now, &inbound, status);
        }
        let is_watched = taken.refer.is_watched;
        taken.is_owed = is_watched;
        taken.until = Some(give_up);
        let mut response = self.dialog_response(&inbound.request, Status::ACCEPTED);
        if !is_watched {
            response.headers.push("Refer-Sub", "false");
            self.refers.taken.retain(|taken| taken.id != id);
        }
        self.desk.answer(now, &inbound.key, &response);
        if let State::Talking(session) = &mut self.state {
            session.dialog.refresh_target(&inbound.request.headers);
        }
        self.settle(now);
    }

    /// Tells the peer how far we are with its REFER; a final status is the last word.
    pub fn report_refer(&mut self, now: Instant, id: ReferId, status: Status) {
        if let Some(taken) = self.refers.taken(id)
            && taken.inbound.is_none()
            && taken.ending.is_none()
        {
            taken.status = status;
            taken.is_owed = true;
            taken.ending = status.is_final().then_some(EndReason::NoResource);
        }
        self.settle(now);
    }

    fn send_refer(&mut self, now: Instant, id: ReferId) {
        let State::Talking(session) = &mut self.state else { return };
        let Some(sent) = self.refers.sent.iter_mut().find(|sent| sent.id == id) else { return };
        let hop = session.dialog.next_hop().unwrap_or_else(|| session.fallback.clone());
        let mut request = session.dialog.request(Method::Refer);
        sent.number = request.cseq().map_or(0, |cseq| cseq.number);
        request.headers.push_front("Via", &self.desk.via(hop.transport));
        request.headers.push("Contact", &self.desk.contact);
        self.desk.push_abilities(&mut request.headers);
        request.headers.push("User-Agent", &self.desk.kit.local.user_agent);
        request.headers.push("Accept", SIPFRAG);
        sent.refer.clone().put(&mut request);
        self.desk.authorize(&mut request);
        self.desk.request(now, &request, hop, Purpose::Refer(id));
    }

    /// Takes what became of a REFER of ours.
    ///
    /// A refusal says something of those whom it refers to, whatever RFC 5057 would make of it:
    /// cores answer 404, 480 and 484 for them. Only 481 and silence tell that the session is gone.
    pub(super) fn handle_referral(&mut self, now: Instant, id: ReferId, report: Report) {
        let why = match report {
            Report::Response(response) if response.status.is_provisional() => return,
            Report::Response(response) if self.desk.accepts_challenge(&response) => {
                self.desk.supersede(Purpose::Refer(id));
                return self.send_refer(now, id);
            }
            Report::Response(response) if response.status.is_success() => {
                self.desk.settle_credentials(&response);
                let give_up = now + self.desk.kit.timers.give_up();
                let mut sent = self.refers.sent.iter_mut();
                let Some(sent) = sent.find(|sent| sent.id == id) else { return };
                if let State::Talking(session) = &mut self.state {
                    session.dialog.refresh_target(&response.headers);
                }
                sent.until.get_or_insert(give_up);
                let news = sent.told.accept(&response);
                if news == (ReferralEvent::Accepted { is_watched: false }) {
                    self.refers.sent.retain(|sent| sent.id != id);
                }
                return self.desk.event(LegEvent::Referral { id, news });
            }
            Report::Response(response) => UsageFailure::Status(response.status),
            Report::Failed(NoAnswer::Timeout) => UsageFailure::Timeout,
            Report::Failed(NoAnswer::Transport) => UsageFailure::Transport,
            Report::Terminated => return,
        };
        if self.refers.sent.extract_if(.., |sent| sent.id == id).next().is_some() {
            let news = ReferralEvent::Refused(why);
            self.desk.event(LegEvent::Referral { id, news });
        }
        match why {
            UsageFailure::Status(status @ Status::CALL_DOES_NOT_EXIST) => {
                self.fall_apart(now, LegEvent::Lost { status: Some(status) }, None);
            }
            UsageFailure::Timeout => {
                self.fall_apart(now, LegEvent::Lost { status: None }, None);
            }
            UsageFailure::Status(_) | UsageFailure::Transport => {}
        }
    }

    /// Takes a NOTIFY: of REFERs only, for a leg subscribes to nothing else.
    pub(super) fn handle_notify(&mut self, now: Instant, inbound: &Inbound) {
        let request = &inbound.request;
        let event = EventType::of(&request.headers).filter(|event| event.package == REFER_EVENT);
        let Some(event) = event else { return self.refuse_event(now, inbound) };
        let Some(at) = self.refers.meant(&event) else {
            return self.refuse(now, inbound, Status::CALL_DOES_NOT_EXIST);
        };
        let Some(state) = SubscriptionState::of(&request.headers) else {
            return self.refuse(now, inbound, Status::BAD_REQUEST);
        };
        self.refuse(now, inbound, Status::OK);
        let mut news = Vec::new();
        let Some(sent) = self.refers.sent.get_mut(at) else { return };
        let id = sent.id;
        if let Some(body) = Body::of(&request.headers, &request.body) {
            news.extend(sent.told.note(&body.bytes).map(ReferralEvent::Progress));
        }
        if state.is_terminated() {
            news.push(sent.told.end());
            self.refers.sent.remove(at);
        } else {
            let rest = state.expires().map(|seconds| Duration::from_secs(seconds.into()));
            sent.until = Some(now + rest.unwrap_or(REFER_TIME).min(LONGEST));
        }
        for news in news {
            self.desk.event(LegEvent::Referral { id, news });
        }
    }

    /// Tells whether a request is the last word about a REFER of ours, though the session is over.
    pub(super) fn is_farewell(&self, request: &Request) -> bool {
        let is_last =
            || SubscriptionState::of(&request.headers).is_some_and(|it| it.is_terminated());
        matches!(self.state, State::Over)
            && request.method == Method::Notify
            && request.to_tag().as_deref() == Some(&self.desk.local_tag)
            && EventType::of(&request.headers).is_some_and(|it| self.refers.meant(&it).is_some())
            && is_last()
    }

    /// Takes a SUBSCRIBE: it goes on with, or ends, what a REFER of the peer has begun. Nothing
    /// else is to be had here.
    pub(super) fn handle_subscribe(&mut self, now: Instant, inbound: &Inbound) {
        let event = EventType::of(&inbound.request.headers);
        let events = &self.desk.kit.local.events;
        if event.as_ref().is_some_and(|event| events.contains(&event.package)) {
            // It is to be had, in a dialog of its own (RFC 6665 section 4.5.2).
            return self.refuse(now, inbound, Status::FORBIDDEN);
        }
        let Some(event) = event.filter(|event| event.package == REFER_EVENT) else {
            return self.refuse_event(now, inbound);
        };
        let mut taken = self.refers.taken.iter_mut();
        let found =
            taken.find(|it| it.event == event && it.inbound.is_none() && it.ending.is_none());
        let Some(taken) = found else {
            // Only a REFER makes such a subscription (RFC 3515 section 2.4.4).
            return self.refuse(now, inbound, Status::FORBIDDEN);
        };
        let asked = inbound.request.expires().map(|seconds| Duration::from_secs(seconds.into()));
        let granted = asked.unwrap_or(REFER_TIME).min(REFER_TIME);
        taken.until = Some(now + granted);
        taken.is_owed = true;
        if granted.is_zero() {
            taken.ending = Some(EndReason::Timeout);
        }
        let mut response = self.dialog_response(&inbound.request, Status::OK);
        response.headers.push("Expires", &granted.as_secs().to_string());
        self.desk.answer(now, &inbound.key, &response);
    }

    /// Tells whether the owner wants to hear of REFERs.
    pub(super) fn takes_refers(&self) -> bool {
        matches!(self.state, State::Talking(_)) && self.desk.kit.local.allows(&Method::Refer)
    }

    /// Takes a REFER.
    pub(super) fn handle_refer(&mut self, now: Instant, inbound: Inbound) {
        let refer = match Refer::read(&inbound.request) {
            Ok(refer) => refer,
            Err(fault) => return self.refuse(now, &inbound, fault.status()),
        };
        if self.refers.taken.len() >= MAX_REFERS {
            return self.refuse_for_now(now, &inbound);
        }
        let id = self.refers.draw();
        let number = inbound.request.cseq().map_or(0, |cseq| cseq.number).to_string();
        let number = self.refers.has_taken.then_some(number);
        self.refers.has_taken = true;
        self.refers.taken.push(Taken {
            id,
            event: EventType { package: REFER_EVENT.to_owned(), id: number },
            refer: refer.clone(),
            inbound: Some(inbound),
            status: Status::TRYING,
            is_owed: false,
            ending: None,
            until: Some(now + self.desk.kit.timers.give_up()),
        });
        let refer = Box::new(refer);
        self.desk.event(LegEvent::Referred { id, refer });
    }

    /// Sends the NOTIFYs that are due: one at a time for each REFER, and the newest status only.
    pub(super) fn tell_referrers(&mut self, now: Instant) {
        let State::Talking(session) = &mut self.state else { return };
        for taken in self.refers.taken.iter_mut().filter(|taken| taken.is_owed) {
            if !self.desk.has(Purpose::Notify(taken.id)) {
                taken.tell(now, session, &mut self.desk);
            }
        }
    }

    /// Tells all that wait to hear more that there is no more to hear, before the session ends
    /// (RFC 3515 section 2.4.7). The dialog ends with the session, and so nothing can be told later.
    pub(super) fn part_from_referrers(&mut self, now: Instant, session: &mut Session) {
        for taken in self.refers.taken.iter_mut().filter(|taken| taken.inbound.is_none()) {
            let is_told = taken.ending.is_some() && !taken.is_owed;
            if !is_told {
                taken.ending.get_or_insert(EndReason::NoResource);
                taken.tell(now, session, &mut self.desk);
            }
        }
    }

    /// Takes what became of a NOTIFY of ours: after the last one, or one that proves that nobody
    /// listens, there is no more to tell.
    pub(super) fn handle_told(&mut self, id: ReferId, report: Report) {
        let is_final = match report {
            Report::Response(response) if response.status.is_provisional() => return,
            Report::Response(response) => {
                let is_asked_again = self.desk.accepts_challenge(&response);
                self.desk.supersede(Purpose::Notify(id));
                if let Some(taken) = self.refers.taken(id).filter(|_| is_asked_again) {
                    return taken.is_owed = true;
                }
                Fate::of_subscription(response.status).is_final()
            }
            Report::Failed(why) => why == NoAnswer::Timeout,
            Report::Terminated => return,
        };
        self.refers.taken.retain(|taken| {
            taken.id != id || !(is_final || (taken.ending.is_some() && !taken.is_owed))
        });
    }

    /// Ends what has lasted too long: what we have heard nothing of, and what nobody will do.
    pub(super) fn expire_refers(&mut self, now: Instant) {
        let is_due = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        for mut sent in self.refers.sent.extract_if(.., |sent| is_due(sent.until)) {
            let news = sent.told.end();
            self.desk.event(LegEvent::Referral { id: sent.id, news });
        }
        // Nobody waits any more for the answer to a REFER that is not answered yet.
        self.refers.taken.retain(|taken| taken.inbound.is_none() || !is_due(taken.until));
        for taken in self.refers.taken.iter_mut().filter(|taken| is_due(taken.until)) {
            if taken.ending.is_none() {
                taken.ending = Some(EndReason::Timeout);
                taken.is_owed = true;
            }
        }
    }

    fn refuse_event(&mut self, now: Instant, inbound: &Inbound) {
        let mut refusal = self.desk.response(&inbound.request, Status::BAD_EVENT);
        let events = &self.desk.kit.local.events;
        if !events.is_empty() {
            refusal.headers.push("Allow-Events", &events.join(", "));
        }
        self.desk.answer(now, &inbound.key, &refusal);
    }
}

/// How long a peer is told of its REFER, and how long we listen where nobody says: longer than
/// Timer C lets any INVITE ring (RFC 3261 section 16.6).
const REFER_TIME: Duration = Duration::from_secs(300);

/// Longer than anybody waits for what a REFER has begun.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// More REFERs at a time than any honest peer has under way in one dialog.
const MAX_REFERS: usize = 16;
