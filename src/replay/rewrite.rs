//! Recorded messages made fit for this run: what it has learned is put in place of what was
//! recorded, on the raw bytes, and all other bytes stay as they were.
//!
//! A message is never taken apart and written anew, for its folding, its spacing and its mistakes
//! are what it was recorded for.

mod credentials;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::head::{address, parameter};
use super::raw::{Edits, Raw, line_at};
use credentials::Pledges;

/// What this run has in place of what was recorded.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Draws identifiers of one run apart from those of another.
    pub(super) run: String,
    /// Where we take SIP and MSRP.
    pub(super) sip: Option<SocketAddr>,
    pub(super) msrp: Option<SocketAddr>,
    /// Where the bridge takes SIP.
    pub(super) bridge: Option<SocketAddr>,
    calls: BTreeMap<String, String>,
    /// The tags of the bridge, by recorded Call-ID and tag.
    tags: BTreeMap<(String, String), String>,
    /// The Contacts of the bridge.
    contacts: BTreeMap<String, String>,
    /// The MSRP paths of the bridge, by recorded session id.
    paths: BTreeMap<String, String>,
    /// Message ids of the bridge, of MSRP and of IMDN.
    ids: BTreeMap<String, String>,
    /// The sizes of messages of the bridge, by recorded Message-ID: recorded, and now.
    sizes: BTreeMap<String, (u64, u64)>,
    /// What the bridge has asked of us, and who we are to it.
    pub(super) pledges: Pledges,
}

impl Names {
    /// Begins with what is known before anything was said: where we take SIP and MSRP, and where
    /// the bridge takes SIP. `run` draws our identifiers apart from those of another run.
    pub(super) fn new(
        run: String,
        (sip, msrp): (SocketAddr, SocketAddr),
        bridge: Option<SocketAddr>,
    ) -> Self {
        let pledges = Pledges::new(run.clone());
        Self { run, sip: Some(sip), msrp: Some(msrp), bridge, pledges, ..Self::default() }
    }

    /// Gives the Call-ID that stands for a recorded one; one of ours is drawn now.
    pub(super) fn call(&mut self, recorded: &str) -> String {
        let Self { run, calls, .. } = self;
        calls.entry(recorded.to_owned()).or_insert_with(|| format!("{run}-{recorded}")).clone()
    }

    /// Gives the Call-ID that stands for a recorded one, if any does yet.
    pub(super) fn known_call(&self, recorded: &str) -> Option<&str> {
        self.calls.get(recorded).map(String::as_str)
    }

    /// Tells whether a Call-ID of this run stands for a recorded one.
    pub(super) fn is_call(&self, live: &str) -> bool {
        self.calls.values().any(|call| call == live)
    }

    /// Gives the branch of ours that stands for a recorded one.
    pub(super) fn branch(&self, recorded: &str) -> String {
        format!("{recorded}.{}", self.run)
    }

    /// Gives the path of the bridge that stands for a recorded one.
    pub(super) fn path(&self, recorded: &str) -> Option<&str> {
        self.paths.get(session_id(recorded)?).map(String::as_str)
    }

    /// Gives the session id of the bridge that stands for a recorded one.
    pub(super) fn session(&self, recorded: &str) -> Option<&str> {
        session_id(self.paths.get(recorded)?)
    }

    /// Gives the path of the bridge for the session id of a recorded one.
    pub(super) fn path_of(&self, session: &str) -> Option<&str> {
        self.paths.get(session).map(String::as_str)
    }

    /// Learns from a SIP message of the bridge what stands for the recorded one.
    pub(super) fn learn_sip(&mut self, recorded: &[u8], live: &[u8]) {
        let (recorded, live) = (Raw::read(recorded), Raw::read(live));
        let of = |raw: &Raw<'_>, field: (&str, &str)| raw.text(field).map(Cow::into_owned);
        let (Some(call), Some(now)) = (of(&recorded, CALL_ID), of(&live, CALL_ID)) else { return };
        self.calls.insert(call.clone(), now);
        for field in [FROM, TO] {
            let tag = |raw: &Raw<'_>| of(raw, field).and_then(|value| tag(&value));
            if let (Some(old), Some(new)) = (tag(&recorded), tag(&live)) {
                self.tags.insert((call.clone(), old), new);
            }
        }
        let contact = |raw: &Raw<'_>| of(raw, CONTACT).map(|value| address(&value).to_owned());
        if let (Some(old), Some(new)) = (contact(&recorded), contact(&live)) {
            self.contacts.insert(old, new);
        }
        if let (Some(old), Some(new)) = (path(recorded.body()), path(live.body()))
            && let Some(id) = session_id(&old)
        {
            self.paths.insert(id.to_owned(), new);
        }
        self.pledges.learn(&live);
        self.learn_imdn(recorded.body(), live.body());
    }

