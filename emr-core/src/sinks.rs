//! The sinks of the repo's own calls.

use std::any::Any;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::from_row::FromRow;
use crate::result::QueryResult;
use crate::row::{Cells, Mismatch, ResultColumn, Row, RowSink, decode_error};
use crate::schema::Syncable;

/// Collects structs from rows that hold all columns of the schema in order.
pub(crate) struct Structs<T> {
    pub(crate) rows: Vec<T>,
}

impl<T> Structs<T> {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Structs { rows: Vec::with_capacity(rows) }
    }
}

impl<T: FromRow> RowSink for Structs<T> {
    fn reads_once(&self) -> bool {
        true
    }

    #[inline]
    fn row(&mut self, row: &dyn Row) -> Result<()> {
        self.rows.push(T::read(row, 0)?);
        Ok(())
    }
}

/// Takes at most one struct; a second row is an error.
pub(crate) struct AtMostOne<T> {
    pub(crate) row: Option<T>,
    table: &'static str,
}

impl<T> AtMostOne<T> {
    /// Of a query of this table.
    pub(crate) fn of(table: &'static str) -> Self {
        AtMostOne { row: None, table }
    }
}

impl<T: FromRow> RowSink for AtMostOne<T> {
    fn reads_once(&self) -> bool {
        true
    }

    fn row(&mut self, row: &dyn Row) -> Result<()> {
        if self.row.is_some() {
            return Err(Error::new(ErrorKind::MultipleResults { table: self.table.to_owned() }));
        }
        self.row = Some(T::read(row, 0)?);
        Ok(())
    }
}

/// Collects structs from rows whose columns are found by their names.
pub(crate) struct Named<T> {
    pub(crate) rows: Vec<T>,
    positions: Vec<usize>,
}

impl<T> Named<T> {
    pub(crate) fn new() -> Self {
        Named { rows: Vec::new(), positions: Vec::new() }
    }
}

impl<T: Syncable> RowSink for Named<T> {
    fn columns(&mut self, columns: &[ResultColumn]) -> Result<()> {
        let schema = T::schema();
        self.positions = Vec::with_capacity(schema.columns.len());
        for (n, wanted) in schema.columns.iter().enumerate() {
            let Some(at) = columns.iter().position(|column| column.name == wanted.name) else {
                let found = Mismatch::new(wanted.ty.name(), "no such column in the result");
                return Err(decode_error(schema, n, found));
            };
            self.positions.push(at);
        }
        Ok(())
    }

    fn wants_columns(&self) -> bool {
        true
    }

    fn row(&mut self, row: &dyn Row) -> Result<()> {
        self.rows.push(T::decode(&mut Cells::mapped(row, T::schema(), &self.positions))?);
        Ok(())
    }
}

/// Takes one number from the first cell of the first row.
#[derive(Default)]
pub(crate) struct Count(pub(crate) Option<i64>);

impl RowSink for Count {
    fn row(&mut self, row: &dyn Row) -> Result<()> {
        if self.0.is_none() {
            self.0 = row.i64(0).map_err(|mismatch| {
                Error::new(ErrorKind::Decode {
                    table: String::new(),
                    column: "count".to_owned(),
                    expected: mismatch.expected.into_owned(),
                    found: mismatch.found.into_owned(),
                })
            })?;
        }
        Ok(())
    }
}

impl RowSink for QueryResult {
    fn columns(&mut self, columns: &[ResultColumn]) -> Result<()> {
        self.columns = columns.to_vec();
        Ok(())
    }

    fn wants_columns(&self) -> bool {
        true
    }

    fn row(&mut self, row: &dyn Row) -> Result<()> {
        self.push_row(row)
    }
}

/// Measures the time that a sink spends, when somebody wants to know.
pub(crate) struct Timed<S> {
    pub(crate) sink: S,
    pub(crate) spent: Option<Duration>,
}

impl<S: RowSink> RowSink for Timed<S> {
    fn columns(&mut self, columns: &[ResultColumn]) -> Result<()> {
        self.sink.columns(columns)
    }

    fn wants_columns(&self) -> bool {
        self.sink.wants_columns()
    }

    fn reads_once(&self) -> bool {
        self.sink.reads_once()
    }

    fn spent(&self) -> Option<Duration> {
        self.spent
    }

    #[inline]
    fn row(&mut self, row: &dyn Row) -> Result<()> {
        match &mut self.spent {
            None => self.sink.row(row),
            Some(spent) => {
                let start = Instant::now();
                let result = self.sink.row(row);
                *spent += start.elapsed();
                result
            }
        }
    }
}

/// The sink that went into a statement, by its own type again.
pub(crate) fn unbox<S: RowSink>(sink: Box<dyn RowSink>) -> Result<S> {
    let sink: Box<dyn Any> = sink;
    match sink.downcast::<S>() {
        Ok(sink) => Ok(*sink),
        Err(_) => Err(Error::invalid("the adapter gave back another sink than it was given")),
    }
}

/// Hands the rows of a batch to a stream.
pub(crate) struct Batch<T> {
    pub(crate) rows: VecDeque<T>,
}

impl<T: FromRow> RowSink for Batch<T> {
    fn reads_once(&self) -> bool {
        true
    }

    fn row(&mut self, row: &dyn Row) -> Result<()> {
        self.rows.push_back(T::read(row, 0)?);
        Ok(())
    }
}
