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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_are_written_with_their_lengths() {
        let mut list = Part::new("application/resource-lists+xml", "<l/>");
        list.headers.push(("Content-Disposition".into(), "recipient-list".into()));
        let parts = [Part::new("application/sdp", "v=0\r\n"), list];
        let body = write(&parts, "boundary1");
        let expected = "--boundary1\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\n\
            v=0\r\n\r\n\
            --boundary1\r\nContent-Type: application/resource-lists+xml\r\n\
            Content-Disposition: recipient-list\r\nContent-Length: 4\r\n\r\n\
            <l/>\r\n\
            --boundary1--\r\n";
        assert_eq!(body, expected.as_bytes());
        assert_eq!(content_type("boundary1"), "multipart/mixed;boundary=\"boundary1\"");
        assert_eq!(parse(&content_type("boundary1"), body), Ok(parts.to_vec()));
    }

    #[test]
    fn boundaries_come_quoted_and_bare_with_preamble_and_epilogue() {
        let body = "ignored --b\r\n--bb\r\nignored\r\n--b \t\r\nContent-Type: text/html\r\n\r\n\
            one --b\r\n--b2\r\n--b\r\n\r\ntwo\r\n--b--\r\n--b\r\nignored";
        for content_type in [
            "multipart/mixed;boundary=b",
            "Multipart/Mixed; BOUNDARY=\"b\" ;",
            "multipart/x;a=1;boundary=b",
        ] {
            let parts = parse(content_type, body.into()).unwrap();
            let texts = parts.iter().map(|part| (part.content_type.as_str(), &part.body[..]));
            let expected = [("text/html", &b"one --b\r\n--b2"[..]), ("text/plain", b"two")];
            assert_eq!(texts.collect::<Vec<_>>(), expected, "{content_type}");
        }
    }

    #[test]
    fn a_part_may_be_empty() {
        let body = "--b\r\nContent-ID: <1>\r\n\r\n--b\r\n\r\n\r\n--b--";
        let parts = parse("multipart/mixed;boundary=b", body.into()).unwrap();
        assert_eq!(parts.iter().map(|part| part.body.len()).collect::<Vec<_>>(), [0, 0]);
        assert_eq!(parts.first().and_then(|part| part.header("content-id")), Some("<1>"));
    }

    #[test]
    fn lines_may_end_in_lf_and_parts_may_be_encoded() {
        let body = "--b\nContent-Transfer-Encoding: base64\n\nZm9v\n--b--\n";
        let parts = parse("multipart/mixed;boundary=b", body.into()).unwrap();
        assert_eq!(parts, [Part::new("text/plain", "foo")]);
    }

    #[test]
    fn s7_hostile_bodies_are_refused() {
        let mixed = "multipart/mixed;boundary=b";
        let many = "--b\r\n\r\nx\r\n".repeat(1000) + "--b--";
        for (content_type, body, fault) in [
            ("application/sdp", "", MultipartError::NotMultipart),
            ("", "", MultipartError::NotMultipart),
            ("multipart/mixed", "--\r\n\r\n--", MultipartError::NoBoundary),
            ("multipart/mixed;boundary=\"\"", "--\r\n\r\n----", MultipartError::NoBoundary),
            ("multipart/mixed;boundary=\"a \"", "", MultipartError::NoBoundary),
            ("multipart/mixed;boundary=\"\u{1}\"", "", MultipartError::NoBoundary),
            (mixed, "", MultipartError::NoParts),
            (mixed, "--b--\r\n", MultipartError::NoParts),
            (mixed, "text", MultipartError::NoParts),
            (mixed, "--b\r\n\r\ntext", MultipartError::Unclosed),
            (mixed, "--b\r\n\r\ntext\r\n--b\r\n\r\nmore", MultipartError::Unclosed),
            (mixed, "--b\r\nv=0\r\n--b--", MultipartError::Part(MimeError::NotAHeader)),
            (
                mixed,
                "--b\r\nContent-Type: a/b\r\n--b--",
                MultipartError::Part(MimeError::NoBlankLine),
            ),
            (mixed, "--b\r\n--b--", MultipartError::Part(MimeError::NoBlankLine)),
            (mixed, many.as_str(), MultipartError::TooManyParts),
        ] {
            let found = parse(content_type, Bytes::copy_from_slice(body.as_bytes()));
            assert_eq!(found, Err(fault), "{content_type} {body:.40}");
        }
        let long = format!("multipart/mixed;boundary={}", "b".repeat(71));
        assert_eq!(parse(&long, Bytes::new()), Err(MultipartError::NoBoundary));
    }

    #[test]
    fn s7_nesting_is_bounded() {
        let nested = |depth: usize| {
            let innermost = Part::new("text/plain", "leaf");
            (1..=depth).fold(innermost, |part, level| {
                let boundary = format!("level{level}");
                Part::new(content_type(&boundary), write(&[part], &boundary))
            })
        };
        for (depth, expected) in [
            (1, Ok(vec![Part::new("text/plain", "leaf")])),
            (MAX_DEPTH, Ok(vec![Part::new("text/plain", "leaf")])),
            (MAX_DEPTH + 1, Err(MultipartError::TooDeep)),
            (50, Err(MultipartError::TooDeep)),
        ] {
            let part = nested(depth);
            assert_eq!(leaves(&part.content_type, part.body), expected, "{depth}");
        }
        let twenty = write(&vec![Part::new("text/plain", "x"); 20], "in");
        let outer = write(&vec![Part::new(content_type("in"), twenty); 2], "out");
        assert_eq!(leaves(&content_type("out"), outer), Err(MultipartError::TooManyParts));
    }

    #[test]
    fn leaves_come_in_order() {
        let text = |text: &'static str| Part::new("text/plain", text);
        let inner = write(&[text("2"), text("3")], "in");
        let outer = write(&[text("1"), Part::new(content_type("in"), inner), text("4")], "out");
        let found = leaves(&content_type("out"), outer).unwrap();
        assert_eq!(found, [text("1"), text("2"), text("3"), text("4")]);
    }

    proptest! {
        #[test]
        fn any_parts_survive_a_round_trip(
            parts in proptest::collection::vec(
                (
                    "[a-z]{1,9}/[a-z]{1,9}(;[a-z]{1,4}=[a-z]{1,4})?",
                    proptest::collection::vec(("X-[a-z]{1,5}", "[!-~]([ -~]{0,9}[!-~])?"), 0..3),
                    proptest::collection::vec(any::<u8>(), 0..40),
                ),
                1..5,
            ),
        ) {
            let parts: Vec<Part> = parts
                .into_iter()
                .map(|(content_type, headers, body)| Part { content_type, headers, body: body.into() })
                .collect();
            let boundary = "boundary-that-nobody-guesses";
            prop_assert_eq!(parse(&content_type(boundary), write(&parts, boundary)), Ok(parts));
        }

        #[test]
        fn no_bytes_cause_a_panic(body in "(--b(--)?|\r\n|\n| |[a:]){0,30}", noise: Vec<u8>, content_type in ".{0,20}") {
            let _ = leaves("multipart/mixed;boundary=b", body.clone().into());
            let _ = leaves("multipart/mixed;boundary=b", noise.into());
            let _ = leaves(&content_type, body.into());
        }
    }
}
