//! The `Via` header: the way back (RFC 3261 section 20.42, RFC 3581).

use std::fmt;
use std::mem;
use std::str::FromStr;

use thiserror::Error;

use super::grammar::{
    BadParams, EachParam, Param, TOKEN, check_params, find_param, has_param, param_of,
    parse_params, set_param, split_at_byte, trimmed, write_params,
};
use super::hop::{Bracketed, unbracketed};
use super::uri::{is_host, parse_port, split_sent_by};
use super::{Headers, Hop, Transport, plain};

/// The magic cookie of a branch that is unique by RFC 3261 section 8.1.1.7.
pub const BRANCH_COOKIE: &str = "z9hG4bK";

/// One element of a `Via` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// The transport as the sender names it.
    pub transport: ViaTransport,
    /// The host that the sender is reached at, an IPv6 address without its brackets.
    pub host: String,
    /// The port, if one is named.
    pub port: Option<u16>,
    /// The parameters; values verbatim.
    pub params: Vec<(String, Option<String>)>,
}

/// The transport of a [`Via`]: one of ours, or a token that only others understand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ViaTransport {
    /// A transport that this stack speaks.
    Known(Transport),
    /// Any other token, as spelled: `SCTP`, `WS`…
    Other(Box<str>),
}

/// Why a text is not a [`Via`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ViaError {
    /// Not `SIP/2.0/transport` in front.
    #[error("a Via begins with SIP/2.0/ and a transport")]
    BadProtocol,
    /// No host behind the transport, or a bad host or port.
    #[error("a Via needs a host and perhaps a port")]
    BadSentBy,
    /// The parameters behind it.
    #[error("{0}")]
    Params(#[from] BadParams),
}

impl Via {
    /// The `Via` of a request that leaves here: reached at `hop`, with this branch, and with the
    /// wish to be answered at the port that it left from (RFC 3581 section 3).
    pub fn new(local: &Hop, branch: &str) -> Self {
        Self {
            transport: ViaTransport::Known(local.transport),
            host: local.host.clone(),
            port: Some(local.port),
            params: vec![
                ("branch".to_owned(), Some(branch.to_owned())),
                ("rport".to_owned(), None),
            ],
        }
    }

    /// Writes such a `Via` with a branch made of `token`, and with more parameters, each with its
    /// semicolon.
    pub(super) fn write(local: &Hop, token: &str, params: &str) -> String {
        let transport = local.transport.via_token();
        let mut via = String::with_capacity(96);
        for piece in ["SIP/2.0/", transport, " ", &local.authority(), ";branch="] {
            via.push_str(piece);
        }
        for piece in [BRANCH_COOKIE, token, ";rport", params] {
            via.push_str(piece);
        }
        via
    }

    /// Parses one element of a `Via` header; white space around the slashes and the colon is
    /// lawful (RFC 4475 section 3.1.1.1).
    ///
    /// # Errors
    /// Names what is wrong with the text; see [`ViaError`].
    pub fn parse(text: &str) -> Result<Self, ViaError> {
        let pieces = Pieces::cut(text)?;
        let host = unbracketed(pieces.host).to_owned();
        let params = parse_params(pieces.params)?;
        Ok(Self { transport: pieces.transport.into(), host, port: pieces.port, params })
    }

    /// Whether a text is an element of a `Via`, without making one of it.
    pub(super) fn check(text: &str) -> Result<(), ViaError> {
        if plain::is_via(text) {
            return Ok(());
        }
        Ok(check_params(Pieces::cut(text)?.params)?)
    }

    /// The value of a parameter, whatever the case of its name: `Some("")` for a flag.
    pub fn param(&self, name: &str) -> Option<&str> {
        find_param(&self.params, name)
    }

    /// The branch that names the transaction.
    pub fn branch(&self) -> Option<&str> {
        self.param("branch").filter(|branch| !branch.is_empty())
    }

    /// The address that the request came from, without the brackets which some put there
    /// (RFC 5118 section 4.5).
    pub fn received(&self) -> Option<&str> {
        self.param("received").map(unbracketed).filter(|address| !address.is_empty())
    }

