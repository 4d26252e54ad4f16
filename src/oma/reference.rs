//! What all the RESTful network APIs share: links, references and the error document.

use super::Format;
use super::element::{Element, Leaf, Namespace};
use super::field::{self, Choices, DocumentError};

/// A link to a related resource: the type `Link` of the Common schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What kind of resource it points to (TS Chat 5.2.4).
    pub rel: &'static str,
    /// Its URL.
    pub href: String,
}

impl Link {
    /// Writes the link.
    #[must_use]
    pub fn write(&self) -> Element {
        Element::group("link").attribute("rel", self.rel).attribute("href", &self.href)
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

/// The two kinds of a [`RequestError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exception {
    /// The request cannot be served.
    Service,
    /// A rule of the provider forbids to serve it.
    Policy,
}

impl RequestError {
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
        let link = Link { rel: "help", href: "http://example.com/".into() };
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
