//! The documents of the API, in XML, JSON and form encoding, and what they mean to `chat`.
//!
//! ```text
//!   XML  ──xml::read───┐                                        ┌── Element::render ──▶ XML
//!   JSON ──json::read──┼──▶ Element ──▶ document ──▶ Element ───┤
//!   form ──form::read──┘     (tree)      (struct)     (tree)    └── Element::render ──▶ JSON
//! ```
//! One neutral tree stands between the formats and the documents: a document is read and written
//! once, whatever the format.

mod channel;
mod element;
mod example;
mod field;
mod form;
mod group;
mod json;
mod message;
mod moment;
mod notice;
mod notification;
mod outline;
mod packed;
mod participant;
mod reference;
mod session;
mod subscription;
mod xml;

use thiserror::Error;

use crate::chat::NotificationFormat;

pub use channel::{
    ChannelData, LONG_POLLING, NotificationChannel, NotificationChannelLifetime,
    NotificationChannelList,
};
pub use element::{Element, Leaf, Namespace};
pub use example::Speaker;
pub use field::DocumentError;
pub use group::GroupChatSessionInformation;
pub use message::{ChatMessage, IsComposing, MessageBody, MessageDeliveryStatus};
pub use notice::{Recipient, document};
pub use notification::{Notification, NotificationList, Told};
pub use outline::{Kind, Occurs, Outline, Part, Place};
pub use participant::{
    Extension, NewParticipants, ParticipantInformation, ParticipantList, ParticipantStatusEntry,
};
pub use reference::{CallbackReference, Exception, Link, RequestError, ResourceReference};
pub use session::{ChatSessionInformation, ParticipantSessionStatus};
pub use subscription::{ChatNotificationSubscription, ChatSubscriptionList};

/// The longest document that is read, in bytes.
pub const MAX_DOCUMENT: usize = 1 << 20;

/// How deep elements may stand in each other.
pub const MAX_DEPTH: usize = 64;

/// How many elements, members and attributes a document may hold.
pub const MAX_NODES: usize = 10_000;

/// A format that documents are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// XML, the default (TS Chat C.1, `notificationFormat`).
    #[default]
    Xml,
    /// JSON.
    Json,
}

impl Format {
    /// Gives the media type of a body in this format.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Xml => "application/xml",
            Self::Json => "application/json",
        }
    }

    /// Gives the name as it stands in `notificationFormat` and `resFormat`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Xml => "XML",
            Self::Json => "JSON",
        }
    }
}

impl From<NotificationFormat> for Format {
    fn from(format: NotificationFormat) -> Self {
        match format {
            NotificationFormat::Xml => Self::Xml,
            NotificationFormat::Json => Self::Json,
        }
    }
}

impl From<Format> for NotificationFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Xml => Self::Xml,
            Format::Json => Self::Json,
        }
    }
}

/// A format that documents are read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// XML.
    Xml,
    /// JSON.
    Json,
    /// `application/x-www-form-urlencoded` (TS Chat Appendix C).
    Form,
}

/// Why bytes are not a document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// There is nothing.
    #[error("the body is empty")]
    Empty,
    /// More than [`MAX_DOCUMENT`] bytes.
    #[error("the body has more than {MAX_DOCUMENT} bytes")]
    TooLarge,
    /// More than [`MAX_NODES`] elements, members and attributes.
    #[error("the body has more than {MAX_NODES} elements")]
    TooMany,
    /// Elements or members nested deeper than [`MAX_DEPTH`].
    #[error("the body is nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// Not UTF-8, or declared to be something else.
    #[error("the body must be in UTF-8")]
    NotUtf8,
    /// A document type definition, which could define entities.
    #[error("the body must not hold a document type definition")]
    DocumentType,
    /// A reference to an entity that XML does not predefine.
    #[error("the entity {0} is not known")]
    UnknownEntity(String),
    /// A root in a namespace of somebody else.
    #[error("the namespace {0} is not one of this API")]
    ForeignNamespace(String),
    /// A character that XML 1.0 section 2.2 excludes, and that no format may carry in here.
    #[error("{part} holds a control character")]
    ControlCharacter {
        /// Where.
        part: String,
    },
    /// The same member or attribute twice.
    #[error("{part} is given more than once")]
    Repeated {
        /// Which one.
        part: String,
    },
    /// The grammar of the format is broken.
    #[error("the body is not well-formed: {0}")]
    Syntax(String),
}