    /// The port that the request came from, once a server filled it in.
    pub fn rport(&self) -> Option<u16> {
        self.param("rport")?.parse().ok()
    }

    /// Notes where the request came from: `received` when the sender named another host than its
    /// source address (RFC 3261 section 18.2.1), and both `received` and `rport` when it asked
    /// for them (RFC 3581 section 4).
    pub fn set_received(&mut self, address: &str, port: u16) {
        let address = unbracketed(address);
        let asked = self.param("rport").is_some();
        if asked {
            self.set_param("rport", Some(&port.to_string()));
        }
        if asked || !same_address(&self.host, address) {
            self.set_param("received", Some(address));
        } else {
            // What stands there was put in by the sender, not by us.
            self.params.retain(|(name, _)| !name.eq_ignore_ascii_case("received"));
        }
    }

    /// Writes the text of a `Via` with what [`Self::set_received`] notes in it.
    pub(super) fn stamp(text: &str, source: &Hop) -> Result<String, ViaError> {
        if plain::is_via(text) {
            return Pieces::cut(text).map(|pieces| pieces.stamped(text, source));
        }
        let mut via = Self::parse(text)?;
        via.set_received(&source.host, source.port);
        Ok(via.to_string())
    }

    /// Sets a parameter in its place, or adds it.
    pub fn set_param(&mut self, name: &str, value: Option<&str>) {
        set_param(&mut self.params, name, value);
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, Bracketed(&self.host))?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write_params(&self.params, f)
    }
}

impl FromStr for Via {
    type Err = ViaError;

    fn from_str(text: &str) -> Result<Self, ViaError> {
        Self::parse(text)
    }
}

impl ViaTransport {
    /// The transport, if this stack speaks it.
    pub fn known(&self) -> Option<Transport> {
        match self {
            Self::Known(transport) => Some(*transport),
            Self::Other(_) => None,
        }
    }
}

impl From<&str> for ViaTransport {
    fn from(token: &str) -> Self {
        token.parse().map_or_else(|_| Self::Other(token.into()), Self::Known)
    }
}

impl From<Transport> for ViaTransport {
    fn from(transport: Transport) -> Self {
        Self::Known(transport)
    }
}

impl PartialEq<Transport> for ViaTransport {
    fn eq(&self, other: &Transport) -> bool {
        self.known() == Some(*other)
    }
}

impl fmt::Display for ViaTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(transport) => f.write_str(transport.via_token()),
            Self::Other(token) => f.write_str(token),
        }
    }
}

/// Rewrites the topmost Via for another transport; branch and sent-by stay (RFC 3261 section
/// 18.1.1).
pub fn readdress(headers: &mut Headers, transport: Transport) {
    let Some(via) = headers.list("Via").next().and_then(|top| Via::parse(top).ok()) else { return };
    if via.transport != transport {
        headers.take_first("Via");
        headers.push_front("Via", &Via { transport: transport.into(), ..via }.to_string());
    }
}

/// What tells the requests of one sender from those of another, where it stands in a `Via`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SentBy<'a> {
    pub(super) branch: Option<&'a str>,
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
}

impl<'a> SentBy<'a> {
    /// Reads an element of a `Via`.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let pieces = Pieces::cut(text).ok()?;
        let branch = param_of(pieces.params, "branch");
        Some(Self { branch, host: unbracketed(pieces.host), port: pieces.port })
    }
}

/// Where the response to a request goes (RFC 3261 section 18.2.2, RFC 3581 section 4): on a
/// stream back where the request came from; as a datagram to the address of `maddr`, else to
/// `received` and `rport`, else to `received` or the host with the port of the `Via`.
pub fn reply_hop(via: &Via, source: &Hop) -> Hop {
    reply_to(source, (via.port, via.param("maddr"), via.param("rport").is_some()))
}

