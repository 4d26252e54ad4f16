//! One connection: frames in as they are cut out of what was read, frames out as fast as they go.

use std::io;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};

use crate::bridge::Shown;
use crate::msrp::{Frame, Framing, ParseError, Parser};
use crate::store::{MsrpConnection, MsrpWire};

/// A connection with its parser.
#[derive(Debug)]
pub(super) struct Line {
    wire: Box<dyn MsrpWire>,
    parser: Parser,
    incoming: BytesMut,
    /// What the peer has shown of itself.
    pub(super) shown: Shown,
    /// The peer does not speak MSRP: what it says is not listened to any more.
    deaf: bool,
}

impl Line {
    /// Takes a connection on which nothing has come yet.
    pub(super) fn new(wire: Box<dyn MsrpWire>, framing: &Framing, shown: Shown) -> Self {
        let (parser, incoming) = (Parser::new(framing.clone()), BytesMut::new());
        Self { wire, parser, incoming, shown, deaf: false }
    }

    /// Takes a connection from where it was accepted.
    pub(super) fn resume(connection: MsrpConnection, shown: Shown) -> Self {
        let MsrpConnection { wire, parser, incoming } = connection;
        Self { wire, parser, incoming, shown, deaf: false }
    }

    /// Gives the connection away.
    pub(super) fn into_connection(self) -> MsrpConnection {
        MsrpConnection { wire: self.wire, parser: self.parser, incoming: self.incoming }
    }

    /// Gives the next frame of what was read.
    #[inline]
    pub(super) fn parsed(&mut self) -> Option<Result<Frame, ParseError>> {
        if self.deaf {
            self.incoming.clear();
            return None;
        }
        match self.parser.next(&mut self.incoming) {
            Ok(frame) => frame.map(Ok),
            Err(why) => {
                // A bad frame is refused; a stream that is none has no next frame.
                self.deaf = matches!(why, ParseError::Stream(_));
                Some(Err(why))
            }
        }
    }

    /// Tells how many bytes were read and make no frame yet.
    pub(super) fn unparsed(&self) -> usize {
        self.incoming.len()
    }

    /// Queues a frame.
    pub(super) fn push(&mut self, frame: Bytes) {
        self.wire.push(frame);
    }

    /// Queues a frame that comes in parts.
    pub(super) fn push_parts(&mut self, parts: [Bytes; 3]) {
        self.wire.push_parts(parts);
    }

    /// Queues the answer to a request, if it gets one.
    pub(super) fn answer(&mut self, request: &Frame, code: u16) {
        if let Some(answer) = request.answer(code) {
            let mut bytes = BytesMut::new();
            answer.write(&mut bytes);
            self.push(bytes.freeze());
        }
    }

    /// Queues the refusal of a bad frame, if it gets one and says where to.
    pub(super) fn refuse(&mut self, why: &ParseError) {
        if let ParseError::Frame(bad) = why
            && let Some(refusal) = bad.answer(None)
        {
            let mut bytes = BytesMut::new();
            refusal.write(&mut bytes);
            self.push(bytes.freeze());
        }
    }

    /// Tells whether more is queued than a peer that reads would leave there.
    pub(super) fn is_congested(&self) -> bool {
        self.wire.waiting() > HIGH_WATER
    }

    /// Writes what can be written without waiting; tells whether all is.
    pub(super) fn try_flush(&mut self) -> io::Result<bool> {
        match self.wire.poll_flush(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(flushed) => flushed.map(|()| true),
            Poll::Pending => Ok(false),
        }
    }

