//! What comes back of updates and deletes of many rows.

use crate::capabilities::Returning;
use crate::query::{SelectBody, SelectItem};
use crate::schema::Schema;
use crate::sql::SqlBuilder;

use super::condition::typed_value;
use super::scope::{Scope, TableName, Written};
use super::write::{output_into, select_output};
use super::{all_columns, separated};

/// What a write gives back: these items, or with none of them all columns.
#[derive(Clone, Copy)]
pub(super) struct Back<'q> {
    pub(super) items: &'q [SelectItem],
    pub(super) how: Returning,
}

impl<'q> Back<'q> {
    /// Whether whole rows come back.
    fn is_whole(self, schema: &'static Schema) -> bool {
        match self.items {
            [] => true,
            [SelectItem::Row { schema: of, .. }] => *of == schema,
            _ => false,
        }
    }

    /// Writes ` OUTPUT … INTO @out`, where that is how.
    pub(super) fn output(self, out: &mut SqlBuilder<'_>, schema: &'static Schema, rows: &str) {
        if self.how != Returning::OutputInto {
            return;
        }
        if !self.is_whole(schema) {
            out.unsupported("returning anything but whole rows from an update or delete");
        }
        output_into(out, schema, rows);
    }

    /// Writes what stands at the end, where the table is called by this name.
    pub(super) fn clause(
        self,
        out: &mut SqlBuilder<'q>,
        schema: &'static Schema,
        query: &'q SelectBody,
        scope: Scope<'_, 'q>,
        name: TableName,
    ) {
        match self.how {
            Returning::No => out.unsupported("returning the rows of an update or delete"),
            Returning::OutputInto => select_output(out, schema),
            Returning::Clause => {
                out.push(" RETURNING ");
                let written = Written { name, proposed: None };
                let scope = scope.writing(written);
                if self.items.is_empty() {
                    return whole_row(out, schema, name, scope);
                }
                separated(out, ", ", self.items, |out, item| match item {
                    SelectItem::Row { schema: of, .. } if *of == schema => whole_row(out, schema, name, scope),
                    SelectItem::Row { .. } => out.unsupported("returning the rows of another table"),
                    SelectItem::Expr { node, .. } => {
                        let plain = node.as_column().is_some_and(|(of, _)| of == schema);
                        if !query.joins.is_empty() && name != TableName::Alias && !plain {
                            out.unsupported("returning what the joins of an update or delete read");
                        }
                        typed_value(out, node, scope);
                    }
                });
            }
        }
    }
}

fn whole_row<'q>(out: &mut SqlBuilder<'q>, schema: &'static Schema, name: TableName, scope: Scope<'_, 'q>) {
    if name == TableName::Alias {
        super::scope::all_columns_at(out, schema, scope.place(0));
    } else {
        all_columns(out, schema, None);
    }
}
