//! A leg: the INVITE usage of one dialog with the transactions it needs (RFC 3261 sections 9 and
//! 12 to 15).
//!
//! ```text
//!      call()                                        answering()
//!        │ INVITE, hop by hop                           │ 100
//!        ▼                                              ▼
//!   ┌─────────┐ 3xx-6xx, timeout, transport      ┌──────────┐ reject(), CANCEL, BYE, Expires
//!   │ Calling │───────────────────▶ Over         │ Deciding │──────────────────▶ Over
//!   └──┬───┬──┘                                  └────┬─────┘
//!      │   │ 2xx: ACK                                 │ accept(): 200, again until ACK
//!      │   └───────────────┐       ┌──────────────────┘
//!      │ 2xx after         ▼       ▼   re-INVITE, UPDATE: Offer; offer(): re-INVITE
//!      │ cancel():      ┌────────────┐ second 2xx from another tag: ACK, BYE
//!      │ ACK            │  Talking   │ session timer: UPDATE, re-INVITE, at last BYE
//!      │                └──┬──────┬──┘
//!      │    bye(), no ACK  │      │ BYE: 200
//!      ▼                   ▼      ▼
//!   ┌─────────────────────────┐  any answer, or none
//!   │ Closing (BYE sent)      │──────────────────────▶ Over
//!   └─────────────────────────┘
//! ```
//!
//! A 401 or 407 is answered with our credentials, and a 422 with its interval: INVITE, BYE and our
//! changes to the session are sent anew, which moves no state (section 22, RFC 4028 section 7.3).
//! An INVITE whose hop cannot be reached, does not answer or is overloaded goes to the next hop, the
//! same but for its branch (RFC 3263 section 4.3).
//! Reliable provisional responses are acknowledged, and sent, while calling and deciding
//! (`reliable`); `renew` makes our own changes to the session, `timer` says when it must be
//! refreshed, and `fate` what a refusal leaves of it.
//!
//! A leg that is `Over` may still have to absorb repetitions; it is finished when its last
//! transaction is. What a leg does not expect it answers with a status, and stays as it is.

mod desk;
mod refer;

mod reliable;
mod renew;
mod session;
mod timer;
mod uac;
mod uas;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::ids::Random;
use crate::sip::timers::{Deadlines, Timers};
use crate::sip::transaction::TransactionKey;
use crate::sip::{
    ALLOW, Credentials, Hop, Message, Method, NameAddr, Reason, Refer, ReferralEvent, Request,
    Response, Status, Transport, Uri, Via, stamp_source,
};

pub(super) use desk::preloaded_route;
use desk::{Desk, Inbound, Purpose, Report};
pub use refer::ReferId;
use refer::Refers;
use session::{Closing, Session};
use uac::{Calling, Placed};
use uas::Deciding;

/// One INVITE usage, as caller or as callee.
///
/// Sans-IO: after each call drain [`Leg::poll`] until it gives `None`, and hand in
/// [`LegInput::Timeout`] no later than at [`Leg::next_timeout`].
#[derive(Debug)]
pub struct Leg {
    desk: Desk,
    state: State,
    /// Our INVITE, as long as a 2xx to it may still arrive.
    placed: Option<Box<Placed>>,
    /// Whom the leg has referred to others, and to whom it was referred.
    refers: Refers,
    waits: Deadlines<Wait>,
}

/// What every leg needs to know of its surroundings.
#[derive(Debug)]
pub struct Kit {
    /// Who we are on the wire; legs that are the same to the world share it.
    pub local: Arc<Local>,
    /// The durations of RFC 3261 table 4.
    pub timers: Timers,
    /// Where tags, branches and Call-IDs come from.
    pub random: Random,
}

