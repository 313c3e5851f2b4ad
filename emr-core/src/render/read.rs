//! SELECT.

use crate::dialect::LimitStyle;
use crate::error::Error;
use crate::expr::{Node, Nulls, Order};
use crate::query::{Distinct, Lock, SelectBody, SelectItem, SetOperator};
use crate::schema::Schema;
use crate::sql::{Effect, SqlBuilder};
use crate::value::Value;

use super::condition::{collate, conditions, value, where_clause};
use super::from::{ctes, from};
use super::lock::{lock_hint, lock_suffix};
use super::scope::{Scope, all_columns_at};
use super::select::select_list;
use super::slice::{Slice, limit, top};
use super::window::windows;
use super::{ALIAS, all_columns, separated, table};

/// `SELECT … FROM …`, with all that the query says.
pub fn select<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, default_prefix: Option<&'q str>) {
    out.effect(Effect::Read);
    out.default_prefix(default_prefix);
    whole(out, query, Scope::top(query), false);
}

/// `SELECT all columns … WHERE key = value`, at most one row by the nature of keys.
pub fn get<'q>(
    out: &mut SqlBuilder<'q>,
    schema: &'static Schema,
    prefix: Option<&str>,
    key: &'q [Value<'static>],
    lock: Option<Lock>,
) {
    out.effect(Effect::Read);
    out.push("SELECT ");
    all_columns(out, schema, Some(ALIAS));
    out.push(" FROM ");
    table(out, schema, prefix);
    out.push(" AS ").push(ALIAS);
    lock_hint(out, lock);
    out.push(" WHERE ");
    key_condition(out, schema, key.iter().map(Value::borrowed), Some(ALIAS));
    lock_suffix(out, lock, false);
}

/// `SELECT count(*)` of the rows of a query; of a subquery where limit, offset, distinct or groups narrow them.
pub fn count<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, default_prefix: Option<&'q str>) {
    out.effect(Effect::Read);
    out.default_prefix(default_prefix);
    check_built(out, query);
    refuse_lock(out, query, "count");
    let count = out.dialect().count();
    let scope = Scope::top(query);
    ctes(out, &query.ctes, scope);
    out.push("SELECT ").push(count);
    if query.is_narrowed() {
        out.push(" FROM (");
        narrowed(out, query, Slice::of(query), scope);
        out.push(") AS s0");
    } else {
        from(out, query, scope);
        where_clause(out, &query.filter, scope);
    }
}

/// `SELECT 1 … LIMIT 1`.
pub fn exists<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, default_prefix: Option<&'q str>) {
    out.effect(Effect::Read);
    out.default_prefix(default_prefix);
    check_built(out, query);
    refuse_lock(out, query, "exists");
    let scope = Scope::top(query);
    let one = Slice { limit: Some(query.limit.map_or(1, |limit| limit.min(1))), ..Slice::of(query) };
    ctes(out, &query.ctes, scope);
    if query.combinations.is_empty() && (query.distinct == Distinct::No || query.offset.is_none()) {
        out.push("SELECT ");
        top(out, one);
        out.push("1");
        tail(out, query, scope);
        any_order(out, query, one);
        limit(out, one);
    } else {
        out.push("SELECT 1 FROM (");
        narrowed(out, query, one, scope);
        out.push(") AS s0");
    }
}

/// A query inside another one, as it is.
pub(super) fn subquery<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, around: Scope<'_, 'q>) {
    refuse_lock(out, query, "a subquery");
    whole(out, query, around.inner(query), true);
}

/// A query inside another one of which only matters whether it has a row.
pub(super) fn existence<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, around: Scope<'_, 'q>) {
    check_built(out, query);
    refuse_lock(out, query, "a subquery");
    refuse_preloads(out, query);
    let scope = around.inner(query);
    if query.combinations.is_empty() && query.group.is_empty() && query.limit.is_none() && query.offset.is_none() {
        ctes(out, &query.ctes, scope);
        out.push("SELECT 1");
        tail(out, query, scope);
    } else {
        whole(out, query, scope, true);
    }
}

/// Nobody could fill the structs of a query inside another one.
fn refuse_preloads(out: &mut SqlBuilder<'_>, query: &SelectBody) {
    if !query.preloads.is_empty() || !query.folds.is_empty() {
        out.fail(Error::invalid("a query inside another one gives no structs: preload in the outermost one"));
    }
}

