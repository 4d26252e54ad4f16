//! A seat: one participant's call with its MSRP session, from the first INVITE to the last answer.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::media::{Own, Peer, Unusable, local_uri};
use super::{FocusSettings, Keys};
use crate::address::Address;
use crate::ids::Random;
use crate::msrp;
use crate::sip::{
    Body, Call, Hop, Kit, Leg, LegEvent, LegInput, LegOutput, Message, Reason, Request,
};

/// One participant's call with its MSRP session.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) user: Address,
    pub(super) leg: Leg,
    pub(super) media: msrp::Session,
    pub(super) keys: Keys,
    phase: Phase,
    own: Own,
    peer: Option<Peer>,
    /// Whether the content that was asked for last is taken: it is the same nearly always.
    last: Option<(String, bool)>,
    /// Until when an invitation may ring.
    until: Option<Instant>,
    /// It stands in the row of those whose MSRP sessions have something to say.
    is_called: bool,
    /// When it is woken, at the latest.
    alarm: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Our INVITE has no final answer.
    Inviting,
    /// The participant is there.
    Talking,
    /// What is left is to end the call.
    Parting,
}

/// What the call of a seat wishes or reports.
#[derive(Debug)]
pub(super) enum SeatOutput {
    /// Bytes to put on the wire.
    Send { bytes: Bytes, hop: Hop },
    /// Something to know of the call.
    Leg(LegEvent),
}

/// The MSRP session of a seat that is to be, with all that its description says.
#[derive(Debug)]
pub(super) struct Draft {
    media: msrp::Session,
    own: Own,
}

impl Draft {
    /// Prepares a session; `None` where the address that we tell makes no URI.
    pub(super) fn new(settings: &FocusSettings, random: &mut Random) -> Option<Self> {
        let uri = local_uri(settings, &random.msrp_session_id())?;
        let own = Own::new(random.below(1 << 31));
        let mut media = msrp::Session::new(uri, Arc::clone(&settings.msrp), random.fork());
        media.set_accept_types(vec![crate::payload::cpim::CONTENT_TYPE.to_owned()]);
        media.set_matching(msrp::Matching::SessionId);
        media.set_focus();
        media.share_bodies();
        Some(Self { media, own })
    }

    /// Writes the offer.
    pub(super) fn offer(&self, settings: &FocusSettings) -> Body {
        self.own.offer(settings, &self.media.path())
    }
}

impl Seat {
    /// Invites somebody.
    pub(super) fn call(
        now: Instant,
        (user, draft): (Address, Draft),
        call: Call,
        kit: Kit,
        until: Instant,
    ) -> Self {
        let leg = Leg::call(now, call, kit);
        Self {
            user,
            keys: Keys::of_ours(leg.call_id(), leg.local_tag()),
            leg,
            media: draft.media,
            phase: Phase::Inviting,
            own: draft.own,
            peer: None,
            last: None,
            until: Some(until),
            is_called: false,
            alarm: None,
        }
    }

    /// Lets somebody in who has called, and has offered what `peer` says; without an offer of
    /// theirs we make one.
    pub(super) fn admit(
        now: Instant,
        (user, draft): (Address, Draft),
        (invite, source): (Request, Hop),
        peer: Option<Peer>,
        (kit, settings): (Kit, &FocusSettings),
    ) -> Self {
        let Draft { media, own } = draft;
        let caller = Keys::caller(&invite, &source);
        let leg = Leg::answering(now, invite, source, kit);
        let keys = Keys { caller, ..Keys::of_ours(leg.call_id(), leg.local_tag()) };
        let (phase, until) = (Phase::Talking, None);
        let (is_called, alarm, peer_yet, last) = (false, None, None, None);
        let mut seat = Self {
            user,
            leg,
            media,
            keys,
            phase,
            own,
            peer: peer_yet,
            last,
            until,
            is_called,
            alarm,
        };
        let path = seat.media.path();
        let body = match peer {
            Some(peer) => {
                let setup = peer.our_setup_as_answerer();
                let body = seat.own.answer(settings, &path, &peer, setup);
                seat.media.open(now, peer.path.clone(), setup);
                seat.peer = Some(peer);
                body
            }
            None => seat.own.offer(settings, &path),
        };
        seat.leg.accept(now, body);
        seat
    }

    pub(super) fn is_inviting(&self) -> bool {
        self.phase == Phase::Inviting
    }

    pub(super) fn is_talking(&self) -> bool {
        self.phase == Phase::Talking
    }

    pub(super) fn is_parting(&self) -> bool {
        self.phase == Phase::Parting
    }

