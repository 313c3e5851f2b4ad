//! Many new rows on their way into a table.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::changeset::NewRow;
use crate::conflict::Conflict;
use crate::draft::Computed;
use crate::render::{Insert, Returned};
use crate::schema::{Generated, Schema, Syncable};
use crate::value::Value;

/// Rows that all set the same columns. Cloning copies pointers, so that a blocking adapter can take the
/// rows to its thread.
#[derive(Clone)]
pub struct BulkInsert {
    /// The schema.
    pub schema: &'static Schema,
    /// The table's schema or database.
    pub prefix: Option<Arc<str>>,
    /// Positions in [`Schema::columns`] of the columns that are set.
    pub columns: Cow<'static, [usize]>,
    /// Which rows of the source.
    pub rows: Range<usize>,
    /// The rows.
    pub source: Arc<dyn RowSource>,
    /// Whether the stored rows shall come back.
    pub returning: bool,
    /// What is done where a row's key is taken. Of each written row then comes back, behind its columns if `returning`,
    /// whether it is new: see [`render::Insert`](crate::render::Insert).
    pub conflict: Option<Arc<Conflict>>,
}

impl BulkInsert {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The value of a column of a row, counted from 0 within this insert.
    pub fn cell(&self, row: usize, column: usize) -> Value<'_> {
        self.source.cell(self.rows.start + row, column)
    }

    /// What makes a cell that is no plain value.
    pub(crate) fn computed(&self, row: usize, column: usize) -> Option<Computed<'_>> {
        self.source.computed(self.rows.start + row, column)
    }

    /// How it is written.
    pub fn insert(&self) -> Insert<'_> {
        let returned = match (&self.conflict, self.returning) {
            (_, true) => Returned::Row,
            (Some(_), false) => Returned::Outcome,
            (None, false) => Returned::Nothing,
        };
        let (prefix, conflict) = (self.prefix.as_deref(), self.conflict.as_deref());
        Insert { schema: self.schema, prefix, columns: &self.columns, conflict, returned }
    }

    /// Whether the keys of the stored rows are known once they are inserted.
    pub(crate) fn tells_keys(&self) -> bool {
        tells_keys(self.schema, &self.columns)
    }

    /// The same insert, of some of the rows.
    pub fn slice(&self, rows: Range<usize>) -> BulkInsert {
        BulkInsert { rows: self.rows.start + rows.start..self.rows.start + rows.end, ..self.clone() }
    }
}

/// Whether the key of a new row that sets these columns is known once it is inserted: it is given, or counted by the
/// database, which then tells it.
pub(crate) fn tells_keys(schema: &Schema, columns: &[usize]) -> bool {
    let counted = |column: usize| matches!(schema.columns[column].generated, Generated::Identity);
    let mut key = schema.primary_key.iter();
    !schema.primary_key.is_empty() && key.all(|&column| columns.contains(&column) || counted(column))
}

/// Values by row and column.
pub trait RowSource: Send + Sync {
    /// The value of a column (by its position in the schema) of a row.
    fn cell(&self, row: usize, column: usize) -> Value<'_>;

    /// What makes a cell that is no plain value. Only rows that say so have any, and they never come by
    /// [`insert_many`](crate::Connection::insert_many).
    fn computed(&self, _row: usize, _column: usize) -> Option<Computed<'_>> {
        None
    }
}

/// The rows that a caller gave, as a source.
pub(crate) struct Rows<T, R> {
    pub(crate) rows: Vec<R>,
    pub(crate) schema: std::marker::PhantomData<fn() -> T>,
}

impl<T: Syncable, R: NewRow<T>> RowSource for Rows<T, R> {
    fn cell(&self, row: usize, column: usize) -> Value<'_> {
        self.rows[row].cell(column)
    }

    fn computed(&self, row: usize, column: usize) -> Option<Computed<'_>> {
        self.rows[row].computed(column)
    }
}

/// Values of some columns, row by row.
pub(crate) struct Cells {
    width: usize,
    /// Where the column of a schema is in a row.
    places: Vec<usize>,
    values: Vec<Value<'static>>,
}

impl Cells {
    /// The values stand in the order of these columns.
    pub(crate) fn of(schema: &Schema, columns: &[usize], values: Vec<Value<'static>>) -> Self {
        let mut places = vec![0; schema.columns.len()];
        columns.iter().enumerate().for_each(|(at, &column)| places[column] = at);
        Cells { width: columns.len(), places, values }
    }
}

impl RowSource for Cells {
    fn cell(&self, row: usize, column: usize) -> Value<'_> {
        self.values[row * self.width + self.places[column]].borrowed()
    }
}
