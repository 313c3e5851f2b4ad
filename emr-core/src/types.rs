//! Which Rust types can be columns, and how each is written and read.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SubsecRound, Utc};
use rust_decimal::Decimal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::row::{Cell, Mismatch, Row, null_mismatch};
use crate::value::{SqlType, Value, array_of};

/// A Rust type that fits one column, without NULL.
///
/// `#[derive(Syncable)]` on an enum implements it, storing the variant as text or as an integer. For a
/// newtype, implement it by delegating to the inner type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no column type",
    label = "this cannot be stored in one column",
    note = "column types are bool, i16, i32, i64, f32, f64, String, Vec<u8>, Uuid, Decimal, NaiveDate, NaiveTime, \
            NaiveDateTime, DateTime<Utc>, serde_json::Value, Json<T>, arrays of these (PostgreSQL), and enums with \
            #[derive(Syncable)]",
    note = "for any other type that serde knows, write Json<{Self}>"
)]
pub trait Scalar: Sized + Send + Sync + 'static {
    /// The column type.
    const TYPE: SqlType;
    /// The value to bind, borrowing from `self` where it can.
    fn to_value(&self) -> Value<'_>;
    /// The value to bind, moved out of `self`.
    fn into_value(self) -> Value<'static> {
        self.to_value().into_owned()
    }
    /// Reads a cell. A text or bytes that a [`String`] or a [`Vec<u8>`] was read from are not to be read again.
    fn read(row: &dyn Row, at: usize) -> Cell<Self>;
}

/// A field of a struct that is a column: a [`Scalar`], or an `Option` of one where NULL is allowed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a column",
    label = "no column type",
    note = "column types are bool, i16, i32, i64, f32, f64, String, Vec<u8>, Uuid, Decimal, NaiveDate, NaiveTime, \
            NaiveDateTime, DateTime<Utc>, serde_json::Value, Json<T>, enums with #[derive(Syncable)], arrays of these \
            (PostgreSQL), and Option of each",
    note = "mark a field that is no column with #[emr(skip)]; for any other type that serde knows, write Json<{Self}>"
)]
pub trait Field: Sized + Send + Sync + 'static {
    /// The type without `Option`.
    type Scalar: Scalar;
    /// Whether NULL is allowed.
    const NULLABLE: bool;
    /// The value to bind, borrowing from `self` where it can.
    fn to_value(&self) -> Value<'_>;
    /// The value to bind, moved out of `self`.
    fn into_value(self) -> Value<'static>;
    /// Reads a cell.
    fn read(row: &dyn Row, at: usize) -> Result<Self, Mismatch>;
}

impl<T: Scalar> Field for T {
    type Scalar = T;
    const NULLABLE: bool = false;

    fn to_value(&self) -> Value<'_> {
        Scalar::to_value(self)
    }

    fn into_value(self) -> Value<'static> {
        Scalar::into_value(self)
    }

    #[inline]
    fn read(row: &dyn Row, at: usize) -> Result<Self, Mismatch> {
        match <T as Scalar>::read(row, at)? {
            Some(value) => Ok(value),
            None => Err(null_mismatch(T::TYPE)),
        }
    }
}

impl<T: Scalar> Field for Option<T> {
    type Scalar = T;
    const NULLABLE: bool = true;

    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null(T::TYPE), Scalar::to_value)
    }

    fn into_value(self) -> Value<'static> {
        self.map_or(Value::Null(T::TYPE), Scalar::into_value)
    }

    #[inline]
    fn read(row: &dyn Row, at: usize) -> Result<Self, Mismatch> {
        <T as Scalar>::read(row, at)
    }
}

/// A scalar that can be an array's element.
pub trait Element: Scalar {}

macro_rules! copy_scalars {
    ($($rust:ty, $variant:ident, $getter:ident;)*) => {
        $(
            impl Scalar for $rust {
                const TYPE: SqlType = SqlType::$variant;
                #[inline]
                fn to_value(&self) -> Value<'_> {
                    Value::$variant(*self)
                }
                #[inline]
                fn read(row: &dyn Row, at: usize) -> Cell<Self> {
                    row.$getter(at)
                }
            }
            impl Element for $rust {}
        )*
    };
}

