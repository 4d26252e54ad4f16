//! The accepted call: ACK, offers of the peer, BYE both ways (RFC 3261 sections 13.3.1.4, 14 and
//! 15, RFC 3311).

use std::mem;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::desk::{Inbound, Purpose};
use super::reliable::Reliable;
use super::renew::Renewal;
use super::timer::Policy;
use super::{Body, Leg, LegEvent, State};
use crate::sip::dialog::{Dialog, DialogError};
use crate::sip::endpoint::{answer_options, unreadable, unsupported};
use crate::sip::transaction::TransactionKey;
use crate::sip::{Headers, Hop, Method, Reason, Request, Response, Status, response_to};

/// A dialog whose INVITE was accepted.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) dialog: Dialog,
    /// Where the first INVITE went to or came from, for want of a better hop.
    pub(super) fallback: Hop,
    /// Our own changes, and the session timer.
    pub(super) renewal: Renewal,
    /// A ringing of ours whose PRACK was overtaken by our 2xx.
    pub(super) reliable: Reliable,
    /// Our 2xx that wait for their ACK.
    answers: Vec<Answer>,
    /// The re-INVITE or UPDATE that waits for `answer_offer`; as all that is rare, in a box.
    offer: Option<Box<Offer>>,
    hang_up: HangUp,
}

#[derive(Debug)]
pub(super) struct Offer {
    inbound: Inbound,
    /// Whether it came without a body, so that our 2xx is the offer.
    is_ours: bool,
}

/// Whether the owner has asked for a BYE that must still wait.
#[derive(Debug)]
enum HangUp {
    NotAsked,
    AfterAck(Option<Reason>),
}

/// A 2xx of ours to an INVITE, repeated until its ACK comes, whatever the transport.
#[derive(Debug)]
pub(super) struct Answer {
    number: u32,
    answered: Answered,
    bytes: Bytes,
    hop: Hop,
    interval: Duration,
    repeat_at: Instant,
    give_up_at: Instant,
}

/// What a 2xx answers, and whether it carries an offer of ours (then the INVITE had none).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    Invitation { offered: bool },
    Offer { offered: bool },
}

/// A dialog to which we have said BYE.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) dialog: Dialog,
    pub(super) fallback: Hop,
    pub(super) reason: Option<Reason>,
    /// Whether the owner asked for it, and waits to hear that it is done.
    asked: bool,
}

impl Session {
    pub(super) fn new(dialog: Dialog, fallback: Hop, renewal: Renewal) -> Self {
        Self {
            dialog,
            fallback,
            renewal,
            reliable: Reliable::default(),
            answers: Vec::new(),
            offer: None,
            hang_up: HangUp::NotAsked,
        }
    }

    /// Tells whether no offer and no INVITE is under way, and none of ours is unwelcome.
    pub(super) fn is_quiet(&self) -> bool {
        self.answers.is_empty()
            && self.offer.is_none()
            && self.renewal.is_quiet()
            && !self.is_hanging_up()
    }

    /// Tells whether a BYE waits.
    pub(super) fn is_hanging_up(&self) -> bool {
        matches!(self.hang_up, HangUp::AfterAck(_))
    }

    /// Takes the offer out, if it is the one that came with this transaction.
    pub(super) fn take_offer(&mut self, key: &TransactionKey) -> Option<Inbound> {
        Some(self.offer.take_if(|offer| offer.inbound.key == *key)?.inbound)
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.answers.iter().map(|answer| answer.repeat_at.min(answer.give_up_at)).min()
    }

    /// Tells whether an offer of ours waits for its answer.
    fn has_offered(&self) -> bool {
        let mut answers = self.answers.iter();
        answers.any(|answer| answer.answered.has_offered()) || self.renewal.has_offered()
    }

    /// Tells whether the callee may not say BYE yet (section 15).
    fn is_unconfirmed(&self) -> bool {
        let mut answers = self.answers.iter();
        answers.any(|answer| matches!(answer.answered, Answered::Invitation { .. }))
    }
}

impl Answered {
    fn has_offered(self) -> bool {
        match self {
            Self::Invitation { offered } | Self::Offer { offered } => offered,
        }
    }
}

