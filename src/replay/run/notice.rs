//! One notification that is expected, or must not come.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::api::Told;
use super::members;
use super::script::user;
use crate::trace::Moment;

/// A notification that must come, or that must not.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Notice {
    pub(super) dialog: usize,
    /// What the trace has where it is caused.
    pub(super) packet: u64,
    pub(super) at: Moment,
    /// What it may be, each a root element with its members.
    pub(super) any_of: Vec<(String, Map<String, Value>)>,
    /// Whether a run is as expected without it.
    pub(super) optional: bool,
    /// Whether it may come before the one that stands above it.
    pub(super) unordered: bool,
    /// How long behind its cause it may come.
    pub(super) within: Option<Duration>,
    /// Whose application it must be told, where that is known.
    pub(super) whose: Option<String>,
}

impl Notice {
    /// Reads one, caused in a dialog by a packet at a time; gives how often it must come, which is
    /// never where it must not.
    pub(super) fn read(
        value: &Value,
        (dialog, packet, at): (usize, u64, Moment),
    ) -> Result<(Self, usize), String> {
        let mut fields = value.as_object().cloned().unwrap_or_default();
        let mut flag = |name: &str| match fields.remove(name) {
            Some(Value::Bool(flag)) => Ok(flag),
            None => Ok(false),
            Some(_) => Err(format!("{name} is neither true nor false")),
        };
        let (optional, unordered) = (flag("optional")?, flag("unordered")?);
        let absent = flag("absent")?;
        let mut number = |name: &str| match fields.remove(name) {
            Some(value) => {
                match value.as_u64().filter(|number| (1..=MAX_NUMBER).contains(number)) {
                    Some(number) => Ok(Some(number)),
                    None => Err(format!("{name} is no number from 1 to {MAX_NUMBER}")),
                }
            }
            None => Ok(None),
        };
        let within = number("within")?.map(Duration::from_millis);
        let repeat = number("repeat")?.unwrap_or(1);
        let any_of = match fields.remove("anyOf") {
            Some(Value::Array(all)) if !all.is_empty() && fields.is_empty() => {
                all.iter().map(root).collect::<Result<_, _>>()?
            }
            Some(_) => return Err("anyOf is no list that stands alone".to_owned()),
            None => vec![root(&Value::Object(fields))?],
        };
        let times = if absent { 0 } else { usize::try_from(repeat).unwrap_or(1) };
        Ok((Self { dialog, packet, at, any_of, optional, unordered, within, whose: None }, times))
    }

    /// Tells whether a notification is the one that is expected.
    pub(super) fn is(&self, told: &Told) -> bool {
        let is_whose = self.whose.as_ref().is_none_or(|whose| *whose == told.user);
        let mut any_of = self.any_of.iter();
        is_whose
            && any_of.any(|(name, fields)| {
                told.name == *name && first_difference(fields, told).is_none()
            })
    }

    /// Tells whether a notification is of a kind that is expected.
    pub(super) fn is_like(&self, told: &Told) -> bool {
        self.any_of.iter().any(|(name, _)| told.name == *name)
    }

    /// Gives the first field in which a notification differs, as expected and as told.
    pub(super) fn difference(&self, told: &Told) -> Option<(String, String)> {
        if self.is(told) {
            return None;
        }
        match self.any_of.iter().find(|(name, _)| told.name == *name) {
            Some((_, fields)) => first_difference(fields, told),
            None => Some((self.name().to_owned(), told.name.clone())),
        }
    }

    /// Gives the root element of the first that it may be.
    pub(super) fn name(&self) -> &str {
        self.any_of.first().map_or("", |(name, _)| name)
    }

    /// Says what is expected, in a line.
    pub(super) fn line(&self) -> String {
        let lines: Vec<String> = self
            .any_of
            .iter()
            .map(|(name, fields)| {
                let fields: Vec<String> = fields.iter().map(field_line).collect();
                format!("{name} {}", fields.join(", ")).trim_end().to_owned()
            })
            .collect();
        lines.join(" or ")
    }
}

/// Reads the root element with its members.
fn root(value: &Value) -> Result<(String, Map<String, Value>), String> {
    let mut fields = value.as_object().cloned().unwrap_or_default();
    let Some(Value::String(name)) = fields.remove("notification") else {
        return Err("something expected that is no notification".to_owned());
    };
    members::check(&name, &fields)?;
    Ok((name, fields))
}

