//! Opening the database file.

use std::cmp::Ordering;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use emr_core::{ConnectFailure, Error, Result, Role};
use rusqlite::{ErrorCode, OpenFlags};
use rust_decimal::Decimal;

use crate::dialect::DECIMAL_COLLATION;
use crate::error::describe;
use crate::functions;
use crate::settings::{Location, Settings};
use crate::worker::Shared;

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 256;

/// Engine instructions between two looks at whether the call was abandoned: some ten microseconds.
const INSTRUCTIONS: i32 = 1_000;

/// Opens the database on the calling thread and sets it up.
pub(crate) fn open(settings: &Settings, role: Role, shared: &Arc<Shared>) -> Result<rusqlite::Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    flags |= match (settings.read_only, settings.create) {
        (true, _) => OpenFlags::SQLITE_OPEN_READ_ONLY,
        (false, false) => OpenFlags::SQLITE_OPEN_READ_WRITE,
        (false, true) => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    };
    let mut db =
        rusqlite::Connection::open_with_flags(&settings.database, flags).map_err(|error| refused(settings, &error))?;
    set_up(&mut db, settings, shared).map_err(|error| refused(settings, &error))?;
    set_journal(&db, settings, shared)?;
    if let Some(sql) = &settings.after_connect {
        db.execute_batch(sql).map_err(|error| settings.refused(ConnectFailure::AfterConnect, describe(&error)))?;
        if !db.is_autocommit() {
            return Err(settings.refused(ConnectFailure::AfterConnect, "it leaves a transaction open: commit it"));
        }
    }
    if role == Role::Read {
        db.pragma_update(None, "query_only", true).map_err(|error| refused(settings, &error))?;
    }
    Ok(db)
}

fn set_up(db: &mut rusqlite::Connection, settings: &Settings, shared: &Arc<Shared>) -> rusqlite::Result<()> {
    shared.can_interrupt(db.get_interrupt_handle());
    let waiting = Arc::clone(shared);
    db.busy_handler(Some(move |tries| wait(tries, &waiting)))?;
    let running = Arc::clone(shared);
    db.progress_handler(INSTRUCTIONS, Some(move || running.is_cancelled()))?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.create_collation(DECIMAL_COLLATION, compare_decimals)?;
    functions::register(db)?;
    // The first read of the file: what is no database shows here and not in the first call.
    db.query_row("PRAGMA schema_version", [], |_| Ok(()))?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "case_sensitive_like", true)?;
    if let Some(size) = settings.cache_size {
        db.pragma_update(None, "cache_size", size)?;
    }
    Ok(())
}

/// Waits for a lock until the call is abandoned; its deadline is kept by whoever waits for the answer.
fn wait(tries: i32, shared: &Shared) -> bool {
    if !shared.waits() {
        return false;
    }
    thread::sleep(Duration::from_millis(u64::from(tries.clamp(0, 9).unsigned_abs()) + 1));
    shared.waits()
}

fn set_journal(db: &rusqlite::Connection, settings: &Settings, shared: &Shared) -> Result<()> {
    let wanted = match (settings.journal_mode, &settings.location) {
        (Some(mode), _) => Some(mode),
        (None, Location::File(_)) if !settings.read_only => Some("wal"),
        (None, _) => None,
    };
    let mode = || db.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
    let mut current = mode().map_err(|error| refused(settings, &error))?;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != current) {
        current = retried(shared, || {
            db.query_row(&format!("PRAGMA journal_mode = {wanted}"), [], |row| row.get::<_, String>(0))
        })
        .map_err(|error| refused(settings, &error))?;
        if settings.journal_mode.is_some() && current != wanted {
            return Err(
                settings.refused(ConnectFailure::Other, format!("its journal_mode stays {current}, not {wanted}"))
            );
        }
    }
    // Under WAL a crash of the machine may then lose the last commits, but never damages the file.
    let synchronous = settings.synchronous.or((current == "wal").then_some("normal"));
    match synchronous {
        Some(level) => db.pragma_update(None, "synchronous", level).map_err(|error| refused(settings, &error)),
        None => Ok(()),
    }
}

/// The engine does not ask the busy handler when the journal mode changes: two connections that open one
/// new file at the same time would meet here.
fn retried<T>(shared: &Shared, mut attempt: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let mut tries = 0;
    loop {
        match attempt() {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && wait(tries, shared) => {
                tries += 1;
            }
            result => return result,
        }
    }
}

/// Says why the file cannot be opened: the engine itself only says that it cannot.
fn refused(settings: &Settings, error: &rusqlite::Error) -> Error {
    let own_words = describe(error);
    let Location::File(path) = &settings.location else {
        return settings.refused(ConnectFailure::Other, own_words);
    };
    if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
        return settings
            .refused(ConnectFailure::Other, format!("{own_words}: it holds something else, or is encrypted"));
    }
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    match (std::fs::metadata(path), directory.map(std::fs::metadata)) {
        (Ok(found), _) if found.is_dir() => {
            settings.refused(ConnectFailure::Other, "it is a directory: name a file in it")
        }
        (Err(missing), Some(Err(_))) if missing.kind() == std::io::ErrorKind::NotFound => settings.refused(
            ConnectFailure::UnknownDatabase,
            format!("the directory {} does not exist: make it first", directory.unwrap_or(path).display()),
        ),
        (Err(missing), _) if missing.kind() == std::io::ErrorKind::NotFound && settings.read_only => settings
            .refused(ConnectFailure::UnknownDatabase, "the file does not exist, and a read_only repo makes none"),
        (Err(missing), _) if missing.kind() == std::io::ErrorKind::NotFound && !settings.create => {
            settings.refused(ConnectFailure::UnknownDatabase, "the file does not exist, and `create` is false")
        }
        (Err(problem), _) => settings.refused(ConnectFailure::Other, format!("{own_words} ({problem})")),
        (Ok(_), _) => settings.refused(ConnectFailure::Other, own_words),
    }
}

/// Orders the texts of decimals as numbers, and what is no decimal behind them.
pub(crate) fn compare_decimals(left: &str, right: &str) -> Ordering {
    match (Decimal::from_str_exact(left), Decimal::from_str_exact(right)) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => left.cmp(right),
    }
}
