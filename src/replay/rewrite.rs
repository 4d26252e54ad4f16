//! Recorded messages made fit for this run: what it has learned is put in place of what was
//! recorded, on the raw bytes, and all other bytes stay as they were.
//!
//! A message is never taken apart and written anew, for its folding, its spacing and its mistakes
//! are what it was recorded for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;

use super::head::{address, parameter};

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
}

impl Names {
    /// Begins with what is known before anything was said: where we take SIP and MSRP, and where
    /// the bridge takes SIP. `run` draws our identifiers apart from those of another run.
    pub(super) fn new(
        run: String,
        (sip, msrp): (SocketAddr, SocketAddr),
        bridge: Option<SocketAddr>,
    ) -> Self {
        Self { run, sip: Some(sip), msrp: Some(msrp), bridge, ..Self::default() }
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
    edits.own_contact(&raw, names);
    edits.body(&raw, names);
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
    edits.own_contact(&raw, names);
    edits.body(&raw, names);
    edits.apply(recorded)
}

/// Makes an MSRP frame of ours: the transaction is that of the request it answers, where it does.
pub(super) fn frame(recorded: &[u8], asked: Option<&str>, names: &Names) -> Vec<u8> {
    let raw = Raw::read(recorded);
    let mut edits = Edits::default();
    let line = raw.of(&(0..raw.line)).into_owned();
    if let (Some(now), Some(was)) = (asked, line.split(' ').nth(1)) {
        edits.set(5..5 + was.len(), now.to_owned());
        let end = format!("-------{was}");
        if let Some(at) = memchr::memmem::rfind(recorded, end.as_bytes()) {
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
            edits.value(&raw, BYTE_RANGE, &range.replace(&was.to_string(), &is.to_string()));
        }
    }
    let grown = edits.body(&raw, names);
    if grown != 0
        && let Some(range) = raw.text(BYTE_RANGE)
    {
        edits.value(&raw, BYTE_RANGE, &grown_range(&range, grown));
    }
    edits.apply(recorded)
}

/// Gives the Request-URI of a request of ours.
fn target(recorded: &str, raw: &Raw<'_>, names: &Names) -> String {
    if let Some(contact) = names.contacts.get(recorded) {
        return contact.clone();
    }
    let Some(bridge) = names.bridge else { return recorded.to_owned() };
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
        Ok(number) => (number + grown).to_string(),
        Err(_) => number.to_owned(),
    };
    match range.split_once('-').and_then(|(start, rest)| Some((start, rest.split_once('/')?))) {
        Some((start, (end, total))) => format!("{start}-{}/{}", shift(end), shift(total)),
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

/// The places of a message's parts in its bytes.
pub(super) struct Raw<'a> {
    bytes: &'a [u8],
    /// Where the first line ends, its line break left out.
    line: usize,
    fields: Vec<Field>,
    body: Range<usize>,
}

/// The place of a field.
struct Field {
    name: String,
    /// With its line break.
    whole: Range<usize>,
    /// Without the white space around it.
    value: Range<usize>,
}

impl<'a> Raw<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let mut fields: Vec<Field> = Vec::new();
        let (line, mut at) = line_at(bytes, 0);
        let mut body = bytes.len();
        while at < bytes.len() {
            let (end, next) = line_at(bytes, at);
            if end == at {
                body = next;
                break;
            }
            let text = &bytes[at..end];
            match (fields.last_mut(), text.first()) {
                (Some(field), Some(b' ' | b'\t')) => {
                    (field.whole.end, field.value.end) = (next, end);
                }
                _ => {
                    let colon = memchr::memchr(b':', text).unwrap_or(text.len());
                    let name = String::from_utf8_lossy(&text[..colon]).trim_end().to_owned();
                    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
                    let value = text.get(colon + 1..).unwrap_or_default();
                    let begin = at
                        + (colon + 1).min(text.len())
                        + value.iter().take_while(|byte| blank(byte)).count();
                    fields.push(Field { name, whole: at..next, value: begin..end.max(begin) });
                }
            }
            at = next;
        }
        let end = if bytes.starts_with(b"MSRP ") { end_line(bytes, body) } else { bytes.len() };
        Self { bytes, line, fields, body: body.min(end)..end }
    }

    pub(super) fn body(&self) -> &'a [u8] {
        &self.bytes[self.body.clone()]
    }

    fn of(&self, range: &Range<usize>) -> Cow<'a, str> {
        String::from_utf8_lossy(&self.bytes[range.clone()])
    }

    fn named(&self, name: (&str, &str)) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |field| {
            field.name.eq_ignore_ascii_case(name.0) || field.name.eq_ignore_ascii_case(name.1)
        })
    }

    /// Gives the first value of a field, by its long and its compact name.
    pub(super) fn text(&self, name: (&str, &str)) -> Option<Cow<'a, str>> {
        self.named(name).next().map(|field| self.of(&field.value))
    }

    /// Gives all fields of a name as lines.
    fn lines_of(&self, name: (&str, &str), value: impl Fn(&str, bool) -> String) -> String {
        let fields = self.named(name).enumerate();
        fields
            .map(|(index, field)| {
                format!("{}: {}\r\n", name.0, value(&self.of(&field.value), index == 0))
            })
            .collect()
    }

    /// Gives the place of the Request-URI.
    fn uri(&self) -> Option<Range<usize>> {
        let line = &self.bytes[..self.line];
        let begin = memchr::memchr(b' ', line)? + 1;
        let end = memchr::memrchr(b' ', line)?;
        (begin < end).then_some(begin..end)
    }
}

