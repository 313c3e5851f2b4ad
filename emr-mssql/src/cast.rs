//! Casts.

use emr_core::SqlType;

/// What stands around a value to make it one of another type.
#[allow(clippy::match_same_arms)] // in the order of the types, each with its reason
pub(crate) fn cast(from: SqlType, to: SqlType) -> Option<(String, String)> {
    use SqlType::{Bool, Date, DateTime, Decimal, F32, F64, I16, I32, I64, Text, Time, Timestamp, Unknown, Uuid};
    let name = match to {
        Bool => "bit",
        I16 => "smallint",
        I32 => "int",
        I64 => "bigint",
        F32 => "real",
        F64 => "float(53)",
        Decimal => "decimal(38,18)",
        Text => "nvarchar(max)",
        Uuid => "uniqueidentifier",
        Date => "date",
        Time => "time(6)",
        DateTime => "datetime2(6)",
        Timestamp => "datetimeoffset(6)",
        _ => return None,
    };
    let by = |before: &str, after: &str| Some((before.to_owned(), after.to_owned()));
    let plain = || by("CAST(", &format!(" AS {name})"));
    match (from, to) {
        (Unknown, _) => plain(),
        // A cast would cut the fraction off.
        (F32 | F64 | Decimal, I16 | I32 | I64) => by("CAST(round(", &format!(", 0) AS {name})")),
        (I16 | I32 | I64 | F32 | F64 | Decimal, I16 | I32 | I64 | F32 | F64 | Decimal) => plain(),
        (I16 | I32 | I64 | Decimal | Uuid, Text) => plain(),
        // Six digits are not all of a float.
        (F32 | F64, Text) => by("CONVERT(nvarchar(max), ", ", 3)"),
        (Bool, Text) => by("CASE ", " WHEN 1 THEN N'true' WHEN 0 THEN N'false' END"),
        (Bool, I16 | I32 | I64) | (I16 | I32 | I64, Bool) => plain(),
        (Text, I16 | I32 | I64 | F32 | F64 | Decimal | Uuid | Date | Time | DateTime | Timestamp) => plain(),
        (DateTime, Date | Time | Timestamp) | (Date, DateTime | Timestamp) => plain(),
        (Timestamp, Date | Time | DateTime) => by("CAST(SWITCHOFFSET(", &format!(", '+00:00') AS {name})")),
        _ => None,
    }
}
