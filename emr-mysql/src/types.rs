//! MySQL's types: as columns are declared, and on the wire in both directions.

mod decode;
mod encode;
mod slots;

use std::borrow::Cow;

use emr_core::{ColumnDef, SqlType};

pub(crate) use decode::{MySqlRow, type_name};
pub(crate) use encode::{encode, size};
pub(crate) use slots::Slots;

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

/// How a UUID is sent: as the column keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UuidForm {
    /// 16 bytes.
    Binary,
    /// 36 characters.
    Text,
}

impl UuidForm {
    /// Of a column, or of a parameter that belongs to none.
    pub(crate) fn of(column: Option<&ColumnDef>, usual: UuidForm) -> UuidForm {
        let Some(name) = column.and_then(|column| column.sql_type) else { return usual };
        let name = name.to_ascii_lowercase();
        if name.contains("binary") || name.contains("blob") { UuidForm::Binary } else { UuidForm::Text }
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
