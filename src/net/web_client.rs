//! TLS for those whom we talk HTTP to: whom we trust, and the handshake.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, crypto};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tls::{self, TlsFault};

/// What we connect with: TLS 1.2 or 1.3, with the certificate of the other side checked as the web
/// does (RFC 9525).
#[derive(Clone)]
pub struct WebClient(Arc<ClientConfig>);

impl WebClient {
    /// Trusts whom a file of PEM vouches for; without one, whom the platform does. Reads files.
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate, or the platform trusts nobody.
    pub fn new(ca: Option<&Path>) -> Result<Self, TlsFault> {
        let roots = match ca {
            Some(file) => tls::authorities("ca", file)?,
            None => tls::platform()?,
        };
        let config =
            ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|what| TlsFault::new("ca", ca, what.to_string()))?
                .with_root_certificates(roots)
                .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Shakes hands with a host, which has to show a certificate for its name.
    ///
    /// # Errors
    /// The name is none, or the handshake fails.
    pub async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>> {
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await
    }
}

impl fmt::Debug for WebClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebClient")
    }
}
