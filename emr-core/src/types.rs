//! Which Rust types can be columns, and how each is written and read.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};

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
    /// Reads a cell.
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
        Ok(row.str(at)?.map(ToOwned::to_owned))
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
        Ok(row.bytes(at)?.map(ToOwned::to_owned))
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
    let Some(json) = row.json(at)? else { return Ok(None) };
    match serde_json::from_str(json) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(Mismatch::new(std::any::type_name::<T>(), format!("JSON that does not fit: {error}"))),
    }
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
        match row.value(at)? {
            Value::Null(_) => Ok(None),
            Value::Array(_, items) => items.into_iter().map(T::from_value).collect::<Result<_, _>>().map(Some),
            other => Err(Mismatch::new(array_of(T::TYPE).name(), other.describe())),
        }
    }
}

/// Takes a value out of a dynamic one: an array's element, or a cell of a [`QueryResult`](crate::QueryResult).
///
/// Widens integers and floats where nothing is lost, as [`Row`] does.
pub trait FromValue: Sized {
    /// The value as this type.
    ///
    /// # Errors
    /// A [`Mismatch`] if the value is NULL or of another type.
    fn from_value(value: Value<'_>) -> Result<Self, Mismatch>;
}

macro_rules! from_value {
    ($($rust:ty, $name:literal: $($pattern:pat => $result:expr),+;)*) => {
        $(
            impl FromValue for $rust {
                fn from_value(value: Value<'_>) -> Result<Self, Mismatch> {
                    match value {
                        $($pattern => Ok($result),)+
                        other => Err(Mismatch::new($name, other.describe())),
                    }
                }
            }
        )*
    };
}

from_value! {
    bool, "bool": Value::Bool(v) => v, Value::I64(0) => false, Value::I64(1) => true;
    i16, "i16": Value::I16(v) => v;
    i32, "i32": Value::I32(v) => v, Value::I16(v) => v.into();
    f32, "f32": Value::F32(v) => v;
    f64, "f64": Value::F64(v) => v, Value::F32(v) => v.into();
    String, "text": Value::Text(v) => v.into_owned();
    Vec<u8>, "bytes": Value::Bytes(v) => v.into_owned();
    Uuid, "UUID": Value::Uuid(v) => v;
    Decimal, "decimal": Value::Decimal(v) => v, Value::I64(v) => v.into(), Value::I32(v) => v.into();
    NaiveDate, "date": Value::Date(v) => v;
    NaiveTime, "time": Value::Time(v) => v;
    NaiveDateTime, "datetime without zone": Value::DateTime(v) => v;
    DateTime<Utc>, "UTC timestamp": Value::Timestamp(v) => v;
    i64, "i64": Value::I64(v) => v, Value::I32(v) => v.into(), Value::I16(v) => v.into();
}

impl FromValue for serde_json::Value {
    fn from_value(value: Value<'_>) -> Result<Self, Mismatch> {
        match &value {
            Value::Json(json) | Value::Text(json) => {
                serde_json::from_str(json).map_err(|error| Mismatch::new("JSON", error.to_string()))
            }
            other => Err(Mismatch::new("JSON", other.describe())),
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
