//! How much of everything a peer may ask for.

use std::time::Duration;

/// The bounds that the parser and the session keep, whatever the network says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest message taken in, assembled, in octets.
    pub max_message: usize,
    /// The largest body of one incoming chunk; RFC 4975 section 7.1.1 wants it to equal the
    /// largest message.
    pub max_chunk_in: usize,
    /// The start line and header section of a frame, in octets.
    pub max_header_bytes: usize,
    /// Header fields in a frame.
    pub max_headers: usize,
    /// Incoming messages of which only a part has come.
    pub max_open_messages: usize,
    /// The largest body of one outgoing chunk. Above 2048 the chunk is announced as interruptible
    /// (RFC 4975 section 7.1.1).
    pub chunk_bytes: usize,
    /// Outgoing messages that wait for their turn or their answer.
    pub queue: usize,
    /// Outgoing chunks without an answer; some peers can take one at a time only.
    pub window: usize,
    /// How many octets those may be, by about: peers are known that hold no more than 16 352.
    pub window_bytes: usize,
    /// How long a chunk waits for its response (RFC 4975 section 7.1.1).
    pub response_wait: Duration,
    /// How long the connection may take to come about, on either side.
    pub connect_wait: Duration,
    /// How long the first SEND may stay unanswered before the session goes on without the answer.
    pub bind_wait: Duration,
    /// How long a lost connection may take to be replaced; with zero the session is over with it.
    pub grace: Duration,
    /// How long an incoming message may stand still half-way.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 4 * 1024 * 1024,
            max_chunk_in: 4 * 1024 * 1024,
            max_header_bytes: 16 * 1024,
            max_headers: 64,
            max_open_messages: 16,
            chunk_bytes: 2048,
            queue: 256,
            window: 8,
            window_bytes: 16_000,
            response_wait: Duration::from_secs(30),
            connect_wait: Duration::from_secs(30),
            bind_wait: Duration::from_secs(5),
            grace: Duration::ZERO,
            stall: Duration::from_secs(30),
        }
    }
}
