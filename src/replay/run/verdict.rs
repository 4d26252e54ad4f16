//! The verdict: what was expected against what was really said, and how it is told.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::super::aliases::Pair;
use super::super::book::Step;
use super::super::columns;
use super::super::compare::{Level, difference, signature};
use super::super::ladder;
use super::super::source::{Trace, hidden};
use super::super::{Exit, Form, Outcome, printable};
use super::expected::{Absent, Expected, Wish};
use super::notice::{Notice, line};
use super::order;
use super::pairing::{dialog_of, pair};
use super::player::{Halt, Player, State};
use super::sides::Sides;
use super::{Run, Stand, exit_of};
use crate::trace::{Moment, Protocol};

/// What a run was.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) exit: Exit,
    /// What differs, the first one first.
    pub(super) differences: Vec<Apart>,
    /// What the recording has nothing for.
    pub(super) extra: Vec<String>,
    /// What the recording has, and nobody plays.
    pub(super) unplayed: Vec<String>,
    /// Whether the bridge was held back, by the wish of the command line.
    is_held: bool,
    /// Whether the bridge was there once.
    is_lost: bool,
}

/// Where a run and its recording come apart.
#[derive(Debug)]
pub(super) struct Apart {
    pub(super) dialog: Option<usize>,
    pub(super) packet: u64,
    pub(super) at: Moment,
    pub(super) expected: String,
    pub(super) found: String,
    pub(super) found_at: Option<Moment>,
    /// Both messages, where there are two.
    pub(super) sides: Option<(Bytes, Bytes)>,
}

/// What a report is about.
pub(super) struct Stage<'a> {
    pub(super) trace: &'a Trace,
    pub(super) sides: &'a Sides,
    pub(super) stand: &'a Stand,
    pub(super) expected: &'a Expected,
}

/// Waits for what must still be told and answered.
pub(super) async fn wait(player: &mut Player<'_>, expected: &Expected) -> Result<(), Halt> {
    let deadline = Instant::now() + player.manner.pace.timeout;
    player
        .until(deadline, |player| {
            let answered = player.calls.iter().all(|call| call.result.is_some());
            let is_due = |absent: &&Absent| absent.may_be_said() && !absent.is_said(player);
            let all_said = !expected.absent.iter().any(|absent| is_due(&absent));
            answered && all_said && pair(player, expected).missing.is_empty()
        })
        .await?;
    // What should not come has a moment to come in.
    let listened = expected.never.iter().filter_map(|notice| notice.within);
    let moment = Instant::now() + listened.max().unwrap_or_default().max(QUIET);
    player.until(moment, |_| false).await.map(|_| ())
}

/// Waits for what must be told of what is in the recording before a packet.
pub(super) async fn wait_for_before(
    player: &mut Player<'_>,
    expected: &Expected,
    packet: u64,
) -> Result<(), Halt> {
    let deadline = Instant::now() + player.manner.pace.timeout;
    let is_told = |player: &Player<'_>| {
        pair(player, expected).missing.iter().all(|notice| notice.packet >= packet)
    };
    player.until(deadline, is_told).await.map(|_| ())
}

/// Judges a run.
pub(super) fn of(
    player: &Player<'_>,
    expected: &Expected,
    run: &Run,
    halt: Option<Halt>,
) -> Verdict {
    let mut differences = Vec::new();
    let mut exit = Exit::Good;
    if let Some(halt) = &halt {
        exit = exit_of(halt);
        differences.extend(halted(player, halt));
    }
    differences.extend(messages(player, run));
    let absent = expected.absent.iter().filter(|absent| !absent.is_said(player));
    differences.extend(absent.map(|absent| Apart {
        dialog: absent.dialog,
        packet: absent.packet,
        at: absent.at,
        expected: absent.what.clone(),
        found: "the trace has no such thing".to_owned(),
        found_at: None,
        sides: None,
    }));
    if halt.is_none() {
        differences.extend(calls(player, expected, run.level));
        differences.extend(notices(player, expected));
        differences.extend(unwanted(player, expected));
        differences.extend(order::faults(player, expected));
    }
    differences.sort_by_key(|apart| apart.packet);
    // What differs beside a silence explains it: the silence alone is none of the bridge's words.
    let is_explained = exit == Exit::Silent && differences.len() > 1;
    if is_explained || (exit == Exit::Good && !differences.is_empty()) {
        exit = Exit::Differs;
    }
    let extra = extras(player, expected);
    let unplayed = [player.script.unplayed(), player.left_out.clone()].concat();
    if exit == Exit::Good && run.strict && !(extra.is_empty() && unplayed.is_empty()) {
        exit = Exit::Unexpected;
    }
    let is_held = matches!(halt, Some(Halt::Held { is_asked_for: true, .. }));
    let is_lost = matches!(halt, Some(Halt::Lost(_)));
    Verdict { exit, differences, extra, unplayed, is_held, is_lost }
}

