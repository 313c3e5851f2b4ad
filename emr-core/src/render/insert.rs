//! INSERT of values, of a query, and with what is done where a key is taken.

use std::ops::Range;
use std::sync::LazyLock;

use crate::capabilities::Returning;
use crate::conflict::{Conflict, ConflictTarget};
use crate::dialect::{OutcomeStyle, UpsertStyle};
use crate::draft::Computed;
use crate::error::Error;
use crate::expr::{Node, SourceRef};
use crate::query::{Relation, SelectBody};
use crate::schema::{Generated, Schema};
use crate::sql::{Effect, SqlBuilder};
use crate::value::Value;

use super::condition::{conditions, typed_value, value};
use super::merge::merge;
use super::read::whole;
use super::scope::{Proposed, Scope, TableName, Written};
use super::write::{check_turns, declare_output, identity_insert, output_into, select_output, sets_identity};
use super::{ALIAS, all_columns, separated, table_of};

/// What MySQL calls the row that an upsert could not insert.
macro_rules! new_row {
    () => {
        "emr_new"
    };
}

/// Where MySQL's update branch leaves its mark: 0 of a new row, [`CHANGED`] or [`LEFT`] of one that was there.
const MARK: &str = "@emr_outcome";
/// The counted key of the row that it met. What the server tells as the last one is lost where a trigger ran.
const MET_KEY: &str = "@emr_key";
const MET: &str = "(@emr_key := ";
/// Takes the mark away, before a row is tried; always true.
const FRESH: &str = "(@emr_outcome := 0) = 0";
/// The same for each row of a query: what reads nothing would be done once for all.
const FRESH_ROW: &str = "(@emr_outcome := 0 * rand()) = 0";
/// The same, and counts the row.
const FRESH_COUNTED: &str = "(@emr_outcome := 0 * rand() * (@emr_written := @emr_written + 1)) = 0";
const CHANGED: &str = "1";
const LEFT: &str = "2";
/// [`LEFT`], of a row that was counted, and does not count.
const LEFT_COUNTED: &str = "2 + 0 * (@emr_written := @emr_written - 1)";
/// Before the rows of a query are upserted.
pub(crate) const COUNT_WRITTEN: &str = "SET @emr_written = 0";
/// How many of them were written.
pub(crate) const WRITTEN: &str = "SELECT CAST(@emr_written AS SIGNED)";
/// What no integer can be: the statement fails. [`OTHER_KEY`] is how adapters know why.
/// Whether the row is new; NULL of one that was left alone.
pub(super) const MARK_AS_OUTCOME: &str = "CASE @emr_outcome WHEN 0 THEN 1 WHEN 1 THEN 0 END";
const NOT_THE_TARGET: &str = "CAST(@emr_outcome AS SIGNED) - 9223372036854775807 - 9";

/// Stands in the error of a server whose upserts fire on any unique key, when it was another than the target.
pub const OTHER_KEY: &str = "9223372036854775807";

/// What is inserted where, and what comes back.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // the parts of the statement
pub struct Insert<'a> {
    pub schema: &'static Schema,
    pub prefix: Option<&'a str>,
    /// Positions in [`Schema::columns`] of the columns that are set.
    pub columns: &'a [usize],
    pub conflict: Option<&'a Conflict>,
    pub returned: Returned,
}

/// What comes back of each written row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// Nothing.
    Nothing,
    /// Whether it is new, as a truth value. Only of an insert with a conflict.
    Outcome,
    /// All its columns; of an insert with a conflict, then whether it is new.
    Row,
}

