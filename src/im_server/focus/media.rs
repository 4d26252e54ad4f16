//! Session descriptions of the focus: MSRP over TCP, with CPIM and nothing but CPIM (RFC 7701
//! section 8).

use bytes::Bytes;
use thiserror::Error;

use super::FocusSettings;
use crate::msrp;
use crate::payload::{MediaType, Part, cpim, multipart, resource_list};
use crate::sdp::{self, Direction, MessageMedia, Protocol, Sdp, SdpError};
use crate::sip::{Body, Request, Status};

/// A participant's side of the MSRP session, as its description shows it.
#[derive(Debug)]
pub(super) struct Peer {
    /// Where its MSRP lives.
    pub(super) path: msrp::Path,
    media: MessageMedia,
    description: Sdp,
}

/// Why a description makes no session.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unusable {
    /// There is none.
    #[error("a session description is needed")]
    Missing,
    /// It is no SDP.
    #[error("{0}")]
    Malformed(#[from] SdpError),
    /// It has no message stream that we can use.
    #[error("{0}")]
    Stream(#[from] sdp::Unusable),
    /// TLS, which the focus does not speak.
    #[error("only TCP/MSRP is spoken here")]
    Protocol,
    /// It takes no messages with a wrapper, without which nobody knows who has sent them.
    #[error("message/cpim is needed")]
    NoCpim,
    /// Its path is no MSRP path.
    #[error("a=path is no MSRP path")]
    BadPath,
}

impl Unusable {
    /// Gives the Warning of the 488 (RFC 3261 section 20.43).
    pub(super) fn warning(&self) -> (&'static str, String) {
        let code = match self {
            Self::Stream(stream) => stream.warning(),
            Self::Protocol => 302,
            Self::Missing => 304,
            Self::NoCpim => 305,
            Self::Malformed(_) | Self::BadPath => 399,
        };
        let text = self.to_string().replace(['"', '\\'], "'");
        ("Warning", format!("{code} chatbridge \"{text}\""))
    }
}

impl Peer {
    /// Reads a description.
    pub(super) fn read(sdp: Option<&[u8]>) -> Result<Self, Unusable> {
        let description = Sdp::parse(sdp.ok_or(Unusable::Missing)?)?;
        let media = description.usable()?;
        if media.proto != Protocol::Tcp {
            return Err(Unusable::Protocol);
        }
        if !media.accepts(cpim::CONTENT_TYPE) {
            return Err(Unusable::NoCpim);
        }
        let path = msrp::Path::parse(&media.path).map_err(|_| Unusable::BadPath)?;
        Ok(Self { path, media, description })
    }

    /// Gives our side of `a=setup` in the answer. Whoever can connect to us shall: the focus is
    /// there for all to reach, and a participant may not be (RFC 6135 section 4.2.2).
    pub(super) fn our_setup_as_answerer(&self) -> msrp::Setup {
        match self.media.setup {
            Some(sdp::Setup::Passive) => msrp::Setup::Active,
            Some(sdp::Setup::Active | sdp::Setup::ActPass) | None => msrp::Setup::Passive,
        }
    }

    /// Gives our side of `a=setup` where the participant has answered our offer.
    pub(super) fn our_setup_as_offerer(&self) -> msrp::Setup {
        match sdp::offerer_setup(self.media.setup) {
            sdp::Setup::Active | sdp::Setup::ActPass => msrp::Setup::Active,
            sdp::Setup::Passive => msrp::Setup::Passive,
        }
    }

    /// Tells whether messages with such a content are wanted; whoever lists nothing takes all.
    pub(super) fn takes(&self, content_type: &str) -> bool {
        self.media.accept_wrapped_types.is_empty() || self.media.accepts_wrapped(content_type)
    }

    /// Tells whether messages to this participant alone are understood as such (RFC 7701 section
    /// 6.2).
    pub(super) fn takes_private(&self) -> bool {
        self.media.can_in_chatrooms(PRIVATE)
    }
}

/// Our side of one session, whose description moves on in version only when it changes.
#[derive(Debug)]
pub(super) struct Own {
    id: u64,
    setup: sdp::Setup,
    direction: Direction,
}

impl Own {
    pub(super) fn new(id: u64) -> Self {
        Self { id, setup: sdp::Setup::ActPass, direction: Direction::SendRecv }
    }

    /// Writes our offer.
    pub(super) fn offer(&self, settings: &FocusSettings, path: &msrp::Path) -> Body {
        body(sdp::write(&self.local(settings, path)))
    }

    /// Writes our answer to the offer of `peer`, the first or a later one.
    pub(super) fn answer(
        &mut self,
        settings: &FocusSettings,
        path: &msrp::Path,
        peer: &Peer,
        setup: msrp::Setup,
    ) -> Body {
        self.setup = match setup {
            msrp::Setup::Active => sdp::Setup::Active,
            msrp::Setup::Passive => sdp::Setup::Passive,
        };
        self.direction = peer.media.direction.answer();
        body(sdp::write_answer(&self.local(settings, path), &peer.description))
    }

    fn local(&self, settings: &FocusSettings, path: &msrp::Path) -> sdp::Local {
        let owned = |types: &[&str]| types.iter().map(|name| (*name).to_owned()).collect();
        let tokens = [(settings.nicknames, NICKNAME), (settings.private_messages, PRIVATE)];
        let can = tokens.iter().filter(|(can, _)| *can).map(|(_, token)| (*token).to_owned());
        sdp::Local {
            session_id: self.id,
            version: self.id,
            host: settings.msrp_host.clone(),
            media: MessageMedia {
                host: settings.msrp_host.clone(),
                port: settings.msrp_port,
                proto: Protocol::Tcp,
                path: path.to_string(),
                accept_types: owned(&[cpim::CONTENT_TYPE]),
                accept_wrapped_types: owned(&WRAPPED),
                setup: Some(self.setup),
                direction: self.direction,
                max_size: Some(settings.msrp.max_message as u64),
                cema: false,
                fingerprints: Vec::new(),
                chatroom: Some(can.collect()),
            },
        }
    }
}

/// Makes the URI under which our end of a session is reached.
pub(super) fn local_uri(settings: &FocusSettings, session_id: &str) -> Option<msrp::Uri> {
    let host = match settings.msrp_host.parse::<std::net::Ipv6Addr>() {
        Ok(v6) => format!("[{v6}]"),
        Err(_) => settings.msrp_host.clone(),
    };
    msrp::Uri::parse(&format!("msrp://{host}:{}/{session_id};tcp", settings.msrp_port)).ok()
}

/// What an INVITE carries.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The description.
    pub(super) sdp: Option<Bytes>,
    /// The recipients.
    pub(super) list: Option<Bytes>,
}