fn first_difference(fields: &Map<String, Value>, told: &Told) -> Option<(String, String)> {
    fields.iter().find_map(|(field, wanted)| {
        let (holds, found) = holds(field, wanted, &told.value);
        (!holds).then(|| (format!("{field}: {}", words(wanted)), format!("{field}: {found}")))
    })
}

fn field_line((field, value): (&String, &Value)) -> String {
    format!("{field} {}", shortened(&words(value)))
}

/// Cuts a text that would fill more than a line.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Says what was told, in a line.
pub(super) fn line(told: &Told) -> String {
    let value = &told.value;
    let parts = ["eventType", "eventDescription", "status", "errorCode", "senderAdress"];
    let mut fields: Vec<String> = parts
        .into_iter()
        .filter(|field| !value[*field].is_null())
        .map(|field| format!("{field} {}", words(&value[field])))
        .collect();
    for part in ["chatMessage", "isComposing"] {
        for field in ["text", "state"] {
            let text = value[part][field].as_str();
            fields.extend(text.map(|text| format!("{field} {:?}", shortened(text))));
        }
    }
    for entry in value["participant"].as_array().into_iter().flatten() {
        fields.push(format!("{} {}", words(&entry["address"]), words(&entry["status"])));
    }
    format!("{} {}", told.name, fields.join(", ")).trim_end().to_owned()
}

/// Tells whether a field is as wanted, and what it is.
fn holds(field: &str, wanted: &Value, told: &Value) -> (bool, String) {
    let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_else(|| words(value));
    let message = &told["chatMessage"]["text"];
    match field {
        "rel" => {
            let links = told["link"].as_array().into_iter().flatten();
            let rels: Vec<String> = links.map(|link| text(&link["rel"])).collect();
            (rels.contains(&text(wanted)), rels.join(", "))
        }
        "eventDescription" => {
            let found = text(&told[field]);
            (has_words(&found, &text(wanted)), found)
        }
        "eventType" => {
            // A star marks what the project has decided, with the other way behind it.
            let wanted = text(wanted);
            let found = text(&told[field]);
            (wanted.split(['*', ' ']).next() == Some(&found), found)
        }
        "text" => (text(wanted) == text(message), text(message)),
        "text_len" => {
            let length = message.as_str().map_or(0, |text| text.chars().count() as u64);
            (wanted.as_u64() == Some(length), length.to_string())
        }
        "standing" => {
            let entries = told["participant"].as_array().cloned().unwrap_or_default();
            let wanted = wanted.as_array().cloned().unwrap_or_default();
            let mut others = entries
                .iter()
                .filter(|entry| !wanted.iter().any(|wanted| may_stand(wanted, entry)));
            let other = others.next();
            let other = other
                .map(|entry| format!("{} {}", text(&entry["address"]), text(&entry["status"])));
            (other.is_none(), other.unwrap_or_default())
        }
        "participant" => {
            let entries = told["participant"].as_array().cloned().unwrap_or_default();
            let holds = wanted
                .as_array()
                .into_iter()
                .flatten()
                .all(|wanted| entries.iter().any(|entry| stands(wanted, entry)));
            let list = entries.iter();
            let list =
                list.map(|entry| format!("{} {}", text(&entry["address"]), text(&entry["status"])));
            (holds, list.collect::<Vec<_>>().join(", "))
        }
        _ => (within(wanted, &told[field]), words(&told[field])),
    }
}

/// Tells whether a text has the words of the expectation, in their order: a phrase or a cause may
/// stand between. Of the last one a star leaves the end open.
fn has_words(text: &str, wanted: &str) -> bool {
    let (words, is_open) = match wanted.strip_suffix('*') {
        Some(words) => (words, true),
        None => (wanted, false),
    };
    let mut rest = text;
    let mut words = words.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let may_go_on = is_open && words.peek().is_none();
        let is_whole = |at: &usize| {
            let (before, behind) = (&rest[..*at], &rest[at + word.len()..]);
            let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            let begins = !is_letter(before.chars().next_back()) || !is_letter(word.chars().next());
            let ends = !is_letter(behind.chars().next()) || !is_letter(word.chars().next_back());
            begins && (may_go_on || ends)
        };
        let Some(at) = rest.match_indices(word).map(|(at, _)| at).find(is_whole) else {
            return false;
        };
        rest = &rest[at + word.len()..];
    }
    true
}

