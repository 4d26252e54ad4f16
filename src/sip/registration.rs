//! A registration: the REGISTER usage, which keeps one contact known to a registrar (RFC 3261
//! section 10.2, RFC 3263, RFC 3327, RFC 3608, RFC 5626 section 4.5, RFC 5627).
//!
//! ```text
//!       register()
//!           │ REGISTER
//!           ▼
//!     ┌──────────┐ 401, 407, 423: REGISTER again
//!     │  Asking  │──────────────────────────────▶ Asking
//!     └─┬──┬───┬─┘ 503, timeout, transport: REGISTER to the next hop, if one is left
//!       │  │   │ 2xx: Registered       half of the granted time: REGISTER
//!       │  │   └─────────────▶ Resting ─────────────────────────────────▶ Asking
//!       │  │ 408, 5xx, Retry-After, timeout, transport: Failed
//!       │  └─────────────────▶ Resting, the longer the more often it failed
//!       │ any other refusal: Failed, or Lost
//!       ▼
//!     Over ◀──────────── Leaving ◀──────────── Asking (after its answer), Resting
//!            any answer,            deregister(): REGISTER that expires at once
//!            or none: Gone
//! ```
//!
//! Beside its state a registration remembers until when it stands: where that time passes without
//! a fresh 2xx, it is Lost, and goes on asking. The hop that has answered stays the one that is
//! asked, for the calls go that way, too (3GPP TS 24.229 section 5.1.1.2.1).

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::sip::leg::preloaded_route;
use crate::sip::timers::Deadlines;
use crate::sip::transaction::{ClientOutput, ClientTransaction, TransactionKey};
use crate::sip::views::parse_number;
use crate::sip::{
    DigestClient, Headers, Hop, Kit, Method, NameAddr, Request, Response, Status, Uri,
};

/// One contact of one user at one registrar.
///
/// Sans-IO: after each call drain [`Registration::poll`] until it gives `None`, and hand in
/// [`RegistrationInput::Timeout`] no later than at [`Registration::next_timeout`].
#[derive(Debug)]
pub struct Registration {
    kit: Kit,
    enrolment: Enrolment,
    hops: Hops,
    digest: Option<DigestClient>,
    call_id: String,
    local_tag: String,
    number: u32,
    state: State,
    /// What the registrar has said, as long as it stands.
    grant: Option<Grant>,
    waits: Deadlines<Wait>,
    /// Failures since the last 2xx.
    failures: u32,
    outputs: VecDeque<RegistrationOutput>,
}

/// What is to be registered.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// The Request-URI: the domain of the registrar, without a user.
    pub registrar: Uri,
    /// The address of record.
    pub aor: NameAddr,
    /// Where its requests shall go, with feature tags and the like.
    pub contact: NameAddr,
    /// The time that is asked for, in seconds.
    pub expires: u32,
    /// Where the outbound proxy is reached, best first: each hop that fails gives way to the next
    /// (RFC 3263 section 4.3). Without any, the registrar names the hop.
    pub next_hops: Vec<Hop>,
    /// How the pre-loaded Route names the outbound proxy, where not by the hop that is asked.
    pub proxy: Option<Hop>,
    /// Whether the first REGISTER names our user before anybody has asked: the core finds the
    /// subscription by it (3GPP TS 24.229 section 5.1.1.2.1).
    pub introduces: bool,
    /// Whether to ask for a GRUU (RFC 5627); the contact then needs a `+sip.instance`.
    pub gruu: bool,
    /// Further headers, as they stand.
    pub headers: Vec<(String, String)>,
}

/// What a registration is fed.
#[derive(Debug, Clone)]
pub enum RegistrationInput {
    /// A response with the Call-ID and the From tag of this registration.
    Response(Response),
    /// The time of [`Registration::next_timeout`] has come.
    Timeout,
    /// A hop that we sent to cannot be reached.
    TransportFailed {
        /// That hop.
        hop: Hop,
    },
}

