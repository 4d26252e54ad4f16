//! The INVITE with which the other side, or the focus, begins a running session anew: it has lost its
//! bearer, or believes that we have lost ours.
//!
//! ```text
//!   INVITE ──judged──▶ Renewal ──no relay──────────▶ takes over: 200; BYE to the old dialog
//!     │                   └────▶ Successor: AUTH ──▶
//!     └──▶ refused ◀── no way, CANCEL, end ──┘
//! ```
//! Nobody is asked. What cannot be followed leaves the session as it is (RFC 3891 section 3): until
//! the 200 goes out the dialog and the MSRP session before work on, both ways.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::bearer::Bearer;
use super::dealings::{Arrival, ConversationKit, NextMsrp, Output};
use super::legs::Legs;
use super::line::Line;
use super::media::{self, Peer};
use super::settings::Settings;
use super::sip_outcomes::LegEnd;
use super::succession::SessionIds;
use crate::msrp;
use crate::sip::{
    DialogKey, Hop, Kit, Leg, LegEvent, LegInput, LegOutput, Message, NameAddr, Request, Status,
    answer_stateless, reply_hop, stamp_answer,
};

/// When to call again who calls too often, in seconds: the dialogs before have come to rest then.
const RETRY_AFTER: u64 = 32;

/// How many may ask our relays in that time, each on a connection of its own.
const MOST_ASKING: usize = 8;

/// The legs of a session, and what it wants done.
pub(super) type Places<'a> = (&'a mut Legs, &'a mut VecDeque<Output>);

/// A session that its other side may begin anew.
pub(super) trait Renewable {
    /// Gives what is to take the place of its dialog and its MSRP session, and where that is.
    fn successor(&mut self) -> (&mut Successor, Places<'_>);

    /// Gives what another MSRP session works with.
    fn kit(&mut self) -> ConversationKit;

    /// Tells whether there is something to be begun anew.
    fn is_live(&self) -> bool;

    /// Goes on in the new dialog, and accepts it.
    fn take_over(&mut self, now: Instant, ready: (Renewal, Line));

    /// Ends it as it would have ended before, had there been no successor.
    fn tell_held(&mut self, now: Instant, held: Held);

    /// One who begins it anew explains why the connection is lost.
    fn postpone_explanation(&mut self);

    /// Takes the INVITE that begins it anew.
    fn renewed(&mut self, now: Instant, arrival: Arrival) {
        let is_live = self.is_live();
        let mut kit = self.kit();
        let (successor, places) = self.successor();
        match successor.judge(now, &mut kit, (arrival, is_live), places) {
            Some(ready) => self.take_over(now, ready),
            None => self.postpone_explanation(),
        }
    }

    /// Takes what has become of that INVITE; tells whether anything has.
    fn settle_successor(&mut self, now: Instant) -> bool {
        let is_live = self.is_live();
        let (successor, places) = self.successor();
        match successor.settle(now, is_live, places) {
            Verdict::Waits => return false,
            Verdict::Ready(ready) => self.take_over(now, *ready),
            Verdict::Gone(held) => {
                if let Some(held) = held {
                    self.tell_held(now, held);
                }
            }
        }
        true
    }

    /// Refuses that INVITE because of something else; what has ended the session meanwhile comes
    /// first.
    fn release_successor(&mut self, now: Instant, status: Status) {
        let (successor, places) = self.successor();
        if let Some(held) = successor.give_up(now, status, places) {
            self.tell_held(now, held);
        }
    }

    /// Refuses the INVITE that begins anew what is over.
    fn drop_successor(&mut self, now: Instant, status: Status) {
        let (successor, places) = self.successor();
        drop(successor.give_up(now, status, places));
    }
}

/// A dialog that may take the place of the one that there is.
#[derive(Debug)]
pub(super) struct Renewal {
    /// It waits for our answer.
    leg: Leg,
    /// Who is at its other end; nothing where the offer is ours to make.
    peer: Option<Peer>,
    /// What MSRP is to be carried by.
    bearer: Bearer,
    /// Who has sent the INVITE.
    caller: DialogKey,
    told: Told,
}

/// What the INVITE tells beside its offer.
#[derive(Debug)]
pub(super) struct Told {
    /// The Contact, which is the focus of a group.
    pub(super) contact: Option<NameAddr>,
    pub(super) ids: SessionIds,
    pub(super) first_message: Option<Bytes>,
}

impl Renewal {
    /// Judges an INVITE that was meant for a session, which `is_live` unless its end has overtaken
    /// the INVITE on the way here. One that is refused keeps its leg in `legs`.
    fn judge(
        now: Instant,
        (settings, kit): (&Settings, Kit),
        (arrival, is_live): (Arrival, bool),
        (legs, outputs): Places<'_>,
    ) -> Option<Self> {
        let Arrival { invite, source, .. } = arrival;
        let caller = caller_of(&invite);
        let is_offerless = invite.body.is_empty();
        let (sdp, first_message) = media::parts(invite.content_type(), &invite.body);
        let ids = SessionIds::of(&invite.headers);
        let contact = invite.contact().ok().flatten();
        let leg = Leg::answering(now, invite, source, kit);
        let offer = media::judge_offer(settings, sdp.as_deref());
        let refusal = match &offer {
            _ if !is_live => Some((Status::TEMPORARILY_UNAVAILABLE, Vec::new())),
            Err(why) if !is_offerless => Some((Status::NOT_ACCEPTABLE_HERE, why.warning())),
            // The leg has refused it itself, such as for an unknown Require.
            Ok(_) | Err(_) if !leg.awaits_answer() => {
                Some((Status::SERVER_INTERNAL_ERROR, Vec::new()))
            }
            Ok(_) | Err(_) => None,
        };
        let bearer = media::bearer_asked(settings, sdp.as_deref());
        let bearer = bearer.unwrap_or(settings.offered_bearer());
        let told = Told { contact, ids, first_message };
        let this = Self { leg, peer: offer.ok(), bearer, caller, told };
        match refusal {
            None => Some(this),
            Some(refusal) => {
                this.refuse(now, refusal, (legs, outputs));
                None
            }
        }
    }

