//! CPIM messages (RFC 3862) with the header fields of IMDN (RFC 5438).
//!
//! What deployed peers get wrong and is read all the same: names in any case, `NS: imdn<urn…>`
//! without the space, other prefixes, no blank line between the two header blocks, no MIME header
//! at all, the MIME header of the wrapper repeated, folded lines, bare LF.

mod letterhead;
mod read;
mod value;

use std::collections::BTreeMap;

use bytes::Bytes;
use thiserror::Error;

use super::imdn::{self, Imdn, Requested};
use super::mime::{self, Entity, Field, MediaType, MimeError};
pub use letterhead::{Letter, Letterhead};
use read::{Names, blocks, declares_imdn};
use value::{escape, is_name, is_word, mailbox, parameters, unescape, uri_of, uri_text};

/// The media type of the messages.
pub const CONTENT_TYPE: &str = "message/cpim";

/// The namespace of the header fields of RFC 3862 section 4.
pub const CORE: &str = "urn:ietf:params:cpim-headers:";

/// The largest message that is read, in bytes.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;

/// How many messages may lie within each other, the outermost included.
pub const MAX_DEPTH: usize = 2;

/// The identity that hides both ends of a 1-1 chat; the real ones stand in the SIP dialog.
pub const ANONYMOUS: &str = "<sip:anonymous@anonymous.invalid>";

/// A message with its envelope.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cpim {
    /// The `From` value: `Formal name <uri>`. It proves nothing; the SIP identity does.
    pub from: Option<String>,
    /// The `To` values.
    pub to: Vec<String>,
    /// The `DateTime` value, as written.
    pub date_time: Option<String>,
    /// The first `Subject`, its escapes undone.
    pub subject: Option<String>,
    /// All other header fields, in order.
    pub headers: Vec<Header>,
    /// What the recipient must understand, as namespace and name (RFC 3862 section 3.5).
    pub required: Vec<(String, String)>,
    /// The type of the content, with its parameters.
    pub content_type: String,
    /// The other MIME header fields of the content.
    pub content_headers: Vec<(String, String)>,
    /// The content, its transfer encoding undone.
    pub body: Bytes,
}

/// A header field by its full name: prefixes are local to a message (RFC 3862 section 3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The URI of the namespace; empty where the prefix was never declared.
    pub namespace: String,
    /// The name without its prefix (with it where it was never declared).
    pub name: String,
    /// The language of the value (RFC 3862 section 3.3).
    pub language: Option<String>,
    /// The value, as written.
    pub value: String,
}

/// Why bytes are not a CPIM message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CpimError {
    /// More than [`MAX_BYTES`].
    #[error("the CPIM message has more than {MAX_BYTES} bytes")]
    TooLong,
    /// No header field, neither of the message nor of its content.
    #[error("the CPIM message has no header")]
    NoHeaders,
    /// A header block or a content that cannot be read.
    #[error("the CPIM message has {0}")]
    Mime(#[from] MimeError),
    /// More than [`MAX_DEPTH`] messages within each other.
    #[error("more than {MAX_DEPTH} CPIM messages within each other")]
    TooDeep,
}

impl Cpim {
    /// Reads a message; a message within it is checked, and left as it is in the body.
    ///
    /// # Errors
    /// Names what makes it no CPIM message.
    pub fn parse(bytes: Bytes) -> Result<Self, CpimError> {
        let message = Self::parse_one(bytes)?;
        let mut inner = message.within()?;
        for _ in 1..MAX_DEPTH {
            inner = match inner {
                Some(inner) => inner.within()?,
                None => return Ok(message),
            };
        }
        if inner.is_some() { Err(CpimError::TooDeep) } else { Ok(message) }
    }

    /// Wraps a text in UTF-8.
    #[must_use]
    pub fn text(from: &str, to: &str, date_time: Option<String>, text: &str) -> Self {
        let body = Bytes::copy_from_slice(text.as_bytes());
        Self::wrap(from, to, TEXT, body).sent_at(date_time)
    }

    /// Wraps any content.
    #[must_use]
    pub fn wrap(from: &str, to: &str, content_type: &str, body: Bytes) -> Self {
        Self {
            from: Some(from.to_owned()),
            to: vec![to.to_owned()],
            content_type: content_type.to_owned(),
            body,
            ..Self::default()
        }
    }