fn halted(player: &Player<'_>, halt: &Halt) -> Option<Apart> {
    let mut sides = None;
    let (cue, found, found_at) = match halt {
        Halt::Differs { cue, heard } => {
            let heard = player.heard.get(*heard)?;
            let step = player.script.cues.get(*cue)?.step;
            sides = Some((player.recorded.steps[step].bytes.clone(), heard.bytes.clone()));
            (*cue, heard.kind.clone(), Some(heard.at))
        }
        Halt::Silent { cue } => {
            let seconds = player.manner.pace.timeout.as_secs_f64();
            (*cue, format!("nothing within {seconds} s"), None)
        }
        Halt::Refused { cue, what } => (*cue, what.clone(), None),
        Halt::Gone(why) | Halt::Lost(why) | Halt::Endless(why) | Halt::Held { what: why, .. } => {
            (player.cue, why.clone(), None)
        }
        Halt::Interrupted => (player.cue, "interrupted".to_owned(), None),
    };
    // Behind the last message there is only the end.
    let (cue, is_over) = match player.script.cues.get(cue) {
        Some(cue) => (cue, false),
        None => (player.script.cues.last()?, true),
    };
    let step = &player.recorded.steps[cue.step];
    let signature = signature(step);
    Some(Apart {
        dialog: cue.dialog,
        packet: step.packet,
        at: step.at,
        expected: if is_over { format!("nothing more after {signature}") } else { signature },
        found,
        found_at,
        sides,
    })
}

/// Sets each message of the bridge against the recorded one that it stands for; ours differ by what
/// was rewritten.
fn messages(player: &Player<'_>, run: &Run) -> Vec<Apart> {
    let claimed = player.claims.iter().map(|(recorded, heard)| {
        (&*player.recorded.steps[*recorded].bytes, &*player.heard[*heard].bytes)
    });
    let pair = Pair::of_run(player.live.steps.iter(), claimed);
    let mut apart: Vec<Apart> = player
        .claims
        .iter()
        .filter_map(|(recorded, heard)| {
            let (recorded, heard) = (&player.recorded.steps[*recorded], &player.heard[*heard]);
            // One is of the other's kind and goes its way; the accounts of a run may be full.
            let live = Step { at: heard.at, bytes: heard.bytes.clone(), ..recorded.clone() };
            let bytes = player.names.renamed(&recorded.bytes);
            let recorded = Step { bytes, ..recorded.clone() };
            let found = difference((&recorded, &live), run.level, &pair)?;
            Some(Apart {
                dialog: recorded.dialog,
                packet: recorded.packet,
                at: recorded.at,
                expected: format!("{}: {}", signature(&recorded), found.left),
                found: format!("{}: {}", signature(&live), found.right),
                found_at: Some(live.at),
                sides: Some((recorded.bytes.clone(), live.bytes.clone())),
            })
        })
        .collect();
    // The first difference of each dialog is told, as `diff` does.
    apart.sort_by_key(|apart| apart.packet);
    let mut seen = BTreeSet::new();
    apart.retain(|apart| seen.insert(apart.dialog));
    apart
}

