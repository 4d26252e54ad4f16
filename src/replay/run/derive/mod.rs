//! What the application must be told, derived from a trace by the tables of the bridge.
//!
//! ```text
//!   trace ──▶ Word ──▶ Pair    two, by `sip_outcomes`            ──┐
//!                      Group   with a focus, by `group_outcomes`   ├──▶ News ──▶ Expected
//!                      Hosted  that the bridge is the focus of   ──┘
//!             Frame ─▶ Talk    what is said in each, by `delivery`
//! ```
//! `Participants` puts the documents of a focus together, and asks `roster_outcomes` what they mean.
//! All of it reads the recording only, never what the bridge says in a run: what one table and the
//! recorded words of the network make of each other is what the bridge has to come to as well.

mod beside;
mod content;
mod group;
mod hosted;
mod news;
mod pair;
mod participants;
mod talk;
mod word;

use std::collections::{BTreeMap, BTreeSet};

use super::super::book::{Book, Step};
use super::super::head::Head;
use super::super::raw::Raw;
use super::super::said::{Line, Msrp, Sip};
use super::expected::{Expected, Wish};
use super::notice::Notice;
use super::script::{Cause, Cue, Said, Script};
use crate::trace::Moment;
pub(super) use beside::Beside;
use content::Content;
use group::Group;
use hosted::Hosted;
use news::News;
use pair::Pair;
use talk::{Frame, Talk};
use word::Word;

/// Derives what must be told, by session.
///
/// # Errors
/// It is more than is held: a trace may name thousands in each of its documents.
pub(super) fn derive(book: &Book, script: &Script) -> Result<Expected, TooMuch> {
    let mut reader = Reader {
        book,
        script,
        tales: BTreeMap::new(),
        heirs: BTreeSet::new(),
        expected: Expected::default(),
        room: MOST_HELD,
    };
    reader.expected.source = "derived from the trace".to_owned();
    let mut last = (0, Moment::default());
    for (place, cue) in script.cues.iter().enumerate() {
        let (Some(dialog), step) = (cue.dialog, &book.steps[cue.step]) else { continue };
        if step.again {
            // What comes again means nothing more.
            continue;
        }
        last = (step.packet, step.at);
        if cue.cause.is_some() {
            let (packet, at) = last;
            reader.expected.calls.push(Wish { dialog, rest: None, packet, at });
        }
        match &cue.said {
            Said::Sip(sip) => reader.sip((place, cue, dialog), sip),
            Said::Msrp(msrp) => reader.msrp((cue, dialog), msrp),
        }
        if reader.room == 0 {
            return Err(TooMuch);
        }
    }
    Ok(reader.finish(last))
}

/// More follows from a trace than is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is too long to be played: more follows from it than is held")]
pub(super) struct TooMuch;

/// How much is held of what follows from a trace, in bytes as [`News::weight`] estimates them.
const MOST_HELD: usize = 64 << 20;

/// Reads a script.
struct Reader<'a> {
    book: &'a Book,
    script: &'a Script,
    /// By the dialog in which the session began.
    tales: BTreeMap<usize, Tale>,
    /// Sessions whose INVITE may take the place of a running one, of which nothing is told then.
    heirs: BTreeSet<usize>,
    expected: Expected,
    /// How much more may follow, in bytes.
    room: usize,
}

/// A session.
enum Tale {
    Pair(Pair),
    Group(Box<Group>),
    Hosted(Hosted),
}

impl Tale {
    fn take(&mut self, word: &Word<'_>) -> Vec<News> {
        match self {
            Self::Pair(pair) => pair.take(word),
            Self::Group(group) => group.take(word),
            Self::Hosted(hosted) => hosted.take(word),
        }
    }

    fn hears(&mut self, frame: &Frame<'_>) -> Vec<News> {
        match self {
            Self::Pair(pair) => pair.talk.hears(frame),
            Self::Group(group) => group.hears(frame),
            Self::Hosted(hosted) => hosted.talk.hears(frame),
        }
    }

    fn talk(&mut self) -> &mut Talk {
        match self {
            Self::Pair(pair) => &mut pair.talk,
            Self::Group(group) => &mut group.talk,
            Self::Hosted(hosted) => &mut hosted.talk,
        }
    }

    fn own(&self) -> &str {
        match self {
            Self::Pair(pair) => &pair.own,
            Self::Group(group) => &group.own,
            Self::Hosted(hosted) => &hosted.own,
        }
    }

