//! What a recorded message says, in the few words that a dialog or a session is known by.

use super::head::{Head, address, parameter};

/// What a first line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// A method, and what it is asked of.
    Request(String, String),
    /// A code, and its phrase.
    Answer(u16, String),
}

impl Line {
    /// Writes it in a few words: the method, or the code and the phrase.
    pub(super) fn short(&self) -> String {
        match self {
            Self::Request(method, _) => method.clone(),
            Self::Answer(code, phrase) if phrase.is_empty() => code.to_string(),
            Self::Answer(code, phrase) => format!("{code} {phrase}"),
        }
    }

    pub(super) fn method(&self) -> Option<&str> {
        match self {
            Self::Request(method, _) => Some(method),
            Self::Answer(..) => None,
        }
    }

    fn read(line: &str, version: &str) -> Self {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        if first.starts_with(version) {
            return Self::answer(rest);
        }
        let target = rest.rsplit_once(' ').map_or(rest, |(target, _)| target);
        Self::Request(first.to_owned(), target.trim().to_owned())
    }

    fn answer(text: &str) -> Self {
        let (code, phrase) = text.split_once(' ').unwrap_or((text, ""));
        Self::Answer(code.parse().unwrap_or_default(), phrase.trim().to_owned())
    }
}

/// A SIP message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sip {
    pub(super) line: Option<Line>,
    pub(super) call_id: String,
    pub(super) from: Party,
    pub(super) to: Party,
    /// Number and method.
    pub(super) cseq: String,
    /// The branch of the topmost `Via`.
    pub(super) branch: String,
    pub(super) content_type: String,
    pub(super) reason: Option<String>,
    pub(super) event: Option<String>,
    /// A field that legs on both sides of a back-to-back agent share, with its value.
    pub(super) leg: Option<(&'static str, String)>,
    /// The session ids of the MSRP paths that its body offers.
    pub(super) paths: Vec<String>,
}

/// A `From` or a `To`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Party {
    pub(super) address: String,
    pub(super) tag: String,
}

impl Sip {
    pub(super) fn read(head: &Head<'_>) -> Self {
        let mut sip = Self { line: Some(Line::read(head.first_line(), "SIP/")), ..Self::default() };
        let party = |value: &str| Party {
            address: address(value).to_owned(),
            tag: parameter(value, "tag").unwrap_or_default().to_owned(),
        };
        for (name, value) in head.fields() {
            let is = |long: &str, short: &str| {
                name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short)
            };
            match name.len() {
                _ if is("Call-ID", "i") => sip.call_id = value.into_owned(),
                _ if is("From", "f") => sip.from = party(&value),
                _ if is("To", "t") => sip.to = party(&value),
                _ if is("CSeq", "CSeq") => {
                    let words: Vec<&str> = value.split_ascii_whitespace().collect();
                    sip.cseq = words.join(" ");
                }
                _ if is("Via", "v") && sip.branch.is_empty() => {
                    let top = value.split(',').next().unwrap_or_default();
                    sip.branch = parameter(top, "branch").unwrap_or_default().to_owned();
                }
                _ if is("Content-Type", "c") => sip.content_type = value.into_owned(),
                _ if is("Reason", "Reason") => sip.reason = Some(value.into_owned()),
                _ if is("Event", "o") => sip.event = Some(value.into_owned()),
                _ => {
                    // A conversation may have several sessions: its id is the last resort.
                    let is_weak = |(known, _): &(&str, String)| *known == CONVERSATION;
                    if sip.leg.as_ref().is_none_or(is_weak) {
                        sip.leg = leg(name, &value).or(sip.leg);
                    }
                }
            }
        }
        sip.paths = paths(head.body);
        sip
    }

    /// Tells whether it is an answer.
    pub(super) fn line_is_answer(&self) -> bool {
        matches!(self.line, Some(Line::Answer(..)))
    }

    /// Tells whether it is a request to somebody else than whom it was meant for first: to the
    /// Contact of a redirection (RFC 3261 section 8.1.3.4).
    pub(super) fn is_redirected(&self) -> bool {
        let user = |uri: &str| {
            let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
            rest.split(['@', ';', '?']).next().unwrap_or_default().to_owned()
        };
        match &self.line {
            Some(Line::Request(_, uri)) => {
                self.to.tag.is_empty() && user(uri) != user(&self.to.address)
            }
            Some(Line::Answer(..)) | None => false,
        }
    }

    /// The method of a request, or of the request that it answers.
    pub(super) fn method(&self) -> &str {
        let own = self.line.as_ref().and_then(Line::method);
        own.or_else(|| self.cseq.split(' ').nth(1)).unwrap_or_default()
    }
}

