//! What the application must be told: read from `expected.json`, or derived from the trace (`derive`).

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::super::Exit;
use super::super::book::Book;
use super::super::brief::shortened;
use super::super::rewrite::Mappings;
use super::derive::{Beside, derive};
use super::notice::Notice;
use super::player::{Player, State};
use super::script::{Cue, Said, Script};
use super::wish::{Rest, Spoken};
use crate::trace::{Moment, Protocol};

/// Where expectations come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Expect {
    /// The file `expected.json` beside the trace, where it tells of the trace; else the trace.
    File,
    /// The trace alone, by the tables of the bridge.
    Derive,
}

/// What is expected of a run beside the messages of the trace.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Where it comes from.
    pub(super) source: String,
    pub(super) notices: Vec<Notice>,
    /// Those that must not come.
    pub(super) never: Vec<Notice>,
    /// The calls of each dialog, in order.
    pub(super) calls: Vec<Wish>,
    /// What is expected and cannot be, for the trace has nothing of it.
    pub(super) absent: Vec<Absent>,
    /// What is expected and not looked for, and why.
    pub(super) left_out: Vec<String>,
    /// What the bridge may say though the trace has it not.
    pub(super) beside: Vec<Beside>,
}

/// A call that must be made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wish {
    pub(super) dialog: usize,
    /// What it is, where an expectation lists it.
    pub(super) rest: Option<Rest>,
    pub(super) packet: u64,
    pub(super) at: Moment,
}

/// An expectation of something that the trace does not have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Absent {
    pub(super) dialog: Option<usize>,
    pub(super) packet: u64,
    pub(super) at: Moment,
    pub(super) what: String,
    /// The message, where one is spoken of: the bridge may say it beside the trace.
    spoken: Option<Spoken>,
    /// The dialogs in which it would be something else.
    others: BTreeSet<usize>,
}

impl Absent {
    /// Tells whether the bridge may say it nevertheless.
    pub(super) fn may_be_said(&self) -> bool {
        self.spoken.as_ref().is_some_and(|spoken| !spoken.ours)
    }

    /// Tells whether the bridge has said it, though the trace has nothing of it: in its dialog, or in
    /// one that nobody speaks of.
    pub(super) fn is_said(&self, player: &Player<'_>) -> bool {
        let Some(spoken) = self.spoken.as_ref().filter(|spoken| !spoken.ours) else { return false };
        let is_elsewhere = |heard: usize| {
            player.dialog_of_heard(heard).is_some_and(|dialog| self.others.contains(&dialog))
        };
        let mut extra =
            player.heard.iter().enumerate().filter(|(_, heard)| heard.state == State::Extra);
        extra.any(|(index, heard)| {
            spoken.is_kind(&heard.kind, &heard.said, &heard.bytes) && !is_elsewhere(index)
        })
    }
}

impl Expected {
    /// Finds what is expected of a trace.
    ///
    /// # Errors
    /// With how the run ends: what is expected cannot be understood, or it is too much to be held.
    pub(super) fn find(
        trace: &Path,
        from: Expect,
        (book, script): (&Book, &Script),
        map: &Mappings,
    ) -> Result<Self, (Exit, String)> {
        let derived = || {
            let told = |why| (Exit::NoTrace, format!("{}: {why}", trace.display()));
            derive(book, script).map_err(told)
        };
        let file = trace.with_file_name("expected.json");
        // Nothing lies beside standard input.
        if from == Expect::Derive || trace == Path::new("-") || !file.is_file() {
            return derived();
        }
        let told =
            |error: &dyn std::fmt::Display| (Exit::Usage, format!("{}: {error}", file.display()));
        let text = std::fs::read_to_string(&file).map_err(|error| told(&error))?;
        let all: Value = serde_json::from_str(&text).map_err(|error| told(&error))?;
        let name = trace.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The forms of one trace share what is expected of it.
        let stem = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let entry = all.as_object().and_then(|all| {
            let same = all.iter().find(|(key, _)| stem(key) == stem(&name));
            all.get(&name).or(same.map(|(_, entry)| entry))
        });
        match entry {
            Some(entry) => {
                let mut expected = Self { source: file.display().to_string(), ..Self::default() };
                let mut entry = entry.clone();
                map.document(&mut entry);
                read(&mut expected, &entry, book, script).map_err(|why| told(&why))?;
                Ok(expected)
            }
            None => {
                let mut expected = derived()?;
                expected.source.push_str(&format!(": {} says nothing of it", file.display()));
                Ok(expected)
            }
        }
    }
}

