//! Bytes to messages: datagrams and streams (RFC 3261 sections 7.3, 7.5, 18.3).

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use super::{Message, Response, ViewError};

/// What a peer may make us hold. Beyond it stands an answer, never memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireLimits {
    /// Bytes of a message, head and body.
    pub message: usize,
    /// Header fields of a message.
    pub headers: usize,
    /// Bytes of one header field, folds included.
    pub line: usize,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self { message: 64 * 1024, headers: 128, line: 16 * 1024 }
    }
}

/// What the decoder found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A message that keeps the rules.
    Message(Message),
    /// Line breaks between messages (RFC 5626 section 4.4.1).
    KeepAlive(KeepAlive),
    /// A message that breaks the rules; what follows it is intact.
    Reject {
        /// What to say to its sender: nothing to a response or an ACK.
        answer: Option<Response>,
        /// What is wrong.
        why: WireError,
    },
    /// Nobody knows where the next message begins: close the stream.
    Fatal(WireError),
}

/// Line breaks that keep a flow alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// CRLF CRLF: answer with a CRLF.
    Ping,
    /// CRLF: the answer to a ping, or white space that means nothing.
    Pong,
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// Placeholder while the decoder is written.
    #[error("not a message")]
    NotAMessage,
    /// A header that cannot be read.
    #[error("{0}")]
    View(#[from] ViewError),
}

/// Decodes one datagram.
pub fn decode_datagram(_bytes: Bytes, _limits: &WireLimits) -> Decoded {
    Decoded::Fatal(WireError::NotAMessage)
}

/// Decodes a stream.
#[derive(Debug, Clone)]
pub struct StreamDecoder {
    #[expect(dead_code, reason = "skeleton")]
    limits: WireLimits,
}

impl StreamDecoder {
    /// A decoder at the beginning of a stream.
    pub fn new(limits: WireLimits) -> Self {
        Self { limits }
    }

    /// Takes what comes next out of the buffer; `None` until more bytes are there.
    pub fn next(&mut self, _buffer: &mut BytesMut) -> Option<Decoded> {
        None
    }
}
