//! INSERT, UPDATE, DELETE.

use crate::capabilities::Returning;
use crate::dialect::AliasStyle;
use crate::error::Error;
use crate::expr::{FragmentPart, Node, SourceRef};
use crate::query::{Assignment, Distinct, JoinKind, Relation, SelectBody, SelectItem};
use crate::schema::{Generated, Schema};
use crate::sql::{Effect, SqlBuilder};
use crate::value::Value;

use super::condition::{conditions, value, where_clause};
use super::from::{ctes, from, joins, source};
use super::read::{check_built, key_condition};
use super::returning::Back;
use super::scope::{Scope, TableName, Written};
use super::{ALIAS, all_columns, separated, table, table_of_source};

/// Inserts one row: the given columns with the given values. With `returning` the stored row comes back,
/// where the server can give it.
pub fn insert<'q>(
    out: &mut SqlBuilder<'q>,
    schema: &'static Schema,
    prefix: Option<&str>,
    columns: &'q [usize],
    cell: &'q dyn Fn(usize) -> Value<'q>,
    returning: bool,
) {
    insert_into(out, schema, prefix, columns, returning, |out| {
        if columns.is_empty() {
            let default_row = out.dialect().default_row();
            out.push(default_row);
        } else {
            out.push(" VALUES ");
            row(out, schema, columns, cell);
        }
    });
}

/// Inserts rows that all set the same columns, by one VALUES list. `cell(row, column)` gives the values.
pub fn insert_rows<'q>(
    out: &mut SqlBuilder<'q>,
    schema: &'static Schema,
    prefix: Option<&str>,
    columns: &[usize],
    rows: std::ops::Range<usize>,
    cell: &dyn Fn(usize, usize) -> Value<'q>,
    returning: bool,
) {
    if rows.is_empty() {
        return out.fail(Error::invalid(format!("an insert of no rows into {}", schema.table)));
    }
    if columns.is_empty() {
        // Only MySQL has a VALUES list of empty rows.
        return out.fail(Error::invalid(format!(
            "rows for {} that set no column: insert rows of nothing but defaults one by one",
            schema.table
        )));
    }
    insert_into(out, schema, prefix, columns, returning, |out| {
        out.push(" VALUES ");
        separated(out, ", ", rows, |out, at| row(out, schema, columns, &|column| cell(at, column)));
    });
}

/// Updates the row with this key.
pub fn update_by_key<'q>(
    out: &mut SqlBuilder<'q>,
    schema: &'static Schema,
    prefix: Option<&str>,
    changes: &[(usize, &'q Value<'static>)],
    key: &[Value<'q>],
    returning: bool,
) {
    update_guarded(out, schema, prefix, changes, key, &[], returning);
}

/// Updates the row with this key if its columns also have these values.
pub fn update_guarded<'q>(
    out: &mut SqlBuilder<'q>,
    schema: &'static Schema,
    prefix: Option<&str>,
    changes: &[(usize, &'q Value<'static>)],
    key: &[Value<'q>],
    guards: &'q [(usize, Value<'static>)],
    returning: bool,
) {
    out.effect(Effect::Write { returning: returning && out.capabilities().update_returning == Returning::Clause });
    if changes.is_empty() {
        return out.fail(Error::invalid(format!("an update of {} without changes", schema.table)));
    }
    let output = returning && out.capabilities().update_returning == Returning::OutputInto;
    if output {
        declare_output(out, schema);
    }
    out.push("UPDATE ");
    table(out, schema, prefix);
    out.push(" SET ");
    separated(out, ", ", changes, |out, &(column, new)| {
        out.ident(schema.columns[column].name).push(" = ").bind(new.borrowed(), Some((schema, column)));
    });
    if output {
        output_into(out, schema, "INSERTED");
    }
    out.push(" WHERE ");
    key_condition(out, schema, key.iter().cloned(), None);
    guard(out, schema, guards);
    if returning && out.capabilities().update_returning == Returning::Clause {
        out.push(" RETURNING ");
        all_columns(out, schema, None);
    }
    if output {
        select_output(out, schema);
    }
}

