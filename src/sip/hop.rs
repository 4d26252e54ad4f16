//! Where a message goes to or came from: a transport, a host and a port.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A transport that this stack speaks (RFC 3261 section 18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Streams.
    Tcp,
    /// Streams under TLS.
    Tls,
}

impl Transport {
    /// Whether the transport itself repeats what is lost (RFC 3261 section 17).
    pub fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// The token of a `Via` (RFC 3261 section 25.1).
    pub fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// The value of a URI's `transport` parameter.
    pub fn param(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// The port of a URI or `Via` that names none (RFC 3261 section 18.2.2).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.param())
    }
}

/// The text names no transport that this stack speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the transport is neither udp nor tcp nor tls")]
pub struct UnknownTransport;

impl FromStr for Transport {
    type Err = UnknownTransport;

    fn from_str(token: &str) -> Result<Self, Self::Err> {
        [Self::Udp, Self::Tcp, Self::Tls]
            .into_iter()
            .find(|known| token.eq_ignore_ascii_case(known.param()))
            .ok_or(UnknownTransport)
    }
}

/// One end of a path: where to send a message, or where it came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hop {
    /// The transport.
    pub transport: Transport,
    /// An IP literal without brackets, or a name.
    pub host: String,
    /// The port; `0` where a name stands alone, for DNS to tell the port (RFC 3263 section 4.2).
    pub port: u16,
}

impl Hop {
    /// A hop of these three; brackets around an IPv6 literal are taken off.
    pub fn new(transport: Transport, host: &str, port: u16) -> Self {
        Self { transport, host: unbracketed(host).to_owned(), port }
    }

    /// `host:port`, an IPv6 literal in brackets: the form of a URI and of a `Via`.
    pub fn authority(&self) -> String {
        match self.port {
            0 => Bracketed(&self.host).to_string(),
            port => format!("{}:{port}", Bracketed(&self.host)),
        }
    }

    /// The address, where the host is an IP literal.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// `udp:127.0.0.1:5060`; with the default port where DNS is still to tell one.
impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = if self.port == 0 { self.transport.default_port() } else { self.port };
        write!(f, "{}:{}:{port}", self.transport, Bracketed(&self.host))
    }
}

/// Writes a host as URIs and `Via`s hold it: an IPv6 literal in brackets.
pub(super) struct Bracketed<'a>(pub(super) &'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}

/// The host without the brackets of an IPv6 reference.
pub(super) fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::{Hop, Transport};

    #[test]
    fn a_hop_shows_its_transport_and_brackets_ipv6() {
        assert_eq!(Hop::new(Transport::Udp, "127.0.0.1", 5060).to_string(), "udp:127.0.0.1:5060");
        let six = Hop::new(Transport::Tls, "[2001:db8::1]", 5061);
        assert_eq!(
            (six.host.as_str(), six.authority().as_str()),
            ("2001:db8::1", "[2001:db8::1]:5061")
        );
        let named = Hop::new(Transport::Tcp, "core.example.com", 0);
        assert_eq!(
            (named.authority().as_str(), named.to_string().as_str()),
            ("core.example.com", "tcp:core.example.com:5060")
        );
    }
}
