//! What came in another order than it may: before another message that it follows in the recording,
//! or before the message of ours that causes it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::expected::Expected;
use super::matching::is_final;
use super::notice::Notice;
use super::pairing::pair;
use super::player::{Heard, Player};
use super::script::Cue;
use super::verdict::Apart;
use crate::trace::Protocol;

/// Finds all that came in another order than it may.
pub(super) fn faults(player: &Player<'_>, expected: &Expected) -> Vec<Apart> {
    let mut faults = out_of_order(player);
    faults.extend(too_early(player));
    faults.extend(told_at_wrong_times(player, expected));
    faults
}

/// Finds requests of the bridge that came in another order than in the recording, dialog by dialog:
/// within one, they are one after the other.
fn out_of_order(player: &Player<'_>) -> Vec<Apart> {
    let mut last: BTreeMap<(Option<usize>, bool), usize> = BTreeMap::new();
    let mut apart = Vec::new();
    for cue in player.script.cues.iter().filter(|cue| !cue.ours && !cue.optional) {
        let step = &player.recorded.steps[cue.step];
        let Some(heard) = player.claims.get(&cue.step).filter(|_| !is_final(&cue.kind)) else {
            continue;
        };
        let before = last.insert((cue.dialog, step.protocol == Protocol::Msrp), *heard);
        let Some(before) = before.filter(|before| before > heard) else { continue };
        let (found, other) = (&player.heard[*heard], &player.heard[before]);
        apart.push(early(player, cue, (&found.kind, &other.kind), found));
    }
    apart
}

/// Finds requests of the bridge that came before the message of ours without which there must be
/// none: what follows an answer by the rules of SIP, and not by the wish of an application.
fn too_early(player: &Player<'_>) -> Vec<Apart> {
    let (mut apart, steps) = (Vec::new(), &player.recorded.steps);
    for (place, cue) in player.script.cues.iter().enumerate().filter(|(_, cue)| !cue.ours) {
        let before = player.script.cues[..place].iter().rev();
        let cause = before
            .filter(|other| other.ours && other.dialog == cue.dialog)
            .find(|other| follows(&cue.kind, (&other.kind, steps[other.step].again)));
        let Some(cause) = cause else { continue };
        let came = player.claims.get(&cue.step).map(|heard| &player.heard[*heard]);
        if let (Some(heard), Some(sent)) = (came, player.sent.get(&cause.step))
            && heard.came < *sent
        {
            apart.push(early(player, cue, (&cue.kind, &cause.kind), heard));
        }
    }
    apart
}

/// Says that something came before what it has to come after.
fn early(player: &Player<'_>, cue: &Cue, (kind, cause): (&str, &str), heard: &Heard) -> Apart {
    let step = &player.recorded.steps[cue.step];
    Apart {
        dialog: cue.dialog,
        packet: step.packet,
        at: step.at,
        expected: format!("{kind} after {cause}"),
        found: format!("{kind} before {cause}"),
        found_at: Some(heard.at),
        sides: None,
    }
}

/// Tells whether a request of the bridge has to follow a message of ours. One that comes again may
/// cross it: it follows the first.
fn follows(kind: &str, (ours, is_again): (&str, bool)) -> bool {
    if is_again {
        return false;
    }
    let answers = |classes: &[char]| {
        ours.ends_with(" (INVITE)")
            && ours.strip_prefix("SIP ").is_some_and(|code| code.starts_with(classes))
    };
    match kind {
        // RFC 3261 section 17.1.1.2.
        "SIP ACK" => answers(&['2', '3', '4', '5', '6']),
        // RFC 3262 section 4, and RFC 3261 section 9.1.
        "SIP PRACK" | "SIP CANCEL" => answers(&['1']),
        // Of the caller: a dialog; of the callee: the ACK (RFC 3261 section 15).
        "SIP BYE" => ours == "SIP ACK" || answers(&['2']),
        _ => false,
    }
}

/// Finds notifications that were told before the message of ours that causes them, or later behind
/// what causes them than they may.
fn told_at_wrong_times(player: &Player<'_>, expected: &Expected) -> Vec<Apart> {
    let mut apart = Vec::new();
    for (notice, told) in pair(player, expected).told {
        let Some(came) = player.told_at.get(told) else { continue };
        if let Some((expected, found)) = wrong_time(player, notice, *came) {
            apart.push(Apart {
                dialog: Some(notice.dialog),
                packet: notice.packet,
                at: notice.at,
                expected,
                found,
                found_at: player.told.get(told).map(|(_, at)| *at),
                sides: None,
            });
        }
    }
    apart
}

