//! Whose a URI is: the server's own, a user's of its domain, or a stranger's.

use std::net::IpAddr;

use crate::address::{self, Address};
use crate::sip::{Hop, Scheme, Transport, Uri, Via};

/// The domain that is served, and the address that it is served at.
#[derive(Debug, Clone)]
pub(super) struct Domain {
    name: String,
    /// Name and port as they stand behind the `@` of a URI.
    authority: String,
    local: Hop,
}

/// Whom a URI means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whose {
    /// The server itself.
    Server,
    /// A user of the domain, existing or not.
    User(Address),
    /// Somebody of another domain, or nobody who can be told.
    Foreign,
}

impl Domain {
    pub(super) fn new(name: &str, local: Hop) -> Self {
        let as_hop = Hop::new(local.transport, name, local.port);
        Self { authority: as_hop.authority(), name: as_hop.host, local }
    }

    /// Tells whom `uri` means. A global number is a user of ours whatever its spelling: `tel:`, or
    /// `sip:` at our domain (RFC 3261 section 19.1.6).
    pub(super) fn whose(&self, uri: &Uri) -> Whose {
        match uri.scheme() {
            Scheme::Tel => Address::parse(uri.as_str()).map_or(Whose::Foreign, Whose::User),
            Scheme::Other => Whose::Foreign,
            Scheme::Sip | Scheme::Sips if !self.is_ours(uri) => Whose::Foreign,
            Scheme::Sip | Scheme::Sips => match uri.user() {
                None => Whose::Server,
                Some(user) => self.user(user).map_or(Whose::Foreign, Whose::User),
            },
        }
    }

    /// Tells whom `uri` means to one who compares addresses by [`Address::key`]: whatever the port, a
    /// number wherever it is reached, and nobody by its name. A user part beside us is one of ours.
    pub(super) fn whose_at_any_port(&self, uri: &Uri) -> Whose {
        let address = Address::parse(uri.without_headers().as_str()).ok();
        let is_here = uri.host().is_some_and(|host| self.is_host(host));
        match (address, uri.user()) {
            (Some(address), _) if address.number().is_some() || address.is_anonymous() => {
                Whose::User(address)
            }
            (_, Some(user)) if is_here => self.user(user).map_or(Whose::Foreign, Whose::User),
            (_, None) if is_here => Whose::Server,
            (_, _) => Whose::Foreign,
        }
    }

    /// Tells whether `uri` is how a user of ours is called in front of others, and not how the machine
    /// is reached where it is. The name of the domain is that of its users at every port, but not where
    /// it is the address of a machine: there a port tells who is meant, unless it is the usual one, which is
    /// as good as none.
    pub(super) fn is_name_of_user(&self, uri: &Uri) -> bool {
        let Some(host) = uri.host() else { return true };
        let is_machine = self.name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let is_usual = matches!(uri.port(), None | Some(5060 | 5061));
        self.is_ours(uri) || (host.eq_ignore_ascii_case(&self.name) && (is_usual || !is_machine))
    }

    /// Finds the user that a name in an answer to a challenge means: an address of ours, with or
    /// without the scheme, or what stands before its `@`.
    pub(super) fn user_named(&self, name: &str) -> Option<Address> {
        let has_scheme = ["tel:", "sip:", "sips:"].iter().any(|scheme| name.starts_with(scheme));
        let uri = match (has_scheme, name.contains('@')) {
            (true, _) => Uri::parse(name),
            (false, true) => Uri::parse(&format!("sip:{name}")),
            (false, false) => Uri::parse(&format!("sip:{name}@{}", self.authority)),
        };
        match self.whose(&uri.ok()?) {
            Whose::User(user) => Some(user),
            Whose::Server | Whose::Foreign => None,
        }
    }

    /// Tells whether `uri` leads here: by the name of the domain, or by our address and port.
    pub(super) fn is_ours(&self, uri: &Uri) -> bool {
        let Some(host) = uri.host() else { return false };
        let port_is_ours = |default| uri.port().unwrap_or(default) == self.local.port;
        if host.eq_ignore_ascii_case(&self.name) && port_is_ours(self.local.port) {
            return true;
        }
        let default = uri.hop().map_or(self.local.port, |hop| hop.transport.default_port());
        same_host(host, &self.local.host) && port_is_ours(default)
    }

    fn is_host(&self, host: &str) -> bool {
        host.eq_ignore_ascii_case(&self.name) || same_host(host, &self.local.host)
    }

    /// Writes what a user of ours is called in front of others; an anonymous reference has no URI
    /// that says more than it hides.
    pub(super) fn identity(user: &Address) -> Option<Uri> {
        match user.scheme() {
            address::Scheme::Tel | address::Scheme::Sip => Uri::parse(user.key()).ok(),
            address::Scheme::Acr => None,
        }
    }

