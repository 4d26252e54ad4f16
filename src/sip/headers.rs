//! The header fields of a message, in order, over the vocabulary of `rsip`.

use std::fmt;

use rsip::headers::UntypedHeader;
use rsip::{Header, headers};

use super::grammar::{is_token_byte, split_once_outside, split_outside, trimmed};

/// The header fields of a message, in the order of the wire.
///
/// Values are kept verbatim (folds undone, outer white space off). Names are looked up whatever
/// their case, in long or compact form (RFC 3261 section 7.3). No value can break out of its line:
/// what would is turned into a space on its way in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(rsip::Headers);

impl Headers {
    /// No header at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header behind the others. A name that is no token adds nothing.
    pub fn push(&mut self, name: &str, value: &str) {
        if let Some(header) = safe_header(name, value) {
            self.0.push(header);
        }
    }

    /// Adds a header before all others: `Via` and `Record-Route` on their way through a proxy.
    pub fn push_front(&mut self, name: &str, value: &str) {
        let Some(header) = safe_header(name, value) else { return };
        let old = std::mem::take(&mut self.0);
        let mut all = Vec::from([header]);
        all.extend(old);
        self.0 = all.into();
    }

    /// Makes this the only header of its name, in the place of the first, or at the end.
    pub fn set(&mut self, name: &str, value: &str) {
        let Some(header) = safe_header(name, value) else { return };
        let name = long_name(name);
        let mut fresh = Some(header);
        let mut all: Vec<Header> = Vec::new();
        for old in std::mem::take(&mut self.0) {
            if name_of(&old).eq_ignore_ascii_case(name) {
                all.extend(fresh.take());
            } else {
                all.push(old);
            }
        }
        all.extend(fresh);
        self.0 = all.into();
    }

    /// Removes every header of this name.
    pub fn remove(&mut self, name: &str) {
        let name = long_name(name);
        self.0.retain(|header| !name_of(header).eq_ignore_ascii_case(name));
    }

    /// Takes the first element off a list header: the top `Via`, the first `Route`. The others
    /// stay where they are, also those of the same line.
    pub fn take_first(&mut self, name: &str) -> Option<String> {
        let name = long_name(name);
        let mut taken = None;
        let mut all: Vec<Header> = Vec::new();
        for header in std::mem::take(&mut self.0) {
            if taken.is_some() || !name_of(&header).eq_ignore_ascii_case(name) {
                all.push(header);
                continue;
            }
            // Empty elements are none (see `list`), and leave with the first that is one.
            let mut rest = value_of(&header);
            while taken.is_none() && !rest.is_empty() {
                let (first, more) = split_once_outside(rest, b',').unwrap_or((rest, ""));
                taken = Some(trimmed(first).to_owned()).filter(|first| !first.is_empty());
                rest = trimmed(more);
            }
            if !rest.is_empty() {
                all.push(build(name, rest.to_owned()));
            }
        }
        self.0 = all.into();
        taken
    }

    /// Adds copies of every header of this name in another message, verbatim and in order.
    pub fn copy(&mut self, name: &str, other: &Self) {
        let name = long_name(name);
        for header in other.0.iter().filter(|it| name_of(it).eq_ignore_ascii_case(name)) {
            self.0.push(header.clone());
        }
    }

    /// The value of the first header of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Whether a header of this name is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The values of all headers of this name, line by line.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = long_name(name).to_owned();
        self.iter()
            .filter_map(move |(known, value)| known.eq_ignore_ascii_case(&name).then_some(value))
    }

    /// The elements of a list header over all its lines: split at commas outside quotes and `<>`,
    /// empty elements left out.
    pub fn list<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.all(name)
            .flat_map(|line| split_outside(line, b','))
            .filter(|element| !element.is_empty())
    }

    /// Whether a list of tokens holds this one, whatever the case: `Require`, `Supported`, `Allow`.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|element| element.eq_ignore_ascii_case(token))
    }

    /// Every header as name and value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|header| (name_of(header), value_of(header)))
    }

    /// How many header fields there are.
    pub fn len(&self) -> usize {
        self.0.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what the decoder found on the wire: there a line holds no line break, and escaped
    /// controls in quoted strings are lawful (RFC 4475 section 3.1.1.2).
    pub(super) fn adopt(&mut self, name: &str, value: String) {
        self.0.push(build(long_name(name), value));
    }
}

