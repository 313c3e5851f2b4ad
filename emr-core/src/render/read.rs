//! SELECT.

use crate::dialect::{LimitStyle, LockStyle};
use crate::error::Error;
use crate::expr::{Nulls, Order};
use crate::query::{Lock, LockStrength, LockWait, SelectBody};
use crate::schema::Schema;
use crate::sql::SqlBuilder;
use crate::value::Value;

use super::condition::{Scope, collate_value, value, where_clause};
use super::{ALIAS, all_columns, separated, table};

const QUALIFIED: Scope = Scope { qualified: true };

/// `SELECT all columns FROM …`, with all that the query says.
pub fn select<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, default_prefix: Option<&str>) {
    out.push("SELECT ");
    if query.distinct {
        out.push("DISTINCT ");
    }
    top(out, query);
    all_columns(out, query.schema, Some(ALIAS));
    from(out, query, default_prefix);
    where_clause(out, &query.filter, QUALIFIED);
    order_by(out, &query.order);
    limit(out, query);
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
    if query.limit.is_none() && query.offset.is_none() && !query.distinct {
        out.push("SELECT count(*)");
        from(out, query, default_prefix);
        where_clause(out, &query.filter, QUALIFIED);
        return;
    }
    out.push("SELECT count(*) FROM (SELECT ");
    if query.distinct {
        out.push("DISTINCT ");
    }
    top(out, query);
    all_columns(out, query.schema, Some(ALIAS));
    from(out, query, default_prefix);
    where_clause(out, &query.filter, QUALIFIED);
    if query.limit.is_some() || query.offset.is_some() {
        order_by(out, &query.order);
    }
    limit(out, query);
    out.push(") AS s0");
}

/// `SELECT 1 … LIMIT 1`.
pub fn exists<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, default_prefix: Option<&str>) {
    let top_style = out.dialect().limit_style() == LimitStyle::TopFetch;
    let no_rows = query.limit == Some(0);
    out.push(if top_style && query.offset.is_none() { "SELECT TOP (1) 1" } else { "SELECT 1" });
    from(out, query, default_prefix);
    where_clause(out, &query.filter, QUALIFIED);
    if no_rows {
        let never = out.dialect().condition(false);
        out.push(if query.filter.is_empty() { " WHERE " } else { " AND " }).push(never);
    }
    match (query.offset, top_style) {
        (None, true) => {}
        (None, false) => {
            out.push(" LIMIT 1");
        }
        (Some(_), _) => {
            order_by(out, &query.order);
            limit_clause(out, Some(1), query.offset, query.order.is_empty());
        }
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
    separated(out, " AND ", schema.primary_key.iter().zip(key), |out, (&column, value)| {
        let def = &schema.columns[column];
        let collation = out.dialect().collation(def.ty);
        if let Some(qualifier) = qualifier {
            out.push(qualifier).push(".");
        }
        out.ident(def.name).push(" = ").bind(value, Some((schema, column)));
        if let Some(collation) = collation {
            out.push(" COLLATE ").push(collation);
        }
    });
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
    separated(out, ", ", order, |out, key| {
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
        collate_value(out, &key.node);
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

fn top(out: &mut SqlBuilder<'_>, query: &SelectBody) {
    if let (LimitStyle::TopFetch, Some(limit), None) = (out.dialect().limit_style(), query.limit, query.offset) {
        out.push("TOP (").push_number(limit).push(") ");
    }
}

fn limit(out: &mut SqlBuilder<'_>, query: &SelectBody) {
    let topped = out.dialect().limit_style() == LimitStyle::TopFetch && query.offset.is_none();
    if !topped {
        limit_clause(out, query.limit, query.offset, query.order.is_empty());
    }
}

/// The limit stands in the text, so that the server may plan for it once; the offset, which changes from
/// page to page, is bound.
fn limit_clause(out: &mut SqlBuilder<'_>, limit: Option<u64>, offset: Option<u64>, unordered: bool) {
    let offset_value = offset.map(|offset| Value::I64(i64::try_from(offset).unwrap_or(i64::MAX)));
    match out.dialect().limit_style() {
        LimitStyle::LimitOffset => {
            match (limit, &offset_value) {
                (Some(limit), _) => {
                    out.push(" LIMIT ").push_number(limit.min(i64::MAX as u64));
                }
                // OFFSET needs a LIMIT everywhere but on PostgreSQL.
                (None, Some(_)) => {
                    out.push(" LIMIT ").push_number(i64::MAX as u64);
                }
                (None, None) => {}
            }
            if let Some(offset) = offset_value {
                out.push(" OFFSET ").bind(offset, None);
            }
        }
        LimitStyle::TopFetch => {
            let Some(offset) = offset_value else { return };
            if unordered {
                out.fail(Error::unsupported("an offset without an order", out.capabilities().server.clone()));
            }
            out.push(" OFFSET ").bind(offset, None).push(" ROWS");
            if let Some(limit) = limit {
                out.push(" FETCH NEXT ").push_number(limit).push(" ROWS ONLY");
            }
        }
    }
}

/// Refuses what the server cannot lock.
fn check_lock(out: &mut SqlBuilder<'_>, lock: Lock) {
    let capabilities = out.capabilities();
    if !capabilities.row_locks {
        out.unsupported("row locks");
    } else if lock.wait == LockWait::SkipLocked && !capabilities.skip_locked {
        out.unsupported("locks that skip locked rows");
    } else if lock.wait == LockWait::NoWait && !capabilities.nowait {
        out.unsupported("locks that do not wait");
    }
}

fn lock_suffix(out: &mut SqlBuilder<'_>, lock: Option<Lock>) {
    let Some(lock) = lock else { return };
    check_lock(out, lock);
    if out.dialect().lock_style() != LockStyle::Suffix {
        return;
    }
    let key_locks = out.capabilities().key_locks;
    out.push(match lock.strength {
        LockStrength::NoKeyUpdate if key_locks => " FOR NO KEY UPDATE",
        LockStrength::Update | LockStrength::NoKeyUpdate => " FOR UPDATE",
        LockStrength::KeyShare if key_locks => " FOR KEY SHARE",
        LockStrength::Share | LockStrength::KeyShare => " FOR SHARE",
    });
    out.push(match lock.wait {
        LockWait::Wait => "",
        LockWait::NoWait => " NOWAIT",
        LockWait::SkipLocked => " SKIP LOCKED",
    });
}

fn lock_hint(out: &mut SqlBuilder<'_>, lock: Option<Lock>) {
    let Some(lock) = lock else { return };
    if out.dialect().lock_style() != LockStyle::TableHint {
        return;
    }
    out.push(match lock.strength {
        LockStrength::Update | LockStrength::NoKeyUpdate => " WITH (UPDLOCK, ROWLOCK",
        LockStrength::Share | LockStrength::KeyShare => " WITH (REPEATABLEREAD, ROWLOCK",
    });
    out.push(match lock.wait {
        LockWait::Wait => ")",
        LockWait::NoWait => ", NOWAIT)",
        LockWait::SkipLocked => ", READPAST)",
    });
}
