//! How long a message is whose first line is there.
//!
//! It is read on from where the last look ended, so that the work is as the bytes, however few of
//! them come at a time: a recording of one-byte segments must not keep its reader busy for hours.

use memchr::{memchr, memchr2, memmem};

use super::Protocol;

/// The extent of a message under way.
#[derive(Debug)]
pub(super) struct Extent {
    protocol: Protocol,
    known: Known,
    /// Bytes in which what is looked for now is known not to end.
    searched: usize,
}

/// What is known of it.
#[derive(Debug)]
enum Known {
    /// How a frame ends, but for the flag: its last line (RFC 4975 section 7.1), with the line break
    /// before it.
    EndLine(Box<memmem::Finder<'static>>),
    /// There is a head, and it is not whole.
    Head,
    /// A chunk begins at this place (RFC 9112 section 7.1).
    Chunk(usize),
    /// The last chunk is over, and at this place begins a line behind it.
    Trailer(usize),
    /// All that there is to know.
    Length(usize),
}

impl Extent {
    /// Makes that of an MSRP frame by its first line; `None` where there is no transaction id.
    pub(super) fn of_frame(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"MSRP ")?;
        let tid = &rest[..memchr2(b' ', b'\r', rest)?];
        let fits = (1..=MAX_TRANSACTION_ID).contains(&tid.len());
        let end_line = memmem::Finder::new(&[b"\n-------", tid].concat()).into_owned();
        let known = Known::EndLine(Box::new(end_line));
        fits.then_some(Self { protocol: Protocol::Msrp, known, searched: 0 })
    }

    /// Makes that of a message that tells in its head how long its body is.
    pub(super) fn of_head(protocol: Protocol) -> Self {
        Self { protocol, known: Known::Head, searched: 0 }
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Looks at the message, as far as it is there, which is never less than the last time; gives
    /// its length, which may be more than is there. A head without end is endless.
    pub(super) fn length(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            self.known = match &self.known {
                Known::EndLine(end_line) => {
                    return end_of_frame(bytes, end_line, &mut self.searched);
                }
                Known::Head => match head_length(bytes, self.searched) {
                    Some(head) => {
                        self.searched = head;
                        behind_head(&bytes[..head])
                    }
                    None => {
                        self.searched = bytes.len().saturating_sub(3);
                        return (bytes.len() > MAX_HEAD).then_some(usize::MAX);
                    }
                },
                &Known::Chunk(at) => {
                    let end = self.line_end(bytes)?;
                    self.behind_size(at, &bytes[at..end])
                }
                &Known::Trailer(at) => {
                    let end = self.line_end(bytes)?;
                    self.searched = end + 1;
                    match bytes[at..end].trim_ascii().is_empty() {
                        true => Known::Length(end + 1),
                        false => Known::Trailer(end + 1),
                    }
                }
                Known::Length(length) => return Some(*length),
            };
        }
    }

    /// Tells what follows the line with a chunk's size. What is no size ends the message before
    /// it: the next one is looked for there.
    fn behind_size(&mut self, begin: usize, line: &[u8]) -> Known {
        let text = std::str::from_utf8(line).unwrap_or_default();
        let digits = text.split(';').next().unwrap_or_default().trim();
        let behind = begin + line.len() + 1;
        let (known, next) = match usize::from_str_radix(digits, 16) {
            Err(_) => return Known::Length(begin),
            Ok(0) => (Known::Trailer(behind), behind),
            Ok(size) => {
                let next = behind.saturating_add(size).saturating_add(2);
                (Known::Chunk(next), next)
            }
        };
        self.searched = next;
        known
    }

    /// Finds the end of the line under way.
    fn line_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let end = line_end(bytes, self.searched);
        if end.is_none() {
            self.searched = self.searched.max(bytes.len());
        }
        end
    }
}

/// Finds the end of a frame: its end-line, a flag and a line break.
fn end_of_frame(
    bytes: &[u8],
    end_line: &memmem::Finder<'_>,
    searched: &mut usize,
) -> Option<usize> {
    let (mut at, length) = (*searched, end_line.needle().len());
    while let Some(found) = end_line.find(bytes.get(at..)?) {
        let begin = at + found;
        note(found + length);
        let end = begin + length;
        match (bytes.get(end), bytes.get(end + 1), bytes.get(end + 2)) {
            (Some(b'$' | b'+' | b'#'), Some(b'\r'), Some(b'\n')) => return Some(end + 3),
            (Some(b'$' | b'+' | b'#'), Some(b'\n'), _) => return Some(end + 2),
            (None, ..) | (Some(b'$' | b'+' | b'#'), None, _) | (_, Some(b'\r'), None) => {
                *searched = begin;
                return None;
            }
            (Some(_), ..) => at = begin + 1,
        }
    }
    note(bytes.len() - at);
    *searched = bytes.len().saturating_sub(length).max(at);
    None
}

fn behind_head(head: &[u8]) -> Known {
    if is_chunked(head) {
        return Known::Chunk(head.len());
    }
    Known::Length(head.len().saturating_add(body_length(head).unwrap_or_default()))
}

/// Gives the length of a head with the empty line behind it; lines may end with a bare LF.
pub(super) fn head_length(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at = line_end(bytes, at)? + 1;
        match bytes.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}

