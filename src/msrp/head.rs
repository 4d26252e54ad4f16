//! The start line and header section of a frame, read with nom (RFC 4975 section 9).

use std::mem;

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

/// The lines that came last and are likely to come again. On a connection nearly every frame repeats
/// them octet by octet; to see that costs less than to take them apart again.
#[derive(Debug, Default)]
pub(super) struct LastLines {
    to_path: LastPath,
    from_path: LastPath,
    manner: Option<Box<LastManner>>,
    /// How often another manner has come.
    other_manners: u32,
}

/// Lines that say what kind of message comes, and what its sender wants to hear of it.
#[derive(Debug)]
struct LastManner {
    /// The lines as they were spelled, with their breaks. A copy as well.
    lines: Box<[u8]>,
    count: usize,
    manner: Manner,
}

/// What such lines say.
#[derive(Debug, Clone, Default)]
struct Manner {
    success_report: Option<bool>,
    failure_report: Option<FailureReport>,
    content_type: Option<Text>,
}

impl Manner {
    /// Counts the fields that are there.
    fn count(&self) -> usize {
        let reports =
            usize::from(self.success_report.is_some()) + usize::from(self.failure_report.is_some());
        reports + usize::from(self.content_type.is_some())
    }
}

impl LastLines {
    /// Forgets what is learned again soon once there is much to read.
    pub(super) fn rest(&mut self) {
        self.manner = None;
        self.other_manners = 0;
    }

    /// Remembers lines that stood together: not a long one, and only where many have come at once.
    fn remember(&mut self, lines: &[u8], manner: &Manner) {
        self.other_manners = self.other_manners.wrapping_add(1);
        if !self.other_manners.is_multiple_of(PATIENCE) || lines.len() > LONGEST_LAST {
            return;
        }
        let content_type = manner.content_type.as_ref();
        let content_type = content_type.map(|it| Text::copied(it.as_bytes()));
        self.manner = Some(Box::new(LastManner {
            lines: lines.into(),
            count: manner.count(),
            manner: Manner { content_type, ..*manner },
        }));
    }
}

#[derive(Debug, Default)]
struct LastPath {
    /// The field as it was spelled, with its line break. A copy: what has been read is not to be
    /// kept for it.
    line: Bytes,
    /// Its URIs are parts of the copy.
    path: Option<Path>,
    /// How often another path has come.
    others: u32,
}