    /// Writes all that is queued.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.wire.poll_flush(cx)).await
    }

    /// Writes until so much is queued only as a peer that reads would leave there.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) async fn relieve(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| match self.wire.poll_flush(cx) {
            Poll::Ready(flushed) => Poll::Ready(flushed),
            Poll::Pending if self.is_congested() => Poll::Pending,
            Poll::Pending => Poll::Ready(Ok(())),
        })
        .await
    }

    /// Moves bytes both ways until some have come.
    ///
    /// # Errors
    /// The connection is broken, or the peer has closed it.
    pub(super) async fn transfer(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_transfer(cx)).await
    }

    fn poll_transfer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.wire.poll_flush(cx) {
            return Poll::Ready(Err(error));
        }
        // A peer that does not read its answers is not read either: TCP slows it down.
        if self.is_congested() {
            return Poll::Pending;
        }
        let read = self.wire.poll_read(cx, &mut self.incoming);
        if read.is_pending() && self.incoming.is_empty() {
            // Nothing is held for a session that is idle.
            self.incoming = BytesMut::new();
            self.parser.rest();
        }
        match ready!(read)? {
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// How many bytes may wait to leave before reading stops.
const HIGH_WATER: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::IoSlice;
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::super::wire::ByteWire;
    use super::*;
    use crate::msrp::Limits;

    /// A connection on which one piece of bytes comes, and nothing after it.
    #[derive(Debug)]
    struct Once(Option<&'static [u8]>);

    impl MsrpWire for Once {
        fn poll_read(
            &mut self,
            _cx: &mut Context<'_>,
            into: &mut BytesMut,
        ) -> Poll<io::Result<usize>> {
            into.reserve(64 * 1024);
            let Some(bytes) = self.0.take() else { return Poll::Pending };
            into.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn push(&mut self, _frame: Bytes) {}

        fn waiting(&self) -> usize {
            0
        }

        fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A stream that counts the system calls it would be.
    #[derive(Debug, Clone, Default)]
    struct Counted(Arc<Mutex<(usize, Vec<u8>)>>);

    impl AsyncRead for Counted {
        fn poll_read(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            _into: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Counted {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let mut seen = self.0.lock().unwrap();
            seen.0 += 1;
            slices.iter().for_each(|slice| seen.1.extend_from_slice(slice));
            Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// However many they are, and with a large chunk of ours between them.
    #[test]
    fn what_is_queued_together_leaves_in_one_system_call() {
        let stream = Counted::default();
        let wire = Box::new(ByteWire::new(stream.clone()));
        let mut line = Line::new(wire, &Limits::default().into(), Shown::default());
        for burst in 1..=3 {
            for number in 0..200 {
                let length = if number == 100 { 50_000 } else { 170 };
                line.push(vec![b'x'; length].into());
            }
            assert!(line.try_flush().unwrap());
            let (calls, bytes) = &*stream.0.lock().unwrap();
            assert_eq!((*calls, bytes.len()), (burst, burst * (199 * 170 + 50_000)));
        }
    }

    #[test]
    fn a_connection_on_which_nothing_happens_holds_no_buffer() {
        let frame = b"MSRP t SEND\r\nTo-Path: msrp://a:1/s;tcp\r\nFrom-Path: msrp://b:1/t;tcp\r\n\
                      -------t$\r\n";
        for (bytes, is_whole) in [(&frame[..], true), (&frame[..20], false)] {
            let wire = Box::new(Once(Some(bytes)));
            let mut line = Line::new(wire, &Limits::default().into(), Shown::default());
            let mut cx = Context::from_waker(Waker::noop());
            assert!(line.poll_transfer(&mut cx).is_ready());
            assert_eq!(line.parsed().is_some(), is_whole);
            assert!(line.poll_transfer(&mut cx).is_pending());
            assert_eq!(line.incoming.capacity() == 0, is_whole);
            assert_eq!(line.unparsed(), if is_whole { 0 } else { 20 });
        }
    }

    /// What a session costs beside its task, its inbox, its socket and what is under way.
    #[test]
    fn an_idle_session_is_small() {
        use crate::msrp::Session;
        use crate::net::MsrpLink;
        assert!(size_of::<Line>() + size_of::<MsrpLink>() + size_of::<Session>() <= 1200);
    }
}
