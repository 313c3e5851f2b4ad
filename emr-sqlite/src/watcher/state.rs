//! How far a log reaches, and whether a position is still one of its own.

use std::sync::Arc;

use emr_core::watch::{ResyncReason, WatchFault};
use emr_core::{Error, Result};
use rusqlite::{Connection, OptionalExtension, ffi};

use super::names::{Names, literal};
use super::position::Position;
use crate::error::from_rusqlite;

/// A log at one moment.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) identity: Arc<str>,
    /// The last change that the retention took.
    floor: Position,
    /// The last change. Positions behind it were never given.
    pub(super) head: Position,
}

impl State {
    /// Looks at the log.
    pub(super) fn of(db: &Connection, names: &Names, application: &str) -> Result<Self> {
        // The engine notes the last position at the end of a statement: one that stops in its middle and keeps what it did
        // (INSERT OR FAIL) leaves a log that is longer than that.
        let sql = format!(
            "SELECT s.identity, s.floor, s.floor_at, ifnull((SELECT seq FROM sqlite_sequence WHERE name = {}), 0), \
             ifnull((SELECT max(pos) FROM {log}), 0), ifnull((SELECT at FROM {log} ORDER BY pos DESC LIMIT 1), 0.0) \
             FROM {} s",
            literal(&names.bare_log()),
            names.state,
            log = names.log,
        );
        let found = db
            .prepare_cached(&sql)
            .and_then(|mut statement| {
                statement
                    .query_row([], |row| {
                        let identity: String = row.get(0)?;
                        let floor = Position { pos: row.get(1)?, at: row.get(2)? };
                        let (given, last) = (row.get::<_, i64>(3)?, Position { pos: row.get(4)?, at: row.get(5)? });
                        Ok((identity, floor, given, last))
                    })
                    .optional()
            })
            .map_err(|error| missing(db, application, error))?;
        let Some((identity, floor, given, last)) =
            found.filter(|(identity, ..)| !identity.is_empty() && !identity.contains(':'))
        else {
            let missing = format!("the row in {}", names.state);
            return Err(Error::watch(WatchFault::NotInstalled { application: application.to_owned(), missing }));
        };
        // Where the last changes are gone, what is left of them is their number.
        let head = [last, floor, Position { pos: given, at: 0.0 }];
        let head = head.into_iter().rev().max_by_key(|position| position.pos).unwrap_or(Position::START);
        Ok(State { identity: identity.into(), floor, head })
    }

    /// Why reading cannot go on behind a position, if it cannot.
    pub(super) fn refuses(&self, db: &Connection, names: &Names, known: Position) -> Result<Option<ResyncReason>> {
        if known.pos > self.head.pos {
            return Ok(Some(ResyncReason::OtherDatabase));
        }
        if known.pos < self.floor.pos {
            return Ok(Some(ResyncReason::TokenTooOld));
        }
        if known.is(self.head) || known.is(self.floor) || known.pos == 0 {
            return Ok(None);
        }
        let sql = format!("SELECT at FROM {} WHERE pos = ?1", names.log);
        let at = db
            .prepare_cached(&sql)
            .and_then(|mut statement| statement.query_row([known.pos], |row| row.get::<_, f64>(0)).optional())
            .map_err(|error| from_rusqlite(db, error))?;
        Ok(match at {
            Some(at) if at.to_bits() == known.at.to_bits() => None,
            Some(_) => Some(ResyncReason::OtherDatabase),
            None if known.pos == self.floor.pos => Some(ResyncReason::OtherDatabase),
            // It was given when the change there was gone already.
            None if known.at == 0.0 => None,
            None => Some(ResyncReason::LogReset),
        })
    }
}

/// The error of a statement on the log: where a table or a column is not there, the watcher is not installed.
pub(super) fn missing(db: &Connection, application: &str, error: rusqlite::Error) -> Error {
    let plain = error.sqlite_error().is_some_and(|failure| failure.extended_code == ffi::SQLITE_ERROR);
    let error = from_rusqlite(db, error);
    if plain {
        let missing = error.to_string();
        return Error::watch(WatchFault::NotInstalled { application: application.to_owned(), missing });
    }
    error
}
