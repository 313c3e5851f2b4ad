//! Making and removing what a watcher needs, one table at a time.

use std::time::{Duration, Instant};

use emr_core::watch::{Installed, Plan, Resolved, WatchFault, Watched};
use emr_core::{Error, ErrorKind, Result};
use tokio_postgres::types::Type;

use super::catalog::{self, Table};
use super::define::{self, Definition, HOME, VERSION, wake_of};
use super::layout::{Source, sources};
use super::names::{Names, ident, literal};
use super::session::{Session, doing};
use super::verify::{Live, live, positions_at_a_time};

/// How long one attempt to lock a table may hold up those who come after it.
const ATTEMPT: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(100);

/// What installing on an empty database would do.
pub(super) async fn plan(session: &Session, names: &Names, set: &Resolved) -> Result<Plan> {
    let prepares = prepares(session).await?;
    let wake = wake_of(set, prepares);
    let mut steps = vec![define::base(names)];
    let mut warnings = Vec::new();
    if prepares && wake == "none" {
        warnings.push(
            "the server allows prepared transactions (max_prepared_transactions > 0), which may not notify: \
             readers look for changes instead of being told"
                .to_owned(),
        );
    }
    for watched in &set.tables {
        let table = catalog::find(session, watched).await?;
        if table.always {
            warnings.push(format!(
                "{} is written by a subscription: its triggers run always, also for sessions with session_replication_role = replica",
                watched.full_name()
            ));
        }
        if table.by_row {
            warnings.push(format!(
                "{} is partitioned, inherits, is replicated into, or has no unique key: its triggers run for each row",
                watched.full_name()
            ));
        }
        steps.push(define::table(names, set, &table, wake).step());
    }
    Ok(Plan { steps, warnings })
}

/// Whether transactions can be prepared on this server.
async fn prepares(session: &Session) -> Result<bool> {
    let sql = "SELECT pg_catalog.current_setting('max_prepared_transactions')::integer > 0";
    Ok(session.one(sql, &[]).await?.get(0))
}

pub(super) async fn install(session: &Session, names: &Names, set: &Resolved) -> Result<Installed> {
    let mut changed = Vec::new();
    let action = "make the watcher's objects";
    let wake = wake_of(set, prepares(session).await?);
    if base(session, names, set, wake).await.map_err(|error| doing(action, error))? {
        changed.push(format!("change log in the schema {}", names.schema));
    }
    for watched in &set.tables {
        let patience = Patience::new(session, set);
        loop {
            match table(session, names, set, watched, wake).await {
                Ok(done) => {
                    changed.extend(done);
                    break;
                }
                Err(error) => {
                    patience.after(error, &watched.full_name()).await.map_err(|error| doing(action, error))?;
                }
            }
        }
    }
    Ok(Installed::new(changed))
}

/// Begins a transaction that no other installer of the application is in. Waiting for that holds nobody up who writes.
async fn begin(session: &Session, names: &Names) -> Result<()> {
    session
        .script(&format!(
            "BEGIN; SET LOCAL lock_timeout = '60s'; SELECT pg_catalog.pg_advisory_xact_lock({}); SET LOCAL lock_timeout = {}",
            names.install_key,
            ATTEMPT.as_millis()
        ))
        .await
}

/// Makes the log, or makes it anew if it is a copy of another database's. Returns whether there was something to do.
async fn base(session: &Session, names: &Names, set: &Resolved, wake: &str) -> Result<bool> {
    begin(session, names).await?;
    let done = async {
        let state = names.own("state");
        let exists = session.one("SELECT pg_catalog.to_regclass($1) IS NOT NULL", &[(&state, Type::TEXT)]).await?;
        let exists: bool = exists.get(0);
        let mut changed = !exists;
        if exists {
            let rows = session.query(&format!("SELECT version, home = ({HOME}), wake FROM {state}"), &[]).await?;
            let row = rows.first();
            let version = row.map_or(VERSION, |row| row.get(0));
            if version > VERSION {
                let missing = format!("its log is of a newer version ({version}) than this program knows ({VERSION})");
                return Err(Error::watch(WatchFault::NotInstalled {
                    application: set.application.to_string(),
                    missing,
                }));
            }
            let own = ["log", "sources", "ticks", "consumers"].map(|table| names.own(table)).to_vec();
            let sql = "SELECT bool_and(pg_catalog.to_regclass(t) IS NOT NULL) FROM pg_catalog.unnest($1::text[]) AS t";
            let is_whole: bool = session.one(sql, &[(&own, Type::TEXT_ARRAY)]).await?.get(0);
            if !is_whole || row.is_none_or(|row| !row.get::<_, bool>(1)) {
                // Somebody dropped a part of it; or it is a copy, and its transaction ids mean nothing here.
                session.script(&format!("DROP SCHEMA {} CASCADE", names.schema)).await?;
                changed = true;
            } else if row.is_some_and(|row| row.get::<_, &str>(2) != wake) {
                session.script(&format!("UPDATE {state} SET wake = {}", literal(wake))).await?;
                changed = true;
            }
        }
        // Everything here is made only if it does not exist, but for the guard of the log.
        if changed {
            session.script(&define::base(names).sql.join(";\n")).await?;
            session.script(&format!("UPDATE {state} SET wake = {}", literal(wake))).await?;
        }
        if positions_at_a_time(session, names).await? > 1 {
            session.script(&format!("ALTER SEQUENCE {} CACHE 1", names.own("log_pos_seq"))).await?;
            changed = true;
        }
        Ok(changed)
    }
    .await;
    match done {
        Ok(changed) => session.script("COMMIT").await.map(|()| changed),
        Err(error) => {
            let _ = session.script("ROLLBACK").await;
            Err(error)
        }
    }
}

