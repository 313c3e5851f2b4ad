//! Cells on their way from the server, read where the driver put them.

use std::borrow::Cow;
use std::string::FromUtf8Error;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr_core::{Cell, Mismatch, Row, SqlType, Value};
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column, Value as Wire};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::slots::{GIVEN_AWAY, Slots};

/// The number of the character set that is none.
const BINARY: u16 = 63;

/// A row of the driver, with its columns.
pub(crate) struct MySqlRow<'r> {
    cells: &'r Slots,
    columns: &'r [Column],
    gives_away: bool,
}

impl<'r> MySqlRow<'r> {
    /// It gives its buffers away if each cell is [read once](emr_core::RowSink::reads_once).
    pub(crate) fn new(cells: &'r Slots, columns: &'r [Column], reads_once: bool) -> Self {
        MySqlRow { cells, columns, gives_away: reads_once }
    }

    /// The bytes of a cell to keep, if they can be had without a copy.
    #[inline]
    fn give<T>(
        &self,
        at: usize,
        is_wanted: fn(&Column) -> bool,
        read: impl FnOnce(Vec<u8>) -> Result<T, Vec<u8>>,
    ) -> Option<T> {
        if self.gives_away && self.columns.get(at).is_some_and(is_wanted) { self.cells.give(at, read) } else { None }
    }

    /// A cell that is there and not NULL.
    #[inline]
    fn cell(&self, at: usize) -> Option<(&'r Column, &'r Wire)> {
        match self.cells.lend(at) {
            None | Some(Wire::NULL) => None,
            Some(value) => self.columns.get(at).map(|column| (column, value)),
        }
    }

    /// Reads a cell by `read`, which gives `None` for what it does not read.
    #[inline]
    fn read<T>(
        &self,
        at: usize,
        expected: &'static str,
        read: impl FnOnce(&'r Column, &'r Wire) -> Option<T>,
    ) -> Cell<T> {
        let Some((column, value)) = self.cell(at) else { return Ok(None) };
        match read(column, value) {
            Some(value) => Ok(Some(value)),
            None => Err(mismatch(expected, column, value)),
        }
    }
}

#[cold]
fn mismatch(expected: &'static str, column: &Column, value: &Wire) -> Mismatch {
    let found: Cow<'static, str> = match value {
        _ if *value == GIVEN_AWAY => "a value that was read before".into(),
        Wire::Date(0, 0, 0, ..) => "the zero date".into(),
        Wire::Date(_, 0, ..) | Wire::Date(_, _, 0, ..) => "a date without a month or a day".into(),
        Wire::Time(..) if expected == "time" => "a time that is no time of day".into(),
        Wire::Int(v) => format!("{} {v}", type_name(column)).into(),
        Wire::UInt(v) => format!("{} {v}", type_name(column)).into(),
        Wire::Bytes(_) if expected == "decimal" && is_decimal(column) => "a decimal that has too many digits".into(),
        Wire::Bytes(raw) if expected == "text" && is_text(column) && std::str::from_utf8(raw).is_err() => {
            "bytes that are no UTF-8".into()
        }
        _ => type_name(column).into(),
    };
    Mismatch::new(expected, found)
}

/// The server's name of a column's type.
pub(crate) fn type_name(column: &Column) -> String {
    let name = match column.column_type() {
        ColumnType::MYSQL_TYPE_TINY => "tinyint",
        ColumnType::MYSQL_TYPE_SHORT => "smallint",
        ColumnType::MYSQL_TYPE_INT24 => "mediumint",
        ColumnType::MYSQL_TYPE_LONG => "int",
        ColumnType::MYSQL_TYPE_LONGLONG => "bigint",
        ColumnType::MYSQL_TYPE_YEAR => return "year".to_owned(),
        ColumnType::MYSQL_TYPE_FLOAT => "float",
        ColumnType::MYSQL_TYPE_DOUBLE => "double",
        ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => "decimal",
        ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE => return "date".to_owned(),
        ColumnType::MYSQL_TYPE_TIME | ColumnType::MYSQL_TYPE_TIME2 => return "time".to_owned(),
        ColumnType::MYSQL_TYPE_DATETIME | ColumnType::MYSQL_TYPE_DATETIME2 => return "datetime".to_owned(),
        ColumnType::MYSQL_TYPE_TIMESTAMP | ColumnType::MYSQL_TYPE_TIMESTAMP2 => return "timestamp".to_owned(),
        ColumnType::MYSQL_TYPE_BIT => return "bit".to_owned(),
        ColumnType::MYSQL_TYPE_JSON => return "json".to_owned(),
        ColumnType::MYSQL_TYPE_GEOMETRY => return "geometry".to_owned(),
        ColumnType::MYSQL_TYPE_NULL => return "null".to_owned(),
        ColumnType::MYSQL_TYPE_STRING if is_text(column) => return "char".to_owned(),
        ColumnType::MYSQL_TYPE_STRING => return "binary".to_owned(),
        ColumnType::MYSQL_TYPE_VARCHAR | ColumnType::MYSQL_TYPE_VAR_STRING if is_text(column) => {
            return "varchar".to_owned();
        }
        ColumnType::MYSQL_TYPE_VARCHAR | ColumnType::MYSQL_TYPE_VAR_STRING => return "varbinary".to_owned(),
        _ if is_text(column) => return "text".to_owned(),
        _ => return "blob".to_owned(),
    };
    if column.flags().contains(ColumnFlags::UNSIGNED_FLAG) { format!("{name} unsigned") } else { name.to_owned() }
}

