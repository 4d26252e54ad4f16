//! Fields of a document, read by type; a wrong one is named, with what would be right.

use std::borrow::Cow;

use thiserror::Error;

use super::element::{Content, Element, Leaf};
use crate::address::Address;

/// Why a tree is not the document that it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// Another document.
    #[error("the root element must be {expected}, not {found}")]
    WrongRoot {
        /// What was expected.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// A mandatory part is not there.
    #[error("{part} is missing")]
    Missing {
        /// Which one.
        part: &'static str,
    },
    /// A part that stands once came more often.
    #[error("{part} is given more than once")]
    Repeated {
        /// Which one.
        part: &'static str,
    },
    /// A part has a value that it cannot have.
    #[error("{part} is wrong: {right}")]
    Invalid {
        /// Which one.
        part: &'static str,
        /// What would be right.
        right: Cow<'static, str>,
    },
    /// A part has a value that is not among the allowed ones.
    #[error("{part} must be one of {}", allowed.join(", "))]
    NotAllowed {
        /// Which one.
        part: &'static str,
        /// The allowed values.
        allowed: &'static [&'static str],
    },
}

impl DocumentError {
    /// Names the part that is wrong.
    #[must_use]
    pub fn part(&self) -> &'static str {
        match self {
            Self::WrongRoot { expected, .. } => expected,
            Self::Missing { part }
            | Self::Repeated { part }
            | Self::Invalid { part, .. }
            | Self::NotAllowed { part, .. } => part,
        }
    }
}

/// Finds the document in what was read: the root itself, the member that is named as the root, or
/// the members as they stand where the root was left out.
pub(super) fn document<'a>(
    tree: &'a Element,
    root: &'static str,
) -> Result<&'a Element, DocumentError> {
    if tree.name == root {
        return Ok(tree);
    }
    if !tree.name.is_empty() {
        let found = super::shortened(&tree.name);
        return Err(DocumentError::WrongRoot { expected: root, found });
    }
    let [member] = tree.children() else { return Ok(tree) };
    if member.name == root { Ok(member) } else { Ok(tree) }
}

/// Gives the part, which may be absent, and not more than once.
pub(super) fn optional<'a>(
    within: &'a Element,
    part: &'static str,
) -> Result<Option<&'a Element>, DocumentError> {
    let mut found = within.all(part);
    let first = found.next();
    if found.next().is_some() {
        return Err(DocumentError::Repeated { part });
    }
    Ok(first)
}

/// Gives the part, which must be there once.
pub(super) fn required<'a>(
    within: &'a Element,
    part: &'static str,
) -> Result<&'a Element, DocumentError> {
    optional(within, part)?.ok_or(DocumentError::Missing { part })
}

/// Reads a text of any content, at most `limit` characters.
pub(super) fn text(
    field: &Element,
    part: &'static str,
    limit: usize,
) -> Result<String, DocumentError> {
    let value = field.value().ok_or_else(|| invalid(part, "it must be a plain value"))?;
    if value.chars().count() > limit {
        return Err(invalid(part, format!("it must have at most {limit} characters")));
    }
    if value.contains('\0') {
        return Err(invalid(part, "it must not hold the character NUL"));
    }
    Ok(value.into_owned())
}

/// Reads a text of one line: it may end up in a header or a log, so that nothing in it may break a
/// line or turn the direction of reading.
pub(super) fn line(
    field: &Element,
    part: &'static str,
    limit: usize,
) -> Result<String, DocumentError> {
    let value = text(field, part, limit)?;
    if value.chars().any(breaks_a_line) {
        let right = "it must not hold line breaks, control characters or bidirectional controls";
        return Err(invalid(part, right));
    }
    Ok(value)
}

/// Reads an optional text of one line; an empty one is an absent one.
pub(super) fn optional_line(
    within: &Element,
    part: &'static str,
    limit: usize,
) -> Result<Option<String>, DocumentError> {
    let Some(field) = optional(within, part)? else { return Ok(None) };
    Ok(Some(line(field, part, limit)?).filter(|value| !value.is_empty()))
}

/// Reads an address (TS Chat section 6).
pub(super) fn address(within: &Element, part: &'static str) -> Result<Address, DocumentError> {
    address_of(required(within, part)?, part)
}