/// Gives where the line ends that begins there, and where the next one begins.
fn line_at(bytes: &[u8], at: usize) -> (usize, usize) {
    match memchr::memchr(b'\n', &bytes[at..]) {
        Some(length) => {
            let end = at + length;
            let end_of_text = if end > at && bytes[end - 1] == b'\r' { end - 1 } else { end };
            (end_of_text, end + 1)
        }
        None => (bytes.len(), bytes.len()),
    }
}

/// Gives where the body of an MSRP frame ends.
fn end_line(bytes: &[u8], body: usize) -> usize {
    match memchr::memmem::rfind(&bytes[body.min(bytes.len())..], b"\r\n-------") {
        Some(at) => body + at,
        None => body.min(bytes.len()),
    }
}

/// Replacements in the bytes of a message.
#[derive(Default)]
struct Edits(Vec<(Range<usize>, Vec<u8>)>);

impl Edits {
    fn set(&mut self, range: Range<usize>, text: impl Into<Vec<u8>>) {
        self.0.push((range, text.into()));
    }

    /// Sets the first value of a field.
    fn value(&mut self, raw: &Raw<'_>, name: (&str, &str), text: &str) {
        if let Some(field) = raw.named(name).next()
            && raw.of(&field.value) != text
        {
            self.set(field.value.clone(), text);
        }
    }

    /// Sets some words within a range.
    fn within(&mut self, raw: &Raw<'_>, range: &Range<usize>, old: &str, new: &str) {
        if let Some(at) = memchr::memmem::rfind(&raw.bytes[range.clone()], old.as_bytes()) {
            let begin = range.start + at;
            self.set(begin..begin + old.len(), new);
        }
    }

    /// Puts lines in the place of all fields of a name; where there is none, below the first line.
    fn replace_all(&mut self, raw: &Raw<'_>, name: (&str, &str), lines: &str) {
        let mut lines = Some(lines);
        for field in raw.named(name) {
            self.set(field.whole.clone(), lines.take().unwrap_or_default());
        }
        if let Some(lines) = lines.filter(|lines| !lines.is_empty()) {
            let (_, below) = line_at(raw.bytes, 0);
            self.set(below..below, lines);
        }
    }

    /// Puts our address into our `Contact`.
    fn own_contact(&mut self, raw: &Raw<'_>, names: &Names) {
        let Some(own) = names.sip else { return };
        for field in raw.named(CONTACT) {
            let value = raw.of(&field.value).into_owned();
            let Some(scheme) = ["sip:", "sips:"].into_iter().find_map(|it| value.find(it)) else {
                continue;
            };
            let begin = scheme + value[scheme..].find(':').unwrap_or_default() + 1;
            let end =
                value[begin..].find(['>', ';', '?', ',']).map_or(value.len(), |at| begin + at);
            let host = value[begin..end].find('@').map_or(begin, |at| begin + at + 1);
            let start = field.value.start;
            self.set(start + host..start + end, own.to_string());
        }
    }

    /// Rewrites a body, and the lengths that depend on it; gives by how much it has grown.
    fn body(&mut self, raw: &Raw<'_>, names: &Names) -> i64 {
        let body = raw.body();
        let mut inner = described(body, names);
        inner.extend(reported(body, names));
        if inner.0.is_empty() {
            return 0;
        }
        inner.repair_lengths(body);
        let grown = inner.grown();
        for (range, text) in inner.0 {
            self.set(raw.body.start + range.start..raw.body.start + range.end, text);
        }
        if grown != 0
            && let Some(length) = raw.text(CONTENT_LENGTH)
            && let Ok(length) = length.trim().parse::<i64>()
        {
            self.value(raw, CONTENT_LENGTH, &(length + grown).to_string());
        }
        grown
    }

    fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    fn grown(&self) -> i64 {
        let length = |length: usize| i64::try_from(length).unwrap_or_default();
        self.0.iter().map(|(range, text)| length(text.len()) - length(range.len())).sum()
    }

    /// Sets the `Content-Length` of the part, of MIME or CPIM, that each edit lies in.
    fn repair_lengths(&mut self, body: &[u8]) {
        let mut by_line: BTreeMap<usize, i64> = BTreeMap::new();
        for (range, text) in &self.0 {
            let before = body[..range.start].to_ascii_lowercase();
            if let Some(at) = memchr::memmem::rfind(&before, b"content-length:") {
                let grown = text.len() as i64 - range.len() as i64;
                *by_line.entry(at + b"content-length:".len()).or_default() += grown;
            }
        }
        for (at, grown) in by_line.into_iter().filter(|(_, grown)| *grown != 0) {
            let (end, _) = line_at(body, at);
            let text = String::from_utf8_lossy(&body[at..end]).into_owned();
            if let Ok(length) = text.trim().parse::<i64>() {
                self.set(at..end, format!(" {}", length + grown));
            }
        }
    }

    fn apply(mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        let (mut out, mut at) = (Vec::with_capacity(bytes.len() + 256), 0);
        for (range, text) in self.0 {
            // Of two that overlap the first holds; a recording may say the same thing twice.
            if range.start < at {
                continue;
            }
            out.extend_from_slice(&bytes[at..range.start]);
            out.extend_from_slice(&text);
            at = range.end;
        }
        out.extend_from_slice(&bytes[at..]);
        out
    }
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
                let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
                words.get_mut(1).map(|port| *port = own.port().to_string());
                words.get_mut(2).map(|proto| *proto = "TCP/MSRP".to_owned());
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