/// Everything: common table expressions, the query, the queries it is combined with, order, limit and lock. `named` gives each
/// computed column a name.
pub(super) fn whole<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, scope: Scope<'_, 'q>, named: bool) {
    check_built(out, query);
    if named {
        refuse_preloads(out, query);
    }
    ctes(out, &query.ctes, scope);
    if !query.combinations.is_empty() {
        return combined(out, query, scope, named);
    }
    check_lock(out, query);
    let slice = Slice::of(query);
    let order_wraps =
        query.distinct == Distinct::Rows && !query.order.iter().all(|key| orders_distinct(out, query, key));
    if order_wraps {
        wrapped_distinct(out, query, scope, named);
    } else {
        body(out, query, slice, scope, named);
    }
    if slice.needs_order(out) && query.order.is_empty() {
        out.unsupported("an offset without an order");
    }
    // The rows of a subquery have no order, and SQL Server says so.
    let unseen =
        named && out.dialect().limit_style() == LimitStyle::TopFetch && slice.limit.is_none() && slice.offset.is_none();
    if !unseen {
        let first = if let Distinct::On(keys) = &query.distinct { &keys[..] } else { &[] };
        order_by(out, query, first, scope);
    }
    limit(out, slice);
    lock_suffix(out, query.lock, !query.joins.is_empty());
}

/// From SELECT to the groups.
fn body<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, slice: Slice, scope: Scope<'_, 'q>, named: bool) {
    out.push("SELECT ");
    match &query.distinct {
        Distinct::No => {}
        Distinct::Rows => {
            out.push("DISTINCT ");
        }
        Distinct::On(_) if !out.capabilities().distinct_on => out.unsupported("distinct on"),
        Distinct::On(keys) => {
            out.push("DISTINCT ON (");
            separated(out, ", ", keys, |out, key| value(out, &key.node, scope));
            out.push(") ");
        }
    }
    top(out, slice);
    select_list(out, query, scope, named);
    tail(out, query, scope);
}

/// From FROM to the groups.
fn tail<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, scope: Scope<'_, 'q>) {
    from(out, query, scope);
    where_clause(out, &query.filter, scope);
    if !query.group.is_empty() {
        out.push(" GROUP BY ");
        separated(out, ", ", &query.group, |out, node| match selected_place(query, node) {
            // By its place, as parameters in it would make another expression of it, and its name could be that of a column.
            Some(at) if out.dialect().limit_style() == LimitStyle::LimitOffset => {
                out.push_number(at as u64 + 1);
            }
            _ => {
                value(out, node, scope);
                collate(out, node.sql_type());
            }
        });
    }
    conditions(out, " HAVING ", &query.having, scope);
    windows(out, query, scope);
}

/// Distinct rows that are ordered by something else than a column of theirs.
fn wrapped_distinct<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, scope: Scope<'_, 'q>, named: bool) {
    let Some(schema) = query.whole_schema() else {
        out.fail(Error::invalid("distinct rows can only be ordered by what is selected"));
        return;
    };
    let _ = named;
    out.push("SELECT ");
    top(out, Slice::of(query));
    let place = scope.place(0);
    all_columns_at(out, schema, place);
    out.push(" FROM (SELECT DISTINCT ");
    all_columns_at(out, schema, place);
    tail(out, query, scope);
    out.push(") AS ");
    scope.alias(out, 0);
}

/// `query UNION query …`, ordered and limited as a whole.
fn combined<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, scope: Scope<'_, 'q>, named: bool) {
    if query.lock.is_some() {
        out.fail(Error::invalid("the rows of combined queries cannot be locked"));
    }
    let slice = Slice::of(query);
    let none = Slice { limit: None, offset: None, ties: false };
    let whole_slice = out.dialect().limit_style() == LimitStyle::TopFetch && slice.limit.is_some();
    if whole_slice {
        out.push("SELECT ");
        top(out, slice);
        out.push("* FROM (");
    }
    body(out, query, none, scope, named);
    for combination in &query.combinations {
        if combination.operator != SetOperator::Union && !out.capabilities().except {
            out.unsupported("EXCEPT and INTERSECT");
        }
        if combination.all && combination.operator != SetOperator::Union && !out.capabilities().except_all {
            out.unsupported("EXCEPT ALL and INTERSECT ALL");
        }
        out.push(match (combination.operator, combination.all) {
            (SetOperator::Union, false) => " UNION ",
            (SetOperator::Union, true) => " UNION ALL ",
            (SetOperator::Except, false) => " EXCEPT ",
            (SetOperator::Except, true) => " EXCEPT ALL ",
            (SetOperator::Intersect, false) => " INTERSECT ",
            (SetOperator::Intersect, true) => " INTERSECT ALL ",
        });
        let other = &*combination.body;
        refuse_lock(out, other, "a combination");
        let inner = scope.beside(other);
        let plain = other.combinations.is_empty() && other.order.is_empty() && other.ctes.is_empty();
        if plain && other.limit.is_none() && other.offset.is_none() {
            body(out, other, none, inner, named);
        } else {
            // Brackets would do, but not on SQLite.
            out.push("SELECT * FROM (");
            whole(out, other, inner, true);
            out.push(") AS ");
            inner.alias(out, 0);
        }
    }
    if whole_slice {
        out.push(") AS ");
        scope.alias(out, 0);
    }
    if slice.needs_order(out) && query.order.is_empty() {
        out.unsupported("an offset without an order");
    }
    combined_order(out, query, scope);
    limit(out, slice);
}

