//! Messages as text: what the tests of this program write and read themselves, without the
//! library's own readers and writers.

use bytes::Bytes;
use chatbridge::sip::{Decoded, Message, WireLimits, decode_datagram};

/// A message as it stood on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) String);

impl Text {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(String::from_utf8(bytes.to_vec()).expect("a text"))
    }

    /// The start line.
    pub(crate) fn start(&self) -> &str {
        self.0.split("\r\n").next().unwrap_or_default()
    }

    /// The first header of this name.
    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.all(name).into_iter().next();
        found.unwrap_or_else(|| panic!("no {name} in {self}"))
    }

    /// All headers of this name, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head().split("\r\n").skip(1);
        lines
            .filter_map(|line| line.split_once(": "))
            .filter_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
            .collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    pub(crate) fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// The method of a request, or the one that a response answers.
    pub(crate) fn method(&self) -> &str {
        self.get("CSeq").split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn number(&self) -> &str {
        self.get("CSeq").split(' ').next().unwrap_or_default()
    }

    pub(crate) fn is_response(&self) -> bool {
        self.start().starts_with("SIP/2.0 ")
    }

    /// The Request-URI.
    pub(crate) fn target(&self) -> &str {
        self.start().split(' ').nth(1).unwrap_or_default()
    }

    /// The status code.
    pub(crate) fn code(&self) -> u16 {
        self.target().parse().expect("a status code")
    }

    /// The branch of the top Via.
    pub(crate) fn branch(&self) -> &str {
        param(self.get("Via"), "branch")
    }

    /// The tag of `From` or `To`; empty where there is none.
    pub(crate) fn tag(&self, name: &str) -> &str {
        param(self.get(name), "tag")
    }

    fn head(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or(&self.0, |(head, _)| head)
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A parameter of a header value; empty where there is none.
pub(crate) fn param<'a>(value: &'a str, name: &str) -> &'a str {
    let params = value.split(';').skip(1).map(str::trim);
    params
        .filter_map(|it| it.split_once('='))
        .find(|(known, _)| *known == name)
        .map_or("", |it| it.1)
}

/// Writes a message: line breaks are made those of the wire, headers that are given twice appear
/// as they were given last, and the length is that of the body behind the empty line.
pub(crate) fn message(head: &str, changes: &str) -> Vec<u8> {
    let (changes, body) = changes.split_once("\n\n").unwrap_or((changes, ""));
    let changes: Vec<&str> = changes.lines().filter(|line| !line.is_empty()).collect();
    let name = |line: &str| line.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
    let replaced: Vec<String> = changes.iter().map(|line| name(line)).collect();
    let mut lines = head.lines().filter(|line| !line.is_empty());
    let mut out = format!("{}\r\n", lines.next().expect("a start line"));
    for line in lines.filter(|line| !replaced.contains(&name(line))).chain(changes) {
        // A header without value is one that is taken away.
        if !line.trim_end().ends_with(':') {
            out.push_str(line);
            out.push_str("\r\n");
        }
    }
    let body = body.replace('\n', "\r\n");
    out.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    out.into_bytes()
}

pub(crate) fn decode(bytes: impl Into<Bytes>) -> Decoded {
    decode_datagram(bytes.into(), &WireLimits::default())
}

/// Reads a message that keeps the rules.
pub(crate) fn read(bytes: impl Into<Bytes>) -> Message {
    match decode(bytes) {
        Decoded::Message(message) => message,
        other => panic!("{other:?}"),
    }
}
