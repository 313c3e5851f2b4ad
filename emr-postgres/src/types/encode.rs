//! Values on their way to the server.

use std::borrow::Borrow;
use std::error::Error as StdError;
use std::fmt;

use bytes::{BufMut, BytesMut};
use emr_core::{BulkInsert, NOT_JSON, Value};
use rust_decimal::prelude::ToPrimitive;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use super::{Expected, Wire, array, element_of, numeric, time};

/// Writes a value as the server's type wants it, or says what that type takes.
pub(crate) fn encode(value: &Value<'_>, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Expected> {
    encode_as(value, Wire::of(ty), ty, out)
}

/// The same for many values of one type, which travels as `wire`.
pub(crate) fn encode_as(value: &Value<'_>, wire: Wire, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Expected> {
    match (wire, value) {
        (_, Value::Null(_)) => return Ok(IsNull::Yes),
        (wire, Value::I64(v)) => integer(*v, wire, ty, out)?,
        (wire, Value::I32(v)) => integer((*v).into(), wire, ty, out)?,
        (wire, Value::I16(v)) => integer((*v).into(), wire, ty, out)?,
        (Wire::Text | Wire::Other | Wire::Unknown, Value::Text(v)) => text(v, out)?,
        (Wire::Text | Wire::Json | Wire::Unknown, Value::Json(v)) => json(v, out)?,
        (Wire::Jsonb, Value::Json(v)) => {
            out.put_u8(1);
            json(v, out)?;
        }
        (Wire::Bool, Value::Bool(v)) => out.put_u8((*v).into()),
        (Wire::F32, Value::F32(v)) => out.put_f32(*v),
        (Wire::F64, Value::F32(v)) => out.put_f64((*v).into()),
        (Wire::F64, Value::F64(v)) => out.put_f64(*v),
        (Wire::F32, Value::F64(v)) => out.put_f32(narrow(*v)?),
        (Wire::Bytes, Value::Bytes(v)) => out.put_slice(v),
        (Wire::Uuid, Value::Uuid(v)) => out.put_slice(v.as_bytes()),
        (Wire::Numeric, Value::Decimal(v)) => numeric::encode(*v, out),
        (wire @ (Wire::I16 | Wire::I32 | Wire::I64 | Wire::Oid), Value::Decimal(v)) if v.fract().is_zero() => {
            match v.to_i64() {
                Some(v) => integer(v, wire, ty, out)?,
                None => return Err(expected(ty)),
            }
        }
        (Wire::Date, Value::Date(v)) => out.put_i32(time::days(*v)?),
        (Wire::Time, Value::Time(v)) => out.put_i64(time::time_micros(*v)?),
        (Wire::Timestamp, Value::DateTime(v)) => out.put_i64(time::micros(*v)?),
        (Wire::Timestamptz, Value::Timestamp(v)) => out.put_i64(time::micros(v.naive_utc())?),
        (Wire::Array | Wire::Unknown, Value::Array(_, items)) => {
            array(items.len(), |n| &items[n], ty, out).map_err(|(_, expected)| expected)?;
        }
        _ => return Err(expected(ty)),
    }
    Ok(IsNull::No)
}

/// Writes an array of this array type. An error says which element was refused.
fn array<'v, V: Borrow<Value<'v>>>(
    len: usize,
    item: impl Fn(usize) -> V,
    ty: &Type,
    out: &mut BytesMut,
) -> Result<(), (usize, Expected)> {
    match element_of(ty) {
        Some(element) if !is_text_format(element) => array::encode(len, item, element, out),
        _ => array::encode_text(len, item, out),
    }
}

fn integer(v: i64, wire: Wire, ty: &Type, out: &mut BytesMut) -> Result<(), Expected> {
    match wire {
        Wire::I64 => out.put_i64(v),
        Wire::I32 => out.put_i32(v.try_into().map_err(|_| expected(ty))?),
        Wire::I16 => out.put_i16(v.try_into().map_err(|_| expected(ty))?),
        Wire::Oid => out.put_u32(v.try_into().map_err(|_| expected(ty))?),
        Wire::Numeric => numeric::encode(v.into(), out),
        #[allow(clippy::cast_precision_loss)] // only what is exact passes
        Wire::F64 if v.unsigned_abs() <= 1 << 53 => out.put_f64(v as f64),
        #[allow(clippy::cast_precision_loss)]
        Wire::F32 if v.unsigned_abs() <= 1 << 24 => out.put_f32(v as f32),
        _ => return Err(expected(ty)),
    }
    Ok(())
}

/// The same number in 32 bits, if it is one.
fn narrow(v: f64) -> Result<f32, Expected> {
    #[allow(clippy::cast_possible_truncation)] // compared with the original
    let narrow = v as f32;
    if f64::from(narrow).to_bits() == v.to_bits() || v.is_nan() {
        Ok(narrow)
    } else {
        Err(Expected::new("a number that fits real (32 bits) exactly"))
    }
}