/// Deletes the row with this key.
pub fn delete_by_key<'q>(
    out: &mut SqlBuilder<'q>,
    schema: &'static Schema,
    prefix: Option<&str>,
    key: impl IntoIterator<Item = Value<'q>>,
) {
    delete_guarded(out, schema, prefix, key, &[]);
}

/// Deletes the row with this key if its columns also have these values.
pub fn delete_guarded<'q>(
    out: &mut SqlBuilder<'q>,
    schema: &'static Schema,
    prefix: Option<&str>,
    key: impl IntoIterator<Item = Value<'q>>,
    guards: &'q [(usize, Value<'static>)],
) {
    out.effect(Effect::Write { returning: false });
    out.push("DELETE FROM ");
    table(out, schema, prefix);
    out.push(" WHERE ");
    key_condition(out, schema, key, None);
    guard(out, schema, guards);
}

/// Writes what a row must have beside its key.
fn guard<'q>(out: &mut SqlBuilder<'q>, schema: &'static Schema, guards: &'q [(usize, Value<'static>)]) {
    for (column, value) in guards {
        out.push(" AND ").ident(schema.columns[*column].name);
        if value.is_null() {
            out.push(" IS NULL");
        } else {
            out.push(" = ").bind(value.borrowed(), Some((schema, *column)));
        }
    }
}

/// Updates all rows of a query.
pub fn update_all<'q>(
    out: &mut SqlBuilder<'q>,
    query: &'q SelectBody,
    assignments: &'q [Assignment],
    default_prefix: Option<&'q str>,
) {
    update(out, query, assignments, None, default_prefix);
}

/// Updates all rows of a query and gives back these items of each, or with none of them all its columns.
pub fn update_all_returning<'q>(
    out: &mut SqlBuilder<'q>,
    query: &'q SelectBody,
    assignments: &'q [Assignment],
    items: &'q [SelectItem],
    default_prefix: Option<&'q str>,
) {
    let back = Back { items, how: out.capabilities().update_returning };
    update(out, query, assignments, Some(back), default_prefix);
}

fn update<'q>(
    out: &mut SqlBuilder<'q>,
    query: &'q SelectBody,
    assignments: &'q [Assignment],
    back: Option<Back<'q>>,
    default_prefix: Option<&'q str>,
) {
    out.effect(Effect::Write { returning: back.is_some_and(|back| back.how == Returning::Clause) });
    out.default_prefix(default_prefix);
    if assignments.is_empty() {
        return out.fail(Error::invalid("an update without assignments"));
    }
    let Some(schema) = target(out, query, "update") else { return };
    let scope = Scope::top(query);
    if out.dialect().assigns_in_turn() {
        check_turns(out, schema, assignments);
    }
    if back.is_some_and(|back| back.how == Returning::OutputInto) {
        declare_output(out, schema);
    }
    ctes(out, &query.ctes, scope);
    let style = out.dialect().alias_style();
    out.push("UPDATE ");
    if style == AliasStyle::From {
        out.push(ALIAS);
    } else {
        target_table(out, query, schema);
        if style == AliasStyle::Qualified {
            joins(out, query, scope);
        }
    }
    out.push(" SET ");
    separated(out, ", ", assignments, |out, assignment| {
        let column = &schema.columns[assignment.column];
        if column.read_only {
            out.fail(Error::invalid(format!("{}.{} is read-only: do not set it", schema.table, column.name)));
        }
        if style == AliasStyle::Qualified {
            out.push(ALIAS).push(".");
        }
        out.ident(column.name).push(" = ");
        value(out, &assignment.value, scope);
    });
    if let Some(back) = back {
        back.output(out, schema, "INSERTED");
    }
    match style {
        AliasStyle::From => {
            out.push(" FROM ");
            target_table(out, query, schema);
            joins(out, query, scope);
            where_clause(out, &query.filter, scope);
        }
        AliasStyle::Qualified => where_clause(out, &query.filter, scope),
        AliasStyle::InPlace if query.joins.is_empty() => where_clause(out, &query.filter, scope),
        AliasStyle::InPlace => {
            let keyword = from_of_update(out, query, scope);
            conditions(out, keyword, &query.filter, scope);
        }
    }
    if let Some(back) = back {
        let name = if out.dialect().returns_by_alias() { TableName::Alias } else { TableName::Table };
        back.clause(out, schema, query, scope, name);
    }
}

