//! MSRP URIs and the paths made of them (RFC 4975 sections 6 and 9).

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use memchr::{memchr, memchr2, memrchr};

use super::text::Text;

/// An address of one party in one session: `msrp://host:port/session-id;tcp`.
///
/// Printed exactly as it was read: peers compare URIs letter by letter.
#[derive(Clone)]
pub struct Uri {
    text: Text,
    secure: bool,
    host: Span,
    port: Option<u16>,
    session_id: Option<Span>,
    transport: Option<Span>,
}

/// What is wrong with a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Longer than any peer can mean.
    #[error("the URI is longer than {MAX_URI} octets")]
    TooLong,
    /// Neither `msrp` nor `msrps`.
    #[error("the scheme is neither msrp nor msrps")]
    Scheme,
    /// The host is empty or has characters that no host has.
    #[error("the host is no name and no address")]
    Host,
    /// The port is no number up to 65535.
    #[error("the port is no number up to 65535")]
    Port,
    /// The session-id has a character that no URI may have.
    #[error("the session-id has a forbidden character")]
    SessionId,
    /// A parameter is empty or has a forbidden character.
    #[error("a parameter is empty or has a forbidden character")]
    Parameter,
}

/// How closely the To-Path of a request has to name us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matching {
    /// All of it (RFC 4975 section 6.1).
    Strict,
    /// The session-id only: middleboxes rewrite hosts and ports (RFC 6714).
    #[default]
    SessionId,
}