fn text(v: &str, out: &mut BytesMut) -> Result<(), Expected> {
    if v.as_bytes().contains(&0) {
        return Err(Expected::new("text without NUL characters"));
    }
    out.put_slice(v.as_bytes());
    Ok(())
}

fn json(v: &str, out: &mut BytesMut) -> Result<(), Expected> {
    if v.starts_with(NOT_JSON) {
        return Err(Expected::new("a value that can be written as JSON"));
    }
    text(v, out)
}

/// What a parameter of this type takes, in words.
#[cold]
fn expected(ty: &Type) -> Expected {
    let name = ty.name();
    Expected::new(match Wire::of(ty) {
        Wire::Bool => "boolean",
        Wire::I16 => "smallint (-32768 to 32767)",
        Wire::I32 => "integer (-2147483648 to 2147483647)",
        Wire::I64 => "bigint (64 bits)",
        Wire::Oid => "oid (0 to 4294967295)",
        Wire::F32 => "real (a number that fits 32 bits exactly)",
        Wire::F64 => "double precision (a number that fits 64 bits exactly)",
        Wire::Numeric => "numeric (a decimal or an integer)",
        Wire::Text => return Expected::new(format!("{name} (text)")),
        Wire::Bytes => "bytea (bytes)",
        Wire::Uuid => "uuid",
        Wire::Date => "date",
        Wire::Time => "time",
        Wire::Timestamp => "timestamp (a datetime without zone)",
        Wire::Timestamptz => "timestamptz (an instant in UTC)",
        Wire::Json | Wire::Jsonb => return Expected::new(format!("{name} (JSON: bind a JSON value, not text)")),
        Wire::Array => return Expected::new(format!("{} (an array)", name.trim_start_matches('_'))),
        Wire::Unknown | Wire::Other => return Expected::new(format!("{name} (written as text)")),
    })
}

/// Whether a parameter of this type travels as text, because only the server knows its binary form.
pub(crate) fn is_text_format(ty: &Type) -> bool {
    match Wire::of(ty) {
        Wire::Unknown | Wire::Other => true,
        Wire::Array => element_of(ty).is_none_or(is_text_format),
        _ => false,
    }
}

fn format(ty: &Type) -> Format {
    if is_text_format(ty) { Format::Text } else { Format::Binary }
}

/// A value that was refused before anything was sent.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The parameter, counted from 0.
    pub(crate) parameter: usize,
    /// Of a bulk insert, the row.
    pub(crate) row: usize,
    /// What the parameter takes.
    pub(crate) expected: Expected,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parameter {} takes {}", self.parameter + 1, self.expected.0)
    }
}

impl StdError for Refused {}

/// One parameter on its way out. Its `Debug` shows no value, because the driver logs it.
pub(crate) struct Param<'a> {
    parameter: usize,
    value: &'a Value<'a>,
}

impl<'a> Param<'a> {
    pub(crate) fn value(&self) -> &'a Value<'a> {
        self.value
    }
}

impl fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}: {}", self.parameter + 1, self.value.sql_type().name())
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        encode(self.value, ty, out).map_err(|expected| Refused { parameter: self.parameter, row: 0, expected }.into())
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        self.to_sql(ty, out)
    }

    fn encode_format(&self, ty: &Type) -> Format {
        format(ty)
    }
}

/// The parameters of a statement as the driver takes them.
pub(crate) struct Params<'a> {
    values: &'a [Value<'a>],
    next: usize,
}

impl<'a> Params<'a> {
    /// All of them.
    pub(crate) fn new(values: &'a [Value<'a>]) -> Self {
        Params { values, next: 0 }
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        let parameter = self.next;
        let value = self.values.get(parameter)?;
        self.next += 1;
        Some(Param { parameter, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.values.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Params<'_> {}

/// One column of a bulk insert as an array parameter, written straight from the rows.
pub(crate) struct Column<'a> {
    /// The rows.
    pub(crate) rows: &'a BulkInsert,
    /// Which of the set columns.
    pub(crate) parameter: usize,
}

impl fmt::Debug for Column<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}: {} values", self.parameter + 1, self.rows.len())
    }
}

impl ToSql for Column<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let column = self.rows.columns[self.parameter];
        let cell = |row| self.rows.cell(row, column);
        match array(self.rows.len(), cell, ty, out) {
            Ok(()) => Ok(IsNull::No),
            Err((row, expected)) => Err(Refused { parameter: self.parameter, row, expected }.into()),
        }
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        self.to_sql(ty, out)
    }

    fn encode_format(&self, ty: &Type) -> Format {
        format(ty)
    }
}
