//! MIME as bodies use it: header fields, media types, transfer encodings (RFC 2045).

use std::borrow::Cow;

use bytes::Bytes;
use thiserror::Error;

/// The largest number of header fields in a block.
pub(super) const MAX_HEADERS: usize = 64;
/// The largest block of header fields, in bytes.
pub(super) const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Why bytes are not a MIME entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MimeError {
    /// More than 64 fields in one block.
    #[error("more than {MAX_HEADERS} header fields")]
    TooManyHeaders,
    /// More than 16 KiB in one block.
    #[error("header fields of more than {MAX_HEADER_BYTES} bytes")]
    HeadersTooLong,
    /// A line that is not a name, a colon and a value.
    #[error("a header line without a name and a colon")]
    NotAHeader,
    /// A control character within a line, NUL and a lone CR among them.
    #[error("a control character in a header field")]
    ControlCharacter,
    /// A field that is not UTF-8.
    #[error("a header field that is not UTF-8")]
    NotUtf8,
    /// The input ends before the blank line that ends the header fields.
    #[error("no blank line after the header fields")]
    NoBlankLine,
    /// A `Content-Transfer-Encoding` that RFC 2045 does not know.
    #[error("an unknown Content-Transfer-Encoding")]
    UnknownEncoding,
    /// A body that is not what its `Content-Transfer-Encoding` says.
    #[error("a body that does not match its Content-Transfer-Encoding")]
    BadEncoding,
}

/// A media type with its parameters (RFC 2045 section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    essence: String,
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Reads a `Content-Type` value; `None` where it does not begin with `type/subtype`.
    ///
    /// A trailing `;` and parameters without a value are passed over.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut fields = split_outside_quotes(value, ';');
        let essence = fields.next()?.trim();
        let (family, subtype) = essence.split_once('/')?;
        if !is_token(family) || !is_token(subtype) {
            return None;
        }
        let parameters = fields
            .filter_map(|field| field.split_once('='))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), unquote(value.trim())))
            .filter(|(name, _)| is_token(name))
            .take(MAX_HEADERS)
            .collect();
        Some(Self { essence: essence.to_ascii_lowercase(), parameters })
    }

    /// Gives `type/subtype` in lower case.
    #[must_use]
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// Gives the type before the slash in lower case.
    #[must_use]
    pub fn family(&self) -> &str {
        self.essence.split('/').next().unwrap_or_default()
    }

    /// Gives the value of a parameter, quotes removed; names are matched in any case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Reads a body of this type as text; UTF-8 where no charset is named.
    ///
    /// `None` where the type is not `text/*`, the charset is unknown, or the bytes are not what the
    /// charset says; a NUL is no text either.
    #[must_use]
    pub fn text(&self, body: &[u8]) -> Option<String> {
        if self.family() != "text" {
            return None;
        }
        let charset = self.parameter("charset").unwrap_or_default().to_ascii_lowercase();
        let text = match charset.as_str() {
            "utf-8" | "utf8" | "us-ascii" | "ascii" | "" => str::from_utf8(body).ok()?.to_owned(),
            "iso-8859-1" | "latin1" => body.iter().copied().map(char::from).collect(),
            _ => return None,
        };
        (!text.contains('\0')).then_some(text)
    }
}

/// A field as it stands in its block: the name in its own case, the value unfolded, and all that
/// stands between the colon and the value still before it, because CPIM gives it a meaning.
pub(super) type Field = (String, String);

/// The block of header fields at the beginning of `input`, and what follows the blank line.
pub(super) struct Block {
    /// The fields, in order.
    pub(super) fields: Vec<Field>,
    /// What stands behind the blank line; nothing where there is none.
    pub(super) rest: Option<Bytes>,
}

