//! Other numbers and domains in all of a recording, so that it can be played for other users: in
//! URIs, wherever these stand, and nowhere else.

use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;

use serde_json::Value;

use super::super::book::Book;
use super::super::head::Head;
use super::super::raw::{Edits, Raw};
use super::super::said::Msrp;
use super::bodies::replace;
use super::{BYTE_RANGE, CALL_ID, Change, Kept, MESSAGE_ID, Rewriting, Rewritten};
use crate::trace::Protocol;

/// A number or a domain, and what stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    from: String,
    to: String,
}

impl FromStr for Mapping {
    type Err = &'static str;

    /// Reads `FROM=TO`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once('=').ok_or("FROM=TO is wanted")?;
        let is_name = |text: &str| {
            let is_part = |c: char| {
                c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_' | '(' | ')')
            };
            text.contains(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_part)
        };
        match is_name(from) && is_name(to) {
            true => Ok(Self { from: bare(from), to: to.to_owned() }),
            false => Err("a number, a name or a domain is wanted on both sides of ="),
        }
    }
}

/// Numbers and domains, each with what stands for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Mappings {
    to_by_from: BTreeMap<String, String>,
}

impl Mappings {
    pub(in super::super) fn of(mappings: &[Mapping]) -> Self {
        let pairs = mappings.iter().map(|mapping| (mapping.from.clone(), mapping.to.clone()));
        Self { to_by_from: pairs.collect() }
    }

    /// Puts the map into all of a recording; gives what became of each of its steps.
    pub(in super::super) fn translate(&self, book: &mut Book) -> BTreeMap<usize, Vec<Change>> {
        let mut changes = BTreeMap::new();
        if self.to_by_from.is_empty() {
            return changes;
        }
        for dialog in &mut book.dialogs {
            dialog.caller = self.text(&dialog.caller);
            dialog.callee = self.text(&dialog.callee);
        }
        let mut messages: BTreeMap<(String, String), Message> = BTreeMap::new();
        for (index, step) in book.steps.iter_mut().enumerate() {
            if step.protocol == Protocol::Http {
                continue;
            }
            let (mapped, grown) = self.message(&step.bytes);
            if let Some((key, begin)) = part_of(&step.bytes, step.protocol) {
                messages.entry(key).or_default().parts.push((begin, grown));
            }
            if !mapped.changes.is_empty() {
                step.bytes = mapped.bytes.into();
                changes.insert(index, mapped.changes);
            }
        }
        for (index, step) in book.steps.iter_mut().enumerate() {
            let Some((key, is_report)) = counted(&step.bytes, step.protocol) else { continue };
            let Some(message) = messages.get(&key).filter(|message| message.has_grown()) else {
                continue;
            };
            let raw = Raw::read(&step.bytes);
            let Some(range) = raw.text(BYTE_RANGE) else { continue };
            let mut edits = Edits::new(Kept::default());
            let range = message.range(&range, is_report);
            edits.value(&raw, BYTE_RANGE, (&range, Rewriting::Lengths));
            let counted = edits.apply(&raw);
            step.bytes = counted.bytes.into();
            changes.entry(index).or_default().extend(counted.changes);
        }
        changes
    }

    /// Puts the map into an address, or into the URIs of a text.
    pub(in super::super) fn text(&self, text: &str) -> String {
        if let Some(to) = self.to_by_from.get(&bare(text)) {
            return to.clone();
        }
        let mut edits = Vec::new();
        self.replacements(text.as_bytes(), |range, to| edits.push((range, to)));
        let mut mapped = text.to_owned();
        for (range, to) in edits.into_iter().rev() {
            mapped.replace_range(range, to);
        }
        mapped
    }

