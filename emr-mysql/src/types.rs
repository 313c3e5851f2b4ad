//! Column types.

use emr_core::{ColumnDef, SqlType};

/// The type of a column. Text and bytes that an index holds have a length, as InnoDB indexes at most 3,072
/// bytes and no `longtext`.
pub(crate) fn column_type(column: &ColumnDef, indexed: bool, uuid: &str) -> String {
    if let Some(name) = column.sql_type {
        return name.to_owned();
    }
    match column.ty {
        SqlType::Bool => "tinyint(1)",
        SqlType::I16 => "smallint",
        SqlType::I32 => "int",
        SqlType::I64 => "bigint",
        SqlType::F32 => "float",
        SqlType::F64 => "double",
        SqlType::Text if indexed => "varchar(255)",
        SqlType::Bytes if indexed => "varbinary(255)",
        SqlType::Bytes => "longblob",
        SqlType::Uuid => uuid,
        // Every `Decimal` exactly: at most 29 digits before the point and 28 after it.
        SqlType::Decimal => "decimal(57,28)",
        SqlType::Date => "date",
        SqlType::Time => "time(6)",
        // `timestamp` ends in 2038 and follows the session's time zone: instants are kept in UTC instead.
        SqlType::DateTime | SqlType::Timestamp => "datetime(6)",
        SqlType::Json => "json",
        // Arrays are refused before this is asked.
        _ => "longtext",
    }
    .to_owned()
}
