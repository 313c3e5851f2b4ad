//! Questions about the database itself.

use crate::sql::{Effect, SqlBuilder};
use crate::value::Value;

/// `SELECT count(*)` of the tables and views of this name, in the schema or database of this name, or else where the
/// engine would find a table that names none.
pub fn table_exists<'q>(out: &mut SqlBuilder<'q>, table: &'q str, prefix: Option<&'q str>) {
    out.effect(Effect::Read);
    if prefix.is_some() && !out.capabilities().prefixes {
        return out.unsupported("table prefixes");
    }
    let dialect = out.dialect();
    out.push("SELECT ").push(dialect.count());
    dialect.tables_named(out, Value::Text(table.into()), prefix.map(|prefix| Value::Text(prefix.into())));
}
