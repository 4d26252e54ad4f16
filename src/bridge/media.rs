//! Session descriptions and message bodies: what the chat says in SDP, CPIM, IMDN and isComposing.

use std::num::NonZeroU32;
use std::time::Instant;

use bytes::Bytes;
use thiserror::Error;
use time::OffsetDateTime;

use super::anchor::{Anchoring, Contradicted};
use super::bearer::{Bearer, Shown};
use super::profile::CpimIdentity;
use super::settings::Settings;
use crate::chat::{Composing, ComposingState, Party, ReceivedStatus, ReportRequest};
use crate::clock::Anchor;
use crate::digest::Fingerprint;
use crate::ids::MessageId;
use crate::msrp;
use crate::payload::imdn::{DeliveryStatus, DisplayStatus, Imdn, Report};
use crate::payload::{Cpim, Letter, Letterhead, MediaType, composing, multipart, timestamp};
use crate::sdp::{self, Direction, MessageMedia, Sdp, SdpError};
use crate::sip::{Body, Uri};

const SDP: &str = "application/sdp";
pub(super) const CPIM: &str = "message/cpim";
pub(super) const IS_COMPOSING: &str = "application/im-iscomposing+xml";
const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

/// Content types that we take, in the order in which we like them.
const ACCEPT_TYPES: [&str; 3] = [CPIM, "text/plain", IS_COMPOSING];

/// Content types that every end of MSRP has to take, whatever its description says (RFC 4975
/// section 7.3.1).
const MULTIPART_TYPES: [&str; 2] = ["multipart/mixed", "multipart/alternative"];

/// Content types that we take inside CPIM; a core may drop reports whose type is not named here.
const ACCEPT_WRAPPED_TYPES: [&str; 3] = ["text/plain", "message/imdn+xml", IS_COMPOSING];

/// The other side of the MSRP session, as its description shows it.
#[derive(Debug)]
pub(super) struct Peer {
    /// Where its MSRP lives.
    pub(super) path: msrp::Path,
    /// Where a connection to it goes.
    pub(super) anchoring: Anchoring,
    /// Whether our own relays stand between us.
    pub(super) is_relayed: bool,
    media: MessageMedia,
    description: Sdp,
}

/// Why a description makes no chat.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unusable {
    /// There is none.
    #[error("a session description is needed")]
    Missing,
    /// It is no SDP.
    #[error("{0}")]
    Malformed(SdpError),
    /// It takes the message stream away.
    #[error("the port of the m=message line is 0")]
    Removed(Box<Sdp>),
    /// It has no message stream that we can use.
    #[error("{0}")]
    Stream(sdp::Unusable),
    /// TLS or WebSocket, which we do not serve, or have not offered.
    #[error("this transport of MSRP is not served here, or was not offered")]
    Bearer,
    /// It has gone through a middlebox that does not know how (RFC 6714 section 4.3).
    #[error("c= and m= contradict a=path, and there is no a=msrp-cema")]
    Contradicted,
    /// Its path is no MSRP path.
    #[error("a=path is no MSRP path")]
    BadPath,
}

impl Unusable {
    /// Gives the Warning of the 488 (RFC 3261 section 20.43).
    pub(super) fn warning(&self) -> Vec<(String, String)> {
        let code = match self {
            Self::Stream(stream) => stream.warning(),
            Self::Bearer => 302,
            Self::Missing | Self::Removed(_) => 304,
            Self::Malformed(_) | Self::Contradicted | Self::BadPath => 399,
        };
        let text = self.to_string().replace(['"', '\\'], "'");
        vec![("Warning".to_owned(), format!("{code} chatbridge \"{text}\""))]
    }
}

impl Peer {
    /// Gives our side of `a=setup` where the peer answered our offer (RFC 6135).
    pub(super) fn our_setup_as_offerer(&self) -> msrp::Setup {
        self.side(sdp::offerer_setup(self.media.setup))
    }

