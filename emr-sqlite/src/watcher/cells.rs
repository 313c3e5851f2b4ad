//! Carried values on their way out of the log.

use emr_core::watch::WatchedColumn;
use emr_core::{Cell, Row, SqlType, Value};

/// The numbers of what can happen to a row.
pub(super) const INSERT: i64 = 1;
pub(super) const UPDATE: i64 = 2;
pub(super) const DELETE: i64 = 3;

/// Reads a cell as the struct's field has it, or as it is stored where no struct is known. One that does not fit stays as it is
/// stored: a change is told in any case. `None` for what can be read as nothing at all.
pub(super) fn read(row: &dyn Row, at: usize, column: &WatchedColumn) -> Option<Value<'static>> {
    if let Some((schema, position)) = column.declared {
        let ty = schema.columns[position].ty;
        if let Ok(value) = typed(row, at, ty) {
            return Some(value.map_or(Value::Null(ty), Value::into_owned));
        }
    }
    row.value(at).ok().map(Value::into_owned)
}

fn typed(row: &dyn Row, at: usize, ty: SqlType) -> Cell<Value<'_>> {
    Ok(match ty {
        SqlType::Bool => row.bool(at)?.map(Value::Bool),
        SqlType::I16 => row.i16(at)?.map(Value::I16),
        SqlType::I32 => row.i32(at)?.map(Value::I32),
        SqlType::I64 => row.i64(at)?.map(Value::I64),
        SqlType::F32 => row.f32(at)?.map(Value::F32),
        SqlType::F64 => row.f64(at)?.map(Value::F64),
        SqlType::Text => row.str(at)?.map(|text| Value::Text(text.into())),
        SqlType::Bytes => row.bytes(at)?.map(|bytes| Value::Bytes(bytes.into())),
        SqlType::Uuid => row.uuid(at)?.map(Value::Uuid),
        SqlType::Decimal => row.decimal(at)?.map(Value::Decimal),
        SqlType::Date => row.date(at)?.map(Value::Date),
        SqlType::Time => row.time(at)?.map(Value::Time),
        SqlType::DateTime => row.datetime(at)?.map(Value::DateTime),
        SqlType::Timestamp => row.timestamp(at)?.map(Value::Timestamp),
        SqlType::Json => row.json(at)?.map(|json| Value::Json(json.into())),
        _ if row.is_null(at) => None,
        _ => Some(row.value(at)?),
    })
}
