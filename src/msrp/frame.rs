//! One MSRP request or response as a value (RFC 4975 sections 7 and 9).

use std::fmt;

use bytes::Bytes;

use super::text::Text;
use super::uri::Path;
use crate::ids::Random;

/// A request or a response.
///
/// Header fields that the protocol itself needs are fields here, all others wait in `headers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The transaction identifier, of the start line and the end-line.
    pub tid: TransactionId,
    /// Request or response.
    pub kind: Kind,
    /// The way to the receiver.
    pub to_path: Path,
    /// The way back.
    pub from_path: Path,
    /// The message that this frame carries a part of or speaks of.
    pub message_id: Option<Text>,
    /// Which part.
    pub byte_range: Option<ByteRange>,
    /// Whether the sender wants to hear of success.
    pub success_report: Option<bool>,
    /// What the sender wants to hear of failure.
    pub failure_report: Option<FailureReport>,
    /// The outcome that a REPORT tells.
    pub status: Option<Status>,
    /// All other header fields, in their order.
    pub headers: Vec<Header>,
    /// The media type of the body.
    pub content_type: Option<Text>,
    /// The body; an empty body is not the same as none (RFC 4975 section 7.1).
    pub body: Option<Bytes>,
    /// Whether more of the message follows.
    pub flag: Continuation,
}

/// The start line but for the transaction identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A request.
    Request(Method),
    /// A response.
    Response {
        /// Three digits (RFC 4975 section 10).
        code: u16,
        /// A remark for humans.
        comment: Option<Text>,
    },
}

/// The method of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// Carries a message or a part of it (RFC 4975 section 7.1.1).
    Send,
    /// Tells the outcome of a message; never answered (RFC 4975 section 7.1.2).
    Report,
    /// Asks a relay for its services (RFC 4976 section 5.1).
    Auth,
    /// Reserves a nickname in a chat room (RFC 7701 section 7).
    Nickname,
    /// Any other.
    Other(Text),
}

impl Method {
    /// Gives the name as it stands in the start line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Send => "SEND",
            Self::Report => "REPORT",
            Self::Auth => "AUTH",
            Self::Nickname => "NICKNAME",
            Self::Other(name) => name.as_str(),
        }
    }
}

/// A header field that MSRP itself does not need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name as it was spelled.
    pub name: Text,
    /// The value without the spaces around it.
    pub value: Text,
}

/// Names a transaction on its connection, in its direction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(Text);

impl TransactionId {
    /// Takes over an identifier of up to 64 printable characters: twice what RFC 4975 section 9
    /// allows, and more of them than it allows.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        Self::fits(text.as_bytes()).then(|| Self(Text::new(text)))
    }

    /// Draws an identifier that does not occur in `body`, so that no part of the body can be
    /// taken for the end-line (RFC 4975 section 7.1).
    pub fn draw(random: &mut Random, body: &[u8]) -> Self {
        loop {
            let token = random.token();
            if !occurs(token.as_bytes(), body) {
                return Self(Text::new(&token));
            }
        }
    }

    /// Gives the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Takes over an identifier in which [`TransactionId::new`] would find nothing wrong.
    pub(super) fn checked(part: &[u8], whole: &Bytes) -> Self {
        debug_assert!(Self::fits(part));
        Self(Text::plain(part, whole))
    }

    fn fits(bytes: &[u8]) -> bool {
        (1..=MAX_TID).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    }
}

/// Tells whether a token stands in a body. To get ready for a search costs more than to look at
/// each place in a short body where it could begin.
fn occurs(token: &[u8], body: &[u8]) -> bool {
    match token.first() {
        Some(first) if body.len() <= SHORT => memchr::memchr_iter(*first, body)
            .any(|at| body.get(at..).is_some_and(|rest| rest.starts_with(token))),
        Some(_) | None => memchr::memmem::find(body, token).is_some(),
    }
}

/// Up to which length a body is short, in bytes.
const SHORT: usize = 1024;

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which octets of a message a frame carries or speaks of, the first being number one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The first octet.
    pub start: u64,
    /// The last octet; `*` where it was not known in advance.
    pub end: Option<u64>,
    /// The length of the message; `*` where it was not known in advance.
    pub total: Option<u64>,
}

