//! MERGE: the upsert of SQL Server.

use crate::capabilities::Returning;
use crate::conflict::{Conflict, ConflictTarget};
use crate::error::Error;
use crate::sql::{Effect, SqlBuilder};

use super::condition::{collate, conditions};
use super::insert::{Insert, Returned, assignments, check, is_counted, is_excluded, names};
use super::scope::{Proposed, Scope, TableName, Written};
use super::write::{identity_insert, sets_identity};
use super::{ALIAS, all_columns, separated, table_of};

/// The alias of the new rows.
const NEW: &str = "s";

/// `MERGE INTO t WITH (HOLDLOCK) USING (rows) ON target WHEN MATCHED … WHEN NOT MATCHED …`. Without HOLDLOCK two of them
/// could both find the key free.
pub(super) fn merge<'q>(out: &mut SqlBuilder<'q>, insert: Insert<'q>, rows: impl FnOnce(&mut SqlBuilder<'q>)) {
    let Insert { schema, prefix, columns, conflict: Some(conflict), returned } = insert else { return };
    out.effect(Effect::Write { returning: false });
    check(out, schema, conflict);
    let comes_back = returned != Returned::Nothing;
    if comes_back && out.capabilities().insert_returning == Returning::No {
        out.unsupported("returning the inserted rows");
    }
    let Some(key) = key(out, insert, conflict) else { return };
    let identity = sets_identity(out, schema, columns);
    if comes_back {
        out.push("DECLARE @out TABLE (");
        if returned == Returned::Row {
            out.of_schema("types", schema, |out| {
                separated(out, ", ", schema.columns, |out, column| {
                    let column_type = out.dialect().column_type(column);
                    out.ident(column.name).push(" ").push(&column_type).push(" NULL");
                });
            });
            out.push(", ");
        }
        out.push("emr_action nvarchar(10)); ");
    }
    if identity {
        identity_insert(out, schema, prefix, true);
    }
    out.push("MERGE INTO ");
    table_of(out, schema.table, prefix, schema.prefix);
    out.push(" WITH (HOLDLOCK) AS ").push(ALIAS).push(" USING (");
    rows(out);
    out.push(") AS ").push(NEW).push(" (");
    names(out, schema, columns);
    out.push(") ON ");
    separated(out, " AND ", key, |out, &column| {
        let def = &schema.columns[column];
        out.push(ALIAS).push(".").ident(def.name).push(" = ").push(NEW).push(".").ident(def.name);
        collate(out, Some(def.ty));
    });
    if conflict.assignments.is_some() {
        let scope = Scope::top(&conflict.stored)
            .writing(Written { name: TableName::Alias, proposed: Some(Proposed::Named("s.")) });
        out.push(" WHEN MATCHED");
        conditions(out, " AND ", &conflict.filter, scope);
        out.push(" THEN UPDATE SET ");
        assignments(out, schema, conflict, scope);
    }
    out.push(" WHEN NOT MATCHED THEN INSERT (");
    names(out, schema, columns);
    out.push(") VALUES (");
    separated(out, ", ", columns, |out, &column| {
        out.push(NEW).push(".").ident(schema.columns[column].name);
    });
    out.push(")");
    if comes_back {
        output(out, insert);
    }
    // MERGE alone must end with one.
    out.push(";");
    if identity {
        out.push(" ");
        identity_insert(out, schema, prefix, false);
    }
    if comes_back {
        out.push(if identity { "; SELECT " } else { " SELECT " });
        if returned == Returned::Row {
            all_columns(out, schema, None);
            out.push(", ");
        }
        out.push("CASE emr_action WHEN 'INSERT' THEN 1 ELSE 0 END FROM @out");
    }
}

fn output(out: &mut SqlBuilder<'_>, insert: Insert<'_>) {
    out.push(" OUTPUT ");
    if insert.returned == Returned::Row {
        all_columns(out, insert.schema, Some("INSERTED"));
        out.push(", ");
    }
    out.push("$action INTO @out (");
    if insert.returned == Returned::Row {
        all_columns(out, insert.schema, None);
        out.push(", ");
    }
    out.push("emr_action)");
}

/// The columns that rows are matched by; none where MERGE cannot do what is asked for.
fn key<'q>(out: &mut SqlBuilder<'q>, insert: Insert<'q>, conflict: &'q Conflict) -> Option<&'q [usize]> {
    let schema = insert.schema;
    let ConflictTarget::Columns(key) = &conflict.target else {
        out.unsupported("a conflict without the columns of a target");
        return None;
    };
    if !conflict.target_filter.is_empty() {
        out.unsupported("the condition of a conflict's index");
    }
    let missing = |column: &usize| !insert.columns.contains(column);
    if let Some(&column) = key.iter().find(|column| missing(column)) {
        let name = schema.columns[column].name;
        out.fail(Error::invalid(format!("the conflict's target {name} is not set by the row")));
    }
    for assignment in conflict.assignments.iter().flatten() {
        if is_counted(schema, assignment.column) {
            out.unsupported("changing a column that the database counts");
        }
        if is_excluded(&assignment.value).is_some_and(|column| missing(&column)) {
            out.unsupported("replacing a column by a default that the new row would have");
        }
    }
    Some(key)
}
