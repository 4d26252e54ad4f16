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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_report_is_written_in_the_order_of_the_schema() {
        let report = Imdn {
            recipient_uri: Some("tel:+447700900002".into()),
            original_recipient_uri: Some("im:bob@example.com".into()),
            subject: Some("a & b".into()),
            ..Imdn::new("34jk324j", Some(DATE.into()), Report::Delivery(DeliveryStatus::Delivered))
        };
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
            <imdn xmlns=\"urn:ietf:params:xml:ns:imdn\">\r\n\
            <message-id>34jk324j</message-id>\r\n\
            <datetime>2008-04-04T12:16:49-05:00</datetime>\r\n\
            <recipient-uri>tel:+447700900002</recipient-uri>\r\n\
            <original-recipient-uri>im:bob@example.com</original-recipient-uri>\r\n\
            <subject>a &amp; b</subject>\r\n\
            <delivery-notification><status><delivered/></status></delivery-notification>\r\n\
            </imdn>\r\n";
        assert_eq!(report.write(), expected.as_bytes());
        assert_eq!(Imdn::parse(expected.as_bytes()), Ok(report));
    }

    #[test]
    fn every_kind_and_value_survives_a_round_trip() {
        for report in Report::ALL {
            let imdn = Imdn::new("id", None, report);
            assert_eq!(Imdn::parse(&imdn.write()), Ok(imdn));
        }
    }

    #[test]
    fn a_report_is_read_whatever_its_prefix() {
        for (open, close) in [
            ("<imdn><", "</imdn>"),
            ("<p:imdn xmlns:p='urn:ietf:params:xml:ns:imdn'><p:", "</p:imdn>"),
            ("<imdn xmlns='URN:ietf:params:xml:ns:imdn'><", "</imdn>"),
        ] {
            let prefix = if open.contains("p:") { "p:" } else { "" };
            let text = format!(
                "{open}message-id>1</{prefix}message-id><{prefix}display-notification>\
                 <{prefix}status><{prefix}displayed/></{prefix}status>\
                 </{prefix}display-notification>{close}"
            );
            let report = Imdn::parse(text.as_bytes()).unwrap().report;
            assert_eq!(report, Report::Display(DisplayStatus::Displayed), "{text}");
        }
    }

    #[test]
    fn what_is_no_report_is_named() {
        let with = |inner: &str| format!("<imdn><message-id>1</message-id>{inner}</imdn>");
        let foreign = "<display-notification><status xmlns:e='urn:e'><e:displayed/></status>\
                       </display-notification>";
        let crossed = "<display-notification><status><delivered/></status></display-notification>";
        for (text, fault) in [
            ("<x/>".to_owned(), ImdnError::NotImdn),
            ("<imdn xmlns='urn:other'/>".to_owned(), ImdnError::NotImdn),
            ("<imdn/>".to_owned(), ImdnError::NoMessageId),
            ("<imdn><message-id> </message-id></imdn>".to_owned(), ImdnError::NoMessageId),
            (with(""), ImdnError::NoStatus),
            (with("<display-notification/>"), ImdnError::NoStatus),
            (with(foreign), ImdnError::NoStatus),
            (with(crossed), ImdnError::NoStatus),
            ("<!DOCTYPE imdn><imdn/>".to_owned(), ImdnError::Xml(XmlError::DocType)),
        ] {
            assert_eq!(Imdn::parse(text.as_bytes()), Err(fault), "{text}");
        }
        let nothing = Bytes::new();
        assert_eq!(Imdn::parse_all("text/plain", &nothing), Err(ImdnError::OtherType));
        assert_eq!(Imdn::parse_all("", &nothing), Err(ImdnError::OtherType));
    }

    #[test]
    fn an_aggregate_holds_reports_only() {
        let report = Imdn::new("1", None, Report::Processing(ProcessingStatus::Stored));
        let part = multipart::Part::new(CONTENT_TYPE, report.write());
        let other = multipart::Part::new("text/plain", "x");
        let content_type = multipart::content_type("b");
        let body = multipart::write(&[part.clone(), part.clone()], "b");
        assert_eq!(Imdn::parse_all(&content_type, &body), Ok(vec![report.clone(), report]));
        let body = multipart::write(&[part, other], "b");
        assert_eq!(Imdn::parse_all(&content_type, &body), Err(ImdnError::OtherType));
    }

    proptest! {
        #[test]
        fn any_report_survives_a_round_trip(
            message_id in "[!-~é]{1,20}",
            texts in proptest::array::uniform4(proptest::option::of("[!-~é]([ -~é]{0,9}[!-~])?")),
            report in proptest::sample::select(&Report::ALL[..]),
        ) {
            let [date_time, recipient_uri, original_recipient_uri, subject] = texts;
            let imdn =
                Imdn { message_id, date_time, recipient_uri, original_recipient_uri, subject, report };
            prop_assert_eq!(Imdn::parse(&imdn.write()), Ok(imdn));
        }
    }

    const DATE: &str = "2008-04-04T12:16:49-05:00";
}
