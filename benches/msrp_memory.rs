//! What the receiving engine of MSRP allocates for a message, and what a session holds that is idle:
//! `cargo bench --bench msrp_memory`. Counted by the allocator itself, the plain client included.
#![allow(clippy::print_stdout, missing_docs)]

#[path = "msrp_echo/rig.rs"]
#[allow(dead_code, reason = "no time is taken here")]
mod rig;

use std::alloc::System;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use rig::{idle, ours, send};
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> io::Result<()> {
    tell_idle()?;
    for window in [64, 1] {
        println!("window {window}: {:.2} allocations for a message", busy(window)?);
    }
    Ok(())
}

/// Counts what is allocated for a message, with so many under way at once.
fn busy(window: usize) -> io::Result<f64> {
    let place = ours(1)?.place;
    let mut stream = TcpStream::connect(place)?;
    let messages: Vec<Vec<u8>> = (0..ROUNDS * window).map(|at| send(place, 0, at, 200)).collect();
    let rounds: Vec<Vec<u8>> = messages.chunks(window).map(<[_]>::concat).collect();
    let (mut room, mut heap) = (vec![0; 64 * 1024], HEAP.stats());
    for (at, round) in rounds.iter().enumerate() {
        if at == ROUNDS / 2 {
            heap = HEAP.stats();
        }
        stream.write_all(round)?;
        let mut answered = 0;
        while answered < window {
            let read = stream.read(&mut room)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            answered += room[..read].iter().filter(|byte| **byte == b'$').count();
        }
    }
    let Stats { allocations, reallocations, .. } = HEAP.stats() - heap;
    Ok((allocations + reallocations) as f64 / (ROUNDS / 2 * window) as f64)
}

/// Tells what a session holds that has taken a message and waits for another: its connection, its
/// machine and their task, but neither a conversation nor the buffers of the kernel.
fn tell_idle() -> io::Result<()> {
    let heap = HEAP.stats();
    let streams = idle()?;
    let Stats { allocations, deallocations, bytes_allocated, bytes_deallocated, .. } =
        HEAP.stats() - heap;
    let per_session = |all: usize| all as f64 / streams.len() as f64;
    let held = per_session(bytes_allocated.saturating_sub(bytes_deallocated));
    let pieces = per_session(allocations.saturating_sub(deallocations));
    println!("an idle session holds {held:.0} bytes in {pieces:.1} pieces of memory");
    Ok(())
}

/// How often the window is filled; the first half warms up.
const ROUNDS: usize = 1000;