/// Writes the joined sources as a FROM list, and the conditions of the joins behind WHERE. Returns the keyword before the
/// next conditions.
fn from_of_update<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, scope: Scope<'_, 'q>) -> &'static str {
    if query.joins.iter().any(|join| !matches!(join.kind, JoinKind::Inner | JoinKind::Cross) || join.lateral) {
        out.unsupported("an update with other joins than inner and cross joins");
    }
    out.push(" FROM ");
    separated(out, ", ", query.joins.iter().enumerate(), |out, (n, join)| {
        source(out, &join.source, n + 1, false, scope);
    });
    let mut keyword = " WHERE ";
    for join in query.joins.iter().filter(|join| !join.on.is_empty()) {
        conditions(out, keyword, &join.on, scope);
        keyword = " AND ";
    }
    keyword
}

/// Deletes all rows of a query.
pub fn delete_all<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, default_prefix: Option<&'q str>) {
    delete(out, query, None, default_prefix);
}

/// Deletes all rows of a query and gives back these items of each, or with none of them all its columns.
pub fn delete_all_returning<'q>(
    out: &mut SqlBuilder<'q>,
    query: &'q SelectBody,
    items: &'q [SelectItem],
    default_prefix: Option<&'q str>,
) {
    let back = Back { items, how: out.capabilities().delete_returning };
    delete(out, query, Some(back), default_prefix);
}

fn delete<'q>(
    out: &mut SqlBuilder<'q>,
    query: &'q SelectBody,
    back: Option<Back<'q>>,
    default_prefix: Option<&'q str>,
) {
    out.effect(Effect::Write { returning: back.is_some_and(|back| back.how == Returning::Clause) });
    out.default_prefix(default_prefix);
    let Some(schema) = target(out, query, "delete") else { return };
    let scope = Scope::top(query);
    if back.is_some_and(|back| back.how == Returning::OutputInto) {
        declare_output(out, schema);
    }
    ctes(out, &query.ctes, scope);
    let style = out.dialect().alias_style();
    if style == AliasStyle::InPlace && !query.joins.is_empty() {
        delete_by_keys(out, query, schema, scope);
        if let Some(back) = back {
            back.clause(out, schema, query, scope, TableName::Bare);
        }
        return;
    }
    if style == AliasStyle::Qualified && back.is_some() {
        // MariaDB returns rows of a DELETE that names one table, and gives that no alias.
        return delete_by_name(out, query, schema, scope, back);
    }
    out.push("DELETE ");
    if style != AliasStyle::InPlace {
        out.push(ALIAS);
        if let Some(back) = back {
            back.output(out, schema, "DELETED");
        }
        out.push(" ");
    }
    out.push("FROM ");
    target_table(out, query, schema);
    joins(out, query, scope);
    where_clause(out, &query.filter, scope);
    if let Some(back) = back {
        let name = if out.dialect().returns_by_alias() { TableName::Alias } else { TableName::Table };
        back.clause(out, schema, query, scope, name);
    }
}

