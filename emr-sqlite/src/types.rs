//! Values on their way in, and rows on their way out.

use std::borrow::Cow;
use std::fmt::{self, Write};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr_core::{Cell, Mismatch, NOT_JSON, Result, Row, Sql, SqlType, Value};
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::temporal;

/// A value in the form in which it is stored.
pub(crate) enum Parameter<'v> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'v, str>),
    Blob(Cow<'v, [u8]>),
    Short(ShortText),
}

/// A text that needs no allocation: the longest is a UUID.
pub(crate) struct ShortText {
    bytes: [u8; 36],
    len: usize,
}

impl Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Parameter::Null => ValueRef::Null,
            Parameter::Integer(number) => ValueRef::Integer(*number),
            Parameter::Real(number) => ValueRef::Real(*number),
            Parameter::Text(text) => ValueRef::Text(text.as_bytes()),
            Parameter::Blob(bytes) => ValueRef::Blob(bytes),
            Parameter::Short(text) => ValueRef::Text(&text.bytes[..text.len]),
        }))
    }
}

/// Parameter `n`, counted from 0, as it is stored.
///
/// # Errors
/// [`Encode`](emr_core::ErrorKind::Encode) for what SQLite could only store as something else.
pub(crate) fn encode<'v>(sql: &Sql, n: usize, value: Value<'v>) -> Result<Parameter<'v>> {
    Ok(match value {
        Value::Null(_) => Parameter::Null,
        Value::Bool(truth) => Parameter::Integer(truth.into()),
        Value::I16(number) => Parameter::Integer(number.into()),
        Value::I32(number) => Parameter::Integer(number.into()),
        Value::I64(number) => Parameter::Integer(number),
        Value::F32(number) if !number.is_nan() => Parameter::Real(number.into()),
        Value::F64(number) if !number.is_nan() => Parameter::Real(number),
        Value::F32(_) | Value::F64(_) => {
            return Err(sql.encode_error(n, "a number (SQLite stores NaN as NULL)", &value));
        }
        Value::Text(text) => Parameter::Text(text),
        Value::Json(ref json) if json.starts_with(NOT_JSON) => {
            return Err(sql.encode_error(n, "a value that can be written as JSON", &value));
        }
        Value::Json(json) => Parameter::Text(json),
        Value::Bytes(bytes) => Parameter::Blob(bytes),
        Value::Uuid(uuid) => short(sql, n, &value, "a UUID", |out| Some(write!(out, "{}", uuid.hyphenated())))?,
        Value::Decimal(number) => short(sql, n, &value, "a decimal", |out| Some(write!(out, "{number}")))?,
        Value::Date(date) => short(sql, n, &value, temporal::DATE, |out| temporal::write_date(out, date))?,
        Value::Time(time) => short(sql, n, &value, temporal::TIME, |out| temporal::write_time(out, time))?,
        Value::DateTime(datetime) => {
            short(sql, n, &value, temporal::DATE_TIME, |out| temporal::write_datetime(out, datetime))?
        }
        Value::Timestamp(instant) => short(sql, n, &value, temporal::DATE_TIME, |out| {
            let local = temporal::write_datetime(out, instant.naive_utc())?;
            Some(local.and_then(|()| out.write_char('Z')))
        })?,
        Value::Array(..) => return Err(sql.encode_error(n, "one value (SQLite has no arrays)", &value)),
        _ => return Err(sql.encode_error(n, "a type that SQLite can store", &value)),
    })
}

/// Writes a short text; `None` stands for a value that is out of range.
fn short(
    sql: &Sql,
    n: usize,
    value: &Value<'_>,
    expected: &str,
    write: impl FnOnce(&mut ShortText) -> Option<fmt::Result>,
) -> Result<Parameter<'static>> {
    let mut text = ShortText { bytes: [0; 36], len: 0 };
    match write(&mut text) {
        Some(Ok(())) => Ok(Parameter::Short(text)),
        _ => Err(sql.encode_error(n, expected, value)),
    }
}

/// A row while its statement stands on it.
pub(crate) struct SqliteRow<'a, 'stmt>(pub(crate) &'a rusqlite::Row<'stmt>);

impl SqliteRow<'_, '_> {
    fn cell(&self, at: usize) -> ValueRef<'_> {
        self.0.get_ref(at).unwrap_or(ValueRef::Null)
    }

    /// Reads a cell that is not NULL by `read`, which refuses by `None`.
    #[inline]
    fn read<'r, T>(&'r self, at: usize, expected: SqlType, read: impl FnOnce(ValueRef<'r>) -> Option<T>) -> Cell<T> {
        match self.cell(at) {
            ValueRef::Null => Ok(None),
            cell => match read(cell) {
                Some(value) => Ok(Some(value)),
                None => Err(self.mismatch(at, expected)),
            },
        }
    }

    #[cold]
    fn mismatch(&self, at: usize, expected: SqlType) -> Mismatch {
        match self.value(at) {
            Ok(found) => Mismatch::new(expected.name(), found.describe()),
            Err(mismatch) => Mismatch::new(expected.name(), mismatch.found),
        }
    }
}

