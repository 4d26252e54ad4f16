//! Who a certificate says its holder is, as SIP reads it (RFC 5922).

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tracing::debug;
use webpki::EndEntityCert;

use crate::store::connections::Proof;

/// The names of the core that requests go to first: its certificate may show either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreNames {
    /// Where it is.
    pub host: String,
    /// The domain that it serves (RFC 5922 section 7.3).
    pub domain: String,
}

/// Tells whether `certificate` says that its holder is `host`.
///
/// A domain is shown by a `sip:` URI without a user, or, where there is no such URI, by a DNS name;
/// always as a whole, never by a wildcard (RFC 5922 sections 7.1 and 7.2). An address is shown as
/// an address.
pub(super) fn shows(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return false };
    if let Ok(ip) = host.parse::<IpAddr>() {
        let name = ServerName::from(ip.to_canonical());
        return certificate.verify_is_valid_for_subject_name(&name).is_ok();
    }
    let host = host.trim_end_matches('.');
    let mut domains = certificate.valid_uri_names().filter_map(sip_domain).peekable();
    if domains.peek().is_some() {
        return domains.any(|domain| domain.eq_ignore_ascii_case(host));
    }
    let mut names = certificate.valid_dns_names();
    names.any(|name| name.trim_end_matches('.').eq_ignore_ascii_case(host))
}

/// The domain of a `sip:` URI that names nobody in it.
fn sip_domain(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    let is_domain = scheme.eq_ignore_ascii_case("sip") && !rest.contains('@');
    let domain = rest.split([';', '?', ':']).next()?;
    (is_domain && !domain.is_empty()).then_some(domain)
}

/// Judges the certificates of those whom we connect to: who vouches for them, and who they are.
#[derive(Debug)]
pub(super) struct ServerJudge {
    pub(super) roots: RootCertStore,
    pub(super) core: Option<CoreNames>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerJudge {
    pub(super) fn new(
        roots: RootCertStore,
        core: Option<CoreNames>,
        provider: &CryptoProvider,
    ) -> Self {
        Self { roots, core, algorithms: provider.signature_verification_algorithms }
    }

    /// Tells whether `certificate` fits a server that was looked for as `host`. Elements within a
    /// domain name one another by address, so that one of the names of the core does for an
    /// address, too.
    fn fits(&self, certificate: &CertificateDer<'_>, host: &str) -> bool {
        let core = self
            .core
            .as_ref()
            .filter(|core| host.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case(&core.host));
        let names = core.map(|core| [core.host.as_str(), core.domain.as_str()]);
        shows(certificate, host)
            || names.is_some_and(|names| names.iter().any(|name| shows(certificate, name)))
    }
}

impl ServerCertVerifier for ServerJudge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        let host = server_name.to_str();
        if self.fits(end_entity, &host) {
            return Ok(ServerCertVerified::assertion());
        }
        debug!(%host, "the certificate of a SIP peer shows another name");
        Err(CertificateError::NotValidForName.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whom the other end of one TLS connection has shown to be; shared with the directory of
/// connections before the handshake is over.
#[derive(Default)]
pub(super) struct PeerProof {
    /// Whom we look for, where it was we who connected: what the handshake makes sure of.
    sought: Option<Box<str>>,
    certificate: OnceLock<CertificateDer<'static>>,
}

impl PeerProof {
    /// The proof of a connection that was opened to reach `host`.
    pub(super) fn of(host: &str) -> Arc<Self> {
        Arc::new(Self { sought: Some(host.into()), certificate: OnceLock::new() })
    }

    /// Takes the certificate that the handshake has shown, if it has shown one.
    pub(super) fn take(&self, certificates: Option<&[CertificateDer<'_>]>) {
        if let Some(certificate) = certificates.and_then(<[_]>::first) {
            // A handshake shows one certificate.
            let _first = self.certificate.set(certificate.clone().into_owned());
        }
    }

    /// Tells whether the peer has shown a certificate.
    pub(super) fn is_there(&self) -> bool {
        self.certificate.get().is_some()
    }
}

impl Proof for PeerProof {
    /// An address asks for nobody in particular: whoever has shown a certificate there will do.
    fn covers(&self, host: &str) -> bool {
        let is_sought = self.sought.as_ref().is_some_and(|it| it.eq_ignore_ascii_case(host));
        is_sought
            || self.certificate.get().is_some_and(|certificate| {
                host.parse::<IpAddr>().is_ok() || shows(certificate, host)
            })
    }
}

impl fmt::Debug for PeerProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerProof")
            .field("sought", &self.sought)
            .field("is_there", &self.is_there())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(names: impl IntoIterator<Item = SanType>) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.into_iter().collect();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().into()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    #[test]
    fn a_dns_name_is_a_sip_domain_and_matches_as_a_whole() {
        let plain = certificate([dns("Core.example.com"), dns("*.wild.example")]);
        assert!(shows(&plain, "core.EXAMPLE.com") && shows(&plain, "core.example.com."));
        for other in ["example.com", "a.core.example.com", "a.wild.example", "192.0.2.1", ""] {
            assert!(!shows(&plain, other), "{other}");
        }
    }

    #[test]
    fn a_sip_uri_goes_before_dns_names_and_a_user_is_no_domain() {
        let both = certificate([uri("sip:example.com"), dns("host.example.com")]);
        assert!(shows(&both, "example.com"));
        assert!(!shows(&both, "host.example.com"));
        let user = certificate([uri("sip:alice@example.com"), uri("https://example.com")]);
        assert!(!shows(&user, "example.com"));
        let beside = certificate([uri("https://a.example"), dns("host.example.com")]);
        assert!(shows(&beside, "host.example.com"));
    }

    #[test]
    fn an_address_is_shown_as_an_address() {
        let four = certificate([SanType::IpAddress("192.0.2.1".parse().unwrap())]);
        assert!(shows(&four, "192.0.2.1") && shows(&four, "::ffff:192.0.2.1"));
        assert!(!shows(&four, "192.0.2.2"));
        let six = certificate([SanType::IpAddress("2001:db8::1".parse().unwrap())]);
        assert!(shows(&six, "2001:DB8::0:1"));
        assert!(!shows(&certificate([dns("a.example")]), "192.0.2.1"));
    }

    #[test]
    fn what_is_no_certificate_shows_nothing() {
        assert!(!shows(&CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]), "a.example"));
    }

    #[test]
    fn a_proof_covers_who_was_sought_and_whom_its_certificate_shows() {
        let proof = PeerProof::of("core.example.com");
        assert!(proof.covers("CORE.example.com"));
        assert!(!proof.covers("other.example") && !proof.covers("192.0.2.1"));
        proof.take(Some(&[certificate([dns("core.example.com"), dns("other.example")])]));
        assert!(proof.covers("other.example") && proof.covers("192.0.2.1"));
        assert!(!proof.covers("third.example"));
        let nobody = PeerProof::default();
        nobody.take(None);
        assert!(!nobody.covers("192.0.2.1") && !nobody.is_there());
    }
}