/// One cell of a VALUES list.
#[derive(Debug)]
pub enum Cell<'q> {
    /// A value.
    Value(Value<'q>),
    /// What the database computes.
    Computed(Computed<'q>),
}

/// Inserts rows that all set the same columns, by one VALUES list. `cell(row, column)` gives the cells.
pub fn insert_values<'q>(
    out: &mut SqlBuilder<'q>,
    insert: Insert<'q>,
    rows: Range<usize>,
    cell: &dyn Fn(usize, usize) -> Cell<'q>,
) {
    let Insert { schema, columns, .. } = insert;
    if rows.is_empty() {
        return out.fail(Error::invalid(format!("an insert of no rows into {}", schema.table)));
    }
    if columns.is_empty() && (rows.len() > 1 || insert.conflict.is_some()) {
        // Only MySQL has a VALUES list of empty rows, and only it can tell that their keys are taken.
        return out.fail(Error::invalid(format!(
            "rows for {} that set no column: insert rows of nothing but defaults one by one",
            schema.table
        )));
    }
    let fresh = match (insert.conflict, out.dialect().upsert_style()) {
        (Some(Conflict { assignments: Some(_), .. }), UpsertStyle::OnConflict(OutcomeStyle::Marked { fresh, .. })) => {
            Some(fresh)
        }
        (Some(_), UpsertStyle::DuplicateKey) => Some(FRESH),
        _ => None,
    };
    let alias = fresh.is_some() && out.dialect().names_new_row();
    let values = |out: &mut SqlBuilder<'q>| {
        out.push("VALUES ");
        separated(out, ", ", rows.clone(), |out, row| {
            out.push("(");
            separated(out, ", ", columns.iter().enumerate(), |out, (n, &column)| match fresh.filter(|_| n == 0) {
                Some(fresh) => {
                    out.push("CASE WHEN ").push(fresh).push(" THEN ");
                    one_cell(out, schema, column, cell(row, column));
                    out.push(" END");
                }
                None => one_cell(out, schema, column, cell(row, column)),
            });
            out.push(")");
        });
        if alias {
            out.push(concat!(" AS ", new_row!()));
        }
    };
    if is_merge(out, insert) {
        return merge(out, insert, values);
    }
    insert_into(out, insert, false, |out| {
        if columns.is_empty() {
            let default_row = out.dialect().default_row();
            out.push(default_row);
        } else {
            out.push(" ");
            values(out);
        }
    });
}

/// Inserts the rows of a query.
pub fn insert_select<'q>(
    out: &mut SqlBuilder<'q>,
    insert: Insert<'q>,
    query: &'q SelectBody,
    default_prefix: Option<&'q str>,
) {
    out.default_prefix(default_prefix);
    let select = |out: &mut SqlBuilder<'q>| whole(out, query, Scope::top(query), true);
    if is_merge(out, insert) {
        return merge(out, insert, select);
    }
    insert_into(out, insert, true, |out| {
        if insert.conflict.is_some() {
            // SQLite would take ON for that of a join if no WHERE came before it.
            out.push(" SELECT * FROM (");
            select(out);
            let always = match out.dialect().upsert_style() {
                UpsertStyle::DuplicateKey => {
                    let reads_target = query.joins.iter().map(|join| &join.source).chain([&query.from]).any(|source| {
                        !matches!(&source.relation, Relation::Schema(other) if other.table != insert.schema.table)
                    });
                    if reads_target || !query.ctes.is_empty() || !query.combinations.is_empty() {
                        // The server would read all rows before it writes the first.
                        out.unsupported("an upsert of the rows of a query that is not of other tables alone");
                    }
                    if counts_written(out) { FRESH_COUNTED } else { FRESH_ROW }
                }
                _ => out.dialect().condition(true),
            };
            if out.dialect().upsert_style() == UpsertStyle::DuplicateKey && out.dialect().names_new_row() {
                out.push(concat!(") AS ", new_row!(), " ("));
                names(out, insert.schema, insert.columns);
                out.push(") WHERE ").push(always);
            } else {
                out.push(") AS s0 WHERE ").push(always);
            }
        } else {
            out.push(" ");
            select(out);
        }
    });
}

fn is_merge(out: &SqlBuilder<'_>, insert: Insert<'_>) -> bool {
    insert.conflict.is_some() && out.dialect().upsert_style() == UpsertStyle::Merge
}

fn one_cell<'q>(out: &mut SqlBuilder<'q>, schema: &'static Schema, column: usize, cell: Cell<'q>) {
    static NOWHERE: LazyLock<SelectBody> = LazyLock::new(|| SelectBody::of(Relation::Table("a new row".into())));
    match cell {
        Cell::Value(value) => {
            out.bind(value, Some((schema, column)));
        }
        Cell::Computed(Computed::Shared(id, value)) => {
            out.bind_shared(id, value, Some((schema, column)));
        }
        Cell::Computed(Computed::Expr(node)) => typed_value(out, node, Scope::top(&NOWHERE)),
    }
}