/// Reads what a file expects of a trace. What is not understood is refused: an expectation that
/// nobody looks at would always be met.
fn read(
    expected: &mut Expected,
    entry: &Value,
    book: &Book,
    script: &Script,
) -> Result<(), String> {
    let mut without_msrp = 0;
    let dialogs = list(entry, "dialogs")?;
    known(entry, "something", &["dialogs", "note"])?;
    let named = dialogs.iter().filter_map(|told| told["call_id"].as_str());
    let named = Named { dialogs: named.filter_map(|id| dialog_of(book, id)).collect() };
    for told in dialogs {
        let id = told["call_id"].as_str().ok_or("a dialog without its call_id")?;
        let of = |why: String| format!("dialog {id}: {why}");
        let dialog = dialog_of(book, id);
        let others = dialog.map(|dialog| named.others(book, script, dialog)).unwrap_or_default();
        let mut place = dialog.map(|dialog| Place::of(book, script, (dialog, &others)));
        if dialog.is_none() {
            let (packet, at) =
                book.steps.first().map(|step| (step.packet, step.at)).unwrap_or_default();
            let what = format!("dialog {id}");
            expected.absent.push(Absent {
                dialog,
                packet,
                at,
                what,
                spoken: None,
                others: BTreeSet::new(),
            });
        }
        let steps = list(told, "steps").map_err(of)?;
        known(told, "a dialog", &["call_id", "steps", "note"])?;
        for step in steps {
            known(step, "a step", &STEP).map_err(of)?;
            let (spoken, rest) = (Spoken::read(step).map_err(of)?, Rest::read(step).map_err(of)?);
            let notices = if step["expect"].is_null() {
                &[][..]
            } else {
                list(step, "expect").map_err(of)?
            };
            let is_msrp = spoken.iter().any(|it| it.protocol == Protocol::Msrp);
            let (Some(dialog), Some(place)) = (dialog, &mut place) else { continue };
            if is_msrp && !script.has_msrp {
                without_msrp += 1;
                continue;
            }
            let (packet, at, absent) = place.next(&spoken);
            let absent = absent.into_iter();
            expected.absent.extend(absent.map(|spoken| Absent {
                dialog: Some(dialog),
                packet,
                at,
                what: spoken.text.clone(),
                spoken: Some(spoken),
                others: others.clone(),
            }));
            if rest.is_some() {
                expected.calls.push(Wish { dialog, rest, packet, at });
            }
            for notice in notices {
                // What is told is told of the session, whatever dialog it goes on in.
                let cause = (script.session_of(dialog), packet, at);
                let (notice, times) = Notice::read(notice, cause).map_err(of)?;
                match times {
                    0 => expected.never.push(notice),
                    times => expected.notices.extend(std::iter::repeat_n(notice, times)),
                }
            }
        }
    }
    if without_msrp > 0 {
        let line = format!("{without_msrp} expectations of MSRP: the trace has none of it");
        expected.left_out.push(line);
    }
    Ok(())
}

fn dialog_of(book: &Book, call_id: &str) -> Option<usize> {
    book.dialogs.iter().position(|dialog| dialog.call_id == shortened(call_id))
}

/// The dialogs that expectations name.
struct Named {
    dialogs: BTreeSet<usize>,
}