/// Finds the next line break.
pub(super) fn line_end(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let end = memchr(b'\n', rest);
    note(end.unwrap_or(rest.len()));
    end.map(|end| from + end)
}

/// Reads `Content-Length`, or `l` for short.
pub(super) fn body_length(head: &[u8]) -> Option<usize> {
    let value = field(head, b"content-length").or_else(|| field(head, b"l"))?;
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&value[..digits]).ok()?.parse().ok()
}

fn is_chunked(head: &[u8]) -> bool {
    let coding = field(head, b"transfer-encoding");
    coding.is_some_and(|value| value.to_ascii_lowercase().ends_with(b"chunked"))
}

/// Gives the value of the first field of that name (in lower case).
fn field<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    note(head.len());
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.trim_ascii_start().strip_prefix(b":")?;
        found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
    })
}

/// Notes that so many bytes were looked at.
#[cfg(not(test))]
pub(super) const fn note(_bytes: usize) {}

#[cfg(test)]
pub(super) fn note(bytes: usize) {
    tests::LOOKED.with(|looked| looked.set(looked.get() + 1 + bytes));
}

const MAX_HEAD: usize = 128 * 1024;
/// RFC 4975 section 9 has 32; some exceed it.
const MAX_TRANSACTION_ID: usize = 128;

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use crate::trace::{Cut, Framer};

    thread_local! {
        /// Bytes looked at by this thread.
        pub(in crate::trace) static LOOKED: Cell<usize> = const { Cell::new(0) };
    }

    const CHUNKED: &str = "POST /chat HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn twice_the_bytes_one_by_one_are_twice_the_work() {
        for (what, before, again, behind) in [
            ("chunks", CHUNKED, "1\r\nx\r\n", "0\r\n\r\n"),
            ("the extension of a chunk", &[CHUNKED, "1;"].concat(), "abcdef", "\r\nx\r\n0\r\n\r\n"),
            ("trailers", &[CHUNKED, "0\r\n"].concat(), "T: u\r\n", "\r\n"),
            ("a trailer", &[CHUNKED, "0\r\nT:"].concat(), "abcdef", "\r\n\r\n"),
            ("fields", "INVITE sip:a SIP/2.0\r\n", "X: y\r\n", "l: 0\r\n\r\n"),
            ("a field", "INVITE sip:a SIP/2.0\r\nX: ", "abcdef", "\r\nl: 0\r\n\r\n"),
            ("a first line", "INVITE sip:", "abcdef", " SIP/2.0\r\n\r\n"),
            ("a frame", "MSRP tx1 SEND\r\n\r\n", "------", "\r\n-------tx1$\r\n"),
            ("wrong ends", "MSRP t SEND\r\n\r\n", "-------t", "\r\n-------t$\r\n"),
        ] {
            let message = |count| [before, &again.repeat(count), behind].concat();
            let (once, twice) = (work(&message(600)), work(&message(1200)));
            assert!(twice < 3 * once, "{what}: {once} and {twice}");
        }
    }

    #[test]
    fn a_frame_ends_behind_a_line_break_only() {
        let tid = "-".repeat(128);
        let end = format!("-------{tid}$\r\n");
        let dashes = format!("MSRP {tid} SEND\r\n\r\n{}\r\n{end}", "-".repeat(6000));
        LOOKED.set(0);
        assert_eq!(cut(&dashes), dashes.len());
        assert!(LOOKED.get() < 3 * dashes.len(), "{}", LOOKED.get());
        for (frame, behind) in [
            ("MSRP t SEND\r\n-------t$\r\n", ""),
            ("MSRP t SEND\n-------t+\n", "more"),
            ("MSRP t SEND\r\n\r\nno -------t$\r\n\r\n-------t#\r\n", ""),
            ("MSRP -------t SEND\r\n\r\n-------t$\r\n\r\n--------------t$\r\n", "-------t$\r\n"),
        ] {
            assert_eq!(cut(&[frame, behind].concat()), frame.len(), "{frame}");
        }
    }

    fn cut(bytes: &str) -> usize {
        let cut = Framer::new(1_000_000).next(bytes.as_bytes());
        let Cut::Message(_, length) = cut else { panic!("{cut:?}") };
        length
    }

    #[test]
    fn a_head_is_read_once_however_long_its_body_takes() {
        let head = |body: usize| {
            format!("INVITE sip:a SIP/2.0\r\nX: {}\r\nl: {body}\r\n\r\n", "y".repeat(9000))
        };
        let body = "b".repeat(5000);
        let (without, with) = (work(&head(0)), work(&[head(5000), body].concat()));
        assert!(with < without + 3 * 5000, "{without} and {with}");
    }

    /// Counts the bytes looked at for a message that comes byte by byte.
    fn work(message: &str) -> usize {
        LOOKED.set(0);
        let mut framer = Framer::new(1_000_000);
        for end in 1..message.len() {
            assert_eq!(framer.next(&message.as_bytes()[..end]), Cut::Need, "{end} of {message}");
        }
        let whole = framer.next(message.as_bytes());
        assert!(matches!(whole, Cut::Message(_, length) if length == message.len()), "{whole:?}");
        LOOKED.get()
    }
}
