//! From JSON, as clients send it, to the value of a column type.

use std::borrow::Cow;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use rust_decimal::Decimal;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::value::{SqlType, Value};

/// The input as a value of the type; `None` if it fits not. JSON null is no value: the caller knows what it means.
///
/// Texts stand for numbers, booleans, dates and so on, as forms send them. Nothing is rounded or cut, but floats.
pub(crate) fn convert(input: &Json, ty: SqlType) -> Option<Value<'static>> {
    Some(match ty {
        SqlType::Bool => Value::Bool(boolean(input)?),
        SqlType::I16 => Value::I16(integer(input)?.try_into().ok()?),
        SqlType::I32 => Value::I32(integer(input)?.try_into().ok()?),
        SqlType::I64 => Value::I64(integer(input)?),
        SqlType::F32 => {
            #[allow(clippy::cast_possible_truncation)] // to the nearest one, as for every float
            let narrow = float(input)? as f32;
            Value::F32(Some(narrow).filter(|float| float.is_finite())?)
        }
        SqlType::F64 => Value::F64(float(input)?),
        SqlType::Text => Value::Text(Cow::Owned(sound_text(input)?)),
        SqlType::Bytes => Value::Bytes(Cow::Owned(bytes(input)?)),
        SqlType::Uuid => Value::Uuid(Uuid::parse_str(text(input)?).ok()?),
        SqlType::Decimal => Value::Decimal(decimal(input)?),
        SqlType::Date => Value::Date(date(text(input)?)?),
        SqlType::Time => Value::Time(time(text(input)?)?),
        SqlType::DateTime => Value::DateTime(datetime(text(input)?)?),
        SqlType::Timestamp => Value::Timestamp(timestamp(text(input)?)?),
        SqlType::Json => Value::Json(Cow::Owned(input.to_string())),
        SqlType::Array(element) => {
            let Json::Array(items) = input else { return None };
            let items = items.iter().map(|item| convert(item, *element).filter(|_| !item.is_null()));
            Value::Array(*element, items.collect::<Option<_>>()?)
        }
        SqlType::Unknown => return None,
    })
}

/// A text without the blanks around it.
fn text(input: &Json) -> Option<&str> {
    input.as_str().map(str::trim)
}

/// A text as it is. One with a NUL character fits no column: PostgreSQL stores none, and SQLite ends there for some.
fn sound_text(input: &Json) -> Option<String> {
    input.as_str().filter(|text| !text.contains('\0')).map(ToOwned::to_owned)
}

fn boolean(input: &Json) -> Option<bool> {
    match input {
        Json::Bool(boolean) => Some(*boolean),
        // What a browser sends for a ticked box is `on`.
        _ => match text(input)? {
            "true" | "1" | "on" => Some(true),
            "false" | "0" | "off" => Some(false),
            _ => None,
        },
    }
}

fn integer(input: &Json) -> Option<i64> {
    match input {
        Json::Number(number) => number.as_i64(),
        _ => text(input)?.parse().ok(),
    }
}

fn float(input: &Json) -> Option<f64> {
    let float = match input {
        Json::Number(number) => number.as_f64()?,
        _ => text(input)?.parse::<f64>().ok()?,
    };
    Some(float).filter(|float| float.is_finite())
}

fn decimal(input: &Json) -> Option<Decimal> {
    let number;
    let text = match input {
        Json::Number(given) => {
            number = given.to_string();
            &number
        }
        _ => text(input)?,
    };
    Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()
}

fn bytes(input: &Json) -> Option<Vec<u8>> {
    match input {
        Json::String(text) => Some(text.clone().into_bytes()),
        Json::Array(items) => items.iter().map(|item| item.as_u64().and_then(|byte| byte.try_into().ok())).collect(),
        _ => None,
    }
}

fn date(text: &str) -> Option<NaiveDate> {
    NaiveDate::from_str(text).ok()
}

/// Seconds may be missing, as in what browsers send. No leap second, and nothing below the microsecond: no column keeps it.
fn time(text: &str) -> Option<NaiveTime> {
    let time = NaiveTime::parse_from_str(text, "%H:%M:%S%.f").or_else(|_| NaiveTime::parse_from_str(text, "%H:%M"));
    time.ok().filter(|time| is_kept(time.nanosecond()))
}

fn is_kept(nanoseconds: u32) -> bool {
    nanoseconds < 1_000_000_000 && nanoseconds.is_multiple_of(1_000)
}

fn datetime(text: &str) -> Option<NaiveDateTime> {
    let (day, hour) = text.split_once(['T', 't', ' '])?;
    Some(date(day)?.and_time(time(hour)?))
}

/// Without an offset the text is in UTC.
fn timestamp(text: &str) -> Option<DateTime<Utc>> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(instant) => Some(instant.with_timezone(&Utc)).filter(|instant| is_kept(instant.nanosecond())),
        Err(_) => datetime(text).map(|naive| naive.and_utc()),
    }
}

/// A value as JSON, for the parameters of errors.
pub(crate) fn to_json(value: &Value<'_>) -> Json {
    match value {
        Value::Null(_) => Json::Null,
        Value::Bool(v) => (*v).into(),
        Value::I16(v) => (*v).into(),
        Value::I32(v) => (*v).into(),
        Value::I64(v) => (*v).into(),
        Value::F32(v) => (*v).into(),
        Value::F64(v) => (*v).into(),
        Value::Text(text) => text.as_ref().into(),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()).into(),
        Value::Json(json) => serde_json::from_str(json).unwrap_or(Json::Null),
        Value::Array(_, items) => items.iter().map(to_json).collect(),
        Value::Uuid(v) => v.to_string().into(),
        Value::Decimal(v) => v.to_string().into(),
        Value::Date(v) => v.to_string().into(),
        Value::Time(v) => v.to_string().into(),
        Value::DateTime(v) => v.to_string().into(),
        Value::Timestamp(v) => v.to_rfc3339().into(),
    }
}