/// The fields by which back-to-back agents let their legs be found (3GPP TS 24.229, RFC 7989, and
/// what RCS and Kamailio use).
fn leg(name: &str, value: &str) -> Option<(&'static str, String)> {
    let known = ["Contribution-ID", "Session-ID", "X-CID", "P-Charging-Vector", CONVERSATION];
    let known = known.into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
    let value = match known {
        // Its other parameters change on the way.
        "P-Charging-Vector" => {
            let icid = value.split(';').find_map(|it| it.trim().strip_prefix("icid-value="));
            icid?.trim_matches('"')
        }
        "Session-ID" => value.split(';').next().unwrap_or_default(),
        _ => value,
    };
    Some((known, value.trim().to_owned()))
}

const CONVERSATION: &str = "Conversation-ID";

/// Finds what `a=path:` lines offer, in a description alone or within a multipart.
fn paths(body: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for at in memchr::memmem::find_iter(body, b"a=path:").take(MAX_PATHS) {
        let line = &body[at + 7..];
        let end = memchr::memchr2(b'\r', b'\n', line).unwrap_or(line.len());
        let text = String::from_utf8_lossy(&line[..end]);
        found.extend(text.split_ascii_whitespace().last().and_then(session_id));
    }
    found
}

/// Gives the session id of an MSRP URI (RFC 4975 section 6).
fn session_id(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once("://")?;
    let (_, id) = rest.split_once('/')?;
    Some(id.split(';').next().unwrap_or_default().to_owned())
}

/// An MSRP frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Msrp {
    pub(super) line: Line,
    pub(super) transaction: String,
    /// The session ids of both ends: of the receiving one, and of the sending one.
    pub(super) to: String,
    pub(super) from: String,
    pub(super) message_id: String,
    pub(super) byte_range: String,
    pub(super) content_type: String,
    /// The `Status` of a report.
    pub(super) status: Option<String>,
}

impl Msrp {
    pub(super) fn read(head: &Head<'_>) -> Self {
        let mut words = head.first_line().splitn(3, ' ').skip(1);
        let (transaction, rest) =
            (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let line = if rest.starts_with(|c: char| c.is_ascii_digit()) {
            Line::answer(rest)
        } else {
            Line::Request(rest.trim().to_owned(), String::new())
        };
        let text = |name| head.field(name).unwrap_or_default().into_owned();
        let end = |name| {
            let path = head.field(name).unwrap_or_default();
            path.split_ascii_whitespace().last().and_then(session_id).unwrap_or_default()
        };
        Self {
            line,
            transaction: transaction.to_owned(),
            to: end("To-Path"),
            from: end("From-Path"),
            message_id: text("Message-ID"),
            byte_range: text("Byte-Range"),
            content_type: text("Content-Type"),
            status: head.field("Status").map(std::borrow::Cow::into_owned),
        }
    }
}

/// An HTTP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Http {
    pub(super) line: Line,
    /// Whether it is a request of the chat API or one of its notifications.
    pub(super) is_chat: bool,
    /// The notifications that it hands out, each with its event where it is one.
    pub(super) told: Vec<String>,
}

