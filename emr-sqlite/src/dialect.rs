//! How SQLite spells SQL.

use emr_core::{
    AggregateSql, Capabilities, ColumnDef, DecimalFunction, Dialect, Function, Identity, InList, IntervalStyle,
    IsolationLevel, JsonStyle, Lexis, OutcomeStyle, Returning, SqlBuilder, SqlType, UpsertStyle, Value, ValuesStyle,
};

use crate::functions::cast;

/// How SQLite spells SQL.
#[derive(Debug, Clone, Copy, Default)]
pub struct SqliteDialect;

/// The collation that orders the texts of decimals as numbers.
pub(crate) const DECIMAL_COLLATION: &str = "emr_decimal";

/// Longer lists travel as one JSON array, so that their length is not part of the statement.
const LONGEST_EXPANDED_LIST: usize = 256;

/// The engine's own limit (`SQLITE_MAX_VARIABLE_NUMBER`).
const MAX_PARAMETERS: usize = 32_766;

/// The name of the engine that is built in, with its version.
pub(crate) fn server() -> String {
    format!("SQLite {}", rusqlite::version())
}

/// What the engine that is built in can do.
pub(crate) fn capabilities() -> Capabilities {
    let number = u32::try_from(rusqlite::version_number()).unwrap_or_default();
    let mut can = Capabilities::minimal(server(), (number / 1_000_000, number / 1_000 % 1_000, number % 1_000));
    can.insert_returning = Returning::Clause;
    can.update_returning = Returning::Clause;
    can.delete_returning = Returning::Clause;
    can.max_parameters = MAX_PARAMETERS;
    can.nulls_order = true;
    can.full_join = true;
    can.materialized_ctes = true;
    can.quantified_comparison = false;
    can.aggregate_filter = true;
    can.transactional_ddl = true;
    can.isolation_levels = &[IsolationLevel::Serializable];
    can.read_only_transactions = true;
    can.advisory_locks = true;
    can.origins = true;
    can
}

/// How its lexer reads SQL (`src/tokenize.c`).
const LEXIS: Lexis = Lexis { backticks: true, brackets: true, ..Lexis::PLAIN };

impl Dialect for SqliteDialect {
    fn lexis(&self) -> &'static Lexis {
        &LEXIS
    }

    fn values_style(&self) -> ValuesStyle {
        ValuesStyle::Numbered
    }

    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn baseline(&self) -> Capabilities {
        capabilities()
    }

    fn placeholder(&self, out: &mut SqlBuilder<'_>, n: usize) {
        out.push("?").push_number(n as u64);
    }

    fn in_list(&self, len: usize, element: SqlType) -> InList {
        match element {
            SqlType::I16 | SqlType::I32 | SqlType::I64 | SqlType::Text | SqlType::Uuid
                if len > LONGEST_EXPANDED_LIST =>
            {
                InList::Json { before: "SELECT value FROM json_each(", after: ")" }
            }
            _ => InList::padded(len, LONGEST_EXPANDED_LIST),
        }
    }

    fn returns_by_alias(&self) -> bool {
        false
    }

    fn upsert_style(&self) -> UpsertStyle {
        // The engine tells nobody which branch it took: the update branch says so itself.
        UpsertStyle::OnConflict(OutcomeStyle::Marked {
            fresh: "emr_fresh()",
            mark: "emr_mark()",
            inserted: "emr_unmarked()",
        })
    }

    fn like_needs_escape(&self) -> bool {
        true
    }

    fn case_functions(&self) -> (&'static str, &'static str) {
        ("emr_lower", "emr_upper")
    }

    fn length(&self) -> (&'static str, &'static str) {
        ("length(", ")")
    }

    fn round(&self, _ty: SqlType) -> [&'static str; 3] {
        ["emr_round(", ", ", ")"]
    }

    fn cast(&self, from: SqlType, to: SqlType) -> Option<(String, String)> {
        cast(from, to)
    }

    fn decimal_function(&self, function: DecimalFunction) -> Option<&'static str> {
        Some(match function {
            DecimalFunction::Add => "emr_add",
            DecimalFunction::Sub => "emr_sub",
            DecimalFunction::Mul => "emr_mul",
            DecimalFunction::Div => "emr_div",
            DecimalFunction::Abs => "emr_abs",
        })
    }

    fn aggregate(&self, function: &Function, of: SqlType) -> AggregateSql {
        match (function, of) {
            (Function::Sum, SqlType::Decimal) => AggregateSql::named("emr_sum"),
            (Function::Avg, SqlType::Decimal) => AggregateSql::named("emr_avg"),
            _ => AggregateSql::plain(function),
        }
    }

    fn now(&self) -> &'static str {
        "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"
    }

    fn interval_style(&self) -> IntervalStyle {
        IntervalStyle::Functions { months: "emr_add_months", micros: "emr_add_micros" }
    }

    fn json_style(&self) -> JsonStyle {
        JsonStyle::Extract { whole: "emr_whole" }
    }

    fn collation(&self, ty: SqlType) -> Option<&'static str> {
        (ty == SqlType::Decimal).then_some(DECIMAL_COLLATION)
    }

    fn column_type(&self, column: &ColumnDef) -> String {
        if let Some(spelt) = column.sql_type {
            return spelt.to_owned();
        }
        match column.ty {
            SqlType::Bool | SqlType::I16 | SqlType::I32 | SqlType::I64 => "INTEGER",
            SqlType::F32 | SqlType::F64 => "REAL",
            SqlType::Bytes => "BLOB",
            _ => "TEXT",
        }
        .to_owned()
    }

    fn identity(&self, sole_key: bool) -> Identity {
        if sole_key {
            // AUTOINCREMENT: the key of a deleted row never comes back for another one.
            Identity { column_type: Some("INTEGER"), suffix: " PRIMARY KEY AUTOINCREMENT", declares_key: true }
        } else {
            Identity { column_type: Some("INTEGER"), suffix: "", declares_key: false }
        }
    }

    fn tables_named<'q>(&self, out: &mut SqlBuilder<'q>, table: Value<'q>, _prefix: Option<Value<'q>>) {
        out.push(" FROM (SELECT type, name FROM sqlite_master UNION ALL SELECT type, name FROM sqlite_temp_master)");
        // The engine finds tables without regard to case.
        out.push(" WHERE type IN ('table', 'view') AND name = ").bind(table, None).push(" COLLATE NOCASE");
    }

    fn explain(&self) -> Option<&'static str> {
        Some("EXPLAIN QUERY PLAN ")
    }
}
