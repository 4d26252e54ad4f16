//! The parts of a body, by what they are: of several only some may be rewritten.

use std::ops::Range;

use super::super::head::parameter;
use super::super::raw::{Raw, line_at};

/// A part of a body that has no parts itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: Kind,
    /// Where its content is.
    pub(super) range: Range<usize>,
}

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A session description, or what nobody calls anything else.
    Description,
    /// What somebody has written.
    Text,
    Other,
}

/// Finds the parts of a body. What is said over MSRP may look like a description, and is none.
pub(super) fn parts(raw: &Raw<'_>) -> Vec<Part> {
    let (body, mut parts) = (raw.body(), Vec::new());
    if raw.of(&(0..raw.line_end())).starts_with("MSRP ") {
        parts.push(Part { kind: Kind::Other, range: 0..body.len() });
        return parts;
    }
    let content_type = raw.text(CONTENT_TYPE).unwrap_or_default();
    add(&mut parts, body, (&content_type, 0..body.len()), MAX_DEPTH);
    parts
}

fn add(
    parts: &mut Vec<Part>,
    body: &[u8],
    (content_type, range): (&str, Range<usize>),
    depth: usize,
) {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let kind = match media.as_str() {
        "" | "application/sdp" => Kind::Description,
        media if media.starts_with("text/") => Kind::Text,
        _ => Kind::Other,
    };
    if !media.starts_with("multipart/") {
        parts.push(Part { kind, range });
        return;
    }
    let boundary = parameter(content_type, "boundary").unwrap_or_default().trim_matches('"');
    if boundary.is_empty() || depth == 0 {
        return;
    }
    for part in cut(body, range, boundary) {
        let (content_type, content) = behind_fields(body, part);
        if parts.len() < MAX_PARTS {
            add(parts, body, (&content_type, content), depth - 1);
        }
    }
}

/// Cuts at the lines of a boundary (RFC 2046 section 5.1.1); what stands before the first one and
/// behind the last is no part.
fn cut(body: &[u8], range: Range<usize>, boundary: &str) -> Vec<Range<usize>> {
    let line = format!("--{boundary}");
    let (mut parts, mut begin, mut at) = (Vec::new(), None, range.start);
    let body = &body[..range.end];
    while at < body.len() {
        let (end, next) = line_at(body, at);
        if let Some(rest) = body[at..end].strip_prefix(line.as_bytes()) {
            let is_last = rest.trim_ascii_end() == b"--";
            if is_last || rest.trim_ascii().is_empty() {
                parts.extend(begin.map(|begin| begin..at));
                begin = Some(next);
            }
            if is_last {
                return parts;
            }
        }
        at = next;
    }
    // The end was cut off.
    parts.extend(begin.filter(|begin| *begin < body.len()).map(|begin| begin..body.len()));
    parts
}

/// Gives the type that the fields of a part tell, and where its content is; without it is a text
/// (RFC 2046 section 5.1).
fn behind_fields(body: &[u8], part: Range<usize>) -> (String, Range<usize>) {
    let (mut content_type, mut at) = ("text/plain".to_owned(), part.start);
    let body = &body[..part.end];
    while at < body.len() {
        let (end, next) = line_at(body, at);
        if end == at {
            return (content_type, next..part.end);
        }
        let line = String::from_utf8_lossy(&body[at..end]);
        if let Some((name, value)) = line.split_once(':')
            && name.trim().eq_ignore_ascii_case(CONTENT_TYPE.0)
        {
            value.trim().clone_into(&mut content_type);
        }
        at = next;
    }
    (content_type, part.end..part.end)
}

const CONTENT_TYPE: (&str, &str) = ("Content-Type", "c");
const MAX_DEPTH: usize = 8;
const MAX_PARTS: usize = 64;
