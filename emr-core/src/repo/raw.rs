//! Raw SQL and DDL.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::Instrument;

use crate::connection::Done;
use crate::connection::Role;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Call, Executor, Job, bounded, refuse_read_only, run};
use crate::intercept::{SqlPlace, Walk};
use crate::lexis;
use crate::observe::{Outcome, Watch};
use crate::render;
use crate::result::QueryResult;
use crate::row::{Discard, RowSink};
use crate::schema::{Schema, Syncable};
use crate::sinks::{Named, unbox};
use crate::sql::{Params, Sql, SqlBuilder};
use crate::transaction::TransactionOptions;
use crate::types::ToParam;

pub(super) async fn query(executor: &impl Executor, sql: &str, params: &[&dyn ToParam]) -> Result<QueryResult> {
    let (result, done) = raw(executor, sql, params, QueryResult::default).await?;
    Ok(result.with_affected(done.rows))
}

pub(super) async fn query_as<T: Syncable>(
    executor: &impl Executor,
    sql: &str,
    params: &[&dyn ToParam],
) -> Result<Vec<T>> {
    Ok(raw(executor, sql, params, Named::<T>::new).await?.0.rows)
}

async fn raw<S: RowSink>(
    executor: &impl Executor,
    sql: &str,
    params: &[&dyn ToParam],
    sink: impl Fn() -> S + Send + Sync,
) -> Result<(S, Done)> {
    refuse_control(executor, sql)?;
    seen(executor, "query", sql)?;
    let repo = executor.inner().0;
    let enforced = repo.options.read_only.unwrap_or(false) || executor.as_tx().is_some_and(|tx| tx.core.read_only);
    let statement = Sql::raw(sql);
    let call = Call { role: repo.connector.role_of(sql), table: None, verb: "query", enforced };
    let make = |_: &'static crate::Capabilities| {
        let params: Params<'_> = params.iter().map(|param| param.to_param()).collect();
        Ok(Job::Statement(statement.clone(), params))
    };
    if executor.call_options().read_only && !enforced && call.role == Role::Write && !executor.is_transaction() {
        // Only the server can tell whether raw SQL writes.
        let tx = executor.start(TransactionOptions::new().read_only()).await?;
        let result = run(&tx, Call { enforced: true, ..call }, make, sink).await?;
        tx.commit().await?;
        return Ok(result);
    }
    run(executor, call, make, sink).await
}

pub(super) async fn script(executor: &impl Executor, sql: &str) -> Result<()> {
    refuse_control(executor, sql)?;
    let options = executor.call_options();
    seen(executor, "script", sql)?;
    refuse_read_only(executor)?;
    if options.origin.is_some() && !executor.is_transaction() {
        let tx = executor.start(TransactionOptions::new().or_origin(options.origin.as_ref())).await?;
        Box::pin(run_script(&tx, sql)).await?;
        return tx.commit().await;
    }
    run_script(executor, sql).await
}

async fn run_script(executor: &impl Executor, sql: &str) -> Result<()> {
    let options = executor.call_options();
    let repo = executor.inner().0;
    let call = Call { role: Role::Write, table: None, verb: "script", enforced: false };
    let watch = Watch::begin(repo, call);
    let has_connection = AtomicBool::new(false);
    let mut queue = None;
    let work = async {
        let mut lease = executor.lease(call.role).await?;
        has_connection.store(true, Ordering::Relaxed);
        queue = watch.elapsed();
        let mut ticket = lease.ticket().await?;
        let (connection, controls) = ticket.parts()?;
        let result = match connection.control(&controls).await {
            Ok(()) => connection.script(sql).await,
            Err(error) => Err(error),
        };
        ticket.end_with(result)
    };
    let result = bounded(executor, options.timeout, &has_connection, work).instrument(watch.span()).await;
    let rows = result.as_ref().map(|()| 0);
    let decode = Duration::ZERO;
    watch.end(repo, call, &Outcome { text: sql, statement: None, params: &[], queue, decode, result: rows });
    result
}

pub(super) async fn query_many(executor: &impl Executor, sql: &str) -> Result<Vec<QueryResult>> {
    refuse_control(executor, sql)?;
    seen(executor, "query_many", sql)?;
    let repo = executor.inner().0;
    let options = executor.call_options();
    let enforced = repo.options.read_only.unwrap_or(false) || executor.as_tx().is_some_and(|tx| tx.core.read_only);
    if options.read_only && !enforced {
        if executor.is_transaction() {
            return Err(Error::new(ErrorKind::ReadOnly).with_repo(repo.id()));
        }
        // Only the server can tell whether raw SQL writes.
        let tx = executor.start(TransactionOptions::new().read_only()).await?;
        let results = many(&tx, sql).await?;
        tx.commit().await?;
        return Ok(results);
    }
    if options.origin.is_some() && !executor.is_transaction() {
        let tx = executor.start(TransactionOptions::new().or_origin(options.origin.as_ref())).await?;
        let results = Box::pin(many(&tx, sql)).await?;
        tx.commit().await?;
        return Ok(results);
    }
    many(executor, sql).await
}

