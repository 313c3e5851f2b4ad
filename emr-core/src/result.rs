//! Results of raw SQL, whose columns are known at run time only.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::row::{Cell, Mismatch, ResultColumn, Row, RowSink};
use crate::schema::Syncable;
use crate::sinks::Named;
use crate::types::{Field, FromValue};
use crate::value::Value;

/// Columns and rows of a raw statement.
///
/// ```
/// # use emr_core::{QueryResult, ResultColumn, Value};
/// let columns = vec![ResultColumn { name: "sum".into(), type_name: "int8".into() }];
/// let result = QueryResult::from_parts(columns, vec![vec![Value::I64(9)]]);
/// assert_eq!(result.scalar::<i64>()?, 9);
/// assert_eq!(result.get::<i64>(0, "sum")?, 9);
/// # Ok::<(), emr_core::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct QueryResult {
    pub(crate) columns: Vec<ResultColumn>,
    cells: Vec<Value<'static>>,
    rows: usize,
    affected: u64,
}

/// A column of a result: its position, or its name.
pub trait ColumnIndex: fmt::Display + Copy {
    /// The position.
    fn position(self, columns: &[ResultColumn]) -> Option<usize>;
}

impl ColumnIndex for usize {
    fn position(self, columns: &[ResultColumn]) -> Option<usize> {
        (self < columns.len()).then_some(self)
    }
}

impl ColumnIndex for &str {
    fn position(self, columns: &[ResultColumn]) -> Option<usize> {
        columns.iter().position(|column| column.name == self)
    }
}

impl QueryResult {
    /// All cells, row by row.
    pub(crate) fn into_cells(self) -> Vec<Value<'static>> {
        self.cells
    }

    /// A result of these columns and rows; cells that a row lacks are NULL.
    pub fn from_parts(columns: Vec<ResultColumn>, rows: Vec<Vec<Value<'static>>>) -> Self {
        let width = columns.len();
        let count = rows.len();
        let fill = |mut row: Vec<Value<'static>>| {
            row.resize(width, Value::Null(crate::SqlType::Unknown));
            row
        };
        let cells = rows.into_iter().flat_map(fill).collect();
        QueryResult { columns, cells, rows: count, affected: count as u64 }
    }

    /// The columns, in order. Empty for a statement without a result.
    pub fn columns(&self) -> &[ResultColumn] {
        &self.columns
    }

    /// How many rows came back.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether no row came back.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// How many rows the statement wrote, or returned if it wrote none.
    pub fn rows_affected(&self) -> u64 {
        self.affected
    }

    /// The rows, each as the slice of its cells.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[Value<'static>]> {
        let width = self.columns.len();
        (0..self.rows).map(move |row| &self.cells[row * width..(row + 1) * width])
    }

    /// One cell as a `T`.
    ///
    /// # Errors
    /// [`Decode`](crate::ErrorKind::Decode) if there is no such row or column, or the cell holds no `T`.
    pub fn get<T: FromValue>(&self, row: usize, column: impl ColumnIndex) -> Result<T> {
        let wrong = |mismatch: Mismatch| {
            Error::new(ErrorKind::Decode {
                table: "result".to_owned(),
                column: column.to_string(),
                expected: mismatch.expected.into_owned(),
                found: mismatch.found.into_owned(),
            })
        };
        let Some(position) = column.position(&self.columns) else {
            let names = self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(wrong(Mismatch::new("a column of this name or position", format!("the columns {names}"))));
        };
        match self.rows().nth(row) {
            Some(cells) => T::from_value(cells[position].borrowed()).map_err(wrong),
            None => Err(wrong(Mismatch::new(format!("row {row}"), format!("{} rows", self.rows)))),
        }
    }

    /// The first cell of the first row.
    ///
    /// # Errors
    /// As [`get`](QueryResult::get).
    pub fn scalar<T: FromValue>(&self) -> Result<T> {
        self.get(0, 0)
    }

    /// The rows as structs. Columns are found by name; others than the struct's are ignored.
    ///
    /// # Errors
    /// [`Decode`](crate::ErrorKind::Decode) if a column is missing or does not fit.
    pub fn load<T: Syncable>(&self) -> Result<Vec<T>> {
        let mut sink = Named::new();
        sink.columns(&self.columns)?;
        for cells in self.rows() {
            sink.row(&Cells(cells))?;
        }
        Ok(sink.rows)
    }

    pub(crate) fn with_affected(mut self, rows: u64) -> Self {
        self.affected = rows;
        self
    }

    pub(crate) fn push_row(&mut self, row: &dyn Row) -> Result<()> {
        let width = self.columns.len();
        for at in 0..width {
            let value = row.value(at).map_err(|mismatch| {
                Error::new(ErrorKind::Decode {
                    table: "result".to_owned(),
                    column: self.columns[at].name.clone(),
                    expected: mismatch.expected.into_owned(),
                    found: mismatch.found.into_owned(),
                })
            })?;
            self.cells.push(value.into_owned());
        }
        self.rows += 1;
        Ok(())
    }
}

