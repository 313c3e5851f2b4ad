//! The watched tables by number.

use std::sync::Arc;

use emr_core::watch::Watched;
use emr_core::{Error, Result, Schema, SyncFault};

/// The watched tables. Their numbers are positions.
pub(crate) struct Tables {
    tables: Vec<Arc<Watched>>,
    default_prefix: Option<Arc<str>>,
}

impl Tables {
    pub(crate) fn new(tables: &[Arc<Watched>], default_prefix: Option<Arc<str>>) -> Self {
        Tables { tables: tables.to_vec(), default_prefix }
    }

    pub(crate) fn len(&self) -> usize {
        self.tables.len()
    }

    pub(crate) fn get(&self, table: usize) -> &Watched {
        &self.tables[table]
    }

    /// The number of the table of an event.
    pub(crate) fn of_event(&self, watched: &Arc<Watched>) -> Option<usize> {
        // Adapters that look keys up make a table anew: then its name decides.
        let is_it = |known: &Arc<Watched>| Arc::ptr_eq(known, watched);
        self.tables.iter().position(is_it).or_else(|| self.find(&watched.table, watched.prefix.as_deref()))
    }

    /// The table of a struct; `prefix` is that of the query or of the watcher.
    pub(crate) fn of_schema(&self, schema: &'static Schema, prefix: Option<&str>) -> Option<usize> {
        self.named(schema.table, prefix.or(schema.prefix))
    }

    /// A table without a struct.
    pub(crate) fn named(&self, table: &str, prefix: Option<&str>) -> Option<usize> {
        self.find(table, prefix.or(self.default_prefix.as_deref()))
    }

    fn find(&self, table: &str, prefix: Option<&str>) -> Option<usize> {
        self.tables.iter().position(|known| *known.table == *table && known.prefix.as_deref() == prefix)
    }

    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().flat_map(|table| &table.labels).filter_map(|label| label.name.as_deref())
    }

    pub(crate) fn of_label(&self, label: &str) -> Option<usize> {
        let has = |table: &Arc<Watched>| table.labels.iter().any(|known| known.name.as_deref() == Some(label));
        self.tables.iter().position(has)
    }

    /// The same, or that nobody watches it.
    pub(crate) fn need(&self, schema: &'static Schema, prefix: Option<&str>) -> Result<usize> {
        self.of_schema(schema, prefix).ok_or_else(|| self.not_watched(schema.table))
    }

    pub(crate) fn not_watched(&self, table: &str) -> Error {
        let watched = self.tables.iter().map(|table| table.full_name()).collect();
        Error::sync(SyncFault::NotWatched { table: table.to_owned(), watched })
    }

    /// Errs if the watcher does not carry a column.
    pub(crate) fn carries<'n>(&self, table: usize, columns: impl IntoIterator<Item = &'n str>, by: &str) -> Result<()> {
        let table = &self.tables[table];
        let missing: Vec<_> =
            columns.into_iter().filter(|name| table.position(name).is_none()).map(str::to_owned).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let fault = SyncFault::NotCarried { table: table.full_name(), columns: missing, by: by.to_owned() };
        Err(Error::sync(fault))
    }
}