/// The order of combined queries goes by the places of the columns: nothing else is seen from outside.
fn combined_order<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, scope: Scope<'_, 'q>) {
    if query.order.is_empty() {
        return;
    }
    out.push(" ORDER BY ");
    separated(out, ", ", &query.order, |out, key| {
        match column_place(query, key) {
            Some(at) => {
                out.push_number(at as u64 + 1);
            }
            None => out.fail(Error::invalid("combined queries can only be ordered by what they select")),
        }
        collate(out, scope.type_of(&key.node));
        direction(out, key);
    });
}

/// The place in the result of what the expression names.
fn selected_place(query: &SelectBody, node: &Node) -> Option<usize> {
    let Node::Selected(wanted) = node else { return None };
    let mut at = 0;
    for item in &query.select {
        match item {
            SelectItem::Expr { name: Some(name), .. } if name == wanted => return Some(at),
            SelectItem::Expr { .. } => at += 1,
            SelectItem::Row { schema, .. } => at += schema.columns.len(),
        }
    }
    None
}

/// The place in the result of what the key orders by.
fn column_place(query: &SelectBody, key: &Order) -> Option<usize> {
    if let Some(schema) = query.whole_schema() {
        let (of, column) = key.node.as_column()?;
        return (of == schema).then_some(column);
    }
    if let Some(at) = selected_place(query, &key.node) {
        return Some(at);
    }
    let mut at = 0;
    for item in &query.select {
        match item {
            SelectItem::Expr { node, .. } => {
                if *node == key.node {
                    return Some(at);
                }
                at += 1;
            }
            SelectItem::Row { schema, .. } => {
                if let Some((of, column)) = key.node.as_column()
                    && of == *schema
                {
                    return Some(at + column);
                }
                at += schema.columns.len();
            }
        }
    }
    None
}

/// The rows of a query for somebody who only counts them: which of equal number does not matter, so the
/// query's own order is left out.
fn narrowed<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, slice: Slice, scope: Scope<'_, 'q>) {
    if !query.combinations.is_empty() || query.with_ties || matches!(query.distinct, Distinct::On(_)) {
        return whole_without_ctes(out, query, scope);
    }
    out.push("SELECT ");
    if query.distinct == Distinct::Rows {
        out.push("DISTINCT ");
        top(out, slice);
        select_list(out, query, scope, true);
    } else {
        top(out, slice);
        out.push("1 AS one");
    }
    tail(out, query, scope);
    any_order(out, query, slice);
    limit(out, slice);
}

/// As it is; its common table expressions stand in front of the statement already.
fn whole_without_ctes<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, scope: Scope<'_, 'q>) {
    if query.combinations.is_empty() {
        let slice = Slice::of(query);
        body(out, query, slice, scope, true);
        let first = if let Distinct::On(keys) = &query.distinct { &keys[..] } else { &[] };
        order_by(out, query, first, scope);
        limit(out, slice);
    } else {
        combined(out, query, scope, true);
    }
}

/// PostgreSQL cannot lock what it only counts, and nowhere could the caller tell which rows are locked.
fn refuse_lock(out: &mut SqlBuilder<'_>, query: &SelectBody, call: &str) {
    if query.lock.is_some() {
        out.fail(Error::invalid(format!("{call} takes a query without a lock: it returns no row to be held")));
    }
}

/// What was wrong when the query was built.
pub(super) fn check_built(out: &mut SqlBuilder<'_>, query: &SelectBody) {
    if let Some(problem) = &query.problem {
        out.fail(Error::invalid(problem.clone()));
    }
}