fn is_decimal(column: &Column) -> bool {
    matches!(column.column_type(), ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL)
}

/// Whether the column holds characters, and not bytes.
#[inline]
fn is_text(column: &Column) -> bool {
    is_string(column) && column.character_set() != BINARY
}

/// Whether the column holds characters or bytes.
#[inline]
fn is_string(column: &Column) -> bool {
    matches!(
        column.column_type(),
        ColumnType::MYSQL_TYPE_VARCHAR
            | ColumnType::MYSQL_TYPE_VAR_STRING
            | ColumnType::MYSQL_TYPE_STRING
            | ColumnType::MYSQL_TYPE_ENUM
            | ColumnType::MYSQL_TYPE_SET
            | ColumnType::MYSQL_TYPE_TINY_BLOB
            | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
            | ColumnType::MYSQL_TYPE_LONG_BLOB
            | ColumnType::MYSQL_TYPE_BLOB
    )
}

fn is_bit(column: &Column) -> bool {
    column.column_type() == ColumnType::MYSQL_TYPE_BIT
}

/// Whether the column holds bytes.
#[inline]
fn is_bytes(column: &Column) -> bool {
    is_bit(column) || (is_string(column) && column.character_set() == BINARY)
}

#[inline]
fn text<'r>(column: &Column, value: &'r Wire) -> Option<&'r str> {
    match value {
        Wire::Bytes(raw) if is_text(column) => std::str::from_utf8(raw).ok(),
        _ => None,
    }
}

#[inline]
fn integer(column: &Column, value: &Wire) -> Option<i64> {
    match value {
        Wire::Int(v) => Some(*v),
        Wire::UInt(v) => i64::try_from(*v).ok(),
        // A sum of integers is one.
        Wire::Bytes(raw) if is_decimal(column) => whole(raw),
        _ => None,
    }
}