    /// Gives our side of `a=setup` in the answer to the peer's offer (RFC 6135). Our relay is
    /// connected to where the offer permits it, as RFC 6714 section 4.3 wants.
    pub(super) fn our_setup_as_answerer(&self) -> msrp::Setup {
        if self.is_relayed && self.media.setup != Some(sdp::Setup::Passive) {
            return msrp::Setup::Passive;
        }
        self.side(sdp::answer_setup(self.media.setup))
    }

    /// Tells whether the one who has connected may be this peer; through a relay nobody does.
    pub(super) fn may_be(&self, shown: &Shown) -> bool {
        self.is_relayed || shown.fits(self.bearer(), &self.media.fingerprints)
    }

    /// Gives the fingerprints of which the peer's certificate has to have one.
    pub(super) fn fingerprints(&self) -> &[Fingerprint] {
        &self.media.fingerprints
    }

    fn bearer(&self) -> Bearer {
        Bearer::of(self.media.proto, self.path.first())
    }

    /// Nobody connects to a browser.
    fn side(&self, setup: sdp::Setup) -> msrp::Setup {
        match setup {
            sdp::Setup::Active | sdp::Setup::ActPass if !self.bearer().is_web() => {
                msrp::Setup::Active
            }
            sdp::Setup::Active | sdp::Setup::ActPass | sdp::Setup::Passive => msrp::Setup::Passive,
        }
    }
}

/// Judges the other side's offer.
pub(super) fn judge_offer(settings: &Settings, sdp: Option<&[u8]>) -> Result<Peer, Unusable> {
    let peer = judge(sdp)?;
    if !settings.serves(peer.bearer()) {
        return Err(Unusable::Bearer);
    }
    let is_relayed = settings.msrp_relay.is_some();
    let anchoring = Anchoring::of_offer(settings.msrp_rules, (&peer.media, &peer.path), is_relayed);
    let anchoring = anchoring.map_err(|Contradicted| Unusable::Contradicted)?;
    Ok(Peer { anchoring, is_relayed, ..peer })
}

/// Judges the other side's answer to our offer, which named `local`.
pub(super) fn judge_answer(
    settings: &Settings,
    local: &msrp::Path,
    sdp: Option<&[u8]>,
) -> Result<Peer, Unusable> {
    let peer = judge(sdp)?;
    if peer.bearer() != Bearer::of_ours(local.first()) {
        return Err(Unusable::Bearer);
    }
    let is_relayed = settings.msrp_relay.is_some();
    let anchoring =
        Anchoring::of_answer(settings.msrp_rules, (&peer.media, &peer.path), is_relayed);
    let anchoring = anchoring.map_err(|Contradicted| Unusable::Contradicted)?;
    Ok(Peer { anchoring, is_relayed, ..peer })
}

/// Judges a description of a stream that is there already, or is to be.
pub(super) fn judge(sdp: Option<&[u8]>) -> Result<Peer, Unusable> {
    let description = Sdp::parse(sdp.ok_or(Unusable::Missing)?).map_err(Unusable::Malformed)?;
    let media = match description.usable() {
        Ok(media) => media,
        Err(sdp::Unusable::Refused) => return Err(Unusable::Removed(Box::new(description))),
        Err(why) => return Err(Unusable::Stream(why)),
    };
    let path = msrp::Path::parse(&media.path).map_err(|_| Unusable::BadPath)?;
    let anchoring = Anchoring::default();
    Ok(Peer { path, anchoring, is_relayed: false, media, description })
}

/// Finds the description, and a first message, in the body of an INVITE or its answer.
pub(super) fn parts(content_type: Option<&str>, body: &Bytes) -> (Option<Vec<u8>>, Option<Bytes>) {
    let Some(content_type) = content_type else { return (None, None) };
    let kind = MediaType::parse(content_type);
    match kind {
        Some(kind) if kind.essence() == SDP => (Some(body.to_vec()), None),
        Some(kind) if kind.family() == "multipart" => {
            let leaves = multipart::leaves(content_type, body.clone()).unwrap_or_default();
            let find = |wanted: &str| {
                let of = |part: &&multipart::Part| {
                    part.media_type().is_some_and(|kind| kind.essence() == wanted)
                };
                leaves.iter().find(of).map(|part| part.body.clone())
            };
            (find(SDP).map(|sdp| sdp.to_vec()), find(CPIM))
        }
        Some(_) | None => (None, None),
    }
}

