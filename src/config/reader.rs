//! Reads keys out of a file and the environment, and gathers every fault on the way.
//!
//! A key becomes known by being asked for: what was never asked for is unknown, in the file as in
//! the environment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Place, did_you_mean};
use super::values::{Secret, file, socket};

/// How the variables that override keys begin.
pub(super) const PREFIX: &str = "CHATBRIDGE_";

/// The variable that names the file; it overrides no key.
pub(super) const FILE_VARIABLE: &str = "CHATBRIDGE_CONFIG";

/// Reads a configuration section by section.
pub(super) struct Reader<'a> {
    text: &'a str,
    document: DeTable<'a>,
    variables: BTreeMap<String, String>,
    /// From where a path is meant that is not absolute.
    home: PathBuf,
    /// The keys asked for, section by section, in order.
    asked: Vec<(&'static str, Vec<&'static str>)>,
    faults: Vec<Fault>,
}

/// One section of a [`Reader`].
pub(super) struct Section<'r, 'a> {
    reader: &'r mut Reader<'a>,
    name: &'static str,
}

/// A word of a small vocabulary.
pub(super) trait Choice: Copy + 'static {
    /// The words and what they stand for, the default first.
    const WORDS: &'static [(&'static str, Self)];

    /// Gives the word that stands for the value.
    fn word(self) -> &'static str
    where
        Self: PartialEq,
    {
        let found = Self::WORDS.iter().find(|(_, value)| *value == self);
        found.map_or("", |(word, _)| word)
    }
}

impl<'a> Reader<'a> {
    /// Opens the text of a file that lies in `home`, and the variables that begin with [`PREFIX`].
    pub(super) fn new(
        (text, home): (&'a str, &Path),
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let (document, errors) = DeTable::parse_recoverable(text);
        let variables = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX) && name != FILE_VARIABLE)
            .collect();
        let mut this = Self {
            text,
            document: document.into_inner(),
            variables,
            home: home.to_owned(),
            asked: Vec::new(),
            faults: Vec::new(),
        };
        for error in errors {
            let line = this.line(error.span().map_or(0, |span| span.start));
            let what = error.message().replace('\n', ", ");
            this.faults.push(Fault { place: Place::Line(line), key: None, what });
        }
        this
    }

    /// Opens a section.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'_, 'a> {
        self.asked.push((name, Vec::new()));
        Section { reader: self, name }
    }

    /// Notes a fault of a key.
    fn fault(&mut self, section: &'static str, key: &'static str, what: String) {
        let place = self.place(section, key);
        self.faults.push(Fault { place, key: Some(name(section, key)), what });
    }

    /// Notes that a key does not go together with another one, and stands where the one or the
    /// other was set. A key that is at fault itself was replaced by its default, about which there
    /// is nothing to say.
    pub(super) fn discord(
        &mut self,
        (section, key): (&'static str, &'static str),
        other: (&'static str, &'static str),
        what: String,
    ) {
        let key_name = name(section, key);
        if self.faults.iter().any(|fault| fault.key.as_deref() == Some(&key_name)) {
            return;
        }
        let place = match self.place(section, key) {
            Place::Nowhere => self.place(other.0, other.1),
            place @ (Place::Line(_) | Place::Variable(_) | Place::UsersFile(..)) => place,
        };
        self.faults.push(Fault { place, key: Some(key_name), what });
    }

    /// Notes faults that were found elsewhere.
    pub(super) fn add(&mut self, faults: Vec<Fault>) {
        self.faults.extend(faults);
    }

    /// Closes the reader: gives the faults, those of unknown keys included, in order.
    pub(super) fn finish(mut self) -> Vec<Fault> {
        self.unknown_keys();
        self.unknown_variables();
        let mut faults = std::mem::take(&mut self.faults);
        // A line that is no TOML was read by guessing: what else it seems to say is no news.
        let broken: Vec<Place> =
            faults.iter().filter(|f| f.key.is_none()).map(|f| f.place.clone()).collect();
        faults.retain(|fault| fault.key.is_none() || !broken.contains(&fault.place));
        faults.sort_by(|one, two| one.place.cmp(&two.place));
        faults
    }

    /// Gives every key that was asked for, in order.
    #[cfg(test)]
    pub(super) fn keys(&self) -> Vec<(&'static str, &'static str)> {
        let all = self.asked.iter();
        all.flat_map(|(section, keys)| keys.iter().map(|key| (*section, *key))).collect()
    }

    fn unknown_keys(&mut self) {
        let mut faults = Vec::new();
        for (section, value) in self.document.iter() {
            let place = Place::Line(self.line(section.span().start));
            let section = section.get_ref().as_ref();
            let mut report = |place, key: String, what: String| {
                faults.push(Fault { place, key: Some(key), what });
            };
            let Some((_, keys)) = self.asked.iter().find(|(name, _)| *name == section) else {
                let close = did_you_mean(section, self.asked.iter().map(|(name, _)| *name));
                if value.get_ref().is_table() {
                    report(place, format!("[{section}]"), format!("unknown section{close}"));
                } else {
                    report(place, section.to_owned(), "stands outside of a section".to_owned());
                }
                continue;
            };
            let DeValue::Table(table) = value.get_ref() else {
                report(place, section.to_owned(), format!("is a section: write [{section}]"));
                continue;
            };
            for (key, _) in table.iter().filter(|(key, _)| !keys.contains(&key.get_ref().as_ref()))
            {
                let place = Place::Line(self.line(key.span().start));
                let key = key.get_ref();
                let close = did_you_mean(key, keys.iter().copied());
                report(place, name(section, key), format!("unknown key{close}"));
            }
        }
        self.faults.append(&mut faults);
    }

    fn unknown_variables(&mut self) {
        let all = self.asked.iter();
        let known: Vec<String> =
            all.flat_map(|(section, keys)| keys.iter().map(|key| variable(section, key))).collect();
        for unknown in self.variables.keys().filter(|name| !known.contains(name)) {
            let close = did_you_mean(unknown, known.iter().map(String::as_str));
            let what = format!("overrides no key{close}");
            self.faults.push(Fault { place: Place::Variable(unknown.clone()), key: None, what });
        }
    }

    fn value(&self, section: &str, key: &str) -> Option<Value> {
        if let Some(text) = self.variables.get(&variable(section, key)) {
            return Some(Value::Variable(text.clone()));
        }
        let value = self.document.get(section)?.get_ref().as_table()?.get(key)?;
        Some(Value::from(value.get_ref()))
    }

    fn place(&self, section: &str, key: &str) -> Place {
        let variable = variable(section, key);
        if self.variables.contains_key(&variable) {
            return Place::Variable(variable);
        }
        let entry = self.document.get(section).and_then(|value| value.get_ref().as_table());
        let key = entry.and_then(|table| table.get_key_value(key)).map(|(key, _)| key.span().start);
        key.map_or(Place::Nowhere, |offset| Place::Line(self.line(offset)))
    }

    fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }
}