/// Tells whether a participant stands as `[address, status]` or `[address, status, "yourown"]` say.
fn stands(wanted: &Value, entry: &Value) -> bool {
    let who = |value: &Value| {
        let address = value.as_str().unwrap_or_default();
        user(&if address.starts_with('+') { format!("tel:{address}") } else { address.to_owned() })
    };
    who(&wanted[0]) == who(&entry["address"])
        && wanted[1] == entry["status"]
        && (wanted[2].is_null() || entry["yourown"] == json!(true))
}

/// Tells whether a participant may stand so: one is the user's own only if that is said.
fn may_stand(wanted: &Value, entry: &Value) -> bool {
    let address_and_status = Value::from(vec![wanted[0].clone(), wanted[1].clone()]);
    stands(&address_and_status, entry) && (entry["yourown"] != json!(true) || !wanted[2].is_null())
}

/// Tells whether all of what is wanted is there; more may be.
fn within(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), found) => {
            wanted.iter().all(|(field, wanted)| within(wanted, &found[field]))
        }
        (wanted, found) => words(wanted) == words(found),
    }
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join(" "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// How much of a text is shown, in characters.
const MAX_SHOWN: usize = 60;
const MAX_NUMBER: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let (all, more) = ("é".repeat(MAX_SHOWN), "é".repeat(MAX_SHOWN + 1));
        assert_eq!(shortened(&all), all);
        assert_eq!(shortened(&more), all + "…");
    }

    #[test]
    fn what_is_not_understood_of_an_expectation_is_refused() {
        let read = |value: Value| Notice::read(&value, (0, 1, Moment::default()));
        let (event, status) = ("chatEventNotification", "messageDeliveryStatusNotification");
        for wrong in [
            json!("text"),
            json!({}),
            json!({"notification": 1}),
            json!({"notification": event, "optional": 1}),
            json!({"notification": event, "absent": "yes"}),
            json!({"notification": event, "within": 0}),
            json!({"notification": event, "repeat": -1}),
            json!({"notification": event, "repeat": 1e9}),
            json!({"notification": event, "anyOf": [{"notification": status}]}),
            json!({"anyOf": []}),
            json!({"anyOf": [{}]}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
        let (notice, times) = read(json!({
            "anyOf": [
                {"notification": status, "status": "Failed"}, {"notification": event},
            ],
            "repeat": 3, "within": 50, "unordered": true,
        }))
        .expect("a good one");
        assert_eq!((times, notice.within), (3, Some(Duration::from_millis(50))));
        assert_eq!(notice.line(), format!("{status} status Failed or {event}"));
        let told = |name: &str, value| Told { user: String::new(), name: name.to_owned(), value };
        assert!(notice.is(&told(status, json!({"status": "Failed"}))));
        assert!(notice.is(&told(event, json!({}))));
        let other = told(status, json!({"status": "Sent"}));
        let difference = Some(("status: Failed".into(), "status: Sent".into()));
        assert_eq!(notice.difference(&other), difference);
        assert!(notice.is_like(&other) && !notice.is_like(&told("messageNotification", json!({}))));
        let never = read(json!({"notification": event, "absent": true})).expect("a good one");
        assert_eq!(never.1, 0);
    }

    #[test]
    fn a_description_has_whole_words_in_their_order() {
        for (text, wanted, is_so) in [
            ("SIP 486 Busy Here", "SIP 486", true),
            ("SIP 486 Busy Here", "SIP 48*", true),
            ("SIP 486 Busy Here", "SIP Here*", true),
            ("SIP 486 Busy Here", "SIP 48", false),
            ("SIP 486 Busy Here", "S", false),
            ("SIP 486 Busy Here", "86 Busy", false),
            ("SIP 486 Busy Here", "Busy 486", false),
            ("SIP BYE (SIP;cause=480;text=\"x\")", "SIP BYE 480", true),
            ("é1 é", "é", true),
        ] {
            assert_eq!(has_words(text, wanted), is_so, "{wanted} in {text}");
        }
    }
}
