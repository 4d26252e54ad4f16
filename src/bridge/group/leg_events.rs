//! What the SIP legs of a group tell, and what follows from it for the chat.

use std::time::Instant;

use super::Group;
use super::invite::is_focus;
use crate::address::Address;
use crate::bridge::dealings::Output;
use crate::bridge::description::described;
use crate::bridge::group_outcomes::{self, Asking, GroupEnd};
use crate::bridge::identity::{self, Naming};
use crate::bridge::legs::Settled;
use crate::bridge::media::{self, Unusable};
use crate::bridge::renewal::Held;
use crate::bridge::sip_outcomes::LegEnd;
use crate::chat::{EventType, GroupState, Identity, Standing};
use crate::msrp::Setup;
use crate::sip::{Body, LegEvent, NoAnswer, Reason, Response, Status};

impl Group {
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
        let ends = |end| GroupEnd::Leg(end);
        match event {
            LegEvent::Progress(status) => self.progress(now, status),
            LegEvent::Established { response } => self.established(now, &response),
            LegEvent::Refused { .. } | LegEvent::NoAnswer(_) | LegEvent::Cancelled
                if !self.awaits_focus() => {}
            LegEvent::Refused { response } => self.refused(now, &response),
            LegEvent::NoAnswer(NoAnswer::Timeout) => self.no_answer(now, LegEnd::InvitationTimeout),
            LegEvent::NoAnswer(NoAnswer::Transport) => self.no_answer(now, LegEnd::Unreachable),
            LegEvent::Cancelled => self.withdrawn(now),
            LegEvent::CancelledByPeer { reasons } => {
                let reasons = described(&reasons);
                self.finish(now, ends(LegEnd::of_cancel(&reasons)), &reasons);
            }
            LegEvent::Expired => self.finish(now, ends(LegEnd::NoReaction), &[]),
            LegEvent::NoAck => self.finish(now, ends(LegEnd::NoAck), &[]),
            LegEvent::SessionExpired => self.finish(now, ends(LegEnd::SessionTimeout), &[]),
            LegEvent::Lost { .. } => self.finish(now, ends(LegEnd::DialogLost), &[]),
            LegEvent::Offer { body } => self.offered(now, body.as_ref()),
            LegEvent::Answer { body } => self.answered(now, body.as_ref()),
            LegEvent::Ended { reasons } => {
                let reasons = described(&reasons);
                self.begin_being_left(now, group_outcomes::of_bye(&reasons), &reasons);
            }
            LegEvent::Referral { id, news } => self.referral_news(now, id, news),
            // The focus does what it does by itself: nobody refers us, and the leg takes no REFER.
            LegEvent::Referred { .. } => {}
            LegEvent::Confirmed | LegEvent::OfferRefused { .. } | LegEvent::ByeDone => {}
        }
    }

    /// The wire has confirmed the end, or never will.
    fn farewell_answered(&mut self) {
        self.goodbye = false;
        if std::mem::take(&mut self.msrp_closes) {
            self.outputs.push_back(Output::MsrpClose);
        }
    }

    /// The first 18x says that somebody works on it: the time starts anew.
    fn progress(&mut self, now: Instant, status: Status) {
        let rings = status.code() > 100 && !std::mem::replace(&mut self.attempt.rung, true);
        if rings && self.timers.invitation.is_some() {
            self.timers.invitation = Some(now + self.settings.invitation_timeout);
        }
    }

    /// The focus has let the user in.
    fn established(&mut self, now: Instant, response: &Response) {
        self.timers.invitation = None;
        let revives = std::mem::take(&mut self.revives);
        if self.chat.state() == GroupState::Cancelling {
            self.legs.current.bye(now, None);
            return self.withdrawn(now);
        }
        if !self.awaits_focus() {
            return self.legs.current.bye(now, None);
        }
        let asserted = self.asserted(response);
        if !self.has_called(&asserted) {
            return self.leave_stranger(now, revives);
        }
        let (sdp, _) = media::parts(response.content_type(), &response.body);
        let Ok(peer) = self.line.judge_answer(sdp.as_deref()) else {
            let end = GroupEnd::Leg(LegEnd::UnusableAnswer);
            return self.break_off(now, Reason::sip(488, "Not Acceptable Here"), end);
        };
        if !self.chat.focus_accepted() {
            return self.legs.current.bye(now, None);
        }
        self.learn_party(response, asserted);
        self.learn_focus(now, response);
        let setup = peer.our_setup_as_offerer();
        self.line.peer = Some(peer);
        self.open_msrp(now, setup);
        self.enter_others();
        self.come_in(now);
        self.refer_others(now);
        self.extend_for_a_while(now);
        self.send_waiting(now);
    }

    /// Tells as whom our core asserts who has answered; a core that is outside of our trust domain
    /// asserts nothing (RFC 3325 section 4).
    fn asserted(&self, response: &Response) -> Vec<Address> {
        match self.settings.standing.naming {
            Naming::FromOnly => Vec::new(),
            Naming::Preferred | Naming::Asserted => {
                identity::asserted(&self.settings.realm, &response.headers)
            }
        }
    }

    /// Tells whether who has accepted is who was asked to, where it is known who that is: the focus by
    /// the name that was asserted of it before, or by that under which the user has called it. Some
    /// foci invite in the name of a user, and answer in their own.
    fn has_called(&self, asserted: &[Address]) -> bool {
        let is_new = self.asking != Asking::Rejoining || self.party.is_none();
        let called = self.focus.as_ref().and_then(|focus| self.settings.realm.address(focus));
        let mut known = self.party.iter().chain(&called);
        is_new || asserted.is_empty() || known.any(|known| asserted.contains(known))
    }

    /// Leaves a group for which the user has never asked. Where it was to be begun again, the factory
    /// does that.
    fn leave_stranger(&mut self, now: Instant, revives: bool) {
        let reason = Reason::sip(200, "Call completed");
        if revives {
            self.legs.current.bye(now, Some(reason));
            return self.restart(now);
        }
        self.hang_up(now, reason);
        self.stay_out(now);
    }

    /// Keeps who has let the user in: as a core asserts that we believe, else as the factory that we
    /// have called names the group, else whom we have called. Where that was the URI of the group,
    /// nobody knows better than before.
    fn learn_party(&mut self, response: &Response, asserted: Vec<Address>) {
        let realm = &self.settings.realm;
        let called = match self.asking {
            Asking::Opening | Asking::Restarting => {
                self.settings.factory().and_then(|factory| realm.address(&factory))
            }
            Asking::Rejoining => self.party.take(),
        };
        // What the operator's own factory calls the group, no user has had a say in.
        let is_new = self.asking != Asking::Rejoining;
        let is_by_factory = is_new && !self.is_hosted && !self.attempt.is_redirected;
        let contact = response.contact().ok().flatten().filter(is_focus);
        let named = match self.settings.standing.naming {
            Naming::Preferred | Naming::Asserted if is_by_factory => {
                contact.and_then(|contact| realm.address(&contact.uri))
            }
            Naming::FromOnly | Naming::Preferred | Naming::Asserted => None,
        };
        self.party = asserted.into_iter().next().or(named).or(called);
    }

    /// Keeps the URI of the group: the Contact of who has accepted (RFC 4579 section 5.1), and the
    /// ids under which the network knows it. One without `isfocus` is taken for a focus, unless it is
    /// the factory still.
    fn learn_focus(&mut self, now: Instant, response: &Response) {
        let contact = response.contact().ok().flatten();
        let is_focus = contact.as_ref().is_some_and(is_focus);
        let told = contact.map(|contact| contact.uri.without_headers());
        let is_factory = !is_focus && told.is_some() && told == self.settings.factory();
        if is_factory {
            self.outputs.push_back(Output::Remark(NO_FOCUS));
            self.focus = None;
            self.watch.leave(now);
        } else {
            if !is_focus && told != self.focus {
                self.outputs.push_back(Output::Remark(UNMARKED_FOCUS));
            }
            // Who is called again is where it was, or goes by its name.
            let is_new = self.asking != Asking::Rejoining;
            self.find_focus(now, told.filter(|told| is_new || self.is_of_group(told)));
        }
        let Some(draft) = &mut self.attempt.draft else { return };
        for (name, value) in &mut draft.session_ids {
            if let Some(told) = response.headers.get(name) {
                told.clone_into(value);
            }
        }
    }

    /// Counts those who were named in the list as invited by the focus.
    fn enter_others(&mut self) {
        match self.asking {
            Asking::Opening if !self.refers_all => self.chat.participants_mut().confirm_all(),
            Asking::Restarting if !self.refers_all => {
                for party in self.chat.participants().to_invite_again() {
                    let identity = Identity::from(&party.address);
                    self.chat.participants_mut().note(&identity, Standing::Invited, None);
                }
            }
            Asking::Opening | Asking::Restarting | Asking::Rejoining => {}
        }
    }

    /// Lets the other side of the 1-1 session have the time of any invitation to answer.
    fn extend_for_a_while(&mut self, now: Instant) {
        if self.extends.is_some() {
            self.timers.extension = Some(now + self.settings.invitation_timeout);
        }
    }

    /// Answers a re-INVITE or UPDATE: the stream stays as it is, or goes.
    fn offered(&mut self, now: Instant, body: Option<&Body>) {
        let Some(body) = body else {
            let offer = self.line.offer();
            return self.legs.current.answer_offer(now, Ok(offer));
        };
        let (sdp, _) = media::parts(Some(&body.content_type), &body.bytes);
        match media::judge(sdp.as_deref()) {
            Ok(mut peer) if self.line.is_same(&peer) => {
                if let Some(known) = self.line.peer.take() {
                    peer.anchoring = known.anchoring;
                }
                let setup = match self.asking {
                    Asking::Opening | Asking::Restarting => peer.our_setup_as_offerer(),
                    Asking::Rejoining => peer.our_setup_as_answerer(),
                };
                self.line.peer = Some(peer);
                let answer = self.line.answer(setup);
                self.legs.current.answer_offer(now, Ok(answer));
                if let Some(subject) = self.new_subject.take() {
                    self.rename(&subject);
                }
            }
            Err(Unusable::Removed(offer)) => {
                let answer = self.line.farewell(&offer);
                self.legs.current.answer_offer(now, Ok(answer));
                self.media_failed(now, LegEnd::MediaRemoved);
            }
            // The MSRP session cannot move, and what cannot be used changes nothing
            // (RFC 3261 section 14.2).
            Ok(_) | Err(_) => {
                self.legs.current.answer_offer(now, Err(Status::NOT_ACCEPTABLE_HERE));
            }
        }
    }

    /// Judges the answer to an offer of ours: the first one opens the stream.
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
                return self.send_waiting(now);
            }
            Err(Unusable::Removed(_)) if self.line.peer.is_some() => LegEnd::MediaRemoved,
            Ok(_) | Err(_) => LegEnd::UnusableAnswer,
        };
        if self.successor.keep(Held::Media(end)) {
            return;
        }
        self.break_off(now, Reason::sip(488, "Not Acceptable Here"), GroupEnd::Leg(end));
    }

    /// Opens the MSRP session towards the focus.
    pub(super) fn open_msrp(&mut self, now: Instant, setup: Setup) {
        self.timers.msrp = Some(now + self.settings.msrp_connect_timeout);
        let wish = self.line.open(now, setup);
        self.outputs.extend(wish);
    }

    /// Ends the session with this event: nothing is left of it.
    pub(super) fn end(&mut self, now: Instant, event: EventType, description: String) {
        self.close(now, Some((event, description)));
    }
}

/// What an operator is told of a focus that does not say so.
const UNMARKED_FOCUS: &str = "the focus has accepted without isfocus: its Contact is taken for one";

/// What an operator is told of a factory that names no focus.
const NO_FOCUS: &str = "the factory has accepted itself, and names no focus";
