//! Rows of one batch that have the same key.

use std::collections::HashSet;
use std::fmt::Write;

use super::{Conflict, ConflictTarget};
use crate::error::{Error, Result};
use crate::insert::BulkInsert;
use crate::value::Value;

/// Refuses a batch that would change a row twice. PostgreSQL does so itself, but only within one statement; SQLite would
/// let the last one win, and MERGE fails in other words.
///
/// Equal means equal as values: two keys that only a collation or an expression of the index makes equal are found by the
/// database or not at all.
pub(crate) fn refuse_repeated(groups: &[BulkInsert], conflict: &Conflict) -> Result<()> {
    let ConflictTarget::Columns(target) = &conflict.target else { return Ok(()) };
    if conflict.assignments.is_none() || groups.iter().map(BulkInsert::len).sum::<usize>() < 2 {
        return Ok(());
    }
    let mut known: HashSet<String> = HashSet::new();
    for group in groups.iter().filter(|group| target.iter().all(|column| group.columns.contains(column))) {
        for row in 0..group.len() {
            let Some(key) = key(group, row, target) else { continue };
            if !known.insert(key) {
                let names: Vec<_> = target.iter().map(|&column| group.schema.columns[column].name).collect();
                return Err(Error::invalid(format!(
                    "two rows of the batch have the same {}: which of them shall change the row of {}?",
                    names.join(", "),
                    group.schema.table
                )));
            }
        }
    }
    Ok(())
}

/// A text that equal keys have in common; none for a key with NULL in it, which no other is equal to.
fn key(group: &BulkInsert, row: usize, target: &[usize]) -> Option<String> {
    let mut key = group.prefix.as_deref().unwrap_or_default().to_owned();
    for &column in target {
        // Lengths keep two columns apart that would run into each other.
        match group.cell(row, column) {
            Value::Null(_) => return None,
            Value::I16(number) => write!(key, "\0{number}"),
            Value::I32(number) => write!(key, "\0{number}"),
            Value::I64(number) => write!(key, "\0{number}"),
            Value::Text(text) => write!(key, "\0{}:{text}", text.len()),
            Value::Decimal(number) => write!(key, "\0{}", number.normalize()),
            Value::Uuid(id) => write!(key, "\0{id}"),
            Value::Bytes(bytes) => write!(key, "\0{bytes:?}"),
            other => {
                let text = format!("{other:?}");
                write!(key, "\0{}:{text}", text.len())
            }
        }
        .ok()?;
    }
    Some(key)
}
