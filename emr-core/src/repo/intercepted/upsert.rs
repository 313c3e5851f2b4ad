//! New rows whose keys may be taken.

use std::sync::Arc;

use super::super::change::finish;
use super::super::upsert::{self, Many};
use super::super::{reselect_from, write};
use super::insert::{all_columns, drafts, with_columns};
use super::tell::{Report, begin, tell};
use super::{Repo, ask, assign, names, row, values};
use crate::changeset::NewRow;
use crate::conflict::{Conflict, OnConflict, UpsertCounts, Upserted};
use crate::draft::{Draft, Plain};
use crate::error::Result;
use crate::exec::Executor;
use crate::expr::SourceRef;
use crate::intercept::{Operation, Walk};
use crate::query::SelectBody;
use crate::render::Returned;
use crate::schema::{Schema, Syncable};
use crate::sinks::Structs;
use crate::transaction::Tx;

/// What is done with stored rows, with what the interceptors say of that: conditions on them, and columns that are set.
fn conflict(repo: &Repo<'_>, verb: &'static str, schema: &'static Schema, of: &Conflict) -> Result<Conflict> {
    let mut conflict = of.clone();
    let mut walk = Walk::new(repo.interceptors(), verb);
    let nodes = conflict.filter.iter_mut().chain(&mut conflict.target_filter);
    let nodes = nodes.chain(conflict.assignments.iter_mut().flatten().map(|assignment| &mut assignment.value));
    for node in nodes {
        walk.node(node).map_err(|error| error.with_repo(repo.inner().0.id()))?;
    }
    let Some(assignments) = &mut conflict.assignments else { return Ok(conflict) };
    let columns: Vec<usize> = assignments.iter().map(|assignment| assignment.column).collect();
    let set = ask(repo, verb, schema, Operation::Update, &columns, &|column| values(assignments, column))?;
    assign(assignments, schema, set.columns);
    let conditions = walk.written_table(schema).map_err(|error| error.with_repo(repo.inner().0.id()))?;
    for mut condition in conditions {
        condition.bind_to(Some(schema), SourceRef::Nth(0));
        conflict.filter.push(condition);
    }
    Ok(conflict)
}

/// Tells of inserted and of updated rows, each with its key.
async fn tell_both<T: Syncable>(
    tx: &Tx,
    verb: &'static str,
    written: &[Upserted<T>],
    inserted: Vec<&'static str>,
    conflict: &Conflict,
) -> Result<()> {
    let of = |new: bool| written.iter().filter(move |one| one.is_inserted() == new).filter_map(Upserted::row);
    tell(tx, verb, T::schema(), Report::of(Operation::Insert, of(true), inserted)).await?;
    let updated = names(T::schema(), conflict.assignments.iter().flatten().map(|assignment| assignment.column));
    tell(tx, verb, T::schema(), Report::of(Operation::Update, of(false), updated)).await
}

/// Upserts a row that is prepared.
pub(in crate::repo) async fn upsert<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    new: &R,
    given: &Conflict,
) -> Result<Upserted<T>> {
    let any = executor.as_any_repo();
    let repo = &Repo { repo: &any, options: executor.call_options() };
    let draft = row::<T, R>(repo, "upsert", new)?;
    let conflict = conflict(repo, "upsert", T::schema(), given)?;
    if !repo.interceptors().observe(T::schema()) {
        return upsert::upsert_prepared(repo, &draft, &conflict).await;
    }
    let tx = begin(repo).await?;
    let result = async {
        let written = upsert::upsert_prepared(&tx, &draft, &conflict).await?;
        let columns = names(T::schema(), draft.columns()?.iter().copied());
        tell_both(&tx, "upsert", std::slice::from_ref(&written), columns, &conflict).await?;
        Ok(written)
    };
    let result = result.await;
    finish(tx, result).await
}

/// What came back of many rows, without those that were skipped.
fn outcomes<T>(rows: Vec<(T, Option<bool>)>) -> Vec<Upserted<T>> {
    rows.into_iter().map(Upserted::of).filter(|one| !one.is_skipped()).collect()
}

pub(in crate::repo) async fn upsert_all<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    rows: Vec<R>,
    on_conflict: &OnConflict<T>,
) -> Result<UpsertCounts> {
    let given = rows.len();
    let written = written(executor, rows, on_conflict).await?;
    let outcomes: Vec<_> = written.iter().map(|one| Some(one.is_inserted())).collect();
    Ok(UpsertCounts::of(given, &outcomes))
}

pub(in crate::repo) async fn upsert_all_returning<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    rows: Vec<R>,
    on_conflict: &OnConflict<T>,
) -> Result<Vec<Upserted<T>>> {
    written(executor, rows, on_conflict).await
}

async fn written<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    rows: Vec<R>,
    on_conflict: &OnConflict<T>,
) -> Result<Vec<Upserted<T>>> {
    let any = executor.as_any_repo();
    let repo = &Repo { repo: &any, options: executor.call_options() };
    let drafts = drafts::<T, R>(repo, "upsert_all", rows)?;
    let conflict = Arc::new(conflict(repo, "upsert_all", T::schema(), on_conflict.conflict())?);
    let columns = names(T::schema(), all_columns(&drafts)?);
    let many = if R::COMPUTED {
        Many::of::<T, Draft<T>>(repo, drafts, Some(&conflict), true)?
    } else {
        Many::of::<T, Plain<T>>(repo, drafts.into_iter().map(Plain).collect(), Some(&conflict), true)?
    };
    if !repo.interceptors().observe(T::schema()) {
        return upsert::upsert_many(repo, &many).await;
    }
    let tx = begin(repo).await?;
    let result = async {
        let written = upsert::upsert_many(&tx, &many).await?;
        tell_both(&tx, "upsert_all", &written, columns, &conflict).await?;
        Ok(written)
    };
    let result = result.await;
    finish(tx, result).await
}

pub(in crate::repo) async fn upsert_from<T: Syncable>(
    executor: &impl Executor,
    columns: &[usize],
    query: &SelectBody,
    on_conflict: &Conflict,
) -> Result<u64> {
    let any = executor.as_any_repo();
    let repo = &Repo { repo: &any, options: executor.call_options() };
    let (columns, query) = with_columns(repo, T::schema(), columns, query)?;
    let (columns, query) = (&columns[..], &*query);
    let conflict = conflict(repo, "upsert_from", T::schema(), on_conflict)?;
    if !repo.interceptors().observe(T::schema()) {
        return upsert::count_from::<T>(repo, columns, query, Some(&conflict)).await;
    }
    let tx = begin(repo).await?;
    let result = async {
        let written: Vec<Upserted<T>> = if write::gives_nothing_back(&tx).await? {
            reselect_from::upsert(&tx, columns, query, &conflict).await?
        } else {
            let sink = || Structs::<(T, Option<bool>)>::with_capacity(0);
            let (sink, _) =
                upsert::insert_from::<T, _>(&tx, columns, query, Some(&conflict), Returned::Row, sink).await?;
            outcomes(sink.rows)
        };
        let columns = names(T::schema(), columns.iter().copied());
        tell_both(&tx, "upsert_from", &written, columns, &conflict).await?;
        Ok(written.len() as u64)
    };
    let result = result.await;
    finish(tx, result).await
}