/// Reads a body into the neutral tree.
///
/// XML gives a tree with the root's name. JSON and forms give one without: the documents look for
/// their root among the members, and do without where there is none.
///
/// # Errors
/// The bytes break the format or the limits; see [`ReadError`].
pub fn read(kind: BodyKind, bytes: &[u8]) -> Result<Element, ReadError> {
    if bytes.len() > MAX_DOCUMENT {
        return Err(ReadError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ReadError::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_ascii().is_empty() {
        return Err(ReadError::Empty);
    }
    match kind {
        BodyKind::Xml => xml::read(text),
        BodyKind::Json => json::read(text),
        BodyKind::Form => form::read(text),
    }
}

/// Tells the characters that XML 1.0 admits (section 2.2, `Char`).
///
/// The other readers hold to it too, so that whatever was read can be written in every format.
fn is_admitted(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Takes `text` as the content of `part`, or names the part.
fn admitted(part: &str, text: String) -> Result<String, ReadError> {
    // Nearly all texts are seen to be harmless without being taken apart into characters.
    let is_odd = text.bytes().fold(false, |odd, byte| odd | !(b' '..0xef).contains(&byte));
    if !is_odd || text.chars().all(is_admitted) {
        return Ok(text);
    }
    Err(ReadError::ControlCharacter { part: shortened(part) })
}

/// Makes a name of the body fit for an error text: it is cut, and what no document may carry is
/// replaced.
fn shortened(name: &str) -> String {
    let admitted = |c| if is_admitted(c) { c } else { char::REPLACEMENT_CHARACTER };
    name.chars().take(64).map(admitted).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_body_must_be_something_in_utf8_and_within_the_limit() {
        for kind in KINDS {
            assert_eq!(read(kind, b""), Err(ReadError::Empty));
            assert_eq!(read(kind, b" \r\n"), Err(ReadError::Empty));
            assert_eq!(read(kind, b"<m>\xff</m>"), Err(ReadError::NotUtf8));
            assert_eq!(read(kind, &vec![b' '; MAX_DOCUMENT + 1]), Err(ReadError::TooLarge));
        }
        assert_eq!(read(BodyKind::Xml, &utf16("<m/>")), Err(ReadError::NotUtf8));
        assert!(read(BodyKind::Xml, "\u{feff}<m/>".as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for kind in KINDS {
                let _ = read(kind, &bytes);
            }
        }

        #[test]
        fn no_markup_makes_a_reader_panic(text in "[<>/!?&;:{}\\[\\]\"'=%,#xa0\\- \n-]{0,60}") {
            for kind in KINDS {
                if let Ok(tree) = read(kind, text.as_bytes()) {
                    let _ = (MessageBody::read(&tree), tree.render(Format::Xml));
                    let _ = tree.render(Format::Json);
                }
            }
        }

        #[test]
        fn every_text_survives_both_formats(text in any::<String>()) {
            let document = Element::root(Namespace::Chat, "m").text("t", text.clone());
            let value = |kind, bytes: &[u8]| {
                let tree = read(kind, bytes).unwrap();
                let root = field::document(&tree, "m").unwrap();
                root.all("t").next().unwrap().value().unwrap().into_owned()
            };
            let carried: String = text
                .chars()
                .map(|c| if is_admitted(c) { c } else { char::REPLACEMENT_CHARACTER })
                .collect();
            prop_assert_eq!(value(BodyKind::Xml, &document.render(Format::Xml)), carried.clone());
            if carried == text {
                prop_assert_eq!(value(BodyKind::Json, &document.render(Format::Json)), text);
            }
        }
    }

    const KINDS: [BodyKind; 3] = [BodyKind::Xml, BodyKind::Json, BodyKind::Form];

    fn utf16(text: &str) -> Vec<u8> {
        [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    }
}