copy_scalars! {
    bool, Bool, bool;
    i16, I16, i16;
    i32, I32, i32;
    i64, I64, i64;
    f32, F32, f32;
    f64, F64, f64;
    Uuid, Uuid, uuid;
    Decimal, Decimal, decimal;
    NaiveDate, Date, date;
    NaiveTime, Time, time;
    NaiveDateTime, DateTime, datetime;
    DateTime<Utc>, Timestamp, timestamp;
}

impl Scalar for String {
    const TYPE: SqlType = SqlType::Text;

    fn to_value(&self) -> Value<'_> {
        Value::Text(Cow::Borrowed(self))
    }

    fn into_value(self) -> Value<'static> {
        Value::Text(Cow::Owned(self))
    }

    #[inline]
    fn read(row: &dyn Row, at: usize) -> Cell<Self> {
        row.string(at)
    }
}

impl Element for String {}

impl Scalar for Vec<u8> {
    const TYPE: SqlType = SqlType::Bytes;

    fn to_value(&self) -> Value<'_> {
        Value::Bytes(Cow::Borrowed(self))
    }

    fn into_value(self) -> Value<'static> {
        Value::Bytes(Cow::Owned(self))
    }

    fn read(row: &dyn Row, at: usize) -> Cell<Self> {
        row.byte_buf(at)
    }
}

impl Element for Vec<u8> {}

impl Scalar for serde_json::Value {
    const TYPE: SqlType = SqlType::Json;

    fn to_value(&self) -> Value<'_> {
        Value::Json(Cow::Owned(self.to_string()))
    }

    fn read(row: &dyn Row, at: usize) -> Cell<Self> {
        read_json(row, at)
    }
}

impl Element for serde_json::Value {}

/// A column that holds any type that serde can write, as JSON.
///
/// ```
/// use emr_core::Json;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// struct Settings { dark: bool }
/// let settings = Json(Settings { dark: true });
/// assert!(settings.dark);
/// ```
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Json<T>(pub T);

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> From<T> for Json<T> {
    fn from(value: T) -> Self {
        Json(value)
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Scalar for Json<T> {
    const TYPE: SqlType = SqlType::Json;

    fn to_value(&self) -> Value<'_> {
        match serde_json::to_string(&self.0) {
            Ok(json) => Value::Json(Cow::Owned(json)),
            // Reported by the adapter as a value that does not fit: the text below is no JSON, so no
            // backend stores it.
            Err(error) => Value::Json(Cow::Owned(format!("{NOT_JSON}{error}"))),
        }
    }

    fn read(row: &dyn Row, at: usize) -> Cell<Self> {
        Ok(read_json(row, at)?.map(Json))
    }
}

/// Begins the text that stands for a value that serde refused to write as JSON.
pub const NOT_JSON: &str = "\u{0}not JSON: ";

fn read_json<T: DeserializeOwned>(row: &dyn Row, at: usize) -> Cell<T> {
    row.json(at)?.map(parse_json).transpose()
}

fn parse_json<T: DeserializeOwned>(json: &str) -> Result<T, Mismatch> {
    serde_json::from_str(json)
        .map_err(|error| Mismatch::new(std::any::type_name::<T>(), format!("JSON that does not fit: {error}")))
}

impl<T: Element + Clone + FromValue> Scalar for Vec<T> {
    const TYPE: SqlType = match T::TYPE {
        SqlType::Bool => SqlType::Array(&SqlType::Bool),
        SqlType::I16 => SqlType::Array(&SqlType::I16),
        SqlType::I32 => SqlType::Array(&SqlType::I32),
        SqlType::I64 => SqlType::Array(&SqlType::I64),
        SqlType::F32 => SqlType::Array(&SqlType::F32),
        SqlType::F64 => SqlType::Array(&SqlType::F64),
        SqlType::Text => SqlType::Array(&SqlType::Text),
        SqlType::Bytes => SqlType::Array(&SqlType::Bytes),
        SqlType::Uuid => SqlType::Array(&SqlType::Uuid),
        SqlType::Decimal => SqlType::Array(&SqlType::Decimal),
        SqlType::Date => SqlType::Array(&SqlType::Date),
        SqlType::Time => SqlType::Array(&SqlType::Time),
        SqlType::DateTime => SqlType::Array(&SqlType::DateTime),
        SqlType::Timestamp => SqlType::Array(&SqlType::Timestamp),
        SqlType::Json => SqlType::Array(&SqlType::Json),
        SqlType::Array(_) | SqlType::Unknown => SqlType::Unknown,
    };

    fn to_value(&self) -> Value<'_> {
        Value::Array(T::TYPE, self.iter().map(Scalar::to_value).collect())
    }

    fn read(row: &dyn Row, at: usize) -> Cell<Self> {
        Option::from_value(row.value(at)?)
    }
}

