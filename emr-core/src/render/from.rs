//! FROM, joins, and common table expressions.

use crate::dialect::ValuesStyle;
use crate::error::Error;
use crate::query::{Cte, CteBody, JoinKind, Relation, SelectBody, Source, Values};
use crate::sql::SqlBuilder;
use crate::value::Value;

use super::condition::{conditions, fragment};
use super::lock::lock_hint;
use super::read::whole;
use super::scope::Scope;
use super::{bound, separated, table_of, table_of_source};

/// Writes ` FROM …` with all joins.
pub(super) fn from<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, scope: Scope<'_, 'q>) {
    out.push(" FROM ");
    source(out, &query.from, 0, false, scope);
    lock_hint(out, query.lock);
    joins(out, query, scope);
}

/// Writes the joins.
pub(super) fn joins<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, scope: Scope<'_, 'q>) {
    for (n, join) in query.joins.iter().enumerate() {
        let can = out.capabilities();
        match join.kind {
            JoinKind::Full if !can.full_join => out.unsupported("full joins"),
            JoinKind::Right if !can.right_join => out.unsupported("right joins"),
            _ => {}
        }
        if join.lateral && !can.lateral {
            out.unsupported("lateral joins");
        }
        let applies = join.lateral && out.dialect().apply_joins();
        out.push(match (join.kind, applies) {
            (JoinKind::Inner | JoinKind::Cross, true) => " CROSS APPLY ",
            (JoinKind::Left, true) => " OUTER APPLY ",
            (JoinKind::Inner, false) => " INNER JOIN ",
            (JoinKind::Left, false) => " LEFT JOIN ",
            (JoinKind::Right, _) => " RIGHT JOIN ",
            (JoinKind::Full, _) => " FULL JOIN ",
            (JoinKind::Cross, false) => " CROSS JOIN ",
        });
        if join.lateral && !applies {
            out.push("LATERAL ");
        }
        source(out, &join.source, n + 1, join.lateral, scope);
        match (join.kind, applies) {
            (JoinKind::Cross, _) | (_, true) if !join.on.is_empty() => out.fail(Error::invalid(
                "a cross join, and a lateral join on SQL Server, takes no condition: put it into a filter or the subquery",
            )),
            (JoinKind::Cross, _) | (_, true) => {}
            _ if join.on.is_empty() => {
                let always = out.dialect().condition(true);
                out.push(" ON ").push(always);
            }
            _ => conditions(out, " ON ", &join.on, scope),
        }
    }
}

/// Writes one source with its alias.
pub(super) fn source<'q>(out: &mut SqlBuilder<'q>, source: &'q Source, n: usize, lateral: bool, scope: Scope<'_, 'q>) {
    let mut column_names: &[_] = &[];
    match &source.relation {
        Relation::Schema(schema) => table_of_source(out, source, schema),
        Relation::Table(name) => table_of(out, name, source.prefix.as_deref(), None),
        Relation::Cte { name, .. } => {
            out.ident(name);
        }
        Relation::Query(query) => {
            out.push("(");
            let inner = if lateral { scope.inner(query) } else { scope.beside(query) };
            whole(out, query, inner, true);
            out.push(")");
        }
        Relation::Fragment { parts, columns, .. } => {
            column_names = columns;
            // A function call stands as it is, a query in brackets.
            let is_query = parts.first().is_some_and(crate::expr::FragmentPart::begins_query);
            if is_query {
                out.push("(");
            }
            fragment(out, parts, scope);
            if is_query {
                out.push(")");
            }
        }
        Relation::Values(rows) => values(out, rows),
    }
    out.push(" AS ");
    scope.alias(out, n);
    if let Relation::Values(rows) = &source.relation
        && matches!(out.dialect().values_style(), ValuesStyle::Named | ValuesStyle::Rows)
    {
        out.push(" (");
        separated(out, ", ", &rows.columns, |out, (name, _)| {
            out.ident(name);
        });
        out.push(")");
    }
    if !column_names.is_empty() {
        out.push(" (");
        separated(out, ", ", column_names, |out, name| {
            out.ident(name);
        });
        out.push(")");
    }
    for hint in &source.hints {
        out.fragment();
        out.push(" ").push(hint);
    }
}

/// Writes rows that are sent along, in brackets.
fn values<'q>(out: &mut SqlBuilder<'q>, values: &'q Values) {
    let Values { columns, rows } = values;
    if columns.is_empty() {
        return out.fail(Error::invalid("a list of values without a column"));
    }
    if rows.is_empty() {
        return no_values(out, values);
    }
    if rows.iter().any(|row| row.len() != columns.len()) {
        return out.fail(Error::invalid("a row of a list of values is longer or shorter than its columns"));
    }
    let style = out.dialect().values_style();
    out.push("(");
    if style == ValuesStyle::Numbered {
        out.push("SELECT ");
        separated(out, ", ", columns.iter().enumerate(), |out, (at, (name, _))| {
            out.push("column").push_number(at as u64 + 1).push(" AS ").ident(name);
        });
        out.push(" FROM (");
    }
    if style != ValuesStyle::Union {
        out.push("VALUES ");
    }
    let separator = if style == ValuesStyle::Union { " UNION ALL " } else { ", " };
    separated(out, separator, rows.iter().enumerate(), |out, (n, row)| {
        out.push(match style {
            ValuesStyle::Rows => "ROW(",
            ValuesStyle::Union => "SELECT ",
            ValuesStyle::Named | ValuesStyle::Numbered => "(",
        });
        separated(out, ", ", row.iter().zip(columns), |out, (cell, (name, ty))| {
            // The first row tells the types.
            bound(out, cell.borrowed(), None, (n == 0).then_some(*ty));
            if style == ValuesStyle::Union && n == 0 {
                out.push(" AS ").ident(name);
            }
        });
        if style != ValuesStyle::Union {
            out.push(")");
        }
    });
    if style == ValuesStyle::Numbered {
        out.push(")");
    }
    out.push(")");
}

/// Writes a list without rows, which no engine takes as VALUES.
fn no_values<'q>(out: &mut SqlBuilder<'q>, values: &'q Values) {
    out.push("(SELECT ");
    separated(out, ", ", &values.columns, |out, (name, ty)| {
        bound(out, Value::Null(*ty), None, Some(*ty));
        out.push(" AS ").ident(name);
    });
    let never = out.dialect().condition(false);
    out.push(" FROM (SELECT 1 AS n) AS n WHERE ").push(never).push(")");
}

/// Writes `WITH …` for all of them, or nothing.
pub(super) fn ctes<'q>(out: &mut SqlBuilder<'q>, ctes: &'q [Cte], scope: Scope<'_, 'q>) {
    if ctes.is_empty() {
        return;
    }
    let recursive = ctes.iter().any(|cte| cte.recursive) && out.dialect().says_recursive();
    out.push(if recursive { "WITH RECURSIVE " } else { "WITH " });
    separated(out, ", ", ctes, |out, cte| {
        out.ident(&cte.name).push(" AS ");
        if let Some(materialized) = cte.materialized {
            if !out.capabilities().materialized_ctes {
                out.unsupported("materialized common table expressions");
            }
            out.push(if materialized { "MATERIALIZED " } else { "NOT MATERIALIZED " });
        }
        out.push("(");
        match &cte.body {
            CteBody::Query(query) => whole(out, query, scope.beside(query), true),
            CteBody::Fragment(parts) => fragment(out, parts, scope),
        }
        out.push(")");
    });
    out.push(" ");
}
