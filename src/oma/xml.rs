//! XML: only the root is qualified; no document type definition, no entities but the predefined.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use super::element::{Content, Element, Leaf, Shape};
use super::{MAX_DEPTH, MAX_NODES, ReadError, admitted, is_admitted, shortened};

/// Reads an XML text. Any prefix will do; elements of a namespace that is neither the root's nor one
/// of these APIs are passed over.
pub(super) fn read(text: &str) -> Result<Element, ReadError> {
    let mut reader = NsReader::from_str(text);
    let mut builder = Builder::default();
    loop {
        let (namespace, event) = reader.read_resolved_event().map_err(syntax)?;
        match event {
            Event::Start(start) => builder.open(namespace_name(&namespace), &start)?,
            Event::Empty(start) => {
                builder.open(namespace_name(&namespace), &start)?;
                builder.close();
            }
            Event::End(_) => builder.close(),
            Event::Text(text) => builder.text(&text.xml10_content())?,
            Event::CData(text) => builder.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => builder.text(&resolve(&reference)?)?,
            Event::Decl(declaration) => demand_utf8(&declaration)?,
            Event::DocType(_) => return Err(ReadError::DocumentType),
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => return builder.finish(),
        }
    }
}

/// Writes a document.
pub(super) fn write(element: &Element) -> Vec<u8> {
    let mut out = String::from(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    write_element(&mut out, element);
    out.into_bytes()
}

/// The tree as it grows, and the way from its root to where the reader is.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Element>,
    root_namespace: Option<String>,
    nodes: usize,
}

/// An element whose end has not come.
struct Open {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
    is_foreign: bool,
}

impl Builder {
    fn open(&mut self, namespace: Option<&str>, start: &BytesStart<'_>) -> Result<(), ReadError> {
        if self.root.is_some() {
            return Err(ReadError::Syntax("there is more than one root element".into()));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(ReadError::TooDeep);
        }
        self.count_node()?;
        let is_foreign = if self.open.is_empty() {
            self.root_namespace = accepted_namespace(namespace)?;
            false
        } else {
            namespace.is_some_and(|name| !name.starts_with(FAMILY))
                && namespace != self.root_namespace.as_deref()
        };
        let attributes = self.attributes(start)?;
        self.open.push(Open {
            name: start.local_name().into_inner().to_owned(),
            attributes,
            text: String::new(),
            children: Vec::new(),
            is_foreign,
        });
        Ok(())
    }

    fn attributes(&mut self, start: &BytesStart<'_>) -> Result<Vec<(String, String)>, ReadError> {
        let mut attributes: Vec<(String, String)> = Vec::new();
        // Comparing each with each is for few; `MAX_ATTRIBUTES` keeps it so.
        for attribute in start.attributes().with_checks(false) {
            self.count_node()?;
            let attribute = attribute.map_err(syntax)?;
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            if attributes.len() == MAX_ATTRIBUTES {
                return Err(ReadError::TooMany);
            }
            let name = attribute.key.local_name().into_inner();
            if attributes.iter().any(|(other, _)| other == name) {
                return Err(ReadError::Repeated { part: shortened(name) });
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(syntax)?;
            attributes.push((name.to_owned(), admitted(name, value.into_owned())?));
        }
        Ok(attributes)
    }

    fn text(&mut self, text: &str) -> Result<(), ReadError> {
        let Some(open) = self.open.last_mut() else {
            if text.trim_ascii().is_empty() {
                return Ok(());
            }
            return Err(ReadError::Syntax("there is text outside of the root element".into()));
        };
        if !text.chars().all(is_admitted) {
            return Err(ReadError::ControlCharacter { part: shortened(&open.name) });
        }
        open.text.push_str(text);
        Ok(())
    }

    fn close(&mut self) {
        // The reader has matched the tags.
        let Some(open) = self.open.pop() else { return };
        let is_foreign = open.is_foreign;
        let element = open.into_element();
        match self.open.last_mut() {
            None => self.root = Some(element),
            Some(_) if is_foreign => {}
            Some(parent) => parent.children.push(element),
        }
    }

    fn finish(self) -> Result<Element, ReadError> {
        match (self.root, self.open.last()) {
            (Some(root), None) => Ok(root),
            (_, Some(open)) => {
                let name = shortened(&open.name);
                Err(ReadError::Syntax(format!("the element {name} is not closed")))
            }
            (None, None) => Err(ReadError::Syntax("there is no root element".into())),
        }
    }

    fn count_node(&mut self) -> Result<(), ReadError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES { Err(ReadError::TooMany) } else { Ok(()) }
    }
}

