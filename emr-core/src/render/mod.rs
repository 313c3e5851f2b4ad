//! From queries to SQL. The only place of EMR where statements are written.

mod condition;
mod ddl;
mod list;
mod lock;
mod read;
mod write;

pub use ddl::{create_table, drop_table};
pub use read::{count, exists, get, select};
pub use write::{delete_all, delete_by_key, insert, insert_rows, update_all, update_by_key};

use crate::schema::Schema;
use crate::sql::SqlBuilder;

/// The alias of the first table of a statement.
const ALIAS: &str = "t0";

/// Writes the table's name with its prefix.
pub(crate) fn table(out: &mut SqlBuilder<'_>, schema: &Schema, prefix: Option<&str>) {
    if let Some(prefix) = prefix.or(schema.prefix) {
        if !out.capabilities().prefixes {
            return out.unsupported("table prefixes");
        }
        out.ident(prefix).push(".");
    }
    out.ident(schema.table);
}

/// Writes `items` with `separator` between them.
fn separated<'q, T>(
    out: &mut SqlBuilder<'q>,
    separator: &str,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut SqlBuilder<'q>, T),
) {
    for (n, item) in items.into_iter().enumerate() {
        if n > 0 {
            out.push(separator);
        }
        write(out, item);
    }
}

/// Writes all columns of the schema, with `qualifier.` before each if there is one.
fn all_columns(out: &mut SqlBuilder<'_>, schema: &'static Schema, qualifier: Option<&str>) {
    out.of_schema(qualifier.unwrap_or_default(), schema, |out| {
        separated(out, ", ", schema.columns, |out, column| {
            if let Some(qualifier) = qualifier {
                out.push(qualifier).push(".");
            }
            out.ident(column.name);
        });
    });
}
