//! Instant Message Disposition Notifications (RFC 5438): the request and the report.

use bytes::Bytes;
use thiserror::Error;

use super::mime::MediaType;
use super::multipart::{self, MultipartError};
use super::xml::{Element, XmlError, write_text};

/// The media type of the reports.
pub const CONTENT_TYPE: &str = "message/imdn+xml";

/// The namespace of the CPIM header fields (RFC 5438 section 6).
pub const HEADER_NAMESPACE: &str = "urn:ietf:params:imdn";

/// The namespace of the reports (RFC 5438 section 11.1).
const NAMESPACE: &str = "urn:ietf:params:xml:ns:imdn";

/// Which reports the sender of a message asks for (RFC 5438 section 7.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requested {
    /// The id by which the reports name the message (`imdn.Message-ID`).
    pub message_id: Option<String>,
    /// A report when it was delivered.
    pub positive_delivery: bool,
    /// A report when it could not be delivered.
    pub negative_delivery: bool,
    /// A report when it was displayed.
    pub display: bool,
    /// A report when an intermediary has handled it.
    pub processing: bool,
}

/// A report on a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imdn {
    /// The `imdn.Message-ID` of the message.
    pub message_id: String,
    /// The `DateTime` of the message (not of the report).
    pub date_time: Option<String>,
    /// The recipient that reports.
    pub recipient_uri: Option<String>,
    /// The recipient that the sender had addressed.
    pub original_recipient_uri: Option<String>,
    /// The subject of the message.
    pub subject: Option<String>,
    /// What became of it.
    pub report: Report,
}

/// What became of a message (RFC 5438 section 11.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// On delivery.
    Delivery(DeliveryStatus),
    /// On display.
    Display(DisplayStatus),
    /// On the handling by an intermediary.
    Processing(ProcessingStatus),
}

/// The values of `<delivery-notification>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// Delivered to the recipient.
    Delivered,
    /// Not delivered.
    Failed,
    /// The disposition was denied.
    Forbidden,
    /// An internal error of the reporting server.
    Error,
}

/// The values of `<display-notification>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisplayStatus {
    /// Displayed to the user.
    Displayed,
    /// The disposition was denied.
    Forbidden,
    /// An internal error of the reporting server.
    Error,
}

/// The values of `<processing-notification>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessingStatus {
    /// Handled.
    Processed,
    /// Stored for later delivery.
    Stored,
    /// The disposition was denied.
    Forbidden,
    /// An internal error of the reporting server.
    Error,
}

/// Why bytes are not a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ImdnError {
    /// Not XML that we read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// An aggregate that is not a multipart body.
    #[error(transparent)]
    Multipart(#[from] MultipartError),
    /// Another media type.
    #[error("the content is neither message/imdn+xml nor a multipart of them")]
    OtherType,
    /// Another root element, or one of another namespace.
    #[error("the root element is not imdn of RFC 5438")]
    NotImdn,
    /// No `<message-id>`, without which nothing can be matched.
    #[error("imdn has no message-id")]
    NoMessageId,
    /// No notification, or one without a status of RFC 5438.
    #[error("imdn has no notification with a known status")]
    NoStatus,
}

impl Imdn {
    /// Reports on the message `message_id`, sent at `date_time`.
    #[must_use]
    pub fn new(message_id: impl Into<String>, date_time: Option<String>, report: Report) -> Self {
        Self {
            message_id: message_id.into(),
            date_time,
            recipient_uri: None,
            original_recipient_uri: None,
            subject: None,
            report,
        }
    }

    /// Reads a report; elements of foreign namespaces are extensions and passed over.
    ///
    /// # Errors
    /// Names what makes it no report.
    pub fn parse(bytes: &[u8]) -> Result<Self, ImdnError> {
        let root = Element::read(bytes)?;
        if root.name != "imdn" || !root.belongs_to(NAMESPACE) {
            return Err(ImdnError::NotImdn);
        }
        let text = |name| root.text_of(NAMESPACE, name);
        Ok(Self {
            message_id: text("message-id").ok_or(ImdnError::NoMessageId)?,
            date_time: text("datetime"),
            recipient_uri: text("recipient-uri"),
            original_recipient_uri: text("original-recipient-uri"),
            subject: text("subject"),
            report: Report::read(&root).ok_or(ImdnError::NoStatus)?,
        })
    }

