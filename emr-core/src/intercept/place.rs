//! Where the condition on one source of a query stands, so that it takes away rows of that source and no others.

use crate::error::{Error, Result};
use crate::expr::{Node, SourceRef};
use crate::query::{Join, JoinKind, Relation, SelectBody};
use crate::schema::Schema;

enum Place {
    /// With the filters of the query: nothing can make a row of the source missing after that.
    Filter,
    /// With the conditions of its join.
    Join,
    /// In a subquery that takes the source's place: an outer join would let rows through, or lose those of other sources.
    Subquery,
}

/// Puts conditions on source `n` into the query. The first source of one that is written to (`is_target`) stays a table.
pub(super) fn place(
    body: &mut SelectBody,
    n: usize,
    schema: Option<&'static Schema>,
    mut conditions: Vec<Node>,
    is_target: bool,
) -> Result<()> {
    let nested = conditions.iter_mut().any(has_subquery);
    let place =
        if nested && !is_target && !is_found(body, n, schema) { Place::Subquery } else { of(body, n, is_target) };
    if let Place::Subquery = place {
        return wrap(body, n, schema, conditions);
    }
    let alias = source_of(body, n).alias;
    for condition in &mut conditions {
        condition.bind_to(schema, SourceRef::Nth(n));
        if let (true, Some(schema), Some(alias)) = (nested, schema, alias) {
            bind_below(condition, schema, SourceRef::Alias(alias));
        }
    }
    match n.checked_sub(1).and_then(|at| body.joins.get_mut(at)) {
        Some(join) if matches!(place, Place::Join) => {
            if join.kind == JoinKind::Cross {
                join.kind = JoinKind::Inner;
            }
            join.on.extend(conditions);
        }
        _ => body.filter.extend(conditions),
    }
    Ok(())
}

fn of(body: &SelectBody, n: usize, is_target: bool) -> Place {
    // Joins behind this source that keep rows of their own: they give it missing rows.
    let kept_behind = body.joins[n..].iter().any(|join| matches!(join.kind, JoinKind::Right | JoinKind::Full));
    match n.checked_sub(1).map(|at| &body.joins[at]) {
        None if is_target || !kept_behind => Place::Filter,
        None | Some(Join { lateral: true, .. }) => Place::Subquery,
        Some(join) => match join.kind {
            JoinKind::Inner | JoinKind::Cross | JoinKind::Left => Place::Join,
            JoinKind::Right if !kept_behind => Place::Filter,
            JoinKind::Right | JoinKind::Full => Place::Subquery,
        },
    }
}

/// Whether a subquery in a condition finds this source by its schema, or by its alias.
fn is_found(body: &SelectBody, n: usize, schema: Option<&'static Schema>) -> bool {
    let fits = |source: &crate::query::Source| source.alias.is_none() && source.relation.schema() == schema;
    source_of(body, n).alias.is_some() || body.sources().position(fits) == Some(n)
}

fn source_of(body: &SelectBody, n: usize) -> &crate::query::Source {
    match n.checked_sub(1) {
        None => &body.from,
        Some(join) => &body.joins[join].source,
    }
}

/// Replaces the source by a subquery of its rows for which the conditions hold.
fn wrap(body: &mut SelectBody, n: usize, schema: Option<&'static Schema>, mut conditions: Vec<Node>) -> Result<()> {
    let source = match n.checked_sub(1) {
        None => &mut body.from,
        Some(join) => &mut body.joins[join].source,
    };
    if schema.is_none() {
        return Err(Error::invalid(
            "an interceptor filters a table without a schema that an outer join keeps whole: give the table a schema",
        ));
    }
    for condition in &mut conditions {
        condition.bind_to(schema, SourceRef::Nth(0));
    }
    let inner = std::mem::replace(&mut source.relation, Relation::Values(Box::default()));
    let mut inner = SelectBody::of(inner);
    inner.from.prefix = source.prefix.take();
    inner.from.table = source.table.take();
    inner.from.hints = std::mem::take(&mut source.hints);
    inner.filter = conditions;
    source.relation = Relation::Query(Box::new(inner));
    Ok(())
}

/// Lets columns of the schema in the subqueries of a condition be those of this source, unless a subquery reads the table
/// itself.
fn bind_below(condition: &mut Node, schema: &'static Schema, to: SourceRef) {
    condition.each_mut(&mut |node| {
        let (Node::Subquery(query)
        | Node::Exists(query)
        | Node::InQuery { query, .. }
        | Node::Quantified { query, .. }) = node
        else {
            return;
        };
        if query.sources().any(|source| source.relation.schema() == Some(schema)) {
            return;
        }
        for node in query.filter.iter_mut().chain(query.joins.iter_mut().flat_map(|join| &mut join.on)) {
            node.each_mut(&mut |node| {
                if let Node::Column { source: source @ (SourceRef::Schema | SourceRef::Outer), schema: of, .. } = node
                    && *of == schema
                {
                    *source = to;
                }
            });
            bind_below(node, schema, to);
        }
    });
}

fn has_subquery(condition: &mut Node) -> bool {
    let mut found = false;
    condition.each_mut(&mut |node| {
        found |= matches!(node, Node::Subquery(_) | Node::Exists(_) | Node::InQuery { .. } | Node::Quantified { .. });
    });
    found
}
