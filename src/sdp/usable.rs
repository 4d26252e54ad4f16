//! The verdict on a received description: a chat can run on it, or why not.

use thiserror::Error;

use super::message::path_host;
use super::{MessageMedia, Protocol, Sdp};

/// The largest number of URIs in `a=path`: a chain of relays, not a flood.
pub const MAX_HOPS: usize = 8;

/// Why no chat can run on a description; the text stands in the `Warning` of a `488`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unusable {
    /// No `m=message` line.
    #[error("the session description has no m=message line")]
    NoMessageLine,
    /// An `m=message` line with a transport other than MSRP over TCP or TLS.
    #[error("the m=message line must use TCP/MSRP or TCP/TLS/MSRP")]
    WrongProtocol,
    /// Port 0 (RFC 3264 section 6: the media is refused or closed).
    #[error("the port of the m=message line is 0")]
    Refused,
    /// No `a=path` (RFC 4975 section 8.2).
    #[error("the m=message line has no a=path")]
    NoPath,
    /// More than [`MAX_HOPS`] URIs in `a=path`.
    #[error("a=path has more than {MAX_HOPS} URIs")]
    TooManyHops,
    /// A URI in `a=path` that is not `msrp:` or `msrps:` with a host and a port.
    #[error("a=path holds a URI that is not msrp://host:port/session")]
    BadPath,
    /// TLS in the `m=` line, plain TCP in `a=path`, or the other way round.
    #[error("the scheme of a=path contradicts the transport of the m=message line")]
    SchemeMismatch,
    /// No `a=accept-types` (RFC 4975 section 8.6).
    #[error("the m=message line has no a=accept-types")]
    NoAcceptTypes,
    /// Neither CPIM nor plain text is accepted.
    #[error("a=accept-types holds neither message/cpim nor text/plain")]
    NoCommonType,
}

impl Unusable {
    /// Gives the code of the `Warning` header field (RFC 3261 section 20.43).
    #[must_use]
    pub fn warning(&self) -> u16 {
        match self {
            Self::WrongProtocol | Self::SchemeMismatch => 302,
            Self::NoMessageLine | Self::Refused => 304,
            Self::NoCommonType => 305,
            Self::NoPath | Self::TooManyHops | Self::BadPath | Self::NoAcceptTypes => 399,
        }
    }
}

impl Sdp {
    /// Judges an offer or an answer, and gives its MSRP line where a chat can run on it.
    ///
    /// The direction is not judged: `inactive` and `sendonly` hold a chat, they do not end it.
    /// Neither is the place that `a=path` points to; whether it may be dialled is policy.
    ///
    /// # Errors
    /// Names the first fault, in the order of [`Unusable`].
    pub fn usable(&self) -> Result<MessageMedia, Unusable> {
        let Some(message) = self.message() else {
            let other = self.media.iter().any(super::Media::is_message);
            return Err(if other { Unusable::WrongProtocol } else { Unusable::NoMessageLine });
        };
        if message.port == 0 {
            return Err(Unusable::Refused);
        }
        judge_path(&message)?;
        if message.accept_types.is_empty() {
            return Err(Unusable::NoAcceptTypes);
        }
        if !message.accepts("message/cpim") && !message.accepts("text/plain") {
            return Err(Unusable::NoCommonType);
        }
        Ok(message)
    }
}

/// Checks the shape of the path only; its grammar is the business of the MSRP URI parser.
fn judge_path(message: &MessageMedia) -> Result<(), Unusable> {
    if message.path.is_empty() {
        return Err(Unusable::NoPath);
    }
    if message.path.split(' ').count() > MAX_HOPS {
        return Err(Unusable::TooManyHops);
    }
    for uri in message.path.split(' ') {
        let (scheme, rest) = uri.split_once("://").ok_or(Unusable::BadPath)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "msrp" => Protocol::Tcp,
            "msrps" => Protocol::Tls,
            _ => return Err(Unusable::BadPath),
        };
        if path_host(uri).is_none() || !names_port(rest) {
            return Err(Unusable::BadPath);
        }
        if secure != message.proto {
            return Err(Unusable::SchemeMismatch);
        }
    }
    Ok(())
}

/// A URI in an offer or answer must name its port (RFC 4975 section 8.2).
fn names_port(rest: &str) -> bool {
    let authority = rest.split(['/', ';']).next().unwrap_or_default();
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}
