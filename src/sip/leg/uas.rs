//! The callee's side of a leg, until it has decided (RFC 3261 sections 9.2 and 13.3).

use std::mem;
use std::time::{Duration, Instant};

use super::desk::{Desk, Inbound};
use super::refer::Refers;
use super::reliable::Reliable;
use super::renew::Renewal;
use super::session::{Answered, Session};
use super::{Body, Kit, Leg, LegEvent, State, Wait};
use crate::sip::dialog::Dialog;
use crate::sip::endpoint::{objection, stray, unreadable};
use crate::sip::timers::Deadlines;
use crate::sip::transaction::TransactionKey;
use crate::sip::{Hop, Method, Request, Response, Status, response_to, stamp_source};

/// An INVITE of the peer without final response.
#[derive(Debug)]
pub(super) struct Deciding {
    pub(super) dialog: Dialog,
    pub(super) invite: Inbound,
    /// Our reliable responses.
    pub(super) reliable: Reliable,
}

impl Leg {
    /// Takes a new INVITE: sends 100, and refuses at once what nobody could accept (then the only
    /// event is `Lost`).
    #[must_use]
    pub fn answering(now: Instant, mut invite: Request, source: Hop, kit: Kit) -> Self {
        stamp_source(&mut invite, &source);
        let mut desk = Desk::new(kit, invite.call_id());
        let params = desk.kit.local.contact_params.clone();
        let own_user = desk.kit.local.contact_user.clone();
        let user = own_user.or_else(|| invite.uri.user_unescaped());
        let security = (source.transport, invite.uri.is_secure());
        desk.set_contact(security, user.as_deref(), &params);
        let key = TransactionKey::of_request(&invite);
        let inbound = Inbound { request: invite, source, key };
        desk.open(now, &inbound);
        desk.answer(now, &inbound.key, &response_to(&inbound.request, Status::TRYING, None));
        let mut leg = Self {
            desk,
            state: State::Over,
            placed: None,
            refers: Refers::default(),
            waits: Deadlines::default(),
        };
        match leg.objection(&inbound.request) {
            Ok(dialog) => {
                if let Some(expires) = expires(&inbound.request) {
                    leg.waits.set(Wait::Expires, now + expires);
                }
                let reliable = Reliable::default();
                let deciding = Deciding { dialog, invite: inbound, reliable };
                leg.state = State::Deciding(Box::new(deciding));
            }
            Err(refusal) => {
                leg.desk.answer(now, &inbound.key, &refusal);
                leg.desk.event(LegEvent::Lost { status: Some(refusal.status) });
            }
        }
        leg
    }

    /// Accepts the invitation: 200 with `body`, repeated until the ACK comes. The 200 waits for the
    /// PRACK of a reliable answer, and leaves `body` out then (RFC 3262 section 3).
    pub fn accept(&mut self, now: Instant, body: Body) {
        let state = mem::replace(&mut self.state, State::Over);
        let State::Deciding(mut deciding) = state else { return self.state = state };
        self.waits.stop_all();
        let Some(body) = deciding.reliable.hold(body) else {
            return self.state = State::Deciding(deciding);
        };
        let Deciding { dialog, invite, mut reliable } = *deciding;
        let mut session = Session::new(dialog, invite.source.clone(), Renewal::of_callee());
        session.renewal.description = reliable.description.take();
        session.reliable = reliable.hush();
        let body = if session.renewal.description.is_some() { None } else { Some(body) };
        let offered = invite.request.body.is_empty();
        self.answer_invite(now, &mut session, &invite, (body, Answered::Invitation { offered }));
        self.state = State::Talking(Box::new(session));
        self.watch_session(now);
        self.settle(now);
    }

    /// Refuses the invitation. A status that refuses nothing becomes 500.
    pub fn reject(&mut self, now: Instant, status: Status, headers: Vec<(String, String)>) {
        let state = mem::replace(&mut self.state, State::Over);
        let State::Deciding(deciding) = state else { return self.state = state };
        self.waits.stop_all();
        let status = if status.class() > 2 { status } else { Status::SERVER_INTERNAL_ERROR };
        let mut refusal = self.desk.response(&deciding.invite.request, status);
        for (name, value) in &headers {
            refusal.headers.push(name, value);
        }
        self.desk.answer(now, &deciding.invite.key, &refusal);
        self.settle(now);
    }

