//! The classic mistakes of SIP stacks, one test or more for each: `m07_…` is mistake 7.
//!
//! | mistakes | where |
//! |---|---|
//! | 1 to 6, 24 to 26, 38, 41: calls, their ends, their names | `calls` |
//! | 7 to 10, 28, 34: changes of a session, timers, reliable responses | `sessions` |
//! | 11 to 16: numbers, tags, routes, targets | `dialogs` |
//! | 17 to 22, 40: what a request must carry, and where its answer goes | `requests` |
//! | 23: challenges | `access` |
//! | 29, 35: subscriptions and references | `usages` |
//! | 30 to 32: transactions | `transactions` |
//! | 33, 36, 37, 42: bytes | `messages` |
//! | 27, 39: what a bridge must not do | `tests/flows/mistakes.rs` |

mod access;
mod calls;
mod dialogs;
mod messages;
mod requests;
mod sessions;
mod transactions;
mod usages;

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

/// The mistakes are numbered from 1 to 42.
const MISTAKES: RangeInclusive<u32> = 1..=42;

#[test]
fn no_mistake_is_without_its_test() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files = vec![tests.join("flows/mistakes.rs")];
    let folder = fs::read_dir(tests.join("sip/mistakes")).unwrap();
    files.extend(folder.map(|entry| entry.unwrap().path()));
    let mut found = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in
            lines.windows(2).filter(|pair| pair[0] == "#[test]" || pair[0] == "#[tokio::test]")
        {
            let name = pair[1].trim_start_matches("async ").strip_prefix("fn m");
            let number =
                name.and_then(|name| name.split_once('_')).and_then(|(it, _)| it.parse().ok());
            found.extend(number.filter(|number: &u32| MISTAKES.contains(number)));
        }
    }
    let missing: Vec<_> = MISTAKES.filter(|number| !found.contains(number)).collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
}
