//! How one engine spells SQL.

use crate::capabilities::Capabilities;
use crate::explain::ExplainOptions;
use crate::expr::Function;
use crate::lexis::Lexis;
use crate::schema::ColumnDef;
use crate::sql::SqlBuilder;
use crate::value::{SqlType, Value};

/// How one engine spells SQL. What a server *can* do is in [`Capabilities`]; the renderer in
/// [`render`](crate::render) asks both, and no other part of EMR writes SQL.
pub trait Dialect: Send + Sync + 'static {
    /// The engine's name as the `database` option writes it.
    fn name(&self) -> &'static str;

    /// What the oldest supported server can do: for SQL that is made before a connection exists.
    fn baseline(&self) -> Capabilities;

    /// How its lexer reads SQL.
    fn lexis(&self) -> &'static Lexis {
        &Lexis::PLAIN
    }

    /// Whether a statement that begins with these words commits what was done before it, as DDL does on some engines.
    /// There are four; those after the statement's end are empty.
    fn commits_by_itself(&self, _words: [&str; 4]) -> bool {
        false
    }

    /// The quotes around identifiers. The closing one is doubled inside.
    fn quotes(&self) -> (char, char) {
        ('"', '"')
    }

    /// Writes the mark of the `n`th parameter, counted from 1.
    fn placeholder(&self, out: &mut SqlBuilder<'_>, n: usize);

    /// How LIMIT and OFFSET are written.
    fn limit_style(&self) -> LimitStyle {
        LimitStyle::LimitOffset
    }

    /// How a list of values that a column is looked up in is sent.
    fn in_list(&self, len: usize, element: SqlType) -> InList;

    /// How rows are locked by a query.
    fn lock_style(&self) -> LockStyle {
        LockStyle::Suffix
    }

    /// What stands behind a query that locks its rows against writers only.
    fn share_lock(&self) -> &'static str {
        " FOR SHARE"
    }

    /// How UPDATE and DELETE name their table when it has an alias.
    fn alias_style(&self) -> AliasStyle {
        AliasStyle::InPlace
    }

    /// Whether an UPDATE sets one column after the other, so that the second assignment reads what the
    /// first one wrote. SQL says that all read the old row.
    fn assigns_in_turn(&self) -> bool {
        false
    }

    /// The call that counts rows in 64 bits.
    fn count(&self) -> &'static str {
        "count(*)"
    }

    /// The operator that divides integers and drops the remainder.
    fn integer_division(&self) -> &'static str {
        " / "
    }

    /// By how much a counted key is larger than the one before it, in one statement.
    fn counted_step(&self) -> &'static str {
        "1"
    }

    /// How a row of nothing but defaults is inserted.
    fn default_row(&self) -> &'static str {
        " DEFAULT VALUES"
    }

    /// How an insert says what is done where a key is taken.
    fn upsert_style(&self) -> UpsertStyle {
        UpsertStyle::DuplicateKey
    }

    /// Whether `ON DUPLICATE KEY UPDATE` knows the row that was not inserted by a name. Else a function gives its columns.
    fn names_new_row(&self) -> bool {
        false
    }

    /// Whether RETURNING calls the table of an UPDATE or DELETE by its alias. Else by its own name.
    fn returns_by_alias(&self) -> bool {
        true
    }

    /// Whether a parameter has a number by which it can be used again.
    fn numbered_placeholders(&self) -> bool {
        true
    }

    /// Whether a statement that sets a counted column must be wrapped in `SET IDENTITY_INSERT`.
    fn identity_insert(&self) -> bool {
        false
    }

    /// Whether LIKE must be told that `\` escapes.
    fn like_needs_escape(&self) -> bool {
        false
    }

    /// Characters beside `%`, `_` and `\` that LIKE gives a meaning, to be escaped in patterns.
    fn like_extra_wildcards(&self) -> &'static [char] {
        &[]
    }

    /// A collation that comparing and ordering values of this type needs.
    fn collation(&self, _ty: SqlType) -> Option<&'static str> {
        None
    }

    /// How TRUE and FALSE are written where a condition stands.
    fn condition(&self, value: bool) -> &'static str {
        if value { "TRUE" } else { "FALSE" }
    }

    /// Whether conditions are values and columns of truth values are conditions. Else the column is
    /// compared with 1, and a condition that stands for a value becomes a CASE.
    fn bool_is_condition(&self) -> bool {
        true
    }

    /// The column type in a CREATE TABLE.
    fn column_type(&self, column: &ColumnDef) -> String;

    /// The same for a column of the primary key, where the engine cannot index every type.
    fn key_column_type(&self, column: &ColumnDef) -> String {
        self.column_type(column)
    }

    /// What follows the type of a column that the database counts. `sole_key` when it is the whole
    /// primary key.
    fn identity(&self, sole_key: bool) -> Identity;

    /// What follows the type of a column that the database computes from `expression`.
    fn stored(&self, expression: &str) -> String {
        format!(" GENERATED ALWAYS AS ({expression}) STORED")
    }

    /// The type of such a column and what follows it, for an engine that takes no type there.
    fn stored_column(&self, column: &ColumnDef, expression: &str) -> String {
        self.column_type(column) + &self.stored(expression)
    }

    /// Whether UNIQUE lets any number of rows be NULL, as SQL has it. Else a unique index leaves them out.
    fn unique_skips_nulls(&self) -> bool {
        true
    }

    /// What follows the brackets of a CREATE TABLE.
    fn table_options(&self) -> &'static str {
        ""
    }

    /// The statement that sets a savepoint.
    fn savepoint(&self, name: &str) -> String {
        format!("SAVEPOINT {name}")
    }

    /// The statement that undoes what was done since a savepoint and keeps it.
    fn rollback_to(&self, name: &str) -> String {
        format!("ROLLBACK TO SAVEPOINT {name}")
    }

    /// The statement that forgets a savepoint, where the engine has one.
    fn release(&self, name: &str) -> Option<String> {
        Some(format!("RELEASE SAVEPOINT {name}"))
    }

    /// The statement that keeps other transactions from locking the same table until this one ends, where
    /// beginning a transaction does not do that already. For migrations.
    fn lock_table(&self, _quoted_table: &str) -> Option<String> {
        None
    }

    /// The type that a parameter is cast to where nothing around it tells its type, for an engine that guesses it.
    fn parameter_cast(&self, _ty: SqlType) -> Option<String> {
        None
    }

    /// The type that every parameter of this type is cast to, for an engine that would take it for one of another type.
    fn parameter_type(&self, _ty: SqlType) -> Option<&'static str> {
        None
    }

    /// How a list of values stands in FROM.
    fn values_style(&self) -> ValuesStyle {
        ValuesStyle::Named
    }

    /// Whether a recursive common table expression must be called so.
    fn says_recursive(&self) -> bool {
        true
    }

    /// Whether lateral joins are written CROSS APPLY and OUTER APPLY.
    fn apply_joins(&self) -> bool {
        false
    }

    /// The functions that lower and raise the case of text.
    fn case_functions(&self) -> (&'static str, &'static str) {
        ("lower", "upper")
    }

    /// What stands around a text to make it the number of its characters, in 64 bits.
    fn length(&self) -> (&'static str, &'static str) {
        ("char_length(", ")")
    }

    /// The operator that puts one text behind the other; `None` where that is the function `concat`.
    fn concat_operator(&self) -> Option<&'static str> {
        Some(" || ")
    }

    /// What stands before, between and behind a number and its digits to round it.
    fn round(&self, _ty: SqlType) -> [&'static str; 3] {
        ["round(", ", ", ")"]
    }

    /// What stands around a value of one type to make it another one, for casts that mean the same everywhere; see
    /// [`cast`](crate::functions::cast). `from` is [`SqlType::Unknown`] for SQL text.
    fn cast(&self, _from: SqlType, _to: SqlType) -> Option<(String, String)> {
        None
    }

    /// The function that calculates with decimals, for an engine that has none of its own.
    fn decimal_function(&self, _function: DecimalFunction) -> Option<&'static str> {
        None
    }

    /// How an aggregate of values of this type is written, so that the result has the type that EMR promises.
    fn aggregate(&self, function: &Function, _of: SqlType) -> AggregateSql {
        AggregateSql::plain(function)
    }

    /// The server's time in UTC.
    fn now(&self) -> &'static str {
        "statement_timestamp()"
    }

    /// How time is added to times.
    fn interval_style(&self) -> IntervalStyle {
        IntervalStyle::Interval
    }

    /// How places in JSON documents are read.
    fn json_style(&self) -> JsonStyle {
        JsonStyle::PathQuery
    }

    /// Whether a ranking window function must be given an order.
    fn ranking_needs_order(&self) -> bool {
        false
    }

    /// The prefix that shows a query's plan, where there is one.
    fn explain(&self) -> Option<&'static str> {
        Some("EXPLAIN ")
    }

    /// Writes what stands before a statement whose plan is asked for, or refuses options that the engine does not have.
    fn explain_with(&self, out: &mut SqlBuilder<'_>, options: &ExplainOptions) {
        match self.explain() {
            Some(explain) if options.is_plain() => {
                out.push(explain);
            }
            Some(_) if options.analyze => out.unsupported("plans of statements that run"),
            Some(_) => out.unsupported("options of plans"),
            None => out.unsupported("explain"),
        }
    }

    /// How the plan of a statement for any parameters is asked for, where it can be: the statement is prepared under
    /// this name. All of it happens in a transaction that is rolled back.
    fn generic_plan(&self, _name: &str, _sql: &str, _parameters: usize) -> Option<GenericPlan> {
        None
    }

    /// Writes ` FROM … WHERE …` that gives a row for each table and view of this name, in this schema or database, or
    /// else where the engine would find a table that names none.
    fn tables_named<'q>(&self, out: &mut SqlBuilder<'q>, table: Value<'q>, prefix: Option<Value<'q>>) {
        out.push(" FROM information_schema.tables WHERE table_name = ").bind(table, None).push(" AND table_schema = ");
        match prefix {
            Some(prefix) => out.bind(prefix, None),
            None => out.push(self.current_schema()),
        };
    }

    /// The call that gives the schema or database of tables that name none.
    fn current_schema(&self) -> &'static str {
        "current_schema()"
    }
}

