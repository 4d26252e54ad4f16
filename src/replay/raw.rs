//! A recorded message as its bytes are: where its parts lie, and replacements among them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// The places of a message's parts in its bytes.
pub(super) struct Raw<'a> {
    bytes: &'a [u8],
    /// Where the first line ends, its line break left out.
    line: usize,
    fields: Vec<Field>,
    body: Range<usize>,
}

/// The place of a field.
pub(super) struct Field {
    name: String,
    /// With its line break.
    pub(super) whole: Range<usize>,
    /// Without the white space around it.
    pub(super) value: Range<usize>,
}

impl<'a> Raw<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let mut fields: Vec<Field> = Vec::new();
        let (line, mut at) = line_at(bytes, 0);
        let mut body = bytes.len();
        while at < bytes.len() {
            let (end, next) = line_at(bytes, at);
            if end == at {
                body = next;
                break;
            }
            let text = &bytes[at..end];
            match (fields.last_mut(), text.first()) {
                (Some(field), Some(b' ' | b'\t')) => {
                    (field.whole.end, field.value.end) = (next, end);
                }
                _ => {
                    let colon = memchr::memchr(b':', text).unwrap_or(text.len());
                    let name = String::from_utf8_lossy(&text[..colon]).trim_end().to_owned();
                    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
                    let value = text.get(colon + 1..).unwrap_or_default();
                    let begin = at
                        + (colon + 1).min(text.len())
                        + value.iter().take_while(|byte| blank(byte)).count();
                    fields.push(Field { name, whole: at..next, value: begin..end.max(begin) });
                }
            }
            at = next;
        }
        let end = if bytes.starts_with(b"MSRP ") { end_line(bytes, body) } else { bytes.len() };
        Self { bytes, line, fields, body: body.min(end)..end }
    }

    pub(super) fn body(&self) -> &'a [u8] {
        &self.bytes[self.body.clone()]
    }

    pub(super) fn body_range(&self) -> Range<usize> {
        self.body.clone()
    }

    /// Gives where the first line ends.
    pub(super) fn line_end(&self) -> usize {
        self.line
    }

    pub(super) fn of(&self, range: &Range<usize>) -> Cow<'a, str> {
        String::from_utf8_lossy(&self.bytes[range.clone()])
    }

    pub(super) fn named(&self, name: (&str, &str)) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |field| {
            field.name.eq_ignore_ascii_case(name.0) || field.name.eq_ignore_ascii_case(name.1)
        })
    }

    /// Gives the first value of a field, by its long and its compact name.
    pub(super) fn text(&self, name: (&str, &str)) -> Option<Cow<'a, str>> {
        self.named(name).next().map(|field| self.of(&field.value))
    }

    /// Gives all fields of a name as lines.
    pub(super) fn lines_of(
        &self,
        name: (&str, &str),
        value: impl Fn(&str, bool) -> String,
    ) -> String {
        let fields = self.named(name).enumerate();
        fields
            .map(|(index, field)| {
                format!("{}: {}\r\n", name.0, value(&self.of(&field.value), index == 0))
            })
            .collect()
    }

    /// Gives the place of the Request-URI.
    pub(super) fn uri(&self) -> Option<Range<usize>> {
        let line = &self.bytes[..self.line];
        let begin = memchr::memchr(b' ', line)? + 1;
        let end = memchr::memrchr(b' ', line)?;
        (begin < end).then_some(begin..end)
    }
}

/// Gives where the line ends that begins there, and where the next one begins.
pub(super) fn line_at(bytes: &[u8], at: usize) -> (usize, usize) {
    match memchr::memchr(b'\n', &bytes[at..]) {
        Some(length) => {
            let end = at + length;
            let end_of_text = if end > at && bytes[end - 1] == b'\r' { end - 1 } else { end };
            (end_of_text, end + 1)
        }
        None => (bytes.len(), bytes.len()),
    }
}

/// Gives where the body of an MSRP frame ends.
fn end_line(bytes: &[u8], body: usize) -> usize {
    match memchr::memmem::rfind(&bytes[body.min(bytes.len())..], b"\r\n-------") {
        Some(at) => body + at,
        None => body.min(bytes.len()),
    }
}

/// Replacements in the bytes of a message.
#[derive(Default)]
pub(super) struct Edits(Vec<(Range<usize>, Vec<u8>)>);

impl Edits {
    pub(super) fn set(&mut self, range: Range<usize>, text: impl Into<Vec<u8>>) {
        self.0.push((range, text.into()));
    }

    /// Sets the first value of a field.
    pub(super) fn value(&mut self, raw: &Raw<'_>, name: (&str, &str), text: &str) {
        if let Some(field) = raw.named(name).next()
            && raw.of(&field.value) != text
        {
            self.set(field.value.clone(), text);
        }
    }

    /// Sets some words within a range.
    pub(super) fn within(&mut self, raw: &Raw<'_>, range: &Range<usize>, old: &str, new: &str) {
        if let Some(at) = memchr::memmem::rfind(&raw.bytes[range.clone()], old.as_bytes()) {
            let begin = range.start + at;
            self.set(begin..begin + old.len(), new);
        }
    }

    /// Puts lines in the place of all fields of a name; where there is none, below the first line.
    pub(super) fn replace_all(&mut self, raw: &Raw<'_>, name: (&str, &str), lines: &str) {
        let mut lines = Some(lines);
        for field in raw.named(name) {
            self.set(field.whole.clone(), lines.take().unwrap_or_default());
        }
        if let Some(lines) = lines.filter(|lines| !lines.is_empty()) {
            let (_, below) = line_at(raw.bytes, 0);
            self.set(below..below, lines);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn all(self) -> Vec<(Range<usize>, Vec<u8>)> {
        self.0
    }

    pub(super) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    pub(super) fn grown(&self) -> i64 {
        let length = |length: usize| i64::try_from(length).unwrap_or_default();
        self.0.iter().map(|(range, text)| length(text.len()) - length(range.len())).sum()
    }

    /// Sets the `Content-Length` of the part, of MIME or CPIM, that each edit lies in.
    pub(super) fn repair_lengths(&mut self, body: &[u8]) {
        let mut by_line: BTreeMap<usize, i64> = BTreeMap::new();
        for (range, text) in &self.0 {
            let before = body[..range.start].to_ascii_lowercase();
            if let Some(at) = memchr::memmem::rfind(&before, b"content-length:") {
                let length = |length: usize| i64::try_from(length).unwrap_or_default();
                *by_line.entry(at + b"content-length:".len()).or_default() +=
                    length(text.len()) - length(range.len());
            }
        }
        for (at, grown) in by_line.into_iter().filter(|(_, grown)| *grown != 0) {
            let (end, _) = line_at(body, at);
            let text = String::from_utf8_lossy(&body[at..end]).into_owned();
            if let Ok(length) = text.trim().parse::<i64>() {
                self.set(at..end, format!(" {}", length.saturating_add(grown)));
            }
        }
    }

    pub(super) fn apply(mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        let (mut out, mut at) = (Vec::with_capacity(bytes.len() + 256), 0);
        for (range, text) in self.0 {
            // Of two that overlap the first holds; a recording may say the same thing twice.
            if range.start < at || range.end > bytes.len() {
                continue;
            }
            out.extend_from_slice(&bytes[at..range.start]);
            out.extend_from_slice(&text);
            at = range.end;
        }
        out.extend_from_slice(&bytes[at..]);
        out
    }
}
