//! `chatMessage`, `isComposing` and `messageDeliveryStatus` (TS Chat 5.2.2.10, 5.2.2.17, 5.2.2.11).

use std::num::NonZeroU32;

use super::element::{Element, Leaf, Namespace};
use super::field::{self, Choices, DocumentError};
use super::moment;
use super::outline::{self, Kind, Outline, Part};
use crate::address::Address;
use crate::chat::{Composing, ComposingState, MessageStatus, ReceivedStatus, ReportRequest};

/// What a client posts to the messages of a session: a message, or that one is being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageBody {
    /// A message.
    Chat(ChatMessage),
    /// News of the keyboard.
    Composing(IsComposing),
}

impl MessageBody {
    /// Reads the document that the root names; without a root, a `state` tells `isComposing`.
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let is_composing = match tree.name() {
            "" => {
                tree.children().iter().any(|child| matches!(child.name(), IS_COMPOSING | "state"))
            }
            name => name == IS_COMPOSING,
        };
        if is_composing {
            return IsComposing::read(tree).map(Self::Composing);
        }
        ChatMessage::read(tree).map(Self::Chat)
    }
}

/// A message: the root `chatMessage` (TS Chat 5.2.2.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatMessage {
    /// The text.
    pub text: String,
    /// Which reports the sender asks for.
    pub report_request: ReportRequest,
    /// The URL of the message; never taken from a request.
    pub resource_url: Option<String>,
}

impl ChatMessage {
    /// What stands in the document; the form of TS Chat C.7 has the same.
    pub const OUTLINE: Outline = Outline {
        name: "ChatMessage",
        root: Some((Namespace::Chat, "chatMessage")),
        parts: &[
            Part::new("text", Kind::Text(None)),
            Part::new("reportRequest", Kind::OneOf(STATUSES.names)).list(0),
            outline::RESOURCE_URL,
        ],
    };

    /// Reads the document as a client sends it (also TS Chat C.7).
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = field::document(tree, "chatMessage")?;
        let text = field::text(field::required(root, "text")?, "text", usize::MAX)?;
        let mut report_request = ReportRequest::default();
        for field in root.all("reportRequest") {
            match field::choice(field, "reportRequest", &STATUSES)? {
                MessageStatus::Delivered => report_request.delivered = true,
                MessageStatus::Displayed => report_request.displayed = true,
                MessageStatus::Failed => report_request.failed = true,
            }
        }
        Ok(Self { text, report_request, resource_url: None })
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        self.clone().into_document()
    }

    /// Writes the document without a copy of the text.
    pub(super) fn into_document(self) -> Element {
        let wanted = self.report_request;
        let requests = [
            (wanted.delivered, MessageStatus::Delivered),
            (wanted.displayed, MessageStatus::Displayed),
            (wanted.failed, MessageStatus::Failed),
        ];
        let request = |status: MessageStatus| {
            Element::leaf("reportRequest", Leaf::Text(status.as_str().to_owned()))
        };
        Element::root(Namespace::Chat, "chatMessage")
            .text("text", self.text)
            .items(requests.into_iter().filter(|(is, _)| *is).map(|(_, status)| request(status)))
            .maybe_text("resourceURL", self.resource_url.as_deref())
    }
}

/// That somebody is, or is no longer, typing: the root `isComposing` (TS Chat 5.2.2.17).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsComposing(pub Composing);

impl IsComposing {
    /// What stands in the document.
    pub const OUTLINE: Outline = Outline {
        name: "IsComposing",
        root: Some((Namespace::Chat, IS_COMPOSING)),
        parts: &[
            Part::new("state", Kind::OneOf(STATES.names)),
            Part::new("lastactive", Kind::Moment).maybe(),
            Part::new("contenttype", Kind::MediaType).maybe(),
            Part::new("refresh", Kind::Number(1)).maybe(),
        ],
    };

