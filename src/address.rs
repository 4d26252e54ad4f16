//! Addresses of users: `tel:`, `sip:` and `acr:` URIs, parsed once, compared by who they mean.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

/// The longest address that is taken, in bytes.
pub const MAX_ADDRESS: usize = 512;

/// The URI of an originator who hides (RFC 3323 section 4.1.1.3).
const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

/// Characters that stand as they are in a path segment (the unreserved ones of RFC 3986 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The address of a user, in the spelling that it came in.
///
/// `tel:+N`, bare `+N`, `sip:+N@domain;user=phone` and `sip:+N@domain` are one identity: equality,
/// order and hash go by [`Address::key`], never by the spelling.
#[derive(Debug, Clone)]
pub struct Address {
    spelling: Box<str>,
    key: Box<str>,
    scheme: Scheme,
}

/// The scheme of an [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// A global telephone number (RFC 3966), or a SIP URI whose user part is one.
    Tel,
    /// A SIP URI (RFC 3261 section 19.1).
    Sip,
    /// An Anonymous Customer Reference.
    Acr,
}

/// Why a text is not an [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Nothing was given.
    #[error("an address must not be empty")]
    Empty,
    /// More than [`MAX_ADDRESS`] bytes.
    #[error("an address has at most {MAX_ADDRESS} bytes")]
    TooLong,
    /// White space, a control or another character that no address holds.
    #[error("the address holds a character that no address may hold")]
    BadCharacter,
    /// A scheme other than `tel`, `sip`, `sips` and `acr`.
    #[error("the address must begin with tel:, sip: or acr:")]
    UnknownScheme,
    /// A telephone number without the leading `+` (TS Chat section 6).
    #[error("a telephone number must be global: tel:+ and digits")]
    NotGlobal,
    /// A SIP URI without a user or a host.
    #[error("a sip address must be sip:user@host")]
    NotUserAtHost,
    /// A SIP URI with a headers part (`?Subject=x`), which would become headers of a request.
    #[error("a sip address must not carry headers after a question mark")]
    Headers,
    /// An `acr:` without a reference.
    #[error("an acr address must be acr: and a reference")]
    EmptyReference,
}

impl Address {
    /// Parses an address as applications write it (TS Chat section 6).
    ///
    /// # Errors
    /// Names what is wrong with the text; see [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim_matches(' ');
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.len() > MAX_ADDRESS {
            return Err(AddressError::TooLong);
        }
        if !text.bytes().all(is_plain) && text.chars().any(is_forbidden) {
            return Err(AddressError::BadCharacter);
        }
        if text.starts_with('+') {
            // What is kept is read again as it is spelled: so it must not be too long then.
            return Self::parse(&format!("tel:{text}"));
        }
        let (scheme, rest) = text.split_once(':').ok_or(AddressError::UnknownScheme)?;
        let is = |name: &str| scheme.eq_ignore_ascii_case(name);
        if is("tel") {
            Self::tel_of(text, rest)
        } else if is("sip") || is("sips") {
            Self::sip_of(text, rest)
        } else if !is("acr") {
            Err(AddressError::UnknownScheme)
        } else if rest.is_empty() {
            Err(AddressError::EmptyReference)
        } else {
            Ok(Self::build(text, format!("acr:{rest}"), Scheme::Acr))
        }
    }

    /// The anonymous originator of RFC 3323 section 4.1.1.3.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::build(ANONYMOUS, ANONYMOUS.to_owned(), Scheme::Sip)
    }

    /// Tells whether the originator hides, in whatever spelling.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        &*self.key == ANONYMOUS
    }

    /// Gives the address as it was written.
    #[must_use]
    pub fn spelling(&self) -> &str {
        &self.spelling
    }

    /// Gives the identity behind the spelling: `tel:+N`, or `sip:user@host` in lower-case host.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Gives the scheme of the identity.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Gives the telephone number with its leading `+`, where the identity is one.
    #[must_use]
    pub fn number(&self) -> Option<&str> {
        (self.scheme == Scheme::Tel).then(|| self.key.trim_start_matches("tel:"))
    }

    /// Gives the spelling as one path segment of a URL, reserved characters escaped.
    #[must_use]
    pub fn path_segment(&self) -> String {
        // At most a few are escaped, each with two characters more.
        let mut segment = String::with_capacity(self.spelling.len() + 16);
        segment.extend(utf8_percent_encode(&self.spelling, SEGMENT));
        segment
    }

    fn tel_of(spelling: &str, rest: &str) -> Result<Self, AddressError> {
        let number = rest.split(';').next().unwrap_or_default();
        let key = key_of_number(number).ok_or(AddressError::NotGlobal)?;
        Ok(Self::build(spelling, key, Scheme::Tel))
    }

    fn sip_of(spelling: &str, rest: &str) -> Result<Self, AddressError> {
        if rest.contains('?') {
            return Err(AddressError::Headers);
        }
        let (user, host) = rest.split_once('@').ok_or(AddressError::NotUserAtHost)?;
        let user_name = user.split([':', ';']).next().unwrap_or_default();
        let host = host_name(host);
        if user_name.is_empty() || host.is_empty() || host.contains('@') {
            return Err(AddressError::NotUserAtHost);
        }
        let decoded = percent_decode_str(user_name).decode_utf8_lossy();
        if decoded.chars().any(char::is_control) {
            return Err(AddressError::BadCharacter);
        }
        if let Some(key) = key_of_number(&decoded) {
            return Ok(Self::build(spelling, key, Scheme::Tel));
        }
        let key = format!("sip:{decoded}@{}", host.to_ascii_lowercase());
        Ok(Self::build(spelling, key, Scheme::Sip))
    }

    fn build(spelling: &str, key: String, scheme: Scheme) -> Self {
        Self { spelling: spelling.into(), key: key.into(), scheme }
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Address {}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelling)
    }
}

