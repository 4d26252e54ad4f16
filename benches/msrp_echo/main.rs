//! How fast SENDs are answered over one connection of loopback, beside a raw echo in the same run:
//! `cargo bench --bench msrp_echo`.
//!
//! Ours is the receiving engine as the product has it: listener, link and session machine in one
//! thread. The echo finds end-lines with `memmem`, reads nothing else, and writes a 200 of like
//! size. One client serves both in turns, and the best round of each counts: what else runs on the
//! machine disturbs all alike. The ratio of the middle rounds stands beside it, for the best of the
//! one may have been on two cores and the best of the other on one. What is allocated is counted by
//! another bench, `msrp_memory`, because to count takes time, too. The time on a processor is that of
//! the thread that serves, by the count of the kernel.
#![allow(clippy::print_stdout, missing_docs)]

mod rig;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use memchr::memmem::Finder;
use rig::{Served, idle, ours, send};

fn main() -> io::Result<()> {
    // In a process that has not done anything else yet.
    let before = resident()?;
    let idle = idle()?;
    let grown = resident()?.saturating_sub(before) / idle.len();
    println!("an idle session: {grown} bytes resident\n");
    drop(idle);
    println!(
        "| window | body | ours | raw echo | ours / echo | by the middle rounds | CPU of ours \
         | of the echo |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (window, body) in [(64, 200), (64, 2048), (1, 200)] {
        let mut peers = [Peer::connect(&ours(1)?, body)?, Peer::connect(&echo()?, body)?];
        let mut rounds = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (peer, rounds) in peers.iter_mut().zip(&mut rounds) {
                rounds.push(peer.round(window)?);
            }
        }
        let is_alone = window == 1;
        let time = |round: &Round| if is_alone { round.p50 } else { round.seconds };
        let [best, middle] =
            [0, ROUNDS / 2].map(|at| rounds.each_ref().map(|rounds| nth(rounds, at, time)));
        let ratio = |[ours, echo]: [f64; 2]| if is_alone { ours / echo } else { echo / ours };
        let figures = best.map(|time| match is_alone {
            true => format!("p50 {:.1} µs", time * 1e6),
            false => format!("{:.0} k/s", 1e-3 / time),
        });
        let busy = rounds.each_ref().map(|rounds| nth(rounds, 0, |round| round.busy) * 1e6);
        println!(
            "| {window} | {body} | {} | {:.2} | {:.2} | {:.2} µs | {:.2} µs |",
            figures.join(" | "),
            ratio(best),
            ratio(middle),
            busy[0],
            busy[1]
        );
    }
    Ok(())
}

/// The resident memory of this process, in bytes.
fn resident() -> io::Result<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.map(|pages| pages * 4096).ok_or_else(|| io::Error::other("statm is strange"))
}

/// Many and short: the kernel puts the threads now on one core and now on two, and each of the two is
/// to have had the better of it.
const ROUNDS: usize = 40;
const ROUND: Duration = Duration::from_millis(80);
/// How many different messages there are.
const MESSAGES: usize = 8192;

/// What is measured in one round.
struct Round {
    /// How long a message took.
    seconds: f64,
    /// Half of the waits were shorter, in seconds.
    p50: f64,
    /// How long the serving thread was on a processor for a message, in seconds.
    busy: f64,
}

/// Gives the value that so many of the rounds are below.
fn nth(rounds: &[Round], at: usize, value: impl Fn(&Round) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values[at]
}

/// Tells how long a thread has been on a processor, in seconds.
fn busy(schedstat: &PathBuf) -> io::Result<f64> {
    let stat = std::fs::read_to_string(schedstat)?;
    let nanoseconds = stat.split(' ').next().and_then(|it| it.parse::<f64>().ok());
    nanoseconds.map(|it| it * 1e-9).ok_or_else(|| io::Error::other("schedstat is strange"))
}

/// The client on one connection.
struct Peer {
    stream: TcpStream,
    schedstat: PathBuf,
    messages: Vec<Vec<u8>>,
    next: usize,
    end_lines: Finder<'static>,
}