/// Tells whether a request has come, which only the peer can have made.
pub(super) fn is_request(input: &msrp::Input) -> bool {
    match input {
        msrp::Input::Frame(frame) => matches!(frame.kind, msrp::Kind::Request(_)),
        msrp::Input::Connected
        | msrp::Input::Malformed(_)
        | msrp::Input::Closed
        | msrp::Input::Timeout => false,
    }
}

/// Finds what the other side's offer wants MSRP carried by, where it is served here.
pub(super) fn bearer_asked(settings: &Settings, sdp: Option<&[u8]>) -> Option<Bearer> {
    let bearer = judge(sdp).ok()?.bearer();
    settings.serves(bearer).then_some(bearer)
}

/// Makes the URI under which our end of the MSRP session is reached.
pub(super) fn local_uri(settings: &Settings, bearer: Bearer, session_id: &str) -> msrp::Uri {
    let host = match settings.msrp_host.parse::<std::net::Ipv6Addr>() {
        Ok(v6) => format!("[{v6}]"),
        Err(_) => settings.msrp_host.clone(),
    };
    let tcp = settings.msrp_port;
    let port = settings.msrp_bearers.port(bearer, tcp).unwrap_or(tcp);
    let (scheme, transport) = (bearer.scheme(), bearer.transport());
    let text = format!("{scheme}://{host}:{port}/{session_id};{transport}");
    msrp::Uri::parse(&text).expect("the host was checked with the configuration")
}

/// Our origin line (RFC 8866 section 5.2): the session id stays, the version moves with the
/// description (RFC 3264 section 8).
#[derive(Debug)]
pub(super) struct Origin {
    session_id: u64,
    version: u64,
    last: Option<Bytes>,
}

impl Origin {
    /// Draws the session id from the time.
    pub(super) fn new(anchor: &Anchor, now: Instant) -> Self {
        let seconds = anchor.wall(now).unix_timestamp().unsigned_abs();
        Self { session_id: seconds, version: seconds, last: None }
    }

    /// Writes a description, under a new version where it is another one.
    fn publish(&mut self, write: impl Fn(u64, u64) -> Bytes) -> Body {
        let same = write(self.session_id, self.version);
        let bytes = match &self.last {
            Some(last) if *last != same => {
                self.version += 1;
                write(self.session_id, self.version)
            }
            Some(_) | None => same,
        };
        self.last = Some(bytes.clone());
        Body { content_type: SDP.to_owned(), bytes }
    }
}

/// Writes our offer.
pub(super) fn offer(settings: &Settings, local: &msrp::Path, origin: &mut Origin) -> Body {
    origin.publish(|id, version| {
        let mut described = describe(settings, local, (id, version), sdp::Setup::ActPass);
        described.media.cema = settings.msrp_rules.cema;
        sdp::write(&described)
    })
}

/// Writes our answer to `peer`'s offer, or a new offer where it made none.
pub(super) fn answer(
    settings: &Settings,
    local: &msrp::Path,
    origin: &mut Origin,
    (peer, setup): (Option<&Peer>, msrp::Setup),
) -> Body {
    let setup = match setup {
        msrp::Setup::Active => sdp::Setup::Active,
        msrp::Setup::Passive => sdp::Setup::Passive,
    };
    origin.publish(|id, version| {
        let mut described = describe(settings, local, (id, version), setup);
        match peer {
            Some(peer) => {
                described.media.direction = peer.media.direction.answer();
                described.media.cema = peer.anchoring.cema;
                sdp::write_answer(&described, &peer.description)
            }
            None => sdp::write(&described),
        }
    })
}

