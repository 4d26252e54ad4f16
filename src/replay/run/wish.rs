//! What a step of an expectation says, in words: of which message it speaks, and which call it wants.

use serde_json::Value;

use super::super::book::Step;
use super::super::head::Head;
use super::super::raw::Raw;
use super::script::{Cue, Said};
use crate::trace::Protocol;

/// A message of the trace that a step speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spoken {
    /// The step's own words.
    pub(super) text: String,
    /// Whether we send it.
    pub(super) ours: bool,
    pub(super) protocol: Protocol,
    /// A method, or a code.
    first: String,
    /// Of a SIP answer, what it answers.
    about: Option<String>,
    /// Of an MSRP request, what stands in it, in lower case.
    holds: Vec<String>,
    /// Of an MSRP message, in how many pieces it comes.
    pub(super) pieces: Option<usize>,
}

impl Spoken {
    /// Reads of which messages a step speaks; the first one says where it stands.
    pub(super) fn read(step: &Value) -> Result<Vec<Self>, String> {
        let mut spoken = Vec::new();
        for (field, ours, protocol) in FIELDS {
            let Some(text) = text(step, field)? else { continue };
            let all = match protocol {
                Protocol::Msrp => vec![text],
                Protocol::Sip | Protocol::Http => messages(text),
            };
            for one in all {
                let words: Vec<&str> = one.split([' ', ',']).filter(|it| !it.is_empty()).collect();
                let read = match protocol {
                    Protocol::Msrp => msrp(&words),
                    Protocol::Sip | Protocol::Http => sip(&words),
                };
                let Words { first, about, holds, pieces } =
                    read.ok_or_else(|| format!("{field} {text:?}, which is no message"))?;
                let text = format!("{field} {}", one.trim());
                spoken.push(Self { text, ours, protocol, first, about, holds, pieces });
            }
        }
        Ok(spoken)
    }

    /// Tells whether a message is the one that is spoken of.
    pub(super) fn is(&self, cue: &Cue, step: &Step) -> bool {
        cue.ours == self.ours && self.is_kind(&cue.kind, &cue.said, &step.bytes)
    }

    /// Tells whether a message is such a one, whoever has sent it.
    pub(super) fn is_kind(&self, kind: &str, said: &Said, bytes: &[u8]) -> bool {
        let wanted = format!("{} {}", self.protocol, self.first);
        let rest = kind.strip_prefix(&wanted);
        let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with(' ')) else {
            return false;
        };
        let is_about = self.about.as_ref().is_none_or(|about| rest == format!(" ({about})"));
        is_about && self.holds.iter().all(|word| holds(said, bytes, word))
    }
}

/// What the words of a message say.
#[derive(Default)]
struct Words {
    first: String,
    about: Option<String>,
    holds: Vec<String>,
    pieces: Option<usize>,
}

/// Cuts a text where it goes on to another message: at a comma with a code or a method behind it.
fn messages(text: &str) -> Vec<&str> {
    let (mut all, mut begin) = (Vec::new(), 0);
    for (comma, _) in text.match_indices(',') {
        let next = text[comma + 1..].split([' ', ',']).find(|word| !word.is_empty());
        if next.is_some_and(|word| is_code(word) || METHODS.contains(&word)) {
            all.push(&text[begin..comma]);
            begin = comma + 1;
        }
    }
    all.push(&text[begin..]);
    all
}

/// Reads a method, or a code with the method that it answers: one in brackets, or one that everybody
/// knows right behind it. All else is a remark, such as the phrase of an answer.
fn sip(words: &[&str]) -> Option<Words> {
    let (first, rest) = words.split_first()?;
    if is_method(first) {
        return Some(Words { first: (*first).to_owned(), ..Words::default() });
    }
    let known = rest.first().filter(|word| METHODS.contains(word)).copied();
    let named = || {
        rest.iter().find_map(|word| {
            word.strip_prefix('(')?.strip_suffix(')').filter(|word| is_method(word))
        })
    };
    let about = known.or_else(named).map(str::to_owned);
    is_code(first).then(|| Words { first: (*first).to_owned(), about, ..Words::default() })
}

