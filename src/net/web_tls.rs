//! TLS for those who come over HTTP: our certificate, read from its files again as these change.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::tls::{self, TlsFault, TlsSettings};

/// What those who connect are met with: TLS 1.2 or 1.3.
#[derive(Debug)]
pub struct WebTls {
    settings: TlsSettings,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// The sums of what the files held.
    files: Vec<Option<u64>>,
}

impl WebTls {
    /// Reads the certificate and its key.
    ///
    /// # Errors
    /// Gives every fault of the files.
    pub fn read(settings: TlsSettings) -> Result<Self, Vec<TlsFault>> {
        let files = tls::sums(&settings);
        let current = Current { config: config(&settings)?, files };
        Ok(Self { settings, current: Mutex::new(current) })
    }

    /// Shakes hands with one who has connected.
    ///
    /// # Errors
    /// That fails, or takes too long.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + use<>> {
        let config = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&current.config)
        };
        let handshake = TlsAcceptor::from(config).accept(stream);
        timeout(self.settings.handshake_timeout, handshake).await?
    }

    /// Looks at the files; where they have changed, what they hold now is shown to those who connect
    /// from now on. Where that is bad, it is said once, and the old one goes on. Reads files.
    pub fn refresh(&self) {
        let files = tls::sums(&self.settings);
        {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if current.files == files {
                return;
            }
            current.files = files;
        }
        match config(&self.settings) {
            Ok(config) => {
                self.current.lock().unwrap_or_else(PoisonError::into_inner).config = config;
                info!("the certificate of [rest] has changed: new connections are shown it");
            }
            Err(faults) => {
                for fault in faults {
                    error!(%fault, "the certificate of [rest] has changed for the worse: the old one holds");
                }
            }
        }
    }

    /// Looks at the files again and again.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = interval(self.settings.reload.max(Duration::from_millis(1)));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {
                    let this = Arc::clone(&self);
                    // Files are read where that holds nobody up.
                    let _done = tokio::task::spawn_blocking(move || this.refresh()).await;
                }
            }
        }
    }
}

fn config(settings: &TlsSettings) -> Result<Arc<ServerConfig>, Vec<TlsFault>> {
    let mut config = tls::server_only(settings)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
