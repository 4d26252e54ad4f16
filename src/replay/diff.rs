//! `replay diff`: two traces side by side, dialog by dialog.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::aliases::Pair;
use super::book::{Book, Keep, Step};
use super::compare::{Level, difference, signature};
use super::source::Trace;
use super::{Exit, Form, Outcome, open, printable};
use crate::trace::Protocol;

/// Compares two traces; the first difference of each dialog is told.
#[must_use]
pub fn diff(left: &Path, right: &Path, level: Level, form: Form) -> Outcome {
    let is_input = |trace: &Path| trace == Path::new("-");
    if is_input(left) && is_input(right) {
        let why = "-: standard input can be one of both only".to_owned();
        return Outcome::failure(Exit::Usage, vec![why], form);
    }
    let keep = if level == Level::Flow { Keep::Lines } else { Keep::Messages };
    let (left, right) = match (open(left, keep, form), open(right, keep, form)) {
        (Ok(left), Ok(right)) => (left, right),
        (Err(failure), _) | (_, Err(failure)) => return failure,
    };
    for trace in [&left, &right] {
        let totals = &trace.book.totals;
        let untold = totals.steps_untold + totals.dialogs_untold + totals.sessions_untold;
        let is_kept = |step: &Step| keep == Keep::Lines || !step.bytes.is_empty();
        if untold > 0 || !trace.book.steps.iter().all(is_kept) {
            let why = format!("{}: it is too long to be compared", trace.name);
            return Outcome::failure(Exit::NoTrace, vec![why], form);
        }
    }
    let hidden = [left.hidden(), right.hidden()].concat();
    let differences = differences(&left.book, &right.book, level);
    let text = match form {
        Form::Text => printable(&text(&left, &right, &differences)),
        Form::Json => {
            let differences: Vec<Value> = differences.iter().map(Apart::json).collect();
            let same = differences.is_empty();
            let told = json!({"same": same, "hidden": hidden, "differences": differences});
            format!("{told:#}\n")
        }
    };
    let exit = if differences.is_empty() { Exit::Good } else { Exit::Differs };
    Outcome { text, warnings: [left.warnings, right.warnings, hidden].concat(), exit }
}

/// Where one dialog of two traces comes apart.
struct Apart {
    /// The number of the dialog, or 0 for what belongs to none.
    dialog: usize,
    left: Option<Side>,
    right: Option<Side>,
}

/// What one trace has there.
struct Side {
    packet: u64,
    at: String,
    message: String,
    /// The first line that differs, where the messages are of one kind.
    line: Option<String>,
}

impl Side {
    fn of(step: &Step, line: Option<String>) -> Self {
        Self { packet: step.packet, at: step.at.to_string(), message: signature(step), line }
    }

    fn words(&self) -> String {
        match &self.line {
            Some(line) => format!("{}: {line}", self.message),
            None => self.message.clone(),
        }
    }
}

impl Apart {
    fn json(&self) -> Value {
        let side = |side: &Option<Side>| {
            side.as_ref().map(|side| {
                json!({
                    "packet": side.packet, "at": side.at, "message": side.message,
                    "line": side.line,
                })
            })
        };
        json!({"dialog": self.dialog, "left": side(&self.left), "right": side(&self.right)})
    }
}

/// Sets the dialogs of both against each other in the order in which they began.
fn differences(left: &Book, right: &Book, level: Level) -> Vec<Apart> {
    let (left, right) = (flows(left), flows(right));
    let keys: std::collections::BTreeSet<&usize> = left.keys().chain(right.keys()).collect();
    let none = Vec::new();
    let of = |key: &usize| (left.get(key).unwrap_or(&none), right.get(key).unwrap_or(&none));
    let both = keys.iter().flat_map(|key| std::iter::zip(of(key).0, of(key).1));
    let pair = Pair::of(both.map(|(left, right)| (*left, *right)));
    keys.iter().filter_map(|key| apart(**key, of(key), level, &pair)).collect()
}

fn apart(
    dialog: usize,
    (left, right): (&Vec<&Step>, &Vec<&Step>),
    level: Level,
    pair: &Pair,
) -> Option<Apart> {
    let longest = left.len().max(right.len());
    (0..longest).find_map(|index| match (left.get(index), right.get(index)) {
        (Some(left), Some(right)) => {
            let found = difference((left, right), level, pair)?;
            let same_kind = signature(left) == signature(right);
            let line = |line: String| same_kind.then_some(line);
            Some(Apart {
                dialog,
                left: Some(Side::of(left, line(found.left))),
                right: Some(Side::of(right, line(found.right))),
            })
        }
        (left, right) => Some(Apart {
            dialog,
            left: left.map(|step| Side::of(step, None)),
            right: right.map(|step| Side::of(step, None)),
        }),
    })
}

/// Gives the steps of each dialog by its number, and under 0 those of none. A 100 says nothing
/// beyond its hop (RFC 3261 section 8.2.6.1) and is left out. SIP and MSRP of one dialog race each
/// other on two transports: each is set against its like.
fn flows(book: &Book) -> BTreeMap<usize, Vec<&Step>> {
    let mut flows: BTreeMap<usize, Vec<&Step>> = BTreeMap::new();
    let told = book
        .steps
        .iter()
        .filter(|step| step.protocol != Protocol::Sip || !step.label.starts_with("100"));
    for step in told {
        flows.entry(step.dialog.map_or(0, |index| index + 1)).or_default().push(step);
    }
    for steps in flows.values_mut() {
        steps.sort_by_key(|step| (step.protocol, step.at));
    }
    flows
}

// Writing to a `String` cannot fail, so what `write!` gives is not looked at below.

fn text(left: &Trace, right: &Trace, differences: &[Apart]) -> String {
    let mut text = String::new();
    if differences.is_empty() {
        let _ = writeln!(
            text,
            "{} and {} say the same: {} dialogs, {} SIP, {} MSRP, {} REST",
            left.name,
            right.name,
            left.book.dialogs.len(),
            left.book.totals.sip,
            left.book.totals.msrp,
            left.book.totals.rest,
        );
        return text;
    }
    for apart in differences {
        match apart.dialog {
            0 => text.push_str("outside of all dialogs, first difference:\n"),
            number => {
                let dialog =
                    left.book.dialogs.get(number - 1).or(right.book.dialogs.get(number - 1));
                let name = dialog.map_or(String::new(), |dialog| {
                    format!(" ({} {})", dialog.method, dialog.call_id)
                });
                let _ = writeln!(text, "dialog {number}{name}, first difference:");
            }
        }
        let words = |side: &Option<Side>| match side {
            Some(side) => (format!("packet {}, {}", side.packet, side.at), side.words()),
            None => ("nothing more".to_owned(), String::new()),
        };
        let ((left_at, left_words), (right_at, right_words)) =
            (words(&apart.left), words(&apart.right));
        let width = left_at.chars().count().max(left_words.chars().count()).max(left.name.len());
        for (left, right) in
            [(&left.name, &right.name), (&left_at, &right_at), (&left_words, &right_words)]
        {
            let _ = writeln!(text, "  {left:<width$} | {right}");
        }
    }
    let _ = writeln!(text, "{} dialogs differ", differences.len());
    text
}
