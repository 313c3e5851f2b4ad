//! Values on their way into a database, and dynamic results.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rust_decimal::Decimal;
use uuid::Uuid;

/// The column types that EMR knows, independent of any backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SqlType {
    /// True or false.
    Bool,
    /// A 16-bit signed integer.
    I16,
    /// A 32-bit signed integer.
    I32,
    /// A 64-bit signed integer.
    I64,
    /// A 32-bit IEEE float.
    F32,
    /// A 64-bit IEEE float.
    F64,
    /// Unicode text.
    Text,
    /// Bytes.
    Bytes,
    /// A UUID.
    Uuid,
    /// An exact decimal number.
    Decimal,
    /// A calendar date.
    Date,
    /// A time of day, to the microsecond.
    Time,
    /// A date and time without a zone, to the microsecond.
    DateTime,
    /// An instant in UTC, to the microsecond.
    Timestamp,
    /// A JSON document.
    Json,
    /// An array; PostgreSQL only.
    Array(&'static SqlType),
    /// Not known: NULL in raw SQL.
    Unknown,
}

/// One value to bind, or one cell of a dynamic result. Large contents are borrowed where they can be.
///
/// Typed reads never pass through it: [`Row`](crate::Row) decodes straight into the Rust type.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// NULL, with the type of the column it stands for.
    Null(SqlType),
    /// A boolean.
    Bool(bool),
    /// A 16-bit integer.
    I16(i16),
    /// A 32-bit integer.
    I32(i32),
    /// A 64-bit integer.
    I64(i64),
    /// A 32-bit float.
    F32(f32),
    /// A 64-bit float.
    F64(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A UUID.
    Uuid(Uuid),
    /// A decimal.
    Decimal(Decimal),
    /// A date.
    Date(NaiveDate),
    /// A time of day.
    Time(NaiveTime),
    /// A date and time without a zone.
    DateTime(NaiveDateTime),
    /// An instant.
    Timestamp(DateTime<Utc>),
    /// A JSON document as text.
    Json(Cow<'a, str>),
    /// An array and the type of its elements.
    Array(SqlType, Vec<Value<'a>>),
}

impl Value<'_> {
    /// The type of the value.
    pub fn sql_type(&self) -> SqlType {
        match self {
            Value::Null(ty) => *ty,
            Value::Bool(_) => SqlType::Bool,
            Value::I16(_) => SqlType::I16,
            Value::I32(_) => SqlType::I32,
            Value::I64(_) => SqlType::I64,
            Value::F32(_) => SqlType::F32,
            Value::F64(_) => SqlType::F64,
            Value::Text(_) => SqlType::Text,
            Value::Bytes(_) => SqlType::Bytes,
            Value::Uuid(_) => SqlType::Uuid,
            Value::Decimal(_) => SqlType::Decimal,
            Value::Date(_) => SqlType::Date,
            Value::Time(_) => SqlType::Time,
            Value::DateTime(_) => SqlType::DateTime,
            Value::Timestamp(_) => SqlType::Timestamp,
            Value::Json(_) => SqlType::Json,
            Value::Array(element, _) => array_of(*element),
        }
    }

    /// Whether this is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null(_))
    }

    /// The same value, borrowing text and bytes from this one.
    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Value::Text(text) => Value::Text(Cow::Borrowed(text)),
            Value::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
            Value::Json(json) => Value::Json(Cow::Borrowed(json)),
            Value::Array(element, items) => Value::Array(*element, items.iter().map(Value::borrowed).collect()),
            Value::Null(ty) => Value::Null(*ty),
            Value::Bool(v) => Value::Bool(*v),
            Value::I16(v) => Value::I16(*v),
            Value::I32(v) => Value::I32(*v),
            Value::I64(v) => Value::I64(*v),
            Value::F32(v) => Value::F32(*v),
            Value::F64(v) => Value::F64(*v),
            Value::Uuid(v) => Value::Uuid(*v),
            Value::Decimal(v) => Value::Decimal(*v),
            Value::Date(v) => Value::Date(*v),
            Value::Time(v) => Value::Time(*v),
            Value::DateTime(v) => Value::DateTime(*v),
            Value::Timestamp(v) => Value::Timestamp(*v),
        }
    }

    /// The same value, owning its contents.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Value::Json(json) => Value::Json(Cow::Owned(json.into_owned())),
            Value::Array(element, items) => Value::Array(element, items.into_iter().map(Value::into_owned).collect()),
            Value::Null(ty) => Value::Null(ty),
            Value::Bool(v) => Value::Bool(v),
            Value::I16(v) => Value::I16(v),
            Value::I32(v) => Value::I32(v),
            Value::I64(v) => Value::I64(v),
            Value::F32(v) => Value::F32(v),
            Value::F64(v) => Value::F64(v),
            Value::Uuid(v) => Value::Uuid(v),
            Value::Decimal(v) => Value::Decimal(v),
            Value::Date(v) => Value::Date(v),
            Value::Time(v) => Value::Time(v),
            Value::DateTime(v) => Value::DateTime(v),
            Value::Timestamp(v) => Value::Timestamp(v),
        }
    }

    /// The value in a few words for an error message: short contents in full, long ones cut.
    pub fn describe(&self) -> String {
        let text = match self {
            Value::Null(_) => return "NULL".to_owned(),
            Value::Text(text) => format!("text {text:.60?}"),
            Value::Bytes(bytes) => return format!("{} bytes", bytes.len()),
            Value::Json(json) => format!("JSON {json:.60}"),
            Value::Array(element, items) => return format!("an array of {} {}", items.len(), element.name()),
            other => format!("{} {}", other.sql_type().name(), ShowScalar(other)),
        };
        match text.char_indices().nth(80) {
            Some((cut, _)) => format!("{}…", &text[..cut]),
            None => text,
        }
    }
}

