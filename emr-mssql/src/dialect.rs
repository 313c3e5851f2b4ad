//! How SQL Server spells SQL.

use emr_core::{
    AggregateSql, AliasStyle, Capabilities, ColumnDef, Dialect, Function, Identity, InList, IntervalStyle, JsonStyle,
    Lexis, LimitStyle, LockStyle, SqlBuilder, SqlType, UpsertStyle,
};

use crate::capabilities::mssql_capabilities;
use crate::cast::cast;
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

/// How its lexer reads SQL.
const LEXIS: Lexis = Lexis { nested_comments: true, brackets: true, ..Lexis::PLAIN };

impl Dialect for MsSqlDialect {
    fn lexis(&self) -> &'static Lexis {
        &LEXIS
    }

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

    fn says_recursive(&self) -> bool {
        false
    }

    fn apply_joins(&self) -> bool {
        true
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

    fn upsert_style(&self) -> UpsertStyle {
        UpsertStyle::Merge
    }

    fn alias_style(&self) -> AliasStyle {
        AliasStyle::From
    }

    fn count(&self) -> &'static str {
        // COUNT is an int and overflows.
        "count_big(*)"
    }

    fn length(&self) -> (&'static str, &'static str) {
        // LEN leaves spaces at the end out.
        ("CAST(len(", " + N'.') - 1 AS bigint)")
    }

    fn concat_operator(&self) -> Option<&'static str> {
        // CONCAT takes NULL for an empty text.
        Some(" + ")
    }

    fn cast(&self, from: SqlType, to: SqlType) -> Option<(String, String)> {
        cast(from, to)
    }

    fn aggregate(&self, function: &Function, of: SqlType) -> AggregateSql {
        let plain = AggregateSql::plain(function);
        match (function, of) {
            // COUNT is an int and overflows.
            (Function::Count | Function::CountAll, _) => AggregateSql::named("count_big"),
            // A sum of ints is an int, and so is their mean.
            (Function::Sum, SqlType::I16 | SqlType::I32) => {
                AggregateSql { argument: ("CAST(", " AS bigint)"), ..plain }
            }
            (Function::Avg, SqlType::I16 | SqlType::I32 | SqlType::I64) => {
                AggregateSql { argument: ("CAST(", " AS float(53))"), ..plain }
            }
            _ => plain,
        }
    }

    fn now(&self) -> &'static str {
        "CAST(sysutcdatetime() AS datetimeoffset(6))"
    }

    fn interval_style(&self) -> IntervalStyle {
        IntervalStyle::DatePart
    }

    fn json_style(&self) -> JsonStyle {
        JsonStyle::OpenJson
    }

    fn ranking_needs_order(&self) -> bool {
        true
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

    fn current_schema(&self) -> &'static str {
        "schema_name()"
    }

    fn explain(&self) -> Option<&'static str> {
        // A plan is switched on for the session (SHOWPLAN_XML), not asked for in front of a query.
        None
    }
}
