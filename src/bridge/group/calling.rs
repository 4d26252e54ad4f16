//! Asking the focus: for a session, to be let in again, for a session in place of one that is gone.
//!
//! ```text
//!   Opening    INVITE factory, list ──420──▶ INVITE factory ──200──▶ a REFER for each
//!   Rejoining  INVITE focus ──404──▶ Restarting: INVITE factory, list of those who were there
//!   the same where there is no conference: INVITE focus, empty list ──no──▶ Restarting
//! ```

use std::time::{Duration, Instant};

use super::Group;
use super::returning::WayBack;
use crate::bridge::dealings::Output;
use crate::bridge::description;
use crate::bridge::group_outcomes::{self, Answered, Asking, GroupEnd};
use crate::bridge::line::Line;
use crate::bridge::renewal::{Held, Renewable};
use crate::bridge::sip_outcomes::{LegEnd, Retry};
use crate::chat::{Answer, EventType, GroupState};
use crate::payload::resource_list::ResourceList;
use crate::sip::{Leg, NameAddr, Reason, Response, Status, Uri};

impl Group {
    /// Asks our relays to let the session in, where there are any, and then the focus.
    pub(super) fn seek_way_or_call(&mut self, now: Instant) {
        match self.line.seek_way(now) {
            Some(wait) => self.timers.relay = Some(now + wait),
            None => self.call(now, None),
        }
    }

    /// Sends the INVITE in a dialog of its own: to where a redirection points, or to what it is for.
    pub(super) fn call(&mut self, now: Instant, target: Option<Uri>) {
        let offer = self.line.offer();
        let (to, list) = match self.asking {
            Asking::Rejoining => (self.focus.clone(), self.revives.then(ResourceList::default)),
            Asking::Opening | Asking::Restarting if self.refers_all => {
                (self.settings.factory(), None)
            }
            Asking::Opening | Asking::Restarting => {
                let others = Some(self.recipients()).filter(|list| !list.entries.is_empty());
                (self.settings.factory(), others)
            }
        };
        let way = (target, self.attempt.next_hops.clone());
        let wire = (&*self.settings, &*self.access);
        let call = self.attempt.draft.as_ref().zip(to);
        let call =
            call.and_then(|(draft, to)| draft.call(wire, &to, way, (offer, list.as_ref())).ok());
        let Some(mut call) = call else {
            return self.finish(now, GroupEnd::Leg(LegEnd::Unreachable), &[]);
        };
        if self.is_hosted {
            // The host is beside us.
            (call.proxy, call.orig) = (None, false);
            call.route.clear();
        }
        self.timers.invitation = Some(now + self.settings.invitation_timeout);
        let leg = Leg::call(now, call, self.leg_kit());
        self.legs.replace(leg);
        self.outputs.push_back(self.legs.route());
    }

    /// Asks the focus to let the user in again; the answer waits a while for what it says.
    pub(super) fn join_again(&mut self, now: Instant) -> Answer {
        let answer = self.draw_answer();
        self.rejoin = Some(answer);
        self.timers.rejoin = Some(now + self.settings.group.refer_wait);
        self.way_back = WayBack::default();
        self.ask_again(now);
        Answer::Later(answer)
    }

    /// Begins an MSRP session of its own, for another participation.
    pub(super) fn new_line(&mut self, now: Instant) {
        let mut kit = self.kit();
        let bearer = self.settings.offered_bearer();
        self.line = Line::new(now, &mut kit, bearer);
        self.msrp_closes = false;
        let session_id = self.line.session_id().to_owned();
        self.outputs.push_back(Output::MsrpRoute(session_id));
    }

    /// Withdraws the request for a session, or to be let in again.
    pub(super) fn cancel_creation(&mut self, now: Instant) {
        self.timers.invitation = None;
        self.attempt.targets.clear();
        if self.is_between_invites() {
            (self.timers.retry, self.timers.relay, self.timers.probe) = (None, None, None);
            self.withdrawn(now);
        } else {
            self.legs.current.cancel(now, None);
        }
    }

    /// Ends what the user has withdrawn.
    pub(super) fn withdrawn(&mut self, now: Instant) {
        match self.asking {
            Asking::Opening => {
                self.end(now, EventType::SessionCancelled, "SIP CANCEL".to_owned());
            }
            Asking::Rejoining | Asking::Restarting => self.stay_out(now),
        }
    }

