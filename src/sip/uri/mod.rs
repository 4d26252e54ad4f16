//! URIs: `sip:` and `sips:` (RFC 3261 section 19.1), `tel:` (RFC 3966), and any other, opaque.

mod equivalence;
mod read;

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

use super::grammar::{ByteSet, split_at_byte};
use super::hop::unbracketed;
use super::{Hop, Transport};
use read::{Reader, is_scheme, split_port};

pub(super) use read::{
    HOST_NAME, PARAM_NAME, PARAM_VALUE, USER, is_host, parse_port, split_sent_by,
};

/// The longest URI that is taken, in bytes.
pub const MAX_URI: usize = 16 * 1024;

/// A URI in the spelling that it came in, taken apart once.
///
/// `==` compares spellings; [`Uri::equivalent`] compares by the rules of its scheme.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uri {
    text: Box<str>,
    parts: Parts,
}

/// The scheme of a [`Uri`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other, kept as opaque text: `urn:`, `im:`, `http:`…
    Other,
}

/// Why a text is not a [`Uri`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UriError {
    /// More than [`MAX_URI`] bytes.
    #[error("a URI has at most {MAX_URI} bytes")]
    TooLong,
    /// No scheme and colon in front.
    #[error("a URI begins with a scheme")]
    NoScheme,
    /// White space, controls, `<`, `>` or `"` inside.
    #[error("a URI holds no white space, controls, angle brackets or quotes")]
    BadCharacter,
    /// A percent sign without two hexadecimal digits behind it.
    #[error("the URI has a broken escape")]
    BadEscape,
    /// An empty user, or a character that no user holds unescaped.
    #[error("the URI has a bad user part")]
    BadUser,
    /// Neither a name nor an IPv4 address nor an IPv6 address in brackets.
    #[error("the URI has a bad host")]
    BadHost,
    /// Not a number up to 65535.
    #[error("the URI has a bad port")]
    BadPort,
    /// An empty or misspelt parameter.
    #[error("the URI has a bad parameter")]
    BadParam,
    /// An empty or misspelt header behind the question mark.
    #[error("the URI has a bad header part")]
    BadHeaders,
    /// A `tel:` without digits, or with characters that no number holds.
    #[error("the URI has a bad telephone number")]
    BadNumber,
}

/// Where the parts stand in the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Parts {
    Sip(SipParts),
    Tel { number: Span, params: Span },
    Opaque { scheme: Span },
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct SipParts {
    secure: bool,
    user: Option<Span>,
    password: Option<Span>,
    host: Span,
    port: Option<u16>,
    /// Without the first semicolon.
    params: Span,
    /// Without the question mark.
    headers: Option<Span>,
}

/// A stretch of the text, in bytes; both ends lie on ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Span {
    start: u16,
    end: u16,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        const { assert!(MAX_URI <= u16::MAX as usize, "a span reaches through the longest URI") };
        let narrow = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    fn start(self) -> usize {
        self.start.into()
    }

    fn end(self) -> usize {
        self.end.into()
    }
}

impl Parts {
    fn read(text: &str) -> Result<Self, UriError> {
        if text.len() > MAX_URI {
            return Err(UriError::TooLong);
        }
        match Self::read_scheme(text) {
            // Whoever gets so far has looked at every byte.
            Ok(parts @ (Self::Sip(_) | Self::Tel { .. })) => Ok(parts),
            // White space and controls are the fault that is named first.
            Ok(Self::Opaque { .. }) | Err(_) if !URI_BYTES.has_all(text) => {
                Err(UriError::BadCharacter)
            }
            other => other,
        }
    }

    fn read_scheme(text: &str) -> Result<Self, UriError> {
        if let Some(rest) = text.strip_prefix("sip:").filter(|rest| !rest.is_empty()) {
            return Ok(Self::Sip(Reader { text }.sip(rest, false)?));
        }
        let (scheme, rest) = split_at_byte(text, b':').ok_or(UriError::NoScheme)?;
        if !is_scheme(scheme) || rest.is_empty() {
            return Err(UriError::NoScheme);
        }
        let reader = Reader { text };
        let is = |name: &str| scheme.eq_ignore_ascii_case(name);
        if is("sip") || is("sips") {
            Ok(Self::Sip(reader.sip(rest, is("sips"))?))
        } else if is("tel") {
            reader.tel(rest)
        } else {
            Ok(Self::Opaque { scheme: reader.span(scheme) })
        }
    }
}

