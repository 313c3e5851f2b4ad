//! Makes and removes the objects of one application.

use std::time::Duration;

use emr_core::watch::{Installed, Plan, PlanStep, Resolved, WatchFault};
use emr_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension};

use super::catalog;
use super::define::{self, Definition};
use super::names::{Names, bare, ident};
use super::session::{Session, execute};
use super::verify::later;
use crate::error::from_rusqlite;

const DROP_COLUMN: &str = "While triggers stand on a table, the engine refuses to drop its columns: uninstall before, and \
     install again after. With `PRAGMA legacy_alter_table` it does not refuse, and every later write to the table fails.";

/// What would be done in a file where nothing is installed.
pub(super) fn plan(db: &Connection, names: &Names, set: &Resolved) -> Result<Plan> {
    let (definitions, cells) = definitions(db, names, set)?;
    let mut steps = vec![define::log_step(names, cells)];
    steps.extend(definitions.iter().map(Definition::step));
    Ok(Plan { steps, warnings: vec![DROP_COLUMN.to_owned()] })
}

fn definitions(db: &Connection, names: &Names, set: &Resolved) -> Result<(Vec<Definition>, usize)> {
    let mut all: Vec<Definition> = Vec::new();
    for watched in &set.tables {
        let table = catalog::find(db, names, watched)?;
        // Names differ only in case here, and are one table.
        if all.iter().all(|known| known.table != table.name) {
            all.push(define::table(names, set, &table)?);
        }
    }
    let cells = all.iter().map(|definition| definition.cells).max().unwrap_or(0);
    Ok((all, cells))
}

/// Makes what is missing or of another definition, in one transaction.
pub(super) async fn install(session: &Session, names: &Names, set: &Resolved) -> Result<Installed> {
    let (names, of) = (names.clone(), set.clone());
    locked(session, set.lock_timeout, "install the watcher", move |db| make(db, &names, &of)).await
}

/// Removes all objects of the application.
pub(super) async fn uninstall(session: &Session, names: &Names, set: &Resolved) -> Result<Vec<String>> {
    let names = names.clone();
    locked(session, set.lock_timeout, "uninstall the watcher", move |db| remove(db, &names)).await
}

/// Runs a job that holds the write lock. Waits for it no longer than `limit`.
async fn locked<T: Send + 'static>(
    session: &Session,
    limit: Duration,
    action: &str,
    job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
) -> Result<T> {
    let waited = |error: Error| match error.kind() {
        ErrorKind::LockNotAvailable { .. } => Error::watch(WatchFault::Locked {
            object: "the database file".to_owned(),
            waited_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        }),
        ErrorKind::Database { code, message } if code.starts_with("SQLITE_READONLY") => {
            Error::watch(WatchFault::Denied { action: action.to_owned(), message: message.clone() })
        }
        _ => error,
    };
    session.run(limit, |db| execute(db, "BEGIN IMMEDIATE")).await.map_err(waited)?;
    // Nobody has to be waited for in here.
    let undo = |db: &Connection| {
        if !db.is_autocommit() {
            let _ = execute(db, "ROLLBACK");
        }
    };
    let job = move |db: &Connection| job(db).inspect_err(|_| undo(db));
    let done = session.run(Duration::MAX, job).await.map_err(waited)?;
    session.run(limit, move |db| execute(db, "COMMIT").inspect_err(|_| undo(db))).await.map_err(waited)?;
    Ok(done)
}

fn make(db: &Connection, names: &Names, set: &Resolved) -> Result<Installed> {
    let (definitions, cells) = definitions(db, names, set)?;
    let mut changed = Vec::new();
    let log = define::log_step(names, cells);
    if lay(db, names, &log, cells)? {
        changed.push(log.object);
    }
    for definition in &definitions {
        if !stands(db, names, definition).map_err(|error| from_rusqlite(db, error))? {
            for trigger in &definition.triggers {
                execute(db, &format!("DROP TRIGGER IF EXISTS {}", ident(&trigger.name)))?;
            }
            for sql in definition.statements() {
                execute(db, sql)?;
            }
            changed.push(definition.object());
        }
    }
    Ok(Installed::new(changed))
}

/// Makes the log, and room for more cells in it. Whether anything was to be done.
fn lay(db: &Connection, names: &Names, log: &PlanStep, cells: usize) -> Result<bool> {
    let failed = |error| from_rusqlite(db, error);
    let (before, rows) = (version(db).map_err(failed)?, db.total_changes());
    for sql in &log.sql {
        execute(db, sql)?;
    }
    let table = bare(&names.log);
    for n in 0..cells {
        let name = format!("v{n}");
        if !db.column_exists(None, &*table, &*name).map_err(failed)? {
            execute(db, &format!("ALTER TABLE {} ADD COLUMN {name}", names.log))?;
        }
    }
    Ok(version(db).map_err(failed)? != before || db.total_changes() != rows)
}

fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA schema_version", [], |row| row.get(0))
}

/// Whether all of a table's triggers are there as they would be made.
fn stands(db: &Connection, names: &Names, definition: &Definition) -> rusqlite::Result<bool> {
    let sql = format!("SELECT hash FROM {} WHERE id = ?1", names.sources);
    let hash: Option<String> = db.prepare_cached(&sql)?.query_row([definition.source], |row| row.get(0)).optional()?;
    if hash.as_deref() != Some(&*definition.hash) {
        return Ok(false);
    }
    let sql = format!(
        "SELECT m.sql = ?2 AND m.sql = t.sql AND t.source = ?3 FROM sqlite_master m JOIN {} t ON t.name = m.name \
         WHERE m.type = 'trigger' AND m.name = ?1",
        names.triggers
    );
    let mut statement = db.prepare_cached(&sql)?;
    for trigger in &definition.triggers {
        let same: Option<bool> = statement
            .query_row(rusqlite::params![trigger.name, trigger.create, definition.source], |row| row.get(0))
            .optional()?;
        if same != Some(true) || later(db, &trigger.name, &definition.table)?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn remove(db: &Connection, names: &Names) -> Result<Vec<String>> {
    let failed = |error| from_rusqlite(db, error);
    let mut removed = Vec::new();
    let triggers = bare(&names.triggers);
    if exists(db, &triggers).map_err(failed)? {
        let sql = format!(
            "SELECT t.name FROM {} t JOIN sqlite_master m ON m.type = 'trigger' AND m.name = t.name",
            names.triggers
        );
        let standing: rusqlite::Result<Vec<String>> =
            db.prepare(&sql).and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect());
        for name in standing.map_err(failed)? {
            execute(db, &format!("DROP TRIGGER {}", ident(&name)))?;
            removed.push(format!("trigger {name}"));
        }
    }
    for table in names.tables() {
        let name = bare(table);
        if exists(db, &name).map_err(failed)? {
            execute(db, &format!("DROP TABLE {table}"))?;
            removed.push(format!("table {name}"));
        }
    }
    Ok(removed)
}

fn exists(db: &Connection, table: &str) -> rusqlite::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1)", [table], |row| {
        row.get(0)
    })
}