impl Section<'_, '_> {
    /// Reads a key with `parse`; a bad value is a fault, and the default stands in.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> T {
        if let Some((_, keys)) = self.reader.asked.last_mut() {
            keys.push(key);
        }
        let Some(value) = self.reader.value(self.name, key) else {
            return default;
        };
        parse(&value).unwrap_or_else(|what| {
            self.reader.fault(self.name, key, what);
            default
        })
    }

    /// Reads an IP address with a port.
    pub(super) fn socket(&mut self, key: &'static str, default: (&str, u16)) -> SocketAddr {
        let (host, port) = default;
        let default = host.parse().map(|ip| SocketAddr::new(ip, port));
        let default = default.expect("the default address is an IP literal");
        self.parsed(key, default, |value| socket(value.text()?))
    }

    /// Reads a whole number.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> u32 {
        self.parsed(key, default, |value| {
            let number = value.integer()?;
            let fits = u32::try_from(number).ok().filter(|number| range.contains(number));
            let (least, most) = (range.start(), range.end());
            fits.ok_or_else(|| format!("{number} is out of range: {least} to {most}"))
        })
    }

    /// Reads a count of things or bytes.
    pub(super) fn count(
        &mut self,
        key: &'static str,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> usize {
        usize::try_from(self.number(key, default, range)).unwrap_or(usize::MAX)
    }

    /// Reads a duration in whole seconds.
    pub(super) fn seconds(
        &mut self,
        key: &'static str,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> Duration {
        Duration::from_secs(self.number(key, default, range).into())
    }

    /// Reads a duration in milliseconds.
    pub(super) fn millis(
        &mut self,
        key: &'static str,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> Duration {
        Duration::from_millis(self.number(key, default, range).into())
    }

    /// Reads `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.parsed(key, default, Value::flag)
    }

    /// Reads a word of a vocabulary, whose first word is the default.
    pub(super) fn choice<T: Choice>(&mut self, key: &'static str) -> T {
        let (_, default) = T::WORDS.first().expect("a vocabulary has words");
        self.parsed(key, *default, |value| {
            let text = value.text()?;
            let found = T::WORDS.iter().find(|(word, _)| *word == text);
            found.map(|(_, choice)| *choice).ok_or_else(|| {
                let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
                let close = did_you_mean(text, words.iter().copied());
                format!("{text:?} is none of {}{close}", words.join(", "))
            })
        })
    }

    /// Reads a text through `parse`; the empty text stands for nothing.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.parsed(key, None, |value| match value.text()? {
            "" => Ok(None),
            text => parse(text).map(Some),
        })
    }

    /// Reads the name of a file, which is meant from where the configuration lies; the empty text
    /// stands for none.
    pub(super) fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = self.optional(key, file)?;
        Some(self.reader.home.join(path))
    }

    /// Gives the directory from which paths are meant.
    pub(super) fn home(&self) -> &Path {
        &self.reader.home
    }

    /// Reads a text that no fault may repeat; the empty text stands for nothing.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<Secret> {
        self.parsed(key, None, |value| match value.text() {
            Ok("") => Ok(None),
            Ok(text) => Secret::parse(text).map(Some),
            Err(_) => Err("a text in quotes is wanted".to_owned()),
        })
    }

    /// Reads a text through `parse`.
    pub(super) fn text(
        &mut self,
        key: &'static str,
        default: &str,
        parse: impl FnOnce(&str) -> Result<String, String>,
    ) -> String {
        self.parsed(key, default.to_owned(), |value| parse(value.text()?))
    }
}

