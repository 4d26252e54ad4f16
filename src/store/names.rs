//! Which session an INVITE means: the running sessions by the names that the network has for them.

use dashmap::DashMap;

use crate::address::Address;
use crate::bridge::{Name, Named, Names};
use crate::ids::SessionId;

/// How many sessions of a user are remembered under one name. An honest peer needs one; of those
/// that share one, none is meant by it alone.
const NAMESAKES: usize = 8;

/// The sessions that an INVITE may mean. Only those that have been accepted are here, so that there
/// are never more than sessions.
#[derive(Debug, Default)]
pub struct SessionNames {
    by_name: DashMap<(Address, Name), Vec<SessionId>>,
    by_session: DashMap<SessionId, (Address, Named)>,
}

impl SessionNames {
    /// Enters a running session under these names, and under no others.
    pub fn enter(&self, session: &SessionId, user: &Address, names: Names) {
        self.strike(session);
        for name in &names.all {
            let mut namesakes = self.by_name.entry((user.clone(), name.clone())).or_default();
            if namesakes.len() < NAMESAKES {
                namesakes.push(session.clone());
            }
        }
        let named = Named { session: session.clone(), names, is_live: true };
        self.by_session.insert(session.clone(), (user.clone(), named));
    }

    /// Notes that a session is over, though not forgotten.
    pub fn end(&self, session: &SessionId) {
        if let Some(mut entry) = self.by_session.get_mut(session) {
            entry.1.is_live = false;
        }
    }

    /// Strikes out a session.
    pub fn strike(&self, session: &SessionId) {
        let Some((_, (user, named))) = self.by_session.remove(session) else { return };
        for name in named.names.all {
            let key = (user.clone(), name);
            if let Some(mut namesakes) = self.by_name.get_mut(&key) {
                namesakes.retain(|other| other != session);
            }
            self.by_name.remove_if(&key, |_, namesakes| namesakes.is_empty());
        }
    }

    /// Finds the sessions of a user that have a name.
    #[must_use]
    pub fn find(&self, user: &Address, name: &Name) -> Vec<Named> {
        let namesakes = self.by_name.get(&(user.clone(), name.clone())).map(|it| it.clone());
        let found = namesakes.unwrap_or_default();
        found.iter().filter_map(|id| self.by_session.get(id).map(|it| it.1.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::chat::SessionKind;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn named(ids: &[&str]) -> Names {
        let all = ids.iter().map(|id| Name::Contribution((*id).to_owned())).collect();
        let party = address("tel:+19585550101");
        Names { kind: SessionKind::Pair, party, remote_tag: None, all }
    }

    fn found(names: &SessionNames, user: &str, id: &str) -> Vec<(String, bool)> {
        let found = names.find(&address(user), &Name::Contribution(id.to_owned()));
        found.iter().map(|it| (it.session.to_string(), it.is_live)).collect()
    }

    #[test]
    fn a_session_is_found_by_its_names_until_it_is_forgotten() {
        let (names, alice, one) = (SessionNames::default(), "tel:+1", SessionId::new("one"));
        names.enter(&one, &address(alice), named(&["a", "b"]));
        assert_eq!(found(&names, alice, "a"), [("one".to_owned(), true)]);
        assert_eq!(found(&names, "tel:+2", "a"), [], "nobody else has it");
        names.enter(&one, &address(alice), named(&["b", "c"]));
        assert_eq!(found(&names, alice, "a"), []);
        names.end(&one);
        assert_eq!(found(&names, alice, "c"), [("one".to_owned(), false)]);
        names.strike(&one);
        names.strike(&one);
        assert_eq!(found(&names, alice, "c"), []);
        assert!(names.by_name.is_empty() && names.by_session.is_empty());
    }

    #[test]
    fn those_who_share_a_name_are_few() {
        let (names, alice) = (SessionNames::default(), "tel:+1");
        let ids: Vec<_> = (0..20).map(|n| SessionId::new(format!("s{n}"))).collect();
        for id in &ids {
            names.enter(id, &address(alice), named(&["a"]));
        }
        assert_eq!(found(&names, alice, "a").len(), NAMESAKES);
        ids.iter().for_each(|id| names.strike(id));
        assert!(names.by_name.is_empty() && names.by_session.is_empty());
    }
}
