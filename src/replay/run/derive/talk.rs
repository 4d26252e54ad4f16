//! What must be told of messages, composing states and reports, by the table of messages (TS Chat
//! 5.2.2.6, 5.2.2.9, 5.2.3.3).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::json;

use super::super::super::raw::Raw;
use super::super::super::rewrite::imdn_id;
use super::super::super::said::{Line, Msrp};
use super::super::script::Cause;
use super::content::Content;
use super::news::News;
use crate::bridge::delivery::{self, News as Fate, SuccessOn};
use crate::chat::{DeliveryReport, EventType, MessageStatus};

/// What was said in a session, as far as something may follow from it.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// Whether it is that of a group, in which the sender of a message is not told what became of
    /// it by default.
    is_group: bool,
    /// Who speaks, where the message does not say so: each is as good as the other.
    others: Vec<String>,
    own: String,
    sent: Vec<Sent>,
    /// Which message the bridge sends in a transaction of a dialog.
    under_way: BTreeMap<(usize, String), String>,
    /// Messages of the network that are not complete, by dialog and id.
    begun: BTreeMap<(usize, String), Begun>,
    /// Messages that were told, by id and text.
    told: BTreeSet<(String, String)>,
    /// Who is composing.
    composing: BTreeSet<String>,
    /// Whether a refusal has made the session useless, so that it will end.
    pub(super) is_doomed: bool,
}

/// A text of the application.
#[derive(Debug)]
struct Sent {
    /// What it is known by: in MSRP, and in reports.
    ids: Vec<String>,
    reports: Vec<&'static str>,
    status: Option<MessageStatus>,
}

/// A message of which not all has come.
#[derive(Debug, Default)]
struct Begun {
    content_type: String,
    /// Its octets, by how many stand before them.
    pieces: BTreeMap<u64, Vec<u8>>,
    /// How many there are, once the last of them have come.
    length: Option<u64>,
    is_refused: bool,
}

/// A frame, with whether the recorded bridge refuses it.
pub(super) struct Frame<'a> {
    pub(super) dialog: usize,
    pub(super) msrp: &'a Msrp,
    pub(super) bytes: &'a [u8],
    pub(super) is_refused: bool,
}

impl Talk {
    pub(super) fn of_pair(own: &str, others: Vec<String>) -> Self {
        Self { own: own.to_owned(), others, ..Self::default() }
    }

    pub(super) fn of_group(own: &str) -> Self {
        Self { own: own.to_owned(), is_group: true, ..Self::default() }
    }

    /// Takes what the bridge sends, and what the application has said for it.
    pub(super) fn sends(&mut self, frame: &Frame<'_>, cause: Option<&Cause>) {
        let id = frame.msrp.message_id.clone();
        self.under_way.insert((frame.dialog, frame.msrp.transaction.clone()), id.clone());
        if let Some(Cause::Say { reports, .. }) = cause {
            let ids = [Some(id), imdn_id(Raw::read(frame.bytes).body())];
            self.note_sent(ids.into_iter().flatten().collect(), reports);
        }
    }