    /// Tells whether the session is over: what is said in it then is told to nobody.
    fn is_over(&self) -> bool {
        match self {
            Self::Pair(pair) => pair.is_over(),
            Self::Group(group) => group.is_over(),
            Self::Hosted(hosted) => hosted.is_over(),
        }
    }
}

impl Reader<'_> {
    fn sip(&mut self, (place, cue, dialog): (usize, &Cue, usize), sip: &Sip) {
        let step = &self.book.steps[cue.step];
        let word = Word {
            sip,
            head: Head::read(&step.bytes),
            ours: cue.ours,
            cause: cue.cause.as_ref(),
            dialog,
            outcome: self.book.dialogs[dialog].answer.as_ref().map(|(code, ..)| *code),
            at: (step.packet, step.at),
            script: self.script,
            place,
        };
        if word.ours && word.asks("MESSAGE") {
            return self.reported(&word);
        }
        let Some(session) = self.session_of(&word) else { return };
        if let Some(Cause::Extend { session, .. }) = word.cause
            && let Some(Tale::Pair(pair)) = self.tales.get_mut(&self.script.session_of(*session))
        {
            pair.becomes_group = true;
        }
        let is_begun = self.tales.contains_key(&session);
        let begins = word.is_first() && matches!(sip.method(), "INVITE" | "MESSAGE");
        if !is_begun && begins {
            let tale = self.begin(session, &word);
            if matches!(tale, Tale::Pair(_)) && self.takes_over(&word) {
                self.heirs.insert(session);
            }
            self.tales.insert(session, tale);
        }
        let Some(tale) = self.tales.get_mut(&session) else { return };
        let told = tale.take(&word);
        self.push(session, told, word.at);
    }

    /// Finds the session that a message is of; that of a subscription is that of its focus.
    fn session_of(&self, word: &Word<'_>) -> Option<usize> {
        if word.sip.method() != "SUBSCRIBE" && word.sip.method() != "NOTIFY" {
            return Some(self.script.session_of(word.dialog));
        }
        let own = self.script.session_of(word.dialog);
        if self.tales.contains_key(&own) {
            return Some(own);
        }
        let asked = self.script.cues.iter().filter(|cue| cue.dialog == Some(word.dialog));
        let mut uris = asked.filter_map(|cue| match &cue.said {
            Said::Sip(sip) if cue.kind == "SIP SUBSCRIBE" && !cue.ours => match &sip.line {
                Some(Line::Request(_, uri)) => Some([uri.clone(), sip.to.address.clone()]),
                Some(Line::Answer(..)) | None => None,
            },
            Said::Sip(_) | Said::Msrp(_) => None,
        });
        let uris = uris.next()?;
        let is_of = |tale: &Tale| match tale {
            Tale::Group(group) => uris.iter().any(|uri| group.is_focus(uri)),
            Tale::Pair(_) | Tale::Hosted(_) => false,
        };
        // A focus that has had a group before has the last one now.
        self.tales.iter().rev().find(|(_, tale)| is_of(tale)).map(|(session, _)| *session)
    }

    fn begin(&self, session: usize, word: &Word<'_>) -> Tale {
        if self.script.hosting.first_of(session).is_some() {
            Tale::Hosted(Hosted::new(word))
        } else if is_group(self.book, session) {
            Tale::Group(Box::new(Group::new(word)))
        } else {
            Tale::Pair(Pair::new(word))
        }
    }

    /// Tells whether an INVITE may be one for a session that runs already (RFC 3891), lost to the
    /// network meanwhile.
    fn takes_over(&self, word: &Word<'_>) -> bool {
        let leg = word.sip.leg.as_ref();
        let is_known =
            |session: &usize| leg.is_some() && self.book.dialogs[*session].leg.as_ref() == leg;
        let mut running = self.tales.iter().filter(|(_, tale)| !tale.is_over());
        word.ours
            && (word.head.field("Replaces").is_some()
                || running.any(|(session, _)| is_known(session)))
    }

    /// Takes a report that comes outside of any session: it is told in that of its message.
    fn reported(&mut self, word: &Word<'_>) {
        let body = bytes::Bytes::copy_from_slice(word.head.body);
        let Content::Reports(reports) = Content::read(&word.sip.content_type, body) else { return };
        for (id, news) in reports {
            let found = self
                .tales
                .iter_mut()
                .find_map(|(session, tale)| tale.talk().has_sent(&id).then_some((*session, tale)));
            let Some((session, tale)) = found else { continue };
            let is_over = tale.is_over();
            let told = tale.talk().fate(&id, &crate::bridge::delivery::News::Imdn(news));
            let told = told.into_iter().map(|news| if is_over { news.perhaps() } else { news });
            let told = told.collect();
            self.push(session, told, word.at);
        }
    }

    fn msrp(&mut self, (cue, dialog): (&Cue, usize), msrp: &Msrp) {
        let session = self.script.session_of(dialog);
        let step = &self.book.steps[cue.step];
        let is_refused = self.is_refused(cue, dialog, msrp);
        let Some(tale) = self.tales.get_mut(&session) else { return };
        let frame = Frame { dialog, msrp, bytes: &step.bytes, is_refused };
        if !cue.ours {
            if msrp.line.method() == Some("SEND") {
                tale.talk().sends(&frame, cue.cause.as_ref());
            }
            return;
        }
        let is_over = tale.is_over();
        let told = tale.hears(&frame);
        // Nothing is told behind the end but what became of messages, and that may be too late.
        let is_fate = |news: &News| {
            news.any_of.iter().all(|(name, _)| name == "messageDeliveryStatusNotification")
        };
        let told = match is_over {
            true => told.into_iter().filter(is_fate).map(News::perhaps).collect(),
            false => told,
        };
        self.push(session, told, (step.packet, step.at));
    }

    /// Tells whether the recorded bridge refuses a frame.
    fn is_refused(&self, cue: &Cue, dialog: usize, msrp: &Msrp) -> bool {
        let mut cues = self.script.cues.iter().filter(|it| !it.ours && it.dialog == Some(dialog));
        cue.ours
            && cues.any(|it| match &it.said {
                Said::Msrp(answer) => match answer.line {
                    Line::Answer(code, _) => code != 200 && answer.transaction == msrp.transaction,
                    Line::Request(..) => false,
                },
                Said::Sip(_) => false,
            })
    }

    fn push(&mut self, session: usize, told: Vec<News>, at: (u64, Moment)) {
        let own = self.tales.get(&session).map(|tale| tale.own().to_owned());
        let is_heir = self.heirs.contains(&session);
        for news in &told {
            self.room = self.room.saturating_sub(news.weight());
        }
        self.expected.notices.extend(told.into_iter().map(|news| {
            let (packet, at) = news.since.unwrap_or(at);
            Notice {
                dialog: session,
                packet,
                at,
                any_of: news.any_of,
                optional: news.optional || is_heir,
                unordered: news.unordered,
                within: None,
                whose: own.clone(),
            }
        }));
    }

    fn finish(mut self, last: (u64, Moment)) -> Expected {
        let mut unjudged = 0;
        for session in self.tales.keys().copied().collect::<Vec<_>>() {
            let told = match self.tales.get_mut(&session) {
                Some(Tale::Pair(pair)) => {
                    self.expected.beside.append(&mut pair.beside);
                    pair.finish()
                }
                Some(Tale::Group(group)) => {
                    self.expected.beside.append(&mut group.beside);
                    unjudged += group.unjudged;
                    group.finish()
                }
                Some(Tale::Hosted(_)) | None => Vec::new(),
            };
            self.push(session, told, last);
        }
        if !self.heirs.is_empty() {
            let count = self.heirs.len();
            let line =
                format!("{count} INVITE that may be for a running session: what follows is open");
            self.expected.left_out.push(line);
        }
        if unjudged > 0 {
            let line =
                format!("{unjudged} NOTIFY: a document before is missing, so they are not judged");
            self.expected.left_out.push(line);
        }
        self.expected
    }
}

/// Tells whether a session is that of a group: whoever begins it says so.
fn is_group(book: &Book, session: usize) -> bool {
    let says_so = |step: &&Step| {
        let has = |words: &[u8]| memchr::memmem::find(&step.bytes, words).is_some();
        let contact = Raw::read(&step.bytes).text(("Contact", "m")).unwrap_or_default();
        contact.contains("isfocus") || has(b"<resource-lists")
    };
    book.steps.iter().filter(|step| step.dialog == Some(session)).any(|step| says_so(&step))
}

#[cfg(test)]
mod tests;
