//! Recorded messages made fit for this run: what it has learned is put in place of what was
//! recorded, on the raw bytes, and all other bytes stay as they were.
//!
//! A message is never taken apart and written anew, for its folding, its spacing and its mistakes
//! are what it was recorded for. `kinds` names what is rewritten and why, `names` holds what a run
//! has learned, `hosts` finds whom a peer would call, `routes` has the way of its dialogs and `credentials` what it was asked; `bodies` looks
//! below the heads and `parts` tells what is there, and `map` puts other numbers and domains into all of a recording.

mod bodies;
mod credentials;
mod hosts;
mod kinds;
mod map;
mod names;
mod parts;
mod routes;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::ops::Range;

use super::head::{address, parameter};
use super::raw::{Edits, Raw};
use bodies::{body, grown_range, own_path, sized};
use hosts::Place;
pub(super) use kinds::{Change, Rewritten};
pub use kinds::{Kept, Rewriting};
pub use map::Mapping;
pub(super) use map::Mappings;
use names::Count;
pub(super) use names::Names;

/// Makes an answer of ours to a request of the bridge.
pub(super) fn answer(
    recorded: &[u8],
    request: &[u8],
    source: SocketAddr,
    names: &Names,
) -> Rewritten {
    let raw = Raw::read(recorded);
    let asked = Raw::read(request);
    let mut edits = Edits::new(names.kept);
    let via = asked.lines_of(VIA, |value, first| match first {
        true => returned(value, source),
        false => value.to_owned(),
    });
    edits.replace_all(&raw, VIA, (&via, Rewriting::Via));
    let route = asked.lines_of(RECORD_ROUTE, |value, _| value.to_owned());
    edits.replace_all(&raw, RECORD_ROUTE, (&route, Rewriting::Route));
    for (field, what) in
        [(FROM, Rewriting::Tags), (CALL_ID, Rewriting::CallId), (CSEQ, Rewriting::Cseq)]
    {
        if let Some(value) = asked.text(field) {
            edits.value(&raw, field, (&value, what));
        }
    }
    if let Some(to) = asked.text(TO) {
        let own = raw.text(TO).and_then(|value| tag(&value));
        let value = match (tag(&to), own) {
            (None, Some(own)) => format!("{to};tag={own}"),
            (Some(_), _) | (None, None) => to.into_owned(),
        };
        edits.value(&raw, TO, (&value, Rewriting::Tags));
    }
    own_contact(&mut edits, &raw, names);
    conversations(&mut edits, &raw, names);
    body(&mut edits, &raw, names);
    edits.apply(&raw)
}

/// Makes a request of ours.
pub(super) fn request(recorded: &[u8], names: &mut Names) -> Rewritten {
    let raw = Raw::read(recorded);
    let mut edits = Edits::new(names.kept);
    let call = raw.text(CALL_ID).map(Cow::into_owned).unwrap_or_default();
    let live_call = names.call(&call);
    edits.value(&raw, CALL_ID, (&live_call, Rewriting::CallId));
    if let Some(via) = raw.named(VIA).next() {
        // Ours is the only hop: what stood below was the way to the recorder.
        let value = raw.of(&via.value);
        edits.set(via.value.clone(), own_via(&value, names), Rewriting::Via);
        for below in raw.named(VIA).skip(1) {
            edits.set(below.whole.clone(), "", Rewriting::Via);
        }
    }
    for field in [FROM, TO] {
        if let Some(old) = raw.text(field).and_then(|value| tag(&value))
            && let Some(new) = names.tag(&call, &old)
            && let Some(found) = raw.named(field).next()
        {
            let (old, new) = (format!("tag={old}"), format!("tag={new}"));
            edits.within(&raw, &found.value, (&old, &new), Rewriting::Tags);
        }
    }
    if let Some(uri) = raw.uri() {
        let old = raw.of(&uri).into_owned();
        edits.set(uri, target(&old, &raw, names), Rewriting::RequestUri);
    }
    counts(&mut edits, &raw, (&call, names));
    for field in [TO, ("Refer-To", "r")] {
        for (old, new) in names.focuses() {
            if let Some(found) = raw.named(field).next() {
                edits.within(&raw, &found.value, (old, new), Rewriting::Focus);
            }
        }
    }
    let is_in_dialog = raw.text(TO).is_some_and(|to| tag(&to).is_some());
    let route = if is_in_dialog { names.routes.lines(&call) } else { String::new() };
    edits.replace_all(&raw, ROUTE, (&route, Rewriting::Route));
    own_route(&mut edits, &raw, names);
    if !is_in_dialog {
        names.routes.note(&call, &raw);
    }
    own_contact(&mut edits, &raw, names);
    conversations(&mut edits, &raw, names);
    body(&mut edits, &raw, names);
    let mut ready = edits.apply(&raw);
    let renewed = names.pledges.renew(&ready.bytes, names.kept);
    ready.changes.extend(renewed.changes);
    Rewritten { bytes: renewed.bytes, changes: ready.changes }
}