    /// Takes a text that the application sends.
    pub(super) fn note_sent(&mut self, ids: Vec<String>, reports: &[&'static str]) {
        self.sent.push(Sent { ids, reports: reports.to_vec(), status: None });
    }

    /// Tells whether a text of the application has that id.
    pub(super) fn has_sent(&self, id: &str) -> bool {
        self.sent.iter().any(|sent| sent.ids.iter().any(|known| known == id))
    }

    /// Takes an answer, a report or a message of the network.
    pub(super) fn hears(&mut self, frame: &Frame<'_>) -> Vec<News> {
        match &frame.msrp.line {
            Line::Answer(code, comment) => {
                let asked = (frame.dialog, frame.msrp.transaction.clone());
                let Some(id) = self.under_way.remove(&asked) else { return Vec::new() };
                let comment = Some(comment.as_str()).filter(|comment| !comment.is_empty());
                self.fate(&id, &Fate::MsrpResponse { code: *code, comment })
            }
            Line::Request(method, _) if method == "REPORT" => {
                let status = frame.msrp.status.as_deref().unwrap_or_default();
                // `000`, the code and a comment (RFC 4975 section 7.1.2).
                let mut words = status.splitn(3, ' ').skip(1);
                let Some(code) = words.next().and_then(|code| code.parse().ok()) else {
                    return Vec::new();
                };
                let news = Fate::MsrpReport { code, comment: words.next() };
                self.fate(&frame.msrp.message_id, &news)
            }
            Line::Request(method, _) if method == "SEND" => self.chunk(frame),
            Line::Request(..) => Vec::new(),
        }
    }

    /// Takes a chunk; of the last one follows what the whole message says (RFC 4975 section 7.3.1).
    fn chunk(&mut self, frame: &Frame<'_>) -> Vec<News> {
        let key = (frame.dialog, frame.msrp.message_id.clone());
        let begun = self.begun.entry(key.clone()).or_default();
        if begun.content_type.is_empty() {
            begun.content_type.clone_from(&frame.msrp.content_type);
        }
        let flag = frame.bytes.trim_ascii_end().last().copied().unwrap_or_default();
        begun.put(&frame.msrp.byte_range, Raw::read(frame.bytes).body(), flag == b'$');
        begun.is_refused |= frame.is_refused;
        let whole = begun.whole();
        if whole.is_none() && flag != b'#' {
            return Vec::new();
        }
        let begun = self.begun.remove(&key).filter(|begun| !begun.is_refused);
        match whole.zip(begun) {
            Some((body, begun)) => self.said(&begun.content_type, body.into()),
            None => Vec::new(),
        }
    }

    /// Takes what somebody says.
    pub(super) fn said(&mut self, content_type: &str, body: Bytes) -> Vec<News> {
        match Content::read(content_type, body) {
            Content::Text { from, id, text, reports } => {
                self.text((from, id), text, reports).into_iter().collect()
            }
            Content::Composing { from, is_active, refresh } => {
                self.composes(from, is_active, refresh)
            }
            Content::Reports(all) => {
                all.iter().flat_map(|(id, news)| self.fate(id, &Fate::Imdn(*news))).collect()
            }
            Content::Nothing => Vec::new(),
        }
    }

    fn text(
        &mut self,
        (from, id): (Option<String>, Option<String>),
        text: String,
        reports: Vec<&'static str>,
    ) -> Option<News> {
        let is_own = self.is_group && from.as_deref() == Some(&self.own);
        if let Some(id) = id {
            // Said again, or given back by the focus.
            if (is_own && self.has_sent(&id)) || !self.told.insert((id, text.clone())) {
                return None;
            }
        }
        let speakers = self.speakers(from);
        for speaker in &speakers {
            self.composing.remove(speaker);
        }
        let mut fields = json!({ "text": text });
        if !reports.is_empty() && !is_own {
            fields["chatMessage"] = json!({ "reportRequest": reports });
        }
        let news = News::of("messageNotification", fields).with("senderAdress", &speakers);
        // Other clients of the user may be told what one of them has said.
        Some(if is_own { news.perhaps() } else { news })
    }

    fn composes(
        &mut self,
        from: Option<String>,
        is_active: bool,
        refresh: Option<u32>,
    ) -> Vec<News> {
        if self.is_group && from.as_deref() == Some(&self.own) {
            return Vec::new();
        }
        let speakers = self.speakers(from);
        let of = |state: serde_json::Value| {
            News::of("messageNotification", json!({ "isComposing": state }))
                .with("senderAdress", &speakers)
        };
        let idle = of(json!({ "state": "idle" }));
        let who = speakers.first().cloned().unwrap_or_default();
        if !is_active {
            let was_active = self.composing.remove(&who);
            return vec![if was_active { idle } else { idle.perhaps() }];
        }
        self.composing.insert(who);
        let mut state = json!({ "state": "active" });
        if let Some(refresh) = refresh {
            state["refresh"] = refresh.into();
        }
        // A state that nobody refreshes runs out.
        vec![of(state), idle.perhaps().in_any_order()]
    }

    /// Gives whoever may have said something: in a group the message says it, between two it is the
    /// other one.
    fn speakers(&self, from: Option<String>) -> Vec<String> {
        match from.filter(|_| self.is_group) {
            Some(from) => vec![from],
            None => self.others.clone(),
        }
    }

    /// Gives what may be told of texts that the network has not answered when a session ends.
    pub(super) fn ends(&mut self) -> Vec<News> {
        let open: BTreeSet<String> = std::mem::take(&mut self.under_way).into_values().collect();
        let ended = Fate::MsrpResponse { code: 481, comment: None };
        let told = open.iter().flat_map(|id| self.fate(id, &ended)).collect::<Vec<_>>();
        told.into_iter().map(News::perhaps).collect()
    }

    /// Takes news of a text of the application.
    pub(super) fn fate(&mut self, id: &str, news: &Fate<'_>) -> Vec<News> {
        self.is_doomed |= delivery::row_of(news).closes_leg();
        let is_it = |sent: &&mut Sent| sent.ids.iter().any(|known| known == id);
        let Some(sent) = self.sent.iter_mut().find(is_it) else { return Vec::new() };
        let Some(report) = delivery::report(news, SuccessOn::Report) else { return Vec::new() };
        let mut told = Vec::new();
        for status in sent.next(&report) {
            let news = sent.told(*status, &report);
            match status {
                MessageStatus::Failed if self.is_group => {
                    // Whether a group tells it at all is a matter of configuration.
                    told.extend(news.into_iter().take(1).map(News::perhaps));
                }
                MessageStatus::Delivered | MessageStatus::Displayed if self.is_group => {}
                MessageStatus::Delivered | MessageStatus::Displayed | MessageStatus::Failed => {
                    told.extend(news);
                }
            }
            sent.status = Some(*status);
        }
        told
    }
}

impl Begun {
    /// Puts the octets of a chunk where its Byte-Range says, else behind all others.
    fn put(&mut self, range: &str, octets: &[u8], is_last: bool) {
        let first = range.split('-').next().and_then(|first| first.trim().parse::<u64>().ok());
        let end = |(before, piece): (&u64, &Vec<u8>)| before.saturating_add(piece.len() as u64);
        let before = match first {
            Some(first) => first.saturating_sub(1),
            None => self.pieces.iter().map(end).max().unwrap_or_default(),
        };
        if is_last {
            self.length = Some(before.saturating_add(octets.len() as u64));
        }
        let piece = self.pieces.entry(before).or_default();
        if piece.len() < octets.len() {
            *piece = octets.to_vec();
        }
    }

