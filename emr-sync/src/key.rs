//! Keys of rows, as maps hold them.

use std::fmt;
use std::hash::{Hash, Hasher};

use emr_core::watch::{Carried, Event, Watched};
use emr_core::{Record, Schema, Value};
use smallvec::SmallVec;

/// The values of some columns. Integers of any width are one, NaN is itself.
#[derive(Clone)]
pub(crate) struct Key(pub(crate) SmallVec<[Value<'static>; 1]>);

impl Key {
    pub(crate) fn of(values: impl IntoIterator<Item = Value<'static>>) -> Self {
        Key(values.into_iter().collect())
    }

    /// The primary key of a row.
    pub(crate) fn of_record(row: &dyn Record) -> Self {
        Key::of_columns(row, row.schema_of().primary_key)
    }

    pub(crate) fn of_columns(row: &dyn Record, columns: &[usize]) -> Self {
        Key(columns.iter().map(|&column| row.column(column).into_owned()).collect())
    }

    pub(crate) fn has_null(&self) -> bool {
        self.0.iter().any(Value::is_null)
    }

    pub(crate) fn values(&self) -> Vec<Value<'static>> {
        self.0.to_vec()
    }
}

fn integer(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::I16(v) => Some(i64::from(*v)),
        Value::I32(v) => Some(i64::from(*v)),
        Value::I64(v) => Some(*v),
        _ => None,
    }
}

/// Whether two values are one and the same, whatever the widths of their columns.
pub(crate) fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
        (Value::F32(a), Value::F32(b)) => a.to_bits() == b.to_bits(),
        (Value::Null(_), Value::Null(_)) => true,
        _ => match (integer(a), integer(b)) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| same(a, b))
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for value in &self.0 {
            match value {
                Value::Bool(v) => v.hash(state),
                Value::F32(v) => v.to_bits().hash(state),
                Value::F64(v) => v.to_bits().hash(state),
                Value::Text(v) | Value::Json(v) => v.hash(state),
                Value::Bytes(v) => v.hash(state),
                Value::Uuid(v) => v.hash(state),
                Value::Decimal(v) => v.hash(state),
                Value::Date(v) => v.hash(state),
                Value::Time(v) => v.hash(state),
                Value::DateTime(v) => v.hash(state),
                Value::Timestamp(v) => v.hash(state),
                Value::Array(_, items) => items.len().hash(state),
                value => integer(value).hash(state),
            }
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

/// What an event says of some columns of its row, before or after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// There is no row on that side.
    NoRow,
    /// A value was too large, or not carried when the change was made.
    Unknown,
    /// These values.
    Key(Key),
}

/// The values of columns on one side of an event.
pub(crate) fn said(table: &Watched, side: Option<&Carried>, columns: &[&str]) -> Said {
    let Some(side) = side else { return Said::NoRow };
    let value = |name: &&str| table.position(name).and_then(|at| side.get(at)).cloned();
    columns.iter().map(value).collect::<Option<_>>().map_or(Said::Unknown, |values| Said::Key(Key(values)))
}

/// The same of both sides: before and after.
pub(crate) fn both(event: &Event, columns: &[&str]) -> [Said; 2] {
    [event.old(), event.new_values()].map(|side| said(event.watched(), side, columns))
}

/// The names of columns of a schema.
pub(crate) fn names(schema: &'static Schema, columns: &[usize]) -> Vec<&'static str> {
    columns.iter().map(|&column| schema.columns[column].name).collect()
}
