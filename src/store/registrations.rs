//! The directory of the users that are registered at the core: for whom the bridge acts, and how
//! their requests go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tokio::sync::mpsc;

use crate::address::Address;
use crate::bridge::{Access, Realm};
use crate::chat::Refusal;
use crate::sip::{Hop, Response, Uri};

/// What the keeper of the registrations finds in its inbox.
#[derive(Debug)]
pub enum RegistrationLetter {
    /// A response to a REGISTER.
    Response(Response),
    /// A REGISTER could not be sent.
    SendFailed {
        /// Whose.
        user: Address,
        /// Where it was to go.
        hop: Hop,
    },
    /// The core seems to have forgotten a user.
    Doubt(Address),
    /// The server stops: take all registrations back, spread over about this time.
    Leave(Duration),
}

/// The directory of users, by each of the names that one goes by.
#[derive(Debug)]
pub struct Registrations {
    by_user: DashMap<Address, Entry>,
    /// By the other addresses that the core holds for the same user's.
    user_by_alias: DashMap<Address, Address>,
    /// By the user part of the contact.
    user_by_contact: DashMap<String, Address>,
    letters: mpsc::Sender<RegistrationLetter>,
    registered: AtomicUsize,
}

#[derive(Debug)]
struct Entry {
    access: Arc<Access>,
    aliases: Vec<Address>,
    is_registered: bool,
    again_at: Option<Instant>,
}

impl Registrations {
    /// Opens a directory of users that are not registered yet; the receiver is for their keeper.
    #[must_use]
    pub fn new<'a>(
        users: impl Iterator<Item = &'a Access>,
        inbox: usize,
    ) -> (Self, mpsc::Receiver<RegistrationLetter>) {
        let (letters, inbox) = mpsc::channel(inbox.max(1));
        let this = Self {
            by_user: DashMap::new(),
            user_by_alias: DashMap::new(),
            user_by_contact: DashMap::new(),
            letters,
            registered: AtomicUsize::new(0),
        };
        for access in users {
            let (Some(user), Some(contact)) = (&access.user, &access.contact) else { continue };
            this.user_by_contact.insert(contact.user.clone(), user.clone());
            let access = Arc::new(access.clone());
            let entry = Entry { access, aliases: Vec::new(), is_registered: false, again_at: None };
            this.by_user.insert(user.clone(), entry);
        }
        (this, inbox)
    }

    /// Finds how requests of `user` reach the core.
    ///
    /// # Errors
    /// The bridge does not act for the user, or the user is not registered.
    pub fn originating(&self, now: Instant, user: &Address) -> Result<Arc<Access>, Refusal> {
        let known = self.known_as(user).ok_or(Refusal::NoUser)?;
        let entry = self.by_user.get(&known).ok_or(Refusal::NoUser)?;
        if entry.is_registered {
            return Ok(Arc::clone(&entry.access));
        }
        let wait = entry.again_at.map_or(SOON, |at| at.saturating_duration_since(now));
        let retry_after = wait.max(Duration::from_secs(1));
        Err(Refusal::Unavailable { why: "the user is not registered at the core", retry_after })
    }

    /// Finds the user whose contact, or whose address, a Request-URI of the core names. That the
    /// core calls is proof enough of a registration, even if we hold it for lost.
    #[must_use]
    pub fn terminating(&self, realm: &Realm, uri: &Uri) -> Option<Arc<Access>> {
        let contact = uri
            .user_unescaped()
            .and_then(|user| self.user_by_contact.get(&user).map(|user| user.value().clone()));
        let user = contact.or_else(|| self.known_as(&realm.address(uri)?))?;
        self.by_user.get(&user).map(|entry| Arc::clone(&entry.access))
    }

    /// Notes that a user is registered, with its further addresses.
    pub fn keep(&self, access: Arc<Access>, aliases: Vec<Address>) {
        let Some(user) = access.user.clone() else { return };
        let Some(mut entry) = self.by_user.get_mut(&user) else { return };
        if !std::mem::replace(&mut entry.is_registered, true) {
            self.registered.fetch_add(1, Ordering::Relaxed);
        }
        entry.again_at = None;
        entry.access = access;
        for gone in entry.aliases.iter().filter(|alias| !aliases.contains(alias)) {
            self.user_by_alias.remove_if(gone, |_, owner| *owner == user);
        }
        for alias in &aliases {
            self.user_by_alias.insert(alias.clone(), user.clone());
        }
        entry.aliases = aliases;
    }

    /// Notes that a user is registered no more; gives the names under which it was, if it was.
    pub fn lose(&self, user: &Address) -> Vec<Address> {
        if let Some(mut entry) = self.by_user.get_mut(user)
            && std::mem::replace(&mut entry.is_registered, false)
        {
            self.registered.fetch_sub(1, Ordering::Relaxed);
            return [user].into_iter().chain(&entry.aliases).cloned().collect();
        }
        Vec::new()
    }

    /// Notes when the next attempt to register a user is due.
    pub fn expect(&self, user: &Address, again_at: Option<Instant>) {
        if let Some(mut entry) = self.by_user.get_mut(user) {
            entry.again_at = again_at.or(entry.again_at);
        }
    }

    /// Has it checked whether the core still knows a user, by whichever of its names.
    pub fn doubt(&self, user: &Address) {
        if let Some(user) = self.known_as(user) {
            // Without room there is no news in this: so many doubts cannot be about one user.
            let _told = self.offer(RegistrationLetter::Doubt(user));
        }
    }

    /// Hands a letter to the keeper; tells whether there was room.
    pub fn offer(&self, letter: RegistrationLetter) -> bool {
        self.letters.try_send(letter).is_ok()
    }

    /// Hands a letter to the keeper, waiting for room; tells whether it is still there.
    pub async fn deliver(&self, letter: RegistrationLetter) -> bool {
        self.letters.send(letter).await.is_ok()
    }

    /// Tells how many users are registered.
    #[must_use]
    pub fn count(&self) -> usize {
        self.registered.load(Ordering::Relaxed)
    }

    /// Gives the name under which a user stands in the directory.
    fn known_as(&self, address: &Address) -> Option<Address> {
        if self.by_user.contains_key(address) {
            return Some(address.clone());
        }
        self.user_by_alias.get(address).map(|user| user.value().clone())
    }
}