    /// Refuses it, unless its leg has done that itself. The caller may call once more.
    fn refuse(
        mut self,
        now: Instant,
        (status, headers): (Status, Vec<(String, String)>),
        (legs, outputs): Places<'_>,
    ) {
        self.leg.reject(now, status, headers);
        outputs.extend([legs.retire(self.leg), Output::EndCaller(self.caller)]);
    }

    /// Puts the dialog, which is to be accepted now, and its MSRP session in the place of those that
    /// there are. What nobody has answered goes on there.
    pub(super) fn take_over(
        self,
        now: Instant,
        next: Line,
        (legs, line): (&mut Legs, &mut Line),
        outputs: &mut VecDeque<Output>,
    ) -> Told {
        outputs.extend(legs.renew(now, (self.leg, self.caller)));
        line.renew(now, next);
        outputs.extend([Output::MsrpClose, Output::MsrpRoute(line.session_id().to_owned())]);
        self.told
    }
}

/// What is to take the place of the dialog and the MSRP session that there are, as soon as our relays
/// have let it in. There is one at most: of two INVITEs the later one counts.
#[derive(Debug, Default)]
pub(super) struct Successor {
    candidate: Option<Box<Candidate>>,
    /// When our relays were asked lately.
    asked: Vec<Instant>,
}

/// How a session has ended that is not told as long as something may take its place.
#[derive(Debug)]
pub(super) enum Held {
    /// The dialog has.
    Leg(LegEvent),
    /// The MSRP session is of no use any more.
    Media(LegEnd),
    /// Our relays carry it no more, with this code.
    Relay(u16),
}

#[derive(Debug)]
struct Candidate {
    renewal: Renewal,
    line: Line,
    /// When the relays have had time enough, for it and for those whose place it has taken.
    until: Instant,
    /// How the session has ended meanwhile: no news, if this one takes its place.
    held: Option<Held>,
}

/// What has become of a successor.
#[derive(Debug)]
pub(super) enum Verdict {
    /// There is none, or it waits.
    Waits,
    /// It is to take over.
    Ready(Box<(Renewal, Line)>),
    /// Nothing comes of it, and what was kept from the session is to be told now.
    Gone(Option<Held>),
}

impl Successor {
    /// Judges an INVITE, and begins what it asks for; gives that back where no relay is to be asked.
    fn judge(
        &mut self,
        now: Instant,
        kit: &mut ConversationKit,
        (arrival, is_live): (Arrival, bool),
        (legs, outputs): Places<'_>,
    ) -> Option<(Renewal, Line)> {
        self.asked.retain(|at| now < *at + Duration::from_secs(RETRY_AFTER));
        if !legs.has_room() || self.asked.len() >= MOST_ASKING {
            let Arrival { invite, source, .. } = arrival;
            outputs.extend([Output::ForgetCaller(caller_of(&invite)), put_off(&invite, source)]);
            return None;
        }
        let leg_kit = kit.access.kit(&kit.settings, kit.random.fork());
        let wire = (&*kit.settings, leg_kit);
        let renewal = Renewal::judge(now, wire, (arrival, is_live), (&mut *legs, &mut *outputs))?;
        self.begin(now, renewal, kit, (legs, outputs))
    }

