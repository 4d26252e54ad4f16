//! Reports that go outside of the session: those that come for it, and those that its user makes
//! when it is over.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Conversation, Output};
use crate::address::Address;
use crate::bridge::delivery::News;
use crate::bridge::media;
use crate::bridge::pager::{self, Reports};
use crate::chat::{ReceivedStatus, Refusal, State};
use crate::ids::MessageId;
use crate::sip::{Body, DialogKey, Inquiry, Message, UsageInput, UsageOutput};

/// The reports of an ended session on their way, one at a time (RFC 3428 section 8).
#[derive(Debug, Default)]
pub(super) struct Pager {
    waiting: VecDeque<Body>,
    sending: Option<Inquiry>,
}

impl Pager {
    /// Tells whether a message answers a report of ours.
    pub(super) fn owns(&self, message: &Message) -> bool {
        let Message::Response(response) = message else { return false };
        let tag = response.from_tag();
        self.sending.as_ref().is_some_and(|inquiry| tag.as_deref() == Some(inquiry.local_tag()))
    }

    pub(super) fn handle(&mut self, now: Instant, input: UsageInput) {
        if let Some(inquiry) = &mut self.sending {
            inquiry.handle(now, input);
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.sending.as_ref().and_then(Inquiry::next_timeout)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.sending.is_none()
    }
}

impl Conversation {
    /// Tells whether the session is over, at least for the other side, but still has its URL.
    pub(super) fn is_remembered(&self) -> bool {
        let has_ended = self.chat.state() == State::Ended && self.timers.forget.is_some();
        has_ended || self.peer_left.is_some()
    }

    /// Takes reports on messages that may be ours: from the other side only, as far as the core
    /// names who reports.
    pub(super) fn take_reports(&mut self, now: Instant, reports: &Reports) {
        let Reports { from, news, .. } = reports;
        if *from != Address::anonymous() && *from != self.chat.other().address {
            return;
        }
        for (id, news) in news {
            if self.book.knows(&MessageId::new(id.as_str())) {
                self.fate(now, id, &News::Imdn(*news));
            }
        }
    }

    /// Reports on a message of a session that is over: with a MESSAGE, in CPIM (RFC 5438 section
    /// 12). Nothing reaches somebody whom the core has not named.
    pub(super) fn send_late_report(
        &mut self,
        (wire_id, sent): (&str, Option<String>),
        (now, status): (Instant, ReceivedStatus),
    ) -> Result<(), Refusal> {
        if self.chat.other().address == Address::anonymous() {
            return Ok(());
        }
        if self.pager.waiting.len() >= self.settings.tracked_messages {
            return Err(self.queue_full());
        }
        let date_time = self.anchor.wall(now);
        let id = self.random.token();
        let out = media::ReportOut { wire_id, sent, status, date_time, id: &id };
        let parcel = media::wrap_report(&self.media_context(), out);
        let body = Body { content_type: parcel.content_type, bytes: parcel.body };
        self.pager.waiting.push_back(body);
        Ok(())
    }

    /// Takes what the report on its way has for us, and sends the next one. What became of a report
    /// nobody needs to know: the other side has it, or does without.
    pub(super) fn settle_pager(&mut self, now: Instant) -> bool {
        let mut busy = false;
        while let Some(output) = self.pager.sending.as_mut().and_then(Inquiry::poll) {
            busy = true;
            match output {
                UsageOutput::Send { bytes, hop } => {
                    self.outputs.push_back(Output::Sip { bytes, hop });
                }
                UsageOutput::Spare { hop, wait } => {
                    self.outputs.push_back(Output::Spare { hop, wait });
                }
                UsageOutput::Event(_) => {}
            }
        }
        self.pager.sending.take_if(|inquiry| inquiry.is_finished());
        if self.pager.sending.is_some() {
            return busy;
        }
        let Some(body) = self.pager.waiting.pop_front() else { return busy };
        let who = (&self.user, self.attempt.next_hops.as_slice());
        let parties = (self.chat.own(), self.chat.other());
        if let Ok(errand) = pager::errand((&self.settings, &self.access), who, parties) {
            let kit = self.access.kit(&self.settings, self.random.fork());
            let inquiry = Inquiry::message(now, &errand, body, kit);
            let call_id = inquiry.call_id().to_owned();
            let tag = inquiry.local_tag().to_owned();
            self.outputs.push_back(Output::Route(DialogKey { call_id, tag }));
            self.pager.sending = Some(inquiry);
        }
        true
    }
}
