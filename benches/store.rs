//! What it costs to keep a notification: one commit after the other, and many at a time.
//!
//! `cargo bench --bench store -- [FILE]`; without a file, one in the directory for temporary files,
//! which may lie in memory: what counts is the disk that the store shall lie on.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chatbridge::address::Address;
use chatbridge::chat::{Notice, NoticeKind, Party, ReportRequest, SessionKind};
use chatbridge::ids::{MessageId, NotificationId, SessionId, SubscriptionId};
use chatbridge::store::Content;
use chatbridge::store::durable::{Change, NotificationRecord, Sqlite, SqliteSettings, Store};
use time::OffsetDateTime;

fn main() {
    let named = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let path = named.map_or_else(
        || std::env::temp_dir().join(format!("chatbridge-bench-{}.db", std::process::id())),
        PathBuf::from,
    );
    println!("store {}", path.display());
    let settings = SqliteSettings { path: path.clone(), queue: 65_536, max_size: 1 << 32 };
    let store = Sqlite::open(&settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut next = 0;
    for in_flight in [1, 16, 256, 4096] {
        runtime.block_on(keep(&store, in_flight, &mut next));
    }
    drop(store);
    for suffix in ["", "-wal", "-shm"] {
        // Not all of them are there.
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
}

/// Keeps notifications for two seconds, so many at a time, each ended by a later one.
async fn keep(store: &Sqlite, in_flight: usize, next: &mut u64) {
    let (began, mut done, mut latencies) = (Instant::now(), 0_u64, Vec::new());
    let mut waiting = VecDeque::new();
    while began.elapsed() < Duration::from_secs(2) {
        while waiting.len() < in_flight {
            *next += 1;
            waiting.push_back((Instant::now(), *next, store.commit(put(*next).into())));
        }
        let (at, sequence, outcome) = waiting.pop_front().unwrap();
        outcome.await.unwrap();
        latencies.push(at.elapsed());
        store.write_behind(Change::EndNotification(sequence).into());
        done += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    for (_, _, outcome) in waiting {
        outcome.await.unwrap();
    }
    latencies.sort();
    let at = |part: usize| latencies[(latencies.len() - 1) * part / 100];
    println!(
        "{in_flight:5} at a time: {:8.0} notifications/s, p50 {:?}, p99 {:?}",
        f64::from(u32::try_from(done).unwrap()) / seconds,
        at(50),
        at(99)
    );
}

fn put(sequence: u64) -> Change {
    let alice = Address::parse("tel:+19585550100").unwrap();
    let kind = NoticeKind::Message {
        id: MessageId::new("d6KxUX3sTqB4tDnjVfZ9Qm"),
        sender: Party { address: alice.clone(), name: None },
        text: "Hello, this is a message of the usual length.".into(),
        reports: ReportRequest::default(),
        echo: false,
    };
    let (session, at) = (SessionId::new("cwEhxLJBjm6zLkuEGRv4Yw"), OffsetDateTime::UNIX_EPOCH);
    Change::PutNotification(NotificationRecord {
        sequence,
        id: NotificationId::new(format!("n{sequence:021}")),
        subscription: SubscriptionId::new("U0yNXm2QUFRD22RsBiZMKD"),
        content: Content::Notice(Arc::new(Notice {
            user: alice,
            session,
            of: SessionKind::Pair,
            at,
            kind,
        })),
    })
}
