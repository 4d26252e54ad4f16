//! Reliable provisional responses, both ways (RFC 3262).

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::desk::{Desk, Inbound, Purpose, Report};
use super::session::body_of;
use super::{Body, Leg, LegEvent, RING_AGAIN, State, Wait};
use crate::sip::dialog::Dialog;
use crate::sip::timers::Timers;
use crate::sip::views::parse_number;
use crate::sip::{Hop, Method, Request, Response, Status};

/// What a fork of our INVITE has said before its 2xx.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// The number of its last request.
    pub(super) remote_cseq: Option<u32>,
    /// Absent until it has answered reliably.
    pub(super) heard: Option<Box<Heard>>,
}

/// What a fork has said reliably.
#[derive(Debug)]
pub(super) struct Heard {
    /// The early dialog, in which the PRACKs go.
    pub(super) dialog: Dialog,
    /// The answer to our offer, which the 2xx may leave out (RFC 3261 section 13.2.1).
    pub(super) answer: Option<Body>,
    rseq: u32,
}

/// The reliable responses to an INVITE of the peer, one at a time (section 3).
#[derive(Debug, Default)]
pub(super) struct Reliable {
    /// The number of the last one.
    rseq: Option<u32>,
    /// The one that waits for its PRACK.
    waiting: Option<Box<Waiting>>,
    /// The answer that one of them bore; the 2xx has none then (RFC 6337 section 3.1.1).
    pub(super) description: Option<Body>,
    /// The owner has accepted, but the answer is not acknowledged yet.
    held: Option<Body>,
}

#[derive(Debug)]
struct Waiting {
    rack: Rack,
    /// Whether it bears the answer, so that a 2xx must wait for its PRACK.
    describes: bool,
    /// Absent once the final response is sent, after which nothing is repeated.
    repetition: Option<Repetition>,
}

#[derive(Debug)]
struct Repetition {
    bytes: Bytes,
    hop: Hop,
    interval: Duration,
    repeat_at: Instant,
    give_up_at: Instant,
}

/// What a PRACK acknowledges: the response by its RSeq, its request by the CSeq (section 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rack {
    rseq: u32,
    /// The number of the INVITE; nothing else is answered reliably.
    cseq: u32,
}

impl Reliable {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let repetition = self.waiting.as_ref()?.repetition.as_ref()?;
        Some(repetition.repeat_at.min(repetition.give_up_at))
    }

    /// Goes on after the final response: a late PRACK is still welcome, nothing is repeated.
    pub(super) fn hush(mut self) -> Self {
        if let Some(waiting) = &mut self.waiting {
            waiting.repetition = None;
        }
        self
    }

    /// Keeps a body for the 2xx that may not be sent yet, or gives it back: a 2xx waits for the
    /// PRACK of a response with a description, and of no other (section 3).
    pub(super) fn hold(&mut self, body: Body) -> Option<Body> {
        match &self.waiting {
            Some(waiting) if waiting.describes => self.held = Some(body),
            Some(_) | None => return Some(body),
        }
        None
    }

    /// Tells whether a 2xx waits.
    pub(super) fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    fn take(&mut self, rack: Rack) -> bool {
        self.waiting.take_if(|waiting| waiting.rack == rack).is_some()
    }

    fn wait(
        &mut self,
        now: Instant,
        (rack, describes): (Rack, bool),
        (bytes, hop): (Bytes, Hop),
        timers: &Timers,
    ) {
        let interval = timers.first_interval();
        let repetition = Repetition {
            bytes,
            hop,
            interval,
            repeat_at: now + interval,
            give_up_at: now + timers.give_up(),
        };
        self.rseq = Some(rack.rseq);
        let waiting = Waiting { rack, describes, repetition: Some(repetition) };
        self.waiting = Some(Box::new(waiting));
    }
}

/// The value of the header.
impl fmt::Display for Rack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.rseq, self.cseq, Method::Invite)
    }
}

impl Rack {
    fn read(request: &Request) -> Option<Self> {
        let mut words = request.headers.get("RAck")?.split_ascii_whitespace();
        let (rseq, cseq, method) = (words.next()?, words.next()?, words.next()?);
        let is_whole = words.next().is_none() && method == Method::Invite.as_str();
        let (rseq, cseq) = (parse_number(rseq)?, parse_number(cseq)?);
        is_whole.then_some(Self { rseq, cseq })
    }
}

impl Leg {
    /// Tells the caller that the invitation is shown (180); the leg repeats it every minute. Where
    /// the caller requires it, the 180 is reliable: sent again until its PRACK comes, and if none
    /// comes the invitation fails (RFC 3262 section 3). To who requires that and offers nothing,
    /// nothing is told: the 200 brings our offer.
    pub fn ring(&mut self, now: Instant) {
        let State::Deciding(deciding) = &self.state else { return };
        self.waits.set(Wait::Ring, now + RING_AGAIN);
        // One at a time: the one that is out still rings (section 3).
        if deciding.reliable.waiting.is_some() {
            return;
        }
        self.send_progress(now, Status::RINGING, None);
        self.settle(now);
    }

