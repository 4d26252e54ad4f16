//! The caller's side of a leg: INVITE, forks, ACK, CANCEL (RFC 3261 sections 9.1 and 13.2).

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::time::Instant;

use bytes::Bytes;

use super::desk::{Desk, Purpose, preloaded_route};
use super::refer::Refers;
use super::reliable::Early;
use super::renew::Renewal;
use super::session::{Closing, Session};
use super::timer::{Policy, min_se};
use super::{Body, Call, Kit, Leg, LegEvent, LegOutput, NoAnswer, State, Wait};
use crate::sip::dialog::{Dialog, DialogError, admit_number, contact_of};
use crate::sip::registration::retry_after;
use crate::sip::timers::Deadlines;
use crate::sip::{Headers, Hop, Method, Reason, Request, Response, Status, Via, readdress};

/// How far an INVITE of ours is that has no final response.
#[derive(Debug)]
pub(super) enum Calling {
    /// No response at all.
    Silent,
    /// No response at all, and a CANCEL that waits for one (RFC 3261 section 9.1).
    SilentCancelled(Option<Reason>),
    /// A provisional response has come.
    Proceeding,
    /// The CANCEL is sent.
    Cancelling(Option<Reason>),
}

/// An INVITE of ours to which a 2xx may still arrive.
#[derive(Debug)]
pub(super) struct Placed {
    /// With its body, until it is accepted: it may have to be made anew.
    pub(super) request: Request,
    offer: Body,
    pub(super) hop: Hop,
    /// The hops that are left to try.
    others: VecDeque<Hop>,
    /// The branches by which it went to hops that have failed.
    former: Vec<String>,
    /// The forks that have answered provisionally, by their tags.
    pub(super) early: BTreeMap<String, Early>,
    /// The ACKs of the forks that have accepted.
    acks: Vec<SentAck>,
    /// The session interval that it asks for, in seconds (RFC 4028).
    interval: Option<u32>,
    /// Whether it was already made anew with a longer one.
    is_longer: bool,
}

#[derive(Debug)]
pub(super) struct SentAck {
    pub(super) remote_tag: String,
    pub(super) bytes: Bytes,
    pub(super) hop: Hop,
}

impl Leg {
    /// Calls nobody: stands where a leg that calls is to stand later.
    #[must_use]
    pub fn unplaced(kit: Kit) -> Self {
        let (desk, waits) = (Desk::new(kit, None), Deadlines::default());
        Self { desk, state: State::Over, placed: None, refers: Refers::default(), waits }
    }

    /// Calls: sends the INVITE.
    #[must_use]
    pub fn call(now: Instant, call: Call, kit: Kit) -> Self {
        let mut desk = Desk::new(kit, None);
        let waits = Deadlines::default();
        let mut hops = VecDeque::from(call.next_hops.clone());
        let Some(hop) = hops.pop_front().or_else(|| routed_hop(&call)) else {
            desk.event(LegEvent::NoAnswer(NoAnswer::Transport));
            let (state, refers) = (State::Over, Refers::default());
            return Self { desk, state, placed: None, refers, waits };
        };
        let (request, interval) = invite(&mut desk, &call, &hop);
        desk.request(now, &request, hop.clone(), Purpose::Invite);
        let placed = Placed {
            request,
            offer: call.body,
            hop,
            others: hops,
            former: Vec::new(),
            early: BTreeMap::new(),
            acks: Vec::new(),
            interval,
            is_longer: false,
        };
        let state = State::Calling(Calling::Silent);
        Self { desk, state, placed: Some(Box::new(placed)), refers: Refers::default(), waits }
    }

    /// Takes the call back before it is answered. The CANCEL waits for a provisional response; a
    /// 2xx that crosses it is ACKed and hung up (RFC 3261 sections 9.1 and 15).
    pub fn cancel(&mut self, now: Instant, reason: Option<Reason>) {
        match mem::replace(&mut self.state, State::Over) {
            State::Calling(Calling::Silent) => {
                self.state = State::Calling(Calling::SilentCancelled(reason));
            }
            State::Calling(Calling::Proceeding) => self.send_cancel(now, reason),
            state @ State::Talking(_) => {
                self.state = state;
                self.bye(now, reason);
            }
            state @ (State::Calling(_) | State::Deciding(_) | State::Closing(_) | State::Over) => {
                self.state = state;
            }
        }
        self.settle(now);
    }

