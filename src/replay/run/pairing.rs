//! Which notification that was told is which of those that are expected.

use std::collections::{BTreeMap, BTreeSet};

use super::actions::link;
use super::expected::Expected;
use super::notice::Notice;
use super::player::Player;

/// Notifications, set against those that are expected.
pub(super) struct Pairs<'a> {
    pub(super) missing: Vec<&'a Notice>,
    /// Those that were told, each with which one it is.
    pub(super) told: Vec<(&'a Notice, usize)>,
    /// Which of those that were told are expected.
    pub(super) used: BTreeSet<usize>,
}

/// Pairs what was told with what is expected, dialog by dialog and in order.
pub(super) fn pair<'a>(player: &Player<'_>, expected: &'a Expected) -> Pairs<'a> {
    let dialogs: Vec<Option<usize>> =
        (0..player.told.len()).map(|index| dialog_of(player, index)).collect();
    let is_it = |notice: &Notice, index: usize| {
        dialogs[index] == Some(notice.dialog) && notice.is(&player.told[index].0)
    };
    pair_all(&expected.notices, player.told.len(), is_it)
}

/// Pairs so many notifications. Those that must come take theirs first: one that may come must not
/// take it from them.
pub(super) fn pair_all<'a>(
    notices: &'a [Notice],
    count: usize,
    is_it: impl Fn(&Notice, usize) -> bool,
) -> Pairs<'a> {
    let mut pairs = Pairs { missing: Vec::new(), told: Vec::new(), used: BTreeSet::new() };
    for is_optional in [false, true] {
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for notice in notices {
            let known = pairs.told.iter().find(|(known, _)| std::ptr::eq(*known, notice));
            let known = known.map(|(_, index)| *index);
            let from = last.get(&notice.dialog).filter(|_| !notice.unordered);
            let from = from.copied().unwrap_or_default();
            let is_free = |index: &usize| !pairs.used.contains(index) && is_it(notice, *index);
            let found = match known {
                Some(index) => Some(index),
                None if notice.optional == is_optional => (from..count).find(is_free),
                None => None,
            };
            match found {
                Some(index) => {
                    if known.is_none() {
                        pairs.used.insert(index);
                        pairs.told.push((notice, index));
                    }
                    if !notice.unordered {
                        last.insert(notice.dialog, index + 1);
                    }
                }
                None if notice.optional || is_optional => {}
                None => pairs.missing.push(notice),
            }
        }
    }
    pairs
}

/// Finds the dialog whose session a notification links to.
pub(super) fn dialog_of(player: &Player<'_>, told: usize) -> Option<usize> {
    let told = &player.told[told].0;
    let links = told.value["link"].as_array()?;
    let is_of = |url: &str| {
        let below = format!("{url}/");
        links.iter().any(|link| {
            let href = link["href"].as_str().unwrap_or_default();
            href == url || href.starts_with(&below)
        })
    };
    let known = player.sessions.iter().filter(|(_, url)| is_of(url));
    // A group that was joined again has two dialogs and one session: it is told in the first.
    if let Some((dialog, _)) = known.min_by_key(|(dialog, _)| **dialog) {
        return Some(*dialog);
    }
    let own = link(told, "ChatSessionInformation").or_else(|| {
        let own = link(told, "ParticipantInformation")?;
        Some(own.split("/participants/").next()?.to_owned())
    })?;
    let invited = player.script.cues.iter().filter(|cue| cue.ours && cue.kind == "SIP INVITE");
    invited.filter_map(|cue| cue.dialog).find(|dialog| {
        player.invitation_to(*dialog, "ChatSessionInformation").is_some_and(|url| url == own)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_come_takes_nothing_from_what_must() {
        let notice = |optional, unordered| Notice { optional, unordered, ..Notice::default() };
        let pairs = |notices: &[Notice], count| {
            let pairs = pair_all(notices, count, |_, _| true);
            (pairs.missing.len(), pairs.told.len(), pairs.used.len())
        };
        let (must, may, any) = (notice(false, false), notice(true, false), notice(true, true));
        assert_eq!(pairs(&[may.clone(), must.clone()], 1), (0, 1, 1));
        assert_eq!(pairs(&[must.clone(), may.clone()], 2), (0, 2, 2));
        // Only where it may come before the other one, it does.
        assert_eq!(pairs(&[any, must.clone()], 2), (0, 2, 2));
        assert_eq!(pairs(&[must.clone(), must.clone()], 1), (1, 1, 1));
        assert_eq!(pairs(&[may], 0), (0, 0, 0));
        let is_second = |_: &Notice, index: usize| index == 1;
        let two = [must.clone(), must];
        assert_eq!(pair_all(&two, 2, is_second).missing.len(), 1);
    }
}
