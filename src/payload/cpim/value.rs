//! Values of CPIM header fields: mailboxes, parameters and escapes (RFC 3862 section 3.6).

use crate::payload::mime;

/// Cuts `;name=value` off the beginning of a value, and keeps the language.
pub(super) fn parameters(value: &str) -> (Option<String>, String) {
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
pub(super) fn uri_of(value: &str) -> Option<&str> {
    let uri = match value.rsplit_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => value,
    };
    let uri = uri.split('?').next().unwrap_or_default().trim();
    (!uri.is_empty()).then_some(uri)
}

/// Makes `[Formal name] <uri>` (RFC 3862 section 4.1) of that or of a bare URI.
pub(super) fn mailbox(value: &str) -> String {
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

/// `Name` of RFC 3862 section 3.6; the dot is the prefix's.
pub(super) fn is_name(text: &str) -> bool {
    mime::is_token(text) && !text.contains('.')
}

/// Keeps what may stand between angle brackets.
pub(super) fn uri_text(uri: &str) -> String {
    let is_plain = |byte| matches!(byte, b'!'..=b'~') && !matches!(byte, b'<' | b'>' | b'"');
    if uri.bytes().all(is_plain) {
        return uri.to_owned();
    }
    let kept = |c: &char| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | '"');
    uri.chars().filter(kept).collect()
}

/// `TOKENCHAR` of RFC 3862 section 3.6.
pub(super) fn is_word(c: char) -> bool {
    let separators = "()<>@,;:\\\"/[]?={} ";
    !c.is_control() && !c.is_whitespace() && !separators.contains(c)
}

/// Writes what a header value cannot hold as escapes (RFC 3862 section 3.6).
pub(super) fn escape(text: &str) -> String {
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
pub(super) fn unescape(text: &str) -> String {
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
