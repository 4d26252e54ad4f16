//! One end of an MSRP session, with what is known of the other end.
//!
//! The peer may connect before its description is here, because SIP goes another way (RFC 4975
//! section 5.4): what comes early waits, within bounds, until [`Line::open`] names the peer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::bearer::{Bearer, Shown};
use super::dealings::{ConversationKit, Output};
use super::media::{self, Peer, Unusable};
use super::settings::Settings;
use crate::msrp;
use crate::sdp::Sdp;
use crate::sip::Body;

/// How much may come on the MSRP connection before the answer that names its peer.
const MAX_EARLY: usize = 16;

/// How many octets of bodies that may be.
const MAX_EARLY_BYTES: usize = 64 * 1024;

/// Our end of an MSRP session.
#[derive(Debug)]
pub(super) struct Line {
    settings: Arc<Settings>,
    pub(super) msrp: msrp::Session,
    /// The other end, once its description is here.
    pub(super) peer: Option<Peer>,
    /// Whether the peer takes CPIM, as far as it has not refused it.
    pub(super) cpim: bool,
    /// What came on the MSRP connection before the answer that names its peer; nothing once the
    /// MSRP session is open.
    early: Option<Vec<msrp::Input>>,
    early_bytes: usize,
    /// What the one has shown who connected before the answer.
    shown: Shown,
    /// Who we are in SDP, and which version of our description is out.
    origin: media::Origin,
}

impl Line {
    /// Draws a session-id, and describes nothing yet.
    pub(super) fn new(now: Instant, kit: &mut ConversationKit, bearer: Bearer) -> Self {
        let session_id = kit.random.msrp_session_id();
        let local = media::local_uri(&kit.settings, bearer, &session_id);
        let limits = Arc::clone(&kit.settings.msrp_limits);
        let mut msrp = msrp::Session::new(local, limits, kit.random.fork());
        msrp.set_accept_types(media::accept_types());
        msrp.set_matching(kit.settings.msrp_rules.matching);
        Self {
            settings: Arc::clone(&kit.settings),
            msrp,
            peer: None,
            cpim: true,
            early: Some(Vec::new()),
            early_bytes: 0,
            shown: Shown::default(),
            origin: media::Origin::new(&kit.anchor, now),
        }
    }

    /// Puts another MSRP session in place of this one; what nobody has answered goes on there.
    pub(super) fn renew(&mut self, now: Instant, mut next: Self) {
        next.msrp.inherit(now, &mut self.msrp);
        next.cpim = self.cpim;
        *self = next;
    }

    /// Gives the session-id by which the peer's connection is recognised.
    pub(super) fn session_id(&self) -> &str {
        self.msrp.local().session_id().unwrap_or_default()
    }

    /// Tells whether all MSRP goes through relays of ours: we connect, and nobody connects to us.
    pub(super) fn is_relayed(&self) -> bool {
        self.settings.msrp_relay.is_some()
    }

    /// Asks our relays to let the session in; gives how long they may take, where there are any.
    pub(super) fn seek_way(&mut self, now: Instant) -> Option<Duration> {
        let relay = self.settings.msrp_relay.as_ref()?;
        let asked = self.msrp.use_relays(now, relay.relays.clone());
        // Relays that must not be asked do not answer.
        Some(if asked.is_ok() { relay.timeout } else { Duration::ZERO })
    }

    /// Writes our offer.
    pub(super) fn offer(&mut self) -> Body {
        media::offer(&self.settings, &self.msrp.path(), &mut self.origin)
    }

    /// Writes our answer to the peer's offer.
    pub(super) fn answer(&mut self, setup: msrp::Setup) -> Body {
        let peer = self.peer.as_ref();
        media::answer(&self.settings, &self.msrp.path(), &mut self.origin, (peer, setup))
    }

    /// Agrees that the message stream goes.
    pub(super) fn farewell(&mut self, offer: &Sdp) -> Body {
        media::farewell(&self.settings, &self.msrp.path(), &mut self.origin, offer)
    }

    /// Judges the answer to our offer.
    pub(super) fn judge_answer(&self, sdp: Option<&[u8]>) -> Result<Peer, Unusable> {
        media::judge_answer(&self.settings, &self.msrp.path(), sdp)
    }

    /// Tells whether a description is that of the peer we have.
    pub(super) fn is_same(&self, peer: &Peer) -> bool {
        self.peer.as_ref().is_some_and(|known| known.path == peer.path)
    }

    /// Hands the MSRP session what came for it. What a relay of ours says itself waits for nobody;
    /// who says too much too early is cut off.
    #[must_use]
    pub(super) fn feed(&mut self, now: Instant, input: msrp::Input) -> Option<Output> {
        let is_ours = self.is_relayed() && !media::is_request(&input);
        let Some(early) = self.early.as_mut().filter(|_| !is_ours) else {
            self.msrp.handle(now, input);
            return None;
        };
        if let msrp::Input::Frame(frame) = &input {
            self.early_bytes += frame.body.as_ref().map_or(0, Bytes::len);
        }
        if early.len() < MAX_EARLY && self.early_bytes <= MAX_EARLY_BYTES {
            early.push(input);
            return None;
        }
        early.clear();
        self.early_bytes = 0;
        if self.is_relayed() {
            self.msrp.handle(now, msrp::Input::Closed);
        }
        Some(Output::MsrpClose)
    }

    /// Takes the connection of one who names our MSRP session, unless it is known to be not the peer.
    #[must_use]
    pub(super) fn accepted(&mut self, now: Instant, shown: Shown) -> Option<Output> {
        if self.peer.as_ref().is_some_and(|peer| !peer.may_be(&shown)) {
            return Some(Output::MsrpClose);
        }
        self.shown = shown;
        self.feed(now, msrp::Input::Connected)
    }

    /// Opens the MSRP session towards the peer, and lets it have what came before.
    #[must_use]
    pub(super) fn open(&mut self, now: Instant, setup: msrp::Setup) -> Option<Output> {
        let peer = self.peer.as_ref()?;
        let mut early = self.early.take().unwrap_or_default();
        let is_stranger = !early.is_empty() && !peer.may_be(&self.shown);
        if is_stranger {
            early.clear();
        }
        if let Some((host, port)) = &peer.anchoring.place {
            self.msrp.set_anchor(host, *port);
        }
        self.msrp.open(now, peer.path.clone(), setup);
        for input in early {
            self.msrp.handle(now, input);
        }
        is_stranger.then_some(Output::MsrpClose)
    }

    /// Asks for the connection to the peer that the MSRP session wants.
    pub(super) fn connect(&self, (host, port): (String, u16), secure: bool) -> Output {
        // A relay of ours is known by its name, not by what the peer says of itself.
        let peer = self.peer.as_ref().filter(|peer| !peer.is_relayed);
        let fingerprints = peer.map(Peer::fingerprints).unwrap_or_default().to_vec();
        Output::MsrpConnect { host, port, secure, fingerprints }
    }

    /// Hands a body to the MSRP session.
    ///
    /// # Errors
    /// The queue is full, or the connection is lost.
    pub(super) fn queue(
        &mut self,
        now: Instant,
        message_id: String,
        parcel: media::Parcel,
    ) -> Result<(), msrp::SendError> {
        let media::Parcel { content_type, body, success_report } = parcel;
        let failure_report = msrp::FailureReport::Yes;
        let outgoing =
            msrp::Outgoing { message_id, content_type, body, success_report, failure_report };
        self.msrp.send(now, outgoing)
    }
}
