//! Names: which URIs are of the focus, and who is meant by the others.

use super::FocusSettings;
use crate::address::{Address, Scheme as AddressScheme};
use crate::im_server::domain::{Domain, Whose};
use crate::payload::cpim;
use crate::sip::{Headers, NameAddr, Request, Scheme, Uri};

/// What a URI of the focus names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The factory, where rooms without a name are begun.
    Factory,
    /// A room that the focus has named, by its user part.
    AdHoc(String),
    /// A room with a name of its own, by its user part.
    Named(String),
}

/// Reads and writes the URIs of the focus and of its users.
#[derive(Debug, Clone)]
pub(super) struct Names {
    domain: Domain,
    domain_name: String,
    authority: String,
    factory: String,
    ad_hoc: String,
    rooms: String,
}

impl Names {
    pub(super) fn new(settings: &FocusSettings) -> Self {
        Self {
            domain: Domain::new(&settings.domain, settings.local.clone()),
            domain_name: settings.domain.clone(),
            authority: settings.local.authority(),
            factory: settings.factory.to_ascii_lowercase(),
            ad_hoc: settings.ad_hoc.to_ascii_lowercase(),
            rooms: settings.rooms.to_ascii_lowercase(),
        }
    }

    /// Tells what `uri` names here. User parts of the focus are compared without regard to case:
    /// the factory is provisioned by hand, and spelled in any way.
    pub(super) fn place(&self, uri: &Uri) -> Option<Place> {
        if !matches!(uri.scheme(), Scheme::Sip | Scheme::Sips) || !self.domain.is_ours(uri) {
            return None;
        }
        let user = uri.user_unescaped()?.to_ascii_lowercase();
        if !self.factory.is_empty() && user == self.factory {
            Some(Place::Factory)
        } else if user.strip_prefix(&self.ad_hoc).is_some_and(|rest| !rest.is_empty()) {
            Some(Place::AdHoc(user))
        } else if !self.rooms.is_empty() && user.len() > self.rooms.len() {
            user.starts_with(&self.rooms).then_some(Place::Named(user))
        } else {
            None
        }
    }

    /// Makes the user part of a room without a name.
    pub(super) fn draw(&self, token: &str) -> String {
        format!("{}{}", self.ad_hoc, token.to_ascii_lowercase())
    }

    /// Writes the URI of a room: with our address, that needs no name server to be found again.
    pub(super) fn room(&self, user: &str) -> Option<Uri> {
        Uri::sip(Some(user), &self.authority).ok()
    }

    /// Tells whom a URI means, whatever its spelling; nobody, where it is one of the focus.
    pub(super) fn user(&self, uri: &Uri) -> Option<Address> {
        if self.place(uri).is_some() {
            return None;
        }
        match self.domain.whose(uri) {
            Whose::User(user) => Some(user),
            Whose::Server => None,
            Whose::Foreign => Address::parse(uri.without_headers().as_str()).ok(),
        }
    }

    /// Tells whom a URI as it stands in CPIM means; what stands behind its question mark is for
    /// somebody else.
    pub(super) fn user_of_text(&self, text: &str) -> Option<Address> {
        let bare = text.split('?').next().unwrap_or_default();
        self.user(&Uri::parse(bare).ok()?)
    }

    /// Tells whether the To of a CPIM wrapper means the whole of the room `own`: its URI, or the
    /// nobody by which deployed clients mean everybody.
    pub(super) fn means_room(&self, text: &str, own: &str) -> bool {
        if cpim::ANONYMOUS.trim_matches(['<', '>']).eq_ignore_ascii_case(text) {
            return true;
        }
        match Uri::parse(text).ok().and_then(|uri| self.place(&uri)) {
            Some(Place::AdHoc(user) | Place::Named(user)) => user == own,
            Some(Place::Factory) => true,
            None => false,
        }
    }

    /// Writes the URI by which a user is invited, and told to others.
    pub(super) fn uri(&self, user: &Address) -> Option<Uri> {
        match (user.number(), user.scheme()) {
            (Some(number), _) => {
                let uri = Uri::sip(Some(number), &self.domain_name).ok()?;
                Some(uri.with_param("user", Some("phone")))
            }
            (None, AddressScheme::Acr) => Uri::sip(Some(user.key()), &self.domain_name).ok(),
            (None, AddressScheme::Sip | AddressScheme::Tel) => Uri::parse(user.key()).ok(),
        }
    }

    /// Tells who has sent a request: what the door asserts of it comes before what it says itself.
    pub(super) fn sender(&self, request: &Request) -> Option<(Address, Option<String>)> {
        let asserted = request.headers.addresses("P-Asserted-Identity");
        let from = request.from().ok();
        let known = |one: &NameAddr| Some((self.user(&one.uri)?, one.display.clone()));
        let (user, name) = asserted.iter().chain(&from).find_map(known)?;
        let name = name.or_else(|| asserted.iter().chain(&from).find_map(|it| it.display.clone()));
        (!user.is_anonymous()).then_some((user, name))
    }
}

/// Gives what an INVITE says of the session, to be said to everybody who is invited to it.
pub(super) fn carried(headers: &Headers) -> Vec<(String, String)> {
    let carried = CARRIED.iter().filter_map(|name| Some((*name, headers.get(name)?)));
    carried.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What is carried from the INVITE of the originator to those of the others.
const CARRIED: [&str; 5] =
    ["Subject", "Conversation-ID", "Contribution-ID", "Accept-Contact", "P-Asserted-Service"];