impl ByteRange {
    /// Tells whether such a part of a message can exist. `1-0/0` can: it is how bodiless requests
    /// put it (RFC 4975 section 7.1.1); and `6-5/5`, which only says that a message ends there.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_empty = self.end.is_some() && self.end == self.start.checked_sub(1);
        let at_end = self.start == 1 || self.total.is_none() || self.total == self.end;
        let in_order = self.end.is_none_or(|end| self.start <= end) || (is_empty && at_end);
        let in_total = match (self.end, self.total) {
            (Some(end), Some(total)) => end <= total,
            (None, Some(_)) | (_, None) => true,
        };
        self.start >= 1 && in_order && in_total
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.start)?;
        match self.end {
            Some(end) => write!(f, "{end}/")?,
            None => f.write_str("*/")?,
        }
        match self.total {
            Some(total) => write!(f, "{total}"),
            None => f.write_str("*"),
        }
    }
}

/// What a sender wants to hear of failure (RFC 4975 section 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailureReport {
    /// Every outcome, silence included: the default.
    #[default]
    Yes,
    /// Refusals, but neither success nor silence.
    Partial,
    /// Nothing at all.
    No,
}

impl FailureReport {
    /// Gives the value as it stands in the header field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Partial => "partial",
            Self::No => "no",
        }
    }
}

/// The outcome that a REPORT tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Whose codes these are; `0` for those of RFC 4975 section 10.
    pub namespace: u16,
    /// The code.
    pub code: u16,
    /// A remark for humans.
    pub comment: Option<Text>,
}

/// The flag at the end of the end-line (RFC 4975 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuation {
    /// `$`: the message ends here.
    Complete,
    /// `+`: more follows.
    More,
    /// `#`: the rest will never come.
    Abort,
}

impl Continuation {
    /// Gives the octet of the end-line.
    #[must_use]
    pub fn octet(self) -> u8 {
        match self {
            Self::Complete => b'$',
            Self::More => b'+',
            Self::Abort => b'#',
        }
    }

    pub(super) fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            b'$' => Some(Self::Complete),
            b'+' => Some(Self::More),
            b'#' => Some(Self::Abort),
            _ => None,
        }
    }
}

impl Frame {
    /// Starts a request without header fields of its own and without body.
    #[must_use]
    pub fn request(method: Method, tid: TransactionId, to_path: Path, from_path: Path) -> Self {
        Self::bare(tid, Kind::Request(method), to_path, from_path)
    }

    /// Builds the response with `code`, unless this frame must not get one: responses and REPORTs
    /// get none (RFC 4975 section 7.1.2), and the sender of a message that wants no failure
    /// reports, or only partial ones, is not bothered (section 7.1.4).
    #[must_use]
    pub fn answer(&self, code: u16) -> Option<Self> {
        let to_path = match self.hops_back(code)? {
            1 => self.from_path.one_hop(),
            _ => self.from_path.clone(),
        };
        let from_path = self.to_path.one_hop();
        Some(Self::response(code, self.tid.clone(), to_path, from_path))
    }

    /// Tells how many hops the response with `code` goes, if there must be one.
    pub(super) fn hops_back(&self, code: u16) -> Option<usize> {
        match &self.kind {
            Kind::Request(Method::Send) => {
                let wanted = match self.failure_report.unwrap_or_default() {
                    FailureReport::Yes => true,
                    FailureReport::Partial => code != 200,
                    FailureReport::No => false,
                };
                // Responses to SEND go to the previous hop only (RFC 4975 section 7.2).
                wanted.then_some(1)
            }
            // Such wishes are part of SEND alone, and mean nothing elsewhere.
            Kind::Request(Method::Auth | Method::Nickname | Method::Other(_)) => {
                Some(self.from_path.hops())
            }
            Kind::Request(Method::Report) | Kind::Response { .. } => None,
        }
    }

    /// Builds a response with the usual comment.
    #[must_use]
    pub fn response(code: u16, tid: TransactionId, to_path: Path, from_path: Path) -> Self {
        let comment = comment(code).map(Text::new);
        Self::bare(tid, Kind::Response { code, comment }, to_path, from_path)
    }

