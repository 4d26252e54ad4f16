//! Small traces, message by message.

use super::super::super::sides::{Side, Sides};
use super::super::{TooMuch, derive};
use super::{Expected, Script};
use crate::replay::book::Keep;
use crate::replay::source::read_from;

pub(super) const ALICE: &str = "sip:+19585550100@example.com";
pub(super) const BOB: &str = "sip:+19585550101@example.com";
pub(super) const FACTORY: &str = "sip:factory@example.com";
pub(super) const ROOM: &str = "sip:room@198.51.100.5";

/// A message, and whether the network says it.
pub(super) type Message = (bool, String);

/// A dialog; its caller has the tag `f`, the other side `t`.
#[derive(Clone, Copy)]
pub(super) struct Dialog {
    pub(super) call: &'static str,
    pub(super) caller: &'static str,
    pub(super) callee: &'static str,
    /// Whether the network has called.
    pub(super) is_ours: bool,
}

/// Alice calls Bob.
pub(super) const OUT: Dialog = Dialog { call: "out", caller: ALICE, callee: BOB, is_ours: false };
/// Bob calls Alice.
pub(super) const IN: Dialog = Dialog { call: "in", caller: BOB, callee: ALICE, is_ours: true };
/// Alice opens a group.
pub(super) const GROUP: Dialog =
    Dialog { call: "group", caller: ALICE, callee: FACTORY, is_ours: false };
/// Alice watches it.
pub(super) const WATCH: Dialog =
    Dialog { call: "watch", caller: ALICE, callee: ROOM, is_ours: false };
/// Alice joins it once more.
pub(super) const AGAIN: Dialog =
    Dialog { call: "again", caller: ALICE, callee: ROOM, is_ours: false };

impl Dialog {
    /// The caller's first request.
    pub(super) fn opens(&self, method: &str, rest: &str) -> Message {
        (
            self.is_ours,
            self.text(&format!("{method} {} SIP/2.0", self.callee), method, (false, false), rest),
        )
    }

    /// A request in it, of the caller or of the other side.
    pub(super) fn asks(&self, by_caller: bool, method: &str, rest: &str) -> Message {
        let to = if by_caller { self.callee } else { self.caller };
        let line = format!("{method} {to} SIP/2.0");
        (self.is_ours == by_caller, self.text(&line, method, (!by_caller, true), rest))
    }

    /// An answer to the caller's request.
    pub(super) fn answers(&self, code: u16, method: &str, rest: &str) -> Message {
        let line = format!("SIP/2.0 {code} Because");
        (!self.is_ours, self.text(&line, method, (false, true), rest))
    }

    /// Begun by the caller, and accepted by the other side.
    pub(super) fn stands(&self) -> Vec<Message> {
        vec![
            self.opens("INVITE", &sdp("f")),
            self.answers(200, "INVITE", &sdp("t")),
            self.asks(true, "ACK", ""),
        ]
    }

    fn text(&self, line: &str, method: &str, (turned, tagged): (bool, bool), rest: &str) -> String {
        let caller = format!("<{}>;tag=f", self.caller);
        let callee = format!("<{}>{}", self.callee, if tagged { ";tag=t" } else { "" });
        let (from, to) = if turned { (callee, caller) } else { (caller, callee) };
        let (call, number) = (self.call, if tagged && line.starts_with(method) { 2 } else { 1 });
        let (head, body) = rest.split_once("\n\n").unwrap_or((rest, ""));
        let head = if head.is_empty() { String::new() } else { format!("{head}\n") };
        let length = body.len();
        format!(
            "{line}\nVia: SIP/2.0/UDP h;branch=z9hG4bK{call}{method}{number}\nFrom: {from}\n\
             To: {to}\nCall-ID: {call}\nCSeq: {number} {method}\n{head}Content-Length: {length}\n\n{body}"
        )
    }
}

/// A description with an MSRP path.
pub(super) fn sdp(id: &str) -> String {
    format!(
        "Content-Type: application/sdp\n\nv=0\no=- 1 1 IN IP4 198.51.100.5\ns=-\n\
         c=IN IP4 198.51.100.5\nt=0 0\nm=message 2855 TCP/MSRP *\na=accept-types:message/cpim\n\
         a=path:msrp://198.51.100.5:2855/{id};tcp\n"
    )
}