/// Makes an MSRP frame of ours: the transaction is that of the request it answers, where it does.
pub(super) fn frame(recorded: &[u8], asked: Option<&str>, names: &Names) -> Rewritten {
    let raw = Raw::read(recorded);
    let mut edits = Edits::new(names.kept);
    let line = raw.of(&(0..raw.line_end())).into_owned();
    if let (Some(now), Some(was)) = (asked, transaction_of(&recorded[..raw.line_end()])) {
        edits.set(was.clone(), now, Rewriting::Transactions);
        let end = [b"-------", &recorded[was.clone()]].concat();
        if let Some(at) = memchr::memmem::rfind(recorded, &end) {
            edits.set(at + 7..at + 7 + was.len(), now, Rewriting::Transactions);
        }
    }
    for field in raw.named(("To-Path", "To-Path")).take(1) {
        let old = raw.of(&field.value);
        let last = old.split_ascii_whitespace().last().unwrap_or_default();
        if let Some(new) = names.path(last) {
            edits.set(field.value.clone(), new, Rewriting::Paths);
        }
    }
    for field in raw.named(("From-Path", "From-Path")).take(1) {
        let old = raw.of(&field.value);
        let last = old.split_ascii_whitespace().last().unwrap_or_default();
        edits.set(field.value.clone(), own_path(last, names), Rewriting::Paths);
    }
    let is_report = line.ends_with(" REPORT");
    let message = raw.text(MESSAGE_ID).map(Cow::into_owned);
    if let Some(id) = message.as_deref().filter(|_| is_report)
        && let Some(new) = names.id(id)
    {
        edits.value(&raw, MESSAGE_ID, (new, Rewriting::MessageIds));
        if let (Some(sizes), Some(range)) = (names.size(id), raw.text(BYTE_RANGE)) {
            edits.value(&raw, BYTE_RANGE, (&sized(&range, sizes), Rewriting::Lengths));
        }
    }
    let grown = body(&mut edits, &raw, names);
    if grown != 0
        && let Some(range) = raw.text(BYTE_RANGE)
    {
        edits.value(&raw, BYTE_RANGE, (&grown_range(&range, grown), Rewriting::Lengths));
    }
    edits.apply(&raw)
}

/// Gives where the first line of a frame has its transaction.
fn transaction_of(line: &[u8]) -> Option<Range<usize>> {
    let rest = line.strip_prefix(b"MSRP ")?;
    let length = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    Some(5..5 + length)
}

/// Gives the Request-URI of a request of ours.
fn target(recorded: &str, raw: &Raw<'_>, names: &Names) -> String {
    if let Some(contact) = names.contact(recorded) {
        return contact.to_owned();
    }
    let Some(bridge) = names.bridge else { return recorded.to_owned() };
    // Of a registration it names the registrar (RFC 3261 section 10.2).
    if raw.of(&(0..raw.line_end())).starts_with("REGISTER ") {
        return recorded.to_owned();
    }
    // A Contact that this run has not seen, such as that of a registration, names no user to
    // whoever did not write it: the one in To is meant.
    let scheme = recorded.split(':').next().unwrap_or_default();
    if scheme.eq_ignore_ascii_case("tel") || recorded.contains('@') {
        return recorded.to_owned();
    }
    let to = raw.text(TO).map(|value| address(&value).to_owned()).unwrap_or_default();
    let user = to.split_once(':').map_or(to.as_str(), |(_, rest)| rest);
    let user = user.split(['@', ';']).next().unwrap_or_default();
    format!("sip:{user}@{bridge}")
}

/// Gives a `Via` of ours in place of a recorded one.
fn own_via(recorded: &str, names: &Names) -> String {
    match names.sip {
        Some(own) => hosts::own_via(recorded, own, |branch| names.branch(branch)),
        None => recorded.to_owned(),
    }
}

/// Fills in what a server adds to the topmost `Via` (RFC 3581 section 4).
fn returned(via: &str, source: SocketAddr) -> String {
    let (top, rest) = via.split_once(',').map_or((via, None), |(top, rest)| (top, Some(rest)));
    let mut parts: Vec<String> = top.split(';').map(str::to_owned).collect();
    let mut asked = false;
    for part in &mut parts {
        if part.trim().eq_ignore_ascii_case("rport") {
            *part = format!("rport={}", source.port());
            asked = true;
        }
    }
    if asked {
        parts.push(format!("received={}", source.ip()));
    }
    match rest {
        Some(rest) => format!("{},{rest}", parts.join(";")),
        None => parts.join(";"),
    }
}