/// What a registration wishes or reports.
#[derive(Debug, Clone, PartialEq)]
pub enum RegistrationOutput {
    /// Bytes to put on the wire.
    Send {
        /// The encoded message.
        bytes: Bytes,
        /// Where it goes.
        hop: Hop,
    },
    /// Something to know.
    Event(RegistrationEvent),
    /// A hop is overloaded: nobody should send it anything new before that time has gone by (503
    /// with Retry-After, RFC 3261 section 21.5.4).
    Spare {
        /// That hop.
        hop: Hop,
        /// How long.
        wait: Duration,
    },
}

/// What has become of the registration.
#[derive(Debug, Clone, PartialEq)]
pub enum RegistrationEvent {
    /// The contact is registered: for the first time, again after a loss, or with another grant.
    Registered(Box<Grant>),
    /// An attempt failed; the registration, if there is one, still stands.
    Failed {
        /// Why.
        why: RegistrationFailure,
        /// When the next attempt is due; `None` if there is none, as it would fail alike.
        again_at: Option<Instant>,
    },
    /// The registration stands no more: its time has passed, or the registrar has ended it.
    Lost {
        /// The refusal that ended it; `None` where time did.
        why: Option<RegistrationFailure>,
    },
    /// The registration is taken back, as it was asked for.
    Gone,
}

/// What the registrar has granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Where the REGISTER went, and where calls are to go.
    pub hop: Hop,
    /// The proxies between the registrar and us, as the registrar keeps them (RFC 3327).
    pub path: Vec<NameAddr>,
    /// The Route of requests outside of dialogs behind the hop, in order (RFC 3608).
    pub service_route: Vec<NameAddr>,
    /// The addresses that are the user's, the first one the default (RFC 7315 section 4.1).
    pub associated: Vec<NameAddr>,
    /// Our contact as all the world can reach it (RFC 5627 section 4.2).
    pub gruu: Option<Uri>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationFailure {
    /// The registrar, or a proxy, has answered so.
    Status(Status),
    /// A 2xx has come that does not keep our contact.
    NotKept,
    /// Nobody has answered in 64\*T1.
    Timeout,
    /// The next hop cannot be reached, or the registrar is no SIP URI.
    Transport,
}

#[derive(Debug)]
enum State {
    /// A REGISTER has no final response.
    Asking(Attempt),
    /// Nothing is under way; the next attempt has its time.
    Resting,
    /// The REGISTER that takes the contact back has no final response.
    Leaving(Attempt),
    /// There is nothing left to do.
    Over,
}

#[derive(Debug)]
struct Attempt {
    client: ClientTransaction,
    /// How often the registrar has asked for a longer time.
    too_brief: u8,
    /// Whether the contact is to be taken back as soon as this is answered: one REGISTER at a time
    /// (RFC 3261 section 10.2).
    then_leave: bool,
}

/// What a registration waits for beside the timers of its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    /// Until the next REGISTER is due.
    Next,
    /// Until the registrar forgets us.
    Expiry,
}

impl Registration {
    /// Registers: sends the REGISTER.
    #[must_use]
    pub fn register(now: Instant, enrolment: Enrolment, mut kit: Kit) -> Self {
        let hops = Hops::of(&enrolment);
        let is_reachable = !hops.all.is_empty();
        let mut this = Self {
            call_id: kit.random.token(),
            local_tag: kit.random.token(),
            digest: kit.local.credentials.clone().map(DigestClient::new),
            hops,
            kit,
            enrolment,
            number: 0,
            state: State::Over,
            grant: None,
            waits: Deadlines::default(),
            failures: 0,
            outputs: VecDeque::new(),
        };
        if is_reachable {
            this.ask(now, 0);
        } else {
            let why = RegistrationFailure::Transport;
            this.event(RegistrationEvent::Failed { why, again_at: None });
        }
        this.settle(now);
        this
    }

    /// Feeds one input.
    pub fn handle(&mut self, now: Instant, input: RegistrationInput) {
        match input {
            RegistrationInput::Response(response) => self.handle_response(now, response),
            RegistrationInput::Timeout => self.handle_timeout(now),
            RegistrationInput::TransportFailed { hop } => {
                if let Some(attempt) = self.attempt().filter(|it| *it.client.hop() == hop) {
                    attempt.client.handle_transport_error(now);
                }
            }
        }
        self.settle(now);
    }