impl Named {
    /// Gives the dialogs whose messages are none of another's: those that an expectation of their
    /// own names, and calls. A subscription or a report has a dialog of its own, and a session may go
    /// on in another one.
    fn others(&self, book: &Book, script: &Script, dialog: usize) -> BTreeSet<usize> {
        let session = script.session_of(dialog);
        let is_other = |other: &usize| {
            let goes_on = script.session_of(*other) == session;
            let is_call = book.dialogs[*other].method == "INVITE" && !goes_on;
            // Whoever names a Call-ID that was used again names all its dialogs.
            book.dialogs[*other].call_id != book.dialogs[dialog].call_id
                && (is_call || self.dialogs.contains(other))
        };
        (0..book.dialogs.len()).filter(is_other).collect()
    }
}

/// Gives the list in a field, which has to be one.
fn list<'a>(of: &'a Value, field: &str) -> Result<&'a [Value], String> {
    let list = of[field].as_array().map(Vec::as_slice);
    list.ok_or_else(|| format!("{field} is no list"))
}

/// Refuses a field that means nothing.
fn known(of: &Value, what: &str, names: &[&str]) -> Result<(), String> {
    let fields = of.as_object().ok_or_else(|| format!("{what} that is no object"))?;
    match fields.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(format!("{what} with {name:?}, which means nothing")),
        None => Ok(()),
    }
}

const STEP: [&str; 8] =
    ["rest", "http", "sip_in", "sip_out", "msrp_in", "msrp_out", "expect", "note"];

/// Finds the messages of the trace that the steps of an expectation speak of.
struct Place<'a> {
    book: &'a Book,
    cues: Vec<&'a Cue>,
    at: usize,
}

impl<'a> Place<'a> {
    fn of(book: &'a Book, script: &'a Script, (dialog, others): (usize, &BTreeSet<usize>)) -> Self {
        let begins = book.dialogs[dialog].opened;
        let is_of = |cue: &&Cue| {
            cue.at >= begins && cue.dialog.is_none_or(|dialog| !others.contains(&dialog))
        };
        Self { book, cues: script.cues.iter().filter(is_of).collect(), at: 0 }
    }

    /// Gives packet and time of the first that a step speaks of; where none is found, of the last
    /// one; and what was looked for in vain.
    fn next(&mut self, spoken: &[Spoken]) -> (u64, Moment, Vec<Spoken>) {
        let (mut absent, mut next) = (Vec::new(), None);
        for spoken in spoken {
            let mut rest = self.cues[self.at..].iter();
            match rest.position(|cue| self.is(spoken, cue)) {
                Some(found) => next = next.or(Some(self.at + found + 1)),
                None => absent.push(spoken.clone()),
            }
        }
        self.at = next.unwrap_or(self.at);
        let cue = self.cues.get(self.at.saturating_sub(1)).or(self.cues.first());
        let (packet, at) = cue.map_or((0, Moment::default()), |cue| {
            let step = &self.book.steps[cue.step];
            (step.packet, step.at)
        });
        (packet, at, absent)
    }

    /// Tells whether a message is the one that a step speaks of, in as many pieces as it says.
    fn is(&self, spoken: &Spoken, cue: &Cue) -> bool {
        let is_it = |cue: &Cue| spoken.is(cue, &self.book.steps[cue.step]);
        let id = |cue: &Cue| match &cue.said {
            Said::Msrp(msrp) => Some(msrp.message_id.clone()),
            Said::Sip(_) => None,
        };
        let is_piece = |other: &&&Cue| {
            other.ours == cue.ours
                && other.dialog == cue.dialog
                && other.kind == cue.kind
                && id(other) == id(cue)
        };
        is_it(cue)
            && spoken
                .pieces
                .is_none_or(|pieces| self.cues.iter().filter(is_piece).count() == pieces)
    }
}