impl Closing {
    /// For a BYE that the owner asked for.
    pub(super) fn asked(dialog: Dialog, fallback: Hop, reason: Option<Reason>) -> Self {
        Self { dialog, fallback, reason, asked: true }
    }

    /// For a BYE that the leg says of itself.
    pub(super) fn unasked(dialog: Dialog, fallback: Hop, reason: Option<Reason>) -> Self {
        Self { dialog, fallback, reason, asked: false }
    }

    /// The owner asks after all.
    pub(super) fn ask(&mut self) {
        self.asked = true;
    }
}

impl Leg {
    /// Answers the last [`LegEvent::Offer`]: with our description, or with a refusal, which leaves
    /// the session as it was (RFC 3261 section 14.2).
    pub fn answer_offer(&mut self, now: Instant, answer: Result<Body, Status>) {
        let state = mem::replace(&mut self.state, State::Over);
        let State::Talking(mut session) = state else { return self.state = state };
        let mut is_renewed = false;
        if let Some(offer) = session.offer.take() {
            let Offer { inbound: offer, is_ours } = *offer;
            match answer {
                Ok(body) if offer.request.method == Method::Invite => {
                    let answered = Answered::Offer { offered: is_ours };
                    session.dialog.refresh_target(&offer.request.headers);
                    self.answer_invite(now, &mut session, &offer, (Some(body), answered));
                    is_renewed = true;
                }
                Ok(body) => {
                    session.dialog.refresh_target(&offer.request.headers);
                    let mut response = self.dialog_response(&offer.request, Status::OK);
                    self.settle_timer(&mut session, &offer.request, &mut response);
                    describe(&mut session, &mut response, body);
                    self.desk.answer(now, &offer.key, &response);
                    is_renewed = true;
                }
                Err(status) if status.class() > 2 => self.refuse(now, &offer, status),
                Err(_) => self.refuse(now, &offer, Status::NOT_ACCEPTABLE_HERE),
            }
        }
        self.state = State::Talking(session);
        if is_renewed {
            self.watch_session(now);
        }
        self.settle(now);
    }

    /// Accepts an INVITE, the first or a later one (section 13.3.1.4).
    pub(super) fn answer_invite(
        &mut self,
        now: Instant,
        session: &mut Session,
        invite: &Inbound,
        (body, answered): (Option<Body>, Answered),
    ) {
        let mut response = self.dialog_response(&invite.request, Status::OK);
        if let Some(identity) = &self.desk.kit.local.identity {
            response.headers.push("P-Asserted-Identity", identity);
        }
        self.settle_timer(session, &invite.request, &mut response);
        if let Some(body) = body {
            describe(session, &mut response, body);
        }
        let Some(hop) = self.desk.answer(now, &invite.key, &response) else { return };
        let timers = self.desk.kit.timers;
        session.answers.reserve_exact(1);
        session.answers.push(Answer {
            number: invite.request.cseq().map_or(0, |cseq| cseq.number),
            answered,
            bytes: response.encode(),
            hop,
            interval: timers.first_interval(),
            repeat_at: now + timers.first_interval(),
            give_up_at: now + timers.give_up(),
        });
    }

    /// Takes an ACK: it stops the 2xx that it confirms, and sets a BYE free that waited for it.
    pub(super) fn handle_ack(&mut self, now: Instant, ack: &Request) {
        let State::Talking(session) = &mut self.state else { return };
        let Ok(cseq) = ack.cseq() else { return };
        if !session.dialog.owns(ack) {
            return;
        }
        let confirmed = session.answers.iter().position(|answer| answer.number == cseq.number);
        let Some(at) = confirmed else { return };
        let answered = session.answers.remove(at).answered;
        session.answers.shrink_to_fit();
        match (answered, &session.hang_up) {
            (Answered::Invitation { .. }, HangUp::NotAsked) => {
                self.desk.event(LegEvent::Confirmed);
            }
            (Answered::Invitation { .. }, HangUp::AfterAck(_)) => {
                return self.hang_up_session(now, None);
            }
            (Answered::Offer { .. }, _) => {}
        }
        if answered.has_offered() {
            self.desk.event(LegEvent::Answer { body: body_of(&ack.headers, &ack.body) });
        }
    }