    /// Answers the caller's offer before the invitation is accepted (183), reliably where the
    /// caller understands it. The 200 repeats the answer then only if this one was not reliable.
    /// Without an offer, or while another response waits for its PRACK, nothing happens.
    pub fn progress(&mut self, now: Instant, answer: Body) {
        let State::Deciding(deciding) = &self.state else { return };
        let Reliable { waiting, description, .. } = &deciding.reliable;
        let has_offer = !deciding.invite.request.body.is_empty();
        if has_offer && waiting.is_none() && description.is_none() {
            self.send_progress(now, Status::SESSION_PROGRESS, Some(answer));
        }
        self.settle(now);
    }

    /// Sends a provisional response, reliably where the caller requires it, or where there is a
    /// description to be sure of.
    fn send_progress(&mut self, now: Instant, status: Status, body: Option<Body>) {
        let State::Deciding(deciding) = &self.state else { return };
        let (key, request) = (deciding.invite.key.clone(), &deciding.invite.request);
        let understood = self.desk.kit.local.supported.iter().any(|option| option == REL100);
        let is_reliable = request.headers.lists("Require", REL100)
            || (body.is_some() && understood && request.headers.lists("Supported", REL100));
        // The first reliable answer must bear an offer where the INVITE does not (RFC 3261 section
        // 13.2.1), and nobody has accepted yet with what we could offer.
        if is_reliable && body.is_none() && request.body.is_empty() {
            return;
        }
        let mut response = self.dialog_response(request, status);
        if let Some(body) = &body {
            response.headers.push("Content-Type", &body.content_type);
            response.body = body.bytes.clone();
        }
        let mut rack = None;
        if is_reliable {
            let rseq = match deciding.reliable.rseq {
                Some(last) => last.saturating_add(1),
                None => first_rseq(self.desk.kit.random.below(FIRST_RSEQS)),
            };
            response.headers.push("Require", REL100);
            response.headers.push("RSeq", &rseq.to_string());
            rack = response.cseq().ok().map(|cseq| Rack { rseq, cseq: cseq.number });
        }
        let hop = self.desk.answer(now, &key, &response);
        if let (State::Deciding(deciding), Some(rack), Some(hop)) = (&mut self.state, rack, hop) {
            let describes = body.is_some();
            deciding.reliable.description = deciding.reliable.description.take().or(body);
            let timers = &self.desk.kit.timers;
            let sent = (response.encode(), hop);
            deciding.reliable.wait(now, (rack, describes), sent, timers);
        }
    }

    /// Sends a reliable response again that is due: after T1, and then at doubled intervals
    /// without bound. Without a PRACK in 64\*T1 the INVITE is refused (section 3).
    pub(super) fn repeat_ringing(&mut self, now: Instant) {
        let State::Deciding(deciding) = &mut self.state else { return };
        let waiting = deciding.reliable.waiting.as_mut();
        let Some(repetition) = waiting.and_then(|waiting| waiting.repetition.as_mut()) else {
            return;
        };
        if repetition.give_up_at <= now {
            let status = Status::SERVER_INTERNAL_ERROR;
            self.reject(now, status, Vec::new());
            self.desk.event(LegEvent::Lost { status: Some(status) });
        } else if repetition.repeat_at <= now {
            repetition.interval = repetition.interval.saturating_mul(2);
            repetition.repeat_at = now + repetition.interval;
            self.desk.send(repetition.bytes.clone(), repetition.hop.clone());
        }
    }

    /// Answers a PRACK: 481 where it acknowledges nothing that waits (section 3). We never leave
    /// room for an offer in it.
    pub(super) fn handle_prack(&mut self, now: Instant, inbound: &Inbound) {
        let Some(rack) = Rack::read(&inbound.request) else {
            return self.refuse(now, inbound, Status::BAD_REQUEST);
        };
        let is_awaited = match &mut self.state {
            State::Deciding(deciding) => deciding.reliable.take(rack),
            State::Talking(session) => session.reliable.take(rack),
            State::Calling(_) | State::Closing(_) | State::Over => false,
        };
        let status = match is_awaited {
            true if inbound.request.body.is_empty() => Status::OK,
            true => Status::NOT_ACCEPTABLE_HERE,
            false => Status::CALL_DOES_NOT_EXIST,
        };
        let response = self.desk.response(&inbound.request, status);
        self.desk.answer(now, &inbound.key, &response);
        if let State::Deciding(deciding) = &mut self.state
            && is_awaited
            && let Some(body) = deciding.reliable.held.take()
        {
            self.accept(now, body);
        }
    }

