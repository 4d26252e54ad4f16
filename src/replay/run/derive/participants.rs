//! How the participants of a group stand by what its focus says (RFC 4575), and which of it must be
//! told.
//!
//! The documents are put together by [`View`], and what a status means stands in
//! [`roster_outcomes`]. Where a document before another one is missing, nobody knows what the bridge
//! makes of it: from there to the next whole one, somebody may stand, and have been told to stand, in
//! several ways.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::script::user;
use super::news::{News, stands};
use crate::bridge::roster_outcomes::{self, Seen};
use crate::chat::ParticipantStatus::{self, Connected, Disconnected, Invited};
use crate::chat::{Parting, Standing};
use crate::payload::Conference;
use crate::payload::conference::{Extent, Merged, User, View};

/// The participants of a group.
#[derive(Debug)]
pub(super) struct Participants {
    own: String,
    entries: BTreeMap<String, Entry>,
    view: View,
    /// Whether a document of the subscription was read.
    is_told: bool,
    /// Whether a document is missing.
    is_unsure: bool,
}

/// Somebody who takes part, has taken part, or shall.
#[derive(Debug)]
struct Entry {
    address: String,
    is_own: bool,
    /// How they may stand: in one way, but for what the trace leaves open.
    now: Ways,
    /// How they may have been told to stand; in no way, as long as nothing was told.
    told: Ways,
    /// Whether they are invited no more when the group begins anew.
    is_gone_for_good: bool,
}

/// What follows from a document.
#[derive(Debug, PartialEq)]
pub(super) enum Judged {
    /// It is read, and this must be told of it.
    Read(Option<News>),
    /// A document before it is missing: this may be told of it.
    Unsure(Option<News>),
    /// It is old, or cannot be read.
    Nothing,
    /// The conference is over.
    Over,
}

impl Participants {
    pub(super) fn new(own: &str) -> Self {
        Self {
            own: View::key(own),
            entries: BTreeMap::new(),
            view: View::default(),
            is_told: false,
            is_unsure: false,
        }
    }

    /// Takes how somebody stands.
    pub(super) fn note(&mut self, who: &str, status: ParticipantStatus) {
        let standing = match status {
            Invited => Standing::Invited,
            Connected => Standing::Connected,
            Disconnected => Standing::Gone(Parting::Unexplained),
        };
        self.stand(&View::key(who), who, standing);
    }

    /// Takes how somebody stands by the table.
    pub(super) fn note_seen(&mut self, who: &str, seen: &Seen) {
        let key = View::key(who);
        let before = self.entries.get(&key).and_then(|entry| entry.now.only());
        if let Some(standing) = roster_outcomes::row_of(seen, before).standing {
            self.stand(&key, who, standing);
        }
    }

