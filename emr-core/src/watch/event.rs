//! One change of one row.

use std::sync::Arc;

use super::resolve::{Label, Watched};
use crate::schema::Schema;
use crate::value::Value;

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// It was inserted.
    Insert,
    /// It was updated; also its key may be another one.
    Update,
    /// It was deleted.
    Delete,
    /// All rows of the table were removed at once.
    Truncate,
}

/// One change of one row of a watched table: its key and the columns that are carried, before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    table: Arc<Watched>,
    op: Op,
    old: Option<Carried>,
    new: Option<Carried>,
}

/// The values of the carried columns of one row at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    values: Box<[Option<Value<'static>>]>,
}

impl Carried {
    /// Values in the order of [`Watched::columns`]; `None` for one that is not known.
    pub fn new(values: impl Into<Box<[Option<Value<'static>>]>>) -> Self {
        Carried { values: values.into() }
    }

    /// The value of a carried column by its position. `None` if it was too large to be carried, or was not carried yet when the
    /// change was made.
    pub fn get(&self, column: usize) -> Option<&Value<'static>> {
        self.values.get(column)?.as_ref()
    }
}

impl Event {
    /// A change. Adapters make it.
    pub fn new(table: Arc<Watched>, op: Op, old: Option<Carried>, new: Option<Carried>) -> Self {
        Event { table, op, old, new }
    }

    /// What happened.
    pub fn op(&self) -> Op {
        self.op
    }

    /// The watched table.
    pub fn watched(&self) -> &Arc<Watched> {
        &self.table
    }

    /// The name of the table.
    pub fn table(&self) -> &str {
        &self.table.table
    }

    /// Whether the table is watched as this struct, and the change is one that it is watched for.
    pub fn is_of(&self, schema: &'static Schema) -> bool {
        self.labels().any(|label| label.schema == Some(schema))
    }

    /// Whether this label was given and the change is one that it is watched for.
    pub fn has_label(&self, name: &str) -> bool {
        self.labels().any(|label| label.name.as_deref() == Some(name))
    }

    /// The specifications that the change is for: all of the table, but those whose `trigger_columns` an update left as
    /// they were.
    pub fn labels(&self) -> impl Iterator<Item = &Label> {
        self.table.labels.iter().filter(|label| {
            self.op != Op::Update
                || label.trigger_columns.is_empty()
                || (0..self.table.keys).any(|key| self.has_changed(key))
                || label.trigger_columns.iter().any(|name| {
                    // Unknown columns cannot be here: the set was checked.
                    self.table.position(name).is_none_or(|column| self.has_changed(column))
                })
        })
    }

    /// The carried values before the change: of updates and deletes.
    pub fn old(&self) -> Option<&Carried> {
        self.old.as_ref()
    }

    /// The carried values after the change: of inserts and updates.
    pub fn new_values(&self) -> Option<&Carried> {
        self.new.as_ref()
    }

    /// The key of the row: after the change, or before it if the row is gone. `None` for [`Truncate`](Op::Truncate).
    pub fn key(&self) -> Option<&[Option<Value<'static>>]> {
        let values = self.new.as_ref().or(self.old.as_ref())?;
        values.values.get(..self.table.keys)
    }

    /// The key that the row had before, of updates and deletes.
    pub fn old_key(&self) -> Option<&[Option<Value<'static>>]> {
        self.old.as_ref()?.values.get(..self.table.keys)
    }

    /// Whether an update gave the row another key.
    pub fn moved(&self) -> bool {
        self.op == Op::Update && (0..self.table.keys).any(|key| self.has_changed(key))
    }

    /// The value of a carried column, by name: after the change, or before it if the row is gone.
    pub fn value(&self, column: &str) -> Option<&Value<'static>> {
        self.new.as_ref().or(self.old.as_ref())?.get(self.table.position(column)?)
    }

    /// The value of a carried column before the change, by name.
    pub fn old_value(&self, column: &str) -> Option<&Value<'static>> {
        self.old.as_ref()?.get(self.table.position(column)?)
    }

    /// The names of the carried columns that an update gave another value. A value that is not known counts as another.
    pub fn changed(&self) -> impl Iterator<Item = &str> {
        let columns = self.table.columns.iter().enumerate();
        columns.filter(|(at, _)| self.op == Op::Update && self.has_changed(*at)).map(|(_, column)| &*column.name)
    }

    fn has_changed(&self, column: usize) -> bool {
        match (self.old.as_ref().and_then(|old| old.get(column)), self.new.as_ref().and_then(|new| new.get(column))) {
            (Some(old), Some(new)) => !same(old, new),
            _ => true,
        }
    }
}

/// Whether two values are one and the same, NaN and NULL included.
fn same(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::F64(left), Value::F64(right)) => left.to_bits() == right.to_bits(),
        (Value::F32(left), Value::F32(right)) => left.to_bits() == right.to_bits(),
        (Value::Null(_), Value::Null(_)) => true,
        _ => left == right,
    }
}
