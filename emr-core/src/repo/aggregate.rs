//! One value of all rows of a query.

use std::borrow::Cow;

use super::read::one;
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::expr::{Aggregate, Node, SourceRef};
use crate::from_row::FromRow;
use crate::query::{Distinct, Relation, SelectBody, SelectItem};
use crate::value::SqlType;

pub(super) async fn aggregate<T, O: FromRow>(
    executor: &impl Executor,
    query: Box<SelectBody>,
    of: Aggregate<T, O>,
) -> Result<O> {
    let body = body(query, of)?;
    one::<O>(executor, body)
        .await?
        .ok_or_else(|| Error::invalid("an aggregate of a query without groups gives one row"))
}

/// The query that selects nothing but the aggregate: of the rows themselves, or of a subquery where something decides
/// first which rows there are.
fn body<T, O>(mut query: Box<SelectBody>, of: Aggregate<T, O>) -> Result<Box<SelectBody>> {
    if !query.group.is_empty() || !query.having.is_empty() {
        return Err(Error::invalid("aggregate takes a query without groups: select the aggregate beside their keys"));
    }
    if query.lock.is_some() {
        return Err(Error::invalid("aggregate takes a query without a lock: it returns no row to be held"));
    }
    let mut call = of.call;
    if call.over.is_some() {
        return Err(Error::invalid("aggregate gives one value of all rows, not one for each: leave out over()"));
    }
    // Nobody sees the rows.
    query.preloads.clear();
    query.folds.clear();
    let sliced = query.limit.is_some() || query.offset.is_some();
    let distinct = query.distinct != Distinct::No;
    if !sliced && !matches!(query.distinct, Distinct::On(_)) {
        // Which rows there are does not depend on their order.
        query.order.clear();
    }
    if !sliced && !distinct && query.combinations.is_empty() {
        query.select = vec![item(Node::Call(Box::new(call)), None)];
        return Ok(query);
    }
    let ctes = std::mem::take(&mut query.ctes);
    // Rows are made distinct by what is counted; without that, and in a combination, by all that they have.
    let keeps_columns = !query.combinations.is_empty() || call.arguments.is_empty();
    if keeps_columns {
        if query.select.is_empty() && query.from.relation.schema().is_none() {
            query.select = vec![item(Node::Constant(true), Some(Cow::Borrowed("a0")))];
        }
    } else {
        query.select.clear();
        for (n, node) in call.arguments.iter_mut().chain(&mut call.filter).enumerate() {
            let name: Cow<'static, str> = Cow::Owned(format!("a{n}"));
            let ty = node.sql_type().or(Some(SqlType::Bool));
            let outside = Node::Name { source: SourceRef::Nth(0), name: name.clone(), ty };
            query.select.push(item(std::mem::replace(node, outside), Some(name)));
        }
    }
    let mut outer = SelectBody::of(Relation::Query(query));
    outer.ctes = ctes;
    outer.select = vec![item(Node::Call(Box::new(call)), None)];
    Ok(Box::new(outer))
}

fn item(node: Node, name: Option<Cow<'static, str>>) -> SelectItem {
    SelectItem::Expr { node, name }
}