/// Says what is wrong with the time at which something was told.
fn wrong_time(player: &Player<'_>, notice: &Notice, came: Instant) -> Option<(String, String)> {
    let steps = &player.recorded.steps;
    let is_there = |cue: &&Cue| steps[cue.step].packet == notice.packet;
    let cues = &player.script.cues;
    if let Some(cause) = cues.iter().filter(|cue| cue.ours).find(is_there) {
        let sent = player.sent.get(&cause.step)?;
        return match came.checked_duration_since(*sent) {
            None => too_soon(notice, &cause.kind),
            Some(after) => too_late(notice, &cause.kind, after),
        };
    }
    // The application has called for it, or the bridge has said something.
    let (place, cause) = cues.iter().enumerate().find(|(_, cue)| is_there(cue))?;
    let call = player.calls.iter().find(|call| call.cue == place);
    let heard = || player.claims.get(&cause.step).map(|heard| &player.heard[*heard]);
    let (what, since) = match call {
        Some(call) => (&call.what, call.made),
        None => heard().map(|heard| (&heard.kind, heard.came))?,
    };
    too_late(notice, what, came.saturating_duration_since(since))
}

/// Says that something was told before the message of ours that causes it, where it was.
fn too_soon(notice: &Notice, cause: &str) -> Option<(String, String)> {
    // How a group stands may be known from more than one message.
    let is_group = notice.name() == "participantStatusNotification";
    let is_wrong = !is_group && is_sole_cause(cause);
    let line = notice.line();
    is_wrong.then(|| (format!("{line} after {cause}"), format!("was told before {cause} was sent")))
}

/// Says that something was told later behind its cause than it may, where it was.
fn too_late(notice: &Notice, cause: &str, after: Duration) -> Option<(String, String)> {
    let within = notice.within.filter(|within| after > *within)?;
    let line = notice.line();
    Some((format!("{line} within {within:?} after {cause}"), format!("after {after:?}")))
}

/// Tells whether nothing but that message of ours may be what is told of: an application that ends a
/// session may be told so before its BYE or CANCEL is answered.
fn is_sole_cause(kind: &str) -> bool {
    let is_answer = kind.starts_with("SIP ") && kind.ends_with(')');
    !is_answer || (kind.ends_with(" (INVITE)") && kind != "SIP 487 (INVITE)")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::trace::Moment;

    #[test]
    fn what_is_told_at_a_wrong_time_is_found() {
        let notice = |value| Notice::read(&value, (0, 1, Moment::default())).expect("a notice").0;
        let second = Duration::from_secs(1);
        let event = notice(json!({"notification": "chatEventNotification", "within": 900}));
        let told = too_late(&event, "SIP 200 (INVITE)", second).expect("too late");
        assert_eq!(told.0, "chatEventNotification within 900ms after SIP 200 (INVITE)");
        assert_eq!(told.1, "after 1s");
        let event = notice(json!({"notification": "chatEventNotification", "within": 1000}));
        assert_eq!(too_late(&event, "SIP 200 (INVITE)", second), None);
        for (kind, is_wrong) in [
            ("SIP 200 (INVITE)", true),
            ("SIP BYE", true),
            ("MSRP SEND", true),
            ("SIP 603 (INVITE)", true),
            ("SIP 487 (INVITE)", false),
            ("SIP 200 (BYE)", false),
        ] {
            assert_eq!(too_soon(&event, kind).is_some(), is_wrong, "{kind}");
        }
        let group = notice(json!({"notification": "participantStatusNotification"}));
        assert_eq!(too_soon(&group, "SIP 200 (INVITE)"), None);
    }

    #[test]
    fn what_has_to_follow_an_answer_is_known() {
        for (kind, ours, is_so) in [
            ("SIP ACK", "SIP 486 (INVITE)", true),
            ("SIP ACK", "SIP 180 (INVITE)", false),
            ("SIP ACK", "SIP 200 (BYE)", false),
            ("SIP PRACK", "SIP 183 (INVITE)", true),
            ("SIP CANCEL", "SIP 100 (INVITE)", true),
            ("SIP CANCEL", "SIP 200 (INVITE)", false),
            ("SIP BYE", "SIP ACK", true),
            ("SIP BYE", "SIP 200 (INVITE)", true),
            ("SIP INVITE", "SIP 200 (INVITE)", false),
        ] {
            assert_eq!(follows(kind, (ours, false)), is_so, "{kind} {ours}");
            assert!(!follows(kind, (ours, true)), "{kind} {ours}");
        }
    }
}