    /// Gives the message, once no octet is missing.
    fn whole(&self) -> Option<Vec<u8>> {
        let length = usize::try_from(self.length?).ok()?;
        let mut whole = Vec::new();
        for (before, piece) in &self.pieces {
            // What overlaps was there before.
            let known = whole.len().checked_sub(usize::try_from(*before).ok()?)?;
            whole.extend_from_slice(piece.get(known..).unwrap_or_default());
        }
        whole.truncate(length);
        (whole.len() == length).then_some(whole)
    }
}

impl Sent {
    /// Gives the statuses that news lead to: one only moves forward, and is not left out.
    fn next(&self, report: &DeliveryReport) -> &'static [MessageStatus] {
        use MessageStatus::{Delivered, Displayed, Failed};
        match (report, self.status) {
            (DeliveryReport::Delivered, None) => &[Delivered],
            (DeliveryReport::Displayed, None) => &[Delivered, Displayed],
            (DeliveryReport::Displayed, Some(Delivered)) => &[Displayed],
            (DeliveryReport::Failed { .. }, None) => &[Failed],
            (
                DeliveryReport::Delivered
                | DeliveryReport::Displayed
                | DeliveryReport::Failed { .. },
                Some(_),
            ) => &[],
        }
    }

    /// Gives what the sender is told: of a success what it has asked for, of a failure in any case.
    fn told(&self, status: MessageStatus, report: &DeliveryReport) -> Vec<News> {
        let asked = |report: &str| self.reports.contains(&report);
        let (is_wanted, is_accompanied) = match status {
            MessageStatus::Delivered => {
                (asked("Delivered"), asked("Delivered") || asked("Displayed"))
            }
            MessageStatus::Displayed => (asked("Displayed"), asked("Displayed")),
            MessageStatus::Failed => (true, true),
        };
        let mut fields = json!({ "status": status.as_str(), "rel": "ChatMessage" });
        let mut description = "";
        if let DeliveryReport::Failed { code, description: words } = report {
            fields["errorCode"] = code.as_str().into();
            description = words.as_deref().unwrap_or_default();
        }
        let link = ["ChatMessage".to_owned()];
        let event = |event: EventType| News::event(event, description).with("rel", &link);
        let event = delivery::event_with(status).filter(|_| is_accompanied).map(event);
        let status = is_wanted.then(|| News::of("messageDeliveryStatusNotification", fields));
        // Which of the two comes first, no table says.
        let event = event.map(News::in_any_order);
        status.into_iter().chain(event).collect()
    }
}
