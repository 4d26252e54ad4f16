//! The start line and header section of a frame, read with nom (RFC 4975 section 9).

use bytes::Bytes;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while_m_n, take_while1};
use nom::character::complete::char;
use nom::combinator::{all_consuming, map, map_opt, opt, rest};
use nom::error::{Error, ErrorKind};
use nom::sequence::{preceded, separated_pair, terminated};
use nom::{Err as NomErr, IResult, Parser as _};

use super::frame::{
    ByteRange, Continuation, FailureReport, Frame, Header, Kind, Method, Status, TransactionId,
};
use super::limits::Limits;
use super::parse::{BadFrame, FrameFault, ParseError};
use super::repeated::{LastLines, Manner};
use super::text::{Text, unprintable};
use super::uri::Path;

/// What a head says, as far as it could be read.
///
/// A fault does not end the reading: whoever refuses the frame has to know where it came from and
/// whether its sender wants to hear of it.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The first thing that is wrong.
    pub(super) fault: Option<FrameFault>,
    /// Where the body begins, if there is one.
    pub(super) body_at: Option<usize>,
    kind: Option<Kind>,
    to_path: Option<Path>,
    from_path: Option<Path>,
    manner: Manner,
    message_id: Option<Text>,
    byte_range: Option<ByteRange>,
    status: Option<Status>,
    headers: Vec<Header>,
}

impl Head {
    /// Reads the header section of `frame` up to the empty line or, where there is none, up to
    /// `end`; its start line is read from behind the transaction identifier on, at `start`.
    pub(super) fn read(
        &mut self,
        frame: &Bytes,
        (start, end): (usize, usize),
        limits: &Limits,
        last: &mut LastLines,
    ) {
        let section = frame.get(start..end.min(limits.max_header_bytes)).unwrap_or_default();
        let Ok((fields, first)) = line(section) else { return };
        self.fault = self.start(Source { frame, plain: first.plain }, first.text).err();
        let (mut input, mut count) = (fields, 0_usize);
        if let Some((after, (to_path, from_path))) = last.way.repeated(fields)
            && limits.max_headers >= BOTH_PATHS
        {
            (self.to_path, self.from_path) = (Some(to_path.clone()), Some(from_path.clone()));
            (input, count) = (after, BOTH_PATHS);
        }
        // Where the lines begin that say the manner, as long as they stand together.
        let mut together = None;
        loop {
            if let Some(body) = input.strip_prefix(b"\r\n") {
                self.body_at = Some(start + section.len() - body.len());
                if let (Some(lines), None) = (together, self.fault) {
                    last.remember_manner(before(lines, input), &self.manner);
                }
                return;
            }
            let room = limits.max_headers.saturating_sub(count);
            if let Some((known, after)) = self.usual(input, frame, last, room) {
                (input, count, together) = (after, count + known, None);
                continue;
            }
            count += 1;
            let Ok((after, line)) = line(input) else { return };
            let known = self.manner.count();
            let outcome = if count > limits.max_headers {
                Err(FrameFault::TooManyHeaders)
            } else {
                self.field(Source { frame, plain: line.plain }, line.text)
            };
            if let Err(fault) = outcome {
                self.fault.get_or_insert(fault);
            }
            if count == BOTH_PATHS
                && let (Some(to_path), Some(from_path)) = (&self.to_path, &self.from_path)
            {
                last.way.remember(before(fields, after), to_path, from_path);
            }
            together = match (self.manner.count() > known, known) {
                (true, 0) => Some(input),
                (true, _) => together,
                (false, _) => None,
            };
            input = after;
        }
    }

