//! Cells on their way from the server, read in place.

use std::borrow::Cow;
use std::error::Error as StdError;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr_core::{Cell, Mismatch, Row, Value};
use rust_decimal::Decimal;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

use super::{Wire, array, element_of, numeric, time};

/// The bytes of a cell of any type.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Raw(Some(raw)))
    }

    fn from_sql_null(_ty: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Raw(None))
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }
}

/// A row of the driver, with the wire types of its columns.
pub(crate) struct PgRow<'r> {
    row: &'r tokio_postgres::Row,
    columns: &'r [Wire],
}

impl<'r> PgRow<'r> {
    pub(crate) fn new(row: &'r tokio_postgres::Row, columns: &'r [Wire]) -> Self {
        PgRow { row, columns }
    }

    /// The bytes of a cell that is there and not NULL.
    #[allow(clippy::inline_always)] // once per cell: a call costs as much as the work
    #[inline(always)]
    fn cell(&self, at: usize) -> Option<(Wire, &'r [u8])> {
        let wire = *self.columns.get(at)?;
        match self.row.try_get(at) {
            Ok(Raw(Some(raw))) => Some((wire, raw)),
            // Not an error: every type is accepted, and the position was checked.
            Ok(Raw(None)) | Err(_) => None,
        }
    }

    /// Reads a cell by `read`, which gives `None` for a type that it does not read.
    #[allow(clippy::inline_always)] // as above
    #[inline(always)]
    fn read<T>(&self, at: usize, expected: &'static str, read: impl FnOnce(Wire, &'r [u8]) -> Option<T>) -> Cell<T> {
        let Some((wire, raw)) = self.cell(at) else { return Ok(None) };
        match read(wire, raw) {
            Some(value) => Ok(Some(value)),
            None => Err(self.mismatch(at, expected)),
        }
    }

    #[cold]
    fn mismatch(&self, at: usize, expected: &'static str) -> Mismatch {
        let ty = self.row.columns()[at].type_();
        let found = match self.cell(at) {
            // Of the types that are read, these hold values that Rust's do not.
            Some((Wire::Numeric, raw)) if expected == "decimal" && numeric::decode(raw).is_none() => {
                "a numeric that is no number or has too many digits".into()
            }
            Some((Wire::Date | Wire::Timestamp | Wire::Timestamptz, _)) if is_of(expected, ty) => {
                format!("a {} that is infinite or out of range", ty.name()).into()
            }
            Some((Wire::Time, _)) if is_of(expected, ty) => "the time 24:00:00".into(),
            Some((Wire::Text, raw)) if expected == "text" && std::str::from_utf8(raw).is_err() => {
                "bytes that are no UTF-8".into()
            }
            _ => found(ty),
        };
        Mismatch::new(expected, found)
    }
}

fn is_of(expected: &str, ty: &Type) -> bool {
    scalar_name(Wire::of(ty)) == expected
}

fn scalar_name(wire: Wire) -> &'static str {
    wire.sql_type().name()
}

/// What a cell of this type is, in words.
pub(super) fn found(ty: &Type) -> Cow<'static, str> {
    match ty.name().strip_prefix('_') {
        Some(element) => format!("{element}[]").into(),
        None => match Wire::of(ty) {
            Wire::Other => format!("{} (cast it to text in the query)", ty.name()).into(),
            _ => ty.name().to_owned().into(),
        },
    }
}

#[inline]
fn be<const N: usize, T>(raw: &[u8], from: impl FnOnce([u8; N]) -> T) -> Option<T> {
    raw.try_into().ok().map(from)
}

#[inline]
fn text(wire: Wire, raw: &[u8]) -> Option<&str> {
    match wire {
        Wire::Text | Wire::Unknown => std::str::from_utf8(raw).ok(),
        _ => None,
    }
}

#[inline]
fn json(wire: Wire, raw: &[u8]) -> Option<&str> {
    match wire {
        Wire::Json | Wire::Text => std::str::from_utf8(raw).ok(),
        // The first byte is the version of the format.
        Wire::Jsonb => std::str::from_utf8(raw.strip_prefix(&[1])?).ok(),
        _ => None,
    }
}

fn utc(at: NaiveDateTime) -> DateTime<Utc> {
    at.and_utc()
}

