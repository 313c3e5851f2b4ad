//! Reading calls.

use crate::connection::Role;
use crate::error::{Error, Result};
use crate::exec::{Call, Executor, Job, run};
use crate::query::{Lock, Query};
use crate::render;
use crate::result::QueryResult;
use crate::schema::Syncable;
use crate::sinks::{AtMostOne, Count, Structs};
use crate::sql::{Sql, SqlBuilder};
use crate::value::Value;

/// Locking reads need the connection that writes.
fn read<T: Syncable>(verb: &'static str, lock: Option<Lock>) -> Call {
    let role = if lock.is_some() { Role::Write } else { Role::Read };
    Call { role, table: Some(T::schema().table), verb, enforced: false }
}

/// A lock outside a transaction is gone before the caller could use it.
fn check_lock(executor: &impl Executor, lock: Option<Lock>) -> Result<()> {
    if lock.is_some() && !executor.is_transaction() {
        return Err(Error::invalid(
            "a locking query needs a transaction: outside one the lock is gone when the call returns",
        ));
    }
    Ok(())
}

pub(super) async fn all<T: Syncable>(executor: &impl Executor, query: &Query<T>) -> Result<Vec<T>> {
    let body = query.body();
    check_lock(executor, body.lock)?;
    let options = executor.call_options();
    let dialect = executor.inner().0.dialect();
    let expected = body.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(0).min(1024);
    let (sink, _) = run(
        executor,
        read::<T>("all", body.lock),
        |capabilities| {
            SqlBuilder::build(dialect, capabilities, |out| render::select(out, body, options.prefix.as_deref()))
                .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Structs::<T>::with_capacity(expected),
    )
    .await?;
    Ok(sink.rows)
}

pub(super) async fn one<T: Syncable>(executor: &impl Executor, query: Query<T>) -> Result<Option<T>> {
    let lock = query.body().lock;
    check_lock(executor, lock)?;
    // Two rows tell as much as all of them.
    let limit = query.body().limit.map_or(2, |limit| limit.min(2));
    let query = query.limit(limit);
    let options = executor.call_options();
    let dialect = executor.inner().0.dialect();
    let (sink, _) = run(
        executor,
        read::<T>("one", lock),
        |capabilities| {
            SqlBuilder::build(dialect, capabilities, |out| render::select(out, query.body(), options.prefix.as_deref()))
                .map(|(sql, params)| Job::Statement(sql, params))
        },
        || AtMostOne::<T>(None),
    )
    .await?;
    Ok(sink.0)
}

pub(super) async fn get<T: Syncable>(
    executor: &impl Executor,
    key: Vec<Value<'static>>,
    lock: Option<Lock>,
) -> Result<Option<T>> {
    check_lock(executor, lock)?;
    let options = executor.call_options();
    let dialect = executor.inner().0.dialect();
    let (sink, _) = run(
        executor,
        read::<T>("get", lock),
        |capabilities| {
            SqlBuilder::build(dialect, capabilities, |out| {
                render::get(out, T::schema(), options.prefix.as_deref(), &key, lock);
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || AtMostOne::<T>(None),
    )
    .await?;
    Ok(sink.0)
}

pub(super) fn found<T: Syncable>(row: Option<T>) -> Result<T> {
    row.ok_or_else(|| Error::not_found(T::schema().table))
}

pub(super) async fn exists<T: Syncable>(executor: &impl Executor, query: &Query<T>) -> Result<bool> {
    let options = executor.call_options();
    let dialect = executor.inner().0.dialect();
    let (sink, _) = run(
        executor,
        read::<T>("exists", None),
        |capabilities| {
            SqlBuilder::build(dialect, capabilities, |out| render::exists(out, query.body(), options.prefix.as_deref()))
                .map(|(sql, params)| Job::Statement(sql, params))
        },
        Count::default,
    )
    .await?;
    Ok(sink.0.is_some())
}

pub(super) async fn count<T: Syncable>(executor: &impl Executor, query: &Query<T>) -> Result<u64> {
    let options = executor.call_options();
    let dialect = executor.inner().0.dialect();
    let (sink, _) = run(
        executor,
        read::<T>("count", None),
        |capabilities| {
            SqlBuilder::build(dialect, capabilities, |out| render::count(out, query.body(), options.prefix.as_deref()))
                .map(|(sql, params)| Job::Statement(sql, params))
        },
        Count::default,
    )
    .await?;
    Ok(sink.0.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}

pub(super) fn to_sql<T: Syncable>(executor: &impl Executor, query: &Query<T>) -> Result<(String, Vec<Value<'static>>)> {
    let repo = executor.inner().0;
    let options = executor.call_options();
    let (sql, params) = SqlBuilder::build(repo.dialect(), repo.capabilities(), |out| {
        render::select(out, query.body(), options.prefix.as_deref());
    })?;
    Ok((sql.text().to_owned(), params.into_iter().map(Value::into_owned).collect()))
}

pub(super) async fn explain<T: Syncable>(executor: &impl Executor, query: &Query<T>) -> Result<QueryResult> {
    let options = executor.call_options();
    let repo = executor.inner().0;
    let Some(explain) = repo.dialect().explain() else {
        return Err(Error::unsupported("explain", &*repo.capabilities().server));
    };
    let (result, done) = run(
        executor,
        read::<T>("explain", query.body().lock),
        |capabilities| {
            let (sql, params) = SqlBuilder::build(repo.dialect(), capabilities, |out| {
                out.push(explain);
                render::select(out, query.body(), options.prefix.as_deref());
            })?;
            // A plan is asked for once; its statement is not worth a place among the prepared ones.
            Ok(Job::Statement(Sql::once(sql.text()), params))
        },
        QueryResult::default,
    )
    .await?;
    Ok(result.with_affected(done.rows))
}