    /// Reads the document; the names of RFC 3994 are taken in camel case too.
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = field::document(tree, IS_COMPOSING)?;
        let state = field::choice(field::required(root, "state")?, "state", &STATES)?;
        let last_active = either(root, "lastactive", "lastActive")?.map(read_time).transpose()?;
        let content_type =
            either(root, "contenttype", "contentType")?.map(read_type).transpose()?;
        let refresh = field::number(root, "refresh")?.map(read_refresh).transpose()?;
        Ok(Self(Composing { state, last_active, content_type, refresh }))
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        let composing = &self.0;
        Element::root(Namespace::Chat, IS_COMPOSING)
            .text("state", composing.state.as_str())
            .maybe_text("lastactive", composing.last_active.and_then(moment::write).as_deref())
            .maybe_text("contenttype", composing.content_type.as_deref())
            .maybe_number("refresh", composing.refresh.map(NonZeroU32::get))
    }
}

/// That a message reached its reader: the root `messageDeliveryStatus` (TS Chat 5.2.2.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageDeliveryStatus {
    /// What happened to the message.
    pub status: ReceivedStatus,
    /// Who received it.
    pub user_id: Address,
}

impl MessageDeliveryStatus {
    /// What stands in the document; the form of TS Chat C.8 has the same.
    ///
    /// The enumeration is narrower than its type: `Failed` is not for clients to say
    /// (TS Chat 5.2.3.3), and the server repeats only what a client has said.
    pub const OUTLINE: Outline = Outline {
        name: "MessageDeliveryStatus",
        root: Some((Namespace::Chat, "messageDeliveryStatus")),
        parts: &[Part::new("status", Kind::OneOf(RECEIVED.names)), outline::address("userId")],
    };

    /// Reads the document as a client sends it (also TS Chat C.8).
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = field::document(tree, "messageDeliveryStatus")?;
        let status = field::choice(field::required(root, "status")?, "status", &RECEIVED)?;
        Ok(Self { status, user_id: field::address(root, "userId")? })
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        Element::root(Namespace::Chat, "messageDeliveryStatus")
            .text("status", self.status.as_str())
            .text("userId", self.user_id.spelling())
    }
}

/// Gives a part under the first or the second of its names.
fn either<'a>(
    root: &'a Element,
    name: &'static str,
    other: &'static str,
) -> Result<Option<&'a Element>, DocumentError> {
    match (field::optional(root, name)?, field::optional(root, other)?) {
        (Some(_), Some(_)) => Err(DocumentError::Repeated { part: name }),
        (found, None) | (None, found) => Ok(found),
    }
}

fn read_time(field: &Element) -> Result<time::OffsetDateTime, DocumentError> {
    let right = "it must be a date and time of RFC 3339, or milliseconds since 1970";
    let value = field.value().unwrap_or_default();
    moment::read(&value).ok_or_else(|| field::invalid("lastactive", right))
}

/// Reads a media type, or its first half alone (RFC 3994 section 3.3).
fn read_type(field: &Element) -> Result<String, DocumentError> {
    let value = field::line(field, "contenttype", field::MAX_NAME)?;
    let (first, second) = value.split_once('/').unwrap_or((&value, "x"));
    let second = second.split(';').next().unwrap_or_default();
    let is_token = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    if !is_token(first) || !is_token(second.trim_ascii_end()) || !value.is_ascii() {
        return Err(field::invalid("contenttype", "it must be a media type"));
    }
    Ok(value)
}

fn read_refresh(seconds: u32) -> Result<NonZeroU32, DocumentError> {
    NonZeroU32::new(seconds).ok_or_else(|| field::invalid("refresh", "it must be at least 1"))
}

const IS_COMPOSING: &str = "isComposing";

const STATES: Choices<ComposingState> =
    Choices { names: &["idle", "active"], values: &[ComposingState::Idle, ComposingState::Active] };

/// The values of TS Chat 5.2.3.3.
pub(super) const STATUSES: Choices<MessageStatus> = Choices {
    names: &["Delivered", "Displayed", "Failed"],
    values: &[MessageStatus::Delivered, MessageStatus::Displayed, MessageStatus::Failed],
};

