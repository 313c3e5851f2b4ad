//! A row made by hand, for tests of decoders.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr_core::{Cell, Cells, FromValue, Mismatch, Result, Row, Syncable, Value};
use rust_decimal::Decimal;
use uuid::Uuid;

/// Holds each cell as a value and reads it as strictly as an adapter.
pub(crate) struct Cellar(pub(crate) Vec<Value<'static>>);

impl Cellar {
    fn get<T: FromValue>(&self, at: usize) -> Cell<T> {
        match &self.0[at] {
            Value::Null(_) => Ok(None),
            value => T::from_value(value.borrowed()).map(Some),
        }
    }
}

macro_rules! getters {
    ($($name:ident: $ty:ty;)*) => {
        $(fn $name(&self, at: usize) -> Cell<$ty> {
            self.get(at)
        })*
    };
}

impl Row for Cellar {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_null(&self, at: usize) -> bool {
        self.0[at].is_null()
    }

    getters! {
        bool: bool;
        i16: i16;
        i32: i32;
        i64: i64;
        f32: f32;
        f64: f64;
        uuid: Uuid;
        decimal: Decimal;
        date: NaiveDate;
        time: NaiveTime;
        datetime: NaiveDateTime;
        timestamp: DateTime<Utc>;
    }

    fn str(&self, at: usize) -> Cell<&str> {
        match &self.0[at] {
            Value::Null(_) => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            other => Err(Mismatch::new("text", other.describe())),
        }
    }

    fn bytes(&self, at: usize) -> Cell<&[u8]> {
        match &self.0[at] {
            Value::Null(_) => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes)),
            other => Err(Mismatch::new("bytes", other.describe())),
        }
    }

    fn json(&self, at: usize) -> Cell<&str> {
        match &self.0[at] {
            Value::Null(_) => Ok(None),
            Value::Json(json) => Ok(Some(json)),
            other => Err(Mismatch::new("JSON", other.describe())),
        }
    }

    fn value(&self, at: usize) -> Result<Value<'_>, Mismatch> {
        Ok(self.0[at].borrowed())
    }
}

/// The columns of a struct as its table would hold them.
#[allow(dead_code)]
pub(crate) fn stored<T: Syncable>(row: &T) -> Cellar {
    Cellar((0..T::schema().columns.len()).map(|column| row.value(column).into_owned()).collect())
}

/// Reads a struct from a row.
#[allow(dead_code)]
pub(crate) fn decoded<T: Syncable>(row: &Cellar) -> Result<T> {
    T::decode(&mut Cells::new(row, T::schema(), 0))
}

#[allow(dead_code)]
pub(crate) fn text(text: &'static str) -> Value<'static> {
    Value::Text(Cow::Borrowed(text))
}
