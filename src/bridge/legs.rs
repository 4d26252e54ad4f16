//! The SIP legs of one user's side of a chat: the one that counts, and those that were given up.

use std::collections::VecDeque;
use std::time::Instant;

use super::dealings::Output;
use crate::sip::{DialogKey, Hop, Leg, LegEvent, LegInput, LegOutput, Message, Reason, Uri};

/// How many legs may be left that were given up: whoever begins a session anew more often than old
/// dialogs come to rest has to wait.
const MOST_RETIRED: usize = 8;

/// The leg that counts, with those that it has replaced.
#[derive(Debug)]
pub(super) struct Legs {
    /// The leg that counts.
    pub(super) current: Leg,
    /// Who has begun its dialog, as the directory knows it, where that was the other side.
    pub(super) caller: Option<DialogKey>,
    /// Legs that were given up for another, kept until they need to absorb nothing.
    retired: Vec<Leg>,
}

impl Legs {
    pub(super) fn new(current: Leg) -> Self {
        Self { current, caller: None, retired: Vec::new() }
    }

    /// Tells whether the other side has begun the dialog of the leg that counts.
    pub(super) fn is_called(&self) -> bool {
        self.caller.is_some()
    }

    /// Puts the leg of a call of ours in the place of the one that counts.
    pub(super) fn replace(&mut self, leg: Leg) {
        self.caller = None;
        self.retired.push(std::mem::replace(&mut self.current, leg));
    }

    /// Tells that the dialog of the leg that counts is over though the session is not: where the other
    /// side has begun it, it may call once more.
    pub(super) fn end_call(&mut self) -> Option<Output> {
        self.caller.take().map(Output::EndCaller)
    }

    /// Puts the leg of the dialog that `caller` has begun in the place of the one that counts, which
    /// says goodbye, and tells what follows from that. The new one has answered: whoever is left
    /// without any dialog may take the session for lost.
    pub(super) fn renew(
        &mut self,
        now: Instant,
        (leg, caller): (Leg, DialogKey),
    ) -> impl Iterator<Item = Output> {
        let mut old = std::mem::replace(&mut self.current, leg);
        old.bye(now, Some(Reason::sip(200, "Call completed")));
        self.retired.push(old);
        let before = self.caller.take().filter(|before| *before != caller);
        self.caller = Some(caller);
        before.map(Output::EndCaller).into_iter().chain([self.route()])
    }

    /// Keeps a leg that has refused what it was made for, and tells where its messages are to go.
    pub(super) fn retire(&mut self, leg: Leg) -> Output {
        let route = Output::Route(key_of(&leg));
        self.retired.push(leg);
        route
    }

    /// Tells whether there is room for one more leg.
    pub(super) fn has_room(&self) -> bool {
        self.retired.len() < MOST_RETIRED
    }

    /// Tells where the messages of the current leg's dialog are to go.
    pub(super) fn route(&self) -> Output {
        Output::Route(key_of(&self.current))
    }

    /// Gives the name of the current dialog, and the peer's tag.
    pub(super) fn dialog(&self) -> (DialogKey, Option<String>) {
        let remote_tag = self.current.remote_tag().filter(|tag| !tag.is_empty());
        (key_of(&self.current), remote_tag.map(str::to_owned))
    }

    /// Hands a message to its leg; the current one takes what fits none.
    pub(super) fn receive(&mut self, now: Instant, message: Message, source: Hop) {
        // Who was refused may have called again with the same Call-ID: the latest call counts.
        let retired = self.retired.iter_mut().rev().find(|leg| leg.owns(&message));
        let leg = match retired {
            Some(leg) if !self.current.owns(&message) => leg,
            Some(_) | None => &mut self.current,
        };
        leg.handle(now, LegInput::Message { message, source });
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        self.current.handle(now, LegInput::Timeout);
        for leg in &mut self.retired {
            leg.handle(now, LegInput::Timeout);
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let retired = self.retired.iter().filter_map(Leg::next_timeout);
        retired.chain(self.current.next_timeout()).min()
    }

    /// Tells whether nothing is left to absorb, to repeat or to poll.
    pub(super) fn is_finished(&self) -> bool {
        self.current.is_finished() && self.retired.iter().all(Leg::is_finished)
    }

    /// Takes what the legs want sent, and what the current one reports; a leg that was given up has
    /// nothing to say to the chat.
    pub(super) fn settle(&mut self, outputs: &mut VecDeque<Output>) -> Settled {
        let mut settled = Settled::default();
        // What a new dialog begins with goes before what the old one ends with.
        settled.take(&mut self.current, outputs);
        for leg in &mut self.retired {
            Settled::default().take(leg, outputs);
        }
        let (over, left): (Vec<Leg>, Vec<Leg>) =
            std::mem::take(&mut self.retired).into_iter().partition(Leg::is_finished);
        self.retired = left;
        outputs.extend(over.iter().map(|leg| Output::Unroute(key_of(leg))));
        settled
    }
}

fn key_of(leg: &Leg) -> DialogKey {
    DialogKey { call_id: leg.call_id().to_owned(), tag: leg.local_tag().to_owned() }
}

/// What the current leg reports.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Its events.
    pub(super) events: Vec<LegEvent>,
    /// The hops that are overloaded.
    pub(super) spared: Vec<Hop>,
    /// Whether it has wanted anything.
    pub(super) busy: bool,
}

impl Settled {
    fn take(&mut self, leg: &mut Leg, outputs: &mut VecDeque<Output>) {
        while let Some(output) = leg.poll() {
            self.busy = true;
            match output {
                LegOutput::Send { bytes, hop } => outputs.push_back(Output::Sip { bytes, hop }),
                LegOutput::Spare { hop, wait } => {
                    self.spared.push(hop.clone());
                    outputs.push_back(Output::Spare { hop, wait });
                }
                LegOutput::Event(event) => self.events.push(event),
            }
        }
    }
}

/// What is needed to send an INVITE again, and how often that may still be done; `D` is what all
/// INVITEs of the session have in common.
#[derive(Debug)]
pub(super) struct Attempt<D> {
    /// What all INVITEs have in common, where they are ours.
    pub(super) draft: Option<D>,
    /// Where they go first, best first.
    pub(super) next_hops: Vec<Hop>,
    /// Targets that a redirection named and that are untried.
    pub(super) targets: VecDeque<Uri>,
    pub(super) redirects: u8,
    /// Whether one was followed.
    pub(super) is_redirected: bool,
    pub(super) retried: bool,
    /// Whether an 18x has come.
    pub(super) rung: bool,
}

impl<D> Attempt<D> {
    pub(super) fn new(next_hops: Vec<Hop>) -> Self {
        Self {
            draft: None,
            next_hops,
            targets: VecDeque::new(),
            redirects: 0,
            is_redirected: false,
            retried: false,
            rung: false,
        }
    }

    /// Puts a hop that is overloaded behind the others.
    pub(super) fn spare(&mut self, hop: &Hop) {
        self.next_hops.sort_by_key(|known| known == hop);
    }

    /// Takes the Contacts of a redirection (RFC 3261 section 8.1.3.4), as far as redirections are
    /// still followed.
    pub(super) fn follow<'a>(&mut self, contacts: impl Iterator<Item = &'a str>) {
        for contact in contacts {
            if self.redirects == 0 {
                break;
            }
            let uri = crate::sip::NameAddr::parse(contact).ok().map(|contact| contact.uri);
            if let Some(uri) = uri.filter(|uri| uri.is_sip() || uri.number().is_some()) {
                self.redirects -= 1;
                self.is_redirected = true;
                self.targets.push_back(uri);
            }
        }
    }
}
