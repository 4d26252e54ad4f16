//! Records as rows of SQLite tables.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::types::ToSql;
use rusqlite::{Connection, Row, params};

use super::aside::{Unreadable, set_aside};
use super::content::{self, moment, nanoseconds};
use super::{
    AnswerRecord, Change, ChannelRecord, Contents, Created, NotificationRecord, SessionRecord,
    SubscriptionRecord,
};
use crate::address::Address;
use crate::chat::{NotificationFormat, SessionKind};
use crate::ids::{ChannelId, NotificationId, SessionId, SubscriptionId};
use crate::oma::Element;
use crate::store::correlators::Correlation;
use crate::store::subscriptions::Subscription;

/// The tables of version 1. Times are nanoseconds since 1970 (UTC); addresses are as they were
/// spelled, and `user_key` is the identity behind the spelling.
pub(super) const SCHEMA: &str = "
CREATE TABLE subscriptions (
    id TEXT NOT NULL PRIMARY KEY, user TEXT NOT NULL, user_base TEXT NOT NULL,
    resource_url TEXT NOT NULL, notify_url TEXT NOT NULL, callback_data TEXT,
    format TEXT NOT NULL, client_correlator TEXT, duration INTEGER, expires INTEGER,
    echo INTEGER NOT NULL
) STRICT;
CREATE TABLE channels (
    id TEXT NOT NULL PRIMARY KEY, user TEXT NOT NULL, channel_type TEXT NOT NULL,
    application_tag TEXT, client_correlator TEXT, resource_url TEXT NOT NULL,
    callback_url TEXT NOT NULL, channel_url TEXT NOT NULL, max_notifications INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE TABLE notifications (
    sequence INTEGER NOT NULL PRIMARY KEY, id TEXT NOT NULL, subscription TEXT NOT NULL,
    content TEXT NOT NULL
) STRICT;
CREATE INDEX notifications_of_subscription ON notifications (subscription);
CREATE TABLE answers (
    user_key TEXT NOT NULL, user TEXT NOT NULL, collection TEXT NOT NULL,
    correlator TEXT NOT NULL, content TEXT NOT NULL, at INTEGER NOT NULL, location TEXT NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (user_key, collection, correlator)
) STRICT;
CREATE TABLE sessions (id TEXT NOT NULL PRIMARY KEY, user TEXT NOT NULL,
    is_group INTEGER NOT NULL) STRICT;
CREATE TABLE probe (room BLOB NOT NULL) STRICT;
";

/// Which answers speak of what was begun and perhaps not done. A program that does not know the table
/// reads the others all the same, so that it is no version of its own.
pub(super) const BEGUN: &str = "
CREATE TABLE IF NOT EXISTS begun (
    user_key TEXT NOT NULL, collection TEXT NOT NULL, correlator TEXT NOT NULL,
    PRIMARY KEY (user_key, collection, correlator)
) STRICT;
";

/// Makes one change, within a transaction.
pub(super) fn apply(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    let run = |sql: &str, values: &[&dyn ToSql]| {
        connection.prepare_cached(sql)?.execute(values).map(|_count| ())
    };
    match change {
        Change::PutSubscription(record) => put_subscription(connection, record),
        Change::EndSubscription(id) => {
            run("DELETE FROM notifications WHERE subscription = ?1", params![id.as_str()])?;
            run("DELETE FROM subscriptions WHERE id = ?1", params![id.as_str()])
        }
        Change::PutChannel(record) => put_channel(connection, record),
        Change::RenewChannel(id, expires) => run(
            "UPDATE channels SET expires = ?2 WHERE id = ?1",
            params![id.as_str(), nanoseconds(*expires)],
        ),
        Change::EndChannel(id) => run("DELETE FROM channels WHERE id = ?1", params![id.as_str()]),
        Change::PutNotification(NotificationRecord { sequence, id, subscription, content }) => {
            let sql = "REPLACE INTO notifications VALUES (?1, ?2, ?3, ?4)";
            let (id, subscription) = (id.as_str(), subscription.as_str());
            run(sql, params![key(*sequence), id, subscription, content::write(content)])
        }
        Change::EndNotification(sequence) => {
            run("DELETE FROM notifications WHERE sequence = ?1", params![key(*sequence)])
        }
        Change::PutAnswer(record) => put_answer(connection, record),
        Change::FinishAnswer(correlation) => finish_answer(connection, correlation),
        Change::ForgetAnswer(correlation) => {
            finish_answer(connection, correlation)?;
            let Correlation { user, collection, correlator } = correlation;
            run(
                "DELETE FROM answers WHERE user_key = ?1 AND collection = ?2 AND correlator = ?3",
                params![user.key(), collection, correlator],
            )
        }
        Change::PutSession(SessionRecord { id, user, kind }) => {
            let is_group = *kind == SessionKind::Group;
            let values = params![id.as_str(), user.spelling(), is_group];
            run("REPLACE INTO sessions VALUES (?1, ?2, ?3)", values)
        }
        Change::EndSession(id) => run("DELETE FROM sessions WHERE id = ?1", params![id.as_str()]),
    }
}

/// Writes something and takes it back: tells whether there is room.
pub(super) fn probe(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("INSERT INTO probe VALUES (zeroblob(16384))", [])?;
    connection.execute("DELETE FROM probe", []).map(|_count| ())
}

fn put_subscription(
    connection: &Connection,
    SubscriptionRecord { subscription, expires }: &SubscriptionRecord,
) -> rusqlite::Result<()> {
    let format = match subscription.format {
        NotificationFormat::Xml => "XML",
        NotificationFormat::Json => "JSON",
    };
    let sql = "REPLACE INTO subscriptions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    connection
        .prepare_cached(sql)?
        .execute(params![
            subscription.id.as_str(),
            subscription.user.spelling(),
            subscription.user_base,
            subscription.resource_url,
            subscription.notify_url,
            subscription.callback_data,
            format,
            subscription.client_correlator,
            subscription.duration,
            expires.map(nanoseconds),
            subscription.echo,
        ])
        .map(|_count| ())
}

fn put_channel(connection: &Connection, record: &ChannelRecord) -> rusqlite::Result<()> {
    let sql = "REPLACE INTO channels VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    connection
        .prepare_cached(sql)?
        .execute(params![
            record.id.as_str(),
            record.user.spelling(),
            record.channel_type,
            record.application_tag,
            record.client_correlator,
            record.resource_url,
            record.callback_url,
            record.channel_url,
            record.max_notifications,
            nanoseconds(record.expires),
        ])
        .map(|_count| ())
}

fn put_answer(connection: &Connection, record: &AnswerRecord) -> rusqlite::Result<()> {
    let AnswerRecord { correlation, content, at, created, is_begun } = record;
    if *is_begun {
        let Correlation { user, collection, correlator } = correlation;
        connection.prepare_cached("REPLACE INTO begun VALUES (?1, ?2, ?3)")?.execute(params![
            user.key(),
            collection,
            correlator
        ])?;
    } else {
        finish_answer(connection, correlation)?;
    }
    let sql = "REPLACE INTO answers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection
        .prepare_cached(sql)?
        .execute(params![
            correlation.user.key(),
            correlation.user.spelling(),
            correlation.collection,
            correlation.correlator,
            content,
            nanoseconds(*at),
            created.location,
            created.document.pack(),
        ])
        .map(|_count| ())
}

fn finish_answer(
    connection: &Connection,
    Correlation { user, collection, correlator }: &Correlation,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM begun WHERE user_key = ?1 AND collection = ?2 AND correlator = ?3";
    let values = params![user.key(), collection, correlator];
    connection.prepare_cached(sql)?.execute(values).map(|_count| ())
}

/// Reads everything; rows that cannot be read are set aside.
///
/// # Errors
/// The file cannot be read, or a row that cannot be read cannot be set aside either.
pub(super) fn load(connection: &Connection) -> Result<Contents, Fault> {
    Ok(Contents {
        subscriptions: all(connection, "subscriptions", "rowid", subscription)?,
        channels: all(connection, "channels", "rowid", channel)?,
        notifications: all(connection, "notifications", "sequence", notification)?,
        answers: answers(connection)?,
        sessions: all(connection, "sessions", "rowid", session)?,
    })
}

fn all<R>(
    connection: &Connection,
    table: &'static str,
    order: &str,
    read: impl Fn(&Row<'_>) -> Result<R, Bad>,
) -> Result<Vec<R>, Fault> {
    let sql = format!("SELECT rowid, * FROM {table} ORDER BY {order}");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let (mut records, mut unreadable) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match read(row) {
            Ok(record) => records.push(record),
            Err(Bad(why)) => unreadable.push(Unreadable { table, rowid: row.get(0)?, why }),
        }
    }
    drop(rows);
    match set_aside(connection, &unreadable) {
        Ok(()) => Ok(records),
        Err(error) => Err(Fault { error, unreadable: unreadable.into_iter().next() }),
    }
}

/// Why the records cannot be read.
#[derive(Debug)]
pub(super) struct Fault {
    /// What SQLite says.
    pub(super) error: rusqlite::Error,
    /// The row that was to be set aside, where there was one.
    pub(super) unreadable: Option<Unreadable>,
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self { error, unreadable: None }
    }
}

