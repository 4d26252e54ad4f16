//! Messages, composing states and reports of a group, both ways: CPIM alone says who writes (RFC
//! 7701 section 5, RFC 3862).

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

use super::Group;
use crate::address::Address;
use crate::bridge::dealings::Output;
use crate::bridge::delivery::{self, News, Then};
use crate::bridge::group_outcomes::GroupEnd;
use crate::bridge::group_settings::GroupReports;
use crate::bridge::media::{self, Envelope};
use crate::bridge::pager::Reports;
use crate::bridge::received::{self, Received};
use crate::bridge::sip_outcomes::LegEnd;
use crate::chat::{
    Answer, Composing, ComposingWatch, DeliveryReport, GroupState, Identity, IncomingMessage,
    MessageStatus, NoticeKind, OutgoingMessage, Party, ReceivedStatus, Refusal, ReportRequest,
};
use crate::ids::MessageId;
use crate::msrp;
use crate::payload::Cpim;
use crate::sip::{NameAddr, Uri};

/// The most participants whose typing is watched.
const MAX_TYPISTS: usize = 256;

/// Who is typing, and until when that holds.
#[derive(Debug, Default)]
pub(super) struct Typists(BTreeMap<Address, (Party, ComposingWatch)>);

impl Typists {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.0.values().filter_map(|(_, watch)| watch.next_timeout()).min()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes what somebody said, and tells whether it is news.
    fn heard(&mut self, now: Instant, party: &Party, composing: &Composing) -> bool {
        if !self.0.contains_key(&party.address) && self.0.len() >= MAX_TYPISTS {
            self.0.retain(|_, (_, watch)| watch.next_timeout().is_some());
            if self.0.len() >= MAX_TYPISTS {
                return false;
            }
        }
        let entry = self.0.entry(party.address.clone());
        let (_, watch) = entry.or_insert_with(|| (party.clone(), ComposingWatch::default()));
        watch.heard(now, composing)
    }

    /// Forgets the state of somebody: a content message means idle (RFC 3994 section 3.3).
    fn message_arrived(&mut self, address: &Address) {
        self.0.remove(address);
    }

    /// Forgets who has gone, and is not idle but away. One nameless person is not another.
    pub(super) fn gone(&mut self, address: &Address) {
        if *address != Address::anonymous() {
            self.0.remove(address);
        }
    }

    fn expired(&mut self, now: Instant) -> Vec<Party> {
        let mut idle = Vec::new();
        self.0.retain(|_, (party, watch)| {
            let is_over = watch.expired(now);
            if is_over {
                idle.push(party.clone());
            }
            !is_over
        });
        idle
    }
}

impl Group {
    pub(super) fn send(
        &mut self,
        now: Instant,
        message: OutgoingMessage,
    ) -> Result<Answer, Refusal> {
        const ACT: &str = "sending a message";
        self.chat.demand_open_for_messages(ACT)?;
        self.demand_staying(ACT)?;
        let is_in = self.chat.state() == GroupState::Connected && self.line.peer.is_some();
        if is_in {
            self.dispatch(now, &message)?;
        } else if self.waiting.len() < self.settings.msrp_limits.queue {
            self.waiting.push_back(message.clone());
        } else {
            return Err(self.queue_full());
        }
        let OutgoingMessage { id, text, reports } = message;
        self.book.note_sent(id.clone(), reports);
        if self.settings.echo {
            let (sender, reports) = (self.own(), ReportRequest::default());
            self.tell(now, NoticeKind::Message { id, sender, text, reports, echo: true });
        }
        Ok(Answer::Done)
    }

    /// Sends the messages that waited for the focus; what finds no room has failed.
    pub(super) fn send_waiting(&mut self, now: Instant) {
        for message in std::mem::take(&mut self.waiting) {
            if self.dispatch(now, &message).is_err() {
                let news = News::MsrpResponse { code: 408, comment: Some("no room to send it") };
                self.fate(now, message.id.as_str(), &news);
            }
        }
    }

    fn dispatch(&mut self, now: Instant, message: &OutgoingMessage) -> Result<(), Refusal> {
        let OutgoingMessage { id, text, reports } = message;
        // Reports that nobody is told of are not asked for.
        let reports = match self.settings.group.reports {
            GroupReports::Off => ReportRequest::default(),
            GroupReports::PerUser => *reports,
        };
        let date_time = self.anchor.wall(now);
        let out = media::TextOut { id, text, reports, date_time };
        let own = self.own();
        let to = self.audience();
        let context = self.context(&own, &to);
        let parcel = media::wrap_text(&context, &context.letterhead(), out);
        self.queue(now, id.as_str().to_owned(), parcel)
    }