/// Agrees that the message stream goes: an offer of port 0 is answered with port 0
/// (RFC 3264 section 8.2).
pub(super) fn farewell(
    settings: &Settings,
    local: &msrp::Path,
    origin: &mut Origin,
    offer: &Sdp,
) -> Body {
    origin.publish(|id, version| {
        let mut described = describe(settings, local, (id, version), sdp::Setup::Passive);
        described.media.port = 0;
        sdp::write_answer(&described, offer)
    })
}

fn describe(
    settings: &Settings,
    local: &msrp::Path,
    (session_id, version): (u64, u64),
    setup: sdp::Setup,
) -> sdp::Local {
    let owned = |types: &[&str]| types.iter().map(|name| (*name).to_owned()).collect();
    let (first, is_relayed) = (local.first(), local.hops() > 1);
    let bearer = Bearer::of_ours(first);
    // Peers connect to the outermost relay, and it shows a certificate of its own.
    let fingerprint = settings.msrp_bearers.fingerprint.as_ref();
    let fingerprint = fingerprint.filter(|_| bearer == Bearer::Tls && !is_relayed);
    let host = if is_relayed { first.host() } else { &settings.msrp_host };
    sdp::Local {
        session_id,
        version,
        host: settings.msrp_host.clone(),
        media: MessageMedia {
            host: host.to_owned(),
            port: first.port().unwrap_or(settings.msrp_port),
            proto: bearer.protocol(),
            path: local.to_string(),
            accept_types: owned(&ACCEPT_TYPES),
            accept_wrapped_types: owned(&ACCEPT_WRAPPED_TYPES),
            setup: Some(setup),
            direction: Direction::SendRecv,
            max_size: None,
            cema: false,
            fingerprints: fingerprint.into_iter().cloned().collect(),
            chatroom: None,
        },
    }
}

/// Tells the MSRP session what it may take.
pub(super) fn accept_types() -> Vec<String> {
    ACCEPT_TYPES.iter().chain(&MULTIPART_TYPES).map(|name| (*name).to_owned()).collect()
}

/// A body on its way out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    pub(super) content_type: String,
    pub(super) body: Bytes,
    /// Whether the peer's MSRP endpoint is asked for a report, because the body cannot ask.
    pub(super) success_report: bool,
}

/// What wrapping goes by.
pub(super) struct Context<'a> {
    pub(super) settings: &'a Settings,
    pub(super) peer: Option<&'a Peer>,
    /// Whether the peer has not yet refused CPIM (415).
    pub(super) cpim: bool,
    pub(super) envelope: Envelope<'a>,
}

/// Who writes to whom, as CPIM may tell.
#[derive(Clone, Copy)]
pub(super) enum Envelope<'a> {
    /// Between the two of a 1-1 chat: the SIP layer names them.
    Pair { own: &'a Party, other: &'a Party },
    /// To a group, or to one of it: CPIM alone says who writes, so that everything is wrapped
    /// (RFC 7701 section 5.2).
    Group { own: &'a Party, to: &'a Uri },
}

impl Context<'_> {
    fn wraps(&self) -> bool {
        match self.envelope {
            Envelope::Pair { .. } => {
                self.cpim && self.peer.is_none_or(|peer| peer.media.accepts(CPIM))
            }
            Envelope::Group { .. } => true,
        }
    }

    /// Tells whether a composing state goes without a wrapper: where the peer of a pair takes that.
    fn bares_composing(&self) -> bool {
        match self.envelope {
            Envelope::Pair { .. } => self.peer.is_some_and(|peer| peer.media.accepts(IS_COMPOSING)),
            Envelope::Group { .. } => false,
        }
    }

    /// Writes what all texts between these two begin with.
    pub(super) fn letterhead(&self) -> Letterhead {
        let (from, to) = self.parties();
        Letterhead::new(&from, &to)
    }

    /// Gives From and To of the CPIM wrapper.
    fn parties(&self) -> (String, String) {
        let of = |party: &Party| {
            let uri = self.settings.realm.home_uri(&party.address);
            format!("<{}>", uri.map_or_else(|_| ANONYMOUS.to_owned(), |uri| uri.to_string()))
        };
        let nobody = || format!("<{ANONYMOUS}>");
        match self.envelope {
            Envelope::Group { own, to } if self.settings.hides(&own.address) => {
                (nobody(), format!("<{to}>"))
            }
            Envelope::Group { own, to } => (of(own), format!("<{to}>")),
            Envelope::Pair { own, other } if self.settings.hides(&own.address) => {
                (nobody(), of(other))
            }
            Envelope::Pair { own, other } => match self.settings.profile.cpim_identity {
                CpimIdentity::Anonymous => (nobody(), nobody()),
                CpimIdentity::Real => (of(own), of(other)),
            },
        }
    }
}