    /// Wraps a report under an id of its own (RFC 5438 section 7.2.1).
    #[must_use]
    pub fn notification(from: &str, to: &str, message_id: &str, report: &Imdn) -> Self {
        let mut message = Self::wrap(from, to, imdn::CONTENT_TYPE, report.write());
        message.content_headers.push(("Content-Disposition".into(), "notification".into()));
        message.with_imdn(message_id, false, false)
    }

    /// Sets the time at which the sender sent the message; RFC 5438 section 7.1.1.2 demands it of
    /// one that asks for reports.
    #[must_use]
    pub fn sent_at(mut self, date_time: Option<String>) -> Self {
        self.date_time = date_time;
        self
    }

    /// Gives the message an id, and asks for reports on its delivery and display.
    #[must_use]
    pub fn with_imdn(self, message_id: impl Into<String>, positive: bool, display: bool) -> Self {
        self.with_request(&Requested {
            message_id: Some(message_id.into()),
            positive_delivery: positive,
            display,
            ..Requested::default()
        })
    }

    /// Gives the message an id and asks for any reports, in place of what it had asked for.
    #[must_use]
    pub fn with_request(mut self, requested: &Requested) -> Self {
        self.headers.retain(|header| {
            !header.is(imdn::HEADER_NAMESPACE, MESSAGE_ID)
                && !header.is(imdn::HEADER_NAMESPACE, DISPOSITION)
        });
        if let Some(message_id) = &requested.message_id {
            let token: String = message_id.chars().filter(|c| is_word(*c)).collect();
            self.headers.push(Header::new(imdn::HEADER_NAMESPACE, MESSAGE_ID, token));
        }
        let wanted: Vec<&str> = requested.wishes().into_iter().flatten().collect();
        if !wanted.is_empty() {
            let wanted = wanted.join(", ");
            self.headers.push(Header::new(imdn::HEADER_NAMESPACE, DISPOSITION, wanted));
        }
        self
    }

    /// Reads the id of the message and the reports that its sender asks for.
    ///
    /// A report can ask for none, whatever it says (RFC 5438 section 7.2.1).
    #[must_use]
    pub fn imdn(&self) -> Requested {
        let message_id = self.get(imdn::HEADER_NAMESPACE, MESSAGE_ID);
        let message_id = message_id.filter(|id| !id.is_empty()).map(str::to_owned);
        let mut requested = Requested { message_id, ..Requested::default() };
        if !self.is_notification() {
            let headers = self.headers.iter();
            headers
                .filter(|header| header.is(imdn::HEADER_NAMESPACE, DISPOSITION))
                .for_each(|header| requested.ask(&header.value));
        }
        requested
    }

    /// Tells whether the content is a report, or several of them put together.
    #[must_use]
    pub fn is_notification(&self) -> bool {
        let is_report = |media_type: MediaType| media_type.essence() == imdn::CONTENT_TYPE;
        let disposition = mime::find(&self.content_headers, "Content-Disposition");
        self.media_type().is_some_and(is_report)
            || disposition.is_some_and(|value| {
                let value = value.split(';').next().unwrap_or_default();
                value.trim().eq_ignore_ascii_case("notification")
            })
    }