/// Who we are on the wire.
#[derive(Debug, Clone)]
pub struct Local {
    /// The address at which we are reached: sent-by of Via, host of Contact. Its transport is the
    /// one that we prefer, its port that of UDP and TCP.
    pub hop: Hop,
    /// The port at which TLS is listened for, if it is.
    pub tls_port: Option<u16>,
    /// The product name for User-Agent and Server.
    pub user_agent: String,
    /// The methods for Allow.
    pub allow: String,
    /// The event packages of which we notify, for Allow-Events (RFC 6665 section 4.4.4).
    pub events: Vec<String>,
    /// The option tags for Supported, which a peer may also require.
    pub supported: Vec<String>,
    /// The parameters, each with its semicolon, of the Contact with which we answer an INVITE.
    pub contact_params: String,
    /// The user part of the Contact with which we answer an INVITE; without one, that of its
    /// Request-URI.
    pub contact_user: Option<String>,
    /// Our Contact, where a registrar has made one that all the world can reach (RFC 5627 section
    /// 4.4); without one, our address.
    pub gruu: Option<Uri>,
    /// The identity, as a name-addr, that we assert where we accept an INVITE (RFC 3325 section 9.1):
    /// for who speaks for the trust domain itself.
    pub identity: Option<String>,
    /// What we answer to a 401 or 407; without, such a response is a refusal like any other.
    pub credentials: Option<Credentials>,
    /// The session interval that we ask for (RFC 4028). Without one we still serve a timer that
    /// the peer asks for, as long as `timer` is supported.
    pub session_expires: Option<Duration>,
    /// The shortest session interval that we tolerate, at least 90 s.
    pub min_se: Duration,
    /// The largest request that goes as a datagram, in bytes; `0` is any (RFC 3261 section 18.1.1).
    pub datagram: usize,
}

impl Local {
    /// Describes a user agent that is reached at `hop`, supports what a leg does, and asks for no
    /// session timer.
    #[must_use]
    pub fn new(hop: Hop, user_agent: impl Into<String>) -> Self {
        Self {
            hop,
            tls_port: None,
            user_agent: user_agent.into(),
            allow: ALLOW.to_owned(),
            events: Vec::new(),
            supported: OPTIONS.map(str::to_owned).to_vec(),
            contact_params: String::new(),
            contact_user: None,
            gruu: None,
            identity: None,
            credentials: None,
            session_expires: None,
            min_se: Duration::from_secs(timer::LEAST.into()),
            datagram: DATAGRAM,
        }
    }

    /// Gives the address at which we are reached over `transport`.
    #[must_use]
    pub fn sent_by(&self, transport: Transport) -> Hop {
        let port = match transport {
            Transport::Udp | Transport::Tcp => self.hop.port,
            Transport::Tls => self.tls_port.unwrap_or(self.hop.port),
        };
        Hop { transport, host: self.hop.host.clone(), port }
    }

    /// Gives the address that a Contact names in a message that travels over `transport`: the one
    /// we prefer, but TLS for what travels under TLS, and only for that.
    #[must_use]
    pub fn contact(&self, transport: Transport) -> Hop {
        let is_tls = |transport| matches!(transport, Transport::Tls);
        let fits = is_tls(transport) == is_tls(self.hop.transport);
        self.sent_by(if fits { self.hop.transport } else { transport })
    }
}

impl Kit {
    /// Writes a Via with a fresh branch. Under TLS the peer is invited to send its own requests on
    /// the same connection (RFC 5923 section 8.1).
    pub(super) fn via(&mut self, transport: Transport) -> String {
        let alias = transport == Transport::Tls && self.local.tls_port.is_some();
        let token = self.random.token();
        Via::write(&self.local.sent_by(transport), &token, if alias { ";alias" } else { "" })
    }
}

/// A body with its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The value of Content-Type.
    pub content_type: String,
    /// The body itself.
    pub bytes: Bytes,
}

/// An INVITE to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    /// The Request-URI.
    pub target: Uri,
    /// Who calls; the leg adds the tag.
    pub from: NameAddr,
    /// Who is called.
    pub to: NameAddr,
    /// Where the outbound proxy is reached, best first: each hop that fails gives way to the next
    /// (RFC 3263 section 4.3). Without any, the target names the hop.
    pub next_hops: Vec<Hop>,
    /// How the pre-loaded Route names the outbound proxy, where not by its first hop.
    pub proxy: Option<Hop>,
    /// The Route behind the outbound proxy, verbatim and in order (RFC 3608 section 5).
    pub route: Vec<NameAddr>,
    /// Whether the outbound proxy is to serve the caller, not the callee (`orig` in its Route, 3GPP
    /// TS 24.229 section 5.7.3).
    pub orig: bool,
    /// Further headers, as they stand.
    pub headers: Vec<(String, String)>,
    /// The user part of our Contact.
    pub contact_user: Option<String>,
    /// The parameters of our Contact, each with its semicolon.
    pub contact_params: String,
    /// The offer.
    pub body: Body,
    /// What the INVITE carries in place of the bare offer: a multipart body with the offer in it.
    pub letter: Option<Body>,
}