    /// Counts all that is known as told.
    pub(super) fn hush(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.told = entry.now);
    }

    /// Invites all again who are not gone for good: the network names those who are `listed`, and
    /// whether others are invited as well is open.
    pub(super) fn invite_again(&mut self, listed: &[String]) {
        let listed: Vec<String> = listed.iter().map(|who| View::key(who)).collect();
        for (key, entry) in &mut self.entries {
            let is_listed = listed.contains(key);
            if !entry.is_own && (is_listed || !entry.is_gone_for_good) {
                entry.now = if is_listed { Ways::of(Invited) } else { entry.now.or(Invited) };
            }
        }
    }

    /// Begins to read a subscription: another one counts anew.
    pub(super) fn subscribe(&mut self) {
        (self.view, self.is_told, self.is_unsure) = (View::default(), false, false);
    }

    /// Gives what must be told of those who stand otherwise than was told, and counts them as told.
    pub(super) fn news(&mut self) -> Option<News> {
        let (mut must, mut may) = (Vec::new(), false);
        for entry in self.entries.values_mut() {
            // How the user stands, no document has to say.
            let is_sure = !self.is_unsure || entry.is_own;
            match entry.now.only() {
                Some(now) if is_sure && !entry.told.has(now) => must.push(entry.shown(now)),
                now => may |= now.is_none() || now != entry.told.only(),
            }
            entry.told = if is_sure { entry.now } else { entry.told.and(entry.now) };
        }
        let is_open = must.is_empty();
        if is_open && !may {
            return None;
        }
        let standing = self.entries.values().flat_map(Entry::all_shown).collect();
        let news = News::participants(must, standing);
        Some(if is_open { news.perhaps() } else { news })
    }

    /// Reads a document.
    pub(super) fn read(&mut self, document: &[u8]) -> Judged {
        let Ok(document) = Conference::parse(document) else { return Judged::Nothing };
        let is_whole = document.state == Extent::Full;
        let is_first = !std::mem::replace(&mut self.is_told, true);
        self.is_unsure |= is_first && !is_whole;
        let mut merged = self.view.merge(&document);
        if merged == Merged::Gap {
            self.is_unsure = true;
            merged = self.view.take(&document);
        }
        match merged {
            Merged::Stale => Judged::Nothing,
            Merged::Gap | Merged::Over => Judged::Over,
            Merged::Taken { changed, gone } => {
                // Who is in it stands as it says, whatever was missing before.
                self.is_unsure &= !is_whole;
                self.take((changed, gone), is_whole);
                let news = self.news();
                if self.is_unsure { Judged::Unsure(news) } else { Judged::Read(news) }
            }
        }
    }

    fn take(&mut self, (changed, gone): (Vec<String>, Vec<User>), is_whole: bool) {
        for user in gone {
            self.see(&user, Seen::NO_MORE);
        }
        let all: Vec<User> = match is_whole {
            true => self.view.users().collect(),
            false => changed.iter().filter_map(|key| self.view.user(key)).collect(),
        };
        for user in &all {
            if let Some(seen) = Seen::of(user) {
                self.see(user, seen);
            }
        }
        if is_whole {
            let named: Vec<String> = all.iter().map(|user| self.key_of(user)).collect();
            let missing = self.entries.iter_mut().filter(|(key, _)| !named.contains(key));
            for (_, entry) in missing.filter(|(_, entry)| !entry.is_own) {
                entry.now = entry.now.instead(Connected, Disconnected);
            }
        }
    }

    fn see(&mut self, seen_user: &User, seen: Seen) {
        let key = self.key_of(seen_user);
        // Whether we are in, our own dialog says.
        if key == self.own {
            return;
        }
        let before = self.entries.get(&key).and_then(|entry| entry.now.only());
        if let Some(standing) = roster_outcomes::row_of(&seen, before).standing {
            self.stand(&key, &user(&seen_user.entity), standing);
        }
    }

    fn key_of(&self, user: &User) -> String {
        if user.is_own { self.own.clone() } else { View::key(&user.entity) }
    }

    fn stand(&mut self, key: &str, address: &str, standing: Standing) {
        let status = match standing {
            Standing::Invited => Invited,
            Standing::Connected => Connected,
            Standing::Gone(_) | Standing::NeverCame => Disconnected,
        };
        let is_unsure = self.is_unsure;
        if status == Disconnected && !self.entries.contains_key(key) {
            // Who never was there has not gone.
            return;
        }
        let is_own = *key == self.own;
        let entry = self.entries.entry(key.to_owned()).or_insert_with(|| Entry {
            address: shown(address),
            is_own,
            now: Ways::default(),
            told: Ways::default(),
            is_gone_for_good: false,
        });
        // The first explanation of a parting is the better one.
        if !entry.now.has(status) || status != Disconnected {
            entry.is_gone_for_good = standing == Standing::Gone(Parting::ForGood);
        }
        let is_certain = !is_unsure || is_own;
        entry.now = if is_certain { Ways::of(status) } else { entry.now.or(status) };
        // Who never came is mentioned in no notification, as long as they were not there.
        if standing == Standing::NeverCame && entry.told.only() != Some(Connected) {
            entry.told = entry.now;
        }
    }
}

impl Entry {
    fn shown(&self, status: ParticipantStatus) -> Value {
        stands(&self.address, status, self.is_own)
    }

    fn all_shown(&self) -> impl Iterator<Item = Value> + '_ {
        let all = ParticipantStatus::ALL.into_iter();
        all.filter(|status| self.now.has(*status)).map(|status| self.shown(status))
    }
}

/// Gives the address under which the API shows somebody: who hides has none of their own.
fn shown(address: &str) -> String {
    match address.contains("anonymous@") || address.contains("anonymous.invalid") {
        true => "sip:anonymous@anonymous.invalid".to_owned(),
        false => address.to_owned(),
    }
}

/// The ways in which somebody may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Ways([bool; 3]);

impl Ways {
    fn of(status: ParticipantStatus) -> Self {
        Self::default().or(status)
    }

    fn has(self, status: ParticipantStatus) -> bool {
        self.0[place(status)]
    }

    fn or(mut self, status: ParticipantStatus) -> Self {
        self.0[place(status)] = true;
        self
    }

    fn and(self, other: Self) -> Self {
        let all = ParticipantStatus::ALL.into_iter();
        all.filter(|status| other.has(*status)).fold(self, Self::or)
    }

    /// Puts one way in the place of another.
    fn instead(mut self, old: ParticipantStatus, new: ParticipantStatus) -> Self {
        if !std::mem::replace(&mut self.0[place(old)], false) {
            return self;
        }
        self.or(new)
    }

    /// Gives the way where there is only one.
    fn only(self) -> Option<ParticipantStatus> {
        let mut all = ParticipantStatus::ALL.into_iter().filter(|status| self.has(*status));
        all.next().filter(|_| all.next().is_none())
    }
}

fn place(status: ParticipantStatus) -> usize {
    match status {
        Invited => 0,
        Connected => 1,
        Disconnected => 2,
    }
}
