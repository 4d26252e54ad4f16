//! The way back that the bridge finds of itself: whether there is a conference to come back to, and
//! who is lost once is brought back once; and the core that is lost, which leads nowhere.
//!
//! ```text
//!   lost ──▶ Disconnected ──auto_rejoin──▶ INVITE focus ──▶ Connected
//!                                               └──no──▶ SessionEnded
//!   join ──rejoin_probe──▶ SUBSCRIBE ──noresource──▶ INVITE focus, empty list ──no──▶ factory
//!                              └──anything else────▶ INVITE focus
//! ```

use std::time::{Duration, Instant};

use super::Group;
use crate::bridge::InviteMode;
use crate::bridge::group_outcomes::{Asking, GroupEnd};
use crate::bridge::renewal::Renewable;
use crate::bridge::sip_outcomes::LegEnd;
use crate::chat::{EventType, GroupState};
use crate::sip::{Reason, Status};

/// A participation that has lasted so long was a good one: whoever is lost after it may be brought
/// back again.
const GOOD: Duration = Duration::from_secs(600);

/// What the bridge does about it of itself that the user is out.
#[derive(Debug, Default)]
pub(super) struct WayBack {
    /// How the user was lost, to be told if there is no way back.
    pub(super) owed: Option<(EventType, String)>,
    /// When the user was brought back last without having asked for it.
    last: Option<Instant>,
}

/// What is known of a conference that the user wants to join again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probed {
    /// There is none any more.
    Gone,
    /// There is one, or nobody says.
    Unknown,
}

impl Group {
    /// Tells whether the bridge is to bring the user back of itself.
    pub(super) fn may_come_back(&self, now: Instant) -> bool {
        let lately = self.way_back.last.is_some_and(|last| now < last + GOOD);
        self.settings.group.auto_rejoin && self.heard && !self.stopping && !lately
    }

    /// Asks the focus to let the user in again, who has not asked for it. That the session has ended
    /// is told only if the focus does not.
    pub(super) fn come_back(&mut self, now: Instant, told: (EventType, String)) {
        if self.chat.return_unasked() {
            self.way_back = WayBack { owed: Some(told), last: Some(now) };
            self.ask_again(now);
        }
    }

    /// Asks the focus to let the user in again, once it is known that there is one, where that is
    /// to be asked first.
    pub(super) fn ask_again(&mut self, now: Instant) {
        self.timers.window = None;
        (self.asking, self.revives) = (Asking::Rejoining, false);
        self.attempt.retried = false;
        self.attempt.rung = false;
        self.attempt.targets.clear();
        self.new_line(now);
        if self.focus.is_none() {
            return self.probed(now, Probed::Gone);
        }
        if !self.settings.group.rejoin_probe {
            return self.seek_way_or_call(now);
        }
        self.timers.probe = Some(now + self.settings.group.refer_wait);
        self.subscribe(now);
    }

    /// Takes what is known of the conference: of one that is gone, the focus makes another, or the
    /// factory where the focus is gone too.
    pub(super) fn probed(&mut self, now: Instant, probed: Probed) {
        self.timers.probe = None;
        let takes_list = self.settings.group.invite_mode != InviteMode::Refer;
        match probed {
            Probed::Gone if self.focus.is_some() && takes_list => self.revives = true,
            Probed::Gone => self.begin_anew(),
            Probed::Unknown => {}
        }
        self.seek_way_or_call(now);
    }

    /// The core that carries the session is lost. A host beside us needs none.
    pub(super) fn core_lost(&mut self, now: Instant) {
        if self.is_hosted {
            return;
        }
        self.release_successor(now, Status::SERVICE_UNAVAILABLE);
        match self.chat.state() {
            GroupState::Connecting | GroupState::Rejoining if self.is_between_invites() => {}
            GroupState::Connecting | GroupState::Rejoining => self.legs.current.cancel(now, None),
            GroupState::Invited => self.refuse_for_now(now),
            // Its end is known.
            GroupState::Connected if self.leaving.is_some() => return self.part(now),
            GroupState::Connected if self.timers.relay.is_some() => self.refuse_for_now(now),
            // For when the core comes back in time.
            GroupState::Connected => self.hang_up(now, Reason::sip(480, "Bearer unavailable")),
            GroupState::Cancelling | GroupState::Apart | GroupState::Ended => return,
        }
        self.finish(now, GroupEnd::Leg(LegEnd::CoreLost), &[]);
    }

    fn refuse_for_now(&mut self, now: Instant) {
        self.legs.current.reject(now, Status::SERVICE_UNAVAILABLE, Vec::new());
    }
}