    /// Gives the value of the first header field of that full name; the name's case is passed over.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|header| header.is(namespace, name)).map(|header| header.value.as_str())
    }

    /// Names the first thing that the sender requires to be understood and that is not.
    ///
    /// RFC 4975 section 13 has every MSRP endpoint recognize `Require`.
    #[must_use]
    pub fn not_understood(&self) -> Option<&str> {
        let is_known = |(namespace, name): &&(String, String)| {
            let mut known = UNDERSTOOD.iter();
            known.any(|(ours, own)| ours == namespace && own.eq_ignore_ascii_case(name))
        };
        self.required.iter().find(|one| !is_known(one)).map(|(_, name)| name.as_str())
    }

    /// Gives the URI of the sender, without the URI headers that networks append to it.
    #[must_use]
    pub fn from_uri(&self) -> Option<&str> {
        uri_of(self.from.as_deref()?)
    }

    /// Gives the URIs of the recipients, without URI headers.
    pub fn to_uris(&self) -> impl Iterator<Item = &str> {
        self.to.iter().filter_map(|to| uri_of(to))
    }

    /// Gives the type of the content in its parts; `None` where it is not one.
    #[must_use]
    pub fn media_type(&self) -> Option<MediaType> {
        MediaType::parse(&self.content_type)
    }

    /// Gives the content as text, also that of a message within this one; see [`MediaType::text`].
    #[must_use]
    pub fn text_content(&self) -> Option<String> {
        match self.within() {
            Ok(Some(inner)) => inner.own_text(),
            Ok(None) | Err(_) => self.own_text(),
        }
    }

    /// Reads the message that is the content of this one, where it is one.
    ///
    /// # Errors
    /// The content says that it is a CPIM message, but is none.
    pub fn within(&self) -> Result<Option<Self>, CpimError> {
        let is_cpim = |media_type: MediaType| media_type.essence() == CONTENT_TYPE;
        if !self.media_type().is_some_and(is_cpim) {
            return Ok(None);
        }
        Self::parse_one(self.body.clone()).map(Some)
    }

    /// Writes the message in the strict form of RFC 3862.
    #[must_use]
    pub fn write(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.body.len() + 512);
        if let Some(from) = &self.from {
            mime::write_field(&mut out, "From", &mailbox(from));
        }
        for to in &self.to {
            mime::write_field(&mut out, "To", &mailbox(to));
        }
        let prefixes = self.prefixes();
        for (namespace, prefix) in &prefixes {
            mime::write_field(&mut out, "NS", &format!("{prefix} <{}>", uri_text(namespace)));
        }
        if let Some(date_time) = &self.date_time {
            mime::write_field(&mut out, "DateTime", date_time);
        }
        if let Some(subject) = &self.subject {
            mime::write_field(&mut out, "Subject", &escape(subject));
        }
        self.write_required(&mut out, &prefixes);
        for header in &self.headers {
            header.write(&mut out, prefixes.get(header.namespace.as_str()).map(String::as_str));
        }
        out.extend_from_slice(b"\r\n");
        mime::write_fields(&mut out, &self.content_type, &self.content_headers, self.body.len());
        out.extend_from_slice(&self.body);
        Bytes::from(out)
    }

    fn parse_one(bytes: Bytes) -> Result<Self, CpimError> {
        if bytes.len() > MAX_BYTES {
            return Err(CpimError::TooLong);
        }
        let (envelope, content, body) = blocks(bytes)?;
        if envelope.is_empty() && content.is_empty() {
            return Err(CpimError::NoHeaders);
        }
        let entity = Entity::new(content, body)?;
        let mut message = Self {
            content_type: entity.content_type,
            content_headers: entity.headers,
            body: entity.body,
            ..Self::default()
        };
        let mut names = Names::declared_in(&envelope);
        for (name, value) in &envelope {
            if !names.switch_default(name, value) {
                message.take(&names, name, value);
            }
        }
        // What peers need not say, we do: who is passed the message on must be able to read it.
        if message.most_fields(&envelope) > mime::MAX_HEADERS {
            return Err(MimeError::TooManyHeaders.into());
        }
        Ok(message)
    }

    /// Tells how many fields the larger of the two blocks has when it is written, at most: a prefix
    /// that was not declared is, and the content gets its type and its length.
    fn most_fields(&self, envelope: &[Field]) -> usize {
        let is_imdn = |namespace: &str| namespace == imdn::HEADER_NAMESPACE;
        let uses_imdn = self.headers.iter().any(|header| is_imdn(&header.namespace))
            || self.required.iter().any(|(namespace, _)| is_imdn(namespace));
        let is_declared = || envelope.iter().any(|(name, value)| declares_imdn(name, value));
        let undeclared = usize::from(uses_imdn && !is_declared());
        (envelope.len() + undeclared).max(self.content_headers.len() + 2)
    }

    fn own_text(&self) -> Option<String> {
        self.media_type()?.text(&self.body)
    }

    fn take(&mut self, names: &Names, name: &str, value: &str) {
        let (namespace, name) = names.resolve(name);
        let (language, value) = parameters(value);
        let header = Header { namespace, name, language, value };
        if header.namespace != CORE {
            self.headers.push(header);
            return;
        }
        match header.name.to_ascii_lowercase().as_str() {
            "from" if self.from.is_none() => self.from = Some(header.value),
            "to" => self.to.push(header.value),
            "datetime" if self.date_time.is_none() => self.date_time = Some(header.value),
            "subject" if self.subject.is_none() => self.subject = Some(unescape(&header.value)),
            "require" => {
                let required =
                    header.value.split(',').map(str::trim).filter(|name| !name.is_empty());
                self.required.extend(required.map(|name| names.resolve(name)));
            }
            _ => self.headers.push(header),
        }
    }

    fn write_required(&self, out: &mut Vec<u8>, prefixes: &BTreeMap<&str, String>) {
        let names = self.required.iter().filter(|(_, name)| is_name(name));
        let names = names.filter_map(|(namespace, name)| {
            let prefix = prefixes.get(namespace.as_str());
            prefix
                .map(|prefix| format!("{prefix}.{name}"))
                .or_else(|| (namespace == CORE).then(|| name.clone()))
        });
        let names: Vec<String> = names.collect();
        if !names.is_empty() {
            mime::write_field(out, "Require", &names.join(","));
        }
    }

    /// Chooses a prefix for each namespace but the core's.
    fn prefixes(&self) -> BTreeMap<&str, String> {
        let mut prefixes = BTreeMap::new();
        let used = self.headers.iter().map(|header| header.namespace.as_str());
        let used = used.chain(self.required.iter().map(|(namespace, _)| namespace.as_str()));
        for namespace in used {
            let next = prefixes.len() + 1;
            if namespace == imdn::HEADER_NAMESPACE {
                prefixes.insert(namespace, "imdn".to_owned());
            } else if namespace != CORE && !namespace.is_empty() {
                prefixes.entry(namespace).or_insert_with(|| format!("ns{next}"));
            }
        }
        prefixes
    }
}

