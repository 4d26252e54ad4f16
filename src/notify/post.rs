//! One attempt to hand a notification to an application.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, StatusCode, redirect};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::time::timeout;

use super::Settings;
use super::signature::{SigningKey, signatures};
use super::target::{TargetError, TargetPolicy};
use crate::chat::NotificationFormat;
use crate::ids::NotificationId;

/// How long the rest of an answer is read once its status is known.
const BODY_WAIT: Duration = Duration::from_secs(1);

/// What an application made of a notification.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// 2xx: it has it.
    Delivered,
    /// 404 or 410: it is no longer there.
    Gone(StatusCode),
    /// 3xx or another 4xx: it does not want this one.
    Refused(String),
    /// 408, 429, 5xx, no answer: later, perhaps.
    Failed {
        /// What happened.
        why: String,
        /// When the application wants to be asked again.
        retry_after: Option<Duration>,
    },
}

/// The client that posts notifications: no redirects, no proxy, checked addresses only, a deadline.
#[derive(Debug, Clone)]
pub(super) struct Poster {
    client: Client,
    policy: TargetPolicy,
    max_response: usize,
    keys: Arc<[SigningKey]>,
}

impl Poster {
    /// Builds the client.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let policy = settings.target_policy();
        // Whoever starts the process chooses the TLS provider; this is for where nobody did.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .dns_resolver(CheckedResolver { policy })
                .redirect(redirect::Policy::none())
                .no_proxy()
                .connect_timeout(settings.deadline)
                .timeout(settings.deadline)
                .pool_max_idle_per_host(1)
                .pool_idle_timeout(Duration::from_secs(30))
                .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        };
        let client = match &settings.authorities {
            Some(file) => builder().tls_certs_only(read_authorities(file)?).build(),
            None => builder().build().or_else(|error| {
                tracing::warn!(%error, "no trusted certificates: callbacks to https URLs will fail");
                builder().tls_certs_only([]).build()
            }),
        };
        let client = client.map_err(|error| error.to_string())?;
        let (max_response, keys) = (settings.max_response, settings.keys.clone().into());
        Ok(Self { client, policy, max_response, keys })
    }

    /// Posts one document, the notification `id`.
    pub(super) async fn post(
        &self,
        url: &str,
        (id, format): (&NotificationId, NotificationFormat),
        document: Bytes,
    ) -> Verdict {
        // A host that is an address never meets the resolver, so it is judged here.
        let url = match self.policy.parse(url) {
            Ok(url) => url,
            Err(error) => return Verdict::Refused(error.to_string()),
        };
        let mut request = self.client.post(url).header(CONTENT_TYPE, media_type(format));
        let (id, now) = (id.as_str(), OffsetDateTime::now_utc().unix_timestamp());
        if let Some(signatures) = signatures(&self.keys, (id, now), &document) {
            request = request
                .header("webhook-id", id)
                .header("webhook-timestamp", now)
                .header("webhook-signature", signatures);
        }
        match request.body(document).send().await {
            Ok(response) => {
                let verdict = judge(response.status(), response.headers());
                self.read_out(response).await;
                verdict
            }
            Err(error) => Verdict::Failed { why: describe(&error), retry_after: None },
        }
    }

    /// Reads what is left of a small answer, so that its connection can be used again; a long or
    /// slow one costs its connection.
    async fn read_out(&self, mut response: reqwest::Response) {
        let mut left = self.max_response;
        let read = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                match left.checked_sub(chunk.len()) {
                    Some(rest) => left = rest,
                    None => break,
                }
            }
        };
        // Nothing in the answer matters, so neither does the way its reading ends.
        let _ = timeout(BODY_WAIT, read).await;
    }
}

/// Reads who vouches for applications.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn read_authorities(file: &Path) -> Result<Vec<Certificate>, String> {
    let name = file.display();
    let pem = std::fs::read(file).map_err(|error| format!("{name} cannot be read: {error}"))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(all) if all.is_empty() => Err(format!("{name} holds no certificate")),
        Ok(all) => Ok(all),
        Err(_) => Err(format!("{name} holds something that is no certificate in PEM")),
    }
}

fn judge(status: StatusCode, headers: &HeaderMap) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Delivered,
        404 | 410 => Verdict::Gone(status),
        408 | 429 | 500.. => {
            Verdict::Failed { why: status.to_string(), retry_after: retry_after(headers) }
        }
        _ => Verdict::Refused(status.to_string()),
    }
}

/// Reads Retry-After: seconds, or a date (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = OffsetDateTime::parse(&value.replace("GMT", "+0000"), &Rfc2822).ok()?;
    Some(Duration::try_from(date - OffsetDateTime::now_utc()).unwrap_or_default())
}

fn media_type(format: NotificationFormat) -> &'static str {
    match format {
        NotificationFormat::Xml => "application/xml",
        NotificationFormat::Json => "application/json",
    }
}

/// Puts an error and its causes in one line, without the URL, which may hold a secret.
fn describe(error: &reqwest::Error) -> String {
    let mut text = String::from(if error.is_timeout() { "timeout" } else { "no answer" });
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Resolves names, and only to addresses that may be called: one that may not spoils the name.
#[derive(Debug, Clone, Copy)]
struct CheckedResolver {
    policy: TargetPolicy,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy;
        Box::pin(async move {
            let addresses: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            check(policy, &addresses).map_err(io::Error::other)?;
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

fn check(policy: TargetPolicy, addresses: &[SocketAddr]) -> Result<(), TargetError> {
    addresses.iter().try_for_each(|address| policy.judge(address.ip()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn every_status_has_its_verdict() {
        let judge = |code| judge(StatusCode::from_u16(code).expect("a status"), &HeaderMap::new());
        for code in [200, 201, 202, 204, 299] {
            assert_eq!(judge(code), Verdict::Delivered, "{code}");
        }
        for code in [404, 410] {
            assert!(matches!(judge(code), Verdict::Gone(_)), "{code}");
        }
        for code in [300, 301, 302, 307, 400, 401, 403, 405, 409, 415, 499] {
            assert!(matches!(judge(code), Verdict::Refused(_)), "{code}");
        }
        for code in [408, 429, 500, 502, 503, 504, 599] {
            assert!(matches!(judge(code), Verdict::Failed { retry_after: None, .. }), "{code}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        let ahead = read("Fri, 31 Dec 2999 23:59:59 GMT").expect("a date");
        assert!(ahead > Duration::from_secs(86_400));
        for nonsense in ["", "soon", "-1", "1.5", "Fri, 31 Foo 1999 23:59:59 GMT"] {
            assert_eq!(read(nonsense), None, "{nonsense:?}");
        }
    }

    #[tokio::test]
    async fn h05_a_name_is_as_good_as_the_worst_address_it_resolves_to() {
        let resolver = |allow_private| CheckedResolver { policy: TargetPolicy { allow_private } };
        let name = || "localhost".parse::<Name>().expect("a name");
        assert!(resolver(true).resolve(name()).await.is_ok());
        assert!(resolver(false).resolve(name()).await.is_err());
        let addresses = ["192.0.3.1:0", "169.254.169.254:0"].map(|a| a.parse().expect("a socket"));
        let policy = TargetPolicy { allow_private: true };
        assert!(check(policy, &addresses[..1]).is_ok());
        assert!(check(policy, &addresses).is_err());
    }

    fn read(value: &str) -> Option<Duration> {
        let value = HeaderValue::from_str(value).expect("a header value");
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
    }
}
