//! Writing calls.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::change::finish;
use super::{intercepted, reselect};
use crate::changeset::{Action, Changeset, Errors, NewRow, OldRow};
use crate::connection::Role;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Call, Executor, Job, known, refuse_read_only, run};
use crate::graph;
use crate::insert::{BulkInsert, RowSource, Rows};
use crate::query::{Assignment, SelectBody, Update};
use crate::render;
use crate::row::{Discard, RowSink};
use crate::schema::Syncable;
use crate::sinks::{AtMostOne, Structs};
use crate::sql::SqlBuilder;
use crate::value::Value;
use crate::{Returning, TransactionOptions};

pub(super) fn write<T: Syncable>(verb: &'static str) -> Call {
    Call { role: Role::Write, table: Some(T::schema().table), verb, enforced: false }
}

pub(super) async fn insert<T: Syncable, R: NewRow<T>>(executor: &impl Executor, row: R) -> Result<T> {
    row.check()?;
    if row.has_associations() {
        // In a place of its own: it is nothing to those who write one row.
        return Box::pin(insert_graph(executor, row)).await;
    }
    if !row.is_to_prepare() {
        let mut row = row;
        return insert_row(executor, &mut row).await;
    }
    refuse_read_only(executor)?;
    let tx = executor.start(TransactionOptions::new()).await?;
    let result = async {
        let mut row = row.prepare_in(&tx).await?;
        if row.has_associations() { Box::pin(insert_graph(&tx, row)).await } else { insert_row(&tx, &mut row).await }
    };
    let result = result.await;
    finish(tx, result).await
}

async fn insert_graph<T: Syncable, R: NewRow<T>>(executor: &impl Executor, row: R) -> Result<T> {
    match row.into_changeset() {
        Some(changes) => graph::save(executor, changes, Action::Insert).await,
        None => Err(Error::invalid("only a changeset has associations to write")),
    }
}

/// Inserts the row itself.
pub(crate) async fn insert_row<T: Syncable, R: NewRow<T>>(executor: &impl Executor, row: &mut R) -> Result<T> {
    row.prepare();
    if !executor.interceptors().is_empty() {
        return Box::pin(intercepted::insert(executor, row)).await;
    }
    let row = &*row;
    if R::COMPUTED {
        return super::upsert::insert_computed(executor, row).await.map_err(|error| row.refine(error));
    }
    if gives_nothing_back(executor).await? {
        return Box::pin(insert_reselected(executor, row)).await.map_err(|error| row.refine(error));
    }
    let columns = row.columns()?;
    let options = executor.call_options();
    let prefix = row.row_prefix().or(options.prefix_of(T::schema()));
    let cell = |column: usize| row.cell(column);
    let (sink, _) = run(
        executor,
        write::<T>("insert"),
        |capabilities| {
            if capabilities.insert_returning == Returning::No {
                return Err(Error::unsupported("returning the inserted row", &*capabilities.server));
            }
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::insert(out, T::schema(), prefix, &columns, &cell, true);
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || AtMostOne::<T>::of(T::schema().table),
    )
    .await
    .map_err(|error| row.refine(error))?;
    sink.row.ok_or_else(|| Error::not_found(T::schema().table))
}

/// Whether inserted rows must be selected again. Where servers of one adapter differ in that, the first connection tells.
pub(super) async fn gives_nothing_back(executor: &impl Executor) -> Result<bool> {
    let repo = executor.inner().0;
    if repo.capabilities().insert_returning != Returning::No {
        return Ok(false);
    }
    known(executor).await?;
    Ok(repo.capabilities().insert_returning == Returning::No)
}

/// Inserts a row, and selects it again.
pub(super) async fn insert_reselected<T: Syncable, R: NewRow<T>>(executor: &impl Executor, row: &R) -> Result<T> {
    if executor.is_transaction() {
        return reselect::insert(executor, row).await;
    }
    let tx = executor.start(TransactionOptions::new()).await?;
    let result = reselect::insert(&tx, row).await;
    finish(tx, result).await
}

/// Inserts rows one by one, in one transaction, and gives them back.
pub(super) async fn insert_all_reselected<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    mut rows: Vec<R>,
) -> Result<Vec<T>> {
    check_all::<T, R>(&rows)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let tx = executor.start(TransactionOptions::new()).await?;
    let result = async {
        let mut stored = Vec::with_capacity(rows.len());
        for row in &mut rows {
            row.prepare();
            stored.push(reselect::insert(&tx, row).await?);
        }
        Ok(stored)
    }
    .await;
    finish(tx, result).await
}