/// How the plan of a statement for any parameters is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenericPlan {
    /// Statements that come first.
    pub before: Vec<String>,
    /// The statement whose plan is asked for, behind [`Dialect::explain_with`].
    pub statement: String,
    /// Statements that come last.
    pub after: Vec<String>,
}

/// How an aggregate is written: `open name ( argument.0 x argument.1 ) close`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the line above
pub struct AggregateSql {
    pub open: &'static str,
    pub name: &'static str,
    pub argument: (&'static str, &'static str),
    pub close: &'static str,
}

impl AggregateSql {
    /// By the name that the SQL standard has for it.
    pub fn plain(function: &Function) -> Self {
        AggregateSql::named(match function {
            Function::Sum => "sum",
            Function::Avg => "avg",
            Function::Min => "min",
            Function::Max => "max",
            _ => "count",
        })
    }

    /// By this name.
    pub fn named(name: &'static str) -> Self {
        AggregateSql { open: "", name, argument: ("", ""), close: "" }
    }
}

/// What is calculated with decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum DecimalFunction {
    Add,
    Sub,
    Mul,
    Div,
    Abs,
}

/// How time is added to times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalStyle {
    /// `time + make_interval(…)`, instants by way of UTC.
    Interval,
    /// `date_add(time, INTERVAL n MICROSECOND)`.
    DateAdd,
    /// `dateadd(microsecond, n, time)`, where n has 32 bits.
    DatePart,
    /// Functions of EMR's own: one that adds months, and one that adds a number of units of so many microseconds.
    Functions {
        /// `months(time, n)`.
        months: &'static str,
        /// `micros(time, n, microseconds of one)`.
        micros: &'static str,
    },
}

