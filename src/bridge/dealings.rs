//! What a talk has to do with the world: what it works with, what happens to it, what it wants done.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::access::Access;
use super::bearer::Shown;
use super::pager::Reports;
use super::settings::Settings;
use super::succession::Names;
use crate::chat::{Answer, AnswerId, Command, Extension, Notice, Refusal};
use crate::clock::Anchor;
use crate::digest::Fingerprint;
use crate::ids::{Random, SessionId};
use crate::msrp;
use crate::sip::{DialogKey, Hop, Message, Request};

/// What a conversation works with.
#[derive(Debug)]
pub struct ConversationKit {
    /// How conversations behave.
    pub settings: Arc<Settings>,
    /// How the user's requests reach the core.
    pub access: Arc<Access>,
    /// Wall time.
    pub anchor: Anchor,
    /// Randomness.
    pub random: Random,
    /// Where our INVITEs and MESSAGEs go first, best first; nowhere means straight to their target.
    pub next_hops: Vec<Hop>,
}

/// An INVITE that nobody knows yet.
#[derive(Debug)]
pub struct Arrival {
    /// The id that the new session gets.
    pub session: SessionId,
    /// The INVITE.
    pub invite: Request,
    /// Where it came from.
    pub source: Hop,
    /// Whether identities that the sender asserts are believed (RFC 3325).
    pub trusted: bool,
    /// The 1-1 session that is over once the user has accepted: its other side has extended it to
    /// the group that this INVITE is of.
    pub extends: Option<SessionId>,
}

/// What happens to a conversation.
#[derive(Debug)]
pub enum Input {
    /// An order of the application; answered by [`Output::Answer`].
    Command(Command),
    /// A SIP message of one of its dialogs.
    Sip {
        /// The message.
        message: Message,
        /// Where it came from.
        source: Hop,
    },
    /// An INVITE with which the other side, or the focus, begins the session anew
    /// ([`Succession::Renews`](super::Succession::Renews)).
    Renewal(Box<Arrival>),
    /// A SIP message could not be sent.
    SipFailed {
        /// Where it was to go.
        hop: Hop,
    },
    /// Reports on messages that came outside of any session.
    Reports(Reports),
    /// What has become of the group to which the session is extended.
    Extension(Extension),
    /// Something has happened on the MSRP connection.
    Msrp(msrp::Input),
    /// Something has happened on the connection that is to take the place of that one.
    NextMsrp(msrp::Input),
    /// Somebody has connected and named the MSRP session.
    MsrpAccepted(Shown),
    /// The instant of [`Conversation::next_timeout`](super::Conversation::next_timeout) has come.
    Timeout,
    /// The user is registered at the core no more: nothing of the session gets anywhere.
    CoreLost,
    /// The server stops.
    Stop,
}

/// What is wanted of the connection of an MSRP session that is to take the place of another one,
/// which works on until then.
#[derive(Debug, Clone, PartialEq)]
pub enum NextMsrp {
    /// Open it, to a relay of ours.
    Connect {
        /// The session-id of that MSRP session.
        session_id: String,
        /// The host of the relay.
        host: String,
        /// Its port.
        port: u16,
        /// Whether under TLS.
        secure: bool,
    },
    /// Write to it.
    Write(Bytes),
    /// Close it: nothing comes of it.
    Close,
}

/// What a conversation wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a SIP message.
    Sip {
        /// Its bytes.
        bytes: Bytes,
        /// Where it goes.
        hop: Hop,
    },
    /// Let nobody send anything new to a SIP hop for a while: it is overloaded.
    Spare {
        /// That hop.
        hop: Hop,
        /// How long.
        wait: Duration,
    },
    /// Bring the messages of this dialog here.
    Route(DialogKey),
    /// Bring the messages of this dialog here no longer.
    Unroute(DialogKey),
    /// The call of this caller has been refused: a newer INVITE of it is another call (RFC 3261
    /// section 8.1.3.5).
    EndCaller(DialogKey),
    /// The same, and what this caller sends again is not for here either.
    ForgetCaller(DialogKey),
    /// From now on an INVITE may name the session so; with nothing, none may any more.
    Names(Option<Box<Names>>),
    /// Open the MSRP connection.
    MsrpConnect {
        /// The host of the peer's path.
        host: String,
        /// The port of the peer's path.
        port: u16,
        /// Whether under TLS.
        secure: bool,
        /// The fingerprints of which the peer's certificate has to have one.
        fingerprints: Vec<Fingerprint>,
    },
    /// Write to the MSRP connection.
    MsrpWrite(Bytes),
    /// Close the MSRP connection once all is written.
    MsrpClose,
    /// Tell the user's applications.
    Notice(Notice),
    /// Tell the operator that something is not as it should be.
    Remark(&'static str),
    /// Answer the command.
    Answer(Result<Answer, Refusal>),
    /// Give the answer that was to follow later.
    LateAnswer(AnswerId, Result<Answer, Refusal>),
    /// Bring those who connect and name this MSRP session here, and no longer those who name the
    /// one before; the next connection, where there is one, is that of the session from now on.
    MsrpRoute(String),
    /// Do this with the connection that is to take the place of the one that there is.
    NextMsrp(NextMsrp),
    /// Tell the 1-1 session that is extended to this one.
    Extension {
        /// That session.
        of: SessionId,
        /// What has become of this one.
        news: Extension,
    },
}
