//! What an insert has written, selected again where the server gives nothing back.

use crate::insert::BulkInsert;
use crate::schema::Schema;
use crate::sql::{Effect, SqlBuilder};
use crate::value::Value;

use super::insert::{MARK_AS_OUTCOME, is_counted};
use super::{ALIAS, all_columns, separated, table_of};

/// Selects the rows that one INSERT has written, in their order. `first` is the key that the database counted for the first
/// of them; those of the others follow it by the step that the session counts by, as their number was known beforehand.
pub fn inserted<'q>(out: &mut SqlBuilder<'q>, rows: &'q BulkInsert, first: Option<i64>) {
    let schema = rows.schema;
    out.effect(Effect::Read);
    out.push("SELECT ");
    all_columns(out, schema, Some(ALIAS));
    out.push(" FROM ");
    table_of(out, schema.table, rows.prefix.as_deref(), schema.prefix);
    out.push(" AS ").push(ALIAS).push(" WHERE ");
    match schema.primary_key {
        [key] if is_counted(schema, *key) && !rows.columns.contains(key) => {
            counted(out, schema, *key, first, rows.len());
        }
        _ => {
            separated(out, " OR ", 0..rows.len(), |out, row| of_key(out, rows, row, first));
            if rows.len() > 1 {
                out.push(" ORDER BY CASE");
                for row in 0..rows.len() {
                    out.push(" WHEN ");
                    of_key(out, rows, row, first);
                    out.push(" THEN ").push_number(row as u64);
                }
                out.push(" END");
            }
        }
    }
}

/// Selects a row that has these values in all columns: a table without a key has nothing else to find it by, and of several
/// such rows one is like the other.
pub fn equal<'q>(
    out: &mut SqlBuilder<'q>,
    schema: &'static Schema,
    prefix: Option<&str>,
    values: &'q [Value<'static>],
) {
    out.effect(Effect::Read);
    out.push("SELECT ");
    all_columns(out, schema, Some(ALIAS));
    out.push(" FROM ");
    table_of(out, schema.table, prefix, schema.prefix);
    out.push(" AS ").push(ALIAS).push(" WHERE ");
    separated(out, " AND ", values.iter().enumerate(), |out, (column, value)| {
        out.push(ALIAS).push(".").ident(schema.columns[column].name);
        out.push(" <=> ").bind(value.borrowed(), Some((schema, column)));
    });
    out.push(" LIMIT 1");
}

/// Selects what became of the row that an upsert of a single one has written or met: whether it is new, and NULL where it
/// was left alone.
pub fn outcome(out: &mut SqlBuilder<'_>) {
    out.effect(Effect::Read);
    out.push("SELECT ").push(MARK_AS_OUTCOME);
}

/// The rows whose keys were counted from the first on. The distance is subtracted, as the sum could be too large.
fn counted(out: &mut SqlBuilder<'_>, schema: &'static Schema, key: usize, first: Option<i64>, rows: usize) {
    let step = out.dialect().counted_step();
    let column = |out: &mut SqlBuilder<'_>| {
        out.push(ALIAS).push(".").ident(schema.columns[key].name);
    };
    let first = |out: &mut SqlBuilder<'_>| {
        out.bind(first.map_or(Value::Null(schema.columns[key].ty), Value::I64), Some((schema, key)));
    };
    column(out);
    out.push(" >= ");
    first(out);
    out.push(" AND ");
    column(out);
    out.push(" - ");
    first(out);
    out.push(" < ").push_number(rows as u64).push(" * ").push(step).push(" AND (");
    column(out);
    out.push(" - ");
    first(out);
    out.push(") % ").push(step).push(" = 0 ORDER BY ");
    column(out);
}

/// The condition that a row has the key of one of the new rows.
fn of_key<'q>(out: &mut SqlBuilder<'q>, rows: &'q BulkInsert, row: usize, first: Option<i64>) {
    let schema = rows.schema;
    let step = out.dialect().counted_step();
    separated(out, " AND ", schema.primary_key, |out, &column| {
        out.push(ALIAS).push(".").ident(schema.columns[column].name).push(" = ");
        if rows.columns.contains(&column) {
            out.bind(rows.cell(row, column), Some((schema, column)));
        } else {
            out.bind(first.map_or(Value::Null(schema.columns[column].ty), Value::I64), Some((schema, column)));
            out.push(" + ").push_number(row as u64).push(" * ").push(step);
        }
    });
}
