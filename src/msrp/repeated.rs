//! Lines of a head that came last on a connection and are likely to come again.
//!
//! Nearly every frame repeats them octet by octet; to see that costs less than to take them apart
//! again. What is remembered is a copy: what has been read is not to be kept for it.

use bytes::Bytes;
use memchr::{memchr, memmem};

use super::frame::FailureReport;
use super::text::Text;
use super::uri::Path;

/// The lines of one connection.
#[derive(Debug, Default)]
pub(super) struct LastLines {
    pub(super) way: LastWay,
    manner: Option<Box<LastManner>>,
    /// How often another manner has come.
    other_manners: u32,
}

/// The two paths, which stand at the beginning of every head (RFC 4975 section 7.1).
#[derive(Debug, Default)]
pub(super) struct LastWay {
    /// The lines as they were spelled, with their breaks.
    lines: Bytes,
    /// To-Path and From-Path; their URIs are parts of the copy.
    paths: Option<(Path, Path)>,
    /// How often other paths have come.
    others: u32,
}

/// Lines that stand together and say what kind of message comes, and what its sender wants to hear
/// of it.
#[derive(Debug)]
pub(super) struct LastManner {
    lines: Box<[u8]>,
    count: usize,
    manner: Manner,
}

/// What such lines say.
#[derive(Debug, Clone, Default)]
pub(super) struct Manner {
    pub(super) success_report: Option<bool>,
    pub(super) failure_report: Option<FailureReport>,
    pub(super) content_type: Option<Text>,
}

impl LastLines {
    /// Forgets what is learned again soon once there is much to read.
    pub(super) fn rest(&mut self) {
        self.manner = None;
        self.other_manners = 0;
    }

    #[inline]
    pub(super) fn manner(&self) -> Option<&LastManner> {
        self.manner.as_deref()
    }

    /// Remembers lines that stood together: not a long one, and only where many have come at once.
    pub(super) fn remember_manner(&mut self, lines: &[u8], manner: &Manner) {
        self.other_manners = self.other_manners.wrapping_add(1);
        if !self.other_manners.is_multiple_of(PATIENCE) || lines.len() > LONGEST {
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

impl LastWay {
    /// Takes both lines if they have come again.
    #[inline]
    pub(super) fn repeated<'a>(&self, input: &'a [u8]) -> Option<(&'a [u8], &(Path, Path))> {
        let paths = self.paths.as_ref()?;
        Some((input.strip_prefix(&self.lines[..])?, paths))
    }

    /// Remembers two lines that were read as these paths, if they stand in their usual order; not
    /// long ones, and not each of those that take turns where sessions share a connection.
    pub(super) fn remember(&mut self, lines: &[u8], to_path: &Path, from_path: &Path) {
        let in_turns = !self.others.is_multiple_of(PATIENCE);
        self.others = self.others.wrapping_add(1);
        if in_turns || lines.len() > LONGEST {
            return;
        }
        let lines = Bytes::copy_from_slice(lines);
        let path = |line: &[u8]| {
            let value = line.get(memchr(b':', line)? + 1..)?;
            Path::read(Text::read(value.trim_ascii(), &lines)?).ok()
        };
        let line_break = memmem::find(&lines, b"\r\n").unwrap_or_default();
        let (first, second) = lines.split_at(line_break);
        let paths = path(first).zip(path(second));
        self.paths = paths.filter(|(first, second)| (first, second) == (to_path, from_path));
        self.lines = lines;
    }
}

impl LastManner {
    /// Takes the lines if they have come again, and there is room for as many fields; gives how many
    /// they are.
    #[inline]
    pub(super) fn repeated<'a>(
        &self,
        input: &'a [u8],
        room: usize,
    ) -> Option<(usize, &'a [u8], &Manner)> {
        let after = input.strip_prefix(&self.lines[..])?;
        (self.count <= room).then_some((self.count, after, &self.manner))
    }
}

impl Manner {
    /// Counts the fields that are there.
    pub(super) fn count(&self) -> usize {
        let reports =
            usize::from(self.success_report.is_some()) + usize::from(self.failure_report.is_some());
        reports + usize::from(self.content_type.is_some())
    }
}

/// How many others come before one of them is remembered instead.
const PATIENCE: u32 = 8;

/// The longest lines that are kept together, in octets: paths of some hops.
const LONGEST: usize = 1024;
