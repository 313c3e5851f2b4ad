//! The statements that make a change log and the triggers of a table.

use emr_core::watch::{PlanStep, Resolved, Wake, hex_digest};
use serde_json::json;

use super::catalog::Table;
use super::cells::Column;
use super::names::{Names, ident, literal};
use super::verify;

/// Raised when the tables of the log itself change.
pub(super) const VERSION: i32 = 1;

/// What a function of a trigger runs as: its owner's rights, and no name of the writer's taken for one of ours.
const SECURITY: &str = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp";

/// The log's own tables.
pub(super) fn base(names: &Names) -> PlanStep {
    let own = |object: &str| names.own(object);
    let (state, sources, log) = (own("state"), own("sources"), own("log"));
    let (ticks, consumers) = (own("ticks"), own("consumers"));
    let sql = vec![
        format!("CREATE SCHEMA IF NOT EXISTS {}", names.schema),
        // One row. `home` is the cluster and database that the log was made in: a copy restored elsewhere is another log.
        format!(
            "CREATE TABLE IF NOT EXISTS {state} (one boolean PRIMARY KEY DEFAULT true CHECK (one), \
             version integer NOT NULL, id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(), home text NOT NULL, \
             wake text NOT NULL, floor xid8 NOT NULL)"
        ),
        // What of which table is in the log. A row that is no longer current explains older changes.
        format!(
            "CREATE TABLE IF NOT EXISTS {sources} (id integer PRIMARY KEY, prefix text NOT NULL, name text NOT NULL, \
             keys integer NOT NULL, columns jsonb NOT NULL, hash text NOT NULL, \
             shape text NOT NULL, triggers jsonb, \
             current boolean NOT NULL)"
        ),
        // `pos` counts while the writer holds its row, so it orders the changes of each row: no cache, or it would not.
        format!(
            "CREATE TABLE IF NOT EXISTS {log} (pos bigint NOT NULL GENERATED ALWAYS AS IDENTITY (CACHE 1), \
             xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(), src integer NOT NULL, op \"char\" NOT NULL, \
             old bytea[], new bytea[], \
             origin text DEFAULT nullif(pg_catalog.current_setting('emr.origin', true), '')) \
             WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, \
             toast.autovacuum_vacuum_scale_factor = 0)"
        ),
        format!("CREATE INDEX IF NOT EXISTS log_xid ON {log} (xid)"),
        // Who empties the log by hand has made another one of it: readers are told.
        format!(
            "CREATE OR REPLACE FUNCTION {}() RETURNS trigger {SECURITY} AS $emr$ BEGIN \
             UPDATE {state} SET id = pg_catalog.gen_random_uuid(); RETURN NULL; END $emr$",
            own("on_log_truncate")
        ),
        format!("DROP TRIGGER IF EXISTS emptied ON {log}"),
        format!(
            "CREATE TRIGGER emptied AFTER TRUNCATE ON {log} FOR EACH STATEMENT EXECUTE FUNCTION {}()",
            own("on_log_truncate")
        ),
        // When there was which snapshot, to tell how old a change is.
        format!(
            "CREATE TABLE IF NOT EXISTS {ticks} (at timestamptz PRIMARY KEY DEFAULT pg_catalog.now(), horizon xid8 NOT NULL, \
             pos bigint NOT NULL)"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {consumers} (name text PRIMARY KEY, epoch bigint NOT NULL, token text NOT NULL, \
             at timestamptz NOT NULL DEFAULT pg_catalog.now())"
        ),
        format!(
            "INSERT INTO {state} (version, home, wake, floor) SELECT {VERSION}, ({HOME}), 'adaptive', \
             pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) ON CONFLICT DO NOTHING"
        ),
    ];
    PlanStep::new(format!("change log in the schema {}", names.schema), sql)
}

/// The cluster and database, as the state row keeps it.
pub(super) const HOME: &str = "SELECT system_identifier::text || '-' || (SELECT oid::text FROM pg_catalog.pg_database \
     WHERE datname = pg_catalog.current_database()) FROM pg_catalog.pg_control_system()";

/// What stands on one table, and what it writes.
#[derive(Debug)]
pub(super) struct Definition {
    /// Its number in the log.
    pub(super) source: i32,
    pub(super) hash: String,
    pub(super) shape: String,
    /// The row in `sources`, and the functions. Making them locks nothing that writers need.
    pub(super) functions: Vec<String>,
    pub(super) triggers: Vec<Trigger>,
    /// Notes what stands there then, for comparison.
    pub(super) note: String,
    /// The table, as SQL writes it.
    pub(super) table: String,
}