    /// Takes a refusal of our INVITE.
    pub(super) fn refused(&mut self, now: Instant, response: &Response) {
        if self.chat.state() == GroupState::Cancelling {
            return self.withdrawn(now);
        }
        let code = response.status.code();
        if code == 420 && std::mem::take(&mut self.revives) {
            // Who takes no list is asked as if there were a conference.
            return self.call(now, None);
        }
        // A focus that makes nothing of an empty list does not keep the user from the factory.
        let is_final = !matches!(code, 300..=399 | 401 | 403 | 407 | 422 | 491 | 600..);
        if self.revives && is_final {
            return self.restart(now);
        }
        let row = group_outcomes::answer_to(self.asking, code);
        let goes_on = match row.then {
            Answered::Redirect => {
                let contacts = response.headers.list("Contact");
                let contacts: Vec<_> = contacts.filter(|contact| self.may_lead(contact)).collect();
                self.attempt.follow(contacts.into_iter());
                if self.revives && self.attempt.targets.is_empty() {
                    // It leads to no group that was asked for.
                    return self.restart(now);
                }
                self.call_next_target(now)
            }
            Answered::RetryOnce(retry) => self.retry(now, retry),
            Answered::WithoutList => self.do_without_list(now, response),
            Answered::Restart => {
                self.restart(now);
                true
            }
            Answered::Progress
            | Answered::In
            | Answered::Authenticate
            | Answered::StaysOut
            | Answered::Ended => false,
        };
        if !goes_on && (code >= 600 || !self.call_next_target(now)) {
            self.not_let_in(now, row.then, response);
        }
    }

    /// Tells whether a redirection may lead to a Contact: who asks to be let in again has asked for
    /// this group, and for no other one.
    fn may_lead(&self, contact: &str) -> bool {
        self.asking != Asking::Rejoining
            || NameAddr::parse(contact).is_ok_and(|contact| self.is_of_group(&contact.uri))
    }

    /// The focus does not want us: there is no session, or no way back to it for now.
    fn not_let_in(&mut self, now: Instant, then: Answered, response: &Response) {
        let stays_out = match then {
            Answered::Ended => false,
            Answered::Progress
            | Answered::In
            | Answered::Redirect
            | Answered::Authenticate
            | Answered::RetryOnce(_)
            | Answered::WithoutList
            | Answered::Restart
            | Answered::StaysOut => self.asking != Asking::Opening,
        };
        if stays_out {
            return self.stay_out(now);
        }
        let mut words = description::response(&description::Response {
            code: response.status.code(),
            phrase: &response.reason,
            warning: response.headers.get("Warning"),
            retry_after: response.headers.get("Retry-After"),
        });
        if let Some(refused) = response.headers.get("P-Refused-URI-List") {
            let refused: String = refused.chars().filter(|c| !c.is_control()).collect();
            let refused: String = refused.chars().take(description::MAX_TEXT).collect();
            words.push_str("; P-Refused-URI-List: ");
            words.push_str(&refused);
        }
        self.gone_for_good(now, words);
    }

    /// The focus takes no list: it is told of the others one by one, once there is a session (RFC
    /// 4579 section 5.5). Tells whether that is permitted and new.
    fn do_without_list(&mut self, now: Instant, response: &Response) -> bool {
        let mut unknown = response.headers.list("Unsupported");
        let is_list = unknown.any(|tag| tag.eq_ignore_ascii_case("recipient-list-invite"));
        let may = self.settings.group.invite_mode == crate::bridge::InviteMode::Auto;
        if !is_list || !may || self.refers_all {
            return false;
        }
        self.refers_all = true;
        self.call(now, None);
        true
    }

    /// The focus knows the session no more: the factory makes another one of it (CPM B.2.3.4.2).
    pub(super) fn restart(&mut self, now: Instant) {
        self.begin_anew();
        self.call(now, None);
    }

    /// Asks the factory from now on.
    pub(super) fn begin_anew(&mut self) {
        self.asking = Asking::Restarting;
        self.revives = false;
        self.take_host();
        self.attempt.retried = false;
        self.attempt.is_redirected = false;
        self.attempt.targets.clear();
        self.refers_all = self.settings.group.invite_mode == crate::bridge::InviteMode::Refer;
    }

