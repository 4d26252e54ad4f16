//! Our own changes to an established session: re-INVITE and UPDATE, glare, refreshes (RFC 3261
//! section 14, RFC 3311, RFC 4028, RFC 6141).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::desk::{Desk, Purpose, Report};
use super::session::body_of;
use super::timer::{Policy, SessionTimer, min_se};
use super::uac::SentAck;
use super::{Body, Leg, LegEvent, NoAnswer, State, Wait};
use crate::sip::dialog::Dialog;
use crate::sip::fate::Fate;
use crate::sip::{Headers, Hop, Method, Reason, Response, Status};

/// What a session knows of its changes.
#[derive(Debug)]
pub(super) struct Renewal {
    /// Our last description, which a refreshing re-INVITE repeats (RFC 4028 section 7.4).
    pub(super) description: Option<Body>,
    /// Whether we drew the Call-ID: the longer wait after a glare is ours.
    owns_call_id: bool,
    /// Whether the peer's last Allow names UPDATE.
    peer_updates: bool,
    timer: Option<SessionTimer>,
    /// When we say BYE for want of a refresh.
    ends_at: Option<Instant>,
    /// The largest Min-SE that we were told in this dialog.
    told: Option<u32>,
    /// The change that waits for its turn.
    next: Option<Change>,
    /// The change that is under way.
    pending: Option<Box<Pending>>,
    /// Whether the change at hand was already made anew because of a 422.
    is_longer: bool,
    /// How often the change at hand has met one of the peer.
    glares: u32,
    /// Our ACKs, for 2xx that are repeated.
    acks: VecDeque<(u32, SentAck)>,
}

#[derive(Debug, Clone)]
enum Change {
    /// To what the owner wishes.
    Offer(Body),
    /// To nothing new: the session timer wants to see that we are there.
    Refresh,
}

/// A request of ours that has no final response.
#[derive(Debug)]
pub(super) struct Pending {
    change: Change,
    method: Method,
    pub(super) number: u32,
    /// The session interval that it asks for.
    asked: Option<u32>,
    /// The number of the last reliable response to it (RFC 3262).
    pub(super) rseq: Option<u32>,
}

impl Renewal {
    /// For a session whose INVITE bore `description` and asked for `asked` seconds.
    pub(super) fn of_caller(
        policy: Policy,
        (description, asked): (Body, Option<u32>),
        answer: &Headers,
    ) -> Self {
        let mut renewal = Self::new(Some(description), true);
        renewal.learn(answer);
        renewal.timer = policy.settled_by(answer, asked);
        renewal
    }

    /// For a session that the peer began.
    pub(super) fn of_callee() -> Self {
        Self::new(None, false)
    }

    fn new(description: Option<Body>, owns_call_id: bool) -> Self {
        Self {
            description,
            owns_call_id,
            peer_updates: false,
            timer: None,
            ends_at: None,
            told: None,
            next: None,
            pending: None,
            is_longer: false,
            glares: 0,
            acks: VecDeque::new(),
        }
    }

    /// Settles the session timer in our 2xx to a request of the peer.
    pub(super) fn settle(&mut self, policy: Policy, request: &Headers, answer: &mut Headers) {
        self.learn(request);
        self.told = self.told.max(min_se(request));
        self.timer = policy.settle(request, answer);
    }

    /// Tells whether a re-INVITE of ours is under way, with an offer in it.
    pub(super) fn has_offered(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.method == Method::Invite)
    }

    /// Tells whether nothing of ours is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.pending.is_none()
    }

    pub(super) fn pending(&mut self, number: u32) -> Option<&mut Pending> {
        self.pending.as_deref_mut().filter(|pending| pending.number == number)
    }

    /// Gives the number of the last reliable response to a re-INVITE that is under way, and that of
    /// the re-INVITE.
    pub(super) fn last_rseq(&self) -> Option<(u32, u32)> {
        let pending = self.pending.as_ref()?;
        Some((pending.rseq?, pending.number))
    }

    /// A message without Allow says nothing (RFC 3261 section 20.5).
    fn learn(&mut self, headers: &Headers) {
        if headers.has("Allow") {
            self.peer_updates = headers.lists("Allow", "UPDATE");
        }
    }

    fn method(&self, change: &Change) -> Method {
        match change {
            Change::Refresh if self.peer_updates => Method::Update,
            Change::Refresh | Change::Offer(_) => Method::Invite,
        }
    }
}

impl Leg {
    /// Offers to change the session with a re-INVITE (RFC 3261 section 14.1), as soon as nothing
    /// else is under way; an offer that still waits is replaced. [`LegEvent::Answer`] or
    /// [`LegEvent::OfferRefused`] tells what became of it. Without a session nothing happens.
    pub fn offer(&mut self, now: Instant, body: Body) {
        if let State::Talking(session) = &mut self.state
            && !session.is_hanging_up()
        {
            session.renewal.next = Some(Change::Offer(body));
        }
        self.settle(now);
    }