    /// Tells whether messages with such a content go there.
    pub(super) fn takes(&mut self, content_type: &str) -> bool {
        let Some(peer) = self.peer.as_ref().filter(|_| self.phase == Phase::Talking) else {
            return false;
        };
        match &self.last {
            Some((known, takes)) if known == content_type => *takes,
            Some(_) | None => {
                let takes = peer.takes(content_type);
                self.last = Some((content_type.to_owned(), takes));
                takes
            }
        }
    }

    pub(super) fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Takes the answer to our offer.
    pub(super) fn take_answer(&mut self, now: Instant, sdp: Option<&[u8]>) -> Result<(), Unusable> {
        let peer = Peer::read(sdp)?;
        self.media.open(now, peer.path.clone(), peer.our_setup_as_offerer());
        self.peer = Some(peer);
        self.last = None;
        self.phase = Phase::Talking;
        self.until = None;
        Ok(())
    }

    /// Answers an offer within the session: what moves the MSRP session elsewhere is refused.
    pub(super) fn take_offer(
        &mut self,
        settings: &FocusSettings,
        offer: Option<&Body>,
    ) -> Option<Body> {
        let path = self.media.path();
        let Some(offer) = offer else { return Some(self.own.offer(settings, &path)) };
        let peer = Peer::read(Some(&offer.bytes)).ok()?;
        let known = self.peer.as_ref()?;
        if peer.path != known.path {
            return None;
        }
        let setup = known.our_setup_as_answerer();
        let body = self.own.answer(settings, &path, &peer, setup);
        self.peer = Some(peer);
        self.last = None;
        Some(body)
    }

    /// Ends the MSRP session; the call is over, or ended with [`Seat::hang_up`].
    pub(super) fn part(&mut self, now: Instant) {
        self.phase = Phase::Parting;
        self.until = None;
        self.media.close(now);
    }

    /// Ends the call too.
    pub(super) fn hang_up(&mut self, now: Instant, reason: Option<Reason>) {
        self.part(now);
        self.leg.bye(now, reason);
    }

    pub(super) fn handle(&mut self, now: Instant, message: Message, source: Hop) {
        self.leg.handle(now, LegInput::Message { message, source });
    }

    pub(super) fn handle_failure(&mut self, now: Instant, hop: &Hop) {
        self.leg.handle(now, LegInput::TransportFailed { hop: hop.clone() });
    }

    /// Serves what is due; tells whether the invitation has rung long enough.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.alarm = None;
        if self.leg.next_timeout().is_some_and(|at| at <= now) {
            self.leg.handle(now, LegInput::Timeout);
        }
        if self.media.next_timeout().is_some_and(|at| at <= now) {
            self.media.handle(now, msrp::Input::Timeout);
        }
        self.until.is_some_and(|until| until <= now)
    }

    /// Gives what the call wishes or reports next; `media` is asked beside it.
    pub(super) fn poll(&mut self) -> Option<SeatOutput> {
        match self.leg.poll()? {
            LegOutput::Send { bytes, hop } => Some(SeatOutput::Send { bytes, hop }),
            LegOutput::Event(event) => Some(SeatOutput::Leg(event)),
            // There is one way only, and the proxy behind it knows itself what to spare.
            LegOutput::Spare { .. } => self.poll(),
        }
    }

    /// Takes its place in the row of those whose MSRP sessions have something to say; tells whether
    /// it had none.
    pub(super) fn call_up(&mut self) -> bool {
        !std::mem::replace(&mut self.is_called, true)
    }

    /// Leaves that row.
    pub(super) fn answer_call(&mut self) {
        self.is_called = false;
    }

    /// Tells when to wake it, if that is earlier than it is woken anyway.
    pub(super) fn set_alarm(&mut self) -> Option<Instant> {
        let all = [self.leg.next_timeout(), self.media.next_timeout(), self.until];
        self.bring_forward(all.into_iter().flatten().min())
    }

    /// The same, where nothing has happened but on the MSRP session: as that puts its timers off
    /// with every message, there is hardly ever anything to do.
    pub(super) fn set_media_alarm(&mut self) -> Option<Instant> {
        self.bring_forward(self.media.next_timeout())
    }

    fn bring_forward(&mut self, wish: Option<Instant>) -> Option<Instant> {
        let wish = wish.filter(|wish| self.alarm.is_none_or(|alarm| *wish < alarm))?;
        self.alarm = Some(wish);
        Some(wish)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.is_parting() && self.leg.is_finished()
    }
}