/// Whether the rows of a query are counted while they are upserted: where nothing comes back of them, what the server says
/// cannot be told apart.
pub(crate) fn counts_written(out: &SqlBuilder<'_>) -> bool {
    out.capabilities().insert_returning == Returning::No
}

fn insert_into<'q>(
    out: &mut SqlBuilder<'q>,
    insert: Insert<'q>,
    of_query: bool,
    rows: impl FnOnce(&mut SqlBuilder<'q>),
) {
    let Insert { schema, prefix, columns, conflict, returned } = insert;
    let comes_back = returned != Returned::Nothing;
    let how = if comes_back { out.capabilities().insert_returning } else { Returning::No };
    if comes_back && how == Returning::No {
        out.unsupported("returning the inserted rows");
    }
    out.effect(Effect::Write { returning: how == Returning::Clause });
    let identity = sets_identity(out, schema, columns);
    if how == Returning::OutputInto {
        declare_output(out, schema);
    }
    if identity {
        identity_insert(out, schema, prefix, true);
    }
    out.push("INSERT INTO ");
    table_of(out, schema.table, prefix, schema.prefix);
    if conflict.is_some() && matches!(out.dialect().upsert_style(), UpsertStyle::OnConflict(_)) {
        out.push(" AS ").push(ALIAS);
    }
    if !columns.is_empty() {
        out.push(" (");
        names(out, schema, columns);
        out.push(")");
    }
    if how == Returning::OutputInto {
        output_into(out, schema, "INSERTED");
    }
    rows(out);
    conflict_clause(out, insert, of_query);
    if how == Returning::Clause {
        returning(out, insert);
    }
    if identity {
        out.push("; ");
        identity_insert(out, schema, prefix, false);
    }
    if how == Returning::OutputInto {
        select_output(out, schema);
    }
}

/// Writes what is done where a key is taken: for adapters that write the rest of the INSERT themselves. The table must
/// have the alias `t0`.
pub fn on_conflict<'q>(out: &mut SqlBuilder<'q>, insert: Insert<'q>) {
    conflict_clause(out, insert, false);
}

fn conflict_clause<'q>(out: &mut SqlBuilder<'q>, insert: Insert<'q>, of_query: bool) {
    let Some(conflict) = insert.conflict else { return };
    check(out, insert.schema, conflict);
    match out.dialect().upsert_style() {
        UpsertStyle::OnConflict(outcome) => {
            out.push(" ON CONFLICT");
            let proposed = Written { name: TableName::Alias, proposed: Some(Proposed::Named("excluded.")) };
            let scope = Scope::top(&conflict.stored).writing(proposed);
            target(out, insert.schema, conflict);
            if conflict.assignments.is_none() {
                out.push(" DO NOTHING");
                return;
            }
            out.push(" DO UPDATE SET ");
            assignments(out, insert.schema, conflict, scope);
            conditions(out, " WHERE ", &conflict.filter, scope);
            if let OutcomeStyle::Marked { mark, .. } = outcome {
                out.push(if conflict.filter.is_empty() { " WHERE " } else { " AND " }).push(mark);
            }
        }
        UpsertStyle::DuplicateKey => {
            let left = if of_query && counts_written(out) { LEFT_COUNTED } else { LEFT };
            duplicate_key(out, insert, conflict, left);
        }
        UpsertStyle::Merge => out.unsupported("ON CONFLICT"),
    }
}

/// Writes ` RETURNING …`.
pub fn returning(out: &mut SqlBuilder<'_>, insert: Insert<'_>) {
    if insert.returned == Returned::Nothing {
        return;
    }
    out.push(" RETURNING ");
    if insert.returned == Returned::Row {
        all_columns(out, insert.schema, None);
    }
    let Some(conflict) = insert.conflict else { return };
    if insert.returned == Returned::Row {
        out.push(", ");
    }
    match (out.dialect().upsert_style(), &conflict.assignments) {
        (UpsertStyle::DuplicateKey, _) => {
            out.push(MARK_AS_OUTCOME);
        }
        (_, None) => {
            // What was not skipped was inserted.
            out.push("1 = 1");
        }
        (UpsertStyle::OnConflict(OutcomeStyle::Expression(inserted) | OutcomeStyle::Marked { inserted, .. }), _) => {
            out.push(inserted);
        }
        _ => out.unsupported("telling inserted from updated rows"),
    }
}

