//! What stands for hosts and message ids of two recordings, so that those of one which stand for each
//! other are the same, and no others are.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::book::Step;
use super::head::Head;
use super::raw::Raw;
use super::rewrite::imdn_id;
use crate::trace::End;

/// Those of one recording.
#[derive(Debug, Clone, Default)]
pub(super) struct Aliases {
    hosts: BTreeMap<IpAddr, String>,
    ids: BTreeMap<String, String>,
    /// Of MSRP messages.
    messages: BTreeMap<String, String>,
    /// Whether whatever host it is has another one in its place.
    are_all_others: bool,
    /// Whether the Contacts are those of a run.
    has_own_contacts: bool,
}

/// Those of two recordings that are compared.
#[derive(Debug, Clone, Default)]
pub(super) struct Pair {
    pub(super) left: Aliases,
    pub(super) right: Aliases,
}

impl Aliases {
    /// Makes those of a run in which all is named as it is.
    pub(super) fn of_own_contacts() -> Self {
        Self { has_own_contacts: true, ..Self::default() }
    }

    /// Gives what a host is shown as.
    pub(super) fn host(&self, host: IpAddr) -> String {
        let host = host.to_canonical();
        match self.hosts.get(&host) {
            Some(alias) => alias.clone(),
            // It holds a stream (RFC 3264 section 8.4), and is nobody's.
            None if self.are_all_others && !host.is_unspecified() => ANY.to_owned(),
            None => host.to_string(),
        }
    }

    /// Gives what all hosts are shown as, however they are named, where each has another one in its
    /// place.
    pub(super) fn name(&self) -> Option<&'static str> {
        self.are_all_others.then_some(ANY)
    }

    /// Gives what the `Message-ID` of an MSRP request is shown as.
    pub(super) fn message<'a>(&'a self, id: &'a str) -> &'a str {
        self.messages.get(id).map_or(id, String::as_str)
    }

    /// Tells whether requests within a dialog go where this run has its Contacts.
    pub(super) fn has_own_contacts(&self) -> bool {
        self.has_own_contacts
    }

    /// Gives what a message id is shown as.
    pub(super) fn id<'a>(&'a self, id: &'a str) -> &'a str {
        self.ids.get(id).map_or(id, String::as_str)
    }
}

impl Pair {
    /// Pairs the hosts and ids of messages that stand for each other: each has one that stands for
    /// it.
    pub(super) fn of<'a>(pairs: impl Iterator<Item = (&'a Step, &'a Step)>) -> Self {
        let mut pair = Self::default();
        for (left, right) in pairs {
            for (left, right) in [(left.from, right.from), (left.to, right.to)] {
                if let (Some(left), Some(right)) = (host(left), host(right)) {
                    pair.learn_host(left, right);
                }
            }
            pair.learn_message(&left.bytes, &right.bytes);
            let id = |step: &Step| imdn_id(Raw::read(&step.bytes).body());
            if let (Some(left), Some(right)) = (id(left), id(right)) {
                pair.learn_id(left, right);
            }
        }
        pair
    }

    /// Gives those of a recording and of a run of it, in which this host stands for all others: a
    /// host is named as it was, or it is one of those that play. The ids of MSRP messages are paired
    /// as the messages of the bridge are.
    pub(super) fn of_run<'a>(
        live: impl Iterator<Item = &'a Step>,
        claimed: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Self {
        let ends = live.flat_map(|step| [step.from, step.to]);
        let hosts = ends.filter_map(host).map(|host| (host, ANY.to_owned())).collect();
        let left = Aliases { are_all_others: true, has_own_contacts: true, ..Aliases::default() };
        let right = Aliases { hosts, has_own_contacts: true, ..Aliases::default() };
        let mut pair = Self { left, right };
        claimed.for_each(|(recorded, heard)| pair.learn_message(recorded, heard));
        pair
    }

    /// Tells whether a host may be named as it was as well.
    pub(super) fn may_stay(&self) -> bool {
        self.left.are_all_others
    }

    fn learn_host(&mut self, left: IpAddr, right: IpAddr) {
        let (of_left, of_right) = (&mut self.left.hosts, &mut self.right.hosts);
        if !of_left.contains_key(&left) && !of_right.contains_key(&right) {
            let alias = format!("(host {})", of_left.len() + 1);
            of_left.insert(left, alias.clone());
            of_right.insert(right, alias);
        }
    }

    /// Learns of two MSRP messages by which ids they are known: reports are about these.
    fn learn_message(&mut self, left: &[u8], right: &[u8]) {
        let id = |bytes: &[u8]| {
            let head = Head::read(bytes);
            let is_sent = bytes.starts_with(b"MSRP ") && head.first_line().ends_with(" SEND");
            head.field("Message-ID").filter(|_| is_sent).map(std::borrow::Cow::into_owned)
        };
        let (Some(left), Some(right)) = (id(left), id(right)) else { return };
        let (of_left, of_right) = (&mut self.left.messages, &mut self.right.messages);
        if !of_left.contains_key(&left) && !of_right.contains_key(&right) {
            let alias = format!("(message {})", of_left.len() + 1);
            of_left.insert(left, alias.clone());
            of_right.insert(right, alias);
        }
    }

    fn learn_id(&mut self, left: String, right: String) {
        let (of_left, of_right) = (&mut self.left.ids, &mut self.right.ids);
        if !of_left.contains_key(&left) && !of_right.contains_key(&right) {
            let alias = format!("(message {})", of_left.len() + 1);
            of_left.insert(left, alias.clone());
            of_right.insert(right, alias);
        }
    }
}

fn host(end: End) -> Option<IpAddr> {
    match end {
        End::At(address) => Some(address.ip().to_canonical()),
        End::Writer | End::Peer => None,
    }
}

const ANY: &str = "*";
