//! The participants of a group session: who they are, how they stand, and which of it is news.
//!
//! An entry lives as long as a participation: whoever has gone and comes back is a new one, with an
//! id of its own (TS Chat 6.9.5). Those who have gone are remembered, for a session that ends may be
//! begun again with them, but are not shown any more (TS Chat 6.10.6).

use super::session::{ParticipantStatus, Party};
use crate::address::Address;
use crate::ids::{ParticipantId, Random};

/// A participant as applications see one (TS Chat 5.2.2.16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// The id of the participation.
    pub id: ParticipantId,
    /// Who it is.
    pub party: Party,
    /// Whether the participant has opened the session.
    pub is_originator: bool,
    /// How the participant stands.
    pub status: ParticipantStatus,
    /// Whether it is the user who is told (`yourown`).
    pub your_own: bool,
    /// The client's tag, given back unchanged.
    pub client_correlator: Option<String>,
}

/// Somebody whom an application wants in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newcomer {
    /// Who it is.
    pub party: Party,
    /// The client's tag.
    pub client_correlator: Option<String>,
    /// The id that the participation gets; without one, it is drawn.
    pub id: Option<ParticipantId>,
}

impl Newcomer {
    /// Names somebody, and nothing else.
    #[must_use]
    pub fn of(party: Party) -> Self {
        Self { party, client_correlator: None, id: None }
    }
}

/// Who a participant is to the network: by address in any spelling, or, where the network hides it,
/// by what it says instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A user.
    User(Address),
    /// Somebody who stays anonymous.
    Hidden(String),
}

impl From<&Address> for Identity {
    fn from(address: &Address) -> Self {
        Self::User(address.clone())
    }
}

/// How somebody has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// Of their own will, or removed: they are not invited again.
    ForGood,
    /// Nobody knows: they are invited when the session is begun again.
    Unexplained,
}

/// How a participant stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Was invited, has not answered.
    Invited,
    /// Is in.
    Connected,
    /// Is not, or no longer, in.
    Gone(Parting),
    /// As [`Self::Gone`], but nobody is to be told: who never reacted is not mentioned (TS Chat
    /// 5.2.2.5).
    NeverCame,
}

/// The participants of one session, in the order in which they came.
#[derive(Debug)]
pub struct Participants {
    entries: Vec<Entry>,
    capacity: usize,
    /// How many nameless ones an application or an invitation has named.
    nameless: u64,
    random: Random,
}

#[derive(Debug)]
struct Entry {
    identity: Identity,
    participant: Participant,
    parting: Option<Parting>,
    /// What the application was told last.
    told: Option<ParticipantStatus>,
    /// Whether the network has said anything of it; until then it is no news.
    is_confirmed: bool,
}

impl Participants {
    /// Makes an empty table that holds `capacity` participants, those who have gone included.
    #[must_use]
    pub fn new(capacity: usize, random: Random) -> Self {
        Self { entries: Vec::new(), capacity: capacity.max(2), nameless: 0, random }
    }

    /// Enters somebody whom an application or an invitation names as invited; gives the id, and that
    /// of the running participation where there is one. `None` where there is no room.
    pub fn enter(&mut self, newcomer: Newcomer) -> Option<ParticipantId> {
        let Newcomer { party, client_correlator, id } = newcomer;
        let identity = if party.address.is_anonymous() {
            // Each is somebody else.
            self.nameless += 1;
            Identity::Hidden(self.nameless.to_string())
        } else {
            Identity::from(&party.address)
        };
        self.enter_as(identity, (party, client_correlator), id)
    }

