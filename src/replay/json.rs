//! The accounts of a trace as JSON, for programs.

use serde_json::{Value, json};

use super::book::{Book, Dialog, Session, Step};
use super::source::Trace;
use crate::trace::Summary;

pub(super) fn info(trace: &Trace) -> Value {
    let book = &trace.book;
    json!({
        "trace": trace.name,
        "summary": summary(&trace.summary),
        "sip": book.totals.sip,
        "msrp": book.totals.msrp,
        "rest": book.totals.rest,
        "retransmissions": book.totals.retransmissions,
        "dialogs": book.dialogs.iter().map(dialog).collect::<Vec<_>>(),
        "dialogsUntold": book.totals.dialogs_untold,
        "sessions": book.sessions.iter().map(session).collect::<Vec<_>>(),
        "warnings": trace.warnings,
    })
}

pub(super) fn steps(book: &Book) -> Value {
    book.steps.iter().map(step).collect()
}

fn summary(summary: &Summary) -> Value {
    json!({
        "format": summary.format.map(|format| format.to_string()),
        "compressed": summary.compressed,
        "linkType": summary.link,
        "packets": summary.packets,
        "bytes": summary.bytes,
        "first": summary.first.map(|at| at.to_string()),
        "last": summary.last.map(|at| at.to_string()),
        "encryptedConnections": summary.encrypted_streams,
        "encryptedPackets": summary.encrypted_packets,
    })
}

fn dialog(dialog: &Dialog) -> Value {
    json!({
        "method": dialog.method,
        "callId": dialog.call_id,
        "at": dialog.opened.to_string(),
        "packet": dialog.packet,
        "from": dialog.ends.0.to_string(),
        "to": dialog.ends.1.to_string(),
        "transport": dialog.transport.to_string(),
        "caller": dialog.caller,
        "callee": dialog.callee,
        "forks": dialog.forks(),
        "answer": dialog.answer.as_ref().map(|(code, phrase, at)| json!({
            "code": code, "phrase": phrase, "at": at.to_string(),
        })),
        "ended": dialog.ended.as_ref().map(|ended| json!({
            "method": ended.method,
            "byCaller": ended.by_caller,
            "reason": ended.reason,
            "at": ended.at.to_string(),
        })),
        "messages": dialog.messages,
        "retransmissions": dialog.retransmissions,
        "leg": dialog.leg.as_ref().map(|(name, value)| json!({"field": name, "value": value})),
    })
}

fn session(session: &Session) -> Value {
    json!({
        "ids": [session.ids.0, session.ids.1],
        "dialog": session.dialog.map(|index| index + 1),
        "at": session.opened.to_string(),
        "packet": session.packet,
        "from": session.ends.0.to_string(),
        "to": session.ends.1.to_string(),
        "frames": session.frames,
        "octets": session.octets,
    })
}

fn step(step: &Step) -> Value {
    json!({
        "at": step.at.to_string(),
        "packet": step.packet,
        "from": step.from.to_string(),
        "to": step.to.to_string(),
        "protocol": step.protocol.to_string(),
        "message": step.label,
        "answers": step.about,
        "about": step.note,
        "dialog": step.dialog.map(|index| index + 1),
        "repeats": step.repeats,
    })
}
