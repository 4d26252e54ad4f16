//! What the system tells of processes, and the table's row that comes of it.

use std::fmt;
use std::fs;
use std::process::Child;
use std::time::Duration;

/// What a run of many dialogs has cost.
pub(crate) struct Run {
    pub(crate) rate: f64,
    /// Seconds of CPU per dialog, both sides.
    pub(crate) cpu: f64,
    pub(crate) failed: usize,
}

impl Run {
    pub(crate) fn new(calls: usize, failed: usize, wall: Duration, cpu: f64) -> Self {
        let calls = calls as f64;
        Self { rate: calls / wall.as_secs_f64(), cpu: cpu / calls, failed }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} | {:.1} µs | {}", self.rate, self.cpu * 1e6, self.failed)
    }
}

/// Gives the seconds of CPU of all children that have ended so far.
pub(crate) fn cpu_of_children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("the system tells of processes");
    // The name in brackets may hold anything; `cutime` and `cstime` are the 16th and 17th.
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks = behind.split_whitespace().skip(13).take(2).filter_map(|it| it.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

/// `USER_HZ`, which is 100 on every Linux that this is built for.
const TICKS: f64 = 100.0;

/// Gives the bytes that a process holds in memory.
pub(crate) fn resident(child: &Child) -> f64 {
    let path = format!("/proc/{}/statm", child.id());
    let statm = fs::read_to_string(path).expect("the system tells of processes");
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.expect("the second is the resident size") * PAGE
}

const PAGE: f64 = 4096.0;
