//! How one engine spells SQL.

use crate::capabilities::Capabilities;
use crate::schema::ColumnDef;
use crate::sql::SqlBuilder;
use crate::value::SqlType;

/// How one engine spells SQL. What a server *can* do is in [`Capabilities`]; the renderer in
/// [`render`](crate::render) asks both, and no other part of EMR writes SQL.
pub trait Dialect: Send + Sync + 'static {
    /// The engine's name as the `database` option writes it.
    fn name(&self) -> &'static str;

    /// What the oldest supported server can do: for SQL that is made before a connection exists.
    fn baseline(&self) -> Capabilities;

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

    /// How a row of nothing but defaults is inserted.
    fn default_row(&self) -> &'static str {
        " DEFAULT VALUES"
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

    /// The prefix that shows a query's plan, where there is one.
    fn explain(&self) -> Option<&'static str> {
        Some("EXPLAIN ")
    }
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
