//! What goes into a session and what comes out of it.

use bytes::Bytes;

use super::frame::{FailureReport, Frame, Header};
use super::nickname::NicknameRequest;
use super::parse::ParseError;
use super::text::Text;
use super::uri::Path;

/// Which end of the connection is ours (RFC 6135 section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// We connect.
    Active,
    /// The peer connects.
    Passive,
}

/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The Message-ID. Some peers take only 4 to 32 letters, digits, dots and hyphens.
    pub message_id: String,
    /// The media type of the body.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
    /// Whether the peer shall tell when it has the whole message.
    pub success_report: bool,
    /// What the peer shall tell of failure.
    pub failure_report: FailureReport,
}

/// A whole message that has come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The Message-ID, drawn by us where the peer gave none.
    pub message_id: Text,
    /// The media type of the body.
    pub content_type: Text,
    /// The other header fields of its first chunk, MIME fields among them.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Bytes,
    /// Whether the sender asked for a success report, which is the session's to send.
    pub success_report: bool,
    /// What the sender wants to hear of failure.
    pub failure_report: FailureReport,
}

/// Why a message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Too many messages wait already; one of them has to be settled first.
    #[error("too many messages wait for this session")]
    Full,
    /// The session is over.
    #[error("the session is closed")]
    Closed,
}

/// What happens to a session.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "frames are nearly all there is, and are moved once")]
pub enum Input {
    /// The connection stands: ours after [`Output::Connect`], or the peer's.
    Connected,
    /// The parser has read a frame.
    Frame(Frame),
    /// The parser has met an error.
    Malformed(ParseError),
    /// The connection could not be made, or is gone.
    Closed,
    /// The time given by `next_timeout` has come.
    Timeout,
}

/// What a session wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Connect to the peer.
    Connect {
        /// A name or an address, IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
        /// Whether to speak TLS.
        secure: bool,
    },
    /// Write one frame.
    Write(Bytes),
    /// Write one frame, whose parts belong behind one another with nothing between: all before its
    /// body, the body, and all behind it. Only where the owner has asked for it by
    /// [`Session::share_bodies`](super::Session::share_bodies).
    WriteParts([Bytes; 3]),
    /// Close the connection after all that was written.
    Close,
    /// Tell the owner.
    Event(Event),
}

/// What a session tells its owner.
///
/// Every message that `send` has taken gets exactly one of `Sent` and `Failed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Messages can flow.
    Bound,
    /// A message has come. Its response stands before this event, its report behind it: until then
    /// [`Session::refuse`](super::Session::refuse) makes that a bad one.
    Message(Incoming),
    /// The next hop has taken every chunk, or nothing speaks against it and nothing more can come:
    /// with partial failure reports after the response time, with none when all is written.
    Sent {
        /// The Message-ID.
        message_id: String,
    },
    /// The message did not get through, or nobody knows: 408 stands for every kind of silence.
    Failed {
        /// The Message-ID.
        message_id: String,
        /// The code of RFC 4975 section 10.
        code: u16,
        /// The remark of the peer, or ours.
        comment: Option<String>,
    },
    /// The far end has the whole message (200), or could not take it after all although the next
    /// hop had (any other code).
    Report {
        /// The Message-ID.
        message_id: String,
        /// The code of RFC 4975 section 10.
        code: u16,
        /// The remark of the peer.
        comment: Option<String>,
    },
    /// The chat room has answered to our wish for a nickname, or has not: 408.
    Nickname {
        /// What was asked for; `None` was to have none.
        nickname: Option<String>,
        /// 200, or why not: 403, 404, 423, 424, 425, 428 (RFC 7701 section 12).
        code: u16,
        /// The remark of the chat room, or ours.
        comment: Option<String>,
    },
    /// A participant asks for a nickname and waits for the answer.
    NicknameAsked(NicknameRequest),
    /// The connection is lost; another is made, or waited for: `Bound` or `Broken` tells the outcome.
    Interrupted,
    /// Relays act for this session: tell the peer this path, now and whenever it changes.
    Path(Path),
    /// The session is over, and not by our wish.
    Broken(Broken),
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The connection did not come about.
    #[error("the connection could not be made")]
    ConnectFailed,
    /// The connection is gone.
    #[error("the connection is lost")]
    Lost,
    /// The peer did not connect, or connected and sent nothing for this session.
    #[error("the peer did not bind the session")]
    BindTimeout,
    /// The peer sends what is no MSRP.
    #[error("the peer does not speak MSRP")]
    PeerMisbehaved,
    /// Relays do not, or no longer, act for us: they refuse, or are silent (408).
    #[error("the relays refuse us with {code}")]
    Relay {
        /// The code of RFC 4975 section 10 or RFC 4976.
        code: u16,
    },
    /// The peer does not know the session (481), or has it on another connection (506).
    #[error("the peer refuses the session with {code}")]
    Refused {
        /// The code of RFC 4975 section 10.
        code: u16,
    },
}
