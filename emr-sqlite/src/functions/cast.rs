//! Casts, which refuse what does not fit: SQLite's own make 0 of it.

use emr_core::SqlType;
use rusqlite::functions::Context;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Result};
use rust_decimal::prelude::ToPrimitive;
use uuid::Uuid;

use super::decimal::rounded;
use super::time::{Form, parse, write};
use super::{decimal_of, describe, integer_of, refused, scalar, text_of};
use crate::temporal;

/// What stands around a value to make it one of another type.
pub(crate) fn cast(from: SqlType, to: SqlType) -> Option<(String, String)> {
    use SqlType::{
        Bool, Bytes, Date, DateTime, Decimal, F32, F64, I16, I32, I64, Text, Time, Timestamp, Unknown, Uuid,
    };
    let (before, after) = match (from, to) {
        (Text, I64) => ("emr_parse_integer(", ", 64)"),
        (Text, I32) => ("emr_parse_integer(", ", 32)"),
        (Text, I16) => ("emr_parse_integer(", ", 16)"),
        (I16 | I32 | F32 | F64 | Decimal | Bool | Unknown, I64) => ("emr_integer(", ", 64)"),
        (I16 | I64 | F32 | F64 | Decimal | Bool | Unknown, I32) => ("emr_integer(", ", 32)"),
        (I32 | I64 | F32 | F64 | Decimal | Bool | Unknown, I16) => ("emr_integer(", ", 16)"),
        (I16 | I32 | I64 | F32 | F64 | Text | Unknown, Decimal) => ("emr_decimal(", ")"),
        (I16 | I32 | I64 | F32 | Decimal | Text | Unknown, F64) => ("emr_float(", ", 64)"),
        (I16 | I32 | I64 | F64 | Decimal | Text | Unknown, F32) => ("emr_float(", ", 32)"),
        (Bool, Text) => ("CASE ", " WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"),
        (I16 | I32 | I64 | Bytes | Unknown, Text) => ("CAST(", " AS TEXT)"),
        (F32 | F64, Text) => ("emr_text(", ")"),
        (Decimal | Uuid, Text) | (Unknown, Unknown | Bool) => ("", ""),
        (I16 | I32 | I64, Bool) => ("(", " <> 0)"),
        (Text | Unknown, Uuid) => ("emr_uuid(", ")"),
        (Text | DateTime | Timestamp | Unknown, Date) => ("emr_date(", ")"),
        (Text | DateTime | Timestamp | Unknown, Time) => ("emr_time(", ")"),
        (Text | Date | Timestamp | Unknown, DateTime) => ("emr_datetime(", ")"),
        (Date | DateTime, Timestamp) => ("emr_timestamp(", ", 0)"),
        (Text | Unknown, Timestamp) => ("emr_timestamp(", ", 1)"),
        _ => return None,
    };
    Some((before.to_owned(), after.to_owned()))
}

