//! A store in one file: SQLite with a write-ahead log that is on the disk before a commit is told.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::oneshot;

use super::rows;
use super::writer::{Behind, Order, Writer};
use super::{Batch, Contents, Health, Outcome, Store, StoreError};

/// How the store is kept; a part of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteSettings {
    /// The file; it is made where there is none. Its log lies beside it.
    pub path: PathBuf,
    /// How many batches wait for the writer before more are refused.
    pub queue: usize,
    /// How large the file may become, in bytes.
    pub max_size: u64,
}

/// The store.
#[derive(Debug)]
pub struct Sqlite {
    orders: Option<SyncSender<Order>>,
    behind: Behind,
    health: Health,
    writer: Option<JoinHandle<()>>,
}

/// Marks the file as ours: "chbr".
const APPLICATION: i32 = 0x6368_6272;

/// The version of the tables in `rows`.
const VERSION: i32 = 1;

/// How long another process may take to let go of the file.
const BUSY: Duration = Duration::from_secs(2);

/// The size of a page, in bytes.
const PAGE: u64 = 4096;

impl Sqlite {
    /// Opens the file, or makes it, and starts the thread that writes.
    ///
    /// # Errors
    /// The file cannot be opened or written, is damaged, is in use, or is none of ours; the error
    /// names it and says what would be right.
    pub fn open(settings: &SqliteSettings) -> Result<Self, StoreError> {
        let unusable = |what| StoreError::Unusable { path: settings.path.clone(), what };
        let connection = connect(settings).map_err(unusable)?;
        let (behind, health) = (Behind::default(), Health::good());
        let (orders, waiting) = sync_channel(settings.queue.max(1));
        let writer = Writer {
            connection,
            orders: waiting,
            behind: behind.clone(),
            health: health.clone(),
            describe,
        };
        let thread = thread::Builder::new().name("store".to_owned()).spawn(move || writer.run());
        let writer = thread.map_err(|error| unusable(format!("has no thread: {error}")))?;
        Ok(Self { orders: Some(orders), behind, health, writer: Some(writer) })
    }

    fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Order,
    ) -> Outcome<T> {
        let Some(orders) = &self.orders else { return Outcome::known(Err(StoreError::Closed)) };
        let (reply, told) = oneshot::channel();
        match orders.try_send(order(reply)) {
            Ok(()) => Outcome::coming(told),
            Err(TrySendError::Full(_)) => Outcome::known(Err(StoreError::Full)),
            Err(TrySendError::Disconnected(_)) => Outcome::known(Err(StoreError::Closed)),
        }
    }
}

impl Store for Sqlite {
    fn load(&self) -> Outcome<Contents> {
        self.order(Order::Load)
    }

    fn commit(&self, batch: Batch) -> Outcome<()> {
        if batch.is_empty() {
            return Outcome::known(Ok(()));
        }
        self.order(|reply| Order::Commit(batch, reply))
    }

    fn write_behind(&self, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        let is_first = self.behind.push(batch);
        if let Some(orders) = self.orders.as_ref().filter(|_| is_first) {
            // Where the queue is full, the thread looks there in any case.
            drop(orders.try_send(Order::Behind));
        }
    }

    fn is_lasting(&self) -> bool {
        true
    }

    fn health(&self) -> Health {
        self.health.clone()
    }

    fn close(&self) -> Outcome<()> {
        self.order(Order::Close)
    }
}

impl Drop for Sqlite {
    /// Waits until the thread has written what waits: whoever opens the file next finds it free.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the thread of the store has panicked");
        }
    }
}

/// Opens the file and brings it to our version.
fn connect(settings: &SqliteSettings) -> Result<Connection, String> {
    make_private(&settings.path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(&settings.path, flags).map_err(|e| describe(&e))?;
    prepare(&connection, settings.max_size).map_err(|fault| match fault {
        Fault::Sqlite(error) => describe(&error),
        Fault::Other(what) => what,
    })?;
    Ok(connection)
}

/// Makes the file where there is none, readable for its owner alone: chats are private, and the
/// URLs of channels are keys to them. SQLite gives its log the same permissions.
fn make_private(path: &Path) -> Result<(), String> {
    let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    made.map(drop).map_err(|error| {
        use io::ErrorKind as Kind;
        let kind = error.kind();
        if kind == Kind::NotFound {
            let what = "cannot be made: its directory does not exist; make it, or set [store] path";
            what.to_owned()
        } else if kind == Kind::IsADirectory {
            "is a directory; set [store] path to a file".to_owned()
        } else if [Kind::PermissionDenied, Kind::ReadOnlyFilesystem].contains(&kind) {
            unwritable(&error)
        } else {
            format!("cannot be opened: {error}")
        }
    })
}

/// What stands in the way of a connection.
enum Fault {
    Sqlite(rusqlite::Error),
    Other(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn prepare(connection: &Connection, max_size: u64) -> Result<(), Fault> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(32);
    // Two bridges with one file would deliver everything twice.
    connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;")?;
    // A commit that was told has left the cache of the system.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;")?;
    connection.pragma_update(
        None,
        "max_page_count",
        i64::try_from(max_size / PAGE).unwrap_or(i64::MAX).max(64),
    )?;
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version) {
        (0, 0) if tables == 0 => connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {} PRAGMA application_id = {APPLICATION}; \
             PRAGMA user_version = {VERSION}; COMMIT;",
            rows::SCHEMA
        ))?,
        (APPLICATION, VERSION) => {}
        (APPLICATION, newer) => {
            let what = format!(
                "has version {newer}, and this program knows {VERSION}: it was written by a newer \
                 chatbridge; run that one, or set [store] path to another file"
            );
            return Err(Fault::Other(what));
        }
        (_, _) => {
            let what = "is the database of another program; set [store] path to another file";
            return Err(Fault::Other(what.to_owned()));
        }
    }
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(Fault::Other(damaged(&check)));
    }
    connection.execute_batch(rows::BEGUN)?;
    // A file that can be read alone would be found out at the first subscription.
    connection.execute_batch("BEGIN IMMEDIATE; DELETE FROM probe; COMMIT;")?;
    Ok(())
}

/// Says what is wrong, and where it helps what would be right.
fn describe(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => damaged(&error.to_string()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "is in use by another process: each chatbridge needs a [store] path of its own"
                .to_owned()
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => unwritable(error),
        Some(ErrorCode::DiskFull) => {
            format!("is full ({error}): make room on the disk, or raise [store] max_mb")
        }
        _ => error.to_string(),
    }
}

fn damaged(how: &str) -> String {
    format!("is damaged ({how}): put a copy in its place, or move it away to begin anew")
}

fn unwritable(how: &dyn std::error::Error) -> String {
    format!(
        "cannot be written ({how}): give this process the right, set [store] path to another file, \
         or [store] kind to \"memory\" to keep nothing"
    )
}