impl Open {
    /// An element holds a value or further elements; white space between these is layout.
    fn into_element(self) -> Element {
        let content = if self.children.is_empty() {
            Content::Leaf(Leaf::Text(self.text))
        } else {
            Content::Children(self.children)
        };
        let attributes = self.attributes.into_iter().map(|(n, v)| (n.into(), v)).collect();
        Element { attributes, content, ..Element::group(self.name) }
    }
}

fn namespace_name<'a>(namespace: &ResolveResult<'a>) -> Option<&'a str> {
    match namespace {
        ResolveResult::Bound(namespace) => Some(namespace.0),
        ResolveResult::Unbound | ResolveResult::Unknown(_) => None,
    }
}

/// Takes the namespace of a root: any version of any of the APIs, that of RFC 3994, or none.
fn accepted_namespace(namespace: Option<&str>) -> Result<Option<String>, ReadError> {
    let Some(name) = namespace else { return Ok(None) };
    if name.starts_with(FAMILY) || name == IS_COMPOSING {
        return Ok(Some(name.to_owned()));
    }
    Err(ReadError::ForeignNamespace(shortened(name)))
}

/// Resolves `&#10;` and the five entities of XML 1.0 section 4.6.
fn resolve(reference: &BytesRef<'_>) -> Result<String, ReadError> {
    if let Some(c) = reference.resolve_char_ref().map_err(syntax)? {
        return Ok(c.into());
    }
    let name: &str = reference;
    let text = resolve_predefined_entity(name);
    text.map(str::to_owned).ok_or_else(|| ReadError::UnknownEntity(shortened(name)))
}

fn demand_utf8(declaration: &BytesDecl<'_>) -> Result<(), ReadError> {
    let Some(encoding) = declaration.encoding() else { return Ok(()) };
    let encoding = encoding.map_err(syntax)?;
    let known = ["utf-8", "utf8", "us-ascii"];
    if known.iter().any(|name| encoding.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(ReadError::NotUtf8)
}

fn syntax(error: impl Into<quick_xml::Error>) -> ReadError {
    ReadError::Syntax(shortened_text(&error.into().to_string()))
}

fn shortened_text(text: &str) -> String {
    text.chars().take(200).collect()
}

fn write_element(out: &mut String, element: &Element) {
    match element.shape {
        Shape::JsonOnly | Shape::EmptyList => return,
        Shape::Single | Shape::Item => {}
    }
    let prefix = element.namespace.map(|namespace| format!("{}:", namespace.prefix()));
    let name = format!("{}{}", prefix.unwrap_or_default(), element.name);
    out.push('<');
    out.push_str(&name);
    if let Some(namespace) = element.namespace {
        write_attribute(out, &format!("xmlns:{}", namespace.prefix()), namespace.urn());
    }
    for (name, value) in &element.attributes {
        if name.starts_with("xsi:") {
            write_attribute(out, "xmlns:xsi", SCHEMA_INSTANCE);
        }
        write_attribute(out, name, value);
    }
    match &element.content {
        Content::Leaf(leaf) => {
            out.push('>');
            escape(out, &leaf.as_text(), false);
        }
        Content::Children(children) | Content::Documents(children) if children.is_empty() => {
            out.push_str("/>");
            return;
        }
        Content::Children(children) | Content::Documents(children) => {
            out.push('>');
            for child in children {
                write_element(out, child);
            }
        }
    }
    out.push_str("</");
    out.push_str(&name);
    out.push('>');
}

fn write_attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    escape(out, value, true);
    out.push('"');
}

/// Writes character data so that a reader gets the same text back; what XML cannot carry at all
/// becomes U+FFFD.
fn escape(out: &mut String, text: &str, in_attribute: bool) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if in_attribute => out.push_str("&quot;"),
            '\t' if in_attribute => out.push_str("&#9;"),
            '\n' if in_attribute => out.push_str("&#10;"),
            // Readers turn a bare one into a line feed (XML 1.0 section 2.11).
            '\r' => out.push_str("&#13;"),
            c if is_admitted(c) => out.push(c),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
}

/// How many attributes an element may have.
const MAX_ATTRIBUTES: usize = 32;

/// How the namespaces of all the RESTful network APIs begin.
const FAMILY: &str = "urn:oma:xml:rest:";

/// The namespace of `isComposing` in RFC 3994 section 5.
const IS_COMPOSING: &str = "urn:ietf:params:xml:ns:im-iscomposing";