impl Uri {
    /// Reads a URI.
    ///
    /// # Errors
    /// Tells which part is wrong.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        if text.len() > MAX_URI { Err(UriError::TooLong) } else { Self::read(Text::new(text)) }
    }

    /// Builds the URI under which a party of a session can be reached over TCP.
    ///
    /// # Errors
    /// Tells which part does not fit into a URI.
    pub fn new(secure: bool, host: &str, port: u16, session_id: &str) -> Result<Self, UriError> {
        if session_id.is_empty() || session_id.contains(';') {
            return Err(UriError::SessionId);
        }
        let scheme = if secure { "msrps" } else { "msrp" };
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        let uri = Self::parse(&format!("{scheme}://{open}{host}{close}:{port}/{session_id};tcp"))?;
        if uri.host() == host { Ok(uri) } else { Err(UriError::Host) }
    }

    /// Tells whether the connection has to be TLS (`msrps`).
    #[must_use]
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// Gives the host; an IPv6 address comes without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.of(&self.text)
    }

    /// Gives the port, where one is named.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Gives the session-id; a relay has none (RFC 4976 section 4.1).
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.map(|span| span.of(&self.text))
    }

    /// Tells whether this is the session-id.
    #[must_use]
    pub fn is_of_session(&self, session_id: &str) -> bool {
        self.session_id_bytes() == Some(session_id.as_bytes())
    }

    /// Gives the transport, which every URI should name and some forget.
    #[must_use]
    pub fn transport(&self) -> Option<&str> {
        self.transport.map(|span| span.of(&self.text))
    }

    /// Gives the URI as it was read.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Compares by the rules of RFC 4975 section 6.1.
    #[must_use]
    pub fn equivalent(&self, other: &Self) -> bool {
        self.secure == other.secure
            && self.port == other.port
            && self.session_id() == other.session_id()
            && same_host(self.host(), other.host())
            && match (self.transport(), other.transport()) {
                (Some(one), Some(two)) => one.eq_ignore_ascii_case(two),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            }
    }

    /// Compares as closely as `matching` asks for; a URI without session-id names no session.
    #[must_use]
    pub fn names(&self, other: &Self, matching: Matching) -> bool {
        match matching {
            Matching::Strict => self.equivalent(other),
            Matching::SessionId => {
                let (ours, theirs) = (self.session_id_bytes(), other.session_id_bytes());
                ours.is_some() && ours == theirs
            }
        }
    }

    fn session_id_bytes(&self) -> Option<&[u8]> {
        self.session_id.map(|span| span.bytes_of(&self.text))
    }

    pub(super) fn read(text: Text) -> Result<Self, UriError> {
        let whole = text.as_bytes();
        if whole.len() > MAX_URI {
            return Err(UriError::TooLong);
        }
        let (secure, rest) = scheme(whole)?;
        let (host, port, tail) = match plain_authority(rest) {
            Some(parts) => parts,
            None => {
                let (authority, tail) = split_at(rest, memchr2(b'/', b';', rest));
                let (host, port) = host_and_port(authority)?;
                (host, port, tail)
            }
        };
        let (session_id, parameters) = session_id(tail)?;
        let transport = transport(parameters)?;
        let span = |part: &[u8]| Span::locate(whole, part);
        let (host, session_id) = (span(host), session_id.map(span));
        let transport = transport.map(span);
        Ok(Self { secure, host, port, session_id, transport, text })
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Uri {}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// The URIs from hop to hop, the next one first (RFC 4975 section 5.2); never empty.
///
/// A copy shares the URIs: every frame of a session carries the same paths.
#[derive(PartialEq, Eq)]
pub struct Path(Arc<[Uri]>);

impl Clone for Path {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// To become what one is already costs nothing.
    fn clone_from(&mut self, source: &Self) {
        if !Arc::ptr_eq(&self.0, &source.0) {
            self.0 = Arc::clone(&source.0);
        }
    }
}

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No URI in it.
    #[error("the path is empty")]
    Empty,
    /// More hops than any network has.
    #[error("the path has more than {MAX_HOPS} URIs")]
    TooLong,
    /// A URI is wrong.
    #[error("the path has a wrong URI: {0}")]
    Uri(#[from] UriError),
}

impl Path {
    /// Reads a path, URIs with spaces between.
    ///
    /// # Errors
    /// Tells what is wrong with the path or with a URI in it.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.len() > MAX_HOPS * (MAX_URI + 1) {
            return Err(PathError::TooLong);
        }
        Self::read(Text::new(text.trim()))
    }

    /// Gives the next hop.
    #[must_use]
    pub fn first(&self) -> &Uri {
        self.0.first().expect(NEVER_EMPTY)
    }

    /// Gives the far end.
    #[must_use]
    pub fn last(&self) -> &Uri {
        self.0.last().expect(NEVER_EMPTY)
    }

    /// Counts the hops.
    #[must_use]
    pub fn hops(&self) -> usize {
        self.0.len()
    }

    /// Gives the way to the next hop only.
    #[must_use]
    pub fn one_hop(&self) -> Self {
        if self.hops() == 1 { self.clone() } else { Self::from(self.first().clone()) }
    }

    /// Gives the way that goes on with `next` where this one ends.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        Self(self.iter().chain(next.iter()).cloned().collect())
    }

    /// Gives the way back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self(self.0.iter().rev().cloned().collect())
    }

    /// Copies it, so that it does not keep the bytes that it was read from.
    pub(super) fn detached(&self) -> Self {
        Self::parse(&self.to_string()).unwrap_or_else(|_| self.clone())
    }

    /// Walks from the next hop to the far end.
    pub fn iter(&self) -> impl Iterator<Item = &Uri> + Clone {
        self.0.iter()
    }

    pub(super) fn read(text: Text) -> Result<Self, PathError> {
        // Nearly every path is one URI.
        let whole = text.as_bytes();
        if !whole.is_empty() && memchr(b' ', whole).is_none() {
            return Ok(Self::from(Uri::read(text)?));
        }
        let uris = whole.split(|byte| *byte == b' ').filter(|uri| !uri.is_empty());
        let mut uris = uris.map(|uri| {
            let span = Span::locate(whole, uri);
            let part = text.part(span.start.into(), span.end.into()).ok_or(UriError::TooLong)?;
            Uri::read(part)
        });
        let hops = uris.by_ref().take(MAX_HOPS).collect::<Result<Arc<[_]>, _>>()?;
        match hops.len() {
            0 => Err(PathError::Empty),
            _ if uris.next().is_some() => Err(PathError::TooLong),
            _ => Ok(Self(hops)),
        }
    }
}

