//! What is wrong with a configuration, where, and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

/// One fault of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub place: Place,
    /// The key, as `[section] key`; nothing where the file is no TOML at all.
    pub key: Option<String>,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// Where a fault stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On a line of the file, the first being 1.
    Line(usize),
    /// In an environment variable.
    Variable(String),
    /// On a line of the file that lists the users.
    UsersFile(PathBuf, usize),
    /// Nowhere: something is missing, or the file itself cannot be read.
    Nowhere,
}

/// All faults of a configuration, and the file that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// The file, where there was one.
    pub file: Option<PathBuf>,
    /// The faults: by line, then by variable.
    pub list: Vec<Fault>,
}

impl Fault {
    fn print(&self, f: &mut fmt::Formatter<'_>, file: Option<&Path>) -> fmt::Result {
        match (&self.place, file) {
            (Place::Line(line), Some(file)) => write!(f, "{}:{line}: ", file.display())?,
            (Place::Line(line), None) => write!(f, "line {line}: ")?,
            (Place::Variable(name), _) => write!(f, "{name}: ")?,
            (Place::UsersFile(path, line), _) => write!(f, "{}:{line}: ", path.display())?,
            (Place::Nowhere, Some(file)) => write!(f, "{}: ", file.display())?,
            (Place::Nowhere, None) => {}
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, None)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.list {
            fault.print(f, self.file.as_deref())?;
            f.write_str("\n")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Gives `; did you mean …?` where one of `words` is close to `word`, and nothing otherwise.
pub(super) fn did_you_mean<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    let far = 1 + word.chars().count() / 3;
    let close = words.into_iter().map(|other| (distance(word, other), other)).min();
    match close {
        Some((distance, other)) if distance <= far => format!("; did you mean {other}?"),
        Some(_) | None => String::new(),
    }
}

/// Counts the letters to insert, drop, replace or swap with their neighbour.
fn distance(one: &str, two: &str) -> usize {
    let (one, two): (Vec<char>, Vec<char>) =
        (one.to_lowercase().chars().collect(), two.to_lowercase().chars().collect());
    let width = two.len() + 1;
    let mut table = vec![0; (one.len() + 1) * width];
    for i in 0..=one.len() {
        for j in 0..=two.len() {
            let at = |i: usize, j: usize| i * width + j;
            table[at(i, j)] = if i == 0 || j == 0 {
                i + j
            } else {
                let other = usize::from(one[i - 1] != two[j - 1]);
                let plain = table[at(i - 1, j)].min(table[at(i, j - 1)]) + 1;
                let mut best = plain.min(table[at(i - 1, j - 1)] + other);
                let swapped =
                    i > 1 && j > 1 && one[i - 1] == two[j - 2] && one[i - 2] == two[j - 1];
                if swapped {
                    best = best.min(table[at(i - 2, j - 2)] + 1);
                }
                best
            };
        }
    }
    table.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_keyboard_is_close_and_another_word_is_not() {
        let words = ["listen", "base_path", "max_body"];
        assert_eq!(did_you_mean("lisetn", words), "; did you mean listen?");
        assert_eq!(did_you_mean("Basepath", words), "; did you mean base_path?");
        assert_eq!(did_you_mean("colour", words), "");
        assert_eq!(did_you_mean("x", []), "");
    }

    #[test]
    fn a_fault_names_its_file_line_and_key() {
        let fault = |place| Fault { place, key: Some("[rest] listen".into()), what: "bad".into() };
        let list = vec![
            fault(Place::Line(3)),
            fault(Place::Variable("CHATBRIDGE_REST_LISTEN".into())),
            Fault { place: Place::Nowhere, key: None, what: "gone".into() },
        ];
        let mut faults = Faults { file: Some("a.toml".into()), list };
        assert_eq!(
            faults.to_string(),
            "a.toml:3: [rest] listen: bad\n\
             CHATBRIDGE_REST_LISTEN: [rest] listen: bad\n\
             a.toml: gone\n"
        );
        faults.file = None;
        assert!(faults.to_string().starts_with("line 3: [rest] listen: bad\n"));
    }
}
