//! What a run has learned: which identifiers stand for those of the recording.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use bytes::Bytes;

use super::super::head::address;
use super::super::raw::Raw;
use super::credentials::Pledges;
use super::kinds::{Kept, Rewriting};
use super::routes::Routes;
use super::{CALL_ID, CONTACT, CONVERSATIONS, CSEQ, FROM, TO, imdn_id, path, session_id, tag};

/// What this run has in place of what was recorded.
#[derive(Debug, Default)]
pub(in super::super) struct Names {
    /// Draws identifiers of one run apart from those of another.
    run: String,
    /// What is left as it was recorded.
    pub(in super::super) kept: Kept,
    /// Whether conversations have other ids than those recorded.
    fresh_ids: bool,
    /// Where we take SIP and MSRP.
    pub(in super::super) sip: Option<SocketAddr>,
    pub(in super::super) msrp: Option<SocketAddr>,
    /// Where the bridge takes SIP.
    pub(in super::super) bridge: Option<SocketAddr>,
    calls: BTreeMap<String, String>,
    /// The tags of the bridge, by recorded Call-ID and tag.
    tags: BTreeMap<(String, String), String>,
    /// The Contacts of the bridge.
    contacts: BTreeMap<String, String>,
    /// Of these, those of groups that the bridge hosts.
    focuses: BTreeMap<String, String>,
    /// The MSRP paths of the bridge, by recorded session id.
    paths: BTreeMap<String, String>,
    /// Message ids of the bridge, of MSRP and of IMDN.
    ids: BTreeMap<String, String>,
    /// The sizes of messages of the bridge, by recorded Message-ID: recorded, and now.
    sizes: BTreeMap<String, (u64, u64)>,
    /// What the bridge counts, by recorded Call-ID and number: its requests, and its reliable
    /// answers (RFC 3262).
    counts: BTreeMap<(String, Count, String), String>,
    /// The ids of conversations that the bridge has drawn.
    conversations: BTreeMap<String, String>,
    pub(super) routes: Routes,
    /// What the bridge has asked of us, and who we are to it.
    pub(in super::super) pledges: Pledges,
}

/// What the bridge counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Count {
    Request,
    ReliableAnswer,
}

impl Names {
    /// Begins with what is known before anything was said: where we take SIP and MSRP, and where
    /// the bridge takes SIP. `run` draws our identifiers apart from those of another run.
    pub(in super::super) fn new(
        run: String,
        (sip, msrp): (SocketAddr, SocketAddr),
        bridge: Option<SocketAddr>,
    ) -> Self {
        let pledges = Pledges::new(run.clone());
        Self { run, sip: Some(sip), msrp: Some(msrp), bridge, pledges, ..Self::default() }
    }

    /// Leaves something as it was recorded, and gives conversations ids of their own.
    pub(in super::super) fn with(self, kept: Kept, fresh_ids: bool) -> Self {
        Self { kept, fresh_ids, ..self }
    }

    /// Gives the Call-ID that stands for a recorded one; one of ours is drawn now.
    pub(in super::super) fn call(&mut self, recorded: &str) -> String {
        let Self { run, calls, kept, .. } = self;
        let drawn = || match kept.has(Rewriting::CallId) {
            true => recorded.to_owned(),
            false => format!("{run}-{recorded}"),
        };
        calls.entry(recorded.to_owned()).or_insert_with(drawn).clone()
    }

    /// Gives the Call-ID that stands for a recorded one, if any does yet.
    pub(in super::super) fn known_call(&self, recorded: &str) -> Option<&str> {
        self.calls.get(recorded).map(String::as_str)
    }

    /// Tells whether a Call-ID of this run stands for a recorded one.
    pub(in super::super) fn is_call(&self, live: &str) -> bool {
        self.calls.values().any(|call| call == live)
    }

    /// Gives the branch of ours that stands for a recorded one.
    pub(in super::super) fn branch(&self, recorded: &str) -> String {
        match self.kept.has(Rewriting::Via) {
            true => recorded.to_owned(),
            false => format!("{recorded}.{}", self.run),
        }
    }

    /// Gives the path of the bridge that stands for a recorded one.
    pub(super) fn path(&self, recorded: &str) -> Option<&str> {
        self.path_of(session_id(recorded)?)
    }

    /// Gives the session id of the bridge that stands for a recorded one.
    pub(in super::super) fn session(&self, recorded: &str) -> Option<&str> {
        session_id(self.path_of(recorded)?)
    }

    /// Tells whether a session id of this run stands for a recorded one.
    pub(in super::super) fn is_session(&self, live: &str) -> bool {
        self.paths.values().any(|path| session_id(path) == Some(live))
    }

    /// Gives the path of the bridge for the session id of a recorded one.
    pub(in super::super) fn path_of(&self, session: &str) -> Option<&str> {
        self.paths.get(session).map(String::as_str)
    }

    /// Gives the tag of the bridge that stands for a recorded one.
    pub(super) fn tag(&self, call: &str, recorded: &str) -> Option<&str> {
        self.tags.get(&(call.to_owned(), recorded.to_owned())).map(String::as_str)
    }

    /// Gives the Contact of the bridge that stands for a recorded one.
    pub(super) fn contact(&self, recorded: &str) -> Option<&str> {
        self.contacts.get(recorded).map(String::as_str)
    }

    /// Gives the addresses of groups that the bridge hosts, as recorded and as they are now.
    pub(super) fn focuses(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.focuses.iter().filter(|(old, _)| !old.is_empty());
        all.map(|(old, new)| (old.as_str(), new.as_str()))
    }