/// Reads a block of header fields; lines end in CRLF or LF and may be folded.
///
/// Without a blank line the block reaches to the end of the input.
pub(super) fn read_block(input: &Bytes) -> Result<Block, MimeError> {
    let mut fields: Vec<Field> = Vec::new();
    let mut at = 0;
    while at < input.len() {
        let (line, next) = line_at(input, at);
        if line.is_empty() {
            return Ok(Block { fields, rest: Some(input.slice(next..)) });
        }
        if next > MAX_HEADER_BYTES {
            return Err(MimeError::HeadersTooLong);
        }
        let line = str::from_utf8(line).map_err(|_| MimeError::NotUtf8)?;
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(MimeError::ControlCharacter);
        }
        if line.starts_with([' ', '\t'])
            && let Some((_, value)) = fields.last_mut()
        {
            value.push(' ');
            value.push_str(line.trim());
        } else if fields.len() == MAX_HEADERS {
            return Err(MimeError::TooManyHeaders);
        } else {
            fields.push(field(line)?);
        }
        at = next;
    }
    Ok(Block { fields, rest: None })
}

/// Finds a field by its name, in any case.
pub(super) fn find<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
    fields
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim_start())
}

/// What the header fields of an entity say, and its body with the transfer encoding undone.
pub(super) struct Entity {
    pub(super) content_type: String,
    /// The fields that describe the content otherwise.
    pub(super) headers: Vec<Field>,
    pub(super) body: Bytes,
}

impl Entity {
    /// Sorts the fields and decodes the body; an entity without a type is plain text
    /// (RFC 2045 section 5.2).
    pub(super) fn new(fields: Vec<Field>, body: Bytes) -> Result<Self, MimeError> {
        let encoding = find(&fields, "Content-Transfer-Encoding").unwrap_or("binary");
        let body = decode(encoding, body)?;
        let content_type = find(&fields, "Content-Type").unwrap_or_default();
        let content_type = content_type.trim_end_matches([';', ' ', '\t']);
        let content_type = if content_type.is_empty() { PLAIN_TEXT } else { content_type };
        let content_type = content_type.to_owned();
        let others = fields.into_iter().filter(|(name, _)| !is_rewritten(name));
        let headers = others.map(|(name, value)| (name, value.trim_start().to_owned())).collect();
        Ok(Self { content_type, headers, body })
    }
}

/// The type of an entity that names none.
pub(super) const PLAIN_TEXT: &str = "text/plain";

/// Writes the header fields of an entity and the blank line behind them.
pub(super) fn write_fields(
    out: &mut Vec<u8>,
    content_type: &str,
    headers: &[Field],
    length: usize,
) {
    let content_type = if is_blank(content_type) { PLAIN_TEXT } else { content_type };
    write_field(out, "Content-Type", content_type);
    for (name, value) in headers {
        if !is_rewritten(name) {
            write_field(out, name, value);
        }
    }
    write_field(out, "Content-Length", &length.to_string());
    out.extend_from_slice(b"\r\n");
}

/// Writes one field; characters that could end it, or that its name must not hold, are left out.
pub(super) fn write_field(out: &mut Vec<u8>, name: &str, value: &str) {
    write_field_with(out, name, "", value);
}

/// Writes one field with parameters before the space, as CPIM has them.
pub(super) fn write_field_with(out: &mut Vec<u8>, name: &str, parameters: &str, value: &str) {
    let name = match is_token(name) {
        true => Cow::Borrowed(name),
        false => name.chars().filter(|c| is_token_char(*c)).collect(),
    };
    if name.is_empty() {
        return;
    }
    for text in [&*name, ":", &*one_line(parameters), " ", &*one_line(value), "\r\n"] {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Makes a value that stays on its line: controls become spaces, and none stands at an end.
pub(super) fn one_line(value: &str) -> Cow<'_, str> {
    if value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(value.trim_matches(' '));
    }
    let flat: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Cow::Owned(flat.trim().to_owned())
}

/// Tells whether a name is a token (RFC 2045 section 5.1).
pub(super) fn is_token(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_token_char)
}

/// Tells the characters of a token; the narrower set that CPIM, MIME and SIP share.
pub(super) fn is_token_char(c: char) -> bool {
    let is_sign = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    c.is_ascii_alphanumeric() || u8::try_from(c).is_ok_and(is_sign)
}

