//! The roster of a room: who is in it, is to be, or has been, and what of that is news (RFC 4575).
//!
//! It tells no status but the five that every deployed client knows: pending, dialing-out,
//! dialing-in, connected, disconnected.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;
use crate::payload::conference::{
    Conference, Disconnection, Endpoint, Extent, Joining, Status, User,
};
use crate::payload::resource_list::{CopyControl, Entry, ResourceList};
use crate::sip::Reason;

/// Who is in a room, is to be, or has been.
#[derive(Debug, Default)]
pub(super) struct Roster {
    members: BTreeMap<Address, Member>,
    /// Of whom there is news that nobody has been told.
    changed: BTreeSet<Address>,
    /// How many are there.
    connected: usize,
    /// How many are there, or are to be.
    present: usize,
    /// How many have gone so far.
    partings: u64,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Member {
    /// The URI by which it is told to others.
    entity: String,
    name: Option<String>,
    nickname: Option<String>,
    standing: Standing,
    /// Whether it has ever been there.
    has_come: bool,
    /// The number of its parting; of use while it is gone.
    parting: u64,
    /// Whether it was sent away, and has no business here until it is asked back.
    pub(super) is_banned: bool,
    copy: CopyControl,
    anonymize: bool,
}

/// How somebody stands to the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is to be invited.
    Pending,
    /// It is being invited.
    Invited,
    /// It is there.
    Connected(Joining),
    /// It is there no more, or never came.
    Gone(Disconnection, Option<Reason>),
}

impl Standing {
    /// Tells whether somebody takes a place in the room.
    fn is_present(&self) -> bool {
        !matches!(self, Self::Gone(..))
    }

    fn is_connected(&self) -> bool {
        matches!(self, Self::Connected(_))
    }
}

impl Roster {
    /// Notes how somebody stands now; whoever was not known is known from now on.
    pub(super) fn set(&mut self, user: &Address, entity: impl FnOnce() -> String, now: Standing) {
        let member = self.members.entry(user.clone()).or_insert_with(|| Member {
            entity: entity(),
            name: None,
            nickname: None,
            standing: Standing::Gone(Disconnection::Departed, None),
            has_come: false,
            parting: 0,
            is_banned: false,
            copy: CopyControl::To,
            anonymize: false,
        });
        let count = |standing: &Standing| {
            (usize::from(standing.is_connected()), usize::from(standing.is_present()))
        };
        let (before, after) = (count(&member.standing), count(&now));
        self.connected = self.connected + after.0 - before.0;
        self.present = self.present + after.1 - before.1;
        if member.standing != now {
            self.changed.insert(user.clone());
        }
        if !now.is_present() {
            member.nickname = None;
            self.partings += 1;
            member.parting = self.partings;
        }
        member.has_come |= now.is_connected();
        member.standing = now;
    }

    /// Forgets those who have gone, but `most` of them and the originator, whom every invitation
    /// names: first those who never came, then those who left, then those who were sent away, and of
    /// each those who went first. Gives whom it has forgotten, of which no news is told any more.
    pub(super) fn forget(&mut self, most: usize, originator: &Address) -> BTreeSet<Address> {
        if self.members.len() - self.present <= most {
            return BTreeSet::new();
        }
        let mut gone: Vec<_> = self
            .members
            .iter()
            .filter(|(user, member)| !member.standing.is_present() && *user != originator)
            .map(|(user, member)| {
                ((member.is_banned, member.has_come, member.parting), user.clone())
            })
            .collect();
        gone.sort_unstable();
        gone.truncate(gone.len().saturating_sub(most));
        for (_, user) in &gone {
            self.members.remove(user);
            self.changed.remove(user);
        }
        gone.into_iter().map(|(_, user)| user).collect()
    }

    /// Notes what somebody is called; of a name that is too long, the beginning.
    pub(super) fn set_name(&mut self, user: &Address, name: Option<String>) {
        let name = name.map(|name| match name.char_indices().nth(MAX_NAME) {
            Some((end, _)) => name.get(..end).unwrap_or_default().to_owned(),
            None => name,
        });
        if let (Some(member), Some(name)) = (self.members.get_mut(user), name)
            && member.name.as_ref() != Some(&name)
        {
            member.name = Some(name);
            self.changed.insert(user.clone());
        }
    }

    /// Notes what the others are told of somebody who is invited with them.
    pub(super) fn set_copy(&mut self, user: &Address, entry: &Entry) {
        if let Some(member) = self.members.get_mut(user) {
            (member.copy, member.anonymize) = (entry.copy, entry.anonymize);
        }
        self.set_name(user, entry.display_name.clone());
    }

    /// Gives somebody a nickname, or takes it away.
    ///
    /// # Errors
    /// 425 where somebody else has it (RFC 7701 section 7.1).
    pub(super) fn set_nickname(
        &mut self,
        user: &Address,
        nickname: Option<&str>,
    ) -> Result<(), u16> {
        if let Some(nickname) = nickname {
            let prepared = prepared(nickname);
            let is_taken = |(other, member): (&Address, &Member)| {
                let theirs = member.nickname.as_deref().map(self::prepared);
                other != user && theirs.as_ref() == Some(&prepared)
            };
            if prepared.is_empty() || self.members.iter().any(is_taken) {
                return Err(425);
            }
        }
        let Some(member) = self.members.get_mut(user) else { return Err(403) };
        if member.nickname.as_deref() != nickname {
            member.nickname = nickname.map(str::to_owned);
            self.changed.insert(user.clone());
        }
        Ok(())
    }