/// The same for the top `Via` of these headers; without one that can be read, the source.
pub(super) fn way_back(headers: &Headers, source: &Hop) -> Hop {
    match headers.list("Via").next().map(Pieces::cut) {
        Some(Ok(via)) => {
            let (maddr, rport) = (param_of(via.params, "maddr"), has_param(via.params, "rport"));
            reply_to(source, (via.port, maddr, rport))
        }
        Some(Err(_)) | None => source.clone(),
    }
}

fn reply_to(source: &Hop, (port, maddr, rport): (Option<u16>, Option<&str>, bool)) -> Hop {
    if source.transport.is_reliable() {
        return source.clone();
    }
    let port = port.unwrap_or(source.transport.default_port());
    // A name there would make us ask DNS for whoever sends a datagram.
    let maddr = maddr.map(|host| Hop::new(source.transport, host, port));
    match maddr.filter(|hop| hop.address().is_some()) {
        Some(maddr) => maddr,
        None if rport => source.clone(),
        None => Hop { port, ..source.clone() },
    }
}

/// Where the response goes when the stream of the request is gone: a new connection to the
/// address it came from, or to the host of the `Via`, at the port named there
/// (RFC 3261 section 18.2.2).
pub fn reply_fallback(via: &Via, source: &Hop) -> Hop {
    let host = via.received().unwrap_or(&via.host);
    let port = via.port.unwrap_or(source.transport.default_port());
    Hop::new(source.transport, host, port)
}

/// An element of a `Via` cut up where it stands.
struct Pieces<'a> {
    transport: &'a str,
    /// In its brackets, if it has any.
    host: &'a str,
    port: Option<u16>,
    params: &'a str,
}

impl<'a> Pieces<'a> {
    #[inline]
    fn cut(text: &'a str) -> Result<Self, ViaError> {
        Self::cut_plain(text).map_or_else(|| Self::cut_any(text), Ok)
    }

    /// Cuts up what is written as nearly all are: white space before the host and nowhere else.
    #[inline]
    fn cut_plain(text: &'a str) -> Option<Self> {
        let (transport, behind) = TOKEN.split_run(text.strip_prefix("SIP/2.0/")?);
        let (host, port, params) = split_sent_by(behind.strip_prefix(' ')?).ok()?;
        let is_plain = !transport.is_empty() && (params.is_empty() || params.starts_with(';'));
        is_plain.then_some(Self { transport, host, port, params })
    }

    /// Writes the text that these are the pieces of, with its source noted in it.
    fn stamped(&self, text: &str, source: &Hop) -> String {
        let (address, port) = (unbracketed(&source.host), source.port.to_string());
        let mut asked = has_param(self.params, "rport");
        let mut owed = asked || !same_address(unbracketed(self.host), address);
        let is_kept = owed;
        let mut stamped =
            String::with_capacity(text.len() + ";received==65535".len() + address.len());
        stamped.push_str(text.strip_suffix(self.params).unwrap_or(text));
        for (name, value) in EachParam::of(self.params).filter_map(Result::ok) {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is("rport") && mem::take(&mut asked) {
                push_param(&mut stamped, (name, Some(&port)));
            } else if is("received") && mem::take(&mut owed) {
                push_param(&mut stamped, (name, Some(address)));
            } else if !is("received") || is_kept {
                push_param(&mut stamped, (name, value));
            }
        }
        if owed {
            push_param(&mut stamped, ("received", Some(address)));
        }
        stamped
    }

    /// Cuts up one of any form.
    fn cut_any(text: &'a str) -> Result<Self, ViaError> {
        let end = text.bytes().position(|byte| byte == b';').unwrap_or(text.len());
        let (head, params) = text.split_at(end);
        let (name, rest) = split_at_byte(head, b'/').ok_or(ViaError::BadProtocol)?;
        let (version, rest) = split_at_byte(rest, b'/').ok_or(ViaError::BadProtocol)?;
        if !trimmed(name).eq_ignore_ascii_case("SIP") || trimmed(version) != "2.0" {
            return Err(ViaError::BadProtocol);
        }
        let (transport, sent_by) = TOKEN.split_run(trimmed(rest));
        if transport.is_empty() || !sent_by.starts_with([' ', '\t']) {
            let is_token = sent_by.is_empty() && !transport.is_empty();
            return Err(if is_token { ViaError::BadSentBy } else { ViaError::BadProtocol });
        }
        let (host, port) = cut_sent_by(sent_by)?;
        Ok(Self { transport, host, port, params })
    }
}

