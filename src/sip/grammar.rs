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

/// A set of bytes, which costs one look to ask.
#[derive(Debug)]
pub(super) struct ByteSet([bool; 256]);

impl ByteSet {
    /// Letters, digits and these.
    pub(super) const fn alphanumeric_and(others: &[u8]) -> Self {
        Self::filled(false, others).with_alphanumeric()
    }

    /// All bytes but these.
    pub(super) const fn all_but(others: &[u8]) -> Self {
        Self::filled(true, others)
    }

    pub(super) const fn has(&self, byte: u8) -> bool {
        self.0[byte as usize]
    }

    /// Where the first byte outside the set stands.
    #[inline]
    pub(super) fn first_outside(&self, text: &[u8]) -> Option<usize> {
        let mut rest = text;
        // Four looks for one decision.
        while let [first, second, third, fourth, behind @ ..] = rest
            && self.has(*first) & self.has(*second) & self.has(*third) & self.has(*fourth)
        {
            rest = behind;
        }
        let passed = text.len() - rest.len();
        rest.iter().position(|byte| !self.has(*byte)).map(|at| passed + at)
    }

    /// Splits off the bytes in front that are all of the set, which holds whole letters only.
    #[inline]
    pub(super) fn split_run<'a>(&self, text: &'a str) -> (&'a str, &'a str) {
        text.split_at(self.first_outside(text.as_bytes()).unwrap_or(text.len()))
    }

    pub(super) fn has_all(&self, text: &str) -> bool {
        self.first_outside(text.as_bytes()).is_none()
    }

    /// The same without SP, HTAB and all other controls.
    pub(super) const fn but_blanks_and_controls(mut self) -> Self {
        let mut byte = 0;
        while byte <= b' ' {
            self.0[byte as usize] = false;
            byte += 1;
        }
        self.0[0x7f] = false;
        self
    }

    /// The same with every byte of a letter beyond ASCII.
    pub(super) const fn with_all_beyond_ascii(mut self) -> Self {
        let mut byte = 0x80;
        while byte < self.0.len() {
            self.0[byte] = true;
            byte += 1;
        }
        self
    }

    const fn filled(usual: bool, others: &[u8]) -> Self {
        let mut set = [usual; 256];
        let mut at = 0;
        while at < others.len() {
            set[others[at] as usize] = !usual;
            at += 1;
        }
        Self(set)
    }

    const fn with_alphanumeric(mut self) -> Self {
        let mut byte = 0;
        while byte < u8::MAX {
            if byte.is_ascii_alphanumeric() {
                self.0[byte as usize] = true;
            }
            byte += 1;
        }
        self
    }
}

/// The bytes of a token.
pub(super) static TOKEN: ByteSet = ByteSet::alphanumeric_and(b"-.!%*_+`'~");

/// The bytes of a display name without quotes: tokens and white space. Letters beyond ASCII are let
/// pass, for clients write names as their users do.
pub(super) static PLAIN_DISPLAY: ByteSet =
    ByteSet::alphanumeric_and(b"-.!%*_+`'~ \t").with_all_beyond_ascii();

/// Whether the byte may stand in a token.
pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN.has(byte)
}

/// Whether the text is a token.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && TOKEN.has_all(text)
}

/// The text without the white space around it (SP and HTAB; folds are undone before).
pub(super) fn trimmed(text: &str) -> &str {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = text.as_bytes();
    // Most texts have none.
    if blank(bytes.first()) || blank(bytes.last()) { text.trim_matches([' ', '\t']) } else { text }
}

/// Splits at the first such ASCII byte; on the short texts of SIP quicker than `str::split_once`.
pub(super) fn split_at_byte(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|it| it == byte)?;
    Some((&text[..at], &text[at + 1..]))
}

/// Splits at a separator that stands outside quoted strings and outside `<>`.
#[must_use]
pub fn split_outside(text: &str, separator: u8) -> SplitOutside<'_> {
    SplitOutside { rest: Some(text), separator }
}