fn delete_by_name<'q>(
    out: &mut SqlBuilder<'q>,
    query: &'q SelectBody,
    schema: &'static Schema,
    scope: Scope<'_, 'q>,
    back: Option<Back<'q>>,
) {
    if !query.joins.is_empty() {
        out.unsupported("returning the rows of a delete with joins");
    }
    let scope = scope.writing(Written { name: TableName::Table, proposed: None });
    out.push("DELETE FROM ");
    table_of_source(out, &query.from, schema);
    where_clause(out, &query.filter, scope);
    if let Some(back) = back {
        back.clause(out, schema, query, scope, TableName::Table);
    }
}

/// Deletes the rows whose keys a query with joins selects: not every engine joins in a DELETE.
fn delete_by_keys<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, schema: &'static Schema, scope: Scope<'_, 'q>) {
    if schema.primary_key.is_empty() {
        return out
            .fail(Error::invalid(format!("a delete with joins needs a primary key, and {} has none", schema.name)));
    }
    let key = |out: &mut SqlBuilder<'q>, alias: &str| {
        separated(out, ", ", schema.primary_key, |out, &column| {
            out.push(alias).push(".").ident(schema.columns[column].name);
        });
    };
    out.push("DELETE FROM ");
    table_of_source(out, &query.from, schema);
    out.push(" AS d0 WHERE ");
    out.push("(");
    key(out, "d0");
    out.push(") IN (SELECT ");
    key(out, ALIAS);
    from(out, query, scope);
    where_clause(out, &query.filter, scope);
    out.push(")");
}

fn target_table(out: &mut SqlBuilder<'_>, query: &SelectBody, schema: &Schema) {
    table_of_source(out, &query.from, schema);
    out.push(" AS ").push(ALIAS);
}

/// The schema of the table that is written. No engine agrees with another on what ORDER BY, LIMIT and DISTINCT mean in an
/// UPDATE or DELETE.
fn target(out: &mut SqlBuilder<'_>, query: &SelectBody, verb: &str) -> Option<&'static Schema> {
    check_built(out, query);
    let clause = match query {
        SelectBody { limit: Some(_), .. } | SelectBody { offset: Some(_), .. } => Some("limit or offset"),
        SelectBody { order, .. } if !order.is_empty() => Some("order_by"),
        SelectBody { distinct, .. } if *distinct != Distinct::No => Some("distinct"),
        SelectBody { lock: Some(_), .. } => Some("lock"),
        SelectBody { group, having, .. } if !group.is_empty() || !having.is_empty() => Some("group_by or having"),
        SelectBody { combinations, .. } if !combinations.is_empty() => Some("a combination"),
        SelectBody { select, .. } if !select.is_empty() => Some("select"),
        _ => None,
    };
    if let Some(clause) = clause {
        out.fail(Error::invalid(format!("{verb}_all takes a query with filters and joins only, not with {clause}")));
        return None;
    }
    if let Relation::Schema(schema) = &query.from.relation {
        return Some(schema);
    }
    out.fail(Error::invalid(format!("{verb}_all takes a query of the table of a schema")));
    None
}

/// MySQL would read the new value of a column that stands further left, and other engines the old one.
pub(super) fn check_turns(out: &mut SqlBuilder<'_>, schema: &'static Schema, assignments: &[Assignment]) {
    for (n, assignment) in assignments.iter().enumerate() {
        if let Some(earlier) = assignments[..n].iter().find(|earlier| reads(&assignment.value, earlier.column)) {
            let set = schema.columns[earlier.column].name;
            let column = schema.columns[assignment.column].name;
            out.unsupported(&format!("setting {column} from the old value of {set} after {set} was set"));
        }
    }
}

/// Whether the expression reads the column.
fn reads(node: &Node, column: usize) -> bool {
    match node {
        Node::Column { source: SourceRef::Excluded, .. } | Node::Bind { .. } | Node::Constant(_) => false,
        Node::Column { column: read, .. } => *read == column,
        // Who knows what they read.
        Node::Name { .. }
        | Node::Selected(_)
        | Node::Subquery(_)
        | Node::Exists(_)
        | Node::InQuery { .. }
        | Node::Quantified { .. } => true,
        Node::Binary { left, right, .. } => reads(left, column) || reads(right, column),
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().any(|node| reads(node, column)),
        Node::Not(node) | Node::IsNull(node) | Node::In { needle: node, .. } => reads(node, column),
        Node::Between { needle, low, high } => [needle, low, high].into_iter().any(|node| reads(node, column)),
        Node::Like { subject, pattern, .. } => reads(subject, column) || reads(pattern, column),
        Node::Fragment(parts) => {
            parts.iter().any(|part| matches!(part, FragmentPart::Argument(node) if reads(node, column)))
        }
        Node::Call(call) => call.nodes().any(|node| reads(node, column)),
    }
}

/// Writes an INSERT around its rows, and what brings the stored rows back.
fn insert_into<'q>(
    out: &mut SqlBuilder<'q>,
    schema: &'static Schema,
    prefix: Option<&str>,
    columns: &[usize],
    returning: bool,
    rows: impl FnOnce(&mut SqlBuilder<'q>),
) {
    let returning = if returning { out.capabilities().insert_returning } else { Returning::No };
    out.effect(Effect::Write { returning: returning == Returning::Clause });
    let identity = sets_identity(out, schema, columns);
    if returning == Returning::OutputInto {
        declare_output(out, schema);
    }
    if identity {
        identity_insert(out, schema, prefix, true);
    }
    out.push("INSERT INTO ");
    table(out, schema, prefix);
    if !columns.is_empty() {
        out.push(" (");
        separated(out, ", ", columns, |out, &column| {
            out.ident(schema.columns[column].name);
        });
        out.push(")");
    }
    if returning == Returning::OutputInto {
        output_into(out, schema, "INSERTED");
    }
    rows(out);
    if returning == Returning::Clause {
        out.push(" RETURNING ");
        all_columns(out, schema, None);
    }
    if identity {
        out.push("; ");
        identity_insert(out, schema, prefix, false);
    }
    if returning == Returning::OutputInto {
        select_output(out, schema);
    }
}

/// Writes the values of one new row in brackets.
fn row<'q>(out: &mut SqlBuilder<'q>, schema: &'static Schema, columns: &[usize], cell: &dyn Fn(usize) -> Value<'q>) {
    out.push("(");
    separated(out, ", ", columns, |out, &column| {
        out.bind(cell(column), Some((schema, column)));
    });
    out.push(")");
}

