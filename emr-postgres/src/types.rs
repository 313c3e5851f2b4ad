//! PostgreSQL's types on the wire, in both directions.

mod array;
mod decode;
mod encode;
mod numeric;
mod time;

use std::borrow::Cow;

use emr_core::{SqlType, Value};
use tokio_postgres::types::{Kind, Type};

pub(crate) use decode::PgRow;
pub(crate) use encode::{Column, Params, Refused, encode_as, is_text_format};

/// How a type travels in binary. Copied into every prepared statement, so that a cell costs one comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Bool,
    I16,
    I32,
    I64,
    Oid,
    F32,
    F64,
    Numeric,
    Text,
    Bytes,
    Uuid,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Json,
    Jsonb,
    Array,
    /// Of a parameter: the server finds the type and reads text.
    Unknown,
    /// A type that only the server knows.
    Other,
}

impl Wire {
    /// How this type travels.
    pub(crate) fn of(ty: &Type) -> Wire {
        match *ty {
            Type::BOOL => Wire::Bool,
            Type::INT2 => Wire::I16,
            Type::INT4 => Wire::I32,
            Type::INT8 => Wire::I64,
            Type::OID => Wire::Oid,
            Type::FLOAT4 => Wire::F32,
            Type::FLOAT8 => Wire::F64,
            Type::NUMERIC => Wire::Numeric,
            // Void is what functions without a result give: an empty text.
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::CHAR | Type::XML | Type::VOID => Wire::Text,
            Type::BYTEA => Wire::Bytes,
            Type::UUID => Wire::Uuid,
            Type::DATE => Wire::Date,
            Type::TIME => Wire::Time,
            Type::TIMESTAMP => Wire::Timestamp,
            Type::TIMESTAMPTZ => Wire::Timestamptz,
            Type::JSON => Wire::Json,
            Type::JSONB => Wire::Jsonb,
            Type::UNKNOWN => Wire::Unknown,
            _ => match ty.kind() {
                Kind::Enum(_) => Wire::Text,
                Kind::Domain(base) => Wire::of(base),
                Kind::Array(_) => Wire::Array,
                Kind::Simple if ty.name() == "citext" => Wire::Text,
                _ => Wire::Other,
            },
        }
    }

    /// The type as [`SqlType`] calls it.
    pub(crate) fn sql_type(self) -> SqlType {
        match self {
            Wire::Bool => SqlType::Bool,
            Wire::I16 => SqlType::I16,
            Wire::I32 => SqlType::I32,
            Wire::I64 | Wire::Oid => SqlType::I64,
            Wire::F32 => SqlType::F32,
            Wire::F64 => SqlType::F64,
            Wire::Numeric => SqlType::Decimal,
            Wire::Text | Wire::Unknown => SqlType::Text,
            Wire::Bytes => SqlType::Bytes,
            Wire::Uuid => SqlType::Uuid,
            Wire::Date => SqlType::Date,
            Wire::Time => SqlType::Time,
            Wire::Timestamp => SqlType::DateTime,
            Wire::Timestamptz => SqlType::Timestamp,
            Wire::Json | Wire::Jsonb => SqlType::Json,
            Wire::Array | Wire::Other => SqlType::Unknown,
        }
    }
}

/// A value of this type from its binary form. `None` if EMR does not know the type, or the bytes are no such value.
pub(crate) fn decode_cell<'r>(ty: &Type, raw: &'r [u8]) -> Option<Value<'r>> {
    match (Wire::of(ty), element_of(ty)) {
        (Wire::Array, Some(element)) => array::decode(raw, element).ok(),
        (wire, _) => decode::scalar(wire, raw)?.ok(),
    }
}

/// The element type of an array, through domains.
pub(crate) fn element_of(ty: &Type) -> Option<&Type> {
    match ty.kind() {
        Kind::Array(element) => Some(element),
        Kind::Domain(base) => element_of(base),
        _ => None,
    }
}

/// The type that a value is sent with where nothing is prepared. Text and JSON leave it to the server.
pub(crate) fn natural(value: &Value<'_>) -> Type {
    natural_type(value.sql_type())
}

fn natural_type(ty: SqlType) -> Type {
    match ty {
        SqlType::Bool => Type::BOOL,
        SqlType::I16 => Type::INT2,
        SqlType::I32 => Type::INT4,
        SqlType::I64 => Type::INT8,
        SqlType::F32 => Type::FLOAT4,
        SqlType::F64 => Type::FLOAT8,
        SqlType::Bytes => Type::BYTEA,
        SqlType::Uuid => Type::UUID,
        SqlType::Decimal => Type::NUMERIC,
        SqlType::Date => Type::DATE,
        SqlType::Time => Type::TIME,
        SqlType::DateTime => Type::TIMESTAMP,
        SqlType::Timestamp => Type::TIMESTAMPTZ,
        SqlType::Array(element) => match *element {
            SqlType::Bool => Type::BOOL_ARRAY,
            SqlType::I16 => Type::INT2_ARRAY,
            SqlType::I32 => Type::INT4_ARRAY,
            SqlType::I64 => Type::INT8_ARRAY,
            SqlType::F32 => Type::FLOAT4_ARRAY,
            SqlType::F64 => Type::FLOAT8_ARRAY,
            SqlType::Bytes => Type::BYTEA_ARRAY,
            SqlType::Uuid => Type::UUID_ARRAY,
            SqlType::Decimal => Type::NUMERIC_ARRAY,
            SqlType::Date => Type::DATE_ARRAY,
            SqlType::Time => Type::TIME_ARRAY,
            SqlType::DateTime => Type::TIMESTAMP_ARRAY,
            SqlType::Timestamp => Type::TIMESTAMPTZ_ARRAY,
            _ => Type::UNKNOWN,
        },
        _ => Type::UNKNOWN,
    }
}

/// Why a value cannot be sent: what the parameter takes.
#[derive(Debug)]
pub(crate) struct Expected(pub(crate) Cow<'static, str>);

impl Expected {
    fn new(expected: impl Into<Cow<'static, str>>) -> Self {
        Expected(expected.into())
    }
}