fn target<'q>(out: &mut SqlBuilder<'q>, schema: &'static Schema, conflict: &'q Conflict) {
    match &conflict.target {
        ConflictTarget::Columns(columns) => {
            out.push(" (");
            names(out, schema, columns);
            out.push(")");
            // The server looks for an index with this condition before any parameter has a value.
            let bare = Scope::top(&conflict.stored).writing(Written { name: TableName::Bare, proposed: None });
            out.inline_values(true);
            conditions(out, " WHERE ", &conflict.target_filter, bare);
            out.inline_values(false);
        }
        ConflictTarget::Constraint(_) if !out.capabilities().conflict_constraints => {
            out.unsupported("naming the constraint of a conflict");
        }
        ConflictTarget::Constraint(name) => {
            out.push(" ON CONSTRAINT ").ident(name);
        }
        ConflictTarget::Any if conflict.assignments.is_some() => {
            out.unsupported("changing the row of a conflict without a target");
        }
        ConflictTarget::Any => {}
    }
}

/// Writes `column = value, …`.
pub(super) fn assignments<'q>(
    out: &mut SqlBuilder<'q>,
    schema: &'static Schema,
    conflict: &'q Conflict,
    scope: Scope<'_, 'q>,
) {
    let all = conflict.assignments.as_deref().unwrap_or_default();
    separated(out, ", ", all, |out, assignment| {
        out.ident(schema.columns[assignment.column].name).push(" = ");
        value(out, &assignment.value, scope);
    });
}

/// What no engine could make sense of.
pub(super) fn check(out: &mut SqlBuilder<'_>, schema: &'static Schema, conflict: &Conflict) {
    if let Some(assignments) = &conflict.assignments {
        if assignments.is_empty() {
            out.fail(Error::invalid("an OnConflict that changes nothing: say what it sets, or use nothing()"));
        }
        if let Some(assignment) = assignments.iter().find(|assignment| schema.columns[assignment.column].read_only) {
            let column = schema.columns[assignment.column].name;
            out.fail(Error::invalid(format!("{}.{column} is read-only: do not set it", schema.table)));
        }
    } else if !conflict.filter.is_empty() {
        out.fail(Error::invalid("the filter of an OnConflict that does nothing decides nothing: leave it out"));
    }
    if !conflict.target_filter.is_empty() && !matches!(conflict.target, ConflictTarget::Columns(_)) {
        out.fail(Error::invalid("target_where is the condition of the target's index: name its columns by target()"));
    }
}

/// MySQL: any unique key fires, and nothing is done by setting a column to what it is.
fn duplicate_key<'q>(out: &mut SqlBuilder<'q>, insert: Insert<'q>, conflict: &'q Conflict, left: &'static str) {
    let schema = insert.schema;
    if matches!(conflict.target, ConflictTarget::Constraint(_)) {
        out.unsupported("naming the constraint of a conflict");
    }
    if !conflict.target_filter.is_empty() {
        out.unsupported("partial unique indexes");
    }
    let proposed = if out.dialect().names_new_row() {
        Proposed::Set(concat!(new_row!(), "."), insert.columns)
    } else {
        Proposed::Function
    };
    let written = Written { name: TableName::Table, proposed: Some(proposed) };
    let scope = Scope::top(&conflict.stored).writing(written);
    out.push(" ON DUPLICATE KEY UPDATE ");
    let stored = |out: &mut SqlBuilder<'q>, column: usize| {
        let (before, after) = if tells_key(out, schema) == Some(column) { (MET, ")") } else { ("", "") };
        out.push(before).ident(schema.table).push(".").ident(schema.columns[column].name).push(after);
    };
    let Some(all) = &conflict.assignments else {
        let column = schema.primary_key.first().copied().unwrap_or(0);
        out.ident(schema.columns[column].name).push(" = CASE ");
        mark(out, (schema, conflict), scope, proposed, left);
        out.push(" WHEN ").push(LEFT).push(" THEN ");
        stored(out, column);
        out.push(" ELSE ");
        stored(out, column);
        out.push(" END");
        return;
    };
    let tells_key = tells_key(out, schema);
    check_turns(out, schema, all);
    separated(out, ", ", all.iter().enumerate(), |out, (n, assignment)| {
        let is_key = tells_key == Some(assignment.column);
        out.ident(schema.columns[assignment.column].name).push(" = ");
        out.push(if is_key { MET } else { "" }).push("CASE ");
        if n == 0 {
            mark(out, (schema, conflict), scope, proposed, left);
        } else {
            out.push(MARK);
        }
        out.push(" WHEN ").push(CHANGED).push(" THEN ");
        value(out, &assignment.value, scope);
        out.push(" ELSE ");
        stored(out, assignment.column);
        out.push(if is_key { " END)" } else { " END" });
    });
    if let Some(key) = tells_key.filter(|key| all.iter().all(|assignment| assignment.column != *key)) {
        out.push(", ").ident(schema.columns[key].name).push(" = ");
        stored(out, key);
    }
}