    /// Tells for how many more there is room.
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.entries.len())
    }

    /// Enters somebody under an identity that the network has given.
    fn enter_as(
        &mut self,
        identity: Identity,
        (party, client_correlator): (Party, Option<String>),
        id: Option<ParticipantId>,
    ) -> Option<ParticipantId> {
        if let Some(index) = self.index_of(&identity) {
            let entry = self.entries.get_mut(index)?;
            if entry.participant.status != ParticipantStatus::Disconnected {
                return Some(entry.participant.id.clone());
            }
            // Who comes back is shown behind all others.
            self.entries.remove(index);
        }
        if self.entries.len() >= self.capacity {
            let gone = |entry: &Entry| entry.participant.status == ParticipantStatus::Disconnected;
            let oldest = self.entries.iter().position(gone)?;
            self.entries.remove(oldest);
        }
        let id = id.unwrap_or_else(|| ParticipantId::new(self.random.token()));
        let participant = Participant {
            id: id.clone(),
            party,
            is_originator: false,
            status: ParticipantStatus::Invited,
            your_own: false,
            client_correlator,
        };
        let entry = Entry { identity, participant, parting: None, told: None, is_confirmed: false };
        self.entries.push(entry);
        Some(id)
    }

    /// Marks who has opened the session.
    pub fn mark_originator(&mut self, id: &ParticipantId) {
        for entry in &mut self.entries {
            entry.participant.is_originator = entry.participant.id == *id;
        }
    }

    /// Marks the user's own entry.
    pub fn mark_own(&mut self, id: &ParticipantId) {
        for entry in &mut self.entries {
            entry.participant.your_own = entry.participant.id == *id;
        }
    }

    /// Takes how somebody stands, and the name where one is told; a newcomer is entered, unless
    /// there is no room, or there is nobody to come. [`Self::take_news`] tells what has changed.
    pub fn note(&mut self, identity: &Identity, standing: Standing, name: Option<&str>) {
        let (status, parting) = match standing {
            Standing::Invited => (ParticipantStatus::Invited, None),
            Standing::Connected => (ParticipantStatus::Connected, None),
            Standing::Gone(parting) => (ParticipantStatus::Disconnected, Some(parting)),
            Standing::NeverCame => (ParticipantStatus::Disconnected, Some(Parting::Unexplained)),
        };
        let known = self.index_of(identity);
        let is_gone = |at: usize| {
            self.entries
                .get(at)
                .is_none_or(|entry| entry.participant.status == ParticipantStatus::Disconnected)
        };
        let index = match known {
            Some(index) if status == ParticipantStatus::Disconnected || !is_gone(index) => index,
            None if status == ParticipantStatus::Disconnected => return,
            Some(_) | None => match self.come(identity, known) {
                Some(index) => index,
                None => return,
            },
        };
        let Some(entry) = self.entries.get_mut(index) else { return };
        // The first explanation of a parting is the better one.
        if entry.participant.status != status || entry.parting.is_none() {
            entry.parting = parting;
        }
        entry.participant.status = status;
        entry.is_confirmed = true;
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            entry.participant.party.name = Some(name.to_owned());
        }
        if standing == Standing::NeverCame && entry.told != Some(ParticipantStatus::Connected) {
            entry.told = Some(ParticipantStatus::Disconnected);
        }
    }

    /// Begins a participation: of somebody new, or of somebody who has gone.
    fn come(&mut self, identity: &Identity, known: Option<usize>) -> Option<usize> {
        let before = known.and_then(|index| self.entries.get(index)).map(|entry| {
            let Participant { party, is_originator, your_own, .. } = entry.participant.clone();
            (party, is_originator, your_own)
        });
        let (party, is_originator, your_own) = match (before, identity) {
            (Some(before), _) => before,
            (None, Identity::User(address)) => {
                (Party { address: address.clone(), name: None }, false, false)
            }
            (None, Identity::Hidden(_)) => {
                (Party { address: Address::anonymous(), name: None }, false, false)
            }
        };
        let id = self.enter_as(identity.clone(), (party, None), None)?;
        let index = self.entries.iter().position(|entry| entry.participant.id == id)?;
        if let Some(entry) = self.entries.get_mut(index) {
            entry.participant.is_originator = is_originator;
            entry.participant.your_own = your_own;
        }
        Some(index)
    }

    /// Takes it back that an application has named somebody whom the network does not want; nothing
    /// where the network has told of them meanwhile.
    pub fn withdraw(&mut self, id: &ParticipantId) {
        self.entries.retain(|entry| entry.is_confirmed || entry.participant.id != *id);
    }

    /// Counts all who are named as known to the network.
    pub fn confirm_all(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.is_confirmed = true);
    }

    /// Gives those whose status is another one than was told last, and counts them as told.
    pub fn take_news(&mut self) -> Vec<Participant> {
        let mut news = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| entry.is_confirmed) {
            let status = entry.participant.status;
            if entry.told != Some(status) {
                entry.told = Some(status);
                news.push(entry.participant.clone());
            }
        }
        // The originator stands first, as in all lists.
        news.sort_by_key(|participant| !participant.is_originator);
        news
    }

    /// Gives those who are in or invited, the originator first.
    #[must_use]
    pub fn present(&self) -> Vec<Participant> {
        let mut present: Vec<_> = self
            .entries
            .iter()
            .map(|entry| &entry.participant)
            .filter(|participant| participant.status != ParticipantStatus::Disconnected)
            .cloned()
            .collect();
        present.sort_by_key(|participant| !participant.is_originator);
        present
    }

    /// Gives those who are to be invited when the session is begun again: all others, but for those
    /// who have left or declined.
    #[must_use]
    pub fn to_invite_again(&self) -> Vec<Party> {
        let others = self.entries.iter().filter(|entry| !entry.participant.your_own);
        let wanted = others.filter(|entry| entry.parting != Some(Parting::ForGood));
        wanted.map(|entry| entry.participant.party.clone()).collect()
    }

    /// Finds a participation that is shown.
    #[must_use]
    pub fn get(&self, id: &ParticipantId) -> Option<&Participant> {
        let mut shown = self.entries.iter().map(|entry| &entry.participant);
        let is_it = |participant: &&Participant| {
            participant.id == *id && participant.status != ParticipantStatus::Disconnected
        };
        shown.find(is_it)
    }

    /// Finds the last participation of somebody.
    #[must_use]
    pub fn of(&self, identity: &Identity) -> Option<&Participant> {
        let index = self.index_of(identity)?;
        self.entries.get(index).map(|entry| &entry.participant)
    }

    /// Gives the identity under which somebody was entered.
    #[must_use]
    pub fn identity(&self, id: &ParticipantId) -> Option<&Identity> {
        let entry = self.entries.iter().find(|entry| entry.participant.id == *id)?;
        Some(&entry.identity)
    }

    /// Gives the user's own last participation.
    #[must_use]
    pub fn own(&self) -> Option<&Participant> {
        self.entries.iter().map(|entry| &entry.participant).find(|it| it.your_own)
    }

    /// Gives the identities of those who are in or invited.
    pub fn identities(&self) -> impl Iterator<Item = &Identity> {
        let shown = |entry: &&Entry| entry.participant.status != ParticipantStatus::Disconnected;
        self.entries.iter().filter(shown).map(|entry| &entry.identity)
    }

    fn index_of(&self, identity: &Identity) -> Option<usize> {
        self.entries.iter().position(|entry| entry.identity == *identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: &str = "tel:+1";
    const BEN: &str = "sip:+2@ims.example;user=phone";

    fn user(text: &str) -> Identity {
        Identity::User(Address::parse(text).expect("a good address"))
    }

    fn newcomer(text: &str) -> Newcomer {
        let address = Address::parse(text).expect("a good address");
        Newcomer::of(Party { address, name: None })
    }

    fn table() -> (Participants, ParticipantId, ParticipantId) {
        let mut table = Participants::new(3, Random::seeded(1));
        let ann = table.enter(newcomer(ANN)).expect("room");
        let ben = table.enter(newcomer(BEN)).expect("room");
        table.mark_originator(&ann);
        table.mark_own(&ann);
        (table, ann, ben)
    }

    fn told(table: &mut Participants) -> Vec<String> {
        let line = |it: Participant| format!("{} {}", it.party.address.key(), it.status.as_str());
        table.take_news().into_iter().map(line).collect()
    }

    #[test]
    fn news_are_told_once_and_only_what_the_network_knows() {
        let (mut table, ..) = table();
        assert!(table.take_news().is_empty());
        table.note(&user("tel:+2"), Standing::Invited, None);
        table.note(&user(ANN), Standing::Connected, Some("Ann"));
        assert_eq!(told(&mut table), ["tel:+1 Connected", "tel:+2 Invited"]);
        table.note(&user(BEN), Standing::Invited, None);
        table.note(&user(ANN), Standing::Connected, None);
        assert!(table.take_news().is_empty());
        assert_eq!(table.of(&user(ANN)).and_then(|it| it.party.name.as_deref()), Some("Ann"));
    }

    #[test]
    fn who_comes_back_is_a_new_participation_of_the_same_user() {
        let (mut table, ann, ben) = table();
        table.note(&user(BEN), Standing::Connected, Some("Ben"));
        table.note(&user(BEN), Standing::Gone(Parting::ForGood), None);
        assert_eq!(told(&mut table), ["tel:+2 Disconnected"]);
        assert_eq!(table.get(&ben), None);
        assert!(table.to_invite_again().is_empty());
        table.note(&user("+2"), Standing::Connected, None);
        let again = table.of(&user(BEN)).expect("Ben is back");
        assert!(again.id != ben && again.party.name.as_deref() == Some("Ben"));
        assert_eq!(table.to_invite_again().len(), 1);
        table.note(&user(ANN), Standing::Gone(Parting::Unexplained), None);
        table.note(&user(ANN), Standing::Connected, None);
        let own = table.own().expect("an entry of ours");
        assert!(own.id != ann && own.is_originator);
    }

    #[test]
    fn who_never_reacted_is_not_mentioned() {
        let (mut table, ..) = table();
        table.note(&user(BEN), Standing::Invited, None);
        assert_eq!(told(&mut table), ["tel:+2 Invited"]);
        table.note(&user(BEN), Standing::NeverCame, None);
        table.note(&user("tel:+9"), Standing::Gone(Parting::ForGood), None);
        assert!(table.take_news().is_empty());
        assert_eq!(table.present().len(), 1);
        assert_eq!(table.to_invite_again().len(), 1);
    }

    #[test]
    fn those_who_are_hidden_are_told_apart() {
        let (mut table, ..) = table();
        let hidden = Identity::Hidden("sip:a1@anonymous.invalid".into());
        table.note(&hidden, Standing::Connected, None);
        assert_eq!(told(&mut table), ["sip:anonymous@anonymous.invalid Connected"]);
        assert_eq!(table.identities().count(), 3);
    }

    #[test]
    fn the_nameless_stay_apart_whoever_was_taken_back() {
        let mut table = Participants::new(9, Random::seeded(1));
        let nobody = || Newcomer::of(Party { address: Address::anonymous(), name: None });
        let first = table.enter(nobody()).expect("room");
        let second = table.enter(nobody()).expect("room");
        table.withdraw(&first);
        let third = table.enter(nobody()).expect("room");
        assert!(second != third && table.present().len() == 2);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_those_who_have_gone() {
        let (mut table, ..) = table();
        table.note(&user("tel:+3"), Standing::Connected, None);
        table.note(&user("tel:+4"), Standing::Connected, None);
        assert_eq!(table.of(&user("tel:+4")), None);
        assert_eq!(table.enter(newcomer("tel:+5")), None);
        table.note(&user("tel:+3"), Standing::Gone(Parting::Unexplained), None);
        table.note(&user("tel:+4"), Standing::Connected, None);
        assert!(table.of(&user("tel:+4")).is_some() && table.of(&user("tel:+3")).is_none());
    }

    #[test]
    fn what_the_network_does_not_want_is_taken_back() {
        let (mut table, _, ben) = table();
        table.withdraw(&ben);
        assert_eq!(table.of(&user(BEN)), None);
        let ben = table.enter(newcomer(BEN)).expect("room");
        table.note(&user(BEN), Standing::Invited, None);
        table.withdraw(&ben);
        assert!(table.get(&ben).is_some());
        table.confirm_all();
        assert_eq!(table.enter(newcomer("tel:+2")), Some(ben));
    }
}