fn push_param(text: &mut String, (name, value): Param<'_>) {
    text.push(';');
    text.push_str(name);
    if let Some(value) = value {
        text.push('=');
        text.push_str(value);
    }
}

/// `host [: port]`, with white space around the colon.
fn cut_sent_by(text: &str) -> Result<(&str, Option<u16>), ViaError> {
    let text = trimmed(text);
    // The colons of an IPv6 address stand in brackets.
    let bracket = if text.starts_with('[') { text.rfind(']') } else { None };
    let (front, behind) = text.split_at(bracket.map_or(0, |at| at + 1));
    let (host, port) = match split_at_byte(behind, b':') {
        Some((name, port)) => (trimmed(&text[..front.len() + name.len()]), Some(trimmed(port))),
        None => (text, None),
    };
    let port = port.map(parse_port).transpose().map_err(|_| ViaError::BadSentBy)?;
    if is_host(host) { Ok((host, port)) } else { Err(ViaError::BadSentBy) }
}

/// Whether the host of a `Via` spells this very address.
fn same_address(host: &str, address: &str) -> bool {
    use std::net::IpAddr;
    match (host.parse::<IpAddr>(), address.parse::<IpAddr>()) {
        // A socket for both families shows IPv4 sources as mapped addresses.
        (Ok(host), Ok(address)) => host.to_canonical() == address.to_canonical(),
        _ => host.eq_ignore_ascii_case(address),
    }
}

#[cfg(test)]
mod tests {
    use super::{Via, ViaError, ViaTransport, reply_fallback, reply_hop};
    use crate::sip::{Hop, Transport};

    #[test]
    fn a_via_has_its_parts() {
        let via = parse("SIP/2.0/UDP pc33.atlanta.com:5066;branch=z9hG4bK776;received=192.0.2.1");
        assert_eq!(via.transport, Transport::Udp);
        assert_eq!((via.host.as_str(), via.port), ("pc33.atlanta.com", Some(5066)));
        assert_eq!((via.branch(), via.received()), (Some("z9hG4bK776"), Some("192.0.2.1")));
    }

    #[test]
    fn a_plain_via_is_stamped_as_any_other() {
        let source = Hop::new(Transport::Udp, "192.0.2.9", 5070);
        for params in [
            "",
            ";rport",
            ";branch=a;RPORT;x=y",
            ";rport=1;rport=2",
            ";received=1.2.3.4;rport",
            ";received=a;x;received=b",
            ";x;Received=192.0.2.9",
        ] {
            for host in ["192.0.2.9:5060", "192.0.2.8", "a.example"] {
                let text = format!("SIP/2.0/UDP {host}{params}");
                let mut via = parse(&text);
                via.set_received(&source.host, source.port);
                assert_eq!(Via::stamp(&text, &source), Ok(via.to_string()), "{text}");
            }
        }
    }

    #[test]
    fn white_space_may_stand_around_slashes_and_colons() {
        let via = parse("SIP  / 2.0  / TCP     spindle.example.com :  5070   ; branch  =   z9");
        assert_eq!(via.to_string(), "SIP/2.0/TCP spindle.example.com:5070;branch=z9");
        assert_eq!(
            parse("sip/2.0/tcp [2001:db8::9:1] : 99").to_string(),
            "SIP/2.0/TCP [2001:db8::9:1]:99"
        );
    }

    #[test]
    fn transports_of_others_are_kept() {
        let via = parse("SIP/2.0/SCTP host;branch=z9");
        assert_eq!(via.transport, ViaTransport::Other("SCTP".into()));
        assert_eq!(via.to_string(), "SIP/2.0/SCTP host;branch=z9");
    }

