//! Addresses in headers: a display name, a URI, parameters (RFC 3261 section 20).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::grammar::{
    BadParams, Quoted, find_param, is_token_byte, parse_params, set_param, take_quoted,
    trimmed, unquoted, write_params,
};
use super::{Uri, UriError};

/// The value of `From`, `To`, `Contact`, `Route`, `Record-Route`, `Refer-To` and the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// What the display name says, without quotes and escapes.
    pub display: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// The parameters behind it; quoted values keep their quotes.
    pub params: Vec<(String, Option<String>)>,
}

/// Why a text is not a [`NameAddr`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameAddrError {
    /// A display name that is neither quoted nor made of tokens, or whose quote stays open.
    #[error("the display name is malformed")]
    BadDisplayName,
    /// An angle bracket that is not closed.
    #[error("an angle bracket is not closed")]
    OpenBracket,
    /// A URI with a comma or a question mark outside angle brackets (RFC 3261 section 20).
    #[error("a URI with a comma or question mark needs angle brackets")]
    NeedsBrackets,
    /// The URI itself.
    #[error("{0}")]
    Uri(#[from] UriError),
    /// The parameters behind it.
    #[error("{0}")]
    Params(#[from] BadParams),
}

impl NameAddr {
    /// An address without display name and parameters.
    pub fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Vec::new() }
    }

    /// Parses one element of a header.
    ///
    /// # Errors
    /// Names what is wrong with the text; see [`NameAddrError`].
    pub fn parse(text: &str) -> Result<Self, NameAddrError> {
        let text = trimmed(text);
        if text.starts_with('"') {
            let (said, rest) = take_quoted(text).ok_or(NameAddrError::BadDisplayName)?;
            let inner = trimmed(rest).strip_prefix('<').ok_or(NameAddrError::BadDisplayName)?;
            return Self::bracketed(Some(said), inner);
        }
        match text.split_once('<') {
            Some((name, inner)) => Self::bracketed(plain_display(name)?, inner),
            None => Self::bare(text),
        }
    }

    fn bracketed(display: Option<String>, inner: &str) -> Result<Self, NameAddrError> {
        let (uri, params) = inner.split_once('>').ok_or(NameAddrError::OpenBracket)?;
        Ok(Self { display, uri: Uri::parse(uri)?, params: parse_params(params)? })
    }

    /// `addr-spec`: what stands behind the first semicolon belongs to the header, not to the URI.
    fn bare(text: &str) -> Result<Self, NameAddrError> {
        let (uri, params) = text.split_at(text.find(';').unwrap_or(text.len()));
        let uri = trimmed(uri);
        if uri.contains(['?', ',']) {
            return Err(NameAddrError::NeedsBrackets);
        }
        Ok(Self { display: None, uri: Uri::parse(uri)?, params: parse_params(params)? })
    }

    /// The `tag` of a `From` or `To`.
    pub fn tag(&self) -> Option<&str> {
        self.param("tag").filter(|tag| !tag.is_empty())
    }

    /// The value of a parameter, whatever the case of its name: verbatim, with the quotes of a
    /// quoted one, and `Some("")` for a flag.
    pub fn param(&self, name: &str) -> Option<&str> {
        find_param(&self.params, name)
    }

    /// What a parameter says: its value without quotes and escapes.
    pub fn param_unquoted(&self, name: &str) -> Option<String> {
        self.param(name).map(|value| unquoted(value).into_owned())
    }

    /// The same address with this `tag`.
    #[must_use]
    pub fn with_tag(self, tag: &str) -> Self {
        self.with_param("tag", Some(tag))
    }

    /// The same address with a parameter set.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Self {
        set_param(&mut self.params, name, value);
        self
    }

    /// The same address without its `tag`: how a dialog's remote party is called anew.
    #[must_use]
    pub fn without_tag(mut self) -> Self {
        self.params.retain(|(name, _)| !name.eq_ignore_ascii_case("tag"));
        self
    }
}

/// Always with angle brackets, so that no parameter changes sides.
impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", Quoted(display))?;
        }
        write!(f, "<{}>", self.uri)?;
        write_params(&self.params, f)
    }
}

impl FromStr for NameAddr {
    type Err = NameAddrError;

    fn from_str(text: &str) -> Result<Self, NameAddrError> {
        Self::parse(text)
    }
}

/// A display name without quotes: tokens between white space, or nothing. Letters beyond ASCII
/// are let pass, for clients write names as their users do.
fn plain_display(name: &str) -> Result<Option<String>, NameAddrError> {
    let name = trimmed(name);
    let lawful = |byte: u8| is_token_byte(byte) || matches!(byte, b' ' | b'\t') || byte >= 0x80;
    if !name.bytes().all(lawful) {
        return Err(NameAddrError::BadDisplayName);
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}
