//! How many dialogs a second, and at what price, with SIPp beside it in the same run:
//! `cargo bench --bench sip_dialogs`.
//!
//! A dialog is INVITE, a provisional response, 200, ACK, BYE, 200: six messages, of ours as of
//! SIPp's own `uac` and `uas`. Caller and callee are two processes with one thread each, on real
//! loopback sockets; both are ours, or both SIPp's. CPU time is what the system counts for both
//! processes, from their start to their end. Where there is no `sipp`, its rows are left out.
//! Goals are told, not asserted: what else the machine does counts, too.
//!
//! Words behind `--` change the run: `calls=20000`, `open=5000`, `flat=100000`, `only=udp`.
#![allow(clippy::print_stdout, missing_docs, reason = "a program that prints a table")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "it looks only at what a dialog begins and ends with"
)]

mod ours;
mod process;
mod shard;
mod sipp;
mod tasks;

use std::env;

use chatbridge::sip::Transport;

use ours::{Model, Order};

/// How many dialogs are under way at once.
const CONCURRENCY: usize = 50;

/// How many dialogs a second there have to be.
const RATE: f64 = 10_000.0;

/// How many bytes an open dialog may cost each side.
const OPEN_BYTES: f64 = 4096.0;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    if let Some(order) = Order::of(&words) {
        return ours::run(&order);
    }
    // `cargo test --benches` runs this too, but wants no figures.
    if !words.iter().any(|word| word == "--bench") {
        return;
    }
    let number = |name: &str, usual: usize| {
        let given = words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        given.map_or(usual, |given| given.parse().expect("a number"))
    };
    let only = words.iter().find_map(|word| word.strip_prefix("only="));
    let transports = [Transport::Udp, Transport::Tcp]
        .into_iter()
        .filter(|transport| only.is_none_or(|only| only == transport.param()));
    let mut verdict = Verdict::default();
    for transport in transports {
        speed(transport, number("calls", 100_000), &mut verdict);
        open(transport, number("open", 20_000), &mut verdict);
        flat(transport, number("flat", 200_000), &mut verdict);
    }
    match verdict.misses.as_slice() {
        [] => println!("\nall goals are met"),
        misses => println!("\nmissed: {}", misses.join("; ")),
    }
}

/// What has not come out as it should.
#[derive(Default)]
struct Verdict {
    misses: Vec<String>,
}

impl Verdict {
    fn hold(&mut self, is_met: bool, goal: String) {
        if !is_met {
            self.misses.push(goal);
        }
    }
}

fn speed(transport: Transport, calls: usize, verdict: &mut Verdict) {
    println!("\n{calls} dialogs over {transport}, {CONCURRENCY} at a time\n");
    println!("| who | dialogs/s | CPU per dialog, both sides | failed |");
    println!("|---|---|---|---|");
    let mut best = None;
    for model in [Model::Shard, Model::Tasks] {
        let run = ours::speed(transport, model, calls);
        println!("| ours, {} | {run} |", model.name());
        verdict.hold(run.failed == 0, format!("{} dialogs failed over {transport}", run.failed));
        if best.as_ref().is_none_or(|best: &process::Run| run.cpu < best.cpu) {
            best = Some(run);
        }
    }
    let best = best.expect("there are two models");
    verdict.hold(best.rate >= RATE, format!("{RATE} dialogs/s over {transport}"));
    match sipp::speed(transport, calls) {
        Some(theirs) => {
            println!("| SIPp | {theirs} |");
            let ratio = best.cpu / theirs.cpu;
            println!("\nCPU per dialog, ours / SIPp: {ratio:.2}");
            verdict.hold(ratio <= 1.0, format!("CPU of SIPp over {transport}"));
        }
        None => println!("\nthere is no sipp here"),
    }
}

fn open(transport: Transport, calls: usize, verdict: &mut Verdict) {
    println!("\n{calls} dialogs over {transport}, all open at once\n");
    println!("| side | bytes per open dialog |");
    println!("|---|---|");
    for (side, bytes) in ["caller", "callee"].into_iter().zip(ours::open(transport, calls)) {
        println!("| {side} | {bytes:.0} |");
        verdict.hold(bytes <= OPEN_BYTES, format!("bytes per open dialog of a {side}"));
    }
}

fn flat(transport: Transport, calls: usize, verdict: &mut Verdict) {
    println!(
        "\n{calls} dialogs over {transport}, {CONCURRENCY} at a time, T1 = {:?}\n",
        ours::FLAT_T1
    );
    println!("| side | MB after {} | MB after {calls} |", calls / 4);
    println!("|---|---|---|");
    let sides = ours::flat(transport, calls);
    for (side, [early, late]) in ["caller", "callee"].into_iter().zip(sides) {
        println!("| {side} | {:.1} | {:.1} |", early / 1e6, late / 1e6);
        // What an allocator does not give back is no leak; what grows with the calls is.
        verdict.hold(late <= early * 1.1 + 2e6, format!("flat memory of a {side}"));
    }
}
