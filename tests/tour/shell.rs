//! The shell that a newcomer pastes into.

use std::io::Write;
use std::process::{Command, Stdio};

/// What stands between the outputs of two blocks; no answer of the server contains it.
const BOUNDARY: &str = "\u{1}next block\u{1}";

/// Runs the blocks in one bash, and gives what each of them has printed, faults included.
pub(super) fn run(blocks: &[String]) -> Vec<String> {
    let mut script = "exec 2>&1\n".to_owned();
    for block in blocks {
        script.push_str(&format!("{block}\nprintf '%s' '{BOUNDARY}'\n"));
    }
    // Pasted, not passed as an argument: bash reads its input as a terminal would hand it over.
    let mut bash = Command::new("bash")
        .env("NO_PROXY", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash was found before");
    let mut stdin = bash.stdin.take().expect("it is piped");
    // The script is smaller than a pipe holds, so that nobody waits for the other here.
    stdin.write_all(script.as_bytes()).expect("bash reads its script");
    drop(stdin);
    let output = bash.wait_with_output().expect("bash runs to its end");
    let text = String::from_utf8(output.stdout).expect("everything printed is UTF-8");
    let mut outputs: Vec<String> = text.split(BOUNDARY).map(str::to_owned).collect();
    assert_eq!(outputs.pop().as_deref(), Some(""), "bash left a block before its end: {text}");
    assert_eq!(outputs.len(), blocks.len(), "every block runs: {text}");
    outputs
}

/// Tells whether a tour can be run; where not, says on standard error what is missing.
pub(super) fn is_there() -> bool {
    ["bash", "curl"].into_iter().all(|program| {
        let found = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok();
        if !found {
            eprintln!("note: {program} is not installed here, so the tour was not tried");
        }
        found
    })
}
