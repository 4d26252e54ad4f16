//! Frames on a stream of bytes: TCP, or TLS over it.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::store::MsrpWire;

/// A stream of bytes that carries frames.
#[derive(Debug)]
pub(super) struct ByteWire<S> {
    stream: S,
    /// How much is read next, in bytes.
    room: usize,
    /// How many bytes were read last.
    read: usize,
    /// How many frames were queued since then: nearly all of them are answers.
    answers: usize,
    outgoing: Outgoing,
    /// TLS may still hold what it has taken.
    is_held: bool,
}

impl<S> ByteWire<S> {
    pub(super) fn new(stream: S) -> Self {
        let (outgoing, room) = (Outgoing::default(), LEAST_READ);
        Self { stream, room, read: 0, answers: 0, outgoing, is_held: false }
    }
}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Unpin> MsrpWire for ByteWire<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        let room = self.room.min(most_read(self.read, self.answers));
        into.reserve(room);
        // What is read into is as long as it happens to be, and no more of it is taken than wanted.
        let read = ready!(pin!(self.stream.read_buf(&mut into.limit(room))).poll(cx))?;
        (self.room, self.read, self.answers) = (next_room(room, read), read, 0);
        Poll::Ready(Ok(read))
    }

    fn push(&mut self, frame: Bytes) {
        self.answers += 1;
        self.outgoing.push(frame);
    }

    fn push_parts(&mut self, parts: [Bytes; 3]) {
        self.answers += 1;
        parts.into_iter().for_each(|part| self.outgoing.push(part));
    }

    fn waiting(&self) -> usize {
        self.outgoing.length
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.outgoing.length > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let slices = self.outgoing.slices(&mut slices);
            let stream = Pin::new(&mut self.stream);
            let written = match slices {
                // A system call for one part has less to look at than one for several.
                [only] => ready!(stream.poll_write(cx, only))?,
                slices => ready!(stream.poll_write_vectored(cx, slices))?,
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(written);
            self.is_held = true;
        }
        if self.is_held {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_held = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// Tells how much to read after a read of so many bytes: small messages need no large buffer, and
/// what comes in large pieces is read in large pieces.
fn next_room(room: usize, read: usize) -> usize {
    if read >= room {
        MOST_READ.min(4 * room)
    } else if read < room / 4 {
        LEAST_READ.max(room / 2)
    } else {
        room
    }
}

/// Tells how much to read at most after so many bytes that were answered by so many frames: a peer
/// that has much to send is answered a part of it while it is still sending the rest, and both work
/// at the same time. What is not answered, as the beginning of a long frame, is read as it comes.
fn most_read(read: usize, answers: usize) -> usize {
    read.checked_div(answers).map_or(MOST_READ, |each| (each * AT_ONCE).clamp(FEW_READ, MOST_READ))
}

/// How many requests are answered at once, by about.
const AT_ONCE: usize = 20;
/// How much is read at once, in bytes, however short what has come was.
const FEW_READ: usize = 8 * 1024;

/// How much is read at once at least, in bytes: most texts, and no more than allocators keep at
/// hand.
const LEAST_READ: usize = 1024;
/// How much is read at once at most, in bytes: a little less than what an allocator takes for an
/// occasion to tidy up when it is given back.
const MOST_READ: usize = 60 * 1024;
/// How many parts leave at once.
const SLICES: usize = 16;

/// What waits to leave: small frames together, large ones as they are.
#[derive(Debug, Default)]
struct Outgoing {
    /// What waits alone, and is not copied.
    only: Bytes,
    parts: VecDeque<Bytes>,
    /// What stands behind the parts.
    tail: BytesMut,
    length: usize,
    /// How many bytes were queued since there were none.
    queued: usize,
    /// How many that were the last time: there will be about as many again.
    burst: usize,
}

impl Outgoing {
    fn push(&mut self, frame: Bytes) {
        let is_first = self.length == 0;
        self.length += frame.len();
        self.queued += frame.len();
        if is_first {
            self.only = frame;
            return;
        }
        if !self.only.is_empty() {
            let first = std::mem::take(&mut self.only);
            self.append(first);
        }
        self.append(frame);
    }

    fn append(&mut self, frame: Bytes) {
        if frame.len() <= COPIED {
            if self.tail.capacity() - self.tail.len() < frame.len() {
                self.tail.reserve(frame.len().max(self.burst));
            }
            self.tail.extend_from_slice(&frame);
            return;
        }
        if !self.tail.is_empty() {
            self.parts.push_back(self.tail.split().freeze());
        }
        self.parts.push_back(frame);
    }

    fn slices<'a, 'b>(&'a self, room: &'b mut [IoSlice<'a>; SLICES]) -> &'b [IoSlice<'a>] {
        let only = (!self.only.is_empty()).then_some(&self.only[..]);
        let tail = (!self.tail.is_empty()).then_some(&self.tail[..]);
        let parts = only.into_iter().chain(self.parts.iter().map(|part| &part[..])).chain(tail);
        let mut count = 0;
        for (slot, part) in room.iter_mut().zip(parts) {
            *slot = IoSlice::new(part);
            count += 1;
        }
        &room[..count]
    }

    fn advance(&mut self, written: usize) {
        self.length = self.length.saturating_sub(written);
        let of_only = written.min(self.only.len());
        self.only.advance(of_only);
        if self.only.is_empty() {
            self.only = Bytes::new();
        }
        let mut left = written - of_only;
        while let Some(part) = self.parts.front_mut() {
            if left < part.len() {
                part.advance(left);
                return;
            }
            left -= part.len();
            self.parts.pop_front();
        }
        self.tail.advance(left.min(self.tail.len()));
        if self.tail.is_empty() {
            // Nothing is held for a connection that is idle.
            self.tail = BytesMut::new();
        }
        if self.length == 0 {
            self.burst = std::mem::take(&mut self.queued).min(MOST_ROOM);
        }
    }
}

/// A frame of up to so many bytes is cheaper to copy than to send apart.
const COPIED: usize = 4096;
/// How much room is made at most in advance, in bytes.
const MOST_ROOM: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use futures_util::FutureExt;
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[test]
    fn reads_are_as_large_as_what_comes() {
        let mut room = LEAST_READ;
        for _ in 0..4 {
            room = next_room(room, room);
        }
        assert_eq!(room, MOST_READ);
        assert_eq!(next_room(room, room / 4), room, "what comes varies");
        for _ in 0..8 {
            room = next_room(room, 100);
        }
        assert_eq!(room, LEAST_READ);
    }

    #[test]
    fn answers_to_many_leave_before_all_are_read() {
        assert_eq!(most_read(60_000, 0), MOST_READ, "nothing is answered");
        assert_eq!(most_read(50_000, 100), 500 * AT_ONCE);
        assert_eq!(most_read(60_000, 10), MOST_READ, "they are long");
        assert_eq!(most_read(10, 100), FEW_READ, "most of it is not answers");
        // However much has come and been made room for, not more is read than that.
        let (ours, mut theirs) = tokio::io::duplex(100_000);
        let mut wire = ByteWire::new(ours);
        let (mut cx, mut into) = (Context::from_waker(Waker::noop()), BytesMut::new());
        let mut reads = Vec::new();
        for _ in 0..6 {
            assert!(theirs.write_all(&[b'x'; 16_000]).now_or_never().is_some_and(|it| it.is_ok()));
            into.clear();
            into.reserve(100_000);
            let Poll::Ready(Ok(read)) = wire.poll_read(&mut cx, &mut into) else { panic!() };
            assert_eq!(read, into.len());
            reads.push(read);
            (0..read / 512).for_each(|_| wire.push(Bytes::from_static(b"200")));
        }
        assert_eq!(reads[..4], [LEAST_READ, 4 * LEAST_READ, 512 * AT_ONCE, 512 * AT_ONCE]);
    }

    #[test]
    fn what_leaves_keeps_its_order_however_it_is_cut() {
        let frames = [10, 5000, 20, 30, 9000, 4096, 4097, 1];
        for step in [1, 7, 4096, 5000, 100_000] {
            let mut outgoing = Outgoing::default();
            let mut expected = Vec::new();
            for (at, length) in frames.into_iter().enumerate() {
                let frame = vec![u8::try_from(at).unwrap_or(0); length];
                expected.extend_from_slice(&frame);
                outgoing.push(frame.into());
            }
            let mut seen = Vec::new();
            while outgoing.length > 0 {
                let mut room = [IoSlice::new(&[]); SLICES];
                let all: Vec<u8> =
                    outgoing.slices(&mut room).iter().flat_map(|slice| slice.to_vec()).collect();
                let written = step.min(all.len());
                seen.extend_from_slice(&all[..written]);
                outgoing.advance(written);
            }
            assert_eq!(seen, expected);
            assert!(outgoing.tail.capacity() == 0 && outgoing.parts.is_empty());
            assert!(outgoing.only.is_empty());
        }
    }
}