/// Whether SQL Server must be told that the program counts for once.
pub(super) fn sets_identity(out: &SqlBuilder<'_>, schema: &Schema, columns: &[usize]) -> bool {
    out.dialect().identity_insert()
        && columns.iter().any(|&column| matches!(schema.columns[column].generated, Generated::Identity))
}

pub(super) fn identity_insert(out: &mut SqlBuilder<'_>, schema: &Schema, prefix: Option<&str>, on: bool) {
    out.push("SET IDENTITY_INSERT ");
    table(out, schema, prefix);
    out.push(if on { " ON; " } else { " OFF" });
}

pub(super) fn declare_output(out: &mut SqlBuilder<'_>, schema: &'static Schema) {
    out.push("DECLARE @out TABLE (");
    out.of_schema("types", schema, |out| {
        separated(out, ", ", schema.columns, |out, column| {
            let column_type = out.dialect().column_type(column);
            out.ident(column.name).push(" ").push(&column_type).push(" NULL");
        });
    });
    out.push("); ");
}

pub(super) fn output_into(out: &mut SqlBuilder<'_>, schema: &'static Schema, source: &str) {
    out.push(" OUTPUT ");
    all_columns(out, schema, Some(source));
    out.push(" INTO @out (");
    all_columns(out, schema, None);
    out.push(")");
}

pub(super) fn select_output(out: &mut SqlBuilder<'_>, schema: &'static Schema) {
    out.push("; SELECT ");
    all_columns(out, schema, None);
    out.push(" FROM @out");
}
