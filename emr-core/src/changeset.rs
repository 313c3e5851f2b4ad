//! Pending changes to one row.

use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, Result};
use crate::expr::{Column, IntoField};
use crate::query::Query;
use crate::schema::{Generated, Schema, Syncable};
use crate::types::Field;
use crate::value::Value;

/// Columns and the values that they shall have. Unset columns keep their value, or take the database's
/// default in a new row.
#[must_use = "a changeset does nothing until a repo inserts or updates it"]
pub struct Changeset<T> {
    data: Option<T>,
    changes: Vec<Change>,
    prefix: Option<Cow<'static, str>>,
}

/// One changed column.
#[derive(Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) column: usize,
    pub(crate) value: Value<'static>,
}

impl<T: Syncable> Changeset<T> {
    /// Changes to nothing yet: a new row.
    pub fn new() -> Self {
        Changeset { data: None, changes: Vec::new(), prefix: None }
    }

    /// Changes to this row.
    pub fn of(data: T) -> Self {
        Changeset { data: Some(data), changes: Vec::new(), prefix: None }
    }

    /// The column shall have this value. For a row that has it already, nothing changes. The last call
    /// for a column wins.
    pub fn set<F: Field>(mut self, column: Column<T, F>, value: impl IntoField<F>) -> Self {
        let value = value.into_field();
        let column = column.index();
        self.changes.retain(|change| change.column != column);
        if self.data.as_ref().is_none_or(|data| data.value(column) != value) {
            self.changes.push(Change { column, value });
        }
        self
    }

    /// Writes to the table in this schema (PostgreSQL, SQL Server) or database (MySQL).
    pub fn prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The new value of a column, where it has one.
    pub fn get<F: Field>(&self, column: Column<T, F>) -> Option<&Value<'static>> {
        self.changes.iter().find(|change| change.column == column.index()).map(|change| &change.value)
    }

    /// The row that is changed; `None` for a new one.
    pub fn data(&self) -> Option<&T> {
        self.data.as_ref()
    }

    pub(crate) fn prefix_ref(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    pub(crate) fn into_data(self) -> Option<T> {
        self.data
    }

    /// The changes of an update, in column order so that the same columns make the same SQL.
    pub(crate) fn sorted_changes(&self) -> Result<Vec<&Change>> {
        let schema = T::schema();
        let mut changes: Vec<_> = self.changes.iter().collect();
        changes.sort_unstable_by_key(|change| change.column);
        for change in &changes {
            check_writable(schema, change.column)?;
        }
        Ok(changes)
    }
}

impl<T: Syncable> Default for Changeset<T> {
    fn default() -> Self {
        Changeset::new()
    }
}

impl<T: Clone> Clone for Changeset<T> {
    fn clone(&self) -> Self {
        Changeset { data: self.data.clone(), changes: self.changes.clone(), prefix: self.prefix.clone() }
    }
}

impl<T: Syncable> fmt::Debug for Changeset<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = T::schema();
        let mut out = f.debug_struct(schema.name);
        for change in &self.changes {
            let column = &schema.columns[change.column];
            if column.redact {
                out.field(column.field, &"<redacted>");
            } else {
                out.field(column.field, &change.value);
            }
        }
        out.finish_non_exhaustive()
    }
}

fn check_writable(schema: &Schema, column: usize) -> Result<()> {
    let def = &schema.columns[column];
    if def.read_only {
        return Err(Error::invalid(format!(
            "{}.{} is read-only (its field says so or the database computes it): do not set it",
            schema.table, def.name
        )));
    }
    Ok(())
}

/// One new row: which columns it sets, and their values.
///
/// Implemented by every schema (all columns but read-only ones are set, the key included) and by
/// [`Changeset`] (its changes, over its data if it has any, plus what the client generates).
pub trait NewRow<T: Syncable>: Send + Sync + 'static {
    /// Whether all rows of this type set the same columns, in the table of the schema: the first one then
    /// speaks for many.
    const UNIFORM: bool = false;

    /// Positions in [`Schema::columns`](crate::Schema::columns) of the columns that are set, ascending.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) when a read-only column is set.
    fn columns(&self) -> Result<Cow<'static, [usize]>>;

    /// The value of a column that is set.
    fn cell(&self, column: usize) -> Value<'_>;

    /// Fills in what the client generates, before the other methods are called.
    fn prepare(&mut self) {}

    /// The table's schema or database, where the row says it.
    fn row_prefix(&self) -> Option<&str> {
        None
    }
}

impl<T: Syncable> NewRow<T> for T {
    const UNIFORM: bool = true;

    fn columns(&self) -> Result<Cow<'static, [usize]>> {
        let columns = T::schema().columns.iter().enumerate();
        Ok(columns.filter(|(_, column)| !column.read_only).map(|(at, _)| at).collect())
    }

    fn cell(&self, column: usize) -> Value<'_> {
        self.value(column)
    }
}

impl<T: Syncable> NewRow<T> for Changeset<T> {
    fn columns(&self) -> Result<Cow<'static, [usize]>> {
        let schema = T::schema();
        let mut columns: Vec<usize> = self.changes.iter().map(|change| change.column).collect();
        for &column in &columns {
            check_writable(schema, column)?;
        }
        if self.data.is_some() {
            columns.extend((0..schema.columns.len()).filter(|&column| !schema.columns[column].read_only));
        }
        columns.sort_unstable();
        columns.dedup();
        Ok(Cow::Owned(columns))
    }

    fn cell(&self, column: usize) -> Value<'_> {
        match self.changes.iter().find(|change| change.column == column) {
            Some(change) => change.value.borrowed(),
            None => match &self.data {
                Some(data) => data.value(column),
                None => Value::Null(T::schema().columns[column].ty),
            },
        }
    }

    fn prepare(&mut self) {
        if self.data.is_some() {
            return;
        }
        for (column, def) in T::schema().columns.iter().enumerate() {
            if let Generated::Client(generate) = def.generated
                && !self.changes.iter().any(|change| change.column == column)
            {
                self.changes.push(Change { column, value: generate() });
            }
        }
    }

    fn row_prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }
}

/// The verbs of a schema. In the prelude, as a trait, so that they never clash with a struct's own methods.
pub trait SyncableExt: Syncable {
    /// All rows of the table, to be narrowed.
    fn query() -> Query<Self> {
        Query::new()
    }

    /// A new row. Columns that are not set take the database's defaults.
    fn build() -> Changeset<Self> {
        Changeset::new()
    }

    /// Changes to this row, keeping a copy of it.
    fn change(&self) -> Changeset<Self>
    where
        Self: Clone,
    {
        Changeset::of(self.clone())
    }

    /// Changes to this row, which moves in.
    fn into_change(self) -> Changeset<Self> {
        Changeset::of(self)
    }
}

impl<T: Syncable> SyncableExt for T {}