impl Row for PgRow<'_> {
    fn len(&self) -> usize {
        self.columns.len()
    }

    fn is_null(&self, at: usize) -> bool {
        self.cell(at).is_none()
    }

    #[inline]
    fn bool(&self, at: usize) -> Cell<bool> {
        self.read(at, "bool", |wire, raw| match wire {
            Wire::Bool => be(raw, |[byte]| byte != 0),
            _ => None,
        })
    }

    #[inline]
    fn i16(&self, at: usize) -> Cell<i16> {
        self.read(at, "i16", |wire, raw| match wire {
            Wire::I16 => be(raw, i16::from_be_bytes),
            _ => None,
        })
    }

    #[inline]
    fn i32(&self, at: usize) -> Cell<i32> {
        self.read(at, "i32", |wire, raw| match wire {
            Wire::I32 => be(raw, i32::from_be_bytes),
            Wire::I16 => be(raw, i16::from_be_bytes).map(i32::from),
            _ => None,
        })
    }

    #[inline]
    fn i64(&self, at: usize) -> Cell<i64> {
        self.read(at, "i64", |wire, raw| match wire {
            Wire::I64 => be(raw, i64::from_be_bytes),
            Wire::I32 => be(raw, i32::from_be_bytes).map(i64::from),
            Wire::I16 => be(raw, i16::from_be_bytes).map(i64::from),
            Wire::Oid => be(raw, u32::from_be_bytes).map(i64::from),
            _ => None,
        })
    }

    #[inline]
    fn f32(&self, at: usize) -> Cell<f32> {
        self.read(at, "f32", |wire, raw| match wire {
            Wire::F32 => be(raw, f32::from_be_bytes),
            _ => None,
        })
    }

    #[inline]
    fn f64(&self, at: usize) -> Cell<f64> {
        self.read(at, "f64", |wire, raw| match wire {
            Wire::F64 => be(raw, f64::from_be_bytes),
            Wire::F32 => be(raw, f32::from_be_bytes).map(f64::from),
            _ => None,
        })
    }

    #[inline]
    fn str(&self, at: usize) -> Cell<&str> {
        self.read(at, "text", text)
    }

    #[inline]
    fn bytes(&self, at: usize) -> Cell<&[u8]> {
        self.read(at, "bytes", |wire, raw| (wire == Wire::Bytes).then_some(raw))
    }

    #[inline]
    fn uuid(&self, at: usize) -> Cell<Uuid> {
        self.read(at, "UUID", |wire, raw| match wire {
            Wire::Uuid => be(raw, Uuid::from_bytes),
            _ => None,
        })
    }

    fn decimal(&self, at: usize) -> Cell<Decimal> {
        self.read(at, "decimal", |wire, raw| match wire {
            Wire::Numeric => numeric::decode(raw),
            Wire::I64 => be(raw, i64::from_be_bytes).map(Decimal::from),
            Wire::I32 => be(raw, i32::from_be_bytes).map(Decimal::from),
            Wire::I16 => be(raw, i16::from_be_bytes).map(Decimal::from),
            _ => None,
        })
    }

    fn date(&self, at: usize) -> Cell<NaiveDate> {
        self.read(at, "date", |wire, raw| match wire {
            Wire::Date => be(raw, i32::from_be_bytes).and_then(time::date_of),
            _ => None,
        })
    }

    fn time(&self, at: usize) -> Cell<NaiveTime> {
        self.read(at, "time", |wire, raw| match wire {
            Wire::Time => be(raw, i64::from_be_bytes).and_then(time::time_of),
            _ => None,
        })
    }

    fn datetime(&self, at: usize) -> Cell<NaiveDateTime> {
        self.read(at, "datetime without zone", |wire, raw| match wire {
            Wire::Timestamp => be(raw, i64::from_be_bytes).and_then(time::datetime_of),
            _ => None,
        })
    }

    fn timestamp(&self, at: usize) -> Cell<DateTime<Utc>> {
        self.read(at, "UTC timestamp", |wire, raw| match wire {
            Wire::Timestamptz => be(raw, i64::from_be_bytes).and_then(time::datetime_of).map(utc),
            _ => None,
        })
    }

    #[inline]
    fn json(&self, at: usize) -> Cell<&str> {
        self.read(at, "JSON", json)
    }

    fn value(&self, at: usize) -> Result<Value<'_>, Mismatch> {
        let Some((wire, raw)) = self.cell(at) else {
            let wire = self.columns.get(at).copied().unwrap_or(Wire::Other);
            return Ok(Value::Null(wire.sql_type()));
        };
        let ty = self.row.columns()[at].type_();
        match (wire, element_of(ty)) {
            (Wire::Array, Some(element)) => array::decode(raw, element),
            _ => match scalar(wire, raw) {
                Some(Ok(value)) => Ok(value),
                Some(Err(_)) => Err(self.mismatch(at, scalar_name(wire))),
                None => Err(Mismatch::new("a value of a type that EMR knows", found(ty))),
            },
        }
    }
}

/// A cell as a dynamic value; `None` for a type that EMR does not know.
pub(super) fn scalar(wire: Wire, raw: &[u8]) -> Option<Result<Value<'_>, Mismatch>> {
    let value = match wire {
        Wire::Bool => be(raw, |[byte]| Value::Bool(byte != 0)),
        Wire::I16 => be(raw, |b| Value::I16(i16::from_be_bytes(b))),
        Wire::I32 => be(raw, |b| Value::I32(i32::from_be_bytes(b))),
        Wire::I64 => be(raw, |b| Value::I64(i64::from_be_bytes(b))),
        Wire::Oid => be(raw, |b| Value::I64(u32::from_be_bytes(b).into())),
        Wire::F32 => be(raw, |b| Value::F32(f32::from_be_bytes(b))),
        Wire::F64 => be(raw, |b| Value::F64(f64::from_be_bytes(b))),
        Wire::Numeric => numeric::decode(raw).map(Value::Decimal),
        Wire::Text | Wire::Unknown => text(wire, raw).map(|v| Value::Text(v.into())),
        Wire::Bytes => Some(Value::Bytes(raw.into())),
        Wire::Uuid => be(raw, |b| Value::Uuid(Uuid::from_bytes(b))),
        Wire::Date => be(raw, i32::from_be_bytes).and_then(time::date_of).map(Value::Date),
        Wire::Time => be(raw, i64::from_be_bytes).and_then(time::time_of).map(Value::Time),
        Wire::Timestamp => be(raw, i64::from_be_bytes).and_then(time::datetime_of).map(Value::DateTime),
        Wire::Timestamptz => {
            be(raw, i64::from_be_bytes).and_then(time::datetime_of).map(|at| Value::Timestamp(utc(at)))
        }
        Wire::Json | Wire::Jsonb => json(wire, raw).map(|v| Value::Json(v.into())),
        Wire::Array | Wire::Other => return None,
    };
    let unreadable = || Mismatch::new(scalar_name(wire), "a value that is infinite, out of range or malformed");
    Some(value.ok_or_else(unreadable))
}