impl Row for SqliteRow<'_, '_> {
    fn len(&self) -> usize {
        self.0.as_ref().column_count()
    }

    fn is_null(&self, at: usize) -> bool {
        matches!(self.cell(at), ValueRef::Null)
    }

    fn bool(&self, at: usize) -> Cell<bool> {
        self.read(at, SqlType::Bool, |cell| match cell {
            ValueRef::Integer(0) => Some(false),
            ValueRef::Integer(1) => Some(true),
            _ => None,
        })
    }

    fn i16(&self, at: usize) -> Cell<i16> {
        self.read(at, SqlType::I16, |cell| integer(cell)?.try_into().ok())
    }

    fn i32(&self, at: usize) -> Cell<i32> {
        self.read(at, SqlType::I32, |cell| integer(cell)?.try_into().ok())
    }

    #[inline]
    fn i64(&self, at: usize) -> Cell<i64> {
        self.read(at, SqlType::I64, integer)
    }

    fn f32(&self, at: usize) -> Cell<f32> {
        self.read(at, SqlType::F32, |cell| narrow(real(cell)?))
    }

    fn f64(&self, at: usize) -> Cell<f64> {
        self.read(at, SqlType::F64, real)
    }

    #[inline]
    fn str(&self, at: usize) -> Cell<&str> {
        self.read(at, SqlType::Text, text)
    }

    fn bytes(&self, at: usize) -> Cell<&[u8]> {
        self.read(at, SqlType::Bytes, |cell| match cell {
            ValueRef::Blob(bytes) => Some(bytes),
            _ => None,
        })
    }

    fn uuid(&self, at: usize) -> Cell<Uuid> {
        self.read(at, SqlType::Uuid, |cell| match cell {
            // Other lengths would be other ways to write a UUID, which compare as other texts.
            ValueRef::Text(text) if text.len() == 36 => Uuid::try_parse_ascii(text).ok(),
            ValueRef::Blob(bytes) => Uuid::from_slice(bytes).ok(),
            _ => None,
        })
    }

    fn decimal(&self, at: usize) -> Cell<Decimal> {
        self.read(at, SqlType::Decimal, |cell| match cell {
            ValueRef::Text(_) => decimal(text(cell)?),
            ValueRef::Integer(number) => Some(number.into()),
            // The shortest text that means this float.
            ValueRef::Real(number) => decimal(&number.to_string()),
            _ => None,
        })
    }

    fn date(&self, at: usize) -> Cell<NaiveDate> {
        self.read(at, SqlType::Date, |cell| temporal::date(text(cell)?.as_bytes()))
    }

    fn time(&self, at: usize) -> Cell<NaiveTime> {
        self.read(at, SqlType::Time, |cell| temporal::time(text(cell)?.as_bytes()))
    }

    fn datetime(&self, at: usize) -> Cell<NaiveDateTime> {
        self.read(at, SqlType::DateTime, |cell| temporal::datetime(text(cell)?.as_bytes()))
    }

    fn timestamp(&self, at: usize) -> Cell<DateTime<Utc>> {
        self.read(at, SqlType::Timestamp, |cell| temporal::timestamp(text(cell)?.as_bytes()))
    }

    fn json(&self, at: usize) -> Cell<&str> {
        self.read(at, SqlType::Json, text)
    }

    fn value(&self, at: usize) -> Result<Value<'_>, Mismatch> {
        Ok(match self.cell(at) {
            ValueRef::Null => Value::Null(SqlType::Unknown),
            ValueRef::Integer(number) => Value::I64(number),
            ValueRef::Real(number) => Value::F64(number),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Value::Text(text.into()),
                Err(_) => return Err(Mismatch::new(SqlType::Text.name(), "text that is not UTF-8")),
            },
            ValueRef::Blob(bytes) => Value::Bytes(bytes.into()),
        })
    }
}

fn integer(cell: ValueRef<'_>) -> Option<i64> {
    match cell {
        ValueRef::Integer(number) => Some(number),
        _ => None,
    }
}

fn text(cell: ValueRef<'_>) -> Option<&str> {
    match cell {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// A float, or an integer that a float holds exactly.
fn real(cell: ValueRef<'_>) -> Option<f64> {
    match cell {
        ValueRef::Real(number) => Some(number),
        ValueRef::Integer(number) => {
            // Cutting off trailing zero bits leaves what the 53 bits of a float must hold.
            let significant = number.unsigned_abs() >> number.trailing_zeros().min(63);
            #[allow(clippy::cast_precision_loss)] // none: it fits
            (significant < 1 << 53).then_some(number as f64)
        }
        _ => None,
    }
}

/// The number as a 32-bit float, if it is one.
fn narrow(wide: f64) -> Option<f32> {
    #[allow(clippy::cast_possible_truncation)] // looked at in the next line
    let narrow = wide as f32;
    (f64::from(narrow).to_bits() == wide.to_bits()).then_some(narrow)
}

/// A decimal in plain digits that keeps every one of them.
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+'));
    if plain { Decimal::from_str_exact(text).ok() } else { None }
}