    /// Takes a request with our tag that is no repetition (section 12.2.2).
    pub(super) fn handle_within(&mut self, now: Instant, inbound: Inbound) {
        let request = &inbound.request;
        let admitted = match &mut self.state {
            State::Calling(_) => self.admit_early(request),
            State::Deciding(deciding) => deciding.dialog.admit(request),
            State::Talking(session) => session.dialog.admit(request),
            State::Closing(closing) => closing.dialog.admit(request),
            State::Over => Err(DialogError::OtherDialog),
        };
        if admitted.is_err() && self.is_farewell(request) {
            self.desk.open(now, &inbound);
            return self.refuse(now, &inbound, Status::OK);
        }
        if let Err(error) = admitted {
            let refusal = self.desk.response(request, error.status());
            return self.desk.answer_stateless(&inbound, &refusal);
        }
        if !self.desk.open(now, &inbound) {
            return;
        }
        let (supported, tag) = (&self.desk.kit.local.supported, &self.desk.local_tag);
        let offers = matches!(request.method, Method::Invite | Method::Update);
        let refusal = unsupported(request, supported, tag)
            .or_else(|| unreadable(request, tag).filter(|_| offers));
        if let Some(refusal) = refusal {
            self.desk.answer(now, &inbound.key, &refusal);
            return;
        }
        match request.method {
            Method::Bye => self.handle_bye(now, &inbound),
            Method::Invite | Method::Update => self.handle_offer(now, inbound),
            Method::Prack => self.handle_prack(now, &inbound),
            Method::Notify => self.handle_notify(now, &inbound),
            Method::Subscribe => self.handle_subscribe(now, &inbound),
            Method::Refer if self.takes_refers() => self.handle_refer(now, inbound),
            Method::Ack
            | Method::Cancel
            | Method::Options
            | Method::Register
            | Method::Refer
            | Method::Message
            | Method::Info
            | Method::Publish
            | Method::Other(_) => self.answer_plainly(now, &inbound),
        }
    }

    /// Takes the final answer to our BYE; a challenge may ask for another one.
    pub(super) fn handle_bye_answer(&mut self, now: Instant, response: &Response) {
        match &mut self.state {
            State::Closing(closing) if self.desk.accepts_challenge(response) => {
                self.desk.supersede(Purpose::Bye);
                self.desk.bye(now, closing, Purpose::Bye);
            }
            State::Closing(_)
            | State::Calling(_)
            | State::Deciding(_)
            | State::Talking(_)
            | State::Over => self.finish_bye(),
        }
    }

    /// Takes the answer to our BYE, or the news that none will come: either way it is over.
    pub(super) fn finish_bye(&mut self) {
        if let State::Closing(closing) = mem::replace(&mut self.state, State::Over)
            && closing.asked
        {
            self.desk.event(LegEvent::ByeDone);
        }
    }

    /// Says BYE.
    pub(super) fn hang_up(&mut self, now: Instant, mut closing: Closing) {
        self.desk.bye(now, &mut closing, Purpose::Bye);
        self.state = State::Closing(Box::new(closing));
    }

    /// Says BYE for the owner, as soon as it is permitted.
    pub(super) fn hang_up_when_permitted(&mut self, now: Instant, reason: Option<Reason>) {
        let State::Talking(session) = &mut self.state else { return };
        match session.hang_up {
            HangUp::NotAsked if session.is_unconfirmed() => {
                session.hang_up = HangUp::AfterAck(reason);
            }
            HangUp::NotAsked => self.hang_up_session(now, reason),
            HangUp::AfterAck(_) => {}
        }
    }

