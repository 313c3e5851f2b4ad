//! Functions of floats that SQLite has only where it was built with them.

use rusqlite::functions::Context;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Result};

use super::{describe, refused, scalar};

type Function = fn(f64) -> f64;

/// By the names that SQLite has for them. Out of range they are NULL, as there.
const FUNCTIONS: [(&str, Function); 11] = [
    ("acos", f64::acos),
    ("asin", f64::asin),
    ("atan", f64::atan),
    ("cos", f64::cos),
    ("sin", f64::sin),
    ("tan", f64::tan),
    ("sqrt", f64::sqrt),
    ("exp", f64::exp),
    ("ln", f64::ln),
    ("ceil", f64::ceil),
    ("floor", f64::floor),
];

pub(super) fn register(db: &Connection) -> Result<()> {
    for (name, function) in FUNCTIONS {
        // A build that has them has the better ones.
        if db.prepare(&format!("SELECT {name}(0.5)")).is_err() {
            scalar(db, name, 1, move |context| {
                let result = function(float(context)?);
                Ok(if result.is_nan() { Value::Null } else { Value::Real(result) })
            })?;
        }
    }
    Ok(())
}

fn float(context: &Context<'_>) -> Result<f64> {
    let found = match context.get_raw(0) {
        ValueRef::Real(number) => Some(number),
        #[allow(clippy::cast_precision_loss)] // floats are what is asked for
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    found.ok_or_else(|| refused(format!("{} where a number is wanted", describe(context.get_raw(0)))))
}
