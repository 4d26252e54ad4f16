//! What the SIP legs of a conversation tell, and what follows from it for the chat.

use std::time::{Duration, Instant};

use super::{Conversation, Output};
use crate::bridge::description::{self, described};
use crate::bridge::legs::Settled;
use crate::bridge::media::{self, Unusable};
use crate::bridge::renewal::Held;
use crate::bridge::sip_outcomes::{self, LegEnd, Outcome, Retry, Row};
use crate::chat::{EventType, NoticeKind, Role, State};
use crate::msrp::Setup;
use crate::sip::{Body, Leg, LegEvent, NoAnswer, Reason, Response, Status, Uri};

impl Conversation {
    /// Takes what the legs have for us; tells whether there was anything.
    pub(super) fn settle_legs(&mut self, now: Instant) -> bool {
        let Settled { events, spared, busy } = self.legs.settle(&mut self.outputs);
        spared.iter().for_each(|hop| self.attempt.spare(hop));
        for event in events {
            self.leg_event(now, event);
        }
        busy
    }

    pub(super) fn leg_event(&mut self, now: Instant, event: LegEvent) {
        let Some(event) = self.successor.hold(event) else { return };
        match &event {
            LegEvent::Progress(_)
            | LegEvent::Confirmed
            | LegEvent::Offer { .. }
            | LegEvent::Answer { .. }
            | LegEvent::Referral { .. }
            | LegEvent::Referred { .. }
            | LegEvent::OfferRefused { .. } => {}
            LegEvent::Established { .. }
            | LegEvent::Refused { .. }
            | LegEvent::NoAnswer(_)
            | LegEvent::Cancelled
            | LegEvent::CancelledByPeer { .. }
            | LegEvent::Expired
            | LegEvent::NoAck
            | LegEvent::SessionExpired
            | LegEvent::Ended { .. }
            | LegEvent::Lost { .. }
            | LegEvent::ByeDone => self.farewell_answered(),
        }
        match event {
            LegEvent::Progress(status) => self.progress(now, status),
            LegEvent::Established { response } => self.established(now, &response),
            LegEvent::Refused { response } => self.refused(now, &response),
            LegEvent::NoAnswer(NoAnswer::Timeout) => self.no_answer(now, LegEnd::InvitationTimeout),
            LegEvent::NoAnswer(NoAnswer::Transport) => self.no_answer(now, LegEnd::Unreachable),
            LegEvent::Cancelled => match self.cancel {
                Some(end) => self.end_by(now, end, &[]),
                None => self.end_withdrawn(now),
            },
            LegEvent::CancelledByPeer { reasons } => {
                let reasons = described(&reasons);
                self.end_by(now, LegEnd::of_cancel(&reasons), &reasons);
            }
            LegEvent::Expired => self.end_by(now, LegEnd::NoReaction, &[]),
            // The bridge offers nothing that it must have: a refused offer changes nothing.
            LegEvent::Confirmed | LegEvent::OfferRefused { .. } | LegEvent::ByeDone => {}
            // A 1-1 chat refers nobody, and its legs take no REFER.
            LegEvent::Referral { .. } | LegEvent::Referred { .. } => {}
            LegEvent::NoAck => self.end_by(now, LegEnd::NoAck, &[]),
            LegEvent::SessionExpired => self.end_by(now, LegEnd::SessionTimeout, &[]),
            LegEvent::Offer { body } => self.offered(now, body.as_ref()),
            LegEvent::Answer { body } => self.answered(now, body.as_ref()),
            LegEvent::Ended { reasons } => self.begin_being_left(now, &described(&reasons)),
            LegEvent::Lost { .. } => self.end_by(now, LegEnd::DialogLost, &[]),
        }
    }

    /// Tells the user of the invitation.
    pub(super) fn tell_invitation(&mut self, now: Instant) {
        self.heard = true;
        let info = self.chat.info();
        let kind = NoticeKind::Invited {
            subject: info.subject.clone(),
            originator: info.originator.clone(),
            terminating: info.terminating.clone(),
        };
        self.tell(now, kind);
    }

