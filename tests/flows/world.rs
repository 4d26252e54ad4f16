//! A world without sockets: conversations, the embedded IM server, a far end that the test plays,
//! and a clock that only tests move.

mod hosting;
mod pipes;
mod registry;
mod settings;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chatbridge::address::Address;
use chatbridge::bridge::{
    Access, Arrival, ConversationKit, Input, Name, Output, Settings, Succession, Talk, reports_in,
};
use chatbridge::chat::{
    Answer, AnswerId, Command, GroupInvitation, Invitation, Notice, NoticeKind, OutgoingMessage,
    Party, Refusal, ReportRequest,
};
use chatbridge::clock::Anchor;
use chatbridge::ids::{MessageId, Random, SessionId};
use chatbridge::im_server::{self, ImServer};
use chatbridge::msrp;
use chatbridge::sip::{
    Decoded, DialogKey, Hop, Message, Method, Request, Response, Route, Transport, WireLimits,
    accept_stateless, answer_stateless, decode_datagram, reply_hop, route, stamp_answer, stray,
};
use chatbridge::store::SessionNames;
use time::OffsetDateTime;

use self::hosting::Hosting;
use self::pipes::Pipe;
use self::registry::Registry;
use crate::lines;
use crate::proxies::{EDGE, HOME, Proxy};

/// The two lab users.
pub(crate) const ALICE: &str = "tel:+19585550100";
pub(crate) const BOB: &str = "tel:+19585550101";

/// A far end that the test plays itself sits here.
pub(crate) const FAR_END: u16 = 5090;
pub(crate) const BRIDGE: u16 = 5080;
pub(crate) const IM_SERVER: u16 = 5060;

/// All that exists.
pub(crate) struct World {
    pub(crate) now: Instant,
    settings: Arc<Settings>,
    /// Who is registered, in a world whose bridge registers its users.
    pub(super) registry: Option<Registry>,
    /// Proxies between the bridge and the IM server.
    pub(super) proxies: Vec<Proxy>,
    /// Whether what the far end asserts is believed.
    pub(crate) trusts_far_end: bool,
    random: Random,
    im_server: ImServer,
    /// The host beside the bridge, in a world whose users host their groups.
    host: Option<Hosting>,
    talks: BTreeMap<SessionId, Talk>,
    talks_made: usize,
    /// By our tags.
    dialogs: BTreeMap<DialogKey, SessionId>,
    /// By the callers' tags.
    callers: BTreeMap<DialogKey, Caller>,
    /// By the names that INVITEs have for them.
    names: SessionNames,
    clients: BTreeSet<Address>,
    pipes: Vec<Pipe>,
    /// SIP on the wire: from port, to port, bytes.
    wire: VecDeque<(u16, u16, Bytes)>,
    /// What SIP messages suffer on their way; a calm network where there is none.
    pub(crate) weather: Option<Weather>,
    /// What the far end has received.
    pub(crate) far_end: VecDeque<Message>,
    /// What the far end has received over MSRP.
    pub(crate) far_frames: VecDeque<msrp::Frame>,
    /// Where it came from.
    pub(crate) far_frames_from: Option<msrp::Path>,
    /// What the far end answers to a SEND with a body; nothing keeps it silent.
    pub(crate) far_msrp_code: Option<u16>,
    /// Whether the far end lets nobody connect.
    pub(crate) far_msrp_closed: bool,
    far_frames_made: usize,
    far_dialogs_made: usize,
    notices: Vec<Notice>,
    /// What the operator was told.
    pub(crate) remarks: Vec<&'static str>,
    answers: Vec<Result<Answer, Refusal>>,
    /// Answers that have come later than their commands.
    late: BTreeMap<AnswerId, Result<Answer, Refusal>>,
    ladder: Vec<String>,
    /// Every byte string that the bridge has put on a wire.
    pub(crate) written: Vec<Bytes>,
    next_message: u32,
    pub(crate) pages: usize,
}

/// Who has called.
struct Caller {
    session: SessionId,
    cseq: u32,
    /// Whether a newer INVITE is another call.
    is_over: bool,
}

