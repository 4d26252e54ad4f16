//! How the user and the group part, for a while or for good.
//!
//! SIP and MSRP go different ways, and a BYE may overtake what was said before it. So nobody parts
//! before the messages sent last are answered, or have waited for [`Settings::leave_wait`]. What is
//! left then, [`group_outcomes`] says.
//!
//! [`Settings::leave_wait`]: crate::bridge::Settings::leave_wait

use std::time::Instant;

use super::{Group, Timers};
use crate::bridge::dealings::Output;
use crate::bridge::description::{self, described};
use crate::bridge::group_outcomes::{self, Asking, GroupEnd, Left};
use crate::bridge::renewal::{Held, Renewable};
use crate::bridge::sip_outcomes::LegEnd;
use crate::chat::{
    Answer, Ending, EventType, Extension, GroupState, ParticipantStatus, Parting, Refusal, Standing,
};
use crate::sip::{LegEvent, Reason, Status};

/// How a participation will end, once what was said last is answered.
#[derive(Debug, Clone)]
pub(super) struct Farewell {
    end: GroupEnd,
    description: String,
    /// Whether the focus has said BYE; else it is ours to say.
    is_said: bool,
}

impl Group {
    /// Leaves once the messages sent last are answered: a BYE would overtake them.
    pub(super) fn begin_leaving(&mut self, now: Instant, end: GroupEnd) {
        let unavailable = Status::TEMPORARILY_UNAVAILABLE;
        let description = group_outcomes::on(end).describe(&[]);
        let farewell = Farewell { end, description, is_said: false };
        if self.waits_to_stop() {
            // The last answers are awaited already.
            self.leaving = Some(farewell);
            return;
        }
        if self.leaving.is_some() || self.chat.state() != GroupState::Connected {
            return self.release_successor(now, unavailable);
        }
        let (successor, places) = self.successor();
        let held = successor.give_up(now, unavailable, places);
        if let Some(held) = held.as_ref().and_then(dissolution) {
            // There is nothing left to be left, and no way back.
            return self.leg_event(now, held);
        }
        self.leaving = Some(farewell);
        match held {
            Some(Held::Leg(event @ LegEvent::Ended { .. })) => self.leg_event(now, event),
            // The user has left before it was told of that, and so never is.
            Some(Held::Leg(_) | Held::Media(_) | Held::Relay(_)) => self.part(now),
            None if self.line.msrp.is_idle() => self.part(now),
            None => self.timers.leave = Some(now + self.settings.leave_wait),
        }
    }

