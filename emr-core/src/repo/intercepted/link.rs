//! Links between rows, which are rows of a table that may have no struct.

use super::tell::{Report, tell};
use super::{Repo, ask, names};
use crate::error::Result;
use crate::exec::Executor;
use crate::intercept::Operation;
use crate::schema::Schema;
use crate::transaction::Tx;
use crate::value::Value;

/// Asks about one link, and gives the columns that are set in it.
pub(crate) fn ask_link(
    tx: &Tx,
    schema: &'static Schema,
    columns: &[usize],
    cells: &[Value<'static>],
) -> Result<Vec<(usize, Value<'static>)>> {
    let any = tx.as_any_repo();
    let repo = &Repo { repo: &any, options: tx.call_options() };
    let value = |column: usize| columns.iter().position(|&at| at == column).map(|at| cells[at].clone());
    Ok(ask(repo, "insert", schema, Operation::Insert, columns, &value)?.columns)
}

/// Tells of a link that was inserted.
pub(crate) async fn tell_link(
    tx: &Tx,
    schema: &'static Schema,
    columns: &[usize],
    cells: &[Value<'static>],
) -> Result<()> {
    let value = |column: &usize| columns.iter().position(|at| at == column).map(|at| cells[at].clone());
    let key: Option<Vec<_>> = schema.primary_key.iter().map(value).collect();
    let keys = key.filter(|key| !key.is_empty()).map(|key| vec![key]);
    let columns = names(schema, columns.iter().copied());
    tell(tx, "insert", schema, Report { table: None, operation: Operation::Insert, rows: 1, keys, columns }).await
}
