//! The documents of the Notification Channel API: a channel, the list of them, and its lifetime.

use super::element::{Element, Namespace};
use super::field::{self, DocumentError};
use super::outline::{self, Kind, Outline, Part};

/// The one type of channel that is offered.
pub const LONG_POLLING: &str = "LongPolling";

/// A channel: the root `notificationChannel`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationChannel {
    /// The client's tag, given back unchanged.
    pub client_correlator: Option<String>,
    /// The application's tag, given back unchanged.
    pub application_tag: Option<String>,
    /// The type, in the client's spelling; [`LONG_POLLING`] but for its case.
    pub channel_type: String,
    /// Where and how to poll.
    pub channel_data: ChannelData,
    /// For how many seconds the channel holds; absent or 0 in a request: as long as possible.
    pub channel_lifetime: Option<u32>,
    /// The notification URL to subscribe with; never taken from a request.
    pub callback_url: Option<String>,
    /// The URL of the channel; never taken from a request.
    pub resource_url: Option<String>,
}

/// Where and how to poll: the type `LongPollingData`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelData {
    /// The URL to poll; never taken from a request.
    pub channel_url: Option<String>,
    /// How many notifications one poll may give.
    pub max_notifications: Option<u32>,
}

impl ChannelData {
    /// What stands in the element.
    pub const OUTLINE: Outline = Outline {
        name: "LongPollingData",
        root: None,
        parts: &[
            Part::new("type", Kind::OneOf(&[DATA_TYPE])).maybe().attribute(),
            Part::new("channelURL", Kind::Url).maybe().by_server(),
            MAX_NOTIFICATIONS,
        ],
    };
}

impl NotificationChannel {
    /// What stands in the document.
    pub const OUTLINE: Outline = Outline {
        name: "NotificationChannel",
        root: Some((Namespace::Channel, "notificationChannel")),
        parts: &[
            outline::CLIENT_CORRELATOR,
            APPLICATION_TAG,
            CHANNEL_TYPE,
            Part::new("channelData", Kind::Group(&ChannelData::OUTLINE)).maybe(),
            LIFETIME.maybe(),
            Part::new("callbackURL", Kind::Url).maybe().by_server(),
            outline::RESOURCE_URL,
        ],
    };

    /// What stands in the form: the channel's data stand flat.
    pub const FORM: Outline = Outline {
        name: "NotificationChannelForm",
        root: None,
        parts: &[
            outline::CLIENT_CORRELATOR,
            APPLICATION_TAG,
            CHANNEL_TYPE,
            MAX_NOTIFICATIONS,
            LIFETIME.maybe(),
        ],
    };

    /// Reads the document as a client sends it; in a form the channel's data stand flat.
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = field::document(tree, "notificationChannel")?;
        let channel_type = field::required(root, "channelType")?;
        let channel_type = field::line(channel_type, "channelType", field::MAX_NAME)?;
        if !channel_type.trim_ascii().eq_ignore_ascii_case(LONG_POLLING) {
            let allowed = &[LONG_POLLING];
            return Err(DocumentError::NotAllowed { part: "channelType", allowed });
        }
        let data = field::optional(root, "channelData")?.unwrap_or(root);
        let max_notifications = field::number(data, "maxNotifications")?;
        Ok(Self {
            client_correlator: field::optional_line(root, "clientCorrelator", field::MAX_NAME)?,
            application_tag: field::optional_line(root, "applicationTag", field::MAX_NAME)?,
            channel_type: channel_type.trim_ascii().to_owned(),
            channel_data: ChannelData { channel_url: None, max_notifications },
            channel_lifetime: field::number(root, "channelLifetime")?,
            callback_url: None,
            resource_url: None,
        })
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        let data = Element::group("channelData")
            .attribute("xsi:type", DATA_TYPE)
            .maybe_text("channelURL", self.channel_data.channel_url.as_deref())
            .maybe_number("maxNotifications", self.channel_data.max_notifications);
        Element::root(Namespace::Channel, "notificationChannel")
            .maybe_text("clientCorrelator", self.client_correlator.as_deref())
            .maybe_text("applicationTag", self.application_tag.as_deref())
            .text("channelType", &self.channel_type)
            .with(data)
            .maybe_number("channelLifetime", self.channel_lifetime)
            .maybe_text("callbackURL", self.callback_url.as_deref())
            .maybe_text("resourceURL", self.resource_url.as_deref())
    }
}

/// All channels of a user: the root `notificationChannelList`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationChannelList {
    /// The channels.
    pub channels: Vec<NotificationChannel>,
    /// The URL of the list.
    pub resource_url: Option<String>,
}

impl NotificationChannelList {
    /// What stands in the document.
    pub const OUTLINE: Outline = Outline {
        name: "NotificationChannelList",
        root: Some((Namespace::Channel, "notificationChannelList")),
        parts: &[
            Part::new("notificationChannel", Kind::Group(&NotificationChannel::OUTLINE)).list(0),
            outline::RESOURCE_URL,
        ],
    };

    /// Reads the document.
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = field::document(tree, "notificationChannelList")?;
        let channels = root.all("notificationChannel").map(NotificationChannel::read);
        Ok(Self { channels: channels.collect::<Result<_, _>>()?, resource_url: None })
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        let channels = self.channels.iter().map(NotificationChannel::write);
        Element::root(Namespace::Channel, "notificationChannelList")
            .list("notificationChannel", channels)
            .maybe_text("resourceURL", self.resource_url.as_deref())
    }
}

/// How long a channel holds: the root `notificationChannelLifetime`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationChannelLifetime {
    /// The seconds; 0 in a request: as long as possible.
    pub channel_lifetime: u32,
    /// The URL of the lifetime; never taken from a request.
    pub resource_url: Option<String>,
}