/// Reads a method or a code, or what is sent; words behind it stand in the message.
fn msrp(words: &[&str]) -> Option<Words> {
    let (first, rest) = words.split_first()?;
    let lower = |words: &[&str]| words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let send = |holds| Words { first: "SEND".to_owned(), holds, ..Words::default() };
    match (*first, rest) {
        ("imdn", ["delivered" | "displayed", rest @ ..]) => {
            let mut all: Vec<String> = lower(&words[..2]);
            // From whom it is, is a remark as far as it is in words.
            all.extend(rest.iter().filter(|it| it.starts_with('+')).map(|it| (*it).to_owned()));
            Some(send(all))
        }
        ("isComposing", ["active" | "idle"]) => Some(send(lower(words))),
        (number, ["chunks", rest @ ..]) => {
            let pieces = number.parse().ok().filter(|number| *number > 0)?;
            Some(Words { pieces: Some(pieces), ..send(lower(rest)) })
        }
        (code, []) if is_code(code) => Some(Words { first: code.to_owned(), ..Words::default() }),
        ("SEND" | "REPORT" | "NICKNAME" | "AUTH", _) => {
            let (first, holds) = ((*first).to_owned(), lower(rest));
            Some(Words { first, holds, ..Words::default() })
        }
        _ => None,
    }
}

/// Tells whether an MSRP request is of a kind, or has a word in it.
fn holds(said: &Said, bytes: &[u8], word: &str) -> bool {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let Said::Msrp(msrp) = said else { return false };
    match word {
        "bodiless" => Raw::read(bytes).body().is_empty(),
        "imdn" => text.contains("message/imdn+xml"),
        "delivered" | "displayed" => text.contains(&format!("<{word}")),
        "iscomposing" => text.contains("application/im-iscomposing+xml"),
        "active" | "idle" => text.contains(&format!("<state>{word}<")),
        code if is_code(code) && msrp.line.method() == Some("REPORT") => {
            // `000` and the code (RFC 4975 section 7.1.2).
            let status = Head::read(bytes).field("Status").unwrap_or_default().into_owned();
            status.split_whitespace().nth(1) == Some(code)
        }
        word => text.contains(word),
    }
}

/// A call of the API, as far as a step says which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rest {
    /// The step's own words.
    pub(super) text: String,
    pub(super) status: Option<u16>,
    method: String,
    /// What stands in its path, one behind the other.
    path: Vec<String>,
}

impl Rest {
    /// Reads which call a step wants, if any.
    pub(super) fn read(step: &Value) -> Result<Option<Self>, String> {
        let status = step["http"].as_u64().and_then(|status| u16::try_from(status).ok());
        let status = status.filter(|status| (100..600).contains(status));
        if status.is_none() && !step["http"].is_null() {
            return Err("http is no status from 100 to 599".to_owned());
        }
        let Some(text) = text(step, "rest")? else {
            return match status {
                Some(_) => Err("http without a call in rest".to_owned()),
                None => Ok(None),
            };
        };
        // What stands in braces may be anything.
        let bare: String =
            text.split('{').map(|part| part.split_once('}').map_or(part, |it| it.1)).collect();
        let mut words = bare.split_whitespace();
        let method = words.next().unwrap_or_default().to_owned();
        let path = words.next().unwrap_or_default();
        let path: Vec<String> =
            path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if !matches!(method.as_str(), "GET" | "POST" | "PUT" | "DELETE") || path.is_empty() {
            return Err(format!("rest {text:?}, which is no call"));
        }
        Ok(Some(Self { text: text.to_owned(), status, method, path }))
    }

    /// Tells whether a call, as `METHOD path`, is the one that is wanted.
    pub(super) fn is(&self, call: &str) -> bool {
        let (method, path) = call.split_once(' ').unwrap_or((call, ""));
        let mut parts = path.split('/');
        method == self.method && self.path.iter().all(|wanted| parts.any(|part| part == wanted))
    }
}

/// Gives a field that is a text, where it is there.
fn text<'a>(step: &'a Value, field: &str) -> Result<Option<&'a str>, String> {
    match &step[field] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(format!("{field} is no text"))
        }
    }
}

