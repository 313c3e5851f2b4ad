//! The functions that EMR gives to SQLite.

mod cast;
mod decimal;
mod mark;
mod math;
mod text;
mod time;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Error, Result};
use rust_decimal::Decimal;

pub(crate) use cast::cast;

/// They give the same for the same, and do no harm in views and triggers that somebody else wrote.
const FLAGS: FunctionFlags =
    FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC).union(FunctionFlags::SQLITE_INNOCUOUS);

/// Gives all functions to a connection.
pub(crate) fn register(db: &Connection) -> Result<()> {
    cast::register(db)?;
    decimal::register(db)?;
    mark::register(db)?;
    math::register(db)?;
    text::register(db)?;
    time::register(db)
}

/// Gives a function of `arguments` arguments that is NULL where one of them is.
fn scalar(
    db: &Connection,
    name: &str,
    arguments: i32,
    function: impl Fn(&Context<'_>) -> Result<Value> + Send + 'static,
) -> Result<()> {
    db.create_scalar_function(name, arguments, FLAGS, move |context| {
        if (0..context.len()).any(|at| context.get_raw(at) == ValueRef::Null) {
            return Ok(ToSqlOutput::Owned(Value::Null));
        }
        function(context).map(ToSqlOutput::Owned)
    })
}

/// The error that the statement fails with.
fn refused(problem: impl Into<String>) -> Error {
    Error::UserFunctionError(problem.into().into())
}

/// The argument as text.
fn text_of<'c>(context: &'c Context<'_>, at: usize) -> Result<&'c str> {
    match context.get_raw(at) {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_err(|_| refused("text that is not UTF-8")),
        other => Err(refused(format!("{} where text is wanted", describe(other)))),
    }
}

fn integer_of(context: &Context<'_>, at: usize) -> Result<i64> {
    match context.get_raw(at) {
        ValueRef::Integer(number) => Ok(number),
        other => Err(refused(format!("{} where an integer is wanted", describe(other)))),
    }
}

/// The number as a decimal: integers, floats by the shortest text that means them, and texts of digits.
fn decimal_of(value: ValueRef<'_>) -> Result<Decimal> {
    let found = match value {
        ValueRef::Integer(number) => Some(number.into()),
        ValueRef::Real(number) => decimal_of_float(number),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok().and_then(crate::types::decimal),
        _ => None,
    };
    found.ok_or_else(|| refused(format!("{} is no decimal, or one of too many digits", describe(value))))
}

fn decimal_of_float(number: f64) -> Option<Decimal> {
    let text = number.to_string();
    // Digits behind the 28th place mean nothing to a decimal, but are no error in a float.
    Decimal::from_str_exact(&text).or_else(|_| text.parse()).ok()
}

fn describe(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => format!("the integer {number}"),
        ValueRef::Real(number) => format!("the float {number}"),
        ValueRef::Text(bytes) => format!("a text of {} bytes", bytes.len()),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}