async fn many(executor: &impl Executor, sql: &str) -> Result<Vec<QueryResult>> {
    let repo = executor.inner().0;
    let call = Call { role: Role::Write, table: None, verb: "query_many", enforced: true };
    let watch = Watch::begin(repo, call);
    let has_connection = AtomicBool::new(false);
    let mut queue = None;
    let work = async {
        let mut lease = executor.lease(call.role).await?;
        has_connection.store(true, Ordering::Relaxed);
        queue = watch.elapsed();
        let mut ticket = lease.ticket().await?;
        let (connection, controls) = ticket.parts()?;
        let results = connection.query_many(&controls, sql, || Box::new(QueryResult::default())).await;
        let results = ticket.end_with(results);
        let unboxed = |(sink, done): (Box<dyn RowSink>, Done)| Ok(unbox::<QueryResult>(sink)?.with_affected(done.rows));
        results?.into_iter().map(unboxed).collect::<Result<Vec<_>>>()
    };
    let limit = executor.call_options().timeout;
    let result = bounded(executor, limit, &has_connection, work).instrument(watch.span()).await;
    let rows = result.as_ref().map(|results| results.iter().map(QueryResult::rows_affected).sum());
    let decode = Duration::ZERO;
    watch.end(repo, call, &Outcome { text: sql, statement: None, params: &[], queue, decode, result: rows });
    result
}

pub(super) async fn create_table(executor: &impl Executor, schema: &'static Schema) -> Result<()> {
    ddl(executor, schema, "create_table", |out, prefix| render::create_table(out, schema, prefix)).await
}

pub(super) async fn drop_table(executor: &impl Executor, schema: &'static Schema, if_exists: bool) -> Result<()> {
    ddl(executor, schema, "drop_table", |out, prefix| render::drop_table(out, schema, prefix, if_exists)).await
}

async fn ddl(
    executor: &impl Executor,
    schema: &'static Schema,
    verb: &'static str,
    render: impl Fn(&mut SqlBuilder<'_>, Option<&str>) + Send + Sync,
) -> Result<()> {
    let options = executor.call_options();
    let call = Call { role: Role::Write, table: Some(schema.table), verb, enforced: false };
    let make = |capabilities: &'static crate::Capabilities| {
        if executor.as_tx().is_some_and(|tx| !tx.core.begins_anew) && !capabilities.transactional_ddl {
            // It would commit what was done so far.
            return Err(Error::unsupported("making or dropping tables in a transaction", &*capabilities.server));
        }
        let (sql, params) = SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
            render(out, options.prefix_of(schema));
        })?;
        // Run once: not worth a place among the prepared statements.
        Ok(Job::Statement(Sql::once(sql.text()), params))
    };
    run(executor, call, make, || Discard).await?;
    Ok(())
}

/// Asks the interceptors.
fn seen(executor: &impl Executor, verb: &'static str, sql: &str) -> Result<()> {
    let interceptors = executor.interceptors();
    if interceptors.is_empty() {
        return Ok(());
    }
    let asked = Walk::new(interceptors, verb).raw(sql, SqlPlace::Statement);
    asked.map_err(|error| error.with_repo(executor.inner().0.id()))
}

/// Refuses what begins or ends a transaction behind EMR's back.
fn refuse_control(executor: &impl Executor, sql: &str) -> Result<()> {
    let repo = executor.inner().0;
    lexis::refuse_control(sql, repo.dialect()).map_err(|error| error.with_repo(repo.id()))?;
    let may_commit = executor.as_tx().is_none_or(|tx| tx.core.begins_anew);
    if may_commit || repo.capabilities().transactional_ddl {
        return Ok(());
    }
    match lexis::commits_by_itself(sql, repo.dialect()) {
        // It would commit what was done so far.
        Some(word) => {
            let feature = format!("{} inside a transaction, which it would commit", word.to_ascii_uppercase());
            Err(Error::unsupported(feature, &*repo.capabilities().server).with_repo(repo.id()))
        }
        None => Ok(()),
    }
}
