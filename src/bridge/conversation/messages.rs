//! Messages, composing states and reports of a conversation, both ways.

use std::time::Instant;

use bytes::Bytes;

use super::{Conversation, Output};
use crate::bridge::Shown;
use crate::bridge::delivery::{self, News, Then};
use crate::bridge::media;
use crate::bridge::received::{self, Received};
use crate::bridge::renewal::Renewable;
use crate::bridge::sip_outcomes::LegEnd;
use crate::chat::{
    Answer, Composing, DeliveryReport, IncomingMessage, MessageStatus, NoticeKind, OutgoingMessage,
    ReceivedStatus, Refusal, ReportRequest, State,
};
use crate::ids::MessageId;
use crate::msrp;

impl Conversation {
    pub(super) fn send(
        &mut self,
        now: Instant,
        message: OutgoingMessage,
    ) -> Result<Answer, Refusal> {
        self.chat.demand_open_for_messages("sending a message")?;
        self.demand_staying("sending a message")?;
        if self.line.peer.is_some() {
            self.dispatch(now, &message)?;
        } else if self.waiting.len() < self.settings.msrp_limits.queue {
            self.waiting.push_back(message.clone());
        } else {
            return Err(self.queue_full());
        }
        let OutgoingMessage { id, text, reports } = message;
        self.book.note_sent(id.clone(), reports);
        if self.settings.echo {
            let sender = self.chat.own().clone();
            let reports = ReportRequest::default();
            self.tell(now, NoticeKind::Message { id, sender, text, reports, echo: true });
        }
        Ok(Answer::Done)
    }

    /// Sends the messages that waited for the answer; what finds no room has failed.
    pub(super) fn send_waiting(&mut self, now: Instant) {
        for message in std::mem::take(&mut self.waiting) {
            if self.dispatch(now, &message).is_err() {
                let news = News::MsrpResponse { code: 408, comment: Some("no room to send it") };
                self.fate(now, message.id.as_str(), &news);
            }
        }
    }

    /// Wraps a message as the peer wants it, and hands it to the MSRP session.
    fn dispatch(&mut self, now: Instant, message: &OutgoingMessage) -> Result<(), Refusal> {
        let OutgoingMessage { id, text, reports } = message;
        let date_time = self.anchor.wall(now);
        let out = media::TextOut { id, text, reports: *reports, date_time };
        // Who writes to whom is the same as long as the session is.
        let letterhead = self.letterhead.take();
        let letterhead = letterhead.unwrap_or_else(|| self.media_context().letterhead());
        let parcel = media::wrap_text(&self.media_context(), &letterhead, out);
        self.letterhead = Some(letterhead);
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
        let parcel = media::wrap_composing(&self.media_context(), composing);
        let id = self.random.token();
        self.queue(now, id, parcel)?;
        if self.settings.echo {
            let (sender, composing) = (self.chat.own().clone(), composing.clone());
            self.tell(now, NoticeKind::Composing { sender, composing, echo: true });
        }
        Ok(Answer::Done)
    }

    pub(super) fn report(
        &mut self,
        now: Instant,
        message: &MessageId,
        status: ReceivedStatus,
    ) -> Result<Answer, Refusal> {
        const ACT: &str = "reporting on a message";
        let is_over = self.is_remembered();
        if !is_over {
            self.chat.demand_connected(ACT)?;
            self.demand_staying(ACT)?;
        }
        let wanted = self.book.wanted(message, status).map_err(|_| Refusal::NoMessage)?;
        let wanted = wanted.map(|(received, told)| (received.clone(), told));
        if let Some((IncomingMessage { wire_id: Some(wire_id), date_time, .. }, told)) = wanted {
            let about = (wire_id.as_str(), date_time);
            match is_over {
                true => self.send_late_report(about, (now, told))?,
                false => self.send_report(now, about, told)?,
            }
        }
        self.book.reported(message, status);
        Ok(Answer::Done)
    }

    fn send_report(
        &mut self,
        now: Instant,
        (wire_id, sent): (&str, Option<String>),
        status: ReceivedStatus,
    ) -> Result<(), Refusal> {
        let date_time = self.anchor.wall(now);
        let id = self.random.token();
        let out = media::ReportOut { wire_id, sent, status, date_time, id: &id };
        let parcel = media::wrap_report(&self.media_context(), out);
        self.queue(now, id, parcel)
    }

