//! CREATE TABLE and DROP TABLE.

use crate::error::Error;
use crate::schema::{Generated, Schema};
use crate::sql::SqlBuilder;

use super::{separated, table};

/// Creates the table of a schema: its columns, types, defaults, primary key and unique columns.
pub fn create_table(out: &mut SqlBuilder<'_>, schema: &'static Schema, prefix: Option<&str>) {
    if schema.columns.is_empty() {
        return out.fail(Error::invalid(format!("{} has no columns: a table needs one", schema.name)));
    }
    out.push("CREATE TABLE ");
    table(out, schema, prefix);
    out.push(" (");
    let sole_key = schema.primary_key.len() == 1;
    let mut key_declared = false;
    separated(out, ", ", schema.columns.iter().enumerate(), |out, (at, column)| {
        let dialect = out.dialect();
        if matches!(column.ty, crate::SqlType::Array(_)) && !out.capabilities().arrays {
            out.unsupported(&format!("array columns ({}.{})", schema.table, column.name));
        }
        out.ident(column.name).push(" ");
        let is_key = schema.is_key(at);
        match column.generated {
            Generated::Identity => {
                let identity = dialect.identity(is_key && sole_key);
                match identity.column_type {
                    Some(name) => out.push(name),
                    None => out.push(&dialect.column_type(column)),
                };
                out.push(identity.suffix);
                key_declared |= identity.declares_key;
            }
            Generated::Stored(expression) => {
                out.push(&dialect.column_type(column)).push(&dialect.stored(expression));
            }
            Generated::No | Generated::Client(_) => {
                out.push(&dialect.column_type(column));
            }
        }
        if !column.nullable && !matches!(column.generated, Generated::Stored(_)) {
            out.push(" NOT NULL");
        }
        if let Some(default) = column.default {
            out.push(" DEFAULT ").push(default);
        }
        if column.unique {
            out.push(" UNIQUE");
        }
    });
    if !schema.primary_key.is_empty() && !key_declared {
        out.push(", PRIMARY KEY (");
        separated(out, ", ", schema.primary_key, |out, &column| {
            out.ident(schema.columns[column].name);
        });
        out.push(")");
    }
    out.push(")");
}

/// Drops the table of a schema.
pub fn drop_table(out: &mut SqlBuilder<'_>, schema: &'static Schema, prefix: Option<&str>, if_exists: bool) {
    out.push(if if_exists { "DROP TABLE IF EXISTS " } else { "DROP TABLE " });
    table(out, schema, prefix);
}