/// What a leg is fed.
#[derive(Debug, Clone)]
pub enum LegInput {
    /// A message whose route is this leg.
    Message {
        /// The message.
        message: Message,
        /// The other end of the path it came on.
        source: Hop,
    },
    /// The time of [`Leg::next_timeout`] has come.
    Timeout,
    /// A hop that we sent to cannot be reached.
    TransportFailed {
        /// That hop.
        hop: Hop,
    },
}

/// What a leg wishes or reports.
#[derive(Debug, Clone, PartialEq)]
pub enum LegOutput {
    /// Bytes to put on the wire.
    Send {
        /// The encoded message.
        bytes: Bytes,
        /// Where it goes.
        hop: Hop,
    },
    /// Something to know.
    Event(LegEvent),
    /// A hop is overloaded: nobody should send it anything new before that time has gone by (503
    /// with Retry-After, RFC 3261 section 21.5.4).
    Spare {
        /// That hop.
        hop: Hop,
        /// How long.
        wait: Duration,
    },
}

/// What has become of the call.
#[derive(Debug, Clone, PartialEq)]
pub enum LegEvent {
    /// A provisional response to our INVITE.
    Progress(Status),
    /// The first 2xx to our INVITE, already ACKed.
    Established {
        /// That response.
        response: Response,
    },
    /// The final refusal of our INVITE, already ACKed.
    Refused {
        /// That response.
        response: Response,
    },
    /// Our INVITE got no final response.
    NoAnswer(NoAnswer),
    /// The call that we cancelled is over, also where a 2xx crossed the CANCEL.
    Cancelled,
    /// The caller gave up before we decided; 200 and 487 have been sent.
    CancelledByPeer {
        /// Why, if the caller told.
        reasons: Vec<Reason>,
    },
    /// The INVITE's own Expires ran out before we decided; 487 has been sent.
    Expired,
    /// The ACK for our 2xx has come.
    Confirmed,
    /// The answer to an offer of ours within the session: in the ACK of a 2xx that offered, or in
    /// the 2xx to a re-INVITE of ours.
    Answer {
        /// The answer; absent where the peer owes it.
        body: Option<Body>,
    },
    /// What [`Leg::offer`] offered was refused; the session is as it was.
    OfferRefused {
        /// The status; absent where the offer could not be brought to the peer.
        status: Option<Status>,
    },
    /// Nobody has refreshed the session in time (RFC 4028); the leg says BYE of itself.
    SessionExpired,
    /// No ACK came in 64\*T1; the leg says BYE of itself.
    NoAck,
    /// A re-INVITE or an UPDATE, to be answered with [`Leg::answer_offer`].
    Offer {
        /// The offer; absent where the peer asks us for one.
        body: Option<Body>,
    },
    /// The peer has said BYE, which is answered.
    Ended {
        /// Why, if the peer told.
        reasons: Vec<Reason>,
    },
    /// The dialog could not be had: a 2xx without Contact, or an INVITE that the leg itself
    /// refused with this status. Or it is gone: a request of ours within it was refused with this
    /// status, or not answered at all. The leg closes of itself.
    Lost {
        /// The status, where there is one.
        status: Option<Status>,
    },
    /// What has become of a REFER of ours.
    Referral {
        /// Which one, as [`Leg::refer`] has told.
        id: ReferId,
        /// What has become of it.
        news: ReferralEvent,
    },
    /// The peer refers us to others; to be answered at once with [`Leg::answer_refer`]. Comes only
    /// where [`Local::allow`] names REFER.
    Referred {
        /// Its name.
        id: ReferId,
        /// What it asks.
        refer: Box<Refer>,
    },
    /// The BYE that was asked for is answered, or will never be.
    ByeDone,
}

/// Why an INVITE got no final response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// Nobody answered in 64\*T1 (Timer B).
    Timeout,
    /// The next hop cannot be reached.
    Transport,
}

