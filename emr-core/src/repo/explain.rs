//! Plans, and SQL that is not sent.

use std::sync::atomic::{AtomicU64, Ordering};

use super::intercepted;
use crate::connection::Role;
use crate::error::{Error, Result};
use crate::exec::{Call, Executor, Job, run};
use crate::explain::ExplainOptions;
use crate::result::QueryResult;
use crate::row::{Discard, RowSink};
use crate::sql::{Params, Sql, SqlBuilder};
use crate::statement::Statement;
use crate::transaction::TransactionOptions;
use crate::value::Value;

pub(super) fn to_sql(executor: &impl Executor, statement: &Statement) -> Result<(String, Vec<Value<'static>>)> {
    let seen = intercepted::seen(executor, "to_sql", statement)?;
    let statement = seen.as_ref().map_or(statement, |(statement, _)| statement);
    let repo = executor.inner().0;
    let options = executor.call_options();
    let (sql, params) =
        SqlBuilder::build(repo.dialect(), repo.capabilities(), |out| statement.render(out, options.prefix.as_deref()))?;
    Ok((sql.text().to_owned(), params.into_iter().map(Value::into_owned).collect()))
}

pub(super) async fn explain(
    executor: &impl Executor,
    statement: &Statement,
    options: &ExplainOptions,
) -> Result<QueryResult> {
    options.check()?;
    let seen = intercepted::seen(executor, "explain", statement)?;
    if seen.as_ref().is_some_and(|(_, is_observed)| *is_observed) && options.analyze && options.keep {
        return Err(Error::refused(
            "an interceptor wants to hear of this write, which explain tells nobody of: leave out keep, or run it",
        ));
    }
    let statement = seen.as_ref().map_or(statement, |(statement, _)| statement);
    if options.generic {
        return generic(executor, statement, options).await;
    }
    if !options.analyze || options.keep {
        return plan(executor, statement, options).await;
    }
    let tx = executor.start(TransactionOptions::new()).await?;
    let result = plan(&tx, statement, options).await;
    let undone = tx.rollback().await;
    let result = result?;
    undone?;
    Ok(result)
}

fn call(statement: &Statement, runs: bool) -> Call {
    let role = if runs && statement.writes() { Role::Write } else { Role::Read };
    Call { role, table: statement.table(), verb: "explain", enforced: false }
}

async fn plan(executor: &impl Executor, statement: &Statement, options: &ExplainOptions) -> Result<QueryResult> {
    let call_options = executor.call_options();
    let make = |capabilities| {
        let (sql, params) = SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
            executor.inner().0.dialect().explain_with(out, options);
            statement.render(out, call_options.prefix.as_deref());
        })?;
        // A plan is asked for once; its statement is not worth a place among the prepared ones.
        Ok(Job::Statement(Sql::once(sql.text()), params))
    };
    let (result, done) = run(executor, call(statement, options.analyze), make, QueryResult::default).await?;
    Ok(result.with_affected(done.rows))
}

/// The plan for any parameters: of a statement that is prepared under a name, for as long as it takes.
async fn generic(executor: &impl Executor, statement: &Statement, options: &ExplainOptions) -> Result<QueryResult> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("emr_plan_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let repo = executor.inner().0;
    let tx = executor.start(TransactionOptions::new()).await?;
    let call_options = executor.call_options();
    let (sql, params) = SqlBuilder::build(repo.dialect(), repo.capabilities(), |out| {
        statement.render(out, call_options.prefix.as_deref());
    })?;
    let Some(steps) = repo.dialect().generic_plan(&name, sql.text(), params.len()) else {
        return Err(Error::unsupported("generic plans", &*repo.capabilities().server));
    };
    let (prefix, _) =
        SqlBuilder::build(repo.dialect(), repo.capabilities(), |out| repo.dialect().explain_with(out, options))?;
    let call = call(statement, false);
    for step in &steps.before {
        step_of(&tx, call, step, || Discard).await?;
    }
    let (result, rows) =
        step_of(&tx, call, &format!("{}{}", prefix.text(), steps.statement), QueryResult::default).await?;
    for step in &steps.after {
        step_of(&tx, call, step, || Discard).await?;
    }
    tx.rollback().await?;
    Ok(result.with_affected(rows))
}

async fn step_of<S: RowSink>(
    executor: &impl Executor,
    call: Call,
    sql: &str,
    sink: impl Fn() -> S + Send + Sync,
) -> Result<(S, u64)> {
    let sql = Sql::once(sql);
    let (sink, done) = run(executor, call, |_| Ok(Job::Statement(sql.clone(), Params::new())), sink).await?;
    Ok((sink, done.rows))
}