    /// Gives the value of the first of the other header fields that has this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|h| h.name.as_str().eq_ignore_ascii_case(name));
        named.next().map(|header| header.value.as_str())
    }

    fn bare(tid: TransactionId, kind: Kind, to_path: Path, from_path: Path) -> Self {
        Self {
            tid,
            kind,
            to_path,
            from_path,
            message_id: None,
            byte_range: None,
            success_report: None,
            failure_report: None,
            status: None,
            headers: Vec::new(),
            content_type: None,
            body: None,
            flag: Continuation::Complete,
        }
    }
}

/// Gives the remark that goes with a code of RFC 4975 section 10, RFC 4976 or RFC 7701.
pub(super) fn comment(code: u16) -> Option<&'static str> {
    match code {
        200 => Some("OK"),
        400 => Some("Bad Request"),
        401 => Some("Unauthorized"),
        403 => Some("Forbidden"),
        404 => Some("Recipient Not Found"),
        408 => Some("Timeout"),
        413 => Some("Stop Sending Message"),
        415 => Some("Unsupported Media Type"),
        423 => Some("Parameter Out Of Bounds"),
        424 => Some("Malformed Nickname"),
        425 => Some("Nickname Reserved Or In Use"),
        428 => Some("Private Messages Not Supported"),
        481 => Some("No Such Session"),
        501 => Some("Unknown Method"),
        506 => Some("Session In Use"),
        _ => None,
    }
}

const MAX_TID: usize = 64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_possible_ranges_are_sound() {
        for (start, end, total, sound) in [
            (1, Some(0), Some(0), true),
            (1, Some(5), Some(5), true),
            (6, None, None, true),
            (1, None, Some(5), true),
            (5, Some(4), Some(10), false),
            (5, Some(4), Some(4), true),
            (5, Some(4), None, true),
            (6, Some(4), None, false),
            (u64::MAX, Some(0), None, false),
            (0, Some(0), Some(0), false),
            (1, Some(10), Some(5), false),
            (u64::MAX, Some(u64::MAX), None, true),
        ] {
            let range = ByteRange { start, end, total };
            assert_eq!(range.is_sound(), sound, "{range}");
        }
    }

    #[test]
    fn an_answer_goes_only_to_those_who_want_it() {
        let mut send = request(Method::Send);
        assert_eq!(code(send.answer(200)), Some(200));
        send.failure_report = Some(FailureReport::Partial);
        assert_eq!((code(send.answer(200)), code(send.answer(415))), (None, Some(415)));
        send.failure_report = Some(FailureReport::No);
        assert_eq!((code(send.answer(200)), code(send.answer(481))), (None, None));
        assert_eq!(code(request(Method::Report).answer(400)), None);
        let response = request(Method::Send).answer(200).unwrap();
        assert_eq!(code(response.answer(200)), None);
        let mut nickname = request(Method::Nickname);
        nickname.failure_report = Some(FailureReport::No);
        assert_eq!(code(nickname.answer(200)), Some(200), "the wish is one of SEND");
    }

    #[test]
    fn a_response_to_send_goes_to_the_previous_hop_and_others_all_the_way() {
        let send = request(Method::Send).answer(200).unwrap();
        assert_eq!(send.to_path.to_string(), "msrp://relay:1/r;tcp");
        assert_eq!(send.from_path.to_string(), "msrp://we:2/w;tcp");
        let nickname = request(Method::Nickname).answer(501).unwrap();
        assert_eq!(nickname.to_path.to_string(), "msrp://relay:1/r;tcp msrp://peer:3/p;tcp");
    }

    #[test]
    fn m02_a_drawn_identifier_does_not_occur_in_the_body() {
        let first = TransactionId::draw(&mut Random::seeded(3), b"");
        let body = format!("text\r\n-------{first}$\r\n");
        let second = TransactionId::draw(&mut Random::seeded(3), body.as_bytes());
        assert_ne!(first, second);
        assert!(!body.contains(second.as_str()));
    }

    fn request(method: Method) -> Frame {
        let from_path = Path::parse("msrp://relay:1/r;tcp msrp://peer:3/p;tcp").unwrap();
        let to_path = Path::parse("msrp://we:2/w;tcp").unwrap();
        Frame::request(method, TransactionId::new("tid1").unwrap(), to_path, from_path)
    }

    fn code(answer: Option<Frame>) -> Option<u16> {
        answer.and_then(|frame| match frame.kind {
            Kind::Response { code, .. } => Some(code),
            Kind::Request(_) => None,
        })
    }
}