    /// Sends the change that waits, if its time has come: one INVITE transaction at a time, in
    /// either direction (section 14.1).
    pub(super) fn change_session(&mut self, now: Instant) {
        let State::Talking(session) = &mut self.state else { return };
        if self.waits.is_running(Wait::Glare) || !session.is_quiet() {
            return;
        }
        let Some(change) = session.renewal.next.take() else { return };
        let (renewal, desk) = (&mut session.renewal, &mut self.desk);
        let method = renewal.method(&change);
        let body = match &change {
            Change::Offer(body) => Some(body.clone()),
            Change::Refresh if method == Method::Update => None,
            Change::Refresh => renewal.description.clone(),
        };
        let hop = session.dialog.next_hop().unwrap_or_else(|| session.fallback.clone());
        let mut request = session.dialog.request(method.clone());
        request.headers.push_front("Via", &desk.via(hop.transport));
        request.headers.push("Contact", &desk.contact);
        desk.push_abilities(&mut request.headers);
        let policy = Policy::of(&desk.kit.local);
        let asked = policy.ask(&mut request.headers, renewal.timer, renewal.told);
        request.headers.push("User-Agent", &desk.kit.local.user_agent);
        if let Some(body) = body {
            request.headers.push("Content-Type", &body.content_type);
            request.body = body.bytes;
        }
        desk.authorize(&mut request);
        if method == Method::Invite {
            desk.reinvite = request.headers.clone();
        }
        let number = request.cseq().map_or(0, |cseq| cseq.number);
        let pending = Pending { change, method, number, asked, rseq: None };
        renewal.pending = Some(Box::new(pending));
        desk.request(now, &request, hop, Purpose::Renew);
        self.waits.set(Wait::Renewal, now + PATIENCE.max(self.desk.kit.timers.give_up() * 2));
    }

    /// Starts the clock of the session timer anew; called with every 2xx that settles one.
    pub(super) fn watch_session(&mut self, now: Instant) {
        self.waits.stop(Wait::Refresh);
        self.waits.stop(Wait::SessionEnd);
        let State::Talking(session) = &mut self.state else { return };
        session.renewal.ends_at = None;
        let Some(timer) = session.renewal.timer else { return };
        if let Some(after) = timer.refresh_after() {
            self.waits.set(Wait::Refresh, now + after);
        }
        session.renewal.ends_at = Some(now + timer.end_after());
        self.waits.set(Wait::SessionEnd, now + timer.end_after());
    }

    /// Plans a refresh. Any change that waits or is under way is one too.
    pub(super) fn plan_refresh(&mut self) {
        let State::Talking(session) = &mut self.state else { return };
        if session.renewal.is_quiet() && !session.is_hanging_up() {
            session.renewal.next.get_or_insert(Change::Refresh);
        }
    }

    /// Ends the session that nobody has refreshed in time (RFC 4028 section 10).
    pub(super) fn expire_session(&mut self, now: Instant) {
        let reason = Reason::sip(408, "Session timer expired");
        self.fall_apart(now, LegEvent::SessionExpired, Some(reason));
    }

    /// Takes the news that a re-INVITE of ours gets no final response, though perhaps a
    /// provisional one.
    pub(super) fn give_up_renewal(&mut self, now: Instant) {
        self.desk.drop_renewals();
        if let State::Talking(session) = &self.state
            && !session.renewal.is_quiet()
        {
            self.fall_apart(now, LegEvent::Lost { status: None }, None);
        }
    }

    /// Stops the clocks of a session that is over. The peer answers a re-INVITE with 487 then
    /// (RFC 3261 section 15.1.2), but nobody waits for that without end.
    pub(super) fn stop_renewal(&mut self, now: Instant, renewal: &Renewal) {
        for wait in [Wait::Glare, Wait::Refresh, Wait::SessionEnd, Wait::Renewal] {
            self.waits.stop(wait);
        }
        if renewal.has_offered() {
            self.waits.set(Wait::Renewal, now + self.desk.kit.timers.give_up());
        }
    }

    /// Takes what became of a change of ours.
    pub(super) fn handle_renewal(&mut self, now: Instant, report: Report) {
        match report {
            Report::Response(response) if response.status.is_provisional() => {
                self.acknowledge_renewal_progress(now, &response);
            }
            Report::Response(response) if response.status.is_success() => {
                self.handle_renewed(now, &response);
            }
            Report::Response(response) => self.handle_renewal_failure(now, Some(&response)),
            Report::Failed(NoAnswer::Timeout) => self.give_up_renewal(now),
            // A dead connection is no dead dialog: the next request opens another.
            Report::Failed(NoAnswer::Transport) => self.handle_renewal_failure(now, None),
            Report::Terminated => {
                if let State::Talking(session) = &mut self.state
                    && !self.desk.has(Purpose::Renew)
                {
                    session.renewal.acks.clear();
                }
            }
        }
    }