/// The contents as they would be read by a person. `Debug` shows the same with the type in front.
struct ShowScalar<'a>(&'a Value<'a>);

impl fmt::Display for ShowScalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null(_) => f.write_str("NULL"),
            Value::Bool(v) => v.fmt(f),
            Value::I16(v) => v.fmt(f),
            Value::I32(v) => v.fmt(f),
            Value::I64(v) => v.fmt(f),
            Value::F32(v) => v.fmt(f),
            Value::F64(v) => v.fmt(f),
            Value::Text(v) => fmt::Debug::fmt(v, f),
            Value::Bytes(v) => write!(f, "{} bytes", v.len()),
            Value::Uuid(v) => v.fmt(f),
            Value::Decimal(v) => v.fmt(f),
            Value::Date(v) => v.fmt(f),
            Value::Time(v) => v.fmt(f),
            Value::DateTime(v) => v.fmt(f),
            Value::Timestamp(v) => v.fmt(f),
            Value::Json(v) => v.fmt(f),
            Value::Array(_, v) => f.debug_list().entries(v).finish(),
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ShowScalar(self), f)
    }
}

impl SqlType {
    /// The Rust-side name of the type, as error messages use it.
    pub fn name(self) -> &'static str {
        match self {
            SqlType::Bool => "bool",
            SqlType::I16 => "i16",
            SqlType::I32 => "i32",
            SqlType::I64 => "i64",
            SqlType::F32 => "f32",
            SqlType::F64 => "f64",
            SqlType::Text => "text",
            SqlType::Bytes => "bytes",
            SqlType::Uuid => "UUID",
            SqlType::Decimal => "decimal",
            SqlType::Date => "date",
            SqlType::Time => "time",
            SqlType::DateTime => "datetime without zone",
            SqlType::Timestamp => "UTC timestamp",
            SqlType::Json => "JSON",
            SqlType::Array(_) => "array",
            SqlType::Unknown => "value",
        }
    }
}

/// The array type of an element type. Arrays of arrays are not a type.
pub fn array_of(element: SqlType) -> SqlType {
    macro_rules! arrays {
        ($($name:ident),*) => {
            match element {
                $(SqlType::$name => SqlType::Array(&SqlType::$name),)*
                SqlType::Array(_) | SqlType::Unknown => SqlType::Unknown,
            }
        };
    }
    arrays!(Bool, I16, I32, I64, F32, F64, Text, Bytes, Uuid, Decimal, Date, Time, DateTime, Timestamp, Json)
}
