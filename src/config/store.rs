//! The section of the store: where what outlives a restart is kept.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::{Choice, Reader};

/// `[store]`: what outlives a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// What keeps it.
    pub kind: StoreKind,
    /// The file.
    pub path: PathBuf,
    /// How large the file may become, in bytes.
    pub max_size: u64,
    /// How many writes wait for the store.
    pub queue: usize,
    /// How long a write may take.
    pub commit_timeout: Duration,
}

/// What keeps what outlives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// One SQLite file.
    Sqlite,
    /// Nothing: it is gone with the process.
    Memory,
}

impl Choice for StoreKind {
    const WORDS: &'static [(&'static str, Self)] =
        &[("sqlite", Self::Sqlite), ("memory", Self::Memory)];
}

/// The file, where no other is named.
const FILE: &str = "chatbridge.db";

impl Store {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut keys = reader.section("store");
        Self {
            kind: keys.choice("kind"),
            path: keys.file("path").unwrap_or_else(|| keys.home().join(FILE)),
            max_size: u64::from(keys.number("max_mb", 4096, 64..=4_194_304)) << 20,
            queue: keys.count("queue", 4096, 1..=1_000_000),
            commit_timeout: keys.seconds("commit_timeout_s", 5, 1..=60),
        }
    }
}
