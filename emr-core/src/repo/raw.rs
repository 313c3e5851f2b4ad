//! Raw SQL and DDL.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::Instrument;

use crate::connection::Done;
use crate::connection::Role;
use crate::error::{Error, Result, TransactionFault};
use crate::exec::{Call, Executor, Job, bounded, run};
use crate::observe::{Outcome, Watch};
use crate::render;
use crate::result::QueryResult;
use crate::row::{Discard, RowSink};
use crate::schema::{Schema, Syncable};
use crate::sinks::Named;
use crate::sql::{Params, Sql, SqlBuilder};
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
    refuse_control(sql)?;
    let role = executor.inner().0.connector.role_of(sql);
    let statement = Sql::raw(sql);
    let call = Call { role, table: None, verb: "query" };
    let make = |_: &'static crate::Capabilities| {
        let params: Params<'_> = params.iter().map(|param| param.to_param()).collect();
        Ok(Job::Statement(statement.clone(), params))
    };
    run(executor, call, make, sink).await
}

pub(super) async fn script(executor: &impl Executor, sql: &str) -> Result<()> {
    for statement in sql.split(';') {
        refuse_control(statement)?;
    }
    unchecked_script(executor, sql).await
}

async fn unchecked_script(executor: &impl Executor, sql: &str) -> Result<()> {
    let options = executor.call_options();
    if options.read_only {
        return Err(Error::invalid("the repo is read-only: its options say read_only"));
    }
    let repo = executor.inner().0;
    let call = Call { role: Role::Write, table: None, verb: "script" };
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
        ticket.end(result.as_ref().err());
        result
    };
    let result = bounded(executor, options.timeout, &has_connection, work).instrument(watch.span()).await;
    let rows = result.as_ref().map(|()| 0);
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
    let dialect = executor.inner().0.dialect();
    let call = Call { role: Role::Write, table: Some(schema.table), verb };
    let make = |capabilities: &'static crate::Capabilities| {
        let (sql, params) = SqlBuilder::build(dialect, capabilities, |out| render(out, options.prefix.as_deref()))?;
        // Run once: not worth a place among the prepared statements.
        Ok(Job::Statement(Sql::once(sql.text()), params))
    };
    run(executor, call, make, || Discard).await?;
    Ok(())
}

/// Transactions are EMR's business: a BEGIN that it does not know of would leave the connection in an unknown
/// state.
fn refuse_control(sql: &str) -> Result<()> {
    const CONTROL: [&str; 10] =
        ["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "SAVE", "PREPARE TRANSACTION"];
    let text = skip_comments(sql);
    let keyword_end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let keyword = &text[..keyword_end];
    if CONTROL.iter().any(|control| control.eq_ignore_ascii_case(keyword)) {
        return Err(Error::transaction(TransactionFault::RawControl));
    }
    Ok(())
}

/// The text from its first word on.
pub(crate) fn skip_comments(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let after = if let Some(line) = rest.strip_prefix("--") {
            line.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(block) = rest.strip_prefix("/*") {
            skip_block(block)
        } else if let Some(after) = rest.strip_prefix([';', '(']) {
            after
        } else {
            return rest;
        };
        rest = after.trim_start();
    }
}

/// What follows a block comment, which may hold others.
fn skip_block(mut rest: &str) -> &str {
    let mut depth = 1;
    while depth > 0 {
        match (rest.find("*/"), rest.find("/*")) {
            (Some(close), Some(open)) if open < close => {
                depth += 1;
                rest = &rest[open + 2..];
            }
            (Some(close), _) => {
                depth -= 1;
                rest = &rest[close + 2..];
            }
            (None, _) => return "",
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_control_is_refused_however_it_is_written() {
        for sql in [
            "begin",
            " BEGIN;",
            "-- hi\nCommit",
            "/* a /* b */ c */ rollback",
            "savepoint x",
            "START TRANSACTION",
            ";end",
        ] {
            assert!(refuse_control(sql).is_err(), "{sql}");
        }
        for sql in ["select 1", "beginning", "-- begin", "insert into t values ('begin')", "", "endpoint()"] {
            assert!(refuse_control(sql).is_ok(), "{sql}");
        }
    }
}
