//! Casts.

use emr_core::SqlType;

/// What stands around a value to make it one of another type.
pub(crate) fn cast(from: SqlType, to: SqlType) -> Option<(String, String)> {
    use SqlType::{Bool, Bytes, Date, DateTime, Decimal, F32, F64, I16, I32, I64, Text, Time, Timestamp, Unknown};
    let (before, after) = match (from, to) {
        (F32 | F64 | Decimal, I16 | I32 | I64) => ("CAST(round(", ") AS SIGNED)"),
        (I16 | I32 | I64 | Bool | Text | Unknown, I16 | I32 | I64) => ("CAST(", " AS SIGNED)"),
        (I16 | I32 | I64 | F32 | F64 | Text | Unknown, Decimal) => ("CAST(", " AS DECIMAL(57,28))"),
        // CAST AS DOUBLE is of 8.0.17.
        (I16 | I32 | I64 | F32 | F64 | Decimal | Text | Unknown, F32 | F64) => ("(", " + 0e0)"),
        (Bool, Text) => ("CASE ", " WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"),
        (I16 | I32 | I64 | F32 | F64 | Decimal | Unknown, Text) => ("CAST(", " AS CHAR)"),
        (Bytes, Text) => ("CONVERT(", " USING utf8mb4)"),
        (I16 | I32 | I64, Bool) => ("(", " <> 0)"),
        (Text | DateTime | Timestamp | Unknown, Date) => ("CAST(", " AS DATE)"),
        (Text | DateTime | Timestamp | Unknown, Time) => ("CAST(", " AS TIME(6))"),
        (Text | Date | DateTime | Timestamp | Unknown, DateTime | Timestamp) => ("CAST(", " AS DATETIME(6))"),
        (Unknown, Bool | Unknown) => ("", ""),
        _ => return None,
    };
    Some((before.to_owned(), after.to_owned()))
}