    /// Acknowledges a provisional response to our INVITE, if it is reliable. Tells whether it is
    /// news: a repetition, or one that comes before its turn, is not to be looked at (section 4).
    pub(super) fn acknowledge_progress(&mut self, now: Instant, response: &Response) -> bool {
        let Some(rseq) = reliable_number(&self.desk, response) else { return true };
        let Some(placed) = &mut self.placed else { return false };
        let tag = response.to_tag().unwrap_or_default();
        let rack = Rack { rseq, cseq: placed.number() };
        let Some(early) = placed.early.get_mut(&tag) else { return false };
        let heard = match &mut early.heard {
            Some(heard) if heard.rseq.checked_add(1) != Some(rseq) => return false,
            Some(heard) => heard,
            none @ None => {
                let dialog = Dialog::of_caller(&placed.request, response);
                none.insert(Box::new(Heard { dialog, answer: None, rseq }))
            }
        };
        heard.rseq = rseq;
        if heard.answer.is_none() {
            heard.answer = body_of(&response.headers, &response.body);
        }
        // What has rung has let the INVITE through with the credentials that it had.
        self.desk.settle_credentials(response);
        prack(&mut self.desk, now, (&mut heard.dialog, &placed.hop), rack);
        true
    }

    /// Takes what became of a PRACK: a challenge is answered under the next number, for without the
    /// PRACK the call fails. Whoever does not take one otherwise repeats the response, which
    /// changes nothing.
    pub(super) fn handle_pracked(&mut self, now: Instant, report: &Report) {
        let Report::Response(response) = report else { return };
        if !response.status.is_final() || !self.desk.accepts_challenge(response) {
            return;
        }
        match &mut self.state {
            State::Calling(_) => {
                let tag = response.to_tag().unwrap_or_default();
                let Some(placed) = &mut self.placed else { return };
                let number = placed.number();
                let Some(heard) = placed.early.get_mut(&tag).and_then(|it| it.heard.as_mut())
                else {
                    return;
                };
                let rack = Rack { rseq: heard.rseq, cseq: number };
                prack(&mut self.desk, now, (&mut heard.dialog, &placed.hop), rack);
            }
            State::Talking(session) => {
                let Some((rseq, number)) = session.renewal.last_rseq() else { return };
                let path = (&mut session.dialog, &session.fallback);
                prack(&mut self.desk, now, path, Rack { rseq, cseq: number });
            }
            State::Deciding(_) | State::Closing(_) | State::Over => {}
        }
    }

    /// Acknowledges a provisional response to a re-INVITE of ours, if it is reliable.
    pub(super) fn acknowledge_renewal_progress(&mut self, now: Instant, response: &Response) {
        let Some(rseq) = reliable_number(&self.desk, response) else { return };
        let State::Talking(session) = &mut self.state else { return };
        let number = response.cseq().map_or(0, |cseq| cseq.number);
        let Some(pending) = session.renewal.pending(number) else { return };
        if pending.rseq.is_none_or(|last| last.checked_add(1) == Some(rseq)) {
            pending.rseq = Some(rseq);
            let path = (&mut session.dialog, &session.fallback);
            prack(&mut self.desk, now, path, Rack { rseq, cseq: number });
        }
    }
}

/// Gives the RSeq of a reliable provisional response (section 7.1); nobody may answer reliably
/// whom we have not told that we understand it. A flood of them is not acknowledged.
fn reliable_number(desk: &Desk, response: &Response) -> Option<u32> {
    let understood = desk.kit.local.supported.iter().any(|option| option == REL100);
    let is_reliable = understood
        && desk.count(Purpose::Prack) < MAX_PRACKS
        && response.status.is_provisional()
        && response.status != Status::TRYING
        && response.headers.lists("Require", REL100);
    let rseq = parse_number(response.headers.get("RSeq")?)?;
    (is_reliable && rseq > 0).then_some(rseq)
}

fn prack(desk: &mut Desk, now: Instant, (dialog, fallback): (&mut Dialog, &Hop), rack: Rack) {
    let hop = dialog.next_hop().unwrap_or_else(|| fallback.clone());
    let mut prack = dialog.request(Method::Prack);
    prack.headers.push_front("Via", &desk.via(hop.transport));
    prack.headers.push("RAck", &rack.to_string());
    desk.push_abilities(&mut prack.headers);
    prack.headers.push("User-Agent", &desk.kit.local.user_agent);
    desk.authorize(&mut prack);
    desk.request(now, &prack, hop, Purpose::Prack);
}

/// Places a random number in the range from which the first RSeq comes: 1 to 2^31 - 1 (section 3).
fn first_rseq(drawn: u64) -> u32 {
    u32::try_from(drawn % FIRST_RSEQS).unwrap_or_default() + 1
}

/// The option tag of RFC 3262.
pub(super) const REL100: &str = "100rel";

const FIRST_RSEQS: u64 = (1 << 31) - 1;

/// More PRACKs at a time than any honest peer makes us send.
const MAX_PRACKS: usize = 16;