    pub(super) fn compose(
        &mut self,
        now: Instant,
        composing: &Composing,
    ) -> Result<Answer, Refusal> {
        const ACT: &str = "telling that the user is composing";
        self.chat.demand_connected(ACT)?;
        self.demand_staying(ACT)?;
        let (own, to) = (self.own(), self.audience());
        let parcel = media::wrap_composing(&self.context(&own, &to), composing);
        let id = self.random.token();
        self.queue(now, id, parcel)?;
        if self.settings.echo {
            let composing = composing.clone();
            self.tell(now, NoticeKind::Composing { sender: own, composing, echo: true });
        }
        Ok(Answer::Done)
    }

    /// Reports on a message to who has sent it: through the focus, which hands it on.
    pub(super) fn report(
        &mut self,
        now: Instant,
        message: &MessageId,
        status: ReceivedStatus,
    ) -> Result<Answer, Refusal> {
        const ACT: &str = "reporting on a message";
        self.chat.demand_connected(ACT)?;
        self.demand_staying(ACT)?;
        let wanted = self.book.wanted(message, status).map_err(|_| Refusal::NoMessage)?;
        let wanted = wanted.map(|(received, told)| (received.clone(), told));
        if let Some((received, told)) = wanted
            && let IncomingMessage { wire_id: Some(wire_id), date_time, sender, .. } = received
        {
            let to = sender.and_then(|sender| self.settings.realm.home_uri(&sender).ok());
            let to = to.unwrap_or_else(|| self.audience());
            let now_there = self.anchor.wall(now);
            let id = self.random.token();
            let out = media::ReportOut {
                wire_id: &wire_id,
                sent: date_time,
                status: told,
                date_time: now_there,
                id: &id,
            };
            let own = self.own();
            let parcel = media::wrap_report(&self.context(&own, &to), out);
            self.queue(now, id, parcel)?;
        }
        self.book.reported(message, status);
        Ok(Answer::Done)
    }

    /// Takes what the MSRP session has for us; tells whether there was anything.
    pub(super) fn settle_msrp(&mut self, now: Instant) -> bool {
        let mut busy = false;
        while let Some(output) = self.line.msrp.poll() {
            busy = true;
            match output {
                msrp::Output::Connect { host, port, secure } => {
                    self.outputs.push_back(self.line.connect((host, port), secure));
                }
                msrp::Output::Write(bytes) => self.outputs.push_back(Output::MsrpWrite(bytes)),
                msrp::Output::WriteParts(parts) => {
                    self.outputs.push_back(Output::MsrpWrite(parts.concat().into()));
                }
                msrp::Output::Close => self.msrp_done(),
                msrp::Output::Event(event) => {
                    let is_way = matches!(event, msrp::Event::Path(_));
                    self.msrp_event(now, event);
                    if is_way {
                        // The description that has waited for the way goes before all frames.
                        return true;
                    }
                }
            }
        }
        busy
    }

    pub(super) fn feed_msrp(&mut self, now: Instant, input: msrp::Input) {
        let wish = self.line.feed(now, input);
        self.outputs.extend(wish);
    }

    fn msrp_event(&mut self, now: Instant, event: msrp::Event) {
        match event {
            msrp::Event::Bound => {
                self.timers.msrp = None;
                self.successor.line_stands();
                // A connection that was lost is replaced, and there is nothing to explain.
                self.timers.explanation.take_if(|(_, end)| *end != GroupEnd::Inactive);
            }
            msrp::Event::Interrupted => self.broken(now, &msrp::Broken::Lost),
            msrp::Event::Message(message) => {
                let content_type = message.content_type.as_str();
                if let Err(code) = self.arrived(now, content_type, message.body) {
                    self.line.msrp.refuse(now, code);
                }
            }
            msrp::Event::Sent { message_id } => {
                self.fate(now, &message_id, &News::MsrpResponse { code: 200, comment: None });
            }
            msrp::Event::Failed { message_id, code, comment } => {
                let comment = comment.as_deref();
                self.fate(now, &message_id, &News::MsrpResponse { code, comment });
            }
            msrp::Event::Report { message_id, code, comment } => {
                let comment = comment.as_deref();
                self.fate(now, &message_id, &News::MsrpReport { code, comment });
            }
            msrp::Event::Path(_) => self.way_found(now),
            // The API has no nicknames: names come with the conference package.
            msrp::Event::Nickname { .. } | msrp::Event::NicknameAsked(_) => {}
            msrp::Event::Broken(broken) => self.broken(now, &broken),
        }
    }

