//! When two messages are the same: by what they are, by some fields, by body, by everything.

use clap::ValueEnum;

use super::aliases::{Aliases, Pair};
use super::book::Step;
use super::mask;

/// How closely messages are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// Methods and codes in their order within each dialog.
    Flow,
    /// And the fields that say what a message means, with who and what a new request is for.
    Headers,
    /// And bodies, without what is drawn anew.
    Body,
    /// And first lines and all fields, without what is drawn anew.
    Strict,
}

/// Where two messages differ, in words for either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) left: String,
    pub(super) right: String,
}

/// Gives the first difference between two messages at a level, if there is one.
pub(super) fn difference(
    (left, right): (&Step, &Step),
    level: Level,
    pair: &Pair,
) -> Option<Difference> {
    if signature(left) != signature(right) {
        return Some(Difference { left: signature(left), right: signature(right) });
    }
    if level == Level::Flow {
        return None;
    }
    let fields = if level == Level::Strict { mask::all_fields } else { mask::named_fields };
    let of = |step: &Step, aliases: &Aliases| {
        let fields = fields(&step.bytes, aliases).into_iter();
        let mut lines: Vec<String> =
            fields.map(|(name, value)| format!("{name}: {value}")).collect();
        if level < Level::Strict {
            // The order of fields of different names means nothing (RFC 3261 section 7.3.1).
            lines.sort_by(|left, right| name_of(left).cmp(name_of(right)));
        }
        let first = if level == Level::Strict { mask::first_line } else { mask::asked_of };
        lines.splice(..0, first(&step.bytes, aliases));
        if level >= Level::Body {
            lines.extend(mask::body_lines(&step.bytes, aliases));
        }
        lines
    };
    let (mut of_left, of_right) = (of(left, &pair.left), of(right, &pair.right));
    if pair.may_stay() {
        let own = Aliases::of_own_contacts();
        let as_they_are = std::iter::zip(of(left, &own), of(right, &own));
        for (index, (left, right)) in as_they_are.enumerate() {
            if left == right
                && let (Some(left), Some(right)) = (of_left.get_mut(index), of_right.get(index))
            {
                left.clone_from(right);
            }
        }
    }
    first_difference(&of_left, &of_right)
}

fn name_of(line: &str) -> &str {
    line.split(':').next().unwrap_or_default()
}

/// Says what a message is: its direction, and its method or code.
pub(super) fn signature(step: &Step) -> String {
    let arrow = if step.forward { "->" } else { "<-" };
    // Of an answer the method that it answers counts, and not its phrase.
    let kind = match step.label.split_once(' ') {
        Some((code, _)) if code.starts_with(|c: char| c.is_ascii_digit()) => code,
        Some(_) | None => &step.label,
    };
    match &step.about {
        Some(method) => format!("{arrow} {} {kind} ({method})", step.protocol),
        None => format!("{arrow} {} {kind}", step.protocol),
    }
}

fn first_difference(left: &[String], right: &[String]) -> Option<Difference> {
    let longest = left.len().max(right.len());
    let nothing = String::new();
    (0..longest).find_map(|index| {
        let (left, right) =
            (left.get(index).unwrap_or(&nothing), right.get(index).unwrap_or(&nothing));
        (left != right).then(|| Difference { left: left.clone(), right: right.clone() })
    })
}
