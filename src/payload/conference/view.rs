//! What a subscriber knows of a conference from all the documents that it got (RFC 4575 sections
//! 4.3 and 4.6).

use std::collections::BTreeMap;

use super::{Conference, Endpoint, Extent, User};
use crate::address::Address;

/// The most users that are remembered, whatever a focus tells.
const MAX_USERS: usize = 8192;
/// The most devices of one user that are remembered.
const MAX_ENDPOINTS: usize = 16;

/// The state of a conference as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// The number of the last document that was taken; absent before the first one.
    pub version: Option<u32>,
    /// What the conference is about.
    pub subject: Option<String>,
    /// How many may take part.
    pub maximum_user_count: Option<u32>,
    /// How many take part.
    pub user_count: Option<u32>,
    /// The users by who they are: a number is one, however it is spelled. A document may name one
    /// several times, once for each way in which it takes part.
    users: BTreeMap<String, Vec<User>>,
}

/// What a document has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// It is not newer than what is known, and was passed over.
    Stale,
    /// Documents before it are missing: ask for all of the state. What it says was not taken.
    Gap,
    /// It was taken.
    Taken {
        /// Those that are other than they were, in order of their keys; new ones among them.
        changed: Vec<String>,
        /// Those that are there no more, or with no device any more, as they were last.
        gone: Vec<User>,
    },
    /// The conference is over.
    Over,
}

impl View {
    /// Gives a user by its key, with all its devices.
    #[must_use]
    pub fn user(&self, key: &str) -> Option<User> {
        whole(self.users.get(key)?)
    }

    /// Gives all users, in order of their keys.
    pub fn users(&self) -> impl Iterator<Item = User> {
        self.users.values().filter_map(|ways| whole(ways))
    }

    /// Gives the key of an entity: the number or address that it stands for, so that all spellings
    /// of it are one; or itself, where it is neither.
    #[must_use]
    pub fn key(entity: &str) -> String {
        let bare = entity.split('?').next().unwrap_or_default();
        Address::parse(bare).map_or_else(|_| entity.to_owned(), |address| address.key().to_owned())
    }

    /// Takes a document. The first one is taken whatever it is, as is one without a number.
    pub fn merge(&mut self, document: &Conference) -> Merged {
        if let (Some(known), Some(told)) = (self.version, document.version) {
            if told <= known {
                return Merged::Stale;
            }
            // A whole state closes any gap.
            if document.state == Extent::Partial && told - known > 1 {
                return Merged::Gap;
            }
        }
        self.take(document)
    }

    /// Takes a document in spite of a gap: where nobody answers to the question for the whole.
    pub fn take(&mut self, document: &Conference) -> Merged {
        self.version = document.version.or(self.version);
        let is_whole = document.state == Extent::Full;
        match document.state {
            Extent::Deleted => return Merged::Over,
            Extent::Full | Extent::Partial => {}
        }
        for (known, told) in [
            (&mut self.maximum_user_count, document.maximum_user_count),
            (&mut self.user_count, document.user_count),
        ] {
            *known = if is_whole { told } else { told.or(*known) };
        }
        if is_whole || document.subject.is_some() {
            self.subject.clone_from(&document.subject);
        }
        // In a document of changes a list without a word is meant as one of changes, whatever the
        // default of the schema: that is how it is written everywhere.
        let lists_all = match document.users_state {
            None | Some(Extent::Partial) => is_whole,
            Some(Extent::Full | Extent::Deleted) => true,
        };
        self.take_users(document, lists_all)
    }