    /// Sends somebody away for good, or takes it back.
    pub(super) fn set_banned(&mut self, user: &Address, is_banned: bool) {
        if let Some(member) = self.members.get_mut(user) {
            member.is_banned = is_banned;
        }
    }

    pub(super) fn get(&self, user: &Address) -> Option<&Member> {
        self.members.get(user)
    }

    /// Tells how somebody stands.
    pub(super) fn standing(&self, user: &Address) -> Option<&Standing> {
        self.members.get(user).map(|member| &member.standing)
    }

    /// Tells whether somebody is there, or is to be.
    pub(super) fn is_present(&self, user: &Address) -> bool {
        self.standing(user).is_some_and(Standing::is_present)
    }

    /// Tells whether somebody is there.
    pub(super) fn is_connected(&self, user: &Address) -> bool {
        self.standing(user).is_some_and(Standing::is_connected)
    }

    /// Counts those who are there, or are to be.
    pub(super) fn present(&self) -> usize {
        self.present
    }

    /// Counts those who are there.
    pub(super) fn connected(&self) -> usize {
        self.connected
    }

    /// Tells whether there is news.
    pub(super) fn has_news(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Writes the news, and forgets that they are any; gives with them of whom they are.
    pub(super) fn news(&mut self) -> (BTreeSet<Address>, Conference) {
        let changed = std::mem::take(&mut self.changed);
        let users = changed.iter().filter_map(|user| self.members.get(user)).map(Member::tell);
        let users = users.collect();
        let document = self.document(Extent::Partial, users);
        (changed, document)
    }

    /// Writes all there is for one who may not know of `changed`: how they have gone who are there
    /// no more is told, too.
    pub(super) fn whole(&self, changed: &BTreeSet<Address>) -> Conference {
        let told = self
            .members
            .iter()
            .filter(|(user, member)| member.standing.is_present() || changed.contains(user));
        self.document(Extent::Full, told.map(|(_, member)| member.tell()).collect())
    }

    /// Lists those who are in it or are to be, the originator first, for the eyes of `reader`.
    pub(super) fn list(&self, originator: &Address, reader: &Address) -> ResourceList {
        let first = self.members.get_key_value(originator);
        let others = self.members.iter().filter(|(user, _)| *user != originator);
        let listed = first.into_iter().chain(others).filter(|(user, member)| {
            *user != reader && (member.standing.is_present() || *user == originator)
        });
        let entries = listed.map(|(_, member)| Entry {
            display_name: member.name.clone(),
            copy: member.copy,
            anonymize: member.anonymize,
            ..Entry::to(&member.entity)
        });
        ResourceList { entries: entries.collect() }.history()
    }

    /// Gives the URI by which somebody is told to others.
    pub(super) fn entity(&self, user: &Address) -> Option<&str> {
        self.members.get(user).map(|member| member.entity.as_str())
    }

    fn document(&self, state: Extent, users: Vec<User>) -> Conference {
        Conference {
            state,
            user_count: u32::try_from(self.present).ok(),
            users_state: (state == Extent::Partial).then_some(Extent::Partial),
            users,
            ..Conference::default()
        }
    }
}

impl Member {
    fn tell(&self) -> User {
        let endpoint = Endpoint { entity: self.entity.clone(), ..Endpoint::default() };
        let endpoint = match &self.standing {
            Standing::Pending => Endpoint { status: Some(Status::Pending), ..endpoint },
            Standing::Invited => Endpoint { status: Some(Status::DialingOut), ..endpoint },
            Standing::Connected(joining) => {
                Endpoint { status: Some(Status::Connected), joining: Some(*joining), ..endpoint }
            }
            Standing::Gone(how, why) => Endpoint {
                status: Some(Status::Disconnected),
                disconnection: Some(*how),
                reason: why.as_ref().map(ToString::to_string),
                ..endpoint
            },
        };
        User {
            entity: self.entity.clone(),
            display_text: self.nickname.clone().or_else(|| self.name.clone()),
            endpoints: vec![endpoint],
            ..User::default()
        }
    }
}

/// The longest name that is told to others, in characters: a room of many is to fit into a document.
const MAX_NAME: usize = 128;

/// Prepares a nickname to be compared: white space and case make no other one (RFC 7700 section
/// 2.3).
fn prepared(nickname: &str) -> String {
    nickname.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn user(name: &str) -> Address {
        Address::parse(&format!("sip:{name}@x")).unwrap()
    }

    fn set(roster: &mut Roster, name: &str, standing: Standing) {
        roster.set(&user(name), || format!("sip:{name}@x"), standing);
    }

    #[test]
    fn news_are_told_once_and_those_who_are_gone_are_no_part_of_the_whole() {
        let mut roster = Roster::default();
        set(&mut roster, "a", Standing::Connected(Joining::DialedIn));
        set(&mut roster, "b", Standing::Pending);
        set(&mut roster, "b", Standing::Invited);
        assert_eq!((roster.connected(), roster.present()), (1, 2));
        let (_, news) = roster.news();
        assert_eq!((news.users.len(), news.user_count), (2, Some(2)));
        assert!(!roster.has_news());
        set(&mut roster, "b", Standing::Invited);
        assert!(!roster.has_news(), "nothing new");
        let busy = Standing::Gone(Disconnection::Busy, Some(Reason::sip(486, "Busy Here")));
        set(&mut roster, "b", busy);
        assert_eq!((roster.connected(), roster.present()), (1, 1));
        let (changed, news) = roster.news();
        let [gone] = &news.users[..] else { panic!("one") };
        let reason = gone.endpoints[0].reason.as_deref();
        assert_eq!(reason, Some("SIP;cause=486;text=\"Busy Here\""));
        assert_eq!(roster.whole(&BTreeSet::new()).users.len(), 1);
        assert_eq!(roster.whole(&changed).users.len(), 2, "for one who does not know it");
    }

    #[test]
    fn of_those_who_are_gone_so_many_are_remembered() {
        let mut roster = Roster::default();
        let gone = |how| Standing::Gone(how, None);
        for name in ["left", "host", "booted", "late", "stays"] {
            set(&mut roster, name, Standing::Connected(Joining::DialedIn));
        }
        set(&mut roster, "booted", gone(Disconnection::Booted));
        roster.set_banned(&user("booted"), true);
        set(&mut roster, "host", gone(Disconnection::Departed));
        set(&mut roster, "left", gone(Disconnection::Departed));
        set(&mut roster, "late", gone(Disconnection::Departed));
        for name in ["x1", "x2"] {
            set(&mut roster, name, Standing::Invited);
            set(&mut roster, name, gone(Disconnection::Failed));
        }
        roster.news();
        let forgets = |roster: &mut Roster, most| {
            let forgotten = roster.forget(most, &user("host"));
            forgotten.iter().map(|user| user.key().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(forgets(&mut roster, 6), [""; 0]);
        assert_eq!(forgets(&mut roster, 4), ["sip:x1@x"]);
        assert_eq!(forgets(&mut roster, 2), ["sip:left@x", "sip:x2@x"]);
        assert_eq!(forgets(&mut roster, 1), ["sip:late@x"]);
        assert!(roster.get(&user("booted")).is_some_and(|member| member.is_banned));
        assert_eq!(forgets(&mut roster, 0), ["sip:booted@x"]);
        assert!(roster.get(&user("host")).is_some());
        assert_eq!((roster.connected(), roster.present()), (1, 1));
    }

    #[test]
    fn a_long_name_is_cut() {
        let mut roster = Roster::default();
        set(&mut roster, "a", Standing::Connected(Joining::DialedIn));
        roster.set_name(&user("a"), Some("ä".repeat(MAX_NAME + 1)));
        let (_, news) = roster.news();
        assert_eq!(news.users[0].display_text, Some("ä".repeat(MAX_NAME)));
    }

    #[test]
    fn a_nickname_is_one_users_alone_however_it_is_spelled() {
        let mut roster = Roster::default();
        set(&mut roster, "a", Standing::Connected(Joining::DialedIn));
        set(&mut roster, "b", Standing::Connected(Joining::DialedIn));
        assert_eq!(roster.set_nickname(&user("a"), Some("Alice the  Great")), Ok(()));
        assert_eq!(roster.set_nickname(&user("b"), Some("alice  The great ")), Err(425));
        assert_eq!(roster.set_nickname(&user("b"), Some(" ")), Err(425));
        assert_eq!(roster.set_nickname(&user("a"), Some("ALICE the great")), Ok(()), "its own");
        assert_eq!(roster.set_nickname(&user("a"), None), Ok(()));
        assert_eq!(roster.set_nickname(&user("b"), Some("Alice the Great")), Ok(()));
        set(&mut roster, "b", Standing::Gone(Disconnection::Departed, None));
        assert_eq!(roster.set_nickname(&user("a"), Some("Alice the Great")), Ok(()), "is free");
    }

    #[test]
    fn those_who_are_not_to_be_named_are_not() {
        let mut roster = Roster::default();
        for name in ["d", "a", "b", "c", "e"] {
            set(&mut roster, name, Standing::Invited);
        }
        let bcc = Entry { copy: CopyControl::Bcc, ..Entry::to("") };
        let hidden = Entry { anonymize: true, ..Entry::to("") };
        roster.set_copy(&user("a"), &bcc);
        roster.set_copy(&user("b"), &hidden);
        let list = roster.list(&user("d"), &user("c"));
        let uris: Vec<_> = list.entries.iter().map(|entry| entry.uri.as_str()).collect();
        assert_eq!(uris, ["sip:d@x", "sip:e@x", "sip:anonymous@anonymous.invalid"]);
    }
}