impl From<Uri> for Path {
    fn from(only: Uri) -> Self {
        Self(Arc::new([only]))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first().fmt(f)?;
        self.iter().skip(1).try_for_each(|uri| write!(f, " {uri}"))
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Where a part stands in its text.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// Finds `part`, which was cut out of `whole`.
    fn locate(whole: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
        let narrow = |place: usize| u16::try_from(place).unwrap_or(u16::MAX);
        Self { start: narrow(start), end: narrow(start + part.len()) }
    }

    fn of(self, text: &Text) -> &str {
        std::str::from_utf8(self.bytes_of(text)).unwrap_or_default()
    }

    fn bytes_of(self, text: &Text) -> &[u8] {
        text.as_bytes().get(self.start.into()..self.end.into()).unwrap_or_default()
    }
}

fn scheme(uri: &[u8]) -> Result<(bool, &[u8]), UriError> {
    // Nearly every URI.
    if let Some(rest) = uri.strip_prefix(b"msrp://") {
        return Ok((false, rest));
    }
    let (scheme, rest) = split_at(uri, memchr(b':', uri));
    let rest = rest.strip_prefix(b"://").ok_or(UriError::Scheme)?;
    match scheme {
        _ if scheme.eq_ignore_ascii_case(b"msrp") => Ok((false, rest)),
        _ if scheme.eq_ignore_ascii_case(b"msrps") => Ok((true, rest)),
        _ => Err(UriError::Scheme),
    }
}

/// Takes the session-id, where there is one, and leaves the parameters.
fn session_id(tail: &[u8]) -> Result<(Option<&[u8]>, &[u8]), UriError> {
    let Some(rest) = tail.strip_prefix(b"/") else { return Ok((None, tail)) };
    let (id, parameters) = split_at(rest, leading(SESSION_ID, rest));
    match (id, parameters) {
        (_, [octet, ..]) if *octet != b';' => Err(UriError::SessionId),
        ([], _) => Ok((None, parameters)),
        (id, _) => Ok((Some(id), parameters)),
    }
}

/// Takes `name[:port]` apart, and leaves what follows it; all other authorities are for
/// [`host_and_port`].
fn plain_authority(rest: &[u8]) -> Option<(&[u8], Option<u16>, &[u8])> {
    let (host, tail) = split_at(rest, leading(NAME, rest));
    let (port, tail) = match tail.strip_prefix(b":") {
        Some(tail) => {
            let end = tail.iter().position(|byte| !byte.is_ascii_digit());
            let (digits, tail) = split_at(tail, end);
            (Some(number(digits)?), tail)
        }
        None => (None, tail),
    };
    let ends = matches!(tail.first(), None | Some(b'/' | b';'));
    (ends && !host.is_empty()).then_some((host, port, tail))
}

/// Takes `[userinfo@]host[:port]` apart. The user plays no part in MSRP (RFC 4975 section 6.1).
fn host_and_port(authority: &[u8]) -> Result<(&[u8], Option<u16>), UriError> {
    let (host, port) = split_at(authority, leading(NAME, authority));
    match (host, port) {
        ([_, ..], []) => Ok((host, None)),
        ([_, ..], [b':', digits @ ..]) if memchr(b'@', digits).is_none() => {
            Ok((host, Some(number(digits).ok_or(UriError::Port)?)))
        }
        ([], [b'[', literal @ ..]) => {
            let (host, rest) = split_at(literal, memchr(b']', literal));
            let text = std::str::from_utf8(host).map_err(|_| UriError::Host)?;
            text.parse::<Ipv6Addr>().map_err(|_| UriError::Host)?;
            match rest {
                b"]" => Ok((host, None)),
                [b']', b':', digits @ ..] => {
                    Ok((host, Some(number(digits).ok_or(UriError::Port)?)))
                }
                _ => Err(UriError::Host),
            }
        }
        _ => match memrchr(b'@', authority).map(|at| authority.split_at(at)) {
            Some((user, [_, place @ ..])) if all_are(SESSION, user) => host_and_port(place),
            Some(_) | None => Err(UriError::Host),
        },
    }
}

fn number(digits: &[u8]) -> Option<u16> {
    let add = |sum: u16, digit: &u8| {
        digit.is_ascii_digit().then_some(())?;
        sum.checked_mul(10)?.checked_add(u16::from(digit - b'0'))
    };
    digits.first()?;
    digits.iter().try_fold(0, add)
}

/// Checks `;transport;name=value…` and gives the transport.
fn transport(parameters: &[u8]) -> Result<Option<&[u8]>, UriError> {
    let Some(list) = parameters.strip_prefix(b";") else { return Ok(None) };
    // Nearly every URI.
    if list == b"tcp" {
        return Ok(Some(list));
    }
    let mut each = list.split(|byte| *byte == b';');
    if !each.clone().all(|one| !one.is_empty() && all_are(SESSION, one)) {
        return Err(UriError::Parameter);
    }
    Ok(each.next().filter(|first| !first.contains(&b'=')))
}

/// Splits before `at`, or at the end.
fn split_at(bytes: &[u8], at: Option<usize>) -> (&[u8], &[u8]) {
    bytes.split_at(at.unwrap_or(bytes.len()))
}

/// Compares addresses by value and names without case, escapes undone (RFC 4975 section 6.1).
fn same_host(one: &str, two: &str) -> bool {
    match (one.parse::<IpAddr>(), two.parse::<IpAddr>()) {
        (Ok(one), Ok(two)) => one == two,
        (Err(_), Err(_)) => unescaped(one).eq_ignore_ascii_case(&unescaped(two)),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

fn unescaped(host: &str) -> Cow<'_, str> {
    if !host.contains('%') {
        return Cow::Borrowed(host);
    }
    let mut pieces = host.split('%');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let octet = piece.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match octet.filter(|byte| is_name_octet(*byte) && *byte != b'%') {
            Some(octet) => {
                plain.push(char::from(octet));
                plain.push_str(piece.get(2..).unwrap_or_default());
            }
            None => {
                plain.push('%');
                plain.push_str(piece);
            }
        }
    }
    Cow::Owned(plain)
}

fn is_name_octet(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & NAME != 0
}

fn all_are(class: u8, bytes: &[u8]) -> bool {
    leading(class, bytes).is_none()
}

/// Finds the first octet that is not of the class.
fn leading(class: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| CLASSES[usize::from(*byte)] & class == 0)
}

