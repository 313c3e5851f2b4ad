//! Writes to one row that is there, by its key.

use super::write::write;
use super::{intercepted, reselect};
use crate::Returning;
use crate::changeset::{Action, Changeset, OldRow};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Executor, Job, refuse_read_only, run};
use crate::graph;
use crate::render;
use crate::row::Discard;
use crate::schema::Syncable;
use crate::sinks::AtMostOne;
use crate::sql::SqlBuilder;
use crate::transaction::{TransactionOptions, Tx};
use crate::value::Value;

/// Ends a transaction by how the work in it ended.
pub(crate) async fn finish<T>(tx: Tx, result: Result<T>) -> Result<T> {
    if result.is_ok() {
        tx.commit().await?;
    } else {
        // Why the work failed matters more.
        let _ = tx.rollback().await;
    }
    result
}

/// The values of a row's key columns.
pub(super) fn key_of<T: Syncable>(row: &T) -> Vec<Value<'_>> {
    T::schema().primary_key.iter().map(|&column| row.value(column)).collect()
}

/// A changeset that was made by `build` updates nothing.
pub(super) fn no_row<T: Syncable>() -> Error {
    Error::invalid(format!(
        "this changeset of {} has no row to update: it was made by `build`; make it by `change`, or insert it",
        T::schema().name
    ))
}

/// And deletes nothing.
pub(super) fn no_old_row<T: Syncable>() -> Error {
    Error::invalid(format!("this changeset of {} has no row to delete: it was made by `build`", T::schema().name))
}

pub(super) async fn update<T: Syncable>(executor: &impl Executor, changes: Changeset<T>) -> Result<T> {
    changes.refuse_invalid()?;
    if changes.data().is_none() {
        return Err(no_row::<T>());
    }
    if changes.is_empty() && !changes.is_forced() {
        return changes.into_data().ok_or_else(no_row::<T>);
    }
    if !changes.branches().is_empty() {
        // In a place of its own: it is nothing to those who write one row.
        return Box::pin(graph::save(executor, changes, Action::Update)).await;
    }
    if !changes.is_to_prepare() {
        let mut changes = changes;
        return update_row(executor, &mut changes).await;
    }
    refuse_read_only(executor)?;
    let tx = executor.start(TransactionOptions::new()).await?;
    let result = async {
        let mut changes = changes.prepared(&tx).await?;
        if changes.branches().is_empty() {
            update_row(&tx, &mut changes).await
        } else {
            Box::pin(graph::save(&tx, changes, Action::Update)).await
        }
    };
    let result = result.await;
    finish(tx, result).await
}

/// Updates the row itself.
pub(crate) async fn update_row<T: Syncable>(executor: &impl Executor, changes: &mut Changeset<T>) -> Result<T> {
    changes.finish_update();
    if !executor.interceptors().is_empty() {
        return Box::pin(intercepted::update(executor, changes)).await;
    }
    if executor.inner().0.capabilities().update_returning == Returning::No {
        return Box::pin(update_reselected(executor, changes)).await;
    }
    let options = executor.call_options();
    let sorted = changes.sorted_changes()?;
    let set: Vec<(usize, &Value<'static>)> = sorted.iter().map(|change| (change.column, &change.value)).collect();
    let key = changes.data().map_or_else(Vec::new, key_of);
    let prefix = changes.prefix_ref().or(options.prefix_of(T::schema()));
    let (sink, _) = run(
        executor,
        write::<T>("update"),
        |capabilities| {
            if capabilities.update_returning == Returning::No {
                return Err(Error::unsupported("returning the updated row", &*capabilities.server));
            }
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::update_guarded(out, T::schema(), prefix, &set, &key, changes.guards(), true);
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || AtMostOne::<T>::of(T::schema().table),
    )
    .await
    .map_err(|error| changes.refine(error, Action::Update))?;
    match sink.row {
        Some(row) => Ok(row),
        None => changes.missed(Action::Update).and_then(|()| changes.apply()),
    }
}

/// The same where the server gives no updated row back.
async fn update_reselected<T: Syncable>(executor: &impl Executor, changes: &Changeset<T>) -> Result<T> {
    if executor.is_transaction() {
        return reselect::update(executor, changes).await;
    }
    let tx = executor.start(TransactionOptions::new()).await?;
    let result = reselect::update(&tx, changes).await;
    finish(tx, result).await
}

pub(super) async fn delete<T: Syncable>(executor: &impl Executor, row: impl OldRow<T>) -> Result<()> {
    row.check_old()?;
    if !row.is_old_to_prepare() && !T::schema().cascades() {
        return delete_row(executor, &row).await;
    }
    refuse_read_only(executor)?;
    let tx = executor.start(TransactionOptions::new()).await?;
    let result = async { delete_in(&tx, &row.prepare_old_in(&tx).await?).await }.await;
    finish(tx, result).await
}

/// Deletes a row in a transaction, and does before what its associations say by `on_delete`.
pub(crate) async fn delete_in<T: Syncable>(tx: &Tx, row: &impl OldRow<T>) -> Result<()> {
    if let Some(data) = row.row().filter(|_| T::schema().cascades()) {
        graph::delete_associated(tx, data, row.old_prefix()).await.map_err(|error| row.refine_old(error))?;
    }
    delete_row(tx, row).await
}

async fn delete_row<T: Syncable>(executor: &impl Executor, row: &impl OldRow<T>) -> Result<()> {
    if !executor.interceptors().is_empty() {
        return Box::pin(intercepted::delete(executor, row)).await;
    }
    let Some(data) = row.row() else { return Err(no_old_row::<T>()) };
    let options = executor.call_options();
    let key = key_of(data);
    let prefix = row.old_prefix().or(options.prefix_of(T::schema()));
    let (_, done) = run(
        executor,
        write::<T>("delete"),
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::delete_guarded(out, T::schema(), prefix, key.iter().map(Value::borrowed), row.conditions());
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Discard,
    )
    .await
    .map_err(|error| row.refine_old(error))?;
    match done.rows {
        0 => row.missed_old(),
        1 => Ok(()),
        // What the schema calls a key is none in the database. A transaction undoes it.
        _ => Err(Error::new(ErrorKind::MultipleResults { table: T::schema().table.to_owned() })),
    }
}
