//! What a subscriber knows of a conference from all the documents that it got (RFC 4575 sections
//! 4.3 and 4.6).

use std::collections::{BTreeMap, BTreeSet};

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
    /// The users by who they are: a number is one, however it is spelled.
    users: BTreeMap<String, User>,
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
        /// Those that are there no more, as they were last.
        gone: Vec<User>,
    },
    /// The conference is over.
    Over,
}

impl View {
    /// Gives a user by its key.
    #[must_use]
    pub fn user(&self, key: &str) -> Option<&User> {
        self.users.get(key)
    }

    /// Gives all users with their keys, in order.
    pub fn users(&self) -> impl Iterator<Item = (&str, &User)> {
        self.users.iter().map(|(key, user)| (key.as_str(), user))
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
        let (mut changed, mut gone) = (BTreeSet::new(), Vec::new());
        if lists_all {
            let told: BTreeSet<_> = document.users.iter().map(|it| Self::key(&it.entity)).collect();
            let missing = self.users.extract_if(.., |key, _| !told.contains(key));
            gone.extend(missing.map(|(_, user)| user));
        }
        for told in &document.users {
            let key = Self::key(&told.entity);
            match told.state {
                Extent::Deleted => gone.extend(self.users.remove(&key)),
                Extent::Full | Extent::Partial => {
                    let is_known = self.users.contains_key(&key);
                    if !is_known && self.users.len() >= MAX_USERS {
                        continue;
                    }
                    let user = self.users.entry(key.clone()).or_default();
                    if user.take(told) || !is_known {
                        changed.insert(key);
                    }
                }
            }
        }
        gone.retain(|user| !self.users.contains_key(&Self::key(&user.entity)));
        changed.retain(|key| self.users.contains_key(key));
        Merged::Taken { changed: changed.into_iter().collect(), gone }
    }
}

impl User {
    /// Takes what a document tells of the user; tells whether it is other than before.
    fn take(&mut self, told: &Self) -> bool {
        let before = self.clone();
        self.entity.clone_from(&told.entity);
        self.state = Extent::Full;
        self.is_own |= told.is_own;
        // A name that was told stays until there is another one.
        if told.display_text.is_some() {
            self.display_text.clone_from(&told.display_text);
        }
        if told.state == Extent::Full {
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
        *self != before
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