    #[test]
    fn a_bad_via_names_its_fault() {
        for (text, error) in [
            ("", ViaError::BadProtocol),
            ("SIP/2.0", ViaError::BadProtocol),
            ("SIP/3.0/UDP a", ViaError::BadProtocol),
            ("HTTP/2.0/UDP a", ViaError::BadProtocol),
            ("SIP/2.0/U(P a", ViaError::BadProtocol),
            ("SIP/2.0/UDP", ViaError::BadSentBy),
            ("SIP/2.0/UDP ;branch=1", ViaError::BadSentBy),
            ("SIP/2.0/UDP a b", ViaError::BadSentBy),
            ("SIP/2.0/UDP 2001:db8::1", ViaError::BadSentBy),
            ("SIP/2.0/UDP a:99999", ViaError::BadSentBy),
        ] {
            assert_eq!(Via::parse(text), Err(error), "{text}");
        }
        assert!(matches!(Via::parse("SIP/2.0/UDP a;;,;,,"), Err(ViaError::Params(_))));
    }

    /// RFC 3261 section 18.2.1 and RFC 3581 section 4.
    #[test]
    fn the_source_is_noted_where_it_differs_or_is_asked_for() {
        let stamped = |text: &str| {
            let mut via = parse(text);
            via.set_received("192.0.2.1", 9988);
            via.to_string()
        };
        assert_eq!(stamped("SIP/2.0/UDP 192.0.2.1:5060"), "SIP/2.0/UDP 192.0.2.1:5060");
        assert_eq!(stamped("SIP/2.0/UDP host"), "SIP/2.0/UDP host;received=192.0.2.1");
        assert_eq!(
            stamped("SIP/2.0/UDP 192.0.2.1;rport;branch=z9"),
            "SIP/2.0/UDP 192.0.2.1;rport=9988;branch=z9;received=192.0.2.1"
        );
        assert_eq!(
            stamped("SIP/2.0/UDP 10.0.0.1;received=10.9.9.9"),
            "SIP/2.0/UDP 10.0.0.1;received=192.0.2.1"
        );
        assert_eq!(stamped("SIP/2.0/UDP 192.0.2.1;received=10.9.9.9"), "SIP/2.0/UDP 192.0.2.1");
        let mut six = parse("SIP/2.0/UDP [2001:DB8::0:1]");
        six.set_received("[2001:db8::1]", 5060);
        assert_eq!(six.received(), None);
        let mut mapped = parse("SIP/2.0/UDP 192.0.2.1");
        mapped.set_received("::ffff:192.0.2.1", 5060);
        assert_eq!(mapped.received(), None);
    }

    #[test]
    fn datagrams_are_answered_where_the_via_says() {
        let source = Hop::new(Transport::Udp, "192.0.2.1", 9988);
        for (text, to) in [
            ("SIP/2.0/UDP host:5066;received=192.0.2.1", "udp:192.0.2.1:5066"),
            ("SIP/2.0/UDP host;received=192.0.2.1", "udp:192.0.2.1:5060"),
            ("SIP/2.0/UDP host:5066;rport=9988;received=192.0.2.1", "udp:192.0.2.1:9988"),
            ("SIP/2.0/UDP host:5066;rport;maddr=224.2.0.1", "udp:224.2.0.1:5066"),
            ("SIP/2.0/UDP host:5066;maddr=[2001:db8::7]", "udp:[2001:db8::7]:5066"),
            ("SIP/2.0/UDP host:5066;maddr=victim.example", "udp:192.0.2.1:5066"),
        ] {
            assert_eq!(reply_hop(&parse(text), &source).to_string(), to, "{text}");
        }
    }

    #[test]
    fn streams_are_answered_on_themselves_or_anew() {
        let source = Hop::new(Transport::Tcp, "192.0.2.1", 40000);
        let via = parse("SIP/2.0/TCP host:5066;maddr=10.0.0.1;received=192.0.2.1");
        assert_eq!(reply_hop(&via, &source), source);
        assert_eq!(reply_fallback(&via, &source).to_string(), "tcp:192.0.2.1:5066");
    }

    fn parse(text: &str) -> Via {
        Via::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }
}
