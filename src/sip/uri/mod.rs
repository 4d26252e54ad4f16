//! URIs: `sip:` and `sips:` (RFC 3261 section 19.1), `tel:` (RFC 3966), and any other, opaque.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

use super::hop::unbracketed;
use super::{Hop, Transport};

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
    start: usize,
    end: usize,
}

impl Uri {
    /// Parses a URI as it stands between angle brackets or in a request line.
    ///
    /// # Errors
    /// Names what is wrong with the text; see [`UriError`].
    pub fn parse(text: &str) -> Result<Self, UriError> {
        if text.len() > MAX_URI {
            return Err(UriError::TooLong);
        }
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || b"<>\"".contains(&byte)) {
            return Err(UriError::BadCharacter);
        }
        let (scheme, rest) = text.split_once(':').ok_or(UriError::NoScheme)?;
        if !is_scheme(scheme) || rest.is_empty() {
            return Err(UriError::NoScheme);
        }
        let reader = Reader { text };
        let parts = match scheme.to_ascii_lowercase().as_str() {
            "sip" => Parts::Sip(reader.sip(rest, false)?),
            "sips" => Parts::Sip(reader.sip(rest, true)?),
            "tel" => reader.tel(rest)?,
            _ => Parts::Opaque { scheme: reader.span(scheme) },
        };
        Ok(Self { text: text.into(), parts })
    }

    /// A `sip:` URI of a user (escaped as needed) at `host` or `host:port`.
    ///
    /// # Errors
    /// The authority is no host, or its port is bad.
    pub fn sip(user: Option<&str>, authority: &str) -> Result<Self, UriError> {
        match user {
            Some(user) => {
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
        let end = self.sip_parts().and_then(|parts| parts.headers).map(|span| span.start - 1);
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

    /// Where a request to this SIP URI goes when no name server is asked (RFC 3263 section 4):
    /// `maddr` before the host, the `transport` parameter, the port or its default. `None` for
    /// another scheme and for a transport that this stack does not speak.
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
        Some(Hop::new(transport, host, self.port().unwrap_or(transport.default_port())))
    }

    /// Whether both mean the same resource (RFC 3261 section 19.1.4, RFC 3966 section 4).
    pub fn equivalent(&self, other: &Self) -> bool {
        match (&self.parts, &other.parts) {
            (Parts::Sip(mine), Parts::Sip(theirs)) => {
                mine.secure == theirs.secure
                    && self.user().map(canonical) == other.user().map(canonical)
                    && self.password().map(canonical) == other.password().map(canonical)
                    && same_host(self.host(), other.host())
                    && mine.port == theirs.port
                    && self.sip_params_agree(other)
                    && other.sip_params_agree(self)
                    && self.header_set() == other.header_set()
            }
            (Parts::Tel { .. }, Parts::Tel { .. }) => {
                self.number().map(bare_number) == other.number().map(bare_number)
                    && self.param_set() == other.param_set()
            }
            (Parts::Opaque { scheme: mine }, Parts::Opaque { scheme: theirs }) => {
                self.at(*mine).eq_ignore_ascii_case(other.at(*theirs))
                    && self.text[mine.end..] == other.text[theirs.end..]
            }
            (Parts::Sip(_), Parts::Tel { .. } | Parts::Opaque { .. })
            | (Parts::Tel { .. }, Parts::Sip(_) | Parts::Opaque { .. })
            | (Parts::Opaque { .. }, Parts::Sip(_) | Parts::Tel { .. }) => false,
        }
    }

    fn sip_parts(&self) -> Option<&SipParts> {
        match &self.parts {
            Parts::Sip(parts) => Some(parts),
            Parts::Tel { .. } | Parts::Opaque { .. } => None,
        }
    }

    fn at(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or("")
    }

    /// Keeps the parameters whose name passes and adds a text behind them.
    fn rewritten(&self, keep: impl Fn(&str) -> bool, added: &str) -> Self {
        let span = match &self.parts {
            Parts::Sip(SipParts { params, .. }) | Parts::Tel { params, .. } => *params,
            Parts::Opaque { .. } => return self.clone(),
        };
        let before = self.text[..span.start].trim_end_matches(';');
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
        text.push_str(&self.text[span.end..]);
        Self::parse(&text).unwrap_or_else(|_| self.clone())
    }

    /// Every parameter here that the other has too agrees with it, and those which count by
    /// their presence are there too.
    fn sip_params_agree(&self, other: &Self) -> bool {
        self.params().all(|(name, value)| match other.param(name) {
            Some(theirs) => canonical_lower(value.unwrap_or("")) == canonical_lower(theirs),
            None => !["user", "ttl", "method", "maddr", "transport"]
                .iter()
                .any(|strict| name.eq_ignore_ascii_case(strict)),
        })
    }

    fn header_set(&self) -> Vec<(String, String)> {
        let mut set: Vec<_> =
            self.headers().map(|(name, value)| (canonical_lower(name), canonical(value))).collect();
        set.sort();
        set
    }

    fn param_set(&self) -> Vec<(String, String)> {
        let mut set: Vec<_> = self
            .params()
            .map(|(name, value)| (name.to_ascii_lowercase(), bare_number(value.unwrap_or(""))))
            .collect();
        set.sort();
        set
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

/// Takes a text apart; every piece handed to it is a slice of `text`.
struct Reader<'a> {
    text: &'a str,
}

impl<'a> Reader<'a> {
    fn sip(&self, rest: &'a str, secure: bool) -> Result<SipParts, UriError> {
        let (userinfo, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (user, password) = match userinfo.map(|it| it.split_once(':').ok_or(it)) {
            None => (None, None),
            Some(Ok((user, password))) => (Some(user), Some(password)),
            Some(Err(user)) => (Some(user), None),
        };
        if let Some(user) = user {
            check(user, b"&=+$,;?/#", UriError::BadUser)?;
        }
        if let Some(password) = password.filter(|it| !it.is_empty()) {
            check(password, b"&=+$,", UriError::BadUser)?;
        }
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, Some(headers)),
            None => (rest, None),
        };
        let (authority, params) = match rest.split_once(';') {
            Some((authority, params)) => (authority, Some(params)),
            None => (rest, None),
        };
        let (host, port) = split_port(authority)?;
        check_params(params)?;
        check_headers(headers)?;
        Ok(SipParts {
            secure,
            user: user.map(|it| self.span(it)),
            password: password.map(|it| self.span(it)),
            host: self.span(host),
            port,
            params: self.span(params.unwrap_or(&rest[rest.len()..])),
            headers: headers.map(|it| self.span(it)),
        })
    }

    fn tel(&self, rest: &'a str) -> Result<Parts, UriError> {
        let (number, params) = match rest.split_once(';') {
            Some((number, params)) => (number, Some(params)),
            None => (rest, None),
        };
        let digits = number.strip_prefix('+').unwrap_or(number);
        let global = digits.len() < number.len();
        let is_digit = |byte: u8| match byte {
            b'0'..=b'9' => true,
            b'a'..=b'f' | b'A'..=b'F' | b'*' | b'#' => !global,
            _ => false,
        };
        let sound = digits.bytes().all(|byte| is_digit(byte) || b"-.()".contains(&byte));
        if !sound || !digits.bytes().any(is_digit) {
            return Err(UriError::BadNumber);
        }
        check_params(params)?;
        let params = self.span(params.unwrap_or(&rest[rest.len()..]));
        Ok(Parts::Tel { number: self.span(number), params })
    }

    /// Where a slice of the text stands in it.
    fn span(&self, piece: &str) -> Span {
        let start = piece.as_ptr() as usize - self.text.as_ptr() as usize;
        Span { start, end: start + piece.len() }
    }
}

/// Splits `host[:port]`, an IPv6 address in its brackets (RFC 5118 section 4.1).
pub(super) fn split_port(authority: &str) -> Result<(&str, Option<u16>), UriError> {
    let colon = match authority.rfind(']') {
        Some(bracket) => match authority.get(bracket + 1..) {
            Some("") => None,
            _ => Some(bracket + 1),
        },
        None if authority.starts_with('[') => return Err(UriError::BadHost),
        None => authority.find(':'),
    };
    let (host, port) = match colon {
        Some(at) => {
            let digits = authority[at..].strip_prefix(':').ok_or(UriError::BadHost)?;
            (&authority[..at], Some(parse_port(digits)?))
        }
        None => (authority, None),
    };
    if is_host(host) { Ok((host, port)) } else { Err(UriError::BadHost) }
}

fn parse_port(digits: &str) -> Result<u16, UriError> {
    let sound = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if sound { digits.parse().map_err(|_| UriError::BadPort) } else { Err(UriError::BadPort) }
}

/// A name, an IPv4 address, or an IPv6 address in brackets. Underscores are no part of a host
/// name, but of many that are in use.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(inner) => {
            inner.strip_suffix(']').is_some_and(|literal| literal.parse::<Ipv6Addr>().is_ok())
        }
        None => {
            let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !host.is_empty() && host.bytes().all(named)
        }
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// `unreserved`, escapes, and what else this part may hold; never empty.
fn check(part: &str, extra: &[u8], error: UriError) -> Result<(), UriError> {
    if part.is_empty() {
        return Err(error);
    }
    let bytes = part.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let lawful = byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
        if byte == b'%' {
            let hex = bytes.get(at + 1..at + 3).ok_or(UriError::BadEscape)?;
            if !hex.iter().all(u8::is_ascii_hexdigit) {
                return Err(UriError::BadEscape);
            }
        } else if !lawful && !extra.contains(&byte) {
            return Err(error);
        }
    }
    Ok(())
}

