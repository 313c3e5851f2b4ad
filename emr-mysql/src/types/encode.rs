//! Values on their way to the server.

use chrono::{Datelike, NaiveDate, NaiveTime, Timelike};
use emr_core::{ColumnDef, NOT_JSON, Value};
use mysql_async::Value as Wire;

use super::{Expected, UuidForm};

/// A value as the driver sends it, or what the parameter takes.
pub(crate) fn encode(value: &Value<'_>, column: Option<&ColumnDef>, uuids: UuidForm) -> Result<Wire, Expected> {
    Ok(match value {
        Value::Null(_) => Wire::NULL,
        Value::Bool(v) => Wire::Int((*v).into()),
        Value::I16(v) => Wire::Int((*v).into()),
        Value::I32(v) => Wire::Int((*v).into()),
        Value::I64(v) => Wire::Int(*v),
        Value::F32(v) if v.is_finite() => Wire::Float(*v),
        Value::F64(v) if v.is_finite() => Wire::Double(*v),
        Value::F32(_) | Value::F64(_) => return Err(Expected::new("a number that is finite")),
        Value::Json(v) if v.starts_with(NOT_JSON) => {
            return Err(Expected::new("a value that can be written as JSON"));
        }
        Value::Text(v) | Value::Json(v) => Wire::Bytes(v.as_bytes().to_vec()),
        Value::Bytes(v) => Wire::Bytes(v.to_vec()),
        Value::Uuid(v) => Wire::Bytes(match UuidForm::of(column, uuids) {
            UuidForm::Binary => v.as_bytes().to_vec(),
            UuidForm::Text => v.hyphenated().to_string().into_bytes(),
        }),
        Value::Decimal(v) => Wire::Bytes(v.to_string().into_bytes()),
        Value::Date(v) => date(*v, NaiveTime::MIN)?,
        Value::DateTime(v) => date(v.date(), v.time())?,
        Value::Timestamp(v) => date(v.date_naive(), v.time())?,
        Value::Time(v) => {
            let [hour, minute, second] = clock(*v);
            Wire::Time(false, 0, hour, minute, second, micros(*v)?)
        }
        Value::Array(..) => return Err(Expected::new("no arrays: the server has none")),
        _ => return Err(Expected::new("a type that the adapter knows")),
    })
}

/// About how many bytes a value takes in a message.
pub(crate) fn size(value: &Value<'_>) -> usize {
    match value {
        Value::Text(v) | Value::Json(v) => v.len() + 11,
        Value::Bytes(v) => v.len() + 11,
        Value::Uuid(_) | Value::Decimal(_) => 48,
        _ => 16,
    }
}

fn date(date: NaiveDate, time: NaiveTime) -> Result<Wire, Expected> {
    let year = u16::try_from(date.year()).ok().filter(|year| *year <= 9_999);
    let year = year.ok_or_else(|| Expected::new("a date from 0000-01-01 to 9999-12-31"))?;
    let [hour, minute, second] = clock(time);
    #[allow(clippy::cast_possible_truncation)] // at most 31
    let (month, day) = (date.month() as u8, date.day() as u8);
    Ok(Wire::Date(year, month, day, hour, minute, second, micros(time)?))
}

#[allow(clippy::cast_possible_truncation)] // at most 59
fn clock(time: NaiveTime) -> [u8; 3] {
    [time.hour() as u8, time.minute() as u8, time.second() as u8]
}

fn micros(time: NaiveTime) -> Result<u32, Expected> {
    let nanos = time.nanosecond();
    if !nanos.is_multiple_of(1_000) {
        return Err(Expected::new("a time without parts of a microsecond"));
    }
    if nanos >= 1_000_000_000 {
        return Err(Expected::new("a time that is no leap second"));
    }
    Ok(nanos / 1_000)
}
