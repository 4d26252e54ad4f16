//! The script of a run: every recorded message, whose it is, and which call of the application
//! causes it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::book::{Book, Step};
use super::super::head::{Head, address};
use super::super::raw::Raw;
use super::super::rewrite::line_after;
use super::super::said::{Msrp, Sip};
use super::hosting::{Hosting, Invitation};
use super::sides::Sides;
use crate::address::Address;
use crate::payload::{Composing, Cpim, Imdn, imdn};
use crate::trace::{End, Moment, Protocol};

/// One recorded message in its turn.
#[derive(Debug)]
pub(super) struct Cue {
    /// Its place in the book.
    pub(super) step: usize,
    pub(super) said: Said,
    /// Whether we send it; else the bridge does.
    pub(super) ours: bool,
    /// Whether a run is as expected without it.
    pub(super) optional: bool,
    /// What the application does so that the bridge sends it.
    pub(super) cause: Option<Cause>,
    pub(super) at: Moment,
    pub(super) dialog: Option<usize>,
    /// What it is, in words that two messages of one kind share.
    pub(super) kind: String,
}

/// A message, understood.
#[derive(Debug, Clone)]
pub(super) enum Said {
    Sip(Box<Sip>),
    Msrp(Box<Msrp>),
}

/// What an application does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// Invites somebody.
    Invite { user: String, whom: String, subject: String },
    /// Opens a group.
    Group { user: String, whom: Vec<String>, subject: String },
    /// Makes a group of the session of another dialog.
    Extend { session: usize, whom: Vec<String> },
    /// Joins the group of another dialog once more.
    Rejoin { user: String, session: usize },
    /// Cancels, ends, leaves or declines.
    Leave,
    /// Accepts an invitation.
    Accept,
    /// Adds somebody to a group.
    Add { whom: String },
    /// Removes somebody from a group.
    Remove { whom: String },
    /// Sends a text.
    Say { text: String, reports: Vec<&'static str> },
    /// Tells that it is composing.
    Compose { state: String, refresh: Option<u32> },
    /// Reports on the message that was received with that id.
    Report { message: String, status: &'static str },
    /// Sends a text outside of any session, which this API has no call for.
    Page { user: String, whom: String, text: String, reports: Vec<&'static str> },
}

/// The script, and who plays in it.
pub(super) struct Script {
    pub(super) cues: Vec<Cue>,
    /// The users of the bridge.
    pub(super) users: BTreeSet<String>,
    /// Messages that neither come from the bridge nor go there, by their ends: nobody plays them.
    pub(super) aside: BTreeMap<(End, End), usize>,
    /// Messages by which a device keeps itself known: no application causes them.
    pub(super) upkeep: usize,
    /// Whether there is MSRP in it: a log of SIP alone says nothing about it.
    pub(super) has_msrp: bool,
    pub(super) hosting: Hosting,
    /// The dialog whose session goes on in another dialog.
    goes_on: BTreeMap<usize, usize>,
}

impl Script {
    pub(super) fn of(book: &Book, sides: &Sides) -> Self {
        let mut script = Self {
            cues: Vec::new(),
            users: BTreeSet::new(),
            aside: BTreeMap::new(),
            upkeep: 0,
            has_msrp: false,
            hosting: Hosting::default(),
            goes_on: BTreeMap::new(),
        };
        let mut upkeep: BTreeSet<String> = BTreeSet::new();
        let mut order: Vec<usize> = (0..book.steps.len()).collect();
        order.sort_by_key(|index| book.steps[*index].at);
        for index in order {
            let step = &book.steps[index];
            let Some(bridges) = sides.sends(book, step) else {
                if step.protocol != Protocol::Http {
                    *script.aside.entry((step.from, step.to)).or_default() += 1;
                }
                continue;
            };
            if bridges && step.again {
                // Whether it says something once more is its own matter.
                continue;
            }
            let said = understand(step.protocol, &step.bytes);
            script.has_msrp |= step.protocol == Protocol::Msrp;
            if let Said::Sip(sip) = &said {
                if (bridges && is_upkeep(sip)) || upkeep.contains(&sip.call_id) {
                    upkeep.insert(sip.call_id.clone());
                    script.upkeep += 1;
                    continue;
                }
                script.note_user(sip, bridges == (step.about.is_none()));
            }
            let cause = if bridges { script.cause(book, step, &said) } else { None };
            let kind = kind(&said, &step.bytes);
            script.cues.push(Cue {
                step: index,
                optional: bridges && is_provisional(step),
                said,
                ours: !bridges,
                cause,
                at: step.at,
                dialog: step.dialog,
                kind,
            });
        }
        script
    }

    /// Says of each pair of ends how many messages of theirs are not played.
    pub(super) fn unplayed(&self) -> Vec<String> {
        let told = |((from, to), count): (&(End, End), &usize)| {
            let ending = if *count == 1 { "" } else { "s" };
            format!("{count} message{ending} of {from} to {to}: neither is the bridge")
        };
        self.aside.iter().take(MAX_UNPLAYED).map(told).collect()
    }

    /// Gives the dialog that the session of a dialog is known by: the one in which it began.
    pub(super) fn session_of(&self, dialog: usize) -> usize {
        let first = self.hosting.first_of(dialog).unwrap_or(dialog);
        self.goes_on.get(&first).copied().unwrap_or(first)
    }

    /// Notes whose request it is: of whom the bridge writes for, or whom it is for.
    fn note_user(&mut self, sip: &Sip, is_from: bool) {
        if !matches!(sip.method(), "INVITE" | "MESSAGE" | "SUBSCRIBE") {
            return;
        }
        let party = if is_from { &sip.from } else { &sip.to };
        if self.hosting.is_focus(&party.address) {
            return;
        }
        if self.users.len() < MAX_USERS {
            self.users.insert(user(&party.address));
        }
    }

    /// Finds what the application does before the bridge says that.
    fn cause(&mut self, book: &Book, step: &Step, said: &Said) -> Option<Cause> {
        match said {
            Said::Sip(sip) if step.about.is_some() => self.cause_of_answer(sip, step),
            Said::Sip(sip) => self.cause_of_request(book, sip, step),
            Said::Msrp(msrp) if msrp.line.method() == Some("SEND") => {
                let cause = self.cause_of_content(step, &msrp.content_type)?;
                let body = Raw::read(&step.bytes).body();
                let from = line_after(body, b"From:").filter(|_| media(&msrp.content_type) == CPIM);
                let is_own = |dialog| self.hosting.says(dialog, from.as_deref(), body);
                step.dialog.is_none_or(is_own).then_some(cause)
            }
            Said::Msrp(_) => None,
        }
    }

    fn cause_of_request(&mut self, book: &Book, sip: &Sip, step: &Step) -> Option<Cause> {
        let is_first = sip.to.tag.is_empty();
        let begun = self.before(step.dialog).any(|cue| cue.kind == "SIP INVITE" && !cue.ours);
        match sip.method() {
            "INVITE" if is_first && !begun => self.invitation(book, sip, step),
            "CANCEL" => Some(Cause::Leave),
            "BYE"
                if let Some(dialog) =
                    step.dialog.filter(|it| self.hosting.first_of(*it).is_some()) =>
            {
                self.hosting.part(book, dialog, self.is_left(step.dialog))
            }
            "BYE" if !self.is_left(step.dialog) => Some(Cause::Leave),
            "REFER" => {
                let head = Head::read(&step.bytes);
                let refer = head.field("Refer-To").or_else(|| head.field("r"))?;
                let uri = address(&refer);
                let whom = user(uri);
                match uri.to_ascii_uppercase().contains("METHOD=BYE") {
                    true => Some(Cause::Remove { whom }),
                    false => Some(Cause::Add { whom }),
                }
            }
            "MESSAGE" => {
                let content = self.content(&step.bytes, &sip.content_type)?;
                let Cause::Say { text, reports } = content else { return Some(content) };
                let (user, whom) = (user(&sip.from.address), user(&sip.to.address));
                Some(Cause::Page { user, whom, text, reports })
            }
            _ => None,
        }
    }

    /// Tells whether a call of the application ends the dialog already.
    fn is_left(&self, dialog: Option<usize>) -> bool {
        let session = dialog.map(|dialog| self.session_of(dialog));
        let is_of = |cue: &&Cue| cue.dialog.map(|dialog| self.session_of(dialog)) == session;
        let leaves = |cue: &Cue| cue.cause == Some(Cause::Leave);
        let in_group = dialog.is_some_and(|dialog| self.hosting.first_of(dialog).is_some());
        (in_group && self.cues.iter().filter(is_of).any(leaves))
            || self.before(dialog).any(leaves)
            || self.cues.iter().any(|cue| match &cue.cause {
                Some(Cause::Extend { session, .. }) => Some(*session) == dialog,
                Some(_) | None => false,
            })
    }

    fn invitation(&mut self, book: &Book, sip: &Sip, step: &Step) -> Option<Cause> {
        let head = Head::read(&step.bytes);
        let own = user(&sip.from.address);
        let subject = head.field("Subject").or_else(|| head.field("s"));
        let subject = subject.map_or("Chat".to_owned(), std::borrow::Cow::into_owned);
        if let Some(session) = self.focus_of(book, &sip.to.address) {
            let session = self.session_of(session);
            self.goes_on.extend(step.dialog.map(|dialog| (dialog, session)));
            return Some(Cause::Rejoin { user: own, session });
        }
        let whom = recipients(head.body);
        let contact = Raw::read(&step.bytes).text(("Contact", "m")).unwrap_or_default();
        if let Some(dialog) = step.dialog.filter(|_| contact.contains(";isfocus")) {
            let (contact, others) = (&*contact, whom);
            let whom = user(&sip.to.address);
            let invitation = Invitation { dialog, contact, user: own, whom, others, subject };
            return self.hosting.invite(invitation);
        }
        if whom.is_empty() {
            return Some(Cause::Invite { user: own, whom: user(&sip.to.address), subject });
        }
        // The factory makes another session of one that its focus knows no more (CPM B.2.3.4.2).
        if let Some(session) = self.forgotten(&own) {
            self.goes_on.extend(step.dialog.map(|dialog| (dialog, session)));
            return None;
        }
        // A group with the other side of a running chat in it is that chat, extended.
        let running = book.dialogs.iter().enumerate().find(|(index, dialog)| {
            Some(*index) != step.dialog
                && dialog.method == "INVITE"
                && dialog.answer.as_ref().is_some_and(|(code, _, at)| *code < 300 && *at < step.at)
                && dialog.ended.as_ref().is_none_or(|ended| ended.at > step.at)
                && [&dialog.callee, &dialog.caller].iter().any(|it| whom.contains(&user(it)))
        });
        Some(match running {
            Some((session, dialog)) => {
                let whom = whom.into_iter();
                let there = [user(&dialog.callee), user(&dialog.caller)];
                Cause::Extend { session, whom: whom.filter(|it| !there.contains(it)).collect() }
            }
            None => Cause::Group { user: own, whom, subject },
        })
    }

    /// Finds the session that a user has asked for last, where its focus did not know it.
    fn forgotten(&self, own: &str) -> Option<usize> {
        let last = self.cues.iter().rev().find(|cue| !cue.ours && cue.kind == "SIP INVITE")?;
        let Some(Cause::Rejoin { user, session }) = &last.cause else { return None };
        let is_unknown = self.before(last.dialog).any(|cue| cue.kind == "SIP 404 (INVITE)");
        (user == own && is_unknown).then_some(*session)
    }

    /// Finds the dialog in which a focus gave this address as its own.
    fn focus_of(&self, book: &Book, uri: &str) -> Option<usize> {
        self.cues.iter().find_map(|cue| {
            let bytes = &book.steps[cue.step].bytes;
            let contact = Raw::read(bytes).text(("Contact", "m"))?;
            (cue.ours && contact.contains("isfocus") && address(&contact) == uri)
                .then_some(cue.dialog)?
        })
    }

    fn cause_of_answer(&self, sip: &Sip, step: &Step) -> Option<Cause> {
        let code: u16 = step.label.split(' ').next()?.parse().ok()?;
        let was_asked_before = self
            .before(step.dialog)
            .any(|cue| !cue.ours && cue.kind == format!("SIP {code} (INVITE)"));
        if sip.method() != "INVITE" || was_asked_before {
            return None;
        }
        let is_cancelled = self.before(step.dialog).any(|cue| cue.ours && cue.kind == "SIP CANCEL");
        match code {
            200..300 => Some(Cause::Accept),
            480 | 486 | 600 | 603 if !is_cancelled => Some(Cause::Leave),
            _ => None,
        }
    }

    fn cause_of_content(&self, step: &Step, content_type: &str) -> Option<Cause> {
        let range = Head::read(&step.bytes).field("Byte-Range").map(std::borrow::Cow::into_owned);
        let is_first = range.is_none_or(|range| range.starts_with("1-"));
        if is_first { self.content(&step.bytes, content_type) } else { None }
    }

    /// Reads a body as what an application may say.
    fn content(&self, bytes: &[u8], content_type: &str) -> Option<Cause> {
        let body = Raw::read(bytes).body();
        if body.is_empty() {
            return None;
        }
        let kind = media(content_type);
        if kind != CPIM {
            return plain(&kind, body, Vec::new());
        }
        let cpim = Cpim::parse(bytes::Bytes::copy_from_slice(body)).ok()?;
        let mut reports = Vec::new();
        if let Some(wanted) = line_after(body, b"imdn.Disposition-Notification:") {
            for (word, report) in [("positive-delivery", "Delivered"), ("display", "Displayed")] {
                if wanted.split(',').any(|it| it.trim() == word) {
                    reports.push(report);
                }
            }
        }
        plain(&media(&cpim.content_type), &cpim.body, reports)
    }

    /// Gives the cues of a dialog that stand before.
    fn before(&self, dialog: Option<usize>) -> impl Iterator<Item = &Cue> {
        self.cues.iter().filter(move |cue| dialog.is_some() && cue.dialog == dialog)
    }
}

fn plain(kind: &str, body: &[u8], reports: Vec<&'static str>) -> Option<Cause> {
    match kind {
        "text/plain" => {
            Some(Cause::Say { text: String::from_utf8_lossy(body).into_owned(), reports })
        }
        "application/im-iscomposing+xml" => {
            let composing = Composing::parse(body).ok()?;
            let refresh = line_after(body, b"<refresh>");
            let refresh = refresh.and_then(|text| text.split('<').next()?.parse().ok());
            Some(Cause::Compose { state: composing.state.as_str().to_owned(), refresh })
        }
        imdn::CONTENT_TYPE => {
            let report = Imdn::parse(body).ok()?;
            let status = match report.report {
                imdn::Report::Delivery(_) => "Delivered",
                imdn::Report::Display(_) => "Displayed",
                imdn::Report::Processing(_) => return None,
            };
            let message = line_after(body, b"<message-id>")?;
            let message = message.split('<').next()?.trim().to_owned();
            Some(Cause::Report { message, status })
        }
        _ => None,
    }
}

fn media(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Gives the entries of a recipient list (RFC 5366).
fn recipients(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    let Some((_, list)) = text.split_once("<resource-lists") else { return Vec::new() };
    let entries = list.split("<entry").skip(1).take(MAX_USERS);
    entries
        .filter_map(|entry| Some(user(entry.split("uri=\"").nth(1)?.split('"').next()?)))
        .collect()
}

/// Gives the address by which the API knows whom a URI names.
pub(super) fn user(uri: &str) -> String {
    let bare = uri.split('?').next().unwrap_or_default();
    let bare = match bare.to_ascii_lowercase().find(";method=") {
        Some(at) => &bare[..at],
        None => bare,
    };
    match Address::parse(bare) {
        Ok(address) => match address.number() {
            Some(number) => format!("tel:{number}"),
            None => address.spelling().split(';').next().unwrap_or_default().to_owned(),
        },
        Err(_) => bare.to_owned(),
    }
}

/// Tells whether a request keeps a device known to its network: a registration, and the
/// subscription to it (RFC 3680), a publication (RFC 3903), or a question outside of a dialog
/// whether anybody is there.
fn is_upkeep(sip: &Sip) -> bool {
    let event = sip.event.as_deref().unwrap_or_default();
    match sip.method() {
        "REGISTER" | "PUBLISH" => true,
        "OPTIONS" => sip.to.tag.is_empty() && !sip.line_is_answer(),
        "SUBSCRIBE" => event.split(';').next().is_some_and(|event| event.trim() == "reg"),
        _ => false,
    }
}

fn is_provisional(step: &Step) -> bool {
    step.about.is_some() && step.label.starts_with('1')
}

pub(super) fn understand(protocol: Protocol, bytes: &[u8]) -> Said {
    let head = Head::read(bytes);
    match protocol {
        Protocol::Msrp => Said::Msrp(Box::new(Msrp::read(&head))),
        Protocol::Sip | Protocol::Http => Said::Sip(Box::new(Sip::read(&head))),
    }
}

/// Says what a message is, in words that two messages of one kind share.
pub(super) fn kind(said: &Said, bytes: &[u8]) -> String {
    let number = |text: String| match text.split_once(' ') {
        Some((code, _)) if code.starts_with(|c: char| c.is_ascii_digit()) => code.to_owned(),
        Some(_) | None => text,
    };
    match said {
        Said::Sip(sip) => {
            let line = sip.line.as_ref();
            let short = number(line.map(super::super::said::Line::short).unwrap_or_default());
            match line.and_then(super::super::said::Line::method) {
                Some(_) => format!("SIP {short}"),
                None => format!("SIP {short} ({})", sip.method()),
            }
        }
        Said::Msrp(msrp) => {
            let empty = msrp.line.method() == Some("SEND") && Raw::read(bytes).body().is_empty();
            let more = if empty { " (empty)" } else { "" };
            format!("MSRP {}{more}", number(msrp.line.short()))
        }
    }
}

const CPIM: &str = "message/cpim";
const MAX_USERS: usize = 200;
/// Pairs of ends that are told.
const MAX_UNPLAYED: usize = 20;