    /// Lets a store deliver what it has kept: the user hears of the messages, and neither of an
    /// invitation nor of the end, for nobody is there to talk to.
    pub(super) fn take_delivery(&mut self, now: Instant) {
        if self.chat.accept().is_ok() {
            self.accept(now);
        }
    }

    /// The wire has confirmed the end, or never will.
    fn farewell_answered(&mut self) {
        self.goodbye = false;
        if std::mem::take(&mut self.msrp_closes) {
            self.outputs.push_back(Output::MsrpClose);
        }
    }

    /// The first 18x says that somebody is being asked: the invitation's time starts anew.
    fn progress(&mut self, now: Instant, status: Status) {
        let rings = status.code() > 100 && !std::mem::replace(&mut self.attempt.rung, true);
        if rings && self.timers.invitation.is_some() {
            self.timers.invitation = Some(now + self.settings.invitation_timeout);
        }
    }

    fn established(&mut self, now: Instant, response: &Response) {
        self.timers.invitation = None;
        if self.chat.state() == State::Cancelling {
            self.legs.current.bye(now, None);
            self.end_withdrawn(now);
            return;
        }
        let (sdp, _) = media::parts(response.content_type(), &response.body);
        match self.line.judge_answer(sdp.as_deref()) {
            Ok(peer) => {
                if !self.chat.peer_accepted() {
                    self.legs.current.bye(now, None);
                    return;
                }
                let row = sip_outcomes::final_response(response.status.code(), false);
                if let Some(event) = row.outcome.event() {
                    self.tell_event(now, event, Some(describe(row, response)), None);
                }
                let setup = peer.our_setup_as_offerer();
                self.line.peer = Some(peer);
                self.open_msrp(now, setup);
                self.send_waiting(now);
            }
            Err(_) => {
                self.hang_up(now, Reason::sip(488, "Not Acceptable Here"));
                self.end_by(now, LegEnd::UnusableAnswer, &[]);
            }
        }
    }

    /// Ends the session that our user has withdrawn, as the table says of a 487 after CANCEL.
    pub(super) fn end_withdrawn(&mut self, now: Instant) {
        let row = sip_outcomes::final_response(487, true);
        if let Some(event) = row.outcome.event() {
            self.end(now, event, row.describe_end(&[]));
        }
    }

    fn refused(&mut self, now: Instant, response: &Response) {
        let cancelled = self.chat.state() == State::Cancelling || self.cancel.is_some();
        let row = sip_outcomes::final_response(response.status.code(), cancelled);
        if let (Some(end), true) = (self.cancel, cancelled) {
            self.end_by(now, end, &[]);
            return;
        }
        if let (Some(event), true) = (row.outcome.event(), cancelled) {
            self.end(now, event, describe(row, response));
            return;
        }
        let again = match row.outcome {
            Outcome::Redirect => self.redirect(now, response),
            Outcome::RetryOnce(retry) => self.retry(now, retry),
            Outcome::Progress
            | Outcome::Accepted
            | Outcome::Declined
            | Outcome::Ended
            | Outcome::Cancelled
            | Outcome::Authenticate => false,
        };
        // Who is asked and says no has answered for all (RFC 3261 section 8.1.3.4 and 21.6).
        let settled = row.outcome == Outcome::Declined || response.status.code() >= 600;
        let untried = !again && !settled && self.call_next_target(now);
        if !again
            && !untried
            && let Some(event) = row.outcome.event_when_spent()
        {
            self.end(now, event, describe(row, response));
        }
    }

    /// Follows a redirection (RFC 3261 section 8.1.3.4); tells whether there is a way to go.
    fn redirect(&mut self, now: Instant, response: &Response) -> bool {
        self.attempt.follow(response.headers.list("Contact"));
        self.call_next_target(now)
    }