    /// Tells whether `via` is one that [`Self::via`] wrote.
    pub(super) fn wrote(&self, via: &Via) -> bool {
        same_host(&via.host, &self.local.host) && via.port == Some(self.local.port)
    }

    /// Writes our Via for a request that leaves over `transport`.
    pub(super) fn via(&self, transport: Transport, branch: &str) -> Via {
        Via::new(&Hop { transport, ..self.local.clone() }, branch)
    }

    /// Writes the Record-Route by which a neighbour over `transport` finds us again, and by whose
    /// seal we know it again.
    pub(super) fn record_route(&self, transport: Transport, seal: &str) -> String {
        let authority = self.local.authority();
        let param = match transport {
            Transport::Udp => String::new(),
            Transport::Tcp | Transport::Tls => format!(";transport={}", transport.param()),
        };
        format!("<sip:{authority}{param};{SEAL}={seal};lr>")
    }

    /// Reads the user part of one of our URIs. An anonymous reference has its colon escaped there.
    fn user(&self, user: &str) -> Option<Address> {
        const REFERENCE: &str = "acr%3a";
        let head = user.get(..REFERENCE.len()).unwrap_or_default();
        if head.eq_ignore_ascii_case(REFERENCE) {
            let rest = user.get(REFERENCE.len()..).unwrap_or_default();
            return Address::parse(&format!("acr:{rest}")).ok();
        }
        Address::parse(&format!("sip:{user}@{}", self.authority)).ok()
    }
}

/// The parameter of our Record-Route that holds the seal.
pub(super) const SEAL: &str = "seal";

/// Compares two hosts, IPv6 literals by their value.
pub(super) fn same_host(one: &str, other: &str) -> bool {
    match (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => one == other,
        (_, _) => one.eq_ignore_ascii_case(other),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn one_number_is_one_user_however_it_is_written() {
        let number = Whose::User(Address::parse("tel:+19585550100").unwrap());
        for uri in [
            "tel:+1-958-555-0100",
            "sip:+19585550100@example.com",
            "sip:+19585550100@EXAMPLE.com:5060;user=phone",
            "sip:+19585550100@192.0.2.1",
            "sip:+19585550100@192.0.2.1:5060;transport=tcp",
        ] {
            assert_eq!(whose(uri), number, "{uri}");
        }
    }

    #[test]
    fn any_user_part_of_the_domain_is_a_user() {
        let alice = Whose::User(Address::parse("sip:alice@example.com").unwrap());
        assert_eq!(whose("sip:alice@example.com"), alice);
        assert_eq!(whose("sip:%61lice@192.0.2.1;transport=udp"), alice);
        let reference = Whose::User(Address::parse("acr:pseudonym").unwrap());
        assert_eq!(whose("sip:acr%3Apseudonym@example.com"), reference);
    }

    #[test]
    fn the_server_has_no_user_part_and_strangers_live_elsewhere() {
        assert_eq!(whose("sip:example.com"), Whose::Server);
        assert_eq!(whose("sip:192.0.2.1:5060;lr"), Whose::Server);
        for uri in [
            "sip:alice@example.org",
            "sip:+19585550100@example.org",
            "sip:alice@example.com:5070",
            "sip:alice@192.0.2.1:5070",
            "sip:%0d%0a@example.com",
            "tel:100;phone-context=example.com",
            "mailto:alice@example.com",
        ] {
            assert_eq!(whose(uri), Whose::Foreign, "{uri}");
        }
    }

    #[test]
    fn a_user_has_several_names() {
        for (name, key) in [
            ("alice", "sip:alice@example.com"),
            ("alice@example.com", "sip:alice@example.com"),
            ("sip:alice@Example.com", "sip:alice@example.com"),
            ("+19585550100", "tel:+19585550100"),
            ("tel:+1-958-555-0100", "tel:+19585550100"),
            ("+19585550100@example.com", "tel:+19585550100"),
        ] {
            assert_eq!(domain().user_named(name).unwrap().key(), key, "{name}");
        }
        for name in ["", "alice@example.org", "sip:example.com", "a b", "tel:100", "\r\n", "sip:"] {
            assert_eq!(domain().user_named(name), None, "{name:?}");
        }
    }

    fn whose(uri: &str) -> Whose {
        domain().whose(&Uri::parse(uri).unwrap())
    }

    fn domain() -> Domain {
        Domain::new("example.com", Hop::new(Transport::Udp, "192.0.2.1", 5060))
    }
}