/// Cuts the line at `at`: without its line break, and with the place where the next one begins.
pub(super) fn line_at(input: &[u8], at: usize) -> (&[u8], usize) {
    let rest = input.get(at..).unwrap_or_default();
    let (line, length) = match memchr::memchr(b'\n', rest) {
        Some(end) => (rest.get(..end).unwrap_or_default(), end + 1),
        None => (rest, rest.len()),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), at + length)
}

/// Splits at a separator that stands outside quoted strings.
pub(super) fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let separates = c == separator && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        separates
    })
}

fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"') else {
        return text.to_owned();
    };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let (mut plain, mut escaped) = (String::with_capacity(inner.len()), false);
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            plain.push(c);
            escaped = false;
        }
    }
    plain
}

fn field(line: &str) -> Result<Field, MimeError> {
    let (name, value) = line.split_once(':').ok_or(MimeError::NotAHeader)?;
    let name = name.trim_end();
    if !is_token(name) {
        return Err(MimeError::NotAHeader);
    }
    Ok((name.to_owned(), value.trim_end().to_owned()))
}

fn decode(encoding: &str, body: Bytes) -> Result<Bytes, MimeError> {
    match encoding.to_ascii_lowercase().as_str() {
        "7bit" | "8bit" | "binary" | "" => Ok(body),
        "base64" => super::base64::decode(&body).map(Bytes::from).ok_or(MimeError::BadEncoding),
        "quoted-printable" => {
            quoted_printable(&body).map(Bytes::from).ok_or(MimeError::BadEncoding)
        }
        _ => Err(MimeError::UnknownEncoding),
    }
}

/// Undoes RFC 2045 section 6.7.
fn quoted_printable(body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        if byte != b'=' {
            out.push(byte);
            at += 1;
            continue;
        }
        let (rest_of_line, next) = line_at(body, at + 1);
        if rest_of_line.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            at = next;
            continue;
        }
        let digits = rest_of_line.get(..2)?.iter().map(|byte| char::from(*byte).to_digit(16));
        let code = digits.reduce(|high, low| Some(high? * 16 + low?))??;
        out.push(u8::try_from(code).ok()?);
        at += 3;
    }
    Some(out)
}

/// Names the fields that the writer makes anew from the body at hand.
fn is_rewritten(name: &str) -> bool {
    ["Content-Type", "Content-Transfer-Encoding", "Content-Length"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_media_type_is_read_in_any_case_and_with_a_trailing_semicolon() {
        let read = MediaType::parse("Text/Plain ; Charset=\"ut\\f-8;=\" ; x; =y;").unwrap();
        assert_eq!((read.essence(), read.family()), ("text/plain", "text"));
        assert_eq!(read.parameter("charset"), Some("utf-8;="));
        assert_eq!(read.parameter("CHARSET"), Some("utf-8;="));
        assert_eq!(read.parameter("x"), None);
        for text in ["", "text", "text/", "/plain", "te xt/plain", "text/plain/x"] {
            assert_eq!(MediaType::parse(text), None, "{text}");
        }
    }

    #[test]
    fn quoted_printable_is_undone() {
        let undone = |text: &str| quoted_printable(text.as_bytes());
        assert_eq!(undone("a=3Db=\r\nc= \n=c3=BC").unwrap(), "a=bcü".as_bytes());
        assert_eq!(undone("end="), Some(b"end".to_vec()));
        assert_eq!(undone("=4"), None);
        assert_eq!(undone("=+1"), None);
    }

    #[test]
    fn a_block_ends_at_its_blank_line_or_at_the_end() {
        let block = read_block(&Bytes::from_static(b"A: 1\r\n\t2\nB:\r\n\r\nrest")).unwrap();
        assert_eq!(block.fields, [("A".into(), " 1 2".into()), ("B".into(), String::new())]);
        assert_eq!(block.rest.as_deref(), Some(&b"rest"[..]));
        let block = read_block(&Bytes::from_static(b"A: 1")).unwrap();
        assert_eq!((block.fields.len(), block.rest), (1, None));
    }
}
