//! The accounts of a trace: dialogs, MSRP sessions and REST calls, and the steps that they took.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;

use super::brief::{Mark, Told, shorten, shorten_msrp, shorten_sip};
use super::content::describe;
use super::head::Head;
use super::said::{Http, Line, Msrp, Sip};
use crate::trace::{End, Moment, Protocol, Recorded, Transport};

/// How much is kept of each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Keep {
    /// Only the accounts.
    Accounts,
    /// A line for each.
    Lines,
    /// The line and the bytes.
    Messages,
    /// And what comes again as steps of their own.
    Repeats,
}

/// The accounts of a trace, in the order in which things began. Both what is kept of each word that
/// a peer said and the sum of that is bounded: a word may be as long as a message.
pub(super) struct Book {
    keep: Keep,
    pub(super) dialogs: Vec<Dialog>,
    pub(super) sessions: Vec<Session>,
    pub(super) steps: Vec<Step>,
    pub(super) totals: Totals,
    dialogs_by_call_id: HashMap<String, Vec<usize>>,
    /// Who offered a path: the dialog, and the end that sent the description.
    offer_by_session_id: HashMap<String, (usize, End)>,
    session_by_ids: HashMap<(String, String), usize>,
    /// Whether the requests under way from one end to another are calls of the chat API.
    calls_under_way: BTreeMap<(End, End), VecDeque<bool>>,
    /// Counts the words that are kept for telling.
    told: Told,
    bytes_kept: usize,
}

/// Counts over the whole trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Totals {
    pub(super) sip: u64,
    pub(super) msrp: u64,
    pub(super) rest: u64,
    pub(super) retransmissions: u64,
    /// Dialogs, sessions and steps beyond the limits, which are counted only.
    pub(super) dialogs_untold: u64,
    pub(super) sessions_untold: u64,
    pub(super) steps_untold: u64,
}

/// A dialog with its forks, or a request outside of any with its answers.
#[derive(Debug)]
pub(super) struct Dialog {
    /// The method that opened it.
    pub(super) method: String,
    pub(super) call_id: String,
    /// The first message: when, in which packet, from whom to whom.
    pub(super) opened: Moment,
    pub(super) packet: u64,
    pub(super) ends: (End, End),
    pub(super) transport: Transport,
    pub(super) caller: String,
    pub(super) callee: String,
    caller_tag: Mark,
    /// The tags of the other side, more than one where it forked.
    callee_tags: Vec<Mark>,
    /// The final answer to what opened it, and when it came.
    pub(super) answer: Option<(u16, String, Moment)>,
    /// What ended it behind the answer.
    pub(super) ended: Option<Ended>,
    pub(super) messages: u64,
    pub(super) retransmissions: u64,
    /// The field that it shares with the other leg of a back-to-back agent.
    pub(super) leg: Option<(&'static str, String)>,
    /// The transactions seen last, for folding what comes again.
    recent: VecDeque<(u64, Option<usize>)>,
}

impl Dialog {
    /// Counts the dialogs that one request made.
    pub(super) fn forks(&self) -> usize {
        self.callee_tags.len()
    }
}

/// How a dialog ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) at: Moment,
    pub(super) method: String,
    pub(super) by_caller: bool,
    pub(super) reason: Option<String>,
}

/// An MSRP session: what two session ids said to each other.
#[derive(Debug)]
pub(super) struct Session {
    /// The ids in the order of the first frame: of its sender, of its receiver.
    pub(super) ids: (String, String),
    /// The dialog that offered it.
    pub(super) dialog: Option<usize>,
    pub(super) opened: Moment,
    pub(super) packet: u64,
    pub(super) ends: (End, End),
    /// Frames by method or code.
    pub(super) frames: BTreeMap<String, u64>,
    /// Octets of content.
    pub(super) octets: u64,
}

/// One message on its way, with what repeats it.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) at: Moment,
    pub(super) packet: u64,
    pub(super) from: End,
    pub(super) to: End,
    /// The SIP ends of the dialog that an MSRP frame belongs to, where they are known.
    pub(super) parties: (Option<End>, Option<End>),
    pub(super) protocol: Protocol,
    /// The method, or code and phrase.
    pub(super) label: String,
    /// The method that a SIP answer is about.
    pub(super) about: Option<String>,
    /// What it is about.
    pub(super) note: String,
    pub(super) dialog: Option<usize>,
    /// Whether it goes the way of the message that opened the dialog.
    pub(super) forward: bool,
    /// How often it came again.
    pub(super) repeats: u64,
    /// Whether it is one that came again, and is not folded into the first.
    pub(super) again: bool,
    /// Its bytes, where they are kept.
    pub(super) bytes: Bytes,
}

