//! Session descriptions (RFC 8866) with an `m=message` line (RFC 4975 section 8).
//!
//! [`Sdp`] is any description, read with limits; [`MessageMedia`] is what its MSRP line says;
//! [`Sdp::usable`] judges whether a chat can run on it and names the fault for a `488`.

mod message;
mod parse;
mod usable;
mod write;

pub use message::{Direction, MessageMedia, Protocol, Setup, answer_setup, offerer_setup};
pub use parse::{MAX_BYTES, MAX_LINES, SdpError};
pub use usable::{MAX_HOPS, Unusable};
pub use write::{Local, write, write_answer};

/// The media type of a session description.
pub const CONTENT_TYPE: &str = "application/sdp";

/// A session description, in the order and spelling in which it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sdp {
    /// The `o=` line; absent in sloppy descriptions.
    pub origin: Option<Origin>,
    /// The `s=` line.
    pub session_name: String,
    /// The `c=` line of the session.
    pub connection: Option<Connection>,
    /// The `a=` lines of the session.
    pub attributes: Vec<Attribute>,
    /// The media descriptions, in order (RFC 3264 needs it).
    pub media: Vec<Media>,
}

/// Who described the session, and in which version (RFC 8866 section 5.2).
///
/// The numbers are kept as written: peers exceed 64 bits, and an unchanged line is what says that
/// a new offer changes nothing (RFC 4975 section 8.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The user name, `-` for none.
    pub username: String,
    /// The session id.
    pub session_id: String,
    /// The version of the description.
    pub version: String,
    /// The address of the describing machine.
    pub address: String,
}

/// Where media is received (RFC 8866 section 5.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// `IP4` or `IP6`.
    pub address_type: String,
    /// An IP literal without brackets, or a domain name; TTL and count are cut off.
    pub address: String,
}

/// One media description: an `m=` line and the lines below it (RFC 8866 section 5.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// The media, `message` for MSRP.
    pub kind: String,
    /// The port; `0` refuses or closes the media.
    pub port: u16,
    /// The transport, `TCP/MSRP` or `TCP/TLS/MSRP` for MSRP.
    pub protocol: String,
    /// The formats, `*` for MSRP.
    pub formats: Vec<String>,
    /// The `c=` line of this media.
    pub connection: Option<Connection>,
    /// The `a=` lines of this media.
    pub attributes: Vec<Attribute>,
}

/// An `a=` line (RFC 8866 section 5.13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The name before the colon.
    pub name: String,
    /// What stands after the colon; a property attribute has none.
    pub value: Option<String>,
}

impl Sdp {
    /// Finds what the first live MSRP line says, or the first one at all where none is live.
    ///
    /// `None` where no `m=message` line speaks MSRP. The result is a description, not a verdict:
    /// see [`Sdp::usable`].
    #[must_use]
    pub fn message(&self) -> Option<MessageMedia> {
        let (line, protocol) = self.message_line()?;
        Some(MessageMedia::read(self, line, protocol))
    }

    /// Tells whether `newer` changes nothing (RFC 3264 section 8: same version in the `o=` line).
    #[must_use]
    pub fn is_repeated_by(&self, newer: &Self) -> bool {
        self.origin.is_some() && self.origin == newer.origin
    }

    fn message_line(&self) -> Option<(&Media, Protocol)> {
        let mut lines = self.media.iter().filter_map(|media| Some((media, media.msrp()?)));
        let first = lines.next()?;
        if first.0.port != 0 {
            return Some(first);
        }
        Some(lines.find(|(media, _)| media.port != 0).unwrap_or(first))
    }
}

impl Media {
    /// Gives the value of the first attribute of that name, empty for a property attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        find(&self.attributes, name)
    }

    fn is_message(&self) -> bool {
        self.kind.eq_ignore_ascii_case("message")
    }

    fn msrp(&self) -> Option<Protocol> {
        self.is_message().then(|| Protocol::parse(&self.protocol)).flatten()
    }
}

fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|attribute| attribute.name.eq_ignore_ascii_case(name))
        .map(|attribute| attribute.value.as_deref().unwrap_or_default())
}
