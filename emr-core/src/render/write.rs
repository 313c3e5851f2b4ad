//! INSERT, UPDATE, DELETE.

use crate::capabilities::Returning;
use crate::dialect::AliasStyle;
use crate::error::Error;
use crate::expr::{FragmentPart, Node};
use crate::query::{Assignment, SelectBody};
use crate::schema::{Generated, Schema};
use crate::sql::{Effect, SqlBuilder};
use crate::value::Value;

use super::condition::{Scope, value, where_clause};
use super::read::key_condition;
use super::{ALIAS, all_columns, separated, table};

const QUALIFIED: Scope = Scope { qualified: true };

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
    out.effect(Effect::Write { returning: false });
    out.push("DELETE FROM ");
    table(out, schema, prefix);
    out.push(" WHERE ");
    key_condition(out, schema, key, None);
}

/// Updates all rows of a query.
pub fn update_all<'q>(
    out: &mut SqlBuilder<'q>,
    query: &'q SelectBody,
    assignments: &'q [Assignment],
    default_prefix: Option<&str>,
) {
    out.effect(Effect::Write { returning: false });
    if assignments.is_empty() {
        return out.fail(Error::invalid("an update without assignments"));
    }
    check_bulk(out, query, "update");
    if out.dialect().assigns_in_turn() {
        check_turns(out, query.schema, assignments);
    }
    let prefix = query.prefix.as_deref().or(default_prefix);
    let style = out.dialect().alias_style();
    out.push("UPDATE ");
    if style == AliasStyle::From {
        out.push(ALIAS);
    } else {
        table(out, query.schema, prefix);
        out.push(" AS ").push(ALIAS);
    }
    out.push(" SET ");
    separated(out, ", ", assignments, |out, assignment| {
        let column = &query.schema.columns[assignment.column];
        if column.read_only {
            out.fail(Error::invalid(format!("{}.{} is read-only: do not set it", query.schema.table, column.name)));
        }
        if style == AliasStyle::Qualified {
            out.push(ALIAS).push(".");
        }
        out.ident(column.name).push(" = ");
        value(out, &assignment.value, QUALIFIED);
    });
    if style == AliasStyle::From {
        out.push(" FROM ");
        table(out, query.schema, prefix);
        out.push(" AS ").push(ALIAS);
    }
    where_clause(out, &query.filter, QUALIFIED);
}

/// Deletes all rows of a query.
pub fn delete_all<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, default_prefix: Option<&str>) {
    out.effect(Effect::Write { returning: false });
    check_bulk(out, query, "delete");
    let prefix = query.prefix.as_deref().or(default_prefix);
    out.push("DELETE ");
    if out.dialect().alias_style() != AliasStyle::InPlace {
        out.push(ALIAS).push(" ");
    }
    out.push("FROM ");
    table(out, query.schema, prefix);
    out.push(" AS ").push(ALIAS);
    where_clause(out, &query.filter, QUALIFIED);
}

/// No engine agrees with another on what ORDER BY, LIMIT and DISTINCT mean in an UPDATE or DELETE.
fn check_bulk(out: &mut SqlBuilder<'_>, query: &SelectBody, verb: &str) {
    let clause = match query {
        SelectBody { limit: Some(_), .. } | SelectBody { offset: Some(_), .. } => "limit or offset",
        SelectBody { order, .. } if !order.is_empty() => "order_by",
        SelectBody { distinct: true, .. } => "distinct",
        SelectBody { lock: Some(_), .. } => "lock",
        _ => return,
    };
    out.fail(Error::invalid(format!("{verb}_all takes a query with filters only, not with {clause}")));
}

/// MySQL would read the new value of a column that stands further left, and other engines the old one.
fn check_turns(out: &mut SqlBuilder<'_>, schema: &'static Schema, assignments: &[Assignment]) {
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
        Node::Column { column: read, .. } => *read == column,
        Node::Bind { .. } | Node::Constant(_) => false,
        Node::Binary { left, right, .. } => reads(left, column) || reads(right, column),
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().any(|node| reads(node, column)),
        Node::Not(node) | Node::IsNull(node) | Node::In { needle: node, .. } => reads(node, column),
        Node::Between { needle, low, high } => [needle, low, high].into_iter().any(|node| reads(node, column)),
        Node::Like { subject, pattern, .. } => reads(subject, column) || reads(pattern, column),
        Node::Fragment(parts) => {
            parts.iter().any(|part| matches!(part, FragmentPart::Argument(node) if reads(node, column)))
        }
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
fn sets_identity(out: &SqlBuilder<'_>, schema: &Schema, columns: &[usize]) -> bool {
    out.dialect().identity_insert()
        && columns.iter().any(|&column| matches!(schema.columns[column].generated, Generated::Identity))
}

fn identity_insert(out: &mut SqlBuilder<'_>, schema: &Schema, prefix: Option<&str>, on: bool) {
    out.push("SET IDENTITY_INSERT ");
    table(out, schema, prefix);
    out.push(if on { " ON; " } else { " OFF" });
}

fn declare_output(out: &mut SqlBuilder<'_>, schema: &'static Schema) {
    out.push("DECLARE @out TABLE (");
    out.of_schema("types", schema, |out| {
        separated(out, ", ", schema.columns, |out, column| {
            let column_type = out.dialect().column_type(column);
            out.ident(column.name).push(" ").push(&column_type).push(" NULL");
        });
    });
    out.push("); ");
}

fn output_into(out: &mut SqlBuilder<'_>, schema: &'static Schema, source: &str) {
    out.push(" OUTPUT ");
    all_columns(out, schema, Some(source));
    out.push(" INTO @out (");
    all_columns(out, schema, None);
    out.push(")");
}

fn select_output(out: &mut SqlBuilder<'_>, schema: &'static Schema) {
    out.push("; SELECT ");
    all_columns(out, schema, None);
    out.push(" FROM @out");
}
