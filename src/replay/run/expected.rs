//! What the application must be told: read from `expected.json`, or derived from the trace by the
//! table of what SIP means.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::super::book::{Book, Dialog};
use super::super::rewrite::{Mappings, imdn_id, line_after};
use super::api::Told;
use super::script::{Cause, Cue, Said, Script, user};
use crate::bridge::sip_outcomes::{self, Outcome};
use crate::trace::{Moment, Protocol};

/// Where expectations come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Expect {
    /// The file `expected.json` beside the trace, where it tells of the trace; else the trace.
    File,
    /// The trace alone, by the tables of the bridge.
    Derive,
}

/// What is expected of a run beside the messages of the trace.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Where it comes from.
    pub(super) source: String,
    pub(super) notices: Vec<Notice>,
    /// The calls of each dialog, in order.
    pub(super) calls: Vec<Wish>,
    /// What is expected and cannot be, for the trace has nothing of it.
    pub(super) absent: Vec<Absent>,
}

/// A call that must be made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wish {
    pub(super) dialog: usize,
    pub(super) status: Option<u16>,
    /// What it is, where an expectation lists it.
    pub(super) what: Option<String>,
    pub(super) packet: u64,
    pub(super) at: Moment,
}

/// An expectation of something that the trace does not have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Absent {
    pub(super) dialog: Option<usize>,
    pub(super) packet: u64,
    pub(super) at: Moment,
    pub(super) what: String,
}

/// A notification that must come.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Notice {
    pub(super) dialog: usize,
    /// What the trace has where it is caused.
    pub(super) packet: u64,
    pub(super) at: Moment,
    pub(super) name: String,
    pub(super) fields: Map<String, Value>,
    pub(super) optional: bool,
}

impl Expected {
    /// Finds what is expected of a trace.
    pub(super) fn find(
        trace: &Path,
        from: Expect,
        (book, script): (&Book, &Script),
        map: &Mappings,
    ) -> Result<Self, String> {
        let file = trace.with_file_name("expected.json");
        // Nothing lies beside standard input.
        if from == Expect::Derive || trace == Path::new("-") || !file.is_file() {
            return Ok(derive(book, script));
        }
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let text = std::fs::read_to_string(&file).map_err(|error| told(&error))?;
        let all: Value = serde_json::from_str(&text).map_err(|error| told(&error))?;
        let name = trace.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The forms of one trace share what is expected of it.
        let stem = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let entry = all.as_object().and_then(|all| {
            let same = all.iter().find(|(key, _)| stem(key) == stem(&name));
            all.get(&name).or(same.map(|(_, entry)| entry))
        });
        match entry {
            Some(entry) => {
                let mut expected = Self { source: file.display().to_string(), ..Self::default() };
                let mut entry = entry.clone();
                map.document(&mut entry);
                read(&mut expected, &entry, book, script).map_err(|why| told(&why))?;
                Ok(expected)
            }
            None => {
                let mut expected = derive(book, script);
                expected.source.push_str(&format!(": {} says nothing of it", file.display()));
                Ok(expected)
            }
        }
    }
}

