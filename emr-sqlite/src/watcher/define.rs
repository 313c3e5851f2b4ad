//! The statements that make the change log and the triggers.

use emr_core::watch::{PlanStep, Resolved, WatchFault, hex_digest};
use emr_core::{Error, Result};

use super::catalog::{Column, Table};
use super::cells::{DELETE, INSERT, UPDATE};
use super::names::{Names, ident, literal};

/// Of the layout of the tables below.
const VERSION: i64 = 1;

/// The most cells of a logged change: a table has at most 2,000 columns, and some are taken.
const MOST_CELLS: usize = 1_980;

/// The tables of the change log, with room for this many cells.
pub(super) fn log_step(names: &Names, cells: usize) -> PlanStep {
    let Names { log, sources, columns, triggers, state, commits, consumers, .. } = names;
    // One at least, so that there is no log without any.
    let values = cell_names(cells.max(1));
    let sql = vec![
        // `at` is the day by Julius Caesar's calendar: any version of the engine can tell it. Cells have no type, so that each value is
        // stored exactly as it is.
        format!(
            "CREATE TABLE IF NOT EXISTS {log} (pos INTEGER PRIMARY KEY AUTOINCREMENT, source INTEGER NOT NULL, \
             op INTEGER NOT NULL, at REAL NOT NULL, cut TEXT, {values})"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {sources} (id INTEGER PRIMARY KEY, tbl TEXT NOT NULL, keys INTEGER NOT NULL, \
             hash TEXT NOT NULL)"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {columns} (source INTEGER NOT NULL, n INTEGER NOT NULL, name TEXT NOT NULL, \
             PRIMARY KEY (source, n)) WITHOUT ROWID"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {triggers} (name TEXT PRIMARY KEY, source INTEGER NOT NULL, sql TEXT NOT NULL) \
             WITHOUT ROWID"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {state} (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, \
             identity TEXT NOT NULL, floor INTEGER NOT NULL, floor_at REAL NOT NULL)"
        ),
        format!("CREATE TABLE IF NOT EXISTS {commits} (last INTEGER PRIMARY KEY, first INTEGER, origin TEXT)"),
        format!(
            "CREATE TABLE IF NOT EXISTS {consumers} (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, token TEXT NOT NULL, \
             at REAL NOT NULL) WITHOUT ROWID"
        ),
        format!(
            "INSERT OR IGNORE INTO {state} (id, version, identity, floor, floor_at) \
             VALUES (1, {VERSION}, lower(hex(randomblob(8))), 0, 0)"
        ),
    ];
    PlanStep::new(format!("change log {log}"), sql)
}

/// What stands on one table, and what it writes.
#[derive(Debug)]
pub(super) struct Definition {
    /// Its number in the log.
    pub(super) source: i64,
    /// The name of the table as it was created.
    pub(super) table: String,
    pub(super) hash: String,
    /// How many cells a change takes.
    pub(super) cells: usize,
    /// What is noted of the source.
    pub(super) register: Vec<String>,
    pub(super) triggers: Vec<Trigger>,
    /// Keeps the triggers as they were made.
    pub(super) keep: String,
}

/// A trigger.
#[derive(Debug)]
pub(super) struct Trigger {
    /// Its bare name.
    pub(super) name: String,
    pub(super) create: String,
}

impl Definition {
    pub(super) fn step(&self) -> PlanStep {
        PlanStep::new(self.object(), self.statements().cloned().collect())
    }

    pub(super) fn object(&self) -> String {
        format!("triggers of {}", self.table)
    }

    /// All statements for a table that has none of the triggers.
    pub(super) fn statements(&self) -> impl Iterator<Item = &String> {
        let triggers = self.triggers.iter().map(|trigger| &trigger.create);
        self.register.iter().chain(triggers).chain([&self.keep])
    }
}