impl Header {
    /// Makes a header field of the namespace `namespace`, [`CORE`] for those of RFC 3862.
    #[must_use]
    pub fn new(namespace: &str, name: &str, value: impl Into<String>) -> Self {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Self { namespace, name, language: None, value: value.into() }
    }

    fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name.eq_ignore_ascii_case(name)
    }

    /// Writes the field; one whose name cannot stand, or whose prefix is unknown, is left out.
    fn write(&self, out: &mut Vec<u8>, prefix: Option<&str>) {
        if !is_name(&self.name) {
            return;
        }
        let name = match prefix {
            Some(prefix) => format!("{prefix}.{}", self.name),
            None if self.namespace == CORE => self.name.clone(),
            None => return,
        };
        let parameter = self.language.as_ref().map(|tag| {
            let tag = tag.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-');
            format!(";lang={}", tag.collect::<String>())
        });
        mime::write_field_with(out, &name, &parameter.unwrap_or_default(), &self.value);
    }
}

impl Requested {
    /// Adds what a `Disposition-Notification` value asks for; unknown words are passed over.
    fn ask(&mut self, value: &str) {
        for word in value.split(',') {
            let word = word.split(';').next().unwrap_or_default().trim();
            match word.to_ascii_lowercase().as_str() {
                "positive-delivery" => self.positive_delivery = true,
                "negative-delivery" => self.negative_delivery = true,
                "display" => self.display = true,
                "processing" => self.processing = true,
                _ => {}
            }
        }
    }

    fn wishes(&self) -> [Option<&'static str>; 4] {
        [
            self.positive_delivery.then_some("positive-delivery"),
            self.negative_delivery.then_some("negative-delivery"),
            self.display.then_some("display"),
            self.processing.then_some("processing"),
        ]
    }
}

const TEXT: &str = "text/plain;charset=UTF-8";
const MESSAGE_ID: &str = "Message-ID";
const DISPOSITION: &str = "Disposition-Notification";