/// A number without a fraction.
fn whole(raw: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(raw).ok()?;
    let (number, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.bytes().all(|digit| digit == b'0') { number.parse().ok() } else { None }
}

/// The zeros at the end say how the column is declared, and would be digits too many.
fn decimal(column: &Column, raw: &[u8]) -> Option<Decimal> {
    let text = std::str::from_utf8(raw).ok()?;
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if column.org_table_ref().is_empty() {
        // A quotient has four digits more than what was divided, which are no more exact than those before them.
        return text.parse().ok();
    }
    Decimal::from_str_exact(text).ok()
}

fn date(value: &Wire) -> Option<NaiveDate> {
    match value {
        Wire::Date(year, month, day, 0, 0, 0, 0) => {
            NaiveDate::from_ymd_opt((*year).into(), (*month).into(), (*day).into())
        }
        _ => None,
    }
}

fn datetime(value: &Wire) -> Option<NaiveDateTime> {
    match *value {
        Wire::Date(year, month, day, hour, minute, second, micros) => NaiveDate::from_ymd_opt(
            year.into(),
            month.into(),
            day.into(),
        )?
        .and_hms_micro_opt(hour.into(), minute.into(), second.into(), micros),
        _ => None,
    }
}

fn time(value: &Wire) -> Option<NaiveTime> {
    match *value {
        Wire::Time(false, 0, hour, minute, second, micros) => {
            NaiveTime::from_hms_micro_opt(hour.into(), minute.into(), second.into(), micros)
        }
        _ => None,
    }
}

fn is_date(column: &Column) -> bool {
    matches!(column.column_type(), ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE)
}

/// The same number in 32 bits, if it is one.
#[allow(clippy::cast_possible_truncation)] // compared with the original
fn narrow(v: f64) -> Option<f32> {
    let narrow = v as f32;
    (f64::from(narrow).to_bits() == v.to_bits()).then_some(narrow)
}

fn uuid(column: &Column, value: &Wire) -> Option<Uuid> {
    let Wire::Bytes(raw) = value else { return None };
    match raw.len() {
        16 if column.character_set() == BINARY => Uuid::from_slice(raw).ok(),
        36 => Uuid::try_parse_ascii(raw).ok(),
        _ => None,
    }
}

impl Row for MySqlRow<'_> {
    fn len(&self) -> usize {
        self.cells.len()
    }

    fn is_null(&self, at: usize) -> bool {
        self.cell(at).is_none()
    }

    #[inline]
    fn bool(&self, at: usize) -> Cell<bool> {
        self.read(at, "bool", |column, value| match value {
            Wire::Int(v @ (0 | 1)) => Some(*v == 1),
            Wire::UInt(v @ (0 | 1)) => Some(*v == 1),
            Wire::Bytes(raw) if is_bit(column) => match raw[..] {
                [bit @ (0 | 1)] => Some(bit == 1),
                _ => None,
            },
            _ => None,
        })
    }

    #[inline]
    fn i16(&self, at: usize) -> Cell<i16> {
        self.read(at, "i16", |column, value| integer(column, value)?.try_into().ok())
    }

    #[inline]
    fn i32(&self, at: usize) -> Cell<i32> {
        self.read(at, "i32", |column, value| integer(column, value)?.try_into().ok())
    }

    #[inline]
    fn i64(&self, at: usize) -> Cell<i64> {
        self.read(at, "i64", integer)
    }

    #[inline]
    fn f32(&self, at: usize) -> Cell<f32> {
        self.read(at, "f32", |_, value| match value {
            Wire::Float(v) => Some(*v),
            Wire::Double(v) => narrow(*v),
            _ => None,
        })
    }

    #[inline]
    fn f64(&self, at: usize) -> Cell<f64> {
        self.read(at, "f64", |_, value| match value {
            Wire::Double(v) => Some(*v),
            Wire::Float(v) => Some((*v).into()),
            _ => None,
        })
    }

    #[inline]
    fn str(&self, at: usize) -> Cell<&str> {
        self.read(at, "text", text)
    }

    #[inline]
    fn bytes(&self, at: usize) -> Cell<&[u8]> {
        self.read(at, "bytes", |column, value| match value {
            Wire::Bytes(raw) if is_bytes(column) => Some(raw.as_slice()),
            _ => None,
        })
    }

    #[inline]
    fn string(&self, at: usize) -> Cell<String> {
        match self.give(at, is_text, |raw| String::from_utf8(raw).map_err(FromUtf8Error::into_bytes)) {
            Some(text) => Ok(Some(text)),
            None => Ok(self.str(at)?.map(ToOwned::to_owned)),
        }
    }

    #[inline]
    fn byte_buf(&self, at: usize) -> Cell<Vec<u8>> {
        match self.give(at, is_bytes, Ok) {
            Some(bytes) => Ok(Some(bytes)),
            None => Ok(self.bytes(at)?.map(ToOwned::to_owned)),
        }
    }

    #[inline]
    fn uuid(&self, at: usize) -> Cell<Uuid> {
        self.read(at, "UUID", uuid)
    }

    fn decimal(&self, at: usize) -> Cell<Decimal> {
        self.read(at, "decimal", |column, value| match value {
            Wire::Bytes(raw) if is_decimal(column) => decimal(column, raw),
            Wire::Int(v) => Some(Decimal::from(*v)),
            Wire::UInt(v) => Some(Decimal::from(*v)),
            _ => None,
        })
    }

    fn date(&self, at: usize) -> Cell<NaiveDate> {
        self.read(at, "date", |column, value| if is_date(column) { date(value) } else { None })
    }

    fn time(&self, at: usize) -> Cell<NaiveTime> {
        self.read(at, "time", |_, value| time(value))
    }

    fn datetime(&self, at: usize) -> Cell<NaiveDateTime> {
        self.read(at, "datetime without zone", |column, value| if is_date(column) { None } else { datetime(value) })
    }

    fn timestamp(&self, at: usize) -> Cell<DateTime<Utc>> {
        self.read(
            at,
            "UTC timestamp",
            |column, value| {
                if is_date(column) { None } else { datetime(value).map(|at| at.and_utc()) }
            },
        )
    }

    #[inline]
    fn json(&self, at: usize) -> Cell<&str> {
        self.read(at, "JSON", |column, value| match value {
            Wire::Bytes(raw) if column.column_type() == ColumnType::MYSQL_TYPE_JSON => std::str::from_utf8(raw).ok(),
            _ => text(column, value),
        })
    }

    fn value(&self, at: usize) -> Result<Value<'_>, Mismatch> {
        let Some((column, value)) = self.cell(at) else {
            return Ok(Value::Null(self.columns.get(at).map_or(SqlType::Unknown, sql_type)));
        };
        let ty = sql_type(column);
        dynamic(ty, column, value).ok_or_else(|| mismatch(ty.name(), column, value))
    }
}

