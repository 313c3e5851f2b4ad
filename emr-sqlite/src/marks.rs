//! What a connection tells change logs of its commits: where they end, and who made them. No trigger can know that.
//!
//! Only in files where a watcher is installed. It is done as well as it can be: a write never fails for it.

use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::watcher::names::{COMMITS, Names};

/// Changed rows after which the end of a commit is noted, so that who reads a long log knows where it may stop.
const EVERY: u64 = 2_048;

/// What a connection notes.
#[derive(Default)]
pub(crate) struct Marks {
    /// The version of the schema in which the logs were looked for.
    schema: Option<i64>,
    logs: Vec<Names>,
    /// Of the transaction that is open: who writes, and where each log stood before it.
    origin: Option<(Arc<str>, Vec<i64>)>,
    /// Rows that were changed since the last mark.
    unmarked: u64,
}

impl Marks {
    /// A transaction has begun, and holds the write lock.
    pub(crate) fn begin(&mut self, db: &Connection, origin: Option<&Arc<str>>) {
        self.origin = None;
        let Some(origin) = origin else { return };
        self.look_for_logs(db);
        let heads = self.logs.iter().map(|log| head(db, log).unwrap_or(i64::MAX)).collect();
        self.origin = Some((Arc::clone(origin), heads));
    }

    /// A transaction is about to end.
    pub(crate) fn commit(&mut self, db: &Connection) {
        let Some((origin, before)) = self.origin.take() else { return };
        for (log, before) in self.logs.iter().zip(before) {
            if let Ok(last) = head(db, log)
                && last > before
            {
                let sql = format!("INSERT OR REPLACE INTO {} (last, first, origin) VALUES (?1, ?2, ?3)", log.commits);
                let _ = db
                    .prepare_cached(&sql)
                    .and_then(|mut statement| statement.execute(params![last, before + 1, &*origin]));
            }
        }
    }

    /// Rows were changed and committed.
    pub(crate) fn count(&mut self, rows: u64) {
        self.unmarked = self.unmarked.saturating_add(rows);
    }

    /// Whether it is time to note where commits end.
    pub(crate) fn are_due(&self) -> bool {
        self.unmarked >= EVERY
    }

    /// Notes that commits end where the logs end now. Outside a transaction.
    pub(crate) fn mark(&mut self, db: &Connection) {
        self.unmarked = 0;
        self.look_for_logs(db);
        for log in &self.logs {
            let sql = format!(
                "INSERT OR IGNORE INTO {} (last) SELECT max(pos) FROM {} HAVING max(pos) > 0",
                log.commits, log.log
            );
            let _ = db.prepare_cached(&sql).and_then(|mut statement| statement.execute([]));
        }
    }

    fn look_for_logs(&mut self, db: &Connection) {
        let version = db
            .prepare_cached("PRAGMA schema_version")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .ok();
        if version.is_none() || version != self.schema {
            self.logs = logs(db).unwrap_or_default();
            self.schema = version;
        }
    }
}

/// The change logs of all applications.
fn logs(db: &Connection) -> rusqlite::Result<Vec<Names>> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'emr_*' || ?1 \
               AND (SELECT count(*) FROM pragma_table_info(sqlite_master.name) WHERE name IN ('last', 'first', 'origin')) = 3";
    let mut statement = db.prepare_cached(sql)?;
    let found = statement.query_map([COMMITS], |row| row.get::<_, String>(0))?;
    let names = found.map(|name| name.map(|name| Names::with_stem(name.trim_end_matches(COMMITS).to_owned())));
    names.collect()
}

/// The last position.
fn head(db: &Connection, log: &Names) -> rusqlite::Result<i64> {
    let sql = format!("SELECT ifnull(max(pos), 0) FROM {}", log.log);
    db.prepare_cached(&sql)?.query_row([], |row| row.get(0))
}
