//! What stands between SELECT and FROM.

use crate::error::Error;
use crate::expr::Node;
use crate::query::{SelectBody, SelectItem};
use crate::sql::SqlBuilder;

use super::condition::typed_value;
use super::scope::{Scope, all_columns_at};
use super::separated;

/// Writes what the query selects. `named`: the query stands inside another one, so each column needs a name.
pub(super) fn select_list<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, scope: Scope<'_, 'q>, named: bool) {
    selected(out, query, scope, named);
    for fold in &query.folds {
        fold.each(&mut |source, schema| {
            if let Some(place) = scope.row(out, source, schema) {
                out.push(", ");
                all_columns_at(out, schema, place);
            }
        });
    }
}

fn selected<'q>(out: &mut SqlBuilder<'q>, query: &'q SelectBody, scope: Scope<'_, 'q>, named: bool) {
    if query.select.is_empty() {
        return match query.from.relation.schema() {
            Some(schema) => all_columns_at(out, schema, scope.place(0)),
            None => out.fail(Error::invalid("say what to select: the source has no schema")),
        };
    }
    separated(out, ", ", query.select.iter().enumerate(), |out, (at, item)| match item {
        SelectItem::Row { source, schema } => {
            if let Some(place) = scope.row(out, *source, schema) {
                all_columns_at(out, schema, place);
            }
        }
        SelectItem::Expr { node, name } => {
            typed_value(out, node, scope);
            match name {
                Some(name) => {
                    out.push(" AS ").ident(name);
                }
                None if named && !matches!(node, Node::Column { .. } | Node::Name { .. }) => {
                    out.push(" AS c").push_number(at as u64);
                }
                None => {}
            }
        }
    });
}
