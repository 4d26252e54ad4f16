//! Lists of credentials: one to a line, each with the users that it is for.

use std::fmt;

use super::Caller;
use crate::address::Address;

/// What is wrong with a line. It repeats no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct LineFault {
    /// Which one, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Gives the words of each line that says something, with the number of the line.
pub(super) fn entries(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(at, line)| (at, line.split_ascii_whitespace().collect()))
}

/// Reads whom a credential is for: addresses, or `*` for everybody.
pub(super) fn caller(words: &[&str]) -> Result<Caller, String> {
    match words {
        [] => Err("names nobody whom the credential is for: addresses, or *".to_owned()),
        ["*"] => Ok(Caller::anybody()),
        words => {
            let read = |word: &&str| {
                Address::parse(word).map_err(|error| format!("a user is wrong: {error}"))
            };
            Ok(Caller::of(words.iter().map(read).collect::<Result<Vec<_>, _>>()?))
        }
    }
}
