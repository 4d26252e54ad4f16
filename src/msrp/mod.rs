//! RFC 4975: frames on a stream, and a session that sends and receives messages over it, through
//! relays (RFC 4976) and in chat rooms (RFC 7701), too.
//!
//! [`Parser`] makes [`Frame`]s of bytes, [`Frame::write`] makes bytes of them, and a [`Session`]
//! decides which to send.

mod assembly;
mod event;
mod finished;
mod frame;
mod framing;
mod head;
mod limits;
mod marks;
mod nickname;
mod outbox;
mod parse;
mod relay;
mod repeated;
mod reports;
mod session;
mod text;
mod uri;
mod write;

pub use event::{Broken, Event, Incoming, Input, Outgoing, Output, SendError, Setup};
pub use frame::{
    ByteRange, Continuation, FailureReport, Frame, Header, Kind, Method, Status, TransactionId,
};
pub use framing::Framing;
pub use limits::Limits;
pub use nickname::{NicknameError, NicknameRequest};
pub use parse::{BadFrame, FrameFault, ParseError, Parser, StreamFault};
pub use relay::{MAX_RELAYS, RelayError, Relays};
pub use session::{Held, Session};
pub use text::Text;
pub use uri::{Matching, Path, PathError, Uri, UriError};
