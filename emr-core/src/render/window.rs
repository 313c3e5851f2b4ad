//! Windows.

use crate::error::Error;
use crate::expr::{Bound, Frame, Nulls, Over, WindowDef};
use crate::query::SelectBody;
use crate::sql::SqlBuilder;

use super::condition::{collate, value};
use super::read::direction;
use super::scope::Scope;
use super::separated;

/// Writes ` OVER …`. `ranking`: of a function that means nothing without an order.
pub(super) fn over<'q>(out: &mut SqlBuilder<'q>, over: &'q Over, ranking: bool, scope: Scope<'_, 'q>) {
    out.push(" OVER ");
    match over {
        Over::Window(def) => window(out, def, ranking, scope),
        Over::Named(name) => match scope.window(name) {
            Some(_) if out.capabilities().named_windows => {
                out.ident(name);
            }
            Some(def) => window(out, def, ranking, scope),
            None => out.fail(Error::invalid(format!("the query has no window {name:?}: give it one by window()"))),
        },
    }
}

/// Writes ` WINDOW …` for all named windows, or nothing.
pub(super) fn windows<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, scope: Scope<'_, 'q>) {
    if query.windows.is_empty() || !out.capabilities().named_windows {
        return;
    }
    out.push(" WINDOW ");
    separated(out, ", ", &query.windows, |out, (name, def)| {
        out.ident(name).push(" AS ");
        window(out, def, false, scope);
    });
}

fn window<'q>(out: &mut SqlBuilder<'q>, def: &'q WindowDef, ranking: bool, scope: Scope<'_, 'q>) {
    let WindowDef { partition, order, frame } = def;
    out.push("(");
    let mut space = "";
    if !partition.is_empty() {
        out.push("PARTITION BY ");
        separated(out, ", ", partition, |out, node| {
            value(out, node, scope);
            collate(out, scope.type_of(node));
        });
        space = " ";
    }
    if !order.is_empty() {
        out.push(space).push("ORDER BY ");
        separated(out, ", ", order, |out, key| {
            if let (Some(nulls), false) = (key.nulls, out.capabilities().nulls_order) {
                out.push("CASE WHEN ");
                value(out, &key.node, scope);
                out.push(match nulls {
                    Nulls::First => " IS NULL THEN 0 ELSE 1 END, ",
                    Nulls::Last => " IS NULL THEN 1 ELSE 0 END, ",
                });
            }
            value(out, &key.node, scope);
            collate(out, scope.type_of(&key.node));
            direction(out, key);
        });
        space = " ";
    } else if ranking && out.dialect().ranking_needs_order() {
        out.push(space).push("ORDER BY (SELECT 1)");
        space = " ";
    }
    if let Some(Frame { rows, start, end }) = frame {
        if !rows && [start, end].into_iter().any(|bound| matches!(bound, Bound::Preceding(_) | Bound::Following(_))) {
            out.fail(Error::invalid("a range has no number of rows: use rows_between"));
        }
        out.push(space).push(if *rows { "ROWS BETWEEN " } else { "RANGE BETWEEN " });
        bound(out, *start);
        out.push(" AND ");
        bound(out, *end);
    }
    out.push(")");
}

/// Numbers are written as they are: not every engine takes parameters there.
fn bound(out: &mut SqlBuilder<'_>, bound: Bound) {
    match bound {
        Bound::UnboundedPreceding => out.push("UNBOUNDED PRECEDING"),
        Bound::Preceding(rows) => out.push_number(rows.into()).push(" PRECEDING"),
        Bound::CurrentRow => out.push("CURRENT ROW"),
        Bound::Following(rows) => out.push_number(rows.into()).push(" FOLLOWING"),
        Bound::UnboundedFollowing => out.push("UNBOUNDED FOLLOWING"),
    };
}