/// Reads what a file expects of a trace. What is not understood is refused: an expectation that
/// nobody looks at would always be met.
fn read(
    expected: &mut Expected,
    entry: &Value,
    book: &Book,
    script: &Script,
) -> Result<(), String> {
    for told in list(entry, "dialogs")? {
        let id = told["call_id"].as_str().ok_or("a dialog without its call_id")?;
        let of = |why: String| format!("dialog {id}: {why}");
        let dialog = book.dialogs.iter().position(|dialog| dialog.call_id == id);
        let mut place = dialog.map(|dialog| Place::of(book, script, dialog));
        if dialog.is_none() {
            let (packet, at) =
                book.steps.first().map(|step| (step.packet, step.at)).unwrap_or_default();
            let what = format!("dialog {id}");
            expected.absent.push(Absent { dialog, packet, at, what });
        }
        for step in list(told, "steps").map_err(of)? {
            known(step, &STEP).map_err(of)?;
            let notices = if step["expect"].is_null() {
                &[][..]
            } else {
                list(step, "expect").map_err(of)?
            };
            let is_msrp = !step["msrp_in"].is_null() || !step["msrp_out"].is_null();
            let (Some(dialog), Some(place)) = (dialog, &mut place) else { continue };
            if is_msrp && !script.has_msrp {
                continue;
            }
            let (packet, at, absent) = place.next(step);
            if let Some(what) = absent {
                expected.absent.push(Absent { dialog: Some(dialog), packet, at, what });
            }
            if let Some(what) = step["rest"].as_str().map(str::to_owned) {
                let status = step["http"].as_u64().and_then(|status| u16::try_from(status).ok());
                expected.calls.push(Wish { dialog, status, what: Some(what), packet, at });
            }
            for notice in notices {
                let mut fields = notice.as_object().cloned().unwrap_or_default();
                let name = fields.remove("notification");
                let name = name.as_ref().and_then(Value::as_str).map(str::to_owned);
                let name = name.ok_or("something expected that is no notification".to_owned());
                let name = name.map_err(of)?;
                let optional = fields.remove("optional").is_some_and(|it| it == json!(true));
                expected.notices.push(Notice { dialog, packet, at, name, fields, optional });
            }
        }
    }
    Ok(())
}

/// Gives the list in a field, which has to be one.
fn list<'a>(of: &'a Value, field: &str) -> Result<&'a [Value], String> {
    let list = of[field].as_array().map(Vec::as_slice);
    list.ok_or_else(|| format!("{field} is no list"))
}

/// Refuses a field that means nothing.
fn known(step: &Value, names: &[&str]) -> Result<(), String> {
    let fields = step.as_object().ok_or("a step that is no object")?;
    match fields.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(format!("a step with {name:?}, which means nothing")),
        None => Ok(()),
    }
}

const STEP: [&str; 8] =
    ["rest", "http", "sip_in", "sip_out", "msrp_in", "msrp_out", "expect", "note"];

/// Finds the messages of the trace that the steps of an expectation speak of.
struct Place<'a> {
    book: &'a Book,
    cues: Vec<&'a Cue>,
    at: usize,
}

impl<'a> Place<'a> {
    fn of(book: &'a Book, script: &'a Script, dialog: usize) -> Self {
        // A subscription or a report has a dialog of its own.
        let begins = book.dialogs[dialog].opened;
        let cues = script.cues.iter().filter(|cue| cue.at >= begins).collect();
        Self { book, cues, at: 0 }
    }

    /// Gives packet and time of what a step speaks of; where that is not found, of the last one,
    /// and what was looked for.
    fn next(&mut self, step: &Value) -> (u64, Moment, Option<String>) {
        let mut absent = None;
        for (field, ours, protocol) in [
            ("sip_in", true, Protocol::Sip),
            ("sip_out", false, Protocol::Sip),
            ("msrp_in", true, Protocol::Msrp),
            ("msrp_out", false, Protocol::Msrp),
        ] {
            let Some(text) = step[field].as_str() else { continue };
            let mut words = text.split([' ', ',']);
            let first = words.next().unwrap_or_default();
            let is_code = first.len() == 3 && first.bytes().all(|byte| byte.is_ascii_digit());
            let word = if protocol == Protocol::Msrp && !is_code { "SEND" } else { first };
            let kind = format!("{protocol} {word}");
            let found = self.cues[self.at..].iter().position(|cue| {
                cue.ours == ours && (cue.kind == kind || cue.kind.starts_with(&format!("{kind} ")))
            });
            match found {
                Some(found) => {
                    self.at += found + 1;
                    break;
                }
                None => absent = Some(format!("{field} {text}")),
            }
        }
        let cue = self.cues.get(self.at.saturating_sub(1)).or(self.cues.first());
        let (packet, at) = cue.map_or((0, Moment::default()), |cue| {
            let step = &self.book.steps[cue.step];
            (step.packet, step.at)
        });
        (packet, at, absent)
    }
}

