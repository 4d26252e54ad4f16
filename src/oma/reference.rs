//! What all the RESTful network APIs share: links, references and the error document.

use std::borrow::Cow;

use super::Format;
use super::element::{Element, Leaf, Namespace};
use super::field::{self, Choices, DocumentError};
use super::outline::{Kind, Outline, Part};

/// A link to a related resource: the type `Link` of the Common schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What kind of resource it points to (TS Chat 5.2.4).
    pub rel: Cow<'static, str>,
    /// Its URL.
    pub href: String,
}

impl Link {
    /// What stands in the element.
    pub const OUTLINE: Outline = Outline {
        name: "Link",
        root: None,
        parts: &[
            Part::new("rel", Kind::Line(field::MAX_NAME)).attribute(),
            Part::new("href", Kind::Url).attribute(),
        ],
    };

    /// The links of a document.
    pub(super) const PART: Part = Part::new("link", Kind::Group(&Self::OUTLINE)).list(0);

    /// Makes a link.
    #[must_use]
    pub fn new(rel: &'static str, href: impl Into<String>) -> Self {
        Self { rel: rel.into(), href: href.into() }
    }

    /// Reads all links of a document.
    pub(super) fn read_all(within: &Element) -> Result<Vec<Self>, DocumentError> {
        let links = within.all("link").map(|link| {
            let rel = field::attribute(link, "rel")?.into();
            Ok(Self { rel, href: field::attribute(link, "href")? })
        });
        links.collect()
    }

    /// Writes the link.
    #[must_use]
    pub fn write(&self) -> Element {
        Element::group("link").attribute("rel", self.rel.as_ref()).attribute("href", &self.href)
    }
}

/// Where notifications go, and in which form: the type `CallbackReference` of the Common schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackReference {
    /// The notification URL: the client's own, or one that a channel was given.
    pub notify_url: String,
    /// What the application wants to find in each notification.
    pub callback_data: Option<String>,
    /// The format of the notifications; XML where absent.
    pub notification_format: Option<Format>,
}

impl CallbackReference {
    /// What stands in the element.
    pub const OUTLINE: Outline = Outline {
        name: "CallbackReference",
        root: None,
        parts: &[Self::NOTIFY_URL, Self::CALLBACK_DATA, Self::NOTIFICATION_FORMAT],
    };

    /// The notification URL.
    pub(super) const NOTIFY_URL: Part = Part::new("notifyURL", Kind::Url);

    /// What comes back in each notification.
    pub(super) const CALLBACK_DATA: Part =
        Part::new("callbackData", Kind::Text(Some(field::MAX_CALLBACK_DATA))).maybe();

    /// The format of the notifications.
    pub(super) const NOTIFICATION_FORMAT: Part =
        Part::new("notificationFormat", Kind::OneOf(FORMATS.names)).maybe();

    /// Reads the element itself, or the fields of a form that stand for it (TS Chat C.1).
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let callback_data = field::optional(tree, "callbackData")?
            .map(|field| field::text(field, "callbackData", field::MAX_CALLBACK_DATA))
            .transpose()?;
        let notification_format = field::optional(tree, "notificationFormat")?
            .map(|field| field::choice(field, "notificationFormat", &FORMATS))
            .transpose()?;
        let notify_url = field::url(tree, "notifyURL")?;
        Ok(Self { notify_url, callback_data, notification_format })
    }

    /// Writes the element.
    #[must_use]
    pub fn write(&self) -> Element {
        Element::group("callbackReference")
            .text("notifyURL", &self.notify_url)
            .maybe_text("callbackData", self.callback_data.as_deref())
            .maybe_text("notificationFormat", self.notification_format.map(Format::as_str))
    }
}

const FORMATS: Choices<Format> =
    Choices { names: &["XML", "JSON"], values: &[Format::Xml, Format::Json] };

/// Where a resource is: the root `resourceReference` of the Common schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceReference {
    /// Its URL.
    pub resource_url: String,
}

impl ResourceReference {
    /// What stands in the document.
    pub const OUTLINE: Outline = Outline {
        name: "ResourceReference",
        root: Some((Namespace::Common, "resourceReference")),
        parts: &[Part::new("resourceURL", Kind::Url)],
    };

    /// Reads the document.
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = field::document(tree, "resourceReference")?;
        Ok(Self { resource_url: field::url(root, "resourceURL")? })
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        Element::root(Namespace::Common, "resourceReference")
            .text("resourceURL", &self.resource_url)
    }
}

/// Why a request was not served: the root `requestError` of the Common schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestError {
    /// Where to read on.
    pub link: Option<Link>,
    /// Which of the two kinds it is.
    pub exception: Exception,
    /// The code, `SVCnnnn` or `POLnnnn`.
    pub message_id: &'static str,
    /// The text, in which `%1` stands for the first of the variables.
    pub text: String,
    /// The variables.
    pub variables: Vec<String>,
}

const SERVICE_EXCEPTION: Outline =
    Outline { name: "ServiceException", root: None, parts: EXCEPTION };

const POLICY_EXCEPTION: Outline = Outline { name: "PolicyException", root: None, parts: EXCEPTION };

const EXCEPTION: &[Part] = &[
    Part::new("messageId", Kind::Text(None)),
    Part::new("text", Kind::Text(None)),
    Part::new("variables", Kind::Text(None)).list(0),
];

/// The two kinds of a [`RequestError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exception {
    /// The request cannot be served.
    Service,
    /// A rule of the provider forbids to serve it.
    Policy,
}