    fn begin(
        &mut self,
        now: Instant,
        mut renewal: Renewal,
        kit: &mut ConversationKit,
        places: Places<'_>,
    ) -> Option<(Renewal, Line)> {
        let mut line = Line::new(now, kit, renewal.bearer);
        line.peer = renewal.peer.take();
        let Some(wait) = line.seek_way(now) else { return Some((renewal, line)) };
        // Whoever calls again has no more time than it had.
        let until = self.until().map_or(now + wait, |until| until.min(now + wait));
        let held = self.give_up(now, Status::TEMPORARILY_UNAVAILABLE, places);
        self.asked.push(now);
        self.candidate = Some(Box::new(Candidate { renewal, line, until, held }));
        None
    }

    /// Tells by when it is decided.
    fn until(&self) -> Option<Instant> {
        self.candidate.as_ref().map(|candidate| candidate.until)
    }

    /// Puts off what is due `at` until it is decided, though not for one after another: the first of
    /// them has said for how long, in `patience`.
    pub(super) fn postpone(&self, at: &mut Instant, patience: &mut Option<Instant>) {
        if let Some(until) = self.until() {
            let latest = *patience.get_or_insert(until);
            *at = until.min(latest).max(*at);
        }
    }

    /// Keeps how the session has ended, where there is something that may replace it; tells whether
    /// there is. What the other side says of it counts more than what we have seen.
    pub(super) fn keep(&mut self, end: Held) -> bool {
        let Some(candidate) = &mut self.candidate else { return false };
        match (&candidate.held, &end) {
            (None, _) | (Some(Held::Media(_) | Held::Relay(_)), Held::Leg(_)) => {
                candidate.held = Some(end);
            }
            (Some(_), _) => {}
        }
        true
    }

    /// The MSRP connection that did not come about in time has come about after all.
    pub(super) fn line_stands(&mut self) {
        if let Some(candidate) = &mut self.candidate {
            let is_late = |held: &mut Held| matches!(held, Held::Media(LegEnd::MsrpConnectFailed));
            drop(candidate.held.take_if(is_late));
        }
    }

