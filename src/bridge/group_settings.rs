//! How groups behave: what configuration decides about them, beside what holds for all sessions.

use std::time::Duration;

use super::settings::Settings;
use crate::chat::GroupRules;
use crate::sip::{Hop, MethodForm, Status, Uri};

/// How groups behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSettings {
    /// The URI at which a conference is asked for; without one, `conference-factory` at the home
    /// domain.
    pub factory: Option<Uri>,
    /// The host beside us, where the groups of our users are hosted by themselves; without one, by
    /// the network.
    pub host: Option<OwnHost>,
    /// How the participants of a new group are named to the focus.
    pub invite_mode: InviteMode,
    /// Where a REFER goes.
    pub refer_mode: ReferMode,
    /// Whether one REFER may name several (RFC 5368); a focus that does not know that is told one by
    /// one.
    pub refer_many: bool,
    /// How the BYE in a REFER is written for one participant.
    pub bye_form: MethodForm,
    /// How a focus is told which 1-1 session a group extends.
    pub extend_mode: ExtendMode,
    /// Which reports of a sent message its sender is told.
    pub reports: GroupReports,
    /// Whether the user is told of an invitee who does not react.
    pub report_failed_invitees: bool,
    /// Whether the session ends for its originator who leaves it.
    pub ends_with_originator: bool,
    /// How many participants a group has at most, those who have gone included.
    pub participants: usize,
    /// How long an application waits for what a focus says to a REFER or to a user who joins again.
    pub refer_wait: Duration,
    /// How long a user who is not in may join again.
    pub rejoin_window: Duration,
    /// Whether a user who was lost is brought back, once, before it is told that the session has
    /// ended.
    pub auto_rejoin: bool,
    /// Whether it is asked first whether there is a conference to join again.
    pub rejoin_probe: bool,
    /// How long a conference that is over waits for the BYE that must follow.
    pub bye_wait: Duration,
    /// The time that a subscription to a conference asks for.
    pub subscribe: Duration,
    /// How an invitation is refused when its user declines.
    pub decline_code: Status,
}

/// A focus of our own, which hosts the groups that our users begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnHost {
    /// The URI at which it is asked for a room.
    pub factory: Uri,
    /// Where it is: no core stands between.
    pub hop: Hop,
}

/// How the participants of a new group are named to the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InviteMode {
    /// With a list in the INVITE (RFC 5366), and one by one where the focus does not know that.
    #[default]
    Auto,
    /// With a list in the INVITE.
    List,
    /// With a REFER for each (RFC 4579 section 5.5).
    Refer,
}

/// Where a REFER goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReferMode {
    /// Into the dialog of the session, and outside of it where the focus does not take it there.
    #[default]
    InDialog,
    /// Outside of any dialog, as RFC 4579 section 5.5 has it.
    OutOfDialog,
}

/// How a focus is told which 1-1 session a group extends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExtendMode {
    /// The entry of the other side says so (Session-Replaces), where the session has an id for it.
    #[default]
    SessionReplaces,
    /// The other side is one of the list.
    List,
}

/// Which reports of a message to a group its sender is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupReports {
    /// None (TS Chat 5.2.2.9, the note).
    #[default]
    Off,
    /// Those of each participant (TS Chat Table 2).
    PerUser,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            factory: None,
            host: None,
            invite_mode: InviteMode::default(),
            refer_mode: ReferMode::default(),
            refer_many: true,
            bye_form: MethodForm::Parameter,
            extend_mode: ExtendMode::default(),
            reports: GroupReports::default(),
            report_failed_invitees: false,
            ends_with_originator: false,
            participants: 250,
            refer_wait: Duration::from_secs(3),
            rejoin_window: Duration::from_secs(3600),
            auto_rejoin: false,
            rejoin_probe: false,
            bye_wait: Duration::from_secs(5),
            subscribe: Duration::from_secs(3600),
            decline_code: Status::DECLINE,
        }
    }
}

impl Settings {
    /// Gives the URI at which a conference is asked for; `None` where the domain makes none.
    pub(super) fn factory(&self) -> Option<Uri> {
        if let Some(host) = &self.group.host {
            return Some(host.factory.clone());
        }
        let home = || Uri::sip(Some("conference-factory"), &self.realm.domain).ok();
        self.group.factory.clone().or_else(home)
    }

    /// Gives what the rules of a group go by.
    pub(super) fn group_rules(&self) -> GroupRules {
        GroupRules {
            participants: self.group.participants,
            ends_with_originator: self.group.ends_with_originator,
        }
    }
}
