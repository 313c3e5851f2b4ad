//! Removes changes that the retention does not keep.

use std::time::{Duration, Instant};

use emr_core::watch::Resolved;
use emr_core::{ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension, params};

use super::names::Names;
use super::session::{Session, writing};
use crate::error::from_rusqlite;

/// Changes that are removed in one transaction: it holds other writers up for some milliseconds.
const AT_ONCE: i64 = 10_000;

/// How long it may take in one heartbeat, and how long it waits for other writers.
const EFFORT: Duration = Duration::from_millis(250);

/// Removes old changes, as many as there is time for. Where others write all the time, it is left for later.
pub(super) async fn retain(session: &Session, names: &Names, set: &Resolved) -> Result<()> {
    let begun = Instant::now();
    let (age, keep) = (set.retention.age, i64::try_from(set.retention.events).unwrap_or(i64::MAX));
    while begun.elapsed() < EFFORT {
        let names = names.clone();
        match session.run(EFFORT, move |db| remove(db, &names, age, keep)).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) if matches!(error.kind(), ErrorKind::LockNotAvailable { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes some old changes; whether there may be more.
fn remove(db: &Connection, names: &Names, age: Duration, keep: i64) -> Result<bool> {
    let failed = |error| from_rusqlite(db, error);
    let Some((end, more)) = end(db, names, age, keep).map_err(failed)? else { return Ok(false) };
    writing(db, || {
        let floor = format!(
            "UPDATE {0} SET floor = ?1, floor_at = ifnull((SELECT at FROM {1} WHERE pos = ?1), 0.0) WHERE floor < ?1",
            names.state, names.log
        );
        db.prepare_cached(&floor).and_then(|mut statement| statement.execute([end])).map_err(failed)?;
        for (table, position) in [(&names.log, "pos"), (&names.commits, "last")] {
            let sql = format!("DELETE FROM {table} WHERE {position} <= ?1");
            db.prepare_cached(&sql).and_then(|mut statement| statement.execute([end])).map_err(failed)?;
        }
        Ok(more)
    })
}

/// The last of the oldest changes that is not to be kept, and whether those behind it were not looked at.
fn end(db: &Connection, names: &Names, age: Duration, keep: i64) -> rusqlite::Result<Option<(i64, bool)>> {
    let log = &names.log;
    let sql = format!("SELECT (SELECT min(pos) FROM {log}), (SELECT max(pos) FROM {log})");
    let (first, last): (Option<i64>, Option<i64>) =
        db.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
    let furthest = last.min(first.saturating_add(AT_ONCE - 1));
    let sql = format!("SELECT pos FROM {log} WHERE pos <= ?1 AND at >= julianday('now') - ?2 ORDER BY pos LIMIT 1");
    let days = age.as_secs_f64() / 86_400.0;
    let young: Option<i64> =
        db.prepare_cached(&sql)?.query_row(params![furthest, days], |row| row.get(0)).optional()?;
    let old = young.map_or(furthest, |young| young - 1);
    let end = old.max(last.saturating_sub(keep)).min(furthest);
    Ok((end >= first).then_some((end, end == furthest && end < last)))
}