    /// Sends the 2xx again that are due, and gives up on an ACK that never comes.
    pub(super) fn repeat_answers(&mut self, now: Instant) {
        let State::Talking(session) = &mut self.state else { return };
        for answer in session.answers.iter_mut().filter(|it| it.repeat_at <= now) {
            if now < answer.give_up_at {
                self.desk.send(answer.bytes.clone(), answer.hop.clone());
                answer.interval = self.desk.kit.timers.next_interval(answer.interval);
                answer.repeat_at = now + answer.interval;
            }
        }
        if session.answers.iter().any(|answer| answer.give_up_at <= now) {
            let reason = Reason::sip(408, "ACK missing");
            self.fall_apart(now, LegEvent::NoAck, Some(reason));
        }
    }

    /// Ends the session of the leg's own accord; the owner hears `event`, unless he has asked for
    /// the end before.
    pub(super) fn fall_apart(&mut self, now: Instant, event: LegEvent, reason: Option<Reason>) {
        let State::Talking(session) = &self.state else { return };
        match session.hang_up {
            HangUp::AfterAck(_) => self.hang_up_session(now, None),
            HangUp::NotAsked => {
                self.desk.event(event);
                let Some(session) = self.end_session(now) else { return };
                let closing = Closing::unasked(session.dialog, session.fallback, reason);
                self.hang_up(now, closing);
            }
        }
    }

    /// A peer may end what it has begun or accepted, also before it has ACKed. A callee whose 2xx
    /// we have not seen may not (section 15).
    fn handle_bye(&mut self, now: Instant, inbound: &Inbound) {
        if matches!(self.state, State::Calling(_) | State::Over) {
            return self.refuse(now, inbound, Status::CALL_DOES_NOT_EXIST);
        }
        let done = self.desk.response(&inbound.request, Status::OK);
        self.desk.answer(now, &inbound.key, &done);
        match &self.state {
            State::Deciding(_) => {
                let reasons = inbound.request.reasons();
                self.terminate(now, LegEvent::CancelledByPeer { reasons });
            }
            State::Talking(_) => {
                let Some(session) = self.end_session(now) else { return };
                self.desk.event(match session.hang_up {
                    HangUp::NotAsked => LegEvent::Ended { reasons: inbound.request.reasons() },
                    HangUp::AfterAck(_) => LegEvent::ByeDone,
                });
            }
            State::Calling(_) | State::Closing(_) | State::Over => {}
        }
    }

    /// Takes a re-INVITE or an UPDATE. One offer at a time: ours first (491), else one by one (500
    /// with Retry-After; RFC 3261 section 14.2, RFC 3311 section 5.2).
    fn handle_offer(&mut self, now: Instant, mut inbound: Inbound) {
        if let Some(refusal) = self.interval_refusal(&inbound.request) {
            self.desk.answer(now, &inbound.key, &refusal);
            return;
        }
        let request = &inbound.request;
        let only_refreshes = request.method == Method::Update && request.body.is_empty();
        match &mut self.state {
            State::Calling(_) if !only_refreshes => {
                return self.refuse(now, &inbound, Status::REQUEST_PENDING);
            }
            State::Talking(session) if !only_refreshes => {
                if session.offer.is_some() || session.answers.len() >= MAX_ANSWERS {
                    return self.refuse_for_now(now, &inbound);
                }
                if session.has_offered() {
                    return self.refuse(now, &inbound, Status::REQUEST_PENDING);
                }
                let body = take_body(&mut inbound.request);
                if inbound.request.method == Method::Invite {
                    let trying = response_to(&inbound.request, Status::TRYING, None);
                    self.desk.answer(now, &inbound.key, &trying);
                }
                session.offer = Some(Box::new(Offer { inbound, is_ours: body.is_none() }));
                return self.desk.event(LegEvent::Offer { body });
            }
            State::Deciding(_) if !only_refreshes => {
                return self.refuse_for_now(now, &inbound);
            }
            State::Deciding(deciding) => deciding.dialog.refresh_target(&request.headers),
            State::Talking(session) => session.dialog.refresh_target(&request.headers),
            State::Calling(_) => self.refresh_early(&inbound.request),
            State::Closing(_) | State::Over => {
                return self.refuse(now, &inbound, Status::CALL_DOES_NOT_EXIST);
            }
        }
        let mut done = self.dialog_response(&inbound.request, Status::OK);
        if let State::Talking(session) = &mut self.state {
            let policy = Policy::of(&self.desk.kit.local);
            session.renewal.settle(policy, &inbound.request.headers, &mut done.headers);
            self.watch_session(now);
        }
        self.desk.answer(now, &inbound.key, &done);
    }

