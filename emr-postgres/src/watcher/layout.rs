//! What the log's numbers of sources mean.

use std::collections::HashMap;
use std::sync::Arc;

use emr_core::watch::{Carried, Event, Op, Resolved, WatchFault, Watched};
use emr_core::{Error, Result};
use serde::Deserialize;

use super::cells;
use super::names::{Names, ident};
use super::session::{Session, is_unknown};

/// A row of `sources`.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) id: i32,
    pub(super) prefix: String,
    pub(super) name: String,
    pub(super) keys: usize,
    pub(super) columns: Vec<SourceColumn>,
    pub(super) hash: String,
    /// A hash of the triggers' definitions.
    pub(super) shape: String,
    /// What was there after installing: the hash of each trigger, by its table and name.
    pub(super) triggers: HashMap<String, String>,
    pub(super) current: bool,
}

/// A column of the rows of a source, as its JSON has it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct SourceColumn {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) oid: u32,
    /// The declared type in the table: schema and name.
    pub(super) declared: String,
}

impl Source {
    /// The table, as SQL writes it.
    pub(super) fn table(&self) -> String {
        format!("{}.{}", ident(&self.prefix), ident(&self.name))
    }
}

/// All sources of a log. Empty if there is no log.
pub(super) async fn sources(session: &Session, names: &Names) -> Result<Vec<Source>> {
    let sql = format!(
        "SELECT id, prefix, name, keys, columns::text, hash, shape, triggers::text, current FROM {} ORDER BY id",
        names.own("sources")
    );
    let rows = match session.query(&sql, &[]).await {
        Ok(rows) => rows,
        Err(error) if is_unknown(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let source = |row: &tokio_postgres::Row| {
        let unreadable =
            |error: serde_json::Error| Error::invalid(format!("the log's sources were changed by hand: {error}"));
        Ok(Source {
            id: row.get(0),
            prefix: row.get(1),
            name: row.get(2),
            keys: usize::try_from(row.get::<_, i32>(3)).unwrap_or(0),
            columns: serde_json::from_str(row.get(4)).map_err(unreadable)?,
            hash: row.get(5),
            shape: row.get(6),
            triggers: match row.get::<_, Option<&str>>(7) {
                Some(triggers) => serde_json::from_str(triggers).map_err(unreadable)?,
                None => HashMap::new(),
            },
            current: row.get(8),
        })
    };
    rows.iter().map(source).collect()
}

/// How the rows of the log's sources become events of the watched tables.
#[derive(Debug)]
pub(super) struct Layout {
    shapes: HashMap<i32, Option<Shape>>,
}

/// One source that is watched here.
#[derive(Debug)]
struct Shape {
    table: Arc<Watched>,
    /// For each carried column: where it is in the source's rows, and how it travels.
    cells: Vec<Option<(usize, u32)>>,
}

/// A row of the log.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) source: i32,
    pub(super) op: u8,
    pub(super) old: Option<Vec<Option<Vec<u8>>>>,
    pub(super) new: Option<Vec<Option<Vec<u8>>>>,
}

/// What a row of the log means.
pub(super) enum Meaning {
    Change(Event),
    /// A row was written that the table's definition did not fit.
    Unreadable(Arc<Watched>),
    /// Nothing that is watched here.
    Nothing,
    /// The source came after the layout was read.
    Unknown,
}

impl Layout {
    /// Finds the sources of the watched tables. A table without a source, or whose source does not carry all its columns, is
    /// not installed.
    pub(super) async fn read(session: &Session, names: &Names, set: &Resolved) -> Result<Layout> {
        let sources = sources(session, names).await?;
        let missing = |missing: String| {
            Error::watch(WatchFault::NotInstalled { application: set.application.to_string(), missing })
        };
        if sources.is_empty() && !set.tables.is_empty() {
            return Err(missing(format!("there is no change log in the schema {}", names.schema)));
        }
        let mut shapes = HashMap::new();
        for table in &set.tables {
            let of_table = of_table(session, &sources, table).await?;
            let Some(current) = of_table.iter().find(|source| source.current) else {
                return Err(missing(format!("nothing is installed on {}", table.full_name())));
            };
            let keys: Vec<_> = current.columns[..current.keys.min(current.columns.len())]
                .iter()
                .map(|column| column.name.clone())
                .collect();
            // The key that was installed is the key, if the program did not name one.
            let table = if table.keys == 0 { Arc::new(table.with_keys(&keys)) } else { Arc::clone(table) };
            for column in &table.columns {
                if !current.columns.iter().any(|known| *known.name == *column.name) {
                    return Err(missing(format!("{} does not carry its column `{}`", table.full_name(), column.name)));
                }
            }
            for source in of_table {
                let cell = |name: &str| {
                    let at = source.columns.iter().position(|column| column.name == name)?;
                    Some((at, source.columns[at].oid))
                };
                let cells = table.columns.iter().map(|column| cell(&column.name)).collect();
                shapes.insert(source.id, Some(Shape { table: Arc::clone(&table), cells }));
            }
        }
        for source in &sources {
            shapes.entry(source.id).or_insert(None);
        }
        Ok(Layout { shapes })
    }

    /// What a row of the log means.
    pub(super) fn meaning(&self, entry: &Entry) -> Meaning {
        let shape = match self.shapes.get(&entry.source) {
            None => return Meaning::Unknown,
            Some(None) => return Meaning::Nothing,
            Some(Some(shape)) => shape,
        };
        let op = match entry.op {
            b'I' => Op::Insert,
            b'U' => Op::Update,
            b'D' => Op::Delete,
            b'T' => Op::Truncate,
            _ => return Meaning::Unreadable(Arc::clone(&shape.table)),
        };
        let (old, new) = (shape.carried(entry.old.as_ref()), shape.carried(entry.new.as_ref()));
        let whole = match op {
            Op::Insert => new.is_some(),
            Op::Delete => old.is_some(),
            Op::Update => old.is_some() && new.is_some(),
            _ => true,
        };
        if !whole {
            // Nobody but a hand writes such a row.
            return Meaning::Unreadable(Arc::clone(&shape.table));
        }
        let event = Event::new(Arc::clone(&shape.table), op, old, new);
        if event.labels().next().is_none() { Meaning::Nothing } else { Meaning::Change(event) }
    }

    /// The watched table that is logged under this number.
    pub(super) fn knows(&self, source: i32) -> bool {
        self.shapes.contains_key(&source)
    }

    /// Gives up a number that no source has: somebody changed the log by hand.
    pub(super) fn ignore(&mut self, source: i32) {
        self.shapes.insert(source, None);
    }
}

impl Shape {
    fn carried(&self, cells: Option<&Vec<Option<Vec<u8>>>>) -> Option<Carried> {
        let cells = cells?;
        let values: Vec<_> = self
            .cells
            .iter()
            .zip(&self.table.columns)
            .map(|(cell, column)| {
                let (at, oid) = (*cell)?;
                cells::read(cells.get(at)?.as_deref(), oid, column)
            })
            .collect();
        // A key that cannot be read identifies nothing.
        let keys = &values[..self.table.keys];
        keys.iter().all(Option::is_some).then(|| Carried::new(values))
    }
}

/// The sources of a table, by the name that it is watched under.
pub(super) async fn of_table<'s>(session: &Session, sources: &'s [Source], table: &Watched) -> Result<Vec<&'s Source>> {
    let prefix = if let Some(prefix) = &table.prefix {
        Some(prefix.to_string())
    } else {
        let sql = "SELECT n.nspname::text FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass($1)";
        let name = ident(&table.table);
        let rows = session.query(sql, &[(&name, tokio_postgres::types::Type::TEXT)]).await?;
        rows.first().map(|row| row.get(0))
    };
    let of =
        |source: &&Source| source.name == *table.table && prefix.as_ref().is_none_or(|known| *known == source.prefix);
    Ok(sources.iter().filter(of).collect())
}