    /// Takes a response to the INVITE that its transaction lets through.
    pub(super) fn handle_answer(&mut self, now: Instant, response: Response) {
        match response.status.class() {
            1 => self.handle_progress(now, &response),
            2 => self.handle_success(now, response),
            5 if response.status == Status::SERVICE_UNAVAILABLE => {
                self.handle_overload(now, response);
            }
            _ if self.accepts_challenge(&response) || self.accepts_longer(&response) => {
                self.call_again(now);
            }
            _ => self.handle_refusal(now, response),
        }
    }

    /// Tells whether a refusal asks for credentials that we have, for a call that is still wanted.
    fn accepts_challenge(&mut self, response: &Response) -> bool {
        self.is_wanted() && self.desk.accepts_challenge(response)
    }

    /// Tells whether a refusal is a 422 to a call that is still wanted, and its interval one that
    /// we have not offered; once only (RFC 4028 section 7.3). The INVITE asks for it from then on.
    fn accepts_longer(&mut self, response: &Response) -> bool {
        let is_wanted = self.is_wanted() && response.status == Status::SESSION_INTERVAL_TOO_SMALL;
        let Some(placed) = self.placed.as_mut().filter(|placed| is_wanted && !placed.is_longer)
        else {
            return false;
        };
        let Some(least) = min_se(&response.headers).filter(|it| Some(*it) > placed.interval) else {
            return false;
        };
        let policy = Policy::of(&self.desk.kit.local);
        placed.interval = policy.ask(&mut placed.request.headers, None, Some(least));
        placed.is_longer = true;
        true
    }

    /// Takes a 503, which the hop says of itself: it is spared as long as it wishes, and the next
    /// one has its turn (RFC 3261 section 21.5.4, RFC 3263 section 4.3).
    fn handle_overload(&mut self, now: Instant, response: Response) {
        if let (Some(placed), Some(wait)) = (&self.placed, retry_after(&response.headers)) {
            let hop = placed.hop.clone();
            self.desk.outputs.push_back(LegOutput::Spare { hop, wait });
        }
        if !self.is_wanted() || !self.call_elsewhere(now) {
            self.handle_refusal(now, response);
        }
    }

    /// Sends the INVITE to the next hop, if there is one: the same but for its branch (RFC 3263
    /// section 4.3), and for the count of its credentials. What the last hop forked is gone.
    fn call_elsewhere(&mut self, now: Instant) -> bool {
        let Some(placed) = &mut self.placed else { return false };
        let Some(hop) = placed.others.pop_front() else { return false };
        placed.former.extend(branch_of(&placed.request.headers));
        placed.hop = hop;
        let via = self.desk.via(placed.hop.transport);
        placed.request.headers.set("Via", &via);
        placed.early.clear();
        self.desk.authorize(&mut placed.request);
        self.desk.supersede(Purpose::Invite);
        self.desk.request(now, &placed.request, placed.hop.clone(), Purpose::Invite);
        self.state = State::Calling(Calling::Silent);
        true
    }

    /// Tells whether nobody but the hop itself can have heard of the call: where somebody rings, a
    /// second INVITE would ring twice.
    fn is_unheard(&self) -> bool {
        self.is_wanted() && self.placed.as_ref().is_some_and(|placed| placed.early.is_empty())
    }

    fn is_wanted(&self) -> bool {
        matches!(self.state, State::Calling(Calling::Silent | Calling::Proceeding))
    }

    /// Sends the INVITE anew, with the credentials or the interval that its refusal asked for: the
    /// next number and another branch, all else as it was (RFC 3261 section 22.2, RFC 4028 section
    /// 7.3). The forks of the first one are gone with it.
    fn call_again(&mut self, now: Instant) {
        let Some(placed) = &mut self.placed else { return };
        let number = placed.number().saturating_add(1);
        let via = self.desk.via(placed.hop.transport);
        placed.request.headers.set("Via", &via);
        placed.request.headers.set("CSeq", &format!("{number} INVITE"));
        placed.early.clear();
        self.desk.authorize(&mut placed.request);
        self.desk.supersede(Purpose::Invite);
        self.desk.request(now, &placed.request, placed.hop.clone(), Purpose::Invite);
        self.state = State::Calling(Calling::Silent);
    }

