//! A recorded SIP message in the words of the tables.

use bytes::Bytes;

use super::super::super::head::{Head, address};
use super::super::super::said::{Line, Sip};
use super::super::script::{Cause, Cue, Said, Script, user};
use crate::address::MAX_ADDRESS;
use crate::bridge::description;
use crate::payload::{MediaType, multipart};
use crate::sdp::{self, Sdp, Unusable};
use crate::sip::{NameAddr, Reason, split_outside};
use crate::trace::Moment;

/// A SIP message of a script.
pub(super) struct Word<'a> {
    pub(super) sip: &'a Sip,
    pub(super) head: Head<'a>,
    /// Whether the network says it; else the bridge does.
    pub(super) ours: bool,
    /// What the application does so that the bridge says it.
    pub(super) cause: Option<&'a Cause>,
    pub(super) dialog: usize,
    /// The final answer that the recorded bridge gives to a first request of the network.
    pub(super) outcome: Option<u16>,
    /// Where it stands in the trace.
    pub(super) at: (u64, Moment),
    pub(super) script: &'a Script,
    /// Its place in the script.
    pub(super) place: usize,
}

/// What a description makes of the stream of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// A chat can run on it.
    Usable,
    /// Its port is 0.
    Removed,
    /// No chat can run on it.
    Useless,
    /// There is no description.
    Unsaid,
}

impl Word<'_> {
    /// Tells whether the recorded bridge invites once more in the same session.
    pub(super) fn is_followed(&self) -> bool {
        let session = self.script.session_of(self.dialog);
        let is_it = |cue: &Cue, sip: &Sip| {
            let of = cue.dialog.map(|dialog| self.script.session_of(dialog));
            cue.kind == "SIP INVITE" && of == Some(session) && sip.to.tag.is_empty()
        };
        self.is_said_later(is_it)
    }

    /// Tells whether the recorded bridge invites once more in the same dialog.
    pub(super) fn is_followed_in_dialog(&self) -> bool {
        let is_it = |cue: &Cue, sip: &Sip| {
            cue.kind == "SIP INVITE" && cue.dialog == Some(self.dialog) && sip.to.tag.is_empty()
        };
        self.is_said_later(is_it)
    }

    /// Tells whether the recorded bridge says something of that kind later.
    pub(super) fn is_said_later(&self, is_it: impl Fn(&Cue, &Sip) -> bool) -> bool {
        let later = self.script.cues.iter().skip(self.place + 1).filter(|cue| !cue.ours);
        let mut later = later.filter_map(|cue| match &cue.said {
            Said::Sip(sip) => Some((cue, sip)),
            Said::Msrp(_) => None,
        });
        later.any(|(cue, sip)| is_it(cue, sip))
    }

    /// The code of an answer.
    pub(super) fn code(&self) -> Option<u16> {
        match &self.sip.line {
            Some(Line::Answer(code, _)) => Some(*code),
            Some(Line::Request(..)) | None => None,
        }
    }

    /// Tells whether it is a request that begins something.
    pub(super) fn is_first(&self) -> bool {
        self.code().is_none() && self.sip.to.tag.is_empty()
    }

    /// Tells whether it is a request of that method.
    pub(super) fn asks(&self, method: &str) -> bool {
        self.code().is_none() && self.sip.method() == method
    }

    /// The final code of an answer to that method.
    pub(super) fn answers(&self, method: &str) -> Option<u16> {
        self.code().filter(|code| *code >= 200 && self.sip.method() == method)
    }

    pub(super) fn reasons(&self) -> Vec<Reason> {
        self.sip.reason.as_deref().map(Reason::parse).unwrap_or_default()
    }

    /// Describes an answer as the tables take it.
    pub(super) fn with_response<T>(&self, read: impl Fn(&description::Response<'_>) -> T) -> T {
        let (warning, retry_after) = (self.head.field("Warning"), self.head.field("Retry-After"));
        let phrase = match &self.sip.line {
            Some(Line::Answer(_, phrase)) => phrase.as_str(),
            Some(Line::Request(..)) | None => "",
        };
        read(&description::Response {
            code: self.code().unwrap_or_default(),
            phrase,
            warning: warning.as_deref(),
            retry_after: retry_after.as_deref(),
        })
    }

    /// The users that a field names, in one line or several.
    pub(super) fn named(&self, field: &str) -> Vec<String> {
        let fields = self.head.fields().filter(|(name, _)| name.eq_ignore_ascii_case(field));
        let all = fields.flat_map(|(_, value)| listed(&value));
        all.filter(|user| user.len() <= MAX_ADDRESS).take(MOST_NAMED).collect()
    }

    /// Whoever may have sent a request: as the network asserts it, or as it says itself.
    pub(super) fn senders(&self) -> Vec<String> {
        let mut senders = self.named("P-Asserted-Identity");
        // One network asserts a number and a name of the same user.
        senders.push(user(&self.sip.from.address));
        let all = senders.clone();
        let mut at = 0;
        senders.retain(|sender| {
            at += 1;
            !all[..at - 1].contains(sender)
        });
        senders
    }

    /// The subject, where it is plain.
    pub(super) fn subject(&self) -> Option<String> {
        let subject = self.head.field("Subject").or_else(|| self.head.field("s"))?;
        (!subject.contains(['%', '\\'])).then(|| subject.trim().to_owned())
    }

    /// What the description in it says.
    pub(super) fn stream(&self) -> Stream {
        let Some(description) = self.part(sdp::CONTENT_TYPE) else { return Stream::Unsaid };
        match Sdp::parse(&description).map(|sdp| sdp.usable()) {
            Ok(Ok(_)) => Stream::Usable,
            Ok(Err(Unusable::Refused)) => Stream::Removed,
            Ok(Err(_)) | Err(_) => Stream::Useless,
        }
    }

    /// The body, or its first part of a type.
    pub(super) fn part(&self, wanted: &str) -> Option<Bytes> {
        let body = Bytes::copy_from_slice(self.head.body);
        let kind = MediaType::parse(&self.sip.content_type)?;
        if kind.essence() == wanted {
            return Some(body);
        }
        if kind.family() != "multipart" {
            return None;
        }
        let leaves = multipart::leaves(&self.sip.content_type, body).unwrap_or_default();
        let of =
            |part: &multipart::Part| part.media_type().is_some_and(|it| it.essence() == wanted);
        leaves.into_iter().find(of).map(|part| part.body)
    }
}

/// The most users of a field that are looked at: one network asserts two names of a user, few list
/// more who have referred somebody.
const MOST_NAMED: usize = 8;

/// Reads the users of a list: a comma within a name or an address parts nothing.
fn listed(value: &str) -> Vec<String> {
    let named = |one: &str| match NameAddr::parse(one) {
        Ok(named) => user(&named.uri.to_string()),
        Err(_) => user(address(one)),
    };
    split_outside(value, b',').filter(|one| !one.is_empty()).map(named).collect()
}
