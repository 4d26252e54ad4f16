//! The caller's side of a leg: INVITE, forks, ACK, CANCEL (RFC 3261 sections 9.1 and 13.2).

use std::collections::BTreeMap;
use std::mem;
use std::time::Instant;

use bytes::Bytes;

use super::desk::{Desk, Purpose, preloaded_route};
use super::session::{Closing, Session};
use super::{Call, Kit, Leg, LegEvent, NoAnswer, State, Wait};
use crate::sip::dialog::{Dialog, DialogError, admit_number, contact_of};
use crate::sip::timers::Deadlines;
use crate::sip::{Headers, Hop, Method, Reason, Request, Response, Status};

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
    /// With its body, until it is accepted: a challenge may ask for it again.
    request: Request,
    hop: Hop,
    /// The forks that have answered provisionally: their tags, and the CSeq of their requests.
    early: BTreeMap<String, Option<u32>>,
    /// The ACKs of the forks that have accepted.
    acks: Vec<SentAck>,
}

#[derive(Debug)]
struct SentAck {
    remote_tag: String,
    bytes: Bytes,
    hop: Hop,
}

impl Leg {
    /// Calls: sends the INVITE.
    #[must_use]
    pub fn call(now: Instant, call: Call, kit: Kit) -> Self {
        let mut desk = Desk::new(kit, None);
        let waits = Deadlines::default();
        let Some(hop) = call.next_hop.clone().or_else(|| call.target.hop()) else {
            desk.event(LegEvent::NoAnswer(NoAnswer::Transport));
            return Self { desk, state: State::Over, placed: None, waits };
        };
        let request = invite(&mut desk, &call, &hop);
        desk.request(now, &request, hop.clone(), Purpose::Invite);
        let placed = Placed { request, hop, early: BTreeMap::new(), acks: Vec::new() };
        let state = State::Calling(Calling::Silent);
        Self { desk, state, placed: Some(Box::new(placed)), waits }
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
            _ if self.accepts_challenge(&response) => self.call_again(now),
            _ => self.handle_refusal(response),
        }
    }

    /// Tells whether a refusal asks for credentials that we have, for a call that is still wanted.
    fn accepts_challenge(&mut self, response: &Response) -> bool {
        matches!(self.state, State::Calling(Calling::Silent | Calling::Proceeding))
            && self.desk.accepts_challenge(response, Purpose::Invite)
    }

    /// Sends the INVITE with credentials: the next number and another branch, all else as it was
    /// (RFC 3261 section 22.2). The forks of the first one are gone with it.
    fn call_again(&mut self, now: Instant) {
        let Some(placed) = &mut self.placed else { return };
        let number = placed.number() + 1;
        let via = self.desk.via(placed.hop.transport);
        placed.request.headers.set("Via", &via);
        placed.request.headers.set("CSeq", &format!("{number} INVITE"));
        placed.early.clear();
        self.desk.authorize(&mut placed.request);
        self.desk.request(now, &placed.request, placed.hop.clone(), Purpose::Invite);
        self.state = State::Calling(Calling::Silent);
    }

    /// Takes a response that belongs to no transaction any more: a 2xx to an INVITE that we have
    /// given up still made a dialog at the other end, which must be ended.
    pub(super) fn handle_late_answer(&mut self, now: Instant, response: Response) {
        let Some(placed) = &self.placed else { return };
        let ours = (placed.request.cseq().ok(), placed.request.via().ok());
        if response.status.is_success()
            && response.cseq().ok() == ours.0
            && response
                .via()
                .ok()
                .is_some_and(|via| via.branch() == ours.1.as_ref().and_then(|ours| ours.branch()))
        {
            self.handle_success(now, response);
        }
    }

    /// Takes the end of an INVITE without final response.
    pub(super) fn give_up(&mut self, now: Instant, why: NoAnswer) {
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
        admit_number(early.ok_or(DialogError::OtherDialog)?, &cseq)
    }

    fn handle_progress(&mut self, now: Instant, response: &Response) {
        if let (Some(placed), Some(tag)) = (&mut self.placed, response.to_tag())
            && placed.early.len() < MAX_FORKS
        {
            placed.early.entry(tag).or_default();
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

    /// ACKs a 2xx. The first one decides the call; whoever accepts later, or too late, or cannot
    /// be reached for want of a Contact, is hung up on (section 13.2.2.4).
    fn handle_success(&mut self, now: Instant, response: Response) {
        let Some(placed) = &mut self.placed else { return };
        let tag = response.to_tag().unwrap_or_default();
        if let Some(ack) = placed.acks.iter().find(|ack| ack.remote_tag == tag) {
            return self.desk.send(ack.bytes.clone(), ack.hop.clone());
        }
        if placed.acks.len() >= MAX_FORKS {
            return;
        }
        self.desk.settle_credentials(&response);
        placed.request.body = Bytes::new();
        let mut dialog = Dialog::of_caller(&placed.request, &response);
        dialog.resume(placed.early.remove(&tag).flatten());
        let ack = placed.ack(&mut self.desk, &dialog);
        self.desk.send(ack.bytes.clone(), ack.hop.clone());
        let hop = placed.hop.clone();
        placed.acks.push(ack);
        match mem::replace(&mut self.state, State::Over) {
            State::Calling(Calling::Silent | Calling::Proceeding) => {
                if contact_of(&response.headers).is_some() {
                    self.state = State::Talking(Box::new(Session::new(dialog, hop)));
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

    fn handle_refusal(&mut self, response: Response) {
        let State::Calling(calling) = mem::replace(&mut self.state, State::Over) else { return };
        self.waits.stop_all();
        self.placed = None;
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
        let uri = placed.request.uri.clone();
        let cancel = Request { method: Method::Cancel, uri, headers, body: Bytes::new() };
        self.desk.request(now, &cancel, placed.hop.clone(), Purpose::Cancel);
        self.waits.set(Wait::Cancelled, now + self.desk.kit.timers.give_up());
        self.state = State::Calling(Calling::Cancelling(reason));
    }
}

impl Placed {
    fn number(&self) -> u32 {
        self.request.cseq().map_or(INVITE_CSEQ, |cseq| cseq.number)
    }

    /// Builds the ACK for a 2xx: a branch of its own, and the credentials of the INVITE (section
    /// 13.2.2.4). We always offer in the INVITE, so it has no body.
    fn ack(&self, desk: &mut Desk, dialog: &Dialog) -> SentAck {
        let hop = dialog.next_hop().unwrap_or_else(|| self.hop.clone());
        let mut ack = dialog.ack(self.number());
        ack.headers.push_front("Via", &desk.via(hop.transport));
        for name in ["Authorization", "Proxy-Authorization"] {
            ack.headers.copy(name, &self.request.headers);
        }
        SentAck { remote_tag: dialog.remote_tag().to_owned(), bytes: ack.encode(), hop }
    }
}

fn invite(desk: &mut Desk, call: &Call, hop: &Hop) -> Request {
    desk.set_contact(call.target.is_secure(), call.contact_user.as_deref(), &call.contact_params);
    let mut headers = Headers::new();
    headers.push("Via", &desk.via(hop.transport));
    headers.push("Max-Forwards", "70");
    if let Some(proxy) = &call.next_hop {
        headers.push("Route", &preloaded_route(proxy));
    }
    headers.push("From", &call.from.clone().with_tag(&desk.local_tag).to_string());
    headers.push("To", &call.to.to_string());
    headers.push("Call-ID", &desk.call_id);
    headers.push("CSeq", &format!("{INVITE_CSEQ} INVITE"));
    headers.push("Contact", &desk.contact);
    desk.push_abilities(&mut headers);
    headers.push("User-Agent", &desk.kit.local.user_agent);
    for (name, value) in &call.headers {
        headers.push(name, value);
    }
    headers.push("Content-Type", &call.body.content_type);
    let uri = call.target.without_headers();
    Request { method: Method::Invite, uri, headers, body: call.body.bytes.clone() }
}

/// The first number of a dialog; any below 2^31 will do (RFC 3261 section 8.1.1.5).
const INVITE_CSEQ: u32 = 1;

/// More forks than any honest proxy makes of one INVITE.
const MAX_FORKS: usize = 16;
