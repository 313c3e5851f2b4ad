//! Inserts of the rows of a query that the server does not give back: the query is read, and its rows go in as values, in one
//! transaction.

use std::borrow::Cow;
use std::sync::Arc;

use super::upsert::{Many, upsert_many};
use super::write::{insert_group, refuse_untold, write};
use crate::conflict::{Conflict, Upserted};
use crate::error::Result;
use crate::exec::{Executor, Job, known, run};
use crate::insert::{BulkInsert, Cells};
use crate::query::SelectBody;
use crate::render;
use crate::result::QueryResult;
use crate::schema::Syncable;
use crate::sinks::Structs;
use crate::sql::SqlBuilder;
use crate::transaction::Tx;

/// Inserts the rows, and gives them back.
pub(super) async fn insert<T: Syncable>(tx: &Tx, columns: &[usize], query: &SelectBody) -> Result<Vec<T>> {
    let rows = read::<T>(tx, columns, query, None).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let sink = || Structs::<T>::with_capacity(rows.len());
    Ok(insert_group::<T, _>(tx, &rows, sink).await?.0.rows)
}

/// Upserts the rows, and gives back those that were not skipped.
pub(super) async fn upsert<T: Syncable>(
    tx: &Tx,
    columns: &[usize],
    query: &SelectBody,
    conflict: &Conflict,
) -> Result<Vec<Upserted<T>>> {
    let rows = read::<T>(tx, columns, query, Some(conflict)).await?;
    let groups = if rows.is_empty() { Vec::new() } else { vec![rows] };
    upsert_many(tx, &Many::of_groups(groups)).await
}

async fn read<T: Syncable>(
    tx: &Tx,
    columns: &[usize],
    query: &SelectBody,
    conflict: Option<&Conflict>,
) -> Result<BulkInsert> {
    for &column in columns {
        crate::changeset::check_writable(T::schema(), column)?;
    }
    let options = tx.call_options();
    let mut rows = BulkInsert {
        schema: T::schema(),
        prefix: options.prefix_of(T::schema()).map(Arc::from),
        columns: Cow::Owned(columns.to_vec()),
        rows: 0..0,
        source: Arc::new(Cells::of(T::schema(), columns, Vec::new())),
        returning: true,
        conflict: conflict.cloned().map(Arc::new),
    };
    known(tx).await?;
    if conflict.is_none() {
        refuse_untold(&rows, tx.inner().0.capabilities())?;
    }
    let (found, _) = run(
        tx,
        write::<T>("insert_from"),
        |capabilities| {
            SqlBuilder::build(tx.inner().0.dialect(), capabilities, |out| {
                render::select(out, query, options.prefix.as_deref());
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        QueryResult::default,
    )
    .await?;
    let cells = found.into_cells();
    rows.rows = 0..cells.len() / columns.len().max(1);
    rows.source = Arc::new(Cells::of(T::schema(), columns, cells));
    Ok(rows)
}
