//! Users as SIP names them: addresses to URIs and back, who a request says that it is from, and whom
//! it names to those who may know (RFC 3323, RFC 3325).

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::access::Access;
use super::settings::Settings;
use crate::address::{Address, Scheme};
use crate::chat::{Party, Refusal};
use crate::sip::{Headers, NameAddr, Request, Uri};

/// How a user's number is written in a Request-URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetUri {
    /// `tel:+44…`.
    Tel,
    /// `sip:+44…@domain;user=phone`.
    SipPhone,
}

/// How the bridge stands to its core, and what it says there of its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Which identity a request names beside From.
    pub naming: Naming,
    /// Whether the next hop is an S-CSCF that is to serve the caller (3GPP TS 24.229 section
    /// 5.7.3).
    pub orig: bool,
    /// Whether a user who is known by an anonymous reference (`acr:`) stays anonymous to the callee.
    pub hides_references: bool,
}

/// Which identity a request names beside From (RFC 3325).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// None: the core is outside of our trust domain.
    FromOnly,
    /// P-Preferred-Identity, where there is an IMS: the core decides whether it is true.
    #[default]
    Preferred,
    /// P-Asserted-Identity: the core believes us.
    Asserted,
}

/// The home domain and the way in which it writes numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    /// The home domain of the users.
    pub domain: String,
    /// How a number is written in a Request-URI.
    pub target_uri: TargetUri,
}

impl Realm {
    /// Writes the Request-URI that reaches a user.
    ///
    /// # Errors
    /// The address makes no SIP URI.
    pub fn target(&self, address: &Address) -> Result<Uri, Refusal> {
        match (self.target_uri, address.number()) {
            (TargetUri::Tel, Some(number)) => parse(address, &format!("tel:{number}")),
            (TargetUri::SipPhone, _) | (TargetUri::Tel, None) => self.home_uri(address),
        }
    }

    /// Writes a user's own URI, for From and CPIM.
    ///
    /// # Errors
    /// The address makes no SIP URI.
    pub fn home_uri(&self, address: &Address) -> Result<Uri, Refusal> {
        match address.scheme() {
            Scheme::Tel => {
                let number = address.number().unwrap_or_default();
                parse(address, &format!("sip:{number}@{};user=phone", self.domain))
            }
            // The core maps the reference: it travels as the user part, escaped so that it returns unharmed.
            Scheme::Acr => {
                let user = utf8_percent_encode(address.key(), NON_ALPHANUMERIC);
                parse(address, &format!("sip:{user}@{}", self.domain))
            }
            Scheme::Sip => parse(address, address.spelling()),
        }
    }

    /// Writes a user with the display name that the application gave.
    ///
    /// # Errors
    /// The address makes no SIP URI.
    pub fn name_addr(&self, party: &Party) -> Result<NameAddr, Refusal> {
        let uri = self.home_uri(&party.address)?;
        Ok(NameAddr { display: party.name.clone(), uri, params: Vec::new() })
    }

    /// Reads a user out of a URI; numbers come back as `tel:`, whatever they were written as.
    #[must_use]
    pub fn address(&self, uri: &Uri) -> Option<Address> {
        let user = uri.user().map(|user| percent_decode_str(user).decode_utf8_lossy().into_owned());
        if let Some(reference) = user.filter(|user| user.starts_with("acr:")) {
            return Address::parse(&reference).ok();
        }
        let address = Address::parse(&uri.without_headers().to_string()).ok()?;
        match address.scheme() {
            Scheme::Tel | Scheme::Sip => Address::parse(address.key()).ok(),
            Scheme::Acr => Some(address),
        }
    }
}

impl Settings {
    /// Tells whether a user of ours stays anonymous to those it talks to.
    pub(super) fn hides(&self, user: &Address) -> bool {
        let is_reference = user.scheme() == Scheme::Acr;
        (self.standing.hides_references && is_reference) || *user == Address::anonymous()
    }
}

/// Who a request of ours says that it is from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) from: NameAddr,
    /// The identity and the privacy headers.
    pub(super) headers: Vec<(String, String)>,
}

impl Signature {
    /// Signs in the name of a user: openly, or anonymously with its identity for the core alone.
    ///
    /// # Errors
    /// The address makes no SIP URI.
    pub(super) fn of(settings: &Settings, access: &Access, own: &Party) -> Result<Self, Refusal> {
        let (realm, user) = (&settings.realm, &own.address);
        let hidden = settings.hides(user);
        let mut headers = Vec::new();
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        let home = realm.home_uri(user)?;
        match settings.standing.naming {
            Naming::Asserted if *user != Address::anonymous() => {
                // One sip and one tel identity, where there are both (RFC 3325 section 9.1).
                let number = user.number().map(|number| format!(", <tel:{number}>"));
                add("P-Asserted-Identity", format!("<{home}>{}", number.unwrap_or_default()));
            }
            Naming::Preferred if settings.profile.ims && *user != Address::anonymous() => {
                let known = access.identity(realm, user).unwrap_or(&home);
                add("P-Preferred-Identity", format!("<{known}>"));
            }
            Naming::FromOnly | Naming::Preferred | Naming::Asserted => {}
        }
        if hidden {
            add("Privacy", "id".to_owned());
            return Ok(Self { from: anonymous(), headers });
        }
        Ok(Self { from: realm.name_addr(own)?, headers })
    }
}

/// The From of who does not want to be known (RFC 3323 section 4.1).
fn anonymous() -> NameAddr {
    let from = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
    NameAddr::parse(from).expect("the anonymous address is a good one")
}

