//! Documents as a client reads and writes them, XML and JSON alike, with none of the server's code.

use std::collections::BTreeMap;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde_json::Value;

/// The format that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Xml,
    Json,
}

impl Format {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Xml => "application/xml",
            Self::Json => "application/json",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Xml => "XML",
            Self::Json => "JSON",
        }
    }
}

/// An element or a member; attributes are children like any other, prefixes are gone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Self>,
}

impl Node {
    /// Reads a document; its root is the node.
    pub(crate) fn read(format: Format, body: &str) -> Self {
        match format {
            Format::Xml => read_xml(body),
            Format::Json => {
                let value: Value = serde_json::from_str(body)
                    .unwrap_or_else(|error| panic!("no JSON: {error}: {body}"));
                let members = value.as_object().unwrap_or_else(|| panic!("no object: {body}"));
                assert_eq!(members.len(), 1, "one root in {body}");
                let (root, value) = members.iter().next().unwrap();
                match value {
                    // A list of documents (`notificationList`): each an object around its root.
                    Value::Array(items) => {
                        let roots = items.iter().flat_map(|item| read_json("", item).children);
                        Self { name: root.clone(), text: String::new(), children: roots.collect() }
                    }
                    other => read_json(root, other),
                }
            }
        }
    }

    /// Gives all parts with that name.
    pub(crate) fn all(&self, name: &str) -> Vec<&Self> {
        self.children.iter().filter(|child| child.name == name).collect()
    }

    /// Gives the text of the part at a path such as `chatMessage/text`.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.find(path).map_or_else(|| panic!("no {path} in {self:?}"), |node| node.text.as_str())
    }

    pub(crate) fn find(&self, path: &str) -> Option<&Self> {
        path.split('/')
            .try_fold(self, |node, name| node.children.iter().find(|child| child.name == name))
    }

    /// Gives the target of the link with that relation.
    pub(crate) fn link(&self, rel: &str) -> &str {
        let mut links = self.all("link").into_iter();
        let link = links.find(|link| link.text("rel") == rel);
        link.unwrap_or_else(|| panic!("no link {rel} in {self:?}")).text("href")
    }
}

fn read_json(name: &str, value: &Value) -> Node {
    let mut node = Node { name: name.to_owned(), ..Node::default() };
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::Array(items) => {
                        node.children.extend(items.iter().map(|item| read_json(name, item)));
                    }
                    other => node.children.push(read_json(name, other)),
                }
            }
        }
        Value::String(text) => node.text.clone_from(text),
        Value::Null => {}
        other => node.text = other.to_string(),
    }
    node
}

fn read_xml(body: &str) -> Node {
    let mut reader = Reader::from_str(body);
    let mut open = vec![Node::default()];
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("no XML: {error}: {body}")) {
            Event::Start(start) => open.push(begun(&start)),
            Event::Empty(start) => {
                let node = begun(&start);
                open.last_mut().unwrap().children.push(node);
            }
            Event::End(_) => {
                let node = open.pop().unwrap();
                open.last_mut().expect("balanced").children.push(node);
            }
            Event::Text(text) => open.last_mut().unwrap().text.push_str(&text),
            Event::GeneralRef(name) => {
                let character = match name.resolve_char_ref().unwrap() {
                    Some(character) => character,
                    None => match &*name {
                        "lt" => '<',
                        "gt" => '>',
                        "amp" => '&',
                        "quot" => '"',
                        "apos" => '\'',
                        other => panic!("entity {other}"),
                    },
                };
                open.last_mut().unwrap().text.push(character);
            }
            Event::Eof => break,
            Event::Decl(_) | Event::Comment(_) => {}
            other => panic!("unexpected {other:?} in {body}"),
        }
    }
    let mut roots = open.remove(0).children;
    assert_eq!(roots.len(), 1, "one root in {body}");
    roots.remove(0)
}

fn begun(start: &BytesStart<'_>) -> Node {
    let local = |name: &str| name.rsplit(':').next().unwrap().to_owned();
    let mut node = Node { name: local(start.name().as_ref()), ..Node::default() };
    for attribute in start.attributes() {
        let attribute = attribute.unwrap();
        if attribute.key.as_ref().starts_with("xmlns") {
            continue;
        }
        let text = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap().into_owned();
        let name = local(attribute.key.as_ref());
        node.children.push(Node { name, text, children: Vec::new() });
    }
    node
}

/// Writes a document; a field `a/b` stands within `a`, and a repeated field is a list.
pub(crate) fn write(format: Format, root: &str, fields: &[(&str, &str)]) -> String {
    match format {
        Format::Xml => write_xml(root, fields),
        Format::Json => write_json(root, fields),
    }
}

fn write_xml(root: &str, fields: &[(&str, &str)]) -> String {
    let mut body = String::new();
    let mut outer = "";
    for (name, value) in fields {
        let (group, name) = name.split_once('/').unwrap_or(("", name));
        if group != outer {
            if !outer.is_empty() {
                body.push_str(&format!("</{outer}>"));
            }
            if !group.is_empty() {
                body.push_str(&format!("<{group}>"));
            }
            outer = group;
        }
        body.push_str(&format!("<{name}>{}</{name}>", quick_xml::escape::escape(*value)));
    }
    if !outer.is_empty() {
        body.push_str(&format!("</{outer}>"));
    }
    let kind = if root.starts_with("notificationChannel") { "notificationchannel" } else { "chat" };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<x:{root} \
         xmlns:x=\"urn:oma:xml:rest:netapi:{kind}:1\">{body}</x:{root}>"
    )
}

fn write_json(root: &str, fields: &[(&str, &str)]) -> String {
    let mut groups: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for (name, value) in fields {
        let (group, name) = name.split_once('/').unwrap_or(("", name));
        groups.entry(group).or_default().entry(name).or_default().push(value);
    }
    let mut members = serde_json::Map::new();
    for (group, fields) in groups {
        let fields = fields.into_iter().map(|(name, values)| {
            let value = match values.as_slice() {
                [one] => Value::from(*one),
                many => Value::from(many.to_vec()),
            };
            (name.to_owned(), value)
        });
        if group.is_empty() {
            members.extend(fields);
        } else {
            members.insert(group.to_owned(), Value::Object(fields.collect()));
        }
    }
    serde_json::json!({ root: members }).to_string()
}