/// What is wrong with a row.
struct Bad(String);

impl From<rusqlite::Error> for Bad {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

fn bad(what: &str) -> Bad {
    Bad(format!("{what} is missing or wrong"))
}

fn subscription(row: &Row<'_>) -> Result<SubscriptionRecord, Bad> {
    let subscription = Subscription {
        id: SubscriptionId::new(text(row, "id")?),
        user: address(row)?,
        user_base: row.get("user_base")?,
        resource_url: row.get("resource_url")?,
        notify_url: row.get("notify_url")?,
        callback_data: row.get("callback_data")?,
        format: match text(row, "format")?.as_str() {
            "XML" => NotificationFormat::Xml,
            "JSON" => NotificationFormat::Json,
            _ => return Err(bad("format")),
        },
        client_correlator: row.get("client_correlator")?,
        duration: row.get("duration")?,
        expires: None,
        echo: row.get("echo")?,
    };
    let expires: Option<i64> = row.get("expires")?;
    Ok(SubscriptionRecord { subscription: Arc::new(subscription), expires: expires.map(moment) })
}

fn channel(row: &Row<'_>) -> Result<ChannelRecord, Bad> {
    Ok(ChannelRecord {
        id: ChannelId::new(text(row, "id")?),
        user: address(row)?,
        channel_type: row.get("channel_type")?,
        application_tag: row.get("application_tag")?,
        client_correlator: row.get("client_correlator")?,
        resource_url: row.get("resource_url")?,
        callback_url: row.get("callback_url")?,
        channel_url: row.get("channel_url")?,
        max_notifications: row.get("max_notifications")?,
        expires: moment(row.get("expires")?),
    })
}

fn notification(row: &Row<'_>) -> Result<NotificationRecord, Bad> {
    let sequence: i64 = row.get("sequence")?;
    Ok(NotificationRecord {
        sequence: u64::try_from(sequence).map_err(|_| bad("sequence"))?,
        id: NotificationId::new(text(row, "id")?),
        subscription: SubscriptionId::new(text(row, "subscription")?),
        content: content::read(&text(row, "content")?).map_err(bad)?,
    })
}

fn answers(connection: &Connection) -> Result<Vec<AnswerRecord>, Fault> {
    let mut begun: HashSet<(String, String, String)> = HashSet::new();
    let mut statement = connection.prepare("SELECT user_key, collection, correlator FROM begun")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        begun.insert((row.get(0)?, row.get(1)?, row.get(2)?));
    }
    drop(rows);
    let mut answers = all(connection, "answers", "at, rowid", answer)?;
    for AnswerRecord { correlation, is_begun, .. } in &mut answers {
        let Correlation { user, collection, correlator } = correlation;
        let key = (user.key().to_owned(), collection.to_string(), correlator.to_string());
        *is_begun = begun.contains(&key);
    }
    Ok(answers)
}

fn answer(row: &Row<'_>) -> Result<AnswerRecord, Bad> {
    let document: Vec<u8> = row.get("document")?;
    Ok(AnswerRecord {
        correlation: Correlation {
            user: address(row)?,
            collection: text(row, "collection")?.into(),
            correlator: text(row, "correlator")?.into(),
        },
        content: row.get("content")?,
        at: moment(row.get("at")?),
        created: Created {
            location: row.get("location")?,
            document: Element::unpack(&document).ok_or_else(|| bad("document"))?,
        },
        is_begun: false,
    })
}

fn session(row: &Row<'_>) -> Result<SessionRecord, Bad> {
    let kind = match row.get("is_group")? {
        true => SessionKind::Group,
        false => SessionKind::Pair,
    };
    Ok(SessionRecord { id: SessionId::new(text(row, "id")?), user: address(row)?, kind })
}

fn text(row: &Row<'_>, column: &str) -> Result<String, Bad> {
    Ok(row.get(column)?)
}

fn address(row: &Row<'_>) -> Result<Address, Bad> {
    Address::parse(&text(row, "user")?).map_err(|_| bad("user"))
}

/// Gives a sequence number as SQLite counts; no process lives to draw one beyond its range.
fn key(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
