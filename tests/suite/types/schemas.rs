//! A table with a column of each type, and the same with NULL allowed.

use std::fmt::Debug;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr::prelude::*;
use emr::uuid::Uuid;
use emr::{Changeset, QueryResult};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Stored as text.
#[derive(Syncable, Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Glad,
    VerySad,
    #[emr(rename = "ÄRGERLICH 'sehr'")]
    Angry,
}

/// Stored as an integer.
#[derive(Syncable, Debug, Clone, Copy, PartialEq)]
#[emr(integer)]
pub(crate) enum Level {
    Lowest = i32::MIN as isize,
    Middle = 0,
    Highest = i32::MAX as isize,
}

/// Stored as JSON.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) size: Option<i64>,
    pub(crate) ratio: f64,
    pub(crate) tags: Vec<String>,
}

macro_rules! of_columns {
    ($($field:ident $column:ident: $ty:ty,)*) => {
        #[derive(Syncable, Debug, Clone)]
        #[emr(table = "every_type")]
        pub(crate) struct Every {
            pub(crate) id: i64,
            $(pub(crate) $field: $ty,)*
        }

        #[derive(Syncable, Debug, Clone)]
        #[emr(table = "every_type_or_null")]
        pub(crate) struct Maybe {
            pub(crate) id: i64,
            $(pub(crate) $field: Option<$ty>,)*
        }

        impl Every {
            /// The changes with every column set to what it is here.
            pub(crate) fn set_all(&self, changes: Changeset<Every>) -> Changeset<Every> {
                changes$(.set(Every::$column, self.$field.clone()))*
            }

            /// For each column, conditions that hold for this row.
            pub(crate) fn conditions(&self) -> Vec<(&'static str, Expr<bool>)> {
                vec![$(
                    (stringify!($field = it), Every::$column.eq(self.$field.clone())),
                    (stringify!($field in it), Every::$column.in_list([self.$field.clone()])),
                )*]
            }

            /// The row as the cells of a result of raw SQL.
            pub(crate) fn of_cells(result: &QueryResult, row: usize) -> Result<Every> {
                Ok(Every { id: result.get(row, "id")?, $($field: result.get::<$ty>(row, stringify!($field))?,)* })
            }
        }

        impl Maybe {
            pub(crate) fn nothing(id: i64) -> Maybe {
                Maybe { id, $($field: None,)* }
            }

            pub(crate) fn of(row: Every) -> Maybe {
                Maybe { id: row.id, $($field: Some(row.$field),)* }
            }

            /// The row as the cells of a result of raw SQL.
            pub(crate) fn of_cells(result: &QueryResult, row: usize) -> Result<Maybe> {
                Ok(Maybe { id: result.get(row, "id")?, $($field: result.get::<Option<$ty>>(row, stringify!($field))?,)* })
            }

            /// For each column, whether it is NULL.
            pub(crate) fn nulls() -> Vec<Expr<bool>> {
                vec![$(Maybe::$column.is_null(),)*]
            }
        }
    };
}

of_columns! {
    truth TRUTH: bool,
    small SMALL: i16,
    medium MEDIUM: i32,
    large LARGE: i64,
    single SINGLE: f32,
    double DOUBLE: f64,
    number NUMBER: Decimal,
    text TEXT: String,
    bytes BYTES: Vec<u8>,
    uuid UUID: Uuid,
    day DAY: NaiveDate,
    clock CLOCK: NaiveTime,
    moment MOMENT: NaiveDateTime,
    instant INSTANT: DateTime<Utc>,
    json JSON: serde_json::Value,
    settings SETTINGS: Json<Settings>,
    mood MOOD: Mood,
    level LEVEL: Level,
}

/// Compares by `Debug`, which tells apart what `==` does not: the scales of decimals, the zeros of floats; and
/// finds NaN the same as itself.
#[track_caller]
pub(crate) fn assert_exact<T: Debug>(found: &T, wanted: &T) {
    assert_eq!(format!("{found:?}"), format!("{wanted:?}"));
}

/// As [`assert_exact`], row by row: thousands of rows are no message.
#[track_caller]
pub(crate) fn assert_all_exact<T: Debug>(found: &[T], wanted: &[T]) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert_exact(found, wanted);
    }
}