    /// Registers anew at once, if nothing is under way: the network has said that it has forgotten
    /// us, or a connection is new.
    pub fn refresh(&mut self, now: Instant) {
        if matches!(self.state, State::Resting) {
            self.ask(now, 0);
        }
        self.settle(now);
    }

    /// Follows the outbound proxy to where it is now: from the next REGISTER on, if none is under
    /// way. The hop that has answered is asked as long as it is among them.
    pub fn follow(&mut self, next_hops: Vec<Hop>) {
        if matches!(self.state, State::Resting) && !next_hops.is_empty() {
            let current = self.hops.current();
            let at = next_hops.iter().position(|hop| hop == current).unwrap_or(0);
            self.hops = Hops { all: next_hops, at, failed: 0 };
        }
    }

    /// Takes the contact back. An attempt that is under way is waited for.
    pub fn deregister(&mut self, now: Instant) {
        match &mut self.state {
            State::Asking(attempt) => attempt.then_leave = true,
            State::Resting => self.leave(now),
            State::Leaving(_) | State::Over => {}
        }
        self.settle(now);
    }

    /// Gives the next wish or report.
    pub fn poll(&mut self) -> Option<RegistrationOutput> {
        self.outputs.pop_front()
    }

    /// Gives the time of the next timer.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let attempt = match &self.state {
            State::Asking(attempt) | State::Leaving(attempt) => attempt.client.next_timeout(),
            State::Resting | State::Over => None,
        };
        [attempt, self.waits.next_timeout()].into_iter().flatten().min()
    }

    /// Tells whether nothing is left to do or to poll.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Over) && self.outputs.is_empty()
    }

    /// Tells whether the registration stands.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.grant.is_some()
    }

    /// Gives what the registrar has granted, as long as it stands.
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }

    /// Gives the Call-ID, the same for every REGISTER (RFC 3261 section 10.2.4).
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Gives our tag, by which the responses are found.
    #[must_use]
    pub fn local_tag(&self) -> &str {
        &self.local_tag
    }

    fn handle_response(&mut self, now: Instant, response: Response) {
        // More than one Via: the response was never meant for us (RFC 3261 section 8.1.3.3).
        if response.headers.list("Via").count() != 1 {
            return;
        }
        let key = TransactionKey::of_response(&response);
        if let Some(attempt) = self.attempt().filter(|it| *it.client.key() == key) {
            attempt.client.handle_response(now, response);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(attempt) = self.attempt() {
            attempt.client.handle_timeout(now);
        }
        while let Some((wait, _)) = self.waits.expire(now) {
            match (wait, &self.state) {
                (Wait::Next, State::Resting) => self.ask(now, 0),
                (Wait::Next, State::Asking(_) | State::Leaving(_) | State::Over) => {}
                (Wait::Expiry, _) => self.lose(None),
            }
        }
    }

    /// Serves the reports of the transaction until none is left.
    fn settle(&mut self, now: Instant) {
        while let Some(output) = self.attempt().and_then(|attempt| attempt.client.poll()) {
            match output {
                ClientOutput::Send { bytes, hop } => {
                    self.outputs.push_back(RegistrationOutput::Send { bytes, hop });
                }
                ClientOutput::Response(response) if response.status.is_final() => {
                    self.handle_final(now, &response);
                }
                ClientOutput::TimedOut => {
                    self.handle_failure(now, RegistrationFailure::Timeout, None)
                }
                ClientOutput::TransportError => {
                    self.handle_failure(now, RegistrationFailure::Transport, None)
                }
                ClientOutput::Response(_) | ClientOutput::Terminated => {}
            }
        }
    }

    /// Takes the final response to what is under way. Its transaction is dropped with it: of a
    /// repetition nobody wants to know.
    fn handle_final(&mut self, now: Instant, response: &Response) {
        let asks = [Status::UNAUTHORIZED, Status::PROXY_AUTHENTICATION_REQUIRED];
        if asks.contains(&response.status)
            && let Some(digest) = &mut self.digest
            && digest.learn(&mut self.kit.random, response).is_ok()
        {
            return self.ask_again(now);
        }
        if response.status.is_success() {
            return self.handle_success(now, response);
        }
        if response.status == Status::INTERVAL_TOO_BRIEF && self.lengthens(response) {
            return self.ask_again(now);
        }
        let retry_after = retry_after(&response.headers);
        if let (Status::SERVICE_UNAVAILABLE, Some(wait)) = (response.status, retry_after) {
            let hop = self.hops.current().clone();
            self.outputs.push_back(RegistrationOutput::Spare { hop, wait });
        }
        self.handle_failure(now, RegistrationFailure::Status(response.status), retry_after);
    }

    fn handle_success(&mut self, now: Instant, response: &Response) {
        if let Some(digest) = &mut self.digest {
            digest.settle();
            digest.take_next_nonce(response);
        }
        let State::Asking(Attempt { then_leave, .. }) = self.state else { return self.end() };
        if then_leave {
            return self.leave(now);
        }
        let granted = granted(&self.enrolment, &response.headers);
        if granted == 0 {
            return self.handle_failure(
                now,
                RegistrationFailure::NotKept,
                retry_after(&response.headers),
            );
        }
        let addresses = |name: &str| response.headers.addresses(name);
        let grant = Grant {
            hop: self.hops.current().clone(),
            path: addresses("Path"),
            service_route: addresses("Service-Route"),
            associated: addresses("P-Associated-URI"),
            gruu: gruu(&self.enrolment, &response.headers),
        };
        let granted = Duration::from_secs(granted.into());
        self.state = State::Resting;
        self.failures = 0;
        self.hops.failed = 0;
        self.waits.set(Wait::Next, now + granted / 2);
        self.waits.set(Wait::Expiry, now + granted);
        if self.grant.as_ref() != Some(&grant) {
            self.event(RegistrationEvent::Registered(Box::new(grant.clone())));
            self.grant = Some(grant);
        }
    }

    /// Takes a failure. What may pass is tried again, later each time; what would fail alike is
    /// given up. A contact that is being taken back is gone either way, at the latest by itself.
    fn handle_failure(
        &mut self,
        now: Instant,
        why: RegistrationFailure,
        retry_after: Option<Duration>,
    ) {
        let then_leave = match &self.state {
            State::Asking(attempt) => attempt.then_leave,
            State::Leaving(_) | State::Resting | State::Over => return self.end(),
        };
        if then_leave {
            return self.leave(now);
        }
        if let Some(digest) = &mut self.digest {
            digest.settle();
        }
        if is_of_the_hop(why) && self.hops.advance() {
            return self.ask_again(now);
        }
        if may_pass(why, retry_after) {
            if why == RegistrationFailure::NotKept {
                self.lose(Some(why));
            }
            let again_at = now + retry_after.unwrap_or_else(|| self.back_off());
            self.failures = self.failures.saturating_add(1);
            self.state = State::Resting;
            self.waits.set(Wait::Next, again_at);
            return self.event(RegistrationEvent::Failed { why, again_at: Some(again_at) });
        }
        self.state = State::Over;
        self.waits.stop_all();
        match self.grant.take() {
            Some(_) => self.event(RegistrationEvent::Lost { why: Some(why) }),
            None => self.event(RegistrationEvent::Failed { why, again_at: None }),
        }
    }

    /// Sends a REGISTER for our contact.
    fn ask(&mut self, now: Instant, too_brief: u8) {
        self.waits.stop(Wait::Next);
        let client = self.send(now, self.enrolment.expires);
        self.state = State::Asking(Attempt { client, too_brief, then_leave: false });
    }

    /// Sends the REGISTER that ends our contact; the registrar forgets it by the way.
    fn leave(&mut self, now: Instant) {
        self.waits.stop_all();
        let client = self.send(now, 0);
        self.state = State::Leaving(Attempt { client, too_brief: 0, then_leave: false });
    }

    /// Sends what is under way once more, with what has been learnt from its refusal.
    fn ask_again(&mut self, now: Instant) {
        match mem::replace(&mut self.state, State::Over) {
            State::Asking(Attempt { then_leave: true, .. }) | State::Leaving(_) => self.leave(now),
            State::Asking(Attempt { too_brief, .. }) => self.ask(now, too_brief),
            state @ (State::Resting | State::Over) => self.state = state,
        }
    }

    /// Ends what was taken back.
    fn end(&mut self) {
        self.state = State::Over;
        self.waits.stop_all();
        self.grant = None;
        self.event(RegistrationEvent::Gone);
    }

    fn lose(&mut self, why: Option<RegistrationFailure>) {
        self.waits.stop(Wait::Expiry);
        if self.grant.take().is_some() {
            self.event(RegistrationEvent::Lost { why });
        }
    }

    /// Takes the time that a registrar wants at least; tells whether to ask for it. It must be
    /// more than we asked for, and that not for ever.
    fn lengthens(&mut self, response: &Response) -> bool {
        let State::Asking(attempt) = &mut self.state else { return false };
        let least = response.headers.get("Min-Expires").and_then(parse_number);
        let Some(least) = least.filter(|least| *least > self.enrolment.expires) else {
            return false;
        };
        attempt.too_brief += 1;
        if attempt.too_brief > MAX_TOO_BRIEF {
            return false;
        }
        self.enrolment.expires = least;
        true
    }

    /// Gives the time to wait after a failure: doubled each time, of it at random between half and
    /// all, so that not all users come back at once (RFC 5626 section 4.5).
    fn back_off(&mut self) -> Duration {
        let doubled = BACK_OFF.saturating_mul(2_u32.saturating_pow(self.failures));
        let half = doubled.min(LONGEST_BACK_OFF) / 2;
        let millis = u64::try_from(half.as_millis()).unwrap_or_default();
        half + Duration::from_millis(self.kit.random.below(millis + 1))
    }

    /// Sends the next REGISTER (RFC 3261 section 10.2): the same Call-ID, the next number.
    fn send(&mut self, now: Instant, expires: u32) -> ClientTransaction {
        self.number += 1;
        let (enrolment, local) = (&self.enrolment, &self.kit.local);
        let mut headers = Headers::new();
        headers.push("Max-Forwards", "70");
        let hop = self.hops.current().clone();
        if !enrolment.next_hops.is_empty() {
            headers.push("Route", &preloaded_route(enrolment.proxy.as_ref().unwrap_or(&hop), ""));
        }
        let aor = enrolment.aor.clone().without_tag();
        headers.push("From", &aor.clone().with_tag(&self.local_tag).to_string());
        headers.push("To", &aor.to_string());
        headers.push("Call-ID", &self.call_id);
        headers.push("CSeq", &format!("{} REGISTER", self.number));
        headers.push("Contact", &enrolment.contact.to_string());
        headers.push("Expires", &expires.to_string());
        headers.push("Allow", &local.allow);
        let own = ["path"].into_iter().chain(enrolment.gruu.then_some("gruu"));
        let options: Vec<_> = local.supported.iter().map(String::as_str).chain(own).collect();
        headers.push("Supported", &options.join(", "));
        headers.push("User-Agent", &local.user_agent);
        for (name, value) in &enrolment.headers {
            headers.push(name, value);
        }
        let uri = enrolment.registrar.without_headers();
        let mut request = Request { method: Method::Register, uri, headers, body: Bytes::new() };
        request.headers.push_front("Via", &self.kit.via(hop.transport));
        if let Some(digest) = &mut self.digest {
            digest.authorize(&mut request);
            if self.enrolment.introduces {
                digest.introduce(&mut request);
            }
        }
        let sizes = (self.kit.timers, self.kit.local.datagram);
        ClientTransaction::fitting(now, &request, hop, sizes)
    }

    fn attempt(&mut self) -> Option<&mut Attempt> {
        match &mut self.state {
            State::Asking(attempt) | State::Leaving(attempt) => Some(attempt),
            State::Resting | State::Over => None,
        }
    }

    fn event(&mut self, event: RegistrationEvent) {
        self.outputs.push_back(RegistrationOutput::Event(event));
    }
}