impl fmt::Debug for QueryResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryResult")
            .field("columns", &self.columns)
            .field("rows", &self.rows().collect::<Vec<_>>())
            .field("rows_affected", &self.affected)
            .finish_non_exhaustive()
    }
}

/// The struct whose columns have these values.
pub(crate) fn decode_values<T: Syncable>(values: &[Value<'static>]) -> Result<T> {
    T::decode(&mut crate::row::Cells::new(&Cells(values), T::schema(), 0))
}

/// The value as a field of this type.
pub(crate) fn read_value<F: Field>(value: &Value<'static>) -> Result<F, Mismatch> {
    F::read(&Cells(std::slice::from_ref(value)), 0)
}

/// Dynamic values as a row.
struct Cells<'a>(&'a [Value<'static>]);

macro_rules! value_getters {
    ($($getter:ident -> $ty:ty;)*) => {
        $(
            fn $getter(&self, at: usize) -> Cell<$ty> {
                match self.0.get(at) {
                    None | Some(Value::Null(_)) => Ok(None),
                    Some(value) => <$ty>::from_value(value.borrowed()).map(Some),
                }
            }
        )*
    };
}

impl Row for Cells<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_null(&self, at: usize) -> bool {
        self.0.get(at).is_none_or(Value::is_null)
    }

    value_getters! {
        bool -> bool;
        i16 -> i16;
        i32 -> i32;
        i64 -> i64;
        f32 -> f32;
        f64 -> f64;
        uuid -> Uuid;
        decimal -> Decimal;
        date -> NaiveDate;
        time -> NaiveTime;
        datetime -> NaiveDateTime;
        timestamp -> DateTime<Utc>;
    }

    fn str(&self, at: usize) -> Cell<&str> {
        match self.0.get(at) {
            None | Some(Value::Null(_)) => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(Mismatch::new("text", other.describe())),
        }
    }

    fn bytes(&self, at: usize) -> Cell<&[u8]> {
        match self.0.get(at) {
            None | Some(Value::Null(_)) => Ok(None),
            Some(Value::Bytes(bytes)) => Ok(Some(bytes)),
            Some(other) => Err(Mismatch::new("bytes", other.describe())),
        }
    }

    fn json(&self, at: usize) -> Cell<&str> {
        match self.0.get(at) {
            None | Some(Value::Null(_)) => Ok(None),
            Some(Value::Json(json) | Value::Text(json)) => Ok(Some(json)),
            Some(other) => Err(Mismatch::new("JSON", other.describe())),
        }
    }

    fn value(&self, at: usize) -> Result<Value<'_>, Mismatch> {
        Ok(self.0.get(at).map_or(Value::Null(crate::SqlType::Unknown), Value::borrowed))
    }
}