/// How places in JSON documents are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonStyle {
    /// By a path with a filter (`jsonb_path_query_first`).
    PathQuery,
    /// By `json_extract` and `json_type`, which take a path; `whole` makes an integer of a whole number.
    Extract {
        /// A function that gives NULL for a number that is not whole.
        whole: &'static str,
    },
    /// By `json_extract` with a path and `json_type` of what it gives.
    ExtractTyped,
    /// By the rows that `OPENJSON` makes of what is around the place.
    OpenJson,
}

/// How an insert says what is done where a key is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpsertStyle {
    /// `ON CONFLICT (…) DO …`.
    OnConflict(OutcomeStyle),
    /// `ON DUPLICATE KEY UPDATE …`.
    DuplicateKey,
    /// `MERGE`.
    Merge,
}

/// How RETURNING tells whether a row is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeStyle {
    /// By this expression, true of new rows.
    Expression(&'static str),
    /// By a mark that the update branch leaves. All three are calls of functions.
    Marked {
        /// Takes the mark away, before a row is tried; always true.
        fresh: &'static str,
        /// Leaves it; always true.
        mark: &'static str,
        /// Whether there is none.
        inserted: &'static str,
    },
}

/// How LIMIT and OFFSET are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitStyle {
    /// `LIMIT n OFFSET m` at the end.
    LimitOffset,
    /// `TOP (n)` in front, or `OFFSET m ROWS FETCH NEXT n ROWS ONLY` after an order.
    TopFetch,
}

