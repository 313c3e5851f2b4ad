//! Column types.

use emr_core::{ColumnDef, SqlType};

/// The type of a column. Text and bytes that an index holds have a length: a clustered key, which the primary
/// key is, has at most 900 bytes.
pub(crate) fn column_type(column: &ColumnDef, indexed: bool) -> String {
    if let Some(name) = column.sql_type {
        return name.to_owned();
    }
    match column.ty {
        SqlType::Bool => "bit",
        SqlType::I16 => "smallint",
        SqlType::I32 => "int",
        SqlType::I64 => "bigint",
        SqlType::F32 => "real",
        SqlType::F64 => "float(53)",
        SqlType::Text if indexed => "nvarchar(450)",
        SqlType::Bytes if indexed => "varbinary(900)",
        SqlType::Bytes => "varbinary(max)",
        SqlType::Uuid => "uniqueidentifier",
        // 38 digits cannot hold every `Decimal`. Too many digits before the point are an error of the server,
        // too many after it are rounded away without a word: so more room is left behind the point.
        SqlType::Decimal => "decimal(38,18)",
        SqlType::Date => "date",
        SqlType::Time => "time(6)",
        SqlType::DateTime => "datetime2(6)",
        // Says that it is an instant, and compares as one.
        SqlType::Timestamp => "datetimeoffset(6)",
        // JSON too, which has no type of its own before SQL Server 2025. Arrays are refused before this is asked.
        _ => "nvarchar(max)",
    }
    .to_owned()
}
