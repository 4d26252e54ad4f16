//! A document as bytes that only this program reads: nothing of the tree is lost.
//!
//! XML forgets which values are numbers, and JSON forgets attributes and namespaces. An answer that
//! is to be given again, in any format, after a restart must forget neither.

use serde_json::{Value, json};

use super::element::{Content, Element, Leaf, Namespace, Shape};

impl Element {
    /// Packs the document.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        value_of(self).to_string().into_bytes()
    }

    /// Unpacks a document; `None` where the bytes are not those of [`Element::pack`].
    #[must_use]
    pub fn unpack(bytes: &[u8]) -> Option<Self> {
        element_of(&serde_json::from_slice(bytes).ok()?)
    }
}

fn value_of(element: &Element) -> Value {
    let namespace = element.namespace.map(Namespace::prefix);
    let (kind, content) = match &element.content {
        Content::Leaf(Leaf::Text(text)) => ("text", json!(text)),
        Content::Leaf(Leaf::Number(number)) => ("number", json!(number)),
        Content::Leaf(Leaf::Flag(flag)) => ("flag", json!(flag)),
        Content::Children(children) => ("children", children.iter().map(value_of).collect()),
        Content::Documents(documents) => ("documents", documents.iter().map(value_of).collect()),
    };
    let shape = match element.shape {
        Shape::Single => "single",
        Shape::Item => "item",
        Shape::EmptyList => "empty list",
        Shape::JsonOnly => "json only",
    };
    json!([element.name, namespace, element.attributes, shape, kind, content])
}

fn element_of(value: &Value) -> Option<Element> {
    let [name, namespace, attributes, shape, kind, content] = value.as_array()?.as_slice() else {
        return None;
    };
    let namespace = match namespace.as_str() {
        None => None,
        Some(prefix) => {
            let all = [Namespace::Chat, Namespace::Channel, Namespace::Common];
            Some(all.into_iter().find(|namespace| namespace.prefix() == prefix)?)
        }
    };
    let attribute = |pair: &Value| match pair.as_array()?.as_slice() {
        [name, value] => Some((name.as_str()?.to_owned().into(), value.as_str()?.to_owned())),
        _ => None,
    };
    let elements = || content.as_array()?.iter().map(element_of).collect::<Option<Vec<_>>>();
    Some(Element {
        name: name.as_str()?.to_owned().into(),
        namespace,
        attributes: attributes.as_array()?.iter().map(attribute).collect::<Option<_>>()?,
        content: match kind.as_str()? {
            "text" => Content::Leaf(Leaf::Text(content.as_str()?.to_owned())),
            "number" => Content::Leaf(Leaf::Number(content.as_u64()?)),
            "flag" => Content::Leaf(Leaf::Flag(content.as_bool()?)),
            "children" => Content::Children(elements()?),
            "documents" => Content::Documents(elements()?),
            _ => return None,
        },
        shape: match shape.as_str()? {
            "single" => Shape::Single,
            "item" => Shape::Item,
            "empty list" => Shape::EmptyList,
            "json only" => Shape::JsonOnly,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost() {
        let part = Element::group("part")
            .attribute("rel", "Chat\"Session")
            .maybe_number("count", Some(7_u32))
            .with(Element::leaf("flag", Leaf::Flag(true)))
            .json_text("id", "n1");
        let document = Element::root(Namespace::Chat, "chatMessage")
            .text("text", "Hello \u{1F600} <&>\r\n")
            .items([part.clone(), part.clone()])
            .list("nobody", []);
        let list = Element { content: Content::Documents(vec![document]), ..part };
        assert_eq!(Element::unpack(&list.pack()), Some(list));
    }

    #[test]
    fn what_was_not_packed_is_not_unpacked() {
        for bytes in [&b""[..], b"{}", b"[]", b"[1,2,3,4,5,6]", b"[\"a\",null,[],\"x\",\"text\",1]"]
        {
            assert_eq!(Element::unpack(bytes), None);
        }
        let deep = "[".repeat(100_000);
        assert_eq!(Element::unpack(deep.as_bytes()), None);
    }
}
