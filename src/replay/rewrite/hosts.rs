//! Where messages name hosts that a peer calls: in Contacts and routes, in the topmost `Via`, in MSRP
//! URIs. Ours is put there; what is not understood is replaced as a whole, for a peer may understand
//! it otherwise, and whoever was recorded is not to be called.

use std::net::SocketAddr;
use std::ops::Range;

/// What stands in for a range of a value.
pub(super) type Place = (Range<usize>, String);

/// Finds the hosts of the SIP URIs in a list of addresses, with what stands in for each. `whole` is
/// an address of ours, in place of one that is not understood.
pub(super) fn in_addresses(list: &[u8], own: SocketAddr, whole: &str) -> Vec<Place> {
    elements(list).into_iter().flat_map(|element| in_address(list, element, own, whole)).collect()
}

/// Finds those of the first address of a list only.
pub(super) fn in_first_address(list: &[u8], own: SocketAddr, whole: &str) -> Vec<Place> {
    let first = elements(list).into_iter().next();
    first.map_or_else(Vec::new, |element| in_address(list, element, own, whole))
}

fn in_address(list: &[u8], element: Range<usize>, own: SocketAddr, whole: &str) -> Vec<Place> {
    if &list[element.clone()] == b"*" {
        return Vec::new();
    }
    let (uri, odd) = match brackets(&list[element.clone()]) {
        Brackets::None => {
            (before(list, element.clone(), b";? \t\r\n"), (element, whole.to_owned()))
        }
        Brackets::Around(inner) => {
            let uri = element.start + inner.start..element.start + inner.end;
            let bare = whole.trim_matches(['<', '>']).to_owned();
            (uri.clone(), (uri, bare))
        }
        Brackets::Odd => return vec![(element, whole.to_owned())],
    };
    let end = odd.0.end;
    in_uri(list, uri, (own, end)).unwrap_or_else(|| vec![odd])
}

/// Finds the host in a URI, the `maddr` that overrides it (RFC 3261 section 19.1.1), and what asks
/// for a transport that we do not listen on; in an address without brackets parameters stand behind
/// the URI. `None` where it is not understood.
fn in_uri(list: &[u8], uri: Range<usize>, (own, end): (SocketAddr, usize)) -> Option<Vec<Place>> {
    let colon = memchr::memchr(b':', &list[uri.clone()])?;
    let scheme = &list[uri.start..uri.start + colon];
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    if !is_scheme {
        return None;
    }
    if !scheme.eq_ignore_ascii_case(b"sip") && !scheme.eq_ignore_ascii_case(b"sips") {
        return Some(Vec::new());
    }
    let rest = uri.start + colon + 1..uri.end;
    let mut users = memchr::memchr_iter(b'@', &list[rest.clone()]);
    let begin = users.next().map_or(rest.start, |at| rest.start + at + 1);
    if users.next().is_some() {
        return None;
    }
    let host = before(list, begin..uri.end, b";?");
    if !is_host(&list[host.clone()]) {
        return None;
    }
    let mut at = host.end;
    let mut places = vec![(host, own.to_string())];
    if scheme.len() > b"sip".len() {
        // We have no TLS (RFC 3261 section 26.2.2).
        let plain = String::from_utf8_lossy(&scheme[..b"sip".len()]).into_owned();
        places.push((uri.start..uri.start + colon, plain));
    }
    while at < end && list[at] == b';' {
        let parameter = before(list, at + 1..end, b";?>");
        let name = before(list, parameter.clone(), b"=");
        let value = list[name.end..parameter.end].strip_prefix(b"=").unwrap_or_default();
        let name = list[name].trim_ascii();
        // An escape may hide any name.
        if name.contains(&b'%') {
            return None;
        }
        // What we listen on stays; without any it is UDP (RFC 3263 section 4.1).
        let is_ours =
            |value: &[u8]| [&b"udp"[..], b"tcp"].iter().any(|it| value.eq_ignore_ascii_case(it));
        let is_closed = name.eq_ignore_ascii_case(b"transport") && !is_ours(value.trim_ascii());
        if is_closed || name.eq_ignore_ascii_case(b"maddr") {
            places.push((at..parameter.end, String::new()));
        }
        at = parameter.end;
    }
    Some(places)
}

/// Tells whether something is a name or an address, and maybe a port.
fn is_host(text: &[u8]) -> bool {
    let (host, port) = match text.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = memchr::memchr(b']', rest) else { return false };
            let is_six = |byte: &u8| byte.is_ascii_hexdigit() || b":.".contains(byte);
            if end == 0 || !rest[..end].iter().all(is_six) {
                return false;
            }
            (None, &rest[end + 1..])
        }
        None => {
            let end = memchr::memchr(b':', text).unwrap_or(text.len());
            (Some(&text[..end]), &text[end..])
        }
    };
    let is_named = |host: &[u8]| {
        let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
        !host.is_empty() && host.iter().all(is_of_name)
    };
    let is_port = |port: &[u8]| match port.strip_prefix(b":") {
        Some(digits) => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        None => port.is_empty(),
    };
    host.is_none_or(is_named) && is_port(port)
}

