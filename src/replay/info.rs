//! `replay info`: what is in a trace, a paragraph for each dialog.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;

use super::book::{Dialog, Keep, Session};
use super::source::{Trace, hidden};
use super::{Exit, Form, Outcome, json, open, printable};

/// Tells what is in a trace; `-` is standard input.
#[must_use]
pub fn info(trace: &Path, form: Form) -> Outcome {
    let trace = match open(trace, Keep::Accounts, form) {
        Ok(trace) => trace,
        Err(failure) => return failure,
    };
    let text = match form {
        Form::Json => format!("{:#}\n", json::info(&trace)),
        Form::Text => {
            let mut text = String::new();
            // Writing to a `String` cannot fail.
            let _ = write_all(&mut text, &trace);
            printable(&text)
        }
    };
    Outcome { text, warnings: trace.warnings, exit: Exit::Good }
}

fn write_all(text: &mut String, trace: &Trace) -> fmt::Result {
    write_file(text, trace)?;
    let totals = &trace.book.totals;
    write!(text, "{} SIP", totals.sip)?;
    if totals.retransmissions > 0 {
        write!(text, " ({} of them again)", totals.retransmissions)?;
    }
    writeln!(text, ", {} MSRP, {} REST", totals.msrp, totals.rest)?;
    let mut sessions: BTreeMap<Option<usize>, Vec<&Session>> = BTreeMap::new();
    for session in &trace.book.sessions {
        sessions.entry(session.dialog).or_default().push(session);
    }
    let legs = legs(&trace.book.dialogs);
    for (index, dialog) in trace.book.dialogs.iter().enumerate() {
        writeln!(text)?;
        write_dialog(text, index, dialog)?;
        if let Some((field, others)) = legs.get(&index) {
            writeln!(text, "     same {field} as {others}")?;
        }
        for session in sessions.remove(&Some(index)).unwrap_or_default() {
            write_session(text, session)?;
        }
    }
    for session in sessions.remove(&None).unwrap_or_default() {
        writeln!(text, "\nof no dialog in this trace")?;
        write_session(text, session)?;
    }
    for (count, what) in
        [(totals.dialogs_untold, "dialogs"), (totals.sessions_untold, "MSRP frames")]
    {
        if count > 0 {
            writeln!(text, "\n{count} more {what}, counted only")?;
        }
    }
    Ok(())
}

fn write_file(text: &mut String, trace: &Trace) -> fmt::Result {
    let summary = &trace.summary;
    write!(text, "{}: ", trace.name)?;
    if let Some(format) = summary.format {
        write!(text, "{format}")?;
    }
    if let Some(link) = summary.link {
        write!(text, ", link type {link}")?;
    }
    let gzip = if summary.compressed { " under gzip" } else { "" };
    write!(text, "{gzip}, {} packets, {} bytes", summary.packets, summary.bytes)?;
    if let (Some(first), Some(last)) = (summary.first, summary.last) {
        write!(text, ", {:.3} s from {first}", last.since(first).as_secs_f64())?;
    }
    writeln!(text)?;
    hidden(summary).try_for_each(|line| writeln!(text, "{line}"))
}

fn write_dialog(text: &mut String, index: usize, dialog: &Dialog) -> fmt::Result {
    let Dialog { method, call_id, caller, callee, ends, transport, packet, .. } = dialog;
    writeln!(text, "{:>3}  {method} {caller} -> {callee}", index + 1)?;
    writeln!(text, "     Call-ID {call_id}")?;
    writeln!(text, "     {} -> {} over {transport}, from packet {packet}", ends.0, ends.1)?;
    write!(text, "     ")?;
    match &dialog.answer {
        Some((code, phrase, at)) => {
            let after = at.since(dialog.opened).as_secs_f64();
            write!(text, "{code} {phrase} after {after:.3} s")?;
        }
        None => write!(text, "no final answer")?,
    }
    if dialog.forks() > 1 {
        write!(text, ", {} forks", dialog.forks())?;
    }
    if let Some(ended) = &dialog.ended {
        let who = if ended.by_caller { "caller" } else { "callee" };
        let after = ended.at.since(dialog.opened).as_secs_f64();
        write!(text, ", {} of the {who} after {after:.3} s", ended.method)?;
        if let Some(reason) = &ended.reason {
            write!(text, " ({reason})")?;
        }
    }
    write!(text, "; {} messages", dialog.messages)?;
    if dialog.retransmissions > 0 {
        write!(text, ", {} of them again", dialog.retransmissions)?;
    }
    writeln!(text)
}

fn write_session(text: &mut String, session: &Session) -> fmt::Result {
    let ids = &session.ids;
    write!(text, "     MSRP {} -> {}, ", session.ends.0, session.ends.1)?;
    writeln!(text, "session {} and {}, from packet {}", ids.0, ids.1, session.packet)?;
    let frames: Vec<String> =
        session.frames.iter().rev().map(|(kind, count)| format!("{count} {kind}")).collect();
    writeln!(text, "     {}; {} octets of content", frames.join(", "), session.octets)
}

/// Finds the dialogs that share a field of legs, as (the field, the numbers of the others).
fn legs(dialogs: &[Dialog]) -> BTreeMap<usize, (&'static str, String)> {
    let mut by_leg: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, dialog) in dialogs.iter().enumerate() {
        if let Some(leg) = &dialog.leg {
            by_leg.entry(leg).or_default().push(index);
        }
    }
    let mut legs = BTreeMap::new();
    for ((field, _), indices) in by_leg.into_iter().filter(|(_, indices)| indices.len() > 1) {
        for index in &indices {
            let others = indices.iter().filter(|other| *other != index).take(MAX_LEGS);
            let others: Vec<String> = others.map(|other| (other + 1).to_string()).collect();
            legs.insert(*index, (*field, others.join(", ")));
        }
    }
    legs
}

/// A back-to-back agent has two, a fork or a conference some more.
const MAX_LEGS: usize = 8;
