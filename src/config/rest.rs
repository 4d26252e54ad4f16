//! `[rest]`: where the API is served, over which bearer, and how much of a request is read.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Config;
use super::auth::AuthMode;
use super::reader::Reader;
use super::values::{CreateAnswer, base_path, server_root};
use crate::net::TlsSettings;

/// `[rest]`: the face towards applications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// Where HTTP is listened for.
    pub listen: SocketAddr,
    /// Whether to listen on other addresses than loopback, though nobody is authenticated.
    pub allow_remote: bool,
    /// Our certificate and those that vouch for it, a file of PEM: with it, HTTP comes over TLS.
    pub certificate: Option<PathBuf>,
    /// The key of the certificate, a file of PEM.
    pub private_key: Option<PathBuf>,
    /// How often these files are looked at.
    pub reload: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// The beginning of every URL handed out; without one, the `Host` header decides.
    pub server_root: Option<String>,
    /// What stands before `/1/chat` in the path.
    pub base_path: String,
    /// What a `201` carries.
    pub answer: CreateAnswer,
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// The longest text of a message, in bytes.
    pub max_text: usize,
    /// The longest request-target, in bytes.
    pub max_uri: usize,
    /// The largest head of a request, in bytes.
    pub max_head: usize,
    /// The most header fields of a request.
    pub max_headers: usize,
    /// How long the head of a request may take to come in.
    pub header_timeout: Duration,
    /// How long a request body may take to come in.
    pub body_timeout: Duration,
    /// How long a connection may wait for its next request.
    pub idle_timeout: Duration,
    /// How long a client may read nothing of its answer.
    pub write_timeout: Duration,
    /// How many clientCorrelators are remembered.
    pub correlators: usize,
    /// How many of them may be those of one user.
    pub correlators_per_user: usize,
    /// How long a clientCorrelator is remembered.
    pub correlator_age: Duration,
}

impl Rest {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut keys = reader.section("rest");
        Self {
            listen: keys.socket("listen", ("127.0.0.1", 8080)),
            allow_remote: keys.flag("allow_remote", false),
            certificate: keys.file("certificate"),
            private_key: keys.file("private_key"),
            reload: keys.seconds("reload_s", 10, 1..=86_400),
            handshake_timeout: keys.seconds("handshake_timeout_s", 5, 1..=60),
            server_root: keys.optional("server_root", server_root),
            base_path: keys.text("base_path", "", base_path),
            answer: keys.choice("answer"),
            max_body: keys.count("max_body", 262_144, 1024..=16_777_216),
            max_text: keys.count("max_text", 65_536, 160..=4_194_304),
            max_uri: keys.count("max_uri", 8192, 256..=65_535),
            max_head: keys.count("max_head", 16_384, 1024..=98_304),
            max_headers: keys.count("max_headers", 64, 8..=96),
            header_timeout: keys.seconds("header_timeout_s", 5, 1..=600),
            body_timeout: keys.seconds("body_timeout_s", 30, 1..=600),
            idle_timeout: keys.seconds("idle_timeout_s", 75, 1..=86_400),
            write_timeout: keys.seconds("write_timeout_s", 30, 1..=600),
            correlators: keys.count("correlators", 10_000, 1..=10_000_000),
            correlators_per_user: keys.count("correlators_per_user", 1000, 1..=10_000_000),
            correlator_age: keys.seconds("correlator_age_s", 86_400, 1..=2_592_000),
        }
    }

    /// Gives what is shown to those who come over TLS.
    #[must_use]
    pub fn tls(&self) -> TlsSettings {
        TlsSettings {
            certificate: self.certificate.clone(),
            private_key: self.private_key.clone(),
            handshake_timeout: self.handshake_timeout,
            reload: self.reload,
            ..TlsSettings::default()
        }
    }
}

impl Config {
    /// Finds keys of the face that do not go together, and files that are no use.
    pub(super) fn check_rest(&self, reader: &mut Reader<'_>) {
        let rest = &self.rest;
        let is_remote = !rest.listen.ip().is_loopback();
        if is_remote && !rest.allow_remote && self.auth.mode == AuthMode::None {
            let what = format!(
                "{} is reachable from other hosts, but nobody is asked for credentials; \
                 set [rest] allow_remote = true if the network is trusted, or see [auth]",
                rest.listen
            );
            reader.discord(("rest", "listen"), ("rest", "allow_remote"), what);
        }
        if rest.max_uri > rest.max_head {
            let what = "is larger than [rest] max_head".to_owned();
            reader.discord(("rest", "max_uri"), ("rest", "max_head"), what);
        }
        match (&rest.certificate, &rest.private_key) {
            (Some(_), None) => {
                let what = "is wanted beside [rest] certificate".to_owned();
                reader.discord(("rest", "private_key"), ("rest", "certificate"), what);
            }
            (None, Some(_)) => {
                let what = "is wanted beside [rest] private_key".to_owned();
                reader.discord(("rest", "certificate"), ("rest", "private_key"), what);
            }
            (Some(_), Some(_)) => {
                for fault in rest.tls().identity_faults() {
                    reader.discord(("rest", fault.key), ("rest", fault.key), fault.what);
                }
            }
            (None, None) => {}
        }
    }
}
