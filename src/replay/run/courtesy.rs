//! What a request gets for an answer that the trace has none for, so that the bridge goes on.

use bytes::Bytes;

use super::player::{Heard, Player, State, field};
use super::script::Said;

/// Says what a message is that the script does not wait for.
pub(super) fn state(heard: &Heard, has_msrp: bool) -> State {
    let quiet = match &heard.said {
        // An answer on the way, and what belongs to an answer of courtesy.
        Said::Sip(sip) => heard.kind.starts_with("SIP 1") || sip.method() == "ACK",
        // A trace of SIP alone says nothing about MSRP; the empty SEND only opens a connection
        // (RFC 4975 section 5.4).
        Said::Msrp(msrp) => {
            !has_msrp || msrp.line.method().is_none() || heard.kind.ends_with("(empty)")
        }
    };
    if quiet { State::Aside } else { State::Extra }
}

/// Makes the answer: as the trace answers the like of it, else by the method.
pub(super) fn answer(player: &Player<'_>, heard: &Heard) -> Option<Bytes> {
    match &heard.said {
        Said::Msrp(msrp) => {
            let wants = msrp.line.method() == Some("SEND")
                && field(&heard.bytes, ("Failure-Report", "Failure-Report"))
                    .is_none_or(|report| report.trim() != "no");
            wants.then(|| accepted(&heard.bytes, &msrp.transaction))
        }
        Said::Sip(sip) if sip.line_is_answer() || sip.method() == "ACK" => None,
        Said::Sip(sip) => {
            if let Some(answer) = player.answer_before(heard) {
                return Some(answer);
            }
            let line = match sip.method() {
                "OPTIONS" | "NOTIFY" | "BYE" | "CANCEL" | "PRACK" | "UPDATE" | "INFO"
                | "REGISTER" | "MESSAGE" => "200 OK",
                "SUBSCRIBE" if sip.to.tag.is_empty() => "489 Bad Event",
                "SUBSCRIBE" => "200 OK",
                _ => "501 Not Implemented",
            };
            let own = player.names.sip?;
            Some(reply(&heard.bytes, line, &format!("<sip:{own}>"), "", ""))
        }
    }
}

/// Writes an answer to a request.
pub(super) fn reply(request: &[u8], line: &str, contact: &str, more: &str, body: &str) -> Bytes {
    let mut text = format!("SIP/2.0 {line}\r\n");
    let head = super::super::head::Head::read(request);
    for (name, value) in head.fields() {
        let long = match name.to_ascii_lowercase().as_str() {
            "via" | "v" => "Via",
            "from" | "f" => "From",
            "to" | "t" => "To",
            "call-id" | "i" => "Call-ID",
            "cseq" => "CSeq",
            "record-route" => "Record-Route",
            "expires" => "Expires",
            _ => continue,
        };
        let tag = if long == "To" && !value.contains(";tag=") { ";tag=replay" } else { "" };
        text.push_str(&format!("{long}: {value}{tag}\r\n"));
    }
    text.push_str(&format!("Contact: {contact}\r\n{more}"));
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    text.into()
}

/// Writes the 200 to an MSRP request (RFC 4975 section 7.2).
pub(super) fn accepted(request: &[u8], transaction: &str) -> Bytes {
    let path = |name: &str| field(request, (name, name)).unwrap_or_default();
    let back = path("From-Path");
    let to = back.split_ascii_whitespace().next().unwrap_or_default();
    let own = path("To-Path");
    let from = own.split_ascii_whitespace().last().unwrap_or_default();
    format!(
        "MSRP {transaction} 200 OK\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n-------{transaction}$\r\n"
    )
    .into()
}
