//! What is rewritten below the head of a message: descriptions, reports, and what counts octets.

use super::super::raw::{Edits, Raw, line_at};
use super::parts::{Kind, parts};
use super::{CONTENT_LENGTH, Names, Rewriting, hosts};

/// Rewrites a body, and the lengths that depend on it; gives by how much it has grown.
pub(super) fn body(edits: &mut Edits, raw: &Raw<'_>, names: &Names) -> i64 {
    let body = raw.body();
    let mut inner = Edits::new(names.kept);
    for part in parts(raw) {
        let (mut own, content) = (Edits::new(names.kept), &body[part.range.clone()]);
        if part.kind == Kind::Description {
            described(&mut own, content, names);
        }
        if part.kind != Kind::Text {
            reported(&mut own, content, names);
            focused(&mut own, content, names);
        }
        inner.take(own, part.range.start);
    }
    replace(edits, raw, inner)
}

/// Takes the edits of a body with the lengths that depend on them; gives by how much it has grown.
pub(super) fn replace(edits: &mut Edits, raw: &Raw<'_>, mut inner: Edits) -> i64 {
    if inner.is_empty() {
        return 0;
    }
    inner.repair_lengths(raw.body());
    let grown = inner.grown();
    edits.take(inner, raw.body_range().start);
    if grown != 0
        && let Some(length) = raw.text(CONTENT_LENGTH)
        && let Ok(length) = length.trim().parse::<i64>()
    {
        let length = length.saturating_add(grown).to_string();
        edits.value(raw, CONTENT_LENGTH, (&length, Rewriting::Lengths));
    }
    grown
}

/// Puts our addresses into a session description of ours: into what is said of the session and of
/// its MSRP, not of other media.
fn described(edits: &mut Edits, body: &[u8], names: &Names) {
    let has_path = |line: &[u8]| path_in(&String::from_utf8_lossy(line)).is_some();
    let is_described = || body.split(|byte| *byte == b'\n').any(has_path);
    let Some(own) = names.msrp.filter(|_| is_described()) else { return };
    let (mut at, mut section) = (0, Section::Session);
    while at < body.len() {
        let (end, next) = line_at(body, at);
        let line = String::from_utf8_lossy(&body[at..end]).into_owned();
        let family = if own.is_ipv6() { "IP6" } else { "IP4" };
        let here = |words: &str| format!("{words} IN {family} {}", own.ip());
        if line.starts_with("m=") {
            let is_msrp = line.to_ascii_uppercase().contains("MSRP");
            section = if is_msrp { Section::Msrp } else { Section::Other };
        }
        let new = match line.get(..2).filter(|_| section != Section::Other) {
            Some("c=") => Some(format!("c=IN {family} {}", own.ip())),
            Some("o=") if section == Section::Session => {
                let words: Vec<&str> = line.split(' ').take(3).collect();
                (words.len() == 3).then(|| here(&words.join(" ")))
            }
            Some("m=") => {
                let mut words: Vec<&str> = line.split(' ').collect();
                let port = own.port().to_string();
                if let [_, recorded, transport, ..] = words.as_mut_slice() {
                    // A port of 0 refuses the stream (RFC 3264 section 6).
                    if recorded.parse() != Ok(0_u32) {
                        *recorded = &port;
                    }
                    *transport = "TCP/MSRP";
                }
                Some(words.join(" "))
            }
            Some("a=") => path_in(&line).map(|(name, uris)| {
                let last = uris.split_ascii_whitespace().last().unwrap_or_default();
                format!("{name}:{}", own_path(last, names))
            }),
            Some(_) | None => None,
        };
        if let Some(new) = new.filter(|new| *new != line) {
            edits.set(at..end, new, Rewriting::Sdp);
        }
        at = next;
    }
}

/// The part of a description that a line stands in (RFC 8866 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Session,
    Msrp,
    Other,
}

/// Puts the addresses of groups that the bridge hosts into what names these.
fn focused(edits: &mut Edits, body: &[u8], names: &Names) {
    for (old, new) in names.focuses() {
        for at in memchr::memmem::find_iter(body, old.as_bytes()).take(MAX_REPORTS) {
            let end = at + old.len();
            // It may be the beginning of another one only.
            let goes_on =
                |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':');
            if !body.get(end).is_some_and(goes_on) {
                edits.set(at..end, new, Rewriting::Focus);
            }
        }
    }
}

/// Puts the message ids of the bridge into our reports (RFC 5438 section 7).
fn reported(edits: &mut Edits, body: &[u8], names: &Names) {
    for at in memchr::memmem::find_iter(body, b"<message-id>").take(MAX_REPORTS) {
        let begin = at + b"<message-id>".len();
        let Some(length) = memchr::memchr(b'<', &body[begin..]) else { continue };
        let old = String::from_utf8_lossy(&body[begin..begin + length]);
        if let Some(new) = names.id(old.trim()) {
            edits.set(begin..begin + length, new, Rewriting::MessageIds);
        }
    }
}

/// Cuts a line that names an MSRP path, however it is spelled, into its name and its URIs.
fn path_in(line: &str) -> Option<(&'static str, &str)> {
    let (name, uris) = line.split_once(':')?;
    let attribute = name.strip_prefix("a=")?.trim();
    attribute.eq_ignore_ascii_case("path").then_some(("a=path", uris))
}

/// Puts our address into an MSRP URI.
pub(super) fn own_path(uri: &str, names: &Names) -> String {
    names.msrp.map_or_else(|| uri.to_owned(), |own| hosts::own_msrp(uri, own))
}

/// Shifts a `Byte-Range` by what the body has grown.
pub(super) fn grown_range(range: &str, grown: i64) -> String {
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
pub(super) fn sized(range: &str, (was, is): (u64, u64)) -> String {
    let size = |number: &str| match number.parse::<u64>() {
        Ok(number) if number == was => is.to_string(),
        Ok(_) | Err(_) => number.to_owned(),
    };
    match range.split_once('-').and_then(|(start, rest)| Some((start, rest.split_once('/')?))) {
        Some((start, (end, total))) => format!("{start}-{}/{}", size(end), size(total)),
        None => range.to_owned(),
    }
}

/// Reports in one body.
const MAX_REPORTS: usize = 16;