fn is_code(word: &str) -> bool {
    word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_method(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The methods of SIP (RFC 3261 and those that extend it).
const METHODS: [&str; 14] = [
    "ACK",
    "BYE",
    "CANCEL",
    "INFO",
    "INVITE",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "PRACK",
    "PUBLISH",
    "REFER",
    "REGISTER",
    "SUBSCRIBE",
    "UPDATE",
];

const FIELDS: [(&str, bool, Protocol); 4] = [
    ("sip_in", true, Protocol::Sip),
    ("sip_out", false, Protocol::Sip),
    ("msrp_in", true, Protocol::Msrp),
    ("msrp_out", false, Protocol::Msrp),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_message_and_no_call_is_refused() {
        for (step, why) in [
            (json!({"sip_out": 500}), "sip_out is no text"),
            (json!({"sip_in": "nonsense"}), "sip_in \"nonsense\", which is no message"),
            (json!({"msrp_out": "imdn processing"}), "msrp_out \"imdn processing\""),
            (json!({"msrp_in": ""}), "msrp_in \"\", which is no message"),
            (json!({"msrp_in": "0 chunks x"}), "msrp_in \"0 chunks x\", which is no message"),
            (json!({"sip_in": ""}), "sip_in \"\", which is no message"),
        ] {
            let found = Spoken::read(&step).expect_err("no message");
            assert!(found.contains(why), "{step}: {found}");
        }
        for (step, why) in [
            (json!({"rest": 404, "http": 500}), "rest is no text"),
            (json!({"rest": "POST x", "http": "404"}), "http is no status"),
            (json!({"rest": "POST x", "http": 99}), "http is no status"),
            (json!({"http": 200}), "http without a call"),
            (json!({"rest": "SING sessions"}), "which is no call"),
            (json!({"rest": "POST"}), "which is no call"),
        ] {
            let found = Rest::read(&step).expect_err("no call");
            assert!(found.contains(why), "{step}: {found}");
        }
        assert_eq!((Spoken::read(&json!({})), Rest::read(&json!({}))), (Ok(Vec::new()), Ok(None)));
    }

    #[test]
    fn an_answer_is_spoken_of_with_its_phrase_or_with_its_method() {
        for (text, wanted) in [
            ("200", &[("200", None)][..]),
            ("200 OK", &[("200", None)]),
            ("200 SDP answer", &[("200", None)]),
            ("200 (INVITE)", &[("200", Some("INVITE"))]),
            ("200 INVITE", &[("200", Some("INVITE"))]),
            ("486 Busy Here (INVITE)", &[("486", Some("INVITE"))]),
            ("200 (FOO)", &[("200", Some("FOO"))]),
            ("BYE Reason 480", &[("BYE", None)]),
            ("200 CANCEL, 487 INVITE", &[("200", Some("CANCEL")), ("487", Some("INVITE"))]),
            ("200 INVITE, and BYE, 500", &[("200", Some("INVITE")), ("500", None)]),
            ("200,BYE", &[("200", None), ("BYE", None)]),
            ("NOTIFY terminated;reason=noresource, empty", &[("NOTIFY", None)]),
        ] {
            let spoken = Spoken::read(&json!({"sip_in": text})).expect("messages");
            let found: Vec<_> =
                spoken.iter().map(|it| (it.first.as_str(), it.about.as_deref())).collect();
            assert_eq!(found, wanted, "{text}");
        }
        let spoken = Spoken::read(&json!({"msrp_in": "2 chunks Mbig01"})).expect("a message");
        assert_eq!((spoken[0].pieces, &*spoken[0].holds), (Some(2), &["mbig01".to_owned()][..]));
    }

    #[test]
    fn a_call_is_known_by_its_method_and_path() {
        let rest = |text: &str| Rest::read(&json!({"rest": text})).expect("a call").expect("one");
        let call = "DELETE /1/chat/tel%3A%2B1/groupSessions/g1/participants/p1";
        for (text, is) in [
            ("DELETE participants/{p of +1 2}", true),
            ("DELETE /groupSessions/{id}/participants/{id} and so on", true),
            ("DELETE participants/{id}/groupSessions", false),
            ("DELETE sessions/{id}", false),
            ("POST participants", false),
        ] {
            assert_eq!(rest(text).is(call), is, "{text}");
        }
    }
}