/// `Failed` is not for clients to say (TS Chat 5.2.3.3).
const RECEIVED: Choices<ReceivedStatus> = Choices {
    names: &["Delivered", "Displayed"],
    values: &[ReceivedStatus::Delivered, ReceivedStatus::Displayed],
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::oma::{BodyKind, Format, read};

    fn body(kind: BodyKind, text: &str) -> Result<MessageBody, DocumentError> {
        MessageBody::read(&read(kind, text.as_bytes()).unwrap())
    }

    fn report(kind: BodyKind, text: &str) -> Result<MessageDeliveryStatus, DocumentError> {
        MessageDeliveryStatus::read(&read(kind, text.as_bytes()).unwrap())
    }

    fn rendered(element: &Element, format: Format) -> String {
        String::from_utf8(element.render(format)).unwrap()
    }

    fn composing(text: &str) -> Result<Composing, DocumentError> {
        match body(BodyKind::Json, text)? {
            MessageBody::Composing(IsComposing(composing)) => Ok(composing),
            MessageBody::Chat(message) => panic!("{message:?}"),
        }
    }

    #[test]
    fn the_same_message_in_three_formats() {
        let message = ChatMessage {
            text: "How are you?".into(),
            report_request: ReportRequest { displayed: true, ..ReportRequest::default() },
            resource_url: None,
        };
        let wanted = Ok(MessageBody::Chat(message.clone()));
        let form = "text=How%20are%20you%3F&reportRequest=Displayed";
        assert_eq!(body(BodyKind::Form, form), wanted);
        for json in [
            r#"{"chatMessage":{"text":"How are you?","reportRequest":["Displayed"]}}"#,
            r#"{"chatMessage":{"text":"How are you?","reportRequest":"Displayed"}}"#,
            r#"{"text":"How are you?","reportRequest":["Displayed"],"resourceURL":"x"}"#,
        ] {
            assert_eq!(body(BodyKind::Json, json), wanted, "{json}");
        }
        let xml = "<c:chatMessage xmlns:c='urn:oma:xml:rest:netapi:chat:1'>\
            <text>How are you?</text><reportRequest>Displayed</reportRequest></c:chatMessage>";
        assert_eq!(body(BodyKind::Xml, xml), wanted);

        let url = "http://example.com/exampleAPI/1/chat/tel%3A%2B19585550151/sessions/sess001/messages/msg001";
        let shown = ChatMessage { resource_url: Some(url.into()), ..message }.write();
        assert_eq!(
            rendered(&shown, Format::Xml),
            concat!(
                r#"<?xml version="1.0" encoding="UTF-8"?>"#,
                r#"<chat:chatMessage xmlns:chat="urn:oma:xml:rest:netapi:chat:1">"#,
                "<text>How are you?</text><reportRequest>Displayed</reportRequest><resourceURL>",
                "http://example.com/exampleAPI/1/chat/tel%3A%2B19585550151",
                "/sessions/sess001/messages/msg001</resourceURL></chat:chatMessage>"
            )
        );
        assert_eq!(
            rendered(&shown, Format::Json),
            concat!(
                r#"{"chatMessage":{"text":"How are you?","reportRequest":["Displayed"],"#,
                r#""resourceURL":"http://example.com/exampleAPI/1/chat/tel%3A%2B19585550151"#,
                r#"/sessions/sess001/messages/msg001"}}"#
            )
        );
    }

    #[test]
    fn a_text_keeps_its_lines_and_spaces() {
        let Ok(MessageBody::Chat(message)) =
            body(BodyKind::Json, r#"{"chatMessage":{"text":" a\r\n\tb \u202e"}}"#)
        else {
            panic!("a message")
        };
        assert_eq!(message.text, " a\r\n\tb \u{202e}");
        let xml = message.write().render(Format::Xml);
        let again = MessageBody::read(&read(BodyKind::Xml, &xml).unwrap());
        assert_eq!(again, Ok(MessageBody::Chat(message)));
    }

    #[test]
    fn a_faulty_message_is_named() {
        assert_eq!(
            body(BodyKind::Json, r#"{"chatMessage":{}}"#),
            Err(DocumentError::Missing { part: "text" })
        );
        let text = r#"{"chatMessage":{"text":{"a":"b"}}}"#;
        assert_eq!(body(BodyKind::Json, text).unwrap_err().part(), "text");
        assert_eq!(
            body(BodyKind::Form, "text=x&reportRequest=Read"),
            Err(DocumentError::NotAllowed {
                part: "reportRequest",
                allowed: &["Delivered", "Displayed", "Failed"]
            })
        );
    }

    #[test]
    fn composing_is_read_leniently_and_written_in_one_way() {
        let wanted = concat!(
            r#"{"isComposing":{"state":"active","lastactive":"2011-07-28T17:51:59Z","#,
            r#""contenttype":"text/plain","refresh":60}}"#
        );
        for text in [
            wanted,
            r#"{"isComposing":{"state":"active","lastActive":1311875519999,
                "contentType":"text/plain","refresh":"60"}}"#,
            r#"{"state":"active","lastactive":"2011-07-28T19:51:59.5+02:00",
                "contenttype":"text/plain","refresh":60,"else":{"x":1}}"#,
        ] {
            let written = IsComposing(composing(text).unwrap()).write();
            assert_eq!(rendered(&written, Format::Json), wanted, "{text}");
        }
        let idle = "<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'>\
            <state>idle</state></isComposing>";
        let idle = body(BodyKind::Xml, idle);
        assert_eq!(idle, Ok(MessageBody::Composing(IsComposing(Composing::idle()))));
        assert_eq!(
            rendered(&IsComposing(Composing::idle()).write(), Format::Xml),
            concat!(
                r#"<?xml version="1.0" encoding="UTF-8"?>"#,
                r#"<chat:isComposing xmlns:chat="urn:oma:xml:rest:netapi:chat:1">"#,
                "<state>idle</state></chat:isComposing>"
            )
        );
    }

    #[test]
    fn faulty_composing_is_named() {
        let cases = [
            (r#"{"isComposing":{}}"#, "state"),
            (r#"{"isComposing":{"state":"gone"}}"#, "state"),
            (r#"{"isComposing":{"state":"idle","refresh":0}}"#, "refresh"),
            (r#"{"isComposing":{"state":"idle","refresh":1.5}}"#, "refresh"),
            (r#"{"isComposing":{"state":"idle","lastactive":"now"}}"#, "lastactive"),
            (r#"{"isComposing":{"state":"idle","lastactive":1,"lastActive":2}}"#, "lastactive"),
            (r#"{"isComposing":{"state":"idle","contenttype":"a b"}}"#, "contenttype"),
            (r#"{"isComposing":{"state":"idle","contenttype":"text/"}}"#, "contenttype"),
            (r#"{"isComposing":{"state":"idle","contenttype":"a\r\nb"}}"#, "contenttype"),
        ];
        for (text, part) in cases {
            assert_eq!(composing(text).unwrap_err().part(), part, "{text}");
        }
    }

    #[test]
    fn a_report_is_read_and_shown_as_the_appendix_prints_it() {
        let status =
            report(BodyKind::Form, "status=Displayed&userId=tel%3A%2B19585550152").unwrap();
        assert_eq!(status.status, ReceivedStatus::Displayed);
        assert_eq!(
            rendered(&status.write(), Format::Xml),
            concat!(
                r#"<?xml version="1.0" encoding="UTF-8"?>"#,
                r#"<chat:messageDeliveryStatus xmlns:chat="urn:oma:xml:rest:netapi:chat:1">"#,
                "<status>Displayed</status><userId>tel:+19585550152</userId>",
                "</chat:messageDeliveryStatus>"
            )
        );
        let json =
            r#"{"messageDeliveryStatus":{"status":"Displayed","userId":"tel:+19585550152"}}"#;
        assert_eq!(rendered(&status.write(), Format::Json), json);
        assert_eq!(report(BodyKind::Json, json), Ok(status));
        assert_eq!(
            report(BodyKind::Form, "status=Failed&userId=tel%3A%2B1"),
            Err(DocumentError::NotAllowed { part: "status", allowed: &["Delivered", "Displayed"] })
        );
        assert_eq!(
            report(BodyKind::Form, "status=Delivered"),
            Err(DocumentError::Missing { part: "userId" })
        );
    }
}