/// The lines as they go on the wire, without the empty line behind them.
impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|(name, value)| write!(f, "{name}: {value}\r\n"))
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in pairs {
            headers.push(name.as_ref(), value.as_ref());
        }
        headers
    }
}

/// The long form of a header name that is compact (IANA registry of SIP header fields).
pub(super) fn long_name(name: &str) -> &str {
    let &[letter] = name.as_bytes() else { return name };
    match letter.to_ascii_lowercase() {
        b'a' => "Accept-Contact",
        b'b' => "Referred-By",
        b'c' => "Content-Type",
        b'd' => "Request-Disposition",
        b'e' => "Content-Encoding",
        b'f' => "From",
        b'i' => "Call-ID",
        b'j' => "Reject-Contact",
        b'k' => "Supported",
        b'l' => "Content-Length",
        b'm' => "Contact",
        b'n' => "Identity-Info",
        b'o' => "Event",
        b'r' => "Refer-To",
        b's' => "Subject",
        b't' => "To",
        b'u' => "Allow-Events",
        b'v' => "Via",
        b'x' => "Session-Expires",
        b'y' => "Identity",
        _ => name,
    }
}

/// A header that cannot break the message around it.
fn safe_header(name: &str, value: &str) -> Option<Header> {
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return None;
    }
    let tame = value.replace(|c: char| c.is_ascii_control() && c != '\t', " ");
    Some(build(long_name(name), trimmed(&tame).to_owned()))
}

/// Ties the names of the wire to the variants of `rsip`, once for all directions.
macro_rules! vocabulary {
    ($($name:literal $variant:ident,)+) => {
        fn build(name: &str, value: String) -> Header {
            $(if name.eq_ignore_ascii_case($name) {
                return Header::$variant(headers::$variant::from(value));
            })+
            Header::Other(name.to_owned(), value)
        }

        fn name_of(header: &Header) -> &str {
            match header {
                $(Header::$variant(_) => $name,)+
                Header::Other(name, _) => name,
            }
        }

        fn value_of(header: &Header) -> &str {
            match header {
                $(Header::$variant(inner) => inner.value(),)+
                Header::Other(_, value) => value,
            }
        }
    };
}

vocabulary! {
    "Via" Via,
    "From" From,
    "To" To,
    "Call-ID" CallId,
    "CSeq" CSeq,
    "Contact" Contact,
    "Max-Forwards" MaxForwards,
    "Route" Route,
    "Record-Route" RecordRoute,
    "Content-Type" ContentType,
    "Content-Length" ContentLength,
    "Allow" Allow,
    "Supported" Supported,
    "Require" Require,
    "User-Agent" UserAgent,
    "Accept" Accept,
    "Accept-Encoding" AcceptEncoding,
    "Accept-Language" AcceptLanguage,
    "Alert-Info" AlertInfo,
    "Authentication-Info" AuthenticationInfo,
    "Authorization" Authorization,
    "Call-Info" CallInfo,
    "Content-Disposition" ContentDisposition,
    "Content-Encoding" ContentEncoding,
    "Content-Language" ContentLanguage,
    "Date" Date,
    "Error-Info" ErrorInfo,
    "Event" Event,
    "Expires" Expires,
    "In-Reply-To" InReplyTo,
    "MIME-Version" MimeVersion,
    "Min-Expires" MinExpires,
    "Organization" Organization,
    "Priority" Priority,
    "Proxy-Authenticate" ProxyAuthenticate,
    "Proxy-Authorization" ProxyAuthorization,
    "Proxy-Require" ProxyRequire,
    "Reply-To" ReplyTo,
    "Retry-After" RetryAfter,
    "Server" Server,
    "Subject" Subject,
    "Subscription-State" SubscriptionState,
    "Timestamp" Timestamp,
    "Unsupported" Unsupported,
    "Warning" Warning,
    "WWW-Authenticate" WwwAuthenticate,
}

