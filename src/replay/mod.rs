//! Recorded chats: what is in a trace, drawn as a ladder, set beside another one, or played again.
//!
//! [`crate::trace`] gives the messages. `source` reads a file in pieces and hands them on, `head`
//! and `said` understand what each one says, as far as it can be understood: a recording holds
//! what peers really sent, so nothing here is refused. `book` keeps the accounts: dialogs with
//! their forks, MSRP sessions bound to the dialog whose description offers their path, REST calls,
//! and retransmissions folded into what they repeat; `brief` bounds the words that they keep. Upon
//! it stand `info`, `ladder` and `diff`; `compare`, `mask`, `aliases` and `canonical` say when two
//! messages are the same, `columns` shows two beside each other. `run` plays a recording against a
//! bridge: `rewrite` makes its messages fit for that, `junit` and `capture` keep what came of it.

mod aliases;
mod book;
mod brief;
mod canonical;
mod capture;
mod columns;
mod compare;
mod content;
mod date;
mod diff;
mod head;
mod info;
mod json;
mod junit;
mod ladder;
mod mask;
mod raw;
mod rewrite;
mod run;
mod said;
mod source;

use std::path::Path;

pub use compare::Level;
pub use diff::diff;
pub use info::info;
pub use ladder::{Picture, ladder};
pub use rewrite::{Kept, Mapping, Rewriting};
pub use run::{Expect, Family, Pace, Run, Side, Stand, Target, Wanted, run};

/// What a command gives to its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// For standard output.
    pub text: String,
    /// For standard error, a line each.
    pub warnings: Vec<String>,
    /// For the status of the process.
    pub exit: Exit,
}

impl Outcome {
    /// Makes that of a command that came to nothing; programs are told on standard output as well.
    fn failure(exit: Exit, warnings: Vec<String>, form: Form) -> Self {
        let text = match form {
            Form::Text => String::new(),
            Form::Json => {
                format!("{:#}\n", serde_json::json!({"exit": exit.code(), "warnings": warnings}))
            }
        };
        Self { text, warnings, exit }
    }
}

/// How a command ends; the numbers are documented and stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All is as expected.
    Good,
    /// Something differs from what was expected.
    Differs,
    /// What was asked for makes no sense, or its result cannot be written.
    Usage,
    /// The input cannot be read, or holds nothing that the command is about.
    NoTrace,
    /// The bridge cannot be reached, or a socket cannot be bound.
    Unreachable,
    /// What was expected did not come in time.
    Silent,
    /// Something came that was not expected, where that matters.
    Unexpected,
    /// Somebody interrupted it.
    Interrupted,
}

impl Exit {
    /// Gives the status of the process.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Differs => 1,
            Self::Usage => 2,
            Self::NoTrace => 3,
            Self::Unreachable => 4,
            Self::Silent => 5,
            Self::Unexpected => 6,
            Self::Interrupted => 130,
        }
    }
}

/// Whether the output is for people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text.
    Text,
    /// One JSON document.
    Json,
}

/// Reads a trace into a book; the outcome of the failure where that leads nowhere.
fn open(trace: &Path, keep: book::Keep, form: Form) -> Result<source::Trace, Outcome> {
    let read = source::read(trace, keep);
    let failure = match read {
        Ok(trace) if trace.book.totals.sip + trace.book.totals.msrp > 0 => return Ok(trace),
        Ok(trace) => {
            let mut warnings = [&trace.warnings[..], &trace.hidden()].concat();
            warnings.push(format!("{}: no SIP and no MSRP in it", trace.name));
            warnings
        }
        Err(error) => vec![format!("{}: {error}", trace.display())],
    };
    Err(Outcome::failure(Exit::NoTrace, failure, form))
}

/// Gives a text as a terminal may show it: what peers sent must not move its cursor.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests;