/// A value as the file or the environment gives it.
pub(super) enum Value {
    Text(String),
    Integer(String, u32),
    Flag(bool),
    List(Vec<Self>),
    /// A TOML value of a type that no key takes.
    Other(&'static str),
    /// The text of a variable, whose type the key decides.
    Variable(String),
}

impl Value {
    pub(super) fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) | Self::Variable(text) => Ok(text),
            Self::Integer(..) | Self::Flag(_) | Self::List(_) | Self::Other(_) => {
                Err(self.wrong("a text in quotes"))
            }
        }
    }

    pub(super) fn integer(&self) -> Result<i64, String> {
        let wrong = || self.wrong("a whole number");
        match self {
            Self::Integer(digits, radix) => {
                i64::from_str_radix(digits, *radix).map_err(|_| wrong())
            }
            Self::Variable(text) => text.trim().parse().map_err(|_| wrong()),
            Self::Text(_) | Self::Flag(_) | Self::List(_) | Self::Other(_) => Err(wrong()),
        }
    }

    fn flag(&self) -> Result<bool, String> {
        let wrong = || self.wrong("true or false");
        match self {
            Self::Flag(flag) => Ok(*flag),
            Self::Variable(text) => text.trim().parse().map_err(|_| wrong()),
            Self::Text(_) | Self::Integer(..) | Self::List(_) | Self::Other(_) => Err(wrong()),
        }
    }

    /// Gives the texts of a list; a variable separates them by commas.
    pub(super) fn texts(&self) -> Result<Vec<&str>, String> {
        match self {
            Self::List(values) => values.iter().map(Self::text).collect(),
            Self::Variable(text) => {
                Ok(text.split(',').map(str::trim).filter(|text| !text.is_empty()).collect())
            }
            Self::Text(_) | Self::Integer(..) | Self::Flag(_) | Self::Other(_) => {
                Err(self.wrong("a list of texts"))
            }
        }
    }

    fn wrong(&self, wanted: &str) -> String {
        match self {
            Self::Text(text) => format!("{text:?} is a text; {wanted} is wanted"),
            Self::Integer(digits, _) => format!("{digits} is a number; {wanted} is wanted"),
            Self::Flag(flag) => format!("{flag} is a truth value; {wanted} is wanted"),
            Self::List(_) => format!("a list stands here; {wanted} is wanted"),
            Self::Other(name) => format!("a value of type {name} stands here; {wanted} is wanted"),
            Self::Variable(text) => format!("{text:?} is wrong; {wanted} is wanted"),
        }
    }
}

impl From<&DeValue<'_>> for Value {
    fn from(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.clone().into_owned()),
            DeValue::Integer(number) => Self::Integer(number.as_str().to_owned(), number.radix()),
            DeValue::Boolean(flag) => Self::Flag(*flag),
            DeValue::Array(values) => {
                Self::List(values.iter().map(|value| Self::from(value.get_ref())).collect())
            }
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
                Self::Other(value.type_str())
            }
        }
    }
}

fn name(section: &str, key: &str) -> String {
    format!("[{section}] {key}")
}

/// Gives the variable that overrides a key.
fn variable(section: &str, key: &str) -> String {
    format!("{PREFIX}{section}_{key}").to_uppercase()
}