/// Octets of a host name.
const NAME: u8 = 1;
/// Octets of a session-id: wider than RFC 4975 section 9, which knows unreserved characters, `+`,
/// `=` and `/` only.
const SESSION_ID: u8 = 2;
/// Octets of a user or a parameter.
const SESSION: u8 = 4;

/// The classes of each octet, looked up, for every octet of every path comes by.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%') {
            classes[byte as usize] |= NAME;
        }
        if !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`') {
            classes[byte as usize] |= if byte == b';' { SESSION } else { SESSION | SESSION_ID };
        }
        byte += 1;
    }
    classes
};

const MAX_URI: usize = 2048;
const MAX_HOPS: usize = 16;
const NEVER_EMPTY: &str = "no path is built without a URI";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_uri_is_taken_apart() {
        let plain = uri("msrp://host.example.com:8493/asfd34;tcp");
        assert_eq!(
            (plain.secure(), plain.host(), plain.port()),
            (false, "host.example.com", Some(8493))
        );
        assert_eq!((plain.session_id(), plain.transport()), (Some("asfd34"), Some("tcp")));
        let relay = uri("msrps://alice@intra.example.com;tcp");
        assert_eq!((relay.secure(), relay.host(), relay.port()), (true, "intra.example.com", None));
        assert_eq!(relay.session_id(), None);
        let six = uri("MSRP://[2001:db8::1]:2855/aGVsbG8+/w==;TCP;foo=bar");
        assert_eq!((six.host(), six.port()), ("2001:db8::1", Some(2855)));
        assert_eq!((six.session_id(), six.transport()), (Some("aGVsbG8+/w=="), Some("TCP")));
        assert_eq!(six.to_string(), "MSRP://[2001:db8::1]:2855/aGVsbG8+/w==;TCP;foo=bar");
        assert_eq!(uri("msrp://h:1/s").transport(), None);
        assert_eq!(uri("msrp://h:1/s;foo=bar").transport(), None);
    }

    #[test]
    fn a_user_stands_before_every_kind_of_host() {
        for (text, host, port) in [
            ("msrp://bob@192.0.2.1:9/s;tcp", "192.0.2.1", Some(9)),
            ("msrp://bob:secret@h:9/s;tcp", "h", Some(9)),
            ("msrp://h:1@other:9/s;tcp", "other", Some(9)),
            ("msrp://a@b@h/s;tcp", "h", None),
            ("msrp://bob@[2001:db8::1]:9/s;tcp", "2001:db8::1", Some(9)),
            ("msrp://bob@[::1]/s;tcp", "::1", None),
            ("msrp://[::ffff:192.0.2.1]:9/s;tcp", "::ffff:192.0.2.1", Some(9)),
        ] {
            let uri = uri(text);
            assert_eq!(
                (uri.host(), uri.port(), uri.session_id()),
                (host, port, Some("s")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_wrong_uri_tells_its_part() {
        for (text, error) in [
            ("sip:alice@example.com", UriError::Scheme),
            ("http://h/s;tcp", UriError::Scheme),
            ("msrp://", UriError::Host),
            ("msrp://:2855/s;tcp", UriError::Host),
            ("msrp://[::1/s;tcp", UriError::Host),
            ("msrp://[nonsense]:1/s;tcp", UriError::Host),
            ("msrp://[::1]x:1/s;tcp", UriError::Host),
            ("msrp://[::1%eth0]:1/s;tcp", UriError::Host),
            ("msrp://bob@/s;tcp", UriError::Host),
            ("msrp://bob@:1/s;tcp", UriError::Host),
            ("msrp://<bob>@h:1/s;tcp", UriError::Host),
            ("msrp://a b:1/s;tcp", UriError::Host),
            ("msrp://a\r\nX: y:1/s;tcp", UriError::Host),
            ("msrp://h:/s;tcp", UriError::Port),
            ("msrp://h:+5/s;tcp", UriError::Port),
            ("msrp://[::1]:/s;tcp", UriError::Port),
            ("msrp://bob@h:x/s;tcp", UriError::Port),
            ("msrp://h:65536/s;tcp", UriError::Port),
            ("msrp://h:1/s\u{e9};tcp", UriError::SessionId),
            ("msrp://h:1/<s>;tcp", UriError::SessionId),
            ("msrp://h:1/s;", UriError::Parameter),
            ("msrp://h:1/s;tcp;;x", UriError::Parameter),
        ] {
            assert_eq!(Uri::parse(text), Err(error), "{text}");
        }
        assert_eq!(Uri::parse(&format!("msrp://h:1/{}", "s".repeat(3000))), Err(UriError::TooLong));
    }

    #[test]
    fn comparison_follows_section_6_1() {
        let base = uri("msrp://host.example.com:8493/asfd34;tcp");
        for same in [
            "MSRP://HOST.example.com:8493/asfd34;TCP",
            "msrp://bob@host.example.com:8493/asfd34;tcp;x=y",
            "msrp://%68ost.example.com:8493/asfd34;tcp",
        ] {
            assert!(base.equivalent(&uri(same)), "{same}");
        }
        for other in [
            "msrps://host.example.com:8493/asfd34;tcp",
            "msrp://host.example.com/asfd34;tcp",
            "msrp://host.example.com:8494/asfd34;tcp",
            "msrp://host.example.com:8493/ASFD34;tcp",
            "msrp://host.example.com:8493;tcp",
            "msrp://host.example.com:8493/asfd34;sctp",
            "msrp://host.example.com:8493/asfd34",
            "msrp://192.0.2.1:8493/asfd34;tcp",
        ] {
            assert!(!base.equivalent(&uri(other)), "{other}");
        }
        assert!(uri("msrp://[::1]:1/s;tcp").equivalent(&uri("msrp://[0:0::1]:1/s;tcp")));
    }

    #[test]
    fn a_middlebox_may_change_all_but_the_session_id() {
        let ours = uri("msrp://10.0.0.1:2855/asfd34;tcp");
        let seen = uri("msrp://198.51.100.7:9/asfd34");
        assert!(seen.names(&ours, Matching::SessionId));
        assert!(!seen.names(&ours, Matching::Strict));
        assert!(!uri("msrp://h:1;tcp").names(&uri("msrp://h:1;tcp"), Matching::SessionId));
    }

    #[test]
    fn a_uri_of_ours_is_built_for_every_host() {
        let six = Uri::new(true, "2001:db8::1", 2855, "id").unwrap();
        assert_eq!(six.as_str(), "msrps://[2001:db8::1]:2855/id;tcp");
        assert_eq!(Uri::new(false, "h", 1, ""), Err(UriError::SessionId));
        assert_eq!(Uri::new(false, "h/x", 1, "id"), Err(UriError::Host));
    }

    #[test]
    fn a_path_goes_from_hop_to_hop() {
        let path = Path::parse("msrp://a:1/x;tcp  msrp://b:2/y;tcp ").unwrap();
        assert_eq!((path.first().host(), path.last().host(), path.hops()), ("a", "b", 2));
        assert_eq!(path.to_string(), "msrp://a:1/x;tcp msrp://b:2/y;tcp");
        assert_eq!(path.reversed().to_string(), "msrp://b:2/y;tcp msrp://a:1/x;tcp");
        assert_eq!(path.one_hop().to_string(), "msrp://a:1/x;tcp");
        assert_eq!(path.reversed().then(&path).hops(), 4);
        assert_eq!(path.then(&path.reversed()).last(), path.first());
        assert_eq!(Path::parse(" "), Err(PathError::Empty));
        assert_eq!(Path::parse("x y"), Err(PathError::Uri(UriError::Scheme)));
        assert_eq!(Path::parse(&"msrp://a:1/x;tcp ".repeat(16)).map(|path| path.hops()), Ok(16));
        for hops in [17, 1000] {
            let long = "msrp://a:1/x;tcp ".repeat(hops);
            assert_eq!(Path::parse(&long), Err(PathError::TooLong));
        }
    }

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap()
    }
}