    fn handle_renewed(&mut self, now: Instant, response: &Response) {
        let Ok(cseq) = response.cseq() else { return };
        let is_invite = cseq.method == Method::Invite;
        let session = match &mut self.state {
            State::Talking(session) => session,
            // The answer crossed our BYE; the ACK spares the peer its repetitions.
            State::Closing(closing) if is_invite => {
                let ack = ack(&mut self.desk, &closing.dialog, &closing.fallback, cseq.number);
                return self.desk.send(ack.bytes, ack.hop);
            }
            State::Closing(_) | State::Calling(_) | State::Deciding(_) | State::Over => return,
        };
        let renewal = &mut session.renewal;
        if let Some((_, ack)) = renewal.acks.iter().find(|(number, _)| *number == cseq.number) {
            return self.desk.send(ack.bytes.clone(), ack.hop.clone());
        }
        let ours = renewal.pending.take_if(|pending| pending.number == cseq.number);
        let Some(pending) = ours else { return };
        self.desk.settle_credentials(response);
        session.dialog.refresh_target(&response.headers);
        renewal.learn(&response.headers);
        renewal.timer =
            Policy::of(&self.desk.kit.local).settled_by(&response.headers, pending.asked);
        renewal.glares = 0;
        renewal.is_longer = false;
        if let Change::Offer(body) = pending.change {
            renewal.description = Some(body);
        }
        if is_invite {
            let ack = ack(&mut self.desk, &session.dialog, &session.fallback, cseq.number);
            self.desk.send(ack.bytes.clone(), ack.hop.clone());
            renewal.acks.push_back((cseq.number, ack));
            if renewal.acks.len() > MAX_ACKS {
                renewal.acks.pop_front();
            }
            let body = body_of(&response.headers, &response.body);
            self.desk.event(LegEvent::Answer { body });
        }
        self.waits.stop(Wait::Renewal);
        self.watch_session(now);
    }

    /// Takes the refusal of a change, or the failure of its transport. The session stays as it
    /// was (section 14.1), unless the refusal proves it gone.
    fn handle_renewal_failure(&mut self, now: Instant, response: Option<&Response>) {
        let State::Talking(session) = &mut self.state else { return };
        let renewal = &mut session.renewal;
        let Some(pending) = renewal.pending.take() else { return };
        self.waits.stop(Wait::Renewal);
        if response.is_some_and(|response| self.desk.accepts_challenge(response)) {
            renewal.next.get_or_insert(pending.change);
            return;
        }
        let status = response.map(|response| response.status);
        let longer = response.and_then(|response| min_se(&response.headers));
        match status {
            Some(Status::REQUEST_PENDING) if renewal.glares < MAX_GLARES => {
                renewal.glares += 1;
                renewal.next.get_or_insert(pending.change);
                let wait = back_off(&mut self.desk, renewal.owns_call_id);
                return self.waits.set(Wait::Glare, now + wait);
            }
            Some(Status::SESSION_INTERVAL_TOO_SMALL)
                if !renewal.is_longer && longer > pending.asked =>
            {
                renewal.is_longer = true;
                renewal.told = renewal.told.max(longer);
                renewal.next.get_or_insert(pending.change);
                return;
            }
            Some(Status::METHOD_NOT_ALLOWED | Status::NOT_IMPLEMENTED)
                if pending.method == Method::Update =>
            {
                renewal.peer_updates = false;
                renewal.next.get_or_insert(pending.change);
                return;
            }
            Some(status) if Fate::of(status).is_final() => {
                return self.fall_apart(now, LegEvent::Lost { status: Some(status) }, None);
            }
            Some(_) | None => {}
        }
        renewal.glares = 0;
        renewal.is_longer = false;
        if let (Some(timer), Some(ends_at)) = (renewal.timer, renewal.ends_at) {
            let rest = ends_at.saturating_duration_since(now);
            if timer.is_ours && rest > MIN_REST && !self.waits.is_running(Wait::Refresh) {
                self.waits.set(Wait::Refresh, now + rest / 2);
            }
        }
        if matches!(pending.change, Change::Offer(_)) {
            self.desk.event(LegEvent::OfferRefused { status });
        }
    }
}

/// Builds the ACK for a 2xx to a re-INVITE (section 13.2.2.4).
fn ack(desk: &mut Desk, dialog: &Dialog, fallback: &Hop, number: u32) -> SentAck {
    let invite = std::mem::take(&mut desk.reinvite);
    let ack = SentAck::new(desk, dialog, fallback, (number, &invite));
    desk.reinvite = invite;
    ack
}

/// Draws the wait after a 491: 2.1 to 4 s for the owner of the Call-ID, at most 2 s for the other
/// side, both in units of 10 ms (section 14.1).
fn back_off(desk: &mut Desk, owns_call_id: bool) -> Duration {
    let random = &mut desk.kit.random;
    let millis = if owns_call_id { 2100 + random.below(191) * 10 } else { random.below(201) * 10 };
    Duration::from_millis(millis)
}

/// Glares in a row after which it is no coincidence any more.
const MAX_GLARES: u32 = 8;

/// How many 2xx to re-INVITEs may still be repeated at a time.
const MAX_ACKS: usize = 4;

/// How long a re-INVITE may ring: longer than Timer C of any proxy (section 16.6).
const PATIENCE: Duration = Duration::from_secs(185);

/// A rest of the session too short for another refresh: 64\*T1 that it may need to fail.
const MIN_REST: Duration = Duration::from_secs(32);