    /// Takes a response that belongs to no transaction any more: a 2xx to an INVITE that we have
    /// given up still made a dialog at the other end, which must be ended. Where the INVITE has gone
    /// elsewhere since, that stays the one that counts.
    pub(super) fn handle_late_answer(&mut self, now: Instant, response: Response) {
        let Some(placed) = &self.placed else { return };
        let Some(branch) = branch_of(&response.headers) else { return };
        if !response.status.is_success() || response.cseq().ok() != placed.request.cseq().ok() {
            return;
        }
        if branch_of(&placed.request.headers).as_ref() == Some(&branch) {
            self.handle_success(now, response);
        } else if placed.former.contains(&branch)
            && let Some((dialog, _)) = self.acknowledge(&response)
        {
            let mut fork = Closing::unasked(dialog, self.fallback(), None);
            self.desk.bye(now, &mut fork, Purpose::ForkBye);
        }
    }

    /// Takes the end of an INVITE without final response: another hop may have one.
    pub(super) fn give_up(&mut self, now: Instant, why: NoAnswer) {
        if self.is_unheard() && self.call_elsewhere(now) {
            return;
        }
        let State::Calling(calling) = mem::replace(&mut self.state, State::Over) else { return };
        self.waits.stop_all();
        self.waits.set(Wait::LateAnswer, now + self.desk.kit.timers.give_up());
        self.desk.event(match calling {
            Calling::Silent | Calling::Proceeding => LegEvent::NoAnswer(why),
            Calling::SilentCancelled(_) | Calling::Cancelling(_) => LegEvent::Cancelled,
        });
    }

    /// Takes the end of the wait for the final response to a cancelled INVITE (section 9.1).
    pub(super) fn give_up_cancelled(&mut self, now: Instant) {
        self.desk.drop_invite();
        self.give_up(now, NoAnswer::Timeout);
    }

    /// Takes the end of the INVITE's transaction: no 2xx is repeated any more.
    pub(super) fn forget_invite(&mut self) {
        if !self.waits.is_running(Wait::LateAnswer) {
            self.placed = None;
        }
    }

    /// Takes note of a request from a fork that has not accepted yet (section 12.2.2).
    pub(super) fn admit_early(&mut self, request: &Request) -> Result<(), DialogError> {
        let tag = request.from_tag().unwrap_or_default();
        if request.to_tag().as_deref() != Some(&self.desk.local_tag) {
            return Err(DialogError::OtherDialog);
        }
        let cseq = request.cseq().map_err(|_| DialogError::NoCSeq)?;
        let early = self.placed.as_mut().and_then(|placed| placed.early.get_mut(&tag));
        let early = early.ok_or(DialogError::OtherDialog)?;
        admit_number(&mut early.remote_cseq, &cseq)
    }

    /// Takes the new target of a fork that has answered reliably (RFC 3311 section 5.2).
    pub(super) fn refresh_early(&mut self, update: &Request) {
        let tag = update.from_tag().unwrap_or_default();
        let early = self.placed.as_mut().and_then(|placed| placed.early.get_mut(&tag));
        if let Some(heard) = early.and_then(|early| early.heard.as_mut()) {
            heard.dialog.refresh_target(&update.headers);
        }
    }

    fn handle_progress(&mut self, now: Instant, response: &Response) {
        if let (Some(placed), Some(tag)) = (&mut self.placed, response.to_tag())
            && placed.early.len() < MAX_FORKS
        {
            placed.early.entry(tag).or_default();
        }
        if !self.acknowledge_progress(now, response) {
            return;
        }
        match mem::replace(&mut self.state, State::Over) {
            State::Calling(Calling::Silent | Calling::Proceeding) => {
                self.state = State::Calling(Calling::Proceeding);
                self.desk.event(LegEvent::Progress(response.status));
            }
            State::Calling(Calling::SilentCancelled(reason)) => self.send_cancel(now, reason),
            state @ (State::Calling(Calling::Cancelling(_))
            | State::Deciding(_)
            | State::Talking(_)
            | State::Closing(_)
            | State::Over) => self.state = state,
        }
    }

