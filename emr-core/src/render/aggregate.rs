//! Functions of many rows: aggregates and window functions.

use crate::error::Error;
use crate::expr::{Call, Function, Node};
use crate::sql::SqlBuilder;

use super::condition::{collate, condition};
use super::function::argument;
use super::scope::Scope;
use super::separated;
use super::window::over;

/// Writes an aggregate or a window function.
pub(super) fn over_rows<'q>(out: &mut SqlBuilder<'q>, call: &'q Call, scope: Scope<'_, 'q>) {
    if call.is_aggregate() {
        let sql = out.dialect().aggregate(&call.function, call.of);
        out.push(sql.open).push(sql.name).push("(");
        counted(out, call, sql.argument, scope);
        out.push(")");
        if !call.filter.is_empty() && out.capabilities().aggregate_filter {
            out.push(" FILTER (WHERE ");
            separated(out, " AND ", &call.filter, |out, node| condition(out, node, scope));
            out.push(")");
        }
        if let Some(window) = &call.over {
            over(out, window, false, scope);
        }
        out.push(sql.close);
        return;
    }
    ranking(out, call, scope);
    match &call.over {
        Some(window) => over(out, window, true, scope),
        None => out.fail(Error::invalid("a window function needs a window: say it by over()")),
    }
}

/// Writes what is counted: the argument, or where the engine has no FILTER a CASE that is NULL for the other rows.
fn counted<'q>(out: &mut SqlBuilder<'q>, call: &'q Call, (before, after): (&str, &str), scope: Scope<'_, 'q>) {
    if call.distinct {
        if call.function == Function::CountAll {
            return out.fail(Error::invalid("count_all() counts rows, equal or not: use count(…).distinct()"));
        }
        if call.over.is_some() {
            return out.unsupported("an aggregate of distinct values over a window");
        }
        out.push("DISTINCT ");
    }
    let by_case = !call.filter.is_empty() && !out.capabilities().aggregate_filter;
    if by_case {
        out.push("CASE WHEN ");
        separated(out, " AND ", &call.filter, |out, node| condition(out, node, scope));
        out.push(" THEN ");
    }
    match call.arguments.first() {
        Some(node) => {
            out.push(before);
            argument(out, node, scope);
            out.push(after);
            if !by_case {
                collate(out, Some(call.of));
            }
        }
        None if by_case => {
            out.push("1");
        }
        None => {
            out.push("*");
        }
    }
    if by_case {
        out.push(" END");
    }
}

/// Writes a window function up to its OVER.
fn ranking<'q>(out: &mut SqlBuilder<'q>, call: &'q Call, scope: Scope<'_, 'q>) {
    let (name, number) = match call.function {
        Function::Rank => ("rank(", None),
        Function::DenseRank => ("dense_rank(", None),
        Function::PercentRank => ("percent_rank(", None),
        Function::CumeDist => ("cume_dist(", None),
        Function::Ntile(groups) => ("ntile(", Some(groups)),
        Function::Lag(rows) => ("lag(", Some(rows)),
        Function::Lead(rows) => ("lead(", Some(rows)),
        Function::FirstValue => ("first_value(", None),
        Function::LastValue => ("last_value(", None),
        Function::NthValue(row) => ("nth_value(", Some(row)),
        _ => ("row_number(", None),
    };
    if matches!(call.function, Function::NthValue(_)) && !out.capabilities().nth_value {
        out.unsupported("nth_value");
    }
    if matches!(call.function, Function::NthValue(0) | Function::Ntile(0)) {
        out.fail(Error::invalid("groups of ntile and rows of nth_value are counted from 1"));
    }
    let has_default = matches!(call.function, Function::Lag(_) | Function::Lead(_)) && call.arguments.len() > 1;
    if has_default && !out.capabilities().offset_default {
        out.unsupported("a default of lag and lead");
    }
    out.push(name);
    let mut arguments = call.arguments.iter();
    let write = |out: &mut SqlBuilder<'q>, node: &'q Node| argument(out, node, scope);
    if let Some(first) = arguments.next() {
        write(out, first);
        if number.is_some() {
            out.push(", ");
        }
    }
    if let Some(number) = number {
        out.push_number(number.into());
    }
    for node in arguments {
        out.push(", ");
        write(out, node);
    }
    out.push(")");
}
