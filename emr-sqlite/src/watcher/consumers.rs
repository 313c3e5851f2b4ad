//! Durable consumers: their position lies in the file.

use std::sync::Arc;

use emr_core::watch::{Consumer, Token, WatchFault};
use emr_core::{Error, Result};
use rusqlite::{Connection, OptionalExtension, params};

use super::log::BACKEND;
use super::names::Names;
use super::session::writing;
use crate::error::from_rusqlite;

/// Starts a consumer, which takes it from whoever was it before. Gives the token that it goes on from, unless it is new and starts
/// at `head`.
pub(super) fn start(db: &Connection, names: &Names, name: &str, head: &Token) -> Result<(Consumer, Option<String>)> {
    let sql = format!(
        "INSERT INTO {0} (name, epoch, token, at) VALUES (?1, 1, ?2, julianday('now')) \
         ON CONFLICT (name) DO UPDATE SET epoch = epoch + 1 RETURNING epoch, token",
        names.consumers
    );
    let (epoch, token) = db
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            statement.query_row(params![name, head.to_string()], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
        })
        .map_err(|error| from_rusqlite(db, error))?;
    let consumer = Consumer { name: name.to_owned(), epoch };
    Ok((consumer, (epoch > 1).then_some(token)))
}

/// Whether nobody else has started as this consumer since.
pub(super) fn check(db: &Connection, names: &Names, consumer: &Consumer) -> Result<()> {
    let sql = format!("SELECT epoch FROM {} WHERE name = ?1", names.consumers);
    let epoch = db
        .prepare_cached(&sql)
        .and_then(|mut statement| statement.query_row([&consumer.name], |row| row.get::<_, i64>(0)).optional())
        .map_err(|error| from_rusqlite(db, error))?;
    // One that is gone is started anew: with the next start.
    if epoch == Some(consumer.epoch) { Ok(()) } else { Err(fenced(consumer)) }
}

/// Keeps the position of a consumer.
pub(super) fn ack(
    db: &Connection,
    names: &Names,
    identity: &Arc<str>,
    consumer: Option<&Consumer>,
    token: &Token,
) -> Result<()> {
    let Some(consumer) = consumer else { return Err(Error::watch(WatchFault::NoConsumer)) };
    if token.backend() != BACKEND || token.identity() != identity {
        return Err(foreign(token, identity));
    }
    super::position::Position::of(token)?;
    let sql =
        format!("UPDATE {} SET token = ?3, at = julianday('now') WHERE name = ?1 AND epoch = ?2", names.consumers);
    let kept = writing(db, || {
        db.prepare_cached(&sql)
            .and_then(|mut statement| statement.execute(params![consumer.name, consumer.epoch, token.to_string()]))
            .map_err(|error| from_rusqlite(db, error))
    })?;
    if kept == 1 { Ok(()) } else { Err(fenced(consumer)) }
}

fn fenced(consumer: &Consumer) -> Error {
    Error::watch(WatchFault::Fenced { consumer: consumer.name.clone() })
}

/// The error for a token of another backend, or of another log.
pub(super) fn foreign(token: &Token, identity: &str) -> Error {
    Error::watch(WatchFault::ForeignToken { token: token.to_string(), expected: format!("emr1:{BACKEND}:{identity}:") })
}
