//! SELECT.

use crate::dialect::LimitStyle;
use crate::error::Error;
use crate::expr::{Nulls, Order};
use crate::query::{Lock, SelectBody};
use crate::schema::Schema;
use crate::sql::{Effect, SqlBuilder};
use crate::value::Value;

use super::condition::{Scope, collate, value, where_clause};
use super::lock::{lock_hint, lock_suffix};
use super::{ALIAS, all_columns, separated, table};

const QUALIFIED: Scope = Scope { qualified: true };

/// `SELECT all columns FROM …`, with all that the query says.
pub fn select<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, default_prefix: Option<&str>) {
    out.effect(Effect::Read);
    if query.distinct && query.lock.is_some() {
        out.fail(Error::invalid("distinct rows cannot be locked: leave out distinct or the lock"));
    }
    let slice = Slice::of(query);
    out.push("SELECT ");
    if query.distinct && !query.order.iter().all(|key| orders_distinct(out, key)) {
        top(out, slice);
        all_columns(out, query.schema, Some(ALIAS));
        out.push(" FROM (SELECT DISTINCT ");
        all_columns(out, query.schema, Some(ALIAS));
        from(out, query, default_prefix);
        where_clause(out, &query.filter, QUALIFIED);
        out.push(") AS ").push(ALIAS);
    } else {
        if query.distinct {
            out.push("DISTINCT ");
        }
        top(out, slice);
        all_columns(out, query.schema, Some(ALIAS));
        from(out, query, default_prefix);
        where_clause(out, &query.filter, QUALIFIED);
    }
    if slice.needs_order(out) && query.order.is_empty() {
        out.unsupported("an offset without an order");
    }
    order_by(out, &query.order);
    limit(out, slice);
    lock_suffix(out, query.lock);
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
    lock_suffix(out, lock);
}

/// `SELECT count(*)` of the rows of a query; of a subquery where limit, offset or distinct narrow them.
pub fn count<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, default_prefix: Option<&str>) {
    out.effect(Effect::Read);
    refuse_lock(out, query, "count");
    let count = out.dialect().count();
    out.push("SELECT ").push(count);
    if query.limit.is_none() && query.offset.is_none() && !query.distinct {
        from(out, query, default_prefix);
        where_clause(out, &query.filter, QUALIFIED);
    } else {
        out.push(" FROM (");
        narrowed(out, query, Slice::of(query), default_prefix);
        out.push(") AS s0");
    }
}

/// `SELECT 1 … LIMIT 1`.
pub fn exists<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, default_prefix: Option<&str>) {
    out.effect(Effect::Read);
    refuse_lock(out, query, "exists");
    let one = Slice { limit: Some(query.limit.map_or(1, |limit| limit.min(1))), offset: query.offset };
    if query.distinct && query.offset.is_some() {
        out.push("SELECT 1 FROM (");
        narrowed(out, query, one, default_prefix);
        out.push(") AS s0");
    } else {
        out.push("SELECT ");
        top(out, one);
        out.push("1");
        from(out, query, default_prefix);
        where_clause(out, &query.filter, QUALIFIED);
        any_order(out, query.schema, one);
        limit(out, one);
    }
}

/// The rows of a query for somebody who only counts them: which of equal number does not matter, so the
/// query's own order is left out.
fn narrowed<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, slice: Slice, default_prefix: Option<&str>) {
    out.push("SELECT ");
    if query.distinct {
        out.push("DISTINCT ");
        top(out, slice);
        all_columns(out, query.schema, Some(ALIAS));
    } else {
        top(out, slice);
        out.push("1 AS one");
    }
    from(out, query, default_prefix);
    where_clause(out, &query.filter, QUALIFIED);
    any_order(out, query.schema, slice);
    limit(out, slice);
}

