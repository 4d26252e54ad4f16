//! The values that only configuration knows: vocabularies, hosts, paths.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::reader::Choice;
use crate::bridge::delivery::SuccessOn;
use crate::bridge::{Bearer, Contradiction};
use crate::im_server::OriginatorLeaves;
use crate::msrp::{MAX_RELAYS, Matching, Path, Uri};

/// What a `201` carries (TS Chat 6.1.5.1, 6.1.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateAnswer {
    /// A copy of the resource.
    Copy,
    /// A `resourceReference` to it.
    Reference,
}

/// The family of IM cores that an INVITE is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Nothing but RFC 3261 and RFC 4975.
    Plain,
    /// OMA SIMPLE IM 1.0 and 2.0.
    SimpleIm,
    /// GSMA RCS-e 1.2.
    RcsE,
    /// OMA CPM, GSMA RCS 5.1 and later.
    Cpm,
    /// OMA CPM as China Mobile, Google and Samsung speak it.
    CpmCmcc,
}

impl Profile {
    /// Gives the name of the profile.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.word()
    }
}

/// Who carries the sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoreMode {
    /// The IM server inside this process.
    Embedded,
    /// A SIP peer: an IM server, a proxy, another bridge (a trunk).
    Peer,
    /// An IMS core, or a registrar with its proxy, at which the users are registered.
    Ue,
    /// An IMS core that trusts the bridge as an application server (ISC, 3GPP TS 24.229 section
    /// 5.7).
    As,
}

/// How SIP travels to the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoreTransport {
    /// UDP, and TCP for what is too large for it (RFC 3261 section 18.1.1).
    Udp,
    /// TCP.
    Tcp,
    /// TLS.
    Tls,
    /// What the records of the core's name prefer (RFC 3263 section 4.1).
    Dns,
}

/// How a user's number is written in a Request-URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetUri {
    /// `sip:+44…@domain;user=phone`.
    SipPhone,
    /// `tel:+44…`.
    Tel,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// Lines of JSON.
    Json,
}

impl Choice for CreateAnswer {
    const WORDS: &'static [(&'static str, Self)] =
        &[("copy", Self::Copy), ("reference", Self::Reference)];
}

impl Choice for Profile {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("plain", Self::Plain),
        ("simple-im", Self::SimpleIm),
        ("rcs-e", Self::RcsE),
        ("cpm", Self::Cpm),
        ("cpm-cmcc", Self::CpmCmcc),
    ];
}

impl Choice for CoreMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("embedded", Self::Embedded), ("peer", Self::Peer), ("ue", Self::Ue), ("as", Self::As)];
}

impl Choice for CoreTransport {
    const WORDS: &'static [(&'static str, Self)] =
        &[("udp", Self::Udp), ("tcp", Self::Tcp), ("tls", Self::Tls), ("dns", Self::Dns)];
}

impl Choice for TargetUri {
    const WORDS: &'static [(&'static str, Self)] =
        &[("sip-phone", Self::SipPhone), ("tel", Self::Tel)];
}

impl Choice for SuccessOn {
    const WORDS: &'static [(&'static str, Self)] = &[("report", Self::Report), ("hop", Self::Hop)];
}

impl Choice for Bearer {
    const WORDS: &'static [(&'static str, Self)] =
        &[("tcp", Self::Tcp), ("tls", Self::Tls), ("ws", Self::Ws), ("wss", Self::Wss)];
}

impl Choice for Matching {
    const WORDS: &'static [(&'static str, Self)] =
        &[("session-id", Self::SessionId), ("strict", Self::Strict)];
}

impl Choice for Contradiction {
    const WORDS: &'static [(&'static str, Self)] =
        &[("path", Self::Path), ("cline", Self::Lines), ("reject", Self::Refuse)];
}

impl Choice for OriginatorLeaves {
    const WORDS: &'static [(&'static str, Self)] = &[("go-on", Self::GoOn), ("end", Self::End)];
}

impl Choice for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

/// A text that no log and no debug print shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err("holds a control character".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// Keeps a text to itself.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Gives the text to those who must know it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A host, perhaps with a port: where the core is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an IP literal, IPv6 without its brackets.
    pub host: String,
    /// The port; without one, DNS tells it (RFC 3263 section 4.2).
    pub port: Option<u16>,
}

