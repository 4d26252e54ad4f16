//! The start line and header section of a frame, read with nom (RFC 4975 section 9).

use bytes::Bytes;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_until, take_while_m_n, take_while1};
use nom::character::complete::{char, digit1};
use nom::combinator::{all_consuming, map, map_opt, opt, rest, value};
use nom::sequence::{preceded, separated_pair, terminated};
use nom::{IResult, Parser as _};

use super::frame::{
    ByteRange, Continuation, FailureReport, Frame, Header, Kind, Method, Status, TransactionId,
};
use super::parse::{BadFrame, FrameFault, ParseError};
use super::text::Text;
use super::uri::Path;

/// What a head says, as far as it could be read.
///
/// A fault does not end the reading: whoever refuses the frame has to know where it came from and
/// whether its sender wants to hear of it.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The first thing that is wrong.
    pub(super) fault: Option<FrameFault>,
    /// Where the body begins, if an empty line said so.
    pub(super) body_at: Option<usize>,
    kind: Option<Kind>,
    to_path: Option<Path>,
    from_path: Option<Path>,
    failure_report: Option<FailureReport>,
    message_id: Option<Text>,
    byte_range: Option<ByteRange>,
    success_report: Option<bool>,
    status: Option<Status>,
    headers: Vec<Header>,
    content_type: Option<Text>,
}

impl Head {
    /// Reads the lines that `frame` has before `end`, up to an empty one.
    pub(super) fn read(frame: &Bytes, end: usize, max_headers: usize) -> Self {
        let mut head = Self::default();
        let mut input = frame.get(..end).unwrap_or_default();
        let mut lines = 0_usize;
        while let Ok((after, line)) = line(input) {
            input = after;
            if line.is_empty() {
                head.body_at = Some(end - input.len());
                break;
            }
            let outcome = match lines {
                0 => head.start(frame, line),
                _ if lines > max_headers => Err(FrameFault::TooManyHeaders),
                _ => head.field(frame, line),
            };
            if let Err(fault) = outcome {
                head.fault.get_or_insert(fault);
            }
            lines += 1;
        }
        head
    }

    /// Makes a frame of it.
    pub(super) fn complete(
        self,
        tid: TransactionId,
        body: Option<Bytes>,
        flag: Continuation,
    ) -> Result<Frame, ParseError> {
        match (self.fault, self.kind, self.to_path, self.from_path) {
            (None, Some(kind), Some(to_path), Some(from_path)) => Ok(Frame {
                tid,
                kind,
                to_path,
                from_path,
                message_id: self.message_id,
                byte_range: self.byte_range,
                success_report: self.success_report,
                failure_report: self.failure_report,
                status: self.status,
                headers: self.headers,
                content_type: self.content_type,
                body,
                flag,
            }),
            (fault, kind, to_path, from_path) => {
                let missing = match (&kind, &to_path) {
                    (None, _) => "start line",
                    (Some(_), None) => "To-Path",
                    (Some(_), Some(_)) => "From-Path",
                };
                let fault = fault.unwrap_or(FrameFault::Missing(missing));
                let failure_report = self.failure_report;
                let head = Self { kind, to_path, from_path, failure_report, ..Self::default() };
                Err(head.refuse(tid, fault))
            }
        }
    }

    /// Gives up on the frame.
    pub(super) fn refuse(self, tid: TransactionId, fault: FrameFault) -> ParseError {
        ParseError::Frame(Box::new(BadFrame {
            fault,
            tid,
            to_path: self.to_path,
            from_path: self.from_path,
            kind: self.kind,
            failure_report: self.failure_report.unwrap_or_default(),
        }))
    }

    fn start(&mut self, frame: &Bytes, line: &[u8]) -> Result<(), FrameFault> {
        let (_, (_, what)) = start_line(line).map_err(|_| FrameFault::StartLine)?;
        let text = |bytes: &[u8]| text(frame, bytes);
        self.kind = Some(match what {
            What::Method(b"SEND") => Kind::Request(Method::Send),
            What::Method(b"REPORT") => Kind::Request(Method::Report),
            What::Method(b"AUTH") => Kind::Request(Method::Auth),
            What::Method(b"NICKNAME") => Kind::Request(Method::Nickname),
            What::Method(other) => Kind::Request(Method::Other(text(other)?)),
            What::Verdict(Verdict { code, comment }) => {
                Kind::Response { code, comment: comment.map(text).transpose()? }
            }
        });
        Ok(())
    }

    fn field(&mut self, frame: &Bytes, line: &[u8]) -> Result<(), FrameFault> {
        let (_, (name, value)) = header(line).map_err(|_| FrameFault::HeaderSyntax)?;
        let value = text(frame, value.trim_ascii())?;
        match Known::of(name) {
            Some(Known::ToPath) => once(&mut self.to_path, "To-Path", Path::read(&value)?),
            Some(Known::FromPath) => once(&mut self.from_path, "From-Path", Path::read(&value)?),
            Some(Known::MessageId) => once(&mut self.message_id, "Message-ID", value),
            Some(Known::ContentType) => once(&mut self.content_type, "Content-Type", value),
            Some(Known::ByteRange) => match byte_range(value.as_bytes()) {
                Ok((_, range)) => once(&mut self.byte_range, "Byte-Range", range),
                Err(_) if self.is_send() => Err(FrameFault::ByteRange),
                // Elsewhere the range is a remark only, and some peers garble it.
                Err(_) => Ok(()),
            },
            Some(Known::SuccessReport) => {
                // Whatever is not "yes" is the default (RFC 4975 section 7.1.1).
                let yes = value.as_str().eq_ignore_ascii_case("yes");
                once(&mut self.success_report, "Success-Report", yes)
            }
            Some(Known::FailureReport) => {
                let wish = failure_report(value.as_str());
                once(&mut self.failure_report, "Failure-Report", wish)
            }
            Some(Known::Status) => match status(value.as_bytes()) {
                Ok((_, (namespace, Verdict { code, comment }))) => {
                    let comment = comment.map(|bytes| text(frame, bytes)).transpose()?;
                    once(&mut self.status, "Status", Status { namespace, code, comment })
                }
                // A REPORT without a readable status says nothing; nobody is to be told.
                Err(_) => Ok(()),
            },
            None => {
                self.headers.push(Header { name: text(frame, name)?, value });
                Ok(())
            }
        }
    }