impl Peer {
    fn connect(served: &Served, body: usize) -> io::Result<Self> {
        let (place, schedstat) = (served.place, served.schedstat.clone());
        let stream = TcpStream::connect(place)?;
        stream.set_nodelay(true)?;
        let messages = (0..MESSAGES).map(|at| send(place, 0, at, body)).collect();
        Ok(Self { stream, schedstat, messages, next: 0, end_lines: Finder::new(b"\r\n-------") })
    }

    /// Keeps `window` messages in flight for a while.
    fn round(&mut self, window: usize) -> io::Result<Round> {
        let (begun, mut answered, mut waits) = (Instant::now(), 0_usize, Vec::new());
        let busy_before = busy(&self.schedstat)?;
        let (mut seen, mut out) = (vec![0; 64 * 1024], Vec::new());
        let (mut kept, mut free) = (0, window);
        loop {
            out.clear();
            if begun.elapsed() < ROUND {
                for _ in 0..std::mem::take(&mut free) {
                    out.extend_from_slice(&self.messages[self.next % MESSAGES]);
                    self.next += 1;
                }
            } else if free == window {
                break;
            }
            let asked = Instant::now();
            self.stream.write_all(&out)?;
            let read = self.stream.read(&mut seen[kept..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            waits.push(asked.elapsed());
            let (count, rest) = count(&self.end_lines, &seen[..kept + read]);
            seen.copy_within(rest..kept + read, 0);
            kept = kept + read - rest;
            answered += count;
            free += count;
        }
        waits.sort_unstable();
        let seconds = begun.elapsed().as_secs_f64() / answered as f64;
        let busy = (busy(&self.schedstat)? - busy_before) / answered as f64;
        Ok(Round { seconds, p50: waits[waits.len() / 2].as_secs_f64(), busy })
    }
}

/// Counts frames, and tells where the last whole one ends.
fn count(end_lines: &Finder<'_>, bytes: &[u8]) -> (usize, usize) {
    let (mut count, mut rest) = (0, 0);
    for at in end_lines.find_iter(bytes) {
        let Some(length) = bytes[at + 9..].iter().position(|byte| *byte == b'\n') else { break };
        count += 1;
        rest = at + 9 + length + 1;
    }
    (count, rest)
}

/// Starts the echo.
fn echo() -> io::Result<Served> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let place = listener.local_addr()?;
    let (told, served) = mpsc::channel();
    thread::spawn(move || -> io::Result<()> {
        told.send(Served::here(place)).map_err(io::Error::other)?;
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let end_lines = Finder::new(b"\r\n-------");
        let (mut seen, mut out, mut kept) = (vec![0; 64 * 1024], Vec::new(), 0);
        loop {
            let read = stream.read(&mut seen[kept..])?;
            if read == 0 {
                return Ok(());
            }
            let bytes = &seen[..kept + read];
            let mut rest = 0;
            out.clear();
            for at in end_lines.find_iter(bytes) {
                let Some(length) = bytes[at + 9..].iter().position(|byte| *byte == b'\n') else {
                    break;
                };
                let tid = &bytes[at + 9..at + 9 + length - 2];
                out.extend_from_slice(b"MSRP ");
                out.extend_from_slice(tid);
                out.extend_from_slice(LIKE_A_RESPONSE);
                out.extend_from_slice(tid);
                out.extend_from_slice(b"$\r\n");
                rest = at + 9 + length + 1;
            }
            let end = kept + read;
            seen.copy_within(rest..end, 0);
            kept = end - rest;
            stream.write_all(&out)?;
        }
    });
    served.recv().map_err(io::Error::other)
}

const LIKE_A_RESPONSE: &[u8] =
    b" 200 OK\r\nTo-Path: msrp://127.0.0.1:9/peer-of-the-session;tcp\r\n\
    From-Path: msrp://127.0.0.1:34567/session;tcp\r\n-------";