/// The hops that may be asked, and which one is.
#[derive(Debug)]
struct Hops {
    all: Vec<Hop>,
    at: usize,
    /// How many have failed since the last success, or the last pause.
    failed: usize,
}

impl Hops {
    fn of(enrolment: &Enrolment) -> Self {
        let all = match enrolment.next_hops.as_slice() {
            [] => enrolment.registrar.hop().into_iter().collect(),
            proxies => proxies.to_vec(),
        };
        Self { all, at: 0, failed: 0 }
    }

    fn current(&self) -> &Hop {
        self.all.get(self.at).expect("nothing is sent where there is no hop")
    }

    /// Turns to the next hop; tells whether it is to be asked at once, not after a pause.
    fn advance(&mut self) -> bool {
        self.at = (self.at + 1) % self.all.len().max(1);
        self.failed += 1;
        let is_left = self.failed < self.all.len();
        if !is_left {
            self.failed = 0;
        }
        is_left
    }
}

/// Tells whether another hop may fare better (RFC 3263 section 4.3).
fn is_of_the_hop(why: RegistrationFailure) -> bool {
    match why {
        RegistrationFailure::Timeout | RegistrationFailure::Transport => true,
        RegistrationFailure::Status(status) => status == Status::SERVICE_UNAVAILABLE,
        RegistrationFailure::NotKept => false,
    }
}