/// The iterator of [`split_outside`]: pieces with the white space around them taken off.
#[derive(Debug)]
pub struct SplitOutside<'a> {
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
    let bytes = text.as_bytes();
    let first = memchr::memchr(separator, bytes)?;
    // Nothing hides a separator that no quote and no bracket stands before.
    if memchr::memchr2(b'"', b'<', &bytes[..first]).is_none() {
        return Some((&text[..first], &text[first + 1..]));
    }
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

/// Takes a quoted string off the front: what stands between its quotes, and the text behind it.
pub(super) fn split_quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', inner.as_bytes().get(at..)?)?;
        if inner.as_bytes().get(at) == Some(&b'"') {
            return Some((&inner[..at], &inner[at + 1..]));
        }
        at += 2;
    }
}

/// What stands between quotes, without its escapes.
pub(super) fn unescaped(inner: &str) -> String {
    let mut said = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        said.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    said
}

/// Takes a quoted string off the front: what it says, and the text behind it.
pub(super) fn take_quoted(text: &str) -> Option<(String, &str)> {
    split_quoted(text).map(|(inner, rest)| (unescaped(inner), rest))
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
    let own = |(name, value): Param<'_>| (name.to_owned(), value.map(str::to_owned));
    EachParam::of(text).map(|param| param.map(own)).collect()
}

/// Whether a list of parameters can be read.
pub(super) fn check_params(text: &str) -> Result<(), BadParams> {
    EachParam::of(text).try_for_each(|param| param.map(drop))
}

/// Gives the value of a parameter where it stands; an empty one is none.
pub(super) fn param_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut params = EachParam::of(text).filter_map(Result::ok);
    let (_, value) = params.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    value.filter(|value| !value.is_empty())
}

/// Whether a parameter is there, with a value or without.
pub(super) fn has_param(text: &str, name: &str) -> bool {
    EachParam::of(text).filter_map(Result::ok).any(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// A parameter where it stands.
pub(super) type Param<'a> = (&'a str, Option<&'a str>);

/// The parameters of a list where they stand.
pub(super) struct EachParam<'a> {
    /// What is still to be read, from a semicolon on.
    rest: &'a str,
}

impl<'a> EachParam<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { rest: trimmed(text) }
    }

    #[inline]
    /// Reads a parameter that is written as nearly all are: no white space, no quotes.
    fn read_plain(list: &'a str) -> Option<(Param<'a>, &'a str)> {
        let (name, behind) = TOKEN.split_run(list);
        let (value, rest) = match behind.strip_prefix('=') {
            Some(behind) => {
                let (value, rest) = PARAM_VALUE.split_run(behind);
                (Some(value), rest)
            }
            None => (None, behind),
        };
        let is_plain = !name.is_empty() && value.is_none_or(|value| !value.is_empty());
        let ends = rest.is_empty() || rest.starts_with(';');
        (is_plain && ends).then_some(((name, value), rest))
    }

    /// Reads one of any form.
    fn read_any(text: &'a str) -> Result<Param<'a>, BadParams> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (trimmed(name), Some(trimmed(value))),
            None => (text, None),
        };
        let sound = is_token(name) && value.is_none_or(is_param_value);
        if sound { Ok((name, value)) } else { Err(BadParams) }
    }
}

impl<'a> Iterator for EachParam<'a> {
    type Item = Result<Param<'a>, BadParams>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(list) = self.rest.strip_prefix(';') else {
            self.rest = "";
            return Some(Err(BadParams));
        };
        if let Some((param, rest)) = Self::read_plain(list) {
            self.rest = rest;
            return Some(Ok(param));
        }
        let text = split_once_outside(list, b';').map_or(list, |(text, _)| text);
        self.rest = list.get(text.len()..).unwrap_or_default();
        Some(Self::read_any(trimmed(text)))
    }
}

/// A token, a host or a quoted string; wider than `gen-value`, as addresses without brackets and
/// URNs stand here in practice (RFC 5118 section 4.5, RFC 5627).
fn is_param_value(value: &str) -> bool {
    if value.starts_with('"') {
        return matches!(split_quoted(value), Some((_, "")));
    }
    !value.is_empty() && PARAM_VALUE.has_all(value)
}

pub(super) static PARAM_VALUE: ByteSet = ByteSet::all_but(b"\",<>;\\").but_blanks_and_controls();

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
