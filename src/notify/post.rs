//! One attempt to hand a notification to an application.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
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
    /// 400 and others that speak of the document: it does not want this one.
    Refused(String),
    /// Anything else, or no answer: nothing is wrong with this one, and later, perhaps, somebody has
    /// mended the application, or its address.
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
    pub(super) fn new(settings: &Settings, names: &Names) -> Result<Self, String> {
        let policy = settings.target_policy();
        // Whoever starts the process chooses the TLS provider; this is for where nobody did.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let resolver = CheckedResolver { policy, names: names.clone() };
        let builder = || {
            Client::builder()
                .dns_resolver(resolver.clone())
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
        400 | 406 | 409 | 411..=418 | 422 | 431 => Verdict::Refused(status.to_string()),
        _ => Verdict::Failed { why: status.to_string(), retry_after: retry_after(headers) },
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

/// Who turns the names of applications into addresses.
#[derive(Clone)]
pub struct Names(Arc<dyn Fn(String) -> Addresses + Send + Sync>);

/// The addresses of a name, once they are known.
pub type Addresses = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

impl Names {
    /// Takes over who is asked. An answer that does not come is forgotten at the deadline of its
    /// callback; it must not keep others from theirs.
    pub fn new(ask: impl Fn(String) -> Addresses + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

/// Resolves names, and only to addresses that may be called: one that may not spoils the name.
#[derive(Debug, Clone)]
struct CheckedResolver {
    policy: TargetPolicy,
    names: Names,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, asking) = (self.policy, (self.names.0)(name.as_str().to_owned()));
        Box::pin(async move {
            let addresses = asking.await?;
            check(policy, &addresses).map_err(io::Error::other)?;
            // The port is that of the URL.
            let addresses: Addrs =
                Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

fn check(policy: TargetPolicy, addresses: &[IpAddr]) -> Result<(), TargetError> {
    addresses.iter().try_for_each(|address| policy.judge(*address))
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
        for code in [400, 406, 409, 411, 413, 415, 417, 422, 431] {
            assert!(matches!(judge(code), Verdict::Refused(_)), "{code}");
        }
        for code in [
            300, 301, 302, 307, 401, 402, 403, 405, 407, 408, 421, 425, 429, 499, 500, 502, 503,
            504, 599,
        ] {
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
        let names = Names::new(|name| {
            let addresses: &[[u8; 4]] = match name.as_str() {
                "app.test" => &[[192, 0, 3, 1], [192, 0, 3, 2]],
                "near.test" => &[[192, 0, 3, 1], [127, 0, 0, 1]],
                "bound.test" => &[[192, 0, 3, 1], [169, 254, 169, 254]],
                _ => return Box::pin(async { Err(io::ErrorKind::NotFound.into()) }),
            };
            Box::pin(async { Ok(addresses.iter().map(|it| IpAddr::from(*it)).collect()) })
        });
        for (name, open, closed) in [
            ("app.test", true, true),
            ("near.test", true, false),
            ("bound.test", false, false),
            ("nobody.test", false, false),
        ] {
            for (allow_private, is_called) in [(true, open), (false, closed)] {
                let policy = TargetPolicy { allow_private };
                let resolver = CheckedResolver { policy, names: names.clone() };
                let found = resolver.resolve(name.parse().expect("a name")).await;
                assert_eq!(found.is_ok(), is_called, "{name} {allow_private}");
            }
        }
    }

    fn read(value: &str) -> Option<Duration> {
        let value = HeaderValue::from_str(value).expect("a header value");
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
    }
}