/// Derives what must be told, by dialog: what becomes of invitations, messages and reports.
fn derive(book: &Book, script: &Script) -> Expected {
    let mut expected =
        Expected { source: "derived from the trace".to_owned(), ..Expected::default() };
    for cue in &script.cues {
        let (Some(dialog), step) = (cue.dialog, &book.steps[cue.step]) else { continue };
        if cue.cause.is_some() {
            let (packet, at) = (step.packet, step.at);
            expected.calls.push(Wish { dialog, status: None, what: None, packet, at });
        }
        let told = match &cue.said {
            Said::Sip(sip) if cue.ours => from_sip(book, script, cue, sip),
            Said::Sip(sip) if cue.kind == "SIP 200 (BYE)" || sip.method() == "BYE" => None,
            Said::Msrp(msrp) if cue.ours => from_msrp(script, msrp, &step.bytes),
            Said::Sip(_) | Said::Msrp(_) => None,
        };
        let dialog = reported_in(book, script, cue).unwrap_or(dialog);
        let is_group = dialog_is_group(book, &book.dialogs[dialog]);
        for (name, fields) in told.into_iter().flatten() {
            // In a group, reports of single participants are told only where that is configured.
            if is_group && name == "messageDeliveryStatusNotification" {
                continue;
            }
            expected.notices.push(Notice {
                dialog,
                packet: step.packet,
                at: step.at,
                name: name.to_owned(),
                fields: fields.as_object().cloned().unwrap_or_default(),
                optional: false,
            });
        }
    }
    expected
}

/// Finds the dialog of the message that a report of ours outside of a session is about.
fn reported_in(book: &Book, script: &Script, cue: &Cue) -> Option<usize> {
    if cue.kind != "SIP MESSAGE" || !cue.ours {
        return None;
    }
    let id = line_after(&book.steps[cue.step].bytes, b"<message-id>")?;
    let id = id.split('<').next()?.trim();
    let said = script.cues.iter().filter(|other| !other.ours);
    let mut about = said
        .filter(|other| imdn_id(&book.steps[other.step].bytes).is_some_and(|other| other == id));
    about.next()?.dialog
}