/// When an application may try again where nobody knows when a user will be registered.
const SOON: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::bridge::{RegisteredContact, TargetUri};

    #[test]
    fn a_user_is_found_by_each_of_its_names_once_it_is_registered() {
        let (directory, mut inbox) = directory();
        let now = Instant::now();
        let alice = address("sip:alice@home.example");
        let number = address("tel:+19585550100");
        assert_eq!(directory.originating(now, &number), Err(Refusal::NoUser));
        assert_eq!(retry_after(&directory, now, &alice), SOON);
        directory.expect(&alice, Some(now + Duration::from_secs(40)));
        assert_eq!(retry_after(&directory, now, &alice), Duration::from_secs(40));
        let late = now + Duration::from_secs(50);
        assert_eq!(retry_after(&directory, late, &alice), Duration::from_secs(1));

        directory.keep(Arc::new(access(Some("sip:edge.example"))), vec![number.clone()]);
        for name in [&alice, &number] {
            let access = directory.originating(now, name).unwrap();
            assert_eq!(access.service_route.len(), 1);
        }
        assert_eq!(directory.count(), 1);
        directory.doubt(&number);
        directory.doubt(&address("tel:+19585550199"));
        let Ok(RegistrationLetter::Doubt(doubted)) = inbox.try_recv() else { panic!() };
        assert_eq!((doubted, inbox.try_recv().is_err()), (alice.clone(), true));
        // Another grant may take a name away.
        directory.keep(Arc::new(access(None)), Vec::new());
        assert_eq!(directory.originating(now, &number), Err(Refusal::NoUser));
        assert_eq!(directory.count(), 1);
        assert_eq!(directory.lose(&alice), std::slice::from_ref(&alice));
        assert_eq!(directory.lose(&alice), []);
        assert_eq!((directory.count(), retry_after(&directory, now, &alice)), (0, SOON));
    }

    #[test]
    fn a_call_finds_its_user_by_the_contact_or_by_the_address() {
        let (directory, _inbox) = directory();
        let realm = Realm { domain: "home.example".into(), target_uri: TargetUri::Tel };
        let finds = |uri: &str| {
            let access = directory.terminating(&realm, &Uri::parse(uri).unwrap());
            access.and_then(|access| access.user.clone()).map(|user| user.key().to_owned())
        };
        let alice = Some("sip:alice@home.example".to_owned());
        for uri in ["sip:c%30ffee@192.0.2.1:5080", "sip:alice@home.example;user=ip"] {
            assert_eq!(finds(uri), alice, "{uri}");
        }
        for uri in ["sip:bob@192.0.2.1:5080", "tel:+19585550100", "urn:service:sos", "sip:x"] {
            assert_eq!(finds(uri), None, "{uri}");
        }
        directory.keep(Arc::new(access(None)), vec![address("tel:+19585550100")]);
        assert_eq!(finds("tel:+1-958-555-0100"), alice);
    }

    fn retry_after(directory: &Registrations, now: Instant, user: &Address) -> Duration {
        match directory.originating(now, user) {
            Err(Refusal::Unavailable { retry_after, .. }) => retry_after,
            other => panic!("{other:?}"),
        }
    }

    fn directory() -> (Registrations, mpsc::Receiver<RegistrationLetter>) {
        Registrations::new([access(None)].iter(), 4)
    }

    fn access(route: Option<&str>) -> Access {
        let (user, instance) = ("c0ffee".to_owned(), "urn:uuid:c0ffee".to_owned());
        Access {
            user: Some(address("sip:alice@home.example")),
            service_route: route.map(|uri| uri.parse().unwrap()).into_iter().collect(),
            contact: Some(RegisteredContact { user, instance, gruu: None }),
            ..Access::default()
        }
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }
}
