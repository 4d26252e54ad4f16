//! Rows that cannot be read, put where they stand in nobody's way: one of them must not keep the
//! bridge from starting, and none of them may be lost.
//!
//! Each lies in the table `set_aside` as the statement that puts it back, for who knows to mend it,
//! with what is wrong with it. The table is made when it is wanted, so that it is no version of its
//! own.

use rusqlite::{Connection, params};

use super::content::nanoseconds;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS set_aside (
    at INTEGER NOT NULL, why TEXT NOT NULL, put_back TEXT NOT NULL
) STRICT;";

/// A row of a table that cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) table: &'static str,
    pub(super) rowid: i64,
    /// What is wrong with it.
    pub(super) why: String,
}

/// Sets rows aside, all of them or none. Notifications go with the subscription that they wait for:
/// without it nobody would know whom to tell, and they would be done with.
///
/// # Errors
/// The file cannot be written.
pub(super) fn set_aside(connection: &Connection, rows: &[Unreadable]) -> rusqlite::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let moved = connection
        .execute_batch(SCHEMA)
        .and_then(|()| rows.iter().try_for_each(|row| set_one_aside(connection, row)))
        .and_then(|()| connection.execute_batch("COMMIT"));
    if moved.is_err() {
        // What has failed may have ended the transaction itself.
        let _ = connection.execute_batch("ROLLBACK");
    }
    moved
}

fn set_one_aside(connection: &Connection, row: &Unreadable) -> rusqlite::Result<()> {
    let Unreadable { table, rowid, why } = row;
    let followers = match *table {
        "subscriptions" => {
            let theirs =
                "subscription = (SELECT id FROM subscriptions WHERE subscriptions.rowid = ?1)";
            let why = format!("its subscription was set aside: {why}");
            move_out(connection, ("notifications", theirs), (*rowid, &why))?
        }
        _ => 0,
    };
    move_out(connection, (table, "rowid = ?1"), (*rowid, why))?;
    tracing::warn!(
        table,
        row = rowid,
        why,
        followers,
        "a row of the store cannot be read and was set aside: see the table set_aside in its file, \
         where put_back is the statement that brings it back once it is mended"
    );
    Ok(())
}

/// Moves the rows of a table for which `condition` holds, which may name `rowid` as `?1`.
fn move_out(
    connection: &Connection,
    (table, condition): (&str, &str),
    (rowid, why): (i64, &str),
) -> rusqlite::Result<usize> {
    let columns = connection.prepare(&format!("SELECT * FROM {table} LIMIT 0"))?;
    let values: Vec<String> =
        columns.column_names().map(|column| format!("quote({column})")).collect();
    let values = values.join(" || ', ' || ");
    let copy = format!(
        "INSERT INTO set_aside SELECT ?2, ?3, 'INSERT INTO {table} VALUES (' || {values} || ');' \
         FROM {table} WHERE {condition}"
    );
    let now = nanoseconds(time::OffsetDateTime::now_utc());
    connection.execute(&copy, params![rowid, now, why])?;
    connection.execute(&format!("DELETE FROM {table} WHERE {condition}"), params![rowid])
}