/// Whether two values of a column are the same: JSON by what it says, not by how it is written.
pub(crate) fn same(one: &Value<'_>, other: &Value<'_>) -> bool {
    match (one, other) {
        (Value::Json(one), Value::Json(other)) => {
            let read = |text: &str| serde_json::from_str::<Json>(text).ok();
            one == other || read(one).is_some_and(|one| Some(one) == read(other))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_stand_for_other_types() {
        for (input, ty, expected) in [
            (json!(" 42 "), SqlType::I32, Value::I32(42)),
            (json!(7), SqlType::I16, Value::I16(7)),
            (json!("on"), SqlType::Bool, Value::Bool(true)),
            (json!("0"), SqlType::Bool, Value::Bool(false)),
            (json!("1.50"), SqlType::Decimal, Value::Decimal(Decimal::new(15, 1))),
            (json!(0.1), SqlType::Decimal, Value::Decimal(Decimal::new(1, 1))),
            (json!("1e2"), SqlType::Decimal, Value::Decimal(Decimal::new(100, 0))),
            (json!("2.5"), SqlType::F64, Value::F64(2.5)),
            (json!([1, 255]), SqlType::Bytes, Value::Bytes(vec![1, 255].into())),
            (json!(["1", 2]), array_of_i64(), Value::Array(SqlType::I64, vec![Value::I64(1), Value::I64(2)])),
        ] {
            assert_eq!(convert(&input, ty).as_ref(), Some(&expected), "{input}");
        }
        let day = NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
        let noon = day.and_hms_opt(12, 0, 0).unwrap();
        assert_eq!(convert(&json!("2024-02-29"), SqlType::Date), Some(Value::Date(day)));
        assert_eq!(convert(&json!("12:00"), SqlType::Time), Some(Value::Time(noon.time())));
        assert_eq!(convert(&json!("2024-02-29T12:00"), SqlType::DateTime), Some(Value::DateTime(noon)));
        for text in ["2024-02-29T12:00:00Z", "2024-02-29T14:00:00+02:00", "2024-02-29 12:00"] {
            assert_eq!(convert(&json!(text), SqlType::Timestamp), Some(Value::Timestamp(noon.and_utc())), "{text}");
        }
    }

    fn array_of_i64() -> SqlType {
        crate::value::array_of(SqlType::I64)
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (input, ty) in [
            (json!(40_000), SqlType::I16),
            (json!(1.5), SqlType::I64),
            (json!("1.5"), SqlType::I64),
            (json!(u64::MAX), SqlType::I64),
            (json!("yes"), SqlType::Bool),
            (json!("inf"), SqlType::F64),
            (json!(1e39), SqlType::F32),
            (json!("NaN"), SqlType::Decimal),
            (json!(5), SqlType::Text),
            (json!("a\u{0}b"), SqlType::Text),
            (json!([256]), SqlType::Bytes),
            (json!("2023-02-29"), SqlType::Date),
            (json!("24:00"), SqlType::Time),
            (json!("23:59:60"), SqlType::Time),
            (json!("10:00:00.0000001"), SqlType::Time),
            (json!("2024-01-01"), SqlType::DateTime),
            (json!("xyz"), SqlType::Uuid),
            (json!([1, null]), array_of_i64()),
            (json!({}), SqlType::I64),
        ] {
            assert_eq!(convert(&input, ty), None, "{input}");
        }
    }

    #[test]
    fn json_is_compared_by_what_it_says() {
        let json = |text: &'static str| Value::Json(text.into());
        assert!(same(&json(r#"{"a":1,"b":2}"#), &json(r#"{ "b": 2, "a": 1 }"#)));
        assert!(!same(&json("[1]"), &json("[2]")));
        assert!(!same(&json("broken"), &json("broken too")));
    }

    const TYPES: [SqlType; 16] = [
        SqlType::Bool,
        SqlType::I16,
        SqlType::I32,
        SqlType::I64,
        SqlType::F32,
        SqlType::F64,
        SqlType::Text,
        SqlType::Bytes,
        SqlType::Uuid,
        SqlType::Decimal,
        SqlType::Date,
        SqlType::Time,
        SqlType::DateTime,
        SqlType::Timestamp,
        SqlType::Json,
        SqlType::Unknown,
    ];

    proptest! {
        #[test]
        fn any_text_is_a_value_or_none(text in "[-+0-9.eE:TZ ,/]{0,40}|[0-9]{1,40}[eE][-+]?[0-9]{1,12}|\\PC{0,30}|.{0,30}") {
            for ty in TYPES {
                let Some(value) = convert(&json!(text), ty) else { continue };
                prop_assert_eq!(value.sql_type(), ty);
                // What it stands for stands for itself.
                if !matches!(ty, SqlType::Json | SqlType::Bytes) {
                    let again = convert(&to_json(&value), ty);
                    prop_assert_eq!(again.as_ref(), Some(&value));
                }
            }
        }

        #[test]
        fn any_number_is_a_value_or_none(integer in any::<i64>(), float in any::<f64>()) {
            for ty in TYPES {
                let _ = (convert(&json!(integer), ty), convert(&json!(float), ty), convert(&json!([integer, float]), ty));
            }
            prop_assert_eq!(convert(&json!(integer), SqlType::I64), Some(Value::I64(integer)));
        }
    }
}