    /// Reads the reports in a body: one, or several that an intermediary has put together
    /// (RFC 5438 section 8.3).
    ///
    /// # Errors
    /// Names what makes the body, or one of its parts, no report.
    pub fn parse_all(content_type: &str, body: &Bytes) -> Result<Vec<Self>, ImdnError> {
        let media_type = MediaType::parse(content_type).ok_or(ImdnError::OtherType)?;
        if media_type.essence() == CONTENT_TYPE {
            return Ok(vec![Self::parse(body)?]);
        }
        if media_type.family() != "multipart" {
            return Err(ImdnError::OtherType);
        }
        let parts = multipart::leaves(content_type, body.clone())?;
        parts
            .iter()
            .map(|part| match part.media_type() {
                Some(inner) if inner.essence() == CONTENT_TYPE => Self::parse(&part.body),
                Some(_) | None => Err(ImdnError::OtherType),
            })
            .collect()
    }

    /// Writes the report, its elements in the order of the schema.
    #[must_use]
    pub fn write(&self) -> Bytes {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n");
        out.push_str("<imdn xmlns=\"");
        out.push_str(NAMESPACE);
        out.push_str("\">\r\n");
        write_text(&mut out, "message-id", &self.message_id);
        write_text(&mut out, "datetime", self.date_time.as_deref().unwrap_or_default());
        for (name, value) in [
            ("recipient-uri", &self.recipient_uri),
            ("original-recipient-uri", &self.original_recipient_uri),
            ("subject", &self.subject),
        ] {
            if let Some(value) = value {
                write_text(&mut out, name, value);
            }
        }
        let (kind, status) = self.report.names();
        for part in ["<", kind, "><status><", status, "/></status></", kind, ">\r\n</imdn>\r\n"] {
            out.push_str(part);
        }
        Bytes::from(out)
    }
}

impl Report {
    /// Every report there is.
    const ALL: [Self; 11] = [
        Self::Delivery(DeliveryStatus::Delivered),
        Self::Delivery(DeliveryStatus::Failed),
        Self::Delivery(DeliveryStatus::Forbidden),
        Self::Delivery(DeliveryStatus::Error),
        Self::Display(DisplayStatus::Displayed),
        Self::Display(DisplayStatus::Forbidden),
        Self::Display(DisplayStatus::Error),
        Self::Processing(ProcessingStatus::Processed),
        Self::Processing(ProcessingStatus::Stored),
        Self::Processing(ProcessingStatus::Forbidden),
        Self::Processing(ProcessingStatus::Error),
    ];

    fn read(root: &Element) -> Option<Self> {
        root.children(NAMESPACE).find_map(|notification| {
            let status = notification.child(NAMESPACE, "status")?;
            Self::ALL.into_iter().find(|report| {
                let (kind, value) = report.names();
                kind == notification.name && status.child(NAMESPACE, value).is_some()
            })
        })
    }

    /// Gives the names of the two elements that say it.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Delivery(status) => (
                "delivery-notification",
                match status {
                    DeliveryStatus::Delivered => "delivered",
                    DeliveryStatus::Failed => "failed",
                    DeliveryStatus::Forbidden => "forbidden",
                    DeliveryStatus::Error => "error",
                },
            ),
            Self::Display(status) => (
                "display-notification",
                match status {
                    DisplayStatus::Displayed => "displayed",
                    DisplayStatus::Forbidden => "forbidden",
                    DisplayStatus::Error => "error",
                },
            ),
            Self::Processing(status) => (
                "processing-notification",
                match status {
                    ProcessingStatus::Processed => "processed",
                    ProcessingStatus::Stored => "stored",
                    ProcessingStatus::Forbidden => "forbidden",
                    ProcessingStatus::Error => "error",
                },
            ),
        }
    }
}
