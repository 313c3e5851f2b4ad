//! What the file's schema says of a table that is to be watched.

use emr_core::watch::{WatchFault, Watched};
use emr_core::{Error, Result};
use rusqlite::{Connection, OptionalExtension};

use super::names::Names;
use crate::error::from_rusqlite;

/// A table as it is.
#[derive(Debug)]
pub(super) struct Table {
    /// What is watched of it, its key filled in.
    pub(super) watched: Watched,
    /// Its name as it was created.
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
}

/// A column as it is.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// It is calculated from others.
    generated: bool,
    /// A value may be stored as a number of either kind, and both are equal: only its type tells them apart.
    pub(super) keeps_types: bool,
    /// Values are numbers, unless somebody wrote what cannot be one.
    pub(super) numeric: bool,
}

impl Table {
    /// The columns that are stored.
    pub(super) fn stored(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.generated)
    }

    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// Looks a table up.
pub(super) fn find(db: &Connection, names: &Names, watched: &Watched) -> Result<Table> {
    let fail = |fault| Err(Error::watch(fault));
    let asked = |error| from_rusqlite(db, error);
    if watched.prefix.is_some() || watched.table.contains('\0') {
        return fail(WatchFault::UnknownTable { table: watched.full_name() });
    }
    let found = db
        .prepare_cached(
            "SELECT name, type, strict FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
        )
        .and_then(|mut statement| {
            statement
                .query_row([&*watched.table], |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?))
                })
                .optional()
        })
        .map_err(asked)?;
    let Some((name, kind, strict)) = found else {
        return fail(WatchFault::UnknownTable { table: watched.full_name() });
    };
    let what = match &*kind {
        _ if names.is_own(&name) => "a part of the change log itself",
        "table" if name.starts_with("sqlite_") => "a table of the engine itself",
        "table" => "",
        "view" => "a view",
        "virtual" => "a virtual table",
        _ => "a part of a virtual table",
    };
    if !what.is_empty() {
        return fail(WatchFault::NoTable { table: watched.full_name(), found: what.to_owned() });
    }
    let (columns, key) = columns(db, &name, strict).map_err(asked)?;
    let watched = if watched.keys == 0 {
        if key.is_empty() {
            return fail(WatchFault::NoPrimaryKey { table: watched.full_name() });
        }
        watched.with_keys(&key)
    } else {
        watched.clone()
    };
    let table = Table { watched, name, columns };
    for column in &table.watched.columns {
        if table.column(&column.name).is_none() {
            return fail(WatchFault::UnknownColumn {
                table: table.watched.full_name(),
                column: column.name.to_string(),
                known: table.columns.iter().map(|known| known.name.clone()).collect(),
            });
        }
    }
    Ok(table)
}

/// The columns of a table, and the names of those of its primary key in their order.
fn columns(db: &Connection, table: &str, strict: bool) -> rusqlite::Result<(Vec<Column>, Vec<String>)> {
    let mut statement = db.prepare_cached("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?1)")?;
    let mut rows = statement.query([table])?;
    let (mut columns, mut key) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let (name, declared): (String, String) = (row.get(0)?, row.get(1)?);
        let (place, hidden): (i64, i64) = (row.get(2)?, row.get(3)?);
        if place > 0 {
            key.push((place, name.clone()));
        }
        let affinity = Affinity::of(&declared, strict);
        columns.push(Column {
            name,
            generated: hidden > 1,
            keeps_types: affinity == Affinity::None,
            numeric: affinity == Affinity::Number,
        });
    }
    key.sort_unstable();
    Ok((columns, key.into_iter().map(|(_, name)| name).collect()))
}

/// What the engine makes of values that are stored in a column: <https://sqlite.org/datatype3.html>, section 3.1.
#[derive(PartialEq)]
enum Affinity {
    /// INTEGER and REAL.
    Number,
    /// Nothing: they stay as they are.
    None,
    /// TEXT and NUMERIC.
    Other,
}

impl Affinity {
    fn of(declared: &str, strict: bool) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
        match () {
            () if strict && declared == "ANY" => Affinity::None,
            () if has(&["INT"]) => Affinity::Number,
            () if has(&["CHAR", "CLOB", "TEXT"]) => Affinity::Other,
            () if has(&["BLOB"]) || declared.is_empty() => Affinity::None,
            () if has(&["REAL", "FLOA", "DOUB"]) => Affinity::Number,
            () => Affinity::Other,
        }
    }
}