impl Http {
    pub(super) fn read(head: &Head<'_>) -> Self {
        let line = Line::read(head.first_line(), "HTTP/");
        let is_chat = match &line {
            Line::Request(_, target) => {
                let path = target.split('?').next().unwrap_or_default();
                path.contains("/chat/") || memchr::memmem::find(head.body, b"otification").is_some()
            }
            Line::Answer(..) => false,
        };
        let told = match &line {
            Line::Request(..) => Vec::new(),
            Line::Answer(..) => told(head.body),
        };
        Self { line, is_chat, told }
    }
}

/// Finds the notifications in what a poll is answered with.
fn told(body: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    if memchr::memmem::find(body, b"notificationList").is_none() {
        return found;
    }
    let text = String::from_utf8_lossy(body);
    for (at, _) in text.match_indices("Notification\":").take(MAX_TOLD) {
        let name = text[..at].rsplit('"').next().unwrap_or_default();
        let rest = &text[at..];
        let rest = rest.get(13..).and_then(|rest| rest.split("Notification\":").next());
        let word = |field: &str| {
            let (_, value) = rest?.split_once(&format!("\"{field}\":\""))?;
            value.split('"').next()
        };
        let event = word("eventType").or_else(|| word("status")).unwrap_or_default();
        found.push(format!("{name} {event}").trim_end().to_owned());
    }
    found
}

/// Notifications told of one answer.
const MAX_TOLD: usize = 8;
/// Descriptions in one message.
const MAX_PATHS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_understood_whatever_its_form() {
        let text = b"INVITE tel:+1 SIP/2.0\nv: SIP/2.0/UDP a;branch=z1, SIP/2.0/UDP b;branch=z2\n\
            i:c1\nf: \"a;tag=no\" <sip:a;tag=no>;tag=f1\nTo\n \t: <sip:b>\nT: sip:b;tag=t1\n\
            CSEQ: 1\n  INVITE\nP-Charging-Vector: x=1; icid-value=\"i1\";y\n\n\
            m=message 1 TCP/MSRP *\na=path:msrps://r:1/x;tcp msrp://a:2/s1;tcp\n";
        let sip = Sip::read(&Head::read(text));
        assert_eq!((sip.method(), &*sip.call_id, &*sip.branch), ("INVITE", "c1", "z1"));
        assert_eq!((&*sip.from.tag, &*sip.to.tag, &*sip.cseq), ("f1", "t1", "1 INVITE"));
        assert_eq!(sip.leg, Some(("P-Charging-Vector", "i1".to_owned())));
        assert_eq!(sip.paths, ["s1"]);
        for (fields, leg) in [
            ("Conversation-ID: a", ("Conversation-ID", "a")),
            ("Conversation-ID: a\nContribution-ID: b\nX-CID: c", ("Contribution-ID", "b")),
            ("X-CID: c\nConversation-ID: a", ("X-CID", "c")),
        ] {
            let text = format!("INVITE tel:+1 SIP/2.0\n{fields}\n\n");
            let sip = Sip::read(&Head::read(text.as_bytes()));
            assert_eq!(sip.leg, Some((leg.0, leg.1.to_owned())));
        }
        assert_eq!(Sip::read(&Head::read(b"")).method(), "");
    }

    #[test]
    fn frames_and_calls_are_understood_too() {
        let frame = Msrp::read(&Head::read(
            b"MSRP t1 413 Too Big\r\nTo-Path: msrp://r:1/x;tcp msrp://a:1/s1;tcp\r\n\
              From-Path: msrp://b:1/s2;tcp\r\n-------t1$\r\n",
        ));
        assert_eq!(frame.line, Line::Answer(413, "Too Big".to_owned()));
        assert_eq!((&*frame.to, &*frame.from), ("s1", "s2"));
        let call = b"POST /api/chat/v1/tel%3A%2B1/sessions HTTP/1.1\r\n\r\n";
        assert!(Http::read(&Head::read(call)).is_chat);
        assert!(!Http::read(&Head::read(b"GET / HTTP/1.1\r\n\r\n")).is_chat);
    }
}
