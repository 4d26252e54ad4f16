//! Where callbacks may go: no address of the network's own, whatever name it hides behind.
//!
//! The check runs twice: on the URL when a subscription is made, and on every address that its
//! name resolves to when a notification is sent, so that a name cannot change its mind in between.

use std::net::IpAddr;

use reqwest::Url;
use thiserror::Error;

use crate::reach::{Reach, reach};

/// The longest URL that is taken, in bytes.
const MAX_URL: usize = 2048;

/// Why a URL is not one that is called back.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Not an absolute URL.
    #[error("the URL must be absolute, as in https://host/path")]
    NotAbsolute,
    /// Longer than 2048 bytes.
    #[error("the URL has at most {MAX_URL} bytes")]
    TooLong,
    /// A scheme other than `http` and `https`.
    #[error("the URL must begin with http:// or https://")]
    UnknownScheme,
    /// A user name or a password.
    #[error("the URL must not carry a user name or a password")]
    Credentials,
    /// A host whose address is never called.
    #[error("the host {host} is {kind}, which is not called back")]
    Forbidden {
        /// The host as an address.
        host: IpAddr,
        /// What it is.
        kind: &'static str,
    },
    /// A name that always means the machine itself (RFC 6761 section 6.3).
    #[error("the host is this machine itself, which is not called back")]
    Localhost,
}

/// Which addresses may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetPolicy {
    /// Whether private, loopback and other addresses without global reach are allowed.
    pub allow_private: bool,
}

impl TargetPolicy {
    /// Takes the URL of an application, as far as it can be judged without resolving its name.
    ///
    /// # Errors
    /// Names what is wrong with it; see [`TargetError`].
    pub fn parse(self, url: &str) -> Result<Url, TargetError> {
        if url.len() > MAX_URL {
            return Err(TargetError::TooLong);
        }
        let url = Url::parse(url).map_err(|_| TargetError::NotAbsolute)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TargetError::UnknownScheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::Credentials);
        }
        let host = url.host_str().ok_or(TargetError::NotAbsolute)?;
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
        if let Ok(address) = literal {
            self.judge(address)?;
        } else if !self.allow_private && is_localhost(host) {
            return Err(TargetError::Localhost);
        }
        Ok(url)
    }

    /// Judges an address, as it stands in the URL or as its name resolves to.
    ///
    /// # Errors
    /// The address is of a kind that is not called.
    pub fn judge(self, address: IpAddr) -> Result<(), TargetError> {
        let forbidden = |kind| Err(TargetError::Forbidden { host: address, kind });
        match reach(address) {
            Reach::Never(kind) => forbidden(kind),
            Reach::Private(kind) if !self.allow_private => forbidden(kind),
            Reach::Private(_) | Reach::Global => Ok(()),
        }
    }
}

fn is_localhost(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCTION: TargetPolicy = TargetPolicy { allow_private: false };
    const LAB: TargetPolicy = TargetPolicy { allow_private: true };

    #[test]
    fn a_public_url_passes_everywhere() {
        for url in ["https://app.example.com/cb?x=1", "http://192.0.3.1:8080/", "http://[2606::1]"]
        {
            assert!(PRODUCTION.parse(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn h05_what_is_no_callback_url_is_refused_by_name() {
        let cases = [
            ("", TargetError::NotAbsolute),
            ("/cb", TargetError::NotAbsolute),
            ("http://", TargetError::NotAbsolute),
            ("file:///etc/passwd", TargetError::UnknownScheme),
            ("gopher://host/", TargetError::UnknownScheme),
            ("http://user:pw@host/", TargetError::Credentials),
            ("http://user@host/", TargetError::Credentials),
        ];
        for (url, error) in cases {
            assert_eq!(LAB.parse(url), Err(error), "{url:?}");
        }
        let long = format!("http://host/{}", "a".repeat(MAX_URL));
        assert_eq!(LAB.parse(&long), Err(TargetError::TooLong));
    }

    #[test]
    fn h05_private_targets_are_for_the_lab() {
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "①②⑦.0.0.1",
            "[0:0:0:0:0:ffff:127.0.0.1]",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:7f00:1]",
            "[fd12::1]",
            "[64:ff9b::10.0.0.1]",
            "[2002:0a00:0001::]",
            "[2001:db8::1]",
            "localhost",
            "x.localhost.",
        ] {
            let url = format!("http://{host}/");
            assert!(PRODUCTION.parse(&url).is_err(), "{url}");
            assert!(LAB.parse(&url).is_ok(), "{url}");
        }
    }

    #[test]
    fn h05_some_targets_are_for_nobody() {
        for host in [
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "0xa9fea9fe",
            "2852039166",
            "0251.0376.0251.0376",
            "0xa9.0xfe.0xa9.0xfe",
            "169.254.43518",
            "100.100.100.200",
            "168.63.129.16",
            "[::]",
            "[fe80::1]",
            "[ff02::1]",
            "[::ffff:169.254.169.254]",
            "[::ffff:0:a9fe:a9fe]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:a9fe:a9fe::]",
            "[fd00:ec2::254]",
            "[fd20:ce::254]",
        ] {
            let url = format!("http://{host}/");
            assert!(LAB.parse(&url).is_err(), "{url}");
        }
    }
}
