//! The verdict for programs: as a document, and as the cases of a test runner.

use serde_json::{Value, json};

use super::super::junit::Case;
use super::super::{Exit, json};
use super::player::Player;
use super::verdict::{Stage, Verdict};

impl Verdict {
    /// Gives all of it as one document.
    pub(super) fn json(&self, player: &Player<'_>, stage: &Stage<'_>) -> Value {
        let differences: Vec<Value> = self
            .differences
            .iter()
            .map(|apart| {
                json!({
                    "dialog": apart.dialog.map(|index| index + 1),
                    "packet": apart.packet,
                    "at": apart.at.to_string(),
                    "expected": apart.expected,
                    "found": apart.found,
                    "foundAt": apart.found_at.map(|at| at.to_string()),
                })
            })
            .collect();
        let calls: Vec<Value> = player
            .calls
            .iter()
            .map(|call| {
                let status = call.result.as_ref().and_then(|it| it.as_ref().ok()).map(|it| it.0);
                json!({"call": call.what, "status": status})
            })
            .collect();
        let told: Vec<Value> = player
            .told
            .iter()
            .map(|(told, at)| json!({"at": at.to_string(), "user": told.user, told.name.as_str(): told.value}))
            .collect();
        let beside = stage.expected.beside.iter();
        let beside: Vec<Value> =
            beside.map(|it| json!({"message": it.kind, "why": it.why})).collect();
        json!({
            "trace": stage.trace.name,
            "exit": self.exit.code(),
            "verdict": self.sum(player),
            "inPlaceOf": stage.sides.bridge.to_string(),
            "expectations": stage.expected.source,
            "differences": differences,
            "alsoSaid": self.extra,
            "mayBe": beside,
            "hidden": stage.trace.hidden(),
            "notPlayed": self.unplayed,
            "leftOut": stage.expected.left_out,
            "notes": player.notes,
            "explained": player.explained,
            "calls": calls,
            "notifications": told,
            "steps": json::steps(&player.live),
        })
    }

    /// Gives a case for each dialog.
    pub(super) fn cases(&self, player: &Player<'_>) -> Vec<Case> {
        let dialogs = player.recorded.dialogs.iter().enumerate();
        let played = dialogs
            .filter(|(index, _)| player.script.cues.iter().any(|cue| cue.dialog == Some(*index)));
        let mut cases: Vec<Case> = played
            .map(|(index, dialog)| {
                let mut of = player.script.cues.iter().filter(|cue| cue.dialog == Some(index));
                let was_played =
                    of.all(|cue| cue.ours || cue.optional || player.has_claimed(cue.step));
                let apart = self.differences.iter().filter(|apart| apart.dialog == Some(index));
                let failures = apart.map(|apart| {
                    format!(
                        "packet {}, {}: expected {}; found {}",
                        apart.packet, apart.at, apart.expected, apart.found
                    )
                });
                Case {
                    name: format!("{} {}", dialog.method, dialog.call_id),
                    failures: failures.collect(),
                    skipped: !was_played && self.exit != Exit::Good,
                }
            })
            .collect();
        if !self.unplayed.is_empty() {
            let is_fault = self.exit == Exit::Unexpected;
            let failures = if is_fault { self.unplayed.clone() } else { Vec::new() };
            cases.push(Case { name: "all of it".to_owned(), failures, skipped: true });
        }
        if self.exit == Exit::Unexpected && !self.extra.is_empty() {
            let name = "nothing else".to_owned();
            cases.push(Case { name, failures: self.extra.clone(), skipped: false });
        }
        // What belongs to no dialog, and whatever else ended the run, fails as well.
        let apart = self.differences.iter().filter(|apart| apart.dialog.is_none());
        let mut failures: Vec<String> = apart
            .map(|apart| format!("expected {}; found {}", apart.expected, apart.found))
            .collect();
        let is_told = cases.iter().any(|case| !case.failures.is_empty());
        if self.exit != Exit::Good && failures.is_empty() && !is_told {
            failures.push(self.sum(player));
        }
        if !failures.is_empty() {
            cases.push(Case { name: "the run".to_owned(), failures, skipped: false });
        }
        cases
    }
}