/// Refuses all rows if one has errors, or does something that only a single insert does. The errors of a row stand under its
/// position, counted from 0.
pub(super) fn check_all<T: Syncable, R: NewRow<T>>(rows: &[R]) -> Result<()> {
    let mut errors = Errors::new();
    for (at, row) in rows.iter().enumerate() {
        if let Err(error) = row.check() {
            let Some(found) = error.field_errors() else { return Err(error) };
            errors.nest(&at.to_string(), found.clone());
        }
        if row.has_associations() {
            return Err(Error::invalid(
                "associations are written by single inserts: insert_all writes rows of one table",
            ));
        }
        if row.is_to_prepare() {
            return Err(Error::invalid("prepare_changes is for single inserts: insert_all writes many rows at once"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::validation(T::schema().table, errors)) }
}

/// Rows in groups of which each sets the same columns of the same table: each is one insert.
pub(super) fn groups<T: Syncable, R: NewRow<T>>(
    mut rows: Vec<R>,
    prefix: Option<&Arc<str>>,
    returning: bool,
) -> Result<Vec<BulkInsert>> {
    check_all(&rows)?;
    for row in &mut rows {
        row.prepare();
    }
    let mut groups: Vec<BulkInsert> = Vec::new();
    let source: Arc<Rows<T, R>> = Arc::new(Rows { rows, schema: PhantomData });
    for (at, row) in source.rows.iter().enumerate() {
        if R::UNIFORM
            && let Some(all) = groups.first_mut()
        {
            all.rows.end = source.rows.len();
            break;
        }
        let columns = row.columns()?;
        let row_prefix = row.row_prefix().map(Arc::<str>::from).or_else(|| prefix.cloned());
        match groups.last_mut() {
            Some(last) if last.columns == columns && last.prefix == row_prefix => last.rows.end = at + 1,
            _ => groups.push(BulkInsert {
                schema: T::schema(),
                prefix: row_prefix,
                columns,
                rows: at..at + 1,
                source: Arc::clone(&source) as Arc<dyn RowSource>,
                returning,
                conflict: None,
            }),
        }
    }
    Ok(groups)
}

pub(super) async fn insert_group<T: Syncable, S: RowSink>(
    executor: &impl Executor,
    group: &BulkInsert,
    sink: impl Fn() -> S + Send + Sync,
) -> Result<(S, u64)> {
    let make = |capabilities: &'static crate::Capabilities| {
        refuse_untold(group, capabilities)?;
        Ok(Job::InsertMany(group.clone()))
    };
    let (sink, done) = run(executor, write::<T>("insert_all"), make, sink).await?;
    Ok((sink, done.rows))
}

/// Refuses to give back rows that the server does not, and that cannot be found again.
pub(crate) fn refuse_untold(rows: &BulkInsert, capabilities: &crate::Capabilities) -> Result<()> {
    if rows.returning && capabilities.insert_returning == Returning::No && !rows.tells_keys() {
        return Err(Error::unsupported(
            "returning the inserted rows, of which the database makes the keys",
            &*capabilities.server,
        ));
    }
    Ok(())
}

pub(super) async fn insert_all<T: Syncable, R: NewRow<T>>(executor: &impl Executor, rows: Vec<R>) -> Result<u64> {
    if !executor.interceptors().is_empty() {
        return Ok(Box::pin(intercepted::insert_all(executor, rows, false)).await?.1);
    }
    insert_rows(executor, rows).await
}

/// The same for rows that the interceptors have seen.
pub(super) async fn insert_rows<T: Syncable, R: NewRow<T>>(executor: &impl Executor, rows: Vec<R>) -> Result<u64> {
    if R::COMPUTED {
        return Ok(super::upsert::insert_all_computed(executor, rows, false).await?.1);
    }
    let groups = groups(rows, prefix_of::<T>(executor).as_ref(), false)?;
    match &groups[..] {
        [] => Ok(0),
        [group] => Ok(insert_group::<T, _>(executor, group, || Discard).await?.1),
        groups => {
            let tx = executor.start(TransactionOptions::new()).await?;
            let mut count = 0;
            for group in groups {
                count += insert_group::<T, _>(&tx, group, || Discard).await?.1;
            }
            tx.commit().await?;
            Ok(count)
        }
    }
}

pub(super) async fn insert_all_returning<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    rows: Vec<R>,
) -> Result<Vec<T>> {
    if !executor.interceptors().is_empty() {
        return Ok(Box::pin(intercepted::insert_all(executor, rows, true)).await?.0);
    }
    insert_rows_returning(executor, rows).await
}

