//! CPIM messages (RFC 3862) with the header fields of IMDN (RFC 5438).
//!
//! What deployed peers get wrong and is read all the same: names in any case, `NS: imdn<urn…>`
//! without the space, other prefixes, no blank line between the two header blocks, no MIME header
//! at all, the MIME header of the wrapper repeated, folded lines, bare LF.

use std::collections::BTreeMap;

use bytes::Bytes;
use thiserror::Error;

use super::imdn::{self, Imdn, Requested};
use super::mime::{self, Block, Entity, Field, MediaType, MimeError, read_block};

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
        Self::wrap(from, to, "text/plain;charset=UTF-8", body).sent_at(date_time)
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

    /// Gives the content as text, also that of a message within this one.
    ///
    /// `None` where the type is not `text/*`, the charset is unknown, or the bytes are not what the
    /// charset says; a NUL is no text either.
    #[must_use]
    pub fn text_content(&self) -> Option<String> {
        if let Ok(Some(inner)) = self.within() {
            return inner.text_content();
        }
        let media_type = self.media_type().filter(|one| one.family() == "text")?;
        let charset = media_type.parameter("charset").unwrap_or("utf-8").to_ascii_lowercase();
        let text = match charset.as_str() {
            "utf-8" | "utf8" | "us-ascii" | "ascii" | "" => {
                str::from_utf8(&self.body).ok()?.to_owned()
            }
            "iso-8859-1" | "latin1" => self.body.iter().copied().map(char::from).collect(),
            _ => return None,
        };
        (!text.contains('\0')).then_some(text)
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
        resolve(envelope).into_iter().for_each(|header| message.take(header));
        Ok(message)
    }

    fn take(&mut self, header: Header) {
        if header.namespace != CORE {
            self.headers.push(header);
            return;
        }
        match header.name.to_ascii_lowercase().as_str() {
            "from" if self.from.is_none() => self.from = Some(header.value),
            "to" => self.to.push(header.value),
            "datetime" if self.date_time.is_none() => self.date_time = Some(header.value),
            "subject" if self.subject.is_none() => self.subject = Some(unescape(&header.value)),
            _ => self.headers.push(header),
        }
    }

    /// Chooses a prefix for each namespace but the core's.
    fn prefixes(&self) -> BTreeMap<&str, String> {
        let mut prefixes = BTreeMap::new();
        for header in &self.headers {
            let namespace = header.namespace.as_str();
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
        let is_name = mime::is_token(&self.name) && !self.name.contains('.');
        let name = match prefix {
            Some(prefix) => format!("{prefix}.{}", self.name),
            None if self.namespace == CORE => self.name.clone(),
            None => return,
        };
        if is_name {
            let parameter = self.language.as_ref().map(|tag| {
                let tag = tag.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-');
                format!(";lang={}", tag.collect::<String>())
            });
            mime::write_field_with(out, &name, &parameter.unwrap_or_default(), &self.value);
        }
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

const MESSAGE_ID: &str = "Message-ID";
const DISPOSITION: &str = "Disposition-Notification";

/// Splits a message into the header fields of its envelope, those of its content, and the content.
fn blocks(bytes: Bytes) -> Result<(Vec<Field>, Vec<Field>, Bytes), CpimError> {
    let first = read_block(&bytes)?;
    let rest = first.rest.unwrap_or_default();
    let (content, envelope): (Vec<Field>, Vec<Field>) =
        first.fields.into_iter().partition(|(name, _)| is_mime(name));
    if content.is_empty() {
        let (content, body) = content_block(rest)?;
        return Ok((envelope, content, body));
    }
    let wraps_itself = envelope.is_empty() && says_cpim(&content);
    if wraps_itself {
        // The MIME header of the message itself, as in RFC 3862 section 5.1, not of its content.
        let second = read_block(&rest)?;
        let (content, envelope): (Vec<Field>, Vec<Field>) =
            second.fields.into_iter().partition(|(name, _)| is_mime(name));
        let rest = second.rest.unwrap_or_default();
        if content.is_empty() {
            let (content, body) = content_block(rest)?;
            return Ok((envelope, content, body));
        }
        return Ok((envelope, content, rest));
    }
    Ok((envelope, content, rest))
}

/// Reads the MIME header fields behind the envelope; where there are none, all is content.
fn content_block(rest: Bytes) -> Result<(Vec<Field>, Bytes), CpimError> {
    let (first_line, after) = mime::line_at(&rest, 0);
    if first_line.is_empty() {
        return Ok((Vec::new(), rest.slice(after..)));
    }
    let announces_mime = first_line.get(..8).is_some_and(|head| head.eq_ignore_ascii_case(b"content-"));
    match read_block(&rest) {
        Ok(Block { fields, rest: body }) if fields.iter().any(|(name, _)| is_mime(name)) => {
            Ok((fields, body.unwrap_or_default()))
        }
        Err(error) if announces_mime => Err(error.into()),
        Ok(_) | Err(_) => Ok((Vec::new(), rest)),
    }
}

fn is_mime(name: &str) -> bool {
    let starts_with = |head: &str| {
        name.get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head))
    };
    starts_with("Content-") || starts_with("MIME-")
}

fn says_cpim(fields: &[Field]) -> bool {
    mime::find(fields, "Content-Type")
        .and_then(MediaType::parse)
        .is_some_and(|media_type| media_type.essence() == CONTENT_TYPE)
}

