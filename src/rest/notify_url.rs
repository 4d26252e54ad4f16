//! Callback URLs: what one must be, and who says which ones may be called.

use actix_web::http::Uri;
use thiserror::Error;

/// The URL of an application to which notifications are posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyUrl {
    /// Whether it is an `https` URL.
    pub secure: bool,
    /// The host: a name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: String,
    /// The port, also where the URL leaves it to the scheme.
    pub port: u16,
}

/// Why a text is not a [`NotifyUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotifyUrlError {
    /// Not absolute, or of another scheme.
    #[error("an absolute http or https URL")]
    NotHttp,
    /// A user name or a password stands in front of the host.
    #[error("a URL without user name and password")]
    UserInfo,
    /// A fragment, which never reaches a server.
    #[error("a URL without a fragment")]
    Fragment,
}

impl NotifyUrl {
    /// Reads an absolute `http` or `https` URL without credentials.
    ///
    /// # Errors
    /// Says what would be right.
    pub fn parse(text: &str) -> Result<Self, NotifyUrlError> {
        if text.contains('#') {
            return Err(NotifyUrlError::Fragment);
        }
        let uri: Uri = text.parse().map_err(|_| NotifyUrlError::NotHttp)?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) | None => return Err(NotifyUrlError::NotHttp),
        };
        let authority = uri.authority().ok_or(NotifyUrlError::NotHttp)?;
        if authority.as_str().contains('@') {
            return Err(NotifyUrlError::UserInfo);
        }
        let default = if secure { 443 } else { 80 };
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("" | ":") => Some(default),
            Some(rest) => rest.strip_prefix(':').and_then(|port| port.parse().ok()),
            None => None,
        };
        let port = port.filter(|port| *port > 0).ok_or(NotifyUrlError::NotHttp)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(NotifyUrlError::NotHttp);
        }
        Ok(Self { secure, host: host.to_ascii_lowercase(), port })
    }
}

/// Who says whether a callback URL may be named: an allow-list, or none for private addresses.
///
/// A name may resolve to another address later; what is dialled is judged again when it is.
pub trait CallbackPolicy: Send + Sync {
    /// Permits the URL or says why not.
    ///
    /// # Errors
    /// The URL must not be called.
    fn permits(&self, url: &NotifyUrl) -> Result<(), CallbackDenied>;
}

/// A callback URL that must not be called; the text says which ones may.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct CallbackDenied(pub String);

/// Permits every callback URL.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyCallback;

impl CallbackPolicy for AnyCallback {
    fn permits(&self, _: &NotifyUrl) -> Result<(), CallbackDenied> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        let parts =
            |text: &str| NotifyUrl::parse(text).map(|u| (u.secure, u.host, u.port)).unwrap();
        assert_eq!(parts("http://App.example.com/n?x=1"), (false, "app.example.com".into(), 80));
        assert_eq!(parts("https://app.example.com:8443/"), (true, "app.example.com".into(), 8443));
        assert_eq!(parts("HTTPS://[2001:DB8::1]"), (true, "2001:db8::1".into(), 443));
    }

    #[test]
    fn what_cannot_be_called_is_refused_by_name() {
        let cases = [
            ("", NotifyUrlError::NotHttp),
            ("/notifications", NotifyUrlError::NotHttp),
            ("example.com/x", NotifyUrlError::NotHttp),
            ("ftp://example.com/x", NotifyUrlError::NotHttp),
            ("file:///etc/passwd", NotifyUrlError::NotHttp),
            ("http:///x", NotifyUrlError::NotHttp),
            ("http://:80/x", NotifyUrlError::NotHttp),
            ("http://example.com:0/", NotifyUrlError::NotHttp),
            ("http://example.com:99999/", NotifyUrlError::NotHttp),
            ("http://exa mple.com/", NotifyUrlError::NotHttp),
            ("http://example.com/\r\nHost: x", NotifyUrlError::NotHttp),
            ("http://user:pw@example.com/", NotifyUrlError::UserInfo),
            ("http://127.0.0.1@example.com/", NotifyUrlError::UserInfo),
            ("http://example.com/#part", NotifyUrlError::Fragment),
        ];
        for (text, error) in cases {
            assert_eq!(NotifyUrl::parse(text), Err(error), "{text:?}");
        }
    }
}
