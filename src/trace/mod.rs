//! Recorded traffic: bytes of a capture or of a log in, the messages that were said out.
//!
//! A [`Reader`] is fed the bytes of a file in pieces and drained of what it finds: SIP, MSRP and
//! HTTP messages with their time, their two ends and the number of the packet that completed them,
//! and warnings that name the packet they are about. What a file is, its content tells, never its
//! name: `pcap` and `pcapng` are the captures, `text` the logs of other tools, whose entries
//! `separator` tells apart and whose line breaks `relined` restores, `inflate` undoes gzip. From a frame of a capture, `link` finds the IP packet, `ip` reads it, `fragments` puts
//! datagrams together and `streams` the two directions of a TCP connection, `network` drives these
//! four; `framing` tells where a message begins, and `extent` where it ends. `hep` unwraps what a
//! capture agent sent on.
//!
//! What is held is bounded by [`Limits`], whatever the size of the file: a recording is as hostile
//! as a network.

mod extent;
mod field;
mod fragments;
mod framing;
mod hep;
mod inflate;
mod ip;
mod link;
mod moment;
mod network;
mod pcap;
mod pcapng;
mod reader;
mod relined;
mod separator;
mod streams;
mod text;
mod warning;

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

pub use framing::{Cut, Framer};
pub use moment::Moment;
pub use reader::{Format, Found, Reader, Summary};
pub use warning::{Fault, Warning};

/// One message as it was recorded, in the bytes of the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// When its last byte was seen.
    pub at: Moment,
    /// Who sent it.
    pub from: End,
    /// Whom it was sent to.
    pub to: End,
    /// What carried it.
    pub transport: Transport,
    /// The language it is in.
    pub protocol: Protocol,
    /// The packet of the capture, or the entry of the log, that completed it; the first is 1.
    pub packet: u64,
    /// The message, bit by bit, without what lay between it and its neighbours.
    pub bytes: Bytes,
}

/// One end of a recorded message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// An address of the recorded network.
    At(SocketAddr),
    /// The program that wrote the log, where the log does not tell its address.
    Writer,
    /// The one that the log's writer talked to, where the log does not tell its address.
    Peer,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Writer => f.write_str("writer of the log"),
            Self::Peer => f.write_str("its peer"),
        }
    }
}

/// What carried a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A stream.
    Tcp,
    /// A stream under TLS, as logs tell of it and as capture agents see it.
    Tls,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        })
    }
}

/// The language of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// RFC 3261.
    Sip,
    /// RFC 4975.
    Msrp,
    /// RFC 9112, of which a chat's REST calls are made.
    Http,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sip => "SIP",
            Self::Msrp => "MSRP",
            Self::Http => "HTTP",
        })
    }
}

/// What a recording may make its reader hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a packet; a capture that claims more is damaged.
    pub packet: usize,
    /// Bytes of a message; a longer one is passed over with a warning.
    pub message: usize,
    /// Directions of TCP connections that are followed at a time; where there are more, those that
    /// have been silent for longest are forgotten.
    pub streams: usize,
    /// Bytes of one direction held behind a gap until what is missing is given up.
    pub ahead: usize,
    /// Bytes held for all streams together.
    pub held: usize,
    /// Fragmented datagrams that are put together at a time.
    pub datagrams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            packet: 16 * 1024 * 1024,
            message: 4 * 1024 * 1024,
            streams: 16 * 1024,
            ahead: 256 * 1024,
            held: 64 * 1024 * 1024,
            datagrams: 256,
        }
    }
}
