//! Rows as adapters show them, and the sinks that take them.

use std::any::Any;
use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::schema::Schema;
use crate::types::Field;
use crate::value::{SqlType, Value};

/// What reading one cell gives: `None` for NULL.
pub type Cell<T> = Result<Option<T>, Mismatch>;

/// A cell that is not of the type that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The Rust type that was asked for.
    pub expected: Cow<'static, str>,
    /// What the cell holds.
    pub found: Cow<'static, str>,
}

impl Mismatch {
    /// A mismatch of these two.
    pub fn new(expected: impl Into<Cow<'static, str>>, found: impl Into<Cow<'static, str>>) -> Self {
        Mismatch { expected: expected.into(), found: found.into() }
    }
}

/// One row while the adapter holds it. Cells are read by position; nothing is boxed or copied that the
/// caller does not ask for.
///
/// A getter widens where nothing can be lost (a 16-bit column read as `i64`) and refuses with a
/// [`Mismatch`] where something could be.
pub trait Row {
    /// How many cells the row has.
    fn len(&self) -> usize;
    /// Whether the row has no cells.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Whether the cell is NULL. A position past the end is NULL.
    fn is_null(&self, at: usize) -> bool;
    /// A boolean.
    fn bool(&self, at: usize) -> Cell<bool>;
    /// A 16-bit integer.
    fn i16(&self, at: usize) -> Cell<i16>;
    /// A 32-bit integer.
    fn i32(&self, at: usize) -> Cell<i32>;
    /// A 64-bit integer.
    fn i64(&self, at: usize) -> Cell<i64>;
    /// A 32-bit float.
    fn f32(&self, at: usize) -> Cell<f32>;
    /// A 64-bit float.
    fn f64(&self, at: usize) -> Cell<f64>;
    /// Text.
    fn str(&self, at: usize) -> Cell<&str>;
    /// Bytes.
    fn bytes(&self, at: usize) -> Cell<&[u8]>;
    /// Text to keep. Where the sink [reads once](RowSink::reads_once), an adapter may give its own buffer away instead of a
    /// copy; the cell is no more to be read then, and gives a [`Mismatch`].
    fn string(&self, at: usize) -> Cell<String> {
        Ok(self.str(at)?.map(ToOwned::to_owned))
    }
    /// Bytes to keep, as [`string`](Row::string).
    fn byte_buf(&self, at: usize) -> Cell<Vec<u8>> {
        Ok(self.bytes(at)?.map(ToOwned::to_owned))
    }
    /// A UUID.
    fn uuid(&self, at: usize) -> Cell<Uuid>;
    /// A decimal.
    fn decimal(&self, at: usize) -> Cell<Decimal>;
    /// A date.
    fn date(&self, at: usize) -> Cell<NaiveDate>;
    /// A time of day.
    fn time(&self, at: usize) -> Cell<NaiveTime>;
    /// A date and time without a zone.
    fn datetime(&self, at: usize) -> Cell<NaiveDateTime>;
    /// An instant.
    fn timestamp(&self, at: usize) -> Cell<DateTime<Utc>>;
    /// A JSON document as text.
    fn json(&self, at: usize) -> Cell<&str>;
    /// Whatever is there, in the type that the backend gives it.
    fn value(&self, at: usize) -> Result<Value<'_>, Mismatch>;
}

/// A column of a result, as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// The server's name of its type; empty where the engine knows none.
    pub type_name: String,
}

/// Takes the rows of one statement. The adapter owns it while the statement runs (on another thread,
/// if it is a blocking one) and hands it back at the end.
pub trait RowSink: Any + Send {
    /// Called once before the first row, also if there is none.
    fn columns(&mut self, _columns: &[ResultColumn]) -> Result<()> {
        Ok(())
    }

    /// Whether [`columns`](RowSink::columns) must be called. Describing columns costs allocations, and
    /// a typed read knows them already.
    fn wants_columns(&self) -> bool {
        false
    }

    /// Whether it reads no cell twice. Asked once, before the first row.
    fn reads_once(&self) -> bool {
        false
    }

    /// The time that it spent on rows, where it was measured.
    #[doc(hidden)]
    fn spent(&self) -> Option<Duration> {
        None
    }

