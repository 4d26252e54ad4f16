//! The head of a recorded message of any of the three languages: a first line, fields, a body.
//!
//! Unlike the parsers of the bridge this refuses nothing, for what breaks the rules is what the
//! reader of a trace looks for.

use std::borrow::Cow;

/// A message cut up.
pub(super) struct Head<'a> {
    text: Cow<'a, str>,
    /// What stands behind the empty line; an MSRP frame's end-line is no part of it.
    pub(super) body: &'a [u8],
}

impl<'a> Head<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let end = empty_line(bytes);
        let (head, body) = bytes.split_at(end.unwrap_or(bytes.len()));
        let body = if bytes.starts_with(b"MSRP ") { without_end_line(body) } else { body };
        Self { text: String::from_utf8_lossy(head), body }
    }

    /// Gives the first line.
    pub(super) fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// Gives the fields in order, each with its lines joined by a space.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let mut lines = self.text.lines().skip(1).peekable();
        std::iter::from_fn(move || {
            loop {
                let line = lines.next()?;
                let Some((name, value)) = line.split_once(':') else { continue };
                let mut value = Cow::Borrowed(value.trim());
                while let Some(fold) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
                    value.to_mut().push(' ');
                    value.to_mut().push_str(fold.trim());
                }
                return Some((name.trim_end(), value));
            }
        })
    }

    /// Gives the first field of that name.
    pub(super) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        self.fields().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Gives where the body begins.
fn empty_line(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr(b'\n', bytes.get(at..)?)? + 1;
        match bytes.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}

fn without_end_line(body: &[u8]) -> &[u8] {
    match memchr::memmem::rfind(body, b"\r\n-------") {
        Some(end) => &body[..end],
        None if body.starts_with(b"-------") => &[],
        None => body,
    }
}

/// Gives the value of a parameter such as `tag` or `branch` behind a `;`.
pub(super) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    // What stands in angle brackets has parameters of its own.
    let outside = value.rfind('>').map_or(value, |end| &value[end..]);
    outside.split(';').skip(1).find_map(|parameter| {
        let (found, value) = parameter.split_once('=')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Gives the address of a `From` or `To` without its name and parameters.
pub(super) fn address(value: &str) -> &str {
    match (value.find('<'), value.rfind('>')) {
        (Some(begin), Some(end)) if begin < end => &value[begin + 1..end],
        _ => value.split(';').next().unwrap_or_default().trim(),
    }
}
