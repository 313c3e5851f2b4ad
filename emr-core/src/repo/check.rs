//! What is wrong with a write, found without sending it.

use super::{change, explain, write};
use crate::changeset::{Changeset, NewRow, OldRow};
use crate::conflict::Conflict;
use crate::error::Result;
use crate::exec::Executor;
use crate::render::{self, Cell, Insert, Returned};
use crate::schema::Syncable;
use crate::sql::SqlBuilder;
use crate::statement::Statement;

/// Whether the statement can be written for this server.
pub(crate) fn statement(executor: &impl Executor, statement: &Statement) -> Result<()> {
    explain::to_sql(executor, statement).map(drop)
}

/// The same for the insert of a row.
pub(crate) fn insert<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    row: &R,
    conflict: Option<&Conflict>,
) -> Result<()> {
    let columns = row.columns()?;
    if columns.is_empty() {
        // What the client generates comes later.
        return Ok(());
    }
    let repo = executor.inner().0;
    let options = executor.call_options();
    let prefix = row.row_prefix().or(options.prefix_of(T::schema()));
    let insert = Insert { schema: T::schema(), prefix, columns: &columns, conflict, returned: Returned::Nothing };
    let cell = |_: usize, column: usize| match row.computed(column) {
        Some(computed) => Cell::Computed(computed),
        None => Cell::Value(row.cell(column)),
    };
    SqlBuilder::build(repo.dialect(), repo.capabilities(), |out| render::insert_values(out, insert, 0..1, &cell))
        .map(drop)
}

/// Whether the rows can be inserted together.
pub(crate) fn insert_all<T: Syncable, R: NewRow<T>>(rows: &[R]) -> Result<()> {
    write::check_all::<T, R>(rows)?;
    rows.iter().try_for_each(|row| row.columns().map(drop))
}

/// Whether the changeset is one of a row, and valid.
pub(crate) fn update<T: Syncable>(changes: &Changeset<T>) -> Result<()> {
    changes.refuse_invalid()?;
    if changes.data().is_none() {
        return Err(change::no_row::<T>());
    }
    changes.sorted_changes().map(drop)
}

/// The same of what is to be deleted.
pub(crate) fn delete<T: Syncable>(row: &impl OldRow<T>) -> Result<()> {
    row.check_old()?;
    if row.row().is_none() { Err(change::no_old_row::<T>()) } else { Ok(()) }
}