/// The column whose value the server tells of the row that it wrote or met: the counted key, where no row comes back.
fn tells_key(out: &SqlBuilder<'_>, schema: &'static Schema) -> Option<usize> {
    match schema.primary_key {
        [key] if is_counted(schema, *key) && out.capabilities().insert_returning == Returning::No => Some(*key),
        _ => None,
    }
}

/// Selects a row that an upsert wrote or met, and what that did to it: `None` of a row that it left alone. `by` are values
/// of columns that find it; a counted key is that of a new row.
pub fn upserted<'q>(
    out: &mut SqlBuilder<'q>,
    schema: &'static Schema,
    prefix: Option<&str>,
    by: &'q [(usize, Value<'static>)],
) {
    out.effect(Effect::Read);
    out.push("SELECT ");
    all_columns(out, schema, Some(ALIAS));
    out.push(", ").push(MARK_AS_OUTCOME).push(" FROM ");
    table_of(out, schema.table, prefix, schema.prefix);
    out.push(" AS ").push(ALIAS).push(" WHERE ");
    separated(out, " AND ", by, |out, (column, value)| {
        out.push(ALIAS).push(".").ident(schema.columns[*column].name).push(" = ");
        if tells_key(out, schema) == Some(*column) {
            out.push("CASE ").push(MARK).push(" WHEN 0 THEN ");
            out.bind(value.borrowed(), Some((schema, *column)))
                .push(" ELSE CAST(")
                .push(MET_KEY)
                .push(" AS SIGNED) END");
        } else {
            out.bind(value.borrowed(), Some((schema, *column)));
        }
    });
}

/// Leaves the mark that tells what becomes of the row, and is that mark.
fn mark<'q>(
    out: &mut SqlBuilder<'q>,
    (schema, conflict): (&'static Schema, &'q Conflict),
    scope: Scope<'_, 'q>,
    proposed: Proposed<'_>,
    left: &'static str,
) {
    out.push("(").push(MARK).push(" := ");
    let target = match &conflict.target {
        ConflictTarget::Columns(columns) => &columns[..],
        _ => &[],
    };
    if !target.is_empty() {
        out.push("CASE WHEN ");
        separated(out, " AND ", target, |out, &column| {
            let name = schema.columns[column].name;
            out.ident(schema.table).push(".").ident(name).push(" <=> ");
            proposed.column(out, schema, column);
        });
        out.push(" THEN ");
    }
    if conflict.assignments.is_none() {
        out.push(left);
    } else if conflict.filter.is_empty() {
        out.push(CHANGED);
    } else {
        conditions(out, "CASE WHEN ", &conflict.filter, scope);
        out.push(" THEN ").push(CHANGED).push(" ELSE ").push(left).push(" END");
    }
    if !target.is_empty() {
        out.push(" ELSE ").push(NOT_THE_TARGET).push(" END");
    }
    out.push(")");
}

pub(super) fn names(out: &mut SqlBuilder<'_>, schema: &'static Schema, columns: &[usize]) {
    separated(out, ", ", columns, |out, &column| {
        out.ident(schema.columns[column].name);
    });
}

/// Whether the expression is a column of the row that was not inserted.
pub(super) fn is_excluded(node: &Node) -> Option<usize> {
    match node {
        Node::Column { source: SourceRef::Excluded, column, .. } => Some(*column),
        _ => None,
    }
}

/// Whether the database counts this column.
pub(super) fn is_counted(schema: &Schema, column: usize) -> bool {
    matches!(schema.columns[column].generated, Generated::Identity)
}