/// Brings one table up to date. Returns what was changed.
async fn table(
    session: &Session,
    names: &Names,
    set: &Resolved,
    watched: &Watched,
    wake: &str,
) -> Result<Option<String>> {
    begin(session, names).await?;
    let table = catalog::find(session, watched).await?;
    let known = sources(session, names).await?;
    let current =
        known.iter().find(|source| source.current && source.prefix == table.prefix && source.name == table.name);
    let table = with_columns_of(table, current);
    let definition = define::table(names, set, &table, wake);
    let name = table.sql_name();
    let there = live(session, names, std::slice::from_ref(&name)).await?.remove(&name).unwrap_or_default();
    let as_left = current.is_some_and(|source| source.shape == definition.shape && there.is_as_left(source));
    if as_left && current.is_some_and(|source| source.id == definition.source && source.hash == definition.hash) {
        session.script("ROLLBACK").await?;
        return Ok(None);
    }
    session.script(&definition.functions.join(";\n")).await?;
    if !as_left {
        make_triggers(session, &definition, &there).await?;
    }
    // What is there now is what must be there later.
    session.script(&format!("{}; COMMIT", definition.note)).await?;
    Ok(Some(format!("triggers of {name}")))
}

/// Makes the triggers anew: whatever of the application stood on the table and its family goes.
async fn make_triggers(session: &Session, definition: &Definition, there: &Live) -> Result<()> {
    let mut sql: Vec<_> = there
        .triggers
        .keys()
        .filter_map(|trigger| trigger.split_once(" of "))
        .map(|(name, table)| format!("DROP TRIGGER {} ON {table}", ident(name)))
        .collect();
    for trigger in &definition.triggers {
        // One of this name that calls somebody else's function is in the way.
        sql.push(format!("DROP TRIGGER IF EXISTS {} ON {}", ident(&trigger.name), trigger.table));
        sql.push(trigger.create.clone());
        sql.extend(trigger.always.clone());
    }
    session.script(&sql.join(";\n")).await
}

/// Programs of several versions share one log: what one of them carries is carried on when the other installs.
fn with_columns_of(mut table: Table, current: Option<&Source>) -> Table {
    let Some(current) = current else { return table };
    let carried = current.columns.iter().map(|column| column.name.as_str());
    let carried: Vec<_> = carried.filter(|name| table.column(name).is_some()).collect();
    table.watched = table.watched.carrying(carried);
    table
}

/// Removes what is the application's, and nothing else. Returns what that was.
pub(super) async fn uninstall(session: &Session, names: &Names, set: &Resolved) -> Result<Vec<String>> {
    let action = "remove the watcher's objects";
    let mut removed = Vec::new();
    let exists =
        session.one("SELECT pg_catalog.to_regnamespace($1) IS NOT NULL", &[(&names.schema, Type::TEXT)]).await?;
    if !exists.get::<_, bool>(0) {
        return Ok(removed);
    }
    // A schema of this name that somebody else made has no such table, and is not touched.
    let state =
        session.one("SELECT pg_catalog.to_regclass($1) IS NOT NULL", &[(&names.own("state"), Type::TEXT)]).await?;
    if !state.get::<_, bool>(0) {
        return Ok(removed);
    }
    let sql = "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), \
         pg_catalog.array_agg(t.tgname::text) FROM pg_catalog.pg_trigger t \
         JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid AND p.pronamespace = pg_catalog.to_regnamespace($1)::oid \
         JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND n.oid <> p.pronamespace GROUP BY 1 ORDER BY 1";
    for row in session.query(sql, &[(&names.schema, Type::TEXT)]).await? {
        let (table, triggers): (String, Vec<String>) = (row.get(0), row.get(1));
        let drops: Vec<_> =
            triggers.iter().map(|name| format!("DROP TRIGGER IF EXISTS {} ON {table}", ident(name))).collect();
        let drops = drops.join("; ");
        let patience = Patience::new(session, set);
        while let Err(error) = drop_triggers(session, names, &drops).await {
            patience.after(error, &table).await.map_err(|error| doing(action, error))?;
        }
        removed.push(format!("triggers of {table}"));
    }
    let drop = async {
        begin(session, names).await?;
        session.script(&format!("SET LOCAL lock_timeout = '10s'; DROP SCHEMA {} CASCADE; COMMIT", names.schema)).await
    };
    if let Err(error) = drop.await {
        let _ = session.script("ROLLBACK").await;
        return Err(doing(action, error));
    }
    removed.push(format!("change log in the schema {}", names.schema));
    Ok(removed)
}

async fn drop_triggers(session: &Session, names: &Names, drops: &str) -> Result<()> {
    begin(session, names).await?;
    session.script(drops).await?;
    session.script("COMMIT").await
}

/// Trying again while a table is locked by others, within the lock timeout.
struct Patience<'p> {
    session: &'p Session,
    limit: Duration,
    started: Instant,
}

impl<'p> Patience<'p> {
    fn new(session: &'p Session, set: &Resolved) -> Self {
        Patience { session, limit: set.lock_timeout.max(ATTEMPT * 2), started: Instant::now() }
    }

    /// Undoes a failed attempt and waits a little; or gives the error back, if it is another one or comes for too long.
    async fn after(&self, error: Error, object: &str) -> Result<()> {
        // The error is what counts.
        let _ = self.session.script("ROLLBACK").await;
        if !matches!(error.kind(), ErrorKind::LockNotAvailable { .. } | ErrorKind::Deadlock { .. }) {
            return Err(error);
        }
        let waited = self.started.elapsed();
        if waited + PAUSE + ATTEMPT > self.limit {
            let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            return Err(Error::watch(WatchFault::Locked { object: object.to_owned(), waited_ms }).with_source(error));
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}
