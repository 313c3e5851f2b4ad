//! Rows that are kept, and told later.

use std::any::Any;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr::uuid::Uuid;
use emr::{Cell, Error, Mismatch, Result, ResultColumn, Row, RowSink, Value};
use rust_decimal::Decimal;

/// The rows of one result.
#[derive(Default)]
pub(super) struct KeptRows {
    columns: Vec<ResultColumn>,
    rows: Vec<KeptRow>,
}

impl KeptRows {
    /// A new one, for an adapter.
    pub(super) fn sink() -> Box<dyn RowSink> {
        Box::new(KeptRows::default())
    }

    /// What an adapter gives back.
    pub(super) fn of(sink: Box<dyn RowSink>) -> KeptRows {
        let sink: Box<dyn Any> = sink;
        *sink.downcast().expect("the adapter gives back the sink that it got")
    }

    pub(super) fn tell(self, sink: &mut dyn RowSink) -> Result<()> {
        if sink.wants_columns() {
            sink.columns(&self.columns)?;
        }
        self.rows.iter().try_for_each(|row| sink.row(row))
    }
}

impl RowSink for KeptRows {
    fn columns(&mut self, columns: &[ResultColumn]) -> Result<()> {
        self.columns = columns.to_vec();
        Ok(())
    }

    fn wants_columns(&self) -> bool {
        true
    }

    fn row(&mut self, row: &dyn Row) -> Result<()> {
        let cells: Result<Vec<_>, Mismatch> = (0..row.len()).map(|at| Ok(row.value(at)?.into_owned())).collect();
        let cells = cells.map_err(|mismatch| Error::invalid(mismatch.found))?;
        self.rows.push(KeptRow(cells));
        Ok(())
    }
}

struct KeptRow(Vec<Value<'static>>);

macro_rules! cells {
    ($($getter:ident: $ty:ty, $variant:ident, $cell:ident => $read:expr;)*) => {
        $(
            fn $getter(&self, at: usize) -> Cell<$ty> {
                match self.0.get(at) {
                    None | Some(Value::Null(_)) => Ok(None),
                    Some(Value::$variant($cell)) => Ok(Some($read)),
                    Some(other) => Err(Mismatch::new(stringify!($getter), other.describe())),
                }
            }
        )*
    };
}

impl Row for KeptRow {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_null(&self, at: usize) -> bool {
        self.0.get(at).is_none_or(Value::is_null)
    }

    cells! {
        bool: bool, Bool, cell => *cell;
        i16: i16, I16, cell => *cell;
        i32: i32, I32, cell => *cell;
        i64: i64, I64, cell => *cell;
        f32: f32, F32, cell => *cell;
        f64: f64, F64, cell => *cell;
        str: &str, Text, cell => cell;
        bytes: &[u8], Bytes, cell => cell;
        uuid: Uuid, Uuid, cell => *cell;
        decimal: Decimal, Decimal, cell => *cell;
        date: NaiveDate, Date, cell => *cell;
        time: NaiveTime, Time, cell => *cell;
        datetime: NaiveDateTime, DateTime, cell => *cell;
        timestamp: DateTime<Utc>, Timestamp, cell => *cell;
        json: &str, Json, cell => cell;
    }

    fn value(&self, at: usize) -> Result<Value<'_>, Mismatch> {
        Ok(self.0.get(at).map_or(Value::Null(emr::SqlType::Unknown), Value::borrowed))
    }
}