    /// Takes lines that look as they nearly always do, and are there for the first time in this
    /// frame, if there is room for so many; gives how many they are, and what follows.
    #[inline]
    fn usual<'a>(
        &mut self,
        input: &'a [u8],
        frame: &Bytes,
        last: &LastLines,
        room: usize,
    ) -> Option<(usize, &'a [u8])> {
        match input.first()? {
            b'S' | b's' | b'F' | b'f' | b'C' | b'c' => {
                let (count, after, manner) = last.manner()?.repeated(input, room)?;
                if self.manner.count() > 0 {
                    return None;
                }
                self.manner = manner.clone();
                Some((count, after))
            }
            b'M' if room > 0 && self.message_id.is_none() => {
                let value = input.strip_prefix(b"Message-ID: ")?;
                let (value, rest) = value.split_at(unprintable(value)?);
                let after = rest.strip_prefix(b"\r\n")?;
                // Spaces around it do not belong to it.
                if matches!(value, [] | [b' ', ..] | [.., b' ']) {
                    return None;
                }
                self.message_id = Some(Text::plain(value, frame));
                Some((1, after))
            }
            b'B' if room > 0 && self.byte_range.is_none() => {
                let (range, rest) = plain_range(input.strip_prefix(b"Byte-Range: ")?)?;
                let after = rest.strip_prefix(b"\r\n")?;
                self.byte_range = Some(range);
                Some((1, after))
            }
            _ => None,
        }
    }

    /// Makes a frame of it.
    #[inline]
    pub(super) fn complete(
        self,
        tid: TransactionId,
        body: Option<Bytes>,
        flag: Continuation,
    ) -> Result<Option<Frame>, ParseError> {
        match self {
            Self {
                fault: None,
                kind: Some(kind),
                to_path: Some(to_path),
                from_path: Some(from_path),
                manner: Manner { success_report, failure_report, content_type },
                message_id,
                byte_range,
                status,
                headers,
                ..
            } => Ok(Some(Frame {
                tid,
                kind,
                to_path,
                from_path,
                message_id,
                byte_range,
                success_report,
                failure_report,
                status,
                headers,
                content_type,
                body,
                flag,
            })),
            head => {
                let missing = match (&head.kind, &head.to_path) {
                    (None, _) => "start line",
                    (Some(_), None) => "To-Path",
                    (Some(_), Some(_)) => "From-Path",
                };
                let fault = head.fault.unwrap_or(FrameFault::Missing(missing));
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
            failure_report: self.manner.failure_report.unwrap_or_default(),
        }))
    }

    #[inline]
    fn start(&mut self, source: Source<'_>, line: &[u8]) -> Result<(), FrameFault> {
        self.kind = Some(match line {
            b"SEND" => Kind::Request(Method::Send),
            b"REPORT" => Kind::Request(Method::Report),
            b"AUTH" => Kind::Request(Method::Auth),
            b"NICKNAME" => Kind::Request(Method::Nickname),
            _ => match start_line(line).map_err(|_| FrameFault::StartLine)? {
                (_, What::Method(other)) => Kind::Request(Method::Other(source.text(other)?)),
                (_, What::Verdict(Verdict { code, comment })) => {
                    let comment = comment.map(|comment| source.text(comment)).transpose()?;
                    Kind::Response { code, comment }
                }
            },
        });
        Ok(())
    }

    #[inline]
    fn field(&mut self, source: Source<'_>, line: &[u8]) -> Result<(), FrameFault> {
        let (value, name) = name(line).map_err(|_| FrameFault::HeaderSyntax)?;
        let value = value.trim_ascii();
        let known = match name {
            Name::Known(known) => known,
            Name::Other(name) => {
                let (name, value) = (source.text(name)?, source.text(value)?);
                self.headers.push(Header { name, value });
                return Ok(());
            }
        };
        source.check(value)?;
        match known {
            Known::ToPath => once(&mut self.to_path, "To-Path", source.path(value)?),
            Known::FromPath => once(&mut self.from_path, "From-Path", source.path(value)?),
            Known::MessageId => once(&mut self.message_id, "Message-ID", source.text(value)?),
            Known::ContentType => {
                once(&mut self.manner.content_type, "Content-Type", source.text(value)?)
            }
            Known::ByteRange => match byte_range(value) {
                Ok((_, range)) => once(&mut self.byte_range, "Byte-Range", range),
                Err(_) if self.is_send() => Err(FrameFault::ByteRange),
                // Elsewhere the range is a remark only, and some peers garble it.
                Err(_) => Ok(()),
            },
            Known::SuccessReport => {
                // Whatever is not "yes" is the default (RFC 4975 section 7.1.1).
                let yes = value.eq_ignore_ascii_case(b"yes");
                once(&mut self.manner.success_report, "Success-Report", yes)
            }
            Known::FailureReport => {
                once(&mut self.manner.failure_report, "Failure-Report", failure_report(value))
            }
            Known::Status => match status(value) {
                Ok((_, (namespace, Verdict { code, comment }))) => {
                    let comment = comment.map(|comment| source.text(comment)).transpose()?;
                    once(&mut self.status, "Status", Status { namespace, code, comment })
                }
                // A REPORT without a readable status says nothing; nobody is to be told.
                Err(_) => Ok(()),
            },
        }
    }

    fn is_send(&self) -> bool {
        matches!(self.kind, Some(Kind::Request(Method::Send)))
    }
}