/// The same for rows that the interceptors have seen.
pub(super) async fn insert_rows_returning<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    rows: Vec<R>,
) -> Result<Vec<T>> {
    if R::COMPUTED {
        return Ok(super::upsert::insert_all_computed(executor, rows, true).await?.0);
    }
    let groups = groups(rows, prefix_of::<T>(executor).as_ref(), true)?;
    let sink = |group: &BulkInsert| {
        let len = group.len();
        move || Structs::<T>::with_capacity(len)
    };
    match &groups[..] {
        [] => Ok(Vec::new()),
        [group] => Ok(insert_group::<T, _>(executor, group, sink(group)).await?.0.rows),
        groups => {
            let tx = executor.start(TransactionOptions::new()).await?;
            let mut stored = Vec::new();
            for group in groups {
                stored.append(&mut insert_group::<T, _>(&tx, group, sink(group)).await?.0.rows);
            }
            tx.commit().await?;
            Ok(stored)
        }
    }
}

pub(super) async fn update_all<T: Syncable>(executor: &impl Executor, update: &Update<T>) -> Result<u64> {
    update_rows(executor, update.query.body(), &update.assignments).await
}

/// Updates the rows of a query of any table.
pub(crate) async fn update_rows(
    executor: &impl Executor,
    query: &SelectBody,
    assignments: &[Assignment],
) -> Result<u64> {
    if !executor.interceptors().is_empty()
        && let Some(rows) = Box::pin(intercepted::update_all(executor, query, assignments)).await?
    {
        return Ok(rows);
    }
    let options = executor.call_options();
    let (_, done) = run(
        executor,
        Call { role: Role::Write, table: query.table(), verb: "update_all", enforced: false },
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::update_all(out, query, assignments, options.prefix.as_deref());
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Discard,
    )
    .await?;
    Ok(done.rows)
}

pub(super) async fn delete_if_exists<T: Syncable>(executor: &impl Executor, row: &T) -> Result<bool> {
    if T::schema().cascades() {
        refuse_read_only(executor)?;
        // It tells of a row that is there.
        let row = Gone(row, AtomicBool::new(false));
        let tx = executor.start(TransactionOptions::new()).await?;
        let result = super::change::delete_in(&tx, &row).await;
        finish(tx, result).await?;
        return Ok(!row.1.into_inner());
    }
    if !executor.interceptors().is_empty() {
        return Box::pin(intercepted::delete_if_exists(executor, row)).await;
    }
    let options = executor.call_options();
    let key = super::change::key_of(row);
    let (_, done) = run(
        executor,
        write::<T>("delete"),
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::delete_by_key(
                    out,
                    T::schema(),
                    options.prefix_of(T::schema()),
                    key.iter().map(Value::borrowed),
                );
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Discard,
    )
    .await?;
    match done.rows {
        0 => Ok(false),
        1 => Ok(true),
        // What the schema calls a key is none in the database. A transaction undoes it.
        _ => Err(Error::new(ErrorKind::MultipleResults { table: T::schema().table.to_owned() })),
    }
}

pub(super) async fn insert_or_update<T: Syncable>(executor: &impl Executor, changes: Changeset<T>) -> Result<T> {
    if changes.data().is_some() {
        super::change::update(executor, changes).await
    } else {
        insert(executor, changes).await
    }
}

/// A row that may be gone already, and whether it was.
struct Gone<'r, T>(&'r T, AtomicBool);

impl<T: Syncable> OldRow<T> for Gone<'_, T> {
    fn row(&self) -> Option<&T> {
        Some(self.0)
    }

    fn missed_old(&self) -> Result<()> {
        self.1.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// The schema or database of rows that name none.
pub(super) fn prefix_of<T: Syncable>(executor: &impl Executor) -> Option<Arc<str>> {
    match T::schema().prefix {
        Some(prefix) => Some(Arc::from(prefix)),
        None => executor.call_options().prefix,
    }
}

pub(crate) async fn delete_all(executor: &impl Executor, query: &SelectBody) -> Result<u64> {
    if !executor.interceptors().is_empty()
        && let Some(rows) = Box::pin(intercepted::delete_all(executor, query)).await?
    {
        return Ok(rows);
    }
    let options = executor.call_options();
    let (_, done) = run(
        executor,
        Call { role: Role::Write, table: query.table(), verb: "delete_all", enforced: false },
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::delete_all(out, query, options.prefix.as_deref());
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Discard,
    )
    .await?;
    Ok(done.rows)
}
