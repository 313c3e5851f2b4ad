//! CREATE TABLE and DROP TABLE.

use crate::dialect::Dialect;
use crate::error::Error;
use crate::schema::{ColumnDef, Generated, Schema};
use crate::sql::SqlBuilder;
use crate::value::SqlType;

use super::{separated, table};

/// Creates the table of a schema: its columns, types, defaults, primary key and unique columns.
pub fn create_table(out: &mut SqlBuilder<'_>, schema: &'static Schema, prefix: Option<&str>) {
    if schema.columns.is_empty() {
        return out.fail(Error::invalid(format!("{} has no columns: a table needs one", schema.name)));
    }
    out.push("CREATE TABLE ");
    table(out, schema, prefix);
    out.push(" (");
    let mut key_declared = false;
    separated(out, ", ", 0..schema.columns.len(), |out, at| key_declared |= column(out, schema, at));
    if !schema.primary_key.is_empty() && !key_declared {
        out.push(", PRIMARY KEY (");
        separated(out, ", ", schema.primary_key, |out, &column| {
            out.ident(schema.columns[column].name);
        });
        out.push(")");
    }
    let dialect = out.dialect();
    for column in schema.columns.iter().filter(|column| is_filtered_index(dialect, column)) {
        out.push(", INDEX ").ident(&format!("{}_{}_index", schema.table, column.name));
        out.push(" UNIQUE (").ident(column.name).push(") WHERE ").ident(column.name).push(" IS NOT NULL");
    }
    out.push(")").push(dialect.table_options());
}

/// Writes one column; whether it declared the primary key.
fn column(out: &mut SqlBuilder<'_>, schema: &'static Schema, at: usize) -> bool {
    let dialect = out.dialect();
    let column = &schema.columns[at];
    if matches!(column.ty, SqlType::Array(_)) && !out.capabilities().arrays {
        out.unsupported(&format!("array columns ({}.{})", schema.table, column.name));
    }
    out.ident(column.name).push(" ");
    let mut declares_key = false;
    match column.generated {
        Generated::Identity => {
            let identity = dialect.identity(schema.is_key(at) && schema.primary_key.len() == 1);
            match identity.column_type {
                Some(name) => out.push(name),
                None => out.push(&dialect.column_type(column)),
            };
            out.push(identity.suffix);
            declares_key = identity.declares_key;
        }
        Generated::Stored(expression) => {
            out.push(&dialect.stored_column(column, expression));
        }
        Generated::No | Generated::Client(_) if schema.is_key(at) => {
            out.push(&dialect.key_column_type(column));
        }
        Generated::No | Generated::Client(_) => {
            out.push(&dialect.column_type(column));
        }
    }
    if !matches!(column.generated, Generated::Stored(_)) {
        // A setting of SQL Server decides what a column is that says neither.
        out.push(if column.nullable { " NULL" } else { " NOT NULL" });
    }
    if let Some(default) = column.default {
        // In brackets it may be any expression on every engine.
        out.push(" DEFAULT (").push(default).push(")");
    }
    if column.unique && !is_filtered_index(dialect, column) {
        out.push(" UNIQUE");
    }
    declares_key
}

fn is_filtered_index(dialect: &dyn Dialect, column: &ColumnDef) -> bool {
    column.unique && column.nullable && !dialect.unique_skips_nulls()
}

/// Drops the table of a schema.
pub fn drop_table(out: &mut SqlBuilder<'_>, schema: &'static Schema, prefix: Option<&str>, if_exists: bool) {
    out.push(if if_exists { "DROP TABLE IF EXISTS " } else { "DROP TABLE " });
    table(out, schema, prefix);
}