    /// Takes the BYE of the focus, which may have overtaken the answers to the messages sent last.
    pub(super) fn begin_being_left(
        &mut self,
        now: Instant,
        end: GroupEnd,
        reasons: &[description::Reason<'_>],
    ) {
        let description = group_outcomes::on(end).describe(reasons);
        let end = match &self.leaving {
            // The user was about to go: it is told of that.
            Some(leaving) => leaving.end,
            None => end,
        };
        let farewell = Farewell { end, description, is_said: true };
        let is_bound = self.is_bound();
        let waits = self.awaits_answers() || self.awaits_roster(&farewell);
        if self.chat.state() == GroupState::Connected && waits {
            // This is the explanation, and nothing is left to be connected.
            (self.timers.msrp, self.timers.explanation) = (None, None);
            if !is_bound {
                self.line.msrp.close(now);
            }
            self.leaving = Some(farewell);
            self.timers.leave.get_or_insert(now + self.settings.leave_wait);
        } else {
            self.leaving = None;
            self.finish_as(now, farewell.end, farewell.description);
        }
    }

    fn is_bound(&self) -> bool {
        self.timers.msrp.is_none() && self.timers.explanation.is_none()
    }

    /// Tells whether answers to messages may still come. Where there is no connection, none do.
    fn awaits_answers(&self) -> bool {
        self.is_bound() && !self.line.msrp.is_idle()
    }

    /// Tells whether the focus has said goodbye, and what was said last is still to be answered.
    pub(super) fn is_left(&self) -> bool {
        self.leaving.as_ref().is_some_and(|farewell| farewell.is_said)
    }

    /// Tells whether the last answers are awaited because the server stops, and for nothing else:
    /// neither has the user left, nor the focus.
    pub(super) fn waits_to_stop(&self) -> bool {
        let stops = |it: &Farewell| it.end == GroupEnd::Leg(LegEnd::ShuttingDown) && !it.is_said;
        self.leaving.as_ref().is_some_and(stops)
    }

    /// Tells whether the focus is still to say who has gone: the BYE of a conference that is over
    /// may overtake that, and the user hears of it first (TS Chat Figure 12).
    fn awaits_roster(&self, farewell: &Farewell) -> bool {
        farewell.is_said && farewell.end == GroupEnd::Dissolved && self.watch.stands()
    }

    /// Tells whether nothing is left to wait for by who leaves or was left.
    pub(super) fn may_part(&self) -> bool {
        let awaits = self.leaving.as_ref().is_some_and(|farewell| self.awaits_roster(farewell));
        self.line.msrp.is_idle() && !awaits
    }

    /// Parts: the last answers are there or given up. Either the focus has said goodbye, or we do.
    pub(super) fn part(&mut self, now: Instant) {
        self.timers.leave = None;
        let Some(Farewell { end, description, is_said }) = self.leaving.take() else { return };
        if !is_said {
            if self.timers.relay.is_some() {
                // The focus has heard of no acceptance.
                let code = self.settings.group.decline_code;
                self.legs.current.reject(now, code, Vec::new());
            } else if end == GroupEnd::Leg(LegEnd::ShuttingDown) {
                self.hang_up(now, Reason::sip(480, "Temporarily Unavailable"));
            } else {
                self.hang_up(now, Reason::sip(200, "Call completed"));
            }
        }
        self.finish_as(now, end, description);
    }

    /// Says BYE, where there is somebody to say it to, and remembers that its answer is awaited.
    pub(super) fn hang_up(&mut self, now: Instant, reason: Reason) {
        self.goodbye = !self.legs.current.is_over();
        self.legs.current.bye(now, Some(reason));
    }

    /// Ends the participation as the table says of `end`, and tells the focus why.
    pub(super) fn break_off(&mut self, now: Instant, reason: Reason, end: GroupEnd) {
        if self.leaving.is_none() {
            self.hang_up(now, reason);
        }
        self.finish(now, end, &[]);
    }

    /// Ends the participation because its MSRP side is gone, and says so to the focus.
    pub(super) fn media_failed(&mut self, now: Instant, end: LegEnd) {
        if self.successor.keep(Held::Media(end)) {
            return;
        }
        let reason = if end == LegEnd::MediaRemoved {
            Reason::sip(200, "Call completed")
        } else {
            Reason::sip(480, "Bearer unavailable")
        };
        self.break_off(now, reason, GroupEnd::Leg(end));
    }

    /// The MSRP connection does not come about. Who is about to part needs none any more.
    pub(super) fn not_connected(&mut self, now: Instant) {
        match self.leaving {
            Some(_) => self.line.msrp.close(now),
            None => self.media_failed(now, LegEnd::MsrpConnectFailed),
        }
    }

    /// The BYE that would have explained an end has not come.
    pub(super) fn unexplained(&mut self, now: Instant, end: GroupEnd) {
        if self.leaving.is_some() {
            return self.line.msrp.close(now);
        }
        self.break_off(now, Reason::sip(480, "Bearer unavailable"), end);
    }

    /// Gives the BYE that explains an end its time, once.
    pub(super) fn await_explanation(&mut self, now: Instant, end: GroupEnd) {
        if self.leaving.is_some() {
            return;
        }
        let wait = match end {
            GroupEnd::Inactive => self.settings.group.bye_wait,
            GroupEnd::Leg(_)
            | GroupEnd::Dissolved
            | GroupEnd::LeftForNow
            | GroupEnd::EndedByOriginator
            | GroupEnd::WindowClosed => self.settings.msrp_grace,
        };
        if self.timers.explanation.is_none() {
            self.timers.explanation = Some((now + wait, end));
            self.timers.patience = None;
        }
        self.postpone_explanation();
    }

    /// Ends the participation as the table says of `end`. Who is about to leave, or was left, waits for
    /// nothing more, and is out as it was to be: `end` is no news of it.
    pub(super) fn finish(
        &mut self,
        now: Instant,
        end: GroupEnd,
        reasons: &[description::Reason<'_>],
    ) {
        if self.leaving.is_some() {
            return self.part(now);
        }
        let description = group_outcomes::on(end).describe(reasons);
        self.finish_as(now, end, description);
    }

    fn finish_as(&mut self, now: Instant, end: GroupEnd, description: String) {
        let was_in = self.chat.state() == GroupState::Connected;
        match self.chat.state() {
            GroupState::Rejoining => return self.stay_out(now),
            GroupState::Cancelling => return self.withdrawn(now),
            // How it ended was told: what the wire says of it comes late.
            GroupState::Apart | GroupState::Ended => return,
            GroupState::Invited | GroupState::Connecting | GroupState::Connected => {}
        }
        let event = end.event();
        let left = group_outcomes::on(end).left;
        let own_parting = match (left, end) {
            (Left::TheWayBackQuietly, _) | (_, GroupEnd::EndedByOriginator) => Parting::ForGood,
            (Left::Nothing | Left::TheWayBack | Left::TheWayBackAtOnce, _) => Parting::Unexplained,
        };
        if was_in && (left != Left::Nothing || end == GroupEnd::EndedByOriginator) {
            self.own_gone(now, own_parting);
        }
        match left {
            Left::TheWayBackAtOnce if was_in && self.may_come_back(now) => {
                self.go_apart(now, None);
                self.come_back(now, (event, description));
            }
            Left::TheWayBack | Left::TheWayBackAtOnce if was_in && !self.stopping => {
                self.go_apart(now, Some((event, description)))
            }
            Left::TheWayBackQuietly if was_in && !self.stopping => self.go_apart(now, None),
            // Who has left is told of nothing but that.
            Left::TheWayBackQuietly if was_in => self.close(now, None),
            Left::Nothing | Left::TheWayBack | Left::TheWayBackAtOnce | Left::TheWayBackQuietly => {
                self.close(now, Some((event, description)));
            }
        }
    }

    /// Tells the user's applications that it is out.
    fn own_gone(&mut self, now: Instant, parting: Parting) {
        let own = self.identity_of(&self.user.clone());
        self.chat.participants_mut().note(&own, Standing::Gone(parting), None);
        self.drop_line(now);
        self.tell_participants(now);
    }

    /// The user is out, and may come back for a while.
    fn go_apart(&mut self, now: Instant, told: Option<(EventType, String)>) {
        if !self.chat.part_for_now() {
            return;
        }
        self.leave_off(now);
        self.outputs.extend(self.legs.end_call());
        if let Some((event, description)) = told {
            self.tell_event(now, event, description);
        }
        self.timers = Timers { forget: self.timers.forget, ..Timers::default() };
        self.timers.window = Some(now + self.settings.group.rejoin_window);
    }

    /// The user is not let in again: as it was, for the rest of a new window.
    pub(super) fn stay_out(&mut self, now: Instant) {
        if !self.chat.part_for_now() {
            return;
        }
        self.leave_off(now);
        let told = self.owed_event("the group does not let the user in".to_owned());
        if let Some(answer) = self.rejoin.take() {
            self.answer_later(answer, Err(Refusal::NoSession));
        }
        if let Some((event, description)) = told.filter(|_| self.heard) {
            self.tell_event(now, event, description);
        }
        self.timers = Timers::default();
        self.timers.window = Some(now + self.settings.group.rejoin_window);
    }

    /// Ends the session of a user whom the focus neither lets in nor ever will.
    pub(super) fn gone_for_good(&mut self, now: Instant, description: String) {
        let told = match self.asking {
            Asking::Opening => Some((EventType::SessionEnded, description)),
            Asking::Rejoining | Asking::Restarting => self.owed_event(description),
        };
        self.close(now, told);
    }

    /// Gives what a user is to be told who is not let in again. Who waits for the answer has it from
    /// that; and who was told that it is under way, or nothing yet, is told how it ended.
    fn owed_event(&mut self, description: String) -> Option<(EventType, String)> {
        let owed = self.way_back.owed.take();
        let owed = owed.unwrap_or((EventType::SessionEnded, description));
        self.rejoin.is_none().then_some(owed)
    }

    /// Answers the user who is in again.
    pub(super) fn answer_rejoin(&mut self) {
        self.timers.rejoin = None;
        self.way_back.owed = None;
        if let Some(answer) = self.rejoin.take() {
            let present = self.chat.participants().present();
            self.answer_later(answer, Ok(Answer::Participants(present)));
        }
    }

    /// Ends the session for good: what is open fails first, the one terminal event comes last.
    pub(super) fn close(&mut self, now: Instant, told: Option<(EventType, String)>) {
        if self.is_over() || self.ending {
            return;
        }
        self.ending = true;
        self.leave_off(now);
        if let Some(answer) = self.rejoin.take() {
            self.answer_later(answer, Err(Refusal::NoSession));
        }
        let (event, description) = told.clone().unwrap_or((EventType::SessionEnded, String::new()));
        let ending = self.chat.finish(Ending { event, description });
        if let Some(Ending { event, description }) = ending.filter(|_| self.heard && told.is_some())
        {
            self.tell_event(now, event, description);
        }
        self.timers = Timers::default();
        if self.heard && !self.stopping {
            self.timers.forget = Some(now + self.settings.linger);
        }
    }

    /// Stops all that goes on while the user is in.
    fn leave_off(&mut self, now: Instant) {
        self.drop_successor(now, Status::TEMPORARILY_UNAVAILABLE);
        self.drop_line(now);
        self.give_up_referrals();
        self.watch.leave(now);
        self.typists.clear();
        self.leaving = None;
        if self.extends.is_some() {
            self.settle_extension(Extension::Failed);
        }
    }

    fn drop_line(&mut self, now: Instant) {
        self.line.msrp.close(now);
        while self.settle_msrp(now) {}
        self.fail_untaken(now);
    }

    /// The user does not want to come back, or may not any more.
    pub(super) fn forget(&mut self) {
        let event = EventType::SessionEnded;
        let description = group_outcomes::on(GroupEnd::WindowClosed).describe(&[]);
        self.chat.finish(Ending { event, description });
        self.timers = Timers::default();
    }

    /// The user may come back no longer. Nobody is told: the end of its participation was.
    pub(super) fn close_window(&mut self) {
        if self.chat.state() == GroupState::Apart {
            self.forget();
        }
    }

    pub(super) fn stop(&mut self, now: Instant) {
        self.stopping = true;
        let end = GroupEnd::Leg(LegEnd::ShuttingDown);
        let description = group_outcomes::on(end).describe(&[]);
        let unavailable = Status::SERVICE_UNAVAILABLE;
        self.release_successor(now, unavailable);
        match self.chat.state() {
            GroupState::Connecting | GroupState::Rejoining => {
                if !self.is_between_invites() {
                    self.goodbye = true;
                    self.legs.current.cancel(now, None);
                }
            }
            GroupState::Cancelling => self.goodbye = true,
            // A 480 would tell of somebody who cannot be reached.
            GroupState::Invited => self.legs.current.reject(now, unavailable, Vec::new()),
            GroupState::Connected if self.is_left() => self.part(now),
            // Who is leaving leaves as it wanted to, only sooner.
            GroupState::Connected if self.leaving.is_some() => match self.awaits_answers() {
                true => return self.hasten(now),
                false => self.part(now),
            },
            GroupState::Connected if self.timers.relay.is_some() => {
                self.legs.current.reject(now, unavailable, Vec::new());
            }
            GroupState::Connected if self.awaits_answers() => {
                self.leaving = Some(Farewell { end, description, is_said: false });
                return self.hasten(now);
            }
            GroupState::Connected => {
                self.hang_up(now, Reason::sip(480, "Temporarily Unavailable"));
            }
            // Its end was told when the user went out.
            GroupState::Apart => self.forget(),
            GroupState::Ended => {}
        }
        self.close(now, Some((EventType::SessionEnded, description)));
        self.timers.forget = None;
    }

    /// Waits for the last answers no longer than a server that stops may.
    fn hasten(&mut self, now: Instant) {
        let latest = now + self.settings.stop_wait;
        self.timers.leave = Some(self.timers.leave.map_or(latest, |at| at.min(latest)));
    }

    /// Tells whether the user's own entry says that it is in.
    pub(super) fn is_in(&self) -> bool {
        self.chat.own_status() == ParticipantStatus::Connected
    }

    pub(super) fn tell_event(&mut self, now: Instant, event: EventType, description: String) {
        let description = Some(description).filter(|text| !text.is_empty());
        self.tell(now, crate::chat::NoticeKind::Event { event, description, message: None });
    }

    /// Tells the peer of the MSRP connection that it is over, once nothing is awaited of it.
    pub(super) fn msrp_done(&mut self) {
        if self.goodbye {
            self.msrp_closes = true;
        } else {
            self.outputs.push_back(Output::MsrpClose);
        }
    }
}

/// Gives the BYE that has ended the group for all, if that is what was kept.
fn dissolution(held: &Held) -> Option<LegEvent> {
    match held {
        Held::Leg(event @ LegEvent::Ended { reasons }) => {
            let end = group_outcomes::of_bye(&described(reasons));
            (end == GroupEnd::Dissolved).then(|| event.clone())
        }
        Held::Leg(_) | Held::Media(_) | Held::Relay(_) => None,
    }
}
