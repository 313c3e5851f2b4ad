//! Carried values on their way through the log: in the server's own binary form, which no setting of the writer's session
//! changes and which is exact.

use emr_core::Value;
use emr_core::watch::WatchedColumn;
use tokio_postgres::types::Type;

use super::names::ident;
use crate::types::{Wire, decode_cell};

/// A column as the catalog describes it.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    /// The declared type: schema and name.
    pub(super) declared: String,
    /// The type under all domains.
    pub(super) base: u32,
    /// `b` of base types, `e` of enums, …
    pub(super) kind: String,
    pub(super) variable_length: bool,
    /// The function that writes the type's binary form.
    pub(super) send: String,
}

impl Column {
    /// The type as which the value travels: the column's own, or text.
    fn travels_as(&self) -> Type {
        let known = Type::from_oid(self.base).filter(|_| self.kind == "b");
        known.filter(|ty| Wire::of(ty) != Wire::Other).unwrap_or(Type::TEXT)
    }

    /// The number of the type as which the value travels.
    pub(super) fn wire_oid(&self) -> u32 {
        self.travels_as().oid()
    }

    /// The expression that writes the value of `row` into the log; values above `max_value` bytes are left out.
    pub(super) fn expression(&self, row: &str, max_value: Option<usize>) -> String {
        let cell = format!("{row}.{}", ident(&self.name));
        let send = match self.travels_as() {
            Type::BYTEA => format!("pg_catalog.decode('01', 'hex') || {cell}"),
            ty if ty.oid() == self.base => format!("{}({cell})", self.send),
            _ => format!("pg_catalog.textsend({cell}::pg_catalog.text)"),
        };
        match max_value {
            Some(most) if self.variable_length => format!(
                "CASE WHEN pg_catalog.pg_column_size({cell}) > {most} THEN pg_catalog.decode('00', 'hex') ELSE {send} END"
            ),
            _ => send,
        }
    }
}

/// Reads a value from the log. `None` for one that was left out, or that cannot be read any more.
pub(super) fn read(raw: Option<&[u8]>, oid: u32, column: &WatchedColumn) -> Option<Value<'static>> {
    let ty = Type::from_oid(oid)?;
    let Some(raw) = raw else {
        let declared = column.declared.map(|(schema, at)| schema.columns[at].ty);
        return Some(Value::Null(declared.unwrap_or_else(|| Wire::of(&ty).sql_type())));
    };
    let raw = match (raw, &ty) {
        // These are of one byte, and never left out.
        (_, &Type::BOOL | &Type::CHAR) => raw,
        ([0], _) => return None,
        ([1, bytes @ ..], &Type::BYTEA) => bytes,
        _ => raw,
    };
    let value = decode_cell(&ty, raw)?.into_owned();
    Some(fit(value, column))
}

/// The value as the struct's field has it. One that does not fit stays as the database has it: a change is told in any case.
fn fit(value: Value<'static>, column: &WatchedColumn) -> Value<'static> {
    let Some((schema, at)) = column.declared else { return value };
    let declared = &schema.columns[at];
    if declared.ty == value.sql_type() {
        return value;
    }
    (declared.fit)(value.clone()).unwrap_or(value)
}