/// A text on its way out.
pub(super) struct TextOut<'a> {
    pub(super) id: &'a MessageId,
    pub(super) text: &'a str,
    pub(super) reports: ReportRequest,
    pub(super) date_time: OffsetDateTime,
}

/// Wraps a text: in CPIM under the [`letterhead`](Context::letterhead) of the context, with its
/// request for reports, or bare where the peer takes no CPIM.
pub(super) fn wrap_text(
    context: &Context<'_>,
    letterhead: &Letterhead,
    out: TextOut<'_>,
) -> Parcel {
    let TextOut { id, text, reports, date_time } = out;
    if !context.wraps() {
        return Parcel {
            content_type: "text/plain;charset=UTF-8".to_owned(),
            body: Bytes::copy_from_slice(text.as_bytes()),
            success_report: reports.delivered || reports.displayed,
        };
    }
    let body = letterhead.write(&Letter {
        date_time: &timestamp(date_time),
        message_id: id.as_str(),
        positive_delivery: reports.delivered,
        display: reports.displayed,
        text,
    });
    Parcel { content_type: CPIM.to_owned(), body, success_report: false }
}

/// Wraps a composing state: bare where the peer takes that (as SIMPLE IM has it), else in CPIM.
pub(super) fn wrap_composing(context: &Context<'_>, composing: &Composing) -> Parcel {
    let document = composing::Composing {
        state: match composing.state {
            ComposingState::Active => composing::State::Active,
            ComposingState::Idle => composing::State::Idle,
        },
        last_active: composing.last_active.map(timestamp),
        content_type: composing.content_type.clone(),
        refresh: composing.refresh.map(NonZeroU32::get),
    };
    if context.bares_composing() || !context.wraps() {
        let content_type = IS_COMPOSING.to_owned();
        return Parcel { content_type, body: document.write(), success_report: false };
    }
    let (from, to) = context.parties();
    let cpim = Cpim::wrap(&from, &to, IS_COMPOSING, document.write());
    Parcel { content_type: CPIM.to_owned(), body: cpim.write(), success_report: false }
}

/// A report on its way out.
pub(super) struct ReportOut<'a> {
    /// The `imdn.Message-ID` of the message reported on.
    pub(super) wire_id: &'a str,
    /// When that message was sent, as its sender wrote it.
    pub(super) sent: Option<String>,
    pub(super) status: ReceivedStatus,
    pub(super) date_time: OffsetDateTime,
    /// The id of the report itself.
    pub(super) id: &'a str,
}

/// Wraps a disposition notification (RFC 5438); a peer that asked for one takes CPIM.
pub(super) fn wrap_report(context: &Context<'_>, out: ReportOut<'_>) -> Parcel {
    let report = match out.status {
        ReceivedStatus::Delivered => Report::Delivery(DeliveryStatus::Delivered),
        ReceivedStatus::Displayed => Report::Display(DisplayStatus::Displayed),
    };
    let (from, to) = context.parties();
    let notification = Imdn::new(out.wire_id, out.sent, report);
    let cpim = Cpim::notification(&from, &to, out.id, &notification)
        .sent_at(Some(timestamp(out.date_time)));
    Parcel { content_type: CPIM.to_owned(), body: cpim.write(), success_report: false }
}
