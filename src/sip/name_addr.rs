//! Addresses in headers: a display name, a URI, parameters (RFC 3261 section 20).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::grammar::{
    BadParams, PLAIN_DISPLAY, Quoted, check_params, find_param, param_of, parse_params, set_param,
    split_at_byte, split_quoted, trimmed, unescaped, unquoted, write_params,
};
use super::{Uri, UriError, plain};

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
        let pieces = Pieces::cut(text)?;
        Ok(Self {
            display: pieces.display.map(Display::said),
            uri: Uri::parse(pieces.uri)?,
            params: parse_params(pieces.params)?,
        })
    }

    /// Whether a text is an address, without making one of it.
    pub(super) fn check(text: &str) -> Result<(), NameAddrError> {
        if plain::is_address(text) {
            return Ok(());
        }
        let pieces = Pieces::cut(text)?;
        Uri::check(pieces.uri)?;
        Ok(check_params(pieces.params)?)
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

/// Gives the `tag` of an address where it stands; what cannot be read has none.
pub(super) fn tag_of(text: &str) -> Option<&str> {
    param_of(Pieces::cut(text).ok()?.params, "tag")
}

/// An address cut up where it stands.
struct Pieces<'a> {
    display: Option<Display<'a>>,
    uri: &'a str,
    params: &'a str,
}

