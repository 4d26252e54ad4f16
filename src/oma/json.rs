//! JSON: one root member named as the XML root, lists as arrays, numbers and truth values bare.
//!
//! The reader is more lenient than the writer: a text stands for a number or a truth value, a value
//! for a list of one, `null` for nothing, and the root may be missing. Duplicate members and deep
//! nesting are refused.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::element::{Content, Element, Leaf, Shape};
use super::{MAX_DEPTH, MAX_NODES, ReadError, admitted, shortened};

/// Reads a JSON text; the tree has no root of its own.
pub(super) fn read(text: &str) -> Result<Element, ReadError> {
    let limits = Limits { nodes_left: Cell::new(MAX_NODES), refusal: RefCell::new(None) };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Seed { limits: &limits, depth: 0, part: "" }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    match (value, limits.refusal.into_inner()) {
        (_, Some(refusal)) => Err(refusal),
        (Err(error), None) => Err(ReadError::Syntax(error.to_string())),
        (Ok(Value::Members(members)), None) => Ok(Element::rootless(members)),
        (Ok(Value::Null | Value::Leaf(_) | Value::List(_)), None) => {
            Err(ReadError::Syntax("the body must be a JSON object".into()))
        }
    }
}

/// Writes a document; a tree without a root becomes a plain object.
pub(super) fn write(element: &Element) -> Vec<u8> {
    let mut out = Vec::with_capacity(element.weight());
    let written = if element.name.is_empty() {
        serde_json::to_writer(&mut out, &Body(element))
    } else {
        serde_json::to_writer(&mut out, &Document(element))
    };
    written.expect("texts, numbers and truth values under text keys are always JSON");
    out
}

/// A value on its way in.
enum Value {
    Null,
    Leaf(Leaf),
    List(Vec<Self>),
    Members(Vec<Element>),
}

impl Value {
    /// Turns the value of the member `name` into elements: a list into many, `null` into none.
    fn into_elements(self, name: &str, elements: &mut Vec<Element>) {
        match self {
            Self::Null => {}
            Self::Leaf(leaf) => elements.push(Element::leaf(name.to_owned(), leaf)),
            Self::List(items) => {
                for item in items {
                    item.into_elements(name, elements);
                }
            }
            Self::Members(members) => {
                let group = Element::group(name.to_owned());
                elements.push(Element { content: Content::Children(members), ..group });
            }
        }
    }
}

/// What holds for the whole text, and why it was refused, if it was for more than its grammar.
struct Limits {
    nodes_left: Cell<usize>,
    refusal: RefCell<Option<ReadError>>,
}

impl Limits {
    fn refuse<T, E: serde::de::Error>(&self, refusal: ReadError) -> Result<T, E> {
        let text = refusal.to_string();
        self.refusal.replace(Some(refusal));
        Err(E::custom(text))
    }
}

/// Reads one value that stands `depth` deep.
#[derive(Clone, Copy)]
struct Seed<'a> {
    limits: &'a Limits,
    depth: usize,
    part: &'a str,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let Some(left) = self.limits.nodes_left.get().checked_sub(1) else {
            return self.limits.refuse(ReadError::TooMany);
        };
        self.limits.nodes_left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Leaf(Leaf::Flag(flag)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Leaf(Leaf::Number(number)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Leaf(Leaf::Text(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Leaf(Leaf::Text(number.to_string())))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        match admitted(self.part, text.to_owned()) {
            Ok(text) => Ok(Value::Leaf(Leaf::Text(text))),
            Err(refusal) => self.limits.refuse(refusal),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let (mut members, mut names) = (Vec::new(), Names::default());
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(Seed { part: &name, ..inner })?;
            value.into_elements(&name, &mut members);
            if let Err(name) = names.note(name) {
                return self.limits.refuse(ReadError::Repeated { part: shortened(&name) });
            }
        }
        Ok(Value::Members(members))
    }
}

/// The names of the members that were read: a few are compared one by one, more are sorted.
#[derive(Default)]
struct Names {
    few: Vec<String>,
    more: BTreeSet<String>,
}

impl Names {
    /// Keeps a name, or gives it back where it was there before.
    fn note(&mut self, name: String) -> Result<(), String> {
        if self.few.contains(&name) || self.more.contains(&name) {
            return Err(name);
        }
        if self.few.len() < FEW {
            self.few.push(name);
        } else {
            self.more.insert(name);
        }
        Ok(())
    }
}

/// Up to how many names are compared faster than sorted.
const FEW: usize = 8;

impl Seed<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return self.limits.refuse(ReadError::TooDeep);
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

/// A document with its root as the only member.
struct Document<'a>(&'a Element);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.0.name, &Body(self.0))?;
        map.end()
    }
}

