//! Multipart bodies (RFC 2046 section 5.1), as INVITEs and aggregated reports use them.

use bytes::Bytes;
use memchr::memmem;
use thiserror::Error;

use super::mime::{self, Entity, MediaType, MimeError, read_block};

/// The largest number of parts that is read, nested ones included.
pub const MAX_PARTS: usize = 32;
/// The deepest nesting of multiparts that is read.
pub const MAX_DEPTH: usize = 4;
/// The longest boundary (RFC 2046 section 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// One part of a multipart body, its transfer encoding undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The type, `text/plain` where the part names none.
    pub content_type: String,
    /// The other header fields: `Content-Disposition`, `Content-ID` and the like.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Bytes,
}

/// Why bytes are not a multipart body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MultipartError {
    /// Another media type.
    #[error("the content is not multipart")]
    NotMultipart,
    /// No boundary, an empty or an impossible one.
    #[error("the multipart type has no usable boundary")]
    NoBoundary,
    /// No delimiter, or nothing between two.
    #[error("the multipart body has no part")]
    NoParts,
    /// The end of the input before the closing delimiter.
    #[error("the multipart body is not closed")]
    Unclosed,
    /// More than [`MAX_PARTS`].
    #[error("the multipart body has more than {MAX_PARTS} parts")]
    TooManyParts,
    /// Deeper than [`MAX_DEPTH`].
    #[error("the multipart body nests deeper than {MAX_DEPTH}")]
    TooDeep,
    /// A part that cannot be read.
    #[error("a part of the multipart body has {0}")]
    Part(#[from] MimeError),
}

impl Part {
    /// Makes a part without further header fields.
    #[must_use]
    pub fn new(content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { content_type: content_type.into(), headers: Vec::new(), body: body.into() }
    }

    /// Gives the value of a header field, its name matched in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        mime::find(&self.headers, name)
    }

    /// Gives the type in its parts; `None` where it is not one.
    #[must_use]
    pub fn media_type(&self) -> Option<MediaType> {
        MediaType::parse(&self.content_type)
    }
}

/// Reads the parts of a multipart body, one level deep.
///
/// # Errors
/// Names what makes it no multipart body; see [`MultipartError`].
pub fn parse(content_type: &str, body: Bytes) -> Result<Vec<Part>, MultipartError> {
    let media_type = MediaType::parse(content_type).ok_or(MultipartError::NotMultipart)?;
    if media_type.family() != "multipart" {
        return Err(MultipartError::NotMultipart);
    }
    let boundary = media_type.parameter("boundary").ok_or(MultipartError::NoBoundary)?;
    if !is_boundary(boundary) {
        return Err(MultipartError::NoBoundary);
    }
    split(&body, boundary)?.into_iter().map(part).collect()
}

/// Reads a multipart body and gives the parts that are not multipart themselves, in order.
///
/// # Errors
/// Names what makes it, or a multipart within it, no multipart body.
pub fn leaves(content_type: &str, body: Bytes) -> Result<Vec<Part>, MultipartError> {
    let mut leaves = Vec::new();
    let mut waiting = vec![(1, Part::new(content_type, body))];
    let mut seen = 0;
    while let Some((depth, part)) = waiting.pop() {
        if depth > 1 && part.media_type().is_none_or(|one| one.family() != "multipart") {
            leaves.push(part);
            continue;
        }
        if depth > MAX_DEPTH {
            return Err(MultipartError::TooDeep);
        }
        let parts = parse(&part.content_type, part.body)?;
        seen += parts.len();
        if seen > MAX_PARTS {
            return Err(MultipartError::TooManyParts);
        }
        waiting.extend(parts.into_iter().rev().map(|part| (depth + 1, part)));
    }
    Ok(leaves)
}

/// Writes parts between delimiters; [`content_type`] gives the header value that goes with them.
///
/// The boundary must be freshly drawn, so that no content can hold it.
#[must_use]
pub fn write(parts: &[Part], boundary: &str) -> Bytes {
    let boundary = boundary_text(boundary);
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.body.len() + 256).sum());
    for part in parts {
        out.extend_from_slice(b"--");
        out.extend_from_slice(boundary.as_bytes());
        out.extend_from_slice(b"\r\n");
        mime::write_fields(&mut out, &part.content_type, &part.headers, part.body.len());
        out.extend_from_slice(&part.body);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"--");
    out.extend_from_slice(boundary.as_bytes());
    out.extend_from_slice(b"--\r\n");
    Bytes::from(out)
}

