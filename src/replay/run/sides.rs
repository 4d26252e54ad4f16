//! Who is who in a recording: which end the bridge stands for, and which ones are played.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use clap::ValueEnum;
use percent_encoding::percent_decode_str;

use super::super::book::{Book, Step};
use super::super::head::Head;
use super::super::said::Sip;
use super::script::user;
use crate::trace::{End, Protocol};

/// Which side of a recording is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// The network's: the bridge stands where the user's device was.
    Network,
    /// The device's: the bridge stands where its network was.
    Ue,
}

/// Who is who.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sides {
    /// The end that the bridge stands for; all others are played.
    pub(super) bridge: End,
    /// How that is known.
    pub(super) why: &'static str,
    /// Whether another end is on the same host, so that a port tells them apart.
    is_shared: bool,
}

impl Sides {
    /// Finds the sides: as somebody wants them, or by what the messages say of their senders.
    pub(super) fn find(book: &Book, side: Side, play: Option<&str>) -> Result<Self, String> {
        if let Some(play) = play {
            return played(book, play).map(|bridge| Self::of(book, bridge, "--play"));
        }
        let Some((bridge, why)) = guess(book) else {
            return Err("no SIP in it that could be played".to_owned());
        };
        match side {
            Side::Network => Ok(Self::of(book, bridge, why)),
            Side::Ue => match partner(book, bridge) {
                Some(bridge) => Ok(Self::of(book, bridge, "--as ue")),
                None => Err("nobody talks to the device".to_owned()),
            },
        }
    }

    fn of(book: &Book, bridge: End, why: &'static str) -> Self {
        let sip = book.steps.iter().filter(|step| step.protocol == Protocol::Sip);
        let is_shared = sip.into_iter().any(|step| {
            host(bridge).is_some_and(|own| {
                host(step.from) == Some(own) && host(step.to) == Some(own) && step.from != step.to
            })
        });
        Self { bridge, why, is_shared }
    }

    /// Tells whether an end is the bridge's. It is a host, with as many ports as it likes: over TCP
    /// it sends from another one than that which it listens on (RFC 3261 section 18.1.1).
    pub(super) fn is_bridge(&self, end: End) -> bool {
        end == self.bridge
            || (!self.is_shared && host(end).is_some_and(|it| host(self.bridge) == Some(it)))
    }

    /// Tells whether the bridge sends that step; `None` where it is not one of its ends.
    pub(super) fn sends(&self, book: &Book, step: &Step) -> Option<bool> {
        let (from, to) = match (step.protocol, step.parties) {
            (Protocol::Msrp, (Some(from), Some(to))) => (from, to),
            (Protocol::Msrp, (Some(end), None)) if self.is_bridge(end) => return Some(true),
            (Protocol::Msrp, (None, Some(end))) if self.is_bridge(end) => return Some(false),
            // One of both offered no path: who is not its peer is the bridge, where the dialog is its.
            (Protocol::Msrp, (from, to)) if from.is_some() != to.is_some() => {
                let (one, other) = book.dialogs.get(step.dialog?)?.ends;
                return (self.is_bridge(one) || self.is_bridge(other)).then_some(to.is_some());
            }
            (Protocol::Msrp | Protocol::Sip, _) => (step.from, step.to),
            (Protocol::Http, _) => return None,
        };
        match (self.is_bridge(from), self.is_bridge(to)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            (false, false) => None,
        }
    }
}

fn host(end: End) -> Option<IpAddr> {
    match end {
        End::At(address) => Some(address.ip().to_canonical()),
        End::Writer | End::Peer => None,
    }
}

fn played(book: &Book, play: &str) -> Result<End, String> {
    let is_played = |end: End| match end {
        End::At(address) => {
            play.parse::<SocketAddr>().is_ok_and(|played| played == address)
                || play.parse::<IpAddr>().is_ok_and(|played| played == address.ip())
        }
        End::Writer | End::Peer => false,
    };
    let mut ends: BTreeSet<End> = BTreeSet::new();
    for dialog in &book.dialogs {
        for (one, other) in [(dialog.ends.0, dialog.ends.1), (dialog.ends.1, dialog.ends.0)] {
            ends.insert(one);
            if is_played(one) {
                return Ok(other);
            }
        }
    }
    let ends: Vec<String> = ends.iter().map(End::to_string).collect();
    Err(format!("nobody at {play} talks SIP in it; there are {}", ends.join(", ")))
}

/// Gives the users for whom the REST calls in a recording are made.
fn callers(book: &Book) -> BTreeSet<String> {
    let calls = book.steps.iter().filter(|step| step.protocol == Protocol::Http);
    let of = |target: &str| {
        let (_, rest) = target.split_once("/chat/")?;
        let name = percent_decode_str(rest.split('/').next()?).decode_utf8().ok()?.into_owned();
        Some(user(&name))
    };
    calls.filter_map(|step| of(&step.note)).take(MAX_CALLERS).collect()
}

fn partner(book: &Book, end: End) -> Option<End> {
    book.dialogs.iter().find_map(|dialog| match dialog.ends {
        (one, other) if one == end => Some(other),
        (other, one) if one == end => Some(other),
        _ => None,
    })
}

/// Guesses which end is the user's: it acts for whom an application makes REST calls, or prefers an
/// identity, while the network asserts one (RFC 3325 section 9). Else whoever begins is the user's.
fn guess(book: &Book) -> Option<(End, &'static str)> {
    let sip = || book.steps.iter().filter(|step| step.protocol == Protocol::Sip);
    let users = callers(book);
    for step in sip().filter(|step| step.label == "INVITE" && !users.is_empty()) {
        let said = Sip::read(&Head::read(&step.bytes));
        for (party, end) in [(said.from, step.from), (said.to, step.to)] {
            if users.contains(&user(&party.address)) {
                return Some((end, "an application calls for its user"));
            }
        }
    }
    for step in sip().filter(|step| step.about.is_none()) {
        let head = Head::read(&step.bytes);
        if head.field("P-Preferred-Identity").is_some() {
            return Some((step.from, "it prefers an identity"));
        }
        if head.field("P-Asserted-Identity").is_some() {
            return Some((step.to, "its peer asserts identities"));
        }
    }
    let first = book.dialogs.first()?;
    Some((first.ends.0, "it begins"))
}

const MAX_CALLERS: usize = 10_000;