/// What may stand in a URI of any scheme.
static URI_BYTES: ByteSet = ByteSet::all_but(b"<>\"").but_blanks_and_controls();

impl Uri {
    /// Parses a URI as it stands between angle brackets or in a request line.
    ///
    /// # Errors
    /// Names what is wrong with the text; see [`UriError`].
    pub fn parse(text: &str) -> Result<Self, UriError> {
        Ok(Self { parts: Parts::read(text)?, text: text.into() })
    }

    /// Whether a text is a URI, without making one of it.
    pub(super) fn check(text: &str) -> Result<(), UriError> {
        Parts::read(text).map(drop)
    }

    /// A `sip:` URI of a user (escaped as needed) at `host` or `host:port`.
    ///
    /// # Errors
    /// The authority is no host, or its port is bad.
    pub fn sip(user: Option<&str>, authority: &str) -> Result<Self, UriError> {
        match user {
            Some(user) => {
                split_port(authority)?;
                let user = utf8_percent_encode(user, USER_ESCAPES);
                Self::parse(&format!("sip:{user}@{authority}"))
            }
            None => Self::parse(&format!("sip:{authority}")),
        }
    }

    /// The text as it was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        match &self.parts {
            Parts::Sip(parts) if parts.secure => Scheme::Sips,
            Parts::Sip(_) => Scheme::Sip,
            Parts::Tel { .. } => Scheme::Tel,
            Parts::Opaque { .. } => Scheme::Other,
        }
    }

    /// The scheme as spelled, without its colon.
    pub fn scheme_name(&self) -> &str {
        match &self.parts {
            Parts::Sip(_) | Parts::Tel { .. } => self.text.split(':').next().unwrap_or(""),
            Parts::Opaque { scheme } => self.at(*scheme),
        }
    }

    /// Whether this is `sip:` or `sips:`.
    pub fn is_sip(&self) -> bool {
        matches!(self.parts, Parts::Sip(_))
    }

    /// Whether this is `sips:`, to be reached over TLS only (RFC 3261 section 26.2.2).
    pub fn is_secure(&self) -> bool {
        self.scheme() == Scheme::Sips
    }

    /// The user of a SIP URI, escapes as they stand.
    pub fn user(&self) -> Option<&str> {
        self.sip_parts()?.user.map(|span| self.at(span))
    }

    /// The user of a SIP URI with its escapes undone.
    pub fn user_unescaped(&self) -> Option<String> {
        self.user().map(|user| percent_decode_str(user).decode_utf8_lossy().into_owned())
    }

    /// The password of a SIP URI; deprecated, but part of the spelling.
    pub fn password(&self) -> Option<&str> {
        self.sip_parts()?.password.map(|span| self.at(span))
    }

    /// The host of a SIP URI, an IPv6 address without its brackets.
    pub fn host(&self) -> Option<&str> {
        self.sip_parts().map(|parts| unbracketed(self.at(parts.host)))
    }

    /// The port of a SIP URI, if it names one.
    pub fn port(&self) -> Option<u16> {
        self.sip_parts()?.port
    }

    /// The number of a `tel:` URI as spelled, with its visual separators.
    pub fn number(&self) -> Option<&str> {
        match &self.parts {
            Parts::Tel { number, .. } => Some(self.at(*number)),
            Parts::Sip(_) | Parts::Opaque { .. } => None,
        }
    }

    /// The parameters in order, values as they stand; a flag has none.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let list = match &self.parts {
            Parts::Sip(SipParts { params, .. }) | Parts::Tel { params, .. } => self.at(*params),
            Parts::Opaque { .. } => "",
        };
        list.split(';').filter(|param| !param.is_empty()).map(|param| match param.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (param, None),
        })
    }

    /// The value of a parameter, whatever the case of its name: `Some("")` for a flag.
    pub fn param(&self, name: &str) -> Option<&str> {
        let (_, value) = self.params().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value.unwrap_or(""))
    }

    /// The headers behind the question mark, escapes as they stand.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let list = self.sip_parts().and_then(|parts| parts.headers).map_or("", |it| self.at(it));
        list.split('&').filter_map(|header| header.split_once('='))
    }

    /// Whether there is a headers part, which no Request-URI may carry (RFC 3261 section 19.1.1).
    pub fn has_headers(&self) -> bool {
        self.sip_parts().is_some_and(|parts| parts.headers.is_some())
    }

    /// The same URI without its headers part.
    #[must_use]
    pub fn without_headers(&self) -> Self {
        let end = self.sip_parts().and_then(|parts| parts.headers).map(|span| span.start() - 1);
        let mut bare = self.clone();
        if let (Some(end), Parts::Sip(parts)) = (end, &mut bare.parts) {
            parts.headers = None;
            bare.text = self.text[..end].into();
        }
        bare
    }

    /// The same URI without one of its parameters.
    #[must_use]
    pub fn without_param(&self, name: &str) -> Self {
        self.rewritten(|known| !known.eq_ignore_ascii_case(name), "")
    }

    /// The same URI with a parameter set; characters that no parameter holds are escaped.
    #[must_use]
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Self {
        let mut added = format!(";{}", utf8_percent_encode(name, PARAM_ESCAPES));
        if let Some(value) = value {
            added.push('=');
            added.extend(utf8_percent_encode(value, PARAM_ESCAPES));
        }
        self.rewritten(|known| !known.eq_ignore_ascii_case(name), &added)
    }

    /// Where a request to this SIP URI goes, as far as the URI tells (RFC 3263 section 4): `maddr`
    /// before the host, the `transport` parameter, the port. An IP literal without port has the
    /// default port, a name without one leaves it to DNS. `None` for another scheme and for a
    /// transport that this stack does not speak.
    pub fn hop(&self) -> Option<Hop> {
        let secure = self.sip_parts()?.secure;
        let transport = match self.param("transport") {
            None if secure => Transport::Tls,
            None => Transport::Udp,
            Some(token) => match token.parse().ok()? {
                Transport::Tcp if secure => Transport::Tls,
                Transport::Udp if secure => return None,
                named @ (Transport::Udp | Transport::Tcp | Transport::Tls) => named,
            },
        };
        let host = self.param("maddr").filter(|host| !host.is_empty()).or(self.host())?;
        let hop = Hop::new(transport, host, 0);
        let default = if hop.address().is_some() { transport.default_port() } else { 0 };
        Some(Hop { port: self.port().unwrap_or(default), ..hop })
    }

    fn sip_parts(&self) -> Option<&SipParts> {
        match &self.parts {
            Parts::Sip(parts) => Some(parts),
            Parts::Tel { .. } | Parts::Opaque { .. } => None,
        }
    }

    fn at(&self, span: Span) -> &str {
        self.text.get(span.start()..span.end()).unwrap_or("")
    }

    /// Keeps the parameters whose name passes and adds a text behind them.
    fn rewritten(&self, keep: impl Fn(&str) -> bool, added: &str) -> Self {
        let span = match &self.parts {
            Parts::Sip(SipParts { params, .. }) | Parts::Tel { params, .. } => *params,
            Parts::Opaque { .. } => return self.clone(),
        };
        let before = self.text[..span.start()].trim_end_matches(';');
        let mut text = before.to_owned();
        for (name, value) in self.params().filter(|(name, _)| keep(name)) {
            text.push(';');
            text.push_str(name);
            if let Some(value) = value {
                text.push('=');
                text.push_str(value);
            }
        }
        text.push_str(added);
        text.push_str(&self.text[span.end()..]);
        Self::parse(&text).unwrap_or_else(|_| self.clone())
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Uri").field(&self.text).finish()
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

/// What a user part may hold unescaped (RFC 3261 section 25.1, `user`).
const USER_ESCAPES: &AsciiSet = &UNRESERVED
    .remove(b'&')
    .remove(b'=')
    .remove(b'+')
    .remove(b'$')
    .remove(b',')
    .remove(b';')
    .remove(b'?')
    .remove(b'/');

/// What a parameter may hold unescaped (RFC 3261 section 25.1, `paramchar`).
const PARAM_ESCAPES: &AsciiSet = &UNRESERVED
    .remove(b'[')
    .remove(b']')
    .remove(b'/')
    .remove(b':')
    .remove(b'&')
    .remove(b'+')
    .remove(b'$');

/// Alphanumerics and marks stand as they are.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Scheme, Uri};
    use crate::sip::{Hop, Transport};

    #[test]
    fn a_sip_uri_has_its_parts() {
        let uri =
            uri("sip:alice:secret@atlanta.com:5070;transport=tcp;lr?Subject=x&Priority=urgent");
        assert_eq!(uri.scheme(), Scheme::Sip);
        assert_eq!((uri.user(), uri.password()), (Some("alice"), Some("secret")));
        assert_eq!((uri.host(), uri.port()), (Some("atlanta.com"), Some(5070)));
        assert_eq!((uri.param("TRANSPORT"), uri.param("lr")), (Some("tcp"), Some("")));
        assert_eq!(uri.param("ttl"), None);
        assert_eq!(uri.headers().collect::<Vec<_>>(), [("Subject", "x"), ("Priority", "urgent")]);
        assert_eq!(
            uri.without_headers().as_str(),
            "sip:alice:secret@atlanta.com:5070;transport=tcp;lr"
        );
    }

    #[test]
    fn users_hold_dots_parameters_and_escapes() {
        for (text, user) in [
            ("sip:conference-factory1.ims@x.org", "conference-factory1.ims"),
            ("sip:+1202;phone-context=+1@h;user=phone", "+1202;phone-context=+1"),
            ("sip:sips%3Auser%40example.com@example.net", "sips%3Auser%40example.com"),
            ("sip:a/b?c@d", "a/b?c"),
        ] {
            assert_eq!(uri(text).user(), Some(user), "{text}");
        }
        assert_eq!(uri("sip:null-%00-null@h").user_unescaped().as_deref(), Some("null-\0-null"));
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        let six = uri("sip:user@[2001:db8::10:5070]");
        assert_eq!((six.host(), six.port()), (Some("2001:db8::10:5070"), None));
        let six = uri("sips:[::ffff:192.0.2.10]:5061;lr");
        assert_eq!((six.host(), six.port()), (Some("::ffff:192.0.2.10"), Some(5061)));
        assert!(six.is_secure());
    }

    #[test]
    fn parameters_of_registered_instances_are_whole() {
        let uri = uri("sip:a@h;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
        assert_eq!(uri.param("gr"), Some("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));
    }

    #[test]
    fn telephone_numbers_keep_their_plus_and_their_context() {
        let global = uri("tel:+1-202-555-0123;ext=5");
        assert_eq!((global.scheme(), global.number()), (Scheme::Tel, Some("+1-202-555-0123")));
        let local = uri("tel:7042;phone-context=example.com");
        assert_eq!(local.param("phone-context"), Some("example.com"));
        assert_eq!(local.host(), None);
    }

    #[test]
    fn other_schemes_are_kept_as_they_are() {
        for text in ["urn:service:sos", "soap.beep://192.0.2.103:3002", "isbn:2983792873"] {
            assert_eq!((uri(text).scheme(), uri(text).to_string().as_str()), (Scheme::Other, text));
        }
        assert_eq!(uri("soap.beep://x").scheme_name(), "soap.beep");
    }

    #[test]
    fn what_is_built_holds_no_more_than_it_should() {
        let built = Uri::sip(Some("a@b;c d"), "h:5060").unwrap();
        assert_eq!(built.as_str(), "sip:a%40b;c%20d@h:5060");
        let with = uri("sip:a@h;lr?x=y").with_param("ob", None).with_param("t", Some("a b;c"));
        assert_eq!(with.as_str(), "sip:a@h;lr;ob;t=a%20b%3Bc?x=y");
        assert_eq!(with.without_param("LR").as_str(), "sip:a@h;ob;t=a%20b%3Bc?x=y");
        assert_eq!(uri("sip:a@h?x=y").with_param("lr", None).as_str(), "sip:a@h;lr?x=y");
        assert_eq!(uri("urn:a:b").with_param("lr", None).as_str(), "urn:a:b");
        assert!(Uri::sip(Some("a"), "h\r\nVia: x").is_err());
    }

    #[test]
    fn a_hop_follows_transport_maddr_and_port() {
        for (text, hop) in [
            ("sip:a@h", Some(Hop::new(Transport::Udp, "h", 0))),
            ("sip:h:5070;transport=TCP", Some(Hop::new(Transport::Tcp, "h", 5070))),
            ("sips:[::1]", Some(Hop::new(Transport::Tls, "::1", 5061))),
            ("sips:h;transport=tcp", Some(Hop::new(Transport::Tls, "h", 0))),
            ("sip:h;maddr=192.0.2.1", Some(Hop::new(Transport::Udp, "192.0.2.1", 5060))),
            ("sip:h;transport=sctp", None),
            ("sips:h;transport=udp", None),
            ("tel:+1202", None),
        ] {
            assert_eq!(uri(text).hop(), hop, "{text}");
        }
    }

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }
}
