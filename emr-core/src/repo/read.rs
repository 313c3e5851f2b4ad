//! Reading calls.

use super::reload::of_keys;
use crate::connection::Role;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Call, Executor, Job, run};
use crate::from_row::FromRow;
use crate::intercept::{read_by, reading};
use crate::preload::{Fold, preload_read};
use crate::query::{Lock, SelectBody};
use crate::render;
use crate::row::{Row, RowSink};
use crate::schema::Schema;
use crate::sinks::{AtMostOne, Count, Structs};
use crate::sql::SqlBuilder;
use crate::value::Value;

/// Locking reads need the connection that writes.
fn read(verb: &'static str, body: &SelectBody) -> Call {
    let role = if body.lock.is_some() { Role::Write } else { Role::Read };
    Call { role, table: body.table(), verb, enforced: false }
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

pub(super) async fn all<R: FromRow>(executor: &impl Executor, body: &SelectBody) -> Result<Vec<R>> {
    check_lock(executor, body.lock)?;
    let seen = reading(executor, "all", body)?;
    let body = seen.as_deref().unwrap_or(body);
    if !body.folds.is_empty() {
        return Box::pin(folded(executor, body)).await;
    }
    let options = executor.call_options();
    let expected = body.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(0).min(1024);
    let (sink, _) = run(
        executor,
        read("all", body),
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::select(out, body, options.prefix.as_deref());
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Structs::<R>::with_capacity(expected),
    )
    .await?;
    let mut rows = sink.rows;
    if !body.preloads.is_empty() {
        Box::pin(preload_read(executor, body, &mut rows)).await?;
    }
    Ok(rows)
}

/// All rows of a query whose joins fill slots.
async fn folded<R: FromRow>(executor: &impl Executor, body: &SelectBody) -> Result<Vec<R>> {
    // Each attempt makes its own: this one only finds out whether it can be made.
    Fold::<R>::start(&body.folds)?;
    let options = executor.call_options();
    let (sink, _) = run(
        executor,
        read("all", body),
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::select(out, body, options.prefix.as_deref());
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Folding(Fold::<R>::start(&body.folds).ok()),
    )
    .await?;
    let mut rows = match sink.0 {
        Some(fold) => fold.finish()?,
        None => Vec::new(),
    };
    preload_read(executor, body, &mut rows).await?;
    Ok(rows)
}

/// The sink of a fold, which was made before and can be made again.
struct Folding<R>(Option<Fold<R>>);

impl<R: FromRow> RowSink for Folding<R> {
    fn row(&mut self, row: &dyn Row) -> Result<()> {
        self.0.as_mut().map_or(Ok(()), |fold| fold.row(row))
    }
}

pub(super) async fn one<R: FromRow>(executor: &impl Executor, mut body: Box<SelectBody>) -> Result<Option<R>> {
    check_lock(executor, body.lock)?;
    read_by(executor, "one", &mut body)?;
    if !body.folds.is_empty() {
        // Rows that belong together are counted once they are put together.
        let mut rows = Box::pin(folded(executor, &body)).await?;
        return match rows.len() {
            0 | 1 => Ok(rows.pop()),
            _ => Err(Error::new(ErrorKind::MultipleResults { table: body.table().unwrap_or_default().to_owned() })),
        };
    }
    // Two rows tell as much as all of them; SQL Server cannot tell what is in a combination without an order.
    body.limit = Some(body.limit.map_or(2, |limit| limit.min(2)));
    let body = &*body;
    let options = executor.call_options();
    let (sink, _) = run(
        executor,
        read("one", body),
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::select(out, body, options.prefix.as_deref());
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || AtMostOne::<R>::of(body.table().unwrap_or_default()),
    )
    .await?;
    let mut row = sink.row;
    if !body.preloads.is_empty() {
        Box::pin(preload_read(executor, body, &mut row)).await?;
    }
    Ok(row)
}

pub(super) async fn get<R: FromRow>(
    executor: &impl Executor,
    schema: &'static Schema,
    key: &[Value<'static>],
    lock: Option<Lock>,
) -> Result<Option<R>> {
    check_lock(executor, lock)?;
    // Without a primary key there is nothing to look for, as the renderer says.
    if !executor.interceptors().is_empty() && !schema.primary_key.is_empty() {
        let mut body = Box::new(of_keys(schema, std::iter::once(key)));
        body.lock = lock;
        return Box::pin(one(executor, body)).await;
    }
    let role = if lock.is_some() { Role::Write } else { Role::Read };
    let options = executor.call_options();
    let (sink, _) = run(
        executor,
        Call { role, table: Some(schema.table), verb: "get", enforced: false },
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::get(out, schema, options.prefix_of(schema), key, lock);
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || AtMostOne::<R>::of(schema.table),
    )
    .await?;
    Ok(sink.row)
}

pub(super) async fn exists(executor: &impl Executor, body: &SelectBody) -> Result<bool> {
    let seen = reading(executor, "exists", body)?;
    let body = seen.as_deref().unwrap_or(body);
    let options = executor.call_options();
    let (sink, _) = run(
        executor,
        read("exists", body),
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::exists(out, body, options.prefix.as_deref());
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        Count::default,
    )
    .await?;
    Ok(sink.0.is_some())
}

pub(super) async fn count(executor: &impl Executor, body: &SelectBody) -> Result<u64> {
    let seen = reading(executor, "count", body)?;
    let body = seen.as_deref().unwrap_or(body);
    let options = executor.call_options();
    let (sink, _) = run(
        executor,
        read("count", body),
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::count(out, body, options.prefix.as_deref());
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        Count::default,
    )
    .await?;
    Ok(sink.0.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}