/// PostgreSQL cannot lock what it only counts, and nowhere could the caller tell which rows are locked.
fn refuse_lock(out: &mut SqlBuilder<'_>, query: &SelectBody, call: &str) {
    if query.lock.is_some() {
        out.fail(Error::invalid(format!("{call} takes a query without a lock: it returns no row to be held")));
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

fn from(out: &mut SqlBuilder<'_>, query: &SelectBody, default_prefix: Option<&str>) {
    out.push(" FROM ");
    table(out, query.schema, query.prefix.as_deref().or(default_prefix));
    out.push(" AS ").push(ALIAS);
    lock_hint(out, query.lock);
}

fn order_by<'q>(out: &mut SqlBuilder<'q>, order: &'q [Order]) {
    if order.is_empty() {
        return;
    }
    out.push(" ORDER BY ");
    // A key that was there before decides nothing any more, and SQL Server refuses it.
    let keys = order.iter().enumerate().filter(|(n, key)| order[..*n].iter().all(|earlier| earlier.node != key.node));
    separated(out, ", ", keys, |out, (_, key)| {
        let native = out.capabilities().nulls_order;
        if let (Some(nulls), false) = (key.nulls, native) {
            out.push("CASE WHEN ");
            value(out, &key.node, QUALIFIED);
            out.push(match nulls {
                Nulls::First => " IS NULL THEN 0 ELSE 1 END, ",
                Nulls::Last => " IS NULL THEN 1 ELSE 0 END, ",
            });
        }
        value(out, &key.node, QUALIFIED);
        collate(out, key.node.sql_type());
        if key.descending {
            out.push(" DESC");
        }
        match key.nulls {
            Some(Nulls::First) if native => out.push(" NULLS FIRST"),
            Some(Nulls::Last) if native => out.push(" NULLS LAST"),
            _ => out,
        };
    });
}

/// Whether distinct rows can be ordered by the key as it is written: only by a column that they show.
fn orders_distinct(out: &SqlBuilder<'_>, key: &Order) -> bool {
    key.node.as_column().is_some_and(|(schema, column)| {
        let plain = key.nulls.is_none() || out.capabilities().nulls_order;
        plain && out.dialect().collation(schema.columns[column].ty).is_none()
    })
}

/// Which of the rows: at most `limit`, after the first `offset`.
#[derive(Clone, Copy)]
struct Slice {
    limit: Option<u64>,
    offset: Option<u64>,
}

impl Slice {
    fn of(query: &SelectBody) -> Self {
        Slice { limit: query.limit, offset: query.offset }
    }

    /// Whether TOP says it all. FETCH takes no 0.
    fn is_top(self) -> bool {
        self.offset.is_none() || self.limit == Some(0)
    }

    fn needs_order(self, out: &SqlBuilder<'_>) -> bool {
        out.dialect().limit_style() == LimitStyle::TopFetch && !self.is_top()
    }
}

fn top(out: &mut SqlBuilder<'_>, slice: Slice) {
    if let (LimitStyle::TopFetch, Some(limit), true) = (out.dialect().limit_style(), slice.limit, slice.is_top()) {
        out.push("TOP (").push_number(limit.min(i64::MAX as u64)).push(") ");
    }
}

/// Writes an order where the offset needs one and none is asked for: by the key, which is sorted already.
fn any_order(out: &mut SqlBuilder<'_>, schema: &'static Schema, slice: Slice) {
    if slice.needs_order(out) {
        let column = schema.primary_key.first().copied().unwrap_or(0);
        out.push(" ORDER BY ").push(ALIAS).push(".").ident(schema.columns[column].name);
    }
}

/// The limit stands in the text, so that the server may plan for it once; the offset, which changes from
/// page to page, is bound.
fn limit(out: &mut SqlBuilder<'_>, slice: Slice) {
    let as_value = |rows: u64| Value::I64(i64::try_from(rows).unwrap_or(i64::MAX));
    match (out.dialect().limit_style(), slice.offset) {
        (LimitStyle::LimitOffset, offset) => {
            // OFFSET needs a LIMIT everywhere but on PostgreSQL.
            if let Some(limit) = slice.limit.or(offset.and(Some(u64::MAX))) {
                out.push(" LIMIT ").push_number(limit.min(i64::MAX as u64));
            }
            if let Some(offset) = offset {
                out.push(" OFFSET ").bind(as_value(offset), None);
            }
        }
        (LimitStyle::TopFetch, Some(offset)) if !slice.is_top() => {
            out.push(" OFFSET ").bind(as_value(offset), None).push(" ROWS");
            match slice.limit {
                Some(limit) if i32::try_from(limit).is_ok() => {
                    out.push(" FETCH NEXT ").push_number(limit).push(" ROWS ONLY");
                }
                // To SQL Server a literal beyond 32 bits is a decimal, which FETCH does not take.
                Some(limit) => {
                    out.push(" FETCH NEXT ").bind(as_value(limit), None).push(" ROWS ONLY");
                }
                None => {}
            }
        }
        (LimitStyle::TopFetch, _) => {}
    }
}
