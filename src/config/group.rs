//! `[group]`: groups, as the client of a conference focus has them.

use std::net::SocketAddr;
use std::time::Duration;

use super::reader::{Choice, Reader};
use super::sections::decline;
use super::values::host;
use crate::bridge::{ExtendMode, GroupReports, InviteMode, ReferMode};
use crate::sip::{MethodForm, Uri};

/// `[group]`: groups, as the client of a conference focus has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Who hosts the groups that users begin.
    pub focus: GroupFocus,
    /// Where a host listens for the MSRP of its groups.
    pub host_listen: SocketAddr,
    /// How many ports are tried, from that of `host_listen` upwards.
    pub host_ports: u16,
    /// The host that participants are told to connect to, where it is not that of `host_listen`.
    pub host_advertise: Option<String>,
    /// The URI of the conference factory; without one, `conference-factory` at the home domain.
    pub factory: Option<Uri>,
    /// How the participants of a new group are named to the focus.
    pub invite_mode: InviteMode,
    /// Where a REFER goes.
    pub refer_mode: ReferMode,
    /// Whether one REFER may name several.
    pub refer_many: bool,
    /// How the BYE in a REFER is written.
    pub bye_form: MethodForm,
    /// How a focus is told which 1-1 session a group extends.
    pub extend_mode: ExtendMode,
    /// Which reports of a sent message its sender is told.
    pub reports: GroupReports,
    /// Whether the user is told of an invitee who does not react.
    pub report_failed_invitees: bool,
    /// Whether the session ends for its originator who leaves it.
    pub originator_ends: bool,
    /// How many participants a group has at most.
    pub max_participants: usize,
    /// How long an application waits for what a focus says.
    pub refer_wait: Duration,
    /// How long a user who is not in may join again.
    pub rejoin_window: Duration,
    /// Whether a user who was lost is brought back, once.
    pub auto_rejoin: bool,
    /// Whether it is asked first whether there is a conference to join again.
    pub rejoin_probe: bool,
    /// How long a conference that is over waits for the BYE that must follow.
    pub bye_wait: Duration,
    /// The time that a subscription to a conference asks for.
    pub subscribe: Duration,
    /// How an invitation is refused when its user declines.
    pub decline_code: u16,
}

impl Group {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut keys = reader.section("group");
        Self {
            focus: keys.choice("focus"),
            host_listen: keys.socket("host_listen", ("127.0.0.1", 0)),
            host_ports: u16::try_from(keys.number("host_ports", 1, 1..=1024)).unwrap_or(1),
            host_advertise: keys.optional("host_advertise", host),
            factory: keys.optional("factory", factory),
            invite_mode: keys.choice("invite_mode"),
            refer_mode: keys.choice("refer_mode"),
            refer_many: keys.flag("refer_many", true),
            bye_form: keys.choice("bye_form"),
            extend_mode: keys.choice("extend_mode"),
            reports: keys.choice("reports"),
            report_failed_invitees: keys.flag("report_failed_invitees", false),
            originator_ends: keys.flag("originator_ends", false),
            max_participants: keys.count("max_participants", 250, 2..=8192),
            refer_wait: keys.seconds("refer_wait_s", 3, 0..=4),
            rejoin_window: keys.seconds("rejoin_window_s", 3600, 0..=31_536_000),
            auto_rejoin: keys.flag("auto_rejoin", false),
            rejoin_probe: keys.flag("rejoin_probe", false),
            bye_wait: keys.seconds("bye_wait_s", 5, 0..=60),
            subscribe: keys.seconds("subscribe_s", 3600, 60..=86_400),
            decline_code: keys.parsed("decline_code", 603, decline),
        }
    }
}

/// Who hosts the groups that users begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupFocus {
    /// A conference focus in the network, which the core knows.
    #[default]
    Network,
    /// The user that begins the group, at the bridge.
    Host,
}

impl Choice for GroupFocus {
    const WORDS: &'static [(&'static str, Self)] =
        &[("network", Self::Network), ("host", Self::Host)];
}

fn factory(text: &str) -> Result<Uri, String> {
    let uri = Uri::parse(text).ok().filter(|uri| uri.is_sip() && !uri.has_headers());
    uri.ok_or_else(|| format!("{text:?} is no sip URI"))
}

impl Choice for InviteMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("list", Self::List), ("refer", Self::Refer)];
}

impl Choice for ReferMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("in-dialog", Self::InDialog), ("out-of-dialog", Self::OutOfDialog)];
}

impl Choice for MethodForm {
    const WORDS: &'static [(&'static str, Self)] =
        &[("parameter", Self::Parameter), ("header", Self::Header)];
}

impl Choice for ExtendMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("session-replaces", Self::SessionReplaces), ("list", Self::List)];
}

impl Choice for GroupReports {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("per-user", Self::PerUser)];
}

#[cfg(test)]
mod tests {
    use super::factory;

    #[test]
    fn a_factory_is_a_sip_uri() {
        assert!(factory("sip:conference-factory@ims.example").is_ok());
        for text in ["tel:+1", "conference", "sip:f@x?Subject=y"] {
            assert!(factory(text).is_err(), "{text}");
        }
    }
}
