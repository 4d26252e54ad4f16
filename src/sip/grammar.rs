//! The small words of SIP's grammar (RFC 3261 section 25.1): tokens, quoted strings, lists,
//! parameters.

use std::borrow::Cow;
use std::fmt;

/// Parameters in order, names as spelled, values verbatim (a quoted value keeps its quotes).
pub(super) type Params = Vec<(String, Option<String>)>;

/// A parameter list that does not follow the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a parameter list is malformed")]
pub struct BadParams;

/// Whether the byte may stand in a token.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// Whether the text is a token.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// The text without the white space around it (SP and HTAB; folds are undone before).
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Splits at a separator that stands outside quoted strings and outside `<>`.
pub(super) fn split_outside(text: &str, separator: u8) -> SplitOutside<'_> {
    SplitOutside { rest: Some(text), separator }
}

/// The iterator of [`split_outside`]: pieces with the white space around them taken off.
pub(super) struct SplitOutside<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Iterator for SplitOutside<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.take()?;
        let Some((piece, rest)) = split_once_outside(text, self.separator) else {
            return Some(trimmed(text));
        };
        self.rest = Some(rest);
        Some(trimmed(piece))
    }
}

/// Splits at the first separator that stands outside quoted strings and outside `<>`.
pub(super) fn split_once_outside(text: &str, separator: u8) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped, mut angled) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !angled => quoted = !quoted,
            _ if quoted => {}
            b'<' => angled = true,
            b'>' => angled = false,
            _ if byte == separator && !angled => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// Takes a quoted string off the front: what it says, and the text behind it.
pub(super) fn take_quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut said = String::new();
    let mut characters = inner.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((said, &inner[at + 1..])),
            '\\' => said.push(characters.next()?.1),
            other => said.push(other),
        }
    }
    None
}

/// What a value says: a quoted string without quotes and escapes, anything else as it stands.
pub(super) fn unquoted(value: &str) -> Cow<'_, str> {
    match take_quoted(value) {
        Some((said, "")) => Cow::Owned(said),
        _ => Cow::Borrowed(value),
    }
}

/// Writes a text as a quoted string; controls become spaces, for no header may carry them.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                control if control.is_ascii_control() => f.write_str(" ")?,
                other => write!(f, "{other}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Parses `;name=value;flag`: what follows an address or a `Via`. Nothing at all is no parameter.
pub(super) fn parse_params(text: &str) -> Result<Params, BadParams> {
    let text = trimmed(text);
    if text.is_empty() {
        return Ok(Params::new());
    }
    let list = text.strip_prefix(';').ok_or(BadParams)?;
    split_outside(list, b';').map(parse_param).collect()
}

fn parse_param(text: &str) -> Result<(String, Option<String>), BadParams> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (trimmed(name), Some(trimmed(value))),
        None => (text, None),
    };
    let sound = is_token(name) && value.is_none_or(is_param_value);
    sound.then(|| (name.to_owned(), value.map(str::to_owned))).ok_or(BadParams)
}

/// A token, a host or a quoted string; wider than `gen-value`, as addresses without brackets and
/// URNs stand here in practice (RFC 5118 section 4.5, RFC 5627).
fn is_param_value(value: &str) -> bool {
    if value.starts_with('"') {
        return matches!(take_quoted(value), Some((_, "")));
    }
    let outlaw = |byte: u8| byte <= b' ' || byte == 0x7f || b"\",<>;\\".contains(&byte);
    !value.is_empty() && !value.bytes().any(outlaw)
}

/// The value of a parameter by name, whatever the case: `Some("")` for a flag.
pub(super) fn find_param<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
    let (_, value) = params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some(value.as_deref().unwrap_or(""))
}

/// Sets a parameter in its place, or adds it behind the others.
pub(super) fn set_param(params: &mut Params, name: &str, value: Option<&str>) {
    let value = value.map(str::to_owned);
    match params.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        Some((_, old)) => *old = value,
        None => params.push((name.to_owned(), value)),
    }
}

/// Writes parameters as `;name=value`.
pub(super) fn write_params(params: &Params, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (name, value) in params {
        write!(f, ";{name}")?;
        if let Some(value) = value {
            write!(f, "={value}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Quoted, parse_params, split_outside, take_quoted, unquoted};

    #[test]
    fn separators_in_quotes_and_angles_do_not_split() {
        let list = r#""Doe, \", John" <sip:a,b@c;x>;q=1 , <sip:d>"#;
        let pieces: Vec<_> = split_outside(list, b',').collect();
        assert_eq!(pieces, [r#""Doe, \", John" <sip:a,b@c;x>;q=1"#, "<sip:d>"]);
    }

    #[test]
    fn a_quoted_string_says_what_its_escapes_hide() {
        assert_eq!(take_quoted(r#""a\"b" <x>"#), Some((r#"a"b"#.to_owned(), " <x>")));
        assert_eq!(take_quoted(r#""open"#), None);
        assert_eq!(unquoted(r#""a;b""#), "a;b");
        assert_eq!(Quoted("a\"b\r\nRoute: x").to_string(), r#""a\"b  Route: x""#);
    }

    #[test]
    fn parameters_keep_order_case_and_quotes() {
        let params = parse_params(r#" ; Tag = 1 ;lr;+sip.instance="<urn:x;y>";r=[::1]"#);
        let say = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        assert_eq!(
            params,
            Ok(vec![
                say("Tag", Some("1")),
                say("lr", None),
                say("+sip.instance", Some(r#""<urn:x;y>""#)),
                say("r", Some("[::1]")),
            ])
        );
    }

    #[test]
    fn empty_and_odd_parameters_are_refused() {
        for text in [";", ";;a", ";a;", "a", ";a=", ";a=\"x", ";a=b c", ";,", ";a=<b>", ";a b"] {
            assert!(parse_params(text).is_err(), "{text}");
        }
    }
}
