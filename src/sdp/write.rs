//! The writer of our offers and answers.

use bytes::Bytes;

use super::{Media, MessageMedia, Sdp};

/// Our side of an offer or answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// The session id of the `o=` line, constant for a session.
    pub session_id: u64,
    /// The version of the `o=` line, one more for every change.
    pub version: u64,
    /// The address of the `o=` line.
    pub host: String,
    /// Our MSRP line.
    pub media: MessageMedia,
}

/// Writes a description with our MSRP line alone: an offer, or the answer to such an offer.
#[must_use]
pub fn write(local: &Local) -> Bytes {
    let mut out = session(local);
    message(&mut out, &local.media);
    Bytes::from(out)
}

/// Writes the answer to an offer with any number of media lines.
///
/// An answer has a line for each line of the offer, in order (RFC 3264 section 6): ours stands
/// where the offer's usable MSRP line stood, all others are refused with port 0.
#[must_use]
pub fn write_answer(local: &Local, offer: &Sdp) -> Bytes {
    let chosen = offer.message_line().map(|(line, _)| line);
    let mut out = session(local);
    for line in &offer.media {
        if chosen.is_some_and(|chosen| std::ptr::eq(chosen, line)) {
            message(&mut out, &local.media);
        } else {
            refusal(&mut out, line);
        }
    }
    if chosen.is_none() {
        message(&mut out, &local.media);
    }
    Bytes::from(out)
}

fn session(local: &Local) -> String {
    let origin = local.host.as_str();
    let mut out = String::with_capacity(512);
    line(&mut out, "v=", &["0"]);
    let (id, version) = (local.session_id.to_string(), local.version.to_string());
    line(&mut out, "o=", &["-", &id, &version, "IN", address_type(origin), bare(origin)]);
    line(&mut out, "s=", &["-"]);
    let host = local.media.host.as_str();
    line(&mut out, "c=", &["IN", address_type(host), bare(host)]);
    line(&mut out, "t=", &["0", "0"]);
    out
}

fn message(out: &mut String, media: &MessageMedia) {
    line(out, "m=", &["message", &media.port.to_string(), media.proto.as_str(), "*"]);
    list(out, "a=accept-types:", &media.accept_types);
    list(out, "a=accept-wrapped-types:", &media.accept_wrapped_types);
    let hops: Vec<&str> = media.path.split(' ').filter(|hop| !hop.is_empty()).collect();
    list(out, "a=path:", &hops);
    if let Some(setup) = media.setup {
        line(out, "a=setup:", &[setup.as_str()]);
    }
    match media.chatroom.as_deref() {
        Some([]) => line(out, "a=chatroom", &[]),
        Some(tokens) => list(out, "a=chatroom:", tokens),
        None => {}
    }
    line(out, "a=", &[media.direction.as_str()]);
    if let Some(max_size) = media.max_size {
        line(out, "a=max-size:", &[&max_size.to_string()]);
    }
    if media.cema {
        line(out, "a=msrp-cema", &[]);
    }
    for fingerprint in &media.fingerprints {
        let text = fingerprint.to_string();
        let fields: Vec<&str> = text.split(' ').collect();
        line(out, "a=fingerprint:", &fields);
    }
}

fn refusal(out: &mut String, offered: &Media) {
    let mut fields = vec![offered.kind.as_str(), "0", offered.protocol.as_str()];
    fields.extend(offered.formats.iter().map(String::as_str));
    if offered.formats.is_empty() {
        fields.push("*");
    }
    line(out, "m=", &fields);
}

fn list<S: AsRef<str>>(out: &mut String, head: &str, values: &[S]) {
    if !values.is_empty() {
        let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
        line(out, head, &values);
    }
}

/// Writes one line; no value can break out of its field, let alone of its line.
fn line(out: &mut String, head: &str, fields: &[&str]) {
    out.push_str(head);
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.extend(field.chars().filter(|c| !c.is_control() && !c.is_whitespace()));
    }
    out.push_str("\r\n");
}

fn address_type(host: &str) -> &'static str {
    if host.contains(':') { "IP6" } else { "IP4" }
}

/// An IPv6 address stands without brackets in `o=` and `c=` (RFC 8866 section 9).
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}
