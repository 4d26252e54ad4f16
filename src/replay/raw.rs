//! A recorded message as its bytes are: where its parts lie, and replacements among them.

use std::borrow::Cow;
use std::ops::Range;

use super::rewrite::{Change, Kept, Rewriting, Rewritten};

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

    pub(super) fn bytes(&self, range: &Range<usize>) -> &'a [u8] {
        &self.bytes[range.clone()]
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

    /// Says in which part of the message something lies.
    fn place(&self, range: &Range<usize>, text: &str) -> String {
        let holds = |field: &&Field| {
            field.whole.start <= range.start && range.end <= field.whole.end && !range.is_empty()
        };
        if let Some(field) = self.fields.iter().find(holds) {
            return field.name.clone();
        }
        match range.start {
            at if at < self.line => "first line".to_owned(),
            // A field that was not there.
            at if at < self.body.start => text.split(':').next().unwrap_or_default().to_owned(),
            at if at < self.body.end => "body".to_owned(),
            _ => "end-line".to_owned(),
        }
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

/// Replacements in the bytes of a message, but for those that are not to be done.
pub(super) struct Edits {
    kept: Kept,
    all: Vec<Edit>,
}

/// One replacement.
struct Edit {
    range: Range<usize>,
    text: Vec<u8>,
    what: Rewriting,
}

impl Edits {
    pub(super) fn new(kept: Kept) -> Self {
        Self { kept, all: Vec::new() }
    }

    pub(super) fn set(&mut self, range: Range<usize>, text: impl Into<Vec<u8>>, what: Rewriting) {
        if !self.kept.has(what) {
            self.all.push(Edit { range, text: text.into(), what });
        }
    }

    /// Sets the first value of a field.
    pub(super) fn value(
        &mut self,
        raw: &Raw<'_>,
        name: (&str, &str),
        (text, what): (&str, Rewriting),
    ) {
        if let Some(field) = raw.named(name).next()
            && raw.of(&field.value) != text
        {
            self.set(field.value.clone(), text, what);
        }
    }

    /// Sets some words within a range, the last ones of their kind.
    pub(super) fn within(
        &mut self,
        raw: &Raw<'_>,
        range: &Range<usize>,
        (old, new): (&str, &str),
        what: Rewriting,
    ) {
        if let Some(at) = memchr::memmem::rfind(&raw.bytes[range.clone()], old.as_bytes()) {
            let begin = range.start + at;
            self.set(begin..begin + old.len(), new, what);
        }
    }

    /// Puts lines in the place of all fields of a name; where there is none, below the first line.
    pub(super) fn replace_all(
        &mut self,
        raw: &Raw<'_>,
        name: (&str, &str),
        (lines, what): (&str, Rewriting),
    ) {
        let mut lines = Some(lines);
        for field in raw.named(name) {
            self.set(field.whole.clone(), lines.take().unwrap_or_default(), what);
        }
        if let Some(lines) = lines.filter(|lines| !lines.is_empty()) {
            let (_, below) = line_at(raw.bytes, 0);
            self.set(below..below, lines, what);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Takes those of a part that begins there.
    pub(super) fn take(&mut self, part: Self, begin: usize) {
        self.all.extend(part.all.into_iter().map(|edit| {
            let range = edit.range.start + begin..edit.range.end + begin;
            Edit { range, ..edit }
        }));
    }

    pub(super) fn grown(&self) -> i64 {
        self.all.iter().map(Edit::grown).sum()
    }

    /// Sets the `Content-Length` of each part, of MIME or CPIM, that edits lie in.
    pub(super) fn repair_lengths(&mut self, body: &[u8]) {
        let lengths = lengths_in(body);
        let boundaries: Vec<usize> = memchr::memmem::find_iter(body, b"\n--").collect();
        let mut grown_by_length = vec![0_i64; lengths.len()];
        for edit in &self.all {
            let mut is_nearest = true;
            for (length, grown) in lengths.iter().zip(&mut grown_by_length).rev() {
                if length.end > edit.range.start {
                    continue;
                }
                // What a part counts may be wrong; that it is the part's, its boundary tells.
                let next = boundaries.partition_point(|boundary| *boundary < length.end);
                let is_before = |at: usize| boundaries.get(next).is_none_or(|it| *it >= at);
                let holds = length.content.contains(&edit.range.start);
                let is_of_part = is_nearest && is_before(edit.range.start);
                if is_of_part || (holds && is_before(length.content.start)) {
                    *grown = grown.saturating_add(edit.grown());
                }
                is_nearest = false;
            }
        }
        for (length, grown) in lengths.into_iter().zip(grown_by_length) {
            if grown != 0 {
                let value = length.value.saturating_add(grown).to_string();
                self.set(length.digits.start..length.digits.end, value, Rewriting::Lengths);
            }
        }
    }

    pub(super) fn apply(mut self, raw: &Raw<'_>) -> Rewritten {
        let bytes = raw.bytes;
        self.all.sort_by_key(|edit| (edit.range.start, edit.range.end));
        let (mut out, mut at) = (Vec::with_capacity(bytes.len() + 256), 0);
        let mut changes = Vec::new();
        for Edit { range, text, what } in self.all {
            // Of two that overlap the first holds; a recording may say the same thing twice.
            if range.start < at || range.end > bytes.len() {
                continue;
            }
            out.extend_from_slice(&bytes[at..range.start]);
            if bytes[range.clone()] != *text {
                let to = String::from_utf8_lossy(&text).into_owned();
                let (place, from) = (raw.place(&range, &to), raw.of(&range).into_owned());
                changes.push(Change { place, from, to, what });
            }
            out.extend_from_slice(&text);
            at = range.end;
        }
        out.extend_from_slice(&bytes[at..]);
        Rewritten { bytes: out, changes }
    }
}

impl Edit {
    fn grown(&self) -> i64 {
        let length = |length: usize| i64::try_from(length).unwrap_or_default();
        length(self.text.len()) - length(self.range.len())
    }
}

/// A `Content-Length` in a body.
struct Length {
    value: i64,
    digits: Range<usize>,
    /// Where its line ends.
    end: usize,
    /// What it says to be its content.
    content: Range<usize>,
}

fn lengths_in(body: &[u8]) -> Vec<Length> {
    const NAME: &[u8] = b"content-length:";
    let lower = body.to_ascii_lowercase();
    let found = memchr::memmem::find_iter(&lower, NAME).filter(|at| {
        // Of a line it is the beginning.
        at.checked_sub(1).is_none_or(|before| body[before] == b'\n')
    });
    let read = |at: usize| {
        let (end, _) = line_at(body, at);
        let text = &body[at + NAME.len()..end];
        let begin = at + NAME.len() + text.iter().take_while(|it| it.is_ascii_whitespace()).count();
        let digits = begin..begin + body[begin..end].trim_ascii_end().len();
        let value: i64 = std::str::from_utf8(&body[digits.clone()]).ok()?.parse().ok()?;
        let empty =
            |line: &[u8]| memchr::memmem::find(&body[end..], line).map(|it| (it, line.len()));
        let empty = [empty(b"\r\n\r\n"), empty(b"\n\n")].into_iter().flatten().min();
        let content = empty.map_or(body.len(), |(it, length)| end + it + length);
        let size = usize::try_from(value).unwrap_or_default();
        Some(Length { value, digits, end, content: content..content.saturating_add(size) })
    };
    found.take(MAX_PARTS).filter_map(read).collect()
}

/// Parts of a body whose lengths are known.
const MAX_PARTS: usize = 64;
