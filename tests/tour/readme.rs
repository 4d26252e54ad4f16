//! The Quick start of the README against a running server.

use std::time::Duration;
use std::{env, fs};

use chatbridge::app::Running;
use chatbridge::config::Config;

use super::shell;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// Where the README says that the server is.
const SHOWN: &str = "127.0.0.1:8080";

/// How many characters a random identifier has.
const ID: usize = 22;

#[test]
fn the_quick_start_prints_what_the_readme_shows() {
    if !shell::is_there() {
        return;
    }
    let readme = fs::read_to_string(README).expect("the README is there");
    let steps = steps(&readme);
    assert!(steps.len() > 10, "the Quick start has lost its blocks");

    let outputs = against_a_server(&steps);

    let differing: Vec<String> = steps
        .iter()
        .zip(&outputs)
        .filter_map(|(step, printed)| difference(step, printed))
        .collect();
    if !differing.is_empty() && env::var_os("UPDATE").is_some() {
        fs::write(README, updated(&readme, &steps, &outputs)).expect("the README can be written");
        return;
    }
    assert!(differing.is_empty(), "README and server disagree:\n\n{}", differing.join("\n"));
}

/// Runs the steps against a server on free ports, and gives what they print as if it stood where
/// the README says.
fn against_a_server(steps: &[Step]) -> Vec<String> {
    let file = "[rest]\nlisten = \"127.0.0.1:0\"\n[sip]\nlisten = \"127.0.0.1:0\"\n\
                [im_server]\nlisten = \"127.0.0.1:0\"\n[msrp]\nlisten = \"127.0.0.1:0\"\nports = 1\n\
                [store]\nkind = \"memory\"\n";
    let config = Config::read(file, []).expect("a good configuration");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let running = runtime.block_on(Running::start(&config)).expect("free ports");
    let here = running.rest().to_string();
    let blocks: Vec<String> = steps.iter().map(|step| step.script.replace(SHOWN, &here)).collect();

    let outputs = shell::run(&blocks);

    runtime.block_on(running.stop(Duration::from_secs(5)));
    outputs.iter().map(|output| output.replace(&here, SHOWN)).collect()
}

/// A block to paste, and what it must print.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    script: String,
    shown: String,
    /// The lines of the README that `shown` stands in; empty where there are none.
    lines: std::ops::Range<usize>,
}

/// Reads the `bash` blocks of the Quick start, each with the `text` block right below it.
fn steps(readme: &str) -> Vec<Step> {
    let lines: Vec<&str> = readme.lines().collect();
    let is_chapter = |line: &&str| line.starts_with("## ");
    let from = lines.iter().position(|line| *line == "## Quick start").expect("a Quick start");
    let length = lines[from + 1..].iter().position(is_chapter).expect("a chapter behind it");
    let mut steps: Vec<Step> = Vec::new();
    let mut at = from + 1;
    while at <= from + length {
        let fence = lines[at];
        at += 1;
        if !fence.starts_with("```") {
            continue;
        }
        let size = lines[at..].iter().position(|line| *line == "```").expect("a closing fence");
        let block: String = lines[at..at + size].iter().map(|line| format!("{line}\n")).collect();
        let is_below = at >= 2 && lines[at - 2] == "```";
        match (fence, steps.last_mut()) {
            ("```bash", _) => {
                steps.push(Step { script: block, shown: String::new(), lines: 0..0 });
            }
            ("```text", Some(step)) if is_below => {
                (step.shown, step.lines) = (block, at..at + size);
            }
            _ => {}
        }
        at += size + 1;
    }
    steps
}

/// Says how what was printed differs from what is shown, if it does.
fn difference(step: &Step, printed: &str) -> Option<String> {
    let (shown, got) = (masked(&step.shown), masked(printed));
    (shown.trim_end() != got.trim_end())
        .then(|| format!("--- {}--- shows\n{shown}--- prints\n{got}", step.script))
}

/// Puts what was printed in the place of all that is shown, so that identifiers agree throughout.
fn updated(readme: &str, steps: &[Step], outputs: &[String]) -> String {
    let mut lines: Vec<String> = readme.lines().map(str::to_owned).collect();
    for (step, printed) in steps.iter().zip(outputs).rev() {
        if step.lines.start > 0 {
            lines.splice(step.lines.clone(), printed.trim_end().lines().map(str::to_owned));
        }
    }
    lines.join("\n") + "\n"
}

/// Puts `ID` in the place of every identifier: what has their length behind a slash or a quote.
///
/// A life time counts down while the request is served: it loses its digits.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let word = &rest[..length];
        let is_id = length == ID
            && (masked.ends_with('/') || masked.ends_with("\"id\":\""))
            && word.bytes().any(|byte| !byte.is_ascii_lowercase());
        let is_life_time = masked.ends_with("\"channelLifetime\":");
        masked.push_str(match (is_id, is_life_time) {
            (true, _) => "ID",
            (false, true) => "SECONDS",
            (false, false) => word,
        });
        rest = &rest[length..];
        if let Some(other) = rest.chars().next() {
            masked.push(other);
            rest = &rest[other.len_utf8()..];
        }
    }
    masked
}

#[test]
fn a_step_is_a_block_with_what_stands_right_below_it() {
    let readme = "## Quick start\n```sh\nno\n```\n```text\nno\n```\n```bash\none\n```\n```text\n1\n\
                  ```\n\n```bash\ntwo\n```\n\n```text\nno\n```\n## Next\n```bash\nno\n```\n";
    let steps = steps(readme);
    let brief: Vec<(&str, &str)> =
        steps.iter().map(|step| (step.script.as_str(), step.shown.as_str())).collect();
    assert_eq!(brief, [("one\n", "1\n"), ("two\n", "")]);
}

#[test]
fn only_what_differs_by_its_nature_is_masked() {
    assert_eq!(
        masked("{\"id\":\"abcdefghijklmnopqrstu1\",\"x\":\"/s/ABCDEFGHIJKLMNOPQRSTUV/status\"}"),
        "{\"id\":\"ID\",\"x\":\"/s/ID/status\"}"
    );
    assert_eq!(masked("\"channelLifetime\":86399,"), "\"channelLifetime\":SECONDS,");
    let kept = "{\"chatSessionInformation\":{\"status\":\"Invited\"},\"maxNotifications\":100}";
    assert_eq!(masked(kept), kept);
}

#[test]
fn one_word_too_many_is_a_difference_and_is_written_back() {
    let readme = "## Quick start\n```bash\nx\n```\n```text\nold\n```\n## Next\n";
    let steps = steps(readme);
    assert_eq!(difference(&steps[0], "old\n"), None);
    assert!(difference(&steps[0], "new\n").is_some());
    let updated = updated(readme, &steps, &["new\nlines\n".to_owned()]);
    assert_eq!(updated, readme.replace("old", "new\nlines"));
}