/// A body of some type.
pub(super) fn body(kind: &str, text: &str) -> String {
    format!("Content-Type: {kind}\n\n{text}")
}

/// The INVITE to the factory that lists some numbers.
pub(super) fn listing(numbers: &[&str]) -> String {
    let entry = |number: &&str| format!("<entry uri=\"tel:{number}\"/>");
    let entries: String = numbers.iter().map(entry).collect();
    format!(
        "Content-Type: multipart/mixed;boundary=b\n\n--b\r\nContent-Type: application/sdp\r\n\r\n{}\r\n\
         --b\r\nContent-Type: application/resource-lists+xml\r\n\r\n\
         <resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list>{entries}</list>\
         </resource-lists>\r\n--b--\r\n",
        sdp("f").split_once("\n\n").expect("as it is made").1
    )
}

/// The answer of a focus.
pub(super) fn focus() -> String {
    format!("Contact: <{ROOM}>;isfocus\n{}", sdp("t"))
}

/// A frame: `first` begins with the transaction, and `flag` ends it.
pub(super) fn frame(ours: bool, first: &str, head: &str, text: &str, flag: char) -> Message {
    let (to, from) = if ours { ("f", "t") } else { ("t", "f") };
    let transaction = first.split(' ').next().expect("as it is made");
    let text = if text.is_empty() { String::new() } else { format!("\r\n{text}\r\n") };
    let frame = format!(
        "MSRP {first}\r\nTo-Path: msrp://198.51.100.5:2855/{to};tcp\r\n\
         From-Path: msrp://198.51.100.5:2855/{from};tcp\r\n{head}{text}-------{transaction}{flag}\r\n"
    );
    (ours, frame)
}

/// Derives from what is said in this order.
pub(super) fn of(messages: &[Message]) -> Expected {
    tried(messages).expect("no more than is held")
}

/// The same, where it may be too much.
pub(super) fn tried(messages: &[Message]) -> Result<Expected, TooMuch> {
    let mut text = String::new();
    for (at, (ours, message)) in messages.iter().enumerate() {
        let (network, bridge) = match message.starts_with("MSRP ") {
            true => ("198.51.100.5:2855", "192.0.2.10:49152"),
            false => ("198.51.100.5:5060", "192.0.2.10:5060"),
        };
        let (from, to) = if *ours { (network, bridge) } else { (bridge, network) };
        text.push_str(&format!(
            "2026/01/15 10:{:02}:{:02}.000000 {from} -> {to}\n",
            at / 60,
            at % 60
        ));
        let message = match message.starts_with("MSRP ") {
            true => message.clone(),
            // A line of a head ends as SIP wants it, and a body stays as it is.
            false => {
                let (head, body) = message.split_once("\n\n").expect("as it is made");
                format!("{}\r\n\r\n{body}", head.replace('\n', "\r\n"))
            }
        };
        text.push_str(&format!("{message}\n\n"));
    }
    let trace =
        read_from("trace".to_owned(), &mut text.as_bytes(), Keep::Messages).expect("as it is made");
    assert_eq!(trace.book.steps.len(), messages.len(), "{:?}\n{text}", trace.warnings);
    let sides =
        Sides::find(&trace.book, Side::Network, Some("198.51.100.5")).expect("as it is made");
    derive(&trace.book, &Script::of(&trace.book, &sides))
}

/// Derives, and writes in lines what is told behind the first so many.
pub(super) fn lines_of(messages: &[Message], skip: usize) -> Vec<String> {
    let lines = super::lines(&of(messages));
    // Where it stands is the matter of the fixtures.
    let bare = |line: &String| {
        let (place, rest) = line.split_once(' ').expect("as it is made");
        let marks = place.trim_start_matches(|c: char| c == '#' || c.is_ascii_digit());
        format!("{marks}{rest}").trim_end().to_owned()
    };
    lines.iter().skip(skip).map(bare).collect()
}
