//! Users as SIP names them: addresses to URIs and back.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::address::{Address, Scheme};
use crate::chat::{Party, Refusal};
use crate::sip::{NameAddr, Uri};

/// How a user's number is written in a Request-URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetUri {
    /// `tel:+44…`.
    Tel,
    /// `sip:+44…@domain;user=phone`.
    SipPhone,
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