/// Who has sent a request: as a trusted core asserts, else as it says itself; nobody, where it is
/// not for us to know.
pub(super) fn originator(realm: &Realm, request: &Request, trusted: bool) -> Option<Party> {
    if wants_privacy(&request.headers) {
        return Some(Party { address: Address::anonymous(), name: None });
    }
    let named = named(request, trusted);
    let shown = named.first()?;
    let mut names = named.iter().filter_map(|named| named.display.clone());
    let name = names.find(|name| !name.is_empty());
    Some(Party { address: realm.address(&shown.uri).unwrap_or_else(Address::anonymous), name })
}

/// Tells whether the sender of a request is called by this URI, be its port named or not, and does not
/// hide it: what it is reached by may differ from what others beside it are called in the port alone.
pub(super) fn is_called(realm: &Realm, (request, trusted): (&Request, bool), uri: &Uri) -> bool {
    let named = named(request, trusted);
    let Some(shown) = named.first().filter(|_| !wants_privacy(&request.headers)) else {
        return false;
    };
    let address = realm.address(&shown.uri);
    address.is_some_and(|it| it != Address::anonymous() && realm.address(uri) == Some(it))
        && port_of(&shown.uri) == port_of(uri)
}

/// Gives the port that a URI means, whether it names it or not.
fn port_of(uri: &Uri) -> u16 {
    uri.port().unwrap_or(if uri.is_secure() { 5061 } else { 5060 })
}

/// Reads who has sent a request, the one that is shown first: as a trusted core asserts, else as it
/// says itself.
fn named(request: &Request, trusted: bool) -> Vec<NameAddr> {
    let mut named = if trusted { identities(&request.headers) } else { Vec::new() };
    // Of a sip and a tel identity, the tel one is the address that REST shows.
    named.sort_by_key(|identity| identity.uri.number().is_none());
    named.extend(request.from());
    named
}

/// Under which addresses the sender of a request of our trust domain is known: those that are
/// asserted, else the one in From; none where it does not want to be known.
pub(super) fn senders(realm: &Realm, request: &Request) -> Vec<Address> {
    let named = identities(&request.headers);
    if named.is_empty() && !wants_privacy(&request.headers) {
        let from = request.from().ok().and_then(|from| realm.address(&from.uri));
        return from.into_iter().filter(|from| *from != Address::anonymous()).collect();
    }
    asserted(realm, &request.headers)
}

/// Under which addresses the sender of a message of our trust domain is asserted to be known; none
/// where it does not want to be.
pub(super) fn asserted(realm: &Realm, headers: &Headers) -> Vec<Address> {
    if wants_privacy(headers) {
        return Vec::new();
    }
    let named = identities(headers).into_iter();
    let addresses = named.filter_map(|named| realm.address(&named.uri));
    addresses.filter(|address| *address != Address::anonymous()).collect()
}

/// Reads P-Asserted-Identity: one identity, or one of either scheme (RFC 3325 section 9.1).
fn identities(headers: &Headers) -> Vec<NameAddr> {
    let mut identities = headers.addresses("P-Asserted-Identity");
    identities.retain(|identity| identity.uri.is_sip() || identity.uri.number().is_some());
    identities.truncate(MAX_IDENTITIES);
    identities
}

/// Tells whether the sender does not want to be known to us: `id` (RFC 3325 section 9.3), or `user`
/// where nobody on the way has done what it asks for (RFC 3323 section 4.2). `header` and `session`
/// ask for what has nothing to do with who the sender is; `none` asks for nothing.
fn wants_privacy(headers: &Headers) -> bool {
    let values = headers.all("Privacy").flat_map(|line| line.split([';', ',']));
    let mut values = values.map(str::trim);
    values.any(|value| ["id", "user"].iter().any(|wish| value.eq_ignore_ascii_case(wish)))
}

/// More identities than any honest core asserts.
const MAX_IDENTITIES: usize = 8;

fn parse(address: &Address, uri: &str) -> Result<Uri, Refusal> {
    Uri::parse(uri).map_err(|_| Refusal::BadAddress {
        address: address.spelling().to_owned(),
        why: "it makes no SIP URI; tel:+ and digits or sip:user@host would",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm(target_uri: TargetUri) -> Realm {
        Realm { domain: "example.com".into(), target_uri }
    }

    fn address(text: &str) -> Address {
        Address::parse(text).expect("a good address")
    }

    #[test]
    fn a_number_is_written_as_the_core_wants_it_and_read_back() {
        let number = address("tel:+1-958-555-0100");
        for (target_uri, text) in [
            (TargetUri::SipPhone, "sip:+19585550100@example.com;user=phone"),
            (TargetUri::Tel, "tel:+19585550100"),
        ] {
            let uri = realm(target_uri).target(&number).expect("a URI");
            assert_eq!(uri.to_string(), text);
            let back = realm(target_uri).address(&uri).expect("an address");
            assert_eq!(back, number);
            assert_eq!(back.spelling(), "tel:+19585550100");
        }
    }

    #[test]
    fn a_reference_and_a_sip_address_come_back_unharmed() {
        for text in ["acr:pseudonym123", "acr:a;b%c", "sip:alice@Example.com"] {
            let realm = realm(TargetUri::Tel);
            let uri = realm.target(&address(text)).expect("a URI");
            assert_eq!(realm.address(&uri), Some(address(text)), "{text}");
        }
    }
}