    /// Keeps an event of the dialog that it may replace, if that is the end of it; gives back all
    /// else.
    pub(super) fn hold(&mut self, event: LegEvent) -> Option<LegEvent> {
        if self.candidate.is_none() {
            return Some(event);
        }
        match event {
            LegEvent::Ended { .. }
            | LegEvent::Lost { .. }
            | LegEvent::NoAck
            | LegEvent::SessionExpired => {
                self.keep(Held::Leg(event));
                None
            }
            LegEvent::Progress(_)
            | LegEvent::Established { .. }
            | LegEvent::Refused { .. }
            | LegEvent::NoAnswer(_)
            | LegEvent::Cancelled
            | LegEvent::CancelledByPeer { .. }
            | LegEvent::Expired
            | LegEvent::Confirmed
            | LegEvent::Answer { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::Offer { .. }
            | LegEvent::Referral { .. }
            | LegEvent::Referred { .. }
            | LegEvent::ByeDone => Some(event),
        }
    }

    /// Tells whether a message is of its dialog, or repeats or cancels its INVITE.
    pub(super) fn owns(&self, message: &Message) -> bool {
        self.candidate.as_ref().is_some_and(|candidate| candidate.renewal.leg.owns(message))
    }

    pub(super) fn receive(&mut self, now: Instant, message: Message, source: Hop) {
        if let Some(candidate) = &mut self.candidate {
            candidate.renewal.leg.handle(now, LegInput::Message { message, source });
        }
    }

    /// Takes what has happened on its connection.
    pub(super) fn feed(&mut self, now: Instant, input: msrp::Input) {
        if let Some(candidate) = &mut self.candidate {
            // Who is cut off for saying too much has broken it.
            let _closed = candidate.line.feed(now, input);
        }
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        if let Some(candidate) = &mut self.candidate {
            candidate.renewal.leg.handle(now, LegInput::Timeout);
            candidate.line.msrp.handle(now, msrp::Input::Timeout);
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let candidate = self.candidate.as_ref()?;
        let others = [candidate.renewal.leg.next_timeout(), candidate.line.msrp.next_timeout()];
        others.into_iter().flatten().chain([candidate.until]).min()
    }

    /// Takes what it wants done, and judges it; a session that is not live any more has none.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        is_live: bool,
        (legs, outputs): Places<'_>,
    ) -> Verdict {
        let Some(candidate) = &mut self.candidate else { return Verdict::Waits };
        candidate.settle_leg(outputs);
        let progress = candidate.settle_line(outputs);
        let status = match progress {
            Progress::LetIn | Progress::Asked if !is_live => Status::TEMPORARILY_UNAVAILABLE,
            // Its caller has given up, and heard so.
            Progress::LetIn | Progress::Asked if !candidate.renewal.leg.awaits_answer() => {
                Status::REQUEST_TERMINATED
            }
            Progress::Asked if now < candidate.until => return Verdict::Waits,
            Progress::LetIn => {
                let ready =
                    self.candidate.take().map(|candidate| (candidate.renewal, candidate.line));
                return ready.map_or(Verdict::Waits, |ready| Verdict::Ready(Box::new(ready)));
            }
            Progress::Asked | Progress::Broken => Status::SERVER_INTERNAL_ERROR,
        };
        Verdict::Gone(self.give_up(now, status, (legs, outputs)))
    }

    /// Refuses its INVITE; gives what was kept from the session.
    pub(super) fn give_up(
        &mut self,
        now: Instant,
        status: Status,
        (legs, outputs): Places<'_>,
    ) -> Option<Held> {
        let Candidate { renewal, held, .. } = *self.candidate.take()?;
        outputs.push_back(Output::NextMsrp(NextMsrp::Close));
        renewal.refuse(now, (status, Vec::new()), (legs, outputs));
        held
    }
}

/// How far it has come with our relays.
enum Progress {
    Asked,
    LetIn,
    Broken,
}

impl Candidate {
    /// Sends what the leg wants sent. Before it is accepted, its events say only that it will not be.
    fn settle_leg(&mut self, outputs: &mut VecDeque<Output>) {
        while let Some(output) = self.renewal.leg.poll() {
            match output {
                LegOutput::Send { bytes, hop } => outputs.push_back(Output::Sip { bytes, hop }),
                LegOutput::Spare { hop, wait } => outputs.push_back(Output::Spare { hop, wait }),
                LegOutput::Event(_) => {}
            }
        }
    }

    fn settle_line(&mut self, outputs: &mut VecDeque<Output>) -> Progress {
        while let Some(output) = self.line.msrp.poll() {
            let wish = match output {
                msrp::Output::Connect { host, port, secure } => {
                    let session_id = self.line.session_id().to_owned();
                    NextMsrp::Connect { session_id, host, port, secure }
                }
                msrp::Output::Write(bytes) => NextMsrp::Write(bytes),
                msrp::Output::WriteParts(parts) => NextMsrp::Write(parts.concat().into()),
                msrp::Output::Event(msrp::Event::Path(_)) => return Progress::LetIn,
                msrp::Output::Event(msrp::Event::Broken(_)) => return Progress::Broken,
                // Of who is not let in yet nobody knows; and why it closes it tells.
                msrp::Output::Event(_) | msrp::Output::Close => continue,
            };
            outputs.push_back(Output::NextMsrp(wish));
        }
        Progress::Asked
    }
}

/// Tells who has called, as the directory knows it.
pub(super) fn caller_of(invite: &Request) -> DialogKey {
    let call_id = invite.call_id().unwrap_or_default().to_owned();
    DialogKey { call_id, tag: invite.from_tag().unwrap_or_default() }
}

/// Refuses, without keeping anything of it, what is one too many.
fn put_off(invite: &Request, source: Hop) -> Output {
    let mut answer = answer_stateless(invite, Status::SERVICE_UNAVAILABLE);
    answer.headers.push("Retry-After", &RETRY_AFTER.to_string());
    stamp_answer(&mut answer, &source);
    let hop = answer.via().map_or_else(|_| source.clone(), |via| reply_hop(&via, &source));
    Output::Sip { bytes: answer.encode(), hop }
}
