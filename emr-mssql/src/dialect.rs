//! How SQL Server spells SQL.

use emr_core::{
    AliasStyle, Capabilities, ColumnDef, Dialect, Identity, InList, LimitStyle, LockStyle, SqlBuilder, SqlType,
};

use crate::capabilities::mssql_capabilities;
use crate::types::column_type;

/// How SQL Server spells SQL, from 2016 on (the first with OPENJSON).
#[derive(Debug, Clone, Copy, Default)]
pub struct MsSqlDialect;

/// Lists up to this length are bound value by value, padded so that texts repeat; longer ones of
/// integers, texts and UUIDs go as one JSON array.
const MAX_EXPANDED: usize = 128;

/// Lists that JSON cannot carry are padded up to this length: beyond it, padding would use up the parameters.
const MAX_PADDED: usize = 1_024;

const fn open_json(after: &'static str) -> InList {
    InList::Json { before: "SELECT j.v FROM OPENJSON(", after }
}

impl Dialect for MsSqlDialect {
    fn name(&self) -> &'static str {
        "mssql"
    }

    fn baseline(&self) -> Capabilities {
        mssql_capabilities((13, 0, 0))
    }

    fn quotes(&self) -> (char, char) {
        ('[', ']')
    }

    fn placeholder(&self, out: &mut SqlBuilder<'_>, n: usize) {
        out.push("@P").push_number(n as u64);
    }

    fn limit_style(&self) -> LimitStyle {
        LimitStyle::TopFetch
    }

    fn in_list(&self, len: usize, element: SqlType) -> InList {
        match element {
            SqlType::I16 | SqlType::I32 | SqlType::I64 if len > MAX_EXPANDED => open_json(") WITH (v bigint '$') AS j"),
            SqlType::Text if len > MAX_EXPANDED => open_json(") WITH (v nvarchar(max) '$') AS j"),
            SqlType::Uuid if len > MAX_EXPANDED => open_json(") WITH (v uniqueidentifier '$') AS j"),
            _ => InList::padded(len, MAX_PADDED),
        }
    }

    fn lock_style(&self) -> LockStyle {
        LockStyle::TableHint
    }

    fn alias_style(&self) -> AliasStyle {
        AliasStyle::From
    }

    fn count(&self) -> &'static str {
        // COUNT is an int and overflows.
        "count_big(*)"
    }

    fn identity_insert(&self) -> bool {
        true
    }

    fn like_needs_escape(&self) -> bool {
        true
    }

    fn like_extra_wildcards(&self) -> &'static [char] {
        &['[']
    }

    fn condition(&self, value: bool) -> &'static str {
        if value { "1 = 1" } else { "1 = 0" }
    }

    fn bool_is_condition(&self) -> bool {
        false
    }

    fn column_type(&self, column: &ColumnDef) -> String {
        column_type(column, column.unique)
    }

    fn key_column_type(&self, column: &ColumnDef) -> String {
        column_type(column, true)
    }

    fn identity(&self, _sole_key: bool) -> Identity {
        Identity { column_type: None, suffix: " IDENTITY(1,1)", declares_key: false }
    }

    fn stored_column(&self, _column: &ColumnDef, expression: &str) -> String {
        // The type is that of the expression.
        format!("AS ({expression}) PERSISTED")
    }

    fn unique_skips_nulls(&self) -> bool {
        // UNIQUE takes one NULL and refuses the second.
        false
    }

    fn savepoint(&self, name: &str) -> String {
        format!("SAVE TRANSACTION {name}")
    }

    fn rollback_to(&self, name: &str) -> String {
        format!("ROLLBACK TRANSACTION {name}")
    }

    fn release(&self, _name: &str) -> Option<String> {
        None
    }

    fn explain(&self) -> Option<&'static str> {
        // A plan is switched on for the session (SHOWPLAN_XML), not asked for in front of a query.
        None
    }
}