    /// Puts the addresses of groups of this run into a recorded message of the bridge, to set one of
    /// this run against it.
    pub(in super::super) fn renamed(&self, recorded: &Bytes) -> Bytes {
        let mut bytes = recorded.clone();
        for (old, new) in self.focuses() {
            let mut renamed = Vec::new();
            let mut at = 0;
            for found in memchr::memmem::find_iter(&bytes, old) {
                renamed.extend_from_slice(&bytes[at..found]);
                renamed.extend_from_slice(new.as_bytes());
                at = found + old.len();
            }
            if at > 0 {
                renamed.extend_from_slice(&bytes[at..]);
                bytes = renamed.into();
            }
        }
        bytes
    }

    /// Gives the id of the message of the bridge that stands for a recorded one.
    pub(super) fn id(&self, recorded: &str) -> Option<&str> {
        self.ids.get(recorded).map(String::as_str)
    }

    /// Gives the size of a message of the bridge: as it was recorded, and now.
    pub(super) fn size(&self, id: &str) -> Option<(u64, u64)> {
        self.sizes.get(id).copied()
    }

    /// Gives the number of this run that stands for a recorded one.
    pub(super) fn count(&self, call: &str, count: Count, recorded: &str) -> Option<&str> {
        let key = (call.to_owned(), count, recorded.to_owned());
        self.counts.get(&key).map(String::as_str)
    }

    /// Gives the id of a conversation of this run, in the form of the recorded one.
    pub(super) fn conversation(&self, recorded: &str) -> Option<String> {
        if !self.fresh_ids {
            return None;
        }
        let drawn = |(place, c): (usize, char)| match c.is_ascii_hexdigit() {
            true => {
                let mut hasher = DefaultHasher::new();
                (&self.run, recorded, place).hash(&mut hasher);
                char::from_digit((hasher.finish() & 15) as u32, 16).unwrap_or(c)
            }
            false => c,
        };
        let learned = self.conversations.get(recorded).cloned();
        Some(learned.unwrap_or_else(|| recorded.chars().enumerate().map(drawn).collect()))
    }

    /// Learns from a SIP message of the bridge what stands for the recorded one.
    pub(in super::super) fn learn_sip(&mut self, recorded: &[u8], live: &[u8]) {
        let (recorded, live) = (Raw::read(recorded), Raw::read(live));
        let (Some(call), Some(now)) = (of(&recorded, CALL_ID), of(&live, CALL_ID)) else { return };
        self.calls.insert(call.clone(), now);
        for field in [FROM, TO] {
            let tag = |raw: &Raw<'_>| of(raw, field).and_then(|value| tag(&value));
            if let (Some(old), Some(new)) = (tag(&recorded), tag(&live)) {
                self.tags.insert((call.clone(), old), new);
            }
        }
        let contact = |raw: &Raw<'_>| of(raw, CONTACT).map(|value| address(&value).to_owned());
        if let (Some(old), Some(new)) = (contact(&recorded), contact(&live)) {
            if of(&live, CONTACT).is_some_and(|contact| contact.contains(";isfocus")) {
                self.focuses.insert(old.clone(), new.clone());
            }
            self.contacts.insert(old, new);
        }
        if let (Some(old), Some(new)) = (path(recorded.body()), path(live.body()))
            && let Some(id) = session_id(&old)
        {
            self.paths.insert(id.to_owned(), new);
        }
        self.learn_counts(&call, &recorded, &live);
        for field in CONVERSATIONS {
            if let (Some(old), Some(new)) = (of(&recorded, field), of(&live, field)) {
                self.conversations.insert(old, new);
            }
        }
        self.routes.learn(&call, &live);
        self.pledges.learn(&live);
        self.learn_imdn(recorded.body(), live.body());
    }

    fn learn_counts(&mut self, call: &str, recorded: &Raw<'_>, live: &Raw<'_>) {
        let is_answer = live.of(&(0..live.line_end())).starts_with("SIP/2.0 ");
        let (count, field) = match is_answer {
            true => (Count::ReliableAnswer, ("RSeq", "RSeq")),
            false => (Count::Request, CSEQ),
        };
        let number = |raw: &Raw<'_>| {
            of(raw, field).and_then(|value| value.split_whitespace().next().map(str::to_owned))
        };
        if let (Some(old), Some(new)) = (number(recorded), number(live)) {
            self.counts.insert((call.to_owned(), count, old), new);
        }
    }

    /// Learns from an MSRP request of the bridge what stands for the recorded one.
    pub(in super::super) fn learn_msrp(&mut self, recorded: &[u8], live: &[u8]) {
        let (recorded, live) = (Raw::read(recorded), Raw::read(live));
        let id = ("Message-ID", "Message-ID");
        if let (Some(old), Some(new)) = (of(&recorded, id), of(&live, id)) {
            let total = |raw: &Raw<'_>| {
                of(raw, ("Byte-Range", "Byte-Range"))?.split_once('/')?.1.parse().ok()
            };
            if let (Some(was), Some(is)) = (total(&recorded), total(&live)) {
                self.sizes.insert(old.clone(), (was, is));
            }
            self.ids.insert(old, new);
        }
        self.learn_imdn(recorded.body(), live.body());
    }

    /// Learns what a message of the bridge is reported on by.
    pub(in super::super) fn learn_imdn(&mut self, recorded: &[u8], live: &[u8]) {
        if let (Some(old), Some(new)) = (imdn_id(recorded), imdn_id(live)) {
            self.ids.insert(old, new);
        }
    }
}

fn of(raw: &Raw<'_>, field: (&str, &str)) -> Option<String> {
    raw.text(field).map(Cow::into_owned)
}
