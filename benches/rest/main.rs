//! How many messages a second go through the API, and what waiting costs, with a bare actix-web echo
//! beside it in the same run: `cargo bench --bench rest`.
//!
//! A message is a POST of Alice's, its 201, an MSRP SEND on the connection of its session to a far
//! end, and the 200 of that; it counts when both were read. The far end is a SIP and MSRP peer that
//! the client plays itself ([`far_end`]); nobody has subscribed. In further rows Bob is a user of the
//! same bridge behind its embedded IM server, and both poll: there a message is also the
//! notification of Bob and the two of Alice, and counts when Alice was told that it is delivered
//! (`success_on = "hop"`: on the 200).
//!
//! The yardstick takes the same POSTs, reads the JSON, and answers 201 with a Location and the JSON.
//! Servers are processes of their own; clients are this one, on the same cores. Each connection
//! posts as soon as it may: it waits for its answer, and when sixteen of its messages are not
//! delivered, for one of them. Goals are told, not asserted: what else the machine does counts, too.
//!
//! Words behind `--` change the run: `seconds=3`, `rounds=3`, `polls=10000`, `dead=100`, `told=1`;
//! with `0` for one of them, what it is about is left out.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "it prints a table")]

mod chat;
mod client;
mod far_end;
mod process;
mod servers;
mod waiting;

use std::time::Duration;
use std::{env, fmt};

use chat::Chat;
use far_end::FarEnd;
use process::{Kind, Server};

/// How much of the yardstick's rate there has to be.
const RATIO: f64 = 0.35;

/// How many bytes an idle long poll may cost.
const POLL_BYTES: f64 = 8192.0;

/// How much of their rate applications must keep beside dead ones.
const UNDISTURBED: f64 = 0.95;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    if let Some(kind) = words.first().and_then(|word| Kind::of(word)) {
        return servers::run(kind, words.get(1).and_then(|core| core.parse().ok()));
    }
    // `cargo test --benches` runs this too, but wants no figures.
    if !words.iter().any(|word| word == "--bench") {
        return;
    }
    let number = |name: &str, usual: usize| {
        let given = words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        given.map_or(usual, |given| given.parse().expect("a number"))
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let span = Duration::from_secs(number("seconds", 3) as u64);
    let rounds = number("rounds", 3);
    let mut verdict = Verdict::default();
    runtime.block_on(async {
        let is_told = number("told", 1) > 0;
        for connections in [16, 64].into_iter().filter(|_| rounds > 0) {
            speed(connections, (span, rounds), is_told, &mut verdict).await;
        }
        let (dead, polls) = (number("dead", 100), number("polls", 10_000));
        if dead > 0 {
            beside_dead(dead, (span, rounds), &mut verdict).await;
        }
        if polls > 0 {
            waiting(polls, &mut verdict).await;
        }
    });
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

async fn speed(
    connections: usize,
    (span, rounds): (Duration, usize),
    is_told: bool,
    verdict: &mut Verdict,
) {
    println!(
        "\n{connections} connections, {rounds} rounds of {span:?} in turns, the best counts\n"
    );
    println!(
        "| who | messages/s | of the echo | 201, p50 | p99 | delivered, p50 | p99 | CPU per message \
         | resident | refused |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut sides = Vec::new();
    for way in Way::ALL.into_iter().filter(|way| is_told || !matches!(way, Way::Told(_))) {
        let (server, chat) = way.open(connections).await;
        sides.push((way, server, chat, Vec::new()));
    }
    for _ in 0..rounds {
        for (_way, server, chat, runs) in &mut sides {
            runs.push(chat.run(server, span).await);
        }
    }
    let mut echo = None;
    for (way, server, _chat, runs) in sides {
        let best = runs.into_iter().max_by(|a, b| a.rate.total_cmp(&b.rate)).unwrap();
        let ratio = best.rate / *echo.get_or_insert(best.rate);
        println!(
            "| {way} | {:.0} | {ratio:.2} | {best} | {:.1} MB | {} |",
            best.rate,
            server.resident() / 1e6,
            best.refused,
        );
        let what = format!("{RATIO} of the echo, {way}, {connections} connections");
        verdict.hold(ratio >= RATIO || !way.has_goal(), what);
    }
}

/// The way of a message, and of the news of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is only answered.
    Echo,
    /// It is sent to a far end by MSRP, and nobody is told of it.
    Sent(Kind),
    /// It is sent to another user of the bridge, and both are told of it.
    Told(Kind),
}

impl Way {
    const ALL: [Self; 5] = [
        Self::Echo,
        Self::Sent(Kind::Memory),
        Self::Sent(Kind::Sqlite),
        Self::Told(Kind::Memory),
        Self::Told(Kind::Sqlite),
    ];

    async fn open(self, connections: usize) -> (Server, Chat) {
        match self {
            Self::Echo => (Server::start(Kind::Echo, None), Chat::with_nobody(connections)),
            Self::Sent(kind) => {
                let far_end = FarEnd::start().await;
                let server = Server::start(kind, Some(far_end.address()));
                let chat = Chat::with_far_end(&server, far_end, connections).await;
                (server, chat)
            }
            Self::Told(kind) => {
                let server = Server::start(kind, None);
                let chat = Chat::between_users(&server, connections).await;
                (server, chat)
            }
        }
    }

    fn has_goal(self) -> bool {
        match self {
            Self::Sent(_) => true,
            Self::Echo | Self::Told(_) => false,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo => write!(f, "echo"),
            Self::Sent(kind) => write!(f, "store in {}", kind.name()),
            Self::Told(kind) => write!(f, "store in {}, both told and polling", kind.name()),
        }
    }
}

async fn beside_dead(count: usize, (span, rounds): (Duration, usize), verdict: &mut Verdict) {
    println!("\n{count} subscriptions whose applications take connections and never answer\n");
    println!("| store | messages/s beside none | beside them | ratio of the medians |");
    println!("|---|---|---|---|");
    for kind in [Kind::Memory, Kind::Sqlite] {
        let mut sides = Vec::new();
        for dead in [0, count] {
            let server = Server::start(kind, None);
            let hole = waiting::subscribe_dead(&server, dead).await;
            let chat = Chat::between_users(&server, 16).await;
            sides.push((server, chat, hole, Vec::new()));
        }
        for _ in 0..rounds {
            for (server, chat, _hole, rates) in &mut sides {
                rates.push(chat.run(server, span).await.rate);
            }
        }
        let medians: Vec<f64> = sides.iter_mut().map(|side| median(&mut side.3)).collect();
        let ratio = medians[1] / medians[0];
        println!("| {} | {:.0} | {:.0} | {ratio:.2} |", kind.name(), medians[0], medians[1]);
        let what = format!("{UNDISTURBED} of the rate beside dead applications, {}", kind.name());
        verdict.hold(ratio >= UNDISTURBED, what);
    }
}

async fn waiting(count: usize, verdict: &mut Verdict) {
    println!("\n{count} idle long polls, each on a connection and a channel of its own\n");
    println!("| store | resident before | bytes per channel | bytes per poll |");
    println!("|---|---|---|---|");
    for kind in [Kind::Memory, Kind::Sqlite] {
        let server = Server::start(kind, None);
        let [before, opened, polled] = waiting::poll_idly(&server, count).await;
        let count = count as f64;
        let (channel, poll) = ((opened - before) / count, (polled - opened) / count);
        println!("| {} | {:.1} MB | {channel:.0} | {poll:.0} |", kind.name(), before / 1e6);
        verdict.hold(poll <= POLL_BYTES, format!("bytes per idle poll, {}", kind.name()));
    }
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