    /// Hands the MSRP session what came for it.
    pub(super) fn feed_msrp(&mut self, now: Instant, input: msrp::Input) {
        let wish = self.line.feed(now, input);
        self.outputs.extend(wish);
    }

    /// Takes the connection of one who names our MSRP session.
    pub(super) fn msrp_accepted(&mut self, now: Instant, shown: Shown) {
        let wish = self.line.accepted(now, shown);
        self.outputs.extend(wish);
    }

    /// Opens the MSRP session towards the peer.
    pub(super) fn open_msrp(&mut self, now: Instant, setup: msrp::Setup) {
        if self.line.peer.is_some() {
            self.timers.msrp = Some(now + self.settings.msrp_connect_timeout);
        }
        let wish = self.line.open(now, setup);
        self.outputs.extend(wish);
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
                msrp::Output::Close if self.goodbye => self.msrp_closes = true,
                msrp::Output::Close => self.outputs.push_back(Output::MsrpClose),
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

    fn msrp_event(&mut self, now: Instant, event: msrp::Event) {
        match event {
            msrp::Event::Bound => {
                self.timers.msrp = None;
                self.successor.line_stands();
                // A connection that was lost is replaced, and there is nothing to explain.
                self.timers.media = None;
            }
            msrp::Event::Interrupted => self.broken(now, &msrp::Broken::Lost),
            msrp::Event::Message(message) => {
                let asked =
                    ReportRequest { delivered: message.success_report, ..Default::default() };
                if let Err(code) =
                    self.arrived(now, message.content_type.as_str(), message.body, asked)
                {
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
            // A chat between two has no nicknames.
            msrp::Event::Nickname { .. } | msrp::Event::NicknameAsked(_) => {}
            msrp::Event::Broken(broken) => self.broken(now, &broken),
        }
    }

    fn broken(&mut self, now: Instant, broken: &msrp::Broken) {
        if self.is_relayed() && self.relay_broken(now, broken) {
            return;
        }
        if self.chat.state() != State::Connected {
            return;
        }
        if self.timers.leave.is_some() {
            self.part(now);
            return;
        }
        match broken {
            msrp::Broken::ConnectFailed | msrp::Broken::BindTimeout => {
                self.media_failed(now, LegEnd::MsrpConnectFailed);
            }
            msrp::Broken::Relay { .. } => self.media_failed(now, LegEnd::RelayFailed),
            // A peer that leaves may close its connection, or forget the session, before its BYE
            // has found its way.
            msrp::Broken::Lost | msrp::Broken::Refused { .. } => self.await_explanation(now),
            msrp::Broken::PeerMisbehaved => {
                self.media_failed(now, LegEnd::MsrpLost);
            }
        }
    }

    /// Gives the BYE that explains a useless MSRP session its time, once, unless it is there.
    fn await_explanation(&mut self, now: Instant) {
        if self.peer_left.is_some() {
            return;
        }
        if self.timers.media.is_none() {
            self.timers.media = Some(now + self.settings.msrp_grace);
            self.timers.patience = None;
        }
        self.postpone_explanation();
    }

    /// Tells a first message that came with the invitation.
    pub(super) fn tell_first_message(&mut self, now: Instant) {
        if let Some(body) = self.first_message.take() {
            // Whoever sent it there has no MSRP transaction to be told in.
            let _ = self.arrived(now, "message/cpim", body, ReportRequest::default());
        }
    }

    /// Takes a message in; an error is the code that tells its sender why that could not be.
    fn arrived(
        &mut self,
        now: Instant,
        content_type: &str,
        body: Bytes,
        asked: ReportRequest,
    ) -> Result<(), u16> {
        match received::unwrap(content_type, body) {
            Received::Text(text) => self.text_arrived(now, text, asked),
            Received::Composing(composing) => {
                if self.composing.heard(now, &composing) {
                    let sender = self.chat.other().clone();
                    self.tell(now, NoticeKind::Composing { sender, composing, echo: false });
                }
            }
            Received::Reports(reports) => {
                for (message_id, news) in reports {
                    self.fate(now, &message_id, &News::Imdn(news));
                }
            }
            Received::Nothing => {}
            Received::Useless(code) => return Err(code),
        }
        Ok(())
    }

    fn text_arrived(&mut self, now: Instant, text: received::TextIn, asked: ReportRequest) {
        let received::TextIn { wire_id, date_time, text, reports } = text;
        // A message sent again after a lost connection is told once.
        if wire_id.as_deref().is_some_and(|wire_id| self.book.has_received(wire_id, &text)) {
            return;
        }
        self.composing.message_arrived();
        let reports = ReportRequest {
            delivered: reports.delivered || asked.delivered,
            displayed: reports.displayed,
            failed: false,
        };
        let id = MessageId::new(self.random.token());
        let message = IncomingMessage::new(wire_id, date_time, reports);
        self.book.note_received(id.clone(), message, &text);
        let sender = self.chat.other().clone();
        self.tell(now, NoticeKind::Message { id, sender, text, reports, echo: false });
    }

    pub(super) fn tell_idle(&mut self, now: Instant) {
        let sender = self.chat.other().clone();
        let composing = Composing::idle();
        self.tell(now, NoticeKind::Composing { sender, composing, echo: false });
    }

    /// Tells the sender what the second table says of news about a message.
    pub(super) fn fate(&mut self, now: Instant, message_id: &str, news: &News<'_>) {
        let id = MessageId::new(message_id);
        match delivery::report(news, self.settings.success_on) {
            Some(report) => {
                for status in self.book.report(&id, &report) {
                    self.tell_status(now, &id, status, &report);
                }
            }
            None => self.book.taken(&id),
        }
        let row = delivery::row_of(news);
        if row.then == Then::AvoidType && self.book.knows(&id) {
            // What was refused was a text: the next ones go out bare.
            self.line.cpim = false;
        }
        if row.closes_leg() && self.chat.state() == State::Connected {
            self.await_explanation(now);
        }
    }

    /// Fails the messages that nobody has taken: the session ends (RFC 4975 section 7.1.1).
    pub(super) fn fail_untaken(&mut self, now: Instant) {
        for id in self.book.untaken() {
            let news = News::MsrpResponse { code: 481, comment: Some("the session has ended") };
            if let Some(report) = delivery::report(&news, self.settings.success_on) {
                for status in self.book.report(&id, &report) {
                    self.tell_status(now, &id, status, &report);
                }
            }
        }
    }

    fn tell_status(
        &mut self,
        now: Instant,
        id: &MessageId,
        status: MessageStatus,
        report: &DeliveryReport,
    ) {
        let asked = self.book.asked(id);
        let (wanted, accompanied) = match status {
            MessageStatus::Delivered => (asked.delivered, asked.delivered || asked.displayed),
            MessageStatus::Displayed => (asked.displayed, asked.displayed),
            MessageStatus::Failed => (true, true),
        };
        let (error_code, description) = match report {
            DeliveryReport::Failed { code, description } => {
                (Some(code.clone()), description.clone())
            }
            DeliveryReport::Delivered | DeliveryReport::Displayed => (None, None),
        };
        if wanted {
            let (message, description) = (id.clone(), description.clone());
            self.tell(
                now,
                NoticeKind::Delivery {
                    message,
                    status,
                    error_code,
                    description,
                    participant: None,
                },
            );
        }
        // After the end of its session nothing is told of it any more, but what became of messages.
        let is_over = self.chat.state() == State::Ended;
        if accompanied
            && !is_over
            && let Some(event) = delivery::event_with(status)
        {
            self.tell_event(now, event, description, Some(id.clone()));
        }
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

    pub(super) fn queue_full(&self) -> Refusal {
        Refusal::Full { what: "the session's message queue", retry_after: self.settings.leave_wait }
    }

    pub(super) fn media_context(&self) -> media::Context<'_> {
        media::Context {
            settings: &self.settings,
            peer: self.line.peer.as_ref(),
            cpim: self.line.cpim,
            envelope: media::Envelope::Pair { own: self.chat.own(), other: self.chat.other() },
        }
    }
}