    fn call_next_target(&mut self, now: Instant) -> bool {
        match self.attempt.targets.pop_front() {
            Some(target) => {
                self.call_again(now, Some(target));
                true
            }
            None => false,
        }
    }

    /// Repeats the INVITE once, where something can be changed; tells whether it will be.
    fn retry(&mut self, now: Instant, retry: Retry) -> bool {
        if std::mem::replace(&mut self.attempt.retried, true) {
            return false;
        }
        match retry {
            // The owner of the Call-ID waits 2.1 to 4 s (RFC 3261 section 14.1).
            Retry::Later => {
                let wait = 2100 + self.random.below(191) * 10;
                self.timers.retry = Some(now + Duration::from_millis(wait));
                true
            }
            // Our INVITE requires nothing and has no other security to offer; the leg has taken a
            // longer interval already, where one was named.
            Retry::WithoutOption
            | Retry::WithOption
            | Retry::LongerTimer
            | Retry::LongerExpiry
            | Retry::WithSecurity => false,
        }
    }

    /// Sends the invitation again in a dialog of its own.
    pub(super) fn call_again(&mut self, now: Instant, target: Option<Uri>) {
        let Some(draft) = &self.attempt.draft else { return };
        let offer = self.line.offer();
        let way = (target, self.attempt.next_hops.clone());
        match draft.call((&self.settings, &self.access), way, offer) {
            Ok(call) => {
                let leg = Leg::call(now, call, self.access.kit(&self.settings, self.random.fork()));
                self.legs.replace(leg);
                self.outputs.push_back(self.legs.route());
            }
            Err(_) => self.end_by(now, LegEnd::Unreachable, &[]),
        }
    }

    fn no_answer(&mut self, now: Instant, end: LegEnd) {
        if let Some(end) = self.cancel {
            self.end_by(now, end, &[]);
        } else if self.chat.state() == State::Cancelling {
            self.end_withdrawn(now);
        } else if !self.call_next_target(now) {
            self.end_by(now, end, &[]);
        }
    }

    pub(super) fn invitation_timed_out(&mut self, now: Instant) {
        match self.chat.role() {
            Role::Originator => {
                self.cancel = Some(LegEnd::InvitationTimeout);
                self.legs.current.cancel(now, None);
                // The user is told now; the wire sorts itself out.
                self.end_by(now, LegEnd::InvitationTimeout, &[]);
            }
            Role::Terminating => {
                let code = self.settings.no_answer_code;
                self.refuse(now, code, LegEnd::NoReaction);
            }
        }
    }

    /// Accepts the invitation, once our relays, where there are any, have let us in.
    pub(super) fn accept(&mut self, now: Instant) {
        self.timers.invitation = None;
        if !self.seek_way(now) {
            self.answer_invitation(now);
        }
    }

    /// Accepts the invitation towards the caller, and opens the MSRP session.
    pub(super) fn answer_invitation(&mut self, now: Instant) {
        match &self.line.peer {
            Some(peer) => {
                let setup = peer.our_setup_as_answerer();
                let body = self.line.answer(setup);
                self.legs.current.accept(now, body);
                self.open_msrp(now, setup);
            }
            // The caller left the offer to us; the ACK brings its answer.
            None => {
                let offer = self.line.offer();
                self.legs.current.accept(now, offer);
            }
        }
        self.tell_first_message(now);
    }

    /// Refuses the invitation of which the user was told.
    pub(super) fn refuse(&mut self, now: Instant, status: Status, end: LegEnd) {
        self.legs.current.reject(now, status, Vec::new());
        self.end_by(now, end, &[]);
    }

    /// Refuses an invitation of which nobody hears.
    pub(super) fn refuse_unheard(
        &mut self,
        now: Instant,
        status: Status,
        headers: Vec<(String, String)>,
    ) {
        self.legs.current.reject(now, status, headers);
        self.end(now, EventType::SessionEnded, String::new());
        self.settle(now);
    }

