//! Bodies in one form, line by line, so that two that mean the same are the same: the header fields of
//! a CPIM message or a MIME part are a set, of a document only its elements count.

use super::aliases::Aliases;
use super::head::{Head, parameter};
use super::mask::{description, field, is_date, masked};

/// Gives the lines of a body of some type, with what each run draws anew put aside.
pub(super) fn lines(content_type: &str, body: &[u8], aliases: &Aliases) -> Vec<String> {
    let mut lines = Lines { all: Vec::new(), aliases };
    write(&mut lines, (content_type, body), MAX_DEPTH);
    lines.all
}

/// Lines, and what stands for hosts and ids in them.
struct Lines<'a> {
    all: Vec<String>,
    aliases: &'a Aliases,
}

impl Lines<'_> {
    fn push(&mut self, line: String) {
        self.all.push(line);
    }
}

fn write(lines: &mut Lines<'_>, (content_type, body): (&str, &[u8]), depth: usize) {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some(depth) = depth.checked_sub(1) else { return plain(lines, body) };
    match media.as_str() {
        "message/cpim" => match fields(lines, body) {
            Some((_, content)) => part(lines, content, depth),
            None => plain(lines, body),
        },
        media if media.starts_with("multipart/") => match parameter(content_type, "boundary") {
            Some(boundary) => {
                for content in parts(body, boundary.trim_matches('"')) {
                    lines.push("--*".to_owned());
                    part(lines, content, depth);
                }
            }
            None => plain(lines, body),
        },
        media if media.ends_with("+xml") || media.ends_with("/xml") => document(lines, body),
        "application/sdp" => described(lines, body),
        _ => plain(lines, body),
    }
}

/// Writes a part: its header fields, and its content as what they say that it is.
fn part(lines: &mut Lines<'_>, part: &[u8], depth: usize) {
    match fields(lines, part) {
        Some((content_type, content)) => write(lines, (&content_type, content), depth),
        None => plain(lines, part),
    }
}

/// Writes the fields before the first empty line in the order of their names; gives the type that
/// they tell, and what is behind them. `None` where there are others than fields: in the later pieces
/// of a message.
fn fields<'a>(lines: &mut Lines<'_>, part: &'a [u8]) -> Option<(String, &'a [u8])> {
    // A head begins with a line of another kind.
    let whole = [b"\r\n", part].concat();
    let head = Head::read(&whole);
    let content = &part[part.len() - head.body.len()..];
    let text = String::from_utf8_lossy(&part[..part.len() - content.len()]);
    let is_field = |line: &str| {
        let name = line.split(':').next().unwrap_or_default().trim_end();
        line.trim().is_empty() || line.starts_with([' ', '\t']) || {
            line.contains(':') && !name.contains(char::is_whitespace)
        }
    };
    if !text.lines().all(is_field) {
        return None;
    }
    let mut fields: Vec<(String, String)> = head
        .fields()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned()))
        .collect();
    fields.sort_by(|left, right| left.0.cmp(&right.0));
    let of_type = fields.iter().find(|(name, _)| name == "content-type");
    let content_type = of_type.map(|(_, value)| value.clone()).unwrap_or_default();
    for (name, value) in &fields {
        lines.push(format!("{name}: {}", field(name, value, lines.aliases)));
    }
    Some((content_type, content))
}

/// Cuts a multipart body at the lines of its boundary (RFC 2046 section 5.1.1).
fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let line = [b"--", boundary.as_bytes()].concat();
    let starts_line = |at: &usize| *at == 0 || body[at - 1] == b'\n';
    let places: Vec<usize> =
        memchr::memmem::find_iter(body, &line).filter(starts_line).take(MAX_PARTS).collect();
    let ends = places.iter().skip(1).copied().chain([body.len()]);
    let mut parts = Vec::new();
    for (begin, end) in places.iter().zip(ends) {
        let part = &body[begin + line.len()..end];
        if part.starts_with(b"--") {
            break;
        }
        let behind = memchr::memchr(b'\n', part).map_or(part.len(), |at| at + 1);
        parts.push(&part[behind..]);
    }
    parts
}

/// Writes a text as it is, and what is none by its bytes.
fn plain(lines: &mut Lines<'_>, body: &[u8]) {
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let text = str::from_utf8(line).map(str::to_owned);
        lines.push(text.unwrap_or_else(|_| line.escape_ascii().to_string()));
    }
}

/// Writes a session description.
fn described(lines: &mut Lines<'_>, body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        lines.push(description(line, lines.aliases));
    }
}

/// Writes a document: a line for each tag, with its attributes in the order of their names, and for
/// each text between them. Comments, declarations and white space around texts mean nothing.
fn document(lines: &mut Lines<'_>, body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    let mut rest: &str = &text;
    let mut inside = String::new();
    while let Some(begin) = rest.find('<') {
        words(lines, &rest[..begin], &inside);
        rest = &rest[begin..];
        let aside = [("<!--", "-->"), ("<?", "?>"), ("<!", ">")];
        if let Some((_, stop)) = aside.into_iter().find(|(start, _)| rest.starts_with(start)) {
            rest = rest.find(stop).map_or("", |at| &rest[at + stop.len()..]);
            continue;
        }
        let end = tag_end(rest);
        inside = tag(lines, rest[1..end].trim_end_matches('>'));
        rest = &rest[end..];
    }
    words(lines, rest, &inside);
}

/// Gives where a tag ends: at the first bracket outside of its quotes.
fn tag_end(tag: &str) -> usize {
    let mut quote = None;
    for (at, c) in tag.char_indices() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('>', None) => return at + 1,
            _ => {}
        }
    }
    tag.len()
}

/// Writes a tag; gives its name.
fn tag(lines: &mut Lines<'_>, tag: &str) -> String {
    let (tag, is_empty) = match tag.strip_suffix('/') {
        Some(tag) => (tag, true),
        None => (tag, false),
    };
    let end = tag.find(|c: char| c.is_whitespace()).unwrap_or(tag.len());
    let (name, rest) = tag.split_at(end);
    let mut attributes = attributes(rest, lines.aliases);
    attributes.sort();
    lines.push(format!("<{name}{}>", attributes.concat()));
    if is_empty {
        lines.push(format!("</{name}>"));
    }
    name.rsplit(':').next().unwrap_or_default().to_owned()
}

fn attributes(mut rest: &str, aliases: &Aliases) -> Vec<String> {
    let mut all = Vec::new();
    while let Some((name, behind)) = rest.split_once('=') {
        let value = behind.trim_start();
        let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else { break };
        let Some((value, more)) = value[1..].split_once(quote) else { break };
        all.push(format!(" {}=\"{}\"", name.trim(), masked(value, aliases)));
        rest = more;
    }
    // What is no attribute counts as it stands.
    let odd = rest.trim();
    if !odd.is_empty() {
        all.push(format!(" {odd}"));
    }
    all
}

fn words(lines: &mut Lines<'_>, text: &str, inside: &str) {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if !text.is_empty() {
        lines.push(match inside {
            // A report is about the message that it names (RFC 5438 section 7).
            "message-id" => lines.aliases.id(&text).to_owned(),
            // RFC 5438 section 7, RFC 3994 section 5.
            "datetime" | "lastactive" if is_date(&text) => "*".to_owned(),
            _ => masked(&text, lines.aliases),
        });
    }
}

/// How deep parts lie in each other, and how many in one.
const MAX_DEPTH: usize = 8;
const MAX_PARTS: usize = 64;