    /// Learns from an MSRP request of the bridge what stands for the recorded one.
    pub(super) fn learn_msrp(&mut self, recorded: &[u8], live: &[u8]) {
        let (recorded, live) = (Raw::read(recorded), Raw::read(live));
        let of = |raw: &Raw<'_>, name: &str| raw.text((name, name)).map(Cow::into_owned);
        if let (Some(old), Some(new)) = (of(&recorded, "Message-ID"), of(&live, "Message-ID")) {
            let total = |raw: &Raw<'_>| of(raw, "Byte-Range")?.split_once('/')?.1.parse().ok();
            if let (Some(was), Some(is)) = (total(&recorded), total(&live)) {
                self.sizes.insert(old.clone(), (was, is));
            }
            self.ids.insert(old, new);
        }
        self.learn_imdn(recorded.body(), live.body());
    }

    /// Learns what a message of the bridge is reported on by.
    pub(super) fn learn_imdn(&mut self, recorded: &[u8], live: &[u8]) {
        if let (Some(old), Some(new)) = (imdn_id(recorded), imdn_id(live)) {
            self.ids.insert(old, new);
        }
    }
}

/// Makes an answer of ours to a request of the bridge.
pub(super) fn answer(
    recorded: &[u8],
    request: &[u8],
    source: SocketAddr,
    names: &Names,
) -> Vec<u8> {
    let raw = Raw::read(recorded);
    let asked = Raw::read(request);
    let mut edits = Edits::default();
    edits.replace_all(
        &raw,
        VIA,
        &asked.lines_of(VIA, |value, first| match first {
            true => returned(value, source),
            false => value.to_owned(),
        }),
    );
    edits.replace_all(
        &raw,
        RECORD_ROUTE,
        &asked.lines_of(RECORD_ROUTE, |value, _| value.to_owned()),
    );
    for field in [FROM, CALL_ID, CSEQ] {
        if let Some(value) = asked.text(field) {
            edits.value(&raw, field, &value);
        }
    }
    if let Some(to) = asked.text(TO) {
        let own = raw.text(TO).and_then(|value| tag(&value));
        let value = match (tag(&to), own) {
            (None, Some(own)) => format!("{to};tag={own}"),
            (Some(_), _) | (None, None) => to.into_owned(),
        };
        edits.value(&raw, TO, &value);
    }
    own_contact(&mut edits, &raw, names);
    body(&mut edits, &raw, names);
    edits.apply(recorded)
}

/// Makes a request of ours.
pub(super) fn request(recorded: &[u8], names: &mut Names) -> Vec<u8> {
    let raw = Raw::read(recorded);
    let mut edits = Edits::default();
    let call = raw.text(CALL_ID).map(Cow::into_owned).unwrap_or_default();
    let live_call = names.call(&call);
    edits.value(&raw, CALL_ID, &live_call);
    if let Some(via) = raw.named(VIA).next() {
        // Ours is the only hop: what stood below was the way to the recorder.
        let value = raw.of(&via.value).into_owned();
        let value = value.split(',').next().unwrap_or_default();
        edits.set(via.value.clone(), own_via(value, names));
        for below in raw.named(VIA).skip(1) {
            edits.set(below.whole.clone(), String::new());
        }
    }
    for field in [FROM, TO] {
        if let Some(old) = raw.text(field).and_then(|value| tag(&value))
            && let Some(new) = names.tags.get(&(call.clone(), old.clone()))
            && let Some(found) = raw.named(field).next()
        {
            edits.within(&raw, &found.value, &format!("tag={old}"), &format!("tag={new}"));
        }
    }
    if let Some(uri) = raw.uri() {
        let old = raw.of(&uri).into_owned();
        edits.set(uri, target(&old, &raw, names));
    }
    edits.replace_all(&raw, ROUTE, "");
    own_contact(&mut edits, &raw, names);
    body(&mut edits, &raw, names);
    names.pledges.renew(edits.apply(recorded))
}