/// The header fields that a sender may require.
const UNDERSTOOD: [(&str, &str); 9] = [
    (CORE, "From"),
    (CORE, "To"),
    (CORE, "cc"),
    (CORE, "DateTime"),
    (CORE, "Subject"),
    (CORE, "NS"),
    (CORE, "Require"),
    (imdn::HEADER_NAMESPACE, MESSAGE_ID),
    (imdn::HEADER_NAMESPACE, DISPOSITION),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::payload::imdn::{DisplayStatus, Report};

    #[test]
    fn a_message_is_written_as_rfc_3862_has_it() {
        let message = Cpim::text(ANONYMOUS, "tel:+447700900002", Some(DATE.into()), "Grüße")
            .with_imdn("Msg34jk324j", true, true);
        assert_eq!(
            written(&message),
            "From: <sip:anonymous@anonymous.invalid>\r\n\
             To: <tel:+447700900002>\r\n\
             NS: imdn <urn:ietf:params:imdn>\r\n\
             DateTime: 2006-04-04T12:16:49-05:00\r\n\
             imdn.Message-ID: Msg34jk324j\r\n\
             imdn.Disposition-Notification: positive-delivery, display\r\n\
             \r\n\
             Content-Type: text/plain;charset=UTF-8\r\n\
             Content-Length: 7\r\n\
             \r\n\
             Grüße"
        );
    }

    #[test]
    fn a_report_is_wrapped_under_an_id_of_its_own() {
        let report = Imdn::new("Msg34jk324j", None, Report::Display(DisplayStatus::Displayed));
        let message = read(&written(&Cpim::notification(ANONYMOUS, ANONYMOUS, "own", &report)));
        assert!(message.is_notification());
        assert_eq!(message.imdn().message_id.as_deref(), Some("own"));
        assert_eq!(message.content_headers, [field("Content-Disposition", "notification")]);
        assert_eq!(Imdn::parse_all(&message.content_type, &message.body), Ok(vec![report]));
    }

    #[test]
    fn a_report_asks_for_no_report() {
        let message = read(
            "imdn.Message-ID: a\r\nimdn.Disposition-Notification: display\r\n\r\n\
             Content-Type: message/imdn+xml\r\n\r\n",
        );
        let none = Requested { message_id: Some("a".into()), ..Requested::default() };
        assert_eq!(message.imdn(), none);
    }

    #[test]
    fn every_wish_is_read_and_unknown_words_are_passed_over() {
        let message = read(
            "n.Disposition-Notification: Negative-Delivery ;x=y,later,  processing\r\n\
             NS: n <urn:ietf:params:imdn>\r\n\r\nContent-Type: text/plain\r\n\r\n",
        );
        let asked = Requested {
            message_id: None,
            negative_delivery: true,
            processing: true,
            ..Requested::default()
        };
        assert_eq!(message.imdn(), asked);
        assert_eq!(read(&written(&message)).imdn(), asked);
        assert_eq!(message.with_request(&Requested::default()).headers, []);
    }

    #[test]
    fn what_peers_get_wrong_is_read() {
        let plain = "hello";
        for sloppy in [
            // No blank line between the blocks (RFC 4975 figure 14, RFC 7701).
            "To: <sip:b@example.com>\r\nFrom: A <sip:a@example.com>\r\nContent-Type: text/plain\r\n\r\nhello",
            // Names in another case, spaces before the colon, bare LF.
            "FROM : A <sip:a@example.com>\nto:<sip:b@example.com>\n\ncontent-type : Text/Plain;\n\nhello",
            // The MIME header of the message repeated (RFC 3862 section 5.1).
            "Content-type: Message/CPIM\r\n\r\nFrom: A <sip:a@example.com>\r\n\
             To: <sip:b@example.com>\r\n\r\nContent-type: text/plain\r\n\r\nhello",
            // The core namespace under a prefix.
            "NS: c <urn:ietf:params:cpim-headers:>\r\nc.From: A <sip:a@example.com>\r\n\
             c.To: <sip:b@example.com>\r\n\r\nContent-Type: text/plain\r\n\r\nhello",
            // No MIME header, with and without its blank line; folded lines.
            "From: A\r\n <sip:a@example.com>\r\nTo: <sip:b@example.com>\r\n\r\n\r\nhello",
            "From: A <sip:a@example.com>\r\nTo: <sip:b@example.com>\r\n\r\nhello",
        ] {
            let message = read(sloppy);
            assert_eq!(message.from.as_deref(), Some("A <sip:a@example.com>"), "{sloppy}");
            assert_eq!(message.to, ["<sip:b@example.com>"], "{sloppy}");
            assert_eq!(message.headers, [], "{sloppy}");
            assert_eq!(message.text_content().as_deref(), Some(plain), "{sloppy}");
        }
    }

    #[test]
    fn a_message_may_have_no_envelope_and_no_content() {
        let message = read("Subject: test\r\n\r\nContent-Type: text/plain\r\n\r\n");
        assert_eq!((message.from.as_deref(), message.to.as_slice()), (None, &[][..]));
        assert_eq!(message.subject.as_deref(), Some("test"));
        assert_eq!(message.text_content().as_deref(), Some(""));
        let message = read("\r\nContent-Type: text/plain\r\n\r\nhi");
        assert_eq!(message.text_content().as_deref(), Some("hi"));
        let message = read("From: <sip:a@example.com>\r\n\r\nContent-Type: text/plain");
        assert_eq!(message.text_content().as_deref(), Some(""));
    }

    #[test]
    fn networks_append_headers_to_the_sender() {
        let message = read(
            "From: \"A <b>\" <tel:+336?Accept-Contact=%2Bsip.instance%3D%22x%22>\r\n\
             To: sip:b@example.com\r\n\r\n\r\n",
        );
        assert_eq!(message.from_uri(), Some("tel:+336"));
        assert_eq!(message.to_uris().collect::<Vec<_>>(), ["sip:b@example.com"]);
    }

    #[test]
    fn transfer_encodings_are_undone() {
        let message = read(
            "NS: imdn<urn:ietf:params:imdn>\r\nimdn.Message-ID: 1\r\n\r\n\
             Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: BASE64\r\n\r\n\
             5L2g\r\n5aW9\r\n",
        );
        assert_eq!(message.imdn().message_id.as_deref(), Some("1"));
        assert_eq!(message.text_content().as_deref(), Some("你好"));
        assert!(!written(&message).contains("Transfer-Encoding"));
        for (encoding, body, fault) in [
            ("base64", "!", MimeError::BadEncoding),
            ("quoted-printable", "=zz", MimeError::BadEncoding),
            ("x-uuencode", "!", MimeError::UnknownEncoding),
        ] {
            let text = format!("\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}");
            assert_eq!(Cpim::parse(text.into()), Err(CpimError::Mime(fault)));
        }
    }

    #[test]
    fn a_namespace_that_cannot_be_written_is_none() {
        let message = read("NS:<<<\r\nx: y\r\n\r\nContent-Type: text/plain\r\n\r\n");
        assert_eq!(message.headers, [Header::new(CORE, "x", "y")]);
        assert_eq!(read(&written(&message)), message);
    }

    #[test]
    fn text_is_text_in_its_charset() {
        for (content_type, body, text) in [
            ("text/plain", &b"\xc3\xbc"[..], Some("ü")),
            ("TEXT/HTML; charset=\"ISO-8859-1\"", b"\xfc", Some("ü")),
            ("text/plain;charset=utf-8", b"\xfc", None),
            ("text/plain;charset=utf-16", b"\0a", None),
            ("text/plain", b"a\0b", None),
            ("application/octet-stream", b"a", None),
            ("nonsense", b"a", None),
        ] {
            let message = Cpim::wrap("a", "b", content_type, Bytes::from_static(body));
            assert_eq!(message.text_content().as_deref(), text, "{content_type}");
        }
    }

    #[test]
    fn a_requirement_is_understood_or_named() {
        let head = "NS: My <urn:x>\r\nNS: i <urn:ietf:params:imdn>\r\nRequire: ";
        let message = read(&format!("{head}i.message-id, To, My.Vital\r\n\r\n\r\n"));
        assert_eq!(message.not_understood(), Some("Vital"));
        assert_eq!(read(&written(&message)).required, message.required);
        let message = read(&format!("{head}i.Message-ID,DateTime\r\n\r\n\r\n"));
        assert_eq!(message.not_understood(), None);
        let message = read("Require: Undeclared.Thing\r\n\r\n\r\n");
        assert_eq!(message.not_understood(), Some("Undeclared.Thing"));
    }

    #[test]
    fn languages_and_escapes_survive() {
        let message =
            read("Subject:;lang=fr beau \\u00e9\\n\\x\r\nX:;lang=de;q=\"; \" ;y\r\n\r\n\r\n");
        assert_eq!(message.subject.as_deref(), Some("beau é\n\\x"));
        let header = Header { language: Some("de".into()), ..Header::new(CORE, "X", ";y") };
        assert_eq!(message.headers, [header]);
        let again = read(&written(&message));
        assert_eq!((&again.subject, &again.headers), (&message.subject, &message.headers));
    }

    #[test]
    fn no_value_breaks_out_of_its_header() {
        let evil = "x\r\nTo: <sip:evil@example.com>\r\n\r\nContent-Type: text/html\r\n\r\n";
        let mut message = Cpim::wrap(evil, evil, evil, Bytes::from_static(b"b"));
        message.to.push("a> <sip:evil@example.com".into());
        message.to.push("\"a\" b\\\" <sip:b@example.com>".into());
        message.date_time = Some(evil.into());
        message.subject = Some(evil.into());
        message.headers.push(Header::new(evil, "Good", evil));
        message.headers.push(Header::new(imdn::HEADER_NAMESPACE, "Ba\nd", "x"));
        message.content_headers.push(field(evil, evil));
        let message = message.with_imdn(evil, true, false);
        let text = written(&message);
        let (envelope, rest) = text.split_once("\r\n\r\n").unwrap();
        let (content, body) = rest.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "b");
        let names = |block: &str| -> Vec<String> {
            block.lines().map(|line| line.split(':').next().unwrap().to_owned()).collect()
        };
        assert_eq!(
            names(envelope),
            [
                "From",
                "To",
                "To",
                "To",
                "NS",
                "NS",
                "DateTime",
                "Subject",
                "ns1.Good",
                "imdn.Message-ID",
                "imdn.Disposition-Notification"
            ]
        );
        assert_eq!(names(content).len(), 3);
        let again = read(&text);
        assert_eq!(again.subject.as_deref(), Some(evil));
        assert_eq!(again.to.len(), 3);
    }

    #[test]
    fn s20_hostile_messages_are_refused() {
        let nested = |depth: usize| {
            let wrapper = "From: <sip:a@example.com>\r\n\r\nContent-Type: message/cpim\r\n\r\n";
            Bytes::from(wrapper.repeat(depth - 1) + "\r\nContent-Type: text/plain\r\n\r\nin")
        };
        let inner = Cpim::parse(nested(2)).unwrap();
        assert_eq!(inner.text_content().as_deref(), Some("in"));
        assert_eq!(Cpim::parse(nested(3)), Err(CpimError::TooDeep));
        assert_eq!(Cpim::parse(nested(100)), Err(CpimError::TooDeep));
        let prefixes: String = (0..1000).map(|n| format!("NS: p{n} <urn:{n}>\r\n")).collect();
        let long = format!("Subject: {}\r\n\r\n\r\n", "x".repeat(20_000));
        for (text, fault) in [
            (format!("{prefixes}\r\n\r\n"), MimeError::TooManyHeaders),
            (long, MimeError::HeadersTooLong),
            ("From: <sip:a\0@example.com>\r\n\r\n\r\n".into(), MimeError::ControlCharacter),
            ("From: a\rTo: b\r\n\r\n\r\n".into(), MimeError::ControlCharacter),
            ("hello".into(), MimeError::NotAHeader),
            ("From: a\r\n\r\nContent-Type: text/plain\r\nhello".into(), MimeError::NotAHeader),
        ] {
            assert_eq!(Cpim::parse(text.clone().into()), Err(CpimError::Mime(fault)), "{text}");
        }
        let not_utf8 = Cpim::parse(Bytes::from_static(b"Subject: \xff\r\n\r\n\r\n"));
        assert_eq!(not_utf8, Err(CpimError::Mime(MimeError::NotUtf8)));
        assert_eq!(Cpim::parse(Bytes::new()), Err(CpimError::NoHeaders));
        let huge = Cpim::parse(vec![b'a'; MAX_BYTES + 1].into());
        assert_eq!(huge, Err(CpimError::TooLong));
    }

    #[test]
    fn s20_what_has_no_room_for_what_we_add_is_refused() {
        for declared in ["", "NS: imdn <urn:ietf:params:imdn>\r\n"] {
            for (count, is_taken) in [(62, true), (63, true), (64, !declared.is_empty())] {
                let others = count - 1 - declared.lines().count();
                let others: String = (0..others).map(|n| format!("To: <sip:{n}@h>\r\n")).collect();
                let text = format!("{declared}{others}Require: imdn.Message-ID\r\n\r\n\r\nhello");
                let message = Cpim::parse(text.into());
                assert_eq!(message.is_ok(), is_taken, "{count} {declared}");
                assert!(message.is_ok_and(|it| Cpim::parse(it.write()).is_ok()) == is_taken);
            }
        }
        let content: String = (0..63).map(|n| format!("Content-X{n}: y\r\n")).collect();
        let refused = Cpim::parse(format!("From: <sip:a@h>\r\n\r\n{content}\r\nhello").into());
        assert_eq!(refused, Err(CpimError::Mime(MimeError::TooManyHeaders)));
    }

    proptest! {
        #[test]
        fn any_message_survives_a_round_trip(message in messages()) {
            prop_assert_eq!(Cpim::parse(message.write()), Ok(message));
        }

        #[test]
        fn any_values_stay_within_their_headers(text in ".*", name in ".*", body in ".*") {
            let mut message = Cpim::text(&text, &name, Some(text.clone()), &body);
            message.subject = Some(text.clone());
            message.headers.push(Header::new(&text, &name, text.clone()));
            let message = message.with_imdn(name, true, true);
            let again = Cpim::parse(message.write()).unwrap();
            prop_assert_eq!(again.body, message.body);
            prop_assert_eq!(again.to.len(), 1);
            prop_assert!(again.headers.len() <= message.headers.len());
        }

        #[test]
        fn no_bytes_cause_a_panic(bytes: Vec<u8>) {
            let _ = Cpim::parse(bytes.into());
        }

        #[test]
        fn no_lines_cause_a_panic(text in "((NS|From|content-type|a\\.b|): ?[;<>\"\\\\a-z/=é]{0,9}\r?\n){0,6}\r?\n?.{0,20}") {
            if let Ok(message) = Cpim::parse(text.into()) {
                let _ = (message.imdn(), message.from_uri().is_some(), message.text_content());
                Cpim::parse(message.write()).unwrap();
            }
        }
    }

    const DATE: &str = "2006-04-04T12:16:49-05:00";

    fn messages() -> impl Strategy<Value = Cpim> {
        let mailbox =
            "([A-Z][a-zé]{0,5} )?<(tel:\\+[0-9]{1,9}|sip:[a-z]{1,5}@[a-z]{1,5}\\.example)>";
        let header = (
            "urn:[a-z]{1,4}",
            "[A-Za-z-]{1,9}",
            proptest::option::of("[a-z]{2}(-[A-Z]{2})?"),
            "([!-~é]([ -~é]{0,20}[!-~é])?)?",
        )
            .prop_map(|(namespace, name, language, value)| Header {
                namespace,
                name,
                language,
                value,
            });
        (
            proptest::option::of(mailbox),
            proptest::collection::vec(mailbox, 0..3),
            proptest::option::of("[0-9:TZ-]{1,20}"),
            proptest::option::of("[!-~é\\\\]([ -~é\\\\\n\r\t\u{1}]{0,20}[!-~é\\\\])?"),
            proptest::collection::vec(header, 0..4),
            "(text|application)/[a-z]{1,9}(;[a-z]{1,4}=[a-z]{1,4})?",
            proptest::collection::vec(("Content-X[a-z]{1,5}", "[a-z]{1,9}"), 0..2),
            proptest::collection::vec(any::<u8>(), 0..50),
        )
            .prop_map(
                |(from, to, date_time, subject, headers, content_type, content_headers, body)| {
                    let body = Bytes::from(body);
                    let required = Vec::new();
                    Cpim {
                        from,
                        to,
                        date_time,
                        subject,
                        headers,
                        required,
                        content_type,
                        content_headers,
                        body,
                    }
                },
            )
    }

    fn read(text: &str) -> Cpim {
        Cpim::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn written(message: &Cpim) -> String {
        String::from_utf8(message.write().to_vec()).unwrap()
    }

    fn field(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }
}
