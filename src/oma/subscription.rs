//! `chatNotificationSubscription` and the list of them (TS Chat 5.2.2.2, 5.2.2.1).

use super::element::{Element, Namespace};
use super::field::{self, DocumentError};
use super::outline::{self, Kind, Outline, Part};
use super::reference::CallbackReference;

/// A subscription to notifications: the root `chatNotificationSubscription` (TS Chat 5.2.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatNotificationSubscription {
    /// Where the notifications go.
    pub callback: CallbackReference,
    /// The client's tag, given back unchanged.
    pub client_correlator: Option<String>,
    /// For how many seconds the subscription holds.
    pub duration: Option<u32>,
    /// The URL of the subscription; never taken from a request.
    pub resource_url: Option<String>,
}

impl ChatNotificationSubscription {
    /// What stands in the document.
    pub const OUTLINE: Outline = Outline {
        name: "ChatNotificationSubscription",
        root: Some((Namespace::Chat, "chatNotificationSubscription")),
        parts: &[
            Part::new("callbackReference", Kind::Group(&CallbackReference::OUTLINE)),
            outline::CLIENT_CORRELATOR,
            DURATION,
            outline::RESOURCE_URL,
        ],
    };

    /// What stands in the form (TS Chat C.1).
    pub const FORM: Outline = Outline {
        name: "ChatNotificationSubscriptionForm",
        root: None,
        parts: &[
            CallbackReference::NOTIFY_URL,
            CallbackReference::CALLBACK_DATA,
            CallbackReference::NOTIFICATION_FORMAT,
            outline::CLIENT_CORRELATOR,
            DURATION,
        ],
    };

    /// Reads the document as a client sends it (also TS Chat C.1, where the fields of the callback
    /// reference stand flat).
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = field::document(tree, "chatNotificationSubscription")?;
        let reference = match field::optional(root, "callbackReference")? {
            Some(reference) => reference,
            None if field::is_flat(root) => root,
            None => return Err(DocumentError::Missing { part: "callbackReference" }),
        };
        Ok(Self {
            callback: CallbackReference::read(reference)?,
            client_correlator: field::optional_line(root, "clientCorrelator", field::MAX_NAME)?,
            duration: field::number(root, "duration")?,
            resource_url: None,
        })
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        Element::root(Namespace::Chat, "chatNotificationSubscription")
            .with(self.callback.write())
            .maybe_text("clientCorrelator", self.client_correlator.as_deref())
            .maybe_number("duration", self.duration)
            .maybe_text("resourceURL", self.resource_url.as_deref())
    }
}

/// All subscriptions of a user: the root `chatSubscriptionList` (TS Chat 5.2.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatSubscriptionList {
    /// The subscriptions.
    pub subscriptions: Vec<ChatNotificationSubscription>,
    /// The URL of the list.
    pub resource_url: Option<String>,
}

impl ChatSubscriptionList {
    /// What stands in the document.
    pub const OUTLINE: Outline = Outline {
        name: "ChatSubscriptionList",
        root: Some((Namespace::Chat, "chatSubscriptionList")),
        parts: &[
            Part::new(
                "chatNotificationSubscription",
                Kind::Group(&ChatNotificationSubscription::OUTLINE),
            )
            .list(0),
            outline::RESOURCE_URL,
        ],
    };

    /// Reads the document.
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = field::document(tree, "chatSubscriptionList")?;
        let subscriptions = root
            .all("chatNotificationSubscription")
            .map(ChatNotificationSubscription::read)
            .collect::<Result<_, _>>()?;
        Ok(Self { subscriptions, resource_url: None })
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        let subscriptions = self.subscriptions.iter().map(ChatNotificationSubscription::write);
        Element::root(Namespace::Chat, "chatSubscriptionList")
            .list("chatNotificationSubscription", subscriptions)
            .maybe_text("resourceURL", self.resource_url.as_deref())
    }
}