#[derive(Debug)]
enum State {
    /// Our INVITE has no final response.
    Calling(Calling),
    /// The peer's INVITE has no final response.
    Deciding(Box<Deciding>),
    /// The INVITE was accepted.
    Talking(Box<Session>),
    /// Our BYE has no final response.
    Closing(Box<Closing>),
    /// There is no dialog any more, or never was.
    Over,
}

/// What a leg waits for beside the timers of its transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    /// For the final response to an INVITE that we cancelled: 64\*T1 (RFC 3261 section 9.1).
    Cancelled,
    /// For a 2xx to an INVITE that we have given up: another 64\*T1.
    LateAnswer,
    /// Until the 180 is sent again, lest a proxy give up: one minute (section 13.3.1.1).
    Ring,
    /// Until the INVITE of the peer expires (section 13.3.1).
    Expires,
    /// For the next attempt after a glare: up to 4 s (section 14.1).
    Glare,
    /// For the final response to a re-INVITE of ours.
    Renewal,
    /// Until the session is to be refreshed: half of its interval (RFC 4028 section 7.2).
    Refresh,
    /// Until the session ends for want of a refresh (RFC 4028 section 10).
    SessionEnd,
}

impl Leg {
    /// Feeds one input.
    pub fn handle(&mut self, now: Instant, input: LegInput) {
        match input {
            LegInput::Message { message: Message::Response(response), .. } => {
                self.handle_response(now, response);
            }
            LegInput::Message { message: Message::Request(request), source } => {
                self.handle_request(now, request, source);
            }
            LegInput::Timeout => self.handle_timeout(now),
            LegInput::TransportFailed { hop } => self.desk.handle_transport_failure(now, &hop),
        }
        self.settle(now);
    }

    /// Hangs up. A call without final response is cancelled; an invitation not yet answered is
    /// refused with 480, without a further event unless it was accepted already. A callee's BYE
    /// waits for the ACK of its 2xx (RFC 3261 section 15).
    pub fn bye(&mut self, now: Instant, reason: Option<Reason>) {
        match &mut self.state {
            State::Calling(_) => self.cancel(now, reason),
            State::Deciding(deciding) => {
                let was_accepted = deciding.reliable.is_holding();
                self.reject(now, Status::TEMPORARILY_UNAVAILABLE, Vec::new());
                if was_accepted {
                    self.desk.event(LegEvent::ByeDone);
                }
            }
            State::Talking(_) => self.hang_up_when_permitted(now, reason),
            State::Closing(closing) => closing.ask(),
            State::Over => {}
        }
        self.settle(now);
    }

    /// Gives the next wish or report.
    pub fn poll(&mut self) -> Option<LegOutput> {
        self.desk.poll()
    }