/// What a message adds to the step made of it.
struct Entry {
    label: String,
    about: Option<String>,
    note: String,
    dialog: Option<usize>,
    forward: bool,
    parties: (Option<End>, Option<End>),
}

impl Book {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            keep,
            dialogs: Vec::new(),
            sessions: Vec::new(),
            steps: Vec::new(),
            totals: Totals::default(),
            dialogs_by_call_id: HashMap::new(),
            offer_by_session_id: HashMap::new(),
            session_by_ids: HashMap::new(),
            calls_under_way: BTreeMap::new(),
            told: Told::default(),
            bytes_kept: 0,
        }
    }

    /// Enters the next message.
    pub(super) fn add(&mut self, message: &Recorded) {
        let head = Head::read(&message.bytes);
        match message.protocol {
            Protocol::Sip => self.add_sip(message, &head),
            Protocol::Msrp => self.add_msrp(message, &head),
            Protocol::Http => self.add_http(message, &head),
        }
    }

    fn add_sip(&mut self, message: &Recorded, head: &Head<'_>) {
        self.totals.sip += 1;
        let mut sip = Sip::read(head);
        shorten_sip(&mut sip);
        let Some(index) = self.dialog_of(&sip, message) else {
            self.totals.dialogs_untold += u64::from(sip.line.as_ref().is_some_and(is_opening));
            self.leave_untold();
            return;
        };
        for path in &sip.paths {
            if self.offer_by_session_id.len() < MAX_ACCOUNTS && self.told.has_room() {
                self.told.take([path]);
                self.offer_by_session_id.insert(path.clone(), (index, message.from));
            } else if !self.offer_by_session_id.contains_key(path) {
                // What is said there belongs to no dialog any more.
                self.totals.sessions_untold += 1;
            }
        }
        let dialog = &mut self.dialogs[index];
        dialog.messages += 1;
        let transaction = transaction(&sip, message);
        let known = dialog.recent.iter().find(|(known, _)| *known == transaction).copied();
        if let Some((_, step)) = known {
            dialog.retransmissions += 1;
            self.totals.retransmissions += 1;
            if let Some(step) = step.and_then(|step| self.steps.get_mut(step)) {
                step.repeats += 1;
            }
            if self.keep < Keep::Repeats {
                return;
            }
        }
        // Requests have From and To as they go, answers as their requests went.
        let asked_by_caller = Mark::of(&sip.from.tag) == dialog.caller_tag;
        dialog.take(&sip, asked_by_caller, message.at);
        let is_request = sip.line.as_ref().and_then(Line::method).is_some();
        let forward = asked_by_caller == is_request;
        let step = self.step(message, || Entry {
            label: sip.line.as_ref().map(Line::short).unwrap_or_default(),
            about: (!is_request).then(|| sip.method().to_owned()),
            note: note(&sip, head.body),
            dialog: Some(index),
            forward,
            parties: (None, None),
        });
        if known.is_some() {
            if let Some(step) = step.and_then(|step| self.steps.get_mut(step)) {
                step.again = true;
            }
            return;
        }
        let recent = &mut self.dialogs[index].recent;
        if recent.len() >= MAX_RECENT {
            recent.pop_front();
        }
        recent.push_back((transaction, step));
    }

    /// Finds the dialog of a message, or opens one.
    fn dialog_of(&mut self, sip: &Sip, message: &Recorded) -> Option<usize> {
        let opens = sip.line.as_ref().is_some_and(is_opening) && sip.to.tag.is_empty();
        let known = self.dialogs_by_call_id.get(&sip.call_id);
        let found = known.and_then(|known| {
            known.iter().rev().take(MAX_REUSES).copied().find(|index| {
                let dialog = &self.dialogs[*index];
                // A Call-ID that is used again, even with its tag, is another dialog.
                dialog.is_of(sip) && !(opens && dialog.ended.is_some())
            })
        });
        if let Some(index) = found {
            self.dialogs[index].learn_tag(sip);
            return Some(index);
        }
        if self.dialogs.len() >= MAX_ACCOUNTS || !self.told.has_room() {
            return None;
        }
        let index = self.dialogs.len();
        self.dialogs.push(Dialog::new(sip, message));
        // The Call-ID stands here and in the index.
        self.told.take([&sip.call_id, &sip.call_id, &sip.from.address, &sip.to.address]);
        self.dialogs_by_call_id.entry(sip.call_id.clone()).or_default().push(index);
        Some(index)
    }

    fn add_msrp(&mut self, message: &Recorded, head: &Head<'_>) {
        self.totals.msrp += 1;
        let mut msrp = Msrp::read(head);
        shorten_msrp(&mut msrp);
        let Some(index) = self.session_of(&msrp, message) else {
            self.totals.sessions_untold += 1;
            self.leave_untold();
            return;
        };
        let session = &mut self.sessions[index];
        let kind = match &msrp.line {
            Line::Request(method, _) => method.clone(),
            Line::Answer(code, _) => code.to_string(),
        };
        // Only so many kinds are told apart: methods are the peer's words.
        if let Some(count) = session.frames.get_mut(&kind) {
            *count += 1;
        } else if session.frames.len() < MAX_KINDS && self.told.has_room() {
            self.told.take([&kind]);
            session.frames.insert(kind, 1);
        }
        session.octets += head.body.len() as u64;
        let dialog = session.dialog;
        let party = |id: &String| self.offer_by_session_id.get(id).map(|(_, end)| *end);
        let parties = (party(&msrp.from), party(&msrp.to));
        let opener = dialog.map(|dialog| self.dialogs[dialog].ends.0);
        let forward = match (opener, parties) {
            (Some(opener), (Some(sender), _)) => opener == sender,
            // Who answers may be faster by MSRP than by SIP: then only the offer is known.
            (Some(opener), (None, Some(receiver))) => opener != receiver,
            (Some(_), (None, None)) | (None, _) => self.sessions[index].ids.0 == msrp.from,
        };
        let body = head.body;
        self.step(message, || {
            let note = [
                describe(&msrp.content_type, body),
                (!msrp.byte_range.is_empty()).then(|| msrp.byte_range.clone()),
                msrp.status.clone(),
            ];
            let note = note.into_iter().flatten().collect::<Vec<_>>().join(" ");
            Entry { label: msrp.line.short(), about: None, note, dialog, forward, parties }
        });
    }

    fn session_of(&mut self, msrp: &Msrp, message: &Recorded) -> Option<usize> {
        let ids = (msrp.from.clone(), msrp.to.clone());
        let back = (msrp.to.clone(), msrp.from.clone());
        let known = self.session_by_ids.get(&ids).or_else(|| self.session_by_ids.get(&back));
        if let Some(index) = known {
            return Some(*index);
        }
        if self.sessions.len() >= MAX_ACCOUNTS || !self.told.has_room() {
            return None;
        }
        self.told.take([&ids.0, &ids.1, &ids.0, &ids.1]);
        let offer = |id| self.offer_by_session_id.get(id).map(|(dialog, _)| *dialog);
        self.sessions.push(Session {
            dialog: offer(&ids.0).or_else(|| offer(&ids.1)),
            ids: ids.clone(),
            opened: message.at,
            packet: message.packet,
            ends: (message.from, message.to),
            frames: BTreeMap::new(),
            octets: 0,
        });
        self.session_by_ids.insert(ids, self.sessions.len() - 1);
        Some(self.sessions.len() - 1)
    }

    fn add_http(&mut self, message: &Recorded, head: &Head<'_>) {
        let http = Http::read(head);
        let is_chat = match &http.line {
            Line::Request(..) => {
                let way = (message.from, message.to);
                if self.calls_under_way.len() < MAX_ACCOUNTS {
                    let queue = self.calls_under_way.entry(way).or_default();
                    // Pipelines are short; what is beyond is forgotten, not held.
                    if queue.len() < MAX_RECENT {
                        queue.push_back(http.is_chat);
                    }
                }
                http.is_chat
            }
            Line::Answer(code, _) => {
                let way = (message.to, message.from);
                let queue = self.calls_under_way.get_mut(&way);
                let asked = queue.and_then(|queue| match code {
                    // An interim answer (RFC 9110 section 15.2) is followed by the final one.
                    100..200 => queue.front().copied(),
                    _ => queue.pop_front(),
                });
                asked.unwrap_or_default() || !http.told.is_empty()
            }
        };
        if !is_chat {
            return;
        }
        self.totals.rest += 1;
        self.step(message, || Entry {
            label: http.line.short(),
            about: None,
            note: match &http.line {
                Line::Request(_, target) => target.clone(),
                Line::Answer(..) => http.told.join(", "),
            },
            dialog: None,
            forward: matches!(http.line, Line::Request(..)),
            parties: (None, None),
        });
    }

    /// Counts a message that gives no step, where steps are kept.
    fn leave_untold(&mut self) {
        self.totals.steps_untold += u64::from(self.keep > Keep::Accounts);
    }

    /// Writes a step down, where steps are kept; gives its place.
    fn step(&mut self, message: &Recorded, line: impl FnOnce() -> Entry) -> Option<usize> {
        if self.keep == Keep::Accounts {
            return None;
        }
        if self.steps.len() >= MAX_STEPS || !self.told.has_room() {
            self.leave_untold();
            return None;
        }
        let keeps =
            self.keep >= Keep::Messages && self.bytes_kept + message.bytes.len() <= MAX_BYTES_KEPT;
        let bytes = if keeps { message.bytes.clone() } else { Bytes::new() };
        self.bytes_kept += bytes.len();
        let Entry { mut label, about, mut note, dialog, forward, parties } = line();
        shorten(&mut label);
        shorten(&mut note);
        self.told.take([&label, &note]);
        self.steps.push(Step {
            at: message.at,
            packet: message.packet,
            from: message.from,
            to: message.to,
            parties,
            protocol: message.protocol,
            label,
            about,
            note,
            dialog,
            forward,
            repeats: 0,
            again: false,
            bytes,
        });
        Some(self.steps.len() - 1)
    }
}

