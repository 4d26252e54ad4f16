//! A small, bounded tree of an XML body: what the documents of chats have in common.

use quick_xml::NsReader;
use quick_xml::escape::{resolve_xml_entity, unescape};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use thiserror::Error;

/// The largest document that is read, in bytes, but of lists.
const MAX_BYTES: usize = 64 * 1024;
/// The largest document that lists people, in bytes: as large as any SIP message that may bring it.
const MAX_LIST_BYTES: usize = 1024 * 1024;
/// The deepest nesting that is read.
const MAX_DEPTH: usize = 64;
/// The largest number of elements that is read, but of lists.
const MAX_ELEMENTS: usize = 1024;
/// The largest number of elements of a document that lists people.
const MAX_LISTED: usize = 8192;
/// The largest number of attributes of an element.
const MAX_ATTRIBUTES: usize = 64;

/// Why bytes are not an XML body that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum XmlError {
    /// More than 64 KiB, or 1 MiB where people are listed.
    #[error("the document has too many bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("the document is not UTF-8")]
    NotUtf8,
    /// Deeper than 64 elements.
    #[error("the document nests deeper than {MAX_DEPTH} elements")]
    TooDeep,
    /// More than 1,024 elements, or 8,192 where people are listed.
    #[error("the document has too many elements")]
    TooManyElements,
    /// More than 64 attributes on an element.
    #[error("an element has more than {MAX_ATTRIBUTES} attributes")]
    TooManyAttributes,
    /// A document type declaration, which no body needs and bombs are made of.
    #[error("the document has a DOCTYPE")]
    DocType,
    /// A reference to an entity other than the five of XML, or to a character that XML forbids.
    #[error("the document refers to an entity that XML does not define")]
    UnknownEntity,
    /// Not well-formed.
    #[error("the document is not well-formed XML")]
    NotWellFormed,
}

/// An element: its attributes, its text and its children.
#[derive(Debug, Default)]
pub(super) struct Element {
    /// The name without its prefix.
    pub(super) name: String,
    /// The namespace; `None` where there is none, or where the prefix was never declared.
    namespace: Option<String>,
    /// The text directly within the element.
    text: String,
    /// The attributes, their names without prefix; declarations of namespaces are left out.
    attributes: Vec<(String, String)>,
    children: Vec<Self>,
}

impl Element {
    /// Reads a document and gives its root.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, XmlError> {
        Self::read_within(bytes, (MAX_BYTES, MAX_ELEMENTS))
    }

    /// Reads a document that lists people, of which there may be many.
    pub(super) fn read_list(bytes: &[u8]) -> Result<Self, XmlError> {
        Self::read_within(bytes, (MAX_LIST_BYTES, MAX_LISTED))
    }

    fn read_within(
        bytes: &[u8],
        (max_bytes, max_elements): (usize, usize),
    ) -> Result<Self, XmlError> {
        if bytes.len() > max_bytes {
            return Err(XmlError::TooLong);
        }
        let text = str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
        let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        if text.contains('\0') {
            return Err(XmlError::NotWellFormed);
        }
        Builder { max_elements, ..Builder::default() }.read(text)
    }

    /// Gives the value of an attribute, whatever its namespace; trimmed.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.trim())
    }

    /// Tells whether the element is of a vocabulary: in its namespace, or in none at all.
    pub(super) fn belongs_to(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(namespace))
    }

    /// Finds the first child of that name within a vocabulary; extensions are passed over.
    pub(super) fn child(&self, namespace: &str, name: &str) -> Option<&Self> {
        self.children(namespace).find(|child| child.name == name)
    }

    /// Gives the children within a vocabulary.
    pub(super) fn children(&self, namespace: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.belongs_to(namespace))
    }

    /// Gives the text of a child, trimmed; `None` where there is no child, or nothing in it.
    pub(super) fn text_of(&self, namespace: &str, name: &str) -> Option<String> {
        let text = self.child(namespace, name)?.text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// Builds the tree without recursion, so that depth costs no stack.
#[derive(Default)]
struct Builder {
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
    max_elements: usize,
}

impl Builder {
    fn read(mut self, text: &str) -> Result<Element, XmlError> {
        let mut reader = NsReader::from_str(text);
        loop {
            let (namespace, event) =
                reader.read_resolved_event().map_err(|_| XmlError::NotWellFormed)?;
            match event {
                Event::Start(start) => self.open(namespace, &start)?,
                Event::Empty(start) => {
                    self.open(namespace, &start)?;
                    self.close()?;
                }
                Event::End(_) => self.close()?,
                Event::Text(text) => self.text(&text.xml10_content())?,
                Event::CData(text) => self.text(&text.xml10_content())?,
                Event::GeneralRef(reference) => self.text(&resolve(&reference)?)?,
                Event::DocType(_) => return Err(XmlError::DocType),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof if self.open.is_empty() => {
                    return self.root.ok_or(XmlError::NotWellFormed);
                }
                Event::Eof => return Err(XmlError::NotWellFormed),
            }
        }
    }

    fn open(
        &mut self,
        namespace: ResolveResult<'_>,
        start: &BytesStart<'_>,
    ) -> Result<(), XmlError> {
        self.elements += 1;
        if self.open.len() == MAX_DEPTH {
            return Err(XmlError::TooDeep);
        }
        if self.elements > self.max_elements {
            return Err(XmlError::TooManyElements);
        }
        if self.open.is_empty() && self.root.is_some() {
            return Err(XmlError::NotWellFormed);
        }
        let attributes = attributes_of(start)?;
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => Some(namespace.0.to_owned()),
            ResolveResult::Unbound | ResolveResult::Unknown(_) => None,
        };
        let name = start.local_name().as_ref().to_owned();
        self.open.push(Element { name, namespace, attributes, ..Element::default() });
        Ok(())
    }

    fn close(&mut self) -> Result<(), XmlError> {
        let element = self.open.pop().ok_or(XmlError::NotWellFormed)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        if !text.chars().all(is_xml_char) {
            return Err(XmlError::NotWellFormed);
        }
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.chars().all(char::is_whitespace) => {}
            None => return Err(XmlError::NotWellFormed),
        }
        Ok(())
    }
}