    /// Takes a 2xx. The first one decides the call; whoever accepts later, or too late, or cannot be
    /// reached for want of a Contact, is hung up on (section 13.2.2.4).
    fn handle_success(&mut self, now: Instant, mut response: Response) {
        let Some((dialog, heard)) = self.acknowledge(&response) else { return };
        if let Some(answer) = heard.filter(|_| response.body.is_empty()) {
            response.headers.set("Content-Type", &answer.content_type);
            response.body = answer.bytes;
        }
        let hop = self.fallback();
        let Some(placed) = &mut self.placed else { return };
        let asked = (placed.take_description(), placed.interval);
        match mem::replace(&mut self.state, State::Over) {
            State::Calling(Calling::Silent | Calling::Proceeding) => {
                if contact_of(&response.headers).is_some() {
                    let policy = Policy::of(&self.desk.kit.local);
                    let renewal = Renewal::of_caller(policy, asked, &response.headers);
                    self.state = State::Talking(Box::new(Session::new(dialog, hop, renewal)));
                    self.watch_session(now);
                    self.desk.event(LegEvent::Established { response });
                } else {
                    self.desk.event(LegEvent::Lost { status: None });
                    self.hang_up(now, Closing::unasked(dialog, hop, None));
                }
            }
            State::Calling(Calling::SilentCancelled(reason) | Calling::Cancelling(reason)) => {
                self.waits.stop(Wait::Cancelled);
                self.desk.event(LegEvent::Cancelled);
                self.hang_up(now, Closing::unasked(dialog, hop, reason));
            }
            state @ (State::Deciding(_) | State::Talking(_) | State::Closing(_) | State::Over) => {
                self.state = state;
                let mut fork = Closing::unasked(dialog, hop, None);
                self.desk.bye(now, &mut fork, Purpose::ForkBye);
            }
        }
    }

    /// ACKs a 2xx, each time that it comes. The first time it gives the dialog, and the answer that
    /// a reliable provisional response of the same fork brought.
    fn acknowledge(&mut self, response: &Response) -> Option<(Dialog, Option<Body>)> {
        let placed = self.placed.as_mut()?;
        let tag = response.to_tag().unwrap_or_default();
        if let Some(ack) = placed.acks.iter().find(|ack| ack.remote_tag == tag) {
            self.desk.send(ack.bytes.clone(), ack.hop.clone());
            return None;
        }
        if placed.acks.len() >= MAX_FORKS {
            return None;
        }
        self.desk.settle_credentials(response);
        let mut dialog = Dialog::of_caller(&placed.request, response);
        let early = placed.early.remove(&tag).unwrap_or_default();
        dialog.resume(early.remote_cseq);
        let mut answer = None;
        if let Some(heard) = early.heard {
            dialog.outrun(&heard.dialog);
            answer = heard.answer;
        }
        let ack = placed.ack(&mut self.desk, &dialog);
        self.desk.send(ack.bytes.clone(), ack.hop.clone());
        placed.acks.reserve_exact(1);
        placed.acks.push(ack);
        Some((dialog, answer))
    }

    /// Gives where the INVITE went, for want of a better hop.
    fn fallback(&self) -> Hop {
        let hop = self.placed.as_ref().map(|placed| placed.hop.clone());
        hop.unwrap_or_else(|| self.desk.kit.local.hop.clone())
    }

    /// Takes the refusal. Who has the INVITE by a hop that was given up may still accept it.
    fn handle_refusal(&mut self, now: Instant, response: Response) {
        let State::Calling(calling) = mem::replace(&mut self.state, State::Over) else { return };
        self.waits.stop_all();
        if self.placed.as_ref().is_some_and(|placed| !placed.former.is_empty()) {
            self.waits.set(Wait::LateAnswer, now + self.desk.kit.timers.give_up());
        } else {
            self.placed = None;
        }
        let cancelled = match calling {
            Calling::Silent | Calling::Proceeding => false,
            Calling::SilentCancelled(_) | Calling::Cancelling(_) => {
                response.status == Status::REQUEST_TERMINATED
            }
        };
        self.desk.event(match cancelled {
            true => LegEvent::Cancelled,
            false => LegEvent::Refused { response },
        });
    }

    /// Sends the CANCEL: the INVITE's own Request-URI, Via, Route, From, To, Call-ID and number,
    /// nothing required (section 9.1).
    fn send_cancel(&mut self, now: Instant, reason: Option<Reason>) {
        let Some(placed) = &self.placed else { return };
        let mut headers = Headers::new();
        for name in ["Via", "Max-Forwards", "Route", "From", "To", "Call-ID"] {
            headers.copy(name, &placed.request.headers);
        }
        headers.push("CSeq", &format!("{} CANCEL", placed.number()));
        headers.push("User-Agent", &self.desk.kit.local.user_agent);
        if let Some(reason) = &reason {
            headers.push("Reason", &reason.to_string());
        }
        let way = self.desk.way_of(Purpose::Invite).unwrap_or_else(|| placed.hop.clone());
        readdress(&mut headers, way.transport);
        let uri = placed.request.uri.clone();
        let cancel = Request { method: Method::Cancel, uri, headers, body: Bytes::new() };
        self.desk.request(now, &cancel, way, Purpose::Cancel);
        self.waits.set(Wait::Cancelled, now + self.desk.kit.timers.give_up());
        self.state = State::Calling(Calling::Cancelling(reason));
    }
}