impl Parts {
    /// Takes the body of an INVITE apart.
    ///
    /// # Errors
    /// 400 where it is no multipart body although it says so.
    pub(super) fn of(request: &Request) -> Result<Self, Status> {
        let content_type = request.content_type().unwrap_or(sdp::CONTENT_TYPE);
        Self::of_body(content_type, &request.body)
    }

    /// Takes a body apart.
    pub(super) fn of_body(content_type: &str, body: &Bytes) -> Result<Self, Status> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let kind = MediaType::parse(content_type).ok_or(Status::BAD_REQUEST)?;
        let leaves = if kind.family() == "multipart" {
            multipart::leaves(content_type, body.clone()).map_err(|_| Status::BAD_REQUEST)?
        } else {
            vec![Part::new(content_type, body.clone())]
        };
        let find = |wanted: &str| {
            let is_wanted =
                |part: &&Part| part.media_type().is_some_and(|kind| kind.essence() == wanted);
            leaves.iter().find(is_wanted).map(|part| part.body.clone())
        };
        Ok(Self { sdp: find(sdp::CONTENT_TYPE), list: find(resource_list::CONTENT_TYPE) })
    }
}

fn body(bytes: Bytes) -> Body {
    Body { content_type: sdp::CONTENT_TYPE.to_owned(), bytes }
}

/// What may be within the wrapper. All may, but cores drop reports whose type is not named.
const WRAPPED: [&str; 6] = [
    "text/plain",
    "message/imdn+xml",
    "application/im-iscomposing+xml",
    "application/vnd.gsma.rcs-ft-http+xml",
    "application/vnd.gsma.rcspushlocation+xml",
    "*",
];

/// The words of `a=chatroom` (RFC 7701 section 8).
const NICKNAME: &str = "nickname";
const PRIVATE: &str = "private-messages";