    /// Puts the map into all texts of a document.
    pub(in super::super) fn document(&self, document: &mut Value) {
        match document {
            Value::String(text) => *text = self.text(text),
            Value::Array(all) => all.iter_mut().for_each(|value| self.document(value)),
            Value::Object(all) => all.values_mut().for_each(|value| self.document(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Puts the map into a message; gives by how much its body has grown, too.
    fn message(&self, bytes: &[u8]) -> (Rewritten, i64) {
        let raw = Raw::read(bytes);
        let mut edits = Edits::new(Kept::default());
        let body = raw.body_range();
        // An identifier may look like a URI, and is none.
        let opaque: Vec<Range<usize>> = [CALL_ID, MESSAGE_ID]
            .into_iter()
            .flat_map(|name| raw.named(name).map(|field| field.value.clone()))
            .collect();
        self.replacements(&bytes[..body.start], |range, to| {
            if !opaque.iter().any(|opaque| opaque.contains(&range.start)) {
                edits.set(range, to, Rewriting::Map);
            }
        });
        let mut inner = Edits::new(Kept::default());
        self.replacements(raw.body(), |range, to| inner.set(range, to, Rewriting::Map));
        let grown = replace(&mut edits, &raw, inner);
        (edits.apply(&raw), grown)
    }

    /// Finds what is to be replaced, from the first to the last.
    fn replacements<'m>(&'m self, bytes: &[u8], mut replace: impl FnMut(Range<usize>, &'m str)) {
        let mut at = 0;
        while let Some(found) = memchr::memchr(b':', &bytes[at..]) {
            let colon = at + found;
            at = colon + 1;
            if !is_scheme(&bytes[..colon]) {
                continue;
            }
            let rest = &bytes[at..];
            let length = rest.iter().position(|byte| ends_uri(*byte)).unwrap_or(rest.len());
            for name in names_in(&rest[..length.min(MAX_URI)]) {
                let range = at + name.start..at + name.end;
                let name = String::from_utf8_lossy(&bytes[range.clone()]);
                if let Some(to) = self.to_by_from.get(&bare(&name)) {
                    replace(range, to);
                }
            }
            at += length;
        }
    }
}

/// A message of several chunks, each with where it begins and by how much it has grown.
#[derive(Debug, Default)]
struct Message {
    parts: Vec<(u64, i64)>,
}

impl Message {
    fn has_grown(&self) -> bool {
        self.parts.iter().any(|(_, grown)| *grown != 0)
    }

    /// Shifts a `Byte-Range` by what stands before its ends.
    fn range(&self, range: &str, is_report: bool) -> String {
        let parsed = range.split_once('-').and_then(|(start, rest)| {
            let (end, total) = rest.split_once('/')?;
            Some((start, end, total))
        });
        let Some((start, end, total)) = parsed else { return range.to_owned() };
        let first = start.trim().parse::<u64>().unwrap_or(1);
        let grown = |until: &dyn Fn(u64) -> bool| -> i64 {
            let parts = self.parts.iter().filter(|(begin, _)| until(*begin));
            parts.fold(0, |sum, (_, grown)| sum.saturating_add(*grown))
        };
        let shift = |number: &str, grown: i64| match number.trim().parse::<u64>() {
            Ok(number) => number.saturating_add_signed(grown).to_string(),
            Err(_) => number.to_owned(),
        };
        let last = end.trim().parse::<u64>().unwrap_or(first);
        let before = grown(&|begin| begin < first);
        let within = match is_report {
            true => grown(&|begin| begin <= last),
            false => grown(&|begin| begin <= first),
        };
        let all = grown(&|_| true);
        format!("{}-{}/{}", shift(start, before), shift(end, within), shift(total, all))
    }
}

/// Gives the message that a frame is a chunk of, and where that begins.
fn part_of(bytes: &[u8], protocol: Protocol) -> Option<((String, String), u64)> {
    let (key, is_report) = counted(bytes, protocol)?;
    let head = Head::read(bytes);
    let range = head.field("Byte-Range")?;
    let begin = range.split('-').next()?.trim().parse().ok()?;
    (!is_report).then_some((key, begin))
}

/// Gives the message whose octets a frame counts, by its sender's session and its id, and whether
/// the frame reports on it.
fn counted(bytes: &[u8], protocol: Protocol) -> Option<((String, String), bool)> {
    if protocol != Protocol::Msrp {
        return None;
    }
    let msrp = Msrp::read(&Head::read(bytes));
    match msrp.line.method()? {
        "SEND" => Some(((msrp.from, msrp.message_id), false)),
        "REPORT" => Some(((msrp.to, msrp.message_id), true)),
        _ => None,
    }
}

/// Tells whether a colon behind these bytes begins a URI that names somebody.
fn is_scheme(before: &[u8]) -> bool {
    SCHEMES.iter().any(|scheme| {
        let Some(begin) = before.len().checked_sub(scheme.len()) else { return false };
        let (rest, found) = before.split_at(begin);
        found.eq_ignore_ascii_case(scheme)
            && rest.last().is_none_or(|byte| !byte.is_ascii_alphanumeric())
    })
}

fn ends_uri(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'<' | b'>' | b'"' | b'\'' | b',') || byte == 0
}

/// Finds the user, the host and the context of a number in a URI without its scheme.
fn names_in(uri: &[u8]) -> Vec<Range<usize>> {
    let end_of = |from: usize| {
        let ends = |byte: &u8| matches!(byte, b':' | b';' | b'?' | b'@' | b'&');
        from + uri[from..].iter().position(ends).unwrap_or(uri.len() - from)
    };
    let user = 0..end_of(0);
    let mut names = vec![user];
    // What stands behind a question mark is no host.
    let head = memchr::memchr(b'?', uri).unwrap_or(uri.len());
    if let Some(at) = memchr::memchr(b'@', &uri[..head]) {
        names.push(at + 1..end_of(at + 1));
    }
    let context = b"phone-context=";
    let found = uri.windows(context.len()).position(|it| it.eq_ignore_ascii_case(context));
    if let Some(at) = found.map(|at| at + context.len()) {
        names.push(at..end_of(at));
    }
    names.retain(|name| !name.is_empty());
    names.sort_by_key(|name| name.start);
    names.dedup();
    names
}

/// Gives a number without what only helps to read it (RFC 3966 section 5.1.1); what is no number is
/// given in lower case.
fn bare(name: &str) -> String {
    let separates = |c: char| matches!(c, '-' | '.' | '(' | ')');
    let is_number = name.starts_with(|c: char| c == '+' || c == '(' || c.is_ascii_digit())
        && name.chars().skip(1).all(|c| c.is_ascii_digit() || separates(c))
        && name.parse::<std::net::IpAddr>().is_err();
    match is_number {
        true => name.chars().filter(|c| !separates(*c)).collect(),
        false => name.to_ascii_lowercase(),
    }
}

const SCHEMES: [&[u8]; 5] = [b"sip", b"sips", b"tel", b"im", b"pres"];
const MAX_URI: usize = 1024;

#[cfg(test)]
mod tests {
    use super::super::super::book::Keep;
    use super::super::super::source::read_from;
    use super::*;

    fn mappings(all: &[&str]) -> Mappings {
        let all: Vec<Mapping> = all.iter().map(|it| it.parse().expect("a mapping")).collect();
        Mappings::of(&all)
    }

    #[test]
    fn numbers_and_domains_are_put_into_uris_and_nowhere_else() {
        let map = mappings(&["+15550100=+4930123456", "ims.example=lab.test", "bob=robert"]);
        let invite = "INVITE sip:bob@IMS.example;user=phone SIP/2.0\r\nv:  SIP/2.0/UDP ims.example;branch=z\r\n\
            From: \"+15550100\" <sip:+15550100@ims.example:5060;ims.example>;tag=+15550100\r\n\
            t: <tel:+1-(555)-0100;phone-context=ims.example>\r\nCall-ID: sip:bob@ims.example\r\n\
            P-Preferred-Identity: <sip:1@not.ims.example>, <sips:1@ims.example?x=sip:bob>\r\n\
            Organization: ims.example bob tel: xsip:bob@ims.example\r\nContent-Length: 54\r\n\r\n\
            <entry uri=\"sip:bob@ims.example\"/> bob@ims.example 'im:bob";
        let (mapped, grown) = map.message(invite.as_bytes());
        assert_eq!(
            String::from_utf8(mapped.bytes).expect("text"),
            "INVITE sip:robert@lab.test;user=phone SIP/2.0\r\nv:  SIP/2.0/UDP ims.example;branch=z\r\n\
             From: \"+15550100\" <sip:+4930123456@lab.test:5060;ims.example>;tag=+15550100\r\n\
             t: <tel:+4930123456;phone-context=lab.test>\r\nCall-ID: sip:bob@ims.example\r\n\
             P-Preferred-Identity: <sip:1@not.ims.example>, <sips:1@lab.test?x=sip:bob>\r\n\
             Organization: ims.example bob tel: xsip:bob@ims.example\r\nContent-Length: 57\r\n\r\n\
             <entry uri=\"sip:robert@lab.test\"/> bob@ims.example 'im:robert"
        );
        assert_eq!(grown, 3);
        assert_eq!(map.text("tel:+15550100"), "tel:+4930123456");
        assert_eq!(
            (map.text("+15550100"), map.text("Bob")),
            ("+4930123456".into(), "robert".into())
        );
        assert_eq!(map.text("call bob"), "call bob");
        let mut document = serde_json::json!({"bob": ["sip:bob@x", 1, null]});
        map.document(&mut document);
        assert_eq!(document, serde_json::json!({"bob": ["sip:robert@x", 1, null]}));
    }

    #[test]
    fn what_is_no_mapping_is_refused_and_two_may_change_places() {
        for wrong in ["", "a", "=a", "a=", "a b=c", "a@b=c", "a=b=c", "+=1", "a=\r\n"] {
            assert!(wrong.parse::<Mapping>().is_err(), "{wrong:?}");
        }
        let map = mappings(&["+1-1=+22", "+22=+11"]);
        assert_eq!(map.text("<tel:+11>, <tel:+22>"), "<tel:+22>, <tel:+11>");
    }

    #[test]
    fn octets_are_counted_through_all_chunks_and_reports() {
        let frame =
            |id: &str, kind: &str, ends: (&str, &str), range: &str, body: &str, flag: char| {
                format!(
                    "2026/01/15 10:00:00 192.0.2.1:1 -> 192.0.2.2:2\nMSRP {id} {kind}\r\n\
                 To-Path: msrp://h:1/{};tcp\r\nFrom-Path: msrp://h:2/{};tcp\r\nMessage-ID: m\r\n\
                 Byte-Range: {range}\r\n{body}-------{id}{flag}\r\n\n",
                    ends.0, ends.1
                )
            };
        let content = |text: &str| format!("Content-Type: message/cpim\r\n\r\n{text}\r\n");
        let log = [
            frame("t1", "SEND", ("b", "a"), "1-10/25", &content("<sip:bob@x"), '+'),
            frame("t2", "SEND", ("b", "a"), "11-20/25", &content(" and <im:b"), '+'),
            frame("t3", "SEND", ("b", "a"), "21-25/25", &content("12345"), '$'),
            frame("t4", "REPORT", ("a", "b"), "1-10/25", "", '$'),
            frame("t5", "REPORT", ("a", "b"), "1-25/25", "", '$'),
            frame("t6", "SEND", ("b", "c"), "1-*/25", &content("other"), '$'),
        ]
        .concat();
        let trace = read_from("test".to_owned(), &mut log.as_bytes(), Keep::Messages);
        let mut book = trace.unwrap_or_else(|error| panic!("{error}")).book;
        let changes = mappings(&["bob=robert"]).translate(&mut book);
        let ranges: Vec<String> = book
            .steps
            .iter()
            .map(|step| Raw::read(&step.bytes).text(BYTE_RANGE).expect("a range").into_owned())
            .collect();
        assert_eq!(ranges, ["1-13/28", "14-23/28", "24-28/28", "1-13/28", "1-28/28", "1-*/25"]);
        assert_eq!(changes.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }
}