    fn take_users(&mut self, document: &Conference, lists_all: bool) -> Merged {
        let mut told: BTreeMap<String, Vec<&User>> = BTreeMap::new();
        for user in &document.users {
            told.entry(Self::key(&user.entity)).or_default().push(user);
        }
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        if lists_all {
            let missing = self.users.extract_if(.., |key, _| !told.contains_key(key));
            gone.extend(missing.filter_map(|(_, ways)| whole(&ways)));
        }
        for (key, told) in told {
            let before = self.user(&key);
            if before.is_none() && self.users.len() >= MAX_USERS {
                continue;
            }
            let ways = self.users.entry(key.clone()).or_default();
            take_ways(ways, &told, lists_all);
            let after = whole(ways);
            if ways.is_empty() {
                self.users.remove(&key);
            }
            match (before, after) {
                (Some(before), None) => gone.push(before),
                // Nothing is left by which it could take part.
                (Some(before), Some(after))
                    if after.endpoints.is_empty() && !before.endpoints.is_empty() =>
                {
                    gone.push(before);
                }
                (before, Some(after)) if before.as_ref() != Some(&after) => changed.push(key),
                (Some(_) | None, Some(_) | None) => {}
            }
        }
        Merged::Taken { changed, gone }
    }
}

/// Takes what a document tells of a user. A single element is the user, however it is spelled; of
/// several, each is a way of its own in which it takes part.
fn take_ways(ways: &mut Vec<User>, told: &[&User], lists_all: bool) {
    let is_single = ways.len() == 1 && told.len() == 1;
    for (index, told_now) in told.iter().enumerate() {
        let known = ways.iter().position(|way| way.entity == told_now.entity);
        let known = known.or(is_single.then_some(0));
        match (told_now.state, known) {
            (Extent::Deleted, Some(at)) => drop(ways.remove(at)),
            (Extent::Deleted, None) if told.len() == 1 => ways.clear(),
            (Extent::Deleted, None) => {}
            (Extent::Full | Extent::Partial, known) => {
                let at = known.unwrap_or_else(|| {
                    ways.push(User::default());
                    ways.len() - 1
                });
                // What stands twice in one document adds to what it has said before.
                let said = told.iter().take(index).any(|before| before.entity == told_now.entity);
                if let Some(way) = ways.get_mut(at) {
                    way.take(told_now, said);
                }
                if ways.len() > MAX_ENDPOINTS {
                    ways.remove(0);
                }
            }
        }
    }
    if lists_all {
        ways.retain(|way| told.iter().any(|told| told.entity == way.entity));
    }
}

/// Puts the ways in which a user takes part together.
fn whole(ways: &[User]) -> Option<User> {
    let (first, others) = ways.split_first()?;
    let mut user = first.clone();
    for other in others {
        user.is_own |= other.is_own;
        user.display_text = user.display_text.or_else(|| other.display_text.clone());
        user.endpoints.extend(other.endpoints.iter().cloned());
    }
    Some(user)
}

impl User {
    /// Takes what a document tells of the user; `adds` where it has told of it before.
    fn take(&mut self, told: &Self, adds: bool) {
        self.entity.clone_from(&told.entity);
        self.state = Extent::Full;
        self.is_own |= told.is_own;
        // A name that was told stays until there is another one.
        if told.display_text.is_some() {
            self.display_text.clone_from(&told.display_text);
        }
        if told.state == Extent::Full && !adds {
            let is_told = |one: &Endpoint| told.endpoints.iter().any(|it| it.entity == one.entity);
            self.endpoints.retain(is_told);
        }
        for endpoint in &told.endpoints {
            let at = self.endpoints.iter().position(|one| one.entity == endpoint.entity);
            match (endpoint.state, at) {
                (Extent::Deleted, Some(at)) => drop(self.endpoints.remove(at)),
                (Extent::Deleted, None) => {}
                (Extent::Full | Extent::Partial, at) => self.take_endpoint(endpoint, at),
            }
        }
    }

    fn take_endpoint(&mut self, told: &Endpoint, at: Option<usize>) {
        let has_room = self.endpoints.len() < MAX_ENDPOINTS;
        let known = at.and_then(|at| self.endpoints.get_mut(at));
        match (told.state, known) {
            (Extent::Partial, Some(known)) => {
                known.status = told.status.or(known.status);
                known.joining = told.joining.or(known.joining);
                known.disconnection = told.disconnection.or(known.disconnection);
                if told.reason.is_some() {
                    known.reason.clone_from(&told.reason);
                }
            }
            (_, Some(known)) => *known = told.clone(),
            (_, None) if has_room => {
                self.endpoints.push(Endpoint { state: Extent::Full, ..told.clone() });
            }
            (_, None) => {}
        }
    }
}
