//! Bodies in one form, line by line, so that two that mean the same are the same: the header fields of
//! a CPIM message or a MIME part are a set, of a document only its elements count.

use super::aliases::Aliases;
use super::date::is_date;
use super::head::{Head, parameter};
use super::mask::{description, field, word_of_document};

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
            Some(boundary) => multipart(lines, (body, boundary.trim_matches('"')), depth),
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

/// Writes the parts of a body between the lines of its boundary (RFC 2046 section 5.1.1), and what
/// stands before and behind them as it is: of the later pieces of a message that is all.
fn multipart(lines: &mut Lines<'_>, (body, boundary): (&[u8], &str), depth: usize) {
    let line = [b"--", boundary.as_bytes()].concat();
    let starts_line = |at: &usize| *at == 0 || body[at - 1] == b'\n';
    let places: Vec<usize> =
        memchr::memmem::find_iter(body, &line).filter(starts_line).take(MAX_PARTS).collect();
    around(lines, &body[..places.first().copied().unwrap_or(body.len())]);
    let ends = places.iter().skip(1).copied().chain([body.len()]);
    for (begin, end) in places.iter().zip(ends) {
        let content = &body[begin + line.len()..end];
        let (rest, content) =
            content.split_at(memchr::memchr(b'\n', content).map_or(content.len(), |at| at + 1));
        lines.push(format!("--*{}", rest.trim_ascii_end().escape_ascii()));
        if rest.starts_with(b"--") {
            return around(lines, &body[end - content.len()..]);
        }
        part(lines, content, depth);
    }
}

/// Writes what stands around the parts; empty lines mean nothing there.
fn around(lines: &mut Lines<'_>, text: &[u8]) {
    let text = text.trim_ascii();
    if !text.is_empty() {
        plain(lines, text);
    }
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
/// each text between them. Comments, instructions and white space around texts mean nothing.
fn document(lines: &mut Lines<'_>, body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    let mut rest: &str = &text;
    let (mut inside, mut between) = (String::new(), String::new());
    while let Some(begin) = rest.find('<') {
        between.push_str(&rest[..begin]);
        rest = &rest[begin..];
        let (what, end) = markup(rest);
        match what {
            Markup::Nothing => {}
            // What stands for itself is written as in other texts (XML 1.0 section 2.7).
            Markup::Text(text) => {
                between.push_str(&text.replace('&', "&amp;").replace('<', "&lt;"));
            }
            Markup::Odd => {
                words(lines, &std::mem::take(&mut between), &inside);
                lines.push(rest[..end].to_owned());
            }
            Markup::Tag(of_tag) => {
                words(lines, &std::mem::take(&mut between), &inside);
                inside = tag(lines, of_tag);
            }
        }
        rest = &rest[end..];
    }
    between.push_str(rest);
    words(lines, &between, &inside);
}

/// What begins with a bracket.
enum Markup<'a> {
    /// A comment or an instruction.
    Nothing,
    /// A text in which no character means anything else.
    Text(&'a str),
    /// What counts as it stands: a declaration, and whatever does not end.
    Odd,
    Tag(&'a str),
}

/// Reads markup; gives where it ends as well.
fn markup(rest: &str) -> (Markup<'_>, usize) {
    for (start, stop) in [("<!--", "-->"), ("<?", "?>"), ("<![CDATA[", "]]>")] {
        let Some(behind) = rest.strip_prefix(start) else { continue };
        return match behind.find(stop) {
            Some(at) => {
                let is_text = start == "<![CDATA[";
                let what = if is_text { Markup::Text(&behind[..at]) } else { Markup::Nothing };
                (what, start.len() + at + stop.len())
            }
            None => (Markup::Odd, rest.len()),
        };
    }
    let end = tag_end(rest);
    match rest.starts_with("<!") {
        true => (Markup::Odd, declaration_end(rest)),
        false => (Markup::Tag(rest[1..end].trim_end_matches('>')), end),
    }
}

/// Gives where a declaration ends: outside of quotes and of its own declarations.
fn declaration_end(rest: &str) -> usize {
    let (mut quote, mut depth) = (None, 0_usize);
    for (at, c) in rest.char_indices() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('[', None) => depth += 1,
            (']', None) => depth = depth.saturating_sub(1),
            ('>', None) if depth == 0 => return at + 1,
            _ => {}
        }
    }
    rest.len()
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
        all.push(format!(" {}=\"{}\"", name.trim(), word_of_document(value, aliases)));
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
            _ => word_of_document(&text, lines.aliases),
        });
    }
}

/// How deep parts lie in each other, and how many in one.
const MAX_DEPTH: usize = 8;
const MAX_PARTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "multipart/mixed;boundary=b";

    fn of(content_type: &str, body: &str) -> Vec<String> {
        lines(content_type, body.as_bytes(), &Aliases::default())
    }

    #[test]
    fn nothing_around_the_parts_is_lost() {
        let part = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n";
        let whole = format!("{part}--b--\r\n");
        for same in [format!("\r\n{whole}"), format!("{whole}\r\n"), whole.trim_end().to_owned()] {
            assert_eq!(of(MIXED, &whole), of(MIXED, &same), "{same:?}");
        }
        for other in [
            format!("before\r\n{whole}"),
            format!("{whole}behind"),
            format!("{whole}{part}"),
            part.to_owned(),
            whole.replacen("--b\r", "--bx\r", 1),
        ] {
            assert_ne!(of(MIXED, &whole), of(MIXED, &other), "{other:?}");
        }
        // The later pieces of a message have no more than an end.
        for piece in ["hello one", "hello one\r\n--b--\r\n", "--", ""] {
            let other = format!("quite another{piece}");
            assert_ne!(of(MIXED, piece), of(MIXED, &other), "{piece:?}");
        }
    }

    #[test]
    fn all_that_a_document_says_counts() {
        let xml = "application/x+xml";
        assert_eq!(of(xml, "<x><t><![CDATA[a b]]></t></x>"), of(xml, "<x><t>a b</t></x>"));
        assert_eq!(of(xml, "<x>a<!-- c -->b</x>"), of(xml, "<x>ab</x>"));
        for (left, right) in [
            ("<x><![CDATA[hello]]></x>", "<x><![CDATA[bye]]></x>"),
            ("<x><![CDATA[&lt;]]></x>", "<x>&lt;</x>"),
            ("<x><![CDATA[<y>]]></x>", "<x><y></x>"),
            ("<x><![CDATA[a", "<x><![CDATA[b"),
            (
                "<!DOCTYPE x [<!ENTITY e \"a\">]><x>&e;</x>",
                "<!DOCTYPE x [<!ENTITY e \"b\">]><x>&e;</x>",
            ),
            ("<!DOCTYPE x SYSTEM 'a>b'><x/>", "<!DOCTYPE x SYSTEM 'a>c'><x/>"),
            ("<!-- a", "<!-- b"),
            ("<? a", "<? b"),
            ("<x>a;tag=hello</x>", "<x>a;tag=bye</x>"),
            ("<x>10.0.0.1:80</x>", "<x>10.0.0.1:81</x>"),
            ("<x y='at 10.0.0.1:80'/>", "<x y='at 10.0.0.1:81'/>"),
        ] {
            assert_ne!(of(xml, left), of(xml, right), "{left}");
        }
        assert_eq!(of(xml, "<x y='sip:a@10.0.0.1:80'/>"), of(xml, "<x y='sip:a@10.0.0.1:81'/>"));
    }
}
