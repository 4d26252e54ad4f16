//! A trace from a file or from standard input, read in pieces into a book.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::book::{Book, Keep};
use crate::trace::{Found, Limits, Reader, Summary};

/// A trace that has been read.
pub(super) struct Trace {
    /// The file, as it was named.
    pub(super) name: String,
    pub(super) summary: Summary,
    pub(super) book: Book,
    /// What could not be read, the first ones each and the rest in number.
    pub(super) warnings: Vec<String>,
}

impl Trace {
    /// Tells of what is in the trace and hidden from everybody.
    pub(super) fn hidden(&self) -> Vec<String> {
        hidden(&self.summary).map(|line| format!("{}: {line}", self.name)).collect()
    }
}

/// Tells what a trace holds that nobody can read, a line for each kind.
pub(super) fn hidden(summary: &Summary) -> impl Iterator<Item = String> {
    let counts = [
        (summary.encrypted_streams, "encrypted connections passed over"),
        (summary.encrypted_packets, "packets of IPsec passed over"),
    ];
    let some = counts.into_iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| format!("{count} {what}"))
}

/// Reads a trace; `-` is standard input.
pub(super) fn read(path: &Path, keep: Keep) -> io::Result<Trace> {
    let name = path.display().to_string();
    if path == Path::new("-") {
        return read_from(name, &mut io::stdin().lock(), keep);
    }
    read_from(name, &mut File::open(path)?, keep)
}

pub(super) fn read_from(name: String, input: &mut impl Read, keep: Keep) -> io::Result<Trace> {
    let (mut reader, mut book) = (Reader::new(Limits::default()), Book::new(keep));
    let (mut warnings, mut untold) = (Vec::new(), 0_u64);
    let mut drain = |reader: &mut Reader| {
        while let Some(found) = reader.poll() {
            match found {
                Found::Message(message) => book.add(&message),
                Found::Warning(warning) if warnings.len() < MAX_WARNINGS => {
                    warnings.push(format!("{name}: {warning}"));
                }
                Found::Warning(_) => untold += 1,
            }
        }
    };
    let mut piece = vec![0; PIECE];
    loop {
        let length = match input.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        reader.feed(&piece[..length]);
        drain(&mut reader);
    }
    reader.end();
    drain(&mut reader);
    if untold > 0 {
        warnings.push(format!("{name}: {untold} more warnings"));
    }
    Ok(Trace { name, summary: reader.summary(), book, warnings })
}

/// Enough to keep the disk busy, and little beside what is held for streams.
const PIECE: usize = 256 * 1024;
const MAX_WARNINGS: usize = 20;