#[cfg(test)]
mod tests {
    use super::Headers;

    #[test]
    fn what_a_peer_wrote_beyond_ascii_is_written_as_it_came() {
        let mut headers = Headers::default();
        headers.push("Subject", "caf\u{e9} \u{85}\u{7f}\u{1}");
        assert_eq!(headers.get("Subject"), Some("caf\u{e9} \u{85}"));
    }

    #[test]
    fn names_are_found_in_any_case_and_in_compact_form() {
        let headers =
            Headers::from_iter([("v", "SIP/2.0/UDP a"), ("x-Thing", "1"), ("r", "<sip:b>")]);
        assert_eq!(headers.get("VIA"), Some("SIP/2.0/UDP a"));
        assert_eq!(headers.get("X-THING"), Some("1"));
        assert_eq!(headers.get("Refer-To"), Some("<sip:b>"));
        assert_eq!(
            headers.to_string(),
            "Via: SIP/2.0/UDP a\r\nx-Thing: 1\r\nRefer-To: <sip:b>\r\n"
        );
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let mut headers = Headers::new();
        headers.push("Subject", "lunch\r\nRoute: <sip:evil>\0");
        headers.push("X\r\nRoute", "a");
        headers.set("Subject:", "b");
        assert_eq!(headers.to_string(), "Subject: lunch  Route: <sip:evil>\r\n");
    }

    #[test]
    fn setting_an_unknown_header_leaves_other_unknown_headers_alone() {
        let mut headers =
            Headers::from_iter([("P-A", "1"), ("P-B", "2"), ("P-A", "3"), ("To", "4")]);
        headers.set("p-a", "5");
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [("p-a", "5"), ("P-B", "2"), ("To", "4")]);
        headers.remove("P-B");
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn lists_run_over_lines_and_commas() {
        let mut headers = Headers::from_iter([
            ("Via", "SIP/2.0/UDP a, SIP/2.0/TCP b"),
            ("To", "x"),
            ("v", "SIP/2.0/TLS c"),
        ]);
        let vias: Vec<_> = headers.list("Via").collect();
        assert_eq!(vias, ["SIP/2.0/UDP a", "SIP/2.0/TCP b", "SIP/2.0/TLS c"]);
        assert_eq!(headers.take_first("Via").as_deref(), Some("SIP/2.0/UDP a"));
        assert_eq!(headers.get("Via"), Some("SIP/2.0/TCP b"));
        headers.push_front("Via", "SIP/2.0/UDP z");
        let vias: Vec<_> = headers.list("Via").collect();
        assert_eq!(vias, ["SIP/2.0/UDP z", "SIP/2.0/TCP b", "SIP/2.0/TLS c"]);
    }

    #[test]
    fn the_first_element_is_the_first_that_says_something() {
        let mut headers =
            Headers::from_iter([("Route", ""), ("Route", " , ,<sip:a>,"), ("Route", "<sip:b>")]);
        assert_eq!(headers.take_first("route").as_deref(), Some("<sip:a>"));
        assert_eq!(headers.take_first("route").as_deref(), Some("<sip:b>"));
        assert_eq!(headers.take_first("route"), None);
    }

    #[test]
    fn tokens_of_a_list_are_found_whatever_their_case() {
        let headers = Headers::from_iter([("k", "timer, 100rel")]);
        assert!(headers.lists("Supported", "100REL"));
        assert!(!headers.lists("Supported", "replaces"));
    }
}
