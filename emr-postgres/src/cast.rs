//! Casts.

use emr_core::SqlType;

use crate::dialect::type_name;

/// What stands around a value to make it one of another type.
#[allow(clippy::match_same_arms)] // in the order of the types, each with its reason
pub(crate) fn cast(from: SqlType, to: SqlType) -> Option<(String, String)> {
    use SqlType::{
        Bool, Bytes, Date, DateTime, Decimal, F32, F64, I16, I32, I64, Text, Time, Timestamp, Unknown, Uuid,
    };
    let name = type_name(to);
    let by = |before: &str, after: &str| Some((before.to_owned(), after.to_owned()));
    let plain = || by("CAST(", &format!(" AS {name})"));
    match (from, to) {
        (Unknown, Unknown) => by("", ""),
        // Whoever wrote the SQL knows what it is.
        (Unknown, _) => plain(),
        // Floats would be rounded to even numbers.
        (F32 | F64 | Decimal, I16 | I32 | I64) => by("CAST(round(CAST(", &format!(" AS numeric)) AS {name})")),
        // All digits of a float, and not the first fifteen.
        (F32 | F64, Decimal) => by("CAST(CAST(", " AS text) AS numeric)"),
        (I16 | I32 | I64 | F32 | F64 | Decimal, I16 | I32 | I64 | F32 | F64 | Decimal | Text) => plain(),
        (Bool | Uuid, Text) => plain(),
        (Bool, I32) => plain(),
        (Bool, I16 | I64) => by("CAST(CAST(", &format!(" AS integer) AS {name})")),
        (I16 | I32 | I64, Bool) => by("(", " <> 0)"),
        (Bytes, Text) => by("convert_from(", ", 'UTF8')"),
        (Text, I16 | I32 | I64 | F32 | F64 | Decimal | Uuid | Date | Time | DateTime | Timestamp) => plain(),
        (DateTime, Date | Time) | (Date, DateTime) => plain(),
        (Timestamp, Date | Time) => by("CAST((", &format!(" AT TIME ZONE 'UTC') AS {name})")),
        (Timestamp, DateTime) | (DateTime, Timestamp) => by("(", " AT TIME ZONE 'UTC')"),
        (Date, Timestamp) => by("(CAST(", " AS timestamp) AT TIME ZONE 'UTC')"),
        _ => None,
    }
}