    fn broken(&mut self, now: Instant, broken: &msrp::Broken) {
        if self.timers.leave.is_some() {
            // Nothing more comes over it, but who has gone may still be told before the end.
            return self.line.msrp.close(now);
        }
        if self.timers.relay.is_some() || matches!(broken, msrp::Broken::Relay { .. }) {
            let code = match broken {
                msrp::Broken::Relay { code } | msrp::Broken::Refused { code } => *code,
                msrp::Broken::ConnectFailed
                | msrp::Broken::Lost
                | msrp::Broken::BindTimeout
                | msrp::Broken::PeerMisbehaved => 408,
            };
            return self.way_missed(now, code);
        }
        if self.chat.state() != GroupState::Connected || !self.is_in() {
            return;
        }
        match broken {
            msrp::Broken::ConnectFailed | msrp::Broken::BindTimeout => {
                self.media_failed(now, LegEnd::MsrpConnectFailed);
            }
            // A focus that ends the session may close its connection, or forget us, before its BYE
            // has found its way.
            msrp::Broken::Lost | msrp::Broken::Refused { .. } => {
                self.await_explanation(now, GroupEnd::Leg(LegEnd::MsrpLost));
            }
            msrp::Broken::PeerMisbehaved | msrp::Broken::Relay { .. } => {
                self.media_failed(now, LegEnd::MsrpLost);
            }
        }
    }

    /// Takes a message in; an error is the code that tells its sender why that could not be.
    fn arrived(&mut self, now: Instant, content_type: &str, body: Bytes) -> Result<(), u16> {
        let sender = self.sender_of(content_type, &body);
        match received::unwrap(content_type, body) {
            Received::Text(text) => {
                self.hear_from(now, &sender);
                self.text_arrived(now, &sender, text);
            }
            Received::Composing(composing) => {
                self.hear_from(now, &sender);
                // What the focus gives back of our own is no news.
                if !self.is_own(&sender.address) && self.typists.heard(now, &sender, &composing) {
                    self.tell(now, NoticeKind::Composing { sender, composing, echo: false });
                }
            }
            Received::Reports(reports) => {
                for (message_id, news) in reports {
                    self.receipt(now, &sender.address, &message_id, news);
                }
            }
            Received::Nothing => {}
            Received::Useless(code) => return Err(code),
        }
        Ok(())
    }

    /// Reads who has written a message: CPIM says so, and the participants have the name.
    fn sender_of(&self, content_type: &str, body: &Bytes) -> Party {
        let nobody = || Party { address: Address::anonymous(), name: None };
        let kind = crate::payload::MediaType::parse(content_type);
        if kind.is_none_or(|kind| kind.essence() != media::CPIM) {
            return nobody();
        }
        let Ok(cpim) = Cpim::parse(body.clone()) else { return nobody() };
        let uri = cpim.from_uri().and_then(|uri| Uri::parse(uri).ok());
        let Some(address) = uri.and_then(|uri| self.settings.realm.address(&uri)) else {
            return nobody();
        };
        if self.is_own(&address) {
            return self.own();
        }
        let known = self.chat.participants().of(&Identity::from(&address));
        let told = cpim.from.as_deref().and_then(|from| NameAddr::parse(from).ok());
        let name = known.and_then(|known| known.party.name.clone());
        let name = name.or_else(|| told.and_then(|told| told.display));
        Party { address, name: name.filter(|name| !name.is_empty()) }
    }

    fn text_arrived(&mut self, now: Instant, sender: &Party, text: received::TextIn) {
        let received::TextIn { wire_id, date_time, text, reports } = text;
        let is_own = self.is_own(&sender.address);
        if let Some(wire_id) = wire_id.as_deref() {
            // Told already: sent again after a lost connection, or given back to who sent it.
            let ours = is_own && self.book.knows(&MessageId::new(wire_id));
            if ours || self.book.has_received(wire_id, &text) {
                return;
            }
        }
        self.typists.message_arrived(&sender.address);
        let id = MessageId::new(self.random.token());
        let reports = if is_own { ReportRequest::default() } else { reports };
        let message = IncomingMessage::new(wire_id, date_time, reports).from(&sender.address);
        self.book.note_received(id.clone(), message, &text);
        let sender = sender.clone();
        self.tell(now, NoticeKind::Message { id, sender, text, reports, echo: is_own });
    }

    /// Tells who was typing and has not said so again.
    pub(super) fn tell_idle(&mut self, now: Instant) {
        for sender in self.typists.expired(now) {
            let composing = Composing::idle();
            self.tell(now, NoticeKind::Composing { sender, composing, echo: false });
        }
    }

    /// Takes reports that came outside of any session.
    pub(super) fn take_reports(&mut self, now: Instant, reports: &Reports) {
        for (id, news) in &reports.news {
            self.receipt(now, &reports.from, id, *news);
        }
    }