    fn call_next_target(&mut self, now: Instant) -> bool {
        match self.attempt.targets.pop_front() {
            Some(target) => {
                self.call(now, Some(target));
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
                self.timers.invitation = None;
                true
            }
            // The leg has taken a longer interval already, where one was named.
            Retry::WithoutOption
            | Retry::WithOption
            | Retry::LongerTimer
            | Retry::LongerExpiry
            | Retry::WithSecurity => false,
        }
    }

    /// Our INVITE got no final response.
    pub(super) fn no_answer(&mut self, now: Instant, end: LegEnd) {
        if self.chat.state() == GroupState::Cancelling {
            self.withdrawn(now);
        } else if self.revives {
            self.restart(now);
        } else if !self.call_next_target(now) {
            self.finish(now, GroupEnd::Leg(end), &[]);
        }
    }

    pub(super) fn invitation_timed_out(&mut self, now: Instant) {
        match self.chat.state() {
            GroupState::Invited => {
                let code = self.settings.no_answer_code;
                self.legs.current.reject(now, code, Vec::new());
                self.finish(now, GroupEnd::Leg(LegEnd::NoReaction), &[]);
            }
            GroupState::Connecting | GroupState::Rejoining => {
                self.legs.current.cancel(now, None);
                // The user is told now; the wire sorts itself out.
                self.finish(now, GroupEnd::Leg(LegEnd::InvitationTimeout), &[]);
            }
            GroupState::Cancelling
            | GroupState::Connected
            | GroupState::Apart
            | GroupState::Ended => {}
        }
    }

    /// Goes on with what has waited for our relays, or tells the focus of another way.
    pub(super) fn way_found(&mut self, now: Instant) {
        let is_awaited = self.timers.relay.take().is_some();
        match self.chat.state() {
            GroupState::Connecting | GroupState::Rejoining if is_awaited => self.call(now, None),
            GroupState::Connected if is_awaited => self.answer_invitation(now),
            GroupState::Connected => {
                let offer = self.line.offer();
                self.legs.current.offer(now, offer);
            }
            GroupState::Invited
            | GroupState::Connecting
            | GroupState::Rejoining
            | GroupState::Cancelling
            | GroupState::Apart
            | GroupState::Ended => {}
        }
    }

    /// Ends what our relays do not let in.
    pub(super) fn way_missed(&mut self, now: Instant, code: u16) {
        if self.leaving.is_some() {
            return self.part(now);
        }
        let was_awaited = self.timers.relay.take().is_some();
        match self.chat.state() {
            GroupState::Connected if was_awaited => {
                let status = Status::SERVER_INTERNAL_ERROR;
                self.legs.current.reject(now, status, Vec::new());
                self.end_without_relay(now, code);
            }
            GroupState::Connecting if !was_awaited => {
                self.legs.current.cancel(now, None);
                self.end_without_relay(now, code);
            }
            GroupState::Connecting => self.end_without_relay(now, code),
            GroupState::Rejoining => {
                if !was_awaited {
                    self.legs.current.cancel(now, None);
                }
                self.stay_out(now);
            }
            GroupState::Connected if self.successor.keep(Held::Relay(code)) => {}
            GroupState::Connected => {
                let end = GroupEnd::Leg(LegEnd::RelayFailed);
                self.break_off(now, Reason::sip(480, "Bearer unavailable"), end);
            }
            GroupState::Invited
            | GroupState::Cancelling
            | GroupState::Apart
            | GroupState::Ended => {}
        }
    }

    fn end_without_relay(&mut self, now: Instant, code: u16) {
        let words = group_outcomes::on(GroupEnd::Leg(LegEnd::RelayFailed)).describe(&[]);
        let words = format!("{words}; {}", description::msrp(code, None));
        self.end(now, EventType::SessionEnded, words);
    }

    /// Tells whether no INVITE of ours is on the wire, so that nobody has to be told of its end.
    pub(super) fn is_between_invites(&self) -> bool {
        let waits = [self.timers.retry, self.timers.relay, self.timers.probe];
        waits.iter().any(Option::is_some)
    }

    /// Tells whether the answer to an INVITE of ours is awaited. One that comes after the user was
    /// told how it ended, or is about to ask again, is for nobody.
    pub(super) fn awaits_focus(&self) -> bool {
        let asks = match self.chat.state() {
            GroupState::Connecting | GroupState::Rejoining | GroupState::Cancelling => true,
            GroupState::Invited | GroupState::Connected | GroupState::Apart | GroupState::Ended => {
                false
            }
        };
        asks && !self.is_between_invites()
    }
}
