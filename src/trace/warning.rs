//! What could not be read of a recording, and where.

use std::fmt;

use thiserror::Error;

/// A fault and the packet or entry that it was found at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The number of the packet of a capture or of the entry of a log; 0 is the file as a whole.
    pub packet: u64,
    /// What is wrong there.
    pub fault: Fault,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.packet {
            0 => self.fault.fmt(f),
            packet => write!(f, "packet {packet}: {}", self.fault),
        }
    }
}

/// What is wrong with a recording.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// The content is none of the formats that are known.
    #[error("neither a capture nor a log that is known")]
    UnknownFormat,
    /// The file stops within a packet, a block or an entry.
    #[error("the file ends within it")]
    FileEnds,
    /// A length that no packet has: nobody can tell where the next one begins.
    #[error("it claims {0} bytes; reading ends here")]
    Length(u64),
    /// A block of a pcapng file that contradicts itself.
    #[error("damaged block: {0}")]
    Block(&'static str),
    /// A link type that is not known, once for each.
    #[error("link type {0} is not known; its packets are left out")]
    LinkType(u32),
    /// A header of the link, of IP, UDP or TCP that contradicts itself.
    #[error("damaged {0} header")]
    Header(&'static str),
    /// The capture kept less of the packet than there was.
    #[error("cut off by the capture: {missing} bytes are missing")]
    CutOff {
        /// How many bytes were not kept.
        missing: usize,
    },
    /// Parts of a fragmented datagram that never came together.
    #[error("{parts} fragments of an incomplete datagram")]
    Fragments {
        /// How many parts there were.
        parts: usize,
    },
    /// Bytes of a stream that were never recorded.
    #[error("{missing} bytes of a TCP stream are missing before it")]
    Gap {
        /// How many bytes are missing.
        missing: usize,
    },
    /// A stream that was under way when the recording began: of a message only the end is there.
    #[error("{missed} bytes of a TCP stream older than the recording are the end of a message")]
    Begun {
        /// How many bytes of it there are.
        missed: usize,
    },
    /// A message that the stream, the datagram or the entry ends within.
    #[error("{held} bytes of a message that does not end")]
    Unfinished {
        /// How much of it there is.
        held: usize,
    },
    /// A message beyond [`Limits::message`](super::Limits::message).
    #[error("a message beyond the limit of {limit} bytes is left out")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// More streams, or more bytes of them, than may be held: the oldest were forgotten.
    #[error("too many streams at a time: {forgotten} are forgotten")]
    Forgotten {
        /// How many.
        forgotten: usize,
    },
    /// Compressed data that cannot be undone, or that stops.
    #[error("the compressed data is damaged or ends early: {0}")]
    Compression(String),
    /// A packet of a capture agent that contradicts itself.
    #[error("damaged HEP packet")]
    Hep,
}