/// The type of a column as [`SqlType`] calls it.
fn sql_type(column: &Column) -> SqlType {
    let unsigned = column.flags().contains(ColumnFlags::UNSIGNED_FLAG);
    match column.column_type() {
        // What BOOLEAN stands for.
        ColumnType::MYSQL_TYPE_TINY if column.column_length() == 1 => SqlType::Bool,
        ColumnType::MYSQL_TYPE_TINY | ColumnType::MYSQL_TYPE_YEAR => SqlType::I16,
        ColumnType::MYSQL_TYPE_SHORT if !unsigned => SqlType::I16,
        ColumnType::MYSQL_TYPE_SHORT | ColumnType::MYSQL_TYPE_INT24 => SqlType::I32,
        ColumnType::MYSQL_TYPE_LONG if !unsigned => SqlType::I32,
        ColumnType::MYSQL_TYPE_LONG | ColumnType::MYSQL_TYPE_LONGLONG => SqlType::I64,
        ColumnType::MYSQL_TYPE_FLOAT => SqlType::F32,
        ColumnType::MYSQL_TYPE_DOUBLE => SqlType::F64,
        ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => SqlType::Decimal,
        ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE => SqlType::Date,
        ColumnType::MYSQL_TYPE_TIME | ColumnType::MYSQL_TYPE_TIME2 => SqlType::Time,
        ColumnType::MYSQL_TYPE_DATETIME | ColumnType::MYSQL_TYPE_DATETIME2 => SqlType::DateTime,
        ColumnType::MYSQL_TYPE_TIMESTAMP | ColumnType::MYSQL_TYPE_TIMESTAMP2 => SqlType::Timestamp,
        ColumnType::MYSQL_TYPE_JSON => SqlType::Json,
        ColumnType::MYSQL_TYPE_NULL => SqlType::Unknown,
        _ if is_text(column) => SqlType::Text,
        _ => SqlType::Bytes,
    }
}

/// A cell in the type of its column.
fn dynamic<'r>(ty: SqlType, column: &Column, value: &'r Wire) -> Option<Value<'r>> {
    Some(match (ty, value) {
        // A column of this type may hold other numbers all the same.
        (SqlType::Bool, Wire::Int(v @ (0 | 1))) => Value::Bool(*v == 1),
        (SqlType::Bool | SqlType::I16, Wire::Int(_) | Wire::UInt(_)) => {
            Value::I16(integer(column, value)?.try_into().ok()?)
        }
        (SqlType::I32, _) => Value::I32(integer(column, value)?.try_into().ok()?),
        (SqlType::I64, Wire::UInt(v)) => match i64::try_from(*v) {
            Ok(v) => Value::I64(v),
            Err(_) => Value::Decimal(Decimal::from(*v)),
        },
        (SqlType::I64, _) => Value::I64(integer(column, value)?),
        (SqlType::F32, Wire::Float(v)) => Value::F32(*v),
        (SqlType::F64, Wire::Double(v)) => Value::F64(*v),
        (SqlType::Decimal, Wire::Bytes(raw)) => Value::Decimal(decimal(column, raw)?),
        (SqlType::Date, _) => Value::Date(date(value)?),
        (SqlType::Time, _) => Value::Time(time(value)?),
        (SqlType::DateTime, _) => Value::DateTime(datetime(value)?),
        (SqlType::Timestamp, _) => Value::Timestamp(datetime(value)?.and_utc()),
        (SqlType::Json, Wire::Bytes(raw)) => Value::Json(std::str::from_utf8(raw).ok()?.into()),
        (SqlType::Text, Wire::Bytes(raw)) => Value::Text(std::str::from_utf8(raw).ok()?.into()),
        (_, Wire::Bytes(raw)) => Value::Bytes(raw.into()),
        _ => return None,
    })
}
