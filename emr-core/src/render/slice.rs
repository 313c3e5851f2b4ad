//! LIMIT, OFFSET, TOP and FETCH.

use crate::dialect::LimitStyle;
use crate::query::SelectBody;
use crate::sql::SqlBuilder;
use crate::value::Value;

/// Which of the rows: at most `limit`, after the first `offset`.
#[derive(Clone, Copy)]
pub(super) struct Slice {
    pub(super) limit: Option<u64>,
    pub(super) offset: Option<u64>,
    pub(super) ties: bool,
}

impl Slice {
    pub(super) fn of(query: &SelectBody) -> Self {
        Slice { limit: query.limit, offset: query.offset, ties: query.with_ties }
    }

    /// Whether TOP says it all. FETCH takes no 0.
    pub(super) fn is_top(self) -> bool {
        self.offset.is_none() || self.limit == Some(0)
    }

    pub(super) fn needs_order(self, out: &SqlBuilder<'_>) -> bool {
        out.dialect().limit_style() == LimitStyle::TopFetch && !self.is_top()
    }
}

/// Writes TOP in front of what is selected.
pub(super) fn top(out: &mut SqlBuilder<'_>, slice: Slice) {
    if let (LimitStyle::TopFetch, Some(limit), true) = (out.dialect().limit_style(), slice.limit, slice.is_top()) {
        out.push("TOP (").push_number(limit.min(i64::MAX as u64)).push(if slice.ties { ") WITH TIES " } else { ") " });
    }
}

/// The limit stands in the text, so that the server may plan for it once; the offset, which changes from
/// page to page, is bound.
pub(super) fn limit(out: &mut SqlBuilder<'_>, slice: Slice) {
    if slice.ties && (!out.capabilities().with_ties || (slice.offset.is_some() && !slice.is_top())) {
        return out.unsupported("limits with ties");
    }
    if let (true, LimitStyle::LimitOffset, Some(rows)) = (slice.ties, out.dialect().limit_style(), slice.limit) {
        out.push(" FETCH FIRST ").push_number(rows.min(i64::MAX as u64)).push(" ROWS WITH TIES");
        return;
    }
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