    /// Takes what a participant reports of a message: its sender alone is told, if at all (TS Chat
    /// 5.2.2.9 and Table 2 contradict each other).
    fn receipt(
        &mut self,
        now: Instant,
        from: &Address,
        message_id: &str,
        news: delivery::ImdnNews,
    ) {
        let id = MessageId::new(message_id);
        if !self.book.knows(&id) || self.settings.group.reports == GroupReports::Off {
            return;
        }
        if !self.may_report(from) {
            return;
        }
        let Some(report) = delivery::report(&News::Imdn(news), self.settings.success_on) else {
            return;
        };
        for status in self.receipts.report(&id, from, &report) {
            self.tell_status(now, &id, (status, &report), Some(from));
        }
    }

    /// Tells whether somebody can have got a message of the user's: of those who take part or did,
    /// all but the user. Who nobody is told of has at least to have a name.
    fn may_report(&self, from: &Address) -> bool {
        let participants = self.chat.participants();
        let is_hidden = |entry: &Identity| matches!(entry, Identity::Hidden(_));
        match from.is_anonymous() {
            true => participants.identities().any(is_hidden),
            false if self.is_own(from) => false,
            false => self.is_untold() || participants.of(&Identity::from(from)).is_some(),
        }
    }

    /// Takes what the MSRP session says of a message.
    pub(super) fn fate(&mut self, now: Instant, message_id: &str, news: &News<'_>) {
        let id = MessageId::new(message_id);
        // What the focus says of a message it says for itself: nobody else has it yet.
        self.book.taken(&id);
        if let Some(report @ DeliveryReport::Failed { .. }) =
            delivery::report(news, self.settings.success_on)
        {
            for status in self.book.report(&id, &report) {
                self.tell_status(now, &id, (status, &report), None);
            }
        }
        let row = delivery::row_of(news);
        if row.then == Then::CloseLeg && self.chat.state() == GroupState::Connected {
            self.await_explanation(now, GroupEnd::Leg(LegEnd::MsrpLost));
        }
    }

    /// Fails the messages that the focus has not taken: the participation ends.
    pub(super) fn fail_untaken(&mut self, now: Instant) {
        self.waiting.clear();
        for id in self.book.untaken() {
            let news = News::MsrpResponse { code: 481, comment: Some("the session has ended") };
            if let Some(report) = delivery::report(&news, self.settings.success_on) {
                for status in self.book.report(&id, &report) {
                    self.tell_status(now, &id, (status, &report), None);
                }
            }
        }
    }

    fn tell_status(
        &mut self,
        now: Instant,
        id: &MessageId,
        (status, report): (MessageStatus, &DeliveryReport),
        from: Option<&Address>,
    ) {
        let asked = self.book.asked(id);
        let wanted = match status {
            MessageStatus::Delivered => asked.delivered,
            MessageStatus::Displayed => asked.displayed,
            MessageStatus::Failed => true,
        };
        if !wanted || self.settings.group.reports == GroupReports::Off {
            return;
        }
        let (error_code, description) = match report {
            DeliveryReport::Failed { code, description } => {
                (Some(code.clone()), description.clone())
            }
            DeliveryReport::Delivered | DeliveryReport::Displayed => (None, None),
        };
        let participant = from.and_then(|from| self.chat.participants().of(&Identity::from(from)));
        let participant = participant.map(|participant| participant.id.clone());
        let message = id.clone();
        let kind = NoticeKind::Delivery { message, status, error_code, description, participant };
        self.tell(now, kind);
    }

    fn queue(
        &mut self,
        now: Instant,
        message_id: String,
        parcel: media::Parcel,
    ) -> Result<(), Refusal> {
        self.line.queue(now, message_id, parcel).map_err(|error| match error {
            msrp::SendError::Full => self.queue_full(),
            msrp::SendError::Closed => Refusal::Unavailable {
                why: "the MSRP connection is lost",
                retry_after: self.settings.msrp_grace,
            },
        })
    }

    fn queue_full(&self) -> Refusal {
        Refusal::Full { what: "the session's message queue", retry_after: self.settings.leave_wait }
    }

    /// Gives whom messages are to: the group.
    fn audience(&self) -> Uri {
        let nobody = || Uri::parse("sip:anonymous@anonymous.invalid").expect("a good URI");
        self.focus.clone().unwrap_or_else(nobody)
    }

    fn context<'a>(&'a self, own: &'a Party, to: &'a Uri) -> media::Context<'a> {
        media::Context {
            settings: &self.settings,
            peer: self.line.peer.as_ref(),
            cpim: true,
            envelope: Envelope::Group { own, to },
        }
    }
}