/// Sets the answers to the calls of the application against what is expected of them: by their
/// class, and by their code where more than the flow is compared.
fn calls(player: &Player<'_>, expected: &Expected, level: Level) -> Vec<Apart> {
    let mut apart = Vec::new();
    let mut wanted = expected.calls.clone();
    for call in &player.calls {
        let Some(cue) = player.script.cues.get(call.cue) else { continue };
        let step = &player.recorded.steps[cue.step];
        // A session that is joined once more is called for in its first dialog.
        let is_it = |wish: &Wish| wish.rest.as_ref().is_none_or(|rest| rest.is(&call.what));
        let of_step = wanted.iter().position(|it| is_it(it) && it.packet == step.packet);
        let of_dialog = || wanted.iter().position(|it| is_it(it) && Some(it.dialog) == call.dialog);
        let place = of_step.or_else(of_dialog);
        let wanted = place.and_then(|place| wanted.remove(place).rest?.status);
        let found = match &call.result {
            Some(Ok((status, _))) => match wanted {
                Some(wanted) if wanted == *status => continue,
                // Whether something is done or under way is no matter of the flow.
                Some(wanted) if level == Level::Flow && wanted / 100 == status / 100 => continue,
                None if *status < 400 => continue,
                Some(_) | None => status.to_string(),
            },
            Some(Err(error)) => error.clone(),
            None => "no answer".to_owned(),
        };
        let wanted = wanted.map_or("2xx".to_owned(), |wanted| wanted.to_string());
        apart.push(Apart {
            dialog: call.dialog,
            packet: step.packet,
            at: step.at,
            expected: format!("{} gives {wanted}", call.what),
            found: format!("{} gives {found}", call.what),
            found_at: None,
            sides: None,
        });
    }
    // What causes nothing in the trace was never called.
    apart.extend(wanted.into_iter().filter_map(|wish| {
        Some(Apart {
            dialog: Some(wish.dialog),
            packet: wish.packet,
            at: wish.at,
            expected: wish.rest?.text,
            found: "was not called for".to_owned(),
            found_at: None,
            sides: None,
        })
    }));
    apart
}

fn notices(player: &Player<'_>, expected: &Expected) -> Vec<Apart> {
    let pairs = pair(player, expected);
    let missing = pairs.missing.into_iter();
    missing
        .map(|notice| {
            let rival = (0..player.told.len()).find(|index| {
                !pairs.used.contains(index)
                    && dialog_of(player, *index) == Some(notice.dialog)
                    && notice.is_like(&player.told[*index].0)
            });
            let (expected, found, found_at) = match rival {
                Some(rival) => {
                    let (told, at) = &player.told[rival];
                    let (expected, found) = match notice.difference(told) {
                        Some((left, right)) => (
                            format!("{}: {left}", notice.name()),
                            format!("{}: {right}", told.name),
                        ),
                        None => (notice.line(), "was told out of its order".to_owned()),
                    };
                    (expected, found, Some(*at))
                }
                None => (notice.line(), "was not told".to_owned(), None),
            };
            Apart {
                dialog: Some(notice.dialog),
                packet: notice.packet,
                at: notice.at,
                expected,
                found,
                found_at,
                sides: None,
            }
        })
        .collect()
}

/// Finds what was told and must not be.
fn unwanted(player: &Player<'_>, expected: &Expected) -> Vec<Apart> {
    let told = |notice: &Notice| {
        (0..player.told.len()).find(|index| {
            dialog_of(player, *index) == Some(notice.dialog) && notice.is(&player.told[*index].0)
        })
    };
    let never = expected.never.iter().filter_map(|notice| Some((notice, told(notice)?)));
    never
        .map(|(notice, index)| Apart {
            dialog: Some(notice.dialog),
            packet: notice.packet,
            at: notice.at,
            expected: format!("no {}", notice.line()),
            found: line(&player.told[index].0),
            found_at: Some(player.told[index].1),
            sides: None,
        })
        .collect()
}

/// Lists what the recording has nothing for.
fn extras(player: &Player<'_>, expected: &Expected) -> Vec<String> {
    let said = player.heard.iter().filter(|heard| heard.state == State::Extra);
    let mut extra: Vec<String> = said.map(|heard| heard.kind.clone()).collect();
    for beside in &expected.beside {
        for _ in 0..beside.most {
            let place = extra.iter().position(|kind| kind == beside.kind);
            place.map(|place| extra.remove(place));
        }
    }
    let pairs = pair(player, expected);
    let told = player.told.iter().enumerate().filter(|(index, _)| !pairs.used.contains(index));
    extra.extend(told.map(|(_, (told, _))| line(told)));
    extra
}

impl Verdict {
    /// Tells the verdict, in words or for programs.
    pub(super) fn outcome(&self, player: &Player<'_>, stage: &Stage<'_>, run: &Run) -> Outcome {
        let text = match run.form {
            Form::Json => format!("{:#}\n", self.json(player, stage)),
            Form::Text => printable(&self.text(player, stage)),
        };
        Outcome { text, warnings: Vec::new(), exit: self.exit }
    }

    // Writing to a `String` cannot fail, so what `write!` gives is not looked at below.