/// The frame that is read, and whether the line that is read is known to be text.
#[derive(Clone, Copy)]
struct Source<'a> {
    frame: &'a Bytes,
    plain: bool,
}

impl Source<'_> {
    /// Cuts text out of the frame.
    #[inline]
    fn text(self, bytes: &[u8]) -> Result<Text, FrameFault> {
        if self.plain {
            Ok(Text::plain(bytes, self.frame))
        } else {
            Text::read(bytes, self.frame).ok_or(FrameFault::HeaderText)
        }
    }

    /// Reads a path out of the frame.
    fn path(self, bytes: &[u8]) -> Result<Path, FrameFault> {
        Ok(Path::read(self.text(bytes)?)?)
    }

    /// Looks whether a value is text that is not kept.
    fn check(self, value: &[u8]) -> Result<(), FrameFault> {
        if self.plain { Ok(()) } else { self.text(value).map(drop) }
    }
}

/// Reads `MSRP`, a space and the transaction identifier with the space behind it.
#[inline]
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
    const ALL: [(Self, &'static str); 8] = [
        (Self::ToPath, "To-Path"),
        (Self::FromPath, "From-Path"),
        (Self::MessageId, "Message-ID"),
        (Self::ByteRange, "Byte-Range"),
        (Self::SuccessReport, "Success-Report"),
        (Self::FailureReport, "Failure-Report"),
        (Self::Status, "Status"),
        (Self::ContentType, "Content-Type"),
    ];

    /// Nearly every peer spells the names as the RFC does; that is looked at first, being cheap.
    #[inline]
    fn spelled_as_usual(line: &[u8]) -> Option<(&[u8], Self)> {
        let named = |name: &[u8], known| line.strip_prefix(name).map(|rest| (rest, known));
        match line.first()? {
            b'M' => named(b"Message-ID:", Self::MessageId),
            b'B' => named(b"Byte-Range:", Self::ByteRange),
            b'C' => named(b"Content-Type:", Self::ContentType),
            b'T' => named(b"To-Path:", Self::ToPath),
            b'S' => named(b"Success-Report:", Self::SuccessReport)
                .or_else(|| named(b"Status:", Self::Status)),
            b'F' => named(b"Failure-Report:", Self::FailureReport)
                .or_else(|| named(b"From-Path:", Self::FromPath)),
            _ => None,
        }
    }
}

/// The name of a header field.
#[derive(Clone, Copy)]
enum Name<'a> {
    Known(Known),
    Other(&'a [u8]),
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

/// A line without its break.
#[derive(Clone, Copy)]
struct Line<'a> {
    text: &'a [u8],
    /// Whether it is ASCII without controls other than tabs.
    plain: bool,
}

/// Takes a line. A break is both characters: neither counts alone.
#[inline]
fn line(input: &[u8]) -> IResult<&[u8], Line<'_>> {
    let (mut rest, mut plain) = (input, true);
    while let Some(at) = unprintable(rest) {
        let (_, odd) = rest.split_at(at);
        if let Some(after) = odd.strip_prefix(b"\r\n") {
            let text = input.get(..input.len() - odd.len()).unwrap_or_default();
            return Ok((after, Line { text, plain }));
        }
        plain &= odd.first() == Some(&b'\t');
        rest = odd.get(1..).unwrap_or_default();
    }
    Err(NomErr::Error(Error::new(input, ErrorKind::CrLf)))
}