/// A display name: between quotes, or plain.
enum Display<'a> {
    Quoted(&'a str),
    Plain(&'a str),
}

impl<'a> Pieces<'a> {
    #[inline]
    fn cut(text: &'a str) -> Result<Self, NameAddrError> {
        let text = trimmed(text);
        if text.starts_with('"') {
            let (said, rest) = split_quoted(text).ok_or(NameAddrError::BadDisplayName)?;
            let inner = trimmed(rest).strip_prefix('<').ok_or(NameAddrError::BadDisplayName)?;
            return Self::bracketed(Some(Display::Quoted(said)), inner);
        }
        match split_at_byte(text, b'<') {
            Some((name, inner)) => Self::bracketed(Display::plain(name)?, inner),
            None => Self::bare(text),
        }
    }

    #[inline]
    fn bracketed(display: Option<Display<'a>>, inner: &'a str) -> Result<Self, NameAddrError> {
        let end = memchr::memchr(b'>', inner.as_bytes()).ok_or(NameAddrError::OpenBracket)?;
        Ok(Self { display, uri: &inner[..end], params: &inner[end + 1..] })
    }

    /// `addr-spec`: what stands behind the first semicolon belongs to the header, not to the URI.
    fn bare(text: &'a str) -> Result<Self, NameAddrError> {
        let (uri, params) = text.split_at(text.find(';').unwrap_or(text.len()));
        let uri = trimmed(uri);
        if uri.contains(['?', ',']) {
            return Err(NameAddrError::NeedsBrackets);
        }
        Ok(Self { display: None, uri, params })
    }
}

impl<'a> Display<'a> {
    /// Tokens between white space, or nothing. Letters beyond ASCII are let pass, for clients
    /// write names as their users do.
    fn plain(name: &'a str) -> Result<Option<Self>, NameAddrError> {
        let name = trimmed(name);
        if !PLAIN_DISPLAY.has_all(name) {
            return Err(NameAddrError::BadDisplayName);
        }
        Ok((!name.is_empty()).then_some(Self::Plain(name)))
    }

    fn said(self) -> String {
        match self {
            Self::Quoted(inner) => unescaped(inner),
            Self::Plain(name) => name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NameAddr, NameAddrError};
    use crate::sip::UriError;

    #[test]
    fn display_names_hold_commas_brackets_and_quotes() {
        let address = parse(r#""Doe, J. <x>; \"Jo\"" <sip:a@b;lr>;tag=1"#);
        assert_eq!(address.display.as_deref(), Some(r#"Doe, J. <x>; "Jo""#));
        assert_eq!(address.uri.as_str(), "sip:a@b;lr");
        assert_eq!(address.tag(), Some("1"));
        assert_eq!(address.to_string(), r#""Doe, J. <x>; \"Jo\"" <sip:a@b;lr>;tag=1"#);
    }

    #[test]
    fn tokens_need_no_quotes_and_no_space() {
        assert_eq!(
            parse("token1~` token2'+_ <sip:a@b>").display.as_deref(),
            Some("token1~` token2'+_")
        );
        assert_eq!(parse("caller<sip:a@b>").display.as_deref(), Some("caller"));
        assert_eq!(parse("<sip:a@b>").display, None);
        assert_eq!(parse(r#""" <sip:a@b>"#).display.as_deref(), Some(""));
        assert_eq!(parse("Зоя <sip:a@b>").display.as_deref(), Some("Зоя"));
    }

    #[test]
    fn without_brackets_parameters_belong_to_the_header() {
        let address = parse("sip:a@b;tag=x");
        assert_eq!((address.tag(), address.uri.param("tag")), (Some("x"), None));
        let address = parse("tel:+1202;tag=x");
        assert_eq!((address.tag(), address.uri.number()), (Some("x"), Some("+1202")));
        assert_eq!(address.to_string(), "<tel:+1202>;tag=x");
    }

    #[test]
    fn feature_tags_are_whole_and_say_what_they_say() {
        let icsi = r#"+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session""#;
        let text = format!(r#"<sip:1.2.3.4>;+sip.instance="<urn:gsma:imei:1>";{icsi};isfocus"#);
        let address = parse(&text);
        assert_eq!(address.param("+sip.instance"), Some(r#""<urn:gsma:imei:1>""#));
        assert_eq!(address.param_unquoted("+SIP.instance").as_deref(), Some("<urn:gsma:imei:1>"));
        assert_eq!(address.param("isfocus"), Some(""));
        assert_eq!(address.to_string(), text);
    }

    #[test]
    fn a_tag_is_set_in_its_place_and_taken_away() {
        let address = parse("<sip:a@b>;tag=1;x").with_tag("2");
        assert_eq!(address.to_string(), "<sip:a@b>;tag=2;x");
        assert_eq!(address.without_tag().to_string(), "<sip:a@b>;x");
        assert_eq!(parse("<sip:a@b>;tag").tag(), None);
    }

    #[test]
    fn a_display_name_cannot_break_out() {
        let mut address = parse("<sip:a@b>");
        address.display = Some("x\" <sip:evil>\r\nRoute: y".to_owned());
        assert_eq!(address.to_string(), r#""x\" <sip:evil>  Route: y" <sip:a@b>"#);
        assert_eq!(parse(&address.to_string()).uri.as_str(), "sip:a@b");
    }

    #[test]
    fn a_bad_address_names_its_fault() {
        for (text, error) in [
            (r#""Mr. J. User <sip:j.user@example.com>"#, NameAddrError::BadDisplayName),
            ("Bell, Alexander <sip:a@b>", NameAddrError::BadDisplayName),
            (r#""a" b <sip:a@b>"#, NameAddrError::BadDisplayName),
            ("<sip:a@b", NameAddrError::OpenBracket),
            ("sip:a@b?Route=x", NameAddrError::NeedsBrackets),
            ("< sip:a@b >", NameAddrError::Uri(UriError::BadCharacter)),
            ("", NameAddrError::Uri(UriError::NoScheme)),
            ("*", NameAddrError::Uri(UriError::NoScheme)),
        ] {
            assert_eq!(NameAddr::parse(text), Err(error), "{text}");
        }
        for text in [r#""Joe" <sip:a@b>;;;;"#, "<sip:a@b> x", "<sip:a@b>;tag=\"x", "<sip:a><b>"] {
            assert!(matches!(NameAddr::parse(text), Err(NameAddrError::Params(_))), "{text}");
        }
    }

    fn parse(text: &str) -> NameAddr {
        NameAddr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }
}