/// Writes the topmost `Via` of a list with our address, and with `branch` for a branch. What sends
/// answers elsewhere is left out: `maddr` (RFC 3261 section 18.2.2), and what only a server fills in.
pub(super) fn own_via(list: &str, own: SocketAddr, branch: impl Fn(&str) -> String) -> String {
    let bytes = list.as_bytes();
    let top = elements(bytes).into_iter().next().unwrap_or(0..0);
    let mut parts = parameters(&list[top]).into_iter();
    let hop = parts.next().unwrap_or_default();
    let mut via = match sent_by(hop) {
        Some(begin) => format!("{}{own}", &hop[..begin]),
        None => format!("SIP/2.0/UDP {own}"),
    };
    for part in parts {
        let (name, value) =
            part.split_once('=').map_or((part, None), |(it, rest)| (it, Some(rest)));
        match name.trim().to_ascii_lowercase().as_str() {
            "maddr" | "received" => {}
            "rport" => via.push_str(";rport"),
            "branch" => {
                let value = value.unwrap_or_default();
                let old = value.trim();
                via.push_str(&format!(";{name}={}", value.replacen(old, &branch(old), 1)));
            }
            _ => via.push_str(&format!(";{part}")),
        }
    }
    via
}

/// Gives where the address stands in a hop, behind the protocol and the transport.
fn sent_by(hop: &str) -> Option<usize> {
    let (slash, _) = hop.match_indices('/').nth(1)?;
    let behind = &hop[slash + 1..];
    let transport = behind.trim_start();
    let length = transport.find(char::is_whitespace)?;
    let sent_by = transport[length..].trim_start();
    (length > 0 && !sent_by.is_empty()).then_some(hop.len() - sent_by.len())
}

/// Splits at the semicolons outside of quotes.
fn parameters(text: &str) -> Vec<&str> {
    let mut quotes = Quotes::default();
    // Bytes of longer characters are none of those that matter.
    text.split(move |c: char| {
        let byte = u8::try_from(c).unwrap_or(b'x');
        quotes.take(byte) && byte == b';'
    })
    .collect()
}

/// Puts our address into an MSRP URI. We speak plain MSRP, whatever was recorded under TLS.
pub(super) fn own_msrp(uri: &str, own: SocketAddr) -> String {
    let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
    let end = rest.find(['/', ';']).unwrap_or(rest.len());
    format!("msrp://{own}{}", &rest[end..])
}

/// How the angle brackets of an address stand.
enum Brackets {
    None,
    Around(Range<usize>),
    /// One is missing, or a quote does not end.
    Odd,
}

fn brackets(element: &[u8]) -> Brackets {
    let mut quotes = Quotes::default();
    let mut begin = None;
    for (at, byte) in element.iter().enumerate() {
        // A URI has no quoted strings.
        let is_plain = begin.is_some() || quotes.take(*byte);
        match (byte, begin) {
            (b'<', None) if is_plain => begin = Some(at + 1),
            (b'>', Some(begin)) => return Brackets::Around(begin..at),
            (b'>', None) if is_plain => return Brackets::Odd,
            _ => {}
        }
    }
    match begin.is_some() || quotes.is_open() {
        true => Brackets::Odd,
        false => Brackets::None,
    }
}

/// Splits a list at the commas that stand neither in quotes nor in angle brackets; white space around
/// each is left out.
pub(super) fn elements(list: &[u8]) -> Vec<Range<usize>> {
    let (mut quotes, mut is_bracketed, mut begin) = (Quotes::default(), false, 0);
    let mut elements = Vec::new();
    let mut add = |range: Range<usize>| {
        let text = &list[range.clone()];
        let start = range.start + (text.len() - text.trim_ascii_start().len());
        let text = text.trim_ascii();
        if !text.is_empty() {
            elements.push(start..start + text.len());
        }
    };
    for (at, byte) in list.iter().enumerate() {
        if is_bracketed {
            is_bracketed = *byte != b'>';
        } else if quotes.take(*byte) {
            is_bracketed = *byte == b'<';
            if *byte == b',' {
                add(begin..at);
                begin = at + 1;
            }
        }
    }
    add(begin..list.len());
    elements
}

/// Cuts a range where one of some bytes comes first.
fn before(list: &[u8], range: Range<usize>, stops: &[u8]) -> Range<usize> {
    let found = list[range.clone()].iter().position(|byte| stops.contains(byte));
    range.start..found.map_or(range.end, |at| range.start + at)
}

/// Whether a text is within quotes (RFC 3261 section 25.1, quoted-string).
#[derive(Default)]
struct Quotes {
    is_within: bool,
    is_escaped: bool,
}

impl Quotes {
    /// Takes the next byte; tells whether it stands outside of quotes, and is none.
    fn take(&mut self, byte: u8) -> bool {
        match (self.is_within, self.is_escaped, byte) {
            (true, true, _) => self.is_escaped = false,
            (true, false, b'\\') => self.is_escaped = true,
            (true, false, b'"') => self.is_within = false,
            (false, _, b'"') => self.is_within = true,
            (true, false, _) => {}
            (false, _, _) => return true,
        }
        false
    }

    fn is_open(&self) -> bool {
        self.is_within
    }
}
