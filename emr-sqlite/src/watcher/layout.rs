//! What stands where in the log: rows that an older definition wrote stay readable.

use std::collections::HashMap;
use std::sync::Arc;

use emr_core::Result;
use emr_core::Row as _;
use emr_core::watch::{Carried, Event, Op, Resolved, Watched};
use rusqlite::Connection;

use super::catalog;
use super::cells::{self, DELETE, INSERT, UPDATE};
use super::names::Names;
use super::state::missing;
use crate::types::SqliteRow;

/// What is before the cells in a row of the log: `pos, source, op, at, cut`.
pub(super) const FIRST_CELL: usize = 5;

/// The sources of a log.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// The watched tables with their keys.
    tables: Vec<Arc<Watched>>,
    /// `None` for one that nobody registered.
    sources: HashMap<i64, Option<Source>>,
    /// The most cells that a change takes.
    pub(super) cells: usize,
}

/// What one definition logs of a table.
#[derive(Debug)]
struct Source {
    /// Its table among those watched; others are of other processes.
    table: Option<usize>,
    /// Of each carried column, its place in the log.
    places: Vec<Option<usize>>,
    /// How many columns are logged of a row.
    columns: usize,
}

/// A row of the log.
pub(super) enum Logged {
    Event(Event),
    /// Of a table that is not watched here, or not for this.
    Other,
    /// Not what a trigger of ours writes.
    Unreadable(Option<Arc<Watched>>),
}

impl Layout {
    /// Reads the sources.
    pub(super) fn of(db: &Connection, names: &Names, set: &Resolved) -> Result<Self> {
        let logged = logged(db, names).map_err(|error| missing(db, &set.application, error))?;
        // The log has a cell at least.
        let mut layout = Layout { cells: 1, ..Layout::default() };
        for watched in &set.tables {
            layout.tables.push(match catalog::find(db, names, watched) {
                Ok(table) => Arc::new(table.watched),
                // A table that is gone has the key that it had.
                Err(_) if watched.keys == 0 => {
                    let known = logged.iter().find(|(_, source)| is(watched, &source.table));
                    let keys = known.map_or(&[][..], |(_, source)| &source.columns[..source.keys]);
                    Arc::new(watched.with_keys(keys))
                }
                Err(_) => Arc::clone(watched),
            });
        }
        for (id, source) in logged {
            let table = layout.tables.iter().position(|watched| is(watched, &source.table));
            let place = |name: &str| source.columns.iter().position(|known| known.eq_ignore_ascii_case(name));
            let places = match table {
                Some(at) => layout.tables[at].columns.iter().map(|column| place(&column.name)).collect(),
                None => Vec::new(),
            };
            layout.cells = layout.cells.max(source.columns.len() * 2);
            let source = Source { table, places, columns: source.columns.len() };
            layout.sources.insert(id, Some(source));
        }
        Ok(layout)
    }

    pub(super) fn knows(&self, source: i64) -> bool {
        self.sources.contains_key(&source)
    }

    /// Looks no further for a source that is not registered.
    pub(super) fn must_know(&mut self, source: i64) {
        self.sources.entry(source).or_insert(None);
    }

    /// Reads a row of the log.
    pub(super) fn read(&self, row: &rusqlite::Row<'_>) -> Logged {
        let row = SqliteRow(row);
        let (Ok(Some(id)), Ok(Some(op))) = (row.i64(1), row.i64(2)) else { return Logged::Unreadable(None) };
        let Some(Some(source)) = self.sources.get(&id) else { return Logged::Unreadable(None) };
        let Some(table) = source.table else { return Logged::Other };
        let table = &self.tables[table];
        let cut = row.str(4).ok().flatten().unwrap_or_default();
        let values = |first: usize| {
            let value = |(place, column)| {
                let cell = first + Option::<usize>::clone(place)?;
                let is_cut = !cut.is_empty() && cut.split(' ').any(|one| one.parse() == Ok(cell));
                if is_cut { None } else { cells::read(&row, FIRST_CELL + cell, column) }
            };
            Carried::new(source.places.iter().zip(&table.columns).map(value).collect::<Vec<_>>())
        };
        let (op, old, new) = match op {
            INSERT => (Op::Insert, None, Some(values(0))),
            UPDATE => (Op::Update, Some(values(0)), Some(values(source.columns))),
            DELETE => (Op::Delete, Some(values(0)), None),
            _ => return Logged::Unreadable(Some(Arc::clone(table))),
        };
        let known =
            |row: &Option<Carried>| row.as_ref().is_none_or(|row| (0..table.keys).all(|key| row.get(key).is_some()));
        if !known(&old) || !known(&new) {
            return Logged::Unreadable(Some(Arc::clone(table)));
        }
        let event = Event::new(Arc::clone(table), op, old, new);
        // Updates of columns that nobody asked for.
        if event.labels().next().is_none() { Logged::Other } else { Logged::Event(event) }
    }
}

/// A source as it was registered.
struct Registered {
    table: String,
    keys: usize,
    columns: Vec<String>,
}

fn logged(db: &Connection, names: &Names) -> rusqlite::Result<HashMap<i64, Registered>> {
    let sql = format!(
        "SELECT s.id, s.tbl, s.keys, c.name FROM {} s JOIN {} c ON c.source = s.id ORDER BY s.id, c.n",
        names.sources, names.columns
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut all: HashMap<i64, Registered> = HashMap::new();
    while let Some(row) = rows.next()? {
        let (table, keys) = (row.get(1)?, usize::try_from(row.get::<_, i64>(2)?).unwrap_or(0));
        let source = all.entry(row.get(0)?).or_insert_with(|| Registered { table, keys, columns: Vec::new() });
        source.columns.push(row.get(3)?);
    }
    for source in all.values_mut() {
        source.keys = source.keys.min(source.columns.len());
    }
    Ok(all)
}

fn is(watched: &Watched, table: &str) -> bool {
    watched.prefix.is_none() && watched.table.eq_ignore_ascii_case(table)
}