/// Takes a value out of a dynamic one: an array's element, or a cell of a [`QueryResult`](crate::QueryResult).
///
/// Converts where nothing is lost: integers and floats of another width that fit, and the text that an engine
/// without UUIDs, decimals, dates or times keeps in their place.
pub trait FromValue: Sized {
    /// The value as this type.
    ///
    /// # Errors
    /// A [`Mismatch`] if the value is NULL or of another type.
    fn from_value(value: Value<'_>) -> Result<Self, Mismatch>;
}

/// An integer of any width as one of this width, if it fits.
fn integer<T: TryFrom<i64>>(value: &Value<'_>) -> Option<T> {
    let wide = match value {
        Value::I16(v) => i64::from(*v),
        Value::I32(v) => i64::from(*v),
        Value::I64(v) => *v,
        _ => return None,
    };
    T::try_from(wide).ok()
}

/// A value that an engine without such a type keeps as text, in the standard form of the type.
fn from_text<T: FromStr>(value: &Value<'_>) -> Option<T> {
    match value {
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

macro_rules! from_value {
    ($($rust:ty, $name:literal: $read:expr;)*) => {
        $(
            impl FromValue for $rust {
                fn from_value(value: Value<'_>) -> Result<Self, Mismatch> {
                    let read: fn(&Value<'_>) -> Option<$rust> = $read;
                    read(&value).ok_or_else(|| Mismatch::new($name, value.describe()))
                }
            }
        )*
    };
}

from_value! {
    i16, "i16": integer;
    i32, "i32": integer;
    i64, "i64": integer;
    bool, "bool": |value| match value {
        Value::Bool(v) => Some(*v),
        // Engines without booleans.
        other => match integer::<i64>(other) {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
    };
    f32, "f32": |value| match value {
        Value::F32(v) => Some(*v),
        #[allow(clippy::cast_possible_truncation)] // checked by the way back
        Value::F64(v) if v.is_nan() || f64::from(*v as f32).to_bits() == v.to_bits() => Some(*v as f32),
        _ => None,
    };
    f64, "f64": |value| match value {
        Value::F64(v) => Some(*v),
        Value::F32(v) => Some(f64::from(*v)),
        _ => None,
    };
    Uuid, "UUID": |value| match value {
        Value::Uuid(v) => Some(*v),
        Value::Bytes(bytes) => Uuid::from_slice(bytes).ok(),
        other => from_text(other),
    };
    Decimal, "decimal": |value| match value {
        Value::Decimal(v) => Some(*v),
        Value::Text(text) => Decimal::from_str_exact(text).ok(),
        other => integer::<i64>(other).map(Decimal::from),
    };
    NaiveDate, "date": |value| match value {
        Value::Date(v) => Some(*v),
        other => from_text(other),
    };
    NaiveTime, "time": |value| match value {
        Value::Time(v) => Some(*v),
        other => from_text(other),
    };
    NaiveDateTime, "datetime without zone": |value| match value {
        Value::DateTime(v) => Some(*v),
        other => from_text(other),
    };
    DateTime<Utc>, "UTC timestamp": |value| match value {
        Value::Timestamp(v) => Some(*v),
        // MySQL keeps instants in columns without a zone, and EMR keeps them in UTC.
        Value::DateTime(v) => Some(v.and_utc()),
        other => from_text(other),
    };
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Result<Self, Mismatch> {
        match value {
            Value::Text(text) => Ok(text.into_owned()),
            other => Err(Mismatch::new("text", other.describe())),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>) -> Result<Self, Mismatch> {
        match value {
            Value::Bytes(bytes) => Ok(bytes.into_owned()),
            other => Err(Mismatch::new("bytes", other.describe())),
        }
    }
}

impl FromValue for serde_json::Value {
    fn from_value(value: Value<'_>) -> Result<Self, Mismatch> {
        Json::from_value(value).map(|json| json.0)
    }
}

impl<T: DeserializeOwned> FromValue for Json<T> {
    fn from_value(value: Value<'_>) -> Result<Self, Mismatch> {
        match &value {
            Value::Json(json) | Value::Text(json) => parse_json(json).map(Json),
            other => Err(Mismatch::new("JSON", other.describe())),
        }
    }
}

impl<T: Element + FromValue> FromValue for Vec<T> {
    fn from_value(value: Value<'_>) -> Result<Self, Mismatch> {
        match value {
            Value::Array(_, items) => items.into_iter().map(T::from_value).collect(),
            other => Err(Mismatch::new(array_of(T::TYPE).name(), other.describe())),
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Result<Self, Mismatch> {
        if value.is_null() { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

/// The current instant, cut to the microsecond that databases keep.
///
/// A timestamp with nanoseconds fits no column exactly; EMR refuses it rather than cut it silently.
///
/// ```
/// assert_eq!(emr_core::now().timestamp_subsec_nanos() % 1000, 0);
/// ```
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// A new UUID of version 7, for columns that the derive marks `uuid`. The derive calls it here, as the
/// program need not depend on the `uuid` crate.
#[doc(hidden)]
pub fn __new_uuid() -> Value<'static> {
    Value::Uuid(Uuid::now_v7())
}

/// Parameters of raw SQL: `&[&7_i64, &"text"]`.
pub trait ToParam: Sync {
    /// The value to bind.
    fn to_param(&self) -> Value<'_>;
}

impl<T: Field> ToParam for T {
    fn to_param(&self) -> Value<'_> {
        self.to_value()
    }
}

impl ToParam for str {
    fn to_param(&self) -> Value<'_> {
        Value::Text(Cow::Borrowed(self))
    }
}

impl ToParam for &str {
    fn to_param(&self) -> Value<'_> {
        Value::Text(Cow::Borrowed(self))
    }
}

impl ToParam for &[u8] {
    fn to_param(&self) -> Value<'_> {
        Value::Bytes(Cow::Borrowed(self))
    }
}

impl ToParam for Value<'_> {
    fn to_param(&self) -> Value<'_> {
        self.borrowed()
    }
}

impl fmt::Debug for dyn ToParam + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_param().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floats_of_json_are_read_exactly() {
        // As jsonb writes them: digit by digit.
        let largest = Value::Json(format!("{:.0}", f64::MAX).into());
        assert_eq!(Json::<f64>::from_value(largest), Ok(Json(f64::MAX)));
        let smallest = Value::Json(format!("{:.324}", 5e-324).into());
        assert_eq!(Json::<f64>::from_value(smallest), Ok(Json(5e-324)));
        let long = Value::Json("-1.6530567686278263e246".into());
        assert_eq!(serde_json::Value::from_value(long), Ok((-1.653_056_768_627_826_3e246).into()));
    }

    #[test]
    fn arrays_are_taken_out_of_dynamic_values() {
        let array = Value::Array(SqlType::I64, vec![Value::I64(1), Value::I64(2)]);
        assert_eq!(Vec::<i16>::from_value(array.borrowed()), Ok(vec![1, 2]));
        assert_eq!(Option::<Vec<i64>>::from_value(Value::Null(SqlType::Unknown)), Ok(None));
        assert_eq!(Vec::<String>::from_value(array), Err(Mismatch::new("text", "i64 1")));
        assert_eq!(Vec::<i64>::from_value(Value::I64(1)), Err(Mismatch::new("array", "i64 1")));
    }
}