/// Puts our address into our `Contact`.
fn own_contact(edits: &mut Edits, raw: &Raw<'_>, names: &Names) {
    let Some(own) = names.sip else { return };
    for field in raw.named(CONTACT) {
        let places = hosts::in_addresses(raw.bytes(&field.value), own, &format!("<sip:{own}>"));
        here(edits, &field.value, (places, Rewriting::Contact));
    }
}

/// Puts our address on top of the route of a dialog that we begin (RFC 3261 section 12.1.1).
fn own_route(edits: &mut Edits, raw: &Raw<'_>, names: &Names) {
    let (Some(own), Some(hop)) = (names.sip, raw.named(RECORD_ROUTE).next()) else { return };
    let whole = format!("<sip:{own};lr>");
    let places = hosts::in_first_address(raw.bytes(&hop.value), own, &whole);
    here(edits, &hop.value, (places, Rewriting::Route));
}

fn here(edits: &mut Edits, value: &Range<usize>, (places, what): (Vec<Place>, Rewriting)) {
    for (range, text) in places {
        edits.set(value.start + range.start..value.start + range.end, text, what);
    }
}

/// Puts the numbers of the bridge into what names its requests (RFC 3515 section 2.4.6) and its
/// reliable answers (RFC 3262 section 7.2).
fn counts(edits: &mut Edits, raw: &Raw<'_>, (call, names): (&str, &Names)) {
    for field in raw.named(("RAck", "RAck")).take(1) {
        let value = raw.of(&field.value);
        let number = value.split_whitespace().next().unwrap_or_default();
        if let Some(new) = names.count(call, Count::ReliableAnswer, number) {
            let range = field.value.start..field.value.start + number.len();
            edits.set(range, new, Rewriting::Cseq);
        }
    }
    for field in raw.named(("Event", "o")).take(1) {
        let value = raw.of(&field.value);
        let id = parameter(&value, "id").unwrap_or_default();
        if let Some(new) = names.count(call, Count::Request, id) {
            let (old, new) = (format!("id={id}"), format!("id={new}"));
            edits.within(raw, &field.value, (&old, &new), Rewriting::Cseq);
        }
    }
}

/// Gives conversations the ids of this run, where that is wanted.
fn conversations(edits: &mut Edits, raw: &Raw<'_>, names: &Names) {
    for field in CONVERSATIONS {
        if let Some(new) = raw.text(field).and_then(|old| names.conversation(&old)) {
            edits.value(raw, field, (&new, Rewriting::FreshIds));
        }
    }
}

/// Gives the session id of an MSRP URI (RFC 4975 section 6).
pub(super) fn session_id(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let (_, id) = rest.split_once('/')?;
    Some(id.split(';').next().unwrap_or_default())
}

/// Gives the last URI of the first `a=path` in a body.
fn path(body: &[u8]) -> Option<String> {
    let line = line_after(body, b"a=path:")?;
    line.split_ascii_whitespace().last().map(str::to_owned)
}

/// Gives what an IMDN request is known by (RFC 5438 section 6.3).
pub(super) fn imdn_id(body: &[u8]) -> Option<String> {
    line_after(body, b"imdn.Message-ID:").map(|line| line.trim().to_owned())
}

/// Gives the rest of the line behind some words.
pub(super) fn line_after(body: &[u8], words: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(body, words)? + words.len();
    let rest = body.get(at..)?;
    let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

fn tag(value: &str) -> Option<String> {
    parameter(value, "tag").map(str::to_owned)
}

const VIA: (&str, &str) = ("Via", "v");
const FROM: (&str, &str) = ("From", "f");
const TO: (&str, &str) = ("To", "t");
const CALL_ID: (&str, &str) = ("Call-ID", "i");
const CSEQ: (&str, &str) = ("CSeq", "CSeq");
const CONTACT: (&str, &str) = ("Contact", "m");
const ROUTE: (&str, &str) = ("Route", "Route");
const RECORD_ROUTE: (&str, &str) = ("Record-Route", "Record-Route");
const CONTENT_LENGTH: (&str, &str) = ("Content-Length", "l");
const BYTE_RANGE: (&str, &str) = ("Byte-Range", "Byte-Range");
const MESSAGE_ID: (&str, &str) = ("Message-ID", "Message-ID");
/// By which sessions of one conversation know each other (OMA CPM Conversation Functions 5.1).
const CONVERSATIONS: [(&str, &str); 3] = [
    ("Conversation-ID", "Conversation-ID"),
    ("Contribution-ID", "Contribution-ID"),
    ("InReplyTo-Contribution-ID", "InReplyTo-Contribution-ID"),
];

#[cfg(test)]
mod tests;
