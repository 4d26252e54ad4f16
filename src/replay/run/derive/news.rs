//! Something that must be told, as yet of no session.

use serde_json::{Map, Value, json};

use crate::chat::{EventType, ParticipantStatus};
use crate::trace::Moment;

/// A notification, by what a table fixes of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct News {
    /// What it may be, each a root element with its members.
    pub(super) any_of: Vec<(String, Map<String, Value>)>,
    /// Whether the trace leaves it open that it comes.
    pub(super) optional: bool,
    /// Whether it may come before what was derived before it.
    pub(super) unordered: bool,
    /// Where the trace has its cause, if that is not the message that brings it about.
    pub(super) since: Option<(u64, Moment)>,
}

impl News {
    /// A notification with these members.
    pub(super) fn of(name: &str, fields: Value) -> Self {
        let fields = fields.as_object().cloned().unwrap_or_default();
        Self {
            any_of: vec![(name.to_owned(), fields)],
            optional: false,
            unordered: false,
            since: None,
        }
    }

    /// An event of a session; an empty description is none.
    pub(super) fn event(event: EventType, description: &str) -> Self {
        let mut fields = json!({ "eventType": event.as_str() });
        if !description.is_empty() {
            fields["eventDescription"] = description.into();
        }
        Self::of("chatEventNotification", fields)
    }

    /// How participants stand: those of whom it must be told, and those of whom it may.
    pub(super) fn participants(told: Vec<Value>, standing: Vec<Value>) -> Self {
        Self::of(
            "participantStatusNotification",
            json!({ "participant": told, "standing": standing }),
        )
    }

    /// The same with another member; each of several values is as good.
    pub(super) fn with(self, field: &str, values: &[String]) -> Self {
        if values.is_empty() {
            return self;
        }
        let each = |(name, fields): &(String, Map<String, Value>)| {
            let (name, fields) = (name.clone(), fields.clone());
            values.iter().map(move |value| {
                let mut fields = fields.clone();
                fields.insert(field.to_owned(), value.clone().into());
                (name.clone(), fields)
            })
        };
        Self { any_of: self.any_of.iter().flat_map(each).collect(), ..self }
    }

    /// Estimates what it takes in memory, in bytes.
    pub(super) fn weight(&self) -> usize {
        fn of(value: &Value) -> usize {
            const EACH: usize = 48;
            EACH + match value {
                Value::String(text) => text.len(),
                Value::Array(all) => all.iter().map(of).sum(),
                Value::Object(all) => all.iter().map(|(name, value)| name.len() + of(value)).sum(),
                Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            }
        }
        let fields = self.any_of.iter().flat_map(|(_, fields)| fields.iter());
        fields.map(|(name, value)| name.len() + of(value)).sum()
    }

    /// The same, or another one instead.
    pub(super) fn or(mut self, other: Self) -> Self {
        self.any_of.extend(other.any_of);
        self
    }

    /// The same, if it comes at all.
    pub(super) fn perhaps(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The same, in any order.
    pub(super) fn in_any_order(self) -> Self {
        Self { unordered: true, ..self }
    }
}

/// Writes how somebody stands.
pub(super) fn stands(address: &str, status: ParticipantStatus, is_own: bool) -> Value {
    match is_own {
        true => json!([address, status.as_str(), "yourown"]),
        false => json!([address, status.as_str()]),
    }
}
