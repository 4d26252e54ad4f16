//! Outlines as JSON Schema (2020-12), the dialect of OpenAPI 3.1.

use serde_json::{Map, Value, json};

use crate::address::MAX_ADDRESS;
use crate::oma::{Kind, Occurs, Outline, Part, Place};

/// The schemas of the description, each under the name of its type.
#[derive(Debug, Default)]
pub(super) struct Schemas(Map<String, Value>);

impl Schemas {
    /// Describes one of the documents in JSON: an object with the root as its only member.
    pub(super) fn json(&mut self, documents: &[Outline]) -> Value {
        let roots = documents.iter().map(|outline| {
            let (root, reference) = (root(outline), self.component(outline));
            json!({"type": "object", "required": [root], "properties": {root: reference}})
        });
        one_of(roots.collect())
    }

    /// Describes one of the documents in XML.
    pub(super) fn xml(&mut self, documents: &[Outline]) -> Value {
        let roots = documents.iter().map(|outline| {
            let mut reference = self.component(outline);
            if let Some((namespace, name)) = outline.root {
                reference["xml"] = json!({
                    "name": name, "prefix": namespace.prefix(), "namespace": namespace.urn(),
                });
            }
            reference
        });
        one_of(roots.collect())
    }

    /// Describes a form: what the server sets is not in it.
    pub(super) fn form(&mut self, form: &Outline) -> Value {
        let parts = form.parts.iter().filter(|part| match part.place {
            Place::Both | Place::Attribute => true,
            Place::Server | Place::ServerJson => false,
        });
        let parts: Vec<Part> = parts.copied().collect();
        self.object(&parts)
    }

    /// Enters a type and gives the reference to it.
    pub(super) fn component(&mut self, outline: &Outline) -> Value {
        if !self.0.contains_key(outline.name) {
            // Entered first, lest a type that holds itself be entered for ever.
            self.0.insert(outline.name.to_owned(), Value::Null);
            let object = self.object(outline.parts);
            self.0.insert(outline.name.to_owned(), object);
        }
        json!({"$ref": format!("#/components/schemas/{}", outline.name)})
    }

    pub(super) fn into_components(self) -> Map<String, Value> {
        self.0
    }

    fn object(&mut self, parts: &[Part]) -> Value {
        let properties: Map<String, Value> =
            parts.iter().map(|part| (part.name.to_owned(), self.property(part))).collect();
        let required: Vec<&str> =
            parts.iter().filter(|part| is_required(part)).map(|part| part.name).collect();
        let choice: Vec<Value> = parts
            .iter()
            .filter(|part| part.occurs == Occurs::Either)
            .map(|part| json!({"required": [part.name]}))
            .collect();
        let mut object = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            object["required"] = json!(required);
        }
        if !choice.is_empty() {
            object["oneOf"] = choice.into();
        }
        object
    }

    fn property(&mut self, part: &Part) -> Value {
        let one = match part.kind {
            Kind::Group(outline) => self.component(outline),
            Kind::Text(limit) => text(limit),
            Kind::Line(limit) => line(limit),
            Kind::Address => address(),
            Kind::Url => {
                let pattern =
                    "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#\\s][^\\s\\u0000-\\u001f\\u007f-\\u009f]*$";
                json!({"type": "string", "format": "uri", "maxLength": 2048, "pattern": pattern})
            }
            Kind::Number(least) => json!({
                "type": "integer", "minimum": least, "maximum": u32::MAX,
            }),
            Kind::Flag => json!({"type": "boolean"}),
            Kind::Moment => json!({"type": "string", "format": "date-time"}),
            Kind::MediaType => json!({
                "type": "string",
                "maxLength": 256,
                "pattern": "^[A-Za-z0-9!#$&^_.+-]+(/[A-Za-z0-9!#$&^_.+-]+)?$",
            }),
            Kind::OneOf(names) => json!({"type": "string", "enum": names}),
            Kind::AnyCase(name) => any_case(name),
        };
        let mut property = match part.occurs {
            Occurs::List(least) if least > 0 => {
                json!({"type": "array", "items": one, "minItems": least})
            }
            Occurs::List(_) => json!({"type": "array", "items": one}),
            Occurs::Once | Occurs::Maybe | Occurs::Either => one,
        };
        match part.place {
            Place::Both => {}
            Place::Server | Place::ServerJson => property["readOnly"] = true.into(),
            Place::Attribute => property["xml"] = json!({"attribute": true}),
        }
        property
    }
}

/// Tells whether a part is a list, and so an array.
pub(super) fn is_list(part: &Part) -> bool {
    match part.occurs {
        Occurs::List(_) => true,
        Occurs::Once | Occurs::Maybe | Occurs::Either => false,
    }
}

/// Describes the address of a user; not every text that matches is one.
pub(super) fn address() -> Value {
    json!({
        "type": "string",
        "maxLength": MAX_ADDRESS,
        "pattern": concat!(
            "^(([Tt][Ee][Ll]:)?\\+[0-9().-]*[0-9][0-9().-]*(;[^\\s<>\"\\\\{}|^`,]*)?",
            "|[Ss][Ii][Pp][Ss]?:[^\\s<>\"\\\\{}|^`,@?]+@[^\\s<>\"\\\\{}|^`,@?]+",
            "|[Aa][Cc][Rr]:[^\\s<>\"\\\\{}|^`,]+)$",
        ),
        "examples": ["tel:+19585550100"],
    })
}

fn text(limit: Option<usize>) -> Value {
    let mut text = json!({
        "type": "string",
        // What XML 1.0 section 2.2 excludes, no format may carry.
        "pattern": "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\ufffe\\uffff]*$",
    });
    if let Some(limit) = limit {
        text["maxLength"] = limit.into();
    }
    text
}

fn line(limit: usize) -> Value {
    json!({
        "type": "string",
        "maxLength": limit,
        "pattern": concat!(
            "^[^\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e",
            "\\u2066-\\u2069\\ufffe\\uffff]*$",
        ),
    })
}

fn any_case(name: &str) -> Value {
    let letters = name
        .chars()
        .map(|letter| format!("[{}{}]", letter.to_ascii_uppercase(), letter.to_ascii_lowercase()));
    let pattern = format!("^{}$", letters.collect::<String>());
    json!({"type": "string", "pattern": pattern, "examples": [name]})
}

fn is_required(part: &Part) -> bool {
    let is_taken = match part.place {
        Place::Both | Place::Attribute => true,
        Place::Server | Place::ServerJson => false,
    };
    let is_wanted = match part.occurs {
        Occurs::Once => true,
        Occurs::List(least) => least > 0,
        Occurs::Maybe | Occurs::Either => false,
    };
    is_taken && is_wanted
}

fn root(outline: &Outline) -> &'static str {
    outline.root.map_or(outline.name, |(_, name)| name)
}

fn one_of(mut schemas: Vec<Value>) -> Value {
    if schemas.len() == 1 { schemas.remove(0) } else { json!({"oneOf": schemas}) }
}