impl NotificationChannelLifetime {
    /// What stands in the document.
    pub const OUTLINE: Outline = Outline {
        name: "NotificationChannelLifetime",
        root: Some((Namespace::Channel, "notificationChannelLifetime")),
        parts: &[LIFETIME, outline::RESOURCE_URL],
    };

    /// Reads the document.
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = field::document(tree, "notificationChannelLifetime")?;
        let missing = DocumentError::Missing { part: "channelLifetime" };
        let channel_lifetime = field::number(root, "channelLifetime")?.ok_or(missing)?;
        Ok(Self { channel_lifetime, resource_url: None })
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        Element::root(Namespace::Channel, "notificationChannelLifetime")
            .maybe_number("channelLifetime", Some(self.channel_lifetime))
            .maybe_text("resourceURL", self.resource_url.as_deref())
    }
}

const DATA_TYPE: &str = "nc:LongPollingData";

const APPLICATION_TAG: Part = Part::new("applicationTag", Kind::Line(field::MAX_NAME)).maybe();

/// Given back in the client's spelling.
const CHANNEL_TYPE: Part = Part::new("channelType", Kind::AnyCase(LONG_POLLING));

const MAX_NOTIFICATIONS: Part = Part::new("maxNotifications", Kind::Number(0)).maybe();

const LIFETIME: Part = Part::new("channelLifetime", Kind::Number(0));

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::oma::{BodyKind, Format, read};

    fn channel(kind: BodyKind, text: &str) -> Result<NotificationChannel, DocumentError> {
        NotificationChannel::read(&read(kind, text.as_bytes()).unwrap())
    }

    fn rendered(element: &Element, format: Format) -> String {
        String::from_utf8(element.render(format)).unwrap()
    }

    #[test]
    fn the_same_channel_in_three_formats() {
        let json = r#"{"notificationChannel":{"applicationTag":"myApp","channelData":
            {"maxNotifications":"15","type":"nc:LongPollingData"},"channelType":"longpolling"}}"#;
        let wanted = channel(BodyKind::Json, json).unwrap();
        assert_eq!(wanted.channel_type, "longpolling");
        assert_eq!(wanted.channel_data.max_notifications, Some(15));
        let form = "applicationTag=myApp&channelType=longpolling&maxNotifications=15";
        assert_eq!(channel(BodyKind::Form, form), Ok(wanted.clone()));
        let xml = r#"<nc:notificationChannel
            xmlns:nc="urn:oma:xml:rest:netapi:notificationchannel:1"
            xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
            <applicationTag>myApp</applicationTag><channelType>longpolling</channelType>
            <channelData xsi:type="nc:LongPollingData"><channelURL>http://evil.example/</channelURL>
            <maxNotifications>15</maxNotifications></channelData></nc:notificationChannel>"#;
        assert_eq!(channel(BodyKind::Xml, xml), Ok(wanted));
    }

    #[test]
    fn a_channel_is_shown_with_its_urls() {
        let document = NotificationChannel {
            client_correlator: Some("c1".into()),
            channel_data: ChannelData {
                channel_url: Some("http://h/poll/x".into()),
                max_notifications: Some(10),
            },
            channel_lifetime: Some(7200),
            callback_url: Some("http://h/callback/x".into()),
            resource_url: Some("http://h/channels/x".into()),
            ..channel(BodyKind::Form, "channelType=LongPolling").unwrap()
        };
        assert_eq!(
            rendered(&document.write(), Format::Xml),
            concat!(
                r#"<?xml version="1.0" encoding="UTF-8"?><nc:notificationChannel "#,
                r#"xmlns:nc="urn:oma:xml:rest:netapi:notificationchannel:1">"#,
                "<clientCorrelator>c1</clientCorrelator><channelType>LongPolling</channelType>",
                r#"<channelData xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" "#,
                r#"xsi:type="nc:LongPollingData"><channelURL>http://h/poll/x</channelURL>"#,
                "<maxNotifications>10</maxNotifications></channelData>",
                "<channelLifetime>7200</channelLifetime>",
                "<callbackURL>http://h/callback/x</callbackURL>",
                "<resourceURL>http://h/channels/x</resourceURL></nc:notificationChannel>"
            )
        );
        let list = NotificationChannelList { channels: vec![document], resource_url: None };
        assert_eq!(
            rendered(&list.write(), Format::Json),
            concat!(
                r#"{"notificationChannelList":{"notificationChannel":[{"clientCorrelator":"c1","#,
                r#""channelType":"LongPolling","channelData":{"type":"nc:LongPollingData","#,
                r#""channelURL":"http://h/poll/x","maxNotifications":10},"channelLifetime":7200,"#,
                r#""callbackURL":"http://h/callback/x","resourceURL":"http://h/channels/x"}]}}"#
            )
        );
    }

    #[test]
    fn a_lifetime_is_read_and_shown() {
        let json = r#"{"notificationChannelLifetime":{"channelLifetime":600}}"#;
        let lifetime =
            NotificationChannelLifetime::read(&read(BodyKind::Json, json.as_bytes()).unwrap());
        assert_eq!(rendered(&lifetime.unwrap().write(), Format::Json), json);
    }

    #[test]
    fn a_faulty_channel_is_named() {
        let missing = DocumentError::Missing { part: "channelType" };
        assert_eq!(channel(BodyKind::Form, "applicationTag=x"), Err(missing));
        let error = channel(BodyKind::Form, "channelType=WebSockets").unwrap_err();
        let allowed = &["LongPolling"];
        assert_eq!(error, DocumentError::NotAllowed { part: "channelType", allowed });
        let text = "channelType=LongPolling&maxNotifications=many";
        assert_eq!(channel(BodyKind::Form, text).unwrap_err().part(), "maxNotifications");
    }
}