    /// Ends the session because its MSRP side is gone, and says so to the peer.
    pub(super) fn media_failed(&mut self, now: Instant, end: LegEnd) {
        if !self.successor.keep(Held::Media(end)) {
            self.give_up_media(now, end);
        }
    }

    /// As [`media_failed`](Self::media_failed), whoever begins the session anew.
    pub(super) fn give_up_media(&mut self, now: Instant, end: LegEnd) {
        let reason = if end == LegEnd::MsrpConnectFailed {
            Reason::sip(488, "Not Acceptable Here")
        } else if end == LegEnd::MediaRemoved {
            Reason::sip(200, "Call completed")
        } else {
            Reason::sip(480, "Bearer unavailable")
        };
        self.hang_up(now, reason);
        self.end_by(now, end, &[]);
    }

    /// Answers a re-INVITE or UPDATE: the stream stays as it is, or goes.
    fn offered(&mut self, now: Instant, body: Option<&Body>) {
        let Some(body) = body else {
            let offer = self.line.offer();
            self.legs.current.answer_offer(now, Ok(offer));
            return;
        };
        let (sdp, _) = media::parts(Some(&body.content_type), &body.bytes);
        match media::judge(sdp.as_deref()) {
            Ok(mut peer) if self.line.is_same(&peer) => {
                if let Some(known) = self.line.peer.take() {
                    peer.anchoring = known.anchoring;
                }
                self.line.peer = Some(peer);
                let setup = self.our_setup();
                let answer = self.line.answer(setup);
                self.legs.current.answer_offer(now, Ok(answer));
            }
            Err(Unusable::Removed(offer)) => {
                let answer = self.line.farewell(&offer);
                self.legs.current.answer_offer(now, Ok(answer));
                self.media_failed(now, LegEnd::MediaRemoved);
            }
            // The MSRP session cannot move, and what cannot be used changes nothing
            // (RFC 3261 section 14.2).
            Ok(_) | Err(_) => self.legs.current.answer_offer(now, Err(Status::NOT_ACCEPTABLE_HERE)),
        }
    }

    /// Judges the answer to an offer of ours. The first one opens the stream; later ones answer an
    /// offer of what there is already: the stream stays as it is, or the session ends.
    fn answered(&mut self, now: Instant, body: Option<&Body>) {
        let (sdp, _) = match body {
            Some(body) => media::parts(Some(&body.content_type), &body.bytes),
            None => (None, None),
        };
        let end = match self.line.judge_answer(sdp.as_deref()) {
            Ok(peer) if self.line.is_same(&peer) => {
                self.line.peer = Some(peer);
                return;
            }
            Ok(peer) if self.line.peer.is_none() => {
                let setup = peer.our_setup_as_offerer();
                self.line.peer = Some(peer);
                self.open_msrp(now, setup);
                self.send_waiting(now);
                return;
            }
            Err(Unusable::Removed(_)) if self.line.peer.is_some() => LegEnd::MediaRemoved,
            Ok(_) | Err(_) => LegEnd::UnusableAnswer,
        };
        if self.successor.keep(Held::Media(end)) {
            return;
        }
        self.hang_up(now, Reason::sip(488, "Not Acceptable Here"));
        self.end_by(now, end, &[]);
    }

    fn our_setup(&self) -> Setup {
        let peer = self.line.peer.as_ref();
        match self.legs.is_called() {
            false => peer.map_or(Setup::Passive, media::Peer::our_setup_as_offerer),
            true => peer.map_or(Setup::Active, media::Peer::our_setup_as_answerer),
        }
    }
}

fn describe(row: &Row, response: &Response) -> String {
    row.describe_response(&description::Response {
        code: response.status.code(),
        phrase: &response.reason,
        warning: response.headers.get("Warning"),
        retry_after: response.headers.get("Retry-After"),
    })
}