/// What stands in an element.
struct Body<'a>(&'a Element);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.content {
            Content::Leaf(Leaf::Text(text)) => serializer.serialize_str(text),
            Content::Leaf(Leaf::Number(number)) => serializer.serialize_u64(*number),
            Content::Leaf(Leaf::Flag(flag)) => serializer.serialize_bool(*flag),
            // What the long poll answers when nothing waits.
            Content::Documents(documents) if documents.is_empty() => serializer.serialize_none(),
            Content::Documents(documents) => serializer.collect_seq(documents.iter().map(Document)),
            Content::Children(children) => {
                let mut map = serializer.serialize_map(None)?;
                for (name, value) in &self.0.attributes {
                    // `xsi:type` is `type` here.
                    let (_, name) = name.split_once(':').unwrap_or(("", name));
                    map.serialize_entry(name, value)?;
                }
                for run in children.chunk_by(|one, next| one.name == next.name) {
                    serialize_run::<S>(&mut map, run)?;
                }
                map.end()
            }
        }
    }
}

/// Writes neighbours of one name: the items of a list as an array, an element by itself.
fn serialize_run<S: Serializer>(
    map: &mut S::SerializeMap,
    run: &[Element],
) -> Result<(), S::Error> {
    let Some(first) = run.first() else { return Ok(()) };
    match first.shape {
        Shape::EmptyList => map.serialize_entry(&first.name, &[(); 0]),
        Shape::Single | Shape::JsonOnly if run.len() == 1 => {
            map.serialize_entry(&first.name, &Body(first))
        }
        Shape::Single | Shape::JsonOnly | Shape::Item => {
            map.serialize_entry(&first.name, &List(run))
        }
    }
}

/// The items of a list.
struct List<'a>(&'a [Element]);

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.0.len()))?;
        for item in self.0 {
            sequence.serialize_element(&Body(item))?;
        }
        sequence.end()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::oma::Namespace;

    #[test]
    fn lists_are_arrays_and_values_are_bare() {
        let document = Element::root(Namespace::Chat, "thing")
            .text("name", "a \"b\"\n")
            .maybe_number("count", Some(3_u32))
            .with(Element::leaf("flag", Leaf::Flag(true)))
            .items([Element::group("link").attribute("rel", "x").attribute("xsi:type", "y")])
            .list("none", [])
            .json_text("id", "n1");
        let wanted = concat!(
            r#"{"thing":{"name":"a \"b\"\n","count":3,"flag":true,"#,
            r#""link":[{"rel":"x","type":"y"}],"none":[],"id":"n1"}}"#
        );
        assert_eq!(String::from_utf8(write(&document)).unwrap(), wanted);
    }

    #[test]
    fn values_lists_and_nulls_are_read_leniently() {
        let tree = read(
            r#"{"a": "1", "b": 2, "c": [3, [-4, 5.5]], "d": null, "e": {"f": true}, "g": []}"#,
        )
        .unwrap();
        let values = |name: &str| {
            tree.all(name).map(|e| e.value().unwrap().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(values("a"), ["1"]);
        assert_eq!(values("b"), ["2"]);
        assert_eq!(values("c"), ["3", "-4", "5.5"]);
        assert!(values("d").is_empty());
        assert!(values("g").is_empty());
        let e = tree.all("e").next().unwrap();
        assert_eq!(e.all("f").next().unwrap().value().as_deref(), Some("true"));
    }

    #[test]
    fn what_is_hostile_is_refused() {
        let deep = |open: &str, shut: &str, n| format!("{}1{}", open.repeat(n), shut.repeat(n));
        assert!(read(&deep(r#"{"a":"#, "}", 64)).is_ok());
        assert_eq!(read(&deep(r#"{"a":"#, "}", 65)), Err(ReadError::TooDeep));
        assert_eq!(read(&deep(r#"{"a":"#, "}", 10_000)), Err(ReadError::TooDeep));
        assert_eq!(read(&"[".repeat(10_000)), Err(ReadError::TooDeep));
        let repeated = |part: &str| Err(ReadError::Repeated { part: part.into() });
        assert_eq!(read(r#"{"a":1,"a":2}"#), repeated("a"));
        assert_eq!(read(r#"{"a":{"b":null,"b":null}}"#), repeated("b"));
        for last in 0..12 {
            let many: Vec<_> = (0..12).chain([last]).map(|n| format!("\"m{n}\":1")).collect();
            assert_eq!(read(&format!("{{{}}}", many.join(","))), repeated(&format!("m{last}")));
        }
        assert_eq!(
            read(r#"{"subject":"x\u0000"}"#),
            Err(ReadError::ControlCharacter { part: "subject".into() })
        );
        // The fault names the member, and must not carry on what was refused.
        assert_eq!(
            read(r#"{"\u001fx":"\u0000"}"#),
            Err(ReadError::ControlCharacter { part: "\u{fffd}x".into() })
        );
        assert_eq!(
            read(&format!("{{\"a\":[{}1]}}", "1,".repeat(100_000))),
            Err(ReadError::TooMany)
        );
        for broken in
            ["{", "[]", "1", "null", "{} {}", r#"{"a":"\ud800"}"#, "{'a':1}", "{\"a\":1,}"]
        {
            assert!(matches!(read(broken), Err(ReadError::Syntax(_))), "{broken}");
        }
    }
}
