//! Who may be called at all, where not everybody may: a bridge that plays in a rehearsal calls its
//! player and itself, whatever a recording has for a Contact, a route or a path.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something that was for somebody who may not be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// What was to be sent.
    pub what: Held,
    /// The host, a name or an address.
    pub host: String,
    /// The port, where one is told.
    pub port: Option<u16>,
}

/// What was held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A SIP request, by its method.
    Request(String),
    /// A SIP answer, by its code.
    Answer(String),
    /// A connection for MSRP.
    Msrp,
}

impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Held::Request(what) | Held::Answer(what) => write!(f, "SIP {what}")?,
            Held::Msrp => write!(f, "MSRP")?,
        }
        match (self.port, self.host.contains(':')) {
            (Some(port), true) => write!(f, " for [{}]:{port}", self.host),
            (Some(port), false) => write!(f, " for {}:{port}", self.host),
            (None, _) => write!(f, " for {}", self.host),
        }
    }
}

/// Who may be called; whoever else was to be is told of, and hears nothing.
pub struct Tether {
    permitted: Mutex<Permitted>,
    tell: Box<dyn Fn(HeldBack) + Send + Sync>,
}

#[derive(Debug, Default)]
struct Permitted {
    places: BTreeSet<SocketAddr>,
    hosts: BTreeSet<IpAddr>,
    names: BTreeSet<String>,
}

impl Tether {
    /// Permits nobody; `tell` is called for each thing that is held back, and must not wait.
    pub fn new(tell: impl Fn(HeldBack) + Send + Sync + 'static) -> Self {
        Self { permitted: Mutex::default(), tell: Box::new(tell) }
    }

    /// Permits one address.
    pub fn permit(&self, place: SocketAddr) {
        self.permitted().places.insert(canonical(place));
    }

    /// Permits a host as it is named, under all its addresses.
    pub fn permit_host(&self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        let mut permitted = self.permitted();
        permitted.names.insert(name.to_ascii_lowercase());
        permitted.hosts.extend(addresses.into_iter().map(|ip| ip.to_canonical()));
    }

    /// Tells whether a name may be looked up.
    pub(super) fn knows(&self, name: &str, (what, port): (&Held, u16)) -> bool {
        let knows = self.permitted().names.contains(&name.to_ascii_lowercase());
        if !knows {
            self.hold(what, name.to_owned(), port);
        }
        knows
    }

    /// Tells whether an address may be called.
    pub(super) fn reaches(&self, place: SocketAddr, what: &Held) -> bool {
        let place = canonical(place);
        let reaches = {
            let permitted = self.permitted();
            permitted.places.contains(&place) || permitted.hosts.contains(&place.ip())
        };
        if !reaches {
            self.hold(what, place.ip().to_string(), place.port());
        }
        reaches
    }

    fn hold(&self, what: &Held, host: String, port: u16) {
        let port = Some(port).filter(|port| *port != 0);
        (self.tell)(HeldBack { what: what.clone(), host, port });
    }

    fn permitted(&self) -> MutexGuard<'_, Permitted> {
        self.permitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Says what a SIP message is.
    pub(super) fn sip(bytes: &[u8]) -> Self {
        let word = |bytes: &[u8]| {
            let end = bytes.iter().position(u8::is_ascii_whitespace).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end.min(MAX_WORD)]).into_owned()
        };
        match bytes.strip_prefix(b"SIP/2.0 ") {
            Some(rest) => Self::Answer(word(rest)),
            None => Self::Request(word(bytes)),
        }
    }
}

impl fmt::Debug for Tether {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tether").field(&*self.permitted()).finish()
    }
}

fn canonical(place: SocketAddr) -> SocketAddr {
    SocketAddr::new(place.ip().to_canonical(), place.port())
}

/// The longest method that is told in full.
const MAX_WORD: usize = 32;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn who_is_not_permitted_is_told_of() {
        let (sender, told) = mpsc::channel();
        let tether = Tether::new(move |held| {
            // Whoever has ended hears nothing.
            let _ = sender.send(held.to_string());
        });
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        tether.permit(at("127.0.0.1:5060"));
        tether.permit_host("Lab.Test", [at("192.0.2.7:0").ip()]);
        let ack = Held::sip(b"ACK sip:a SIP/2.0\r\n");
        for place in ["127.0.0.1:5060", "[::ffff:127.0.0.1]:5060", "192.0.2.7:9"] {
            assert!(tether.reaches(at(place), &ack), "{place}");
        }
        assert!(tether.knows("lab.test", (&ack, 0)));
        assert!(!tether.reaches(at("127.0.0.1:5061"), &ack));
        assert!(!tether.reaches(at("[2001:db8::1]:5060"), &Held::sip(b"SIP/2.0 200 OK\r\n")));
        assert!(!tether.knows("lab.test.org", (&Held::Msrp, 2855)));
        assert!(!tether.knows("bob.test", (&Held::sip(b""), 0)));
        let told: Vec<String> = told.try_iter().collect();
        assert_eq!(
            told,
            [
                "SIP ACK for 127.0.0.1:5061",
                "SIP 200 for [2001:db8::1]:5060",
                "MSRP for lab.test.org:2855",
                "SIP  for bob.test"
            ]
        );
    }
}