/// Replaces prefixes by the namespaces they stand for, and drops the declarations.
fn resolve(fields: Vec<Field>) -> Vec<Header> {
    let mut by_prefix = BTreeMap::new();
    let declarations = fields.iter().filter(|(name, _)| is_declaration(name));
    for (prefix, namespace) in declarations.filter_map(|(_, value)| declaration(value)) {
        by_prefix.insert(prefix.to_ascii_lowercase(), namespace.to_owned());
    }
    // Peers use the prefix of RFC 5438 without declaring it.
    by_prefix.entry("imdn".to_owned()).or_insert_with(|| imdn::HEADER_NAMESPACE.to_owned());
    let mut default = CORE.to_owned();
    let mut headers = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        if is_declaration(&name) {
            if let Some(("", namespace)) = declaration(&value) {
                namespace.clone_into(&mut default);
            }
            continue;
        }
        let (language, value) = parameters(&value);
        let known = name.split_once('.').map(|(prefix, local)| {
            let namespace = by_prefix.get(&prefix.to_ascii_lowercase());
            namespace.map_or((String::new(), name.as_str()), |one| (one.clone(), local))
        });
        let (namespace, local) = known.unwrap_or_else(|| (default.clone(), name.as_str()));
        headers.push(Header { namespace, name: local.to_owned(), language, value });
    }
    headers
}

fn is_declaration(name: &str) -> bool {
    name.eq_ignore_ascii_case("NS")
}

/// Reads `prefix <uri>`, also without the space; the default namespace has an empty prefix.
fn declaration(value: &str) -> Option<(&str, &str)> {
    let (prefix, uri) = value.split_once('<')?;
    let uri = uri.split('>').next().unwrap_or_default().trim();
    (!uri.is_empty()).then(|| (prefix.trim(), uri))
}

/// Cuts `;name=value` off the beginning of a value, and keeps the language.
fn parameters(value: &str) -> (Option<String>, String) {
    let mut language = None;
    let mut rest = value;
    while let Some(parameter) = rest.strip_prefix(';') {
        let end = parameter_end(parameter);
        let (parameter, after) = parameter.split_at(end);
        if let Some((name, tag)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("lang")
        {
            language = Some(tag.trim().to_owned());
        }
        rest = after;
    }
    (language, rest.trim().to_owned())
}

/// Finds the end of a parameter: a space, or the `;` of the next one, outside quotes.
fn parameter_end(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' | '\t' | ';' if !quoted => return index,
            _ => {}
        }
    }
    text.len()
}

/// Cuts the URI out of `Formal name <uri>` and takes off `?headers`.
fn uri_of(value: &str) -> Option<&str> {
    let uri = match value.rsplit_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => value,
    };
    let uri = uri.split('?').next().unwrap_or_default().trim();
    (!uri.is_empty()).then_some(uri)
}

/// Makes `[Formal name] <uri>` (RFC 3862 section 4.1) of that or of a bare URI.
fn mailbox(value: &str) -> String {
    let (name, uri) = match value.rsplit_once('<') {
        Some((name, rest)) => (name.trim(), rest.split('>').next().unwrap_or_default()),
        None => ("", value),
    };
    let uri = uri_text(uri);
    let is_string = name.len() >= 2 && name.starts_with('"') && name.ends_with('"');
    let inner = name.get(1..name.len().saturating_sub(1)).unwrap_or_default();
    match name {
        "" => format!("<{uri}>"),
        _ if name.split(' ').all(|word| !word.is_empty() && word.chars().all(is_word)) => {
            format!("{name} <{uri}>")
        }
        _ if is_string && is_quoted_content(inner) => format!("{name} <{uri}>"),
        _ => format!("\"{}\" <{uri}>", escape(name).replace('"', "\\\"")),
    }
}

/// Tells whether text may stand between the quotes of a String (RFC 3862 section 3.6).
fn is_quoted_content(text: &str) -> bool {
    let mut escaped = false;
    for c in text.chars() {
        if c.is_control() || (c == '"' && !escaped) {
            return false;
        }
        escaped = c == '\\' && !escaped;
    }
    !escaped
}

/// Keeps what may stand between angle brackets.
fn uri_text(uri: &str) -> String {
    let kept = |c: &char| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | '"');
    uri.chars().filter(kept).collect()
}

/// `TOKENCHAR` of RFC 3862 section 3.6.
fn is_word(c: char) -> bool {
    let separators = "()<>@,;:\\\"/[]?={} ";
    !c.is_control() && !c.is_whitespace() && !separators.contains(c)
}

/// Writes what a header value cannot hold as escapes (RFC 3862 section 3.6).
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// Undoes [`escape`]; a backslash that begins no escape stands for itself.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let (c, length) = escaped(after).unwrap_or(('\\', 0));
        out.push(c);
        rest = after.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Reads what follows a backslash: the character, and the bytes it took.
fn escaped(after: &str) -> Option<(char, usize)> {
    let c = match after.chars().next()? {
        'b' => '\u{8}',
        't' => '\t',
        'n' => '\n',
        'r' => '\r',
        same @ ('"' | '\'' | '\\') => same,
        'u' => {
            let digits = after.get(1..5)?;
            let all_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let code = u32::from_str_radix(digits, 16).ok().filter(|_| all_hex)?;
            return Some((char::from_u32(code)?, 5));
        }
        _ => return None,
    };
    Some((c, 1))
}