/// The namespace of `xsi:type`.
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::oma::Namespace;

    #[test]
    fn only_the_root_is_qualified_and_text_is_escaped() {
        let document = Element::root(Namespace::Channel, "thing")
            .text("name", "a<b> & \"c\"\r\n\u{0}")
            .with(Element::group("data").attribute("xsi:type", "nc:\"X\""))
            .list("none", [])
            .json_text("id", "n1");
        let wanted = concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?>"#,
            r#"<nc:thing xmlns:nc="urn:oma:xml:rest:netapi:notificationchannel:1">"#,
            "<name>a&lt;b&gt; &amp; \"c\"&#13;\n\u{fffd}</name>",
            r#"<data xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" "#,
            r#"xsi:type="nc:&quot;X&quot;"/></nc:thing>"#
        );
        assert_eq!(String::from_utf8(write(&document)).unwrap(), wanted);
    }

    #[test]
    fn any_prefix_is_taken_and_foreign_elements_are_passed_over() {
        let texts = [
            r#"<c:m xmlns:c="urn:oma:xml:rest:netapi:chat:1"><t>a &amp; b&#33;</t></c:m>"#,
            r#"<m xmlns="urn:oma:xml:rest:netapi:chat:1"><t><![CDATA[a & b!]]></t></m>"#,
            r#"<chat:m><chat:t>a &#x26; b!</chat:t></chat:m>"#,
            concat!(
                "<?xml version='1.0' encoding='utf-8'?><!-- c --><m xmlns:x='urn:x' k='v'> \n ",
                "<x:t>not this <t>nor this</t></x:t><t>a &amp; <!-- c -->b!</t> <?pi?></m>\n"
            ),
        ];
        for text in texts {
            let tree = read(text).unwrap();
            assert_eq!(tree.name(), "m", "{text}");
            let [t] = tree.children() else { panic!("{text}") };
            assert_eq!((t.name(), t.value().as_deref()), ("t", Some("a & b!")), "{text}");
        }
    }

    #[test]
    fn what_was_written_is_read_back() {
        let text = "tab\t line\n return\r \"<>&' \u{1f600}";
        let written = write(&Element::root(Namespace::Chat, "m").text("t", text));
        let tree = read(std::str::from_utf8(&written).unwrap()).unwrap();
        assert_eq!(tree.all("t").next().unwrap().value().as_deref(), Some(text));
    }

    #[test]
    fn what_is_hostile_is_refused() {
        let deep = |n| format!("{}x{}", "<a>".repeat(n), "</a>".repeat(n));
        assert!(read(&deep(64)).is_ok());
        assert_eq!(read(&deep(65)), Err(ReadError::TooDeep));
        assert_eq!(read(&"<a>".repeat(100_000)), Err(ReadError::TooDeep));
        let attributes = |n: usize| {
            let all: String = (0..n).map(|i| format!(" a{i}=''")).collect();
            format!("<m{all}/>")
        };
        assert!(read(&attributes(32)).is_ok());
        assert_eq!(read(&attributes(33)), Err(ReadError::TooMany));
        assert_eq!(read(&attributes(50_000)), Err(ReadError::TooMany));
        assert_eq!(read(&format!("<m>{}</m>", "<a/>".repeat(20_000))), Err(ReadError::TooMany));
        assert_eq!(read("<m a='1' a='2'/>"), Err(ReadError::Repeated { part: "a".into() }));
        let bomb = "<!DOCTYPE m [<!ENTITY a 'b'><!ENTITY c '&a;&a;'>]><m>&c;</m>";
        assert_eq!(read(bomb), Err(ReadError::DocumentType));
        assert_eq!(read("<m>&c;</m>"), Err(ReadError::UnknownEntity("c".into())));
        assert_eq!(read("<m xmlns='urn:x'/>"), Err(ReadError::ForeignNamespace("urn:x".into())));
        let control = Err(ReadError::ControlCharacter { part: "m".into() });
        assert_eq!(read("<m>\u{1}</m>"), control);
        assert_eq!(read("<m>&#2;</m>"), control);
        assert_eq!(read("<?xml version='1.0' encoding='utf-16'?><m/>"), Err(ReadError::NotUtf8));
        for broken in [
            "<m>",
            "<m></n>",
            "</m>",
            "<m/><m/>",
            "x<m/>",
            "<m/>x",
            "<m",
            "<!-- -->",
            "<m a=1/>",
            "<m a/>",
            "<m>&amp</m>",
            "<m>&#0;</m>",
            "<m a='&x;'/>",
        ] {
            assert!(matches!(read(broken), Err(ReadError::Syntax(_))), "{broken}");
        }
    }
}
