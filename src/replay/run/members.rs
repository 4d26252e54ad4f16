//! What may be expected of a notification: the members that the API gives it, and what is known of
//! them beside. What there is not would be met by everything, or by nothing.

use serde_json::{Map, Value};

use crate::oma::{Kind, Notification, Occurs, Outline, Part};

/// Refuses what means nothing of a notification of that name.
pub(super) fn check(name: &str, fields: &Map<String, Value>) -> Result<(), String> {
    let is_it = |outline: &&Outline| outline.root.is_some_and(|(_, root)| root == name);
    let Some(outline) = Notification::OUTLINES.iter().find(is_it) else {
        return Err(format!("a notification {name:?}, which there is not"));
    };
    fields.iter().try_for_each(|(field, wanted)| {
        let is_right = known_beside(outline, field, wanted)
            .or_else(|| member(outline, field).map(|part| fits(part, wanted)));
        match is_right {
            Some(true) => Ok(()),
            Some(false) => Err(format!("a {name} with {field:?} that says nothing: {wanted}")),
            None => Err(format!("a {name} with {field:?}, which means nothing")),
        }
    })
}

/// Tells whether something is right that an expectation says in its own way; `None` where it is no
/// such thing.
fn known_beside(outline: &Outline, field: &str, wanted: &Value) -> Option<bool> {
    let text = || wanted.as_str().unwrap_or_default();
    let has_message = member(outline, "chatMessage").is_some();
    match field {
        "rel" => Some(!text().is_empty()),
        // What links lead to is drawn.
        "link" => Some(false),
        "text" => has_message.then(|| wanted.is_string()),
        "text_len" => has_message.then(|| wanted.is_u64()),
        "participant" | "standing" => {
            let part = member(outline, "participant")?;
            let entries = wanted.as_array().map(Vec::as_slice).unwrap_or_default();
            Some(!entries.is_empty() && entries.iter().all(|entry| is_participant(part, entry)))
        }
        "eventDescription" => {
            member(outline, field)?;
            Some(!text().trim_end_matches('*').trim().is_empty())
        }
        // A star marks what the project has decided, with the other way behind it.
        "eventType" => {
            let word = text().split(['*', ' ']).next().unwrap_or_default();
            member(outline, field).map(|part| fits(part, &Value::from(word)))
        }
        _ => None,
    }
}

/// Tells whether a participant is told as `[address, status]` or `[address, status, "yourown"]`.
fn is_participant(part: &Part, entry: &Value) -> bool {
    let Kind::Group(outline) = part.kind else { return false };
    let Some([address, status, own @ ..]) = entry.as_array().map(Vec::as_slice) else {
        return false;
    };
    let is_own = match own {
        [] => true,
        [own] => own == "yourown",
        [..] => false,
    };
    let is_status = member(outline, "status").is_some_and(|part| fits(part, status));
    address.is_string() && is_status && is_own
}

fn member(outline: &Outline, name: &str) -> Option<&'static Part> {
    outline.parts.iter().find(|part| part.name == name)
}

/// Tells whether a member may be so; what need not be there may be `null`, which is that it is not.
fn fits(part: &Part, wanted: &Value) -> bool {
    match (part.occurs, wanted) {
        (Occurs::Maybe | Occurs::Either, Value::Null) => true,
        (Occurs::List(_), Value::Array(all)) => {
            !all.is_empty() && all.iter().all(|one| is_of(part.kind, one))
        }
        (Occurs::List(_), _) => false,
        (Occurs::Once | Occurs::Maybe | Occurs::Either, wanted) => is_of(part.kind, wanted),
    }
}

fn is_of(kind: Kind, wanted: &Value) -> bool {
    match kind {
        Kind::Text(_) | Kind::Line(_) => wanted.is_string() || wanted.is_number(),
        Kind::Address | Kind::Url | Kind::Moment | Kind::MediaType | Kind::AnyCase(_) => {
            wanted.is_string()
        }
        Kind::Number(_) => wanted.is_u64(),
        Kind::Flag => wanted.is_boolean(),
        Kind::OneOf(names) => wanted.as_str().is_some_and(|wanted| names.contains(&wanted)),
        Kind::Group(outline) => wanted.as_object().is_some_and(|members| {
            let is_right = |(name, wanted): (&String, &Value)| {
                member(outline, name).is_some_and(|part| fits(part, wanted))
            };
            !members.is_empty() && members.iter().all(is_right)
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_there_is_can_be_expected() {
        for (name, members, is_right) in [
            ("chatEventNotifikation", json!({}), false),
            ("chatEventNotification", json!({}), true),
            ("chatEventNotification", json!({"eventType": "SessionEnded* (or not)"}), true),
            ("chatEventNotification", json!({"eventType": "Akzepted"}), false),
            ("chatEventNotification", json!({"eventTyp": null}), false),
            ("chatEventNotification", json!({"eventDescription": "SIP 486*"}), true),
            ("chatEventNotification", json!({"eventDescription": "*"}), false),
            ("chatEventNotification", json!({"eventDescription": 486}), false),
            ("chatEventNotification", json!({"participant": [["+1", "Connected"]]}), false),
            ("chatEventNotification", json!({"text": "x"}), false),
            ("chatEventNotification", json!({"rel": "ChatMessage"}), true),
            ("chatEventNotification", json!({"rel": ["ChatMessage"]}), false),
            ("chatEventNotification", json!({"link": {}}), false),
            ("participantStatusNotification", json!({"participant": "nobody at all"}), false),
            ("participantStatusNotification", json!({"participant": []}), false),
            ("participantStatusNotification", json!({"participant": [{"address": "+1"}]}), false),
            ("participantStatusNotification", json!({"participant": [["+1", "Conected"]]}), false),
            (
                "participantStatusNotification",
                json!({"participant": [["+1", "Connected", 1]]}),
                false,
            ),
            (
                "participantStatusNotification",
                json!({"participant": [["+1", "Connected", "yourown"], ["+2", "Invited"]]}),
                true,
            ),
            ("messageNotification", json!({"text": 1}), false),
            ("messageNotification", json!({"text_len": "12"}), false),
            ("messageNotification", json!({"text_len": 12, "text": "x"}), true),
            ("messageNotification", json!({"chatMessage": {"txt": "x"}}), false),
            ("messageNotification", json!({"chatMessage": {}}), false),
            (
                "messageNotification",
                json!({"chatMessage": {"text": "x"}, "isComposing": null}),
                true,
            ),
            (
                "messageNotification",
                json!({"isComposing": {"state": "active", "refresh": 60}}),
                true,
            ),
            ("messageNotification", json!({"isComposing": {"state": "aktive"}}), false),
            (
                "messageDeliveryStatusNotification",
                json!({"status": "Failed", "errorCode": "413"}),
                true,
            ),
            ("messageDeliveryStatusNotification", json!({"status": "Faild"}), false),
            ("messageDeliveryStatusNotification", json!({"errorCode": null}), true),
            ("messageDeliveryStatusNotification", json!({"status": null}), false),
        ] {
            let fields = members.as_object().cloned().unwrap_or_default();
            let checked = check(name, &fields);
            assert_eq!(checked.is_ok(), is_right, "{name} {members}: {checked:?}");
        }
    }
}