/// A trigger.
#[derive(Debug)]
pub(super) struct Trigger {
    pub(super) name: String,
    /// The table that it stands on, as SQL writes it.
    pub(super) table: String,
    pub(super) create: String,
    /// Also switches it on for replicated writes.
    pub(super) always: Option<String>,
}

impl Definition {
    pub(super) fn step(&self) -> PlanStep {
        let triggers = self.triggers.iter().flat_map(|trigger| [Some(&trigger.create), trigger.always.as_ref()]);
        let sql = self.functions.iter().chain(triggers.flatten()).chain([&self.note]).cloned().collect();
        PlanStep::new(format!("triggers of {}", self.table), sql)
    }
}

/// How writers wake readers.
pub(super) fn wake_of(set: &Resolved, prepares: bool) -> &'static str {
    match set.wake {
        Wake::Notify => "notify",
        // A transaction that has notified cannot be prepared: a watcher must not be what forbids that.
        _ if prepares => "none",
        _ => "adaptive",
    }
}

/// What makes the watcher of one table.
pub(super) fn table(names: &Names, set: &Resolved, table: &Table, wake: &str) -> Definition {
    let mut writer = Writer::new(names, set, table, wake);
    let (triggers, functions) = if table.by_row { writer.by_row() } else { writer.by_statement() };
    let columns: Vec<_> = writer
        .columns
        .iter()
        .map(|column| json!({"name": column.name, "type": column.wire_oid(), "declared": column.declared}))
        .collect();
    let columns = serde_json::Value::Array(columns).to_string();
    let keys = table.watched.keys;
    let source = writer.source;
    let sources = names.own("sources");
    let (prefix, name) = (literal(&table.prefix), literal(&table.name));
    let mut all = vec![writer.fits_function("fits", "IMMUTABLE"), writer.fits_function("fits_now", "STABLE")];
    all.extend(functions);
    let hash = hex_digest(&format!("{columns}{keys}{}", all.join(";")), 40);
    let shape: Vec<_> = triggers
        .iter()
        .flat_map(|trigger| [Some(&trigger.create), trigger.always.as_ref()])
        .flatten()
        .cloned()
        .collect();
    let shape = hex_digest(&shape.join(";"), 40);
    let mut statements = vec![
        format!(
            "INSERT INTO {sources} (id, prefix, name, keys, columns, hash, shape, current) VALUES \
             ({source}, {prefix}, {name}, {keys}, {}::jsonb, {}, {}, true) \
             ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, shape = excluded.shape, current = true",
            literal(&columns),
            literal(&hash),
            literal(&shape)
        ),
        format!(
            "UPDATE {sources} SET current = false WHERE prefix = {prefix} AND name = {name} AND id <> {source} AND current"
        ),
    ];
    statements.extend(all);
    let note = verify::note(names, &table.sql_name(), source);
    Definition { note, source, hash, shape, functions: statements, triggers, table: table.sql_name() }
}

struct Writer<'a> {
    names: &'a Names,
    table: &'a Table,
    columns: Vec<&'a Column>,
    max_value: usize,
    source: i32,
    /// The calls that ask whether the table has the columns.
    fits: String,
    fits_now: String,
    log: String,
    wake: String,
}

impl<'a> Writer<'a> {
    fn new(names: &'a Names, set: &Resolved, table: &'a Table, wake: &str) -> Self {
        // The catalog was asked for all of them.
        let mut columns: Vec<_> =
            table.watched.columns.iter().filter_map(|column| table.column(&column.name)).collect();
        // Programs that carry the same columns install the same, in whatever order they name them.
        columns[table.watched.keys..].sort_by(|a, b| a.name.cmp(&b.name));
        let shape: Vec<_> = columns.iter().map(|c| format!("{}:{}:{}", c.name, c.declared, c.wire_oid())).collect();
        let shape = format!("{}|{}|{}|{}", table.sql_name(), table.watched.keys, set.max_value, shape.join("|"));
        // 31 bits of a hash: the number is the same in every database, so that a plan can be a migration.
        let source = u32::from_str_radix(&hex_digest(&shape, 8), 16).unwrap_or(0);
        let source = (source & 0x7fff_ffff).cast_signed();
        let wake = match wake {
            "notify" => format!("PERFORM pg_catalog.pg_notify({}, '');", literal(&names.bare)),
            "adaptive" => format!(
                "IF NOT pg_catalog.pg_try_advisory_xact_lock_shared({}) THEN PERFORM pg_catalog.pg_notify({}, ''); END IF;",
                names.sleep_key,
                literal(&names.bare)
            ),
            _ => String::new(),
        };
        Writer {
            names,
            max_value: set.max_value,
            source,
            fits: format!("{}()", names.function(&table.sql_name(), "fits")),
            fits_now: format!("{}()", names.function(&table.sql_name(), "fits_now")),
            log: names.own("log"),
            wake,
            columns,
            table,
        }
    }

