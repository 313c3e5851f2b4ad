//! Casts.

use emr_core::SqlType;

/// What stands around a value to make it one of another type. No text is made a number or a time: in a query the server
/// takes as much of it as it understands, and makes 0 or NULL of the rest. `uuid` stands around a UUID to make it text.
pub(crate) fn cast(from: SqlType, to: SqlType, uuid: (&str, &str)) -> Option<(String, String)> {
    use SqlType::{
        Bool, Bytes, Date, DateTime, Decimal, F32, F64, I16, I32, I64, Text, Time, Timestamp, Unknown, Uuid,
    };
    let (before, after) = match (from, to) {
        // A cast would take the nearest integer that there is for one that is out of range; this fails. Floats would be
        // rounded to even numbers.
        (F32 | F64 | Decimal, I16 | I32 | I64) => ("(round(CAST(", " AS DECIMAL(65,20))) DIV 1)"),
        (I16 | I32 | I64 | Bool | Unknown, I16 | I32 | I64) => ("CAST(", " AS SIGNED)"),
        (I16 | I32 | I64 | F32 | F64 | Decimal | Unknown, Decimal) => ("CAST(", " AS DECIMAL(57,28))"),
        (I16 | I32 | I64 | F32 | F64 | Decimal | Unknown, F32) => ("CAST(", " AS FLOAT)"),
        (I16 | I32 | I64 | F32 | F64 | Decimal | Unknown, F64) => ("CAST(", " AS DOUBLE)"),
        (Bool, Text) => ("CASE ", " WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"),
        (Uuid, Text) => uuid,
        // The zeros at the end say how a column is declared.
        (Decimal, Text) => {
            ("TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM CAST(CAST(", " AS DECIMAL(65,28)) AS CHAR)))")
        }
        (I16 | I32 | I64 | F32 | F64 | Unknown, Text) => ("CAST(", " AS CHAR)"),
        (Bytes, Text) => ("CONVERT(", " USING utf8mb4)"),
        (I16 | I32 | I64, Bool) => ("(", " <> 0)"),
        (DateTime | Timestamp | Unknown, Date) => ("CAST(", " AS DATE)"),
        (DateTime | Timestamp | Unknown, Time) => ("CAST(", " AS TIME(6))"),
        (Date | DateTime | Timestamp | Unknown, DateTime | Timestamp) => ("CAST(", " AS DATETIME(6))"),
        (Unknown, Bool | Unknown) => ("", ""),
        _ => return None,
    };
    Some((before.to_owned(), after.to_owned()))
}