fn start_line(line: &[u8]) -> IResult<&[u8], What<'_>> {
    let method = map(take_while1(is_token), What::Method);
    all_consuming(alt((map(verdict, What::Verdict), method))).parse(line)
}

/// Takes the name and the colon, and leaves the value.
#[inline]
fn name(line: &[u8]) -> IResult<&[u8], Name<'_>> {
    if let Some((value, known)) = Known::spelled_as_usual(line) {
        return Ok((value, Name::Known(known)));
    }
    let named = |name: &[u8]| {
        let same = |known: &&(Known, &str)| name.eq_ignore_ascii_case(known.1.as_bytes());
        Known::ALL.iter().find(same).map(|(known, _)| *known)
    };
    let name = |name| named(name).map_or(Name::Other(name), Name::Known);
    map(terminated(take_while1(is_token), char(':')), name).parse(line)
}

#[inline]
fn byte_range(input: &[u8]) -> IResult<&[u8], ByteRange> {
    let parts = (terminated(number, char('-')), terminated(place, char('/')), place);
    all_consuming(map(parts, |(start, end, total)| ByteRange { start, end, total })).parse(input)
}

/// Takes nearly every range: three numbers of a few digits.
#[inline]
fn plain_range(input: &[u8]) -> Option<(ByteRange, &[u8])> {
    let (start, rest) = few_digits(input)?;
    let (end, rest) = few_digits(rest.strip_prefix(b"-")?)?;
    let (total, rest) = few_digits(rest.strip_prefix(b"/")?)?;
    Some((ByteRange { start, end: Some(end), total: Some(total) }, rest))
}

/// Takes a number that is too short to be too large.
#[inline]
fn few_digits(input: &[u8]) -> Option<(u64, &[u8])> {
    let (mut sum, mut count) = (0_u64, 0);
    for digit in input.iter().map(|octet| octet.wrapping_sub(b'0')).take_while(|digit| *digit < 10)
    {
        sum = sum.wrapping_mul(10).wrapping_add(digit.into());
        count += 1;
    }
    let rest = input.get(count..)?;
    (1..=FEW_DIGITS).contains(&count).then_some((sum, rest))
}

/// How many digits make no number that 64 bits cannot hold.
const FEW_DIGITS: usize = 18;

/// Takes a number, or the star that stands for one that is not known.
fn place(input: &[u8]) -> IResult<&[u8], Option<u64>> {
    match input.strip_prefix(b"*") {
        Some(rest) => Ok((rest, None)),
        None => number(input).map(|(rest, place)| (rest, Some(place))),
    }
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
    let wrong = || NomErr::Error(Error::new(input, ErrorKind::Digit));
    let (mut rest, mut sum) = (input, 0_u64);
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        let sum_of_ten = sum.checked_mul(10);
        sum = sum_of_ten
            .and_then(|ten| ten.checked_add(u64::from(digit - b'0')))
            .ok_or_else(wrong)?;
        rest = after;
    }
    if rest.len() < input.len() { Ok((rest, sum)) } else { Err(wrong()) }
}

fn spaces(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(|byte| byte == b' ').parse(input)
}

/// The `token` of RFC 4975 section 9.
fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Looked up, for every octet of every name comes by.
static TOKEN: [bool; 256] = {
    let mut token = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        token[byte as usize] = !matches!(
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
        );
        byte += 1;
    }
    token
};

fn failure_report(text: &[u8]) -> FailureReport {
    let spelled = |wish: FailureReport| text.eq_ignore_ascii_case(wish.as_str().as_bytes());
    let wishes = [FailureReport::No, FailureReport::Partial];
    wishes.into_iter().find(|wish| spelled(*wish)).unwrap_or_default()
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

/// Gives what of `whole` stands before its end `rest`.
fn before<'a>(whole: &'a [u8], rest: &[u8]) -> &'a [u8] {
    whole.get(..whole.len().saturating_sub(rest.len())).unwrap_or_default()
}

/// How many fields the paths are.
const BOTH_PATHS: usize = 2;