/// How a list of values is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InList {
    /// `= ANY($1)`: one array parameter.
    Array,
    /// `IN (?, ?, …)` padded to this many marks by repeating the last value, so that texts repeat.
    Expand(usize),
    /// `IN (prefix mark suffix)`: one JSON array, unpacked by the server.
    Json {
        /// What stands before the mark.
        before: &'static str,
        /// What stands after it.
        after: &'static str,
    },
}

impl InList {
    /// Expands to the next power of two, within the limit.
    pub fn padded(len: usize, max: usize) -> Self {
        InList::Expand(len.next_power_of_two().min(max).max(len))
    }
}

/// How a list of values stands in FROM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValuesStyle {
    /// `(VALUES (…), (…)) AS t (a, b)`.
    Named,
    /// `(VALUES ROW(…), ROW(…)) AS t (a, b)`.
    Rows,
    /// `(SELECT column1 AS a, … FROM (VALUES (…), (…))) AS t`.
    Numbered,
    /// `(SELECT … AS a, … UNION ALL SELECT …) AS t`.
    Union,
}

/// How rows are locked by a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockStyle {
    /// `FOR UPDATE` at the end.
    Suffix,
    /// `WITH (UPDLOCK, …)` after the table.
    TableHint,
}

/// How UPDATE and DELETE name their table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AliasStyle {
    /// `UPDATE t AS a SET c = …`, `DELETE FROM t AS a WHERE …`.
    InPlace,
    /// `UPDATE t AS a SET a.c = …`, `DELETE a FROM t AS a WHERE …`.
    Qualified,
    /// `UPDATE a SET c = … FROM t AS a WHERE …`, `DELETE a FROM t AS a WHERE …`.
    From,
}

/// How a counted column is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What stands in the place of the type, where it must be another one.
    pub column_type: Option<&'static str>,
    /// What follows the type.
    pub suffix: &'static str,
    /// Whether the suffix declares the primary key.
    pub declares_key: bool,
}