/// Tells characters that could break out of a header, a URI or a log line (CR, LF, brackets, quotes,
/// bidirectional controls).
fn is_forbidden(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c, '<' | '>' | '"' | '\\' | '{' | '}' | '|' | '^' | '`' | ',')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Tells the bytes of which nearly all addresses are made: none of them is forbidden.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b':' | b'.' | b'-' | b'@' | b';' | b'=')
}

/// Gives `tel:+` and digits where `text` is a global number, visual separators removed
/// (RFC 3966 section 5.1.1).
fn key_of_number(text: &str) -> Option<String> {
    const PREFIX: &str = "tel:+";
    let digits = text.strip_prefix('+')?;
    let mut key = String::with_capacity(PREFIX.len() + digits.len());
    key.push_str(PREFIX);
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' => key.push(char::from(byte)),
            b'-' | b'.' | b'(' | b')' => {}
            _ => return None,
        }
    }
    (1..=32).contains(&(key.len() - PREFIX.len())).then_some(key)
}

/// Cuts port and parameters off the part behind the `@` of a SIP URI.
fn host_name(text: &str) -> &str {
    let host = text.split(';').next().unwrap_or_default();
    if host.starts_with('[') {
        return host.find(']').and_then(|end| host.get(..=end)).unwrap_or_default();
    }
    host.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<String, AddressError> {
        Address::parse(text).map(|address| address.key().to_owned())
    }

    #[test]
    fn what_was_read_is_read_again_however_long_a_bare_number_is() {
        for length in MAX_ADDRESS - 6..=MAX_ADDRESS + 1 {
            let bare = format!("+0;{}", "0".repeat(length - 3));
            if let Ok(address) = Address::parse(&bare) {
                assert_eq!(Address::parse(address.spelling()), Ok(address), "{length}");
            }
        }
        let longest = format!("+0;{}", "0".repeat(MAX_ADDRESS - 7));
        assert!(Address::parse(&longest).is_ok());
        assert_eq!(Address::parse(&format!("{longest}0")), Err(AddressError::TooLong));
    }

    #[test]
    fn one_number_in_many_spellings_is_one_identity() {
        for spelling in [
            "tel:+19585550100",
            "TEL:+1-958-555-0100",
            "+19585550100",
            "sip:+19585550100@example.com;user=phone",
            "sip:+19585550100@192.0.2.1:5060",
            "tel:+19585550100;phone-context=x",
        ] {
            assert_eq!(key(spelling).as_deref(), Ok("tel:+19585550100"), "{spelling}");
        }
        assert_eq!(Address::parse("+1958").map(|a| a.path_segment()), Ok("tel%3A%2B1958".into()));
    }

    #[test]
    fn sip_identities_ignore_port_parameters_and_the_case_of_the_host() {
        assert_eq!(
            key("sip:alice@Example.COM:5070;transport=tcp").as_deref(),
            Ok("sip:alice@example.com")
        );
        assert_eq!(key("sips:bob@[2001:DB8::1]:5061").as_deref(), Ok("sip:bob@[2001:db8::1]"));
        assert_eq!(key("acr:pseudonym123").as_deref(), Ok("acr:pseudonym123"));
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        let cases = [
            ("", AddressError::Empty),
            ("tel:0123", AddressError::NotGlobal),
            ("tel:+12x4", AddressError::NotGlobal),
            ("mailto:a@b", AddressError::UnknownScheme),
            ("alice", AddressError::UnknownScheme),
            ("sip:alice", AddressError::NotUserAtHost),
            ("sip:@host", AddressError::NotUserAtHost),
            ("sip:a@b?Subject=x", AddressError::Headers),
            ("sip:a@b\r\nRoute: <sip:x>", AddressError::BadCharacter),
            ("sip:a%0d%0a@b", AddressError::BadCharacter),
            ("sip:a@b>", AddressError::BadCharacter),
            ("acr:", AddressError::EmptyReference),
        ];
        for (text, error) in cases {
            assert_eq!(key(text), Err(error), "{text:?}");
        }
        assert_eq!(key(&format!("sip:{}@b", "a".repeat(600))), Err(AddressError::TooLong));
    }
}
