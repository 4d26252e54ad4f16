//! "Is composing" documents (RFC 3994).

use bytes::Bytes;
use thiserror::Error;

use super::xml::{Element, XmlError, write_text};

/// The media type of the documents.
pub const CONTENT_TYPE: &str = "application/im-iscomposing+xml";

/// The namespace of the documents (RFC 3994 section 7.2).
const NAMESPACE: &str = "urn:ietf:params:xml:ns:im-iscomposing";

/// What a user is doing at the keyboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composing {
    /// Typing or not.
    pub state: State,
    /// When the user was last active, as written.
    pub last_active: Option<String>,
    /// The type of the message being composed: a media type, or its first half alone.
    pub content_type: Option<String>,
    /// After how many seconds an update follows, at the latest; never 0.
    pub refresh: Option<u32>,
}

/// The two states; a receiver treats any other as idle (RFC 3994 section 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not typing.
    Idle,
    /// Typing.
    Active,
}

/// Why bytes are not an isComposing document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ComposingError {
    /// Not XML that we read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Another root element, or one of another namespace.
    #[error("the root element is not isComposing of RFC 3994")]
    NotComposing,
    /// No `<state>`, which the schema demands.
    #[error("isComposing has no state")]
    NoState,
}

impl Composing {
    /// Reads a document; a `refresh` that is not a positive number counts as absent.
    ///
    /// # Errors
    /// Names what makes it no isComposing document.
    pub fn parse(bytes: &[u8]) -> Result<Self, ComposingError> {
        let root = Element::read(bytes)?;
        if root.name != "isComposing" || !root.belongs_to(NAMESPACE) {
            return Err(ComposingError::NotComposing);
        }
        let text = |name| root.text_of(NAMESPACE, name);
        let state = match text("state").ok_or(ComposingError::NoState)?.as_str() {
            "active" => State::Active,
            _ => State::Idle,
        };
        let refresh = text("refresh").and_then(|seconds| seconds.parse().ok());
        Ok(Self {
            state,
            last_active: text("lastactive"),
            content_type: text("contenttype"),
            refresh: refresh.filter(|seconds| *seconds > 0),
        })
    }

    /// Writes a document, its elements in the order of the schema.
    #[must_use]
    pub fn write(&self) -> Bytes {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n");
        out.push_str("<isComposing xmlns=\"");
        out.push_str(NAMESPACE);
        out.push_str("\">\r\n");
        write_text(&mut out, "state", self.state.as_str());
        if let Some(last_active) = &self.last_active {
            write_text(&mut out, "lastactive", last_active);
        }
        if let Some(content_type) = &self.content_type {
            write_text(&mut out, "contenttype", content_type);
        }
        if let Some(refresh) = self.refresh.filter(|seconds| *seconds > 0) {
            write_text(&mut out, "refresh", &refresh.to_string());
        }
        out.push_str("</isComposing>\r\n");
        Bytes::from(out)
    }
}

impl State {
    /// Gives the name as it stands in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Active => "active",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_document_is_written_in_the_order_of_the_schema() {
        let composing = Composing {
            state: State::Active,
            last_active: Some("2003-01-27T10:43:00Z".into()),
            content_type: Some("text/<b>".into()),
            refresh: Some(90),
        };
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
             <isComposing xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\">\r\n\
             <state>active</state>\r\n\
             <lastactive>2003-01-27T10:43:00Z</lastactive>\r\n\
             <contenttype>text/&lt;b&gt;</contenttype>\r\n\
             <refresh>90</refresh>\r\n\
             </isComposing>\r\n";
        assert_eq!(composing.write(), expected.as_bytes());
        assert_eq!(Composing::parse(expected.as_bytes()), Ok(composing));
    }

    #[test]
    fn a_document_is_read_whatever_its_prefix() {
        for text in [
            "<isComposing><state>active</state></isComposing>",
            "\u{feff}<a:isComposing xmlns:a='urn:ietf:params:xml:ns:im-iscomposing'>\
             <a:state> <![CDATA[active]]>\n</a:state></a:isComposing>",
            "<b:isComposing><b:state>a&#99;tive</b:state></b:isComposing>",
            "<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'>\
             <state xmlns='urn:ext'>idle</state><state>active</state></isComposing>",
        ] {
            assert_eq!(Composing::parse(text.as_bytes()).map(|one| one.state), Ok(State::Active));
        }
    }

    #[test]
    fn an_unknown_state_is_idle_and_an_impossible_refresh_is_none() {
        for refresh in ["0", "-1", "soon", "99999999999", ""] {
            let text = format!(
                "<isComposing><state>dancing</state><refresh>{refresh}</refresh></isComposing>"
            );
            let idle = Composing {
                state: State::Idle,
                last_active: None,
                content_type: None,
                refresh: None,
            };
            assert_eq!(Composing::parse(text.as_bytes()), Ok(idle));
        }
    }

    #[test]
    fn what_is_no_composing_document_is_named() {
        for (text, fault) in [
            ("<isComposing/>", ComposingError::NoState),
            ("<iscomposing><state>idle</state></iscomposing>", ComposingError::NotComposing),
            (
                "<isComposing xmlns='urn:other'><state>idle</state></isComposing>",
                ComposingError::NotComposing,
            ),
        ] {
            assert_eq!(Composing::parse(text.as_bytes()), Err(fault));
        }
    }

    proptest! {
        #[test]
        fn any_document_survives_a_round_trip(
            active: bool,
            last_active in proptest::option::of("[!-~é]{1,20}"),
            content_type in proptest::option::of("[!-~é]([ -~é]{0,9}[!-~])?"),
            refresh in proptest::option::of(1_u32..),
        ) {
            let state = if active { State::Active } else { State::Idle };
            let composing = Composing { state, last_active, content_type, refresh };
            prop_assert_eq!(Composing::parse(&composing.write()), Ok(composing));
        }

        #[test]
        fn any_text_is_written_well_formed(text in ".*") {
            let composing = Composing {
                state: State::Idle,
                last_active: Some(text),
                content_type: None,
                refresh: None,
            };
            prop_assert!(Composing::parse(&composing.write()).is_ok());
        }
    }
}