type Notices = Vec<(&'static str, Value)>;

fn from_sip(
    book: &Book,
    script: &Script,
    cue: &Cue,
    sip: &super::super::said::Sip,
) -> Option<Notices> {
    let dialog = &book.dialogs[cue.dialog?];
    let event = |name: &str| Some(vec![("chatEventNotification", json!({"eventType": name}))]);
    let step = &book.steps[cue.step];
    if step.about.is_none() {
        let is_group = dialog_is_group(book, dialog);
        return match sip.method() {
            "INVITE" if sip.to.tag.is_empty() => Some(vec![(
                if is_group {
                    "groupSessionInvitationNotification"
                } else {
                    "sessionInvitationNotification"
                },
                json!({}),
            )]),
            "CANCEL" => event("SessionCancelled"),
            "BYE" => event("SessionEnded"),
            "MESSAGE" => reported(&step.bytes),
            _ => None,
        };
    }
    let code: u16 = step.label.split(' ').next()?.parse().ok()?;
    match (sip.method(), code) {
        // Who leaves a group is told of his own participation, which may be taken up again.
        ("BYE", 200..) if dialog_is_group(book, dialog) => None,
        ("BYE", 200..) => event("SessionEnded"),
        ("INVITE", 200..) => {
            let cancelled = script.cues.iter().any(|other| {
                other.dialog == cue.dialog && other.at < cue.at && other.kind == "SIP CANCEL"
            });
            if dialog_is_group(book, dialog) {
                return None;
            }
            match sip_outcomes::final_response(code, cancelled).outcome {
                Outcome::Accepted => event("Accepted"),
                Outcome::Declined => event("Declined"),
                Outcome::Ended => event("SessionEnded"),
                Outcome::Cancelled => event("SessionCancelled"),
                Outcome::Progress
                | Outcome::Redirect
                | Outcome::Authenticate
                | Outcome::RetryOnce(_) => None,
            }
        }
        _ => None,
    }
}

fn dialog_is_group(book: &Book, dialog: &Dialog) -> bool {
    let found = |bytes: &[u8]| {
        memchr::memmem::find(bytes, b"isfocus").is_some()
            || memchr::memmem::find(bytes, b"<resource-lists").is_some()
    };
    book.steps.iter().any(|step| {
        let own = step.dialog.is_some_and(|index| std::ptr::eq(&book.dialogs[index], dialog));
        own && found(&step.bytes)
    })
}

fn from_msrp(script: &Script, msrp: &super::super::said::Msrp, bytes: &[u8]) -> Option<Notices> {
    let code: Option<u16> = msrp.line.short().split(' ').next().and_then(|it| it.parse().ok());
    if let Some(code) = code.filter(|code| *code != 200) {
        let about = script.cues.iter().find(|other| match &other.said {
            Said::Msrp(asked) => !other.ours && asked.transaction == msrp.transaction,
            Said::Sip(_) => false,
        });
        let is_text = matches!(about?.cause, Some(Cause::Say { .. }));
        let fields =
            json!({"eventType": "MessageFailure", "eventDescription": format!("MSRP {code}")});
        return is_text.then(|| vec![("chatEventNotification", fields)]);
    }
    if msrp.line.method() != Some("SEND") {
        return None;
    }
    let range = super::super::head::Head::read(bytes).field("Byte-Range")?.into_owned();
    if !range.starts_with("1-") {
        return None;
    }
    heard(bytes, &msrp.content_type)
}

/// Derives what a body of ours tells.
fn heard(bytes: &[u8], content_type: &str) -> Option<Notices> {
    let body = super::super::raw::Raw::read(bytes).body();
    let kind = content_type.to_ascii_lowercase();
    let inner = if kind.starts_with("message/cpim") {
        line_after(body, b"\nContent-Type:").or_else(|| line_after(body, b"\nContent-type:"))?
    } else {
        kind
    };
    let inner = inner.trim().to_ascii_lowercase();
    if inner.starts_with("text/plain") {
        return Some(vec![("messageNotification", json!({}))]);
    }
    if inner.starts_with("application/im-iscomposing+xml") {
        let state = line_after(body, b"<state>")?;
        let state = state.split('<').next().unwrap_or_default().to_owned();
        return Some(vec![("messageNotification", json!({"isComposing": {"state": state}}))]);
    }
    if inner.starts_with("message/imdn+xml") { reported(bytes) } else { None }
}

fn reported(bytes: &[u8]) -> Option<Notices> {
    let has = |words: &[u8]| memchr::memmem::find(bytes, words).is_some();
    let status = match (has(b"<delivered"), has(b"<displayed")) {
        (true, _) => "Delivered",
        (_, true) => "Displayed",
        (false, false) => return None,
    };
    Some(vec![("messageDeliveryStatusNotification", json!({"status": status}))])
}

impl Notice {
    /// Tells whether a notification is the one that is expected.
    pub(super) fn is(&self, told: &Told) -> bool {
        told.name == self.name && self.difference(told).is_none()
    }

    /// Gives the first field in which a notification differs, as expected and as told.
    pub(super) fn difference(&self, told: &Told) -> Option<(String, String)> {
        if told.name != self.name {
            return Some((self.name.clone(), told.name.clone()));
        }
        self.fields.iter().find_map(|(field, wanted)| {
            let (holds, found) = holds(field, wanted, &told.value);
            (!holds).then(|| (format!("{field}: {}", words(wanted)), format!("{field}: {found}")))
        })
    }

    /// Says what is expected, in a line.
    pub(super) fn line(&self) -> String {
        let fields: Vec<String> = self.fields.iter().map(field_line).collect();
        format!("{} {}", self.name, fields.join(", ")).trim_end().to_owned()
    }
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

/// How much of a text is shown, in characters.
const MAX_SHOWN: usize = 60;

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
            // The words of the expectation, in their order: a phrase or a cause may stand between.
            let found = text(&told[field]);
            let mut rest = found.as_str();
            let holds = text(wanted).trim_end_matches('*').split_whitespace().all(|word| {
                let at = rest.find(word);
                rest = at.map_or("", |at| &rest[at + word.len()..]);
                at.is_some()
            });
            (holds, found)
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

#[cfg(test)]
mod tests {
    use super::{MAX_SHOWN, shortened};

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let (all, more) = ("é".repeat(MAX_SHOWN), "é".repeat(MAX_SHOWN + 1));
        assert_eq!(shortened(&all), all);
        assert_eq!(shortened(&more), all + "…");
    }
}