impl Dialog {
    fn new(sip: &Sip, message: &Recorded) -> Self {
        let is_answer = sip.line.as_ref().is_some_and(|line| line.method().is_none());
        let ends = if is_answer { (message.to, message.from) } else { (message.from, message.to) };
        Self {
            method: sip.method().to_owned(),
            call_id: sip.call_id.clone(),
            opened: message.at,
            packet: message.packet,
            ends,
            transport: message.transport,
            caller: sip.from.address.clone(),
            callee: sip.to.address.clone(),
            caller_tag: Mark::of(&sip.from.tag),
            callee_tags: Some(&sip.to.tag)
                .filter(|tag| !tag.is_empty())
                .map(|tag| Mark::of(tag))
                .into_iter()
                .collect(),
            answer: None,
            ended: None,
            messages: 0,
            retransmissions: 0,
            leg: None,
            recent: VecDeque::new(),
        }
    }

    fn is_of(&self, sip: &Sip) -> bool {
        Mark::of(&sip.from.tag) == self.caller_tag || Mark::of(&sip.to.tag) == self.caller_tag
    }

    /// Remembers the tag of the other side: each one is a fork.
    fn learn_tag(&mut self, sip: &Sip) {
        let is_from_caller = Mark::of(&sip.from.tag) == self.caller_tag;
        let tag = if is_from_caller { &sip.to.tag } else { &sip.from.tag };
        let mark = Mark::of(tag);
        if !tag.is_empty()
            && self.callee_tags.len() < MAX_FORKS
            && !self.callee_tags.contains(&mark)
        {
            self.callee_tags.push(mark);
        }
    }

