//! Pending changes to one row.

mod assoc;
mod cast;
mod columns;
mod constraint;
mod convert;
mod errors;
mod guard;
mod input;
mod old_row;
mod prepare;
mod rules;
mod stamp;
mod unique;
mod validate;

use std::borrow::Cow;
use std::fmt;

pub use columns::{FieldName, IntoColumns};
pub use constraint::Constraint;
pub use errors::{Errors, FieldError};
pub use guard::Version;
pub use input::{Input, IntoInput};
pub use old_row::OldRow;
pub use prepare::PrepareFuture;

pub(crate) use cast::required;
pub(crate) use convert::convert;
pub(crate) use rules::{Action, Rules};
pub(crate) use stamp::stamp;

use crate::draft::Computed;
use crate::error::{Error, Result};
use crate::expr::{Column, DynColumn, IntoCondition, IntoField, SourceRef};
use crate::query::{Alias, Joinable, Query, Relation, WholeRow};
use crate::schema::{Generated, Schema, Syncable};
use crate::transaction::Tx;
use crate::types::Field;
use crate::value::Value;
use crate::watch::TypedWatcher;

/// Columns and the values that they shall have. Unset columns keep their value, or take the database's
/// default in a new row.
///
/// A changeset also takes untyped input ([`cast`](Changeset::cast)), judges it ([`validate_required`](Changeset::validate_required)
/// and others), says which constraints of the database are errors of the user
/// ([`unique_constraint`](Changeset::unique_constraint)), and under which conditions the row is written
/// ([`optimistic_lock`](Changeset::optimistic_lock)). Writing takes it; clone it to show it again with its errors.
#[must_use = "a changeset does nothing until a repo inserts or updates it"]
pub struct Changeset<T> {
    data: Option<T>,
    changes: Vec<Change>,
    prefix: Option<Cow<'static, str>>,
    rules: Option<Box<Rules>>,
    prepares: Vec<prepare::Prepare<T>>,
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
        Changeset { data: None, changes: Vec::new(), prefix: None, rules: None, prepares: Vec::new() }
    }

    /// Changes to this row.
    pub fn of(data: T) -> Self {
        Changeset { data: Some(data), changes: Vec::new(), prefix: None, rules: None, prepares: Vec::new() }
    }

    /// The column shall have this value. For a row that has it already, nothing changes. The last call
    /// for a column wins.
    pub fn set<F: Field>(mut self, column: Column<T, F>, value: impl IntoField<F>) -> Self {
        self.assign(column.index(), value.into_field());
        self
    }

    /// The same without types: no change if the row has the value already.
    pub(crate) fn assign(&mut self, column: usize, value: Value<'static>) {
        self.changes.retain(|change| change.column != column);
        if self.data.as_ref().is_none_or(|data| !convert::same(&data.value(column), &value)) {
            self.changes.push(Change { column, value });
        }
    }

    /// The new value of a column, if it has one that is not NULL.
    fn changed(&self, column: usize) -> Option<&Value<'static>> {
        let change = self.changes.iter().find(|change| change.column == column)?;
        Some(&change.value).filter(|value| !value.is_null())
    }

    /// The value that a column would have: the new one, or the row's.
    fn effective(&self, column: usize) -> Option<Value<'_>> {
        match self.changes.iter().find(|change| change.column == column) {
            Some(change) => Some(change.value.borrowed()),
            None => self.data.as_ref().map(|data| data.value(column)),
        }
    }

    /// Sets a column, also to the value that it has.
    pub(crate) fn put(&mut self, column: usize, value: Value<'static>) {
        self.changes.retain(|change| change.column != column);
        self.changes.push(Change { column, value });
    }

    /// Writes to the table in this schema (PostgreSQL, SQL Server) or database (MySQL).
    pub fn prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Whether nothing would be written, of the row and of its associations.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.rules_ref().is_none_or(|rules| rules.branches.is_idle())
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
        Changeset {
            data: self.data.clone(),
            changes: self.changes.clone(),
            prefix: self.prefix.clone(),
            rules: self.rules.clone(),
            prepares: self.prepares.clone(),
        }
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
        for branch in self.branches() {
            out.field(schema.associations[branch.association].field, branch);
        }
        if !self.is_valid() {
            out.field("errors", &self.errors().to_string());
        }
        out.finish_non_exhaustive()
    }
}

pub(crate) fn check_writable(schema: &Schema, column: usize) -> Result<()> {
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

    /// Whether some cells are made by the database: see [`computed`](NewRow::computed).
    const COMPUTED: bool = false;

    /// Positions in [`Schema::columns`](crate::Schema::columns) of the columns that are set, ascending.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) when a read-only column is set.
    fn columns(&self) -> Result<Cow<'static, [usize]>>;

    /// The value of a column that is set.
    fn cell(&self, column: usize) -> Value<'_>;

    /// What makes the cell of a column, where it is no plain value.
    fn computed(&self, _column: usize) -> Option<Computed<'_>> {
        None
    }

    /// Fills in what the client generates, before the other methods are called.
    fn prepare(&mut self) {}

    /// Refuses a row that has errors.
    ///
    /// # Errors
    /// [`Validation`](crate::ErrorKind::Validation); [`InvalidCall`](crate::ErrorKind::InvalidCall) for one that was put
    /// together wrongly.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Whether something is to be done in the transaction before the row is written.
    fn is_to_prepare(&self) -> bool {
        false
    }

    /// Does it.
    ///
    /// # Errors
    /// Its own, and those of [`check`](NewRow::check) afterwards.
    fn prepare_in(self, _tx: &Tx) -> impl Future<Output = Result<Self>> + Send
    where
        Self: Sized,
    {
        std::future::ready(Ok(self))
    }

    /// Makes errors of fields of what the database says.
    fn refine(&self, error: Error) -> Error {
        error
    }

    /// Whether associated rows are written with it.
    #[doc(hidden)]
    fn has_associations(&self) -> bool {
        false
    }

    /// Itself as a changeset, if it is one.
    #[doc(hidden)]
    fn into_changeset(self) -> Option<Changeset<T>>
    where
        Self: Sized,
    {
        None
    }

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
        self.stamp_insert();
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

    fn check(&self) -> Result<()> {
        self.refuse_invalid()
    }

    fn is_to_prepare(&self) -> bool {
        Changeset::is_to_prepare(self)
    }

    fn prepare_in(self, tx: &Tx) -> impl Future<Output = Result<Self>> + Send {
        self.prepared(tx)
    }

    fn refine(&self, error: Error) -> Error {
        Changeset::refine(self, error, Action::Insert)
    }

    fn has_associations(&self) -> bool {
        !self.branches().is_empty()
    }

    fn into_changeset(self) -> Option<Changeset<T>> {
        Some(self)
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

    /// All columns of the table's row in a query, to be selected as the struct.
    fn row() -> WholeRow<Self> {
        WholeRow::of(SourceRef::Schema)
    }

    /// The table, to be joined where the condition holds.
    fn on(condition: impl IntoCondition) -> Joinable {
        Joinable::of(Relation::Schema(Self::schema())).on(condition)
    }

    /// A name for the table, for queries that read it more than once.
    fn alias(name: &'static str) -> Alias<Self> {
        Alias::new(name)
    }

    /// The rows, to be watched: put it into a [`WatchSet`](crate::watch::WatchSet).
    fn watch() -> TypedWatcher<Self> {
        TypedWatcher::new()
    }

    /// The column of this field, chosen at run time: for filters and orders that come from input.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall), naming the fields that exist, if there is none.
    fn column(field: &str) -> Result<DynColumn<Self>> {
        DynColumn::find(field)
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
