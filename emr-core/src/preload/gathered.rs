//! The rows of one association on one level, on their way into the slots.

mod many;
mod one;

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use super::keys::{Key, Keys};
use crate::association::{Few, Record, Slot};
use crate::error::{Error, ErrorKind, Result};
use crate::row::{Mismatch, Row, RowSink};
use crate::schema::{Schema, Syncable};
use crate::value::{SqlType, Value};
pub(crate) use many::Many;
pub(crate) use one::One;

/// The rows of one association on one level: those that were loaded before and are taken out of their slots while
/// preloads go on in them, and those that are fetched. Each group of fetched rows belongs to the owners of one number.
///
/// The only code of a preload that knows the type of the rows.
pub trait Gathered: Any + Send {
    /// The number of the group that this owner of a key takes its rows from.
    fn group(&self, target: &Target, key: u32, nth: u32) -> usize;

    /// Takes what a loaded slot holds. Returns the number by which it is kept.
    fn take(&mut self, slot: &mut dyn Slot) -> Result<usize>;

    /// Whether what is kept can be changed: nobody else holds it. After everything was taken.
    fn is_ours(&mut self, kept: usize) -> bool;

    /// Puts what is kept back.
    fn put_back(&mut self, kept: usize, slot: &mut dyn Slot);

    /// Makes sinks that gather the rows of a range of keys.
    fn sinks(&self, target: &Arc<Target>, keys: Range<u32>) -> SinkMaker;

    /// Takes the rows that a sink has gathered; the sinks come in the order of their keys.
    fn accept(&mut self, sink: Box<dyn RowSink>) -> Result<()>;

    /// Takes the rows that a function gave: a `Vec` of them, or of pairs with the owner's key.
    fn adopt(&mut self, rows: Box<dyn Any + Send>, target: &Target) -> Result<()>;

    /// Takes a copy of a row for this group, where it is still free.
    fn copy(&mut self, group: usize, row: &dyn Record) -> Result<()>;

    /// Gives the rows of a group to a slot; without a group there are none.
    fn fill(&mut self, group: Option<usize>, slot: &mut dyn Slot);

    /// All rows that can be changed.
    fn rows(&mut self) -> Vec<&mut (dyn Record + 'static)>;
}

/// Makes a sink for each attempt to run a statement.
pub(crate) type SinkMaker = Box<dyn Fn() -> Box<dyn RowSink> + Send + Sync>;

/// Where rows belong.
pub struct Target {
    pub(super) keys: Keys,
    pub(super) key: KeySource,
}

/// Where the key of a row is found.
pub(super) enum KeySource {
    /// In these columns of the struct.
    Columns(Few<usize>),
    /// In cells of these types behind the columns of the struct.
    Cells(Few<SqlType>),
}

impl Target {
    /// The number of the key that a row has, if it is one of the owners'.
    fn find<T: Syncable>(&self, value: &T, row: &dyn Row) -> Result<Option<u32>> {
        let key: Key<'_> = match &self.key {
            KeySource::Columns(columns) => columns.iter().map(|&column| value.value(column)).collect(),
            KeySource::Cells(types) => {
                let first = T::schema().columns.len();
                types.iter().enumerate().map(|(n, ty)| read(row, first + n, *ty)).collect::<Result<_>>()?
            }
        };
        Ok(self.keys.find(&key))
    }

    /// The same for a row that came from a function.
    fn find_row<T: Syncable>(&self, value: &T) -> Option<u32> {
        let KeySource::Columns(columns) = &self.key else { return None };
        let key: Key<'_> = columns.iter().map(|&column| value.value(column)).collect();
        self.keys.find(&key)
    }
}

/// Rows of a function with their keys, for associations whose rows do not say whose they are.
pub(crate) struct Pairs<T>(pub(crate) Vec<(Vec<Value<'static>>, T)>);

/// The rows of a function, each with the number of its key; without those that are nobody's.
fn adopted<T: Syncable>(rows: Box<dyn Any + Send>, target: &Target) -> Result<Vec<(u32, T)>> {
    let rows = match rows.downcast::<Vec<T>>() {
        Ok(rows) => rows.into_iter().filter_map(|row| Some((target.find_row(&row)?, row))).collect(),
        Err(rows) => {
            let pairs = rows.downcast::<Pairs<T>>().map_err(|_| mismatch(T::schema()))?;
            pairs.0.into_iter().filter_map(|(key, row)| Some((target.keys.find(&key)?, row))).collect()
        }
    };
    Ok(rows)
}

pub(crate) fn mismatch(schema: &Schema) -> Error {
    Error::invalid(format!("the slot of an association to {} holds rows of another type", schema.name))
}

/// A copy of a row, whose own slots are not loaded.
pub(crate) fn copied<T: Syncable>(row: &dyn Record) -> Result<T> {
    let any: &dyn Any = row;
    let row = any.downcast_ref::<T>().ok_or_else(|| mismatch(T::schema()))?;
    let values: Vec<_> = (0..T::schema().columns.len()).map(|n| row.value(n).into_owned()).collect();
    crate::result::decode_values(&values)
}

/// A key cell behind the struct.
pub(crate) fn read(row: &dyn Row, at: usize, ty: SqlType) -> Result<Value<'_>> {
    let read = || {
        Ok(match ty {
            SqlType::I16 | SqlType::I32 | SqlType::I64 => row.i64(at)?.map(Value::I64),
            SqlType::Uuid => row.uuid(at)?.map(Value::Uuid),
            SqlType::Text => row.str(at)?.map(|text| Value::Text(text.into())),
            SqlType::Bytes => row.bytes(at)?.map(|bytes| Value::Bytes(bytes.into())),
            SqlType::Decimal => row.decimal(at)?.map(Value::Decimal),
            SqlType::Date => row.date(at)?.map(Value::Date),
            SqlType::Time => row.time(at)?.map(Value::Time),
            SqlType::DateTime => row.datetime(at)?.map(Value::DateTime),
            SqlType::Timestamp => row.timestamp(at)?.map(Value::Timestamp),
            SqlType::Bool => row.bool(at)?.map(Value::Bool),
            _ => Some(row.value(at)?),
        })
    };
    let cell = read().map_err(|mismatch: Mismatch| {
        Error::new(ErrorKind::Decode {
            table: "the join table".to_owned(),
            column: format!("key {}", at + 1),
            expected: mismatch.expected.into_owned(),
            found: mismatch.found.into_owned(),
        })
    })?;
    Ok(cell.unwrap_or(Value::Null(ty)))
}
