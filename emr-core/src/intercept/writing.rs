//! What an interceptor is asked about before something is written, and what it hears afterwards.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::expr::fitting_value;
use crate::schema::{Schema, Syncable};
use crate::types::ToParam;
use crate::value::Value;

/// What is done to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// They are new.
    Insert,
    /// They change.
    Update,
    /// They go.
    Delete,
}

/// A write, before it is sent.
pub struct Writing<'a> {
    verb: &'static str,
    schema: &'static Schema,
    operation: Operation,
    /// The columns that the program sets.
    columns: &'a [usize],
    /// Their values, where they are known.
    value: &'a dyn Fn(usize) -> Option<Value<'static>>,
    pub(crate) set: Vec<(usize, Value<'static>)>,
    pub(crate) is_replaced: bool,
}

impl<'a> Writing<'a> {
    pub(crate) fn of(
        verb: &'static str,
        schema: &'static Schema,
        operation: Operation,
        columns: &'a [usize],
        value: &'a dyn Fn(usize) -> Option<Value<'static>>,
    ) -> Writing<'a> {
        Writing { verb, schema, operation, columns, value, set: Vec::new(), is_replaced: false }
    }

    /// The call: `insert`, `upsert_all`, `delete_all` and so on.
    pub fn verb(&self) -> &'static str {
        self.verb
    }

    /// The table's schema.
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// Whether it is the table of this struct.
    pub fn is<T: Syncable>(&self) -> bool {
        self.schema == T::schema()
    }

    /// What the program asked for. It stays [`Delete`](Operation::Delete) when an interceptor has made an update of it.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Whether the schema has a column of this name in the database.
    pub fn has_column(&self, name: &str) -> bool {
        self.schema.column_position(name).is_some()
    }

    /// Whether the column of this name in the database is set, by the program or by an interceptor before this one.
    pub fn sets(&self, name: &str) -> bool {
        self.schema
            .column_position(name)
            .is_some_and(|at| self.columns.contains(&at) || self.set.iter().any(|(column, _)| *column == at))
    }

    /// The value that the column of this name in the database is set to. `None` if it is not set, or the database computes
    /// it; of `insert_from` nothing is known.
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        let at = self.schema.column_position(name)?;
        match self.set.iter().find(|(column, _)| *column == at) {
            Some((_, value)) => Some(value.borrowed()),
            None if self.columns.contains(&at) => (self.value)(at),
            None => None,
        }
    }

    /// Sets the column of this name in the database, whatever the program says of it. Of a delete it counts only if it is
    /// [made an update](Writing::update_instead).
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) if the schema has no such column, or it is read-only;
    /// [`Encode`](crate::ErrorKind::Encode) for a value of another type than the column's. Integers of another width are of
    /// its type if they fit.
    #[allow(clippy::needless_pass_by_value)] // values are written as they are
    pub fn set(&mut self, column: &str, value: impl ToParam) -> Result<()> {
        let Some(at) = self.schema.column_position(column) else {
            return Err(Error::invalid(format!("an interceptor sets {column}, which {} has not", self.schema.name)));
        };
        crate::changeset::check_writable(self.schema, at)?;
        let value = match value.to_param().into_owned() {
            Value::Null(_) => Value::Null(self.schema.columns[at].ty),
            value => fitting_value(self.schema, at, value)?,
        };
        self.set.retain(|(column, _)| *column != at);
        self.set.push((at, value));
        Ok(())
    }

    /// Lets the rows stay, and sets this column of them instead of deleting them. What a `returning` call gives back are the
    /// rows as they are then.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) if this is no delete; as [`set`](Writing::set).
    pub fn update_instead(&mut self, column: &str, value: impl ToParam) -> Result<()> {
        if self.operation != Operation::Delete {
            return Err(Error::invalid("update_instead is for deletes: set a column of other writes by set"));
        }
        self.set(column, value)?;
        self.is_replaced = true;
        Ok(())
    }
}

impl std::fmt::Debug for Writing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.columns.iter().map(|&column| self.schema.columns[column].name).collect();
        f.debug_struct("Writing")
            .field("verb", &self.verb)
            .field("table", &self.schema.table)
            .field("operation", &self.operation)
            .field("columns", &names)
            .finish_non_exhaustive()
    }
}

/// What was written, by one statement or by one call of many.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Written {
    /// The table's schema.
    pub schema: &'static Schema,
    /// The table's name, without its prefix: its schema's, or that of the table that stands in for it.
    pub table: Cow<'static, str>,
    /// What the program asked for: a delete of which an interceptor made an update is a delete, with [columns](Written::columns).
    pub operation: Operation,
    /// The call: `insert`, `upsert_all`, `delete_all` and so on.
    pub verb: &'static str,
    /// How many rows were written.
    pub rows: u64,
    /// The primary keys of the rows, each in the order of [`Schema::primary_key`]; of an update, those after it. `None` where
    /// the server does not give rows back.
    pub keys: Option<Vec<Vec<Value<'static>>>>,
    /// The columns that were set, by their names in the database.
    pub columns: Vec<&'static str>,
}