    /// Gives the time of the next timer.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let answers = match &self.state {
            State::Talking(session) => session.next_timeout(),
            State::Deciding(deciding) => deciding.reliable.next_timeout(),
            State::Calling(_) | State::Closing(_) | State::Over => None,
        };
        let own = [self.desk.next_timeout(), self.waits.next_timeout(), answers];
        own.into_iter().chain([self.refers.next_timeout()]).flatten().min()
    }

    /// Tells whether nothing is left to absorb, to repeat or to poll.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Over) && self.placed.is_none() && self.desk.is_idle()
    }

    /// Tells whether there is no dialog any more, or never was, so that nobody is left to say BYE to.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Tells whether an INVITE of the peer waits for our final answer.
    #[must_use]
    pub fn awaits_answer(&self) -> bool {
        matches!(self.state, State::Deciding(_))
    }

    /// Tells whether a message is of this dialog; outside of any, its Call-ID tells whose INVITE is
    /// repeated or cancelled.
    #[must_use]
    pub fn owns(&self, message: &Message) -> bool {
        let tag = match message {
            Message::Request(request) => request.to_tag(),
            Message::Response(response) => response.from_tag(),
        };
        match tag {
            Some(tag) => tag == self.local_tag(),
            None => message.headers().get("Call-ID") == Some(self.call_id()),
        }
    }

    /// Gives the Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.desk.call_id
    }

    /// Gives our tag, random and unique among all legs.
    #[must_use]
    pub fn local_tag(&self) -> &str {
        &self.desk.local_tag
    }

    /// Gives the peer's tag, while there is a dialog.
    #[must_use]
    pub fn remote_tag(&self) -> Option<&str> {
        match &self.state {
            State::Deciding(deciding) => Some(deciding.dialog.remote_tag()),
            State::Talking(session) => Some(session.dialog.remote_tag()),
            State::Closing(closing) => Some(closing.dialog.remote_tag()),
            State::Calling(_) | State::Over => None,
        }
    }

    /// Gives the Contact of the peer, while there is a dialog.
    #[must_use]
    pub fn remote_target(&self) -> Option<&Uri> {
        match &self.state {
            State::Deciding(deciding) => Some(deciding.dialog.remote_target()),
            State::Talking(session) => Some(session.dialog.remote_target()),
            State::Closing(closing) => Some(closing.dialog.remote_target()),
            State::Calling(_) | State::Over => None,
        }
    }

    fn handle_response(&mut self, now: Instant, response: Response) {
        // More than one Via: the response was never meant for us (RFC 3261 section 8.1.3.3).
        if response.headers.list("Via").count() != 1 {
            return;
        }
        if let Some(response) = self.desk.handle_response(now, response) {
            self.handle_late_answer(now, response);
        }
    }

    fn handle_request(&mut self, now: Instant, mut request: Request, source: Hop) {
        stamp_source(&mut request, &source);
        let key = TransactionKey::of_request(&request);
        if self.desk.is_repetition(now, &key, &request) {
            return;
        }
        let inbound = Inbound { request, source, key };
        if inbound.request.method == Method::Ack {
            self.handle_ack(now, &inbound.request);
        } else if inbound.request.method == Method::Cancel {
            self.handle_cancel(now, &inbound);
        } else if inbound.request.to_tag().is_none() {
            self.handle_outside(&inbound);
        } else {
            self.handle_within(now, inbound);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.desk.handle_timeout(now);
        while let Some((wait, _)) = self.waits.expire(now) {
            match wait {
                Wait::Cancelled => self.give_up_cancelled(now),
                Wait::LateAnswer => self.placed = None,
                Wait::Ring => self.ring(now),
                Wait::Expires => self.expire(now),
                // What waits goes out with `settle`.
                Wait::Glare => {}
                Wait::Renewal => self.give_up_renewal(now),
                Wait::Refresh => self.plan_refresh(),
                Wait::SessionEnd => self.expire_session(now),
            }
        }
        self.repeat_answers(now);
        self.repeat_ringing(now);
        self.expire_refers(now);
    }

    /// Serves the reports of the transactions until none is left.
    fn settle(&mut self, now: Instant) {
        while let Some((purpose, report)) = self.desk.poll_client() {
            match (purpose, report) {
                (Purpose::Invite, Report::Response(response)) => {
                    self.handle_answer(now, response);
                }
                (Purpose::Invite, Report::Failed(why)) => self.give_up(now, why),
                (Purpose::Invite, Report::Terminated) => self.forget_invite(),
                (Purpose::Bye, Report::Response(response)) if response.status.is_final() => {
                    self.handle_bye_answer(now, &response);
                }
                (Purpose::Bye, Report::Failed(_)) => self.finish_bye(),
                // Whether a CANCEL is answered changes nothing (RFC 3261 section 9.1), nor does
                // the answer of a fork that we never wanted, nor what is done with.
                (Purpose::Cancel | Purpose::ForkBye | Purpose::Superseded, _)
                | (Purpose::Bye, _) => {}
                (Purpose::Renew, report) => self.handle_renewal(now, report),
                (Purpose::Refer(id), report) => self.handle_referral(now, id, report),
                (Purpose::Notify(id), report) => self.handle_told(id, report),
                (Purpose::Prack, report) => self.handle_pracked(now, &report),
            }
        }
        while let Some(ack) = self.desk.poll_server() {
            self.handle_ack(now, &ack);
        }
        self.change_session(now);
        self.tell_referrers(now);
    }
}

/// The option tags of what every leg does.
const OPTIONS: [&str; 2] = [reliable::REL100, timer::TIMER];

/// The largest request that goes as a datagram where the path is not known (RFC 3261 section
/// 18.1.1).
pub const DATAGRAM: usize = 1300;

/// How often a ringing callee says so again (RFC 3261 section 13.3.1.1).
const RING_AGAIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
