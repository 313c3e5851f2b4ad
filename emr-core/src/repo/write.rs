//! Writing calls.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::changeset::{Changeset, NewRow};
use crate::connection::Role;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Call, Executor, Job, run};
use crate::insert::{BulkInsert, RowSource, Rows};
use crate::query::{Query, Update};
use crate::render;
use crate::row::{Discard, RowSink};
use crate::schema::Syncable;
use crate::sinks::{AtMostOne, Structs};
use crate::sql::SqlBuilder;
use crate::value::Value;
use crate::{Returning, TransactionOptions};

fn write<T: Syncable>(verb: &'static str) -> Call {
    Call { role: Role::Write, table: Some(T::schema().table), verb, enforced: false }
}

fn stale<T: Syncable>(action: &'static str) -> Error {
    Error::new(ErrorKind::Stale { table: T::schema().table.to_owned(), action })
}

pub(super) async fn insert<T: Syncable, R: NewRow<T>>(executor: &impl Executor, mut row: R) -> Result<T> {
    row.prepare();
    let columns = row.columns()?;
    let options = executor.call_options();
    let dialect = executor.inner().0.dialect();
    let prefix = row.row_prefix().or(options.prefix.as_deref());
    let cell = |column: usize| row.cell(column);
    let (sink, _) = run(
        executor,
        write::<T>("insert"),
        |capabilities| {
            if capabilities.insert_returning == Returning::No {
                return Err(Error::unsupported("returning the inserted row", &*capabilities.server));
            }
            SqlBuilder::build(dialect, capabilities, |out| {
                render::insert(out, T::schema(), prefix, &columns, &cell, true);
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || AtMostOne::<T>(None),
    )
    .await?;
    sink.0.ok_or_else(|| Error::not_found(T::schema().table))
}

/// Rows in groups of which each sets the same columns of the same table: each is one insert.
fn groups<T: Syncable, R: NewRow<T>>(
    mut rows: Vec<R>,
    prefix: Option<&Arc<str>>,
    returning: bool,
) -> Result<Vec<BulkInsert>> {
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
            }),
        }
    }
    Ok(groups)
}

async fn insert_group<T: Syncable, S: RowSink>(
    executor: &impl Executor,
    group: &BulkInsert,
    sink: impl Fn() -> S + Send + Sync,
) -> Result<(S, u64)> {
    let make = |capabilities: &'static crate::Capabilities| {
        if group.returning && capabilities.insert_returning == Returning::No {
            return Err(Error::unsupported("returning the inserted rows", &*capabilities.server));
        }
        Ok(Job::InsertMany(group.clone()))
    };
    let (sink, done) = run(executor, write::<T>("insert_all"), make, sink).await?;
    Ok((sink, done.rows))
}

pub(super) async fn insert_all<T: Syncable, R: NewRow<T>>(executor: &impl Executor, rows: Vec<R>) -> Result<u64> {
    let groups = groups(rows, executor.call_options().prefix.as_ref(), false)?;
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
    let groups = groups(rows, executor.call_options().prefix.as_ref(), true)?;
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

/// The values of a row's key columns.
fn key_of<T: Syncable>(row: &T) -> Vec<Value<'_>> {
    T::schema().primary_key.iter().map(|&column| row.value(column)).collect()
}

pub(super) async fn update<T: Syncable>(executor: &impl Executor, changes: Changeset<T>) -> Result<T> {
    let Some(data) = changes.data() else {
        return Err(Error::invalid(format!(
            "this changeset of {} has no row to update: it was made by `build`; make it by `change`, or insert it",
            T::schema().name
        )));
    };
    if changes.is_empty() {
        return changes.into_data().ok_or_else(|| stale::<T>("update"));
    }
    let options = executor.call_options();
    let dialect = executor.inner().0.dialect();
    let sorted = changes.sorted_changes()?;
    let set: Vec<(usize, &Value<'static>)> = sorted.iter().map(|change| (change.column, &change.value)).collect();
    let key = key_of(data);
    let prefix = changes.prefix_ref().or(options.prefix.as_deref());
    let (sink, _) = run(
        executor,
        write::<T>("update"),
        |capabilities| {
            if capabilities.update_returning == Returning::No {
                return Err(Error::unsupported("returning the updated row", &*capabilities.server));
            }
            SqlBuilder::build(dialect, capabilities, |out| {
                render::update_by_key(out, T::schema(), prefix, &set, &key, true);
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || AtMostOne::<T>(None),
    )
    .await?;
    sink.0.ok_or_else(|| stale::<T>("update"))
}

pub(super) async fn update_all<T: Syncable>(executor: &impl Executor, update: &Update<T>) -> Result<u64> {
    let options = executor.call_options();
    let dialect = executor.inner().0.dialect();
    let (_, done) = run(
        executor,
        write::<T>("update_all"),
        |capabilities| {
            SqlBuilder::build(dialect, capabilities, |out| {
                render::update_all(out, update.query.body(), &update.assignments, options.prefix.as_deref());
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Discard,
    )
    .await?;
    Ok(done.rows)
}

pub(super) async fn delete<T: Syncable>(executor: &impl Executor, row: &T) -> Result<()> {
    let options = executor.call_options();
    let dialect = executor.inner().0.dialect();
    let key = key_of(row);
    let (_, done) = run(
        executor,
        write::<T>("delete"),
        |capabilities| {
            SqlBuilder::build(dialect, capabilities, |out| {
                render::delete_by_key(out, T::schema(), options.prefix.as_deref(), key.iter().map(Value::borrowed));
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Discard,
    )
    .await?;
    if done.rows == 0 { Err(stale::<T>("delete")) } else { Ok(()) }
}

pub(super) async fn delete_all<T: Syncable>(executor: &impl Executor, query: &Query<T>) -> Result<u64> {
    let options = executor.call_options();
    let dialect = executor.inner().0.dialect();
    let (_, done) = run(
        executor,
        write::<T>("delete_all"),
        |capabilities| {
            SqlBuilder::build(dialect, capabilities, |out| {
                render::delete_all(out, query.body(), options.prefix.as_deref());
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Discard,
    )
    .await?;
    Ok(done.rows)
}
