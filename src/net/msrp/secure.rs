//! MSRPS: our certificate, and whose we believe (RFC 4975 section 14, RFC 8122).
//!
//! Whoever connects to us may show a certificate, and it may be one that nobody vouches for: whether
//! it is the right one, the description of the peer says, which may come later than the connection.
//! Whom we connect to has to show one with the fingerprint of the description, or, where that gives
//! none, one that somebody vouches for and that names the host.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    self, CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::digest::Fingerprint;
use crate::net::tls::{self, Identity, TlsFault, TlsSettings};
use crate::net::tls_identity::ServerJudge;

/// Our side of MSRP over TLS, as the files held it at the start.
pub struct MsrpTls {
    provider: Arc<CryptoProvider>,
    server: Arc<ServerConfig>,
    identity: Identity,
    judge: Arc<ServerJudge>,
    fingerprint: Fingerprint,
    handshake_timeout: Duration,
}

impl fmt::Debug for MsrpTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MsrpTls").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl MsrpTls {
    /// Reads certificate, key and authorities.
    ///
    /// # Errors
    /// Gives every fault of the files.
    pub fn read(settings: &TlsSettings) -> Result<Self, Vec<TlsFault>> {
        let provider = Arc::new(crypto::ring::default_provider());
        let (identity, roots) = tls::identity_and_roots(settings)?;
        let algorithms = provider.signature_verification_algorithms;
        let fault = |what: Error| vec![TlsFault { key: "certificate", what: what.to_string() }];
        let own = identity.copy();
        let fingerprint = own.chain.first().map(|it| Fingerprint::of(it));
        let fingerprint = fingerprint
            .ok_or_else(|| fault(Error::General("there is no certificate".to_owned())))?;
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(fault)?
            .with_client_cert_verifier(Arc::new(Anybody(algorithms)))
            .with_single_cert(own.chain, own.key)
            .map_err(fault)?;
        let judge = Arc::new(ServerJudge::new(roots, None, &provider));
        let handshake_timeout = settings.handshake_timeout;
        let server = Arc::new(server);
        Ok(Self { provider, server, identity, judge, fingerprint, handshake_timeout })
    }

    /// Gives the fingerprint of our certificate, for `a=fingerprint`.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Meets one who has connected.
    ///
    /// # Errors
    /// It does not speak TLS, or not in time.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<server::TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.server));
        timeout(self.handshake_timeout, acceptor.accept(stream)).await?
    }

    /// Meets one whom we have connected to.
    ///
    /// # Errors
    /// It does not speak TLS, or not in time, or is not who it should be.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        (host, fingerprints): (&str, Vec<Fingerprint>),
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let judge = PeerJudge { fingerprints, by_name: Arc::clone(&self.judge) };
        let own = self.identity.copy();
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(judge))
            .with_client_auth_cert(own.chain, own.key)
            .map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::new(config));
        timeout(self.handshake_timeout, connector.connect(name, stream)).await?
    }
}

/// Takes any certificate of one who connects, as long as it is its own, and none, too.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Judges the certificate of one whom we connect to by its fingerprint, or without by its name.
#[derive(Debug)]
struct PeerJudge {
    fingerprints: Vec<Fingerprint>,
    by_name: Arc<ServerJudge>,
}

impl ServerCertVerifier for PeerJudge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.fingerprints.is_empty() {
            let by_name = &self.by_name;
            return by_name.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            );
        }
        match self.fingerprints.iter().any(|known| known.is_of(end_entity)) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_name.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_name.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_name.supported_verify_schemes()
    }
}
