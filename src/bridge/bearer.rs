//! What carries MSRP: TCP, TLS or WebSocket; how descriptions name it, and whom it lets in.

use bytes::Bytes;

use crate::digest::Fingerprint;
use crate::msrp::Uri;
use crate::sdp::Protocol;

/// What carries the MSRP of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bearer {
    /// TCP.
    #[default]
    Tcp,
    /// TLS.
    Tls,
    /// WebSocket, to which the peer connects (RFC 7977).
    Ws,
    /// WebSocket over TLS, to which the peer connects.
    Wss,
}

/// On which ports which bearers are served, and which of them is offered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bearers {
    /// What our offers say.
    pub offered: Bearer,
    /// The port of TLS, where it is served.
    pub tls: Option<u16>,
    /// The port of WebSocket, where it is served.
    pub ws: Option<u16>,
    /// The port of WebSocket over TLS, where it is served.
    pub wss: Option<u16>,
    /// The fingerprint of our certificate.
    pub fingerprint: Option<Fingerprint>,
}

impl Bearers {
    /// Gives the port that serves a bearer; `tcp` is that of TCP, which always is.
    pub(super) fn port(&self, bearer: Bearer, tcp: u16) -> Option<u16> {
        match bearer {
            Bearer::Tcp => Some(tcp),
            Bearer::Tls => self.tls,
            Bearer::Ws => self.ws,
            Bearer::Wss => self.wss,
        }
    }
}

impl Bearer {
    /// Reads a bearer out of a description: the transport of its `m=` line, and the first URI of
    /// its path. WebSocket has no name of its own in `m=` lines (RFC 7977 section 5.2.2).
    pub(super) fn of(protocol: Protocol, first: &Uri) -> Self {
        match (protocol, is_web(first)) {
            (Protocol::Tcp, false) => Self::Tcp,
            (Protocol::Tls, false) => Self::Tls,
            (Protocol::Tcp, true) => Self::Ws,
            (Protocol::Tls, true) => Self::Wss,
        }
    }

    /// Reads the bearer of one of our own URIs.
    pub(super) fn of_ours(uri: &Uri) -> Self {
        Self::of(if uri.secure() { Protocol::Tls } else { Protocol::Tcp }, uri)
    }

    pub(super) fn protocol(self) -> Protocol {
        match self {
            Self::Tcp | Self::Ws => Protocol::Tcp,
            Self::Tls | Self::Wss => Protocol::Tls,
        }
    }

    /// Tells whether only the peer can connect.
    pub(super) fn is_web(self) -> bool {
        match self {
            Self::Tcp | Self::Tls => false,
            Self::Ws | Self::Wss => true,
        }
    }

    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::Tcp | Self::Ws => "msrp",
            Self::Tls | Self::Wss => "msrps",
        }
    }

    pub(super) fn transport(self) -> &'static str {
        if self.is_web() { "ws" } else { "tcp" }
    }
}

/// The transport of RFC 7977 section 5.2.1.
pub(super) fn is_web(uri: &Uri) -> bool {
    uri.transport().is_some_and(|transport| transport.eq_ignore_ascii_case("ws"))
}

/// What the one who has connected has shown of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// Whether the connection is under TLS.
    pub secure: bool,
    /// Its certificate, if it has shown one.
    pub certificate: Option<Bytes>,
}

impl Shown {
    /// Tells whether this may be the peer of whose description these are bearer and fingerprints
    /// (RFC 4975 section 14.4): where it gives fingerprints, its certificate has to have one of
    /// them. Browsers show no certificate.
    pub(super) fn fits(&self, bearer: Bearer, fingerprints: &[Fingerprint]) -> bool {
        match bearer {
            Bearer::Tcp | Bearer::Ws => true,
            Bearer::Wss => self.secure,
            Bearer::Tls => {
                let certificate = self.certificate.as_deref();
                let is_ours = |known: &Fingerprint| certificate.is_some_and(|it| known.is_of(it));
                self.secure && (fingerprints.is_empty() || fingerprints.iter().any(is_ours))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::media::{Unusable, judge_offer};
    use crate::bridge::settings::{Contradiction, sample};

    #[test]
    fn who_gives_a_fingerprint_has_to_show_its_certificate() {
        let shown = |secure, certificate: Option<&'static [u8]>| Shown {
            secure,
            certificate: certificate.map(Bytes::from_static),
        };
        let known = [Fingerprint::of(b"old"), Fingerprint::of(b"mine")];
        for (shown, bearer, known, fits) in [
            (shown(false, None), Bearer::Tcp, &known[..0], true),
            (shown(false, None), Bearer::Tls, &[], false),
            (shown(true, None), Bearer::Tls, &[], true),
            (shown(true, None), Bearer::Tls, &known, false),
            (shown(true, Some(b"mine")), Bearer::Tls, &known, true),
            (shown(true, Some(b"yours")), Bearer::Tls, &known, false),
            (shown(false, None), Bearer::Wss, &[], false),
            (shown(true, None), Bearer::Wss, &known, true),
        ] {
            assert_eq!(shown.fits(bearer, known), fits, "{shown:?} {bearer:?}");
        }
    }

    /// A browser has neither a port nor a name of its own, and what it makes up for its path and
    /// what for its lines need not be the same.
    #[test]
    fn the_lines_of_a_browser_name_no_place() {
        let mut settings = sample();
        settings.msrp_bearers.ws = Some(8443);
        settings.msrp_rules.contradiction = Contradiction::Refuse;
        let offer = |transport: &str| {
            format!(
                "v=0\nc=IN IP4 192.0.2.7\nm=message 4000 TCP/MSRP *\na=accept-types:*\n\
                 a=setup:active\na=path:msrp://df7jal23ls0d.invalid:2855/98cjs;{transport}\n"
            )
        };
        let judged = |transport| judge_offer(&settings, Some(offer(transport).as_bytes()));
        assert!(judged("ws").is_ok());
        assert_eq!(judged("tcp").err(), Some(Unusable::Contradicted));
    }
}