    /// The carried values of a row, as an array.
    fn cells(&self, row: &str) -> String {
        let cells: Vec<_> = self
            .columns
            .iter()
            .enumerate()
            .map(|(n, column)| column.expression(row, (n >= self.table.watched.keys).then_some(self.max_value)))
            .collect();
        format!("ARRAY[{}]::pg_catalog.bytea[]", cells.join(", "))
    }

    /// Says whether the table has the columns with their types, so that a write to an altered table does not fail.
    ///
    /// `fits` is declared immutable: the server asks it when it plans a statement on the rows of the table, which it does again
    /// after every ALTER of the table, and not in between. So a write costs no look into the catalog. `fits_now` is for code
    /// that has no such statement.
    fn fits_function(&self, name: &str, volatility: &str) -> String {
        let columns: Vec<_> =
            self.columns.iter().map(|c| format!("({}, {})", literal(&c.name), literal(&c.declared))).collect();
        format!(
            "CREATE OR REPLACE FUNCTION {}() RETURNS boolean {volatility} {SECURITY} AS $emr$ BEGIN \
             RETURN (SELECT pg_catalog.count(*) = {} FROM pg_catalog.pg_attribute a \
             JOIN pg_catalog.pg_type t ON t.oid = a.atttypid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
             WHERE a.attrelid = pg_catalog.to_regclass({}) AND a.attnum > 0 AND NOT a.attisdropped \
             AND (a.attname::pg_catalog.text, n.nspname || '.' || t.typname) IN ({})); END $emr$",
            self.names.function(&self.table.sql_name(), name),
            columns.len(),
            literal(&self.table.sql_name()),
            columns.join(", "),
        )
    }

    fn function(&self, what: &str, body: &str) -> String {
        let name = self.names.function(&self.table.sql_name(), what);
        format!(
            "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger {SECURITY} AS $emr$ BEGIN {body} RETURN NULL; END $emr$"
        )
    }

    /// A trigger that fires when this holds of the row, if it is to hold.
    fn trigger(&self, what: &str, on: &str, event: &str, condition: Option<&str>, function: &str) -> Trigger {
        let bare = self.names.trigger(what);
        let function = self.names.function(&self.table.sql_name(), function);
        let name = ident(&bare);
        // Always true, and it makes the trigger depend on the log: who drops the log is told, and with CASCADE the triggers go
        // too, so that no write fails for want of it.
        let log = format!("(NULL::{}) IS NULL", self.log);
        let when = condition.map_or_else(|| log.clone(), |condition| format!("({condition}) AND {log}"));
        let create = format!("CREATE TRIGGER {name} AFTER {event} WHEN ({when}) EXECUTE FUNCTION {function}()");
        let always = self.table.always.then(|| format!("ALTER TABLE {on} ENABLE ALWAYS TRIGGER {name}"));
        Trigger { name: bare, table: on.to_owned(), create, always }
    }

    /// Notes that rows were written that the definition does not fit.
    fn unfit(&self) -> String {
        format!("INSERT INTO {} (src, op) VALUES ({}, 'X');", self.log, self.source)
    }

    fn by_statement(&mut self) -> (Vec<Trigger>, Vec<String>) {
        let (log, source, wake) = (&self.log, self.source, &self.wake);
        let table = self.table.sql_name();
        let guarded = |rows: &str, write: &str| {
            format!(
                "IF EXISTS (SELECT FROM {rows} WHERE {}) THEN {write} \
                 ELSIF EXISTS (SELECT FROM {rows}) THEN {} ELSE RETURN NULL; END IF; {wake}",
                self.fits,
                self.unfit()
            )
        };
        let insert = guarded(
            "emr_new",
            &format!("INSERT INTO {log} (src, op, new) SELECT {source}, 'I', {} FROM emr_new;", self.cells("emr_new")),
        );
        let delete = guarded(
            "emr_old",
            &format!("INSERT INTO {log} (src, op, old) SELECT {source}, 'D', {} FROM emr_old;", self.cells("emr_old")),
        );
        let keys: Vec<_> = self.columns[..self.table.watched.keys].iter().map(|column| ident(&column.name)).collect();
        let same: Vec<_> = keys.iter().map(|key| format!("emr_old.{key} = emr_new.{key}")).collect();
        // Rows that an update left as they were are no changes. Rows whose keys changed find no partner here: they come by row.
        let update = guarded(
            "emr_new",
            &format!(
                "INSERT INTO {log} (src, op, old, new) SELECT {source}, 'U', {}, {} FROM emr_old JOIN emr_new ON {} \
                 WHERE emr_old.* *<> emr_new.*; IF NOT FOUND THEN RETURN NULL; END IF;",
                self.cells("emr_old"),
                self.cells("emr_new"),
                same.join(" AND ")
            ),
        );
        let moved: Vec<_> = keys.iter().map(|key| format!("OLD.{key} IS DISTINCT FROM NEW.{key}")).collect();
        let moved = moved.join(" OR ");
        let moved_row = self.row_update();
        let mut triggers = vec![
            self.trigger(
                "insert",
                &table,
                &format!("INSERT ON {table} REFERENCING NEW TABLE AS emr_new FOR EACH STATEMENT"),
                None,
                "insert",
            ),
            self.trigger(
                "update",
                &table,
                &format!("UPDATE ON {table} REFERENCING OLD TABLE AS emr_old NEW TABLE AS emr_new FOR EACH STATEMENT"),
                None,
                "update",
            ),
            self.trigger("moved", &table, &format!("UPDATE ON {table} FOR EACH ROW"), Some(&moved), "moved"),
            self.trigger(
                "delete",
                &table,
                &format!("DELETE ON {table} REFERENCING OLD TABLE AS emr_old FOR EACH STATEMENT"),
                None,
                "delete",
            ),
        ];
        triggers.push(self.truncate_trigger(&table));
        let functions = vec![
            self.function("insert", &insert),
            self.function("update", &update),
            self.function("moved", &moved_row),
            self.function("delete", &delete),
            self.truncate_function(),
        ];
        (triggers, functions)
    }

    /// The body that logs one updated row.
    fn row_update(&self) -> String {
        format!(
            "IF {} THEN INSERT INTO {} (src, op, old, new) VALUES ({}, 'U', {}, {}); ELSE {} END IF; {}",
            self.fits_now,
            self.log,
            self.source,
            self.cells("OLD"),
            self.cells("NEW"),
            self.unfit(),
            self.wake
        )
    }

    fn by_row(&mut self) -> (Vec<Trigger>, Vec<String>) {
        let write = |columns: &str, op: &str, values: &str| {
            format!(
                "IF {} THEN INSERT INTO {} (src, op, {columns}) VALUES ({}, '{op}', {values}); ELSE {} END IF; {}",
                self.fits_now,
                self.log,
                self.source,
                self.unfit(),
                self.wake
            )
        };
        let functions = vec![
            self.function("insert", &write("new", "I", &self.cells("NEW"))),
            self.function("update", &self.row_update()),
            self.function("delete", &write("old", "D", &self.cells("OLD"))),
            self.truncate_function(),
        ];
        let mut triggers = Vec::new();
        for (n, member) in self.table.members.iter().enumerate() {
            let on = &member.name;
            // A partition has the row triggers of the table that it is a part of.
            if n == 0 || !member.is_partition {
                for (what, event, when) in [
                    ("insert", "INSERT", None),
                    ("update", "UPDATE", Some("OLD.* *<> NEW.*")),
                    ("delete", "DELETE", None),
                ] {
                    triggers.push(self.trigger(what, on, &format!("{event} ON {on} FOR EACH ROW"), when, what));
                }
            }
            triggers.push(self.truncate_trigger(on));
        }
        (triggers, functions)
    }

    fn truncate_function(&self) -> String {
        self.function(
            "truncate",
            &format!("INSERT INTO {} (src, op) VALUES ({}, 'T'); {}", self.log, self.source, self.wake),
        )
    }

    fn truncate_trigger(&self, on: &str) -> Trigger {
        self.trigger("truncate", on, &format!("TRUNCATE ON {on} FOR EACH STATEMENT"), None, "truncate")
    }
}