fn check_params(params: Option<&str>) -> Result<(), UriError> {
    params.into_iter().flat_map(|list| list.split(';')).try_for_each(|param| {
        let (name, value) = param.split_once('=').unwrap_or((param, "-"));
        check(name, b"[]/:&+$", UriError::BadParam)?;
        check(value, b"[]/:&+$=", UriError::BadParam)
    })
}

/// Wider than `hvalue` by the characters that clients leave unescaped in `Replaces`.
fn check_headers(headers: Option<&str>) -> Result<(), UriError> {
    headers.into_iter().flat_map(|list| list.split('&')).try_for_each(|header| {
        let (name, value) = header.split_once('=').ok_or(UriError::BadHeaders)?;
        check(name, b"[]/?:+$", UriError::BadHeaders)?;
        if value.is_empty() { Ok(()) } else { check(value, b"[]/?:+$=@;,", UriError::BadHeaders) }
    })
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

/// Undoes the escapes of all but reserved characters: `%41` is `A`, but `%3B` is not `;`.
fn canonical(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let hex = rest.get(at + 1..at + 3).unwrap_or("");
        match u8::from_str_radix(hex, 16) {
            Ok(byte) if byte.is_ascii_graphic() && !b";/?:@&=+$,%".contains(&byte) => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                out.push_str(&hex.to_ascii_uppercase());
            }
        }
        rest = rest.get(at + 1 + hex.len()..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

fn canonical_lower(text: &str) -> String {
    canonical(text).to_ascii_lowercase()
}

/// A number, or a parameter of one, without visual separators (RFC 3966 section 4).
fn bare_number(number: &str) -> String {
    number.to_ascii_lowercase().replace(['-', '.', '(', ')'], "")
}

fn same_host(mine: Option<&str>, theirs: Option<&str>) -> bool {
    let (Some(mine), Some(theirs)) = (mine, theirs) else { return mine == theirs };
    match (mine.parse::<Ipv6Addr>(), theirs.parse::<Ipv6Addr>()) {
        (Ok(mine), Ok(theirs)) => mine == theirs,
        _ => mine.eq_ignore_ascii_case(theirs),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Scheme, Uri, UriError};
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
    fn a_bad_uri_names_its_fault() {
        for (text, error) in [
            ("", UriError::NoScheme),
            ("alice", UriError::NoScheme),
            ("sip:", UriError::NoScheme),
            ("1sip:a@b", UriError::NoScheme),
            ("sip:a b@c", UriError::BadCharacter),
            ("sip:a@b\r\nRoute: c", UriError::BadCharacter),
            ("<sip:a@b>", UriError::BadCharacter),
            ("sip:@b", UriError::BadUser),
            ("sip:a|b@c", UriError::BadUser),
            ("sip:a%4@b", UriError::BadEscape),
            ("sip:a%zz@b", UriError::BadEscape),
            ("sip:a%é@b", UriError::BadEscape),
            ("sip:a@", UriError::BadHost),
            ("sip:a@b@c", UriError::BadHost),
            ("sip:a@[::1", UriError::BadHost),
            ("sip:a@[::1]x", UriError::BadHost),
            ("sip:a@[1.2.3.4]", UriError::BadHost),
            ("sip:2001:db8::10", UriError::BadPort),
            ("sip:a@b:", UriError::BadPort),
            ("sip:a@b:+5", UriError::BadPort),
            ("sip:a@b:65536", UriError::BadPort),
            ("sip:a@b;", UriError::BadParam),
            ("sip:a@b;;lr", UriError::BadParam),
            ("sip:a@b;x=", UriError::BadParam),
            ("sip:a@b?", UriError::BadHeaders),
            ("sip:a@b?x", UriError::BadHeaders),
            ("tel:", UriError::NoScheme),
            ("tel:+", UriError::BadNumber),
            ("tel:+12a", UriError::BadNumber),
            ("tel:alice", UriError::BadNumber),
        ] {
            assert_eq!(Uri::parse(text), Err(error), "{text}");
        }
        let long = format!("sip:{}@b", "a".repeat(super::MAX_URI));
        assert_eq!(Uri::parse(&long), Err(UriError::TooLong));
    }

    /// The examples of RFC 3261 section 19.1.4.
    #[test]
    fn equivalence_is_that_of_the_rfc() {
        let same = [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
            ("sip:a@[2001:DB8::0:1]", "sip:a@[2001:db8::1]"),
            ("tel:+1-202-555", "tel:+1(202)555"),
            ("URN:service:sos", "urn:service:sos"),
        ];
        let different = [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:a@b", "sips:a@b"),
            ("sip:a%3Bb@c", "sip:a;b@c"),
            ("sip:a@b", "sip:a:x@b"),
            ("tel:+1202", "tel:+1202;ext=1"),
            ("tel:+1202", "sip:+1202@h"),
        ];
        for (mine, theirs) in same {
            assert!(uri(mine).equivalent(&uri(theirs)), "{mine} {theirs}");
            assert!(uri(theirs).equivalent(&uri(mine)), "{theirs} {mine}");
        }
        for (mine, theirs) in different {
            assert!(!uri(mine).equivalent(&uri(theirs)), "{mine} {theirs}");
            assert!(!uri(theirs).equivalent(&uri(mine)), "{theirs} {mine}");
        }
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
            ("sip:a@h", Some(Hop::new(Transport::Udp, "h", 5060))),
            ("sip:h:5070;transport=TCP", Some(Hop::new(Transport::Tcp, "h", 5070))),
            ("sips:[::1]", Some(Hop::new(Transport::Tls, "::1", 5061))),
            ("sips:h;transport=tcp", Some(Hop::new(Transport::Tls, "h", 5061))),
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