    fn is_send(&self) -> bool {
        matches!(self.kind, Some(Kind::Request(Method::Send)))
    }
}

/// Reads `MSRP`, a space and the transaction identifier with the space behind it.
pub(super) fn transaction(input: &[u8]) -> IResult<&[u8], &[u8]> {
    terminated(preceded(tag("MSRP "), take_while1(|byte: u8| byte.is_ascii_graphic())), char(' '))
        .parse(input)
}

/// The header fields that have a place of their own in a [`Frame`].
#[derive(Clone, Copy)]
enum Known {
    ToPath,
    FromPath,
    MessageId,
    ByteRange,
    SuccessReport,
    FailureReport,
    Status,
    ContentType,
}

impl Known {
    fn of(name: &[u8]) -> Option<Self> {
        let (candidate, spelling): (Self, &[u8]) = match name.len() {
            6 => (Self::Status, b"Status"),
            7 => (Self::ToPath, b"To-Path"),
            9 => (Self::FromPath, b"From-Path"),
            10 if name.starts_with(b"M") || name.starts_with(b"m") => {
                (Self::MessageId, b"Message-ID")
            }
            10 => (Self::ByteRange, b"Byte-Range"),
            12 => (Self::ContentType, b"Content-Type"),
            14 if name.starts_with(b"S") || name.starts_with(b"s") => {
                (Self::SuccessReport, b"Success-Report")
            }
            14 => (Self::FailureReport, b"Failure-Report"),
            _ => return None,
        };
        name.eq_ignore_ascii_case(spelling).then_some(candidate)
    }
}

/// The end of a start line.
#[derive(Clone, Copy)]
enum What<'a> {
    Method(&'a [u8]),
    Verdict(Verdict<'a>),
}

/// A code with its remark.
#[derive(Clone, Copy)]
struct Verdict<'a> {
    code: u16,
    comment: Option<&'a [u8]>,
}

fn line(input: &[u8]) -> IResult<&[u8], &[u8]> {
    terminated(take_until("\r\n"), tag("\r\n")).parse(input)
}

fn start_line(line: &[u8]) -> IResult<&[u8], (&[u8], What<'_>)> {
    let method = map(take_while1(is_token), What::Method);
    all_consuming((transaction, alt((map(verdict, What::Verdict), method)))).parse(line)
}

fn header(line: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
    separated_pair(take_while1(is_token), char(':'), rest).parse(line)
}

fn byte_range(input: &[u8]) -> IResult<&[u8], ByteRange> {
    let place = || alt((value(None, char('*')), map(number, Some)));
    let parts = (terminated(number, char('-')), terminated(place(), char('/')), place());
    all_consuming(map(parts, |(start, end, total)| ByteRange { start, end, total })).parse(input)
}

fn status(input: &[u8]) -> IResult<&[u8], (u16, Verdict<'_>)> {
    separated_pair(three_digits, spaces, verdict).parse(input)
}

fn verdict(input: &[u8]) -> IResult<&[u8], Verdict<'_>> {
    let remark = map(preceded(spaces, rest), |remark: &[u8]| remark.trim_ascii());
    let comment = map(opt(remark), |remark| remark.filter(|remark| !remark.is_empty()));
    let parts = all_consuming((three_digits, comment));
    map(parts, |(code, comment)| Verdict { code, comment }).parse(input)
}

fn three_digits(input: &[u8]) -> IResult<&[u8], u16> {
    let digits = take_while_m_n(3, 3, |byte: u8| byte.is_ascii_digit());
    map_opt(digits, |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok()).parse(input)
}

fn number(input: &[u8]) -> IResult<&[u8], u64> {
    map_opt(digit1, |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok()).parse(input)
}

fn spaces(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(|byte| byte == b' ').parse(input)
}

/// The `token` of RFC 4975 section 9.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(
            byte,
            b'"' | b'('
                | b')'
                | b','
                | b'/'
                | b':'
                | b';'
                | b'<'
                | b'='
                | b'>'
                | b'?'
                | b'@'
                | b'['
                | b'\\'
                | b']'
        )
}

fn failure_report(text: &str) -> FailureReport {
    let spelled = |wish: FailureReport| text.eq_ignore_ascii_case(wish.as_str());
    let wishes = [FailureReport::No, FailureReport::Partial];
    wishes.into_iter().find(|wish| spelled(*wish)).unwrap_or_default()
}

fn text(frame: &Bytes, bytes: &[u8]) -> Result<Text, FrameFault> {
    Text::read(frame.slice_ref(bytes)).ok_or(FrameFault::HeaderText)
}

fn once<T>(place: &mut Option<T>, name: &'static str, found: T) -> Result<(), FrameFault> {
    match place {
        Some(_) => Err(FrameFault::Repeated(name)),
        None => {
            *place = Some(found);
            Ok(())
        }
    }
}
