//! From the call to the graph and back.

use std::any::Any;

use super::item::Item;
use super::member::{Act, Member};
use super::write::{after, before, write};
use crate::changeset::{Action, Changeset, Errors};
use crate::conflict::{Conflict, OnConflict, Upserted};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Executor, refuse_read_only};
use crate::repo::{finish, upsert_row};
use crate::schema::Syncable;
use crate::transaction::TransactionOptions;

fn root<T: Syncable>(changes: Changeset<T>, act: Act) -> Result<Box<dyn Member>> {
    let Some(make_root) = changes.make_root() else {
        return Err(Error::invalid("a changeset without associations is no graph"));
    };
    make_root(Box::new(changes), act)
}

fn stored<T: Syncable>(root: Box<dyn Member>) -> Result<T> {
    let row = root.into_stored().and_then(|row| row.downcast::<T>().ok());
    row.map(|row| *row).ok_or_else(|| Error::not_found(T::schema().table))
}

/// A changeset as a member of a graph.
pub(crate) fn make_root<T: Syncable>(changes: Box<dyn Any + Send>, act: Act) -> Result<Box<dyn Member>> {
    match changes.downcast::<Changeset<T>>() {
        Ok(changes) => Ok(Box::new(Item::new(*changes, act, true))),
        Err(_) => Err(Error::invalid("a changeset of another type")),
    }
}

/// The error of the call: where fields have errors, each at its place.
fn place(root: &dyn Member, error: Error) -> Error {
    let mut errors = Errors::new();
    root.failures("", &mut errors);
    if errors.is_empty() || !error.is_validation() {
        return error;
    }
    error.into_cause_of(ErrorKind::Validation { table: root.schema().table.to_owned(), errors })
}

/// Inserts or updates a row with its associations, all or nothing.
pub(crate) async fn save<T: Syncable>(executor: &impl Executor, changes: Changeset<T>, action: Action) -> Result<T> {
    let mut root = root(changes, if action == Action::Insert { Act::Insert } else { Act::Update })?;
    root.check(0)?;
    refuse_read_only(executor)?;
    let tx = executor.start(TransactionOptions::new()).await?;
    let result = write(&tx, vec![&mut *root]).await;
    finish(tx, result).await.map_err(|error| place(&*root, error))?;
    stored(root)
}

/// Upserts a row with its associations. Where the row is skipped, nothing is written.
pub(crate) async fn upsert<T: Syncable>(
    executor: &impl Executor,
    changes: Changeset<T>,
    on_conflict: OnConflict<T>,
) -> Result<Upserted<T>> {
    let mut root = root(changes, Act::Insert)?;
    root.check(0)?;
    refuse_read_only(executor)?;
    let tx = executor.start(TransactionOptions::new()).await?;
    let written = async {
        before(&tx, &mut [&mut *root]).await?;
        let Some(is_new) = row::<T>(&tx, &mut *root, on_conflict.conflict()).await? else { return Ok(None) };
        after(&tx, &mut [&mut *root]).await?;
        Ok(Some(is_new))
    };
    match written.await {
        Ok(None) => {
            tx.rollback().await?;
            Ok(Upserted::Skipped)
        }
        result => {
            let is_new = finish(tx, result).await.map_err(|error| place(&*root, error))?;
            Ok(Upserted::of((stored(root)?, is_new)))
        }
    }
}

/// Upserts the row itself: whether it is new, or `None` where it was skipped.
async fn row<T: Syncable>(
    executor: &impl Executor,
    root: &mut dyn Member,
    conflict: &Conflict,
) -> Result<Option<bool>> {
    let changes: &mut dyn Any = root.changeset();
    let Some(changes) = changes.downcast_mut::<Changeset<T>>() else {
        return Err(Error::invalid("a changeset of another type"));
    };
    let written = upsert_row(executor, changes, conflict).await.map_err(|error| root.refine(error))?;
    let is_new = written.is_inserted();
    Ok(written.into_row().map(|row: T| {
        root.store(Box::new(row));
        is_new
    }))
}