impl Placed {
    pub(super) fn number(&self) -> u32 {
        self.request.cseq().map_or(INVITE_CSEQ, |cseq| cseq.number)
    }

    fn ack(&self, desk: &mut Desk, dialog: &Dialog) -> SentAck {
        SentAck::new(desk, dialog, &self.hop, (self.number(), &self.request.headers))
    }

    /// Gives the offer. No other INVITE will be made of this one: only what more 2xx to it may ask
    /// for is kept.
    fn take_description(&mut self) -> Body {
        self.request.body = Bytes::new();
        self.request.headers = self.request.headers.only(&KEPT);
        self.offer.clone()
    }
}

impl SentAck {
    /// Builds the ACK for a 2xx: a branch of its own, and the number and the credentials of the
    /// INVITE, be it the first or a later one (section 13.2.2.4). We always offer in the INVITE,
    /// so it has no body.
    pub(super) fn new(
        desk: &mut Desk,
        dialog: &Dialog,
        fallback: &Hop,
        (number, invite): (u32, &Headers),
    ) -> Self {
        let hop = dialog.next_hop().unwrap_or_else(|| fallback.clone());
        let mut ack = dialog.ack(number);
        ack.headers.push_front("Via", &desk.via(hop.transport));
        for name in CREDENTIALS {
            ack.headers.copy(name, invite);
        }
        Self { remote_tag: dialog.remote_tag().to_owned(), bytes: ack.encode(), hop }
    }
}

/// Finds where an INVITE goes that has no outbound proxy: to the head of its Route, else to its
/// target.
fn routed_hop(call: &Call) -> Option<Hop> {
    call.route.first().map_or(&call.target, |proxy| &proxy.uri).hop()
}

/// Builds the INVITE; also tells the session interval that it asks for.
fn invite(desk: &mut Desk, call: &Call, hop: &Hop) -> (Request, Option<u32>) {
    let security = (hop.transport, call.target.is_secure());
    desk.set_contact(security, call.contact_user.as_deref(), &call.contact_params);
    let mut headers = Headers::with_room(20, 1024);
    headers.push("Via", &desk.via(hop.transport));
    headers.push("Max-Forwards", "70");
    if let Some(proxy) = call.proxy.as_ref().or(call.next_hops.first()) {
        let orig = if call.orig { ";orig" } else { "" };
        headers.push("Route", &preloaded_route(proxy, orig));
    }
    for proxy in &call.route {
        headers.push("Route", &proxy.to_string());
    }
    headers.push("From", &call.from.clone().with_tag(&desk.local_tag).to_string());
    headers.push("To", &call.to.to_string());
    headers.push("Call-ID", &desk.call_id);
    headers.push("CSeq", &format!("{INVITE_CSEQ} INVITE"));
    headers.push("Contact", &desk.contact);
    desk.push_abilities(&mut headers);
    let interval = Policy::of(&desk.kit.local).ask(&mut headers, None, None);
    headers.push("User-Agent", &desk.kit.local.user_agent);
    for (name, value) in &call.headers {
        headers.push(name, value);
    }
    let Body { content_type, bytes: body } = call.letter.as_ref().unwrap_or(&call.body).clone();
    headers.push("Content-Type", &content_type);
    let uri = call.target.without_headers();
    (Request { method: Method::Invite, uri, headers, body }, interval)
}

/// Gives the branch of the topmost Via.
fn branch_of(headers: &Headers) -> Option<String> {
    let via = Via::parse(headers.list("Via").next()?).ok()?;
    via.branch().map(str::to_owned)
}

/// What an ACK takes over from its INVITE, because nobody can ask for it (section 22.1).
const CREDENTIALS: [&str; 2] = ["Authorization", "Proxy-Authorization"];

/// What must be known of an INVITE that was accepted: to match another 2xx, and to ACK it.
const KEPT: [&str; 6] = ["Via", "From", "Call-ID", "CSeq", CREDENTIALS[0], CREDENTIALS[1]];

/// The first number of a dialog; any below 2^31 will do (RFC 3261 section 8.1.1.5).
const INVITE_CSEQ: u32 = 1;

/// More forks than any honest proxy makes of one INVITE.
const MAX_FORKS: usize = 16;
