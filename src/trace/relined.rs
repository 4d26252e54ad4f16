//! Messages of which a log has changed the line breaks, and may have moved the lines to the right:
//! how long they are, and what they were.
//!
//! `Content-Length` counts the bytes of the wire (RFC 3261 section 20.14), where each line ends with
//! two; in the log it is one, and spaces before it count for nothing.

use super::extent::{body_length, line_end, note};

/// A message under way.
#[derive(Debug)]
pub(super) struct Relined {
    /// Spaces that the log has put before each line.
    pub(super) indent: usize,
    /// Where the first line begins that was not looked at.
    at: usize,
    /// Bytes in which that line is known not to end.
    searched: usize,
    part: Part,
}

#[derive(Debug)]
enum Part {
    Head,
    /// So many bytes of the wire are still to come; it is not told of all.
    Body(Option<usize>),
    /// It ends here.
    Over(usize),
}

impl Relined {
    /// Makes that of a message by its first line, which is whole; `None` where it is as on the wire.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        let indent = if line.starts_with(INDENT) { INDENT.len() } else { 0 };
        let is_changed = indent > 0 || !line.ends_with(b"\r\n");
        is_changed.then_some(Self { indent, at: 0, searched: 0, part: Part::Head })
    }

    /// Looks at the message, as far as it is there, which is never less than the last time; gives
    /// where it ends.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            if let Part::Over(end) = self.part {
                return Some(end);
            }
            let end = line_end(bytes, self.searched);
            let whole = bytes.get(self.at..end.unwrap_or(bytes.len()))?;
            let (before, line) = text(whole, self.indent);
            match self.part {
                Part::Head if end.is_some() && line.trim_ascii().is_empty() => {
                    let head = restored(&bytes[..self.at], self.indent);
                    self.part = Part::Body(body_length(&head));
                }
                Part::Body(Some(left)) => {
                    self.part = match (end, left.checked_sub(line.len() + 2)) {
                        (Some(_), Some(left)) => Part::Body(Some(left)),
                        // It has no line break at its end.
                        (_, None) if left <= line.len() => Part::Over(self.at + before + left),
                        (Some(end), None) => Part::Over(end + 1),
                        (None, _) => return self.wait(bytes),
                    };
                }
                Part::Body(None) => return None,
                Part::Head | Part::Over(_) => {}
            }
            match (end, &self.part) {
                (_, Part::Over(end)) => return Some(*end),
                (Some(end), part) => {
                    if matches!(part, Part::Body(Some(0))) {
                        self.part = Part::Over(end + 1);
                    }
                    (self.at, self.searched) = (end + 1, end + 1);
                }
                (None, _) => return self.wait(bytes),
            }
        }
    }

    fn wait(&mut self, bytes: &[u8]) -> Option<usize> {
        self.searched = bytes.len();
        None
    }
}

/// Gives the bytes of the wire again.
pub(super) fn restored(bytes: &[u8], indent: usize) -> Vec<u8> {
    note(bytes.len());
    let mut wire = Vec::with_capacity(bytes.len() + bytes.len() / 16);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        wire.extend_from_slice(text(line.strip_suffix(b"\n").unwrap_or(line), indent).1);
        if line.ends_with(b"\n") {
            wire.extend_from_slice(b"\r\n");
        }
    }
    wire
}

/// Gives the text of a line, and the bytes before it: who copied a log may have left out the spaces
/// of an empty one.
fn text(line: &[u8], indent: usize) -> (usize, &[u8]) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let own = match indent {
        0 => line,
        _ => line.strip_prefix(INDENT).unwrap_or_else(|| line.trim_ascii_start()),
    };
    (line.len() - own.len(), own)
}

/// What older versions of SOFIA put before each line.
const INDENT: &[u8] = b"   ";