/// A network that loses, repeats and reorders datagrams.
pub(crate) struct Weather {
    pub(crate) chance: Random,
    pub(crate) loss_percent: u64,
    pub(crate) repeat_percent: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// Builds a world whose settings are changed first.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::seeded(1, change)
    }

    /// Builds a world whose IM server knows other users.
    pub(crate) fn with_im_server(change: impl FnOnce(&mut im_server::Settings)) -> Self {
        let mut world = Self::new();
        let mut settings = settings::of_im_server();
        change(&mut settings);
        world.im_server = ImServer::new(world.now, settings, world.random.fork());
        world
    }

    /// As [`Self::with`], with other randomness.
    pub(crate) fn seeded(seed: u64, change: impl FnOnce(&mut Settings)) -> Self {
        let mut random = Random::seeded(seed);
        let mut settings = settings::of_bridge();
        change(&mut settings);
        let now = Instant::now();
        let im_server = ImServer::new(now, settings::of_im_server(), random.fork());
        Self {
            now,
            settings: Arc::new(settings),
            registry: None,
            proxies: Vec::new(),
            trusts_far_end: true,
            random,
            im_server,
            host: None,
            talks: BTreeMap::new(),
            talks_made: 0,
            dialogs: BTreeMap::new(),
            callers: BTreeMap::new(),
            names: SessionNames::default(),
            clients: [ALICE, BOB].map(address).into_iter().collect(),
            pipes: Vec::new(),
            wire: VecDeque::new(),
            weather: None,
            far_end: VecDeque::new(),
            far_frames: VecDeque::new(),
            far_frames_from: None,
            far_msrp_code: Some(200),
            far_msrp_closed: false,
            far_frames_made: 0,
            far_dialogs_made: 0,
            notices: Vec::new(),
            remarks: Vec::new(),
            answers: Vec::new(),
            late: BTreeMap::new(),
            ladder: Vec::new(),
            written: Vec::new(),
            pages: 0,
            next_message: 0,
        }
    }

    /// Lets no SIP message through from now on.
    pub(crate) fn lose_all_sip(&mut self) {
        let chance = self.random.fork();
        self.weather = Some(Weather { chance, loss_percent: 100, repeat_percent: 0 });
    }

    /// Takes the user's applications away: nobody is subscribed.
    pub(crate) fn unsubscribe(&mut self, user: &str) {
        self.clients.remove(&address(user));
    }

    /// Gives a user an application.
    pub(crate) fn subscribe(&mut self, user: &str) {
        self.clients.insert(address(user));
    }

    /// Who is named as the originator of the last invitation: address and name.
    pub(crate) fn inviter(&self) -> (String, Option<String>) {
        let invited = self.notices.iter().rev().find_map(|notice| match &notice.kind {
            NoticeKind::Invited { originator, .. } => Some(originator.clone()),
            NoticeKind::Message { .. }
            | NoticeKind::Event { .. }
            | NoticeKind::Composing { .. }
            | NoticeKind::Delivery { .. }
            | NoticeKind::GroupInvited { .. }
            | NoticeKind::ParticipantStatus { .. } => None,
        });
        let originator = invited.expect("an invitation");
        (originator.address.spelling().to_owned(), originator.name)
    }

    /// POST /sessions.
    pub(crate) fn invite(&mut self, from: &str, to: &str, subject: &str) -> SessionId {
        let session = self.begin_inviting(party(from), party(to), subject);
        self.run();
        session.expect("a good invitation")
    }

    /// POST /sessions, before anything has moved.
    pub(crate) fn begin_inviting(
        &mut self,
        originator: Party,
        terminating: Party,
        subject: &str,
    ) -> Result<SessionId, Refusal> {
        let session = self.next_session();
        let invitation = Invitation {
            session: session.clone(),
            user: originator.address.clone(),
            subject: subject.to_owned(),
            originator,
            terminating,
            client_correlator: None,
        };
        let access = self.access_of(&invitation.user)?;
        let kit = self.kit(access);
        let talk = Talk::originate(self.now, kit, invitation)?;
        self.talks.insert(session.clone(), talk);
        self.drain(&session);
        Ok(session)
    }

    /// POST /groupSessions, and POST /extend.
    pub(crate) fn begin_group(
        &mut self,
        invitation: GroupInvitation,
    ) -> Result<SessionId, Refusal> {
        let session = invitation.session.clone();
        let kit = self.access_of(&invitation.user).map(|access| self.kit(access))?;
        let talk = Talk::originate_group(self.now, kit, invitation)?;
        self.talks.insert(session.clone(), talk);
        self.drain(&session);
        Ok(session)
    }

    /// Takes an answer that has come later than its command.
    pub(crate) fn late(&mut self, id: AnswerId) -> Option<Result<Answer, Refusal>> {
        self.late.remove(&id)
    }

    /// The session of the invitation that a user was told of last.
    pub(crate) fn invited(&self, user: &str) -> SessionId {
        let invited = self.notices.iter().rev().find(|notice| {
            let invites =
                matches!(notice.kind, NoticeKind::Invited { .. } | NoticeKind::GroupInvited { .. });
            notice.user == address(user) && invites
        });
        invited.expect("an invitation").session.clone()
    }

    /// The message that a user was told of last.
    pub(crate) fn received(&self, user: &str) -> MessageId {
        let mut ids = self.notices.iter().rev().filter_map(|notice| match &notice.kind {
            NoticeKind::Message { id, echo: false, .. } if notice.user == address(user) => {
                Some(id.clone())
            }
            NoticeKind::Message { .. }
            | NoticeKind::Invited { .. }
            | NoticeKind::Event { .. }
            | NoticeKind::Composing { .. }
            | NoticeKind::Delivery { .. }
            | NoticeKind::GroupInvited { .. }
            | NoticeKind::ParticipantStatus { .. } => None,
        });
        ids.next().expect("a message")
    }

    /// Gives an order to a session and runs until all is quiet.
    pub(crate) fn order(
        &mut self,
        session: &SessionId,
        command: Command,
    ) -> Result<Answer, Refusal> {
        let answer = self.begin_order(session, command);
        self.run();
        answer
    }

    /// Gives an order to a session, before anything has moved.
    pub(crate) fn begin_order(
        &mut self,
        session: &SessionId,
        command: Command,
    ) -> Result<Answer, Refusal> {
        self.feed(session, Input::Command(command));
        // A session that is forgotten is not in the directory any more.
        self.answers.pop().unwrap_or(Err(Refusal::NoSession))
    }

    /// POST /messages.
    pub(crate) fn send(
        &mut self,
        session: &SessionId,
        text: &str,
        reports: ReportRequest,
    ) -> MessageId {
        let (id, answer) = self.begin_sending(session, text, reports);
        self.run();
        answer.expect("the message was taken");
        id
    }

    /// POST /messages, before anything has moved.
    pub(crate) fn begin_sending(
        &mut self,
        session: &SessionId,
        text: &str,
        reports: ReportRequest,
    ) -> (MessageId, Result<Answer, Refusal>) {
        self.next_message += 1;
        let id = MessageId::new(format!("msg{:03}", self.next_message));
        let message = OutgoingMessage { id: id.clone(), text: text.to_owned(), reports };
        (id, self.begin_order(session, Command::Send(message)))
    }

    /// Brings a running session between Alice and Bob about, and gives both sides of it.
    pub(crate) fn connect_users(&mut self) -> (SessionId, SessionId) {
        let alices = self.invite(ALICE, BOB, "Hi");
        let bobs = self.invited(BOB);
        self.order(&bobs, Command::Accept).expect("accepted");
        assert_eq!(self.told(), ["bob: invited by alice \"Hi\"", "alice: Accepted (SIP 200 OK)"]);
        self.sent();
        (alices, bobs)
    }

    /// Sends a message from the far end to the bridge.
    pub(crate) fn far_end_sends(&mut self, message: &Message) {
        self.wire.push_back((FAR_END, BRIDGE, message.encode()));
        self.run();
    }

    pub(crate) fn far_frames_made(&mut self) -> usize {
        self.far_frames_made += 1;
        self.far_frames_made
    }

    /// Counts the dialogs that the far end begins.
    pub(crate) fn next_dialog(&mut self) -> usize {
        self.far_dialogs_made += 1;
        self.far_dialogs_made
    }

    /// Lets time pass, waking all machines when they asked for it.
    pub(crate) fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        self.run();
        for _ in 0..100_000 {
            let Some(next) = self.next_timeout().filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            self.wake();
            self.run();
        }
        panic!("a timer never comes to rest");
    }

    /// Wakes all machines whose time has come.
    pub(crate) fn wake(&mut self) {
        if self.im_server.next_timeout().is_some_and(|next| next <= self.now) {
            self.im_server.handle(self.now, im_server::Input::Timeout);
        }
        self.wake_registry();
        self.wake_host();
        let due = |talk: &Talk| talk.next_timeout().is_some_and(|next| next <= self.now);
        let due: Vec<SessionId> =
            self.talks.iter().filter(|(_, talk)| due(talk)).map(|(id, _)| id.clone()).collect();
        for session in due {
            self.feed(&session, Input::Timeout);
        }
    }

    /// Takes what the applications were told, as lines: `user: what`.
    pub(crate) fn told(&mut self) -> Vec<String> {
        self.take_notices().iter().map(lines::notice).collect()
    }

    /// Shows what the applications were told, and keeps it.
    pub(crate) fn told_but_kept(&self) -> Vec<String> {
        self.notices.iter().map(lines::notice).collect()
    }

    /// Takes what the applications were told.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Takes the ladder of what was sent.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        std::mem::take(&mut self.ladder)
    }

    /// Tells whether every machine has come to rest.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.talks.is_empty() && self.next_timeout().is_none() && self.wire.is_empty()
    }

    /// The sessions that are not yet forgotten.
    pub(crate) fn sessions(&self) -> Vec<SessionId> {
        self.talks.keys().cloned().collect()
    }

    /// The server stops.
    pub(crate) fn stop(&mut self) {
        for session in self.sessions() {
            self.begin_stopping(&session);
        }
        self.run();
    }

    /// Tells one session that the server stops, before anything has moved.
    pub(crate) fn begin_stopping(&mut self, session: &SessionId) {
        self.feed(session, Input::Stop);
    }

    /// The hop to which the bridge sends cannot be reached.
    pub(crate) fn fail_sip(&mut self, session: &SessionId) {
        let hop = self.settings.core.clone().expect("a next hop");
        self.wire.retain(|(_, to, _)| *to != hop.port);
        self.feed(session, Input::SipFailed { hop });
        self.run();
    }

    /// The user's registration is lost.
    pub(crate) fn lose_core(&mut self, user: &Address) {
        let of_user = |talk: &&Talk| talk.user() == user;
        let talks: Vec<_> =
            self.talks.values().filter(of_user).map(|talk| talk.id().clone()).collect();
        for session in talks {
            self.feed(&session, Input::CoreLost);
        }
    }

    /// Counts the dialogs whose messages find a session.
    pub(crate) fn routes(&self) -> usize {
        self.dialogs.len()
    }

    /// Gives the instant at which the next machine wants to be woken.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let talks = self.talks.values().filter_map(Talk::next_timeout);
        let roster = self.registry.as_ref().and_then(|registry| registry.roster.next_timeout());
        let host = self.host.as_ref().and_then(Hosting::next_timeout);
        talks.chain(self.im_server.next_timeout()).chain(roster).chain(host).min()
    }

    /// Moves what is on its way until nothing moves.
    pub(crate) fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the machines never come to rest");
    }

    /// Moves one thing; tells whether there was one.
    pub(crate) fn step(&mut self) -> bool {
        let sip_first = self.weather.as_mut().is_some_and(|weather| weather.chance.below(2) == 0);
        (sip_first && self.move_sip()) || self.move_msrp() || self.move_sip()
    }

    fn move_sip(&mut self) -> bool {
        let Some(weather) = &mut self.weather else {
            let Some((from, to, bytes)) = self.wire.pop_front() else { return false };
            self.carry(from, to, bytes);
            return true;
        };
        if self.wire.is_empty() {
            return false;
        }
        let index = weather.chance.below(self.wire.len().min(3) as u64) as usize;
        let lost = weather.chance.below(100) < weather.loss_percent;
        let repeated = weather.chance.below(100) < weather.repeat_percent;
        let (from, to, bytes) = self.wire.remove(index).expect("an index below the length");
        if repeated {
            self.wire.push_back((from, to, bytes.clone()));
        }
        if !lost {
            self.carry(from, to, bytes);
        }
        true
    }

    fn carry(&mut self, from: u16, to: u16, bytes: Bytes) {
        let decoded = decode_datagram(bytes, &WireLimits::default());
        let Decoded::Message(message) = decoded else {
            panic!("an element has written what is no SIP: {decoded:?}");
        };
        self.ladder.push(format!("{} > {}: {}", name(from), name(to), lines::sip(&message)));
        let source = hop(from);
        match to {
            BRIDGE => self.switch(message, source),
            IM_SERVER => {
                self.im_server.handle(self.now, im_server::Input::Message { message, source });
                self.drain_im_server();
            }
            FAR_END => self.far_end.push_back(message),
            // Nobody else lives there.
            _ => {
                let now = self.now;
                if let Some(proxy) = self.proxies.iter_mut().find(|proxy| proxy.port == to) {
                    let forwarded = proxy.forward(now, message, &source);
                    self.wire.extend(forwarded.map(|(next, bytes)| (to, next, bytes)));
                }
            }
        }
    }

    /// Does what the switch of `net` does.
    fn switch(&mut self, message: Message, source: Hop) {
        let Some(message) = self.keep_for_registry(message) else { return };
        let Some(message) = self.keep_for_host(message, &source) else { return };
        let (known, caller) = match route(&message) {
            Route::Response(key) | Route::InDialog(key) => (self.dialogs.get(&key).cloned(), None),
            Route::Initial(key) => (self.caller(&key, &message), Some(key)),
            Route::Malformed => panic!("a message without identity"),
        };
        if let Some(session) = known {
            self.feed(&session, Input::Sip { message, source });
            return;
        }
        let Message::Request(request) = message else { return };
        let access = self.access_to(&request);
        if let (Some(key), Some(access)) =
            (caller.filter(|_| request.method == Method::Invite), access)
        {
            self.admit(request, source, (key, access));
        } else if let Some(reports) =
            reports_in((&self.settings, &Access::default()), (&request, true))
            && request.method == Method::Message
        {
            let answer = accept_stateless(&request, &self.settings.on_the_wire());
            self.answer(answer, &source);
            let of_user = |talk: &&Talk| *talk.user() == reports.user;
            let talks = self.talks.values().filter(of_user).map(|talk| talk.id().clone());
            for session in talks.collect::<Vec<_>>() {
                self.feed(&session, Input::Reports(reports.clone()));
            }
        } else if let Some(answer) = stray(&request, &self.settings.on_the_wire()) {
            self.answer(answer, &source);
        }
    }

    /// Does what the directory of `store` does for the sender of an initial request.
    fn caller(&self, key: &DialogKey, message: &Message) -> Option<SessionId> {
        let caller = self.callers.get(key)?;
        let cseq = message.cseq().expect("a CSeq");
        let is_newer = cseq.method == Method::Invite && cseq.number > caller.cseq;
        (!(caller.is_over && is_newer)).then(|| caller.session.clone())
    }

    fn route_caller(&mut self, key: DialogKey, invite: &Request, session: &SessionId) {
        let cseq = invite.cseq().expect("a CSeq").number;
        let caller = Caller { session: session.clone(), cseq, is_over: false };
        self.callers.insert(key, caller);
    }

    /// Does what the switch of `net` does with an INVITE that opens a dialog.
    fn admit(&mut self, invite: Request, source: Hop, (key, access): (DialogKey, Arc<Access>)) {
        let trusted = self.trusts_far_end || source.port != FAR_END;
        let clients = self.clients.clone();
        let has_client = |user: &Address| clients.contains(user);
        let find = |user: &Address, name: &Name| self.names.find(user, name);
        let wire = (&*self.settings, &*access);
        let extends = match Succession::of(wire, (&invite, trusted), &has_client, &find) {
            Succession::Own => None,
            Succession::Extends(of) => Some(of),
            Succession::Refused(status) => {
                return self.answer(answer_stateless(&invite, status), &source);
            }
            Succession::Renews(session) => {
                self.route_caller(key, &invite, &session);
                let arrival =
                    Arrival { session: session.clone(), invite, source, trusted, extends: None };
                return self.feed(&session, Input::Renewal(Box::new(arrival)));
            }
        };
        let session = self.next_session();
        self.route_caller(key, &invite, &session);
        let arrival = Arrival { session: session.clone(), invite, source, trusted, extends };
        let kit = self.kit(access);
        let talk = Talk::incoming(self.now, kit, arrival, &has_client);
        self.talks.insert(session.clone(), talk);
        self.drain(&session);
    }

    fn answer(&mut self, mut answer: Response, source: &Hop) {
        stamp_answer(&mut answer, source);
        let hop = answer.via().map_or(source.clone(), |via| reply_hop(&via, source));
        self.wire.push_back((BRIDGE, hop.port, answer.encode()));
    }

    fn feed(&mut self, session: &SessionId, input: Input) {
        if let Some(talk) = self.talks.get_mut(session) {
            talk.handle(self.now, input);
            self.drain(session);
        }
    }

    fn drain(&mut self, session: &SessionId) {
        while let Some(output) = self.talks.get_mut(session).and_then(Talk::poll) {
            match output {
                Output::Sip { bytes, hop } => {
                    self.written.push(bytes.clone());
                    self.wire.push_back((BRIDGE, hop.port, bytes));
                }
                // The world has one core: there is nobody else to call.
                Output::Spare { .. } => {}
                Output::Route(key) => drop(self.dialogs.insert(key, session.clone())),
                Output::Unroute(key) => drop(self.dialogs.remove(&key)),
                Output::EndCaller(key) => {
                    self.callers.get_mut(&key).expect("a caller").is_over = true;
                }
                Output::ForgetCaller(key) => drop(self.callers.remove(&key)),
                Output::Names(Some(names)) => {
                    let user = self.talks.get(session).map(|talk| talk.user().clone());
                    self.names.enter(session, &user.expect("a session"), *names);
                }
                Output::Names(None) => self.names.end(session),
                Output::MsrpConnect { port, .. } => self.connect(session, port),
                Output::MsrpWrite(bytes) => {
                    self.written.push(bytes.clone());
                    self.write_msrp(session, &bytes);
                }
                Output::MsrpClose => self.close_msrp(session),
                Output::Remark(remark) => self.remarks.push(remark),
                Output::Notice(notice) => self.notices.push(notice),
                Output::Answer(answer) => self.answers.push(answer),
                Output::LateAnswer(id, answer) => drop(self.late.insert(id, answer)),
                // The world asks who has which session-id.
                Output::MsrpRoute(_) => self.reroute_msrp(session),
                Output::NextMsrp(wish) => self.carry_out_next(session, wish),
                Output::Extension { of, news } => self.feed(&of, Input::Extension(news)),
            }
        }
        if self.talks.get(session).is_some_and(Talk::is_over) {
            let callers = self.callers.values_mut().filter(|caller| caller.session == *session);
            callers.for_each(|caller| caller.is_over = true);
        }
        if self.talks.get(session).is_some_and(Talk::is_finished) {
            self.talks.remove(session);
            self.names.strike(session);
            self.dialogs.retain(|_, owner| owner != session);
            self.callers.retain(|_, caller| caller.session != *session);
        }
    }

    fn drain_im_server(&mut self) {
        while let Some(im_server::Output::Send { bytes, hop }) = self.im_server.poll() {
            self.wire.push_back((IM_SERVER, hop.port, bytes));
        }
    }

    pub(crate) fn next_session(&mut self) -> SessionId {
        self.talks_made += 1;
        SessionId::new(format!("sess{:03}", self.talks_made))
    }

    fn kit(&mut self, access: Arc<Access>) -> ConversationKit {
        let anchor = Anchor::new(self.now, OffsetDateTime::UNIX_EPOCH);
        ConversationKit {
            settings: Arc::clone(&self.settings),
            access,
            anchor,
            random: self.random.fork(),
            next_hops: self.settings.core.iter().cloned().collect(),
        }
    }
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).expect("a good address")
}

pub(crate) fn party(text: &str) -> Party {
    Party { address: address(text), name: None }
}

fn hop(port: u16) -> Hop {
    Hop::new(Transport::Udp, "127.0.0.1", port)
}

fn name(port: u16) -> String {
    match port {
        BRIDGE => "bridge".to_owned(),
        IM_SERVER => "im_server".to_owned(),
        FAR_END => "far_end".to_owned(),
        EDGE => "edge".to_owned(),
        HOME => "home".to_owned(),
        other => format!("port {other}"),
    }
}