    /// Answers a CANCEL: 200 if there is such an INVITE, whatever becomes of it, else 481
    /// (RFC 3261 section 9.2).
    pub(super) fn handle_cancel(&mut self, now: Instant, cancel: &Inbound) {
        let target = TransactionKey::cancelled_by(&cancel.request);
        if !self.desk.knows(&target) {
            let unknown = self.desk.response(&cancel.request, Status::CALL_DOES_NOT_EXIST);
            return self.desk.answer_stateless(cancel, &unknown);
        }
        let done = self.desk.response(&cancel.request, Status::OK);
        self.desk.answer_stateless(cancel, &done);
        match &mut self.state {
            State::Deciding(deciding) if deciding.invite.key == target => {
                let reasons = cancel.request.reasons();
                self.terminate(now, LegEvent::CancelledByPeer { reasons });
            }
            State::Talking(session) => {
                if let Some(offer) = session.take_offer(&target) {
                    self.refuse(now, &offer, Status::REQUEST_TERMINATED);
                }
            }
            State::Deciding(_) | State::Calling(_) | State::Closing(_) | State::Over => {}
        }
    }

    /// Ends an invitation that the caller does not wait for any more: 487.
    pub(super) fn terminate(&mut self, now: Instant, event: LegEvent) {
        let state = mem::replace(&mut self.state, State::Over);
        let State::Deciding(deciding) = state else { return self.state = state };
        self.waits.stop_all();
        self.refuse(now, &deciding.invite, Status::REQUEST_TERMINATED);
        self.desk.event(event);
    }

    /// Takes the end of the time that the INVITE gave us (section 13.3.1).
    pub(super) fn expire(&mut self, now: Instant) {
        self.terminate(now, LegEvent::Expired);
    }

    /// Answers what came outside of any dialog and is no repetition: our INVITE by another way
    /// (section 8.2.2.2), or a second one.
    pub(super) fn handle_outside(&mut self, inbound: &Inbound) {
        let request = &inbound.request;
        let merged = request.method == Method::Invite && self.has_seen(request);
        let answer = match request.method == Method::Invite {
            true if merged => self.desk.response(request, Status::LOOP_DETECTED),
            true => self.later(request),
            false => match stray(request, &self.desk.kit.local) {
                Some(answer) => answer,
                None => return,
            },
        };
        self.desk.answer_stateless(inbound, &answer);
    }

    /// Builds a response of the dialog: with Record-Route, Contact and abilities (section 12.1.1).
    pub(super) fn dialog_response(&self, request: &Request, status: Status) -> Response {
        let mut response = self.desk.response(request, status);
        response.headers.copy("Record-Route", &request.headers);
        response.headers.push("Contact", &self.desk.contact);
        self.desk.push_abilities(&mut response.headers);
        response
    }

    pub(super) fn refuse(&mut self, now: Instant, inbound: &Inbound, status: Status) {
        let refusal = self.desk.response(&inbound.request, status);
        self.desk.answer(now, &inbound.key, &refusal);
    }

    /// Builds the 500 for what comes at a bad moment (sections 14.2 and 21.5.1).
    pub(super) fn later(&mut self, request: &Request) -> Response {
        let mut response = self.desk.response(request, Status::SERVER_INTERNAL_ERROR);
        let seconds = self.desk.kit.random.below(11);
        response.headers.push("Retry-After", &seconds.to_string());
        response
    }

    fn objection(&self, invite: &Request) -> Result<Dialog, Response> {
        let Desk { kit, local_tag, .. } = &self.desk;
        let refusal = objection(invite, &kit.local.supported, local_tag)
            .or_else(|| unreadable(invite, local_tag));
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        if let Some(refusal) = self.interval_refusal(invite) {
            return Err(refusal);
        }
        Dialog::of_callee(invite, local_tag)
            .map_err(|error| self.desk.response(invite, error.status()))
    }

    /// Tells whether an INVITE with this number is the one that made this leg.
    fn has_seen(&self, invite: &Request) -> bool {
        let dialog = match &self.state {
            State::Deciding(deciding) => &deciding.dialog,
            State::Talking(session) => &session.dialog,
            State::Closing(closing) => &closing.dialog,
            State::Calling(_) | State::Over => return false,
        };
        dialog.has_passed(invite)
    }
}

/// Gives the time that the caller is willing to wait; none at all is none of our business.
fn expires(invite: &Request) -> Option<Duration> {
    let seconds = invite.expires().filter(|seconds| *seconds > 0)?;
    Some(Duration::from_secs(seconds.into()))
}
