//! What is not as the installer left it.

use emr_core::Result;
use emr_core::watch::{Drift, Resolved, WatchFault, Watched};
use rusqlite::{Connection, OptionalExtension};

use super::catalog::{self, Table};
use super::define;
use super::names::Names;
use super::state::missing;
use crate::error::from_rusqlite;

/// The events that triggers stand for.
pub(super) const EVENTS: [&str; 3] = ["insert", "update", "delete"];

/// All that is not as installed.
pub(super) fn drift(db: &Connection, names: &Names, set: &Resolved) -> Result<Vec<Drift>> {
    let mut all = Vec::new();
    for watched in &set.tables {
        if let Some(found) = of_table(db, names, set, watched)? {
            all.push(Drift::new(watched.full_name(), found));
        }
    }
    Ok(all)
}

/// The first thing that is wrong with a table.
fn of_table(db: &Connection, names: &Names, set: &Resolved, watched: &Watched) -> Result<Option<String>> {
    let table = match catalog::find(db, names, watched) {
        Ok(table) => table,
        Err(error) => match error.watch_fault() {
            Some(WatchFault::UnknownTable { .. }) => return Ok(Some("the table is gone".to_owned())),
            Some(WatchFault::UnknownColumn { column, .. }) => return Ok(Some(format!("the column {column} is gone"))),
            Some(fault) => return Ok(Some(fault.to_string())),
            None => return Err(error),
        },
    };
    for event in EVENTS {
        let name = names.trigger(event, &table.name);
        let Some(found) = trigger(db, names, &name).map_err(|error| missing(db, &set.application, error))? else {
            return Ok(Some(format!("the trigger {name} is missing")));
        };
        if found.installed.as_deref() != Some(&*found.sql) || !found.on.eq_ignore_ascii_case(&table.name) {
            return Ok(Some(format!("the trigger {name} is another one than was installed")));
        }
        let lacking = lacking(db, names, found.source, &table).map_err(|error| from_rusqlite(db, error))?;
        if !lacking.is_empty() {
            return Ok(Some(format!("the trigger {name} was installed without the columns {}", lacking.join(", "))));
        }
        if event == "update" && !found.sql.contains(&define::differs(&table)) {
            return Ok(Some(format!("columns were added, whose changes alone the trigger {name} does not see")));
        }
        if let Some(later) = later(db, &name, &table.name).map_err(|error| from_rusqlite(db, error))? {
            return Ok(Some(format!(
                "the trigger {later} was made after {name} and runs before it: what it changes would be told in the wrong order"
            )));
        }
    }
    Ok(None)
}

/// Whether anybody ever installed triggers on a table.
pub(super) fn was_installed(db: &Connection, names: &Names, set: &Resolved, watched: &Watched) -> Result<bool> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE tbl = ?1 COLLATE NOCASE)", names.sources);
    db.prepare_cached(&sql)
        .and_then(|mut statement| statement.query_row([&*watched.table], |row| row.get(0)))
        .map_err(|error| missing(db, &set.application, error))
}

/// A trigger as it is, and as it was installed.
struct Found {
    on: String,
    sql: String,
    installed: Option<String>,
    source: i64,
}

fn trigger(db: &Connection, names: &Names, name: &str) -> rusqlite::Result<Option<Found>> {
    let sql = format!(
        "SELECT m.tbl_name, m.sql, t.sql, ifnull(t.source, -1) FROM sqlite_master m LEFT JOIN {} t ON t.name = m.name \
         WHERE m.type = 'trigger' AND m.name = ?1",
        names.triggers
    );
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Found { on: row.get(0)?, sql: row.get(1)?, installed: row.get(2)?, source: row.get(3)? })
    };
    db.prepare_cached(&sql)?.query_row([name], read).optional()
}

/// The columns that are to be carried and that a source does not have.
fn lacking(db: &Connection, names: &Names, source: i64, table: &Table) -> rusqlite::Result<Vec<String>> {
    let sql = format!("SELECT name FROM {} WHERE source = ?1", names.columns);
    let mut statement = db.prepare_cached(&sql)?;
    let carried = statement.query_map([source], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let has = |name: &str| carried.iter().any(|known| known.eq_ignore_ascii_case(name));
    Ok(table.watched.columns.iter().map(|column| column.name.to_string()).filter(|name| !has(name)).collect())
}

/// A trigger of somebody else on the same table that runs before ours: the engine runs those first that were made last. Logs of
/// other applications change nothing.
pub(super) fn later(db: &Connection, trigger: &str, table: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?2 COLLATE NOCASE \
               AND name NOT LIKE 'emr\\_%' ESCAPE '\\' \
               AND rowid > (SELECT rowid FROM sqlite_master WHERE type = 'trigger' AND name = ?1)";
    db.prepare_cached(sql)?.query_row([trigger, table], |row| row.get(0)).optional()
}
