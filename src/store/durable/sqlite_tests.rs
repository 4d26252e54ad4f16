//! What is asked of the store in a file beyond what is asked of every store.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::Connection;

use super::conformance::Bench;
use super::{Change, SessionRecord, Sqlite, SqliteSettings, Store, StoreError};
use crate::address::Address;
use crate::ids::SessionId;

/// A file of its own, which goes with the test.
pub(super) struct SqliteBench(PathBuf);

impl Default for SqliteBench {
    fn default() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("chatbridge-store-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for SqliteBench {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

impl Bench for SqliteBench {
    type Store = Sqlite;

    fn open(&mut self) -> Sqlite {
        Sqlite::open(&self.settings()).unwrap()
    }
}

impl SqliteBench {
    fn path(&self) -> PathBuf {
        self.0.join("chatbridge.db")
    }

    fn settings(&self) -> SqliteSettings {
        SqliteSettings { path: self.path(), queue: 4096, max_size: 1 << 30 }
    }

    /// Demands that the file cannot be used, and that the error names it and says `why`.
    fn refuses(&self, why: &str) {
        Self::refuses_path(&self.path(), why);
    }

    fn refuses_path(path: &Path, why: &str) {
        let settings = SqliteSettings { path: path.to_owned(), queue: 1, max_size: 1 << 30 };
        let error = Sqlite::open(&settings).expect_err("a store that cannot be used");
        let text = error.to_string();
        assert!(text.contains(&*path.to_string_lossy()) && text.contains(why), "{text}");
    }
}

#[test]
fn what_is_no_database_is_refused() {
    let bench = SqliteBench::default();
    for bytes in [&[b'x'; 8192][..], b"SQLite format 3\0 and then nothing of the kind"] {
        fs::write(bench.path(), bytes).unwrap();
        bench.refuses("is damaged");
        assert_eq!(fs::read(bench.path()).unwrap(), bytes, "it is left as it was");
    }
}

#[tokio::test]
async fn a_torn_page_is_found_at_the_start() {
    let mut bench = SqliteBench::default();
    let store = bench.open();
    for number in 0..200 {
        store.commit(put(&format!("{number}{}", "x".repeat(500))).into()).await.unwrap();
    }
    store.close().await.unwrap();
    let mut bytes = fs::read(bench.path()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(bench.path(), bytes).unwrap();
    bench.refuses("is damaged");
}

#[test]
fn a_newer_version_and_another_program_are_refused() {
    let mut bench = SqliteBench::default();
    drop(bench.open());
    let newer = Connection::open(bench.path()).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(newer);
    bench.refuses("has version 99");

    let bench = SqliteBench::default();
    let other = Connection::open(bench.path()).unwrap();
    other.execute_batch("CREATE TABLE cookies (name TEXT)").unwrap();
    drop(other);
    bench.refuses("another program");
}

/// One row must not keep the others from being served, nor be lost.
#[tokio::test]
async fn a_row_that_cannot_be_read_is_set_aside() {
    let mut bench = SqliteBench::default();
    drop(bench.open());
    let connection = Connection::open(bench.path()).unwrap();
    connection
        .execute_batch(
            "INSERT INTO sessions VALUES ('bad', 'fax:1', 0), ('good', 'tel:+1', 1);
             INSERT INTO answers VALUES ('tel:+1', 'tel:+1', 'c', 'it''s', '', 1, 'l', x'ff00');
             INSERT INTO subscriptions VALUES
                ('bad', 'tel:+1', 'b', 'r', 'n', NULL, 'YAML', NULL, NULL, NULL, 1);
             INSERT INTO notifications VALUES (7, 'n', 'bad', '{}'), (8, 'm', 'other', '{}');",
        )
        .unwrap();
    drop(connection);

    for _start in 0..2 {
        let store = bench.open();
        let contents = store.load().await.unwrap();
        let ids: Vec<&str> = contents.sessions.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["good"]);
        assert!(contents.answers.is_empty() && contents.subscriptions.is_empty());
        assert!(contents.notifications.is_empty());
        store.close().await.unwrap();
    }

    let connection = Connection::open(bench.path()).unwrap();
    assert_eq!(
        texts(&connection, "SELECT why || ' <- ' || put_back FROM set_aside ORDER BY rowid"),
        [
            "its subscription was set aside: format is missing or wrong <- \
             INSERT INTO notifications VALUES (7, 'n', 'bad', '{}');",
            "format is missing or wrong <- INSERT INTO subscriptions VALUES \
             ('bad', 'tel:+1', 'b', 'r', 'n', NULL, 'YAML', NULL, NULL, NULL, 1);",
            "user is missing or wrong <- \
             INSERT INTO notifications VALUES (8, 'm', 'other', '{}');",
            "document is missing or wrong <- INSERT INTO answers VALUES \
             ('tel:+1', 'tel:+1', 'c', 'it''s', '', 1, 'l', X'FF00');",
            "user is missing or wrong <- INSERT INTO sessions VALUES ('bad', 'fax:1', 0);",
        ]
    );
    // Once it is mended, it comes back.
    let [mended] = &texts(
        &connection,
        "SELECT replace(put_back, 'fax:1', 'tel:+2') FROM set_aside WHERE put_back LIKE '%fax%'",
    )[..] else {
        panic!("one row");
    };
    connection.execute_batch(mended).unwrap();
    drop(connection);
    assert_eq!(bench.open().load().await.unwrap().sessions.len(), 2);
}

/// Where a row can neither be read nor set aside, it is told which one it is.
#[test]
fn a_row_that_cannot_be_set_aside_is_named() {
    let mut bench = SqliteBench::default();
    drop(bench.open());
    let connection = Connection::open(bench.path()).unwrap();
    connection.execute_batch("INSERT INTO sessions VALUES ('bad', 'fax:1', 0)").unwrap();
    connection.execute_batch("PRAGMA query_only = ON").unwrap();
    let fault = super::rows::load(&connection).unwrap_err();
    let row = fault.unreadable.unwrap();
    assert_eq!((row.table, row.rowid), ("sessions", 1));
    assert!(fault.error.to_string().contains("readonly"), "{}", fault.error);
}

fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let texts = statement.query_map([], |row| row.get(0)).unwrap();
    texts.map(|text| text.unwrap()).collect()
}

#[test]
fn a_path_that_is_no_file_is_refused() {
    let bench = SqliteBench::default();
    SqliteBench::refuses_path(&bench.0, "is a directory");
    SqliteBench::refuses_path(&bench.0.join("no/such/dir.db"), "its directory does not exist");
}

#[test]
fn two_processes_do_not_share_a_file() {
    let mut bench = SqliteBench::default();
    let _first = bench.open();
    bench.refuses("is in use by another process");
}

#[test]
fn nobody_else_can_read_the_file() {
    let mut bench = SqliteBench::default();
    let _store = bench.open();
    for entry in fs::read_dir(&bench.0).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn f2_a_full_store_says_so_and_recovers_when_there_is_room() {
    let bench = SqliteBench::default();
    let store = Sqlite::open(&SqliteSettings { max_size: 0, ..bench.settings() }).unwrap();
    let mut kept = Vec::new();
    let error = loop {
        let name = format!("{}{}", kept.len(), "x".repeat(3000));
        match store.commit(put(&name).into()).await {
            Ok(()) => kept.push(name),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, StoreError::Unwritable(why) if why.contains("is full")), "{error}");
    assert!(store.health().fault().is_some_and(|why| why.contains("is full")));
    // What was told is there, and nothing that was not.
    let ids = |sessions: Vec<SessionRecord>| -> Vec<String> {
        sessions.iter().map(|session| session.id.to_string()).collect()
    };
    assert_eq!(ids(store.load().await.unwrap().sessions), kept);

    for name in kept.drain(..10) {
        store.write_behind(Change::EndSession(SessionId::new(name)).into());
    }
    // The next probe finds the room, without anybody asking.
    while !store.health().is_good() {
        tokio::task::yield_now().await;
    }
    store.commit(put("new").into()).await.unwrap();
    kept.push("new".to_owned());
    assert_eq!(ids(store.load().await.unwrap().sessions), kept);
}

#[tokio::test]
async fn a_full_queue_is_told_at_once() {
    let bench = SqliteBench::default();
    let store = Sqlite::open(&SqliteSettings { queue: 1, ..bench.settings() }).unwrap();
    let outcomes: Vec<_> = (0..1000).map(|n| store.commit(put(&n.to_string()).into())).collect();
    let mut written = 0;
    for outcome in outcomes {
        match outcome.await {
            Ok(()) => written += 1,
            Err(error) => assert_eq!(error, StoreError::Full),
        }
    }
    let loaded = loop {
        match store.load().await {
            Ok(contents) => break contents.sessions.len(),
            Err(error) => assert_eq!(error, StoreError::Full),
        }
    };
    assert_eq!(loaded, written);
}

fn put(id: &str) -> Change {
    let user = Address::parse("tel:+19585550100").unwrap();
    Change::PutSession(SessionRecord {
        id: SessionId::new(id),
        user,
        kind: crate::chat::SessionKind::Pair,
    })
}
