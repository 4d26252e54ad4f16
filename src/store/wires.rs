//! MSRP connections on their way from where they are accepted to the sessions that they are for.

use std::fmt::Debug;
use std::io;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use crate::bridge::Shown;
use crate::msrp::{Frame, ParseError, Parser};

/// What carries the frames of MSRP: a stream of bytes, or messages of WebSocket.
///
/// Nothing is lost when a poll is not followed by another: what a wire has not written it keeps.
pub trait MsrpWire: Debug + Send {
    /// Reads what has come and puts it behind `into`; gives how much, and 0 at the end.
    ///
    /// # Errors
    /// The connection is broken.
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>>;

    /// Queues one frame.
    fn push(&mut self, frame: Bytes);

    /// Queues one frame that comes in parts. A stream needs no copy of them; what carries messages
    /// makes one message of one frame (RFC 7977 section 5).
    fn push_parts(&mut self, parts: [Bytes; 3]) {
        self.push(parts.concat().into());
    }

    /// Tells how many bytes are queued.
    fn waiting(&self) -> usize;

    /// Writes what is queued; ready when nothing is.
    ///
    /// # Errors
    /// The connection is broken.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// An MSRP connection on which a frame has named its session.
#[derive(Debug)]
pub struct MsrpArrival {
    /// That frame.
    pub first: Frame,
    /// What the peer has shown of itself.
    pub shown: Shown,
    /// The connection, or the session's part in it.
    pub way: MsrpWay,
}

/// How a session has its connection.
#[derive(Debug)]
pub enum MsrpWay {
    /// For itself.
    Own(Box<MsrpConnection>),
    /// Together with others (RFC 4975 section 5.4).
    Shared(MsrpPort),
}

/// A connection with what is known of the bytes that have come on it.
#[derive(Debug)]
pub struct MsrpConnection {
    /// The connection.
    pub wire: Box<dyn MsrpWire>,
    /// The parser, with what it knows of the bytes in `incoming`.
    pub parser: Parser,
    /// The bytes that are not parsed yet.
    pub incoming: BytesMut,
}

/// The part that one session has in a connection; dropped, the session has left it.
#[derive(Debug)]
pub struct MsrpPort {
    /// What comes for the session, frames in boxes because there is room for many of them; closed
    /// with the connection.
    pub news: mpsc::Receiver<Result<Box<Frame>, ParseError>>,
    /// What leaves, frame by frame; all sessions of the connection share the queue.
    pub frames: mpsc::Sender<Bytes>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// What carries messages, and nothing of the rest.
    #[derive(Debug, Default)]
    struct Messages(Vec<Bytes>);

    impl MsrpWire for Messages {
        fn poll_read(&mut self, _: &mut Context<'_>, _: &mut BytesMut) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn push(&mut self, frame: Bytes) {
            self.0.push(frame);
        }

        fn waiting(&self) -> usize {
            self.0.len()
        }

        fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[test]
    fn a_frame_in_parts_is_one_message() {
        let mut wire = Messages::default();
        wire.push_parts([b"head\r\n".as_slice(), b"body", b"\r\nend"].map(Bytes::from));
        assert_eq!(wire.0, [&b"head\r\nbody\r\nend"[..]]);
    }
}