/// Makes an MSRP frame of ours: the transaction is that of the request it answers, where it does.
pub(super) fn frame(recorded: &[u8], asked: Option<&str>, names: &Names) -> Vec<u8> {
    let raw = Raw::read(recorded);
    let mut edits = Edits::default();
    let line = raw.of(&(0..raw.line_end())).into_owned();
    if let (Some(now), Some(was)) = (asked, transaction_of(&recorded[..raw.line_end()])) {
        edits.set(was.clone(), now.to_owned());
        let end = [b"-------", &recorded[was.clone()]].concat();
        if let Some(at) = memchr::memmem::rfind(recorded, &end) {
            edits.set(at + 7..at + 7 + was.len(), now.to_owned());
        }
    }
    for field in raw.named(("To-Path", "To-Path")).take(1) {
        let old = raw.of(&field.value);
        let last = old.split_ascii_whitespace().last().unwrap_or_default();
        if let Some(new) = names.path(last) {
            edits.set(field.value.clone(), new.to_owned());
        }
    }
    for field in raw.named(("From-Path", "From-Path")).take(1) {
        let old = raw.of(&field.value);
        let last = old.split_ascii_whitespace().last().unwrap_or_default();
        edits.set(field.value.clone(), own_path(last, names));
    }
    let is_report = line.ends_with(" REPORT");
    let message = raw.text(("Message-ID", "Message-ID")).map(Cow::into_owned);
    if let Some(id) = message.as_deref().filter(|_| is_report)
        && let Some(new) = names.ids.get(id)
    {
        edits.value(&raw, ("Message-ID", "Message-ID"), new);
        if let (Some((was, is)), Some(range)) = (names.sizes.get(id), raw.text(BYTE_RANGE)) {
            edits.value(&raw, BYTE_RANGE, &sized(&range, (*was, *is)));
        }
    }
    let grown = body(&mut edits, &raw, names);
    if grown != 0
        && let Some(range) = raw.text(BYTE_RANGE)
    {
        edits.value(&raw, BYTE_RANGE, &grown_range(&range, grown));
    }
    edits.apply(recorded)
}

/// Gives where the first line of a frame has its transaction.
fn transaction_of(line: &[u8]) -> Option<std::ops::Range<usize>> {
    let rest = line.strip_prefix(b"MSRP ")?;
    let length = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    Some(5..5 + length)
}

/// Gives the Request-URI of a request of ours.
fn target(recorded: &str, raw: &Raw<'_>, names: &Names) -> String {
    if let Some(contact) = names.contacts.get(recorded) {
        return contact.clone();
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
    let mut value = recorded.to_owned();
    if let (Some(own), Some((head, rest))) = (names.sip, recorded.trim().split_once(' ')) {
        let (_, parameters) = rest.split_once(';').unwrap_or((rest, ""));
        value = format!("{head} {own};{parameters}");
    }
    match parameter(recorded, "branch") {
        Some(branch) => {
            value.replace(&format!("branch={branch}"), &format!("branch={}", names.branch(branch)))
        }
        None => value,
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

/// Puts our address into an MSRP URI.
fn own_path(uri: &str, names: &Names) -> String {
    let Some(own) = names.msrp else { return uri.to_owned() };
    match uri.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('/')?))) {
        // We speak plain MSRP, whatever was recorded under TLS.
        Some((_, (_, id))) => format!("msrp://{own}/{id}"),
        None => uri.to_owned(),
    }
}

/// Shifts a `Byte-Range` by what the body has grown.
fn grown_range(range: &str, grown: i64) -> String {
    let shift = |number: &str| match number.parse::<i64>() {
        Ok(number) => number.saturating_add(grown).to_string(),
        Err(_) => number.to_owned(),
    };
    match range.split_once('-').and_then(|(start, rest)| Some((start, rest.split_once('/')?))) {
        Some((start, (end, total))) => format!("{start}-{}/{}", shift(end), shift(total)),
        None => range.to_owned(),
    }
}