    /// Enters what a message means to the state of the dialog.
    fn take(&mut self, sip: &Sip, asked_by_caller: bool, at: Moment) {
        if self.leg.is_none() {
            self.leg.clone_from(&sip.leg);
        }
        match &sip.line {
            Some(Line::Request(method, _)) if matches!(method.as_str(), "BYE" | "CANCEL") => {
                let ended = Ended {
                    at,
                    method: method.clone(),
                    by_caller: asked_by_caller,
                    reason: sip.reason.clone(),
                };
                self.ended.get_or_insert(ended);
            }
            Some(Line::Answer(code, phrase))
                if *code >= 200 && sip.method() == self.method && asked_by_caller =>
            {
                // Of several the success holds; a challenge is followed by another answer.
                let settled = self.answer.as_ref().is_some_and(|(code, ..)| *code < 300);
                if !settled {
                    self.answer = Some((*code, phrase.clone(), at));
                }
            }
            Some(_) | None => {}
        }
    }
}

/// Whether a line is that of a request that may open a dialog or stand alone.
fn is_opening(line: &Line) -> bool {
    line.method().is_some_and(|method| {
        !matches!(method, "ACK" | "BYE" | "CANCEL" | "PRACK" | "UPDATE" | "INFO" | "NOTIFY")
    })
}

/// Gives what a message and its retransmissions have in common. A provisional response that says
/// something new is none, so bodies of answers count.
fn transaction(sip: &Sip, message: &Recorded) -> u64 {
    let mut hasher = DefaultHasher::new();
    (message.from, message.to, &sip.branch, &sip.cseq, &sip.to.tag).hash(&mut hasher);
    match &sip.line {
        Some(Line::Request(method, _)) if !sip.branch.is_empty() => method.hash(&mut hasher),
        Some(_) | None => message.bytes.hash(&mut hasher),
    }
    hasher.finish()
}

fn note(sip: &Sip, body: &[u8]) -> String {
    let parts = [sip.event.clone(), describe(&sip.content_type, body), sip.reason.clone()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Dialogs, and sessions, that are told one by one.
const MAX_ACCOUNTS: usize = 20_000;
const MAX_STEPS: usize = 100_000;
const MAX_BYTES_KEPT: usize = 64 * 1024 * 1024;
const MAX_RECENT: usize = 32;
const MAX_FORKS: usize = 16;
/// Dialogs of one Call-ID that a message may belong to, the last ones.
const MAX_REUSES: usize = 64;
const MAX_KINDS: usize = 32;