    /// Takes one row. An error ends the statement and is what the call returns.
    fn row(&mut self, row: &dyn Row) -> Result<()>;
}

/// A sink whose type nobody needs to know.
impl RowSink for Box<dyn RowSink> {
    fn columns(&mut self, columns: &[ResultColumn]) -> Result<()> {
        (**self).columns(columns)
    }

    fn wants_columns(&self) -> bool {
        (**self).wants_columns()
    }

    fn reads_once(&self) -> bool {
        (**self).reads_once()
    }

    fn spent(&self) -> Option<Duration> {
        (**self).spent()
    }

    fn row(&mut self, row: &dyn Row) -> Result<()> {
        (**self).row(row)
    }
}

/// Throws rows away.
#[derive(Debug, Default, Clone, Copy)]
pub struct Discard;

impl RowSink for Discard {
    fn reads_once(&self) -> bool {
        true
    }

    fn row(&mut self, _row: &dyn Row) -> Result<()> {
        Ok(())
    }
}

/// Reads the cells of one row in the order of a struct's columns. The code that `#[derive(Syncable)]`
/// makes calls [`next`](Cells::next) once per column.
pub struct Cells<'r> {
    row: &'r dyn Row,
    schema: &'static Schema,
    next: usize,
    first: usize,
    positions: Option<&'r [usize]>,
}

impl<'r> Cells<'r> {
    /// Reads the schema's columns from `first` on.
    pub fn new(row: &'r dyn Row, schema: &'static Schema, first: usize) -> Self {
        Cells { row, schema, next: 0, first, positions: None }
    }

    /// Reads column `n` of the schema from cell `positions[n]`.
    pub fn mapped(row: &'r dyn Row, schema: &'static Schema, positions: &'r [usize]) -> Self {
        Cells { row, schema, next: 0, first: 0, positions: Some(positions) }
    }

    /// The next column as a `T`.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] with the table and the column if the cell does not hold a `T`, or holds
    /// NULL where `T` is no `Option`.
    #[inline]
    #[allow(clippy::should_implement_trait)] // it is generic: no iterator could be
    pub fn next<T: Field>(&mut self) -> Result<T> {
        let at = match self.positions {
            Some(positions) => positions[self.next],
            None => self.first + self.next,
        };
        self.next += 1;
        T::read(self.row, at).map_err(|mismatch| self.decode_error(mismatch))
    }

    #[cold]
    fn decode_error(&self, mismatch: Mismatch) -> Error {
        decode_error(self.schema, self.next - 1, mismatch)
    }
}

/// The error for a cell of `schema` that does not hold what the struct wants.
pub(crate) fn decode_error(schema: &Schema, column: usize, mismatch: Mismatch) -> Error {
    let column = schema.columns.get(column);
    let found = match column {
        Some(column) if column.redact && mismatch.found != NULL => Cow::Borrowed("a redacted value"),
        _ => mismatch.found,
    };
    Error::new(ErrorKind::Decode {
        table: schema.table.to_owned(),
        column: column.map_or_else(String::new, |column| column.name.to_owned()),
        expected: mismatch.expected.into_owned(),
        found: found.into_owned(),
    })
}

/// What a [`Mismatch`] says was found where a NULL was.
pub(crate) const NULL: &str = "NULL";

/// The error for NULL in a field that is no `Option`.
pub(crate) fn null_mismatch(expected: SqlType) -> Mismatch {
    Mismatch::new(format!("{} (the field is no Option)", expected.name()), NULL)
}

/// Calls a macro for each length of tuple that a row can be read into, with a type and a position for each item.
macro_rules! each_tuple {
    ($each:ident) => {
        $each!(A 0);
        $each!(A 0, B 1);
        $each!(A 0, B 1, C 2);
        $each!(A 0, B 1, C 2, D 3);
        $each!(A 0, B 1, C 2, D 3, E 4);
        $each!(A 0, B 1, C 2, D 3, E 4, F 5);
        $each!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
        $each!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
        $each!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
        $each!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
        $each!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
        $each!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
    };
}

pub(crate) use each_tuple;