impl HostPort {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no host and no host:port, such as core.example.com or 192.0.2.1:5060"
            )
        };
        let (written, port) = match text.rsplit_once(':') {
            Some((written, port)) if !text.ends_with(']') => {
                let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
                (written, Some(port))
            }
            Some(_) | None => (text, None),
        };
        // `2001:db8::1` could end in a port or not: RFC 3986 wants brackets.
        if written.contains(':') && !written.starts_with('[') {
            return Err(wrong());
        }
        Ok(Self { host: host(written).map_err(|_| wrong())?, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<Ipv6Addr>() {
            Ok(ip) => write!(f, "[{ip}]")?,
            Err(_) => f.write_str(&self.host)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Takes an IP address with a port.
pub(super) fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no IP address with a port, such as 127.0.0.1:8080"))
}

/// Takes the name of a file.
pub(super) fn file(text: &str) -> Result<PathBuf, String> {
    if text.chars().any(char::is_control) {
        return Err(format!("{text:?} is no name of a file"));
    }
    Ok(PathBuf::from(text))
}

/// Takes a host name or an IP literal, whose IPv6 may stand in brackets.
pub(super) fn host(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(ip) = bare {
        return match ip.parse::<Ipv6Addr>() {
            Ok(_) => Ok(ip.to_owned()),
            Err(_) => Err(format!("{text:?} is no IPv6 address in brackets")),
        };
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if text.parse::<IpAddr>().is_ok() || text.split('.').all(label) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no host name and no IP address"))
}

/// Takes the URL that applications reach the server at.
pub(super) fn server_root(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is no URL such as https://chat.example.com/exampleAPI");
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let rest = rest.ok_or_else(wrong)?;
    let authority = rest.split('/').next().unwrap_or_default();
    let plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"<>\\".contains(&byte));
    if authority.is_empty() || authority.contains('@') || !plain {
        return Err(wrong());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Takes the path before `/1/chat`.
pub(super) fn base_path(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte));
    if !(text.is_empty() || text.starts_with('/')) || !plain || text.contains("//") {
        return Err(format!("{text:?} is no path such as /exampleAPI"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Takes one line of visible ASCII for a header field.
pub(super) fn header_text(text: &str) -> Result<String, String> {
    let visible = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if text.trim().is_empty() || !visible {
        return Err(format!("{text:?} does not fit into a header"));
    }
    Ok(text.trim().to_owned())
}

/// Reads the relays of MSRP, the nearest first.
pub(super) fn relays(text: &str) -> Result<Path, String> {
    let path = Path::parse(text).map_err(|why| format!("{text:?} names no relay: {why}"))?;
    if path.hops() > MAX_RELAYS {
        return Err(format!("names more than {MAX_RELAYS} relays"));
    }
    let is_tcp =
        |uri: &Uri| uri.transport().is_none_or(|transport| transport.eq_ignore_ascii_case("tcp"));
    let other = path.iter().find(|uri| !is_tcp(uri)).cloned();
    match other {
        Some(other) => Err(format!("{other} is no relay: they are reached by TCP")),
        None => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_ports() {
        let parsed = |text| HostPort::parse(text).map(|hop| hop.to_string()).ok();
        for good in [
            "core.example.com:5060",
            "192.0.2.1:5080",
            "[2001:db8::1]:5060",
            "core.example.com",
            "192.0.2.1",
            "[2001:db8::1]",
        ] {
            assert_eq!(parsed(good).as_deref(), Some(good));
        }
        for bad in [
            "",
            "core:",
            "2001:db8::1",
            ":5060",
            "core:0",
            "core:65536",
            "a b:1",
            "2001:db8::1:5060",
            "[core]:1",
            "core/x:1",
            "a..b:1",
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    #[test]
    fn roots_and_paths_lose_their_last_slash() {
        assert_eq!(server_root("https://a.example/x/").as_deref(), Ok("https://a.example/x"));
        assert_eq!(base_path("/exampleAPI/").as_deref(), Ok("/exampleAPI"));
        assert_eq!(base_path("").as_deref(), Ok(""));
        for bad in ["a.example", "ftp://a", "https://", "http://u@h", "http://a/?q", "http://a b"] {
            assert!(server_root(bad).is_err(), "{bad}");
        }
        for bad in ["x", "/a//b", "/a b", "/%41", "/{x}"] {
            assert!(base_path(bad).is_err(), "{bad}");
        }
    }
}