/// What makes the watcher of one table.
pub(super) fn table(names: &Names, set: &Resolved, table: &Table) -> Result<Definition> {
    let writer = Writer { names, table, max_value: set.max_value };
    let carried = &table.watched.columns;
    let cells = carried.len() * 2;
    if cells > MOST_CELLS {
        return Err(Error::watch(WatchFault::BadSetting {
            setting: "extra_columns".to_owned(),
            problem: format!(
                "{} columns of {} would be carried, and a log holds {}: name fewer",
                carried.len(),
                table.name,
                MOST_CELLS / 2
            ),
        }));
    }
    let bodies = [
        ("insert", "INSERT", String::new(), INSERT, vec!["NEW"]),
        ("update", "UPDATE", format!(" WHEN {}", differs(table)), UPDATE, vec!["OLD", "NEW"]),
        ("delete", "DELETE", String::new(), DELETE, vec!["OLD"]),
    ];
    let shape: Vec<_> = carried.iter().map(|column| &*column.name).collect();
    let shape = format!("{}|{}|{}", table.name, table.watched.keys, shape.join("|"));
    // 31 bits of a hash: the number is the same in every file, so that a plan can be a migration.
    let source = i64::from_str_radix(&hex_digest(&shape, 8), 16).unwrap_or(0) & 0x7fff_ffff;
    let triggers: Vec<_> = bodies
        .iter()
        .map(|(what, event, when, op, rows)| {
            let name = names.trigger(what, &table.name);
            let body = writer.body(source, *op, rows);
            let create = format!(
                "CREATE TRIGGER {} AFTER {event} ON {}{when} BEGIN {body}; END",
                ident(&name),
                ident(&table.name)
            );
            Trigger { name, create }
        })
        .collect();
    let all: Vec<_> = triggers.iter().map(|trigger| trigger.create.as_str()).collect();
    let hash = hex_digest(&format!("{shape}|{}", all.join(";")), 40);
    let (name, keys) = (literal(&table.name), table.watched.keys);
    let columns: Vec<_> =
        carried.iter().enumerate().map(|(n, column)| format!("({source}, {n}, {})", literal(&column.name))).collect();
    let register = vec![
        format!(
            "INSERT OR REPLACE INTO {} (id, tbl, keys, hash) VALUES ({source}, {name}, {keys}, {})",
            names.sources,
            literal(&hash)
        ),
        format!("INSERT OR REPLACE INTO {} (source, n, name) VALUES {}", names.columns, columns.join(", ")),
    ];
    let of: Vec<_> = triggers.iter().map(|trigger| literal(&trigger.name)).collect();
    let keep = format!(
        "INSERT OR REPLACE INTO {} (name, source, sql) SELECT name, {source}, sql FROM sqlite_master \
         WHERE type = 'trigger' AND name IN ({})",
        names.triggers,
        of.join(", ")
    );
    Ok(Definition { source, table: table.name.clone(), hash, cells, register, triggers, keep })
}

struct Writer<'a> {
    names: &'a Names,
    table: &'a Table,
    max_value: usize,
}

impl Writer<'_> {
    /// The statement that logs a change. Only functions that engines of any age have: other programs write too.
    fn body(&self, source: i64, op: i64, rows: &[&str]) -> String {
        let cells: Vec<_> =
            rows.iter().flat_map(|row| self.carried().map(move |(n, column)| (*row, n, column))).collect();
        let names = cell_names(cells.len());
        let values: Vec<_> = cells.iter().map(|(row, n, column)| self.value(row, *n, column)).collect();
        let long: Vec<_> = cells
            .iter()
            .enumerate()
            .filter(|(_, (_, n, column))| self.may_be_long(*n, column))
            .map(|(cell, (row, _, column))| (cell, self.is_long(row, column)))
            .collect();
        let cut = if long.is_empty() {
            "NULL".to_owned()
        } else {
            let any = balanced(long.iter().map(|(_, is_long)| is_long.clone()).collect(), "OR");
            let each = long.iter().map(|(cell, is_long)| format!("CASE WHEN {is_long} THEN '{cell} ' ELSE '' END"));
            format!("CASE WHEN {any} THEN {} END", balanced(each.collect(), "||"))
        };
        format!(
            "INSERT INTO {} (source, op, at, cut, {names}) VALUES ({source}, {op}, julianday('now'), {cut}, {})",
            self.names.log,
            values.join(", ")
        )
    }

    /// The columns that are carried, with their positions.
    fn carried(&self) -> impl Iterator<Item = (usize, &Column)> {
        // The catalog was asked for all of them.
        self.table.watched.columns.iter().filter_map(|column| self.table.column(&column.name)).enumerate()
    }

    fn value(&self, row: &str, n: usize, column: &Column) -> String {
        let cell = format!("{row}.{}", ident(&column.name));
        if self.may_be_long(n, column) {
            format!("CASE WHEN {} THEN NULL ELSE {cell} END", self.is_long(row, column))
        } else {
            cell
        }
    }

    /// Keys are carried whatever their size, and numbers have none.
    fn may_be_long(&self, n: usize, column: &Column) -> bool {
        n >= self.table.watched.keys && !column.numeric
    }

    fn is_long(&self, row: &str, column: &Column) -> String {
        let cell = format!("{row}.{}", ident(&column.name));
        // The length of a text alone is in characters, and ends at a NUL.
        format!("(typeof({cell}) IN ('text', 'blob') AND length(CAST({cell} AS BLOB)) > {})", self.max_value)
    }
}

/// Whether an update changed anything of a row: no column's collation may call two texts equal that are not.
pub(super) fn differs(table: &Table) -> String {
    let same = table.stored().map(|column| {
        let name = ident(&column.name);
        let values = format!("OLD.{name} COLLATE BINARY IS NEW.{name}");
        if column.keeps_types { format!("({values} AND typeof(OLD.{name}) = typeof(NEW.{name}))") } else { values }
    });
    format!("NOT {}", balanced(same.collect(), "AND"))
}

/// The columns of a log that hold the values of a change.
pub(super) fn cell_names(cells: usize) -> String {
    (0..cells).map(|n| format!("v{n}")).collect::<Vec<_>>().join(", ")
}

/// Joins expressions to one that is no deeper than it must be: the engine has a limit.
fn balanced(mut parts: Vec<String>, operator: &str) -> String {
    while parts.len() > 1 {
        parts = parts
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => format!("({left} {operator} {right})"),
                rest => rest.concat(),
            })
            .collect();
    }
    format!("({})", parts.concat())
}