    /// Gives the 422 for a session interval that is too short (RFC 4028 section 9).
    pub(super) fn interval_refusal(&self, request: &Request) -> Option<Response> {
        let least = Policy::of(&self.desk.kit.local).objects(request)?;
        let mut refusal = self.desk.response(request, Status::SESSION_INTERVAL_TOO_SMALL);
        refusal.headers.push("Min-SE", &least.to_string());
        Some(refusal)
    }

    /// Settles the session timer in our 2xx; `watch_session` starts it.
    fn settle_timer(&self, session: &mut Session, request: &Request, answer: &mut Response) {
        let policy = Policy::of(&self.desk.kit.local);
        session.renewal.settle(policy, &request.headers, &mut answer.headers);
    }

    /// Answers what changes nothing here.
    fn answer_plainly(&mut self, now: Instant, inbound: &Inbound) {
        let status = match inbound.request.method {
            _ if matches!(self.state, State::Closing(_)) => Status::CALL_DOES_NOT_EXIST,
            Method::Options => Status::OK,
            Method::Refer => Status::FORBIDDEN,
            Method::Subscribe | Method::Notify => Status::BAD_EVENT,
            Method::Other(_) => Status::NOT_IMPLEMENTED,
            Method::Invite
            | Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Update
            | Method::Prack
            | Method::Register
            | Method::Message
            | Method::Info
            | Method::Publish => Status::METHOD_NOT_ALLOWED,
        };
        let mut response = self.desk.response(&inbound.request, status);
        if matches!(status, Status::METHOD_NOT_ALLOWED | Status::NOT_IMPLEMENTED) {
            self.desk.push_abilities(&mut response.headers);
        }
        if inbound.request.method == Method::Options && status == Status::OK {
            response = answer_options(response, &self.desk.kit.local, &self.desk.contact);
        }
        self.desk.answer(now, &inbound.key, &response);
    }

    pub(super) fn refuse_for_now(&mut self, now: Instant, inbound: &Inbound) {
        let later = self.later(&inbound.request);
        self.desk.answer(now, &inbound.key, &later);
    }

    /// Says BYE for the owner, with the reason given now or when it was asked.
    fn hang_up_session(&mut self, now: Instant, reason: Option<Reason>) {
        let Some(session) = self.end_session(now) else { return };
        let reason = match session.hang_up {
            HangUp::AfterAck(held) => held,
            HangUp::NotAsked => reason,
        };
        self.hang_up(now, Closing::asked(session.dialog, session.fallback, reason));
    }

    /// Leaves `Talking`; an offer that waits is answered 487 (section 15.1.2).
    fn end_session(&mut self, now: Instant) -> Option<Session> {
        let state = mem::replace(&mut self.state, State::Over);
        let State::Talking(mut session) = state else {
            self.state = state;
            return None;
        };
        if let Some(offer) = session.offer.take() {
            self.refuse(now, &offer.inbound, Status::REQUEST_TERMINATED);
        }
        self.part_from_referrers(now, &mut session);
        self.stop_renewal(now, &session.renewal);
        Some(*session)
    }
}

/// Puts our description into a response, and keeps it for refreshes.
fn describe(session: &mut Session, response: &mut Response, body: Body) {
    response.headers.push("Content-Type", &body.content_type);
    response.body = body.bytes.clone();
    session.renewal.description = Some(body);
}

fn take_body(request: &mut Request) -> Option<Body> {
    let bytes = mem::take(&mut request.body);
    body_of(&request.headers, &bytes)
}

/// Gives the body of a message, if it has one.
pub(super) fn body_of(headers: &Headers, bytes: &Bytes) -> Option<Body> {
    let content_type = headers.content_type().unwrap_or("application/sdp").to_owned();
    (!bytes.is_empty()).then(|| Body { content_type, bytes: bytes.clone() })
}

/// More unconfirmed 2xx at a time than any honest peer waits for.
const MAX_ANSWERS: usize = 4;
