//! The reader of CPIM: which bytes are envelope and which content, and what prefixes stand for.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::value::uri_text;
use super::{CONTENT_TYPE, CORE, CpimError};
use crate::payload::imdn;
use crate::payload::mime::{self, Block, Field, MediaType, read_block};

/// Splits a message into the header fields of its envelope, those of its content, and the content.
pub(super) fn blocks(bytes: Bytes) -> Result<(Vec<Field>, Vec<Field>, Bytes), CpimError> {
    let (envelope, content, rest) = first_block(&bytes)?;
    // The MIME header of the message itself, as in RFC 3862 section 5.1, is not its content's.
    let wraps_itself = envelope.is_empty() && says_cpim(&content);
    let (envelope, content, rest) =
        if wraps_itself { first_block(&rest)? } else { (envelope, content, rest) };
    if !content.is_empty() {
        return Ok((envelope, content, rest));
    }
    let (content, body) = content_block(rest)?;
    Ok((envelope, content, body))
}

/// Reads the block at the beginning, in which the blank line before the MIME fields may be missing.
fn first_block(bytes: &Bytes) -> Result<(Vec<Field>, Vec<Field>, Bytes), CpimError> {
    let Block { fields, rest } = read_block(bytes)?;
    let (content, envelope) = fields.into_iter().partition(|(name, _)| is_mime(name));
    Ok((envelope, content, rest.unwrap_or_default()))
}

/// Reads the MIME header fields behind the envelope; where there are none, all is content.
fn content_block(rest: Bytes) -> Result<(Vec<Field>, Bytes), CpimError> {
    let (first_line, after) = mime::line_at(&rest, 0);
    if first_line.is_empty() {
        return Ok((Vec::new(), rest.slice(after..)));
    }
    let announces_mime =
        first_line.get(..8).is_some_and(|head| head.eq_ignore_ascii_case(b"content-"));
    match read_block(&rest) {
        Ok(Block { fields, rest: body }) if fields.iter().any(|(name, _)| is_mime(name)) => {
            Ok((fields, body.unwrap_or_default()))
        }
        Err(error) if announces_mime => Err(error.into()),
        Ok(_) | Err(_) => Ok((Vec::new(), rest)),
    }
}

fn is_mime(name: &str) -> bool {
    let starts_with =
        |head: &str| name.get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head));
    starts_with("Content-") || starts_with("MIME-")
}

fn says_cpim(fields: &[Field]) -> bool {
    mime::find(fields, "Content-Type")
        .and_then(MediaType::parse)
        .is_some_and(|media_type| media_type.essence() == CONTENT_TYPE)
}

/// What the prefixes of a message stand for, and the namespace of names without one.
pub(super) struct Names {
    by_prefix: BTreeMap<String, String>,
    default: String,
}

impl Names {
    /// Collects the declarations of a message, wherever they stand in it.
    pub(super) fn declared_in(fields: &[Field]) -> Self {
        // Peers use the prefix of RFC 5438 without declaring it.
        let imdn = ("imdn".to_owned(), imdn::HEADER_NAMESPACE.to_owned());
        let declared = fields
            .iter()
            .filter(|(name, _)| is_declaration(name))
            .filter_map(|(_, value)| declaration(value))
            .map(|(prefix, namespace)| (prefix.to_ascii_lowercase(), namespace.to_owned()));
        let by_prefix = std::iter::once(imdn).chain(declared).collect();
        Self { by_prefix, default: CORE.to_owned() }
    }

    /// Follows a declaration of the default namespace, and tells whether a field is a declaration.
    pub(super) fn switch_default(&mut self, name: &str, value: &str) -> bool {
        if !is_declaration(name) {
            return false;
        }
        if let Some(("", namespace)) = declaration(value) {
            namespace.clone_into(&mut self.default);
        }
        true
    }

    pub(super) fn resolve(&self, name: &str) -> (String, String) {
        let Some((prefix, local)) = name.split_once('.') else {
            return (self.default.clone(), name.to_owned());
        };
        match self.by_prefix.get(&prefix.to_ascii_lowercase()) {
            Some(namespace) => (namespace.clone(), local.to_owned()),
            None => (String::new(), name.to_owned()),
        }
    }
}

/// Tells whether a field declares the namespace of IMDN.
pub(super) fn declares_imdn(name: &str, value: &str) -> bool {
    is_declaration(name)
        && declaration(value).is_some_and(|(_, namespace)| namespace == imdn::HEADER_NAMESPACE)
}

fn is_declaration(name: &str) -> bool {
    name.eq_ignore_ascii_case("NS")
}

/// Reads `prefix <uri>`, also without the space; the default namespace has an empty prefix.
fn declaration(value: &str) -> Option<(&str, &str)> {
    let (prefix, uri) = value.split_once('<')?;
    let uri = uri.split('>').next().unwrap_or_default().trim();
    // What nothing is left of when it is written names nothing.
    (!uri_text(uri).is_empty()).then(|| (prefix.trim(), uri))
}