pub(super) fn register(db: &Connection) -> Result<()> {
    scalar(db, "emr_integer", 2, |context| {
        let given = context.get_raw(0);
        let number = match given {
            ValueRef::Integer(number) => Some(number),
            ValueRef::Real(_) | ValueRef::Text(_) => rounded(decimal_of(given)?, 0).and_then(|number| number.to_i64()),
            _ => None,
        };
        integer(context, number)
    })?;
    scalar(db, "emr_parse_integer", 2, |context| integer(context, text_of(context, 0)?.trim().parse().ok()))?;
    scalar(db, "emr_decimal", 1, |context| Ok(Value::Text(decimal_of(context.get_raw(0))?.to_string())))?;
    scalar(db, "emr_float", 2, float)?;
    scalar(db, "emr_text", 1, |context| match context.get_raw(0) {
        ValueRef::Real(number) => Ok(Value::Text(shortest(number))),
        ValueRef::Integer(number) => Ok(Value::Text(number.to_string())),
        other => Err(refused(format!("{} where a float is wanted", describe(other)))),
    })?;
    scalar(db, "emr_whole", 1, |context| Ok(whole(context.get_raw(0))))?;
    scalar(db, "emr_uuid", 1, |context| {
        let uuid = Uuid::try_parse(text_of(context, 0)?).map_err(|_| refused("a text that is no UUID"))?;
        Ok(Value::Text(uuid.hyphenated().to_string()))
    })?;
    scalar(db, "emr_date", 1, |context| write(Form::Date, Some(time(context)?.1)))?;
    scalar(db, "emr_datetime", 1, |context| write(Form::DateTime, Some(time(context)?.1)))?;
    scalar(db, "emr_timestamp", 2, |context| match (time(context)?, integer_of(context, 1)?) {
        ((Form::Date | Form::DateTime, _), 1) => Err(refused("an instant without Z or an offset")),
        ((_, time), _) => write(Form::Timestamp, Some(time)),
    })?;
    scalar(db, "emr_time", 1, |context| {
        let text = text_of(context, 0)?;
        let clock = temporal::time(text.as_bytes()).or_else(|| Some(parse(text)?.1.time()));
        let mut written = String::new();
        match clock.and_then(|clock| temporal::write_time(&mut written, clock)) {
            Some(Ok(())) => Ok(Value::Text(written)),
            _ => Err(refused("a text that is no time")),
        }
    })
}

fn time(context: &Context<'_>) -> Result<(Form, chrono::NaiveDateTime)> {
    parse(text_of(context, 0)?).ok_or_else(|| refused("a text that is neither a date nor a time"))
}

/// The number as an integer of as many bits as the second argument says.
fn integer(context: &Context<'_>, number: Option<i64>) -> Result<Value> {
    let fits = number.filter(|number| match integer_of(context, 1) {
        Ok(16) => i16::try_from(*number).is_ok(),
        Ok(32) => i32::try_from(*number).is_ok(),
        _ => true,
    });
    fits.map(Value::Integer)
        .ok_or_else(|| refused(format!("{} does not fit the integer", describe(context.get_raw(0)))))
}

fn float(context: &Context<'_>) -> Result<Value> {
    let given = context.get_raw(0);
    let number = match given {
        ValueRef::Real(number) => Some(number),
        #[allow(clippy::cast_precision_loss)] // the nearest float is what is asked for
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .filter(|float: &f64| !float.is_nan()),
        _ => None,
    };
    let number = number.ok_or_else(|| refused(format!("{} is no float", describe(given))))?;
    #[allow(clippy::cast_possible_truncation)] // the nearest float is what is asked for
    Ok(Value::Real(if integer_of(context, 1)? == 32 { f64::from(number as f32) } else { number }))
}

/// The first float that is too large for 64 bits, whose negative is the last that is not too small.
#[allow(clippy::cast_precision_loss)] // none: it is a power of two
const TWO_TO_THE_63: f64 = 9_223_372_036_854_775_808_u64 as f64;

/// A whole number as an integer; NULL for any other.
fn whole(number: ValueRef<'_>) -> Value {
    match number {
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) if number.fract() == 0.0 && (-TWO_TO_THE_63..TWO_TO_THE_63).contains(&number) => {
            #[allow(clippy::cast_possible_truncation)] // it is whole and in range
            Value::Integer(number as i64)
        }
        _ => Value::Null,
    }
}

/// The shortest digits that mean this float, as PostgreSQL writes them.
fn shortest(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = format!("{number:e}");
    match scientific.split_once('e').map(|(digits, exponent)| (digits, exponent.parse::<i32>())) {
        Some((digits, Ok(exponent))) if !(-4..15).contains(&exponent) => {
            format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::shortest;

    #[test]
    fn floats_are_written_as_postgresql_does() {
        // As `SELECT x::float8::text` of PostgreSQL 15 gives them.
        for (number, text) in [
            (1.0, "1"),
            (-0.5, "-0.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (1.5e300, "1.5e+300"),
            (1e-4, "0.0001"),
            (1.25e-5, "1.25e-05"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(shortest(number), text);
        }
    }
}