/// Puts the size of a message of this run in the place of the recorded one.
fn sized(range: &str, (was, is): (u64, u64)) -> String {
    let size = |number: &str| match number.parse::<u64>() {
        Ok(number) if number == was => is.to_string(),
        Ok(_) | Err(_) => number.to_owned(),
    };
    match range.split_once('-').and_then(|(start, rest)| Some((start, rest.split_once('/')?))) {
        Some((start, (end, total))) => format!("{start}-{}/{}", size(end), size(total)),
        None => range.to_owned(),
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

/// Puts our address into our `Contact`.
fn own_contact(edits: &mut Edits, raw: &Raw<'_>, names: &Names) {
    let Some(own) = names.sip else { return };
    for field in raw.named(CONTACT) {
        // Only in a text are places of letters places of bytes.
        let Cow::Borrowed(value) = raw.of(&field.value) else { continue };
        let Some(scheme) = ["sip:", "sips:"].into_iter().find_map(|it| value.find(it)) else {
            continue;
        };
        let begin = scheme + value[scheme..].find(':').unwrap_or_default() + 1;
        let end = value[begin..].find(['>', ';', '?', ',']).map_or(value.len(), |at| begin + at);
        let host = value[begin..end].find('@').map_or(begin, |at| begin + at + 1);
        let start = field.value.start;
        edits.set(start + host..start + end, own.to_string());
    }
}

/// Rewrites a body, and the lengths that depend on it; gives by how much it has grown.
fn body(edits: &mut Edits, raw: &Raw<'_>, names: &Names) -> i64 {
    let body = raw.body();
    let mut inner = described(body, names);
    inner.extend(reported(body, names));
    if inner.is_empty() {
        return 0;
    }
    inner.repair_lengths(body);
    let grown = inner.grown();
    for (range, text) in inner.all() {
        edits.set(raw.body_range().start + range.start..raw.body_range().start + range.end, text);
    }
    if grown != 0
        && let Some(length) = raw.text(CONTENT_LENGTH)
        && let Ok(length) = length.trim().parse::<i64>()
    {
        edits.value(raw, CONTENT_LENGTH, &length.saturating_add(grown).to_string());
    }
    grown
}

/// Puts our addresses into a session description of ours.
fn described(body: &[u8], names: &Names) -> Edits {
    let mut edits = Edits::default();
    let Some(own) = names.msrp.filter(|_| path(body).is_some()) else { return edits };
    let mut at = 0;
    while at < body.len() {
        let (end, next) = line_at(body, at);
        let line = String::from_utf8_lossy(&body[at..end]).into_owned();
        let family = if own.is_ipv6() { "IP6" } else { "IP4" };
        let here = |words: &str| format!("{words} IN {family} {}", own.ip());
        let new = match line.get(..2) {
            Some("c=") => Some(format!("c=IN {family} {}", own.ip())),
            Some("o=") => {
                let words: Vec<&str> = line.split(' ').take(3).collect();
                (words.len() == 3).then(|| here(&words.join(" ")))
            }
            Some("m=") if line.contains("MSRP") => {
                let mut words: Vec<&str> = line.split(' ').collect();
                let port = own.port().to_string();
                if let [_, recorded, transport, ..] = words.as_mut_slice() {
                    (*recorded, *transport) = (&port, "TCP/MSRP");
                }
                Some(words.join(" "))
            }
            Some("a=") => line.strip_prefix("a=path:").map(|uris| {
                let last = uris.split_ascii_whitespace().last().unwrap_or_default();
                format!("a=path:{}", own_path(last, names))
            }),
            Some(_) | None => None,
        };
        if let Some(new) = new.filter(|new| *new != line) {
            edits.set(at..end, new);
        }
        at = next;
    }
    edits
}

/// Puts the message ids of the bridge into our reports (RFC 5438 section 7).
fn reported(body: &[u8], names: &Names) -> Edits {
    let mut edits = Edits::default();
    for at in memchr::memmem::find_iter(body, b"<message-id>").take(MAX_REPORTS) {
        let begin = at + b"<message-id>".len();
        let Some(length) = memchr::memchr(b'<', &body[begin..]) else { continue };
        let old = String::from_utf8_lossy(&body[begin..begin + length]);
        if let Some(new) = names.ids.get(old.trim()) {
            edits.set(begin..begin + length, new.clone());
        }
    }
    edits
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
/// Reports in one body.
const MAX_REPORTS: usize = 16;

#[cfg(test)]
mod tests;