/// Tells whether the next attempt may fare better.
fn may_pass(why: RegistrationFailure, retry_after: Option<Duration>) -> bool {
    match why {
        RegistrationFailure::Timeout
        | RegistrationFailure::Transport
        | RegistrationFailure::NotKept => true,
        RegistrationFailure::Status(status) => match status.code() {
            // A password does not become right, and an account may be locked over it.
            401 | 407 => false,
            _ if retry_after.is_some() => true,
            // These say that we are not understood, and never will be.
            501 | 505 | 513 => false,
            408 | 480 | 500..=599 => true,
            _ => false,
        },
    }
}

/// Gives the seconds for which a registrar keeps our contact: as its Contact says, else the
/// message, else as we asked (RFC 3261 section 10.2.4). A registrar that lists others, but not
/// ours, may have written ours anew to suit a NAT.
fn granted(enrolment: &Enrolment, headers: &Headers) -> u32 {
    let contacts = headers.addresses("Contact");
    let ours = contacts.iter().find(|contact| contact.uri.equivalent(&enrolment.contact.uri));
    let said = ours.and_then(|contact| contact.param("expires")).and_then(parse_number);
    said.or_else(|| headers.expires()).unwrap_or(enrolment.expires).min(LONGEST_GRANT)
}

/// Gives the GRUU that the registrar has made of our contact (RFC 5627 section 4.2).
fn gruu(enrolment: &Enrolment, headers: &Headers) -> Option<Uri> {
    let contacts = headers.addresses("Contact");
    let ours = contacts.iter().find(|contact| contact.uri.equivalent(&enrolment.contact.uri))?;
    let gruu = Uri::parse(&ours.param_unquoted("pub-gruu")?).ok()?;
    (enrolment.gruu && gruu.is_sip()).then_some(gruu)
}

/// Gives the time that Retry-After names, without comment and parameters (RFC 3261 section 20.33).
pub(super) fn retry_after(headers: &Headers) -> Option<Duration> {
    let value = headers.get("Retry-After")?;
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let seconds = parse_number(&value[..digits])?;
    Some(Duration::from_secs(seconds.into()).clamp(SHORTEST_RETRY, LONGEST_RETRY))
}

/// The wait after the first failure (RFC 5626 section 4.5, `base-time` where all flows failed).
const BACK_OFF: Duration = Duration::from_secs(30);

/// The longest wait after a failure (RFC 5626 section 4.5, `max-time`).
const LONGEST_BACK_OFF: Duration = Duration::from_secs(1800);

/// The bounds within which we do as a Retry-After tells: neither at once for ever, nor never.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(24 * 3600);

/// Longer than any registrar keeps anything, in seconds: a year.
const LONGEST_GRANT: u32 = 365 * 24 * 3600;

/// How often a registrar may say that our time is too brief.
const MAX_TOO_BRIEF: u8 = 2;

#[cfg(test)]
mod tests;
