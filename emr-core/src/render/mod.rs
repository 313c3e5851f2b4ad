//! From queries to SQL. The only place of EMR where statements are written.

mod again;
mod aggregate;
mod catalog;
mod condition;
mod ddl;
mod from;
mod function;
mod insert;
mod interval;
mod json;
mod list;
mod lock;
mod merge;
mod read;
mod returning;
mod scope;
mod select;
mod slice;
mod window;
mod write;

pub use again::{equal, inserted, outcome};
pub use catalog::table_exists;
pub use ddl::{create_table, drop_table};
pub(crate) use insert::{COUNT_WRITTEN, WRITTEN};
pub use insert::{Cell, Insert, OTHER_KEY, Returned, insert_select, insert_values, on_conflict, returning, upserted};
pub use read::{count, exists, get, select};
pub use write::{
    delete_all, delete_all_returning, delete_by_key, delete_guarded, insert, insert_rows, update_all,
    update_all_returning, update_by_key, update_guarded,
};

use crate::query::Source;
use crate::schema::Schema;
use crate::sql::{BindContext, SqlBuilder};
use crate::value::{SqlType, Value};

/// The alias of the first table of a statement.
const ALIAS: &str = "t0";

/// Writes the table's name with its prefix: the given one, or else its own.
pub(crate) fn table(out: &mut SqlBuilder<'_>, schema: &Schema, prefix: Option<&str>) {
    prefixed(out, schema.table, prefix.or(schema.prefix));
}

/// Writes the name of the table that a source stands for.
fn table_of_source(out: &mut SqlBuilder<'_>, source: &Source, schema: &Schema) {
    let name = source.table.as_deref().unwrap_or(schema.table);
    table_of(out, name, source.prefix.as_deref(), schema.prefix);
}

/// Writes a table's name with the prefix that the query gives it, or else the schema's, or else the call's.
fn table_of(out: &mut SqlBuilder<'_>, name: &str, given: Option<&str>, own: Option<&str>) {
    let prefix = given.or(own).or(out.call_prefix());
    prefixed(out, name, prefix);
}

fn prefixed(out: &mut SqlBuilder<'_>, name: &str, prefix: Option<&str>) {
    if let Some(prefix) = prefix {
        if !out.capabilities().prefixes {
            return out.unsupported("table prefixes");
        }
        out.ident(prefix).push(".");
    }
    out.ident(name);
}

/// Writes a parameter; with a type, so that a server that guesses types from the surroundings does not have to.
fn bound<'q>(out: &mut SqlBuilder<'q>, value: Value<'q>, context: BindContext, ty: Option<SqlType>) {
    match ty.and_then(|ty| out.dialect().parameter_cast(ty)) {
        Some(name) => {
            out.push("CAST(").bind(value, context).push(" AS ").push(&name).push(")");
        }
        None => {
            out.bind(value, context);
        }
    }
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