/// What was grouped, put together or made distinct is no row of a table any more.
fn check_lock(out: &mut SqlBuilder<'_>, query: &SelectBody) {
    if query.lock.is_some() && (query.distinct != Distinct::No || !query.group.is_empty()) {
        out.fail(Error::invalid(
            "distinct rows and groups cannot be locked: leave out distinct, the groups or the lock",
        ));
    }
}

/// `key = value AND …` for the columns of the primary key.
pub(super) fn key_condition<'q>(
    out: &mut SqlBuilder<'q>,
    schema: &'static Schema,
    key: impl IntoIterator<Item = Value<'q>>,
    qualifier: Option<&str>,
) {
    if schema.primary_key.is_empty() {
        return out.fail(Error::invalid(format!(
            "{} has no primary key: mark a field with #[emr(primary_key)], or use a query",
            schema.name
        )));
    }
    let mut key = key.into_iter();
    separated(out, " AND ", schema.primary_key, |out, &column| {
        let def = &schema.columns[column];
        // A missing value would widen the condition to rows that nobody meant.
        let Some(value) = key.next() else {
            return out.fail(Error::invalid(format!("the key of {} lacks a value for {}", schema.table, def.name)));
        };
        if let Some(qualifier) = qualifier {
            out.push(qualifier).push(".");
        }
        out.ident(def.name).push(" = ").bind(value, Some((schema, column)));
        collate(out, Some(def.ty));
    });
    if key.next().is_some() {
        out.fail(Error::invalid(format!("the key of {} has more values than columns", schema.table)));
    }
}

/// Writes the order: the keys that must come first, then the query's.
fn order_by<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, first: &'q [Order], scope: Scope<'_, 'q>) {
    let order = &query.order;
    if order.is_empty() && first.is_empty() {
        return;
    }
    out.push(" ORDER BY ");
    // A key that was there before decides nothing any more, and SQL Server refuses it.
    let keys = first.iter().chain(order);
    let keys = keys.enumerate().filter(|(n, key)| {
        let mut earlier = first.iter().chain(order).take(*n);
        earlier.all(|earlier| earlier.node != key.node)
    });
    separated(out, ", ", keys, |out, (_, key)| {
        let native = out.capabilities().nulls_order;
        if let (Some(nulls), false) = (key.nulls, native) {
            out.push("CASE WHEN ");
            value(out, &key.node, scope);
            out.push(match nulls {
                Nulls::First => " IS NULL THEN 0 ELSE 1 END, ",
                Nulls::Last => " IS NULL THEN 1 ELSE 0 END, ",
            });
        }
        match selected_place(query, &key.node) {
            Some(at) => {
                out.push_number(at as u64 + 1);
            }
            _ if query.distinct == Distinct::Rows && !query.select.is_empty() => match column_place(query, key) {
                Some(at) => {
                    out.push_number(at as u64 + 1);
                }
                None => out.fail(Error::invalid("distinct rows can only be ordered by what is selected")),
            },
            _ => value(out, &key.node, scope),
        }
        collate(out, scope.type_of(&key.node));
        direction(out, key);
    });
}

pub(super) fn direction(out: &mut SqlBuilder<'_>, key: &Order) {
    if key.descending {
        out.push(" DESC");
    }
    let native = out.capabilities().nulls_order;
    match key.nulls {
        Some(Nulls::First) if native => out.push(" NULLS FIRST"),
        Some(Nulls::Last) if native => out.push(" NULLS LAST"),
        _ => out,
    };
}

/// Whether distinct rows can be ordered by the key as it is written: only by a column that they show.
fn orders_distinct(out: &SqlBuilder<'_>, query: &SelectBody, key: &Order) -> bool {
    if !query.select.is_empty() {
        return true;
    }
    key.node.as_column().is_some_and(|(schema, column)| {
        let plain = key.nulls.is_none() || out.capabilities().nulls_order;
        plain && out.dialect().collation(schema.columns[column].ty).is_none()
    })
}

/// Writes an order where the offset needs one and none is asked for: by the key, which is sorted already.
fn any_order(out: &mut SqlBuilder<'_>, query: &SelectBody, slice: Slice) {
    if !slice.needs_order(out) {
        return;
    }
    match query.from.relation.schema() {
        Some(schema) if query.group.is_empty() => {
            let column = schema.primary_key.first().copied().unwrap_or(0);
            out.push(" ORDER BY ").push(ALIAS).push(".").ident(schema.columns[column].name);
        }
        _ => {
            out.push(" ORDER BY 1");
        }
    }
}