/// Gives the `Content-Type` of a `multipart/mixed` body with this boundary.
#[must_use]
pub fn content_type(boundary: &str) -> String {
    format!("multipart/mixed;boundary=\"{}\"", boundary_text(boundary))
}

/// Cuts the body at its delimiter lines.
fn split(body: &Bytes, boundary: &str) -> Result<Vec<Bytes>, MultipartError> {
    let delimiter = format!("--{boundary}");
    let finder = memmem::Finder::new(delimiter.as_bytes());
    let mut parts = Vec::new();
    let mut begun: Option<usize> = None;
    let mut from = 0;
    while let Some(found) = body.get(from..).and_then(|rest| finder.find(rest)) {
        let at = from + found;
        from = at + delimiter.len();
        let Some(line) = Delimiter::read(body, at, from) else {
            continue;
        };
        if let Some(begun) = begun {
            if parts.len() == MAX_PARTS {
                return Err(MultipartError::TooManyParts);
            }
            if line.content_end < begun {
                return Err(MimeError::NoBlankLine.into());
            }
            parts.push(body.slice(begun..line.content_end));
        }
        if line.closes {
            return if parts.is_empty() { Err(MultipartError::NoParts) } else { Ok(parts) };
        }
        begun = Some(line.next);
        from = line.next;
    }
    if begun.is_some() { Err(MultipartError::Unclosed) } else { Err(MultipartError::NoParts) }
}

/// A line that begins with the delimiter.
struct Delimiter {
    /// Where the content before it ends: the line break belongs to the delimiter.
    content_end: usize,
    /// Where the line after it begins.
    next: usize,
    closes: bool,
}

impl Delimiter {
    /// Reads the line at `at`, whose delimiter ends at `end`; `None` where the boundary merely
    /// occurs, within a line or as the beginning of a longer one.
    ///
    /// A delimiter that is the last thing in the body closes it, dashes or not, as an example of
    /// RFC 5438 section 8.3 has it.
    fn read(body: &[u8], at: usize, end: usize) -> Option<Self> {
        let before = body.get(..at)?;
        if !before.is_empty() && !before.ends_with(b"\n") {
            return None;
        }
        let content_end = match before {
            [.., b'\r', b'\n'] => at - 2,
            [.., b'\n'] => at - 1,
            _ => at,
        };
        let (line, next) = mime::line_at(body, end);
        let (dashes, padding) = match line.strip_prefix(b"--") {
            Some(padding) => (true, padding),
            None => (false, line),
        };
        if !padding.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            return None;
        }
        let last = body.get(next..).is_none_or(|rest| rest.iter().all(u8::is_ascii_whitespace));
        Some(Self { content_end, next, closes: dashes || last })
    }
}

fn part(bytes: Bytes) -> Result<Part, MultipartError> {
    let block = read_block(&bytes)?;
    // The blank line before an empty content is the delimiter's line break (`[CRLF *OCTET]`).
    let body = match block.rest {
        Some(body) => body,
        None if bytes.is_empty() || bytes.ends_with(b"\n") => Bytes::new(),
        None => return Err(MimeError::NoBlankLine.into()),
    };
    let entity = Entity::new(block.fields, body)?;
    Ok(Part { content_type: entity.content_type, headers: entity.headers, body: entity.body })
}

fn is_boundary(text: &str) -> bool {
    (1..=MAX_BOUNDARY).contains(&text.len())
        && text.chars().all(|c| !c.is_control())
        && !text.ends_with(' ')
}

/// Keeps what a boundary may hold without regard to quoting.
fn boundary_text(text: &str) -> String {
    let kept = text.chars().filter(|c| c.is_ascii_alphanumeric() || "'()+_,-./:=?".contains(*c));
    kept.take(MAX_BOUNDARY).collect()
}