/// For how many seconds a subscription holds; ours, the draft has nothing like it.
const DURATION: Part = Part::new("duration", Kind::Number(0)).maybe();

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::oma::{BodyKind, Format, read};

    const FORM: &str = concat!(
        "notifyURL=http%3A%2F%2Fapplication.example.com%2Fchat%2Fnotifications%2F77777",
        "&callbackData=abcd&notificationFormat=XML&clientCorrelator=12345"
    );
    const JSON: &str = r#"{"chatNotificationSubscription": {"callbackReference": {
        "notifyURL": "http://application.example.com/chat/notifications/77777",
        "callbackData": "abcd", "notificationFormat": "XML"}, "clientCorrelator": "12345"}}"#;
    const XML: &str = r#"<chat:chatNotificationSubscription
          xmlns:chat="urn:oma:xml:rest:netapi:chat:1"><callbackReference>
          <notifyURL>http://application.example.com/chat/notifications/77777</notifyURL>
          <callbackData>abcd</callbackData><notificationFormat>XML</notificationFormat>
        </callbackReference><clientCorrelator>12345</clientCorrelator>
        </chat:chatNotificationSubscription>"#;

    fn subscription(
        kind: BodyKind,
        text: &str,
    ) -> Result<ChatNotificationSubscription, DocumentError> {
        ChatNotificationSubscription::read(&read(kind, text.as_bytes()).unwrap())
    }

    fn rendered(element: &Element, format: Format) -> String {
        String::from_utf8(element.render(format)).unwrap()
    }

    #[test]
    fn the_same_subscription_in_three_formats() {
        let from_form = subscription(BodyKind::Form, FORM).unwrap();
        assert_eq!(from_form.callback.notification_format, Some(Format::Xml));
        assert_eq!(subscription(BodyKind::Json, JSON), Ok(from_form.clone()));
        assert_eq!(subscription(BodyKind::Xml, XML), Ok(from_form));
        let rootless = r#"{"callbackReference":{"notifyURL":"https://a.example/"}}"#;
        assert!(subscription(BodyKind::Json, rootless).is_ok());
    }

    #[test]
    fn a_subscription_is_shown_with_its_url() {
        let url = "http://example.com/exampleAPI/1/chat/tel%3A%2B19585550151/subscriptions/sub001";
        let document = ChatNotificationSubscription {
            duration: Some(3600),
            resource_url: Some(url.into()),
            ..subscription(BodyKind::Form, FORM).unwrap()
        };
        assert_eq!(
            rendered(&document.write(), Format::Xml),
            concat!(
                r#"<?xml version="1.0" encoding="UTF-8"?>"#,
                r#"<chat:chatNotificationSubscription xmlns:chat="urn:oma:xml:rest:netapi:chat:1">"#,
                "<callbackReference>",
                "<notifyURL>http://application.example.com/chat/notifications/77777</notifyURL>",
                "<callbackData>abcd</callbackData><notificationFormat>XML</notificationFormat>",
                "</callbackReference><clientCorrelator>12345</clientCorrelator>",
                "<duration>3600</duration><resourceURL>",
                "http://example.com/exampleAPI/1/chat/tel%3A%2B19585550151/subscriptions/sub001",
                "</resourceURL></chat:chatNotificationSubscription>"
            )
        );
        let list = ChatSubscriptionList {
            subscriptions: vec![document],
            resource_url: Some("http://example.com/s".into()),
        };
        assert_eq!(
            rendered(&list.write(), Format::Json),
            concat!(
                r#"{"chatSubscriptionList":{"chatNotificationSubscription":[{"callbackReference":{"#,
                r#""notifyURL":"http://application.example.com/chat/notifications/77777","#,
                r#""callbackData":"abcd","notificationFormat":"XML"},"clientCorrelator":"12345","#,
                r#""duration":3600,"resourceURL":"http://example.com/exampleAPI/1/chat/"#,
                r#"tel%3A%2B19585550151/subscriptions/sub001"}],"#,
                r#""resourceURL":"http://example.com/s"}}"#
            )
        );
    }

    #[test]
    fn an_empty_list_is_a_list() {
        let list = ChatSubscriptionList { subscriptions: Vec::new(), resource_url: None };
        let json = r#"{"chatSubscriptionList":{"chatNotificationSubscription":[]}}"#;
        assert_eq!(rendered(&list.write(), Format::Json), json);
        let tree = read(BodyKind::Json, json.as_bytes()).unwrap();
        assert_eq!(ChatSubscriptionList::read(&tree), Ok(list));
    }

    #[test]
    fn a_faulty_subscription_is_named() {
        let part = |kind, text: &str| subscription(kind, text).unwrap_err().part();
        assert_eq!(part(BodyKind::Form, "callbackData=x"), "notifyURL");
        let empty = r#"{"chatNotificationSubscription":{"clientCorrelator":"1"}}"#;
        assert_eq!(part(BodyKind::Json, empty), "callbackReference");
        for url in ["file:///etc/passwd", "//example.com", "http://", "http:///x", "http://a b"] {
            assert_eq!(part(BodyKind::Form, &format!("notifyURL={url}")), "notifyURL", "{url}");
        }
        let format = FORM.replace("XML", "YAML");
        assert_eq!(
            subscription(BodyKind::Form, &format),
            Err(DocumentError::NotAllowed {
                part: "notificationFormat",
                allowed: &["XML", "JSON"]
            })
        );
        assert_eq!(part(BodyKind::Form, &format!("{FORM}&duration=-1")), "duration");
    }
}