/// Reads the attributes of an element.
fn attributes_of(start: &BytesStart<'_>) -> Result<Vec<(String, String)>, XmlError> {
    let mut attributes = Vec::new();
    for (at, one) in start.attributes().enumerate() {
        let one = one.map_err(|_| XmlError::NotWellFormed)?;
        if at == MAX_ATTRIBUTES {
            return Err(XmlError::TooManyAttributes);
        }
        let key = one.key.as_ref();
        if key == "xmlns" || key.starts_with("xmlns:") {
            continue;
        }
        let value = unescape(&one.value).map_err(|_| XmlError::UnknownEntity)?;
        if !value.chars().all(is_xml_char) {
            return Err(XmlError::NotWellFormed);
        }
        attributes.push((one.key.local_name().as_ref().to_owned(), value.into_owned()));
    }
    Ok(attributes)
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, XmlError> {
    if reference.is_char_ref() {
        let c = reference.resolve_char_ref().ok().flatten().ok_or(XmlError::UnknownEntity)?;
        return if is_xml_char(c) { Ok(c.to_string()) } else { Err(XmlError::UnknownEntity) };
    }
    resolve_xml_entity(reference).map(str::to_owned).ok_or(XmlError::UnknownEntity)
}

/// Writes an element that holds text; what XML cannot hold becomes a space.
pub(super) fn write_text(out: &mut String, name: &str, text: &str) {
    write_leaf(out, name, text);
    out.push_str("\r\n");
}

/// Writes an element that holds text, with nothing behind it.
pub(super) fn write_leaf(out: &mut String, name: &str, text: &str) {
    for part in ["<", name, ">", &escaped(text), "</", name, ">"] {
        out.push_str(part);
    }
}

/// Writes an attribute, with a space before it.
pub(super) fn write_attribute(out: &mut String, name: &str, value: &str) {
    for part in [" ", name, "=\"", &escaped(value), "\""] {
        out.push_str(part);
    }
}

fn escaped(text: &str) -> String {
    let legal: String = text.chars().map(|c| if is_xml_char(c) { c } else { ' ' }).collect();
    quick_xml::escape::escape(legal).into_owned()
}

/// The `Char` production of XML 1.0.
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn s9_hostile_documents_are_refused() {
        let attributes: String = (0..65).map(|n| format!(" a{n}=''")).collect();
        let bomb = "<!DOCTYPE a [<!ENTITY x 'xxxxxxxx'>]><a>&x;</a>";
        for (text, fault) in [
            ("<a>".repeat(65) + &"</a>".repeat(65), XmlError::TooDeep),
            ("<a>".repeat(20_000), XmlError::TooDeep),
            ("<a>".repeat(100_000), XmlError::TooLong),
            (format!("<a>{}</a>", "<b/>".repeat(1024)), XmlError::TooManyElements),
            (format!("<a{attributes}/>"), XmlError::TooManyAttributes),
            (bomb.into(), XmlError::DocType),
            ("<a>&x;</a>".into(), XmlError::UnknownEntity),
            ("<a>&#0;</a>".into(), XmlError::UnknownEntity),
            ("<a>&#xFFFF;</a>".into(), XmlError::UnknownEntity),
            ("<a>\u{1}</a>".into(), XmlError::NotWellFormed),
            ("<a>\0</a>".into(), XmlError::NotWellFormed),
            ("<a x='1' x='2'/>".into(), XmlError::NotWellFormed),
            ("<a".into(), XmlError::NotWellFormed),
            ("<a><b>".into(), XmlError::NotWellFormed),
            ("<a></b>".into(), XmlError::NotWellFormed),
            ("<a/></a>".into(), XmlError::NotWellFormed),
            ("<a/><b/>".into(), XmlError::NotWellFormed),
            ("<a/>text".into(), XmlError::NotWellFormed),
            ("text<a/>".into(), XmlError::NotWellFormed),
            ("".into(), XmlError::NotWellFormed),
            ("<?xml version='1.0'?>".into(), XmlError::NotWellFormed),
        ] {
            let found = Element::read(text.as_bytes()).err();
            assert_eq!(found, Some(fault), "{}", text.get(..60).unwrap_or(&text));
        }
        let utf16: Vec<u8> = "<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(Element::read(&utf16).err(), Some(XmlError::NotWellFormed));
        assert_eq!(Element::read(b"\xff\xfe<\0a\0").err(), Some(XmlError::NotUtf8));
        assert_eq!(Element::read(b"<a>\xff</a>").err(), Some(XmlError::NotUtf8));
    }

    #[test]
    fn the_limits_themselves_are_within_bounds() {
        let deep = "<a>".repeat(64) + &"</a>".repeat(64);
        let wide = format!("<a>{}</a>", "<b/>".repeat(1023));
        let attributes: String = (0..64).map(|n| format!(" a{n}=''")).collect();
        for text in [deep, wide, format!("<a{attributes}/>")] {
            assert_eq!(Element::read(text.as_bytes()).err(), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(bytes: Vec<u8>, text in "(<[a-b/!?]{0,3}( x(mlns)?(:a)?='[^<]?')?/?>|&[a#x0-9]{0,4};|[a-c]){0,20}") {
            let _ = Element::read(&bytes);
            let _ = Element::read(text.as_bytes());
        }
    }
}