impl LastPath {
    /// Takes the line if it has come again.
    #[inline]
    fn repeated<'a>(&self, input: &'a [u8]) -> Option<(&'a [u8], &Path)> {
        Some((input.strip_prefix(&self.line[..])?, self.path.as_ref()?))
    }

    /// Reads a path, and remembers it with the line it came in; not a long one, and not each of
    /// those that take turns where sessions share a connection.
    fn read(&mut self, source: Source<'_>, line: &[u8], value: &[u8]) -> Result<Path, FrameFault> {
        let in_turns = !self.others.is_multiple_of(PATIENCE);
        self.others = self.others.wrapping_add(1);
        if in_turns || line.len() > LONGEST_LAST {
            return Ok(Path::read(source.text(value)?)?);
        }
        let kept = Bytes::from([line, b"\r\n"].concat());
        let at = (value.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
        let value = kept.get(at..at + value.len()).unwrap_or_default();
        let path = Path::read(Text::plain(value, &kept))?;
        self.path = Some(path.clone());
        self.line = kept;
        Ok(path)
    }
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
        let Ok((mut input, first)) = line(section) else { return };
        self.fault = self.start(Source { frame, plain: first.plain }, first.text).err();
        let mut fields = 0_usize;
        // Where the lines begin that say the manner, as long as they stand together.
        let mut together = None;
        loop {
            if let Some(body) = input.strip_prefix(b"\r\n") {
                self.body_at = Some(start + section.len() - body.len());
                if let (Some(lines), None) = (together, self.fault) {
                    last.remember(before(lines, input), &self.manner);
                }
                return;
            }
            let room = limits.max_headers.saturating_sub(fields);
            if let Some((count, after)) = self.repeated(input, last, room) {
                (input, fields, together) = (after, fields + count, None);
                continue;
            }
            fields += 1;
            let Ok((after, line)) = line(input) else { return };
            let known = self.manner.count();
            let outcome = if fields > limits.max_headers {
                Err(FrameFault::TooManyHeaders)
            } else {
                self.field(Source { frame, plain: line.plain }, line.text, last)
            };
            if let Err(fault) = outcome {
                self.fault.get_or_insert(fault);
            }
            together = match (self.manner.count() > known, known) {
                (true, 0) => Some(input),
                (true, _) => together,
                (false, _) => None,
            };
            input = after;
        }
    }

    /// Takes lines that are there for the first time in this frame, but not on this connection, if
    /// there is room for so many; gives how many they are, and what follows.
    #[inline]
    fn repeated<'a>(
        &mut self,
        input: &'a [u8],
        last: &LastLines,
        room: usize,
    ) -> Option<(usize, &'a [u8])> {
        let first = input.first()?;
        let (place, path) = match first {
            b'T' | b't' => (&mut self.to_path, &last.to_path),
            b'F' | b'f' => (&mut self.from_path, &last.from_path),
            b'S' | b's' | b'C' | b'c' => {
                return self.repeated_manner(input, last.manner.as_deref()?, room);
            }
            _ => return None,
        };
        match path.repeated(input).filter(|_| place.is_none() && room > 0) {
            Some((after, path)) => {
                *place = Some(path.clone());
                Some((1, after))
            }
            // Failure-Report.
            None if first.eq_ignore_ascii_case(&b'F') => {
                self.repeated_manner(input, last.manner.as_deref()?, room)
            }
            None => None,
        }
    }

    #[inline]
    fn repeated_manner<'a>(
        &mut self,
        input: &'a [u8],
        last: &LastManner,
        room: usize,
    ) -> Option<(usize, &'a [u8])> {
        let after = input.strip_prefix(&last.lines[..])?;
        if last.count > room || self.manner.count() > 0 {
            return None;
        }
        self.manner = last.manner.clone();
        Some((last.count, after))
    }

    /// Makes a frame of it, and leaves nothing behind: a frame is large, and moved but once.
    #[inline]
    pub(super) fn complete(
        &mut self,
        tid: TransactionId,
        body: Option<Bytes>,
        flag: Continuation,
    ) -> Result<Option<Frame>, ParseError> {
        match (self.fault, self.kind.take(), self.to_path.take(), self.from_path.take()) {
            (None, Some(kind), Some(to_path), Some(from_path)) => Ok(Some(Frame {
                tid,
                kind,
                to_path,
                from_path,
                message_id: self.message_id.take(),
                byte_range: self.byte_range,
                success_report: self.manner.success_report,
                failure_report: self.manner.failure_report,
                status: self.status.take(),
                headers: mem::take(&mut self.headers),
                content_type: self.manner.content_type.take(),
                body,
                flag,
            })),
            (fault, kind, to_path, from_path) => {
                let missing = match (&kind, &to_path) {
                    (None, _) => "start line",
                    (Some(_), None) => "To-Path",
                    (Some(_), Some(_)) => "From-Path",
                };
                let fault = fault.unwrap_or(FrameFault::Missing(missing));
                let failure_report = self.manner.failure_report;
                let manner = Manner { failure_report, ..Manner::default() };
                let head = Self { kind, to_path, from_path, manner, ..Self::default() };
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
    fn field(
        &mut self,
        source: Source<'_>,
        line: &[u8],
        last: &mut LastLines,
    ) -> Result<(), FrameFault> {
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
            Known::ToPath => {
                once(&mut self.to_path, "To-Path", last.to_path.read(source, line, value)?)
            }
            Known::FromPath => {
                once(&mut self.from_path, "From-Path", last.from_path.read(source, line, value)?)
            }
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
    if let Some(range) = plain_range(input) {
        return Ok((b"", range));
    }
    let parts = (terminated(number, char('-')), terminated(place, char('/')), place);
    all_consuming(map(parts, |(start, end, total)| ByteRange { start, end, total })).parse(input)
}

/// Reads nearly every range: three numbers of a few digits.
#[inline]
fn plain_range(input: &[u8]) -> Option<ByteRange> {
    let (start, rest) = few_digits(input)?;
    let (end, rest) = few_digits(rest.strip_prefix(b"-")?)?;
    let (total, rest) = few_digits(rest.strip_prefix(b"/")?)?;
    rest.is_empty().then_some(ByteRange { start, end: Some(end), total: Some(total) })
}

/// Takes a number that is too short to be too large.
#[inline]
fn few_digits(input: &[u8]) -> Option<(u64, &[u8])> {
    let (mut rest, mut sum) = (input, 0_u64);
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        sum = 10 * sum + u64::from(digit - b'0');
        rest = after;
        if input.len() - rest.len() > FEW_DIGITS {
            return None;
        }
    }
    (rest.len() < input.len()).then_some((sum, rest))
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

/// How many other paths come before one of them is remembered instead.
const PATIENCE: u32 = 8;

/// The longest line with a path that is kept, in octets: a path of some hops.
const LONGEST_LAST: usize = 512;