impl RequestError {
    /// What stands in the document.
    pub const OUTLINE: Outline = Outline {
        name: "RequestError",
        root: Some((Namespace::Common, "requestError")),
        parts: &[
            Link::PART,
            Part::new("serviceException", Kind::Group(&SERVICE_EXCEPTION)).either(),
            Part::new("policyException", Kind::Group(&POLICY_EXCEPTION)).either(),
        ],
    };

    /// What stands in the error as RFC 9457 has it; JSON only.
    pub const PROBLEM: Outline = Outline {
        name: "Problem",
        root: None,
        parts: &[
            Part::new("type", Kind::Text(None)),
            Part::new("title", Kind::Text(None)),
            Part::new("status", Kind::Number(400)),
            Part::new("detail", Kind::Text(None)),
            Part::new("code", Kind::Text(None)),
        ],
    };

    /// Makes a `serviceException`.
    #[must_use]
    pub fn service(id: &'static str, text: impl Into<String>, variables: Vec<String>) -> Self {
        let exception = Exception::Service;
        Self { link: None, exception, message_id: id, text: text.into(), variables }
    }

    /// Makes a `policyException`.
    #[must_use]
    pub fn policy(id: &'static str, text: impl Into<String>, variables: Vec<String>) -> Self {
        Self { exception: Exception::Policy, ..Self::service(id, text, variables) }
    }

    /// Adds a link.
    #[must_use]
    pub fn with_link(self, link: Link) -> Self {
        Self { link: Some(link), ..self }
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        let name = match self.exception {
            Exception::Service => "serviceException",
            Exception::Policy => "policyException",
        };
        let variable = |text: &String| Element::leaf("variables", Leaf::Text(text.clone()));
        Element::root(Namespace::Common, "requestError")
            .items(self.link.as_ref().map(Link::write))
            .with(
                Element::group(name)
                    .text("messageId", self.message_id)
                    .text("text", &self.text)
                    .list("variables", self.variables.iter().map(variable)),
            )
    }

    /// Writes the error as RFC 9457 wants it, for those who accept `application/problem+json`.
    #[must_use]
    pub fn problem(&self, status: u16, title: &str) -> Vec<u8> {
        Element::rootless(Vec::new())
            .text("type", self.link.as_ref().map_or("about:blank", |link| &link.href))
            .text("title", title)
            .maybe_number("status", Some(status))
            .text("detail", self.detail())
            .text("code", self.message_id)
            .render(Format::Json)
    }

    /// Gives the text with the variables in their places.
    #[must_use]
    pub fn detail(&self) -> String {
        let mut pieces = self.text.split('%');
        let mut detail = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let place = piece.chars().next().and_then(|c| c.to_digit(10));
            let variable = place
                .and_then(|place| usize::try_from(place).ok()?.checked_sub(1))
                .and_then(|place| self.variables.get(place));
            match variable {
                Some(variable) => {
                    detail.push_str(variable);
                    detail.push_str(piece.get(1..).unwrap_or_default());
                }
                None => {
                    detail.push('%');
                    detail.push_str(piece);
                }
            }
        }
        detail
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn error() -> RequestError {
        let variables = vec!["status".into(), "Connected, 100 %".into()];
        RequestError::service("SVC0003", "Invalid %1: use %2 (%3, 5 %)", variables)
    }

    #[test]
    fn an_error_is_written_in_all_three_ways() {
        let xml = String::from_utf8(error().write().render(Format::Xml)).unwrap();
        assert_eq!(
            xml,
            concat!(
                r#"<?xml version="1.0" encoding="UTF-8"?>"#,
                r#"<common:requestError xmlns:common="urn:oma:xml:rest:netapi:common:1">"#,
                "<serviceException><messageId>SVC0003</messageId>",
                "<text>Invalid %1: use %2 (%3, 5 %)</text><variables>status</variables>",
                "<variables>Connected, 100 %</variables></serviceException></common:requestError>"
            )
        );
        let json = String::from_utf8(error().write().render(Format::Json)).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"requestError":{"serviceException":{"messageId":"SVC0003","#,
                r#""text":"Invalid %1: use %2 (%3, 5 %)","variables":["status","Connected, 100 %"]}}}"#
            )
        );
        let problem = String::from_utf8(error().problem(400, "Bad Request")).unwrap();
        assert_eq!(
            problem,
            concat!(
                r#"{"type":"about:blank","title":"Bad Request","status":400,"#,
                r#""detail":"Invalid status: use Connected, 100 % (%3, 5 %)","code":"SVC0003"}"#
            )
        );
    }

    #[test]
    fn variables_are_a_list_even_when_there_are_none() {
        let link = Link::new("help", "http://example.com/");
        let error = RequestError::policy("POL0001", "No", Vec::new()).with_link(link);
        assert_eq!(
            String::from_utf8(error.write().render(Format::Json)).unwrap(),
            concat!(
                r#"{"requestError":{"link":[{"rel":"help","href":"http://example.com/"}],"#,
                r#""policyException":{"messageId":"POL0001","text":"No","variables":[]}}}"#
            )
        );
    }

    #[test]
    fn a_resource_reference_is_read_and_written() {
        let body = br#"{"resourceReference":{"resourceURL":"http://example.com/x"}}"#;
        let tree = crate::oma::read(crate::oma::BodyKind::Json, body).unwrap();
        let reference = ResourceReference::read(&tree).unwrap();
        assert_eq!(reference.write().render(Format::Json), body);
    }
}