/// Reads the address in a field.
pub(super) fn address_of(field: &Element, part: &'static str) -> Result<Address, DocumentError> {
    let value = field.value().ok_or_else(|| invalid(part, "it must be a plain value"))?;
    Address::parse(&value).map_err(|error| invalid(part, error.to_string()))
}

/// Reads an absolute `http` or `https` URL.
pub(super) fn url(within: &Element, part: &'static str) -> Result<String, DocumentError> {
    url_of(required(within, part)?, part)
}

/// Reads an optional absolute `http` or `https` URL.
pub(super) fn optional_url(
    within: &Element,
    part: &'static str,
) -> Result<Option<String>, DocumentError> {
    optional(within, part)?.map(|field| url_of(field, part)).transpose()
}

fn url_of(field: &Element, part: &'static str) -> Result<String, DocumentError> {
    let value = line(field, part, MAX_URL)?;
    let value = value.trim_matches(' ');
    let (scheme, rest) = value.split_once("://").unwrap_or_default();
    let known = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let host_is_there = rest.starts_with(|c: char| !matches!(c, '/' | '?' | '#'));
    if !known || !host_is_there || value.contains(char::is_whitespace) {
        return Err(invalid(part, "it must be an absolute http or https URL"));
    }
    Ok(value.to_owned())
}

/// Reads an optional whole number; `right` says which ones are.
pub(super) fn number(within: &Element, part: &'static str) -> Result<Option<u32>, DocumentError> {
    let Some(field) = optional(within, part)? else { return Ok(None) };
    let value = field.value().unwrap_or_default();
    match value.trim_ascii().parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(invalid(part, format!("it must be a whole number from 0 to {}", u32::MAX))),
    }
}

/// Reads an optional truth value (`xsd:boolean`).
pub(super) fn flag(within: &Element, part: &'static str) -> Result<Option<bool>, DocumentError> {
    let Some(field) = optional(within, part)? else { return Ok(None) };
    match field.value().unwrap_or_default().trim_ascii() {
        "true" | "1" => Ok(Some(true)),
        "false" | "0" => Ok(Some(false)),
        _ => Err(DocumentError::NotAllowed { part, allowed: &["true", "false"] }),
    }
}

/// Gives an attribute; JSON has it as a member.
pub(super) fn attribute(element: &Element, name: &'static str) -> Result<String, DocumentError> {
    let found = element.attributes.iter().find(|(attribute, _)| attribute == name);
    let field = match found {
        Some((_, value)) => Element::leaf(name, Leaf::Text(value.clone())),
        None => required(element, name)?.clone(),
    };
    line(&field, name, MAX_URL)
}

/// Reads one value of an enumeration.
pub(super) fn choice<T: Copy>(
    field: &Element,
    part: &'static str,
    choices: &Choices<T>,
) -> Result<T, DocumentError> {
    let value = field.value().unwrap_or_default();
    let wanted = value.trim_ascii();
    let place = choices.names.iter().position(|name| *name == wanted);
    place
        .and_then(|place| choices.values.get(place))
        .copied()
        .ok_or(DocumentError::NotAllowed { part, allowed: choices.names })
}

/// Reads an optional value of an enumeration.
pub(super) fn optional_choice<T: Copy>(
    within: &Element,
    part: &'static str,
    choices: &Choices<T>,
) -> Result<Option<T>, DocumentError> {
    optional(within, part)?.map(|field| choice(field, part, choices)).transpose()
}

/// The values of an enumeration, and the name of each.
pub(super) struct Choices<T: 'static> {
    /// The names, in the order of `values`.
    pub(super) names: &'static [&'static str],
    /// The values.
    pub(super) values: &'static [T],
}

/// Complains about a part.
pub(super) fn invalid(part: &'static str, right: impl Into<Cow<'static, str>>) -> DocumentError {
    DocumentError::Invalid { part, right: right.into() }
}

/// Tells whether the tree came without a root, as forms do.
pub(super) fn is_flat(tree: &Element) -> bool {
    tree.name.is_empty() && matches!(tree.content, Content::Children(_))
}

fn breaks_a_line(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{061c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The longest URL that is taken, in characters.
const MAX_URL: usize = 2048;

/// The longest name, correlator or tag that is taken, in characters.
pub(super) const MAX_NAME: usize = 256;

/// The longest subject that is taken, in characters.
pub(super) const MAX_SUBJECT: usize = 1024;

/// The longest `callbackData` that is taken, in characters.
pub(super) const MAX_CALLBACK_DATA: usize = 4096;
