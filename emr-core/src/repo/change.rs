//! Writes to one row that is there, by its key.

use super::reselect;
use super::write::write;
use crate::Returning;
use crate::changeset::{Action, Changeset, OldRow};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Executor, Job, run};
use crate::render;
use crate::row::Discard;
use crate::schema::Syncable;
use crate::sinks::AtMostOne;
use crate::sql::SqlBuilder;
use crate::transaction::{TransactionOptions, Tx};
use crate::value::Value;

/// Ends a transaction by how the work in it ended.
pub(super) async fn finish<T>(tx: Tx, result: Result<T>) -> Result<T> {
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

pub(super) async fn update<T: Syncable>(executor: &impl Executor, changes: Changeset<T>) -> Result<T> {
    changes.refuse_invalid()?;
    let no_row = || {
        Error::invalid(format!(
            "this changeset of {} has no row to update: it was made by `build`; make it by `change`, or insert it",
            T::schema().name
        ))
    };
    if changes.data().is_none() {
        return Err(no_row());
    }
    if changes.is_empty() && !changes.is_forced() {
        return changes.into_data().ok_or_else(no_row);
    }
    if !changes.is_to_prepare() {
        return update_row(executor, changes).await;
    }
    let tx = executor.start(TransactionOptions::new()).await?;
    let result = async { update_row(&tx, changes.prepared(&tx).await?).await }.await;
    finish(tx, result).await
}

async fn update_row<T: Syncable>(executor: &impl Executor, changes: Changeset<T>) -> Result<T> {
    if executor.inner().0.capabilities().update_returning != Returning::No {
        return write_row(executor, changes).await;
    }
    if executor.is_transaction() {
        return Box::pin(reselect::update(executor, changes)).await;
    }
    let tx = executor.start(TransactionOptions::new()).await?;
    let result = Box::pin(reselect::update(&tx, changes)).await;
    finish(tx, result).await
}

async fn write_row<T: Syncable>(executor: &impl Executor, mut changes: Changeset<T>) -> Result<T> {
    changes.finish_update();
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

pub(super) async fn delete<T: Syncable>(executor: &impl Executor, row: impl OldRow<T>) -> Result<()> {
    row.check_old()?;
    if !row.is_old_to_prepare() {
        return delete_row(executor, row).await;
    }
    let tx = executor.start(TransactionOptions::new()).await?;
    let result = async { delete_row(&tx, row.prepare_old_in(&tx).await?).await }.await;
    finish(tx, result).await
}

async fn delete_row<T: Syncable>(executor: &impl Executor, row: impl OldRow<T>) -> Result<()> {
    let Some(data) = row.row() else {
        let name = T::schema().name;
        return Err(Error::invalid(format!("this changeset of {name} has no row to delete: it was made by `build`")));
    };
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