    fn text(&self, player: &Player<'_>, stage: &Stage<'_>) -> String {
        let mut text = String::new();
        for line in &player.explained {
            let _ = writeln!(text, "{line}");
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&ladder::picture(&player.live, |step| beside(player, step)));
        let Stage { trace, sides, stand, expected } = stage;
        let sip = player.names.bridge.map_or(String::new(), |sip| format!(", SIP {sip}"));
        let _ = writeln!(text, "\n{}: in place of {} ({})", trace.name, sides.bridge, sides.why);
        let _ = writeln!(text, "  bridge     REST {}{sip}", stand.rest);
        let _ = writeln!(text, "  expected   {}", expected.source);
        if player.script.upkeep > 0 {
            let count = player.script.upkeep;
            let _ = writeln!(text, "  left out   {count} messages that only keep a device known");
        }
        for line in hidden(&trace.summary) {
            let _ = writeln!(text, "  hidden     {line}");
        }
        for line in &self.unplayed {
            let _ = writeln!(text, "  not played {line}");
        }
        for line in &expected.left_out {
            let _ = writeln!(text, "  left out   {line}");
        }
        for beside in &expected.beside {
            let _ = writeln!(text, "  may be     {} more: {}", beside.kind, beside.why);
        }
        for note in &player.notes {
            let _ = writeln!(text, "  note       {note}");
        }
        for extra in &self.extra {
            let _ = writeln!(text, "  also said  {extra}");
        }
        let mut are_shown = false;
        for apart in &self.differences {
            self.write_apart(&mut text, apart, player, &trace.name);
            // Of the first pair all is shown: the rest often follows from it.
            if let Some((left, right)) = apart.sides.as_ref().filter(|_| !are_shown) {
                text.push_str(&columns::beside(left, right));
                are_shown = true;
            }
        }
        let _ = writeln!(text, "{}", self.sum(player));
        text
    }

    fn write_apart(&self, text: &mut String, apart: &Apart, player: &Player<'_>, name: &str) {
        let dialog = apart.dialog.map(|index| &player.recorded.dialogs[index]);
        let of = dialog.map_or(String::new(), |it| format!(" ({} {})", it.method, it.call_id));
        let number = apart.dialog.map_or(0, |index| index + 1);
        let _ = writeln!(text, "\ndialog {number}{of}:");
        let left = [name.to_owned(), format!("packet {}, {}", apart.packet, apart.at)];
        let right =
            ["this run".to_owned(), apart.found_at.map_or(String::new(), |at| at.to_string())];
        let rows = left.iter().zip(&right).map(|(left, right)| (left.as_str(), right.as_str()));
        let rows: Vec<(&str, &str)> = rows.chain([(&*apart.expected, &*apart.found)]).collect();
        let width = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or_default();
        for (left, right) in rows {
            let _ = writeln!(text, "  {left:<width$} | {right}");
        }
    }

    pub(super) fn sum(&self, player: &Player<'_>) -> String {
        let totals = &player.live.totals;
        let counts = format!(
            "{} of {} messages, {} SIP, {} MSRP, {} REST calls, {} notifications",
            player.cue.saturating_sub(player.left_out.len()),
            player.script.cues.len(),
            totals.sip,
            totals.msrp,
            player.calls.len(),
            player.told.len()
        );
        let verdict = match self.exit {
            Exit::Good => "as expected",
            Exit::Differs => "not as expected",
            Exit::Usage if self.is_held => "the bridge was held back",
            Exit::Usage => "as expected, and not written",
            Exit::Unreachable if self.is_lost => "the bridge was lost",
            Exit::NoTrace | Exit::Unreachable => "the bridge cannot be reached",
            Exit::Silent => "the bridge is silent",
            Exit::Unexpected if self.extra.is_empty() => "not all of it was played",
            Exit::Unexpected => "more was said than is expected",
            Exit::Interrupted => "interrupted",
        };
        format!("{verdict}: {counts}")
    }
}

/// Says what a message of the run is in the recording: the packet, or nothing.
fn beside(player: &Player<'_>, step: usize) -> String {
    let is_rest = player.live.steps[step].protocol == Protocol::Http;
    match player.stands_for.get(&step).map(|recorded| &player.recorded.steps[*recorded]) {
        Some(recorded) => format!("= #{}", recorded.packet),
        None if is_rest => String::new(),
        None => "(not in the trace)".to_owned(),
    }
}

/// How long silence is listened to before it counts.
const QUIET: Duration = Duration::from_millis(100);
